"""One element after the other left out: which numbers tell beforehand where a network will fail?

Each element is a track of its own, made like the study's own tracks that leave something out: same test
groups, same number of training samples. What is known of a network before the left-out data have targets (its
landscape on known data, how far the left-out compositions are, how much fits of other seeds differ there)
is ranked against its error on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import StudyError
from vitrine.evaluate.claims import spearman_within
from vitrine.evaluate.intervals import Estimate
from vitrine.evaluate.leave_out import LeaveOut
from vitrine.study.apart import BESIDE, equal_rows
from vitrine.study.chemistry import elements_in
from vitrine.study.composition_reference import Compositions
from vitrine.study.cross_validation import OutOfFold, cross_validate
from vitrine.study.data import Data, unit_of
from vitrine.study.landscapes import APART, LIKE, TRAIN, WORDS, Looked, run_landscapes
from vitrine.study.log import Log
from vitrine.study.result import Figure, PlainTable, Row, ScatterFigure
from vitrine.study.scoring import score_rows
from vitrine.study.sections import Budget, Track

if TYPE_CHECKING:
    from vitrine.study.spec import Study

TRACK = "each_element"
"""under which the rows stand"""
FEWEST = 5
"""elements, of which a rank correlation says anything"""
CHEAP = ("error alike", "distance to the training", "spread of seeds")
"""predictors that need no landscape: error on what is like the training, mean share of atoms to "
"exchange to get to
the nearest formula trained on, mean standard deviation of fits with other seeds on what is left out"""
_GEOMETRY = ("sharpness", "robust_radius", "basin_width", "minimum_offset", "roughness")
_CURVATURE = ("hessian_largest", "hessian_trace")


@dataclass
class Each:
    """What leaving out one element after the other gave.

    Attributes
    ----------
    names: of what was left out. study: the study whose tracks they are. data: of all tracks. found: by track.
        looked: landscapes by (track, model). skipped: name -> why it could not be left out.
    """

    study: Study
    names: list[str]
    data: Data
    found: dict[str, OutOfFold]
    looked: dict[tuple[str, str], Looked]
    skipped: dict[str, str] = field(default_factory=dict)
    _ranked: dict[str, Ranked] = field(default_factory=dict)

    def ranked(self, model: str) -> Ranked:
        """Numbers of one network and their correlations, worked out once."""
        if model not in self._ranked:
            numbers = numbers_of(self, model)
            self._ranked[model] = Ranked(
                numbers,
                {
                    (key, outcome): correlation(self.study, known, values)
                    for key, known in numbers.predictors.items()
                    for outcome, values in numbers.outcomes.items()
                },
            )
        return self._ranked[model]

    @property
    def tracks(self) -> dict[str, str]:
        """Name of what is left out -> title of its track."""
        return dict(zip(self.names, (track.title for track in self.study.tracks), strict=True))


def run_each_element(study: Study, data: Data, campaign: Campaign, log: Log) -> Each | str:
    """Fit and probe with each element left out; in words why not, where too few elements could be.

    Raises
    ------
    StudyError: fewer than five of the elements that the study names can be left out.
    TaskError: a fit or a landscape failed for good.
    """
    settings, looked = study.each_element, study.landscape
    assert settings is not None and looked is not None
    split = _split(study)
    names, skipped = _possible(split, data, _elements(study, data))
    if len(names) < FEWEST:
        told = f"only {', '.join(names) or 'none'} can be left out, and {FEWEST} elements are needed"
        if settings.elements is not None:
            why = "".join(f"; {name}: {reason}" for name, reason in list(skipped.items())[:3])
            raise StudyError(f"each_element.elements: {told}{why}")
        return f"One element after the other was not left out: {told} that {settings.least} samples hold."
    models = tuple(dict.fromkeys([*settings.models, *settings.baselines]))
    tracks = tuple(Track(split=_without(split, name), models=models) for name in names)
    own = study.model_copy(
        update={
            "tracks": tracks,
            "explanations": (),
            "landscape": looked.model_copy(update={"models": settings.models, "tracks": None, "planes": ()}),
            "seeds": study.seeds.model_copy(update={"repeats": settings.repeats}),
            "evaluation": study.evaluation.model_copy(update={"shuffled_labels": None, "reference": None}),
            "budget": _budget(study),
        }
    ).within_budget()
    of_tracks = {track.title: data for track in tracks}
    own, _ = equal_rows(own, of_tracks)
    log(f"each element: {len(names)} left out one after the other, {own.budget.rows} samples to train on")
    found, _ = cross_validate(own, of_tracks, campaign)
    landscapes = run_landscapes(own, of_tracks, found, campaign, log)
    return Each(own, names, data, found, {(one.track, one.model): one for one in landscapes}, skipped)


def _budget(study: Study) -> Budget:
    """That of the study, unless less is enough here."""
    settings = study.each_element
    assert settings is not None
    changes: dict[str, Any] = {"equal": True}
    for name in ("rows", "epochs"):
        least = [n for n in (getattr(settings, name), getattr(study.budget, name)) if n is not None]
        changes |= {name: min(least)} if least else {}
    return study.budget.model_copy(update=changes)


def _split(study: Study) -> LeaveOut:
    """How the first track that leaves something out deals the others; the default where there is none."""
    own = [track.split for track in study.tracks if isinstance(track.split, LeaveOut)]
    return own[0] if own else LeaveOut()


def _without(split: LeaveOut, name: str) -> LeaveOut:
    return split.model_copy(update={"leave_out": name})


def _elements(study: Study, data: Data) -> list[str]:
    """Those that are asked for, or the most frequent of those that enough samples hold."""
    settings = study.each_element
    assert settings is not None
    if settings.elements is not None:
        return list(settings.elements)
    counts = Counter(symbol for elements in elements_in(data.samples) for symbol in elements)
    most = settings.share * len(data.samples)
    fitting = [symbol for symbol, n in counts.items() if settings.least <= n <= most]
    return sorted(fitting, key=lambda symbol: (-counts[symbol], symbol))[: settings.most]


def _possible(split: LeaveOut, data: Data, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Names that leave something to train, validate and test on, and reasons for the others."""
    possible, skipped = [], {}
    for name in names:
        try:
            data.folds(_without(split, name))
            possible.append(name)
        except StudyError as error:
            skipped[name] = str(error)
    return possible, skipped


