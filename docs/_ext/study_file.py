"""Directives that write the reference of study files from the settings classes themselves.

``study-keys``          the top-level keys of a study file
``study-keys`` NAME     the keys of one of its blocks (``track``, ``evaluation`` ...)
``study-parts`` STAGE   every kind of a stage with its settings
``study-metrics``       the metrics that ``evaluation.metrics`` may name
``study-claims``        the claims that ``claims`` may name
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any, ClassVar

import page_nodes as page
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from vitrine.evaluate import metrics
from vitrine.study import shelf
from vitrine.study.schema import study_schema

PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
PLURAL = {"text": "texts", "whole number": "whole numbers", "number": "numbers"}
BOUNDS = {
    "minimum": "at least {}", "exclusiveMinimum": "above {}", "maximum": "at most {}",
    "exclusiveMaximum": "below {}", "minItems": "{} or more", "maxItems": "{} or fewer",
    "minProperties": "{} or more", "pattern": "matches `{}`",
}  # fmt: skip
JOINTS = ("yields", "takes", "makes", "targets")


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of study files."""
    return study_schema()


def kind_of(rule: dict[str, Any]) -> list[nodes.Node]:
    """What a value may be, in words."""
    if "$ref" in rule:
        name = rule["$ref"].removeprefix("#/$defs/")
        return [page.link(name, name)]
    if "anyOf" in rule:
        return _joined([kind_of(one) for one in rule["anyOf"]], " or ")
    if "enum" in rule or "const" in rule:
        return _joined([[page.code(_plain(one))] for one in rule.get("enum", [rule.get("const")])], ", ")
    if rule.get("type") == "array":
        return [nodes.Text("list of "), *_many(rule.get("items", {}))]
    if rule.get("type") == "object":
        inner = rule.get("additionalProperties")
        return [nodes.Text("name: "), *kind_of(inner)] if isinstance(inner, dict) else [nodes.Text("mapping")]
    if rule.get("type") == "null":
        return [page.code("null")]
    return [nodes.Text(PLAIN.get(str(rule.get("type")), "any value"))]


def _many(rule: dict[str, Any]) -> list[nodes.Node]:
    words = kind_of(rule)
    only = words[0].astext() if len(words) == 1 else ""
    return [nodes.Text(PLURAL[only])] if only in PLURAL else words


def _joined(parts: list[list[nodes.Node]], between: str) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    for part in parts:
        found += [nodes.Text(between), *part] if found else part
    return found


def bounds_of(rule: dict[str, Any]) -> str:
    """The limits of a value, in words."""
    own = [words.format(_plain(rule[key])) for key, words in BOUNDS.items() if key in rule]
    below = [bounds_of(one) for one in rule.get("anyOf", ())]
    names = rule.get("propertyNames")
    return ", ".join(filter(None, [*own, *below, f"names {bounds_of(names)}" if names else ""]))


def _plain(value: Any) -> str:
    """A value as a study file would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}".replace("e+", "e")
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    return str(value)


def settings_table(rules: dict[str, Any], required: list[str]) -> nodes.table:
    """A row for every key: name, what it may be, default, meaning with limits."""
    rows = []
    for name, rule in rules.items():
        limits = bounds_of(rule)
        meaning = page.text(rule.get("description", ""))
        if limits:
            meaning += page.text(f" ({limits})" if meaning else limits)
        default: page.Cell = ""
        if name in required:
            default = [nodes.emphasis("", "required")]
        elif "default" in rule:
            default = [page.code(_plain(rule["default"]))]
        rows.append([[page.code(name)], kind_of(rule), default, meaning])
    return page.table(["key", "value", "default", "meaning"], rows, [20, 24, 20, 36])


class Keys(SphinxDirective):
    """The keys of a study file, or of one of its blocks."""

    optional_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """A table; for a block in a section of its name."""
        rule = schema() if not self.arguments else schema()["$defs"][self.arguments[0]]
        found = settings_table(rule["properties"], rule.get("required", []))
        if not self.arguments:
            return [found]
        words = [page.paragraph(rule["description"])] if "description" in rule else []
        return [page.section(self.arguments[0], self.arguments[0], *words, found)]


class Parts(SphinxDirective):
    """Every kind of one stage, with its settings."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """A table of the kinds, then a section for each."""
        stage = self.arguments[0]
        kinds = [kind for kind in sorted(shelf.kinds(stage)) if shelf.is_part(stage, kind)]
        rows = []
        for kind in kinds:
            part = shelf.part_class(stage, kind)
            rows.append([[page.link(kind, f"{stage}-{kind}")], part.summary, _joints(part)])
        found: list[nodes.Node] = [nodes.target(ids=[stage])]
        found.append(page.table(["kind", "what it is", "joints"], rows, [22, 46, 32]))
        return [*found, *(self._kind(stage, kind) for kind in kinds)]

    def _kind(self, stage: str, kind: str) -> nodes.section:
        part = shelf.part_class(stage, kind)
        rule = schema()["$defs"][f"{stage}-{kind}"]
        settings = {name: value for name, value in rule["properties"].items() if name != "kind"}
        required = [name for name, field in part.model_fields.items() if field.is_required()]
        prose = inspect.cleandoc(part.__doc__ or "").split("\nParameters\n")[0]
        body: list[nodes.Node] = [page.paragraph(_one_line(block)) for block in prose.split("\n\n")]
        cited = part.model_construct().citations()
        if cited:
            links: list[list[nodes.Node]] = [[page.doi(name)] for name in cited]
            body.append(page.paragraph([nodes.Text("Follows "), *_joined(links, ", "), nodes.Text(".")]))
        if settings:
            body.append(settings_table(settings, required))
        else:
            body.append(page.paragraph("No settings."))
        found = page.section(f"{stage}-{kind}", kind, *body)
        return found


def _one_line(block: str) -> str:
    """A paragraph of a docstring without line breaks and roles (``:class:`~a.b```)."""
    words = " ".join(block.split())
    return re.sub(r":[a-z:]+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", words)


def _joints(part: Any) -> str:
    words = []
    for name in JOINTS:
        value = getattr(part, name, None)
        if isinstance(value, (frozenset, set)):
            value = " or ".join(sorted(value))
        if isinstance(value, str):
            words.append(f"{name} {value}")
    return "; ".join(words)


class Metrics(SphinxDirective):
    """The metrics that a study may name."""

    def run(self) -> list[nodes.Node]:
        """A table: name, what it is."""
        rows = []
        for name, function in sorted(metrics.FUNCTIONS.items()):
            first = inspect.cleandoc(function.__doc__ or "").split("\n\n")[0]
            rows.append([[page.code(name)], _one_line(first)])
        return [page.table(["metric", "meaning"], rows, [25, 75])]


class Claims(SphinxDirective):
    """The claims that a study may name."""

    def run(self) -> list[nodes.Node]:
        """A table: name, what it says."""
        rows = []
        for name in sorted(shelf.kinds("claim")):
            first = inspect.cleandoc(shelf.find("claim", name).__doc__ or "").split("\n\n")[0]
            rows.append([[page.code(name)], _one_line(first)])
        return [page.table(["claim", "what it says"], rows, [35, 65])]


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directives known to Sphinx."""
    app.add_directive("study-keys", Keys)
    app.add_directive("study-parts", Parts)
    app.add_directive("study-metrics", Metrics)
    app.add_directive("study-claims", Claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
