"""Surfaces of a loss as figures: one scale for all panels, holes crossed out, damaged data named."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from vitrine.errors import DataError
from vitrine.report.surfaces import draw_surfaces
from vitrine.study.result import Result, SurfaceFigure
from vitrine.study.stored_result import result_from

STEPS = np.linspace(-1, 1, 5)


def figure(*tables: np.ndarray, **changes: object) -> SurfaceFigure:
    settings = {
        "name": "s", "title": "t", "caption": "c", "x_label": "along a", "y_label": "along b",
        "value_label": "MAE [eV]", "x": STEPS.tolist(), "y": STEPS.tolist(),
        "panels": [{"label": f"set {n}", "values": t.tolist()} for n, t in enumerate(tables)],
    }  # fmt: skip
    return SurfaceFigure(**(settings | changes))  # type: ignore[arg-type]


def bowl(offset: float = 0.0, floor: float = 0.1) -> np.ndarray:
    return floor + (STEPS[None] - offset) ** 2 + STEPS[:, None] ** 2


def test_panels_share_axes_and_scale() -> None:
    drawing = draw_surfaces(figure(bowl(), bowl(0.5)))
    panels = [axes for axes in drawing.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["set 0", "set 1"]
    meshes = [axes.collections[0] for axes in panels]
    assert meshes[0].norm is meshes[1].norm
    ring = panels[1].lines[1]  # the least loss, at the cell nearest to 0.5
    assert ring.get_xdata()[0] == pytest.approx(0.5) and ring.get_ydata()[0] == pytest.approx(0.0)


def test_wide_ranges_are_logarithmic() -> None:
    from matplotlib.colors import LogNorm

    wide = draw_surfaces(figure(bowl(floor=1e-3)))
    assert isinstance(wide.axes[0].collections[0].norm, LogNorm)
    assert not isinstance(draw_surfaces(figure(bowl(floor=1.0))).axes[0].collections[0].norm, LogNorm)


def test_what_is_not_finite_is_crossed_out() -> None:
    table = bowl()
    table[0, 1] = np.nan
    axes = draw_surfaces(figure(table)).axes[0]
    crosses = axes.collections[-1].get_offsets()
    assert np.allclose(crosses, [[STEPS[1], STEPS[0]]])
    empty = draw_surfaces(figure(np.full((5, 5), np.nan)))
    assert len(empty.axes[0].collections[-1].get_offsets()) == 25


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": [0.0, 1.0]}, "'set 0' is not of 5 x 2 numbers"),
        ({"y": STEPS[::-1].tolist()}, "must rise"),
        ({"x": [0.0]}, "be two at least"),
    ],
)
def test_damaged_figures_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        draw_surfaces(figure(bowl(), **changes))


def test_a_surface_is_read_back_with_its_holes() -> None:
    table = bowl()
    table[2, 3] = np.nan
    result = Result("s", "smoke", "0", "t", "q", figures=[figure(table)])
    data = json.loads(json.dumps(asdict(result)).replace("NaN", "null"))
    (back,) = result_from(data).figures
    assert isinstance(back, SurfaceFigure)
    values = np.array(back.panels[0]["values"], dtype=float)
    assert np.isnan(values[2, 3]) and np.isfinite(values).sum() == 24
    assert len(draw_surfaces(back).axes[0].collections[-1].get_offsets()) == 1
