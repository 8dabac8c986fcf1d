"""Metrics against scikit-learn, against published and analytic values, and as properties."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from sklearn import metrics as sk

from vitrine.errors import DataError, StudyError
from vitrine.evaluate import metrics

EXACT = 1e-12
"""Sums of a few thousand float64 in another order."""


def _rows(seed: int, n: int = 700, ties: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.2).astype(int)
    score = np.clip(rng.normal(0.4 + 0.2 * truth, 0.25), 0, 1)
    weights = rng.exponential(size=n)
    weights[rng.random(n) < 0.1] = 0
    return truth, np.round(score, 2) if ties else score, weights


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_classification_equals_scikit_learn(seed: int, weighted: bool, ties: bool) -> None:
    truth, score, weights = _rows(seed, ties=ties)
    w = weights if weighted else None
    called = score >= 0.5
    expected = {
        "recall": sk.recall_score(truth, called, sample_weight=w),
        "precision": sk.precision_score(truth, called, sample_weight=w),
        "f1": sk.f1_score(truth, called, sample_weight=w),
        "mcc": sk.matthews_corrcoef(truth, called, sample_weight=w),
        "accuracy": sk.accuracy_score(truth, called, sample_weight=w),
        "roc_auc": sk.roc_auc_score(truth, score, sample_weight=w),
        "average_precision": sk.average_precision_score(truth, score, sample_weight=w),
    }
    expected["lift"] = expected["average_precision"] / np.average(truth, weights=w)
    for name, value in expected.items():
        assert metrics.compute(name, truth, score, weights=w) == pytest.approx(value, rel=EXACT), name


@pytest.mark.parametrize("weighted", [True, False])
def test_regression_equals_scikit_learn(weighted: bool) -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(3, 2, 500)
    score = truth + rng.normal(0.3, 1, 500)
    w = rng.exponential(size=500) if weighted else None
    assert metrics.mae(truth, score, w) == pytest.approx(
        sk.mean_absolute_error(truth, score, sample_weight=w), rel=EXACT
    )
    assert metrics.rmse(truth, score, w) == pytest.approx(
        sk.root_mean_squared_error(truth, score, sample_weight=w), rel=EXACT
    )
    assert metrics.r2(truth, score, w) == pytest.approx(sk.r2_score(truth, score, sample_weight=w), rel=EXACT)
    assert metrics.bias(truth, score, w) == pytest.approx(np.average(score - truth, weights=w), rel=EXACT)


def test_relative_mae_uses_the_mean_of_the_reference() -> None:
    truth, score = np.array([0.0, 1.0, 5.0]), np.array([1.0, 1.0, 4.0])
    assert metrics.relative_mae(truth, score) == pytest.approx((2 / 3) / 2)  # mean 2: errors 2, 1, 3
    assert metrics.relative_mae(truth, score, reference=[0, 2]) == pytest.approx(2 / 5)  # errors 1, 0, 4
    assert metrics.compute("relative_mae", truth, score, reference=[0, 2]) == pytest.approx(2 / 5)


def test_printed_confusion_matrix_of_lee_and_ryu() -> None:
    # Front. Mater. 9:874339: TP 1134, FP 126180, FN 486, TN 772200; by scikit-learn's formulas
    # precision 0.0089 and MCC 0.0681
    truth, score, weights = [1, 0, 1, 0], [0.9, 0.9, 0.1, 0.1], [1134, 126180, 486, 772200]
    assert metrics.confusion(truth, score, weights=weights) == (1134, 126180, 486, 772200)
    assert metrics.precision(truth, score, weights=weights) == pytest.approx(0.0089, abs=5e-5)
    assert metrics.mcc(truth, score, weights=weights) == pytest.approx(0.0681, abs=5e-5)
    assert metrics.recall(truth, score, weights=weights) == pytest.approx(0.7, abs=1e-3)


def test_auc_of_two_shifted_normals() -> None:
    # P(X > Y) of unit normals whose means are 1 apart is Phi(1 / sqrt 2)
    quantiles = ndtri((np.arange(2000) + 0.5) / 2000)
    truth = np.repeat([0, 1], 2000)
    score = np.concatenate([quantiles, quantiles + 1])
    assert metrics.roc_auc(truth, score) == pytest.approx(0.5 * (1 + math.erf(0.5)), abs=1e-5)


def test_threshold_is_inclusive_and_float32_scores_are_not_rounded() -> None:
    assert metrics.recall([1], [0.5]) == 1.0
    assert metrics.recall([1], np.array([0.7], dtype=np.float32), 0.7) == 0.0  # float32(0.7) < 0.7


def test_undefined_values_are_as_documented() -> None:
    none_called, no_positives = ([1, 0], [0.1, 0.1]), ([0, 0], [0.9, 0.1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("precision", "f1", "mcc"):
            assert metrics.compute(name, *none_called) == 0.0
            assert metrics.compute(name, *no_positives) == 0.0
        for name in ("recall", "roc_auc", "average_precision", "lift"):
            assert math.isnan(metrics.compute(name, *no_positives)), name
        assert math.isnan(metrics.roc_auc([1, 1], [0.2, 0.3]))
        assert metrics.average_precision([1, 1], [0.2, 0.3]) == 1.0
        assert math.isnan(metrics.r2([0.1, 0.1, 0.1], [0.0, 0.2, 0.3]))
        assert math.isnan(metrics.relative_mae([2.0, 2.0], [1.0, 2.0]))


def test_wrong_input_names_the_row() -> None:
    with pytest.raises(DataError, match="score is not finite in 1 of 3 rows, first in row 2"):
        metrics.mae([1, 2, 3], [1, 2, np.nan])
    with pytest.raises(DataError, match="row 1 holds 2"):
        metrics.recall([0, 2], [0.1, 0.2])
    with pytest.raises(DataError, match="no rows"):
        metrics.recall([], [])
    with pytest.raises(DataError, match="weights"):
        metrics.recall([0, 1], [0.1, 0.2], weights=[1, -1])
    with pytest.raises(ValueError, match=r"score must have shape \(2,\)"):
        metrics.recall([0, 1], [0.1])
    with pytest.raises(StudyError, match="did you mean 'roc_auc'"):
        metrics.check_names(["recall", "roc_acu"])


def test_registry_holds_every_name_once() -> None:
    assert set(metrics.CLASSIFICATION) | set(metrics.REGRESSION) <= set(metrics.FUNCTIONS)
    assert set(metrics.FUNCTIONS) == {
        *metrics.CLASSIFICATION,
        *metrics.REGRESSION,
        "accuracy",
        "relative_mae",
    }
    assert metrics.check_names(["f1", "mae", "f1"]) == ("f1", "mae")


def test_prevalence_weights_equal_repeated_negatives() -> None:
    truth, score, _ = _rows(5)
    repeats = np.where(truth == 1, 1, 4)
    target = truth.sum() / repeats.sum()
    weights = metrics.prevalence_weights(truth, target)
    assert weights.sum() == pytest.approx(len(truth), rel=EXACT)
    assert np.average(truth, weights=weights) == pytest.approx(target, rel=EXACT)
    for name in (*metrics.CLASSIFICATION, "accuracy"):
        repeated = metrics.compute(name, np.repeat(truth, repeats), np.repeat(score, repeats))
        assert metrics.compute(name, truth, score, weights=weights) == pytest.approx(repeated, rel=EXACT)


def test_prevalence_weights_equal_sampled_negatives_on_average() -> None:
    truth, score, _ = _rows(6, n=4000)
    positives, negatives = np.flatnonzero(truth), np.flatnonzero(1 - truth)
    target = len(positives) / (len(positives) + 1000)
    rng = np.random.default_rng(0)
    drawn = {name: [] for name in ("precision", "f1", "mcc", "average_precision")}
    for _ in range(300):
        rows = np.concatenate([positives, rng.choice(negatives, 1000, replace=False)])
        for name, values in drawn.items():
            values.append(metrics.compute(name, truth[rows], score[rows]))
    weights = metrics.prevalence_weights(truth, target)
    for name, values in drawn.items():
        ours = metrics.compute(name, truth, score, weights=weights)
        # four standard errors, and the bias of order variance that a ratio has
        assert abs(ours - np.mean(values)) < 4 * np.std(values) / 300**0.5 + 1e-3, name
        assert abs(metrics.compute(name, truth, score) - np.mean(values)) > 0.02, name


def test_prevalence_weights_refuse_what_cannot_be_done() -> None:
    with pytest.raises(DataError, match="both classes"):
        metrics.prevalence_weights([1, 1], 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.prevalence_weights([0, 1], 1.5)


def test_best_threshold_is_the_best_of_all_scores() -> None:
    truth, score, weights = _rows(7, n=300)
    for name in ("f1", "mcc", "accuracy"):
        found = metrics.best_threshold(truth, score, name, weights)
        best = max(
            metrics.compute(name, truth, score, threshold=t, weights=weights) for t in np.unique(score)
        )
        assert found in score
        assert metrics.compute(name, truth, score, threshold=found, weights=weights) == pytest.approx(best)
    with pytest.raises(StudyError, match="roc_auc"):
        metrics.best_threshold(truth, score, "roc_auc")


# scores on a lattice, so that a monotone transform cannot merge two of them by rounding
_SCORED = st.lists(
    st.tuples(st.booleans(), st.integers(-40, 40), st.integers(0, 5)), min_size=2, max_size=60
).filter(lambda rows: len({y for y, _, w in rows if w}) == 2)


@settings(max_examples=100, deadline=None)
@given(_SCORED)
def test_bounds_and_invariance_of_ranking_metrics(rows: list[tuple[bool, int, int]]) -> None:
    truth, lattice, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    score = lattice / 8
    for name in ("roc_auc", "average_precision", "lift"):
        value = metrics.compute(name, truth, score, weights=weights)
        for transformed in (np.exp(score), score**3, 2 * score - 7):
            assert metrics.compute(name, truth, transformed, weights=weights) == pytest.approx(
                value, rel=1e-12
            )
        assert value >= 0
    for name in ("recall", "precision", "f1", "accuracy", "roc_auc", "average_precision"):
        assert 0 <= metrics.compute(name, truth, score, weights=weights) <= 1 + EXACT
    assert -1 - EXACT <= metrics.mcc(truth, score, weights=weights) <= 1 + EXACT
    auc = metrics.roc_auc(truth, score, weights)
    assert metrics.roc_auc(truth, -score, weights) == pytest.approx(1 - auc, abs=EXACT)
    assert metrics.roc_auc(1 - truth, -score, weights) == pytest.approx(auc, abs=EXACT)


@settings(max_examples=100, deadline=None)
@given(_SCORED)
def test_whole_weights_are_repeated_rows(rows: list[tuple[bool, int, int]]) -> None:
    truth, score, weights = (np.array(column) for column in zip(*rows, strict=True))
    again = np.repeat(np.arange(len(truth)), weights)
    for name in metrics.FUNCTIONS:
        weighted = metrics.compute(name, truth.astype(float), score, weights=weights)
        repeated = metrics.compute(name, truth[again].astype(float), score[again])
        assert weighted == pytest.approx(repeated, rel=1e-11, abs=1e-13, nan_ok=True), name
