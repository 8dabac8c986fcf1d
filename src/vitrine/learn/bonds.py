"""Bonds of whole graphs: each stands there from either of its ends, and this finds the two."""

from __future__ import annotations

import numpy as np

from vitrine.errors import DataError
from vitrine.samples import Examples, Float, Int


def reverse_edges(examples: Examples) -> Int:
    """(n_edges,): for each edge the place, within its sample's edges, of the same bond from the other end.

    Two nodes may be joined by several bonds, to several periodic images; those are told apart by their
    vectors, which are opposite for the two ends of a bond.

    Raises
    ------
    DataError: no edges, none with vectors, edges not sorted by (centre, neighbour), or one without its
        reverse; names the sample.
    """
    edges, bounds = examples.edges, examples.edge_starts
    if examples.nodes is None or edges is None or bounds is None or examples.edge_vectors is None:
        raise DataError("whole graphs need nodes and edges with their vectors")
    n = len(examples.nodes)
    owner = np.repeat(np.arange(len(examples)), np.diff(bounds))
    key, back = edges[0] * n + edges[1], edges[1] * n + edges[0]
    if (np.diff(key) < 0).any():
        place = int(np.argmax(np.diff(key) < 0))
        raise DataError(
            f"{examples.ids[owner[place]]}: the edges of a whole graph must be sorted by (centre, neighbour)"
        )
    # edges are sorted by key, so their order by the other end's key lists the reverses
    reverse = np.argsort(back, kind="stable")
    alone = key != back[reverse]
    if alone.any():
        place = int(np.argmax(alone))
        raise DataError(f"{examples.ids[owner[place]]}: a bond of its graph has no reverse")
    _tell_apart(key, reverse, examples.edge_vectors.astype(np.float64), examples, owner)
    within: Int = reverse - bounds[owner]
    return within


def _tell_apart(key: Int, reverse: Int, vectors: Float, examples: Examples, owner: Int) -> None:
    """Where two nodes share several bonds, match the ends of each by their vectors, in place."""
    again = np.flatnonzero(np.diff(key) == 0)
    if not len(again):
        return
    for first in again[np.concatenate([[True], np.diff(again) > 1])]:
        last = np.searchsorted(key, key[first], side="right")
        mine = np.arange(first, last)
        theirs = np.sort(reverse[mine])
        distance = np.abs(vectors[mine][:, None] + vectors[theirs][None]).max(axis=2)
        found = theirs[distance.argmin(axis=1)]
        if len(np.unique(found)) < len(found) or (distance.min(axis=1) > 1e-3).any():
            raise DataError(
                f"{examples.ids[owner[first]]}: nodes that share several bonds need opposite vectors for "
                "the two ends of each"
            )
        reverse[mine] = found
