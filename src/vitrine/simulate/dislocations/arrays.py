"""The arrays that the compiled engine works on. Units: nm, MPa, ns.

A slip plane is a line with its own coordinate s from 0 to ``length``; it starts at a side of the crystal
and goes up along ``angle``. A *sign* is +1 or -1: the Burgers vector is sign * b along the plane.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vitrine.samples import Float, Int

# ------------------------------------------------- entries of State.numbers
STRAIN, PLASTIC, TIME, STEP, WAITED, WORK, DRAG, PREDICTED = range(8)
"""total and plastic axial strain, time [ns], last step [ns], time since sources were asked [ns], work of the
load and of the forces on dislocations [MPa nm^2], whether the velocities of the last step can be checked"""
# ------------------------------------------------- entries of State.counts
ALIVE, STEPS, BIRTHS, EXITS, ANNIHILATED, REJECTED = range(6)
"""dislocations, steps, nucleations, exits, annihilated pairs, steps taken back"""

BULK, AT_START, AT_END = 0, 1, 2
"""kinds of sources: inside a plane, at the side where s = 0, at the side where s = length"""
UNCHECKED = 1e200
"""velocity of a dislocation whose last step cannot be checked; the compiler may take tests for NaN away"""
CURVE = ("strain", "stress", "plastic_strain", "dislocations", "time")
"""columns of a stress-strain curve"""


class Model(NamedTuple):
    """Numbers that the engine needs; what they mean stands with the settings."""

    width: float
    height: float
    axial: float
    line: float
    burgers: float
    mobility: float
    velocity_cap: float
    nucleation_time: float
    annihilation: float
    exit: float
    core: float
    junction_core: float
    rate: float
    largest_step: float
    largest_move: float
    tolerance: float
    stiff_radius: float
    source_interval: float
    implicit: bool
    far_from: float
    curve_step: float
    most_dislocations: int
    lowest_stress: float


class Specimen(NamedTuple):
    """Slip planes, sources and obstacles of one crystal."""

    plane_x: Float
    plane_y: Float
    plane_cos: Float
    plane_sin: Float
    plane_length: Float
    source_plane: Int
    source_s: Float
    source_strength: Float
    source_kind: Int
    obstacle_s: Float
    obstacle_strength: Float
    obstacle_first: Int
    """(n_planes + 1,): obstacles of plane p are those from ``obstacle_first[p]`` on, by rising s"""


class State(NamedTuple):
    """Everything that changes; the first ``counts[ALIVE]`` entries, by plane and s, are dislocations."""

    s: Float
    sign: Float
    velocity: Float
    """that the last step solved for; ``UNCHECKED`` where an event came in between"""
    stiffness: Float
    """diagonal of the stiffness of the last step"""
    plane: Int
    pin: Int
    """obstacle that holds it, or -1"""
    start_slip: Int
    """(n_planes,) slip at s = 0, in Burgers vectors"""
    clock: Float
    clock_sign: Float
    numbers: Float
    counts: Int


PER_DISLOCATION = ("s", "sign", "velocity", "stiffness", "plane", "pin")
"""arrays of a :class:`State` with an entry for each dislocation"""


def empty_state(specimen: Specimen, capacity: int) -> State:
    """A crystal without dislocations, stress and strain; room for ``capacity`` dislocations."""
    sources = len(specimen.source_s)
    return State(
        s=np.zeros(capacity),
        sign=np.zeros(capacity),
        velocity=np.zeros(capacity),
        stiffness=np.zeros(capacity),
        plane=np.zeros(capacity, np.int64),
        pin=np.zeros(capacity, np.int64),
        start_slip=np.zeros(len(specimen.plane_x), np.int64),
        clock=np.zeros(sources),
        clock_sign=np.zeros(sources),
        numbers=np.zeros(8),
        counts=np.zeros(6, np.int64),
    )


def copied(state: State) -> State:
    """An independent copy."""
    return State._make(array.copy() for array in state)
