"""Released sets of liquids and glasses in the plane: HDF5 files that ship with the package, or a user's own.

Layout: ``/phases/liquid`` and ``/phases/glass`` hold ``number`` (t,) int64 of each trajectory, ``kinds``
(t, n) uint8 (0 is A, 1 is B), ``inherent`` (t, m, n, 2) float64 and ``thermal`` and ``rethermalised``
(t, m, n, 2) float32, positions in σ of m snapshots. ``/phases/cooling`` holds ``number``, ``kinds``,
``temperatures`` (k,) float64 and ``inherent`` (t, k, n, 2) along the cooling of some of the glasses.
Attributes of the file: ``format``, ``about`` (how it was made), ``command`` (what makes it again),
``left_out``. Energies follow from positions and are not stored.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.arrays import hash_file
from vitrine.errors import DataError, TaskError
from vitrine.samples import Samples
from vitrine.simulate.lennard_jones import LennardJones2D
from vitrine.simulate.lj_view import STATES, Snapshot, View
from vitrine.simulate.released import check_same_settings
from vitrine.simulate.released_reader import (
    Layout,
    find_set,
    opened,
    read_apart,
    read_array,
    replace_file,
    settings_of,
)
from vitrine.tasks import Compute, Outcome, Task

LIQUIDS = Layout(
    "vitrine liquids and glasses 1", "phases", "liquids and glasses", "vitrine.simulate.released_liquids"
)
SETS = ("liquid", "glass", "cooling")
_STATES_OF: Mapping[str, tuple[str, ...]] = {"liquid": STATES, "glass": STATES, "cooling": ("inherent",)}
VIEW = frozenset(View.model_fields)
"""Settings that a file does not depend on."""


@dataclass
class LiquidSet:
    """What a file holds.

    about: settings of the :class:`LennardJones2D` that made it, and LAMMPS's version. sets: ``liquid``,
    ``glass`` and ``cooling`` -> arrays by name, see the head of this module.
    """

    about: dict[str, Any]
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def source(self) -> LennardJones2D:
        """The source with the settings of the file."""
        known = {key: value for key, value in self.about.items() if key in LennardJones2D.model_fields}
        return LennardJones2D.model_validate({k: v for k, v in known.items() if k not in VIEW})

    @property
    def command(self) -> str:
        """The command that makes such a file again."""
        counts = {
            setting: len(self.sets[name]["number"]) if name in self.sets else 0
            for setting, name in (("liquids", "liquid"), ("glasses", "glass"), ("curves", "cooling"))
        }
        words = ["vitrine simulate", self.source.kind]
        for name, known in LennardJones2D.model_fields.items():
            value = counts.get(name, getattr(self.source, name))
            if name not in VIEW and (value != known.default or name in counts):
                listed = value if isinstance(value, tuple) else (value,)
                shown = ",".join(f"{each:g}" if isinstance(each, float) else str(each) for each in listed)
                words.append(f"--{name.replace('_', '-')} {shown}")
        return " ".join(words) + " -o FILE.h5"

    def ids(self) -> set[str]:
        """Names of the trajectories, and of the coolings that are followed."""
        return {
            self.source.trajectory_id("liquid" if name == "liquid" else "glass", int(number))
            + ("/cooling" if name == "cooling" else "")
            for name, arrays in self.sets.items()
            for number in arrays["number"]
        }

    def snapshots(self, name: str, state: str, count: int | None = None) -> Iterator[Snapshot]:
        """Snapshots of the first ``count`` trajectories of ``liquid``, ``glass`` or ``cooling``."""
        from vitrine.physics.lennard_jones import energies_and_virial, wrap

        source, arrays = self.source, self.sets.get(name, {"number": ()})
        lengths = np.full(2, float(np.sqrt(source.particles / source.density)))
        phase = "liquid" if name == "liquid" else "glass"
        at = source.temperature if phase == "liquid" else source.glass_temperature
        for t, number in list(enumerate(arrays["number"]))[:count]:
            kinds = arrays["kinds"][t].astype(np.int64)
            for k in range(arrays["inherent"].shape[1]):
                temperature = float(arrays["temperatures"][k]) if name == "cooling" else at
                states = {}
                for shown in {"inherent", state}:
                    positions = wrap(arrays[shown][t, k].astype(np.float64), lengths)
                    found = energies_and_virial(positions, lengths, kinds)
                    states[shown] = (positions, found.energy, found.pressure)
                yield Snapshot(
                    group=source.trajectory_id(phase, int(number)),
                    number=f"T{temperature:g}" if name == "cooling" else str(k + 1),
                    phase=phase,
                    temperature=temperature,
                    inherent_energy=float(states["inherent"][1].mean()),
                    lengths=lengths,
                    kinds=kinds,
                    states=states,
                )


class ReleasedLiquids(View):
    """Liquids and glasses that were simulated before; nothing is simulated."""

    kind: Literal["released-liquids"] = "released-liquids"
    name: str = Field(
        "lj65-n200", description="name of a set that ships with vitrine, or path of an .h5 file"
    )
    liquids: int | None = Field(None, ge=0, description="trajectories of liquids, the first; all by default")
    glasses: int | None = Field(None, ge=0, description="glasses, the first; all by default")

    yields: ClassVar[str] = "atoms"
    summary: ClassVar[str] = "2-D Lennard-Jones liquids and glasses that ship with vitrine"

    def citations(self) -> tuple[str, ...]:
        """DOIs: as the source that made them."""
        return LennardJones2D().citations()

    def recipe(self) -> dict[str, Any]:
        """The set's content, not its name."""
        settings = self.model_dump(mode="json", exclude={"kind", "name"})
        return {
            "part": type(self).__name__,
            "version": self.version,
            "sha256": hash_file(find_set(self.name, LIQUIDS)),
            "settings": settings,
        }

    def tasks(self) -> list[Task]:
        """Nothing to compute."""
        return []

    def samples(self, outcomes: Sequence[Outcome]) -> Samples:
        """What the view shows of the set.

        Raises
        ------
        DataError: no such set, a damaged one, fewer trajectories than asked for, or see :meth:`View.seen`.
        """
        path = find_set(self.name, LIQUIDS)
        there = read_set(path)
        wanted = {"cooling": self.glasses} if self.state == "cooling" else {}
        wanted = wanted or {"liquid": self.liquids, "glass": self.glasses}
        snapshots: list[Snapshot] = []
        for name, count in wanted.items():
            holds = len(there.sets[name]["number"]) if name in there.sets else 0
            if holds < (count or 0):
                raise DataError(f"{path} holds {holds} of {name}; {count} were asked for")
            snapshots += there.snapshots(name, "inherent" if name == "cooling" else self.state, count)
        if not snapshots:
            raise DataError(f"{path} holds nothing in the state {self.state!r}, or nothing was asked for")
        about = {**there.about, "released": path.stem, "sha256": hash_file(path)}
        return self.seen(snapshots, about, {})


