"""Hexatic order of a 2-D configuration: how six-fold the bonds of each particle are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.represent.whole import SPECIES, distinct, whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.physics.plane import Plane
    from vitrine.samples import Examples, Samples

_WORDS = {"nearest": "nearest", "voronoi": "Voronoi"}


class BondOrder(Part):
    """Means of abs(psi6) over all particles and over each species, and the abs of its mean over the whole.

    The first tell of local six-fold order, the last whether it points one way through the sample;
    see :func:`psi6`.
    """

    kind: Literal["bond-order"] = "bond-order"
    neighbours: tuple[Literal["nearest", "voronoi"], ...] = Field(
        ("nearest", "voronoi"),
        min_length=1,
        max_length=2,
        description="nearest: the k nearest; voronoi: touching Voronoi cells; four features for each",
    )
    k: int = Field(6, ge=1, le=100, description="nearest neighbours of each particle")
    species: tuple[str, ...] = Field(("Ni", "P"), min_length=1, description=SPECIES)

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[str] = "vectors"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "hexatic order abs(psi6): mean, by species, and of the whole configuration"

    _distinct = field_validator("species", "neighbours")(distinct)

    def citations(self) -> tuple[str, ...]:
        """Halperin & Nelson 1978."""
        return ("10.1103/PhysRevLett.41.121",)

    def feature_labels(self) -> tuple[str, ...]:
        """Mean of all, of each species, and of the whole, for each kind of neighbours."""
        means = ("mean |psi6|", *(f"mean |psi6| of {symbol}" for symbol in self.species), "|mean psi6|")
        return tuple(f"{mean}, {_WORDS[rule]} neighbours" for rule in self.neighbours for mean in means)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; nothing is worth storing.

        Raises
        ------
        DataError: a configuration that is not 2-D, holds other species or lacks one, or is too small
            for its neighbours.
        """
        from vitrine.physics.plane import planes_of

        rows = []
        for plane, kinds in planes_of(samples, self.species):
            counts = np.bincount(kinds, minlength=len(self.species))
            if counts.min() == 0:
                symbol = self.species[int(counts.argmin())]
                raise DataError(f"{plane.where} holds no {symbol} to take a mean of")
            row = []
            for rule in self.neighbours:
                order = psi6(plane, None if rule == "voronoi" else self.k)
                size = np.abs(order)
                row += [size.mean(), *(np.bincount(kinds, size) / counts), abs(order.mean())]
            rows.append(np.array(row))
        return whole_examples(self.makes, samples, rows, self.feature_labels())


def psi6(plane: Plane, k: int | None = 6) -> NDArray[np.complex128]:
    """Hexatic order of each particle: the mean of exp(6 i theta) over its neighbours.

    theta is the angle of a bond to the x axis. Its size is 1 in a triangular lattice and 0.37 on average
    for six bonds at random angles. Neighbours count alike (freud: ``Hexatic(k=6, weighted=False)``).
    Halperin & Nelson, doi:10.1103/PhysRevLett.41.121.

    Parameters
    ----------
    k: nearest neighbours, in one direction only; None takes the Voronoi neighbours.

    Returns
    -------
    (n,) complex128, dimensionless.

    Raises
    ------
    DataError: the configuration is too small for its neighbours.
    """
    from vitrine.physics.plane_neighbours import nearest, voronoi_bonds

    if k is not None:
        _, vectors = nearest(plane, k)
        found: NDArray[np.complex128] = np.mean(_sixth(vectors), axis=1)
        return found
    bonds = voronoi_bonds(plane)
    powers, centre, n = _sixth(bonds.vectors), bonds.edges[0], len(plane)
    total = np.zeros(n, dtype=np.complex128)
    np.add.at(total, centre, powers)
    return total / np.bincount(centre, minlength=n)


def _sixth(vectors: NDArray[np.float64]) -> NDArray[np.complex128]:
    """exp(6 i theta) of vectors (..., 2)."""
    plain = vectors[..., 0] + 1j * vectors[..., 1]
    powers: NDArray[np.complex128] = np.power(plain / np.abs(plain), 6)
    return powers
