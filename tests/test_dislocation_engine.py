"""The dislocation engine against laws with closed forms, its books, its integrator, its guards."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dislocation_cases import (
    drawn,
    load,
    one_plane,
    oracles,
    places_of,
    planes_of,
    reflected,
    same,
    strip_of,
)
from vitrine.errors import EngineError
from vitrine.physics.strip_displacement import displacement_at, plastic_strain
from vitrine.simulate.dislocations import engine, events, stiffness
from vitrine.simulate.dislocations.arrays import (
    ALIVE,
    ANNIHILATED,
    AT_END,
    AT_START,
    BIRTHS,
    BULK,
    EXITS,
    PLASTIC,
    REJECTED,
    STRAIN,
    TIME,
    copied,
)
from vitrine.simulate.dislocations.settings import Crystal
from vitrine.simulate.dislocations.trajectory import Run

DEGREES = 60.0
LEVER = math.sin(math.radians(DEGREES)) * math.cos(math.radians(DEGREES))

PASSING = 0.02
"""Of A / (4 h): at h = 10 nm the core of 0.5 nm takes 0.3 %; steps of 4 nm in a saddle the rest."""
AT_REST = 2e-3
"""Of h: the sides of a crystal 200 h wide push a pair by 4e-4 h."""
PILE_UP = 5e-3
"""Of places and stresses: sides 20 µm away bend the load along the pile-up by up to 0.2 %."""
GIVES_WAY = 0.01
"""Of n tau: the lead is freed while the pile-up still creeps towards it."""
EXPLICIT_COLLAPSE = 0.01
"""Steps of 0.05 nm at distances of 60 to 1.5 nm, first order: 0.3 %."""
IMPLICIT_COLLAPSE = {(0.05, 0.4): 0.03, (1.0, 8.0): 0.4}
"""By tolerance and largest move [nm]; attraction is explicit, so as set a collapse is 0.05 ns late."""
BOOKS = 1e-12
"""Strain: 1e4 additions of at most 1e-4, each rounded to 1e-20."""
FLAT = 1e-7
"""nm that ends may be off strain times height: 40 modes and their sines at y = height."""
SOLVED = 1e-9
"""Of the largest velocity, with conjugate gradients asked for 1e-11."""

WORK_BALANCE = 1e-3
"""Of the largest work: forces at the start of a step, times moves of 0.02 nm, 40 nm from each other: 6e-5."""
SAME_PATH = 0.002
"""Of the flow stress of 62.5 nm to 0.4 % strain: few enough events that trajectories do not part."""
FLOW = 0.03
"""Of the mean flow stress over 8 seeds at 125 nm, where trajectories part: its standard error is 1 to 3 %."""
MODES_ENOUGH = 0.002
"""Of the same mean: 40 modes leave 5e-6 MPa, which grows to 0.13 % of one crystal's stress at most."""
MIRRORED = 1e-9
"""MPa: sums in another order differ by 1e-12 MPa, and no instability makes more of it in 0.4 % of strain."""


# ---------------------------------------------------------------- pairs and rows


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("h", [10.0, 20.0, 40.0])
def test_dipole_passes_at_the_passing_stress(h: float, implicit: bool) -> None:
    model = oracles.wide(200 * h, 400 * h, implicit=implicit)
    law = oracles.strength(model) / (4 * h)
    assert not oracles.dipole_passes(model, h, (1 - PASSING) * law)
    assert oracles.dipole_passes(model, h, (1 + PASSING) * law)


@pytest.mark.parametrize("along", [0.9, -0.9, 0.3])
def test_like_pair_rests_one_above_the_other(along: float) -> None:
    model = oracles.wide()
    found = oracles.pair(model, 20.0, along * 20.0, (1.0, 1.0), 0.0)
    oracles.hold(found.state, found.specimen, model, 100.0)
    assert abs(found.along) < AT_REST * 20.0


