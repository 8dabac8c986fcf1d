"""Metrics of one set of rows: classification from scores, regression from values.

Equal to scikit-learn's, with sample weights. Where a metric is undefined:

- precision, f1 and mcc are 0 when their denominator is 0 (scikit-learn's ``zero_division=0``);
- recall, roc_auc, average_precision and lift are nan when the class that they speak of is absent
  (scikit-learn says 0 and warns, which would count as a failure what cannot be asked);
- r2 is nan when the truth is constant (scikit-learn says 0 or 1).

A row is called positive when ``score >= threshold``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitrine.errors import DataError, StudyError, did_you_mean

Float = NDArray[np.float64]

CLASSIFICATION = ("recall", "precision", "f1", "mcc", "roc_auc", "average_precision", "lift")
"""What a table of a classification study shows; ``accuracy`` is known too."""
REGRESSION = ("mae", "rmse", "r2", "bias")
"""What a table of a regression study shows; ``relative_mae`` is known too."""
SEVERAL_CLASSES = ("accuracy", "balanced_accuracy", "macro_f1")
"""Metrics of several classes, see :mod:`vitrine.evaluate.classes`."""

ROUNDING = 32 * np.finfo(np.float64).eps
"""Truth whose spread is below this part of its largest magnitude is constant (means round)."""


class Confusion(NamedTuple):
    """Weights of the four outcomes, scalars or arrays of one shape (one entry per resample)."""

    tp: Float
    fp: Float
    fn: Float
    tn: Float


def row_arrays(
    truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Float, Float, Float]:
    """Truth, score and weights as ``(n,) float64``; weights are 1 when None.

    Raises
    ------
    ValueError: the lengths differ.
    DataError: no rows, a value that is not finite, or weights that are negative or all zero.
    """
    columns = {"truth": np.asarray(truth, dtype=np.float64), "score": np.asarray(score, dtype=np.float64)}
    n = len(columns["truth"])
    columns["weights"] = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    for name, column in columns.items():
        if column.shape != (n,):
            raise ValueError(f"{name} must have shape ({n},) like truth, not {column.shape}")
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise DataError(f"{name} is not finite in {len(bad)} of {n} rows, first in row {bad[0]}")
    if n == 0:
        raise DataError("there are no rows to evaluate")
    if columns["weights"].min() < 0 or columns["weights"].max() == 0:
        raise DataError("weights must be 0 or larger, and not all 0")
    return columns["truth"], columns["score"], columns["weights"]


def binary_arrays(
    truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Float, Float, Float]:
    """As :func:`row_arrays`, for a truth of zeros and ones (or booleans).

    Raises
    ------
    DataError: also when the truth holds anything but 0 and 1.
    """
    arrays = row_arrays(truth, score, weights)
    bad = np.flatnonzero((arrays[0] != 0) & (arrays[0] != 1))
    if len(bad):
        raise DataError(f"truth must be 0 or 1 in every row, but row {bad[0]} holds {arrays[0][bad[0]]:g}")
    return arrays


def _total(weights: Float, values: Float) -> float:
    """Weighted sum; unlike a product by BLAS it rounds alike for any number of threads."""
    return float((weights * values).sum())


def _ratio(over: Float, under: Float, undefined: float) -> Float:
    under = np.asarray(under)
    filled: Float = np.full(under.shape, undefined)
    return np.divide(over, under, out=filled, where=under != 0)


def _mcc(c: Confusion) -> Float:
    called, held = (c.tp + c.fp) * (c.tp + c.fn), (c.tn + c.fp) * (c.tn + c.fn)
    return _ratio(c.tp * c.tn - c.fp * c.fn, np.sqrt(called) * np.sqrt(held), 0.0)


FROM_CONFUSION: Mapping[str, Callable[[Confusion], Float]] = {
    "recall": lambda c: _ratio(c.tp, c.tp + c.fn, np.nan),
    "precision": lambda c: _ratio(c.tp, c.tp + c.fp, 0.0),
    "f1": lambda c: _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn, 0.0),
    "mcc": _mcc,
    "accuracy": lambda c: _ratio(c.tp + c.tn, c.tp + c.fp + c.fn + c.tn, np.nan),
}
"""Metrics that the confusion matrix determines."""


def confusion(
    truth: ArrayLike, score: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None
) -> Confusion:
    """The confusion matrix at a threshold, as weights (counts without ``weights``)."""
    y, s, w = binary_arrays(truth, score, weights)
    positive, called = y == 1, s >= threshold
    outcomes = (positive & called, ~positive & called, positive & ~called, ~positive & ~called)
    return Confusion(*(w[outcome].sum() for outcome in outcomes))


def recall(
    truth: ArrayLike, score: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None
) -> float:
    """Fraction of the positives that are called: TP / (TP + FN).

    >>> recall([1, 1, 0, 0], [0.9, 0.2, 0.6, 0.1])
    0.5
    """
    return float(FROM_CONFUSION["recall"](confusion(truth, score, threshold, weights)))


def precision(
    truth: ArrayLike, score: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None
) -> float:
    """Fraction of the called that are positive: TP / (TP + FP); 0 when nothing is called."""
    return float(FROM_CONFUSION["precision"](confusion(truth, score, threshold, weights)))


def f1(truth: ArrayLike, score: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None) -> float:
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
    return float(FROM_CONFUSION["f1"](confusion(truth, score, threshold, weights)))


def mcc(
    truth: ArrayLike, score: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None
) -> float:
    """Matthews correlation coefficient: the Pearson correlation of called and true.

    (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)); 0 when a factor is 0.
    doi:10.1016/0005-2795(75)90109-9
    """
    return float(FROM_CONFUSION["mcc"](confusion(truth, score, threshold, weights)))


def accuracy(
    truth: ArrayLike, score: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None
) -> float:
    """Fraction of rows that are called rightly. Says little when one class is rare."""
    return float(FROM_CONFUSION["accuracy"](confusion(truth, score, threshold, weights)))


def cumulative_counts(truth: Float, score: Float, weights: Float) -> tuple[Float, Float, Float]:
    """Distinct scores, falling, with the weight of positives and negatives at or above each.

    Returns three ``(n_distinct,)`` arrays: score, tp, fp. Equal scores are one step, so nothing
    depends on the order of the rows.
    """
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    tp = np.cumsum((weights * truth)[order])[last]
    fp = np.cumsum((weights * (1 - truth))[order])[last]
    return falling[last], tp, fp


def roc_auc(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Probability that a positive scores above a negative, ties counting half.

    The area under the ROC curve by the trapezoidal rule. nan when a class is absent.
    doi:10.1016/j.patrec.2005.10.010

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    _, tp, fp = cumulative_counts(*binary_arrays(truth, score, weights))
    pairs = tp[-1] * fp[-1]
    area = _total(np.diff(fp, prepend=0.0), (tp + np.append(0.0, tp[:-1])) / 2)
    return float(area / pairs) if pairs > 0 else float("nan")


def average_precision(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Sum over falling thresholds of the gain in recall times the precision there.

    A step sum, without the optimistic interpolation of the trapezoidal rule. Its chance level
    is the prevalence. nan without positives.
    """
    _, tp, fp = cumulative_counts(*binary_arrays(truth, score, weights))
    if tp[-1] == 0:
        return float("nan")
    return float(_total(np.diff(tp, prepend=0.0), _ratio(tp, tp + fp, 0.0)) / tp[-1])


