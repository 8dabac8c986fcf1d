"""Compiled sums of the displacement of edge dislocations in a rectangle.

They serve :mod:`vitrine.physics.strip_displacement`.

Everything derives from two functions of z = x + i y, sums over poles z_s (the dislocations, their mirrors in
the ends and the half-plane images of both):

    u_x + i u_y = kappa phi - 2 x conj(phi') + conj(chi)
    phi = sum p0 L + p1 (1/2 + v),  chi = sum q0 L + q1 (1/2 + v) + q2 (v + v^2)
    q = exp(f (z - z_s)),  f = pi / height,  v = 1 / (q - 1),  L = log(q - 1) - f (z - z_s) / 2 + i turn

with dL/dz = f (1/2 + v) and dv/dz = -f (v + v^2). ``weights`` (n_poles, 5) complex are p0, p1, q0, q1, q2
[nm]. The branch of L goes by ``kind``: DIRECT has a cut along y = y_s, to the left of the pole or, with the
turn -pi, to the right of it; LEFT_OF is smooth at the left of the pole, RIGHT_OF at the right.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from vitrine.physics.strip_kernels import EXACT

COMPILED: dict[str, Any] = EXACT
DIRECT, LEFT_OF, RIGHT_OF = 0, 1, 2
SOFT = 1e-6
"""Distance [nm] within which a node counts as on the dislocation; there the displacement stays finite."""
RATIO = 0.5
"""Largest size of a box over its distance from a pole at which the box takes the pole as a series."""
PRECISION = 1e-12
"""Size of the first power left out of a series."""
TERMS = 44
"""Room for coefficients: RATIO ** TERMS is below PRECISION."""


@njit(**COMPILED)
def _angle(kind, qr, qi, eta, above):
    """Imaginary part of log(q - 1), less the turn; ``above``: the target is not below the pole."""
    if kind == DIRECT:
        angle = abs(math.atan2(qi, qr - 1.0))
        return angle if above else -angle
    if kind == LEFT_OF:
        return math.atan2(-qi, 1.0 - qr)
    return eta + math.atan2(qi, qr * qr + qi * qi - qr)


@njit(**COMPILED)
def _terms(z, q, place, kind, turn, f):
    """L and v of one pole at z, where q = exp(f (z - place))."""
    dr = q.real - 1.0
    size = dr * dr + q.imag * q.imag + (f * SOFT) ** 2
    eta = f * (z.imag - place.imag)
    above = z.imag >= place.imag
    angle = _angle(kind, q.real, q.imag, eta, above) + (turn if above else -turn)
    log = complex(0.5 * math.log(size) - 0.5 * f * (z.real - place.real), angle - 0.5 * eta)
    return log, complex(dr / size, -q.imag / size)


@njit(**COMPILED)
def add_at_points(x, y, poles, f, kappa, u):
    """Add to ``u`` (n_points,) complex [nm] the sums over all poles at ``x``, ``y`` (n_points,), one by one.

    ``poles`` are place z_s [nm], exp(-f z_s), kind, turn, each (n_poles,), and weights (n_poles, 5).
    """
    place, inverse, kind, turn, weights = poles
    for i in range(len(x)):
        z = complex(x[i], y[i])
        e = np.exp(f * z)
        phi = 0j
        slope = 0j
        chi = 0j
        for j in range(len(weights)):
            log, v = _terms(z, e * inverse[j], place[j], kind[j], turn[j], f)
            w = v + v * v
            phi += weights[j, 0] * log + weights[j, 1] * (0.5 + v)
            slope += weights[j, 0] * (0.5 + v) - weights[j, 1] * w
            chi += weights[j, 2] * log + weights[j, 3] * (0.5 + v) + weights[j, 4] * w
        u[i] += kappa * phi - 2 * f * x[i] * slope.conjugate() + chi.conjugate()


@njit(**COMPILED)
def add_on_grid(x_nodes, y_nodes, box, poles, left, vector, f, kappa, u, jumps):
    """As :func:`add_at_points`, on nodes, to ``u`` (rows, columns) and ``jumps`` (rows, columns + 1).

    ``box`` (2,) is the number of rows and columns of the boxes whose nodes share series of the far poles.
    ``left`` (n,) bool and ``vector`` (n,) complex [nm] tell of the n dislocations, which are the first poles,
    whether they are nearer to x = 0 and their Burgers vectors. ``jumps`` collects, as differences along
    rows, what is still to be added to ``u``.
    """
    place, inverse, kind, turn, weights = poles
    for i0 in range(0, len(y_nodes), box[0]):
        y = y_nodes[i0 : i0 + box[0]]
        for j0 in range(0, len(x_nodes), box[1]):
            x = x_nodes[j0 : j0 + box[1]]
            z, around, radius = _box(x, y, f)
            e = np.exp(f * z)
            series = np.zeros((TERMS, 2), np.complex128)
            linear = np.zeros(2, np.complex128)
            sums = np.zeros((3, len(around)), np.complex128)
            terms = 1
            for j in range(len(place)):
                q = e * inverse[j]
                distance = (q.real - 1.0) ** 2 + q.imag**2
                if radius**2 * (q.real**2 + q.imag**2) >= RATIO**2 * distance:
                    _add_near(x, y, q, around, place[j], kind[j], turn[j], weights[j], f, sums)
                    continue
                log, v = _terms(z, q, place[j], kind[j], turn[j], f)
                terms = max(terms, _add_series(log, v, radius, weights[j], linear, series))
                ys = place[j].imag
                crossed = j < len(left) and y[0] <= ys <= y[-1] and left[j] == (z.real < place[j].real)
                if crossed:
                    jump = vector[j] if left[j] else -vector[j]
                    _move_cut(y, ys, z.imag >= ys, jump, jumps[i0 : i0 + len(y)], j0, j0 + len(x))
            _add_box(x, y, z, around, radius, series[:terms], linear, sums, f, kappa, u[i0:, j0:])


@njit(**COMPILED)
def _box(x, y, f):
    """Centre z of the nodes, exp(f (node - z)) - 1 (rows * columns,), and the largest size of the latter."""
    z = complex(0.5 * (x[0] + x[-1]), 0.5 * (y[0] + y[-1]))
    around = np.empty(len(x) * len(y), np.complex128)
    largest = 1e-60
    for i in range(len(y)):
        for j in range(len(x)):
            part = np.exp(f * (complex(x[j], y[i]) - z)) - 1.0
            around[i * len(x) + j] = part
            largest = max(largest, part.real**2 + part.imag**2)
    return z, around, math.sqrt(largest)


@njit(**COMPILED)
def _add_near(x, y, q, around, place, kind, turn, weights, f, sums):
    """Add one pole to ``sums`` (3, rows * columns), phi, phi' / f and chi at the nodes of a box."""
    p0, p1, q0, q1, q2 = weights
    for i in range(len(y)):
        for k in range(len(x)):
            at = i * len(x) + k
            log, v = _terms(complex(x[k], y[i]), q * (1.0 + around[at]), place, kind, turn, f)
            w = v + v * v
            sums[0, at] += p0 * log + p1 * (0.5 + v)
            sums[1, at] += p0 * (0.5 + v) - p1 * w
            sums[2, at] += q0 * log + q1 * (0.5 + v) + q2 * w


