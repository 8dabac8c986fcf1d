"""The fast multipole sum against the direct sum of the same dislocations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.physics.elastic import Elastic
from vitrine.physics.strip_far import (
    TAIL,
    WORTH_FROM,
    add_by_boxes,
    add_rows_far,
    best_depth,
    coarsest,
)
from vitrine.physics.strip_kernels import add_rows

WIDTH = 1000.0
STRENGTH = Elastic().strength
ACCURATE = 2e-5
"""MPa, of fields of 100 MPa and more"""


def dislocations(n: int, height: float, place: str = "random", seed: int = 0) -> tuple[np.ndarray, ...]:
    """x, y, a, b of dislocations of either sign on planes at 60 and 120 degrees."""
    random = np.random.default_rng(seed)
    x, y = random.random(n) * WIDTH, random.random(n) * height
    if place == "planes":  # 2 to 5 nm apart
        along = np.cumsum(random.uniform(2, 5, n)) % (0.9 * WIDTH)
        x, y = 0.5 * along + 200, height * random.integers(1, 8, n) / 10 + math.sqrt(0.75) * along * 0.1
    elif place == "corner":
        x, y = x * 0.06, y * 0.02
    elif place == "left side":
        x = 0.2 + 0.002 * x
    elif place == "right side":
        x = WIDTH - 0.2 - 0.002 * x
    elif place == "ends":
        y = np.where(y < height / 2, 0.2 + 0.001 * y, height - 0.2 - 0.001 * (height - y))
    angle = np.where(random.random(n) < 0.5, np.pi / 3, 2 * np.pi / 3)
    sign = random.choice([-1.0, 1.0], n)
    return x, y, 0.5 * STRENGTH * sign * np.sin(angle), -0.5 * STRENGTH * sign * np.cos(angle)


def both(found, targets, height, depth, core=0.0, same=False):
    """(direct, by boxes) theta at ``targets``, on top of a field that is there already."""
    direct, boxes = np.full((2, len(targets[0])), 3 + 4j)
    add_rows(*found, *targets, WIDTH, height, core, same, direct)
    add_by_boxes(*found, *targets, WIDTH, height, core, same, depth, boxes)
    return direct, boxes


@pytest.mark.parametrize("place", ["random", "planes", "corner", "left side", "right side", "ends"])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_boxes_give_the_direct_sum(place: str, depth: int) -> None:
    found = dislocations(1000, 4000.0, place)
    targets = dislocations(700, 4000.0, place, seed=1)[:2]
    targets[0][:3] = 0.2, WIDTH - 0.2, WIDTH / 2
    direct, boxes = both(found, targets, 4000.0, depth)
    assert abs(direct).max() > 100
    np.testing.assert_allclose(boxes, direct, rtol=1e-7, atol=ACCURATE)


@pytest.mark.parametrize("height", [1000.0, 1250.0, 1400.0, 2500.0, 3500.0, 8000.0])
def test_any_aspect(height: float) -> None:
    found = dislocations(800, height)
    direct, boxes = both(found, dislocations(500, height, seed=1)[:2], height, 1)
    np.testing.assert_allclose(boxes, direct, rtol=1e-7, atol=ACCURATE)


@pytest.mark.parametrize(
    "width, height", [(1.0, 8.0), (1.0, 1.0), (0.8, 1.0), (1.0, 3.5), (2.0, 1.0), (5.0, 7.0)]
)
def test_boxes_are_nearly_square(width: float, height: float) -> None:
    grid = coarsest(width, height)
    assert grid.columns % 2 == 0 and grid.rows > 1
    assert width / grid.columns == pytest.approx(height / grid.rows, rel=0.15)


@pytest.mark.parametrize("core", [0.0, 0.05])
def test_a_dislocation_does_not_feel_itself(core: float) -> None:
    found = dislocations(600, 4000.0)
    direct, boxes = both(found, found[:2], 4000.0, 1, core, same=True)
    np.testing.assert_allclose(boxes, direct, rtol=1e-7, atol=ACCURATE)
    apart = np.zeros(600, complex)
    for i in range(0, 600, 100):  # its own mirror and images it does feel
        others = [np.delete(values, i) for values in found]
        alone = [values[i : i + 1] for values in found]
        one, own = np.zeros((2, 1), complex)
        add_rows(*others, *(v[:1] for v in alone[:2]), WIDTH, 4000.0, core, False, one)
        add_rows(*alone, *alone[:2], WIDTH, 4000.0, core, True, own)
        apart[i] = 3 + 4j + (one + own)[0]
        assert boxes[i] == pytest.approx(apart[i], abs=ACCURATE)


@pytest.mark.parametrize("same", [False, True])
def test_the_core_softens_neighbours_and_is_left_out_beyond(same: bool) -> None:
    found = dislocations(1500, 4000.0, "planes")
    targets = found[:2] if same else (found[0] + 0.3, found[1])
    direct, boxes = both(found, targets, 4000.0, 0, 0.5, same)
    sharp = np.full(1500, 3 + 4j)
    add_rows(*found, *targets, WIDTH, 4000.0, 1e-3, same, sharp)
    assert abs(direct - sharp).max() > 1
    np.testing.assert_allclose(boxes, direct, atol=TAIL)


@pytest.mark.parametrize("depth", [0, 2])
def test_few_sources_and_few_targets(depth: int) -> None:
    found = dislocations(5, 4000.0)
    for n in range(3):
        for m in range(3):
            sources = [values[:n] for values in found]
            targets = [values[4 - m : 4] for values in found[:2]]
            direct, boxes = both(sources, targets, 4000.0, depth)
            np.testing.assert_allclose(boxes, direct, atol=1e-8)
            add_rows_far(*sources, *targets, WIDTH, 4000.0, 0.5, False, boxes)


@pytest.mark.parametrize("place, n", [("random", 50), ("random", 1200), ("corner", 1200), ("planes", 3000)])
def test_the_public_sum_chooses_and_repeats_itself(place: str, n: int) -> None:
    found = dislocations(n, 4000.0, place)
    direct, first, second = np.zeros((3, n), complex)
    add_rows(*found, *found[:2], WIDTH, 4000.0, 0.05, True, direct)
    for theta in (first, second):
        add_rows_far(*found, *found[:2], WIDTH, 4000.0, 0.05, True, theta)
    assert (first == second).all()
    np.testing.assert_allclose(first, direct, rtol=1e-7, atol=5 * ACCURATE)
    if n * n < WORTH_FROM:
        assert (first == direct).all()
    elif place == "random":
        assert best_depth(*found, *found[:2], WIDTH, 4000.0, 0.05, True) >= 0


def test_a_wide_core_keeps_boxes_large() -> None:
    found = dislocations(10_000, 4000.0)
    depth = [best_depth(*found, *found[:2], WIDTH, 4000.0, core, True) for core in (0.0, 0.5, 5.0)]
    assert depth[0] > depth[1] > depth[2] == -1


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1), st.floats(-1, 1)), max_size=12),
    st.lists(st.tuples(st.floats(0.001, 0.999), st.floats(0, 1)), max_size=6),
    st.sampled_from([1000.0, 2300.0, 4000.0]),
)
def test_anywhere(sources: list, targets: list, height: float) -> None:
    x, y, a, b = np.array(sources, float).reshape(-1, 4).T * [[0.998 * WIDTH], [height], [800], [800]]
    xt, yt = np.array(targets, float).reshape(-1, 2).T * [[WIDTH], [height]]
    found = [np.ascontiguousarray(values) for values in (x + 0.001 * WIDTH, y, a, b)]
    direct, boxes = both(found, [np.ascontiguousarray(xt), np.ascontiguousarray(yt)], height, 1, 0.05)
    np.testing.assert_allclose(boxes, direct, rtol=1e-7, atol=ACCURATE)
