"""What is special about single models; the contract of all of them is kept in test_contracts.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.nn import GATConv

from vitrine.learn.baselines import Ridge
from vitrine.learn.networks.attention import AttentionNetwork
from vitrine.learn.networks.dense import DenseNetwork
from vitrine.learn.neural import GraphAttention, Perceptron
from vitrine.learn.protocol import Scaler
from vitrine.testing import graph_examples


def test_early_stopping_keeps_the_best_weights() -> None:
    examples = graph_examples(binary=False)
    part = Perceptron(widths=(64,), epochs=60, patience=5, learning_rate=0.05, batch=2)
    model = part.build("value", 0)
    model.fit(examples.select(range(4)), examples.select(range(8, 12)), lambda fraction: None)
    facts = model.describe()
    validation = [loss for _, loss in facts["losses"]]
    assert facts["epochs"] < 60, "it must overfit four samples and stop early"
    assert facts["best_epoch"] == int(np.argmin(validation)) + 1
    assert facts["epochs"] - facts["best_epoch"] == 5
    hold = examples.select(range(8, 12))
    spread = examples.select(range(4)).target.std()
    error = np.abs(model.predict(hold) - hold.target).mean() / spread
    assert error == pytest.approx(min(validation), rel=1e-3)


def test_positive_class_is_weighted() -> None:
    """With balanced classes the mean score of a rare class lies near one half, not near its share."""
    examples = graph_examples(n_samples=20)
    rare = examples.with_target((examples.features[:, 0] > 1.6).astype(np.float32))
    assert rare.target.mean() < 0.08
    model = Perceptron(widths=(8,), epochs=30, batch=2, learning_rate=0.01).build("binary", 0)
    scores = model.fit(rare, None, lambda fraction: None).predict(rare)
    assert scores[rare.target == 1].mean() > 0.7


def test_attention_runs_from_neighbour_to_centre() -> None:
    """A node's logit must change with its neighbour's features along a directed edge, not against it."""
    torch.manual_seed(0)
    network = AttentionNetwork(3, layers=1, width=4, heads=2).eval()
    x = torch.randn(2, 3)
    edge = torch.tensor([[0], [1]])  # neighbour 0 -> centre 1
    moved = x.clone()
    moved[0] += 1.0
    with torch.no_grad():
        change = (network(moved, edge) - network(x, edge)).abs()
        back = x.clone()
        back[1] += 1.0
        other = (network(back, edge) - network(x, edge)).abs()
    assert change[1] > 1e-4
    assert other[0] == 0.0


def test_attention_layer_is_the_published_one() -> None:
    """GATConv's coefficients against the formula of Veličković et al. 2018, written out for one head."""
    torch.manual_seed(1)
    layer = GATConv(3, 2, heads=1, add_self_loops=False, bias=False)
    x = torch.randn(3, 3)
    edges = torch.tensor([[1, 2], [0, 0]])
    h = x @ layer.lin.weight.T
    source, centre = (h * layer.att_src[0]).sum(1), (h * layer.att_dst[0]).sum(1)
    logits = torch.nn.functional.leaky_relu(source[[1, 2]] + centre[0], 0.2)
    weights = torch.softmax(logits, 0)
    expected = weights[0] * h[1] + weights[1] * h[2]
    torch.testing.assert_close(layer(x, edges)[0], expected)


def test_parameters_of_the_dense_network() -> None:
    """(4+1)*8 + (4+1)*8 for the skip, then (8+1)*8 with an identity skip, then 8+1."""
    network = DenseNetwork(4, (8, 8), residual=True)
    assert sum(p.numel() for p in network.parameters()) == 40 + 40 + 72 + 9


def test_grids_are_those_of_the_paper_and_a_small_one() -> None:
    """Lee & Ryu 2022: L in 2 to 12, M in 10 to 40, N in 6 to 15, 168 networks."""
    sizes = {}
    for name, grid in GraphAttention.grids.items():
        sizes[name] = int(np.prod([len(values) for values in grid.values()]))
        for setting, values in grid.items():
            found = [getattr(GraphAttention(**{setting: value}), setting) for value in values]
            assert found == sorted(set(values))
    assert sizes["paper"] == 168 and sizes["coarse"] < 20


def test_scaler_leaves_constants_and_inverts() -> None:
    values = np.array([[1.0, 5.0], [3.0, 5.0]])
    scaler = Scaler.of(values)
    np.testing.assert_allclose(scaler(values), [[-1, 0], [1, 0]])
    np.testing.assert_allclose(scaler.inverse(scaler(values)), values)


def test_skops_files_with_strange_types_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from skops.io import dump

    from vitrine.errors import DataError

    class Strange:
        pass

    dump(Strange(), tmp_path / "model.skops")
    with pytest.raises(DataError, match="not loaded"):
        Ridge().build("value", 0).load(tmp_path)
