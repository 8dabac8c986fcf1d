"""How a glass answers an infinitesimal shear: first and second order of the non-affine displacement.

Under a simple shear F = 1 + gamma e (e = e_x ⊗ e_y for "xy") of an athermal glass the atoms move by
u(gamma) beyond the affine displacement, so that all forces stay zero. At zero strain::


    H u' = Xi                       Xi = d(forces)/d(gamma) at fixed u
    H (u'' + e u') = d2(forces)/d(gamma)2 along the path v + gamma (e v + du') of the bond vectors v

(first order: Maloney & Lemaitre 2006, doi:10.1103/PhysRevE.74.016118).
u'' is the rate of change of u' in the current frame, so that the next increment of an incremental
shear at strain gamma is u' + gamma u''. The linear response does not know the sign of the load, its
D2min is that of the opposite load; the second order does.

Units: Å per unit strain (u'), Å per unit strain squared (u'').
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitrine.errors import DataError, RunError
from vitrine.physics.d2min import CUTOFF
from vitrine.physics.eam import EamPotential, EamState, eam_state, morton_order, sums_at
from vitrine.physics.hessian import Hessian
from vitrine.samples import Float, Int

TOLERANCE = 1e-6
"""of the residual over the right-hand side; D2min of the response is then right to some 1e-5"""
STEP = 1e-4
"""strain of the central differences along a path"""
PLANES = ("xy", "yz", "xz")
"""The loads of positive sign; the others are their opposites."""
_LANES = 4


@dataclass(frozen=True)
class Response:
    """Response to the loads of :data:`PLANES`.

    Attributes
    ----------
    first: (3, n, 3) Å, u'. second: (3, n, 3) Å, u''; both without their mean.
    d2: (3, n) Å^2, D2min of u' (per unit strain squared). cross: (3, n) Å^2, twice the bilinear form of
        u' and u''. d2_second: (3, n) Å^2, that of u''.
    modulus: (3, n, 3, 3) eV, d(stress times volume)/d(gamma) of each atom, relaxed.
    affine_modulus: (3, n, 3, 3) eV, the same with u = 0.
    """

    first: Float
    second: Float
    d2: Float
    cross: Float
    d2_second: Float
    modulus: Float
    affine_modulus: Float

    def d2min(self, gamma: float) -> Float:
        """(6, n) Å^2 per unit strain squared: D2min of u' + gamma u'' for the six loads.

        In the order of :data:`vitrine.physics.rotation.DIRECTIONS`: three loads, then their opposites.
        """
        even = self.d2 + gamma**2 * self.d2_second
        return np.concatenate([even + gamma * self.cross, even - gamma * self.cross])


def shear_gradient(plane: str) -> Float:
    """(3, 3): e with F = 1 + gamma e; "xy" displaces along x, in proportion to y.

    >>> shear_gradient("xz").tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    gradient = np.zeros((3, 3))
    gradient["xyz".index(plane[0]), "xyz".index(plane[1])] = 1.0
    return gradient


def shear_response(
    potential: EamPotential, positions: Float, cell: Float, kinds: Int, *, cutoff: float = CUTOFF
) -> Response:
    """Response of a configuration at an energy minimum.

    Parameters
    ----------
    positions: (n, 3) Å. cell: (3, 3) rows, Å. kinds: (n,) index into ``potential.elements``.
    cutoff: Å, of the neighbours in D2min.

    Raises
    ------
    DataError: the configuration is not at a minimum (the Hessian is not positive).
    """
    order = morton_order(positions, cell)
    back = np.argsort(order)
    state = eam_state(potential, np.asarray(positions)[order], cell, np.asarray(kinds)[order])
    solve = _Solver(state)
    gradients = [shear_gradient(plane) for plane in PLANES]
    affine = [state.bonds.vector @ gradient.T for gradient in gradients]
    first = solve(np.stack([state.force_rate(rate) for rate in affine]))
    paths = [rate + _differences(state, u) for rate, u in zip(affine, first, strict=True)]
    bends = np.stack([_force_bend(state, path) for path in paths])
    second = solve(bends)
    second -= np.stack([u @ gradient.T for u, gradient in zip(first, gradients, strict=True)])
    second -= second.mean(axis=1, keepdims=True)
    forms = _D2Forms(state, cutoff)
    parts = [forms(u, w) for u, w in zip(first, second, strict=True)]
    d2, cross, d2_second = (np.stack(part)[:, back] for part in zip(*parts, strict=True))
    return Response(
        first=first[:, back],
        second=second[:, back],
        d2=d2,
        cross=cross,
        d2_second=d2_second,
        modulus=np.stack([state.stress_rate(path)[back] for path in paths]),
        affine_modulus=np.stack([state.stress_rate(rate)[back] for rate in affine]),
    )


