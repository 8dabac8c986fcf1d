"""The graph of a specimen under a load: symmetries, totals, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.errors import DataError, StudyError
from vitrine.physics.rotation import (
    DIRECTIONS,
    canonical_rotation,
    load_strain,
    matrix_to_voigt,
    rotate_tensor,
    symmetry_rotations,
    voigt_to_matrix,
)
from vitrine.represent.voronoi_graph import STRESS_LABELS, VoronoiGraph, store_voronoi
from vitrine.samples import Examples, Samples
from vitrine.tasks import Outcome, Task
from vitrine.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

ROUND_OFF = 2e-5
"""Of features kept in single precision: volumes near 16, stresses of some 10 GPa."""

VOLUME, ENERGY, STRESS = 4, 5, slice(6, 12)
"""Columns."""


def glass(seed: int, n: int = 54) -> Atoms:
    """A body-centred crystal shaken until nothing of it is left, with fields drawn at random."""
    rng = np.random.default_rng(seed)
    edge = round((n / 2) ** (1 / 3))
    corners = np.indices((edge, edge, edge)).reshape(3, -1).T
    sites = (corners[:, None] + [[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]).reshape(-1, 3) / edge
    cell = np.diag([10.0, 9.5, 10.5])
    cell[1, 0], cell[2, 1] = 0.8, -1.1
    positions = sites @ cell + rng.normal(0, 0.45, (len(sites), 3))
    atoms = Atoms(rng.choice(["Cu", "Zr"], len(sites), p=[0.64, 0.36]), positions, cell=cell, pbc=True)
    atoms.arrays["energy"] = rng.normal(-4.4, 0.3, len(sites))
    atoms.arrays["stress"] = rng.normal(0, 1.0, (len(sites), 6))
    atoms.info["group"] = f"specimen{seed}"
    return atoms


def load(atoms: Atoms, direction: str) -> Atoms:
    turned = atoms.copy()
    turned.info["direction"] = direction
    return turned


def turned(atoms: Atoms, rotation: np.ndarray) -> Atoms:
    """Configuration and fields, turned as a rigid body."""
    result = atoms.copy()
    result.set_cell(np.asarray(atoms.cell) @ rotation.T, scale_atoms=False)
    result.positions = atoms.positions @ rotation.T
    stress = rotate_tensor(rotation, voigt_to_matrix(atoms.arrays["stress"]))
    result.arrays["stress"] = matrix_to_voigt(stress)
    return result


def samples(*items: Atoms) -> Samples:
    ids = tuple(f"s{n}/{atoms.info.get('direction')}" for n, atoms in enumerate(items))
    return Samples("atoms", list(items), ids, tuple(str(atoms.info.get("group")) for atoms in items))


class Runner:
    """Runs tasks here and now; counts them and keeps them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran = 0
        self.tasks: list[Task] = []

    def __call__(self, tasks: list[Task]) -> list[Outcome]:
        outcomes = []
        self.tasks += tasks
        for task in tasks:
            folder = self.folder / task.key
            if not folder.exists():
                folder.mkdir()
                task.function(folder, [], lambda fraction: None, **task.arguments)
                self.ran += 1
            outcomes.append(Outcome(task.label, task.kind, task.key, folder))
        return outcomes


