"""The shelf: short name -> part, one literal table per stage, plus entry points for outsiders.

A package adds a part with an entry point in the group ``vitrine.parts``, named
``<stage>.<kind>``, that points at its settings class.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

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
    StudyError: there is none.
    """
    known = kinds(stage)
    if kind not in known:
        raise StudyError(f"no {stage} of kind {kind!r}{did_you_mean(kind, known)}")
    module, _, name = known[kind].partition(":")
    return getattr(import_module(module), name)


def part_class(stage: str, kind: str) -> type[Part]:
    """The settings class of a part."""
    found: type[Part] = find(stage, kind)
    return found


def parse(stage: str, data: Any, where: str) -> Part:
    """Settings of one part from a study file.

    Parameters
    ----------
    where: dotted path in the study file, for messages.

    Raises
    ------
    StudyError: no kind, unknown kind, unknown key or wrong value.
    """
    if isinstance(data, Part):
        return data
    if not isinstance(data, Mapping):
        raise StudyError(f"{where}: expected a mapping with a key 'kind', got {data!r}")
    kind = data.get("kind")
    if not isinstance(kind, str):
        raise StudyError(f"{where}.kind is missing; known: {', '.join(sorted(kinds(stage)))}")
    try:
        part = part_class(stage, kind)
    except StudyError as error:
        raise StudyError(f"{where}.kind: {error}") from None
    try:
        return part.model_validate(dict(data))
    except ValidationError as error:
        raise StudyError(_words(error, where, part, stage)) from None


def _words(error: ValidationError, where: str, model: type[BaseModel], stage: str | None = None) -> str:
    lines = []
    for item in error.errors():
        path = ".".join([where, *[str(step) for step in item["loc"]]]).strip(".")
        if item["type"] == "extra_forbidden":
            name = str(item["loc"][-1])
            known = model.model_fields if len(item["loc"]) == 1 else {}
            line = f"{path}: no such key{did_you_mean(name, known)}"
            others = [] if stage is None else _kinds_with(stage, name)
            if others:
                line += f" (kind {' or '.join(others)} has it: set {where}.kind)"
        else:
            line = f"{path}: {item['msg'].removeprefix('Value error, ')}"
            if item["type"] != "missing":
                line += f", got {item['input']!r}" if not isinstance(item["input"], dict) else ""
        lines.append(line)
    return "\n".join(lines)


def _kinds_with(stage: str, key: str) -> list[str]:
    return [repr(kind) for kind in kinds(stage) if key in getattr(find(stage, kind), "model_fields", {})]


def validate(model: type[BaseModel], data: Any, where: str) -> Any:
    """Validate settings that are not a part, with the same words for errors."""
    if isinstance(data, model):
        return data
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise StudyError(_words(error, where, model)) from None