@njit(**COMPILED)
def _add_series(log, v, radius, weights, linear, series):
    """Add one pole to ``series`` (TERMS, 2), phi and chi by powers of (exp(f (z' - z)) - 1) / radius.

    ``log`` and ``v`` are L and v at the centre z of the box. ``linear`` (2,) collects what multiplies
    -f (z' - z) / 2. Returns the number of terms.
    """
    p0, p1, q0, q1, q2 = weights
    linear[0] += p0
    linear[1] += q0
    series[0, 0] += p0 * log + p1 * (0.5 + v)
    series[0, 1] += q0 * log + q1 * (0.5 + v) + q2 * (v + v * v)
    p1 *= v
    q1 = (q1 + q2 * (1.0 + v)) * v
    q2 *= v * v
    step = -radius * (1.0 + v)
    ratio = abs(step)
    power = step
    size = ratio
    k = 1
    while size > PRECISION and k < TERMS:
        part = 1.0 / k
        series[k, 0] += power * (p1 - part * p0)
        series[k, 1] += power * (q1 + k * q2 - part * q0)
        power *= step
        size *= ratio
        k += 1
    return k


@njit(**COMPILED)
def _move_cut(y, ys, centre_above, jump, jumps, start, stop):
    """Add the ``jump`` at ys on nodes of a box beyond the cut from its centre: series are smooth there."""
    for i in range(len(y)):
        above = y[i] >= ys
        if above != centre_above:
            part = jump if above else -jump
            jumps[i, start] += part
            jumps[i, stop] -= part


