"""Several models of a study as one: the mean of what they predict."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from vitrine.learn.baselines import ANY_TARGET, ANYTHING
from vitrine.learn.protocol import Model, ModelPart


class Ensemble(ModelPart):
    """The mean of the probabilities, or of the values, of other models of the study.

    Nothing is fitted: the members are fitted anyway.
    """

    kind: Literal["ensemble"] = "ensemble"
    of: tuple[str, ...] = Field(min_length=2, description="names of models of the study")

    takes: ClassVar[frozenset[str]] = ANYTHING
    targets: ClassVar[frozenset[str]] = ANY_TARGET
    summary: ClassVar[str] = "the mean prediction of other models of the study"

    def build(self, target: str, seed: int) -> Model:
        """Not to be asked for.

        Raises
        ------
        TypeError: always; the study averages what the members predict.
        """
        raise TypeError("an ensemble has no model of its own")
