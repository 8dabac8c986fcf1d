"""The study file: pydantic, strict. A study is one sentence from source to report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field

from vitrine.errors import StudyError, did_you_mean
from vitrine.parts import Part
from vitrine.study import outsiders, shelf
from vitrine.study.outsiders import Outsider
from vitrine.study.sections import (
    MODEL_NAME,
    Budget,
    DataCurve,
    EachElement,
    Evaluation,
    Landscape,
    Published,
    Search,
    Seeds,
    Series,
    Strict,
    Sweep,
    Track,
    Transfer,
    metrics_for,
    of_stage,
    optional_of_stage,
)
from vitrine.study.yaml_reader import read_yaml, words_of

Scale = Literal["smoke", "demo", "laptop", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "demo", "laptop", "paper")


class Study(Strict):
    """A study: source, label, representation, split, model, evaluation, report."""

    study: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="short name")
    title: str = Field(description="shown on top of the report")
    question: str = Field("", description="what the study asks, in a sentence or two")
    citations: tuple[str, ...] = Field((), description="DOIs of the work that the study follows")
    source: Annotated[Part, of_stage("source")] = Field(description="where the samples come from")
    unseen: Annotated[Part | None, optional_of_stage("source")] = Field(
        None, description="a second source, predicted by the trained models and never trained on"
    )
    label: Annotated[Part, of_stage("label")] = Field(description="what is learned about them")
    representation: Annotated[Part, of_stage("representation")] = Field(
        description="what the models see of them"
    )
    representations: dict[
        Annotated[str, Field(pattern=MODEL_NAME)], Annotated[Any, of_stage("representation")]
    ] = Field({}, description="others, by name; a model takes one with its key `representation`")
    tracks: tuple[Track, ...] = Field(min_length=1, description="how it is asked; the first leads the report")
    models: dict[Annotated[str, Field(pattern=MODEL_NAME)], Annotated[Any, of_stage("model")]] = Field(
        min_length=1, description="what is trained, by names of your own"
    )
    main_model: str = Field(description="the model of figures and of the unseen source")
    ship: tuple[str, ...] | None = Field(
        None, min_length=1, description="models to fit once more on all samples and keep; all by default"
    )
    evaluation: Evaluation = Field(description="what is measured")
    budget: Budget = Field(Budget(), description="what every model may have at most")
    seeds: Seeds = Field(Seeds(), description="every seed that is not a source's or a split's")
    published: tuple[Published, ...] = Field((), description="tables of the paper, shown as published")
    claims: tuple[str, ...] = Field((), description="published claims to test, by name")
    sweeps: tuple[Sweep, ...] = Field((), description="settings of the label to vary, with retraining")
    search: Search | None = Field(None, description="a grid of settings of a model")
    data_curve: DataCurve | None = Field(None, description="models retrained on less data")
    transfer: Transfer | None = Field(None, description="trained on one set, tested on others")
    series: tuple[Series, ...] = Field((), description="features followed along an attribute")
    explanations: tuple[Annotated[Any, of_stage("explanation")], ...] = Field(
        (), description="what models look at, on samples that they were not trained on"
    )
    landscape: Landscape | None = Field(None, description="the loss around trained weights")
    each_element: EachElement | None = Field(None, description="one element after the other left out")
    scale: Scale = Field("smoke", description="the scale by default; `--scale` chooses another")

    def within_budget(self) -> Study:
        """The study whose networks have no more epochs than its budget, and its precision."""
        most, precision = self.budget.epochs, self.budget.precision
        models = {}
        for name, model in self.models.items():
            changes: dict[str, Any] = {}
            if most is not None and getattr(model, "epochs", 0) > most:
                changes["epochs"] = most
            if precision is not None and hasattr(model, "precision"):
                changes["precision"] = precision
            models[name] = model.model_copy(update=changes) if changes else model
        return self.model_copy(update={"models": models})

    def of_its_source(self) -> Study:
        """The study with those published tables alone that speak of its source, all of it."""
        settings = self.source.model_dump()
        whole = settings.get("limit") is None
        kept = tuple(
            table
            for table in self.published
            if not table.of or (whole and all(settings.get(k) == v for k, v in table.of.items()))
        )
        return self if kept == self.published else self.model_copy(update={"published": kept})

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

    def asked_in(self, track: Track) -> Study:
        """The study with the label of a track, and the metrics that fit it."""
        label: Any = self.label if track.label is None else track.label
        fitting = tuple(name for name in self.evaluation.metrics if name in metrics_for(label.makes))
        if label is self.label and fitting == self.evaluation.metrics:
            return self
        evaluation = self.evaluation.model_copy(update={"metrics": fitting})
        return self.model_copy(update={"label": label, "evaluation": evaluation})

    def fitted_of(self, track: Track) -> tuple[str, ...]:
        """Names of the models that are fitted in a track: all but ensembles."""
        return tuple(name for name in self.models_of(track) if not hasattr(self.models[name], "of"))

    def shipped(self) -> tuple[str, ...]:
        """Names of the models that are fitted once more on all samples of the first track.

        Not those that only go through tracks with another label.
        """
        others = {name for track in self.tracks if track.label is not None for name in self.models_of(track)}
        own = {name for track in self.tracks if track.label is None for name in self.models_of(track)}
        return tuple(
            name
            for name in self.models
            if not hasattr(self.models[name], "of")
            and (name in own or name not in others)
            and (self.ship is None or name in self.ship)
        )

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


def load_study(
    name_or_file: str,
    scale: str | None = None,
    overrides: Sequence[str] | None = None,
    tracks: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Study:
    """A checked study from a preset name or a file.

    Parameters
    ----------
    scale: one of ``smoke``, ``demo``, ``laptop``, ``paper``; its settings override the file. By
        default the file's own ``scale``, else ``smoke``.
    overrides: ``["model.path=value", ...]`` override both; values are YAML.
    tracks, models: names of those to keep; all by default.

    Raises
    ------
    StudyError: anything wrong in the file, the scale or an override; also joints that do not fit.
    """
    from vitrine.study.choose import with_models, with_tracks
    from vitrine.study.joints import check_joints
    from vitrine.study.leave_out import follow_left_out
    from vitrine.study.overrides import apply_overrides, merge
    from vitrine.study.table_targets import follow_targets

    data, origin = read_study(name_or_file)
    layers = _layers(data.pop("scales", None), origin)
    chosen = _scale(scale, data.get("scale"), layers, origin)
    data = merge(data, layers.get(chosen, {})) | {"scale": chosen}
    apply_overrides(data, overrides or ())
    follow_left_out(data)
    follow_targets(data)
    study: Study = shelf.validate(Study, data, "")
    study = with_tracks(study, tracks) if tracks else study
    study = with_models(study, models) if models else study
    check_joints(study)
    return study.within_budget().of_its_source()


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
