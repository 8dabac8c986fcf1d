"""Sets that ship with the package: what is in them is physics, and the command in them makes them again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest

from vitrine.cli.simulate import _command
from vitrine.simulate.released_liquids import LIQUIDS, ReleasedLiquids, read_set
from vitrine.simulate.released_reader import SHEARED, SHIPPED, find_set

SETS = sorted(SHIPPED.glob("*.h5"))


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.name)
def test_a_set_is_described_and_its_command_is_one(path: Path) -> None:
    """README.md has the command; the flags of it are flags of the simulator."""
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert f"`{path.name}`" in text
    lines = [line.strip() for line in text.splitlines() if line.strip().endswith(f"-o {path.name}")]
    assert len(lines) == 1
    words = shlex.split(lines[0])
    assert words[:2] == ["vitrine", "simulate"]
    known = {option for parameter in _command(words[2]).params for option in parameter.opts}
    assert {word for word in words[3:] if word.startswith("-") and not word[1:2].isdigit()} <= known
    with h5py.File(path) as file:
        about = json.loads(file.attrs["about"])
        assert about["kind"] == words[2]


def test_sets_of_planes_and_maps_take_at_most_25_megabytes() -> None:
    assert sum(path.stat().st_size for path in SETS if not path.name.startswith("cu64zr36")) < 25e6


def test_glasses_of_2000_atoms() -> None:
    """Every direction has an event; energies are those of glasses quenched with half the time step."""
    path = find_set("cu64zr36", SHEARED)
    assert path.stat().st_size < 15e6
    with h5py.File(path) as file:
        about = json.loads(file.attrs["about"])
        assert (about["atoms"], about["quench_rate"], len(about["potential_sha256"])) == (2000, 1e13, 64)
        assert about["lammps"]
        specimens = dict(file["specimens"].items())
        names = [f"cu64zr36-n2000-q1e13-s{seed:04d}" for seed in range(1, len(specimens) + 1)]
        assert sorted(specimens) == names and len(names) == 40
        energies = []
        for specimen in specimens.values():
            energies.append(float(specimen["energy"][()].astype(float).mean()))
            assert len(specimen["directions"]) == 6
            for event in specimen["directions"].values():
                assert 0 < event.attrs["event_strain"] < 0.06
                assert (event["d2min"][()] > 0.1).sum() >= event.attrs["event_atoms"] >= 3
    assert np.mean(energies) == pytest.approx(-4.424, abs=0.002)  # eV/atom; 20 of 500 atoms: -4.4238
    assert np.std(energies) < 0.002


def test_liquids_and_glasses_of_500_particles_are_at_their_minima() -> None:
    from vitrine.physics.lennard_jones import energies_and_virial

    found = read_set(find_set("lj65-n500", LIQUIDS))
    counts = {name: len(arrays["number"]) for name, arrays in found.sets.items()}
    assert counts == {"liquid": 30, "glass": 150, "cooling": 8}
    lengths = np.full(2, np.sqrt(500 / 1.2))
    random = np.random.default_rng(0)
    for name in ("liquid", "glass"):
        arrays = found.sets[name]
        t = int(random.integers(counts[name]))
        kinds = arrays["kinds"][t].astype(np.int64)
        assert (kinds == 0).sum() == 325
        positions = arrays["inherent"][t, 0]
        low = energies_and_virial(positions, lengths, kinds).energy.sum()
        for _ in range(3):  # any small step goes uphill
            step = random.normal(0, 1e-3, positions.shape)
            assert energies_and_virial(positions + step, lengths, kinds).energy.sum() > low


def test_liquids_lie_lower_than_glasses_and_their_thermal_states_higher() -> None:
    minima = ReleasedLiquids(name="lj65-n500", state="inherent").samples([])
    energy = np.array([atoms.info["inherent_energy"] for atoms in minima.items])
    glass = np.array([atoms.info["phase"] == "glass" for atoms in minima.items])
    assert len(energy) == 300 and glass.sum() == 150
    assert energy[~glass].mean() < energy[glass].mean()
