"""The study chemistry-shift from the source to the report, and the landscapes of its networks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vitrine
from vitrine.errors import DataError, StudyError
from vitrine.study.each_element import correlation
from vitrine.study.result import Result, Row
from vitrine.study.shift_claims import (
    enthalpy_transfers_but_for_oxygen,
    gap_transfers_to_neither,
    geometry_tells_failure,
)
from vitrine.study.spec import load_study

MODELS = ("mean", "gradient_boosting", "cgcnn")
SHIFT = {
    "source.limit": 120,
    "evaluation.resamples": 50,
    "landscape.models": ["cgcnn"],
    "landscape.samples": 8,
    "seeds.repeats": 2,
    "each_element.least": 15,
    "explanations": [],
    "split.validation": 0.3,
    "representations.attributes": {"kind": "elemental-fractions", "elements": "all"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("shift") / "run"
    study = vitrine.load_study("chemistry-shift", "smoke", SHIFT, models=MODELS)
    vitrine.run(study, folder, workers=0, store=shared_store)
    return folder


@pytest.fixture(scope="module")
def result(run: Path) -> Result:
    return Result.read(run)


def rows(result: Result, **wanted: Any) -> list[Row]:
    fields = {key: wanted.pop(key) for key in ("track", "model", "metric") if key in wanted}
    found = [r for r in result.rows if all(getattr(r, key) == value for key, value in fields.items())]
    return [r for r in found if all(r.where.get(key) == value for key, value in wanted.items())]


def test_tracks_metrics_and_equal_training(result: Result, run: Path) -> None:
    plain = [r for r in result.rows if r.metric == "mae" and set(r.where) <= {"seeds"}]
    assert {r.track for r in plain} == {"random", "without_Ni", "without_Pt"}
    assert {r.model for r in plain} == {*MODELS, "shuffled_labels"}
    assert {r.metric for r in rows(result, track="without_Ni", data="in_distribution")} >= {
        "mae", "r2", "bias", "relative_mae", "coverage"
    }  # fmt: skip
    assert any(note.startswith("All tracks train on") for note in result.notes)
    shown = json.loads((run / "metrics.json").read_text())
    assert {row["track"] for row in shown["rows"]} >= {"random", "without_Ni", "each_element"}


def test_what_is_left_out_is_judged_apart(result: Result, run: Path) -> None:
    apart = pd.read_parquet(run / "predictions" / "without_Ni.parquet")
    beside = pd.read_parquet(run / "predictions" / "without_Ni_in_distribution.parquet")
    assert apart["group"].str.contains("Ni").all() and not beside["group"].str.contains("Ni").any()
    for frame, where in ((apart, {}), (beside, {"data": "in_distribution"})):
        (row,) = (
            r
            for r in rows(result, track="without_Ni", model="cgcnn", metric="mae")
            if {k: v for k, v in r.where.items() if k != "seeds"} == where
        )
        errors = [np.abs(frame[f"cgcnn.{seed}"] - frame["truth"]).mean() for seed in (0, 1)]
        assert row.value == pytest.approx(np.mean(errors), rel=1e-6) and row.n == len(frame)
    random = pd.read_parquet(run / "predictions" / "random.parquet")
    (known,) = rows(result, track="random", model="mean", metric="mae", data="with Ni")
    inside = random[random["group"].str.contains("Ni")]
    assert known.value == pytest.approx(np.abs(inside["mean"] - inside["truth"]).mean(), rel=1e-6)
    # other groups test wherever they are not left out
    assert set(beside["id"]) == set(random["id"][~random["group"].str.contains("Ni")])


def test_landscape_rows_tables_and_figures(result: Result) -> None:
    found = rows(result, track="without_Ni", model="cgcnn", landscape="filter", of="curves")
    assert {r.where["data"] for r in found} == {"train", "in_distribution", "left_out"}
    sharp = [r for r in found if r.metric == "sharpness"]
    assert all(r.unit == "eV/atom" and r.value is not None and r.value >= 0 for r in sharp)
    curved = rows(result, track="random", metric="hessian_trace")
    assert {r.where["data"] for r in curved} == {"train", "in_distribution"}
    assert all(r.unit == "(eV/atom)²" and r.where["error"] >= 0 for r in curved)
    kinds = {figure.name: figure.kind for figure in result.figures}
    assert kinds["without_Ni-surface-filter-cgcnn"] == "surfaces"
    assert kinds["without_Ni-landscape-cgcnn"] == "curves"
    surface = next(f for f in result.figures if f.name == "without_Ni-surface-filter-cgcnn")
    middle = len(surface.x) // 2  # type: ignore[union-attr]
    curve = next(f for f in result.figures if f.name == "without_Ni-landscape-cgcnn")
    for panel, line in zip(surface.panels, curve.curves, strict=True):  # type: ignore[union-attr]
        assert panel["label"] == line.label
        assert panel["values"][middle][middle] == pytest.approx(line.y[len(line.y) // 2], rel=1e-9)
    titles = [table.title for table in result.tables]
    assert "The loss around the trained weights: without_Pt" in titles
    assert "One element after the other left out" in titles


def test_each_element_is_ranked(result: Result) -> None:
    found = rows(result, track="each_element", metric="spearman", of="mae")
    told = {(r.where["predictor"], r.where["data"]) for r in found}
    assert ("robust_radius", "in_distribution") in told and ("distance to the training", "left_out") in told
    assert all(r.groups == 5 and abs(r.value) < 1 + 1e-12 for r in found if r.value is not None)
    spread = next(r for r in found if r.where["predictor"] == "spread of seeds")
    assert spread.value is None  # one seed at smoke
    left = {r.where["left_out"] for r in rows(result, track="each_element", metric="mae")}
    assert len(left) == 5 and left <= {"Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"}


def test_the_report_is_drawn(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "The loss over a plane of weights" in page and "Does it tell where cgcnn will fail?" in page


def test_correlation_over_elements() -> None:
    study = load_study("chemistry-shift", "smoke")
    rising = np.arange(20.0)
    found = correlation(study, rising, rising**3)
    assert (found.value, found.groups) == (pytest.approx(1.0), 20)
    noisy = correlation(study, np.random.default_rng(0).normal(size=20), rising)
    assert noisy.low is not None and noisy.high is not None and noisy.low < 0 < noisy.high
    assert correlation(study, rising, np.where(rising < 16, np.nan, rising)).low is None


def test_explain_landscape_of_a_model_folder(run: Path, shared_store: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.parquet"
    source = load_study("chemistry-shift", "smoke").source
    from vitrine.campaign.campaign import Campaign

    with Campaign(shared_store) as campaign:
        alloys = source.samples(campaign.compute(source.tasks())).items.head(9)  # type: ignore[attr-defined]
    alloys.rename(columns={"target": "e_form"}).drop(columns="prototype").to_parquet(table)
    settings = {"samples": 6, "points": 5, "plane_points": 5, "radius": 0.25, "seeds": 2, "lanczos": 2}
    found = vitrine.face.explain_landscape(
        run / "models" / "cgcnn", tmp_path / "out", data=table, settings=settings, store=shared_store
    )
    assert {r.where["data"] for r in found.rows} == {"train", "in_distribution", "yours"}
    assert (tmp_path / "out" / "report.html").is_file()
    again = vitrine.face.explain_landscape(
        run / "models" / "cgcnn", tmp_path / "out", data=table, settings=settings, store=shared_store
    )
    assert [r.value for r in again.rows] == [r.value for r in found.rows]


@pytest.mark.parametrize(
    ("model", "words"),
    [("mean", "no network that learns its label itself"), ("gradient_boosting", "no network")],
)
def test_models_without_a_landscape_are_refused(run: Path, model: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        vitrine.face.explain_landscape(run / "models" / model, tmp_path / "out", store=tmp_path / "s")


def test_a_model_folder_on_its_own_needs_data(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "models" / "cgcnn", tmp_path / "alone")
    with pytest.raises(DataError, match=r"lies in no run folder.*--data TABLE"):
        vitrine.face.explain_landscape(tmp_path / "alone", tmp_path / "out", store=tmp_path / "s")
    with pytest.raises(StudyError, match=r"--set.*pionts.*did you mean 'points'"):
        vitrine.face.explain_landscape(run / "models" / "cgcnn", tmp_path / "out", settings=["pionts=3"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"landscape.models": ["mean"]}, "landscape.models: 'mean' .mean. is no network"),
        ({"landscape.models": ["cgnn"]}, "no model 'cgnn'.*did you mean 'cgcnn'"),
        ({"landscape.points": 10}, "an odd number"),
        ({"landscape.radius": 0.01}, "radius: 0.01 is less than a step"),
        ({"landscape": None}, "each_element: needs the section landscape"),
        (
            {
                "label": {"kind": "binary-column", "column": "e_form"},
                "evaluation.metrics": ["roc_auc"],
                "evaluation.headline": None,
            },
            "each_element: ranks mean absolute errors",
        ),
        ({"each_element.baselines": ["xgb"]}, "each_element.baselines: no model 'xgb'"),
        ({"landscape.tracks": ["random", "withot"]}, "landscape.tracks: no track 'withot'"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        vitrine.load_study("chemistry-shift", "smoke", settings)


def test_elements_that_are_named_must_be_there(tmp_path: Path, shared_store: Path) -> None:
    settings = SHIFT | {"each_element.elements": ["Ni", "Fe", "O"], "landscape.planes": []}
    study = vitrine.load_study("chemistry-shift", "smoke", settings, models=("mean", "cgcnn"))
    with pytest.raises(StudyError, match=r"only Ni can be left out.*Fe: leave_out: none of the 120 samples"):
        vitrine.run(study, tmp_path / "run", store=shared_store)


def test_the_published_crystals_take_over_where_the_alloys_end() -> None:
    def source(*texts: str) -> Any:
        return load_study("chemistry-shift", "smoke", texts).source

    assert source().table == "emt-alloys"  # type: ignore[attr-defined]
    assert source("split.leave_out=Cu", "source.target=e_form").table == "emt-alloys"
    assert source("split.leave_out=[Fe,O]").table == "mp/structures"
    assert source("split.leave_out=[Fe,O]").target == "e_form"
    gap = source("source.target=gap", "split.leave_out=Ni")
    assert (gap.table, gap.target, gap.limit) == ("mp/structures", "gap", 240)
    assert [t.title for t in load_study("chemistry-shift", "smoke", ["split.leave_out=[Fe,O]"]).tracks] == [
        "random", "without_Fe", "without_O"
    ]  # fmt: skip


def _row(track: str, value: float, low: float, high: float, **where: str) -> Row:
    return Row(track, "cgcnn", "mae", value, low, high, 9, 90, where=dict(where))


class _Samples:
    about: dict[str, str]

    def __init__(self, target: str) -> None:
        self.about = {"target": target}


def _evidence(target: str, rows: list[Row]) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(samples=_Samples(target), rows=tuple(rows), main="cgcnn")


def test_claims_of_transfer() -> None:
    alike = {"data": "in_distribution"}
    found = [
        _row("without_Fe", 0.06, 0.055, 0.065), _row("without_Fe", 0.05, 0.04, 0.06, **alike),
        _row("without_O", 0.4, 0.35, 0.45), _row("without_O", 0.05, 0.04, 0.06, **alike),
    ]  # fmt: skip
    assert enthalpy_transfers_but_for_oxygen(_evidence("e_form", found)).holds is True
    assert gap_transfers_to_neither(_evidence("gap", found)).holds is False
    assert gap_transfers_to_neither(_evidence("e_form", found)).holds is None
    assert enthalpy_transfers_but_for_oxygen(_evidence("e_form", found[:2])).holds is None
    wide = [_row("without_Fe", 0.09, 0.05, 0.2), *found[1:]]
    assert enthalpy_transfers_but_for_oxygen(_evidence("e_form", wide)).holds is None


def test_claim_of_geometry() -> None:
    def spearman(low: float, high: float) -> Any:
        where = {"predictor": "robust_radius", "data": "in_distribution", "of": "mae"}
        row = Row("each_element", "cgcnn", "spearman", (low + high) / 2, low, high, 20, 20, where=where)
        return geometry_tells_failure(_evidence("e_form", [row]))

    assert spearman(-0.9, -0.3).holds is True
    assert spearman(-0.4, 0.4).holds is None
    assert spearman(0.2, 0.8).holds is False
    assert geometry_tells_failure(_evidence("e_form", [])).holds is None


def test_crystals_are_predicted_from_their_files(run: Path, tmp_path: Path) -> None:
    from ase.build import bulk
    from typer.testing import CliRunner

    from vitrine.cli.main import app

    files = [tmp_path / "cu.cif", tmp_path / "POSCAR"]
    for path, atoms in zip(files, (bulk("Cu"), bulk("NiAl", "cesiumchloride", a=2.88)), strict=True):
        atoms.write(path, format="cif" if path.suffix else "vasp")
    out, store = tmp_path / "told.csv", str(tmp_path / "store")
    names = [str(path) for path in files]
    done = CliRunner().invoke(
        app, ["predict", str(run / "models" / "cgcnn"), *names, "-o", str(out), "--store", store]
    )
    assert done.exit_code == 0, done.output
    told = pd.read_csv(out)
    assert told["formula"].tolist() == ["Cu", "AlNi"] and told["file"].tolist() == names
    assert np.isfinite(told["e_form_predicted"]).all() and "cell" not in told
    (tmp_path / "bad.cif").write_text("no crystal")
    bad = CliRunner().invoke(app, ["predict", str(run / "models" / "cgcnn"), str(tmp_path / "bad.cif")])
    assert isinstance(bad.exception, DataError) and "bad.cif" in str(bad.exception)