@pytest.fixture
def compute(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def built(compute: Runner, *items: Atoms, **options: Any) -> Examples:
    return VoronoiGraph(**options).build(samples(*items), compute)


def edge_set(examples: Examples) -> list[tuple[int, int]]:
    assert examples.edges is not None
    return sorted(zip(*examples.edges.tolist(), strict=True))


# ---------------------------------------------------------------- symmetries


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_turning_configuration_and_load_together_changes_nothing(compute: Runner, direction: str) -> None:
    atoms = glass(1)
    one = built(compute, load(atoms, direction))
    other = built(compute, load(turned(atoms, canonical_rotation(direction)), "yz"))
    np.testing.assert_allclose(other.features, one.features, rtol=0, atol=ROUND_OFF)
    assert edge_set(other) == edge_set(one)
    # the load is not left out: without its turn the stresses differ
    if direction != "yz":
        plain = built(compute, load(atoms, "yz"))
        assert abs(plain.features[:, STRESS] - one.features[:, STRESS]).max() > 1.0
        np.testing.assert_array_equal(plain.features[:, : STRESS.start], one.features[:, : STRESS.start])


def test_every_pair_of_directions_is_related_by_its_rotation(compute: Runner) -> None:
    """A specimen turned so that load d becomes load e has, under e, the features it had under d."""
    atoms = glass(2)
    wanted = {d: built(compute, load(atoms, d)).features for d in DIRECTIONS}
    for d in DIRECTIONS:
        for e in DIRECTIONS:
            turn = canonical_rotation(e).T @ canonical_rotation(d)
            there = built(compute, load(turned(atoms, turn), e)).features
            np.testing.assert_allclose(there, wanted[d], rtol=0, atol=ROUND_OFF)


def test_symmetries_of_the_load_change_signs_or_order_of_the_stress_only(compute: Runner) -> None:
    """Turns that keep the load permute the six components up to sign; nothing else moves."""
    atoms = glass(3)
    one = built(compute, load(atoms, "yz")).features
    for turn in symmetry_rotations()[1:]:
        other = built(compute, load(turned(atoms, turn), "yz")).features
        np.testing.assert_allclose(other[:, : STRESS.start], one[:, : STRESS.start], atol=ROUND_OFF)
        a, b = (np.sort(abs(features[:, STRESS]), axis=1) for features in (one, other))
        np.testing.assert_allclose(b, a, atol=ROUND_OFF)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_translation_wrapping_and_order(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    compute = Runner(tmp_path_factory.mktemp("store"))
    rng = np.random.default_rng(seed)
    atoms = load(glass(4), "-xz")
    one = built(compute, atoms)

    moved = atoms.copy()
    moved.positions = moved.positions + rng.uniform(-30, 30, 3) + rng.integers(-3, 4, (54, 3)) @ moved.cell
    other = built(compute, moved)
    np.testing.assert_allclose(other.features, one.features, rtol=0, atol=ROUND_OFF)
    assert edge_set(other) == edge_set(one)

    order = rng.permutation(54)  # new atom k was order[k]
    mixed = built(compute, atoms[order])
    np.testing.assert_allclose(mixed.features, one.features[order], rtol=0, atol=ROUND_OFF)
    assert sorted((order[a], order[b]) for a, b in edge_set(mixed)) == edge_set(one)


def test_edges_stand_in_both_directions_and_within_their_graph(compute: Runner) -> None:
    examples = built(compute, load(glass(5), "xy"), load(glass(6), "xy"))
    assert examples.edges is not None
    assert examples.edge_starts is not None
    edges = edge_set(examples)
    assert edges == sorted((b, a) for a, b in edges)
    for s in range(2):
        own = examples.edges[:, examples.edge_starts[s] : examples.edge_starts[s + 1]]
        assert own.min() == examples.starts[s]
        assert own.max() == examples.starts[s + 1] - 1
        assert 10 < own.shape[1] / 54 < 18  # polyhedra have about 14 faces


# ---------------------------------------------------------------- what the columns hold


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_stress_integrates_to_the_total(compute: Runner, direction: str) -> None:
    atoms = glass(7)
    features = built(compute, load(atoms, direction)).features.astype(np.float64)
    volume = features[:, VOLUME]
    assert volume.sum() == pytest.approx(atoms.get_volume(), rel=1e-6)
    total = (features[:, STRESS] * volume[:, None]).sum(axis=0) / EV_PER_CUBIC_ANGSTROM_IN_GPA
    turn = canonical_rotation(direction)
    wanted = turn @ voigt_to_matrix(atoms.arrays["stress"].sum(axis=0)) @ turn.T
    # the paper's order
    assert STRESS_LABELS == ("s11", "s22", "s33", "s12", "s23", "s31")
    components = [wanted[int(label[1]) - 1, int(label[2]) - 1] for label in STRESS_LABELS]
    np.testing.assert_allclose(total, components, atol=1e-4)


def test_a_stress_that_drives_the_load_is_positive_in_its_component(compute: Runner) -> None:
    """Under a uniform stress along the load, s23 > 0 for each of the six directions."""
    for direction in DIRECTIONS:
        atoms = load(glass(8), direction)
        pair = ("yz", "xz", "xy").index(direction[-2:])
        atoms.arrays["stress"] = np.zeros((54, 6))
        atoms.arrays["stress"][:, 3 + pair] = -1.0 if direction.startswith("-") else 1.0
        features = built(compute, atoms).features
        wanted = np.zeros((54, 6))
        wanted[:, 4] = EV_PER_CUBIC_ANGSTROM_IN_GPA / features[:, VOLUME]
        np.testing.assert_allclose(features[:, STRESS], wanted, rtol=1e-5, atol=1e-12)


def test_labels_types_and_energies(compute: Runner) -> None:
    atoms = load(glass(9), "xy")
    examples = built(compute, atoms)
    assert examples.feature_labels[:2] == ("is Cu", "is Zr")
    assert len(examples.feature_labels) == examples.features.shape[1] == 12
    assert examples.feature_labels[VOLUME].endswith("[Å³]")
    is_copper = np.array(atoms.get_chemical_symbols()) == "Cu"
    np.testing.assert_array_equal(examples.features[:, 0], is_copper)
    np.testing.assert_array_equal(examples.features[:, 1], ~is_copper)
    np.testing.assert_allclose(examples.features[:, ENERGY], atoms.arrays["energy"], rtol=1e-6)
    assert examples.features.dtype == np.float32
    three = built(compute, atoms, elements=("Zr", "Al", "Cu"))
    np.testing.assert_array_equal(three.features[:, 2], is_copper)
    assert not three.features[:, 1].any()


def test_icosahedra_count_about_their_centre_only(compute: Runner) -> None:
    # the centre of a regular icosahedron of 12 neighbours, far from everything else
    golden = (1 + 5**0.5) / 2
    corners = np.array([[0, a, b * golden] for a in (-1, 1) for b in (-1, 1)])
    shell = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)])
    shell *= 2.6 / np.linalg.norm(shell[0])
    rng = np.random.default_rng(0)
    positions = np.concatenate([[[0, 0, 0]], shell, rng.uniform(4.0, 9.0, (20, 3))]) + 6.0
    for symbol in ("Cu", "Zr"):
        atoms = Atoms([symbol] + ["Zr"] * 32, positions, cell=18 * np.eye(3), pbc=True)
        atoms.arrays["energy"], atoms.arrays["stress"] = np.zeros(33), np.zeros((33, 6))
        marked = built(compute, load(atoms, "xy")).features[0, 2:4]
        assert marked.tolist() == ([1, 0] if symbol == "Cu" else [0, 1])


