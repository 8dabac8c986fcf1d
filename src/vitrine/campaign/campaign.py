"""Many independent tasks: in this process, on local worker processes, or on a running cluster."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vitrine.campaign.cluster import Cluster
from vitrine.campaign.execute import Order, execute
from vitrine.campaign.progress import ProgressDisplay
from vitrine.campaign.store import Store
from vitrine.errors import InputError
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    from rich.console import Console

POLL = 0.2
"""seconds between two looks at what is finished"""
LOOK = 1.0
"""seconds between two looks at how far running tasks are"""
FETCH_TIMEOUT = 5.0
"""seconds to wait for the outcome of a finished task, before looking at the others again"""
SPOKEN = 20
"""failures that are told one by one"""


class Campaign:
    """Runs tasks through a store; use it as a context manager.

    Parameters
    ----------
    root: folder of the store.
    workers: number of local worker processes; 0 runs every task in this process.
    scheduler: address of a running Dask scheduler (``tcp://host:8786``), whose workers see the
        folder of the store; overrides ``workers``.
    console: where progress is shown; None is silent.

    Raises
    ------
    InputError: a negative number of workers, or no scheduler at the address.
    DataError: the store cannot be written to.
    """

    def __init__(
        self, root: Path, workers: int = 0, scheduler: str | None = None, console: Console | None = None
    ) -> None:
        if workers < 0:
            raise InputError(f"--workers must be 0 (this process) or more, not {workers}")
        self.store = Store(root)
        self._name = uuid.uuid4().hex
        self._workers = workers
        self._scheduler = scheduler
        self._console = console
        self._cluster: Cluster | None = None
        self._orders: dict[str, Order] = {}
        self._pending: dict[str, Any] = {}
        """key -> future, of tasks on the cluster whose outcome is not known yet"""
        self._outcomes: dict[str, Outcome] = {}
        self._failures = 0

    def __enter__(self) -> Self:
        self.store.check_writable()
        if self._scheduler is not None or self._workers > 0:
            self._cluster = Cluster(self._workers, self._scheduler)
            if self._scheduler is not None and not self._cluster.workers:
                self._say(f"{self._scheduler} has no workers yet; waiting for the first")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cluster is not None:
            self._cluster.close()

    @property
    def outcomes(self) -> list[Outcome]:
        """Outcomes of all tasks so far."""
        return list(self._outcomes.values())

    def compute_here(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Run tasks in this process: for data that are at hand here and nowhere else."""
        for task in _with_needs(tasks):
            self._run_here(task)
        return [self._outcomes[task.key] for task in tasks]

    def submit(self, tasks: Sequence[Task]) -> None:
        """Start tasks (and what they need) without waiting; collect them with :meth:`compute`.

        Without workers nothing starts before :meth:`compute`.
        """
        if self._cluster is None:
            return
        for task in _with_needs(tasks):
            if task.key in self._pending or task.key in self._outcomes:
                continue
            order = self._orders[task.key] = Order.of(task)
            needs = [self._outcomes.get(need.key) or self._pending[need.key] for need in task.needs]
            # a name of our own: equal tasks of two commands must not become one Dask task
            self._pending[task.key] = self._cluster.client.submit(
                execute,
                order,
                str(self.store.root),
                *needs,
                campaign=self._name,
                key=f"{task.kind}-{task.key[:16]}-{self._name[:8]}",
                pure=False,
            )

    def compute(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Run tasks and return their outcomes in order. What failed has no folder but an error."""
        self.submit(tasks)
        ordered = _with_needs(tasks)
        with ProgressDisplay(self._console) as display:
            if self._cluster is None:
                self._compute_here(ordered, display)
            else:
                self._wait(self._cluster, [task.key for task in tasks], display)
        return [self._outcomes[task.key] for task in tasks]

    def _compute_here(self, tasks: Sequence[Task], display: ProgressDisplay) -> None:
        for task in tasks:
            display.expect(task.kind, task.key in self._outcomes)
        for task in tasks:
            if task.key not in self._outcomes:
                self._run_here(task, display)
                display.finish(task.kind)

    def _run_here(self, task: Task, display: ProgressDisplay | None = None) -> None:
        if task.key in self._outcomes:
            return
        self._pending.pop(task.key, None)
        progress = None if display is None else lambda fraction: display.running({task.kind: fraction})
        needs = [self._outcomes[need.key] for need in task.needs]
        self._record(execute(Order.of(task), str(self.store.root), *needs, progress=progress))

    def _wait(self, cluster: Cluster, wanted: Sequence[str], display: ProgressDisplay) -> None:
        """Until the wanted tasks have ended; shows also what else runs on the cluster."""
        for key, order in self._orders.items():
            display.expect(order.kind, key in self._outcomes)
        left = {key for key in wanted if key not in self._outcomes}
        looked = time.monotonic()
        while True:
            for key in self._poll():
                display.finish(self._orders[key].kind)
                left.discard(key)
            if not left:
                return
            if time.monotonic() - looked >= LOOK:
                display.running(self._running())
                looked = time.monotonic()
            cluster.repair()
            time.sleep(POLL)

    def _running(self) -> dict[str, float]:
        """Finished fractions of running tasks, summed by kind."""
        sums: dict[str, float] = {}
        for key, fraction in self.store.running().items():
            if key in self._pending:
                kind = self._orders[key].kind
                sums[kind] = sums.get(kind, 0.0) + fraction
        return sums

    def _poll(self) -> list[str]:
        """Record what has ended since the last look; its keys."""
        ended = [key for key, future in self._pending.items() if future.done()]
        recorded = []
        for key in ended:
            outcome = self._fetch(key)
            if outcome is not None:
                self._record(outcome)
                del self._pending[key]
                recorded.append(key)
        return recorded

    def _fetch(self, key: str) -> Outcome | None:
        """Outcome of a task that has ended; None if there is none after all."""
        from distributed import KilledWorker

        future, order = self._pending[key], self._orders[key]
        try:
            if future.status == "finished":
                outcome: Outcome = future.result(timeout=FETCH_TIMEOUT)
                return outcome
            if future.status in {"lost", "pending"}:
                return None  # its worker died before it told, and another makes or finds it again
            if future.status != "error":
                return order.failed(f"the cluster let it go ({future.status})")
            error = future.exception(timeout=FETCH_TIMEOUT)
        except (TimeoutError, OSError, CancelledError, KilledWorker):
            return None  # its status has changed meanwhile
        if isinstance(error, KilledWorker):
            return order.failed("its workers were lost again and again")
        return order.failed(f"could not run on its worker: {type(error).__name__}: {error}")

    def _record(self, outcome: Outcome) -> None:
        self._outcomes[outcome.key] = outcome
        if outcome.error is None:
            return
        self._failures += 1
        if self._failures <= SPOKEN:
            what = "failed" if outcome.folder is None else "note"
            self._say(f"  {outcome.label} ({outcome.kind}) {what}: {outcome.error}")
        elif self._failures == SPOKEN + 1:
            self._say("  ... and more, which are counted only")

    def _say(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _with_needs(tasks: Iterable[Task]) -> list[Task]:
    """Tasks and what they need, each once, needs first."""
    found: dict[str, Task] = {}

    def visit(task: Task) -> None:
        if task.key not in found:
            for need in task.needs:
                visit(need)
            found[task.key] = task

    for task in tasks:
        visit(task)
    return list(found.values())
