"""Dislocations as a source: maps, branches, kills and resumption, failures, the file and its pictures."""

from __future__ import annotations

import itertools
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from vitrine.campaign.campaign import Campaign
from vitrine.cli.main import main
from vitrine.cli.simulate import _command
from vitrine.errors import DataError, InputError, TaskError
from vitrine.samples import Samples
from vitrine.simulate.dislocations import trajectory
from vitrine.simulate.dislocations.arrays import PLASTIC, STRAIN
from vitrine.simulate.dislocations.files import (
    DISLOCATIONS,
    legs_of,
    read_curve,
    read_displacement,
    read_frames,
    read_trajectories,
    rows_of,
)
from vitrine.simulate.dislocations.source import DislocationDynamics
from vitrine.simulate.dislocations.specimen import trajectory_id
from vitrine.simulate.dislocations.trajectory import Run, pitch_of
from vitrine.simulate.released_reader import opened
from vitrine.strain_maps import StrainMap, strain_of
from vitrine.study import shelf
from vitrine.tasks import Outcome, Task

Arrays = dict[str, np.ndarray[Any, Any]]

TINY: dict[str, Any] = {
    "width": (0.0625,),
    "prior": (0.05, 0.1, 0.2),
    "reload": (0.05, 0.1),
}
"""A tenth of a second; hardly beyond its first slip."""
STEP = 1e-9 * 1e4 * 0.5
"""Strain of the largest step of loading, by default."""


def source(**changes: Any) -> DislocationDynamics:
    return DislocationDynamics.model_validate(TINY | changes)


class Works:
    """Computes tasks in this process and keeps their folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, tasks: Sequence[Task]) -> list[Outcome]:
        with Campaign(self.folder, workers=0) as campaign:
            return campaign.compute(list(tasks))


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    return Works(tmp_path_factory.mktemp("works"))


def made(works: Works, **changes: Any) -> Samples:
    part = source(**changes)
    return part.samples(works(part.tasks()))


def content(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and attributes of an HDF5 file by name."""
    arrays: Arrays = {}
    with h5py.File(path) as file:
        attributes = {f"@{key}": value for key, value in file.attrs.items()}

        def visit(name: str, item: Any) -> None:
            attributes.update({f"{name}@{key}": value for key, value in item.attrs.items()})
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()]

        file.visititems(visit)
    return arrays, attributes


def check_equal(one: Path, other: Path, *but: str) -> None:
    """Bit for bit, whatever order it was written in."""
    (ours, told), (theirs, said) = content(one), content(other)
    assert ours.keys() == theirs.keys() and ours
    for name, values in ours.items():
        assert values.dtype == theirs[name].dtype and values.tobytes() == theirs[name].tobytes(), name
    assert told.keys() == said.keys()
    for name in told.keys() - set(but):
        assert np.array_equal(told[name], said[name]), name


def legs(works: Works, **changes: Any) -> tuple[Arrays, str]:
    """Arrays of a single trajectory by their names in it, and its own name."""
    (outcome,) = works(source(**changes).tasks())
    assert outcome.folder is not None, outcome.error
    begin = f"trajectories/{outcome.label}/"
    arrays, _ = content(outcome.folder / trajectory.TRAJECTORY)
    return {name.removeprefix(begin): values for name, values in arrays.items()}, outcome.label


# ---------------------------------------------------------------- maps


def test_a_trajectory_yields_a_map_for_each_prior_and_reload(works: Works) -> None:
    samples = made(works, slip=("one", "two"), trajectories=2)
    names = [trajectory_id(0.0625, slip, seed) for slip in ("one", "two") for seed in (1, 2)]
    pairs = list(itertools.product((0.05, 0.1, 0.2), (0.05, 0.1)))
    assert samples.ids == tuple(f"{name}/p{prior:g}-r{reload:g}" for name in names for prior, reload in pairs)
    assert samples.ids[0] == "ddd-w0062.5-one-s0001/p0.05-r0.05"
    assert samples.groups == tuple(name for name in names for _ in pairs)
    assert samples.kind == "maps" and not samples.left_out
    np.testing.assert_array_equal(samples.attributes["width"], 24 * [0.0625])
    np.testing.assert_array_equal(samples.attributes["prior"], 4 * [0.05, 0.05, 0.1, 0.1, 0.2, 0.2])
    np.testing.assert_array_equal(samples.attributes["reload"], 12 * [0.05, 0.1])
    for each in samples.items:
        assert each.strain.dtype == np.float32 and each.strain.shape == (3, 124, 31)
        assert each.pitch == 62.5 / 31 and each.axis == "y"
        assert np.isfinite(each.strain).all()
        assert json.dumps(each.info)
    assert [each.info["slip"] for each in samples.items[::12]] == ["one", "two"]
    assert [each.info["seed"] for each in samples.items[::6]] == [1, 2, 1, 2]
    assert samples.about["engine"] >= 1 and samples.about["prior"] == [0.05, 0.1, 0.2]


@pytest.mark.parametrize("slip", ["one", "two"])
def test_the_smallest_crystal_at_the_strains_of_the_study(works: Works, slip: str) -> None:
    """Beyond 1 % it has yielded: the map is far from uniform, its mean is what the ends have moved."""
    samples = made(works, slip=(slip,), prior=(0.1, 1.0, 10.0), reload=(0.1, 1.0))
    assert samples.ids == tuple(
        f"ddd-w0062.5-{slip}-s0001/p{prior}-r{reload}"
        for prior in ("0.1", "1", "10")
        for reload in ("0.1", "1")
    )
    for each in samples.items:
        wanted = each.info["reload"] / 100
        assert each.axial.mean(dtype=float) == pytest.approx(wanted, rel=1e-6)
    last = samples.items[-1]
    assert last.axial.std() > 0.5 * last.axial.mean()
    assert 0.2 < last.equivalent.max() < 5  # sharp slip lines


