"""Maps on another number of pixels, each of which is the mean of what lies under it, weighted by area."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.samples import Float


def area_resize(values: NDArray[Any], rows: int, cols: int) -> Float:
    """A map of ``rows`` x ``cols`` pixels that cover the same area as the old ones.

    A new pixel is the mean of the old pixels under it, weighted by how much of each lies there. So the mean
    over the map stays as it is, for any two sizes; with a whole ratio a smaller map holds the means of
    blocks and a larger one copies of pixels. Pixels that are not finite are missing: a new pixel is the mean
    of what is there under it, and the mean over such a map is not kept.

    Parameters
    ----------
    values: (old rows, old columns), in any unit; NaN is missing.

    Returns
    -------
    (rows, cols) float64, in that unit; NaN where nothing is there.

    Raises
    ------
    ValueError: a map without pixels, or not of two dimensions.
    """
    old = np.asarray(values, np.float64)
    if old.ndim != 2 or not old.size or min(rows, cols) < 1:
        raise ValueError(f"a map of shape {old.shape} cannot become one of {(rows, cols)}")
    if old.shape == (rows, cols):
        return np.where(np.isfinite(old), old, np.nan)
    there = np.isfinite(old)
    if there.all():
        return _apply(old, rows, cols)
    total = _apply(np.where(there, old, 0.0), rows, cols)
    share = _apply(there.astype(np.float64), rows, cols)
    found = np.full(share.shape, np.nan)
    np.divide(total, share, out=found, where=share > 0)
    return found


def area_weights(old: int, new: int) -> Float:
    """(new, old) share of each old pixel in each new one along an edge.

    Rows sum to 1, columns to new / old. Overlaps are whole numbers of 1 / (old new) of the edge, so that
    pixels that only touch weigh exactly 0.
    """
    after, before = np.arange(new)[:, None] * old, np.arange(old) * new
    overlap = np.minimum(after + old, before + new) - np.maximum(after, before)
    found: Float = np.maximum(overlap, 0) / old
    return found


@lru_cache(maxsize=256)
def _sparse(old: int, new: int) -> Any:
    from scipy.sparse import csr_array

    return csr_array(area_weights(old, new))


def _apply(values: Float, rows: int, cols: int) -> Float:
    along = _sparse(values.shape[0], rows) @ values
    across = _sparse(values.shape[1], cols) @ np.ascontiguousarray(along.T)
    return np.ascontiguousarray(across.T)
