"""The JSON schema of study files, from the settings classes."""

from __future__ import annotations

from typing import Any

from vitrine.study import shelf
from vitrine.study.spec import SCALES, Evaluation, Published, Seeds, Study

_STAGE_OF = {"source": "source", "unseen": "source", "label": "label", "representation": "representation"}


def study_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a study file: every part with its keys, defaults and words."""
    definitions: dict[str, Any] = {}
    for stage in shelf.STAGES:
        if stage == "claim":
            continue
        kinds = sorted(shelf.kinds(stage))
        for kind in kinds:
            definitions[f"{stage}-{kind}"] = _inline(shelf.part_class(stage, kind), definitions)
            definitions[f"{stage}-{kind}"]["required"] = ["kind"]
        definitions[stage] = {"oneOf": [{"$ref": f"#/$defs/{stage}-{kind}"} for kind in kinds]}
    definitions["track"] = {
        "type": "object",
        "required": ["split"],
        "additionalProperties": False,
        "properties": {
            "split": {"$ref": "#/$defs/split"},
            "models": {"type": "array", "items": {"type": "string"}, "description": "all by default"},
        },
    }
    for name, model in (("evaluation", Evaluation), ("seeds", Seeds), ("published", Published)):
        definitions[name] = _inline(model, definitions)
    properties: dict[str, Any] = {
        name: {"type": "string", "description": Study.model_fields[name].description or ""}
        for name in ("study", "title", "question", "main_model")
    }
    properties |= {name: {"$ref": f"#/$defs/{stage}"} for name, stage in _STAGE_OF.items()}
    properties |= {
        "citations": {"type": "array", "items": {"type": "string"}},
        "tracks": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/track"}},
        "models": {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/model"}},
        "evaluation": {"$ref": "#/$defs/evaluation"},
        "seeds": {"$ref": "#/$defs/seeds"},
        "published": {"type": "array", "items": {"$ref": "#/$defs/published"}},
        "claims": {"type": "array", "items": {"enum": sorted(shelf.kinds("claim"))}},
        "scale": {"enum": list(SCALES)},
        "scales": {
            "type": "object",
            "description": "settings that a scale lays over the rest",
            "additionalProperties": False,
            "properties": {name: {"type": "object"} for name in SCALES},
        },
    }
    required = [name for name, field in Study.model_fields.items() if field.is_required()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vitrine study",
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
        "$defs": definitions,
    }


def _inline(model: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(schema.pop("$defs", {}))
    return schema
