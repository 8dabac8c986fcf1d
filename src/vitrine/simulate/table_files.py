"""Tables as files: CSV (plain or gzip, UTF-8, comma) and Parquet of the user, JSON of Matbench.

What is no table is refused in words that name the file; what the rows hold is not looked at here.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrine.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

USUAL_FORMULA_COLUMNS = ("formula", "composition", "pretty_comp", "pretty_formula")
"""Names under which a column of formulas is found without being told, in this order."""

ENDINGS = (".csv", ".csv.gz", ".parquet")


def existing(path: str | Path) -> Path:
    """The path of a file that can be a table.

    Raises
    ------
    DataError: no such file, a folder, or another kind of file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = "is a folder, not a table" if path.is_dir() else f"does not exist (looked from {Path.cwd()})"
        raise DataError(f"{path} {what}; give the path of a .csv, .csv.gz or .parquet file")
    if not path.name.lower().endswith(ENDINGS):
        raise DataError(f"{path} is not a table that can be read here; what can: {', '.join(ENDINGS)}")
    return path


def stem_of(path: Path) -> str:
    """The file's name without its ending."""
    return re.sub(r"\.(csv|csv\.gz|parquet)$", "", path.name, flags=re.IGNORECASE)


def column_names(path: Path) -> list[str]:
    """Names of the columns, checked to be distinct; for CSV all rows are checked for their width.

    Raises
    ------
    DataError: not a table.
    """
    with clear_errors(path):
        if _is_parquet(path):
            import pyarrow.parquet

            names = [str(name) for name in pyarrow.parquet.ParquetFile(path).schema_arrow.names]
        else:
            names = _csv_header(path)
    names = _named(names)
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise DataError(f"{path}: more than one column is named {listed(doubles)}; rename them")
    return names


def read_rows(path: Path, columns: Sequence[str], text: Sequence[str], limit: int | None) -> pd.DataFrame:
    """The rows of a checked file.

    Parameters
    ----------
    columns: from :func:`column_names`.
    text: columns that are read as stripped strings ("NaN" is a formula; an empty cell is "").
    limit: number of rows to read.

    Raises
    ------
    DataError: the file has no rows or cannot be read.
    """
    with clear_errors(path):
        if _is_parquet(path):
            frame = _read_parquet(path, columns, text, limit)
        else:
            with _open(path) as file:
                frame = _read_csv(file, columns, text, limit)
    if not len(frame):
        raise DataError(f"{path} has a header but no rows")
    return frame


def rows_of_bytes(content: bytes, name: str, text: Sequence[str]) -> pd.DataFrame:
    """The rows of the known, uncompressed content of a published file; arguments as in :func:`read_rows`.

    Matbench's JSON maps columns to a mapping of row numbers to cells.
    """
    import pandas as pd

    if name.endswith(".parquet"):
        return _read_parquet(BytesIO(content), None, text, None)
    if name.endswith(".json"):
        columns: dict[str, dict[str, Any]] = json.loads(content)
        frame = pd.DataFrame({column: list(cells.values()) for column, cells in columns.items()})
        for column in text:
            frame[column] = _stripped(frame[column])
        return frame
    with TextIOWrapper(BytesIO(content), encoding="utf-8-sig", newline=None) as file:
        names = _named(next(csv.reader([file.readline()])))
        file.seek(0)
        return _read_csv(file, names, text, None)


def one_column(path: Path, name: str) -> pd.Series:
    """One column of a file, unchecked; KeyError if there is none, ValueError if it is no table."""
    import pandas as pd

    if _is_parquet(path):
        names = column_names(path)
        return _read_parquet(path, names, (), None, only=name)[name]
    with _open(path) as file:
        return pd.read_csv(file, usecols=lambda column: column.strip() == name, low_memory=False).iloc[:, 0]


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what the libraries raise on a damaged file into one kind of message.

    Raises
    ------
    DataError: for any of them.
    """
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


def _named(names: Sequence[str]) -> list[str]:
    return [name.strip() or f"Unnamed: {number}" for number, name in enumerate(names)]


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


def _read_parquet(
    file: Path | BytesIO,
    columns: Sequence[str] | None,
    text: Sequence[str],
    limit: int | None,
    only: str | None = None,
) -> pd.DataFrame:
    import pyarrow.parquet

    stored = pyarrow.parquet.ParquetFile(file)
    if only is not None and columns is not None:
        position = list(columns).index(only)
        table = stored.read(columns=[stored.schema_arrow.names[position]]).rename_columns([only])
    else:
        table = stored.read()
        table = table if columns is None else table.rename_columns(list(columns))
    frame: pd.DataFrame = table.slice(0, limit).to_pandas(ignore_metadata=True)
    for name in text:
        frame[name] = _stripped(frame[name])
    return frame


def _stripped(cells: pd.Series) -> list[str]:
    import pandas as pd

    return [str(cell).strip() if pd.notna(cell) else "" for cell in cells]


def _read_csv(file: Any, columns: Sequence[str], text: Sequence[str], limit: int | None) -> pd.DataFrame:
    import pandas as pd

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


def column_of(where: object, columns: Sequence[str], name: str, role: str) -> str:
    """``name``, if there is such a column; ``role`` is the setting that asks for it.

    Raises
    ------
    DataError: there is none.
    """
    if name not in columns:
        raise DataError(f"{where}: no column {name!r} (source.{role}){did_you_mean(name, columns)}")
    return name


def formula_column(where: object, columns: Sequence[str], name: str | None) -> str:
    """The column of formulas: the one named, or the first of a usual name.

    Raises
    ------
    DataError: there is none.
    """
    if name is not None:
        return column_of(where, columns, name, "formula")
    for usual in USUAL_FORMULA_COLUMNS:
        for column in columns:
            if column.lower() == usual:
                return column
    usual = ", ".join(USUAL_FORMULA_COLUMNS)
    raise DataError(
        f"{where}: which column holds the formulas? none is named {usual}; "
        f"set source.formula; columns: {listed(columns)}"
    )


def is_index(name: str) -> bool:
    """Whether a column is the row index that pandas has written along."""
    return re.fullmatch(r"Unnamed: \d+|__index_level_\d+__|index", name) is not None


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names in quotation marks, not too many of them."""
    text = ", ".join(repr(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"
