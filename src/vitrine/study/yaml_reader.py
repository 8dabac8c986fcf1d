"""Safe YAML as the field writes it: ``1e13`` is a number, ``No`` is nobelium, a key stands once.

Plain words mean what they mean in YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), with
underscores in numbers: only ``true`` and ``false`` are truth values, ``0042`` is 42 and not octal,
``1:30`` is not 90, and a date stays text. Anchors, aliases and ``<<`` are understood.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_VALUES = 100_000
"""Values that a document may hold once its aliases are written out."""
DEEPEST = 64
"""Levels that a document may be nested."""

_WORDS: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", r"<<", "<"),
)
_TAGS = {f"tag:yaml.org,2002:{tag}" for tag in ("null", "bool", "int", "float", "merge", "str", "seq", "map")}


class StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key may stand only once and plain words follow YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as in PyYAML

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse duplicate keys, which YAML would silently resolve to the last one."""
        seen = set()
        for key_node, _ in getattr(node, "value", ()):
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key_node, yaml.ScalarNode):
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.YAMLError(f"key {key!r} stands twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        """Decimal, ``0x`` and ``0o``; a leading zero means nothing."""
        text = str(self.construct_scalar(node)).replace("_", "")
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        try:
            return int(text[2:] if base != 10 else text, base)
        except ValueError as error:
            raise yaml.YAMLError(f"{text[:40]!r} is not a whole number: {error}") from None


class StrictDumper(yaml.SafeDumper):
    """Writes what :class:`StrictLoader` reads: quotes the texts that it would take for numbers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as in PyYAML

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal lists out each time; anchors in a file made for reading only puzzle."""
        return True


for _tag, _pattern, _first in _WORDS:
    for _class in (StrictLoader, StrictDumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}",
            re.compile(rf"^(?:{_pattern})$"),
            [letter if letter != "\0" else "" for letter in _first],
        )
StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_yaml_int)


def read_yaml(text: str) -> Any:
    """Parse YAML. Nothing in the answer is shared: a change in one place changes no other.

    Raises
    ------
    yaml.YAMLError: not valid, a key stands twice, a tag other than those of plain data, nested too
        deeply, an anchor inside itself, or aliases that write out to more than
        :data:`MOST_VALUES` values.
    """
    loader = StrictLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, {}, 0)
        return _own(loader.construct_document(node))
    except RecursionError:
        raise yaml.YAMLError(f"nested more than {DEEPEST} levels deep") from None
    except (ValueError, KeyError) as error:  # a tag that its value belies, such as !!float x
        raise yaml.YAMLError(f"not what its tag says: {error}") from None
    finally:
        loader.dispose()


def words_of(error: yaml.YAMLError) -> str:
    """What is wrong and where, in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).splitlines()[0]
    words = getattr(error, "problem", None) or getattr(error, "context", None)
    return f"{words} (line {mark.line + 1}, column {mark.column + 1})"


def write_yaml(data: Any) -> str:
    """Plain data as YAML that :func:`read_yaml` reads back equal; keys keep their order."""
    return yaml.dump(data, Dumper=StrictDumper, sort_keys=False, allow_unicode=True, width=100)


def _weigh(node: yaml.Node, known: dict[int, int | None], depth: int) -> int:
    """Number of values below a node with its aliases written out."""
    if depth > DEEPEST:
        raise yaml.YAMLError(f"nested more than {DEEPEST} levels deep")
    if node.tag not in _TAGS:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1}: the tag {node.tag!r} is not of plain data")
    if id(node) in known:
        weight = known[id(node)]
        if weight is None:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: an alias inside its own anchor")
        return weight
    known[id(node)] = None
    weight = 1
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    for child in children:
        weight += _weigh(child, known, depth + 1)
        if weight > MOST_VALUES:
            raise yaml.YAMLError(f"holds more than {MOST_VALUES} values")
    known[id(node)] = weight
    return weight


def _own(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _own(item) for key, item in value.items()}
    return [_own(item) for item in value] if isinstance(value, list) else value
