"""Stress-strain curves foretold from maps that are alike: nearest neighbours, their mean curve, its error.

As in section 2.2 of doi:10.1038/s41598-020-65157-z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.samples import Float, Int, Samples

AT_ONCE = 1 << 20
"""distances that are held together"""
LEAST_FOR_BAND = 3
"""neighbours from which a spread is told"""
BAND = (0.1, 0.9)
"""quantiles of the neighbours between which the band lies"""
FLOW = (0.002, 0.01)
"""strains between which the stress is called flow stress"""
SAME = 1e-9
"""by which strains of curves may differ and be the same"""


class Errors(NamedTuple):
    """Of predicted curves, each of the shape of the predictions without its last axis.

    Attributes
    ----------
    mae: mean absolute error over the strain range [MPa]. relative: that, divided by the mean absolute true
        stress over the range. flow: absolute error of the flow stress [MPa].
    """

    mae: Float
    relative: Float
    flow: Float


def nearest(
    reference: NDArray[Any], query: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[Int, Float]:
    """(m, k) indices of the nearest references and their Euclidean distances, both by rising distance.

    Of equal distances the lower index comes first.

    Parameters
    ----------
    reference: (n, f). query: (m, f). allowed: (m, n), which references each query may have; by default all.
        Where there are fewer than ``k``, the rest are index -1 at distance inf.

    Raises
    ------
    ValueError: ``k`` is below 1 or above n, shapes do not fit, or a feature is not finite.
    """
    from scipy.spatial.distance import cdist

    if not 1 <= k <= len(reference):
        raise ValueError(f"{k} neighbours among {len(reference)} are impossible")
    if reference.ndim != 2 or query.ndim != 2 or reference.shape[1] != query.shape[1]:
        raise ValueError(f"features should be (n, f) and (m, f), not {reference.shape} and {query.shape}")
    if not (np.isfinite(reference).all() and np.isfinite(query).all()):
        raise ValueError("features should be finite")
    wide = np.asarray(reference, np.float64)
    indices = np.empty((len(query), k), np.int64)
    distances = np.empty((len(query), k))
    size = max(1, AT_ONCE // len(reference))
    for start in range(0, len(query), size):
        part = slice(start, start + size)
        apart = cdist(np.asarray(query[part], np.float64), wide)
        if allowed is not None:
            apart[~allowed[part]] = np.inf
        indices[part] = np.argsort(apart, axis=1, kind="stable")[:, :k]
        distances[part] = np.take_along_axis(apart, indices[part], axis=1)
    indices[np.isinf(distances)] = -1
    return indices, distances


def drawn(allowed: NDArray[np.bool_], k: int, seed: int) -> Int:
    """(m, k) indices drawn at random from those allowed, none twice in a row; -1 where there are too few.

    Parameters
    ----------
    allowed: (m, n). A row's draw depends on the seed, its number and what it is allowed alone.
    """
    found = np.full((len(allowed), k), -1, np.int64)
    for number, own in enumerate(allowed):
        places = np.flatnonzero(own)
        if len(places) >= k:
            found[number] = np.random.default_rng([seed, number]).choice(places, k, replace=False)
    return found


def mean_curve(curves: NDArray[Any]) -> tuple[Float, Float, Float]:
    """Mean of curves and the band between their 10 and 90 % quantiles, each (points,) [MPa].

    The band is a spread of the curves, not an error of their mean. It has no width with fewer than three.

    Parameters
    ----------
    curves: (k, points) stress [MPa].

    Raises
    ------
    ValueError: there is no curve.
    """
    wide = np.asarray(curves, np.float64)
    if wide.ndim != 2 or not len(wide):
        raise ValueError(f"curves should be (k, points) with k of at least 1, not {wide.shape}")
    if len(wide) < LEAST_FOR_BAND:
        return wide.mean(axis=0), wide.mean(axis=0), wide.mean(axis=0)
    low, high = np.quantile(wide, BAND, axis=0)
    return wide.mean(axis=0), low, high


def mean_of(curves: Float, indices: Int, k: int) -> Float:
    """(m, points) mean of the curves with the first ``k`` indices of each row; nan where there are fewer.

    Parameters
    ----------
    curves: (n, points). indices: (m, most); -1 is none.
    """
    first = indices[:, :k]
    found: Float = curves[first].mean(axis=1)
    found[(first < 0).any(axis=1) | (first.shape[1] < k)] = np.nan
    return found


def mean_where(curves: Float, chosen: NDArray[np.bool_]) -> Float:
    """(m, points) mean of the chosen (m, n) curves; nan where none is."""
    count = chosen.sum(axis=1)[:, None]
    found: Float = chosen.astype(np.float64) @ curves / np.maximum(count, 1)
    found[count[:, 0] == 0] = np.nan
    return found


def share_inside(true: Float, curves: Float, indices: Int, k: int) -> Float:
    """(m,) share of the points of each true curve that lie in the band of :func:`mean_curve` of k others.

    nan where k are not there, or have no band.

    Parameters
    ----------
    true: (m, points). curves: (n, points). indices: (m, most); -1 is none.
    """
    found = np.full(len(true), np.nan)
    for number, own in enumerate(indices[:, :k]):
        if len(own) == k >= LEAST_FOR_BAND and (own >= 0).all():
            _, low, high = mean_curve(curves[own])
            found[number] = ((true[number] >= low) & (true[number] <= high)).mean()
    return found


def flow_stress(strain: Float, stress: Float) -> Float:
    """Mean stress (...) between strains of 0.2 and 1 % of curves (..., points) [MPa]; nan if no strain is."""
    inside = (strain >= FLOW[0] - SAME) & (strain <= FLOW[1] + SAME)
    if not inside.any():
        return np.full(stress.shape[:-1], np.nan)
    found: Float = stress[..., inside].mean(axis=-1)
    return found


def curve_errors(strain: Float, true: Float, predicted: Float) -> Errors:
    """Errors of predicted curves (..., points) [MPa]; nan where a prediction is.

    Parameters
    ----------
    strain: (points,) evenly spaced. true: (..., points) [MPa].
    """
    mae = np.abs(predicted - true).mean(axis=-1)
    scale = np.abs(true).mean(axis=-1)
    relative = np.where(scale > 0, mae / np.where(scale > 0, scale, 1.0), np.nan)
    return Errors(mae, relative, np.abs(flow_stress(strain, predicted) - flow_stress(strain, true)))


def common_curves(parts: Sequence[Samples]) -> tuple[Float, list[Float]]:
    """Strain (points,) and, for each part, the stress (n, points) [MPa] of its maps; each is read once.

    Strains are evenly spaced up to the end of the shortest curve, as many as it has points. Curves at other
    strains are interpolated.

    Raises
    ------
    DataError: a map has no curve, or it is none; the map is named.
    """
    read = [
        [_curve_of(item, name) for item, name in zip(part.items, part.ids, strict=True)] for part in parts
    ]
    every = [curve for curves in read for curve in curves]
    if not every:
        raise DataError("there is no map, so that there is no stress-strain curve")
    shortest = min((curve[:, 0] for curve in every), key=lambda own: float(own[-1]))
    strain = np.linspace(shortest[0], shortest[-1], len(shortest))
    return strain, [
        np.array([_at(strain, curve) for curve in curves]).reshape(len(curves), len(strain))
        for curves in read
    ]


def _at(strain: Float, curve: Float) -> Float:
    own = curve[:, 0]
    if len(own) == len(strain) and np.allclose(own, strain, rtol=0, atol=SAME):
        return curve[:, 1]
    found: Float = np.interp(strain, own, curve[:, 1])
    return found


def _curve_of(item: Any, name: str) -> Float:
    """(points, 2) strain and stress [MPa] of a map."""
    curve = item.curve
    if curve is None:
        raise DataError(f"{name}: this map comes without a stress-strain curve")
    found = np.asarray(curve, np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) < 2:
        raise DataError(f"{name}: its stress-strain curve should be (points, 2), not {found.shape}")
    if not np.isfinite(found).all() or (np.diff(found[:, 0]) <= 0).any():
        raise DataError(f"{name}: its stress-strain curve should be finite and its strains rise")
    return found


@dataclass(frozen=True)
class Known:
    """What is known of n maps beside their pixels.

    Attributes
    ----------
    features: (n, f) float32. curves: (n, points) [MPa]. groups: (n,) trajectories. classes: (n,) true
        classes, 0 where there are none. reload, prior [%], width [µm], slips: (n,); -1 where nobody knows.
    """

    features: NDArray[np.float32]
    curves: Float
    groups: NDArray[np.str_]
    classes: Int
    reload: Float
    prior: Float
    width: Float
    slips: Float

    @classmethod
    def of(cls, samples: Samples, features: NDArray[np.float32], curves: Float, classes: Int | None) -> Known:
        """With the attributes of these samples."""
        unknown = np.full(len(samples), -1.0)
        names = ("reload", "prior", "width", "slip_systems")
        numbers = [np.nan_to_num(samples.attributes.get(name, unknown), nan=-1.0) for name in names]
        groups = np.asarray(samples.groups, dtype=str)
        own = np.zeros(len(samples), np.int64) if classes is None else classes
        return cls(features, curves, groups, own, *numbers)


def pools(
    test: Known, training: Known, same_reload: bool, apart: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(m, n) training maps that each test map may look at, and those of its width and slip systems alone.

    same_reload: those of its own reload. apart: none of its own trajectory.
    """
    pool = np.ones((len(test.groups), len(training.groups)), bool)
    if same_reload:
        pool &= test.reload[:, None] == training.reload
    if apart:
        pool &= test.groups[:, None] != training.groups
    return pool, pool & (test.width[:, None] == training.width) & (test.slips[:, None] == training.slips)


def named_reloads(reload: Float) -> dict[float, str]:
    """Each reload [%] and what it is called, by rising strain; nothing if it is not known."""
    known = [float(value) for value in np.unique(reload)]
    return {value: f"reload {value:g} %" if value > 0 else "" for value in known}
