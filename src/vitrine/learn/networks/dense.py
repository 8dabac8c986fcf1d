"""Fully connected network on feature vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

SLOPE = 0.3
"""of LeakyReLU, as in BRNet (doi:10.1038/s41598-023-36336-5)"""


class DenseLayer(nn.Module):
    """``LeakyReLU(W x + b)``, with a skip that is linear where the width changes."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.skip: nn.Module | None = None
        if residual:
            self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        out = nn.functional.leaky_relu(self.linear(x), SLOPE)
        return out if self.skip is None else out + self.skip(x)


class DenseNetwork(nn.Module):
    """Dense layers and one linear output.

    Parameters
    ----------
    n_features: columns of the input. widths: neurons of each hidden layer.
    """

    def __init__(self, n_features: int, widths: Sequence[int], residual: bool, n_outputs: int = 1) -> None:
        super().__init__()
        sizes = [n_features, *widths]
        layers = [DenseLayer(a, b, residual) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs))
        self._several = n_outputs > 1

    def forward(self, x: Tensor, edge_index: Tensor | None = None, geometry: object = None) -> Tensor:
        """x (n, n_features) -> (n,) or (n, n_outputs); edges and geometry are ignored."""
        out: Tensor = self.layers(x)
        return out if self._several else out.squeeze(-1)
