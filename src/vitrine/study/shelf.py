"""The shelf: short name -> part, one literal table per stage, plus entry points for outsiders.

A package adds a part with an entry point in the group ``vitrine.parts``, named
``<stage>.<kind>``, that points at its settings class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from vitrine.errors import StudyError, did_you_mean
from vitrine.parts import Part

SOURCES = {
    "metallic-glass": "vitrine.simulate.metallic_glass:MetallicGlass",
    "released-glass": "vitrine.simulate.released:ReleasedGlass",
    "emt-alloys": "vitrine.simulate.emt_alloys:EmtAlloys",
    "table": "vitrine.simulate.table:Table",
}
LABELS = {
    "first-event": "vitrine.measure.first_event:FirstEvent",
    "column": "vitrine.measure.column:Column",
}
REPRESENTATIONS = {
    "voronoi-graph": "vitrine.represent.voronoi_graph:VoronoiGraph",
    "elemental-fractions": "vitrine.represent.composition:ElementalFractions",
}
SPLITS = {
    "grouped": "vitrine.evaluate.splits:GroupedFolds",
    "random": "vitrine.evaluate.splits:RandomFolds",
}
MODELS = {
    "chance": "vitrine.learn.baselines:Chance",
    "mean": "vitrine.learn.baselines:Mean",
    "ridge": "vitrine.learn.baselines:Ridge",
    "logistic": "vitrine.learn.baselines:Logistic",
    "random-forest": "vitrine.learn.baselines:RandomForest",
    "gradient-boosting": "vitrine.learn.baselines:GradientBoosting",
    "gat": "vitrine.learn.neural:GraphAttention",
    "mlp": "vitrine.learn.neural:Perceptron",
}
CLAIMS = {
    "imbalance-flatters": "vitrine.study.claims:imbalance_flatters",
    "confidence-follows-severity": "vitrine.study.claims:confidence_follows_severity",
    "called-where-large": "vitrine.study.claims:called_where_large",
    "called-where-small": "vitrine.study.claims:called_where_small",
    "network-beats-trees": "vitrine.study.claims:network_beats_trees",
}
STAGES: Mapping[str, Mapping[str, str]] = {
    "source": SOURCES,
    "label": LABELS,
    "representation": REPRESENTATIONS,
    "split": SPLITS,
    "model": MODELS,
    "claim": CLAIMS,
}


@cache
def _outsiders() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group="vitrine.parts")}


def kinds(stage: str) -> dict[str, str]:
    """Short name -> ``module:object`` of a stage, outsiders included."""
    own = dict(STAGES[stage])
    prefix = stage + "."
    for name, target in _outsiders().items():
        if name.startswith(prefix):
            own.setdefault(name.removeprefix(prefix), target)
    return own


def find(stage: str, kind: str) -> Any:
    """The object on the shelf under this name.

    Raises
    ------
    StudyError: there is none, or the package that brings it is broken.
    """
    known = kinds(stage)
    if kind not in known:
        raise StudyError(f"no {stage} of kind {kind!r}{did_you_mean(kind, known)}")
    module, _, name = known[kind].partition(":")
    if kind in STAGES[stage]:
        return getattr(import_module(module), name)
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # another package's module may fail in any way
        words = f"{type(error).__name__}: {error}"
        raise StudyError(f"the {stage} {kind!r} of another package cannot be loaded ({words})") from error


def part_class(stage: str, kind: str) -> type[Part]:
    """The settings class of a part.

    Raises
    ------
    StudyError: there is none, or what is there is no part.
    """
    found = find(stage, kind)
    if not (isinstance(found, type) and issubclass(found, Part)):
        raise StudyError(f"the {stage} {kind!r} is no settings class (a subclass of vitrine.parts.Part)")
    return found


def is_part(stage: str, kind: str) -> bool:
    """Whether this kind can be loaded and is a part; false for a broken package of others."""
    try:
        return bool(part_class(stage, kind))
    except StudyError:
        return False


class WrongPart(ValueError):
    """What is wrong with the settings of a part: pairs of a path below the part and words.

    A ValueError, so that pydantic collects it with the path of the part in the study.
    """

    def __init__(self, lines: list[tuple[tuple[str, ...], str]]) -> None:
        super().__init__("; ".join(words for _, words in lines))
        self.lines = lines


def parse(stage: str, data: Any, where: str) -> Part:
    """Settings of one part from a study file.

    Parameters
    ----------
    where: dotted path in the study file, for messages.

    Raises
    ------
    StudyError: no kind, unknown kind, unknown key or wrong value.
    """
    try:
        return checked(stage, data)
    except WrongPart as error:
        raise StudyError(_text(((where, *path), words) for path, words in error.lines)) from None


def checked(stage: str, data: Any) -> Part:
    """As :func:`parse`, for validators of pydantic.

    Raises
    ------
    WrongPart: no kind, unknown kind, unknown key or wrong value.
    """
    if isinstance(data, Part):
        return data
    if not isinstance(data, Mapping):
        raise WrongPart([((), f"expected a mapping with a key 'kind', got {_short(data)}")])
    kind = data.get("kind")
    if not isinstance(kind, str):
        wrong = "is missing" if kind is None else f"must be a name, got {_short(kind)}"
        raise WrongPart([(("kind",), f"{wrong}; known: {', '.join(sorted(kinds(stage)))}")])
    try:
        part = part_class(stage, kind)
    except StudyError as error:
        raise WrongPart([(("kind",), str(error))]) from None
    try:
        return part.model_validate(dict(data))
    except ValidationError as error:
        raise WrongPart(_lines(error, part, stage)) from None


def validate(model: type[BaseModel], data: Any, where: str) -> Any:
    """Validate settings that are not a part, with the same words for errors."""
    if isinstance(data, model):
        return data
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise StudyError(_text(((where, *path), words) for path, words in _lines(error, model))) from None


def _text(lines: Iterable[tuple[tuple[str, ...], str]]) -> str:
    return "\n".join(f"{'.'.join(filter(None, path))}: {words}".removeprefix(": ") for path, words in lines)


def _lines(
    error: ValidationError, model: type[BaseModel], stage: str | None = None
) -> list[tuple[tuple[str, ...], str]]:
    lines: list[tuple[tuple[str, ...], str]] = []
    for item in error.errors():
        path = tuple(str(step) for step in item["loc"])
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, WrongPart):
            lines += [((*path, *below), words) for below, words in inner.lines]
        elif item["type"] == "extra_forbidden":
            lines.append((path, _no_such_key(path, model, stage)))
        elif item["type"] == "missing":
            lines.append((path, "is missing"))
        else:
            words = item["msg"].removeprefix("Value error, ")
            got = "" if isinstance(item["input"], dict) else f", got {_short(item['input'])}"
            lines.append((path, words + got))
    return lines


def _no_such_key(path: tuple[str, ...], model: type[BaseModel], stage: str | None) -> str:
    owner = _model_at(model, path[:-1])
    words = "no such key" + did_you_mean(path[-1], owner.model_fields if owner else ())
    others = [] if stage is None or len(path) > 1 else _kinds_with(stage, path[-1])
    return words + (f" (kind {' or '.join(others)} has it)" if others else "")


def _model_at(model: type[BaseModel], path: tuple[str, ...]) -> type[BaseModel] | None:
    """The settings class that a path leads to; positions in lists are passed over."""
    here: type[BaseModel] | None = model
    for step in path:
        if here is not None and step in here.model_fields:
            here = _model_in(here.model_fields[step].annotation)
        elif not step.isdecimal():
            return None
    return here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _kinds_with(stage: str, key: str) -> list[str]:
    return [repr(kind) for kind in STAGES[stage] if key in getattr(find(stage, kind), "model_fields", {})]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
