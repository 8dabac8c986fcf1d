"""The space group of a crystal as numbers: its symmetry, and nothing of where its atoms are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part
from vitrine.physics.prototypes import (
    SPACE_GROUPS,
    TOLERANCE,
    numbers_of,
    prototype_of,
    space_group_column,
    space_groups,
)
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute, Task

if TYPE_CHECKING:
    from vitrine.physics.crystals import Structure
    from vitrine.samples import Examples, Samples

__all__ = ["SpaceGroup", "prototype_of"]

CHUNK = 500
"""Structures in one entry of the store: a second of work."""
FILE = "symmetry.npy"
ATOMS = "atoms per primitive cell"


class SpaceGroup(Part):
    """Number of the space group, crystal system, order of the point group, atoms per primitive cell.

    ``(n, 10) float32``; the crystal system is seven features, one of which is 1. The number orders groups by
    crystal system and point group, as the International Tables do. It comes from a column of the table where
    there is one, so that what is published is what is used; else spglib (arXiv:1808.01590) finds it.
    """

    summary: ClassVar[str] = "space group, crystal system, point-group order and primitive cell of a crystal"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    structures: ClassVar[bool] = True
    makes: ClassVar[str] = "vectors"

    kind: Literal["space-group"] = "space-group"
    by: Literal["table", "structure"] = Field(
        "table",
        description="table: a column of space groups if there is one, else the structure; structure: always "
        "by spglib",
    )
    column: str | None = Field(
        None,
        min_length=1,
        description="column of numbers or Hermann-Mauguin symbols; by default spg_num, space_group or "
        "spacegroup",
    )
    tolerance: float = Field(
        TOLERANCE, gt=0, le=1, description="Å, how far atoms may be from where symmetry has them"
    )
    atoms: bool = Field(True, description="count the atoms per primitive cell, which needs structures")

    def citations(self) -> tuple[str, ...]:
        """Spglib."""
        return ("arXiv:1808.01590",)

    def feature_labels(self) -> tuple[str, ...]:
        """Number, seven crystal systems, order of the point group, atoms."""
        from vitrine.physics.space_groups import SYSTEMS

        systems = [f"crystal system is {name}" for name in SYSTEMS]
        more = (ATOMS,) if self.atoms else ()
        return ("space-group number", *systems, "order of the point group", *more)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per formula; what spglib finds of every 500 structures is one entry of the store.

        Raises
        ------
        DataError: neither a column of space groups nor structures, a cell that holds no space group, or a
            structure that cannot be used; the row is named.
        """
        column = self._column(samples)
        if column is None:
            groups, atoms = self._by_spglib(samples, compute).T
        else:
            groups, atoms = np.array(space_groups(samples, column)), self._atoms(samples)
        rows = [self._row(int(group), int(n)) for group, n in zip(groups, atoms, strict=True)]
        return whole_examples(self.makes, samples, rows, self.feature_labels())

    def refuses(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for cells that hold no space group and structures that cannot be read."""
        from vitrine.represent.structures import refused_structures

        column = self._column(samples)
        reasons = refused_structures(samples) if column is None or self.atoms else {}
        if column is None:
            return reasons
        found = zip(samples.ids, numbers_of(list(samples.items[column])), strict=True)
        return {name: f"{column} {words}" for name, words in found if isinstance(words, str)} | reasons

    def _column(self, samples: Samples) -> str | None:
        """Where space groups stand; None if they are to be found from structures.

        Raises
        ------
        DataError: no such column, or neither a column nor structures.
        """
        from vitrine.represent.structures import has_structures

        known = [str(name) for name in samples.items.columns]
        if self.by == "table" and self.column is not None:
            if self.column not in known:
                raise DataError(
                    f"representation.column: the table has no column {self.column!r}"
                    f"{did_you_mean(self.column, known)}"
                )
            column: str | None = self.column
        else:
            column = space_group_column(samples) if self.by == "table" else None
        if not has_structures(samples) and column is None:
            raise DataError(
                f"space groups need a column ({', '.join(SPACE_GROUPS[:3])}, or representation.column) or "
                "structures (columns cell, species, frac or cif); the table has neither"
            )
        if not has_structures(samples) and self.atoms:
            raise DataError(
                f"the {ATOMS} need structures (columns cell, species, frac or cif), which the table lacks; "
                "set representation.atoms=false to go on without them"
            )
        return column

    def _row(self, group: int, atoms: int) -> np.ndarray:
        """(10,), or (9,) without the atoms."""
        from vitrine.physics.space_groups import SYSTEMS, crystal_system, point_group_order

        systems = [float(name == crystal_system(group)) for name in SYSTEMS]
        row = [float(group), *systems, float(point_group_order(group)), float(atoms)]
        return np.array(row if self.atoms else row[:-1])

    def _atoms(self, samples: Samples) -> np.ndarray:
        """(n,) per primitive cell, zeros if they are not asked for."""
        from vitrine.physics.space_groups import primitive_atoms
        from vitrine.represent.structures import read_structures

        if not self.atoms:
            return np.zeros(len(samples), dtype=np.int64)
        found = []
        for name, structure in zip(samples.ids, read_structures(samples), strict=True):
            try:
                found.append(primitive_atoms(structure, self.tolerance))
            except DataError as error:
                raise DataError(f"{name}: {error}") from error
        return np.array(found)

    def _by_spglib(self, samples: Samples, compute: Compute) -> np.ndarray:
        """(n, 2) int64: space group, atoms per primitive cell."""
        from vitrine.represent.structures import read_structures

        structures = read_structures(samples)
        chunks = [range(k, min(k + CHUNK, len(structures))) for k in range(0, len(structures), CHUNK)]
        tasks = [self._task([(samples.ids[k], structures[k]) for k in chunk]) for chunk in chunks]
        tables = []
        for outcome in compute(tasks):
            if outcome.folder is None:
                raise DataError(f"no space groups for {outcome.label}: {outcome.error}")
            tables.append(np.load(outcome.folder / FILE, allow_pickle=False))
        return np.concatenate(tables)

    def _task(self, named: Sequence[tuple[str, Structure]]) -> Task:
        from importlib.metadata import version

        content = hashlib.sha256("".join(structure.key() for _, structure in named).encode())
        return Task(
            label=f"{named[0][0]} to {named[-1][0]}",
            kind="space-group",
            recipe={
                "part": "SpaceGroup",
                "version": self.version,
                "tolerance": self.tolerance,
                "structures": content.hexdigest(),
                "spglib": version("spglib"),
            },
            function=store_symmetry,
            arguments={"named": list(named), "tolerance": self.tolerance},
        )


def store_symmetry(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    named: Sequence[tuple[str, Structure]],
    tolerance: float,
) -> None:
    """Write ``symmetry.npy``: (n_structures, 2) int64, space group and atoms per primitive cell.

    Raises
    ------
    DataError: a structure in which spglib finds none; it is named.
    """
    from vitrine.physics.space_groups import symmetry_of

    rows = []
    for number, (name, structure) in enumerate(named):
        try:
            rows.append(symmetry_of(structure, tolerance))
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        progress((number + 1) / len(named))
    np.save(folder / FILE, np.array(rows, dtype=np.int64))
