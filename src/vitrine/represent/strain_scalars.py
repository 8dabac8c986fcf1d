"""What the strains of a map tell without their places: mean, standard deviation and histogram."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Float, Samples

Component = Literal["axial", "equivalent"]


class StrainScalars(Part):
    """Mean and standard deviation of the strain along the load, and how many pixels strain how much.

    A control: what needs no structure at all. Bins are fixed, not fitted to a set: equal in the logarithm of
    the strain for either sign, with one bin between for strains below the smallest. All are of the map's own
    pixels, since resizing would narrow the histogram.
    """

    kind: Literal["strain-scalars"] = "strain-scalars"
    smallest: float = Field(
        1e-5, gt=0, le=10, description="strain (fraction), of either sign, at which bins begin"
    )
    largest: float = Field(
        1.0,
        gt=0,
        le=10,
        description="strain (fraction) at which bins end; the last also count what is beyond",
    )
    bins: int = Field(20, ge=1, le=1000, description="bins from smallest to largest, for either sign")

    takes: ClassVar[str] = "maps"
    makes: ClassVar[str] = "vectors"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "mean, standard deviation and histogram of the strain in a map (control)"

    @model_validator(mode="after")
    def _possible(self) -> StrainScalars:
        if not self.smallest < self.largest:
            raise ValueError(f"smallest: {self.smallest:g} must be below largest, {self.largest:g}")
        return self

    def edges(self) -> Float:
        """(2 bins + 2,) float64 edges of the 2 bins + 1 bins, as fractions; a bin holds its lower edge."""
        positive = np.geomspace(self.smallest, self.largest, self.bins + 1)
        return np.concatenate([-positive[::-1], positive])

    def feature_labels(self) -> tuple[str, ...]:
        """Mean, standard deviation and the edges of each bin."""
        edges = self.edges()
        shares = (f"share from {a:.8g} to {b:.8g}" for a, b in pairwise(edges))
        return ("mean strain", "standard deviation of strain", *shares)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; nothing is worth storing.

        Raises
        ------
        DataError: a map without a single pixel.
        """
        inner = self.edges()[1:-1]
        rows = []
        for _, values in pixels_of(samples, "axial"):
            strain = values[np.isfinite(values)].astype(np.float64)
            counts = np.bincount(np.searchsorted(inner, strain, side="right"), minlength=len(inner) + 1)
            rows.append(np.concatenate([[strain.mean(), strain.std()], counts / len(strain)]))
        return whole_examples(self.makes, samples, rows, self.feature_labels())


def pixels_of(samples: Samples, component: Component) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and (rows, columns) strain of one map after the other; pixels that are not finite are missing.

    Items may read their pixels from a file when asked: each is asked once and not kept.

    Raises
    ------
    DataError: all pixels of a map are missing.
    """
    for name, item in zip(samples.ids, samples.items, strict=True):
        values = item.axial if component == "axial" else item.equivalent
        if not np.isfinite(values).any():
            raise DataError(f"{name}: the map holds no strain ({component}) at any pixel")
        yield name, values
