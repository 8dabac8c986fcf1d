"""Arrays on disk: .npz files without pickles, and checksums of files."""

from __future__ import annotations

import hashlib
import math
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError


def load_arrays(path: Path, what: str = "arrays") -> dict[str, Any]:
    """All arrays of an .npz file; no pickle, and no room for more than the file holds.

    Parameters
    ----------
    what: it should hold, for messages.

    Raises
    ------
    DataError: there is no such file, or it is damaged.
    """
    try:
        with ZipFile(path) as packed:
            for entry in packed.infolist():
                with packed.open(entry) as member:
                    _check_head(member, entry.file_size)
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    # what zipfile and numpy raise where bytes are not what they should be
    except (
        OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, MemoryError, NotImplementedError,
        RuntimeError, OverflowError, SyntaxError, zlib.error,
    ) as error:  # fmt: skip
        raise DataError(f"{path} holds no {what}: {error or type(error).__name__}") from error


def save_arrays(path: Path, **arrays: NDArray[Any] | float) -> None:
    """Write an .npz file, complete or not at all."""
    temporary = path.with_name(f"{path.stem}.part.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def _check_head(member: Any, size: int) -> None:
    version = np.lib.format.read_magic(member)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[
        version
    ]
    shape, _, dtype = reader(member)
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"an array of {shape} is announced, which is not there")


def hash_file(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()
