"""Keeps an interval such as [0.49, 0.51] on one line of a table."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

INTERVAL = re.compile(r"(\[[-−\d.]+,) (?=[-−\d.]+\])")


def _join(app: Sphinx, doctree: nodes.document) -> None:
    for cell in doctree.findall(nodes.entry):
        for text in list(cell.findall(nodes.Text)):
            if INTERVAL.search(text):
                text.parent.replace(text, nodes.Text(INTERVAL.sub("\\1\N{NO-BREAK SPACE}", text)))


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at every page after it is read."""
    app.connect("doctree-read", _join)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
