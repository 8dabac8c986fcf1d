"""One setting of the label varied, with models retrained at every value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError
from vitrine.samples import Examples
from vitrine.study import shelf
from vitrine.study.cross_validation import Fit, OutOfFold, collect, plan_track, store_examples
from vitrine.study.data import Data, attach_targets
from vitrine.study.log import Log
from vitrine.study.result import Curve, CurveFigure, Figure, Row
from vitrine.study.scoring import score_rows

if TYPE_CHECKING:
    from vitrine.study.spec import Study, Sweep

_RATES = ("roc_auc", "recall", "mcc")
"""Metrics that share a linear axis; the others go with the share of positives on a logarithmic one."""


@dataclass
class Swept:
    """What a sweep gave at each value that leaves both classes.

    Attributes
    ----------
    values: of the setting. truths: examples with the targets at each value. found: out-of-fold scores.
    skipped: value -> why nothing could be trained there.
    """

    sweep: Sweep
    values: list[float] = field(default_factory=list)
    truths: list[Examples] = field(default_factory=list)
    found: list[OutOfFold] = field(default_factory=list)
    skipped: dict[float, str] = field(default_factory=dict)

    @property
    def shares(self) -> list[float]:
        """Fraction of positives at each value."""
        return [float(_target(truth).mean(dtype=np.float64)) for truth in self.truths]


def _target(examples: Examples) -> NDArray[np.float32]:
    assert examples.target is not None
    return examples.target


def run_sweep(study: Study, sweep: Sweep, data: Data, campaign: Campaign, log: Log) -> Swept:
    """Relabel the samples of the first track at every value, and cross-validate there.

    Raises
    ------
    TaskError: a fit failed for good.
    """
    track, result = study.tracks[0], Swept(sweep)
    plans: list[list[Fit]] = []
    needed = {study.models[name].representation for name in sweep.models}
    for value in sweep.values:
        settings = study.label.model_dump() | {sweep.setting: value}
        changed = study.model_copy(update={"label": shelf.parse("label", settings, "label")})
        try:
            relabelled = Data(
                data.samples,
                {name: attach_targets(changed, data.samples, data.seen[name]) for name in needed},
            )
        except DataError as error:
            result.skipped[value] = str(error)
            log(f"{sweep.key}={value:g}: {error}")
            continue
        examples = store_examples(changed, relabelled, sweep.models, campaign)
        prefix = f"{sweep.setting}={value:g}/"
        plan = plan_track(study, track, relabelled, examples, sweep.models, prefix, repeats=1)
        campaign.submit([fit.task for fit in plan])
        plans.append(plan)
        result.values.append(value)
        result.truths.append(relabelled.truth)
    for plan, truth in zip(plans, result.truths, strict=True):
        found, _ = collect(study, plan, {track.title: truth}, campaign)
        result.found.append(found[track.title])
    return result


def sweep_rows(study: Study, swept: Swept) -> list[Row]:
    """All metrics at each value, at the prevalence found there."""
    rows = []
    for value, truth, found, share in zip(swept.values, swept.truths, swept.found, swept.shares, strict=True):
        where = {swept.sweep.setting: value, "positives": float(f"{share:.4g}")}
        rows += score_rows(study, study.tracks[0].title, truth, found.scores, None, where)
    return rows


def sweep_figures(study: Study, swept: Swept, rows: list[Row]) -> list[Figure]:
    """Metrics and the share of positives against the setting, for each model."""
    if len(swept.values) < 2:
        return []
    setting = type(study.label).model_fields[swept.sweep.setting]
    words = f": {setting.description}" if setting.description else ""
    x_label = f"{swept.sweep.setting}{words}".replace("^2", "²")
    figures: list[Figure] = []
    for model in swept.sweep.models:
        own = [row for row in rows if row.model == model]
        names = list(dict.fromkeys(row.metric for row in own if row.metric != "lift"))
        rates = [name for name in names if name in _RATES]
        rest = [name for name in names if name not in _RATES]
        title = swept.sweep.title or f"Metrics against {swept.sweep.key}"
        share = Curve("share of positives", list(swept.values), swept.shares, reference=True)
        bands = (
            "Bands: 95 % over groups." if all(row.low is not None for row in own) else "No bands: few groups."
        )
        for part, log, more in ((rates, False, []), (rest, True, [share])):
            figures.append(
                CurveFigure(
                    name=f"sweep-{swept.sweep.setting}-{model}-{'rest' if log else 'rates'}",
                    title=f"{title}: {model}",
                    caption=f"Out-of-fold, retrained at every value. {bands}",
                    x_label=x_label,
                    y_label="metric, own prevalence" if log else "metric",
                    curves=[*(_curve(own, swept, name) for name in part), *more],
                    x_log=min(swept.values) > 0,
                    y_log=log,
                    y_range=None if log else (0.0, 1.0),
                )
            )
    return figures


def _curve(rows: list[Row], swept: Swept, metric: str) -> Curve:
    here = {row.where[swept.sweep.setting]: row for row in rows if row.metric == metric}
    found = [here[value] for value in swept.values]
    whole = all(row.low is not None and row.high is not None for row in found)
    return Curve(
        label=metric.replace("_", " "),
        x=list(swept.values),
        y=[float("nan") if row.value is None else row.value for row in found],
        low=[float(row.low or 0.0) for row in found] if whole else None,
        high=[float(row.high or 0.0) for row in found] if whole else None,
    )
