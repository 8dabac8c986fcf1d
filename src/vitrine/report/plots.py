"""Curves and scatter panels, drawn with matplotlib's object interface."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext

from vitrine.errors import DataError
from vitrine.report.svg import DENSE, GREY, INK, PALETTE, floats
from vitrine.study.result import Curve, CurveFigure, ScatterFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHED = (0, (4, 3))
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1, 1.5)))
LABEL_GAP = 0.062
"""Least distance of two labels at the ends of curves, in heights of the axes."""
LABEL_SHIFT = 0.05
"""A label may move this far from the end of its curve; beyond, a legend says more."""


class _Plain(LogFormatterMathtext):
    """Ticks of a log axis in figures (0.05, 200) unless the axis reaches far from 1."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        label = str(super().__call__(x, pos))
        axis: Any = self.axis
        low, high = sorted(axis.get_view_interval())
        return f"{x:g}" if label and low >= 5e-4 and high <= 5e5 else label


def draw_curves(figure: CurveFigure) -> Figure:
    """Lines with bands over a common x; labels stand at the lines' ends where they fit there.

    Raises
    ------
    DataError: lengths within a curve differ, or one of points with names is not one point.
    """
    drawing = Figure(figsize=(5.3, 4.0), layout="constrained")
    axes = drawing.subplots()
    colours = _colours(figure.curves)
    for curve, (colour, dashes) in zip(figure.curves, colours, strict=True):
        _draw_curve(axes, figure.name, curve, colour, dashes)
    _scale(axes, figure)
    axes.set_xlabel(_wrapped(figure.x_label, 60))
    axes.set_ylabel(_wrapped(figure.y_label, 45))
    if figure.named:
        _name_points(drawing, axes, figure, colours)
        return drawing
    heights = _label_heights(axes, figure.curves)
    if heights is not None:
        for curve, (colour, _), height in zip(figure.curves, colours, heights, strict=True):
            axes.text(
                1.02,
                height,
                _wrapped(curve.label, 22),
                color=_darker(colour),
                fontsize=8.5,
                va="center",
                transform=axes.transAxes,
            )
    elif figure.curves:
        columns = 2 if max(len(curve.label) for curve in figure.curves) <= 30 else 1
        rows = -(-len(figure.curves) // columns)
        length = 2.6 if len(figure.curves) <= len(PALETTE) else 4.5  # longer to show dashes
        drawing.set_figheight(4.0 + 0.19 * max(0, rows - 2))
        drawing.legend(loc="outside lower left", ncols=columns, labelcolor=INK, handlelength=length)
    return drawing


def draw_scatter(figure: ScatterFigure) -> Figure:
    """Panels side by side on common axes, at most three in a row.

    Raises
    ------
    DataError: a panel's x and y differ in length.
    """
    count = max(1, len(figure.panels))
    columns = 2 if count == 4 else min(3, count)
    if not figure.identity and count > 4 and count % 4 == 0:
        columns = 4
    rows = -(-count // columns)
    side = {1: 4.2, 2: 3.6, 3: 3.1, 4: 2.5}[columns]
    drawing = Figure(figsize=(side * columns + 0.5, (side + 0.15) * rows + 0.35), layout="constrained")
    grid = drawing.subplots(rows, columns, sharex=figure.identity, sharey=figure.identity, squeeze=False)
    for axes, panel in zip(grid.flat, figure.panels, strict=False):
        x, y = floats(panel["x"]), floats(panel["y"])
        if len(x) != len(y):
            raise _lengths(figure.name, f"panel {panel['label']!r}", x=len(x), y=len(y))
        dense = len(x) > DENSE
        classes = np.asarray(panel.get("classes") or np.zeros(len(x)), int)
        for number, words in enumerate(figure.class_names or [""]):
            own = classes == number
            axes.scatter(
                x[own],
                y[own],
                s=6 if dense else 14,
                c=PALETTE[number % len(PALETTE)],
                alpha=0.25 if dense else 0.55,
                linewidths=0,
                rasterized=dense,
                zorder=2,
                label=words,
            )
        axes.set_title(_wrapped(str(panel["label"]), 38))
    for place in range(len(figure.panels), rows * columns):
        grid.flat[place].remove()
        # Nothing below any more: that column's ticks are told one row higher.
        grid.flat[place - columns].tick_params(labelbottom=True)
    if figure.identity:
        _identity(list(grid.flat)[: len(figure.panels)])
    drawing.supxlabel(figure.x_label, fontsize=9, color=INK)
    drawing.supylabel(figure.y_label, fontsize=9, color=INK)
    if figure.class_names:
        handles, names = grid.flat[0].get_legend_handles_labels()
        drawing.legend(handles, names, loc="outside upper center", ncols=len(names), labelcolor=INK)
    return drawing


def _draw_curve(axes: Axes, name: str, curve: Curve, colour: str, dashes: Any) -> None:
    x, y = floats(curve.x), floats(curve.y)
    if len(x) != len(y):
        raise _lengths(name, f"curve {curve.label!r}", x=len(x), y=len(y))
    width = 1.2 if curve.reference else 1.8
    few = len(x) <= 12 and not curve.reference
    axes.plot(
        x,
        y,
        color=colour,
        linestyle=dashes,
        linewidth=width,
        label=_wrapped(curve.label, 44),
        marker="o" if few else None,
        markersize=4,
        zorder=1.9 if curve.reference else 2.2,
    )
    if curve.low is None or curve.high is None:
        return
    low, high = floats(curve.low), floats(curve.high)
    if not len(low) == len(high) == len(x):
        raise _lengths(name, f"curve {curve.label!r}", x=len(x), low=len(low), high=len(high))
    axes.fill_between(
        x, low, high, color=colour, alpha=0.17, linewidth=0, zorder=1.5, rasterized=len(x) > DENSE
    )


def _scale(axes: Axes, figure: CurveFigure) -> None:
    for axis, log, bounds, scale, limit in (
        (axes.xaxis, figure.x_log, figure.x_range, axes.set_xscale, axes.set_xlim),
        (axes.yaxis, figure.y_log, figure.y_range, axes.set_yscale, axes.set_ylim),
    ):
        if log:
            scale("log")
            axis.set_major_formatter(_Plain())
            axis.set_minor_formatter(_Plain())
        if bounds is not None:
            low, high = bounds
            # A log axis has no zero: leave that end to the data.
            limit(None if log and low <= 0 else low, high)
    square = figure.x_range is not None and tuple(figure.x_range) == tuple(figure.y_range or ())
    if square and not (figure.x_log or figure.y_log):
        axes.set_aspect("equal")


def _colours(curves: list[Curve]) -> list[tuple[str, Any]]:
    """Colour and dashes of each curve: after the last colour the dashes change."""
    own = ((PALETTE[i % len(PALETTE)], DASHES[i // len(PALETTE) % len(DASHES)]) for i in range(len(curves)))
    return [(GREY, DASHED) if curve.reference else next(own) for curve in curves]


def _darker(colour: str) -> tuple[float, ...]:
    """The colour of a line for letters, which are thinner."""
    return tuple(0.72 * part for part in to_rgb(colour))


def _label_heights(axes: Axes, curves: list[Curve]) -> list[float] | None:
    """Where labels at the right ends go, in axes heights; None where they would not fit."""
    if not 1 <= len(curves) <= 6:
        return None
    axes.autoscale_view()  # limits are set late otherwise, and the ends would lie elsewhere
    ends = []
    for curve in curves:
        x, y = floats(curve.x), floats(curve.y)
        finite = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if not finite.size:
            return None
        last = finite[np.argmax(x[finite])]
        across, up = axes.transAxes.inverted().transform(axes.transData.transform((x[last], y[last])))
        if not (across >= 0.93 and -0.02 <= up <= 1.02):
            return None
        ends.append(float(up))
    order = np.argsort(ends, kind="stable")
    wanted = np.array(ends)[order]
    # Spread upwards from the lowest, then take back the mean shift of all.
    placed = wanted.copy()
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + LABEL_GAP)
    placed -= np.mean(placed - wanted)
    if np.max(np.abs(placed - wanted)) > LABEL_SHIFT:
        return None
    heights = np.empty_like(placed)
    heights[order] = placed
    return [float(height) for height in heights]


def _name_points(drawing: Figure, axes: Axes, figure: CurveFigure, colours: list[tuple[str, Any]]) -> None:
    """The name of each curve, which is one point, in a column at the right, with a line to the point."""
    curves = figure.curves
    for curve in curves:
        if len(curve.x) != 1:
            raise DataError(
                f"figure {figure.name!r}, curve {curve.label!r}: a point with a name beside it is expected, "
                f"and there are {len(curve.x)}"
            )
    axes.autoscale_view()
    drawing.set_figwidth(6.6)
    to_axes = axes.transAxes.inverted()
    ends = [to_axes.transform(axes.transData.transform((curve.x[0], curve.y[0])))[1] for curve in curves]
    order = np.argsort(ends, kind="stable")
    gap = min(LABEL_GAP, 1.0 / max(len(curves), 1))
    placed = np.array(ends)[order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed -= max(0.0, placed[-1] - 1.0) if len(placed) else 0.0
    for i in range(len(placed) - 2, -1, -1):  # those pushed up above the rim go down, and others with them
        placed[i] = min(placed[i], placed[i + 1] - gap)
    for height, number in zip(placed, order, strict=True):
        curve, colour = curves[number], _darker(colours[number][0])
        axes.annotate(
            _wrapped(curve.label.replace("_", " "), 30),
            xy=(curve.x[0], curve.y[0]),
            xytext=(1.06, float(height)),
            textcoords="axes fraction",
            color=colour,
            fontsize=8.0,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.5,
                "alpha": 0.5,
                "shrinkB": 3,
                "relpos": (0.0, 0.5),
            },
        )


def _identity(panels: list[Axes]) -> None:
    """The line y = x over a range that is common to both axes and all panels."""
    if not panels:
        return
    limits = [*panels[0].get_xlim(), *panels[0].get_ylim()]
    low, high = min(limits), max(limits)
    for axes in panels:
        axes.plot([low, high], [low, high], color=GREY, linestyle=DASHED, linewidth=1.0, zorder=1.9)
        axes.set_aspect("equal")
    panels[0].set_xlim(low, high)
    panels[0].set_ylim(low, high)


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width) if len(text) > width else text


def _lengths(figure: str, what: str, **lengths: int) -> DataError:
    told = ", ".join(f"{key} has {value}" for key, value in lengths.items())
    return DataError(f"figure {figure!r}, {what}: {told} numbers; they must be equally many")
