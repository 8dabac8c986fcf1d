"""Persistent homology against barcodes known by hand, exact arithmetic, and what a crystal may undergo."""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io.cif import write_cif

from crystals import columns_of, crystal_samples, crystals, perovskite, samples_of
from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, MissingExtra
from vitrine.physics import barcodes
from vitrine.physics.barcodes import (
    FEATURES,
    NEIGHBOURS,
    STATISTICS,
    barcode,
    homology_features,
    pair_class,
    site_clouds,
    statistics,
)
from vitrine.represent.asph import FILE, AtomSpecificHomology
from vitrine.represent.structures import read_structures
from vitrine.samples import Examples, Samples
from vitrine.simulate.emt_alloys import EmtAlloys
from vitrine.tasks import Outcome
from vitrine.testing.symmetries import random_rotation

MOVED = 1e-4
"""Å; lengths of bars of a few points. They are moved by 1e-5 Å."""
SAME = 5e-4
"""Å, of sums over hundreds of bars: two orders of one cloud are moved in two ways. Observed up to 1.4e-4."""


def features(atoms: Atoms, **settings: float) -> np.ndarray:
    frac = atoms.get_scaled_positions(wrap=False)
    return homology_features(np.array(atoms.cell), atoms.get_chemical_symbols(), frac, **settings)


def check_same(found: np.ndarray, wanted: np.ndarray, tolerance: float = SAME) -> None:
    error = np.abs(found - wanted)
    assert error.max() < tolerance, f"column {int(error.argmax())}: {error.max():.2g} Å"


def exact(points: np.ndarray, births: np.ndarray, largest: float) -> barcodes.Bars:
    """By gudhi's exact arithmetic, nothing moved."""
    complex_ = barcodes.gudhi().AlphaComplex(points=points, weights=-0.25 * births**2, precision="exact")
    tree = complex_.create_simplex_tree(max_alpha_square=0.25 * largest**2)
    tree.compute_persistence(min_persistence=0.0, persistence_dim_max=True)
    found = []
    for dimension in range(3):
        squares = tree.persistence_intervals_in_dimension(dimension).reshape(-1, 2)
        found.append(np.minimum(2 * np.sqrt(np.maximum(squares, 0)), largest))
    found[0] = found[0][:-1]  # sorted by length: the last one never dies
    return found[0], found[1], found[2]


# --- barcodes by hand

R2, R3 = 2**0.5, 3**0.5
CUBE = np.indices((2, 2, 2)).reshape(3, -1).T.astype(float)
OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)]) / R2  # edge 1
TURNS = 2 * np.pi * np.arange(12) / 12
RING = np.column_stack([np.cos(TURNS), np.sin(TURNS), 0 * TURNS])
BY_HAND = {
    "one point": (np.zeros((1, 3)), [], [], []),
    "two points": (np.array([[0, 0, 0], [0, 1.7, 0]]), [(0, 1.7)], [], []),
    "in a line": (np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0]]), [(0, 1), (0, 2)], [], []),
    # the circumcircle of a triangle of edge 1 has the diameter 2 / sqrt 3
    "triangle": (np.array([[0, 0, 0], [1, 0, 0], [0.5, R3 / 2, 0]]), [(0, 1)] * 2, [(1, 2 / R3)], []),
    "square": (CUBE[[0, 1, 2, 3]], [(0, 1)] * 3, [(1, R2)], []),
    # 12 edges close 12 - 7 rings; faces fill them at the diameter of their circle, the void at the sphere's
    "cube": (CUBE, [(0, 1)] * 7, [(1, R2)] * 5, [(R2, R3)]),
    "octahedron": (OCTAHEDRON, [(0, 1)] * 5, [(1, 2 / R3)] * 7, [(2 / R3, R2)]),
    "ring of 12": (RING, [(0, 2 * np.sin(np.pi / 12))] * 11, [(2 * np.sin(np.pi / 12), 2)], []),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_barcodes_that_are_known(name: str) -> None:
    points, *wanted = BY_HAND[name]
    for turn in (np.eye(3), random_rotation(3)):
        for found, bars in zip(barcode(points @ turn.T + 0.7), wanted, strict=True):
            found = found[found[:, 1] - found[:, 0] > barcodes.SHORTEST]
            known = np.array(bars, dtype=float).reshape(-1, 2)
            np.testing.assert_allclose(np.sort(found, axis=0), np.sort(known, axis=0), atol=MOVED)


