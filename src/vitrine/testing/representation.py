"""The contract of representations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import VitrineError
from vitrine.samples import Examples, Samples
from vitrine.tasks import Outcome, Task
from vitrine.testing import symmetries as sym
from vitrine.testing.fingerprint import fingerprint
from vitrine.testing.inputs import samples_of_kind, some_of, without_each_field
from vitrine.testing.part import PartContract, check_refusal


class RepresentationContract(PartContract):
    """Features fit the samples, come from each sample alone, are stored, and keep its symmetries.

    Attributes
    ----------
    symmetries: what leaves the features as they are. Atoms: ``rotate`` (any rotation, fields with a
        direction turned along), ``rotate_with_load`` (configuration and ``info["direction"]``
        together), ``translate``, ``permute`` (features follow their atoms), ``wrap`` (across the
        periodic boundary), ``replicate`` (two cells side by side). Formulas: ``order`` of the
        elements, ``scale`` of the amounts.
    tolerance: of features before and after, relative to the largest of their column.
    """

    symmetries: ClassVar[tuple[str, ...]]
    tolerance: ClassVar[float] = 1e-4
    """Positions are turned and moved in double precision, features are kept in single."""

    def samples(self) -> Samples:
        """Samples to represent; by default those of :mod:`vitrine.testing` of the kind that it takes."""
        return samples_of_kind(self.part.takes)

    # ------------------------------------------------------------------ what it makes

    def test_it_makes_what_it_says(self, tmp_path: Path) -> None:
        """``Examples`` of the kind ``makes``, one row per sample or per atom, ids and groups kept."""
        samples = self.samples()
        assert samples.kind == self.part.takes
        examples = self._built(tmp_path, samples)
        assert examples.makes == self.part.makes
        assert examples.ids == samples.ids and examples.groups == samples.groups
        assert examples.starts.dtype == np.int64 and examples.starts.shape == (len(samples) + 1,)
        assert examples.starts[0] == 0 and examples.starts[-1] == examples.n_rows
        assert (np.diff(examples.starts) > 0).all(), "a sample without rows"

    def test_features_are_finite_and_named(self, tmp_path: Path) -> None:
        """``(n_rows, n_features)`` float32, a label for each column, no label twice."""
        examples = self._built(tmp_path, self.samples())
        assert examples.features.dtype == np.float32 and examples.features.ndim == 2
        assert np.isfinite(examples.features).all()
        labels = self.part.feature_labels()
        assert examples.feature_labels == labels
        assert len(labels) == examples.features.shape[1] and len(set(labels)) == len(labels)
        assert all(isinstance(label, str) and label for label in labels)

    def test_edges_stay_within_their_sample(self, tmp_path: Path) -> None:
        """``(2, n_edges)`` int64 between rows (or nodes) of one sample; graphs have them, vectors none."""
        examples = self._built(tmp_path, self.samples())
        if examples.makes == "vectors":
            assert examples.edges is None and examples.edge_starts is None
        if examples.edges is None or examples.edge_starts is None:
            assert examples.makes not in ("graphs", "whole-graphs", "crystals"), (
                "graphs need edges and edge_starts"
            )
            return
        assert examples.edges.dtype == np.int64 and examples.edges.shape[0] == 2
        assert examples.edge_starts.shape == (len(examples) + 1,)
        assert examples.edge_starts[0] == 0 and examples.edge_starts[-1] == examples.edges.shape[1]
        owner = np.repeat(np.arange(len(examples)), np.diff(examples.edge_starts))
        joined = examples.owner
        if examples.nodes is not None and examples.node_starts is not None:
            joined = np.repeat(np.arange(len(examples)), np.diff(examples.node_starts))
        assert (joined[examples.edges] == owner).all()
        if examples.edge_vectors is not None:
            assert examples.edge_vectors.dtype == np.float32
            assert examples.edge_vectors.shape == (examples.edges.shape[1], 3)

    def test_whole_samples_are_one_row(self, tmp_path: Path) -> None:
        """Graphs, crystals and images of whole samples: one row each, finite float32 nodes, uint8 images."""
        examples = self._built(tmp_path, self.samples())
        if examples.makes in ("whole-graphs", "crystals", "images"):
            assert examples.whole, "one prediction for a sample needs one row for it"
        assert (examples.images is None) == (examples.makes != "images")
        assert (examples.nodes is None) == (examples.makes not in ("whole-graphs", "crystals"))
        if examples.nodes is not None and examples.node_starts is not None:
            assert examples.nodes.dtype == np.float32 and np.isfinite(examples.nodes).all()
            assert examples.node_starts.shape == (len(examples) + 1,)
            assert examples.node_starts[0] == 0 and examples.node_starts[-1] == len(examples.nodes)
            assert (np.diff(examples.node_starts) > 0).all(), "a graph without nodes"
        if examples.images is not None:
            assert examples.images.dtype in (np.uint8, np.float32)
            assert examples.images.ndim == 3 and len(examples.images) == len(examples)

    def test_examples_survive_the_store(self, tmp_path: Path) -> None:
        """Written and read back without pickles, they are the same."""
        examples = self._built(tmp_path / "store", self.samples())
        examples.save(tmp_path)
        assert Examples.load(tmp_path).digest() == examples.digest()

    # ------------------------------------------------------------------ how it makes it

    def test_it_is_deterministic_and_changes_no_sample(self, tmp_path: Path) -> None:
        """Two stores, one result."""
        samples = self.samples()
        before = fingerprint(samples)
        one, other = (self._built(tmp_path / name, samples) for name in ("one", "other"))
        assert one.digest() == other.digest()
        assert fingerprint(samples) == before, "build() has changed the samples"

    def test_what_is_stored_is_used_again(self, tmp_path: Path) -> None:
        """A second build finds everything in the store."""
        samples = self.samples()
        one = self._built(tmp_path, samples)
        with _campaign(tmp_path) as campaign:
            again = self.part.build(samples, campaign.compute)
            assert all(outcome.reused for outcome in campaign.outcomes)
        assert again.digest() == one.digest()

    def test_a_failed_task_is_said(self) -> None:
        """Features that could not be computed are an error that names the reason, no hole."""
        asked: list[Task] = []

        def fail(tasks: Any) -> list[Outcome]:
            asked.extend(tasks)
            return [Outcome(t.label, t.kind, t.key, None, error="two atoms in one place") for t in tasks]

        try:
            self.part.build(self.samples(), fail)
        except VitrineError as error:
            assert "two atoms in one place" in str(error)
        else:
            assert not asked, "build() has gone on without what its tasks should have made"

    def test_a_missing_field_is_named(self, tmp_path: Path) -> None:
        """Samples of atoms without a per-atom field that it needs: a DataError names both."""
        every = self.samples()
        if every.kind != "atoms":
            pytest.skip("per-atom fields")
        samples = some_of(every, np.array([len(every) - 1]))
        for field, poorer in without_each_field(samples):
            check_refusal(partial(self._built, tmp_path, poorer), field, samples.ids[-1])

    def test_a_sample_does_not_depend_on_the_others(self, tmp_path: Path) -> None:
        """Its features are those that it has alone: no statistics of a set leak into its parts."""
        samples = self.samples()
        together = self._built(tmp_path, samples)
        for number in (0, len(samples) - 1):
            alone = self._built(tmp_path, some_of(samples, np.array([number])))
            assert alone.digest() == together.select([number]).digest()

    # ------------------------------------------------------------------ symmetries

    def test_symmetry(self, symmetry: str, tmp_path: Path) -> None:
        """What the class names under ``symmetries`` changes no feature, node, bond or image."""
        samples = self.samples()
        wanted = self._built(tmp_path, samples)
        for changed, order in sym.changes(samples, symmetry):
            found = self._built(tmp_path, changed)
            rows = self._rows(wanted, found, order)
            scale = np.abs(wanted.features).max(axis=0, initial=1e-12)
            error = (np.abs(found.features - wanted.features[rows]) / scale).max(axis=0)
            if len(error):
                assert error.max() <= self.tolerance, (
                    f"{symmetry} changes {wanted.feature_labels[int(error.argmax())]!r} by {error.max():.2g} "
                    "of its largest"
                )
            if wanted.images is not None and found.images is not None:
                changes = float((wanted.images != found.images).mean())
                assert changes <= self.tolerance, f"{symmetry} changes {changes:.2g} of the pixels"
            if symmetry != "replicate":
                joined = rows if wanted.nodes is None else _nodes(wanted, found, order)
                _check_same_edges(wanted, found, joined, self.tolerance)

    @staticmethod
    def _rows(wanted: Examples, found: Examples, order: list[NDArray[Any]] | None) -> NDArray[Any]:
        """Row of ``wanted`` that each row of ``found`` must equal."""
        if order is None or (np.diff(wanted.starts) == 1).all():
            assert np.array_equal(wanted.starts, found.starts)
            return np.arange(wanted.n_rows)
        return np.concatenate([start + moved for start, moved in zip(wanted.starts, order, strict=False)])

    # ------------------------------------------------------------------ helpers

    def _built(self, store: Path, samples: Samples) -> Examples:
        with _campaign(store) as campaign:
            examples: Examples = self.part.build(samples, campaign.compute)
        return examples

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each symmetry."""
        if "symmetry" in metafunc.fixturenames:
            named = getattr(metafunc.cls, "symmetries", None)
            if named is None:
                pytest.fail(f"{metafunc.cls.__name__} must say which `symmetries` hold; () for none", False)
            metafunc.parametrize("symmetry", named)


