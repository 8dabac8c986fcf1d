"""A 2-D configuration as one graph: particles, and bonds to their neighbours as vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from vitrine.parts import Part
from vitrine.represent.whole import SPECIES, distinct, whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples


class ParticleGraph(Part):
    """One graph per sample, periodic and without absolute positions.

    ``nodes`` (n_nodes, n_species) float32 tells the species, ``edges`` (2, n_edges) int64 join centre
    and neighbour, sorted by both, each with its reverse; ``edge_vectors`` (n_edges, 3) float32 lead from
    the centre to the nearest image of the neighbour, z = 0, in the unit of the file. With k nearest
    neighbours a bond stands where one of the two is among the k nearest of the other (Swanson et al.
    took k = 2, absolute positions and no periodic images).
    """

    kind: Literal["particle-graph"] = "particle-graph"
    neighbours: Literal["nearest", "voronoi"] = Field(
        "nearest", description="nearest: the k nearest; voronoi: whose Voronoi cells share an edge"
    )
    k: int = Field(6, ge=1, le=100, description="nearest neighbours of each, before bonds go both ways")
    species: tuple[str, ...] = Field(("Ni", "P"), min_length=1, description=SPECIES)

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[str] = "whole-graphs"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "2-D particles as one graph: k nearest or Voronoi neighbours, bond vectors"

    _distinct = field_validator("species")(distinct)

    def citations(self) -> tuple[str, ...]:
        """Swanson et al.; Qhull for Voronoi neighbours."""
        return ("arXiv:1909.04648", *(("10.1145/235815.235821",) if self.neighbours == "voronoi" else ()))

    def feature_labels(self) -> tuple[str, ...]:
        """None: what is known of a sample stands at its nodes and edges."""
        return ()

    def node_labels(self) -> tuple[str, ...]:
        """Columns of ``nodes``."""
        return tuple(f"is {symbol}" for symbol in self.species)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One graph per sample; nothing is worth storing.

        Raises
        ------
        DataError: a configuration that is not 2-D, holds other species or is too small for its
            neighbours.
        """
        from vitrine.physics.plane import planes_of
        from vitrine.physics.plane_neighbours import bonds_of

        nodes, edges, vectors, node_starts, edge_starts = [], [], [], [0], [0]
        for plane, kinds in planes_of(samples, self.species):
            bonds = bonds_of(plane, self.neighbours, self.k)
            nodes.append((kinds[:, None] == np.arange(len(self.species))).astype(np.float32))
            edges.append(bonds.edges + node_starts[-1])
            vectors.append(np.pad(bonds.vectors, ((0, 0), (0, 1))).astype(np.float32))
            node_starts.append(node_starts[-1] + len(plane))
            edge_starts.append(edge_starts[-1] + len(bonds.vectors))
        return whole_examples(
            self.makes,
            samples,
            None,
            (),
            nodes=np.concatenate(nodes) if nodes else None,
            node_starts=np.array(node_starts, dtype=np.int64),
            edges=np.concatenate(edges, axis=1) if edges else None,
            edge_starts=np.array(edge_starts, dtype=np.int64),
            edge_vectors=np.concatenate(vectors) if vectors else None,
        )
