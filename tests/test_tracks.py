"""Tracks with names and samples of their own, models with representations of their own."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import vitrine
from study_cases import Case
from vitrine.errors import StudyError
from vitrine.study.yaml_reader import write_yaml

OXIDES: dict[str, Any] = {
    "study": "oxides",
    "title": "Two tables, two representations",
    "source": {"kind": "table", "table": "oxides.csv", "target": "gap"},
    "label": {"kind": "column"},
    "representation": {"kind": "elemental-fractions", "elements": "all"},
    "representations": {"elemnet": {"kind": "elemental-fractions", "elements": "elemnet"}},
    "tracks": [
        {"split": {"kind": "grouped", "folds": 3}},
        {
            "name": "sulfides",
            "split": {"kind": "grouped", "folds": 3},
            "source": {"kind": "table", "table": "sulfides.csv", "target": "gap"},
            "models": ["mean", "small"],
        },
        {"name": "leaky", "split": {"kind": "random", "folds": 3}, "models": ["mean", "wide"]},
    ],
    "models": {
        "mean": {"kind": "mean"},
        "wide": {"kind": "ridge"},
        "small": {"kind": "ridge", "representation": "elemnet"},
    },
    "main_model": "wide",
    "evaluation": {"metrics": ["mae"], "resamples": 20, "shuffled_labels": "small"},
}
METALS = ("Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Cu", "Ag", "Al")


def _table(path: Path, anion: str, shift: float) -> None:
    rows = [f"{metal}{n}{anion},{shift + 0.1 * i + n}" for i, metal in enumerate(METALS) for n in (1, 2)]
    path.write_text("formula,gap\n" + "\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("tracks")
    _table(here / "oxides.csv", "O", 0.0)
    _table(here / "sulfides.csv", "S", 10.0)
    study = copy.deepcopy(OXIDES)
    study["source"]["table"] = str(here / "oxides.csv")
    study["tracks"][1]["source"]["table"] = str(here / "sulfides.csv")
    (here / "oxides.yaml").write_text(write_yaml(study))
    vitrine.run(vitrine.load_study(here / "oxides.yaml"), here / "run", store=here / "store")
    return here


def test_each_track_has_its_samples_and_its_name(folder: Path) -> None:
    files = {path.stem: pd.read_parquet(path) for path in (folder / "run" / "predictions").iterdir()}
    assert set(files) == {"grouped", "sulfides", "leaky"}
    assert set(files["sulfides"].columns) == {"id", "group", "truth", "mean", "small", "shuffled_labels"}
    assert set(files["leaky"].columns) == {"id", "group", "truth", "mean", "wide"}
    assert files["sulfides"]["truth"].min() > 10 > files["grouped"]["truth"].max()
    assert files["sulfides"]["id"].str.startswith("sulfides:").all()
    pd.testing.assert_series_equal(files["leaky"]["truth"], files["grouped"]["truth"])
    assert files["grouped"].notna().all().all(), "every sample is tested once"


def test_rows_and_provenance_speak_of_each_track(folder: Path) -> None:
    rows = json.loads((folder / "run" / "metrics.json").read_text())["rows"]
    models = {(row["track"], row["model"]) for row in rows if row["where"].get("difference") is None}
    assert models == {
        *(("grouped", name) for name in ("mean", "wide", "small", "shuffled_labels")),
        *(("sulfides", name) for name in ("mean", "small", "shuffled_labels")),
        *(("leaky", name) for name in ("mean", "wide")),
    }
    provenance = json.loads((folder / "run" / "provenance.json").read_text())
    assert set(provenance["tracks"]) == {"sulfides"}, "the leaky track has the samples of the first"
    assert provenance["tracks"]["sulfides"]["examples_sha256"] != provenance["examples_sha256"]
    report = (folder / "run" / "report.html").read_text()
    assert "sulfides" in report and "leaky" in report and "representation: elemnet" in report


def test_a_model_folder_holds_the_representation_of_its_model(folder: Path) -> None:
    for name, elements in (("small", "elemnet"), ("wide", "all")):
        model = vitrine.load_model(folder / "run" / "models" / name)
        assert model.representation.elements == elements  # type: ignore[attr-defined]
        recipe = yaml.safe_load((folder / "run" / "models" / name / "model.yaml").read_text())
        assert len(recipe["feature_labels"]) == (86 if elements == "elemnet" else 118)


def test_resolved_study_gives_the_same_study(folder: Path) -> None:
    first = vitrine.load_study(folder / "oxides.yaml")
    again = vitrine.load_study(folder / "run" / "study.yaml")
    assert again == first and again.tracks[1].title == "sulfides"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("models.small.representation", "elemnets", ["models.small.representation", "'elemnet'?"]),
        ("tracks.1.name", None, ["tracks: 'grouped' stands twice", "a name of its own"]),
        ("tracks.1.name", "a/b", ["tracks.1.name"]),
        ("tracks.1.source", {"kind": "released-glass"}, ["tracks.1.source", "yields atoms"]),
        ("tracks.1.source", {"kind": "tabel"}, ["tracks.1.source.kind", "did you mean 'table'?"]),
        ("representations.graph", {"kind": "voronoi-graph"}, ["representations.graph", "takes atoms"]),
        ("representations", {"a b": {"kind": "elemental-fractions"}}, ["representations"]),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(
    path: str, value: Any, words: list[str], tmp_path: Path
) -> None:
    data = copy.deepcopy(OXIDES)
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    here: Any = data
    for step in steps:
        here = here[step]
    here[last] = value
    said = Case(tmp_path).words(data)
    assert all(word in said for word in words), said


def test_claims_need_their_models_on_the_first_track(tmp_path: Path) -> None:
    data = copy.deepcopy(OXIDES) | {"claims": ["network-beats-trees"]}
    with pytest.raises(StudyError, match="random_forest"):
        Case(tmp_path).load(data)
