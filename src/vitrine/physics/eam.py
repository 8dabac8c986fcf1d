"""Embedded-atom potentials: energies, forces, stresses and second derivatives (Daw & Baskes 1984).

E = sum over bonds of phi(r) + sum over atoms of F(rho_i), rho_i = sum over neighbours of f(r)
(doi:10.1103/PhysRevB.29.6443). Finnis-Sinclair files give f for each *pair* of elements
(``eam.fs``), setfl files for each element (``eam.alloy``).

Tables are interpolated as LAMMPS does it, so that energies, forces and second derivatives are its
own. Their rounding errors, divided by the cube of the spacing, drown third derivatives (in
``CuZr_mm.eam.fs`` the noise is twice the derivative): :func:`read_eam` with ``smooth`` fits quintic
splines with knots :data:`KNOT_SPACING` apart instead.

Units: eV, Å, masses in g/mol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PPoly, make_lsq_spline

from vitrine.errors import DataError
from vitrine.physics.lammps import potential_style
from vitrine.physics.neighbours import neighbours_within
from vitrine.physics.setfl import check_setfl
from vitrine.samples import Float, Int

KNOT_SPACING = 0.01
"""Å between the knots of a smoothed table: finer than any feature of it, coarser than its noise"""


@dataclass(frozen=True)
class EamPotential:
    """Tables of a potential.

    Attributes
    ----------
    elements: chemical symbols, in the order of the file.
    masses: g/mol, one per element.
    cutoff: Å.
    embedding: F of each element, eV over density.
    density: table ``a * n_elements + b``: contribution of an atom of element a at one of element b.
    pair: table ``a * n_elements + b``: r phi(r), eV Å over Å.
    """

    elements: tuple[str, ...]
    masses: tuple[float, ...]
    cutoff: float
    embedding: Tables
    density: Tables
    pair: Tables


@dataclass(frozen=True)
class Tables:
    """Piecewise polynomials with evenly spaced knots from 0 on.

    coefficients: (n_tables, n_pieces, degree + 1), constant first, of the distance to the knot before.
    """

    spacing: float
    coefficients: Float

    @classmethod
    def of(cls, pieces: Sequence[Any]) -> Self:
        """From :class:`scipy.interpolate.PPoly` with the same knots."""
        spacing = float(pieces[0].x[-1] / (len(pieces[0].x) - 1))
        return cls(spacing, np.ascontiguousarray(np.stack([piece.c[::-1].T for piece in pieces])))

    def __call__(self, which: Int, x: Float) -> Float:
        """(3, n): values, slopes and curvatures of table ``which`` at x; beyond, those of its end."""
        found = np.empty((3, len(x)))
        _evaluate_tables(self.coefficients, self.spacing, which, x, found)
        return found


@njit(cache=True, error_model="numpy")
def _evaluate_tables(coefficients, spacing, which, x, found):  # type: ignore[no-untyped-def]
    pieces, terms = coefficients.shape[1], coefficients.shape[2]
    for i in range(len(x)):
        piece = min(max(int(x[i] / spacing), 0), pieces - 1)
        t = min(x[i] - piece * spacing, spacing)
        value = slope = curvature = 0.0
        for k in range(terms - 1, -1, -1):
            curvature = curvature * t + 2 * slope
            slope = slope * t + value
            value = value * t + coefficients[which[i], piece, k]
        found[0, i], found[1, i], found[2, i] = value, slope, curvature


@lru_cache(maxsize=8)
def read_eam(path: Path, smooth: bool = False) -> EamPotential:
    """Read an ``eam.fs`` or ``eam.alloy`` file.

    Parameters
    ----------
    smooth: smooth the tables of r, for third derivatives.

    Raises
    ------
    DataError: the file cannot be read, is another format, or ends too soon.
    """
    try:
        check_setfl(path, potential_style(path))
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a potential: {error.strerror or error}") from error
    lines = text.splitlines()
    elements = tuple(lines[3].split()[1:])
    n_rho, d_rho, n_r, d_r, cutoff = (float(word) for word in lines[4].split()[:5])
    blocks = _Blocks(lines[5:])
    per_pair = potential_style(path) == "eam/fs"
    spline = _smoothed if smooth else _as_lammps
    masses, embedding, density = [], [], []
    for _ in elements:
        masses.append(float(blocks.line().split()[1]))
        embedding.append(_as_lammps(d_rho, blocks.take(int(n_rho))))
        columns = [spline(d_r, blocks.take(int(n_r))) for _ in (elements if per_pair else [0])]
        density += columns if per_pair else columns * len(elements)
    pair: list[list[Any]] = [[None] * len(elements) for _ in elements]
    for a in range(len(elements)):
        for b in range(a + 1):
            pair[a][b] = pair[b][a] = spline(d_r, blocks.take(int(n_r)))
    return EamPotential(
        elements,
        tuple(masses),
        cutoff,
        Tables.of(embedding),
        Tables.of(density),
        Tables.of([table for row in pair for table in row]),
    )


class _Blocks:
    """The numbers of a checked file after its header, taken in turn."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._next = 0
        self._rest: list[str] = []

    def line(self) -> str:
        """The next line."""
        self._next += 1
        return self._lines[self._next - 1]

    def take(self, count: int) -> Float:
        """The next ``count`` numbers; tables may share a line."""
        while len(self._rest) < count:
            self._rest += self.line().split()
        found, self._rest = self._rest[:count], self._rest[count:]
        return np.array([word.replace("D", "E") for word in found], dtype=np.float64)


