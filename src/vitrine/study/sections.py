"""Sections of the study file: tracks, evaluation, and what is done beside the main question."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from vitrine.evaluate import metrics
from vitrine.parts import Part
from vitrine.study import shelf

CLASSIFICATION = frozenset({*metrics.CLASSIFICATION, "accuracy"})
REGRESSION = frozenset({*metrics.REGRESSION, "relative_mae"})


def metrics_for(target: str) -> frozenset[str]:
    """Names of the metrics that fit a kind of target."""
    return {"binary": CLASSIFICATION, "value": REGRESSION, "classes": frozenset(metrics.SEVERAL_CLASSES)}[
        target
    ]


MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
"""A model names a folder and a column, so no dots, slashes or spaces."""


def of_stage(stage: str) -> BeforeValidator:
    """Reads a part of this stage."""
    return BeforeValidator(partial(shelf.checked, stage))


def optional_of_stage(stage: str) -> BeforeValidator:
    """Reads a part of this stage, or nothing."""
    return BeforeValidator(lambda value: None if value is None else shelf.checked(stage, value))


class Strict(BaseModel):
    """No unknown keys, no changes, no numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Track(Strict):
    """One question to the models: which samples, how they are split, which models go through it."""

    name: str | None = Field(
        None, pattern=MODEL_NAME, description="short name in tables and files; that of the split by default"
    )
    split: Annotated[Part, of_stage("split")] = Field(description="which samples train, validate and test")
    models: tuple[str, ...] | None = Field(None, min_length=1, description="names of models; all by default")
    source: Annotated[Part | None, optional_of_stage("source")] = Field(
        None, description="samples of its own; by default those of the study's source"
    )
    changes: dict[str, Any] = Field(
        {}, description="settings of the study's source that are others in this track"
    )
    label: Annotated[Part | None, optional_of_stage("label")] = Field(
        None, description="what is learned in this track; by default the study's label"
    )
    note: str = Field("", description="what must be known to read its numbers, shown beside them")

    @property
    def title(self) -> str:
        """The name that rows, figures and files carry."""
        return self.name or str(self.split.track)  # type: ignore[attr-defined]


class Evaluation(Strict):
    """What is measured on out-of-fold predictions."""

    metrics: tuple[str, ...] = Field(min_length=1, description="names of metrics, in the order shown")
    headline: str | None = Field(
        None, description="metric of a first table of the report, with the tracks side by side"
    )
    threshold: float = Field(0.5, ge=0, le=1, description="score from which a row counts as positive")
    published_prevalence: float | None = Field(
        None, gt=0, lt=1, description="also quote metrics re-weighted to this fraction of positives"
    )
    shuffled_labels: str | None = Field(None, description="model trained on shuffled labels, as a null")
    validation_threshold: Literal["f1", "mcc", "recall", "precision"] | None = Field(
        None,
        description="also quote metrics at the threshold that is best by this one on each fold's validation "
        "samples",
    )
    clean_up: int | None = Field(
        None,
        ge=2,
        description="there also drop connected groups of called rows smaller than this (graphs only)",
    )
    each_feature: bool = Field(
        False, description="also judge each feature alone, its sign chosen on the training samples"
    )
    strata: dict[str, tuple[float, ...]] = Field(
        {}, description="attribute of the samples -> rising bounds; metrics of ranking within each range"
    )
    subsets: tuple[tuple[str, ...], ...] = Field(
        (), description="attributes of the samples, alone or together: metrics for each of their values"
    )
    distributions: tuple[str, ...] = Field(
        (), description="names of representations whose features are drawn by class"
    )
    reference: str | None = Field(
        None, description="model that the others are compared with, also pair by pair: what must be beaten"
    )
    resamples: int = Field(1000, ge=10, le=1_000_000, description="bootstrap resamples of groups")


class Seeds(Strict):
    """Every seed, one per stage (sources and splits carry their own)."""

    model: int = Field(0, ge=0, le=4_000_000, description="initial weights, order of batches, random trees")
    repeats: int = Field(
        1, ge=1, le=100, description="fits with seeds of their own of each model that depends on one"
    )
    shuffle: int = Field(0, ge=0, description="of the label-shuffle null")
    bootstrap: int = Field(0, ge=0, description="of the intervals")


