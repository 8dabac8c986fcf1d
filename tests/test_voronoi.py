"""Voronoi polyhedra: crystals by formula, glasses against OVITO and freud, symmetries, bad input."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial import Voronoi as Qhull
from scipy.spatial.transform import Rotation

from vitrine.errors import DataError, EngineError, MissingExtra, StudyError
from vitrine.physics import voronoi as module
from vitrine.physics.voronoi import Voronoi, icosahedral, voronoi

ROUND_OFF = 1e-9
"""Relative, of volumes from float64 positions; observed 1e-14."""

A = 3.6
"""Å, lattice parameter of the crystals."""

BASES = {
    "sc": [[0, 0, 0]],
    "bcc": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "fcc": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
}

SHEARS = {
    "orthogonal": np.eye(3),
    "triclinic": np.array([[1.0, 0.25, -0.1], [0.0, 1.05, 0.15], [0.0, 0.0, 0.95]]),
}


def crystal(name: str, repeats: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    corners = np.indices(repeats).reshape(3, -1).T
    sites = corners[:, None] + np.array(BASES[name], dtype=float)
    return sites.reshape(-1, 3) * A + 0.1, np.diag(A * np.array(repeats, dtype=float))


def glass(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sizes of soft spheres at the density of Cu64Zr36, pushed apart from random places."""
    rng = np.random.default_rng(seed)
    length = (n * 16.5) ** (1 / 3)
    points = rng.random((n, 3)) * length
    size = rng.choice([2.45, 2.95], n, p=[0.64, 0.36])
    for _ in range(60):
        points %= length
        i, j = cKDTree(points, boxsize=length).query_pairs(3.0, output_type="ndarray").T
        apart = points[i] - points[j]
        apart -= length * np.round(apart / length)
        distance = np.linalg.norm(apart, axis=1)
        overlap = np.maximum(0, (size[i] + size[j]) / 2 - distance)
        push = (0.3 * overlap / np.maximum(distance, 1e-9))[:, None] * apart
        np.add.at(points, i, push)
        np.add.at(points, j, -push)
    return points, length * np.eye(3)


@pytest.fixture(scope="module", params=list(SHEARS))
def amorphous(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    points, cell = glass(500, seed=3)
    return points @ SHEARS[request.param].T, cell @ SHEARS[request.param].T


def ovito_analysis(points: np.ndarray, cell: np.ndarray) -> Any:
    """OVITO's own analysis with its own thresholds, and its positions as they are given."""
    reason = "OVITO, the oracle of the Voronoi indices, is not installed: pip install 'vitrine[ovito]'"
    data_module = pytest.importorskip("ovito.data", reason=reason, exc_type=ImportError)
    modifiers = pytest.importorskip("ovito.modifiers", reason=reason, exc_type=ImportError)
    data = data_module.DataCollection()
    box = data_module.SimulationCell(pbc=(True, True, True))
    box[:, :3] = cell.T
    particles = data_module.Particles(count=len(points))
    particles.create_property("Position", data=points)
    data.objects.extend([box, particles])
    data.apply(
        modifiers.VoronoiAnalysisModifier(
            compute_indices=True, relative_face_threshold=0.01, edge_threshold=0.1
        )
    )
    return data.particles


def edges_of(found: Voronoi, cell: np.ndarray, points: np.ndarray) -> set[tuple[int, ...]]:
    """Neighbours as (centre, neighbour, lattice shift), which does not depend on any order."""
    centre, neighbour = found.neighbours
    shift = (found.vector - (points[neighbour] - points[centre])) @ np.linalg.inv(cell)
    np.testing.assert_allclose(shift, np.round(shift), atol=1e-8)
    rows = np.column_stack([centre, neighbour, np.round(shift).astype(int)])
    return set(map(tuple, rows.tolist()))


def assert_symmetric(found: Voronoi) -> None:
    rows = np.column_stack([found.neighbours.T, np.round(found.vector, 6) + 0.0, np.round(found.area, 6)])
    back = np.column_stack([found.neighbours[::-1].T, np.round(-found.vector, 6) + 0.0, rows[:, 5]])
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], back[np.lexsort(back.T)])


