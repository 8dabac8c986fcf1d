"""The EMT alloys against ASE's own calculator, crystallography and the definition of a minimum."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.emt import EMT

from vitrine.errors import DataError, TaskError
from vitrine.simulate import emt_alloys as module
from vitrine.simulate.emt_alloys import METALS, EmtAlloys, hermite_forms, make_alloys, read_alloys
from vitrine.tasks import Outcome

SAME_ENERGY = 1e-10
"""eV, between two sums of the same terms in another order; observed 1e-13."""
FLAT = 1e-5
"""eV/Å^3 (1.6 MPa), stress left at a minimum; observed below 1e-6."""


def energy(atoms: Atoms) -> float:
    """By ASE's EMT, run directly, eV."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    return atoms.get_potential_energy()


def stress(atoms: Atoms) -> np.ndarray:
    """xx, yy, zz, yz, xz, xy by ASE, eV/Å^3."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    return atoms.get_stress()


@pytest.fixture(scope="module")
def alloys() -> list[Atoms]:
    return make_alloys(random_cells=60)


def of(alloys: list[Atoms], prototype: str) -> list[Atoms]:
    return [atoms for atoms in alloys if atoms.info["prototype"] == prototype]


def one(alloys: list[Atoms], prototype: str, formula: str) -> Atoms:
    (found,) = (atoms for atoms in of(alloys, prototype) if atoms.info["formula"] == formula)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Outcome:
    (task,) = EmtAlloys(random_cells=60).tasks()
    folder = tmp_path_factory.mktemp("emt")
    steps: list[float] = []
    task.function(folder, [], steps.append, **task.arguments)
    assert steps[-1] == 1.0 and all(a < b for a, b in pairwise(steps))
    return Outcome(task.label, task.kind, task.key, folder)


# --- energies


def test_energies_are_ases(alloys) -> None:
    for atoms in alloys:
        assert atoms.get_potential_energy() == pytest.approx(energy(atoms), abs=SAME_ENERGY)


def test_metals_have_no_formation_energy(alloys) -> None:
    metals = of(alloys, "A1")
    assert [atoms.info["formula"] for atoms in metals] == list(METALS)
    assert [atoms.info["e_form"] for atoms in metals] == pytest.approx([0.0] * 7, abs=1e-10)
    # textbook lattice constants, Å (Kittel): EMT was fitted to the metals, to about 2 %
    known = {"Al": 4.05, "Ni": 3.52, "Cu": 3.61, "Pd": 3.89, "Ag": 4.09, "Pt": 3.92, "Au": 4.08}
    for atoms in metals:
        assert (4 * atoms.get_volume()) ** (1 / 3) == pytest.approx(known[atoms.info["formula"]], rel=0.02)


def test_formation_energy_by_its_definition(alloys) -> None:
    reference = {}
    for metal in METALS:  # ASE alone: the lowest of many lattice constants
        lengths = (
            np.linspace(0.99, 1.01, 41) * of(alloys, "A1")[METALS.index(metal)].cell.lengths()[0] * 2**0.5
        )
        reference[metal] = min(energy(bulk(metal, "fcc", a=a)) for a in lengths)
    for atoms in alloys[::15]:
        expected = (energy(atoms) - sum(reference[s] for s in atoms.get_chemical_symbols())) / len(atoms)
        assert atoms.info["e_form"] == pytest.approx(expected, abs=1e-5)


def test_known_signs(alloys) -> None:
    # EMT gives order to Cu3Au and CuPt, as nature does, and sends Ag-Ni apart, as nature does
    assert one(alloys, "L1_2", "Cu3Au").info["e_form"] == pytest.approx(-0.0102, abs=1e-4)
    assert one(alloys, "L1_0", "CuPt").info["e_form"] < -0.05
    assert one(alloys, "L1_0", "NiAg").info["e_form"] > 0.1


def test_supercells_have_the_energy_of_their_cell(alloys) -> None:
    for atoms in (one(alloys, "L1_2", "Cu3Au"), one(alloys, "D0_22", "Al3Ni"), of(alloys, "random")[5]):
        larger = atoms.repeat((2, 1, 3))
        assert energy(larger) / len(larger) == pytest.approx(energy(atoms) / len(atoms), abs=SAME_ENERGY)


def test_the_energy_knows_neither_order_nor_origin(alloys) -> None:
    emt = module._Emt()
    atoms = of(alloys, "random")[3]
    symbols, sites = np.array(atoms.get_chemical_symbols()), atoms.get_scaled_positions()
    order = np.random.default_rng(0).permutation(len(atoms))
    moved = module._Crystal("x", tuple(symbols[order]), sites[order] + [0.3, -1.7, 5.2], atoms.cell.array)
    assert emt.energy(moved) == pytest.approx(atoms.get_potential_energy(), abs=SAME_ENERGY)


# --- minima


def test_the_volume_is_a_minimum(alloys) -> None:
    for atoms in alloys[::5]:
        lowest = energy(atoms)
        for scale in (0.995, 0.9995, 1.0005, 1.005):
            stretched = atoms.copy()
            stretched.set_cell(atoms.cell * scale, scale_atoms=True)
            assert energy(stretched) > lowest
        assert stress(atoms)[:3].sum() == pytest.approx(0.0, abs=FLAT)


def test_c_over_a_is_a_minimum(alloys) -> None:
    for atoms in of(alloys, "L1_0")[::3] + of(alloys, "D0_22")[::6]:
        assert stress(atoms)[:3] == pytest.approx([0, 0, 0], abs=FLAT)
    # CuAu I has c/a 0.93 in nature: the layers of like atoms come closer
    a, _, c = one(alloys, "L1_0", "CuAu").cell.lengths()
    assert 0.85 < c / (a * 2**0.5) < 0.97


def test_an_unstable_l1_0_becomes_b2(alloys) -> None:
    # the Bain path: L1_0 with c/a 1/sqrt 2 is B2
    atoms = one(alloys, "L1_0", "NiPt")
    a, _, c = atoms.cell.lengths()
    assert c / (a * 2**0.5) == pytest.approx(2**-0.5, abs=1e-3)
    assert atoms.info["e_form"] == pytest.approx(one(alloys, "B2", "NiPt").info["e_form"], abs=1e-7)


def test_relaxed_is_lower_than_vegard(alloys) -> None:
    plain = make_alloys(random_cells=60, relaxed=False)
    for before, after in zip(plain, alloys, strict=True):
        assert before.info["formula"] == after.info["formula"]
        assert after.info["e_form"] <= before.info["e_form"] + SAME_ENERGY
    cuau = one(plain, "L1_0", "CuAu")
    volumes = [of(plain, "A1")[METALS.index(metal)].get_volume() for metal in ("Cu", "Au")]
    assert cuau.get_volume() == pytest.approx(sum(volumes))


def test_atoms_may_be_relaxed_too() -> None:
    fixed, free = make_alloys(random_cells=6), make_alloys(random_cells=6, relax_atoms=True)
    gain = [a.info["e_form"] - b.info["e_form"] for a, b in zip(fixed, free, strict=True)]
    assert max(np.abs(gain[:-6])) == 0.0  # prototypes have no free site
    assert min(gain[-6:]) >= -1e-9 and max(gain[-6:]) > 0.01
    for atoms in free[-6:]:
        relaxed = atoms.copy()
        relaxed.calc = EMT()
        assert np.abs(relaxed.get_forces()).max() < 0.02  # eV/Å
        assert stress(atoms)[:3].sum() == pytest.approx(0.0, abs=1e-4)
    assert free[-1].get_potential_energy() == pytest.approx(energy(free[-1]), abs=SAME_ENERGY)


# --- structures


@pytest.mark.parametrize(
    ("prototype", "number", "like", "unlike"),
    [  # nearest neighbours of the first metal A: how many A, how many B
        ("B1", 21, 0, 6),
        ("B2", 21, 0, 8),
        ("L1_0", 21, 4, 8),
        ("L1_2", 42, 8, 4),
        ("D0_22", 42, 8, 4),
    ],
)
def test_prototypes(prototype: str, number: int, like: int, unlike: int) -> None:
    from ase.neighborlist import neighbor_list

    found = of(make_alloys(random_cells=0, relaxed=False), prototype)
    assert len(found) == number
    assert len({atoms.info["formula"] for atoms in found}) == number
    for atoms in found:
        first = max(range(len(atoms)), key=lambda i: list(atoms.symbols).count(atoms.symbols[i]))
        i, j, d = neighbor_list("ijd", atoms, 4.0)
        near = (i == first) & (d < 1.1 * d.min())
        same = atoms.numbers[j[near]] == atoms.numbers[first]
        assert (same.sum(), (~same).sum()) == (like, unlike)


def test_d0_22_is_not_l1_2() -> None:
    # both are A3B on fcc; in D0_22 the minority has minority atoms at (1/2, 1/2, 1) a, not at (0, 0, 1) a
    found = make_alloys(random_cells=0, relaxed=False)
    for prototype, second_shell in (("L1_2", 6), ("D0_22", 4)):
        atoms = one(found, prototype, "Cu3Au")
        (gold,) = (k for k, symbol in enumerate(atoms.symbols) if symbol == "Au")
        from ase.neighborlist import neighbor_list

        i, j, d = neighbor_list("ijd", atoms, 4.5)
        a = (4 * atoms.get_volume() / len(atoms)) ** (1 / 3)
        shell = (i == gold) & (np.abs(d - a) < 0.01)
        assert shell.sum() == 6 and (atoms.numbers[j[shell]] == 79).sum() == second_shell


def test_superlattices_are_counted_as_they_should() -> None:
    # number of sublattices of index n in three dimensions, OEIS A001001
    assert [len(hermite_forms(n)) for n in range(1, 9)] == [1, 7, 13, 35, 31, 91, 57, 155]
    assert {round(np.linalg.det(form)) for form in hermite_forms(8)} == {8}


def test_random_cells_are_fcc_and_compact(alloys) -> None:
    cells = of(alloys, "random")
    assert len(cells) == 60
    assert {len(atoms) for atoms in cells} == set(range(2, 9))
    assert {len(set(atoms.symbols)) for atoms in cells} == {2, 3, 4}
    from ase.neighborlist import neighbor_list

    for atoms in cells:
        a = (4 * atoms.get_volume() / len(atoms)) ** (1 / 3)
        i, d = neighbor_list("id", atoms, 0.9 * a)
        assert (np.bincount(i) == 12).all()
        np.testing.assert_allclose(d, a / 2**0.5, rtol=1e-9)
        # at most eight close-packed layers on top of each other
        assert max(atoms.cell.lengths()) < 8 * a / 3**0.5 + a


def test_a_random_cell_is_the_superlattice_of_its_form() -> None:
    # against ASE's own construction: the same distances
    rng = np.random.default_rng(0)
    fcc = bulk("Cu", "fcc", a=1.0)
    for n in (2, 5, 8):
        form = hermite_forms(n)[int(rng.integers(len(hermite_forms(n))))]
        points = np.indices(tuple(np.diag(form))).reshape(3, n).T
        ours = Atoms(
            "Cu" * n, scaled_positions=points @ np.linalg.inv(form), cell=form @ fcc.cell.array, pbc=True
        )
        theirs = make_supercell(fcc, form)
        distances = [np.sort(atoms.get_all_distances(mic=True).ravel()) for atoms in (ours, theirs)]
        np.testing.assert_allclose(*distances, atol=1e-9)


def test_strained_copies_follow(alloys) -> None:
    strained = make_alloys(random_cells=60, strains=(-0.02, 0.03))
    n = len(alloys)
    assert len(strained) == 3 * n
    for strain, block in ((0.0, strained[:n]), (-0.02, strained[n : 2 * n]), (0.03, strained[2 * n :])):
        assert {atoms.info["strain"] for atoms in block} == {strain}
        for atoms, plain in list(zip(block, alloys, strict=True))[::20]:
            assert atoms.get_volume() == pytest.approx(plain.get_volume() * (1 + strain) ** 3)
            assert atoms.info["e_form"] >= plain.info["e_form"]
            assert atoms.get_potential_energy() == pytest.approx(energy(atoms), abs=SAME_ENERGY)


def test_seeds_decide_the_random_cells() -> None:
    def names(seed: int) -> list[str]:
        return [atoms.info["formula"] for atoms in make_alloys(seed, random_cells=60, relaxed=False)]

    assert names(1) == names(1) != names(2)


# --- the part


def test_files_and_samples(made: Outcome) -> None:
    part = EmtAlloys(random_cells=60)
    table = pd.read_csv(made.folder / "table.csv", float_precision="round_trip")
    assert list(table.columns) == ["formula", "e_form", "prototype", "n_atoms"] and len(table) == 7 + 147 + 60
    samples = part.samples([made])
    assert samples.kind == part.yields == "formulas"
    assert samples.groups == tuple(samples.items["formula"]) and len(set(samples.groups)) == len(samples)
    assert set(samples.items["formula"]) == set(table["formula"])
    lowest = table.groupby("formula")["e_form"].min()
    assert (samples.items.set_index("formula")["target"] == lowest.reindex(samples.items["formula"])).all()
    for name, formula, prototype in zip(
        samples.ids, samples.items["formula"], samples.items["prototype"], strict=True
    ):
        row = table.iloc[int(name.removeprefix("emt:")) - 1]
        assert (row["formula"], row["prototype"]) == (formula, prototype)
    assert samples.about["target"] == "e_form" and samples.about["unit"] == "eV/atom"
    assert "toy potential" in samples.about["note"] and "not DFT" in samples.about["note"]


def test_structures_come_back(made: Outcome) -> None:
    table = pd.read_csv(made.folder / "table.csv")
    structures = read_alloys(made.folder)
    assert len(structures) == len(table)
    for atoms, row in list(zip(structures, table.itertuples(), strict=True))[::9]:
        assert atoms.pbc.all() and len(atoms) == row.n_atoms
        assert (atoms.info["formula"], atoms.info["prototype"]) == (row.formula, row.prototype)
        assert atoms.info["e_form"] == pytest.approx(row.e_form, abs=1e-12)
        # positions are written with eight decimals
        assert energy(atoms) == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


def test_structures_that_are_not_there(tmp_path) -> None:
    with pytest.raises(DataError, match="holds no structures"):
        read_alloys(tmp_path)
    with pytest.raises(TaskError, match="was not made: killed"):
        EmtAlloys().samples([Outcome("emt", "emt-alloys", "0", None, error="killed")])


def test_the_recipe_holds_what_decides() -> None:
    keys = [
        EmtAlloys(**settings).tasks()[0].key
        for settings in ({}, {"seed": 1}, {"random_cells": 10}, {"relaxed": False}, {"strains": (0.01,)})
    ]
    assert len(set(keys)) == 5 and EmtAlloys().tasks()[0].key == keys[0]
    assert "ase" in EmtAlloys().tasks()[0].recipe
    with pytest.raises(ValueError, match="strains"):
        EmtAlloys(strains=(0.5,))


def test_the_default_set_takes_seconds() -> None:
    start = time.perf_counter()
    alloys = make_alloys()
    # 2 s on a free core; the bound leaves room for a busy machine
    assert time.perf_counter() - start < 20
    assert len(alloys) == 1154
    assert len({atoms.info["formula"] for atoms in alloys}) > 500
    assert np.isfinite([atoms.info["e_form"] for atoms in alloys]).all()
