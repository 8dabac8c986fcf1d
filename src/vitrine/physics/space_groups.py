"""Space groups: their numbers, symbols and point groups, and how many atoms a primitive cell has."""

from __future__ import annotations

import os
import re
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError, did_you_mean
from vitrine.physics.crystals import Structure

LARGEST = 230
SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
_FIRST_OF_SYSTEM = (1, 3, 16, 75, 143, 168, 195)
# fmt: off
_FIRST_OF_POINT_GROUP = (
    1, 2, 3, 6, 10, 16, 25, 47, 75, 81, 83, 89, 99, 111, 123, 143, 147, 149, 156, 162, 168, 174, 175, 177,
    183, 187, 191, 195, 200, 207, 215, 221,
)
_ORDERS = (
    1, 2, 2, 2, 4, 4, 4, 8, 4, 4, 8, 8, 8, 8, 16, 3, 6, 6, 6, 12, 6, 6, 12, 12, 12, 12, 24, 12, 24, 24, 24,
    48,
)
# fmt: on
"""Of the 32 point groups in the order of the International Tables, volume A."""

_BEFORE_1992 = {"abm2": 39, "aba2": 41, "cmca": 64, "cmma": 67, "ccca": 68}
"""Symbols of groups that now have an e in theirs."""

MOST_PAIRS = 100
"""Atoms of the rarest species up to which pure translations are looked for here, not by spglib."""


def crystal_system(number: int) -> str:
    """One of :data:`SYSTEMS`.

    >>> crystal_system(225)
    'cubic'
    """
    return SYSTEMS[bisect_right(_FIRST_OF_SYSTEM, number) - 1]


def point_group_order(number: int) -> int:
    """Number of rotations, proper and improper, of a space group: 1 to 48.

    >>> point_group_order(225)
    48
    """
    return _ORDERS[bisect_right(_FIRST_OF_POINT_GROUP, number) - 1]


def space_group_number(value: Any) -> int:
    """Number 1 to 230 of a number, or of a Hermann-Mauguin symbol.

    Symbols are short, full or with the axes of a setting; underscores, blanks, case and the choice of an
    origin (``:2``) do not matter, and ``Fm3m`` is ``Fm-3m``.

    >>> space_group_number("P6_3mc"), space_group_number("F m -3 m"), space_group_number("225")
    (186, 225, 225)

    Raises
    ------
    DataError: there is no such group.
    """
    if isinstance(value, str):
        text = value.strip()
        number = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else None
        if number is None and re.fullmatch(r"[0-9]+\.0*", text):
            number = int(float(text))
    else:
        text = str(value)
        whole = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        number = int(value) if whole and np.isfinite(value) and int(value) == value else -1
    if number is None:
        found = _symbols().get(_tidy(text))
        if found is None:
            near = did_you_mean(text, _short_symbols()) if text else ""
            near = near if near.startswith("; did") else ""
            raise DataError(f"{text[:40]!r} is no symbol of a space group{near}")
        return found
    if not 1 <= number <= LARGEST:
        raise DataError(f"{text[:40]} is no number of a space group; they go from 1 to {LARGEST}")
    return number


def _tidy(symbol: str) -> str:
    plain = re.sub(r"[\s_]|:.*$", "", symbol).lower()
    return re.sub(r"^(r.+)[hr]$", r"\1", plain)  # R-3mH: hexagonal or rhombohedral axes


@cache
def _settings() -> tuple[Any, ...]:
    """What spglib says of the 530 settings of the groups."""
    import spglib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how it tells of errors
        return tuple(spglib.get_spacegroup_type(hall) for hall in range(1, 531))


@cache
def _symbols() -> dict[str, int]:
    """Tidy symbol -> number: short symbols of all groups first, then those of other settings."""
    found: dict[str, int] = {}
    for field in ("international_short", "international", "international_full"):
        for kind in _settings():
            for symbol in str(getattr(kind, field)).split("="):  # "C 2/c = B 2/n" and the like
                found.setdefault(_tidy(symbol), int(kind.number))
    for symbol, number in list(found.items()):  # Fm3m
        if number >= 200 and "-3" in symbol:
            found.setdefault(symbol.replace("-3", "3"), number)
    return _BEFORE_1992 | found


def _short_symbols() -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(kind.international_short) for kind in _settings()))


# ---------------------------------------------------------------- of a structure


def symmetry_of(structure: Structure, tolerance: float) -> tuple[int, int]:
    """Space-group number and atoms per primitive cell, by spglib (arXiv:1808.01590).

    tolerance: Å, how far atoms may be from where symmetry has them.

    Raises
    ------
    DataError: spglib finds none, for instance because two atoms are nearer than the tolerance.
    """
    import spglib

    os.environ.setdefault("SPGLIB_WARNING", "OFF")  # words of the C library on tries that it goes on from
    cell: Any = (structure.cell, structure.frac, _kinds(structure.species))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its errors, which become exceptions
        try:
            found = spglib.get_symmetry_dataset(cell, symprec=tolerance)
        except Exception as error:  # of its own kind, in newer versions
            raise DataError(f"spglib finds no space group within {tolerance:g} Å: {error}") from error
    if found is None:
        raise DataError(
            f"spglib finds no space group within {tolerance:g} Å; are two atoms nearer than that?"
        )
    return int(found.number), len(np.unique(found.mapping_to_primitive))


def _kinds(species: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.asarray(species), return_inverse=True)[1].astype(np.int64)


def primitive_atoms(structure: Structure, tolerance: float) -> int:
    """Atoms per primitive cell: those of the cell over its number of pure translations.

    tolerance: Å, how far atoms may be from where a translation takes them.
    """
    counts = Counter(structure.species)
    total = len(structure.species)
    if np.gcd.reduce(list(counts.values())) == 1:
        return total  # a translation takes each species to itself, in orbits of one size
    rarest = min(counts, key=lambda symbol: (counts[symbol], symbol))
    if counts[rarest] > MOST_PAIRS:
        return symmetry_of(structure, tolerance)[1]
    species = np.asarray(structure.species)
    of_kind = [structure.frac[species == symbol] for symbol in sorted(counts, key=counts.__getitem__)]
    sites = structure.frac[species == rarest]
    shifts = sites[1:] - sites[0]
    for frac in of_kind:
        if len(shifts):
            shifts = shifts[[_maps(frac, shift, structure.cell, tolerance) for shift in shifts]]
    times = len(shifts) + 1
    return total // times if total % times == 0 else symmetry_of(structure, tolerance)[1]


def _maps(
    frac: NDArray[np.float64], shift: NDArray[np.float64], cell: NDArray[np.float64], tolerance: float
) -> bool:
    """Whether all atoms of one species, moved, are where atoms of it are."""
    between = (frac + shift)[:, None] - frac[None]
    between -= np.rint(between)
    squared = ((between @ cell) ** 2).sum(axis=-1)
    return bool((squared.min(axis=1) <= tolerance**2).all())
