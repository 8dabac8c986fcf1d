"""The six shear directions and the rotations that make them one."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vitrine.errors import StudyError
from vitrine.physics.rotation import (
    CANONICAL,
    DIRECTIONS,
    canonical_rotation,
    load_strain,
    matrix_to_voigt,
    rotate_tensor,
    symmetry_rotations,
    voigt_to_matrix,
)

EXACT = 1e-12
"""Entries are 0, 1/2 and 1, so that products are exact; only random tensors see round-off."""


def cubic_rotations() -> list[np.ndarray]:
    """The 24 proper rotations of the cube: signed permutation matrices of determinant +1."""
    found = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        matrix = np.diag(signs)[list(order)]
        if np.linalg.det(matrix) > 0:
            found.append(matrix)
    return found


def simple_shear(direction: str) -> np.ndarray:
    """The box change of a direction at unit strain, u_x = +-y for xy, without the identity."""
    gradient = np.zeros((3, 3))
    along, across = ("xyz".index(letter) for letter in direction[-2:])
    gradient[along, across] = -1.0 if direction[0] == "-" else 1.0
    return gradient


def equals(tensors: np.ndarray, tensor: np.ndarray) -> np.ndarray:
    return np.abs(tensors - tensor).max(axis=(1, 2)) < EXACT


def test_there_are_24_proper_cubic_rotations() -> None:
    assert len(cubic_rotations()) == 24


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_direction_becomes_the_canonical_load(direction: str) -> None:
    rotation = canonical_rotation(direction)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    assert set(np.abs(rotation).ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(rotation @ rotation.T, np.eye(3))
    np.testing.assert_array_equal(rotate_tensor(rotation, load_strain(direction)), load_strain(CANONICAL))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_strain_is_the_symmetric_part_of_the_box_change(direction: str) -> None:
    gradient = simple_shear(direction)
    np.testing.assert_array_equal(load_strain(direction), (gradient + gradient.T) / 2)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_whole_simple_shear_becomes_the_canonical_one(direction: str) -> None:
    turned = rotate_tensor(canonical_rotation(direction), simple_shear(direction))
    np.testing.assert_array_equal(turned, simple_shear(CANONICAL))


@pytest.mark.parametrize("direction", ["xy", "yz", "xz"])
def test_opposite_signs_are_a_turn_of_180_degrees(direction: str) -> None:
    turn = canonical_rotation("-" + direction) @ canonical_rotation(direction).T
    # A rotation by t has the trace 1 + 2 cos t (Rodrigues), -1 at 180 degrees.
    assert np.trace(turn) == -1.0
    np.testing.assert_array_equal(turn, np.diag([-1.0, 1.0, -1.0]))


def test_canonical_load_is_voigt_4_and_its_rotation_the_identity() -> None:
    np.testing.assert_array_equal(canonical_rotation(CANONICAL), np.eye(3))
    np.testing.assert_array_equal(matrix_to_voigt(load_strain(CANONICAL)), [0, 0, 0, 0.5, 0, 0])


def test_rotating_positions_and_cell_turns_the_sheared_configuration() -> None:
    """Shear, then turn, is turn, then shear canonically: r -> R r commutes with the load."""
    positions = np.random.default_rng(0).random((20, 3))
    for direction in DIRECTIONS:
        rotation = canonical_rotation(direction)
        sheared = positions @ (np.eye(3) + 0.01 * simple_shear(direction)).T
        turned_first = positions @ rotation.T
        after = turned_first @ (np.eye(3) + 0.01 * simple_shear(CANONICAL)).T
        np.testing.assert_allclose(sheared @ rotation.T, after, atol=EXACT)


def test_symmetry_rotations_are_all_that_leave_the_canonical_load() -> None:
    group = symmetry_rotations()
    assert group.shape == (4, 3, 3)
    np.testing.assert_array_equal(group[0], np.eye(3))
    load = load_strain(CANONICAL)
    enumerated = [q for q in cubic_rotations() if np.allclose(rotate_tensor(q, load), load)]
    assert len(enumerated) == 4
    for rotation in enumerated:
        assert equals(group, rotation).sum() == 1


@pytest.mark.parametrize(("turn", "axis"), [(1, [1, 0, 0]), (2, [0, 1, 1]), (3, [0, 1, -1])])
def test_symmetry_turns_are_about_the_principal_axes(turn: int, axis: list[int]) -> None:
    rotation = symmetry_rotations()[turn]
    assert np.trace(rotation) == -1.0
    np.testing.assert_array_equal(rotation @ axis, axis)
    # Principal axes: eps v = lambda v with lambda 0, +1/2, -1/2.
    assert np.allclose(load_strain(CANONICAL) @ axis, {1: 0, 2: 0.5, 3: -0.5}[turn] * np.array(axis))


def test_symmetry_rotations_are_a_group() -> None:
    group = symmetry_rotations()
    for first, second in product(group, group):
        assert equals(group, first @ second).sum() == 1


def test_no_other_rotation_leaves_the_canonical_load() -> None:
    """Beyond the cubic ones: turns about the symmetry axes by other angles change the load."""
    load = load_strain(CANONICAL)
    for axis in ([1.0, 0, 0], [0, 1.0, 1.0], [0, 1.0, -1.0]):
        x, y, z = np.array(axis) / np.linalg.norm(axis)
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        for angle in np.radians(np.arange(10, 180, 10)):
            turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
            assert np.abs(rotate_tensor(turn, load) - load).max() > 0.01


def test_turned_specimen_with_its_load_gives_the_same_canonical_tensors() -> None:
    """All 24 cubic rotations of configuration and load, up to the symmetry of the load."""
    rng = np.random.default_rng(1)
    field = rng.normal(size=(5, 3, 3))
    field += field.transpose(0, 2, 1)
    group = symmetry_rotations()
    for direction, turn in product(DIRECTIONS, cubic_rotations()):
        load = rotate_tensor(turn, load_strain(direction))
        (other,) = [d for d in DIRECTIONS if np.array_equal(load_strain(d), load)]
        ours = rotate_tensor(canonical_rotation(direction), field)
        theirs = rotate_tensor(canonical_rotation(other), rotate_tensor(turn, field))
        images = np.stack([rotate_tensor(each, ours) for each in group])
        agree = np.abs(images - theirs).max(axis=(1, 2, 3)) < EXACT
        assert agree.sum() == 1


@given(arrays(np.float64, (7, 6), elements=st.floats(-1e6, 1e6)))
def test_voigt_there_and_back(components: np.ndarray) -> None:
    tensors = voigt_to_matrix(components)
    np.testing.assert_array_equal(tensors, tensors.transpose(0, 2, 1))
    np.testing.assert_array_equal(matrix_to_voigt(tensors), components)


def test_voigt_order() -> None:
    tensor = voigt_to_matrix(np.arange(1.0, 7.0))
    np.testing.assert_array_equal(tensor, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])


@given(arrays(np.float64, (4, 6), elements=st.floats(-10, 10)), st.sampled_from(DIRECTIONS))
def test_rotation_keeps_invariants(components: np.ndarray, direction: str) -> None:
    tensors = voigt_to_matrix(components)
    turned = rotate_tensor(canonical_rotation(direction), tensors)
    assert turned.shape == (4, 3, 3)
    for k in (1, 2, 3):  # the traces of t, t^2 and t^3 fix the eigenvalues
        before, after = (np.linalg.matrix_power(each, k) for each in (tensors, turned))
        traces = [np.trace(each, axis1=1, axis2=2) for each in (before, after)]
        np.testing.assert_allclose(*traces, atol=1e-9)


@pytest.mark.parametrize("function", [load_strain, canonical_rotation])
@pytest.mark.parametrize("word", ["zy", "yx", "+xy", "", "XY", "--xy"])
def test_unknown_direction(function: object, word: str) -> None:
    with pytest.raises(StudyError, match="unknown shear direction"):
        function(word)  # type: ignore[operator]


def test_unknown_direction_suggests_a_near_one() -> None:
    with pytest.raises(StudyError, match="did you mean '-"):
        canonical_rotation("-x y")


def test_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="shape"):
        voigt_to_matrix(np.zeros((3, 5)))
    with pytest.raises(ValueError, match="shape"):
        matrix_to_voigt(np.zeros((3, 6)))
