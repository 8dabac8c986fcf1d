"""A formula as the fractions of its elements."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.samples import Examples, Samples
from vitrine.tasks import Compute


class ElementalFractions(Part):
    """Atomic fractions by element, ``(n, 86) float32`` for ElemNet's list, ``(n, 118)`` for all.

    A row sums to one and does not depend on the order of the elements in the formula or on its
    scale (``Fe2O3`` is ``O6Fe4``). No physical property of an element enters, only its identity;
    that is what sets it apart from Magpie statistics.
    """

    summary: ClassVar[str] = "fractions of 86 (ElemNet) or all elements in a formula"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[str] = "vectors"

    kind: Literal["elemental-fractions"] = "elemental-fractions"
    elements: Literal["elemnet", "all"] = Field(
        "elemnet",
        description="the 86 elements of ElemNet (H to Pu without He, Ne, Ar, Po, At, Rn, Fr, Ra) or all 118",
    )

    def feature_labels(self) -> tuple[str, ...]:
        """Symbols of the elements, by atomic number."""
        from vitrine.physics.formulas import ALL_ELEMENTS, ELEMENTNET_86

        return ELEMENTNET_86 if self.elements == "elemnet" else ALL_ELEMENTS

    def citations(self) -> tuple[str, ...]:
        """ElemNet (Jha et al. 2018)."""
        return ("10.1038/s41598-018-35934-y",)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per formula; nothing is worth storing, so ``compute`` is not called.

        Raises
        ------
        DataError: a formula holds an element outside the list; the row is named.
        """
        from vitrine.physics.formulas import fractions

        reasons = self.refuses(samples)
        if reasons:
            name, reason = next(iter(reasons.items()))
            raise DataError(
                f"{name}: {reason} ({len(reasons):,} such rows); set representation.elements=all or leave "
                "these rows out"
            )
        features = fractions(list(samples.items["formula"]), self.feature_labels(), names=samples.ids)
        return Examples(
            makes=self.makes,
            target_kind="value",
            ids=samples.ids,
            groups=samples.groups,
            features=features.astype(np.float32),
            feature_labels=self.feature_labels(),
            starts=np.arange(len(samples) + 1, dtype=np.int64),
        )

    def refuses(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for formulas with an element outside the list."""
        from vitrine.physics.formulas import parse_formula

        known, reasons = frozenset(self.feature_labels()), {}
        for name, text in zip(samples.ids, samples.items["formula"], strict=True):
            missing = [symbol for symbol in parse_formula(text) if symbol not in known]
            if missing:
                reasons[name] = (
                    f"{text!r} holds {', '.join(missing)}, not in the list of {len(known)} elements"
                )
        return reasons
