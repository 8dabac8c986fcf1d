"""The run folder: what ``vitrine run`` leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.samples import Examples, Samples
from vitrine.study.result import Result
from vitrine.study.yaml_reader import write_yaml

if TYPE_CHECKING:
    from vitrine.study.spec import Study


FOLDERS = ("figures", "models", "predictions")
FILES = (
    "log.txt", "metrics.json", "provenance.json", "refused.csv", "report.html", "result.json", "search.csv",
    "study.yaml",
)  # fmt: skip


def start_folder(out: Path) -> None:
    """Make the run folder.

    Raises
    ------
    DataError: it cannot be written to, or something else is in its place.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (out / "log.txt").is_dir():
            (out / "log.txt").touch()
    except OSError as error:
        raise DataError(
            f"--out {out}: {error.strerror or error}; give a folder that may be written to"
        ) from error
    for name in FOLDERS:
        if (out / name).exists() and not (out / name).is_dir():
            raise DataError(f"--out {out}: {name} is a file there, where a run needs a folder; move it away")
    for name in FILES:
        if (out / name).is_dir():
            raise DataError(f"--out {out}: {name} is a folder there, where a run writes a file; move it away")


def write_outputs(
    out: Path,
    study: Study,
    truth: dict[str, Examples],
    scores: dict[str, dict[str, NDArray[np.float64]]],
    result: Result,
) -> None:
    """Write ``study.yaml``, ``predictions/<track>.parquet`` and the result's own files; by track."""
    (out / "study.yaml").write_text(write_yaml(study.resolved()), encoding="utf-8")
    folder = out / "predictions"
    folder.mkdir(exist_ok=True)
    for track, columns in scores.items():
        write_predictions(folder / f"{track}.parquet", truth[track], columns)
    result.write(out)


def write_refused_rows(out: Path, samples: Samples) -> int:
    """Write ``refused.csv``, the rows of a table that were left out, and return their number.

    A file of an earlier run is taken away where there are none.
    """
    from vitrine.simulate.table import write_refused

    path = out / "refused.csv"
    rows = getattr(samples.items, "attrs", {}).get("refused", ())
    if rows:
        write_refused(path, rows)
    else:
        path.unlink(missing_ok=True)
    return len(rows)


def write_predictions(path: Path, examples: Examples, scores: dict[str, NDArray[np.float64]]) -> None:
    """A row per atom or formula: id, group, truth, then one column per model.

    A model with several seeds has the mean of their scores, and ``<model>.<number>`` for each. Of several
    classes a model has a column ``<model>:<class>`` for each, and truth is the number of the class.
    """
    import pandas as pd

    owner = examples.owner
    columns: dict[str, NDArray[np.float64]] = {}
    if examples.target_kind == "classes":
        scores = {
            f"{name}:{words}": column[..., number]
            for name, column in scores.items()
            for number, words in enumerate(examples.class_names)
        }
    for name, column in scores.items():
        columns[name] = column if column.ndim == 1 else column.mean(axis=0)
    for name, column in scores.items():
        if column.ndim == 2:
            columns |= {f"{name}.{number}": row for number, row in enumerate(column)}
    frame = pd.DataFrame(
        {
            "id": np.asarray(examples.ids, dtype=object)[owner],
            "group": np.asarray(examples.groups, dtype=object)[owner],
            "truth": examples.target,
            **columns,
        }
    )
    frame.to_parquet(path, index=False)
