"""The exact field of dislocations in a rectangle: finite elements, textbook fields, the laws it must obey."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strip_finite_elements import BURGERS, POISSON, YOUNG, Edge, FiniteElements
from vitrine.physics import strip_kernels as kernels
from vitrine.physics.elastic import Elastic
from vitrine.physics.strip import Dislocations, Strip, resolved_shear
from vitrine.physics.strip_displacement import SlipPlanes, displacement_at

ALUMINIUM = Elastic(YOUNG, POISSON, BURGERS)
STRIP = Strip(500.0, 2000.0, ALUMINIUM)
FINE = replace(STRIP, modes=120)
SYSTEMS = np.radians([60.0, 120.0])

MESH_OWN = 2e-4
"""Of the greatest corrective stress there, at the dislocation: thrice what halving the elements changes."""
MESH_FIELD = 1e-3
"""Of the greatest corrective stress: a little more than that, where elements are largest, next to corners."""
MESH_DISPLACEMENT = 1e-5
"""Burgers vectors: twice what halving the elements changes."""
COARSE_MESH, FINE_MESH = 0.12, 0.08
"""Edges of elements over distances to the dislocation: errors of third order fall to less than a third."""

TRACTION = {40: 5e-5, 60: 3e-8}
"""MPa on a side by number of modes: up to 8e-6 and 4e-9 by the first mode left out, of one at mid-width."""
SECTION_MEAN = {40: 2e-6, 60: 1e-9}
"""MPa: the sides' leftover shear, summed along y."""
ROUND_OFF = 1e-9
"""MPa: stresses of up to 1e4 MPa, thousands of operations."""
FAST_MATH = 1e-10
"""Of the greatest stress: add_rows may order sums, and multiplies exponentials of z and of -z0."""
APART = 20.0
"""nm between dislocations or faces and the places where derivatives are taken."""
DIFFERENCE = 4.0
"""Of the greatest derivative times (h / r)^2: central differences of 1 / r^n of a step h at a distance r."""
FORCE = 2e-5
"""Of the greatest force: the cut starts r0 = 1e-3 nm away from the core, r0 over distances is left out."""


@dataclass(frozen=True)
class Case:
    """One dislocation of the finite-element tests, cut along its slip plane to the nearer side."""

    x: float
    y: float
    degrees: float

    @property
    def angle(self) -> float:
        return float(np.radians(self.degrees))

    @property
    def found(self) -> Dislocations:
        return one(self.x, self.y, self.angle)

    @property
    def cut(self) -> float:
        """Direction of the cut: along the slip line to the nearer side where it meets that, else across."""
        left = self.x <= STRIP.width / 2
        slip = self.angle + np.pi * (left == (np.cos(self.angle) > 0))
        reach = self.x if left else STRIP.width - self.x
        meets = self.y + reach * np.tan(slip) * (-1 if left else 1)
        if abs(np.cos(slip)) > 1e-9 and 0 < meets < STRIP.height:
            return float(slip)
        return np.pi if left else 0.0


CASES = [
    Case(250, 1000, 60), Case(100, 700, 60), Case(2, 1000, 120), Case(498, 1500, 60), Case(250, 10, 60),
]  # fmt: skip
SLOW_CASES = [
    Case(100, 700, 120), Case(400, 1300, 60), Case(10, 1000, 60), Case(5, 600, 60), Case(495, 900, 120),
    Case(100, 20, 120), Case(5, 8, 60), Case(493, 1990, 120), Case(30, 1990, 0), Case(250, 1000, 90),
]  # fmt: skip


def one(x: float, y: float, angle: float, sign: float = 1.0) -> Dislocations:
    return Dislocations.on_planes(
        np.array([float(x)]), np.array([float(y)]), angle, np.array([sign]), BURGERS
    )


def scatter(seed: int, n: int = 20, strip: Strip = STRIP, margin: float = 5.0) -> tuple[Dislocations, Any]:
    """On both slip systems, of both signs and sides, the first at mid-width; and the angles."""
    random = np.random.default_rng(seed)
    x = random.uniform(margin, strip.width - margin, n)
    y = random.uniform(margin, strip.height - margin, n)
    x[0] = strip.width / 2
    angle, sign = random.choice(SYSTEMS, n), random.choice([-1.0, 1.0], n)
    return Dislocations.on_planes(x, y, angle, sign, BURGERS), angle


