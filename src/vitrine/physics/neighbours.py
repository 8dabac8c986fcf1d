"""Neighbours within a cut-off in a periodic, possibly triclinic box (numba, cell list).

Atoms are sorted into cells, and the images of those near the faces of the box are laid out around
them. What can be near an atom is then a few runs of memory, with no periodicity left to think of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from vitrine.errors import DataError, StudyError
from vitrine.samples import Float, Int

_SLICES = 4
"""cells along the last axis per cut-off length: fewer atoms out of reach are looked at"""
_NO_ATOMS = "a configuration needs finite positions (n, 3) with n >= 1"


@dataclass(frozen=True)
class Neighbours:
    """A full neighbour list in compressed rows; every bond stands in both directions.

    Attributes
    ----------
    starts: (n + 1,) int64; the neighbours of i are ``starts[i]:starts[i + 1]``.
    index: (n_bonds,) int64, the neighbour.
    shift: (n_bonds, 3) int64, lattice translation of the neighbour's image relative to the
        *given* positions: vector = positions[j] + shift @ cell - positions[i].
    """

    starts: Int
    index: Int
    shift: Int

    @property
    def centre(self) -> Int:
        """(n_bonds,) int64: the atom that each bond starts from."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def check_configuration(positions: Float, cell: Float) -> tuple[Float, Float]:
    """Return both as contiguous float64 or say what is wrong with them.

    Raises
    ------
    DataError: wrong shapes, numbers that are not finite, a cell without volume.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1:] != (3,) or len(positions) == 0:
        raise DataError(f"{_NO_ATOMS}; got an array of shape {positions.shape}")
    if not np.isfinite(positions).all():
        bad = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
        raise DataError(f"the position of atom {bad + 1} is not finite: {positions[bad]}")
    if cell.shape != (3, 3) or not np.isfinite(cell).all():
        raise DataError(f"the cell must be three finite vectors, (3, 3); got shape {cell.shape}")
    if abs(np.linalg.det(cell)) < 1e-9:
        raise DataError("the cell has no volume; a periodic box with three independent vectors is needed")
    return positions, cell


def plane_spacing(cell: Float) -> Float:
    """(3,) distance between opposite faces of the cell, in the cell's unit of length."""
    spacing: Float = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    return spacing


class CellList(NamedTuple):
    """Atoms and the images around the box, sorted into cells; a row is an atom or an image of one.

    Attributes
    ----------
    home: (n, 3) int64, whole cell vectors by which the given positions lie outside the box.
    atom: (n_rows,) int64, whose image a row is.
    image: (n_rows, 3) int64, its lattice translation from the *wrapped* atom.
    place: (n_rows, 3) float64, Å.
    own: (n,) int64, the row of each atom itself.
    corner: (n,) int64, the first cell of the block around each atom.
    bounds: (n_cells + 1,) int64, rows of a cell.
    runs: (n_runs,) int64, what to add to ``corner``: cells ``runs[r]`` to ``runs[r] + width``.
    width: cells in a run.
    """

    home: Int
    atom: Int
    image: Int
    place: Float
    own: Int
    corner: Int
    bounds: Int
    runs: Int
    width: int


def sort_into_cells(positions: Float, cell: Float, cutoff: float) -> CellList:
    """The cell list of checked positions (n, 3) and cell (3, 3), Å.

    Raises
    ------
    StudyError: the cut-off is not a positive length.
    """
    if not 0 < cutoff < np.inf:
        raise StudyError(f"the cut-off is {cutoff} Å; it must be a length above 0")
    spacing = plane_spacing(cell)
    # more bins than atoms only cost memory
    most = np.ceil(len(positions) ** (1 / 3)) + 1
    # thin slices along the last axis, on which cells follow one another: shorter runs
    slices = np.array([1, 1, _SLICES])
    bins = np.clip(np.floor(spacing * slices / cutoff), 1, most * slices).astype(np.int64)
    reach = np.ceil(cutoff / (spacing / bins) - 1e-12).astype(np.int64)
    fractional, home = wrapped_fractions(positions, cell)
    atom, image, own, corner, bounds = _sort(fractional, bins, reach)
    _, b, c = bins + 2 * reach
    first, second = np.meshgrid(*(np.arange(2 * r + 1) for r in reach[:2]), indexing="ij")
    runs = ((first * b + second) * c).ravel()
    place = laid_out(fractional @ cell, atom, image, cell)
    return CellList(home, atom, image, place, own, corner, bounds, runs, int(2 * reach[2] + 1))


def wrapped_fractions(positions: Float, cell: Float) -> tuple[Float, Int]:
    """Fractions (n, 3) of the cell vectors, in [0, 1], and the whole ones (n, 3) taken off."""
    fractional = positions @ np.linalg.inv(cell)
    home = np.floor(fractional)
    fractional -= home
    return fractional, home.astype(np.int64)


def laid_out(field: Float, atom: Int, image: Int, per_cell: Float) -> Float:
    """(n_rows, 3): a vector of each atom, plus ``image @ per_cell``."""
    rows = np.empty((len(atom), 3))
    _lay_out(np.ascontiguousarray(field), atom, image, np.ascontiguousarray(per_cell), rows)
    return rows


