"""The content-addressed store: one folder per finished task, named by what determines it.

Layout under the root::

    entries/ab/abcdef.../        finished: the files and entry.json, the marker with checksums
    partial/abcdef.../           unfinished work of a task, continued by the next attempt
    locks/abcdef....lock         one lock per entry, so that two commands can share a store
    progress/abcdef...           finished fraction of a running task
    attempts/abcdef...           an attempt that is under way or was killed
    index.jsonl                  a line per entry, for listing; never trusted without the entry
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitrine.arrays import hash_file
from vitrine.campaign import index
from vitrine.campaign.locks import UNKNOWN, hold
from vitrine.campaign.underway import KEY, Underway
from vitrine.errors import StoreError

MARKER = "entry.json"
MARKER_FORMAT = 1
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""Errors of the disk, not of the work."""
ADVICE = "set VITRINE_STORE or --store to a folder with room that you may write to"
_ROOM = 65536
"""bytes that are written to see whether there is room"""
_OF_THE_SYSTEM = ".nfs"
"""Files of this beginning are what a network file system keeps of removed ones."""


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
        self.underway = Underway(self.root)

    def check_writable(self) -> None:
        """Make the root and write a file there.

        Raises
        ------
        StoreError: that is not possible.
        """
        self._make(self.root)
        probe = self.root / f".probe-{os.getpid()}-{threading.get_ident()}"
        try:
            probe.write_bytes(bytes(_ROOM))
        except OSError as error:
            raise self.unwritable(error, self.root) from error
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

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
            if meta.get("format", MARKER_FORMAT) != MARKER_FORMAT:
                return None, f"its marker has format {meta['format']}, not {MARKER_FORMAT}"
            trouble = _compare(folder, meta["files"])
        except FileNotFoundError:
            return None, "its finished marker is missing"
        except (NotADirectoryError, IsADirectoryError):
            return None, "it is not a folder with a marker"
        except OSError as error:
            return None, f"it cannot be read ({error.strerror or error})"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return None, f"its marker cannot be read ({error})"
        return (folder, None) if trouble is None else (None, trouble)

    def seconds(self, key: str) -> float:
        """How long the work of a finished entry took; 0 where its marker does not say."""
        try:
            return float(json.loads((self.folder(key) / MARKER).read_text(encoding="utf-8"))["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0

    def discard(self, key: str) -> None:
        """Remove an entry."""
        _remove(self.folder(key))

    def partial(self, key: str) -> Path:
        """Folder for the unfinished work of a task (made)."""
        path = self.root / "partial" / key
        if path.is_symlink() or not path.is_dir():
            _remove(path)  # something else in its place
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
            name: ((partial / name).stat().st_size, hash_file(partial / name))
            for name in sorted(_files(partial))
        }
        meta = {
            "format": MARKER_FORMAT,
            "key": key,
            "kind": kind,
            "label": label,
            "recipe": recipe,
            "seconds": round(seconds, 3),
            "files": files,
        }
        marker.write_text(json.dumps(meta, indent=1), encoding="utf-8")
        told = marker.stat()
        final = self.folder(key)
        self._make(final.parent)
        _remove(final)
        partial.replace(final)
        size = sum(size for size, _ in files.values())
        index.append(self.root, key, index.Line(kind, label, size, told.st_size, told.st_mtime_ns))
        return final

    @contextmanager
    def lock(self, key: str, wait: bool = True, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
        """Hold the lock of an entry; the system releases it when the process dies.

        Parameters
        ----------
        waiting: called once if another process holds it.

        Yields
        ------
        Whether it is held: False only without ``wait``, when another process holds it.

        Raises
        ------
        StoreError: there is no room for it, or the file system knows no locks.
        """
        folder = self.root / "locks"
        self._make(folder)
        # what goes wrong inside is of the task and not of the lock
        with contextlib.ExitStack() as stack:
            try:
                held = stack.enter_context(hold(folder / f"{key}.lock", wait, waiting))
            except OSError as error:
                if error.errno in UNKNOWN:
                    words = f"the file system of {self.root} has no file locks; {ADVICE}"
                    raise StoreError(words) from error
                raise self.unwritable(error, folder) from error
            yield held

    def report_progress(self, key: str, fraction: float) -> None:
        """Leave word of how far a running task is."""
        self.underway.report(key, fraction)

    def entries(self) -> Iterator[Entry]:
        """All finished entries (unchecked), in order of key."""
        told = index.read(self.root)
        fresh: dict[str, index.Line] = {}
        for folder in _children(self.root / "entries"):
            for key in _children(folder.path):
                line = told.pop(key.name, None)
                try:
                    marker = os.stat(f"{key.path}/{MARKER}")  # noqa: PTH116 - paths are dear here
                    if line is None or not line.fits(marker):
                        line = fresh[key.name] = _read_marker(Path(key.path), marker)
                except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    continue  # `prune` removes it
                yield Entry(key.name, line.kind, line.label, Path(key.path), line.size)
        if len(fresh) > index.STALE:
            index.write(self.root, {**index.read(self.root), **fresh})

    def prune(self) -> Counter[str]:
        """Remove unfinished work and broken entries; what a running command works on stays.

        Returns
        -------
        How many went: ``unfinished``, ``broken``, and ``in use`` for what stayed.
        """
        counts: Counter[str] = Counter()
        for path in sorted((self.root / "entries").glob("*/*")):
            key = path.name
            if KEY.fullmatch(key) and path == self.folder(key) and self.find(key)[0] is None:
                with self.lock(key, wait=False) as held:
                    if held and self.find(key)[0] is None:
                        self.discard(key)
                        counts["broken"] += 1
        for path in sorted((self.root / "partial").glob("*")):
            with self.lock(path.name, wait=False) as held:
                counts["unfinished" if held else "in use"] += 1
                if held:
                    _remove(path)
        for key in self.underway.known():
            with self.lock(key, wait=False) as held:
                if held:
                    self.underway.settle(key)
        return counts

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.unwritable(error, folder) from error

    @staticmethod
    def unwritable(error: OSError, place: Path) -> StoreError:
        """What to say when the store cannot be written to."""
        return StoreError(
            f"cannot write to the store: {error.strerror or error} ({error.filename or place}); {ADVICE}"
        )


def _files(folder: Path) -> Iterator[str]:
    """Names of all files of an entry but its marker, relative to its folder."""
    for place, _, names in os.walk(folder):
        below = Path(place).relative_to(folder)
        for name in names:
            path = (below / name).as_posix()
            if path != MARKER and not name.startswith(_OF_THE_SYSTEM):
                yield path


def _compare(folder: Path, files: dict[str, list[Any]]) -> str | None:
    """What is wrong with the files of an entry, compared with those that its marker names."""
    there = set(_files(folder))
    missing = sorted(files.keys() - there)
    if missing:
        return f"{missing[0]} is missing"
    foreign = sorted(there - files.keys())
    if foreign:
        return f"{foreign[0]} does not belong to it"
    for name, (size, checksum) in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size or hash_file(path) != checksum:
            return f"the checksum of {name} is wrong"
    return None


def _read_marker(folder: Path, stat: os.stat_result) -> index.Line:
    """What the list says of an entry, from its marker."""
    meta = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    size = sum(int(size) for size, _ in meta["files"].values())
    if meta["key"] != folder.name:
        raise ValueError("the marker of another entry")
    return index.Line(str(meta["kind"]), str(meta["label"]), size, stat.st_size, stat.st_mtime_ns)


def _children(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder, in order of name; nothing if there is no folder."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # what cannot be removed is met again by the rename
            path.unlink(missing_ok=True)
