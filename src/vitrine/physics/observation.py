"""Atoms at one moment, and their energies and stresses by LAMMPS.

Metal units: Å, eV, ps, K, bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vitrine.arrays import load_arrays
from vitrine.errors import DataError
from vitrine.physics.lammps import LammpsSession, pair_commands
from vitrine.samples import Float, Int

EV_PER_BAR_CUBIC_ANGSTROM = 1.0 / 1.602176634e6
_VOIGT = [0, 1, 2, 5, 4, 3]  # LAMMPS orders xx yy zz xy xz yz


@dataclass(frozen=True)
class Configuration:
    """Atoms at one moment.

    positions (n, 3) Å relative to the cell's origin; cell (3, 3) rows, Å; types (n,) int64 from
    1; energy (n,) eV; stress (n, 6) eV, Voigt order xx yy zz yz xz xy: stress times atomic volume
    without its kinetic part, tension positive; largest_force eV/Å; force_before: the largest one
    before a minimisation by :func:`observe`, eV/Å.
    """

    positions: Float
    cell: Float
    types: Int
    energy: Float = field(default_factory=lambda: np.zeros(0))
    stress: Float = field(default_factory=lambda: np.zeros((0, 6)))
    largest_force: float = float("nan")
    force_before: float = float("nan")


def save_configuration(path: Path, found: Configuration) -> None:
    """Write an .npz file, complete or not at all."""
    temporary = path.with_name(f"{path.stem}.part.npz")
    np.savez(
        temporary,
        positions=found.positions,
        cell=found.cell,
        types=found.types,
        energy=found.energy,
        stress=found.stress,
        largest_force=found.largest_force,
    )
    temporary.replace(path)


def load_configuration(path: Path) -> Configuration:
    """Read what :func:`save_configuration` wrote.

    Raises
    ------
    DataError: no such file, or its arrays are not those of a configuration.
    """
    data = load_arrays(path, "configuration")
    try:
        found = Configuration(**data | {"largest_force": float(data["largest_force"])})
        n = len(found.types)
        shapes = {"positions": (n, 3), "cell": (3, 3), "types": (n,), "energy": (n,), "stress": (n, 6)}
        for name, shape in shapes.items():
            array = getattr(found, name)
            kinds = "iu" if name == "types" else "f"
            if array.shape != shape or array.dtype.kind not in kinds or not np.isfinite(array).all():
                raise ValueError(f"its {name} should be {shape} finite numbers")
        if not n or found.types.min() < 1:
            raise ValueError("its types should be counted from 1")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no configuration: {error}") from error
    return found


def write_data(path: Path, positions: Float, cell: Float, types: Int, n_types: int) -> None:
    """Write a LAMMPS data file without loss (17 digits); the cell must be lower triangular.

    LAMMPS itself may round the last digit of a position, because the box is one that can tilt.
    """
    lines = ["written by vitrine", "", f"{len(positions)} atoms", f"{n_types} atom types", ""]
    for axis, name in enumerate("xyz"):
        lines.append(f"0.0 {cell[axis, axis]:.17g} {name}lo {name}hi")
    lines.append(f"{cell[1, 0]:.17g} {cell[2, 0]:.17g} {cell[2, 1]:.17g} xy xz yz")
    lines += ["", "Masses", ""] + [f"{t + 1} 1.0" for t in range(n_types)] + ["", "Atoms # atomic", ""]
    lines += [
        f"{i + 1} {t} {x:.17g} {y:.17g} {z:.17g}"
        for i, (t, (x, y, z)) in enumerate(zip(types, positions, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup_commands(potential: str, elements: Sequence[str], start: str) -> list[str]:
    """LAMMPS commands from units to neighbour lists; ``start`` reads the atoms."""
    return [
        "units metal",
        "atom_style atomic",
        "atom_modify map array sort 0 0",
        "boundary p p p",
        start,
        *pair_commands(potential, elements),
        "neighbor 1.0 bin",
        "neigh_modify delay 0 every 1 check yes",
    ]


def minimise_commands(tolerance: float, iterations: int) -> list[str]:
    """FIRE down to a force norm of ``tolerance`` [eV/Å]; the last command alone repeats it."""
    return [
        "min_style fire",
        "min_modify dmax 0.1",
        f"minimize 0 {tolerance:.17g} {iterations} {5 * iterations}",
    ]


def observe_session(session: LammpsSession) -> Configuration:
    """What an open session holds, in LAMMPS's frame."""
    session.commands(
        [
            "compute energy all pe/atom",
            "compute stress all stress/atom NULL virial",
            "compute sum_energy all reduce sum c_energy",
            "compute sum_stress all reduce sum c_stress[1]",
            # computes are evaluated by a run of no steps that prints something of them
            "thermo_style custom step pe c_sum_energy c_sum_stress",
            "run 0 post no",
        ]
    )
    data = session.gather("x", "type", "f", "c_energy", "c_stress:6")
    return Configuration(
        positions=data["x"] - data["origin"],
        cell=data["cell"],
        types=data["type"].astype(np.int64),
        energy=data["c_energy"],
        stress=data["c_stress"][:, _VOIGT] * EV_PER_BAR_CUBIC_ANGSTROM,
        largest_force=_largest(data["f"]),
    )


def _largest(forces: Float) -> float:
    return float(np.linalg.norm(forces, axis=1).max())


def observe(
    positions: Float,
    cell: Float,
    types: Int,
    elements: Sequence[str],
    potential: str,
    folder: Path,
    *,
    relax: float | None = None,
) -> Configuration:
    """Per-atom energies and stresses of a configuration, by LAMMPS.

    Parameters
    ----------
    positions: (n, 3) Å, wrapped or not. cell: (3, 3) rows, Å; any cell with a volume (it is turned
        to LAMMPS's frame, and the result is turned back).
    types: (n,) from 1. elements: symbol of each type. potential: eam/fs or eam/alloy file.
    folder: scratch folder.
    relax: minimise first, to this force norm [eV/Å], at constant cell.

    Returns
    -------
    The configuration in the frame of ``cell``; positions may differ by lattice vectors.

    Raises
    ------
    DataError: unusable positions or cell, or a potential without these elements.
    MissingExtra: LAMMPS is not installed. EngineError: LAMMPS stopped.
    """
    from ase.calculators.lammps import Prism

    from vitrine.physics.neighbours import check_configuration
    from vitrine.physics.rotation import matrix_to_voigt, rotate_tensor, voigt_to_matrix

    positions, cell = check_configuration(positions, cell)
    rotation = Prism(cell).rot_mat  # rows of cell @ rot_mat are LAMMPS's; a mirror if left-handed
    write_data(folder / "start.data", positions @ rotation, np.tril(cell @ rotation), types, len(elements))
    with LammpsSession(folder) as session:
        session.commands(setup_commands(potential, elements, "read_data start.data"))
        before = float("nan")
        if relax is not None:
            session.commands("run 0 post no")
            before = _largest(session.gather("f")["f"])
            session.commands(minimise_commands(relax, 20_000))
        found = observe_session(session)
    return Configuration(
        positions=found.positions @ rotation.T,
        cell=cell,
        types=types,
        energy=found.energy,
        stress=matrix_to_voigt(rotate_tensor(rotation, voigt_to_matrix(found.stress))),
        largest_force=found.largest_force,
        force_before=before,
    )
