"""Chemical formulas: parsed, reduced to a grouping key, and turned into elemental fractions.

Plain formulas (``Fe2O3``, ``Ag0.5Ge1``) are read by one strict regular expression; brackets,
hydrates, spaces and subscripts are read by pymatgen (doi:10.1016/j.commatsci.2012.10.028) after a
check, because pymatgen alone lets through what is no formula: ``X2`` and ``Ee2O`` become dummy
species, ``D2O`` becomes H2O, ``Fe0`` becomes nothing and ``CuSO4.5H2O`` gets 4.5 + 1 oxygen atoms.

Dots. ``·``, ``•``, ``*``, a dot with a space beside it and a dot with no digit after it separate
the parts of an adduct, each with an optional leading number (``CuSO4·5H2O``, ``3Al2O3·2SiO2``).
A dot directly before a digit is a decimal point (``La1.85Sr0.15CuO4``). Only where such a number
ends in water or ammonia are both readings usual, so ``CuSO4.5H2O`` is refused rather than guessed;
``Na0.3H2O`` is not, for nobody writes ``Na0`` in front of a hydrate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError, MissingExtra

_BY_NUMBER = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm
    Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No
    Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
_BY_ELECTRONEGATIVITY = """
    Fr Cs K Rb Ba Ra Na Sr Li Ca Ac La Tb Yb Ce Pm Pr Nd Sm Eu Gd Dy Y Ho Er Tm Lu Pu Am Bk Cf Cm Es
    Fm Hf Lr Md No Th Mg Zr Np Sc U Pa Ta Ti Mn Be Nb Al Tl V Zn Cr Cd In Ga Fe Co Cu Re Si Tc Ni Ag
    Sn Hg Po Ge Bi B Sb Te Mo As P At H Ir Os Pd Rn Ru Pt Rh Pb W Au C Se S Xe I Br Kr N Cl O F Ar Bh
    Cn Db Ds Fl He Hs Lv Mc Mt Ne Nh Og Rf Rg Sg Ts
"""

ALL_ELEMENTS: tuple[str, ...] = tuple(_BY_NUMBER.split())
"""The 118 elements by atomic number."""

ELEMENTNET_86: tuple[str, ...] = tuple(
    symbol for symbol in ALL_ELEMENTS[:94] if symbol not in ("He", "Ne", "Ar", "Po", "At", "Rn", "Fr", "Ra")
)
"""ElemNet's list: H to Pu with Kr and Xe, without He, Ne, Ar, Po, At, Rn, Fr and Ra
(doi:10.1038/s41598-018-35934-y)."""

_ORDER = {symbol: rank for rank, symbol in enumerate(_BY_ELECTRONEGATIVITY.split())}
"""Order of writing: Pauling electronegativity, then symbol; fixed here so that keys never change."""

LONGEST = 1000
"""Longest formula, characters; the largest of the Cambridge database is a few hundred."""
LARGEST_AMOUNT = 1.0e9
"""Largest amount of an element; more is a slip of the pen."""
SMALLEST_AMOUNT = 1.0e-8
"""Amounts below this are nothing (pymatgen's own tolerance)."""
SAME_RATIO = 2.0e-6
"""Ratios of amounts that agree this closely are one composition: 0.333333 to 0.666667 is 1 to 2."""
ROUNDING = 1.0e-9
"""Ratios that agree this closely differ by rounding alone."""
LARGEST_DENOMINATOR = 10_000
"""Ratios are written with integers up to this multiple of the rarest element: percentages with two
decimals still are."""

_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e-?[0-9]+)?"
_PLAIN = re.compile(r"(?:[A-Z][a-z]?(?:[0-9]+(?:\.[0-9]+)?)?)+")
_PLAIN_TERM = re.compile(r"([A-Z][a-z]?)([0-9.]*)")
_TOKEN = re.compile(rf"([A-Z][a-z]*)\s*({_NUMBER})?|(\()|\)\s*(?:{_NUMBER})?|\s+")
_LEADING = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)(?![0-9.])")
_SPACED_DOT = re.compile(r"\s+\.\s*|\s*\.\s+|\.(?![0-9])")
_TWO_READINGS = re.compile(r"(?<![0-9.])(?!0+\.)[0-9]*\.[0-9]+\(?(?:H2O|D2O|NH3)\)?$|[0-9]\.[0-9]+\.[0-9]")
_DATE = re.compile(r"[0-9]{1,2}-[A-Z][a-z]{2}|[A-Z][a-z]{2}-[0-9]{1,4}")
_TYPOGRAPHY = str.maketrans("₀₁₂₃₄₅₆₇₈₉[]{}•⋅∙∗*・", "0123456789()()······")


