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


@dataclass(frozen=True)
class Images:
    """Pictures in panels; as :class:`vitrine.study.result.ImageFigure`."""

    name: str
    title: str
    caption: str
    panels: list[dict[str, Any]]
    columns: int = 4
    signed: bool = False


@dataclass(frozen=True)
class Cloud:
    """Points coloured by class, in panels; as :class:`vitrine.study.result.ScatterFigure`."""

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    panels: list[dict[str, Any]]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Lines:
    """Curves; each ``{"label", "x", "y"}`` with optional ``low``, ``high`` and ``reference``."""

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    curves: list[dict[str, Any]]


@dataclass
class Explained:
    """All that one explanation found on n samples.

    Attributes
    ----------
    numbers: (metric, what) -> (n_samples,): means over samples become rows; nan where a sample says
        nothing. quantities: name ->
        (n_samples,): told apart by class, their AUC becomes a row. values: (metric, what, unit) -> one
        number of no sample, which becomes a row without an interval.
    """

    numbers: dict[tuple[str, str], Float] = field(default_factory=dict)
    quantities: dict[str, Float] = field(default_factory=dict)
    profiles: list[Profile] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    images: list[Images] = field(default_factory=list)
    clouds: list[Cloud] = field(default_factory=list)
    lines: list[Lines] = field(default_factory=list)
    values: dict[tuple[str, str, str | None], float] = field(default_factory=dict)
    units: dict[tuple[str, str], str] = field(default_factory=dict)
    """of numbers"""


class ExplanationPart(Part):
    """Settings that explanations share."""

    kind: str
    model: str = Field(description="name of the model in the study")
    tracks: tuple[str, ...] | None = Field(None, min_length=1, description="names of tracks; all by default")
    samples: int = Field(200, ge=2, description="samples that the model was not trained on, at most")

    takes: ClassVar[str] = ""
    """What the explained model takes: ``whole-graphs``, ``images``."""

    needs_training: ClassVar[bool] = False
    """Whether :meth:`explain` is also given what the model was trained on."""

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Look into a fitted model; examples are those that it takes, of these samples.

        A part that needs the training is given its samples and examples as two further arguments.
        """
        raise NotImplementedError
