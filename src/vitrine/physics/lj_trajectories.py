"""Liquids and glasses of the two-dimensional Kob-Andersen mixture: one task per trajectory.

Reduced Lennard-Jones units (see :mod:`vitrine.physics.lennard_jones`). A trajectory is cut into pieces;
every piece starts from the restart file of the one before it, killed or not, so that a run which was killed
and continued equals an unbroken one bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.arrays import load_arrays, save_arrays
from vitrine.physics.lammps import LammpsSession
from vitrine.physics.lennard_jones import (
    minimise_session,
    observe,
    part_overlaps,
    setup_commands,
    wrap,
    write_data,
)
from vitrine.physics.lj_files import CURVE, TRAJECTORY, read_trajectory
from vitrine.samples import Float

PIECE = 400_000_000
"""Steps times particles between two restart files."""
DAMPING = 0.5
"""τ, of the Nosé-Hoover thermostat."""
PHASES = ("liquid", "glass")


def random_start(particles: int, fraction_a: float, density: float, seed: Sequence[int]) -> dict[str, Any]:
    """Particles on random sites of a square lattice, and seeds for velocities.

    Parameters
    ----------
    density: particles per σ². seed: (number of the phase, number of the trajectory).

    Returns
    -------
    ``positions`` (n, 2) σ, ``lengths`` (2,) σ, ``kinds`` (n,) 0 for A and 1 for B, exact to one particle,
    and ``seeds`` (1000,): the first for the melt, the others for each snapshot.
    """
    random = np.random.default_rng(np.random.SeedSequence(list(seed)))
    edge = int(np.ceil(np.sqrt(particles)))
    length = float(np.sqrt(particles / density))
    sites = np.stack(np.meshgrid(np.arange(edge), np.arange(edge), indexing="ij"), -1).reshape(-1, 2) + 0.5
    chosen = random.permutation(len(sites))[:particles]
    kinds = random.permutation(np.arange(particles) >= round(fraction_a * particles)).astype(np.int64)
    return {
        "positions": sites[chosen] * (length / edge),
        "lengths": np.array([length, length]),
        "kinds": kinds,
        "seeds": random.integers(1, 2**31 - 1, size=1000),
    }


@dataclass(frozen=True)
class _Leg:
    """MD steps ``start`` to ``stop`` over which the temperature goes from ``begin`` to ``end``."""

    start: int
    stop: int
    begin: float
    end: float

    def step_at(self, temperature: float) -> int:
        """The step at which the temperature is that."""
        return self.start + round(
            (self.begin - temperature) / (self.begin - self.end) * (self.stop - self.start)
        )


@dataclass(frozen=True)
class _Schedule:
    """Legs one after the other, and the steps after which positions are kept."""

    legs: tuple[_Leg, ...]
    kept: tuple[int, ...]
    timestep: float
    piece: int

    @property
    def total(self) -> int:
        """Last step."""
        return self.legs[-1].stop

    def stops(self, done: int) -> list[int]:
        """Steps at which a run that has come to ``done`` pauses, up to the next restart file."""
        end = min(self.total, (done // self.piece + 1) * self.piece)
        pauses = {end, *self.kept, *(leg.stop for leg in self.legs)}
        return sorted(step for step in pauses if done < step <= end)

    def leg(self, done: int) -> _Leg:
        """The leg of the next step."""
        return next(leg for leg in self.legs if done < leg.stop)


def _legs(timestep: float, *parts: tuple[float, float, float]) -> tuple[_Leg, ...]:
    """Legs from (time, temperature at the start, at the end)."""
    stops = np.cumsum([0, *(round(time / timestep) for time, _, _ in parts)]).tolist()
    return tuple(_Leg(a, b, *part[1:]) for (a, b), part in zip(pairwise(stops), parts, strict=True))


def liquid(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    number: int,
    particles: int,
    fraction_a: float,
    density: float,
    melt_temperature: float,
    melt_time: float,
    temperature: float,
    equilibration: float,
    snapshots: int,
    gap: float,
    rethermalise_temperature: float,
    rethermalise_time: float,
    timestep: float,
) -> None:
    """Melt, run at ``temperature``, keep ``snapshots``; write ``trajectory.npz``.

    What it holds: :func:`vitrine.physics.lj_files.read_trajectory`.
    Temperatures in ε/k_B, times in τ, density in 1/σ²; ``number`` seeds the start and all velocities.

    Raises
    ------
    EngineError: LAMMPS stopped, or a snapshot did not reach a minimum.
    """
    legs = _legs(
        timestep,
        (melt_time, melt_temperature, melt_temperature),
        (equilibration + (snapshots - 1) * gap, temperature, temperature),
    )
    first = round((melt_time + equilibration) / timestep)
    kept = (*(first + round(k * gap / timestep) for k in range(snapshots - 1)), legs[-1].stop)
    schedule = _Schedule(legs, kept, timestep, max(1, PIECE // particles))
    start = random_start(particles, fraction_a, density, (PHASES.index("liquid"), number))
    _run(folder, start, schedule, kept, (), rethermalise_temperature, rethermalise_time, progress)


def glass(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    number: int,
    particles: int,
    fraction_a: float,
    density: float,
    melt_temperature: float,
    melt_time: float,
    cooling_time: float,
    glass_temperature: float,
    hold_time: float,
    curve_temperatures: Sequence[float],
    rethermalise_temperature: float,
    rethermalise_time: float,
    timestep: float,
) -> None:
    """Melt, cool linearly, hold, keep one snapshot; write ``trajectory.npz``.

    What it holds: :func:`vitrine.physics.lj_files.read_trajectory`.
    Positions at ``curve_temperatures`` are kept along the way, not minimised. Units as in :func:`liquid`.

    Raises
    ------
    EngineError: LAMMPS stopped, or the glass did not reach a minimum.
    """
    legs = _legs(
        timestep,
        (melt_time, melt_temperature, melt_temperature),
        (cooling_time, melt_temperature, glass_temperature),
        (hold_time, glass_temperature, glass_temperature),
    )
    curve = tuple(legs[1].step_at(temperature) for temperature in curve_temperatures)
    kept = (legs[-1].stop,)
    schedule = _Schedule(legs, (*curve, *kept), timestep, max(1, PIECE // particles))
    start = random_start(particles, fraction_a, density, (PHASES.index("glass"), number))
    start["curve_temperatures"] = np.array(curve_temperatures, dtype=float)
    _run(folder, start, schedule, kept, curve, rethermalise_temperature, rethermalise_time, progress)


def curve(folder: Path, inputs: Sequence[Path], progress: Callable[[float], None]) -> None:
    """Minimise what the glass of ``inputs`` kept along its cooling; write ``curve.npz``.

    What it holds: :func:`vitrine.physics.lj_files.read_curve`.

    Raises
    ------
    EngineError: LAMMPS stopped, or a configuration did not reach a minimum.
    """
    kept = read_trajectory(inputs[0] / TRAJECTORY)
    lengths, kinds = kept["lengths"], kept["kinds"]
    found = []
    with LammpsSession(folder) as session:
        for done, positions in enumerate(kept["curve"]):
            write_data(folder / "start.data", positions, lengths, kinds)
            session.commands(setup_commands("read_data start.data"))
            found.append(minimise_session(session))
            progress((done + 1) / len(kept["curve"]))
    (folder / "start.data").unlink(missing_ok=True)
    save_arrays(
        folder / CURVE,
        lengths=lengths,
        kinds=kinds,
        temperatures=kept["curve_temperatures"],
        inherent=np.stack([minimum.positions for minimum in found]),
        inherent_energy=np.stack([minimum.energy for minimum in found]),
        inherent_pressure=np.array([minimum.pressure for minimum in found]),
    )


# ---------------------------------------------------------------- the work of one trajectory


def _run(
    folder: Path,
    start: dict[str, Any],
    schedule: _Schedule,
    snapshots: Sequence[int],
    cooling: Sequence[int],
    temperature: float,
    time: float,
    progress: Callable[[float], None],
) -> None:
    """Run the schedule, minimise its snapshots, bring the minima to ``temperature``; write all of it."""
    lengths, kinds = start["lengths"], start["kinds"]
    with LammpsSession(folder) as session:
        done = _finished_steps(folder)
        if done is None and (folder / TRAJECTORY).exists():
            return  # killed after its last step; only the caller did not know
        if done is None:
            write_data(folder / "start.data", start["positions"], lengths, kinds)
            done = 0
        while done < schedule.total:
            done = _run_piece(session, folder, done, schedule, int(start["seeds"][0]))
            progress(0.9 * done / schedule.total)
        kept = {step: load_arrays(_at(folder, step), "configuration") for step in schedule.kept}
        steps = round(time / schedule.timestep)
        found: list[dict[str, Any]] = []
        for number, step in enumerate(snapshots):
            write_data(folder / "start.data", kept[step]["positions"], lengths, kinds)
            session.commands(setup_commands("read_data start.data", schedule.timestep))
            found.append(_states_of(session, temperature, steps, int(start["seeds"][1 + number])))
            found[-1]["kinetic_temperature"] = kept[step]["temperature"]
    arrays = {name: np.stack([each[name] for each in found]) for name in found[0]}
    if cooling:
        arrays["curve"] = np.stack([kept[step]["positions"] for step in cooling])
        arrays["curve_temperatures"] = start["curve_temperatures"]
    save_arrays(folder / TRAJECTORY, lengths=lengths, kinds=kinds, **arrays)
    for pattern in ("start.data", "at-*.npz", "*.restart"):
        for scrap in folder.glob(pattern):
            scrap.unlink()


def _run_piece(session: LammpsSession, folder: Path, done: int, schedule: _Schedule, seed: int) -> int:
    """Run from one restart file to the next; returns the step reached."""
    source = f"read_restart md-{done}.restart" if done else "read_data start.data"
    session.commands(setup_commands(source, schedule.timestep))
    if done == 0:
        part_overlaps(session)
        session.commands(_first(schedule.legs[0].begin, seed))
    last: _Leg | None = None
    for stop in schedule.stops(done):
        leg = schedule.leg(done)
        if leg is not last:  # the thermostat goes on if it is not defined again
            session.commands(f"fix ensemble all nvt temp {leg.begin:.17g} {leg.end:.17g} {DAMPING:.17g}")
        session.commands(f"run {stop} upto start {leg.start} stop {leg.stop}")
        if stop in schedule.kept:
            _keep(session, _at(folder, stop))
        done, last = stop, leg
    # the LAMMPS of a killed run may live half a second longer: never write to one file with it
    part = f"part-{os.getpid()}.restart"
    session.commands(f"write_restart {part}")
    (folder / part).replace(folder / f"md-{done}.restart")
    for old in folder.glob("md-*.restart"):
        if old.name != f"md-{done}.restart":
            old.unlink()
    return done


def _first(temperature: float, seed: int) -> list[str]:
    """LAMMPS commands before step 0."""
    return [
        "min_style fire",
        "min_modify dmax 0.1",
        "minimize 0 1e-1 1000 5000",
        "reset_timestep 0",
        # half the kinetic energy goes into potential energy
        f"velocity all create {2 * temperature:.17g} {seed} mom yes rot no dist gaussian",
    ]


def _states_of(session: LammpsSession, temperature: float, steps: int, seed: int) -> dict[str, Any]:
    """What an open session holds, its minimum, and that after ``steps`` at ``temperature``."""
    found = {"thermal": observe(session), "inherent": minimise_session(session)}
    session.commands(
        [
            "reset_timestep 0",
            f"velocity all create {2 * temperature:.17g} {seed} mom yes rot no dist gaussian",
            f"fix ensemble all nvt temp {temperature:.17g} {temperature:.17g} {DAMPING:.17g}",
            f"run {steps}",
        ]
    )
    found["rethermalised"] = observe(session)
    arrays: dict[str, Any] = {}
    for state, each in found.items():
        arrays |= {state: each.positions, f"{state}_energy": each.energy, f"{state}_pressure": each.pressure}
    return arrays


def _keep(session: LammpsSession, path: Path) -> None:
    data = session.gather("x")
    lengths: Float = np.diag(data["cell"])[:2]
    positions = wrap(data["x"][:, :2] - data["origin"][:2], lengths)
    save_arrays(path, positions=positions, temperature=session.thermo("temp")["temp"])


def _at(folder: Path, step: int) -> Path:
    return folder / f"at-{step}.npz"


def _finished_steps(folder: Path) -> int | None:
    steps = [int(path.stem.removeprefix("md-")) for path in folder.glob("md-*.restart")]
    return max(steps, default=None)
