"""Stress-strain curves foretold by the maps most alike (Yang et al. 2020, section 2.2, Figures 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError, StudyError
from vitrine.explain.curve_neighbours import curve_errors, mean_curve, nearest
from vitrine.explain.found import Explained, ExplanationPart, Lines
from vitrine.learn.protocol import Embeds, Model
from vitrine.samples import Examples, Float, Int, Samples

RANDOM_K = 5
MEASURES = (("mae", "MPa"), ("relative_mae", ""), ("flow_stress_mae", "MPa"))
"""names and units of what :class:`~vitrine.explain.curve_neighbours.CurveErrors` holds"""


@dataclass
class _Known:
    """Maps with their curves: training or test."""

    curves: Float
    reload: Float
    width: Float
    slip: Float
    groups: NDArray[np.str_]
    strain: Float


class CurveNeighbours(ExplanationPart):
    """The curve of a specimen as the mean of those of its nearest neighbours among the training maps.

    Distances are those of the network's last features. Neighbours are maps of the same reload strain, which a
    user knows. Where the split parts crystals, errors without a specimen's own crystal are given too: maps of
    one crystal have nearly the same curve. Baselines: the mean curve of the training maps of the class that
    the network says, for crystals of the same width and slip systems; of the true class; random neighbours.
    """

    kind: Literal["stress-curves"] = "stress-curves"
    neighbours: tuple[int, ...] = Field((1, 5, 10), min_length=1, description="numbers of neighbours")
    features: Literal["crops", "mean"] = Field(
        "crops", description="features of all crops one after the other, as published, or their mean"
    )
    seed: int = Field(0, ge=0, description="of the random neighbours")

    takes: ClassVar[str] = "maps"
    needs_training: ClassVar[bool] = True
    summary: ClassVar[str] = "stress-strain curves foretold by the nearest maps in a network's features"

    def citations(self) -> tuple[str, ...]:
        """The study."""
        return ("10.1038/s41598-020-65157-z",)

    def explain(
        self,
        model: Model,
        samples: Samples,
        examples: Examples,
        training: Samples | None = None,
        seen: Examples | None = None,
    ) -> Explained:
        """Predict the curve of every sample.

        Raises
        ------
        StudyError: the model gives no features. DataError: a map without a curve.
        """
        if not isinstance(model, Embeds):
            raise StudyError(f"explanations: the model {self.model} gives no features of strain maps")
        if training is None or seen is None:
            raise StudyError("explanations: stress-curves needs what the model was trained on")
        test, train = known_of(samples), known_of(training)
        query, reference = self._features(model, examples), self._features(model, seen)
        same = test.reload[:, None] == train.reload[None]
        foreign = same & (test.groups[:, None] != train.groups[None])
        most = min(max(self.neighbours), len(train.curves))
        places, _ = nearest(reference, query, most, same)
        leaky = bool((same != foreign).any())
        own_free = nearest(reference, query, most, foreign)[0] if leaky else places
        called = model.predict(examples)
        classes = called.argmax(axis=1) if called.ndim == 2 else np.zeros(len(test.curves), np.int64)
        found = Explained()
        predicted: dict[str, Float] = {}
        for k in self.neighbours:
            predicted[_words(k)] = _mean_of(train.curves, places[:, :k])
            if leaky:
                predicted[f"{_words(k)}, not of its own crystal"] = _mean_of(train.curves, own_free[:, :k])
        learnt = _classes_of(seen, len(train.curves))
        predicted["mean of the predicted class"] = _class_means(train, learnt, test, classes)
        predicted["mean of the true class"] = _class_means(
            train, learnt, test, _classes_of(examples, len(classes))
        )
        random = np.random.default_rng(self.seed)
        drawn = np.stack([_drawn(random, row, RANDOM_K) for row in foreign])
        predicted[f"{RANDOM_K} random maps"] = _mean_of(train.curves, drawn)
        errors = {
            name: np.array(
                [curve_errors(test.strain, a, b) for a, b in zip(test.curves, curves, strict=True)]
            )
            for name, curves in predicted.items()
        }
        self._add_numbers(found, errors, test.reload)
        found.lines += self._examples_of(samples, test, train, places, predicted, examples)
        found.lines += _by_width(test, errors, [_words(k) for k in self.neighbours])
        return found

    def _features(self, model: Any, examples: Examples) -> NDArray[np.float32]:
        parts = [
            model.embed(examples.select(np.arange(start, min(start + 64, len(examples)))))
            for start in range(0, len(examples), 64)
        ]
        table = np.concatenate(parts)
        found: NDArray[np.float32] = (
            table.mean(axis=1) if self.features == "mean" else table.reshape(len(table), -1)
        )
        return found

    def _add_numbers(self, found: Explained, errors: dict[str, Float], reload: Float) -> None:
        """Errors for each reload strain, nan for samples of another; and neighbours minus the class mean."""
        base = "mean of the predicted class"
        middle = _words(sorted(self.neighbours)[len(self.neighbours) // 2])
        for value in np.unique(reload):
            other = reload != value
            what = f"reload {value:g} %"
            for name, table in errors.items():
                for column, (metric, unit) in enumerate(MEASURES):
                    key = (metric, f"curve from {name}, {what}")
                    found.numbers[key] = np.where(other, np.nan, table[:, column])
                    if unit:
                        found.units[key] = unit
            key = ("mae", f"{middle} minus {base}, {what}")
            found.numbers[key] = np.where(other, np.nan, errors[middle][:, 0] - errors[base][:, 0])
            found.units[key] = "MPa"

    def _examples_of(
        self,
        samples: Samples,
        test: _Known,
        train: _Known,
        places: Int,
        predicted: dict[str, Float],
        examples: Examples,
    ) -> list[Lines]:
        """Three specimens: widest and most strained, middle, narrowest and least; of each the median."""
        classes = _classes_of(examples, len(test.curves))
        widths = np.unique(test.width)
        picks = [
            (widths[-1], classes.max(), "widest crystal, most strained"),
            (widths[len(widths) // 2], np.sort(np.unique(classes))[len(np.unique(classes)) // 2], "middle"),
            (widths[0], classes.min(), "narrowest crystal, least strained"),
        ]
        most = max(self.neighbours)
        found = []
        for number, (width, kind, words) in enumerate(picks):
            inside = np.flatnonzero(
                (test.width == width) & (classes == kind) & (test.reload == test.reload.min())
            )
            if not len(inside):
                continue
            wrong = np.abs(predicted[_words(most)][inside] - test.curves[inside]).mean(axis=1)
            chosen = int(inside[np.argsort(wrong)[len(wrong) // 2]])
            x = (100 * test.strain).tolist()
            curves: list[dict[str, Any]] = [{"label": "true", "x": x, "y": test.curves[chosen].tolist()}]
            for k in self.neighbours:
                own = places[chosen, :k]
                middle, low, high = mean_curve(train.curves[own[own >= 0]])
                line: dict[str, Any] = {"label": _words(k), "x": x, "y": middle.tolist()}
                if k == most and k >= 3:
                    line |= {"low": low.tolist(), "high": high.tolist()}
                curves.append(line)
            base = predicted["mean of the predicted class"][chosen].tolist()
            curves.append({"label": "mean of the predicted class", "x": x, "y": base, "reference": True})
            found.append(
                Lines(
                    name=f"curve-{number + 1}",
                    title=f"Stress-strain curve foretold from a small reload, {words}",
                    caption=f"{samples.ids[chosen]}, the median error of its kind; band: 80 % of the {most} "
                    "neighbours' curves. As in Yang et al. 2020, Figures 4 and 5.",
                    x_label="strain since the reload began [%]",
                    y_label="stress [MPa]",
                    curves=curves,
                )
            )
        return found


def known_of(samples: Samples) -> _Known:
    """Curves and settings of strain maps; strains in %, widths in µm.

    Raises
    ------
    DataError: a map without a curve, or curves on different strains.
    """
    curves: list[Float] = []
    strain: Float | None = None
    for item, name in zip(samples.items, samples.ids, strict=True):
        curve = item.curve
        if curve is None:
            raise DataError(f"{name}: this map comes without a stress-strain curve")
        if strain is not None and (len(curve) != len(strain) or not np.allclose(curve[:, 0], strain)):
            raise DataError(f"{name}: its stress-strain curve is at other strains than those of other maps")
        strain = curve[:, 0]
        curves.append(curve[:, 1])
    column = {
        name: np.asarray(samples.attributes.get(name, np.zeros(len(samples))))
        for name in ("reload", "width", "slip_systems")
    }
    return _Known(
        np.array(curves),
        column["reload"],
        column["width"],
        column["slip_systems"],
        np.asarray(samples.groups),
        np.zeros(0) if strain is None else strain,
    )


def _words(k: int) -> str:
    return "1 neighbour" if k == 1 else f"{k} neighbours"


def _mean_of(curves: Float, places: Int) -> Float:
    """(m, points) mean of the curves at these places; -1 is none, and without any it is nan."""
    there = (places >= 0)[:, :, None]
    total = np.where(there, curves[places], 0.0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        found: Float = total / there.sum(axis=1)
    return found


def _drawn(random: np.random.Generator, allowed: NDArray[np.bool_], k: int) -> Int:
    some = np.flatnonzero(allowed)
    found = np.full(k, -1, np.int64)
    chosen = random.choice(some, min(k, len(some)), replace=False)
    found[: len(chosen)] = chosen
    return found


def _classes_of(examples: Examples, count: int) -> Int:
    """(n,) number of the class; thirds of a value."""
    if examples.target is None:
        return np.zeros(count, np.int64)
    if examples.target_kind == "value":
        bounds = np.quantile(examples.target, [1 / 3, 2 / 3])
        return np.digitize(examples.target, bounds).astype(np.int64)
    return examples.target.astype(np.int64)


def _class_means(train: _Known, learnt: Int, test: _Known, classes: Int) -> Float:
    """Mean curve of the training maps of a class, width and number of slip systems."""
    found = np.empty_like(test.curves)
    means: dict[tuple[float, float, int], Float] = {}
    for number, key in enumerate(zip(test.width, test.slip, classes, strict=True)):
        if key not in means:
            alike = (train.width == key[0]) & (train.slip == key[1])
            inside = alike & (learnt == key[2])
            chosen = inside if inside.any() else alike if alike.any() else np.ones(len(learnt), bool)
            means[key] = train.curves[chosen].mean(axis=0)
        found[number] = means[key]
    return found


def _by_width(test: _Known, errors: dict[str, Float], neighbours: list[str]) -> list[Lines]:
    """Mean error against width, small and large reload together."""
    widths = np.unique(test.width)
    if len(widths) < 2:
        return []
    names = [*neighbours, "mean of the predicted class", f"{RANDOM_K} random maps"]
    return [
        Lines(
            name="curve-errors",
            title="Error of the foretold stress-strain curve",
            caption="Mean absolute error up to the longest reload, mean over the test maps of a width.",
            x_label="width [µm]",
            y_label="error [MPa]",
            curves=[
                {
                    "label": name,
                    "x": widths.tolist(),
                    "y": [float(np.nanmean(errors[name][test.width == width, 0])) for width in widths],
                    "reference": name not in neighbours,
                }
                for name in names
            ],
        )
    ]
