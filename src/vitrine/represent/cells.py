"""Voronoi cells of a configuration as they are stored, and means over the neighbours in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase import Atoms


def structure_key(atoms: Atoms) -> str:
    """SHA-256 of positions, cell and elements, 64 hex digits."""
    import numpy as np

    total = hashlib.sha256()
    for array in (atoms.positions, np.asarray(atoms.cell), atoms.numbers):
        total.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    return total.hexdigest()


def store_voronoi(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    positions: Any,
    cell: Any,
    vectors: bool = False,
    **settings: Any,
) -> None:
    """Write ``voronoi.npz``: volume (n,) Å^3, index (n, 4), icosahedral (n,), neighbours (2, n_edges).

    With ``vectors`` also vector (n_edges, 3) Å, from centre to neighbour.
    """
    import numpy as np

    from vitrine.physics.voronoi import icosahedral, voronoi

    cells = voronoi(positions, cell, **settings)
    arrays: dict[str, Any] = {"vector": cells.vector} if vectors else {}
    np.savez(
        folder / "voronoi.npz",
        volume=cells.volume,
        index=cells.index,
        icosahedral=icosahedral(cells.index, cells.n_faces),
        neighbours=cells.neighbours,
        **arrays,
    )


def neighbour_means(features: Any, neighbours: Any) -> Any:
    """(n, n_features): mean over each atom's neighbours; its own value where it has none."""
    import numpy as np

    centre, other = neighbours
    count = np.bincount(centre, minlength=len(features))
    total = np.stack([np.bincount(centre, column[other], len(features)) for column in features.T], axis=1)
    return np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], features)
