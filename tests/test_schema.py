"""The JSON schema: it says every key, and accepts what the study file accepts."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any

import pytest

from study_cases import GLASS
from vitrine.study import shelf
from vitrine.study.schema import study_schema
from vitrine.study.spec import SCALES, Study, load_study, preset_names, read_study

TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "null": type(None), "boolean": bool,
    "integer": int, "number": (int, float),
}  # fmt: skip


@cache
def schema() -> dict[str, Any]:
    return study_schema()


def troubles(value: Any, rule: dict[str, Any], path: str = "") -> list[str]:
    """What a validator of JSON schema says, for the keywords that occur here."""
    found = []
    if "$ref" in rule:
        found += troubles(value, schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")], path)
    for word, right in (("oneOf", lambda n: n == 1), ("anyOf", lambda n: n >= 1)):
        if word in rule and not right(sum(not troubles(value, one, path) for one in rule[word])):
            found.append(f"{path}: {word}")
    if "type" in rule:
        names = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
        is_bool = isinstance(value, bool)
        if not any(isinstance(value, TYPES[n]) and (n == "boolean" or not is_bool) for n in names):
            return [*found, f"{path}: not of type {rule['type']}"]
    if ("enum" in rule and value not in rule["enum"]) or ("const" in rule and value != rule["const"]):
        found.append(f"{path}: not one of the values")
    if isinstance(value, str):
        if "pattern" in rule and not re.search(rule["pattern"], value):
            found.append(f"{path}: pattern")
    elif isinstance(value, (int, float)):
        low, high = rule.get("minimum", -1e300), rule.get("maximum", 1e300)
        over, under = rule.get("exclusiveMinimum", -1e300), rule.get("exclusiveMaximum", 1e300)
        if not (low <= value <= high and over < value < under):
            found.append(f"{path}: out of bounds")
    elif isinstance(value, list):
        if len(value) < rule.get("minItems", 0):
            found.append(f"{path}: too short")
        for number, item in enumerate(value):
            found += troubles(item, rule.get("items", {}), f"{path}.{number}")
    elif isinstance(value, dict):
        found += _of_mapping(value, rule, path)
    return found


def _of_mapping(value: dict[str, Any], rule: dict[str, Any], path: str) -> list[str]:
    found = [f"{path}: {key} is missing" for key in rule.get("required", ()) if key not in value]
    if len(value) < rule.get("minProperties", 0):
        found.append(f"{path}: too few")
    for key, item in value.items():
        found += troubles(key, rule.get("propertyNames", {}), f"{path}.{key}")
        own = rule.get("properties", {}).get(key, rule.get("additionalProperties", {}))
        if own is False:
            found.append(f"{path}.{key}: no such key")
        elif own is not True:
            found += troubles(item, own, f"{path}.{key}")
    return found


def test_the_schema_is_json_and_says_all_keys() -> None:
    assert json.loads(json.dumps(schema(), allow_nan=False)) == schema()
    assert set(schema()["properties"]) == {*Study.model_fields, "scales"}
    assert schema()["properties"]["claims"]["items"]["enum"] == sorted(shelf.kinds("claim"))
    for name, field in Study.model_fields.items():
        assert schema()["properties"][name].get("description", "") == (field.description or "")


@pytest.mark.parametrize(
    ("stage", "kind"), [(s, k) for s in shelf.STAGES if s != "claim" for k in sorted(shelf.STAGES[s])]
)
def test_every_part_shows_its_keys_defaults_and_words(stage: str, kind: str) -> None:
    rule = schema()["$defs"][f"{stage}-{kind}"]
    assert {"$ref": f"#/$defs/{stage}-{kind}"} in schema()["$defs"][stage]["oneOf"]
    assert rule["additionalProperties"] is False and rule["required"] == ["kind"]
    fields = shelf.part_class(stage, kind).model_fields
    assert set(rule["properties"]) == set(fields)
    assert rule["properties"]["kind"]["const"] == kind
    for name, field in fields.items():
        shown = rule["properties"][name]
        if not field.is_required():
            default = field.get_default(call_default_factory=True)
            assert shown["default"] == (list(default) if isinstance(default, tuple) else default), name
        if name != "kind":
            assert shown.get("description") or "$ref" in shown, f"{stage} {kind}: {name} has no description"


@pytest.mark.parametrize("name", preset_names())
def test_presets_validate_as_written_and_as_resolved_at_every_scale(name: str) -> None:
    assert troubles(read_study(name)[0], schema()) == []
    for scale in SCALES:
        assert troubles(load_study(name, scale).resolved(), schema()) == []


def test_the_schema_refuses_what_the_study_file_refuses() -> None:
    assert troubles(GLASS, schema()) == []
    for path, value in (
        ("sorce", 1), ("source.kind", "other"), ("source.atom", 3), ("source.specimens", 0), ("tracks", []),
        ("models", {}), ("models.a/b", {"kind": "chance"}), ("models.gat.heads", "two"), ("scale", "huge"),
        ("scales.papr", {}), ("scales.paper.sorce", 1), ("claims", ["none"]), ("study", "Not a name"),
        ("evaluation.metrics", "mae"), ("tracks.0.models", []), ("seeds", {"modle": 1}),
    ):  # fmt: skip
        data: Any = copy.deepcopy(GLASS)
        here = data
        steps = [int(step) if step.isdecimal() else step for step in path.split(".")]
        for step in steps[:-1]:
            here = here[step]
        here[steps[-1]] = value
        assert troubles(data, schema()), path
    without = {key: value for key, value in GLASS.items() if key != "source"}
    assert troubles(without, schema()) == [": source is missing"]


def test_another_validator_agrees() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema())
    for name in preset_names():
        assert validator(schema()).is_valid(read_study(name)[0])
