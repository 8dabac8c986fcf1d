"""Readouts brought to mean 0 and spread 1 over samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vitrine.learn.networks.standardise import Standardise, settle


@pytest.mark.parametrize("shape", [(16, 3), (4, 3, 5, 6)])
def test_it_equals_batch_normalisation_of_torch(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = Standardise(3, eps=1e-5).double()
    peer: nn.Module = (nn.BatchNorm1d(3) if len(shape) == 2 else nn.BatchNorm2d(3)).double()
    for _ in range(4):
        x = torch.randn(shape, dtype=torch.float64)
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        weights = torch.randn(shape, dtype=torch.float64)
        a, b = layer(ours), peer(theirs)
        torch.testing.assert_close(a, b)
        (a * weights).sum().backward()
        (b * weights).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(layer.scale.grad, peer.weight.grad)  # type: ignore[arg-type]


def test_differences_of_a_per_mille_are_not_lost() -> None:
    """In single precision, about a mean of 1."""
    random = np.random.default_rng(0)
    x = torch.from_numpy((1.0 + 1e-3 * random.normal(size=(32, 4))).astype(np.float32))
    out = Standardise(4)(x).detach().numpy()
    np.testing.assert_allclose(out.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(out.std(0), 1.0, rtol=1e-2)


def test_predictions_use_what_is_kept_and_know_no_batch() -> None:
    torch.manual_seed(0)
    layer = Standardise(3)
    layer(torch.randn(16, 3) * 2 + 5)
    layer.eval()
    x = torch.randn(6, 3)
    torch.testing.assert_close(layer(x)[2:3], layer(x[2:3]), rtol=0, atol=0)
    layer.train()
    torch.testing.assert_close(layer(x[:1]), layer.eval()(x[:1]), rtol=0, atol=0)  # a batch of one


def test_settling_finds_mean_and_spread_of_all_batches() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(Standardise(2), nn.Linear(2, 1))
    data = torch.randn(64, 2) * torch.tensor([2.0, 0.1]) + torch.tensor([3.0, -1.0])
    for _ in range(50):
        net(torch.randn(8, 2) * 100)  # of other weights, long ago
    net.eval()
    settle(net, (lambda part=part: net(part) for part in data.split(16)))
    assert not net.training
    layer = net[0]
    assert isinstance(layer, Standardise)
    torch.testing.assert_close(layer.mean, data.mean(0), rtol=1e-4, atol=1e-4)
    within = torch.stack([part.var(0) for part in data.split(16)]).mean(0)
    torch.testing.assert_close(layer.variance, within, rtol=1e-4, atol=1e-6)
