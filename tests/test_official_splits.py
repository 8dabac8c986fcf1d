"""Splits that others have made: equal to scikit-learn's, and clear about what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold

from vitrine.errors import StudyError
from vitrine.evaluate.official_splits import MATBENCH_SEED, GivenSplit, MatbenchFolds


@pytest.mark.parametrize("n", [10, 11, 312, 4604, 10987])
def test_folds_of_values_are_scikit_learns(n: int) -> None:
    theirs = KFold(5, shuffle=True, random_state=MATBENCH_SEED).split(np.zeros(n))
    ours = MatbenchFolds().folds_of([f"g{i}" for i in range(n)])
    for fold, (train, test) in zip(ours, theirs, strict=True):
        assert np.array_equal(fold.test, test)
        assert np.array_equal(np.sort(np.concatenate([fold.train, fold.validation])), train)
        assert abs(len(fold.validation) - 0.1 * len(train)) <= 1


@pytest.mark.parametrize("n", [60, 4921])
@pytest.mark.parametrize("share", [0.5, 0.2, (0.2, 0.3, 0.5)])
def test_folds_of_classes_are_scikit_learns(n: int, share: float | tuple[float, ...]) -> None:
    shares = (share, 1 - share) if isinstance(share, float) else share
    classes = np.random.default_rng(n).choice(len(shares), n, p=shares)
    theirs = StratifiedKFold(5, shuffle=True, random_state=MATBENCH_SEED).split(np.zeros(n), classes)
    ours = MatbenchFolds().folds_of([f"g{i}" for i in range(n)], classes)
    for fold, (_, test) in zip(ours, theirs, strict=True):
        assert np.array_equal(fold.test, test)


def test_too_few_samples_of_a_class() -> None:
    with pytest.raises(StudyError, match="at least 5 samples of each class"):
        MatbenchFolds().folds_of([str(i) for i in range(20)], np.array([0] * 16 + [1] * 4))


def test_a_column_of_the_table_splits() -> None:
    groups = [f"g{i}" for i in range(10)]
    given = np.array([0, 0, 0, 0, 1, 1, 2, 2, 0, 2.0])
    (fold,) = GivenSplit().folds_of(groups, given)
    assert fold.train.tolist() == [0, 1, 2, 3, 8]
    assert fold.validation.tolist() == [4, 5]
    assert fold.test.tolist() == [6, 7, 9]
    (fold,) = GivenSplit(validation=0.2).folds_of(groups, np.where(given == 1, 0, given))
    assert len(fold.validation) == 1 and fold.test.tolist() == [6, 7, 9]


@pytest.mark.parametrize(
    ("given", "words"),
    [(None, "source.split"), ([0, 0, 0, 1], "'test'"), ([2, 2, 1, 2], "'train'")],
)
def test_what_is_missing_in_the_column_is_said(given: list[int] | None, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        GivenSplit().folds_of(["a", "b", "c", "d"], None if given is None else np.array(given, float))
