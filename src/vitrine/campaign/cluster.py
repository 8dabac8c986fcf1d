"""A Dask client: of worker processes of our own, of jobs of a batch system, or of a running cluster."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitrine.campaign.execute import Order
from vitrine.campaign.gpus import RESOURCE, VARIABLE, share_gpus, visible_gpus
from vitrine.campaign.jobs import Jobs
from vitrine.campaign.sight import check, guarded, look, mark
from vitrine.campaign.slurm import Site
from vitrine.errors import InputError, RunError
from vitrine.processes import SINGLE_THREAD
from vitrine.tasks import Outcome

START_TIMEOUT = 60.0
"""seconds to wait for the first worker of our own"""
JOIN_TIMEOUT = 20.0
"""seconds to wait for a running scheduler"""
GOODBYE = 3.0
"""seconds to wait for the client and the scheduler of our own to close"""
MEET = 5.0
"""seconds between two looks for new workers"""
ASK_TIMEOUT = 30.0
"""seconds to wait for what new workers answer"""

_ADDRESS = re.compile(r"[a-z]+://[^\s:]\S*|[^\s:/]+:[0-9]+")
_SCHEDULER: dict[str, Any] = {
    # a long call into compiled code lets no heartbeat through
    "distributed.scheduler.worker-ttl": None,
    # tasks count their own attempts; Dask blames whatever waited on the same worker
    "distributed.scheduler.allowed-failures": 100,
    "distributed.scheduler.http.routes": [],
}
_LOGGERS = ("distributed", "distributed.client")
_ENVIRONMENT = SINGLE_THREAD | {"MALLOC_TRIM_THRESHOLD_": "65536", "DASK_LOGGING__DISTRIBUTED": "critical"}


class Cluster:
    """Connects on construction; :meth:`close` ends what was started here and nothing else.

    Parameters
    ----------
    workers: local worker processes, on 127.0.0.1 with random ports and without a dashboard. GPUs
        are dealt out to them evenly.
    scheduler: address of a running Dask scheduler; overrides ``workers``.
    site: jobs of a batch system whose workers do the work; overrides ``workers``.
    root: folder of the store, which all workers must see.

    Raises
    ------
    InputError: nothing answers at that address, its workers cannot take part, or jobs cannot be
        submitted. MissingExtra: dask-jobqueue is not installed.
    RunError: the workers do not start.
    """

    def __init__(self, workers: int, scheduler: str | None, root: Path, site: Site | None = None) -> None:
        if scheduler is not None and site is not None:
            raise InputError("--scheduler and --slurm are two ways to other machines: give one of them")
        self.client: Any = None
        self._own: Any = None
        self._jobs: Jobs | None = None
        self._processes: list[subprocess.Popen[str]] = []
        self._gpus: list[str] = []
        self._gpu: str | None = None
        """Dask's name for what workers with a GPU have; None if no worker has one"""
        self._root = root
        self._identity: str | None = None
        """of the store, which workers elsewhere must see"""
        self._met: set[str] = set()
        self._met_at = 0.0
        self._ended = 0
        """workers elsewhere that ended over a task, as far as it was said"""
        self._notes: list[str] = []
        self._levels = {name: logging.getLogger(name).level for name in _LOGGERS}
        try:
            if site is not None:
                self._submit(site)
            elif scheduler is not None:
                self._join(scheduler)
            else:
                self._start(workers)
        except BaseException:
            self.close()
            raise

    def _start(self, workers: int) -> None:
        import dask
        from distributed import Client, Scheduler, SpecCluster

        # LocalCluster would listen on port 8787 even without a dashboard
        options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        with dask.config.set(_SCHEDULER):
            self._own = SpecCluster(scheduler={"cls": Scheduler, "options": options}, silence_logs=50)
        self.client = Client(self._own, timeout=START_TIMEOUT, set_as_default=False)
        gpus = visible_gpus()
        self._gpus, self._gpu = share_gpus(gpus, workers) if gpus else [], RESOURCE if gpus else None
        self._processes = [self._worker(number) for number in range(workers)]
        deadline = time.monotonic() + START_TIMEOUT
        while not self.workers:
            codes = [process.poll() for process in self._processes]
            if all(code is not None for code in codes) or time.monotonic() > deadline:
                raise RunError(f"the worker processes do not start (exit codes {codes})")
            time.sleep(0.05)

    def _worker(self, number: int) -> subprocess.Popen[str]:
        gpus = {}
        if self._gpus:
            gpus = {VARIABLE: self._gpus[number]}
            if self._gpus[number]:
                gpus[f"DASK_DISTRIBUTED__WORKER__RESOURCES__{RESOURCE.upper()}"] = "1"
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vitrine.campaign.worker"],
            stdin=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT | gpus,
            text=True,
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as pipe:  # `repair` sees that it is gone
            # tasks are functions of modules that may be found through our path alone
            pipe.write(json.dumps({"scheduler": self._own.scheduler_address, "path": sys.path}) + "\n")
        return process

    def _join(self, scheduler: str) -> None:
        from distributed import Client

        for name in _LOGGERS:  # what matters is said in words
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            if not _ADDRESS.fullmatch(scheduler):
                raise ValueError("this is no address")
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self.client = Client(scheduler, timeout=JOIN_TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            raise InputError(
                f"--scheduler: no Dask scheduler answers at {scheduler!r} ({error}); "
                "expected an address such as tcp://host:8786"
            ) from error
        except ImportError as error:
            raise InputError(
                f"--scheduler: {scheduler} runs other versions than this command: {error}"
            ) from error
        self._notes += [str(warning.message).strip() for warning in caught]
        self._identity = mark(self._root)
        self._ended = self._ended_over_a_task()
        self._meet()
        if not self.workers:
            self._notes.append(f"{scheduler} has no workers yet; waiting for the first")

    def _submit(self, site: Site) -> None:
        from distributed import Client

        from vitrine.campaign.farewell import Farewell

        self._identity = mark(self._root)
        self._jobs = Jobs(site, self._root, uuid.uuid4().hex[:8], _SCHEDULER)
        self.client = Client(self._jobs.cluster, timeout=START_TIMEOUT, set_as_default=False)
        self.client.register_plugin(Farewell(str(self._root)))
        self._notes.append(self._jobs.waiting)

    def _meet(self) -> None:
        """Ask workers elsewhere that are new whether they can take part.

        Raises
        ------
        InputError: one cannot.
        """
        if self._identity is None or time.monotonic() - self._met_at < MEET:
            return
        self._met_at = time.monotonic()
        with suppress(TimeoutError, OSError, RuntimeError):  # no scheduler now: the campaign sees that
            if self.client.status == "running":
                self._meet_new()

    def _meet_new(self) -> None:
        known = self.client.scheduler_info().get("workers", {})  # none while the scheduler is lost
        new = sorted(known.keys() - self._met)
        if new:
            # one that died meanwhile, or is too busy to answer, is passed over: its task looks again
            answers = {
                address: answer for address, answer in self._ask(new).items() if not _no_answer(answer)
            }
            check(answers, self._root)
            several = [address for address in new if known[address]["nthreads"] > 1]
            if several and not self._met:
                self._notes.append(
                    f"{len(several)} worker(s) run several tasks at once in one process; "
                    "start workers with --nthreads 1 (and --nworkers for more of them)"
                )
            self._met.update(new)
        if not known and self._jobs is None:
            self._say_who_ended()
        names = (name for worker in known.values() for name in worker["resources"])
        self._gpu = next((name for name in names if name.lower() == RESOURCE), None)

    def _say_who_ended(self) -> None:
        """A worker that cannot even read a task ends before it can be asked."""
        ended = self._ended_over_a_task()
        if ended > self._ended:
            self._notes.append(
                f"{ended - self._ended} worker(s) ended when they were given a task, and none is left; "
                "their output says why (is vitrine installed there, in the same version?)"
            )
            self._ended = ended

    def _ended_over_a_task(self) -> int:
        events = (event for _, event in self.client.get_events("all"))
        return sum(
            event.get("action") == "remove-worker" and bool(event["processing-tasks"]) for event in events
        )

    def _ask(self, workers: list[str]) -> dict[str, Any]:
        client, arguments = self.client, (str(self._root), self._identity)

        async def ask() -> dict[str, Any]:
            answers: dict[str, Any] = await client.run(look, *arguments, workers=workers, on_error="return")
            return answers

        # `run` alone waits for ever for a worker that does not answer
        try:
            found: dict[str, Any] = client.sync(ask, callback_timeout=ASK_TIMEOUT)
        except TimeoutError:
            return {}
        return found

    def submit(
        self,
        function: Callable[..., Outcome],
        order: Order,
        root: str,
        *needs: Any,
        campaign: str,
        key: str,
    ) -> Any:
        """A future of ``function(order, root, *needs, campaign=campaign)`` on a worker.

        Parameters
        ----------
        key: Dask's name of the task; must be new.

        Raises
        ------
        RunError: the scheduler is gone.
        """
        if self.client.status == "closed":
            raise RunError("the Dask scheduler went away; start it again, and the same command continues")
        call: tuple[Any, ...] = (function, order, root, *needs)
        if self._identity is not None:
            call = (guarded, self._identity, *call)
        resources = {self._gpu: 1} if order.gpu and self._gpu is not None else None
        return self.client.submit(*call, campaign=campaign, key=key, resources=resources, pure=False)

    def notes(self) -> list[str]:
        """What there is to say since the last call."""
        notes, self._notes = self._notes, []
        return notes

    @property
    def workers(self) -> int:
        """Workers that are connected now."""
        return len(self.client.nthreads())

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers of our own that live."""
        return [process.pid for process in self._processes if process.poll() is None]

    def repair(self) -> None:
        """Replace workers and jobs of our own that have died, and meet new workers elsewhere.

        Raises
        ------
        InputError: a new worker cannot take part, or the batch system refuses jobs.
        """
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                self._processes[number] = self._worker(number)
        if self._jobs is not None:
            self._notes += self._jobs.repair()
        self._meet()

    def close(self) -> None:
        """Let go, and kill the workers of our own with whatever they still run."""
        _close(self.client)
        for process in self._processes:
            process.kill()
            process.wait()
        _close(self._own)
        if self._jobs is not None:
            self._jobs.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)


def _no_answer(answer: Any) -> bool:
    return isinstance(answer, (OSError, TimeoutError))


def _close(part: Any) -> None:
    if part is not None:
        with suppress(TimeoutError, OSError):  # it ends with this process at the latest
            part.close(timeout=GOODBYE)
