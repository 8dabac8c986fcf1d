"""A training step of `mpnn` on whole graphs against the same network in torch_geometric; rows for ``run.py``.

16 graphs of 500 particles in a periodic plane, about 6 neighbours each; the default settings (hidden 64,
depth 3, 4 heads). Each network trains in a process of its own, from equal weights; outputs must agree.

python benchmarks/message_passing.py ours|peer [tuned]
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
from torch import Tensor, nn

GRAPHS, ROWS, COLUMNS, REACH = 16, 20, 25, 1.42
RUNS = 3


def examples() -> Any:
    """Particles about the sites of a square lattice of spacing 1, bonds within a reach."""
    from scipy.spatial import cKDTree

    from vitrine.samples import Examples

    random = np.random.default_rng(0)
    sites = np.indices((ROWS, COLUMNS)).reshape(2, -1).T + 0.5
    box = np.array([ROWS, COLUMNS])
    edges, vectors = [], []
    for graph in range(GRAPHS):
        places = (sites + random.normal(0.0, 0.15, sites.shape)) % box
        pairs = cKDTree(places, boxsize=box).query_pairs(REACH, output_type="ndarray")
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        apart = places[both[:, 1]] - places[both[:, 0]]
        vectors.append(np.pad(apart - box * np.round(apart / box), ((0, 0), (0, 1))))
        edges.append(both.T + graph * len(sites))
    nodes = np.eye(2, dtype=np.float32)[(random.random(GRAPHS * len(sites)) < 0.35).astype(int)]
    names = tuple(f"g{i}" for i in range(GRAPHS))
    return Examples(
        makes="whole-graphs",
        target_kind="binary",
        ids=names,
        groups=names,
        features=np.zeros((GRAPHS, 0), np.float32),
        feature_labels=(),
        starts=np.arange(GRAPHS + 1),
        target=(np.arange(GRAPHS) % 2).astype(np.float32),
        nodes=nodes,
        node_starts=np.arange(GRAPHS + 1) * len(sites),
        edges=np.concatenate(edges, axis=1),
        edge_starts=np.concatenate([[0], np.cumsum([part.shape[1] for part in edges])]),
        edge_vectors=np.concatenate(vectors).astype(np.float32),
    )


def peer_of(network: Any) -> nn.Module:
    """The same layers and weights as they are written with torch_geometric."""
    from torch_geometric.nn import MessagePassing, global_add_pool, global_mean_pool
    from torch_geometric.utils import softmax

    class Round(MessagePassing):
        def __init__(self, update: nn.Linear) -> None:
            super().__init__(aggr="add")
            self.update_layer = update

        def forward(self, messages: Tensor, first: Tensor, graphs: Any) -> Tensor:
            size = (len(graphs.nodes), len(graphs.nodes))
            arrived = self.propagate(graphs.edges, messages=messages, size=size)
            others = arrived[graphs.edges[0]] - messages[graphs.reverse]
            return torch.relu(first + self.update_layer(others))

        def message(self, messages: Tensor) -> Tensor:
            return messages

    class Peer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ours = network
            self.round = Round(network.update)

        def forward(self, features: Tensor, graphs: Any) -> Tensor:
            net = self.ours
            gaussians = torch.exp(-0.5 * ((graphs.lengths[:, None] - net.centres) / net.spacing) ** 2)
            first = torch.relu(net.initial(torch.cat([graphs.nodes[graphs.edges[0]], gaussians], dim=1)))
            messages = first
            for _ in range(net.depth):
                messages = self.round(messages, first, graphs)
            scores = net.heads(torch.relu(net.score(messages)))
            count = len(graphs.edge_counts)
            weights = softmax(scores, graphs.edge_owner, num_nodes=count)
            read = [global_add_pool(w[:, None] * messages, graphs.edge_owner, count) for w in weights.T]
            read.append(global_mean_pool(messages, graphs.edge_owner, count))
            out: Tensor = net.readout(torch.cat([*read, features], dim=1)).squeeze(-1)
            return out

    return Peer()


def measure(ours: bool, tuned: bool) -> dict[str, Any]:
    """CPU seconds of three steps after two to warm up, memory of the steps in MB, first outputs, losses."""
    from vitrine.learn.batches import as_batch
    from vitrine.learn.training import keep_memory
    from vitrine.learn.whole import MessagePassing

    torch.set_num_threads(1)
    if tuned:
        keep_memory()
    data = examples()
    part = MessagePassing()
    torch.manual_seed(0)
    network: Any = part.network(**part.inputs_of(data))
    part.calibrate(network, data)
    if not ours:
        network = peer_of(network)
    batch = as_batch(data)
    optimiser = torch.optim.AdamW(network.parameters(), part.learning_rate)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, losses, outputs = [], [], []
    for step in range(2 + RUNS):
        start = time.process_time()
        optimiser.zero_grad()
        out = network(batch.features, batch.graph)
        loss = nn.functional.binary_cross_entropy_with_logits(out, batch.target)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        outputs = outputs or out.detach().tolist()
        if step >= 2:
            times.append(time.process_time() - start)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
    edges = int(data.edges.shape[1])
    return {"times": times, "memory": used, "losses": losses, "outputs": outputs, "edges": edges}


def rows() -> Iterator[str]:
    """Lines of the table."""

    def apart(*words: str) -> dict[str, Any]:
        done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    ours = apart("ours", "tuned")
    for name, words in (("as installed", ("peer",)), ("glibc tuned", ("peer", "tuned"))):
        peer = apart(*words)
        assert np.allclose(ours["outputs"], peer["outputs"], rtol=0, atol=1e-5), "the networks differ"
        assert np.allclose(ours["losses"], peer["losses"], rtol=1e-3), "their slopes differ"
        shown = [", ".join(f"{value:.3f}" for value in found["times"]) for found in (ours, peer)]
        ratio = min(peer["times"]) / min(ours["times"])
        yield (
            f"| Message passing, training step, {name} | 16 graphs, {ours['edges']:,} bonds | {shown[0]} | "
            f"{shown[1]} | the same network of torch_geometric {version('torch_geometric')}; "
            f"{ours['memory']:.0f} against {peer['memory']:.0f} MB, outputs equal to 1e-5 | {ratio:.2f} |"
        )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1] == "ours", "tuned" in sys.argv)))
