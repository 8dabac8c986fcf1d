"""Both studies from end to end, and what their run folders hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import vitrine
from conftest import ALLOY_MODELS, ALLOYS, SHEAR
from vitrine.study.spec import Study


def _metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def _value(metrics: dict, **wanted: object) -> dict:
    rows = [
        row
        for row in metrics["rows"]
        if all(row.get(k, row["where"].get(k)) == v for k, v in wanted.items())
        and ("difference" in row["where"]) == ("difference" in wanted)
        and all((key in row["where"]) == (key in wanted) for key in ("data", "threshold", "mean_over"))
        and not {"event_strain", "event_atoms", "input"} & set(row["where"])
    ]
    assert len(rows) == 1, (wanted, len(rows))
    return rows[0]


ROW_KEYS = {
    *("track", "model", "metric", "value", "low", "high"),
    *("groups", "n", "unit", "seed", "published", "where"),
}


@pytest.mark.parametrize("which", ["shear_run", "alloy_run"])
def test_run_folder_is_complete(which: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(which)
    for name in ("study.yaml", "metrics.json", "report.html", "provenance.json", "log.txt"):
        assert (folder / name).stat().st_size > 0, name
    metrics = _metrics(folder)
    assert set(metrics) == {"study", "scale", "version", "rows", "claims"}
    assert all(set(row) == ROW_KEYS for row in metrics["rows"])
    assert all(set(claim) == {"claim", "source", "ours", "holds", "note"} for claim in metrics["claims"])
    assert list((folder / "figures").glob("*.svg"))
    study = yaml.safe_load((folder / "study.yaml").read_text())
    for name in study["models"]:
        files = {path.name for path in (folder / "models" / name).iterdir()}
        assert {"model.yaml", "metrics.json", "splits.csv", "environment.txt", "README.md"} <= files
    for track in {track["split"]["kind"] for track in study["tracks"]}:
        assert (folder / "predictions" / f"{track}.parquet").exists()
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["seeds"] == {"model": 0, "repeats": 1, "shuffle": 0, "bootstrap": 0}
    assert provenance["versions"]["torch"]
    assert len(provenance["examples_sha256"]) == 64
    assert provenance["machine"]["cores"] >= 1 and provenance["machine"]["processor"]
    work = provenance["work"]
    assert sum(kind["tasks"] for kind in work.values()) == sum(
        provenance["store"][how] for how in ("made", "reused")
    )
    assert work["fit"]["hours"] > 0


def test_study_file_of_a_run_gives_the_same_study(shear_run: Path) -> None:
    again = vitrine.load_study(shear_run / "study.yaml", "smoke")
    assert isinstance(again, Study)
    assert again.resolved() == yaml.safe_load((shear_run / "study.yaml").read_text())


def test_metrics_can_be_recomputed_from_predictions(shear_run: Path) -> None:
    """scikit-learn on the stored predictions gives the rows of the table."""
    from sklearn.metrics import average_precision_score, matthews_corrcoef, roc_auc_score

    metrics = _metrics(shear_run)
    frame = pd.read_parquet(shear_run / "predictions" / "grouped.parquet")
    assert len(frame) == 5 * 6 * 500 and frame["group"].nunique() == 5
    for model in ("gat", "gradient_boosting", "chance"):
        score = frame[model].to_numpy()
        expected = {
            "roc_auc": roc_auc_score(frame["truth"], score),
            "average_precision": average_precision_score(frame["truth"], score),
            "mcc": matthews_corrcoef(frame["truth"], score >= 0.5),
        }
        for metric, value in expected.items():
            row = _value(metrics, track="grouped", model=model, metric=metric, prevalence="own")
            assert row["value"] == pytest.approx(value, abs=1e-12)
            assert row["low"] <= row["value"] <= row["high"] and row["groups"] == 5


def test_errors_can_be_recomputed_from_predictions(alloy_run: Path) -> None:
    from sklearn.metrics import mean_absolute_error, r2_score

    metrics = _metrics(alloy_run)
    frame = pd.read_parquet(alloy_run / "predictions" / "grouped.parquet")
    for model in ("ridge", "random_forest", "mlp", "mean"):
        row = _value(metrics, track="grouped", model=model, metric="mae")
        assert row["value"] == pytest.approx(mean_absolute_error(frame["truth"], frame[model]), abs=1e-9)
        assert row["unit"] == "eV/atom"
        row = _value(metrics, track="grouped", model=model, metric="r2")
        assert row["value"] == pytest.approx(r2_score(frame["truth"], frame[model]), abs=1e-6)


def test_learned_models_beat_the_trivial_one(alloy_run: Path) -> None:
    metrics = _metrics(alloy_run)
    mean = _value(metrics, track="grouped", model="mean", metric="mae")["value"]
    for model in ("ridge", "random_forest", "mlp"):
        assert _value(metrics, track="grouped", model=model, metric="mae")["value"] < 0.9 * mean
    null = _value(metrics, track="grouped", model="shuffled_labels", metric="r2")
    assert null["value"] < 0.05, "labels were shuffled: nothing may be learned"


def test_label_shuffle_and_chance_know_nothing(shear_run: Path) -> None:
    metrics = _metrics(shear_run)
    chance = _value(metrics, track="grouped", model="chance", metric="roc_auc", prevalence="own")
    assert abs(chance["value"] - 0.5) < 0.03
    null = _value(metrics, track="grouped", model="shuffled_labels", metric="roc_auc", prevalence="own")
    assert abs(null["value"] - 0.5) < 0.1


def test_published_numbers_stand_beside_comparable_rows_only(shear_run: Path) -> None:
    metrics = _metrics(shear_run)
    find = {"track": "grouped", "model": "gat"}
    assert _value(metrics, **find, metric="average_precision", prevalence="published")["published"] == 0.0167
    assert _value(metrics, **find, metric="average_precision", prevalence="own")["published"] is None
    assert _value(metrics, **find, metric="roc_auc", prevalence="own")["published"] == 0.8494
    assert not any(row["published"] for row in metrics["rows"] if row["track"] == "random")


def test_unseen_source_is_predicted_and_drawn(shear_run: Path) -> None:
    row = _value(
        _metrics(shear_run), track="grouped", model="gat", metric="roc_auc", data="unseen", prevalence="own"
    )
    assert row["groups"] == 1 and row["low"] is None and row["n"] == 6 * 500
    assert (shear_run / "figures" / "unseen-0.svg").exists()
    assert "A specimen that no model has seen" in (shear_run / "report.html").read_text()
    assert row["published"] is None, "one specimen is not the published test set"


def test_unseen_specimens_that_were_seen_are_refused(shared_store: Path, tmp_path: Path) -> None:
    from vitrine.errors import StudyError

    leaky = {**SHEAR, "unseen": {"kind": "released-glass", "specimens": 1, "first": 5}}
    study = vitrine.load_study("shear-transformation", "smoke", leaky)
    with pytest.raises(StudyError, match="s0005 is in the source too"):
        vitrine.run(study, tmp_path / "run", store=shared_store)


def test_no_group_is_on_both_sides(shear_run: Path) -> None:
    table = pd.read_csv(shear_run / "models" / "gat" / "splits.csv")
    assert (table.groupby("group")["tested_in_fold"].nunique() == 1).all()
    assert (table.groupby("group")["role_in_this_model"].nunique() == 1).all()
    assert set(table["role_in_this_model"]) == {"train", "validation"}


def test_running_again_reuses_everything(shear_run: Path, shared_store: Path, tmp_path: Path) -> None:
    study = vitrine.load_study("shear-transformation", "smoke", SHEAR)
    vitrine.run(study, tmp_path / "again", store=shared_store)
    last = (tmp_path / "again" / "log.txt").read_text()
    assert "made" not in last.split("store:")[1].splitlines()[0]
    assert _metrics(tmp_path / "again") == _metrics(shear_run)


def test_shipped_model_predicts_the_same_as_in_memory(alloy_run: Path) -> None:
    from vitrine.samples import Samples

    model = vitrine.load_model(alloy_run / "models" / "ridge")
    frame = pd.DataFrame({"formula": ["Cu3Au", "AuCu3", "Cu", "Ni3Al"]})
    ids = tuple("abcd")
    from vitrine.campaign.campaign import Campaign

    with Campaign(alloy_run.parent / "store") as campaign:
        examples = model.representation.build(Samples("formulas", frame, ids, ids), campaign.compute)
    scores = model.predict(examples)
    assert scores[0] == scores[1], "the order of elements does not matter"
    assert np.isfinite(scores).all()


def test_wrong_model_folders_are_named(tmp_path: Path, alloy_run: Path) -> None:
    import shutil

    from vitrine.errors import DataError

    with pytest.raises(DataError, match="not a model folder"):
        vitrine.load_model(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(alloy_run / "models" / "ridge", copy)
    recipe = yaml.safe_load((copy / "model.yaml").read_text())
    (copy / "model.yaml").write_text(yaml.safe_dump(recipe | {"format": 99}))
    with pytest.raises(DataError, match="format 99"):
        vitrine.load_model(copy)
    (copy / "model.yaml").write_text("{}")
    with pytest.raises(DataError, match=r"model\.yaml"):
        vitrine.load_model(copy)
    (copy / "model.yaml").write_text(yaml.safe_dump(recipe | {"model": {"kind": "ridge", "alpha": 1}}))
    with pytest.raises(DataError, match="alpha"):
        vitrine.load_model(copy)


def test_public_face_is_small_and_sorted() -> None:
    assert vitrine.__all__ == sorted(vitrine.__all__)
    assert len(vitrine.__all__) <= 40
    for name in vitrine.__all__:
        assert getattr(vitrine, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = vitrine.nonsense


def test_settings_reach_the_run() -> None:
    study = vitrine.load_study("branched-composition", "smoke", ALLOYS, models=ALLOY_MODELS)
    assert study.models["mlp"].epochs == 4
