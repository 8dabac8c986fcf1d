"""Scattered points of a measurement onto a regular grid with square pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError

LONGEST_EDGE = 100_000
"""points along an edge of a map"""
ON_GRID = 0.1
"""spacings: points this close to the places of a regular grid belong to them"""
NEAR = 1.5
"""spacings: an interpolated place without a point this close is masked"""
SQUARE = 0.02
"""how much the spacings along x and y may differ in a square grid"""
SPARSEST = 100
"""places per point, beyond which points are not those of a grid"""
FARTHEST = 1e8
"""spacings from the first to the last point, beyond which the points are not those of a grid"""
SMALL = 1_000_000
"""places of a grid that may be as sparse as it likes"""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Values on a regular grid.

    Attributes
    ----------
    values: (fields, rows, columns), from low y and low x on; NaN where nothing was measured.
    step: distance of neighbouring places, in the unit of the coordinates.
    origin: x and y of the first place.
    how: ``nearest``, each point in its own place, or ``linear``, interpolated.
    """

    values: Floats
    step: float
    origin: tuple[float, float]
    how: str


def regrid(x: Floats, y: Floats, values: Floats, where: str) -> Grid:
    """Bring points to the regular grid they come from, or interpolate them onto one.

    Parameters
    ----------
    x, y: (points,) finite coordinates.
    values: (fields, points), NaN where the measurement failed.
    where: the file, for messages.

    Raises
    ------
    DataError: too few points, all on a line, two at one place, or far too sparse for a grid.
    """
    from scipy.spatial import cKDTree

    if len(x) < 2:
        raise DataError(f"{where}: {len(x)} points; at least 4 x 4 are needed")
    points = np.column_stack([x, y])
    distances = cKDTree(points).query(points, k=2)[0][:, 1]
    typical = float(np.median(distances))
    closest = int(np.argmin(distances))
    if not typical > 0 or distances[closest] < 1e-6 * typical:
        raise DataError(
            f"{where}: two points at x = {x[closest]:g}, y = {y[closest]:g}; one table should hold one frame"
        )
    if max(np.ptp(x), np.ptp(y)) > FARTHEST * typical:
        raise DataError(f"{where}: most points are {typical:g} apart, but some {FARTHEST:g} times as far")
    step = _square_step(x, y, typical)
    if step is not None:
        grid = _in_place(x, y, values, step, where)
        if grid is not None:
            return grid
    return _interpolate(points, values, typical, where)


def _square_step(x: Floats, y: Floats, typical: float) -> float | None:
    """The spacing of a square grid, None where columns and rows of points do not show."""
    steps = [_most_frequent_step(c, typical) for c in (x, y)]
    found = [step for step in steps if step is not None]
    if not found or (len(found) == 2 and abs(found[0] - found[1]) > SQUARE * max(found)):
        return None
    return float(np.mean(found))


def _most_frequent_step(coordinates: Floats, typical: float) -> float | None:
    """Between neighbouring lines of points."""
    ordered = np.sort(coordinates)
    ends = np.flatnonzero(np.diff(ordered) > 0.3 * typical) + 1
    lines = np.array([part.mean() for part in np.split(ordered, ends)])
    gaps = np.diff(lines)
    if not len(gaps):
        return None
    counts = np.rint(gaps / (0.05 * typical)).astype(np.int64)
    kinds, number = np.unique(counts, return_counts=True)
    most = kinds[np.argmax(number)]
    return float(np.median(gaps[np.abs(counts - most) <= 1]))


