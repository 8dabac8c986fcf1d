"""Tabulated EAM potentials (setfl: ``eam/alloy`` and ``eam/fs``), checked before LAMMPS reads them.

A table that was cut short would otherwise fail in each of a campaign's tasks.
https://docs.lammps.org/pair_eam.html
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

from vitrine.errors import DataError


def potential_elements(path: Path) -> tuple[str, ...]:
    """Elements that a setfl file describes (its fourth line).

    Raises
    ------
    DataError: the line is another one.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = [file.readline() for _ in range(4)]
    words = lines[3].split()
    if len(words) < 2 or not words[0].isascii() or not words[0].isdigit() or words[0] != str(len(words) - 1):
        raise DataError(
            f"{path}, line 4: expected the number of elements and their names, got {lines[3].strip()[:80]!r}"
        )
    return tuple(words[1:])


def check_setfl(path: Path, style: str) -> None:
    """Check that all tables are there and hold finite numbers.

    Parameters
    ----------
    style: ``eam/alloy``, with one electron density per element, or ``eam/fs``, with one per pair.

    Raises
    ------
    DataError: names the file, the line and what would be right.
    """
    state = path.stat()
    _check(path, style, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _check(path: Path, style: str, changed: int, size: int) -> None:
    elements = potential_elements(path)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        words = lines[4].split()
        n_density, n_distance = int(words[0]), int(words[2])
        steps = [float(words[1]), float(words[3]), float(words[4])]
        if not (n_density > 1 and n_distance > 1 and all(0 < step < math.inf for step in steps)):
            raise ValueError
    except (ValueError, IndexError):
        raise DataError(f"{path}, line 5: expected Nrho, drho, Nr, dr and the cut-off, all above 0") from None
    densities = len(elements) if style == "eam/fs" else 1
    place = 5
    for element in elements:
        _check_heading(path, lines, place, element, style)
        wanted = n_density + densities * n_distance
        place = _check_numbers(path, lines, place + 1, wanted, f"the tables of {element}")
    pairs = len(elements) * (len(elements) + 1) // 2
    _check_numbers(path, lines, place, pairs * n_distance, "the pair potentials")


def _check_heading(path: Path, lines: list[str], place: int, element: str, style: str) -> None:
    words = lines[place].split() if place < len(lines) else []
    try:
        if not (int(words[0]) >= 0 and 0 < float(words[1]) < math.inf and words[2:]):
            raise ValueError
    except (ValueError, IndexError):
        raise DataError(
            f"{path}, line {place + 1}: expected atomic number, mass, lattice constant and lattice of "
            f"{element}; is the file cut short, or not of the kind {style}?"
        ) from None


def _check_numbers(path: Path, lines: list[str], place: int, wanted: int, what: str) -> int:
    """Pass over a block of numbers; returns the line after it."""
    found = 0
    while found < wanted:
        if place >= len(lines):
            raise DataError(f"{path} is cut short: {what} should be {wanted} numbers, {found} are there")
        words = lines[place].split()
        try:
            finite = all(math.isfinite(float(word)) for word in words)
        except ValueError:
            finite = False
        if not finite or found + len(words) > wanted:
            raise DataError(
                f"{path}, line {place + 1}: {what} should be {wanted} finite numbers, {found} of them before "
                f"this line, which holds {lines[place].strip()[:60]!r}"
            )
        found += len(words)
        place += 1
    return place
