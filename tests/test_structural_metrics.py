"""The metrics of the paper by hand and by brute force; hexatic order against freud; attributes."""

from __future__ import annotations

import freud
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.errors import DataError, StudyError
from vitrine.physics.plane import Plane, plane_of
from vitrine.physics.plane_neighbours import nearest_bonds
from vitrine.represent.bond_order import BondOrder, psi6
from vitrine.represent.sample_attributes import SampleAttributes
from vitrine.represent.structural_metrics import Metrics, StructuralMetrics, metrics_of
from vitrine.samples import Samples
from vitrine.testing import flat_configuration, flat_samples

SINGLE = 1e-4
"""freud's angles are of single precision, and six times an angle enters."""
A, B = 0, 1


def brute(n: int, kinds: list[int], pairs: list[tuple[int, int]]) -> Metrics:
    """Components by spreading labels until nothing changes."""
    bonds = {frozenset(pair) for pair in pairs if B in (kinds[pair[0]], kinds[pair[1]])}
    labels = list(range(n))
    changed = True
    while changed:
        changed = False
        for i, j in map(tuple, bonds):
            if labels[i] != labels[j]:
                labels[i] = labels[j] = min(labels[i], labels[j])
                changed = True
    bonded = {i for bond in bonds for i in bond}
    return Metrics(
        components=len({labels[i] for i in bonded}),
        small_pairs=sum(all(kinds[i] == B for i in bond) for bond in bonds),
        lonely_large=sum(kinds[i] == A and i not in bonded for i in range(n)),
    )


@pytest.mark.parametrize(
    ("kinds", "pairs", "wanted"),
    [
        ([A, A, A], [(0, 1), (1, 2)], (0, 0, 3)),  # A-A bonds do not count
        ([A, B, A], [(0, 1), (1, 2)], (1, 0, 0)),
        ([A, B, A], [(0, 1)], (1, 0, 1)),
        ([B, B, A, A, B], [(0, 1), (2, 3), (3, 4)], (2, 1, 1)),
        ([B, B, B], [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2)], (1, 3, 0)),  # a bond in both directions is one
        ([A, B], [], (0, 0, 1)),
        ([A, B, A, B, A], [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)], (1, 0, 0)),
    ],
)
def test_by_hand(kinds: list[int], pairs: list[tuple[int, int]], wanted: tuple[int, int, int]) -> None:
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    assert metrics_of(len(kinds), np.array(kinds), edges) == wanted == brute(len(kinds), kinds, pairs)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_by_brute_force(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 25))
    kinds = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    one = st.integers(0, n - 1)
    pairs = data.draw(
        st.lists(st.tuples(one, one).filter(lambda p: p[0] != p[1]), max_size=40 if n > 1 else 0)
    )
    keep = data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    assert metrics_of(n, np.array(kinds), edges) == brute(n, kinds, pairs)
    kept = [pair for pair, yes in zip(pairs, keep, strict=True) if yes]
    assert metrics_of(n, np.array(kinds), edges, np.array(keep, dtype=bool)) == brute(n, kinds, kept)


def test_either_direction_keeps_a_bond() -> None:
    pairs, kinds = np.array([[0, 1, 1, 2], [1, 0, 2, 1]]), np.array([A, B, A])
    assert metrics_of(3, kinds, pairs, np.array([False, True, False, False])) == (1, 0, 1)
    assert metrics_of(3, kinds, pairs, np.zeros(4, dtype=bool)) == (0, 0, 2)


@pytest.mark.parametrize("k", [2, 6])
def test_features_are_counts_per_particle(k: int) -> None:
    samples = flat_samples()
    part = StructuralMetrics(k=k)
    found = part.build(samples, None)  # type: ignore[arg-type]
    assert found.feature_labels == (
        "components without Ni-Ni bonds per particle", "P-P bonds per particle", "Ni without P neighbour per "
        "particle",
    )  # fmt: skip
    for row, atoms in zip(found.features, samples.items, strict=True):
        kinds = [int(symbol == "P") for symbol in atoms.symbols]
        bonds = nearest_bonds(plane_of(atoms, "mine"), k)
        np.testing.assert_allclose(row * 100, brute(100, kinds, bonds.edges.T.tolist()), rtol=1e-6)
    assert (found.features > 0).all()


def test_boxes_of_different_size_compare() -> None:
    """Per particle, means over random mixtures of 100 and 900 particles agree within their noise."""
    means, errors = [], []
    for size, count in ((100, 90), (900, 10)):
        rows = StructuralMetrics().build(flat_samples(count, size), None).features  # type: ignore[arg-type]
        means.append(rows.mean(axis=0))
        errors.append(rows.std(axis=0) / np.sqrt(count))
    assert (np.abs(means[0] - means[1]) < 4 * np.hypot(*errors)).all()
    assert (np.hypot(*errors) < 0.05 * means[0]).all()


