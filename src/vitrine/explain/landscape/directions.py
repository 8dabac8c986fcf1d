"""Directions in the space of weights: how they are drawn, how long they are, two that make a plane.

Filter normalisation: Li et al. 2018, arXiv:1712.09913.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vitrine.errors import InputError
from vitrine.samples import Float

Kind = Literal["filter", "layer", "gaussian"]
Vectors = Literal["zero", "scaled"]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Direction:
    """A flat vector in the space of trainable weights.

    Attributes
    ----------
    vector: (n,) float64, in the order of ``named_parameters``; step 1 adds it once to the weights.
    kind: ``filter``, ``layer``, ``gaussian``, ``hessian``, ``line`` or what its maker calls it.
    seed: that it was drawn with, or None.
    """

    vector: Float
    kind: str
    seed: int | None = None

    @property
    def norm(self) -> float:
        """Length of one step in the space of weights."""
        return float(np.linalg.norm(self.vector))

    def scaled(self, factor: float) -> Direction:
        """The same direction with steps this much longer."""
        return replace(self, vector=self.vector * factor)

    def digest(self) -> str:
        """SHA-256, 64 hex digits."""
        return hashlib.sha256(np.ascontiguousarray(self.vector).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Plane:
    """Two directions that span a surface.

    Raises
    ------
    InputError: they are parallel, of different lengths of vector, or one is zero.
    """

    first: Direction
    second: Direction

    def __post_init__(self) -> None:
        if self.first.vector.shape != self.second.vector.shape:
            raise InputError("the two directions of a plane are of different networks")
        if self.first.norm == 0 or self.second.norm == 0 or abs(self.cosine) > 1 - 1e-12:
            raise InputError("the two directions are parallel or zero: they span no plane")

    @property
    def cosine(self) -> float:
        """Of the angle between the directions: 0 where they are orthogonal."""
        dot = float(self.first.vector @ self.second.vector)
        return dot / (self.first.norm * self.second.norm)


def drawn(
    weights: Float,
    shapes: Shapes,
    kind: Kind,
    seed: int,
    *,
    number: int = 0,
    vectors: Vectors | None = None,
    against: Float | None = None,
) -> Direction:
    """A random direction, of standard normal numbers before it is normalised.

    Parameters
    ----------
    weights: (n,) that it is scaled to. shapes: of the parameters in it.
    kind: ``filter``: each filter (all weights of one output: one entry of a parameter's first axis) gets the
        norm of the network's filter. ``layer``: each parameter gets the norm of the network's. ``gaussian``:
        the whole gets the norm of all weights.
    number: of the direction in its plane; each is drawn anew.
    vectors: what becomes of parameters with fewer than two axes (biases, scales of norm layers): ``zero``
        (default for filter, as is usual) or ``scaled`` to their norm (default for layer). Not for gaussian.
    against: make it orthogonal to this one, within each filter or parameter so that the norms stay.

    Raises
    ------
    InputError: an unknown kind, or nothing is left of the direction.
    """
    if kind not in ("filter", "layer", "gaussian"):
        raise InputError(f"a direction is filter, layer or gaussian, not {kind!r}")
    if vectors not in (None, "zero", "scaled"):
        raise InputError(f"vectors is zero or scaled, not {vectors!r}")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"the seed of a direction is a whole number from 0, not {seed!r}")
    vector = np.random.default_rng([int(seed), number]).standard_normal(len(weights))
    kept = vectors or ("zero" if kind == "filter" else "scaled")
    for rows, one_axis in _blocks(len(weights), shapes, kind):
        own = vector[rows[0] : rows[1]].reshape(rows[2], -1)
        if one_axis and kept == "zero" and kind != "gaussian":
            own[:] = 0.0
            continue
        if against is not None:
            _orthogonalise(own, against[rows[0] : rows[1]].reshape(rows[2], -1))
        length = np.linalg.norm(own, axis=1, keepdims=True)
        wanted = np.linalg.norm(weights[rows[0] : rows[1]].reshape(rows[2], -1), axis=1, keepdims=True)
        own *= np.divide(wanted, length, out=np.zeros_like(length), where=length > 0)
    if not np.any(vector):
        raise InputError(
            f"nothing is left of a {kind} direction: all weights are zero, or all parameters have one axis "
            "(then give vectors='scaled')"
        )
    return Direction(vector, kind, int(seed))


def _blocks(total: int, shapes: Shapes, kind: Kind) -> Iterator[tuple[tuple[int, int, int], bool]]:
    """(start, end, rows) of what is normalised row by row, and whether it has fewer than two axes."""
    if kind == "gaussian":
        yield (0, total, 1), False
        return
    start = 0
    for shape in shapes.values():
        size, one_axis = int(np.prod(shape)), len(shape) < 2
        if size:
            yield (start, start + size, shape[0] if kind == "filter" and not one_axis else 1), one_axis
        start += size


def _orthogonalise(own: Float, other: Float) -> None:
    """Row by row, in place; rows of one number cannot be and stay."""
    if own.shape[1] < 2:
        return
    for _ in range(2):  # the second takes away what rounding left
        square = (other * other).sum(axis=1, keepdims=True)
        overlap = (own * other).sum(axis=1, keepdims=True)
        own -= other * np.divide(overlap, square, out=np.zeros_like(square), where=square > 0)


def made_orthogonal(first: Direction, second: Direction) -> Direction:
    """The second without its part along the first, as long as before.

    Raises
    ------
    InputError: nothing is left of it.
    """
    vector = second.vector.copy()
    _orthogonalise(vector[None], first.vector[None])
    left = float(np.linalg.norm(vector))
    if left <= 1e-9 * second.norm:
        raise InputError("the two directions are parallel: they span no plane")
    return replace(second, vector=vector * (second.norm / left))
