"""Space groups and prototypes: of crystals that everybody knows, and of columns that say them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import spglib
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

from crystals import columns_of, crystal_samples, perovskite, samples_of
from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError
from vitrine.physics.crystals import Structure
from vitrine.physics.prototypes import anonymous_formula, prototype_of
from vitrine.physics.space_groups import (
    LARGEST,
    crystal_system,
    point_group_order,
    primitive_atoms,
    space_group_number,
    symmetry_of,
)
from vitrine.represent.joined import Joined
from vitrine.represent.magpie import Magpie
from vitrine.represent.space_group import ATOMS, SpaceGroup
from vitrine.represent.structures import read_structures, refused_structures
from vitrine.represent.volume import VolumePerAtom
from vitrine.samples import Examples, Samples


def l1_2() -> Atoms:
    sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return Atoms("AuCu3", scaled_positions=sites, cell=[3.75] * 3, pbc=True)


def quartz(group: int) -> Atoms:
    """Alpha quartz, by Levien et al. 1980; right- or left-handed."""
    third = 1 / 3 if group == 152 else 2 / 3
    oxygen = [0.4135, 0.2669, 0.1191 + (1 / 3 if group == 152 else -0.2382 + 2 / 3)]
    cell = [4.916, 4.916, 5.4054, 90, 90, 120]
    return crystal(["Si", "O"], [[0.4697, 0, third], oxygen], spacegroup=group, cellpar=cell)


def spinel() -> Atoms:
    sites = [[0.125] * 3, [0.5] * 3, [0.2624] * 3]
    return crystal(["Mg", "Al", "O"], sites, spacegroup=227, setting=2, cellpar=[8.0832] * 3 + [90] * 3)


KNOWN = {
    "fcc": (bulk("Cu", "fcc", a=3.61), 225, 1),
    "conventional fcc": (bulk("Cu", "fcc", a=3.61, cubic=True), 225, 1),
    "bcc": (bulk("Fe", "bcc", a=2.87, cubic=True), 229, 1),
    "hcp": (bulk("Mg", "hcp", a=3.21, c=5.21), 194, 2),
    "diamond": (bulk("Si", "diamond", a=5.43, cubic=True), 227, 2),
    "L1_2": (l1_2(), 221, 4),
    "rock salt": (bulk("NaCl", "rocksalt", a=5.64), 225, 2),
    "zincblende": (bulk("ZnS", "zincblende", a=5.41, cubic=True), 216, 2),
    "wurtzite": (bulk("ZnO", "wurtzite", a=3.25, c=5.2), 186, 4),
    "perovskite": (perovskite(), 221, 5),
    "quartz": (quartz(152), 152, 9),
    "left quartz": (quartz(154), 154, 9),
    "spinel": (spinel(), 227, 14),
    "a supercell": (make_supercell(l1_2(), [[2, 0, 0], [0, 1, 0], [0, 0, 3]]), 221, 4),
}


def structure(atoms: Atoms) -> Structure:
    return Structure(
        np.array(atoms.cell), tuple(atoms.get_chemical_symbols()), atoms.get_scaled_positions(wrap=False)
    )


def table(**columns: list) -> Samples:
    return samples_of(pd.DataFrame(columns))


def build(samples: Samples, store: Path, **settings: object) -> Examples:
    with Campaign(store, workers=0) as campaign:
        return SpaceGroup(**settings).build(samples, campaign.compute)


# --- of structures


@pytest.mark.parametrize("name", KNOWN)
def test_known_crystals(name: str) -> None:
    atoms, group, primitive = KNOWN[name]
    assert symmetry_of(structure(atoms), 0.01) == (group, primitive)
    assert primitive_atoms(structure(atoms), 0.01) == primitive


def test_a_shift_within_the_tolerance_is_no_other_crystal() -> None:
    atoms = make_supercell(l1_2(), np.diag([2, 2, 2]))
    atoms.positions[5] += [0.05, 0, 0]
    assert symmetry_of(structure(atoms), 0.1)[0] == 221 and primitive_atoms(structure(atoms), 0.1) == 4
    assert symmetry_of(structure(atoms), 0.001)[1] == primitive_atoms(structure(atoms), 0.001) == 32


def test_two_atoms_in_one_place_have_no_symmetry() -> None:
    atoms = Atoms("CuCu", scaled_positions=[[0, 0, 0], [0, 0, 0.001]], cell=[4] * 3, pbc=True)
    with pytest.raises(DataError, match=r"spglib finds no space group within 0\.1 Å"):
        symmetry_of(structure(atoms), 0.1)


# --- numbers, symbols, systems, point groups


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_systems_and_orders_are_those_of_spglib() -> None:
    orders = {}
    for hall in range(1, 531):
        rotations = spglib.get_symmetry_from_database(hall)["rotations"]
        number = spglib.get_spacegroup_type(hall).number
        orders[number] = len(np.unique(rotations.reshape(-1, 9), axis=0))
    assert {number: point_group_order(number) for number in range(1, LARGEST + 1)} == orders
    edges = {1: "triclinic", 2: "triclinic", 3: "monoclinic", 15: "monoclinic", 16: "orthorhombic"}
    edges |= {74: "orthorhombic", 75: "tetragonal", 142: "tetragonal", 143: "trigonal", 167: "trigonal"}
    edges |= {168: "hexagonal", 194: "hexagonal", 195: "cubic", 230: "cubic"}
    assert {number: crystal_system(number) for number in edges} == edges


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_every_symbol_is_understood() -> None:
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        for words in (kind.international_short, *kind.international.split("="), kind.international_full):
            for symbol in words.split("="):
                assert space_group_number(symbol) == kind.number, symbol


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (225, 225), (225.0, 225), (np.int16(1), 1), ("225", 225), (" 225.0 ", 225), ("Fm-3m", 225),
        ("Fm3m", 225), ("F m -3 m", 225), ("P6_3mc", 186), ("P63mc", 186), ("p21/c", 14), ("Fd-3m:2", 227),
        ("R-3mH", 166), ("R-3c :R", 167), ("Cmca", 64), ("Pa3", 205), ("P 1 21/c 1", 14),
    ],
)  # fmt: skip
def test_numbers_and_symbols(value: object, number: int) -> None:
    assert space_group_number(value) == number


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "go from 1 to 230"), (231, "go from 1 to 230"), ("999", "go from 1 to 230"),
        (2.5, "2.5 is no number"), (float("nan"), "nan is no number"), (True, "True is no number"),
        ("Fm-3n", "did you mean 'Fm-3'"),
        ("cubic", "'cubic' is no symbol"), ("", "'' is no symbol"),
    ],
)  # fmt: skip
def test_what_is_no_space_group(value: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        space_group_number(value)


# --- the representation


def test_features_by_structure(tmp_path: Path) -> None:
    samples = samples_of(pd.DataFrame([columns_of(atoms) for atoms, _, _ in KNOWN.values()]))
    found = build(samples, tmp_path, tolerance=0.01)
    labels = list(found.feature_labels)
    assert found.features.shape == (len(KNOWN), 10)
    assert found.features[:, 0].tolist() == [group for _, group, _ in KNOWN.values()]
    assert found.features[:, labels.index(ATOMS)].tolist() == [atoms for _, _, atoms in KNOWN.values()]
    wurtzite = dict(zip(labels, found.features[list(KNOWN).index("wurtzite")], strict=True))
    assert wurtzite["crystal system is hexagonal"] == 1 and wurtzite["order of the point group"] == 12
    assert (found.features[:, 1:8].sum(axis=1) == 1).all()


def test_a_column_is_taken_before_the_structure(tmp_path: Path) -> None:
    samples = crystal_samples()
    told = samples.items.assign(spg_num=["Pm-3m", "225", "1", "194", "Pm-3m", "P1"])
    told = replace(samples, items=told)
    found = build(told, tmp_path)
    assert found.features[:, 0].tolist() == [221, 225, 1, 194, 221, 1]
    by_structure = build(told, tmp_path, by="structure").features
    assert by_structure[:, 0].tolist() == [221, 225, 225, 194, 221, 1]
    assert found.features[:, -1].tolist() == by_structure[:, -1].tolist() == [5, 2, 1, 2, 4, 5]


def test_a_table_without_structures(tmp_path: Path) -> None:
    samples = table(formula=["NaCl", "Fe"], sg=[225, 229])
    with pytest.raises(DataError, match=r"need a column \(spg_num, space_group, spacegroup"):
        build(samples, tmp_path)
    with pytest.raises(DataError, match=r"no column 'sgr'; did you mean 'sg'"):
        build(samples, tmp_path, column="sgr")
    with pytest.raises(DataError, match=r"representation\.atoms=false"):
        build(samples, tmp_path, column="sg")
    assert build(samples, tmp_path, column="sg", atoms=False).features.shape == (2, 9)
    wrong = table(formula=["NaCl", "Fe", "Cu"], SpaceGroup=["225", "Im3q", None])
    with pytest.raises(DataError, match=r"table:2: SpaceGroup is wrong: 'Im3q' is no symbol"):
        build(wrong, tmp_path, atoms=False)
    refused = SpaceGroup(atoms=False).refuses(wrong)
    assert list(refused) == ["table:2", "table:3"] and refused["table:3"] == "SpaceGroup is empty"


def test_broken_structures_are_refused(tmp_path: Path) -> None:
    samples = crystal_samples()
    species = list(samples.items["species"])
    species[1] = np.array(["Na", "Xx"], dtype=object)
    broken = replace(samples, items=samples.items.assign(species=species))
    with pytest.raises(DataError, match="table:2: the structure holds Xx, which is no element"):
        read_structures(broken)
    reasons = {"table:2": "the structure holds Xx, which is no element"}
    assert refused_structures(broken) == reasons
    for part in (SpaceGroup(), VolumePerAtom(), Joined(of=(Magpie(), SpaceGroup()))):
        assert part.refuses(broken) == reasons and part.refuses(samples) == {}


# --- prototypes


def test_prototypes_by_structure_and_by_column() -> None:
    samples = samples_of(pd.DataFrame([columns_of(KNOWN[n][0]) for n in ("spinel", "L1_2", "wurtzite")]))
    assert prototype_of(samples) == ["AB2C4-227-14", "AB3-221-4", "AB-186-4"]
    named = replace(samples, items=samples.items.assign(prototype=["H1_1", None, " "]))
    assert prototype_of(named) == ["H1_1", "AB3-221-4", "AB-186-4"]
    told = replace(samples, items=samples.items.assign(spacegroup=[1, 2, "P6_3mc"]))
    assert prototype_of(told) == ["AB2C4-1-14", "AB3-2-4", "AB-186-4"]
    assert prototype_of(table(formula=["NaCl"], prototype=["B1"])) == ["B1"]
    with pytest.raises(DataError, match="prototypes need a column 'prototype', or structures"):
        prototype_of(table(formula=["NaCl"], spg_num=[225]))


def test_types_of_formulas() -> None:
    assert [anonymous_formula(f) for f in ("Cu", "NaCl", "Al2MgO4", "Fe4O6", "Ca10(PO4)6(OH)2")] == [
        "A", "AB", "AB2C4", "A2B3", "AB3C5D13",
    ]  # fmt: skip
