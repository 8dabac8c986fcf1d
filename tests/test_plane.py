"""Configurations in a plane and their neighbours, against freud and by brute force."""

from __future__ import annotations

from typing import Any

import freud
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.errors import DataError, StudyError
from vitrine.physics.plane import Plane, kinds_of, plane_of, planes_of
from vitrine.physics.plane_neighbours import (
    bonds_of,
    nearest,
    nearest_bonds,
    pairs_within,
    reverse_of,
    voronoi_bonds,
)
from vitrine.testing import flat_configuration, flat_samples, formula_samples

SINGLE = 2e-5
"""freud keeps positions in single precision: 1e-7 of a box of 20, and a few operations."""


def gas(n: int, lengths: tuple[float, float] = (9.0, 9.0), seed: int = 0, periodic: bool = True) -> Plane:
    """Points without order."""
    edges = np.array(lengths)
    return Plane(np.random.default_rng(seed).uniform(size=(n, 2)) * edges, edges, periodic)


def in_freud(plane: Plane) -> tuple[Any, Any]:
    """Box and points (n, 3), the centre of the box at the origin."""
    box = freud.box.Box(*plane.lengths, is2D=True)
    return box, np.pad(plane.positions - plane.lengths / 2, ((0, 0), (0, 1)))


# ---------------------------------------------------------------- reading


def test_positions_are_wrapped_and_the_box_is_read() -> None:
    atoms = Atoms("NiPNi", [[-0.5, 4.0, 0.0], [7.0, 0.0, 0.0], [1.0, -1e-17, 0.0]], cell=[3.0, 4.0, 1.0])
    atoms.pbc = (True, True, False)
    plane = plane_of(atoms, "mine")
    assert plane.periodic and plane.where == "mine" and len(plane) == 3 and plane.area == 12.0
    np.testing.assert_allclose(plane.positions, [[2.5, 0.0], [1.0, 0.0], [1.0, 0.0]], atol=1e-12)
    assert (plane.positions < plane.lengths).all(), "what rounds up to the edge is at 0"
    np.testing.assert_allclose(plane.shortest(np.array([[2.0, -2.5]])), [[-1.0, 1.5]])


def test_a_dump_of_a_thin_box_is_flat() -> None:
    """LAMMPS writes pbc p p p and a box from -0.5 to 0.5; particles at -1 and 0 are then in one plane."""
    atoms = Atoms("NiP", [[0.0, 0.0, 0.0], [1.0, 1.0, -1.0]], cell=[3.0, 3.0, 1.0], pbc=True)
    assert len(plane_of(atoms, "dump")) == 2
    atoms.pbc = (True, True, False)
    with pytest.raises(DataError, match="spans 1 in z"):
        plane_of(atoms, "dump")


def test_a_window_keeps_its_places() -> None:
    atoms = Atoms("NiP", [[0.0, 3.0, 7.0], [2.5, 0.1, 7.0]], cell=[3.0, 3.0, 0.0], pbc=False)
    plane = plane_of(atoms, "window")
    assert not plane.periodic
    np.testing.assert_array_equal(plane.positions, [[0.0, 3.0], [2.5, 0.1]])
    np.testing.assert_array_equal(plane.shortest(np.array([[2.9, 0.0]])), [[2.9, 0.0]])


def _with(**changes: Any) -> Atoms:
    atoms = flat_configuration(0, 20)
    if "at" in changes:
        row, place = changes["at"]
        atoms.positions[row] = place
    atoms.set_cell(changes.get("cell", atoms.cell[:]))
    atoms.pbc = changes.get("pbc", atoms.pbc)
    return atoms


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"at": (3, (1.0, 1.0, 12.3))}, "box.xyz spans 12.3 in z; the study of 2-D configurations needs all"),
        ({"at": (3, (1.0, np.nan, 0.0))}, "box.xyz: the position of particle 4 is not finite"),
        ({"cell": [[4, 0, 0], [1, 4, 0], [0, 0, 1]]}, "its cell is skewed"),
        ({"cell": [[0, 4, 0], [4, 0, 0], [0, 0, 1]]}, "its cell is skewed"),
        ({"cell": np.zeros((3, 3))}, "has no box"),
        ({"cell": np.diag([4.0, -4.0, 1.0])}, "both must be above 0"),
        ({"cell": np.diag([4.0, np.inf, 1.0])}, "its cell is not finite"),
        ({"pbc": (True, False, False)}, "periodic along x only"),
        ({"pbc": False, "at": (2, (-1.0, 1.0, 0.0))}, r"particle 3 at \(-1, 1\) lies outside the window"),
    ],
)
def test_what_is_no_plane_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        plane_of(_with(**changes), "box.xyz")


def test_no_particles_is_refused() -> None:
    with pytest.raises(DataError, match="empty holds no particles"):
        plane_of(Atoms(cell=[3, 3, 1], pbc=True), "empty")