@pytest.mark.parametrize("along", [1.02, -1.02])
def test_like_pair_flies_apart_from_beyond_45_degrees(along: float) -> None:
    model = oracles.wide()
    found = oracles.pair(model, 20.0, along * 20.0, (-1.0, -1.0), 0.0)
    oracles.hold(found.state, found.specimen, model, 20.0)
    assert found.along * np.sign(along) > 100.0


@pytest.mark.parametrize("n", [6, 8, 10])
def test_pile_up_is_that_of_eshelby_frank_and_nabarro(n: int) -> None:
    """doi:10.1080/14786445108561060: n with the held lead, n - 1 others at the zeros of L'_n, n tau on it."""
    pile = oracles.pile_up(n, 20.0, 1e9)
    assert pile.held
    law = oracles.laguerre_zeros(n) * oracles.strength(oracles.wide()) / (2 * 20.0)
    assert pile.places == pytest.approx(law, rel=PILE_UP)
    assert pile.lead == pytest.approx(n * 20.0, rel=PILE_UP)


def test_zeros_are_those_of_the_derivative_of_laguerre() -> None:
    derivative = np.polynomial.laguerre.Laguerre.basis(8).deriv()
    assert oracles.laguerre_zeros(8) == pytest.approx(np.sort(derivative.roots()), rel=1e-9)


def test_obstacle_gives_way_to_n_times_the_load() -> None:
    assert oracles.pile_up(8, 20.0, (1 + GIVES_WAY) * 160.0).held
    assert not oracles.pile_up(8, 20.0, (1 - GIVES_WAY) * 160.0).held


def test_collapse_of_a_dipole_explicit() -> None:
    model = oracles.wide(velocity_cap=1e9, implicit=False, largest_move=0.05)
    law = 4 * oracles.strength(model) * model.mobility
    assert oracles.collapse_time(model, 60.0) == pytest.approx(
        (60.0**2 - model.annihilation**2) / law, rel=EXPLICIT_COLLAPSE
    )


@pytest.mark.parametrize("step", IMPLICIT_COLLAPSE)
def test_collapse_of_a_dipole_implicit(step: tuple[float, float]) -> None:
    model = oracles.wide(velocity_cap=1e9, tolerance=step[0], largest_move=step[1])
    law = oracles.collapse_law(model, 60.0)
    assert oracles.collapse_time(model, 60.0) == pytest.approx(law, rel=IMPLICIT_COLLAPSE[step])


def test_velocity_is_capped() -> None:
    model = oracles.wide(velocity_cap=50.0)
    specimen, s = one_plane(model)
    state = oracles.with_dislocations(specimen, model, [(0, s, 1.0)], oracles.axial_for(100.0, DEGREES))
    oracles.hold(state, specimen, model, 1.0, steps=1)
    assert state.velocity[0] == 50.0


def test_opposite_ones_on_a_plane_do_not_pass_each_other() -> None:
    model = oracles.wide()
    specimen, s = one_plane(model)
    for gap in np.linspace(2.0, 20.0, 37):
        state = oracles.with_dislocations(specimen, model, [(0, s - gap / 2, -1.0), (0, s + gap / 2, 1.0)])
        while state.counts[ALIVE] == 2:
            assert state.sign[0] < 0, gap
            oracles.hold(state, specimen, model, 1e9, steps=1)


# ---------------------------------------------------------------- load, sources


def test_without_dislocations_it_is_elastic() -> None:
    state, specimen, model = drawn(125.0, "two", 1, source_strength=1e6)
    why, curve = load(state, specimen, model, 0.01)
    assert why == engine.REACHED
    assert state.counts[BIRTHS] == 0
    assert curve[:, 1] == pytest.approx(model.axial * curve[:, 0], rel=1e-14)
    assert curve[:, 4] == pytest.approx(curve[:, 0] / 1e-5, rel=1e-10)
    assert state.numbers[STRAIN] == pytest.approx(model.rate * state.numbers[TIME], rel=1e-10)
    assert np.all(np.diff(curve[:, 0]) < 1.6 * model.curve_step)


