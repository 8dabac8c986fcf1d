"""One graph per configuration: its bonds do not depend on where, how turned or in what order it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from vitrine.errors import DataError
from vitrine.physics.plane import plane_of
from vitrine.physics.plane_neighbours import bonds_of, reverse_of
from vitrine.represent.particle_graph import ParticleGraph
from vitrine.samples import Examples, Samples
from vitrine.testing import flat_configuration, flat_samples

SINGLE = 1e-6
"""of lengths up to 3 in single precision"""
RULES = ("nearest", "voronoi")


def graph_of(atoms: Atoms, rule: str) -> dict[tuple[int, int], float]:
    """Bond -> length."""
    bonds = bonds_of(plane_of(atoms, "mine"), rule, 6)  # type: ignore[arg-type]
    return dict(zip(map(tuple, bonds.edges.T.tolist()), np.linalg.norm(bonds.vectors, axis=1), strict=True))


def check_same(one: dict[tuple[int, int], float], other: dict[tuple[int, int], float]) -> None:
    assert one.keys() == other.keys()
    np.testing.assert_allclose([one[pair] for pair in one], [other[pair] for pair in one], atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("periodic", [True, False])
def test_a_graph_does_not_tell_where_it_is(rule: str, periodic: bool) -> None:
    atoms = flat_configuration(0)
    atoms.pbc = (periodic, periodic, False)
    atoms.positions[:, :2] %= atoms.cell[0, 0]
    wanted = graph_of(atoms, rule)
    if periodic:
        moved = atoms.copy()
        moved.positions += [3.3, -17.1, 2.0]
        check_same(graph_of(moved, rule), wanted)
        images = atoms.copy()
        images.positions += np.random.default_rng(0).integers(-2, 3, (100, 3)) * [1, 1, 0] @ atoms.cell
        check_same(graph_of(images, rule), wanted)
    for turns in (1, 2, 3):
        turned = atoms.copy()
        for _ in range(turns):  # about the middle of the box, so that a window stays within itself
            x, y = turned.positions[:, 0].copy(), turned.positions[:, 1].copy()
            turned.positions[:, 0], turned.positions[:, 1] = atoms.cell[0, 0] - y, x
        check_same(graph_of(turned, rule), wanted)
    order = np.random.default_rng(1).permutation(100)
    swapped = {
        (int(order[i]), int(order[j])): length for (i, j), length in graph_of(atoms[order], rule).items()
    }
    check_same(swapped, wanted)


@pytest.mark.parametrize("rule", RULES)
def test_a_turned_cluster_far_from_any_border_keeps_its_graph(rule: str) -> None:
    """By any angle: a disc of particles in the middle of a large window."""
    cluster = flat_configuration(0, 400)
    middle = cluster.cell[0, 0] / 2
    inside = np.hypot(*(cluster.positions[:, :2] - middle).T) < 8.0
    cluster = cluster[inside]
    cluster.pbc = False
    wanted = graph_of(cluster, rule)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = cluster.copy()
    turned.positions[:, :2] = (cluster.positions[:, :2] - middle) @ turn.T + middle
    check_same(graph_of(turned, rule), wanted)


@pytest.mark.parametrize("rule", RULES)
def test_arrays_fit_together(rule: str, tmp_path: Path) -> None:
    samples = flat_samples()
    part = ParticleGraph(neighbours=rule, k=5)  # type: ignore[arg-type]
    found = part.build(samples, None)  # type: ignore[arg-type]
    assert found.makes == "whole-graphs" and found.whole and found.features.shape == (4, 0)
    assert found.nodes is not None and found.edges is not None and found.edge_starts is not None
    assert found.edge_vectors is not None and found.node_starts is not None
    assert part.node_labels() == ("is Ni", "is P")
    np.testing.assert_array_equal(found.node_starts, np.arange(5) * 100)
    symbols = [symbol for atoms in samples.items for symbol in atoms.symbols]
    np.testing.assert_array_equal(found.nodes, [[s == "Ni", s == "P"] for s in symbols])
    assert found.nodes.dtype == np.float32 and found.edge_vectors.dtype == np.float32
    keys = found.edges[0] * 400 + found.edges[1]
    assert (np.diff(keys) > 0).all(), "sorted by centre and neighbour, each once"
    back = reverse_of(found.edges)
    np.testing.assert_array_equal(found.edge_vectors[back], -found.edge_vectors)
    assert (found.edge_vectors[:, 2] == 0).all()
    for number, atoms in enumerate(samples.items):
        edges = found.edges[:, found.edge_starts[number] : found.edge_starts[number + 1]] - 100 * number
        vectors = found.edge_vectors[found.edge_starts[number] : found.edge_starts[number + 1]]
        for i, j, vector in zip(*edges, vectors, strict=True):
            np.testing.assert_allclose(vector, atoms.get_distance(i, j, mic=True, vector=True), atol=SINGLE)
    degree = np.bincount(found.edges[0], minlength=400)
    assert degree.min() >= (5 if rule == "nearest" else 3)
    found.save(tmp_path)
    assert Examples.load(tmp_path).digest() == found.digest()


def test_single_samples_are_cut_out_with_their_nodes() -> None:
    samples, part = flat_samples(3), ParticleGraph()
    together = part.build(samples, None)  # type: ignore[arg-type]
    alone = part.build(samples.select([2]), None)  # type: ignore[arg-type]
    assert together.select([2]).digest() == alone.digest()


def test_boxes_of_different_size_stand_side_by_side() -> None:
    frames = [flat_configuration(0, 80), flat_configuration(1, 150)]
    found = ParticleGraph().build(Samples("atoms", frames, ("a", "b"), ("a", "b")), None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.node_starts, [0, 80, 230])  # type: ignore[arg-type]
    found._check()


def test_a_box_too_small_is_named() -> None:
    tiny = Samples("atoms", [flat_configuration(0, 9)], ("tiny",), ("tiny",))
    with pytest.raises(DataError, match=r"tiny: the 8th neighbour is at .* beyond half the box"):
        ParticleGraph(k=8).build(tiny, None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="tiny holds 9 particles; 9 nearest neighbours need at least 10"):
        ParticleGraph(k=9).build(tiny, None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a representation got no samples"):
        ParticleGraph().build(Samples("atoms", [], (), ()), None)  # type: ignore[arg-type]