def _as_lammps(spacing: float, values: Float) -> Any:
    """Cubic pieces whose slopes at the table's points are five-point differences (pair_style eam)."""
    slopes = np.empty_like(values)
    slopes[2:-2] = (values[:-4] - values[4:] + 8 * (values[3:-1] - values[1:-3])) / 12
    slopes[0], slopes[-1] = values[1] - values[0], values[-1] - values[-2]
    slopes[1], slopes[-2] = (values[2] - values[0]) / 2, (values[-1] - values[-3]) / 2
    return CubicHermiteSpline(np.arange(len(values)) * spacing, values, slopes / spacing)


def _smoothed(spacing: float, values: Float) -> Any:
    """Least-squares quintic spline through the table."""
    r = np.arange(len(values)) * spacing
    # at least two points in a piece: coarse tables have no noise to speak of, but too few points for the rest
    pieces = max(min(int(r[-1] / KNOT_SPACING), (len(values) - 1) // 2), 1)
    inner = np.linspace(0, r[-1], pieces + 1)[1:-1]
    knots = np.concatenate([np.zeros(6), inner, np.full(6, r[-1])])
    spline = PPoly.from_spline(make_lsq_spline(r, values, knots, k=5))
    return PPoly(spline.c[:, 5:-5], spline.x[5:-5])  # without the empty pieces of repeated knots


@dataclass(frozen=True)
class Bonds:
    """Every pair within the cut-off once, sorted by its first atom.

    first, second: (n_bonds,) int64. vector: (n_bonds, 3) Å, from first to second.
    starts: (n_atoms + 1,) int64, the bonds of first atom i are ``starts[i]:starts[i + 1]``.
    """

    first: Int
    second: Int
    vector: Float
    starts: Int


def bonds_within(positions: Float, cell: Float, cutoff: float) -> Bonds:
    """Bonds of atoms in a periodic box, images included; a bond of an atom with its own image once."""
    near = neighbours_within(positions, cell, cutoff)
    first, second, shift = near.centre, near.index, near.shift
    code = (shift[:, 0] * 1000 + shift[:, 1]) * 1000 + shift[:, 2]
    keep = np.flatnonzero((second > first) | ((second == first) & (code > 0)))
    keep = keep[np.lexsort((second[keep], first[keep]))]
    first, second = first[keep], second[keep]
    vector = positions[second] + shift[keep] @ np.asarray(cell, dtype=np.float64) - positions[first]
    starts = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(positions)))])
    return Bonds(first, second, vector, starts.astype(np.int64))


def sums_at(index: Int, value: Float, n: int) -> Float:
    """(n,) float64: sums of the values (m,) at each index (m,)."""
    return np.asarray(np.bincount(index, value, n), dtype=np.float64)


