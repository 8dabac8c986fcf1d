"""Liquids and glasses of the two-dimensional Kob-Andersen mixture by LAMMPS: one task per trajectory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from vitrine.errors import TaskError
from vitrine.samples import Samples
from vitrine.simulate.lj_view import STATES, Snapshot, View
from vitrine.tasks import Compute, Outcome, Task
from vitrine.units import ReducedDensity, ReducedTemperature, ReducedTime

CUTOFF = 2.5
"""σ, of the potential."""
MOST_PARTICLES, MOST_TRAJECTORIES = 10_000_000, 1_000_000
"""More is a slip of the pen."""
LIQUID = ("temperature", "equilibration", "snapshots", "gap")
GLASS = ("cooling_time", "glass_temperature", "hold_time", "curve_temperatures")
BOTH = (
    "particles", "fraction_a", "density", "melt_temperature", "melt_time", "rethermalise_time", "timestep",
)  # fmt: skip


class LennardJones2D(View):
    """Melt at a high temperature, then equilibrate a liquid, or cool to a glass, at constant area."""

    kind: Literal["lennard-jones-2d"] = "lennard-jones-2d"
    particles: int = Field(500, ge=2, le=MOST_PARTICLES, description="particles in a sample")
    fraction_a: float = Field(0.65, gt=0, lt=1, description="fraction of particles of the large species A")
    density: ReducedDensity = Field(1.2, description="particles per area, 1/σ²")
    temperature: ReducedTemperature = Field(0.55, description="ε/k_B, of the liquids")
    liquids: int = Field(40, ge=0, le=MOST_TRAJECTORIES, description="trajectories of liquids")
    glasses: int = Field(200, ge=0, le=MOST_TRAJECTORIES, description="glasses, one sample each")
    first_seed: int = Field(
        1, ge=1, le=2**31, description="number of the first liquid and the first glass; the next count up"
    )
    equilibration: ReducedTime = Field(150.0, description="τ at the temperature of the liquid, unused")
    snapshots: int = Field(5, ge=1, le=999, description="samples of each trajectory of a liquid")
    gap: ReducedTime = Field(50.0, description="τ between two of them")
    melt_temperature: ReducedTemperature = Field(2.0, description="ε/k_B")
    melt_time: ReducedTime = Field(20.0, description="τ in the melt")
    cooling_time: ReducedTime = Field(
        100.0, description="τ of linear cooling from melt_temperature to glass_temperature"
    )
    glass_temperature: ReducedTemperature = Field(
        0.05, description="ε/k_B, of glasses and of what is rethermalised"
    )
    hold_time: ReducedTime = Field(5.0, description="τ at glass_temperature after cooling")
    rethermalise_time: ReducedTime = Field(
        10.0, description="τ at glass_temperature from the minimum, of both phases"
    )
    timestep: ReducedTime = Field(0.005, description="τ")
    curves: int = Field(20, ge=0, description="glasses whose cooling is followed; the first ones")
    curve_temperatures: tuple[ReducedTemperature, ...] = Field(
        (2.0, 1.5, 1.2, 1.0, 0.8, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05),
        description="ε/k_B, where configurations are kept along the cooling, falling",
    )

    yields: ClassVar[str] = "atoms"
    summary: ClassVar[str] = "simulate 2-D Lennard-Jones liquids and glasses with LAMMPS"
    not_determining: ClassVar[frozenset[str]] = frozenset({"liquids", "glasses", "first_seed", "curves"})

    @model_validator(mode="after")
    def _consistent(self) -> LennardJones2D:
        edge = (self.particles / self.density) ** 0.5
        if edge <= 2 * CUTOFF:
            least = int(self.density * (2 * CUTOFF) ** 2) + 1
            raise ValueError(
                f"particles: {self.particles} make a box {edge:.3g} σ wide, which must be wider than "
                f"twice the cut-off ({2 * CUTOFF:g} σ); take {least} at least"
            )
        if self.window is not None and self.window >= edge:
            raise ValueError(f"window must be smaller than the box, which is {edge:.3g} σ wide")
        if self.liquids + self.glasses == 0:
            raise ValueError("liquids and glasses cannot both be 0")
        if self.state == "cooling" and not min(self.curves, self.glasses):
            raise ValueError("state cooling needs curves and glasses")
        if self.glass_temperature >= min(self.melt_temperature, self.temperature):
            raise ValueError("glass_temperature must be below melt_temperature and temperature")
        for name in ("equilibration", "gap", "melt_time", "cooling_time", "hold_time", "rethermalise_time"):
            if getattr(self, name) < self.timestep:
                raise ValueError(f"{name} must be at least one timestep")
        self._check_curve()
        return self

    def _check_curve(self) -> None:
        temperatures = self.curve_temperatures
        if any(temperatures[k] <= temperatures[k + 1] for k in range(len(temperatures) - 1)):
            raise ValueError("curve_temperatures must fall from one to the next")
        if temperatures and not (
            self.glass_temperature <= temperatures[-1] <= temperatures[0] <= self.melt_temperature
        ):
            raise ValueError("curve_temperatures must be between glass_temperature and melt_temperature")
        if self.state == "cooling" and not temperatures:
            raise ValueError("state cooling needs curve_temperatures")
        step = (self.melt_temperature - self.glass_temperature) * self.timestep / self.cooling_time
        if any(one - next_ < step for one, next_ in pairwise(temperatures)):
            raise ValueError(f"curve_temperatures must be {step:.2g} ε/k_B apart at least, one timestep")

    def citations(self) -> tuple[str, ...]:
        """DOIs: the study, the mixture, in the plane, LAMMPS, and the minimiser."""
        return (
            "arXiv:1909.04648",
            "10.1103/PhysRevE.51.4626",
            "10.1088/0953-8984/21/3/035117",
            "10.1016/j.cpc.2021.108171",
            "10.1103/PhysRevLett.97.170201",
        )

    def trajectory_id(self, phase: str, number: int) -> str:
        """``lj65-n500-liquid-t0.55-s0001``, ``lj65-n500-glass-c100-s0001``."""
        what = f"t{self.temperature:g}" if phase == "liquid" else f"c{self.cooling_time:g}"
        return f"lj{100 * self.fraction_a:.4g}-n{self.particles}-{phase}-{what}-s{number:04d}"

    def tasks(self) -> list[Task]:
        """One task per liquid and glass; along a cooling, one per glass that is followed."""
        if self.state == "cooling":
            return self.curve_tasks()
        numbers = range(self.first_seed, self.first_seed + self.liquids)
        return [*(self._task("liquid", number) for number in numbers), *self._glasses(self.glasses)]

    def curve_tasks(self) -> list[Task]:
        """One task per glass that is followed along its cooling; each needs the glass."""
        from vitrine.physics import lj_trajectories

        if not self.curve_temperatures:
            return []
        return [
            Task(
                label=f"{task.label}/cooling",
                kind="curve",
                recipe={"version": self.version, "lammps": task.recipe["lammps"]},
                function=lj_trajectories.curve,
                needs=(task,),
            )
            for task in self._glasses(min(self.curves, self.glasses))
        ]

    def _glasses(self, count: int) -> list[Task]:
        return [self._task("glass", number) for number in range(self.first_seed, self.first_seed + count)]

    def _task(self, phase: Literal["liquid", "glass"], number: int) -> Task:
        from vitrine.physics import lj_trajectories
        from vitrine.physics.lammps import engine_version

        settings = self.model_dump(mode="json", include={*BOTH, *(LIQUID if phase == "liquid" else GLASS)})
        settings |= {"number": number, "rethermalise_temperature": self.glass_temperature}
        return Task(
            label=self.trajectory_id(phase, number),
            kind=phase,
            recipe={"version": self.version, "lammps": engine_version(), **settings},
            function=lj_trajectories.liquid if phase == "liquid" else lj_trajectories.glass,
            arguments=settings,
        )

    def samples(self, outcomes: Sequence[Outcome]) -> Samples:
        """What the view shows of the trajectories; those that failed are left out."""
        snapshots: list[Snapshot] = []
        left_out: dict[str, str] = {}
        for outcome in outcomes:
            if outcome.folder is None:
                left_out[outcome.label] = outcome.error or "failed"
            else:
                snapshots += self.snapshots_of(outcome)
        return self.seen(snapshots, self.about(), left_out)

    def snapshots_of(self, outcome: Outcome) -> Iterator[Snapshot]:
        """The snapshots of a finished task, in order."""
        from vitrine.physics.lj_files import CURVE, TRAJECTORY, read_curve, read_trajectory

        assert outcome.folder is not None
        cooling = outcome.kind == "curve"
        data = read_curve(outcome.folder / CURVE) if cooling else read_trajectory(outcome.folder / TRAJECTORY)
        states = ("inherent",) if cooling else STATES
        temperature = self.temperature if outcome.kind == "liquid" else self.glass_temperature
        for k, energy in enumerate(data["inherent_energy"]):
            at = float(data["temperatures"][k]) if cooling else temperature
            yield Snapshot(
                group=outcome.label.removesuffix("/cooling"),
                number=f"T{at:g}" if cooling else str(k + 1),
                phase="liquid" if outcome.kind == "liquid" else "glass",
                temperature=at,
                inherent_energy=float(energy.mean()),
                lengths=data["lengths"],
                kinds=data["kinds"],
                states={
                    state: (data[state][k], data[f"{state}_energy"][k], float(data[f"{state}_pressure"][k]))
                    for state in states
                },
            )

    def export(self, out: Path, compute: Compute) -> Iterator[str]:
        """Simulate and write ``out``: .extxyz with what the view shows, else a released set that grows.

        Yields lines for the user. A set (.h5) has all states and the cooling curves, whatever the view.

        Raises
        ------
        DataError: ``out`` is another kind of file, or was made with other settings.
        TaskError: every simulation failed.
        """
        from vitrine.physics.extended_xyz import write_extxyz
        from vitrine.simulate.released_liquids import export_set

        if out.suffix not in (".extxyz", ".xyz"):
            yield from export_set(self, out, compute)
            return
        samples = self.samples(compute(self.tasks()))
        for name, reason in samples.left_out.items():
            yield f"left out: {name}: {reason}"
        if not len(samples):
            raise TaskError(f"no trajectory could be made; nothing is written to {out}")
        part = out.with_name(f".{out.name}.part")
        write_extxyz(part, samples.items)
        part.replace(out)
        yield f"wrote {len(samples)} samples in the state {self.state} to {out}"

    def about(self) -> dict[str, Any]:
        """Provenance: the settings and LAMMPS's version."""
        from vitrine.physics.lammps import engine_version

        return {**self.model_dump(mode="json"), "lammps": engine_version()}
