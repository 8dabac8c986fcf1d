"""Released sets of sheared glasses: HDF5 files that ship with the package, or a user's own.

Layout: ``/specimens/<id>`` holds ``positions`` (n, 3) float64 Å, ``cell`` (3, 3), ``numbers`` (n,) uint8,
``energy`` (n,) float32 eV, ``stress`` (n, 6) float32 eV and, below ``directions/<direction>``,
``d2min`` (n,) float32 Å^2 with attributes ``event_strain`` and ``event_atoms``; where the direction was
followed beyond its first event, ``first_strain`` (n,) float32 and the attributes ``followed_to`` and
``follow_step`` too. Attributes of the file say how it was made.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.arrays import hash_file
from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.simulate.metallic_glass import FOLLOWING, NO_EVENT, glass_samples
from vitrine.simulate.released_reader import (
    FORMAT,
    SHEARED,
    Layout,
    find_set,
    left_out_of,
    opened,
    read_specimen,
    replace_file,
    settings_of,
    shipped_names,
)
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    from ase import Atoms


class ReleasedGlass(Part):
    """Specimens that were quenched and sheared before; nothing is simulated."""

    kind: Literal["released-glass"] = "released-glass"
    name: str = Field(
        "cu64zr36-n500", description="name of a set that ships with vitrine, or path of an .h5 file"
    )
    specimens: int | None = Field(None, ge=1, description="number of specimens; all by default")
    first: int = Field(1, ge=1, description="position of the first specimen, counted from 1")

    yields: ClassVar[str] = "atoms"
    summary: ClassVar[str] = "glass specimens that ship with vitrine, sheared to their first events"

    def citations(self) -> tuple[str, ...]:
        """DOIs: the protocol, LAMMPS, and the potential."""
        return ("10.3389/fmats.2022.874339", "10.1016/j.cpc.2021.108171", "10.1063/1.2769157")

    def recipe(self) -> dict[str, Any]:
        """The set's content, not its name."""
        return {
            "part": type(self).__name__,
            "version": self.version,
            "sha256": hash_file(find_released(self.name)),
            "specimens": self.specimens,
            "first": self.first,
        }

    def tasks(self) -> list[Task]:
        """Nothing to compute."""
        return []

    def samples(self, outcomes: Sequence[Outcome]) -> Samples:
        """One sample per specimen and direction."""
        return read_released(find_released(self.name), self.specimens, self.first)


def released_names() -> list[str]:
    """Names of the sets of sheared glasses that ship with the package."""
    return shipped_names(SHEARED)


def find_released(name: str) -> Path:
    """Path of a released set or of the user's own file.

    Raises
    ------
    DataError: there is no such set.
    """
    return find_set(name, SHEARED)


def write_released(path: Path, samples: Samples) -> None:
    """Add samples to a file of released glasses (made if absent); what is there stays.

    Of a sample that is there, only ``first_strain`` is added, or replaced by one that goes farther.
    The file is replaced at the end only, so that nothing is lost if this is interrupted.

    Raises
    ------
    DataError: ``path`` is another kind of file, holds another specimen under the same name, or
        cannot be written.
    """
    import h5py

    there, before = path.exists(), {}
    if there:
        with opened(path) as file:
            before = left_out_of(file)
    # HDF5 ends the process when a disk is full: let it write to memory
    content = io.BytesIO(path.read_bytes() if there else b"")
    with h5py.File(content, "r+" if there else "w", libver="latest") as file:
        if "format" not in file.attrs:
            about = json.dumps(samples.about, sort_keys=True)
            file.attrs.update({"format": FORMAT, "about": about})
            file.create_group("specimens")
        for atoms in samples.items:
            _write_sample(file, atoms, path)
        settings = settings_of(file) | {"specimens": len(file["specimens"])}
        if any("first_strain" in atoms.arrays for atoms in samples.items):
            settings |= {key: samples.about[key] for key in FOLLOWING if key in samples.about}
        file.attrs["about"] = json.dumps(settings, sort_keys=True)
        final = {k: v for k, v in samples.left_out.items() if v.startswith(NO_EVENT)}
        file.attrs["left_out"] = json.dumps(before | final, sort_keys=True)
    replace_file(path, content.getbuffer())


