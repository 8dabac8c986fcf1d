"""Directive ``commands``: every command of ``vitrine`` with its arguments and options.

What it writes is what ``vitrine COMMAND --help`` prints, from the same objects. With a name it
writes the commands below that one (``simulate``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import page_nodes as page
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from vitrine.cli.main import app as vitrine_app

Path = tuple[str, ...]


def commands(group: Any, context: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """All commands below a group, with their path and a context that can speak of them."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = type(context)(command, info_name=name, parent=context)
        if hasattr(command, "list_commands"):
            yield from commands(command, inner, (*path, name))
        else:
            yield (*path, name), command, inner


class Commands(SphinxDirective):
    """A section for every command."""

    optional_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """All but those that make samples, or these alone."""
        root: Any = get_command(vitrine_app)
        only = self.arguments[0] if self.arguments else None
        context = root.context_class(root, info_name="vitrine")
        found = commands(root, context, ())
        return [_section(*item) for item in found if (item[0][0] == "simulate") == (only == "simulate")]


def _section(path: Path, command: Any, context: Any) -> nodes.section:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join(["vitrine", *path, *(_named(param) for param in arguments)])
    if options:
        usage += " [OPTIONS]"
    rows: list[list[page.Cell]] = [[[page.code(_named(param))], param.help or ""] for param in arguments]
    rows += [_option(param, context) for param in options]
    body: list[nodes.Node] = [
        page.paragraph(command.help or ""),
        nodes.literal_block(usage, usage, language="none"),
    ]
    if rows:
        body.append(page.table(["argument or option", "meaning"], rows, [35, 65]))
    return page.section("vitrine-" + "-".join(path), " ".join(["vitrine", *path]), *body)


def _named(param: Any) -> str:
    return str(param.metavar or param.name).upper() + ("..." if param.nargs == -1 else "")


def _option(param: Any, context: Any) -> list[page.Cell]:
    left, right = param.get_help_record(context)
    flags = [word for word in re.split(r"[\s,]+", left) if word.startswith("-")]
    value = left.split(flags[-1], 1)[1].strip()
    shown: list[nodes.Node] = []
    for flag in sorted(flags, key=len, reverse=True):
        shown += [nodes.Text(", "), page.code(flag)] if shown else [page.code(flag)]
    if value:
        shown.append(nodes.Text(" " + value))
    return [shown, right]


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directive known to Sphinx."""
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
