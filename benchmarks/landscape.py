"""Surfaces of losses against the package `loss-landscapes`, on as many points; rows for ``run.py``.

A plane of filter-normalised directions through BRNet (86 inputs, branches of 2 and 2 layers, 4.5 million
weights) on 1,000 rows in one batch, through a crystal graph network on 300 alloys of the effective-medium
potential in one batch, and through a small network on fewer rows, where many points at once pay. Both sides
draw and normalise their directions within the time. The peer is no dependency of vitrine:

pip install --no-deps --target SOMEWHERE loss-landscapes
PYTHONPATH=SOMEWHERE python benchmarks/landscape.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from vitrine.explain.landscape import Probe, Surface
from vitrine.explain.landscape.batches import moved
from vitrine.learn.batches import Batch, as_batch
from vitrine.learn.crystal import GatedCrystals
from vitrine.learn.networks.composition import branched
from vitrine.learn.networks.dense import DenseNetwork
from vitrine.learn.prediction import forward
from vitrine.physics.crystals import Structure, columns_of
from vitrine.represent.crystal_graph import CrystalGraph
from vitrine.samples import Samples
from vitrine.simulate.emt_alloys import make_alloys

RUNS, FEATURES = 3, 86
LOSS = nn.functional.mse_loss


def rows_like(n: int) -> tuple[Tensor, Tensor]:
    """Fractions of a few elements, and a target."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(n, FEATURES, generator=draw) * (torch.rand(n, FEATURES, generator=draw) < 0.05)
    return x, torch.rand(n, generator=draw)


def in_turn(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[list[float], list[float]]:
    """CPU seconds of three runs of each, one after the other."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for work, times in zip((ours, peer), found, strict=True):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    return found


class OfBatch(nn.Module):
    """A crystal network that takes a batch as its one input, as the peer wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        """(n_crystals,)."""
        return forward(self.network, batch)


def crystals(n: int) -> tuple[nn.Module, Batch, Tensor]:
    """An untrained CGCNN, n alloys in one batch, and a target."""
    alloys = make_alloys(random_cells=n)[:n]
    found = [
        Structure(np.array(a.cell), tuple(a.get_chemical_symbols()), a.get_scaled_positions(wrap=False))
        for a in alloys
    ]
    frame = pd.DataFrame(columns_of(found)).assign(formula=[one.formula() for one in found])
    ids = tuple(str(number) for number in range(n))
    examples = CrystalGraph().build(Samples("formulas", frame, ids, ids), lambda tasks: [])
    network = GatedCrystals().network(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():  # the peer divides by the norm of every shift
                parameter.normal_(0.0, 0.1)
    return network, as_batch(examples), torch.rand(n, generator=torch.Generator().manual_seed(0))


def surface_row(
    what: str, network: nn.Module, batch: tuple[Any, Tensor], points: int, dtype: torch.dtype
) -> str:
    """A line of the table: the same network, batch, number of points and precision on both sides."""
    import loss_landscapes
    import loss_landscapes.metrics

    x, y = (moved(part, dtype) for part in batch)
    network = network.to(dtype).eval()
    seen: dict[str, Any] = {}

    def ours() -> None:
        probe = Probe(network, {"rows": [(x, y)]}, LOSS, dtype=dtype)
        seen["ours"] = probe.surface(probe.plane("filter", seed=0), 1.0, points)

    def peer() -> None:
        metric = loss_landscapes.metrics.Loss(LOSS, x, y)
        with torch.no_grad():
            seen["peer"] = loss_landscapes.random_plane(
                network, metric, distance=1, steps=points, normalization="filter", deepcopy_model=True
            )

    first, second = in_turn(ours, peer)
    with torch.no_grad():
        own = float(LOSS(deepcopy(network)(x), y))
    surface: Surface = seen["ours"]
    middle = abs(float(surface.losses["rows"][points // 2, points // 2]) - own)
    nearest = float(np.abs(seen["peer"] - own).min())
    shown = [", ".join(f"{value:.3g}" for value in times) for times in (first, second)]
    how = (
        f"{surface.facts.dtype}, {points} x {points} points {'together' if surface.batched else 'one by one'}"
    )
    return (
        f"| {what}, {how} | {len(y):,} rows | "
        f"{shown[0]} | {shown[1]} | loss-landscapes {version('loss-landscapes')}, its nearest cell "
        f"{nearest:.0e} off the network's loss, our centre {middle:.0e} | {min(second) / min(first):.2f} |"
    )


def rows() -> Iterator[str]:
    """Lines of the table; none, with a word, where the peer is not there."""
    try:
        version("loss-landscapes")
    except PackageNotFoundError:
        print(
            "landscape: skipped, loss-landscapes is not installed (see benchmarks/landscape.py)", flush=True
        )
        return
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        brnet, small = branched(FEATURES, (2, 2)), DenseNetwork(FEATURES, (64, 32), True)
    thousand, single = rows_like(1000), torch.float32
    yield surface_row("Loss surface of BRNet", brnet, thousand, 25, single)
    yield surface_row("Loss surface of BRNet", brnet, thousand, 9, torch.float64)
    cgcnn, alloys, target = crystals(300)
    for dtype in (single, torch.float64):
        yield surface_row("Loss surface of a crystal network", OfBatch(cgcnn), (alloys, target), 25, dtype)
    for n_rows in (10, 100, 1000):
        yield surface_row(
            "Loss surface of a network of 64 and 32", small.float(), rows_like(n_rows), 25, single
        )
    yield surface_row("Loss surface of a network of 64 and 32", small, rows_like(100), 25, torch.float64)


if __name__ == "__main__":
    for line in rows():
        print(line, flush=True)
