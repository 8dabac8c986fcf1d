"""Small task functions for tests of the campaign; workers import them from here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vitrine.errors import DataError, EngineError
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