def held_source(shear: float, strength: float = 50.0, kind: int = BULK) -> Any:
    """A source in the middle of a wide crystal at a constant resolved ``shear`` [MPa]."""
    model = oracles.wide()
    _, s = one_plane(model)
    specimen, _ = one_plane(model, sources=[(0, s, strength, kind)])
    state = oracles.with_dislocations(specimen, model, [], oracles.axial_for(shear, DEGREES))
    return state, specimen, model, s


def test_source_below_its_strength_stays_silent() -> None:
    state, specimen, model, _ = held_source(49.99)
    oracles.hold(state, specimen, model, 1000.0)
    assert state.counts[BIRTHS] == 0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_source_makes_a_dipole_that_relaxes_the_load(sign: float) -> None:
    state, specimen, model, s = held_source(sign * 50.01)
    while state.counts[BIRTHS] == 0:
        oracles.hold(state, specimen, model, 1.0, steps=1)
    assert abs(state.numbers[TIME] - model.nucleation_time) <= model.source_interval
    width = oracles.strength(model) / 50.0
    assert state.s[:2] == pytest.approx([s - width / 2, s + width / 2], abs=1e-9)
    assert list(state.sign[:2]) == [-sign, sign]
    area = model.width * model.height
    assert state.numbers[PLASTIC] == pytest.approx(sign * model.burgers * LEVER * width / area, rel=1e-12)


def test_clock_of_a_source_starts_anew_when_the_stress_falls() -> None:
    state, specimen, model, _ = held_source(51.0)
    oracles.hold(state, specimen, model, 8.0)
    state.numbers[STRAIN] *= 0.5
    oracles.hold(state, specimen, model, 3.0)
    assert state.clock[0] == 0.0
    state.numbers[STRAIN] *= 2
    oracles.hold(state, specimen, model, 8.0)
    assert state.counts[BIRTHS] == 0


@pytest.mark.parametrize("degrees", [60.0, 120.0])
@pytest.mark.parametrize("kind", [BULK, AT_START, AT_END])
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_one_full_crossing_lengthens_by_b_sin_beta(direction: float, kind: int, degrees: float) -> None:
    """The source gives one dipole or one dislocation, which leave; s0 slipped along the whole plane."""
    model = Crystal().model(500.0)._replace(lowest_stress=-1e9)
    bare, s = one_plane(model, degrees)
    depth = 0.5 * oracles.strength(model) / 50.0
    place = {BULK: s, AT_START: depth, AT_END: bare.plane_length[0] - depth}[kind]
    specimen, _ = one_plane(model, degrees, sources=[(0, place, 50.0, kind)])
    state = oracles.with_dislocations(specimen, model, [], direction * oracles.axial_for(55.0, 60.0))
    while state.counts[BIRTHS] == 0:
        oracles.hold(state, specimen, model, 1.0, steps=1)
    slip = direction * np.sign(np.cos(np.radians(degrees)))
    ahead = {BULK: [-slip, slip], AT_START: [slip], AT_END: [-slip]}[kind]
    assert list(state.sign[: state.counts[ALIVE]]) == ahead
    silent = specimen._replace(source_strength=np.array([1e9]))
    oracles.hold(state, silent, model, 1000.0)
    assert state.counts[ALIVE] == 0
    assert state.counts[EXITS] == len(ahead)
    assert state.start_slip[0] == slip
    length = model.burgers * math.sin(math.radians(degrees))
    assert state.numbers[PLASTIC] * model.height == pytest.approx(direction * length, rel=1e-12)


# ---------------------------------------------------------------- single events


