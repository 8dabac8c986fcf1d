"""Tables of points as programs of digital image correlation write them: VIC-2D, DICe, GOM, and plain ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError, did_you_mean
from vitrine.physics.regrid import Floats, regrid, strain_of_displacements
from vitrine.physics.strain_text import (
    LENGTHS,
    UNITS,
    RawMaps,
    is_number,
    number,
    plain_unit,
    split_line,
)

_STRAIN_UNITS = {
    **dict.fromkeys(("", "-", "1", "mm/mm", "m/m", "strain", "log", "ln", "fraction"), 1.0),
    **dict.fromkeys(("%", "percent", "pct"), 1e-2),
    **dict.fromkeys(("mε", "mm/m", "millistrain"), 1e-3),
    **dict.fromkeys(("µε", "ue", "um/m", "µm/m", "microstrain", "µstrain", "ustrain", "ppm"), 1e-6),
}
_HEADER_WITHIN = 300
"""lines"""
_DICE_GOOD = (0, 1, 2, 3, 4, 6, 15, 18, 26, 31)
"""flags of DICe (DICe.h, enum Status_Flag) that do not say that a subset failed"""

_MEASURE = r"(?:vsg|greenlagrange|green|lagrange|global|nlvc|keys4|technical|true|log|hencky|dehnung)?"
_STRAIN = re.compile(rf"{_MEASURE}(?:strain|epsilon|eps|e)(xx|yy|xy|x|y)")
_SHEAR = re.compile(r"(?:gamma|g|engineeringshear|engineering(?:shear)?(?:strain)?(?:e|eps|gamma)?)xy")
_PLACE = re.compile(r"([xy])(c|undef|0|ref|reference|coordinate|coord|koordinate|pos|position|pic|px|pixel)?")
_PLACE_AFTER = re.compile(r"(coordinate|coord|pos|position)s?([xy])")
_MOVED = re.compile(r"(?:displacement|disp|d|u)([xy])")
_VIC = {"sigma", "e1", "e2", "gamma", "evonmises"}


class Column(NamedTuple):
    """A column of a table: where it stands, its name as written and as compared, and its unit."""

    at: int
    text: str
    name: str
    unit: str


def parse_header(line: str) -> list[Column]:
    """The columns that a header names: ``"exx [1] - Lagrange"`` is ``exx`` with the unit ``1``."""
    columns = []
    for index, text in enumerate(split_line(line.lstrip("#* "))):
        match = re.match(r"([^\[(]*)(?:[\[(]([^\])]*)[\])])?", text)
        assert match is not None
        words = match[1].lower().replace("ε", "epsilon").replace("γ", "gamma")
        name = re.sub(r"[^a-z0-9]", "", words.replace("richtung", ""))
        if re.search(r"engineering\s+shear", text.lower()):
            name = "gammaxy"
        columns.append(Column(index, text, name, plain_unit(match[2] or "")))
    return columns[:-1] if columns and not columns[-1].text else columns  # a delimiter at the end


def find_header(lines: Sequence[str]) -> int | None:
    """Number (from 0) of the line that names columns with coordinates, None where there is none."""
    second = None
    for count, line in enumerate(lines[:_HEADER_WITHIN]):
        if not line.strip() or line.startswith("***"):
            continue
        if not line.startswith("#") and is_number(split_line(line)[0]):
            break
        columns = parse_header(line)
        if not _places(columns):
            continue
        if _strains(columns) or any(_displacements(columns, of_length) for of_length in (True, False)):
            return count
        if second is None and any(sign in line for sign in "\t;,"):
            second = count
    return second


def _places(columns: Sequence[Column]) -> list[tuple[Column, Column]]:
    """Pairs of columns with x and y: first those with a unit of length, then as written."""
    found: dict[tuple[str, bool, str], dict[str, Column]] = {}
    for column in columns:
        if (match := _PLACE.fullmatch(column.name)) is not None:
            letter, kind = match[1], match[2] or ""
        elif (match := _PLACE_AFTER.fullmatch(column.name)) is not None:
            kind, letter = match[1], match[2]
        else:
            continue
        upper = column.text[:1].isupper() and len(column.name) == 1
        found.setdefault((kind, upper, column.unit), {}).setdefault(letter, column)
    pairs = [
        (key[2] not in LENGTHS, bool(key[0]), key[1], at["x"], at["y"])
        for key, at in found.items()
        if len(at) == 2
    ]
    return [(pair[3], pair[4]) for pair in sorted(pairs, key=lambda pair: pair[:3])]


def _strains(columns: Sequence[Column]) -> dict[int, tuple[Column, float]]:
    """Column and factor of each component 0 xx, 1 yy, 2 xy that there is; the first of several."""
    found: dict[int, tuple[Column, float]] = {}
    for column in columns:
        if (match := _STRAIN.fullmatch(column.name)) is not None:
            found.setdefault({"x": 0, "xx": 0, "y": 1, "yy": 1, "xy": 2}[match[1]], (column, 1.0))
    for column in columns:
        if _SHEAR.fullmatch(column.name):
            found.setdefault(2, (column, 0.5))
    return found


def _displacements(columns: Sequence[Column], of_length: bool) -> tuple[Column, Column] | None:
    """Columns along x and y in the same kind of unit as the coordinates."""
    for names in (("u", "v"), ("uc", "vc")):
        pair = [
            next((c for c in columns if c.name == name and (c.unit in LENGTHS) == of_length), None)
            for name in names
        ]
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    moved: dict[str, Column] = {}
    for column in columns:
        match = _MOVED.fullmatch(column.name)
        if match is not None and (column.unit in LENGTHS) == of_length:
            moved.setdefault(match[1], column)
    return (moved["x"], moved["y"]) if len(moved) == 2 else None


def _vendor(columns: Sequence[Column]) -> str:
    names = {column.name for column in columns}
    if "coordinatex" in names or "subsetid" in names:
        return "DICe"
    if names & _VIC:
        return "VIC-2D"
    if any(name.startswith(("eps", "dehnung", "displacement")) for name in names):
        return "GOM"
    return "points"


def read_points(path: Path, lines: Sequence[str], header: int, axis: str, unit: str | None) -> RawMaps:
    """One map from a table of points with a header.

    Parameters
    ----------
    lines: of the file. header: number of the line that names the columns.
    axis: the loading axis in the frame of the file, whose strain has to be there.
    unit: of the strains; None for what the header says.

    Raises
    ------
    DataError: columns are missing, a cell is no number, the points make no grid.
    """
    columns = parse_header(lines[header])
    vendor = _vendor(columns)
    pairs = _places(columns)
    xc, yc = pairs[0]
    strains = _strains(columns)
    moved = _displacements(columns, xc.unit in LENGTHS)
    direct = ("x", "y").index(axis) in strains
    if not direct and (strains or moved is None):
        names = [column.text for column in columns]
        hint = did_you_mean(f"e{axis}{axis}", names) if not strains else f"; found: {', '.join(names)}"
        raise DataError(f"{path}: no column with the strain along {axis} (e{axis}{axis}){hint}")
    rows = _rows(path, lines, header, columns)
    used = [strains[k][0] for k in sorted(strains)] if direct else list(moved or ())
    x, y = (_numbers(path, rows, column) for column in (xc, yc))
    values = np.array([_numbers(path, rows, column) for column in used])
    values[:, _failed(path, rows, columns, vendor)] = np.nan
    here = np.isfinite(x) & np.isfinite(y)
    down = _points_down(path, rows, pairs, vendor)
    x, y = x[here], (-y if down else y)[here]
    grid = regrid(x, y, values[:, here], str(path))
    strain = np.full((3, *grid.values.shape[1:]), np.nan)
    if direct:
        factors = _factors(path, [strains[k] for k in sorted(strains)], unit)
        for k, field_, factor in zip(sorted(strains), grid.values, factors, strict=True):
            strain[k] = field_ * factor
        if down and 2 in strains:
            strain[2] *= -1
    else:
        scale = [LENGTHS.get(column.unit, 1.0) / LENGTHS.get(xc.unit, 1.0) for column in used]
        u, v = (field_ * factor for field_, factor in zip(grid.values, scale, strict=True))
        strain = strain_of_displacements(u, -v if down else v, grid.step)
    info = {"format": vendor, "y_points": "down" if down else "up", "points": int(here.sum())}
    info |= {"from": "strains" if direct else "displacements", "regridded": grid.how}
    pitch = grid.step * LENGTHS[xc.unit] if xc.unit in LENGTHS else None
    return RawMaps(strain[None], pitch, (grid.origin[0] / grid.step, grid.origin[1] / grid.step), info)


def _rows(path: Path, lines: Sequence[str], header: int, columns: Sequence[Column]) -> dict[int, list[str]]:
    """Cells of each line with data, by its number from 1 on."""
    found: dict[int, list[str]] = {}
    for count, line in enumerate(lines[header + 1 :], start=header + 2):
        if not line.strip() or line.lstrip().startswith(("#", "***")):
            continue
        cells = split_line(line)
        if len(cells) == len(columns) + 1 and not cells[-1]:
            cells.pop()  # a delimiter at the end
        if len(cells) != len(columns):
            raise DataError(
                f"{path}, line {count}: {len(cells)} columns, but the header names {len(columns)}"
            )
        if any(cells):
            found[count] = cells
    if not found:
        raise DataError(f"{path} holds no points below its header")
    return found


def _numbers(path: Path, rows: dict[int, list[str]], column: Column) -> Floats:
    """(points,) values of a column."""
    cells = [row[column.at] for row in rows.values()]
    try:
        values = np.array(cells, dtype=np.float64)
        if not np.isinf(values).any():
            return values
    except ValueError:
        pass
    name = column.text
    return np.array([number(c, f"{path}, line {n}, column {name}") for n, c in zip(rows, cells, strict=True)])


def _failed(
    path: Path, rows: dict[int, list[str]], columns: Sequence[Column], vendor: str
) -> NDArray[np.bool_]:
    """(points,) where the correlation did not succeed."""
    failed = np.zeros(len(rows), bool)
    for column in columns:
        if column.name == "sigma" or (column.name == "match" and vendor == "DICe"):
            failed |= _numbers(path, rows, column) < 0
        elif column.name == "statusflag":
            failed |= ~np.isin(_numbers(path, rows, column), _DICE_GOOD)
    return failed


def _points_down(
    path: Path, rows: dict[int, list[str]], pairs: Sequence[tuple[Column, Column]], vendor: str
) -> bool:
    """Whether y runs down the image: that of pixels does; that of lengths as it goes with the pixels."""
    own = pairs[0][1]
    of_pixels = [
        y for _, y in pairs if y.unit.lower() in ("px", "pixel", "pixels") or vendor in ("DICe", "VIC-2D")
    ]
    of_pixels = [y for y in of_pixels if y.unit not in LENGTHS]
    if own.unit not in LENGTHS:
        return own in of_pixels
    if not of_pixels:
        return False
    lengths, pixels = _numbers(path, rows, own), _numbers(path, rows, of_pixels[0])
    here = np.isfinite(lengths) & np.isfinite(pixels)
    a, b = lengths[here] - lengths[here].mean(), pixels[here] - pixels[here].mean()
    return bool(a @ b > 0)


def _factors(path: Path, strains: Sequence[tuple[Column, float]], unit: str | None) -> list[float]:
    """From each column to a fraction of the tensor component."""
    told = {column.unit for column, _ in strains}
    if unit is not None:
        known = {_STRAIN_UNITS.get(u.lower(), u) for u in told}
        if len(known) > 1:
            shown = ", ".join(f"{column.text!r}" for column, _ in strains)
            raise DataError(
                f"{path}: the columns {shown} have units of their own that differ; leave --unit out"
            )
        return [UNITS[unit] * factor for _, factor in strains]
    for column, _ in strains:
        if column.unit.lower() not in _STRAIN_UNITS:
            raise DataError(
                f"{path}: unknown unit {column.unit!r} of the column {column.text!r}; give --unit "
                "fraction, percent or microstrain"
            )
    return [_STRAIN_UNITS[column.unit.lower()] * factor for column, factor in strains]
