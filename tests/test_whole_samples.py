"""Examples whose row is a whole sample: nodes of their own, images; and figures of grids and bonds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitrine.errors import DataError
from vitrine.report.matrix import draw_matrix
from vitrine.report.slices import draw_slices
from vitrine.report.svg import text_of
from vitrine.samples import Examples
from vitrine.study.result import MatrixFigure, Result, SliceFigure
from vitrine.study.stored_result import result_from
from vitrine.testing import image_examples, whole_graph_examples


def test_chosen_graphs_keep_their_nodes_and_bonds() -> None:
    examples = whole_graph_examples(n_samples=6)
    chosen = examples.select([4, 1])
    assert chosen.whole and len(chosen) == 2
    assert chosen.nodes is not None and chosen.edges is not None and chosen.edge_vectors is not None
    for new, old in enumerate((4, 1)):
        for part, whole in ((chosen, examples), (examples, chosen)):
            assert part.node_starts is not None and whole.edge_starts is not None
        a, b = (e.node_starts for e in (chosen, examples))
        c, d = (e.edge_starts for e in (chosen, examples))
        assert a is not None and b is not None and c is not None and d is not None
        np.testing.assert_array_equal(chosen.nodes[a[new] : a[new + 1]], examples.nodes[b[old] : b[old + 1]])  # type: ignore[index]
        ours = chosen.edges[:, c[new] : c[new + 1]] - a[new]
        theirs = examples.edges[:, d[old] : d[old + 1]] - b[old]  # type: ignore[index]
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(
            chosen.edge_vectors[c[new] : c[new + 1]],
            examples.edge_vectors[d[old] : d[old + 1]],  # type: ignore[index]
        )


@pytest.mark.parametrize("make", [whole_graph_examples, image_examples])
def test_whole_samples_are_stored_and_told_apart(make: object, tmp_path: Path) -> None:
    examples: Examples = make()  # type: ignore[operator]
    examples.save(tmp_path)
    again = Examples.load(tmp_path)
    assert again.digest() == examples.digest()
    field = "nodes" if examples.nodes is not None else "images"
    changed = getattr(examples, field).copy()
    changed[0, 0] += 1
    assert replace(examples, **{field: changed}).digest() != examples.digest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"node_starts": np.array([0, 5])},
        {"node_starts": None},
        {"nodes": None},
        {"nodes": np.full((3, 2), np.nan, np.float32)},
        {"images": np.zeros((2, 4, 4), np.float32)},
        {"images": np.zeros((72, 4), np.uint8)},
    ],
)
def test_arrays_that_do_not_belong_together_are_no_examples(wrong: dict[str, object], tmp_path: Path) -> None:
    replace(whole_graph_examples(), **wrong).save(tmp_path)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="holds no examples"):
        Examples.load(tmp_path)


def test_rows_of_whole_graphs_have_no_edges_between_them() -> None:
    with pytest.raises(ValueError, match="between rows"):
        next(whole_graph_examples().graphs())


def _matrix(values: list[list[float]]) -> MatrixFigure:
    return MatrixFigure(
        "m", "M", "", "to", "from", ["a", "b"], ["c", "d"], [{"label": "p", "values": values}]
    )


def test_a_grid_shows_its_numbers_and_survives_the_way_to_a_file() -> None:
    drawing = draw_matrix(_matrix([[1.0, 0.25], [0.5, float("nan")]]))
    told = [text.get_text() for axes in drawing.axes for text in axes.texts]
    assert told == ["1.000", ".250", ".500", "–"]
    data = {
        "study": "s", "scale": "smoke", "version": "0", "title": "t", "question": "", "rows": [],
        "claims": [], "published": [],
        "figures": [
            {"name": "m", "title": "M", "caption": "", "x_label": "to", "y_label": "from", "columns": ["a"],
             "rows": ["c"], "panels": [{"label": "p", "values": [[None]]}], "kind": "matrix"}
        ],
    }  # fmt: skip
    result = result_from(data)
    assert isinstance(result, Result) and isinstance(result.figures[0], MatrixFigure)
    draw_matrix(result.figures[0])
    data["figures"][0]["panels"] = [{"label": "p", "values": ["x"]}]  # type: ignore[index]
    with pytest.raises(ValueError, match="panels"):
        result_from(data)


def test_a_grid_of_another_shape_is_told() -> None:
    with pytest.raises(DataError, match="not of 2 x 2 numbers"):
        draw_matrix(_matrix([[1.0, 0.5]]))


def test_bonds_are_drawn_by_their_weight() -> None:
    panel = {
        "label": "p", "x": [0.0, 1.0], "y": [0.0, 0.0], "values": [0.0, 1.0], "marked": [0.0, 0.0],
        "low": 0.0, "high": 1.0, "unit": "", "radii": [0.4, 0.3],
        "bonds": [[0, 0, 1, 0, 1.0], [0, 0, 0, 1, 0.0]],
    }  # fmt: skip
    figure = SliceFigure("s", "S", "", "x", "y", [panel], 0.3)
    drawing = draw_slices(figure)
    (lines,) = [c for c in drawing.axes[0].collections if type(c).__name__ == "LineCollection"]
    assert len(lines.get_segments()) == 1, "a bond without weight is not drawn"  # type: ignore[attr-defined]
    assert len(drawing.axes) == 1, "no colour bar without a unit"
    assert "<svg" in text_of(lambda: draw_slices(figure), "s")
