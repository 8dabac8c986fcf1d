"""Compiled sums of the exact field of edge dislocations in a rectangle; see :mod:`vitrine.physics.strip`.

``w`` is the width and ``height`` the height [nm]; sources are at ``x``, ``y`` [nm] with
``gamma = a + i b = -i D (bx + i by) / 2`` [MPa nm], ``D = mu / (2 pi (1 - nu))``. ``theta`` is
``(syy - sxx) / 2 + i sxy`` and ``phi`` has ``4 Re phi = sxx + syy`` [MPa]. Everything is periodic along y
with the period ``2 height``, so that sums over rows are functions of ``exp(pi z / height)``.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

EXACT: dict[str, Any] = {
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}
FAST: dict[str, Any] = {"cache": True, "error_model": "numpy", "fastmath": True}


@njit(**FAST)
def _direct(er, ei, m, x, wr, wi, wm, x0, a, b, n, g, core):
    """Direct rows of n sources and of their mirrors in the ends, at one target: theta."""
    tr = 0.0
    ti = 0.0
    g2 = 8 * g * g
    for j in range(n):
        pr = er * wr[j]
        pi = ei * wi[j]
        qr = er * wi[j]
        qi = ei * wr[j]
        # E / E0 - 1 and E / conj(E0) - 1; one division serves both
        d1r = pr - pi - 1.0
        d1i = qr + qi
        d2r = pr + pi - 1.0
        d2i = qi - qr
        # 1 + 2 v = sinh(u) / (2 |sinh(u / 2)|^2 + core / 2) is odd in u: two act on each other alike
        soft = core * m * wm[j]
        size = d1r * d1r + d1i * d1i
        n1 = size + soft
        n2 = d2r * d2r + d2i * d2i + soft
        both = 1.0 / (n1 * n2)
        i1 = both * n2 if size > 1e-20 else 0.0  # at its own place
        i2 = both * n1
        v1r = (d1r - 0.5 * soft) * i1
        v1i = -d1i * i1
        v2r = (d2r - 0.5 * soft) * i2
        v2i = -d2i * i2
        h = g2 * (x - x0[j])
        u1r = v1r + v1r * v1r - v1i * v1i
        u1i = v1i + 2 * v1r * v1i
        u2r = v2r + v2r * v2r - v2i * v2i
        u2i = v2i + 2 * v2r * v2i
        a4 = 4 * g * a[j]
        ah = h * a[j]
        bh = h * b[j]
        tr += a4 * (1 + v1r + v2r) - ah * (u1r + u2r) + bh * (u1i - u2i)
        ti += a4 * (v1i + v2i) - ah * (u1i + u2i) - bh * (u1r - u2r)
    return tr, ti


@njit(**FAST)
def _image(er, ei, x, kr, ki, x0, a, b, g):
    """Half-plane images in the side x = 0 of sources and of their mirrors, at one target: theta."""
    tr = 0.0
    ti = 0.0
    g2 = 8 * g * g
    g3 = 32 * g * g * g * x
    for j in range(len(kr)):
        pr = er * kr[j]
        pi = ei * ki[j]
        qr = er * ki[j]
        qi = ei * kr[j]
        # E conj(E0) - 1 and E E0 - 1
        d1r = pr + pi - 1.0
        d1i = qi - qr
        d2r = pr - pi - 1.0
        d2i = qi + qr
        n1 = d1r * d1r + d1i * d1i
        n2 = d2r * d2r + d2i * d2i
        both = 1.0 / (n1 * n2)
        i1 = both * n2
        i2 = both * n1
        v1r = d1r * i1
        v1i = -d1i * i1
        v2r = d2r * i2
        v2i = -d2i * i2
        u1r = v1r + v1r * v1r - v1i * v1i
        u1i = v1i + 2 * v1r * v1i
        u2r = v2r + v2r * v2r - v2i * v2i
        u2i = v2i + 2 * v2r * v2i
        w1r = 1 + 2 * v1r
        w1i = 2 * v1i
        w2r = 1 + 2 * v2r
        w2i = 2 * v2i
        c1r = u1r * w1r - u1i * w1i
        c1i = u1r * w1i + u1i * w1r
        c2r = u2r * w2r - u2i * w2i
        c2i = u2r * w2i + u2i * w2r
        a2 = 2 * g * a[j]
        pa = g2 * (x + x0[j]) * a[j]
        pb = g2 * (x - x0[j]) * b[j]
        ea = g3 * x0[j] * a[j]
        eb = g3 * x0[j] * b[j]
        # -2 a C1 + (2 x gamma + 2 x0 conj gamma) C2 - 8 x x0 conj(gamma) C3; mirrors: gamma -> conj gamma
        tr += -a2 * (w1r + w2r) + pa * (u1r + u2r) - pb * (u1i - u2i) - ea * (c1r + c2r) - eb * (c1i - c2i)
        ti += -a2 * (w1i + w2i) + pa * (u1i + u2i) + pb * (u1r - u2r) - ea * (c1i + c2i) + eb * (c1r - c2r)
    return tr, ti


@njit(**FAST)
def add_rows(x, y, a, b, xt, yt, w, height, core, same, theta):
    """Add to ``theta`` (n_targets,) complex: rows, their mirrors in the ends, images in the nearer side.

    ``core`` [nm] softens the direct rows, ``1 / zeta -> conj(zeta) / (|zeta|^2 + core^2)`` close by. With
    ``same`` target i is source i, which does not feel its own direct term.
    """
    n = len(x)
    g = 0.5 * math.pi / height
    f = math.pi / height
    soft = (f * core) ** 2 + 1e-26
    wr = np.empty(n)
    wi = np.empty(n)
    wm = np.empty(n)
    kr = np.empty(n)
    ki = np.empty(n)
    x1 = np.empty(n)
    a1 = np.empty(n)
    b1 = np.empty(n)
    left = 0
    right = n
    for j in range(n):
        m = math.exp(f * x[j])
        c = math.cos(f * y[j])
        s = math.sin(f * y[j])
        wr[j] = c / m
        wi[j] = -s / m
        wm[j] = 1.0 / m
        if x[j] <= 0.5 * w:
            kr[left] = m * c
            ki[left] = m * s
            x1[left] = x[j]
            a1[left] = a[j]
            b1[left] = b[j]
            left += 1
        else:  # turned by pi about (w / 2, 0): z -> w - z, gamma -> -gamma; exp(f w) goes to the target
            right -= 1
            kr[right] = c / m
            ki[right] = -s / m
            x1[right] = w - x[j]
            a1[right] = -a[j]
            b1[right] = -b[j]
    # loops over parts of arrays are not vectorised, loops over whole ones are
    lr, li, lx, la, lb = kr[:left], ki[:left], x1[:left], a1[:left], b1[:left]
    rr, ri, rx, ra, rb = kr[right:], ki[right:], x1[right:], a1[right:], b1[right:]
    ew2 = math.exp(2 * f * w)
    for i in range(len(xt)):
        m = math.exp(f * xt[i])
        c = math.cos(f * yt[i])
        s = math.sin(f * yt[i])
        tr, ti = _direct(m * c, m * s, m, xt[i], wr, wi, wm, x, a, b, n, g, soft)
        if same:
            tr -= 2 * g * a[i]
        p, q = _image(m * c, m * s, xt[i], lr, li, lx, la, lb, g)
        tr += p
        ti += q
        p, q = _image(ew2 * c / m, -ew2 * s / m, w - xt[i], rr, ri, rx, ra, rb, g)
        theta[i] += complex(tr + p, ti + q)


@njit(**EXACT)
def add_rows_in_full(x, y, a, b, xt, yt, w, height, core, theta, phi):
    """As :func:`add_rows`, and ``phi`` too; written in complex numbers, one term after the other."""
    g = 0.5 * math.pi / height
    f = math.pi / height
    soft = (f * core) ** 2
    for i in range(len(xt)):
        z = complex(xt[i], yt[i])
        for j in range(len(x)):
            for mirror in range(2):
                bb = b[j] if mirror == 0 else -b[j]
                z0 = complex(x[j], y[j] if mirror == 0 else -y[j])
                gamma = complex(a[j], bb)
                q = np.exp(f * (z - z0))
                size = abs(q - 1.0) ** 2
                core2 = soft * abs(q)
                # at its own place the regular part alone: 1 / (exp(u) - 1) -> -1/2, so that C1 = 0
                v = complex(-0.5, 0.0)
                if size > 1e-26:
                    v = ((q - 1.0).conjugate() - 0.5 * core2) / (size + core2)
                c1 = g * (1 + 2 * v)
                c2 = 4 * g * g * (v + v * v)
                theta[i] += 2 * a[j] * c1 - 2 * gamma * (xt[i] - x[j]) * c2
                phi[i] += gamma * c1
                xi = xt[i]
                x0 = x[j]
                zeta = z + z0.conjugate()
                if x[j] > 0.5 * w:
                    xi = w - xi
                    x0 = w - x0
                    gamma = -gamma
                    zeta = 2 * w - zeta
                v = 1.0 / (np.exp(f * zeta) - 1.0)
                c1 = g * (1 + 2 * v)
                c2 = 4 * g * g * (v + v * v)
                c3 = 4 * g**3 * (v + v * v) * (1 + 2 * v)
                conj = gamma.conjugate()
                theta[i] += -2 * gamma.real * c1 + 2 * (xi * gamma + x0 * conj) * c2 - 8 * xi * x0 * conj * c3
                phi[i] += -gamma * c1 + 2 * x0 * conj * c2


@njit(**EXACT)
def side_tractions(x, y, a, b, w, height, tractions):
    """Fill ``tractions`` (modes, 4): what rows and images leave on the far sides [MPa].

    Mode m has ``sxx = sum Sxx cos ky`` and ``sxy = sum Sxy sin ky`` with k = (m + 1) pi / height; columns are
    Sxx and Sxy on x = w, then on x = 0.
    """
    base = math.pi / height
    tractions[:] = 0.0
    for j in range(len(x)):
        gamma = complex(a[j], b[j])
        x0 = x[j]
        y0 = y[j]
        column = 0
        sign = 1.0
        if x[j] > 0.5 * w:
            x0 = w - x0
            y0 = -y0
            gamma = -gamma
            column = 2
            sign = -1.0
        conj = gamma.conjugate()
        first = np.exp(complex(-base * (w - x0), base * y0))
        ratio = math.exp(-2 * base * x0)
        e0 = first
        back = ratio
        for m in range(len(tractions)):
            k = (m + 1) * base
            e1 = e0 * back
            plus = e0 * (-conj + 2 * gamma * k * (w - x0))
            plus += e1 * (conj - 2 * w * gamma * k + 4 * w * x0 * conj * k * k)
            minus = e0 * gamma + e1 * (-gamma + 2 * x0 * conj * k)
            tractions[m, column] += 2 * base * (plus.real + minus.real)
            tractions[m, column + 1] += sign * 2 * base * (plus.real - minus.real)
            e0 *= first
            back *= ratio


@njit(**EXACT)
def mode_coefficients(tractions, w, height, modes):
    """Fill ``modes`` (modes, 4) of the field that takes these tractions away.

    Theta = sum (c0 + c1 X) exp(k (z - w)) + (c2 + c3 X) exp(-k z), X = x - w / 2.
    """
    for m in range(len(tractions)):
        k = (m + 1) * math.pi / height
        h = 0.5 * k * w
        fw = tractions[m, 0] / (k * k)
        dw = -tractions[m, 1] / (k * k)
        f0 = tractions[m, 2] / (k * k)
        d0 = -tractions[m, 3] / (k * k)
        fe = 0.5 * (fw + f0)
        de = 0.5 * (dw - d0)
        fo = 0.5 * (fw - f0)
        do = 0.5 * (dw + d0)
        e = math.exp(-2 * h)  # everything times exp(h), determinants times exp(-2 h)
        ch = 0.5 * (1 + e)
        sh = 0.5 * (1 - e)
        even = 0.25 * (1 - e * e) + h * e
        odd = 0.25 * (1 - e * e) - h * e
        p = 0.5 * (fe * (sh + h * ch) - de * h * sh) / even
        q = 0.5 * (ch * de - sh * fe) / even
        r = 0.5 * (fo * (ch + h * sh) - do * h * ch) / odd
        s = 0.5 * (sh * do - ch * fo) / odd
        modes[m, 0] = k * k * (p + r + q + s)
        modes[m, 1] = k * k * k * (q + s)
        modes[m, 2] = k * k * (p - r - (s - q))
        modes[m, 3] = k * k * k * (s - q)


@njit(**EXACT)
def add_modes(xt, yt, w, height, modes, theta):
    """Add the field of :func:`mode_coefficients` to ``theta`` (n_targets,) complex."""
    base = math.pi / height
    n = len(modes)
    for i in range(len(xt)):
        across = xt[i] - 0.5 * w
        z = complex(xt[i], yt[i]) * base
        u = np.exp(z - base * w)
        v = np.exp(-z)
        ar = 0.0
        ai = 0.0
        br = 0.0
        bi = 0.0
        for m in range(n - 1, -1, -1):
            t = ar + modes[m, 0] + modes[m, 1] * across
            ar = t * u.real - ai * u.imag
            ai = t * u.imag + ai * u.real
            t = br + modes[m, 2] + modes[m, 3] * across
            br = t * v.real - bi * v.imag
            bi = t * v.imag + bi * v.real
        theta[i] += complex(ar + br, ai + bi)


@njit(**EXACT)
def add_modes_to_phi(xt, yt, w, height, modes, phi):
    """Add the field of :func:`mode_coefficients` to ``phi`` (n_targets,) complex."""
    base = math.pi / height
    for i in range(len(xt)):
        z = complex(xt[i], yt[i]) * base
        u = np.exp(z - base * w)
        v = np.exp(-z)
        total = 0j
        pu = u
        pv = v
        for m in range(len(modes)):
            k = (m + 1) * base
            total += 0.5 / k * (modes[m, 1] * pu - modes[m, 3] * pv)
            pu *= u
            pv *= v
        phi[i] += total


@njit(**EXACT)
def uniform_stress(x, b_y, w, height, modulus, mean_stress):
    """The uniform axial stress [MPa] that makes the mean over every section ``mean_stress``.

    ``b_y`` (n,) is the axial part of each Burgers vector [nm], ``modulus`` E / (1 - nu^2) [MPa].
    """
    total = 0.0
    for j in range(len(x)):
        total += b_y[j] * x[j] if x[j] <= 0.5 * w else -b_y[j] * (w - x[j])
    return mean_stress + modulus * total / (w * height)
