"""The pictures of docs/dislocations.md: maps of every width side by side, flow stress against width.

python benchmarks/dislocation_pictures.py maps w0.0625.h5 w0.125.h5 ...   (of `vitrine simulate dislocations`)
python benchmarks/dislocation_pictures.py calibration
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dislocation_calibration import PUBLISHED, RESULTS, exponent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vitrine.simulate.dislocations.files import read_trajectories
from vitrine.simulate.dislocations.pictures import excess_bar, show_excess

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
PRIOR, RELOAD = 1.0, 1.0
COLOURS = {"default": "#c0392b", "obstacles at random": "#2463a6", "no obstacles": "#7f8c8d"}


def new_figure(width: float, height: float) -> Figure:
    """An empty one."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    return figure


def maps(files: Sequence[Path]) -> None:
    """Axial strain of the reload to 1 % after 1 %, one map for each file."""
    found = []
    for path in files:
        (trajectory,) = read_trajectories(path).values()
        found += [each for each in trajectory if (each.info["prior"], each.info["reload"]) == (PRIOR, RELOAD)]
    found.sort(key=lambda each: each.info["width"])
    figure = new_figure(1.35 * len(found) + 1, 4.6)
    axes = figure.subplots(1, len(found))
    for axis, each in zip(axes, found, strict=True):
        show_excess(axis, each)
        axis.set_title(f"{1000 * each.info['width']:g} nm\n{each.info['slip']} slip", fontsize=8)
        axis.set(xticks=[], yticks=[])
    excess_bar(figure, list(axes))
    figure.savefig(PICTURES / "dislocations-widths.png")


def calibration() -> None:
    """Flow stress and noise against width, of three placements of obstacles."""
    with RESULTS.open() as file:
        rows = [
            {**row, **{key: float(row[key]) for key in ("width", "flow", "offset", "noise")}}
            for row in csv.DictReader(file)
        ]
    figure = new_figure(9.5, 3.8)
    left, right = figure.subplots(1, 2)
    for name, colour in COLOURS.items():
        for slip, marker, style in (("one", "o", "-"), ("two", "s", "--")):
            mine = [row for row in rows if row["choice"] == name and row["slip"] == slip]
            widths = sorted({row["width"] for row in mine})
            for axis, key in ((left, "flow"), (right, "noise")):
                values = [np.array([r[key] for r in mine if r["width"] == w]) for w in widths]
                values = [each[np.isfinite(each)] for each in values]
                error = [each.std(ddof=1) / len(each) ** 0.5 for each in values]
                best, low, high = exponent(mine, key)
                label = f"{name}, {slip}: {best:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")
                mean = [each.mean() for each in values]
                at = [1000 * w for w in widths]
                axis.errorbar(at, mean, error, color=colour, marker=marker, ms=4, ls=style, lw=1, label=label)
    widths = np.array([62.5, 1000.0])
    left.plot(
        widths, 320 * (widths / 62.5) ** PUBLISHED, color="black", lw=0.8, ls=":", label="published: −0.55"
    )
    for axis, name in ((left, "flow stress, 0.2 to 1 % [MPa]"), (right, "noise of the stress over its mean")):
        axis.set(xscale="log", yscale="log", xlabel="width [nm]", ylabel=name)
        axis.legend(fontsize=6, frameon=False, title="exponent [95 %]", title_fontsize=6)
        axis.spines[["top", "right"]].set_visible(False)
    left.set_ylim(50, 1500)  # room for the legend
    right.set_ylim(0.015, 1)
    figure.savefig(PICTURES / "dislocations-size-effect.png")


if __name__ == "__main__":
    if sys.argv[1] == "maps":
        maps([Path(name) for name in sys.argv[2:]])
    else:
        calibration()
