"""Moments and Taylor series on a tree of boxes, for :mod:`vitrine.physics.strip_far`.

With C1(zeta) = g coth(g zeta), g = pi / (2 height), C2 = -C1' and C3 = C1'' / 2, the sum is

    theta(z) = F0(z) + x F1(z),   F0 and F1 = sums of C1 and its derivatives at the poles,

so two analytic functions carry everything, and as C1 is periodic no box sees an end of the strip. Poles are
the dislocations z0, their mirrors conj z0, and the images 2 s - conj z0 of both, s = 0 or width the nearer
side. With gamma = a + i b and X0 = x0 - s a dislocation adds

    direct:  F0 = 2 a C1 + 2 x0 gamma C2                         F1 = -2 gamma C2
    image:   F0 = -2 a C1 + 2 X0 conj(gamma) C2 - s F1           F1 = 2 gamma C2 - 8 X0 conj(gamma) C3

and a mirror the conjugate of that at conj z. The boxes therefore fill twice the columns (images left and
right of the strip) and twice the rows (mirrors, periodic), of which only those over the strip hold moments.
Moments are sums of delta^k / k! and coefficients of series are multiplied by l!, so that they meet in
d[k + l], d[n] = (-1)^n times the n-th derivative of C1 between two centres. Both are kept as (4, ORDER):
F0 re, F0 im, F1 re, F1 im. Units: nm, MPa; nothing is scaled, 1e4^32 and 64! are small for a double.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vitrine.physics.strip_kernels import EXACT, FAST

ORDER = 32
"""Terms of moments and series, whole vector registers; boxes farther apart meet in 24 or 16 of them."""

ACCURACY = 3e-9
"""What the first term left out may be of the field of a box: 6e-6 MPa in all with 10,000 in 1 x 4 um."""


class Grid(NamedTuple):
    """Boxes of one level over the strip; a box is ``column * rows + row``."""

    w: float
    height: float
    columns: int
    rows: int


@njit(**EXACT)
def box_of(x, y, grid):
    """The box of a place; columns left and right of the middle have their images in their own side."""
    half = grid.columns // 2
    column = min(max(int(x * grid.columns / grid.w), 0), grid.columns - 1)
    column = min(column, half - 1) if x <= 0.5 * grid.w else max(column, half)
    return column * grid.rows + min(max(int(y * grid.rows / grid.height), 0), grid.rows - 1)


@njit(**EXACT)
def sort_by_box(x, y, grid):
    """Order of the places by box (n,), and where each box starts in it (boxes + 1,)."""
    n = len(x)
    box = np.empty(n, np.int64)
    start = np.zeros(grid.columns * grid.rows + 1, np.int64)
    for j in range(n):
        box[j] = box_of(x[j], y[j], grid)
        start[box[j] + 1] += 1
    for k in range(1, len(start)):
        start[k] += start[k - 1]
    following = start.copy()
    order = np.empty(n, np.int64)
    for j in range(n):
        order[following[box[j]]] = j
        following[box[j]] += 1
    return order, start


@njit(**EXACT)
def derivatives(zeta, g, found):
    """Fill ``found`` (2, 2 * ORDER): re and im of (-1)^n times the n-th derivative of C1 at ``zeta``."""
    t = np.empty(2 * ORDER - 1, np.complex128)
    v = 1.0 / (np.exp(2 * g * zeta) - 1.0)
    t[0] = g * (1 + 2 * v)
    t[1] = -4 * g * g * v * (1 + v)
    for m in range(1, 2 * ORDER - 2):  # C1' = g^2 - C1^2, order by order
        total = 0j if m % 2 else 0.5 * t[m // 2] * t[m // 2]
        for i in range((m + 1) // 2):
            total += t[i] * t[m - i]
        t[m + 1] = -2 * total / (m + 1)
    factor = 1.0
    for m in range(2 * ORDER - 1):
        found[0, m] = factor * t[m].real
        found[1, m] = factor * t[m].imag
        factor *= -(m + 1)


@njit(**EXACT)
def derivative_table(reach_x, reach_y, grid):
    """(2 reach_x + 1, 2 reach_y + 1, 2, 2 * ORDER): :func:`derivatives` between boxes so many apart."""
    g = 0.5 * np.pi / grid.height
    table = np.zeros((2 * reach_x + 1, 2 * reach_y + 1, 2, 2 * ORDER))
    for i in range(reach_x + 1):
        for j in range(reach_y + 1):
            if i < 2 and j < 2:  # neighbours
                continue
            one = np.empty((2, 2 * ORDER))
            derivatives(complex(i * grid.w / grid.columns, j * grid.height / grid.rows), g, one)
            odd = -1.0  # C1 under zeta -> -zeta, then its first derivative, ...
            for n in range(2 * ORDER - 1):
                for sx, sy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
                    factor = 1.0 if sx > 0 else odd
                    table[reach_x + sx * i, reach_y + sy * j, 0, n] = factor * one[0, n]
                    table[reach_x + sx * i, reach_y + sy * j, 1, n] = factor * sx * sy * one[1, n]
                odd = -odd
    return table


def translator(terms):
    """A compiled function that adds what many boxes of poles send to the series of one box.

    To ``target[t, :, m]`` it adds the sums over k < ``terms`` of ``source[s, :, k] * table[cell, :, k + m]``
    for every (s, cell, mirror) of ``links[:n]``, all complex in (re, im), conjugated for a mirror. The
    compiler knows ``terms`` and makes vectors of m; four k at once spare it stores.
    """

    @njit(**FAST)
    def translate(source, table, links, n, target, t):
        for link in range(n):
            s, cell = links[link, 0], links[link, 1]
            sign = 1.0 - 2.0 * links[link, 2]
            for k in range(0, terms, 4):
                a0, a1 = source[s, 0, k], source[s, 0, k + 1]
                a2, a3 = source[s, 0, k + 2], source[s, 0, k + 3]
                b0, b1 = source[s, 1, k], source[s, 1, k + 1]
                b2, b3 = source[s, 1, k + 2], source[s, 1, k + 3]
                c0, c1 = source[s, 2, k], source[s, 2, k + 1]
                c2, c3 = source[s, 2, k + 2], source[s, 2, k + 3]
                d0, d1 = source[s, 3, k], source[s, 3, k + 1]
                d2, d3 = source[s, 3, k + 2], source[s, 3, k + 3]
                for m in range(terms):
                    r0, q0 = table[cell, 0, k + m], table[cell, 1, k + m]
                    r1, q1 = table[cell, 0, k + m + 1], table[cell, 1, k + m + 1]
                    r2, q2 = table[cell, 0, k + m + 2], table[cell, 1, k + m + 2]
                    r3, q3 = table[cell, 0, k + m + 3], table[cell, 1, k + m + 3]
                    re = a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3 - (b0 * q0 + b1 * q1 + b2 * q2 + b3 * q3)
                    im = a0 * q0 + a1 * q1 + a2 * q2 + a3 * q3 + (b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3)
                    target[t, 0, m] += re
                    target[t, 1, m] += sign * im
                    re = c0 * r0 + c1 * r1 + c2 * r2 + c3 * r3 - (d0 * q0 + d1 * q1 + d2 * q2 + d3 * q3)
                    im = c0 * q0 + c1 * q1 + c2 * q2 + c3 * q3 + (d0 * r0 + d1 * r1 + d2 * r2 + d3 * r3)
                    target[t, 2, m] += re
                    target[t, 3, m] += sign * im

    return translate


translate_16, translate_24, translate_32 = translator(16), translator(24), translator(32)


@njit(**EXACT)
def terms_needed(dx, dy, grid):
    """0, 1 or 2 for 16, 24 or 32 terms between two boxes so many columns and rows apart."""
    hx, hy = grid.w / grid.columns, grid.height / grid.rows
    radius = 0.5 * np.hypot(hx, hy)
    distance = np.hypot(dx * hx, dy * hy) - radius
    if distance <= radius:
        return 2
    return max(0, min(2, int(np.ceil(np.log(ACCURACY) / np.log(radius / distance) / 8)) - 2))


@njit(**FAST)
def fill_powers(re, im, powers):
    """Fill ``powers`` (2, ORDER) of a complex number from the zeroth, which is there; eight at a time."""
    for k in range(1, 8):
        powers[0, k] = powers[0, k - 1] * re - powers[1, k - 1] * im
        powers[1, k] = powers[0, k - 1] * im + powers[1, k - 1] * re
    re8 = powers[0, 7] * re - powers[1, 7] * im
    im8 = powers[0, 7] * im + powers[1, 7] * re
    for k in range(8, ORDER):
        powers[0, k] = powers[0, k - 8] * re8 - powers[1, k - 8] * im8
        powers[1, k] = powers[0, k - 8] * im8 + powers[1, k - 8] * re8


@njit(**FAST)
def leaf_sums(sources, first, last, cx, cy, powers, sums):
    """Fill ``sums`` (6, ORDER): a, gamma, x0 gamma times delta^k, re and im, of sources first <= j < last."""
    sums[:] = 0.0
    for j in range(first, last):
        xj, aj, bj = sources[0, j], sources[1, j], sources[2, j]
        fill_powers(xj - cx, sources[3, j] - cy, powers)
        for k in range(ORDER):
            re, im = powers[0, k], powers[1, k]
            gr = aj * re - bj * im
            gi = aj * im + bj * re
            sums[0, k] += aj * re
            sums[1, k] += aj * im
            sums[2, k] += gr
            sums[3, k] += gi
            sums[4, k] += xj * gr
            sums[5, k] += xj * gi


@njit(**EXACT)
def leaf_moments(sources, start, grid, moments):
    """Fill ``moments`` (2 boxes, 4, ORDER) of boxes of direct poles (even) and of their images (odd).

    ``sources`` (4, n) are x, a, b, y, sorted by box.
    """
    sums, powers = np.empty((6, ORDER)), np.zeros((2, ORDER))
    powers[0, 0] = 1.0
    for box in range(len(start) - 1):
        if start[box] == start[box + 1]:
            continue
        cx = (box // grid.rows + 0.5) * grid.w / grid.columns
        cy = (box % grid.rows + 0.5) * grid.height / grid.rows
        leaf_sums(sources, start[box], start[box + 1], cx, cy, powers, sums)
        pole_moments(sums, 0.0 if 2 * cx < grid.w else grid.w, moments[2 * box], moments[2 * box + 1])


@njit(**EXACT)
def pole_moments(sums, side, direct, image):
    """Fill moments (4, ORDER) of a box of poles and of their images from :func:`leaf_sums`.

    C2 and C3 are derivatives of C1, so their moments move up one and two.
    """
    u1 = v1 = v2 = g1 = h1 = 0j
    factor = 1.0
    sign = 1.0
    for k in range(ORDER):
        a = factor * complex(sums[0, k], sums[1, k])
        gamma = factor * complex(sums[2, k], sums[3, k])
        h = factor * complex(sums[4, k], sums[5, k])
        f0 = 2 * a + 2 * h1
        f1 = -2 * g1
        direct[0, k], direct[1, k], direct[2, k], direct[3, k] = f0.real, f0.imag, f1.real, f1.imag
        f1 = 2 * u1 - 4 * v2
        f0 = -2 * sign * a.conjugate() + 2 * v1 - side * f1
        image[0, k], image[1, k], image[2, k], image[3, k] = f0.real, f0.imag, f1.real, f1.imag
        g1 = gamma
        h1 = h
        v2 = v1
        u1 = sign * (2 * a - gamma).conjugate()
        v1 = sign * (h - side * gamma).conjugate()
        sign = -sign
        factor /= k + 1


@njit(**EXACT)
def shifts(grid):
    """(12, 2, 2 * ORDER) weights of ``translate`` between the centres of children and of their parents.

    3 * child + 0 moves moments of poles to the parent, + 1 moments of images, + 2 a series to the child; for
    terms in reversed order.
    """
    found = np.zeros((12, 2, 2 * ORDER))
    last = ORDER - 1
    for child in range(4):
        d = complex((child // 2 - 0.5) * grid.w / grid.columns, (child % 2 - 0.5) * grid.height / grid.rows)
        for kind in range(3):
            step = d if kind == 0 else -d.conjugate() if kind == 1 else -d
            power = 1 + 0j
            for i in range(ORDER):
                at = last - i if kind == 2 else last + i
                found[3 * child + kind, 0, at] = power.real
                found[3 * child + kind, 1, at] = power.imag
                power *= step / (i + 1)
    return found


@njit(**EXACT)
def reverse(terms, i, turned, j):
    """Copy ``terms[i]`` (4, ORDER) to ``turned[j]`` in reversed order."""
    for row in range(4):
        for k in range(ORDER):
            turned[j, row, k] = terms[i, row, ORDER - 1 - k]


@njit(**EXACT)
def parent_moments(children, count, grid, moments):
    """Fill ``moments`` (boxes / 2, 4, ORDER) of the parents from ``children`` (2 boxes, 4, ORDER)."""
    weights = shifts(grid)
    turned = np.empty((8, 4, ORDER))
    links = np.zeros((2, 4, 3), np.int64)
    moments[:] = 0.0
    for parent in range(len(count) // 4):
        n = 0
        for child in range(4):
            column, row = parent // (grid.rows // 2), parent % (grid.rows // 2)
            box = (2 * column + child // 2) * grid.rows + 2 * row + child % 2
            if count[box] > 0:
                for kind in range(2):
                    reverse(children, 2 * box + kind, turned, 2 * n + kind)
                    links[kind, n, 0], links[kind, n, 1] = 2 * n + kind, 3 * child + kind
                n += 1
        if n > 0:
            translate_32(turned, weights, links[0], n, moments, 2 * parent)
            translate_32(turned, weights, links[1], n, moments, 2 * parent + 1)


@njit(**EXACT)
def child_series(parents, count, grid, series):
    """Add the parents' Taylor series (boxes / 4, 4, ORDER) to those of the children (boxes, 4, ORDER)."""
    weights = shifts(grid)
    turned = np.empty((1, 4, ORDER))
    links = np.zeros((1, 3), np.int64)
    for box in range(len(count)):
        if count[box] == 0:
            continue
        column, row = box // grid.rows, box % grid.rows
        reverse(parents, (column // 2) * (grid.rows // 2) + row // 2, turned, 0)
        links[0, 1] = 3 * (2 * (column % 2) + row % 2) + 2
        translate_32(turned, weights, links, 1, series, box)


@njit(**EXACT)
def distant(column, row, filled, grid, top, reach_x, reach_y, terms, links):
    """Fill ``links`` (3, n, 3) of a box for each number of terms: source, cell of the table, mirror.

    Returns their counts (3,). Sources are all boxes that are no neighbours and whose parents are, or all on
    the ``top`` level.
    """
    columns, rows = grid.columns, grid.rows
    counts = np.zeros(3, np.int64)
    left, low = (-(columns // 2), row - rows) if top else (column - 2 - column % 2, row - 2 - row % 2)
    across, along = (2 * columns, 2 * rows) if top else (6, 6)
    for c in range(left, left + across):
        image = c < 0 or c >= columns
        source_column = c if not image else -1 - c if c < 0 else 2 * columns - 1 - c
        for r in range(low, low + along):
            if abs(c - column) < 2 and abs(r - row) < 2:
                continue
            mirror = r < 0 or r >= rows
            box = source_column * rows + (r if not mirror else -1 - r if r < 0 else 2 * rows - 1 - r)
            if filled[box] == 0:
                continue
            # a mirror: the conjugate of the field at conj z
            i, j = column - c + reach_x, (r - row if mirror else row - r) + reach_y
            k = terms[i, j]
            n = counts[k]
            links[k, n, 0], links[k, n, 1] = 2 * box + image, i * (2 * reach_y + 1) + j
            links[k, n, 2] = mirror
            counts[k] = n + 1
    return counts


@njit(**EXACT)
def add_distant(moments, filled, wanted, grid, top, series):
    """Add to ``series`` (boxes, 4, ORDER) what :func:`distant` boxes send.

    ``filled`` and ``wanted`` (boxes,) count sources and targets. ``top`` is the level without parents.
    """
    reach_x, reach_y = (grid.columns + grid.columns // 2 - 1, grid.rows) if top else (3, 3)
    table = derivative_table(reach_x, reach_y, grid)
    terms = np.empty(table.shape[:2], np.int64)
    for i in range(len(terms)):
        for j in range(terms.shape[1]):
            terms[i, j] = terms_needed(i - reach_x, j - reach_y, grid)
    cells = table.reshape(-1, 2, 2 * ORDER)
    links = np.empty((3, 4 * len(wanted) if top else 27, 3), np.int64)
    for target in range(len(wanted)):
        if wanted[target] > 0:
            column, row = target // grid.rows, target % grid.rows
            n = distant(column, row, filled, grid, top, reach_x, reach_y, terms, links)
            translate_16(moments, cells, links[0], n[0], series, target)
            translate_24(moments, cells, links[1], n[1], series, target)
            translate_32(moments, cells, links[2], n[2], series, target)
