"""Products of the Hessian of an embedded-atom system with blocks of vectors, without a matrix.

H = pair part + G^T diag(F'') G, where row k of G holds the derivatives of the density at atom k. A
product costs two passes over the bonds and no memory beyond them: at 10,000 atoms the matrix has
4e7 entries. Vectors come in blocks of shape (n, 3, width), so that the width is the innermost,
vectorised loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vitrine.physics.eam import EamState
from vitrine.physics.lanes import forces_and_densities, forces_of_densities
from vitrine.samples import Float

WIDTH = 16
"""vectors in a block of :class:`Hessian`; one cache line of float32"""


class Hessian:
    """Second derivatives of the energy.

    Parameters
    ----------
    state: the atoms, best in :func:`vitrine.physics.eam.morton_order`.
    mass_weighted: divide by the square roots of both masses (eigenvalues in eV/(Å^2 g/mol)).
    """

    def __init__(self, state: EamState, mass_weighted: bool = False) -> None:
        self.n_atoms = state.n_atoms
        weight = 1.0 / np.sqrt(state.masses) if mass_weighted else np.ones(self.n_atoms)
        transverse = state.slope / state.distance
        packed = np.column_stack(
            [
                state.direction,
                state.curvature - transverse,
                transverse,
                state.at_first,
                state.at_second,
                np.zeros_like(transverse),
            ]
        )
        self._state = state
        self._starts = state.bonds.starts
        self._second = state.bonds.second.astype(np.uint32)
        self.weight = weight
        self._double = (packed, state.embedding_curvature, weight)
        self._single: tuple[Any, ...] | None = None

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        """H times a block (n, 3, width); float32 blocks are multiplied in float32."""
        if block.dtype == np.float32 and self._single is None:
            self._single = tuple(array.astype(np.float32) for array in self._double)
        arrays = self._single if block.dtype == np.float32 else self._double
        assert arrays is not None
        lanes = (0,) * block.shape[2]
        product: Any = _product
        found: NDArray[Any] = product(np.ascontiguousarray(block), self._starts, self._second, *arrays, lanes)
        return found

    def columns(self, vectors: Float) -> Float:
        """H times vectors as columns, (3 n, any number) float64."""
        return in_blocks(self, vectors, np.float64)

    def diagonal_blocks(self) -> Float:
        """(n, 3, 3): the blocks of H on its diagonal, mass-weighted as H is.

        Exact where no two atoms are bonded twice (boxes wider than twice the cut-off).
        """
        state = self._state
        first, second = state.bonds.first, state.bonds.second
        n, direction = state.n_atoms, state.direction
        gradient = np.stack(
            [
                np.bincount(second, state.at_second * direction[:, c], n)
                - np.bincount(first, state.at_first * direction[:, c], n)
                for c in range(3)
            ],
            axis=1,
        )
        transverse = state.slope / state.distance
        real = first != second  # an atom does not move against its own image
        on_first = state.embedding_curvature[second] * state.at_second**2
        on_second = state.embedding_curvature[first] * state.at_first**2
        blocks = np.empty((n, 3, 3))
        for a in range(3):
            for b in range(3):
                both = direction[:, a] * direction[:, b] * real
                pair = (state.curvature - transverse) * both + (transverse * real if a == b else 0.0)
                blocks[:, a, b] = (
                    np.bincount(first, pair + on_first * both, n)
                    + np.bincount(second, pair + on_second * both, n)
                    + state.embedding_curvature * gradient[:, a] * gradient[:, b]
                )
        return blocks * (self.weight**2)[:, None, None]


def in_blocks(apply: Callable[[NDArray[Any]], NDArray[Any]], vectors: Float, dtype: Any) -> Float:
    """Columns (3 n, any number) float64 through a function of blocks (n, 3, WIDTH) of this dtype."""
    n = len(vectors) // 3
    found = np.empty_like(vectors)
    for start in range(0, vectors.shape[1], WIDTH):
        part = vectors[:, start : start + WIDTH]
        block = np.zeros((n, 3, WIDTH), dtype)
        block[:, :, : part.shape[1]] = part.reshape(n, 3, -1)
        found[:, start : start + WIDTH] = apply(block)[:, :, : part.shape[1]].reshape(3 * n, -1)
    return found


@njit(cache=True, fastmath=True, error_model="numpy")
def _product(block, starts, second, packed, embedding, weight, lanes):  # type: ignore[no-untyped-def]
    n = len(starts) - 1
    moved = np.empty_like(block)
    out = np.zeros_like(block)
    density = np.zeros((n, block.shape[2]), block.dtype)
    for i in range(n):
        moved[i] = block[i] * weight[i]
    for i in range(n):
        forces_and_densities(moved, out, density, packed, second, i, starts[i], starts[i + 1], lanes)
    for i in range(n):
        density[i] *= embedding[i]
    for i in range(n):
        forces_of_densities(out, density, packed, second, i, starts[i], starts[i + 1], lanes)
    for i in range(n):
        out[i] *= weight[i]
    return out
