"""Swap Monte Carlo in the quench of Cu64Zr36: what is accepted, what it costs, what it brings.

python benchmarks/swaps.py acceptance
python benchmarks/swaps.py energy --seeds 10
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

ALLOY: dict[str, Any] = {
    "elements": ["Cu", "Zr"],
    "fractions": [0.64, 0.36],
    "potential": "CuZr_mm.eam.fs",
    "melt_temperature": 2000.0,
    "final_temperature": 300.0,
    "timestep": 0.002,
}
HOLD = {"swap_temperature": 900.0, "swap_time": 100.0}
ROUTES: dict[str, dict[str, Any]] = {
    "plain": {},
    "hold": {**HOLD, "swap_every": 1_000_000, "swap_attempts": 1},
    "swaps": {**HOLD, "swap_every": 10, "swap_attempts": 10},
    "slower": {"quench_rate": 3.333e12},
}


def acceptance() -> None:
    """Exchanges accepted in the hold of a fast quench of 64 atoms, at three temperatures."""
    from vitrine.physics import glass

    fast = {"atoms": 64, "melt_time": 20.0, "quench_rate": 1e15}
    swaps = {"swap_time": 10.0, "swap_every": 10, "swap_attempts": 10}
    for temperature in (1800.0, 1300.0, 900.0):
        folder = Path(tempfile.mkdtemp())
        settings = ALLOY | fast | swaps | {"swap_temperature": temperature}
        glass.quench(folder, [], lambda done: None, seed=1, **settings)
        print(temperature, json.loads((folder / "specimen.json").read_text()))


def energy(seeds: int, atoms: int) -> None:
    """Energy per atom and CPU seconds of every route, seed by seed."""
    from vitrine.physics import glass

    for seed in range(1, seeds + 1):
        for name, changes in ROUTES.items():
            folder = Path(tempfile.mkdtemp())
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            settings = ALLOY | {"melt_time": 5.0, "quench_rate": 1e13} | changes
            glass.quench(folder, [], lambda done: None, seed=seed, atoms=atoms, **settings)
            seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            found = glass.load_configuration(folder / glass.SPECIMEN).energy.mean()
            print(f"{seed} {name} {found:.5f} eV/atom {seconds:.0f} CPU-s", flush=True)


def main() -> None:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["acceptance", "energy"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--atoms", type=int, default=100)
    given = parser.parse_args()
    if given.what == "acceptance":
        acceptance()
    else:
        energy(given.seeds, given.atoms)


if __name__ == "__main__":
    main()
