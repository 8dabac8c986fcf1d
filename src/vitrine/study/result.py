"""The result of a run: plain data with provenance. The report reads this and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.errors import DataError


@dataclass
class Row:
    """One number: what ``metrics.json`` lists under ``rows``.

    ``low`` and ``high`` bound the 95 % interval (percentile bootstrap over groups) and are None
    with fewer than five groups. ``where`` says what else distinguishes the row.
    """

    track: str
    model: str
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    groups: int | None = None
    n: int | None = None
    unit: str | None = None
    seed: int | None = None
    published: float | None = None
    where: dict[str, Any] = field(default_factory=dict)


@dataclass
class Claim:
    """A published claim beside our measure; ``holds`` is None when it cannot be said."""

    claim: str
    source: str
    ours: str
    holds: bool | None
    note: str = ""


@dataclass
class Curve:
    """One line of a figure; ``low``/``high`` are an optional band of the same length as ``x``."""

    label: str
    x: list[float]
    y: list[float]
    low: list[float] | None = None
    high: list[float] | None = None
    reference: bool = False
    """Drawn dashed and grey: a chance level, an identity line."""


@dataclass
class CurveFigure:
    """Lines over a common x (ROC, PR, learning curves); with ``named``, points with names beside them."""

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    curves: list[Curve]
    x_log: bool = False
    y_log: bool = False
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    named: bool = False
    kind: str = "curves"


@dataclass
class ScatterFigure:
    """Points (rasterised when dense) in panels side by side: predicted against true, or by class.

    panels: each ``{"label": str, "x": [...], "y": [...]}``; with ``class_names`` also ``"classes": [...]``,
    the number of the class of each point. identity: draw the line y = x on axes of one scale; else each
    panel has axes of its own.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    panels: list[dict[str, Any]]
    identity: bool = True
    class_names: list[str] = field(default_factory=list)
    kind: str = "scatter"


@dataclass
class AtomsFigure:
    """A configuration in 3-D, drawn several times side by side with different colours.

    positions: n x 3 in Å; species: n chemical symbols; cell: 3 x 3 rows, Å.
    scenes: each ``{"label": str, "values": [n floats], "low": float, "high": float,
    "threshold": float | None, "unit": str}``; atoms below ``threshold`` are drawn faint.
    """

    name: str
    title: str
    caption: str
    positions: list[list[float]]
    species: list[str]
    cell: list[list[float]]
    scenes: list[dict[str, Any]]
    kind: str = "atoms"


@dataclass
class SliceFigure:
    """Atoms of a slice through a configuration, or particles of a plane, as discs in panels side by side.

    panels: each ``{"label": str, "x": [...], "y": [...], "values": [...], "marked": [0 or 1, ...],
    "low": float, "high": float, "unit": str}``: places, a value per atom as colour, marked atoms
    with a dark rim. A panel may have ``radii`` (one per atom) and ``bonds``, each ``[x1, y1, x2, y2,
    weight]`` with weights from 0 (not drawn) to 1. radius: of a disc, in the unit of the places.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    panels: list[dict[str, Any]]
    radius: float = 1.1
    kind: str = "slices"


@dataclass
class MatrixFigure:
    """Numbers in a grid, coloured, in panels side by side.

    rows, columns: names. panels: each ``{"label": str, "values": [[...], ...]}``, a list per row;
    low, high: bounds of the colours.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    columns: list[str]
    rows: list[str]
    panels: list[dict[str, Any]]
    low: float = 0.0
    high: float = 1.0
    kind: str = "matrix"


@dataclass
class ImageFigure:
    """Pictures in panels: grey values or strains, saliency, what a filter likes.

    panels: each ``{"label": str, "values": [[...], ...], "low": float, "high": float}``: rows from low y up.
    columns: panels side by side. signed: colours from blue over white to red, else grey.
    """

    name: str
    title: str
    caption: str
    panels: list[dict[str, Any]]
    columns: int = 4
    signed: bool = False
    kind: str = "images"


@dataclass
class SurfaceFigure:
    """A quantity over a plane, for several sets of data on the same axes: the loss about trained weights.

    x, y: rising places. panels: each ``{"label": str, "values": [[...], ...]}``, a list per place on y, from
    low y up; None where the quantity is not finite. value_label: what the colours show, with its unit.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    value_label: str
    x: list[float]
    y: list[float]
    panels: list[dict[str, Any]]
    kind: str = "surfaces"


Figure = CurveFigure | ScatterFigure | AtomsFigure | SliceFigure | MatrixFigure | ImageFigure | SurfaceFigure
"""Any figure of a result."""


@dataclass
class PublishedTable:
    """A table of a paper, shown as published.

    rows: label -> metric -> number.
    """

    title: str
    source: str
    metrics: list[str]
    rows: dict[str, dict[str, float]]


@dataclass
class PlainTable:
    """Text in rows and columns, shown as it is; the first column names the row."""

    title: str
    note: str
    columns: list[str]
    rows: list[list[str]]


@dataclass
class Result:
    """Everything that a run found out.

    notes: plain sentences shown at the top (what was left out, what was reused).
    setup: label -> text lines of the summary table (source, label, split ...).
    main_metrics: metrics shown in the main table, in order.
    """

    study: str
    scale: str
    version: str
    title: str
    question: str
    setup: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    published: list[PublishedTable] = field(default_factory=list)
    tables: list[PlainTable] = field(default_factory=list)
    """what each model costs, and the like"""
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    main_metrics: list[str] = field(default_factory=list)
    headline: str | None = None
    """metric of the table that has the tracks side by side"""
    track_notes: dict[str, str] = field(default_factory=dict)
    """track -> what must be known to read its numbers"""
    provenance: dict[str, Any] = field(default_factory=dict)
    citations: list[str] = field(default_factory=list)

    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds."""
        return {
            "study": self.study,
            "scale": self.scale,
            "version": self.version,
            "rows": [asdict(row) for row in self.rows],
            "claims": [asdict(claim) for claim in self.claims],
        }

    def write(self, folder: Path) -> None:
        """Write ``metrics.json``, ``provenance.json`` and ``result.json`` into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / "metrics.json", self.metrics())
        _write_json(folder / "provenance.json", self.provenance)
        _write_json(folder / "result.json", asdict(self), indent=None)

    @classmethod
    def read(cls, folder: Path) -> Result:
        """Read the result of a run folder.

        Raises
        ------
        DataError: the folder holds no readable ``result.json``.
        """
        path = folder / "result.json"
        if not path.is_file():
            raise DataError(
                f"{folder} is not a run folder: it holds no result.json; "
                "a run folder is what `vitrine run` wrote to --out"
            )
        from vitrine.study.stored_result import result_from

        try:
            return result_from(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} is not a result of this version of vitrine: {error}") from error
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON-able")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _finite(_plain(value))
    return value


def _write_json(path: Path, data: Any, indent: int | None = 1) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(
        json.dumps(_finite(data), indent=indent, allow_nan=False, default=_plain, ensure_ascii=False),
        encoding="utf-8",
    )
    temporary.replace(path)
