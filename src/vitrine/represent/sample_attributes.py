"""Numbers that the source knows of each sample, such as its inherent-structure energy, as features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from vitrine.errors import StudyError, did_you_mean
from vitrine.parts import Part
from vitrine.represent.whole import distinct, whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples


class SampleAttributes(Part):
    """Attributes of the samples, one column each, as they are.

    A baseline for what needs no structure at all: energy, temperature, density. In single precision an
    energy of -3.9 is kept to 2e-7, well below the 1e-3 that a glass differs from another.
    """

    kind: Literal["sample-attributes"] = "sample-attributes"
    attributes: tuple[str, ...] = Field(
        ("inherent_energy",), min_length=1, description="names of the attributes, one column each"
    )

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[str] = "vectors"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "numbers known of each sample (energy, temperature, density) as features"

    _distinct = field_validator("attributes")(distinct)

    def feature_labels(self) -> tuple[str, ...]:
        """The attributes."""
        return self.attributes

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; nothing is computed.

        Raises
        ------
        StudyError: the source gives no such attribute. DataError: a value is not finite.
        """
        for name in self.attributes:
            if name not in samples.attributes:
                known = did_you_mean(name, samples.attributes) or "; they have none"
                raise StudyError(f"representation.attributes: the samples have no attribute {name!r}{known}")
        columns = [np.asarray(samples.attributes[name], dtype=np.float64) for name in self.attributes]
        return whole_examples(self.makes, samples, list(np.stack(columns, axis=1)), self.attributes)
