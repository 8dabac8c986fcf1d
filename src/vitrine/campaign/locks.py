"""Locks that the system lets go when their holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

UNKNOWN = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})
"""Errors of file systems that know no locks."""


@contextmanager
def hold(path: Path, wait: bool = True, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold the lock of a file, which is made and stays: removing it would let two hold it.

    Parameters
    ----------
    wait: until it is free.
    waiting: called once if it is not free.

    Yields
    ------
    Whether it is held: False only without ``wait``, when another process (or thread) holds it.

    Raises
    ------
    OSError: the file cannot be made, or its file system knows no locks (:data:`UNKNOWN`).
    """
    number = _open(path)
    try:
        yield _acquire(number, wait, waiting)
    finally:
        os.close(number)  # and the lock with it


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:  # made by another user of the store: it can be locked all the same
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _acquire(number: int, wait: bool, waiting: Callable[[], None] | None) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno not in {errno.EAGAIN, errno.EACCES}:
            raise
    if not wait:
        return False
    if waiting is not None:
        waiting()
    fcntl.flock(number, fcntl.LOCK_EX)
    return True
