"""The sum of :func:`vitrine.physics.strip_kernels.add_rows` in a time proportional to the dislocations.

A fast multipole method (Greengard & Rokhlin 1987, doi:10.1016/0021-9991(87)90140-9) on a uniform tree of
boxes, :mod:`vitrine.physics.strip_tree`; neighbouring boxes are summed one by one. Units: nm, MPa.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

import numpy as np
from numba import njit

from vitrine.physics import strip_tree as tree
from vitrine.physics.strip_kernels import EXACT, FAST, add_rows

ORDER = tree.ORDER

WORTH_FROM = 100_000
"""Sources times targets from which boxes can be quicker than the direct sum, 300 dislocations."""

VECTOR = 8
"""Neighbours are filled up to a multiple of this."""

DEEPEST = 5
"""Levels below the coarsest at most."""

DIRECT, PAIR, LINK, BOX, EMPTY, POINT = 1.8, 0.5, 80.0, 4500.0, 1000.0, 95.0
"""Nanoseconds on one core, which choose the depth: a source and a target in the direct sum, a near pole and a
target, two boxes of the coarsest level, any other box with and without targets, a source or target."""

TAIL = 1e-3
"""Beyond neighbours the core is left out; boxes stay so large that this changes theta by about this [MPa]."""


@njit(**FAST)
def near_direct(er, ei, m, x, near, n, g, core):
    """Direct rows of the first n ``near`` (5, at least n) at one target: theta."""
    tr = 0.0
    ti = 0.0
    g2 = 8 * g * g
    for j in range(n):
        dr = er * near[0, j] - ei * near[1, j] - 1.0  # E / E0 - 1
        di = er * near[1, j] + ei * near[0, j]
        size = dr * dr + di * di
        soft = core * m * math.sqrt(near[0, j] * near[0, j] + near[1, j] * near[1, j])
        inverse = 1.0 / (size + soft) if size > 1e-20 else 0.0  # at its own place
        vr = (dr - 0.5 * soft) * inverse
        vi = -di * inverse
        h = g2 * (x - near[2, j])
        ur = vr + vr * vr - vi * vi
        ui = vi + 2 * vr * vi
        a2 = 2 * g * near[3, j]
        tr += a2 * (1 + 2 * vr) - h * (near[3, j] * ur - near[4, j] * ui)
        ti += 2 * a2 * vi - h * (near[3, j] * ui + near[4, j] * ur)
    return tr, ti


@njit(**FAST)
def near_image(er, ei, x, near, n, g):
    """Half-plane images in the side x = 0 of the first n ``near`` (5, at least n) at one target: theta."""
    tr = 0.0
    ti = 0.0
    g2 = 8 * g * g
    g3 = 32 * g * g * g * x
    for j in range(n):
        dr = er * near[0, j] + ei * near[1, j] - 1.0  # E conj(E0) - 1
        di = ei * near[0, j] - er * near[1, j]
        inverse = 1.0 / (dr * dr + di * di)
        vr = dr * inverse
        vi = -di * inverse
        ur = vr + vr * vr - vi * vi
        ui = vi + 2 * vr * vi
        pr = 1 + 2 * vr
        pi = 2 * vi
        cr = ur * pr - ui * pi
        ci = ur * pi + ui * pr
        a2 = 2 * g * near[3, j]
        pa = g2 * (x + near[2, j]) * near[3, j]
        pb = g2 * (x - near[2, j]) * near[4, j]
        ea = g3 * near[2, j] * near[3, j]
        eb = g3 * near[2, j] * near[4, j]
        tr += -a2 * pr + pa * ur - pb * ui - ea * cr - eb * ci
        ti += -a2 * pi + pa * ui + pb * ur - ea * ci + eb * cr
    return tr, ti


@njit(**EXACT)
def near_sources(x, y, a, b, order, w, height):
    """(11, n) in ``order``: 1 / E0 re and im, x, a, b; y; E0 re and im, x, a, b as their side sees them.

    E = exp(pi z / height). Sources of the right side are turned by pi about (w / 2, 0), but for exp(f w).
    """
    n = len(x)
    f = math.pi / height
    found = np.empty((11, n))
    for t in range(n):
        j = order[t]
        m = math.exp(f * x[j])
        c = math.cos(f * y[j])
        s = math.sin(f * y[j])
        found[0, t], found[1, t], found[2, t], found[3, t], found[4, t] = c / m, -s / m, x[j], a[j], b[j]
        if x[j] <= 0.5 * w:
            found[6, t], found[7, t], found[8, t], found[9, t], found[10, t] = m * c, m * s, x[j], a[j], b[j]
        else:
            found[6, t], found[7, t], found[8, t] = c / m, -s / m, w - x[j]
            found[9, t], found[10, t] = -a[j], -b[j]
        found[5, t] = y[j]
    return found


@njit(**EXACT)
def gather(sources, start, columns, low, high, end, rows, near):
    """Copy the ``sources`` (5 or more, n) of boxes into ``near`` (5, at least as many): their number.

    Rows low <= row < high of these ``columns``, then mirrors (conjugates) of row ``end`` if not negative.
    Nothing, but finite, fills up to whole vectors.
    """
    n = 0
    for mirror in range(2 if end >= 0 else 1):
        first_row, last_row = (end, end + 1) if mirror else (low, high)
        sign = -1.0 if mirror else 1.0
        for column in range(columns[0], columns[1]):
            for j in range(start[column * rows + first_row], start[column * rows + last_row]):
                near[0, n], near[1, n], near[2, n] = sources[0, j], sign * sources[1, j], sources[2, j]
                near[3, n], near[4, n] = sources[3, j], sign * sources[4, j]
                n += 1
    while n % VECTOR:
        for k in range(5):
            near[k, n] = 0.0
        n += 1
    return n


@njit(**EXACT)
def add_near(sources, start, x, y, order, place, grid, core, same, theta):
    """Add to ``theta`` of the targets ``x``, ``y`` all poles in neighbouring boxes, one by one.

    ``sources`` are those of :func:`near_sources` and start at ``start`` in each box; ``order`` are the
    targets by box, which start at ``place``.
    """
    w, rows = grid.w, grid.rows
    g = 0.5 * math.pi / grid.height
    soft = (2 * g * core) ** 2 + 1e-26
    ew2 = math.exp(4 * g * w)
    size = 2 * sources.shape[1] + VECTOR
    direct, image = np.empty((5, size)), np.empty((5, size))
    for box in range(grid.columns * rows):
        if place[box] == place[box + 1]:
            continue
        column, row = box // rows, box % rows
        low, high = max(row - 1, 0), min(row + 2, rows)
        end = row if row == 0 or row == rows - 1 else -1
        left, right = max(column - 1, 0), min(column + 2, grid.columns)
        n = gather(sources, start, (left, right), low, high, end, rows, direct)
        images = 0
        if column == 0 or column == grid.columns - 1:
            images = gather(sources[6:], start, (column, column + 1), low, high, end, rows, image)
        own = start[box] - start[column * rows + low] - place[box]
        if column > 0:
            own += start[left * rows + high] - start[left * rows + low]
        for t in range(place[box], place[box + 1]):
            i = order[t]
            m = math.exp(2 * g * x[i])
            c = math.cos(2 * g * y[i])
            s = math.sin(2 * g * y[i])
            a = b = 0.0
            if same:  # feels its mirror and images, not itself
                a, b = direct[3, own + t], direct[4, own + t]
                direct[3, own + t] = direct[4, own + t] = 0.0
            tr, ti = near_direct(m * c, m * s, m, x[i], direct, n, g, soft)
            if same:
                direct[3, own + t], direct[4, own + t] = a, b
            er, ei, xi = (m * c, m * s, x[i]) if column == 0 else (ew2 * c / m, -ew2 * s / m, w - x[i])
            p, q = near_image(er, ei, xi, image, images, g)
            theta[i] += complex(tr + p, ti + q)


@njit(**FAST)
def value(terms, powers):
    """F0 re, im, F1 re, im of a series with ``terms`` (4, ORDER)."""
    s0 = s1 = s2 = s3 = 0.0
    for m in range(ORDER):
        re, im = powers[0, m], powers[1, m]
        s0 += re * terms[0, m] - im * terms[1, m]
        s1 += re * terms[1, m] + im * terms[0, m]
        s2 += re * terms[2, m] - im * terms[3, m]
        s3 += re * terms[3, m] + im * terms[2, m]
    return s0, s1, s2, s3


@njit(**EXACT)
def add_series(x, y, order, start, grid, series, theta):
    """Add to ``theta`` of targets the series (boxes, 4, ORDER) of their boxes; ``order`` is by box."""
    terms, powers = np.empty((4, ORDER)), np.zeros((2, ORDER))
    powers[0, 0] = 1.0
    for box in range(len(start) - 1):
        if start[box] == start[box + 1]:
            continue
        cx = (box // grid.rows + 0.5) * grid.w / grid.columns
        cy = (box % grid.rows + 0.5) * grid.height / grid.rows
        factor = 1.0
        for m in range(ORDER):
            for k in range(4):
                terms[k, m] = factor * series[box, k, m]
            factor /= -(m + 1)
        for t in range(start[box], start[box + 1]):
            i = order[t]
            tree.fill_powers(x[i] - cx, y[i] - cy, powers)
            s0, s1, s2, s3 = value(terms, powers)
            theta[i] += complex(s0 + x[i] * s2, s1 + x[i] * s3)


@njit(**EXACT)
def coarsest(w, height):
    """The level without parents: boxes about as wide as high, two columns at least (and so two sides)."""
    columns = 2 * max(1, int(w / height + 0.5))
    rows = max(2, int(columns * height / w + 0.5))
    if abs(columns * height / (w * rows) - 1) > 0.12:
        columns *= 2
        rows = int(columns * height / w + 0.5)
    return tree.Grid(w, height, columns, rows)


@njit(**EXACT)
def finer(grid, levels):
    """The grid so many levels down."""
    return tree.Grid(grid.w, grid.height, grid.columns << levels, grid.rows << levels)


@njit(**EXACT)
def neighbours(start, place, grid):
    """Poles in neighbouring boxes, over all targets."""
    rows = grid.rows
    pairs = 0
    for box in range(grid.columns * rows):
        if place[box] < place[box + 1]:
            column, row = box // rows, box % rows
            low, high = max(row - 1, 0), min(row + 2, rows)
            end = 1 if row == 0 or row == rows - 1 else 0
            for k in range(max(column - 1, 0), min(column + 2, grid.columns)):
                near = start[k * rows + high] - start[k * rows + low]
                near += end * (start[k * rows + row + 1] - start[k * rows + row])
                twice = 2 if k == column and (k == 0 or k == grid.columns - 1) else 1
                pairs += twice * near * (place[box + 1] - place[box])
    return pairs


@njit(**EXACT)
def tail(a, b, grid, core):
    """About the most that the core beyond neighbours changes theta for signs at random [MPa].

    It takes core^2 / distance^2 off the field of each, and their squares add up from the nearest on.
    """
    total = 0.0
    for j in range(len(a)):
        total += a[j] * a[j] + b[j] * b[j]
    size = min(grid.w / grid.columns, grid.height / grid.rows)
    return 6 * core * core / (size * size) * math.sqrt(total / (grid.w * grid.height))


@njit(**EXACT)
def best_depth(x, y, a, b, xt, yt, w, height, core, same):
    """The number of levels below the coarsest that takes least time, -1 for none at all."""
    best, depth = DIRECT * len(x) * len(xt), -1
    top = coarsest(w, height)
    boxes = top.columns * top.rows
    always = LINK * boxes * 4 * boxes + POINT * (len(x) + len(xt))
    for d in range(DEEPEST + 1):
        grid = finer(top, d)
        if always > best or tail(a, b, grid, core) > TAIL:
            break
        start = tree.sort_by_box(x, y, grid)[1]
        place = start if same else tree.sort_by_box(xt, yt, grid)[1]
        if d > 0:
            for box in range(grid.columns * grid.rows):
                always += BOX if place[box] < place[box + 1] else EMPTY
        cost = always + PAIR * neighbours(start, place, grid)
        if cost < best:
            best, depth = cost, d
    return depth


@njit(**EXACT)
def add_by_boxes(x, y, a, b, xt, yt, w, height, core, same, depth, theta):
    """:func:`add_rows_far` with ``depth`` levels of boxes below the coarsest."""
    top = coarsest(w, height)
    leaf = finer(top, depth)
    order, start = tree.sort_by_box(x, y, leaf)
    wanted_order, place = (order, start) if same else tree.sort_by_box(xt, yt, leaf)
    base = np.zeros(depth + 2, np.int64)  # first box of each level
    for d in range(depth + 1):
        base[d + 1] = base[d] + ((top.columns * top.rows) << (2 * d))
    filled, wanted = np.zeros(base[-1], np.int64), np.zeros(base[-1], np.int64)
    for box in range(leaf.columns * leaf.rows):
        filled[base[depth] + box] = start[box + 1] - start[box]
        wanted[base[depth] + box] = place[box + 1] - place[box]
    moments = np.empty((2 * base[-1], 4, ORDER))
    series = np.zeros((base[-1], 4, ORDER))
    sources = near_sources(x, y, a, b, order, w, height)
    tree.leaf_moments(sources[2:6], start, leaf, moments[2 * base[depth] :])
    for d in range(depth, 0, -1):
        grid = finer(top, d)
        for box in range(base[d + 1] - base[d]):
            parent = base[d - 1] + (box // grid.rows // 2) * (grid.rows // 2) + box % grid.rows // 2
            filled[parent] += filled[base[d] + box]
            wanted[parent] += wanted[base[d] + box]
        inner = moments[2 * base[d] : 2 * base[d + 1]]
        tree.parent_moments(
            inner, filled[base[d] : base[d + 1]], grid, moments[2 * base[d - 1] : 2 * base[d]]
        )
    for d in range(depth + 1):
        grid = finer(top, d)
        here = slice(base[d], base[d + 1])
        if d > 0:
            tree.child_series(series[base[d - 1] : base[d]], wanted[here], grid, series[here])
        inner = moments[2 * base[d] : 2 * base[d + 1]]
        tree.add_distant(inner, filled[here], wanted[here], grid, d == 0, series[here])
    add_series(xt, yt, wanted_order, place, leaf, series[base[depth] :], theta)
    add_near(sources, start, xt, yt, wanted_order, place, leaf, core, same, theta)


@njit(**EXACT)
def add_rows_far(x, y, a, b, xt, yt, w, height, core, same, theta):
    """Add to ``theta`` (n_targets,) complex [MPa] what :func:`vitrine.physics.strip_kernels.add_rows` adds.

    Sources ``x``, ``y`` (n,) [nm] with ``a``, ``b`` (n,) [MPa nm], targets ``xt``, ``yt`` (n_targets,) [nm],
    all inside the rectangle. To about 1e-5 MPa, and ``TAIL`` more with a ``core`` [nm]. With few pairs, or
    all of them near each other, this is the direct sum.
    """
    depth = -1
    if len(x) * len(xt) >= WORTH_FROM:
        depth = best_depth(x, y, a, b, xt, yt, w, height, core, same)
    if depth < 0:
        add_rows(x, y, a, b, xt, yt, w, height, core, same, theta)
    else:
        add_by_boxes(x, y, a, b, xt, yt, w, height, core, same, depth, theta)
