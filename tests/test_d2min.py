"""D2min: against OVITO, least squares by numpy, affine maps; clusters against scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from vitrine.errors import DataError
from vitrine.physics.d2min import clusters, d2min, event_atoms
from vitrine.physics.neighbours import Neighbours, neighbours_within

AFFINE = 1e-12
"""Å^2, D2min of an affine map, which is 0: round-off of vectors of some Å, squared, is far below."""

CELLS = {
    "orthogonal": np.diag([14.0, 15.0, 16.0]),
    "sheared": np.array([[14.0, 0, 0], [4.0, 15.0, 0], [-3.0, 5.0, 16.0]]),
    "general": np.array([[14.0, 1.0, -2.0], [4.0, 15.0, 1.0], [-3.0, 5.0, 16.0]]),
}


def scatter(n: int, cell: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 3)) @ cell


def wrapped(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    return (positions @ np.linalg.inv(cell) % 1.0) @ cell


def by_least_squares(
    earlier: np.ndarray, later: np.ndarray, bonds: Neighbours, cell0: Any, cell1: Any
) -> Any:
    """The definition itself, for unwrapped positions: one fit per atom."""
    result = np.zeros(len(earlier))
    for i in range(len(earlier)):
        row = slice(bonds.starts[i], bonds.starts[i + 1])
        j, shift = bonds.index[row], bonds.shift[row]
        old = earlier[j] + shift @ cell0 - earlier[i]
        new = later[j] + shift @ cell1 - later[i]
        gradient = np.linalg.lstsq(old, new, rcond=None)[0]
        result[i] = ((new - old @ gradient) ** 2).sum()
    return result


def ovito_d2min(
    earlier: np.ndarray, later: np.ndarray, cell0: np.ndarray, cell1: np.ndarray, cutoff: float
) -> np.ndarray:
    pytest.importorskip("ovito")
    from ovito.data import DataCollection
    from ovito.modifiers import AtomicStrainModifier
    from ovito.pipeline import Pipeline, StaticSource

    def source(positions: np.ndarray, cell: np.ndarray) -> StaticSource:
        data = DataCollection()
        data.create_particles(count=len(positions)).create_property("Position", data=positions)
        data.create_cell(np.column_stack([cell.T, np.zeros(3)]), pbc=(True, True, True))
        return StaticSource(data=data)

    strain = AtomicStrainModifier(cutoff=cutoff, output_nonaffine_squared_displacements=True)
    strain.reference = source(earlier, cell0)
    pipeline = Pipeline(source=source(later, cell1))
    pipeline.modifiers.append(strain)
    return np.array(pipeline.compute().particles["Nonaffine Squared Displacement"])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("shear", [0.0, 1e-4, 0.08])
def test_equals_ovito_also_across_the_boundary(name: str, shear: float) -> None:
    cell0 = CELLS[name]
    n = 200
    rng = np.random.default_rng(7)
    earlier = scatter(n, cell0, 1)
    gradient = np.eye(3)
    gradient[0, 1] = shear
    cell1 = cell0 @ gradient.T
    later = earlier @ gradient.T + rng.normal(0, 0.15, (n, 3))
    away = wrapped(later, cell1)
    assert (abs(away - later) > 1.0).any()  # some atoms did cross
    ours = d2min(earlier, away, cell0, cell1, cutoff=3.8)
    theirs = ovito_d2min(earlier, away, cell0, cell1, 3.8)
    assert theirs.min() > 0.01
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


@pytest.mark.parametrize("name", CELLS)
def test_equals_least_squares_atom_by_atom(name: str) -> None:
    cell = CELLS[name]
    rng = np.random.default_rng(5)
    earlier = scatter(150, cell, 2) + rng.integers(-2, 3, (150, 3)) @ cell
    later = earlier + rng.normal(0, 0.2, earlier.shape)
    bonds = neighbours_within(earlier, cell, 3.8)
    wanted = by_least_squares(earlier, later, bonds, cell, cell)
    np.testing.assert_allclose(d2min(earlier, later, cell), wanted, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(d2min(earlier, later, cell, neighbours=bonds), wanted, rtol=1e-8, atol=1e-12)


matrices = st.lists(st.floats(-1.5, 1.5), min_size=9, max_size=9).map(lambda x: np.array(x).reshape(3, 3))


@given(matrices, st.integers(0, 2**32 - 1), st.sampled_from(sorted(CELLS)))
@settings(max_examples=60, deadline=None)
def test_any_affine_map_has_none(change: np.ndarray, seed: int, name: str) -> None:
    """Stretches, shears beyond 1, rotations, mirrors; with a translation, wrapped anyhow."""
    cell0 = CELLS[name]
    gradient = np.eye(3) + change
    if abs(np.linalg.det(gradient)) < 0.05:
        gradient += 4 * np.eye(3)
    rng = np.random.default_rng(seed)
    earlier = scatter(60, cell0, seed)
    cell1 = cell0 @ gradient.T
    later = (earlier + rng.random(3) * 30) @ gradient.T
    assert d2min(earlier, wrapped(later, cell1), cell0, cell1, cutoff=4.5).max() < AFFINE
    anyhow = later + rng.integers(-2, 3, (60, 3)) @ cell1
    assert d2min(earlier, anyhow, cell0, cell1, cutoff=4.5).max() < AFFINE


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_rotations_translations_and_wrapping_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = CELLS["sheared"]
    earlier = scatter(80, cell, seed)
    later = earlier + rng.normal(0, 0.2, earlier.shape)
    wanted = d2min(earlier, later, cell)
    turn = Rotation.random(rng=rng).as_matrix()
    # the best affine map takes up a rotation of either configuration
    np.testing.assert_allclose(
        d2min(earlier, later @ turn.T, cell, cell @ turn.T), wanted, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        d2min(earlier @ turn.T, later, cell @ turn.T, cell), wanted, rtol=1e-9, atol=1e-12
    )
    moved = wrapped(later + rng.uniform(-40, 40, 3), cell)
    np.testing.assert_allclose(d2min(earlier, moved, cell), wanted, rtol=1e-9, atol=1e-12)
    order = rng.permutation(80)
    np.testing.assert_allclose(
        d2min(earlier[order], later[order], cell), wanted[order], rtol=1e-9, atol=1e-12
    )


def test_one_displaced_atom_of_a_simple_cubic_crystal() -> None:
    # its six bonds all change by -u, which no gradient fits: D2min = 6 u^2
    positions = np.indices((4, 4, 4)).reshape(3, -1).T * 3.0
    later = positions.copy()
    step = np.array([0.1, -0.05, 0.2])
    later[21] += step
    field = d2min(positions, later, 12.0 * np.eye(3), cutoff=3.2)
    assert field[21] == pytest.approx(6 * step @ step, rel=1e-12)
    # a neighbour's six bonds, one of which changes by u: (1 - 1/2) u^2 remain
    neighbour = int(np.flatnonzero((positions == positions[21] + [3.0, 0, 0]).all(axis=1))[0])
    assert field[neighbour] == pytest.approx(0.5 * step @ step, rel=1e-12)
    assert (np.sort(field)[:-7] < AFFINE).all()


def test_small_displacements_do_not_cancel() -> None:
    cell = CELLS["orthogonal"]
    earlier = scatter(100, cell, 9)
    move = np.random.default_rng(1).normal(0, 1, earlier.shape)
    large, small = (d2min(earlier, earlier + size * move, cell) / size**2 for size in (1e-2, 1e-7))
    np.testing.assert_allclose(small, large, rtol=1e-6, atol=1e-6)


def test_neighbours_that_do_not_span_space() -> None:
    cell = 30.0 * np.eye(3)
    plane = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]) + 15.0
    alone = np.array([[1.0, 1.0, 1.0]])
    pair = np.array([[25.0, 5.0, 5.0], [26.0, 5.0, 5.0]])
    earlier = np.concatenate([plane, alone, pair])
    later = earlier + np.random.default_rng(0).normal(0, 0.1, earlier.shape)
    field = d2min(earlier, later, cell, cutoff=1.2)
    bonds = neighbours_within(earlier, cell, 1.2)
    assert field[5] == 0.0
    assert field[6:] == pytest.approx(0.0, abs=AFFINE)
    np.testing.assert_allclose(field, by_least_squares(earlier, later, bonds, cell, cell), atol=1e-14)
    assert field[0] > 1e-3


def test_different_atoms_are_refused() -> None:
    with pytest.raises(DataError, match="5 atoms before, 4 after"):
        d2min(np.zeros((5, 3)), np.zeros((4, 3)), np.eye(3))
    with pytest.raises(DataError, match="atom 2 is not finite"):
        d2min(np.zeros((2, 3)), np.array([[0, 0, 0], [0, 0, np.inf]]), np.eye(3))


# ---------------------------------------------------------------- clusters and events


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_clusters_are_the_connected_components(seed: int, n: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag([8.0, 9.0, 10.0])
    bonds = neighbours_within(rng.random((n, 3)) @ cell, cell, 2.5)
    chosen = rng.random(n) < share
    group = clusters(chosen, bonds)
    assert ((group > 0) == chosen).all()

    # scipy on the matrix of bonds among the chosen, all others cut out
    keep = np.flatnonzero(chosen)
    matrix = coo_array((np.ones(len(bonds.index)), (bonds.centre, bonds.index)), shape=(n, n)).tocsr()
    count, names = connected_components(matrix[keep][:, keep], directed=False) if len(keep) else (0, keep)
    assert group.max(initial=0) == count
    assert len(set(zip(names.tolist(), group[keep].tolist(), strict=True))) == count
    sizes = np.bincount(group)[1:]
    assert (np.diff(sizes) <= 0).all()
    first = [int(np.flatnonzero(group == g)[0]) for g in range(1, count + 1)]
    for a in range(count - 1):
        assert sizes[a] > sizes[a + 1] or first[a] < first[a + 1]


CHAIN = np.arange(10)[:, None] * np.array([[1.0, 0, 0]])
"""Ten atoms 1 Å apart in a row; in a box of 10 Å the row closes on itself."""


def chain_bonds(length: float) -> Neighbours:
    return neighbours_within(CHAIN, np.diag([length, 20.0, 20.0]), 1.2)


def test_clusters_close_through_the_boundary() -> None:
    chosen = np.zeros(10, dtype=bool)
    chosen[[0, 1, 9, 4, 5]] = True
    assert clusters(chosen, chain_bonds(10.0)).tolist() == [1, 1, 0, 0, 2, 2, 0, 0, 0, 1]
    assert clusters(chosen, chain_bonds(15.0)).tolist() == [1, 1, 0, 0, 2, 2, 0, 0, 0, 3]


def test_event_atoms_keeps_large_groups_above_the_threshold_only() -> None:
    field = np.array([0.5, 0.2, 0.3, 0.0, 0.9, 0.8, 0.0, 0.1, 0.11, np.nan])
    bonds = chain_bonds(15.0)
    assert np.flatnonzero(event_atoms(field, bonds)).tolist() == [0, 1, 2]
    assert np.flatnonzero(event_atoms(field, bonds, min_cluster=2)).tolist() == [0, 1, 2, 4, 5]
    # the threshold itself is not above the threshold
    assert np.flatnonzero(event_atoms(field, bonds, min_cluster=1)).tolist() == [0, 1, 2, 4, 5, 8]
    assert not event_atoms(field, bonds, threshold=0.25).any()
    assert not event_atoms(np.zeros(10), bonds, min_cluster=1).any()
    assert event_atoms(field, bonds).dtype == bool
