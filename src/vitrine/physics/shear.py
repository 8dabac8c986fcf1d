"""Athermal quasi-static shear of a glass to its first plastic event and beyond it, with LAMMPS.

Metal units: Å, eV, ps, K, bar. While the glass answers elastically its path is reversible, so it may
be walked in long steps; where a long step moves atoms as an event does, it is taken back and halved,
down to the step at which the event is measured. Beyond the first event the path is walked in equal steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Place:
    """Positions (n, 3) and cell (3, 3), Å, after ``steps`` of the smallest strain."""

    positions: Float
    cell: Float
    steps: int


@dataclass(frozen=True)
class _Criterion:
    """What an event is."""

    threshold: float
    min_cluster: int
    cutoff: float

    def between(self, before: _Place, after: _Place) -> tuple[Float, Mask]:
        """D2min (n,) Å^2, and the atoms that take part in an event (n,)."""
        bonds = neighbours_within(before.positions, before.cell, self.cutoff)
        moved = d2min(before.positions, after.positions, before.cell, after.cell, neighbours=bonds)
        return moved, event_atoms(moved, bonds, threshold=self.threshold, min_cluster=self.min_cluster)


@dataclass(frozen=True)
class _Event:
    """The step of an event, its D2min (n,) Å^2 and the atoms that took part (n,)."""

    before: _Place
    after: _Place
    field: Float
    atoms: Mask


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
        told: Callable[[int], None],
    ) -> None:
        self._session, self._folder, self._specimen = session, folder, specimen
        self.axes, self.sign = parse_direction(direction)
        self._setup = setup_commands(potential, elements, "read_data start.data")
        self._minimise = minimise_commands(force_tolerance, MOST_ITERATIONS)
        self._n_types = len(elements)
        # the strain refers to the height of the box normal to the shear plane
        normal = "xyz".index(self.axes[1])
        self._shift = self.sign * strain_step * specimen.cell[normal, normal]
        self._strain_step, self._told = strain_step, told
        self.curve: list[tuple[float, float]] = []
        """strain and shear stress along the load, GPa"""
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

    def strain(self, place: _Place) -> float:
        """Engineering shear strain of a place."""
        return round(place.steps * self._strain_step, 12)  # 0.0052, not 0.00520...01

    def keep(self, place: _Place) -> None:
        """Add ``place``, where the session is, to the curve."""
        pressure = self._session.thermo(f"p{self.axes}")[f"p{self.axes}"]
        self.curve.append((self.strain(place), -1e-4 * self.sign * pressure))
        self._told(place.steps)


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
    follow_to: float | None = None,
    follow_step: float = 5e-4,
) -> None:
    """Athermal quasi-static shear up to the first event; write ``event.npz`` and ``event.json``.

    ``inputs`` is the folder of the quenched specimen. ``event.npz`` holds d2min (n,) float32 [Å^2]
    of the event step and positions and cell on both sides of it; ``curve`` (steps, 2) is strain
    and shear stress along the load [GPa]. With no event up to ``max_strain`` only the curve is there.

    With ``follow_to``, ``first_strain`` (n,) float32 is there too: the strain at the end of the step in
    which an atom first took part in an event; 0 if in none up to ``followed_to`` of ``event.json``.

    Parameters
    ----------
    strain_step: at which the event is measured. largest_step: of the elastic part; not above
        strain_step walks all of it in equal steps.
    follow_to: strain up to which the direction is followed beyond its first event.
    follow_step: strain of a step beyond it, in whole strain_steps.

    Raises
    ------
    StudyError: unknown direction. EngineError: LAMMPS stopped.
    """
    specimen = load_configuration(inputs[0] / SPECIMEN)
    criterion = _Criterion(threshold, min_cluster, cutoff)
    last, follow_last = (round(strain / strain_step) for strain in (max_strain, follow_to or 0.0))
    farthest = max(last, follow_last)
    arrays: dict[str, Any] = {}
    with LammpsSession(folder) as session:
        walk = _Walk(
            session, folder, specimen,
            direction=direction, elements=elements, potential=potential,
            strain_step=strain_step, force_tolerance=force_tolerance,
            told=lambda steps: progress(steps / farthest),
        )  # fmt: skip
        place, event = _walk_to_event(walk, criterion, last, max(round(largest_step / strain_step), 1))
        meta = {
            "direction": direction,
            "found": event is not None,
            "strain": walk.strain(place),
            "atoms": 0 if event is None else int(event.atoms.sum()),
        }
        if event is not None:
            arrays = _arrays(event)
        if follow_to is not None:
            first = np.zeros(len(specimen.types), dtype=np.float32)
            if event is not None:
                stride = max(round(follow_step / strain_step), 1)
                place = _follow(walk, criterion, event, follow_last, stride, first)
            arrays["first_strain"] = first
            meta |= {"followed_to": walk.strain(place), "follow_step": follow_step}
    np.savez(folder / "event.npz", curve=np.array(walk.curve), **arrays)
    text = json.dumps({**meta, "iterations": walk.iterations})
    (folder / "event.json").write_text(text, encoding="utf-8")
    (folder / "start.data").unlink()


def _walk_to_event(
    walk: _Walk, criterion: _Criterion, last: int, longest: int
) -> tuple[_Place, _Event | None]:
    """To the first event, or to ``last``; steps count ``strain_step``."""
    place, stride = walk.here(0), longest
    while place.steps < last:
        there = walk.advance(place, min(stride, last - place.steps))
        moved, atoms = criterion.between(place, there)
        taken = there.steps - place.steps
        if atoms.any() and taken > 1:
            walk.go_back(place)
            stride = taken // 2
            continue
        walk.keep(there)
        if atoms.any():
            return there, _Event(place, there, moved, atoms)
        place = there
    return place, None


def _follow(
    walk: _Walk, criterion: _Criterion, event: _Event, last: int, stride: int, first: NDArray[np.float32]
) -> _Place:
    """Go on from the first event to ``last`` in equal steps; fills ``first`` (n,)."""
    place = event.after
    first[event.atoms] = walk.strain(place)
    while place.steps < last:
        there = walk.advance(place, min(stride, last - place.steps))
        _, atoms = criterion.between(place, there)
        first[atoms & (first == 0)] = walk.strain(there)
        walk.keep(there)
        place = there
    return place


def _arrays(event: _Event) -> dict[str, Any]:
    return {
        "d2min": event.field.astype(np.float32),
        "positions_before": event.before.positions,
        "positions_after": event.after.positions,
        "cell_before": event.before.cell,
        "cell_after": event.after.cell,
    }
