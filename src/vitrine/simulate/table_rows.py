"""What the rows of a table hold: formulas, targets, parts of a split; and which rows are refused, and why."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.simulate.table_files import is_index, listed

if TYPE_CHECKING:
    import pandas as pd

Numbers = Sequence[int] | NDArray[np.int64]
SHOWN = 5
"""Number of bad rows that an error shows."""

SPLIT_WORDS = {
    "train": 0, "training": 0,
    "val": 1, "valid": 1, "validation": 1,
    "test": 2, "testing": 2,
}  # fmt: skip
"""Words of a split column, whatever their case, and the numbers of the attribute ``split``."""


@dataclass(frozen=True)
class Targets:
    """The columns to learn.

    Attributes
    ----------
    names: their names in the file, the first is the main one.
    columns: name -> float64 (NaN is a missing cell), or words where the one target has no number in it.
    reasons: row -> why it cannot be used.
    """

    names: tuple[str, ...]
    columns: dict[str, pd.Series]
    reasons: dict[int, str]


def read_targets(where: object, frame: pd.DataFrame, names: Sequence[str]) -> Targets:
    """The named columns as numbers; one column without any number is kept as words, which name classes.

    Raises
    ------
    DataError: a column without a usable cell, or several of which one has no number.
    """
    if len(names) == 1:
        (name,) = names
        words = as_words(frame[name])
        if words is None:
            values = as_numbers(frame[name])
            if not values.notna().any():
                raise DataError(f"{where}: column {name!r} has no number in it")
            return Targets((name,), {name: values}, _bad_values(frame[name], values))
        missing = {int(row): f"{name} is missing" for row in np.flatnonzero(words.to_numpy() == "")}
        return Targets((name,), {name: words}, missing)
    columns: dict[str, pd.Series] = {}
    reasons: dict[int, str] = {}
    usable = np.zeros(len(frame), dtype=bool)
    for name in names:
        values = as_numbers(frame[name])
        if not values.notna().any():
            raise DataError(f"{where}: column {name!r} has no number in it; several targets are all numbers")
        columns[name] = values
        usable |= values.notna().to_numpy()
        reasons = {**_bad_values(frame[name], values, missing=False), **reasons}
    empty = {int(row): f"{' and '.join(names)} are missing" for row in np.flatnonzero(~usable)}
    reasons = {**empty, **reasons}
    return Targets(tuple(names), columns, reasons)


def filled(targets: Targets) -> NDArray[np.int64]:
    """Positions of the rows that have any target."""
    found = np.zeros(len(next(iter(targets.columns.values()))), dtype=bool)
    for column in targets.columns.values():
        found |= column.notna().to_numpy() & (column != "").to_numpy()
    return np.flatnonzero(found)


def only_numeric(where: object, frame: pd.DataFrame, taken: Sequence[str]) -> str:
    """The one column of numbers that is not taken, is no row index and holds no truth values.

    Raises
    ------
    DataError: there is none, or more than one.
    """
    columns = [str(name) for name in frame.columns]
    free = [name for name in columns if name not in taken and not is_index(name)]
    numeric = [
        name for name in free if not _is_truth(frame[name]) and as_numbers(frame[name]).notna().mean() > 0.5
    ]
    if len(numeric) == 1:
        return numeric[0]
    found = "there is no numeric column" if not numeric else f"there are {len(numeric)} numeric columns"
    raise DataError(
        f"{where}: which is the target? {found}; set source.target; columns: {listed(numeric or columns)}"
    )


def as_numbers(column: pd.Series) -> pd.Series:
    """As float64, NaN where a cell is not a finite number (dates, lists and truth values are none)."""
    import pandas as pd

    if column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
        column = column.where(column.map(lambda cell: isinstance(cell, (str, int, float))))
        column = column.where(column.map(lambda cell: not isinstance(cell, bool)))
    elif not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return pd.Series(np.nan, index=column.index, name=column.name)
    values = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return values.where(np.isfinite(values))


def as_words(column: pd.Series) -> pd.Series | None:
    """Stripped words, "" where a cell is missing; None if a cell is a number, or if there is no word.

    Truth values are the words ``True`` and ``False``.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return None
    cells = column.astype(object)
    present = cells[cells.notna()]
    if not len(present) or not present.map(lambda cell: isinstance(cell, (str, bool, np.bool_))).all():
        return None
    numeric = pd.to_numeric(
        present.map(lambda cell: cell if isinstance(cell, str) else None), errors="coerce"
    )
    if numeric.notna().any():
        return None
    words = cells.map(lambda cell: str(cell).strip() if pd.notna(cell) else "")
    return words if (words != "").any() else None


def _is_truth(column: pd.Series) -> bool:
    words = as_words(column)
    return words is not None and set(words.unique()) <= {"True", "False", ""}


