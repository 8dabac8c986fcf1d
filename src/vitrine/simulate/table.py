"""A table of formulas with a measured or computed value: the user's own file or a published set.

CSV (plain or gzip, UTF-8, comma) and Parquet. What cannot be used is named with file, row and
value before anything is learned from it; nothing is filled in or guessed.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from vitrine.arrays import hash_file
from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.simulate.emt_alloys import EmtAlloys
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    import pandas as pd

USUAL_FORMULA_COLUMNS = ("formula", "composition", "pretty_comp", "pretty_formula")
"""Names under which a column of formulas is found without being told, in this order."""

ENDINGS = (".csv", ".csv.gz", ".parquet")
EMBEDDED = "emt-alloys"
"""The table that is made in seconds where the user has none."""

SHOWN = 5
"""Number of bad rows that an error shows."""


class Table(Part):
    """Formulas and values from a file; one sample per row, grouped by reduced formula.

    Sample ids are ``<table>:<row>`` with rows counted from 1 after the header. The items have the
    columns ``formula``, ``target`` (float64) and the other columns of the file under their own
    names; ``about["target"]`` is the file's name of the target.
    """

    summary: ClassVar[str] = "a CSV or Parquet file with formulas and a value"
    version: ClassVar[int] = 1
    yields: ClassVar[str] = "formulas"
    not_determining: ClassVar[frozenset[str]] = frozenset({"skip_bad"})

    kind: Literal["table"] = "table"
    table: str = Field(
        EMBEDDED,
        min_length=1,
        description="path of a .csv, .csv.gz or .parquet file, or emt-alloys, which needs no file",
    )
    formula: str | None = Field(None, description="column of formulas; found by its usual names")
    target: str | None = Field(None, description="column to learn; by default the only numeric one")
    group: str | None = Field(None, description="column of what stays together; else the reduced formula")
    skip_bad: bool = Field(False, description="leave rows out that cannot be used, instead of stopping")
    limit: int | None = Field(None, ge=1, description="use the first rows of the file only")

    def recipe(self) -> dict[str, Any]:
        """As for every part, with the file's name and SHA-256 in place of its path."""
        recipe = super().recipe()
        if self._embedded:
            return recipe
        path = _existing(self.table)
        recipe["settings"]["table"] = {"name": _stem(path), "sha256": hash_file(path)}
        return recipe

    @property
    def _embedded(self) -> bool:
        return self.table == EMBEDDED and not Path(EMBEDDED).is_file()

    def tasks(self) -> list[Task]:
        """None for a file, which is quick to read; one for the embedded alloys."""
        return EmtAlloys().tasks() if self._embedded else []

    def samples(self, outcomes: Sequence[Outcome] = ()) -> Samples:
        """Read the file, or the embedded alloys.

        Raises
        ------
        DataError: no such file or column, not a table, or rows that cannot be used.
        """
        if self._embedded:
            return self._alloys(outcomes)
        path = _existing(self.table)
        columns = _column_names(path)
        formula = _formula_column(path, columns, self.formula)
        group = None if self.group is None else _column(path, columns, self.group, "group")
        text = [formula] if group is None else [formula, group]
        frame = _read(path, columns, text, self.limit)
        target = self._target_column(path, frame, text)
        values = _numbers(frame[target])
        reduced, reasons = _reduce(frame[formula])
        for row, reason in _bad_values(frame[target], values).items():
            reasons.setdefault(row, reason)
        groups = reduced if group is None else list(frame[group])
        for row, name in enumerate(groups):
            if not name:
                reasons.setdefault(row, f"{group} is missing")
        keep = [row for row in range(len(frame)) if row not in reasons]
        if reasons and not (self.skip_bad and keep):
            raise DataError(_refusal(path, reasons, len(frame)))
        frame = _renamed(frame.assign(**{target: values}), {formula: "formula", target: "target"})
        stem = _stem(path)
        about: dict[str, Any] = {
            "table": path.name,
            "sha256": hash_file(path),
            "formula": formula,
            "target": target,
        }
        about |= {"rows": len(frame), "skipped": len(reasons)}
        return Samples(
            kind="formulas",
            items=frame.iloc[keep].reset_index(drop=True),
            ids=tuple(f"{stem}:{row + 1}" for row in keep),
            groups=tuple(str(groups[row]) for row in keep),
            about=about,
            left_out={f"{stem}:{row + 1}": reason for row, reason in sorted(reasons.items())},
        )

    def _alloys(self, outcomes: Sequence[Outcome]) -> Samples:
        samples = EmtAlloys().samples(outcomes)
        known = samples.about["target"]
        if self.target not in (None, known):
            raise DataError(
                f"the embedded table {EMBEDDED} has the target {known!r} only, not {self.target!r}; "
                "give your own table with source.table=FILE"
            )
        return samples

    def _target_column(self, path: Path, frame: pd.DataFrame, taken: Sequence[str]) -> str:
        columns = [str(name) for name in frame.columns]
        if self.target is not None:
            name = _column(path, columns, self.target, "target")
            if name in taken:
                raise DataError(f"{path}: {name!r} is already the formula or the group, not the target")
            if not _numbers(frame[name]).notna().any():
                raise DataError(f"{path}: column {name!r} has no number in it")
            return name
        free = [name for name in columns if name not in taken and not _is_index(name)]
        numeric = [
            name for name in free if frame[name].dtype != bool and _numbers(frame[name]).notna().mean() > 0.5
        ]
        if len(numeric) == 1:
            return numeric[0]
        found = "there is no numeric column" if not numeric else f"there are {len(numeric)} numeric columns"
        columns = numeric or columns
        raise DataError(
            f"{path}: which is the target? {found}; set source.target; columns: {_listed(columns)}"
        )


