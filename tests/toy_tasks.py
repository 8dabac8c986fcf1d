"""Small task functions for tests of the campaign; workers import them from here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vitrine.errors import DataError, EngineError, EngineLost
from vitrine.tasks import Task


def write(
    folder: Path, inputs: Sequence[Path], progress: Callable[[float], None], *, text: str = "made"
) -> None:
    """Write the text and what the inputs say."""
    progress(0.5)
    said = [(path / "text.txt").read_text() for path in inputs]
    (folder / "text.txt").write_text("+".join([text, *said]))


def write_logged(folder: Path, inputs: Sequence[Path], progress: Any, *, log: str) -> None:
    """As :func:`write`, slowly, and leave a line in a log for each time that it is made."""
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.5)
    write(folder, inputs, progress)


def fail(folder: Path, inputs: Sequence[Path], progress: Any, *, how: str) -> None:
    """Leave something behind, then fail."""
    (folder / "left.txt").write_text("left")
    if how == "value":
        raise ValueError("seven is no colour")
    if how == "exit":
        raise SystemExit(3)
    if how == "memory":
        raise MemoryError("Unable to allocate 8.00 PiB for an array")
    if how == "data":
        raise DataError("row 7 is wrong")
    if how == "os":
        raise FileNotFoundError(2, "No such file or directory", "nowhere.txt")
    raise EngineError("LAMMPS: lost atoms")


def die(folder: Path, inputs: Sequence[Path], progress: Any, *, how: str) -> None:
    """Take the worker along."""
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)


def hang(folder: Path, inputs: Sequence[Path], progress: Any, *, how: str, at: str, times: int) -> None:
    """Say nothing any more, the first ``times`` times; leaves its process ids in ``at``, a line each."""
    child = None
    if how == "child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    log = Path(at)
    calls = len(log.read_text().splitlines()) if log.exists() else 0
    with log.open("a") as file:
        file.write(f"{os.getpid()} {'' if child is None else child.pid}\n")
    if calls < times:
        progress(0.5)
        if child is not None:
            child.wait()
        while how == "busy" or time.sleep(600) is None:
            pass
    (folder / "text.txt").write_text("made")


def grow(folder: Path, inputs: Sequence[Path], progress: Any, *, how: str, at: str, times: int) -> None:
    """Take more and more memory, itself or through a child, the first ``times`` times."""
    log = Path(at)
    calls = len(log.read_text().splitlines()) if log.exists() else 0
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if calls < times and how == "child":
        program = "import time\nkept = []\nwhile True: kept.append(bytearray(2**24)); time.sleep(0.02)"
        subprocess.run([sys.executable, "-c", program], check=False)
    kept = []
    while calls < times:
        kept.append(bytearray(2**24))
        time.sleep(0.02)
    (folder / "text.txt").write_text("made")


def lose_engine(folder: Path, inputs: Sequence[Path], progress: Any, *, at: str, times: int) -> None:
    """As a task whose engine dies, the first ``times`` times; leaves a file each time."""
    left = len(list(folder.glob("left-*")))
    with Path(at).open("a") as file:
        file.write(f"{left}\n")
    if len(Path(at).read_text().splitlines()) <= times:
        (folder / f"left-{left}").write_text("left")
        raise EngineLost("the LAMMPS process ended unexpectedly (signal 9)")
    (folder / "text.txt").write_text("made")


def trip_over_what_was_left(folder: Path, inputs: Sequence[Path], progress: Any) -> None:
    """Fails on the work of an earlier attempt, not without."""
    if (folder / "left").exists():
        raise EngineError("LAMMPS: unexpected end of restart file")
    (folder / "text.txt").write_text("made")


def count_up(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    steps: int,
    wait: float,
    at: str,
) -> None:
    """A long task that keeps a restart file; leaves its process id and where it began in ``at``."""
    restart = folder / "step.txt"
    first = int(restart.read_text()) if restart.exists() else 0
    with Path(at).open("a") as file:
        file.write(f"{os.getpid()} {first}\n")
    for step in range(first, steps):
        temporary = folder / "step.part"
        temporary.write_text(str(step + 1))
        temporary.replace(restart)
        progress((step + 1) / steps)
        time.sleep(wait)


def task(
    label: str, function: Callable[..., None] = write, needs: Sequence[Task] = (), **arguments: Any
) -> Task:
    """A task whose recipe is its label and arguments."""
    recipe = {"label": label, **{k: v for k, v in arguments.items() if k not in {"log", "at", "wait"}}}
    return Task(label, function.__name__, recipe, function, arguments, needs)