def neighbours_within(positions: Float, cell: Float, cutoff: float) -> Neighbours:
    """All neighbours closer than ``cutoff``, images of small boxes included.

    Parameters
    ----------
    positions: (n, 3) Å, wrapped or not. cell: (3, 3) rows are cell vectors, Å. cutoff: Å.

    Raises
    ------
    DataError: unusable positions or cell. StudyError: the cut-off is not a positive length.
    """
    cells = sort_into_cells(*check_configuration(positions, cell), cutoff)
    return Neighbours(*_search(cells, cutoff * cutoff))


@njit(cache=True, error_model="numpy")
def _sort(fractional, bins, reach):  # type: ignore[no-untyped-def]
    """Counting sort of the atoms into bins, then of their images into the cells around them."""
    n = len(fractional)
    which = np.empty((n, 3), np.int64)
    flat = np.empty(n, np.int64)
    counts = np.zeros(bins[0] * bins[1] * bins[2] + 1, np.int64)
    for i in range(n):
        for d in range(3):
            which[i, d] = min(int(fractional[i, d] * bins[d]), bins[d] - 1)
        flat[i] = (which[i, 0] * bins[1] + which[i, 1]) * bins[2] + which[i, 2]
        counts[flat[i] + 1] += 1
    starts = np.cumsum(counts)
    order = np.empty(n, np.int64)
    filled = starts.copy()
    for i in range(n):
        order[filled[flat[i]]] = i
        filled[flat[i]] += 1

    wide = bins + 2 * reach
    bounds = np.zeros(wide[0] * wide[1] * wide[2] + 1, np.int64)
    cells = np.empty((len(bounds) - 1, 4), np.int64)  # bin and translation that fill a cell
    here = 0
    for a in range(wide[0]):
        na = (a - reach[0]) // bins[0]
        for b in range(wide[1]):
            nb = (b - reach[1]) // bins[1]
            line = ((a - reach[0] - na * bins[0]) * bins[1] + b - reach[1] - nb * bins[1]) * bins[2]
            for c in range(wide[2]):
                nc = (c - reach[2]) // bins[2]
                box = line + c - reach[2] - nc * bins[2]
                cells[here, 0], cells[here, 1], cells[here, 2], cells[here, 3] = box, na, nb, nc
                bounds[here + 1] = bounds[here] + starts[box + 1] - starts[box]
                here += 1
    atom = np.empty(bounds[-1], np.int64)
    image = np.empty((bounds[-1], 3), np.int64)
    own = np.empty(n, np.int64)
    for here in range(len(cells)):
        box, na, nb, nc = cells[here]
        row = bounds[here]
        for k in range(starts[box], starts[box + 1]):
            atom[row] = order[k]
            image[row, 0], image[row, 1], image[row, 2] = na, nb, nc
            if na == 0 and nb == 0 and nc == 0:
                own[order[k]] = row
            row += 1
    corner = (which[:, 0] * wide[1] + which[:, 1]) * wide[2] + which[:, 2]
    return atom, image, own, corner, bounds


@njit(cache=True)
def _lay_out(field, atom, image, per_cell, rows):  # type: ignore[no-untyped-def]
    for row in range(len(atom)):
        for c in range(3):
            away = image[row, 0] * per_cell[0, c] + image[row, 1] * per_cell[1, c]
            rows[row, c] = field[atom[row], c] + (away + image[row, 2] * per_cell[2, c])


@njit(cache=True)
def near(cells, i, cutoff2, found):  # type: ignore[no-untyped-def]
    """Put the rows nearer to atom ``i`` than the cut-off into ``found``; returns their number."""
    place, own, corner = cells.place, cells.own[i], cells.corner[i]
    x, y, z = place[own, 0], place[own, 1], place[own, 2]
    n = 0
    for run in cells.runs:
        for row in range(cells.bounds[corner + run], cells.bounds[corner + run + cells.width]):
            u = place[row, 0] - x
            v = place[row, 1] - y
            w = place[row, 2] - z
            # always written, kept only if near: no branch in the inner loop
            found[n] = row
            n += (u * u + v * v + w * w < cutoff2) and row != own
    return n


@njit(cache=True)
def _search(cells, cutoff2):  # type: ignore[no-untyped-def]
    """``starts``, ``index`` and ``shift`` of all bonds."""
    n = len(cells.own)
    starts = np.zeros(n + 1, np.int64)
    rows = np.empty(24 * n + 64, np.int64)
    found = np.empty(len(cells.place) + 1, np.int64)
    for i in range(n):
        count = near(cells, i, cutoff2, found)
        while starts[i] + count > len(rows):
            longer = np.empty(2 * len(rows), np.int64)
            longer[: starts[i]] = rows[: starts[i]]
            rows = longer
        rows[starts[i] : starts[i] + count] = found[:count]
        starts[i + 1] = starts[i] + count
    index = np.empty(starts[n], np.int64)
    shift = np.empty((starts[n], 3), np.int64)
    for i in range(n):
        for bond in range(starts[i], starts[i + 1]):
            j = cells.atom[rows[bond]]
            index[bond] = j
            for d in range(3):
                shift[bond, d] = cells.image[rows[bond], d] + cells.home[i, d] - cells.home[j, d]
    return starts, index, shift
