"""The files of published tables: found in the user's folders, or fetched and kept.

First ``$VITRINE_DATA/<folder>``, then the cache ``$VITRINE_TABLES/<folder>`` (by default in the user's
cache folder), then the set's home. Whatever is read is compared with its SHA-256 first.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import http.client
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vitrine.errors import DataError
from vitrine.simulate.published_tables import File, Published

HOME = "https://raw.githubusercontent.com"
"""where the repositories are; ``$VITRINE_TABLES_FROM`` names a mirror"""
TRIES = 3
"""of a download; what has arrived is not fetched again"""
TIMEOUT = 30
"""seconds without a byte"""
BLOCK = 1 << 16


def cache_folder() -> Path:
    """``$VITRINE_TABLES``, else a folder in the user's cache."""
    own = os.environ.get("VITRINE_TABLES")
    if own:
        return Path(own).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("vitrine") / "tables"


def data_folder() -> Path | None:
    """``$VITRINE_DATA``, if it is set."""
    own = os.environ.get("VITRINE_DATA")
    return Path(own).expanduser() if own else None


def address(table: Published, file: File) -> str | None:
    """Where a file can be fetched from; None if nowhere."""
    if table.home is None or file.path is None:
        return None
    base = os.environ.get("VITRINE_TABLES_FROM") or HOME
    return f"{base.rstrip('/')}/{table.home}/{file.path}"


def plain_name(file: File) -> str:
    """Name of the uncompressed file."""
    return file.name.removesuffix(".gz").removesuffix(".bz2")


def found(table: Published, file: File) -> Path | None:
    """Where a file lies: in ``VITRINE_DATA``, or in the cache."""
    for root in (data_folder(), cache_folder()):
        for name in dict.fromkeys((file.name, plain_name(file))):
            path = None if root is None else root / table.folder / name
            if path is not None and path.is_file():
                return path
    return None


def content(name: str, table: Published, file: File) -> bytes:
    """The uncompressed, checked content of a file of the set ``name``; fetched if need be.

    Raises
    ------
    DataError: it is not at hand and cannot be fetched, or it is not what was published.
    """
    path = found(table, file)
    if path is not None:
        data = uncompressed(path)
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 == file.sha256:
            return data
        if not path.is_relative_to(cache_folder()) or address(table, file) is None:
            raise DataError(
                f"{path} is not the published file of {name}: the SHA-256 of its content is {sha256}, not "
                f"{file.sha256}; take it away, or give it as a table of your own by its path"
            )
        path.unlink()
    return _fetched(name, table, file)


def uncompressed(path: Path) -> bytes:
    """Content of a plain, gzip or bzip2 file.

    Raises
    ------
    DataError: it cannot be read.
    """
    try:
        raw = path.read_bytes()
        return _expand(raw, path.name)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _expand(raw: bytes, name: str) -> bytes:
    if name.endswith(".gz"):
        return gzip.decompress(raw)
    return bz2.decompress(raw) if name.endswith(".bz2") else raw


def _fetched(name: str, table: Published, file: File) -> bytes:
    """Fetch a file, check it, keep it in the cache."""
    url = address(table, file)
    if url is None:
        raise DataError(f"{name} is not at hand, and it has no public home; {_where_to_put(table, file)}")
    try:
        raw = download(url, f"{name}: {plain_name(file)}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{name} is not at hand and cannot be fetched from {url} ({reason}); {_where_to_put(table, file)}"
        ) from error
    ending = url.rpartition("/")[2]
    try:
        data = _expand(raw, ending)
    except (OSError, EOFError, ValueError):
        data = raw  # then its checksum is wrong
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != file.sha256:
        raise DataError(
            f"what {url} gave for {name} is not the published file: the SHA-256 of its content is {sha256}, "
            f"not {file.sha256}; nothing was kept; try again, or {_where_to_put(table, file)}"
        )
    _keep(raw, cache_folder() / table.folder / (file.name if ending.endswith(".bz2") else plain_name(file)))
    return data


def _where_to_put(table: Published, file: File) -> str:
    data, names = data_folder(), dict.fromkeys((file.name, plain_name(file)))
    place = "$VITRINE_DATA" if data is None else str(data)
    unset = " (VITRINE_DATA is not set)" if data is None else ""
    return (
        f"put the file {' or '.join(names)} into {place}/{table.folder}{unset} or into "
        f"{cache_folder() / table.folder}"
    )


def _keep(raw: bytes, place: Path) -> None:
    """Write a file in one step; a cache that cannot be written is no fault of the data."""
    temporary = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(raw)
        temporary.replace(place)
    except OSError as error:
        raise DataError(
            f"cannot keep {place}: {error.strerror or error}; set VITRINE_TABLES to a folder that you may "
            "write to"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def download(url: str, title: str) -> bytes:
    """What is at an address, with a progress bar; a broken connection is taken up again where it broke.

    Raises
    ------
    OSError, http.client.HTTPException: nobody answers, or not with the file. ValueError: no address.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    if not url.startswith(("https://", "http://")):
        raise ValueError("an address begins with https:// or http://")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    arrived = bytearray()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        for left in reversed(range(TRIES)):
            try:
                for total in _stream(url, arrived):
                    bar.update(task, completed=len(arrived), total=total)
                return bytes(arrived)
            except (OSError, http.client.HTTPException) as error:
                final = getattr(error, "code", 500) < 500  # the server knows what it says
                if final or not left:
                    raise
    raise AssertionError("the last try returns or raises")


def _stream(url: str, arrived: bytearray) -> Iterator[int | None]:
    """Append to what has arrived; yields the size of the whole, if known, after each block."""
    from urllib.request import Request, urlopen

    asked = {"Range": f"bytes={len(arrived)}-"} if arrived else {}
    with urlopen(Request(url, headers=asked), timeout=TIMEOUT) as answer:  # noqa: S310 - https, see above
        if answer.status != 206:  # it begins at the beginning
            arrived.clear()
        rest = answer.headers.get("Content-Length")
        total = None if rest is None else len(arrived) + int(rest)
        while block := answer.read(BLOCK):
            arrived += block
            yield total
    if total is not None and len(arrived) < total:
        raise http.client.IncompleteRead(b"", total - len(arrived))
