"""A user's own configurations of atoms, from files, with energies and stresses if they lack them.

What cannot be used is named with file and frame before anything is learned from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.arrays import hash_file, load_arrays
from vitrine.errors import DataError, StudyError, did_you_mean
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.tasks import Outcome, Task, digest

if TYPE_CHECKING:
    from ase import Atoms

    from vitrine.samples import Float

FIELDS = ("energy", "stress")
ENERGIES = "energies.npz"
FILE = "file"
"""what stays together unless the user names something else"""


class Configurations(Part):
    """Frames of files; each is a sample, called ``<file>-<frame>``.

    With ``compute``, frames that lack the columns ``energy`` and ``stress`` get both from LAMMPS: one task
    per configuration, as it is (relaxing is the user's business). A frame for which that fails is left out.
    """

    summary: ClassVar[str] = "your own configurations: LAMMPS dumps and data files, extxyz, POSCAR, CIF"
    version: ClassVar[int] = 1
    yields: ClassVar[str] = "atoms"

    kind: Literal["configurations"] = "configurations"
    files: tuple[str, ...] = Field(
        min_length=1, description="paths, or patterns such as quenches/*.dump, of files that are read whole"
    )
    elements: tuple[str, ...] | None = Field(
        None, description="symbols of atom types 1, 2, ..., where files name types only"
    )
    potential: str | None = Field(
        None, description="eam.fs or eam.alloy file: of the energies, and for second derivatives"
    )
    group_by: str = Field(
        FILE, min_length=1, description="what stays together in a split: file, or a key of each frame's info"
    )
    direction: str | None = Field(
        None,
        description="load of all frames, such as xy, or the key of each frame's info that names it; by "
        "default its key direction, if it has one",
    )
    compute: bool = Field(
        False, description="compute energies and stresses by LAMMPS where a frame lacks them"
    )

    def recipe(self) -> dict[str, Any]:
        """As for every part, with the content of files and potential in place of their paths."""
        from vitrine.physics.lammps import potential_hash

        recipe = super().recipe()
        recipe["settings"]["files"] = [hash_file(path) for path in self._paths()]
        if self.potential is not None:
            recipe["settings"]["potential"] = potential_hash(self.potential)
        return recipe

    def citations(self) -> tuple[str, ...]:
        """LAMMPS, if it computes."""
        return ("10.1016/j.cpc.2021.108171",) if self.compute else ()

    def tasks(self) -> list[Task]:
        """One for each configuration without energies and stresses, if they are to be computed.

        Raises
        ------
        DataError: a file, a frame or what is said about it cannot be used. StudyError: ``compute``
            without a potential.
        """
        if not self.compute:
            return []
        if self.potential is None:
            raise StudyError(
                "source.compute: energies and stresses need source.potential, an eam.fs or eam.alloy file "
                "such as CuZr_mm.eam.fs, which ships with LAMMPS"
            )
        frames = [frame for frame in self._frames() if _lacking(frame.atoms)]
        self._check_potential(frames)
        tasks = [self._task(frame) for frame in frames]
        return list({task.key: task for task in reversed(tasks)}.values())[::-1]

    def samples(self, outcomes: Sequence[Outcome] = ()) -> Samples:
        """The frames, with the energies and stresses that were computed.

        Raises
        ------
        DataError: a file, a frame or what is said about it cannot be used.
        """
        made = {outcome.key: outcome for outcome in outcomes}
        items, left_out, forces = [], {}, []
        for frame in self._frames():
            if self.compute and _lacking(frame.atoms):
                outcome = made[self._task(frame).key]
                if outcome.folder is None:
                    left_out[frame.name] = str(outcome.error)
                    continue
                found = _read_energies(outcome.folder / ENERGIES, len(frame.atoms))
                for name in FIELDS:
                    frame.atoms.arrays.setdefault(name, found[name])
                forces.append(float(found["largest_force"]))
            items.append(frame.atoms)
        return Samples(
            kind="atoms",
            items=items,
            ids=tuple(atoms.info["id"] for atoms in items),
            groups=tuple(atoms.info["group"] for atoms in items),
            about=self._about(items, forces),
            left_out=left_out,
        )

    def _about(self, items: Sequence[Atoms], forces: Sequence[float]) -> dict[str, Any]:
        from vitrine.physics.energies import NOT_AT_MINIMUM
        from vitrine.physics.lammps import potential_hash

        files = [{"name": path.name, "sha256": hash_file(path)} for path in self._paths()]
        found = {symbol for atoms in items for symbol in set(atoms.get_chemical_symbols())}
        about: dict[str, Any] = {
            "files": files,
            "sha256": digest([file["sha256"] for file in files]),
            "elements": list(self.elements or sorted(found)),
            "group_by": self.group_by,
        }
        if self.potential is not None:
            about |= {"potential": self.potential, "potential_sha256": potential_hash(self.potential)}
        moving = [force for force in forces if force > NOT_AT_MINIMUM]
        if moving:
            about["note"] = (
                f"a set of {len(items)} configurations of which {len(moving)} are no energy minimum (largest "
                f"force {max(moving):.2g} eV/Å)"
            )
        return about

    def _check_potential(self, frames: Sequence[_Frame]) -> None:
        """Before any work: a potential that fits no frame is a slip."""
        from vitrine.physics.energies import kinds_of
        from vitrine.physics.lammps import find_potential, potential_style
        from vitrine.physics.setfl import potential_elements

        path = find_potential(str(self.potential))
        potential_style(path)
        known = potential_elements(path)
        troubles: list[DataError] = []
        for frame in frames:
            try:
                kinds_of(frame.atoms, known, f"source.potential: {self.potential}")
                return
            except DataError as error:
                troubles.append(error)
        if troubles:
            raise DataError(f"{frames[0].where}: {troubles[0]}")

    def _task(self, frame: _Frame) -> Task:
        assert self.potential is not None
        from vitrine.physics.lammps import potential_hash

        atoms = frame.atoms
        arrays = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": np.asarray(atoms.cell)}
        content = hashlib.sha256()
        for array in arrays.values():
            content.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
        return Task(
            label=frame.name,
            kind="energies",
            recipe={
                "version": self.version,
                "configuration": content.hexdigest(),
                "potential": potential_hash(self.potential),
            },
            function=store_energies,
            arguments={**arrays, "potential": self.potential},
        )

    # ------------------------------------------------------------------ reading

    def _paths(self) -> list[Path]:
        """The files in the order of the settings, those of a pattern by name; each once.

        Raises
        ------
        DataError: no such file, a pattern that matches none, or one file under two names.
        """
        found: dict[Path, None] = {}
        for text in self.files:
            path = Path(text).expanduser()
            if path.is_file():
                found[path] = None
                continue
            pattern = any(sign in text for sign in "*?[")
            start = Path(path.anchor)
            matched = sorted(start.glob(str(path.relative_to(start)))) if pattern else []
            matched = [file for file in matched if file.is_file()]
            if not matched:
                what = "matches no file" if pattern else "no such file"
                raise DataError(f"source.files: {text}: {what} (looked from {Path.cwd()})")
            found |= dict.fromkeys(matched)
        same: dict[str, Path] = {}
        for path in found:
            other = same.setdefault(hash_file(path), path)
            if other != path:
                raise DataError(
                    f"source.files: {path} and {other} are one file by their content: its atoms would be in "
                    "training and in test; name it once"
                )
        return list(found)

    def _frames(self) -> list[_Frame]:
        from vitrine.physics.configurations import read_configurations

        paths = self._paths()
        names = _names(paths)
        frames = []
        for path in paths:
            try:
                read = read_configurations(path, self.elements)
            except DataError as error:  # which speaks of the command line
                words = str(error).replace("--elements Cu,Zr", "source.elements: [Cu, Zr]")
                raise DataError(words.replace("--elements", "source.elements")) from error
            for number, atoms in enumerate(read, start=1):
                where = f"{path}, frame {number}"
                name = f"{names[path]}-{number}"
                direction = self._direction(atoms, where)
                group = (
                    names[path] if self.group_by == FILE else _info(atoms, self.group_by, where, "group_by")
                )
                atoms.info |= {"id": name, "group": group}
                if direction is not None:
                    atoms.info["direction"] = direction
                frames.append(_Frame(name, where, atoms))
        return frames

    def _direction(self, atoms: Atoms, where: str) -> str | None:
        from vitrine.physics.rotation import DIRECTIONS

        if self.direction in DIRECTIONS:
            return self.direction
        if self.direction is None and "direction" not in atoms.info:
            return None
        key = self.direction or "direction"
        found = _info(atoms, key, where, "direction")
        if found not in DIRECTIONS:
            raise DataError(
                f"{where}: {key} is {found!r}, which is no shear direction{did_you_mean(found, DIRECTIONS)}"
            )
        return found


@dataclass(frozen=True)
class _Frame:
    name: str
    where: str
    atoms: Atoms


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """A short name for each file: without its ending, else as much of its path as tells them apart."""
    names = {path: path.stem for path in paths}
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        if len(set(names.values())) == len(paths):
            break
        names = {path: "/".join(path.parts[-parts:]) for path in paths}
    return names


def _info(atoms: Atoms, key: str, where: str, setting: str) -> str:
    """What a frame says under a key, as text."""
    known = [name for name, value in atoms.info.items() if np.ndim(value) == 0]
    if key not in known:
        raise DataError(f"{where} has no {key!r} (source.{setting}){did_you_mean(key, known)}")
    return str(atoms.info[key])


def _lacking(atoms: Atoms) -> bool:
    return not set(FIELDS) <= set(atoms.arrays)


def store_energies(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    numbers: Any,
    positions: Float,
    cell: Float,
    potential: str,
) -> None:
    """Write ``energies.npz``: energy (n,) eV, stress (n, 6) eV and the largest_force, eV/Å.

    Raises
    ------
    DataError: a potential without these elements. EngineError: LAMMPS stopped.
    """
    from ase import Atoms

    from vitrine.physics.energies import with_energies

    atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    found = with_energies(atoms, potential, "this configuration")
    energy, stress = (found.atoms.arrays[name] for name in FIELDS)
    if not (np.isfinite(energy).all() and np.isfinite(stress).all()):
        raise DataError("its energies are not finite; are two atoms in one place?")
    np.savez(folder / ENERGIES, energy=energy, stress=stress, largest_force=found.largest_force)


def _read_energies(path: Path, n: int) -> dict[str, Any]:
    arrays = load_arrays(path, "energies")
    shapes = {"energy": (n,), "stress": (n, 6), "largest_force": ()}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise DataError(f"{path} holds no energies of {n} atoms")
    return arrays
