"""Per-atom fields of a configuration that need second derivatives of an embedded-atom potential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.errors import DataError
from vitrine.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

if TYPE_CHECKING:
    from ase import Atoms

    from vitrine.physics.eam import EamPotential
    from vitrine.samples import Float, Int

SECOND = ("participation", "stiffness", "response")


def add_second_derivatives(
    atoms: Atoms,
    fields: Sequence[str],
    potential: str,
    here: str,
    *,
    volume: Float | None,
    directions: Sequence[str],
    soft_fraction: float,
    cutoff: float,
) -> None:
    """Add named per-atom arrays to a configuration at a minimum of the energy.

    ``participation`` (n,): weight in the soft modes. For each shear direction, with ``-xy`` called
    ``minus_xy``: ``stiffness_xy`` (n, 6) GPa, change of the stress xx yy zz yz xz xy per shear strain in that
    direction, non-affine displacements included, over ``volume``; ``response_xy`` (n, 3) Å, non-affine
    displacement u' per strain; ``response_d2min_xy`` (n,) Å^2, its D2min.

    Parameters
    ----------
    potential: eam.fs or eam.alloy file. here: name of the configuration, for messages.
    volume: (n,) Å^3, for the stiffness. soft_fraction: of the modes. cutoff: Å, neighbours in D2min.

    Raises
    ------
    DataError: no minimum, or a potential without these elements.
    """
    from vitrine.physics.eam import read_eam
    from vitrine.physics.energies import NOT_AT_MINIMUM, kinds_of
    from vitrine.physics.lammps import find_potential
    from vitrine.physics.modes import soft_modes

    path = find_potential(potential)
    tables = read_eam(path, smooth=True)
    try:
        kinds = kinds_of(atoms, tables.elements, path.name)
        force = _largest_force(read_eam(path), atoms, kinds)  # the tables that LAMMPS minimises with
        if force > NOT_AT_MINIMUM:
            raise _no_minimum(tables, atoms, kinds, f"its largest force is {force:.2g} eV/Å")
        if "participation" in fields:
            cell = np.asarray(atoms.cell)
            modes = soft_modes(tables, atoms.positions, cell, kinds, fraction=soft_fraction)
            atoms.arrays["participation"] = modes.participation
        if set(fields) & {"stiffness", "response"}:
            _add_response(atoms, fields, tables, kinds, volume, directions, cutoff)
    except DataError as error:
        raise DataError(f"{here}: {error}") from error


def _no_minimum(tables: EamPotential, atoms: Atoms, kinds: Int, why: str) -> DataError:
    """The refusal, with the lowest eigenvalue: a slope, not a minimum, may curve upwards all the same."""
    from vitrine.physics.modes import soft_modes

    n = len(atoms)
    few = max(0.01, min(10, 3 * n - 3) / (3 * n))  # a handful is found sooner than one alone
    try:
        modes = soft_modes(tables, atoms.positions, np.asarray(atoms.cell), kinds, fraction=few)
    except DataError as error:  # which says it
        return error
    return DataError(
        f"the configuration is not at an energy minimum: {why} (lowest eigenvalue of the Hessian: "
        f"{modes.eigenvalues[0]:.3g} eV/(Å² g/mol)); minimise it first (--relax, or fire to a force of "
        "1e-4 eV/Å)"
    )


def _largest_force(tables: EamPotential, atoms: Atoms, kinds: Int) -> float:
    from vitrine.physics.eam import eam_state

    forces = eam_state(tables, atoms.positions, np.asarray(atoms.cell), kinds).forces
    return float(np.linalg.norm(forces, axis=1).max())


def _add_response(
    atoms: Atoms,
    fields: Sequence[str],
    tables: EamPotential,
    kinds: Int,
    volume: Float | None,
    directions: Sequence[str],
    cutoff: float,
) -> None:
    from vitrine.physics.response import PLANES, shear_response
    from vitrine.physics.rotation import matrix_to_voigt

    try:
        found = shear_response(tables, atoms.positions, np.asarray(atoms.cell), kinds, cutoff=cutoff)
    except DataError as error:
        raise _no_minimum(tables, atoms, kinds, "its Hessian is negative along a direction") from error
    for direction in directions:
        plane, sign = PLANES.index(direction[-2:]), -1.0 if direction.startswith("-") else 1.0
        name = direction.replace("-", "minus_")
        if "stiffness" in fields and volume is not None:
            modulus: Any = matrix_to_voigt(sign * found.modulus[plane])
            atoms.arrays[f"stiffness_{name}"] = modulus / volume[:, None] * EV_PER_CUBIC_ANGSTROM_IN_GPA
        if "response" in fields:
            atoms.arrays[f"response_{name}"] = sign * found.first[plane]
            atoms.arrays[f"response_d2min_{name}"] = found.d2[plane]
