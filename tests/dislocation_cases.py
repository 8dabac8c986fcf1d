"""Crystals for tests of the dislocation engine; those made by hand stand with the oracles in validation/."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.physics.strip import Dislocations, Strip
from vitrine.physics.strip_displacement import SlipPlanes
from vitrine.simulate.dislocations import engine
from vitrine.simulate.dislocations.arrays import ALIVE, Model, Specimen, State, empty_state
from vitrine.simulate.dislocations.settings import Crystal

sys.path.insert(0, str(Path(__file__).parent.parent / "validation"))
oracles: Any = importlib.import_module("dislocation_oracles")
"""The script ``validation/dislocation_oracles.py``."""


def drawn(width: float, slip: Any, seed: int, **settings: Any) -> tuple[State, Specimen, Model]:
    """The crystal of a seed, empty."""
    crystal = Crystal(**settings)
    specimen = crystal.specimen(width, slip, seed)
    return empty_state(specimen, 2000), specimen, crystal.model(width)


def load(
    state: State,
    specimen: Specimen,
    model: Model,
    strain: float,
    direction: float = 1.0,
    stress: float | None = None,
    steps: int = 10**9,
) -> tuple[int, Any]:
    """Change ``state``; why it ended, and the curve."""
    curve = np.empty((3000, 5))
    limit = direction * np.inf if stress is None else stress
    why, rows = engine.advance(state, specimen, model, oracles.MODES, direction, strain, limit, steps, curve)
    return why, curve[:rows]


def planes_of(specimen: Specimen) -> SlipPlanes:
    angle = np.arctan2(specimen.plane_sin, specimen.plane_cos)
    return SlipPlanes(specimen.plane_x, specimen.plane_y, angle, specimen.plane_length)


def places_of(state: State, specimen: Specimen, model: Model) -> tuple[Dislocations, Any]:
    """The dislocations, and the plane of each."""
    n = int(state.counts[ALIVE])
    plane, s = state.plane[:n].copy(), state.s[:n]
    x = specimen.plane_x[plane] + s * specimen.plane_cos[plane]
    y = specimen.plane_y[plane] + s * specimen.plane_sin[plane]
    angle = planes_of(specimen).angle[plane]
    return Dislocations.on_planes(x, y, angle, state.sign[:n], model.burgers), plane


def strip_of(model: Model) -> Strip:
    return Strip(model.width, model.height, Crystal().elastic(), oracles.MODES)


def reflected(specimen: Specimen, model: Model) -> Specimen:
    """x -> width - x, with the same s on every plane."""
    return specimen._replace(plane_x=model.width - specimen.plane_x, plane_cos=-specimen.plane_cos)


def same(one: State, other: State) -> bool:
    """Equal bit for bit, up to the dislocations that are alive."""
    n = int(one.counts[ALIVE])
    per = ("s", "sign", "velocity", "stiffness", "plane", "pin")
    pairs = [
        (key, a[:n], b[:n]) if key in per else (key, a, b)
        for key, a, b in zip(State._fields, one, other, strict=True)
    ]
    return all(a.tobytes() == b.tobytes() for _, a, b in pairs)


def one_plane(model: Model, degrees: float = 60.0, **marks: Any) -> tuple[Specimen, float]:
    """A plane through the middle of the crystal, and s there; ``marks`` as in ``specimen_of``."""
    specimen = oracles.specimen_of(model, [(0.5 * model.width, 0.5 * model.height, degrees)], **marks)
    return specimen, oracles.middle(specimen, 0, 0.5 * model.width)
