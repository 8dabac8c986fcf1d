"""Message passing along directed bonds with attention over them, one output for each graph.

The equations are those of Swanson et al. 2020 (arXiv:1909.04648), with distances in place of positions;
the messages are those of Yang et al. 2019 (doi:10.1021/acs.jcim.9b00237), the heads of attention share one
layer as in Lin et al. 2017 (arXiv:1703.03130). For the bond from v to w with the distance d

    m0_vw = ReLU(W_i [x_v, g(d)]),    m_vw <- ReLU(m0_vw + W_h (sum over u in N(v) of m_uv - m_wv)),
    a_vw = softmax over the bonds of the graph of v_k . ReLU(W_a m_vw)    for each head k

and a graph is read out as the mean of its bonds' messages beside, for each head, their sum with weights a.
Softmax and means are those of one graph, so a prediction does not depend on its batch-mates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.nn import functional

from vitrine.learn.batches import WholeGraphs
from vitrine.learn.networks.standardise import Standardise, in_full


class MessagePassingNetwork(nn.Module):
    """See the module; no layer of messages has a bias.

    Parameters
    ----------
    n_features: numbers of a whole sample, joined to what is read out; may be 0.
    n_node_features: columns of the nodes. radial: Gaussians g of the distance, their centres even over the
        lengths given to :meth:`calibrate`, each as wide (standard deviation) as their spacing.
    hidden: width of a message. depth: rounds. heads: of attention.
    dropout: share of a message's and the head's neurons that is left out in training.
    """

    def __init__(
        self,
        n_features: int,
        n_node_features: int,
        radial: int,
        hidden: int,
        depth: int,
        heads: int,
        dropout: float,
        standardise: bool = True,
    ) -> None:
        super().__init__()
        self.depth, self.dropout = depth, dropout
        self.register_buffer("centres", torch.linspace(0.5, 2.5, radial))
        self.register_buffer("spacing", torch.ones(()) * 2.0 / max(radial - 1, 1))
        self.centres: Tensor
        self.spacing: Tensor
        self.initial = nn.Linear(n_node_features + radial, hidden, bias=False)
        self.update = nn.Linear(hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, hidden, bias=False)
        self.heads = nn.Linear(hidden, heads, bias=False)
        self.readout = nn.Sequential(
            Standardise((heads + 1) * hidden + n_features) if standardise else nn.Identity(),
            nn.Linear((heads + 1) * hidden + n_features, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def calibrate(self, lengths: Tensor) -> None:
        """Set the Gaussians over the lengths (n_edges,) of the training bonds, in their unit."""
        if not len(lengths):
            return
        first, last = 0.95 * float(lengths.min()), 1.05 * float(lengths.max()) + 1e-6
        self.centres.copy_(torch.linspace(first, last, len(self.centres)))
        self.spacing.fill_((last - first) / max(len(self.centres) - 1, 1))

    def forward(self, features: Tensor, graphs: WholeGraphs) -> Tensor:
        """features (n_graphs, n_features); outputs (n_graphs,)."""
        messages = in_full(self.messages(graphs))
        shares = self._shares(messages, graphs)
        parts = torch.split(messages, list(graphs.edge_counts))
        # means hardly differ between graphs, so that these products are never rounded to bfloat16
        with torch.autocast(messages.device.type, enabled=False):
            pooled = torch.stack([weights.T @ part for weights, part in zip(shares, parts, strict=True)])
        out: Tensor = self.readout(torch.cat([pooled.flatten(1), features], dim=1)).squeeze(-1)
        return out

    def attention(self, graphs: WholeGraphs) -> Tensor:
        """(n_edges, heads) weights of the bonds, which sum to 1 within each graph and head."""
        shares = self._shares(self.messages(graphs), graphs)
        return torch.cat(shares)[:, :-1]

    def messages(self, graphs: WholeGraphs) -> Tensor:
        """(n_edges, hidden) of each bond after the last round."""
        gaussians = torch.exp(-0.5 * ((graphs.lengths[:, None] - self.centres) / self.spacing) ** 2)
        # node features and distances have no gradient, so joining them costs one product of matrices
        known = torch.cat([graphs.nodes[graphs.edges[0]], gaussians], dim=1)
        first = messages = functional.relu_(self.initial(known))
        for _ in range(self.depth):
            messages = exchange(self.update(messages), first, graphs)
            messages = functional.dropout(messages, self.dropout, self.training)
        return messages

    def _shares(self, messages: Tensor, graphs: WholeGraphs) -> list[Tensor]:
        """(n_edges of the graph, heads + 1) for each graph: attention, and 1 / n_edges for the mean."""
        scores = in_full(self.heads(functional.relu_(self.score(messages))))
        return [
            torch.cat([part.softmax(0), part.new_full((len(part), 1), 1.0 / max(len(part), 1))], dim=1)
            for part in torch.split(scores, list(graphs.edge_counts))
        ]


def exchange(sent: Tensor, first: Tensor, graphs: WholeGraphs) -> Tensor:
    """``ReLU(first_vw + sum over u in N(v) of sent_uv - sent_wv)`` for each bond from v to w.

    ``sent`` is ``W_h m``: the product with W_h is taken before the sum, which is linear.

    Parameters
    ----------
    sent, first: (n_edges, hidden), float32 for the fast way on a CPU; bfloat16 is made that.
    """
    sent, first = in_full(sent), in_full(first)
    if sent.device.type == "cpu" and sent.dtype == torch.float32:
        fused: Any = _Exchange.apply
        out: Tensor = fused(sent, first, graphs.starts, graphs.reverse)
        return out
    neighbour, centre = graphs.edges
    total = sent.new_zeros((len(graphs.nodes), sent.shape[1])).index_add(0, centre, sent)
    return functional.relu(first + total[neighbour] - sent[graphs.reverse])


class _Exchange(torch.autograd.Function):
    """One pass over the bonds each way: those that end at a node stand together.

    What the bond from v to w gets is the sum over v's bonds less its own reverse, which is one of them; so
    the sum is taken once for v and written to the reverses of v's bonds.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        sent, first, starts, reverse = (t.detach().contiguous().numpy() for t in inputs)
        out = np.empty_like(sent)
        _forward(sent, first, starts, reverse, out)
        found = torch.from_numpy(out)
        ctx.save_for_backward(found)
        ctx.order = (starts, reverse)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (out,) = ctx.saved_tensors
        starts, reverse = ctx.order
        upstream = gradients[0].detach().contiguous().numpy()
        of_sent, of_first = np.empty_like(upstream), np.empty_like(upstream)
        _backward(upstream, out.detach().numpy(), starts, reverse, of_sent, of_first)
        return torch.from_numpy(of_sent), torch.from_numpy(of_first), None, None


