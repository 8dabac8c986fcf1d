"""What the size of a strain map tells, whatever the strain."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from vitrine.parts import Part
from vitrine.represent.strain_scalars import pixels_of
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples


class MapGeometry(Part):
    """Rows, columns, pitch and aspect of a map, and no strain.

    A control against a leak: pictures of the deformed crystal differ in length with its prior strain, so
    their size alone gives the class away (248, 246 and 201 to 224 pixels in
    doi:10.1038/s41598-020-65157-z). On an undeformed grid it must be worth no more than chance.
    """

    kind: Literal["map-geometry"] = "map-geometry"

    takes: ClassVar[str] = "maps"
    makes: ClassVar[str] = "vectors"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "size, pitch and aspect of a strain map, without its strain (control)"

    def citations(self) -> tuple[str, ...]:
        """The study whose pictures leak."""
        return ("10.1038/s41598-020-65157-z",)

    def feature_labels(self) -> tuple[str, ...]:
        """The four numbers."""
        return ("rows", "columns", "pitch [nm]", "rows per column")

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; nothing is worth storing.

        Raises
        ------
        DataError: a map without a single pixel.
        """
        table = []
        for (_, values), item in zip(pixels_of(samples, "axial"), samples.items, strict=True):
            rows, columns = values.shape
            table.append([rows, columns, item.pitch, rows / columns])
        return whole_examples(self.makes, samples, table, self.feature_labels())
