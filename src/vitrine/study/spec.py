"""The study file: pydantic, strict. A study is one sentence from source to report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from vitrine.errors import StudyError, did_you_mean
from vitrine.parts import Part
from vitrine.study import shelf
from vitrine.study.yaml_reader import read_yaml

Scale = Literal["smoke", "demo", "laptop", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "demo", "laptop", "paper")


def _part(stage: str) -> BeforeValidator:
    def check(value: Any, info: ValidationInfo) -> Any:
        return None if value is None else shelf.parse(stage, value, str(info.field_name))

    return BeforeValidator(check)


def _models(value: Any) -> Any:
    if not isinstance(value, Mapping) or not value:
        raise StudyError("models: expected a mapping of names to models, at least one")
    return {str(name): shelf.parse("model", part, f"models.{name}") for name, part in value.items()}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Track(_Strict):
    """One way to split the samples, and which models go through it."""

    split: Annotated[Part, _part("split")]
    models: tuple[str, ...] | None = Field(None, description="names of models; all by default")


class Evaluation(_Strict):
    """What is measured on out-of-fold predictions."""

    metrics: tuple[str, ...] = Field(min_length=1, description="names of metrics, in the order shown")
    threshold: float = Field(0.5, ge=0, le=1, description="score from which a row counts as positive")
    published_prevalence: float | None = Field(
        None, gt=0, lt=1, description="also quote metrics re-weighted to this fraction of positives"
    )
    shuffled_labels: str | None = Field(None, description="model trained on shuffled labels, as a null")
    resamples: int = Field(1000, ge=10, description="bootstrap resamples of groups")


class Seeds(_Strict):
    """Every seed, one per stage (sources and splits carry their own)."""

    model: int = Field(0, ge=0, description="initial weights, order of batches, random trees")
    shuffle: int = Field(0, ge=0, description="of the label-shuffle null")
    bootstrap: int = Field(0, ge=0, description="of the intervals")


class Published(_Strict):
    """A table of the paper, and which of its rows stands beside which of our models."""

    title: str
    source: str
    metrics: tuple[str, ...]
    rows: dict[str, dict[str, float]]
    beside: dict[str, str] = Field(default_factory=dict, description="our model -> row of this table")
    track: str | None = Field(None, description="track of ours that it stands beside; all by default")


class Study(_Strict):
    """A study: source, label, representation, split, model, evaluation, report."""

    study: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="short name")
    title: str = Field(description="shown on top of the report")
    question: str = Field("", description="what the study asks, in a sentence or two")
    citations: tuple[str, ...] = Field((), description="DOIs of the work that the study follows")
    source: Annotated[Part, _part("source")]
    unseen: Annotated[Part | None, _part("source")] = Field(
        None, description="a second source, predicted by the trained models and never trained on"
    )
    label: Annotated[Part, _part("label")]
    representation: Annotated[Part, _part("representation")]
    tracks: tuple[Track, ...] = Field(min_length=1)
    models: Annotated[dict[str, Any], BeforeValidator(_models)]
    main_model: str = Field(description="the model of figures and of the unseen source")
    evaluation: Evaluation
    seeds: Seeds = Seeds()
    published: tuple[Published, ...] = ()
    claims: tuple[str, ...] = Field((), description="published claims to test, by name")
    scale: Scale = "smoke"

    def resolved(self) -> dict[str, Any]:
        """Plain data that YAML can hold; reading it back gives the same study."""
        data: dict[str, Any] = {}
        for name in type(self).model_fields:
            data[name] = _plain(getattr(self, name))
        return data


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {name: _plain(getattr(value, name)) for name in fields}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def preset_names() -> list[str]:
    """Names of the studies that ship with vitrine."""
    return sorted(path.stem for path in _presets().glob("*.yaml"))


def _presets() -> Path:
    return Path(__file__).parent / "presets"


def preset_text(name: str) -> str:
    """The study file of a preset, as written.

    Raises
    ------
    StudyError: there is no such study.
    """
    path = _presets() / f"{name}.yaml"
    if name not in preset_names():
        raise StudyError(f"no study {name!r}{did_you_mean(name, preset_names())}, or give a study file (.yaml)")
    return path.read_text(encoding="utf-8")


def read_study(name_or_file: str) -> tuple[dict[str, Any], str]:
    """The raw mapping of a preset or of a study file, and where it came from.

    Raises
    ------
    StudyError: no such file, not YAML, or not a mapping.
    """
    path = Path(name_or_file)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise StudyError(f"{path}: no such study file")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(f"{path}: cannot be read as text: {error}") from error
    else:
        text = preset_text(name_or_file)
    try:
        data = read_yaml(text)
    except yaml.YAMLError as error:
        raise StudyError(f"{name_or_file}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise StudyError(f"{name_or_file}: a study file is a mapping of keys, got {type(data).__name__}")
    return data, name_or_file


def load_study(
    name_or_file: str, scale: str | None = None, overrides: list[str] | None = None
) -> Study:
    """A checked study from a preset name or a file.

    Parameters
    ----------
    scale: one of ``smoke``, ``demo``, ``laptop``, ``paper``; its settings override the file.
    overrides: ``["model.path=value", ...]`` override both; values are YAML.

    Raises
    ------
    StudyError: anything wrong in the file, the scale or an override; also joints that do not fit.
    """
    from vitrine.study.joints import check_joints
    from vitrine.study.overrides import apply_override, merge

    data, origin = read_study(name_or_file)
    scales = data.pop("scales", None) or {}
    if not isinstance(scales, Mapping):
        raise StudyError(f"{origin}: scales must be a mapping of scale names to settings")
    strange = [name for name in scales if name not in SCALES]
    if strange:
        raise StudyError(f"{origin}: scales.{strange[0]}: no such scale{did_you_mean(str(strange[0]), SCALES)}")
    chosen = scale or str(data.get("scale", "smoke"))
    if chosen not in SCALES:
        raise StudyError(f"no scale {chosen!r}{did_you_mean(chosen, SCALES)}")
    data = merge(data, scales.get(chosen) or {}) | {"scale": chosen}
    for text in sorted(overrides or [], key=lambda t: not t.split("=")[0].strip().endswith("kind")):
        apply_override(data, text)
    study: Study = shelf.validate(Study, data, "")
    check_joints(study)
    return study