def plastic_strain(found: Dislocations, strip: Strip = STRIP) -> float:
    """Mean axial strain by the cuts, each to the nearer side."""
    left = found.x <= strip.width / 2
    swept = np.where(left, found.b_y * found.x, -found.b_y * (strip.width - found.x))
    return float(swept.sum() / (strip.width * strip.height))


def away_from(found: Dislocations, distance: float, n: int, seed: int, strip: Strip = STRIP) -> Any:
    """Random places inside that keep this distance from dislocations and faces."""
    random = np.random.default_rng([seed, 1])
    x = random.uniform(distance, strip.width - distance, 50 * n)
    y = random.uniform(distance, strip.height - distance, 50 * n)
    gap = np.hypot(x[:, None] - found.x, y[:, None] - found.y).min(1)
    return x[gap > distance][:n], y[gap > distance][:n]


@lru_cache
def finite_elements(case: Case, fineness: float) -> FiniteElements:
    edge = Edge(case.x, case.y, case.angle, cut=case.cut)
    return FiniteElements(STRIP.width, STRIP.height, edge, fineness=fineness)


def grid(n_x: int = 9, n_y: int = 17) -> Any:
    x, y = np.meshgrid(np.linspace(0.05, 0.97, n_x), np.linspace(0.02, 0.98, n_y))
    return x.ravel() * STRIP.width, y.ravel() * STRIP.height


def check_against_finite_elements(case: Case, fineness: float, own: float, field: float) -> None:
    strip = replace(STRIP, modes=60)
    solved = finite_elements(case, fineness)
    mean_stress = -ALUMINIUM.axial * plastic_strain(case.found)
    at_core = strip.stress(case.found, case.found.x, case.found.y, mean_stress)
    expected = solved.corrective_stress(case.found.x, case.found.y)
    largest = np.abs(expected).max()
    assert np.abs(at_core - expected).max() < own * largest
    assert abs(resolved_shear(at_core, case.angle) - resolved_shear(expected, case.angle))[0] < own * largest
    x, y = grid()
    correction = solved.corrective_stress(x, y)
    difference = strip.stress(case.found, x, y, mean_stress) - solved.edge.stress(x, y) - correction
    assert np.abs(difference).max() < field * np.abs(correction).max()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_finite_elements(case: Case) -> None:
    check_against_finite_elements(case, COARSE_MESH, MESH_OWN, MESH_FIELD)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES + SLOW_CASES, ids=str)
def test_agrees_with_finer_finite_elements(case: Case) -> None:
    check_against_finite_elements(case, FINE_MESH, MESH_OWN / 3, MESH_FIELD / 3)


def slip_line(case: Case) -> tuple[SlipPlanes, Any]:
    """The slip plane of the case, and its slip at s = 0."""
    rises = np.cos(case.angle) > 0
    x = 0.0 if rises else STRIP.width
    y = case.y + (x - case.x) * np.tan(case.angle)
    length = STRIP.width / abs(np.cos(case.angle))
    cut_to_start = (case.x <= STRIP.width / 2) == rises
    return SlipPlanes(*(np.array([v]) for v in (x, y, case.angle, length))), np.array([int(cut_to_start)])


def check_displacement(case: Case, fineness: float, tolerance: float) -> None:
    strip = replace(STRIP, modes=60)
    planes, slip_at_start = slip_line(case)
    mean_stress = -ALUMINIUM.axial * plastic_strain(case.found)
    x, y = grid()
    u = displacement_at(strip, case.found, np.array([0]), slip_at_start, planes, mean_stress, x, y)
    difference = u - finite_elements(case, fineness).displacement(x, y)
    difference[0] -= difference[0].mean()  # the ends leave only a translation along x free
    assert np.abs(difference).max() < tolerance * BURGERS


@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_displacement_agrees_with_finite_elements(case: Case) -> None:
    check_displacement(case, COARSE_MESH, MESH_DISPLACEMENT)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES[:4] + SLOW_CASES[:5], ids=str)
def test_displacement_agrees_with_finer_finite_elements(case: Case) -> None:
    check_displacement(case, FINE_MESH, MESH_DISPLACEMENT / 3)