@dataclass(frozen=True)
class Numbers:
    """One model with each element left out: (elements,) arrays.

    Attributes
    ----------
    outcomes: name -> what is to be told: the error on what was left out, and over that of always saying the
        mean of the left-out targets. predictors: (name, data) -> what is known of the model.
    """

    outcomes: dict[str, NDArray[np.float64]]
    predictors: dict[tuple[str, str], NDArray[np.float64]]


@dataclass(frozen=True)
class Ranked:
    """Numbers of one network, and (predictor and its data, outcome) -> their rank correlation."""

    numbers: Numbers
    correlations: dict[tuple[tuple[str, str], str], Estimate]


def numbers_of(each: Each, model: str) -> Numbers:
    """Outcomes and predictors of one network, element by element."""
    outcomes: dict[str, list[float]] = {}
    predictors: dict[tuple[str, str], list[float]] = {}
    for title in each.tracks.values():
        found = each.found[title]
        truth = found.of(each.data).truth
        assert found.beside is not None and truth.target is not None
        alike = found.beside.of(each.data).truth
        error, usual = _error(found.scores[model], truth.target), _error(truth.target.mean(), truth.target)
        known = _error(found.beside.scores[model], alike.target)
        own = {
            "mae": error,
            "relative_mae": error / usual if usual > 0 else np.nan,
            "excess_mae": error - known,
        }
        for name, value in own.items():
            outcomes.setdefault(name, []).append(value)
        seeds = np.atleast_2d(found.scores[model])
        spread = float(seeds.std(axis=0).mean()) if len(seeds) > 1 else np.nan
        for name, value in zip(CHEAP, (known, _distance(each.data, found), spread), strict=True):
            predictors.setdefault((name, LIKE if name == CHEAP[0] else APART), []).append(value)
        for key, value in _geometry(each, title, model).items():
            predictors.setdefault(key, []).append(value)
    return Numbers(
        {name: np.array(values) for name, values in outcomes.items()},
        {key: np.array(values) for key, values in predictors.items()},
    )


def _error(scores: Any, truth: Any) -> float:
    """Mean absolute error, of several seeds their mean."""
    return float(np.abs(np.asarray(scores, np.float64) - np.asarray(truth, np.float64)).mean())


def _distance(data: Data, found: OutOfFold) -> float:
    """Mean share of atoms to exchange from what was left out to the nearest formula trained on."""
    formulas = np.asarray(data.samples.items["formula"], dtype=object)
    (fold,) = found.folds
    known = Compositions.of(formulas[fold.train].tolist())
    assert found.tested is not None
    return float(known.nearest(formulas[found.tested].tolist())[0].mean())


def _geometry(each: Each, title: str, model: str) -> dict[tuple[str, str], float]:
    """(metric, data set) -> mean over directions, and curvatures, of one landscape."""
    looked = each.looked.get((title, model))
    if looked is None:
        return {}
    values: dict[tuple[str, str], float] = {}
    for name in looked.sets:
        numbers, curved = looked.numbers(each.study.landscape, name), looked.curvatures(name)
        values |= {(metric, name): _mean(numbers[metric]) for metric in _GEOMETRY}
        values |= {(metric, name): curved[metric][0] for metric in _CURVATURE if metric in curved}
    return values


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def correlation(study: Study, predictor: NDArray[np.float64], outcome: NDArray[np.float64]) -> Estimate:
    """Spearman's rank correlation over elements, its interval by drawing elements."""
    known = np.isfinite(predictor) & np.isfinite(outcome)
    if known.sum() < 5:
        return Estimate(float("nan"), None, None, int(known.sum()), int(known.sum()))
    return spearman_within(
        predictor,
        outcome,
        known,
        np.arange(len(known)),
        resamples=study.evaluation.resamples,
        seed=study.seeds.bootstrap,
    )


