"""BRNet against plain torch with a DataLoader, and the memory that a large table takes; for ``run.py``.

python benchmarks/composition.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from vitrine.learn.composition import BranchedResidual
from vitrine.samples import Examples

RUNS, ROWS, FEATURES = 3, 50_000, 86
WIDTHS = (1024, 512, 512, 512, 256, 256, 256, 128, 128, 128, 64, 64, 32)


def fractions_like(n: int, seed: int = 0) -> Examples:
    """Rows of three elements each, with a target that depends on them."""
    random = np.random.default_rng(seed)
    x = np.zeros((n, FEATURES), np.float32)
    parts = random.dirichlet(np.ones(3), n).astype(np.float32)
    for column in range(3):
        x[np.arange(n), random.integers(0, FEATURES, n)] += parts[:, column]
    x /= x.sum(axis=1, keepdims=True)
    target = (x @ random.normal(size=FEATURES)).astype(np.float32)
    names = tuple(f"r{number}" for number in range(n))
    return Examples(
        "vectors", "value", names, names, x, tuple(map(str, range(FEATURES))), np.arange(n + 1), target
    )


class PlainLayer(nn.Module):
    """A layer with a skip, as a tutorial writes it."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after)
        self.skip = nn.Identity() if before == after else nn.Linear(before, after)
        self.act = nn.LeakyReLU(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """LeakyReLU(W x + b) and the skip."""
        return self.act(self.linear(x)) + self.skip(x)


class PlainBRNet(nn.Module):
    """The same network in plain torch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(PlainLayer(FEATURES, 1024), PlainLayer(1024, 1024))
        self.second = nn.Sequential(PlainLayer(FEATURES, 1024), PlainLayer(1024, 1024))
        layers = [PlainLayer(a, b) for a, b in pairwise(WIDTHS)]
        self.trunk = nn.Sequential(*layers, nn.Linear(32, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, features) -> (n,)."""
        return self.trunk(self.first(x) + self.second(x)).squeeze(-1)


def epoch_seconds(batch: int, fused: bool = False) -> tuple[list[float], list[float]]:
    """CPU seconds of an epoch, ours with Lightning and all, and plain torch's, in turn."""
    examples = fractions_like(ROWS)
    assert examples.target is not None
    part = BranchedResidual(epochs=1, batch=batch)
    tensors = TensorDataset(torch.from_numpy(examples.features), torch.from_numpy(examples.target))
    loader = DataLoader(tensors, batch, shuffle=True)

    def ours() -> None:
        part.build("value", 0).fit(examples, None, lambda fraction: None)

    def plain() -> None:
        network = PlainBRNet()
        adam = torch.optim.Adam(network.parameters(), lr=1e-4, fused=fused or None)
        for x, y in loader:
            adam.zero_grad()
            nn.functional.l1_loss(network(x), y).backward()
            adam.step()

    first, second = [], []
    _in_turn(((ours, first), (plain, second)))
    return first, second


def _in_turn(works: tuple[tuple[Callable[[], None], list[float]], ...]) -> None:
    for _ in range(RUNS):
        for work, found in works:
            start = time.process_time()
            work()
            found.append(time.process_time() - start)


MEMORY = """
import json, resource, sys, tempfile, time
from pathlib import Path
import numpy as np

random = np.random.default_rng(0)
from vitrine.physics.formulas import ALL_ELEMENTS
symbols = np.array(ALL_ELEMENTS[:94])
place = Path(tempfile.mkdtemp())
with (place / "large.csv").open("w") as file:
    file.write("formula,e_form\\n")
    for _ in range(300_000):
        names = random.choice(symbols, 3, replace=False)
        counts = random.integers(1, 9, 3)
        file.write("".join(f"{s}{c}" for s, c in zip(names, counts)) + f",{random.normal():.4f}\\n")

import vitrine
settings = {"source.table": str(place / "large.csv"), "source.target": "e_form", "budget.epochs": 1,
            "evaluation.resamples": 100, "budget.rows": None, "data_curve": None}
study = vitrine.load_study("branched-composition", "smoke", settings, tracks=["grouped"], models=["brnet"])
start = time.process_time()
vitrine.run(study, place / "run", store=place / "store", workers=0)
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - start]))
"""


def memory_gb() -> tuple[float, float]:
    """Most memory [GB] of a process that runs a study on 300,000 rows, from table to report, and CPU-s."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    most, seconds = json.loads(done.stdout.strip().splitlines()[-1])
    return most * 1024 / 1e9, seconds


def rows() -> Iterator[str]:
    """Lines of the table."""
    for batch, fused in ((32, False), (32, True), (128, False)):
        ours, plain = epoch_seconds(batch, fused)
        ratios = ", ".join(f"{b / a:.2f}" for a, b in zip(ours, plain, strict=True))
        peer = f"plain torch {torch.__version__}, DataLoader, Adam" + (" (fused)" if fused else "")
        what = f"an epoch of BRNet, batch {batch}, float32" + (", peer fused" if fused else "")
        yield (
            f"| {what} | {ROWS:,} rows | {min(ours):.1f} to {max(ours):.1f} | {min(plain):.1f} to "
            f"{max(plain):.1f} | {peer} | {ratios} |"
        )
    most, seconds = memory_gb()
    yield (
        f"| a study on a large table, BRNet, one epoch, report included | 300,000 rows | {seconds:.0f}, "
        f"{most:.2f} GB at most | at most 2 GB | – | – |"
    )


if __name__ == "__main__":
    for line in rows():
        print(line, flush=True)