def test_dislocation_is_pinned_below_and_freed_above_the_strength() -> None:
    model = oracles.wide()
    _, s = one_plane(model)
    specimen, _ = one_plane(model, obstacles=[(0, s + 30.0, 80.0)])
    for shear, held in ((79.0, True), (81.0, False)):
        state = oracles.with_dislocations(specimen, model, [(0, s, 1.0)], oracles.axial_for(shear, DEGREES))
        oracles.hold(state, specimen, model, 5.0)
        assert (state.pin[0] == 0) == held
        assert (state.s[0] == s + 30.0) == held


@pytest.mark.parametrize("seed", range(3))
def test_glide_ends_at_the_next_obstacle_and_keeps_like_ones_in_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    model = oracles.wide()
    planes = [(2000.0, 2000.0 + 100 * k, DEGREES) for k in range(8)]
    obstacles = [(p, s, 1e9) for p in range(8) for s in random.uniform(0, 8000, 30)]
    specimen = oracles.specimen_of(model, planes, obstacles=obstacles)
    places = [(int(random.integers(0, 8)), float(random.uniform(0, 8000)), 1.0) for _ in range(300)]
    state = oracles.with_dislocations(specimen, model, places)
    n = len(places)
    target, stopped = np.empty(n), 0
    v = random.normal(0, 300, n)
    events.glide(
        state,
        specimen,
        model,
        n,
        v,
        np.zeros(n),
        1.0,
        np.full(n, 1e30),
        target,
        np.ones(n, bool),
        np.zeros(n),
    )
    for i in range(n):
        p = state.plane[i]
        on = specimen.obstacle_s[specimen.obstacle_first[p] : specimen.obstacle_first[p + 1]]
        low, high = sorted((state.s[i], target[i]))
        assert not np.any((on > low) & (on < high))
        stopped += state.pin[i] >= 0
        assert state.pin[i] < 0 or target[i] == specimen.obstacle_s[state.pin[i]]
    assert stopped > 50
    for i in range(n - 1):
        assert state.plane[i] != state.plane[i + 1] or target[i] < target[i + 1]


def test_no_one_passes_strong_obstacles_in_a_run() -> None:
    """Moves of up to 60 nm, obstacles some 20 nm apart."""
    random = np.random.default_rng(5)
    model = Crystal().model(500.0)._replace(largest_move=60.0, tolerance=100.0)
    planes = [(250.0, 500.0 + 40 * k, DEGREES) for k in range(20)]
    obstacles = [(p, s, 1e9) for p in range(20) for s in random.uniform(0, 1000, 50)]
    specimen = oracles.specimen_of(model, planes, obstacles=obstacles)
    start = [(p, float(random.uniform(200, 800)), float(random.choice([-1, 1]))) for p in range(20)]
    state = oracles.with_dislocations(specimen, model, start, oracles.axial_for(60.0, DEGREES))
    bounds = []
    for p, s, _ in start:
        on = np.sort([place for plane, place, _ in obstacles if plane == p])
        k = int(np.searchsorted(on, s))
        bounds.append((on[k - 1], on[k]))
    low, high = np.array(bounds).T
    for _ in range(200):
        oracles.hold(state, specimen, model, 1e9, steps=1)
        assert np.all((state.s[:20] >= low) & (state.s[:20] <= high))
    assert np.all(state.pin[:20] >= 0)


@pytest.mark.parametrize(
    ("gap", "signs", "gone"),
    [(1.49, (1, -1), True), (1.51, (1, -1), False), (1.49, (-1, 1), True), (0.5, (1, 1), False)],
)
def test_annihilation(gap: float, signs: tuple[int, int], gone: bool) -> None:
    model = oracles.wide()
    specimen, s = one_plane(model)
    state = oracles.with_dislocations(specimen, model, [(0, s, signs[0]), (0, s + gap, signs[1])])
    events.annihilate(state, specimen, model)
    assert state.counts[ANNIHILATED] == gone
    assert state.counts[ALIVE] == (0 if gone else 2)
    swept = gap * signs[0] * gone
    area = model.width * model.height
    assert state.numbers[PLASTIC] == pytest.approx(model.burgers * LEVER * swept / area, rel=1e-9)


