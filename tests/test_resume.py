"""Killed at any point, the same command finishes, reuses what was done and gives the same numbers."""

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

from conftest import ALLOY_MODELS, ALLOYS, SHEAR

KINDS = {"shear-transformation": SHEAR, "branched-composition": ALLOYS}


def _command(study: str, out: Path, store: Path, workers: int) -> list[str]:
    texts = [f"{key}={json.dumps(value)}" for key, value in KINDS[study].items()]
    sets = [part for text in texts for part in ("--set", text)]
    program = [sys.executable, "-m", "vitrine.cli.main", "run", study, "--scale", "smoke"]
    if study == "branched-composition":
        program += ["--models", ",".join(ALLOY_MODELS)]
    return [*program, *sets, "--out", str(out), "--store", str(store), "--workers", str(workers)]


def _metrics(folder: Path) -> dict[str, object]:
    return json.loads((folder / "metrics.json").read_text())


def _kill_when(command: list[str], store: Path, entries: int) -> int:
    """Start, wait for this many finished entries, SIGKILL the command; return how many there are."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = len(list((store / "entries").glob("*/*/entry.json")))
        if done >= entries:
            break
        assert process.poll() is None, "the command ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return len(list((store / "entries").glob("*/*/entry.json")))


@pytest.mark.parametrize(
    ("study", "workers", "entries"),
    [
        pytest.param("shear-transformation", 0, 3, marks=pytest.mark.slow),
        pytest.param("shear-transformation", 2, 14, marks=pytest.mark.slow),
        ("branched-composition", 0, 20),
    ],
)
def test_killed_run_resumes_and_gives_the_same_metrics(
    study: str, workers: int, entries: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store, out = tmp_path / "store", tmp_path / "run"
    command = _command(study, out, store, workers)
    done = _kill_when(command, store, entries)
    assert done >= entries
    assert not (out / "metrics.json").exists()
    second = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert second.returncode == 0, second.stderr
    said = re.search(r"store: reused ([^;\n]*)", second.stdout)
    assert said is not None, second.stdout
    reused = sum(int(number) for number in re.findall(r"(\d+) ", said.group(1)))
    assert reused >= done - 1, "what was finished is not made again"
    unbroken = request.getfixturevalue("shear_run" if study == "shear-transformation" else "alloy_run")
    assert _metrics(out) == _metrics(unbroken)


def test_damaged_entries_are_made_again_and_said(alloy_run: Path, shared_store: Path, tmp_path: Path) -> None:
    import shutil

    import vitrine
    from vitrine.campaign.store import Store
    from vitrine.study.spec import load_study

    store = tmp_path / "store"
    shutil.copytree(shared_store, store)
    # folds that no other run in this store has
    fits = [
        entry for entry in Store(store).entries() if entry.label in ("grouped/ridge/3", "grouped/ridge/4")
    ]
    assert len(fits) == 2
    for entry in fits[:2]:
        path = entry.folder / "scores.npz"
        path.write_bytes(path.read_bytes()[:-7])
    overrides = [f"{key}={json.dumps(value)}" for key, value in ALLOYS.items()]
    study = load_study("branched-composition", "smoke", overrides, models=ALLOY_MODELS)
    vitrine.run(study, tmp_path / "run", store=store)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "made 2 fit" in log.splitlines()[-1]
    assert _metrics(tmp_path / "run") == _metrics(alloy_run)