class Budget(Strict):
    """What every model may have at most, alike for all: the comparison is of models, not of patience."""

    rows: int | None = Field(
        None, ge=10, description="training samples of a fit; more are drawn from at random, alike for all"
    )
    equal: bool = Field(
        False,
        description="all tracks train on equally many samples, as many as the smallest has: what a track "
        "leaves out is then no loss of data",
    )
    epochs: int | None = Field(None, ge=1, description="epochs of a network")
    precision: Literal["float32", "bfloat16"] | None = Field(
        None, description="of products in the training of all networks; by default each as it says"
    )
    trials: int = Field(
        1,
        ge=1,
        le=100,
        description="settings that each fit tries, the study's own first, then those that the model names; "
        "the best on the validation samples is kept",
    )


class Sweep(Strict):
    """One setting of the label or the representation changed, and models retrained at each value."""

    key: str = Field(
        pattern=r"^(label|representation)\.[a-z_]+$",
        description="setting of the label or of the study's own representation, such as label.threshold",
    )
    values: tuple[float, ...] = Field(min_length=2, description="its values")
    models: tuple[str, ...] = Field(min_length=1, description="names of models to train at each")
    title: str = Field("", description="of its figures")

    @property
    def setting(self) -> str:
        """Name of the setting."""
        return self.key.partition(".")[2]

    @property
    def stage(self) -> str:
        """Whose setting it is: ``label`` or ``representation``."""
        return self.key.partition(".")[0]


class DataCurve(Strict):
    """Models retrained on fewer groups: how much data it takes to see something, if there is something."""

    groups: tuple[Annotated[int, Field(ge=4)], ...] = Field(
        min_length=1, description="groups to train on (validation included), of both classes in proportion"
    )
    models: tuple[str, ...] = Field(min_length=1, description="names of models to train at each")
    tracks: tuple[str, ...] | None = Field(None, min_length=1, description="names of tracks; all by default")
    metric: str = Field("roc_auc", description="of its figures")
    beside: str | None = Field(None, description="model whose score with all the data is drawn as a line")
    seed: int = Field(0, ge=0, description="which groups are taken")
    repeats: int = Field(1, ge=1, le=100, description="fits with seeds of their own at each")


class Matrix(Strict):
    """A published matrix: rows trained on, columns tested on."""

    source: str = Field(description="where it stands")
    values: tuple[tuple[float, ...], ...] = Field(description="a row for each set, in order")
    beside: tuple[str, ...] = Field((), description="models of ours that it stands beside")


class Transfer(Strict):
    """Trained on one set of samples, tested on every other: groups held out in all of them at once."""

    title: str = Field("Trained on one set, tested on another", description="of its figure")
    note: str = Field("", description="what must be known to read it")
    sets: dict[Annotated[str, Field(pattern=MODEL_NAME)], dict[str, Any]] = Field(
        min_length=2, description="name -> settings of the study's source that make the set"
    )
    models: tuple[str, ...] = Field(min_length=1, description="names of models")
    split: Annotated[Part, of_stage("split")] = Field(description="deals the groups of all sets together")
    metric: str = Field("roc_auc", description="in the matrix")
    published: Matrix | None = Field(None, description="the paper's")


class Series(Strict):
    """Features of a representation followed along an attribute of samples that nobody trains on."""

    title: str = Field(description="of its figures")
    note: str = Field("", description="what must be known to read it")
    sources: dict[str, dict[str, Any]] = Field(
        min_length=1, description="name of a curve -> settings of the study's source that are others"
    )
    representation: str | None = Field(
        None, description="name of one of the study's representations; the study's own by default"
    )
    against: tuple[str, ...] = Field(min_length=1, description="names of attributes")


