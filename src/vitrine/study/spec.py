"""The study file: pydantic, strict. A study is one sentence from source to report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vitrine.errors import StudyError, did_you_mean
from vitrine.parts import Part
from vitrine.study import outsiders, shelf
from vitrine.study.outsiders import Outsider
from vitrine.study.yaml_reader import read_yaml, words_of

Scale = Literal["smoke", "demo", "laptop", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "demo", "laptop", "paper")


MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
"""A model names a folder and a column, so no dots, slashes or spaces."""


def _part(stage: str) -> BeforeValidator:
    return BeforeValidator(partial(shelf.checked, stage))


def _optional_part(stage: str) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else shelf.checked(stage, value))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Track(_Strict):
    """One question to the models: which samples, how they are split, which models go through it."""

    name: str | None = Field(
        None, pattern=MODEL_NAME, description="short name in tables and files; that of the split by default"
    )
    split: Annotated[Part, _part("split")] = Field(description="which samples train, validate and test")
    models: tuple[str, ...] | None = Field(None, min_length=1, description="names of models; all by default")
    source: Annotated[Part | None, _optional_part("source")] = Field(
        None, description="samples of its own; by default those of the study's source"
    )
    changes: dict[str, Any] = Field(
        {}, description="settings of the study's source that are others in this track"
    )
    note: str = Field("", description="what must be known to read its numbers, shown beside them")

    @property
    def title(self) -> str:
        """The name that rows, figures and files carry."""
        return self.name or str(self.split.track)  # type: ignore[attr-defined]


class Evaluation(_Strict):
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
    distributions: tuple[str, ...] = Field(
        (), description="names of representations whose features are drawn by class"
    )
    reference: str | None = Field(
        None, description="model that the others are compared with, also pair by pair: what must be beaten"
    )
    resamples: int = Field(1000, ge=10, le=1_000_000, description="bootstrap resamples of groups")


class Seeds(_Strict):
    """Every seed, one per stage (sources and splits carry their own)."""

    model: int = Field(0, ge=0, le=4_000_000, description="initial weights, order of batches, random trees")
    repeats: int = Field(
        1, ge=1, le=100, description="fits with seeds of their own of each model that depends on one"
    )
    shuffle: int = Field(0, ge=0, description="of the label-shuffle null")
    bootstrap: int = Field(0, ge=0, description="of the intervals")


class Sweep(_Strict):
    """One setting of the label changed, and models retrained at each value."""

    key: str = Field(pattern=r"^label\.[a-z_]+$", description="setting of the label, such as label.threshold")
    values: tuple[float, ...] = Field(min_length=2, description="its values")
    models: tuple[str, ...] = Field(min_length=1, description="names of models to train at each")
    title: str = Field("", description="of its figures")

    @property
    def setting(self) -> str:
        """Name of the label's setting."""
        return self.key.removeprefix("label.")


class DataCurve(_Strict):
    """Models retrained on fewer groups: how much data it takes to see something, if there is something."""

    groups: tuple[Annotated[int, Field(ge=4)], ...] = Field(
        min_length=1, description="groups to train on (validation included), of both classes in proportion"
    )
    models: tuple[str, ...] = Field(min_length=1, description="names of models to train at each")
    tracks: tuple[str, ...] | None = Field(None, min_length=1, description="names of tracks; all by default")
    metric: str = Field("roc_auc", description="of its figures")
    beside: str | None = Field(None, description="model whose score with all the data is drawn as a line")
    seed: int = Field(0, ge=0, description="which groups are taken")


class Matrix(_Strict):
    """A published matrix: rows trained on, columns tested on."""

    source: str = Field(description="where it stands")
    values: tuple[tuple[float, ...], ...] = Field(description="a row for each set, in order")
    beside: tuple[str, ...] = Field((), description="models of ours that it stands beside")


class Transfer(_Strict):
    """Trained on one set of samples, tested on every other: groups held out in all of them at once."""

    title: str = Field("Trained on one set, tested on another", description="of its figure")
    note: str = Field("", description="what must be known to read it")
    sets: dict[Annotated[str, Field(pattern=MODEL_NAME)], dict[str, Any]] = Field(
        min_length=2, description="name -> settings of the study's source that make the set"
    )
    models: tuple[str, ...] = Field(min_length=1, description="names of models")
    split: Annotated[Part, _part("split")] = Field(description="deals the groups of all sets together")
    metric: str = Field("roc_auc", description="in the matrix")
    published: Matrix | None = Field(None, description="the paper's")


