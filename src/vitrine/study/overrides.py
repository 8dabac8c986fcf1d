"""Layers of settings: a scale over a study file, ``--set`` over both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from vitrine.errors import StudyError
from vitrine.study.yaml_reader import read_yaml


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge; a mapping of another ``kind`` replaces the whole, a null removes.

    >>> merge({"a": {"kind": "x", "n": 1}, "b": 2}, {"a": {"n": 3}})
    {'a': {'kind': 'x', 'n': 3}, 'b': 2}
    >>> merge({"a": {"kind": "x", "n": 1}}, {"a": {"kind": "y"}})
    {'a': {'kind': 'y'}}
    """
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            other_kind = "kind" in value and "kind" in old and value["kind"] != old["kind"]
            result[key] = dict(value) if other_kind else merge(old, value)
        else:
            result[key] = value
    return result


def apply_override(data: dict[str, Any], text: str) -> None:
    """Apply one ``path.to.key=value`` in place.

    Setting a ``kind`` that differs from the present one starts that part from its defaults.

    Raises
    ------
    StudyError: no ``=``, an empty path, a value that is not YAML, or a path through a plain value.
    """
    path, equals, raw = text.partition("=")
    steps = [step.strip() for step in path.split(".")]
    if not equals or not all(steps):
        raise StudyError(f"--set {text!r}: expected KEY=VALUE, for example source.specimens=20")
    try:
        value = read_yaml(raw) if raw.strip() else None
    except yaml.YAMLError as error:
        raise StudyError(f"--set {text!r}: the value is not valid YAML: {error}") from error
    here: Any = data
    for depth, step in enumerate(steps[:-1]):
        here = _descend(here, step, ".".join(steps[: depth + 1]), text)
    last = steps[-1]
    if isinstance(here, list):
        here[_index(here, last, text)] = value
    elif last == "kind" and here.get("kind") not in (None, value):
        here.clear()
        here["kind"] = value
    else:
        here[last] = value


def _descend(here: Any, step: str, path: str, text: str) -> Any:
    if isinstance(here, list):
        return here[_index(here, step, text)]
    if here.get(step) is None:
        here[step] = {}
    found = here[step]
    if not isinstance(found, (dict, list)):
        raise StudyError(f"--set {text!r}: {path} is the plain value {found!r}, it has no keys")
    return found


def _index(items: list[Any], step: str, text: str) -> int:
    if not step.isdigit() or int(step) >= len(items):
        raise StudyError(f"--set {text!r}: {step!r} must be a position from 0 to {len(items) - 1}")
    return int(step)
