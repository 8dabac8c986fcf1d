"""Per-atom fields of an unsheared glass that need second derivatives: modes, stiffness, response.

Stored once per configuration; the other functions are views of one load direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from vitrine.samples import Float

FILE = "softness.npz"
VERSION = 2
"""of what :func:`store_softness` writes"""
STIFFNESS_LABELS = ("C14", "C24", "C34", "C44", "C54", "C64")
_SMALLEST = 1e-12
"""Floor under the logarithms, far below any atom's value."""


def store_softness(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    positions: Any,
    cell: Any,
    symbols: Sequence[str],
    potential: str,
    cutoff: float,
    fraction: float,
) -> None:
    """Write ``softness.npz`` for one configuration at an energy minimum.

    Arrays: participation (n,); first and second (3, n, 3) float32 Å, the response in both orders; modulus and
    affine_modulus (3, n, 3, 3) eV; d2, cross, d2_second (3, n) Å^2 (see
    :class:`vitrine.physics.response.Response`); along_load (3, n): weight of the soft modes at each
    atom, each mode times the square of its amplitude in the response to the load.

    Raises
    ------
    DataError: no minimum, or a potential without these elements.
    """
    import numpy as np

    from vitrine.errors import DataError
    from vitrine.physics.eam import read_eam
    from vitrine.physics.lammps import find_potential
    from vitrine.physics.modes import soft_modes
    from vitrine.physics.response import shear_response

    tables = read_eam(find_potential(potential), smooth=True)
    strange = sorted(set(symbols) - set(tables.elements))
    if strange:
        raise DataError(f"{potential} has no {', '.join(strange)}; it knows {', '.join(tables.elements)}")
    kinds = np.array([tables.elements.index(symbol) for symbol in symbols])
    modes = soft_modes(
        tables, positions, cell, kinds, fraction=fraction, progress=lambda done: progress(0.7 * done)
    )
    answer = shear_response(tables, positions, cell, kinds, cutoff=cutoff)
    # u' = sum of modes e (e . Xi) / eigenvalue; the amplitude is what the response holds of the mode
    weight = np.sqrt(np.asarray(tables.masses)[kinds])[:, None]
    moved = np.stack([weight * first for first in answer.first])
    amplitude = np.einsum("pic,ick->pk", moved, modes.vectors)
    per_atom = np.einsum("ick,ick->ik", modes.vectors, modes.vectors)
    np.savez(
        folder / FILE,
        participation=modes.participation,
        eigenvalues=modes.eigenvalues,
        along_load=np.einsum("ik,pk->pi", per_atom, amplitude**2),
        first=answer.first.astype(np.float32),
        second=answer.second.astype(np.float32),
        modulus=answer.modulus,
        affine_modulus=answer.affine_modulus,
        d2=answer.d2,
        cross=answer.cross,
        d2_second=answer.d2_second,
    )


def _load(direction: str) -> tuple[int, int]:
    """Number of the plane of a direction, and its sign."""
    from vitrine.physics.response import PLANES

    return PLANES.index(direction[-2:]), -1 if direction.startswith("-") else 1


def load_stiffness(stored: dict[str, Any], direction: str, volume: Float, relaxed: bool) -> Float:
    """(n, 3, 3) GPa: stress over strain of each atom under a load, over its Voronoi volume; lab frame."""
    from vitrine.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

    plane, sign = _load(direction)
    modulus: Float = sign * stored["modulus" if relaxed else "affine_modulus"][plane]
    return modulus / volume[:, None, None] * EV_PER_CUBIC_ANGSTROM_IN_GPA


def stiffness_columns(stored: dict[str, Any], direction: str, volume: Float, relaxed: bool) -> Float:
    """(n, 6) GPa: C14 to C64 of each atom in the canonical frame, over its Voronoi volume."""
    from vitrine.physics.rotation import canonical_rotation, matrix_to_voigt, rotate_tensor

    modulus = load_stiffness(stored, direction, volume, relaxed)
    columns: Float = matrix_to_voigt(rotate_tensor(canonical_rotation(direction), modulus))
    return columns


def response_vectors(stored: dict[str, Any], direction: str) -> np.ndarray:
    """(n, 2, 3) float32: u' [Å] and u'' [Å] under a load, per strain and strain squared; lab frame.

    The opposite load turns u' round; u'' is even in the strain.
    """
    import numpy as np

    plane, sign = _load(direction)
    return np.stack([np.float32(sign) * stored["first"][plane], stored["second"][plane]], axis=1)


def response_labels(strains: Sequence[float]) -> tuple[str, ...]:
    """Names of :func:`response_columns`."""
    second = tuple(f"log10 D2min of the response at strain {strain:g}" for strain in strains)
    return ("log10 D2min of the response", *second, "log10 soft modes along the load")


def response_columns(stored: dict[str, Any], direction: str, strains: Sequence[float]) -> Float:
    """(n, 2 + number of strains): the response to the load, first order, then both orders at each strain."""
    import numpy as np

    plane, sign = _load(direction)
    d2, cross, second = (stored[name][plane] for name in ("d2", "cross", "d2_second"))
    fields: list[np.ndarray] = [d2]
    fields += [d2 + sign * strain * cross + strain**2 * second for strain in strains]
    fields.append(stored["along_load"][plane])
    columns: Float = np.log10(np.maximum(np.stack(fields, axis=1), _SMALLEST))
    return columns
