"""Networks that see space: outputs stay when a configuration and its load turn together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError
from vitrine.learn.batches import Batch, Batches, Geometry, as_batch
from vitrine.learn.networks.equivariant import EquivariantNetwork, Rows, _dyads, squash, symmetric_basis
from vitrine.learn.neural import Equivariant, GraphAttention, NetworkModel
from vitrine.physics.rotation import canonical_rotation, rotate_tensor
from vitrine.represent.voronoi_graph import VoronoiGraph
from vitrine.samples import Examples, Samples
from vitrine.simulate.released import find_released, read_released
from vitrine.testing import spatial_examples
from vitrine.testing.symmetries import random_rotation, rotated

PRECISE = 1e-5
"""of the largest output, in single precision"""
TURNS = {
    "turn": random_rotation(1),
    "mirror": np.diag([1.0, 1.0, -1.0]),
    "turn and mirror": -random_rotation(2),
}


def turned(examples: Examples, turn: NDArray[Any]) -> Examples:
    """Everything that has a direction, under an orthogonal matrix."""
    assert examples.edge_vectors is not None and examples.vectors is not None
    fields = {
        "edge_vectors": examples.edge_vectors @ turn.T,
        "vectors": examples.vectors @ turn.T,
        "tensors": turn @ examples.tensors @ turn.T,
        "loads": turn @ examples.loads @ turn.T,
    }
    return replace(examples, **{name: value.astype(np.float32) for name, value in fields.items()})


def network(examples: Examples, layers: int = 2, width: int = 8) -> EquivariantNetwork:
    torch.manual_seed(0)
    part = Equivariant(layers=layers, width=width)
    found: Any = part.network(**part.inputs_of(examples))
    batch = as_batch(examples)
    found.calibrate(batch.edges, batch.geometry)
    return found.eval()  # type: ignore[no-any-return]


def outputs(net: Any, examples: Examples) -> NDArray[Any]:
    batch = as_batch(examples)
    with torch.no_grad():
        return net(batch.features, batch.edges, batch.geometry).numpy()  # type: ignore[no-any-return]


def change(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one - other).max() / np.abs(one).max())


# ---------------------------------------------------------------- symmetries


@pytest.mark.parametrize("name", TURNS)
def test_turning_everything_changes_no_output(name: str) -> None:
    examples = spatial_examples(1)
    net = network(examples)
    there = outputs(net, turned(examples, TURNS[name]))
    assert change(outputs(net, examples), there) < PRECISE


@pytest.mark.parametrize("name", TURNS)
def test_inner_vectors_and_tensors_turn_along(name: str) -> None:
    examples, turn = spatial_examples(1), torch.from_numpy(TURNS[name]).float()
    net = network(examples)
    kept: list[Any] = []
    net.layers[-1].register_forward_hook(lambda module, inputs, out: kept.append(out))
    outputs(net, examples)
    outputs(net, turned(examples, TURNS[name]))
    (s, v, t), (s2, v2, t2) = kept
    largest = v.norm(dim=1).max()
    assert (torch.einsum("ij,njc->nic", turn, v) - v2).norm(dim=1).max() < PRECISE * largest
    assert (v - v2).norm(dim=1).max() > 0.1 * largest, "vectors that do not turn carry no direction"
    matrices, matrices2 = (torch.einsum("nkc,kij->ncij", x, symmetric_basis()) for x in (t, t2))
    assert (turn @ matrices @ turn.T - matrices2).abs().max() < PRECISE * matrices.abs().max()
    assert (matrices - matrices2).abs().max() > 0.1 * matrices.abs().max()
    assert (s - s2).abs().max() < PRECISE * s.abs().max()


@pytest.mark.parametrize("what", ["loads", "edge_vectors", "vectors", "tensors"])
def test_each_field_matters_and_turns_with_the_others(what: str) -> None:
    """Turning one field alone, or the load's sign alone, is another case."""
    examples = spatial_examples(2)
    net = network(examples)
    alone = replace(examples, **{what: getattr(turned(examples, TURNS["turn"]), what)})
    assert change(outputs(net, examples), outputs(net, alone)) > 1e-3
    assert examples.loads is not None
    opposite = replace(examples, loads=-examples.loads)
    assert change(outputs(net, examples), outputs(net, opposite)) > 1e-3


