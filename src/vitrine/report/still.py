"""Atoms as a still picture: shown where a browser has no WebGL, printed, and kept as a file."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path

from vitrine.report.atoms import CELL_LINE, Atoms, Scene
from vitrine.report.svg import DENSE, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_atoms(atoms: Atoms) -> Figure:
    """The scenes side by side in parallel projection, each with its colour bar."""
    count = len(atoms.scenes)
    columns = 2 if count == 4 else min(3, count)
    rows = -(-count // columns)
    side = {1: 4.6, 2: 4.0, 3: 3.2}[columns]
    drawing = Figure(figsize=(side * columns, (side + 0.5) * rows + 0.3), layout="constrained")
    grid = drawing.subplots(rows, columns, squeeze=False)
    for axes, scene in zip(grid.flat, atoms.scenes, strict=False):
        _draw_scene(axes, atoms, scene, rasterized=count * len(atoms.positions) > DENSE)
        _draw_bar(drawing, axes, scene)
    for axes in list(grid.flat)[count:]:
        axes.remove()
    drawing.legend(handles=_legend(atoms), loc="outside lower center", ncols=min(6, len(atoms.symbols)))
    return drawing


def _draw_scene(axes: Axes, atoms: Atoms, scene: Scene, rasterized: bool) -> None:
    """Pale atoms behind, then the cell, then the others: a pale one never hides what matters."""
    seen = atoms.positions @ atoms.rotation.T
    edges = (atoms.edges @ atoms.rotation.T)[:, :, :2]
    radii = atoms.radii(scene)
    order = np.argsort(seen[:, 2], kind="stable")
    for chosen, outline, layer in ((scene.faint, "#00000033", 1.0), (~scene.faint, "#00000088", 2.0)):
        part = order[chosen[order]]
        spheres = EllipseCollection(
            2 * radii[part],
            2 * radii[part],
            np.zeros(len(part)),
            units="xy",
            offsets=seen[part, :2],
            transOffset=axes.transData,
            facecolors=[scene.colours[i] for i in part],
            edgecolors=outline,
            linewidths=0.35,
            rasterized=rasterized,
            zorder=layer,
        )
        spheres.set_paths([_circle()])
        axes.add_collection(spheres)
    axes.add_collection(LineCollection(list(edges), colors=CELL_LINE, linewidths=0.8, zorder=1.5))
    corners = np.concatenate([edges.reshape(-1, 2), seen[:, :2]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = max(0.02 * float((high - low).max()), atoms.spacing / 2)
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)
    # at the top of its place: else the layout takes room below the title for room above it
    axes.set_aspect("equal", anchor="N")
    axes.set_axis_off()
    axes.set_title(textwrap.fill(scene.label, 40), loc="center")


def _circle() -> Path:
    """A unit circle of four Bézier curves: half the text of matplotlib's eight, 0.03 % off."""
    k = 4 / 3 * (np.sqrt(2) - 1)
    quarter = np.array([[1, k], [k, 1], [0, 1]])
    turn = np.array([[0, 1], [-1, 0]])
    points = [[[1.0, 0.0]], *(quarter @ np.linalg.matrix_power(turn, i) for i in range(4))]
    return Path(np.concatenate(points), [Path.MOVETO, *[Path.CURVE4] * 12])


def _draw_bar(drawing: Figure, axes: Axes, scene: Scene) -> None:
    colours = ScalarMappable(
        Normalize(scene.low, scene.high), LinearSegmentedColormap.from_list("scene", list(scene.stops))
    )
    bar = drawing.colorbar(
        colours,
        ax=axes,
        orientation="horizontal",
        panchor=False,
        fraction=0.04,
        pad=0.02,
        shrink=0.6,
        aspect=28,
    )
    outline: Any = bar.outline
    outline.set_visible(False)
    bar.ax.grid(False)
    bar.ax.tick_params(length=2)
    if scene.mark is not None:
        bar.ax.axvline(float(scene.threshold or 0.0), color=INK, linewidth=1.2)
    threshold = "" if scene.threshold is None else f"   (line: threshold {scene.threshold:.3g})"
    if scene.unit or threshold:
        bar.set_label(f"{scene.unit}{threshold}".strip(), fontsize=8)


def _legend(atoms: Atoms) -> list[Line2D]:
    biggest = float(atoms.sizes.max())
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=8.5 * float(size) / biggest,
            markerfacecolor="#d5d9de",
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label=f"{symbol} ({count})",
        )
        for symbol, size, count in zip(atoms.symbols, atoms.sizes, atoms.counts, strict=True)
    ]