def test_balls_stop_growing() -> None:
    components, rings, voids = barcode(CUBE, largest=1.2)
    assert len(components) == 7 and len(voids) == 0
    np.testing.assert_allclose(rings, [(1, 1.2)] * 5, atol=MOVED)
    apart = barcode(3.0 * CUBE, largest=1.2)
    np.testing.assert_allclose(apart[0], [(0, 1.2)] * 7, atol=MOVED)
    assert len(apart[1]) == len(apart[2]) == 0


def test_points_born_late() -> None:
    two = np.array([[0, 0, 0], [2.0, 0, 0]])
    # balls of diameters D and (D² - b²)^½ meet at the distance 2: D = 2 + b²/8
    np.testing.assert_allclose(barcode(two, np.array([0, 2.0]))[0], [(2.0, 2.5)], atol=MOVED)
    assert len(barcode(two, np.array([0, 4.1]))[0]) == 0  # born within the ball of the other
    np.testing.assert_allclose(barcode(two, np.array([0, 2.0]), 2.2)[0], [(2.0, 2.2)], atol=MOVED)


def test_statistics_by_their_definition() -> None:
    bars = (np.array([[0, 2.0], [0, 3.0]]), np.array([[1.0, 1.5], [2.0, 4.0]]), np.zeros((0, 2)))
    told = dict(zip(STATISTICS, statistics(bars, 8.0), strict=True))
    a, b = 0.5 - 1e-3, 2.0 - 1e-3  # what counts of the two rings
    assert told["Betti-0 shortest death"] == 2.0
    assert told["Betti-0 sum of bars"] == pytest.approx(4.998)
    assert told["Betti-1 sum of bars"] == pytest.approx(a + b) and told["Betti-1 longest bar"] == b
    assert told["Betti-1 mean birth"] == pytest.approx((a * 1 + b * 2) / (a + b + 0.1))
    mean = (a * 1.5 + b * 4) / (a + b)
    spread = (a * (1.5 - mean) ** 2 + b * (4 - mean) ** 2) / (a + b + 0.1)
    assert told["Betti-1 spread of deaths"] == pytest.approx(spread**0.5)
    assert all(value == 0 for name, value in told.items() if name.startswith("Betti-2"))


def test_a_lone_atom_has_no_neighbour_within_reach() -> None:
    told = statistics(barcode(np.zeros((1, 3)), None, 8.0), 8.0)
    assert told[0] == 8.0 and not told[1:].any()


def test_moved_points_have_the_barcode_of_exact_arithmetic() -> None:
    """Rotated lattices, where most points lie on spheres, planes and lines with others."""
    for seed, atoms in enumerate(
        (perovskite(a=4.0), bulk("Cu", "fcc", a=3.61), bulk("Mg", "hcp", a=3.2, c=5.2))
    ):
        cell = atoms.cell.array @ random_rotation(seed).T
        clouds = list(site_clouds(cell, atoms.get_chemical_symbols(), atoms.get_scaled_positions()))
        for cloud in clouds[:8:2]:
            found = statistics(barcode(cloud.points, cloud.births, 8.0), 8.0)
            # every one of some hundred bars is about 1e-5 Å shorter
            check_same(found, statistics(exact(cloud.points, cloud.births, 8.0), 8.0), 3e-3)


# --- clouds


def test_clouds_of_rocksalt() -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64)
    args = (salt.cell.array, salt.get_chemical_symbols(), salt.get_scaled_positions())
    sizes = {(c.site, c.neighbours): len(c.points) - 1 for c in site_clouds(*args, cutoff=5.0, shell=0.5)}
    # shells at a/2 (6 unlike), a/sqrt 2 (12 like), a sqrt 3/2 (8 unlike)
    assert sizes[0, "all"] == sizes[1, "all"] == 26
    assert sizes[0, "same element"] == sizes[1, "same element"] == 12
    assert sizes[0, "more electronegative"] == sizes[1, "less electronegative"] == 14
    for cloud in site_clouds(*args, cutoff=5.0, shell=0.5):
        far = np.linalg.norm(cloud.points, axis=1)
        np.testing.assert_allclose(cloud.births, 5.0 * np.clip((far - 4.5) / 0.5, 0, None), atol=1e-9)


def test_pairs_by_electronegativity() -> None:
    assert pair_class("Cs", "F") == "more electronegative" and pair_class("F", "Cs") == "less electronegative"
    assert pair_class("O", "O") == "same element"