def parse_formula(text: str) -> dict[str, float]:
    """Amounts by element, in the order in which the elements appear.

    >>> parse_formula("Ag0.5Ge1")
    {'Ag': 0.5, 'Ge': 1.0}

    Raises
    ------
    DataError: not a formula; the message says what is wrong with it.
    MissingExtra: the formula has brackets, dots or spaces and pymatgen is not installed.
    """
    if not isinstance(text, str):
        raise DataError(f"{text!r} is not a formula: it is not text")
    return dict(_parse(text))


@lru_cache(maxsize=1 << 16)
def _parse(text: str) -> tuple[tuple[str, float], ...]:
    if len(text) > LONGEST:
        raise DataError(
            f"{_short(text)} is not a formula: it has {len(text):,} characters, at most {LONGEST:,}"
        )
    amounts = _parse_plain(text) if _PLAIN.fullmatch(text) else _parse_adduct(text)
    amounts = {symbol: amount for symbol, amount in amounts.items() if amount >= SMALLEST_AMOUNT}
    if not amounts:
        raise DataError(f"{_short(text)} is not a formula: all its amounts are zero")
    if not all(amount <= LARGEST_AMOUNT for amount in amounts.values()):
        raise DataError(f"{_short(text)} is not a formula: an amount is larger than {LARGEST_AMOUNT:.0e}")
    return tuple(amounts.items())


def _parse_plain(text: str) -> dict[str, float]:
    _check_dots(text, text)
    amounts: dict[str, float] = {}
    for symbol, number in _PLAIN_TERM.findall(text):
        if symbol not in _ORDER:
            raise DataError(f"{_short(text)} is not a formula: {_not_an_element(symbol)}")
        amounts[symbol] = amounts.get(symbol, 0.0) + (float(number) if number else 1.0)
    return amounts


def _parse_adduct(text: str) -> dict[str, float]:
    """Split at the dots of an adduct, check each part, let pymatgen read it, and add up."""
    tidy = _SPACED_DOT.sub("·", text.translate(_TYPOGRAPHY).strip())
    if not tidy:
        raise DataError("the formula is empty")
    if re.fullmatch(r"[-+]?[0-9.,]+(?:e[-+]?[0-9]+)?", tidy):
        raise DataError(f"{_short(text)} is not a formula: it is a number")
    if _DATE.fullmatch(tidy):
        raise DataError(f"{_short(text)} is not a formula: it is a date; spreadsheets turn FeB2 into 2-Feb")
    parts = tidy.split("·")
    amounts: dict[str, float] = {}
    for part in parts:
        factor = 1.0
        leading = _LEADING.match(part)
        if leading and len(parts) > 1:
            factor, part = float(leading[1]), part[leading.end() :]
        if not part.strip():
            raise DataError(f"{_short(text)} is not a formula: a dot has nothing on one side")
        _check_dots(text, part)
        _check_part(text, part)
        for symbol, amount in _by_pymatgen(text, part).items():
            amounts[symbol] = amounts.get(symbol, 0.0) + factor * amount
    return amounts


def _check_dots(text: str, part: str) -> None:
    if "." in part and _TWO_READINGS.search(part):
        raise DataError(
            f"{_short(text)} can be read in two ways: '.' is a decimal point or the dot of a hydrate; write "
            "a hydrate as CuSO4·5H2O, CuSO4*5H2O or CuSO4(H2O)5, and a decimal amount behind the water"
        )


def _check_part(text: str, part: str) -> None:
    """Raise unless ``part`` is made of elements, amounts and matching brackets alone."""

    def refuse(reason: str) -> DataError:
        return DataError(f"{_short(text)} is not a formula: {reason}")

    position, depth, after_open = 0, 0, False
    while position < len(part):
        match = _TOKEN.match(part, position)
        if match is None:
            raise refuse(_unexpected(part, position))
        symbol, _, opened = match.groups()
        if symbol and symbol not in _ORDER:
            raise refuse(_not_an_element(symbol))
        if opened:
            depth += 1
        elif part[position] == ")":
            depth -= 1
            if depth < 0:
                raise refuse("a bracket is closed that was not opened")
            if after_open:
                raise refuse("a pair of brackets is empty")
        if not match[0].isspace():
            after_open = bool(opened)
        position = match.end()
    if depth:
        raise refuse("a bracket is not closed")


def _unexpected(part: str, position: int) -> str:
    character = part[position]
    if character in "+-−⁺⁻":
        return f"unexpected {character!r}; charges, negative amounts and unknown amounts (7-x) cannot be read"
    if "a" <= character <= "z":
        return f"unexpected {character!r}; the symbol of an element starts with a capital letter"
    if character in "0123456789.":
        return f"the number at {_short(part[position:])} belongs to no element"
    return f"unexpected character {character!r}"