@njit(cache=True, error_model="numpy")
def _forward(sent, first, starts, reverse, out):  # type: ignore[no-untyped-def]
    width = sent.shape[1]
    total = np.empty(width, sent.dtype)
    for node in range(len(starts) - 1):
        total[:] = 0
        for edge in range(starts[node], starts[node + 1]):
            for k in range(width):
                total[k] += sent[edge, k]
        for edge in range(starts[node], starts[node + 1]):
            back = reverse[edge]
            for k in range(width):
                value = first[back, k] + (total[k] - sent[edge, k])
                out[back, k] = value if value > 0 else 0


@njit(cache=True, error_model="numpy")
def _backward(upstream, out, starts, reverse, of_sent, of_first):  # type: ignore[no-untyped-def]
    width = upstream.shape[1]
    total = np.empty(width, upstream.dtype)
    for node in range(len(starts) - 1):
        total[:] = 0
        for edge in range(starts[node], starts[node + 1]):
            back = reverse[edge]
            for k in range(width):
                slope = upstream[back, k] if out[back, k] > 0 else 0
                of_first[back, k] = slope
                of_sent[edge, k] = slope
                total[k] += slope
        for edge in range(starts[node], starts[node + 1]):
            for k in range(width):
                of_sent[edge, k] = total[k] - of_sent[edge, k]