def test_names_say_what_it_is() -> None:
    part = DislocationDynamics(width=(0.0625, 2.0), slip=("two", "one"), seed=9, trajectories=2)
    assert [task.label for task in part.tasks()] == [
        f"ddd-w{width}-{slip}-s{seed}"
        for width in ("0062.5", "2000")
        for slip in ("two", "one")
        for seed in ("0009", "0010")
    ]
    keys = [task.key for task in part.tasks()]
    assert set(keys) >= {task.key for task in part.model_copy(update={"trajectories": 1}).tasks()}
    backwards = part.model_copy(update={"prior": part.prior[::-1], "reload": part.reload[::-1]})
    assert [task.key for task in backwards.tasks()] == keys


@pytest.mark.parametrize(
    ("width", "wanted", "columns"),
    [(62.5, None, 31), (125, None, 62), (250, None, 125), (500, None, 250), (1000, None, 250),
     (2000, None, 250), (62.5, 3.0, 21), (125, 125.0, 1), (125, 100.0, 1), (1000, 2.0, 500)],
)  # fmt: skip
def test_pixels_are_whole(width: float, wanted: float | None, columns: int) -> None:
    """2 nm, or 250 across where that would be more."""
    assert pitch_of(width, wanted) == width / columns
    assert rows_of(4 * width, pitch_of(width, wanted)) == 4 * columns


def test_an_elastic_crystal_follows_hooke(works: Works) -> None:
    """Plane strain, free sides: exx = -nu / (1 - nu) eyy everywhere, no shear."""
    for poisson, aspect in ((0.33, 4.0), (0.2, 3.3)):
        for each in made(works, source_strength=1e6, poisson=poisson, aspect=aspect).items:
            xx, yy, xy = each.strain.astype(float)
            assert np.ptp(yy) < 1e-8 and abs(yy.mean() - each.info["reload"] / 100) < 1e-8
            np.testing.assert_allclose(xx, -poisson / (1 - poisson) * yy, atol=1e-9)
            np.testing.assert_allclose(xy, 0, atol=1e-9)


def test_a_height_of_no_whole_number_of_pixels_keeps_them_square(works: Works) -> None:
    """What is left at both ends, less than half a pixel each, is not in the map."""
    samples = made(works, aspect=3.3, prior=(1.0,), reload=(1.0,))
    (each,) = samples.items
    assert each.strain.shape == (3, 102, 31)
    assert each.axial.mean(dtype=float) == pytest.approx(0.01, rel=0.01)


def test_the_mean_of_a_map_is_what_the_reload_did(works: Works) -> None:
    """To the rounding of single precision; it overshoots by less than a step, since steps are not cut."""
    told, _ = legs(works, prior=(0.5, 1.0), reload=(0.1, 1.0))
    for prior, reload in itertools.product(("0.5", "1"), ("0.1", "1")):
        begin = told[f"legs/unload-{prior}/frames/strain"][-1]
        end = told[f"legs/reload-{prior}-{reload}/frames/strain"][-1]
        strain = told[f"maps/prior-{prior}-reload-{reload}/strain"].astype(float)
        assert strain[1].mean() == pytest.approx(end - begin, rel=1e-6)
        assert abs(end - begin - float(reload) / 100) < 1e-9
        # it is the strain of the displacement beside it
        moved = told[f"maps/prior-{prior}-reload-{reload}/displacement"].astype(float)
        np.testing.assert_allclose(strain, strain_of(moved, 62.5 / 31), atol=2e-6)


# ---------------------------------------------------------------- branches


def test_every_reload_starts_at_zero_stress(works: Works) -> None:
    """Or less than what a step of loading takes away."""
    told, _ = legs(works, prior=(0.1, 1.0, 10.0), reload=(0.1, 1.0))
    for prior in ("0.1", "1", "10"):
        unloaded = told[f"legs/unload-{prior}/frames/stress"][-1]
        assert -30 < unloaded <= 0  # a burst at the last step may go on
        assert told[f"legs/reload-{prior}-0.1/curve"][0, 1] < unloaded + 5
        assert told[f"legs/unload-{prior}/curve"][0, 1] < told[f"legs/load-{prior}/curve"][-1, 1] + 5
        if prior == "0.1":  # elastic so far
            assert unloaded > -0.5


def test_branches_do_not_disturb_the_loading(works: Works) -> None:
    """Bit for bit: unloading and reloading work on copies, and earlier strains know nothing of later ones."""
    changes = {"width": (0.125,), "reload": (0.1,), "seed": 3}
    told, name = legs(works, prior=(0.5, 1.0), **changes)
    part = source(prior=(0.5, 1.0), **changes)
    run = Run(name, part.model(125.0), part.specimen(125.0, "two", 3), part.modes, part.frame_step / 100)
    state = run.start()
    for prior in ("0.5", "1"):
        leg = run.leg(state, float(prior) / 100)
        np.testing.assert_array_equal(leg.curve, told[f"legs/load-{prior}/curve"])
        for key in ("stress", "x", "y", "sign"):
            np.testing.assert_array_equal(leg.frames[key], told[f"legs/load-{prior}/frames/{key}"])
        state = leg.state
    further, _ = legs(works, prior=(0.5, 1.0, 1.5), **changes)
    shared = [key for key in told if key.startswith(("legs/", "maps/"))]
    assert len(shared) > 20
    for key in shared:
        np.testing.assert_array_equal(told[key], further[key], err_msg=key)