# ---------------------------------------------------------------- files


def read_set(path: Path) -> LiquidSet:
    """Read a file.

    Raises
    ------
    DataError: not such a file, or a damaged one.
    """
    with opened(path, LIQUIDS) as file:
        return _read(file)


def _read(file: Any) -> LiquidSet:
    """All of an open file, looked at before room is made for it."""
    found = LiquidSet(settings_of(file))
    try:
        particles = found.source.particles
    except ValueError as error:
        raise ValueError(f"its attribute about holds no settings of {LIQUIDS.name}: {error}") from error
    for name in file["phases"]:
        if name not in SETS:
            raise ValueError(f"/phases/{name} is none of {', '.join(SETS)}")
        group = file["phases"][name]
        t, m = group["inherent"].shape[:2]
        shapes: dict[str, tuple[int, ...]] = {"number": (t,), "kinds": (t, particles)}
        shapes |= dict.fromkeys(_STATES_OF[name], (t, m, particles, 2))
        if name == "cooling":
            shapes["temperatures"] = (m,)
        arrays: dict[str, Any] = {key: read_array(group, key, shape) for key, shape in shapes.items()}
        for key in ("number", "kinds"):
            arrays[key] = arrays[key].astype(np.int64)
        if arrays["kinds"].size and not 0 <= arrays["kinds"].min() <= arrays["kinds"].max() <= 1:
            raise ValueError(f"{group.name}/kinds should be 0 or 1")
        if len(set(arrays["number"])) != t:
            raise ValueError(f"{group.name}/number holds a trajectory twice")
        found.sets[name] = arrays
    return found


