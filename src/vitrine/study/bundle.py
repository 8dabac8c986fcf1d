"""The model folder: write it, read it, predict with it. Nothing in it is a pickle."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vitrine
from vitrine.campaign.store import MARKER
from vitrine.errors import DataError, StudyError
from vitrine.learn.protocol import SCALER, Model, ModelPart
from vitrine.parts import Part
from vitrine.samples import Examples, Samples
from vitrine.study import shelf
from vitrine.study.card import model_card
from vitrine.study.cross_validation import final_fold
from vitrine.study.data import folds_of
from vitrine.study.ensemble_folder import MEMBERS, copy_member, member_files
from vitrine.study.fitting import FACTS, SCORES, UNFINISHED, load_fitted
from vitrine.study.model_format import (
    CARD,
    FORMAT,
    RECIPE,
    STAGES,
    check_files,
    has_checksums,
    not_ours,
    read_recipe,
    sealed,
)
from vitrine.study.provenance import versions
from vitrine.study.result import Result
from vitrine.study.spec import Study, model_seed
from vitrine.study.yaml_reader import read_yaml, write_yaml

_OF_THE_STORE = {MARKER, SCORES, FACTS, UNFINISHED}


@dataclass(frozen=True)
class ModelFolder:
    """A trained model with everything that is needed to apply it.

    Attributes
    ----------
    folder: where it lies. name: the model's in its study. study: the study's name.
    model, label, representation: the parts, with the settings of the training.
    source: what the training samples were (elements and potential of a glass, table and target).
    target: ``binary`` or ``value``. threshold: score from which a row counts as positive.
    feature_labels: names of the features that the model was trained with, in order.
    potential_sha256: of the potential behind the training samples, if there was one.
    written_by: the version of vitrine that made it.
    verified: its files have the checksums that were written with them; false for a folder of
        format 1, which has none.
    members: of an ensemble, which is the mean of what they predict. member: whether this is one of them.
    """

    folder: Path
    name: str
    study: str
    model: ModelPart
    label: Part
    representation: Part
    source: dict[str, Any]
    target: str
    seed: int
    threshold: float
    feature_labels: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    potential_sha256: str | None = None
    written_by: str = ""
    verified: bool = True
    members: tuple[ModelFolder, ...] = ()
    member: bool = False

    def load(self) -> Model:
        """The fitted model.

        Raises
        ------
        DataError: its files are missing or broken. TypeError: an ensemble, whose members are loaded.
        """
        if self.member:
            with member_files(self.name, self.folder) as place:
                return load_fitted(place, self.model, self.target, self.seed)
        return load_fitted(self.folder, self.model, self.target, self.seed)

    def predict(self, examples: Examples, fitted: Model | None = None) -> NDArray[np.float64]:
        """``(n_rows,)``: probability of class 1, or value; ``(n_rows, classes)`` of several classes.

        fitted: the model, if it is loaded already.

        Raises
        ------
        DataError: the examples have other features than the model was trained with.
        """
        if examples.feature_labels != self.feature_labels:
            raise DataError(_other_features(self, examples))
        if self.target == "classes":
            examples = replace(examples, target_kind="classes", class_names=self.class_names)
        return (self.load() if fitted is None else fitted).predict(examples)


def _other_features(model: ModelFolder, examples: Examples) -> str:
    words = f"{model.folder}: the model {model.name} takes {len(model.feature_labels)} features"
    if len(examples.feature_labels) != len(model.feature_labels):
        return f"{words}, these examples have {len(examples.feature_labels)}"
    pairs = zip(model.feature_labels, examples.feature_labels, strict=True)
    number, (wanted, found) = next((i, pair) for i, pair in enumerate(pairs, 1) if pair[0] != pair[1])
    return f"{words}, of which number {number} is {wanted!r}; in these examples it is {found!r}"


def write_model_folder(
    folder: Path,
    study: Study,
    name: str,
    fitted: Path | Mapping[str, Path],
    samples: Samples,
    examples: Examples,
    result: Result,
    more: Callable[[Path], None] = lambda folder: None,
    members: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write one model of a run, replacing what was there.

    Parameters
    ----------
    fitted: store entry of the model that was fitted on all samples; of an ensemble by name of its members.
    samples, examples: what it was trained on. result: of the run; the model's rows go along.
    more: writes further files of the model into the folder. members: recipes of those of an ensemble.

    Raises
    ------
    DataError: the model saves files that a model folder does not hold, or a file is in its place.
    """
    temporary = folder.with_name(folder.name + ".part")
    for path in (folder, temporary):
        if path.is_file():
            raise DataError(f"{path}: a file is in the place of a model folder; move it away")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    if isinstance(fitted, Mapping):
        for member, place in fitted.items():
            copy_member(member, place, temporary, _OF_THE_STORE)
    else:
        for path in fitted.iterdir():
            if path.name not in _OF_THE_STORE:
                shutil.copyfile(path, temporary / path.name)
    more(temporary)
    rows = [asdict(r) for r in result.rows if r.model == name]
    (temporary / "metrics.json").write_text(json.dumps({"rows": rows}, indent=1), encoding="utf-8")
    lines = [f"{package}=={number}" for package, number in versions().items() if package != "python"]
    (temporary / "environment.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_splits(temporary / "splits.csv", study, samples, examples)
    (temporary / CARD).write_text(model_card(study, name, samples, examples, result), encoding="utf-8")
    # as it will be read, so that its own checksum holds
    written = _recipe(study, name, temporary, samples, examples)
    if members:
        written[MEMBERS] = [dict(recipe) for recipe in members]
    recipe = read_yaml(write_yaml(written))
    (temporary / RECIPE).write_text(write_yaml(sealed(recipe, temporary)), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def _recipe(study: Study, name: str, folder: Path, samples: Samples, examples: Examples) -> dict[str, Any]:
    """Everything of ``model.yaml`` but the checksums."""
    parts = {
        "model": study.models[name],
        "label": study.label,
        "representation": study.representation_of(name),
    }
    about = json.loads(json.dumps(samples.about, default=str))
    return {
        "format": FORMAT,
        "vitrine": vitrine.__version__,
        "name": name,
        "study": study.study,
        "scale": study.scale,
        **{stage: part.model_dump(mode="json") for stage, part in parts.items()},
        "versions": {stage: part.version for stage, part in parts.items()},
        "packages": {
            stage: package
            for stage, part in parts.items()
            if (package := shelf.package_of(stage, part.kind)) is not None
        },
        "feature_labels": list(examples.feature_labels),
        "normalisation": _normalisation(folder),
        "target": examples.target_kind,
        "class_names": _class_names(study, samples, examples),
        "threshold": study.evaluation.threshold,
        "seed": model_seed(study, 0),
        "source": about,
        "data": {
            "samples": len(samples),
            "groups": len(set(samples.groups)),
            "rows": examples.n_rows,
            "examples_sha256": examples.digest(),
            "file_sha256": about.get("sha256"),
            "potential_sha256": about.get("potential_sha256"),
        },
    }


def _class_names(study: Study, samples: Samples, examples: Examples) -> list[str]:
    """Of several classes, and of two where the label names them."""
    label: Any = study.label
    if examples.target_kind == "binary" and hasattr(label, "class_names"):
        return [str(name) for name in label.class_names(samples)]
    return list(examples.class_names)


def _normalisation(folder: Path) -> str | None:
    """The file that holds means and spreads of the features; None if the model uses them as they are."""
    if (folder / SCALER).is_file():
        return SCALER
    estimators = sorted(folder.glob("*.skops"))
    return f"{estimators[0].name} (a step of the estimator, if it has one)" if estimators else None


def _write_splits(path: Path, study: Study, samples: Samples, examples: Examples) -> None:
    """Which fold tested each sample (none is empty), and which only decided when training stopped."""
    folds = folds_of(study.tracks[0].split, samples, examples)
    final = final_fold(study, folds)
    trained, stopping = set(final.train.tolist()), set(final.validation.tolist())
    fold_of: dict[int, int] = {}
    for number, fold in enumerate(folds):
        fold_of |= dict.fromkeys(fold.test.tolist(), number)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "group", "tested_in_fold", "role_in_this_model"])
        for i, (name, group) in enumerate(zip(samples.ids, samples.groups, strict=True)):
            role = "validation" if i in stopping else "train" if i in trained else "left out (budget)"
            writer.writerow([name, group, fold_of.get(i, ""), role])