def test_an_element_has_neighbours_of_its_own_only() -> None:
    found = features(bulk("Cu", "fcc", a=3.61)).reshape(len(NEIGHBOURS), 2, -1)
    np.testing.assert_array_equal(found[0], found[1])
    assert not found[2:].any() and found[0, 0].all()
    assert found[0, 0, 0] == pytest.approx(3.61 / R2, abs=MOVED)


# --- what a crystal may undergo


@pytest.mark.parametrize("number", range(len(crystals())))
def test_features_of_a_crystal_are_its_own(number: int) -> None:
    atoms = crystals()[number]
    wanted = features(atoms)
    assert wanted.shape == (len(FEATURES),) == (152,) and np.isfinite(wanted).all()
    random = np.random.default_rng(number)
    other = atoms[random.permutation(len(atoms))]
    other.positions += random.uniform(-9, 9, 3)
    other.set_cell(other.cell.array @ random_rotation(number).T, scale_atoms=True)
    check_same(features(other), wanted)
    if len(atoms) < 5 or number == 5:
        check_same(features(make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [-1, 0, 2]])), wanted)


def test_primitive_and_conventional_cell() -> None:
    check_same(
        features(bulk("NaCl", "rocksalt", a=5.64, cubic=True)), features(bulk("NaCl", "rocksalt", a=5.64))
    )


def test_nothing_jumps() -> None:
    """At a = 4 Å a shell of neighbours crosses the cut-off; and a displacement breaks all symmetry."""
    before = features(perovskite(a=4.0))
    sums = np.array(["sum of bars" in name for name in FEATURES])
    for step in (1e-3, 1e-2):
        moved = perovskite(a=4.0)
        moved.positions += np.random.default_rng(0).normal(0.0, step, (5, 3))
        for after in (features(perovskite(a=4.0 + step)), features(moved)):
            change = np.abs(after - before)
            assert change[sums].max() < 300 * step  # some hundred bars, each of which moves by a few steps
            assert change[~sums].max() < 20 * step


def test_a_plain_cutoff_would_jump() -> None:
    shells = [features(perovskite(a=a), shell=1e-9) for a in (3.9999, 4.0001)]
    assert np.abs(shells[1] - shells[0]).max() > 5.0


# --- tables


def build(samples: Samples, store: Path, **settings: float) -> Examples:
    with Campaign(store / "store", workers=0) as campaign:
        return AtomSpecificHomology(**settings).build(samples, campaign.compute)


def cif_of(atoms: Atoms) -> str:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_cif(buffer, atoms)
    return buffer.getvalue().decode()


def test_columns_and_cif_agree(tmp_path: Path) -> None:
    samples = crystal_samples()
    texts = pd.DataFrame({"formula": samples.items["formula"], "cif": [cif_of(each) for each in crystals()]})
    one = build(samples, tmp_path, cutoff=5.0).features
    other = build(samples_of(texts), tmp_path, cutoff=5.0).features
    # CIF files hold five decimals
    np.testing.assert_allclose(other, one, rtol=1e-3, atol=2e-2)
    expected = features(crystals()[5], cutoff=5.0)
    check_same(one[5], expected)


def test_the_store_keeps_each_structure_once(tmp_path: Path) -> None:
    samples = crystal_samples()
    twice = samples_of(pd.concat([samples.items] * 2, ignore_index=True))
    with Campaign(tmp_path / "store", workers=0) as campaign:
        found = AtomSpecificHomology(cutoff=4.0).build(twice, campaign.compute)
        (outcome,) = campaign.outcomes
        assert outcome.folder is not None and np.load(outcome.folder / FILE).shape == (6, 152)
    np.testing.assert_array_equal(found.features[:6], found.features[6:])


def test_the_embedded_alloys_have_structures(tmp_path: Path) -> None:
    (task,) = EmtAlloys(random_cells=3).tasks()
    task.function(tmp_path, [], lambda fraction: None, **task.arguments)
    samples = EmtAlloys(random_cells=3).samples([Outcome(task.label, task.kind, task.key, tmp_path)])
    structures = read_structures(samples)
    assert len(structures) == len(samples) and len(structures[-1].frac) == samples.items["n_atoms"].iloc[-1]
    metal = structures[list(samples.items["formula"]).index("Cu")]
    assert abs(np.linalg.det(metal.cell)) == pytest.approx(3.61**3 / 4, rel=0.02)
    few = build(samples.select(range(0, len(samples), 30)), tmp_path, cutoff=5.0)
    assert np.isfinite(few.features).all() and few.n_rows == len(range(0, len(samples), 30))