def _bad_values(raw: pd.Series, values: pd.Series, missing: bool = True) -> dict[int, str]:
    """Reasons for cells that are no number; with ``missing`` also for empty ones."""
    import pandas as pd

    reasons = {}
    for row in values.isna().to_numpy().nonzero()[0]:
        cell = raw.iloc[row]
        empty = (pd.api.types.is_scalar(cell) and bool(pd.isna(cell))) or not str(cell).strip()
        if not empty:
            reasons[int(row)] = f"{raw.name} is {shown(cell)}, not a finite number"
        elif missing:
            reasons[int(row)] = f"{raw.name} is missing"
    return reasons


def shown(cell: Any) -> str:
    """A cell for a message, not too long."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= 60 else text[:57] + "..."


def reduce_formulas(formulas: pd.Series) -> tuple[list[str], dict[int, str]]:
    """Reduced formula of each row ("" where there is none), and row -> reason for the bad ones."""
    from vitrine.physics.formulas import parse_formula, reduced_formula

    reduced: dict[str, str] = {}
    bad: dict[str, str] = {}
    for text in formulas.unique():
        try:
            reduced[text] = reduced_formula(parse_formula(text))
        except DataError as error:
            reduced[text], bad[text] = "", str(error)
    texts = list(formulas)
    reasons = {row: bad[text] for row, text in enumerate(texts) if text in bad} if bad else {}
    return [reduced[text] for text in texts], reasons


def split_numbers(words: pd.Series) -> tuple[NDArray[np.float64], dict[int, str]]:
    """(n,) 0 train, 1 validation, 2 test (NaN: none), and row -> reason for other words."""
    known = {word: float(SPLIT_WORDS.get(str(word).lower(), np.nan)) for word in words.unique()}
    numbers = np.array([known[word] for word in words], dtype=np.float64)
    reasons = {}
    for row in np.flatnonzero(np.isnan(numbers)):
        word = words.iloc[row]
        what = f"is {shown(word)}, not train, validation or test" if word else "is missing"
        reasons[int(row)] = f"{words.name} {what}"
    return numbers, reasons


def double_ids(names: pd.Series, numbers: Numbers | None = None) -> dict[int, str]:
    """Row -> reason for rows whose id is missing or stands in an earlier row.

    numbers: as for :func:`refusal`.
    """
    first: dict[str, int] = {}
    reasons = {}
    for row, name in enumerate(names):
        if not name:
            reasons[row] = f"{names.name} is missing"
        elif first.setdefault(name, row) != row:
            reasons[row] = (
                f"{names.name} is {shown(name)}, as in row {_number(first[name], numbers)}; ids must differ"
            )
    return reasons


def refusal(
    where: object,
    reasons: Mapping[int, str],
    n_rows: int,
    numbers: Numbers | None = None,
    header: bool = True,
) -> str:
    """The message of an error that names the first bad rows.

    Parameters
    ----------
    numbers: of all rows in their file, from 0, where some were left out before.
    header: whether the file has one.
    """
    lines = [f"{where}: {len(reasons):,} of {n_rows:,} rows cannot be used:"]
    lines += [f"  row {_number(row, numbers)}: {reasons[row]}" for row in sorted(reasons)[:SHOWN]]
    if len(reasons) > SHOWN:
        lines.append(f"  and {len(reasons) - SHOWN:,} more")
    lines.append(f"rows are counted from 1{' after the header' if header else ''}; correct them")
    if len(reasons) < n_rows:
        lines[-1] += ", or go on without them: --skip-bad (source.skip_bad=true)"
    return "\n".join(lines)


def _number(row: int, numbers: Numbers | None) -> int:
    return int(row if numbers is None else numbers[row]) + 1


class Refused(tuple[dict[str, str], ...]):
    """Refused rows, which pandas does not copy whenever it touches the table that carries them."""

    def __deepcopy__(self, memo: Any) -> Refused:
        return self


def refused_rows(
    frame: pd.DataFrame,
    formula: str,
    targets: Sequence[str],
    reasons: Mapping[int, str],
    numbers: Numbers,
) -> Refused:
    """For each refused row its number, formula, targets as they stand there, and the reason; as text.

    ``numbers`` are those of all rows, from 0.
    """
    import pandas as pd

    rows = []
    for row in sorted(reasons):
        cells = {name: frame[name].iloc[row] for name in targets}
        words = {
            name: "" if pd.api.types.is_scalar(c) and pd.isna(c) else str(c) for name, c in cells.items()
        }
        kept = {
            "row": str(numbers[row] + 1),
            "formula": str(frame[formula].iloc[row]),
            "reason": reasons[row],
        }
        aside = {f"{name} (table)" if name in kept else name: text for name, text in words.items()}
        rows.append({**kept, **aside})
    return Refused(rows)


def write_refused(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write refused rows (``items.attrs["refused"]`` of samples) as CSV: row, formula, targets, reason.

    Raises
    ------
    OSError: the file cannot be written.
    """
    found = [dict(row) for row in rows]
    names = [name for name in dict.fromkeys(name for row in found for name in row) if name != "reason"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*names, "reason"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def renamed(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Rename columns; another column that already has such a name becomes ``<name> (table)``."""
    aside = {new: f"{new} (table)" for new in names.values() if new in frame.columns and new not in names}
    return frame.rename(columns={**aside, **names})
