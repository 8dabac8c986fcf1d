"""Stress-strain curves that neighbours in a network's features foretell, beside simpler forecasts.

Section 2.2 and Figures 4 and 5 of doi:10.1038/s41598-020-65157-z.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.explain import curve_neighbours as near_by
from vitrine.explain.curve_neighbours import Known
from vitrine.explain.found import Explained, ExplanationPart, Lines, Profile
from vitrine.learn.protocol import Embeds, Model
from vitrine.samples import Examples, Float, Int, Samples

APART = ", not of its own crystal"
ALIKE = " of its width and slip systems"
BY_SHAPE = f"mean{ALIKE}"
BY_CLASS = "mean of the {} class"
"""of the same width and slip systems"""
AT_ONCE = 64
"""maps that go through the network together"""
LEAST_PER_WIDTH = 5
"""maps of a width, from which an error stands in the figure of widths"""


class CurveNeighbours(ExplanationPart):
    """The stress-strain curve of a map's specimen as the mean of those of the training maps most alike.

    Alike in the features of the network's last layer. Beside it stand forecasts that need less: the mean
    curve of crystals of the same width and slip systems, all or those in the class that the network predicts;
    of that class, whatever the width; of maps drawn at random; and, as what a perfect classification would
    give, those of the true class. All maps of one state have one curve: where training holds maps of the same
    crystal (a random split), every number also comes without them, and the figures are drawn so.
    """

    kind: Literal["stress-curves"] = "stress-curves"
    samples: int = Field(1000, ge=2, description="samples that the model was not trained on, at most")
    neighbours: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (1, 5, 10), min_length=1, description="numbers of nearest training maps whose curves are averaged"
    )
    features: Literal["crops", "mean"] = Field(
        "crops", description="features of all crops one after the other, as published, or their mean"
    )
    among: Literal["all", "same-reload"] = Field(
        "same-reload", description="training maps of all reloads, or of the map's own reload alone"
    )
    seed: int = Field(0, ge=0, description="of the maps drawn at random, the control")

    takes: ClassVar[str] = "maps"
    needs_training: ClassVar[bool] = True
    summary: ClassVar[str] = "stress-strain curves foretold by the training maps nearest in features"

    @property
    def counts(self) -> list[int]:
        """Numbers of neighbours, each once, rising."""
        return sorted(set(self.neighbours))

    @property
    def main(self) -> int:
        """Neighbours of the comparisons: 5 if that is among them, else the middle one."""
        return 5 if 5 in self.counts else self.counts[len(self.counts) // 2]

    def citations(self) -> tuple[str, ...]:
        """The study."""
        return ("10.1038/s41598-020-65157-z",)

    def explain(
        self,
        model: Model,
        samples: Samples,
        examples: Examples,
        training_samples: Samples | None = None,
        training_examples: Examples | None = None,
    ) -> Explained:
        """Curves of every sample, from those of the training samples.

        Raises
        ------
        StudyError: the model gives no features of its last layer, or there are no training samples.
        DataError: a map has no curve.
        """
        if not isinstance(model, Embeds):
            raise StudyError(f"explanations: the model {self.model} gives no features of strain maps")
        if training_samples is None or training_examples is None or not len(training_samples):
            raise StudyError(f"explanations: nothing is given of what the model {self.model} was trained on")
        strain, curves = near_by.common_curves([samples, training_samples])
        test = self._known(model, samples, examples, curves[0])
        training = self._known(model, training_samples, training_examples, curves[1])
        predicted = _classes_of(model.predict(examples), examples)
        leaks = bool(np.isin(test.groups, training.groups).any())
        found = Explained()
        for apart in (False, True) if leaks else (False,):
            told, near = self._foretold(test, training, predicted, apart)
            forecast = Forecast(self, strain, test, training, told, near)
            self._add_numbers(found, forecast, APART if apart else "")
        note = " Training maps of the same crystal are left out." if leaks else ""
        found.lines += [*forecast.both_reloads(samples.ids, note), *forecast.examples(samples.ids, note)]
        found.profiles += forecast.against_width(note)
        return found

    def _known(self, model: Embeds, samples: Samples, examples: Examples, curves: Float) -> Known:
        parts = np.split(np.arange(len(samples)), np.arange(AT_ONCE, len(samples), AT_ONCE))
        crops = np.concatenate([model.embed(examples.select(part)) for part in parts])
        features = crops.reshape(len(crops), -1) if self.features == "crops" else crops.mean(axis=1)
        classes = None if examples.target is None else _classes_of(examples.target, examples)
        return Known.of(samples, features, curves, classes)

    def _foretold(
        self, test: Known, training: Known, predicted: Int | None, apart: bool
    ) -> tuple[dict[str, Float], Int]:
        """All forecasts, what -> (m, points), and (m, most) the nearest; ``apart``: of other crystals."""
        pool, alike = near_by.pools(test, training, self.among == "same-reload", apart)
        most = min(max(self.counts), len(training.groups))
        near, _ = near_by.nearest(training.features, test.features, most, pool)
        near_alike, _ = near_by.nearest(training.features, test.features, min(self.main, most), alike)
        random = near_by.drawn(pool, self.main, self.seed)
        told = {_neighbours(k): near_by.mean_of(training.curves, near, k) for k in self.counts}
        told[_neighbours(self.main) + ALIKE] = near_by.mean_of(training.curves, near_alike, self.main)
        told[_random(self.main)] = near_by.mean_of(training.curves, random, self.main)
        told[BY_SHAPE] = near_by.mean_where(training.curves, alike)
        if predicted is not None:
            for words, classes in (("predicted", predicted), ("true", test.classes)):
                same = classes[:, None] == training.classes
                own = BY_CLASS.format(words)
                told[own] = near_by.mean_where(training.curves, alike & same)
                told[f"{own}, all widths"] = near_by.mean_where(training.curves, pool & same)
        return told, near

    def _add_numbers(self, found: Explained, forecast: Forecast, ending: str) -> None:
        """A number per test map, reload by reload: nan for maps of another reload."""
        errors = forecast.errors
        best = BY_CLASS.format("predicted")
        ours = (_neighbours(self.main), _neighbours(self.main) + ALIKE)
        in_full = {*map(_neighbours, self.counts), *ours, best}
        rows: list[tuple[str, str, Float, str | None]] = []
        for what, error in errors.items():
            rows.append(("mae", f"curve from {what}", error.mae, "MPa"))
            if what in in_full:
                rows.append(("relative_mae", f"curve from {what}", error.relative, None))
                rows.append(("flow_stress_mae", f"curve from {what}", error.flow, "MPa"))
        for what in ours if best in errors else ():
            difference = errors[what].mae - errors[best].mae
            rows.append(("mae", f"{what} minus {best}", difference, "MPa"))
        test, curves = forecast.test, forecast.training.curves
        for k in self.counts:
            inside = near_by.share_inside(test.curves, curves, forecast.near, k)
            rows.append(("share_inside", f"band of {_neighbours(k)}, 10 to 90 %", inside, None))
        for reload, words in near_by.named_reloads(test.reload).items():
            for metric, what, values, unit in rows:
                own = np.where(test.reload == reload, values, np.nan)
                if np.isfinite(own).any():
                    key = (metric, what + ending + (words and f", {words}"))
                    found.numbers[key] = own
                    if unit is not None:
                        found.units[key] = unit


@dataclass(frozen=True)
class Forecast:
    """Forecasts for m test maps, as figures.

    Attributes
    ----------
    strain: (points,). told: what -> (m, points) [MPa], nan where nothing is said. near: (m, most) indices of
        the nearest training maps, -1 where there are fewer.
    """

    part: CurveNeighbours
    strain: Float
    test: Known
    training: Known
    told: dict[str, Float]
    near: Int

    @cached_property
    def errors(self) -> dict[str, near_by.Errors]:
        """Of every forecast, (m,) each."""
        return {
            what: near_by.curve_errors(self.strain, self.test.curves, curves)
            for what, curves in self.told.items()
        }

    def both_reloads(self, ids: tuple[str, ...], note: str) -> list[Lines]:
        """The state of median error among the widest specimens, foretold from its map of each reload."""
        test, error, count = (
            self.test,
            self.errors[_neighbours(self.part.main)].mae,
            _neighbours(self.part.main),
        )
        widest = test.width[np.isfinite(error)].max(initial=-1.0)
        states: dict[tuple[str, float], list[int]] = {}
        for number in np.flatnonzero((test.width == widest) & np.isfinite(error)).tolist():
            states.setdefault((str(test.groups[number]), float(test.prior[number])), []).append(number)
        if not states:
            return []
        most = max(len(numbers) for numbers in states.values())
        full = [numbers for numbers in states.values() if len(numbers) == most]
        full.sort(key=lambda numbers: float(error[numbers].mean()))
        own = sorted(full[(len(full) - 1) // 2], key=lambda number: float(test.reload[number]))
        named = near_by.named_reloads(test.reload)
        curves = [self._line("true", test.curves[own[0]])]
        for number in own:
            label = ", ".join(filter(None, (count, named[float(test.reload[number])])))
            curves.append(self._line(label, self.told[_neighbours(self.part.main)][number]))
        maps = ", ".join(f"{ids[number]} ({error[number]:.3g} MPa)" for number in own)
        caption = f"The state of median error among the widest crystals, from {count} of each of its maps; "
        caption += f"mean absolute errors: {maps}.{note}"
        return [_lines("both-reloads", "A stress-strain curve and its forecasts", caption, curves)]

    def examples(self, ids: tuple[str, ...], note: str) -> list[Lines]:
        """Median maps: widest and highest class, a middle width and class, narrowest and lowest class."""
        test, error, part = self.test, self.errors[_neighbours(self.part.main)].mae, self.part
        widths, levels = np.unique(test.width), np.unique(test.classes)
        chosen: list[int] = []
        for width, level in ((-1, -1), ((len(widths) - 1) // 2, (len(levels) - 1) // 2), (0, 0)):
            own = (test.width == widths[width]) & (test.classes == levels[level]) & np.isfinite(error)
            own &= test.reload == test.reload[own].min(initial=np.inf)
            order = np.flatnonzero(own)[np.argsort(error[own], kind="stable")]
            chosen += [int(number) for number in order[(len(order) - 1) // 2 :][:1]]
        best = next(words for words in (BY_CLASS.format("predicted"), BY_SHAPE) if words in self.told)
        found = []
        for place, number in enumerate(dict.fromkeys(chosen)):
            curves = [self._line("true", test.curves[number])]
            for k in part.counts:
                told = self.told[_neighbours(k)][number]
                if np.isfinite(told).all():
                    curves.append(self._line(_neighbours(k), told))
            _, low, high = near_by.mean_curve(self.training.curves[self.near[number][: part.counts[-1]]])
            whole = len(curves) == 1 + len(part.counts) and part.counts[-1] >= near_by.LEAST_FOR_BAND
            if whole:
                curves[-1] |= {"low": low.tolist(), "high": high.tolist()}
            if np.isfinite(self.told[best][number]).all():
                curves.append({**self._line(best, self.told[best][number]), "reference": True})
            band = f" Band: 10 to 90 % of {_neighbours(part.counts[-1])}." if whole else ""
            caption = (
                f"{ids[number]}: of its width, class and reload the map of median error "
                f"({error[number]:.3g} MPa with {_neighbours(part.main)}).{band}{note}"
            )
            found.append(_lines(f"example-{place + 1}", f"Curve of {ids[number]}", caption, curves))
        return found

    def against_width(self, note: str) -> list[Profile]:
        """Errors against the width of the specimen, a figure for every reload."""
        test, part = self.test, self.part
        wanted = [*map(_neighbours, part.counts), BY_CLASS.format("predicted"), _random(part.main)]
        errors = {what: error.mae for what, error in self.errors.items() if what in wanted}
        said = np.isfinite(self.errors[_neighbours(self.part.main)].mae)
        found = []
        for place, (reload, words) in enumerate(near_by.named_reloads(test.reload).items()):
            here = (test.reload == reload) & (test.width > 0)
            widths, counts = np.unique(test.width[here & said], return_counts=True)
            widths = widths[counts >= LEAST_PER_WIDTH]
            if len(widths) < 2:
                continue
            own = here[:, None] & (test.width[:, None] == widths)
            found.append(
                Profile(
                    name=f"width-reload-{place + 1}",
                    title="Error of foretold curves" + (words and f", {words}"),
                    caption=f"Mean absolute error over the strains of the reload.{note}",
                    x_label="width of the specimen [µm]",
                    y_label="mean absolute error [MPa]",
                    x=widths,
                    curves={what: np.where(own, error[:, None], np.nan) for what, error in errors.items()},
                )
            )
        return found

    def _line(self, label: str, curve: Float) -> dict[str, Any]:
        return {"label": label, "x": (100 * self.strain).tolist(), "y": curve.tolist()}


def _lines(name: str, title: str, caption: str, curves: list[dict[str, Any]]) -> Lines:
    return Lines(name, title, caption, "strain since the reload began [%]", "stress [MPa]", curves)


def _neighbours(k: int) -> str:
    return "1 neighbour" if k == 1 else f"{k} neighbours"


def _random(k: int) -> str:
    return f"{k} random map{'s' if k > 1 else ''}"


def _classes_of(values: Any, examples: Examples) -> Int | None:
    """(n,) classes of targets or predictions; None if the target is a value."""
    found = np.asarray(values)
    if examples.target_kind == "value":
        return None
    if examples.target_kind == "classes":
        return np.asarray(found.argmax(axis=1) if found.ndim == 2 else found, np.int64)
    return (found > 0.5).astype(np.int64)
