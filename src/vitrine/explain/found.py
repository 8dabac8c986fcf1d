"""What an explanation finds, as plain arrays: one entry per sample, so that groups can be resampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from vitrine.learn.protocol import Model
from vitrine.parts import Part
from vitrine.samples import Examples, Float, Samples


@dataclass(frozen=True)
class Profile:
    """Something against a common x.

    Attributes
    ----------
    x: (n_x,) rising. curves: label -> (n_samples, n_x), nan where a sample says nothing. level: value
        that means nothing special, drawn as a line.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    x: Float
    curves: dict[str, Float]
    level: float | None = None


@dataclass(frozen=True)
class Picture:
    """Particles of samples drawn side by side; panels as in :class:`vitrine.study.result.SliceFigure`."""

    name: str
    title: str
    caption: str
    panels: list[dict[str, Any]]
    radius: float


@dataclass
class Explained:
    """All that one explanation found on n samples.

    Attributes
    ----------
    numbers: (metric, what) -> (n_samples,): means over samples become rows. quantities: name ->
        (n_samples,): told apart by class, their AUC becomes a row.
    """

    numbers: dict[tuple[str, str], Float] = field(default_factory=dict)
    quantities: dict[str, Float] = field(default_factory=dict)
    profiles: list[Profile] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


class ExplanationPart(Part):
    """Settings that explanations share."""

    kind: str
    model: str = Field(description="name of the model in the study")
    tracks: tuple[str, ...] | None = Field(None, min_length=1, description="names of tracks; all by default")
    samples: int = Field(200, ge=2, description="samples that the model was not trained on, at most")

    takes: ClassVar[str] = ""
    """What the explained model takes: ``whole-graphs``, ``images``."""

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Look into a fitted model; examples are those that it takes, of these samples."""
        raise NotImplementedError
