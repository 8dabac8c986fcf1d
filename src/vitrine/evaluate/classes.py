"""Metrics of several classes, from probabilities, with intervals over groups.

A row is called the class with the highest probability, the first of equals. Everything follows from the
confusion matrix of each group, so a resample costs arithmetic on those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitrine.errors import DataError, StudyError, did_you_mean
from vitrine.evaluate.intervals import Estimate, Groups, estimates
from vitrine.evaluate.resampling import Float, Int, group_codes, weighted_sums


def _accuracy(counts: Float) -> Float:
    right: Float = np.trace(counts, axis1=1, axis2=2) / counts.sum(axis=(1, 2))
    return right


def _macro_f1(counts: Float) -> Float:
    right = np.diagonal(counts, axis1=1, axis2=2)
    true, called = counts.sum(axis=2), counts.sum(axis=1)
    # a class that neither occurs nor is called says nothing; scikit-learn leaves it out too
    known = true + called > 0
    with np.errstate(invalid="ignore"):
        each = np.where(known, 2 * right / np.where(known, true + called, 1), np.nan)
    return np.asarray(np.nanmean(each, axis=1), np.float64)


def _balanced(counts: Float) -> Float:
    true = counts.sum(axis=2)
    with np.errstate(invalid="ignore"):
        each = np.where(true > 0, np.diagonal(counts, axis1=1, axis2=2) / np.where(true > 0, true, 1), np.nan)
    return np.asarray(np.nanmean(each, axis=1), np.float64)


FROM_COUNTS: Mapping[str, Callable[[Float], Float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "macro_f1": _macro_f1,
}
"""Metrics of ``(b, classes, classes)`` counts, true class first: the share of rows that are called rightly;
the mean of that share over classes; the mean over classes of F1."""


def class_arrays(truth: ArrayLike, probability: ArrayLike) -> tuple[Int, Float]:
    """Class numbers ``(n,)`` and probabilities ``(n, classes)``.

    Raises
    ------
    DataError: no rows, values that are not finite, or classes beyond the columns.
    """
    y, p = np.asarray(truth), np.asarray(probability, dtype=np.float64)
    if p.ndim != 2 or len(p) != len(y):
        raise ValueError(f"probabilities must be ({len(y)}, classes), not {p.shape}")
    if not len(y):
        raise DataError("there are no rows to evaluate")
    if not np.isfinite(p).all():
        raise DataError("a probability is not finite")
    if (y != np.round(y)).any() or y.min() < 0 or y.max() >= p.shape[1]:
        raise DataError(f"classes must be whole numbers from 0 to {p.shape[1] - 1}")
    return y.astype(np.int64), p


def confusion_matrix(truth: ArrayLike, probability: ArrayLike) -> Int:
    """``(classes, classes)`` int64: rows of each true class (first) that are called each class."""
    y, p = class_arrays(truth, probability)
    classes = p.shape[1]
    found: Int = np.bincount(y * classes + p.argmax(axis=1), minlength=classes**2).astype(np.int64)
    return found.reshape(classes, classes)


def _statistic(
    metrics: Iterable[str], truth: ArrayLike, probability: ArrayLike, codes: Int, n_groups: int
) -> Callable[[Float], Float]:
    """The metrics as a function of the weights of groups; the mean over seeds."""
    names = tuple(metrics)
    for name in names:
        if name not in FROM_COUNTS:
            raise StudyError(f"no metric {name!r} of several classes{did_you_mean(name, FROM_COUNTS)}")
    several = np.asarray(probability, dtype=np.float64)
    counts = []
    for one in several if several.ndim == 3 else several[None]:
        y, p = class_arrays(truth, one)
        if len(y) != len(codes):
            raise ValueError(f"groups must have one entry per row: {len(codes)} entries, {len(y)} rows")
        classes = p.shape[1]
        place = (codes * classes + y) * classes + p.argmax(axis=1)
        table = np.bincount(place, minlength=n_groups * classes**2)
        counts.append(table.reshape(n_groups, classes**2).astype(np.float64))

    def mean(weights: Float) -> Float:
        found = []
        for table in counts:
            drawn = weighted_sums(weights, table)
            edge = round(drawn.shape[1] ** 0.5)
            matrices = drawn.reshape(-1, edge, edge)
            found.append(np.stack([FROM_COUNTS[name](matrices) for name in names], axis=1))
        values: Float = np.mean(found, axis=0)
        return values

    return mean


def bootstrap_classes(
    metrics: Iterable[str],
    truth: ArrayLike,
    probability: ArrayLike,
    groups: Groups,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Metrics of all rows with percentile intervals over groups.

    Parameters
    ----------
    metrics: names from :data:`FROM_COUNTS`.
    truth: ``(n,)`` numbers of classes from 0 on.
    probability: ``(n, classes)``, or ``(n_seeds, n, classes)`` for the mean of each metric over seeds.
    groups: ``(n,)`` labels: what is drawn with replacement. resamples, seed, level: of the bootstrap.

    Raises
    ------
    StudyError: an unknown metric. DataError: see :func:`class_arrays`.
    """
    names = tuple(metrics)
    codes, n_groups = group_codes(groups)
    statistic = _statistic(names, truth, probability, codes, n_groups)
    found = estimates(statistic, n_groups, len(codes), resamples=resamples, seed=seed, level=level)
    return dict(zip(names, found, strict=True))


def paired_difference_of_classes(
    metric: str,
    truth: ArrayLike,
    a: NDArray[Any],
    b: NDArray[Any],
    groups: Groups,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Metric of a minus metric of b on the same resamples of the groups; as :func:`bootstrap_classes`."""
    codes, n_groups = group_codes(groups)
    first = _statistic([metric], truth, a, codes, n_groups)
    second = _statistic([metric], truth, b, codes, n_groups)
    (found,) = estimates(
        lambda weights: first(weights) - second(weights),
        *(n_groups, len(codes)),
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return found
