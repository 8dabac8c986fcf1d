"""Crystal structures: what a structure is, how it stands in a table, and what none can be."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.errors import DataError
from vitrine.physics.formulas import ALL_ELEMENTS, parse_formula, reduced_formula
from vitrine.samples import Float, Samples

if TYPE_CHECKING:
    from ase import Atoms

COLUMNS = ("cell", "species", "frac")
CIF = "cif"
SMALLEST_VOLUME = 1.0
"""Å³ per atom; hydrogen under the pressure of a planet has more."""
FULL = 1.0e-3
"""Occupancies within this of 1 are full."""
SAME_AMOUNT = 1.0e-9
"""Relative; amounts of a formula in the ratio of a structure's atoms this closely need no second look."""
FLAT = 1.0e-12
"""Smallest square of the volume of a cell over that of the box with its lengths."""

_ELEMENTS = frozenset(ALL_ELEMENTS)


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

    def formula(self) -> str:
        """The reduced formula."""
        return reduced_formula({symbol: float(n) for symbol, n in Counter(self.species).items()})


# ---------------------------------------------------------------- tables


def read_structures(samples: Samples) -> list[Structure]:
    """The structure of each row of a table of formulas.

    Raises
    ------
    DataError: no columns of structures, a structure that cannot be read, or one whose composition is not
        that of the row's formula; the row is named.
    """
    structures = []
    for name, found in _structures(samples):
        if isinstance(found, DataError):
            raise DataError(f"{name}: {found}") from found
        structures.append(found)
    return structures


def refused_structures(samples: Samples) -> dict[str, str]:
    """Id -> reason, for the rows at which :func:`read_structures` would stop.

    Raises
    ------
    DataError: the table has no columns of structures.
    """
    return {name: str(found) for name, found in _structures(samples) if isinstance(found, DataError)}


def has_structures(samples: Samples) -> bool:
    """Whether a table has columns of structures."""
    return CIF in samples.items or all(name in samples.items for name in COLUMNS)


def _structures(samples: Samples) -> Iterator[tuple[str, Structure | DataError]]:
    """Id and structure of each row, or what is wrong with it."""
    read = _reader(samples)
    for number, (name, formula) in enumerate(zip(samples.ids, samples.items["formula"], strict=True)):
        try:
            structure = read(number)
            check_structure(structure)
            _check_formula(structure, formula)
        except DataError as error:
            yield name, error
        else:
            yield name, structure


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


def columns_of(structures: Sequence[Structure]) -> dict[str, list[tuple[Any, ...]]]:
    """Columns ``cell``, ``species`` and ``frac`` of a table, as tuples of Python's numbers and words.

    Six lengths and angles say a cell but for how it is turned, and whether it is left-handed: such a cell is
    told by its three vectors reversed, which are right-handed and span the same lattice.
    """
    from ase.geometry import cell_to_cellpar

    hands = [1.0 if np.linalg.det(crystal.cell) > 0 else -1.0 for crystal in structures]
    return {
        "cell": [tuple(map(float, cell_to_cellpar(crystal.cell))) for crystal in structures],
        "species": [crystal.species for crystal in structures],
        "frac": [
            tuple((hand * crystal.frac).ravel().tolist())
            for crystal, hand in zip(structures, hands, strict=True)
        ],
    }


# ---------------------------------------------------------------- one structure


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
    coordinates = _numbers(frac, "frac")
    if len(coordinates) != 3 * len(species):
        raise DataError(f"'frac' holds {len(coordinates)} numbers for {len(species)} species, not three each")
    return Structure(_cell_vectors(lengths), tuple(map(str, species)), coordinates.reshape(-1, 3))


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
    angles = np.radians(parameters[3:])
    a, b, c = parameters[:3].tolist()
    alpha, beta, gamma = np.cos(angles).tolist()
    sine = float(np.sin(angles[2]))
    rest = 1.0 - alpha**2 - beta**2 - gamma**2 + 2.0 * alpha * beta * gamma
    if not (parameters.min() > 0 and parameters[3:].max() < 180 and rest > FLAT):
        shown = ", ".join(f"{value:g}" for value in parameters)
        raise DataError(f"no cell has the lengths [Å] and angles [degrees] {shown}")
    return np.array(
        [
            [a, 0.0, 0.0],
            [b * gamma, b * sine, 0.0],
            [c * beta, c * (alpha - beta * gamma) / sine, c * rest**0.5 / sine],
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
        if len(amounts) != 1 or not _is_full(next(iter(amounts.values()))):
            raise DataError(f"'cif' has a site that is partly occupied, {_short(amounts)}; it cannot be used")
    if not atoms.pbc.all():
        raise DataError("'cif' has no cell, so it is not periodic")
    frac = atoms.get_scaled_positions(wrap=False)
    return Structure(np.array(atoms.cell), tuple(atoms.get_chemical_symbols()), frac)


def _is_full(occupancy: Any) -> bool:
    """Whether a site is; a dot stands for what is usual, which is 1."""
    number = isinstance(occupancy, (int, float)) and abs(occupancy - 1.0) <= FULL
    return occupancy == "." or number


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


def check_structure(structure: Structure) -> None:
    """Raise unless this can be a crystal.

    Raises
    ------
    DataError: an unknown element, coordinates that are not finite, or no volume to speak of.
    """
    if not structure.species:
        raise DataError("the structure holds no atoms")
    if not _ELEMENTS.issuperset(structure.species):
        strange = sorted(set(structure.species) - _ELEMENTS)
        raise DataError(f"the structure holds {', '.join(strange)}, which is no element")
    if not (np.isfinite(structure.frac).all() and np.isfinite(structure.cell).all()):
        raise DataError("the structure has coordinates that are not finite")
    volume = volume_of(structure) / len(structure.species)
    if not volume > SMALLEST_VOLUME:
        raise DataError(f"the structure has {volume:.2g} Å³ per atom; is its cell in Å?")


def volume_of(structure: Structure) -> float:
    """Of the cell, Å³."""
    (a, b, c), (d, e, f), (g, h, i) = structure.cell.tolist()
    return float(abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)))


def _check_formula(structure: Structure, formula: str) -> None:
    amounts, counts = parse_formula(formula), Counter(structure.species)
    if amounts.keys() == counts.keys():
        first = next(iter(counts))
        scale = amounts[first] / counts[first]
        if all(abs(amounts[s] - scale * n) <= SAME_AMOUNT * amounts[s] for s, n in counts.items()):
            return
    here = structure.formula()
    if here != reduced_formula(amounts):
        raise DataError(f"the formula is {formula!r}, and the structure is one of {here}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
