"""Connected groups among the rows that are called positive."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def components(chosen: ArrayLike, edges: ArrayLike) -> NDArray[np.int64]:
    """``(n,)``: number of the connected group of each chosen row, -1 for the others.

    chosen: ``(n,)`` booleans. edges: ``(2, n_edges)`` whole numbers, in any direction.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    marked = np.asarray(chosen, dtype=bool)
    one, other = np.asarray(edges, dtype=np.int64)
    inside = marked[one] & marked[other]
    links = coo_array(
        (np.ones(int(inside.sum()), np.int8), (one[inside], other[inside])), shape=(len(marked), len(marked))
    )
    _, labels = connected_components(links, directed=False)
    found = np.full(len(marked), -1, dtype=np.int64)
    found[marked] = np.unique(labels[marked], return_inverse=True)[1]
    return found


def without_small(chosen: ArrayLike, edges: ArrayLike, smallest: int) -> NDArray[np.bool_]:
    """The chosen rows but those in connected groups of fewer than ``smallest``; arguments as before."""
    marked = np.asarray(chosen, dtype=bool)
    groups = components(marked, edges)
    kept = np.zeros(len(marked), dtype=bool)
    if marked.any():
        size = np.bincount(groups[marked])
        kept[marked] = size[groups[marked]] >= smallest
    return kept
