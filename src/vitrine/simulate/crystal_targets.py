"""The CSV beside a folder of crystals: which rows it has, and which file each of them means.

CGCNN and ALIGNN have ``id_prop.csv``, lines of ``id,target`` without a header; others have a header.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from vitrine.errors import DataError, did_you_mean
from vitrine.simulate.table_files import clear_errors, column_of, listed
from vitrine.simulate.table_rows import only_numeric, shown

if TYPE_CHECKING:
    import pandas as pd

USUAL = "id_prop.csv"
ID = "id"
EXPECTED = f"a table beside the crystals, usually {USUAL} with lines of id,target"
LARGEST = 1 << 30
"""Bytes of a CSV; a million rows are a tenth of that."""


@dataclass(frozen=True)
class TargetsFile:
    """The rows of the CSV.

    Attributes
    ----------
    path: of the file. frame: its rows, ids as stripped text. id: the column of ids.
    header: whether the file has one; if not, its columns are ``id`` and ``target``, or ``target 1`` ...
    """

    path: Path
    frame: pd.DataFrame
    id: str
    header: bool

    def targets(self, asked: str | Sequence[str] | None) -> tuple[str, ...]:
        """The columns to learn: those asked for, the only other column, ``target``, or the only numeric one.

        Raises
        ------
        DataError: no such column, the ids, or it cannot be told which.
        """
        columns = [str(name) for name in self.frame.columns]
        free = [name for name in columns if name != self.id]
        if asked is None:
            named = [name for name in free if name.lower() == "target"]
            if len(free) == 1 or named:
                return tuple((named or free)[:1])
            return (only_numeric(self.path, self.frame, [self.id]),)
        names = (asked,) if isinstance(asked, str) else tuple(asked)
        for name in names:
            if column_of(self.path, columns, name, "target") == self.id:
                raise DataError(f"{self.path}: {name!r} is the column of ids (source.id), not the target")
        return names


def find_targets(folder: Path, name: str | None) -> Path:
    """The CSV of a folder: the one named, ``id_prop.csv``, or the only one.

    Raises
    ------
    DataError: none, or several.
    """
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    tables = [path for path in tables if not path.name.startswith(".")]
    names = [path.name for path in tables]
    if name is not None:
        path = folder / Path(name).expanduser()
        if not path.is_file():
            hint = did_you_mean(name, names) or f"; expected {EXPECTED}"
            raise DataError(f"{folder} has no file {name!r} (source.targets){hint}")
        return path
    if USUAL in names:
        return folder / USUAL
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"{folder} has no CSV file; expected {EXPECTED}")
    raise DataError(
        f"{folder} has {len(tables)} CSV files and none is {USUAL}; name one with source.targets: "
        f"{listed(names)}"
    )


def read_targets_file(
    path: Path, ids: str | None, named: Sequence[str], known: frozenset[str]
) -> TargetsFile:
    """Read the rows.

    Parameters
    ----------
    ids: name of the column of ids; by default ``id``, or the first column.
    named: columns that the user names, which a header holds.
    known: names of files, with and without ending: a first row that begins with one is no header.

    Raises
    ------
    DataError: not a table, no rows, rows of unequal width, or no such column.
    """
    import pandas as pd

    with clear_errors(path):
        if path.stat().st_size > LARGEST:
            raise DataError(
                f"{path} is larger than {LARGEST / 2**30:g} GiB, too large for a table of targets"
            )
        text = path.read_bytes().decode("utf-8-sig")
        lines = csv.reader(StringIO(text, newline=None), strict=True)
        rows = [row for row in lines if any(cell.strip() for cell in row)]
    if not rows:
        raise DataError(f"{path} is empty; expected lines of id,target")
    first = [cell.strip() for cell in rows[0]]
    header = _is_header(first, named, known)
    _check_widths(path, rows, header)
    columns = _columns(path, first, header)
    column = _id_column(path, columns, ids)
    body = rows[1:] if header else rows
    if not body:
        raise DataError(f"{path} has a header but no rows")
    buffer = StringIO(newline="")
    csv.writer(buffer).writerows(body)
    buffer.seek(0)
    frame = pd.read_csv(
        buffer,
        header=None,
        names=columns,
        index_col=False,
        converters={column: str.strip},
        float_precision="round_trip",
        low_memory=False,
    )
    return TargetsFile(path, frame, column, header)


def _is_header(first: Sequence[str], named: Sequence[str], known: frozenset[str]) -> bool:
    if named and set(named) <= set(first):
        return True
    return first[0] not in known and not any(_is_number(cell) for cell in first[1:])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_widths(path: Path, rows: Sequence[Sequence[str]], header: bool) -> None:
    width = len(rows[0])
    if width == 1:
        separated = re.search(r"[;\t|]", rows[0][0])
        hint = "; separate the columns by commas" if separated else ""
        raise DataError(
            f"{path}: the first line has one column, {shown(rows[0][0])}; expected id,target{hint}"
        )
    for number, row in enumerate(rows[1:], start=1 if header else 2):
        if len(row) != width:
            what = "the header" if header else "the first row"
            raise DataError(f"{path}: row {number} has {len(row)} fields, {what} has {width}")


def _columns(path: Path, first: Sequence[str], header: bool) -> list[str]:
    if not header:
        several = [f"target {number}" for number in range(1, len(first))]
        return [ID, *(several if len(first) > 2 else ["target"])]
    names = [name or f"Unnamed: {number}" for number, name in enumerate(first)]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise DataError(f"{path}: more than one column is named {listed(doubles)}; rename them")
    return names


def _id_column(path: Path, columns: Sequence[str], ids: str | None) -> str:
    if ids is not None:
        return column_of(path, columns, ids, "id")
    return next((name for name in columns if name.lower() == ID), columns[0])


# ---------------------------------------------------------------- files


class CrystalFiles:
    """The crystals in a folder, found by name with or without its ending.

    Attributes
    ----------
    files: by name. named: full name or name without ending -> files.
    """

    def __init__(self, folder: Path) -> None:
        from vitrine.physics.crystal_files import is_crystal_file

        found = sorted(path for path in folder.iterdir() if is_crystal_file(path))
        self.folder = folder
        self.files = [path for path in found if not path.name.startswith(".") and path.is_file()]
        self.named: dict[str, list[Path]] = defaultdict(list)
        for path in self.files:
            for name in dict.fromkeys((path.name, plain_name(path))):
                self.named[name].append(path)

    def names(self) -> frozenset[str]:
        """All names, with and without endings."""
        return frozenset(self.named)

    def of(self, name: str) -> Path:
        """The file that an id means.

        Raises
        ------
        DataError: none, or several.
        """
        found = self.named.get(name, [])
        exact = [path for path in found if path.name == name]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if not name:
            raise DataError("the id is missing")
        if found:
            names = " and ".join(path.name for path in found)
            raise DataError(f"{shown(name)} can be {names}; write the id with its ending")
        near = did_you_mean(name, [path.name for path in self.files]) if len(self.files) < 2000 else ""
        near = near if near.startswith("; did") else ""
        raise DataError(
            f"no file of the folder is called {shown(name)}, as it is or with .cif, .vasp or .extxyz{near}"
        )


def plain_name(path: Path) -> str:
    """A file's name without an ending that says its kind."""
    from vitrine.physics.crystal_files import ENDINGS

    low = path.name.lower()
    ending = next((ending for ending in ENDINGS if low.endswith(ending) and low != ending), "")
    return path.name[: len(path.name) - len(ending)]
