"""Two-point statistics against the direct sum, by hand, and what they cannot see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.physics.two_point import independent, independent_shifts, two_point_statistics


def two_point_direct(values: np.ndarray, there: np.ndarray, most_rows: int, most_cols: int) -> np.ndarray:
    """The definition: over all shifts, and all pixels, one by one."""
    rows, cols = values.shape
    found = np.full((most_rows + 1, 2 * most_cols + 1), np.nan)
    for i in range(most_rows + 1):
        for j in range(-most_cols, most_cols + 1):
            products = [
                values[row, col] * values[row + i, col + j]
                for row in range(rows - i)
                for col in range(max(0, -j), min(cols, cols - j))
                if there[row, col] and there[row + i, col + j]
            ]
            if products:
                found[i, most_cols + j] = np.mean(products)
    return found


def noise(rows: int, cols: int, missing: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(0.5, 1.0, (rows, cols)), random.random((rows, cols)) >= missing


SIZE, MOST = st.integers(1, 14), st.integers(0, 16)


@given(SIZE, SIZE, MOST, MOST, st.sampled_from([0.0, 0.2, 0.9, 1.0]))
@settings(max_examples=60, deadline=None)
def test_it_is_the_direct_sum(rows: int, cols: int, up: int, right: int, missing: float) -> None:
    """Also where pixels are missing, and for shifts that are larger than the map."""
    values, there = noise(rows, cols, missing)
    wanted = two_point_direct(values, there, up, right)
    by_mask = two_point_statistics(values, there, most_rows=up, most_cols=right)
    by_nan = two_point_statistics(np.where(there, values, np.nan), most_rows=up, most_cols=right)
    for found in (by_mask, by_nan):
        assert found.shape == (up + 1, 2 * right + 1)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def test_it_is_the_direct_sum_of_a_larger_map() -> None:
    values, there = noise(40, 23, 0.1)
    found = two_point_statistics(values, there, most_rows=9, most_cols=7)
    np.testing.assert_allclose(found, two_point_direct(values, there, 9, 7), rtol=0, atol=1e-10)


def test_small_strains_are_as_exact_as_large_ones() -> None:
    values, there = noise(30, 20, 0.1)
    found = two_point_statistics(1e-6 * values, there, most_rows=9, most_cols=7)
    np.testing.assert_allclose(1e12 * found, two_point_direct(values, there, 9, 7), rtol=0, atol=1e-10)


def test_a_checkerboard_by_hand() -> None:
    rows, cols = np.indices((6, 8))
    signs = np.where((rows + cols) % 2 == 0, 1.0, -1.0)
    found = two_point_statistics(signs, most_rows=3, most_cols=4)
    shifts = np.add.outer(np.arange(4), np.arange(-4, 5))
    np.testing.assert_allclose(found, np.where(shifts % 2 == 0, 1.0, -1.0), atol=1e-13)
    halves = two_point_statistics((signs + 1) / 2, most_rows=2, most_cols=4)
    # at odd shifts a one meets a zero; of an odd number of places the first, a corner, decides
    wanted = np.zeros((3, 9))
    wanted[::2, ::2] = 0.5
    wanted[1, [1, 3, 5, 7]] = 12 / 25, 17 / 35, 18 / 35, 13 / 25
    np.testing.assert_allclose(halves, wanted, atol=1e-13)


def test_two_pixels_by_hand() -> None:
    found = two_point_statistics(np.array([[2.0, 3.0]]), most_rows=1, most_cols=1)
    np.testing.assert_allclose(found, [[6, 6.5, 6], [np.nan] * 3], rtol=1e-14)


def test_a_map_is_not_periodic() -> None:
    """One bright pixel at either end never meets the other around the back."""
    values = np.zeros((1, 10))
    values[0, [0, -1]] = 1
    found = two_point_statistics(values, most_rows=0, most_cols=8)
    np.testing.assert_allclose(found[0, 9:], 0, atol=1e-14)


def test_half_says_everything() -> None:
    """f(r) = f(-r): a map turned by 180 degrees has the same, mirrored in one edge another."""
    values, there = noise(12, 9, 0.2)
    found = two_point_statistics(values, there, most_rows=4, most_cols=3)
    turned = two_point_statistics(values[::-1, ::-1], there[::-1, ::-1], most_rows=4, most_cols=3)
    np.testing.assert_allclose(turned, found, atol=1e-13)
    np.testing.assert_allclose(found[0, ::-1], found[0], atol=1e-13)
    mirrored = two_point_statistics(values[:, ::-1], there[:, ::-1], most_rows=4, most_cols=3)
    np.testing.assert_allclose(mirrored, found[:, ::-1], atol=1e-13)
    assert np.abs(mirrored - found).max() > 0.05


def test_the_independent_half_and_its_shifts() -> None:
    values, there = noise(12, 9, 0.2)
    found = two_point_statistics(values, there, most_rows=4, most_cols=3)
    flat, shifts = independent(found), independent_shifts(4, 3)
    assert shifts.dtype == np.int64 and len(flat) == len(shifts) == 4 * 7 + 4
    assert shifts[0].tolist() == [0, 0] and shifts[4].tolist() == [1, -3]
    assert all(value == found[i, 3 + j] for value, (i, j) in zip(flat, shifts, strict=True))
    both = {tuple(shift) for shift in shifts} & {tuple(-shift) for shift in shifts}
    assert both == {(0, 0)}, "no shift stands beside its opposite"


def test_a_constant_map_has_its_square() -> None:
    found = two_point_statistics(np.full((9, 7), 0.001), most_rows=8, most_cols=6)
    np.testing.assert_allclose(found, 1e-6, rtol=1e-9)
    assert not two_point_statistics(np.zeros((9, 7)), most_rows=8, most_cols=6).any()


def test_what_has_no_statistics() -> None:
    values = np.ones((3, 4))
    with pytest.raises(ValueError, match="no shifts"):
        two_point_statistics(values, most_rows=-1, most_cols=0)
    with pytest.raises(ValueError, match="no shifts"):
        two_point_statistics(values[:0], most_rows=1, most_cols=1)
    with pytest.raises(ValueError, match="does not fit"):
        two_point_statistics(values, np.ones((4, 3), bool), most_rows=1, most_cols=1)
