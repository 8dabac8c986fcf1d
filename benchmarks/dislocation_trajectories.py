"""CPU seconds of whole branched trajectories of dislocations by width, and what the paper's set would cost.

python benchmarks/run.py dislocation-trajectories
python benchmarks/dislocation_trajectories.py --keep FOLDER 0.125 0.25
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from vitrine.simulate.dislocations.files import TRAJECTORY
from vitrine.simulate.dislocations.source import DislocationDynamics

BUDGET = {0.125: 5.0, 0.25: 30.0, 0.5: 240.0, 1.0: 1200.0}
"""CPU seconds that one may take, by width [µm]"""
WIDTHS = (0.0625, 0.125, 0.25, 0.5, 1.0)
RUNS = {1.0: 1}
"""trajectories of each choice of slip; three elsewhere"""
PER_WIDTH = 102
"""trajectories of each width in the paper's set: 51 of each choice of slip"""
SHORT = (0.1, 1.0)
"""prior strains [%] of the runs that 2 µm is judged by"""


def seconds(width: float, slip: str, seed: int, keep: Path | None, prior: Sequence[float] = ()) -> float:
    """CPU seconds of one trajectory with its maps: load to 10 %, three branches, six maps."""
    more = {"prior": prior} if prior else {}
    source = DislocationDynamics(width=(width,), slip=(slip,), seed=seed, **more)
    (task,) = source.tasks()
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        task.function(Path(folder), (), lambda fraction: None, **task.arguments)
        taken = time.process_time() - start
        if keep is not None:
            shutil.copy(Path(folder) / TRAJECTORY, keep / f"{task.label}.h5")
    return taken


def rows(widths: Sequence[float] = WIDTHS, keep: Path | None = None) -> Iterator[str]:
    """Lines of the table, and the projection."""
    seconds(0.0625, "two", 99, None)  # compilation
    means = {}
    for width in widths:
        found = {
            slip: [seconds(width, slip, seed, keep) for seed in range(1, RUNS.get(width, 3) + 1)]
            for slip in ("one", "two")
        }
        means[width] = sum(map(sum, found.values())) / sum(map(len, found.values()))
        shown = "; ".join(", ".join(f"{value:.2f}" for value in values) for values in found.values())
        budget = f"one slip system; two; at most {BUDGET[width]:g} s" if width in BUDGET else "one; two"
        yield f"| Dislocations, branched trajectory | {1000 * width:g} nm | {shown} | | {budget} | |"
    if tuple(widths) == WIDTHS:
        yield from projected(means, keep)


def projected(means: dict[float, float], keep: Path | None) -> Iterator[str]:
    """2 µm as far as 1 % and its reloads, and what the paper's set would cost."""
    short = {width: seconds(width, "two", 1, keep if width > 1 else None, SHORT) for width in (1.0, 2.0)}
    shown = ", ".join(f"{value:.1f}" for value in short.values())
    yield f"| Dislocations, to 1 % with reloads | 1,000; 2,000 nm | {shown} | | two slip systems, one run | |"
    means = means | {2.0: means[1.0] * short[2.0] / short[1.0]}
    hours = {width: mean * PER_WIDTH / 3600 for width, mean in means.items()}
    parts = ", ".join(f"{1000 * width:g} nm {value:.1f}" for width, value in hours.items())
    total = f"{sum(hours.values()):.0f}"
    said = "2,000 nm: that of 1,000 nm times the ratio of the row before; at most 120, aim 50"
    size = f"{6 * PER_WIDTH} trajectories"
    yield f"| Dislocations, the paper's set, core-hours | {size} | {total} | | {parts} ({said}) | |"


if __name__ == "__main__":
    words = sys.argv[1:]
    folder = Path(words.pop(words.index("--keep") + 1)) if "--keep" in words else None
    for line in rows([float(word) for word in words if word != "--keep"] or WIDTHS, folder):
        print(line, flush=True)
