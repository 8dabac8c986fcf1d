"""Scores sorted once, evaluated for any weights of the groups.

ROC-AUC, average precision and both curves change only where a positive is passed on the way down
the scores. So the sorted rows are kept as *steps*, one for each distinct score with a positive:
how many negatives of each group lie between the step before and this one, how many tie with it,
and how many positives of each group are there. Rows of one group within a step are one entry.
Nothing is binned or interpolated: every result is that of the rows themselves, repeated as often
as their group was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from vitrine.evaluate.resampling import Float, Int, weighted_sums

_TINY = 1e-300
_COUNT_TOLERANCE = 1e-6
"""Counts are whole numbers; a grid point times a count misses one by rounding only."""


@numba.njit(
    "Tuple((int64[::1], int64[::1], float64[::1]))(float64[::1], boolean[::1], int64[::1], int64)",
    cache=True,
)
def _steps(falling, positive, codes, n_groups):  # type: ignore[no-untyped-def]
    """Merge sorted rows into entries; see :class:`Ranking` for what is returned."""
    n = len(falling)
    bounds = np.zeros(3 * positive.sum() + 1, dtype=np.int64)
    group = np.empty(n, dtype=np.int64)
    count = np.empty(n, dtype=np.float64)
    # entry of a group in the open segment, if not older than the segment
    slot = np.full(n_groups, -1, dtype=np.int64)
    used, segment, first = 0, 0, 0
    while first < n:
        last, positives = first, 0
        while last < n and falling[last] == falling[first]:
            positives += positive[last]
            last += 1
        for kind in range(2):
            if positives > 0:
                segment += 1
                bounds[segment] = used
            for row in range(first, last):
                if positive[row] == (kind == 1):
                    g = codes[row]
                    if slot[g] < bounds[segment]:
                        slot[g] = used
                        group[used] = g
                        count[used] = 0.0
                        used += 1
                    count[slot[g]] += 1.0
        if positives > 0:
            segment += 1
            bounds[segment] = used
        first = last
    used = bounds[segment]  # negatives below the last positive change nothing
    return bounds[: segment + 1], group[:used].copy(), count[:used].copy()


@numba.njit(
    "void(float64[::1], int64[::1], float64[::1], int64, int64, float64[:, ::1])", cache=True, inline="always"
)
def _add(total, group, count, first, last, weights):  # type: ignore[no-untyped-def]
    """Add entries first to last, weighted, to the total of every resample."""
    for entry in range(first, last):
        row = weights[group[entry]]
        number = count[entry]
        for c in range(len(total)):
            total[c] += number * row[c]


@numba.njit(
    "Tuple((float64[::1], float64[::1]))"
    "(int64[::1], int64[::1], float64[::1], float64[:, ::1], float64[::1])",
    cache=True,
    error_model="numpy",
)
def _scan(bounds, group, count, weights, ratio):  # type: ignore[no-untyped-def]
    """Numerators of 1 - AUC and of AP for a batch of resamples, in one pass down the scores."""
    batch = weights.shape[1]
    tp, fp = np.zeros(batch), np.zeros(batch)
    tie, here = np.zeros(batch), np.zeros(batch)
    above, precision = np.zeros(batch), np.zeros(batch)
    for step in range((len(bounds) - 1) // 3):
        tie[:] = 0.0
        here[:] = 0.0
        _add(fp, group, count, bounds[3 * step], bounds[3 * step + 1], weights)
        _add(tie, group, count, bounds[3 * step + 1], bounds[3 * step + 2], weights)
        _add(here, group, count, bounds[3 * step + 2], bounds[3 * step + 3], weights)
        for c in range(batch):
            above[c] += here[c] * (fp[c] + 0.5 * tie[c])
            tp[c] += here[c]
            fp[c] += tie[c]
            precision[c] += here[c] * (tp[c] / max(tp[c] + ratio[c] * fp[c], _TINY))
    return above, precision


@numba.njit(
    "Tuple((float64[:, ::1], float64[:, ::1]))(int64[::1], int64[::1], float64[::1],"
    "float64[:, ::1], float64[::1], float64[::1], float64[::1], float64[::1])",
    cache=True,
    error_model="numpy",
)
def _trace(bounds, group, count, weights, ratio, positives, negatives, grid):  # type: ignore[no-untyped-def]
    """ROC and precision-recall curves of a batch of resamples on a grid, ``(batch, points)`` each."""
    batch, points = weights.shape[1], len(grid)
    tp, fp = np.zeros(batch), np.zeros(batch)
    tie, here = np.zeros(batch), np.zeros(batch)
    roc, pr = np.ones((batch, points)), np.zeros((batch, points))
    next_roc, next_pr = np.zeros(batch, dtype=np.int64), np.zeros(batch, dtype=np.int64)
    for step in range((len(bounds) - 1) // 3):
        tie[:] = 0.0
        here[:] = 0.0
        _add(fp, group, count, bounds[3 * step], bounds[3 * step + 1], weights)
        _add(tie, group, count, bounds[3 * step + 1], bounds[3 * step + 2], weights)
        _add(here, group, count, bounds[3 * step + 2], bounds[3 * step + 3], weights)
        for c in range(batch):
            j = next_roc[c]
            while j < points and grid[j] * negatives[c] < fp[c] + tie[c] - _COUNT_TOLERANCE:
                beyond = grid[j] * negatives[c] - fp[c]
                share = beyond / tie[c] if beyond > 0 else 0.0
                roc[c, j] = (tp[c] + here[c] * share) / positives[c]
                j += 1
            next_roc[c] = j
            tp[c] += here[c]
            fp[c] += tie[c]
            j = next_pr[c]
            while j < points and here[c] > 0 and grid[j] * positives[c] <= tp[c] + _COUNT_TOLERANCE:
                pr[c, j] = tp[c] / (tp[c] + ratio[c] * fp[c])
                j += 1
            next_pr[c] = j
    return roc, pr


@dataclass(frozen=True)
class Ranking:
    """Sorted scores of grouped rows, as steps.

    bounds: ``(3 steps + 1,)``: entries ``bounds[3k]:bounds[3k + 1]`` are the negatives that score
    above step k and below step k - 1, up to ``bounds[3k + 2]`` the negatives that tie with it, up
    to ``bounds[3k + 3]`` its positives. group, count: ``(n_entries,)``.
    positives, negatives: ``(n_groups,)`` rows of each class.
    """

    bounds: Int
    group: Int
    count: Float
    positives: Float
    negatives: Float

    @classmethod
    def of(cls, truth: Float, score: Float, codes: Int, n_groups: int) -> Ranking:
        """Sort rows: truth ``(n,)`` of 0 and 1, score ``(n,)``, codes ``(n,)`` below ``n_groups``."""
        order = np.argsort(-score, kind="stable")
        positive = truth == 1
        bounds, group, count = _steps(score[order], positive[order], codes[order], n_groups)
        return cls(
            bounds=bounds,
            group=group,
            count=count,
            positives=np.bincount(codes[positive], minlength=n_groups).astype(np.float64),
            negatives=np.bincount(codes[~positive], minlength=n_groups).astype(np.float64),
        )

    def _totals(self, weights: Float, prevalence: float | None) -> tuple[Float, Float, Float]:
        """Positives, negatives and weight of a negative over that of a positive, ``(b,)`` each."""
        positives, negatives = weighted_sums(weights, self.positives), weighted_sums(weights, self.negatives)
        if prevalence is None:
            return positives, negatives, np.ones(len(weights))
        with np.errstate(invalid="ignore", divide="ignore"):
            return positives, negatives, (1 - prevalence) / prevalence * positives / negatives

    def areas(self, weights: Float, prevalence: float | None = None) -> tuple[Float, Float]:
        """ROC-AUC and average precision for ``(b, n_groups)`` weights of the groups, ``(b,)`` each.

        weights: whole numbers. prevalence: re-weight the classes in every resample to this
        positive fraction. AUC is nan where a class is absent, average precision where there are no
        positives (with ``prevalence``, where a class is absent).
        """
        positives, negatives, ratio = self._totals(weights, prevalence)
        columns = np.ascontiguousarray(weights.T, dtype=np.float64)
        above, precision = _scan(self.bounds, self.group, self.count, columns, ratio)
        with np.errstate(invalid="ignore", divide="ignore"):
            auc = 1 - above / (positives * negatives)
            average = np.where(np.isfinite(ratio), precision / positives, np.nan)
        return np.where(positives * negatives > 0, auc, np.nan), average

    def curves(self, weights: Float, grid: Float, prevalence: float | None = None) -> tuple[Float, Float]:
        """True-positive rate at false-positive rates, and precision at recalls, of ``grid``.

        grid: ``(points,)`` rising in [0, 1]. Returns two ``(b, points)`` arrays; rows are nan where a
        class is absent. The ROC curve is linear between its vertices and takes the upper value at
        jumps. Precision at a recall is that of the highest threshold reaching it, so the area
        under it is the average precision.
        """
        positives, negatives, ratio = self._totals(weights, prevalence)
        columns = np.ascontiguousarray(weights.T, dtype=np.float64)
        roc, pr = _trace(self.bounds, self.group, self.count, columns, ratio, positives, negatives, grid)
        absent = positives * negatives == 0
        roc[absent], pr[absent] = np.nan, np.nan
        return roc, pr
