"""The content-addressed store: one folder per finished task, named by what determines it.

Layout under the root::

    entries/ab/abcdef.../        finished: the files and entry.json, the marker with checksums
    partial/abcdef.../           unfinished work of a task, continued by the next attempt
    locks/abcdef....lock         one lock per entry, so that two commands can share a store
    progress/abcdef...           finished fraction of a running task
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitrine.errors import DataError
from vitrine.samples import hash_file

MARKER = "entry.json"


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
        self.root = root

    def folder(self, key: str) -> Path:
        """Where the entry of this key is, or will be."""
        return self.root / "entries" / key[:2] / key

    def find(self, key: str) -> tuple[Path | None, str | None]:
        """The folder of a finished, intact entry; else None and what is wrong, if anything."""
        folder = self.folder(key)
        marker = folder / MARKER
        if not folder.exists():
            return None, None
        try:
            meta = json.loads(marker.read_text(encoding="utf-8"))
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
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return None, f"its marker cannot be read ({error})"
        return folder, None

    def discard(self, key: str) -> None:
        """Remove an entry."""
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def partial(self, key: str) -> Path:
        """Folder for the unfinished work of a task (made)."""
        path = self.root / "partial" / key
        self._make(path)
        return path

    def drop_partial(self, key: str) -> None:
        """Throw the unfinished work of a task away."""
        shutil.rmtree(self.root / "partial" / key, ignore_errors=True)

    def finish(self, key: str, kind: str, label: str, recipe: dict[str, Any], seconds: float) -> Path:
        """Turn the unfinished folder into an entry: marker last, then one rename."""
        partial = self.root / "partial" / key
        files = {
            path.relative_to(partial).as_posix(): (path.stat().st_size, hash_file(path))
            for path in sorted(partial.rglob("*"))
            if path.is_file() and path.name != MARKER
        }
        meta = {
            "key": key,
            "kind": kind,
            "label": label,
            "recipe": recipe,
            "seconds": round(seconds, 3),
            "files": files,
        }
        (partial / MARKER).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        final = self.folder(key)
        self._make(final.parent)
        shutil.rmtree(final, ignore_errors=True)
        partial.replace(final)
        (self.root / "progress" / key).unlink(missing_ok=True)
        return final

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the lock of an entry; released by the system when the process dies."""
        from filelock import FileLock

        folder = self.root / "locks"
        self._make(folder)
        with FileLock(folder / f"{key}.lock"):
            yield

    def report_progress(self, key: str, fraction: float) -> None:
        """Leave word of how far a running task is."""
        folder = self.root / "progress"
        self._make(folder)
        temporary = folder / f"{key}.part"
        temporary.write_text(f"{fraction:.4f}", encoding="utf-8")
        temporary.replace(folder / key)

    def progress(self, key: str) -> float:
        """How far a running task is, 0 to 1."""
        try:
            return float((self.root / "progress" / key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return 0.0

    def entries(self) -> Iterator[Entry]:
        """All finished entries (unchecked), in order of key."""
        for marker in sorted((self.root / "entries").glob(f"*/*/{MARKER}")):
            try:
                meta = json.loads(marker.read_text(encoding="utf-8"))
                size = sum(size for size, _ in meta["files"].values())
                yield Entry(meta["key"], meta["kind"], meta["label"], marker.parent, size)
            except (ValueError, KeyError, TypeError):
                continue

    def prune(self) -> int:
        """Remove unfinished work, broken entries and stale locks; return how many went."""
        gone = 0
        for folder in (self.root / "entries").glob("*/*"):
            if self.find(folder.name)[0] is None:
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
        for folder in (self.root / "partial").glob("*"):
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
        return gone

    @staticmethod
    def _make(folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cannot write to the store: {error.strerror or error} ({folder}); "
                "set VITRINE_STORE or --store to a folder with room that you may write to"
            ) from error
