"""The nearest neighbours of each atom of a crystal, whole shells of them, for any cell.

An atom's neighbours are its ``k`` nearest periodic images of atoms and every further image as far away as the
k-th: a shell that k would cut is taken whole, as ALIGNN does (doi:10.1038/s41524-021-00650-1). So the graph
has the symmetry of the crystal, and depends neither on the cell that describes it nor on the order of atoms.

The cell is reduced to its shortest vectors (Semaev 2001, doi:10.1007/3-540-44670-2_13), so that few images
are looked at in vain. The radius starts from the density and grows where it held too few.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.samples import Float, Int

SAME_SHELL = 1.0e-3
"""Relative: images up to this much further than the k-th belong to its shell. Relaxed structures keep their
symmetry to some 1e-4 Å (3e-5 of a bond), and are written with 5 to 8 digits; distinct shells of a crystal are
seldom closer than 1e-2 of their radius."""
CLOSEST = 0.1
"""Å; atoms nearer than this are in one place."""
_GROWTH = 1.3


class CrystalBonds(NamedTuple):
    """Bonds of a crystal, sorted by (centre, length).

    Attributes
    ----------
    edges: (2, n_bonds) int64, centre and neighbour; a pair may have several, an atom its own images.
    vectors: (n_bonds, 3) float64 Å, from the centre to that image of the neighbour.
    """

    edges: Int
    vectors: Float


def crystal_neighbours(
    cell: Float, frac: Float, neighbours: int = 12, tolerance: float = SAME_SHELL
) -> CrystalBonds:
    """The ``neighbours`` nearest images around each atom, and those as far away as the last of them.

    Parameters
    ----------
    cell: (3, 3) Å, rows are cell vectors, of either hand, however skewed.
    frac: (n, 3) fractional coordinates, not necessarily between 0 and 1.
    neighbours: at least so many for each atom.
    tolerance: relative, how much further than the last of them an image of its shell may be.

    Raises
    ------
    DataError: no atoms, numbers that are not finite, a cell without volume, or two atoms in one place.
    """
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    frac = np.ascontiguousarray(frac, dtype=np.float64)
    if frac.ndim != 2 or frac.shape[1] != 3 or not len(frac) or cell.shape != (3, 3):
        raise DataError(
            f"a crystal needs a cell (3, 3) and sites (n, 3), n > 0; got {cell.shape}, {frac.shape}"
        )
    if neighbours < 1:
        raise ValueError(f"neighbours must be 1 at least, not {neighbours}")
    edges, vectors, state = _bonds(cell, frac, neighbours, tolerance)
    if state == _NOT_FINITE:
        raise DataError("a crystal needs a finite cell, of some volume, and finite coordinates")
    if state >= 0:
        first, second = edges[:, state].tolist()
        apart = float(np.linalg.norm(vectors[state]))
        raise DataError(f"sites {first + 1} and {second + 1} are {apart:.2g} Å apart")
    return CrystalBonds(edges, vectors)


_FINE, _NOT_FINITE = -1, -2


@njit(cache=True, error_model="numpy")
def _bonds(cell, frac, k, tolerance):  # type: ignore[no-untyped-def]
    """Edges, vectors, and the bond between two atoms in one place, or how it went."""
    n = len(frac)
    capacity = n * (k + 4)
    edges, vectors = np.empty((2, capacity), np.int64), np.empty((capacity, 3))
    basis = reduced_cell(cell)
    inverse, volume = _inverse(basis)
    if not (np.isfinite(frac).all() and np.isfinite(volume) and volume > 0):
        return edges[:, :0], vectors[:0], _NOT_FINITE
    sites = _in_basis(cell, frac, inverse)
    heights = np.empty(3)
    for a in range(3):
        heights[a] = 1.0 / np.sqrt(inverse[0, a] ** 2 + inverse[1, a] ** 2 + inverse[2, a] ** 2)
    shortest = np.sqrt((basis[0] ** 2).sum())
    # a row of images along the shortest vector holds enough
    most = (k // 2 + 1) * shortest * (1.0 + 2.0 * tolerance)
    start = min(1.2 * (3.0 * (k + 1) * volume / (4.0 * np.pi * n)) ** (1.0 / 3.0), most)
    found = np.empty((4 * k + 64, 4))
    which = np.empty(len(found), np.int64)
    nearest = np.empty(k)
    total = 0
    for i in range(n):
        radius = start
        while True:
            count, found, which = _within(i, radius, basis, heights, sites, found, which)
            if count >= k:
                limit = _kth(found, count, nearest) * (1.0 + tolerance) ** 2
                if limit <= radius * radius:
                    break
            radius *= _GROWTH
        first = total
        for c in range(count):
            if found[c, 3] > limit:
                continue
            if total == capacity:
                capacity *= 2
                more_edges, more_vectors = np.empty((2, capacity), np.int64), np.empty((capacity, 3))
                more_edges[:, :total], more_vectors[:total] = edges, vectors
                edges, vectors = more_edges, more_vectors
            edges[0, total], edges[1, total] = i, c  # the candidate for now
            total += 1
        _by_length(edges[1, first:total], found)
        for e in range(first, total):
            c = edges[1, e]
            edges[1, e] = which[c]
            vectors[e] = found[c, :3]
        if found[0, 3] >= 0 and (vectors[first] ** 2).sum() < CLOSEST**2:
            return edges[:, :total], vectors[:total], first
    return edges[:, :total].copy(), vectors[:total].copy(), _FINE


@njit(cache=True, error_model="numpy")
def _within(i, radius, basis, heights, sites, found, which):  # type: ignore[no-untyped-def]
    """Images within a radius of site i: vectors and squares in found, whose in which; both may be new."""
    count, limit = 0, radius * radius
    ra, rb, rc = radius / heights[0], radius / heights[1], radius / heights[2]
    for j in range(len(sites)):
        da, db, dc = sites[j, 0] - sites[i, 0], sites[j, 1] - sites[i, 1], sites[j, 2] - sites[i, 2]
        for sa in range(int(np.ceil(-ra - da)), int(np.floor(ra - da)) + 1):
            for sb in range(int(np.ceil(-rb - db)), int(np.floor(rb - db)) + 1):
                fa, fb = da + sa, db + sb
                px = fa * basis[0, 0] + fb * basis[1, 0]
                py = fa * basis[0, 1] + fb * basis[1, 1]
                pz = fa * basis[0, 2] + fb * basis[1, 2]
                for sc in range(int(np.ceil(-rc - dc)), int(np.floor(rc - dc)) + 1):
                    fc = dc + sc
                    x, y, z = px + fc * basis[2, 0], py + fc * basis[2, 1], pz + fc * basis[2, 2]
                    square = x * x + y * y + z * z
                    if square > limit or (i == j and sa == 0 and sb == 0 and sc == 0):
                        continue
                    if count == len(found):
                        more, whose = np.empty((2 * count, 4)), np.empty(2 * count, np.int64)
                        more[:count], whose[:count] = found, which
                        found, which = more, whose
                    found[count, 0], found[count, 1], found[count, 2], found[count, 3] = x, y, z, square
                    which[count] = j
                    count += 1
    return count, found, which


@njit(cache=True, error_model="numpy")
def _kth(found, count, nearest):  # type: ignore[no-untyped-def]
    """The k-th smallest square, k being the length of the work array."""
    k = len(nearest)
    nearest[:] = np.inf
    for c in range(count):
        square = found[c, 3]
        if square < nearest[k - 1]:
            place = k - 1
            while place > 0 and nearest[place - 1] > square:
                nearest[place] = nearest[place - 1]
                place -= 1
            nearest[place] = square
    return nearest[k - 1]


@njit(cache=True, error_model="numpy")
def _by_length(chosen, found):  # type: ignore[no-untyped-def]
    """Sort candidates by length, in place; equal ones stay in their order."""
    for last in range(1, len(chosen)):
        moved, place = chosen[last], last
        while place > 0 and found[chosen[place - 1], 3] > found[moved, 3]:
            chosen[place] = chosen[place - 1]
            place -= 1
        chosen[place] = moved


@njit(cache=True, error_model="numpy")
def _in_basis(cell, frac, inverse):  # type: ignore[no-untyped-def]
    """Fractional coordinates in the reduced cell, between 0 and 1."""
    sites = np.empty_like(frac)
    turn = cell @ inverse  # whole numbers but for rounding
    for i in range(len(frac)):
        for a in range(3):
            value = 0.0
            for b in range(3):
                value += (frac[i, b] - np.floor(frac[i, b])) * np.round(turn[b, a])
            sites[i, a] = value - np.floor(value)
    return sites


@njit(cache=True, error_model="numpy")
def reduced_cell(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3): vectors of the same lattice of which none can be made shorter by adding others, by length."""
    basis = cell.copy()
    if not np.isfinite(basis).all():
        return basis
    for _ in range(10_000):  # each round makes a vector shorter; a cell of a million to one takes some twenty
        squares = (basis * basis).sum(axis=1)
        basis = basis[np.argsort(squares)]
        squares = (basis * basis).sum(axis=1)
        if not squares[0] > 0:
            return basis
        shift = np.round((basis[1] * basis[0]).sum() / squares[0])
        second = basis[1] - shift * basis[0]
        if (second * second).sum() < squares[1] * (1.0 - 1e-12):
            basis[1] = second
            continue
        # the closest point of the plane's lattice is one of those around the foot of the third vector
        aa, bb, ab = squares[0], squares[1], (basis[0] * basis[1]).sum()
        ac, bc = (basis[0] * basis[2]).sum(), (basis[1] * basis[2]).sum()
        area = aa * bb - ab * ab
        if not area > 0:
            return basis
        x, y = np.floor((bb * ac - ab * bc) / area), np.floor((aa * bc - ab * ac) / area)
        best, third = squares[2] * (1.0 - 1e-12), basis[2]
        for a in range(-1, 3):
            for b in range(-1, 3):
                candidate = basis[2] - (x + a) * basis[0] - (y + b) * basis[1]
                square = (candidate * candidate).sum()
                if square < best:
                    best, third = square, candidate
        if best == squares[2] * (1.0 - 1e-12):
            return basis
        basis[2] = third
    return basis


@njit(cache=True, error_model="numpy")
def _inverse(m):  # type: ignore[no-untyped-def]
    """Inverse of a (3, 3) matrix by cofactors, and the absolute determinant."""
    out = np.empty((3, 3))
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        for d in range(3):
            e, f = (d + 1) % 3, (d + 2) % 3
            out[d, a] = m[b, e] * m[c, f] - m[b, f] * m[c, e]
    determinant = m[0, 0] * out[0, 0] + m[0, 1] * out[1, 0] + m[0, 2] * out[2, 0]
    return out / determinant, abs(determinant)
