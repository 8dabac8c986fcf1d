"""Metrics with percentile-bootstrap intervals over groups, and paired differences.

Each group is summarised once: counts at the threshold, sorted scores, sums of errors. A resample
costs arithmetic on these summaries only, and is exactly the metric of the drawn groups' rows put
one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitrine.evaluate.metrics import (
    FROM_CONFUSION,
    ROUNDING,
    Confusion,
    binary_arrays,
    check_names,
    check_prevalence,
    row_arrays,
)
from vitrine.evaluate.ranking import Ranking
from vitrine.evaluate.resampling import Float, Int, group_codes, percentile_interval, resample, weighted_sums

_RANKED = ("roc_auc", "average_precision", "lift")
_FROM_ERRORS = ("mae", "rmse", "bias", "r2", "relative_mae")

Groups = Sequence[Any] | NDArray[Any]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    value: of all rows (nan where undefined). low, high: bounds of the interval; None with fewer
    than five groups, or when more than half of the resamples are undefined. groups, n: how many
    groups and rows it rests on.
    """

    value: float
    low: float | None
    high: float | None
    groups: int
    n: int


@dataclass(frozen=True)
class _ErrorSums:
    """Sums per group from which every regression metric follows, ``(n_groups,)`` each."""

    rows: Float
    error: Float
    absolute: Float
    square: Float
    trivial: Float
    mean: Float
    scatter: Float
    magnitude: float

    @classmethod
    def of(
        cls, truth: Float, score: Float, codes: Int, n_groups: int, reference: ArrayLike | None
    ) -> _ErrorSums:
        def total(values: Float) -> Float:
            return np.bincount(codes, weights=values, minlength=n_groups).astype(np.float64)

        rows = total(np.ones(len(truth)))
        mean = total(truth) / rows
        constant = np.mean(truth if reference is None else np.asarray(reference, dtype=np.float64))
        return cls(
            rows=rows,
            error=total(score - truth),
            absolute=total(np.abs(score - truth)),
            square=total((score - truth) ** 2),
            trivial=total(np.abs(truth - constant)),
            mean=mean,
            scatter=total((truth - mean[codes]) ** 2),
            magnitude=float(np.abs(truth).max()),
        )

    def metrics(self, weights: Float) -> dict[str, Float]:
        n = weighted_sums(weights, self.rows)
        drawn = weights * self.rows
        mean = weighted_sums(drawn, self.mean) / n
        # within and between groups apart: no difference of large sums
        between = (drawn * (self.mean - mean[:, None]) ** 2).sum(axis=1)
        total = weighted_sums(weights, self.scatter) + between
        constant = total <= n * (ROUNDING * self.magnitude) ** 2
        trivial = weighted_sums(weights, self.trivial)
        absolute, square = weighted_sums(weights, self.absolute), weighted_sums(weights, self.square)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "mae": absolute / n,
                "rmse": np.sqrt(square / n),
                "bias": weighted_sums(weights, self.error) / n,
                "r2": np.where(constant, np.nan, 1 - square / total),
                "relative_mae": np.where(trivial > 0, absolute / trivial, np.nan),
            }


@dataclass(frozen=True)
class _Summary:
    """What the named metrics need of one score column, per group."""

    names: tuple[str, ...]
    prevalence: float | None
    counts: Float | None = None
    """``(n_groups, 4)``: true positives, false positives, false and true negatives."""
    ranking: Ranking | None = None
    errors: _ErrorSums | None = None

    def __call__(self, weights: Float) -> Float:
        """Metrics ``(b, n_names)`` for weights ``(b, n_groups)``."""
        values: dict[str, Float] = {}
        if self.errors is not None:
            values |= self.errors.metrics(weights)
        if self.counts is not None:
            confusion = _reweighted(weighted_sums(weights, self.counts), self.prevalence)
            undefined = np.isnan(confusion.tp)
            for name in set(self.names) & set(FROM_CONFUSION):
                values[name] = np.where(undefined, np.nan, FROM_CONFUSION[name](confusion))
        if self.ranking is not None:
            auc, average = self.ranking.areas(weights, self.prevalence)
            positives = weighted_sums(weights, self.ranking.positives)
            negatives = weighted_sums(weights, self.ranking.negatives)
            chance = self.prevalence or positives / (positives + negatives)
            with np.errstate(invalid="ignore"):
                values |= {"roc_auc": auc, "average_precision": average, "lift": average / chance}
        return np.stack([values[name] for name in self.names], axis=1)


