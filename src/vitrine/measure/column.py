"""The label of a table: one of its numeric columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part
from vitrine.samples import Samples

if TYPE_CHECKING:
    import pandas as pd


def target_cells(samples: Samples, column: str | None) -> tuple[str, pd.Series]:
    """Name of a target in the user's table, and its cells; the main target if ``column`` is None.

    Raises
    ------
    DataError: no target at all (a table read for prediction), or none of this name.
    """
    items = samples.items
    if "target" not in items:
        raise DataError("these formulas have no target column: they can be predicted, not learned from")
    main = str(samples.about.get("target", "target"))
    if column is None or column == main:
        return main, items["target"]
    known = [str(name) for name in samples.about.get("targets", (main,))]
    if column not in known:
        raise DataError(
            f"label.column: {column!r} is not among the targets of the table{did_you_mean(column, known)}; "
            "source.target may name several columns"
        )
    return column, items[f"{column} (table)" if column in ("target", "formula") else column]


class Column(Part):
    """A target column of a table, as it is or as its decimal logarithm."""

    summary: ClassVar[str] = "the numeric target column of a table, or one of several"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[Literal["binary", "value"]] = "value"

    kind: Literal["column"] = "column"
    column: str | None = Field(None, description="which of several target columns; by default the first")
    unit: str | None = Field(
        None, description="unit of what is learned, for tables and axes (with log: of its log10)"
    )
    log: bool = Field(False, description="learn log10 of the column; all its values must be positive")

    def leaves_out(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for the samples whose cell in this column is empty.

        Raises
        ------
        DataError: no such target, or one of words.
        """
        name, values = self._values(samples)
        return {samples.ids[row]: f"{name} is missing" for row in np.flatnonzero(np.isnan(values))}

    def targets(self, samples: Samples) -> list[NDArray[np.float32]]:
        """One array ``(1,) float32`` per sample.

        Raises
        ------
        DataError: there is no target (a table read for prediction) or none of this name, it is of words, a
            cell is empty, ``log`` meets a value that is not positive, a value is beyond single precision,
            or all samples have the same value.
        """
        name, values = self._values(samples)
        empty = np.flatnonzero(np.isnan(values))
        if len(empty):
            raise DataError(f"{samples.ids[empty[0]]}: {name} is missing ({len(empty):,} such rows)")
        if len(values) > 1 and (values == values[0]).all():
            raise DataError(
                f"there is nothing to learn: {name} is {values[0]:g} in all {len(values):,} rows; name "
                "another column with source.target"
            )
        if self.log:
            bad = np.flatnonzero(~(values > 0))
            if len(bad):
                raise DataError(
                    f"{samples.ids[bad[0]]}: {name} is {values[bad[0]]:g}, which has no logarithm "
                    f"({len(bad):,} such rows); set label.log=false or take these rows out"
                )
            values = np.log10(values)
        large = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))
        if len(large):
            raise DataError(
                f"{samples.ids[large[0]]}: {name} is {values[large[0]]:g}, too large for single precision "
                f"({len(large):,} such rows); give it in another unit or set label.log=true"
            )
        return [row.astype(np.float32) for row in values[:, None]]

    def severity(self, samples: Samples) -> list[NDArray[np.float32]] | None:
        """None: there is no quantity behind a value but the value itself."""
        return None

    def _values(self, samples: Samples) -> tuple[str, NDArray[np.float64]]:
        name, cells = target_cells(samples, self.column)
        if cells.dtype == object:
            words: list[Any] = list(dict.fromkeys(cells))
            some = ", ".join(repr(word) for word in words[:3])
            kind = "binary-column" if len(words) == 2 else "class-column"
            raise DataError(
                f"{name} holds words ({some}{', ...' if len(words) > 3 else ''}), not numbers; learn them as "
                f"classes with label.kind={kind}"
            )
        return name, np.asarray(cells, dtype=np.float64)
