"""Curves against scikit-learn on the drawn rows, and binned fractions against plain means."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from vitrine.errors import DataError
from vitrine.evaluate.curves import (
    precision_recall_curve,
    probability_against_severity,
    roc_curve,
)
from vitrine.evaluate.metrics import average_precision, prevalence_weights, roc_auc
from vitrine.evaluate.resampling import percentile_interval

RESAMPLES = 70


def _grouped_rows(seed: int, n: int = 500, n_groups: int = 8):
    rng = np.random.default_rng(seed)
    groups = rng.integers(n_groups, size=n)
    truth = (rng.random(n) < 0.25).astype(int)
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1), 2)
    return truth, score, groups


def _drawn_rows(groups: np.ndarray, resamples: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    draws = [rng.integers(len(members), size=len(members)) for _ in range(resamples)]
    return [np.concatenate([members[g] for g in draw]) for draw in draws]


def _roc(truth: np.ndarray, score: np.ndarray, grid: np.ndarray) -> np.ndarray:
    fpr, tpr, _ = sk.roc_curve(truth, score, drop_intermediate=False)
    negatives = (truth == 0).sum()
    # in counts, where a grid of 32nds is exact and jumps are not missed by rounding
    return np.interp(grid * negatives, np.rint(fpr * negatives), tpr)


def _precision(truth: np.ndarray, score: np.ndarray, grid: np.ndarray, weights=None) -> np.ndarray:
    precision, recall, _ = sk.precision_recall_curve(truth, score, sample_weight=weights)
    # recall falls along the arrays: the last entry that still reaches a recall has the highest
    # threshold; the point (recall 0, precision 1) that is put at the end is no threshold
    reached = recall[:-1][None] >= grid[:, None] - 1e-9
    reached &= recall[:-1][None] > 0
    return precision[:-1][len(recall) - 2 - np.argmax(reached[:, ::-1], axis=1)]


def test_roc_curve_and_band_equal_scikit_learn() -> None:
    truth, score, groups = _grouped_rows(1)
    curve = roc_curve(truth, score, groups, points=33, resamples=RESAMPLES, seed=2)
    assert curve.x == pytest.approx(np.linspace(0, 1, 33))
    assert curve.y == pytest.approx(_roc(truth, score, curve.x), abs=1e-12)
    drawn = _drawn_rows(groups, RESAMPLES, seed=2)
    values = np.array([_roc(truth[rows], score[rows], curve.x) for rows in drawn])
    low, high = percentile_interval(values)
    assert curve.low == pytest.approx(low, abs=1e-12)
    assert curve.high == pytest.approx(high, abs=1e-12)
    assert (curve.chance == curve.x).all()


@pytest.mark.parametrize("prevalence", [None, 0.01])
def test_precision_recall_curve_and_band_equal_scikit_learn(prevalence: float | None) -> None:
    truth, score, groups = _grouped_rows(3)
    curve = precision_recall_curve(
        truth, score, groups, points=33, resamples=RESAMPLES, prevalence=prevalence, level=0.9
    )

    def one(rows: np.ndarray) -> np.ndarray:
        weights = None if prevalence is None else prevalence_weights(truth[rows], prevalence)
        return _precision(truth[rows], score[rows], curve.x, weights)

    assert curve.y == pytest.approx(one(np.arange(500)), abs=1e-12)
    values = np.array([one(rows) for rows in _drawn_rows(groups, RESAMPLES, seed=0)])
    low, high = percentile_interval(values, 0.9)
    assert curve.low == pytest.approx(low, abs=1e-12)
    assert curve.high == pytest.approx(high, abs=1e-12)
    assert curve.chance == pytest.approx(np.full(33, prevalence or truth.mean()))


def test_areas_under_the_curves_are_the_metrics() -> None:
    truth, score, groups = _grouped_rows(4)
    positives, negatives = truth.sum(), (1 - truth).sum()
    pr = precision_recall_curve(truth, score, groups, points=positives + 1)
    assert pr.y[1:].mean() == pytest.approx(average_precision(truth, score), rel=1e-12)
    # between whole numbers of false positives the curve is straight, at them it may jump: the area
    # of every strip follows from its middle
    roc = roc_curve(truth, score, groups, points=2 * negatives + 1)
    assert roc.y[1::2].mean() == pytest.approx(roc_auc(truth, score), rel=1e-12)


def test_perfect_and_constant_scores() -> None:
    truth = np.array([0, 1] * 10)
    groups = np.arange(20) // 2
    perfect = roc_curve(truth, truth, groups)
    assert (perfect.y == 1).all()
    constant = roc_curve(truth, np.ones(20), groups)
    assert constant.y == pytest.approx(constant.x, abs=1e-12)
    assert (precision_recall_curve(truth, truth, groups).y == 1).all()
    assert (precision_recall_curve(truth, np.ones(20), groups).y == 0.5).all()


def test_curves_need_both_classes_and_five_groups_for_a_band() -> None:
    truth, score, groups = _grouped_rows(5)
    assert roc_curve(truth, score, groups % 4).low is None
    assert precision_recall_curve(truth, score, groups % 4).high is None
    with pytest.raises(DataError, match="both classes, but truth is 0 in all 500 rows"):
        roc_curve(np.zeros(500), score, groups)
    with pytest.raises(ValueError, match="one entry per row"):
        roc_curve(truth, score, groups[1:])
    with pytest.raises(ValueError, match="2 points"):
        roc_curve(truth, score, groups, points=1)


def test_probability_against_severity_is_the_mean_per_bin() -> None:
    rng = np.random.default_rng(6)
    groups = rng.integers(8, size=2000)
    severity = 10 ** rng.uniform(-3, 1, 2000)
    called = (rng.random(2000) < severity / 10).astype(float)
    edges = np.logspace(-2, 1, 7)
    found = probability_against_severity(called, severity, groups, edges, resamples=RESAMPLES)
    counts, _ = np.histogram(severity, edges)
    sums, _ = np.histogram(severity, edges, weights=called)
    assert (found.rows == counts).all()
    assert found.fraction == pytest.approx(sums / counts)
    assert found.outside == 2000 - counts.sum()
    assert (found.groups == 8).all()
    drawn = _drawn_rows(groups, RESAMPLES, seed=0)
    values = np.array(
        [
            np.histogram(severity[r], edges, weights=called[r])[0] / np.histogram(severity[r], edges)[0]
            for r in drawn
        ]
    )
    low, high = percentile_interval(values)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.centres[0] == pytest.approx(np.sqrt(edges[0] * edges[1]))


def test_severity_bins_at_their_edges_and_without_rows() -> None:
    severity = np.array([0.0, 1.0, 1.0, 3.0, 5.0])
    probability = np.array([0.1, 0.2, 0.4, 1.0, 0.9])
    found = probability_against_severity(probability, severity, list("abcde"), [0, 1, 2, 3])
    assert found.fraction[[0, 1]] == pytest.approx([0.1, 0.3])
    assert found.fraction[2] == 1.0  # the last bin holds its right edge
    assert (found.rows == [1, 2, 1]).all()
    assert found.outside == 1
    assert np.isnan(found.low).all()  # fewer than five groups in every bin
    assert (found.centres == [0.5, 1.5, 2.5]).all()
    empty = probability_against_severity(probability, severity, list("abcde"), [10, 20])
    assert np.isnan(empty.fraction).all()
    with pytest.raises(ValueError, match="rising"):
        probability_against_severity(probability, severity, list("abcde"), [2, 1])
