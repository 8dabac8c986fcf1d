"""Intervals: the order statistic by hand, coverage within its binomial band, sets of classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, betabinom

from vitrine.evaluate.splits import Fold
from vitrine.samples import Examples
from vitrine.study.conformal import LEVEL, class_miss, misses_of, reach_of, reaches
from vitrine.study.cross_validation import OutOfFold, _add_ensembles
from vitrine.study.spec import load_study
from vitrine.testing.inputs import in_classes


def rows(n: int, target: np.ndarray, kind: str = "value") -> Examples:
    return Examples(
        makes="vectors",
        target_kind=kind,  # type: ignore[arg-type]
        ids=tuple(f"r{i}" for i in range(n)),
        groups=tuple(f"r{i}" for i in range(n)),
        features=np.zeros((n, 1), np.float32),
        feature_labels=("x",),
        starts=np.arange(n + 1),
        target=target.astype(np.float32),
    )


def test_the_order_statistic_by_hand() -> None:
    assert reach_of(range(19)) == 18, "the 19th of 19: ceil(20 * 0.95)"
    assert reach_of(range(18)) == float("inf"), "the 19th of 18"
    assert reach_of(range(100)) == 95, "the 96th of 100: ceil(101 * 0.95)"
    assert reach_of([3, 1, 2], level=0.5) == 2
    assert reach_of([]) == float("inf")


@pytest.mark.parametrize("n", [39, 199, 1000])
def test_coverage_of_fresh_samples_lies_within_its_binomial_band(n: int) -> None:
    """Of m samples after n to calibrate on, beta-binomially many are covered, whatever the errors."""
    random, m = np.random.default_rng(n), 2000
    place = int(np.ceil((n + 1) * LEVEL))
    low, high = betabinom.ppf([0.005, 0.995], m, place, n + 1 - place)
    inside = 0
    for _ in range(100):
        errors = random.standard_t(3, size=n + m)
        inside += low <= (np.abs(errors[n:]) <= reach_of(np.abs(errors[:n]))).sum() <= high
    assert inside >= 95
    assert beta.mean(place, n + 1 - place) >= LEVEL


def out_of_fold(held: dict[int, np.ndarray], folds: list[Fold]) -> OutOfFold:
    return OutOfFold(held={"m": {(0, number): scores for number, scores in held.items()}}, folds=folds)


def test_every_fold_has_a_reach_of_its_own() -> None:
    n = 90
    truth = np.arange(n, dtype=float)
    a, b = np.arange(0, 45), np.arange(45, 90)
    folds = [Fold(train=b[:25], validation=b[25:], test=a), Fold(train=a[:25], validation=a[25:], test=b)]
    held = {0: truth[b[25:]] + 0.5, 1: truth[a[25:]] - 2.0}
    found = reaches(out_of_fold(held, folds), rows(n, truth))["m"]
    assert (found[a] == 0.5).all() and (found[b] == 2.0).all()


def test_too_few_to_calibrate_on_have_no_interval() -> None:
    folds = [Fold(train=np.arange(5), validation=np.arange(5, 15), test=np.arange(15, 20))]
    found = out_of_fold({0: np.zeros(10)}, folds)
    found.tested = np.arange(15, 20)
    assert np.isnan(reaches(found, rows(20, np.zeros(20)))["m"]).all()


def test_sets_of_classes_cover_what_they_promise() -> None:
    random, n = np.random.default_rng(2), 6000
    logits = random.normal(size=(n, 3)) * 1.5
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([random.choice(3, p=row) for row in odds])
    fold = Fold(train=np.arange(1), validation=np.arange(1, 2000), test=np.arange(2000, n))
    examples = in_classes(rows(n, truth))
    examples = type(examples)(**{**vars(examples), "target": truth.astype(np.float32)})
    found = out_of_fold({0: odds[1:2000]}, [fold])
    found.tested = np.arange(2000, n)
    reach = reaches(found, examples)["m"]
    sets = class_miss(odds[2000:]) <= reach[:, None]
    covered = sets[np.arange(n - 2000), truth[2000:]].mean()
    assert 0.93 < covered < 0.97
    assert 1 < sets.sum(axis=1).mean() < 3


def test_miss_of_two_classes_from_one_probability() -> None:
    np.testing.assert_allclose(class_miss(np.array([0.2, 1.0])), [[0.2, 0.8], [1.0, 0.0]])


def test_misses_by_hand() -> None:
    truth = np.array([1.0, 0.0, 2.0])
    np.testing.assert_allclose(misses_of(np.array([1.5, -1.0, 2.0]), truth, "value"), [0.5, 1.0, 0.0])
    np.testing.assert_allclose(misses_of(np.array([0.2, 0.3]), truth[:2], "binary"), [0.8, 0.3])
    three = np.array([[0.2, 0.5, 0.3], [0.9, 0.1, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(misses_of(three, truth, "classes"), [0.5, 0.1, 0.0])


@pytest.mark.parametrize("kept", [True, False])
def test_an_ensemble_has_scores_of_what_validated_if_its_members_do(kept: bool) -> None:
    """Where samples have several rows, those are not kept."""
    models = ("mean", "ridge", "ensemble")
    settings = ["models.ensemble.of=[mean,ridge]", "data_curve=null"]
    study = load_study("branched-composition", "smoke", settings, tracks=["grouped"], models=models)
    scores = {"mean": np.zeros((1, 4)), "ridge": np.full((2, 4), 1.0)}
    held = {name: {(r, 0): own[r, :2] for r in range(len(own))} for name, own in scores.items()}
    found = OutOfFold(scores=scores, held=held if kept else {})
    _add_ensembles(study, "grouped", found)
    np.testing.assert_allclose(found.scores["ensemble"], np.full((2, 4), 0.5))
    assert ("ensemble" in found.held) is kept
    if kept:
        assert {key: own.tolist() for key, own in found.held["ensemble"].items()} == {
            (0, 0): [0.5, 0.5],
            (1, 0): [0.5, 0.5],
        }
