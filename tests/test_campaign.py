"""Campaigns: the same outcomes here, on workers and on a cluster, whatever happens to a worker."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from toy_tasks import count_up, die, fail, task, write
from vitrine.campaign import execute as execution
from vitrine.campaign import progress as display
from vitrine.campaign.campaign import SPOKEN, Campaign
from vitrine.campaign.progress import ProgressDisplay
from vitrine.errors import DataError, InputError
from vitrine.tasks import Outcome, Task

TESTS = Path(__file__).parent


def plan() -> list[Task]:
    """Chains, a task that is asked for twice, and every way to fail but to die."""
    quenches = [task(f"q{i}") for i in range(3)]
    shears = [task(f"s{i}", needs=(quench,)) for i, quench in enumerate(quenches)]
    lost = task("lost", fail, how="engine")
    below = task("below", needs=(quenches[0], lost))
    failing = [task(how, fail, how=how) for how in ("value", "data", "exit", "os")]
    return [shears[2], *shears, lost, below, task("deep", needs=(below,)), *failing, quenches[1]]


def told(outcomes: list[Outcome], root: Path) -> list[tuple[Any, ...]]:
    """Outcomes without times and roots; a traceback is its last line."""
    return [
        (
            o.label, o.kind, o.key, o.reused,
            None if o.folder is None else (o.folder.relative_to(root), (o.folder / "text.txt").read_text()),
            None if o.error is None else o.error.splitlines()[-1],
            tuple(path.relative_to(root) for path in o.inputs),
        )
        for o in outcomes
    ]  # fmt: skip


@pytest.mark.timeout(120)
def test_workers_and_this_process_give_equal_outcomes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with Campaign(here) as campaign:
        first = told(campaign.compute(plan()), here)
        again = campaign.compute(plan())
        assert told(again, here) == first, "a campaign knows what it has done"
    with Campaign(there, workers=2) as campaign:
        assert told(campaign.compute(plan()), there) == first
        assert len(campaign.outcomes) == len({t.key for t in plan()} | {task("q0").key, task("q2").key})
    assert [line[0] for line in first] == [t.label for t in plan()]
    by_label = {line[0]: line for line in first}
    assert by_label["s1"][4][1] == "made+made"
    assert by_label["below"][5] == "needs lost, which failed"
    assert by_label["deep"][5] == "needs below, which failed"
    assert by_label["value"][5] == "ValueError: seven is no colour"
    with Campaign(there) as campaign:  # what workers made serves here
        assert [o.reused for o in campaign.compute(plan())] == [line[4] is not None for line in first]


@pytest.mark.timeout(120)
def test_a_task_that_kills_its_worker_is_reported_and_the_others_finish(tmp_path: Path) -> None:
    killers = [task("exit", die, how="exit"), task("kill", die, how="kill")]
    shared = task("shared")
    others = [task(f"t{i}", needs=(shared,)) for i in range(12)]
    tasks = [others[0], killers[0], *others[1:6], killers[1], *others[6:], task("after", needs=(killers[0],))]
    with Campaign(tmp_path, workers=2) as campaign:
        outcomes = campaign.compute(tasks)
        later = campaign.compute([task("later")])
    failed = {o.label: o.error for o in outcomes if o.folder is None}
    assert set(failed) == {"exit", "kill", "after"}
    assert f"died {execution.ATTEMPTS} times" in str(failed["exit"])
    assert failed["after"] == "needs exit, which failed"
    assert later[0].folder is not None


@pytest.mark.timeout(120)
def test_submitted_tasks_run_while_others_are_asked_for(tmp_path: Path) -> None:
    background = task("background", count_up, steps=10, wait=0.02, at=str(tmp_path / "at"))
    at_hand = task("at hand", needs=(task("before"),))
    with Campaign(tmp_path / "store", workers=1) as campaign:
        campaign.submit([background])
        (mine,) = campaign.compute_here([at_hand])
        (below,) = campaign.compute([task("below", needs=(at_hand,))])
        assert mine.folder is not None and below.inputs == (mine.folder,)
        (done,) = campaign.compute([background])
        assert done.folder is not None and not done.reused
    pid = int((tmp_path / "at").read_text().split()[0])
    assert pid != os.getpid()
    assert not alive(pid), "workers end with the campaign"


def test_submitting_without_workers_waits_for_compute(tmp_path: Path) -> None:
    with Campaign(tmp_path) as campaign:
        campaign.submit([task("one")])
        assert campaign.outcomes == []
        (outcome,) = campaign.compute([task("one")])
        assert not outcome.reused


@pytest.fixture
def scheduler() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1",
        dashboard_address="127.0.0.1:0", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


@pytest.mark.timeout(120)
def test_a_running_scheduler_is_joined_and_left_alone(tmp_path: Path, scheduler: str) -> None:
    with Campaign(tmp_path, scheduler=scheduler) as campaign:
        outcomes = campaign.compute(plan())
    with Campaign(tmp_path, scheduler=scheduler) as campaign:
        again = campaign.compute(plan())
    assert [o.label for o in outcomes] == [t.label for t in plan()]
    assert [o.reused for o in again] == [o.folder is not None for o in outcomes]


@pytest.mark.parametrize("address", ["", "nonsense", "http://host:80", ":::", "tcp://", "host:"])
def test_what_is_no_address_is_said_at_once(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError, match="tcp://host:8786"), Campaign(tmp_path, scheduler=address):
        pass


def test_wrong_settings_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not -1"):
        Campaign(tmp_path, workers=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write to the store"), Campaign(tmp_path / "file"):
        pass


SCRIPT = """
import signal
import sys
from pathlib import Path
from toy_tasks import count_up, task
from vitrine.campaign.campaign import Campaign

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    root, at, wait, workers = sys.argv[1:]
    tasks = [task(f"t{i}", count_up, steps=40, wait=float(wait), at=f"{at}{i}") for i in range(2)]
    with Campaign(Path(root), workers=int(workers)) as campaign:
        print([o.error for o in campaign.compute(tasks)], flush=True)
