"""Figures as SVG: the common style, deterministic text of a figure, and its form inside a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart in every common colour vision (doi:10.1038/nmeth.1618).

Their yellow is left out: a thin yellow line does not show on white.
"""
GREY = "#767676"
"""Reference lines; 4.5 : 1 on white, so that a label in it can be read too."""
INK = "#1f2328"
DENSE = 2000
"""More points than this are drawn as an image inside the SVG."""

STYLE: dict[str, Any] = {
    "svg.fonttype": "path",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8c8c8c",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#8c8c8c",
    "ytick.color": "#8c8c8c",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 200,  # of what is rasterised
}

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUIET = (r"Glyph .* missing", r"Data has no positive values", r"Matplotlib currently does not support")


def text_of(draw: Callable[[], Figure], name: str) -> str:
    """Draw in the report's style and return the SVG, the same bytes for the same figure.

    No date and no writer is recorded, and the ids inside hang on ``name`` alone. A reader's own
    matplotlib settings have no say.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        settings: Any = STYLE | {"svg.hashsalt": name}
        matplotlib.rcParams.update(settings)
        for message in _QUIET:
            warnings.filterwarnings("ignore", message, UserWarning)
        figure = draw()
        _as_written(figure)
        file = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(file, metadata=metadata)
    return file.getvalue()


def inline(text: str, prefix: str, label: str) -> str:
    """The SVG for use inside HTML: no prolog, no comments, ids and references made its own.

    Parameters
    ----------
    text: what :func:`text_of` returned.
    prefix: put before every id; one for each figure of a page.
    label: what a screen reader says.
    """
    root = ElementTree.fromstring(text)  # noqa: S314 - our own text, written a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        for key, value in attributes.items():
            if key == "id":
                value = prefix + value
            elif key == "href" and value.startswith("#"):
                value = f"#{prefix}{value[1:]}"
            else:
                value = value.replace("url(#", f"url(#{prefix}")
            element.set(key, value)
    # What matplotlib says for all elements in a <style>, which in a page would reach beyond it.
    root.set("style", "stroke-linejoin:round;stroke-linecap:butt")
    root.set("role", "img")
    root.set("aria-label", printable(label))
    return ElementTree.tostring(root, encoding="unicode")


def printable(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


def floats(values: Any) -> NDArray[np.float64]:
    """Numbers as an array; None (how JSON holds what is not finite) becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _as_written(figure: Figure) -> None:
    """Show a dollar sign of ours or of a label as one: only tick labels are formulas."""
    ticks = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for which in ("major", "minor")
        for label in axis.get_ticklabels(which=which)
    }
    for text in figure.findobj(Text):
        if id(text) not in ticks:
            text.set_parse_math(False)
            text.set_text(printable(text.get_text()))


def _local(name: str) -> str:
    return name.rpartition("}")[2]
