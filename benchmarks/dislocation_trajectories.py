"""CPU seconds of whole branched trajectories of dislocations by width, and what the paper's set would cost.

python benchmarks/run.py dislocation-trajectories
python benchmarks/dislocation_trajectories.py 0.125 0.25
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from vitrine.simulate.dislocations.source import DislocationDynamics

BUDGET = {0.125: 5.0, 0.25: 30.0, 0.5: 240.0, 1.0: 1200.0}
"""CPU seconds that one may take, by width [µm]"""
WIDTHS = (0.0625, 0.125, 0.25, 0.5, 1.0)
RUNS = {1.0: 1}
"""trajectories of each choice of slip; three elsewhere"""
PER_WIDTH = 102
"""trajectories of each width in the paper's set: 51 of each choice of slip"""


def seconds(width: float, slip: str, seed: int) -> float:
    """CPU seconds of one trajectory with its maps: load to 10 %, three branches, six maps."""
    source = DislocationDynamics(width=(width,), slip=(slip,), seed=seed)
    (task,) = source.tasks()
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        task.function(Path(folder), (), lambda fraction: None, **task.arguments)
        return time.process_time() - start


def rows(widths: Sequence[float] = WIDTHS) -> Iterator[str]:
    """Lines of the table, and the projection."""
    seconds(0.0625, "two", 99)  # compilation
    means = {}
    for width in widths:
        found = {
            slip: [seconds(width, slip, seed) for seed in range(1, RUNS.get(width, 3) + 1)]
            for slip in ("one", "two")
        }
        means[width] = sum(map(sum, found.values())) / sum(map(len, found.values()))
        shown = "; ".join(", ".join(f"{value:.2f}" for value in values) for values in found.values())
        budget = f"one slip system; two; at most {BUDGET[width]:g} s" if width in BUDGET else "one; two"
        yield f"| Dislocations, branched trajectory | {1000 * width:g} nm | {shown} | | {budget} | |"
    hours = {width: mean * PER_WIDTH / 3600 for width, mean in means.items()}
    total = sum(hours.values())
    if len(means) > 3:
        yield (
            f"| Dislocations, {PER_WIDTH} trajectories of each width, core-hours | {len(means)} widths | "
            f"{total:.1f} | | mean of the runs above; without 2 µm | |"
        )


if __name__ == "__main__":
    for line in rows([float(word) for word in sys.argv[1:]] or WIDTHS):
        print(line, flush=True)
