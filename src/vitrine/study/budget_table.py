"""What each model costs beside what it gets wrong: one table and one figure for each track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vitrine.study.figures import metric_label
from vitrine.study.result import Curve, CurveFigure, Figure, PlainTable, Row
from vitrine.study.scoring import SHUFFLED
from vitrine.study.sections import REGRESSION

if TYPE_CHECKING:
    from vitrine.study.spec import Study

Facts = Mapping[str, Mapping[str, Any]]


def budget_table(study: Study, track: str, facts: Facts, rows: Sequence[Row]) -> list[PlainTable]:
    """Error, parameters, epochs and seconds of every model of a track, and what all of them could have.

    Parameters
    ----------
    facts: model -> means over the fits of the track. rows: of the whole result.
    """
    metric = study.evaluation.metrics[0]
    found = {row.model: row for row in _plain(rows, track, metric)}
    if not found or not any("parameters" in known for known in facts.values()):
        return []
    reference = study.evaluation.reference
    beside = _differences(rows, track, metric, f"this model minus {reference}")
    unit = next((row.unit for row in found.values() if row.unit), None)
    columns = ["model", metric_label(metric, unit), "parameters", "epochs"]
    columns += ["training [CPU s]", "1,000 predictions [CPU s]"]
    if reference is not None:
        columns.append(f"minus {reference}")
    lines = []
    for name, row in found.items():
        if name == SHUFFLED:
            continue
        known = facts.get(name, {})
        line = [
            name,
            _with_interval(row),
            _number(known.get("parameters"), 0),
            _number(known.get("epochs"), 0),
        ]
        line += [_number(known.get("train_cpu_seconds"), 1), _number(_per_thousand(known), 3)]
        if reference is not None:
            line.append(_with_interval(beside[name], signed=True) if name in beside else "")
        lines.append(line)
    return [PlainTable(f"What it costs: {track.replace('_', ' ')}", _note(study), columns, lines)]


def cost_rows(track: str, facts: Facts) -> list[Row]:
    """Parameters of every model and epochs of networks, for scripts; seconds differ from run to run."""
    return [
        Row(track=track, model=model, metric=name, value=float(known[name]))
        for model, known in facts.items()
        for name in ("parameters", "epochs")
        if name in known and model != SHUFFLED
    ]


def cost_figure(study: Study, track: str, facts: Facts, rows: Sequence[Row]) -> list[Figure]:
    """Error against number of parameters, a point for each model."""
    metric = study.evaluation.metrics[0]
    found = {row.model: row for row in _plain(rows, track, metric)}
    if metric not in REGRESSION:
        return []
    curves = []
    for name, row in found.items():
        if name == SHUFFLED:
            continue
        count = facts.get(name, {}).get("parameters")
        if count and count > 1 and row.value is not None:
            curves.append(Curve(label=name, x=[float(count)], y=[row.value]))
    if len(curves) < 3:
        return []
    unit = next((row.unit for row in found.values() if row.unit), None)
    return [
        CurveFigure(
            name=f"{track}-parameters",
            title=f"Error against parameters: {track.replace('_', ' ')}",
            caption="Learned numbers of each model: weights, coefficients, support vectors, thresholds and "
            "leaves of trees; mean over its fits. Intervals stand in the tables.",
            x_label="parameters",
            y_label=metric_label(metric, unit),
            curves=curves,
            x_log=True,
            y_log=True,
            named=True,
        )
    ]


def _plain(rows: Sequence[Row], track: str, metric: str) -> list[Row]:
    return [r for r in rows if (r.track, r.metric) == (track, metric) and set(r.where) <= {"seeds"}]


def _differences(rows: Sequence[Row], track: str, metric: str, words: str) -> dict[str, Row]:
    own = [r for r in rows if (r.track, r.metric) == (track, metric)]
    plain = (r for r in own if set(r.where) <= {"difference", "seeds"})
    return {r.model: r for r in plain if r.where.get("difference") == words}


def _per_thousand(known: Mapping[str, Any]) -> float | None:
    seconds, count = known.get("predict_cpu_seconds"), known.get("predicted_rows")
    return None if seconds is None or not count else 1000 * float(seconds) / float(count)


def _note(study: Study) -> str:
    budget = study.budget
    rows = "all" if budget.rows is None else f"at most {budget.rows:,}"
    epochs = "any number of" if budget.epochs is None else f"at most {budget.epochs:,}"
    tried = "one setting (none was searched)" if budget.trials == 1 else f"{budget.trials} settings"
    capped = [f"{n} {m.rows:,}" for n, m in study.models.items() if getattr(m, "rows", None)]
    more = f"; fewer rows: {', '.join(capped)}" if capped else ""
    return (
        f"Every model may have {rows} training rows, {epochs} epochs and {tried} on each fold{more}. "
        "Means over the fits of the track; seconds of one processor, of training that was not interrupted."
    )


def _with_interval(row: Row, signed: bool = False) -> str:
    if row.value is None:
        return ""
    sign = "+" if signed else ""
    text = f"{row.value:{sign}.4f}"
    if row.low is not None and row.high is not None:
        text += f" [{row.low:{sign}.4f}, {row.high:{sign}.4f}]"
    return text.replace("-", "\u2212")


def _number(value: Any, decimals: int) -> str:
    return "" if value is None else f"{float(value):,.{decimals}f}"
