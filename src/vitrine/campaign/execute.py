"""Run one task through the store. This is what a worker does."""

from __future__ import annotations

import errno
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitrine.campaign.store import ADVICE, NO_ROOM, Store
from vitrine.campaign.underway import Attempt
from vitrine.errors import EngineLost, RunError, StoreError, VitrineError
from vitrine.tasks import Outcome, Progress, Task

PROGRESS_EVERY = 0.5
"""seconds between two words of progress"""
ATTEMPTS = 3
"""times that a task may take its worker or its engine with it before it counts as failed"""
STALLS = 2
"""times that a task may stop telling of progress before it counts as failed"""


@dataclass(frozen=True)
class Order:
    """A task as it is sent to a worker: without the tasks that it needs."""

    label: str
    kind: str
    key: str
    recipe: Mapping[str, Any]
    function: Callable[..., None]
    arguments: Mapping[str, Any]
    gpu: bool = False

    @classmethod
    def of(cls, task: Task) -> Order:
        """The order for a task."""
        return cls(task.label, task.kind, task.key, task.recipe, task.function, task.arguments, task.gpu)

    def failed(self, words: str) -> Outcome:
        """The outcome without a folder."""
        return Outcome(self.label, self.kind, self.key, None, error=words)


def execute(
    order: Order,
    root: str,
    *needs: Outcome,
    campaign: str | None = None,
    progress: Progress | None = None,
    waiting: Callable[[], None] | None = None,
    stall: float | None = None,
) -> Outcome:
    """Make the entry of a task, or find it; never raises for what the task itself does wrong.

    Parameters
    ----------
    needs: outcomes of the tasks that this one needs.
    campaign: name of the campaign on whose worker this runs: a task that takes its worker with
        it :data:`ATTEMPTS` times is given up. None in the user's own process.
    progress: told how far the task is; by default word is left in the store.
    waiting: called once if another command works on the task.
    stall: seconds without progress after which this process ends itself, the task being taken to
        hang; None where somebody else watches.

    Raises
    ------
    StoreError: the store cannot be written to, which no other task could either.
    """
    store = Store(Path(root))
    missing = [need for need in needs if need.folder is None]
    if missing:
        return order.failed(f"needs {missing[0].label}, which failed")
    inputs = [need.folder for need in needs if need.folder is not None]
    try:
        with store.lock(order.key, waiting=waiting):
            tell = _seldom(progress or (lambda fraction: store.report_progress(order.key, fraction)))
            return replace(_find_or_make(order, store, inputs, campaign, tell, stall), inputs=tuple(inputs))
    except StoreError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a task may fail in any way; its words go on
        _check_room(store, error)
        return order.failed(_words(error))


def _check_room(store: Store, error: BaseException | None = None) -> None:
    """A full disk is no fault of the task, whatever it looked like there.

    Raises
    ------
    StoreError: the disk of the store is full, or cannot be written to any more.
    """
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        place = Path(str(error.filename or store.root))
        if place.is_relative_to(store.root) and error.errno != errno.EFBIG:
            raise store.unwritable(error, store.root) from error
    store.check_writable()


def _of_memory(error: BaseException) -> bool:
    """Whether there was no more memory; torch says so in errors of its own."""
    words = (type(error).__name__, str(error))
    return isinstance(error, MemoryError) or "OutOfMemoryError" in words[0] or "allocate memory" in words[1]


def _words(error: BaseException) -> str:
    """What the user is told of an error that ended a task."""
    if isinstance(error, VitrineError):
        return str(error)
    if _of_memory(error):
        return f"ran out of memory: {str(error) or 'no more was given'}"
    if isinstance(error, OSError):
        advice = f"; make room, or {ADVICE}" if error.errno in NO_ROOM else ""
        return f"{error.strerror or error} ({error.filename or 'no file named'}){advice}"
    return "".join(traceback.format_exception(error, limit=-3)).strip()


def _find_or_make(
    order: Order,
    store: Store,
    inputs: Sequence[Path],
    campaign: str | None,
    progress: Progress,
    stall: float | None,
) -> Outcome:
    found, trouble = store.find(order.key)
    if found is not None:
        seconds = store.seconds(order.key)
        return Outcome(order.label, order.kind, order.key, found, reused=True, seconds=seconds)
    if trouble is not None:
        store.discard(order.key)
    attempt = None
    if campaign is not None:
        attempt = store.underway.begin(order.key, campaign)
        words = _given_up(attempt)
        if words is not None:
            if not attempt.causes:
                store.drop_partial(order.key)  # the cause may lie in what was left
            # not settled: this answer may be lost with its worker too, and be asked for again
            store.underway.give_up(order.key, attempt)
            return order.failed(words)
    try:
        start = time.monotonic()
        with _alarm(order, store, attempt, stall, progress) as told:
            _make(order, store, inputs, told)
        seconds = time.monotonic() - start
        folder = store.finish(order.key, order.kind, order.label, dict(order.recipe), seconds)
    finally:
        store.underway.settle(order.key)
    note = None if trouble is None else f"made again: {trouble}"
    return Outcome(order.label, order.kind, order.key, folder, seconds=seconds, error=note)


@contextmanager
def _alarm(
    order: Order, store: Store, attempt: Attempt | None, stall: float | None, progress: Progress
) -> Iterator[Progress]:
    """The same progress, whose silence ends this process if it is to look after itself."""
    if attempt is None or stall is None:
        yield progress
        return
    from vitrine.campaign.watch import Alarm, no_progress

    with Alarm(stall, lambda: store.underway.blame(order.key, attempt, no_progress(stall), True)) as alarm:

        def told(fraction: float) -> None:
            alarm.word()
            progress(fraction)

        yield told


def _given_up(attempt: Attempt) -> str | None:
    """Why a task is not tried once more; None if it is."""
    causes = "; ".join(dict.fromkeys(attempt.causes))
    if attempt.stalls >= STALLS:
        return f"{causes}, {attempt.stalls} times: given up (--stall allows longer silence)"
    if attempt.number > ATTEMPTS:
        died = f"its process died {ATTEMPTS} times while it ran"
        return f"{died} ({causes or 'killed, out of memory, or a crash of its engine'})"
    return None


def _make(order: Order, store: Store, inputs: Sequence[Path], progress: Progress) -> None:
    """Call the function of a task.

    What an accident (of engine, disk or memory) leaves is kept, so that the next attempt continues
    from there. What fails on that begins anew at once, since the cause may lie in what was left.
    """
    lost = 0
    while True:
        partial = store.partial(order.key)
        fresh = not any(partial.iterdir())
        try:
            order.function(partial, inputs, progress, **order.arguments)
            return
        except EngineLost:
            lost += 1
            if lost == ATTEMPTS:
                _check_room(store)
                store.drop_partial(order.key)
                raise
        except (Exception, SystemExit) as error:
            _check_room(store, error)
            if _of_memory(error):
                raise
            if not (fresh and isinstance(error, RunError | OSError)):
                store.drop_partial(order.key)
            if fresh:
                raise


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
