"""Curves with bands over groups: ROC, precision-recall, and a probability binned by severity.

The band is pointwise: at every x the percentiles of the resampled curves (vertical averaging,
Fawcett 2006, doi:10.1016/j.patrec.2005.10.010). The line itself is the curve of all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vitrine.errors import DataError
from vitrine.evaluate.intervals import Groups
from vitrine.evaluate.metrics import binary_arrays, check_prevalence, row_arrays
from vitrine.evaluate.ranking import Ranking
from vitrine.evaluate.resampling import (
    FEWEST_GROUPS,
    Float,
    Int,
    group_codes,
    percentile_interval,
    resample,
    weighted_sums,
)


@dataclass(frozen=True)
class CurveBand:
    """A curve on a grid with its band; all ``(points,)``.

    low, high: None with fewer than five groups. chance: y of a score that knows nothing.
    """

    x: Float
    y: Float
    low: Float | None
    high: Float | None
    chance: Float


@dataclass(frozen=True)
class BinnedFraction:
    """A mean per bin.

    edges ``(bins + 1,)``; fraction ``(bins,)``, nan in empty bins; low, high ``(bins,)``, nan where
    fewer than five groups have rows in the bin; rows, groups ``(bins,)``: how many there are;
    outside: rows beyond the edges.
    """

    edges: Float
    fraction: Float
    low: Float
    high: Float
    rows: Int
    groups: Int
    outside: int

    @property
    def centres(self) -> Float:
        """``(bins,)``: geometric means of the edges when all are positive, else midpoints."""
        left, right = self.edges[:-1], self.edges[1:]
        return np.sqrt(left * right) if self.edges[0] > 0 else (left + right) / 2


def _grouped(n: int, groups: Groups) -> tuple[Int, int]:
    if len(groups) != n:
        raise ValueError(f"groups must have one entry per row: {len(groups)} entries, {n} rows")
    return group_codes(groups)


def _band(
    which: int,
    truth: ArrayLike,
    score: ArrayLike,
    groups: Groups,
    *,
    points: int,
    resamples: int,
    seed: int,
    level: float,
    prevalence: float | None,
) -> CurveBand:
    y, s, _ = binary_arrays(truth, score)
    codes, n_groups = _grouped(len(y), groups)
    if y.min() == y.max():
        raise DataError(f"a curve needs rows of both classes, but truth is {y[0]:g} in all {len(y)} rows")
    if points < 2:
        raise ValueError(f"a curve needs at least 2 points, not {points}")
    ranking = Ranking.of(y, s, codes, n_groups)
    grid = np.linspace(0, 1, points)

    def curve(weights: Float) -> Float:
        return ranking.curves(weights, grid, prevalence)[which]

    drawn = resample(curve, n_groups, resamples, seed)
    low, high = (None, None) if drawn is None else percentile_interval(drawn, level)
    chance = grid if which == 0 else np.full(points, prevalence or y.mean())
    return CurveBand(grid, curve(np.ones((1, n_groups)))[0], low, high, chance)


def roc_curve(
    truth: ArrayLike,
    score: ArrayLike,
    groups: Groups,
    points: int = 101,
    resamples: int = 200,
    *,
    seed: int = 0,
    level: float = 0.95,
) -> CurveBand:
    """True-positive rate (y) at evenly spaced false-positive rates (x), with a band over groups.

    Linear between thresholds; where the curve jumps, the upper value.

    truth ``(n,)`` of 0 and 1, score ``(n,)``, groups ``(n,)`` labels.

    Raises
    ------
    DataError: a class is absent, or values are not finite.
    """
    settings = {"points": points, "resamples": resamples, "seed": seed}
    return _band(0, truth, score, groups, level=level, prevalence=None, **settings)


def precision_recall_curve(
    truth: ArrayLike,
    score: ArrayLike,
    groups: Groups,
    points: int = 101,
    resamples: int = 200,
    *,
    seed: int = 0,
    level: float = 0.95,
    prevalence: float | None = None,
) -> CurveBand:
    """Precision (y) at evenly spaced recalls (x), with a band over groups.

    The precision at the highest threshold that reaches the recall: the steps whose area is the
    average precision. At recall 0 it is that of the highest score.

    prevalence: re-weight the classes to this positive fraction, as in
    :func:`vitrine.evaluate.intervals.bootstrap`.

    Raises
    ------
    DataError: a class is absent, or values are not finite.
    """
    if prevalence is not None:
        check_prevalence(prevalence)
    settings = {"points": points, "resamples": resamples, "seed": seed}
    return _band(1, truth, score, groups, level=level, prevalence=prevalence, **settings)


def probability_against_severity(
    called: ArrayLike,
    severity: ArrayLike,
    groups: Groups,
    edges: ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> BinnedFraction:
    """Mean of ``called`` in bins of severity: how often rows of a severity are called positive.

    called: ``(n,)`` booleans, or probabilities for their mean. severity: ``(n,)``, such as D2min in
    Å^2. edges: ``(bins + 1,)`` rising; bins hold their left edge, the last one both.

    Raises
    ------
    ValueError: edges that do not rise.
    """
    bounds = np.asarray(edges, dtype=np.float64)
    if bounds.ndim != 1 or len(bounds) < 2 or not (np.diff(bounds) > 0).all():
        raise ValueError("edges must be at least two rising numbers")
    level_of, share, _ = row_arrays(severity, called)
    codes, n_groups = _grouped(len(share), groups)
    bins = len(bounds) - 1
    place = np.where(level_of == bounds[-1], bins - 1, np.searchsorted(bounds, level_of, side="right") - 1)
    inside = (place >= 0) & (place < bins)
    cell = (codes * bins + place)[inside]
    rows = np.bincount(cell, minlength=n_groups * bins).reshape(n_groups, bins).astype(np.float64)
    total = np.bincount(cell, weights=share[inside], minlength=n_groups * bins).astype(np.float64)
    total = total.reshape(n_groups, bins)

    def fraction(weights: Float) -> Float:
        with np.errstate(invalid="ignore", divide="ignore"):
            return weighted_sums(weights, total) / weighted_sums(weights, rows)

    present = (rows > 0).sum(axis=0)
    low = high = np.full(bins, np.nan)
    drawn = resample(fraction, n_groups, resamples, seed)
    if drawn is not None:
        low, high = (np.where(present >= FEWEST_GROUPS, b, np.nan) for b in percentile_interval(drawn, level))
    return BinnedFraction(
        edges=bounds,
        fraction=fraction(np.ones((1, n_groups)))[0],
        low=low,
        high=high,
        rows=rows.sum(axis=0).astype(np.int64),
        groups=present.astype(np.int64),
        outside=int((~inside).sum()),
    )
