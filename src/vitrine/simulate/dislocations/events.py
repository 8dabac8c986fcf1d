"""What happens to single dislocations in a step: glide to obstacles, exit, annihilation, nucleation."""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

from numba import njit

from vitrine.physics.strip_kernels import EXACT
from vitrine.simulate.dislocations.arrays import (
    ALIVE,
    ANNIHILATED,
    AT_END,
    AT_START,
    BIRTHS,
    BULK,
    EXITS,
    PLASTIC,
    UNCHECKED,
    WAITED,
)


@njit(**EXACT)
def glide(state, specimen, model, n, v, tau, step, room, target, mobile, stiffness):
    """Fill ``target`` (n,): where each is after the step, at most ``room`` on and at the next obstacle.

    Returns how many were stopped or let go. Velocities that can be checked after the step go to
    ``state.velocity``, ``UNCHECKED`` elsewhere.
    """
    events = 0
    for i in range(n):
        s = state.s[i]
        p = state.plane[i]
        move = v[i] * step if mobile[i] else 0.0
        state.velocity[i] = v[i] if mobile[i] else UNCHECKED
        state.stiffness[i] = stiffness[i]
        if abs(move) > room[i]:
            move = math.copysign(room[i], move)
            state.velocity[i] = UNCHECKED
        # same-sign neighbours never meet
        if move > 0 and i < n - 1 and state.plane[i + 1] == p and state.sign[i + 1] == state.sign[i]:
            gap = 0.45 * (state.s[i + 1] - s)
            if move > gap:
                move = gap
                state.velocity[i] = UNCHECKED
        if move < 0 and i > 0 and state.plane[i - 1] == p and state.sign[i - 1] == state.sign[i]:
            gap = 0.45 * (s - state.s[i - 1])
            if -move > gap:
                move = -gap
                state.velocity[i] = UNCHECKED
        end = s + move
        held = state.pin[i]
        if move != 0.0 and held >= 0:
            state.pin[i] = -1
            events += 1
        if move > 0:
            for k in range(specimen.obstacle_first[p], specimen.obstacle_first[p + 1]):
                place = specimen.obstacle_s[k]
                if s + 1e-9 < place <= end and k != held and abs(tau[i]) < specimen.obstacle_strength[k]:
                    end = place
                    state.pin[i] = k
                    events += 1
                    break
        elif move < 0:
            for k in range(specimen.obstacle_first[p + 1] - 1, specimen.obstacle_first[p] - 1, -1):
                place = specimen.obstacle_s[k]
                if end <= place < s - 1e-9 and k != held and abs(tau[i]) < specimen.obstacle_strength[k]:
                    end = place
                    state.pin[i] = k
                    events += 1
                    break
        target[i] = end
    return events


@njit(**EXACT)
def _remove(state, dead, n):
    """Close the gaps that ``dead`` (n,) leaves."""
    kept = 0
    for i in range(n):
        if dead[i]:
            continue
        if kept != i:
            _move(state, i, kept)
        kept += 1
    state.counts[ALIVE] = kept


@njit(**EXACT)
def _move(state, source, to):
    state.s[to] = state.s[source]
    state.sign[to] = state.sign[source]
    state.velocity[to] = state.velocity[source]
    state.stiffness[to] = state.stiffness[source]
    state.plane[to] = state.plane[source]
    state.pin[to] = state.pin[source]


@njit(**EXACT)
def _slip(state, specimen, model, plane, sign, length):
    """Plastic strain of a glide over ``length`` along the plane."""
    lever = specimen.plane_sin[plane] * specimen.plane_cos[plane]
    state.numbers[PLASTIC] += model.burgers * sign * lever * length / (model.width * model.height)


@njit(**EXACT)
def exits(state, specimen, model, n, dead):
    """Take out what has come within ``model.exit`` of a side; the rest of the way counts as slip."""
    gone = 0
    for i in range(n):
        dead[i] = 0
        p = state.plane[i]
        length = specimen.plane_length[p]
        if state.s[i] < model.exit:
            _slip(state, specimen, model, p, state.sign[i], -state.s[i])
            state.start_slip[p] -= int(state.sign[i])
            dead[i] = 1
        elif state.s[i] > length - model.exit:
            _slip(state, specimen, model, p, state.sign[i], length - state.s[i])
            dead[i] = 1
        gone += dead[i]
    if gone:
        _remove(state, dead, n)
        state.counts[EXITS] += gone
    return gone


