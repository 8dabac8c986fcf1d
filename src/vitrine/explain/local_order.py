"""What is ordered and what is not around a particle of a plane, to compare explanations with."""

from __future__ import annotations

import numpy as np

from vitrine.physics.plane import Plane
from vitrine.physics.plane_neighbours import voronoi_bonds
from vitrine.represent.bond_order import psi6
from vitrine.samples import Float

NEIGHBOURS = 6


def local_order(plane: Plane, kinds: np.ndarray, energy: Float | None) -> dict[str, Float]:
    """Name -> (n,) a number per particle.

    ``hexatic order``: abs(psi_6) of six nearest neighbours; ``coordination defect``: how far the number of
    Voronoi neighbours is from 6; ``unlike neighbours``: the share of Voronoi neighbours of the other kind;
    ``energy``: of the particle, if it is known.
    """
    n = len(plane.positions)
    centre, other = voronoi_bonds(plane).edges
    degree = np.bincount(centre, minlength=n)
    unlike = np.bincount(centre, weights=(kinds[centre] != kinds[other]).astype(float), minlength=n)
    found = {
        "hexatic order": np.abs(psi6(plane, NEIGHBOURS)),
        "coordination defect": np.abs(degree - 6).astype(float),
        "unlike neighbours": unlike / np.maximum(degree, 1),
    }
    return found if energy is None else found | {"energy": np.asarray(energy, dtype=float)}


def spearman(a: Float, b: Float) -> float:
    """Rank correlation; 0 where one of them is constant."""
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)
