"""Bonds, stress, stiffness, response and load of a configuration as vectors and tensors in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vitrine.errors import DataError
from vitrine.represent.softness import load_stiffness, response_vectors

if TYPE_CHECKING:
    from ase import Atoms


def stress_over_volume(atoms: Atoms, volume: Any) -> Any:
    """(n, 3, 3) GPa: stress of each atom over its Voronoi volume."""
    import numpy as np

    from vitrine.physics.rotation import voigt_to_matrix
    from vitrine.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

    stress = voigt_to_matrix(np.asarray(atoms.arrays["stress"], dtype=np.float64))
    return stress / volume[:, None, None] * EV_PER_CUBIC_ANGSTROM_IN_GPA


def space_of(
    atoms: Atoms, cells: Mapping[str, Any], *, relaxed: bool | None, response: bool
) -> dict[str, Any]:
    """Fields of :class:`vitrine.samples.Examples` for the load in ``atoms.info["direction"]``.

    All are in the frame of the positions.

    Parameters
    ----------
    cells: what is stored of these atoms, with ``vector``.
    relaxed: which stiffness to add, with the non-affine displacement or without; None adds none.
    response: add the displacement fields of the response.

    Returns
    -------
    ``edge_vectors`` (n_edges, 3) Å to the very image of the neighbour that shares the face;
    ``loads`` (1, 3, 3) strain of a unit shear; ``tensors`` (n, k, 3, 3) GPa, stress and stiffness under
    the load; ``vectors`` (n, 2, 3) Å, the response in first and second order.
    """
    import numpy as np

    from vitrine.physics.rotation import load_strain

    volume, direction = cells["volume"], atoms.info["direction"]
    tensors = [stress_over_volume(atoms, volume)]
    if relaxed is not None:
        stiffness = load_stiffness(dict(cells), direction, volume, relaxed)
        tensors.append((stiffness + stiffness.transpose(0, 2, 1)) / 2)
    fields = {
        "edge_vectors": cells["vector"],
        "loads": load_strain(direction)[None],
        "tensors": np.stack(tensors, axis=1),
    }
    if response:
        fields["vectors"] = response_vectors(dict(cells), direction)
    return fields


def check_space(
    fields: Mapping[str, Any], starts: Sequence[int], edge_starts: Sequence[int], ids: Sequence[str]
) -> None:
    """Raise DataError with the sample's name where a field of all samples holds no finite number.

    Parameters
    ----------
    starts, edge_starts: bounds of each sample's rows and edges. ids: names of the samples.
    """
    import numpy as np

    for name, array in fields.items():
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            bounds = {"edge_vectors": edge_starts, "loads": range(len(ids) + 1)}.get(name, starts)
            sample = int(np.searchsorted(bounds, bad[0][0], side="right")) - 1
            what = name.replace("_", " ")
            raise DataError(f"{ids[sample]}: its {what} are not finite numbers of single precision")
