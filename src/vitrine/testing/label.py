"""The contract of labels."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from vitrine.samples import Samples
from vitrine.testing import symmetries as sym
from vitrine.testing.fingerprint import fingerprint
from vitrine.testing.inputs import samples_of_kind, some_of, without_each_field
from vitrine.testing.part import PartContract, check_refusal

ROUND_OFF = 1e-4
"""Relative, of a target in single precision after positions were turned or moved in double."""


class LabelContract(PartContract):
    """Targets fit the rows, and belong to the samples and atoms that they are said to belong to.

    Attributes
    ----------
    symmetries: of samples of atoms: what leaves the targets as they are, out of ``rotate``,
        ``translate``, ``permute`` (targets follow their atoms), ``wrap``, ``replicate``.
    alone: whether the targets of a sample are those that it would have alone; False for labels
        that compare the samples of a set.
    """

    symmetries: ClassVar[tuple[str, ...]] = ("rotate", "translate", "permute", "wrap")
    alone: ClassVar[bool] = True

    def samples(self) -> Samples:
        """Samples to label; by default those of :mod:`vitrine.testing` of the kind that it takes."""
        return samples_of_kind(self.part.takes)

    def test_targets_fit_the_rows(self) -> None:
        """One finite float32 array per sample, an entry per atom or one; classes are numbers from 0."""
        samples = self.samples()
        assert samples.kind == self.part.takes
        assert self.part.makes in ("binary", "value", "classes")
        targets = self.part.targets(samples)
        assert len(targets) == len(samples)
        for target, item in zip(targets, _items(samples), strict=True):
            assert isinstance(target, np.ndarray) and target.dtype == np.float32
            assert target.shape in ((1,), (_size(item),)), "one target for the sample, or one per atom"
            assert np.isfinite(target).all()
            if self.part.makes == "classes":
                assert set(np.unique(target)) <= set(range(len(self.part.class_names(samples))))
            if self.part.makes == "binary":
                assert set(np.unique(target)) <= {0.0, 1.0}
        unit = getattr(self.part, "unit", None)
        assert unit is None or isinstance(unit, str)

    def test_severity_stands_beside_the_targets(self) -> None:
        """None, or one finite array per sample with an entry for each target."""
        samples = self.samples()
        severity = self.part.severity(samples)
        if severity is None:
            return
        for values, target in zip(severity, self.part.targets(samples), strict=True):
            assert values.dtype == np.float32 and values.shape == target.shape
            assert np.isfinite(values).all()

    def test_a_missing_field_is_named(self) -> None:
        """Samples of atoms without a per-atom field that the label needs: a DataError names both."""
        samples = self.samples()
        if samples.kind != "atoms":
            pytest.skip("per-atom fields")
        for field, poorer in without_each_field(samples):
            check_refusal(partial(self.part.targets, poorer), field, samples.ids[-1])

    def test_targets_follow_their_samples(self) -> None:
        """Samples in another order have their targets in that order; asking twice changes nothing."""
        samples = self.samples()
        before = fingerprint(samples)
        targets = self.part.targets(samples)
        _check_same(targets, self.part.targets(samples), 0.0)
        order = np.random.default_rng(0).permutation(len(samples))
        shuffled = self.part.targets(some_of(samples, order))
        _check_same([targets[i] for i in order], shuffled, 0.0)
        if self.alone:
            _check_same(targets[:1], self.part.targets(some_of(samples, np.array([0]))), 0.0)
        assert fingerprint(samples) == before, "targets() has changed the samples"

    def test_what_is_no_event_changes_no_target(self, symmetry: str) -> None:
        """The symmetries that the class names; for samples of atoms."""
        samples = self.samples()
        if samples.kind != "atoms":
            pytest.skip("symmetries of atoms")
        targets = self.part.targets(samples)
        for changed, order in sym.changes(samples, symmetry):
            moved = [None] * len(samples) if order is None else order
            wanted = [
                target if where is None or len(target) == 1 else target[where]
                for target, where in zip(targets, moved, strict=True)
            ]
            _check_same(wanted, self.part.targets(changed), ROUND_OFF)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each symmetry."""
        if "symmetry" in metafunc.fixturenames:
            metafunc.parametrize("symmetry", metafunc.cls.symmetries)


def _items(samples: Samples) -> list[Any]:
    """Items one by one, those of a table as rows."""
    return list(samples.items) if isinstance(samples.items, (list, tuple)) else [None] * len(samples)


def _size(item: Any) -> int:
    return len(item) if hasattr(item, "__len__") else 1


def _check_same(wanted: list[Any], found: list[Any], tolerance: float) -> None:
    assert len(wanted) == len(found)
    for one, other in zip(wanted, found, strict=True):
        scale = max(float(np.abs(one).max(initial=0.0)), 1e-12)
        np.testing.assert_allclose(other, one, rtol=0.0, atol=tolerance * scale)
