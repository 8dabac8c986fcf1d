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
def cells(x, y, n, width, height, size, first, follow):
    """Linked cells of at least ``size``: fills ``first`` (cells,) and ``follow`` (n,)."""
    across = max(1, int(width / size))
    along = max(1, int(height / size))
    first[: across * along] = -1
    for i in range(n):
        k = _cell(x[i], y[i], width, height, across, along)
        follow[i] = first[k]
        first[k] = i


@njit(**EXACT)
def _cell(x, y, width, height, across, along):
    c = min(across - 1, max(0, int(x / width * across)))
    r = min(along - 1, max(0, int(y / height * along)))
    return r * across + c


@njit(**EXACT)
def pair_block(dx, dy, a1, b1, cos1, sin1, sign1, a2, b2, cos2, sin2, sign2, core2):
    """Stiffness (h11, h22, h12) of a pair [MPa / nm], the first at (dx, dy) from the second.

    theta = 2 Re gamma / zeta - 2 gamma dx / zeta^2, differentiated along both slip directions.
    """
    r2 = dx * dx + dy * dy + core2
    iz = complex(dx, -dy) / r2
    iz2 = iz * iz
    e1 = complex(cos1, sin1)
    e2 = complex(cos2, sin2)
    # theta at 1 from 2, turned to the plane of 1
    g = complex(a2, b2)
    t1 = -2 * a2 * iz2 + 4 * g * dx * iz2 * iz
    t2 = -2 * g * iz2
    turn = e1 * e1 * sign1
    h11 = -((t1 * e1 + t2 * cos1) * turn).imag
    h12 = ((t1 * e2 + t2 * cos2) * turn).imag
    # theta at 2 from 1
    g = complex(a1, b1)
    t1 = -2 * a1 * iz2 + 4 * g * dx * iz2 * iz
    t2 = -2 * g * iz2
    h22 = -((t1 * e2 + t2 * cos2) * (e2 * e2 * sign2)).imag
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
    stays conservative, and no more than 1 / (2 core) holds it together.
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
def soften_junctions(x, y, a, b, cosine, sine, sign, n, model, tau):
    """Replace in ``tau`` (n,) the direct stress between those that join by that of a spread core."""
    reach = JUNCTION_REACH * model.junction_core
    across = max(1, int(model.width / reach))
    along = max(1, int(model.height / reach))
    heads = np.empty(across * along, np.int64)
    follow = np.empty(n, np.int64)
    cells(x, y, n, model.width, model.height, reach, heads, follow)
    core2 = model.core * model.core
    wide2 = model.junction_core * model.junction_core
    strength = model.line * model.burgers
    for i in range(n):
        c = min(across - 1, max(0, int(x[i] / model.width * across)))
        r = min(along - 1, max(0, int(y[i] / model.height * along)))
        for row in range(max(0, r - 1), min(along, r + 2)):
            for column in range(max(0, c - 1), min(across, c + 2)):
                j = heads[row * across + column]
                while j >= 0:
                    k = j
                    j = follow[j]
                    if k == i or not _joins(cosine[i], sine[i], sign[i], cosine[k], sine[k], sign[k]):
                        continue
                    dx = x[i] - x[k]
                    dy = y[i] - y[k]
                    r2 = dx * dx + dy * dy
                    if r2 > reach * reach:
                        continue
                    iz = complex(dx, -dy) / (r2 + core2)
                    theta = 2 * a[k] * iz - 2 * complex(a[k], b[k]) * dx * iz * iz
                    turn = complex(cosine[i], sine[i])
                    spread = spread_shear(dx, dy, cosine[i], sine[i], cosine[k], sine[k], wide2)
                    tau[i] += strength * sign[k] * spread - (theta * turn * turn).imag


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
def assemble(x, y, a, b, cosine, sine, sign, mobile, n, model, radius, diagonal):
    """Stiffness of all pairs within ``radius`` of which one is mobile.

    Fills ``diagonal`` (n,). Returns the pairs: first, second, h12 [MPa / nm], and their number. For explicit
    steps there are none, and the diagonal bounds how stiff the pairs are.
    """
    capacity = 16 * n + 64
    first = np.empty(capacity, np.int64)
    second = np.empty(capacity, np.int64)
    off = np.empty(capacity)
    pairs = 0
    across = max(1, int(model.width / radius))
    along = max(1, int(model.height / radius))
    heads = np.empty(across * along, np.int64)
    follow = np.empty(n, np.int64)
    cells(x, y, n, model.width, model.height, radius, heads, follow)
    core2 = model.core * model.core
    wide2 = model.junction_core * model.junction_core
    near2 = JUNCTION_REACH * JUNCTION_REACH * wide2
    strength = model.line * model.burgers
    diagonal[:n] = 0.0
    for i in range(n):
        c = min(across - 1, max(0, int(x[i] / model.width * across)))
        r = min(along - 1, max(0, int(y[i] / model.height * along)))
        for row in range(max(0, r - 1), min(along, r + 2)):
            for column in range(max(0, c - 1), min(across, c + 2)):
                j = heads[row * across + column]
                while j >= 0:
                    k = j
                    j = follow[j]
                    if k >= i or not (mobile[i] or mobile[k]):
                        continue
                    dx = x[i] - x[k]
                    dy = y[i] - y[k]
                    r2 = dx * dx + dy * dy
                    if r2 > radius * radius:
                        continue
                    if r2 < near2 and _joins(cosine[i], sine[i], sign[i], cosine[k], sine[k], sign[k]):
                        h11, h22, h12 = _junction_block(
                            dx, dy, cosine[i], sine[i], cosine[k], sine[k], sign[i] * sign[k], strength, wide2
                        )
                    else:
                        h11, h22, h12 = pair_block(
                            dx, dy, a[i], b[i], cosine[i], sine[i], sign[i],
                            a[k], b[k], cosine[k], sine[k], sign[k], core2,
                        )  # fmt: skip
                    if not model.implicit:
                        diagonal[i] += abs(h11) + abs(h12)
                        diagonal[k] += abs(h22) + abs(h12)
                        continue
                    if not mobile[k]:
                        diagonal[i] += max(h11, 0.0)
                        continue
                    if not mobile[i]:
                        diagonal[k] += max(h22, 0.0)
                        continue
                    h11, h22, h12 = positive_part(h11, h22, h12)
                    diagonal[i] += h11
                    diagonal[k] += h22
                    if h12 == 0.0:
                        continue
                    if pairs == capacity:
                        capacity *= 2
                        first = _grown(first, capacity)
                        second = _grown(second, capacity)
                        off = _grown(off, capacity)
                    first[pairs] = i
                    second[pairs] = k
                    off[pairs] = h12
                    pairs += 1
    return first, second, off, pairs


@njit(**EXACT)
def _grown(array, size):
    larger = np.empty(size, array.dtype)
    larger[: len(array)] = array
    return larger


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