def real(name: str) -> Path:
    root = os.environ.get("VITRINE_DATA")
    if not root:
        pytest.skip(f"set VITRINE_DATA to the folder that holds {name} to run this test")
    path = Path(root) / name
    if not path.exists():
        pytest.skip(f"VITRINE_DATA={root} holds no {name}")
    return path


def test_perovskites_as_cif(tmp_path: Path) -> None:
    table = pd.read_csv(real("perov5/perov5_val.csv.gz"), nrows=20)
    found = build(samples_of(table), tmp_path)
    assert np.isfinite(found.features).all() and len(np.unique(found.features[:, 0])) == 20


def test_crystals_of_a_parquet_file(tmp_path: Path) -> None:
    table = pd.read_parquet(real("mp_structures/mp_structures.parquet")).iloc[:2000]
    table = table[table["nsites"] <= 12].iloc[:20].reset_index(drop=True)
    assert np.isfinite(build(samples_of(table), tmp_path).features).all()


# --- bad input


def refused(row: dict[str, object], words: str, tmp_path: Path) -> None:
    good = columns_of(crystals()[0])
    table = pd.DataFrame([{name: good.get(name) for name in row}, row])
    if "cif" in row:
        table["cif"] = [cif_of(crystals()[0]), row["cif"]]
    with pytest.raises(DataError, match=words) as caught:
        build(samples_of(table), tmp_path)
    assert "table:2" in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("cell", [4.0, 4.0, 4.0], "3 numbers, not six"),
        ("cell", "[4, 4, 4, 90, 90, 90]", "is text"),
        ("cell", None, "'cell' is None, not a list"),
        ("cell", [4.0, 4.0, 4.0, 90.0, 90.0, np.nan], "finite numbers"),
        ("cell", [4.0, 4.0, 4.0, 120.0, 120.0, 120.0], "no cell has"),
        ("cell", [4.0, 4.0, -4.0, 90.0, 90.0, 90.0], "no cell has"),
        ("cell", [0.4, 0.4, 0.4, 90.0, 90.0, 90.0], "Å³ per atom; is its cell in Å"),
        ("cell", [1.8, 1.8, 1.8, 90.0, 90.0, 90.0], "atoms within 8 Å of a site"),
        ("species", "CaTiO3", "not a list of symbols"),
        ("species", [], "not a list of symbols"),
        ("species", ["Ca", "Ti", "O", "O", "Q"], "Q, which is no element"),
        ("species", ["Ca", "Ti", "O", "O", "S"], "'CaO3Ti', and the structure is one of CaTiSO2"),
        ("frac", [0.0] * 14, "14 numbers for 5 species"),
        ("frac", [0.0] * 15, "sites 1 and 2 are 0 Å apart"),
        ("frac", ["a"] * 15, "not a list of numbers"),
    ],
)
def test_columns_that_are_wrong(column: str, value: object, words: str, tmp_path: Path) -> None:
    refused({**columns_of(crystals()[0]), column: value}, words, tmp_path)


def test_cif_that_is_wrong(tmp_path: Path) -> None:
    good = cif_of(crystals()[0])
    formula = crystals()[0].get_chemical_formula()
    for text, words in (
        ("", "'cif' is empty"),
        (None, "'cif' is empty"),
        ("not a CIF file", "holds 0 structures|cannot be|can be read"),
        (good[: len(good) // 2], "can be read|holds 0"),
        (good.replace("3.9", "x.9"), "can be read"),
        (good + good.replace("data_", "data_other"), "holds 2 structures"),
        (good.replace("1.0000", "0.5000"), "partly occupied"),
        (cif_of(crystals()[1]), "the structure is one of NaCl"),
    ):
        refused({"formula": formula, "cif": text}, words, tmp_path)


def test_tables_without_structures(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no structures.*'cell'.*'species'.*'frac'.*'cif'.*columns: 'formula'"
    ):
        build(samples_of(pd.DataFrame({"formula": ["NaCl"]})), tmp_path)


def test_a_shell_is_not_thicker_than_the_cloud() -> None:
    with pytest.raises(ValueError, match="shell: 5 Å is thicker"):
        AtomSpecificHomology(cutoff=4.0, shell=5.0)


def test_without_gudhi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(MissingExtra, match=r"vitrine\[topology\]"):
        build(crystal_samples(), tmp_path)
