"""Read and write a user's own configurations: LAMMPS dumps and data files, extxyz, POSCAR, CIF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError

if TYPE_CHECKING:
    from ase import Atoms

_LOST_COLUMNS = re.compile(r"^ITEM: ATOMS (.*)$", re.MULTILINE)


def read_configurations(path: Path, elements: Sequence[str] | None = None) -> list[Atoms]:
    """All frames of a file, with every per-atom column as a named array.

    Parameters
    ----------
    elements: symbol of each atom type, for files that name types only (LAMMPS dumps, data files).

    Raises
    ------
    DataError: no such file, not readable, no atoms, not periodic, or types without elements.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    kind = _format(path)
    try:
        frames = _read(path, kind)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - ASE's readers raise anything on broken files
        raise DataError(f"{path} cannot be read as {kind}: {type(error).__name__}: {error}") from error
    if not frames or not len(frames[0]):
        raise DataError(f"{path} holds no atoms")
    for number, atoms in enumerate(frames):
        where = str(path) if len(frames) == 1 else f"{path}, frame {number + 1}"
        _check(atoms, where)
        if kind.startswith("lammps"):
            _name_elements(atoms, elements, where, path, kind)
    return frames


def _format(path: Path) -> str:
    name = path.name.lower()
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(b"ITEM:"):
        return "lammps-dump-text"
    if name.endswith((".extxyz", ".xyz")):
        return "extxyz"
    if name.endswith((".data", ".lmp")) or re.search(rb"^\s*\d+\s+atom types", start, re.MULTILINE):
        return "lammps-data"
    if name.endswith(".cif"):
        return "cif"
    if "poscar" in name or "contcar" in name or name.endswith(".vasp"):
        return "vasp"
    if name.endswith(".dump"):
        raise DataError(f"{path}: not a text dump of LAMMPS; its first line should be 'ITEM: TIMESTEP'")
    raise DataError(
        f"{path}: unknown kind of file; expected a LAMMPS text dump, a LAMMPS data file (.data), "
        ".extxyz, .cif or POSCAR"
    )


def _read(path: Path, kind: str) -> list[Atoms]:
    from ase.io import read

    if kind == "lammps-data":
        return [read(path, format=kind, sort_by_id=True)]
    frames = read(path, index=":", format=kind)
    frames = frames if isinstance(frames, list) else [frames]
    if kind == "lammps-dump-text":
        header = _LOST_COLUMNS.search(path.read_text(encoding="utf-8", errors="replace")[:20_000])
        columns = header.group(1).split() if header else []
        if "type" not in columns and "element" not in columns:
            raise DataError(f"{path}: its columns ({' '.join(columns)}) name neither type nor element")
    return frames


def _check(atoms: Atoms, where: str) -> None:
    if not np.isfinite(atoms.positions).all():
        bad = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise DataError(f"{where}: the position of atom {bad + 1} is not finite")
    if abs(atoms.cell.volume if atoms.cell.rank == 3 else 0.0) < 1e-9 or not atoms.pbc.all():
        raise DataError(f"{where}: needs a box that is periodic in all three directions")


def _name_elements(
    atoms: Atoms, elements: Sequence[str] | None, where: str, path: Path, kind: str
) -> None:
    """LAMMPS numbers its types; ASE takes the numbers for hydrogen, helium ..."""
    from ase.data import atomic_numbers

    if kind == "lammps-dump-text":
        header = _LOST_COLUMNS.search(path.read_text(encoding="utf-8", errors="replace")[:20_000])
        if header and "element" in header.group(1).split():
            return
    types = atoms.arrays.get("type", atoms.numbers).astype(int)
    if elements is None:
        if kind == "lammps-data" and atoms.numbers.max() > types.max():
            return  # named by their masses
        raise DataError(
            f"{where} names atom types 1 to {types.max()}, not elements; give them in order, "
            "for example --elements Cu,Zr"
        )
    if types.max() > len(elements):
        raise DataError(f"{where} has atom types up to {types.max()}, but --elements names {len(elements)}")
    strange = [symbol for symbol in elements if symbol not in atomic_numbers]
    if strange:
        raise DataError(f"--elements: {strange[0]!r} is not a chemical symbol")
    atoms.numbers = np.array([atomic_numbers[elements[t - 1]] for t in types])