@njit(**EXACT)
def annihilate(state, specimen, model):
    """Take out neighbours of opposite sign on a plane that are closer than ``model.annihilation``."""
    n = state.counts[ALIVE]
    dead = state.pin[:0]
    pairs = 0
    i = 0
    while i < n - 1:
        same = state.plane[i] == state.plane[i + 1] and state.sign[i] != state.sign[i + 1]
        if same and state.s[i + 1] - state.s[i] < model.annihilation:
            if pairs == 0:
                dead = state.pin[:n].copy()
                dead[:] = 0
            middle = 0.5 * (state.s[i] + state.s[i + 1])
            for j in (i, i + 1):
                _slip(state, specimen, model, state.plane[j], state.sign[j], middle - state.s[j])
                dead[j] = 1
            pairs += 1
            i += 2
        else:
            i += 1
    if pairs:
        _remove(state, dead, n)
        state.counts[ANNIHILATED] += pairs
    return pairs


@njit(**EXACT)
def _born(state, plane, s, sign):
    n = state.counts[ALIVE]
    state.s[n] = s
    state.sign[n] = sign
    state.velocity[n] = UNCHECKED
    state.stiffness[n] = 0.0
    state.plane[n] = plane
    state.pin[n] = -1
    state.counts[ALIVE] += 1


@njit(**EXACT)
def nucleate(state, specimen, model, theta):
    """Advance the clocks of sources; one whose time has come makes a dipole, at a side one dislocation.

    ``theta`` (n_sources,) [MPa] at the sources. A dipole is as wide as its strength can hold it open,
    L = mu b / (2 pi (1 - nu) strength); a source at a side is half of one.
    """
    waited = state.numbers[WAITED]
    state.numbers[WAITED] = 0.0
    births = 0
    for k in range(len(specimen.source_s)):
        p = specimen.source_plane[k]
        c = specimen.plane_cos[p]
        q = specimen.plane_sin[p]
        tau = theta[k].real * 2 * q * c + theta[k].imag * (c * c - q * q)
        if abs(tau) <= specimen.source_strength[k] or state.clock_sign[k] * tau < 0:
            state.clock[k] = 0.0
            state.clock_sign[k] = 0.0
            continue
        state.clock[k] += waited
        state.clock_sign[k] = 1.0 if tau > 0 else -1.0
        if state.clock[k] < model.nucleation_time:
            continue
        sign = state.clock_sign[k]
        state.clock[k] = 0.0
        state.clock_sign[k] = 0.0
        births += 1
        length = specimen.plane_length[p]
        half = 0.5 * model.line * model.burgers / specimen.source_strength[k]
        if specimen.source_kind[k] != BULK:
            half = min(half, 0.5 * length)
        if specimen.source_kind[k] == AT_START:
            _slip(state, specimen, model, p, sign, half)
            state.start_slip[p] += int(sign)
            _born(state, p, half, sign)
        elif specimen.source_kind[k] == AT_END:
            _slip(state, specimen, model, p, -sign, -half)
            _born(state, p, length - half, -sign)
        else:
            _dipole(state, specimen, model, p, specimen.source_s[k], half, sign, length)
    state.counts[BIRTHS] += births
    return births


@njit(**EXACT)
def _dipole(state, specimen, model, p, s, half, sign, length):
    """A dislocation of ``sign`` ahead and one of the other sign behind; one beyond a side has left."""
    ahead = s + half
    if ahead > length - model.exit:
        _slip(state, specimen, model, p, sign, length - s)
        state.counts[EXITS] += 1
    else:
        _slip(state, specimen, model, p, sign, half)
        _born(state, p, ahead, sign)
    behind = s - half
    if behind < model.exit:
        _slip(state, specimen, model, p, -sign, -s)
        state.start_slip[p] += int(sign)
        state.counts[EXITS] += 1
    else:
        _slip(state, specimen, model, p, -sign, -half)
        _born(state, p, behind, -sign)


@njit(**EXACT)
def sort_by_place(state):
    """Insertion sort by plane and s: almost sorted already."""
    n = state.counts[ALIVE]
    for i in range(1, n):
        p = state.plane[i]
        s = state.s[i]
        j = i - 1
        if state.plane[j] < p or (state.plane[j] == p and state.s[j] <= s):
            continue
        sign = state.sign[i]
        velocity = state.velocity[i]
        stiffness = state.stiffness[i]
        pin = state.pin[i]
        while j >= 0 and (state.plane[j] > p or (state.plane[j] == p and state.s[j] > s)):
            _move(state, j, j + 1)
            j -= 1
        state.s[j + 1] = s
        state.sign[j + 1] = sign
        state.velocity[j + 1] = velocity
        state.stiffness[j + 1] = stiffness
        state.plane[j + 1] = p
        state.pin[j + 1] = pin