def test_species_are_told_by_their_symbols() -> None:
    atoms = Atoms("NiPPNi", np.zeros((4, 3)))
    np.testing.assert_array_equal(kinds_of(atoms, ("Ni", "P"), "mine"), [0, 1, 1, 0])
    np.testing.assert_array_equal(kinds_of(atoms, ("P", "Ni"), "mine"), [1, 0, 0, 1])
    with pytest.raises(DataError, match=r"mine holds P, but its species should be Ni and Cu; set represent"):
        kinds_of(atoms, ("Ni", "Cu"), "mine")
    with pytest.raises(StudyError, match="'Np2' is no chemical symbol; did you mean"):
        kinds_of(atoms, ("Ni", "Np2"), "mine")


def test_samples_are_named_by_their_ids() -> None:
    samples = flat_samples(2)
    planes = list(planes_of(samples, ("Ni", "P")))
    assert [plane.where for plane, _ in planes] == ["flat0/1", "flat1/1"]
    assert [int((kinds == 0).sum()) for _, kinds in planes] == [65, 65]
    with pytest.raises(DataError, match="flat0/1 holds P"):
        list(planes_of(samples, ("Ni",)))
    with pytest.raises(StudyError, match="atoms, not formulas"):
        list(planes_of(formula_samples(), ("Ni",)))


# ---------------------------------------------------------------- nearest neighbours


@pytest.mark.parametrize("k", [1, 2, 6, 11])
@pytest.mark.parametrize("lengths", [(9.0, 9.0), (12.0, 8.0)])
def test_nearest_are_those_of_freud(k: int, lengths: tuple[float, float]) -> None:
    plane = gas(150, lengths)
    box, points = in_freud(plane)
    query = freud.locality.AABBQuery(box, points).query(points, {"num_neighbors": k, "exclude_ii": True})
    wanted = query.toNeighborList(sort_by_distance=True)
    found, vectors = nearest(plane, k)
    np.testing.assert_array_equal(found, np.asarray(wanted.point_indices).reshape(-1, k))
    distances = np.asarray(wanted.distances).reshape(-1, k)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), distances, atol=SINGLE)


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 40), st.integers(1, 5), st.integers(0, 10_000), st.booleans())
def test_nearest_by_brute_force(n: int, k: int, seed: int, periodic: bool) -> None:
    plane = gas(n, (9.0, 7.0), seed, periodic)
    away = plane.shortest(plane.positions[None] - plane.positions[:, None])
    distance = np.linalg.norm(away, axis=2) + np.diag(np.full(n, np.inf))
    wanted = np.argsort(distance, axis=1)[:, :k]
    if periodic and distance[np.arange(n), wanted[:, -1]].max() >= 3.5:
        with pytest.raises(DataError, match="beyond half the box"):
            nearest(plane, k)
        return
    found, vectors = nearest(plane, k)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(vectors, away[np.arange(n)[:, None], wanted], atol=1e-12)


@pytest.mark.parametrize("periodic", [True, False])
def test_bonds_are_the_union_of_both_directions(periodic: bool) -> None:
    plane = gas(80, seed=3, periodic=periodic)
    neighbours, _ = nearest(plane, 4)
    one_way = {(i, int(j)) for i, row in enumerate(neighbours) for j in row}
    bonds = nearest_bonds(plane, 4)
    assert list(map(tuple, bonds.edges.T.tolist())) == sorted(one_way | {(j, i) for i, j in one_way})
    reached = plane.positions[bonds.edges[0]] + bonds.vectors
    off = (reached - plane.positions[bonds.edges[1]]) / plane.lengths
    np.testing.assert_allclose(off, np.rint(off), atol=1e-12)
    assert (np.abs(bonds.vectors) <= plane.lengths / 2 + 1e-12).all() or not periodic


def test_too_few_or_too_near_is_said() -> None:
    with pytest.raises(DataError, match="holds 6 particles; 6 nearest neighbours need at least 7"):
        nearest(gas(6), 6)
    with pytest.raises(DataError, match=r"the 5th neighbour is at .* beyond half the box \(4.5\)"):
        nearest(gas(7), 5)
    assert nearest(gas(7, periodic=False), 5)[0].shape == (7, 5), "a window has no images"
    twice = gas(20)
    twice.positions[7] = twice.positions[4]
    with pytest.raises(DataError, match="particles 5 and 8 are in one place"):
        nearest(twice, 3)


