"""Two-point statistics of strain maps as features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.represent.strain_scalars import Component, pixels_of
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples


class TwoPoint(Part):
    """Mean product of the strains of two pixels, by the shift between them.

    Maps of all sizes are first resized to one grid (:func:`vitrine.physics.resample.area_resize`), whose
    shifts are then shares of a map's height and width, not nm. The half of the shifts that says everything
    is kept, see :func:`vitrine.physics.two_point.two_point_statistics`.
    """

    kind: Literal["two-point"] = "two-point"
    component: Component = Field("axial", description="strain along the load, or von Mises equivalent strain")
    rows: int = Field(288, ge=1, le=4096, description="pixels along the load that maps are resized to")
    columns: int = Field(96, ge=1, le=4096, description="pixels across the load that maps are resized to")
    cut: int = Field(24, ge=0, le=512, description="largest shift along and across, pixels of that grid")
    subtract_mean: bool = Field(
        True,
        description="first take away the mean over the map, which is the reload strain and no structure; "
        "else its square is added to every feature",
    )

    takes: ClassVar[str] = "maps"
    makes: ClassVar[str] = "vectors"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "two-point statistics of strain maps on one grid"

    @model_validator(mode="after")
    def _possible(self) -> TwoPoint:
        if self.cut >= min(self.rows, self.columns):
            raise ValueError(
                f"cut: {self.cut} must be below rows and columns, {self.rows} and {self.columns}"
            )
        return self

    def citations(self) -> tuple[str, ...]:
        """The study, and the statistics."""
        return ("10.1038/s41598-020-65157-z", "10.1016/j.pmatsci.2009.08.002")

    def feature_labels(self) -> tuple[str, ...]:
        """Shift along and across the load."""
        from vitrine.physics.two_point import independent_shifts

        return tuple(f"f at {i} rows, {j} columns" for i, j in independent_shifts(self.cut, self.cut))

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; nothing is worth storing: a map takes milliseconds.

        Raises
        ------
        DataError: a map without a single pixel, or with so many missing that none are some shift apart.
        """
        from vitrine.physics.resample import area_resize
        from vitrine.physics.two_point import independent, two_point_statistics

        labels = self.feature_labels()
        rows = []
        for name, values in pixels_of(samples, self.component):
            strain = area_resize(values, self.rows, self.columns)
            if self.subtract_mean:
                strain -= np.nanmean(strain)
            found = independent(two_point_statistics(strain, most_rows=self.cut, most_cols=self.cut))
            if np.isnan(found).any():
                first = labels[int(np.isnan(found).argmax())].removeprefix("f at ")
                raise DataError(
                    f"{name}: so many pixels are missing that no two are {first} apart; set "
                    "representation.cut lower"
                )
            with np.errstate(over="ignore"):
                rows.append(found.astype(np.float32))
        return whole_examples(self.makes, samples, rows, labels)
