"""Write the pages of results and the table of the README from metrics.json files alone.

``python docs/results/build.py`` fills ``pages/*.md.j2`` with numbers of ``data/<run>/metrics.json``: no
number of a run is typed. ``data/<run>`` also holds the study file of the run and its provenance, with the
command.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vitrine.report.digits import as_given, show
from vitrine.report.tables import metric_name, words
from vitrine.study.result import Row
from vitrine.study.spec import preset_text

HERE = Path(__file__).resolve().parent
README = HERE.parent.parent / "README.md"
BEGIN, END = "<!-- results: written by docs/results/build.py -->", "<!-- end of results -->"
OWN = ("seeds", "settings", "subset")
"""Keys of ``where`` that tell no two numbers of a model apart: a subset is named by its other keys too."""
KINDS = {
    "quench": "quenches", "shear": "shears", "trajectory": "trajectories", "examples": "sets of examples",
    "features": "features of specimens", "fit": "fits", "landscape": "landscapes", "liquid": "liquids",
    "glass": "glasses", "curve": "coolings",
}  # fmt: skip


@cache
def _read(run: str, name: str) -> Any:
    return json.loads((HERE / "data" / run / f"{name}.json").read_text(encoding="utf-8"))


@cache
def _rows(run: str) -> tuple[Row, ...]:
    return tuple(Row(**row) for row in _read(run, "metrics")["rows"])


def find(
    run: str,
    track: str,
    metric: str,
    model: str | None = None,
    across: tuple[str, ...] = (),
    **where: Any,
) -> list[Row]:
    """Rows of a track and metric, in order, that ``where`` and keys ``across`` which they vary tell apart."""
    return [
        row
        for row in _rows(run)
        if (row.track, row.metric) == (track, metric)
        and model in (None, row.model)
        and set(across) <= set(row.where)
        and {name: v for name, v in row.where.items() if name not in (*OWN, *across)} == where
    ]


def _one(run: str, track: str, metric: str, model: str, **where: Any) -> Row:
    found = find(run, track, metric, model, **where)
    if len(found) != 1:
        raise LookupError(f"{run}: {len(found)} rows of {track}, {model}, {metric}, {where}")
    return found[0]


def said(row: Row | None, decimals: int = 3, signed: bool = False, percent: bool = False) -> str:
    """A value with its interval."""
    if row is None or row.value is None or not math.isfinite(row.value):
        return "–"
    scale, unit = (100, " %") if percent else (1, "")
    text = show(scale * row.value, decimals, signed) + unit
    if row.low is None or row.high is None:
        return text
    return f"{text} [{show(scale * row.low, decimals)}, {show(scale * row.high, decimals)}]"


def value(run: str, track: str, model: str, metric: str, decimals: int = 3, **where: Any) -> str:
    """``0.574 [0.540, 0.608]``"""
    return said(_one(run, track, metric, model, **where), decimals)


def percent(run: str, track: str, model: str, metric: str, decimals: int = 1, **where: Any) -> str:
    """``57.4 % [54.0, 60.8]``"""
    return said(_one(run, track, metric, model, **where), decimals, percent=True)


def published(run: str, track: str, model: str, metric: str, **where: Any) -> str:
    """The paper's number beside a value of ours."""
    row = _one(run, track, metric, model, **where)
    assert row.published is not None
    return as_given(row.published)


def count(run: str, track: str, model: str, metric: str, what: str = "n", **where: Any) -> str:
    """Rows (``n``) or groups behind a number."""
    return f"{getattr(_one(run, track, metric, model, **where), what):,}"