def test_those_on_other_planes_do_not_annihilate() -> None:
    found = oracles.pair(oracles.wide(), 0.5, 0.0, (1.0, -1.0), 0.0)
    assert events.annihilate(found.state, found.specimen, found.model) == 0


@pytest.mark.parametrize(("from_side", "leaves"), [(0.99, True), (1.01, False)])
@pytest.mark.parametrize("at_end", [False, True])
def test_exits_within_a_nanometre(from_side: float, leaves: bool, at_end: bool) -> None:
    model = oracles.wide()
    specimen, _ = one_plane(model)
    s = specimen.plane_length[0] - from_side if at_end else from_side
    state = oracles.with_dislocations(specimen, model, [(0, s, 1.0)])
    assert events.exits(state, specimen, model, 1, np.zeros(1, np.int64)) == leaves
    assert state.counts[ALIVE] == (not leaves)
    assert state.start_slip[0] == (-1 if leaves and not at_end else 0)
    way = (from_side if at_end else -from_side) * leaves
    area = model.width * model.height
    assert state.numbers[PLASTIC] == pytest.approx(model.burgers * LEVER * way / area, rel=1e-9)


# ---------------------------------------------------------------- books of a long run


@pytest.mark.parametrize(
    "settings", [{}, {"surface_density": 40.0, "source_density": 30.0}], ids=["bulk", "sides"]
)
@pytest.mark.parametrize("slip", ["one", "two"])
def test_slip_and_dislocations_make_the_plastic_strain(slip: str, settings: dict[str, float]) -> None:
    state, specimen, model = drawn(125.0, slip, 3, obstacle_strength=150.0, **settings)
    stops = ((0.03, 1.0, None), (-1.0, -1.0, 0.0), (0.035, 1.0, None))
    for strain, direction, stress in stops:
        assert load(state, specimen, model, strain, direction, stress)[0] == engine.REACHED
        found, plane = places_of(state, specimen, model)
        strip, planes = strip_of(model), planes_of(specimen)
        by_slip = plastic_strain(strip, found, plane, state.start_slip, planes)
        assert state.numbers[PLASTIC] == pytest.approx(by_slip, abs=BOOKS)
        x = np.linspace(0, model.width, 13)
        stress_now = model.axial * (state.numbers[STRAIN] - state.numbers[PLASTIC])
        end = displacement_at(
            strip, found, plane, state.start_slip, planes, stress_now, x, np.full_like(x, model.height)
        )
        assert end[1] == pytest.approx(state.numbers[STRAIN] * model.height, abs=FLAT)
    assert state.counts[ANNIHILATED] > 0
    assert state.counts[EXITS] > 50
    assert state.counts[REJECTED] > 0
    alive = 2 * state.counts[BIRTHS] - state.counts[EXITS] - 2 * state.counts[ANNIHILATED]
    if not settings:
        assert state.counts[ALIVE] == alive


@pytest.mark.parametrize("slip", ["one", "two"])
def test_dislocations_stay_sorted_and_inside(slip: str) -> None:
    state, specimen, model = drawn(125.0, slip, 2)
    for k in range(40):
        load(state, specimen, model, 0.01 * (k + 1) / 40)
        n = int(state.counts[ALIVE])
        plane, s, pin = state.plane[:n], state.s[:n], state.pin[:n]
        order = np.lexsort((s, plane))
        assert np.array_equal(order, np.arange(n))
        assert np.all((s >= model.exit) & (s <= specimen.plane_length[plane] - model.exit))
        assert np.array_equal(s[pin >= 0], specimen.obstacle_s[pin[pin >= 0]])


# ---------------------------------------------------------------- stiffness, junctions


