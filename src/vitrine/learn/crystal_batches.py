"""Crystals of a batch as tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vitrine.errors import DataError
from vitrine.samples import Examples, Int

CRYSTALS = "crystals"
"""What representations of crystals make: graphs whose nodes are atomic numbers."""


class Crystals(NamedTuple):
    """Crystals with one prediction each; a bond need not stand there from its other end.

    Attributes
    ----------
    numbers: (n_nodes,) int64 atomic numbers. edges: (2, n_edges) int64, neighbour -> centre, sorted by
        centre and length.
    vectors: (n_edges, 3) Å, from the centre to that image of the neighbour.
    starts: (n_nodes + 1,) int64, the bonds of node i as a centre are ``starts[i]`` to ``starts[i + 1]``.
    owner: (n_nodes,) int64, the crystal of each. counts: (n_crystals,) int64, nodes of each.
    """

    numbers: Tensor
    edges: Tensor
    vectors: Tensor
    starts: Tensor
    owner: Tensor
    counts: Tensor


def crystals_of(examples: Examples) -> Crystals:
    """Examples of crystals as tensors.

    Raises
    ------
    DataError: no nodes, or no edges with their vectors.
    """
    nodes, node_starts, edges = examples.nodes, examples.node_starts, examples.edges
    if nodes is None or node_starts is None or edges is None or examples.edge_vectors is None:
        raise DataError("crystals need nodes and edges with their vectors")
    counts = np.diff(node_starts)
    return Crystals(
        numbers=torch.from_numpy(nodes[:, 0].astype(np.int64)),
        edges=torch.from_numpy(edges[::-1].copy()),
        vectors=torch.from_numpy(examples.edge_vectors),
        starts=torch.from_numpy(bounds_of_nodes(edges[0], len(nodes))),
        owner=torch.from_numpy(np.repeat(np.arange(len(examples)), counts)),
        counts=torch.from_numpy(counts),
    )


def bounds_of_nodes(centres: Int, n_nodes: int) -> Int:
    """(n_nodes + 1,): where the edges of each node begin among edges sorted by centre."""
    return np.concatenate([[0], np.cumsum(np.bincount(centres, minlength=n_nodes))]).astype(np.int64)