def test_the_opposite_load_on_a_turned_configuration_is_the_same_case() -> None:
    """A half turn about x makes xy into -xy."""
    examples = spatial_examples(3, n_samples=1)
    net = network(examples)
    there = turned(examples, np.diag([1.0, -1.0, -1.0]))
    assert examples.loads is not None and there.loads is not None
    np.testing.assert_array_equal(there.loads, -examples.loads)
    assert change(outputs(net, examples), outputs(net, there)) < PRECISE


def test_outputs_follow_their_atoms_and_no_batch_mates() -> None:
    examples = spatial_examples(4, n_samples=3)
    net = network(examples)
    whole = outputs(net, examples)
    random = np.random.default_rng(0)
    order = np.concatenate([s + random.permutation(30) for s in (0, 30, 60)])
    place = np.argsort(order)
    bonds = np.concatenate([s + random.permutation(120) for s in (0, 120, 240)])
    assert examples.edges is not None
    rows = {name: getattr(examples, name)[order] for name in ("features", "vectors", "tensors")}
    mixed = replace(
        examples,
        edges=place[examples.edges][:, bonds],
        edge_vectors=examples.edge_vectors[bonds],  # type: ignore[index]
        **rows,
    )
    assert change(whole[order], outputs(net, mixed)) < PRECISE
    assert change(whole[60:], outputs(net, examples.select([2]))) < PRECISE
    assert change(whole[:30], outputs(net, examples.select([0, 1]))[:30]) < PRECISE


# ---------------------------------------------------------------- through the representation


def built(folder: Path, samples: Samples, **options: Any) -> Examples:
    with Campaign(folder / "store", workers=0) as campaign:
        return VoronoiGraph(geometry=True, **options).build(samples, campaign.compute)


@pytest.mark.parametrize(
    ("features", "before", "after"),
    [
        ("invariant", "xy", "yz"),
        ("invariant", "-xz", "xy"),
        ("invariant", "yz", "-yz"),
        ("invariant-response", "xy", "yz"),
    ],
)
def test_a_specimen_turned_with_its_load_is_the_same_case(
    features: str, before: str, after: str, tmp_path: Path
) -> None:
    """By quarter and half turns, which leave a cubic box a box; second derivatives are solved anew."""
    glass = read_released(find_released("cu64zr36-n500"), 1)
    atoms = glass.items[0].copy()
    atoms.info["direction"] = before
    turn = canonical_rotation(after).T @ canonical_rotation(before)
    other = rotated(atoms, turn)
    other.info["direction"] = after
    one, two = (
        built(tmp_path, Samples("atoms", [item], (name,), ("g",), glass.about), features=features)
        for item, name in ((atoms, "one"), (other, "two"))
    )
    assert one.edge_vectors is not None and two.loads is not None and one.tensors is not None
    np.testing.assert_allclose(two.loads[0], rotate_tensor(turn, one.loads[0]), atol=1e-7)  # type: ignore[index]
    tensors = np.einsum("ij,nkjl,ml->nkim", turn, one.tensors, turn)
    np.testing.assert_allclose(two.tensors, tensors, atol=1e-3 * np.abs(tensors).max())
    if features == "invariant-response":
        assert one.vectors is not None and one.tensors.shape[1] == 2
        for order in range(2):
            vectors = one.vectors[:, order] @ turn.T
            np.testing.assert_allclose(two.vectors[:, order], vectors, atol=1e-3 * np.abs(vectors).max())  # type: ignore[index]
    net = network(one)
    tolerance = PRECISE if features == "invariant" else 1e-3  # of solutions to 1e-6, over the softest modes
    assert change(outputs(net, one), outputs(net, two)) < tolerance
    unturned = replace(one, loads=two.loads)
    assert change(outputs(net, one), outputs(net, unturned)) > 10 * tolerance


