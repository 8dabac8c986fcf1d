"""Which samples hold an element, one of a family of elements, or a prototype."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import StudyError, did_you_mean
from vitrine.samples import Samples

PROTOTYPE = "prototype:"
COLUMN = "group-"

_NOBLE = (2, 10, 18, 36, 54, 86, 118)
_LANTHANIDES = "La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu"
_ACTINIDES = "Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr"


def _set(symbols: str) -> frozenset[str]:
    return frozenset(symbols.split())


FAMILIES: Mapping[str, frozenset[str]] = {
    "alkali-metals": _set("Li Na K Rb Cs Fr"),
    "alkaline-earths": _set("Be Mg Ca Sr Ba Ra"),
    "transition-metals": _set(
        "Sc Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo Tc Ru Rh Pd Ag Cd Hf Ta W Re Os Ir Pt Au Hg"
    ),
    "lanthanides": _set(_LANTHANIDES),
    "actinides": _set(_ACTINIDES),
    "pnictogens": _set("N P As Sb Bi"),
    "chalcogens": _set("O S Se Te Po"),
    "halogens": _set("F Cl Br I At"),
    "noble-gases": _set("He Ne Ar Kr Xe Rn"),
}
"""IUPAC's names of groups of elements; transition metals are groups 3 to 12 but the f block."""


def holds(samples: Samples, what: str) -> NDArray[np.bool_]:
    """(n_samples,) which samples hold an element, one of a family or column, or are of a prototype.

    Parameters
    ----------
    samples: a table of formulas. what: a symbol, a name of :data:`FAMILIES`, ``group-16`` or
        ``prototype:NAME``.

    Raises
    ------
    StudyError: no such element, family, column or prototype; the samples are no formulas.
    """
    if samples.kind != "formulas":
        raise StudyError(f"leave_out: needs samples with a formula, and these are {samples.kind}")
    if what.startswith(PROTOTYPE):
        return _of_prototype(samples, what.removeprefix(PROTOTYPE))
    wanted = elements_of(what)
    return np.array([bool(wanted & elements) for elements in elements_in(samples)], dtype=bool)


def elements_in(samples: Samples) -> list[frozenset[str]]:
    """The elements of each sample's formula."""
    from vitrine.physics.formulas import parse_formula

    known: dict[str, frozenset[str]] = {}
    for formula in samples.items["formula"]:
        if formula not in known:
            known[formula] = frozenset(parse_formula(formula))
    return [known[formula] for formula in samples.items["formula"]]


def elements_of(what: str) -> frozenset[str]:
    """Symbols that a name stands for.

    >>> sorted(elements_of("group-17"))
    ['At', 'Br', 'Cl', 'F', 'I', 'Ts']

    Raises
    ------
    StudyError: no element, family or column of that name.
    """
    from vitrine.physics.formulas import ALL_ELEMENTS

    if what in ALL_ELEMENTS:
        return frozenset({what})
    if what in FAMILIES:
        return FAMILIES[what]
    if what.startswith(COLUMN):
        column = what.removeprefix(COLUMN)
        if column.isdecimal() and 1 <= int(column) <= 18:
            return _column(int(column))
        raise StudyError(
            f"leave_out: the columns of the periodic table are group-1 to group-18, not {what!r}"
        )
    known = [*FAMILIES, *ALL_ELEMENTS]
    raise StudyError(
        f"leave_out: {what!r} is no element and no family{did_you_mean(what, known)}; families: "
        f"{', '.join(FAMILIES)}, group-1 to group-18; or prototype:NAME"
    )


def _column(number: int) -> frozenset[str]:
    from ase.data import chemical_symbols

    symbols = enumerate(chemical_symbols[1:], start=1)
    return frozenset(symbol for z, symbol in symbols if column_of(z) == number)


def column_of(z: int) -> int | None:
    """Column 1 to 18 of the element with this atomic number; None in the f block (Lu and Lr are in 3)."""
    if z == 2:
        return 18
    before = max((n for n in (0, *_NOBLE) if n < z), default=0)
    length, place = next(n for n in _NOBLE if n >= z) - before, z - before
    if place <= 2:
        return place
    if length == 32:
        return place - 14 if place >= 17 else None
    return place + 18 - length


def _of_prototype(samples: Samples, name: str) -> NDArray[np.bool_]:
    from vitrine.represent.space_group import prototype_of

    found = prototype_of(samples)
    if name not in found:
        raise StudyError(
            f"leave_out: no sample has the prototype {name!r}{did_you_mean(name, sorted(set(found)))}"
        )
    return np.array([prototype == name for prototype in found], dtype=bool)
