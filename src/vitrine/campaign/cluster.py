"""A Dask client: of worker processes of our own, or of a running cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from vitrine.errors import InputError, RunError
from vitrine.processes import SINGLE_THREAD

START_TIMEOUT = 60.0
"""seconds to wait for the first worker of our own"""
JOIN_TIMEOUT = 20.0
"""seconds to wait for a running scheduler"""
GOODBYE = 3.0
"""seconds to wait for the client and the scheduler of our own to close"""

_ADDRESS = re.compile(r"[a-z]+://[^\s:]\S*|[^\s:/]+:[0-9]+")
_SCHEDULER: dict[str, Any] = {
    # a long call into compiled code lets no heartbeat through
    "distributed.scheduler.worker-ttl": None,
    # tasks count their own attempts; Dask blames whatever waited on the same worker
    "distributed.scheduler.allowed-failures": 100,
    "distributed.scheduler.http.routes": [],
}
_ENVIRONMENT = SINGLE_THREAD | {"MALLOC_TRIM_THRESHOLD_": "65536", "DASK_LOGGING__DISTRIBUTED": "critical"}


class Cluster:
    """Connects on construction; :meth:`close` ends what was started here and nothing else.

    Parameters
    ----------
    workers: local worker processes, on 127.0.0.1 with random ports and without a dashboard.
    scheduler: address of a running Dask scheduler; overrides ``workers``.

    Raises
    ------
    InputError: nothing answers at that address.
    RunError: the workers do not start.
    """

    def __init__(self, workers: int, scheduler: str | None) -> None:
        self.client: Any = None
        self._own: Any = None
        self._processes: list[subprocess.Popen[str]] = []
        try:
            if scheduler is None:
                self._start(workers)
            else:
                self._join(scheduler)
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
        self._processes = [self._worker() for _ in range(workers)]
        deadline = time.monotonic() + START_TIMEOUT
        while not self.workers:
            codes = [process.poll() for process in self._processes]
            if all(code is not None for code in codes) or time.monotonic() > deadline:
                raise RunError(f"the worker processes do not start (exit codes {codes})")
            time.sleep(0.05)

    def _worker(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vitrine.campaign.worker"],
            stdin=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT,
            text=True,
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as pipe:  # `repair` sees that it is gone
            # tasks are functions of modules that may be found through our path alone
            pipe.write(json.dumps({"scheduler": self._own.scheduler_address, "path": sys.path}) + "\n")
        return process

    def _join(self, scheduler: str) -> None:
        from distributed import Client

        try:
            if not _ADDRESS.fullmatch(scheduler):
                raise ValueError("this is no address")
            self.client = Client(scheduler, timeout=JOIN_TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            raise InputError(
                f"--scheduler: no Dask scheduler answers at {scheduler!r} ({error}); "
                "expected an address such as tcp://host:8786"
            ) from error

    @property
    def workers(self) -> int:
        """Workers that are connected now."""
        return len(self.client.nthreads())

    def repair(self) -> None:
        """Replace workers of our own that have died."""
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                self._processes[number] = self._worker()

    def close(self) -> None:
        """Let go, and kill the workers of our own with whatever they still run."""
        _close(self.client)
        for process in self._processes:
            process.kill()
            process.wait()
        _close(self._own)


def _close(part: Any) -> None:
    if part is not None:
        with suppress(TimeoutError, OSError):  # it ends with this process at the latest
            part.close(timeout=GOODBYE)
