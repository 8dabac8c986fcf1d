"""Run one task through the store. This is what a worker does."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitrine.campaign.store import NO_ROOM, Store
from vitrine.errors import RunError, VitrineError
from vitrine.tasks import Outcome, Progress, Task

PROGRESS_EVERY = 0.5
"""seconds between two words of progress"""
ATTEMPTS = 3
"""times that a task may take its worker with it before it counts as failed"""


@dataclass(frozen=True)
class Order:
    """A task as it is sent to a worker: without the tasks that it needs."""

    label: str
    kind: str
    key: str
    recipe: Mapping[str, Any]
    function: Callable[..., None]
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, task: Task) -> Order:
        """The order for a task."""
        return cls(task.label, task.kind, task.key, task.recipe, task.function, task.arguments)

    def failed(self, words: str) -> Outcome:
        """The outcome without a folder."""
        return Outcome(self.label, self.kind, self.key, None, error=words)


def execute(
    order: Order, root: str, *needs: Outcome, campaign: str | None = None, progress: Progress | None = None
) -> Outcome:
    """Make the entry of a task, or find it; never raises for what the task itself does wrong.

    Parameters
    ----------
    needs: outcomes of the tasks that this one needs.
    campaign: name of the campaign on whose worker this runs: a task that takes its worker with
        it :data:`ATTEMPTS` times is given up. None in the user's own process.
    progress: told how far the task is; by default word is left in the store.
    """
    store = Store(Path(root))
    missing = [need for need in needs if need.folder is None]
    if missing:
        return order.failed(f"needs {missing[0].label}, which failed")
    inputs = [need.folder for need in needs if need.folder is not None]
    try:
        with store.lock(order.key):
            tell = _seldom(progress or (lambda fraction: store.report_progress(order.key, fraction)))
            return replace(_find_or_make(order, store, inputs, campaign, tell), inputs=tuple(inputs))
    except VitrineError as error:
        return order.failed(str(error))
    except OSError as error:
        advice = "; make room, or set VITRINE_STORE or --store" if error.errno in NO_ROOM else ""
        return order.failed(f"{error.strerror or error} ({error.filename or root}){advice}")


def _find_or_make(
    order: Order, store: Store, inputs: Sequence[Path], campaign: str | None, progress: Progress
) -> Outcome:
    found, trouble = store.find(order.key)
    if found is not None:
        return Outcome(order.label, order.kind, order.key, found, reused=True)
    if trouble is not None:
        store.discard(order.key)
    if campaign is not None and store.begin_attempt(order.key, campaign) > ATTEMPTS:
        # not settled: this answer may be lost with its worker too, and be asked for again
        return order.failed(
            f"its process died {ATTEMPTS} times while it ran (out of memory, or a crash of its engine)"
        )
    try:
        start = time.monotonic()
        words = _make(order, store, inputs, progress)
        if words is not None:
            return order.failed(words)
        seconds = time.monotonic() - start
        folder = store.finish(order.key, order.kind, order.label, dict(order.recipe), seconds)
    finally:
        store.settle(order.key)
    note = None if trouble is None else f"made again: {trouble}"
    return Outcome(order.label, order.kind, order.key, folder, seconds=seconds, error=note)


def _make(order: Order, store: Store, inputs: Sequence[Path], progress: Progress) -> str | None:
    """Call the function of a task; words if it failed for reasons of its own.

    What it left is kept after an accident (an engine or a disk), so that the next attempt
    continues from there; but not twice, since the cause may lie in what was left.
    """
    partial = store.partial(order.key)
    fresh = not any(partial.iterdir())
    try:
        order.function(partial, inputs, progress, **order.arguments)
    except RunError:
        if not fresh:
            store.drop_partial(order.key)
        raise
    except OSError as error:
        if not fresh and error.errno not in NO_ROOM:
            store.drop_partial(order.key)
        raise
    except VitrineError:
        store.drop_partial(order.key)
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - a task may fail in any way; its words go to the user
        store.drop_partial(order.key)
        return traceback.format_exc(limit=-3).strip()
    return None


def _seldom(progress: Progress) -> Progress:
    """The same progress, told at most every :data:`PROGRESS_EVERY` seconds."""
    last = -math.inf

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY:
            progress(min(max(float(fraction), 0.0), 1.0))
            last = now

    return report
