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

    Parameters
    ----------
    cutoff: Å, neighbours in D2min. where: name of the file, for messages.

    Raises
    ------
    DataError: D2min of a single frame, of frames with different atoms or with atoms in another
        order; a configuration that cannot be tessellated.
    """
    from vitrine.physics.d2min import d2min

    if "d2min" in fields and len(frames) < 2:
        raise DataError(f"{where}: D2min compares two frames, this file has one")
    for number, atoms in enumerate(frames):
        here = f"{where}, frame {number + 1}"
        if "voronoi" in fields:
            _add_voronoi(atoms, here)
        if "d2min" in fields:
            before = frames[max(number - 1, 0)]
            _check_same_atoms(before, atoms, here)
            atoms.arrays["d2min"] = d2min(
                before.positions,
                atoms.positions,
                np.asarray(before.cell),
                np.asarray(atoms.cell),
                cutoff=cutoff,
            )


def _add_voronoi(atoms: Atoms, here: str) -> None:
    from vitrine.physics.voronoi import icosahedral, voronoi

    try:
        cells = voronoi(atoms.positions, np.asarray(atoms.cell))
    except DataError as error:
        raise DataError(f"{here}: {error}") from error
    atoms.arrays["voronoi_volume"] = cells.volume
    atoms.arrays["voronoi_index"] = cells.index
    atoms.arrays["icosahedron"] = icosahedral(cells.index, cells.n_faces).astype(np.int64)


def _check_same_atoms(before: Atoms, atoms: Atoms, here: str) -> None:
    if len(before) != len(atoms):
        raise DataError(f"{here} has {len(atoms)} atoms, the one before {len(before)}")
    for name in ("id", "numbers"):
        if name not in before.arrays or name not in atoms.arrays:
            continue
        differ = np.flatnonzero(before.arrays[name] != atoms.arrays[name])
        if len(differ):
            raise DataError(
                f"{here}: atom {differ[0] + 1} is another one than in the frame before; "
                "D2min needs the same atoms in the same order"
            )
