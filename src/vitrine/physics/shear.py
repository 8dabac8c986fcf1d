"""Athermal quasi-static shear of a glass to its first plastic event, with LAMMPS.

Metal units: Å, eV, ps, K, bar. While the glass answers elastically its path is reversible, so it may
be walked in long steps; where a long step moves atoms as an event does, it is taken back and halved,
down to the step at which the event is measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.physics.d2min import d2min, event_atoms
from vitrine.physics.glass import SPECIMEN, parse_direction
from vitrine.physics.lammps import LammpsSession
from vitrine.physics.neighbours import neighbours_within
from vitrine.physics.observation import (
    Configuration,
    load_configuration,
    minimise_commands,
    setup_commands,
    write_data,
)
from vitrine.samples import Float

MOST_ITERATIONS = 20_000
"""of one minimisation"""


@dataclass(frozen=True)
class _Place:
    """Positions (n, 3) and cell (3, 3), Å, after ``steps`` of the smallest strain."""

    positions: Float
    cell: Float
    steps: int


class _Walk:
    """A specimen under shear in one LAMMPS session."""

    def __init__(
        self,
        session: LammpsSession,
        folder: Path,
        specimen: Configuration,
        *,
        direction: str,
        elements: Sequence[str],
        potential: str,
        strain_step: float,
        force_tolerance: float,
    ) -> None:
        self._session, self._folder, self._specimen = session, folder, specimen
        self.axes, self.sign = parse_direction(direction)
        self._setup = setup_commands(potential, elements, "read_data start.data")
        self._minimise = minimise_commands(force_tolerance, MOST_ITERATIONS)
        self._n_types = len(elements)
        # the strain refers to the height of the box normal to the shear plane
        normal = "xyz".index(self.axes[1])
        self._shift = self.sign * strain_step * specimen.cell[normal, normal]
        self.iterations = 0
        """of all minimisations, one force evaluation each"""
        self._restart(_Place(specimen.positions, specimen.cell, 0))
        self._relax(self._minimise)

    def _restart(self, place: _Place) -> None:
        write_data(
            self._folder / "start.data", place.positions, place.cell, self._specimen.types, self._n_types
        )
        self._session.commands(["clear", *self._setup])

    def _relax(self, commands: list[str]) -> None:
        self._session.commands(commands)
        self.iterations += int(self._session.thermo("step")["step"])

    def here(self, steps: int) -> _Place:
        """Where the atoms are now."""
        data = self._session.gather("x")
        return _Place(data["x"] - data["origin"], data["cell"], steps)

    def advance(self, place: _Place, steps: int) -> _Place:
        """From ``place``, where the session is, by a number of smallest steps at once."""
        shift = f"{steps * self._shift:.17g}"
        self._session.commands(
            ["reset_timestep 0", f"change_box all {self.axes} delta {shift} remap units box"]
        )
        self._relax(self._minimise[-1:])
        return self.here(place.steps + steps)

    def go_back(self, place: _Place) -> None:
        """Continue from an earlier place."""
        self._restart(place)
        self._session.commands(self._minimise[:-1])

    def stress(self) -> float:
        """Shear stress along the load, GPa."""
        return -1e-4 * self.sign * self._session.thermo(f"p{self.axes}")[f"p{self.axes}"]


def shear(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    direction: str,
    elements: Sequence[str],
    potential: str,
    strain_step: float,
    largest_step: float,
    max_strain: float,
    force_tolerance: float,
    threshold: float,
    min_cluster: int,
    cutoff: float,
) -> None:
    """Athermal quasi-static shear up to the first event; write ``event.npz`` and ``event.json``.

    ``inputs`` is the folder of the quenched specimen. ``event.npz`` holds d2min (n,) float32 [Å^2]
    of the event step and positions and cell on both sides of it; ``curve`` (steps, 2) is strain
    and shear stress along the load [GPa]. With no event up to ``max_strain`` only the curve is there.

    Parameters
    ----------
    strain_step: at which the event is measured. largest_step: of the elastic part; not above
        strain_step walks all of it in equal steps.

    Raises
    ------
    StudyError: unknown direction. EngineError: LAMMPS stopped.
    """
    specimen = load_configuration(inputs[0] / SPECIMEN)
    longest = max(round(largest_step / strain_step), 1)
    last = round(max_strain / strain_step)
    curve: list[tuple[float, float]] = []
    event: dict[str, Any] = {}
    size = 0
    with LammpsSession(folder) as session:
        walk = _Walk(
            session, folder, specimen,
            direction=direction, elements=elements, potential=potential,
            strain_step=strain_step, force_tolerance=force_tolerance,
        )  # fmt: skip
        place, stride = walk.here(0), longest
        while place.steps < last and not event:
            there = walk.advance(place, min(stride, last - place.steps))
            bonds = neighbours_within(place.positions, place.cell, cutoff)
            moved = d2min(place.positions, there.positions, place.cell, there.cell, neighbours=bonds)
            size = int(event_atoms(moved, bonds, threshold=threshold, min_cluster=min_cluster).sum())
            taken = there.steps - place.steps
            if size and taken > 1:
                walk.go_back(place)
                stride = taken // 2
                continue
            curve.append((round(there.steps * strain_step, 12), walk.stress()))  # 0.0052, not 0.00520...01
            if size:
                event = {
                    "d2min": moved.astype(np.float32),
                    "positions_before": place.positions,
                    "positions_after": there.positions,
                    "cell_before": place.cell,
                    "cell_after": there.cell,
                }
            place = there
            progress(place.steps / last)
        iterations = walk.iterations
    np.savez(folder / "event.npz", curve=np.array(curve), **event)
    strain = round(place.steps * strain_step, 12)
    meta = {"direction": direction, "found": bool(event), "strain": strain, "atoms": size}
    text = json.dumps({**meta, "iterations": iterations})
    (folder / "event.json").write_text(text, encoding="utf-8")
    (folder / "start.data").unlink()
