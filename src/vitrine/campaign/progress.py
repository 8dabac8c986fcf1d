"""What the user sees while tasks run: one bar per kind of task, with an estimate."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY = 15.0
"""seconds between two lines where the output is not a terminal"""


@dataclass
class _Kind:
    total: int = 0
    done: float = 0.0
    started: float = 0.0
    handle: Any = None


class ProgressDisplay:
    """Bars on a terminal, a line now and then elsewhere. Use it as a context manager."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._kinds: OrderedDict[str, _Kind] = OrderedDict()
        self._bars: Any = None
        self._last_line = time.monotonic()

    def __enter__(self) -> ProgressDisplay:
        if self._console is not None and self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description:<12}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(elapsed_when_finished=False),
                console=self._console,
                transient=False,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def update(self, kind: str, done: float, finished: int, total: int) -> None:
        """Say that ``finished`` of ``total`` tasks of a kind are done, with fractions ``done``."""
        entry = self._kinds.setdefault(kind, _Kind(started=time.monotonic()))
        entry.total, entry.done = total, done
        if self._bars is not None:
            count = f"{finished}/{total}"
            if entry.handle is None:
                entry.handle = self._bars.add_task(kind, total=total, count=count)
            self._bars.update(entry.handle, completed=done, total=total, count=count)

    def line(self) -> None:
        """Where there is no terminal: print one line if it is time for one."""
        now = time.monotonic()
        if self._bars is not None or self._console is None or now - self._last_line < LINE_EVERY:
            return
        self._last_line = now
        words = []
        for kind, entry in self._kinds.items():
            if entry.done >= entry.total:
                continue
            text = f"{kind} {100 * entry.done / entry.total:.0f} % of {entry.total}"
            elapsed = now - entry.started
            if entry.done > 0:
                text += f", about {elapsed * (entry.total - entry.done) / entry.done:.0f} s left"
            words.append(text)
        if words:
            self._console.print("  " + " · ".join(words), highlight=False, markup=False)