def morton_order(positions: Float, cell: Float) -> Int:
    """(n,) int64: atoms along a space-filling curve, so that neighbours are near in memory."""
    bits = 5
    fractional = positions @ np.linalg.inv(cell)
    box = ((fractional - np.floor(fractional)) * (1 << bits)).astype(np.int64) % (1 << bits)
    key = np.zeros(len(positions), dtype=np.int64)
    for bit in range(bits):
        for axis in range(3):
            key |= ((box[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(key, kind="stable")


@dataclass(frozen=True)
class EamState:
    """Atoms in a potential at given bond vectors: everything up to second derivatives.

    Attributes
    ----------
    kinds: (n,) int64, index into the potential's elements.
    distance: (n_bonds,) Å. direction: (n_bonds, 3) unit vectors, first to second.
    slope: (n_bonds,) eV/Å, dE/dr of each bond. curvature: (n_bonds,) eV/Å^2, with the densities
        held fixed.
    at_first, at_second: (n_bonds,) derivative of the density at the bond's first (second) atom.
    embedding_curvature: (n,) F''(rho).
    energy: (n,) eV, half of each bond to either atom.
    """

    potential: EamPotential
    kinds: Int
    bonds: Bonds
    distance: Float
    direction: Float
    slope: Float
    curvature: Float
    at_first: Float
    at_second: Float
    embedding_curvature: Float
    energy: Float

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.kinds)

    @cached_property
    def masses(self) -> Float:
        """(n,) g/mol."""
        return np.asarray(self.potential.masses)[self.kinds]

    @cached_property
    def forces(self) -> Float:
        """(n, 3) eV/Å."""
        return self.scatter(self.slope[:, None] * self.direction)

    @cached_property
    def stress(self) -> Float:
        """(n, 3, 3) eV: stress times atomic volume, tension positive, half of each bond to either atom."""
        weight = 0.5 * self.slope * self.distance
        found = np.zeros((self.n_atoms, 3, 3))
        for a in range(3):
            for b in range(a, 3):
                value = weight * self.direction[:, a] * self.direction[:, b]
                found[:, a, b] = found[:, b, a] = self.per_atom(value)
        return found

    def per_atom(self, value: Float) -> Float:
        """(n,) sum of a bond's value over both its atoms."""
        n = self.n_atoms
        return sums_at(self.bonds.first, value, n) + sums_at(self.bonds.second, value, n)

    def scatter(self, vector: Float) -> Float:
        """(n, 3): each bond's vector added to its first atom and taken from its second."""
        n = self.n_atoms
        columns = [
            np.bincount(self.bonds.first, vector[:, c], n) - np.bincount(self.bonds.second, vector[:, c], n)
            for c in range(3)
        ]
        return np.stack(columns, axis=1)

    def at(self, vector: Float) -> EamState:
        """The same atoms and bonds at other bond vectors, (n_bonds, 3) Å."""
        bonds = Bonds(self.bonds.first, self.bonds.second, vector, self.bonds.starts)
        return _evaluate(self.potential, self.kinds, bonds)

    def stress_rate(self, rate: Float) -> Float:
        """(n, 3, 3) eV: derivative of :attr:`stress` where bond vectors change by ``rate`` (n_bonds, 3)."""
        along, transverse = self._tension_rate(rate)
        vector = self.bonds.vector
        # d(slope / r) v v + slope / r (rate v + v rate)
        outer = 0.5 * along / self.distance
        found = np.zeros((self.n_atoms, 3, 3))
        for a in range(3):
            for b in range(a, 3):
                value = outer * vector[:, a] * vector[:, b]
                value += 0.5 * transverse * (rate[:, a] * vector[:, b] + vector[:, a] * rate[:, b])
                found[:, a, b] = found[:, b, a] = self.per_atom(value)
        return found

    def force_rate(self, rate: Float) -> Float:
        """(n, 3) eV/Å: derivative of the forces where bond vectors change by ``rate`` (n_bonds, 3)."""
        along, transverse = self._tension_rate(rate)
        return self.scatter(along[:, None] * self.direction + transverse[:, None] * rate)

    def _tension_rate(self, rate: Float) -> tuple[Float, Float]:
        """Change of each bond's tension less that of a bond that only turns; slope over length."""
        n, first, second = self.n_atoms, self.bonds.first, self.bonds.second
        stretch = (self.direction * rate).sum(axis=1)
        density = np.bincount(first, self.at_first * stretch, n)
        density += np.bincount(second, self.at_second * stretch, n)
        embedding = self.embedding_curvature * density
        transverse = self.slope / self.distance
        along = (self.curvature - transverse) * stretch
        along += self.at_first * embedding[first] + self.at_second * embedding[second]
        return along, transverse


def eam_state(potential: EamPotential, positions: Float, cell: Float, kinds: Int) -> EamState:
    """Atoms in a potential.

    Parameters
    ----------
    positions: (n, 3) Å. cell: (3, 3) rows, Å. kinds: (n,) int, index into ``potential.elements``.

    Raises
    ------
    DataError: unusable positions or cell, or two atoms in one place.
    """
    return _evaluate(potential, np.asarray(kinds), bonds_within(positions, cell, potential.cutoff))


def _evaluate(potential: EamPotential, kinds: Int, bonds: Bonds) -> EamState:
    n, first, second = len(kinds), bonds.first, bonds.second
    distance = np.linalg.norm(bonds.vector, axis=1)
    if len(distance) and distance.min() < 1e-3:
        k = int(distance.argmin())
        raise DataError(f"atoms {first[k] + 1} and {second[k] + 1} are in one place")
    size = len(potential.elements)
    which = kinds[first] * size + kinds[second]
    other_way = kinds[second] * size + kinds[first]
    pair = potential.pair(which, distance)
    at_second, at_first = potential.density(which, distance), potential.density(other_way, distance)
    density = sums_at(first, at_first[0], n) + sums_at(second, at_second[0], n)
    embedding = _embedding(potential, kinds, density)
    phi = pair[0] / distance
    phi1 = (pair[1] - phi) / distance
    phi2 = (pair[2] - 2 * phi1) / distance
    slope = phi1 + embedding[1][first] * at_first[1] + embedding[1][second] * at_second[1]
    curvature = phi2 + embedding[1][first] * at_first[2] + embedding[1][second] * at_second[2]
    energy = embedding[0] + 0.5 * (np.bincount(first, phi, n) + np.bincount(second, phi, n))
    return EamState(
        potential, kinds, bonds, distance, bonds.vector / distance[:, None], slope, curvature,
        at_first[1], at_second[1], embedding[2], energy,
    )  # fmt: skip


def _embedding(potential: EamPotential, kinds: Int, density: Float) -> NDArray[np.float64]:
    """(3, n): F, F' and F'' at each atom; beyond the table F goes on as a straight line."""
    tables = potential.embedding
    last = tables.spacing * tables.coefficients.shape[1]
    found = tables(kinds, np.minimum(density, last))
    beyond = density > last
    found[0] += np.where(beyond, (density - last) * found[1], 0.0)
    found[2] = np.where(beyond, 0.0, found[2])
    return found
