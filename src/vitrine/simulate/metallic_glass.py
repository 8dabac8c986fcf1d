"""Metallic glasses by LAMMPS: one task per quenched specimen, one per specimen and direction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from vitrine.errors import DataError, TaskError
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.tasks import Compute, Outcome, Task
from vitrine.units import (
    Angstrom,
    EvPerAngstrom,
    Kelvin,
    KelvinPerSecond,
    Picoseconds,
    SquareAngstrom,
    Strain,
)

if TYPE_CHECKING:
    from ase import Atoms

Direction = Literal["xy", "yz", "xz", "-xy", "-yz", "-xz"]


LARGEST_SEED = 2**31 - 3
"""LAMMPS takes 32-bit seeds."""
MOST_ATOMS, MOST_SPECIMENS = 10_000_000, 100_000
"""More is a slip of the pen."""
ROUNDED = 0.005
"""How far the sum of the fractions may be from 1: three times 0.333 is."""
FOLLOWING = ("follow_to", "follow_step")
SWAPPING = ("swap_temperature", "swap_time", "swap_every", "swap_attempts")
"""Settings that are in recipes only if the first of them is there: keys of before stay as they were."""
NO_EVENT = "no event up to strain"
"""Why a finished simulation yields no sample; any other reason is worth another try."""


class MetallicGlass(Part):
    """Melt, quench, minimise, then shear athermally in each direction to the first event."""

    kind: Literal["metallic-glass"] = "metallic-glass"
    specimens: int = Field(20, ge=1, le=MOST_SPECIMENS, description="number of independent specimens")
    first_seed: int = Field(
        1, ge=1, le=LARGEST_SEED, description="seed of the first specimen; the next ones count up"
    )
    atoms: int = Field(500, ge=32, le=MOST_ATOMS, description="atoms in a specimen")
    elements: tuple[str, ...] = Field(("Cu", "Zr"), description="chemical symbols")
    fractions: tuple[float, ...] = Field((0.64, 0.36), description="atomic fractions of the elements")
    potential: str = Field(
        "CuZr_mm.eam.fs", description="eam/fs or eam/alloy file: a path, or one that ships with LAMMPS"
    )
    melt_temperature: Kelvin = Field(2000.0, description="K")
    melt_time: Picoseconds = Field(50.0, description="ps in the melt")
    quench_rate: KelvinPerSecond = Field(
        1e13, description="K/s; above 1e13 half the sample yields in one avalanche"
    )
    final_temperature: Kelvin = Field(300.0, description="K, then minimised")
    timestep: Picoseconds = Field(0.002, description="ps")
    swap_temperature: Kelvin | None = Field(
        None,
        description="K at which the quench is held while atoms of different elements exchange places by "
        "Monte Carlo, for a better relaxed glass",
    )
    swap_time: Picoseconds = Field(200.0, description="ps of that hold")
    swap_every: int = Field(10, ge=1, description="MD steps between attempts to exchange")
    swap_attempts: int = Field(
        10, ge=1, description="exchanges tried each time, of every pair of elements; one costs one MD step"
    )
    directions: tuple[Direction, ...] = Field(
        ("xy", "yz", "xz", "-xy", "-yz", "-xz"), min_length=1, description="shear directions"
    )
    strain_step: Strain = Field(1e-4, description="strain over which the event is measured")
    largest_step: Strain = Field(
        1e-3,
        description="strain between two minimisations while nothing yields; a step in which something "
        "does is taken back and halved, down to strain_step",
    )
    max_strain: Strain = Field(0.06, description="strain at which a direction without event is given up")
    force_tolerance: EvPerAngstrom = Field(
        1e-4, description="eV/Å; the event moves to larger strain above 1e-4"
    )
    event_threshold: SquareAngstrom = Field(
        0.1, description="Å^2 of D2min over one step that makes an event; labels may use another threshold"
    )
    min_cluster: int = Field(3, ge=1, description="connected atoms that make an event")
    cutoff: Angstrom = Field(3.8, description="Å, neighbours in D2min")
    follow_to: Strain | None = Field(
        None,
        description="strain up to which a direction is followed beyond its first event; each atom's strain "
        "of first event is kept",
    )
    follow_step: Strain = Field(
        5e-4, description="strain of the equal steps beyond the first event, in whole strain_steps"
    )

    yields: ClassVar[str] = "atoms"
    summary: ClassVar[str] = "quench and shear metallic glasses with LAMMPS"
    not_determining: ClassVar[frozenset[str]] = frozenset({"specimens", "first_seed", "directions"})

    @model_validator(mode="after")
    def _consistent(self) -> MetallicGlass:
        if len(self.elements) != len(self.fractions):
            raise ValueError("elements and fractions must have the same length")
        for name in ("elements", "directions"):
            values: tuple[str, ...] = getattr(self, name)
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{name}: {twice[0]!r} stands twice")
        if not self.elements:
            raise ValueError("elements: name at least one")
        if min(self.fractions) <= 0:
            raise ValueError("fractions must be positive")
        if abs(sum(self.fractions) - 1) > ROUNDED:
            raise ValueError(f"fractions must sum to 1, and these sum to {sum(self.fractions):g}")
        if self.first_seed + self.specimens - 1 > LARGEST_SEED:
            raise ValueError(f"first_seed and specimens lead to seeds above {LARGEST_SEED}")
        if self.final_temperature >= self.melt_temperature:
            raise ValueError("final_temperature must be below melt_temperature")
        if self.melt_time < self.timestep:
            raise ValueError("melt_time must be at least one timestep")
        cooling = (self.melt_temperature - self.final_temperature) / (self.quench_rate * 1e-12)
        if cooling < self.timestep:
            raise ValueError(
                f"quench_rate is too high: cooling would take {cooling:.2g} ps, under one timestep"
            )
        if self.max_strain < self.strain_step:
            raise ValueError("max_strain must be at least one strain_step")
        if self.follow_to is not None and min(self.follow_to, self.follow_step) < self.strain_step:
            raise ValueError("follow_to and follow_step must be at least one strain_step")
        self._check_swaps()
        return self

    def _check_swaps(self) -> None:
        if self.swap_temperature is None:
            return
        if not self.final_temperature < self.swap_temperature < self.melt_temperature:
            raise ValueError("swap_temperature must be between final_temperature and melt_temperature")
        if len(self.elements) < 2:
            raise ValueError("swap_temperature needs at least two elements to exchange")
        if self.swap_time < self.timestep * self.swap_every:
            raise ValueError("swap_time must be at least swap_every timesteps")

    def citations(self) -> tuple[str, ...]:
        """DOIs: the protocol, LAMMPS, and the default potential."""
        return ("10.3389/fmats.2022.874339", "10.1016/j.cpc.2021.108171", "10.1063/1.2769157")

    def specimen_id(self, seed: int) -> str:
        """``cu64zr36-n500-q1e13-s0001``."""
        total = sum(self.fractions)
        alloy = "".join(
            f"{element.lower()}{100 * fraction / total:.0f}"
            for element, fraction in zip(self.elements, self.fractions, strict=True)
        )
        rate = f"{self.quench_rate:.3g}".replace("e+", "e")
        return f"{alloy}-n{self.atoms}-q{rate}-s{seed:04d}"

    def tasks(self) -> list[Task]:
        """One task per specimen and direction; each needs the quench of its specimen."""
        from vitrine.physics import glass

        force_field, engine = self._force_field()
        melt = {
            "atoms": self.atoms,
            "fractions": list(self.fractions),
            "melt_temperature": self.melt_temperature,
            "melt_time": self.melt_time,
            "quench_rate": self.quench_rate,
            "final_temperature": self.final_temperature,
            "timestep": self.timestep,
            **self._options(*SWAPPING),
        }
        shear_task = self._shear_tasks()
        tasks = []
        for seed in range(self.first_seed, self.first_seed + self.specimens):
            name = self.specimen_id(seed)
            quenched = Task(
                label=name,
                kind="quench",
                recipe={"version": self.version, "seed": seed, **engine, **melt},
                function=glass.quench,
                arguments={"seed": seed, **force_field, **melt},
            )
            tasks += [shear_task(f"{name}/{direction}", direction, quenched) for direction in self.directions]
        return tasks

    def _force_field(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the engine is told of the potential, and what of it enters recipes."""
        from vitrine.physics.lammps import engine_version, pair_commands, potential_hash

        pair_commands(self.potential, self.elements)  # wrong potentials are refused before any work
        own = Path(self.potential).expanduser()
        # workers may have another working directory
        potential = str(own.resolve()) if own.is_file() else self.potential
        # the name of the file does not matter, what is in it does
        engine = {
            "potential": potential_hash(self.potential),
            "elements": list(self.elements),
            "lammps": engine_version(),
        }
        return {"potential": potential, "elements": list(self.elements)}, engine

    def _shear_tasks(self, largest_step: float | None = None) -> Callable[[str, str, Task], Task]:
        """Makes the task of a label, a direction and the task of the specimen."""
        from vitrine.physics import shear

        force_field, engine = self._force_field()
        load = {
            "strain_step": self.strain_step,
            "largest_step": self.largest_step if largest_step is None else largest_step,
            "max_strain": self.max_strain,
            "force_tolerance": self.force_tolerance,
            "threshold": self.event_threshold,
            "min_cluster": self.min_cluster,
            "cutoff": self.cutoff,
            **self._options(*FOLLOWING),
        }

        def task(label: str, direction: str, specimen: Task) -> Task:
            return Task(
                label=label,
                kind="shear",
                recipe={"version": self.version, "direction": direction, **engine, **load},
                function=shear.shear,
                arguments={"direction": direction, **force_field, **load},
                needs=(specimen,),
            )

        return task

    def _options(self, switch: str, *others: str) -> dict[str, Any]:
        """These settings, if the first of them is there."""
        return {name: getattr(self, name) for name in (switch, *others)} if getattr(self, switch) else {}

    def samples(self, outcomes: Sequence[Outcome]) -> Samples:
        """One sample per specimen and direction that has an event; the others are left out."""
        from vitrine.simulate.sheared import sheared_atoms

        items: list[Atoms] = []
        left_out: dict[str, str] = {}
        for outcome in outcomes:
            if outcome.folder is None:
                left_out[outcome.label] = outcome.error or "failed"
                continue
            event = json.loads((outcome.folder / "event.json").read_text(encoding="utf-8"))
            if not event["found"]:
                left_out[outcome.label] = f"{NO_EVENT} {self.max_strain:g}"
                continue
            items.append(sheared_atoms(outcome.inputs[0], outcome.folder, self.elements, outcome.label))
        return glass_samples(items, self.about(), left_out)

    def export(self, out: Path, compute: Compute) -> Iterator[str]:
        """Simulate what ``out`` (.h5) does not hold yet and add it; yields lines for the user.

        With ``follow_to``, samples that ``out`` holds are followed too, from the specimen in it. One whose
        first event then comes out as another one stays as it was.

        Raises
        ------
        DataError: ``out`` is another kind of file, or was made with other settings.
        TaskError: every simulation failed.
        """
        from vitrine.simulate.following import followed
        from vitrine.simulate.released import check_same_settings, released_ids, write_released

        there = released_ids(out)
        tasks = self.tasks()
        asked = {task.label for task in tasks}
        tasks = [task for task in tasks if task.label not in there]
        # of the potential, the content counts, which has a hash of its own
        free = {*self.not_determining, "potential", *FOLLOWING}
        if self.follow_to is not None and not tasks:
            free.add("largest_step")  # what is followed walks as the file says
        check_same_settings(out, self.about(), free)
        short, follow = self._to_follow(out, asked & there)
        yield f"{len(there)} samples are in {out} already, {len(tasks)} to make"
        if short:
            yield f"{len(short)} of them to be followed to strain {self.follow_to:g}"
        outcomes = compute([*tasks, *follow])
        samples = self.samples(outcomes[: len(tasks)])
        failed = [name for name, why in samples.left_out.items() if not why.startswith(NO_EVENT)]
        for name, reason in samples.left_out.items():
            yield f"left out: {name}: {reason}"
        more = []
        for atoms, outcome in zip(short, outcomes[len(tasks) :], strict=True):
            try:
                more.append(followed(atoms, outcome))
            except DataError as error:
                yield f"left as it was: {atoms.info['id']}: {error}"
        if not more and len(failed) == len(tasks) and (failed or short):
            words = f"none of {len(tasks) + len(short)} samples could be made or followed"
            raise TaskError(f"{words}; nothing is written to {out}")
        if tasks or more:
            write_released(out, glass_samples([*samples.items, *more], samples.about, samples.left_out))
        yield f"wrote {len(samples)} samples to {out}" + (f", followed {len(more)}" if short else "")

    def _to_follow(self, out: Path, asked: set[str]) -> tuple[list[Atoms], list[Task]]:
        """Samples of ``out`` that are to be followed, and the tasks that do it."""
        from vitrine.simulate.following import follow_tasks, short_of, stored_largest_step
        from vitrine.simulate.released import read_released

        if self.follow_to is None or not asked:
            return [], []
        items = [atoms for atoms in read_released(out).items if atoms.info["id"] in asked]
        short = short_of(items, self.follow_to, self.strain_step)
        shear_task = self._shear_tasks(stored_largest_step(out))
        return short, follow_tasks(short, self.elements, self.version, shear_task)

    def about(self) -> dict[str, Any]:
        """Provenance: the settings, the potential's hash and LAMMPS's version."""
        from vitrine.physics.lammps import engine_version, potential_hash

        off = {name for group in (FOLLOWING, SWAPPING) for name in group if not getattr(self, group[0])}
        return {
            **self.model_dump(mode="json", exclude=off),
            "potential_sha256": potential_hash(self.potential),
            "lammps": engine_version(),
        }


def glass_samples(items: list[Atoms], about: dict[str, Any], left_out: dict[str, str]) -> Samples:
    """Samples of sheared glasses.

    Each :class:`ase.Atoms` has arrays ``energy`` (n,) eV, ``stress`` (n, 6) eV (stress times
    volume, Voigt xx yy zz yz xz xy, tension positive), ``d2min`` (n,) Å^2 of the event step, and
    info ``id``, ``group``, ``direction``, ``event_strain``, ``event_atoms``. One that was followed beyond
    its first event has the array ``first_strain`` (n,): the strain at which an atom first took part in an
    event, 0 if in none up to the info ``followed_to``. The attributes are event_strain and event_atoms.
    """
    return Samples(
        kind="atoms",
        items=items,
        ids=tuple(atoms.info["id"] for atoms in items),
        groups=tuple(atoms.info["group"] for atoms in items),
        about=about,
        left_out=left_out,
        attributes={
            name: np.array([float(atoms.info[name]) for atoms in items])
            for name in ("event_strain", "event_atoms")
        },
    )
