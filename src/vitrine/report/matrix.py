"""Numbers in a grid: which set a model was trained on against which it was tested on."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from vitrine.errors import DataError
from vitrine.report.svg import INK, floats
from vitrine.study.result import MatrixFigure

COLOURS = "viridis"


def draw_matrix(figure: MatrixFigure) -> Figure:
    """Panels side by side on one colour scale, each cell with its number.

    Raises
    ------
    DataError: a panel has another number of rows or columns than there are names.
    """
    shape = len(figure.rows), len(figure.columns)
    count = max(len(figure.panels), 1)
    across = min(count, 2)
    down = -(-count // across)
    longest = max((len(name) for name in figure.rows), default=0)
    titles = max((len(str(panel["label"])) for panel in figure.panels), default=0)
    width = max(0.62 * shape[1], 0.085 * titles) + 0.075 * max(longest, 12) + 0.6
    height = 0.44 * shape[0] + 1.3
    drawing = Figure(figsize=(width * across + 0.4, height * down + 0.4), layout="constrained")
    grid = drawing.subplots(down, across, squeeze=False)
    scale = Normalize(figure.low, figure.high, clip=True)
    for axes, panel in zip(grid.flat, figure.panels, strict=False):
        rows = [floats(row) for row in panel["values"]]
        if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
            raise DataError(
                f"{figure.name}: panel {panel['label']!r} is not of {shape[0]} x {shape[1]} numbers"
            )
        values = np.stack(rows)
        axes.imshow(values, cmap=COLOURS, norm=scale, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            text = f"{value:.3f}".removeprefix("0") if np.isfinite(value) else "–"
            pale = np.isfinite(value) and scale(value) > 0.6
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color=INK if pale else "white")
        axes.set_xticks(range(shape[1]), figure.columns)
        axes.set_yticks(range(shape[0]), figure.rows)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_title(str(panel["label"]))
        axes.set_xlabel(figure.x_label)
        axes.set_ylabel(figure.y_label)
    for axes in list(grid.flat)[len(figure.panels) :]:
        axes.remove()
    drawing.colorbar(ScalarMappable(scale, colormaps[COLOURS]), ax=list(drawing.axes), shrink=0.6)
    return drawing