# ---------------------------------------------------------------- hexatic order


def lattice() -> Plane:
    """Triangular, of 8 by 8 sites, moved off the border."""
    rows = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    points = np.stack([rows[:, 0] + 0.5 * (rows[:, 1] % 2), rows[:, 1] * np.sqrt(0.75)], 1) + 0.1
    return Plane(points, np.array([8.0, 8.0 * np.sqrt(0.75)]), True)


def test_a_triangular_lattice_is_hexatic() -> None:
    for k in (6, None):
        np.testing.assert_allclose(psi6(lattice(), k), 1.0, atol=1e-9)
    turned = lattice().positions[:, ::-1]
    np.testing.assert_allclose(psi6(Plane(turned, lattice().lengths[::-1], True)), -1.0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [6, None])
def test_it_is_that_of_freud(seed: int, k: int | None) -> None:
    plane = plane_of(flat_configuration(seed, 300), "mine")
    box = freud.box.Box(*plane.lengths, is2D=True)
    points = np.pad(plane.positions - plane.lengths / 2, ((0, 0), (0, 1)))
    hexatic = freud.order.Hexatic(k=6)
    if k is None:
        cells = freud.locality.Voronoi()
        cells.compute((box, points))
        hexatic.compute((box, points), neighbors=cells.nlist)
    else:
        hexatic.compute((box, points))
    found = psi6(plane, k)
    assert found.shape == (300,) and found.dtype == np.complex128
    # a side of a cell too short for single precision may be missing there: two particles lack a neighbour
    away = np.abs(found - hexatic.particle_order)
    assert np.sort(away)[-5 if k is None else -1] < SINGLE and np.median(away) < SINGLE / 10


def test_random_bonds_have_the_order_of_a_walk() -> None:
    """|sum of six unit vectors| / 6 at random: what the docstring of psi6 says."""
    steps = np.exp(1j * np.random.default_rng(0).uniform(0, 2 * np.pi, (200_000, 6)))
    assert round(float(np.abs(steps.mean(axis=1)).mean()), 2) == 0.37


def test_features_are_means_of_all_and_of_each_species() -> None:
    samples = flat_samples()
    found = BondOrder().build(samples, None)  # type: ignore[arg-type]
    assert len(found.feature_labels) == 8
    assert found.feature_labels[1] == "mean |psi6| of Ni, nearest neighbours"
    assert found.feature_labels[7] == "|mean psi6|, Voronoi neighbours"
    for row, atoms in zip(found.features, samples.items, strict=True):
        large = np.array(atoms.get_chemical_symbols()) == "Ni"
        for four, k in ((row[:4], 6), (row[4:], None)):
            order = psi6(plane_of(atoms, "mine"), k)
            size = np.abs(order)
            wanted = [size.mean(), size[large].mean(), size[~large].mean(), abs(order.mean())]
            np.testing.assert_allclose(four, wanted, rtol=1e-6)
    pure = flat_configuration(0)
    pure.symbols[:] = "Ni"
    with pytest.raises(DataError, match="pure holds no P to take a mean of"):
        BondOrder().build(Samples("atoms", [pure], ("pure",), ("pure",)), None)  # type: ignore[arg-type]


# ---------------------------------------------------------------- attributes


def test_attributes_are_columns() -> None:
    samples = flat_samples()
    found = SampleAttributes(attributes=("temperature", "inherent_energy")).build(samples, None)  # type: ignore[arg-type]
    assert found.feature_labels == ("temperature", "inherent_energy") and found.whole
    energies = samples.attributes["inherent_energy"]
    np.testing.assert_array_equal(found.features[:, 0], samples.attributes["temperature"].astype(np.float32))
    assert np.abs(found.features[:, 1] - energies).max() < 2.4e-7, "half a step of single precision below 4"
    assert np.spacing(np.float32(3.87)) < 2.4e-7


def test_an_unknown_attribute_is_named() -> None:
    samples = flat_samples()
    with pytest.raises(StudyError, match="no attribute 'inherent_energi'; did you mean 'inherent_energy'"):
        SampleAttributes(attributes=("inherent_energi",)).build(samples, None)  # type: ignore[arg-type]
    bare = Samples("atoms", samples.items, samples.ids, samples.groups)
    with pytest.raises(StudyError, match="no attribute 'inherent_energy'; they have none"):
        SampleAttributes().build(bare, None)  # type: ignore[arg-type]
    samples.attributes["inherent_energy"][2] = np.nan
    with pytest.raises(DataError, match="flat2/1: inherent_energy is not a finite number"):
        SampleAttributes().build(samples, None)  # type: ignore[arg-type]
