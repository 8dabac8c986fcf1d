"""The rows of a result as tables: a compact matrix of models and metrics, and the full list.

Rows that differ in anything but model and metric (``where``, a seed) never share a table cell.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vitrine.report.digits import Digits, as_given, count, decimals_of, show
from vitrine.study.result import PublishedTable, Result, Row

_T = TypeVar("_T")

METRICS = {
    "f1": "F1",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "relative_mae": "Relative MAE",
}
"""Names that are no plain words."""
OWN = ("seeds", "settings")
"""Keys of ``where`` that differ from model to model within a table."""
TRIVIAL = {"chance": "chance level", "mean": "always the mean", "shuffled_labels": "null", "ceiling": "bound"}
"""Rows to measure the others against; they come last in a table."""


@dataclass(frozen=True)
class Entry:
    """One row as text."""

    model: str
    metric: str
    value: str
    interval: str | None
    published: str | None
    difference: str | None
    where: str
    groups: str
    n: str
    unit: str


@dataclass
class Line:
    """One model of a matrix: per metric the entries of that cell (one, or none)."""

    model: str
    tag: str | None
    note: str | None
    cells: list[list[Entry]]


@dataclass
class Matrix:
    """Models by main metrics for one setting of everything else."""

    heading: str
    counts: str
    metrics: list[tuple[str, str]]
    """Heading and unit of each column."""
    lines: list[Line]


@dataclass
class Track:
    """The tables of one track."""

    name: str
    matrices: list[Matrix] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    compared: int = 0
    """How many entries stand beside a published number."""
    note: str = ""


@dataclass(frozen=True)
class Published:
    """A table of a paper as text: label, then one number per metric."""

    title: str
    source: str
    metrics: list[str]
    lines: list[tuple[str, list[str]]]


def tracks(result: Result) -> list[Track]:
    """All rows by track, both in the order in which the result has them."""
    digits = Digits(result.rows)
    metrics = list(result.main_metrics) or _once(row.metric for row in result.rows)
    found = []
    for name in _once(row.track for row in result.rows):
        rows = [row for row in result.rows if row.track == name]
        note = result.track_notes.get(name, "")
        track = Track(name, entries=[entry_of(row, digits) for row in rows], note=note)
        track.compared = sum(entry.published is not None for entry in track.entries)
        for key in _once(_setting(row) for row in rows):
            # parts of the samples are drawn as figures; a table for each would bury the others
            here = [
                row
                for row in rows
                if _setting(row) == key and row.metric in metrics and "subset" not in row.where
            ]
            if here:
                track.matrices.append(_matrix(here, metrics, digits))
        found.append(track)
    return found


@dataclass
class Overview:
    """One metric: a line per model, a column per track; a cell is an entry or None."""

    metric: str
    tracks: list[str]
    lines: list[tuple[str, str | None, list[Entry | None]]]


def overview(result: Result) -> Overview | None:
    """The headline metric with the tracks side by side, from rows that nothing else distinguishes."""
    rows = [
        row
        for row in result.rows
        if row.metric == result.headline and not set(row.where) - set(OWN) and row.track in result.track_notes
    ]
    if not rows:
        return None
    digits = Digits(rows)
    names = _once(row.track for row in rows)
    lines = []
    for model in sorted(_once(row.model for row in rows), key=lambda name: name in TRIVIAL):
        own = {row.track: entry_of(row, digits) for row in rows if row.model == model}
        lines.append((model, TRIVIAL.get(model), [own.get(name) for name in names]))
    return Overview(metric_name(str(result.headline)), names, lines)


def entry_of(row: Row, digits: Digits) -> Entry:
    """The texts of one row; the difference is our value minus the published one."""
    bounds = _number(row.low), _number(row.high)
    interval = None
    if None not in bounds:
        interval = f"[{digits.show(bounds[0], row)}, {digits.show(bounds[1], row)}]"
    value, published = _number(row.value), _number(row.published)
    difference = None
    if value is not None and published is not None:
        difference = digits.show(value - published, row, signed=True)
    return Entry(
        model=row.model,
        metric=row.metric,
        value=digits.show(value, row),
        interval=interval,
        published=None if published is None else as_given(published),
        difference=difference,
        where=where_of(row),
        groups=count(row.groups),
        n=count(row.n),
        unit="" if value is None else row.unit or "",
    )


def where_of(row: Row) -> str:
    """What distinguishes a row beside track, model and metric, in plain words."""
    return _words_of(row.where, row.seed)


def _words_of(where: dict[str, Any], seed: int | None) -> str:
    given = dict(where) if seed is None else {**where, "seed": seed}
    return " · ".join(f"{words(key)}: {_said(value)}" for key, value in given.items())


def published(tables: Iterable[PublishedTable]) -> list[Published]:
    """Tables of papers as text; a column has as many decimals as its longest number."""
    shown = []
    for table in tables:
        decimals = {
            metric: max(
                (decimals_of(numbers[metric]) for numbers in table.rows.values() if metric in numbers),
                default=0,
            )
            for metric in table.metrics
        }
        lines = [
            (label, [show(_number(numbers.get(metric)), decimals[metric]) for metric in table.metrics])
            for label, numbers in table.rows.items()
        ]
        shown.append(Published(table.title, table.source, [metric_name(m) for m in table.metrics], lines))
    return shown


def metric_name(metric: str) -> str:
    """How a metric is headed."""
    spoken = words(metric)
    return METRICS.get(metric, spoken[:1].upper() + spoken[1:])


def words(name: str) -> str:
    """A name of the study file as words."""
    return str(name).replace("_", " ")


def _matrix(rows: list[Row], main: list[str], digits: Digits) -> Matrix:
    columns = [
        (metric, unit) for metric in main for unit in _once(row.unit for row in rows if row.metric == metric)
    ]
    models = _once(row.model for row in rows)
    lines = []
    for model in sorted(models, key=lambda name: name in TRIVIAL):
        own = [row for row in rows if row.model == model]
        cells = [
            [entry_of(row, digits) for row in own if (row.metric, row.unit) == column] for column in columns
        ]
        lines.append(Line(model, TRIVIAL.get(model), _note(own[0]), cells))
    counts = [_range(what, (getattr(row, what) for row in rows)) for what in ("groups", "n")]
    return Matrix(
        heading=_words_of(_common(rows[0]), rows[0].seed),
        counts=", ".join(text for text in counts if text),
        metrics=[(metric_name(metric), unit or "") for metric, unit in columns],
        lines=lines,
    )


def _setting(row: Row) -> str:
    return json.dumps([_common(row), row.seed], sort_keys=True, default=str)


def _common(row: Row) -> dict[str, Any]:
    """What a table's rows have in common; the rest stands in a row of its own."""
    return {key: value for key, value in row.where.items() if key not in OWN}


def _note(row: Row) -> str | None:
    """What a model's row has of its own: its seeds, its settings."""
    seeds = row.where.get("seeds")
    parts = [str(row.where["settings"])] if "settings" in row.where else []
    parts += [f"mean of {len(seeds)} seeds"] if isinstance(seeds, list) else []
    return " · ".join(parts) or None


def _range(what: str, values: Iterable[int | None]) -> str:
    known = sorted({value for value in values if value is not None})
    if not known:
        return ""
    span = count(known[0]) if len(known) == 1 else f"{count(known[0])} to {count(known[-1])}"
    if what == "n":
        return f"n = {span}"
    return f"{span} group{'' if known == [1] else 's'}"


def _once(items: Iterable[_T]) -> list[_T]:
    return list(dict.fromkeys(items))


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, (int, float)):
        return as_given(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_said(item) for item in value)
    return words(value)