def test_directions_of_a_specimen_share_one_tessellation(compute: Runner) -> None:
    one, two = glass(10), glass(11)
    built(compute, *(load(atoms, d) for atoms in (one, two) for d in DIRECTIONS))
    assert compute.ran == 2
    built(compute, load(one, "xy"), edge_threshold=0.2)
    assert compute.ran == 3


def test_both_backends_agree(compute: Runner) -> None:
    pytest.importorskip("ovito")
    atoms = load(glass(12, n=128), "xz")
    ours, theirs = (built(compute, atoms, backend=backend) for backend in ("scipy", "ovito"))
    np.testing.assert_allclose(ours.features, theirs.features, rtol=1e-5, atol=1e-4)


# ---------------------------------------------------------------- for networks that see space


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_invariant_features_are_the_cheap_ones_without_stress(compute: Runner, direction: str) -> None:
    atoms = load(glass(14), direction)
    cheap, invariant = (built(compute, atoms, features=name) for name in ("cheap", "invariant"))
    assert invariant.feature_labels == cheap.feature_labels[: STRESS.start]
    np.testing.assert_array_equal(invariant.features, cheap.features[:, : STRESS.start])
    assert invariant.edge_vectors is None and invariant.loads is None and invariant.tensors is None


def test_invariant_features_of_the_response_are_those_without_frames(compute: Runner) -> None:
    labels = {
        name: VoronoiGraph(features=name).feature_labels()
        for name in ("cheap", "response", "invariant", "invariant-response")
    }
    stress = {f"{label} [GPa]" for label in STRESS_LABELS}
    assert set(labels["response"]) - set(labels["invariant-response"]) == stress
    assert set(labels["invariant"]) < set(labels["invariant-response"])
    assert not stress & set(labels["invariant-response"])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_geometry_is_of_the_frame_of_the_positions(compute: Runner, direction: str) -> None:
    """The stress as a tensor and the columns of the canonical frame tell the same."""
    atoms = load(glass(15), direction)
    examples = built(compute, atoms, geometry=True)
    tensors, loads, vectors = examples.tensors, examples.loads, examples.edge_vectors
    assert tensors is not None and loads is not None and vectors is not None and examples.edges is not None
    assert (tensors.shape, loads.shape, examples.vectors) == ((54, 1, 3, 3), (1, 3, 3), None)
    volume = examples.features[:, VOLUME, None, None]
    stress = voigt_to_matrix(atoms.arrays["stress"]) / volume * EV_PER_CUBIC_ANGSTROM_IN_GPA
    np.testing.assert_allclose(tensors[:, 0], stress, rtol=1e-5, atol=1e-4)
    turn = canonical_rotation(direction)
    canonical = rotate_tensor(turn, tensors[:, 0])
    columns = [canonical[:, int(label[1]) - 1, int(label[2]) - 1] for label in STRESS_LABELS]
    np.testing.assert_allclose(np.stack(columns, 1), examples.features[:, STRESS], atol=1e-4)
    np.testing.assert_array_equal(loads[0], load_strain(direction))
    centre, neighbour = examples.edges
    apart = atoms.positions[neighbour] - atoms.positions[centre]
    images = (vectors - apart) @ np.linalg.inv(np.asarray(atoms.cell))
    np.testing.assert_allclose(images, np.round(images), atol=1e-5)


