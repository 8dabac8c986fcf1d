"""Many independent tasks: in this process, on local worker processes, or on a running cluster."""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vitrine.campaign.cluster import Cluster
from vitrine.campaign.execute import Order, execute
from vitrine.campaign.progress import ProgressDisplay
from vitrine.campaign.slurm import Site
from vitrine.campaign.store import Store
from vitrine.campaign.watch import GIB, STALL, Watch
from vitrine.errors import InputError, RunError, StoreError
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    from rich.console import Console

POLL = 0.2
"""most seconds between two looks at what is finished"""
QUICK = 0.01
"""seconds between two looks while tasks finish one after the other"""
LOOK = 1.0
"""seconds between two looks at how far running tasks are"""
FETCH = 500
"""outcomes that are fetched at once"""
FETCH_TIMEOUT = 5.0
"""seconds to wait for outcomes of finished tasks, before looking at the others again"""
SPOKEN = 20
"""failures that are told one by one"""
SENT = 5
"""times that a task is sent to a cluster that lets it go, before it counts as failed"""


class Campaign:
    """Runs tasks through a store; use it as a context manager.

    Parameters
    ----------
    root: folder of the store.
    workers: number of local worker processes; 0 runs every task in this process.
    scheduler: address of a running Dask scheduler (``tcp://host:8786``), whose workers see the
        folder of the store; overrides ``workers``.
    console: where progress is shown; None is silent.
    stall: seconds without a word of progress after which a task on a worker is taken to hang; the
        worker is ended and the task tried once more.
    memory: GiB that all local workers may use together, by default 90 % of what this machine (or
        its control group) has; of more, the largest is ended and its task tried again.
    slurm: jobs of a batch system whose workers do the work; overrides ``workers``.

    Raises
    ------
    InputError: a wrong number, or no scheduler at the address.
    StoreError: the store cannot be written to.
    """

    def __init__(
        self,
        root: Path,
        workers: int = 0,
        scheduler: str | None = None,
        console: Console | None = None,
        stall: float | None = None,
        memory: float | None = None,
        slurm: Site | None = None,
    ) -> None:
        if workers < 0:
            raise InputError(f"--workers must be 0 (this process) or more, not {workers}")
        for name, value, unit in (("stall", stall, "seconds"), ("memory", memory, "GiB")):
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"--{name}: expected {unit} above 0, not {value:g}")
        self.store = Store(root)
        self._name = uuid.uuid4().hex
        self._workers = workers
        self._scheduler = scheduler
        self._slurm = slurm
        self._console = console
        self._stall = STALL if stall is None else stall
        self._memory = None if memory is None else memory * GIB
        self._cluster: Cluster | None = None
        self._watch: Watch | None = None
        self._orders: dict[str, Order] = {}
        self._needs: dict[str, list[str]] = {}
        self._sent: Counter[str] = Counter()
        self._pending: dict[str, Any] = {}
        """key -> future, of tasks on the cluster whose outcome is not known yet"""
        self._outcomes: dict[str, Outcome] = {}
        self._failures = 0

    def __enter__(self) -> Self:
        self.store.check_writable()
        if self._scheduler is not None or self._slurm is not None or self._workers > 0:
            self._cluster = Cluster(self._workers, self._scheduler, self.store.root, self._slurm)
            self._say_notes(self._cluster)
            if self._cluster.pids:
                self._watch = Watch(
                    self.store.underway, self._name, self._own_pids, self._stall, self._memory
                ).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.__exit__()
        if self._cluster is not None:
            self._cluster.close()

    def _own_pids(self) -> list[int]:
        return [] if self._cluster is None else self._cluster.pids

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
            self._orders[task.key] = Order.of(task)
            self._needs[task.key] = [need.key for need in task.needs]
            self._send(self._cluster, task.key)

    def _send(self, cluster: Cluster, key: str) -> None:
        order = self._orders[key]
        needs = [self._outcomes.get(need) or self._pending[need] for need in self._needs[key]]
        self._sent[key] += 1
        # a name of our own: equal tasks of two commands must not become one Dask task
        self._pending[key] = cluster.submit(
            # workers of our own are watched from here
            partial(execute, stall=None if self._watch is not None else self._stall),
            order,
            str(self.store.root),
            *needs,
            campaign=self._name,
            key=f"{order.kind}-{key[:16]}-{self._name[:8]}-{self._sent[key]}",
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

        def waiting() -> None:
            self._say(f"  {task.label} ({task.kind}): another command works on it; waiting for that")

        self._record(
            execute(Order.of(task), str(self.store.root), *needs, progress=progress, waiting=waiting)
        )

    def _wait(self, cluster: Cluster, wanted: Sequence[str], display: ProgressDisplay) -> None:
        """Until the wanted tasks have ended; shows also what else runs on the cluster."""
        for key, order in self._orders.items():
            display.expect(order.kind, key in self._outcomes)
        left = {key for key in wanted if key not in self._outcomes}
        looked = time.monotonic()
        pause = QUICK
        while True:
            ended = self._poll(cluster)
            for key in ended:
                display.finish(self._orders[key].kind)
                left.discard(key)
            if not left:
                return
            if time.monotonic() - looked >= LOOK:
                display.running(self._running())
                looked = time.monotonic()
            cluster.repair()
            self._say_notes(cluster)
            self._tell_what_was_ended()
            pause = QUICK if ended else min(2 * pause, POLL)
            time.sleep(pause)

    def _say_notes(self, cluster: Cluster) -> None:
        for words in cluster.notes():
            self._say(words)

    def _tell_what_was_ended(self) -> None:
        for key, why in () if self._watch is None else self._watch.said():
            order = None if key is None else self._orders.get(key)
            what = "an idle worker" if order is None else f"{order.label} ({order.kind})"
            self._say(f"  {what}: {why}; its process was ended")

    def _running(self) -> dict[str, float]:
        """Finished fractions of running tasks, summed by kind."""
        sums: dict[str, float] = {}
        for key, fraction in self.store.underway.running().items():
            if key in self._pending:
                kind = self._orders[key].kind
                sums[kind] = sums.get(kind, 0.0) + fraction
        return sums

    def _poll(self, cluster: Cluster) -> list[str]:
        """Record what has ended since the last look; its keys.

        Raises
        ------
        RunError: the scheduler is gone. StoreError: the store cannot be written to.
        """
        if cluster.client.status == "closed":
            raise RunError(
                f"the Dask scheduler at {self._scheduler} went away; what is finished is kept: "
                "start it again, and the same command continues"
            )
        if cluster.client.status != "running":
            return []  # looking for the scheduler, which has lost all tasks if it was replaced
        ended = [(key, future.status) for key, future in self._pending.items() if future.done()]
        outcomes = self._fetch(cluster, [key for key, status in ended if status == "finished"][:FETCH])
        for key, status in ended:
            # a lost one's worker died before it told, and another makes or finds it again
            if status not in {"finished", "lost", "pending"}:
                outcome = self._failed(cluster, key)
                if outcome is not None:
                    outcomes[key] = outcome
        for key, outcome in outcomes.items():
            self._record(outcome)
            del self._pending[key]
        return list(outcomes)

    def _fetch(self, cluster: Cluster, keys: Sequence[str]) -> dict[str, Outcome]:
        """Outcomes of finished tasks, but for those whose worker dies meanwhile."""
        if not keys:
            return {}
        futures = {key: self._pending[key] for key in keys}

        async def gather() -> dict[str, Outcome | None]:
            found: dict[str, Outcome | None] = await cluster.client.gather(
                futures, errors="skip", asynchronous=True
            )
            return found

        try:
            # `gather` alone may wait for ever
            found = cluster.client.sync(gather, callback_timeout=FETCH_TIMEOUT)
        except (TimeoutError, OSError, CancelledError):
            return {}
        return {key: outcome for key, outcome in found.items() if outcome is not None}

    def _failed(self, cluster: Cluster, key: str) -> Outcome | None:
        """Outcome of a task that no worker brought to an end; None if it is sent once more."""
        from distributed import KilledWorker

        future, order = self._pending[key], self._orders[key]
        try:
            error = future.exception(timeout=FETCH_TIMEOUT) if future.status == "error" else None
        except (TimeoutError, OSError, CancelledError, KilledWorker):
            return None  # its status has changed meanwhile
        if isinstance(error, StoreError):
            raise error
        if error is not None and not isinstance(error, KilledWorker):
            return order.failed(f"could not run on its worker: {type(error).__name__}: {error}")
        # a scheduler not of our own blames tasks that only waited on a lost worker; attempts are counted
        if self._sent[key] >= SENT:
            why = future.status if error is None else "its workers were lost"
            return order.failed(f"the cluster let it go {SENT} times ({why})")
        self._send(cluster, key)
        return None

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
