"""Slices through a configuration: discs in the plane, coloured by a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from vitrine.errors import DataError
from vitrine.report.svg import DENSE, INK, floats
from vitrine.study.result import SliceFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = "viridis"
BOND = "#D55E00"


def draw_slices(figure: SliceFigure) -> Figure:
    """Panels side by side on equal axes, each with its colour bar; marked atoms have a dark rim.

    Raises
    ------
    DataError: the arrays of a panel differ in length.
    """
    count = max(len(figure.panels), 1)
    columns = min(count, 3)
    rows = -(-count // columns)
    side = {1: 4.6, 2: 4.0, 3: 3.3}[columns]
    drawing = Figure(figsize=(side * columns, (side + 0.7) * rows + 0.2), layout="constrained")
    grid = drawing.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, figure.panels, strict=False):
        x, y, values, marked = (floats(panel[name]) for name in ("x", "y", "values", "marked"))
        if not len(x) == len(y) == len(values) == len(marked):
            sizes = ", ".join(f"{k} {len(v)}" for k, v in zip("xy", (x, y), strict=True))
            raise DataError(
                f"{figure.name}: panel {panel['label']!r} has lists of different lengths ({sizes})"
            )
        scale = Normalize(panel["low"], panel["high"], clip=True)
        mapping = ScalarMappable(scale, colormaps[COLOURS])
        order = np.argsort(marked, kind="stable")
        size = np.full(len(x), 2 * figure.radius)
        if panel.get("radii"):
            size = 2 * floats(panel["radii"])[order]
        discs = EllipseCollection(
            size,
            size,
            np.zeros(len(x)),
            units="xy",
            offsets=np.stack([x, y], axis=1)[order],
            transOffset=axes.transData,
            facecolors=mapping.to_rgba(values[order]),
            edgecolors=[INK if rim else "#ffffff" for rim in marked[order] > 0.5],
            linewidths=[1.8 if rim else 0.4 for rim in marked[order] > 0.5],
            rasterized=len(x) > DENSE,
        )
        axes.add_collection(discs)
        _bonds(axes, panel.get("bonds") or [])
        axes.set_aspect("equal")
        if len(x):
            axes.set_xlim(x.min() - 2 * figure.radius, x.max() + 2 * figure.radius)
            axes.set_ylim(y.min() - 2 * figure.radius, y.max() + 2 * figure.radius)
        axes.grid(visible=False)
        axes.set_title(str(panel["label"]))
        axes.set_xlabel(figure.x_label)
        axes.set_ylabel(figure.y_label)
        if panel["unit"]:
            label = str(panel["unit"])
            drawing.colorbar(mapping, ax=axes, orientation="horizontal", shrink=0.8, label=label)
    for axes in list(grid.flat)[len(figure.panels) :]:
        axes.remove()
    return drawing


def _bonds(axes: Axes, bonds: Sequence[Sequence[float]]) -> None:
    """Lines over the discs, wider and darker the larger their weight; the heaviest on top."""
    heavy = sorted((bond for bond in bonds if bond[4] > 0.02), key=lambda bond: bond[4])
    axes.add_collection(
        LineCollection(
            [[(x1, y1), (x2, y2)] for x1, y1, x2, y2, _ in heavy],
            linewidths=[0.3 + 2.4 * weight for *_, weight in heavy],
            colors=[(*to_rgb(BOND), min(1.0, 0.15 + weight)) for *_, weight in heavy],
            rasterized=len(heavy) > DENSE,
            zorder=3,
        )
    )
