"""Fused graph attention equals torch_geometric's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.nn import GATConv

from vitrine.learn.networks.attention import neighbour_rows
from vitrine.learn.networks.fused import FusedAttention, _gather

SIZES = [(5, 3, 2), (19, 15, 9), (40, 16, 4), (7, 20, 3), (4, 1, 1), (6, 8, 15)]


def _graph(n: int, seed: int) -> torch.Tensor:
    """Random edges: some nodes without any, some twice, some with themselves."""
    random = np.random.default_rng(seed)
    edges = random.integers(0, n - 3, size=(2, 6 * n))
    edges = np.concatenate([edges, edges[:, :5], [[2, 3], [2, 3]]], axis=1)
    return torch.from_numpy(edges[:, random.permutation(edges.shape[1])])


def _pair(inputs: int, width: int, heads: int) -> tuple[GATConv, FusedAttention]:
    torch.manual_seed(0)
    theirs, ours = GATConv(inputs, width, heads=heads), FusedAttention(inputs, width, heads)
    torch.nn.init.normal_(theirs.bias)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize(("inputs", "width", "heads"), SIZES)
def test_outputs_and_gradients_equal_those_of_torch_geometric(inputs: int, width: int, heads: int) -> None:
    theirs, ours = _pair(inputs, width, heads)
    edges, x = _graph(40, inputs), torch.randn(40, inputs)
    upstream = torch.randn(40, width * heads)
    found = []
    for layer, arguments in ((theirs, (edges,)), (ours, neighbour_rows(edges, 40))):
        features = x.clone().requires_grad_()
        out = layer(features, *arguments)
        out.backward(upstream)
        gradients = {name: weight.grad for name, weight in layer.named_parameters()}
        found.append({"out": out.detach(), "x": features.grad, **gradients})
    for name, value in found[0].items():
        assert torch.allclose(found[1][name], value, rtol=1e-4, atol=1e-5 * value.abs().max().item()), name


@pytest.mark.parametrize(("inputs", "width", "heads"), SIZES[:3])
def test_plain_formulas_equal_the_fused_ones(inputs: int, width: int, heads: int) -> None:
    """What other devices run; in double precision its gradient is checked against differences."""
    _, ours = _pair(inputs, width, heads)
    edges, x = _graph(30, 1), torch.randn(30, inputs)
    rows = neighbour_rows(edges, 30)
    double = ours.double()(x.double(), *rows)
    assert torch.allclose(ours.float()(x, *rows).double(), double, rtol=1e-4, atol=1e-5)
    values = [torch.randn(6, width * heads, dtype=torch.double, requires_grad=True)]
    values += [torch.randn(6, heads, dtype=torch.double, requires_grad=True) for _ in range(2)]
    starts, neighbours = neighbour_rows(torch.tensor([[0, 1, 2, 5], [1, 1, 0, 3]]), 6)
    assert torch.autograd.gradcheck(lambda *v: _gather(*v, starts, neighbours), values)


def test_rows_hold_every_edge_once_and_each_node_itself() -> None:
    edges = torch.tensor([[4, 1, 1, 2, 2], [0, 0, 3, 2, 0]])
    starts, neighbours = neighbour_rows(edges, 5)
    rows = [neighbours[starts[i] : starts[i + 1]].tolist() for i in range(5)]
    assert rows == [[0, 4, 1, 2], [1], [2], [3, 1], [4]]


def test_inference_keeps_no_gradient_and_repeats_itself() -> None:
    _, ours = _pair(5, 3, 2)
    x, rows = torch.randn(12, 5), neighbour_rows(_graph(12, 3), 12)
    with torch.inference_mode():
        first, second = ours(x, *rows), ours(x, *rows)
    assert torch.equal(first, second) and not first.requires_grad