def _once(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _cells(rows: Sequence[Row], decimals: int, signed: bool = False) -> str:
    return said(rows[0], decimals, signed) if rows else "–"


def table(
    run: str,
    track: str,
    metrics: Sequence[str],
    models: Sequence[str] | None = None,
    decimals: int = 3,
    signed: bool = False,
    **where: Any,
) -> str:
    """Models by metrics; a published number stands beside the one it belongs to."""
    found = {metric: find(run, track, metric, **where) for metric in metrics}
    names = models or _once(row.model for rows in found.values() for row in rows)
    heads, columns = ["model"], []
    for metric in metrics:
        unit = next((row.unit for row in found[metric] if row.unit), None)
        heads.append(metric_name(metric) + (f" [{unit}]" if unit else ""))
        columns.append((metric, False))
        if any(row.published is not None for row in found[metric]):
            heads.append("published")
            columns.append((metric, True))
    lines = []
    for name in names:
        cells = [name]
        for metric, published in columns:
            own = [row for row in found[metric] if row.model == name]
            if published:
                cells.append("" if not own or own[0].published is None else as_given(own[0].published))
            else:
                cells.append(_cells(own, decimals, signed))
        lines.append(cells)
    return _table(heads, lines)


def overview(
    run: str,
    metric: str,
    tracks: Sequence[str],
    models: Sequence[str] | None = None,
    decimals: int = 3,
    published: bool = False,
    **where: Any,
) -> str:
    """Models by tracks."""
    found = {track: find(run, track, metric, **where) for track in tracks}
    names = models or _once(row.model for rows in found.values() for row in rows)
    known = {row.model: row.published for rows in found.values() for row in rows if row.published is not None}
    lines = []
    for name in names:
        cells = [name]
        cells += [_cells([row for row in found[track] if row.model == name], decimals) for track in tracks]
        if published:
            cells.append(as_given(known[name]) if name in known else "")
        lines.append(cells)
    return _table(["model", *tracks, *(["published"] if published else [])], lines)


def by(
    run: str,
    track: str,
    metric: str,
    key: str,
    models: Sequence[str] | None = None,
    decimals: int = 3,
    published: str | None = None,
    **where: Any,
) -> str:
    """Models by the values of a key of ``where``: a threshold, a training size.

    published: the model whose published numbers stand in a last line.
    """
    rows = find(run, track, metric, None, (key,), **where)
    values = sorted(_once(row.where[key] for row in rows), key=lambda v: (isinstance(v, str), v))
    names = models or _once(row.model for row in rows)
    lines = [
        [
            name,
            *(_cells([r for r in rows if r.model == name and r.where[key] == v], decimals) for v in values),
        ]
        for name in names
    ]
    if published:
        known = {row.where[key]: row.published for row in rows if row.model == published}
        told = [known.get(v) for v in values]
        lines.append([f"{published}, published", *("" if v is None else as_given(v) for v in told)])
    return _table(
        [words(key), *(as_given(v) if isinstance(v, (int, float)) else str(v) for v in values)], lines
    )


def crossed(
    run: str, track: str, model: str, metric: str, down: str, across: str, decimals: int = 2, **where: Any
) -> str:
    """One model and metric: values of a key of ``where`` by those of another."""
    rows = find(run, track, metric, model, (down, across), **where)
    lines, heads = (_once(row.where[key] for row in rows) for key in (down, across))
    return _table(
        [words(down), *(words(head) for head in heads)],
        [
            [
                words(line),
                *(
                    _cells([r for r in rows if (r.where[down], r.where[across]) == (line, head)], decimals)
                    for head in heads
                ),
            ]
            for line in lines
        ],
    )


def listed(run: str, track: str, model: str, metric: str, key: str, decimals: int = 3, **where: Any) -> str:
    """One model and metric: a line for each value of a key of ``where``."""
    rows = find(run, track, metric, model, (key,), **where)
    return _table(
        [model, metric_name(metric)], [[words(row.where[key]), said(row, decimals)] for row in rows]
    )


def along(
    run: str,
    track: str,
    model: str,
    metrics: Sequence[str],
    key: str,
    beside: str,
    decimals: int = 3,
    **where: Any,
) -> str:
    """One model: values of a key of ``where``, with another that follows from it, by metrics."""
    found = {metric: find(run, track, metric, model, (key, beside), **where) for metric in metrics}
    heads = _once((row.where[key], row.where[beside]) for rows in found.values() for row in rows)
    return _table(
        [words(key), words(beside), *map(metric_name, metrics)],
        [
            [
                *(words(part) if isinstance(part, str) else as_given(part) for part in head),
                *(
                    _cells([r for r in rows if (r.where[key], r.where[beside]) == head], decimals)
                    for rows in found.values()
                ),
            ]
            for head in heads
        ],
    )


def grid(run: str, metrics: Sequence[str], decimals: int = 3, **where: Any) -> str:
    """The best of a search by each metric, with their settings, on the groups held out."""
    found = {metric: find(run, "search", metric, **where) for metric in metrics}
    settings = {row.model: row.where["settings"] for rows in found.values() for row in rows}
    return _table(
        ["best by", "settings", *map(metric_name, metrics)],
        [
            [
                metric_name(model.rpartition(", best ")[2]),
                own,
                *(_cells([row for row in rows if row.model == model], decimals) for rows in found.values()),
            ]
            for model, own in settings.items()
        ],
    )


def paper(study: str, title: str) -> str:
    """A published table of a study, as the study file has it."""
    (found,) = [each for each in yaml.safe_load(preset_text(study))["published"] if each["title"] == title]
    lines = [
        [label, *(as_given(numbers[m]) if m in numbers else "" for m in found["metrics"])]
        for label, numbers in found["rows"].items()
    ]
    return f"{found['title']} ({found['source']}):\n\n" + _table(
        ["published", *map(metric_name, found["metrics"])], lines
    )


def claims(run: str) -> str:
    """Claims of the paper, ours, and whether they hold."""
    verdicts = {True: "yes", False: "no", None: "cannot be said"}
    return _table(
        ["claim", "source", "ours", "holds"],
        [
            [_cell(claim["claim"]), _cell(claim["source"]), _cell(claim["ours"]), verdicts[claim["holds"]]]
            for claim in _read(run, "metrics")["claims"]
        ],
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def about(run: str) -> str:
    """The command, the machine and the time."""
    found = _read(run, "provenance")
    machine, work = found["machine"], found["work"]
    hours = sum(kind["hours"] for kind in work.values())
    parts = ", ".join(
        f"{kind['tasks']:,} {KINDS.get(name, name)} {kind['hours']:.2f} h" for name, kind in work.items()
    )
    memory = f", {machine['memory']:g} GiB" if "memory" in machine else ""
    versions = found["versions"]
    return (
        f"```\n{found['command']}\n```\n\n"
        f"{machine['processor']}, {machine['cores']} cores{memory}, no GPU. "
        f"Tasks of one core: {hours:.1f} h ({parts}). "
        f"vitrine {versions['vitrine']}, torch {versions['torch']}. "
        f"[Numbers](data/{run}/metrics.json), [study file](data/{run}/study.yaml), "
        f"[provenance](data/{run}/provenance.json)."
    )


HELPERS: tuple[Callable[..., Any], ...] = (
    value, percent, published, count, table, overview, by, crossed, listed, along, grid, paper,
    claims, about,
)  # fmt: skip


def pages() -> dict[Path, str]:
    """Every page as it should be: path -> text; the README too."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "pages"), undefined=StrictUndefined, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown
    )  # fmt: skip
    environment.globals.update({helper.__name__: helper for helper in HELPERS})
    found = {
        HERE / path.name.removesuffix(".j2"): environment.get_template(path.name).render()
        for path in sorted((HERE / "pages").glob("*.md.j2"))
        if path.name != "README.md.j2"
    }
    table_of_readme = environment.get_template("README.md.j2").render().strip()
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    found[README] = f"{before}{BEGIN}\n{table_of_readme}\n{END}{after}"
    return found


def main() -> int:
    """Write what changed and name it."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(HERE.parent.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
