"""Nearest maps in a network's features, and the stress-strain curve that they foretell together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrine.samples import Float, Int

AT_ONCE = 1 << 22
"""numbers of a table of distances that are held at a time"""
LEAST_BAND = 3
"""curves from which a band is given"""
BAND = (0.1, 0.9)
"""quantiles that bound it"""
FLOW = (0.002, 0.01)
"""strains since the reload began between which stresses are averaged to the flow stress"""


def nearest(
    reference: NDArray[np.float32],
    query: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[Int, Float]:
    """The k nearest rows by Euclidean distance; of equals those that come first.

    Parameters
    ----------
    reference: (n, f). query: (m, f). k: at most n.
    allowed: (m, n) which rows may be neighbours of which query; all by default.

    Returns
    -------
    (m, k) indices, -1 where fewer are allowed, and (m, k) distances, inf there.

    Raises
    ------
    ValueError: k is not from 1 to n, or the rows differ in length.
    """
    if not 1 <= k <= len(reference):
        raise ValueError(f"{k} neighbours among {len(reference)} are impossible")
    if reference.shape[1:] != query.shape[1:]:
        raise ValueError(f"rows of {reference.shape[1:]} and {query.shape[1:]} cannot be compared")
    wide = reference.astype(np.float64)
    squares = (wide**2).sum(axis=1)
    step = max(1, AT_ONCE // len(reference))
    places, distances = [], []
    for start in range(0, len(query), step):
        some = query[start : start + step].astype(np.float64)
        rough = squares - 2 * some @ wide.T  # without the square of the query, which orders nothing
        if allowed is not None:
            rough[~allowed[start : start + step]] = np.inf
        found = np.argsort(rough, axis=1, kind="stable")[:, :k]
        # differences once more: large squares have lost small distances
        apart = np.sqrt(((wide[found] - some[:, None]) ** 2).sum(axis=2))
        none = ~np.isfinite(np.take_along_axis(rough, found, axis=1))
        found[none], apart[none] = -1, np.inf
        places.append(found)
        distances.append(apart)
    shape = (0, k)
    return (
        np.concatenate([np.zeros(shape, np.int64), *places]),
        np.concatenate([np.zeros(shape), *distances]),
    )


def mean_curve(curves: Float) -> tuple[Float, Float, Float]:
    """Mean of several curves and the band that holds 80 % of them at each strain, of no width below three.

    curves: (k, points) MPa. Returns three (points,) arrays.
    """
    middle = curves.mean(axis=0)
    if len(curves) < LEAST_BAND:
        return middle, middle, middle
    low, high = np.quantile(curves, BAND, axis=0)
    return middle, low, high


class CurveErrors(NamedTuple):
    """How far a predicted curve is off.

    Attributes
    ----------
    mae: mean absolute error over the range of strain [MPa]. relative: that over the mean of the true stress.
    flow: error of the flow stress, its mean between strains of 0.2 and 1 % [MPa].
    """

    mae: float
    relative: float
    flow: float


def curve_errors(strain: Float, truth: Float, predicted: Float) -> CurveErrors:
    """Errors of a curve on evenly spaced strains; all (points,), strain from 0 as a fraction."""
    mae = float(np.abs(predicted - truth).mean())
    scale = float(np.abs(truth).mean())
    flowing = (strain >= FLOW[0] - 1e-12) & (strain <= FLOW[1] + 1e-12)
    flow = float(abs((predicted - truth)[flowing].mean())) if flowing.any() else float("nan")
    return CurveErrors(mae, mae / scale if scale > 0 else float("nan"), flow)
