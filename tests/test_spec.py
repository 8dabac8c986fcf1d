"""The study file: what is right is loaded, what is wrong is named with what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from study_cases import GLASS, TABLE, Case, with_
from vitrine.errors import StudyError
from vitrine.study.spec import SCALES, load_study, preset_names, preset_text
from vitrine.study.yaml_reader import write_yaml


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


# what is right


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", preset_names())
def test_presets_load_at_every_scale_and_survive_yaml(name: str, scale: str, tmp_path: Path) -> None:
    study = load_study(name, scale)
    assert (study.study, study.scale) == (name, scale)
    for write in (write_yaml, yaml.safe_dump):
        path = tmp_path / "resolved.yaml"
        path.write_text(write(study.resolved()))
        assert load_study(str(path)) == study
        assert load_study(str(path), scale) == study


def test_a_scale_lies_over_the_file(case: Case) -> None:
    assert case.load().scale == "smoke"
    assert case.load().source.specimens == 2
    assert case.load(GLASS, "demo").source.specimens == 4
    paper = case.load(GLASS, "paper")
    assert (paper.source.kind, paper.source.specimens) == ("released-glass", None), "another kind starts anew"
    assert list(paper.models) == ["chance", "gat"], "a null takes a model away"
    assert case.load(with_("scale", "demo")).scale == "demo"


def test_a_file_is_not_run_at_a_scale_that_it_does_not_know(case: Case) -> None:
    """A run would carry the name of a scale without its settings."""
    assert "says nothing about the scale 'laptop'; its scales: demo, paper, smoke" in case.words(
        GLASS, "laptop"
    )
    resolved = case.load(GLASS, "demo").resolved()
    assert "its scales: demo" in case.words(resolved, "paper")


# what is wrong in a file


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("sorce", "sorce: no such key; did you mean 'source'?"),
        ("source.atom", "source.atom: no such key; did you mean 'atoms'?"),
        ("source.name", "source.name: no such key"),
        ("label.treshold", "label.treshold: no such key; did you mean 'threshold'?"),
        ("representation.feature", "representation.feature: no such key; did you mean 'features'?"),
        ("tracks.0.modles", "tracks.0.modles: no such key; did you mean 'models'?"),
        ("tracks.1.split.fold", "tracks.1.split.fold: no such key; did you mean 'folds'?"),
        ("models.gat.head", "models.gat.head: no such key; did you mean 'heads'?"),
        ("evaluation.metrcs", "evaluation.metrcs: no such key; did you mean 'metrics'?"),
        ("seeds.modle", "seeds.modle: no such key; did you mean 'model'?"),
        ("published.0.titel", "published.0.titel: no such key; did you mean 'title'?"),
        ("scales.papr", "scales.papr: no such scale; did you mean 'paper'?"),
        ("scales.laptop", "scales.laptop: expected a mapping"),
        ("scales.paper.sorce", "scales.paper.sorce: no such key; did you mean 'source'?"),
    ],
)
def test_an_unknown_key_is_said_at_every_level(case: Case, path: str, words: str) -> None:
    assert words in case.words(with_(path, 3), "demo")


def test_a_key_of_another_kind_is_said_to_be_one(case: Case) -> None:
    said = case.words(with_("source.name", "x"), "demo")
    assert "(kind 'released-glass' or 'released-liquids' or 'released-dislocations' has it)" in said


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("source", 5, "source: expected a mapping with a key 'kind', got 5"),
        ("source", {"specimens": 3}, "source.kind: is missing; known: "),
        ("source", {"kind": 5}, "source.kind: must be a name, got 5"),
        ("source.kind", "metalic-glass", "source.kind: no source of kind 'metalic-glass'; did you mean"),
        ("source.specimens", 0, "source.specimens: Input should be greater than or equal to 1, got 0"),
        ("source.specimens", "many", "source.specimens: Input should be a valid integer"),
        ("source.quench_rate", float("inf"), "source.quench_rate: Input should be a finite number"),
        ("source.fractions", [0.5], "source: elements and fractions must have the same length"),
        ("label", None, "label: expected a mapping"),
        ("models", {}, "models: "),
        ("models", [], "models: "),
        ("models.gat", None, "models.gat: expected a mapping"),
        ("models.gat.kind", "gta", "models.gat.kind: no model of kind 'gta'; did you mean 'gat'?"),
        ("models.../evil", {"kind": "chance"}, "models"),
        ("models.a b", {"kind": "chance"}, "models.a b"),
        ("models.truth", {"kind": "chance"}, "models.truth: this name is taken"),
        ("models.shuffled_labels", {"kind": "chance"}, "models.shuffled_labels: this name is taken"),
        ("tracks", [], "tracks: "),
        ("tracks.0", 5, "tracks.0: "),
        ("tracks.0.models", [], "tracks.0.models: "),
        ("tracks.0.split.folds", 1, "tracks.0.split.folds: "),
        ("tracks.1.models", ["chance", "logstic", "gat"], "tracks.1.models: no model 'logstic' in"),
        ("tracks.1.models", ["chance", "chance"], "tracks.1.models: 'chance' stands twice"),
        ("tracks.0.models", ["chance"], "tracks.0.models: the main model 'gat' must be among them"),
        ("tracks.1.split.kind", "grouped", "tracks: 'grouped' stands twice"),
        ("main_model", "gatt", "main_model: no model 'gatt' in models; did you mean 'gat'?"),
        ("evaluation.shuffled_labels", "forest", "evaluation.shuffled_labels: no model 'forest'"),
        ("evaluation.metrics", ["mae"], "evaluation.metrics: 'mae' does not fit a target of kind 'binary'"),
        ("evaluation.metrics", ["roc_acu"], "did you mean 'roc_auc'?"),
        ("evaluation.metrics", ["recall", "recall"], "evaluation.metrics: 'recall' stands twice"),
        ("evaluation.threshold", 2, "evaluation.threshold: "),
        ("claims", ["imbalance-flaters"], "claims: no claim of kind 'imbalance-flaters'; did you mean"),
        ("study", "../up", "study: "),
        ("scale", "papr", "no scale 'papr'; did you mean 'paper'?"),
        ("scales", [1], "scales: expected a mapping"),
        ("published.0.beside", {"gat": "AUC (1)"}, "published.0.beside.gat: no row 'AUC (1)'"),
        ("published.0.rows", {"AUC (4, 15, 9)": {"f1": 1}}, "'f1' is not among the metrics of the table"),
        ("published.0.track", "grupped", "published.0.track: no track 'grupped'; did you mean 'grouped'?"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_path(case: Case, path: str, value: Any, words: str) -> None:
    data = with_(path, value) if "../" not in path else with_("models", {**GLASS["models"], "../evil": value})
    assert words in case.words(data, None if path == "scale" else "demo")


def test_all_that_is_wrong_is_said_at_once(case: Case) -> None:
    data = with_("source.specimens", 0) | {"titel": 1}
    data["models"]["gat"]["head"] = 1
    words = case.words(data, "demo").splitlines()
    assert len(words) == 3 and [line.split(":")[0] for line in words] == [
        "source.specimens",
        "models.gat.head",
        "titel",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"representation": {"kind": "elemental-fractions"}},
         "source 'metallic-glass' yields atoms, but representation 'elemental-fractions' takes formulas; "
         "fitting representations: voronoi-graph"),
        ({"label": {"kind": "column"}}, "label 'column' takes formulas; fitting labels: first-event"),
        ({"unseen": {"kind": "table", "table": "a.csv"}}, "unseen 'table' yields formulas, but label"),
        (TABLE | {"models": {"logistic": {"kind": "logistic"}}},
         "models.logistic: 'logistic' cannot learn a target of kind 'value'; fitting models: "),
        (TABLE | {"models": {"gat": {"kind": "gat"}}},
         "models.gat: 'gat' takes graphs, but representation 'elemental-fractions' makes vectors; fitting m"),
        (TABLE | {"evaluation": {"metrics": ["mae"], "published_prevalence": 0.1}},
         "published_prevalence: only a binary target has positives"),
    ],
)  # fmt: skip
def test_joints_that_do_not_fit_name_what_would(case: Case, changes: dict[str, Any], words: str) -> None:
    assert words in case.words(GLASS | changes, "demo")


# what is no study file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty; a study file is a mapping"),
        ("# only a comment\n", "is empty"),
        ("- a\n- b\n", "holds a list"),
        ("just words", "holds a str"),
        ("study: a\nstudy: b\n", "my-study.yaml: not valid YAML: key 'study' stands twice (line 2)"),
        ("study: [1\n", "not valid YAML: expected ',' or ']', but got '<stream end>' (line 2, column 1)"),
        ("study: !!python/object/apply:os.system ['true']", "is not of plain data"),
        ("a: &a [*a]", "an alias inside its own anchor"),
        ("study: a", "title: is missing"),
        ("{1: a, 2: b}", "1: Keys should be strings"),
    ],
    ids=lambda text: repr(text[:24]),
)  # fmt: skip
def test_what_is_no_study_is_said(case: Case, text: str, words: str) -> None:
    assert words in case.words(text)


def test_what_is_no_text_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\x89HDF\r\n\x1a\n\x00\xff")
    (tmp_path / "folder.yaml").mkdir()
    said = {
        "binary.yaml": "not a text in UTF-8",
        "folder.yaml": "Is a directory",
        "none.yaml": "No such file",
        "none.yml": "No such file",
        "none": "no study",
        "x" * 300: "File name too long",
    }
    for name, words in said.items():
        with pytest.raises(StudyError, match=words):
            load_study(str(tmp_path / name))


def test_a_preset_goes_before_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = preset_names()[0]
    (tmp_path / name).mkdir()
    assert load_study(name).study == name
    with pytest.raises(StudyError, match=f"did you mean '{name}'"):
        preset_text(name[:-1])


def test_a_byte_order_mark_does_no_harm(case: Case) -> None:
    case.path.write_text("\ufeff" + write_yaml(GLASS), encoding="utf-8")
    assert load_study(str(case.path)).study == "my-glass"
