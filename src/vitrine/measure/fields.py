"""Per-atom fields of a user's own configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError, StudyError
from vitrine.measure.second_derivatives import SECOND, add_second_derivatives
from vitrine.physics.d2min import CUTOFF

if TYPE_CHECKING:
    from ase import Atoms

    from vitrine.physics.voronoi import Voronoi

FIELDS = ("voronoi", "d2min", "participation", "energy", "stress", "stiffness", "response", "coordination")
OF_A_POTENTIAL = ("energy", "stress", *SECOND)
_OF_CELLS = ("voronoi", "coordination", "stiffness")


@dataclass(frozen=True)
class FieldOptions:
    """How fields are measured.

    potential: eam.fs or eam.alloy file, for :data:`OF_A_POTENTIAL` and to relax.
    relax: minimise each frame first.
    directions: of shear, for stiffness and response.
    soft_fraction: of the modes that count as soft, for participation.
    cutoff: Å, neighbours in D2min.
    """

    potential: str | None = None
    relax: bool = False
    directions: Sequence[str] = ("xy",)
    soft_fraction: float = 0.01
    cutoff: float = CUTOFF


def measure_frames(
    frames: list[Atoms],
    fields: Sequence[str],
    options: FieldOptions,
    where: str,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Add named per-atom arrays to the frames; with ``relax`` the frames themselves are replaced.

    ``voronoi``: ``voronoi_volume`` (n,) Å^3, ``voronoi_index`` (n, 4) numbers of faces with 3 to 6
    edges, ``icosahedron`` (n,) 0 or 1. ``coordination`` (n,): number of Voronoi neighbours. ``d2min``
    (n,) Å^2 with respect to the frame before (0 in the first one). ``energy`` (n,) eV and ``stress`` (n, 6)
    eV by LAMMPS (stress times volume, xx yy zz yz xz xy, tension positive); relaxed frames have both. The
    others: :func:`vitrine.measure.second_derivatives.add_second_derivatives`.

    Parameters
    ----------
    where: name of the file, for messages. say: takes lines about what was done to a frame.

    Raises
    ------
    DataError: D2min of a single frame, of frames with different atoms or with atoms in another
        order; a configuration that cannot be tessellated, or is at no minimum of the energy.
    StudyError: a field of the potential, or ``relax``, and no potential.
    """
    needing = [field for field in fields if field in OF_A_POTENTIAL] + ["--relax"] * options.relax
    if needing and options.potential is None:
        raise StudyError(
            f"{' and '.join(needing)} need{'s' * (len(needing) == 1)} a potential: name an eam.fs or "
            "eam.alloy file (--potential), such as CuZr_mm.eam.fs, which ships with LAMMPS"
        )
    if "d2min" in fields and len(frames) < 2:
        raise DataError(f"{where}: D2min compares two frames, this file has one")
    for number in range(len(frames)):
        here = f"{where}, frame {number + 1}"
        frames[number] = _with_energies(frames[number], fields, options, here, say)
        atoms = frames[number]
        cells = _cells(atoms, here) if set(fields) & set(_OF_CELLS) else None
        if cells is not None:
            _add_voronoi(atoms, cells, fields)
        wanted = [field for field in fields if field in SECOND]
        if wanted and options.potential is not None:
            volume = None if cells is None else cells.volume
            add_second_derivatives(
                atoms,
                wanted,
                options.potential,
                here,
                volume=volume,
                directions=options.directions,
                soft_fraction=options.soft_fraction,
                cutoff=options.cutoff,
            )
        if "d2min" in fields:
            _add_d2min(frames, number, options.cutoff, here)


def _with_energies(
    atoms: Atoms, fields: Sequence[str], options: FieldOptions, here: str, say: Callable[[str], None]
) -> Atoms:
    """With energies and stresses, if they were asked for or the frame is to be relaxed."""
    asked = [field for field in ("energy", "stress") if field in fields or options.relax]
    if not asked or options.potential is None:
        return atoms
    from vitrine.physics.energies import with_energies

    found = with_energies(atoms, options.potential, here, relax=options.relax)
    say(f"{here}: {found}")
    for name in {"energy", "stress"} - set(asked):
        del found.atoms.arrays[name]
        if name in atoms.arrays:  # the user's own
            found.atoms.arrays[name] = atoms.arrays[name]
    return found.atoms


def _cells(atoms: Atoms, here: str) -> Voronoi:
    from vitrine.physics.voronoi import voronoi

    try:
        return voronoi(atoms.positions, np.asarray(atoms.cell))
    except DataError as error:
        raise DataError(f"{here}: {error}") from error


def _add_voronoi(atoms: Atoms, cells: Voronoi, fields: Sequence[str]) -> None:
    from vitrine.physics.voronoi import icosahedral

    if "voronoi" in fields:
        atoms.arrays["voronoi_volume"] = cells.volume
        atoms.arrays["voronoi_index"] = cells.index
        atoms.arrays["icosahedron"] = icosahedral(cells.index, cells.n_faces).astype(np.int64)
    if "coordination" in fields:
        count = np.bincount(cells.neighbours[0], minlength=len(atoms))
        atoms.arrays["coordination"] = count.astype(np.int64)


def _add_d2min(frames: list[Atoms], number: int, cutoff: float, here: str) -> None:
    from vitrine.physics.d2min import d2min

    before, atoms = frames[max(number - 1, 0)], frames[number]
    _check_same_atoms(before, atoms, here)
    atoms.arrays["d2min"] = d2min(
        before.positions, atoms.positions, np.asarray(before.cell), np.asarray(atoms.cell), cutoff=cutoff
    )


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
