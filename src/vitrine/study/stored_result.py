"""From ``result.json`` back to a :class:`vitrine.study.result.Result`, believing nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import nan
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vitrine.study.result import (
    AtomsFigure,
    CurveFigure,
    Figure,
    ImageFigure,
    MatrixFigure,
    Result,
    ScatterFigure,
    SliceFigure,
    SurfaceFigure,
)

_KINDS: dict[str, type[Figure]] = {
    "curves": CurveFigure,
    "scatter": ScatterFigure,
    "atoms": AtomsFigure,
    "slices": SliceFigure,
    "matrix": MatrixFigure,
    "images": ImageFigure,
    "surfaces": SurfaceFigure,
}
NEEDED = ("rows", "claims", "published", "figures")
_Triples = list[tuple[float, float, float]]


@dataclass
class _Panel:
    label: str
    x: list[float]
    y: list[float]
    classes: list[int] = field(default_factory=list)


@dataclass
class _Image:
    label: str
    values: list[list[float | None]]
    low: float
    high: float


@dataclass
class _Slice:
    label: str
    x: list[float]
    y: list[float]
    values: list[float]
    marked: list[float]
    low: float
    high: float
    unit: str
    radii: list[float] = field(default_factory=list)
    bonds: list[tuple[float, float, float, float, float]] = field(default_factory=list)


@dataclass
class _Grid:
    label: str
    values: list[list[float | None]]


@dataclass
class _Scene:
    label: str
    values: list[float]
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    unit: str | None = None


def result_from(data: Any) -> Result:
    """Check plain data, as JSON gives it, and make the result of it.

    Raises
    ------
    ValueError: names the place in the data and what is wrong there.
    """
    data = _known(Result, data, "it")
    missing = [name for name in NEEDED if name not in data]
    if missing:
        raise ValueError(f"it holds no {missing[0]}")
    if not isinstance(data["figures"], list):
        raise ValueError("figures should be a list")
    figures = [_figure(figure, f"figures.{number}") for number, figure in enumerate(data["figures"])]
    found: Result = _checked(Result, {**data, "figures": figures}, "")
    return found


def _figure(data: Any, where: str) -> Figure:
    if not isinstance(data, dict):
        raise ValueError(f"{where} should be a mapping")
    kind = data.get("kind")
    if kind not in list(_KINDS):
        raise ValueError(f"{where}: a figure of the unknown kind {kind!r}; known: {', '.join(_KINDS)}")
    data = dict(_known(_KINDS[kind], data, where))
    for name in ("curves", "panels", "scenes"):
        if isinstance(data.get(name), list):
            data[name] = [_with_nan(part) for part in data[name]]
    if kind == "scatter":
        _checked(list[_Panel], data.get("panels"), f"{where}.panels")
    if kind == "slices":
        _checked(list[_Slice], data.get("panels"), f"{where}.panels")
    if kind == "images":
        _checked(list[_Image], data.get("panels"), f"{where}.panels")
    if kind in ("matrix", "surfaces"):
        _checked(list[_Grid], data.get("panels"), f"{where}.panels")
    if kind == "atoms":
        _checked(list[_Scene], data.get("scenes"), f"{where}.scenes")
        for name in ("positions", "cell"):
            _checked(_Triples, data.get(name), f"{where}.{name}")
    figure: Figure = _checked(_KINDS[kind], data, where)
    return figure


def _with_nan(part: Any) -> Any:
    """JSON knows no NaN: null stands for it among numbers."""
    if not isinstance(part, dict):
        return part
    return {
        key: [nan if item is None else item for item in value] if isinstance(value, list) else value
        for key, value in part.items()
    }


def _known(kind: Any, data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{where} should be a mapping, not {str(data)[:40]!r}")
    strange = sorted(set(data) - {field.name for field in fields(kind)})
    if strange:
        raise ValueError(f"{where} holds {strange[0]!r}, which this version does not know")
    return data


def _checked(kind: Any, data: Any, where: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([where, *map(str, first["loc"])]).strip(".")
        raise ValueError(f"{place}: {first['msg']}, got {str(first['input'])[:40]!r}") from error