def _not_an_element(symbol: str) -> str:
    if symbol in ("D", "T"):
        return f"{symbol!r} is an isotope, not an element; write H"
    return f"{symbol!r} is not an element"


def _by_pymatgen(text: str, part: str) -> dict[str, float]:
    try:
        from pymatgen.core.composition import Composition
    except ImportError as error:
        raise MissingExtra("pymatgen", "composition") from error
    try:
        return {element.symbol: float(amount) for element, amount in Composition(part).items()}
    except (ValueError, OverflowError) as error:
        raise DataError(f"{_short(text)} is not a formula: {error}") from error


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def reduced_formula(amounts: Mapping[str, float]) -> str:
    """Canonical formula of a composition: equal for equal ratios, whatever the order and scale.

    Elements are written by rising electronegativity, without brackets, with the smallest integers
    that hold the ratios within :data:`SAME_RATIO`; a composition without such integers up to
    :data:`LARGEST_DENOMINATOR` is written with fractions of six decimals.

    >>> reduced_formula({"O": 6, "Fe": 4})
    'Fe2O3'
    >>> reduced_formula({"Ag": 0.5, "Ge": 0.5})
    'AgGe'

    Raises
    ------
    DataError: no element, an unknown one, or an amount that is not positive and finite.
    """
    symbols = sorted(amounts, key=lambda symbol: _ORDER.get(symbol, -1))
    if not symbols or symbols[0] not in _ORDER:
        reason = _not_an_element(symbols[0]) if symbols else "it is empty"
        raise DataError(f"{dict(amounts)} is not a composition: {reason}")
    values = [float(amounts[symbol]) for symbol in symbols]
    if not all(0 < value < math.inf for value in values):
        raise DataError(f"{dict(amounts)} is not a composition: amounts must be positive and finite")
    if all(value.is_integer() for value in values):
        integers = [int(value) for value in values]
    else:
        integers = _small_integers(values)
    if not integers:
        total = math.fsum(values)
        return "".join(f"{symbol}{value / total:.6f}" for symbol, value in zip(symbols, values, strict=True))
    divisor = math.gcd(*integers)
    counts = [count // divisor for count in integers]
    return "".join(symbol + (str(n) if n > 1 else "") for symbol, n in zip(symbols, counts, strict=True))


_MULTIPLES = np.arange(1, LARGEST_DENOMINATOR + 1, dtype=np.float64)


def _small_integers(values: Sequence[float]) -> list[int]:
    """Smallest integers in the ratio of ``values``, exact ones first, or none."""
    ratios = np.array(values) / min(values)
    for tolerance in (ROUNDING, SAME_RATIO):
        for block in np.split(_MULTIPLES, [100, 1000]):
            candidates = ratios[:, None] * block
            error = np.abs(candidates - np.rint(candidates))
            hits = np.flatnonzero((error <= tolerance * candidates).all(axis=0))
            if len(hits):
                return [int(count) for count in np.rint(candidates[:, hits[0]])]
    return []


def fractions(
    formulas: Sequence[str], elements: Sequence[str], names: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Elemental fractions, ``(n_formulas, n_elements) float64``; each row sums to one.

    Parameters
    ----------
    formulas: n formulas; each distinct one is parsed once.
    elements: symbols, one per column.
    names: what an error calls the rows (``<table>:<row>``); their numbers from 1 if None.

    Raises
    ------
    DataError: not a formula, or one with an element outside ``elements``; the row is named.
    """
    column = {symbol: index for index, symbol in enumerate(elements)}
    row_of: dict[str, int] = {}
    rows: list[NDArray[np.float64]] = []
    where = np.empty(len(formulas), dtype=np.int64)
    for number, text in enumerate(formulas):
        row = row_of.get(text)
        if row is None:
            try:
                rows.append(_fraction_row(text, column))
            except DataError as error:
                raise DataError(f"{names[number] if names else f'row {number + 1}'}: {error}") from error
            row = row_of[text] = len(rows) - 1
        where[number] = row
    matrix: NDArray[np.float64] = np.array(rows).reshape(len(rows), len(column))
    return matrix[where]


def _fraction_row(text: str, column: Mapping[str, int]) -> NDArray[np.float64]:
    amounts = parse_formula(text)
    outside = [symbol for symbol in amounts if symbol not in column]
    if outside:
        raise DataError(
            f"{_short(text)} holds {', '.join(outside)}, not among the {len(column)} elements of the list"
        )
    row = np.zeros(len(column))
    row[[column[symbol] for symbol in amounts]] = list(amounts.values())
    row /= row.sum()
    return row
