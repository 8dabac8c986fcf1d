"""Message passing on graphs of whole samples: the equations, the symmetries, the bonds' attention."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.learn.batches import Batches, as_batch
from vitrine.learn.bonds import reverse_edges
from vitrine.learn.networks.message_passing import MessagePassingNetwork, exchange
from vitrine.learn.neural import GraphAttention, NetworkModel, Perceptron
from vitrine.learn.protocol import Attends
from vitrine.learn.whole import AttendingModel, MessagePassing
from vitrine.samples import Examples
from vitrine.testing import vector_examples, whole_graph_examples

SINGLE = 1e-6
"""difference of outputs that rounding in single precision may make"""


class Box(NamedTuple):
    """Particles in a periodic plane."""

    places: NDArray[Any]
    cell: NDArray[Any]
    kinds: NDArray[Any]


def box(seed: int, n: int = 20, side: float = 4.5) -> Box:
    random = np.random.default_rng(seed)
    grid = np.indices((5, 5)).reshape(2, -1).T[:n] / 5
    places = (grid + random.normal(0.0, 0.04, (n, 2))) * side
    return Box(places, side * np.eye(2), (random.random(n) < 0.35).astype(int))


def bonds_of(there: Box, reach: float) -> list[tuple[int, int, NDArray[Any]]]:
    """(centre, neighbour, vector), sorted; every periodic image within reach is a bond."""
    found = []
    shifts = [np.array([a, b]) @ there.cell for a in (-2, -1, 0, 1, 2) for b in (-2, -1, 0, 1, 2)]
    for i, here in enumerate(there.places):
        for j, other in enumerate(there.places):
            for shift in shifts:
                vector = other + shift - here
                if 1e-9 < np.hypot(*vector) < reach:
                    found.append((i, j, vector))
    return sorted(found, key=lambda bond: bond[:2])


def examples_of(boxes: list[Box], reach: float = 1.3) -> Examples:
    bonds = [bonds_of(there, reach) for there in boxes]
    starts = np.concatenate([[0], np.cumsum([len(there.places) for there in boxes])])
    edges = [(i + starts[s], j + starts[s]) for s, part in enumerate(bonds) for i, j, _ in part]
    vectors = [np.append(vector, 0.0) for part in bonds for _, _, vector in part]
    n = len(boxes)
    return Examples(
        makes="whole-graphs",
        target_kind="binary",
        ids=tuple(f"s{i}" for i in range(n)),
        groups=tuple(f"s{i}" for i in range(n)),
        features=np.zeros((n, 0), np.float32),
        feature_labels=(),
        starts=np.arange(n + 1, dtype=np.int64),
        target=(np.arange(n) % 2).astype(np.float32),
        nodes=np.concatenate([np.eye(2, dtype=np.float32)[there.kinds] for there in boxes]),
        node_starts=starts.astype(np.int64),
        edges=np.array(edges, dtype=np.int64).reshape(-1, 2).T.copy(),
        edge_starts=np.concatenate([[0], np.cumsum([len(part) for part in bonds])]).astype(np.int64),
        edge_vectors=np.array(vectors, dtype=np.float32).reshape(-1, 3),
    )


def network(examples: Examples, **settings: Any) -> MessagePassingNetwork:
    torch.manual_seed(1)
    part = MessagePassing(**({"hidden": 12, "depth": 2, "heads": 3} | settings))
    found: Any = part.network(**part.inputs_of(examples))
    part.calibrate(found, examples)
    return found.eval()  # type: ignore[no-any-return]


def outputs(net: MessagePassingNetwork, examples: Examples) -> NDArray[Any]:
    batch = as_batch(examples)
    with torch.no_grad():
        return net(batch.features, batch.graph).numpy()  # type: ignore[no-any-return]


def close(one: NDArray[Any], other: NDArray[Any]) -> None:
    np.testing.assert_allclose(one, other, rtol=0, atol=SINGLE * max(1.0, float(np.abs(one).max())))


# ---------------------------------------------------------------- the equations


def slow_output(net: MessagePassingNetwork, there: Box, reach: float) -> tuple[float, NDArray[Any]]:
    """Output and attention of one graph in double precision, bond by bond."""
    w = {name: value.double().numpy() for name, value in net.state_dict().items()}
    bonds = [(j, i, -vector) for i, j, vector in bonds_of(there, reach)]  # from v to w
    eye = np.eye(2)
    first = []
    for v, _, vector in bonds:
        gaussians = np.exp(-0.5 * ((np.hypot(*vector) - w["centres"]) / w["spacing"]) ** 2)
        first.append(np.maximum(w["initial.weight"] @ np.concatenate([eye[there.kinds[v]], gaussians]), 0.0))
    messages = list(first)
    for _ in range(net.depth):
        after = []
        for number, (v, target, vector) in enumerate(bonds):
            coming = np.zeros_like(first[0])
            for other, (u, centre, back) in enumerate(bonds):
                if centre == v and not (u == target and np.allclose(back, -vector)):
                    coming = coming + messages[other]
            after.append(np.maximum(first[number] + w["update.weight"] @ coming, 0.0))
        messages = after
    scores = np.array([w["heads.weight"] @ np.maximum(w["score.weight"] @ m, 0.0) for m in messages])
    shares = np.exp(scores - scores.max(0))
    shares /= shares.sum(0)
    read = [sum(a * m for a, m in zip(shares[:, k], messages, strict=True)) for k in range(shares.shape[1])]
    read.append(sum(messages) / len(messages))
    spread = np.sqrt(w["readout.0.variance"] + 1e-10)
    read_out = (np.concatenate(read) - w["readout.0.mean"]) / spread
    read_out = read_out * w["readout.0.scale"] + w["readout.0.shift"]
    hidden = np.maximum(w["readout.1.weight"] @ read_out + w["readout.1.bias"], 0.0)
    return float((w["readout.4.weight"] @ hidden + w["readout.4.bias"])[0]), shares


@pytest.mark.parametrize(("n", "side", "reach"), [(20, 4.5, 1.3), (3, 1.6, 1.75)])
def test_it_computes_its_equations(n: int, side: float, reach: float) -> None:
    """Also in a box so small that two particles share several bonds, and one is bound to its own images."""
    boxes = [box(seed, n, side) for seed in range(2)]
    if n == 3:
        pairs = [bond[:2] for bond in bonds_of(boxes[0], reach)]
        assert len(set(pairs)) < len(pairs) and any(i == j for i, j in pairs)
    examples = examples_of(boxes, reach)
    net = network(examples)
    found = outputs(net, examples)
    batch = as_batch(examples)
    assert batch.graph is not None
    attention = net.attention(batch.graph).detach().numpy()
    for number, there in enumerate(boxes):
        expected, shares = slow_output(net, there, reach)
        assert found[number] == pytest.approx(expected, abs=2e-6)
        part = slice(examples.edge_starts[number], examples.edge_starts[number + 1])  # type: ignore[index]
        # bonds stand sorted by the centre, which messages flow to
        np.testing.assert_allclose(attention[part], shares, atol=1e-6)


def test_the_fused_exchange_and_its_slopes_equal_plain_torch() -> None:
    """Double precision takes the plain way."""
    batch = as_batch(examples_of([box(0), box(1, 7)]))
    assert batch.graph is not None
    torch.manual_seed(0)
    sent, first = torch.randn(2, len(batch.graph.reverse), 5, dtype=torch.float64)
    first = first + 2.0
    upstream = torch.randn_like(sent)
    found = []
    for dtype in (torch.float64, torch.float32):
        inputs = [t.detach().to(dtype).requires_grad_() for t in (sent, first)]
        out = exchange(*inputs, batch.graph)
        found.append((out, *torch.autograd.grad(out, inputs, upstream.to(dtype))))
    assert 0.1 < float((found[0][0] > 0).double().mean()) < 0.99, "the rectifier is not tested"
    for plain, fused in zip(*found, strict=True):
        torch.testing.assert_close(fused.double(), plain, rtol=1e-5, atol=1e-5)


def test_every_parameter_learns() -> None:
    examples = examples_of([box(seed) for seed in range(4)])
    net = network(examples).train()
    batch = as_batch(examples)
    net(batch.features, batch.graph).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name


# ---------------------------------------------------------------- symmetries


def turned(there: Box, matrix: NDArray[Any]) -> Box:
    return Box(there.places @ matrix.T, there.cell @ matrix.T, there.kinds)


def permuted(there: Box) -> Box:
    order = np.random.default_rng(5).permutation(len(there.places))
    return Box(there.places[order], there.cell, there.kinds[order])


ANGLE = 0.7
SAME = {
    "permuted": permuted,
    "rotated": lambda there: turned(
        there, np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
    ),
    "reflected": lambda there: turned(there, np.diag([-1.0, 1.0])),
    "translated": lambda there: there._replace(places=there.places + np.array([0.37, -1.21])),
    "wrapped": lambda there: there._replace(
        places=there.places + np.random.default_rng(3).integers(-1, 2, there.places.shape) @ there.cell
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_the_same_configuration_has_the_same_output(name: str) -> None:
    boxes = [box(seed) for seed in range(3)]
    examples = examples_of(boxes)
    net = network(examples)
    before = outputs(net, examples)
    assert np.ptp(before) > 1e-3, "the samples do not differ"
    close(before, outputs(net, examples_of([SAME[name](there) for there in boxes])))


def test_kinds_and_distances_matter() -> None:
    there = box(0)
    examples = examples_of([there])
    net = network(examples)
    before = outputs(net, examples)
    swapped = there._replace(kinds=1 - there.kinds)
    assert abs(outputs(net, examples_of([swapped])) - before) > 1e-4
    grown = Box(there.places * 1.05, there.cell * 1.05, there.kinds)
    same_bonds = examples_of([grown], 1.3 * 1.05)
    np.testing.assert_array_equal(same_bonds.edges, examples.edges)
    assert abs(outputs(net, same_bonds) - before) > 1e-4


def test_batch_mates_and_their_order_change_no_prediction() -> None:
    examples = examples_of([box(seed, 12 + seed) for seed in range(6)])
    net = network(examples)
    together = outputs(net, examples)
    alone = np.concatenate([outputs(net, examples.select([i])) for i in range(6)])
    close(alone, together)
    order = [4, 0, 5, 2, 1, 3]
    close(together[order], outputs(net, examples.select(order)))


# ---------------------------------------------------------------- attention


@pytest.fixture(scope="module")
def fitted() -> NetworkModel:
    part = MessagePassing(hidden=12, depth=2, heads=3, epochs=4, batch=8, learning_rate=0.01, dropout=0.2)
    examples = whole_graph_examples()
    return part.build("binary", 0).fit(
        examples.select(range(40)), examples.select(range(40, 50)), lambda f: None
    )


def test_attention_sums_to_one_within_each_graph_and_head(fitted: NetworkModel) -> None:
    test = whole_graph_examples().select(range(50, 72))
    assert isinstance(fitted, Attends)
    attention = fitted.attention(test)
    assert test.edges is not None and test.edge_starts is not None
    assert attention.shape == (test.edges.shape[1], 3) and attention.dtype == np.float64
    assert attention.min() >= 0
    sums = np.add.reduceat(attention, test.edge_starts[:-1])
    np.testing.assert_allclose(sums, 1.0, atol=1e-5)
    assert np.ptp(attention[: test.edge_starts[1]]) > 0, "an even share is no attention"


def test_attention_of_a_sample_does_not_depend_on_others(fitted: NetworkModel) -> None:
    test = whole_graph_examples().select(range(50, 56))
    assert test.edge_starts is not None and isinstance(fitted, AttendingModel)
    part = slice(test.edge_starts[2], test.edge_starts[3])
    close(fitted.attention(test.select([2])), fitted.attention(test)[part])


def test_a_saved_model_attends_the_same(fitted: NetworkModel, tmp_path: Path) -> None:
    test = whole_graph_examples().select(range(50, 56))
    fitted.save(tmp_path)
    again = MessagePassing(hidden=12, depth=2, heads=3).build("binary", 0).load(tmp_path)
    assert isinstance(fitted, AttendingModel) and isinstance(again, AttendingModel)
    np.testing.assert_array_equal(again.attention(test), fitted.attention(test))
    with pytest.raises(DataError, match="not"):
        MessagePassing(hidden=13, depth=2, heads=3).build("binary", 0).load(tmp_path)


def test_other_networks_have_no_attention() -> None:
    assert not isinstance(GraphAttention().build("binary", 0), Attends)


# ---------------------------------------------------------------- batches and bonds


def test_a_batch_moves_to_a_device_field_by_field() -> None:
    moved = move_data_to_device(as_batch(whole_graph_examples(n_samples=2)), torch.device("meta"))
    tensors = [field for field in moved.graph if isinstance(field, torch.Tensor)]
    assert len(tensors) == 7 and all(tensor.device.type == "meta" for tensor in tensors)
    assert sum(moved.graph.edge_counts) == moved.graph.edges.shape[1]


def test_batches_of_a_set_are_those_of_its_samples() -> None:
    """The reverses, found once for the set, and all other fields."""
    examples = whole_graph_examples(n_samples=10)
    batches = Batches(examples, 4, 7)
    names = 0
    for number in range(len(batches)):
        graph = batches[number].graph
        assert graph is not None
        chosen = batches._order[number * 4 : (number + 1) * 4]
        fresh = as_batch(examples.select(chosen)).graph
        assert fresh is not None
        for one, other in zip(graph, fresh, strict=True):
            if isinstance(one, torch.Tensor):
                assert torch.equal(one, other)
                names += 1
        assert torch.equal(graph.edges[:, graph.reverse], graph.edges.flip(0))
        assert torch.equal(graph.owner[graph.edges[1]], graph.edge_owner)
        assert (graph.edges[1][graph.starts[3] : graph.starts[4]] == 3).all()
    assert names == 7 * 3


def test_bonds_that_are_wrong_are_named() -> None:
    examples = whole_graph_examples(n_samples=3)
    edges, vectors = examples.edges, examples.edge_vectors
    assert edges is not None and vectors is not None and examples.edge_starts is not None
    order = np.arange(edges.shape[1])
    order[[-1, -2]] = order[[-2, -1]]
    with pytest.raises(DataError, match=r"w2: the edges .* sorted"):
        reverse_edges(replace(examples, edges=edges[:, order]))
    lacking = np.delete(np.arange(edges.shape[1]), examples.edge_starts[1])
    bounds = examples.edge_starts - (np.arange(4) > 1)
    with pytest.raises(DataError, match=r"w1: a bond .* no reverse"):
        reverse_edges(
            replace(examples, edges=edges[:, lacking], edge_starts=bounds, edge_vectors=vectors[lacking])
        )
    small = examples_of([box(0, 3, 1.6)], 1.75)
    assert small.edge_vectors is not None
    with pytest.raises(DataError, match="s0: nodes that share several bonds"):
        reverse_edges(replace(small, edge_vectors=np.abs(small.edge_vectors)))
    with pytest.raises(DataError, match="with their vectors"):
        as_batch(replace(examples, edge_vectors=None))


def test_a_graph_without_bonds_has_an_output() -> None:
    lonely = Box(np.zeros((1, 2)), np.eye(2) * 9, np.zeros(1, int))
    examples = examples_of([box(0), lonely, box(1)])
    net = network(examples)
    found = outputs(net, examples)
    assert np.isfinite(found).all()
    close(found[[0, 2]], outputs(net, examples.select([0, 2])))


# ---------------------------------------------------------------- what fits


def test_numbers_of_the_sample_join_the_readout(tmp_path: Path) -> None:
    """The target is a feature, which the graph does not show."""
    examples = whole_graph_examples(n_samples=60)
    density = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
    examples = replace(
        examples, features=density, feature_labels=("density",), target=(density[:, 0] > 0).astype(np.float32)
    )
    part = MessagePassing(hidden=8, depth=1, heads=1, epochs=25, batch=8, learning_rate=0.02)
    model = part.build("binary", 0).fit(examples.select(range(45)), None, lambda f: None)
    test = examples.select(range(45, 60))
    assert ((model.predict(test) > 0.5) == (test.target > 0.5)).mean() > 0.8  # type: ignore[operator]
    with pytest.raises(DataError, match="1 features, 2 node features; these examples have 0 features"):
        model.predict(replace(test, features=np.zeros((15, 0), np.float32), feature_labels=()))


def test_examples_of_another_kind_are_refused_in_words(fitted: NetworkModel) -> None:
    with pytest.raises(
        DataError, match=r"mpnn network takes graphs of whole samples.*these examples are vectors"
    ):
        fitted.predict(vector_examples())
    test = whole_graph_examples(n_samples=3)
    assert test.nodes is not None
    with pytest.raises(
        DataError, match=r"trained on 0 features, 2 node features; these examples have .* 3 node"
    ):
        fitted.predict(replace(test, nodes=np.pad(test.nodes, ((0, 0), (0, 1)))))
    for part in (GraphAttention(), Perceptron()):
        with pytest.raises(DataError, match=f"{part.kind} network predicts from features of rows.*graphs"):
            part.build("binary", 0).fit(test, None, lambda f: None)


def test_published_settings_make_the_published_network() -> None:
    """Two heads of 870 beside the mean, with these weights: no bias but in the head."""
    part = MessagePassing(
        hidden=870, depth=3, heads=2, dropout=0.5, batch=5, schedule="warm-up", standardise=False
    )
    with torch.device("meta"):
        net = part.network(0, 2)
    count = sum(p.numel() for p in net.parameters())
    assert count == 870 * (2 + 16) + 2 * 870**2 + 2 * 870 + (3 * 870 + 1) * 870 + 871


@pytest.mark.slow
def test_two_processes_agree_with_one() -> None:
    """Whole graphs go to each process."""
    examples = whole_graph_examples(n_samples=24)
    part = MessagePassing(hidden=6, depth=1, heads=2, epochs=3, batch=5, learning_rate=0.01)
    one, two = (
        part.model_copy(update={"devices": devices})
        .build("binary", 0)
        .fit(examples.select(range(17)), examples.select(range(17, 24)), lambda fraction: None)
        for devices in (None, 2)
    )
    np.testing.assert_allclose(two.predict(examples), one.predict(examples), atol=1e-4)
    np.testing.assert_allclose(two.describe()["losses"], one.describe()["losses"], atol=1e-4)
