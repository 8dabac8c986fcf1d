"""Numbers of a line or surface of losses: arrays and their axes in, numbers out; nothing of networks here.

All functions take ``values`` of one or two axes and ``axes``, the steps along each, increasing, with the
network at step 0. Values that are not finite are above every level: a wall, never a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.samples import Float

Axes = Sequence[Float]


def checked(values: Float, axes: Axes) -> tuple[Float, tuple[Float, ...], tuple[int, ...]]:
    """Values with infinity where they are not finite, axes, and the cell at step 0 (the nearest to it).

    Raises
    ------
    DataError: shapes do not fit, an axis does not increase or has not 0 within it, or the value at step 0 is
        not finite.
    """
    values, axes = np.asarray(values, dtype=np.float64), tuple(np.asarray(a, np.float64) for a in axes)
    if values.ndim not in (1, 2) or values.shape != tuple(len(a) for a in axes) or min(values.shape) < 3:
        raise DataError(
            f"values of shape {values.shape} do not fit axes of {[len(a) for a in axes]} steps (3 or more, "
            "one or two axes)"
        )
    for steps in axes:
        if not (np.diff(steps) > 0).all() or not steps[0] < 0 < steps[-1]:
            raise DataError("the steps of an axis must increase and have 0 within them")
    centre = tuple(int(np.abs(steps).argmin()) for steps in axes)
    walls = np.where(np.isfinite(values), values, np.inf)
    if not np.isfinite(walls[centre]):
        raise DataError(f"the value at step 0 is {values[centre]}: nothing can be told relative to it")
    return walls, axes, centre


def distances(axes: Axes) -> Float:
    """Distance of every cell from step 0, in steps."""
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.asarray(np.sqrt(sum(m * m for m in mesh)))


def sharpness(values: Float, axes: Axes, radius: float) -> tuple[float, float]:
    """Largest rise of the loss within a radius, and the same divided by 1 + loss at the centre.

    The second is that of Keskar et al. 2017 (arXiv:1609.04836) without its factor of 100.
    """
    walls, axes, centre = checked(values, axes)
    inside = walls[distances(axes) <= radius * (1 + 1e-12)]
    rise = float(inside.max() - walls[centre]) if len(inside) else 0.0
    return rise, rise / (1.0 + float(walls[centre]))


@dataclass(frozen=True, eq=False)
class Radii:
    """How far one can go straight from the centre until the loss is above a level.

    Attributes
    ----------
    ways: (rays, axes) of -1, 0 and 1: where each ray goes.
    radius: (rays,) distance in steps. ended: (rays,) False where the edge came first: a lower bound.
    """

    ways: NDArray[np.int64]

    radius: Float
    ended: NDArray[np.bool_]


def robust_radii(values: Float, axes: Axes, level: float) -> Radii:
    """Along both ways of a line, or along 8 rays of a plane (axes and diagonals of cells).

    Between the last cell below the level and the first above, the loss is taken as linear; towards a cell
    that is not finite the radius ends at the last one below.
    """
    walls, axes, centre = checked(values, axes)
    ways = [way for way in product((-1, 0, 1), repeat=walls.ndim) if any(way)]
    found = [_along(walls, axes, centre, way, level) for way in ways]
    return Radii(np.array(ways), np.array([far for far, _ in found]), np.array([end for _, end in found]))


def _along(
    walls: Float, axes: tuple[Float, ...], centre: tuple[int, ...], way: tuple[int, ...], level: float
) -> tuple[float, bool]:
    last, last_at = float(walls[centre]), 0.0
    if last > level:
        return 0.0, True
    origin = [steps[place] for steps, place in zip(axes, centre, strict=True)]
    for number in range(1, max(walls.shape)):
        cell = tuple(place + number * step for place, step in zip(centre, way, strict=True))
        if any(not 0 <= place < size for place, size in zip(cell, walls.shape, strict=True)):
            break
        at = float(np.hypot.reduce([a[place] - o for a, place, o in zip(axes, cell, origin, strict=True)]))
        value = float(walls[cell])
        if value > level:
            part = (level - last) / (value - last) if np.isfinite(value) else 0.0
            return last_at + part * (at - last_at), True
        last, last_at = value, at
    return last_at, False


def basin(values: Float, axes: Axes, level: float) -> tuple[float, bool]:
    """Area (length of a line) of the connected region around the centre with loss up to a level.

    Cells count whole, those on the edge with the half that is inside; cells are joined along the axes. The
    second is whether the region reaches the edge: then the area is a lower bound.
    """
    from scipy.ndimage import label

    walls, axes, centre = checked(values, axes)
    if walls[centre] > level:
        return 0.0, False
    parts, _ = label(walls <= level)
    region = parts == parts[centre]
    size = region.astype(np.float64)
    for number, steps in enumerate(axes):
        widths = np.diff(np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]]))
        size = size * widths.reshape([-1 if number == place else 1 for place in range(walls.ndim)])
    edges = [np.take(region, place, axis) for axis in range(walls.ndim) for place in (0, -1)]
    return float(size.sum()), any(bool(edge.any()) for edge in edges)


def minimum(values: Float, axes: Axes) -> Float:
    """(axes,) position of the lowest point, in steps.

    The vertex of the quadratic through the 3 (3 x 3) cells around the lowest, where it is a minimum within
    them; else the lowest cell. Exact for a quadratic.
    """
    walls, axes, _ = checked(values, axes)
    cell = np.unravel_index(int(walls.argmin()), walls.shape)
    at = np.array([steps[place] for steps, place in zip(axes, cell, strict=True)])
    if any(place in (0, size - 1) for place, size in zip(cell, walls.shape, strict=True)):
        return at
    around = tuple(slice(place - 1, place + 2) for place in cell)
    if not np.isfinite(walls[around]).all():
        return at
    near = [steps[part] - middle for steps, part, middle in zip(axes, around, at, strict=True)]
    coefficients, _ = _quadratic(walls[around], near)
    n = walls.ndim
    slope, curvature = coefficients[1 : n + 1], np.zeros((n, n))
    for value, (i, j) in zip(coefficients[n + 1 :], _pairs(n), strict=True):
        curvature[i, j] += value
        curvature[j, i] += value
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        return at
    shift = -np.linalg.solve(curvature, slope)
    within = all(part[0] <= x <= part[-1] for x, part in zip(shift, near, strict=True))
    return at + shift if within else at


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i, n)]


def _quadratic(values: Float, axes: Axes) -> tuple[Float, Float]:
    """Coefficients (1, x, y, xx, xy, yy) of the least-squares quadratic over finite cells, and its values."""
    scale = [np.abs(steps).max() for steps in axes]
    mesh = [m.ravel() for m in np.meshgrid(*(a / s for a, s in zip(axes, scale, strict=True)), indexing="ij")]
    columns = [np.ones(values.size), *mesh, *(mesh[i] * mesh[j] for i, j in _pairs(len(mesh)))]
    table, told = np.stack(columns, axis=1), np.isfinite(values.ravel())
    found = np.linalg.lstsq(table[told], values.ravel()[told], rcond=None)[0]
    sizes = [1.0, *scale, *(scale[i] * scale[j] for i, j in _pairs(len(mesh)))]
    return found / np.array(sizes), (table @ found).reshape(values.shape)


def roughness(values: Float, axes: Axes) -> tuple[float, float]:
    """Root mean square of second differences that the best quadratic does not explain, and their share.

    The first is in the units of the loss, for neighbours one cell apart; the second is divided by the root
    mean square of all second differences (0 for a quadratic; not a number where there is nothing to divide).
    Cells that are not finite are left out.
    """
    walls, axes, _ = checked(values, axes)
    _, smooth = _quadratic(walls, axes)
    sums = []
    for field in (
        np.where(np.isfinite(walls), walls - smooth, np.nan),
        np.where(walls < np.inf, walls, np.nan),
    ):
        second = np.concatenate([np.diff(field, 2, axis=axis).ravel() for axis in range(field.ndim)])
        second = second[np.isfinite(second)]
        sums.append(float(np.sqrt(np.mean(second**2))) if len(second) else np.nan)
    return sums[0], sums[0] / sums[1] if sums[1] > 0 else float("nan")


def discontinuities(values: Float, axes: Axes, jump: float = 10.0) -> int:
    """Pairs of neighbours whose losses differ by more than ``jump`` times the median difference.

    A pair of which one is not finite is a jump.
    """
    walls, axes, _ = checked(values, axes)
    pairs = []
    for axis in range(walls.ndim):
        moved = np.moveaxis(walls, axis, 0)
        kept = np.isfinite(moved[1:]) | np.isfinite(moved[:-1])
        pairs.append(np.abs(moved[1:][kept] - moved[:-1][kept]))
    steps = np.concatenate(pairs)
    finite = steps[np.isfinite(steps)]
    limit = jump * float(np.median(finite)) if len(finite) else np.inf
    return int((steps > limit).sum())
