"""Rotations that turn each of the six shear loads into one and the same canonical shear.

A load is a simple shear of the box by an engineering strain gamma: direction ``"xy"`` displaces
by u_x = gamma y, that is F = I + gamma e_x ⊗ e_y; ``"-xy"`` has the opposite sign. Its symmetric
part is the strain, eps_xy = gamma / 2; the antisymmetric part is a rigid rotation, which no
feature sees. The canonical load is ``"yz"`` with positive sign (Voigt 4), as in the features of
Lee & Ryu (doi:10.3389/fmats.2022.874339).

A rotation R acts on a configuration by r -> R r (positions and cell vectors alike) and on a tensor
by t -> R t R^T. Four proper rotations map a given load on the canonical one, because
:func:`symmetry_rotations` leave that one as it is. The choice here also maps the whole simple
shear, F(d) -> F(yz), and of the two rotations that do so it takes the one that turns the axis of
displacement to +y; the gradient axis, reversed for a negative load, goes to +z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitrine.errors import StudyError, did_you_mean

Float = NDArray[np.float64]

DIRECTIONS = ("xy", "yz", "xz", "-xy", "-yz", "-xz")
"""The six shear directions, in the order of the paper."""

CANONICAL = "yz"
"""The direction that all others are turned to."""

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Voigt order xx, yy, zz, yz, xz, xy as pairs of axes."""


def _axes(direction: str) -> tuple[int, int, int]:
    """Axis of displacement, axis of its gradient, and sign of a load."""
    if direction not in DIRECTIONS:
        raise StudyError(f"unknown shear direction {direction!r}{did_you_mean(direction, DIRECTIONS)}")
    along, gradient = ("xyz".index(letter) for letter in direction[-2:])
    return along, gradient, -1 if direction.startswith("-") else 1


def load_strain(direction: str) -> Float:
    """(3, 3) float64: symmetric strain tensor of a load at unit engineering shear strain.

    The two entries are +-1/2; the strain at gamma is gamma times this.

    Raises
    ------
    StudyError: the direction is none of :data:`DIRECTIONS`.

    >>> load_strain("-xy")[0].tolist()
    [0.0, -0.5, 0.0]
    """
    along, gradient, sign = _axes(direction)
    strain = np.zeros((3, 3))
    strain[along, gradient] = strain[gradient, along] = sign / 2
    return strain


def canonical_rotation(direction: str) -> Float:
    """(3, 3) float64: proper rotation R with R load_strain(direction) R^T = load_strain("yz").

    The entries are 0 and +-1, the determinant is +1. Loads of opposite sign differ by a turn of
    180° about the canonical y axis; the rotation of ``"yz"`` is the identity.

    Raises
    ------
    StudyError: the direction is none of :data:`DIRECTIONS`.

    >>> canonical_rotation("xy").astype(int).tolist()
    [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    """
    along, gradient, sign = _axes(direction)
    unit = np.eye(3)
    to_y, to_z = unit[along], sign * unit[gradient]
    # The rows are what is turned to x, y and z; adding 0 makes each -0 a 0.
    rotation: Float = np.stack([np.cross(to_y, to_z), to_y, to_z]) + 0.0
    return rotation


def symmetry_rotations() -> Float:
    """(4, 3, 3) float64: the proper rotations that leave the canonical load as it is.

    The strain eps_yz has the principal axes [011], [01-1] and [100] with the values +1/2, -1/2
    and 0. They differ, so that a rotation that keeps the tensor keeps each axis up to its sign:
    the group is D2, the identity (first) and the turns of 180° about [100], [011] and [01-1] (in
    this order). All four are signed permutations, although two of the axes are not cubic ones.
    """
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, -1.0]])
    squares = (axes**2).sum(axis=1)[:, None, None]
    turns = 2 * axes[:, :, None] * axes[:, None, :] / squares - np.eye(3)
    return np.concatenate([np.eye(3)[None], turns])


def rotate_tensor(rotation: ArrayLike, tensor: ArrayLike) -> Float:
    """R t R^T for a tensor (3, 3) or tensors (n, 3, 3); the unit stays.

    rotation: (3, 3), as :func:`canonical_rotation` returns it.
    """
    turn = np.asarray(rotation, dtype=np.float64)
    rotated: Float = turn @ np.asarray(tensor, dtype=np.float64) @ turn.T
    return rotated


def voigt_to_matrix(voigt: ArrayLike) -> Float:
    """(n, 6) or (6,) components xx, yy, zz, yz, xz, xy -> (n, 3, 3) or (3, 3) symmetric tensors.

    Components are those of the tensor (stress). Engineering shear strains are twice theirs: halve
    them before. LAMMPS writes per-atom stress as xx, yy, zz, xy, xz, yz: reorder it before.

    Raises
    ------
    ValueError: the last axis does not have 6 components.
    """
    components = np.asarray(voigt, dtype=np.float64)
    if components.shape[-1:] != (6,):
        raise ValueError(f"Voigt components must have the shape (n, 6), not {components.shape}")
    matrix = np.empty((*components.shape[:-1], 3, 3))
    for k, (i, j) in enumerate(VOIGT):
        matrix[..., i, j] = matrix[..., j, i] = components[..., k]
    return matrix


def matrix_to_voigt(matrix: ArrayLike) -> Float:
    """(n, 3, 3) or (3, 3) tensors -> (n, 6) or (6,) components xx, yy, zz, yz, xz, xy.

    Inverse of :func:`voigt_to_matrix`; of a tensor that is not symmetric, the symmetric part.

    Raises
    ------
    ValueError: the last two axes are not (3, 3).
    """
    tensors = np.asarray(matrix, dtype=np.float64)
    if tensors.shape[-2:] != (3, 3):
        raise ValueError(f"tensors must have the shape (n, 3, 3), not {tensors.shape}")
    return np.stack([(tensors[..., i, j] + tensors[..., j, i]) / 2 for i, j in VOIGT], axis=-1)
