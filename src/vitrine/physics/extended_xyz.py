"""Extended XYZ: looked at before ASE reads it, and written with all digits that count.

ASE writes eight decimals, so that a column of 1e-9 becomes 0. On reading it believes a number of atoms
of any size, takes a frame without positions for atoms in one place, leaves out what stands in a row
beyond the announced columns, and ends at the first blank line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError

if TYPE_CHECKING:
    from ase import Atoms

PLAIN = "species:S:1:pos:R:3"
"""Columns of a file whose second line names none."""
MOST_COLUMNS = 1000
_ASE_NAMES = {"species": "symbols", "pos": "positions", "Z": "numbers"}
_NUMBER = "%.12g"
"""How floating-point numbers are written."""
_AT_ONCE = 10_000
"""rows that are turned to text at once"""
_LOGICAL = {"T", "F", "True", "False"}

Lines = Iterator[tuple[int, str]]
Column = tuple[str, str]
"""Name (ASE's) and type, R I S or L, of one column."""


def check_extxyz(path: Path) -> None:
    """Check counts, columns and values of every frame.

    Raises
    ------
    DataError: names the file, the line and what would be right.
    """
    with path.open(encoding="utf-8") as file:
        lines: Lines = enumerate(file, start=1)
        try:
            for number, line in lines:
                if not line.strip():
                    _check_rest(lines, path)
                elif not line.lstrip().startswith("VEC"):  # cell vectors after the atoms, as of ADF
                    _check_frame(line, lines, f"{path}, line {number}", path)
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not a text in UTF-8, so no extended XYZ: {error.reason}") from error


def _check_rest(lines: Lines, path: Path) -> None:
    for number, line in lines:
        if line.strip():
            raise DataError(f"{path}, line {number}: a blank line ends the file, but here it goes on")


def _check_frame(first: str, lines: Lines, where: str, path: Path) -> None:
    text = first.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise DataError(f"{where}: expected the number of atoms of a frame, got {text[:60]!r}")
    number, comment = next(lines, (0, None))
    if comment is None:
        raise DataError(f"{where}: {text} atoms announced, and nothing follows")
    columns, declared = _columns(comment.strip(), f"{path}, line {number}")
    for row in range(int(text)):
        number, line = next(lines, (0, None))
        if line is None:
            raise DataError(f"{where}: {text} atoms announced, {row} lines follow; is the file cut short?")
        _check_row(line, columns, declared, f"{path}, line {number}")


def _columns(comment: str, where: str) -> tuple[list[Column], bool]:
    """The columns of a frame, and whether its second line names them."""
    from ase.io.extxyz import key_val_str_to_dict

    try:
        info = key_val_str_to_dict(comment) if comment else {}
    except Exception as error:  # a reader of anything
        raise DataError(f"{where}: not a line of key=value: {error}") from error
    text = info.get("Properties", PLAIN)
    fields = str(text).split(":")
    example = f"expected Properties={PLAIN} or more of name:type:number, got {str(text)[:60]!r}"
    if len(fields) % 3:
        raise DataError(f"{where}: {example}")
    columns: list[Column] = []
    names: dict[str, int] = {}
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        own = _ASE_NAMES.get(name, name)
        if kind not in "RISL" or len(kind) != 1 or not (width.isascii() and width.isdigit()) or own in names:
            raise DataError(f"{where}: {example}")
        names[own] = int(width) if len(width) < 10 else MOST_COLUMNS + 1
        if not 0 < sum(names.values()) <= MOST_COLUMNS:
            raise DataError(f"{where}: {example}, with 1 to {MOST_COLUMNS} columns")
        columns += [(own, kind)] * names[own]
    if names.get("positions") != 3 or 1 not in (names.get("symbols"), names.get("numbers")):
        raise DataError(f"{where}: positions (pos:R:3) and elements (species:S:1) are needed; {example}")
    return columns, "Properties" in info


def _check_row(line: str, columns: list[Column], declared: bool, where: str) -> None:
    from ase.data import atomic_numbers

    words = line.split()
    if len(words) < len(columns) or (declared and len(words) > len(columns)):
        raise DataError(f"{where}: expected an atom in {len(columns)} columns, got {line.strip()[:60]!r}")
    for word, (name, kind) in zip(words, columns, strict=False):
        if name == "symbols" and word.capitalize() not in atomic_numbers:
            hint = (
                "; A and B of a Lennard-Jones mixture are written as Ni and P" if word in ("A", "B") else ""
            )
            raise DataError(f"{where}: {word[:20]!r} is no chemical symbol{hint}")
        try:
            if kind == "R" or name == "positions":
                float(word)
            elif kind == "I":
                int(word)
            elif kind == "L" and word not in _LOGICAL:
                raise ValueError
        except ValueError:
            wanted = {"I": "a whole number", "L": "T or F"}.get(kind, "a number")
            raise DataError(f"{where}: expected {wanted} ({name}), got {word[:20]!r}") from None


def write_extxyz(path: Path, frames: Sequence[Atoms]) -> None:
    """Write frames with all their per-atom arrays, numbers with 12 digits.

    What belongs to a whole frame and has the name of a per-atom array, such as an ``energy``, is renamed
    ``energy_of_frame``: readers would take one for the other.
    """
    with path.open("w", encoding="utf-8") as file:
        for atoms in frames:
            file.write(f"{len(atoms)}\n{_comment(atoms)}\n")
            columns = _columns_to_write(atoms)
            kinds = {"f": _NUMBER, "i": "%d", "u": "%d", "b": "%s"}
            form = " ".join(kinds.get(column.dtype.kind, "%s") for column in columns) + "\n"
            columns = [np.where(c, "T", "F") if c.dtype.kind == "b" else c for c in columns]
            for start in range(0, len(atoms), _AT_ONCE):
                some = [column[start : start + _AT_ONCE].tolist() for column in columns]
                file.writelines(form % row for row in zip(*some, strict=True))


def _names(atoms: Atoms) -> list[str]:
    return ["symbols", "positions", *(name for name in atoms.arrays if name not in ("numbers", "positions"))]


def _comment(atoms: Atoms) -> str:
    from ase.io.extxyz import output_column_format

    empty = atoms[:0]  # ASE's line of keys and values, without its rows
    empty.info = {
        f"{key}_of_frame" if key in atoms.arrays else key: value for key, value in atoms.info.items()
    }
    arrays = {"symbols": np.array([], dtype="U2"), **atoms.arrays}
    arrays = {name: a.astype(np.int64) if a.dtype.kind == "u" else a for name, a in arrays.items()}
    line: str = output_column_format(empty, _names(atoms), arrays)[0]
    return line


def _columns_to_write(atoms: Atoms) -> list[np.ndarray]:
    """Each (n,)."""
    found = [np.array(atoms.get_chemical_symbols())]
    for name in _names(atoms)[1:]:
        array = atoms.arrays[name]
        found += [array] if array.ndim == 1 else list(array.T)
    return found
