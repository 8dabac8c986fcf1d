"""Non-affine squared displacement D2min (Falk & Langer 1998, doi:10.1103/PhysRevE.57.7192).

D2min_i = min over J of ``sum_j |J d_ij(t0) - d_ij(t1)|^2``, j over the neighbours of i within a
cut-off in the *earlier* configuration. It differs from OVITO's strain tensor invariants (which
describe the affine part J) and is not divided by the number of neighbours.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vitrine.errors import DataError
from vitrine.physics.neighbours import (
    Neighbours,
    check_configuration,
    laid_out,
    near,
    neighbours_within,
    sort_into_cells,
    wrapped_fractions,
)
from vitrine.samples import Float, Int

CUTOFF = 3.8
"""Å; about 13 neighbours in Cu64Zr36. The papers that define the label give no value."""


def d2min(
    earlier: Float,
    later: Float,
    earlier_cell: Float,
    later_cell: Float | None = None,
    *,
    cutoff: float = CUTOFF,
    neighbours: Neighbours | None = None,
) -> Float:
    """D2min of every atom between two configurations of the same atoms.

    Parameters
    ----------
    earlier, later: (n, 3) positions, Å, same order; each wrapped or not. Between the two, no
        atom may move by more than half a cell relative to its neighbours, in the frame of the box.
    earlier_cell, later_cell: (3, 3) rows are the *same* cell vectors twice, Å (a box that was
        flipped in between must be flipped back); later_cell defaults to earlier_cell.
    cutoff: Å.
    neighbours: neighbour list of the earlier configuration, if already at hand.

    Returns
    -------
    (n,) float64, Å^2. Zero for atoms with no neighbours; where the neighbours do not span
    space, the affine part is that of least norm (pseudo-inverse).

    Raises
    ------
    DataError: the two configurations do not fit together.
    """
    earlier, earlier_cell = check_configuration(earlier, earlier_cell)
    later, later_cell = check_configuration(later, earlier_cell if later_cell is None else later_cell)
    if earlier.shape != later.shape:
        raise DataError(f"D2min needs the same atoms twice: {len(earlier)} atoms before, {len(later)} after")
    step = later @ np.linalg.inv(later_cell) - earlier @ np.linalg.inv(earlier_cell)
    step -= np.round(step)
    # the nearest image of a difference of two steps is another only where steps span half a cell
    wraps = bool((np.ptp(step, axis=0) >= 0.5).any())
    if neighbours is None:
        result = _searched(earlier, step, earlier_cell, later_cell, cutoff, wraps)
    else:
        result = _listed(earlier, step, earlier_cell, later_cell, neighbours, wraps)
    unsolved = np.flatnonzero(np.isnan(result))
    if len(unsolved):
        bonds = neighbours or neighbours_within(earlier, earlier_cell, cutoff)
        before = earlier @ np.linalg.inv(earlier_cell)
        for i in unsolved:
            result[i] = _degenerate(int(i), before, step, earlier_cell, later_cell, bonds)
    return result


def _moves(fractional: Float, step: Float, cell0: Float, cell1: Float) -> Float:
    """(n, 3) Å: how far atoms moved. The change is fitted, not the new place: nothing cancels."""
    moves: Float = step @ cell1 + fractional @ (cell1 - cell0)
    return moves


def _searched(earlier: Float, step: Float, cell0: Float, cell1: Float, cutoff: float, wraps: bool) -> Float:
    """D2min straight from the cell list, which is half the work of listing the bonds first."""
    cells = sort_into_cells(earlier, cell0, cutoff)
    fractional, _ = wrapped_fractions(earlier, cell0)
    moves = laid_out(_moves(fractional, step, cell0, cell1), cells.atom, cells.image, cell1 - cell0)
    result = np.empty(len(earlier))
    _from_cells(cells, moves, step, cell1, cutoff * cutoff, wraps, result)
    return result


def _listed(
    earlier: Float, step: Float, cell0: Float, cell1: Float, neighbours: Neighbours, wraps: bool
) -> Float:
    fractional = earlier @ np.linalg.inv(cell0)
    moves = _moves(fractional, step, cell0, cell1)
    result = np.empty(len(earlier))
    _from_bonds(
        earlier, moves, step, cell0, cell1,
        neighbours.starts, neighbours.index, neighbours.shift, wraps, result,
    )  # fmt: skip
    return result


@njit(cache=True, error_model="numpy")
def _from_cells(cells, moves, step, cell1, cutoff2, wraps, result):  # type: ignore[no-untyped-def]
    found = np.empty(len(cells.place) + 1, np.int64)
    x = np.empty((len(found), 3))
    e = np.empty((len(found), 3))
    for i in cells.atom[cells.own]:
        own = cells.own[i]
        n = near(cells, i, cutoff2, found)
        for k in range(n):
            for c in range(3):
                x[k, c] = cells.place[found[k], c] - cells.place[own, c]
                e[k, c] = moves[found[k], c] - moves[own, c]
            if wraps:
                _take_nearest_image(e[k], step, cells.atom[found[k]], i, cell1)
        result[i] = _rest(x, e, n)


@njit(cache=True, error_model="numpy")
def _from_bonds(place, moves, step, cell0, cell1, starts, index, shift, wraps, result):  # type: ignore[no-untyped-def]
    change = cell1 - cell0
    most = 0
    for i in range(len(result)):
        most = max(most, starts[i + 1] - starts[i])
    x = np.empty((most, 3))
    e = np.empty((most, 3))
    for i in range(len(result)):
        n = starts[i + 1] - starts[i]
        for k in range(n):
            j = index[starts[i] + k]
            for c in range(3):
                x[k, c] = place[j, c] - place[i, c]
                e[k, c] = moves[j, c] - moves[i, c]
                for d in range(3):
                    x[k, c] += shift[starts[i] + k, d] * cell0[d, c]
                    e[k, c] += shift[starts[i] + k, d] * change[d, c]
            if wraps:
                _take_nearest_image(e[k], step, j, i, cell1)
        result[i] = _rest(x, e, n)


@njit(cache=True)
def _take_nearest_image(e, step, j, i, cell1):  # type: ignore[no-untyped-def]
    """The two atoms may have wrapped differently."""
    for d in range(3):
        wrap = np.round(step[j, d] - step[i, d])
        if wrap != 0:
            for c in range(3):
                e[c] -= wrap * cell1[d, c]


@njit(cache=True, error_model="numpy")
def _rest(x, e, n):  # type: ignore[no-untyped-def]
    """What the best affine map leaves of the changes ``e`` of the vectors ``x``; NaN if none is best."""
    if n == 0:
        return 0.0
    bxx = bxy = bxz = byy = byz = bzz = 0.0
    axx = axy = axz = ayx = ayy = ayz = azx = azy = azz = 0.0
    for k in range(n):
        u, v, w = x[k, 0], x[k, 1], x[k, 2]
        bxx += u * u
        bxy += u * v
        bxz += u * w
        byy += v * v
        byz += v * w
        bzz += w * w
        axx += e[k, 0] * u
        axy += e[k, 0] * v
        axz += e[k, 0] * w
        ayx += e[k, 1] * u
        ayy += e[k, 1] * v
        ayz += e[k, 1] * w
        azx += e[k, 2] * u
        azy += e[k, 2] * v
        azz += e[k, 2] * w
    # inverse of the symmetric b by its cofactors
    ixx, ixy, ixz = byy * bzz - byz * byz, bxz * byz - bxy * bzz, bxy * byz - bxz * byy
    iyy, iyz, izz = bxx * bzz - bxz * bxz, bxy * bxz - bxx * byz, bxx * byy - bxy * bxy
    det = bxx * ixx + bxy * ixy + bxz * ixz
    if not det > 1e-9 * ((bxx + byy + bzz) / 3.0) ** 3:
        return np.nan
    gxx, gxy = (axx * ixx + axy * ixy + axz * ixz) / det, (axx * ixy + axy * iyy + axz * iyz) / det
    gxz, gyx = (axx * ixz + axy * iyz + axz * izz) / det, (ayx * ixx + ayy * ixy + ayz * ixz) / det
    gyy, gyz = (ayx * ixy + ayy * iyy + ayz * iyz) / det, (ayx * ixz + ayy * iyz + ayz * izz) / det
    gzx, gzy = (azx * ixx + azy * ixy + azz * ixz) / det, (azx * ixy + azy * iyy + azz * iyz) / det
    gzz = (azx * ixz + azy * iyz + azz * izz) / det
    total = 0.0
    for k in range(n):
        u, v, w = x[k, 0], x[k, 1], x[k, 2]
        p = e[k, 0] - (gxx * u + gxy * v + gxz * w)
        q = e[k, 1] - (gyx * u + gyy * v + gyz * w)
        r = e[k, 2] - (gzx * u + gzy * v + gzz * w)
        total += p * p + q * q + r * r
    return total


def _degenerate(
    i: int, before: Float, step: Float, cell0: Float, cell1: Float, neighbours: Neighbours
) -> float:
    bonds = slice(neighbours.starts[i], neighbours.starts[i + 1])
    j = neighbours.index[bonds]
    fraction = before[j] + neighbours.shift[bonds] - before[i]
    x = fraction @ cell0
    e = (fraction + step[j] - step[i] - np.round(step[j] - step[i])) @ cell1 - x
    gradient = np.linalg.lstsq(x, e, rcond=1e-9)[0]
    return float(((e - x @ gradient) ** 2).sum())


def clusters(chosen: np.ndarray, neighbours: Neighbours) -> Int:
    """Connected groups among the chosen atoms.

    Parameters
    ----------
    chosen: (n,) bool. neighbours: bonds that connect (the D2min neighbour list).

    Returns
    -------
    (n,) int64: 0 for atoms not chosen, else the group's number from 1 on, largest group first
    (ties by the lowest atom).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    chosen = np.asarray(chosen, dtype=bool)
    centre, other = neighbours.centre, neighbours.index
    bond = chosen[centre] & chosen[other]
    ends = (centre[bond], other[bond])
    graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(len(chosen),) * 2)
    _, group = connected_components(graph, directed=False)
    names, first, sizes = np.unique(group[chosen], return_index=True, return_counts=True)
    rank = np.zeros(len(chosen) + 1, dtype=np.int64)
    rank[names[np.lexsort((first, -sizes))]] = np.arange(1, len(names) + 1)
    result: Int = np.where(chosen, rank[group], 0)
    return result


def event_atoms(
    field: Float, neighbours: Neighbours, *, threshold: float = 0.1, min_cluster: int = 3
) -> np.ndarray:
    """Atoms above ``threshold`` that belong to connected groups of at least ``min_cluster``.

    Parameters
    ----------
    field: (n,) D2min, Å^2. threshold: Å^2.

    Returns
    -------
    (n,) bool.
    """
    group = clusters(np.asarray(field) > threshold, neighbours)
    sizes = np.bincount(group)
    large = sizes >= min_cluster
    large[0] = False
    found: np.ndarray = large[group]
    return found