def test_edge_vectors_are_those_of_the_images_that_share_a_face(tmp_path: Path) -> None:
    """In a tiny box an atom meets several images of one neighbour, each by its own vector."""
    glass = read_released(find_released("cu64zr36-n500"), 1)
    atoms = glass.items[0].copy()
    examples = built(tmp_path, Samples("atoms", [atoms], ("a",), ("g",)))
    assert examples.edges is not None and examples.edge_vectors is not None
    centre, neighbour = examples.edges
    apart = atoms.positions[neighbour] - atoms.positions[centre]
    fractions = (examples.edge_vectors - apart) @ np.linalg.inv(np.asarray(atoms.cell))
    np.testing.assert_allclose(fractions, np.round(fractions), atol=1e-5)
    assert np.abs(np.round(fractions)).max() == 1, "some bonds cross the boundary"
    assert np.linalg.norm(examples.edge_vectors, axis=1).max() < 8.0
    # the reverse bond is the opposite vector
    forward = {
        (i, j, *np.round(v, 3)) for i, j, v in zip(centre, neighbour, examples.edge_vectors, strict=True)
    }
    assert {
        (j, i, *np.round(-v, 3)) for i, j, v in zip(centre, neighbour, examples.edge_vectors, strict=True)
    } == {tuple(bond) for bond in forward}
    few = atoms[:4]
    few.set_cell(3.0 * np.eye(3))
    few.positions = np.array([[0.0, 0, 0], [1.4, 1.5, 0.1], [1.5, 0.1, 1.4], [0.1, 1.6, 1.5]])
    few.info["direction"] = "xy"
    tiny = built(tmp_path, Samples("atoms", [few], ("few",), ("g",)))
    assert tiny.edges is not None and tiny.edge_vectors is not None
    pairs = {tuple(pair) for pair in tiny.edges.T}
    assert tiny.edges.shape[1] > 2 * len(pairs), "several images"
    full = {(*pair, *np.round(v, 3)) for pair, v in zip(tiny.edges.T, tiny.edge_vectors, strict=True)}
    assert len(full) == tiny.edges.shape[1], "each has its own vector"


def test_the_opposite_load_turns_the_first_order_and_keeps_the_second(tmp_path: Path) -> None:
    glass = read_released(find_released("cu64zr36-n500"), 1)
    items = []
    for direction in ("xz", "-xz"):
        items.append(glass.items[0].copy())
        items[-1].info["direction"] = direction
    samples = Samples("atoms", items, ("+", "-"), ("g", "g"), glass.about)
    examples = built(tmp_path, samples, features="invariant-response")
    (stored,) = tmp_path.glob("store/entries/*/*/softness.npz")
    with np.load(stored, allow_pickle=False) as file:
        assert file["first"].dtype == file["second"].dtype == np.float32
        assert file["first"].shape == file["second"].shape == (3, len(items[0]), 3)
    n = len(items[0])
    vectors, tensors, loads = examples.vectors, examples.tensors, examples.loads
    assert vectors is not None and tensors is not None and loads is not None
    np.testing.assert_array_equal(vectors[n:, 0], -vectors[:n, 0])
    np.testing.assert_array_equal(vectors[n:, 1], vectors[:n, 1])
    np.testing.assert_array_equal(tensors[n:, 0], tensors[:n, 0])
    np.testing.assert_array_equal(tensors[n:, 1], -tensors[:n, 1])
    np.testing.assert_array_equal(loads[1], -loads[0])
    assert loads[0, 0, 2] == 0.5 and np.abs(loads[0]).sum() == 1.0
    # relaxed stiffness C55 of the whole, over 15 GPa and below the affine one
    volume = examples.features[:n, examples.feature_labels.index("Voronoi volume [Å³]")]
    assert 10 < np.average(tensors[:n, 1, 0, 2], weights=volume) < 45


# ---------------------------------------------------------------- what it is made of


def test_the_basis_is_orthonormal_symmetric_and_traceless() -> None:
    basis = symmetric_basis()
    torch.testing.assert_close(torch.einsum("kij,lij->kl", basis, basis), torch.eye(5))
    assert (
        torch.equal(basis, basis.transpose(1, 2)) and basis.diagonal(dim1=1, dim2=2).sum(1).abs().max() < 1e-7
    )
    a, b = torch.randn(6, 3), torch.randn(6, 3)
    torch.testing.assert_close(_dyads(a, b), torch.einsum("ni,nj,kij->nk", a, b, basis))


