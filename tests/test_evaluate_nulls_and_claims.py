"""Nulls keep what they must keep; claims equal scipy's numbers on the drawn rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from vitrine.errors import DataError
from vitrine.evaluate.claims import called_fraction, spearman_within
from vitrine.evaluate.metrics import average_precision, roc_auc
from vitrine.evaluate.nulls import chance_scores, shuffle_labels

RESAMPLES = 70


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=60), st.integers(0, 999)
)
def test_shuffling_keeps_the_labels_of_every_sample(rows: list[tuple[int, int]], seed: int) -> None:
    target, owner = (np.array(column) for column in zip(*rows, strict=True))
    shuffled = shuffle_labels(target, owner, seed)
    alone = np.bincount(owner)[owner] == 1
    for sample in set(owner[~alone]):
        assert sorted(shuffled[owner == sample]) == sorted(target[owner == sample])
    assert sorted(shuffled[alone]) == sorted(target[alone])
    assert shuffled.dtype == target.dtype
    assert (shuffle_labels(target, owner, seed) == shuffled).all()


def test_shuffling_parts_labels_from_scores() -> None:
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(10), 1000)
    truth = (rng.random(10_000) < np.linspace(0.02, 0.2, 10)[owner]).astype(np.float32)
    shuffled = shuffle_labels(truth, owner, seed=1)
    assert shuffled.dtype == np.float32
    # standard error of an AUC with 1,100 positives: about 0.009
    assert roc_auc(truth, shuffled) == pytest.approx(0.5, abs=0.06)  # prevalences differ by sample
    assert (np.bincount(owner, shuffled) == np.bincount(owner, truth)).all()
    values = np.arange(500.0)
    swapped = shuffle_labels(values, np.arange(500), seed=1)  # a table: one row per sample
    assert sorted(swapped) == sorted(values)
    assert (swapped != values).mean() > 0.98
    with pytest.raises(ValueError, match="one entry per row"):
        shuffle_labels([1, 2], [0], seed=0)


def test_chance_scores_are_at_chance() -> None:
    truth = (np.arange(100_000) % 50 == 0).astype(int)
    score = chance_scores(100_000, seed=3)
    assert ((score >= 0) & (score < 1)).all()
    assert roc_auc(truth, score) == pytest.approx(0.5, abs=0.02)  # three standard errors of 0.0065
    assert average_precision(truth, score) == pytest.approx(0.02, abs=0.003)
    assert (score == chance_scores(100_000, seed=3)).all()


def _drawn_rows(groups: np.ndarray, resamples: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    draws = [rng.integers(len(members), size=len(members)) for _ in range(resamples)]
    return [np.concatenate([members[g] for g in draw]) for draw in draws]


def test_spearman_equals_scipy_on_the_drawn_rows() -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(7, size=300)
    severity = np.round(rng.exponential(size=300), 1)
    score = np.round(severity / 3 + rng.normal(0, 0.5, 300), 1)
    mask = severity > 0.3
    found = spearman_within(score, severity, mask, groups, resamples=RESAMPLES)
    a, b = score[mask], severity[mask]
    assert found.value == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    values = [spearmanr(a[r], b[r]).statistic for r in _drawn_rows(groups[mask], RESAMPLES)]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))), abs=1e-12)
    assert (found.groups, found.n) == (7, mask.sum())


def test_spearman_of_monotone_and_constant_columns() -> None:
    severity = np.linspace(0, 1, 60)
    groups = np.arange(60) % 6
    assert spearman_within(np.exp(severity), severity, None, groups).value == pytest.approx(1)
    falling = spearman_within(-(severity**3), severity, None, groups)
    assert (falling.value, falling.low, falling.high) == pytest.approx((-1, -1, -1))
    constant = spearman_within(np.ones(60), severity, None, groups)
    assert np.isnan(constant.value)
    assert constant.low is None
    few = spearman_within(severity, severity, groups < 4, groups)
    assert (few.groups, few.low) == (4, None)  # groups are counted within the mask


def test_called_fraction_is_a_mean_over_groups() -> None:
    rng = np.random.default_rng(2)
    groups = np.array([f"s{g}" for g in rng.integers(9, size=500)])
    called = rng.random(500) < 0.2
    mask = rng.random(500) < 0.7
    found = called_fraction(called, mask, groups, resamples=RESAMPLES)
    assert found.value == pytest.approx(called[mask].mean())
    values = [called[mask][r].mean() for r in _drawn_rows(groups[mask], RESAMPLES)]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))))
    assert called_fraction(called, None, groups).n == 500


def test_masks_are_checked() -> None:
    with pytest.raises(DataError, match="leaves no rows"):
        called_fraction([1, 0], [False, False], ["a", "b"])
    with pytest.raises(ValueError, match="mask must have one entry per row"):
        called_fraction([1, 0], [True], ["a", "b"])
    with pytest.raises(ValueError, match="groups must have one entry per row"):
        spearman_within([1, 0], [1, 2], None, ["a"])
