"""Seeds, thresholds from validation, each feature alone, strata, sweeps and searches of one small study."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

import vitrine
from vitrine.errors import StudyError
from vitrine.measure.first_event import FirstEvent
from vitrine.simulate.released import find_released, read_released
from vitrine.study.result import Result, SliceFigure

EXTRAS: dict[str, Any] = {
    "source.specimens": 6,
    "models": {
        "forest": {"kind": "random-forest", "trees": 4, "min_samples_leaf": 20},
        "logistic": {"kind": "logistic"},
        "by_distance": {"kind": "random-forest", "trees": 4, "min_samples_leaf": 20, "learns": "log10 D2min"},
    },
    "representation": {"kind": "voronoi-graph", "features": "cheap"},
    "representations": {},
    "main_model": "forest",
    "tracks": [{"split": {"kind": "grouped", "folds": 3}}],
    "unseen": None,
    "evaluation": {
        "metrics": ["recall", "precision", "f1", "mcc", "roc_auc", "average_precision", "lift"],
        "resamples": 40,
        "published_prevalence": 0.0018,
        "shuffled_labels": None,
        "reference": "logistic",
        "validation_threshold": "f1",
        "clean_up": 3,
        "each_feature": True,
        "strata": {"event_strain": [0.01, 0.02]},
    },
    "seeds.repeats": 2,
    "sweeps": [{"key": "label.threshold", "values": [0.05, 0.1, 1e6], "models": ["logistic"]}],
    "search": {
        "model": "forest",
        "grid": {"min_samples_leaf": [10, 200], "trees": [3, 5]},
        "folds": 2,
        "held_out": 0.34,
        "metrics": ["roc_auc", "average_precision"],
        "beside": {"roc_auc": "AUC (4, 15, 9)"},
    },
    "published": [
        {
            "title": "Table 1",
            "source": "a paper",
            "metrics": ["roc_auc"],
            "rows": {"AUC (4, 15, 9)": {"roc_auc": 0.8508}},
        }
    ],
    "claims": [
        "auc-rises-with-threshold",
        "precision-falls-with-threshold",
        "mcc-peaks-between",
        "confidence-peaks-in-clusters",
        "false-clusters-follow",
    ],
}


def study() -> Any:
    loaded = vitrine.load_study("shear-transformation", "smoke")
    data = loaded.resolved() | {k: v for k, v in EXTRAS.items() if "." not in k}
    data["source"]["specimens"], data["seeds"]["repeats"] = 6, 2
    return type(loaded).model_validate(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("full")
    vitrine.run(study(), place / "run", workers=0, store=place / "store")
    return place / "run"


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "metrics.json").read_text())["rows"]
    return found


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "predictions" / "grouped.parquet")


def pick(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """The one row with these entries; ``where`` in full but for seeds."""
    where = wanted.pop("where")
    found = [
        row
        for row in rows
        if all(row[key] == value for key, value in wanted.items())
        and {k: v for k, v in row["where"].items() if k != "seeds"} == where
    ]
    assert len(found) == 1, (wanted, where, len(found))
    return found[0]


def test_rows_over_seeds_are_the_mean_of_their_metrics(
    rows: list[dict[str, Any]], table: pd.DataFrame
) -> None:
    row = pick(rows, track="grouped", model="forest", metric="roc_auc", where={"prevalence": "own"})
    each = [roc_auc_score(table["truth"], table[f"forest.{number}"]) for number in range(2)]
    assert each[0] != each[1]
    assert row["value"] == pytest.approx(np.mean(each), abs=1e-12)
    assert row["where"]["seeds"] == [0, 1] and row["seed"] is None
    alone = pick(rows, track="grouped", model="logistic", metric="roc_auc", where={"prevalence": "own"})
    assert "seeds" not in alone["where"]
    assert "logistic.0" not in table
    np.testing.assert_allclose(table["forest"], (table["forest.0"] + table["forest.1"]) / 2)


def test_thresholds_come_from_validation_samples(rows: list[dict[str, Any]]) -> None:
    """F1 gains over the fixed threshold, and dropping small groups never raises recall."""
    chosen = {"threshold": "best f1 on validation", "prevalence": "own"}
    cleaned = chosen | {"connected_groups_of_at_least": 3}
    for model in ("forest", "logistic"):
        plain = pick(rows, track="grouped", model=model, metric="f1", where={"prevalence": "own"})
        best = pick(rows, track="grouped", model=model, metric="f1", where=chosen)
        assert best["value"] >= plain["value"] - 0.02
        recalls = [
            pick(rows, track="grouped", model=model, metric="recall", where=where)["value"]
            for where in (chosen, cleaned)
        ]
        assert recalls[1] <= recalls[0]
    assert not [
        r
        for r in rows
        if r["metric"] == "roc_auc" and "threshold" in r["where"] and "best" in str(r["where"])
    ]


def test_each_feature_alone_is_ranked_by_itself(rows: list[dict[str, Any]], table: pd.DataFrame) -> None:
    alone = [r for r in rows if r["where"].get("input") == "each feature alone" and r["metric"] == "roc_auc"]
    assert len(alone) == 12
    samples = read_released(find_released("cu64zr36-n500"), 6)
    energy = np.concatenate([atoms.arrays["energy"] for atoms in samples.items])
    auc = roc_auc_score(table["truth"], energy)
    found = next(r["value"] for r in alone if r["model"].startswith("energy"))
    # one sign in all folds, or the folds disagree and it falls towards one half
    assert min(abs(found - auc), abs(found - 1 + auc)) < 0.02 or abs(found - 0.5) < abs(auc - 0.5) + 0.02
    zr, cu = (next(r["value"] for r in alone if r["model"] == f"is {element}") for element in ("Zr", "Cu"))
    assert zr == pytest.approx(cu, abs=1e-9)  # one is the other's complement: ties share their rank


def test_strata_divide_the_samples(rows: list[dict[str, Any]], table: pd.DataFrame) -> None:
    samples = read_released(find_released("cu64zr36-n500"), 6)
    strain = {
        name: atoms.info["event_strain"] for name, atoms in zip(samples.ids, samples.items, strict=True)
    }
    inside = table["id"].map(strain).between(0.01, 0.02, inclusive="left").to_numpy()
    mine = [r for r in rows if "event_strain" in r["where"] and r["model"] == "logistic"]
    assert sum(r["where"]["samples"] for r in mine if r["metric"] == "lift") == len(samples)
    row = next(
        r for r in mine if r["where"]["event_strain"] == "0.01 to 0.02" and r["metric"] == "average_precision"
    )
    assert row["where"]["samples"] == len(set(table["id"][inside]))
    assert row["value"] == pytest.approx(
        average_precision_score(table["truth"][inside], table["logistic"][inside]), abs=1e-12
    )


def test_means_over_samples_are_of_each_sample(rows: list[dict[str, Any]], table: pd.DataFrame) -> None:
    row = pick(rows, track="grouped", model="logistic", metric="roc_auc", where={"mean_over": "samples"})
    each = [roc_auc_score(part["truth"], part["logistic"]) for _, part in table.groupby("id")]
    assert row["value"] == pytest.approx(np.mean(each), abs=1e-12)
    assert row["n"] == len(each) and row["groups"] == 6 and row["low"] < row["value"] < row["high"]


def test_other_quantities_are_learned_and_become_probabilities(folder: Path, table: pd.DataFrame) -> None:
    score = table["by_distance"].to_numpy()
    assert score.min() >= 0 and score.max() <= 1 and len(np.unique(score)) > 50
    assert abs(recall_score(table["truth"], table["by_distance.0"] >= 0.5) - 0.5) < 0.35
    model = vitrine.load_model(folder / "models" / "by_distance")
    assert model.model.learns == "log10 D2min"


def test_model_of_another_quantity_is_the_same_after_loading(folder: Path) -> None:
    model = vitrine.load_model(folder / "models" / "by_distance")
    samples = read_released(find_released("cu64zr36-n500"), 1)
    examples = model.representation.build(samples, _compute(folder))  # type: ignore[attr-defined]
    one, two = (
        model.predict(examples),
        vitrine.load_model(folder / "models" / "by_distance").predict(examples),
    )
    assert np.array_equal(one, two) and one.std() > 0
    (folder / "models" / "by_distance" / "calibration.json").write_text('{"quantity": "another"}')
    with pytest.raises(vitrine.errors.DataError, match=r"calibration.json|checksum|changed"):
        vitrine.load_model(folder / "models" / "by_distance").predict(examples)


def _compute(folder: Path) -> Any:
    from vitrine.campaign.campaign import Campaign

    return Campaign(folder.parent / "store", workers=0).__enter__().compute


def test_sweep_retrains_at_each_threshold(rows: list[dict[str, Any]], folder: Path) -> None:
    samples = read_released(find_released("cu64zr36-n500"), 6)
    for value in (0.05, 0.1):
        share = np.concatenate(FirstEvent(threshold=value).targets(samples)).mean(dtype=np.float64)
        found = [r for r in rows if r["where"].get("threshold") == value and r["metric"] == "roc_auc"]
        assert len(found) == 1 and found[0]["model"] == "logistic"
        assert found[0]["where"]["positives"] == pytest.approx(share, rel=1e-3)
    own = pick(rows, track="grouped", model="logistic", metric="roc_auc", where={"prevalence": "own"})
    (same,) = [r for r in rows if r["where"].get("threshold") == 0.1 and r["metric"] == "roc_auc"]
    assert same["value"] == own["value"]
    notes = Result.read(folder).notes
    assert any("label.threshold=1e+06" in note and "one class" in note for note in notes)


def test_search_judges_every_configuration_and_tests_the_best(
    rows: list[dict[str, Any]], folder: Path
) -> None:
    lines = list(csv.DictReader((folder / "search.csv").open()))
    assert len(lines) == 4
    assert {(line["min_samples_leaf"], line["trees"]) for line in lines} == {
        (leaf, trees) for leaf in ("10", "200") for trees in ("3", "5")
    }
    best = max(lines, key=lambda line: float(line["roc_auc"]))
    found = [r for r in rows if r["track"] == "search" and r["model"] == "forest, best roc_auc"]
    assert {r["where"]["settings"] for r in found} == {
        f"min_samples_leaf {best['min_samples_leaf']}, trees {best['trees']}"
    }
    (auc,) = [r for r in found if r["metric"] == "roc_auc" and r["where"]["prevalence"] == "own"]
    assert auc["published"] == 0.8508
    assert auc["groups"] == 2  # a third of six specimens, which no configuration was judged on


def test_differences_to_the_reference_are_paired(rows: list[dict[str, Any]]) -> None:
    found = [r for r in rows if r["where"].get("difference") == "this model minus logistic"]
    assert {r["model"] for r in found} == {"forest", "by_distance"}
    assert sum("mean_over" in r["where"] for r in found) == 6
    for row in found:
        where = {"mean_over": "samples"} if "mean_over" in row["where"] else {"prevalence": "own"}
        pair = [
            pick(rows, track="grouped", model=m, metric=row["metric"], where=where)["value"]
            for m in (row["model"], "logistic")
        ]
        assert row["value"] == pytest.approx(pair[0] - pair[1], abs=1e-12)


def test_claims_and_figures_speak_of_what_was_done(folder: Path) -> None:
    result = Result.read(folder)
    claims = {claim.claim.split()[0]: claim for claim in result.claims}
    assert "up to strain 0.04" in claims["Many"].ours and "of the others: difference" in claims["Many"].ours
    assert "0.1 minus 0.05" in claims["AUC"].ours
    assert claims["MCC"].holds in (None, False)
    slices = [figure for figure in result.figures if isinstance(figure, SliceFigure)]
    assert len(slices) == 1 and len(slices[0].panels) == 2
    moved, predicted = slices[0].panels
    assert sum(moved["marked"]) >= 1 and moved["marked"] == predicted["marked"]
    assert len(moved["x"]) == len(moved["values"]) > 30
    names = {figure.name for figure in result.figures}
    assert {"sweep-threshold-logistic-rates", "sweep-threshold-logistic-rest", "towards-middle"} <= names
    text = (folder / "report.html").read_text()
    assert "mean of 2 seeds" in text and "A slice through the event" in text


def test_run_again_makes_nothing(folder: Path, tmp_path: Path) -> None:
    vitrine.run(study(), tmp_path / "again", workers=0, store=folder.parent / "store")
    assert (tmp_path / "again" / "metrics.json").read_bytes() == (folder / "metrics.json").read_bytes()
    assert "made" not in (tmp_path / "again" / "log.txt").read_text().splitlines()[-1]


def test_halving_sends_a_third_on_with_more_epochs(tmp_path: Path) -> None:
    data = study().resolved()
    data["models"] = {"gat": {"kind": "gat", "epochs": 4, "layers": 1, "width": 4, "heads": 1}}
    data |= {"main_model": "gat", "claims": [], "sweeps": []}
    data["source"]["specimens"] = 6
    data["tracks"][0]["split"]["folds"] = 2
    data["evaluation"] |= {"reference": None, "strata": {}, "each_feature": False}
    data["search"] |= {
        **{"model": "gat", "grid": {"width": [2, 3, 4, 5]}, "strategy": "halving", "smallest_epochs": 1},
        **{"held_out": 0.25, "beside": {}},
    }
    loaded = type(study()).model_validate(data)
    vitrine.run(loaded, tmp_path / "run", workers=0, store=tmp_path / "store")
    lines = list(csv.DictReader((tmp_path / "run" / "search.csv").open()))
    rounds = [[line for line in lines if line["most epochs"] == epochs] for epochs in ("1", "3", "4")]
    assert len(rounds[0]) == 4 and sum(map(len, rounds)) == len(lines)
    for before, after, third in zip(rounds, rounds[1:], (2, 1), strict=False):
        by = {
            metric: sorted(before, key=lambda line: -float(line[metric]))
            for metric in ("roc_auc", "average_precision")
        }
        kept = [*by["average_precision"][:third], by["roc_auc"][0]]
        assert {line["width"] for line in after} == {line["width"] for line in kept}


def test_avalanches_are_named_in_the_report(tmp_path: Path) -> None:
    data = study().resolved()
    data["models"] = {"logistic": {"kind": "logistic"}}
    data |= {"main_model": "logistic", "claims": [], "sweeps": [], "search": None}
    data["label"]["largest_event"] = 60
    result = vitrine.run(
        type(study()).model_validate(data), tmp_path / "run", workers=0, store=tmp_path / "store"
    )
    samples = read_released(find_released("cu64zr36-n500"), 6)
    large = {
        name for name, atoms in zip(samples.ids, samples.items, strict=True) if atoms.info["event_atoms"] > 60
    }
    assert large
    for name in large:
        assert any(note.startswith(f"left out: {name}: its event has") for note in result.notes)
    assert len(pd.read_parquet(tmp_path / "run" / "predictions" / "grouped.parquet")["id"].unique()) == len(
        samples
    ) - len(large)


def test_unknown_attributes_are_named_before_anything_is_trained(tmp_path: Path) -> None:
    data = study().resolved()
    data["evaluation"]["strata"] = {"event_strian": [0.01]}
    with pytest.raises(StudyError, match=r"evaluation\.strata\.event_strian.*did you mean 'event_strain'"):
        vitrine.run(type(study()).model_validate(data), tmp_path / "run", workers=0, store=tmp_path / "store")
    assert not list(tmp_path.glob("store/entries/*/*/scores.npz"))


def test_f1_of_the_table_is_scikit_learns(rows: list[dict[str, Any]], table: pd.DataFrame) -> None:
    row = pick(rows, track="grouped", model="logistic", metric="f1", where={"prevalence": "own"})
    assert row["value"] == pytest.approx(f1_score(table["truth"], table["logistic"] >= 0.5), abs=1e-12)
