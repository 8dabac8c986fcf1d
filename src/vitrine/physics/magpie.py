"""145 physical attributes of a chemical formula: the set of Ward et al., doi:10.1038/npjcompumats.2016.28.

Six statistics of 22 elemental properties, six p-norms of the amounts, the shares of s, p, d and f electrons
among the valence electrons, and three attributes of ionic bonds; in the order and under the names of
matminer (doi:10.1016/j.commatsci.2018.05.018), which they equal. Nothing here imports it: the elemental
properties are in ``elements.csv`` beside this file, see ``elements.md``. Formulas with the same number of
elements are worked on together, as arrays ``(formulas, elements, properties)``.

What matminer does and so does this, for it is part of what others have published:

- a property that an element lacks is the mean over all elements that have it (``missing="mean"``);
- the mode is the property of the most frequent element; amounts within 1e-8 + 1e-5 of the largest are equally
  frequent, and then the least property is taken;
- a neutral compound is possible if the charges add up to less than 1e-8 for one choice of a common oxidation
  state for each element (``IonProperty(fast=True)``): so Fe3O4 is not, an element alone is. The other mode of
  matminer lets the atoms of an element differ, takes whole amounts only and so refuses Fe0.5Co0.5O.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.physics.formulas import ALL_ELEMENTS, parse_formula

Float = NDArray[np.float64]
Int = NDArray[np.int64]

PROPERTIES = (
    "Number", "MendeleevNumber", "AtomicWeight", "MeltingT", "Column", "Row", "CovalentRadius",
    "Electronegativity", "NsValence", "NpValence", "NdValence", "NfValence", "NValence", "NsUnfilled",
    "NpUnfilled", "NdUnfilled", "NfUnfilled", "NUnfilled", "GSvolume_pa", "GSbandgap", "GSmagmom",
    "SpaceGroupNumber",
)  # fmt: skip
"""MeltingT [K], AtomicWeight [u], CovalentRadius [pm], GSvolume_pa [Å^3], GSbandgap [eV], GSmagmom [μB]."""
STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
NORMS = (0, 2, 3, 5, 7, 10)
ORBITALS = ("s", "p", "d", "f")
LABELS: tuple[str, ...] = (
    *(f"MagpieData {statistic} {name}" for name in PROPERTIES for statistic in STATISTICS),
    *(f"{norm}-norm" for norm in NORMS),
    *(f"frac {orbital} valence electrons" for orbital in ORBITALS),
    "compound possible",
    "max ionic char",
    "avg ionic char",
)
"""Names of the 145 columns, matminer's own."""

_SHELLS = [PROPERTIES.index(f"N{orbital}Valence") for orbital in ORBITALS]
_VALENCE = PROPERTIES.index("NValence")
_NEUTRAL = 1e-8
"""Largest sum of charges that is none, per formula as it is written."""
_AT_ONCE = 8192
"""Formulas that are worked on together: their arrays fit into the cache of a core."""
_MOST_SUMS = 1 << 20
"""Sums of charges that are kept at once: 8 MiB."""
_SMALL = 5
"""Up to so many elements all sums of charges are written down."""


class Elements(NamedTuple):
    """Properties of the 118 elements, by atomic number.

    ``properties`` is ``(118, 22)``, NaN where unknown; ``filled`` has means in place of NaN; ``ionic`` is
    ``(118, 118)``: 1 - exp(-(X_A - X_B)^2 / 4), the ionic character of a bond, X the electronegativity;
    ``states`` is ``(118, 9)``: common oxidation states, NaN beyond the ``n_states`` of an element.
    """

    properties: Float
    filled: Float
    electronegativity: Float
    ionic: Float
    states: Float
    n_states: Int


