"""Run all benchmarks on one core and write ``benchmarks/RESULTS.md``: ratios against named peers.

python benchmarks/run.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OVITO_THREAD_COUNT"):
    os.environ[_name] = "1"

import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

RUNS = 3
ATOMS = 100_000


def cpu_seconds(work: Callable[[], object]) -> list[float]:
    """CPU seconds of three runs, after one to warm up."""
    work()
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return found


def glass_like(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Jittered face-centred cubic sites with the density of Cu64Zr36: positions and cell [Å]."""
    random = np.random.default_rng(seed)
    edge = round((n / 4) ** (1 / 3))
    corners = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = (corners + basis).reshape(-1, 3) + 0.25
    length = (len(sites) * 16.5) ** (1 / 3)
    positions = sites * (length / edge) + random.normal(scale=0.25, size=sites.shape)
    return positions, np.eye(3) * length


def _ovito_pipeline(positions: np.ndarray, cell: np.ndarray) -> object:
    from ovito.data import DataCollection

    data = DataCollection()
    data.create_cell(np.column_stack([cell.T, np.zeros(3)]), pbc=(True, True, True))
    data.create_particles(count=len(positions)).create_property("Position", data=positions)
    return data


def d2min_rows() -> list[str]:
    """D2min with a cut-off of 3.8 Å."""
    from ovito.modifiers import AtomicStrainModifier
    from ovito.pipeline import Pipeline, PythonSource

    from vitrine.physics.d2min import d2min

    positions, cell = glass_like(ATOMS)
    later = positions + np.random.default_rng(1).normal(scale=0.05, size=positions.shape)
    ours = cpu_seconds(lambda: d2min(positions, later, cell))

    def peer() -> None:
        frames = [_ovito_pipeline(positions, cell), _ovito_pipeline(later, cell)]

        def create(frame: int, data: object) -> None:
            data.objects.clear()  # type: ignore[attr-defined]
            for item in frames[frame].objects:  # type: ignore[attr-defined]
                data.objects.append(item)  # type: ignore[attr-defined]

        pipeline = Pipeline(source=PythonSource(function=create))
        modifier = AtomicStrainModifier(cutoff=3.8, output_nonaffine_squared_displacements=True)
        modifier.reference = PythonSource(function=lambda _, data: create(0, data))
        pipeline.modifiers.append(modifier)
        pipeline.compute(1)

    return [row("D2min", len(positions), ours, cpu_seconds(peer), f"OVITO {version('ovito')}")]


def neighbour_rows() -> list[str]:
    """All neighbours within 3.8 Å as a list."""
    import freud

    from vitrine.physics.neighbours import neighbours_within

    positions, cell = glass_like(ATOMS)
    ours = cpu_seconds(lambda: neighbours_within(positions, cell, 3.8))

    def peer() -> None:
        box = freud.box.Box.cube(cell[0, 0])
        query = freud.locality.AABBQuery(box, positions - cell[0, 0] / 2)
        query.query(positions - cell[0, 0] / 2, {"r_max": 3.8, "exclude_ii": True}).toNeighborList()

    name = f"freud {version('freud-analysis')}, single precision"
    return [row("Neighbour list", len(positions), ours, cpu_seconds(peer), name)]


def voronoi_rows() -> list[str]:
    """Voronoi volumes, indices and neighbours."""
    from vitrine.physics.voronoi import voronoi

    positions, cell = glass_like(ATOMS)
    ours = cpu_seconds(lambda: voronoi(positions, cell))
    peer = cpu_seconds(lambda: voronoi(positions, cell, backend="ovito"))
    name = f"OVITO {version('ovito')}, through vitrine"
    return [row("Voronoi (scipy backend)", len(positions), ours, peer, name)]


def start_rows() -> list[str]:
    """CPU seconds of ``vitrine list``, a whole process."""

    def start() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "vitrine.cli.main", "list"], check=True, stdout=subprocess.DEVNULL
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    start()
    found = [start() for _ in range(RUNS)]
    shown = ", ".join(f"{value:.2f}" for value in found)
    return [f"| `vitrine list` | 1 process | {shown} | | aim: below 0.5 | |"]


def campaign_rows() -> list[str]:
    """What a campaign costs; some of it in wall time, which says so."""
    from campaign import rows  # beside this file

    return list(rows())


