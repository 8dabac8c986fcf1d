"""Crystal structures in a table of formulas, read and checked.

Two conventions. Either the columns ``cell`` (a, b, c [Å], alpha, beta, gamma [degrees]), ``species`` (a list
of symbols) and ``frac`` (3 n fractional coordinates, one after the other), as lists in a Parquet file; or a
column ``cif`` with the text of a CIF file.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.errors import DataError
from vitrine.samples import Float, Samples

if TYPE_CHECKING:
    from ase import Atoms

COLUMNS = ("cell", "species", "frac")
CIF = "cif"
SMALLEST_VOLUME = 1.0
"""Å³ per atom; hydrogen under the pressure of a planet has more."""
FULL = 1.0e-3
"""Occupancies within this of 1 are full."""


@dataclass(frozen=True)
class Structure:
    """A periodic crystal.

    Attributes
    ----------
    cell: (3, 3) float64 Å, rows are cell vectors.
    species: n symbols.
    frac: (n, 3) float64 fractional coordinates, as given: not wrapped.
    """

    cell: Float
    species: tuple[str, ...]
    frac: Float

    def key(self) -> str:
        """SHA-256 of all that, 64 hex digits."""
        total = hashlib.sha256(" ".join(self.species).encode())
        for array in (self.cell, self.frac):
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()


def read_structures(samples: Samples) -> list[Structure]:
    """The structure of each row of a table of formulas.

    Raises
    ------
    DataError: no columns of structures, a structure that cannot be read, or one whose composition is not
        that of the row's formula; the row is named.
    """
    read = _reader(samples)
    structures = []
    for number, name in enumerate(samples.ids):
        try:
            structure = read(number)
            _check(structure)
            _check_formula(structure, samples.items["formula"].iloc[number])
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        structures.append(structure)
    return structures


def _reader(samples: Samples) -> Callable[[int], Structure]:
    """Row number -> structure, by the columns that are there; those of arrays come first."""
    items = samples.items
    if all(name in items for name in COLUMNS):
        cell, species, frac = (list(items[name]) for name in COLUMNS)
        return lambda number: structure_of_columns(cell[number], species[number], frac[number])
    if CIF in items:
        texts = list(items[CIF])
        return lambda number: structure_of_cif(texts[number])
    there = ", ".join(repr(str(name)) for name in list(items.columns)[:20])
    raise DataError(
        "this table has no structures; they are either in the columns 'cell' (a, b, c [Å], alpha, beta, "
        "gamma [degrees]), 'species' (symbols) and 'frac' (3 n fractional coordinates), lists in a Parquet "
        f"file, or in a column 'cif' (text of CIF files); columns: {there}"
    )


def structure_of_columns(cell: Any, species: Any, frac: Any) -> Structure:
    """A structure of six cell parameters, symbols and 3 n fractional coordinates.

    Raises
    ------
    DataError: they are not of these kinds and lengths.
    """
    lengths = _numbers(cell, "cell")
    if lengths.shape != (6,):
        raise DataError(f"'cell' holds {lengths.size} numbers, not six (a, b, c, alpha, beta, gamma)")
    if isinstance(species, str) or not hasattr(species, "__len__") or not len(species):
        raise DataError(f"'species' is {_short(species)}, not a list of symbols")
    coordinates = _numbers(frac, "frac").ravel()
    if len(coordinates) != 3 * len(species):
        raise DataError(f"'frac' holds {len(coordinates)} numbers for {len(species)} species, not three each")
    symbols = tuple(str(symbol) for symbol in species)
    return Structure(_cell_vectors(lengths), symbols, coordinates.reshape(-1, 3))


def _numbers(value: Any, name: str) -> Float:
    if isinstance(value, (str, bytes)):
        raise DataError(f"'{name}' is text, {_short(value)}; a list of numbers needs a Parquet file")
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"'{name}' is {_short(value)}, not a list of numbers") from error
    if found.ndim != 1 or not np.isfinite(found).all():
        raise DataError(f"'{name}' is {_short(value)}, not a list of finite numbers")
    return found


def _cell_vectors(parameters: Float) -> Float:
    """(3, 3) Å: a along x, b in the plane of x and y."""
    (a, b, c), (alpha, beta, gamma) = parameters[:3], np.cos(np.radians(parameters[3:]))
    sine = np.sin(np.radians(parameters[5]))
    rest = 1.0 - alpha**2 - beta**2 - gamma**2 + 2.0 * alpha * beta * gamma
    if not ((parameters > 0).all() and (parameters[3:] < 180).all() and rest > 1e-12):
        shown = ", ".join(f"{value:g}" for value in parameters)
        raise DataError(f"no cell has the lengths [Å] and angles [degrees] {shown}")
    return np.array(
        [
            [a, 0.0, 0.0],
            [b * gamma, b * sine, 0.0],
            [c * beta, c * (alpha - beta * gamma) / sine, c * np.sqrt(rest) / sine],
        ]
    )


def structure_of_cif(text: Any) -> Structure:
    """The structure in the text of a CIF file, symmetry operations carried out (by ASE).

    Raises
    ------
    DataError: not a CIF file with one structure in it, or sites that are partly occupied.
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError("'cif' is empty")
    atoms = _atoms_of_cif(text)
    kinds = atoms.arrays.get("spacegroup_kinds")
    occupancy = atoms.info.get("occupancy", {}) if kinds is not None else {}
    for amounts in occupancy.values():
        if len(amounts) != 1 or abs(next(iter(amounts.values())) - 1.0) > FULL:
            raise DataError(f"'cif' has a site that is partly occupied, {amounts}; it cannot be used")
    frac = atoms.get_scaled_positions(wrap=False)
    return Structure(np.array(atoms.cell), tuple(atoms.get_chemical_symbols()), frac)


def _atoms_of_cif(text: str) -> Atoms:
    from ase.io.cif import read_cif

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about symmetry that is given twice
            found: list[Atoms] = list(read_cif(io.StringIO(text), index=slice(None)))
    except Exception as error:  # of many kinds, and some of them empty
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"'cif' is not a CIF file that can be read: {what}") from error
    if len(found) != 1:
        raise DataError(f"'cif' holds {len(found)} structures, not one")
    return found[0]


def _check(structure: Structure) -> None:
    from vitrine.physics.formulas import ALL_ELEMENTS

    strange = sorted(set(structure.species) - set(ALL_ELEMENTS))
    if strange:
        raise DataError(f"the structure holds {', '.join(strange)}, which is no element")
    if not (np.isfinite(structure.frac).all() and np.isfinite(structure.cell).all()):
        raise DataError("the structure has coordinates that are not finite")
    volume = abs(float(np.linalg.det(structure.cell))) / len(structure.species)
    if not volume > SMALLEST_VOLUME:
        raise DataError(f"the structure has {volume:.2g} Å³ per atom; is its cell in Å?")


def _check_formula(structure: Structure, formula: str) -> None:
    from vitrine.physics.formulas import parse_formula, reduced_formula

    here = reduced_formula({symbol: float(n) for symbol, n in Counter(structure.species).items()})
    if here != reduced_formula(parse_formula(formula)):
        raise DataError(f"the formula is {formula!r}, and the structure is one of {here}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
