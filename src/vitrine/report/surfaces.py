"""A loss over a plane of weights, for several sets of data on the same axes and one scale of colours."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.report.svg import INK, floats
from vitrine.study.result import SurfaceFigure

COLOURS = "viridis"
WIDE = 30.0
"""a scale that goes over more than this ratio is logarithmic"""
LEVELS = 14


def draw_surfaces(figure: SurfaceFigure) -> Figure:
    """Panels side by side: cells as colours, lines of equal loss, a cross at the weights,
    a ring at the least loss.

    Cells without a finite loss are grey and crossed out.

    Raises
    ------
    DataError: a panel is not of as many rows and columns as there are places; places do not rise.
    """
    x, y = floats(figure.x), floats(figure.y)
    if min(len(x), len(y)) < 2 or (np.diff(x) <= 0).any() or (np.diff(y) <= 0).any():
        raise DataError(f"{figure.name}: the places along an axis must rise, and be two at least")
    tables = [_table(figure, panel, len(y), len(x)) for panel in figure.panels]
    finite = np.concatenate([table[np.isfinite(table)] for table in tables] or [np.zeros(0)])
    count = max(1, len(tables))
    drawing = Figure(figsize=(2.75 * count + 0.9, 3.25), layout="constrained")
    grid = drawing.subplots(1, count, squeeze=False, sharex=True, sharey=True)[0]
    scale, levels = _scale(finite)
    for axes, panel, table in zip(grid, figure.panels, tables, strict=False):
        axes.set_facecolor("#dddddd")
        seen = np.ma.masked_invalid(table)
        axes.pcolormesh(x, y, seen, cmap=COLOURS, norm=scale, rasterized=True)
        if seen.count() and np.ptp(seen) > 0:
            axes.contour(x, y, seen, levels=levels, colors="white", linewidths=0.6, alpha=0.7)
        holes = np.argwhere(~np.isfinite(table))
        axes.scatter(x[holes[:, 1]], y[holes[:, 0]], marker="x", c="#b00020", s=14, linewidths=0.9)
        axes.plot(0, 0, marker="+", color="white", markersize=9, markeredgewidth=1.6)
        if np.isfinite(table).any():
            row, column = np.unravel_index(np.nanargmin(table), table.shape)
            axes.plot(
                x[column], y[row], marker="o", markerfacecolor="none", color="#ff5fa2", markersize=8, mew=1.4
            )
        axes.set_title(str(panel["label"]))
        axes.set_aspect("equal" if np.isclose(np.ptp(x), np.ptp(y)) else "auto")
        axes.grid(visible=False)
        axes.set_xlabel(figure.x_label)
    grid[0].set_ylabel(figure.y_label)
    bar = drawing.colorbar(ScalarMappable(scale, colormaps[COLOURS]), ax=list(grid), shrink=0.85)
    bar.set_label(figure.value_label, color=INK)
    return drawing


def _table(figure: SurfaceFigure, panel: dict[str, object], rows: int, columns: int) -> NDArray[np.float64]:
    lines = [floats(line) for line in panel["values"]]  # type: ignore[attr-defined]
    if len(lines) != rows or any(len(line) != columns for line in lines):
        raise DataError(f"{figure.name}: panel {panel['label']!r} is not of {rows} x {columns} numbers")
    return np.stack(lines)


def _scale(values: NDArray[np.float64]) -> tuple[Normalize, NDArray[np.float64]]:
    """Colours and lines of equal loss for all panels: logarithmic where the loss goes over decades."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    high = high if high > low else low + 1.0
    if low > 0 and high / low > WIDE:
        levels = LogLocator(base=10, subs=(1.0, 2.0, 5.0)).tick_values(low, high)
        return LogNorm(low, high), np.asarray(levels, dtype=np.float64)
    return Normalize(low, high), np.asarray(MaxNLocator(LEVELS).tick_values(low, high), dtype=np.float64)