class Landscape(Strict):
    """The loss around trained weights, on what was trained on, on more of its kind, and on what was left out.

    All data sets are seen along the same directions. See :mod:`vitrine.explain.landscape`.
    """

    models: tuple[str, ...] = Field(min_length=1, description="names of networks")
    tracks: tuple[str, ...] | None = Field(None, min_length=1, description="names of tracks; all by default")
    samples: int = Field(300, ge=2, description="of each data set, at most, drawn at random")
    directions: Literal["filter", "layer", "gaussian"] = Field(
        "filter",
        description="random directions with the norms of each filter or of each layer, or of the whole",
    )
    seeds: int = Field(5, ge=1, le=1000, description="random directions along which curves are taken")
    reach: float = Field(
        0.5, gt=0, description="largest step; with the step 1 weights change by their own norm"
    )
    points: Annotated[int, Field(ge=5)] = Field(21, description="along a curve, an odd number")
    planes: tuple[Literal["filter", "layer", "gaussian", "hessian"], ...] = Field(
        ("filter",), description="planes that are mapped: random ones, or of the two steepest curvatures"
    )
    plane_points: Annotated[int, Field(ge=5)] = Field(15, description="along each edge of a plane, odd")
    radius: float = Field(
        0.1, gt=0, description="step within which sharpness is the largest rise of the loss"
    )
    relative_rise: float = Field(0.5, gt=0, description="of the loss, that ends the relative robust radius")
    rise: float | None = Field(
        None,
        gt=0,
        description="of the loss, that ends the robust radius and bounds the basin, in the unit of the loss; "
        "by default a tenth of the loss of always predicting the mean of the training",
    )
    eigenvalues: int = Field(
        1, ge=0, le=20, description="of the Hessian, the largest and as many least ones; 0: no Hessian at all"
    )
    lanczos: int = Field(30, ge=2, description="steps towards the eigenvalues, at most")
    probes: int = Field(4, ge=2, le=1000, description="random vectors for the trace of the Hessian")
    precision: Literal["float64", "float32"] = Field(
        "float64",
        description="of curves and planes; in single precision crystal networks are several times as fast",
    )
    seed: int = Field(0, ge=0, description="of directions, probes and which samples are taken")

    @model_validator(mode="after")
    def _odd(self) -> Landscape:
        for name in ("points", "plane_points"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name}: an odd number, so that one point is the network itself")
        step = self.reach / (self.points // 2)
        if self.radius < step * (1 - 1e-9):
            raise ValueError(f"radius: {self.radius:g} is less than a step along the curves, {step:.3g}")
        return self

    def titles(self, study: Any) -> tuple[str, ...]:
        """Names of the tracks that are looked at."""
        return tuple(t.title for t in study.tracks if self.tracks is None or t.title in self.tracks)


class EachElement(Strict):
    """One element after the other left out: do numbers of the loss landscape tell where a model will fail?

    Needs the section ``landscape``, whose settings hold here too; planes are left out.
    """

    models: tuple[str, ...] = Field(min_length=1, description="names of networks")
    baselines: tuple[str, ...] = Field((), description="models whose errors stand beside, without landscapes")
    elements: tuple[str, ...] | None = Field(
        None, min_length=1, description="symbols or families; by default the most frequent elements"
    )
    most: int = Field(24, ge=5, description="elements that are left out, at most")
    least: int = Field(20, ge=2, description="samples that must hold an element")
    share: float = Field(0.6, gt=0, lt=1, description="of all samples, that may hold it at most")
    repeats: int = Field(
        3, ge=1, le=100, description="fits with seeds of their own: their spread is a predictor"
    )
    rows: int | None = Field(None, ge=10, description="training samples of a fit; by default the budget's")
    epochs: int | None = Field(None, ge=1, description="of a network; by default the budget's")


class Search(Strict):
    """A grid of settings of one model, judged by cross-validation; the best meet specimens held out."""

    model: str = Field(description="name of the model whose settings are searched")
    grid: str | dict[str, tuple[Any, ...]] = Field(
        "coarse", description="name of one of the model's grids, or settings and their values"
    )
    strategy: Literal["full", "halving"] = Field(
        "full",
        description="every configuration with all epochs, or successive halving: the best third by the last "
        "metric, and the best by each, go on with three times the epochs",
    )
    held_out: float = Field(0.2, gt=0, lt=1, description="fraction of the groups that only the best meet")
    folds: int = Field(4, ge=2, description="folds of the cross-validation")
    metrics: tuple[str, ...] = Field(
        ("recall", "precision", "f1", "mcc", "roc_auc", "average_precision"),
        min_length=1,
        description="a configuration is chosen by each of them",
    )
    smallest_epochs: int = Field(5, ge=1, description="of the first round of halving")
    seed: int = Field(0, ge=0, description="of the split")
    beside: dict[str, str] = Field({}, description="metric -> row of a published table")


class PublishedSubset(Strict):
    """One number of the paper for a part of the samples."""

    model: str = Field(description="name of our model that it stands beside")
    metric: str = Field(description="by our name")
    where: dict[str, float] = Field(min_length=1, description="attribute -> value, of all in the part")
    value: float = Field(description="as published")


class Published(Strict):
    """A table of the paper, and which of its rows stands beside which of our models."""

    title: str = Field(description="what the table shows")
    source: str = Field(description="where it stands in the paper")
    metrics: tuple[str, ...] = Field(description="its columns, by our names")
    rows: dict[str, dict[str, float]] = Field(description="name of a row -> metric -> number")
    beside: dict[str, str] = Field(default_factory=dict, description="our model -> row of this table")
    track: str | None = Field(None, description="track of ours that it stands beside; all by default")
    of: dict[str, Any] = Field(
        {}, description="settings that the study's source must have, else the table is left out"
    )
    subsets: tuple[PublishedSubset, ...] = Field(
        (), description="numbers for parts of the samples, beside rows of evaluation.subsets"
    )