def load_model(folder: Path) -> ModelFolder:
    """Read a model folder and compare its files with their checksums.

    Raises
    ------
    DataError: not a model folder, one of a newer format, made with other versions of the parts than
        those of this vitrine, or changed since it was written.
    """
    path = folder / RECIPE
    recipe = read_recipe(folder)
    try:
        parts = {stage: _part(stage, recipe, path) for stage in STAGES}
        check_files(recipe, folder)
        model = parts["model"]
        assert isinstance(model, ModelPart)
        found = ModelFolder(
            folder=folder,
            name=str(recipe["name"]),
            study=str(recipe["study"]),
            model=model,
            label=parts["label"],
            representation=parts["representation"],
            source=dict(recipe["source"]),
            target=str(recipe["target"]),
            seed=int(recipe["seed"]),
            threshold=float(recipe["threshold"]),
            feature_labels=tuple(recipe["feature_labels"]),
            class_names=tuple(str(name) for name in recipe.get("class_names", ())),
            potential_sha256=recipe["data"]["potential_sha256"],
            written_by=str(recipe["vitrine"]),
            verified=has_checksums(recipe),
        )
        of_members = recipe.get(MEMBERS, ())
        return replace(found, members=tuple(_member(found, recipe, own, path) for own in of_members))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(path, error) from error


def _member(whole: ModelFolder, recipe: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> ModelFolder:
    """One member of an ensemble, whose files lie beside those of the others."""
    shared = {key: recipe[key] for key in ("vitrine", "study") if key in recipe}
    said = {**own, **shared, "scale": recipe.get("scale", "smoke")}
    model = _part("model", said, path)
    assert isinstance(model, ModelPart)
    return replace(
        whole,
        name=str(own["name"]),
        model=model,
        representation=_part("representation", said, path),
        seed=int(own["seed"]),
        feature_labels=tuple(own["feature_labels"]),
        member=True,
    )


def _part(stage: str, recipe: Mapping[str, Any], path: Path) -> Part:
    """The part with its settings, if it still is the one that the model was made with."""
    package = recipe.get("packages", {}).get(stage)
    try:
        part = shelf.parse(stage, recipe[stage], stage)
    except StudyError as error:
        hint = "" if package is None else f"\nThe {stage} came from {package}; install that package"
        raise DataError(f"{path}: {error}{hint}") from error
    then, now = recipe["versions"][stage], part.version
    if then != now:
        made_by = package or f"vitrine {recipe['vitrine']}"
        raise DataError(
            f"{path}: made with version {then} of the {stage} {recipe[stage]['kind']!r} ({made_by}), here it "
            f"is version {now}, which gives other results; apply the model with {made_by}, or make it "
            f"again: vitrine run {recipe['study']} --scale {recipe.get('scale', 'smoke')}"
        )
    return part
