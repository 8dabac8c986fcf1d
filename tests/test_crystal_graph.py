"""Neighbours of crystals against counting all images, and what a crystal may undergo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crystals import columns_of, crystal_samples, crystals, samples_of
from vitrine.errors import DataError
from vitrine.physics.crystal_neighbours import CrystalBonds, crystal_neighbours, reduced_cell
from vitrine.represent.crystal_graph import CrystalGraph
from vitrine.samples import Examples
from vitrine.testing.symmetries import random_rotation

Float = NDArray[np.float64]
SAME = 1e-9
"""Å; the same distance by two sums"""


def of_atoms(atoms: Atoms, neighbours: int = 12) -> CrystalBonds:
    return crystal_neighbours(atoms.cell.array, atoms.get_scaled_positions(wrap=False), neighbours)


def counted(cell: Float, frac: Float, k: int, reach: int) -> list[list[tuple[int, float]]]:
    """For each atom its neighbours and their distances, by looking at all images within a block."""
    shifts = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
    found = []
    for i, own in enumerate(frac):
        apart = (frac[None] - own + shifts[:, None]) @ cell  # (images, atoms, 3)
        lengths = np.linalg.norm(apart, axis=2)
        lengths[(shifts == 0).all(axis=1), i] = np.inf
        limit = np.sort(lengths.ravel())[k - 1] * (1 + 1e-3)
        images, atoms = np.nonzero(lengths <= limit)
        found.append(
            sorted((int(j), float(lengths[image, j])) for image, j in zip(images, atoms, strict=True))
        )
    return found


def described(bonds: CrystalBonds, n: int) -> list[list[tuple[int, float]]]:
    lengths = np.linalg.norm(bonds.vectors, axis=1)
    return [
        sorted((int(j), float(d)) for c, j, d in zip(*bonds.edges, lengths, strict=True) if c == i)
        for i in range(n)
    ]


def check_same(found: list[list[tuple[int, float]]], wanted: list[list[tuple[int, float]]]) -> None:
    assert [[j for j, _ in own] for own in found] == [[j for j, _ in own] for own in wanted]
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose([d for _, d in mine], [d for _, d in theirs], rtol=0, atol=SAME)


# ---------------------------------------------------------------- neighbours


@pytest.mark.parametrize(
    ("atoms", "shells"),
    [
        (bulk("Cu", "fcc", a=3.6), {2.5456: 12}),
        (bulk("Fe", "bcc", a=2.87), {2.4855: 8, 2.87: 6}),
        (bulk("Po", "sc", a=3.35), {3.35: 6, 4.7376: 12}),
        (bulk("NaCl", "rocksalt", a=5.64), {2.82: 6, 3.9881: 12}),
    ],
)
def test_whole_shells(atoms: Atoms, shells: dict[float, int]) -> None:
    bonds = of_atoms(atoms)
    lengths = np.linalg.norm(bonds.vectors, axis=1)
    found = {
        round(float(d), 4): int(n) // len(atoms)
        for d, n in zip(*np.unique(lengths.round(4), return_counts=True), strict=True)
    }
    assert found == shells


def test_bonds_are_sorted_and_lead_to_images() -> None:
    atoms = crystals()[-1]
    bonds = of_atoms(atoms)
    lengths = np.linalg.norm(bonds.vectors, axis=1)
    assert (np.diff(bonds.edges[0]) >= 0).all()
    assert (np.diff(lengths)[np.diff(bonds.edges[0]) == 0] >= 0).all()
    frac = atoms.get_scaled_positions(wrap=False)
    shift = bonds.vectors @ np.linalg.inv(atoms.cell.array) - frac[bonds.edges[1]] + frac[bonds.edges[0]]
    np.testing.assert_allclose(shift, shift.round(), atol=1e-9)


@st.composite
def random_crystals(draw: st.DrawFn) -> tuple[Float, Float]:
    """Small cells of either hand, up to very skewed ones, coordinates far outside."""
    seed = draw(st.integers(0, 2**31))
    random = np.random.default_rng(seed)
    cell = np.diag(random.uniform(2.5, 4.0, 3)) + random.normal(0.0, 0.6, (3, 3))
    n = draw(st.integers(1, 3))
    frac = random.uniform(-0.5, 0.5, (n, 3))
    return cell * draw(st.sampled_from([1.0, -1.0])), frac


@settings(max_examples=60, deadline=None)
@given(random_crystals(), st.integers(1, 14), st.integers(0, 2**31))
def test_all_images_counted_and_any_basis(crystal: tuple[Float, Float], k: int, seed: int) -> None:
    cell, frac = crystal
    if abs(np.linalg.det(cell)) < 5 or any(d < 0.1 for own in counted(cell, frac, 1, 1) for _, d in own):
        return
    wanted = counted(cell, frac, k, 6)
    check_same(described(crystal_neighbours(cell, frac, k), len(frac)), wanted)
    turn = unimodular(np.random.default_rng(seed))
    moved = frac @ np.linalg.inv(turn) + np.random.default_rng(seed).integers(-3, 4, frac.shape)
    check_same(described(crystal_neighbours(turn @ cell, moved, k), len(frac)), wanted)


def unimodular(random: np.random.Generator) -> Float:
    """Integers of determinant 1 or -1: another basis of the same lattice, which may be far from reduced."""
    turn = np.eye(3)[random.permutation(3)] * random.choice([-1.0, 1.0], 3)
    for _ in range(4):
        i, j = random.permutation(3)[:2]
        turn[i] += random.integers(-2, 3) * turn[j]
    return turn


def test_as_pymatgen_on_skewed_cells() -> None:
    from pymatgen.core import Lattice, Structure

    random = np.random.default_rng(1)
    for _ in range(20):
        cell = unimodular(random) @ (np.diag(random.uniform(3.0, 5.0, 3)) + random.normal(0.0, 0.5, (3, 3)))
        frac = random.uniform(0.0, 1.0, (4, 3))
        bonds = crystal_neighbours(cell, frac)
        lengths = np.linalg.norm(bonds.vectors, axis=1)
        peer = Structure(Lattice(cell), ["Cu"] * 4, frac).get_neighbor_list(float(lengths.max()) + 1e-6)
        for i in range(4):
            theirs = np.sort(peer[3][peer[0] == i])
            theirs = theirs[theirs <= theirs[11] * (1 + 1e-3)]
            np.testing.assert_allclose(lengths[bonds.edges[0] == i], theirs, atol=SAME)


def test_a_reduced_cell_spans_the_same_lattice() -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        cell = random.normal(size=(3, 3)) @ np.diag([1.0, 1.0, 20.0])
        found = reduced_cell(unimodular(random) @ cell)
        turn = found @ np.linalg.inv(cell)
        np.testing.assert_allclose(turn, turn.round(), atol=1e-8)
        assert abs(abs(np.linalg.det(turn)) - 1) < 1e-6
        lengths = np.linalg.norm(found, axis=1)
        for a, b, c in np.ndindex(3, 3, 3):
            sums = np.array([a - 1, b - 1, c - 1]) @ found
            if c != 1:
                assert np.linalg.norm(sums) >= lengths[2] * (1 - 1e-9)


def test_a_long_cell_with_vacuum() -> None:
    bonds = crystal_neighbours(np.diag([3.0, 3.0, 400.0]), np.array([[0.0, 0.0, 0.5]]))
    lengths = np.linalg.norm(bonds.vectors, axis=1)
    np.testing.assert_allclose(lengths, [3.0] * 4 + [3.0 * 2**0.5] * 4 + [6.0] * 4)


# ---------------------------------------------------------------- the representation


def graph_of(atoms: Atoms) -> Examples:
    return CrystalGraph().build(samples_of(pd.DataFrame([columns_of(atoms)])), None)  # type: ignore[arg-type]


Environment = tuple[float, list[float], list[float]]


def environments(graph: Examples) -> list[Environment]:
    """Each site's element, and the elements around it with their distances, in an order of their own."""
    assert graph.nodes is not None and graph.edges is not None and graph.edge_vectors is not None
    lengths = np.linalg.norm(graph.edge_vectors, axis=1)
    kinds = graph.nodes[:, 0].tolist()
    found = []
    for i, kind in enumerate(kinds):
        bonds = zip(*graph.edges.tolist(), lengths.tolist(), strict=True)
        around = sorted((kinds[j], d) for c, j, d in bonds if c == i)
        found.append((kind, [other for other, _ in around], [d for _, d in around]))
    return found


