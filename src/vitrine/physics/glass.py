"""Melt, quench and minimise a metallic glass with LAMMPS.

Metal units: Å, eV, ps, K, bar. Protocol of Lee & Ryu 2022 (doi:10.3389/fmats.2022.874339).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitrine.errors import EngineError, StudyError, did_you_mean
from vitrine.physics.lammps import LammpsSession
from vitrine.physics.observation import (
    Configuration,
    load_configuration,
    minimise_commands,
    observe,
    observe_session,
    save_configuration,
    setup_commands,
    write_data,
)
from vitrine.physics.rotation import DIRECTIONS
from vitrine.physics.swaps import SwapSchedule, read_counts
from vitrine.samples import Float, Int

__all__ = [
    "DIRECTIONS",
    "Configuration",
    "load_configuration",
    "observe",
    "parse_direction",
    "place",
    "quench",
    "random_start",
    "write_data",
]

ATOMIC_VOLUME = 17.2
"""Å^3 per atom of liquid Cu64Zr36 at 2000 K; only the start of the melt."""
CHUNK = 10_000
"""MD steps between two restart files."""
SPECIMEN = "specimen.npz"
SPECIMEN_META = "specimen.json"
"""Beside it if atoms were swapped: ``swap_attempts``, ``swaps_accepted``, ``swap_acceptance``."""
SWAP_COUNTS = "swaps.txt"


def random_start(atoms: int, fractions: Sequence[float], seed: int) -> tuple[Float, Float, Int]:
    """Random alloy on the sites of a face-centred cubic box: positions, cell, types.

    The composition is exact to one atom (largest remainders).
    """
    random = np.random.default_rng(seed)
    edge = int(np.ceil((atoms / 4) ** (1 / 3)))
    corners = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = (corners + basis).reshape(-1, 3) + 0.25
    chosen = random.permutation(len(sites))[:atoms]
    length = (atoms * ATOMIC_VOLUME) ** (1 / 3)
    wanted = np.asarray(fractions, dtype=float) / np.sum(fractions) * atoms
    counts = np.floor(wanted).astype(int)
    counts[np.argsort(counts - wanted, kind="stable")[: atoms - counts.sum()]] += 1
    types = random.permutation(np.repeat(np.arange(1, len(counts) + 1), counts))
    return sites[chosen] * (length / edge), np.eye(3) * length, types


@dataclass(frozen=True)
class _Leg:
    """MD steps ``start`` to ``stop`` over which the temperature goes from ``begin`` to ``end`` [K]."""

    start: int
    stop: int
    begin: float
    end: float
    swaps: bool = False


@dataclass(frozen=True)
class _Schedule:
    """A melt at constant temperature, then a linear ramp down, with a hold in between if atoms swap."""

    seed: int
    melt_temperature: float
    timestep: float
    legs: tuple[_Leg, ...]
    swaps: SwapSchedule | None = None

    def _leg(self, done: int) -> _Leg:
        return next(leg for leg in self.legs if done < leg.stop)

    def swapping(self, done: int) -> bool:
        """Whether the piece that starts at step ``done`` swaps atoms."""
        return self._leg(done).swaps

    @property
    def total(self) -> int:
        """Last step."""
        return self.legs[-1].stop

    def piece(self, done: int) -> tuple[int, list[str]]:
        """Last step and LAMMPS commands of the piece that starts at step ``done``."""
        leg = self._leg(done)
        target = min(done + CHUNK, leg.stop)
        commands = [
            f"fix ensemble all npt temp {leg.begin:.17g} {leg.end:.17g} 0.1 iso 0.0 0.0 1.0",
            f"run {target} upto start {leg.start} stop {leg.stop}",
        ]
        if self.swaps is not None and leg.swaps:
            commands[1:1] = self.swaps.fixes(self.seed + done)
        return target, commands

    def first(self) -> list[str]:
        """LAMMPS commands before step 0."""
        # half the kinetic energy goes into the lattice's potential energy
        temperature = f"{2 * self.melt_temperature:.17g}"
        return [
            "min_style fire",
            "minimize 0 1e-1 200 1000",
            "reset_timestep 0",
            f"velocity all create {temperature} {self.seed + 1} mom yes rot no dist gaussian",
        ]


def _schedule(
    seed: int,
    swaps: SwapSchedule | None,
    *,
    melt_temperature: float,
    melt_time: float,
    quench_rate: float,
    final_temperature: float,
    timestep: float,
) -> _Schedule:
    legs = [_Leg(0, round(melt_time / timestep), melt_temperature, melt_temperature)]

    def cool(end: float) -> None:
        steps = round((legs[-1].end - end) / (quench_rate * 1e-12) / timestep)
        legs.append(_Leg(legs[-1].stop, legs[-1].stop + steps, legs[-1].end, end))

    if swaps is not None:
        cool(swaps.temperature)
        held = round(swaps.time / timestep)
        legs.append(_Leg(legs[-1].stop, legs[-1].stop + held, swaps.temperature, swaps.temperature, True))
    cool(final_temperature)
    return _Schedule(seed, melt_temperature, timestep, tuple(legs), swaps)


def quench(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    seed: int,
    atoms: int,
    elements: Sequence[str],
    fractions: Sequence[float],
    potential: str,
    melt_temperature: float,
    melt_time: float,
    quench_rate: float,
    final_temperature: float,
    timestep: float,
    swap_temperature: float | None = None,
    swap_time: float = 0.0,
    swap_every: int = 1,
    swap_attempts: int = 1,
) -> None:
    """Melt, quench at constant pressure, minimise box and atoms; write ``specimen.npz``.

    Every piece of ``CHUNK`` steps starts from the restart file of the one before it, in a fresh
    session, so that a run which was killed and continued equals an unbroken one bit for bit.

    With ``swap_temperature`` the quench is held there for ``swap_time`` while atoms of different elements
    exchange places by Monte Carlo, ``swap_attempts`` of each pair of elements after every ``swap_every``
    steps; ``specimen.json`` then holds how many were tried and accepted.

    Raises
    ------
    EngineError: LAMMPS stopped, or the specimen did not reach a minimum.
    """
    swaps = None
    if swap_temperature is not None:
        swaps = SwapSchedule(swap_temperature, swap_time, swap_every, swap_attempts, len(elements))
    schedule = _schedule(
        seed, swaps,
        melt_temperature=melt_temperature, melt_time=melt_time, quench_rate=quench_rate,
        final_temperature=final_temperature, timestep=timestep,
    )  # fmt: skip
    done = _finished_steps(folder)
    if done is None and (folder / SPECIMEN).exists():
        return  # killed after its last step; only the caller did not know
    if done is None:
        start = random_start(atoms, fractions, seed)
        write_data(folder / "start.data", *start, n_types=len(elements))
        done = 0
    while done < schedule.total:
        done = _run_piece(folder, done, schedule, setup_commands(potential, elements, _source(done)))
        progress(0.95 * done / schedule.total)
    specimen = _relax_box(folder, setup_commands(potential, elements, _source(done)))
    counts = folder / SWAP_COUNTS
    if counts.exists():  # else killed while it cleaned up
        (folder / SPECIMEN_META).write_text(json.dumps(read_counts(counts)), encoding="utf-8")
    save_configuration(folder / SPECIMEN, specimen)
    scraps = [folder / "start.data", counts, *folder.glob("*.swaps"), *folder.glob("*.restart")]
    for scrap in scraps:
        scrap.unlink(missing_ok=True)


def place(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    positions: Float,
    cell: Float,
    types: Int,
    energy: Float,
    stress: Float,
) -> None:
    """Write ``specimen.npz`` of a specimen that was quenched before (shapes: :class:`Configuration`)."""
    save_configuration(folder / SPECIMEN, Configuration(positions, cell, types, energy, stress))
    progress(1.0)


def _source(done: int) -> str:
    return f"read_restart md-{done}.restart" if done else "read_data start.data"


def _finished_steps(folder: Path) -> int | None:
    steps = [int(path.stem.removeprefix("md-")) for path in folder.glob("md-*.restart")]
    return max(steps, default=None)


def _run_piece(folder: Path, done: int, schedule: _Schedule, setup: list[str]) -> int:
    """Run from one restart file to the next; returns the step reached."""
    target, commands = schedule.piece(done)
    # the LAMMPS of a killed run may live half a second longer: never write to one file with it
    part = f"part-{os.getpid()}.restart"
    counts = folder / f"part-{os.getpid()}.swaps"
    with LammpsSession(folder) as session:
        session.commands([*setup, f"timestep {schedule.timestep:.17g}"])
        if done == 0:
            session.commands(schedule.first())
        session.commands(commands)
        if schedule.swaps is not None and schedule.swapping(done):
            session.commands(schedule.swaps.count(counts.name))
        session.commands(f"write_restart {part}")
    if counts.exists():
        counts.replace(folder / SWAP_COUNTS)  # of all pieces: the restart file holds the counters too
    (folder / part).replace(folder / f"md-{target}.restart")
    for old in folder.glob("md-*.restart"):
        if old.name != f"md-{target}.restart":
            old.unlink()
    return target


def _relax_box(folder: Path, setup: list[str]) -> Configuration:
    with LammpsSession(folder) as session:
        session.commands(setup)
        session.commands(["velocity all set 0 0 0", "reset_timestep 0"])  # kinetic pressure off
        session.commands(minimise_commands(1e-3, 20_000))
        for _ in range(3):
            # box/relax measures strain from where it starts: repeat until the pressure is gone
            session.commands(
                [
                    "fix box all box/relax aniso 0.0 vmax 0.001",
                    "min_style cg",
                    "minimize 0 1e-4 2000 10000",
                    "unfix box",
                ]
            )
            session.commands(minimise_commands(1e-6, 20_000))
        found = observe_session(session)
    if not np.isfinite(found.energy).all() or found.largest_force > 1e-3:
        raise EngineError(
            f"the quenched specimen did not reach a minimum: largest force {found.largest_force:.2g} eV/Å"
        )
    return found


def parse_direction(direction: str) -> tuple[str, int]:
    """``"-xy"`` -> ``("xy", -1)``.

    Raises
    ------
    StudyError: not one of the six directions.
    """
    if direction not in DIRECTIONS:
        raise StudyError(f"no shear direction {direction!r}{did_you_mean(direction, DIRECTIONS)}")
    return direction.removeprefix("-"), -1 if direction.startswith("-") else 1
