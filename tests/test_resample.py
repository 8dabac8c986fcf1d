"""Maps on another number of pixels: the mean stays, blocks are averaged, holes stay holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.physics.resample import area_resize, area_weights

EDGE = st.integers(1, 60)


def noise(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 3.0, (rows, cols))


@given(EDGE, EDGE, EDGE, EDGE)
@settings(max_examples=150, deadline=None)
def test_the_mean_is_kept(rows: int, cols: int, new_rows: int, new_cols: int) -> None:
    values = noise(rows, cols)
    found = area_resize(values, new_rows, new_cols)
    assert found.shape == (new_rows, new_cols) and found.dtype == np.float64
    scale = np.abs(values).max()
    assert abs(found.mean() - values.mean()) <= 1e-12 * scale
    assert values.min() - 1e-12 * scale <= found.min() <= found.max() <= values.max() + 1e-12 * scale


@pytest.mark.parametrize("size", [(124, 31), (1000, 250)])
def test_the_mean_is_kept_at_the_sizes_of_the_study(size: tuple[int, int]) -> None:
    values = noise(*size).astype(np.float32)
    assert abs(area_resize(values, 288, 96).mean() - values.mean(dtype=np.float64)) < 1e-12


@given(EDGE, EDGE)
@settings(max_examples=60, deadline=None)
def test_weights_are_shares(old: int, new: int) -> None:
    weights = area_weights(old, new)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(weights.sum(axis=0), new / old, rtol=1e-13)
    assert weights.min() >= 0
    # pixels that only touch weigh nothing: there are as many as edges that lie apart
    assert (weights > 0).sum() == old + new - np.gcd(old, new)


def test_the_same_size_is_the_same_map() -> None:
    values = noise(31, 17)
    found = area_resize(values, 31, 17)
    assert np.array_equal(found, values)
    found[:] = 0
    assert values.any(), "a copy"


def test_a_whole_ratio_averages_blocks_and_copies_pixels() -> None:
    values = noise(12, 10)
    blocks = values.reshape(4, 3, 5, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(area_resize(values, 4, 5), blocks, rtol=1e-14, atol=1e-14)
    assert np.array_equal(area_resize(values, 36, 20), values.repeat(3, axis=0).repeat(2, axis=1))


def test_three_pixels_on_two_by_hand() -> None:
    found = area_resize(np.array([[1.0, 4.0, 10.0]]), 1, 2)
    np.testing.assert_allclose(found, [[(1 + 0.5 * 4) / 1.5, (0.5 * 4 + 10) / 1.5]], rtol=1e-15)
    np.testing.assert_allclose(area_resize(np.array([[2.0], [5.0]]), 3, 1).ravel(), [2, 3.5, 5], rtol=1e-15)


def test_missing_pixels_do_not_count() -> None:
    values = np.array([[1.0, np.nan, 10.0, np.inf, 4.0, 6.0]])
    np.testing.assert_allclose(area_resize(values, 1, 3), [[1, 10, 5]], rtol=1e-15)
    # the second new pixel holds the missing half of the second and all of the third old one
    np.testing.assert_allclose(area_resize(values[:, :3], 1, 2), [[1, 10]], rtol=1e-15)
    assert np.array_equal(area_resize(values, 1, 6), [[1, np.nan, 10, np.nan, 4, 6]], equal_nan=True)


@given(EDGE, EDGE, st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_nothing_is_made_where_nothing_is(old: int, new: int, seed: int) -> None:
    """A new pixel is there if a bit of an old one is; of a constant map it is that constant."""
    there = np.random.default_rng(seed).random(old) < 0.5
    found = area_resize(np.where(there, 0.1, np.nan)[:, None], new, 1).ravel()
    i, j = np.mgrid[:new, :old]
    covered = ((i * old < (j + 1) * new) & (j * new < (i + 1) * old) & there).any(axis=1)
    assert np.array_equal(np.isfinite(found), covered)
    np.testing.assert_allclose(found[covered], 0.1, rtol=1e-14)


def test_what_cannot_be_resized() -> None:
    for values, size in ((np.ones(3), (1, 1)), (np.ones((0, 3)), (1, 1)), (np.ones((2, 2)), (0, 1))):
        with pytest.raises(ValueError, match="cannot become"):
            area_resize(values, *size)
