"""Neighbours within a cut-off in a periodic, possibly triclinic box (numba, cell list)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from vitrine.errors import DataError, StudyError
from vitrine.samples import Float, Int

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


def neighbours_within(positions: Float, cell: Float, cutoff: float) -> Neighbours:
    """All neighbours closer than ``cutoff``, images of small boxes included.

    Parameters
    ----------
    positions: (n, 3) Å, wrapped or not. cell: (3, 3) rows are cell vectors, Å. cutoff: Å.

    Raises
    ------
    DataError: unusable positions or cell. StudyError: the cut-off is not a positive length.
    """
    if not 0 < cutoff < np.inf:
        raise StudyError(f"the cut-off is {cutoff} Å; it must be a length above 0")
    positions, cell = check_configuration(positions, cell)
    fractional = positions @ np.linalg.inv(cell)
    home = np.floor(fractional)
    fractional = fractional - home
    bins = np.maximum(np.floor(plane_spacing(cell) / cutoff), 1).astype(np.int64)
    # more bins than atoms only cost memory
    bins = np.minimum(bins, max(1, int(np.ceil(len(positions) ** (1 / 3))) + 1))
    reach = np.ceil(cutoff / (plane_spacing(cell) / bins) - 1e-12).astype(np.int64)
    which = np.minimum((fractional * bins).astype(np.int64), bins - 1)
    flat = (which[:, 0] * bins[1] + which[:, 1]) * bins[2] + which[:, 2]
    order = np.argsort(flat, kind="stable")
    bounds = np.searchsorted(flat[order], np.arange(int(np.prod(bins)) + 1))
    # atoms of a bin side by side in memory
    sorted_positions = np.ascontiguousarray((fractional @ cell)[order])
    starts, index, image = _search(
        sorted_positions, cell, cutoff * cutoff, bins, reach, which, order, bounds.astype(np.int64)
    )
    axes = [np.arange(-r, r + 1) for r in reach]
    shift = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)[image]
    home = home.astype(np.int64)
    if home.any():
        shift += np.repeat(home, np.diff(starts), axis=0) - home[index]
    return Neighbours(starts, index, shift)


@njit(cache=True, error_model="numpy")
def _search(positions, cell, cutoff2, bins, reach, which, order, bounds):  # type: ignore[no-untyped-def]
    """Bonds of atom i in order of i; ``image`` numbers the translations in [-reach, reach]^3."""
    n = len(positions)
    rank = np.empty(n, np.int64)
    for k in range(n):
        rank[order[k]] = k
    starts = np.zeros(n + 1, np.int64)
    index = np.empty(24 * n + 64, np.int64)
    image = np.empty(24 * n + 64, np.int32)
    found = 0
    for i in range(n):
        own = rank[i]
        for a in range(-reach[0], reach[0] + 1):
            ba = which[i, 0] + a
            na = ba // bins[0]
            for b in range(-reach[1], reach[1] + 1):
                bb = which[i, 1] + b
                nb = bb // bins[1]
                for c in range(-reach[2], reach[2] + 1):
                    bc = which[i, 2] + c
                    nc = bc // bins[2]
                    box = ((ba - na * bins[0]) * bins[1] + bb - nb * bins[1]) * bins[2] + bc - nc * bins[2]
                    first, last = bounds[box], bounds[box + 1]
                    while found + last - first > len(index):
                        index = _longer(index)
                        image = _longer(image)
                    x = positions[own, 0] - na * cell[0, 0] - nb * cell[1, 0] - nc * cell[2, 0]
                    y = positions[own, 1] - na * cell[0, 1] - nb * cell[1, 1] - nc * cell[2, 1]
                    z = positions[own, 2] - na * cell[0, 2] - nb * cell[1, 2] - nc * cell[2, 2]
                    here = na == 0 and nb == 0 and nc == 0
                    code = ((na + reach[0]) * (2 * reach[1] + 1) + nb + reach[1]) * (
                        2 * reach[2] + 1
                    ) + nc + reach[2]  # fmt: skip
                    for k in range(first, last):
                        u = positions[k, 0] - x
                        v = positions[k, 1] - y
                        w = positions[k, 2] - z
                        # always written, kept only if near: no branch in the inner loop
                        index[found] = order[k]
                        image[found] = code
                        found += (u * u + v * v + w * w < cutoff2) and not (here and k == own)
        starts[i + 1] = found
    return starts, index[:found].copy(), image[:found].copy()


@njit(cache=True)
def _longer(array):  # type: ignore[no-untyped-def]
    longer = np.empty(2 * len(array) + 64, array.dtype)
    longer[: len(array)] = array
    return longer
