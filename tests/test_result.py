"""The result on disk: what is written is read back, what is something else is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrine.errors import DataError
from vitrine.study.log import Log
from vitrine.study.result import (
    AtomsFigure,
    Claim,
    Curve,
    CurveFigure,
    PublishedTable,
    Result,
    Row,
    ScatterFigure,
)


def result() -> Result:
    """One of everything."""
    curve = Curve("gat", [0.0, 1.0], [0.0, 1.0], low=[0.0, 0.9])
    return Result(
        "glass", "smoke", "0.1.0", "Títle", "Why?",
        setup={"source": "made"},
        rows=[Row("grouped", "gat", "roc_auc", 0.7, 0.6, 0.8, 12, 24000, where={"width": 4})],
        claims=[Claim("AUC rises", "a paper", "0.71 -> 0.78", None)],
        published=[PublishedTable("Table 1", "a paper", ["roc_auc"], {"AUC": {"roc_auc": 0.85}})],
        figures=[
            CurveFigure("roc", "ROC", "c", "x", "y", [curve], x_range=(0.0, 1.0)),
            ScatterFigure("parity", "P", "c", "x", "y", [{"label": "a", "x": [1.0], "y": [2.0]}]),
            AtomsFigure("atoms", "A", "c", [[0.0, 0.0, 0.0]], ["Cu"], np.eye(3).tolist(), []),
        ],
        notes=["left out: one"], main_metrics=["roc_auc"], provenance={"seeds": {"model": 0}},
        citations=["10.1/2"],
    )  # fmt: skip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    result().write(tmp_path / "run")
    assert Result.read(tmp_path / "run") == result()
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics) == {"study", "scale", "version", "rows", "claims"}
    assert metrics["rows"][0] == {
        "track": "grouped", "model": "gat", "metric": "roc_auc", "value": 0.7, "low": 0.6, "high": 0.8,
        "groups": 12, "n": 24000, "unit": None, "seed": None, "published": None, "where": {"width": 4},
    }  # fmt: skip
    assert not list((tmp_path / "run").glob("*.part"))


def test_numbers_of_numpy_are_numbers_and_what_is_not_finite_is_null(tmp_path: Path) -> None:
    found = result()
    found.rows[0].value = float("nan")
    found.rows[0].where = {
        "width": np.int64(4),
        "share": np.float32(0.5),
        "edge": np.inf,
        "many": np.arange(2),
    }
    found.write(tmp_path)
    row = Result.read(tmp_path).rows[0]
    assert row.value is None
    assert row.where == {"width": 4, "share": 0.5, "edge": None, "many": [0, 1]}


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 5}, {"rows": [{"track": "a"}]}, {"rows": [{**vars(result().rows[0]), "value": "much"}]},
        {"claims": [[]]}, {"published": {}}, {"figures": [{"kind": "film"}]},
        {"figures": [{"kind": "curves"}]},
        {"figures": [5]}, {"figures": None}, {"surprise": 1},
    ],
)  # fmt: skip
def test_what_is_no_result_is_said(tmp_path: Path, change: dict[str, Any]) -> None:
    result().write(tmp_path)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match="not a result of this version"):
        Result.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(DataError, match="not a result of this version"):
        Result.read(tmp_path)


def test_the_log_keeps_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(None, tmp_path / "log.txt")
    log("[bold]10 samples[/bold]")
    log("done")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["[bold]10 samples[/bold]", "done"]
    assert capsys.readouterr().out == ""