@pytest.mark.parametrize("modes", TRACTION)
@pytest.mark.parametrize("seed", range(4))
def test_sides_carry_no_traction(seed: int, modes: int) -> None:
    found, _ = scatter(seed)
    y = np.linspace(0, STRIP.height, 1001)
    for x in (0.0, STRIP.width):
        sxx, _, sxy = replace(STRIP, modes=modes).stress(found, np.full_like(y, x), y, 30.0)
        assert np.abs(sxx).max() < TRACTION[modes]
        assert np.abs(sxy).max() < TRACTION[modes]


@pytest.mark.parametrize("seed", range(4))
def test_ends_carry_no_shear(seed: int) -> None:
    found, _ = scatter(seed)
    x = np.linspace(0, STRIP.width, 301)
    for y in (0.0, STRIP.height):
        assert np.abs(STRIP.stress(found, x, np.full_like(x, y), 30.0)[2]).max() < ROUND_OFF


@pytest.mark.parametrize("modes", SECTION_MEAN)
@pytest.mark.parametrize("seed", range(4))
def test_mean_over_every_section_is_the_mean_stress(seed: int, modes: int) -> None:
    found, _ = scatter(seed)
    points, weights = np.polynomial.legendre.leggauss(600)
    x = STRIP.width * (points + 1) / 2
    rows = np.sort(np.concatenate([found.y, [0.0, STRIP.height]]))
    widest = np.argsort(np.diff(rows))[-5:]  # a Gauss rule wants the poles some tens of nm away
    for y in (rows[widest] + rows[widest + 1]) / 2:
        syy = replace(STRIP, modes=modes).stress(found, x, np.full_like(x, y), -20.0)[1]
        assert syy @ weights / 2 == pytest.approx(-20.0, abs=SECTION_MEAN[modes])


def test_without_dislocations_the_stress_is_the_mean_stress() -> None:
    nothing = Dislocations(*(np.zeros(0),) * 4)
    x, y = grid()
    assert np.array_equal(STRIP.stress(nothing, x, y, 12.0), np.array([[0.0], [12.0], [0.0]]) + 0 * x)


def test_error_falls_geometrically_with_the_modes() -> None:
    """Mode k of a source at mid-width reaches the far side times k exp(-k w / 2), k = pi m / height."""
    found, _ = scatter(0)
    y = np.linspace(0, STRIP.height, 801)
    x = np.repeat([0.0, STRIP.width], len(y))
    y = np.tile(y, 2)
    truth = FINE.stress(found, x, y, 0.0)
    modes = np.arange(10, 61, 5)
    errors = [np.abs(replace(STRIP, modes=int(m)).stress(found, x, y, 0.0) - truth).max() for m in modes]
    rate = np.polyfit(modes, np.log(np.array(errors) / modes), 1)[0]
    assert rate == pytest.approx(-np.pi * STRIP.width / (2 * STRIP.height), rel=0.05)


@pytest.mark.parametrize("degrees", [60, 120])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("side", ["left", "right"])
def test_is_attracted_to_the_nearer_side(side: str, sign: float, degrees: float) -> None:
    """Head, Proc. Phys. Soc. B 66 (1953) 793: A |cos beta| / (2 d) in a half-plane; here both sides pull."""
    angle = np.radians(degrees)
    for d, ratio, tolerance in ((5.0, 0.998, 0.002), (25.0, 0.96, 0.01), (50.0, 0.86, 0.01)):
        found = one(d if side == "left" else STRIP.width - d, 777.0, angle, sign)
        tau = resolved_shear(STRIP.stress(found, found.x, found.y, 0.0), angle)[0]
        along_x = sign * tau * np.sign(np.cos(angle))
        toward = -along_x if side == "left" else along_x
        half_plane = ALUMINIUM.strength * abs(np.cos(angle)) / (2 * d)
        assert toward / half_plane == pytest.approx(ratio, abs=tolerance)


BULK = Strip(4000.0, 16000.0, ALUMINIUM)
IN_BULK = 2e-5
"""Of the stress at 5 nm: images cancel at the centre; their gradient, over 2000 nm, times 5 nm is left."""


def in_bulk(angle: float, along: Any, above: Any, source_sign: float = 1.0) -> Any:
    """Stress of a dislocation at the centre, at places given in its slip frame; and those places."""
    x = BULK.width / 2 + np.cos(angle) * along - np.sin(angle) * above
    y = BULK.height / 2 + np.sin(angle) * along + np.cos(angle) * above
    source = one(BULK.width / 2, BULK.height / 2, angle, source_sign)
    return BULK.stress(source, x, y, 0.0), x, y