def test_a_branching_point_restarts_the_control_of_the_step(works: Works) -> None:
    """The step before it is cut; until then a strain reached in one go is equal bit for bit."""
    once, _ = legs(works, prior=(2.0,))
    twice, _ = legs(works, prior=(1.0, 2.0))
    whole = np.concatenate([twice[f"legs/load-{prior}/curve"] for prior in ("1", "2")])
    first = once["legs/load-2/curve"]
    np.testing.assert_array_equal(whole[:998], first[:998])
    assert abs(len(whole) - len(first)) <= 2


def test_a_small_reload_lies_on_the_way_to_a_larger_one(works: Works) -> None:
    told, _ = legs(works, prior=(1.0,), reload=(0.1, 1.0))
    alone, _ = legs(works, prior=(1.0,), reload=(0.1,))
    for key in ("legs/reload-1-0.1/curve", "maps/prior-1-reload-0.1/strain"):
        np.testing.assert_array_equal(told[key], alone[key])
    first, second = (told[f"legs/reload-1-{reload}/curve"] for reload in ("0.1", "1"))
    assert first[-1, 0] < second[0, 0] < first[-1, 0] + 2e-5
    assert first[-1, 4] < second[0, 4]  # the time goes on
    both = told["legs/unload-1/frames/strain"][-1] + np.array([0.001, 0.01])
    np.testing.assert_allclose([first[-1, 0], second[-1, 0]], both, atol=1.5e-5)


def test_one_trajectory_is_the_same_whatever_is_made_beside_it(works: Works) -> None:
    alone, _ = legs(works, seed=2)
    beside = made(works, seed=1, trajectories=3)
    (second,) = [item for item in beside.items if item.info["id"] == "ddd-w0062.5-two-s0002/p0.2-r0.1"]
    np.testing.assert_array_equal(second.strain, alone["maps/prior-0.2-reload-0.1/strain"])


# ---------------------------------------------------------------- strain maps


def test_strain_of_an_affine_displacement_is_exact() -> None:
    exx, eyy, gx, gy, pitch = 0.25, -0.5, 0.125, 0.0625, 2.0
    y, x = pitch * np.mgrid[:6, :4]
    moved = np.stack([3 + exx * x + gx * y, -1 + gy * x + eyy * y])
    strain = strain_of(moved, pitch)
    assert strain.shape == (3, 5, 3)
    for found, expected in zip(strain, (exx, eyy, 0.5 * (gx + gy)), strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000), st.floats(0.5, 8.0))
def test_the_mean_strain_is_what_the_ends_have_moved(
    rows: int, columns: int, seed: int, pitch: float
) -> None:
    moved = np.random.default_rng(seed).normal(size=(2, rows + 1, columns + 1))
    moved[1, 0], moved[1, -1] = 0.0, 0.7  # ends that stay straight
    strain = strain_of(moved, pitch)
    assert strain[1].mean() == pytest.approx(0.7 / (rows * pitch), rel=1e-9, abs=1e-9)


def test_components_and_invariants_of_a_map() -> None:
    strain = np.zeros((3, 1, 3), np.float32)
    strain[:, 0, 0] = 0.0, 0.03, 0.0  # uniaxial
    strain[:, 0, 1] = -0.02, 0.02, 0.0  # pure shear
    strain[:, 0, 2] = 0.0, 0.0, 0.01  # the same, turned
    each = StrainMap(strain, 2.0)
    np.testing.assert_array_equal(each.axial, strain[1])
    np.testing.assert_array_equal(StrainMap(strain, 2.0, "x").axial, strain[0])
    # sqrt(2/3 e:e): deviators (-.01, .02, -.01), (-.02, .02, 0) and 2 * 0.01^2
    expected = [np.sqrt(2 / 3 * 6e-4), np.sqrt(2 / 3 * 8e-4), np.sqrt(2 / 3 * 2e-4)]
    np.testing.assert_allclose(each.equivalent[0], expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"should be \(3, rows, columns\)"):
        StrainMap(strain[:2], 2.0)


# ---------------------------------------------------------------- killed and resumed

DRIVER = """
import os, signal, sys
from pathlib import Path
from vitrine.simulate.dislocations import engine, export, trajectory

at, count, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
trajectory.PIECE, trajectory.SAVE_EVERY = 70, 0.0
met = calls = 0
save, write = trajectory.save_arrays, trajectory.write_trajectory
replace, advance = Path.replace, engine.advance

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(name):
    global met
    met += name == at
    return met == count and name == at

def save_arrays(path, **arrays):
    here = counted(path.name)
    if here and when == "within":
        path.with_name(f"{path.stem}.part.npz").write_bytes(b"PK and half of an archive")
        die()
    if here and when == "before":
        die()
    save(path, **arrays)
    if here:
        die()

def write_trajectory(path, *rest):
    here = counted(path.name)
    if here and when == "before":
        die()
    write(path, *rest)
    if here:
        die()

def replacing(path, target):
    if str(target).endswith("out.h5") and counted("out.h5"):
        die()
    return replace(path, target)

def counting(*arguments):
    global calls
    calls += 1
    return advance(*arguments)

trajectory.save_arrays, trajectory.write_trajectory, Path.replace = save_arrays, write_trajectory, replacing
engine.advance = counting
from vitrine.cli.main import main
sys.argv[:] = ["vitrine", *sys.argv[4:]]
try:
    main()
except SystemExit as end:
    print("pieces", calls, flush=True)
    sys.exit(end.code)
"""
KILLED = "simulate dislocations --width 0.125 --prior 1,5 --reload 0.1,0.2 --seed 7 --workers 0 -o out.h5"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


