"""A list of a store's entries, so that 100,000 of them are told in a second.

A line per entry, appended when it is finished. It saves reading every marker and is never
trusted alone: a line counts if the marker is there and has the size and time that the line says.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "index.jsonl"
LINE = 3500
"""Bytes of the longest line: several commands append to one file, and short writes stay whole."""
STALE = 100
"""Markers that had to be read before it is worth writing the list anew."""


@dataclass(frozen=True)
class Line:
    """What the list says of an entry: size in bytes; size and time [ns] of its marker."""

    kind: str
    label: str
    size: int
    marker_size: int
    marker_time: int

    def fits(self, marker: os.stat_result) -> bool:
        """Whether the marker is the one that the line was written for."""
        return (self.marker_size, self.marker_time) == (marker.st_size, marker.st_mtime_ns)


def append(root: Path, key: str, line: Line) -> None:
    """Add a line; what cannot be written is read from the marker later."""
    text = _text(key, line)
    with contextlib.suppress(OSError):
        number = os.open(root / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if len(text) <= LINE:
                os.write(number, text)
        finally:
            os.close(number)


def read(root: Path) -> dict[str, Line]:
    """Key -> the last line about it that can be read; empty if there is no list."""
    try:
        content = (root / NAME).read_bytes()
    except OSError:
        return {}
    return dict(_lines(content))


def _lines(content: bytes) -> Iterator[tuple[str, Line]]:
    for text in content.splitlines():
        try:
            key, kind, label, size, marker_size, marker_time = json.loads(text)
            yield str(key), Line(str(kind), str(label), int(size), int(marker_size), int(marker_time))
        except (ValueError, TypeError, RecursionError):
            continue  # cut short by a killed command or a full disk


def write(root: Path, lines: Mapping[str, Line]) -> None:
    """Write the list anew. Lines that others append meanwhile are lost, and read from markers later."""
    temporary = root / f"{NAME}.{os.getpid()}.part"
    try:
        temporary.write_bytes(b"".join(_text(key, line) for key, line in lines.items()))
        temporary.replace(root / NAME)
    except OSError:  # the store may be one that can only be read
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _text(key: str, line: Line) -> bytes:
    words = [key, line.kind, line.label, line.size, line.marker_size, line.marker_time]
    return json.dumps(words).encode() + b"\n"