@pytest.mark.parametrize("degrees", [0, 60, 90, 120])
def test_far_from_surfaces_it_is_the_textbook_field(degrees: float) -> None:
    angle = np.radians(degrees)
    turn = np.linspace(0, 2 * np.pi, 37)
    stress, x, y = in_bulk(angle, 5 * np.cos(turn), 5 * np.sin(turn))
    textbook = Edge(BULK.width / 2, BULK.height / 2, angle).stress(x, y)
    assert np.abs(stress - textbook).max() < IN_BULK * np.abs(textbook).max()
    opposite, _, _ = in_bulk(angle, -5 * np.cos(turn), -5 * np.sin(turn))
    assert np.abs(stress + opposite).max() < IN_BULK * np.abs(textbook).max()  # odd in the place
    negative, _, _ = in_bulk(angle, 5 * np.cos(turn), 5 * np.sin(turn), -1.0)
    assert np.array_equal(negative, -stress)


@pytest.mark.parametrize("degrees", [0, 60, 120])
def test_dipole_passes_at_the_passing_stress(degrees: float) -> None:
    """Opposite edges on planes h apart: A x (x^2 - h^2) / (x^2 + h^2)^2 is greatest, A / (4 h)."""
    h = 5.0
    angle = np.radians(degrees)
    along = np.linspace(-4 * h, 4 * h, 4001)
    tau = resolved_shear(in_bulk(angle, along, h + 0 * along)[0], angle)
    assert np.abs(tau).max() == pytest.approx(ALUMINIUM.strength / (4 * h), rel=1e-4)
    place = np.degrees(np.arctan(abs(along[np.argmax(np.abs(tau))]) / h))
    assert min(abs(place - 22.5), abs(place - 67.5)) < 0.1


@pytest.mark.parametrize("degrees", [0, 60, 120])
def test_like_dislocations_stand_above_one_another(degrees: float) -> None:
    """Hirth & Lothe (1982): no shear at |x| = |y|; within it the force is back to x = 0."""
    h = 5.0
    angle = np.radians(degrees)

    def shear(along: float) -> float:
        return float(resolved_shear(in_bulk(angle, np.array([along]), np.array([h]))[0], angle)[0])

    scale = ALUMINIUM.strength / h
    assert abs(shear(h)) < IN_BULK * scale
    assert abs(shear(-h)) < IN_BULK * scale
    assert abs(shear(0.0)) < IN_BULK * scale
    assert shear(0.1) < 0 < shear(-0.1)  # s b tau: back to 0
    assert shear(1.1 * h) > 0 > shear(-1.1 * h)  # farther out, away
    assert shear(0.9 * h) < 0 < shear(-0.9 * h)


def rows(found: Dislocations, x: Any, y: Any, core: float, same: bool = False, strip: Strip = STRIP) -> Any:
    theta = np.zeros(len(x), complex)
    size = (strip.width, strip.height)
    kernels.add_rows(found.x, found.y, *strip.gamma(found), x, y, *size, core, same, theta)
    return theta


def rows_in_full(found: Dislocations, x: Any, y: Any, core: float, strip: Strip = STRIP) -> Any:
    theta, phi = np.zeros(len(x), complex), np.zeros(len(x), complex)
    size = (strip.width, strip.height)
    kernels.add_rows_in_full(found.x, found.y, *strip.gamma(found), x, y, *size, core, theta, phi)
    return theta


@pytest.mark.parametrize("core", [0.0, 0.5])
@pytest.mark.parametrize("width", [62.5, 500.0])
def test_fast_rows_are_the_rows(width: float, core: float) -> None:
    strip = replace(STRIP, width=width, height=4 * width)
    found, _ = scatter(3, 40, strip, margin=1.0)
    x, y = away_from(found, 1.0, 200, 3, strip)
    full = rows_in_full(found, x, y, core, strip)
    assert np.abs(rows(found, x, y, core, strip=strip) - full).max() < FAST_MATH * np.abs(full).max()


@pytest.mark.parametrize("core", [0.0, 0.5])
def test_fast_rows_of_the_sources_themselves_are_the_rows(core: float) -> None:
    found, _ = scatter(4, 40)
    full = rows_in_full(found, found.x, found.y, core)
    assert (
        np.abs(rows(found, found.x, found.y, core, same=True) - full).max() < FAST_MATH * np.abs(full).max()
    )


