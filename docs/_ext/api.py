"""The reference of the Python API, as the docstrings are written here.

Docstrings have numpy's headings with one ``name: words`` below for each entry; this turns them into
what napoleon reads, and signatures keep the types that the source names. Short names (``Samples``)
lead to what the module imports under them. The directive ``modules`` documents every module of the
packages that it names, so that a new module appears by itself; ``public-names`` lists the face.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from docutils import nodes
from page_nodes import DOI
from pydantic import BaseModel
from sphinx.addnodes import desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

SECTIONS = {
    "Parameters": "Args", "Attributes": "Attributes", "Returns": "Returns", "Yields": "Yields",
    "Raises": "Raises", "Warns": "Warns",
}  # fmt: skip
NAMES_OF_PYDANTIC = {"model_config", "model_post_init"}
CALLABLE = {"function", "method", "class", "exception"}


def house_style(lines: list[str]) -> list[str]:
    """A docstring with its headings as napoleon's Google style has them.

    >>> house_style(["Read.", "", "Raises", "------", "DataError: none. StudyError: two."])
    ['Read.', '', 'Raises:', '    DataError: none.', '    StudyError: two.']
    """
    found: list[str] = []
    title = ""
    for line, below in zip(lines, [*lines[1:], ""], strict=False):
        if line in SECTIONS and re.fullmatch(r"-{3,}", below):
            title = SECTIONS[line]
            found.append(title + ":")
        elif title and re.fullmatch(r"-{3,}", line):
            continue
        elif title and line:
            found += ["    " + entry for entry in _entries(line, title)]
        else:
            found.append(line)
    return found


def _entries(line: str, title: str) -> list[str]:
    """One line, or several where entries stand behind one another."""
    if title == "Raises":
        return re.split(r"(?<=\.) (?=[A-Z]\w*(?:Error|Extra): )", line)
    if title == "Args":
        return re.split(r"(?<=\.) (?=[a-z_]+: )", line)
    return [line]


_as_written: dict[str, list[str]] = {}


def _process_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [
        re.sub(DOI, r"`doi:\g<doi> <https://doi.org/\g<doi>>`__", line) for line in house_style(lines)
    ]
    if what in {"property", "attribute", "data"}:
        _as_written[name] = list(lines)


def _after_napoleon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Undo that napoleon takes the shape before a colon, ``(n,)``: words, for a type."""
    if name in _as_written:
        lines[:] = _as_written.pop(name)


def _process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Types by the names that the source gives them; settings have tables on the page of study files."""
    if what not in CALLABLE or signature is None:
        return None
    if inspect.isclass(obj) and issubclass(obj, BaseModel):
        return "(**settings)", None
    try:
        found = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    given = list(found.parameters.values())
    if what == "method" and given and given[0].name in {"self", "cls"}:
        given = given[1:]
    words = stringify_signature(found.replace(parameters=given))
    arguments, _, returned = words.rpartition(" -> ")
    if what in {"class", "exception"} or not arguments:
        return arguments or words, None
    return arguments, returned


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    return True if name in NAMES_OF_PYDANTIC else None


@cache
def imported(module: str) -> dict[str, str]:
    """Short name -> full name of everything that a module imports, for type checkers too."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(import_module(module)))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _class_named(name: str, module: str | None) -> str | None:
    """Full name of the class of ours that a module means by a short name."""
    if not module or "." in name:
        return None
    found = getattr(import_module(module), name, None)
    full = imported(module).get(name, "")
    if found is None and full.startswith("vitrine."):  # imported for type checkers alone
        found = getattr(import_module(full.rpartition(".")[0]), name, None)
    if not inspect.isclass(found) or not found.__module__.startswith("vitrine."):
        return None
    return None if name.startswith("_") else f"{found.__module__}.{found.__qualname__}"


def _full_names(app: Sphinx, doctree: nodes.document) -> None:
    """A type in a signature leads to the class that its module means, not to one that is called so."""
    for signature in doctree.findall(desc_signature):
        for node in list(signature.findall(pending_xref)):
            full = _class_named(node["reftarget"], signature.get("module"))
            if full is None:
                node.replace_self(node.children)
            else:
                node["reftarget"] = full
                node.attributes.pop("refspecific", None)


def modules_of(package: str) -> list[str]:
    """A package and its public modules, packages below it included."""
    paths = getattr(import_module(package), "__path__", None)
    below = pkgutil.walk_packages(paths, package + ".") if paths else ()
    names = [info.name for info in below]
    return [package, *(name for name in names if not any(p.startswith("_") for p in name.split(".")))]


class Modules(SphinxDirective):
    """A section for every module of the named packages."""

    has_content: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        """Parsed as if each ``automodule`` stood on the page."""
        text = []
        for package in filter(None, self.content):
            for name in modules_of(package.strip()):
                text += [f"## `{name}`", "", "```{eval-rst}", f".. automodule:: {name}", "   :members:"]
                text += ["   :member-order: bysource", "   :ignore-module-all:", "```", ""]
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


class PublicNames(SphinxDirective):
    """What ``import vitrine`` offers, with links to where it is documented."""

    def run(self) -> list[nodes.Node]:
        """A list: name, first line of its docstring."""
        import vitrine

        lines = []
        for name in vitrine.__all__:
            found = getattr(vitrine, name)
            first = inspect.cleandoc(found.__doc__ or "").split("\n")[0]
            if inspect.ismodule(found):
                lines.append(f"- {{py:mod}}`{name} <{found.__name__}>`: {first}")
            else:
                lines.append(f"- {{py:obj}}`{name} <{found.__module__}.{found.__qualname__}>`: {first}")
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directives and the hooks known to Sphinx."""
    app.add_directive("modules", Modules)
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-process-docstring", _process_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _after_napoleon, priority=600)
    app.connect("autodoc-process-signature", _process_signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _full_names)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
