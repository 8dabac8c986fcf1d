"""Melt, quench and minimise a metallic glass with LAMMPS.

Metal units: Å, eV, ps, K, bar. Protocol of Lee & Ryu 2022 (doi:10.3389/fmats.2022.874339).
"""

from __future__ import annotations

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
from vitrine.samples import Float, Int

__all__ = [
    "DIRECTIONS",
    "Configuration",
    "load_configuration",
    "observe",
    "parse_direction",
    "quench",
    "random_start",
    "write_data",
]

ATOMIC_VOLUME = 17.2
"""Å^3 per atom of liquid Cu64Zr36 at 2000 K; only the start of the melt."""
CHUNK = 10_000
"""MD steps between two restart files."""
SPECIMEN = "specimen.npz"


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
class _Schedule:
    """MD steps: a melt at constant temperature, then a linear ramp down to ``final_temperature``."""

    seed: int
    melt_temperature: float
    final_temperature: float
    timestep: float
    melt: int
    total: int

    def piece(self, done: int) -> tuple[int, list[str]]:
        """Last step and LAMMPS commands of the piece that starts at step ``done``."""
        melting = done < self.melt
        start, stop = (0, self.melt) if melting else (self.melt, self.total)
        end = self.melt_temperature if melting else self.final_temperature
        target = min(done + CHUNK, stop)
        commands = [
            f"fix ensemble all npt temp {self.melt_temperature:.17g} {end:.17g} 0.1 iso 0.0 0.0 1.0",
            f"run {target} upto start {start} stop {stop}",
        ]
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
) -> None:
    """Melt, quench at constant pressure, minimise box and atoms; write ``specimen.npz``.

    Every piece of ``CHUNK`` steps starts from the restart file of the one before it, in a fresh
    session, so that a run which was killed and continued equals an unbroken one bit for bit.

    Raises
    ------
    EngineError: LAMMPS stopped, or the specimen did not reach a minimum.
    """
    melt = round(melt_time / timestep)
    cool = round((melt_temperature - final_temperature) / (quench_rate * 1e-12) / timestep)
    schedule = _Schedule(seed, melt_temperature, final_temperature, timestep, melt, melt + cool)
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
    save_configuration(folder / SPECIMEN, specimen)
    for scrap in [folder / "start.data", *folder.glob("*.restart")]:
        scrap.unlink(missing_ok=True)


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
    with LammpsSession(folder) as session:
        session.commands([*setup, f"timestep {schedule.timestep:.17g}"])
        if done == 0:
            session.commands(schedule.first())
        session.commands([*commands, f"write_restart {part}"])
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