def write_set(path: Path, found: LiquidSet) -> None:
    """Write a file, complete or not at all.

    Raises
    ------
    DataError: it cannot be written.
    """
    import h5py

    kinds = {"number": np.int64, "kinds": np.uint8, "temperatures": np.float64, "inherent": np.float64}
    packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
    # HDF5 ends the process when a disk is full: let it write to memory
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        about = json.dumps(found.about, sort_keys=True)
        file.attrs.update({"format": LIQUIDS.format, "about": about, "left_out": "{}"})
        file.attrs["command"] = found.command
        for name, arrays in sorted(found.sets.items()):
            group = file.create_group(f"phases/{name}")
            for key, values in sorted(arrays.items()):
                data = np.asarray(values).astype(kinds.get(key, np.float32))
                group.create_dataset(key, data=data, chunks=data.shape if data.size else None, **packed)
    replace_file(path, content.getbuffer())


def _joined(outcomes: Sequence[Outcome], numbers: Mapping[str, int], before: LiquidSet) -> LiquidSet:
    """The set with what these tasks made, in order of the numbers."""
    from vitrine.physics.lj_files import CURVE, TRAJECTORY, read_curve, read_trajectory

    new: dict[str, list[dict[str, Any]]] = {name: [] for name in SETS}
    for outcome in outcomes:
        if outcome.folder is None:
            continue
        name = "cooling" if outcome.kind == "curve" else outcome.kind
        cooling = name == "cooling"
        data = read_curve(outcome.folder / CURVE) if cooling else read_trajectory(outcome.folder / TRAJECTORY)
        new[name].append(
            {"number": numbers[outcome.label], **{k: data[k] for k in ("kinds", *_STATES_OF[name])}}
        )
        if cooling:
            new[name][-1]["temperatures"] = data["temperatures"]
    joined = LiquidSet(before.about, dict(before.sets))
    for name, parts in new.items():
        if not parts:
            continue
        keys = ("number", "kinds", *_STATES_OF[name])
        arrays = {key: np.stack([np.asarray(part[key]) for part in parts]) for key in keys}
        old = before.sets.get(name)
        if old is not None:
            arrays = {key: np.concatenate([old[key], arrays[key]]) for key in keys}
        order = np.argsort(arrays["number"], kind="stable")
        joined.sets[name] = {key: values[order] for key, values in arrays.items()}
        if name == "cooling":
            joined.sets[name]["temperatures"] = parts[0]["temperatures"]
    return joined


def export_set(source: LennardJones2D, out: Path, compute: Compute) -> Iterator[str]:
    """Simulate what ``out`` does not hold yet and add it; yields lines for the user.

    Raises
    ------
    DataError: ``out`` is another kind of file, or was made with other settings.
    TaskError: every simulation failed.
    """
    about = {key: value for key, value in source.about().items() if key not in VIEW}
    check_same_settings(out, about, source.not_determining, LIQUIDS)
    before = read_set(out) if out.exists() else LiquidSet(about)
    there = before.ids()
    trajectories = source.model_copy(update={"state": "inherent"}).tasks()
    tasks = [task for task in [*trajectories, *source.curve_tasks()] if task.label not in there]
    yield f"{len(there)} trajectories are in {out} already, {len(tasks)} to make"
    outcomes = compute(tasks)
    failed = [outcome for outcome in outcomes if outcome.folder is None]
    for outcome in failed:
        yield f"left out: {outcome.label}: {outcome.error}"
    if tasks and len(failed) == len(tasks):
        raise TaskError(f"none of {len(tasks)} trajectories could be made; nothing is written to {out}")
    if tasks:
        numbers = {task.label: _number(task) for task in tasks}
        write_set(out, _joined(outcomes, numbers, before))
    yield f"wrote {len(tasks) - len(failed)} trajectories to {out}"


def _number(task: Task) -> int:
    """Of the trajectory that a task makes or follows."""
    trajectory = task.needs[0] if task.needs else task
    return int(trajectory.arguments["number"])


if __name__ == "__main__":
    import sys

    read_apart(Path(sys.argv[1]), LIQUIDS, _read)
