"""Configurations in a plane: 2-D positions, the box and the species of an :class:`ase.Atoms`.

A file of a 2-D simulation is written as a thin slab. It is taken as 2-D where all particles have the
same z; the third cell vector does not matter then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitrine.errors import DataError, StudyError, did_you_mean
from vitrine.samples import Float, Int, Samples

if TYPE_CHECKING:
    from ase import Atoms

FLAT = 1e-6
"""Largest difference of two z coordinates; text dumps of a 2-D run hold z exactly."""
SKEW = 1e-6
"""Largest component of a cell vector off its axis, relative to the shorter edge of the box."""
INSIDE = 1e-6
"""How far a particle of a window may lie outside it, relative to the window: round-off of text files."""


@dataclass(frozen=True)
class Plane:
    """Particles in a rectangle; lengths in the unit of the file (σ_AA for Lennard-Jones).

    Attributes
    ----------
    positions: (n, 2) float64; in ``[0, lengths)`` where periodic, in ``[0, lengths]`` of a window.
    lengths: (2,) float64, edges of the box or window along x and y.
    periodic: whether the box repeats along x and y; a window out of a larger configuration does not.
    where: name of the configuration, for messages.
    """

    positions: Float
    lengths: Float
    periodic: bool
    where: str = "the configuration"

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def area(self) -> float:
        """Of the box or window."""
        return float(self.lengths[0] * self.lengths[1])

    def shortest(self, vectors: Float) -> Float:
        """``(..., 2)`` differences of positions as minimum-image vectors; unchanged in a window."""
        if not self.periodic:
            return vectors
        found: Float = vectors - self.lengths * np.rint(vectors / self.lengths)
        return found


def plane_of(atoms: Atoms, where: str) -> Plane:
    """The particles of a 2-D configuration, wrapped into the box where it is periodic.

    Parameters
    ----------
    atoms: cell diag(Lx, Ly, anything); ``pbc`` along x and y both true (a box) or both false (a window).
    where: file, frame or id, for messages.

    Raises
    ------
    DataError: no particles, a position that is not finite, particles in more than one plane, a
        skewed, missing or half-periodic box, particles outside a window.
    """
    positions = np.asarray(atoms.positions, dtype=np.float64)
    cell, pbc = np.asarray(atoms.cell, dtype=np.float64), np.asarray(atoms.pbc, dtype=bool)
    if not len(positions):
        raise DataError(f"{where} holds no particles")
    if not np.isfinite(positions).all():
        bad = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
        raise DataError(f"{where}: the position of particle {bad + 1} is not finite: {positions[bad]}")
    if not np.isfinite(cell).all():
        raise DataError(f"{where}: its cell is not finite")
    _check_flat(positions[:, 2], cell[2, 2] if pbc[2] else 0.0, where)
    lengths = _lengths(cell, where)
    if pbc[0] != pbc[1]:
        raise DataError(
            f"{where} is periodic along {'x' if pbc[0] else 'y'} only; a box must be periodic along x and y, "
            "a window along neither"
        )
    if not pbc[0]:
        return Plane(_within(positions[:, :2], lengths, where), lengths, False, where)
    wrapped = np.empty((len(positions), 2))
    for axis, length in enumerate(lengths):  # one by one: numpy is slow on rows of two
        x = positions[:, axis].copy()
        if x.min() < 0.0 or x.max() >= length:
            x -= np.floor(x / length) * length
            x[(x >= length) | (x < 0.0)] = 0.0  # what rounds up to the edge is its image
        wrapped[:, axis] = x
    return Plane(wrapped, lengths, True, where)


def _check_flat(z: Float, period: float, where: str) -> None:
    apart = z - z[0]
    if period > 0:
        apart = apart - period * np.rint(apart / period)
    if np.ptp(apart) > FLAT:
        raise DataError(
            f"{where} spans {np.ptp(z):.3g} in z; the study of 2-D configurations needs all particles in one "
            "plane"
        )


def _lengths(cell: Float, where: str) -> Float:
    lengths = np.array([cell[0, 0], cell[1, 1]])
    if np.abs(cell[:2]).max() == 0.0:
        raise DataError(f"{where} has no box; give it a cell with the edges Lx and Ly")
    off = max(np.abs(cell[0, 1:]).max(), np.abs(cell[1, [0, 2]]).max(), np.abs(cell[2, :2]).max())
    if off > SKEW * max(lengths.min(), 0.0):
        raise DataError(
            f"{where}: its cell is skewed ({np.round(cell, 4).tolist()}); a 2-D configuration needs a "
            "rectangle with edges along x and y"
        )
    if lengths.min() <= 0.0:
        raise DataError(
            f"{where}: its box has the edges {lengths[0]:g} and {lengths[1]:g}; both must be above 0"
        )
    return lengths


def _within(positions: Float, lengths: Float, where: str) -> Float:
    outside = ((positions < -INSIDE * lengths) | (positions > (1 + INSIDE) * lengths)).any(axis=1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise DataError(
            f"{where}: particle {first + 1} at ({positions[first, 0]:g}, {positions[first, 1]:g}) lies "
            f"outside the window of {lengths[0]:g} by {lengths[1]:g}, whose corner is (0, 0); a periodic "
            "box is told by pbc"
        )
    return np.clip(positions, 0.0, lengths)


def kinds_of(atoms: Atoms, species: Sequence[str], where: str) -> Int:
    """``(n,) int64``: position of each particle's symbol among ``species`` (0 is A, 1 is B).

    Raises
    ------
    StudyError: ``species`` names something that is no chemical symbol.
    DataError: a particle of another species.
    """
    from ase.data import atomic_numbers

    for symbol in species:
        if symbol not in atomic_numbers:
            known_symbols = did_you_mean(symbol, atomic_numbers)
            raise StudyError(f"representation.species: {symbol!r} is no chemical symbol{known_symbols}")
    place = np.full(len(atomic_numbers), -1, dtype=np.int64)
    place[[atomic_numbers[symbol] for symbol in species]] = np.arange(len(species))
    kinds: Int = place[atoms.numbers]
    if len(kinds) and kinds.min() < 0:
        names = sorted(set(atoms[kinds < 0].get_chemical_symbols()))
        raise DataError(
            f"{where} holds {', '.join(names)}, but its species should be {' and '.join(species)}; set "
            "representation.species to the symbols in your files, A first, or name the types of a dump "
            f"(--elements {' '.join(species)})"
        )
    return kinds


def planes_of(samples: Samples, species: Sequence[str]) -> Iterator[tuple[Plane, Int]]:
    """Plane and species ``(n,)`` of each sample, in order.

    Raises
    ------
    StudyError: samples that are no configurations. DataError: one that is not 2-D, or holds other species.
    """
    if samples.kind != "atoms":
        raise StudyError(f"2-D configurations are atoms, not {samples.kind}")
    for atoms, name in zip(samples.items, samples.ids, strict=True):
        yield plane_of(atoms, name), kinds_of(atoms, species, name)