def check_same_sites(found: list[Environment], wanted: list[Environment]) -> None:
    left = list(wanted)
    for kind, around, lengths in found:
        same = [
            number
            for number, other in enumerate(left)
            if other[:2] == (kind, around) and np.allclose(other[2], lengths, rtol=0, atol=1e-5)
        ]
        assert same, f"no site like this one: {kind}, {around}, {lengths}"
        left.pop(same[0])
    assert not left


@pytest.mark.parametrize("number", range(6))
def test_what_a_crystal_may_undergo(number: int) -> None:
    atoms, random = crystals()[number], np.random.default_rng(number)
    wanted = environments(graph_of(atoms))
    turned = atoms.copy()
    rotation = random_rotation(number) @ np.diag([1.0, 1.0, -1.0])
    turned.set_cell(turned.cell.array @ rotation, scale_atoms=True)
    moved = atoms.copy()
    moved.positions += random.normal(0.0, 5.0, 3)
    shuffled = atoms[random.permutation(len(atoms))]
    other = make_supercell(atoms, unimodular(random))
    for changed in (turned, moved, shuffled, other):
        check_same_sites(environments(graph_of(changed)), wanted)
    check_same_sites(environments(graph_of(atoms.repeat((1, 2, 1)))), wanted * 2)


def test_nodes_are_atomic_numbers() -> None:
    graph = CrystalGraph().build(crystal_samples(), None)  # type: ignore[arg-type]
    assert graph.nodes is not None and graph.nodes.shape[1] == 1
    np.testing.assert_array_equal(graph.nodes[:5, 0], [20, 22, 8, 8, 8])
    assert graph.features.shape == (6, 0) and graph.whole


