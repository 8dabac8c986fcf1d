"""The examples run from beginning to end, and draw what the pages show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def _run(name: str, folder: Path, store: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env={**os.environ, "VITRINE_STORE": str(store), "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_first_study(tmp_path: Path, shared_store: Path) -> None:
    said = _run("first_study.py", tmp_path, shared_store).splitlines()
    out = tmp_path / "runs" / "first-study"
    assert said[0].startswith("table elemental-fractions")
    names = [line.split()[0] for line in said[1:6]]
    assert names == ["mean", "ridge", "random_forest", "mlp", "shuffled_labels"]
    predicted = [line.split() for line in said if line.startswith(("0 ", "1 ", "2 "))]
    assert [row[1] for row in predicted] == ["Cu3Au", "NiAl", "Pd0.25Ag0.75"]
    assert all(abs(float(row[2])) < 1 for row in predicted)
    chance, _, composition = said[-1].partition(" ")
    assert 0.5 < float(chance) <= 1 and composition == "Cu320Zr180"
    picture = matplotlib.image.imread(out / "first-study.png")
    assert picture.shape[0] > 400 and picture.shape[1] > 900 and np.std(picture) > 0.05
    for run in ("alloys", "mine", "glass"):
        assert (out / run / "report.html").stat().st_size > 10_000
    mine = pd.read_parquet(out / "mine" / "predictions" / "grouped.parquet")
    assert 10 <= len(mine) <= 14, "a fifth of 60 rows"
    splits = pd.read_csv(out / "mine" / "models" / "ridge" / "splits.csv")
    assert len(splits) == 60 and splits["group"].nunique() < 60, "Al1Cu and Cu1Al are one composition"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_are_short_notebooks(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 100
    assert lines[0] == "# %% [markdown]" and lines[1].startswith("# # ")
    cells = [number for number, line in enumerate(lines) if line.startswith("# %%")]
    assert len(cells) > 10
    for number in cells:
        if lines[number] == "# %% [markdown]":
            assert lines[number + 1].startswith("# "), f"line {number + 2}"
    assert path.name in {"first_study.py"}, "give it a test of its own"
