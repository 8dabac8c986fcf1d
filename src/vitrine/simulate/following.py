"""Follow the directions of a released file beyond their first events, without a new quench."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.errors import DataError
from vitrine.simulate.released_reader import opened, settings_of
from vitrine.simulate.sheared import read_following
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    from ase import Atoms

SAME_FIELD, SEEN_ABOVE = 1e-3, 0.05
"""Å^2: how far D2min of an atom above the second may be from the stored one in the same event."""
ARRAYS = ("positions", "cell", "types", "energy", "stress")


def short_of(items: Sequence[Atoms], strain: float, step: float) -> list[Atoms]:
    """Those that have not been followed to ``strain``, which counts in whole ``step``."""
    return [a for a in items if round(a.info.get("followed_to", 0.0) / step) < round(strain / step)]


def stored_largest_step(path: Path) -> float | None:
    """In what steps the elastic part was walked; None if there is no such file.

    Raises
    ------
    DataError: not a released file, or its settings name no step.
    """
    if not path.exists():
        return None
    with opened(path) as file:
        about = settings_of(file)
        return float(about.get("largest_step", about["strain_step"]))


def specimen_task(atoms: Atoms, elements: Sequence[str], version: int) -> Task:
    """The task that writes a stored specimen where shear expects it; its key is the content.

    Raises
    ------
    DataError: another element, or a cell that LAMMPS cannot take as it is.
    """
    from vitrine.physics import glass

    cell = np.asarray(atoms.cell, dtype=np.float64)
    if np.triu(cell, 1).any():
        raise DataError(f"the cell of {atoms.info['group']} should be lower triangular to be sheared again")
    symbols = atoms.get_chemical_symbols()
    foreign = sorted(set(symbols) - set(elements))
    if foreign:
        raise DataError(f"{atoms.info['group']} holds {foreign[0]}, which is not among the elements")
    types = np.array([list(elements).index(symbol) + 1 for symbol in symbols])
    arguments: dict[str, Any] = {
        "positions": atoms.positions,
        "cell": cell,
        "types": types,
        "energy": atoms.arrays["energy"],
        "stress": atoms.arrays["stress"],
    }
    total = hashlib.sha256()
    for name in ARRAYS:
        total.update(np.ascontiguousarray(arguments[name]).tobytes())
    recipe = {"version": version, "elements": list(elements), "sha256": total.hexdigest()}
    return Task(atoms.info["group"], "specimen", recipe, glass.place, arguments)


def follow_tasks(
    items: Sequence[Atoms],
    elements: Sequence[str],
    version: int,
    shear_task: Callable[[str, str, Task], Task],
) -> list[Task]:
    """One task per sample; each needs its stored specimen, and the specimen is placed once.

    shear_task: makes a task of label, direction and the specimen's task.
    """
    placed: dict[str, Task] = {}
    tasks = []
    for atoms in items:
        name = atoms.info["group"]
        if name not in placed:
            placed[name] = specimen_task(atoms, elements, version)
        tasks.append(shear_task(atoms.info["id"], atoms.info["direction"], placed[name]))
    return tasks


def followed(stored: Atoms, outcome: Outcome) -> Atoms:
    """The stored sample with ``first_strain``, if the simulation found the same first event.

    Raises
    ------
    DataError: it found another one, or failed; the message says how they differ.
    """
    if outcome.folder is None:
        raise DataError(outcome.error or "failed")
    event = json.loads((outcome.folder / "event.json").read_text(encoding="utf-8"))
    if not event["found"]:
        raise DataError(f"no event up to strain {event['strain']:g}, the file has one")
    was = (stored.info["event_strain"], stored.info["event_atoms"])
    now = (float(event["strain"]), int(event["atoms"]))
    if abs(was[0] - now[0]) > 1e-9 or was[1] != now[1]:
        raise DataError(
            f"its first event is another: {now[1]} atoms at strain {now[0]:g}, "
            f"in the file {was[1]} at {was[0]:g}"
        )
    with np.load(outcome.folder / "event.npz", allow_pickle=False) as file:
        field = file["d2min"].astype(np.float64)
    seen = (field > SEEN_ABOVE) | (stored.arrays["d2min"] > SEEN_ABOVE)
    apart = float(abs(field - stored.arrays["d2min"])[seen].max(initial=0.0))
    if apart > SAME_FIELD:
        raise DataError(f"its first event is another: D2min of an atom differs by {apart:.2g} Å^2")
    result: Atoms = stored.copy()
    arrays, info = read_following(outcome.folder, event)
    result.arrays |= arrays
    result.info |= info
    return result
