"""The study prior-strain on a few small crystals: tracks, controls, subsets, model folder, prediction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vitrine
from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, StudyError
from vitrine.measure.prior_strain import LogPriorStrain, PriorStrain
from vitrine.samples import Samples
from vitrine.simulate.dislocations.source import DislocationDynamics
from vitrine.strain_maps import StoredMap, StrainMap
from vitrine.study.conformal import reach_of
from vitrine.study.predict_maps import predict_maps
from vitrine.study.reference import Reference
from vitrine.testing.inputs import map_samples

TRACKS = ("by_trajectory", "random", "log_strain")
MODELS = (
    "chance", "geometry_only", "scalar_strain", "two_point", "resnet", "resnet_flat_l2", "resnet_flat",
    "ensemble", "shuffled_labels", "ceiling",
)  # fmt: skip


@pytest.fixture(scope="module")
def rows(strain_run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((strain_run / "metrics.json").read_text())["rows"]
    return found


def _plain(rows: list[dict[str, Any]], track: str, model: str, metric: str = "accuracy") -> dict[str, Any]:
    (found,) = [
        row
        for row in rows
        if (row["track"], row["model"], row["metric"]) == (track, model, metric) and not row["where"]
    ]
    return found


# ---------------------------------------------------------------- source and label


def test_drawn_priors_lie_between_and_are_those_of_the_seed() -> None:
    source = DislocationDynamics(width=(0.0625,), drawn=2, trajectories=3)
    drawn = [task.arguments["prior"] for task in source.tasks()]
    for values in drawn:
        assert values == sorted(values) and {0.1, 1.0, 10.0} <= set(values) and len(values) == 5
        low, high = (value for value in values if value not in (0.1, 1.0, 10.0))
        assert 0.1 <= low <= 1.0 <= high <= 10.0, "one from each half of the logarithm"
    assert len({tuple(values) for values in drawn}) == 3
    assert drawn == [task.arguments["prior"] for task in source.tasks()]
    without = DislocationDynamics(width=(0.0625,), trajectories=3).tasks()
    assert all(task.arguments["prior"] == [0.1, 1.0, 10.0] for task in without)
    with pytest.raises(ValueError, match="drawn"):
        DislocationDynamics(prior=(1.0,), drawn=1)


def test_maps_stay_on_disk_and_come_with_their_curves(strain_store: Path) -> None:
    source = DislocationDynamics(width=(0.0625,), slip=("two",), drawn=1, trajectories=1)
    with Campaign(strain_store) as campaign:
        outcomes = campaign.compute(source.tasks())
    every = source.samples(outcomes)
    shared, drawn = (
        source.model_copy(update={"maps": which}).samples(outcomes) for which in ("shared", "drawn")
    )
    assert (len(every), len(shared), len(drawn)) == (8, 6, 2)
    assert set(shared.attributes["prior"]) == {0.1, 1.0, 10.0}
    assert not set(drawn.attributes["prior"]) & {0.1, 1.0, 10.0}
    for item in every.items:
        assert isinstance(item, StoredMap)
        assert item.axial.mean() == pytest.approx(item.info["reload"] / 100, rel=1e-4)
        curve = item.curve
        assert curve.shape == (201, 2) and curve[-1, 0] == pytest.approx(0.01)
        # elastic at first: E' = 78.6 GPa
        slope = (curve[1, 1] - curve[0, 1]) / curve[1, 0]
        assert slope == pytest.approx(78_600, rel=0.05)


def test_labels_say_class_and_logarithm() -> None:
    samples = map_samples(3)
    assert np.concatenate(PriorStrain().targets(samples)).tolist() == [0, 1, 2]
    assert PriorStrain().class_names() == ("0.1 %", "1 %", "10 %")
    np.testing.assert_allclose(np.concatenate(LogPriorStrain().targets(samples)), [-1, 0, 1], atol=1e-6)
    strange = replace(samples.items[0], info=samples.items[0].info | {"prior": 0.3})
    with pytest.raises(DataError, match=r"map0/1: its prior strain, 0.3 %, is none of label.classes"):
        PriorStrain().targets(replace(samples, items=[strange, *samples.items[1:]]))
    silent = replace(samples.items[0], info={})
    with pytest.raises(DataError, match="map0/1: its prior strain is None"):
        LogPriorStrain().targets(replace(samples, items=[silent, *samples.items[1:]]))
    with pytest.raises(ValueError, match="rising"):
        PriorStrain(classes=(1.0, 0.1))


# ---------------------------------------------------------------- the study


def test_all_tracks_and_models_are_there_with_published_numbers(rows: list[dict[str, Any]]) -> None:
    assert {row["track"] for row in rows} == set(TRACKS)
    for track in TRACKS[:2]:
        for model in MODELS:
            row = _plain(rows, track, model)
            assert 0 <= row["value"] <= 1
    assert _plain(rows, "by_trajectory", "resnet")["published"] == 0.9248
    assert _plain(rows, "random", "two_point")["published"] == 0.6824
    (subset,) = [
        row
        for row in rows
        if row["track"] == "random"
        and row["model"] == "resnet"
        and row["metric"] == "accuracy"
        and {k: v for k, v in row["where"].items() if k != "subset"}
        == {"width": 0.0625, "reload": 0.1, "slip_systems": 2.0}
    ]
    assert subset["published"] == 0.9231
    assert _plain(rows, "log_strain", "resnet", "mae")["unit"] == "decades"


def test_geometry_alone_is_at_chance_and_no_model_is_above_the_ceiling(rows: list[dict[str, Any]]) -> None:
    assert _plain(rows, "by_trajectory", "geometry_only")["value"] == pytest.approx(1 / 3)
    bound = _plain(rows, "by_trajectory", "ceiling")["value"]
    for model in MODELS[:-1]:
        assert _plain(rows, "by_trajectory", model)["value"] <= bound + 1e-9


def test_only_the_held_out_maps_are_judged(strain_run: Path, rows: list[dict[str, Any]]) -> None:
    frame = pd.read_parquet(strain_run / "predictions/by_trajectory.parquet")
    splits = pd.read_csv(strain_run / "models/resnet/splits.csv")
    assert len(frame) == _plain(rows, "by_trajectory", "resnet")["n"] < len(splits)
    assert set(splits[splits.tested_in_fold == 0].id) == set(frame.id)
    assert splits.tested_in_fold.isna().sum() == len(splits) - len(frame)
    assert frame.filter(like="resnet:").sum(axis=1).to_numpy() == pytest.approx(1.0)
    members = [
        frame.filter(regex=f"^{name}:").to_numpy() for name in ("resnet", "resnet_flat_l2", "resnet_flat")
    ]
    mean = frame.filter(regex="^ensemble:").to_numpy()
    np.testing.assert_allclose(mean, np.mean(members, axis=0), atol=1e-12)
    called = frame.filter(regex="^resnet:").to_numpy().argmax(axis=1)
    assert _plain(rows, "by_trajectory", "resnet")["value"] == pytest.approx((called == frame.truth).mean())


def test_the_blur_is_varied_and_zero_is_the_study_itself(rows: list[dict[str, Any]]) -> None:
    swept = {
        row["where"]["blur"]: row["value"]
        for row in rows
        if "blur" in row["where"] and row["metric"] == "accuracy"
    }
    assert set(swept) == {0.0, 20.0}
    assert swept[0.0] == _plain(rows, "by_trajectory", "resnet")["value"]


@pytest.mark.slow
def test_the_same_command_reuses_everything(strain_run: Path, strain_store: Path, tmp_path: Path) -> None:
    study = vitrine.load_study(str(strain_run / "study.yaml"), "smoke")
    again = vitrine.run(study, tmp_path / "again", workers=0, store=strain_store)
    first = json.loads((strain_run / "metrics.json").read_text())
    assert again.metrics()["rows"] == first["rows"]
    assert "made" not in (tmp_path / "again/log.txt").read_text().splitlines()[-1]


def test_joints_of_the_study_are_checked() -> None:
    for settings, says in (
        ({"models.two_point.representation": "resnet"}, "no 'resnet' in representations"),
        ({"models.ensemble.of": ["resnet", "nobody"]}, "models.ensemble.of: no model 'nobody'"),
        ({"models.resnet.representation": "scalars"}, "'resnet' takes maps"),
        ({"tracks.2.models": ["chance"]}, "'chance' cannot learn a target of kind 'value'"),
        ({"evaluation.metrics": ["accuracy"]}, "none fits a target of kind 'value'"),
        ({"evaluation.metrics": ["accuracy", "roc_auc", "mae"]}, "'roc_auc' does not fit"),
        ({"sweeps.0.key": "representation.blurr"}, "did you mean 'blur'"),
        ({"representation.crop": 500}, "must be at least the crop"),
        (
            {"search": {"model": "two_point", "grid": {"trees": [5, 10]}, "metrics": ["accuracy"]}},
            "needs a split",
        ),
    ):
        with pytest.raises(StudyError, match=says):
            vitrine.load_study("prior-strain", "smoke", settings)


# ---------------------------------------------------------------- a user's maps


def test_a_map_of_the_user_is_answered(strain_run: Path) -> None:
    model = vitrine.load_model(strain_run / "models/resnet")
    reference = Reference.read(strain_run / "models/resnet")
    assert reference is not None and len(reference.curves) == len(set(zip(reference.curve_of, strict=True)))
    random = np.random.default_rng(0)
    axial = 0.001 + 0.01 * (random.random((124, 31)) < 0.02)
    strain = np.stack([-0.3 * axial, axial, 0 * axial]).astype(np.float32)
    upright = StrainMap(strain, 2.0, "y", {"id": "mine"})
    lying = StrainMap(np.ascontiguousarray(strain[[1, 0, 2]].transpose(0, 2, 1)), 2.0, "x", {"id": "mine"})
    told = [predict_maps(model, [each], 0.1) for each in (upright, lying)]
    row = told[0].table.iloc[0]
    assert told[0].table.filter(like="probability").sum(axis=1)[0] == pytest.approx(1.0)
    assert row["low, 95%"] < row["prior strain %, from log"] < row["high, 95%"]
    assert (told[0].neighbours["reload"] == 0.1).all() and (
        np.diff(told[0].neighbours["distance"]) >= 0
    ).all()
    assert told[0].curves["strain %"].max() == pytest.approx(1.0)
    pd.testing.assert_frame_equal(told[0].table, told[1].table)


def test_a_training_map_finds_itself(strain_run: Path, strain_store: Path) -> None:
    model = vitrine.load_model(strain_run / "models/resnet")
    source = vitrine.load_study("prior-strain", "smoke", {"source.trajectories": 4}).source
    with Campaign(strain_store) as campaign:
        samples: Samples = source.samples(campaign.compute(source.tasks()))  # type: ignore[attr-defined]
    number = next(i for i, item in enumerate(samples.items) if np.ptp(item.axial) > 1e-3)
    told = predict_maps(model, [samples.items[number]], float(samples.attributes["reload"][number]))
    assert told.neighbours["distance"][0] == pytest.approx(0.0, abs=1e-4)
    assert samples.ids[number] in set(told.neighbours["simulated map"])
    assert told.warnings == []


def test_what_is_unlike_the_training_is_said_with_numbers(strain_run: Path) -> None:
    model = vitrine.load_model(strain_run / "models/resnet")
    wide = np.full((3, 30, 120), 0.3, np.float32)
    told = predict_maps(model, [StrainMap(wide, 50.0, "y", {"id": "far"})], 5.0)
    said = " ".join(told.warnings)
    for words in (
        "a reload of 5 %; the model was trained on 0.1, 1 %",
        "its pitch is 50 nm; the model was trained on",
        "0.25 times as long along the load as across; training maps are 4 times; is the loading axis right?",
        "it is 6 µm wide",
        "its mean strain along the load is 30 %",
    ):
        assert words in said, said
    with pytest.raises(DataError, match="1 x 1 pixels; at least 4 x 4"):
        predict_maps(model, [StrainMap(wide[:, :1, :1], 2.0)])
    with pytest.raises(DataError, match="no map"):
        predict_maps(model, [])
    constant = predict_maps(model, [StrainMap(np.full((3, 124, 31), 0.001, np.float32), 2.0)], 0.1)
    assert constant.table.filter(like="probability").notna().all(axis=None)


def test_intervals_hold_the_asked_share() -> None:
    """Of 19 errors the 19th is the 95 % quantile of the next one; of 18 none is large enough."""
    assert reach_of(list(range(19))) == 18 and reach_of(list(range(18))) == float("inf")
    random = np.random.default_rng(0)
    covered = [
        abs(random.normal()) <= reach_of(np.abs(random.normal(size=199)).tolist()) for _ in range(2000)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_maps_in_memory_are_predicted_as_files_are(
    strain_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vitrine.cli.files import PredictOptions, predict_files

    axial = np.full((124, 31), 0.001, np.float32)
    axial[40, :] = 0.03
    np.save(tmp_path / "map.npy", axial)
    folder = strain_run / "models/resnet"
    options = PredictOptions(None, None, None, False, None, False, axis="y", pitch="2nm", reload=0.1)
    predict_files(str(folder), [tmp_path / "map.npy"], options, None, None)
    written = pd.read_csv(tmp_path / "map-predicted.csv")
    assert "map: prior strain 0.1 %" in capsys.readouterr().out
    unknown = np.full_like(axial, np.nan)
    item = StrainMap(np.stack([unknown, axial, unknown]), 2.0, "y", {"id": "map"})
    with pytest.warns(UserWarning, match="map: ") if len(_warned(folder, item)) else _quiet():
        table = vitrine.predict(folder, item, reload=0.1)
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    with pytest.raises(DataError, match=r"takes vitrine.strain_maps.StrainMap, one or a list, not ndarray"):
        vitrine.predict(folder, axial)


def _warned(folder: Path, item: StrainMap) -> list[str]:
    return predict_maps(vitrine.load_model(folder), [item], 0.1).warnings


@contextmanager
def _quiet() -> Iterator[None]:
    yield
