"""How forces on dislocations change as these move: the matrix of the linearly implicit step, its solution.

H_ij = -d(sign_i tau_i) / ds_j from direct pairs within a radius. Each 2 x 2 block of a pair is projected to
positive semidefinite, so that the system of the implicit step is positive definite and repulsion is damped
without bound while attraction stays explicit.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

import numpy as np
from numba import njit

from vitrine.physics.strip_kernels import EXACT, FAST

JUNCTION_REACH = 12.0
"""core radii beyond which a spread core makes less than 1 % difference"""


@njit(**EXACT)
def neighbours(x, y, n, width, height, radius, first, second):
    """Pairs closer than ``radius``: fills ``first`` > ``second`` as far as they reach; returns how many."""
    cell = max(radius, math.sqrt(0.5 * width * height / (n + 1)))  # never far more cells than dislocations
    across = max(1, int(width / cell))
    along = max(1, int(height / cell))
    heads = np.empty(across * along, np.int64)
    for k in range(across * along):
        heads[k] = -1
    follow = np.empty(n, np.int64)
    columns = np.empty(n, np.int64)
    rows = np.empty(n, np.int64)
    for i in range(n):
        columns[i] = min(across - 1, max(0, int(x[i] / width * across)))
        rows[i] = min(along - 1, max(0, int(y[i] / height * along)))
    found = 0
    reach = radius * radius
    for i in range(n):  # cells hold those before i alone, so each pair is met once
        for row in range(max(0, rows[i] - 1), min(along, rows[i] + 2)):
            for column in range(max(0, columns[i] - 1), min(across, columns[i] + 2)):
                k = heads[row * across + column]
                while k >= 0:
                    dx = x[i] - x[k]
                    dy = y[i] - y[k]
                    if dx * dx + dy * dy < reach:
                        if found < len(first):
                            first[found] = i
                            second[found] = k
                        found += 1
                    k = follow[k]
        here = rows[i] * across + columns[i]
        follow[i] = heads[here]
        heads[here] = i
    return found


@njit(**EXACT)
def pairs_within(x, y, n, model, radius):
    """Pairs of dislocations closer than ``radius`` [nm]: (n_pairs,) twice."""
    first = np.empty(12 * n + 16, np.int64)
    second = np.empty(12 * n + 16, np.int64)
    found = neighbours(x, y, n, model.width, model.height, radius, first, second)
    if found > len(first):
        first = np.empty(found, np.int64)
        second = np.empty(found, np.int64)
        neighbours(x, y, n, model.width, model.height, radius, first, second)
    return first[:found], second[:found]


@njit(**EXACT)
def pair_block(dx, dy, a1, b1, cos1, sin1, sign1, a2, b2, cos2, sin2, sign2, core2):
    """Stiffness (h11, h22, h12) of a pair [MPa / nm], the first at (dx, dy) from the second.

    theta = 2 Re gamma / zeta - 2 gamma dx / zeta^2, differentiated along both slip directions.
    """
    # complex numbers written out: their division costs ten times as much
    scale = 1.0 / (dx * dx + dy * dy + core2)
    zr = dx * scale
    zi = -dy * scale
    z2r = zr * zr - zi * zi
    z2i = 2 * zr * zi
    z3r = 4 * dx * (z2r * zr - z2i * zi)
    z3i = 4 * dx * (z2r * zi + z2i * zr)
    turn_r = sign1 * (cos1 * cos1 - sin1 * sin1)
    turn_i = sign1 * 2 * cos1 * sin1
    # theta at 1 from 2 is differentiated with t1 along zeta and t2 along x, then turned to the plane of 1
    t1r = -2 * a2 * z2r + a2 * z3r - b2 * z3i
    t1i = -2 * a2 * z2i + a2 * z3i + b2 * z3r
    t2r = -2 * (a2 * z2r - b2 * z2i)
    t2i = -2 * (a2 * z2i + b2 * z2r)
    ur = t1r * cos1 - t1i * sin1 + t2r * cos1
    ui = t1r * sin1 + t1i * cos1 + t2i * cos1
    h11 = -(ur * turn_i + ui * turn_r)
    ur = t1r * cos2 - t1i * sin2 + t2r * cos2
    ui = t1r * sin2 + t1i * cos2 + t2i * cos2
    h12 = ur * turn_i + ui * turn_r
    # theta at 2 from 1: dx and 1 / zeta change sign together
    t1r = -2 * a1 * z2r + a1 * z3r - b1 * z3i
    t1i = -2 * a1 * z2i + a1 * z3i + b1 * z3r
    t2r = -2 * (a1 * z2r - b1 * z2i)
    t2i = -2 * (a1 * z2i + b1 * z2r)
    ur = t1r * cos2 - t1i * sin2 + t2r * cos2
    ui = t1r * sin2 + t1i * cos2 + t2i * cos2
    h22 = -sign2 * (ur * 2 * cos2 * sin2 + ui * (cos2 * cos2 - sin2 * sin2))
    return h11, h22, h12


@njit(**EXACT)
def positive_part(h11, h22, h12):
    """The nearest positive semidefinite 2 x 2 block."""
    mean = 0.5 * (h11 + h22)
    radius = math.sqrt(0.25 * (h11 - h22) ** 2 + h12 * h12)
    high = mean + radius
    low = mean - radius
    if high <= 0.0:
        return 0.0, 0.0, 0.0
    if low < 0.0:
        f = high / (high - low)
        return f * (h11 - low), f * (h22 - low), f * h12
    return h11, h22, h12


@njit(**EXACT)
def spread_shear(dx, dy, cos_to, sin_to, cos_from, sin_from, core2):
    """Shear [1 / nm, times mu b / (2 pi (1 - nu))] at (dx, dy) from an edge dislocation with a spread core.

    On a plane along (cos_to, sin_to), from a positive one along (cos_from, sin_from); isotropic spreading of
    the Burgers vector over sqrt(core2), doi:10.1016/j.jmps.2005.09.005. It derives from an energy, so a pair
    stays conservative, and no more than ``|cos| / (2 core)`` of the angle between planes holds it.
    """
    x = dx * cos_from + dy * sin_from
    y = dy * cos_from - dx * sin_from
    r2 = x * x + y * y + core2
    xx = -y / r2 * (1 + 2 * (x * x + core2) / r2)
    yy = y / r2 * (1 - 2 * (y * y + core2) / r2)
    xy = x / r2 * (1 - 2 * y * y / r2)
    c = cos_to * cos_from + sin_to * sin_from
    s = sin_to * cos_from - cos_to * sin_from
    return xy * (c * c - s * s) + (yy - xx) * s * c


@njit(**EXACT)
def _joins(cos1, sin1, sign1, cos2, sin2, sign2):
    """Whether two on crossing planes lower their energy by joining: b1 . b2 < 0."""
    crossing = abs(cos1 * sin2 - sin1 * cos2) > 1e-6
    return crossing and sign1 * sign2 * (cos1 * cos2 + sin1 * sin2) < 0


@njit(**EXACT)
def _softer(dx, dy, a, b, cos_to, sin_to, cos_from, sin_from, sign, strength, core2, wide2):
    """What a spread core changes in the resolved shear at (dx, dy) from one that it joins [MPa]."""
    # 1 / zeta times a real number: a division of complex numbers costs ten times as much
    iz = complex(dx, -dy) * (1.0 / (dx * dx + dy * dy + core2))
    theta = 2 * a * iz - 2 * complex(a, b) * dx * iz * iz
    turn = complex(cos_to, sin_to)
    spread = spread_shear(dx, dy, cos_to, sin_to, cos_from, sin_from, wide2)
    return strength * sign * spread - (theta * turn * turn).imag


@njit(**EXACT)
def soften_junctions(x, y, a, b, c, s, sign, n, model, tau):
    """Replace in ``tau`` (n,) the direct stress between those that join by that of a spread core.

    ``c`` and ``s`` (n,) are cosines and sines of the slip planes.
    """
    core2 = model.core * model.core
    wide2 = model.junction_core * model.junction_core
    strength = model.line * model.burgers
    first, second = pairs_within(x, y, n, model, JUNCTION_REACH * model.junction_core)
    for pair in range(len(first)):
        i = first[pair]
        k = second[pair]
        if _joins(c[i], s[i], sign[i], c[k], s[k], sign[k]):
            dx = x[i] - x[k]
            dy = y[i] - y[k]
            tau[i] += _softer(dx, dy, a[k], b[k], c[i], s[i], c[k], s[k], sign[k], strength, core2, wide2)
            tau[k] += _softer(-dx, -dy, a[i], b[i], c[k], s[k], c[i], s[i], sign[i], strength, core2, wide2)


@njit(**EXACT)
def _junction_block(dx, dy, cos1, sin1, cos2, sin2, product, strength, core2):
    """As :func:`pair_block` for a pair that joins, by differences."""
    h = 1e-3
    k = -strength * product / (2 * h)
    h11 = k * (
        spread_shear(dx + h * cos1, dy + h * sin1, cos1, sin1, cos2, sin2, core2)
        - spread_shear(dx - h * cos1, dy - h * sin1, cos1, sin1, cos2, sin2, core2)
    )
    h12 = k * (
        spread_shear(dx - h * cos2, dy - h * sin2, cos1, sin1, cos2, sin2, core2)
        - spread_shear(dx + h * cos2, dy + h * sin2, cos1, sin1, cos2, sin2, core2)
    )
    h22 = k * (
        spread_shear(-dx + h * cos2, -dy + h * sin2, cos2, sin2, cos1, sin1, core2)
        - spread_shear(-dx - h * cos2, -dy - h * sin2, cos2, sin2, cos1, sin1, core2)
    )
    return h11, h22, h12


@njit(**EXACT)
def assemble(x, y, a, b, c, s, sign, mobile, n, model, radius, diagonal, room):
    """Stiffness of all pairs within ``radius`` of which one is mobile.

    ``c`` and ``s`` (n,) are cosines and sines of the slip planes. Fills ``diagonal`` (n,) and ``room`` (n,),
    how far one may move without jumping out of a junction [nm]. Returns the pairs that couple: first, second,
    h12 [MPa / nm], and their number. For explicit steps there are none, and the diagonal bounds how stiff the
    pairs are.
    """
    first, second = pairs_within(x, y, n, model, radius)
    off = np.empty(len(first))
    core2 = model.core * model.core
    wide2 = model.junction_core * model.junction_core
    near2 = JUNCTION_REACH * JUNCTION_REACH * wide2
    strength = model.line * model.burgers
    diagonal[:n] = 0.0
    room[:n] = 1e30
    coupled = 0
    for pair in range(len(first)):
        i = first[pair]
        k = second[pair]
        if not (mobile[i] or mobile[k]):
            continue
        dx = x[i] - x[k]
        dy = y[i] - y[k]
        r2 = dx * dx + dy * dy
        if r2 < near2 and _joins(c[i], s[i], sign[i], c[k], s[k], sign[k]):
            if r2 < 25 * wide2:
                room[i] = room[k] = 0.5 * model.junction_core
            product = sign[i] * sign[k]
            h11, h22, h12 = _junction_block(dx, dy, c[i], s[i], c[k], s[k], product, strength, wide2)
        else:
            h11, h22, h12 = pair_block(
                dx, dy, a[i], b[i], c[i], s[i], sign[i], a[k], b[k], c[k], s[k], sign[k], core2
            )
        if not model.implicit:
            diagonal[i] += abs(h11) + abs(h12)
            diagonal[k] += abs(h22) + abs(h12)
        elif not mobile[k]:
            diagonal[i] += max(h11, 0.0)
        elif not mobile[i]:
            diagonal[k] += max(h22, 0.0)
        else:
            h11, h22, h12 = positive_part(h11, h22, h12)
            diagonal[i] += h11
            diagonal[k] += h22
            if h12 != 0.0:  # never overtakes the pair that is read
                first[coupled] = i
                second[coupled] = k
                off[coupled] = h12
                coupled += 1
    return first, second, off, coupled


@njit(**FAST)
def _product(p, out, n, diagonal, first, second, off, pairs, lever, load, step):
    """out = (1 + step H) p with H of the pairs and of the load, load * lever lever^T."""
    total = 0.0
    for i in range(n):
        total += lever[i] * p[i]
    total *= load
    for i in range(n):
        out[i] = p[i] + step * (diagonal[i] * p[i] + lever[i] * total)
    for k in range(pairs):
        i = first[k]
        j = second[k]
        h = step * off[k]
        out[i] += h * p[j]
        out[j] += h * p[i]


@njit(**FAST)
def solve(free, v, mobile, n, diagonal, first, second, off, pairs, lever, load, step, tolerance):
    """Solve (1 + step H) v = free by conjugate gradients over mobile dislocations; returns iterations.

    ``lever`` is 0 and ``free`` is 0 where a dislocation is not mobile, so that it stays at v = 0.
    """
    residual = np.empty(n)
    p = np.empty(n)
    out = np.empty(n)
    inverse = np.empty(n)
    largest = 0.0
    for i in range(n):
        inverse[i] = 1.0 / (1.0 + step * (diagonal[i] + load * lever[i] * lever[i]))
        v[i] = free[i] * inverse[i]
        largest = max(largest, abs(free[i]))
    if largest == 0.0:
        return 0
    _product(v, out, n, diagonal, first, second, off, pairs, lever, load, step)
    rz = 0.0
    for i in range(n):
        residual[i] = free[i] - out[i] if mobile[i] else 0.0
        p[i] = residual[i] * inverse[i]
        rz += residual[i] * p[i]
    for iteration in range(300):
        worst = 0.0
        for i in range(n):
            worst = max(worst, abs(residual[i]))
        if worst < tolerance * largest:
            return iteration
        _product(p, out, n, diagonal, first, second, off, pairs, lever, load, step)
        curvature = 0.0
        for i in range(n):
            curvature += p[i] * out[i]
        alpha = rz / curvature
        new = 0.0
        for i in range(n):
            v[i] += alpha * p[i]
            residual[i] -= alpha * out[i]
            new += residual[i] * residual[i] * inverse[i]
        beta = new / rz
        rz = new
        for i in range(n):
            p[i] = residual[i] * inverse[i] + beta * p[i]
    return 300
