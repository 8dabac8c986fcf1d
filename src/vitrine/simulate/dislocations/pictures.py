"""The figure and the animation of a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.errors import DataError
from vitrine.samples import Float
from vitrine.simulate.dislocations.files import legs_of, read_crystal, read_curve, read_frames, read_maps
from vitrine.strain_maps import StrainMap

COLOURS = {"load": "#333333", "unload": "#888888", "reload": "#c0392b"}
SIGNS = {1: ("#c0392b", "+b"), -1: ("#2463a6", "−b")}
MOST_MAPS = 8
MOST_FRAMES = 150
QUIET, LOUD = 0.03, 30.0
"""excess strains, in units of the reload strain, below which colours are linear, and at which they end"""


def draw(group: Any, name: str, path: Path) -> None:
    """A figure of an open trajectory: stress against strain, dislocations at the end, and its maps.

    Raises
    ------
    DataError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    maps = read_maps(group, name)[:MOST_MAPS]
    figure = Figure(figsize=(5.0 + 1.25 * (len(maps) + 1), 5.2), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(maps) + 2, width_ratios=[3.4] + [1] * (len(maps) + 1))
    _curves(axes[0], group)
    last = legs_of(group)[-1]
    frames = read_frames(group, last)
    _crystal(axes[1], group)
    _dislocations(axes[1], frames, len(frames["strain"]) - 1)
    axes[1].set_title(f"after {_said(last)}", fontsize=7)
    _show(axes[2:], maps)
    axes[1].set_xticks([])
    axes[1].set_yticks([])
    if maps:
        excess_bar(figure, list(axes[2:]))
    figure.suptitle(_title(maps[0].info, name) if maps else name, fontsize=9)
    _save(figure, path)


