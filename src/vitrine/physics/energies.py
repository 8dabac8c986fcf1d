"""Energies and stresses of :class:`ase.Atoms` by LAMMPS, as they are or relaxed first."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError
from vitrine.physics.observation import observe

if TYPE_CHECKING:
    from ase import Atoms

    from vitrine.samples import Int

NOT_AT_MINIMUM = 0.05
"""eV/Å: the largest force above which a configuration is no inherent structure"""
TOLERANCE = 1e-4
"""eV/Å: norm of all forces down to which a configuration is relaxed"""


@dataclass(frozen=True)
class Energies:
    """What LAMMPS says of a configuration.

    atoms: a copy with the arrays ``energy`` (n,) eV and ``stress`` (n, 6) eV (stress times volume,
    xx yy zz yz xz xy, tension positive), and relaxed positions if that was asked for.
    largest_force: eV/Å, of these positions; force_before: before they were relaxed, else None.
    """

    atoms: Atoms
    largest_force: float
    force_before: float | None

    @property
    def at_minimum(self) -> bool:
        """Whether no force exceeds :data:`NOT_AT_MINIMUM`."""
        return self.largest_force <= NOT_AT_MINIMUM

    def __str__(self) -> str:
        """What was done, in a line."""
        if self.force_before is None:
            return f"taken as it is: largest force {self.largest_force:.2g} eV/Å"
        return f"relaxed: largest force {self.force_before:.2g} -> {self.largest_force:.2g} eV/Å"


def with_energies(atoms: Atoms, potential: str, where: str, *, relax: bool = False) -> Energies:
    """Compute energies and stresses of a periodic configuration.

    Parameters
    ----------
    potential: eam.fs or eam.alloy file, or the name of one that ships with LAMMPS.
    where: name of the configuration, for messages.
    relax: minimise the positions first, at constant cell, to :data:`TOLERANCE`. Each atom stays in
        the image of the box that it is in.

    Raises
    ------
    DataError: a potential without these elements, or positions that are none.
    MissingExtra: LAMMPS is not installed. EngineError: it stopped.
    """
    elements = sorted(set(atoms.get_chemical_symbols()))
    cell = np.asarray(atoms.cell)
    try:
        with tempfile.TemporaryDirectory(prefix="vitrine-") as folder:
            found = observe(
                atoms.positions,
                cell,
                kinds_of(atoms, elements, "the list of types") + 1,
                elements,
                potential,
                Path(folder),
                relax=TOLERANCE if relax else None,
            )
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    result: Atoms = atoms.copy()
    if relax:
        moved = (found.positions - atoms.positions) @ np.linalg.inv(cell)
        result.positions = atoms.positions + (moved - np.round(moved)) @ cell
    result.arrays["energy"], result.arrays["stress"] = found.energy, found.stress
    return Energies(result, found.largest_force, found.force_before if relax else None)


def kinds_of(atoms: Atoms, elements: Sequence[str], who: str) -> Int:
    """(n,) int64: index of each atom's element among ``elements``.

    who: what describes these elements, for messages.

    Raises
    ------
    DataError: an element that is not among them.
    """
    from ase.data import chemical_symbols

    present, which = np.unique(atoms.numbers, return_inverse=True)
    symbols = [chemical_symbols[number] for number in present]
    strange = [symbol for symbol in symbols if symbol not in elements]
    if strange:
        raise DataError(f"{who} describes {', '.join(elements)}; it has no {', '.join(strange)}")
    kinds: Int = np.array([list(elements).index(symbol) for symbol in symbols])[which]
    return kinds
