"""The label of a table: one of its numeric columns."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.samples import Samples


class Column(Part):
    """The target column of a table, as it is or as its decimal logarithm."""

    summary: ClassVar[str] = "the numeric target column of a table"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[Literal["binary", "value"]] = "value"

    kind: Literal["column"] = "column"
    unit: str | None = Field(
        None, description="unit of what is learned, for tables and axes (with log: of its log10)"
    )
    log: bool = Field(False, description="learn log10 of the column; all its values must be positive")

    def targets(self, samples: Samples) -> list[NDArray[np.float32]]:
        """One array ``(1,) float32`` per sample.

        Raises
        ------
        DataError: there is no target (a table read for prediction), ``log`` meets a value that is
            not positive, or a value is beyond single precision.
        """
        if "target" not in samples.items:
            raise DataError("these formulas have no target column: they can be predicted, not learned from")
        values = np.asarray(samples.items["target"], dtype=np.float64)
        if self.log:
            bad = np.flatnonzero(~(values > 0))
            if len(bad):
                name = samples.about.get("target", "target")
                raise DataError(
                    f"{samples.ids[bad[0]]}: {name} is {values[bad[0]]:g}, which has no logarithm "
                    f"({len(bad):,} such rows); set label.log=false or take these rows out"
                )
            values = np.log10(values)
        large = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))
        if len(large):
            name = samples.about.get("target", "target")
            raise DataError(
                f"{samples.ids[large[0]]}: {name} is {values[large[0]]:g}, too large for single precision "
                f"({len(large):,} such rows); give it in another unit or set label.log=true"
            )
        return [row.astype(np.float32) for row in values[:, None]]

    def severity(self, samples: Samples) -> list[NDArray[np.float32]] | None:
        """None: there is no quantity behind a value but the value itself."""
        return None