def draw_maps(maps: Sequence[StrainMap], name: str, path: Path) -> None:
    """A figure of the maps of one trajectory, and of the curves of their reloads.

    Raises
    ------
    DataError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = list(maps)[:MOST_MAPS]
    figure = Figure(figsize=(4.0 + 1.25 * len(shown), 5.2), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    first, *axes = figure.subplots(1, len(shown) + 1, width_ratios=[3.0] + [1] * len(shown))
    curves = {each.info["prior"]: each.curve for each in shown}
    for prior, curve in curves.items():
        if curve is not None:
            first.plot(100 * curve[:, 0], curve[:, 1], lw=1, label=f"after {prior:g} %")
    first.set_xlabel("strain since the unloading [%]", fontsize=8)
    first.set_ylabel("axial stress [MPa]", fontsize=8)
    first.tick_params(labelsize=7)
    first.legend(fontsize=7, frameon=False)
    first.spines[["top", "right"]].set_visible(False)
    _show(axes, shown)
    excess_bar(figure, axes)
    figure.suptitle(_title(shown[0].info, name), fontsize=9)
    _save(figure, path)


def _show(axes: Sequence[Any], maps: Sequence[StrainMap]) -> None:
    for axis, each in zip(axes, maps, strict=True):
        show_excess(axis, each)
        axis.set_title(f"prior {each.info['prior']:g} %\nreload {each.info['reload']:g} %", fontsize=7)
        axis.set_xticks([])
        axis.set_yticks([])


def _title(info: dict[str, Any], name: str) -> str:
    plural = "s" if info["slip"] == "two" else ""
    return f"{name}: {1000 * float(info['width']):g} nm wide, {info['slip']} slip system{plural}"


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def show_excess(axis: Any, strain_map: StrainMap) -> None:
    """Draw axial strain over reload strain, minus 1; slip traces are a thousand times the quiet ground."""
    from matplotlib.colors import SymLogNorm

    axial = strain_map.axial
    extent = (0.0, strain_map.pitch * axial.shape[1], 0.0, strain_map.pitch * axial.shape[0])
    axis.imshow(
        100 * axial / strain_map.info["reload"] - 1, origin="lower", extent=extent, cmap="RdBu_r",
        norm=SymLogNorm(QUIET, vmin=-LOUD, vmax=LOUD), interpolation="nearest",
    )  # fmt: skip


def excess_bar(figure: Any, axes: list[Any]) -> None:
    """The colours of maps that :func:`show_excess` drew."""
    bar = figure.colorbar(axes[0].images[0], ax=axes, shrink=0.6, extend="both")
    bar.set_ticks([-10, -1, -0.1, 0, 0.1, 1, 10], labels=["−10", "−1", "−0.1", "0", "0.1", "1", "10"])
    bar.set_label("axial strain over reload strain, minus 1", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _said(leg: str) -> str:
    kind, at, *to = leg.split("-", 2)
    return (
        f"{kind} to {at} %"
        if kind == "load"
        else f"{kind} {to[0]} %\nfrom {at} %"
        if to
        else f"unload {at} %"
    )


def _curves(axis: Any, group: Any) -> list[tuple[str, Float]]:
    """Stress against strain of all legs; returns what was drawn."""
    found, drawn = [], set()
    for leg in legs_of(group):
        curve, kind = read_curve(group, leg), leg.split("-")[0]
        axis.plot(
            100 * curve[:, 0], curve[:, 1], color=COLOURS[kind], lw=0.8, label=None if kind in drawn else kind
        )
        drawn.add(kind)
        found.append((leg, curve))
    axis.set_xlabel("strain [%]", fontsize=8)
    axis.set_ylabel("axial stress [MPa]", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.axhline(0, color="0.8", lw=0.6, zorder=0)
    axis.legend(fontsize=7, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return found


def _crystal(axis: Any, group: Any) -> None:
    """Outline, and the planes that have a source."""
    crystal = read_crystal(group)
    width, height = 1000 * float(group.attrs["width"]), float(group.attrs["height"])
    for plane in np.unique(crystal["source_plane"].astype(int)):
        x, y = crystal["plane_x"][plane], crystal["plane_y"][plane]
        length = crystal["plane_length"][plane]
        ends = [x, x + length * crystal["plane_cos"][plane]], [y, y + length * crystal["plane_sin"][plane]]
        axis.plot(*ends, color="0.85", lw=0.5, zorder=0)
    axis.plot([0, width, width, 0, 0], [0, 0, height, height, 0], color="0.4", lw=0.8)
    axis.set_aspect("equal")
    axis.set(xlim=(-0.04 * width, 1.04 * width), ylim=(-0.02 * height, 1.02 * height))


def _dislocations(axis: Any, frames: dict[str, Any], k: int) -> list[Any]:
    """Markers of one frame, a line for each sign."""
    here = slice(int(frames["first"][k]), int(frames["first"][k + 1]))
    lines = []
    for sign, (colour, label) in SIGNS.items():
        mine = frames["sign"][here] == sign
        lines += axis.plot(
            frames["x"][here][mine], frames["y"][here][mine], ls="none", marker="o",
            ms=max(1.0, 4.0 - 0.7 * np.log10(1 + mine.sum())), mew=0, color=colour, label=label,
        )  # fmt: skip
    return lines


def _chosen(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Leg and frame of those that are shown, in order, at most ``MOST_FRAMES``."""
    every = [(leg, k) for leg, length in enumerate(lengths) for k in range(length)]
    if len(every) <= MOST_FRAMES:
        return every
    return [every[round(i)] for i in np.linspace(0, len(every) - 1, MOST_FRAMES)]


def animate(group: Any, name: str, path: Path) -> None:
    """Write an animated GIF: the dislocations, and where the crystal is on its curve.

    Raises
    ------
    DataError: the file cannot be written.
    """
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.0), layout="constrained", dpi=90)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[1, 2.6])
    _crystal(left, group)
    left.set_xticks([])
    left.set_yticks([])
    legs = [leg for leg, _ in _curves(right, group)]
    frames = [read_frames(group, leg) for leg in legs]
    (point,) = right.plot([], [], "o", color="#c0392b", ms=6)
    lines = _dislocations(left, frames[0], 0)

    def update(which: tuple[int, int]) -> list[Any]:
        leg, k = which
        here = slice(int(frames[leg]["first"][k]), int(frames[leg]["first"][k + 1]))
        for line, sign in zip(lines, SIGNS, strict=True):
            mine = frames[leg]["sign"][here] == sign
            line.set_data(frames[leg]["x"][here][mine], frames[leg]["y"][here][mine])
        point.set_data([100 * frames[leg]["strain"][k]], [frames[leg]["stress"][k]])
        count = here.stop - here.start
        figure.suptitle(f"{name}, {_said(legs[leg])}: {count} dislocations".replace("\n", " "), fontsize=9)
        return [*lines, point]

    chosen = _chosen([len(each["strain"]) for each in frames])
    film = FuncAnimation(figure, update, frames=chosen, blit=False)
    try:
        film.save(path, writer=PillowWriter(fps=12))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