def _differences(state: EamState, field: Float) -> Float:
    """(n_bonds, 3): a field at the second atom of each bond minus that at the first."""
    return field[state.bonds.second] - field[state.bonds.first]


def _force_bend(state: EamState, path: Float) -> Float:
    """(n, 3): second derivative of the forces along bond vectors v + gamma path."""
    vector = state.bonds.vector
    ahead, behind = state.at(vector + STEP * path).forces, state.at(vector - STEP * path).forces
    bend: Float = (ahead + behind - 2 * state.forces) / STEP**2
    return bend


class _Solver:
    """Conjugate gradients for three right-hand sides at once, preconditioned by 3 x 3 blocks."""

    def __init__(self, state: EamState) -> None:
        self._hessian = Hessian(state)
        self._inverse = np.linalg.inv(self._hessian.diagonal_blocks())
        self._most = 20 * state.n_atoms + 1000

    def __call__(self, forces: Float) -> Float:
        """Solve H u = forces for (3, n, 3) forces; u has no mean."""
        right = np.zeros((forces.shape[1], 3, _LANES))
        right[:, :, : len(forces)] = np.moveaxis(forces, 0, 2)
        right -= right.mean(axis=0)
        goal = TOLERANCE * np.linalg.norm(right, axis=(0, 1))
        found, rest = np.zeros_like(right), right.copy()
        towards = self._inverse @ rest
        along = towards.copy()
        product = np.einsum("ick,ick->k", rest, towards)
        for _ in range(self._most):
            if (np.linalg.norm(rest, axis=(0, 1)) <= goal).all():
                found -= found.mean(axis=0)
                return np.moveaxis(found[:, :, : len(forces)], 2, 0).copy()
            image = self._hessian(along)
            curvature = np.einsum("ick,ick->k", along, image)
            if (curvature[: len(forces)] < 0).any():
                raise DataError(
                    "the configuration is not at an energy minimum: its Hessian is negative along a "
                    "direction; minimise it first (--relax, or fire to a force of 1e-4 eV/Å)"
                )
            step = product / np.where(curvature > 0, curvature, 1.0)
            found += step * along
            rest -= step * image
            towards = self._inverse @ rest
            new = np.einsum("ick,ick->k", rest, towards)
            along = towards + new / np.where(product > 0, product, 1.0) * along
            product = new
        raise RunError(f"the response did not converge in {self._most} steps of conjugate gradients")


class _D2Forms:
    """D2min as a quadratic form of a displacement field, at fixed neighbours."""

    def __init__(self, state: EamState, cutoff: float) -> None:
        near = np.flatnonzero(state.distance < cutoff)
        self._first, self._second = state.bonds.first[near], state.bonds.second[near]
        self._vector = state.bonds.vector[near]
        self._n = state.n_atoms
        self._inverse = np.linalg.pinv(self._sum(self._vector[:, :, None] * self._vector[:, None, :]))

    def _sum(self, tensor: Float) -> Float:
        """(n, 3, 3) sums over the bonds of each atom of a tensor even in the bond's sense."""
        flat = tensor.reshape(len(tensor), 9)
        n = self._n
        columns = [
            np.bincount(self._first, flat[:, c], n) + np.bincount(self._second, flat[:, c], n)
            for c in range(9)
        ]
        return np.stack(columns, axis=1).reshape(n, 3, 3)

    def __call__(self, u: Float, w: Float) -> tuple[Float, Float, Float]:
        """Forms (u, u), 2 (u, w), (w, w), each (n,) Å^2, of two fields (n, 3)."""
        rests = []
        for field in (u, w):
            change = field[self._second] - field[self._first]
            gradient = self._sum(change[:, :, None] * self._vector[:, None, :]) @ self._inverse
            rests.append(
                [
                    change - np.einsum("bij,bj->bi", gradient[end], self._vector)
                    for end in (self._first, self._second)
                ]
            )

        def form(a: list[Float], b: list[Float]) -> Float:
            at_first, at_second = ((x * y).sum(axis=1) for x, y in zip(a, b, strict=True))
            return sums_at(self._first, at_first, self._n) + sums_at(self._second, at_second, self._n)

        return form(rests[0], rests[0]), 2 * form(rests[0], rests[1]), form(rests[1], rests[1])
