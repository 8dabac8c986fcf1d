"""Columns of the user's own table as features: process temperatures, measured densities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part
from vitrine.represent.whole import distinct, whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples


class TableColumns(Part):
    """Numeric columns of the table, one feature each, as they are and in the unit that they have there.

    Every cell must hold a finite number (True and False are 1 and 0): nothing is filled in. The column that
    is learned is no feature, under its own name or as a copy.
    """

    summary: ClassVar[str] = "numeric columns of the user's table as features"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[str] = "vectors"

    kind: Literal["table-columns"] = "table-columns"
    columns: tuple[str, ...] = Field(
        min_length=1, description="names of columns of the table, one feature each"
    )

    _distinct = field_validator("columns")(distinct)

    def feature_labels(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.columns

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per formula; nothing is computed.

        Raises
        ------
        DataError: no such column; it is the target, or equals it in every row; a cell that is empty, text or
            no finite number of single precision, named by row and column. There are no rows.
        """
        items = samples.items
        targets = {"target", str(samples.about.get("target", "target")), *samples.about.get("targets", ())}
        known = [str(name) for name in items.columns if name not in ("formula", *targets)]
        for name in self.columns:
            if name in targets:
                raise DataError(
                    f"representation.columns: {name!r} is the target, which is learned; as a feature it "
                    "would tell the answer"
                )
            if name not in items.columns:
                near = did_you_mean(name, known) or "; it has no columns but formula and target"
                raise DataError(f"representation.columns: the table has no column {name!r}{near}")
        values = np.stack([self._column(samples, name) for name in self.columns], axis=1)
        return replace(whole_examples(self.makes, samples, list(values), self.columns), target_kind="value")

    def _column(self, samples: Samples, name: str) -> NDArray[np.float64]:
        """(n,) numbers of a column."""
        items = samples.items
        values = _numbers(items[name])
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            cell = _words(items[name].iloc[int(bad[0])])
            raise DataError(
                f"{samples.ids[bad[0]]}: {name} {cell} ({len(bad):,} such rows); every row needs a number "
                "here: correct the table or leave these rows out of it"
            )
        if len(values) > 1 and "target" in items and np.array_equal(values, _numbers(items["target"])):
            raise DataError(
                f"representation.columns: {name!r} equals the target in every row; as a feature it would "
                "tell the answer"
            )
        return values


def _numbers(column: Any) -> NDArray[np.float64]:
    """(n,): NaN where a cell is no number; dates, lists and complex numbers are none."""
    import pandas as pd

    if column.dtype == object or pd.api.types.is_string_dtype(column):
        column = column.where(column.map(lambda cell: isinstance(cell, (str, int, float, np.number))))
    elif not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        return np.full(len(column), np.nan)
    found: NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return found


def _words(cell: Any) -> str:
    import pandas as pd

    missing = pd.isna(cell) if pd.api.types.is_scalar(cell) else False
    if missing or not str(cell).strip():
        return "is empty"
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return f"is {text if len(text) <= 60 else text[:57] + '...'}, not a finite number"