def _in_place(x: Floats, y: Floats, values: Floats, step: float, where: str) -> Grid | None:
    """Every point in the place of a regular grid that it is next to; None if some are next to none."""
    fits = [_fit(c, step) for c in (x, y)]
    step = float(np.mean([fit[1] for fit in fits]))
    places: list[NDArray[np.int64]] = []
    origin: list[float] = []
    for c, (index, _) in zip((x, y), fits, strict=True):
        start = float(np.median(c - index * step))
        if np.abs(c - start - index * step).max() > ON_GRID * step:
            return None
        places.append(index)
        origin.append(start)
    columns, rows = (int(index.max()) + 1 for index in places)
    _check_size(rows, columns, len(x), where)
    flat = places[1] * columns + places[0]
    order, number = np.unique(flat, return_counts=True)
    if (number > 1).any():
        row, column = divmod(int(order[np.argmax(number > 1)]), columns)
        raise DataError(
            f"{where}: {number.max()} points at one place (x = {origin[0] + column * step:g}, "
            f"y = {origin[1] + row * step:g}); one table should hold one frame"
        )
    grid = np.full((len(values), rows * columns), np.nan)
    grid[:, flat] = values
    return Grid(grid.reshape(len(values), rows, columns), step, (origin[0], origin[1]), "nearest")


def _fit(c: Floats, step: float) -> tuple[NDArray[np.int64], float]:
    """(points,) index of each coordinate from the lowest on, and the step that fits all of them best."""
    for _ in range(3):
        start = float(c.min())
        index = np.rint((c - start) / step).astype(np.int64)
        spread = index - index.mean()
        total = float(spread @ spread)
        if not total:
            break
        step = float(spread @ (c - c.mean())) / total
    return index, step


def _check_size(rows: int, columns: int, points: int, where: str) -> None:
    if max(rows, columns) > LONGEST_EDGE or rows * columns > max(SMALL, SPARSEST * points):
        raise DataError(
            f"{where}: {points:,} points would make a grid of {rows:,} x {columns:,} places, for the spacing "
            "of most of them; a grid of points, perhaps with holes, is needed"
        )


def _interpolate(points: Floats, values: Floats, step: float, where: str) -> Grid:
    from scipy.interpolate import griddata
    from scipy.spatial import QhullError, cKDTree

    low, high = points.min(axis=0), points.max(axis=0)
    columns, rows = (int(n) + 1 for n in np.floor((high - low) / step + 1e-6))
    _check_size(rows, columns, len(points), where)
    good = np.isfinite(values).any(axis=0)
    used = np.isfinite(values[:, good]).any(axis=1) if good.any() else np.zeros(len(values), bool)
    good &= np.isfinite(values[used]).all(axis=0)
    grid = np.full((len(values), rows, columns), np.nan)
    if good.any():
        ys, xs = np.mgrid[:rows, :columns]
        places = np.stack([low[0] + xs * step, low[1] + ys * step], axis=-1)
        try:
            found = griddata(points[good], values[used][:, good].T, places, method="linear")
        except QhullError as error:
            raise DataError(f"{where}: the points are on one line; at least 4 x 4 are needed") from error
        far = cKDTree(points[good]).query(places)[0] > NEAR * step
        found[far] = np.nan
        grid[used] = np.moveaxis(found, -1, 0)
    return Grid(grid, step, (float(low[0]), float(low[1])), "linear")


def strain_of_displacements(u: Floats, v: Floats, step: float) -> Floats:
    """(3, rows, columns) small strain xx, yy, xy by central differences.

    At the edge and beside missing points the difference to the one neighbour is taken that is there;
    NaN where there is none.

    Parameters
    ----------
    u, v: (rows, columns) displacements along x and y, in the unit of ``step``.
    """
    along_x = [_slope(f, 1, step) for f in (u, v)]
    along_y = [_slope(f, 0, step) for f in (u, v)]
    return np.stack([along_x[0], along_y[1], 0.5 * (along_y[0] + along_x[1])])


def _slope(field: Floats, axis: int, step: float) -> Floats:
    rows = np.moveaxis(field, axis, 0)
    empty = np.full_like(rows[:1], np.nan)
    after, before = np.concatenate([rows[1:], empty]), np.concatenate([empty, rows[:-1]])
    central, forward, backward = (after - before) / 2, after - rows, rows - before
    slope = np.where(np.isfinite(central), central, np.where(np.isfinite(forward), forward, backward))
    slope[~np.isfinite(rows)] = np.nan
    return np.asarray(np.moveaxis(slope, 0, axis) / step)
