"""Crystal graphs and networks on them; rows for ``run.py``.

The crystals are those of ``$VITRINE_DATA/mp_structures/mp_structures.parquet``. Time of a graph: from a
structure to arrays, crystals of up to 20 atoms. Memory: 100,000 crystals of all sizes, a process of its own.
Training: whole steps (loading a batch, forward, backward, Adam) of ``cgcnn``, ``cgcnn-attention`` and
``line-graph``, against layers ``CGConv`` of torch_geometric of equal number and width on the same batches.

python benchmarks/crystals.py graphs|memory|cgcnn|cgcnn-attention|line-graph|peer [validation]
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RUNS, SMALL, GRAPHS, TRAINED, MANY = 3, 20, 5_000, 2_560, 100_000


def table() -> Path | None:
    """The file with crystals, if it is there."""
    path = Path(os.environ.get("VITRINE_DATA", "")) / "mp_structures/mp_structures.parquet"
    return path if "VITRINE_DATA" in os.environ and path.is_file() else None


def samples(number: int, atoms: int | None) -> Any:
    """Crystals of at most so many atoms, with their formation energies, drawn from the file."""
    import pandas as pd

    from vitrine.samples import Samples

    rows = pd.read_parquet(str(table()))
    if atoms is not None:
        rows = rows[(rows["nsites"] <= atoms) & rows["e_form_joined"].notna()]
    rows = rows.sample(number, random_state=0).reset_index(drop=True)
    return Samples("formulas", rows, tuple(rows["id"].astype(str)), tuple(rows["formula"]))


def graphs() -> dict[str, Any]:
    """CPU milliseconds a crystal of three runs."""
    from vitrine.represent.crystal_graph import CrystalGraph
    from vitrine.represent.structures import read_structures

    chosen = samples(GRAPHS, SMALL)
    structures = read_structures(chosen)
    part, times = CrystalGraph(), []
    for run in range(1 + RUNS):
        start = time.process_time()
        made = part.graphs_of(chosen, structures)
        if run:
            times.append(1e3 * (time.process_time() - start) / GRAPHS)
    return {"times": times, "edges": made.edges.shape[1], "nodes": len(made.nodes)}


def memory() -> dict[str, Any]:
    """GB at the peak of preparing many crystals, with the table that they came in, and CPU seconds."""
    from vitrine.represent.crystal_graph import CrystalGraph

    chosen = samples(MANY, None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    start = time.process_time()
    made = CrystalGraph().build(chosen, None)  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seconds = time.process_time() - start
    return {"before": before, "peak": peak, "seconds": seconds, "edges": made.edges.shape[1]}


def peer(width: int, radial: int, layers: int, hidden: int) -> Any:
    """The same sizes of torch_geometric, first features and Gaussians ours."""
    from torch import Tensor, nn
    from torch_geometric.nn import CGConv, global_mean_pool

    from vitrine.learn.networks.crystal import Gaussians, Sites

    class Peer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sites, self.radial = Sites(width, properties=True), Gaussians(radial)
            self.layers = nn.ModuleList(CGConv(width, radial, batch_norm=True) for _ in range(layers))
            head = (nn.Softplus(), nn.Linear(width, hidden), nn.Softplus(), nn.Linear(hidden, 1))
            self.head = nn.Sequential(*head)

        def forward(self, features: Tensor, crystals: Any) -> Tensor:
            bonds = self.radial(crystals.vectors.norm(dim=1))
            x = self.sites(crystals.numbers)
            for layer in self.layers:
                x = layer(x, crystals.edges, bonds)
            out: Tensor = self.head(global_mean_pool(x, crystals.owner, len(crystals.counts)))
            return out.squeeze(-1)

    return Peer()


def training(kind: str, validation: bool) -> dict[str, Any]:
    """Crystals a CPU second in three epochs after one to warm up; or, of validation, without backward."""
    import torch
    from torch import nn

    from vitrine.learn.parallel import ALONE
    from vitrine.learn.training import keep_memory
    from vitrine.represent.crystal_graph import CrystalGraph
    from vitrine.study import shelf

    keep_memory()
    torch.set_num_threads(1)
    chosen = samples(TRAINED, SMALL)
    target = chosen.items["e_form_joined"].to_numpy(dtype=np.float32)
    data = replace(CrystalGraph().build(chosen, None), target=target, target_kind="value")  # type: ignore[arg-type]
    part: Any = shelf.find("model", "cgcnn" if kind == "peer" else kind)()
    torch.manual_seed(0)
    ours = kind != "peer"
    network = part.network(0) if ours else peer(part.width, part.radial, part.layers, part.hidden)
    optimiser = torch.optim.AdamW(network.parameters(), part.learning_rate, fused=True)
    batches = part.batches(data, 0, ALONE)
    network.train(not validation)
    speeds = []
    for epoch in range(1 + RUNS):
        start, losses = time.process_time(), []
        for number in range(len(batches)):
            batch = batches[number]
            if validation:
                with torch.inference_mode():
                    network(batch.features, batch.graph)
                continue
            optimiser.zero_grad()
            loss = nn.functional.l1_loss(network(batch.features, batch.graph), batch.target)
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        if epoch:
            speeds.append(TRAINED / (time.process_time() - start))
    return {"speeds": speeds, "loss": float(np.mean(losses or [0.0])), "batch": part.batch}


def rows() -> Iterator[str]:
    """Lines of the table."""
    if table() is None:
        yield "| Crystals | | | | set VITRINE_DATA to a folder with mp_structures/mp_structures.parquet | |"
        return

    def apart(*words: str) -> dict[str, Any]:
        done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def shown(values: list[float], digits: int) -> str:
        return ", ".join(f"{value:,.{digits}f}" for value in values)

    made = apart("graphs")
    yield (
        f"| Crystal graph, ms a crystal | {GRAPHS:,} crystals of up to {SMALL} atoms, "
        f"{made['edges']:,} bonds | {shown(made['times'], 3)} | | aim: below 0.3 | |"
    )
    peaks = [apart("memory") for _ in range(RUNS)]
    yield (
        f"| Crystal graphs, GB at the peak | {MANY:,} crystals, {peaks[0]['edges']:,} bonds | "
        f"{shown([found['peak'] for found in peaks], 2)} | | aim: below 6; {peaks[0]['before']:.2f} with the "
        f"table alone; {peaks[0]['seconds']:.0f} CPU-s | |"
    )
    other = apart("peer")
    for kind in ("cgcnn", "cgcnn-attention", "line-graph"):
        ours = apart(kind)
        ratio = max(ours["speeds"]) / max(other["speeds"])
        yield (
            f"| `{kind}`, crystals/s in training | {TRAINED:,} crystals of up to {SMALL} atoms, batches of "
            f"{ours['batch']} | {shown(ours['speeds'], 0)} | {shown(other['speeds'], 0)} | layers CGConv of "
            f"torch_geometric {version('torch_geometric')} with the sizes of cgcnn | {ratio:.2f} |"
        )


if __name__ == "__main__":
    _what = sys.argv[1]
    _known = {"graphs": graphs, "memory": memory}
    print(json.dumps(_known[_what]() if _what in _known else training(_what, "validation" in sys.argv)))