def read_formulas(path: str | Path, formula: str | None = None, skip_bad: bool = False) -> pd.DataFrame:
    """Read a table to predict for: no target needed.

    Returns the file's columns with that of the formulas renamed ``formula``; the index, named
    ``row``, counts rows from 1 after the header. With ``skip_bad`` the rows that cannot be used
    are absent and ``attrs["left_out"]`` maps their numbers to the reasons.

    Raises
    ------
    DataError: no such file or column, not a table, or formulas that cannot be read.
    """
    import pandas as pd

    path = _existing(path)
    columns = _column_names(path)
    name = _formula_column(path, columns, formula)
    frame = _read(path, columns, [name], None)
    _, reasons = _reduce(frame[name])
    keep = [row for row in range(len(frame)) if row not in reasons]
    if reasons and not (skip_bad and keep):
        raise DataError(_refusal(path, reasons, len(frame)))
    frame = _renamed(frame, {name: "formula"}).iloc[keep]
    frame.index = pd.Index([row + 1 for row in keep], name="row")
    frame.attrs["left_out"] = {row + 1: reason for row, reason in sorted(reasons.items())}
    return frame


def _existing(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if not path.is_file():
        what = "is a folder, not a table" if path.is_dir() else f"does not exist (looked from {Path.cwd()})"
        raise DataError(f"{path} {what}; give the path of a .csv, .csv.gz or .parquet file")
    if not path.name.lower().endswith(ENDINGS):
        raise DataError(f"{path} is not a table that can be read here; what can: {', '.join(ENDINGS)}")
    return path


def _stem(path: Path) -> str:
    return re.sub(r"\.(csv|csv\.gz|parquet)$", "", path.name, flags=re.IGNORECASE)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Turn what the libraries raise on a damaged file into one kind of message."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise DataError(
            f"{path} is not a readable CSV file: {error}; is a quotation mark not closed?"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except ValueError as error:  # pandas and pyarrow: parser errors
        raise DataError(f"{path} is not a readable table: {error}") from error
    except Exception as error:
        if not type(error).__module__.startswith("pyarrow"):  # whose errors have no base but this
            raise
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def _column_names(path: Path) -> list[str]:
    """Names of the columns, checked to be distinct; for CSV all rows are checked for their width."""
    with _clear_errors(path):
        if _is_parquet(path):
            import pyarrow.parquet

            names = [str(name) for name in pyarrow.parquet.ParquetFile(path).schema_arrow.names]
        else:
            names = _csv_header(path)
    names = [name.strip() or f"Unnamed: {number}" for number, name in enumerate(names)]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise DataError(f"{path}: more than one column is named {_listed(doubles)}; rename them")
    return names


def _open(path: Path) -> Any:
    """Text with all line ends as one: pandas' parser loses count, and memory, at a lone CR."""
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline=None)


def _csv_header(path: Path) -> list[str]:
    with _open(path) as file:
        rows = (row for row in csv.reader(file) if row)
        header = next(rows, None)
        if header is None:
            raise DataError(f"{path} is empty; a table has a header and rows")
        width = len(header)
        for number, row in enumerate(rows, start=1):
            if len(row) != width:
                raise DataError(
                    f"{path}: row {number} has {len(row)} fields, the header has {width}; "
                    "fields are separated by commas, and a field with a comma in it stands in quotation marks"
                )
    if width == 1 and re.search(r"[;\t|]", header[0]):
        raise DataError(f"{path}: the only column is named {header[0]!r}; separate the columns by commas")
    return header