def start(folder: Path, at: str = "nothing", count: int = 1, when: str = "after") -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-c", DRIVER, at, str(count), when, *shlex.split(KILLED), "--store", "store"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, cwd=folder, env=ENVIRONMENT, text=True, stdout=pipe, stderr=subprocess.STDOUT
    )


def drive(folder: Path, *how: Any) -> tuple[int, str]:
    """Exit status of the command, and what it said."""
    with start(folder, *how) as process:
        said, _ = process.communicate(timeout=200)
        return process.returncode, said


def pieces(said: str) -> int:
    return int(said.rsplit("pieces ", 1)[1])


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, float]:
    """Its file, the pieces in which it was made, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("unbroken")
    begin = time.monotonic()
    status, said = drive(folder)
    assert status == 0, said
    return folder / "out.h5", pieces(said), time.monotonic() - begin


POINTS = [
    ("load-1.under-way.npz", 5, "after"),
    ("load-1.npz", 1, "within"),  # its half is no state under way
    ("unload-1.npz", 1, "before"),
    ("reload-1-0.1.npz", 1, "after"),
    ("load-5.under-way.npz", 9, "within"),
    ("load-5.under-way.npz", 9, "before"),
    ("reload-5-0.2.npz", 1, "after"),
    ("trajectory.h5", 1, "before"),
    ("trajectory.h5", 1, "after"),
    ("out.h5", 1, "before"),
]
"""File that is written, how often, and when: in the order of their happening."""


@pytest.mark.slow
def test_killed_again_and_again(unbroken: tuple[Path, int, float], tmp_path: Path) -> None:
    """SIGKILL at one point after the other: each run goes on where the last one died, to the same bits."""
    whole, all_pieces, _ = unbroken
    for point in POINTS:
        status, said = drive(tmp_path, *point)
        assert status == -signal.SIGKILL, f"{point} was not met: {said}"
        assert not (tmp_path / "out.h5").exists()
    status, said = drive(tmp_path)
    assert status == 0, said
    assert "1 of 1 are finished in the store and reused" in said and pieces(said) == 0
    check_equal(tmp_path / "out.h5", whole)
    assert not list((tmp_path / "store" / "partial").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "out.png", "store"]
    (entry,) = (tmp_path / "store" / "entries").glob("*/*/trajectory.h5")
    assert {path.name for path in entry.parent.iterdir()} == {"trajectory.h5", "entry.json"}
    # once more: nothing is to be made
    status, said = drive(tmp_path)
    assert status == 0 and "1 trajectories are in out.h5 already, 0 to make" in said and pieces(said) == 0
    assert all_pieces > 100


def test_a_resumed_run_does_only_what_is_left(unbroken: tuple[Path, int, float], tmp_path: Path) -> None:
    whole, all_pieces, _ = unbroken
    assert drive(tmp_path, "load-5.npz", 1, "after")[0] == -signal.SIGKILL
    status, said = drive(tmp_path)
    assert status == 0, said
    assert 0 < pieces(said) < 0.5 * all_pieces
    assert "reused" not in said
    check_equal(tmp_path / "out.h5", whole)


def test_a_damaged_state_is_made_anew(unbroken: tuple[Path, int, float], tmp_path: Path) -> None:
    whole, all_pieces, _ = unbroken
    assert drive(tmp_path, "load-5.under-way.npz", 9, "after")[0] == -signal.SIGKILL
    (state,) = (tmp_path / "store" / "partial").glob("*/load-5.under-way.npz")
    state.write_bytes(state.read_bytes()[:-500])
    status, said = drive(tmp_path)
    assert status == 0, said
    assert pieces(said) == all_pieces
    check_equal(tmp_path / "out.h5", whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random(unbroken: tuple[Path, int, float], tmp_path: Path, seed: int) -> None:
    whole, _, seconds = unbroken
    chance, killed = random.Random(seed), 0
    for _ in range(4):
        with start(tmp_path) as process:
            time.sleep(chance.uniform(0.3, 0.9) * seconds)
            process.kill()
            said, _ = process.communicate()
            killed += process.returncode == -signal.SIGKILL
    status, said = drive(tmp_path)
    assert status == 0, said
    check_equal(tmp_path / "out.h5", whole)
    print(f"seed {seed}: killed {killed} times")


# ---------------------------------------------------------------- trajectories that fail


CROWDED: dict[str, Any] = {
    "width": (0.0625,),
    "prior": (0.5,),
    "reload": (0.1,),
    "source_density": 600.0,
    "seed": 1,
    "trajectories": 3,
}
"""Many sources that act at once, so that the mean stress falls below zero."""


@pytest.fixture(scope="module")
def crowded(works: Works) -> tuple[dict[str, Any], str]:
    """Settings at which a guard stops one of three seeds, and its name."""
    least = {}
    for outcome in works(source(**CROWDED).tasks()):
        assert outcome.folder is not None
        told, _ = content(outcome.folder / trajectory.TRAJECTORY)
        curves = [v for k, v in told.items() if k.endswith("curve") and "/unload" not in k]
        least[outcome.label] = min(curve[:, 1].min() for curve in curves)
    first, second, _ = sorted(least, key=lambda name: least[name])
    assert least[first] < least[second] - 2 and least[first] < -2, least
    # between the rows of a curve the stress of the others may be lower than in it
    return CROWDED | {"lowest_stress": min(-1.0, least[first] + 0.5)}, first


def test_a_campaign_goes_on_without_what_failed(
    works: Works, crowded: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    changes, name = crowded
    samples = made(works, **changes)
    assert len(samples) == 2 and name not in samples.groups
    (reason,) = samples.left_out.values()
    assert set(samples.left_out) == {name}
    assert reason.startswith(f"{name}: stopped at ") and "% strain (" in reason
    assert "load-0.5" in reason and ": the mean stress is -" in reason
    assert reason.endswith("MPa, below lowest_stress")
    path = tmp_path / "some.h5"
    lines = list(source(**changes).export(path, works))
    assert f"left out: {reason}" in lines
    assert f"wrote 2 trajectories to {path}" in lines
    with opened(path, DISLOCATIONS) as file:
        assert json.loads(file.attrs["left_out"]) == {name: reason}
        assert name not in file["trajectories"] and len(file["trajectories"]) == 2
    # it would fail again: said, but not tried
    before = path.read_bytes()

    def none(tasks: Sequence[Task]) -> list[Outcome]:
        assert not tasks
        return []

    lines = list(source(**changes).export(path, none))
    assert lines[:2] == [f"2 trajectories are in {path} already, 0 to make", f"left out: {reason}"]
    assert path.read_bytes() == before
    # more than it may have is said as well
    seed = int(name[-4:])
    (outcome,) = works(
        source(width=(0.125,), source_density=600.0, prior=(2.0,), most_dislocations=100).tasks()
    )
    assert outcome.error is not None and "dislocations, more than most_dislocations" in outcome.error
    with pytest.raises(TaskError, match="none of 1 trajectories"):
        list(source(**{**changes, "seed": seed, "trajectories": 1}).export(path, none))


def test_an_accident_is_tried_again(works: Works, tmp_path: Path) -> None:
    def dying(tasks: Sequence[Task]) -> list[Outcome]:
        first, *others = works(tasks)
        return [replace(first, folder=None, error="its process died 3 times"), *others]

    path, part = tmp_path / "some.h5", source(trajectories=2)
    lines = list(part.export(path, dying))
    assert "left out: ddd-w0062.5-two-s0001: its process died 3 times" in lines
    assert lines[-1] == f"drew ddd-w0062.5-two-s0002 in {path.with_suffix('.png')}"
    first, *_ = part.export(path, works)
    assert first == f"1 trajectories are in {path} already, 1 to make"
    with h5py.File(path) as file:
        assert len(file["trajectories"]) == 2 and json.loads(file.attrs["left_out"]) == {}


@pytest.fixture
def vitrine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[Any, str, str]]:
    """Exit code and words of ``vitrine simulate dislocations ... --workers 0``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(words: str) -> tuple[Any, str, str]:
        command = ["vitrine", "simulate", "dislocations", *shlex.split(words), "--workers", "0"]
        monkeypatch.setattr(sys, "argv", [*command, "--store", "store"])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            return (end.code or 0, *capsys.readouterr())
        return (0, *capsys.readouterr())

    return run