def test_geometry_of_several_samples_keeps_rows_and_edges_apart(compute: Runner) -> None:
    items = [load(glass(16), "xy"), load(glass(17), "-xy"), load(glass(16), "yz")]
    together = built(compute, *items, geometry=True)
    for number, atoms in enumerate(items):
        alone = built(compute, atoms, geometry=True)
        part = together.select([number])
        for name in ("edge_vectors", "tensors", "loads"):
            np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))


def test_a_stress_beyond_single_precision_is_said(compute: Runner) -> None:
    atoms = load(glass(18), "xy")
    atoms.arrays["stress"][7, 2] = 1e300
    fine = load(glass(18), "xy")
    with pytest.raises(DataError, match=r"s1/xy: its tensors are not finite numbers"):
        built(compute, fine, atoms, features="invariant", geometry=True)


def test_stores_keep_what_they_have(compute: Runner) -> None:
    """Keys of cells are those of before there was a geometry; cells with vectors have their own."""
    atoms = load(glass(19), "xy")
    built(compute, atoms)
    built(compute, atoms, features="invariant")
    assert compute.ran == 1
    assert set(compute.tasks[0].recipe) == {
        "version", "structure", "relative_face_threshold", "edge_threshold", "backend"
    }  # fmt: skip
    assert compute.tasks[0].recipe["version"] == 1
    built(compute, atoms, geometry=True)
    assert compute.ran == 2
    assert compute.tasks[-1].recipe["vectors"] is True


# ---------------------------------------------------------------- what it refuses


def without(atoms: Atoms, *names: str) -> Atoms:
    for name in names:
        del atoms.arrays[name]
    return atoms


def with_stress(shape: tuple[int, ...]) -> Atoms:
    atoms = without(load(glass(0), "xy"), "stress")
    atoms.arrays["stress"] = np.zeros(shape)
    return atoms


def named(symbol: str) -> Atoms:
    atoms = load(glass(0), "xy")
    atoms.symbols[3] = symbol
    return atoms


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        (without(load(glass(0), "xy"), "energy"), "s0/xy has no per-atom field energy"),
        (without(load(glass(0), "xy"), "energy", "stress"), "no per-atom field energy and stress"),
        (with_stress((54, 9)), r"field stress has the shape \(54, 9\); it needs six columns"),
        (with_stress((54,)), r"field stress has the shape \(54,\)"),
        (named("Al"), "holds Al, but this representation knows Cu, Zr; name the elements"),
        (glass(0), "names no load direction"),
    ],
)
def test_incomplete_samples_are_refused(compute: Runner, atoms: Atoms, words: str) -> None:
    with pytest.raises(DataError, match=words):
        built(compute, atoms)


def test_wrong_kinds_and_failed_tessellations_are_refused(compute: Runner) -> None:
    with pytest.raises(StudyError, match="unknown shear direction"):
        built(compute, load(glass(0), "zz"))
    with pytest.raises(StudyError, match="takes atoms, not formulas"):
        VoronoiGraph().build(Samples("formulas", [1], ("a",), ("a",)), compute)
    with pytest.raises(DataError, match="no samples"):
        VoronoiGraph().build(samples(), compute)

    def fail(tasks: list[Task]) -> list[Outcome]:
        return [Outcome(t.label, t.kind, t.key, None, error="two atoms in one place") for t in tasks]

    with pytest.raises(DataError, match=r"no Voronoi cells for .*: two atoms in one place"):
        VoronoiGraph().build(samples(load(glass(0), "xy")), fail)


def test_what_is_stored(tmp_path: Path) -> None:
    atoms = glass(13)
    store_voronoi(tmp_path, [], lambda f: None, positions=atoms.positions, cell=np.asarray(atoms.cell))
    with np.load(tmp_path / "voronoi.npz", allow_pickle=False) as file:
        assert {name: file[name].shape[0] for name in ("volume", "index", "icosahedral")} == {
            "volume": 54,
            "index": 54,
            "icosahedral": 54,
        }
        assert file["neighbours"].shape[0] == 2
