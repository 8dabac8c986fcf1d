"""Layers of settings: a scale over a study file, ``--set`` over both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from vitrine.errors import StudyError
from vitrine.study.yaml_reader import read_yaml, words_of


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge; a mapping of another ``kind`` replaces the whole, a null in its place removes it.

    >>> merge({"a": {"kind": "x", "n": 1}, "b": 2}, {"a": {"n": 3}})
    {'a': {'kind': 'x', 'n': 3}, 'b': 2}
    >>> merge({"a": {"kind": "x", "n": 1}}, {"a": {"kind": "y"}})
    {'a': {'kind': 'y'}}
    >>> merge({"models": {"a": {"kind": "x"}, "b": {"kind": "y"}}}, {"models": {"b": None}})
    {'models': {'a': {'kind': 'x'}}}
    """
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            other_kind = "kind" in value and "kind" in old and value["kind"] != old["kind"]
            result[key] = dict(value) if other_kind else merge(old, value)
        elif isinstance(old, Mapping) and value is None:
            del result[key]
        else:
            result[key] = value
    return result


def apply_overrides(data: dict[str, Any], texts: Sequence[str]) -> None:
    """Apply several ``path.to.key=value`` in place, those of a ``kind`` first.

    Raises
    ------
    StudyError: as :func:`apply_override`, and for ``scale``, which is not set but chosen.
    """
    for text in sorted(texts, key=lambda t: _path(t)[-1] != "kind"):
        if _path(text)[0] in {"scale", "scales"}:
            raise StudyError(f"--set {text!r}: choose a scale with --scale; its settings are set one by one")
        apply_override(data, text)


def apply_override(data: dict[str, Any], text: str) -> None:
    """Apply one ``path.to.key=value`` in place.

    Setting a ``kind`` that differs from the present one starts that part from its defaults. A null
    in place of a mapping removes it, as in :func:`merge`.

    Raises
    ------
    StudyError: no ``=``, an empty path, a value that is not YAML, or a path through a plain value.
    """
    steps = _path(text)
    if "=" not in text or not all(steps):
        raise StudyError(f"--set {text!r}: expected KEY=VALUE, for example source.specimens=20")
    raw = text.partition("=")[2]
    try:
        value = read_yaml(raw)
    except yaml.YAMLError as error:
        raise StudyError(f"--set {text!r}: the value is not valid YAML: {words_of(error)}") from error
    here: Any = data
    for depth, step in enumerate(steps[:-1]):
        here = _descend(here, step, ".".join(steps[: depth + 1]), text)
    last = steps[-1]
    _check_position(here, last, ".".join(steps[:-1]), text)
    if isinstance(here, list):
        here[_index(here, last, text)] = value
    elif last == "kind" and here.get("kind") not in (None, value):
        here.clear()
        here["kind"] = value
    elif value is None and isinstance(here.get(last), dict):
        del here[last]
    else:
        here[last] = value


def _path(text: str) -> list[str]:
    return [step.strip() for step in text.partition("=")[0].split(".")]


def _descend(here: Any, step: str, path: str, text: str) -> Any:
    if isinstance(here, list):
        found = here[_index(here, step, text)]
    else:
        _check_position(here, step, path.rpartition(".")[0], text)
        if here.get(step) is None:
            here[step] = {}
        found = here[step]
    if not isinstance(found, (dict, list)):
        raise StudyError(f"--set {text!r}: {path} is the plain value {found!r}, it has no keys")
    return found


def _check_position(here: Any, step: str, above: str, text: str) -> None:
    if step.isdecimal() and here == {} and above:
        raise StudyError(
            f"--set {text!r}: the file says nothing of {above}; set the whole of it, {above}=[...]"
        )


def _index(items: list[Any], step: str, text: str) -> int:
    if not (step.isascii() and step.isdecimal()):
        raise StudyError(f"--set {text!r}: a list has positions, 0 for the first, not {step!r}")
    if int(step) >= len(items):
        raise StudyError(f"--set {text!r}: no position {step} in a list of {len(items)}")
    return int(step)
