"""Splits: no group leaks, every sample is tested once, settings are strict."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vitrine.errors import StudyError
from vitrine.evaluate.splits import (
    GroupedFolds,
    RandomFolds,
    check_no_group_leaks,
    grouped_folds,
    hold_out_groups,
    random_folds,
)

GROUPS = st.lists(st.integers(0, 11).map(lambda number: f"s{number:02d}"), min_size=1, max_size=80)
SEEDS = st.integers(0, 2**31 - 1)


@settings(max_examples=100, deadline=None)
@given(GROUPS, st.integers(2, 6), SEEDS)
def test_grouped_folds_never_leak(groups: list[str], folds: int, seed: int) -> None:
    if len(set(groups)) < folds:
        with pytest.raises(StudyError, match=f"at least {folds} groups, but there are {len(set(groups))}"):
            grouped_folds(groups, folds, seed)
        return
    dealt = grouped_folds(groups, folds, seed)
    check_no_group_leaks(groups, *dealt)
    assert len(dealt) == folds
    assert sorted(np.concatenate(dealt)) == list(range(len(groups)))
    sizes = [len(part) for part in dealt]
    largest = max(groups.count(name) for name in groups)
    assert min(sizes) >= 1
    # the fold that holds least gets the next group, so no two differ by more than one group
    assert max(sizes) - min(sizes) <= largest


@settings(max_examples=100, deadline=None)
@given(GROUPS.filter(lambda groups: len(set(groups)) > 1), st.floats(0.01, 0.99), SEEDS)
def test_held_out_groups_never_leak(groups: list[str], fraction: float, seed: int) -> None:
    rest, held = hold_out_groups(groups, fraction, seed)
    check_no_group_leaks(groups, rest, held)
    assert len(rest) >= 1
    assert len(held) >= 1
    assert sorted([*rest, *held]) == list(range(len(groups)))
    largest = max(groups.count(name) for name in groups)
    assert abs(len(held) - fraction * len(groups)) <= largest


@settings(max_examples=100, deadline=None)
@given(GROUPS, st.integers(2, 6), st.floats(0.05, 0.95), SEEDS)
def test_parts_of_every_grouped_fold_share_no_group(
    groups: list[str], folds: int, validation: float, seed: int
) -> None:
    part = GroupedFolds(folds=folds, validation=validation, seed=seed)
    try:
        result = part.folds_of(groups)
    except StudyError:
        # fewer groups than folds, or two folds of which one is a single (large) group
        sides = (
            [{groups[i] for i in test} for test in grouped_folds(groups, 2, seed)]
            if len(set(groups)) >= folds == 2
            else []
        )
        assert len(set(groups)) < folds or min(len(side) for side in sides) == 1
        return
    for fold in result:
        check_no_group_leaks(groups, fold.train, fold.validation, fold.test)
        parts = (fold.train, fold.validation, fold.test)
        assert all(part.dtype == np.int64 and len(part) and (np.diff(part) > 0).all() for part in parts)
        assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert sorted(np.concatenate([fold.test for fold in result])) == list(range(len(groups)))


@settings(max_examples=100, deadline=None)
@given(GROUPS.filter(lambda groups: len(groups) > 3), SEEDS)
def test_random_folds_test_every_sample_once(groups: list[str], seed: int) -> None:
    result = RandomFolds(folds=2, seed=seed).folds_of(groups)
    for fold in result:
        parts = (fold.train, fold.validation, fold.test)
        assert all(part.dtype == np.int64 and len(part) for part in parts)
        assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert sorted(np.concatenate([fold.test for fold in result])) == list(range(len(groups)))


def test_random_folds_leak_groups() -> None:
    groups = [f"s{sample // 6}" for sample in range(60)]
    (fold, *_) = RandomFolds().folds_of(groups)
    with pytest.raises(ValueError, match=r"group 's\d' leaks: it is in sets 0 and"):
        check_no_group_leaks(groups, fold.train, fold.validation, fold.test)


def test_six_directions_of_75_specimens_are_3_1_1() -> None:
    groups = [f"s{sample // 6:02d}" for sample in range(450)]
    for fold in GroupedFolds().folds_of(groups):
        assert (len(fold.train), len(fold.validation), len(fold.test)) == (270, 90, 90)


def test_splits_depend_on_the_seed_alone() -> None:
    groups = [f"s{sample // 3}" for sample in range(60)]
    for make in (GroupedFolds, RandomFolds):
        first, same, other = (make(seed=seed).folds_of(groups) for seed in (1, 1, 2))
        for a, b in zip(first, same, strict=True):
            assert (a.test == b.test).all()
            assert (a.validation == b.validation).all()
        assert any(
            len(a.test) != len(b.test) or (a.test != b.test).any() for a, b in zip(first, other, strict=True)
        )


def test_folds_follow_the_groups_and_not_their_order() -> None:
    groups = [f"s{sample % 7}" for sample in range(50)]
    order = np.random.default_rng(0).permutation(50)
    shuffled = [groups[sample] for sample in order]
    for a, b in zip(grouped_folds(groups, 3, 0), grouped_folds(shuffled, 3, 0), strict=True):
        assert {groups[sample] for sample in a} == {shuffled[sample] for sample in b}


def test_errors_say_how_many_there_are_and_how_many_are_needed() -> None:
    with pytest.raises(
        StudyError, match=r"5 folds by group need at least 5 groups, but there are 2 \(a, b\)"
    ):
        grouped_folds(["a", "b", "a"], 5, 0)
    with pytest.raises(StudyError, match="at least 2 groups, but there are 1"):
        hold_out_groups(["a", "a"], 0.5, 0)
    with pytest.raises(StudyError, match="5 folds need at least 5 samples, but there are 4"):
        random_folds(4, 5, 0)
    with pytest.raises(StudyError, match="2 folds by group leave 1 group to train and validate on"):
        GroupedFolds(folds=2).folds_of(["a", "b"])
    with pytest.raises(StudyError, match="2 folds leave 1 sample"):
        RandomFolds(folds=2).folds_of(["a", "b"])
    with pytest.raises(StudyError, match="fraction"):
        hold_out_groups(["a", "b"], 1.0, 0)


def test_settings_are_strict_and_tracks_are_named() -> None:
    assert (GroupedFolds.track, RandomFolds.track) == ("grouped", "random")
    assert (GroupedFolds().kind, RandomFolds().kind) == ("grouped", "random")
    assert GroupedFolds().recipe()["settings"] == {
        "kind": "grouped",
        "folds": 5,
        "validation": 0.25,
        "seed": 0,
    }
    for wrong in ({"folds": 1}, {"validation": 0.0}, {"fold": 3}, {"kind": "random"}, {"seed": -1}):
        with pytest.raises(ValidationError):
            GroupedFolds.model_validate(wrong)
    assert all(part.summary for part in (GroupedFolds, RandomFolds))


def test_importing_the_settings_brings_nothing_heavy() -> None:
    heavy = ("numba", "scipy", "sklearn", "pandas", "torch")
    code = f"import sys, vitrine.evaluate.splits; print([m for m in {heavy} if m in sys.modules])"
    environment_path = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment_path
    )
    assert done.stdout.strip() == "[]"
