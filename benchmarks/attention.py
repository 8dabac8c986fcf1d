"""A training step of graph attention at the paper's size against torch_geometric; rows for ``run.py``.

10,000 nodes, 140,000 edges, 19 features, L 4, M 15, N 9. Each network trains in a process of its own.

python benchmarks/attention.py fused|peer [tuned]
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

NODES, DEGREE, FEATURES, LAYERS, WIDTH, HEADS = 10_000, 14, 19, 4, 15, 9
RUNS = 3


def graph() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, edges (neighbour, centre) without loops, labels."""
    random = np.random.default_rng(0)
    centre = np.repeat(np.arange(NODES), DEGREE)
    neighbour = (centre + random.integers(1, 200, len(centre)) * random.choice([-1, 1], len(centre))) % NODES
    features = torch.tensor(random.normal(size=(NODES, FEATURES)).astype(np.float32))
    labels = torch.tensor((random.random(NODES) < 0.02).astype(np.float32))
    return features, torch.tensor(np.stack([neighbour, centre])), labels


class Network(nn.Module):
    """Attention layers with Mish and a linear output, of ours or of torch_geometric's."""

    def __init__(self, fused: bool, edges: torch.Tensor) -> None:
        from torch_geometric.nn import GATConv

        from vitrine.learn.networks.attention import neighbour_rows
        from vitrine.learn.networks.fused import FusedAttention

        super().__init__()
        sizes = [FEATURES] + [WIDTH * HEADS] * (LAYERS - 1)
        make: Any = FusedAttention if fused else lambda size, width, heads: GATConv(size, width, heads=heads)
        self.layers = nn.ModuleList([make(size, WIDTH, HEADS) for size in sizes])
        self.out = nn.Linear(WIDTH * HEADS, 1)
        self._where = neighbour_rows(edges, NODES) if fused else (edges,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One logit per node."""
        for layer in self.layers:
            x = nn.functional.mish(layer(x, *self._where))
        logits: torch.Tensor = self.out(x)[:, 0]
        return logits


def measure(fused: bool, tuned: bool) -> dict[str, Any]:
    """CPU seconds of three steps after two to warm up, memory of the steps in MB, and the first loss."""
    from vitrine.learn.training import keep_memory

    torch.set_num_threads(1)
    if tuned:
        keep_memory()
    features, edges, labels = graph()
    torch.manual_seed(0)
    reference = Network(False, edges)
    network = Network(fused, edges)
    network.load_state_dict(reference.state_dict())
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, losses = [], []
    for step in range(2 + RUNS):
        start = time.process_time()
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(features), labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if step >= 2:
            times.append(time.process_time() - start)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"times": times, "memory": used * 1024 / 1e6, "losses": losses}


def rows() -> Iterator[str]:
    """Lines of the table."""

    def apart(*words: str) -> dict[str, Any]:
        done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    ours = apart("fused", "tuned")
    for name, words in (("as installed", ("peer",)), ("glibc tuned", ("peer", "tuned"))):
        peer = apart(*words)
        assert np.allclose(ours["losses"], peer["losses"], rtol=1e-3), "the networks differ"
        shown = [", ".join(f"{value:.3f}" for value in found["times"]) for found in (ours, peer)]
        ratio = min(peer["times"]) / min(ours["times"])
        yield (
            f"| Attention network, training step | 10,000 nodes | {shown[0]} | {shown[1]} | GATConv of "
            f"torch_geometric {version('torch_geometric')}, {name}; {ours['memory']:.0f} against "
            f"{peer['memory']:.0f} MB, equal losses | {ratio:.2f} |"
        )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1] == "fused", "tuned" in sys.argv)))
