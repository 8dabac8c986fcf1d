"""Melt, quench, minimise and shear a metallic glass with LAMMPS (athermal quasi-static shear).

Metal units: Å, eV, ps, K, bar. Protocol of Lee & Ryu 2022 (doi:10.3389/fmats.2022.874339).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vitrine.errors import EngineError, StudyError, did_you_mean
from vitrine.physics.d2min import d2min, event_atoms
from vitrine.physics.lammps import LammpsSession, pair_commands
from vitrine.physics.neighbours import neighbours_within
from vitrine.samples import Float, Int

DIRECTIONS = ("xy", "yz", "xz", "-xy", "-yz", "-xz")
ATOMIC_VOLUME = 17.2
"""Å^3 per atom of liquid Cu64Zr36 at 2000 K; only the start of the melt."""
EV_PER_BAR_CUBIC_ANGSTROM = 1.0 / 1.602176634e6
CHUNK = 10_000
"""MD steps between two restart files."""
_VOIGT = [0, 1, 2, 5, 4, 3]  # LAMMPS orders xx yy zz xy xz yz


@dataclass(frozen=True)
class Configuration:
    """Atoms at one moment.

    positions (n, 3) Å relative to the cell's origin; cell (3, 3) rows, Å, lower triangular;
    types (n,) int64 from 1; energy (n,) eV; stress (n, 6) eV, Voigt order xx yy zz yz xz xy:
    stress times atomic volume, tension positive; largest_force eV/Å.
    """

    positions: Float
    cell: Float
    types: Int
    energy: Float = field(default_factory=lambda: np.zeros(0))
    stress: Float = field(default_factory=lambda: np.zeros((0, 6)))
    largest_force: float = float("nan")


def write_data(path: Path, positions: Float, cell: Float, types: Int) -> None:
    """Write a LAMMPS data file without loss (17 digits); the cell must be lower triangular."""
    n_types = int(types.max())
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


def _setup(potential: str, elements: Sequence[str], start: str) -> list[str]:
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


_PER_ATOM = ["compute energy all pe/atom", "compute stress all stress/atom NULL virial"]


def _observe(session: LammpsSession) -> Configuration:
    # the dump-free way to bring computes up to date: they are evaluated by a run of no steps
    session.commands(["thermo_style custom step pe c_sum_energy c_sum_stress", "run 0 post no"])
    data = session.gather("x", "type", "f", "c_energy", "c_stress:6")
    return Configuration(
        positions=data["x"] - data["origin"],
        cell=data["cell"],
        types=data["type"].astype(np.int64),
        energy=data["c_energy"],
        stress=data["c_stress"][:, _VOIGT] * EV_PER_BAR_CUBIC_ANGSTROM,
        largest_force=float(np.linalg.norm(data["f"], axis=1).max()),
    )


_SUMS = ["compute sum_energy all reduce sum c_energy", "compute sum_stress all reduce sum c_stress[1]"]


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
    positions: (n, 3) Å. cell: (3, 3) rows, Å; any right-handed cell (it is turned to LAMMPS's
        frame and the stress is turned back). types: (n,) from 1. elements: symbol of each type.
    folder: scratch folder.
    relax: minimise first, to this largest force [eV/Å].
    """
    from ase.calculators.lammps import Prism

    prism = Prism(cell)
    turned = prism.vector_to_lammps(positions, wrap=False)
    lammps_cell = prism.vector_to_lammps(cell)
    write_data(folder / "start.data", np.ascontiguousarray(turned), np.tril(lammps_cell), types)
    with LammpsSession(folder) as session:
        session.commands(_setup(potential, elements, "read_data start.data"))
        session.commands(_PER_ATOM + _SUMS)
        if relax is not None:
            session.commands(_minimise(relax, 20_000))
        found = _observe(session)
    rotation = prism.rot_mat  # rows of cell @ rot_mat are LAMMPS's
    full = found.stress[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(-1, 3, 3)
    back = rotation @ full @ rotation.T
    stress = np.stack(
        [back[:, 0, 0], back[:, 1, 1], back[:, 2, 2], back[:, 1, 2], back[:, 0, 2], back[:, 0, 1]], axis=1
    )
    return Configuration(
        positions=found.positions @ rotation.T,
        cell=cell,
        types=types,
        energy=found.energy,
        stress=stress,
        largest_force=found.largest_force,
    )


def _minimise(tolerance: float, iterations: int) -> list[str]:
    return [
        "min_style fire",
        "min_modify dmax 0.1",
        f"minimize 0 {tolerance:.17g} {iterations} {5 * iterations}",
    ]


def random_start(atoms: int, fractions: Sequence[float], seed: int) -> tuple[Float, Float, Int]:
    """Random alloy on the sites of a face-centred cubic box: positions, cell, types.

    The composition is exact to one atom (largest remainders).
    """
    random = np.random.default_rng(seed)
    edge = int(np.ceil((atoms / 4) ** (1 / 3)))
    corners = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = (corners + basis).reshape(-1, 3) + 0.25
    chosen = random.permutation(len(sites))[:atoms]
    length = (atoms * ATOMIC_VOLUME) ** (1 / 3)
    wanted = np.asarray(fractions, dtype=float) / np.sum(fractions) * atoms
    counts = np.floor(wanted).astype(int)
    counts[np.argsort(counts - wanted, kind="stable")[: atoms - counts.sum()]] += 1
    types = random.permutation(np.repeat(np.arange(1, len(counts) + 1), counts))
    return sites[chosen] * (length / edge), np.eye(3) * length, types


def quench(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    seed: int,
    atoms: int,
    elements: Sequence[str],
    fractions: Sequence[float],
    potential: str,
    melt_temperature: float,
    melt_time: float,
    quench_rate: float,
    final_temperature: float,
    timestep: float,
) -> None:
    """Melt, quench at constant pressure, minimise box and atoms; write ``specimen.npz``.

    Every piece of ``CHUNK`` steps starts from the restart file of the one before it, in a fresh
    session, so that a run which was killed and continued equals an unbroken one bit for bit.
    """
    melt = round(melt_time / timestep)
    cool = round((melt_temperature - final_temperature) / (quench_rate * 1e-12) / timestep)
    total = melt + cool
    done = _finished_steps(folder)
    if done < 0:
        write_data(folder / "start.data", *random_start(atoms, fractions, seed))
    while done < total:
        stage_start, stage_end = (0, melt) if done < melt else (melt, total)
        done = max(done, 0)
        target = min(done + CHUNK, stage_end)
        first = done == 0
        start = "read_data start.data" if first else f"read_restart md-{done}.restart"
        with LammpsSession(folder) as session:
            session.commands(_setup(potential, elements, start))
            session.commands(f"timestep {timestep:.17g}")
            if first:
                # half the kinetic energy goes into the lattice's potential energy
                session.commands(
                    [
                        _minimise(1e-2, 200)[0],
                        "minimize 0 1e-1 200 1000",
                        "reset_timestep 0",
                        f"velocity all create {2 * melt_temperature:.17g} {seed + 1} mom yes rot no dist gaussian",
                    ]
                )
            end = melt_temperature if stage_start == 0 else final_temperature
            session.commands(
                [
                    f"fix ensemble all npt temp {melt_temperature:.17g} {end:.17g} 0.1 iso 0.0 0.0 1.0",
                    f"run {target} upto start {stage_start} stop {stage_end}",
                    f"write_restart part-{target}.restart",
                ]
            )
        (folder / f"part-{target}.restart").replace(folder / f"md-{target}.restart")
        for old in folder.glob("md-*.restart"):
            if old.name != f"md-{target}.restart":
                old.unlink()
        done = target
        progress(0.95 * done / total)
    specimen = _relax_box(folder, f"read_restart md-{total}.restart", potential, elements)
    _save_configuration(folder / "specimen.npz", specimen)
    for scrap in [*folder.glob("*.restart"), folder / "start.data"]:
        scrap.unlink(missing_ok=True)


def _finished_steps(folder: Path) -> int:
    steps = [int(path.stem.removeprefix("md-")) for path in folder.glob("md-*.restart")]
    return max(steps, default=-1)


def _relax_box(folder: Path, start: str, potential: str, elements: Sequence[str]) -> Configuration:
    with LammpsSession(folder) as session:
        session.commands(_setup(potential, elements, start))
        session.commands(["velocity all set 0 0 0", "reset_timestep 0"])  # kinetic pressure off
        session.commands(_minimise(1e-3, 20_000))
        for _ in range(3):
            # box/relax measures strain from where it starts: repeat until the pressure is gone
            session.commands(
                [
                    "fix box all box/relax aniso 0.0 vmax 0.001",
                    "min_style cg",
                    "minimize 0 1e-4 2000 10000",
                    "unfix box",
                ]
            )
            session.commands(_minimise(1e-6, 20_000))
        session.commands(_PER_ATOM + _SUMS)
        found = _observe(session)
    if not np.isfinite(found.energy).all() or found.largest_force > 1e-3:
        raise EngineError(
            f"the quenched specimen did not reach a minimum: largest force {found.largest_force:.2g} eV/Å"
        )
    return found


def shear(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    direction: str,
    elements: Sequence[str],
    potential: str,
    strain_step: float,
    max_strain: float,
    force_tolerance: float,
    threshold: float,
    min_cluster: int,
    cutoff: float,
) -> None:
    """Athermal quasi-static shear up to the first event; write ``event.npz`` and ``event.json``.

    ``inputs`` is the folder of the quenched specimen. ``event.npz`` holds d2min (n,) float32 [Å^2]
    of the event step and positions and cell on both sides of it; ``curve`` (steps, 2) is strain
    and shear stress [GPa]. With no event up to ``max_strain`` the field is left out.
    """
    axes, sign = parse_direction(direction)
    specimen = load_configuration(inputs[0] / "specimen.npz")
    write_data(folder / "start.data", specimen.positions, specimen.cell, specimen.types)
    # the strain refers to the height of the box normal to the shear plane
    height = specimen.cell["xyz".index(axes[1]), "xyz".index(axes[1])]
    earlier, earlier_cell = specimen.positions, specimen.cell
    curve: list[tuple[float, float]] = []
    event: dict[str, np.ndarray] = {}
    strain, size = 0.0, 0
    steps = round(max_strain / strain_step)
    with LammpsSession(folder) as session:
        session.commands(_setup(potential, elements, "read_data start.data"))
        session.commands(_minimise(force_tolerance, 20_000))
        earlier = _positions(session)[0]
        for step in range(1, steps + 1):
            session.commands(
                f"change_box all {axes} delta {sign * strain_step * height:.17g} remap units box"
            )
            session.commands(_minimise(force_tolerance, 20_000)[-1:])
            later, later_cell = _positions(session)
            strain = round(step * strain_step, 12)  # 0.0052, not 0.005200000000000001
            stress = -1e-4 * session.thermo(f"p{axes}")[f"p{axes}"]
            curve.append((strain, sign * stress))
            bonds = neighbours_within(earlier, earlier_cell, cutoff)
            field_now = d2min(earlier, later, earlier_cell, later_cell, neighbours=bonds)
            moved = event_atoms(field_now, bonds, threshold=threshold, min_cluster=min_cluster)
            if moved.any():
                size = int(moved.sum())
                event = {
                    "d2min": field_now.astype(np.float32),
                    "positions_before": earlier,
                    "positions_after": later,
                    "cell_before": earlier_cell,
                    "cell_after": later_cell,
                }
                break
            earlier, earlier_cell = later, later_cell
            if step % 10 == 0:
                progress(step / steps)
    np.savez(folder / "event.npz", curve=np.array(curve), **event)
    meta = {"direction": direction, "found": bool(event), "strain": strain, "atoms": size}
    (folder / "event.json").write_text(json.dumps(meta), encoding="utf-8")
    (folder / "start.data").unlink()


def _positions(session: LammpsSession) -> tuple[Float, Float]:
    data = session.gather("x")
    return data["x"] - data["origin"], data["cell"]


def parse_direction(direction: str) -> tuple[str, int]:
    """``"-xy"`` -> ``("xy", -1)``.

    Raises
    ------
    StudyError: not one of the six directions.
    """
    if direction not in DIRECTIONS:
        raise StudyError(f"no shear direction {direction!r}{did_you_mean(direction, DIRECTIONS)}")
    return direction.removeprefix("-"), -1 if direction.startswith("-") else 1


def _save_configuration(path: Path, found: Configuration) -> None:
    np.savez(
        path,
        positions=found.positions,
        cell=found.cell,
        types=found.types,
        energy=found.energy,
        stress=found.stress,
        largest_force=found.largest_force,
    )


def load_configuration(path: Path) -> Configuration:
    """Read what :func:`quench` wrote."""
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    return Configuration(**data | {"largest_force": float(data["largest_force"])})
