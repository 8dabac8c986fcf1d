"""Numbers behind claims about a part of the rows, with intervals over groups.

Made for the claims of Lee & Ryu 2022 (doi:10.3389/fmats.2022.874339): that confidence rises with
D2min and towards the centre of a cluster, that a share of the atoms with small D2min is called.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitrine.errors import DataError
from vitrine.evaluate.intervals import Estimate, Groups, estimates, mean_over_groups
from vitrine.evaluate.metrics import row_arrays
from vitrine.evaluate.resampling import Float, Int, group_codes, weighted_sums


def _masked(
    first: ArrayLike, second: ArrayLike, mask: ArrayLike | None, groups: Groups
) -> tuple[Float, Float, Int, int]:
    """Both columns, the codes and the number of the groups, of the masked rows."""
    a, b, _ = row_arrays(first, second)
    labels: NDArray[np.generic] = np.asarray(groups)
    keep = np.ones(len(a), dtype=bool) if mask is None else np.asarray(mask).astype(bool)
    for name, column in (("mask", keep), ("groups", labels)):
        if column.shape != a.shape:
            raise ValueError(f"{name} must have one entry per row: {column.shape}, not {a.shape}")
    if not keep.any():
        raise DataError("the mask leaves no rows")
    codes, n_groups = group_codes(labels[keep])
    return a[keep], b[keep], codes, n_groups


def _correlation(x: Float, y: Float, w: Float) -> float:
    total = w.sum()
    x, y = x - (w * x).sum() / total, y - (w * y).sum() / total
    wx, wy = w * x, w * y
    spread = np.sqrt((wx * x).sum()) * np.sqrt((wy * y).sum())
    return float((wx * y).sum() / spread) if spread > 0 else float("nan")


def spearman_within(
    score: ArrayLike,
    severity: ArrayLike,
    mask: ArrayLike | None,
    groups: Groups,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Spearman's rank correlation of two columns over the masked rows, all groups together.

    Ties share their mean rank; ranks are made anew in every resample. nan when a column is
    constant there.

    score, severity: ``(n,)``, such as confidence and D2min, or confidence and the distance from a
    cluster's centre. mask: ``(n,)`` booleans (the true positives, say), None for all rows. groups:
    ``(n,)`` labels. Groups and rows are counted, and groups drawn, within the mask.
    """
    a, b, codes, n_groups = _masked(score, severity, mask, groups)
    places = [np.unique(column, return_inverse=True)[1] for column in (a, b)]

    def correlation(weights: Float) -> Float:
        values = []
        for drawn in weights:
            w = drawn[codes]
            held = [np.bincount(place, weights=w).astype(np.float64) for place in places]
            # mean rank of a tie, but for a constant; counted in halves it is a whole number
            x, y = ((2 * np.cumsum(h) - h)[place] for h, place in zip(held, places, strict=True))
            values.append(_correlation(x, y, w))
        return np.array(values)[:, None]

    (found,) = estimates(correlation, n_groups, len(a), resamples=resamples, seed=seed, level=level)
    return found


def called_fraction(
    called: ArrayLike,
    mask: ArrayLike | None,
    groups: Groups,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Mean of ``called`` over the masked rows: which share of them is called positive.

    called: ``(n,)`` booleans, or probabilities for their mean. mask: ``(n,)`` booleans (rows of small
    D2min, say), None for all rows. groups: ``(n,)`` labels, counted and drawn within the mask.
    """
    share, _, codes, _ = _masked(called, called, mask, groups)
    return mean_over_groups(share, codes, resamples=resamples, seed=seed, level=level)


def fraction_difference(
    flag: ArrayLike,
    one: ArrayLike,
    other: ArrayLike,
    groups: Groups,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Share of flagged rows among ``one`` minus that among ``other``, on the same resamples of the groups.

    flag, one, other: ``(n,)`` booleans; groups: ``(n,)`` labels. Groups and rows are those of both masks.
    """
    a, b = np.asarray(one).astype(bool), np.asarray(other).astype(bool)
    marked, inside, codes, n_groups = _masked(flag, a, a | b, groups)
    first = inside > 0.5

    def share(chosen: NDArray[np.bool_]) -> tuple[Float, Float]:
        total = np.bincount(codes[chosen], weights=marked[chosen], minlength=n_groups).astype(np.float64)
        return total, np.bincount(codes[chosen], minlength=n_groups).astype(np.float64)

    parts = [share(first), share(~first)]

    def difference(weights: Float) -> Float:
        with np.errstate(invalid="ignore", divide="ignore"):
            one_share, other_share = (
                weighted_sums(weights, total) / weighted_sums(weights, rows) for total, rows in parts
            )
        return (one_share - other_share)[:, None]

    (found,) = estimates(difference, n_groups, len(marked), resamples=resamples, seed=seed, level=level)
    return found
