"""Read a user's own configurations: LAMMPS dumps and data files, extxyz, POSCAR, CIF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError
from vitrine.physics.lammps_dump import read_dump

if TYPE_CHECKING:
    from ase import Atoms

MASS_TOLERANCE = 0.05
"""u: masses of a data file name elements only if all of them are this close to an element's."""


WHOLE = {"stress": 1, "dipole": 1, "polarization": 1, "dielectric_tensor": 2}
"""Dimensions of results of a whole configuration that are not plain numbers."""


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
    except Exception as error:  # ASE's readers raise anything on broken files
        words = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} cannot be read as {kind}: {words}") from error
    if not frames:
        raise DataError(f"{path} holds no atoms")
    for number, atoms in enumerate(frames):
        where = str(path) if len(frames) == 1 else f"{path}, frame {number + 1}"
        _check(atoms, where)
        _keep_columns(atoms)
        if "type" in atoms.arrays and kind.startswith("lammps"):
            _name_elements(atoms, elements, where, kind)
    return frames


def _format(path: Path) -> str:
    name = path.name.lower()
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
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
    if kind == "lammps-dump-text":
        return read_dump(path)
    from ase.io import read

    if kind == "lammps-data":
        _check_data_file(path)
        atoms = read(path, format=kind, sort_by_id=True)
        assert not isinstance(atoms, list)
        if len(atoms) and not atoms.arrays["type"].all():
            # ASE sorts the atoms, but not their labels
            raise DataError(f"{path}: its section 'Atoms' must name types by number, not by label")
        return [atoms]
    frames = read(path, index=":", format=kind)
    return frames if isinstance(frames, list) else [frames]


def _check_data_file(path: Path) -> None:
    """ASE takes a missing box for a cube of 1 Å, and stumbles over a missing end."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    section = next((n for n, line in enumerate(lines) if re.match(r"\s*Atoms\b", line)), None)
    header = "\n".join(lines[1:section])
    count = re.search(r"^\s*(\d+)\s+atoms\b", header, re.MULTILINE)
    if section is None or count is None:
        missing = "line '<number> atoms'" if count is None else "section 'Atoms'"
        raise DataError(f"{path}: not a data file of LAMMPS: it has no {missing}")
    if not re.search(r"\bzlo\s+zhi\b|\bcvec\b", header):
        raise DataError(f"{path}: its header gives no box (a line such as '0.0 20.0 xlo xhi' per direction)")
    rows = [line for line in lines[section + 1 :] if line.strip()][: int(count[1])]
    rows = rows[: next((n for n, row in enumerate(rows) if not row.split()[0].isdigit()), len(rows))]
    if len(rows) < int(count[1]):
        raise DataError(
            f"{path} is cut short: {count[1]} atoms announced, {len(rows)} lines in section 'Atoms'"
        )


def _check(atoms: Atoms, where: str) -> None:
    if not len(atoms):
        raise DataError(f"{where} holds no atoms")
    if not np.isfinite(atoms.positions).all():
        bad = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise DataError(f"{where}: the position of atom {bad + 1} is not finite")
    cell = np.asarray(atoms.cell)
    if not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-9 or not atoms.pbc.all():
        raise DataError(f"{where}: needs a box that is periodic in all three directions")


def _keep_columns(atoms: Atoms) -> None:
    """ASE takes columns named ``energy``, ``stress``, ``forces`` ... for results of a calculator."""
    results = getattr(atoms.calc, "results", {})
    for name, value in results.items():
        array = np.asarray(value)
        whole = WHOLE.get(name, 0)  # dimensions of the quantity of the whole configuration
        if array.ndim > whole and len(array) == len(atoms):
            atoms.arrays[name] = array
        elif value is not None:
            atoms.info[name] = value
    atoms.calc = None


def _name_elements(atoms: Atoms, elements: Sequence[str] | None, where: str, kind: str) -> None:
    """LAMMPS numbers its types; ASE takes the numbers for hydrogen, helium ..."""
    from ase.data import atomic_numbers

    types = atoms.arrays["type"].astype(int)
    if elements is None:
        if "element" in atoms.arrays or (kind == "lammps-data" and _named_by_mass(atoms)):
            return
        raise DataError(
            f"{where} names atom types 1 to {types.max()}, not elements; give them in order, "
            "for example --elements Cu,Zr"
        )
    if types.min() < 1 or types.max() > len(elements):
        strange = types.min() if types.min() < 1 else types.max()
        raise DataError(
            f"{where} has the atom type {strange}, but --elements names types 1 to {len(elements)}"
        )
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
    if unknown:
        raise DataError(f"--elements: {unknown[0]!r} is not a chemical symbol")
    atoms.numbers = np.array([atomic_numbers[elements[t - 1]] for t in types])


def _named_by_mass(atoms: Atoms) -> bool:
    from ase.data import atomic_masses

    masses = atoms.arrays.get("masses")
    if masses is None or atoms.numbers.max() <= atoms.arrays["type"].max():
        return False  # a mass of 1 is a unit more often than it is hydrogen
    return bool((np.abs(masses - atomic_masses[atoms.numbers]) < MASS_TOLERANCE).all())
