"""The bootstrap against scikit-learn on the drawn rows themselves, and what intervals promise."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from vitrine.errors import DataError, StudyError
from vitrine.evaluate.intervals import Estimate, bootstrap, paired_difference
from vitrine.evaluate.metrics import CLASSIFICATION, REGRESSION, compute, prevalence_weights
from vitrine.evaluate.ranking import Ranking
from vitrine.evaluate.resampling import group_codes, percentile_interval, resample_weights

EXACT = 1e-12
RESAMPLES = 90  # not a multiple of the batch


def _grouped_rows(seed: int, n: int = 400, n_groups: int = 9, positive: float = 0.15):
    rng = np.random.default_rng(seed)
    groups = np.array([f"specimen-{g}" for g in rng.integers(n_groups, size=n)])
    truth = (rng.random(n) < positive).astype(int)
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.25), 0, 1), 2)
    return truth, score, groups


def _drawn_rows(groups: np.ndarray, resamples: int, seed: int) -> list[np.ndarray]:
    """The rows of every resample, put one after the other."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    draws = [rng.integers(len(members), size=len(members)) for _ in range(resamples)]
    return [np.concatenate([members[g] for g in draw]) for draw in draws]


def _by_scikit_learn(truth: np.ndarray, score: np.ndarray, weights: np.ndarray | None) -> dict[str, float]:
    called = score >= 0.5
    w = {"sample_weight": weights}
    average = sk.average_precision_score(truth, score, **w)
    return {
        "recall": sk.recall_score(truth, called, **w),
        "precision": sk.precision_score(truth, called, zero_division=0, **w),
        "f1": sk.f1_score(truth, called, **w),
        "mcc": sk.matthews_corrcoef(truth, called, **w),
        "roc_auc": sk.roc_auc_score(truth, score, **w),
        "average_precision": average,
        "lift": average / np.average(truth, weights=weights),
        "accuracy": sk.accuracy_score(truth, called, **w),
    }


def _check(found: Estimate, values: list[float], low_high: tuple[float, float]) -> None:
    defined = [value for value in values if not np.isnan(value)]
    expected = np.percentile(defined, low_high)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=EXACT, abs=EXACT)


@pytest.mark.parametrize("prevalence", [None, 0.0018, 0.6])
def test_classification_equals_scikit_learn_on_the_drawn_rows(prevalence: float | None) -> None:
    truth, score, groups = _grouped_rows(1)
    names = (*CLASSIFICATION, "accuracy")
    found = bootstrap(
        names, truth, score, groups, resamples=RESAMPLES, seed=3, level=0.9, prevalence=prevalence
    )

    def one(rows: np.ndarray) -> dict[str, float]:
        y, s = truth[rows], score[rows]
        return _by_scikit_learn(y, s, None if prevalence is None else prevalence_weights(y, prevalence))

    drawn = [one(rows) for rows in _drawn_rows(groups, RESAMPLES, seed=3)]
    whole = one(np.arange(len(truth)))
    for name in names:
        assert found[name].value == pytest.approx(whole[name], rel=EXACT)
        assert (found[name].groups, found[name].n) == (9, 400)
        _check(found[name], [values[name] for values in drawn], (5, 95))


def test_regression_equals_the_metrics_of_the_drawn_rows() -> None:
    _, _, groups = _grouped_rows(2)
    rng = np.random.default_rng(2)
    truth = rng.normal(1000, 1, 400)  # far from 0, where sums of squares would cancel
    score = truth + rng.normal(0.1, 0.5, 400)
    found = bootstrap(REGRESSION, truth, score, groups, resamples=RESAMPLES)
    drawn = _drawn_rows(groups, RESAMPLES, seed=0)
    for name, by_scikit_learn in {
        "mae": sk.mean_absolute_error,
        "rmse": sk.root_mean_squared_error,
        "r2": sk.r2_score,
        "bias": lambda y, s: np.mean(s - y),
    }.items():
        assert found[name].value == pytest.approx(by_scikit_learn(truth, score), rel=1e-11)
        values = [by_scikit_learn(truth[rows], score[rows]) for rows in drawn]
        expected = np.percentile(values, (2.5, 97.5))
        # the mean, 1000 times larger than what is squared, is rounded
        assert (found[name].low, found[name].high) == pytest.approx(tuple(expected), rel=1e-10)


def test_relative_mae_keeps_its_trivial_prediction_in_every_resample() -> None:
    _, score, groups = _grouped_rows(3)
    truth = np.sin(np.arange(400.0))
    for reference in (None, np.array([0.2, 0.4])):
        found = bootstrap(["relative_mae"], truth, score, groups, resamples=RESAMPLES, reference=reference)
        fixed = truth if reference is None else reference
        drawn = _drawn_rows(groups, RESAMPLES, seed=0)
        values = [compute("relative_mae", truth[r], score[r], reference=fixed) for r in drawn]
        assert found["relative_mae"].value == pytest.approx(
            compute("relative_mae", truth, score, reference=fixed)
        )
        _check(found["relative_mae"], values, (2.5, 97.5))


