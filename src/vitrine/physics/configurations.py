"""Read a user's own configurations: LAMMPS dumps and data files, extxyz, POSCAR, CIF."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError, did_you_mean
from vitrine.physics.extended_xyz import check_extxyz
from vitrine.physics.formulas import ALL_ELEMENTS
from vitrine.physics.lammps_data import check_data_file
from vitrine.physics.lammps_dump import read_dump

if TYPE_CHECKING:
    from ase import Atoms

MASS_TOLERANCE = 0.05
"""u: masses of a data file name elements only if all of them are this close to an element's."""

PLANE = 1e-6
"""How much z may differ among atoms of a plane."""
FARTHEST = 1e6
"""Boxes: an unwrapped position beyond is no position, and its place in the box is rounded away."""

WHOLE = {"stress": 1, "dipole": 1, "polarization": 1, "dielectric_tensor": 2}
"""Dimensions of results of a whole configuration that are not plain numbers."""

EXPECTED = {
    "lammps-dump-text": "frames of 'ITEM:' lines as LAMMPS writes them",
    "lammps-data": "a header, a box and the sections 'Masses' and 'Atoms' of style atomic, charge or full",
    "extxyz": "the number of atoms, a line with Lattice= and Properties=, and a line per atom",
    "cif": "a data_ block with the lengths and angles of the cell and a loop of atom sites",
    "vasp": "title, scale, three cell vectors, symbols, numbers of atoms, Direct or Cartesian, positions",
}
"""What a file of each kind holds, for messages."""


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
        raise DataError(f"{path} is a folder; give a file" if path.is_dir() else f"{path}: no such file")
    kind = _format(path)
    try:
        frames = _read(path, kind)
    except DataError:
        raise
    except Exception as error:  # ASE's readers raise anything on broken files
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read as {kind} ({words}); expected {EXPECTED[kind]}") from error
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
    if start.startswith(b"\x1f\x8b"):
        raise DataError(f"{path} is compressed by gzip; unpack it first")
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
        check_data_file(path)
        atoms = read(path, format=kind, sort_by_id=True)
        assert not isinstance(atoms, list)
        return [atoms]
    if kind == "extxyz":
        check_extxyz(path)
    elif kind == "vasp":
        _check_poscar(path)
    with warnings.catch_warnings():
        # of a row that is too long or too short, of which ASE leaves the rest out
        warnings.filterwarnings("error", message="Wrong number")
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # of a cell that is refused below
        frames = read(path, index=":", format=kind)
    return frames if isinstance(frames, list) else [frames]


