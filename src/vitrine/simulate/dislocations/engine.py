"""The compiled engine: glide, obstacles, sources, annihilation, junctions, exits, in one loop over steps.

Van der Giessen & Needleman, doi:10.1088/0965-0393/3/5/008, with the exact field of
:mod:`vitrine.physics.strip` at every step. The driver in :mod:`vitrine.simulate.dislocations.trajectory`
calls :func:`advance` for one piece of a leg of the loading after the other; where a piece ends depends on the
state alone, so that a run continued from a stored state is the same bit for bit.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vitrine.physics.strip_far import add_rows_far
from vitrine.physics.strip_kernels import (
    EXACT,
    add_modes,
    add_rows,
    mode_coefficients,
    side_tractions,
    uniform_stress,
)
from vitrine.samples import Float, Int
from vitrine.simulate.dislocations.arrays import (
    ALIVE,
    DRAG,
    PLASTIC,
    PREDICTED,
    REJECTED,
    STEP,
    STEPS,
    STRAIN,
    TIME,
    UNCHECKED,
    WAITED,
    WORK,
)
from vitrine.simulate.dislocations.events import annihilate, exits, glide, nucleate, sort_by_place
from vitrine.simulate.dislocations.stiffness import assemble, soften_junctions, solve

REACHED, PAUSED, TOO_MANY, WRONG_SIGN, NOT_FINITE = range(5)
"""why :func:`advance` returned"""
SHORTEST_STEP = 1e-6
"""ns, of the last step of a leg"""
LARGEST_STRESS = 1e30
"""MPa; NaN is not below it either, while the compiler takes a test of finiteness away"""


class Work(NamedTuple):
    """Room for what a step needs of each dislocation, of each source, and of the image field."""

    x: Float
    y: Float
    a: Float
    b: Float
    b_y: Float
    cosine: Float
    sine: Float
    tau: Float
    free: Float
    v: Float
    lever: Float
    diagonal: Float
    room: Float
    target: Float
    mobile: NDArray[np.bool_]
    theta: NDArray[np.complex128]
    dead: Int
    source_x: Float
    source_y: Float
    at_sources: NDArray[np.complex128]
    tractions: Float
    modes: Float
    kept_s: Float
    kept_pin: Int
    kept_clock: Float
    kept_numbers: Float


@njit(**EXACT)
def _workspace(state, specimen, modes_count):
    """Arrays of a :class:`Work`, with the places of the sources."""
    n = len(state.s)
    p = specimen.source_plane
    source_x = specimen.plane_x[p] + specimen.source_s * specimen.plane_cos[p]
    source_y = specimen.plane_y[p] + specimen.source_s * specimen.plane_sin[p]
    return Work(
        np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n),
        np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n),
        np.zeros(n, np.bool_), np.empty(n, np.complex128), np.zeros(n, np.int64),
        source_x, source_y, np.empty(len(p), np.complex128),
        np.zeros((modes_count, 4)), np.zeros((modes_count, 4)),
        np.empty(n), np.empty(n, np.int64), np.empty((2, len(state.clock))), np.empty(len(state.numbers)),
    )  # fmt: skip


@njit(**EXACT)
def _field(x, y, a, b, b_y, n, xt, yt, same, model, modes, mean_stress, theta):
    """Fill ``theta`` (n_targets,): rows, images, modes and load."""
    theta[:] = 0.0
    if n > 0:
        w = model.width
        if n * len(xt) < model.far_from:
            add_rows(x[:n], y[:n], a[:n], b[:n], xt, yt, w, model.height, model.core, same, theta)
        else:
            add_rows_far(x[:n], y[:n], a[:n], b[:n], xt, yt, w, model.height, model.core, same, theta)
        add_modes(xt, yt, model.width, model.height, modes, theta)
    axial = uniform_stress(x[:n], b_y[:n], model.width, model.height, model.axial, mean_stress)
    for i in range(len(theta)):
        theta[i] += 0.5 * axial


@njit(**EXACT)
def _forces(state, specimen, model, work, n, stress):
    """Fill where dislocations are, their resolved stress and free velocity; whether all are finite."""
    x, y, a, b = work.x, work.y, work.a, work.b
    cosine, sine, tau = work.cosine, work.sine, work.tau
    for i in range(n):
        p = state.plane[i]
        cosine[i] = specimen.plane_cos[p]
        sine[i] = specimen.plane_sin[p]
        x[i] = specimen.plane_x[p] + state.s[i] * cosine[i]
        y[i] = specimen.plane_y[p] + state.s[i] * sine[i]
        work.b_y[i] = model.burgers * state.sign[i] * sine[i]
        a[i] = 0.5 * model.line * work.b_y[i]
        b[i] = -0.5 * model.line * model.burgers * state.sign[i] * cosine[i]
    if n > 0:
        side_tractions(x[:n], y[:n], a[:n], b[:n], model.width, model.height, work.tractions)
        mode_coefficients(work.tractions, model.width, model.height, work.modes)
    _field(x, y, a, b, work.b_y, n, x[:n], y[:n], True, model, work.modes, stress, work.theta[:n])
    for i in range(n):
        c = cosine[i]
        q = sine[i]
        tau[i] = work.theta[i].real * 2 * q * c + work.theta[i].imag * (c * c - q * q)
        if not abs(tau[i]) < LARGEST_STRESS:
            return False
    if model.junction_core > 0.0:
        soften_junctions(x, y, a, b, cosine, sine, state.sign, n, model, tau)
    for i in range(n):
        work.free[i] = model.mobility * tau[i] * state.sign[i]
    return True


@njit(**EXACT)
def _error(state, free, n, model):
    """Largest error of the last step [nm]: how far velocities are from those that it solved for."""
    step = state.numbers[STEP]
    worst = 0.0
    cap = model.velocity_cap
    for i in range(n):
        if state.velocity[i] >= UNCHECKED:
            continue
        now = min(max(free[i], -cap), cap)
        off = 0.5 * step * abs(now - state.velocity[i])
        worst = max(worst, off / (1 + step * model.mobility * state.stiffness[i]))
    return worst


@njit(**EXACT)
def _was_short_enough(state, model, work, n):
    """Set the length of the next step; if the last one was much too long, take it back and say so."""
    numbers = state.numbers
    step = numbers[STEP]
    grow = 1.0 if numbers[PREDICTED] < 0.0 else 2.0
    if numbers[PREDICTED] > 0.0:
        error = _error(state, work.free, n, model)
        if error > 4 * model.tolerance and step > 1e-4 * model.largest_step:
            numbers[STEP] = step * max(0.2, 0.9 * math.sqrt(model.tolerance / error))
            _restore(state, work, n)
            return False
        grow = min(2.0, max(0.3, 0.9 * math.sqrt(model.tolerance / (error + 1e-300))))
    numbers[STEP] = min(model.largest_step, grow * step)
    return True


@njit(**EXACT)
def _keep(state, work, n):
    work.kept_s[:n] = state.s[:n]
    work.kept_pin[:n] = state.pin[:n]
    work.kept_numbers[:] = state.numbers
    work.kept_clock[0] = state.clock
    work.kept_clock[1] = state.clock_sign


@njit(**EXACT)
def _restore(state, work, n):
    state.s[:n] = work.kept_s[:n]
    state.pin[:n] = work.kept_pin[:n]
    state.clock[:] = work.kept_clock[0]
    state.clock_sign[:] = work.kept_clock[1]
    step = state.numbers[STEP]
    state.numbers[:] = work.kept_numbers
    state.numbers[STEP] = step
    state.numbers[PREDICTED] = -1.0
    state.counts[REJECTED] += 1


@njit(**EXACT)
def _implicit_velocities(state, model, n, free, v, mobile, diagonal, first, second, off, pairs, lever):
    """Solve for the velocities of a step and choose its length."""
    cap = model.velocity_cap
    load = model.axial * model.burgers / (model.width * model.height)
    step = state.numbers[STEP]
    for attempt in range(5):
        solve(
            free, v, mobile, n, diagonal, first, second, off, pairs, lever, load, model.mobility * step, 1e-3
        )
        fits = 1.0
        for i in range(n):
            v[i] = min(max(v[i], -cap), cap)
            fits = min(fits, model.largest_move / (abs(v[i]) * step + 1e-300))
        if fits >= 0.999 or attempt == 4:
            break
        step *= max(fits, 0.3)
    if fits < 0.999:
        step *= fits
    state.numbers[STEP] = step


@njit(**EXACT)
def _explicit_velocities(state, model, n, free, v, diagonal):
    """Velocities as they are; a step that resolves every pair."""
    cap = model.velocity_cap
    step = state.numbers[STEP]
    for i in range(n):
        v[i] = min(max(free[i], -cap), cap)
        if v[i] != 0.0:
            step = min(step, 0.2 / (model.mobility * diagonal[i] + 1e-300))
            step = min(step, model.largest_move / abs(v[i]))
    state.numbers[STEP] = step


@njit(**EXACT)
def _velocities(state, specimen, model, work, n):
    """Fill the velocities of what no obstacle holds, and settle the length of the step."""
    free, lever, mobile, tau = work.free, work.lever, work.mobile, work.tau
    for i in range(n):
        stopped = state.pin[i] >= 0 and abs(tau[i]) < specimen.obstacle_strength[state.pin[i]]
        mobile[i] = not stopped
        free[i] = 0.0 if stopped else free[i]
        lever[i] = 0.0 if stopped else state.sign[i] * work.sine[i] * work.cosine[i]
    if n == 0:
        return
    reach = math.sqrt(12 * model.line * model.burgers * model.mobility * state.numbers[STEP])
    reach = max(min(model.stiff_radius, reach), 10.0, 5 * model.junction_core)
    first, second, off, pairs = assemble(
        work.x, work.y, work.a, work.b, work.cosine, work.sine, state.sign, mobile, n, model, reach,
        work.diagonal, work.room,
    )  # fmt: skip
    if model.implicit:
        _implicit_velocities(
            state, model, n, free, work.v, mobile, work.diagonal, first, second, off, pairs, lever
        )
    else:
        _explicit_velocities(state, model, n, free, work.v, work.diagonal)


@njit(**EXACT)
def _take_step(state, specimen, model, work, n, direction, stress, ask):
    """Move everything by one step; returns the strain before and the stress after it."""
    numbers = state.numbers
    step = numbers[STEP]
    area = model.width * model.height
    strain = numbers[STRAIN]
    numbers[STRAIN] += direction * model.rate * step
    numbers[WAITED] += step
    numbers[TIME] += step
    target = work.target
    events = glide(
        state, specimen, model, n, work.v, work.tau, step, work.room, target, work.mobile, work.diagonal
    )
    for i in range(n):
        moved = target[i] - state.s[i]
        numbers[DRAG] += model.burgers * state.sign[i] * work.tau[i] * moved
        lever = work.sine[i] * work.cosine[i]
        numbers[PLASTIC] += model.burgers * state.sign[i] * lever * moved / area
        state.s[i] = target[i]
    events += exits(state, specimen, model, n, work.dead)
    events += annihilate(state, specimen, model)
    if ask:
        events += nucleate(state, specimen, model, work.at_sources)
    sort_by_place(state)
    later = model.axial * (numbers[STRAIN] - numbers[PLASTIC])
    numbers[WORK] += 0.5 * (stress + later) * (numbers[STRAIN] - strain) * area
    # after births, deaths and stops forces jump: nothing of that step can be checked
    numbers[PREDICTED] = 1.0 if (events == 0 and model.implicit) else 0.0
    state.counts[STEPS] += 1
    return strain, later


@njit(**EXACT)
def advance(
    state, specimen, model, modes_count, direction, stop_strain, stop_stress, most_steps, curve, exact=False
):
    """Load with the rate ``direction * model.rate`` until a strain or a stress is reached.

    Parameters
    ----------
    state, specimen, model: of :mod:`vitrine.simulate.dislocations.arrays`; the state is changed.
    direction: 1 to load, -1 to unload.
    stop_strain: total strain at which to stop.
    stop_stress: mean axial stress [MPa] at which to stop, in the same direction; inf or -inf for none.
    most_steps: after these many it pauses.
    curve: (rows, 5) filled from its first row on, one row per ``model.curve_step`` of strain.
    exact: shorten the last step so that it ends there, not up to a step beyond.

    Returns
    -------
    why it returned (``REACHED`` ...), and the number of rows of ``curve``.
    """
    work = _workspace(state, specimen, modes_count)
    numbers = state.numbers
    counts = state.counts
    rows = 0
    kept_rows = 0
    taken = 0
    if numbers[STEP] <= 0.0:
        numbers[STEP] = model.largest_step
    if numbers[PREDICTED] > 0.0:  # what the step before started from is not known here
        numbers[PREDICTED] = -1.0
    while True:
        stress = model.axial * (numbers[STRAIN] - numbers[PLASTIC])
        if (numbers[STRAIN] - stop_strain) * direction >= 0 or (stress - stop_stress) * direction >= 0:
            return REACHED, rows
        if taken >= most_steps or rows == len(curve):
            return PAUSED, rows
        n = counts[ALIVE]
        if n > model.most_dislocations:
            return TOO_MANY, rows
        if direction > 0 and stress < model.lowest_stress:
            return WRONG_SIGN, rows
        if not _forces(state, specimen, model, work, n, stress):
            return NOT_FINITE, rows
        if not _was_short_enough(state, model, work, n):
            rows = kept_rows
            continue
        if exact:
            left = (stop_strain - numbers[STRAIN]) * direction
            left = min(left, (stop_stress - stress) * direction / model.axial)
            numbers[STEP] = min(numbers[STEP], max(left / model.rate, SHORTEST_STEP))
        ask = numbers[WAITED] >= model.source_interval
        if ask:
            _field(
                work.x, work.y, work.a, work.b, work.b_y, n, work.source_x, work.source_y, False, model,
                work.modes, stress, work.at_sources,
            )  # fmt: skip
        _velocities(state, specimen, model, work, n)
        _keep(state, work, n)
        kept_rows = rows
        strain, later = _take_step(state, specimen, model, work, n, direction, stress, ask)
        taken += 1
        whole = math.floor(numbers[STRAIN] / model.curve_step) - math.floor(strain / model.curve_step)
        if whole != 0.0:
            curve[rows, 0] = numbers[STRAIN]
            curve[rows, 1] = later
            curve[rows, 2] = numbers[PLASTIC]
            curve[rows, 3] = counts[ALIVE]
            curve[rows, 4] = numbers[TIME]
            rows += 1
