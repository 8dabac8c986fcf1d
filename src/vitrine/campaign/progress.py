"""What the user sees while tasks run: one bar per kind of task, with an estimate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY = 15.0
"""seconds between two lines where the output is not a terminal"""
REDRAW = 0.1
"""seconds between two updates of a bar"""
SPEED_OVER = 600.0
"""seconds over which a bar's speed is averaged: tasks may take minutes each"""


@dataclass
class _Kind:
    total: int = 0
    finished: int = 0
    running: float = 0.0
    before: float = 0.0
    """what was done when the display began, which says nothing about speed"""
    seen: bool = False
    """whether running tasks were looked at yet"""
    handle: Any = None

    @property
    def done(self) -> float:
        return min(self.finished + self.running, self.total)


@dataclass
class ProgressDisplay:
    """Bars on a terminal, a line now and then elsewhere. Use it as a context manager.

    console: None is silent.
    """

    console: Console | None
    _kinds: dict[str, _Kind] = field(default_factory=dict)
    _bars: Any = None
    _began: float = field(default_factory=time.monotonic)
    _drawn: float = 0.0
    _last_line: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        if self.console is not None and self.console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description:<12}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
                speed_estimate_period=SPEED_OVER,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._draw()
            self._bars.stop()
            self._bars = None

    def expect(self, kind: str, finished: bool = False) -> None:
        """One more task of this kind; ``finished`` if it was so before the display began."""
        entry = self._kinds.setdefault(kind, _Kind())
        entry.total += 1
        if finished:
            entry.finished += 1
            entry.before += 1

    def finish(self, kind: str) -> None:
        """One more task of this kind has ended."""
        entry = self._kinds[kind]
        entry.finished += 1
        entry.running = max(entry.running - 1.0, 0.0)
        self._refresh()

    def running(self, fractions: Mapping[str, float]) -> None:
        """How far running tasks are: kind -> sum of their finished fractions."""
        for kind, entry in self._kinds.items():
            entry.running = fractions.get(kind, 0.0)
            if not entry.seen:
                entry.seen = True
                entry.before += entry.running
        self._refresh()

    def _refresh(self) -> None:
        now = time.monotonic()
        if self._bars is not None:
            if now - self._drawn >= REDRAW:
                self._draw()
                self._drawn = now
        elif self.console is not None and now - self._last_line >= LINE_EVERY:
            self._last_line = now
            self._print_line(now)

    def _draw(self) -> None:
        for kind, entry in self._kinds.items():
            if entry.before == entry.total:
                continue  # nothing of it happens here
            count = f"{entry.finished}/{entry.total}"
            if entry.handle is None:
                entry.handle = self._bars.add_task(
                    kind, total=entry.total, completed=entry.before, count=count
                )
            self._bars.update(entry.handle, completed=entry.done, total=entry.total, count=count)

    def _print_line(self, now: float) -> None:
        words = []
        for kind, entry in self._kinds.items():
            if entry.finished == entry.total:
                continue
            text = f"{kind} {100 * entry.done / entry.total:.0f} % of {entry.total}"
            new = entry.done - entry.before
            if new > 0:
                text += f", about {(now - self._began) * (entry.total - entry.done) / new:.0f} s left"
            words.append(text)
        if words:
            assert self.console is not None
            self.console.print("  " + " · ".join(words), highlight=False, markup=False, soft_wrap=True)
