"""The three structural metrics that attention suggested to Swanson et al."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from vitrine.parts import Part
from vitrine.represent.whole import SPECIES, distinct, whole_examples
from vitrine.samples import Int
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples


class Metrics(NamedTuple):
    """Counts in H, the neighbour graph without its A-A bonds."""

    components: int
    """connected components of two particles or more"""
    small_pairs: int
    """B-B bonds"""
    lonely_large: int
    """A particles without a B neighbour"""


class StructuralMetrics(Part):
    """Components of H, B-B bonds, and A without B neighbour, each per particle.

    H is the neighbour graph without its A-A bonds, see :func:`metrics_of`. Swanson et al. used each
    particle's 2 nearest neighbours, the default here; with 6, H is one component in most liquids. They
    gave counts; here they are divided by the number of particles, so that boxes of different size
    compare. Per particle, periodic boxes of one state agree but for fluctuations; a window cuts bonds
    and components at its rim, which adds a term that falls as 1/edge.
    """

    kind: Literal["structural-metrics"] = "structural-metrics"
    neighbours: Literal["nearest", "voronoi"] = Field(
        "nearest", description="nearest: the k nearest; voronoi: whose Voronoi cells share an edge"
    )
    k: int = Field(2, ge=1, le=100, description="nearest neighbours of each, before bonds go both ways")
    species: tuple[str, ...] = Field(("Ni", "P"), min_length=2, max_length=2, description=SPECIES)

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[str] = "vectors"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "components, B-B bonds and lone A of the graph without A-A bonds, per particle"

    _distinct = field_validator("species")(distinct)

    def citations(self) -> tuple[str, ...]:
        """Swanson et al."""
        return ("arXiv:1909.04648",)

    def feature_labels(self) -> tuple[str, ...]:
        """The three metrics."""
        a, b = self.species
        return (
            f"components without {a}-{a} bonds per particle",
            f"{b}-{b} bonds per particle",
            f"{a} without {b} neighbour per particle",
        )

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; nothing is worth storing.

        Raises
        ------
        DataError: a configuration that is not 2-D, holds other species or is too small for its
            neighbours.
        """
        from vitrine.physics.plane import planes_of
        from vitrine.physics.plane_neighbours import bonds_of

        rows = []
        for plane, kinds in planes_of(samples, self.species):
            bonds = bonds_of(plane, self.neighbours, self.k)
            rows.append(np.array(metrics_of(len(plane), kinds, bonds.edges)) / len(plane))
        return whole_examples(self.makes, samples, rows, self.feature_labels())


def metrics_of(n: int, kinds: Int, pairs: Int, keep: NDArray[np.bool_] | None = None) -> Metrics:
    """The three counts of a graph, or of those of its bonds that attention kept.

    A component has two particles at least, as in the authors' code: an A without B neighbour is counted
    once, as such. The components of H in the sense of graph theory are these, the lonely A and, where
    ``keep`` took all their bonds, single B.

    >>> kinds = np.array([0, 0, 0, 1, 1])
    >>> metrics_of(5, kinds, np.array([[0, 0, 1, 3], [1, 2, 3, 4]]))
    Metrics(components=1, small_pairs=1, lonely_large=2)

    Parameters
    ----------
    n: number of particles.
    kinds: (n,) int64, 0 for A, 1 for B.
    pairs: (2, m) int64, bonds in one direction or both.
    keep: (m,) bool, bonds that count; an undirected bond counts if one of its directions does.

    Returns
    -------
    Numbers, not per particle.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    chosen = pairs if keep is None else pairs[:, keep]
    small = kinds == 1
    mixed = small[chosen].any(axis=0) & (chosen[0] != chosen[1])
    low, high = np.sort(chosen[:, mixed], axis=0)
    keys = np.unique(low * n + high)
    low, high = keys // n, keys % n
    bonded = np.zeros(n, dtype=bool)
    bonded[low] = bonded[high] = True
    graph = coo_array((np.ones(len(low), dtype=bool), (low, high)), shape=(n, n))
    found, _ = connected_components(graph, directed=False)
    return Metrics(
        components=int(found - (~bonded).sum()),
        small_pairs=int((small[low] & small[high]).sum()),
        lonely_large=int((~small & ~bonded).sum()),
    )
