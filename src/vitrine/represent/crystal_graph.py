"""A crystal in a table as one graph: sites, and bonds to the nearest periodic images as vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.represent.structures import Structure, read_structures, refused_structures
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.physics.crystal_neighbours import CrystalBonds
    from vitrine.samples import Examples, Samples


class CrystalGraph(Part):
    """One graph per crystal, for networks on crystals; see :mod:`vitrine.physics.crystal_neighbours`.

    ``nodes`` (n_nodes, 1) float32 are atomic numbers, ``edges`` (2, n_edges) int64 join centre and neighbour,
    sorted by centre and length, ``edge_vectors`` (n_edges, 3) float32 Å lead from the centre to that image of
    the neighbour. Bonds to several images of one atom all stand there. A bond need not have its reverse: the
    neighbour may have nearer neighbours of its own.
    """

    summary: ClassVar[str] = "a crystal as one graph: nearest periodic images of each atom, whole shells"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    structures: ClassVar[bool] = True
    makes: ClassVar[str] = "crystals"

    kind: Literal["crystal-graph"] = "crystal-graph"
    neighbours: int = Field(
        12, ge=1, le=64, description="nearest images of each atom; more where they leave a shell incomplete"
    )
    tolerance: float = Field(
        1e-3, ge=0, le=0.1, description="relative, how much further an image of the same shell may be"
    )

    def citations(self) -> tuple[str, ...]:
        """Twelve neighbours and several bonds of a pair; whole shells."""
        return ("10.1103/PhysRevLett.120.145301", "10.1038/s41524-021-00650-1")

    def feature_labels(self) -> tuple[str, ...]:
        """None: what is known of a crystal stands at its sites and bonds."""
        return ()

    def refuses(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for structures that cannot be read or have two atoms in one place."""
        found = refused_structures(samples)
        fine = [number for number, name in enumerate(samples.ids) if name not in found]
        kept = samples.select(fine)
        for name, crystal in zip(kept.ids, read_structures(kept), strict=True):
            try:
                self._bonds(crystal)
            except DataError as error:
                found[name] = str(error)
        return found

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One graph per sample; they take less time than the store would, so ``compute`` is not called.

        Raises
        ------
        DataError: no columns of structures, or a structure that cannot be used; the row is named.
        """
        return self.graphs_of(samples, read_structures(samples))

    def graphs_of(self, samples: Samples, structures: Sequence[Structure]) -> Examples:
        """The same, of structures that are read already.

        Raises
        ------
        DataError: two atoms in one place; the row is named.
        """
        from vitrine.physics.formulas import ALL_ELEMENTS

        number_of = {symbol: place + 1 for place, symbol in enumerate(ALL_ELEMENTS)}
        bonds = []
        for name, crystal in zip(samples.ids, structures, strict=True):
            try:
                found = self._bonds(crystal)
            except DataError as error:
                raise DataError(f"{name}: {error}") from error
            # half the memory until all are joined
            bonds.append((found.edges.astype(np.int32), found.vectors.astype(np.float32)))
        node_starts = _starts(len(crystal.species) for crystal in structures)
        edge_starts = _starts(len(vectors) for _, vectors in bonds)
        edges = np.empty((2, edge_starts[-1]), np.int64)
        vectors = np.empty((edge_starts[-1], 3), np.float32)
        for number, (own, along) in enumerate(bonds):
            part = slice(edge_starts[number], edge_starts[number + 1])
            edges[:, part], vectors[part] = own, along
            edges[:, part] += node_starts[number]
        numbers = (number_of[symbol] for crystal in structures for symbol in crystal.species)
        return whole_examples(
            self.makes,
            samples,
            None,
            (),
            nodes=np.fromiter(numbers, np.float32, node_starts[-1])[:, None],
            node_starts=node_starts,
            edges=edges,
            edge_starts=edge_starts,
            edge_vectors=vectors,
        )

    def _bonds(self, crystal: Structure) -> CrystalBonds:
        from vitrine.physics.crystal_neighbours import crystal_neighbours

        return crystal_neighbours(crystal.cell, crystal.frac, self.neighbours, self.tolerance)


def _starts(counts: Iterable[int]) -> np.ndarray:
    return np.cumsum([0, *counts], dtype=np.int64)
