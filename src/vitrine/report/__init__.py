"""A stored result as one HTML file which opens without a network.

Reads a :class:`vitrine.study.result.Result` only: no torch, no simulator, no recomputation.
matplotlib and Jinja2 are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitrine.report.html import render, render_folder

__all__ = ["render", "render_folder"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vitrine.report import html

        return getattr(html, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
