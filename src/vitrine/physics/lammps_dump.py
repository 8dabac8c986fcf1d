"""Text dumps of LAMMPS, with all their columns.

ASE's reader keeps a few columns only, converts velocities, and takes a frame that was cut short
for a smaller one; a user's own columns must come back as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from vitrine.errors import DataError
from vitrine.physics.formulas import ALL_ELEMENTS
from vitrine.samples import Float

if TYPE_CHECKING:
    from ase import Atoms

_PLACES = (("x", "y", "z"), ("xu", "yu", "zu"), ("xs", "ys", "zs"), ("xsu", "ysu", "zsu"))
_INTEGER = {"id", "type", "mol", "proc", "procp1", "ix", "iy", "iz"}
_TEXT = {"element", "typelabel"}


def read_dump(path: Path) -> list[Atoms]:
    """All frames of a text dump, atoms sorted by id (if there are ids).

    Each :class:`ase.Atoms` has one array per column, under the column's own name (the columns that
    became positions and cell excepted), and the time step in ``info``. Its numbers are the
    elements of the column ``element``; else the types, which the caller must translate.

    Raises
    ------
    DataError: names the file, the frame and what is wrong.
    """
    frames: list[Atoms] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        while (atoms := _frame(file, f"{path}, frame {len(frames) + 1}")) is not None:
            frames.append(atoms)
    return frames


def _frame(file: TextIO, where: str) -> Atoms | None:
    count: int | None = None
    box: tuple[Float, Float, list[bool]] | None = None
    info: dict[str, int] = {}
    begun = False
    while line := file.readline():
        if not line.strip():
            continue
        if not line.startswith("ITEM:"):
            raise DataError(f"{where}: expected a line 'ITEM: ...', got {line.strip()[:60]!r}")
        begun, words = True, line.split()[1:]
        if words[:1] == ["TIMESTEP"]:
            info["timestep"] = _whole(file, where, "time step")
        elif words[:3] == ["NUMBER", "OF", "ATOMS"]:
            count = _whole(file, where, "number of atoms")
        elif words[:2] == ["BOX", "BOUNDS"]:
            box = _box(words[2:], list(islice(file, 3)), where)
        elif words[:1] == ["ATOMS"]:
            if count is None or box is None:
                raise DataError(f"{where}: atoms before 'ITEM: NUMBER OF ATOMS' and 'ITEM: BOX BOUNDS'")
            atoms = _atoms(words[1:], _table(words[1:], list(islice(file, count)), count, where), box, where)
            atoms.info |= info
            return atoms
        else:
            file.readline()  # UNITS, TIME: one line each
    if begun:
        raise DataError(f"{where} is cut short: it has no 'ITEM: ATOMS'")
    return None


def _whole(file: TextIO, where: str, what: str) -> int:
    text = file.readline().strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise DataError(f"{where}: the {what} should be a whole number, got {text[:60]!r}")
    return int(text)


def _box(words: Sequence[str], lines: Sequence[str], where: str) -> tuple[Float, Float, list[bool]]:
    """Cell (rows), origin, and whether each direction is periodic.

    Bounds of a tilted box are those of the box around it: https://docs.lammps.org/Howto_triclinic.html
    """
    try:
        rows = [[float(word) for word in line.split()] for line in lines]
    except ValueError as error:
        raise DataError(f"{where}: the box bounds cannot be read: {error}") from error
    width = 4 if words[:1] == ["abc"] else 3 if words[:1] == ["xy"] else 2
    if [len(row) for row in rows] != [width] * 3 or not np.isfinite(rows).all():
        raise DataError(f"{where}: the box bounds should be 3 lines of {width} finite numbers")
    numbers = np.array(rows)
    periodic = ["p" in flag for flag in words[-3:]] if len(words) >= 3 else [False] * 3
    if width == 4:
        return numbers[:, :3], numbers[:, 3], periodic
    xy, xz, yz = numbers[:, 2] if width == 3 else np.zeros(3)
    low = numbers[:, 0] - [min(0, xy, xz, xy + xz), min(0, yz), 0]
    high = numbers[:, 1] - [max(0, xy, xz, xy + xz), max(0, yz), 0]
    length = high - low
    if not (length > 0).all():
        bad = int(np.flatnonzero(~(length > 0))[0])
        tilt = " less the tilts" if width == 3 else ""
        raise DataError(
            f"{where}: the box must be wider than 0 along each axis; its bounds{tilt} give {length[bad]:g} "
            f"along {'xyz'[bad]}"
        )
    return np.array([[length[0], 0, 0], [xy, length[1], 0], [xz, yz, length[2]]]), low, periodic


def _table(columns: Sequence[str], rows: Sequence[str], count: int, where: str) -> dict[str, Any]:
    """Column name -> (n,) array, in order of the ids."""
    if rows and not rows[-1].endswith("\n") and len(rows[-1].split()) < len(columns):
        rows = rows[:-1]
    if len(rows) < count:
        raise DataError(f"{where} is cut short: {count} atoms announced, {len(rows)} whole lines there")
    if len(set(columns)) != len(columns):
        raise DataError(f"{where}: two of its columns have the same name ({' '.join(columns)})")
    if not count:
        return {name: np.zeros(0) for name in columns}
    dtype = [(name, _kind(name)) for name in columns]
    try:
        table = np.loadtxt(rows, dtype=dtype, comments=None, ndmin=1)
    except ValueError as error:
        words = _what_is_wrong(columns, rows) or str(error)
        raise DataError(
            f"{where}: its atoms cannot be read as columns {' '.join(columns)}: {words}"
        ) from error
    if len(table) < count:
        raise DataError(f"{where} is cut short: {count} atoms announced, {len(table)} lines there")
    if "id" in columns:
        table = table[np.argsort(table["id"], kind="stable")]
        twice = np.flatnonzero(np.diff(table["id"]) == 0)
        if len(twice):
            raise DataError(f"{where}: the atom id {table['id'][twice[0]]} stands there twice")
    return {name: np.ascontiguousarray(table[name]) for name in columns}


def _what_is_wrong(columns: Sequence[str], rows: Sequence[str]) -> str | None:
    """The first row that cannot be read, in words."""
    for number, row in enumerate(rows, start=1):
        words = row.split()
        if len(words) != len(columns):
            return f"row {number} has {len(words)} columns, not {len(columns)}: {row.strip()[:60]!r}"
        for column, word in zip(columns, words, strict=True):
            kind = _kind(column)
            try:
                if kind != "U16":
                    int(word) if kind == "i8" else float(word)
            except ValueError:
                wanted = "a whole number" if kind == "i8" else "a number"
                return f"row {number} has {word[:20]!r} in the column {column}, which should be {wanted}"
    return None


def _kind(column: str) -> str:
    if column in _TEXT:
        return "U16"
    return "i8" if column in _INTEGER or column.startswith(("i_", "i2_")) else "f8"


def _atoms(
    columns: Sequence[str],
    table: dict[str, Any],
    box: tuple[Float, Float, list[bool]],
    where: str,
) -> Atoms:
    from ase import Atoms
    from ase.data import atomic_numbers

    cell, origin, periodic = box
    place = next((names for names in _PLACES if set(names) <= set(columns)), None)
    if place is None:
        raise DataError(f"{where}: its columns ({' '.join(columns)}) hold no positions, such as x y z")
    taken = sorted({"positions", "numbers"} & set(columns))
    if taken:
        raise DataError(f"{where}: no column may be named {taken[0]}, which has a meaning here; rename it")
    positions = np.stack([table.pop(name) for name in place], axis=1)
    if place[0].startswith("xs"):
        positions = positions @ cell + origin
    if "element" in columns:
        strange = sorted(set(table["element"].tolist()) - set(ALL_ELEMENTS))
        if strange:
            raise DataError(f"{where}: its column element holds {strange[0]!r}, which is no chemical symbol")
        numbers = [atomic_numbers[symbol] for symbol in table["element"]]
    elif "type" in columns:
        numbers = table["type"]
    else:
        raise DataError(f"{where}: its columns ({' '.join(columns)}) name neither type nor element")
    atoms = Atoms(numbers=numbers, positions=positions, cell=cell, celldisp=origin, pbc=periodic)
    for name, values in table.items():
        atoms.arrays[name] = values
    return atoms