def test_undefined_resamples_are_left_out() -> None:
    # positives in two of eight groups: a resample misses both with probability 0.75^8 = 0.10
    groups = np.repeat(np.arange(8), 10)
    truth = ((groups < 2) & (np.arange(80) % 5 == 0)).astype(int)
    score = np.random.default_rng(0).random(80)
    drawn = _drawn_rows(groups, RESAMPLES, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap(CLASSIFICATION, truth, score, groups, resamples=RESAMPLES)
        quoted = bootstrap(CLASSIFICATION, truth, score, groups, resamples=RESAMPLES, prevalence=0.01)
    assert any(truth[rows].sum() == 0 for rows in drawn)
    for name in CLASSIFICATION:
        _check(found[name], [compute(name, truth[rows], score[rows]) for rows in drawn], (2.5, 97.5))
        kept = [rows for rows in drawn if truth[rows].any()]
        weighted = [
            compute(name, truth[r], score[r], weights=prevalence_weights(truth[r], 0.01)) for r in kept
        ]
        _check(quoted[name], weighted, (2.5, 97.5))


def test_no_interval_when_most_resamples_are_undefined() -> None:
    # positives in one of five groups: absent from 0.8^5 = 33 % of the resamples; in none: from all
    groups = np.repeat(np.arange(5), 4)
    truth = (np.arange(20) == 0).astype(int)
    assert bootstrap(["recall"], truth, np.ones(20), groups)["recall"].low == 1.0
    absent = bootstrap(["roc_auc"], np.zeros(20), np.ones(20), groups)["roc_auc"]
    assert np.isnan(absent.value)
    assert (absent.low, absent.high) == (None, None)


@pytest.mark.parametrize(("n_groups", "has_interval"), [(4, False), (5, True)])
def test_fewer_than_five_groups_give_no_interval(n_groups: int, has_interval: bool) -> None:
    truth, score, _ = _grouped_rows(4)
    found = bootstrap(["f1"], truth, score, np.arange(400) % n_groups)["f1"]
    assert (found.low is not None) == (found.high is not None) == has_interval
    assert found.value == pytest.approx(compute("f1", truth, score))


def test_score_of_several_seeds_gives_the_mean_metric() -> None:
    truth, score, groups = _grouped_rows(5)
    scores = np.stack([score, score[::-1]])
    found = bootstrap(["roc_auc", "f1"], truth, scores, groups, resamples=RESAMPLES)
    for name in ("roc_auc", "f1"):
        drawn = _drawn_rows(groups, RESAMPLES, seed=0)
        values = [np.mean([compute(name, truth[r], s[r]) for s in scores]) for r in drawn]
        assert found[name].value == pytest.approx(np.mean([compute(name, truth, s) for s in scores]))
        _check(found[name], values, (2.5, 97.5))


@pytest.mark.parametrize("metric", ["average_precision", "mcc", "mae"])
def test_paired_difference_uses_the_same_resamples(metric: str) -> None:
    truth, score, groups = _grouped_rows(6)
    other = np.clip(score + np.random.default_rng(1).normal(0, 0.05, 400), 0, 1)
    found = paired_difference(metric, truth, score, other, groups, resamples=RESAMPLES)
    drawn = _drawn_rows(groups, RESAMPLES, seed=0)
    values = [compute(metric, truth[r], score[r]) - compute(metric, truth[r], other[r]) for r in drawn]
    assert found.value == pytest.approx(compute(metric, truth, score) - compute(metric, truth, other))
    _check(found, values, (2.5, 97.5))


def test_paired_difference_of_two_label_sets_and_thresholds() -> None:
    truth, score, groups = _grouped_rows(7)
    fewer = truth * (np.arange(400) % 2)
    found = paired_difference(
        "recall", truth, score, score, groups, truth_b=fewer, threshold_b=0.3, resamples=RESAMPLES
    )
    drawn = _drawn_rows(groups, RESAMPLES, seed=0)
    values = [
        compute("recall", truth[r], score[r]) - compute("recall", fewer[r], score[r], threshold=0.3)
        for r in drawn
    ]
    _check(found, values, (2.5, 97.5))
    same = paired_difference("roc_auc", truth, score, score, groups)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_paired_interval_is_narrower_than_the_two_apart() -> None:
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(20), 50)
    hardness = rng.normal(0, 1, 20)[groups]
    truth = rng.normal(0, 1, 1000)
    a, b = truth + hardness + rng.normal(0, 0.1, (2, 1000))
    apart = bootstrap(["rmse"], truth, a, groups)["rmse"]
    paired = paired_difference("rmse", truth, a, b, groups)
    assert apart.low is not None
    assert apart.high is not None
    assert paired.low is not None
    assert paired.high is not None
    assert paired.high - paired.low < 0.2 * (apart.high - apart.low)


