"""How far a crystal was strained before it was unloaded: as a class, or as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.units import Percent

if TYPE_CHECKING:
    from vitrine.samples import Samples


def prior_strains(samples: Samples) -> NDArray[np.float64]:
    """(n,) prior strain of each map [%].

    Raises
    ------
    DataError: a map that does not say it.
    """
    found = []
    for item, name in zip(samples.items, samples.ids, strict=True):
        value = item.info.get("prior")
        if not isinstance(value, int | float) or not value > 0:
            raise DataError(f"{name}: its prior strain is {value!r}; a number above 0 [%] is needed")
        found.append(float(value))
    return np.array(found)


class PriorStrain(Part):
    """The prior strain as one of several classes (Yang et al. 2020: 0.1, 1 and 10 %)."""

    kind: Literal["prior-strain"] = "prior-strain"
    classes: tuple[Percent, ...] = Field(
        (0.1, 1.0, 10.0), min_length=2, description="%, rising prior strains"
    )

    takes: ClassVar[str] = "maps"
    makes: ClassVar[Literal["binary", "value", "classes"]] = "classes"
    unit: ClassVar[str | None] = None
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "prior strain of a crystal as one of several classes"

    @field_validator("classes")
    @classmethod
    def _rising(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("expected rising strains, each once")
        return values

    def citations(self) -> tuple[str, ...]:
        """The study."""
        return ("10.1038/s41598-020-65157-z",)

    def targets(self, samples: Samples) -> list[NDArray[np.float32]]:
        """One (1,) float32 array, the number of the class from 0 on, per sample.

        Raises
        ------
        DataError: a map that does not say its prior strain, or one of none of the classes.
        """
        known = np.array(self.classes)
        found = []
        for value, name in zip(prior_strains(samples), samples.ids, strict=True):
            near = np.flatnonzero(np.isclose(known, value, rtol=1e-6))
            if not len(near):
                raise DataError(
                    f"{name}: its prior strain, {value:g} %, is none of label.classes "
                    f"({', '.join(f'{each:g}' for each in self.classes)})"
                )
            found.append(np.array([near[0]], np.float32))
        return found

    def severity(self, samples: Samples) -> list[NDArray[np.float32]] | None:
        """None: what lies behind a class is the class."""
        return None

    def class_names(self, samples: Samples | None = None) -> tuple[str, ...]:
        """``0.1 %`` and so on."""
        return tuple(f"{value:g} %" for value in self.classes)


class LogPriorStrain(Part):
    """The decimal logarithm of the prior strain in %: -1 is 0.1 %, 1 is 10 %."""

    kind: Literal["log-prior-strain"] = "log-prior-strain"

    takes: ClassVar[str] = "maps"
    makes: ClassVar[Literal["binary", "value", "classes"]] = "value"
    unit: ClassVar[str | None] = "decades"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "logarithm of the prior strain of a crystal, in decades"

    def citations(self) -> tuple[str, ...]:
        """The study, which wishes for it."""
        return ("10.1038/s41598-020-65157-z",)

    def targets(self, samples: Samples) -> list[NDArray[np.float32]]:
        """One (1,) float32 array, log10 of the prior strain in %, per sample.

        Raises
        ------
        DataError: a map that does not say its prior strain.
        """
        return [np.array([value], np.float32) for value in np.log10(prior_strains(samples))]

    def severity(self, samples: Samples) -> list[NDArray[np.float32]] | None:
        """None."""
        return None
