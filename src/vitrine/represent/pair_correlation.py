"""Pair correlation functions of a 2-D mixture as features."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.represent.whole import SPECIES, distinct, whole_examples
from vitrine.samples import Float, Int
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.physics.plane import Plane
    from vitrine.samples import Examples, Samples


class PairCorrelation(Part):
    """g_AA, g_AB and g_BB in bins of distance; see :func:`pair_correlation`."""

    kind: Literal["pair-correlation"] = "pair-correlation"
    r_max: float = Field(5.0, gt=0, description="largest distance [σ]; at most half the box")
    bins: int = Field(60, ge=1, le=10_000, description="bins from 0 to r_max")
    species: tuple[str, ...] = Field(("Ni", "P"), min_length=1, description=SPECIES)

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[str] = "vectors"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "partial pair correlation functions g(r) of a 2-D mixture"

    _distinct = field_validator("species")(distinct)

    def citations(self) -> tuple[str, ...]:
        """Ohser & Stoyan 1981, the translation correction of windows."""
        return ("10.1002/bimj.4710230602",)

    def feature_labels(self) -> tuple[str, ...]:
        """Function and middle of the bin."""
        middles = (np.arange(self.bins) + 0.5) * self.r_max / self.bins
        pairs = combinations_with_replacement(self.species, 2)
        return tuple(f"g {a}-{b} at {r:.8g} σ" for a, b in pairs for r in middles)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; nothing is worth storing.

        Raises
        ------
        DataError: a configuration that is not 2-D, holds other species, fewer than two particles of a
            species, or has a box smaller than 2 r_max.
        """
        from vitrine.physics.plane import planes_of

        rows = []
        for plane, kinds in planes_of(samples, self.species):
            counts = np.bincount(kinds, minlength=len(self.species))
            if counts.min() < 2:
                symbol = self.species[int(counts.argmin())]
                raise DataError(
                    f"{plane.where} holds {counts.min()} of {symbol}; a pair correlation needs two of each"
                )
            rows.append(pair_correlation(plane, kinds, self.r_max, self.bins).ravel())
        return whole_examples(self.makes, samples, rows, self.feature_labels())


def pair_correlation(plane: Plane, kinds: Int, r_max: float, bins: int) -> Float:
    """Partial pair correlation functions of the species 0, 1, ...

    In a box of area A, with n_ab(r) pairs (i of a, j of b, i not j) at distances in the bin [r, r + dr),

        g_ab(r) = n_ab(r) A / (N_ab π ((r + dr)² - r²)),

    N_ab = N_a N_b for unlike and N_a (N_a - 1) for like species: the finite-number correction, by which
    an ideal gas of any size has g = 1 (freud: ``normalization_mode="finite_size"``; without it, g_aa is
    smaller by 1 - 1/N_a). In a window, where particles near the rim miss neighbours, a pair r apart counts
    A / ((Lx - \\|x\\|) (Ly - \\|y\\|)), the window over its overlap with itself moved by the pair's vector
    (translation correction, Ohser & Stoyan 1981, doi:10.1002/bimj.4710230602), which is unbiased too.

    Parameters
    ----------
    kinds: (n,) int64 from 0, at least two particles of each.
    r_max: in the unit of the positions; at most half the box.

    Returns
    -------
    (n_species (n_species + 1) / 2, bins) float64: 00, 01, ..., 11, ...; dimensionless.

    Raises
    ------
    DataError: r_max is beyond half the box.
    """
    from vitrine.physics.plane_neighbours import pairs_within

    pairs, vectors = pairs_within(plane, r_max)
    n_kinds = int(kinds.max()) + 1
    width = r_max / bins
    at = (np.hypot(vectors[:, 0], vectors[:, 1]) / width).astype(np.int64)
    inside = at < bins
    weight = np.ones(len(pairs))
    if not plane.periodic:
        weight = plane.area / np.prod(plane.lengths - np.abs(vectors), axis=1)
    both = np.sort(kinds[pairs], axis=1)
    place = (both[:, 0] * n_kinds + both[:, 1]) * bins + at
    total = np.bincount(place[inside], weight[inside], n_kinds * n_kinds * bins)
    total = total.reshape(n_kinds, n_kinds, bins)
    edges = np.arange(bins + 1) * width
    shells = np.pi * np.diff(edges**2) / plane.area
    counts = np.bincount(kinds, minlength=n_kinds).astype(np.float64)
    ordered = np.outer(counts, counts) - np.diag(counts)  # pairs are counted once, N_aa twice
    rows = [
        total[a, b] * (2.0 if a == b else 1.0) / (ordered[a, b] * shells)
        for a, b in combinations_with_replacement(range(n_kinds), 2)
    ]
    return np.stack(rows)
