"""Crystals by hand: small tables with structures.

Imports nothing heavy: contracts see what the module of a part under test brings along.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitrine.samples import Samples

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms


def perovskite(symbols: Sequence[str] = ("Ca", "Ti", "O", "O", "O"), a: float = 3.9) -> Atoms:
    """ABX3, cubic, five sites."""
    from ase import Atoms

    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Atoms(list(symbols), scaled_positions=sites, cell=[a] * 3, pbc=True)


def crystals() -> list[Atoms]:
    """An oxide, a salt, two elements, an alloy, and a crystal without symmetry."""
    from ase import Atoms
    from ase.build import bulk

    a = 3.75
    alloy = Atoms(
        "Cu3Au", a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]]), cell=[a] * 3, pbc=True
    )
    strained = perovskite(["Ba", "Zr", "O", "O", "S"], 4.2)
    strained.set_cell(strained.cell.array @ [[1, 0.05, 0], [0, 1.03, 0], [0.1, 0, 0.98]], scale_atoms=True)
    strained.positions += np.random.default_rng(0).normal(0.0, 0.1, (5, 3))
    salt, copper = bulk("NaCl", "rocksalt", a=5.64), bulk("Cu", "fcc", a=3.61)
    return [perovskite(), salt, copper, bulk("Mg", "hcp", a=3.21, c=5.21), alloy, strained]


def columns_of(atoms: Atoms) -> dict[str, object]:
    """A row of a table with the columns of a structure."""
    return {
        "formula": atoms.get_chemical_formula(),
        "cell": np.array(atoms.cell.cellpar()),
        "species": np.array(atoms.get_chemical_symbols(), dtype=object),
        "frac": atoms.get_scaled_positions(wrap=False).ravel(),
    }


def samples_of(items: pd.DataFrame) -> Samples:
    """A table, its rows numbered from 1."""
    names = tuple(f"table:{row + 1}" for row in range(len(items)))
    return Samples("formulas", items, names, tuple(items["formula"]))


def crystal_folder(folder: Path, edge: float = 3.6) -> Path:
    """Two crystals of copper and silver, a broken one, and two tables of theirs."""
    folder.mkdir(exist_ok=True)
    for name in ("Cu", "Ag", "Xx"):
        text = f"{name}\n1.0\n{edge} 0 0\n0 {edge} 0\n0 0 {edge}\n{name}\n1\nDirect\n0 0 0\n"
        (folder / f"{name}.vasp").write_text(text)
    (folder / "id_prop.csv").write_text("Cu,1\nAg,2\nXx,3\n")
    (folder / "other.csv").write_text("id,e,target\nCu,1,3\nAg,2,4\n")
    return folder


def crystal_samples() -> Samples:
    """The table of :func:`crystals`."""
    import pandas as pd

    return samples_of(pd.DataFrame([columns_of(atoms) for atoms in crystals()]))