def lift(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Average precision over the prevalence, its chance level: how many times better than chance."""
    y, s, w = binary_arrays(truth, score, weights)
    prevalence = _total(w, y) / float(w.sum())
    return average_precision(y, s, w) / prevalence if prevalence > 0 else float("nan")


def mae(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean absolute error, in the unit of the truth."""
    y, s, w = row_arrays(truth, score, weights)
    return _total(w, np.abs(s - y)) / float(w.sum())


def rmse(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Root of the mean squared error, in the unit of the truth."""
    y, s, w = row_arrays(truth, score, weights)
    return float(np.sqrt(_total(w, (s - y) ** 2) / w.sum()))


def bias(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of score - truth, in the unit of the truth: positive when predictions are too high."""
    y, s, w = row_arrays(truth, score, weights)
    return _total(w, s - y) / float(w.sum())


def r2(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Coefficient of determination, 1 - sum of squared errors / sum of squares about the mean.

    Not the squared correlation: it is negative when the mean of the truth predicts better.
    """
    y, s, w = row_arrays(truth, score, weights)
    total = _total(w, (y - _total(w, y) / w.sum()) ** 2)
    if total <= w.sum() * (ROUNDING * np.abs(y).max()) ** 2:
        return float("nan")
    return 1 - _total(w, (s - y) ** 2) / total


def relative_mae(
    truth: ArrayLike,
    score: ArrayLike,
    weights: ArrayLike | None = None,
    reference: ArrayLike | None = None,
) -> float:
    """MAE over the MAE of predicting the mean of ``reference`` for every row.

    reference: values whose mean is the trivial prediction, usually the training targets; the
    truth itself, with its weights, when None. nan when that prediction has no error.

    >>> relative_mae([1.0, 3.0], [1.5, 2.5])
    0.5
    """
    y, s, w = row_arrays(truth, score, weights)
    constant = _total(w, y) / w.sum() if reference is None else float(np.asarray(reference).mean())
    trivial = _total(w, np.abs(y - constant))
    return _total(w, np.abs(s - y)) / trivial if trivial > 0 else float("nan")


FUNCTIONS: Mapping[str, Callable[..., float]] = {
    function.__name__: function
    for function in (
        *(recall, precision, f1, mcc, accuracy, roc_auc, average_precision, lift),
        *(mae, rmse, r2, bias, relative_mae),
    )
}
"""Every metric by name."""


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple, each once.

    Raises
    ------
    StudyError: an unknown metric, with what was probably meant.
    """
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name not in FUNCTIONS:
            raise StudyError(f"there is no metric {name!r}{did_you_mean(name, FUNCTIONS)}")
    return names


def compute(
    name: str,
    truth: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float = 0.5,
    weights: ArrayLike | None = None,
    reference: ArrayLike | None = None,
) -> float:
    """A metric by name; ``threshold`` and ``reference`` go to the metrics that use them.

    Raises
    ------
    StudyError: there is no such metric.
    """
    (name,) = check_names([name])
    extra: dict[str, object] = {"threshold": threshold} if name in FROM_CONFUSION else {}
    if name == "relative_mae":
        extra["reference"] = reference
    return FUNCTIONS[name](truth, score, weights=weights, **extra)


def prevalence_weights(truth: ArrayLike, prevalence: float) -> Float:
    """Weights that make the positive fraction equal to ``prevalence``, ``(n,)`` with sum n.

    Each class keeps its distribution of scores, so recall and ROC-AUC stay what they are, and
    precision, F1, MCC and average precision become those of a sample with that prevalence.

    Raises
    ------
    DataError: a class is absent, so that no weights can do it.
    """
    check_prevalence(prevalence)
    y, _, _ = binary_arrays(truth, truth)
    positives, n = y.sum(), len(y)
    if positives in (0, n):
        raise DataError(f"rows of both classes are needed to re-weight to a prevalence of {prevalence:g}")
    weights: Float = np.where(y == 1, prevalence * n / positives, (1 - prevalence) * n / (n - positives))
    return weights


def check_prevalence(prevalence: float) -> None:
    """Raise ``ValueError`` unless the prevalence is a fraction between 0 and 1."""
    if not 0 < prevalence < 1:
        raise ValueError(f"the prevalence must lie between 0 and 1, not {prevalence!r}")


def best_threshold(
    truth: ArrayLike, score: ArrayLike, metric: str = "f1", weights: ArrayLike | None = None
) -> float:
    """The score at which calling ``score >= threshold`` makes a metric largest.

    For validation rows: a threshold chosen on the rows that it is judged by flatters. Of equal
    maxima the highest threshold is taken.

    Raises
    ------
    StudyError: the metric does not depend on a threshold.
    DataError: the rows hold no positives.
    """
    if metric not in FROM_CONFUSION:
        raise StudyError(f"no threshold can be chosen for {metric!r}{did_you_mean(metric, FROM_CONFUSION)}")
    scores, tp, fp = cumulative_counts(*binary_arrays(truth, score, weights))
    values = FROM_CONFUSION[metric](Confusion(tp, fp, tp[-1] - tp, fp[-1] - fp))
    if np.isnan(values).all():
        raise DataError(f"{metric} is undefined in these rows: they hold no positives")
    return float(scores[np.nanargmax(values)])
