"""Networks on crystals: symmetries, the passes against plain operations, other weights at once, learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from torch import Tensor
from torch.func import functional_call, grad, jvp, vmap

from crystals import columns_of, crystals, samples_of
from study_cases import GLASS, TABLE
from vitrine.errors import DataError, StudyError
from vitrine.learn import resume
from vitrine.learn.batches import Batch, as_batch
from vitrine.learn.crystal import AttentiveCrystals, CrystalPart, GatedCrystals, LineGraphs
from vitrine.learn.networks import crystal as networks
from vitrine.learn.networks import line_graph
from vitrine.learn.networks.crystal import GatedNetwork
from vitrine.learn.networks.line_graph import angles_of
from vitrine.learn.networks.segments import share_out
from vitrine.learn.neural import Perceptron
from vitrine.learn.protocol import Attends, AttendsToSites
from vitrine.learn.whole import MessagePassing
from vitrine.physics.crystal_neighbours import crystal_neighbours
from vitrine.physics.element_features import KNOWN, element_features
from vitrine.physics.formulas import ALL_ELEMENTS
from vitrine.represent.crystal_graph import CrystalGraph
from vitrine.samples import Examples
from vitrine.simulate.emt_alloys import make_alloys
from vitrine.study.spec import load_study
from vitrine.study.yaml_reader import write_yaml
from vitrine.testing import vector_examples
from vitrine.testing.inputs import crystal_examples, whole_graph_examples
from vitrine.testing.symmetries import random_rotation

SIZES: dict[str, Any] = {"width": 16, "hidden": 16, "radial": 21}
PARTS: dict[str, CrystalPart] = {
    "gated": GatedCrystals(layers=2, **SIZES),
    "one-hot": GatedCrystals(layers=2, elements="one-hot", **SIZES),
    "attentive": AttentiveCrystals(layers=2, heads=4, **SIZES),
    "line graph": LineGraphs(layers=2, plain_layers=1, angle_neighbours=4, angular=8, **SIZES),
}


def graphs_of(crystals_: Sequence[Atoms]) -> Examples:
    """Graphs in double precision."""
    samples = samples_of(pd.DataFrame([columns_of(atoms) for atoms in crystals_]))
    made = CrystalGraph().build(samples, None)  # type: ignore[arg-type]
    found = [
        crystal_neighbours(atoms.cell.array, atoms.get_scaled_positions(wrap=False)) for atoms in crystals_
    ]
    assert made.node_starts is not None
    edges = [bonds.edges + start for bonds, start in zip(found, made.node_starts, strict=False)]
    return replace(
        made,
        edges=np.concatenate(edges, axis=1),
        edge_starts=np.cumsum([0, *(part.shape[1] for part in edges)]),
        edge_vectors=np.concatenate([bonds.vectors for bonds in found]),
    )


def network_of(part: CrystalPart, double: bool = True) -> Any:
    """Untrained, with kept means and spreads of a batch."""
    torch.manual_seed(0)
    network: Any = part.network(0)
    batch = as_batch(crystal_examples(n_samples=24))
    network.train()(batch.features, batch.graph)
    return network.eval().double() if double else network.eval()


def outputs(network: Any, crystals_: Sequence[Atoms]) -> Tensor:
    batch = as_batch(graphs_of(crystals_))
    with torch.no_grad():
        found: Tensor = network(batch.features, batch.graph)
    return found


# ---------------------------------------------------------------- symmetries


def changed(atoms: Atoms, how: str, seed: int) -> Atoms:
    random = np.random.default_rng(seed)
    other = atoms.copy()
    if how == "supercell":
        return make_supercell(atoms, [[1, 1, 0], [0, 2, 0], [0, 0, 1]])
    if how == "basis":
        return make_supercell(atoms, [[1, 2, 0], [0, 1, 0], [-1, 3, 1]])
    if how == "order":
        return atoms[random.permutation(len(atoms))]
    if how == "translation":
        other.positions += random.normal(0.0, 5.0, 3)
        return other
    turn = random_rotation(seed)
    if how == "reflection":
        turn = turn @ np.diag([1.0, 1.0, -1.0])
    other.set_cell(other.cell.array @ turn, scale_atoms=True)
    return other


@pytest.mark.parametrize("how", ["supercell", "basis", "order", "translation", "rotation", "reflection"])
@pytest.mark.parametrize("name", PARTS)
def test_symmetries(name: str, how: str) -> None:
    network = network_of(PARTS[name])
    wanted = outputs(network, crystals())
    assert wanted.std() > 1e-3
    found = outputs(network, [changed(atoms, how, seed) for seed, atoms in enumerate(crystals())])
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def test_angles_tell_crystals_apart_that_distances_do_not() -> None:
    """Two short and two long bonds in a square, equal ones opposite or beside each other."""
    square = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    lengths = np.array([2.5, 2.5, 3.0, 3.0])[:, None]
    directions = {"trans": lengths * square, "cis": lengths * square[[0, 2, 1, 3]]}
    made = graphs_of(crystals()[3:4])
    graphs = [
        replace(
            made,
            nodes=np.full((1, 1), 29.0, np.float32),
            node_starts=np.array([0, 1]),
            edges=np.zeros((2, 4), np.int64),
            edge_starts=np.array([0, 4]),
            edge_vectors=own,
        )
        for own in directions.values()
    ]
    for name, part in PARTS.items():
        network = network_of(part)
        batches = [as_batch(graph) for graph in graphs]
        one, other = (float(network(batch.features, batch.graph).detach()) for batch in batches)
        assert (abs(one - other) > 1e-6) == (name == "line graph"), name


@pytest.mark.parametrize("name", PARTS)
def test_volumes_of_an_element_differ(name: str) -> None:
    """All of its sites and bonds are equal, so that means over them say nothing."""
    network = network_of(PARTS[name])
    found = outputs(network, [bulk("Cu", "fcc", a=a) for a in (3.4, 3.6, 3.8)])
    assert found.diff().abs().min() > 1e-4


# ---------------------------------------------------------------- equations


def test_gated_convolution_bond_by_bond() -> None:
    network: GatedNetwork = network_of(PARTS["gated"])
    examples = graphs_of(crystals()[:2])
    graph: Any = as_batch(examples).graph
    w = {name: value.numpy() for name, value in network.state_dict().items()}

    def softplus(x: Any) -> Any:
        return np.log1p(np.exp(x))

    def norm(x: Any, name: str) -> Any:
        return (x - w[f"{name}.mean"]) / np.sqrt(w[f"{name}.variance"] + 1e-5) * w[f"{name}.scale"] + w[
            f"{name}.shift"
        ]

    x = (w["sites.table"] @ w["sites.layer.weight"].T + w["sites.layer.bias"])[graph.numbers]
    for layer in ("layers.0", "layers.1"):
        total = np.zeros_like(x)
        weight = np.concatenate([w[f"{layer}.{part}.weight"] for part in ("own", "theirs", "bond")], axis=1)
        for (j, i), vector in zip(graph.edges.T.tolist(), graph.vectors.numpy(), strict=True):
            gaussians = np.exp(-(((np.linalg.norm(vector) - w["radial.centres"]) / (8 / 20)) ** 2))
            a, b = np.split(norm(weight @ np.concatenate([x[i], x[j], gaussians]), f"{layer}.of_bonds"), 2)
            total[i] += softplus(b) / (1 + np.exp(-a))
        x = softplus(x + norm(total, f"{layer}.of_sites"))
    np.testing.assert_allclose(network.embedded(graph).detach().numpy(), x, atol=1e-12)


@pytest.mark.parametrize("name", PARTS)
def test_fast_passes_are_plain_operations(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = as_batch(crystal_examples(n_samples=30))
    found: list[list[Tensor]] = []
    for fast in (True, False):
        if not fast:
            for module in (networks, line_graph):
                monkeypatch.setattr(module, "fits", lambda *ignored: False)
        torch.manual_seed(0)
        network: Any = PARTS[name].network(0)
        for _ in range(2):  # the kept means have moved before the second
            network.train().zero_grad()
            out = network(batch.features, batch.graph)
            (out * torch.linspace(-1, 2, 30)).sum().backward()
        with torch.inference_mode():
            later = network.eval()(batch.features, batch.graph)
        slopes = [p.grad for p in network.parameters()]
        found.append([out.detach(), later, *slopes, *(b.double() for b in network.buffers())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-5)


def test_fast_passes_refuse_second_derivatives() -> None:
    batch = as_batch(crystal_examples(n_samples=8))
    network: Any = PARTS["gated"].network(0).train()
    slopes = torch.autograd.grad(
        network(batch.features, batch.graph).sum(), network.layers[0].own.weight, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slopes[0].sum().backward()


def test_angles_are_of_whole_shells() -> None:
    batch: Any = as_batch(graphs_of([crystals()[4], crystals()[0]])).graph  # fcc sites; a perovskite
    lengths = batch.vectors.norm(dim=1)
    first, second = angles_of(lengths, batch, 6)
    centre = batch.edges[1]
    assert (centre[first] == centre[second]).all() and (first != second).all()
    assert len({*zip(first.tolist(), second.tolist(), strict=True)}) == len(first)
    near = torch.bincount(first, minlength=len(centre)) > 0
    per_site = torch.bincount(centre[near], minlength=len(batch.numbers)).tolist()
    assert per_site[:4] == [12] * 4  # six would cut the shell
    assert per_site[4:] == [12, 6, 14, 14, 14]  # Ca: 12 O; Ti: 6 O; O: 2 Ti, then 8 O and 4 Ca
    assert len(first) == sum(n * (n - 1) for n in per_site)


# ---------------------------------------------------------------- other weights, slopes of slopes


def loss_of(network: Any, batch: Batch) -> Any:
    buffers = dict(network.named_buffers())

    def loss(weights: dict[str, Tensor]) -> Tensor:
        out: Tensor = functional_call(network, (weights, buffers), (batch.features, batch.graph))
        return (out - torch.arange(len(out))).square().mean()

    return loss


@pytest.mark.parametrize("name", PARTS)
def test_many_weights_at_once_and_products_with_the_hessian(name: str) -> None:
    network = network_of(PARTS[name])
    loss = loss_of(network, as_batch(crystal_examples(n_samples=8)))
    weights = {key: value.detach() for key, value in network.named_parameters()}
    random = torch.Generator().manual_seed(1)
    along = {k: torch.randn(v.shape, generator=random, dtype=v.dtype) for k, v in weights.items()}

    def moved(step: float) -> dict[str, Tensor]:
        return {k: weights[k] + step * along[k] for k in weights}

    steps = (0.0, 0.01, -0.02)
    stacked = {k: torch.stack([moved(step)[k] for step in steps]) for k in weights}
    alone = torch.stack([loss(moved(step)) for step in steps])
    torch.testing.assert_close(vmap(loss)(stacked), alone, rtol=1e-12, atol=1e-12)

    product = jvp(grad(loss), (weights,), (along,))[1]
    ahead, behind = grad(loss)(moved(1e-5)), grad(loss)(moved(-1e-5))
    leaves = {k: v.clone().requires_grad_() for k, v in weights.items()}
    slopes = torch.autograd.grad(loss(leaves), list(leaves.values()), create_graph=True)
    twice = torch.autograd.grad(slopes, list(leaves.values()), list(along.values()))
    largest = max(float(value.abs().max()) for value in product.values())
    for key, again in zip(weights, twice, strict=True):
        torch.testing.assert_close(again, product[key], rtol=0, atol=1e-10 * largest)
        by_hand = (ahead[key] - behind[key]) / 2e-5
        torch.testing.assert_close(by_hand, product[key], rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize("name", PARTS)
def test_bfloat16(name: str) -> None:
    batch = as_batch(crystal_examples(n_samples=16))
    for train in (True, False):
        torch.manual_seed(0)
        network: Any = network_of(PARTS[name], double=False).train(train)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(batch.features, batch.graph)
        rounded.sum().backward()
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded, network(batch.features, batch.graph), rtol=0.1, atol=0.05)


# ---------------------------------------------------------------- attention


def test_attention_sums_to_one() -> None:
    examples = crystal_examples(n_samples=20)
    part = AttentiveCrystals(layers=2, heads=2, epochs=1, **SIZES)
    model: Any = part.build("binary", 0).fit(examples, None, lambda fraction: None)
    assert isinstance(model, Attends) and isinstance(model, AttendsToSites)
    bonds, sites = model.attention(examples), model.site_attention(examples)
    assert examples.edges is not None and examples.nodes is not None and examples.node_starts is not None
    assert bonds.shape == (examples.edges.shape[1], 2) and sites.shape == (len(examples.nodes), 2)
    for head in range(2):
        at_centres = np.bincount(examples.edges[0], bonds[:, head])
        np.testing.assert_allclose(at_centres, 1.0, atol=1e-6)
        owner = np.repeat(np.arange(len(examples)), np.diff(examples.node_starts))
        np.testing.assert_allclose(np.bincount(owner, sites[:, head]), 1.0, atol=1e-6)
    assert bonds.std() > 1e-4


def test_shares_of_parts_without_rows() -> None:
    scores = torch.randn(5, 2, dtype=torch.float64)
    found = share_out(scores, torch.tensor([0, 0, 2, 2, 5]))
    wanted = torch.cat([scores[:2].softmax(0), scores[2:].softmax(0)])
    torch.testing.assert_close(found, wanted)
    assert share_out(scores[:0], torch.tensor([0, 0])).shape == (0, 2)


# ---------------------------------------------------------------- what goes in


def test_other_examples_are_refused() -> None:
    for part in PARTS.values():
        for examples in (vector_examples(), whole_graph_examples()):
            with pytest.raises(DataError, match="takes graphs of crystals"):
                part.build("binary", 0).fit(examples, None, lambda fraction: None)
    for other in (Perceptron(), MessagePassing(epochs=1)):
        with pytest.raises(DataError):
            other.build("binary", 0).fit(crystal_examples(), None, lambda fraction: None)


def test_unknown_elements_are_said() -> None:
    examples = crystal_examples()
    assert examples.nodes is not None
    heavy = replace(examples, nodes=np.full_like(examples.nodes, 115.0))
    with pytest.raises(DataError, match="knows no properties of the element of atomic number 115"):
        PARTS["gated"].inputs_of(heavy)
    assert PARTS["one-hot"].inputs_of(heavy) == {"n_features": 0}
    with pytest.raises(DataError, match="atomic numbers"):
        PARTS["one-hot"].inputs_of(replace(heavy, nodes=heavy.nodes * 2))


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="no multiple of 3 heads"):
        AttentiveCrystals(width=64, heads=3)


@pytest.mark.parametrize(
    ("representation", "model", "said"),
    [
        ("magpie", "cgcnn", "takes crystals, but representation 'magpie' makes vectors"),
        ("crystal-graph", "ridge", "fitting models: .*cgcnn, cgcnn-attention, line-graph"),
    ],
)
def test_joints(representation: str, model: str, said: str, tmp_path: Path) -> None:
    spec = {**GLASS, **TABLE, "scales": {"smoke": None}, "models": {"m": {"kind": model}}}
    path = tmp_path / "study.yaml"
    path.write_text(write_yaml({**spec, "representation": {"kind": representation}}), encoding="utf-8")
    with pytest.raises(StudyError, match=said):
        load_study(path, "smoke")


def test_element_features_tell_elements_apart() -> None:
    table = element_features()
    assert np.isfinite(table).all() and not table[0].any() and not table[KNOWN + 1 :].any()
    known = table[1 : KNOWN + 1]
    apart = np.linalg.norm(known[:, None] - known[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 0.1

    def nearest(symbol: str) -> str:
        return ALL_ELEMENTS[int(apart[ALL_ELEMENTS.index(symbol)].argmin())]

    assert (
        nearest("Fe") in {"Mn", "Co", "Ru"}
        and nearest("O") in {"N", "F", "S"}
        and nearest("K") in {"Rb", "Na"}
    )


# ---------------------------------------------------------------- training


@cache
def alloys() -> Examples:
    made = make_alloys(random_cells=400, relaxed=False)
    graphs = CrystalGraph().build(samples_of(pd.DataFrame([columns_of(a) for a in made])), None)  # type: ignore[arg-type]
    target = np.array([atoms.info["e_form"] for atoms in made], np.float32)
    return replace(graphs, target=target, target_kind="value")


@pytest.mark.parametrize("name", ["gated", "attentive", "line graph"])
def test_it_learns_energies_of_alloys(name: str) -> None:
    examples = alloys()
    order = np.random.default_rng(0).permutation(len(examples))
    train, test = examples.select(order[:400]), examples.select(order[400:])
    faster = (
        {"batch": 8, "learning_rate": 0.003} if name == "line graph" else {"batch": 16, "learning_rate": 0.01}
    )
    part = PARTS[name].model_copy(update={"epochs": 16, **faster})
    model = part.build("value", 0).fit(train, None, lambda fraction: None)
    assert train.target is not None and test.target is not None
    error = np.abs(model.predict(test) - test.target).mean()
    assert error < 0.75 * np.abs(np.median(train.target) - test.target).mean()


class Stopped(Exception):
    """In place of a kill."""


@pytest.mark.parametrize("name", ["gated", "line graph"])
def test_a_stopped_fit_goes_on_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    part = PARTS[name].model_copy(update={"epochs": 4, "batch": 8})
    examples = crystal_examples(n_samples=30)
    train, validation = examples.select(range(20)), examples.select(range(20, 30))

    def stop(fraction: float) -> None:
        if fraction == 0.5:
            raise Stopped

    wanted: Any = part.build("binary", 0).fit(train, validation, lambda fraction: None)
    broken: Any = part.build("binary", 0)
    broken.resume_in(tmp_path)
    with pytest.raises(Stopped):
        broken.fit(train, validation, stop)
    found: Any = part.build("binary", 0)
    found.resume_in(tmp_path)
    found.fit(train, validation, lambda fraction: None)
    assert found.describe()["resumed_at"] == 2
    for key, value in wanted.network.state_dict().items():
        assert torch.equal(value, found.network.state_dict()[key]), key
