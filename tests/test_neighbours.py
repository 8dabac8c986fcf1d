"""Neighbour lists: against brute force over images, freud, and counts known for crystals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vitrine.errors import DataError, StudyError
from vitrine.physics.neighbours import Neighbours, check_configuration, neighbours_within, plane_spacing

MARGIN = 1e-9
"""Å: two implementations may disagree about bonds this close to the cut-off."""


def bonds(found: Neighbours) -> list[tuple[int, ...]]:
    return [
        (int(i), int(j), *map(int, s)) for i, j, s in zip(found.centre, found.index, found.shift, strict=True)
    ]


def lengths(found: Neighbours, positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    vectors = positions[found.index] + found.shift @ cell - positions[found.centre]
    return np.linalg.norm(vectors, axis=1)


def brute_force(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> set[tuple[int, ...]]:
    """Every pair with every image that could be near enough, for positions inside the cell."""
    reach = np.ceil(cutoff / plane_spacing(cell)).astype(int) + 1
    found = set()
    for shift in product(*(range(-r, r + 1) for r in reach)):
        apart = positions[None] + np.array(shift) @ cell - positions[:, None]
        near = np.linalg.norm(apart, axis=2) < cutoff
        found |= {(int(i), int(j), *shift) for i, j in np.argwhere(near) if shift != (0, 0, 0) or i != j}
    return found


@st.composite
def triclinic(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Fractions, cell, cut-off and lattice translations; boxes from needles to plates."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 12))
    cell = np.diag(rng.uniform(2.0, 9.0, 3)) + rng.uniform(-2.0, 2.0, (3, 3)) * draw(st.sampled_from([0, 1]))
    if abs(np.linalg.det(cell)) < 8.0:
        cell += 6 * np.eye(3)
    return rng.random((n, 3)), cell, draw(st.floats(0.5, 7.0)), rng.integers(-3, 4, (n, 3))


@given(triclinic())
@settings(max_examples=60, deadline=None)
def test_equals_brute_force_in_any_box(
    case: tuple[np.ndarray, np.ndarray, float, np.ndarray],
) -> None:
    fractions, cell, cutoff, _ = case
    positions = fractions @ cell
    found = neighbours_within(positions, cell, cutoff)
    ours = bonds(found)
    assert len(set(ours)) == len(ours)
    differ = set(ours) ^ brute_force(positions, cell, cutoff)
    for i, j, *shift in differ:
        apart = np.linalg.norm(positions[j] + np.array(shift) @ cell - positions[i])
        assert abs(apart - cutoff) < MARGIN


@given(triclinic())
@settings(max_examples=40, deadline=None)
def test_unwrapped_positions_give_the_same_bonds(
    case: tuple[np.ndarray, np.ndarray, float, np.ndarray],
) -> None:
    fractions, cell, cutoff, moved = case
    inside = neighbours_within(fractions @ cell, cell, cutoff)
    wider = neighbours_within(fractions @ cell, cell, cutoff + MARGIN)
    assume(len(wider.index) == len(inside.index))  # no bond at the cut-off itself
    far = (fractions + moved) @ cell
    outside = neighbours_within(far, cell, cutoff)
    assert (lengths(outside, far, cell) < cutoff + MARGIN).all()
    # the shift of a bond refers to the positions as given
    back = [(i, j, *(np.array(shift) + moved[j] - moved[i]).tolist()) for i, j, *shift in bonds(outside)]
    assert set(back) == set(bonds(inside))


@given(triclinic())
@settings(max_examples=40, deadline=None)
def test_every_bond_stands_in_both_directions(
    case: tuple[np.ndarray, np.ndarray, float, np.ndarray],
) -> None:
    fractions, cell, cutoff, moved = case
    found = neighbours_within((fractions + moved) @ cell, cell, cutoff)
    ours = set(bonds(found))
    back = {(j, i, -a, -b, -c) for i, j, a, b, c in ours}
    assert ours == back
    assert found.starts[0] == 0
    assert found.starts[-1] == len(found.index)
    assert (np.diff(found.starts) >= 0).all()


@pytest.mark.parametrize("tilt", [0.0, 6.0, -9.0])
def test_equals_freud(tilt: float) -> None:
    freud = pytest.importorskip("freud")
    rng = np.random.default_rng(3)
    length, cutoff = 20.0, 3.8
    cell = np.diag([length, length + 1, length + 2])
    cell[1, 0], cell[2, 1] = tilt, tilt / 2
    positions = rng.random((500, 3)) @ cell
    box = freud.box.Box.from_matrix(cell.T)  # freud's columns are cell vectors
    centred = positions - cell.sum(axis=0) / 2  # freud's box has its origin in the middle
    query = freud.locality.AABBQuery(box, centred).query(centred, {"r_max": cutoff, "exclude_ii": True})
    found = query.toNeighborList()
    theirs = set(zip(found.query_point_indices.tolist(), found.point_indices.tolist(), strict=True))

    def pairs(radius: float) -> set[tuple[int, int]]:
        ours = neighbours_within(positions, cell, radius)
        return set(zip(ours.centre.tolist(), ours.index.tolist(), strict=True))

    # freud computes in single precision
    assert pairs(cutoff - 1e-4) <= theirs <= pairs(cutoff + 1e-4)
    assert len(theirs) > 5000


def test_shells_of_a_face_centred_cubic_crystal() -> None:
    # shells at a sqrt(1/2), a, a sqrt(3/2), a sqrt(2): 12, 6, 24, 12 atoms
    a = 3.6
    corners = np.indices((3, 3, 3)).reshape(3, -1).T
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    positions = (corners[:, None] + basis).reshape(-1, 3) * a
    for cutoff, count in ((0.8, 12), (1.1, 18), (1.3, 42), (1.5, 54)):
        found = neighbours_within(positions, 3 * a * np.eye(3), cutoff * a)
        assert (np.diff(found.starts) == count).all()


def test_one_atom_sees_its_own_images_out_to_any_distance() -> None:
    # lattice points with 0 < n^2 <= 9: 6 + 12 + 8 + 6 + 24 + 24 + 0 + 12 + 30 (OEIS A005875)
    found = neighbours_within(np.array([[0.3, 0.1, 7.9]]), np.eye(3), 3.01)
    assert len(found.index) == 122
    assert (found.index == 0).all()
    assert (found.shift != 0).any(axis=1).all()


def test_an_atom_just_below_zero_is_not_lost() -> None:
    # -1e-17 + 1 is 1 in floating point
    positions = np.array([[-1e-17, 5.0, 5.0], [9.5, 5.0, 5.0], [0.5, 5.0, 5.0]])
    found = neighbours_within(positions, 10 * np.eye(3), 0.75)
    assert sorted(found.index[found.starts[0] : found.starts[1]].tolist()) == [1, 2]


def test_left_handed_cell_gives_the_same_distances() -> None:
    rng = np.random.default_rng(0)
    fractions = rng.random((60, 3))
    cell = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [1.0, -2.0, 10.0]])
    one = neighbours_within(fractions @ cell, cell, 3.0)
    swap = [1, 0, 2]
    other = neighbours_within(fractions @ cell, cell[swap], 3.0)
    assert {(i, j, *np.array(s)[swap].tolist()) for i, j, *s in bonds(other)} == set(bonds(one))


def test_plane_spacing_of_a_tilted_cell() -> None:
    # the faces spanned by a and c are b_y apart, whatever the tilt; those by b and c: a cos(45°)
    cell = np.array([[4.0, 0, 0], [3.0, 3.0, 0], [0, 0, 5.0]])
    assert plane_spacing(cell) == pytest.approx([4.0 / np.sqrt(2), 3.0, 5.0])


@pytest.mark.parametrize(
    ("positions", "cell", "words"),
    [
        (np.zeros((0, 3)), np.eye(3), "shape (0, 3)"),
        (np.zeros((4, 2)), np.eye(3), "shape (4, 2)"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), np.eye(3), "atom 2 is not finite"),
        (np.zeros((1, 3)), np.eye(2), "shape (2, 2)"),
        (np.zeros((1, 3)), np.diag([1.0, 1.0, np.inf]), "three finite vectors"),
        (np.zeros((1, 3)), np.ones((3, 3)), "no volume"),
    ],
)
def test_unusable_configurations_are_refused(positions: np.ndarray, cell: np.ndarray, words: str) -> None:
    with pytest.raises(DataError) as caught:
        check_configuration(positions, cell)
    assert words in str(caught.value)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_unusable_cutoff_is_refused(cutoff: float) -> None:
    with pytest.raises(StudyError, match="cut-off"):
        neighbours_within(np.zeros((1, 3)), np.eye(3), cutoff)