@pytest.mark.parametrize("seed", range(3))
def test_stress_at_a_dislocation_leaves_out_what_is_odd_around_it(seed: int) -> None:
    """Its own direct field is odd in the distance: what it feels is the mean over opposite places."""
    found, _ = scatter(seed, margin=30.0)
    feels = STRIP.stress(found, found.x, found.y, 10.0)
    step = 0.01
    around = [
        STRIP.stress(found, found.x + step * np.cos(t), found.y + step * np.sin(t), 10.0)
        for t in np.arange(8) * np.pi / 4
    ]
    assert (
        np.abs(feels - np.mean(around, axis=0)).max() < 1e-4
    )  # MPa: 2e5 MPa at 0.01 nm, round-off of places


def test_same_flag_leaves_out_only_the_own_direct_row() -> None:
    found, _ = scatter(5, margin=30.0)
    step = 0.01
    mean = np.mean(
        [
            rows(found, found.x + step * np.cos(t), found.y + step * np.sin(t), 0.0)
            for t in np.arange(8) * np.pi / 4
        ],
        axis=0,
    )
    assert np.abs(rows(found, found.x, found.y, 0.0, same=True) - mean).max() < 1e-4


@pytest.mark.parametrize("degrees", [0, 60, 90, 120])
def test_core_matters_near_the_core_only(degrees: float) -> None:
    """1 / zeta and 1 / zeta^2 shrink by (core / r)^2 and twice that, the shear at 5 nm by 1.0 to 2.0 %."""
    angle = np.radians(degrees)
    found = one(250.0, 1000.0, angle)
    for r in (5.0, 10.0, 20.0):
        turn = np.linspace(0, 2 * np.pi, 37)
        x, y = 250.0 + r * np.cos(turn), 1000.0 + r * np.sin(turn)
        change = np.abs(rows(found, x, y, 0.5) - rows(found, x, y, 0.0)).max()
        assert change < 2.2 * (0.5 / r) ** 2 * ALUMINIUM.strength / r  # periodic images: 5 % at 20 nm
    near = np.array([0.0, 1e-9, 1e-3, 0.1])
    theta = rows(found, 250.0 + near, np.full_like(near, 1000.0), 0.5)
    assert np.all(np.isfinite(theta))
    assert np.abs(theta).max() < 2 * ALUMINIUM.strength / 0.5


def reflected(found: Dislocations, axis: str) -> Dislocations:
    """A jump over a counter-clockwise circuit changes sign with the turn: b -> -R b."""
    if axis == "x":
        return Dislocations(STRIP.width - found.x, found.y, found.b_x, -found.b_y)
    return Dislocations(found.x, STRIP.height - found.y, -found.b_x, found.b_y)


@pytest.mark.parametrize("axis", ["x", "y"])
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), mean_stress=st.floats(-200, 200))
@settings(max_examples=12, deadline=None)
def test_reflection_maps_the_field(axis: str, seed: int, n: int, mean_stress: float) -> None:
    found, _ = scatter(seed, n)
    x, y = away_from(found, 5.0, 40, seed)
    stress = FINE.stress(found, x, y, mean_stress)
    xr, yr = (STRIP.width - x, y) if axis == "x" else (x, STRIP.height - y)
    mirror = FINE.stress(reflected(found, axis), xr, yr, mean_stress)
    assert np.abs(mirror * np.array([[1.0], [1.0], [-1.0]]) - stress).max() < ROUND_OFF


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12))
@settings(max_examples=12, deadline=None)
def test_fields_add(seed: int, n: int) -> None:
    found, _ = scatter(seed, n)
    x, y = away_from(found, 5.0, 40, seed)
    together = STRIP.stress(found, x, y, 17.0)
    apart = STRIP.stress(Dislocations(*(np.zeros(0),) * 4), x, y, 17.0)
    for i in range(n):
        single = Dislocations(found.x[[i]], found.y[[i]], found.b_x[[i]], found.b_y[[i]])
        apart = apart + STRIP.stress(single, x, y, 0.0)
    assert np.abs(together - apart).max() < ROUND_OFF


