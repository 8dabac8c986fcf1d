"""Safe YAML as the field writes it: ``1e13`` is a number, and a key stands once."""

from __future__ import annotations

import re
from typing import Any

import yaml


class StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key may stand only once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse duplicate keys, which YAML would silently resolve to the last one."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if isinstance(key, str):
                if key in seen:
                    raise yaml.YAMLError(f"key {key!r} stands twice (line {key_node.start_mark.line + 1})")
                seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 takes 1e13, without a point and a sign, for text
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(text: str) -> Any:
    """Parse YAML.

    Raises
    ------
    yaml.YAMLError: not valid, a key stands twice, or nested too deeply.
    """
    try:
        return yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a subclass of SafeLoader
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