# --- crystals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [(4, 4, 4), (3, 4, 5), (1, 2, 2)])
def test_bcc_is_the_truncated_octahedron(repeats: tuple[int, int, int]) -> None:
    """8 hexagons towards the nearest neighbours, 6 squares, all edges sqrt(2) a / 4."""
    points, cell = crystal("bcc", repeats)
    found = voronoi(points, cell)
    np.testing.assert_allclose(found.volume, A**3 / 2, rtol=ROUND_OFF)
    np.testing.assert_array_equal(found.index, np.tile([0, 6, 0, 8], (len(points), 1)))
    np.testing.assert_array_equal(found.n_faces, 14)
    edge = np.sqrt(2) * A / 4
    distance = np.linalg.norm(found.vector, axis=1)
    near = distance < 0.95 * A
    assert near.sum() == 8 * len(points)
    assert (~near).sum() == 6 * len(points)
    np.testing.assert_allclose(distance[near], np.sqrt(3) / 2 * A)
    np.testing.assert_allclose(found.area[near], 1.5 * np.sqrt(3) * edge**2)
    np.testing.assert_allclose(found.area[~near], edge**2)


@pytest.mark.parametrize(
    ("name", "index", "volume"), [("sc", (0, 6, 0, 0), A**3), ("fcc", (0, 12, 0, 0), A**3 / 4)]
)
@pytest.mark.parametrize("repeats", [(3, 3, 3), (1, 1, 4)])
def test_sc_is_the_cube_and_fcc_the_rhombic_dodecahedron(
    name: str, index: tuple[int, ...], volume: float, repeats: tuple[int, int, int]
) -> None:
    points, cell = crystal(name, repeats)
    found = voronoi(points, cell)
    np.testing.assert_allclose(found.volume, volume, rtol=ROUND_OFF)
    np.testing.assert_array_equal(found.index, np.tile(index, (len(points), 1)))
    assert found.neighbours.shape == (2, sum(index) * len(points))


def test_thresholds_hold_fcc_together_under_thermal_noise() -> None:
    """Four edges meet at six corners of the dodecahedron: noise splits them into small faces."""
    points, cell = crystal("fcc", (4, 4, 4))
    points += np.random.default_rng(0).normal(scale=0.01, size=points.shape)
    found = voronoi(points, cell)
    np.testing.assert_array_equal(found.index, np.tile([0, 12, 0, 0], (len(points), 1)))
    raw = voronoi(points, cell, relative_face_threshold=0.0, edge_threshold=0.0)
    assert raw.n_faces.mean() > 13
    np.testing.assert_allclose(found.volume.sum(), np.linalg.det(cell), rtol=ROUND_OFF)


def test_equivalent_cells_of_one_lattice_agree() -> None:
    points, cell = crystal("bcc", (3, 3, 3))
    skewed = cell.copy()
    skewed[1] += 2 * cell[0]
    skewed[2] -= cell[0] + cell[1]
    np.testing.assert_allclose(voronoi(points, skewed).volume, A**3 / 2, rtol=ROUND_OFF)


def test_icosahedron_in_a_disordered_matrix() -> None:
    """Twelve atoms at R about a centre cut out a regular dodecahedron of inradius R / 2.

    Its circumradius is 0.63 R, so that atoms beyond 1.26 R cannot touch it. With edge s, its
    inradius is s/2 sqrt((25 + 11 sqrt5) / 10) and its volume (15 + 7 sqrt5) s^3 / 4.
    """
    golden, radius, length = (1 + np.sqrt(5)) / 2, 2.6, 20.0
    shell = np.array([[0, s, t * golden] for s in (1, -1) for t in (1, -1)])
    shell = np.concatenate([np.roll(shell, k, axis=1) for k in range(3)])
    shell *= radius / np.linalg.norm(shell[0])
    matrix = glass(480, seed=5)[0]
    matrix = matrix / matrix.max() * length
    matrix = matrix[np.linalg.norm(matrix - length / 2, axis=1) > 1.3 * radius]
    points = np.concatenate([[np.zeros(3)], shell, matrix - length / 2])
    found = voronoi(points, length * np.eye(3))
    side = radius / np.sqrt((25 + 11 * np.sqrt(5)) / 10)
    assert found.volume[0] == pytest.approx((15 + 7 * np.sqrt(5)) / 4 * side**3, rel=ROUND_OFF)
    assert found.index[0].tolist() == [0, 0, 12, 0]
    assert icosahedral(found.index, found.n_faces)[0]
    assert set(found.neighbours[1, found.neighbours[0] == 0]) == set(range(1, 13))


