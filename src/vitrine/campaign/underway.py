"""What is under way in a store: attempts at tasks, and how far they are.

Nothing of it decides a result: what is lost or garbled here costs a count or a bar.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Attempt:
    """An attempt at a task that is under way, or that took its process with it.

    campaign: name of the campaign. number: from 1, within that campaign. pid: of the process.
    stalls: how many attempts were ended because no word of progress came.
    causes: why attempts were ended, in words; of those that nobody ended there is none.
    """

    campaign: str
    number: int
    pid: int
    stalls: int = 0
    causes: tuple[str, ...] = ()


class Underway:
    """Attempts and progress, one small file each, named by the key of the task.

    Parameters
    ----------
    root: folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self._attempts = root / "attempts"
        self._progress = root / "progress"

    def begin(self, key: str, campaign: str) -> Attempt:
        """Count an attempt by this process; attempts that :meth:`settle` saw the end of do not count.

        Raises
        ------
        OSError: it cannot be written down.
        """
        last = self.attempt(key)
        if last is None or last.campaign != campaign:
            last = Attempt(campaign, 0, 0)
        attempt = replace(last, number=last.number + 1, pid=os.getpid())
        self._attempts.mkdir(parents=True, exist_ok=True)
        self._write(key, attempt)
        return attempt

    def blame(self, key: str, attempt: Attempt, cause: str, stalled: bool) -> None:
        """Write down why an attempt is being ended."""
        stalls = attempt.stalls + stalled
        with contextlib.suppress(OSError):  # the attempt counts in any case
            self._write(key, replace(attempt, stalls=stalls, causes=(*attempt.causes, cause)))

    def give_up(self, key: str, attempt: Attempt) -> None:
        """Keep the count of a task that is not tried any more, on which no process works."""
        self.settle(key)
        self._write(key, replace(attempt, pid=0))

    def attempt(self, key: str) -> Attempt | None:
        """The attempt at a task that is under way, or was killed."""
        try:
            data = json.loads((self._attempts / key).read_text(encoding="utf-8"))
            return Attempt(**data | {"causes": tuple(data["causes"])})
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def attempts(self, campaign: str) -> Iterator[tuple[str, Attempt]]:
        """Attempts of a campaign that are under way or were killed, by key."""
        for key in _names(self._attempts):
            attempt = self.attempt(key)
            if attempt is not None and attempt.campaign == campaign:
                yield key, attempt

    def settle(self, key: str) -> None:
        """Forget attempts and progress of a task that has ended, well or not."""
        for folder in (self._attempts, self._progress):
            with contextlib.suppress(OSError):  # at worst a bar starts too far
                (folder / key).unlink(missing_ok=True)

    def known(self) -> set[str]:
        """Tasks with attempts or progress; killed ones are among them."""
        return {*_names(self._attempts), *_names(self._progress)}

    def report(self, key: str, fraction: float) -> None:
        """Leave word of how far a running task is."""
        temporary = self._progress / f"{key}.part"
        with contextlib.suppress(OSError):  # a lost word of progress is no reason to lose the work
            self._progress.mkdir(parents=True, exist_ok=True)
            temporary.write_text(f"{fraction:.4f}", encoding="utf-8")
            temporary.replace(self._progress / key)

    def running(self) -> dict[str, float]:
        """How far tasks are that left word: key -> 0 to 1. Killed ones may be among them."""
        found = {}
        for key in _names(self._progress):
            with contextlib.suppress(OSError, ValueError):  # it may end just now
                text = (self._progress / key).read_text(encoding="utf-8")
                found[key] = min(max(float(text), 0.0), 1.0)
        return found

    def last_word(self, key: str) -> int:
        """When the task last left word of its progress [ns, by the clock of the file system]; 0 if never."""
        try:
            return (self._progress / key).stat().st_mtime_ns
        except OSError:
            return 0

    def _write(self, key: str, attempt: Attempt) -> None:
        (self._attempts / key).write_text(json.dumps(asdict(attempt)), encoding="utf-8")


def _names(folder: Path) -> list[str]:
    """Files of a folder that are named by a key; none if there is no folder."""
    try:
        with os.scandir(folder) as found:
            return [entry.name for entry in found if KEY.fullmatch(entry.name)]
    except OSError:
        return []