def test_intervals_cover_the_truth_and_rows_would_not() -> None:
    # error = group effect + noise with mean 0.3; 95 % percentile intervals over 30 groups cover in
    # about 93 % of the cases (they are a little narrow), those over rows far less often
    rng = np.random.default_rng(9)
    groups = np.repeat(np.arange(30), 10)
    by_group, by_row = 0, 0
    for trial in range(120):
        error = 0.3 + rng.normal(0, 1, 30)[groups] + rng.normal(0, 0.3, 300)
        for rows, units in ((0, groups), (1, np.arange(300))):
            found = bootstrap(["bias"], np.zeros(300), error, units, resamples=200, seed=trial)["bias"]
            assert found.low is not None
            assert found.high is not None
            covers = found.low <= 0.3 <= found.high
            by_row += covers and rows
            by_group += covers and not rows
    assert 0.86 <= by_group / 120 <= 0.99
    assert by_row / 120 < 0.6


def test_same_seed_same_interval_and_labels_do_not_matter() -> None:
    truth, score, groups = _grouped_rows(10)
    first = bootstrap(CLASSIFICATION, truth, score, groups)
    assert first == bootstrap(CLASSIFICATION, truth, score, list(groups))
    codes, _ = group_codes(groups)
    assert first == bootstrap(CLASSIFICATION, truth, score, codes)
    assert first != bootstrap(CLASSIFICATION, truth, score, groups, seed=1)


def test_order_of_rows_does_not_matter() -> None:
    truth, score, groups = _grouped_rows(11)
    order = np.random.default_rng(0).permutation(400)
    names = (*CLASSIFICATION, "accuracy")
    first = bootstrap(names, truth, score, groups)
    assert first == bootstrap(names, truth[order], score[order], groups[order])


def test_wrong_input_is_named() -> None:
    truth, score, groups = _grouped_rows(12)
    with pytest.raises(StudyError, match="did you mean 'recall'"):
        bootstrap(["recal"], truth, score, groups)
    with pytest.raises(ValueError, match="groups must have one entry per row: 3 entries, 400 rows"):
        bootstrap(["recall"], truth, score, ["a", "b", "c"])
    with pytest.raises(DataError, match="truth must be 0 or 1"):
        bootstrap(["recall"], truth + 1, score, groups)
    with pytest.raises(ValueError, match="prevalence"):
        bootstrap(["recall"], truth, score, groups, prevalence=1.8)
    with pytest.raises(ValueError, match="classes, not of values"):
        bootstrap(["mae"], truth, score, groups, prevalence=0.1)
    with pytest.raises(ValueError, match="level"):
        bootstrap(["mae"], truth, score, groups, level=95)


def test_resample_weights_count_the_draws() -> None:
    weights = np.concatenate(list(resample_weights(7, 50, seed=5)))
    rng = np.random.default_rng(5)
    assert weights.shape == (50, 7)
    for row in weights:
        assert (row == np.bincount(rng.integers(7, size=7), minlength=7)).all()


def test_percentile_interval_of_known_values() -> None:
    values = np.stack([np.arange(101.0), np.where(np.arange(101) < 60, np.nan, 1.0)], axis=1)
    low, high = percentile_interval(values, level=0.9)
    assert (low[0], high[0]) == (5, 95)
    assert np.isnan(low[1])
    assert np.isnan(high[1])


_GROUPED = st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=50)


@settings(max_examples=100, deadline=None)
@given(_GROUPED, st.lists(st.integers(0, 4), min_size=4, max_size=4))
def test_ranking_of_weighted_groups_is_that_of_weighted_rows(
    rows: list[tuple[bool, int, int]], drawn: list[int]
) -> None:
    truth, score, codes = (np.array(column) for column in zip(*rows, strict=True))
    weights = np.array([drawn], dtype=float)
    ranking = Ranking.of(truth.astype(float), score.astype(float), codes, 4)
    auc, average = ranking.areas(weights)
    w = weights[0, codes]
    if w.any():
        assert auc[0] == pytest.approx(compute("roc_auc", truth, score, weights=w), abs=EXACT, nan_ok=True)
        expected = compute("average_precision", truth, score, weights=w)
        assert average[0] == pytest.approx(expected, abs=EXACT, nan_ok=True)


def test_a_million_rows_are_no_trouble() -> None:
    rng = np.random.default_rng(13)
    n = 1_000_000
    truth = rng.random(n) < 0.02
    score = (rng.random(n) + 0.3 * truth).astype(np.float32)
    found = bootstrap(CLASSIFICATION, truth, score, np.arange(n) % 100)
    auc = found["roc_auc"]
    assert auc.low is not None
    assert auc.high is not None
    # P(U + 0.3 > U') = 1 - 0.7^2 / 2 for uniform U, U'
    assert auc.low < 1 - 0.7**2 / 2 < auc.high
    assert auc.high - auc.low < 0.02