def _reweighted(counts: Float, prevalence: float | None) -> Confusion:
    """Confusion of each resample; nan where its classes cannot be re-weighted."""
    tp, fp, fn, tn = counts.T
    if prevalence is None:
        return Confusion(tp, fp, fn, tn)
    with np.errstate(invalid="ignore", divide="ignore"):
        positive, negative = prevalence / (tp + fn), (1 - prevalence) / (fp + tn)
    lost = ~np.isfinite(positive) | ~np.isfinite(negative)
    positive, negative = np.where(lost, np.nan, positive), np.where(lost, np.nan, negative)
    return Confusion(positive * tp, negative * fp, positive * fn, negative * tn)


def _summarise(
    names: tuple[str, ...],
    truth: Float,
    score: Float,
    codes: Int,
    n_groups: int,
    *,
    threshold: float,
    prevalence: float | None,
    reference: ArrayLike | None,
) -> _Summary:
    counts = ranking = errors = None
    if set(names) & set(FROM_CONFUSION):
        outcome = np.where(score >= threshold, 1 - truth, 3 - truth).astype(np.int64)
        counts = np.bincount(codes * 4 + outcome, minlength=4 * n_groups).reshape(-1, 4).astype(np.float64)
        # outcomes 0..3 are tp, fp, fn, tn
    if set(names) & set(_RANKED):
        ranking = Ranking.of(truth, score, codes, n_groups)
    if set(names) & set(_FROM_ERRORS):
        errors = _ErrorSums.of(truth, score, codes, n_groups, reference)
    return _Summary(names, prevalence, counts, ranking, errors)


def _mean_over_seeds(
    metrics: Iterable[str],
    truth: ArrayLike,
    score: ArrayLike,
    codes: Int,
    n_groups: int,
    **settings: Any,
) -> Callable[[Float], Float]:
    """The metrics as a function of the weights; the mean over rows of a two-dimensional score."""
    names = check_names(metrics)
    classes = not set(names) <= set(_FROM_ERRORS)
    if settings["prevalence"] is not None:
        check_prevalence(settings["prevalence"])
        if not classes:
            raise ValueError("a prevalence needs metrics of classes, not of values")
    check = binary_arrays if classes else row_arrays
    summaries = []
    for column in np.atleast_2d(np.asarray(score)):
        y, s, _ = check(truth, column)
        if len(y) != len(codes):
            raise ValueError(f"groups must have one entry per row: {len(codes)} entries, {len(y)} rows")
        summaries.append(_summarise(names, y, s, codes, n_groups, **settings))

    def mean(weights: Float) -> Float:
        values: Float = np.mean([summary(weights) for summary in summaries], axis=0)
        return values

    return mean


