"""The numbers of a model card: tables for readers, and the same as metadata for hubs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vitrine.study.result import Result, Row

if TYPE_CHECKING:
    from vitrine.study.spec import Study

TRIVIAL = ("chance", "mean", "shuffled_labels")
_MOST_BESIDE = 5
_MAIN = {"prevalence", "data", "mean_over", "seeds"}
"""What may distinguish a row that stands on a card."""
_KNOWS_NOTHING = {
    "roc_auc": "0.5",
    "mcc": "0",
    "lift": "1",
    "r2": "0",
    "relative_mae": "1",
    "average_precision": "the share of positives",
    "precision": "the share of positives",
}


def rows_of(rows: Iterable[Row], name: str) -> list[Row]:
    """The main numbers of one model: no differences to others, strata, thresholds or other settings."""
    return [row for row in rows if row.model == name and row.value is not None and set(row.where) <= _MAIN]


def in_tables(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Rows of one track and one ``where`` belong together, in their order."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.track, where_of(row)), []).append(row)
    return found


def where_of(row: Row) -> str:
    """What distinguishes a row beside track, model and metric, in words."""
    return ", ".join(f"{key} {value}" for key, value in row.where.items() if key != "seeds")


def model_index(task: str, data: str, study: Study, rows: list[Row]) -> dict[str, Any]:
    """One entry of ``model-index``: the rows of one table."""
    dataset = {"name": data, "type": data, "split": rows[0].track}
    where = where_of(rows[0])
    if where:
        dataset["config"] = where
    metrics = []
    for row in rows:
        entry: dict[str, Any] = {"type": row.metric, "value": row.value}
        entry["name"] = row.metric if row.unit is None else f"{row.metric} [{row.unit}]"
        if row.low is not None and row.high is not None:
            entry["args"] = {"low": row.low, "high": row.high, "groups": row.groups}
        metrics.append(entry)
    return {"task": {"type": task, "name": study.title}, "dataset": dataset, "metrics": metrics}


def evaluation(study: Study, name: str, result: Result) -> list[str]:
    """A table per track, with what knows nothing and the other models beside the model."""
    tables = in_tables(rows_of(result.rows, name))
    if not tables:
        return []
    lines = [
        "## Evaluation",
        "Every number is of samples that the scored model had not been trained on. In cross-validation that "
        "is a model of each fold; the weights in this folder came afterwards and saw all samples, so only "
        "rows with `data unseen` are of them. Square brackets hold the 95 % interval, from resampling whole "
        "groups.",
    ]
    known = {
        metric: _KNOWS_NOTHING[metric] for metric in study.evaluation.metrics if metric in _KNOWS_NOTHING
    }
    if known:
        words = ", ".join(f"{metric} {value}" for metric, value in known.items())
        lines.append(f"A model that knows nothing has: {words}.")
    for (track, where), rows in tables.items():
        lines.append(f"### Track `{track}`" + (f", {where}" if where else ""))
        known_track = next((t for t in study.tracks if t.title == track), None)
        if known_track is not None:
            lines.append(f"Split: {known_track.split.summary}. {known_track.note}".rstrip())
        lines.append(_table(name, rows, result.rows))
    if name == study.main_model:
        lines += _differences(name, result.rows)
    return lines


def _table(name: str, rows: list[Row], everything: Iterable[Row]) -> str:
    place = (rows[0].track, where_of(rows[0]))
    others = [row for row in everything if row.value is not None and (row.track, where_of(row)) == place]
    found = {(row.model, row.metric): row for row in others}
    models = [model for model in dict.fromkeys(row.model for row in others) if model != name]
    models.sort(key=lambda model: TRIVIAL.index(model) if model in TRIVIAL else len(TRIVIAL))
    beside = models[:_MOST_BESIDE]
    published = any(row.published is not None for row in rows)
    head = ["metric", name, *(["published"] if published else []), *beside]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        metric = row.metric if row.unit is None else f"{row.metric} [{row.unit}]"
        cells = [metric, _value(row)]
        if published:
            cells.append("" if row.published is None else f"{row.published:.4g}")
        for model in beside:
            other = found.get((model, row.metric))
            cells.append("" if other is None else f"{other.value:.4g}")
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _value(row: Row) -> str:
    interval = "" if row.low is None or row.high is None else f" [{row.low:.4g}, {row.high:.4g}]"
    return f"{row.value:.4g}{interval}"


def _differences(name: str, rows: Iterable[Row]) -> list[str]:
    words = f"{name} minus this model"
    found = [row for row in rows if row.where.get("difference") == words and row.value is not None]
    if not found:
        return []
    lines = ["| track | metric | minus | difference |", "|---|---|---|---|"]
    lines += [f"| {row.track} | {row.metric} | {row.model} | {_value(row)} |" for row in found]
    return [
        f"### `{name}` minus the other models, paired",
        "An interval that holds 0 does not say which one is better.",
        "\n".join(lines),
    ]