def each_element_rows(each: Each) -> list[Row]:
    """Errors with each element left out, and the rank correlation of every predictor with them."""
    study, rows = each.study, []
    for name, title in each.tracks.items():
        found = each.found[title]
        for where, part in (({}, found), (BESIDE, found.beside)):
            assert part is not None
            truth = part.of(each.data).truth
            unit = unit_of(study.label, each.data.samples)
            place = {"subset": f"without {name}", "left_out": name, **where}
            rows += score_rows(study, TRACK, truth, part.scores, unit, place, prevalences=False)
    assert study.landscape is not None
    for model in study.landscape.models:
        for ((predictor, data), outcome), found_here in each.ranked(model).correlations.items():
            rows.append(_row(model, found_here, {"predictor": predictor, "data": data, "of": outcome}))
    return rows


def _row(model: str, found: Estimate, where: Mapping[str, Any]) -> Row:
    value = None if np.isnan(found.value) else found.value
    return Row(
        TRACK, model, "spearman", value, found.low, found.high, found.groups, found.n, where=dict(where)
    )


def each_element_tables(each: Each) -> list[PlainTable]:
    """Correlations of every predictor with the error, and the errors themselves."""
    study, tables = each.study, []
    assert study.landscape is not None
    for model in study.landscape.models:
        ranked, lines = each.ranked(model), []
        for key in ranked.numbers.predictors:
            needs = key[1] == APART and key[0] not in CHEAP
            found = [_text(ranked.correlations[key, outcome]) for outcome in ranked.numbers.outcomes]
            lines.append([_words(key[0]), WORDS[key[1]], "yes" if needs else "no", *found])
        tables.append(
            PlainTable(
                f"What tells where {model} will fail: rank correlation over {len(each.names)} elements",
                "Spearman's rank correlation with the error on the element left out, 95 % by drawing "
                "elements. The excess is the error on what is left out less that on what is like the "
                "training; the relative error is over that of the left-out targets' mean. What needs "
                "targets of the left-out samples tells nothing beforehand.",
                ["known of the network", "on data", "needs targets", "with the error", "relative", "excess"],
                lines,
            )
        )
    tables.append(_errors_table(each))
    return tables


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _text(found: Estimate) -> str:
    if not np.isfinite(found.value):
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _errors_table(each: Each) -> PlainTable:
    models = list(next(iter(each.found.values())).scores)
    unit = unit_of(each.study.label, each.data.samples)
    lines = []
    for name, title in each.tracks.items():
        found = each.found[title]
        truth = found.of(each.data).truth
        assert found.beside is not None and truth.target is not None
        alike = found.beside.of(each.data).truth
        line = [name, f"{len(truth):,}", f"{_error(truth.target.mean(), truth.target):.3g}"]
        for model in models:
            line.append(f"{_error(found.scores[model], truth.target):.3g}")
            line.append(f"{_error(found.beside.scores[model], alike.target):.3g}")
        lines.append(line)
    columns = ["left out", "samples", "spread"]
    columns += [f"{model}: {part}" for model in models for part in ("left out", "alike")]
    note = (
        f"Mean absolute errors{f' [{unit}]' if unit else ''} on samples with the element, which the models "
        "never saw, and on others that they never saw either. Spread: mean absolute deviation of the "
        "left-out targets from their mean."
    )
    return PlainTable("One element after the other left out", note, columns, lines)


def each_element_figures(each: Each) -> list[Figure]:
    """The error against what might tell it."""
    study = each.study
    figures: list[Figure] = []
    assert study.landscape is not None
    unit = unit_of(study.label, each.data.samples)
    for model in study.landscape.models:
        ranked = each.ranked(model)
        numbers = ranked.numbers
        shown = [key for key in numbers.predictors if key[1] != APART or key[0] in CHEAP]
        shown = [key for key in shown if key[1] != TRAIN][:8]
        panels: list[dict[str, Any]] = []
        for key in shown:
            label = f"{_words(key[0])}: {_text(ranked.correlations[key, 'mae'])}"
            x, y = numbers.predictors[key], numbers.outcomes["mae"]
            known = np.isfinite(x) & np.isfinite(y)
            panels.append({"label": label, "x": x[known].tolist(), "y": y[known].tolist()})
        figures.append(
            ScatterFigure(
                name=f"{TRACK}-{model}",
                title=f"Does it tell where {model} will fail?",
                caption="One point for each element left out. Above each panel: what is known of the network "
                "without any target of the left-out samples, and Spearman's rank correlation with the "
                "error on them.",
                x_label="what is known of the network",
                y_label="MAE on the element left out" + (f" [{unit}]" if unit else ""),
                panels=panels,
                identity=False,
            )
        )
    return figures