def _check_poscar(path: Path) -> None:
    """ASE makes room for as many atoms as the file announces before it looks for them."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines[5:7]:  # the counts come after the symbols, or in their place
        words = line.partition("!")[0].split()
        if words and all(word.isascii() and word.isdigit() for word in words):
            count = sum(int(word[:18]) for word in words)
            if count > len(lines):
                raise DataError(f"{path} is cut short: {count} atoms announced, {len(lines)} lines in all")
            return
    raise DataError(f"{path}: not a POSCAR: no numbers of atoms in line 6 or 7")


def describe_types(frames: Sequence[Atoms], elements: Sequence[str] | None) -> tuple[str, str | None]:
    """What the atoms of a file were taken for, in a line, and what speaks against it.

    Parameters
    ----------
    frames: as :func:`read_configurations` returns them. elements: as it was given.
    """
    from ase.data import chemical_symbols

    pairs: dict[int, str] = {}
    masses: dict[int, float] = {}
    counts: dict[str, int] = {}
    for atoms in frames:
        for number, count in zip(*np.unique(atoms.numbers, return_counts=True), strict=True):
            symbol = chemical_symbols[number]
            counts[symbol] = counts.get(symbol, 0) + int(count)
        if "type" not in atoms.arrays:
            continue
        mass = atoms.arrays.get("masses", atoms.arrays.get("mass"))
        for kind, first in zip(*np.unique(atoms.arrays["type"], return_index=True), strict=True):
            pairs.setdefault(int(kind), chemical_symbols[atoms.numbers[first]])
            if mass is not None:
                masses.setdefault(int(kind), float(mass[first]))
    words = f"{len(frames)} frame{'s' * (len(frames) > 1)} of {len(frames[0]):,} atoms"
    if not pairs:
        return f"{words}, elements as in the file: {', '.join(sorted(counts))}", None
    shown = [
        f"type {kind} = {pairs[kind]}" + (f" (mass {masses[kind]:g})" if kind in masses else "")
        for kind in sorted(pairs)
    ]
    named = "by --elements" if elements is not None else "as the file says"
    against = [_against_mass(kind, pairs[kind], masses[kind]) for kind in sorted(masses)]
    return f"{words}, {', '.join(shown)} {named}", next(filter(None, against), None)


def _against_mass(kind: int, symbol: str, mass: float) -> str | None:
    """Words, if the mass of a type is that of another element."""
    from ase.data import atomic_masses, atomic_numbers, chemical_symbols

    own = float(atomic_masses[atomic_numbers[symbol]])
    nearest = int(np.argmin(np.abs(atomic_masses[1:] - mass))) + 1
    if chemical_symbols[nearest] == symbol or abs(own - mass) < 1 or mass < 1.5:  # 1 is a unit
        return None
    if abs(float(atomic_masses[nearest]) - mass) > MASS_TOLERANCE:
        return None
    return (
        f"type {kind} is taken for {symbol}, but its mass is {mass:g}, that of {chemical_symbols[nearest]}; "
        "are the symbols of --elements in the order of the types?"
    )


def checked_copy(atoms: Atoms, where: str) -> Atoms:
    """A configuration in memory as one that was read: checked, per-atom results as named arrays.

    Raises
    ------
    DataError: no atoms, a position that is not finite, or not periodic.
    """
    copy: Atoms = atoms.copy()
    copy.calc = atoms.calc  # a copy leaves it behind
    _check(copy, where)
    _keep_columns(copy)
    return copy


def _check(atoms: Atoms, where: str) -> None:
    if not len(atoms):
        raise DataError(f"{where} holds no atoms")
    if not np.isfinite(atoms.positions).all():
        bad = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise DataError(f"{where}: the position of atom {bad + 1} is not finite")
    if _in_a_plane(atoms):
        return
    cell = np.asarray(atoms.cell)
    with np.errstate(all="ignore"):
        volume = abs(np.linalg.det(cell))
    if not atoms.pbc.all() or not cell.any():
        raise DataError(f"{where}: needs a box that is periodic in all three directions")
    if not 1e-9 <= volume < np.inf:
        raise DataError(f"{where}: the box must have a finite volume above 0, not {volume:g} Å^3")
    far = np.abs(atoms.cell.scaled_positions(atoms.positions)).max(axis=1) > FARTHEST
    if far.any():
        bad = int(np.flatnonzero(far)[0])
        raise DataError(f"{where}: atom {bad + 1} is more than {FARTHEST:g} boxes away from the box")


def _in_a_plane(atoms: Atoms) -> bool:
    """Whether all atoms have one z and the box is a rectangle that ends there: what z needs is made up."""
    cell = np.asarray(atoms.cell, dtype=np.float64)
    if atoms.pbc[2] or not atoms.pbc[:2].all() or np.ptp(atoms.positions[:, 2]) > PLANE:
        return False
    if not (np.isfinite(cell).all() and cell[0, 0] > 0 and cell[1, 1] > 0):
        return False
    if not cell[2].any():
        cell[2, 2] = 1.0
        atoms.set_cell(cell)
    return True


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
    unknown = [symbol for symbol in elements if symbol not in ALL_ELEMENTS]
    if unknown:
        known = did_you_mean(unknown[0], ALL_ELEMENTS) if unknown[0].capitalize() in ALL_ELEMENTS else ""
        raise DataError(f"--elements: {unknown[0]!r} is not a chemical symbol{known}")
    atoms.numbers = np.array([atomic_numbers[elements[t - 1]] for t in types])


def _named_by_mass(atoms: Atoms) -> bool:
    from ase.data import atomic_masses

    masses = atoms.arrays.get("masses")
    if masses is None or atoms.numbers.max() <= atoms.arrays["type"].max():
        return False  # a mass of 1 is a unit more often than it is hydrogen
    return bool((np.abs(masses - atomic_masses[atoms.numbers]) < MASS_TOLERANCE).all())