def with_two_in_one_place(**first: object) -> pd.DataFrame:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.positions[1] = atoms.positions[0] + atoms.cell[0]
    return pd.DataFrame([{**columns_of(bulk("Cu")), **first}, columns_of(atoms)])


def test_two_atoms_in_one_place_are_named() -> None:
    samples = samples_of(with_two_in_one_place())
    with pytest.raises(DataError, match=r"table:2: sites 1 and 2 are .* apart"):
        CrystalGraph().build(samples, None)  # type: ignore[arg-type]
    assert list(CrystalGraph().refuses(samples)) == ["table:2"]


def test_what_cannot_be_read_is_refused_too() -> None:
    table = with_two_in_one_place(species=["Xx"])
    found = CrystalGraph().refuses(samples_of(table))
    assert set(found) == {"table:1", "table:2"} and "Xx" in found["table:1"]


@pytest.mark.parametrize(
    ("cell", "frac"),
    [
        (np.zeros((3, 3)), np.zeros((1, 3))),
        (np.ones((3, 3)), np.zeros((1, 3))),
        (np.eye(3) * np.nan, np.zeros((1, 3))),
        (np.eye(3), np.full((1, 3), np.inf)),
        (np.eye(3), np.zeros((0, 3))),
        (np.eye(2), np.zeros((1, 3))),
    ],
)
def test_no_crystal(cell: Float, frac: Float) -> None:
    with pytest.raises(DataError, match="a crystal needs"):
        crystal_neighbours(cell, frac)


def test_a_table_without_structures_is_said() -> None:
    samples = crystal_samples()
    with pytest.raises(DataError, match="no structures"):
        CrystalGraph().build(replace(samples, items=samples.items[["formula"]]), None)  # type: ignore[arg-type]