@njit(**COMPILED)
def _add_box(x, y, z, around, radius, series, linear, sums, f, kappa, u):
    """Add series and ``sums`` of a box to the first rows and columns of ``u``."""
    for i in range(len(y)):
        for j in range(len(x)):
            at = i * len(x) + j
            s = around[at] / radius
            phi = 0j
            slope = 0j
            chi = 0j
            for k in range(len(series) - 1, 0, -1):
                slope = slope * s + k * series[k, 0]
                phi = (phi + series[k, 0]) * s
                chi = (chi + series[k, 1]) * s
            away = -0.5 * f * (complex(x[j], y[i]) - z)
            phi += series[0, 0] + linear[0] * away + sums[0, at]
            chi += series[0, 1] + linear[1] * away + sums[2, at]
            slope = slope * (1.0 + around[at]) / radius - 0.5 * linear[0] + sums[1, at]
            u[i, j] += kappa * phi - 2 * f * x[j] * slope.conjugate() + chi.conjugate()


@njit(**COMPILED)
def _steps(y, up, whole, y0, left, sign):
    """Whole Burgers vectors at height y to the left and to the right of one slip line."""
    before = whole if up else 0
    behind = 0 if up else whole
    for j in range(len(y0)):
        if left[j]:
            if (y < y0[j]) == up:
                before += sign[j]
        elif (y >= y0[j]) == up:
            behind += sign[j]
    return before, behind


@njit(**COMPILED)
def add_steps_at_points(x, y, first, line, cot, up, whole, vector, y0, left, sign, u):
    """Add the steps of all slip lines to ``u`` (n_points,) complex [nm].

    Plane p has the dislocations first[p] to first[p + 1] of ``y0`` [nm], ``left`` and ``sign`` (n,), passes
    through ``line[p]`` complex with dx / dy = ``cot[p]``, ``up`` where y grows with x, has ``whole`` steps
    throughout, and ``vector`` complex [nm] is the jump of one step, of what is above relative to below.
    """
    for p in range(len(line)):
        one = slice(first[p], first[p + 1])
        for i in range(len(x)):
            before, behind = _steps(y[i], up[p], whole[p], y0[one], left[one], sign[one])
            across = line[p].real + (y[i] - line[p].imag) * cot[p]
            u[i] += vector[p] * (before if x[i] < across else behind)


@njit(**COMPILED)
def add_steps_on_grid(x_nodes, y_nodes, first, line, cot, up, whole, vector, y0, left, sign, jumps):
    """As :func:`add_steps_at_points`, on nodes, to ``jumps`` (rows, columns + 1), differences along rows."""
    for p in range(len(line)):
        one = slice(first[p], first[p + 1])
        if whole[p] == 0 and first[p] == first[p + 1]:
            continue
        for i in range(len(y_nodes)):
            y = y_nodes[i]
            before, behind = _steps(y, up[p], whole[p], y0[one], left[one], sign[one])
            across = np.searchsorted(x_nodes, line[p].real + (y - line[p].imag) * cot[p])
            jumps[i, 0] += vector[p] * before
            jumps[i, across] += vector[p] * (behind - before)