def test_icosahedral_needs_twelve_faces_in_all() -> None:
    index = np.array([[0, 0, 12, 0], [0, 0, 12, 0], [0, 2, 8, 2]])
    assert icosahedral(index).tolist() == [True, True, False]
    assert icosahedral(index, np.array([12, 13, 12])).tolist() == [True, False, False]


# --- independent implementations -------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["scipy", "ovito"])
def test_amorphous_equals_ovito(amorphous: tuple[np.ndarray, np.ndarray], backend: str) -> None:
    theirs = ovito_analysis(*amorphous)
    ours = voronoi(*amorphous, backend=backend)
    np.testing.assert_allclose(ours.volume, theirs["Atomic Volume"][...], rtol=1e-6)
    index = np.array(theirs["Voronoi Index"])[:, 2:6]
    assert (ours.index == index).all(axis=1).mean() >= 0.995
    assert (ours.n_faces == theirs["Coordination"][...]).mean() >= 0.995
    assert len(np.unique(index, axis=0)) > 50  # a glass, not a crystal


def test_backends_find_the_same_neighbours(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    points, cell = amorphous
    ovito_analysis(points, cell)  # skips without OVITO
    ours, theirs = (voronoi(points, cell, backend=backend) for backend in ("scipy", "ovito"))
    assert edges_of(ours, cell, points) == edges_of(theirs, cell, points)
    assert_symmetric(theirs)
    assert np.sort(ours.area) == pytest.approx(np.sort(theirs.area), rel=1e-6)


def test_ovito_sees_unwrapped_atoms_alike(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    points, cell = amorphous
    away = points + np.random.default_rng(0).integers(-3, 4, points.shape) @ cell
    ovito_analysis(points, cell)
    ours, theirs = (voronoi(away, cell, backend=backend) for backend in ("scipy", "ovito"))
    assert edges_of(ours, cell, away) == edges_of(theirs, cell, away)


def test_volumes_equal_freud(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    import freud

    points, cell = amorphous
    theirs = freud.locality.Voronoi()
    box = freud.box.Box.from_matrix(cell.T)
    theirs.compute((box, box.wrap(points - cell.sum(axis=0) / 2)))
    # freud holds positions in single precision.
    np.testing.assert_allclose(voronoi(points, cell).volume, theirs.volumes, rtol=1e-5)


@pytest.mark.parametrize("n", [4, 7, 30])
def test_small_triclinic_boxes_equal_brute_force(n: int) -> None:
    """Qhull on 7 x 7 x 7 copies of the box, volumes as convex hulls of the vertices."""
    cell = np.array([[5.0, 0.0, 0.0], [2.4, 6.0, 0.0], [-1.5, 2.0, 4.5]]) * (n / 10) ** (1 / 3)
    points = np.random.default_rng(n).random((n, 3)) @ cell
    copies = (np.indices((7, 7, 7)).reshape(3, -1).T - 3) @ cell
    whole = Qhull((copies[:, None] + points).reshape(-1, 3))
    first = n * int(np.flatnonzero((copies == 0).all(axis=1))[0])
    hulls = [ConvexHull(whole.vertices[whole.regions[whole.point_region[first + i]]]) for i in range(n)]
    found = voronoi(points, cell, relative_face_threshold=0.0, edge_threshold=0.0)
    np.testing.assert_allclose(found.volume, [hull.volume for hull in hulls], rtol=ROUND_OFF)
    surface = np.bincount(found.neighbours[0], found.area, n)
    np.testing.assert_allclose(surface, [hull.area for hull in hulls], rtol=1e-6)


# --- the shell of images -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0.05, 0.6, 4.0])
def test_shell_is_widened_until_it_suffices(monkeypatch: pytest.MonkeyPatch, first: float) -> None:
    points, cell = glass(120, seed=1)
    expected = voronoi(points, cell)
    monkeypatch.setattr(module, "FIRST_MARGIN", first)
    found = voronoi(points, cell)
    np.testing.assert_allclose(found.volume, expected.volume, rtol=ROUND_OFF)
    np.testing.assert_array_equal(found.neighbours, expected.neighbours)


def test_a_cavity_much_wider_than_the_atomic_distance() -> None:
    points, cell = glass(150, seed=2)
    cell[2, 2] *= 2.5  # a slab with vacuum above
    theirs = ovito_analysis(points, cell)
    np.testing.assert_allclose(voronoi(points, cell).volume, theirs["Atomic Volume"][...], rtol=1e-6)


# --- neighbours --------------------------------------------------------------------------------------


def test_neighbours_are_sorted_symmetric_and_images(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    points, cell = amorphous
    found = voronoi(points, cell)
    assert found.neighbours.dtype == found.index.dtype == np.int64
    centre, neighbour = found.neighbours
    assert (np.diff(centre * len(points) + neighbour) >= 0).all()
    assert len(edges_of(found, cell, points)) == len(centre)  # no bond twice, all lattice shifts whole
    assert_symmetric(found)
    assert (np.linalg.norm(found.vector, axis=1) < 8).all()


def test_neighbours_are_the_union_over_both_sides(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    every = voronoi(*amorphous, relative_face_threshold=0.0, edge_threshold=0.0)
    n = len(every.volume)
    surface = np.bincount(every.neighbours[0], every.area, n)
    relative = every.area / surface[every.neighbours]  # (2, n_edges): as seen from either side
    found = voronoi(*amorphous, relative_face_threshold=0.02, edge_threshold=0.0)
    np.testing.assert_array_equal(
        found.n_faces, np.bincount(every.neighbours[0][relative[0] > 0.02], minlength=n)
    )
    np.testing.assert_array_equal(found.neighbours, every.neighbours[:, (relative > 0.02).any(axis=0)])
    degree = np.bincount(found.neighbours[0], minlength=n)
    assert (degree >= found.n_faces).all()
    assert (degree > found.n_faces).any()  # some faces count from one side only


def test_an_atom_can_be_its_own_neighbour() -> None:
    """Chains along x of a simple cubic lattice, one atom long: the x faces are shared with itself."""
    points, cell = crystal("sc", (1, 2, 2))
    found = voronoi(points, cell)
    itself = found.neighbours[0] == found.neighbours[1]
    np.testing.assert_array_equal(np.bincount(found.neighbours[0][itself], minlength=4), 2)
    np.testing.assert_allclose(np.abs(found.vector[itself]), np.tile([A, 0, 0], (8, 1)), atol=1e-12)
    # Along y and z the two images of one atom are on either side.
    assert len(edges_of(found, cell, points)) == 24
    assert_symmetric(found)
    ovito_analysis(*crystal("sc", (3, 3, 3)))  # skips without OVITO
    with pytest.raises(EngineError, match="backend 'scipy'"):
        voronoi(points, cell, backend="ovito")


# --- symmetries --------------------------------------------------------------------------------------


def test_translation_and_wrapping(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    points, cell = amorphous
    before = voronoi(points, cell)
    shifts = np.random.default_rng(1).integers(-4, 5, points.shape) @ cell
    after = voronoi(points + np.array([1.3, -20.7, 5.9]) + shifts, cell)
    np.testing.assert_allclose(after.volume, before.volume, rtol=ROUND_OFF)
    np.testing.assert_array_equal(after.index, before.index)
    np.testing.assert_array_equal(after.neighbours, before.neighbours)


def test_atoms_on_the_boundary_of_the_box() -> None:
    """-1e-18 wraps to 1, which is 0."""
    points, cell = crystal("bcc", (3, 3, 3))
    points -= 0.1
    points[0] = -1e-18
    np.testing.assert_array_equal(voronoi(points, cell).index, np.tile([0, 6, 0, 8], (len(points), 1)))


def test_permutation(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    points, cell = amorphous
    order = np.random.default_rng(2).permutation(len(points))
    before, after = voronoi(points, cell), voronoi(points[order], cell)
    np.testing.assert_allclose(after.volume, before.volume[order], rtol=ROUND_OFF)
    np.testing.assert_array_equal(after.index, before.index[order])
    renamed = {(order[i], order[j], *shift) for i, j, *shift in edges_of(after, cell, points[order])}
    assert renamed == edges_of(before, cell, points)


def test_rotation_with_the_cell(amorphous: tuple[np.ndarray, np.ndarray]) -> None:
    points, cell = amorphous
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    before, after = voronoi(points, cell), voronoi(points @ turn.T, cell @ turn.T)
    np.testing.assert_allclose(after.volume, before.volume, rtol=ROUND_OFF)
    np.testing.assert_array_equal(after.index, before.index)
    np.testing.assert_array_equal(after.neighbours, before.neighbours)
    np.testing.assert_allclose(after.vector, before.vector @ turn.T, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(4, 40),
    lengths=st.tuples(*[st.floats(4.0, 14.0)] * 3),
    tilts=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_box_is_filled_with_closed_polyhedra(
    n: int, lengths: tuple[float, ...], tilts: tuple[float, ...], seed: int
) -> None:
    x, y, z = lengths
    cell = np.array([[x, 0, 0], [tilts[0] * x, y, 0], [tilts[1] * x, tilts[2] * y, z]])
    points = np.random.default_rng(seed).random((n, 3)) @ cell
    images = ((np.indices((3, 3, 3)).reshape(3, -1).T - 1) @ cell)[:, None] + points
    assume(cKDTree(images.reshape(-1, 3)).query(points, k=2)[0][:, 1].min() > 0.05)
    found = voronoi(points, cell, relative_face_threshold=0.0, edge_threshold=0.0)
    assert found.volume.sum() == pytest.approx(x * y * z, rel=ROUND_OFF)
    assert (found.volume > 0).all()
    edges_of(found, cell, points)
    assert_symmetric(found)
    # Divergence theorem: the area vectors of a closed surface add up to zero, and A . r to 3 V.
    distance = np.linalg.norm(found.vector, axis=1)
    outward = found.vector * (found.area / distance)[:, None]
    for axis in range(3):
        total = np.bincount(found.neighbours[0], outward[:, axis], n)
        np.testing.assert_allclose(total, 0, atol=1e-7 * x * y * z)
    np.testing.assert_allclose(np.bincount(found.neighbours[0], found.area * distance / 6, n), found.volume)


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "cell", "words"),
    [
        (np.random.default_rng(0).random((3, 3)), np.eye(3), "at least 4 atoms"),
        (np.zeros((5, 2)), np.eye(3), "shape"),
        (np.random.default_rng(0).random((5, 3)), np.eye(2), "cell must be"),
        (np.random.default_rng(0).random((5, 3)), np.diag([1.0, 1.0, np.nan]), "finite"),
        (np.random.default_rng(0).random((5, 3)), np.diag([1.0, 1.0, 0.0]), "positive volume"),
        (np.random.default_rng(0).random((5, 3)), np.diag([1.0, 1.0, -1.0]), "right-handed"),
        (np.random.default_rng(0).random((5, 3)), np.ones((3, 3)), "positive volume"),
    ],
)
def test_unusable_configurations(points: np.ndarray, cell: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        voronoi(points, cell)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_named(bad: float) -> None:
    points, cell = crystal("sc", (3, 3, 3))
    points[17, 1] = bad
    with pytest.raises(DataError, match="atom 18"):
        voronoi(points, cell)


@pytest.mark.parametrize("shift", [[0, 0, 0], [3, -1, 0], [1e-6, 0, 3]])
def test_coincident_atoms_are_named(shift: list[float]) -> None:
    points, cell = glass(60, seed=4)
    points[41] = points[7] + np.array(shift) @ cell
    with pytest.raises(DataError, match="atoms 8 and 42"):
        voronoi(points, cell)


def test_all_atoms_in_one_place() -> None:
    with pytest.raises(DataError, match="in one place"):
        voronoi(np.zeros((500, 3)), 10 * np.eye(3))


def test_unknown_backend_and_thresholds_out_of_range() -> None:
    points, cell = crystal("sc", (3, 3, 3))
    with pytest.raises(StudyError, match="did you mean 'scipy'"):
        voronoi(points, cell, backend="scpy")
    with pytest.raises(StudyError, match="relative_face_threshold"):
        voronoi(points, cell, relative_face_threshold=1.0)
    with pytest.raises(StudyError, match="edge_threshold"):
        voronoi(points, cell, edge_threshold=-0.1)


def test_missing_ovito_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ovito.data", None)
    with pytest.raises(MissingExtra, match=r"vitrine\[ovito\]"):
        voronoi(*crystal("sc", (3, 3, 3)), backend="ovito")