def _read(path: Path, columns: Sequence[str], text: Sequence[str], limit: int | None) -> pd.DataFrame:
    """The rows of a checked file; the columns in ``text`` as stripped strings ("NaN" is a formula)."""
    with _clear_errors(path):
        reader = _read_parquet if _is_parquet(path) else _read_csv
        frame = reader(path, columns, text, limit)
    if not len(frame):
        raise DataError(f"{path} has a header but no rows")
    return frame


def _read_parquet(path: Path, columns: Sequence[str], text: Sequence[str], limit: int | None) -> pd.DataFrame:
    import pandas as pd
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(path).read().rename_columns(list(columns))
    frame: pd.DataFrame = table.slice(0, limit).to_pandas(ignore_metadata=True)
    for name in text:
        frame[name] = [str(value).strip() if pd.notna(value) else "" for value in frame[name]]
    return frame


def _read_csv(path: Path, columns: Sequence[str], text: Sequence[str], limit: int | None) -> pd.DataFrame:
    import pandas as pd

    with _open(path) as file:
        return pd.read_csv(
            file,
            header=0,
            names=list(columns),
            index_col=False,
            converters=dict.fromkeys(text, str.strip),
            float_precision="round_trip",
            low_memory=False,
            nrows=limit,
        )


def _column(path: Path, columns: Sequence[str], name: str, role: str) -> str:
    if name not in columns:
        raise DataError(f"{path}: no column {name!r} (source.{role}){did_you_mean(name, columns)}")
    return name


def _formula_column(path: Path, columns: Sequence[str], name: str | None) -> str:
    if name is not None:
        return _column(path, columns, name, "formula")
    for usual in USUAL_FORMULA_COLUMNS:
        for column in columns:
            if column.lower() == usual:
                return column
    usual = ", ".join(USUAL_FORMULA_COLUMNS)
    raise DataError(
        f"{path}: which column holds the formulas? none is named {usual}; "
        f"set source.formula; columns: {_listed(columns)}"
    )


def _is_index(name: str) -> bool:
    """Whether a column is the row index that pandas has written along."""
    return re.fullmatch(r"Unnamed: \d+|__index_level_\d+__|index", name) is not None


def _listed(names: Sequence[str], most: int = 20) -> str:
    text = ", ".join(repr(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


def _numbers(column: pd.Series) -> pd.Series:
    """As float64, NaN where a cell is not a finite number (dates and lists are none)."""
    import numpy as np
    import pandas as pd

    if column.dtype == object:
        column = column.where(column.map(lambda cell: isinstance(cell, (str, int, float))))
    elif not pd.api.types.is_numeric_dtype(column):
        return pd.Series(np.nan, index=column.index, name=column.name)
    values = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return values.where(np.isfinite(values))


def _bad_values(raw: pd.Series, values: pd.Series) -> dict[int, str]:
    import pandas as pd

    reasons = {}
    for row in values.isna().to_numpy().nonzero()[0]:
        cell = raw.iloc[row]
        missing = bool(pd.isna(cell)) or not str(cell).strip()
        reasons[int(row)] = (
            f"{raw.name} is missing" if missing else f"{raw.name} is {_cell(cell)}, not a finite number"
        )
    return reasons


def _cell(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _reduce(formulas: pd.Series) -> tuple[list[str], dict[int, str]]:
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


def _refusal(path: Path, reasons: Mapping[int, str], n_rows: int) -> str:
    lines = [f"{path}: {len(reasons):,} of {n_rows:,} rows cannot be used:"]
    lines += [f"  row {row + 1}: {reasons[row]}" for row in sorted(reasons)[:SHOWN]]
    if len(reasons) > SHOWN:
        lines.append(f"  and {len(reasons) - SHOWN:,} more")
    lines.append("rows are counted from 1 after the header; correct them")
    if len(reasons) < n_rows:
        lines[-1] += ", or go on without them: --skip-bad (source.skip_bad=true)"
    return "\n".join(lines)


def _renamed(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Rename columns; another column that already has such a name becomes ``<name> (table)``."""
    aside = {new: f"{new} (table)" for new in names.values() if new in frame.columns and new not in names}
    return frame.rename(columns={**aside, **names})
