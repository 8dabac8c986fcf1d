"""Several representations of a formula as one: elemental fractions beside columns of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator

from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part
from vitrine.represent.asph import AtomSpecificHomology
from vitrine.represent.composition import ElementalFractions
from vitrine.represent.magpie import Magpie
from vitrine.represent.space_group import SpaceGroup
from vitrine.represent.table_columns import TableColumns
from vitrine.represent.volume import VolumePerAtom
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples

KINDS = ("elemental-fractions", "magpie", "table-columns", "asph", "volume-per-atom", "space-group")


def _of_known_kind(value: Any) -> Any:
    """The value, if it may be a representation that can be joined; for validators of pydantic."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    if kind is None:
        raise ValueError(f"expected a mapping with a key 'kind'; known: {', '.join(KINDS)}")
    if kind not in KINDS:
        raise ValueError(f"no representation of kind {kind!r} can be joined{did_you_mean(str(kind), KINDS)}")
    return value


FormulaVectors = Annotated[
    ElementalFractions | Magpie | TableColumns | AtomSpecificHomology | VolumePerAtom | SpaceGroup,
    Field(discriminator="kind"),
    BeforeValidator(_of_known_kind),
]
"""What makes vectors of formulas and may be joined."""


class Joined(Part):
    """Features of several representations side by side, in their order.

    Each is built as it is alone, settings included; a feature may not come from two of them.
    """

    summary: ClassVar[str] = "several representations of a formula side by side"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[str] = "vectors"

    kind: Literal["joined"] = "joined"
    of: tuple[FormulaVectors, ...] = Field(
        description="two representations or more, each with its kind and settings"
    )

    @field_validator("of")
    @classmethod
    def _several_without_a_label_twice(cls, of: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(of) < 2:
            raise ValueError("expected at least 2 representations")
        seen: dict[str, str] = {}
        for part in of:
            for label in part.feature_labels():
                if label in seen:
                    raise ValueError(f"the feature {label!r} comes from {seen[label]!r} and {part.kind!r}")
            seen |= dict.fromkeys(part.feature_labels(), part.kind)
        return of

    def recipe(self) -> dict[str, Any]:
        """As for every part, with the recipes of the representations, which hold their versions."""
        recipe = super().recipe()
        recipe["settings"]["of"] = [part.recipe() for part in self.of]
        return recipe

    def feature_labels(self) -> tuple[str, ...]:
        """The features of all, one after the other."""
        return tuple(label for part in self.of for label in part.feature_labels())

    def citations(self) -> tuple[str, ...]:
        """Those of all, each once."""
        parts = getattr(self, "of", ())  # the pages ask a part without settings
        return tuple(dict.fromkeys(citation for part in parts for citation in part.citations()))

    def refuses(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for what one of the representations refuses."""
        reasons: dict[str, str] = {}
        for part in self.of:
            found: dict[str, str] = part.refuses(samples) if hasattr(part, "refuses") else {}
            reasons = found | reasons
        return reasons

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per formula, ``(n, sum of all features) float32``.

        Raises
        ------
        DataError: what one of them raises, or they have not the same rows.
        """
        built = [part.build(samples, compute) for part in self.of]
        first = built[0]
        for part, other in zip(self.of[1:], built[1:], strict=True):
            if other.ids != first.ids or not np.array_equal(other.starts, first.starts):
                raise DataError(
                    f"representation.of: {self.of[0].kind!r} makes {first.n_rows:,} rows of {len(first):,} "
                    f"samples, {part.kind!r} {other.n_rows:,} of {len(other):,}: they cannot be joined"
                )
        features = np.concatenate([examples.features for examples in built], axis=1)
        return replace(first, target_kind="value", features=features, feature_labels=self.feature_labels())
