"""Strain maps as networks see them: grey pictures of several sizes, cut into crops at load time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from vitrine.errors import DataError
from vitrine.map_stack import CropPlan, MapStack
from vitrine.parts import Part
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples
    from vitrine.strain_maps import StrainMap

MOST_SIDE = 2048


class StrainCrops(Part):
    """Maps of strain along the load in one fixed grey scale, and how 24 crops are cut from each.

    Kept are the maps at their own resolution in half precision (0.05 % of each strain); the crops are cut
    while a network trains, see :class:`vitrine.map_stack.CropPlan`. Missing pixels take the mean of the map.
    """

    kind: Literal["strain-crops"] = "strain-crops"
    component: Literal["axial", "equivalent", "across", "shear"] = Field(
        "axial",
        description="strain along the load, von Mises equivalent strain, strain across it, or shear strain",
    )
    sides: tuple[int, ...] = Field(
        (256, 288, 320, 352), min_length=1, description="pixels across the load of the resized pictures"
    )
    crop: int = Field(224, ge=8, le=MOST_SIDE, description="pixels along the edge of a crop")
    low: float = Field(-0.02, ge=-10, le=10, description="strain (fraction) that is black")
    high: float = Field(0.06, ge=-10, le=10, description="strain (fraction) that is white")
    levels: int = Field(256, ge=0, le=65536, description="grey values, as in a picture file; 0 keeps numbers")
    blur: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="nm, edge of the subset over which a camera averages (digital image correlation)",
    )
    drop_empty: float = Field(
        0.0,
        ge=0,
        le=1,
        description="strain (fraction): crops that nowhere differ from their mean by so much show no "
        "dislocation line and are left out, unless no crop of the map shows one; 0 keeps all",
    )

    takes: ClassVar[str] = "maps"
    makes: ClassVar[str] = "maps"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "strain maps in one grey scale, cut into crops of several sizes at load time"

    @model_validator(mode="after")
    def _possible(self) -> StrainCrops:
        if not self.low < self.high:
            raise ValueError(f"low: {self.low:g} must be below high, {self.high:g}")
        for side in self.sides:
            if not self.crop <= side <= MOST_SIDE:
                raise ValueError(
                    f"sides: {side} must be at least the crop, {self.crop}, and at most {MOST_SIDE}"
                )
        return self

    def citations(self) -> tuple[str, ...]:
        """The study."""
        return ("10.1038/s41598-020-65157-z",)

    def feature_labels(self) -> tuple[str, ...]:
        """None: all is in the maps."""
        return ()

    def plan(self) -> CropPlan:
        """How maps are cut."""
        return CropPlan(self.sides, self.crop, self.low, self.high, self.levels, self.drop_empty)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One map per sample.

        Raises
        ------
        DataError: a map without a single pixel of the component.
        """
        maps = [self.seen(item, name) for item, name in zip(samples.items, samples.ids, strict=True)]
        return whole_examples(self.makes, samples, None, (), maps=MapStack.of(maps, self.plan()))

    def seen(self, item: StrainMap, name: str) -> NDArray[np.float16]:
        """(rows, columns) float16 strain of a map, blurred and without holes.

        Raises
        ------
        DataError: all pixels are missing.
        """
        values = _component(item, self.component)
        if self.blur > 0:
            values = blurred(values, self.blur / item.pitch)
        missing = ~np.isfinite(values)
        if missing.all():
            raise DataError(f"{name}: the map holds no strain ({self.component}) at any pixel")
        if missing.any():
            values = np.where(missing, values[~missing].mean(dtype=np.float64), values)
        return np.clip(values, -1e4, 1e4).astype(np.float16)


def _component(item: StrainMap, component: str) -> NDArray[np.float32]:
    if component == "axial":
        return item.axial
    if component == "equivalent":
        return item.equivalent
    strain = item.strain
    return np.asarray(strain[2] if component == "shear" else strain[0 if item.axis == "y" else 1])


def blurred(values: NDArray[np.float32], edge: float) -> NDArray[np.float32]:
    """(rows, columns) mean over a square of ``edge`` pixels around each pixel, of what is there of it.

    Squares reach no further than the map: a camera sees no strain beyond the specimen. An edge between two
    odd numbers of pixels takes the outer pixels in part.
    """
    from scipy.ndimage import correlate1d

    half = max(edge - 1, 0.0) / 2
    whole = int(np.floor(half))
    weights = np.ones(2 * whole + 3)
    weights[0] = weights[-1] = half - whole
    known = np.isfinite(values).astype(np.float64)
    filled = np.where(known > 0, values, 0).astype(np.float64)
    for axis in (0, 1):
        filled = correlate1d(filled, weights, axis=axis, mode="constant")
        known = correlate1d(known, weights, axis=axis, mode="constant")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known > 0, filled / known, np.nan).astype(np.float32)