@pytest.mark.parametrize("strength", [150.0, 300.0])
def test_a_junction_needs_its_strength(strength: float) -> None:
    """One leaves first: its energy, A cos(60 degrees) ln(r^2 + c^2) / 2, is steepest at r = c."""
    assert oracles.parting_shear(strength) == pytest.approx(strength, rel=0.01)


def test_spread_shear_derives_from_an_energy() -> None:
    random = np.random.default_rng(0)
    h = 1e-5
    for _ in range(50):
        one, two = random.uniform(0, np.pi, 2)
        x, y = random.normal(0, 4, 2)
        for first, second, dx, dy in ((one, two, x, y), (two, one, -x, -y)):
            c, s = np.cos(first), np.sin(first)
            ahead = oracles.pair_energy(dx + h * c, dy + h * s, first, second, 6.0)
            behind = oracles.pair_energy(dx - h * c, dy - h * s, first, second, 6.0)
            got = stiffness.spread_shear(dx, dy, c, s, np.cos(second), np.sin(second), 6.0)
            assert got == pytest.approx(-(ahead - behind) / (2 * h), abs=1e-9)


def test_spread_shear_is_the_field_away_from_the_core() -> None:
    """An edge at r >> c: Hirth & Lothe's shear on its own plane and on others."""
    from strip_finite_elements import Edge
    from vitrine.physics.strip import resolved_shear

    model = oracles.wide()
    for degrees_to, degrees_from in itertools.product((60.0, 120.0), repeat=2):
        to, away = np.radians([degrees_to, degrees_from])
        stress = Edge(0.0, 0.0, away).stress(np.array([70.0]), np.array([-40.0]))
        got = stiffness.spread_shear(70.0, -40.0, np.cos(to), np.sin(to), np.cos(away), np.sin(away), 1e-12)
        assert oracles.strength(model) * got == pytest.approx(resolved_shear(stress, to)[0], rel=1e-9)


def direct_shear(d: Any, to: float, away: float) -> float:
    """Shear times 1 nm / A at ``d`` from an edge with a point core, by the energy."""
    h = 1e-4
    step = h * np.array([np.cos(to), np.sin(to)])
    ahead = oracles.pair_energy(*(d + step), to, away, 0.0)
    return -(ahead - oracles.pair_energy(*(d - step), to, away, 0.0)) / (2 * h)


@pytest.mark.parametrize(("core", "nearest", "tolerance"), [(0.0, 3.0, 1e-5), (0.5, 10.0, 0.03)])
def test_pair_block_is_the_derivative_of_forces(core: float, nearest: float, tolerance: float) -> None:
    """With a core the block leaves out (core / r)^2, some per cent at 10 nm."""
    random = np.random.default_rng(1)
    model = oracles.wide()
    h = 1e-3
    for _ in range(40):
        angle = random.choice(np.radians([60.0, 120.0]), 2)
        sign = random.choice([-1.0, 1.0], 2)
        turn, r = random.uniform(0, 2 * np.pi), random.uniform(nearest, 40)
        d = r * np.array([np.cos(turn), np.sin(turn)])
        c, s = np.cos(angle), np.sin(angle)
        gamma = 0.5 * model.line * model.burgers * sign * np.array([s, -c])
        got = stiffness.pair_block(
            *d, gamma[0, 0], gamma[1, 0], c[0], s[0], sign[0],
            gamma[0, 1], gamma[1, 1], c[1], s[1], sign[1], core * core,
        )  # fmt: skip
        e1, e2 = h * np.array([c[0], s[0]]), h * np.array([c[1], s[1]])
        scale = -oracles.strength(model) * sign[0] * sign[1] / (2 * h)
        h11 = scale * (direct_shear(d + e1, *angle) - direct_shear(d - e1, *angle))
        h12 = scale * (direct_shear(d - e2, *angle) - direct_shear(d + e2, *angle))
        h21 = scale * (direct_shear(-d - e1, *angle[::-1]) - direct_shear(-d + e1, *angle[::-1]))
        h22 = scale * (direct_shear(-d + e2, *angle[::-1]) - direct_shear(-d - e2, *angle[::-1]))
        size = oracles.strength(model) / r**2
        assert got == pytest.approx((h11, h22, h12), abs=tolerance * size)
        assert h21 == pytest.approx(h12, abs=1e-5 * size)