def test_squashing_keeps_directions_and_has_a_slope_at_zero() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-3, 0.0]], requires_grad=True)
    found = squash(x, 1)
    torch.testing.assert_close(found[0], torch.asinh(torch.tensor(5.0)) * torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(found[2], x[2])
    found.sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_rows_hold_each_edge_at_its_node() -> None:
    node = torch.tensor([2, 0, 2, 2, 0])
    rows = Rows.of(node, 4)
    filled = rows.fill(torch.arange(1.0, 6.0)[:, None], 4)[..., 0]
    assert filled.tolist() == [[2, 5, 0], [0, 0, 0], [1, 3, 4], [0, 0, 0]]
    assert Rows.of(node[:0], 3).fill(torch.zeros(0, 2), 3).shape == (3, 1, 2)


def test_units_come_from_the_training_set_and_are_kept(tmp_path: Path) -> None:
    """Lengths, vectors and stresses in other units give the same predictions after training anew."""
    examples = spatial_examples(5)
    part = Equivariant(layers=1, width=4, epochs=3, batch=4)

    def fitted(data: Examples) -> NetworkModel:
        return part.build("binary", 0).fit(data.select(range(8)), None, lambda fraction: None)

    other = replace(
        examples,
        edge_vectors=10 * examples.edge_vectors,  # type: ignore[operator]
        vectors=1e-3 * examples.vectors,  # type: ignore[operator]
        tensors=1e4 * examples.tensors,  # type: ignore[operator]
    )
    model = fitted(examples)
    wanted = model.predict(examples)
    np.testing.assert_allclose(fitted(other).predict(other), wanted, atol=1e-3)
    model.save(tmp_path)
    again = part.build("binary", 0).load(tmp_path)
    np.testing.assert_array_equal(again.predict(examples), wanted)
    assert np.abs(again.predict(other) - wanted).max() > 1e-3, "units are those of the training set"


def test_examples_without_space_or_with_other_fields_are_refused(tmp_path: Path) -> None:
    examples = spatial_examples()
    part = Equivariant(layers=1, width=4, epochs=1)
    bare = replace(examples, edge_vectors=None)
    with pytest.raises(DataError, match="geometry: true"):
        part.build("binary", 0).fit(bare, None, lambda fraction: None)
    model = part.build("binary", 0).fit(examples, None, lambda fraction: None)
    with pytest.raises(DataError, match="geometry: true"):
        model.predict(bare)
    with pytest.raises(
        DataError, match="trained on 4 features, 1 vectors, 1 tensors; these examples have 4 f"
    ):
        model.predict(replace(examples, vectors=None))
    # a network that does not see space takes them all the same
    plain = GraphAttention(layers=1, width=2, epochs=1).build("binary", 0)
    seen = plain.fit(examples, None, lambda fraction: None).predict(examples)
    np.testing.assert_array_equal(seen, plain.predict(bare))


def test_lightning_moves_every_tensor_of_a_batch() -> None:
    """To a device without memory, which every machine has."""
    batch = Batches(spatial_examples(), 3, 0, balance="none")[0]
    moved = move_data_to_device(batch, torch.device("meta"))
    assert isinstance(moved, Batch) and isinstance(moved.geometry, Geometry) and moved.share == 1.0
    tensors = [*moved[:3], *moved.geometry]
    assert len(tensors) == 8 and all(tensor.device.type == "meta" for tensor in tensors)


def test_edge_vectors_point_from_the_first_to_the_second_node_of_a_batch() -> None:
    """Both are turned round, from (centre, neighbour) to (neighbour, centre)."""
    examples = spatial_examples(7, n_samples=3)
    batch = as_batch(examples.select([2, 0]))
    assert batch.geometry is not None
    assert examples.edges is not None and examples.edge_vectors is not None
    bond = {(i, j): v for i, j, v in zip(*examples.edges, examples.edge_vectors, strict=True)}
    old = np.concatenate([np.arange(60, 90), np.arange(30)])
    for source, centre, vector in zip(*batch.edges.numpy(), batch.geometry.edge_vectors.numpy(), strict=True):
        np.testing.assert_array_equal(vector, -bond[old[centre], old[source]])
    assert batch.geometry.owner.tolist() == [0] * 30 + [1] * 30
    np.testing.assert_array_equal(batch.geometry.loads, examples.loads[[2, 0]])  # type: ignore[index]


@pytest.mark.slow
def test_two_processes_agree_with_one() -> None:
    """What a spatial network sees goes to each process."""
    examples = spatial_examples(6)
    part = Equivariant(layers=1, width=4, epochs=3, batch=5, learning_rate=0.01)
    one, two = (
        part.model_copy(update={"devices": devices})
        .build("binary", 0)
        .fit(examples.select(range(8)), examples.select(range(8, 12)), lambda fraction: None)
        for devices in (None, 2)
    )
    np.testing.assert_allclose(two.predict(examples), one.predict(examples), atol=1e-4)
    np.testing.assert_allclose(two.describe()["losses"], one.describe()["losses"], atol=1e-4)
