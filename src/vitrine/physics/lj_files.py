"""What the tasks of liquids and glasses in the plane write: ``trajectory.npz`` and ``curve.npz``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.arrays import load_arrays
from vitrine.errors import DataError

TRAJECTORY, CURVE = "trajectory.npz", "curve.npz"
STATES = ("thermal", "inherent", "rethermalised")


def read_trajectory(path: Path) -> dict[str, Any]:
    """Arrays of a ``trajectory.npz``: m snapshots of n particles, reduced units.

    ``lengths`` (2,), ``kinds`` (n,) 0 for A and 1 for B; for each state ``thermal``, ``inherent`` and
    ``rethermalised``: ``<state>`` (m, n, 2) positions in [0, L), ``<state>_energy`` (m, n) per particle and
    ``<state>_pressure`` (m,), configurational; ``kinetic_temperature`` (m,) of the thermal one. Of glasses
    also ``curve_temperatures`` (k,) and ``curve`` (k, n, 2), thermal positions along the cooling.

    Raises
    ------
    DataError: no such file, or its arrays are others.
    """
    return _checked(path, load_arrays(path, "trajectory"), STATES, "kinetic_temperature")


def read_curve(path: Path) -> dict[str, Any]:
    """Arrays of a ``curve.npz``: ``temperatures`` (k,), ``inherent`` (k, n, 2) and what goes with it.

    Raises
    ------
    DataError: no such file, or its arrays are others.
    """
    return _checked(path, load_arrays(path, "cooling curve"), ("inherent",), "temperatures")


def _checked(path: Path, data: dict[str, Any], states: Sequence[str], counted: str) -> dict[str, Any]:
    try:
        m, n = len(data[counted]), len(data["kinds"])
        shapes: dict[str, tuple[int, ...]] = {"lengths": (2,), "kinds": (n,), counted: (m,)}
        for state in states:
            shapes |= {state: (m, n, 2), f"{state}_energy": (m, n), f"{state}_pressure": (m,)}
        if "curve" in data:
            k = len(data["curve_temperatures"])
            shapes |= {"curve_temperatures": (k,), "curve": (k, n, 2)}
        for name, shape in shapes.items():
            if data[name].shape != shape or not np.isfinite(data[name]).all():
                raise ValueError(f"its {name} should be {shape} finite numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no trajectory: {error}") from error
    return data