Command = Callable[[str], tuple[Any, str, str]]
SHORT = "--width 0.0625 --prior 0.05,0.1,0.2 --reload 0.05,0.1"


def test_when_all_fail_nothing_is_written(vitrine: Command, tmp_path: Path) -> None:
    code, out, err = vitrine(f"{SHORT} --lowest-stress 0 --trajectories 2 -o x.h5")
    assert code == 1 and "Traceback" not in out + err
    assert "none of 2 trajectories could be made; nothing is written to x.h5" in err
    for seed in (1, 2):
        assert f"left out: ddd-w0062.5-two-s000{seed}: stopped at " in out
    assert "% strain (reload-" in out and "MPa, below lowest_stress" in out
    assert not [path for path in tmp_path.iterdir() if path.name != "store"]


# ---------------------------------------------------------------- the command and its files


@pytest.fixture(scope="module")
def exported(works: Works, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two trajectories with a figure and an animation beside it."""
    path = tmp_path_factory.mktemp("set") / "mine.h5"
    lines = list(source(trajectories=2, movie=True).export(path, works))
    assert lines[0] == f"0 trajectories are in {path} already, 2 to make"
    assert lines[-3:] == [
        f"wrote 2 trajectories to {path}",
        f"drew ddd-w0062.5-two-s0001 in {path.with_suffix('.png')}",
        f"animated ddd-w0062.5-two-s0001 in {path.with_suffix('.gif')}",
    ]
    return path


def test_a_file_opens_with_plain_h5py_and_names_its_units(exported: Path) -> None:
    with h5py.File(exported) as file:
        group = file["trajectories/ddd-w0062.5-two-s0002"]
        assert {key: group.attrs[key] for key in ("width", "height", "slip", "seed")} == {
            "width": 0.0625, "height": 250.0, "slip": "two", "seed": 2,
        }  # fmt: skip
        assert group["maps/prior-0.1-reload-0.05/strain"].attrs["unit"] == "1"
        assert group["maps/prior-0.1-reload-0.05/displacement"].attrs["unit"] == "nm"
        assert group["maps/prior-0.1-reload-0.05"].attrs["reload"] == 0.05
        curve = group["legs/load-0.1/curve"]
        assert list(curve.attrs["columns"]) == ["strain", "stress", "plastic_strain", "dislocations", "time"]
        assert "stress MPa" in curve.attrs["unit"] and curve.shape[1] == 5
        assert group["legs/reload-0.2-0.1/frames/x"].attrs["unit"] == "nm"
        assert group["crystal/source_strength"].attrs["unit"] == "MPa"
        assert json.loads(file.attrs["about"])["young"] == 70.0
        assert legs_of(group) == [
            leg
            for prior in ("0.05", "0.1", "0.2")
            for leg in (f"load-{prior}", f"unload-{prior}", f"reload-{prior}-0.05", f"reload-{prior}-0.1")
        ]
        for leg in legs_of(group):
            frames = read_frames(group, leg)
            assert len(frames["strain"]) >= 1 and set(np.unique(frames["sign"])) <= {-1, 1}
            assert len(read_curve(group, leg)) > 0
        assert read_displacement(group, 0.2, 0.1).shape == (2, 125, 32)


def test_a_file_holds_the_samples_of_the_source(works: Works, exported: Path) -> None:
    samples = made(works, trajectories=2)
    stored = [item for items in read_trajectories(exported).values() for item in items]
    assert [item.info for item in stored] == [item.info for item in samples.items]
    for one, other in zip(stored, samples.items, strict=True):
        np.testing.assert_array_equal(one.strain, other.strain)
        assert one.pitch == other.pitch


def test_pictures_are_real(exported: Path) -> None:
    with Image.open(exported.with_suffix(".png")) as figure:
        figure.load()
        assert figure.format == "PNG" and figure.width > 800 and len(figure.convert("L").getcolors()) > 30
    with Image.open(exported.with_suffix(".gif")) as film:
        assert film.format == "GIF" and film.n_frames >= 12
        shown = []
        for number in range(film.n_frames):
            film.seek(number)
            shown.append(film.convert("RGB").tobytes())
        assert len(set(shown)) > 5


def test_a_file_grows_by_what_is_missing(vitrine: Command, tmp_path: Path) -> None:
    code, out, err = vitrine(f"{SHORT} -o x.h5")
    assert code == 0 and "0 trajectories are in x.h5 already, 1 to make" in out, err
    assert "drew ddd-w0062.5-two-s0001 in x.png" in out and not (tmp_path / "x.gif").exists()
    code, out, _ = vitrine(f"{SHORT} --trajectories 3 --movie -o x.h5")
    assert code == 0 and "1 trajectories are in x.h5 already, 2 to make" in out
    assert "wrote 2 trajectories to x.h5" in out and (tmp_path / "x.gif").exists()
    code, out, _ = vitrine(f"{SHORT} --trajectories 3 -o whole.h5")
    assert code == 0 and "3 of 3 are finished in the store and reused" in out
    check_equal(tmp_path / "x.h5", tmp_path / "whole.h5", "@about")  # which says that there is a movie
    before = (tmp_path / "x.h5").read_bytes()
    code, out, _ = vitrine(f"{SHORT} --trajectories 2 -o x.h5")
    assert code == 0 and "3 trajectories are in x.h5 already, 0 to make" in out
    assert (tmp_path / "x.h5").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {
        "x.h5", "x.png", "x.gif", "whole.h5", "whole.png", "store",
    }  # fmt: skip


def test_the_command_in_a_file_makes_it_again(vitrine: Command, tmp_path: Path) -> None:
    """That of a file that grew is a list of commands, without those that others include."""
    spoken = "--slip one --source-strength 45.678901 --strain-rate 12345.678 --no-such".removesuffix(
        " --no-such"
    )
    for words in (f"{SHORT} {spoken}", f"{SHORT} {spoken} --trajectories 2", f"{SHORT} {spoken} --seed 5"):
        assert vitrine(f"{words} -o x.h5")[0] == 0
    with h5py.File(tmp_path / "x.h5") as file:
        commands = str(file.attrs["command"]).splitlines()
    assert len(commands) == 2
    for command in commands:
        assert command.startswith("vitrine simulate dislocations ") and command.endswith(" -o FILE.h5")
        again = command.removeprefix("vitrine simulate dislocations ").replace("FILE.h5", "again.h5")
        assert vitrine(again)[0] == 0
    check_equal(tmp_path / "x.h5", tmp_path / "again.h5")


def test_other_settings_are_not_mixed(vitrine: Command, tmp_path: Path) -> None:
    assert vitrine(f"{SHORT} -o x.h5")[0] == 0
    before = (tmp_path / "x.h5").read_bytes()
    code, out, err = vitrine(f"{SHORT} --young 80 --pitch 4 -o x.h5")
    assert code == 2 and "Traceback" not in out + err
    assert "x.h5 was made with other settings (pitch None, now 4.0; young 70.0, now 80.0)" in " ".join(
        err.split()
    )
    assert (tmp_path / "x.h5").read_bytes() == before
    for words in ("--width 0.07", "--slip one", "--seed 3"):  # these lie beside what is there
        assert vitrine(f"{SHORT} {words} -o x.h5")[0] == 0
    with h5py.File(tmp_path / "x.h5") as file:
        assert sorted(file["trajectories"]) == [
            "ddd-w0062.5-one-s0001", "ddd-w0062.5-two-s0001", "ddd-w0062.5-two-s0003", "ddd-w0070-two-s0001",
        ]  # fmt: skip


def test_a_killed_copy_is_no_obstacle(works: Works, exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    (tmp_path / ".x.h5.part").write_bytes(b"half a file")
    list(source(trajectories=2).export(path, works))
    check_equal(path, exported, "@about")
    assert not (tmp_path / ".x.h5.part").exists()


def test_a_full_disk_is_said_before_it_is_full(
    works: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitrine.simulate.dislocations import export

    def usage(path: Path) -> Any:
        return type("Usage", (), {"free": 50_100_000})

    monkeypatch.setattr(export.shutil, "disk_usage", usage)
    with pytest.raises(DataError, match=r"x\.h5: \d MB do not fit; 50 MB are free"):
        list(source().export(tmp_path / "x.h5", works))
    assert not list(tmp_path.iterdir())


def _set(name: str, values: Any) -> Callable[[Any], None]:
    def spoil(group: Any) -> None:
        del group[name]
        group[name] = values

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda g: g.file.attrs.update(format="x"), "its format is 'x', .* reads 'vitrine dislocations 1'"),
        (lambda g: g.file.attrs.pop("about"), "names no settings or no trajectories"),
        (lambda g: g.file.attrs.update(about="[]"), "about should be a JSON mapping"),
        (lambda g: g.file.attrs.update(left_out='{"a": 1}'), "left_out should map samples to reasons"),
        (lambda g: g.attrs.pop("pitch"), "pitch"),
        (lambda g: g.attrs.update(pitch=np.nan), "pitch should be positive"),
        (lambda g: g.attrs.update(pitch=1e-300), "its pitch, 1e-300 nm, is none"),
        (lambda g: g.attrs.update(pitch=3.0), "strain has the shape"),
        (lambda g: g.attrs.update(width="wide"), "damaged"),
        (lambda g: g.attrs.update(width=-1.0), "width should be positive"),
        (lambda g: g.attrs.pop("seed"), "seed"),
        (lambda g: g["maps/prior-0.1-reload-0.05"].pop("strain"), "strain"),
        (lambda g: g["maps/prior-0.1-reload-0.05"].pop("displacement"), "displacement"),
        (lambda g: g["maps/prior-0.1-reload-0.05"].attrs.pop("reload"), "reload"),
        (_set("maps/prior-0.1-reload-0.05/strain", np.zeros((2, 124, 31))), r"should be \(3, 124, 31\)"),
        (_set("maps/prior-0.1-reload-0.05/strain", np.zeros((3, 124, 30))), r"should be \(3, 124, 31\)"),
        (_set("maps/prior-0.1-reload-0.05/strain", np.full((3, 124, 31), np.nan)), "not finite"),
        (_set("maps/prior-0.1-reload-0.05/displacement", np.zeros((2, 124, 31))), r"\(2, 125, 32\)"),
        (_set("maps/prior-0.1-reload-0.05/displacement", np.full((2, 125, 32), np.inf)), "not finite"),
        (_set("maps/prior-0.1-reload-0.05", np.zeros(3)), "damaged"),
        (_set("legs/load-0.1/curve", np.zeros((3, 4))), r"curve has the shape \(3, 4\)"),
        (_set("legs/load-0.1/curve", np.zeros(5)), "curve"),
        (_set("legs/load-0.1/frames/first", np.array([0, 5, 2])), "rising bounds"),
        (_set("legs/load-0.1/frames/sign", np.zeros(77)), "sign should have"),
        (lambda g: g["legs"].move("load-0.1", "lead-0.1"), "damaged"),
        (lambda g: g["legs"].move("load-0.1", "load"), "damaged"),
        (lambda g: g.pop("legs"), "legs"),
        (lambda g: g.pop("crystal"), "crystal"),
        (_set("crystal/plane_x", np.array(["a"], "S")), "plane_x"),
        (lambda g: g.file["trajectories"].create_dataset("more", data=1.0), "damaged"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(exported: Path, tmp_path: Path, spoil: Any, words: str) -> None:
    path = tmp_path / "spoilt.h5"
    path.write_bytes(exported.read_bytes())
    with h5py.File(path, "a") as file:
        spoil(file["trajectories/ddd-w0062.5-two-s0002"])
    with pytest.raises(DataError, match=words) as caught:
        read_trajectories(path)
    assert str(path) in str(caught.value)


def test_other_bytes_are_refused_or_sound(exported: Path, tmp_path: Path) -> None:
    """Cut short, or some bytes changed: the name of the file, never another exception."""
    good = exported.read_bytes()
    chance = random.Random(5)
    refused = 0
    for number in range(12):
        data = bytearray(good)
        if number < 4:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(20):
                data[chance.randrange(len(data))] = chance.randrange(256)
        path = tmp_path / f"spoilt-{number}.h5"
        path.write_bytes(data)
        try:
            found = read_trajectories(path)
        except DataError as error:
            refused += 1
            assert str(path) in str(error)
        else:
            assert number >= 4
            assert all(np.isfinite(item.strain).all() for items in found.values() for item in items)
    assert refused >= 6
    with pytest.raises(DataError, match="it is no file"):
        read_trajectories(tmp_path)


def test_a_damaged_file_is_not_written_to(vitrine: Command, exported: Path, tmp_path: Path) -> None:
    cut = exported.read_bytes()[:-1000]
    (tmp_path / "x.h5").write_bytes(cut)
    code, out, err = vitrine(f"{SHORT} --seed 9 -o x.h5")
    assert code == 2 and "x.h5" in err and "Traceback" not in out + err
    assert (tmp_path / "x.h5").read_bytes() == cut


# ---------------------------------------------------------------- settings


def _refused(**changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        shelf.parse("source", {"kind": "dislocations", **changes}, "source")
    return str(caught.value)


def test_wrong_settings_are_named() -> None:
    """What the command line says of them stands in bad_dislocations.py."""
    for changes, words in (
        ({"width": [500]}, "width: 500 µm; widths are given in µm, from 0.03 to 5"),
        ({"poisson": 0.5}, "source.poisson: Input should be less than 0.5, got 0.5"),
        ({"prior": [1.0000001]}, "prior: 1.0000001 has more than 6 digits"),
        ({"reload": [0.1, 1, 0.1]}, "reload: 0.1 stands twice"),
        ({"speed": 1}, "source.speed: no such key; did you mean 'seed'?"),
    ):
        assert words in _refused(**changes)
    assert DislocationDynamics(width=(0.1 + 0.2,)).tasks()[0].label == "ddd-w0300-two-s0001"


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0.001, 10), st.floats(0.01, 2), st.floats(0.05, 100), st.floats(2, 20), st.floats(15, 75),
    st.floats(0.1, 200) | st.none(), st.floats(1e-3, 50), st.floats(1.0, 1e8),
)  # fmt: skip
def test_what_is_accepted_can_be_started(
    width: float, burgers: float, spacing: float, aspect: float, angle: float, pitch: float | None,
    reload: float, rate: float,
) -> None:  # fmt: skip
    """Whatever passes the checks has slip planes, sources, pixels and steps."""
    try:
        part = DislocationDynamics(
            width=(round(width, 3),), burgers=burgers, plane_spacing=spacing, aspect=aspect, slip_angle=angle,
            pitch=pitch, reload=(float(f"{reload:.3g}"),), strain_rate=rate,
        )  # fmt: skip
    except ValidationError as error:
        assert all(item["loc"] or ":" in item["msg"] for item in error.errors())
        return
    nm = 1000 * part.width[0]
    crystal = part.specimen(nm, "two", 1)
    assert len(crystal.plane_x) >= 1 and len(crystal.source_s) >= 1
    edge = pitch_of(nm, part.pitch)
    assert round(nm / edge) >= 1 and rows_of(part.aspect * nm, edge) >= 1
    assert part.model(nm).rate * part.largest_step < 0.1 * part.reload[0] / 100


def test_scales() -> None:
    found = {name: DislocationDynamics.model_validate(of) for name, of in DislocationDynamics.scales.items()}
    assert list(found) == ["smoke", "demo", "laptop", "paper"]
    assert {name: len(part.tasks()) for name, part in found.items()} == {
        "smoke": 4, "demo": 80, "laptop": 160, "paper": 612,
    }  # fmt: skip
    paper = found["paper"]
    assert len(paper.tasks()) * len(paper.prior) * len(paper.reload) >= 3648
    assert max(found["laptop"].width) == 0.5 and found["smoke"].prior == (0.1, 1.0)


def test_flags_override_a_scale(vitrine: Command, tmp_path: Path) -> None:
    code, _, err = vitrine("--scale smoke --prior 0.05 --reload 0.05 --slip two -o x.h5")
    assert code == 0, err
    with h5py.File(tmp_path / "x.h5") as file:
        assert sorted(file["trajectories"]) == ["ddd-w0062.5-two-s0001", "ddd-w0062.5-two-s0002"]
        assert list(file["trajectories/ddd-w0062.5-two-s0001/maps"]) == ["prior-0.05-reload-0.05"]
        assert "--trajectories 2" in file.attrs["command"]


def test_the_help_tells_of_switches_and_scales(vitrine: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _, said, _ = vitrine("--help")
    line = next(line for line in said.splitlines() if "--movie" in line)
    assert "--movie " in line and "VALUE" not in line and "--no-movie" not in said
    assert "--scale NAME" in said and "smoke | demo | laptop | paper" in said


def test_what_is_on_by_default_can_be_put_off() -> None:
    flags = {option.name: [*option.opts, *option.secondary_opts] for option in _command("emt-alloys").params}
    assert flags["relaxed"] == ["--relaxed", "--no-relaxed"]
    flags = {option.name: [*option.opts, *option.secondary_opts] for option in _command("table").params}
    assert flags["skip_bad"] == ["--skip-bad"] and "scale" not in flags


def test_a_trajectory_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = source().tasks()
    monkeypatch.setattr(trajectory, "PIECE", 20)
    told: list[float] = []
    task.function(tmp_path, [], told.append, **task.arguments)
    assert len(told) > 10 and told == sorted(told) and 0.9 < told[-1] <= 1
    assert [path.name for path in tmp_path.iterdir()] == [trajectory.TRAJECTORY]


def test_a_stress_below_zero_is_taken_away_too() -> None:
    """A burst at the end of the loading may leave one."""
    part = source(source_strength=1e6)
    run = Run("x", part.model(62.5), part.specimen(62.5, "two", 1), part.modes, 5e-4)
    state = run.leg(run.start(), 0.001).state
    state.numbers[PLASTIC] = 0.0011
    assert run.stress(state) < -5
    relaxed = run.leg(state, None)
    assert abs(run.stress(relaxed.state)) < 1e-4 and len(relaxed.curve) >= 9
    assert float(relaxed.state.numbers[STRAIN]) == pytest.approx(0.0011, abs=2 * STEP)


def test_unloading_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from vitrine.errors import EngineError

    part = source(source_strength=1e6)
    run = Run("x", part.model(62.5), part.specimen(62.5, "two", 1), part.modes, 5e-4)
    loaded = run.leg(run.start(), 0.005)
    assert float(loaded.state.numbers[STRAIN]) == pytest.approx(0.005, abs=STEP)
    monkeypatch.setattr(trajectory, "MOST_UNLOADING", -0.007)
    with pytest.raises(EngineError, match=r"x: unloading by 0\.3% did not bring the stress to zero"):
        run.leg(loaded.state, None)


# ---------------------------------------------------------------- workers


def test_workers_make_the_same_file(works: Works, tmp_path: Path) -> None:
    part = source(trajectories=3)
    list(part.export(tmp_path / "here.h5", works))
    with Campaign(tmp_path / "store", workers=2) as campaign:
        lines = list(part.export(tmp_path / "there.h5", campaign.compute))
    assert f"wrote 3 trajectories to {tmp_path / 'there.h5'}" in lines
    check_equal(tmp_path / "here.h5", tmp_path / "there.h5")


def test_a_fast_load_is_unloaded_to_zero() -> None:
    """A step of it changes the stress by 4 MPa, more than what counts as zero."""
    for seed in (4, 5, 7):
        run = Run.of(0.0625, "one", seed, strain_rate=1e5)
        unloaded = run.leg(run.leg(run.start(), 0.003).state)
        assert abs(run.stress(unloaded.state)) < 1


def test_a_leg_in_a_folder_needs_a_name(tmp_path: Path) -> None:
    run = Run.of(0.0625)
    with pytest.raises(ValueError, match="needs a name"):
        run.leg(run.start(), 1e-4, tmp_path)
