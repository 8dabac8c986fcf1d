"""Crops of strain maps against the network that trains on them, and that against plain torch; for ``run.py``.

python benchmarks/strain_maps.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from vitrine.learn.map_batches import MapBatches
from vitrine.learn.maps import Residual
from vitrine.learn.networks.residual import ResidualNetwork
from vitrine.map_stack import CropPlan, MapStack
from vitrine.physics.crops import all_crops
from vitrine.samples import Examples
from vitrine.testing.inputs import in_classes, map_examples

RUNS = 3
PLAN = CropPlan((64, 72, 80, 88), 56, -0.01, 0.02)
SHAPES = ((124, 31), (250, 62), (500, 125), (1000, 250))
MAPS, VIEWS, EPOCHS, BATCH = 24, 12, 3, 72


def examples_of(shape: tuple[int, int], plan: CropPlan, maps: int = MAPS) -> Examples:
    """Noise of the size of real maps, three classes."""
    random = np.random.default_rng(0)
    found = [(0.01 * random.normal(size=shape)).astype(np.float16) for _ in range(maps)]
    return replace(in_classes(map_examples(n_samples=maps)), maps=MapStack.of(found, plan))


def cpu(work: Callable[[], object]) -> list[float]:
    """CPU seconds of three runs, after one to warm up."""
    work()
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return found


def crop_seconds(shape: tuple[int, int], plan: CropPlan) -> list[float]:
    """Of an epoch's crops, turned and mirrored, as batches."""
    examples = examples_of(shape, plan)
    batches = MapBatches(examples, BATCH, VIEWS, 0, augment="mirrors")
    return cpu(lambda: [batches[number] for number in range(len(batches))])


def step_seconds(plan: CropPlan) -> list[float]:
    """Of the training steps on as many crops, forward, backward and Adam, without making the crops."""
    network = ResidualNetwork(3, 2, 3)
    adam = torch.optim.Adam(network.parameters())
    images = torch.rand(BATCH, plan.crop, plan.crop)
    target = torch.randint(0, 3, (BATCH,))

    def epoch() -> None:
        for _ in range(MAPS * VIEWS // BATCH):
            adam.zero_grad()
            nn.functional.cross_entropy(network(images.new_zeros(BATCH, 0), images), target).backward()
            adam.step()

    return cpu(epoch)


class PlainModule(nn.Module):
    """A residual module as a tutorial writes it."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(before if n == 0 else after, after, 3, padding=1) for n in range(3)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(3))
        self.cut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        self.norm = nn.BatchNorm2d(after) if before != after else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Three convolutions and the shortcut."""
        out = x
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            out = norm(layer(out))
            if number < 2:
                out = torch.relu(out)
        return torch.relu(out + self.norm(self.cut(x)))


def plain_network() -> nn.Module:
    """The same network in plain torch."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        PlainModule(16, 32), PlainModule(32, 32), nn.MaxPool2d(3, 2, 1),
        PlainModule(32, 64), PlainModule(64, 64), nn.MaxPool2d(3, 2, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip


def training_seconds() -> tuple[list[float], list[float]]:
    """Ours, crops and Lightning included, and plain torch with a DataLoader on crops that lie ready."""
    examples = examples_of(SHAPES[1], PLAN)
    assert examples.maps is not None and examples.target is not None
    part = Residual(epochs=EPOCHS, views=VIEWS, batch=BATCH, patience=EPOCHS)

    def ours() -> None:
        part.build("classes", 0).fit(examples, None, lambda fraction: None)

    crops = np.concatenate([all_crops(examples.maps, n)[:VIEWS] for n in range(MAPS)])
    target = torch.from_numpy(np.repeat(examples.target, VIEWS).astype(np.int64))
    loader = DataLoader(TensorDataset(torch.from_numpy(crops)[:, None], target), BATCH, shuffle=True)

    def plain() -> None:
        network = plain_network()
        adam = torch.optim.Adam(network.parameters())
        for _ in range(EPOCHS):
            for images, classes in loader:
                adam.zero_grad()
                nn.functional.cross_entropy(network(images), classes).backward()
                adam.step()

    first, second = [], []
    ours(), plain()
    for _ in range(RUNS):  # in turn, so that both see the same machine
        for work, found in ((ours, first), (plain, second)):
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    return first, second


MEMORY = """
import json, resource, time
import numpy as np
from vitrine.represent.strain_crops import StrainCrops
from vitrine.samples import Samples
from vitrine.strain_maps import StoredMap

SIZES = [(124, 31), (250, 62), (500, 125), (1000, 250), (1000, 250), (1000, 250)]
def strain(shape, seed):
    return (0.01 * np.random.default_rng(seed).standard_normal((3, *shape), np.float32))
def stored(i):
    return StoredMap(lambda: strain(SIZES[i % 6], i), lambda: np.zeros((2, 2)), 2.0, {})
items = [stored(i) for i in range(3648)]
names = tuple(str(i) for i in range(3648))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
examples = StrainCrops().build(Samples("maps", items, names, names), lambda tasks: [])
print(json.dumps([before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, examples.maps.pixels.nbytes]))
"""


def memory_gib() -> tuple[float, float]:
    """Most memory of a process that prepares 3,648 maps of six widths, and what the maps alone take [GiB]."""
    out = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    _, most, pixels = json.loads(out)
    return most / 2**20, pixels / 2**30


def rows() -> Iterator[str]:
    """Lines of the table."""
    images = MAPS * VIEWS
    for plan, name in ((PLAN, "56"), (CropPlan(), "224")):
        steps = step_seconds(plan)
        for shape in (SHAPES[0], SHAPES[-1]):
            crops = crop_seconds(shape, plan)
            ratio = min(steps) / max(crops)
            yield (
                f"| crops of {name} px, turned and mirrored, from {shape[0]} x {shape[1]} | {images} crops | "
                f"{min(crops):.3f} to {max(crops):.3f} | {min(steps):.3f} to {max(steps):.3f} | "
                f"the training steps on them, torch {torch.__version__} | {ratio:.1f} |"
            )
    ours, plain = training_seconds()
    ratios = ", ".join(f"{b / a:.2f}" for a, b in zip(ours, plain, strict=True))
    yield (
        f"| training the residual network, crops of 56 px cut while it trains | {EPOCHS * images} crops | "
        f"{min(ours):.2f} to {max(ours):.2f} | {min(plain):.2f} to {max(plain):.2f} | plain torch "
        f"{torch.__version__}, DataLoader on crops that lie ready | {ratios} |"
    )
    most, pixels = memory_gib()
    yield (
        f"| preparing strain maps of six widths for training | 3,648 maps | {most:.2f} GiB at most, maps "
        f"{pixels:.2f} GiB | at most 4 GiB | 24 crops as floats: 16.4 GiB | – |"
    )


if __name__ == "__main__":
    for line in rows():
        print(line, flush=True)
