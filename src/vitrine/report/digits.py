"""Numbers as the report prints them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from statistics import median

from vitrine.study.result import Row

NONE = "—"
MINUS = "\u2212"
_THIN = "\u202f"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

FRACTIONS = frozenset(
    {"recall", "precision", "f1", "mcc", "roc_auc", "average_precision", "accuracy", "r2", "relative_mae"}
)
"""Metrics with four decimals whatever their values are."""


class Digits:
    """How many decimals each metric gets: one choice for all its rows, so that they compare.

    Fractions, and metrics whose typical (median) value lies between 0.01 and 1, get four decimals;
    any other metric as many as give its typical value four significant digits.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        sizes: dict[tuple[str, str | None], list[float]] = defaultdict(list)
        for row in rows:
            if row.value is not None and math.isfinite(row.value) and row.value != 0:
                sizes[row.metric, row.unit].append(abs(row.value))
        self._typical = {key: median(values) for key, values in sizes.items()}

    def decimals(self, metric: str, unit: str | None = None) -> int | None:
        """Decimals of a metric; None where only powers of ten are readable."""
        typical = self._typical.get((metric, unit), 1.0)
        if metric in FRACTIONS or 0.01 <= typical <= 1:
            return 4
        if not 1e-4 <= typical < 1e7:
            return None
        return max(0, 3 - math.floor(math.log10(typical)))

    def show(self, value: float | None, row: Row, signed: bool = False) -> str:
        """A value of the row's metric."""
        return show(value, self.decimals(row.metric, row.unit), signed)


def show(value: float | None, decimals: int | None, signed: bool = False) -> str:
    """One number: real minus sign, thin space between thousands, a dash for what is not there.

    >>> show(0.98765, 4), show(-0.25, 4, signed=True), show(12345.6, 0), show(None, 4)
    ('0.9877', '−0.2500', '12\u202f346', '—')
    >>> show(1.234e-7, None)
    '1.234 × 10⁻⁷'
    """
    if value is None or not math.isfinite(value):
        return NONE
    if decimals is None and value != 0:
        text = _power_of_ten(abs(value), 4)
    else:
        text = f"{abs(value):,.{decimals or 0}f}".replace(",", _THIN)
    if not any(digit in text for digit in "123456789"):
        return text
    return f"{MINUS if value < 0 else '+' if signed else ''}{text}"


def count(value: int | None) -> str:
    """A count with thin spaces between thousands."""
    return NONE if value is None else f"{value:,}".replace(",", _THIN)


def decimals_of(value: float | None) -> int:
    """Decimals that a number was given with, six significant digits at most.

    >>> decimals_of(0.016), decimals_of(12.0), decimals_of(0.1 + 0.2)
    (3, 0, 1)
    """
    if value is None or not math.isfinite(value):
        return 0
    exponent = Decimal(f"{value:.6g}").normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def as_given(value: float) -> str:
    """A number with the digits that it was given with: a published one, a threshold.

    >>> as_given(0.016), as_given(-3.0), as_given(2000), as_given(1e-9)
    ('0.016', '−3', '2\u202f000', '1 × 10⁻⁹')
    """
    decimals = decimals_of(value)
    if decimals <= 7:
        return show(value, decimals)
    return f"{MINUS if value < 0 else ''}{_power_of_ten(abs(value), 6, trim=True)}"


def _power_of_ten(value: float, figures: int, trim: bool = False) -> str:
    digits, power = f"{value:.{figures - 1}e}".split("e")
    if trim:
        digits = digits.rstrip("0").rstrip(".")
    return f"{digits} × 10{str(int(power)).translate(_RAISED)}"
