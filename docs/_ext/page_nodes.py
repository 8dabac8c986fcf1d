"""Small pieces of a page as docutils nodes: tables, sections, texts with code and DOIs in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from docutils import nodes

Cell = str | Sequence[nodes.Node]

DOI = r"doi:(?P<doi>10\.\d{4,9}/(?:\([^\s()]*\)|[^\s();,])*[^\s();,.:])"
_PIECES = re.compile(rf"``(?P<double>[^`]+)``|`(?P<single>[^`]+)`|(?<!\S)(?P<flag>--[a-z][\w-]*)|{DOI}")


def text(words: str) -> list[nodes.Node]:
    """Words as inline nodes: what stands in backticks and every --flag becomes code, ``doi:10...`` a link."""
    found: list[nodes.Node] = []
    end = 0
    for match in _PIECES.finditer(words):
        found.append(nodes.Text(words[end : match.start()]))
        code = match["double"] or match["single"] or match["flag"]
        found.append(doi(match["doi"]) if match["doi"] else nodes.literal(code, code))
        end = match.end()
    found.append(nodes.Text(words[end:]))
    return [node for node in found if node.astext()]


def doi(name: str) -> nodes.reference:
    """A link to the resolver of DOIs."""
    return nodes.reference(name, f"doi:{name}", refuri=f"https://doi.org/{name}")


def code(words: str) -> nodes.literal:
    """Words in the typeface of code."""
    return nodes.literal(words, words)


def link(words: str, target: str) -> nodes.reference:
    """Code that leads to a section of the same page."""
    return nodes.reference("", "", code(words), refuri=f"#{target}", internal=True)


def paragraph(cell: Cell) -> nodes.paragraph:
    """A paragraph of words or of inline nodes."""
    return nodes.paragraph("", "", *(text(cell) if isinstance(cell, str) else cell))


def section(identifier: str, title: str, *children: nodes.Node) -> nodes.section:
    """A section with a title in code, and an id that links can name."""
    found = nodes.section(ids=[identifier], names=[identifier])
    found += nodes.title(title, "", code(title))
    found += children
    return found


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], widths: Sequence[int]) -> nodes.table:
    """A table of the full width; ``widths`` are the parts that its columns take."""
    found = nodes.table(classes=["settings", "colwidths-given"])
    group = nodes.tgroup(cols=len(heads))
    found += group
    group += [nodes.colspec(colwidth=width) for width in widths]
    head, body = nodes.thead(), nodes.tbody()
    group += [head, body]
    head += _row(heads)
    body += [_row(row) for row in rows]
    return found


def _row(cells: Sequence[Cell]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        entry += paragraph(cell)
        row += entry
    return row