@pytest.mark.parametrize("seed", range(3))
def test_stress_is_in_equilibrium(seed: int) -> None:
    found, _ = scatter(seed)
    x, y = away_from(found, APART, 100, seed)
    h = 0.01

    def slope(axis: int) -> Any:
        dx, dy = (h, 0.0) if axis == 0 else (0.0, h)
        ahead, behind = STRIP.stress(found, x + dx, y + dy, 5.0), STRIP.stress(found, x - dx, y - dy, 5.0)
        return (ahead - behind) / (2 * h)

    by_x, by_y = slope(0), slope(1)
    scale = max(np.abs(by_x).max(), np.abs(by_y).max())
    assert np.abs(by_x[0] + by_y[2]).max() < DIFFERENCE * (h / APART) ** 2 * scale
    assert np.abs(by_x[2] + by_y[1]).max() < DIFFERENCE * (h / APART) ** 2 * scale


@pytest.mark.parametrize("seed", range(3))
def test_strain_is_compatible(seed: int) -> None:
    """Without body forces: sxx + syy is harmonic."""
    found, _ = scatter(seed)
    x, y = away_from(found, APART, 100, seed)
    h = 0.02

    def volume(dx: float, dy: float) -> Any:
        return STRIP.stress(found, x + dx, y + dy, 5.0)[:2].sum(0)

    by_x = (volume(h, 0) - 2 * volume(0, 0) + volume(-h, 0)) / h**2
    by_y = (volume(0, h) - 2 * volume(0, 0) + volume(0, -h)) / h**2
    assert np.abs(by_x + by_y).max() < DIFFERENCE * (h / APART) ** 2 * np.abs(by_x).max()


def elastic_energy(found: Dislocations, angle: Any, sign: Any, strain: float) -> float:
    """Half the work of the tractions over the faces: the two faces of every cut, and the ends [MPa nm^2].

    A cut runs along the slip line from ``r0`` to the nearer side. Facing along the Burgers vector of sign +,
    what lies above has moved by + b against what lies below where the cut runs backwards, by - b forwards.
    """
    r0 = 1e-3
    mean_stress = ALUMINIUM.axial * (strain - plastic_strain(found))
    energy = mean_stress * STRIP.width * strain * STRIP.height / 2
    points, weights = np.polynomial.legendre.leggauss(200)
    for i in range(len(found.x)):
        left = found.x[i] <= STRIP.width / 2
        forwards = left != (np.cos(angle[i]) > 0)
        to_side = found.x[i] if left else STRIP.width - found.x[i]
        length = to_side / abs(np.cos(angle[i]))
        logs = np.log(r0) + np.log(length / r0) * (points + 1) / 2
        distance = np.exp(logs)
        along = distance if forwards else -distance
        x = found.x[i] + along * np.cos(angle[i])
        y = found.y[i] + along * np.sin(angle[i])
        tau = resolved_shear(STRIP.stress(found, x, y, mean_stress), angle[i])
        integral = tau * distance @ weights * np.log(length / r0) / 2
        energy += (1 if forwards else -1) * sign[i] * BURGERS * integral / 2
    return energy


@pytest.mark.parametrize("strain", [0.0, 1e-3])
def test_force_is_the_slope_of_the_elastic_energy(strain: float) -> None:
    """At given ends, whatever the field is: energy by the cuts against the stress at the dislocation."""
    x = np.array([60.0, 190.0, 330.0, 455.0])
    y = np.array([800.0, 1010.0, 930.0, 1330.0])  # no cut passes another core closely
    angle = SYSTEMS[[0, 1, 0, 1]]
    sign = np.array([1.0, -1.0, -1.0, 1.0])

    def place(i: int, step: float) -> Dislocations:
        moved = step * (np.arange(4) == i)
        return Dislocations.on_planes(
            x + moved * np.cos(angle), y + moved * np.sin(angle), angle, sign, BURGERS
        )

    found = place(0, 0.0)
    mean_stress = ALUMINIUM.axial * (strain - plastic_strain(found))
    force = sign * BURGERS * resolved_shear(STRIP.stress(found, x, y, mean_stress), angle)
    step = 0.05
    for i in range(4):
        ahead = elastic_energy(place(i, step), angle, sign, strain)
        behind = elastic_energy(place(i, -step), angle, sign, strain)
        assert -(ahead - behind) / (2 * step) == pytest.approx(force[i], abs=FORCE * np.abs(force).max())
