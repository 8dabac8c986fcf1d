"""Discs drawn into an array of pixels (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vitrine.samples import Float, Int


def draw(places: Float, kinds: Int, radii: Float, pixels: int, periodic: bool) -> NDArray[np.uint8]:
    """Class of each pixel: 0 is background, ``kinds + 1`` a disc.

    A pixel belongs to a disc if its middle lies in it, to the nearest centre where discs overlap (so
    that no order of the particles matters and none hides another's centre), and always to the particle
    whose centre it holds.

    Parameters
    ----------
    places: (n, 2) float64, x and y in pixels, in ``[0, pixels]``.
    kinds: (n,) int64, species of each particle, from 0.
    radii: (n_species,) float64, in pixels.
    periodic: a disc that leaves the image comes in at the other side; else it is cut.

    Returns
    -------
    (pixels, pixels) uint8; row 0 is y = 0, column 0 is x = 0.
    """
    image = np.zeros((pixels, pixels), np.uint8)
    nearest = np.full((pixels, pixels), np.inf, np.float32)
    _draw(places, kinds, radii, periodic, image, nearest)
    return image


@njit(cache=True)
def _draw(places, kinds, radii, periodic, image, nearest):  # type: ignore[no-untyped-def]
    pixels = len(image)
    for i in range(len(places)):
        x, y = places[i, 0], places[i, 1]
        radius, colour = radii[kinds[i]], kinds[i] + 1
        own_row, own_column = min(int(y), pixels - 1), min(int(x), pixels - 1)
        lowest = min(own_row, int(np.ceil(y - radius - 0.5)))
        highest = max(own_row, int(np.floor(y + radius - 0.5)))
        for row in range(lowest, highest + 1):
            v = row + 0.5 - y
            inside = radius * radius - v * v
            first, last = own_column, own_column if row == own_row else own_column - 1
            if inside >= 0.0:
                half = np.sqrt(inside)
                left, right = int(np.ceil(x - half - 0.5)), int(np.floor(x + half - 0.5))
                if row == own_row:
                    first, last = min(left, own_column), max(right, own_column)
                else:
                    first, last = left, right
            for column in range(first, last + 1):
                u = column + 0.5 - x
                r, c = row, column
                if periodic:
                    r, c = row % pixels, column % pixels
                elif not (0 <= row < pixels and 0 <= column < pixels):
                    continue
                away = np.float32(u * u + v * v)
                if away < nearest[r, c] or (away == nearest[r, c] and colour < image[r, c]):
                    nearest[r, c] = away
                    image[r, c] = colour
