"""The displacement of edge dislocations in a rectangle, with the steps that slip has left on every plane.

Geometry, boundary conditions and stress are those of :mod:`vitrine.physics.strip`. The displacement of each
dislocation, its mirror and their images (Hirth & Lothe, Theory of Dislocations, 1982) is first written with a
cut along x, to the nearer side; whole Burgers vectors between cut and slip line then move the cut onto the
slip line, and whole steps along planes make the jump across every slip line the slip that happened there.
Slip is counted in Burgers vectors, positive where the material at the normal (-sin angle, cos angle) has
moved by +b (cos angle, sin angle) against the rest: with an angle below 90 degrees it lengthens the crystal.
A dislocation of sign +1 that moved from s_a to s_b > s_a along its plane leaves the slip +1 in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrine.physics import strip_displacement_kernels as kernels
from vitrine.physics.strip import Dislocations, Strip
from vitrine.samples import Float, Int

BOX = 20
"""Nodes along the edge of a box in which far poles are taken as series."""
BASE = 32
"""Places on y = 0 whose mean u_x is zero."""

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class SlipPlanes:
    """Slip lines from side to side, each by the place of s = 0, its direction and its length.

    Attributes
    ----------
    x, y: (n_planes,) place of s = 0 [nm]: at x = 0 where cos(angle) > 0, at x = width otherwise.
    angle: (n_planes,) direction of growing s from x [rad], within (0, pi).
    length: (n_planes,) [nm].
    """

    x: Float
    y: Float
    angle: Float
    length: Float

    @property
    def direction(self) -> Complex:
        """(n_planes,) complex unit vectors along growing s."""
        return np.asarray(np.exp(1j * self.angle))


def signs(found: Dislocations, plane: Int, planes: SlipPlanes) -> Int:
    """(n,) +1 or -1: the direction of each Burgers vector along its plane."""
    along = planes.direction[plane]
    return np.sign(found.b_x * along.real + found.b_y * along.imag).astype(np.int64)


def slip(
    found: Dislocations, plane: Int, slip_at_start: Int, planes: SlipPlanes, which: int, s: Float
) -> Int:
    """Slip (n_places,) in Burgers vectors at ``s`` (n_places,) [nm] along plane ``which``."""
    on = np.flatnonzero(plane == which)
    order = on[np.argsort(_along(found, plane, planes)[on], kind="stable")]
    passed = np.searchsorted(_along(found, plane, planes)[order], s)
    total = np.concatenate([[0], np.cumsum(signs(found, plane, planes)[order])])
    return np.asarray(slip_at_start[which] - total[passed])


def plastic_strain(
    strip: Strip, found: Dislocations, plane: Int, slip_at_start: Int, planes: SlipPlanes
) -> float:
    """The axial strain that all slip makes: b / (width height) sum of sin cos (angle) int slip ds."""
    area = slip_at_start * planes.length
    beyond = planes.length[plane] - _along(found, plane, planes)
    np.subtract.at(area, plane, signs(found, plane, planes) * beyond)
    total = np.sum(np.sin(planes.angle) * np.cos(planes.angle) * area)
    return float(strip.elastic.burgers * total / (strip.width * strip.height))


def displacement(
    strip: Strip,
    found: Dislocations,
    plane: Int,
    slip_at_start: Int,
    planes: SlipPlanes,
    mean_stress: float,
    x_nodes: Float,
    y_nodes: Float,
) -> Float:
    """(2, rows, columns) u_x and u_y [nm] on the nodes ``y_nodes`` (rows,) by ``x_nodes`` (columns,) [nm].

    ``plane`` (n,) is the plane of each dislocation, ``slip_at_start`` (n_planes,) the slip of each plane at
    s = 0, ``mean_stress`` as in :meth:`Strip.stress`. Nodes grow, and lie in the rectangle. u_y is zero on
    y = 0, and so is the mean of u_x over ``BASE`` evenly spaced places of y = 0, whatever the nodes.
    """
    x, y = np.ascontiguousarray(x_nodes, float), np.ascontiguousarray(y_nodes, float)
    across, along = _uniform(strip, found, mean_stress)
    shapes = _mode_shapes(strip, found, x)
    waves = np.outer(y, _wave_numbers(strip))
    u = np.zeros((len(y), len(x)), complex)
    u.real = across * x + np.cos(waves) @ shapes[0]
    u.imag = along * y[:, None] + np.sin(waves) @ shapes[1]
    jumps = np.zeros((len(y), len(x) + 1), complex)
    left = found.x <= 0.5 * strip.width
    vector = found.b_x + 1j * found.b_y
    poles, lines = _poles(strip, found), _lines(strip, found, plane, slip_at_start, planes)
    kernels.add_on_grid(x, y, _box(x, y), poles, left, vector, *_constants(strip), u, jumps)
    kernels.add_steps_on_grid(x, y, *lines, jumps)
    u += np.cumsum(jumps, axis=1)[:, :-1]
    u -= _mean_at_base(strip, found, plane, slip_at_start, planes, mean_stress)
    return np.stack([u.real, u.imag])


def displacement_at(
    strip: Strip,
    found: Dislocations,
    plane: Int,
    slip_at_start: Int,
    planes: SlipPlanes,
    mean_stress: float,
    x: Float,
    y: Float,
) -> Float:
    """(2, n_points) as :func:`displacement`, at single places ``x``, ``y`` (n_points,) [nm]: plain sums."""
    u = _at(strip, found, plane, slip_at_start, planes, mean_stress, x, y)
    u -= _mean_at_base(strip, found, plane, slip_at_start, planes, mean_stress)
    return np.stack([u.real, u.imag])


def _at(
    strip: Strip,
    found: Dislocations,
    plane: Int,
    slip_at_start: Int,
    planes: SlipPlanes,
    mean_stress: float,
    x: Float,
    y: Float,
) -> Complex:
    """(n_points,) u_x + i u_y [nm] with the rigid motion that the formulae leave."""
    x, y = np.ascontiguousarray(x, float), np.ascontiguousarray(y, float)
    across, along = _uniform(strip, found, mean_stress)
    shapes = _mode_shapes(strip, found, x)
    waves = np.outer(_wave_numbers(strip), y)
    u = across * x + 1j * along * y
    u += np.sum(np.cos(waves) * shapes[0], axis=0) + 1j * np.sum(np.sin(waves) * shapes[1], axis=0)
    kernels.add_at_points(x, y, _poles(strip, found), *_constants(strip), u)
    kernels.add_steps_at_points(x, y, *_lines(strip, found, plane, slip_at_start, planes), u)
    return u


def _mean_at_base(
    strip: Strip,
    found: Dislocations,
    plane: Int,
    slip_at_start: Int,
    planes: SlipPlanes,
    mean_stress: float,
) -> float:
    """Mean u_x over y = 0 [nm]; left in, it would jump where a dislocation passes x = width / 2."""
    x = np.asarray((np.arange(BASE) + 0.5) * (strip.width / BASE), float)
    u = _at(strip, found, plane, slip_at_start, planes, mean_stress, x, np.zeros(BASE))
    return float(u.real.mean())


def _constants(strip: Strip) -> tuple[float, float]:
    """pi / height [1/nm] and 3 - 4 nu."""
    return math.pi / strip.height, 3 - 4 * strip.elastic.poisson


def _along(found: Dislocations, plane: Int, planes: SlipPlanes) -> Float:
    """(n,) s of each dislocation on its plane [nm]."""
    direction = planes.direction[plane]
    return np.asarray(
        (found.x - planes.x[plane]) * direction.real + (found.y - planes.y[plane]) * direction.imag
    )


def _box(x: Float, y: Float) -> tuple[int, int]:
    """Rows and columns of boxes that are about square."""
    spacing = [np.ptp(at) / (len(at) - 1) if len(at) > 1 else 0.0 for at in (y, x)]
    if min(spacing) == 0:
        return BOX, BOX
    edge = BOX * math.sqrt(spacing[0] * spacing[1])
    return max(1, round(edge / spacing[0])), max(1, round(edge / spacing[1]))


def _uniform(strip: Strip, found: Dislocations, mean_stress: float) -> tuple[float, float]:
    """u_x / x and u_y / y of the uniform axial stress."""
    elastic = strip.elastic
    axial = strip.uniform_stress(found, mean_stress)
    return -axial * elastic.poisson * (1 + elastic.poisson) / elastic.young, axial / elastic.axial


def _wave_numbers(strip: Strip) -> Float:
    """(modes,) wave numbers along y [1/nm]."""
    return np.arange(1, strip.modes + 1, dtype=float) * (math.pi / strip.height)


def _mode_shapes(strip: Strip, found: Dislocations, x: Float) -> Float:
    """(2, modes, n_x) [nm]: u_x / cos(k y) and u_y / sin(k y) of the field that clears the far sides."""
    c = strip.mode_coefficients(found).T[:, :, None]
    k = _wave_numbers(strip)[:, None]
    kappa = 3 - 4 * strip.elastic.poisson
    centred = x - 0.5 * strip.width
    right, left = np.exp(k * (x - strip.width)), np.exp(-k * x)
    even = right * (c[0] / k - c[1] / (2 * k * k) + c[1] * centred / k)
    odd = left * (-c[2] / k - c[3] / (2 * k * k) - c[3] * centred / k)
    turn_right, turn_left = kappa / 2 * c[1] * right / k**2, kappa / 2 * c[3] * left / k**2
    shapes = np.stack([turn_right + turn_left - even - odd, turn_right - turn_left + even - odd])
    return np.asarray(shapes / (2 * strip.elastic.shear))


def _poles(strip: Strip, found: Dislocations) -> tuple[Any, ...]:
    """Place, exp(-f place), kind, turn and weights of all poles: dislocations, mirrors, images of both."""
    f = math.pi / strip.height
    left = found.x <= 0.5 * strip.width
    a, b = strip.gamma(found)
    gamma = (a + 1j * b) / (2 * strip.elastic.shear)
    side = np.where(left, 0.0, strip.width)
    away = 2 * f * (found.x - side)
    zero = np.zeros_like(gamma)
    places, weights, turns = [], [], []
    for mirrored in (False, True):
        source = found.x + 1j * found.y
        place, g = (source.conj(), gamma.conj()) if mirrored else (source, gamma)
        places += [place, 2 * side - place.conj()]
        weights += [
            np.stack([g, zero, -g.conj(), 2 * f * found.x * g, zero], axis=1),
            np.stack(
                [-g, -away * g.conj(), g.conj(), -2 * f * side * g, 2 * f * side * away * g.conj()], axis=1
            ),
        ]
        turns += [np.where(left, math.pi, 0.0) if mirrored else np.where(left, 0.0, -math.pi), 0.0 * side]
    image = np.where(left, kernels.RIGHT_OF, kernels.LEFT_OF)
    kind = np.concatenate([0 * image + kernels.DIRECT, image, 0 * image + kernels.LEFT_OF, image])
    place = np.concatenate(places)
    return place, np.exp(-f * place), kind, np.concatenate(turns), np.concatenate(weights)


def _lines(
    strip: Strip, found: Dislocations, plane: Int, slip_at_start: Int, planes: SlipPlanes
) -> tuple[Any, ...]:
    """What :func:`vitrine.physics.strip_displacement_kernels.add_steps_at_points` knows of slip lines."""
    direction = planes.direction
    up = direction.real > 0
    order = np.argsort(plane, kind="stable")
    first = np.searchsorted(plane[order], np.arange(len(planes.x) + 1))
    sign = signs(found, plane, planes)
    left = found.x <= 0.5 * strip.width
    whole = np.array(slip_at_start, np.int64)
    cut_to_start = left == up[plane]
    np.subtract.at(whole, plane[cut_to_start], sign[cut_to_start])
    step = np.where(up, 1, -1) * strip.elastic.burgers * direction
    place = planes.x + 1j * planes.y
    cot = direction.real / direction.imag
    return first, place, cot, up, whole, step, found.y[order], left[order], sign[order]
