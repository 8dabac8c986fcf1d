"""Merge tree and 0-dimensional persistence of sublevel sets of an array, by union-find.

Edelsbrunner & Harer 2008, doi:10.1090/conm/453/08802. Cells are joined along the axes (4 neighbours in the
plane), which is the convention of a cubical complex whose vertices carry the values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrine.samples import Float


@dataclass(frozen=True, eq=False)
class MergeTree:
    """Basins of an array, the most persistent first.

    Attributes
    ----------
    birth: (m,) value of each basin's minimum. death: (m,) value at which it joins a deeper one; infinite for
        one that never does.
    minimum: (m, axes) index of each minimum. saddle: (m, axes) index of the cell where it joins; -1 where it
        never does. parent: (m,) the basin that it joins, -1 for none.
    """

    birth: Float
    death: Float
    minimum: NDArray[np.int64]
    saddle: NDArray[np.int64]
    parent: NDArray[np.int64]

    @property
    def persistence(self) -> Float:
        """(m,) death less birth, in the units of the values."""
        return self.death - self.birth

    def __len__(self) -> int:
        return len(self.birth)


def merge_tree(values: Float) -> MergeTree:
    """The merge tree of sublevel sets; of two basins that meet the one with the deeper minimum lives on.

    Plateaus are one basin: basins of no persistence are left out. Cells that are not finite are above every
    level and belong to no basin.

    Parameters
    ----------
    values: of one or more axes.
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    order = np.argsort(flat, kind="stable")
    order = order[np.isfinite(flat[order])]
    padded = np.full([size + 2 for size in values.shape], -1)
    padded[tuple(slice(1, -1) for _ in values.shape)] = np.arange(flat.size).reshape(values.shape)
    owner, pairs = _joined(flat.tolist(), order.tolist(), _neighbours(padded))
    roots = {_root(owner, int(cell)) for cell in order}
    pairs += [(root, -1, -1) for root in roots]
    return _tree(flat, pairs, values.shape)


def _neighbours(padded: NDArray[np.int64]) -> list[list[int]]:
    """Of each cell its neighbours along the axes; -1 beyond the edge."""
    inside = tuple(slice(1, -1) for _ in padded.shape)
    found = [np.roll(padded, by, axis)[inside].ravel() for axis in range(padded.ndim) for by in (1, -1)]
    listed: list[list[int]] = np.stack(found, axis=1).tolist()
    return listed


def _root(owner: list[int], cell: int) -> int:
    while owner[cell] != cell:
        owner[cell] = owner[owner[cell]]
        cell = owner[cell]
    return cell


def _joined(
    flat: list[float], order: list[int], neighbours: list[list[int]]
) -> tuple[list[int], list[tuple[int, int, int]]]:
    """Cells from low to high: owners, and (minimum, saddle, minimum that lives on) of basins that end.

    The root of a basin is its minimum.
    """
    owner = [-1] * len(flat)
    rank = {cell: number for number, cell in enumerate(order)}
    pairs = []
    for cell in order:
        owner[cell] = cell
        for near in neighbours[cell]:
            if near < 0 or owner[near] < 0:
                continue
            low, high = sorted((_root(owner, cell), _root(owner, near)), key=rank.__getitem__)
            if low == high:
                continue
            owner[high] = low
            if flat[cell] > flat[high]:
                pairs.append((high, cell, low))
    return owner, pairs


def _tree(flat: Float, pairs: list[tuple[int, int, int]], shape: tuple[int, ...]) -> MergeTree:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    birth = flat[table[:, 0]]
    death = np.where(table[:, 1] < 0, np.inf, flat[table[:, 1]])
    order = np.lexsort((birth, birth - death))
    table, birth, death = table[order], birth[order], death[order]
    number = {int(cell): place for place, cell in enumerate(table[:, 0])}
    places = np.stack(np.unravel_index(np.maximum(table[:, :2], 0), shape), axis=-1)
    saddle = np.where(table[:, 1, None] < 0, -1, places[:, 1])
    parent = np.array([number.get(int(cell), -1) for cell in table[:, 2]], dtype=np.int64)
    return MergeTree(birth, death, places[:, 0], saddle, parent)
