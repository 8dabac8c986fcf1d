"""Looks after the worker processes of a campaign: ends those that hang or take too much memory.

Workers on this machine are watched from the command (:class:`Watch`); others look after themselves
(:class:`Alarm`), and Dask's nanny after their memory.

A worker that is ended this way is replaced, and its task is tried again as after any other death
of its process (:mod:`vitrine.campaign.execute` counts the attempts).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil  # type: ignore[import-untyped]

from vitrine.campaign.underway import Attempt, Underway

STALL = 4 * 3600.0
"""seconds without a word of progress after which a task is taken to hang: single fits are silent long"""
SHARE = 0.9
"""of the machine's memory, which all workers together may use"""
LOOK = 0.5
"""seconds between two looks"""
GIB = 2.0**30

_CGROUP = Path("/sys/fs/cgroup")


class Watch:
    """Watches in a thread of its own; use it as a context manager.

    Parameters
    ----------
    underway: what is under way in the store.
    campaign: name of the campaign.
    pids: gives the process ids of its workers that live now.
    stall: seconds without a word of progress after which the worker of a task is ended.
    memory: bytes that all workers with their children may use together; of more, the largest is ended.
    """

    def __init__(
        self,
        underway: Underway,
        campaign: str,
        pids: Callable[[], Sequence[int]],
        stall: float = STALL,
        memory: float | None = None,
    ) -> None:
        self._underway = underway
        self._campaign = campaign
        self._pids = pids
        self._stall = stall
        self._memory = SHARE * machine_memory() if memory is None else memory
        self._seen: dict[str, tuple[tuple[int, int, int], float]] = {}
        """key -> (attempt, process, last word), and since when they are so"""
        self._now = 0.0
        """seconds that were watched: a stopped or sleeping machine is no task that hangs"""
        self._said: SimpleQueue[tuple[str | None, str]] = SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vitrine-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def said(self) -> Iterator[tuple[str | None, str]]:
        """Key of the task (if any) and why its worker was ended, since the last time."""
        with contextlib.suppress(Empty):
            while True:
                yield self._said.get_nowait()

    def _run(self) -> None:
        pause = min(LOOK, self._stall / 4)
        looked = time.monotonic()
        while not self._over.wait(pause):
            now = time.monotonic()
            self._now += min(now - looked, 10 * pause)
            looked = now
            pids = self._pids()
            running = {a.pid: (key, a) for key, a in self._underway.attempts(self._campaign) if a.pid in pids}
            self._look_for_stalls(running)
            self._look_at_memory(pids, running)

    def _look_for_stalls(self, running: dict[int, tuple[str, Attempt]]) -> None:
        seen = {}
        for pid, (key, attempt) in running.items():
            state = (attempt.number, pid, self._underway.last_word(key))
            before, since = self._seen.get(key, (None, self._now))
            seen[key] = (state, since if before == state else self._now)
            if self._now - seen[key][1] > self._stall:
                self._end(pid, no_progress(self._stall), (key, attempt), stalled=True)
        self._seen = seen

    def _look_at_memory(self, pids: Sequence[int], running: dict[int, tuple[str, Attempt]]) -> None:
        used = {pid: memory_of(pid) for pid in pids}
        total = sum(used.values())
        if total <= self._memory:
            return
        pid = max(used, key=lambda pid: used[pid])
        words = f"ran out of memory: used {used[pid] / GIB:.2f} of {self._memory / GIB:.2f} GiB"
        if used[pid] < self._memory:
            words += f", all workers together {total / GIB:.2f} GiB"
        self._end(pid, words, running.get(pid))

    def _end(self, pid: int, why: str, running: tuple[str, Attempt] | None, stalled: bool = False) -> None:
        """Kill a worker with its children, unless what it was doing has ended meanwhile."""
        with contextlib.suppress(psutil.NoSuchProcess):
            worker = psutil.Process(pid)
            worker.suspend()  # nothing can end between the look and the kill
            if running is not None:
                key, attempt = running
                if self._underway.attempt(key) != attempt:
                    worker.resume()
                    return
                self._underway.blame(key, attempt, why, stalled)
            _kill([worker, *worker.children(recursive=True)])
            self._said.put((None if running is None else running[0], why))


class Alarm:
    """Ends this process if no word comes for too long: for workers that the command cannot reach.

    Use it as a context manager around the work. It cannot act while compiled code holds Python's lock.

    Parameters
    ----------
    stall: seconds without a word of progress.
    before: called before the end.
    """

    def __init__(self, stall: float, before: Callable[[], None]) -> None:
        self._stall = stall
        self._before = before
        self._word = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="vitrine-alarm", daemon=True)

    def __enter__(self) -> Alarm:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._word.set()
        self._thread.join()

    def word(self) -> None:
        """Word of progress has come."""
        self._word.set()

    def _run(self) -> None:
        while self._word.wait(self._stall):
            if self._over:
                return
            self._word.clear()
        self._before()
        own = psutil.Process()
        _kill([*own.children(recursive=True), own])


def no_progress(stall: float) -> str:
    """Why a task that hangs was ended."""
    return f"no progress for {stall:g} s"


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def memory_of(pid: int) -> int:
    """Bytes that a process and its children keep in memory and share with nobody; 0 if it is gone."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        worker = psutil.Process(pid)
        for process in [worker, *worker.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                found = process.memory_info()
                # files that are mapped count as shared: the system takes them back when it must
                total += found.rss - getattr(found, "shared", 0)
    return total


def machine_memory() -> int:
    """Bytes that this process may use: the machine's memory, or less if its control group says so."""
    limits = [psutil.virtual_memory().total]
    for file in _limit_files():
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            limits.append(int(file.read_text(encoding="utf-8")))
    return int(min(limits))


def _limit_files() -> Iterator[Path]:
    """Where the control groups of this process and those above keep their limits (versions 2 and 1)."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, name = _CGROUP, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = _CGROUP / "memory", "memory.limit_in_bytes"
        else:
            continue
        # within a container the path may be that of the host: then the root counts
        here = root / group.lstrip("/")
        for folder in [here, *here.parents]:
            if folder.is_relative_to(root):
                yield folder / name
