"""The content-addressed store: one folder per finished task, named by what determines it.

Layout under the root::

    entries/ab/abcdef.../        finished: the files and entry.json, the marker with checksums
    partial/abcdef.../           unfinished work of a task, continued by the next attempt
    locks/abcdef....lock         one lock per entry, so that two commands can share a store
    progress/abcdef...           finished fraction of a running task
    attempts/abcdef...           campaign and number of an attempt that is under way or was killed
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitrine.errors import DataError
from vitrine.samples import hash_file

MARKER = "entry.json"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""Errors of the disk, not of the work."""
_KEY = re.compile(r"[0-9a-f]{64}")
_ADVICE = "set VITRINE_STORE or --store to a folder with room that you may write to"


@dataclass(frozen=True)
class Entry:
    """A finished entry as its marker describes it."""

    key: str
    kind: str
    label: str
    folder: Path
    size: int
    """bytes"""


def default_root() -> Path:
    """``$VITRINE_STORE``, else the user's cache folder."""
    own = os.environ.get("VITRINE_STORE")
    if own:
        return Path(own).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("vitrine")) / "store"


class Store:
    """Finished work, found again by key.

    Parameters
    ----------
    root: folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        # workers of a cluster may have another working directory
        self.root = root.expanduser().absolute()

    def check_writable(self) -> None:
        """Make the root and write a file there.

        Raises
        ------
        DataError: that is not possible.
        """
        self._make(self.root)
        probe = self.root / f".probe-{os.getpid()}"
        try:
            probe.write_text("vitrine", encoding="utf-8")
            probe.unlink()
        except OSError as error:
            raise self._unwritable(error, self.root) from error

    def folder(self, key: str) -> Path:
        """Where the entry of this key is, or will be."""
        return self.root / "entries" / key[:2] / key

    def find(self, key: str) -> tuple[Path | None, str | None]:
        """The folder of a finished, intact entry; else None and what is wrong, if anything."""
        folder = self.folder(key)
        if not os.path.lexists(folder):
            return None, None
        try:
            meta = json.loads((folder / MARKER).read_text(encoding="utf-8"))
            if meta["key"] != key:
                return None, "its marker belongs to another entry"
            for name, (size, checksum) in meta["files"].items():
                path = folder / name
                if not path.is_file():
                    return None, f"{name} is missing"
                if path.stat().st_size != size or hash_file(path) != checksum:
                    return None, f"the checksum of {name} is wrong"
        except FileNotFoundError:
            return None, "its finished marker is missing"
        except (NotADirectoryError, IsADirectoryError):
            return None, "it is not a folder with a marker"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return None, f"its marker cannot be read ({error})"
        return folder, None

    def discard(self, key: str) -> None:
        """Remove an entry."""
        _remove(self.folder(key))

    def partial(self, key: str) -> Path:
        """Folder for the unfinished work of a task (made)."""
        path = self.root / "partial" / key
        self._make(path)
        return path

    def drop_partial(self, key: str) -> None:
        """Throw the unfinished work of a task away."""
        _remove(self.root / "partial" / key)

    def finish(self, key: str, kind: str, label: str, recipe: dict[str, Any], seconds: float) -> Path:
        """Turn the unfinished folder into an entry: marker last, then one rename."""
        partial = self.root / "partial" / key
        marker = partial / MARKER
        files = {
            path.relative_to(partial).as_posix(): (path.stat().st_size, hash_file(path))
            for path in sorted(partial.rglob("*"))
            if path.is_file() and path != marker
        }
        meta = {
            "key": key,
            "kind": kind,
            "label": label,
            "recipe": recipe,
            "seconds": round(seconds, 3),
            "files": files,
        }
        marker.write_text(json.dumps(meta, indent=1), encoding="utf-8")
        final = self.folder(key)
        self._make(final.parent)
        _remove(final)
        partial.replace(final)
        return final

    @contextmanager
    def lock(self, key: str, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of an entry; the system releases it when the process dies.

        Yields
        ------
        Whether it is held: False only without ``wait``, when another process holds it.

        Raises
        ------
        DataError: there is no room for it, or the file system knows no locks.
        """
        from filelock import FileLock, Timeout

        folder = self.root / "locks"
        self._make(folder)
        lock = FileLock(folder / f"{key}.lock", timeout=-1 if wait else 0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except NotImplementedError as error:
            raise DataError(f"the file system of {self.root} has no file locks; {_ADVICE}") from error
        try:
            yield True
        finally:
            lock.release()

    def begin_attempt(self, key: str, campaign: str) -> int:
        """Count an attempt at a task; attempts that :meth:`settle` saw the end of do not count."""
        path = self.root / "attempts" / key
        self._make(path.parent)
        try:
            name, _, count = path.read_text(encoding="utf-8").partition(" ")
            number = 1 + int(count) if name == campaign else 1
        except (FileNotFoundError, ValueError):
            number = 1
        path.write_text(f"{campaign} {number}", encoding="utf-8")
        return number

    def settle(self, key: str) -> None:
        """Forget attempts and progress of a task that has ended, well or not."""
        for folder in ("attempts", "progress"):
            with contextlib.suppress(OSError):  # at worst a bar starts too far
                (self.root / folder / key).unlink(missing_ok=True)

    def report_progress(self, key: str, fraction: float) -> None:
        """Leave word of how far a running task is."""
        folder = self.root / "progress"
        temporary = folder / f"{key}.part"
        with contextlib.suppress(OSError):  # a lost word of progress is no reason to lose the work
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(f"{fraction:.4f}", encoding="utf-8")
            temporary.replace(folder / key)

    def running(self) -> dict[str, float]:
        """How far tasks are that left word: key -> 0 to 1. Killed ones may be among them."""
        found = {}
        try:
            for path in (self.root / "progress").iterdir():
                if _KEY.fullmatch(path.name):
                    with contextlib.suppress(OSError, ValueError):  # it may end just now
                        found[path.name] = min(max(float(path.read_text(encoding="utf-8")), 0.0), 1.0)
        except OSError:
            return {}
        return found

    def entries(self) -> Iterator[Entry]:
        """All finished entries (unchecked), in order of key."""
        for marker in sorted((self.root / "entries").glob(f"*/*/{MARKER}")):
            try:
                meta = json.loads(marker.read_text(encoding="utf-8"))
                size = sum(int(size) for size, _ in meta["files"].values())
                yield Entry(str(meta["key"]), str(meta["kind"]), str(meta["label"]), marker.parent, size)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue  # `prune` removes it

    def prune(self) -> Counter[str]:
        """Remove unfinished work and broken entries; what a running command works on stays.

        Returns
        -------
        How many went: ``unfinished``, ``broken``, and ``in use`` for what stayed.
        """
        counts: Counter[str] = Counter()
        for path in sorted((self.root / "entries").glob("*/*")):
            key = path.name
            if _KEY.fullmatch(key) and path == self.folder(key) and self.find(key)[0] is None:
                with self.lock(key, wait=False) as held:
                    if held and self.find(key)[0] is None:
                        self.discard(key)
                        counts["broken"] += 1
        for path in sorted((self.root / "partial").glob("*")):
            with self.lock(path.name, wait=False) as held:
                counts["unfinished" if held else "in use"] += 1
                if held:
                    _remove(path)
                    self.settle(path.name)
        return counts

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error, folder) from error

    @staticmethod
    def _unwritable(error: OSError, folder: Path) -> DataError:
        return DataError(f"cannot write to the store: {error.strerror or error} ({folder}); {_ADVICE}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # what cannot be removed is met again by the rename
            path.unlink(missing_ok=True)
