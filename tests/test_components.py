"""Connected groups of rows, and where their atoms lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.evaluate.claims import fraction_difference
from vitrine.evaluate.components import components, without_small
from vitrine.physics.cluster_centres import centre_distances


@given(st.integers(1, 40), st.integers(0, 80), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_components_equal_a_search_by_hand(n: int, bonds: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    edges, chosen = random.integers(0, n, (2, bonds)), random.random(n) < 0.6
    found = components(chosen, edges)
    assert ((found >= 0) == chosen).all()
    near: dict[int, set[int]] = {i: set() for i in range(n)}
    for a, b in edges.T.tolist():
        if chosen[a] and chosen[b]:
            near[a].add(b)
            near[b].add(a)
    for start in np.flatnonzero(chosen).tolist():
        reached, open_ = {start}, [start]
        while open_:
            new = near[open_.pop()] - reached
            reached |= new
            open_ += sorted(new)
        assert set(np.flatnonzero(found == found[start]).tolist()) == reached
    for smallest in (1, 2, 4):
        kept = without_small(chosen, edges, smallest)
        size = np.array([(found == label).sum() if label >= 0 else 0 for label in found])
        assert (kept == (chosen & (size >= smallest))).all()


def test_nothing_chosen_has_no_components() -> None:
    edges = np.array([[0, 1], [1, 2]])
    assert (components(np.zeros(3, bool), edges) == -1).all()
    assert not without_small(np.zeros(3, bool), edges, 2).any()


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (7.3, -4.1, 55.0)])
def test_distances_to_the_middle_know_the_boundary(shift: tuple[float, float, float]) -> None:
    """A rod of five atoms along x in a sheared box, anywhere: 2, 1, 0, 1, 2 Å from its middle."""
    cell = np.array([[12.0, 0, 0], [2.0, 11.0, 0], [0.5, -1.0, 13.0]])
    rod = np.array([[float(i), 3.0, 4.0] for i in range(5)])
    positions = np.concatenate([rod + np.array(shift), [[6.0, 9.0, 9.0]]])
    wrapped = (positions @ np.linalg.inv(cell) % 1.0) @ cell
    found = centre_distances(wrapped, cell, [0, 0, 0, 0, 0, -1])
    np.testing.assert_allclose(found[:5], [2, 1, 0, 1, 2], atol=1e-9)
    assert np.isnan(found[5])


def test_two_groups_have_their_own_middles() -> None:
    positions = np.array([[1.0, 0, 0], [3.0, 0, 0], [1.0, 5, 5], [1.0, 9, 5]])
    found = centre_distances(positions, 20 * np.eye(3), [0, 0, 1, 1])
    np.testing.assert_allclose(found, [1, 1, 2, 2], atol=1e-9)


def test_difference_of_shares_by_hand() -> None:
    flag = np.array([1, 1, 0, 0, 1, 0, 0, 0], bool)
    one = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    other = np.array([0, 0, 0, 0, 1, 1, 1, 0], bool)
    found = fraction_difference(flag, one, other, list("abcdabcd"))
    assert found.value == pytest.approx(2 / 4 - 1 / 3)
    assert found.n == 7 and found.groups == 4 and found.low is None
    groups = [str(i % 6) for i in range(600)]
    random = np.random.default_rng(0)
    marked = random.random(600) < np.where(np.arange(600) < 300, 0.7, 0.2)
    first = np.arange(600) < 300
    wide = fraction_difference(marked, first, ~first, groups)
    assert wide.low is not None and wide.high is not None
    assert wide.low < wide.value < wide.high and wide.low > 0.3
