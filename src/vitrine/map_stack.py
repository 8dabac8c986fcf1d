"""Strain maps of many sizes as one array, and how they are cut into crops when a network asks for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SQUARES = 3
"""left, middle and right of a picture that is three times as long as wide"""
WAYS = 2
"""the middle of a square, and the whole square made smaller"""


@dataclass(frozen=True)
class CropPlan:
    """What becomes of a map: grey values, pictures of several sizes, squares, crops.

    A map is resized to pictures with each of ``sides`` pixels across the load and three times as many along
    it. From the lower, middle and upper square of each come the middle ``crop`` x ``crop`` pixels and the
    whole square resized to ``crop`` x ``crop`` (doi:10.1038/s41598-020-65157-z: sides 256, 288, 320, 352 and
    crops of 224, so 24 crops).

    Attributes
    ----------
    sides: pixels across of each picture. crop: pixels along the edge of a crop.
    low, high: strains that become black (grey value 0) and white (1); those beyond are cut off.
    levels: grey values; 256 is a picture file, 0 keeps the numbers.
    least: strain by which a crop's extremes must lie apart from its mean to count in training; 0 takes all.
    """

    sides: tuple[int, ...] = (256, 288, 320, 352)
    crop: int = 224
    low: float = -0.02
    high: float = 0.06
    levels: int = 256
    least: float = 0.0

    @property
    def views(self) -> int:
        """Crops of a map."""
        return len(self.sides) * SQUARES * WAYS

    def place(self, view: int) -> tuple[int, int, bool]:
        """Side [pixels], square (0 the lowest) and whether it is the middle of the square, not the whole."""
        size, rest = divmod(view, SQUARES * WAYS)
        square, way = divmod(rest, WAYS)
        return self.sides[size], square, way == 0

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read :meth:`text`.

        Raises
        ------
        ValueError, TypeError: it is none.
        """
        found = json.loads(text)
        return cls(**found | {"sides": tuple(int(side) for side in found["sides"])})

    @cached_property
    def greys(self) -> NDArray[np.float32]:
        """(65536,) float32 grey value from 0 to 1 of the strain whose float16 has these bits."""
        with np.errstate(invalid="ignore"):
            strain = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
        strain = np.clip(np.nan_to_num(strain), self.low, self.high)
        grey = (strain - self.low) / (self.high - self.low)
        if self.levels:
            grey = np.rint(grey * (self.levels - 1)) / (self.levels - 1)
        return grey.astype(np.float32)


@dataclass(frozen=True)
class MapStack:
    """Strain maps one after the other; a selection shares their pixels.

    Attributes
    ----------
    pixels: (n_pixels,) float16 strain, each map row by row from low y on.
    shapes: (n, 2) int64 rows (along the load) and columns of each map.
    begins: (n,) int64 where each map begins in ``pixels``.
    plan: how they are cut.
    """

    pixels: NDArray[np.float16]
    shapes: NDArray[np.int64]
    begins: NDArray[np.int64]
    plan: CropPlan

    @classmethod
    def of(cls, maps: Sequence[NDArray[np.float16]], plan: CropPlan) -> Self:
        """Of these maps, (rows, columns) each."""
        shapes = np.array([each.shape for each in maps], np.int64).reshape(-1, 2)
        pixels = np.concatenate([np.zeros(0, np.float16), *(each.ravel() for each in maps)])
        return cls(pixels.astype(np.float16, copy=False), shapes, _begins(shapes), plan)

    def __len__(self) -> int:
        return len(self.shapes)

    def image(self, number: int) -> NDArray[np.float16]:
        """(rows, columns) strain of a map."""
        rows, columns = (int(edge) for edge in self.shapes[number])
        begin = int(self.begins[number])
        return self.pixels[begin : begin + rows * columns].reshape(rows, columns)

    def select(self, samples: Sequence[int] | NDArray[np.int64]) -> MapStack:
        """These maps alone, in this order."""
        chosen = np.asarray(samples, np.int64)
        return replace(self, shapes=self.shapes[chosen], begins=self.begins[chosen])

    def packed(self) -> MapStack:
        """The same maps with no other pixels than theirs."""
        if len(self.pixels) == self.shapes.prod(axis=1).sum() and (np.diff(self.begins) > 0).all():
            return self
        return MapStack.of([self.image(number) for number in range(len(self))], self.plan)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays that :meth:`from_arrays` reads."""
        own = self.packed()
        return {"map_pixels": own.pixels, "map_shapes": own.shapes, "map_plan": np.array(own.plan.text())}

    @classmethod
    def from_arrays(cls, data: Mapping[str, NDArray[Any]]) -> Self:
        """Read :meth:`arrays`.

        Raises
        ------
        ValueError, KeyError, TypeError: they do not belong together.
        """
        pixels, shapes = data["map_pixels"], data["map_shapes"]
        if pixels.dtype != np.float16 or pixels.ndim != 1 or shapes.ndim != 2 or shapes.shape[1] != 2:
            raise ValueError("its maps are not float16 pixels with rows and columns")
        if shapes.dtype.kind not in "iu" or shapes.min(initial=1) < 1:
            raise ValueError("its maps have impossible shapes")
        if int(shapes.prod(axis=1).sum()) != len(pixels) or not np.isfinite(pixels).all():
            raise ValueError("its maps have other pixels than their shapes say")
        shapes = shapes.astype(np.int64)
        return cls(pixels, shapes, _begins(shapes), CropPlan.of(str(data["map_plan"])))

    def digest_parts(self) -> list[bytes]:
        """What determines the maps and their crops."""
        own = self.packed()
        return [
            own.plan.text().encode(),
            np.ascontiguousarray(own.shapes).tobytes(),
            np.ascontiguousarray(own.pixels).tobytes(),
        ]


def _begins(shapes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])[:-1].astype(np.int64)
