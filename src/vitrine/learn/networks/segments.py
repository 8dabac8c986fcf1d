"""Sums, means and softmax over contiguous parts of rows: bonds of a site, sites of a crystal.

In plain torch operations that functorch and double differentiation know.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vitrine.learn.crystal_batches import Crystals


def sum_at_centres(rows: Tensor, crystals: Crystals) -> Tensor:
    """(n_edges, width) -> (n_nodes, width): the sum over the bonds of each site."""
    total = rows.new_zeros((len(crystals.numbers), *rows.shape[1:]))
    return total.index_add(0, crystals.edges[1], rows)


def mean_of_parts(rows: Tensor, owner: Tensor, counts: Tensor) -> Tensor:
    """(n, width) -> (n_parts, width): the mean over the rows of each part."""
    total = rows.new_zeros((len(counts), *rows.shape[1:])).index_add(0, owner, rows)
    return total / counts[:, None].to(rows.dtype)


def share_out(scores: Tensor, starts: Tensor) -> Tensor:
    """Softmax within each part: (n, heads) that sum to 1 over the rows ``starts[i]:starts[i + 1]``.

    By way of parts padded to the length of the longest, for scores are narrow.
    """
    counts = starts.diff()
    parts, longest = len(counts), int(counts.max()) if len(counts) else 0
    if not longest:
        return scores
    within = torch.arange(longest, device=starts.device)
    there = within < counts[:, None]
    place = torch.where(there, starts[:-1, None] + within, 0)
    padded = torch.where(there[:, :, None], scores[place], -torch.inf)
    # a part without rows would be all -inf
    padded = torch.where((counts > 0)[:, None, None], padded, 0.0)
    shares = torch.softmax(padded, dim=1).flatten(0, 1)
    own = torch.repeat_interleave(torch.arange(parts, device=starts.device), counts, output_size=len(scores))
    return shares[own * longest + (torch.arange(len(scores), device=starts.device) - starts[own])]
