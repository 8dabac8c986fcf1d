"""Features followed along an attribute of samples that no model is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import StudyError, did_you_mean
from vitrine.evaluate.intervals import Estimate, mean_over_groups
from vitrine.samples import Samples
from vitrine.study.data import source_tasks
from vitrine.study.log import Log
from vitrine.study.result import Curve, CurveFigure, Figure, Row

if TYPE_CHECKING:
    from vitrine.study.sections import Series
    from vitrine.study.spec import Study

TRACK = "series"
"""under which the rows stand"""
BINS = 10
"""of an attribute that takes a value of its own in each sample"""


def run_series(study: Study, number: int, campaign: Campaign, log: Log) -> tuple[list[Row], list[Figure]]:
    """Mean of each feature at each value of each attribute, with its interval over groups.

    Raises
    ------
    StudyError: the samples have no such attribute.
    """
    series = study.series[number]
    part: Any = study.representation
    if series.representation is not None:
        part = study.representations[series.representation]
    rows: list[Row] = []
    found: dict[str, tuple[Samples, Any]] = {}
    for name, changes in series.sources.items():
        source = study.changed(study.source, changes, f"series.{number}.sources.{name}")
        samples: Samples = source.samples(campaign.compute(source_tasks(source)))
        if not len(samples):
            log(f"series.{number}.sources.{name}: no usable sample")
            continue
        _check(series, number, samples)
        found[name] = (samples, part.build(samples, campaign.compute))
    figures: list[Figure] = []
    for attribute in series.against:
        for column, label in enumerate(part.feature_labels()):
            curves = []
            for name, (samples, examples) in found.items():
                points = _points(study, samples.attributes[attribute], examples.features[:, column], samples)
                curves.append(_curve(name, points))
                rows += [_row(name, label, attribute, x, estimate) for x, estimate in points]
            if curves:
                figures.append(_figure(series, number, attribute, label, curves))
    return rows, figures


def _check(series: Series, number: int, samples: Samples) -> None:
    for name in series.against:
        if name not in samples.attributes:
            known = did_you_mean(name, samples.attributes)
            raise StudyError(f"series.{number}.against: the samples have no attribute {name!r}{known}")


def _points(
    study: Study, x: NDArray[np.float64], y: NDArray[np.float32], samples: Samples
) -> list[tuple[float, Estimate]]:
    """Mean of y at each value of x; where nearly every sample has its own, in bins of equal numbers."""
    values = np.unique(x)
    if len(values) > max(2 * BINS, len(x) // 4):
        edges = np.quantile(x, np.linspace(0, 1, BINS + 1))
        code = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, BINS - 1)
    else:
        code = np.searchsorted(values, x)
    groups = np.asarray(samples.groups)
    points = []
    for part in np.unique(code):
        here = code == part
        estimate = mean_over_groups(
            y[here].astype(np.float64),
            list(groups[here]),
            resamples=study.evaluation.resamples,
            seed=study.seeds.bootstrap,
        )
        points.append((float(x[here].mean()), estimate))
    return points


def _row(name: str, label: str, attribute: str, x: float, found: Estimate) -> Row:
    return Row(
        track=TRACK,
        model=label,
        metric="mean",
        value=found.value,
        low=found.low,
        high=found.high,
        groups=found.groups,
        n=found.n,
        where={"samples": name, attribute: float(f"{x:.6g}")},
    )


def _curve(name: str, points: list[tuple[float, Estimate]]) -> Curve:
    band = all(found.low is not None and found.high is not None for _, found in points)
    return Curve(
        label=name,
        x=[x for x, _ in points],
        y=[found.value for _, found in points],
        low=[float(found.low or 0.0) for _, found in points] if band else None,
        high=[float(found.high or 0.0) for _, found in points] if band else None,
    )


def _figure(series: Series, number: int, attribute: str, label: str, curves: list[Curve]) -> Figure:
    return CurveFigure(
        name=f"series-{number}-{attribute}-{label}",
        title=f"{series.title}: {label}",
        caption=f"Means with 95 % intervals over groups. {series.note}",
        x_label=attribute.replace("_", " "),
        y_label=label,
        curves=curves,
    )