@cache
def elements() -> Elements:
    """The table that comes with the package.

    >>> float(elements().properties[25, PROPERTIES.index("MeltingT")])  # iron [K]
    1811.0
    """
    with resources.files("vitrine.physics").joinpath("elements.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(row["symbol"] for row in rows) == ALL_ELEMENTS
    numbers = [[float(row[name] or "nan") for name in (*PROPERTIES, "X")] for row in rows]
    table = np.array(numbers)
    filled = np.where(np.isnan(table), np.nanmean(table, axis=0), table)
    away = filled[:, -1, None] - filled[None, :, -1]
    lists = [[float(state) for state in row["common_oxidation_states"].split()] for row in rows]
    n_states = np.array([len(states) for states in lists])
    states = np.full((len(rows), n_states.max()), np.nan)
    for number, found in enumerate(lists):
        states[number, : len(found)] = found
    return Elements(
        table[:, :-1], filled[:, :-1], table[:, -1], 1.0 - np.exp(-0.25 * away**2), states, n_states
    )


def magpie_attributes(
    formulas: Sequence[str],
    names: Sequence[str] | None = None,
    missing: Literal["mean", "refuse"] = "mean",
) -> Float:
    """The attributes of each formula, ``(n_formulas, 145) float64``; columns are named by :data:`LABELS`.

    They do not depend on the order of the elements, nor on the scale of the amounts, but for what is within
    the tolerances named above.

    Parameters
    ----------
    formulas: n formulas; each distinct one is parsed once.
    names: what an error calls the rows (``<table>:<row>``); their numbers from 1 if None.
    missing: ``"mean"`` puts the mean over the elements in place of a property that an element lacks, as
        matminer does; ``"refuse"`` does not accept such an element.

    Raises
    ------
    DataError: not a formula; an element of which nothing is known (Nh to Og), or with ``"refuse"`` not all;
        so many elements that oxidation states cannot be tried. The row and the element are named.
    """
    number_of = {symbol: number for number, symbol in enumerate(ALL_ELEMENTS)}
    distinct = list(dict.fromkeys(formulas))

    def row_name(text: str) -> str:
        row = list(formulas).index(text)
        return names[row] if names else f"row {row + 1}"

    counts: list[int] = []
    symbols: list[str] = []
    amounts: list[float] = []
    for text in distinct:
        try:
            found = parse_formula(text)
        except DataError as error:
            raise DataError(f"{row_name(text)}: {error}") from error
        counts.append(len(found))
        symbols += found
        amounts += found.values()
    numbers = np.array([number_of[symbol] for symbol in symbols], dtype=np.int64)
    starts = np.array([0, *accumulate(counts)], dtype=np.int64)
    lacking = _lacking(missing)[numbers]
    if lacking.any():
        entry = int(np.flatnonzero(lacking)[0])
        text = distinct[int(np.searchsorted(starts, entry, side="right")) - 1]
        raise DataError(f"{row_name(text)}: {_what_lacks(text, int(numbers[entry]), missing)}")
    weights = np.array(amounts, dtype=np.float64)
    table = np.empty((len(distinct), len(LABELS)))
    for size in set(counts):
        of_size = np.flatnonzero(np.diff(starts) == size)
        for first in range(0, len(of_size), _AT_ONCE):
            block = of_size[first : first + _AT_ONCE]
            entries = starts[block, None] + np.arange(size)
            possible = _possible(numbers[entries], weights[entries])
            if np.isnan(possible).any():
                text = distinct[int(block[np.isnan(possible)][0])]
                raise DataError(
                    f"{row_name(text)}: {size} elements have more oxidation states than can be tried"
                )
            table[block] = _attributes(numbers[entries], weights[entries], possible)
    if len(distinct) == len(formulas):
        return table
    row_of = {text: row for row, text in enumerate(distinct)}
    return table[np.array([row_of[text] for text in formulas], dtype=np.int64)]


def _lacking(missing: str) -> NDArray[np.bool_]:
    """(118,): whether an element is refused."""
    known = elements()
    unknown = np.isnan(np.column_stack([known.properties, known.electronegativity]))
    return np.asarray(unknown.all(axis=1) if missing == "mean" else unknown.any(axis=1))


def _what_lacks(text: str, number: int, missing: str) -> str:
    known, symbol = elements(), ALL_ELEMENTS[number]
    unknown = np.isnan(known.properties[number])
    if unknown.all():
        return f"{text!r} holds {symbol}, of which the table of elemental properties knows nothing"
    lacks = [name for name, there in zip(PROPERTIES, ~unknown, strict=True) if not there]
    lacks += ["X"] if np.isnan(known.electronegativity[number]) else []
    return (
        f"{text!r} holds {symbol}, whose {', '.join(lacks)} {'is' if len(lacks) == 1 else 'are'} not in the "
        f"table of elemental properties; missing={missing!r} accepts none, missing='mean' takes the mean"
    )


def _attributes(numbers: Int, amounts: Float, possible: Float) -> Float:
    """(n, 145) of n formulas of k elements; ``numbers`` and ``amounts`` are (n, k)."""
    known = elements()
    values = known.filled[numbers]  # (n, k, 22)
    shares = amounts / amounts.sum(axis=1, keepdims=True)
    least, most = values.min(axis=1), values.max(axis=1)
    mean = np.einsum("nk,nkp->np", shares, values)
    apart = np.einsum("nk,nkp->np", shares, np.abs(values - mean[:, None]))
    largest = amounts.max(axis=1, keepdims=True)
    frequent = largest - amounts <= 1e-8 + 1e-5 * largest
    mode = np.where(frequent[:, :, None], values, np.inf).min(axis=1)
    statistics = np.stack([least, most, most - least, mean, apart, mode], axis=2)
    norms = [np.full(len(numbers), numbers.shape[1], dtype=np.float64)]
    norms += [(shares**norm).sum(axis=1) ** (1.0 / norm) for norm in NORMS[1:]]
    pairs = known.ionic[numbers[:, :, None], numbers[:, None, :]]
    return np.concatenate(
        [
            statistics.reshape(len(numbers), -1),
            np.stack(norms, axis=1),
            mean[:, _SHELLS] / mean[:, [_VALENCE]],
            possible[:, None],
            pairs.max(axis=(1, 2))[:, None],
            0.5 * np.einsum("ni,nij,nj->n", shares, pairs, shares)[:, None],
        ],
        axis=1,
    )


def _possible(numbers: Int, amounts: Float) -> Float:
    """(n,): whether one oxidation state per element makes formulas of k elements neutral; NaN: too many."""
    rows, size = numbers.shape
    if size == 1:
        return np.ones(rows)
    known = elements()
    order = np.argsort(-known.n_states[numbers], axis=1, kind="stable")
    numbers, amounts = np.take_along_axis(numbers, order, 1), np.take_along_axis(amounts, order, 1)
    n_states = known.n_states[numbers]
    charges = known.states[numbers] * amounts[:, :, None]  # (n, k, 9)
    # a neutral sum lies between the least and the largest; an element without states makes NaN of them
    lowest = np.fmin.reduce(charges, axis=2).sum(axis=1)
    highest = np.fmax.reduce(charges, axis=2).sum(axis=1)
    undecided = np.flatnonzero((lowest <= _NEUTRAL) & (highest >= -_NEUTRAL))
    found = np.zeros(rows)
    if size > _SMALL:
        for row in undecided:
            found[row] = _neutral_in_halves([charges[row, k, :n] for k, n in enumerate(n_states[row])])
        return found
    shapes, shape_of = np.unique(n_states[undecided], axis=0, return_inverse=True)
    for number, shape in enumerate(shapes):
        alike = undecided[shape_of.ravel() == number]
        step = max(1, _MOST_SUMS // int(np.prod(shape)))
        for first in range(0, len(alike), step):
            block = alike[first : first + step]
            sums = charges[block, 0, : shape[0]]
            for k in range(1, size):
                sums = (sums[:, :, None] + charges[block, k, None, : shape[k]]).reshape(len(block), -1)
            found[block] = (np.abs(sums) <= _NEUTRAL).any(axis=1)
    return found


def _neutral_in_halves(charges: list[Float]) -> float:
    """Whether one charge of each element adds up to none; NaN if there are too many sums.

    Sums of one half of the elements are looked up among those of the other.
    """
    fixed = sum(float(charge[0]) for charge in charges if len(charge) == 1)
    several = [charge for charge in charges if len(charge) > 1]
    halves = []
    for sums, part in ((np.array([fixed]), several[::2]), (np.zeros(1), several[1::2])):
        for charge in part:
            if len(sums) * len(charge) > _MOST_SUMS:
                return np.nan
            sums = np.unique(sums[:, None] + charge)
        halves.append(sums)
    one, other = halves
    place = np.searchsorted(other, -one - _NEUTRAL)
    inside = place < len(other)
    return float((other[place[inside]] <= _NEUTRAL - one[inside]).any())
