"""Figures of several classes: confusion matrices, and metrics by parts of the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.classes import confusion_matrix
from vitrine.samples import Examples
from vitrine.study.ceiling import CEILING
from vitrine.study.result import Figure, MatrixFigure, Row

if TYPE_CHECKING:
    from vitrine.study.spec import Study

MOST_PANELS = 12
MOST_COLUMNS = 12
"""values of the last attribute, which are the columns of a figure"""


def confusion_figures(track: str, examples: Examples, scores: dict[str, NDArray[np.float64]]) -> list[Figure]:
    """The share of each true class that every model calls each class."""
    assert examples.target is not None
    panels = []
    for model, score in list(scores.items())[:MOST_PANELS]:
        counts = confusion_matrix(examples.target, score).astype(float)
        total = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
        panels.append({"label": model, "values": shares.tolist()})
    names = list(examples.class_names)
    rows = [f"{name} (n = {int((examples.target == number).sum())})" for number, name in enumerate(names)]
    return [
        MatrixFigure(
            name=f"{track}-confusion",
            title=f"Confusion matrices, {track}",
            caption="Rows: the true class. Columns: what it is called. Each row of a matrix sums to 1.",
            x_label="called",
            y_label="true class",
            columns=names,
            rows=rows,
            panels=panels,
        )
    ]


def subset_figures(study: Study, track: str, rows: list[Row]) -> list[Figure]:
    """The first metric for every value of the attributes of a subset, ours and published beside it.

    Columns are the values of the first attribute, rows the others together.
    """
    found: list[Figure] = []
    metric = study.evaluation.metrics[0]
    for names in study.evaluation.subsets:
        own = [
            row
            for row in rows
            if row.track == track
            and row.metric == metric
            and "subset" in row.where
            and set(row.where) - {"subset", "seeds"} == set(names)
        ]
        columns = sorted({row.where[names[0]] for row in own})
        if not own or len(columns) > MOST_COLUMNS or metric not in ("accuracy", "balanced_accuracy", "r2"):
            continue
        rest = sorted({tuple(row.where[name] for name in names[1:]) for row in own})
        beside = {row.model for row in own if row.published is not None}
        beside |= {study.main_model, study.evaluation.reference or study.main_model, CEILING}
        grids: dict[str, NDArray[np.float64]] = {}
        for model in (name for name in dict.fromkeys(row.model for row in own) if name in beside):
            for label, what in ((model, "value"), (f"{model}, published", "published")):
                values = _grid(own, model, what, names, columns, rest)
                if np.isfinite(values).any():
                    grids[label] = values
        panels = [{"label": label, "values": values.tolist()} for label, values in grids.items()]
        lines = [_words(names[1:], values) for values in rest]
        if len(names) == 1:  # a line for each model in place of a panel
            lines = list(grids)
            panels = [{"label": "", "values": np.concatenate(list(grids.values())).tolist()}]
        words = " and ".join(name.replace("_", " ") for name in names)
        found.append(
            MatrixFigure(
                name=f"{track}-by-{'-'.join(names)}",
                title=f"{metric.replace('_', ' ').capitalize()} by {words}, {track}",
                caption="Intervals stand in the list of all numbers; ceiling: what maps can tell at most.",
                x_label=names[0].replace("_", " "),
                y_label="",
                columns=[f"{value:g}" for value in columns],
                rows=lines,
                panels=panels[:MOST_PANELS],
            )
        )
    return found


def _words(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in zip(names, values, strict=True))


def _grid(
    rows: list[Row],
    model: str,
    what: str,
    names: tuple[str, ...],
    columns: list[Any],
    rest: list[tuple[Any, ...]],
) -> NDArray[np.float64]:
    grid = np.full((len(rest), len(columns)), np.nan)
    for row in rows:
        value = getattr(row, what)
        if row.model == model and value is not None:
            others = tuple(row.where[name] for name in names[1:])
            grid[rest.index(others), columns.index(row.where[names[0]])] = value
    return grid