def _write_sample(file: Any, atoms: Atoms, path: Path) -> None:
    name, direction = atoms.info["group"], atoms.info["direction"]
    packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
    specimen = file["specimens"].require_group(name)
    if "positions" not in specimen:
        specimen.create_dataset("positions", data=atoms.positions, **packed)
        specimen.create_dataset("cell", data=np.asarray(atoms.cell))
        specimen.create_dataset("numbers", data=atoms.numbers.astype(np.uint8), **packed)
        for field in ("energy", "stress"):
            specimen.create_dataset(field, data=atoms.arrays[field].astype(np.float32), **packed)
        specimen.create_group("directions")
        if "swap_acceptance" in atoms.info:
            specimen.attrs["swap_acceptance"] = atoms.info["swap_acceptance"]
    elif not np.array_equal(specimen["positions"][()], atoms.positions):
        raise DataError(f"{path} holds another specimen {name}; write to another file")
    if direction not in specimen["directions"]:
        event = specimen["directions"].create_group(direction)
        event.create_dataset("d2min", data=atoms.arrays["d2min"].astype(np.float32), **packed)
        event.attrs.update({key: atoms.info[key] for key in ("event_strain", "event_atoms")})
    event = specimen["directions"][direction]
    if "first_strain" in atoms.arrays and event.attrs.get("followed_to", -1.0) < atoms.info["followed_to"]:
        if "first_strain" in event:
            del event["first_strain"]
        first = atoms.arrays["first_strain"].astype(np.float32)
        event.create_dataset("first_strain", data=first, **packed)
        info = atoms.info
        event.attrs.update({key: info[key] for key in ("followed_to", "follow_step") if key in info})


def released_ids(path: Path) -> set[str]:
    """Ids of what is finished in a file, without event too (empty if there is no such file)."""
    if not path.exists():
        return set()
    with opened(path) as file:
        return set(left_out_of(file)) | {
            f"{name}/{direction}"
            for name, specimen in file["specimens"].items()
            for direction in specimen["directions"]
        }


def check_same_settings(
    path: Path, about: dict[str, Any], free: Collection[str], layout: Layout = SHEARED
) -> None:
    """Refuse to mix what was made differently.

    free: settings that may differ.

    Raises
    ------
    DataError: names the settings that differ.
    """
    if not path.exists():
        return
    with opened(path, layout) as file:
        before = settings_of(file)
    before.setdefault("largest_step", before.get("strain_step"))  # files of before walked in equal steps
    now = json.loads(json.dumps(about))
    differ = sorted(key for key in now if key not in free and before.get(key) != now[key])
    if differ:
        raise DataError(
            f"{path} was made with other settings ("
            + "; ".join(f"{key} {before.get(key)!r}, now {now[key]!r}" for key in differ)
            + "); write to another file"
        )


def read_released(path: Path, specimens: int | None = None, first: int = 1) -> Samples:
    """Samples of a released file, in order of specimen and direction.

    Parameters
    ----------
    specimens: how many to read, all by default. first: position of the first one, from 1.

    Raises
    ------
    DataError: not such a file, a damaged one, or it has fewer specimens than asked for.
    """
    items: list[Atoms] = []
    with opened(path) as file:
        about = settings_of(file)
        names = sorted(file["specimens"])
        wanted = names[first - 1 :][:specimens]
        if not wanted or (specimens is not None and specimens > len(wanted)):
            asked = f"{specimens or 'some'} from number {first} on" if first > 1 else f"{specimens or 'some'}"
            raise DataError(f"{path} holds {len(names)} specimens; {asked} were asked for")
        for name in wanted:
            items += read_specimen(file["specimens"][name], name)
        chosen = set(wanted)
        left_out = {k: v for k, v in left_out_of(file).items() if k.split("/")[0] in chosen}
    return glass_samples(items, {**about, "released": path.stem, "sha256": hash_file(path)}, left_out)