# ---------------------------------------------------------------- Voronoi


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lengths", [(9.0, 9.0), (14.0, 7.0)])
def test_voronoi_neighbours_are_those_of_freud(seed: int, lengths: tuple[float, float]) -> None:
    """But for sides too short for freud's single precision."""
    plane = gas(120, lengths, seed)
    cells = freud.locality.Voronoi()
    cells.compute(in_freud(plane))
    long = np.asarray(cells.nlist.weights) > 1e-4
    wanted = set(map(tuple, np.asarray(cells.nlist[:])[long].tolist()))
    bonds = voronoi_bonds(plane)
    found = set(map(tuple, bonds.edges.T.tolist()))
    assert wanted <= found and len(found - wanted) <= 4
    assert len(found) == 6 * len(plane), "Euler: six neighbours each on a torus"
    lengths_of = dict(
        zip(map(tuple, bonds.edges.T.tolist()), np.linalg.norm(bonds.vectors, axis=1), strict=True)
    )
    for pair, distance in zip(cells.nlist[:].tolist(), cells.nlist.distances, strict=True):
        if tuple(pair) in wanted:
            assert abs(lengths_of[tuple(pair)] - distance) < SINGLE


def test_voronoi_bonds_go_both_ways() -> None:
    for plane in (gas(60, seed=5), gas(60, seed=5, periodic=False)):
        bonds = voronoi_bonds(plane)
        back = reverse_of(bonds.edges)
        np.testing.assert_array_equal(bonds.edges[:, back], bonds.edges[::-1])
        np.testing.assert_allclose(bonds.vectors[back], -bonds.vectors, atol=1e-12)


def test_a_square_lattice_is_triangulated_somehow() -> None:
    sites = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2)
    bonds = voronoi_bonds(Plane(sites, np.array([6.0, 6.0]), True))
    lengths = np.linalg.norm(bonds.vectors, axis=1)
    assert np.isclose(lengths, 1.0).sum() == 4 * 36, "all nearest neighbours"
    assert (np.isclose(lengths, 1.0) | np.isclose(lengths, np.sqrt(2))).all()
    np.testing.assert_array_equal(bonds.edges[:, reverse_of(bonds.edges)], bonds.edges[::-1])


def test_voronoi_of_what_has_none_is_said() -> None:
    line = Plane(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), np.array([4.0, 4.0]), False)
    with pytest.raises(DataError, match="cannot be triangulated"):
        voronoi_bonds(line)
    with pytest.raises(DataError, match="needs three at least"):
        voronoi_bonds(gas(2))
    with pytest.raises(DataError, match=r"larger box is needed|too small for Voronoi"):
        voronoi_bonds(gas(4))
    twice = gas(30, seed=1)
    twice.positions[7] = twice.positions[4]
    with pytest.raises(DataError, match="particles 5 and 8 are in one place"):
        voronoi_bonds(twice)


def test_a_hole_in_the_box_widens_the_rim() -> None:
    """All particles in one corner: neighbours across the empty rest of the box need far images."""
    points = np.random.default_rng(0).uniform(size=(60, 2)) * [9.0, 2.5]
    plane = Plane(points, np.array([9.0, 9.0]), True)
    far = np.abs(voronoi_bonds(plane).vectors[:, 1]) > 5.0
    assert far.any(), "neighbours across the hole"


# ---------------------------------------------------------------- reverses and pairs


def test_reverse_of_edges_in_any_order() -> None:
    edges = nearest_bonds(gas(50), 3).edges
    shuffled = edges[:, np.random.default_rng(0).permutation(edges.shape[1])]
    back = reverse_of(shuffled)
    np.testing.assert_array_equal(shuffled[:, back], shuffled[::-1])
    np.testing.assert_array_equal(back[back], np.arange(len(back)))
    assert reverse_of(np.zeros((2, 0), np.int64)).shape == (0,)
    with pytest.raises(DataError, match="the edge from 1 to 2 has no reverse"):
        reverse_of(np.array([[0, 1, 1], [1, 0, 2]]))


@pytest.mark.parametrize("periodic", [True, False])
def test_pairs_by_brute_force(periodic: bool) -> None:
    plane = gas(70, (9.0, 8.0), 2, periodic)
    away = plane.shortest(plane.positions[None] - plane.positions[:, None])
    near = np.triu(np.linalg.norm(away, axis=2) <= 3.9, 1)
    pairs, vectors = pairs_within(plane, 3.9)
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == set(zip(*np.nonzero(near), strict=True))
    assert len(pairs) == near.sum()
    np.testing.assert_allclose(vectors, away[pairs[:, 0], pairs[:, 1]], atol=1e-12)
    with pytest.raises(DataError, match=r"r_max = 4.1 is beyond half the box \(4\); .* at most 4"):
        pairs_within(plane, 4.1)


def test_rules_by_name() -> None:
    plane = gas(40)
    np.testing.assert_array_equal(bonds_of(plane, "voronoi", 3).edges, voronoi_bonds(plane).edges)
    np.testing.assert_array_equal(bonds_of(plane, "nearest", 3).edges, nearest_bonds(plane, 3).edges)