class Series(_Strict):
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


class Search(_Strict):
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


class Published(_Strict):
    """A table of the paper, and which of its rows stands beside which of our models."""

    title: str = Field(description="what the table shows")
    source: str = Field(description="where it stands in the paper")
    metrics: tuple[str, ...] = Field(description="its columns, by our names")
    rows: dict[str, dict[str, float]] = Field(description="name of a row -> metric -> number")
    beside: dict[str, str] = Field(default_factory=dict, description="our model -> row of this table")
    track: str | None = Field(None, description="track of ours that it stands beside; all by default")


class Study(_Strict):
    """A study: source, label, representation, split, model, evaluation, report."""

    study: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="short name")
    title: str = Field(description="shown on top of the report")
    question: str = Field("", description="what the study asks, in a sentence or two")
    citations: tuple[str, ...] = Field((), description="DOIs of the work that the study follows")
    source: Annotated[Part, _part("source")] = Field(description="where the samples come from")
    unseen: Annotated[Part | None, _optional_part("source")] = Field(
        None, description="a second source, predicted by the trained models and never trained on"
    )
    label: Annotated[Part, _part("label")] = Field(description="what is learned about them")
    representation: Annotated[Part, _part("representation")] = Field(
        description="what the models see of them"
    )
    representations: dict[
        Annotated[str, Field(pattern=MODEL_NAME)], Annotated[Any, _part("representation")]
    ] = Field({}, description="others, by name; a model takes one with its key `representation`")
    tracks: tuple[Track, ...] = Field(min_length=1, description="how it is asked; the first leads the report")
    models: dict[Annotated[str, Field(pattern=MODEL_NAME)], Annotated[Any, _part("model")]] = Field(
        min_length=1, description="what is trained, by names of your own"
    )
    main_model: str = Field(description="the model of figures and of the unseen source")
    evaluation: Evaluation = Field(description="what is measured")
    seeds: Seeds = Field(Seeds(), description="every seed that is not a source's or a split's")
    published: tuple[Published, ...] = Field((), description="tables of the paper, shown as published")
    claims: tuple[str, ...] = Field((), description="published claims to test, by name")
    sweeps: tuple[Sweep, ...] = Field((), description="settings of the label to vary, with retraining")
    search: Search | None = Field(None, description="a grid of settings of a model")
    data_curve: DataCurve | None = Field(None, description="models retrained on less data")
    transfer: Transfer | None = Field(None, description="trained on one set, tested on others")
    series: tuple[Series, ...] = Field((), description="features followed along an attribute")
    explanations: tuple[Annotated[Any, _part("explanation")], ...] = Field(
        (), description="what models look at, on samples that they were not trained on"
    )
    scale: Scale = Field("smoke", description="the scale by default; `--scale` chooses another")

    def representation_of(self, model: str) -> Any:
        """The representation that a model takes."""
        chosen: str | None = self.models[model].representation
        return self.representation if chosen is None else self.representations[chosen]

    def source_of(self, track: Track) -> Any:
        """Where the samples of a track come from."""
        source = self.source if track.source is None else track.source
        return self.changed(source, track.changes, f"tracks.{track.title}.changes")

    def changed(self, source: Any, changes: Mapping[str, Any], where: str) -> Any:
        """A source with other settings.

        Raises
        ------
        StudyError: it has no such setting, or not such a value.
        """
        if not changes:
            return source
        return shelf.parse("source", source.model_dump() | dict(changes), where)

    def models_of(self, track: Track) -> tuple[str, ...]:
        """Names of the models that go through a track."""
        return track.models or tuple(self.models)

    def resolved(self) -> dict[str, Any]:
        """Plain data that YAML can hold; reading it back gives the same study."""
        return {name: _plain(getattr(self, name)) for name in type(self).model_fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Part):  # fields that are typed Part would lose what their class adds
        return value.model_dump(mode="json")
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def preset_names() -> list[str]:
    """Names of the studies that ship with vitrine, and of those of other packages."""
    return sorted({*_own_presets(), *presets_of_others()[0]})


def presets_of_others() -> tuple[dict[str, Outsider], list[Outsider]]:
    """Studies of other packages by name, and entry points that name none, each with its trouble."""
    return outsiders.sorted_studies(outsiders.installed()[outsiders.STUDIES], _own_presets())


def _own_presets() -> list[str]:
    return sorted(path.stem for path in _presets().glob("*.yaml"))


def _presets() -> Path:
    return Path(__file__).parent / "presets"


