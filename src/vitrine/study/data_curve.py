"""Models retrained on fewer groups: how many it takes to see something, if there is something to see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.evaluate.splits import Fold, hold_out_groups
from vitrine.samples import Examples
from vitrine.study.cross_validation import Fit, OutOfFold, collect, plan_fold, store_examples, within
from vitrine.study.data import Data, unit_of
from vitrine.study.figures import metric_label
from vitrine.study.log import Log
from vitrine.study.result import Curve, CurveFigure, Figure, Row
from vitrine.study.scoring import differences, score_rows

if TYPE_CHECKING:
    from vitrine.study.sections import Track
    from vitrine.study.spec import Study

WHERE = "training_groups"
"""key of ``where`` in the rows"""


@dataclass
class Curved:
    """Out-of-fold scores of one track at each number of training groups."""

    track: str
    truth: Examples
    unit: str | None = None
    """of the target"""
    found: dict[int, OutOfFold] = field(default_factory=dict)

    def truth_of(self, found: OutOfFold) -> Examples:
        """The examples that these scores are of."""
        return self.truth if found.tested is None else self.truth.select(found.tested)


def run_data_curve(study: Study, data: dict[str, Data], campaign: Campaign, log: Log) -> list[Curved]:
    """Retrain on so many of the training groups of each fold; the test samples stay those of the fold.

    A number of groups that a fold does not have is left out: the fits with all groups are there already.

    Raises
    ------
    TaskError: a fit failed for good.
    """
    settings = study.data_curve
    assert settings is not None
    result, plans = [], []
    for track in study.tracks:
        if settings.tracks is not None and track.title not in settings.tracks:
            continue
        unit = unit_of(study.asked_in(track).label, data[track.title].samples)
        own = Curved(track.title, data[track.title].truth, unit)
        examples = store_examples(study, data[track.title], settings.models, campaign)
        for count in settings.groups:
            plan = _plan(study, track, data[track.title], examples, count)
            campaign.submit([fit.task for fit in plan])
            plans.append((own, count, plan))
        result.append(own)
    log(f"data curve: {sum(len(plan) for *_, plan in plans)} fits on fewer groups")
    for own, count, plan in plans:
        if plan:
            found, _ = collect(study, plan, {own.track: own.truth}, campaign)
            own.found[count] = found[own.track]
    return result


def _plan(study: Study, track: Track, data: Data, examples: dict[str, Any], count: int) -> list[Fit]:
    settings, split = study.data_curve, track.split
    assert settings is not None
    plan: list[Fit] = []
    for number, fold in enumerate(within(study, data.folds(split))):
        smaller = _fewer(data.truth, fold, count, [settings.seed, number, count])
        if smaller is None:
            return []
        for name in settings.models:
            for repeat in range(settings.repeats if study.models[name].seeded else 1):
                label = f"data curve {count}/{track.title}/{name}/{number}" + (f"/{repeat}" if repeat else "")
                fit = plan_fold(study, track, name, examples[name], number, smaller, label, repeat)
                plan.append(fit)
    return plan


def _fewer(truth: Examples, fold: Fold, count: int, seed: list[int]) -> Fold | None:
    """The fold with so many training and validation groups, of both classes in their proportion."""
    known = np.sort(np.concatenate([fold.train, fold.validation]))
    groups = np.asarray(truth.groups)[known]
    names = np.unique(groups)
    if count >= len(names):
        return None
    chosen = _drawn(names, _classes(truth, known, groups, names), count, np.random.default_rng(seed))
    kept = known[np.isin(groups, chosen)]
    share = len(fold.validation) / len(known)
    if not share:
        return replace(fold, train=kept)
    rest, held = hold_out_groups([truth.groups[i] for i in kept], max(share, 1e-3), seed)
    return replace(fold, train=kept[rest], validation=kept[held])


def _classes(
    truth: Examples, known: NDArray[np.int64], groups: NDArray[np.str_], names: NDArray[np.str_]
) -> NDArray[np.bool_]:
    """(n_names,) the class that most rows of a group have; one class where the target is a number."""
    assert truth.target is not None
    if truth.target_kind != "binary":
        return np.zeros(len(names), dtype=bool)
    owner = np.repeat(np.arange(len(known)), np.diff(truth.starts)[known])
    code = np.searchsorted(names, groups)[owner]
    rows = truth.target[truth.rows_of(known)]
    return np.asarray(np.bincount(code, weights=rows) / np.bincount(code) > 0.5)


def _drawn(
    names: NDArray[np.str_], positive: NDArray[np.bool_], count: int, random: np.random.Generator
) -> NDArray[np.str_]:
    parts = [names[positive], names[~positive]]
    ones = int(np.clip(round(count * positive.mean()), min(2, len(parts[0])), len(parts[0])))
    shares = [ones, min(count - ones, len(parts[1]))]
    drawn = [random.permutation(part)[:share] for part, share in zip(parts, shares, strict=True)]
    return np.concatenate(drawn)


def data_curve_rows(study: Study, curved: list[Curved]) -> list[Row]:
    """All metrics at each number of groups, and each other model minus the first, paired."""
    assert study.data_curve is not None
    first, *others = study.data_curve.models
    rows = []
    for own in curved:
        for count, found in own.found.items():
            truth, place = own.truth_of(found), {WHERE: count}
            rows += score_rows(study, own.track, truth, found.scores, own.unit, place)
            for other in others:
                pair = (found.scores[other], found.scores[first])
                words = f"this model minus {first}"
                rows += differences(study, own.track, truth, pair, other, words, own.unit, place)
    return rows


def data_curve_figures(
    study: Study, curved: list[Curved], data: dict[str, Data], rows: list[Row]
) -> list[Figure]:
    """The metric against the number of training groups, one figure a track; rows: of the whole result."""
    settings = study.data_curve
    assert settings is not None
    figures: list[Figure] = []
    for own in curved:
        everything = _groups_in_training(study, own.track, data[own.track])
        here = [r for r in rows if r.track == own.track and r.metric == settings.metric]
        whole = {r.model: r for r in here if set(r.where) <= {"seeds"}}
        curves = []
        for model in settings.models:
            own_rows = [r for r in here if r.model == model and set(r.where) - {"seeds"} == {WHERE}]
            points = {r.where[WHERE]: r for r in own_rows}
            points |= {everything: whole[model]} if model in whole else {}
            curves.append(_curve(model, dict(sorted(points.items()))))
        curves = [curve for curve in curves if curve.x]
        if not curves:
            continue
        if settings.beside in whole:
            ends = [min(min(c.x) for c in curves), max(max(c.x) for c in curves)]
            value = float(whole[settings.beside].value or np.nan)
            label = f"{settings.beside}, all the data"
            curves.append(Curve(label=label, x=ends, y=[value, value], reference=True))
        figures.append(
            CurveFigure(
                name=f"{own.track}-data-curve",
                title=f"How much data it takes: {own.track}",
                caption="Out-of-fold, trained on so many groups (those that decide when to stop included), "
                "tested on the same samples each time. The last point has all groups of a fold. Bands: "
                "95 % over groups tested, not over the choice of those trained on.",
                x_label="groups to train on",
                y_label=metric_label(settings.metric, own.unit),
                curves=curves,
                x_log=True,
            )
        )
    return figures


def _groups_in_training(study: Study, track: str, data: Data) -> int:
    fold = within(study, data.folds(next(t.split for t in study.tracks if t.title == track)))[0]
    return len({data.samples.groups[i] for i in (*fold.train, *fold.validation)})


def _curve(model: str, points: dict[int, Row]) -> Curve:
    found = list(points.values())
    band = all(row.low is not None and row.high is not None for row in found)
    return Curve(
        label=model,
        x=[float(count) for count in points],
        y=[float("nan") if row.value is None else row.value for row in found],
        low=[float(row.low or 0.0) for row in found] if band else None,
        high=[float(row.high or 0.0) for row in found] if band else None,
    )
