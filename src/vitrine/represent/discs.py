"""Discs drawn into an array of pixels (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vitrine.physics.plane import Plane
from vitrine.samples import Float, Int


def draw(plane: Plane, kinds: Int, radii: Float, image: NDArray[np.uint8], room: NDArray[np.float32]) -> None:
    """Put the class of each pixel into ``image``: 0 is background, ``kinds + 1`` a disc.

    A pixel belongs to a disc if its middle lies in it, to the nearest centre where discs overlap (so
    that no order of the particles matters and none hides another's centre), and always to the particle
    whose centre it holds.

    Parameters
    ----------
    plane: a square box; where it is periodic, a disc that leaves the image comes in at the other side,
        else it is cut.
    kinds: (n,) int64, species of each particle, from 0.
    radii: (n_species,) float64, in the unit of the positions.
    image: (pixels, pixels) uint8, overwritten; row 0 is y = 0, column 0 is x = 0.
    room: (pixels, pixels) float32, to work in.
    """
    image[:] = 0
    scale = len(image) / float(plane.lengths[0])
    _draw(plane.positions, kinds, radii, scale, plane.periodic, image, room)


@njit(cache=True)
def _draw(positions, kinds, radii, scale, periodic, image, nearest):  # type: ignore[no-untyped-def]
    pixels = len(image)
    for i in range(len(positions)):
        x, y = positions[i, 0] * scale, positions[i, 1] * scale
        radius, colour = radii[kinds[i]] * scale, kinds[i] + 1
        own_row, own_column = min(int(y), pixels - 1), min(int(x), pixels - 1)
        u, v = own_column + 0.5 - x, own_row + 0.5 - y
        reach = max(radius * radius, u * u + v * v)  # a disc holds the pixel of its centre, however small
        edge = max(radius, np.abs(u), np.abs(v))
        first, last = int(np.ceil(x - edge - 0.5)), int(np.floor(x + edge - 0.5))
        low, high = int(np.ceil(y - edge - 0.5)), int(np.floor(y + edge - 0.5))
        if not periodic:
            first, last, low, high = max(first, 0), min(last, pixels - 1), max(low, 0), min(high, pixels - 1)
        for row in range(low, high + 1):
            r = _into(row, pixels)
            v = row + 0.5 - y
            for column in range(first, last + 1):
                u = column + 0.5 - x
                away = u * u + v * v
                if away <= reach:
                    c = _into(column, pixels)
                    there, before = np.float32(away), image[r, c]
                    if before == 0 or there < nearest[r, c] or (there == nearest[r, c] and colour < before):
                        nearest[r, c] = there
                        image[r, c] = colour


@njit(cache=True)
def _into(index, size):  # type: ignore[no-untyped-def]
    """The index modulo the size: a loop that hardly ever turns costs less than a division."""
    while index < 0:
        index += size
    while index >= size:
        index -= size
    return index
