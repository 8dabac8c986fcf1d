"""Texts of measured strains: units of length and of strain, lines, cells and numbers."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError

LENGTHS = {
    "pm": 1e-3,
    "Å": 0.1,
    "nm": 1.0,
    "um": 1e3,
    "µm": 1e3,
    "mm": 1e6,
    "cm": 1e7,
    "m": 1e9,
    "in": 2.54e7,
}
"""nm in each unit of length"""
UNITS = {"fraction": 1.0, "percent": 1e-2, "microstrain": 1e-6}
"""what a strain of 1 in the unit is"""
_MISSING = {"", "nan", "-", "--", "---", "?", "na", "n/a", "null", "none"}
_BEGINS_NUMBER = re.compile(r"[-+.]?\d|[-+]?inf|nan", re.IGNORECASE)


@dataclass(frozen=True)
class RawMaps:
    """What a file holds.

    Attributes
    ----------
    strain: (frames, 3, rows, columns) fractions, components xx, yy and xy of the tensor, from low y on.
    pitch: distance of neighbouring points [nm], None where the file does not tell.
    origin: x and y of the first point in units of the pitch, None where there are no coordinates.
    info: what else is known of every frame.
    """

    strain: NDArray[np.float64]
    pitch: float | None = None
    origin: tuple[float, float] | None = None
    info: dict[str, Any] = field(default_factory=dict)


def plain_unit(text: str) -> str:
    """A unit without blanks and with one sign for micro and strain."""
    folded = (
        text.strip().replace(" ", "").replace("\u03bc", "µ").replace("ϵ", "ε")
    )  # Greek mu, lunate epsilon
    return "nm" if folded.lower() == "nm" else "in" if folded.lower() in ("in", "inch") else folded


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises
    ------
    DataError: it is no text, or empty.
    """
    raw = path.read_bytes()
    if not raw.strip():
        raise DataError(f"{path} is empty")
    if b"\0" in raw:
        raise DataError(f"{path} is no text; expected a table or a grid of numbers")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # a µ of a Windows program
    return text.splitlines()


def split_line(line: str) -> list[str]:
    """The cells of a line, between tabs, semicolons, commas or blanks, whichever come first in this order."""
    delimiter = next((sign for sign in "\t;," if sign in line), None)
    if delimiter is None:
        return line.split()
    try:
        row = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:  # a cell of more than 100,000 signs
        row = line.split(delimiter)
    return [cell.strip().strip('"').strip() for cell in row]


def number(cell: str, where: str) -> float:
    """A cell as a number, NaN where it says that there is none.

    Raises
    ------
    DataError: it is no finite number; begins with ``where``.
    """
    if cell.lower() in _MISSING:
        return math.nan
    if re.fullmatch(r"[-+]?\d+,\d+([eE][-+]?\d+)?", cell):
        raise DataError(f"{where}: {cell!r} has a decimal comma; write decimal points")
    try:
        value = float(cell)
    except ValueError:
        raise DataError(f"{where}: {cell[:40]!r} is not a number") from None
    if math.isinf(value):
        raise DataError(f"{where}: {cell[:40]!r} is not finite; leave missing points empty or write nan")
    return value


def is_number(cell: str) -> bool:
    """Whether a cell is a number, NaN or infinite."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_grid(path: Path, lines: Sequence[str]) -> NDArray[np.float64]:
    """(rows, columns) of a grid of plain numbers, from its last line up; NaN where a cell is empty.

    Raises
    ------
    DataError: a cell is no number, or lines have different numbers of cells; names the line and the column.
    """
    rows: list[list[float]] = []
    ends = set()
    for count, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = split_line(line)
        if not rows and cells[0] and not any(_BEGINS_NUMBER.match(cell) for cell in cells):
            raise DataError(
                f"{path}, line {count}: neither a grid of plain numbers nor a table of points with columns "
                f"x, y and exx, eyy, exy (or u, v); found: {', '.join(cells)[:200]}"
            )
        row = [number(cell, f"{path}, line {count}, column {n}") for n, cell in enumerate(cells, start=1)]
        if rows and len(row) != len(rows[0]):
            raise DataError(f"{path}, line {count}: {len(row)} numbers, but {len(rows[0])} in the first line")
        rows.append(row)
        ends.add(cells[-1])
    if not rows:
        raise DataError(f"{path} holds no numbers")
    return np.array(rows)[::-1, : -1 if ends == {""} else None]  # every line may end with a delimiter
