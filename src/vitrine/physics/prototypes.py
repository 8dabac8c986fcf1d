"""Which prototype a crystal of a table has: by a column that says it, or by formula type and symmetry."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vitrine.errors import DataError
from vitrine.physics.crystals import Structure, has_structures, read_structures
from vitrine.physics.formulas import parse_formula, reduced_formula
from vitrine.physics.space_groups import primitive_atoms, space_group_number, symmetry_of
from vitrine.samples import Samples

PROTOTYPE = "prototype"
_Found = TypeVar("_Found")
SPACE_GROUPS = ("spg_num", "space_group", "spacegroup", "spg_number", "space_group_number")
"""Columns in which a space group is looked for, in this order, whatever their case."""
TOLERANCE = 0.1
"""Å, that of the Materials Project: with it spglib finds the published group of 99.5 % of the crystals of
``mp/structures``, with 0.01 Å that of 94.5 %."""


def prototype_of(samples: Samples, tolerance: float = TOLERANCE) -> list[str]:
    """The prototype of each row of a table of formulas.

    That of the column ``prototype``, if there is one and it is filled in; else the type of the formula, the
    number of the space group and the atoms per primitive cell, such as ``AB2C4-227-14`` of spinels.

    Parameters
    ----------
    tolerance: Å, how far atoms may be from where symmetry has them.

    Raises
    ------
    DataError: neither such a column nor structures, or a row for which it cannot be found; it is named.
    """
    named = _named(samples)
    if all(named):
        return named
    rows = [number for number, name in enumerate(named) if not name]
    if not has_structures(samples):
        raise DataError(
            "prototypes need a column 'prototype', or structures (columns cell, species, frac or cif)"
            + (f"; {samples.ids[rows[0]]} has none" if len(rows) < len(named) else "")
        )
    some = samples.select(rows)
    for row, formula, (group, atoms) in zip(
        rows, some.items["formula"], symmetries(some, tolerance), strict=True
    ):
        named[row] = f"{anonymous_formula(formula)}-{group}-{atoms}"
    return named


def _named(samples: Samples) -> list[str]:
    import pandas as pd

    if PROTOTYPE not in samples.items:
        return [""] * len(samples)
    return [str(cell).strip() if pd.notna(cell) else "" for cell in samples.items[PROTOTYPE]]


def anonymous_formula(formula: str) -> str:
    """The type of a formula: letters for elements, in the order of their amounts.

    >>> anonymous_formula("MgAl2O4"), anonymous_formula("NaCl"), anonymous_formula("Cu")
    ('AB2C4', 'AB', 'A')
    """
    amounts = sorted(parse_formula(reduced_formula(parse_formula(formula))).values())
    letters = [*string.ascii_uppercase, *(a + b for a in string.ascii_uppercase for b in "abcdef")]
    return "".join(
        letter + (f"{amount:g}" if not math.isclose(amount, 1.0) else "")
        for letter, amount in zip(letters, amounts, strict=False)
    )


# ---------------------------------------------------------------- symmetry


def symmetries(samples: Samples, tolerance: float = TOLERANCE) -> list[tuple[int, int]]:
    """Space-group number and atoms per primitive cell of each row of a table with structures.

    The number is that of a column of :data:`SPACE_GROUPS` if there is one, else by spglib.

    Raises
    ------
    DataError: no structures, or a row for which it cannot be found; it is named.
    """
    structures = read_structures(samples)
    column = space_group_column(samples)
    if column is None:
        return [
            _of_row(name, symmetry_of, structure, tolerance)
            for name, structure in zip(samples.ids, structures, strict=True)
        ]
    numbers = space_groups(samples, column)
    atoms = [
        _of_row(name, primitive_atoms, structure, tolerance)
        for name, structure in zip(samples.ids, structures, strict=True)
    ]
    return list(zip(numbers, atoms, strict=True))


def _of_row(
    name: str, find: Callable[[Structure, float], _Found], structure: Structure, tolerance: float
) -> _Found:
    try:
        return find(structure, tolerance)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def space_group_column(samples: Samples) -> str | None:
    """The column of a table that holds space groups; None if there is none."""
    by_name = {str(name).lower(): str(name) for name in reversed(list(samples.items.columns))}
    return next((by_name[name] for name in SPACE_GROUPS if name in by_name), None)


def space_groups(samples: Samples, column: str) -> list[int]:
    """The numbers in a column of space groups.

    Raises
    ------
    DataError: a cell is empty or holds no space group; the row is named.
    """
    found = []
    for name, number in zip(samples.ids, numbers_of(list(samples.items[column])), strict=True):
        if isinstance(number, str):
            raise DataError(f"{name}: {column} {number}")
        found.append(number)
    return found


def numbers_of(cells: Sequence[Any]) -> list[int | str]:
    """The number of each cell of a column of space groups, or what is wrong with it."""
    import pandas as pd

    known: dict[Any, int | str] = {}
    found: list[int | str] = []
    for cell in cells:
        if not pd.api.types.is_scalar(cell):
            found.append(f"is {str(cell)[:40]}, not a number or symbol")
            continue
        if cell not in known:
            known[cell] = _number(cell)
        found.append(known[cell])
    return found


def _number(cell: Any) -> int | str:
    import pandas as pd

    if pd.isna(cell) or not str(cell).strip():
        return "is empty"
    try:
        return space_group_number(cell)
    except DataError as error:
        return f"is wrong: {error}"
