"""The contract of splits."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from vitrine.errors import MissingExtra, StudyError
from vitrine.testing.part import PartContract


class SplitContract(PartContract):
    """Every fold is a partition of the samples; a grouped one parts no group.

    Attributes
    ----------
    grouped: whether no group may be in two of train, validation and test.
    tests_all: whether every sample is tested exactly once over all folds.
    most_groups: of the random cases; raise it if the split needs many.
    """

    grouped: ClassVar[bool]
    tests_all: ClassVar[bool] = True
    most_groups: ClassVar[int] = 12

    def groups(self, sizes: list[int]) -> tuple[str, ...]:
        """Names of groups of these sizes, dealt out as the samples of a source might be.

        Override it where the split reads the names, such as one by element.
        """
        names = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
        return tuple(np.random.default_rng(len(names)).permutation(names).tolist())

    def test_folds_are_partitions(self) -> None:
        """Train, validation and test are rising, disjoint, not empty, and together everything."""

        def check(groups: tuple[str, ...]) -> None:
            tested = np.zeros(len(groups), dtype=int)
            for fold in self.part.folds_of(groups):
                sets = (fold.train, fold.validation, fold.test)
                for indices in sets:
                    assert indices.dtype == np.int64 and len(indices)
                    assert (np.diff(indices) > 0).all()
                assert np.array_equal(np.sort(np.concatenate(sets)), np.arange(len(groups)))
                tested[fold.test] += 1
            assert tested.max() == 1, "a sample is tested in two folds"
            assert not self.tests_all or tested.min() == 1, "a sample is tested in no fold"

        self._for_many_groups(check)

    def test_no_group_is_in_two_sets(self) -> None:
        """What leaks is a split that says so: ``grouped = False``."""
        if not self.grouped:
            pytest.skip("this split parts groups by design")

        def check(groups: tuple[str, ...]) -> None:
            for fold in self.part.folds_of(groups):
                names = [{groups[i] for i in s} for s in (fold.train, fold.validation, fold.test)]
                assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])

        self._for_many_groups(check)

    def test_the_same_settings_split_the_same_way(self) -> None:
        """And another seed another way, if the split has one."""
        groups = self.groups([3] * self.most_groups)
        assert self._tests(self.part, groups) == self._tests(self.part, groups)
        if "seed" not in type(self.part).model_fields:
            return
        others = [self.part.model_copy(update={"seed": self.part.seed + n}) for n in range(1, 6)]
        deals = {str(self._tests(part, groups)) for part in [self.part, *others]}
        assert len(deals) > 1, "the seed has no effect"

    def test_too_few_groups_are_refused(self) -> None:
        """One sample cannot train, validate and test: StudyError, and no empty set."""
        with pytest.raises(StudyError):
            self.part.folds_of(self.groups([1]))

    def _tests(self, part: Any, groups: tuple[str, ...]) -> list[list[int]]:
        return [fold.test.tolist() for fold in part.folds_of(groups)]

    def _for_many_groups(self, check: Any) -> None:
        """Call ``check`` with many random sets of groups (hypothesis)."""
        try:
            from hypothesis import given, settings
            from hypothesis import strategies as st
        except ImportError as error:
            raise MissingExtra("hypothesis", "testing") from error

        least = getattr(self.part, "folds", 2) + 1
        sizes = st.lists(st.integers(1, 6), min_size=least, max_size=max(self.most_groups, least))

        @settings(max_examples=25, deadline=None, database=None, derandomize=True)
        @given(sizes)
        def run(found: list[int]) -> None:
            check(self.groups(found))

        run()
