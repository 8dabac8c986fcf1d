"""Per-atom fields of a user's own configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError

if TYPE_CHECKING:
    from ase import Atoms


def measure_frames(frames: list[Atoms], fields: Sequence[str], cutoff: float, where: str) -> None:
    """Add named per-atom arrays in place.

    ``voronoi``: ``voronoi_volume`` (n,) Å^3, ``voronoi_index`` (n, 4) numbers of faces with 3 to 6
    edges, ``icosahedron`` (n,) 0 or 1. ``d2min``: (n,) Å^2 with respect to the frame before (0 in
    the first one).

    Raises
    ------
    DataError: D2min of a single frame, or of frames with different atoms.
    """
    from vitrine.physics.d2min import d2min
    from vitrine.physics.voronoi import icosahedral, voronoi

    if "d2min" in fields and len(frames) < 2:
        raise DataError(f"{where}: D2min compares two frames, this file has one")
    for number, atoms in enumerate(frames):
        if "voronoi" in fields:
            cells = voronoi(atoms.positions, np.asarray(atoms.cell))
            atoms.arrays["voronoi_volume"] = cells.volume
            atoms.arrays["voronoi_index"] = cells.index
            atoms.arrays["icosahedron"] = icosahedral(cells.index, cells.n_faces).astype(np.int64)
        if "d2min" in fields:
            if number == 0:
                atoms.arrays["d2min"] = np.zeros(len(atoms))
                continue
            before = frames[number - 1]
            if len(before) != len(atoms):
                raise DataError(
                    f"{where}: frame {number + 1} has {len(atoms)} atoms, the one before {len(before)}"
                )
            atoms.arrays["d2min"] = d2min(
                before.positions, atoms.positions, np.asarray(before.cell), np.asarray(atoms.cell), cutoff=cutoff
            )
