"""The volume per atom of crystals: one number of their structure, to measure richer ones against."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from vitrine.parts import Part
from vitrine.samples import Examples, Samples
from vitrine.tasks import Compute


class VolumePerAtom(Part):
    """Volume of the cell over its number of atoms, Å^3; ``(n, 1) float32``.

    For tables with structures, see :mod:`vitrine.represent.structures`. A description of structures that is
    not better than this one number beside the composition tells of nothing but size.
    """

    summary: ClassVar[str] = "volume per atom of crystals in a table: a control for richer descriptions"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    structures: ClassVar[bool] = True
    makes: ClassVar[str] = "vectors"

    kind: Literal["volume-per-atom"] = "volume-per-atom"

    def feature_labels(self) -> tuple[str, ...]:
        """The one name."""
        return ("volume per atom [Å^3]",)

    def refuses(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for structures that cannot be read."""
        from vitrine.represent.structures import refused_structures

        return refused_structures(samples)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per formula; nothing is computed.

        Raises
        ------
        DataError: the table has no structures, or one that cannot be read.
        """
        from vitrine.represent.structures import read_structures

        volumes = [abs(np.linalg.det(s.cell)) / len(s.species) for s in read_structures(samples)]
        return Examples(
            makes=self.makes,
            target_kind="value",
            ids=samples.ids,
            groups=samples.groups,
            features=np.array(volumes, dtype=np.float32)[:, None],
            feature_labels=self.feature_labels(),
            starts=np.arange(len(samples) + 1, dtype=np.int64),
        )
