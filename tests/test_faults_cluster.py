"""A scheduler of the user's own: it goes away, for ever or for a while; tasks hang on its workers."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fault_study import ENVIRONMENT
from test_campaign import alive, wait_until
from toy_tasks import count_up, hang, task
from vitrine.campaign import cluster
from vitrine.campaign.campaign import Campaign
from vitrine.errors import RunError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Site:
    """A scheduler and a worker, each a process of its own, at one address."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        here = ["--host", "127.0.0.1", "--no-dashboard"]
        self._run("dask_scheduler", *here, "--port", str(self.port))
        self._run("dask_worker", self.address, *here, "--nthreads", "1")

    def _run(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{name}", *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes.append(subprocess.Popen(command, env=ENVIRONMENT, **quiet))  # type: ignore[call-overload]

    def kill(self) -> None:
        while self.processes:
            process = self.processes.pop()
            process.kill()
            process.wait()


@pytest.fixture
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        made = Site()
        stack.callback(made.kill)
        made.start()
        yield made


def when_begun(folder: Path, then: list[object]) -> threading.Thread:
    """Call functions one after the other once a task has begun."""

    def run() -> None:
        wait_until(lambda: list(folder.glob("at*")), 60)
        for function in then:
            function()  # type: ignore[operator]

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_scheduler_that_is_gone_is_said(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "JOIN_TIMEOUT", 6.0)
    tasks = [task(f"t{i}", count_up, steps=20, wait=0.1, at=str(tmp_path / f"at{i}")) for i in range(3)]
    with (
        pytest.raises(RunError, match="went away; what is finished is kept"),
        Campaign(tmp_path / "store", scheduler=site.address) as campaign,
    ):
        thread = when_begun(tmp_path, [site.kill])
        campaign.compute(tasks)
    thread.join()


def test_a_scheduler_that_comes_back_is_given_the_tasks_again(tmp_path: Path, site: Site) -> None:
    first = task("first")
    tasks = [
        task(f"t{i}", count_up, needs=(first,), steps=20, wait=0.1, at=str(tmp_path / f"at{i}"))
        for i in range(3)
    ]
    last = {"wait": 0.0, "at": str(tmp_path / "last")}
    with Campaign(tmp_path / "store", scheduler=site.address) as campaign:
        thread = when_begun(tmp_path, [site.kill, site.start])
        outcomes = campaign.compute([*tasks, task("last", count_up, needs=(tasks[0],), steps=1, **last)])
    thread.join()
    assert [o.error for o in outcomes] == [None] * 4


def test_tasks_that_hang_on_workers_elsewhere_are_reported(tmp_path: Path, site: Site) -> None:
    """The command cannot kill these workers: they end themselves, and Dask's nanny starts others."""
    hanging = [task(how, hang, how=how, at=str(tmp_path / how), times=9) for how in ("busy", "child")]
    slow = task("slow", count_up, steps=30, wait=0.1, at=str(tmp_path / "slow"))
    once = task("once", hang, how="idle", at=str(tmp_path / "once"), times=1)
    with Campaign(tmp_path / "store", scheduler=site.address, stall=1.5) as campaign:
        outcomes = campaign.compute([*hanging, slow, once, task("last")])
    words = "no progress for 1.5 s, 2 times: given up (--stall allows longer silence)"
    assert [o.error for o in outcomes] == [words, words, None, None, None]
    for how in ("busy", "child"):
        lines = (tmp_path / how).read_text().splitlines()
        assert len(lines) == 2
        assert not any(alive(int(pid)) for line in lines for pid in line.split())
    assert len((tmp_path / "slow").read_text().splitlines()) == 1
