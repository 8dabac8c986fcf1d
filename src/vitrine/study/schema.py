"""The JSON schema of study files, from the settings classes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from vitrine.study import shelf
from vitrine.study.sections import (
    MODEL_NAME,
    Budget,
    DataCurve,
    EachElement,
    Evaluation,
    Landscape,
    Matrix,
    Published,
    PublishedSubset,
    Search,
    Seeds,
    Series,
    Sweep,
    Track,
    Transfer,
)
from vitrine.study.spec import SCALES, Study

_STAGE_OF = {"source": "source", "unseen": "source", "label": "label", "representation": "representation"}
_NULL = {"type": "null"}
_SECTIONS: dict[str, type[BaseModel]] = {
    "evaluation": Evaluation,
    "budget": Budget,
    "seeds": Seeds,
    "published": Published,
    "published_subset": PublishedSubset,
    "sweep": Sweep,
    "search": Search,
    "data_curve": DataCurve,
    "transfer": Transfer,
    "matrix": Matrix,
    "series": Series,
    "landscape": Landscape,
    "each_element": EachElement,
}


def study_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a study file: every part with its keys, defaults and words."""
    definitions = _part_definitions()
    definitions["track"] = _track()
    for name, model in _SECTIONS.items():
        definitions[name] = _inline(model, definitions)
    parts = definitions["transfer"]["properties"]
    parts["split"] |= {"$ref": "#/$defs/split"}
    parts["published"] |= {"anyOf": [{"$ref": "#/$defs/matrix"}, _NULL]}
    subsets = definitions["published"]["properties"]["subsets"]
    subsets["items"] = {"$ref": "#/$defs/published_subset"}
    for name in (
        "Matrix",
        "PublishedSubset",
        "Part",
    ):  # pydantic's own definitions of what stands there under other names
        definitions.pop(name, None)
    _join_definitions(definitions)
    properties = _properties()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vitrine study",
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in Study.model_fields.items() if field.is_required()],
        "properties": properties | {"scales": _scales(list(properties))},
        "$defs": definitions,
    }


def _join_definitions(definitions: dict[str, Any]) -> None:
    """Let parts within a part point to the definition that the part has of its own."""
    for kind in shelf.STAGES["representation"]:
        name = shelf.part_class("representation", kind).__name__
        if definitions.pop(name, None) is not None:
            there, here = f"#/$defs/{name}", f"#/$defs/representation-{kind}"
            for key, value in list(definitions.items()):
                definitions[key] = _with_other(value, there, here)


def _with_other(value: Any, there: str, here: str) -> Any:
    """The same data with one text in place of another."""
    if isinstance(value, dict):
        return {key: _with_other(item, there, here) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_other(item, there, here) for item in value]
    return here if value == there else value


def _track() -> dict[str, Any]:
    properties: dict[str, Any] = {
        "name": {"anyOf": [{"type": "string", "pattern": MODEL_NAME}, _NULL]},
        "split": {"$ref": "#/$defs/split"},
        "models": {"anyOf": [{"type": "array", "minItems": 1, "items": {"type": "string"}}, _NULL]},
        "source": {"anyOf": [{"$ref": "#/$defs/source"}, _NULL]},
        "changes": {"type": "object"},
        "label": {"anyOf": [{"$ref": "#/$defs/label"}, _NULL]},
        "note": {"type": "string"},
    }
    for name, field in Track.model_fields.items():
        if field.description:
            properties[name]["description"] = field.description
    return {
        "type": "object",
        "required": ["split"],
        "additionalProperties": False,
        "properties": properties,
    }


def _part_definitions() -> dict[str, Any]:
    """One definition per part, and one per stage that takes any of its kinds."""
    definitions: dict[str, Any] = {}
    for stage in shelf.STAGES:
        if stage == "claim":
            continue
        kinds = sorted(kind for kind in shelf.kinds(stage) if shelf.is_part(stage, kind))
        for kind in kinds:
            definitions[f"{stage}-{kind}"] = _inline(shelf.part_class(stage, kind), definitions)
            # what else a part requires may come from a scale or from --set
            definitions[f"{stage}-{kind}"]["required"] = ["kind"]
        definitions[stage] = {"oneOf": [{"$ref": f"#/$defs/{stage}-{kind}"} for kind in kinds]}
    return definitions


def _properties() -> dict[str, Any]:
    """The keys of a study file but ``scales``."""
    texts = ("study", "title", "question", "main_model")
    found: dict[str, Any] = {name: {"type": "string"} for name in texts}
    found["study"]["pattern"] = r"^[a-z0-9][a-z0-9-]*$"
    found |= {name: {"$ref": f"#/$defs/{stage}"} for name, stage in _STAGE_OF.items()}
    found["unseen"] = {"anyOf": [found["unseen"], _NULL]}
    found |= {
        "citations": {"type": "array", "items": {"type": "string"}},
        "representations": {
            "type": "object",
            "propertyNames": {"pattern": MODEL_NAME},
            "additionalProperties": {"$ref": "#/$defs/representation"},
        },
        "tracks": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/track"}},
        "models": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": MODEL_NAME},
            "additionalProperties": {"$ref": "#/$defs/model"},
        },
        "evaluation": {"$ref": "#/$defs/evaluation"},
        "budget": {"$ref": "#/$defs/budget"},
        "seeds": {"$ref": "#/$defs/seeds"},
        "published": {"type": "array", "items": {"$ref": "#/$defs/published"}},
        "sweeps": {"type": "array", "items": {"$ref": "#/$defs/sweep"}},
        "search": {"anyOf": [{"$ref": "#/$defs/search"}, _NULL]},
        "data_curve": {"anyOf": [{"$ref": "#/$defs/data_curve"}, _NULL]},
        "transfer": {"anyOf": [{"$ref": "#/$defs/transfer"}, _NULL]},
        "series": {"type": "array", "items": {"$ref": "#/$defs/series"}},
        "landscape": {"anyOf": [{"$ref": "#/$defs/landscape"}, _NULL]},
        "each_element": {"anyOf": [{"$ref": "#/$defs/each_element"}, _NULL]},
        "explanations": {"type": "array", "items": {"$ref": "#/$defs/explanation"}},
        "claims": {"type": "array", "items": {"enum": sorted(shelf.kinds("claim"))}},
        "ship": {"anyOf": [{"type": "array", "minItems": 1, "items": {"type": "string"}}, _NULL]},
        "scale": {"enum": list(SCALES)},
    }
    for name, field in Study.model_fields.items():
        if field.description:
            found[name]["description"] = field.description
    return found


def _scales(keys: list[str]) -> dict[str, Any]:
    layer = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {key: {} for key in keys if key != "scale"},
    }
    return {
        "type": "object",
        "description": "settings that a scale lays over the rest",
        "additionalProperties": False,
        "properties": dict.fromkeys(SCALES, layer),
    }


def _inline(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(schema.pop("$defs", {}))
    return schema
