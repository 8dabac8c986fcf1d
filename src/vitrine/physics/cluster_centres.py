"""Where the atoms of connected groups lie with respect to the middle of their group."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitrine.samples import Float


def centre_distances(positions: ArrayLike, cell: ArrayLike, labels: ArrayLike) -> Float:
    """``(n,)`` Å: distance of each atom to the centre of its group; nan outside of all groups.

    The centre of a group is the circular mean of its fractional coordinates, which needs no unwrapping
    (doi:10.1080/2151237X.2008.10129266); distances are to the nearest image. A group must be smaller
    than the box.

    Parameters
    ----------
    positions: ``(n, 3)`` Å. cell: ``(3, 3)`` rows, Å, periodic. labels: ``(n,)`` number of the group of
        each atom, negative for none.
    """
    box = np.asarray(cell, dtype=np.float64)
    fractional = np.asarray(positions, dtype=np.float64) @ np.linalg.inv(box)
    groups = np.asarray(labels, dtype=np.int64)
    inside = groups >= 0
    found = np.full(len(groups), np.nan)
    if not inside.any():
        return found
    phases = np.exp(2j * np.pi * fractional[inside])
    count = int(groups.max()) + 1
    members = groups[inside]
    sums = [[np.bincount(members, part, count) for part in (p.real, p.imag)] for p in phases.T]
    centres = np.stack([np.arctan2(imaginary, real) for real, imaginary in sums], axis=1) / (2 * np.pi)
    apart = fractional[inside] - centres[members]
    apart -= np.round(apart)
    found[inside] = np.linalg.norm(apart @ box, axis=1)
    return found
