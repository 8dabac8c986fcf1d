"""A Dask cluster started by hand, and a batch system that runs its jobs on this machine."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

TESTS = Path(__file__).parent


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def where(folder: Path, inputs: Any, progress: Any, *, log: str) -> None:
    """A task that leaves its process id and the GPUs that it may use."""
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')}\n")
    time.sleep(0.1)
    (folder / "done").write_text("done")


class Hands:
    """Starts scheduler and workers as a user does in a shell, and ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: list[subprocess.Popen[Any]] = []
        self.address = ""

    def scheduler(self, port: int = 0) -> str:
        """Start ``dask scheduler``; its address."""
        file = self._folder / f"scheduler-{len(self.processes)}.json"
        self._start("dask_scheduler", f"--port={port}", f"--scheduler-file={file}")
        text = until(lambda: file.exists() and re.search(r"tcp://[\d.]+:\d+", file.read_text()))
        self.address = text.group(0)
        return self.address

    def worker(self, *options: str, **environment: str) -> subprocess.Popen[Any]:
        """Start ``dask worker`` with one thread."""
        return self._start(
            "dask_worker",
            self.address,
            "--nthreads=1",
            "--no-nanny",
            "--death-timeout=60",
            *options,
            **environment,
        )

    def _start(self, program: str, *options: str, **environment: str) -> subprocess.Popen[Any]:
        path = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), str(TESTS)]))
        log = (self._folder / f"{program}-{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"distributed.cli.{program}",
                "--host=127.0.0.1",
                "--no-dashboard",
                *options,
            ],
            env=os.environ | environment | {"PYTHONPATH": path},
            stdout=log,
            stderr=log,
            cwd=self._folder,
        )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def by_hand(folder: Path) -> Iterator[Hands]:
    """A place for a cluster."""
    hands = Hands(folder)
    try:
        yield hands
    finally:
        hands.close()


SBATCH = """#!/bin/bash
# answers as sbatch does, and runs the job on this machine
set -eu
test ! -e "$BATCH/refuse" || { cat "$BATCH/refuse" >&2; exit 1; }
number=$(($(ls "$BATCH"/*.sh 2>/dev/null | wc -l) + 1))
cp "$1" "$BATCH/$number.sh"
setsid bash "$BATCH/$number.sh" >"$BATCH/$number.out" 2>&1 </dev/null &
echo $! >"$BATCH/$number.pid"
echo "Submitted batch job $number"
"""
SCANCEL = """#!/bin/bash
echo "$1" >>"$BATCH/cancelled"
kill -KILL -- "-$(cat "$BATCH/$1.pid")" 2>/dev/null || true
"""


class BatchSystem:
    """sbatch and scancel on the PATH of this process: a job is a process group on this machine."""

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        self.folder = folder / "batch"
        programs = folder / "programs"
        for path in (self.folder, programs):
            path.mkdir()
        for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
            (programs / name).write_text(text)
            (programs / name).chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("BATCH", str(self.folder))

    @property
    def jobs(self) -> list[int]:
        """Numbers of the jobs so far."""
        return sorted(int(path.stem) for path in self.folder.glob("*.pid"))

    def script(self, number: int) -> str:
        """What was submitted."""
        return (self.folder / f"{number}.sh").read_text()

    def processes(self, number: int) -> list[psutil.Process]:
        """What runs of a job."""
        try:
            first = psutil.Process(int((self.folder / f"{number}.pid").read_text()))
            return [first, *first.children(recursive=True)]
        except (psutil.NoSuchProcess, ValueError):
            return []

    @property
    def cancelled(self) -> list[int]:
        """Numbers of the jobs that were cancelled."""
        path = self.folder / "cancelled"
        return sorted({int(line) for line in path.read_text().split()}) if path.exists() else []

    def fail(self, number: int) -> None:
        """The node of a job is lost."""
        os.killpg(int((self.folder / f"{number}.pid").read_text()), signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left."""
        for number in self.jobs:
            with suppress(ProcessLookupError):
                self.fail(number)
