"""What a campaign costs: an empty task through the store and Dask, and the listing of a large store.

python benchmarks/run.py
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vitrine.campaign.campaign import Campaign
from vitrine.campaign.store import MARKER, MARKER_FORMAT
from vitrine.tasks import Task

RUNS = 3
TASKS = 500
WORKERS = 2
ENTRIES = 100_000


def nothing(folder: Path, inputs: Any, progress: Any) -> None:
    """An empty task."""


def identity(number: int) -> int:
    """The same for Dask alone."""
    return number


def overhead_rows() -> list[str]:
    """Wall seconds of empty tasks: through a campaign (lock, folder, marker, rename), and Dask's alone."""
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as root, Campaign(Path(root), workers=WORKERS) as campaign:
        assert campaign._cluster is not None
        client = campaign._cluster.client
        for run in range(RUNS + 1):  # one to warm up
            tasks = [Task(f"t{i}", "empty", {"run": run, "number": i}, nothing) for i in range(TASKS)]
            ours.append(wall_seconds(lambda tasks=tasks: campaign.compute(tasks)))
            peer.append(wall_seconds(lambda: client.gather(client.map(identity, range(TASKS), pure=False))))
    name = f"`client.map` of distributed {version('distributed')}"
    return [
        _row(f"{TASKS} empty tasks, {WORKERS} workers, wall s", f"{TASKS:,} tasks", ours[1:], peer[1:], name)
    ]


def listing_rows() -> list[str]:
    """CPU seconds of ``vitrine store size``, a whole process, without and with the store's own list."""
    with tempfile.TemporaryDirectory() as root:
        make_entries(Path(root), ENTRIES)
        command = [sys.executable, "-m", "vitrine.cli.main", "store", "size", "--store", root]
        first = child_seconds(command)
        later = [child_seconds(command) for _ in range(RUNS)]
    name = "the same, reading every marker"
    return [_row("`vitrine store size`", f"{ENTRIES:,} entries", later, [first], name)]


def rows() -> list[str]:
    """All lines of this file."""
    return [*overhead_rows(), *listing_rows()]


def make_entries(root: Path, number: int) -> None:
    """Entries as fits leave them, each with one small file; the store's list of them is not written."""
    content = b"x"
    files = {"scores.npz": [len(content), hashlib.sha256(content).hexdigest()]}
    recipe = {"model": {"part": "Ridge", "settings": {"alpha": 1.0}}, "train": list(range(100))}
    for i in range(number):
        key = hashlib.sha256(str(i).encode()).hexdigest()
        folder = root / "entries" / key[:2] / key
        folder.mkdir(parents=True)
        (folder / "scores.npz").write_bytes(content)
        meta = {"format": MARKER_FORMAT, "key": key, "kind": "fit", "label": f"grouped/ridge/{i}"}
        meta |= {"recipe": recipe, "seconds": 1.0, "files": files}
        (folder / MARKER).write_text(json.dumps(meta, indent=1), encoding="utf-8")


def wall_seconds(work: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def child_seconds(command: list[str]) -> float:
    """CPU seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _row(what: str, size: str, ours: list[float], peer: list[float], name: str) -> str:
    shown = [", ".join(f"{value:.2f}" for value in values) for values in (ours, peer)]
    return f"| {what} | {size} | {shown[0]} | {shown[1]} | {name} | {min(peer) / min(ours):.2f} |"
