"""Many independent tasks: in this process, on local worker processes, or on a running cluster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vitrine.campaign.execute import Order, execute
from vitrine.campaign.progress import ProgressDisplay
from vitrine.campaign.store import Store
from vitrine.errors import InputError
from vitrine.processes import SINGLE_THREAD, die_with_parent
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    from rich.console import Console

POLL = 0.2
"""seconds between two looks at the workers"""
START_TIMEOUT = 60.0


class Campaign:
    """Runs tasks through a store; use it as a context manager.

    Parameters
    ----------
    root: folder of the store.
    workers: number of local worker processes; 0 runs every task in this process.
    scheduler: address of a running Dask scheduler (``tcp://host:8786``); overrides ``workers``.
    console: where progress is shown; None is silent.
    """

    def __init__(
        self, root: Path, workers: int = 0, scheduler: str | None = None, console: Console | None = None
    ) -> None:
        if workers < 0:
            raise InputError(f"--workers must be 0 (this process) or more, not {workers}")
        self.store = Store(root)
        self._workers = workers
        self._scheduler = scheduler
        self._console = console
        self._client: Any = None
        self._cluster: Any = None
        self._futures: dict[str, Any] = {}
        self._tasks: dict[str, Task] = {}
        self._outcomes: dict[str, Outcome] = {}

    def __enter__(self) -> Self:
        if self._scheduler is not None or self._workers > 0:
            self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close(timeout=5)
        if self._cluster is not None:
            self._cluster.close(timeout=5)

    @property
    def outcomes(self) -> list[Outcome]:
        """Outcomes of all tasks so far."""
        return list(self._outcomes.values())

    def compute_here(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Run tasks in this process: for data that are at hand here and nowhere else."""
        for task in tasks:
            if task.key not in self._outcomes:
                self._tasks[task.key] = task
                self._record(execute(Order.of(task), str(self.store.root)))
                if self._client is not None:
                    self._futures[task.key] = self._outcomes[task.key]
        return [self._outcomes[task.key] for task in tasks]

    def submit(self, tasks: Sequence[Task]) -> None:
        """Start tasks (and what they need) without waiting; collect them with :meth:`compute`."""
        for task in tasks:
            self._submit(task)

    def compute(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Run tasks and return their outcomes in order. What failed has no folder but an error."""
        self.submit(tasks)
        wanted = [task.key for task in tasks]
        with ProgressDisplay(self._console) as display:
            if self._client is None:
                for key in wanted:
                    self._run_here(self._tasks[key], display)
            else:
                while not all(key in self._outcomes for key in wanted):
                    self._poll()
                    self._show(display)
                    time.sleep(POLL)
            self._show(display)
        return [self._outcomes[key] for key in wanted]

    def _submit(self, task: Task) -> None:
        if task.key in self._tasks:
            return
        for need in task.needs:
            self._submit(need)
        self._tasks[task.key] = task
        if self._client is not None:
            needs = [self._futures[need.key] for need in task.needs]
            # a name of our own: equal tasks of two commands must not become one Dask task
            name = f"{task.kind}-{task.key[:16]}-{id(self)}"
            self._futures[task.key] = self._client.submit(
                execute, Order.of(task), str(self.store.root), *needs, key=name, pure=False
            )

    def _run_here(self, task: Task, display: ProgressDisplay) -> None:
        if task.key in self._outcomes:
            return
        for need in task.needs:
            self._run_here(need, display)
        needs = [self._outcomes[need.key] for need in task.needs]
        self._record(execute(Order.of(task), str(self.store.root), *needs))
        self._show(display)

    def _record(self, outcome: Outcome) -> None:
        self._outcomes[outcome.key] = outcome
        if self._console is not None and outcome.error is not None:
            what = "failed" if outcome.folder is None else "note"
            self._console.print(f"  {outcome.label} ({outcome.kind}) {what}: {outcome.error}", markup=False)

    def _poll(self) -> None:
        for key, future in self._futures.items():
            if key in self._outcomes or isinstance(future, Outcome) or not future.done():
                continue
            task = self._tasks[key]
            if future.status == "finished":
                self._record(future.result(timeout=START_TIMEOUT))
            else:
                error = future.exception(timeout=START_TIMEOUT) if future.status == "error" else None
                words = f"its worker was lost ({error or future.status})"
                self._record(Outcome(task.label, task.kind, key, None, error=words))

    def _show(self, display: ProgressDisplay) -> None:
        kinds: dict[str, list[Task]] = {}
        for task in self._tasks.values():
            kinds.setdefault(task.kind, []).append(task)
        for kind, tasks in kinds.items():
            finished = [task.key in self._outcomes for task in tasks]
            running = sum(
                self.store.progress(task.key) for task, done in zip(tasks, finished, strict=True) if not done
            )
            display.update(kind, sum(finished) + running, sum(finished), len(tasks))
        display.line()

    def _connect(self) -> None:
        import dask
        from distributed import Client, LocalCluster

        # workers must not be daemons (LAMMPS is their child) and must not outlive us
        dask.config.set(
            {
                "distributed.worker.daemon": False,
                "distributed.admin.log-format": "",
                "distributed.comm.timeouts.connect": f"{START_TIMEOUT}s",
                "distributed.nanny.pre-spawn-environ": SINGLE_THREAD | {"MALLOC_TRIM_THRESHOLD_": "65536"},
                "logging.distributed": "critical",
            }
        )
        try:
            if self._scheduler is None:
                self._cluster = LocalCluster(
                    n_workers=self._workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs=50,
                    memory_limit=0,
                )
                self._client = Client(self._cluster, timeout=START_TIMEOUT, set_as_default=False)
                self._client.run(die_with_parent)
            else:
                self._client = Client(self._scheduler, timeout=START_TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            where = self._scheduler or "this machine"
            raise InputError(f"no Dask cluster at {where}: {error}") from error
