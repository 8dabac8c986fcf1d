"""Crops of resized maps, without the resized map: weights along both edges for the pixels under a crop.

A pixel of a resized picture is the mean of what lies under it, weighted by area: no strain is lost or made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrine.map_stack import SQUARES, MapStack
from vitrine.physics.resample import area_weights


class Band(NamedTuple):
    """Weights along an edge: pixel i is the sum of ``weights[i, k]`` times the old pixel ``first[i] + k``."""

    first: NDArray[np.int64]
    weights: NDArray[np.float32]


@lru_cache(maxsize=4096)
def band(old: int, long: int, first: int, square: int, crop: int, middle: bool) -> Band:
    """Weights of a crop along one edge.

    Parameters
    ----------
    old: pixels of the map. long: pixels of the picture. first: where the square begins in the picture.
    square: its edge. crop: edge of the crop. middle: the middle of the square, not all of it.
    """
    picture = area_weights(old, long)[first : first + square]
    if middle:
        gap = (square - crop) // 2
        weights = picture[gap : gap + crop]
    else:
        weights = area_weights(square, crop) @ picture
    filled = weights > 1e-12
    begin = filled.argmax(axis=1)
    width = int((old - filled[:, ::-1].argmax(axis=1) - begin).max())
    begin = np.minimum(begin, old - width)
    columns = begin[:, None] + np.arange(width)
    packed = np.take_along_axis(weights, columns, axis=1)
    return Band(begin.astype(np.int64), packed.astype(np.float32))


@cache
def _kernel() -> Callable[..., Any]:
    from numba import njit

    @njit(cache=True, fastmath=False, nogil=True)
    def cut(codes, greys, first_row, row_weights, first_column, column_weights, out):  # type: ignore[no-untyped-def]
        low = first_row.min()
        high = first_row.max() + row_weights.shape[1]
        size = out.shape[1]
        part = np.empty((high - low, size), np.float32)
        line = np.empty(codes.shape[1], np.float32)
        for row in range(low, high):
            for column in range(codes.shape[1]):
                line[column] = greys[codes[row, column]]
            for j in range(size):
                total = np.float32(0)
                for k in range(column_weights.shape[1]):
                    total += column_weights[j, k] * line[first_column[j] + k]
                part[row - low, j] = total
        for i in range(out.shape[0]):
            for j in range(size):
                out[i, j] = 0
            for k in range(row_weights.shape[1]):
                weight = row_weights[i, k]
                source = first_row[i] - low + k
                for j in range(size):
                    out[i, j] += weight * part[source, j]

    return cut


def cut_crops(
    stack: MapStack,
    numbers: NDArray[np.int64],
    views: NDArray[np.int64],
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """(n, crop, crop) float32 grey values from 0 to 1: view ``views[i]`` of map ``numbers[i]``.

    Rows lie along the load.
    """
    plan, cut = stack.plan, _kernel()
    size = plan.crop
    found = np.empty((len(numbers), size, size), np.float32)
    codes = stack.pixels.view(np.uint16)
    for place, number, view in zip(found, numbers, views, strict=True):
        rows, columns = (int(edge) for edge in stack.shapes[number])
        side, square, middle = plan.place(int(view))
        along = band(rows, SQUARES * side, square * side, side, size, middle)
        across = band(columns, side, 0, side, size, middle)
        start = stack.begins[number]
        here = codes[start : start + rows * columns].reshape(rows, columns)
        cut(here, plan.greys, *along, *across, place)
    return found


def all_crops(stack: MapStack, number: int) -> NDArray[np.float32]:
    """(views, crop, crop) float32 grey values of a map."""
    views = np.arange(stack.plan.views)
    return cut_crops(stack, np.full(len(views), number), views)


def with_lines(stack: MapStack) -> NDArray[np.bool_]:
    """(n, views) which crops are looked at: those that show something, or all of a map that shows nothing.

    A crop shows something if a grey value of it lies ``plan.least`` (a strain) or more from its mean.
    """
    plan = stack.plan
    found = np.ones((len(stack), plan.views), bool)
    if plan.least <= 0:
        return found
    least = plan.least / (plan.high - plan.low)
    for number in range(len(stack)):
        crops = all_crops(stack, number)
        apart = np.abs(crops - crops.mean(axis=(1, 2), keepdims=True)).max(axis=(1, 2))
        if (apart >= least).any():
            found[number] = apart >= least
    return found