@contextmanager
def _campaign(store: Path) -> Iterator[Campaign]:
    with Campaign(store / "store", workers=0) as campaign:
        yield campaign


def _nodes(wanted: Examples, found: Examples, order: list[NDArray[Any]] | None) -> NDArray[Any]:
    """Node of ``wanted`` that each node of ``found`` must equal, and does."""
    assert wanted.nodes is not None and wanted.node_starts is not None
    assert found.nodes is not None and found.node_starts is not None
    assert np.array_equal(wanted.node_starts, found.node_starts)
    nodes = np.arange(len(wanted.nodes))
    if order is not None:
        starts = wanted.node_starts
        nodes = np.concatenate([start + moved for start, moved in zip(starts, order, strict=False)])
    np.testing.assert_array_equal(found.nodes, wanted.nodes[nodes])
    return nodes


def _check_same_edges(wanted: Examples, found: Examples, joined: NDArray[Any], tolerance: float) -> None:
    """The same bonds of the same lengths between the same atoms, in whatever order."""
    if wanted.edges is None or found.edges is None:
        assert wanted.edges is found.edges
        return
    size = len(joined)
    before = wanted.edges[0] * size + wanted.edges[1]
    after = joined[found.edges[0]] * size + joined[found.edges[1]]
    first, second = np.argsort(before, kind="stable"), np.argsort(after, kind="stable")
    np.testing.assert_array_equal(after[second], before[first])
    if wanted.edge_vectors is None or found.edge_vectors is None:
        return
    lengths = [np.linalg.norm(e, axis=1) for e in (wanted.edge_vectors[first], found.edge_vectors[second])]
    if len(np.unique(before)) < len(before):  # bonds to several images of one atom come in any order
        lengths = [np.sort(values) for values in lengths]
    np.testing.assert_allclose(lengths[1], lengths[0], rtol=0.0, atol=tolerance * lengths[0].max(initial=0.0))
