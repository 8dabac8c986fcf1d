"""What a finished shear task left, as a sample."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.simulate.released_reader import rounded_strains

if TYPE_CHECKING:
    from ase import Atoms


def sheared_atoms(specimen_folder: Path, folder: Path, elements: Sequence[str], label: str) -> Atoms:
    """The specimen with the event of a direction, as :func:`vitrine.simulate.metallic_glass.glass_samples`.

    Parameters
    ----------
    specimen_folder, folder: of the quench and of the shear task, whose event was found.
    elements: of types 1, 2, ... label: ``<specimen>/<direction>``.
    """
    from ase import Atoms

    from vitrine.physics.glass import SPECIMEN, SPECIMEN_META, load_configuration

    found = load_configuration(specimen_folder / SPECIMEN)
    event = json.loads((folder / "event.json").read_text(encoding="utf-8"))
    atoms = Atoms(
        symbols=[elements[t - 1] for t in found.types], positions=found.positions, cell=found.cell, pbc=True
    )
    with np.load(folder / "event.npz", allow_pickle=False) as file:
        field = file["d2min"].astype(np.float64)
    arrays, info = read_following(folder, event)
    atoms.arrays |= {"energy": found.energy, "stress": found.stress, "d2min": field, **arrays}
    specimen, direction = label.split("/")
    atoms.info |= {
        "id": label,
        "group": specimen,
        "direction": direction,
        "event_strain": round(float(event["strain"]), 12),
        "event_atoms": int(event["atoms"]),
        **info,
    }
    meta = specimen_folder / SPECIMEN_META
    if meta.exists():
        atoms.info["swap_acceptance"] = json.loads(meta.read_text(encoding="utf-8"))["swap_acceptance"]
    return atoms


def read_following(folder: Path, event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Per-atom arrays and info of a followed direction; empty if it was not followed."""
    if "followed_to" not in event:
        return {}, {}
    with np.load(folder / "event.npz", allow_pickle=False) as file:
        first = rounded_strains(file["first_strain"])
    info = {"followed_to": float(event["followed_to"]), "follow_step": float(event["follow_step"])}
    return {"first_strain": first}, info
