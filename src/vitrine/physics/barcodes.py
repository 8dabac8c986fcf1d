"""Persistent homology of points in space: barcodes, what is told of them, and clouds around sites.

Barcodes are those of the alpha complex (gudhi, doi:10.1007/978-3-662-44199-2_28). It is homotopy equivalent
to the union of balls around the points, and of the 167 atoms within 8 Å in a perovskite it has 3,300
simplices, where the Vietoris-Rips complex has 1.3 million. All values are **diameters** of the balls in Å
(gudhi's own filtration is the squared radius): two atoms join at their distance, as in a Rips complex.

Crystals are the worst input there is: many points lie on one sphere, one plane, one line. Exact arithmetic
takes up to thirty times as long on them, and plain floating-point arithmetic invents voids in flat
tetrahedra: four times the true sum in a rotated cubic lattice. Here points are moved by up to 1e-5 Å at
random, always in the same way. Triangles and tetrahedra are then thick enough for floating-point numbers (at
1e-7 Å triangles are not, and one cloud in forty goes wrong), what they add is shorter than 1e-3 Å and does
not count, and the rest is that of exact arithmetic within the move: sums over hundreds of bars within 1e-3 Å.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from vitrine.errors import DataError, MissingExtra
from vitrine.physics.formulas import ALL_ELEMENTS, parse_formula, reduced_formula
from vitrine.samples import Float, Int

JOGGLE = 1.0e-5
"""Å by which each coordinate is moved at most."""
SHORTEST = 1.0e-3
"""Å; this much of every bar does not count."""
PRIOR = 0.1
"""Å of bars of no size that every mean takes in: of vanishing bars it is 0, without a jump."""
CLOSEST = 0.1
"""Å; atoms nearer than this are one atom given twice."""
MOST_POINTS = 1500
"""Points in one cloud; hydrogen-rich crystals have 0.2 atoms/Å³, 1,450 within 12 Å."""

_OF_COMPONENTS = ("shortest death", "longest bar", "sum of bars", "mean death", "spread of deaths")
_OF_HOLES = (
    "longest bar",
    "sum of bars",
    "mean birth",
    "spread of births",
    "mean death",
    "spread of deaths",
    "spread of bars",
)
STATISTICS: tuple[str, ...] = (
    *(f"Betti-0 {name}" for name in _OF_COMPONENTS),
    *(f"Betti-{dimension} {name}" for dimension in (1, 2) for name in _OF_HOLES),
)
"""What :func:`statistics` says of a barcode, in order; each in Å."""
NEIGHBOURS = ("all", "same element", "more electronegative", "less electronegative")
"""Classes of clouds: all neighbours together, and pairs of elements by who is the neighbour."""
FEATURES: tuple[str, ...] = tuple(
    f"{statistic} [Å], {neighbours}, {over} of sites"
    for neighbours in NEIGHBOURS
    for over in ("mean", "spread")
    for statistic in STATISTICS
)
"""Names of the columns of :func:`homology_features`, 4 classes x 2 x 19."""

Bars = tuple[Float, Float, Float]
"""Bars of dimension 0, 1 and 2: components, rings and voids; each (n, 2) birth and death, Å."""


def gudhi() -> Any:
    """The library.

    Raises
    ------
    MissingExtra: it is not installed.
    """
    try:
        import gudhi as library
    except ImportError as error:
        raise MissingExtra("gudhi", "topology") from error
    return library


def barcode(points: Float, births: Float | None = None, largest: float = np.inf) -> Bars:
    """Barcode of the alpha complex of a cloud, as diameters of balls.

    Bars without length are left out, and so is the component that never dies.

    Parameters
    ----------
    points: (n, 3) Å, n >= 1.
    births: (n,) Å, diameters at which the points come into being; all 0 if None. They weight the complex:
        the ball of a point born at b has, when the others have the diameter D, the diameter sqrt(D² - b²).
    largest: Å, diameter at which the balls stop growing: what lives then dies there.

    Returns
    -------
    Bars of dimension 0, 1, 2, each (n_bars, 2) float64, Å.

    Raises
    ------
    MissingExtra: gudhi is not installed.
    """
    library = gudhi()
    points = np.asarray(points, dtype=np.float64)
    weights = None if births is None else -0.25 * np.square(births)
    # "fast" is right once nothing is degenerate, see the head of this file
    complex_ = library.AlphaComplex(points=points + _joggle(len(points)), weights=weights, precision="fast")
    tree = complex_.create_simplex_tree(max_alpha_square=0.25 * largest**2)
    tree.compute_persistence(min_persistence=0.0, persistence_dim_max=True)
    found = []
    for dimension in range(3):
        squares = tree.persistence_intervals_in_dimension(dimension).reshape(-1, 2)
        bars = np.minimum(2.0 * np.sqrt(np.maximum(squares, 0.0)), largest)
        if dimension == 0:
            lasting = np.isinf(squares[:, 1])
            first = np.argmin(np.where(lasting, squares[:, 0], np.inf))
            bars = np.delete(bars, first, axis=0)
        found.append(bars)
    return found[0], found[1], found[2]


def _joggle(number: int) -> Float:
    """(number, 3) Å, the same first rows for every number."""
    size = max(256, 1 << (number - 1).bit_length())
    return _moves(size)[:number]


@cache
def _moves(size: int) -> Float:
    moves: Float = np.random.default_rng(0).uniform(-JOGGLE, JOGGLE, (size, 3))
    return moves


def statistics(bars: Bars, largest: float) -> Float:
    """What is told of a barcode: (19,) float64 in the order of :data:`STATISTICS`, Å.

    A bar from b to d counts with its length l = max(d - b - 0.001 Å, 0). With L the sum of l and the prior
    λ = 0.1 Å,

        sum of bars = L,    mean x = Σ l x / (L + λ),    spread of x = (Σ l (x - x̄)² / (L + λ))^½,

    x̄ = Σ l x / L. Bars that come into being when atoms move thus begin without weight and every number is
    continuous in the positions; plain means and minima over bars jump. "Longest bar" is the largest l, and
    "shortest death" (of components: the distance of the closest atoms) the smallest d. Without bars it is
    ``largest``, and everything else is 0.
    """
    components, *holes = bars
    told: list[float] = []
    length, share, total = _weights(components)
    told += [float(components[:, 1].min(initial=largest)), float(length.max(initial=0.0)), total]
    told += _moments(components[:, 1], length, share)
    for each in holes:
        length, share, total = _weights(each)
        told += [float(length.max(initial=0.0)), total]
        told += _moments(each[:, 0], length, share) + _moments(each[:, 1], length, share)
        told.append(_moments(length, length, share)[1])
    return np.array(told)


def _weights(bars: Float) -> tuple[Float, float, float]:
    """Lengths that count, their share beside the prior, and their sum."""
    length = np.maximum(bars[:, 1] - bars[:, 0] - SHORTEST, 0.0)
    total = float(length.sum())
    return length, total / (total + PRIOR), total


def _moments(values: Float, weights: Float, share: float) -> list[float]:
    if share == 0.0:
        return [0.0, 0.0]
    weights = weights / weights.sum()
    mean = float(weights @ values)
    return [share * mean, float(np.sqrt(share * (weights @ (values - mean) ** 2)))]


# ---------------------------------------------------------------- crystals


@dataclass(frozen=True)
class Cloud:
    """A site and neighbours of it.

    Attributes
    ----------
    site: number of the site.
    neighbours: which, of :data:`NEIGHBOURS`.
    points: (n, 3) Å from the site, which comes first.
    births: (n,) Å, see :func:`barcode`.
    """

    site: int
    neighbours: str
    points: Float
    births: Float


def site_clouds(
    cell: Float, species: Sequence[str], frac: Float, cutoff: float = 8.0, shell: float = 1.0
) -> Iterator[Cloud]:
    """For each site the cloud of all its neighbours, and one for each element among the species.

    A cloud holds the site itself and the neighbours closer than the cut-off, images included. Neighbours in
    the outermost ``shell`` are born late: at a distance r > cutoff - shell at the diameter
    cutoff (r - cutoff + shell) / shell. An atom that leaves the cloud is born when the balls stop growing, so
    nothing jumps; with a plain cut-off every cubic crystal with a = 4 Å sits at a jump of 8 Å.

    Parameters
    ----------
    cell: (3, 3) Å, rows are cell vectors. species: n symbols. frac: (n, 3) fractional coordinates.
    cutoff, shell: Å, shell <= cutoff.

    Raises
    ------
    DataError: the cell has no volume, two atoms in one place, or an absurd density.
    """
    from vitrine.physics.neighbours import neighbours_within

    positions = np.asarray(frac, dtype=np.float64) @ np.asarray(cell, dtype=np.float64)
    _check_density(len(positions), np.asarray(cell, dtype=np.float64), cutoff)
    near = neighbours_within(positions, cell, cutoff)
    vectors = positions[near.index] + near.shift @ cell - positions[near.centre]
    distances = np.linalg.norm(vectors, axis=1)
    if distances.min(initial=np.inf) < CLOSEST:
        bond = int(distances.argmin())
        first, second = int(near.centre[bond]), int(near.index[bond])
        raise DataError(f"sites {first + 1} and {second + 1} are {distances[bond]:.2g} Å apart")
    births = cutoff * np.maximum(distances - cutoff + shell, 0.0) / shell
    names = np.array(species)
    elements = sorted(set(species))
    for site, symbol in enumerate(species):
        own = slice(int(near.starts[site]), int(near.starts[site + 1]))
        yield _cloud(site, NEIGHBOURS[0], vectors[own], births[own])
        around: Int = near.index[own]
        for element in elements:
            chosen = names[around] == element
            yield _cloud(site, pair_class(symbol, element), vectors[own][chosen], births[own][chosen])


def _check_density(number: int, cell: Float, cutoff: float) -> None:
    """Before the neighbours are looked for: their number is this one within a few."""
    volume = abs(float(np.linalg.det(cell)))
    expected = number * 4.19 * cutoff**3 / max(volume, 1e-9)
    if expected > MOST_POINTS:
        raise DataError(
            f"{number} atoms in {volume:.3g} Å³: about {expected:,.0f} atoms within {cutoff:g} Å of a site, "
            f"at most {MOST_POINTS:,}; is the cell in Å?"
        )


def _cloud(site: int, neighbours: str, vectors: Float, births: Float) -> Cloud:
    return Cloud(site, neighbours, np.pad(vectors, ((1, 0), (0, 0))), np.pad(births, (1, 0)))


def pair_class(centre: str, neighbour: str) -> str:
    """Which of :data:`NEIGHBOURS` a pair of elements is, by Pauling electronegativity (ties by symbol).

    The order is that of reduced formulas; elements without a value (He, Ne, Ar, from Db on) come last.

    >>> pair_class("O", "Ti"), pair_class("Ti", "O"), pair_class("O", "O")
    ('less electronegative', 'more electronegative', 'same element')
    """
    rank = _ranks()
    if centre == neighbour:
        return NEIGHBOURS[1]
    return NEIGHBOURS[2] if rank[neighbour] > rank[centre] else NEIGHBOURS[3]


@cache
def _ranks() -> dict[str, int]:
    every = reduced_formula(dict.fromkeys(ALL_ELEMENTS, 1.0))
    return {symbol: rank for rank, symbol in enumerate(parse_formula(every))}


def homology_features(
    cell: Float, species: Sequence[str], frac: Float, cutoff: float = 8.0, shell: float = 1.0
) -> Float:
    """Features of a crystal: (152,) float64 in the order of :data:`FEATURES`, Å.

    Mean and spread (standard deviation) of the :func:`statistics` over the clouds of each class of
    :data:`NEIGHBOURS`, balls growing up to the diameter ``cutoff``. Every pair of a site and an element
    counts once, so a supercell has the features of its cell. A class without a pair (elements have only
    neighbours of their own) is 0 throughout.

    Parameters and errors: as of :func:`site_clouds`; MissingExtra: gudhi is not installed.
    """
    told: dict[str, list[Float]] = {neighbours: [] for neighbours in NEIGHBOURS}
    for cloud in site_clouds(cell, species, frac, cutoff, shell):
        told[cloud.neighbours].append(statistics(barcode(cloud.points, cloud.births, cutoff), cutoff))
    rows = []
    for neighbours in NEIGHBOURS:
        table = np.array(told[neighbours]) if told[neighbours] else np.zeros((1, len(STATISTICS)))
        rows += [table.mean(axis=0), table.std(axis=0)]
    return np.concatenate(rows)
