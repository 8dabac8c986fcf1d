"""What the best of all models could reach at most, because maps of several classes are one and the same."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from vitrine.map_stack import MapStack
from vitrine.samples import Examples

CEILING = "ceiling"
"""Name of its rows."""
ALIKE = 2e-4
"""Strain by which pixels of two maps may differ for the maps to count as one: what a good camera sees."""


def ceiling_scores(examples: Examples) -> NDArray[np.float64]:
    """(n_rows, classes) share of each class among the samples whose maps equal this one's.

    Calling the most frequent of them is right as often as any rule can be that sees these maps and no more.
    It knows the true classes: no model, a bound.
    """
    assert examples.target is not None and examples.maps is not None
    names = _kinds_of_maps(examples.maps)
    target = examples.target.astype(np.int64)
    counts = np.zeros((int(names.max()) + 1, len(examples.class_names)))
    np.add.at(counts, (names, target), 1.0)
    shares: NDArray[np.float64] = counts[names] / counts[names].sum(axis=1, keepdims=True)
    return shares


def _kinds_of_maps(maps: MapStack) -> NDArray[np.int64]:
    """(n,) the same number for maps that are alike."""
    known: dict[bytes, int] = {}
    found = []
    for number in range(len(maps)):
        steps = np.rint(maps.image(number).astype(np.float32) / ALIKE).astype(np.int32)
        # constant maps are alike whatever their size, which says nothing of the class
        constant = bool((steps == steps[0, 0]).all())
        content = steps[:1, :1] if constant else steps
        shape = b"" if constant else maps.shapes[number].tobytes()
        key = hashlib.blake2b(shape + content.tobytes(), digest_size=16).digest()
        found.append(known.setdefault(key, len(known)))
    return np.array(found, np.int64)
