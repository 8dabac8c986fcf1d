"""Two-point statistics of maps: the mean product of two pixels as a function of the shift between them.

Torquato, *Random Heterogeneous Materials* (2002), doi:10.1007/978-1-4757-6355-3; Fullwood, Niezgoda, Adams &
Kalidindi 2010, doi:10.1016/j.pmatsci.2009.08.002.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.samples import Float, Int


def two_point_statistics(
    values: NDArray[Any], mask: NDArray[np.bool_] | None = None, *, most_rows: int, most_cols: int
) -> Float:
    """Mean product of two pixels that are r = (rows, columns) apart, of a map m with present pixels S.

        f(r) = sum_x S(x) m(x) S(x + r) m(x + r) / sum_x S(x) S(x + r)

    Only pairs within the map count: it is not periodic. Each pair is counted once from either end, so
    f(r) = f(-r), and the half plane from row 0 on says everything; of row 0 the half from column 0 on. Both
    sums are autocorrelations, taken by Fourier transforms of maps with so many zeros around them that no
    shift within the cut-off meets a pixel from the other side.

    Parameters
    ----------
    values: (rows, columns); pixels that are not finite are missing.
    mask: (rows, columns) of bool, True where a pixel is present; None for all that are finite.
    most_rows, most_cols: largest shifts [pixels], from 0 on.

    Returns
    -------
    (most_rows + 1, 2 most_cols + 1) float64 in the unit of ``values`` squared: row i, column most_cols + j is
    the shift by i rows and j columns; NaN where no two present pixels are so far apart.

    Raises
    ------
    ValueError: shapes that do not fit, a map without pixels, or negative shifts.
    """
    there = np.isfinite(values)
    if there.ndim != 2 or not there.size or min(most_rows, most_cols) < 0:
        raise ValueError(f"a map of shape {there.shape} has no shifts up to {(most_rows, most_cols)}")
    if mask is not None:
        if mask.shape != there.shape:
            raise ValueError(f"a mask of shape {mask.shape} does not fit a map of shape {there.shape}")
        there &= mask.astype(bool)
    filled = np.where(there, values, 0).astype(np.float64)
    total = _autocorrelation(filled, most_rows, most_cols)
    if there.all():
        along = np.maximum(there.shape[0] - np.arange(most_rows + 1), 0)
        across = np.maximum(there.shape[1] - np.abs(np.arange(-most_cols, most_cols + 1)), 0)
        pairs = np.outer(along, across).astype(np.float64)
    else:
        pairs = np.rint(_autocorrelation(there.astype(np.float64), most_rows, most_cols))
    found = np.full(pairs.shape, np.nan)
    np.divide(total, pairs, out=found, where=pairs > 0)
    return found


def independent(statistics: Float) -> Float:
    """(n,) the values of :func:`two_point_statistics` that do not follow from each other by f(r) = f(-r).

    They are in the order of :func:`independent_shifts`.
    """
    return statistics.ravel()[statistics.shape[1] // 2 :]


def independent_shifts(most_rows: int, most_cols: int) -> Int:
    """(n, 2) int64 shifts [rows, columns] of :func:`independent`.

    Row 0 from column 0 on, then whole rows from -most_cols to most_cols: n is
    most_rows (2 most_cols + 1) + most_cols + 1.
    """
    rows, cols = np.mgrid[: most_rows + 1, -most_cols : most_cols + 1]
    return np.stack([rows.ravel(), cols.ravel()], axis=1)[most_cols:].astype(np.int64)


def _autocorrelation(values: Float, most_rows: int, most_cols: int) -> Float:
    """(most_rows + 1, 2 most_cols + 1) sums over x of v(x) v(x + r).

    Of both transforms only what is not zero, or is asked for, is computed.
    """
    from scipy import fft

    rows, cols = values.shape
    high = fft.next_fast_len(max(rows, most_rows) + most_rows, real=True)
    wide = fft.next_fast_len(max(cols, most_cols + 1) + most_cols, real=True)
    spectrum = fft.fft(fft.rfft(values, wide, axis=1), high, axis=0, overwrite_x=True)
    power = spectrum.real**2 + spectrum.imag**2
    # the power is real: its transform back along the rows is the conjugate of the one there
    half = fft.rfft(power, axis=0)[: most_rows + 1].conj()
    found: Float = fft.irfft(half, wide, axis=1) / high
    return np.concatenate([found[:, wide - most_cols :], found[:, : most_cols + 1]], axis=1)
