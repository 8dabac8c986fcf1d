"""Run one task through the store. This is what a worker does."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitrine.campaign.store import Store
from vitrine.errors import VitrineError
from vitrine.tasks import Outcome, Progress, Task

PROGRESS_EVERY = 0.5
"""seconds between two words of progress"""


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


def execute(order: Order, root: str, *needs: Outcome) -> Outcome:
    """Make the entry of a task, or find it; never raises for what the task itself does wrong."""
    store = Store(Path(root))
    failed = [need for need in needs if need.folder is None]
    if failed:
        return Outcome(order.label, order.kind, order.key, None, error=f"needs {failed[0].label}, which failed")
    inputs = [need.folder for need in needs if need.folder is not None]
    try:
        with store.lock(order.key):
            return replace(_under_lock(order, store, inputs), inputs=tuple(inputs))
    except VitrineError as error:
        return Outcome(order.label, order.kind, order.key, None, error=str(error))
    except OSError as error:
        words = f"{error.strerror or error} ({error.filename or root})"
        return Outcome(order.label, order.kind, order.key, None, error=words)


def _under_lock(order: Order, store: Store, inputs: Sequence[Path]) -> Outcome:
    found, trouble = store.find(order.key)
    if found is not None:
        return Outcome(order.label, order.kind, order.key, found, reused=True)
    if trouble is not None:
        store.discard(order.key)
    start = time.monotonic()
    try:
        order.function(store.partial(order.key), inputs, _progress(store, order.key), **order.arguments)
    except VitrineError:
        store.drop_partial(order.key)
        raise
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - a task may fail in any way; its words go to the user
        store.drop_partial(order.key)
        return Outcome(
            order.label, order.kind, order.key, None, error=traceback.format_exc(limit=-3).strip()
        )
    seconds = time.monotonic() - start
    folder = store.finish(order.key, order.kind, order.label, dict(order.recipe), seconds)
    return Outcome(order.label, order.kind, order.key, folder, seconds=seconds, error=_remade(trouble))


def _remade(trouble: str | None) -> str | None:
    return None if trouble is None else f"made again: {trouble}"


def _progress(store: Store, key: str) -> Progress:
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY:
            store.report_progress(key, fraction)
            last = now

    return report

