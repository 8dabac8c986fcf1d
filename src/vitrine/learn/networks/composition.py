"""Fully connected networks on composition vectors, by the published layer lists, and one of our own.

All map ``(n, n_features)`` to ``(n,)``, or to ``(n, n_outputs)`` where there are several outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vitrine.learn.networks.dense import DenseLayer

TRUNK = (512, 512, 512, 256, 256, 256, 128, 128, 128, 64, 64, 32)
"""layers after the first block of BRNet, ElemNet and IRNet-17"""
ELEMNET_DROPOUT = {3: 0.2, 6: 0.1, 9: 0.3, 12: 0.2}
"""layer, from 0 -> share of its outputs that is dropped after it (doi:10.1038/s41598-018-35934-y)"""


class RowNetwork(nn.Module):
    """A body and one linear layer of outputs; what is no feature is ignored."""

    def __init__(self, body: nn.Module, width: int, n_outputs: int) -> None:
        super().__init__()
        self.body = body
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor, edge_index: Tensor | None = None, geometry: object = None) -> Tensor:
        """x (n, n_features) -> (n,) or (n, n_outputs)."""
        out: Tensor = self.output(self.body(x))
        return out.squeeze(-1) if self.output.out_features == 1 else out


class Branches(nn.Module):
    """Parallel stacks of layers of one width, their outputs summed.

    Parameters
    ----------
    branches: layers in each.
    """

    def __init__(self, n_features: int, width: int, branches: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(DenseLayer(a, b, True) for a, b in pairwise([n_features, *[width] * depth])))
            for depth in branches
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_features) -> (n, width)."""
        first, *others = (branch(x) for branch in self.branches)
        total: Tensor = sum(others, first)
        return total


def branched(n_features: int, branches: Sequence[int], n_outputs: int = 1) -> RowNetwork:
    """BRNet (doi:10.1038/s41598-023-36336-5): branches of 1024, then the trunk, each layer with a skip.

    4,548,385 parameters with 86 features and branches (2, 2).
    """
    trunk = (DenseLayer(a, b, True) for a, b in pairwise([1024, *TRUNK]))
    return RowNetwork(nn.Sequential(Branches(n_features, 1024, branches), *trunk), TRUNK[-1], n_outputs)


def elemnet(n_features: int, n_outputs: int = 1) -> RowNetwork:
    """ElemNet (doi:10.1038/s41598-018-35934-y): 4 layers of 1024, then the trunk; ReLU and dropout.

    4,631,361 parameters with 86 features.
    """
    layers: list[nn.Module] = []
    for number, (a, b) in enumerate(pairwise([n_features, *[1024] * 4, *TRUNK])):
        layers += [nn.Linear(a, b), nn.ReLU()]
        if number in ELEMNET_DROPOUT:
            layers.append(nn.Dropout(ELEMNET_DROPOUT[number]))
    return RowNetwork(nn.Sequential(*layers), TRUNK[-1], n_outputs)


class NormalisedLayer(nn.Module):
    """``ReLU(BN(W x + b))`` with a skip that is linear where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs)
        self.skip: nn.Module = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        wide, norm = self.linear(x), self.norm
        if self.training and len(x) == 1:  # the last batch of an epoch may be one row, which has no spread
            scale = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
            wide = nn.functional.batch_norm(wide, *scale, training=False, eps=norm.eps)
        else:
            wide = norm(wide)
        out: Tensor = nn.functional.relu(wide) + self.skip(x)
        return out


def irnet(n_features: int, n_outputs: int = 1) -> RowNetwork:
    """IRNet-17 (doi:10.1145/3292500.3330703): the layers of ElemNet, batch norm and a skip at each.

    5,433,697 parameters with 86 features.
    """
    widths = [n_features, *[1024] * 4, *TRUNK]
    layers = (NormalisedLayer(a, b) for a, b in pairwise(widths))
    return RowNetwork(nn.Sequential(*layers), TRUNK[-1], n_outputs)


class AttentionBlock(nn.Module):
    """Elements of a formula attend to each other, then each is changed alone; both with skips."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, place: Tensor, bias: Tensor) -> Tensor:
        """Elements that are there, one after the other, -> the same, changed.

        Parameters
        ----------
        x: (t, width). place: (t,) position of each in a table of n formulas with room for k elements. bias:
            (n, 1, 1, k) added to the scores of each element, far below 0 where there is none.
        """
        n, k, width = len(bias), bias.shape[-1], x.shape[1]
        parts = self.query_key_value(self.before_attention(x))
        table = parts.new_zeros(n * k, 3 * width).index_copy(0, place, parts)
        query, key, value = table.view(n, k, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / (width // self._heads) ** 0.5 + bias
        seen = (scores.softmax(dim=-1).to(value.dtype) @ value).transpose(1, 2).reshape(n * k, width)
        x = x + self.joined(seen.index_select(0, place))
        out: Tensor = x + self.layers(self.before_layers(x))
        return out


class ElementAttention(nn.Module):
    """Learned embeddings of the elements of a formula, attention among them, a mean by fraction.

    An element counts in attention in proportion to its fraction: the logarithm of the fraction is added to
    its score, so that an element of no fraction is not there and one split in two halves counts as before.
    What an element is told of its fraction (f and log f) is the rest of the composition. The means, and the
    trunk of a residual network on them, have no order of elements.

    Parameters
    ----------
    n_features: elements; features must be their fractions.
    """

    def __init__(self, n_features: int, width: int, heads: int, blocks: int, trunk: Sequence[int]) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(n_features, width) * 0.5)
        self.amount = nn.Sequential(nn.Linear(2, width), nn.GELU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(AttentionBlock(width, heads) for _ in range(blocks))
        self.trunk = nn.Sequential(*(DenseLayer(a, b, True) for a, b in pairwise([2 * width, *trunk])))

    def states(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What stands for each element that is there, (t, width), its formula and its fraction (t,)."""
        n, k = len(x), int((x > 0).sum(dim=1).max().clamp_min(1)) if len(x) else 1
        fraction, element = x.topk(k, dim=1)
        # few formulas have as many elements as the largest: what is not there is not computed
        place = (fraction > 0).flatten().nonzero().squeeze(1)
        share, symbol = fraction.flatten()[place], element.flatten()[place]
        logarithm = share.clamp_min(1e-6).log()
        h = self.embedding[symbol] + self.amount(torch.stack([share, logarithm / 4], dim=-1))
        bias = x.new_full((n * k,), -1e4).index_copy(0, place, logarithm).view(n, 1, 1, k)
        for block in self.blocks:
            h = block(h, place, bias)
        return h, place // k, share

    def forward(self, x: Tensor) -> Tensor:
        """Fractions (n, n_features) -> (n, last of the trunk)."""
        h, owner, share = self.states(x)
        nothing = h.new_zeros(len(x), h.shape[1])
        weighted = nothing.index_add(0, owner, h * share[:, None].to(h.dtype))
        even = nothing.index_add(0, owner, h) / (x > 0).sum(dim=1, keepdim=True).clamp_min(1)
        out: Tensor = self.trunk(torch.cat([weighted, even], dim=-1))
        return out


def element_attention(
    n_features: int, width: int, heads: int, blocks: int, trunk: Sequence[int], n_outputs: int = 1
) -> RowNetwork:
    """See :class:`ElementAttention`."""
    return RowNetwork(ElementAttention(n_features, width, heads, blocks, trunk), trunk[-1], n_outputs)
