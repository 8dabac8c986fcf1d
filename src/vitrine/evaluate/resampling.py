"""Drawing groups with replacement: what every interval here is made of.

Rows of one group (the atoms of a specimen) are not independent, so groups are drawn, never rows
(cluster bootstrap, Davison & Hinkley 1997, doi:10.1017/CBO9780511802843, section 3.8). A resample is a
vector of weights, how often each group was drawn, and a statistic maps weights to numbers. That
way nothing is copied, and all that depends on the rows is prepared once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

FEWEST_GROUPS = 5
"""With fewer groups there is no interval: too few ways to draw them."""
BATCH = 32
"""Resamples handled together: their weights for 100 groups fill a core's first-level cache."""


def group_codes(groups: Sequence[Any] | NDArray[Any]) -> tuple[Int, int]:
    """Number the groups in sorted order.

    groups: ``(n,)`` labels, texts or whole numbers (faster); returns ``(n,)`` codes and how many
    groups there are.

    >>> group_codes(["b", "a", "b"])
    (array([1, 0, 1]), 2)
    """
    array = groups if isinstance(groups, np.ndarray) else None
    if array is not None and array.dtype.kind in "iu":
        labels, codes = np.unique(array, return_inverse=True)
        return codes.astype(np.int64), len(labels)
    names = groups if array is None else array.tolist()
    number = {name: code for code, name in enumerate(sorted(set(names)))}
    return np.fromiter((number[name] for name in names), dtype=np.int64, count=len(names)), len(number)


def resample_weights(n_groups: int, resamples: int, seed: int) -> Iterator[Float]:
    """How often each group is drawn, in batches of shape ``(up to 32, n_groups)``.

    Resample r is the r-th ``rng.integers(n_groups, size=n_groups)`` of ``default_rng(seed)``.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, BATCH):
        batch = range(start, min(start + BATCH, resamples))
        drawn = [rng.integers(n_groups, size=n_groups) for _ in batch]
        yield np.array([np.bincount(one, minlength=n_groups) for one in drawn], dtype=np.float64)


def weighted_sums(weights: Float, sums: Float) -> Float:
    """Sums over the drawn groups: ``(b, n_groups)`` weights and ``(n_groups, ...)`` sums -> ``(b, ...)``.

    Not a matrix product: BLAS spreads it over threads that wait for each other, and its rounding
    depends on their number.
    """
    values: Float = np.einsum("bg,g...->b...", weights, sums)
    return values


def resample(statistic: Callable[[Float], Float], n_groups: int, resamples: int, seed: int) -> Float | None:
    """Apply a statistic to every resample; None with fewer than five groups.

    statistic: ``(b, n_groups)`` weights -> ``(b, k)`` values. Returns ``(resamples, k)``.
    """
    if n_groups < FEWEST_GROUPS or resamples < 1:
        return None
    return np.concatenate([statistic(weights) for weights in resample_weights(n_groups, resamples, seed)])


def percentile_interval(values: Float, level: float = 0.95) -> tuple[Float, Float]:
    """Percentile interval of each column of ``(resamples, k)``: two ``(k,)`` arrays.

    Resamples in which a statistic is undefined (nan) are left out; where they are more than half,
    the interval is nan.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must lie between 0 and 1, not {level!r}")
    tails = [round(50 * (1 - level), 9), round(50 * (1 + level), 9)]  # 2.5, not 2.5000000000000022
    bounds = np.full((2, values.shape[1]), np.nan)
    for column, drawn in enumerate(values.T):
        defined = drawn[~np.isnan(drawn)]
        if 2 * len(defined) >= len(drawn) > 0:
            bounds[:, column] = np.percentile(defined, tails)
    return bounds[0], bounds[1]
