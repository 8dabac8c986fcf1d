"""The model folder: write it, read it, predict with it. Nothing in it is a pickle."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

import vitrine
from vitrine.errors import DataError, StudyError
from vitrine.learn.protocol import Model, ModelPart
from vitrine.parts import Part
from vitrine.samples import Examples, Samples
from vitrine.study import shelf
from vitrine.study.fitting import load_fitted
from vitrine.study.provenance import versions
from vitrine.study.result import Result
from vitrine.study.spec import Study, model_seed
from vitrine.study.yaml_reader import read_yaml, write_yaml

FORMAT = 1
"""version of the model folder"""
RECIPE = "model.yaml"
_OF_THE_STORE = {"entry.json", "scores.npz", "facts.json"}


@dataclass(frozen=True)
class ModelFolder:
    """A trained model with everything that is needed to apply it.

    source: what the training samples were (elements and potential of a glass, table and target).
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

    def load(self) -> Model:
        """The fitted model.

        Raises
        ------
        DataError: its files are missing or broken.
        """
        return load_fitted(self.folder, self.model, self.target, self.seed)

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """``(n_rows,)``: probability of class 1, or value."""
        return self.load().predict(examples)


def write_model_folder(
    folder: Path,
    study: Study,
    name: str,
    fitted: Path,
    samples: Samples,
    examples: Examples,
    result: Result,
) -> None:
    """Write one model of a run, replacing what was there."""
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for path in fitted.iterdir():
        if path.name not in _OF_THE_STORE:
            shutil.copyfile(path, temporary / path.name)
    resolved = study.resolved()
    recipe = {
        "format": FORMAT,
        "vitrine": vitrine.__version__,
        "name": name,
        "study": study.study,
        "scale": study.scale,
        "model": resolved["models"][name],
        "label": resolved["label"],
        "representation": study.representation_of(name).model_dump(mode="json"),
        "feature_labels": list(examples.feature_labels),
        "target": examples.target_kind,
        "threshold": study.evaluation.threshold,
        "seed": model_seed(study, 0),
        "source": json.loads(json.dumps(samples.about, default=str)),
        "examples_sha256": examples.digest(),
    }
    text = write_yaml(recipe)
    (temporary / RECIPE).write_text(text, encoding="utf-8")
    rows = [asdict(row) for row in result.rows if row.model == name]
    (temporary / "metrics.json").write_text(json.dumps({"rows": rows}, indent=1), encoding="utf-8")
    lines = [f"{package}=={number}" for package, number in versions().items() if package != "python"]
    (temporary / "environment.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_splits(temporary / "splits.csv", study, samples)
    (temporary / "README.md").write_text(_card(study, name, samples, result), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def _write_splits(path: Path, study: Study, samples: Samples) -> None:
    """Which fold tested each sample, and which samples only decided when training stopped."""
    split: Any = study.tracks[0].split
    folds = split.folds_of(samples.groups)
    fold_of = np.zeros(len(samples), dtype=int)
    for number, fold in enumerate(folds):
        fold_of[fold.test] = number
    stopping = set(folds[0].validation.tolist())
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "group", "tested_in_fold", "role_in_this_model"])
        for i, (name, group) in enumerate(zip(samples.ids, samples.groups, strict=True)):
            writer.writerow([name, group, fold_of[i], "validation" if i in stopping else "train"])


def _card(study: Study, name: str, samples: Samples, result: Result) -> str:
    """A model card as model hubs read it."""
    front = {
        "library_name": "vitrine",
        "tags": ["materials-science", study.study, study.models[name].kind],
        "license": "mit",
    }
    lines = ["---", write_yaml(front).strip(), "---", ""]
    lines += [f"# {name} of {study.study}", "", study.question, ""]
    lines += [
        f"Trained by vitrine {vitrine.__version__} at scale `{study.scale}` on {len(samples)} samples in "
        f"{len(set(samples.groups))} groups. Apply it with `vitrine predict {name} FILE`, where `{name}` is "
        "the path of this folder.",
        "",
        "Cross-validated, on samples that were not trained on (the shipped weights saw all of them):",
        "",
        "| track | metric | value | 95 % interval | where |",
        "|---|---|---|---|---|",
    ]
    for row in result.rows:
        if row.model == name and row.value is not None and "difference" not in row.where:
            interval = "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"
            where = ", ".join(f"{key} {value}" for key, value in row.where.items())
            lines.append(f"| {row.track} | {row.metric} | {row.value:.4g} | {interval} | {where} |")
    return "\n".join(lines) + "\n"


def load_model(folder: Path) -> ModelFolder:
    """Read a model folder.

    Raises
    ------
    DataError: not a model folder, or one of another format version.
    """
    path = folder / RECIPE
    if not path.is_file():
        raise DataError(
            f"{folder} is not a model folder: it holds no {RECIPE}; "
            "model folders are in <run folder>/models/<model>"
        )
    try:
        recipe = read_yaml(path.read_text(encoding="utf-8"))
        if recipe["format"] != FORMAT:
            raise DataError(
                f"{path}: model folder format {recipe['format']!r}, but this vitrine "
                f"({vitrine.__version__}) reads format {FORMAT}; use the version that wrote it, "
                f"{recipe['vitrine']}"
            )
        model = shelf.parse("model", recipe["model"], "model")
        assert isinstance(model, ModelPart)
        return ModelFolder(
            folder=folder,
            name=str(recipe["name"]),
            study=str(recipe["study"]),
            model=model,
            label=shelf.parse("label", recipe["label"], "label"),
            representation=shelf.parse("representation", recipe["representation"], "representation"),
            source=dict(recipe["source"]),
            target=str(recipe["target"]),
            seed=int(recipe["seed"]),
            threshold=float(recipe["threshold"]),
        )
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise DataError(
            f"{path} is not a recipe written by vitrine: {type(error).__name__} {error}"
        ) from error
    except StudyError as error:
        raise DataError(f"{path}: {error}") from error
