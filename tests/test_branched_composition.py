"""branched-composition: budget, trials, costs, claims; what a model of formulas says beside a prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vitrine
from vitrine.errors import DataError, StudyError
from vitrine.evaluate.splits import Fold
from vitrine.learn.baselines import GradientBoosting
from vitrine.physics.formulas import parse_formula, reduced_formula
from vitrine.study.composition_reference import Compositions, TrainingReference, told_of
from vitrine.study.cross_validation import within
from vitrine.study.leaks import leak_note, leaked_share
from vitrine.study.result import Result
from vitrine.study.spec import Study, load_study

SMALL: dict[str, Any] = {
    "models.random_forest.trees": 10,
    "models.gradient_boosting.iterations": 20,
    "models.attributes_boosting.iterations": 20,
    "models.brnet_1_1_1_1.epochs": 1,
    "models.element_attention.width": 16,
    "models.element_attention.trunk": [32, 16],
    "models.ensemble.of": ["element_attention", "attributes_boosting"],
    "evaluation.resamples": 50,
    "seeds.repeats": 2,
    "data_curve.groups": [60, 120],
    "data_curve.models": ["brnet", "gradient_boosting"],
}
MODELS = (
    "mean", "random_forest", "gradient_boosting", "attributes_boosting", "brnet", "brnet_1_1_1_1", "ibrnet",
    "element_attention", "ensemble",
)  # fmt: skip


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> tuple[Study, Result, Path]:
    study = vitrine.load_study(
        "branched-composition", "smoke", SMALL, tracks=["grouped", "random"], models=MODELS
    )
    folder = tmp_path_factory.mktemp("branched") / "run"
    return study, vitrine.run(study, folder, workers=0, store=shared_store), folder


def one(result: Result, model: str, metric: str, track: str = "grouped", **where: object) -> Any:
    (row,) = (
        row
        for row in result.rows
        if (row.track, row.model, row.metric) == (track, model, metric)
        and {k: v for k, v in row.where.items() if k != "seeds"} == where
    )
    return row


# the run


def test_every_model_has_error_cost_and_coverage(small_run: tuple[Study, Result, Path]) -> None:
    study, result, _ = small_run
    assert list(study.models) == list(MODELS)
    for model in MODELS:
        row = one(result, model, "mae")
        assert row.low < row.value < row.high or model == "mean"
        assert row.unit == "eV/atom" and row.n == 128
        assert 0 <= one(result, model, "coverage", interval="conformal 95 %").value <= 1
        assert one(result, model, "interval_half_width", interval="conformal 95 %").unit == "eV/atom"
    assert one(result, "brnet", "mae").where["seeds"] == [0, 1]
    assert one(result, "brnet", "parameters").value == 4_679_457
    assert one(result, "brnet_1_1_1_1", "epochs").value == 1
    assert one(result, "ibrnet", "epochs").value == 2


def test_costs_stand_in_one_table(small_run: tuple[Study, Result, Path]) -> None:
    _, result, folder = small_run
    table = result.tables[0]
    assert table.title == "What it costs: grouped"
    assert (
        table.columns[0] == "model"
        and table.columns[1] == "MAE [eV/atom]"
        and table.columns[-1] == "minus brnet"
    )
    lines = {line[0]: line for line in table.rows}
    assert set(lines) == set(MODELS)
    assert lines["brnet"][2] == "4,679,457" and lines["brnet"][3] == "2" and lines["brnet"][-1] == ""
    assert float(lines["brnet"][4]) > 0 and float(lines["random_forest"][5]) > 0
    members = [float(lines[name][4]) for name in ("element_attention", "attributes_boosting")]
    assert float(lines["ensemble"][4]) == pytest.approx(sum(members), abs=0.2), (
        "what its members cost together"
    )
    assert "at most 100,000 training rows, at most 2 epochs and one setting" in table.note
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "What it costs: grouped" in html and "4,679,457" in html
    assert any(figure.name == "grouped-parameters" for figure in result.figures)


def test_the_curve_is_of_a_split_that_tests_one_set(small_run: tuple[Study, Result, Path]) -> None:
    _, result, _ = small_run
    for count in (60, 120):
        row = one(result, "brnet", "mae", training_groups=count)
        assert row.n == 128 and row.unit == "eV/atom"
        words = "this model minus brnet"
        difference = one(result, "gradient_boosting", "mae", training_groups=count, difference=words)
        apart = (
            one(result, "gradient_boosting", "mae", training_groups=count).value
            - one(result, "brnet", "mae", training_groups=count).value
        )
        assert difference.value == pytest.approx(apart, abs=1e-12) and difference.unit == "eV/atom"
    assert any(figure.name == "grouped-data-curve" for figure in result.figures)


def test_claims_are_judged_on_differences(small_run: tuple[Study, Result, Path]) -> None:
    _, result, _ = small_run
    said = {claim.claim: claim for claim in result.claims}
    curve = next(c for words, c in said.items() if "all sizes" in words)
    assert "60: gradient boosting" in curve.ours and curve.holds in (False, None)
    saved = next(c for words, c in said.items() if "Four branches" in words)
    assert "3,067,681 against 4,679,457 parameters" in saved.ours
    assert not any("ElemNet" in words for words in said), (
        "a claim about models that are not there is left out"
    )


def test_the_grouped_track_shares_no_formula_and_the_note_says_what_does(
    small_run: tuple[Study, Result, Path],
) -> None:
    _, result, folder = small_run
    splits = pd.read_csv(folder / "models" / "brnet" / "splits.csv")
    assert splits["tested_in_fold"].notna().sum() == 128
    assert splits["group"].nunique() == len(splits)
    assert not [note for note in result.notes if "trained on too" in note], "each formula is one row here"


def test_shared_groups_by_hand() -> None:
    groups = ["a", "a", "b", "c", "c", "d"]
    fold = Fold(train=np.array([0, 3]), validation=np.array([2]), test=np.array([1, 4, 5]))
    assert leaked_share(groups, [fold]) == pytest.approx(2 / 3)
    assert leak_note("random", groups, [fold]) == [
        "Track random: 66.7 % of the tested samples have a group (formula, specimen) that was trained on too."
    ]
    assert not leak_note("grouped", ["a", "b", "c"], [Fold(*(np.array([i]) for i in range(3)))])


def test_no_reduced_formula_is_in_two_sets_of_a_table_with_duplicates(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    random = np.random.default_rng(0)
    formulas = [f"Fe{2 * n}O{3 * n * k}" for n in (1, 2, 3) for k in range(1, 11)]
    pd.DataFrame({"formula": formulas, "y": random.normal(size=len(formulas))}).to_csv(table, index=False)
    settings = {"source.table": str(table), "evaluation.resamples": 20, "data_curve": None}
    study = vitrine.load_study("branched-composition", "smoke", settings, models=["mean", "ridge"])
    result = vitrine.run(study, tmp_path / "run", store=tmp_path / "store")
    splits = pd.read_csv(tmp_path / "run" / "models" / "ridge" / "splits.csv")
    tested = splits["tested_in_fold"].notna()
    assert splits["group"].nunique() == 10
    assert not set(splits["group"][tested]) & set(splits["group"][~tested])
    assert [n for n in result.notes if n.startswith("Track random: ") and "trained on too" in n]


# beside a prediction


def test_predictions_have_intervals_and_distances(small_run: tuple[Study, Result, Path]) -> None:
    _, result, folder = small_run
    for name in ("brnet", "ensemble", "random_forest"):
        model = vitrine.load_model(folder / "models" / name)
        told = vitrine.predict(model, pd.DataFrame({"formula": ["Cu3Au", "Cu0.5Au0.5", "Fe2O3", "Ni3Al"]}))
        half = (told["e_form_high"] - told["e_form_low"]) / 2
        assert np.allclose(half, half[0]) and half[0] > 0
        assert np.allclose((told["e_form_high"] + told["e_form_low"]) / 2, told["e_form_predicted"])
        assert told["distance_to_training"].tolist() == [0, 0, 1, 0]
        assert told["nearest_training_formula"].tolist() == ["Cu3Au", "CuAu", "", "AlNi3"]
        assert told["unlike_training"].tolist() == [False, False, True, False]
        width = one(result, name, "interval_half_width", interval="conformal 95 %").value
        assert 0.3 < half[0] / width < 3


def test_an_ensemble_predicts_the_mean_of_its_members(small_run: tuple[Study, Result, Path]) -> None:
    _, _, folder = small_run
    frame = pd.DataFrame({"formula": ["Cu3Au", "NiAl", "Pd0.25Ag0.75"]})
    found = {
        name: vitrine.predict(folder / "models" / name, frame)["e_form_predicted"]
        for name in ("element_attention", "attributes_boosting", "ensemble")
    }
    mean = (found["element_attention"] + found["attributes_boosting"]) / 2
    np.testing.assert_allclose(found["ensemble"], mean, rtol=1e-12)
    model = vitrine.load_model(folder / "models" / "ensemble")
    assert [member.name for member in model.members] == ["element_attention", "attributes_boosting"]
    assert model.members[1].representation.kind == "magpie"


def test_a_damaged_member_of_an_ensemble_is_named(
    small_run: tuple[Study, Result, Path], tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "ensemble"
    shutil.copytree(small_run[2] / "models" / "ensemble", folder)
    (folder / "attributes_boosting-model.skops").write_bytes(b"")
    with pytest.raises(DataError, match=r"attributes_boosting-model.skops is not the file that was written"):
        vitrine.load_model(folder)


def test_distances_by_hand() -> None:
    known = Compositions.of(["Fe2O3", "Fe4O6", "NaCl", "Cu3Au"])
    assert known.names == ("Cu3Au", "Fe2O3", "NaCl")
    distances, names = known.nearest(["O3Fe2", "FeO", "NaBr", "Na2ClBr", "He", "CuAu"])
    np.testing.assert_allclose(distances, [0, 0.1, 0.5, 0.25, 1, 0.25], atol=1e-12)
    assert names == ["Fe2O3", "Fe2O3", "NaCl", "NaCl", "", "Cu3Au"]
    assert Compositions.of([]).nearest(["NaCl"])[0].tolist() == [1.0]


def test_distances_agree_with_dense_vectors() -> None:
    from vitrine.physics.formulas import ALL_ELEMENTS, fractions

    random = np.random.default_rng(5)
    symbols = np.array(ALL_ELEMENTS[:40])

    def formula() -> str:
        return "".join(f"{s}{random.integers(1, 6)}" for s in random.choice(symbols, 3, replace=False))

    known, asked = [formula() for _ in range(200)], [formula() for _ in range(50)]
    dense = fractions(known, ALL_ELEMENTS)
    expected = [0.5 * np.abs(dense - row).sum(axis=1).min() for row in fractions(asked, ALL_ELEMENTS)]
    np.testing.assert_allclose(Compositions.of(known).nearest(asked)[0], expected, atol=1e-9)


def test_the_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    reference = TrainingReference(
        Compositions.of(["NaCl", "Fe2O3"]), np.array([0.1, 0.2, 0.7]), np.array([0.0, 0.25, 1.0])
    )
    reference.write(tmp_path)
    again = TrainingReference.read(tmp_path)
    assert again is not None and again.compositions.names == ("Fe2O3", "NaCl")
    assert again.misses.tolist() == [0.1, 0.2, 0.7] and again.far == pytest.approx(
        np.quantile([0, 0.25, 1], 0.95)
    )
    assert again.compositions.nearest(["FeO"])[0] == pytest.approx([0.1])
    assert TrainingReference.read(tmp_path / "none") is None
    (tmp_path / "training.json").write_text(json.dumps({"compositions": ["NaCl"]}))
    with pytest.raises(DataError, match="other lengths than there are names"):
        TrainingReference.read(tmp_path)


def test_classes_that_cannot_be_excluded() -> None:
    misses = np.linspace(0, 0.6, 99)
    reference = TrainingReference(Compositions.of(["NaCl"]), misses, np.array([0.0]))
    told = told_of(reference, ["NaCl"] * 3, np.array([0.02, 0.5, 0.99]), "binary", "metal", ("no", "yes"))
    assert told["metal_set"] == ["no", "no or yes", "yes"]
    three = np.array([[0.9, 0.05, 0.05], [0.45, 0.44, 0.11]])
    told = told_of(reference, ["NaCl"] * 2, three, "classes", "kind", ("a", "b", "c"))
    assert told["kind_set"] == ["a", "a or b"]


# budget


def test_the_budget_caps_rows_and_epochs_of_all() -> None:
    study = load_study("branched-composition", "demo", ["budget.epochs=7", "budget.precision=bfloat16"])
    networks = [model for model in study.models.values() if hasattr(model, "epochs")]
    assert len(networks) == 10 and {model.epochs for model in networks} == {7}
    assert {model.precision for model in networks} == {"bfloat16"}
    study = load_study("branched-composition", "demo", ["budget.rows=10"])
    fold = Fold(train=np.arange(0, 40, 2), validation=np.arange(1, 9, 2), test=np.arange(41, 50))
    (capped,) = within(study, [fold])
    assert len(capped.train) == 10 and set(capped.train) <= set(fold.train)
    assert (np.diff(capped.train) > 0).all() and np.array_equal(capped.test, fold.test)
    assert np.array_equal(within(study, [fold])[0].train, capped.train)


def test_trials_keep_what_is_best_on_validation(tmp_path: Path) -> None:
    from test_composition_networks import formula_examples
    from vitrine.study.fitting import fit_fold

    part = GradientBoosting(iterations=20, learning_rate=1e-4)
    tried = part.trials(4)
    assert [t.learning_rate for t in tried] == [1e-4, 0.05, 0.1, 0.2]
    assert part.trials(1) == [part] and len(part.trials(99)) == 6
    examples = formula_examples()
    examples.save(tmp_path)
    sets = {"train": np.arange(150), "validation": np.arange(150, 200), "test": np.arange(200, 240)}
    out = tmp_path / "fit"
    out.mkdir()
    told: list[float] = []
    fit_fold(out, [tmp_path], told.append, model=part, seed=0, shuffle_seed=None, trials=4, **sets)
    facts = json.loads((out / "facts.json").read_text())
    assert facts["trials"] == 4 and len(facts["validation_errors"]) == 4
    best = int(np.argmin(facts["validation_errors"]))
    assert best > 0 and facts["chosen"] == {"learning_rate": tried[best].learning_rate}
    with np.load(out / "scores.npz") as scores:
        alone = tried[best].build("value", 0)
        alone.fit(examples.select(sets["train"]), examples.select(sets["validation"]), lambda _: None)
        np.testing.assert_array_equal(scores["scores"], alone.predict(examples.select(sets["test"])))


# parts of a study


def test_some_models_and_tracks_alone() -> None:
    study = load_study("branched-composition", "laptop", models=["brnet", "ridge"], tracks=["matbench"])
    assert list(study.models) == ["ridge", "brnet"] and [t.title for t in study.tracks] == ["matbench"]
    assert study.main_model == "brnet" and study.ship == ("ridge", "brnet")
    assert study.data_curve is None and study.evaluation.shuffled_labels is None
    assert study.evaluation.reference == "brnet" and study.claims == ("branched-at-all-sizes",)
    shear = load_study("shear-transformation", "smoke", models=["chance", "logistic"])
    assert set(shear.models) == {"chance", "logistic"}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"models": ["brnett"]}, r"--models: no model 'brnett'.*did you mean 'brnet'"),
        ({"tracks": ["groupd"]}, r"--tracks: no track 'groupd'.*did you mean 'grouped'"),
        ({"models": ["ensemble", "ibrnet"]}, "--models: 'ensemble' is made of 'element_attention'"),
    ],
)
def test_what_is_not_there_is_named(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        load_study("branched-composition", "smoke", **chosen)


def test_the_main_model_must_be_shipped() -> None:
    with pytest.raises(StudyError, match="ship: the main model 'element_attention' must be among them"):
        load_study("branched-composition", "smoke", ["ship=[ridge]"])


# a user's targets


def table_of(folder: Path, **columns: Any) -> str:
    random = np.random.default_rng(1)
    formulas = [f"Fe{a}O{b}" for a in range(1, 9) for b in range(1, 9)]
    formulas = list(dict.fromkeys(reduced_formula(parse_formula(f)) for f in formulas))
    data = {"formula": formulas} | {k: v(len(formulas), random) for k, v in columns.items()}
    path = folder / "mine.csv"
    pd.DataFrame(data).to_csv(path, index=False)
    return f"source.table={path}"


def test_a_target_of_two_classes_changes_label_and_metrics(tmp_path: Path) -> None:
    table = table_of(tmp_path, is_metal=lambda n, r: r.choice(["metal", "insulator"], n))
    study = load_study("branched-composition", "smoke", [table, "source.target=is_metal"])
    assert study.label.kind == "binary-column"
    assert study.evaluation.metrics == ("roc_auc", "average_precision", "f1", "mcc")
    assert study.data_curve is not None and study.data_curve.metric == "roc_auc"


def test_a_target_of_three_classes_runs_and_predicts(tmp_path: Path) -> None:
    table = table_of(tmp_path, phase=lambda n, r: np.array(["alpha", "beta", "gamma"])[np.arange(n) % 3])
    overrides = [table, "source.target=phase", "evaluation.resamples=20", "data_curve=null"]
    study = load_study(
        "branched-composition", "smoke", overrides, tracks=["grouped"], models=["ridge", "element_attention"]
    )
    result = vitrine.run(study, tmp_path / "run", store=tmp_path / "store")
    assert one(result, "ridge", "accuracy").n > 5
    told = vitrine.predict(
        tmp_path / "run/models/element_attention", pd.DataFrame({"formula": ["FeO", "Fe2O3"]})
    )
    names = ["phase_p_alpha", "phase_p_beta", "phase_p_gamma"]
    np.testing.assert_allclose(told[names].sum(axis=1), 1, atol=1e-6)
    assert set(told["phase_predicted"]) <= {"alpha", "beta", "gamma"}
    assert all(words for words in told["phase_set"])


def test_two_classes_are_called_by_their_names(tmp_path: Path) -> None:
    table = table_of(tmp_path, stability=lambda n, r: np.array(["stable", "unstable"])[np.arange(n) % 2])
    overrides = [table, "source.target=stability", "evaluation.resamples=20", "data_curve=null"]
    few = ["mean", "ridge", "svm", "mlp"]
    study = load_study("branched-composition", "smoke", overrides, tracks=["grouped"], models=few)
    result = vitrine.run(study, tmp_path / "run", store=tmp_path / "store")
    assert result.setup["positives"].startswith("unstable: ")
    for name in few:
        told = vitrine.predict(
            tmp_path / "run" / "models" / name, pd.DataFrame({"formula": ["FeO", "Fe2O3"]})
        )
        np.testing.assert_allclose(told["stability_p_stable"] + told["stability_p_unstable"], 1, atol=1e-6)
        assert set(told["stability_predicted"]) <= {"stable", "unstable"}
        assert set(told["stability_set"]) <= {"stable", "unstable", "stable or unstable"}
    card = (tmp_path / "run" / "models" / "ridge" / "README.md").read_text(encoding="utf-8")
    assert "the probability of unstable" in card


def test_a_class_of_two_rows_stops_no_model(tmp_path: Path) -> None:
    table = table_of(tmp_path, rare=lambda n, r: np.where(np.arange(n) < 2, "yes", "no"))
    overrides = [table, "source.target=rare", "evaluation.resamples=20", "data_curve=null"]
    study = load_study("branched-composition", "smoke", overrides, tracks=["random"], models=["mean", "svm"])
    result = vitrine.run(study, tmp_path / "run", store=tmp_path / "store")
    assert result.tables and (tmp_path / "run" / "models" / "svm" / "model.skops").exists()


def test_the_last_row_of_an_epoch_alone_stops_no_network(tmp_path: Path) -> None:
    from test_composition_networks import formula_examples
    from vitrine.learn.composition import IRNet

    examples = formula_examples()
    part = IRNet(epochs=1, batch=50, learning_rate=1e-3)
    model = part.build("value", 0).fit(examples.select(np.arange(101)), None, lambda _: None)
    assert np.isfinite(model.predict(examples)).all()


def test_columns_of_the_user_are_kept_aside(small_run: tuple[Study, Result, Path]) -> None:
    frame = pd.DataFrame({"formula": ["Cu3Au"], "e_form_low": ["mine"], "distance_to_training": [7]})
    told = vitrine.predict(small_run[2] / "models" / "random_forest", frame)
    assert told["e_form_low (table)"].tolist() == ["mine"]
    assert told["distance_to_training (table)"].tolist() == [7] and told["distance_to_training"].tolist() == [
        0
    ]


def test_models_know_only_what_the_budget_let_them_see(tmp_path: Path, shared_store: Path) -> None:
    settings = {"budget.rows": 30, "evaluation.resamples": 20, "data_curve": None}
    study = vitrine.load_study(
        "branched-composition", "smoke", settings, models=["ridge"], tracks=["grouped"]
    )
    vitrine.run(study, tmp_path / "run", store=shared_store)
    folder = tmp_path / "run" / "models" / "ridge"
    splits = pd.read_csv(folder / "splits.csv")
    roles = splits["role_in_this_model"].value_counts()
    assert roles["train"] == 30 and roles["left out (budget)"] > 400
    reference = TrainingReference.read(folder)
    assert reference is not None and len(reference.compositions.names) == 30 + roles["validation"]
    unseen = splits["group"][splits["role_in_this_model"] == "left out (budget)"].tolist()
    assert (reference.compositions.nearest(unseen)[0] > 0).all()


def test_units_are_those_of_what_is_learned() -> None:
    from vitrine.measure.column import Column
    from vitrine.samples import Samples
    from vitrine.study.data import target_name, unit_of

    frame = pd.DataFrame({"formula": ["NaCl"], "target": [1.0], "k": [1.0], "gap": [2.0]})
    about = {"target": "k", "targets": ["k", "gap"], "unit": "GPa"}
    samples = Samples("formulas", frame, ("t:1",), ("NaCl",), about)
    assert unit_of(Column(), samples) == "GPa" and target_name(Column(), about) == "k"
    assert (
        unit_of(Column(log=True), samples) == "log10(GPa)"
        and target_name(Column(log=True), about) == "log10_k"
    )
    assert (
        unit_of(Column(column="gap"), samples) is None and target_name(Column(column="gap"), about) == "gap"
    )
    assert unit_of(Column(column="gap", unit="eV"), samples) == "eV"


def test_attention_over_elements_is_refused_other_features() -> None:
    overrides = ["models.element_attention.representation=attributes"]
    with pytest.raises(StudyError, match="'element-attention' takes elemental-fractions alone, not 'magpie'"):
        load_study("branched-composition", "smoke", overrides)


def test_several_targets_are_asked_one_after_the_other(tmp_path: Path) -> None:
    table = table_of(tmp_path, gap=lambda n, r: r.normal(size=n), bulk=lambda n, r: r.normal(100, 9, n))
    overrides = [table, "source.target=[gap, bulk]", "evaluation.resamples=20"]
    study = load_study("branched-composition", "smoke", overrides, models=["mean", "ridge"])
    titles = [track.title for track in study.tracks]
    assert titles == ["grouped", "random", "matbench", "grouped_bulk", "random_bulk", "matbench_bulk"]
    result = vitrine.run(study, tmp_path / "run", store=tmp_path / "store")
    assert one(result, "mean", "mae").value < 3 < one(result, "mean", "mae", track="grouped_bulk").value


def test_a_split_of_the_table_itself(tmp_path: Path) -> None:
    table = table_of(
        tmp_path,
        gap=lambda n, r: r.normal(size=n),
        part=lambda n, r: np.array(["train", "train", "test"])[np.arange(n) % 3],
    )
    overrides = [
        table,
        "source.target=gap",
        "source.split=part",
        "data_curve=null",
        "evaluation.resamples=20",
    ]
    study = load_study("branched-composition", "smoke", overrides, models=["mean", "ridge"])
    assert [track.title for track in study.tracks] == ["given", "grouped", "random", "matbench"]
    result = vitrine.run(study, tmp_path / "run", store=tmp_path / "store")
    frame = pd.read_csv(tmp_path / "mine.csv")
    assert one(result, "ridge", "mae", track="given").n == (frame["part"] == "test").sum()
    overrides[2] = "tracks=[{split: {kind: given}}]"
    study = load_study("branched-composition", "smoke", overrides, models=["mean", "ridge"])
    with pytest.raises(StudyError, match=r"track given: .*source\.split"):
        vitrine.run(study, tmp_path / "other", store=tmp_path / "store")


def test_published_numbers_stand_beside_their_own_table_only() -> None:
    here = load_study("branched-composition", "laptop", ["source.table=matbench/expt_gap"])
    assert [table.title for table in here.published] == ["Matbench expt_gap, composition only"]
    assert load_study("branched-composition", "laptop").published == ()


def test_rows_that_a_representation_refuses_are_left_out_on_demand(
    small_run: tuple[Study, Result, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitrine.campaign.campaign import Campaign
    from vitrine.study.predict import predict_table

    table = tmp_path / "new.csv"
    table.write_text("formula\nNi3Al\nOg2O\nCuAu\nbad?\n")
    model = vitrine.load_model(small_run[2] / "models" / "ensemble")
    with Campaign(tmp_path / "store") as campaign:
        told = predict_table(model, table, campaign, None, skip_bad=True)
        assert told["formula"].tolist() == ["Ni3Al", "CuAu"]
        assert [row["row"] for row in told.attrs["refused"]] == ["4", "2"]
        assert "Og" in told.attrs["left_out"][2]
        table.write_text("formula\nOg2O\n")
        with pytest.raises(DataError, match="can read no formula of the table: 'Og2O' holds Og"):
            predict_table(model, table, campaign, None, skip_bad=True)
    rows = [f"Fe{n}O{n + 1},{n}" for n in range(1, 30)]
    table.write_text("\n".join(["formula,y", "Og2O,5", *rows]) + "\n")
    overrides = [
        f"source.table={table}",
        "source.skip_bad=true",
        "data_curve=null",
        "evaluation.resamples=20",
    ]
    few = ["mean", "attributes_boosting"]
    study = load_study("branched-composition", "smoke", overrides, tracks=["grouped"], models=few)
    result = vitrine.run(study, tmp_path / "run", store=tmp_path / "store")
    assert any("new:1" in note and "Og" in note for note in result.notes)
    study = load_study(
        "branched-composition", "smoke", [overrides[0], *overrides[2:]], tracks=["grouped"], models=few
    )
    with pytest.raises(DataError, match="new:1: 'Og2O' holds Og"):
        vitrine.run(study, tmp_path / "other", store=tmp_path / "store")
