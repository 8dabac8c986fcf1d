"""One crystal from a file: CIF, POSCAR or extended XYZ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError
from vitrine.physics.crystals import FULL, Structure, check_structure, structure_of_cif

if TYPE_CHECKING:
    from ase import Atoms

ENDINGS = (".cif", ".vasp", ".poscar", ".contcar", ".extxyz", ".xyz")
"""of names of files that hold a crystal, whatever their case"""
OCCUPANCIES = ("occupancy", "occupancies", "occupation")
"""Columns of extended XYZ."""
APART = 0.1
"""Å; nothing is as close as two atoms nearer than this."""


def is_crystal_file(path: Path) -> bool:
    """Whether a name is that of a CIF, POSCAR or extended XYZ file."""
    name = path.name.lower()
    return name.endswith(ENDINGS) or name.startswith(("poscar", "contcar"))


def read_crystal(path: Path) -> Structure:
    """The one crystal in a file, checked.

    Raises
    ------
    DataError: not readable, not one structure, empty, partly occupied, not periodic, an unknown element, no
        volume, or two atoms in one place. The message does not name the file.
    """
    structure = _of_cif(path) if path.name.lower().endswith(".cif") else _of_frames(path)
    check_structure(structure)
    _check_apart(structure)
    return structure


def _of_cif(path: Path) -> Structure:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"is not a text in UTF-8, so no CIF file ({error.reason})") from error
    try:
        return structure_of_cif(text)
    except DataError as error:  # which speaks of a column
        words = str(error).replace("'cif' ", "", 1)
        raise DataError(words) from error


def _of_frames(path: Path) -> Structure:
    from vitrine.physics.configurations import read_configurations

    try:
        frames = read_configurations(path)
    except DataError as error:
        words = str(error)
        for ending in (": ", ", ", " "):
            words = words.removeprefix(f"{path}{ending}")
        raise DataError(words) from error
    if len(frames) != 1:
        raise DataError(f"holds {len(frames)} structures, not one")
    (atoms,) = frames
    _check_atoms(atoms)
    return Structure(
        np.array(atoms.cell, dtype=np.float64),
        tuple(atoms.get_chemical_symbols()),
        atoms.get_scaled_positions(wrap=False),
    )


def _check_atoms(atoms: Atoms) -> None:
    if not atoms.pbc.all():
        raise DataError("is not periodic in all three directions; a crystal needs a cell")
    for name in OCCUPANCIES:
        if name in atoms.arrays and (np.abs(np.asarray(atoms.arrays[name], dtype=float) - 1.0) > FULL).any():
            raise DataError(f"has sites that are partly occupied ({name}); it cannot be used")


def _check_apart(structure: Structure) -> None:
    """Two atoms in one place are a site that is given twice."""
    between = structure.frac[:, None] - structure.frac[None]
    between -= np.rint(between)
    squared = ((between @ structure.cell) ** 2).sum(axis=-1)
    squared[np.diag_indices(len(squared))] = np.inf
    near = np.argwhere(squared < APART**2)
    if len(near):
        one, other = (int(number) + 1 for number in near[0])
        raise DataError(f"has two atoms in one place, {one} and {other} (less than {APART:g} Å apart)")