def test_positive_part_is_the_nearest_semidefinite_block() -> None:
    random = np.random.default_rng(2)
    for h11, h22, h12 in random.normal(0, 1, (200, 3)):
        values, vectors = np.linalg.eigh([[h11, h12], [h12, h22]])
        nearest = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
        got = stiffness.positive_part(h11, h22, h12)
        assert got == pytest.approx((nearest[0, 0], nearest[1, 1], nearest[0, 1]), abs=1e-14)


@pytest.mark.parametrize("load_stiffness", [0.0, 50.0])
def test_solve_is_that_of_the_dense_matrix(load_stiffness: float) -> None:
    random = np.random.default_rng(3)
    n, step = 60, 0.7
    first, second = (
        np.ascontiguousarray(part) for part in np.array(list(itertools.combinations(range(n), 2))).T
    )
    kept = random.random(len(first)) < 0.1
    first, second = first[kept], second[kept]
    mobile = random.random(n) < 0.8
    use = mobile[first] & mobile[second]
    first, second = first[use], second[use]
    off = random.normal(0, 1, len(first))
    diagonal = np.bincount(first, abs(off), n) + np.bincount(second, abs(off), n)
    lever = np.where(mobile, random.normal(0, 0.4, n), 0.0)
    free = np.where(mobile, random.normal(0, 100, n), 0.0)
    dense = np.diag(diagonal) + load_stiffness * np.outer(lever, lever)
    dense[first, second] += off
    dense[second, first] += off
    expected = np.linalg.solve(np.eye(n) + step * dense, free)
    v = np.empty(n)
    stiffness.solve(
        free, v, mobile, n, diagonal, first, second, off, len(off), lever, load_stiffness, step, 1e-11
    )
    assert np.abs(v - expected).max() < SOLVED * np.abs(expected).max()
    assert not v[~mobile].any()


# ---------------------------------------------------------------- work, seeds, convergence


@pytest.mark.parametrize(
    "changes",
    [{"implicit": False, "largest_move": 0.02}, {"tolerance": 0.001}],
    ids=["explicit", "implicit"],
)
def test_work_of_the_load_is_stored_or_done_on_dislocations(changes: dict[str, Any]) -> None:
    assert oracles.work_balance(**changes).error < WORK_BALANCE


@pytest.mark.parametrize("integrator", ["implicit", "explicit"])
def test_a_seed_is_a_trajectory_bit_for_bit(integrator: str) -> None:
    def run(pause: bool, seed: int) -> Any:
        state, specimen, model = drawn(62.5, "two", seed, integrator=integrator)
        curves = []
        for _ in range(12):
            curves.append(load(state, specimen, model, 0.006, steps=100)[1])
            if pause:
                state = copied(state)
        return state, np.concatenate(curves)

    state, curve = run(False, 2)
    again, curve_again = run(True, 2)
    assert state.counts[BIRTHS] > 0
    assert same(state, again)
    assert np.array_equal(curve, curve_again)
    if integrator == "implicit":
        assert not same(state, run(False, 3)[0])


@pytest.mark.parametrize("core", [0.0, 0.5])
@pytest.mark.parametrize("slip", ["one", "two"])
def test_mirror_image_has_the_same_curve(slip: str, core: float) -> None:
    state, specimen, model = drawn(125.0, slip, 4)
    model = model._replace(core=core)
    curve = load(state, specimen, model, 0.004)[1]
    other, _, _ = drawn(125.0, slip, 4)
    mirror = load(other, reflected(specimen, model), model, 0.004)[1]
    assert state.counts[BIRTHS] > 4
    assert curve[:, 1] == pytest.approx(mirror[:, 1], abs=MIRRORED)


