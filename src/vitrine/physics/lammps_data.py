"""Data files of LAMMPS, looked at before ASE reads them (https://docs.lammps.org/read_data.html).

ASE takes a missing side of the box for 1 Å, leaves out the atoms beyond the announced number, takes
one id for two atoms, and stumbles over a missing end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vitrine.errors import DataError

_TYPE_COLUMN = {"atomic": 1, "charge": 1, "full": 2, "molecular": 2, "bond": 2, "angle": 2}
"""Position of the atom type in a line of the section 'Atoms', by atom style."""
_NUMBER = r"([-+.\deE]+)"


def check_data_file(path: Path) -> None:
    """Check the header, the box and the sections 'Masses' and 'Atoms'.

    Raises
    ------
    DataError: names the file, the line or atom, and what would be right.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    section = _section(lines, "Atoms")
    header = "\n".join(line.partition("#")[0] for line in lines[1:section])
    count = _count(header, "atoms")
    if section is None or count is None:
        missing = "line '<number> atoms'" if count is None else "section 'Atoms'"
        raise DataError(f"{path}: not a data file of LAMMPS: it has no {missing}")
    _check_box(header, path)
    types = _count(header, "atom types")
    _check_masses(lines, types, path)
    style = lines[section].partition("#")[2].strip()
    body = [(n, line.split()) for n, line in enumerate(lines[section + 1 :], section + 2) if line.strip()]
    rows = body[:count]
    rows = rows[: next((n for n, (_, words) in enumerate(rows) if not words[0].isdigit()), len(rows))]
    if len(rows) < count:
        raise DataError(f"{path} is cut short: {count} atoms announced, {len(rows)} lines in section 'Atoms'")
    if len(body) > count and body[count][1][0].isdigit():
        raise DataError(f"{path}, line {body[count][0]}: {count} atoms announced, and here is one more")
    _check_rows(rows, style, types, path)


def _section(lines: Sequence[str], name: str) -> int | None:
    """Where a section begins; the first line is a title, whatever it says."""
    return next((n for n, line in enumerate(lines) if n and re.match(rf"\s*{name}\b", line)), None)


def _count(header: str, what: str) -> int | None:
    found = re.search(rf"^\s*(\d{{1,18}})\s+{what}\b", header, re.MULTILINE)
    return int(found[1]) if found else None


def _check_box(header: str, path: Path) -> None:
    if re.search(r"\bavec\b", header):
        needed = ("avec", "bvec", "cvec", "abc origin")
        missing = [name for name in needed if not re.search(rf"^.*\S\s+{name}\b", header, re.MULTILINE)]
        if missing:
            raise DataError(f"{path}: its header gives no box: there is avec, but no {missing[0]}")
        return
    for axis in "xyz":
        sides = re.search(rf"^\s*{_NUMBER}\s+{_NUMBER}\s+{axis}lo\s+{axis}hi\b", header, re.MULTILINE)
        if sides is None:
            raise DataError(
                f"{path}: its header gives no box (a line such as '0.0 20.0 {axis}lo {axis}hi' per direction)"
            )
        try:
            low, high = float(sides[1]), float(sides[2])
        except ValueError:
            raise DataError(f"{path}: {sides[0].strip()!r} should hold two numbers") from None
        if not low < high:
            raise DataError(f"{path}: {axis}lo {low:g} must be below {axis}hi {high:g}")


def _check_masses(lines: Sequence[str], types: int | None, path: Path) -> None:
    start = _section(lines, "Masses")
    if start is None or types is None or _section(lines, "Atom Type Labels") is not None:
        return
    given: set[str] = set()
    for line in lines[start + 1 :]:
        words = line.partition("#")[0].split()
        if words and not words[0].isdigit():
            break
        given.update(words[:1])
    missing = next((n for n in range(1, min(types, len(given) + 1) + 1) if str(n) not in given), None)
    if missing is not None:
        raise DataError(f"{path}: its section 'Masses' gives no mass for type {missing} of {types}")


def _check_rows(rows: Sequence[tuple[int, list[str]]], style: str, types: int | None, path: Path) -> None:
    column = _TYPE_COLUMN.get(style or ("full" if rows and len(rows[0][1]) in (7, 10) else "atomic"))
    seen: set[str] = set()
    for number, words in rows:
        where = f"{path}, line {number}"
        if words[0] in seen:
            raise DataError(f"{where}: the atom id {words[0]} stands there twice")
        seen.add(words[0])
        if len(words) != len(rows[0][1]):
            raise DataError(f"{where}: {len(words)} columns, the first atom has {len(rows[0][1])}")
        if column is None or column >= len(words):
            continue
        kind = words[column]
        if re.fullmatch(r"[A-Za-z_]\w*", kind):
            raise DataError(f"{path}: its section 'Atoms' must name types by number, not by label")
        if not (kind.isascii() and kind.isdigit() and 1 <= int(kind[:18]) <= (types or int(kind[:18]))):
            raise DataError(f"{where}: expected an atom type from 1 to {types or '...'}, got {kind[:20]!r}")