def row(what: str, size: int, ours: list[float], peer: list[float], name: str) -> str:
    """One line of the table."""
    times = ", ".join(f"{value:.3f}" for value in ours)
    others = ", ".join(f"{value:.3f}" for value in peer)
    return f"| {what} | {size:,} atoms | {times} | {others} | {name} | {min(peer) / min(ours):.2f} |"


def derivative_rows() -> list[str]:
    """Modes and response of 10,000 atoms."""
    from derivatives import rows  # beside this file

    return list(rows())


def attention_rows() -> list[str]:
    """A training step at the paper's size."""
    from attention import rows

    return list(rows())


def message_passing_rows() -> list[str]:
    """A training step of message passing on whole graphs."""
    from message_passing import rows

    return list(rows())


def shear_rows() -> list[str]:
    """Force evaluations of adaptive shear."""
    from shear import rows

    return list(rows())


def image_rows() -> list[str]:
    """Pictures of particles."""
    from images import rows

    return list(rows())


def large_rows() -> list[str]:
    """A million atoms predicted."""
    from large import rows

    return list(rows())


def liquid_rows() -> list[str]:
    """A trajectory in the plane."""
    from liquids import rows

    return list(rows())


def dislocation_field_rows() -> list[str]:
    """The field of dislocations in a rectangle."""
    from dislocation_field import rows

    return list(rows())


def dislocation_trajectory_rows() -> list[str]:
    """Whole trajectories of dislocations; an hour."""
    from dislocation_trajectories import rows

    return list(rows())


def two_point_rows() -> list[str]:
    """Two-point statistics of a strain map."""
    from two_point import rows

    return list(rows())


def strain_map_rows() -> list[str]:
    """Crops of strain maps and the network that trains on them."""
    from strain_maps import rows

    return list(rows())


def magpie_rows() -> list[str]:
    """145 attributes of formulas."""
    from magpie import rows

    return list(rows())


def asph_rows() -> list[str]:
    """Persistent homology of crystals."""
    from asph import rows

    return list(rows())


def composition_rows() -> list[str]:
    """BRNet against plain torch, memory of a large table."""
    from composition import rows

    return list(rows())


def landscape_rows() -> list[str]:
    """Surfaces of losses."""
    from landscape import rows

    return list(rows())


def crystal_rows() -> list[str]:
    """Crystal graphs and networks on them."""
    from crystals import rows

    return list(rows())


SECTIONS: dict[str, Callable[[], list[str]]] = {
    "d2min": d2min_rows,
    "neighbours": neighbour_rows,
    "voronoi": voronoi_rows,
    "start": start_rows,
    "campaign": campaign_rows,
    "derivatives": derivative_rows,
    "attention": attention_rows,
    "message-passing": message_passing_rows,
    "shear": shear_rows,
    "images": image_rows,
    "large": large_rows,
    "liquids": liquid_rows,
    "dislocation-field": dislocation_field_rows,
    "dislocation-trajectories": dislocation_trajectory_rows,
    "two-point": two_point_rows,
    "strain-maps": strain_map_rows,
    "asph": asph_rows,
    "composition": composition_rows,
    "crystals": crystal_rows,
    "landscape": landscape_rows,
    "magpie": magpie_rows,
}
RESULTS = Path(__file__).parent / "RESULTS.md"
HEAD = """# Benchmarks

`python benchmarks/run.py [SECTION ...]`, one core, CPU seconds of three runs after one to warm up, except
where a row says otherwise. The ratio is the peer's best over ours: above 1 vitrine is faster.

{machine}

| what | size | vitrine [CPU-s] | peer [CPU-s] | peer | ratio |
|---|---|---|---|---|---|
"""


def what_of(line: str) -> str:
    """The first two cells of a row: what was measured, and on what size."""
    return "|".join(line.split("|")[1:3])


def main() -> None:
    """Run the sections named (all by default) and put their rows into the table."""
    before = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    lines = [line for line in before if line.startswith("| ") and not line.startswith("| what ")]
    for name in sys.argv[1:] or SECTIONS:
        fresh = SECTIONS[name]()
        print("\n".join(fresh), flush=True)
        known = {what_of(line) for line in fresh}
        place = next((i for i, line in enumerate(lines) if what_of(line) in known), len(lines))
        lines = [line for line in lines if what_of(line) not in known]
        lines[place:place] = fresh
    machine = (
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, numpy "
        f"{version('numpy')}, numba {version('numba')}, scipy {version('scipy')}, torch {version('torch')}."
    )
    RESULTS.write_text(HEAD.format(machine=machine) + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
