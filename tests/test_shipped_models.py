"""Models that ship with the package: they load by the name of their study and predict at once."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import vitrine
from vitrine.cli.main import main
from vitrine.simulate.released import find_released, read_released
from vitrine.simulate.released_dislocations import ReleasedDislocations
from vitrine.simulate.released_liquids import ReleasedLiquids
from vitrine.study.find_model import shipped_models

FILES = {"README.md", "model.yaml", "metrics.json", "splits.csv", "environment.txt"}


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_a_shipped_model_is_whole(name: str) -> None:
    folder = shipped_models()[name]
    model = vitrine.load_model(name)
    assert model.study == name
    assert {path.name for path in folder.iterdir()} >= FILES
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: vitrine\nlicense: cc-by-4.0\n")
    assert "Not stated" not in card
    for path in folder.iterdir():
        assert path.suffix not in (".pkl", ".pickle", ".pt", ".ckpt", ".joblib")
        if path.suffix in (".md", ".yaml", ".json", ".csv", ".txt"):
            assert not re.search(r"/(work|root|home|tmp)/", path.read_text(encoding="utf-8")), path.name


def test_all_of_them_take_a_few_megabytes() -> None:
    sizes = [path.stat().st_size for folder in shipped_models().values() for path in folder.iterdir()]
    assert sum(sizes) < 10e6


def _predict(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["vitrine", "predict", *shlex.split(words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_formation_energy_of_rock_salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Materials Project has -2.1 eV/atom (mp-22862)."""
    from ase.build import bulk

    monkeypatch.chdir(tmp_path)
    bulk("NaCl", "rocksalt", a=5.64).write("NaCl.cif")
    _predict("chemistry-shift NaCl.cif -o out.csv", monkeypatch)
    (row,) = _rows(tmp_path / "out.csv")
    assert float(row["e_form_predicted"]) == pytest.approx(-2.1, abs=0.3)
    assert float(row["e_form_low"]) < -2.1 < float(row["e_form_high"])


def test_formation_energies_of_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stable salts far below zero, an alloy near it; JARVIS has -3.2, -1.9 and -0.1 eV/atom or so."""
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("formula\nMgO\nNaCl\nCuZn\n")
    _predict("branched-composition mine.csv -o out.csv", monkeypatch)
    rows = _rows(tmp_path / "out.csv")
    (column,) = [name for name in rows[0] if name.endswith("_predicted")]
    oxide, salt, brass = (float(row[column]) for row in rows)
    assert -3.6 < oxide < -2.4
    assert -2.4 < salt < -1.4
    assert -0.5 < brass < 0.3


def test_prior_strain_of_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload of 0.1 % of a crystal that never yielded is elastic: this one cannot be missed."""
    monkeypatch.chdir(tmp_path)
    samples = ReleasedDislocations(width=(0.25,), trajectories=1).samples([])
    first = samples.items[0]
    assert (first.info["prior"], first.info["reload"]) == (0.1, 0.1)
    np.save("map.npy", first.axial)
    _predict(f"prior-strain map.npy --axis y --reload 0.1 --pitch {first.pitch}nm -o out.csv", monkeypatch)
    (row,) = _rows(tmp_path / "out.csv")
    shares = {name: float(value) for name, value in row.items() if name.startswith("probability ")}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
    assert max(shares, key=lambda name: shares[name]) == "probability 0.1 %"


def test_phases_of_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minima of liquids and glasses of equal energy are told apart more often than not."""
    from ase.io import read, write

    monkeypatch.chdir(tmp_path)
    samples = ReleasedLiquids(name="lj65-n500", state="inherent", match_energy=0.002).samples([])
    chosen = [*range(10), *range(len(samples) - 10, len(samples))]
    write("my.extxyz", [samples.items[k] for k in chosen])
    _predict("liquid-glass my.extxyz -o out.extxyz", monkeypatch)
    glass = np.array([samples.items[k].info["phase"] == "glass" for k in chosen])
    scores = np.array([atoms.info["probability"] for atoms in read("out.extxyz", ":")])
    assert glass.sum() == 10
    above = (scores[glass][:, None] > scores[~glass]).mean()
    assert above > 0.6


def test_atoms_that_yield_first_in_glasses_that_the_model_never_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was trained on the glasses of 2,000 atoms: two of 500, six directions each, as bare positions."""
    from ase.io import read, write
    from sklearn.metrics import roc_auc_score

    monkeypatch.chdir(tmp_path)
    areas = []
    for number in (1, 2):
        samples = read_released(find_released("cu64zr36-n500"), specimens=1, first=number).items
        bare = samples[0].copy()
        for name in set(bare.arrays) - {"numbers", "positions"}:
            del bare.arrays[name]
        write("my.extxyz", bare)
        words = " ".join(f"--direction={atoms.info['direction']}" for atoms in samples)
        _predict(f"shear-transformation my.extxyz {words} -o out.extxyz", monkeypatch)
        found = read("out.extxyz")
        for atoms in samples:
            scores = found.arrays[f"probability_{atoms.info['direction'].replace('-', 'minus_')}"]
            areas.append(roc_auc_score(atoms.arrays["d2min"] > 0.1, scores))
    assert len(areas) == 12
    assert np.mean(areas) > 0.7
