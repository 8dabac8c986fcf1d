"""The softest normal modes of a glass, and how much each atom takes part in them.

The modes are eigenvectors of the mass-weighted Hessian (dynamical matrix). The softest one per cent
is found by block Lanczos on a Chebyshev filter of the Hessian (Zhou, Saad, Tiago & Chelikowsky 2006,
doi:10.1016/j.jcp.2006.03.017): the filter damps everything stiffer than the modes that are wanted,
so that a Krylov space little larger than their number holds them. The filter runs in float32; the
space is orthogonalised, and the Hessian projected on it, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError, StudyError
from vitrine.physics.eam import EamPotential, eam_state, morton_order
from vitrine.physics.hessian import WIDTH, Hessian, in_blocks
from vitrine.samples import Float, Int

BLOCK = 32
"""vectors that are filtered together"""
DEGREE = 36
"""of the Chebyshev filter"""
EDGE = 1.3
"""the filter damps from this multiple of the highest eigenvalue wanted"""
SPACE = 2.4
"""dimension of the Krylov space over the number of modes; raised until the residuals are small"""
LARGEST_RESIDUAL = 1e-4
"""of an accepted mode, over its eigenvalue; participation is then right to some 1e-6"""
SMALL = 400
"""atoms up to which the matrix is simply diagonalised"""
NEGATIVE = -1e-8
"""eV/(Å^2 g/mol): below this an eigenvalue is no rounding of zero"""


@dataclass(frozen=True)
class Modes:
    """The softest modes, without the three translations.

    eigenvalues: (k,) eV/(Å^2 g/mol), rising: squared angular frequencies.
    vectors: (n, 3, k), orthonormal, mass-weighted displacements.
    """

    eigenvalues: Float
    vectors: Float

    @property
    def participation(self) -> Float:
        """(n,) squared displacement of each atom summed over the modes; all atoms together: their number."""
        found: Float = np.einsum("ick,ick->i", self.vectors, self.vectors)
        return found


def soft_modes(
    potential: EamPotential,
    positions: Float,
    cell: Float,
    kinds: Int,
    *,
    fraction: float = 0.01,
    seed: int = 0,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Modes:
    """The softest modes of a configuration at an energy minimum.

    Parameters
    ----------
    positions: (n, 3) Å. cell: (3, 3) rows, Å. kinds: (n,) index into ``potential.elements``.
    fraction: of all 3 n modes.
    seed: of the vectors that the iteration starts from; it does not change the result.

    Raises
    ------
    DataError: the configuration is not at a minimum (a negative eigenvalue).
    StudyError: the fraction asks for no mode, or for all.
    """
    n = len(kinds)
    wanted = round(fraction * 3 * n)
    if not 1 <= wanted <= 3 * n - 3:
        raise StudyError(
            f"{fraction:g} of the {3 * n} modes of {n} atoms are {wanted}; ask for 1 to {3 * n - 3}"
        )
    order = morton_order(positions, cell)
    state = eam_state(potential, np.asarray(positions)[order], cell, np.asarray(kinds)[order])
    hessian = Hessian(state, mass_weighted=True)
    translations = np.zeros((n, 3, 3))
    for axis in range(3):
        translations[:, axis, axis] = np.sqrt(state.masses / state.masses.sum())
    still = translations.reshape(3 * n, 3)
    if n <= SMALL:
        values, vectors = _dense(hessian, still, wanted)
    else:
        values, vectors = _filtered(hessian, still, wanted, np.random.default_rng(seed), progress)
    if values[0] < NEGATIVE:
        raise DataError(
            f"the configuration is not at an energy minimum: its Hessian has the eigenvalue {values[0]:.3g} "
            "eV/(Å² g/mol); minimise it first (--relax, or fire to a force of 1e-4 eV/Å)"
        )
    back = np.empty((n, 3, wanted))
    back[order] = vectors.reshape(n, 3, wanted)
    return Modes(values, back)


def _dense(hessian: Hessian, still: Float, wanted: int) -> tuple[Float, Float]:
    from scipy.linalg import eigh

    matrix = hessian.columns(np.eye(len(still)))
    matrix += still @ still.T * np.abs(matrix).sum(axis=1).max()  # lifts the translations above all
    values, vectors = eigh((matrix + matrix.T) / 2, subset_by_index=[0, wanted - 1])
    return values, vectors


def _filtered(
    hessian: Hessian,
    still: Float,
    wanted: int,
    random: np.random.Generator,
    progress: Callable[[float], None],
) -> tuple[Float, Float]:
    edge, top = spectrum_edges(hessian, wanted + 3, random)
    damp = _Filter(hessian, EDGE * edge, top)
    size = int(np.ceil(SPACE * wanted / BLOCK)) * BLOCK + BLOCK
    space = np.empty((len(still), min(size, len(still) - 3)), order="F")
    filled = 0
    block = random.standard_normal((len(still), BLOCK))
    while True:
        while filled < space.shape[1]:
            block = _orthonormal(damp(block), still, space[:, :filled])
            block = block[:, : space.shape[1] - filled]
            space[:, filled : filled + block.shape[1]] = block
            filled += block.shape[1]
            progress(0.95 * filled / space.shape[1])
        product = hessian.columns(space)
        projected = space.T @ product
        values, turn = np.linalg.eigh((projected + projected.T) / 2)
        values, turn = values[:wanted], turn[:, :wanted]
        vectors = space @ turn
        residual = np.linalg.norm(product @ turn - vectors * values, axis=0)
        if values[0] < NEGATIVE or (residual <= LARGEST_RESIDUAL * np.abs(values)).all():
            return values, vectors
        if space.shape[1] >= len(still) - 3:
            return values, vectors  # the whole space: nothing more to find
        longer = np.empty((len(still), min(space.shape[1] + 4 * BLOCK, len(still) - 3)), order="F")
        longer[:, :filled] = space
        space = longer


def _orthonormal(block: Float, still: Float, space: Float) -> Float:
    """An orthonormal basis of the block, orthogonal to the translations and to the space."""
    for _ in range(2):  # twice is enough (Giraud, Langou & Rozloznik 2005)
        block = block - still @ (still.T @ block)
        if space.shape[1]:
            block -= space @ (space.T @ block)
        block = np.linalg.qr(block)[0]
    return block


def spectrum_edges(hessian: Hessian, count: int, random: np.random.Generator) -> tuple[float, float]:
    """Estimates of the ``count``-th lowest and of the highest eigenvalue, by stochastic Lanczos.

    Lin, Saad & Yang 2016 (doi:10.1137/130934283). The highest is a safe upper bound.
    """
    from scipy.linalg import eigh_tridiagonal

    n, steps = hessian.n_atoms, min(80, 3 * hessian.n_atoms - 1)
    now = random.standard_normal((n, 3, WIDTH)).astype(np.float32)
    now /= np.linalg.norm(now, axis=(0, 1))
    before, beta = np.zeros_like(now), np.zeros(WIDTH, np.float32)
    alphas, betas = [], []
    for _ in range(steps):
        ahead = hessian(now) - beta * before
        alpha = np.einsum("ick,ick->k", ahead, now)
        ahead -= alpha * now
        beta = np.linalg.norm(ahead, axis=(0, 1))
        before, now = now, ahead / beta
        alphas.append(alpha)
        betas.append(beta)
    diagonal, other = np.array(alphas, np.float64), np.array(betas, np.float64)
    nodes, weights = [], []
    for k in range(WIDTH):
        values, vectors = eigh_tridiagonal(diagonal[:, k], other[:-1, k])
        nodes.append(values)
        weights.append(vectors[0] ** 2 / WIDTH)
    node, weight = np.concatenate(nodes), np.concatenate(weights)
    rising = np.argsort(node)
    number = np.cumsum(weight[rising]) * 3 * n
    at = min(int(np.searchsorted(number, count)), len(node) - 1)
    return float(max(node[rising][at], 1e-6 * node.max())), float(1.02 * node.max())


class _Filter:
    """Chebyshev polynomial of the Hessian that is small from ``low`` to ``high``, 1 at zero."""

    def __init__(self, hessian: Hessian, low: float, high: float) -> None:
        self._hessian = hessian
        self._centre = np.float32((low + high) / 2)
        self._half = np.float32((high - low) / 2)

    def __call__(self, vectors: Float) -> Float:
        """Filter columns (3 n, any number), float64 in and out."""
        return in_blocks(self._block, vectors, np.float32)

    def _block(self, old: NDArray[Any]) -> NDArray[Any]:
        hessian, centre, half = self._hessian, self._centre, self._half
        first = half / -centre
        ratio = first
        new = (hessian(old) - centre * old) * np.float32(first / half)
        for _ in range(DEGREE - 1):
            following = 1 / (2 / first - ratio)
            ahead = hessian(new)
            ahead -= centre * new
            ahead *= np.float32(2 * following / half)
            ahead -= np.float32(ratio * following) * old
            old, new, ratio = new, ahead, following
        return new
