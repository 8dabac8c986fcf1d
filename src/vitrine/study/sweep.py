"""One setting of the label or the representation varied, with models retrained at every value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError
from vitrine.samples import Examples
from vitrine.study import shelf
from vitrine.study.cross_validation import Fit, OutOfFold, collect, plan_track, store_examples
from vitrine.study.data import Data, attach_targets, labelled
from vitrine.study.log import Log
from vitrine.study.result import Curve, CurveFigure, Figure, Row
from vitrine.study.scoring import score_rows

if TYPE_CHECKING:
    from vitrine.study.sections import Sweep
    from vitrine.study.spec import Study

_RATES = ("roc_auc", "recall", "mcc", "accuracy", "balanced_accuracy", "macro_f1")
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
        """Fraction of positives at each value; nothing where there are none."""
        if any(truth.target_kind != "binary" for truth in self.truths):
            return []
        return [float(_target(truth).mean(dtype=np.float64)) for truth in self.truths]


def _target(examples: Examples) -> NDArray[np.float32]:
    assert examples.target is not None
    return examples.target


def run_sweep(study: Study, sweep: Sweep, data: Data, campaign: Campaign, log: Log) -> Swept:
    """Relabel the samples of the first track, or represent them anew, at every value; cross-validate there.

    Raises
    ------
    TaskError: a fit failed for good.
    """
    track, result = study.tracks[0], Swept(sweep)
    plans: list[list[Fit]] = []
    needed = {study.models[name].representation for name in sweep.models}
    for value in sweep.values:
        part: Any = getattr(study, sweep.stage)
        settings = part.model_dump() | {sweep.setting: value}
        changed = study.model_copy(update={sweep.stage: shelf.parse(sweep.stage, settings, sweep.stage)})
        try:
            if sweep.stage == "representation":
                relabelled = labelled(changed, data.samples, sweep.models, campaign)
            else:
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
    for number, plan in enumerate(plans):
        truth = result.truths[number]
        found, _ = collect(study, plan, {track.title: truth}, campaign)
        own = found[track.title]
        result.found.append(own)
        result.truths[number] = truth if own.tested is None else truth.select(own.tested)
    return result


def sweep_rows(study: Study, swept: Swept) -> list[Row]:
    """All metrics at each value, at the prevalence found there."""
    rows = []
    shares = swept.shares
    for number, (value, truth, found) in enumerate(zip(swept.values, swept.truths, swept.found, strict=True)):
        where = {swept.sweep.setting: value}
        if shares:
            where["positives"] = float(f"{shares[number]:.4g}")
        rows += score_rows(study, study.tracks[0].title, truth, found.scores, None, where)
    return rows


def sweep_figures(study: Study, swept: Swept, rows: list[Row]) -> list[Figure]:
    """Metrics and the share of positives against the setting, for each model."""
    if len(swept.values) < 2:
        return []
    setting = type(getattr(study, swept.sweep.stage)).model_fields[swept.sweep.setting]
    words = f": {setting.description}" if setting.description else ""
    x_label = f"{swept.sweep.setting}{words}".replace("^2", "²")
    figures: list[Figure] = []
    for model in swept.sweep.models:
        own = [row for row in rows if row.model == model]
        names = list(dict.fromkeys(row.metric for row in own if row.metric != "lift"))
        rates = [name for name in names if name in _RATES]
        rest = [name for name in names if name not in _RATES]
        title = swept.sweep.title or f"Metrics against {swept.sweep.key}"
        shares = swept.shares
        share = [Curve("share of positives", list(swept.values), shares, reference=True)] if shares else []
        bands = (
            "Bands: 95 % over groups." if all(row.low is not None for row in own) else "No bands: few groups."
        )
        for part, log, more in ((rates, False, []), (rest, True, share)):
            if not part and not more:
                continue
            figures.append(
                CurveFigure(
                    name=f"sweep-{swept.sweep.setting}-{model}-{'rest' if log else 'rates'}",
                    title=f"{title}: {model}",
                    caption=f"Out-of-fold, retrained at every value. {bands}",
                    x_label=x_label,
                    y_label="metric, own prevalence" if log and shares else "metric",
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
