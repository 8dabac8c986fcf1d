"""Non-affine squared displacement D2min (Falk & Langer 1998, doi:10.1103/PhysRevE.57.7192).

D2min_i = min over J of sum_j |J d_ij(t0) - d_ij(t1)|^2, j over the neighbours of i within a
cut-off in the *earlier* configuration. It differs from OVITO's strain tensor invariants (which
describe the affine part J) and is not divided by the number of neighbours.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vitrine.errors import DataError
from vitrine.physics.neighbours import Neighbours, check_configuration, neighbours_within
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
    if neighbours is None:
        neighbours = neighbours_within(earlier, earlier_cell, cutoff)
    before = earlier @ np.linalg.inv(earlier_cell)
    step = later @ np.linalg.inv(later_cell) - before
    step -= np.round(step)
    result = np.empty(len(earlier))
    _d2min(
        before, step, earlier_cell, later_cell,
        neighbours.starts, neighbours.index, neighbours.shift, result,
    )  # fmt: skip
    for i in np.flatnonzero(np.isnan(result)):
        result[i] = _degenerate(int(i), before, step, earlier_cell, later_cell, neighbours)
    return result


@njit(cache=True, error_model="numpy")
def _d2min(before, step, cell0, cell1, starts, index, shift, result):  # type: ignore[no-untyped-def]
    most = 0
    for i in range(len(result)):
        most = max(most, starts[i + 1] - starts[i])
    x = np.empty((most, 3))
    e = np.empty((most, 3))
    fraction = np.empty(3)
    for i in range(len(result)):
        n = starts[i + 1] - starts[i]
        b = np.zeros((3, 3))
        a = np.zeros((3, 3))
        for k in range(n):
            j = index[starts[i] + k]
            for c in range(3):
                fraction[c] = before[j, c] + shift[starts[i] + k, c] - before[i, c]
            for c in range(3):
                old = 0.0
                new = 0.0
                for d in range(3):
                    old += fraction[d] * cell0[d, c]
                    # the two may have wrapped differently: take the nearest image
                    wrap = np.round(step[j, d] - step[i, d])
                    new += (fraction[d] + step[j, d] - step[i, d] - wrap) * cell1[d, c]
                x[k, c] = old
                # fit the change, not the new vector: no cancellation for small displacements
                e[k, c] = new - old
            for c in range(3):
                for d in range(3):
                    b[c, d] += x[k, c] * x[k, d]
                    a[c, d] += e[k, c] * x[k, d]
        det = (
            b[0, 0] * (b[1, 1] * b[2, 2] - b[1, 2] * b[2, 1])
            - b[0, 1] * (b[1, 0] * b[2, 2] - b[1, 2] * b[2, 0])
            + b[0, 2] * (b[1, 0] * b[2, 1] - b[1, 1] * b[2, 0])
        )
        scale = (b[0, 0] + b[1, 1] + b[2, 2]) / 3.0
        if n == 0:
            result[i] = 0.0
            continue
        if not det > 1e-9 * scale**3:
            result[i] = np.nan
            continue
        gradient = a @ np.linalg.inv(b)
        total = 0.0
        for k in range(n):
            for c in range(3):
                rest = e[k, c]
                for d in range(3):
                    rest -= gradient[c, d] * x[k, d]
                total += rest * rest
        result[i] = total


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
