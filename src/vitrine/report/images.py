"""Pictures in panels: strain maps, saliency, what filters like."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from vitrine.errors import DataError
from vitrine.report.svg import floats
from vitrine.study.result import ImageFigure

WIDTH = 8.2
"""inches of a whole row"""


def draw_images(figure: ImageFigure) -> Figure:
    """Panels in rows, each on its own scale, low y at the bottom, square pixels.

    Raises
    ------
    DataError: the rows of a panel differ in length.
    """
    columns = max(1, min(figure.columns, len(figure.panels)))
    rows = max(1, -(-len(figure.panels) // columns))
    pictures = []
    for panel in figure.panels:
        lines = [floats(row) for row in panel["values"]]
        if not lines or len({len(line) for line in lines}) != 1:
            raise DataError(
                f"{figure.name}: panel {panel['label']!r} is no picture: its rows differ in length"
            )
        pictures.append(np.stack(lines))
    tallest = max((len(picture) / picture.shape[1] for picture in pictures), default=1.0)
    side = min(WIDTH / columns, 2.4)
    drawing = Figure(figsize=(side * columns, (side * min(tallest, 3) + 0.32) * rows), layout="constrained")
    grid = drawing.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, panel, picture in zip(grid.flat, figure.panels, pictures, strict=False):
        axes.imshow(
            picture,
            cmap="RdBu_r" if figure.signed else "gray",
            vmin=float(panel["low"]),
            vmax=float(panel["high"]),
            origin="lower",
            interpolation="nearest",
        )
        axes.set_title(str(panel["label"]), fontsize=8)
    return drawing
