"""Graph attention network for one score per node."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vitrine.learn.networks.fused import FusedAttention


class AttentionNetwork(nn.Module):
    """Attention layers with Mish, then two fully connected layers to one logit per node.

    Parameters
    ----------
    n_features: columns of the node features. layers, width, heads: L, M, N; heads are
        concatenated, so inner layers are ``width * heads`` wide.
    """

    def __init__(self, n_features: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        inner = width * heads
        inputs = [n_features] + [inner] * (layers - 1)
        self.attention = nn.ModuleList([FusedAttention(size, width, heads) for size in inputs])
        self.readout = nn.Sequential(nn.Linear(inner + n_features, inner), nn.Mish(), nn.Linear(inner, 1))

    def forward(self, x: Tensor, edge_index: Tensor, geometry: object = None) -> Tensor:
        """x (n_nodes, n_features), edge_index (2, n_edges) neighbour -> centre; logits (n_nodes,).

        The geometry is ignored.
        """
        starts, neighbours = neighbour_rows(edge_index, len(x))
        hidden = x
        for layer in self.attention:
            hidden = nn.functional.mish(layer(hidden, starts, neighbours))
        # the node's own features skip the smoothing of the attention layers
        logits: Tensor = self.readout(torch.cat([hidden, x], dim=1)).squeeze(-1)
        return logits


def neighbour_rows(edge_index: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Edges (neighbour, centre) as rows: (n + 1,) starts and neighbours; each node leads its row."""
    neighbour, centre = edge_index[:, edge_index[0] != edge_index[1]]
    own = torch.arange(n, device=edge_index.device)
    centres = torch.cat([own, centre])
    order = torch.argsort(centres, stable=True)
    starts = torch.zeros(n + 1, dtype=torch.int64, device=edge_index.device)
    starts[1:] = torch.cumsum(torch.bincount(centres, minlength=n), 0)
    return starts, torch.cat([own, neighbour])[order]