def estimates(
    statistic: Callable[[Float], Float],
    groups: int,
    n: int,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[Estimate]:
    """Value and interval of each column of a statistic.

    statistic: ``(b, groups)`` weights of the groups -> ``(b, k)``; groups, n: their number and that
    of the rows.
    """
    values = statistic(np.ones((1, groups)))[0]
    drawn = resample(statistic, groups, resamples, seed)
    if drawn is None:
        return [Estimate(float(value), None, None, groups, n) for value in values]
    low, high = percentile_interval(drawn, level)
    return [
        Estimate(float(v), None if np.isnan(a) else float(a), None if np.isnan(b) else float(b), groups, n)
        for v, a, b in zip(values, low, high, strict=True)
    ]


def bootstrap(
    metrics: Iterable[str],
    truth: ArrayLike,
    score: ArrayLike,
    groups: Groups,
    *,
    threshold: float = 0.5,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    prevalence: float | None = None,
    reference: ArrayLike | None = None,
) -> dict[str, Estimate]:
    """Metrics of all rows with percentile intervals over groups.

    Parameters
    ----------
    metrics: names from :data:`vitrine.evaluate.metrics.FUNCTIONS`.
    truth: ``(n,)``; 0 or 1 when a metric of classes is among them.
    score: ``(n,)``, or ``(n_seeds, n)`` for the mean of each metric over seeds.
    groups: ``(n,)`` labels, texts or (faster) whole numbers: what is drawn with replacement.
    threshold: rows with ``score >= threshold`` are called positive.
    resamples, seed, level: of the bootstrap.
    prevalence: re-weight both classes so that the positive fraction is this one, in all rows and
        again in every resample: a published prevalence is a given number without an error, so the
        interval is that of a metric quoted at it, and does not widen because resamples differ in
        their number of positives. A resample without one of the classes is left out.
    reference: for ``relative_mae``; its mean (of all of ``truth`` by default) is the trivial
        prediction in every resample.

    Raises
    ------
    StudyError: an unknown metric.
    DataError: values that are not finite, or a truth that is not 0 or 1.

    A classification metric equals scikit-learn's on the drawn rows put one after the other.
    """
    names = check_names(metrics)
    codes, n_groups = group_codes(groups)
    statistic = _mean_over_seeds(
        *(names, truth, score, codes, n_groups),
        threshold=threshold,
        prevalence=prevalence,
        reference=reference,
    )
    found = estimates(statistic, n_groups, len(codes), resamples=resamples, seed=seed, level=level)
    return dict(zip(names, found, strict=True))


def mean_over_groups(
    values: ArrayLike,
    groups: Groups,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Mean of a number per row with a percentile interval over groups.

    values: ``(n,)``, such as a metric of each sample. groups: ``(n,)`` labels.

    Raises
    ------
    DataError: a value that is not finite.
    """
    found, _, _ = row_arrays(values, values)
    codes, n_groups = group_codes(groups)
    total = np.bincount(codes, weights=found, minlength=n_groups).astype(np.float64)
    rows = np.bincount(codes, minlength=n_groups).astype(np.float64)

    def mean(weights: Float) -> Float:
        return (weighted_sums(weights, total) / weighted_sums(weights, rows))[:, None]

    (estimate,) = estimates(mean, n_groups, len(found), resamples=resamples, seed=seed, level=level)
    return estimate


def paired_difference(
    metric: str,
    truth: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    groups: Groups,
    *,
    truth_b: ArrayLike | None = None,
    threshold: float = 0.5,
    threshold_b: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    prevalence: float | None = None,
    reference: ArrayLike | None = None,
) -> Estimate:
    """Metric of a minus metric of b, both on the same resamples of the groups.

    What the two share (hard and easy specimens) cancels, so the interval is narrower than the two
    apart suggest. "a is better" means that it lies on one side of 0.

    truth_b: other labels of the same rows for b (another D2min threshold); ``truth`` when None.
    threshold_b: threshold of b; ``threshold`` when None. The rest as in :func:`bootstrap`.
    """
    codes, n_groups = group_codes(groups)
    shared: dict[str, Any] = {"prevalence": prevalence, "reference": reference}
    a = _mean_over_seeds([metric], truth, score_a, codes, n_groups, threshold=threshold, **shared)
    b = _mean_over_seeds(
        *([metric], truth if truth_b is None else truth_b, score_b, codes, n_groups),
        threshold=threshold if threshold_b is None else threshold_b,
        **shared,
    )
    (found,) = estimates(
        lambda weights: a(weights) - b(weights),
        *(n_groups, len(codes)),
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return found
