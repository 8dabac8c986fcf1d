"""The upkeep of a store: locks, attempts, progress, the list of entries, and tidying up."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from test_store import GARBAGE, KEY, TESTS, filled, make
from toy_tasks import count_up, task
from vitrine.campaign import index
from vitrine.campaign.execute import Order, execute
from vitrine.campaign.store import MARKER, Store
from vitrine.campaign.underway import Attempt, Underway
from vitrine.errors import StoreError

SCRIPT = """
import sys
from pathlib import Path
from toy_tasks import task, write_logged
from vitrine.campaign.campaign import Campaign
root, log = sys.argv[1:]
with Campaign(Path(root)) as campaign:
    (outcome,) = campaign.compute([task("shared", write_logged, log=log)])
    print(outcome.reused, outcome.error)
"""


def test_two_processes_make_a_shared_task_once(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path / "store"), str(tmp_path / "log")]
    both = [
        subprocess.Popen(
            arguments, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(TESTS)}
        )
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert said == ["False None", "True None"]
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_a_lock_can_be_asked_for_without_waiting(tmp_path: Path) -> None:
    one, other = Store(tmp_path), Store(tmp_path)
    with one.lock(KEY) as held:
        assert held
        with other.lock(KEY, wait=False) as second:
            assert not second
    with other.lock(KEY, wait=False) as third:
        assert third


KILLED = """
import os, signal, sys
from pathlib import Path
from vitrine.campaign.store import Store
with Store(Path(sys.argv[1])).lock(sys.argv[2]):
    print("held", flush=True)
    signal.pause()
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", KILLED, str(tmp_path), KEY]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        told: list[bool] = []
        with Store(tmp_path).lock(KEY, wait=False) as held:
            assert not held
        threading.Timer(0.2, process.kill).start()
        with Store(tmp_path).lock(KEY, waiting=lambda: told.append(True)) as held:
            assert held and told == [True]


def test_a_lock_file_of_another_user_can_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be read, not written."""
    opened = os.open

    def open_for_reading(path: Path, flags: int, *rest: Any) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest)

    with Store(tmp_path).lock(KEY):
        pass
    monkeypatch.setattr(os, "open", open_for_reading)
    with Store(tmp_path).lock(KEY) as held, Store(tmp_path).lock(KEY, wait=False) as other:
        assert held and not other


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="has no file locks; set VITRINE_STORE"):
        make(Store(tmp_path), task("one"))


def test_prune_removes_what_is_broken_and_spares_what_is_in_use(tmp_path: Path) -> None:
    store = Store(tmp_path)
    good, broken = filled(store, a=b"1"), filled(store, "cd" + 62 * "0", a=b"1")
    (broken / "a").write_bytes(b"2")
    foreign = store.root / "entries" / "ab" / "notes.txt"
    foreign.write_text("of the user")
    idle, busy = "1" * 64, "2" * 64
    for key in (idle, busy):
        (store.partial(key) / "restart").write_text("x")
        store.report_progress(key, 0.5)
    assert store.underway.running() == {idle: 0.5, busy: 0.5}
    with Store(tmp_path).lock(busy):
        counts = store.prune()
    assert counts == {"unfinished": 1, "broken": 1, "in use": 1}
    assert good.exists() and foreign.exists() and not broken.exists()
    assert store.underway.running() == {busy: 0.5}
    dead = "3" * 64
    store.underway.begin(dead, "campaign")
    assert store.prune() == {"unfinished": 1}
    assert store.underway.known() == set()


def test_attempts_count_within_one_campaign(tmp_path: Path) -> None:
    underway = Underway(tmp_path)
    assert [underway.begin(KEY, "a").number, underway.begin(KEY, "a").number] == [1, 2]
    assert underway.begin(KEY, "b").number == 1
    underway.settle(KEY)
    assert underway.begin(KEY, "b").number == 1
    underway.give_up(KEY, Attempt("b", 4, os.getpid()))
    assert [(key, attempt.pid) for key, attempt in underway.attempts("b")] == [(KEY, 0)]
    assert underway.begin(KEY, "b").number == 5


@pytest.mark.parametrize("garbage", [*GARBAGE, b"campaign 2", b'{"campaign": "a", "causes": 3}'])
def test_a_garbled_attempt_counts_as_none(tmp_path: Path, garbage: bytes) -> None:
    underway = Underway(tmp_path)
    underway.begin(KEY, "a")
    (tmp_path / "attempts" / KEY).write_bytes(garbage)
    assert list(underway.attempts("a")) == []
    assert underway.begin(KEY, "a").number == 1


def test_the_list_is_never_trusted_without_the_entry(tmp_path: Path) -> None:
    """Lines that are missing, garbled, stale or of entries that are gone."""
    store = Store(tmp_path)
    keys = [f"{i:x}" * 64 for i in range(6)]
    for number, key in enumerate(keys):
        filled(store, key, a=bytes(number))
    told = [(entry.key, entry.size) for entry in store.entries()]
    assert told == [(key, number) for number, key in enumerate(keys)]
    shutil.rmtree(store.folder(keys[1]))
    (store.folder(keys[2]) / MARKER).write_bytes(b"{")
    shutil.rmtree(store.folder(keys[3]))
    shutil.copytree(store.folder(keys[4]), store.folder(keys[3]))
    told = [told[number] for number in (0, 4, 5)]
    assert [(entry.key, entry.size) for entry in store.entries()] == told
    content = (tmp_path / index.NAME).read_bytes()
    for garbled in (b"", content[:-7], b"[" * 100_000 + b"\n" + content, b'["x"]\n\xff\n' + content[200:]):
        (tmp_path / index.NAME).write_bytes(garbled)
        assert [(entry.key, entry.size) for entry in store.entries()] == told
    (tmp_path / index.NAME).unlink()
    (tmp_path / index.NAME).mkdir()
    assert [(entry.key, entry.size) for entry in store.entries()] == told
    filled(store, keys[1], a=b"new")
    assert len(list(store.entries())) == 4


def test_a_list_is_written_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "STALE", 3)
    store = Store(tmp_path)
    for number in range(5):
        filled(store, f"{number:x}" * 64, a=b"1")
    (tmp_path / index.NAME).unlink()
    first = list(store.entries())
    assert len(index.read(tmp_path)) == 5
    monkeypatch.setattr("vitrine.campaign.store._read_marker", None)  # it would be called in vain
    assert list(store.entries()) == first


def test_a_lost_word_of_progress_loses_no_work(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.root / "progress").write_text("a file in its place")
    assert make(store, task("one")).folder is not None
    assert store.underway.running() == {}


def test_progress_is_clamped_and_told_seldom(tmp_path: Path) -> None:
    said: list[float] = []
    begin = time.monotonic()
    long = task("long", count_up, steps=50, wait=0.0, at=str(tmp_path / "at"))
    execute(Order.of(long), str(tmp_path / "store"), progress=said.append)
    assert said[0] == pytest.approx(1 / 50)
    assert len(said) <= 1 + 2 * (time.monotonic() - begin)
