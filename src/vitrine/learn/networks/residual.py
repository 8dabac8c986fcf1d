"""Deep residual networks on crops of strain maps (Yang et al. 2020, doi:10.1038/s41598-020-65157-z)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class ResidualModule(nn.Module):
    """Blocks of a 3 x 3 convolution, batch normalisation and ReLU, with a shortcut around all of them.

    The last ReLU comes after the sum (He et al. 2016, arXiv:1512.03385). The shortcut is the identity, or,
    where the number of channels changes, a 1 x 1 convolution with batch normalisation.
    """

    def __init__(self, before: int, after: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(blocks):
            layers += [
                nn.Conv2d(before if number == 0 else after, after, 3, padding=1),
                nn.BatchNorm2d(after),
            ]
            if number < blocks - 1:
                layers.append(nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1), nn.BatchNorm2d(after))
        self.last = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """(n, before, height, width) -> (n, after, height, width)."""
        out: Tensor = self.last(self.blocks(images) + self.shortcut(images))
        return out


class ResidualNetwork(nn.Module):
    """conv16 - pool - modules of 32 channels - pool - modules of 64 - pool - average - outputs.

    With two modules of three blocks and three outputs it has 258,403 trainable parameters. Pools are
    3 x 3 with stride 2 and halve the edges, rounded up.

    Parameters
    ----------
    n_outputs: 1 for values (forward gives (n,)), else classes ((n, n_outputs) logits).
    modules: residual modules between two pools. blocks: convolutions in each.
    """

    def __init__(self, n_outputs: int, modules: int, blocks: int) -> None:
        super().__init__()
        self.n_outputs = n_outputs
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        self.mean: Tensor
        self.spread: Tensor

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, padding=1)

        def stage(before: int, after: int) -> list[nn.Module]:
            sizes = [before] + [after] * modules
            return [ResidualModule(a, b, blocks) for a, b in pairwise(sizes)]

        first = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*first, pool(), *stage(16, 32), pool(), *stage(32, 64), pool())
        self.out = nn.Linear(64, n_outputs)
        # channels last in memory: a training step on a CPU takes a quarter less time
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def calibrate(self, images: Tensor) -> None:
        """Take mean and spread of grey values from training images."""
        wide = images.double()
        self.mean.copy_(wide.mean())
        self.spread.copy_(wide.std(correction=0).clamp_min(1e-6))

    def pooled(self, images: Tensor) -> Tensor:
        """(n, 64) averages of the last maps: what distances between strain maps are measured in."""
        scaled = ((images - self.mean) / self.spread)[:, None]
        found: Tensor = self.layers(scaled.contiguous(memory_format=torch.channels_last))
        return found.mean((2, 3))

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """features are not looked at; images (n, height, width) grey values from 0 to 1."""
        out: Tensor = self.out(self.pooled(images))
        return out.squeeze(-1) if self.n_outputs == 1 else out

    def penalised(self) -> Tensor:
        """Sum of squares of all weights of convolutions."""
        kernels = [layer.weight for layer in self.modules() if isinstance(layer, nn.Conv2d)]
        return torch.stack([kernel.square().sum() for kernel in kernels]).sum()
