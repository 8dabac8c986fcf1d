"""Force evaluations to the first event: adaptive steps against equal ones; rows for ``run.py``.

Two directions of the first released specimen. The peer is the paper's procedure: steps of 1e-4 up to a
strain of 0.04, whether an event has come or not.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

DIRECTIONS = ("xy", "-yz")


def _walk(folder: Path, atoms: Any, direction: str, **settings: float) -> dict[str, Any]:
    from vitrine.physics.glass import place
    from vitrine.physics.shear import shear

    (folder / "in").mkdir(parents=True)
    elements = ("Cu", "Zr")
    types = np.array([elements.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()])
    place(
        folder / "in",
        [],
        lambda done: None,
        positions=atoms.positions,
        cell=np.asarray(atoms.cell),
        types=types,
        energy=atoms.arrays["energy"],
        stress=atoms.arrays["stress"],
    )
    shear(
        folder,
        [folder / "in"],
        lambda done: None,
        direction=direction,
        elements=elements,
        potential="CuZr_mm.eam.fs",
        strain_step=1e-4,
        force_tolerance=1e-4,
        min_cluster=3,
        cutoff=3.8,
        **settings,
    )
    found: dict[str, Any] = json.loads((folder / "event.json").read_text())
    return found


def rows() -> Iterator[str]:
    """Lines of the table."""
    from vitrine.simulate.released import find_released, read_released

    samples = read_released(find_released("cu64zr36-n500"), 1)
    chosen = {atoms.info["direction"]: atoms for atoms in samples.items}
    for direction in DIRECTIONS:
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            atoms = chosen[direction]
            adaptive = _walk(root / "a", atoms, direction, largest_step=1e-3, max_strain=0.06, threshold=0.1)
            # a threshold that nothing reaches: the walk goes on to its end
            equal = _walk(root / "b", atoms, direction, largest_step=1e-4, max_strain=0.04, threshold=1e9)
        ours, peer = adaptive["iterations"], equal["iterations"]
        yield (
            f"| Force evaluations to the first event, {direction} | 500 atoms | {ours:,} | {peer:,} | steps "
            f"of 1e-4 to 0.04; event at {adaptive['strain']:g}, stored {atoms.info['event_strain']:g}; at "
            f"least 5 | {peer / ours:.1f} |"
        )