"""


def start(tmp_path: Path, wait: float, workers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, (tmp_path / "store", tmp_path / "at", wait, workers))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
    )  # fmt: skip


def wait_until(true: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def begun(tmp_path: Path, number: int = 2) -> list[int]:
    """Process ids of tasks that have begun."""
    files = sorted(tmp_path.glob("at*"))
    return [int(path.read_text().split()[0]) for path in files] if len(files) >= number else []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_workers_end_with_a_killed_parent_and_the_work_goes_on_later(tmp_path: Path, how: str) -> None:
    """SIGINT goes to every process of the terminal, as Ctrl-C does."""
    parent = start(tmp_path, wait=0.5, workers=2)
    wait_until(lambda: begun(tmp_path))
    pids = begun(tmp_path)
    assert parent.pid not in pids and len(set(pids)) == 2
    steps = tmp_path / "store" / "partial"
    wait_until(lambda: [int(p.read_text() or 0) >= 2 for p in steps.glob("*/step.txt")] == [True, True])
    os.killpg(parent.pid, signal.SIGINT) if how == "SIGINT" else os.kill(parent.pid, signal.SIGKILL)
    parent.communicate(timeout=30)
    assert parent.returncode != 0
    wait_until(lambda: not any(map(alive, pids)), 10)
    for path in tmp_path.glob("at*"):
        path.unlink()
    out, err = start(tmp_path, wait=0.0, workers=0).communicate(timeout=60)
    assert out.strip() == "[None, None]", err
    for path in tmp_path.glob("at*"):
        assert int(path.read_text().split()[1]) >= 2, "continued from the restart file"


@pytest.mark.timeout(120)
def test_a_script_without_a_main_guard_may_have_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    done = subprocess.run(
        [sys.executable, script, tmp_path / "store", tmp_path / "at", "0", "1"],
        capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": str(TESTS)},
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("[None, None]", "")


def spoken(tmp_path: Path, terminal: bool, tasks: list[Task], **options: Any) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    with Campaign(tmp_path / "store", console=console, **options) as campaign:
        campaign.compute(tasks)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def toy(tmp_path: Path) -> list[Task]:
    return [*plan(), task("long", count_up, steps=8, wait=0.1, at=str(tmp_path / "at"))]


def test_failures_are_said_one_by_one_up_to_a_number(tmp_path: Path) -> None:
    said = spoken(tmp_path, False, toy(tmp_path))
    assert "lost (fail) failed: LAMMPS: lost atoms" in said
    many = [task(f"f{i}", fail, how="data") for i in range(SPOKEN + 7)]
    said = spoken(tmp_path, False, many)
    assert said.count("failed: row 7 is wrong") == SPOKEN
    assert said.count("and more") == 1


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.timeout(120))])
def test_progress_without_a_terminal_is_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(display, "LINE_EVERY", 0.0)
    monkeypatch.setattr("vitrine.campaign.campaign.LOOK", 0.1)
    monkeypatch.setattr(execution, "PROGRESS_EVERY", 0.0)
    said = spoken(tmp_path, False, toy(tmp_path), workers=workers)
    lines = [line for line in said.splitlines() if "count_up" in line and "failed" not in line]
    shares = {line.split("count_up ")[1].split(" %")[0] for line in lines}
    assert len(shares - {"0", "100"}) >= 1, "progress within a running task"
    assert "s left" in said and "\x1b" not in said


def test_progress_on_a_terminal_is_a_bar_for_each_kind(tmp_path: Path) -> None:
    said = spoken(tmp_path, True, toy(tmp_path))
    for text in ("count_up", "1/1", "fail", "5/5", "write"):
        assert text in said


def test_a_silent_campaign_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Campaign(tmp_path / "store") as campaign:
        campaign.compute(toy(tmp_path))
    assert capsys.readouterr() == ("", "")


def test_a_display_counts_what_was_finished_before() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with ProgressDisplay(console) as bars:
        for kind, finished in (("old", True), ("new", True), ("new", False), ("new", False)):
            bars.expect(kind, finished)
        bars.running({"new": 0.5})
        bars.finish("new")
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "old" not in said and "2/3" in said


def test_looking_at_progress_costs_by_what_runs_and_not_by_what_waits(tmp_path: Path) -> None:
    """10,000 waiting tasks on a cluster: a look reads the few files of running ones."""
    with Campaign(tmp_path) as campaign:
        orders = [execution.Order(f"t{i}", "fit", f"{i:064x}", {}, write, {}) for i in range(10_000)]
        campaign._orders = {order.key: order for order in orders}
        campaign._pending = dict.fromkeys(campaign._orders)
        for order in orders[:3]:
            campaign.store.report_progress(order.key, 0.25)
        campaign.store.report_progress("f" * 64, 0.5)  # of another command
        begin = time.process_time()
        assert campaign._running() == {"fit": 0.75}
        assert time.process_time() - begin < 0.05
        campaign._pending.clear()