def preset_text(name: str) -> str:
    """The study file of a preset, as written.

    Raises
    ------
    StudyError: there is no such study, or the package that brings it lacks the file.
    """
    if name not in preset_names():
        known = did_you_mean(name, preset_names())
        raise StudyError(f"no study {name!r}{known}; or give a study file (.yaml)")
    other = presets_of_others()[0].get(name)
    path = _presets() / f"{name}.yaml" if other is None else outsiders.study_file(other)
    return path.read_text(encoding="utf-8")


def read_study(name_or_file: str) -> tuple[dict[str, Any], str]:
    """The raw mapping of a preset or of a study file, and where it came from.

    A name is that of a preset before it is that of a file without ``.yaml``.

    Raises
    ------
    StudyError: no such file, not YAML, or not a mapping.
    """
    path = Path(name_or_file)
    try:
        if path.suffix in {".yaml", ".yml"} or (name_or_file not in preset_names() and path.exists()):
            text = path.read_text(encoding="utf-8-sig")
        else:
            text = preset_text(name_or_file)
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not a text in UTF-8, so no study file: {error}") from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be read as a study file: {error.strerror or error}") from error
    try:
        data = read_yaml(text)
    except yaml.YAMLError as error:
        raise StudyError(f"{name_or_file}: not valid YAML: {words_of(error)}") from error
    if not isinstance(data, dict):
        found = "is empty" if data is None else f"holds a {type(data).__name__}"
        raise StudyError(f"{name_or_file} {found}; a study file is a mapping of keys, see `vitrine init`")
    return data, name_or_file


def load_study(name_or_file: str, scale: str | None = None, overrides: Sequence[str] | None = None) -> Study:
    """A checked study from a preset name or a file.

    Parameters
    ----------
    scale: one of ``smoke``, ``demo``, ``laptop``, ``paper``; its settings override the file. By
        default the file's own ``scale``, else ``smoke``.
    overrides: ``["model.path=value", ...]`` override both; values are YAML.

    Raises
    ------
    StudyError: anything wrong in the file, the scale or an override; also joints that do not fit.
    """
    from vitrine.study.joints import check_joints
    from vitrine.study.overrides import apply_overrides, merge

    data, origin = read_study(name_or_file)
    layers = _layers(data.pop("scales", None), origin)
    chosen = _scale(scale, data.get("scale"), layers, origin)
    data = merge(data, layers.get(chosen, {})) | {"scale": chosen}
    apply_overrides(data, overrides or ())
    study: Study = shelf.validate(Study, data, "")
    check_joints(study)
    return study


def _layers(scales: Any, origin: str) -> dict[str, dict[str, Any]]:
    """What each scale lays over the file; all scales are looked at, whichever is chosen."""
    if scales is None:
        return {}
    if not isinstance(scales, Mapping):
        raise StudyError(f"{origin}: scales: expected a mapping of scale names to settings")
    known = [name for name in Study.model_fields if name != "scale"]
    layers = {}
    for name, settings in scales.items():
        where = f"{origin}: scales.{name}"
        if name not in SCALES:
            raise StudyError(f"{where}: no such scale{did_you_mean(str(name), SCALES)}")
        if settings is not None and not isinstance(settings, Mapping):
            raise StudyError(f"{where}: expected a mapping of settings, got {settings!r}")
        for key in settings or {}:
            if key not in known:
                raise StudyError(f"{where}.{key}: no such key{did_you_mean(str(key), known)}")
        layers[name] = dict(settings or {})
    return layers


def _scale(asked: str | None, own: Any, layers: Mapping[str, Any], origin: str) -> str:
    chosen = asked or str(own or "smoke")
    if chosen not in SCALES:
        raise StudyError(f"no scale {chosen!r}{did_you_mean(chosen, SCALES)}")
    # else a run would carry the name of a scale without its settings
    if chosen not in layers and chosen != str(own or "smoke"):
        known = ", ".join(sorted({*layers, str(own or "smoke")}, key=str))
        raise StudyError(f"{origin} says nothing about the scale {chosen!r}; its scales: {known}")
    return chosen


def model_seed(study: Study, fold: int, repeat: int = 0) -> int:
    """Seed of the models of a fold; folds differ, so that chance is not the same in each."""
    return (study.seeds.model + repeat) * 1000 + fold


def repeats_of(study: Study, model: str) -> int:
    """How many fits with different seeds a model gets in each fold."""
    return study.seeds.repeats if study.models[model].seeded else 1
