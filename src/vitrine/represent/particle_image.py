"""A 2-D configuration as a picture: particles as discs, one class of pixel per species."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.represent.whole import SPECIES, distinct, whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.physics.plane import Plane
    from vitrine.samples import Examples, Samples

SAME_EDGE = 1e-5
"""Relative difference of the edges of boxes that are still alike; dumps are written with this many digits."""


class ParticleImage(Part):
    """Discs in an array, ``Examples.images`` (n_samples, pixels, pixels) uint8: 0 background, 1 A, 2 B.

    The whole box becomes the image, so all boxes must be alike: with equal particle numbers, square, of
    one size. Row 0 is at y = 0, column 0 at x = 0; moving the particles by a pixel rolls the image. In a
    periodic box a disc that crosses the border comes in at the other side; in a window it is cut. The
    default radius of 0.3 diameters leaves gaps between neighbours of a Lennard-Jones liquid, so that
    number and species of the particles can be read off the image; at 1/2, discs of A touch.
    """

    kind: Literal["particle-image"] = "particle-image"
    pixels: int = Field(250, ge=8, le=4096, description="pixels along an edge")
    radius: float = Field(0.3, gt=0, le=2, description="radius of a disc, fraction of its species' diameter")
    diameters: tuple[float, ...] = Field((1.0, 0.88), min_length=1, description="of each species [σ]")
    species: tuple[str, ...] = Field(("Ni", "P"), min_length=1, max_length=250, description=SPECIES)

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[str] = "images"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "2-D particles drawn as discs, one colour per species"

    _distinct = field_validator("species")(distinct)

    @model_validator(mode="after")
    def _one_diameter_each(self) -> ParticleImage:
        if len(self.diameters) != len(self.species) or min(self.diameters) <= 0:
            raise ValueError("diameters must hold one length above 0 for each of the species")
        return self

    def citations(self) -> tuple[str, ...]:
        """Swanson et al., who showed such pictures to a network."""
        return ("arXiv:1909.04648",)

    def feature_labels(self) -> tuple[str, ...]:
        """None: an image has no columns."""
        return ()

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One image per sample; drawing takes less than reading from a store would.

        Raises
        ------
        DataError: boxes that are not alike, a configuration that is not 2-D or holds other species.
        """
        from vitrine.physics.plane import planes_of
        from vitrine.represent.discs import draw

        found = list(planes_of(samples, self.species))
        check_alike([plane for plane, _ in found])
        images = np.zeros((len(found), self.pixels, self.pixels), np.uint8)
        radii = np.array(self.diameters) * self.radius
        room = np.empty((self.pixels, self.pixels), np.float32)
        for image, (plane, kinds) in zip(images, found, strict=True):
            draw(plane, kinds, radii, image, room)
        return whole_examples(self.makes, samples, None, (), images=images)


def check_alike(planes: Sequence[Plane]) -> None:
    """Refuse boxes that are not square, or of different particle numbers or sizes.

    Raises
    ------
    DataError: naming two of them.
    """
    for plane in planes:
        x, y = plane.lengths
        if abs(x - y) > SAME_EDGE * x:
            raise DataError(f"{plane.where}: its box is {x:g} by {y:g}; an image needs a square one")
        first = planes[0]
        if len(plane) != len(first):
            raise DataError(
                f"unequal particle numbers: {first.where} has {len(first):,}, {plane.where} has "
                f"{len(plane):,}; an image's scale would tell them apart"
            )
        if abs(x - first.lengths[0]) > SAME_EDGE * x:
            raise DataError(
                f"unequal boxes: the edge of {first.where} is {first.lengths[0]:g}, that of {plane.where} "
                f"{x:g}; an image's scale would tell them apart"
            )