@pytest.mark.parametrize("slip", ["one", "two"])
def test_implicit_steps_follow_explicit_ones(slip: str) -> None:
    explicit = oracles.flow_stress(62.5, slip, 1, 0.002, 0.004, **oracles.EXPLICIT)
    assert oracles.flow_stress(62.5, slip, 1, 0.002, 0.004) == pytest.approx(explicit, rel=SAME_PATH)


@pytest.mark.parametrize("slip", ["one", "two"])
@pytest.mark.parametrize("changes", [{"tolerance": 0.1, "largest_move": 1.0}, {"modes": 60}])
def test_short_runs_have_converged(changes: dict[str, Any], slip: str) -> None:
    as_set = oracles.flow_stress(62.5, slip, 1, 0.002, 0.004)
    assert oracles.flow_stress(62.5, slip, 1, 0.002, 0.004, **changes) == pytest.approx(as_set, rel=SAME_PATH)


@pytest.mark.slow
@pytest.mark.parametrize("slip", ["one", "two"])
def test_mean_flow_stress_of_implicit_steps(slip: str) -> None:
    def mean(**changes: Any) -> float:
        return float(
            np.mean([oracles.flow_stress(125.0, slip, seed, 0.002, 0.01, **changes) for seed in range(1, 9)])
        )

    explicit = mean(**oracles.EXPLICIT)
    assert mean() == pytest.approx(explicit, rel=FLOW)
    assert mean(modes=60) == pytest.approx(mean(), rel=MODES_ENOUGH)


# ---------------------------------------------------------------- guards


def guarded(**changes: Any) -> tuple[Run, Any]:
    """A run with one dislocation in the middle."""
    _, specimen, model = drawn(125.0, "two", 7)
    run = Run("ddd-w0125-two-s0007", model._replace(**changes), specimen, 40, 1e-3)
    state = run.start()
    state.s[0], state.sign[0], state.pin[0] = 100.0, 1.0, -1
    state.velocity[0] = np.nan
    state.counts[ALIVE] = 1
    return run, state


@pytest.mark.parametrize(
    ("changes", "s", "strain", "why", "words"),
    [
        (
            {"most_dislocations": 0},
            100.0,
            0.0,
            engine.TOO_MANY,
            "1 dislocations, more than most_dislocations",
        ),
        ({}, 100.0, -2e-3, engine.WRONG_SIGN, "the mean stress is -157 MPa, below lowest_stress"),
        ({}, math.nan, 0.0, engine.NOT_FINITE, "a stress is not finite"),
    ],
)
def test_guards(changes: Any, s: float, strain: float, why: int, words: str) -> None:
    run, state = guarded(**changes)
    state.s[0], state.numbers[STRAIN] = s, strain
    got, _ = load(copied(state), run.specimen, run.model, 0.01)
    assert got == why
    with pytest.raises(EngineError) as raised:
        run.leg(state, 0.01)
    said = str(raised.value)
    assert said.startswith("ddd-w0125-two-s0007: stopped at ")
    assert f"{100 * strain:.3f} % strain" in said
    assert words in said


# ---------------------------------------------------------------- the script of the oracles


def test_oracles_hold_in_short_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert oracles.main(["--short", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2 + len(oracles.ORACLES) and not [line for line in lines if "skipped" in line]
    assert {path.stem.removeprefix("dislocation-oracle-") for path in tmp_path.iterdir()} == set(
        oracles.ORACLES
    )


def test_an_oracle_that_does_not_hold_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(
        oracles.ORACLES, "wrong", lambda short: ([oracles.relative("x", 1.0, 2.0, 0.5)], None)
    )
    assert oracles.main(["--short", "--only", "wrong"]) == 1
    assert "**outside**" in capsys.readouterr().out
