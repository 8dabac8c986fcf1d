"""Laws that the dislocation engine must obey: expected, got, error, allowed, and a picture of each.

    python validation/dislocation_oracles.py [--short] [--out docs/pictures]

Exit code 1 if any is outside what is allowed. Work balance, section means and finite elements use the tests
of a checkout and scikit-fem, and are skipped with words without them. Units: nm, ns, MPa.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from matplotlib.figure import Figure

from vitrine.simulate.dislocations import engine
from vitrine.simulate.dislocations.arrays import (
    ALIVE,
    DRAG,
    PLASTIC,
    STRAIN,
    TIME,
    WORK,
    Model,
    Specimen,
    State,
    empty_state,
)
from vitrine.simulate.dislocations.settings import Crystal

MODES = 40
CREEP = 1e-12
"""Strain per ns of a run at constant stress: below 1e-4 MPa in 1000 ns."""


# ---------------------------------------------------------------- crystals made by hand


def specimen_of(
    model: Model,
    planes: Sequence[tuple[float, float, float]],
    sources: Iterable[tuple[int, float, float, int]] = (),
    obstacles: Iterable[tuple[int, float, float]] = (),
) -> Specimen:
    """Planes through (x, y) [nm] along an angle [degree], from side to side.

    sources: plane, s [nm], strength [MPa], kind. obstacles: plane, s [nm], strength [MPa].
    """
    x, y, degrees = np.array(planes, float).T
    angle = np.radians(degrees)
    c, q = np.cos(angle), np.sin(angle)
    start = np.where(c > 0, 0.0, model.width)
    source = np.array(list(sources), float).reshape(-1, 4)
    obstacle = np.array(sorted(obstacles), float).reshape(-1, 3)
    return Specimen(
        start, y + (start - x) / c * q, c, q, model.width / np.abs(c),
        source[:, 0].astype(np.int64), *source[:, 1:3].T.copy(), source[:, 3].astype(np.int64),
        *obstacle[:, 1:3].T.copy(),
        np.searchsorted(obstacle[:, 0], np.arange(len(planes) + 1)).astype(np.int64),
    )  # fmt: skip


def with_dislocations(
    specimen: Specimen,
    model: Model,
    dislocations: Sequence[tuple[int, float, float]],
    stress: float = 0.0,
    room: int = 64,
) -> State:
    """A crystal under ``stress`` [MPa] with dislocations of plane, s [nm], sign."""
    state = empty_state(specimen, room + len(dislocations))
    for i, (plane, s, sign) in enumerate(sorted(dislocations)):
        state.plane[i], state.s[i], state.sign[i] = plane, s, sign
    state.pin[:] = -1
    state.velocity[:] = math.nan
    state.counts[ALIVE] = len(dislocations)
    state.numbers[STRAIN] = stress / model.axial
    return state


def hold(state: State, specimen: Specimen, model: Model, time: float, steps: int = 10**9) -> None:
    """Let ``time`` [ns] pass at constant strain, or ``steps`` steps; each call starts step control anew."""
    still = model._replace(rate=CREEP, curve_step=1.0)
    end = state.numbers[STRAIN] + CREEP * time
    why, _ = engine.advance(state, specimen, still, MODES, 1.0, end, np.inf, steps, np.empty((4, 5)))
    assert why in (engine.REACHED, engine.PAUSED)


def axial_for(shear: float, degrees: float) -> float:
    """Axial stress that resolves to ``shear`` on planes along an angle from x."""
    return shear / (math.sin(math.radians(degrees)) * math.cos(math.radians(degrees)))


def strength(model: Model) -> float:
    """A = mu b / (2 pi (1 - nu)) [MPa nm]."""
    return model.line * model.burgers


def wide(width: float = 4000.0, height: float = 8000.0, **changes: Any) -> Model:
    """A crystal so wide that its sides do not matter in the middle."""
    model = Crystal().model(width)
    return model._replace(height=height, junction_core=0.0, lowest_stress=-np.inf, **changes)


def middle(specimen: Specimen, plane: int, x: float) -> float:
    """s on ``plane`` at ``x`` [nm]."""
    return float((x - specimen.plane_x[plane]) / specimen.plane_cos[plane])


# ---------------------------------------------------------------- pairs


class Pair(NamedTuple):
    """Two dislocations on parallel planes; ``along`` is how far the second is ahead of the first."""

    state: State
    specimen: Specimen
    model: Model
    centre: tuple[float, float]

    @property
    def along(self) -> float:
        s = self.state.s[:2] - np.array(self.centre)
        return float(s[1] - s[0])


def pair(model: Model, apart: float, along: float, signs: tuple[float, float], shear: float) -> Pair:
    """On planes at 60 degrees ``apart`` [nm], the second ``along`` [nm] ahead, under a resolved ``shear``."""
    degrees = 60.0
    angle = math.radians(degrees)
    x, y = 0.5 * model.width, 0.5 * model.height
    dx, dy = -0.5 * apart * math.sin(angle), 0.5 * apart * math.cos(angle)
    specimen = specimen_of(model, [(x - dx, y - dy, degrees), (x + dx, y + dy, degrees)])
    centre = (middle(specimen, 0, x - dx), middle(specimen, 1, x + dx))
    found = [(0, centre[0] - along / 2, signs[0]), (1, centre[1] + along / 2, signs[1])]
    state = with_dislocations(specimen, model, found, axial_for(shear, degrees))
    return Pair(state, specimen, model, centre)


def dipole_passes(model: Model, apart: float, shear: float) -> bool:
    """Whether opposite ones, at rest 45 degrees from each other, are driven past each other."""
    found = pair(model, apart, apart, (1.0, -1.0), shear)
    hold(found.state, found.specimen, model, 400 * apart**2 / (strength(model) * model.mobility))
    return found.along < -2 * apart


def bisect(low: float, high: float, above: Any, parts: float) -> float:
    """Where ``above`` turns true, to a fraction ``parts``."""
    while high - low > parts * high:
        between = 0.5 * (low + high)
        low, high = (low, between) if above(between) else (between, high)
    return 0.5 * (low + high)


def passing_stress(model: Model, apart: float, parts: float = 1e-3) -> float:
    expected = strength(model) / (4 * apart)
    return bisect(0.8 * expected, 1.2 * expected, lambda t: dipole_passes(model, apart, t), parts)


def parting_distance(model: Model, apart: float) -> float:
    """Distance along the planes, over ``apart``, from which two of one sign fly apart without load."""

    def parts(along: float) -> bool:
        found = pair(model, apart, along * apart, (1.0, 1.0), 0.0)
        hold(found.state, found.specimen, model, 100 * apart**2 / (strength(model) * model.mobility))
        return found.along > 1.5 * apart

    return bisect(0.5, 1.5, parts, 1e-3)


def felt_shear(state: State, specimen: Specimen, model: Model) -> Any:
    """Shear [MPa] that moves each dislocation, by its velocity in one short explicit step."""
    probe = model._replace(implicit=False, largest_step=1e-6, velocity_cap=1e12)
    hold(state, specimen, probe, 1.0, steps=1)
    n = state.counts[ALIVE]
    return state.velocity[:n] * state.sign[:n] / model.mobility


# ---------------------------------------------------------------- pile-up


class PileUp(NamedTuple):
    """``places`` (n - 1,) [nm] behind the lead, the nearest first; stress on the lead and load [MPa]."""

    places: Any
    lead: float
    load: float
    held: bool


def laguerre_zeros(n: int) -> Any:
    """Zeros of L'_n, rising: minus L'_n is the generalised polynomial L_(n-1)^(1)."""
    from scipy.special import roots_genlaguerre

    return roots_genlaguerre(n - 1, 1)[0]


def pile_up(n: int, shear: float, obstacle: float, degrees: float = 60.0) -> PileUp:
    """``n`` dislocations against an obstacle of strength ``obstacle`` [MPa]; at rest, or the lead is free."""
    model = wide(20_000.0, 40_000.0, largest_step=20.0, largest_move=20.0)
    place = (0.5 * model.width, 0.5 * model.height, degrees)
    bare = specimen_of(model, [place])
    s = middle(bare, 0, place[0])
    specimen = specimen_of(model, [place], obstacles=[(0, s, obstacle)])
    length = strength(model) / (2 * shear) * laguerre_zeros(n)[-1]
    found = [(0, s - length * k / (n - 1), 1.0) for k in range(n)]
    state = with_dislocations(specimen, model, found, axial_for(shear, degrees))
    state.pin[n - 1] = 0
    for _ in range(10):
        state.numbers[STRAIN] = axial_for(shear, degrees) / model.axial + state.numbers[PLASTIC]
        hold(state, specimen, model, 1000.0)
    held = bool(state.counts[ALIVE] == n and state.pin[n - 1] == 0)
    return PileUp(s - state.s[n - 2 :: -1], stress_at_lead(state, specimen, model, degrees), shear, held)


def stress_at_lead(state: State, specimen: Specimen, model: Model, degrees: float) -> float:
    """Resolved shear at the last dislocation, by the field alone."""
    from vitrine.physics.strip import Dislocations, Strip, resolved_shear

    n = int(state.counts[ALIVE])
    angle = math.radians(degrees)
    x = specimen.plane_x[0] + state.s[:n] * specimen.plane_cos[0]
    y = specimen.plane_y[0] + state.s[:n] * specimen.plane_sin[0]
    found = Dislocations.on_planes(x, y, angle, state.sign[:n], model.burgers)
    strip = Strip(model.width, model.height, Crystal().elastic(), MODES)
    stress = strip.stress(
        found, x[-1:], y[-1:], model.axial * (state.numbers[STRAIN] - state.numbers[PLASTIC])
    )
    return float(resolved_shear(stress, angle)[0])


# ---------------------------------------------------------------- collapse of a dipole


def dipole(model: Model, distance: float) -> tuple[State, Specimen]:
    """A dipole on one plane in the middle, without load."""
    specimen = specimen_of(model, [(0.5 * model.width, 0.5 * model.height, 60.0)])
    s = middle(specimen, 0, 0.5 * model.width)
    found = [(0, s - distance / 2, -1.0), (0, s + distance / 2, 1.0)]
    return with_dislocations(specimen, model, found), specimen


def collapse_time(model: Model, distance: float) -> float:
    """Time [ns] until a dipole is gone."""
    state, specimen = dipole(model, distance)
    every_step = model._replace(rate=CREEP, curve_step=1e-6 * CREEP)
    curve = np.empty((100_000, 5))
    _, rows = engine.advance(state, specimen, every_step, MODES, 1.0, CREEP, np.inf, 90_000, curve)
    return float(curve[:rows][curve[:rows, 3] == 0][0, 4])


def collapse_path(model: Model, distance: float, steps: Iterable[int]) -> Any:
    """(rows, 2) time [ns] and distance [nm] after so many steps, each time from the beginning."""
    found = []
    for count in steps:
        state, specimen = dipole(model, distance)
        hold(state, specimen, model, 1e9, count)
        if state.counts[ALIVE] == 2:
            found.append((float(state.numbers[TIME]), float(state.s[1] - state.s[0])))
    return np.array(found)


def collapse_law(model: Model, distance: float) -> float:
    """(d0^2 - de^2) B / (4 A b) [ns], and 2 v apart where the velocity cap counts."""
    slow = max(strength(model) * model.mobility / model.velocity_cap, model.annihilation)
    free = max(0.0, distance**2 - slow**2) / (4 * strength(model) * model.mobility)
    return free + (min(distance, slow) - model.annihilation) / (2 * model.velocity_cap)


# ---------------------------------------------------------------- work


class Balance(NamedTuple):
    """``history``: strain, work of the load, work of the forces on dislocations, elastic energy."""

    history: Any

    @property
    def error(self) -> float:
        """Largest mismatch over the largest work."""
        _, load, drag, energy = (self.history - self.history[0]).T
        return float(np.abs(load - drag - energy).max() / max(np.abs(load).max(), np.abs(drag).max()))


def three_dipoles(**changes: Any) -> tuple[State, Specimen, Model]:
    """Dipoles on planes 40 nm apart in a crystal of 500 nm, far from rest: no births, no deaths."""
    model = Crystal().model(500.0)._replace(core=0.0, junction_core=0.0, rate=1e-5, **changes)
    places = [(110.0, 500.0, 60.0), (390.0, 900.0, 120.0), (120.0, 1500.0, 60.0)]
    planes, found = [], []
    for x, y, degrees in places:
        angle = math.radians(degrees)
        for side in (-20.0, 20.0):
            planes.append((x - side * math.sin(angle), y + side * math.cos(angle), degrees))
            bare = specimen_of(model, planes[-1:])
            found.append(
                (len(planes) - 1, middle(bare, 0, planes[-1][0]) + 0.2 * side, math.copysign(1, side))
            )
    specimen = specimen_of(model, planes)
    return with_dislocations(specimen, model, found), specimen, model


def work_balance(strain: float = 2e-4, rows: int = 20, **changes: Any) -> Balance:
    """Load a crystal with three dipoles; elastic energy by integrals along cuts, which know no engine."""
    from test_strip_field import elastic_energy, plastic_strain
    from vitrine.physics.strip import Dislocations

    state, specimen, model = three_dipoles(**changes)
    n = int(state.counts[ALIVE])
    angle = np.arctan2(specimen.plane_sin, specimen.plane_cos)[state.plane[:n]]

    def places() -> Dislocations:
        plane, s = state.plane[:n], state.s[:n]
        x = specimen.plane_x[plane] + s * specimen.plane_cos[plane]
        y = specimen.plane_y[plane] + s * specimen.plane_sin[plane]
        return Dislocations.on_planes(x, y, angle, state.sign[:n], model.burgers)

    state.numbers[PLASTIC] = state.numbers[STRAIN] = plastic_strain(places())
    first, history = state.numbers[STRAIN], []
    for k in range(rows + 1):
        stop = first + strain * k / rows
        engine.advance(state, specimen, model, MODES, 1.0, stop, np.inf, 10**9, np.empty((1000, 5)))
        total = float(state.numbers[STRAIN])
        energy = elastic_energy(places(), angle, state.sign[:n], total)
        history.append((total - first, state.numbers[WORK], state.numbers[DRAG], energy))
    return Balance(np.array(history))


# ---------------------------------------------------------------- junctions


def crossing(model: Model, shear: float) -> tuple[State, Specimen, float]:
    """Two that attract each other on planes at 60 and 120 degrees, 0.1 core radii above the crossing.

    Tension drives both up their planes, one to each side. The last is s of the crossing, equal on both.
    """
    x, y = 0.5 * model.width, 0.5 * model.height
    specimen = specimen_of(model, [(x, y, 60.0), (x, y, 120.0)])
    s = middle(specimen, 0, x)
    above = s + 0.1 * model.junction_core
    found = [(0, above, 1.0), (1, above, -1.0)]
    return with_dislocations(specimen, model, found, axial_for(shear, 60.0)), specimen, s


def junction_parts(model: Model, shear: float) -> bool:
    """Whether ``shear`` [MPa] parts a junction within 20 ns."""
    state, specimen, s = crossing(model, shear)
    hold(state, specimen, model, 20.0)
    return bool(state.s[0] - s > 30 * model.junction_core)


def parting_shear(junction_strength: float, **changes: Any) -> float:
    """Shear [MPa] that parts a junction; by the energy one moves first, at cos 60 degrees A / (2 core)."""
    crystal = Crystal(junction_strength=junction_strength)
    model = crystal.model(4000.0)._replace(height=8000.0, **changes)
    low, high = 0.4 * junction_strength, 1.5 * junction_strength
    return bisect(low, high, lambda shear: junction_parts(model, shear), 1e-3)


def pair_energy(dx: float, dy: float, angle_1: float, angle_2: float, core2: float) -> float:
    """Energy over mu b^2 / (2 pi (1 - nu)) of two positive edges, the first at (dx, dy) from the second.

    With cores spread over sqrt(core2): Cai et al., doi:10.1016/j.jmps.2005.09.005.
    """
    r2 = dx * dx + dy * dy + core2
    above_1 = math.cos(angle_1) * dy - math.sin(angle_1) * dx
    above_2 = math.cos(angle_2) * dy - math.sin(angle_2) * dx
    return -(0.5 * math.cos(angle_1 - angle_2) * math.log(r2) + above_1 * above_2 / r2)


# ---------------------------------------------------------------- flow stress


@cache
def curve_of(width: float, slip: Any, seed: int, last: float, changes: tuple[tuple[str, Any], ...]) -> Any:
    """(rows, 5) stress-strain curve of a crystal of ``width`` [nm] to the strain ``last``."""
    crystal = Crystal(**dict(changes))
    model, specimen = crystal.model(width), crystal.specimen(width, slip, seed)
    state = empty_state(specimen, model.most_dislocations + 100)
    curve = np.empty((round(last / model.curve_step) + 10, 5))
    why, rows = engine.advance(state, specimen, model, crystal.modes, 1.0, last, np.inf, 10**9, curve)
    assert why == engine.REACHED
    return curve[:rows]


def flow_stress(width: float, slip: str, seed: int, first: float, last: float, **changes: Any) -> float:
    """Mean stress [MPa] between two strains."""
    curve = curve_of(width, slip, seed, last, tuple(sorted(changes.items())))
    return float(curve[curve[:, 0] > first, 1].mean())


EXPLICIT = {"integrator": "explicit"}


# ---------------------------------------------------------------- the oracles: rows of the table, pictures


class Row(NamedTuple):
    """A line of the table; ``error`` and ``allowed`` as numbers, relative if ``unit`` is empty."""

    oracle: str
    expected: float
    got: float
    error: float
    allowed: float
    unit: str = ""


Draw = Callable[[Figure], None]


def relative(oracle: str, expected: float, got: float, allowed: float) -> Row:
    return Row(oracle, expected, got, got / expected - 1, allowed)


def passing(short: bool) -> tuple[list[Row], Draw]:
    apart = np.array([10.0, 20, 40] if short else [5.0, 7, 10, 14, 20, 28, 40, 57, 80])
    models = [wide(200 * h, 400 * h) for h in apart]
    found = np.array([passing_stress(model, h) for model, h in zip(models, apart, strict=True)])
    law = strength(models[0]) / (4 * apart)
    rows = [
        relative(f"passing stress of a dipole, planes {h:g} nm apart [MPa]", expected, got, 0.02)
        for h, expected, got in zip(apart, law, found, strict=True)
        if h in (10, 20, 40)
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        line = np.geomspace(4, 100, 50)
        left.loglog(line, strength(models[0]) / (4 * line), "k-", lw=1, label="$A/4h$")
        left.loglog(apart, found, "o", color="C0", label="engine, between bound and passed")
        left.set(xlabel="distance of the planes h [nm]", ylabel="passing stress [MPa]")
        left.legend(frameon=False)
        for factor, colour in ((0.9, "C2"), (0.99, "C0"), (1.01, "C1"), (1.1, "C3")):
            at = pair(models[1], 20.0, 20.0, (1.0, -1.0), factor * strength(models[1]) / 80)
            path = track(at, 40.0, 0.1)
            right.plot(path[:, 0], path[:, 1] / 20, color=colour, label=f"{factor:g} A/4h")
        right.set(xlabel="time [ns]", ylabel="place of one from the other, x/h", ylim=(-4, 1.3), xlim=(0, 25))
        right.legend(frameon=False, title="h = 20 nm")

    return rows, draw


def track(found: Pair, time: float, step: float) -> Any:
    """(rows, 2) time [ns] and ``found.along`` [nm]."""
    small = found.model._replace(largest_step=0.2 * step)
    path = [(0.0, found.along)]
    while path[-1][0] < time and abs(found.along) < 1000:
        hold(found.state, found.specimen, small, step)
        path.append((float(found.state.numbers[TIME]), found.along))
    return np.array(path)


def like_pair(short: bool) -> tuple[list[Row], Draw]:
    h = 20.0
    model = wide(200 * h, 400 * h)
    at_rest = [pair(model, h, along * h, (1.0, 1.0), 0.0) for along in (0.9, -0.9)]
    for found in at_rest:
        hold(found.state, found.specimen, model, 100.0)
    worst = max((found.along / h for found in at_rest), key=abs)
    apart = parting_distance(model, h)
    rows = [
        Row("like pair: rests at x/h", 0.0, worst, worst, 2e-3, " h"),
        relative("like pair: flies apart from x/h", 1.0, apart, 0.005),
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        x = np.linspace(-4, 4, 401)
        left.plot(x, x * (x**2 - 1) / (x**2 + 1) ** 2, "k-", lw=1, label="$x(x^2-h^2)\\,h/(x^2+h^2)^2$")
        places = np.linspace(-3.75, 3.75, 31)
        felt = []
        for along in places:
            found = pair(model, h, along * h, (1.0, 1.0), 0.0)
            felt.append(felt_shear(found.state, found.specimen, model)[1] * h / strength(model))
        left.plot(places, felt, "o", ms=4, label="engine")
        left.set(xlabel="x/h", ylabel="shear on the other one [A/h]", ylim=(-0.3, 0.42))
        left.legend(frameon=False, ncols=2, loc="upper center", columnspacing=1)
        for along in (-0.9, -0.5, 0.5, 0.9, 0.99, 1.01, 1.1, -1.1):
            path = track(pair(model, h, along * h, (1.0, 1.0), 0.0), 3.0, 0.02)
            right.plot(path[:, 0], path[:, 1] / h, color="C0" if abs(along) < 1 else "C3")
        right.axhline(0, color="k", lw=0.5)
        for level in (-1, 1):
            right.axhline(level, color="k", lw=0.5, ls=":")
        right.set(xlabel="time [ns]", ylabel="x/h", ylim=(-3, 3), xlim=(0, 1))

    return rows, draw


def pile_ups(short: bool) -> tuple[list[Row], Draw]:
    load = 20.0
    found = {n: pile_up(n, load, 1e9) for n in ((8,) if short else (6, 7, 8, 9, 10))}
    unit = strength(wide()) / (2 * load)
    rows = []
    for n, pile in found.items():
        off = pile.places / unit / laguerre_zeros(n) - 1
        worst = float(off[np.argmax(np.abs(off))])
        rows.append(relative(f"pile-up of {n}: stress on the lead [MPa]", n * load, pile.lead, 0.01))
        rows.append(Row(f"pile-up of {n}: places, worst", 0.0, worst, worst, 0.01))
    held = bisect(0.9 * 8 * load, 1.1 * 8 * load, lambda strong: pile_up(8, load, strong).held, 1e-3)
    rows.append(relative("pile-up of 8: strength of the obstacle that gives way [MPa]", 8 * load, held, 0.01))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        for n, pile in found.items():
            left.plot(-laguerre_zeros(n), np.full(n - 1, n), "|", color="k", ms=18, mew=1)
            left.plot(-pile.places / unit, np.full(n - 1, n), "o", color="C0", ms=5)
            left.plot(0, n, "s", color="C3", ms=7)
            right.plot(n, pile.lead / load, "o", color="C3")
        left.plot([], [], "|", color="k", ms=14, label="zeros of $L'_n$")
        left.plot([], [], "o", color="C0", ms=5, label="engine")
        left.plot([], [], "s", color="C3", label="lead, held")
        left.set(xlabel="place [$A/2\\tau$]", ylabel="dislocations n, with the lead", ylim=(5.4, 11.6))
        left.legend(frameon=False, ncols=3, loc="upper center")
        right.plot([5.5, 10.5], [5.5, 10.5], "k-", lw=1, label="n")
        right.set(xlabel="n", ylabel="stress on the lead [$\\tau$]")
        right.legend(frameon=False)

    return rows, draw


def collapses(short: bool) -> tuple[list[Row], Draw]:
    rows = []
    for name, changes, allowed in (
        ("explicit, moves of 0.05 nm", {"implicit": False, "largest_move": 0.05, "velocity_cap": 1e9}, 0.01),
        ("explicit, as set", {"implicit": False, "velocity_cap": 1e9}, 0.15),
        ("implicit, tolerance 0.05 nm", {"tolerance": 0.05, "largest_move": 0.4, "velocity_cap": 1e9}, 0.03),
        ("implicit, as set", {}, 0.3),
    ):
        model = wide(**changes)
        capped = "" if model.velocity_cap > 1e3 else ", velocities capped"
        law, got = collapse_law(model, 60.0), collapse_time(model, 60.0)
        rows.append(relative(f"collapse from 60 nm, {name}{capped} [ns]", law, got, allowed))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        fine = wide(implicit=False, largest_move=0.05, velocity_cap=1e9)
        t = np.linspace(0, collapse_law(fine, 60.0), 400)
        left.plot(t, np.sqrt(60.0**2 - 4 * strength(fine) * fine.mobility * t), "k-", lw=1, label="law")
        for model, steps, marker, label in (
            (fine, range(1, 600, 45), "o", "explicit, moves of 0.05 nm"),
            (wide(), range(1, 40), "s", "implicit, as set"),
        ):
            left.plot(*collapse_path(model, 60.0, steps).T, marker, ms=4, label=label)
        left.set(xlabel="time [ns]", ylabel="distance d [nm]", ylim=(0, 65))
        left.set_title("$d^2 = d_0^2 - 4 A b t / B$", fontsize=9)
        left.legend(frameon=False)
        moves = np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 8])
        for name, changes in (
            ("explicit", {"implicit": False, "velocity_cap": 1e9}),
            ("implicit, tolerance = move / 8", {"velocity_cap": 1e9}),
            ("the same, velocities capped", {}),
        ):
            errors = []
            for move in moves:
                model = wide(largest_move=move, tolerance=move / 8, **changes)
                errors.append(abs(collapse_time(model, 60.0) / collapse_law(model, 60.0) - 1))
            right.loglog(moves, errors, "o-", ms=4, label=name)
        right.set(xlabel="largest move in a step [nm]", ylabel="relative error of the time")
        right.legend(frameon=False)

    return rows, draw


def image_force(short: bool) -> tuple[list[Row], Draw]:
    model = Crystal().model(500.0)
    distances = np.array([5.0, 25, 50] if short else [2, 3, 5, 8, 12, 18, 25, 35, 50, 75, 100, 150, 200])
    ratio = {}
    for side in ("left", "right"):
        got = []
        for d in distances:
            x = d if side == "left" else model.width - d
            specimen = specimen_of(model, [(x, 777.0, 60.0)])
            state = with_dislocations(specimen, model, [(0, middle(specimen, 0, x), 1.0)])
            got.append(felt_shear(state, specimen, model)[0] * (-1 if side == "left" else 1))
        ratio[side] = np.array(got) / (strength(model) * math.cos(math.radians(60)) / (2 * distances))
    rows = [
        Row(f"image force {d:g} nm from the {side} side [A cos/2d]", expected, got, got - expected, allowed)
        for d, expected, allowed in ((5.0, 0.998, 0.002), (25.0, 0.96, 0.01), (50.0, 0.86, 0.01))
        for side in ratio
        for got in [float(ratio[side][np.flatnonzero(distances == d)[0]])]
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        half_plane = strength(model) * 0.5 / (2 * distances)
        left.loglog(distances, half_plane, "k-", lw=1, label="half-plane, $A\\cos\\beta/2d$")
        for side, marker in (("left", "o"), ("right", "x")):
            left.loglog(distances, ratio[side] * half_plane, marker, label=f"engine, {side} side")
            right.plot(distances, ratio[side], marker, label=f"{side} side")
        left.set(xlabel="distance d to the side [nm]", ylabel="shear toward it [MPa]")
        right.axhline(1, color="k", lw=1)
        right.set(xlabel="distance d to the side [nm]", ylabel="shear / $(A\\cos\\beta/2d)$", ylim=(0, 1.05))
        right.annotate("the other side pulls too", (60, 0.95), fontsize=9)
        left.legend(frameon=False)
        right.legend(frameon=False, loc="lower left")

    return rows, draw


def of_tests(name: str) -> Any:
    """A module of the tests, which lie beside this folder; ImportError without them or what they need."""
    tests = str(Path(__file__).resolve().parent.parent / "tests")
    if tests not in sys.path:
        sys.path.insert(0, tests)
    return importlib.import_module(name)


def modes(short: bool) -> tuple[list[Row], Draw]:
    field = of_tests("test_strip_field")
    found, _ = field.scatter(0)
    y = np.linspace(0, field.STRIP.height, 1001)
    points, weights = np.polynomial.legendre.leggauss(600)
    widest = np.sort(np.concatenate([found.y, [0.0, field.STRIP.height]]))
    k = int(np.argmax(np.diff(widest)))
    section = 0.5 * (widest[k] + widest[k + 1])
    counts = [20, 40, 60] if short else list(range(10, 81, 5))
    traction, mean = [], []
    for count in counts:
        strip = field.replace(field.STRIP, modes=count)
        sides = [strip.stress(found, np.full_like(y, x), y, 30.0)[[0, 2]] for x in (0.0, strip.width)]
        traction.append(float(np.abs(sides).max()))
        x = strip.width * (points + 1) / 2
        syy = strip.stress(found, x, np.full_like(x, section), -20.0)[1]
        mean.append(abs(float(syy @ weights / 2) + 20))
    rows = [
        Row(f"traction on the sides, {count} modes [MPa]", 0.0, traction[at], traction[at], allowed, " MPa")
        for count, allowed in field.TRACTION.items()
        for at in [counts.index(count)]
    ] + [
        Row(
            f"section mean off the mean stress, {count} modes [MPa]", 0.0, mean[at], mean[at], allowed, " MPa"
        )
        for count, allowed in field.SECTION_MEAN.items()
        for at in [counts.index(count)]
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.semilogy(counts, traction, "o-", label="largest traction on a side")
        axes.semilogy(counts, mean, "s-", label="mean over a section, off the mean stress")
        decay = np.exp(-np.pi * np.array(counts) / 8) * np.array(counts)
        axes.semilogy(counts, decay / decay[0] * traction[0], "k-", lw=1, label="$m\\,e^{-\\pi m w/2H}$")
        axes.set(xlabel="Fourier modes m", ylabel="error [MPa]")
        axes.legend(frameon=False)

    return rows, draw


def finite_elements(short: bool) -> tuple[list[Row], Draw]:
    field = of_tests("test_strip_field")
    strip = field.replace(field.STRIP, modes=60)
    rows = []
    for case in field.CASES[1:3] if short else field.CASES:
        solved = field.finite_elements(case, field.COARSE_MESH)
        mean = -strip.elastic.axial * field.plastic_strain(case.found)
        ours = strip.stress(case.found, case.found.x, case.found.y, mean)
        theirs = solved.corrective_stress(case.found.x, case.found.y)
        shears = [float(field.resolved_shear(each, case.angle)[0]) for each in (theirs, ours)]
        scale = float(np.abs(theirs).max())
        place = f"({case.x:g}, {case.y:g}) nm, {case.degrees:g}°"
        error = (shears[1] - shears[0]) / scale
        rows.append(Row(f"finite elements: shear felt at {place} [MPa]", *shears, error, field.MESH_OWN))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        case = field.CASES[1]
        solved = field.finite_elements(case, field.COARSE_MESH)
        mean = -strip.elastic.axial * field.plastic_strain(case.found)
        for axes, fixed, along in ((left, 700.0, "x"), (right, 30.0, "y")):
            line = np.linspace(2, 498, 248) if along == "x" else np.linspace(5, 1995, 400)
            x, y = (line, np.full_like(line, fixed)) if along == "x" else (np.full_like(line, fixed), line)
            away = np.hypot(x - case.x, y - case.y) > 1
            x, y, line = x[away], y[away], line[away]
            total = strip.stress(case.found, x, y, mean) - solved.edge.stress(x, y)
            few = slice(None, None, 12)
            fem = solved.corrective_stress(x[few], y[few])
            for k, name in enumerate(("$\\sigma_{xx}$", "$\\sigma_{yy}$", "$\\sigma_{xy}$")):
                axes.plot(line, total[k], color=f"C{k}", lw=1, label=f"{name}, exact field")
                axes.plot(line[few], fem[k], "o", ms=4, color=f"C{k}", label=f"{name}, finite elements")
            axes.set(xlabel=f"{along} [nm], at {'y' if along == 'x' else 'x'} = {fixed:g} nm")
        left.set(ylabel="stress less that in the infinite medium [MPa]")
        right.legend(frameon=False, ncols=1)

    return rows, draw


def balance(short: bool) -> tuple[list[Row], Draw]:
    of_tests("test_strip_field")
    explicit = work_balance(implicit=False, largest_move=0.02)
    implicit = work_balance(tolerance=0.001)
    as_set = work_balance()
    rows = [
        Row("work balance, explicit, moves of 0.02 nm", 0.0, explicit.error, explicit.error, 1e-3),
        Row("work balance, implicit, tolerance 0.001 nm", 0.0, implicit.error, implicit.error, 1e-3),
        Row("work balance, implicit, as set", 0.0, as_set.error, as_set.error, 1e-2),
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        strain, load, drag, energy = (explicit.history - explicit.history[0]).T
        strain = 100 * strain
        left.plot(strain, energy, "k-", lw=1, label="elastic energy, by cuts")
        left.plot(strain, load - drag, "o", ms=4, label="load - drag")
        left.plot(strain, load, "--", label="work of the load")
        left.plot(strain, drag, ":", color="C3", label="work of the forces on dislocations")
        left.set(xlabel="strain [%]", ylabel="work [MPa nm²]")
        left.legend(frameon=False)
        sizes = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1])
        errors = [work_balance(rows=4, implicit=False, largest_move=size).error for size in sizes]
        right.loglog(sizes, errors, "o", label="explicit")
        right.loglog(sizes, errors[1] * sizes / sizes[1], "k-", lw=1, label="first order")
        right.set(xlabel="largest move in a step [nm]", ylabel="mismatch over the largest work")
        right.legend(frameon=False)

    return rows, draw


def junctions(short: bool) -> tuple[list[Row], Draw]:
    strengths = np.array([300.0] if short else [150.0, 200, 300, 450, 600])
    fine = {"tolerance": 0.02, "largest_move": 0.2}
    found = np.array([parting_shear(each, **fine) for each in strengths])
    at = int(np.flatnonzero(strengths == 300)[0])
    rows = [
        relative("junction of 300 MPa, planes 60° apart: shear that parts it [MPa]", 300.0, found[at], 0.01)
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.plot([0, 650], [0, 650], "k-", lw=1, label="$\\cos 60° A / 2c$")
        left.plot(strengths, found, "o", label="engine")
        left.set(xlabel="junction_strength [MPa]", ylabel="shear that parts it [MPa]")
        left.legend(frameon=False)
        core = Crystal().model(4000.0).junction_core
        s = np.linspace(-40, 40, 801)
        for shear in (0, 150, 300, 450):
            energy = [
                -pair_energy(0.5 * d, math.sqrt(0.75) * d, math.pi / 3, 2 * math.pi / 3, core**2) for d in s
            ]
            right.plot(s, np.array(energy) - shear * s / strength(wide()), label=f"{shear} MPa")
        right.set(
            xlabel="way of one from the crossing [nm]", ylabel="energy [A b], the other at the crossing"
        )
        right.set(ylim=(-2.5, 3))
        right.legend(frameon=False, title="shear")

    return rows, draw


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


STEPS = ((2.0, 8.0), (1.0, 8.0), (0.5, 4.0), (0.25, 2.0), (0.1, 1.0))
"""nm: tolerance and largest move of implicit steps, from coarse to fine."""


def convergence(short: bool) -> tuple[list[Row], Draw]:
    width, last, seeds = (62.5, 0.004, range(1, 3)) if short else (125.0, 0.01, range(1, 9))
    allowed = 0.002 if short else 0.03
    rows = []
    for slip in ("one", "two"):
        true = [flow_stress(width, slip, seed, 0.002, last, **EXPLICIT) for seed in seeds]
        ours = [flow_stress(width, slip, seed, 0.002, last) for seed in seeds]
        name = f"flow stress at {width:g} nm, {slip} system{'s' * (slip == 'two')}, {len(seeds)} seeds: "
        rows.append(
            relative(
                name + "implicit against explicit [MPa]", float(np.mean(true)), float(np.mean(ours)), allowed
            )
        )

    def ratios(slip: str, **changes: Any) -> tuple[float, float]:
        base = EXPLICIT if "tolerance" in changes else {}
        return mean_and_error(
            [
                flow_stress(width, slip, seed, 0.002, last, **changes)
                / flow_stress(width, slip, seed, 0.002, last, **base)
                for seed in seeds
            ]
        )

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 3, sharey=True)
        for k, slip in enumerate(("one", "two")):
            step = [ratios(slip, tolerance=small, largest_move=move) for small, move in STEPS]
            mode = [ratios(slip, modes=count) for count in (20, 40, 60)]
            core = [ratios(slip, core=size) for size in (0.25, 0.5, 1.0)]
            label = f"{slip} system{'s' * (slip == 'two')}"
            for at, (values, places) in enumerate(
                ((step, [small for small, _ in STEPS]), (mode, [20, 40, 60]), (core, [0.25, 0.5, 1.0]))
            ):
                mean, error = np.array(values).T
                spread = 1 + 0.04 * (k - 0.5)
                axes[at].errorbar(np.array(places) * spread, mean, error, fmt="o", capsize=3, label=label)
        for each in axes:
            each.axhline(1, color="k", lw=1)
        axes[0].set(xscale="log", xlabel="tolerance of a step [nm]", ylabel="flow stress / reference")
        axes[0].set_title("over explicit steps", fontsize=9)
        axes[1].set(xlabel="Fourier modes", title="")
        axes[1].set_title("over 40 modes", fontsize=9)
        axes[2].set(xlabel="core [nm]", ylim=(0.95, 1.1))
        axes[2].set_title("over 0.5 nm", fontsize=9)
        axes[0].legend(frameon=False)

    return rows, draw


ORACLES: dict[str, Callable[[bool], tuple[list[Row], Draw]]] = {
    "passing": passing,
    "like-pair": like_pair,
    "pile-up": pile_ups,
    "collapse": collapses,
    "junction": junctions,
    "image-force": image_force,
    "modes": modes,
    "finite-elements": finite_elements,
    "work-balance": balance,
    "convergence": convergence,
}


def number(value: float) -> str:
    return f"{value:.4g}"


def line(row: Row) -> str:
    """A line of the markdown table."""
    if row.unit:
        error, allowed = f"{row.error:.1e}{row.unit}", f"{row.allowed:.1e}{row.unit}"
    elif row.allowed < 1e-3:
        error, allowed = f"{row.error:+.1e}", f"{row.allowed:.0e}"
    else:
        error, allowed = f"{100 * row.error:+.2f} %", f"{100 * row.allowed:g} %"
    outside = "" if abs(row.error) <= row.allowed else " **outside**"
    return f"| {row.oracle} | {number(row.expected)} | {number(row.got)} | {error}{outside} | {allowed} |"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="fewer points, below 40 s; no pictures unless --out"
    )
    parser.add_argument("--out", type=Path, help="folder of the pictures; without --short docs/pictures")
    parser.add_argument("--only", nargs="+", choices=list(ORACLES), help="these alone")
    given = parser.parse_args(words)
    out = given.out or (None if given.short else Path("docs/pictures"))
    failed = False
    print("| oracle | expected | got | error | allowed |\n|---|---|---|---|---|")
    for name in given.only or ORACLES:
        try:
            rows, draw = ORACLES[name](given.short)
        except ImportError as missing:
            print(f"| {name} | skipped: {missing} | | | |", flush=True)
            continue
        failed |= any(abs(row.error) > row.allowed for row in rows)
        print("\n".join(line(row) for row in rows), flush=True)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            figure = Figure(figsize=(8.4, 3.5), layout="constrained")
            draw(figure)
            figure.savefig(out / f"dislocation-oracle-{name}.png", dpi=110)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
