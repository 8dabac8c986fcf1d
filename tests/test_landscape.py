"""The loss landscape: against closed forms, against gudhi, and without a trace on what is probed."""

from __future__ import annotations

import copy
import json
import os
import random
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from vitrine.errors import DataError, InputError
from vitrine.explain.landscape import Curve, Direction, Plane, Probe, Surface, geometry, merge_tree
from vitrine.explain.landscape.evaluator import Evaluator
from vitrine.explain.landscape.first_layer import FirstLayers


def rows(n: int = 40, inputs: int = 5, seed: int = 0, dtype: torch.dtype = torch.float32) -> TensorDataset:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, inputs, generator=draw, dtype=dtype)
    return TensorDataset(x, torch.sin(x.sum(dim=1, keepdim=True)))


def dense(inputs: int = 5, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))


def plain_loss(network: nn.Module, data: TensorDataset, vector: Any = None) -> float:
    """Without any of the package's code: a double copy, all rows at once."""
    told = copy.deepcopy(network).double().eval()
    if vector is not None:
        nn.utils.vector_to_parameters(torch.as_tensor(vector), told.parameters())
    x, y = data.tensors
    with torch.no_grad():
        return float(((told(x.double()) - y.double()) ** 2).mean())


class Quadratic(nn.Module):
    """1/2 w A w + b w, whatever the batch."""

    def __init__(self, a: Any, b: Any) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 1, len(b), dtype=torch.float64))
        self.register_buffer("a", torch.as_tensor(a))
        self.register_buffer("b", torch.as_tensor(b))

    def forward(self, x: Tensor) -> Tensor:
        value = 0.5 * self.w @ self.a @ self.w + self.b @ self.w
        return value + 0.0 * x.sum()


def quadratic(n: int = 12, seed: int = 3) -> tuple[Probe, Any, Any]:
    draw = np.random.default_rng(seed)
    half = draw.normal(size=(n, n))
    a, b = half + half.T, draw.normal(size=n)
    batches = [(torch.zeros(1), torch.zeros(1)), (torch.zeros(1), torch.zeros(3))]
    probe = Probe(Quadratic(a, b), {"all": batches}, loss=lambda out, target: out)
    return probe, a, b


# --- oracles ----------------------------------------------------------------------------------------------


def test_a_quadratic_has_its_eigenvalues_and_its_exact_trace() -> None:
    probe, a, _ = quadratic()
    found = probe.curvature(top=3, bottom=2, seeds="basis")
    values = np.linalg.eigvalsh(a)
    assert found.top == pytest.approx(values[::-1][:3], abs=1e-8)
    assert found.bottom == pytest.approx(values[:2], abs=1e-8)
    assert found.trace == pytest.approx(np.trace(a), abs=1e-8)
    assert found.trace_error == 0 and found.converged and found.parameters == 12
    assert max(found.top_residual.max(), found.bottom_residual.max()) < 1e-8
    assert json.loads(json.dumps(found.to_plain()))["top"][0] == found.top[0]


def test_hutchinson_is_within_its_error_and_exact_for_a_diagonal() -> None:
    probe, a, _ = quadratic()
    found = probe.curvature(top=1, bottom=0, seeds=range(200))
    expected = np.sqrt(2 * (np.sum(a**2) - np.sum(np.diag(a) ** 2)) / 200)
    assert abs(found.trace - np.trace(a)) < 4 * expected
    assert found.trace_error == pytest.approx(expected, rel=0.3)
    diagonal = Probe(
        Quadratic(np.diag(np.arange(1.0, 6)), np.zeros(5)), [(torch.zeros(1), torch.zeros(1))], lambda o, t: o
    )
    exact = diagonal.curvature(seeds=[7])
    assert exact.trace == pytest.approx(15, abs=1e-12) and np.isnan(exact.trace_error)


def test_lanczos_finds_equal_eigenvalues_and_says_where_it_is_not_done() -> None:
    a = np.diag([4.0, 4.0, 1.0, -2.0, -2.0])
    probe = Probe(Quadratic(a, np.zeros(5)), [(torch.zeros(1), torch.zeros(1))], lambda out, _: out)
    found = probe.curvature(top=2, bottom=2)
    assert found.top == pytest.approx([4, 4], abs=1e-10) and found.bottom == pytest.approx(
        [-2, -2], abs=1e-10
    )
    large, b, _ = quadratic(60)
    short = large.curvature(top=2, bottom=1, steps=6)
    assert not short.converged and short.steps == 6
    values = np.linalg.eigvalsh(b)
    for value, residual in zip(short.top, short.top_residual, strict=True):
        assert np.abs(values - value).min() <= residual * (1 + 1e-9)
    assert large.curvature(steps=59, tolerance=1e-6).top == pytest.approx(values[::-1][:2], rel=1e-6)


def test_the_surface_of_a_quadratic_and_the_plane_of_its_eigenvectors() -> None:
    probe, a, b = quadratic()
    w = probe.weights
    plane = probe.plane("hessian")
    values, vectors = np.linalg.eigh(a)
    for direction, number in ((plane.first, -1), (plane.second, -2)):
        assert abs(direction.vector @ vectors[:, number]) == pytest.approx(np.linalg.norm(w), rel=1e-8)
    assert abs(plane.cosine) < 1e-10
    for batched in (True, False):
        surface = probe.surface(plane, reach=0.7, points=7, batched=batched)
        assert surface.batched == batched
        for i, s in enumerate(surface.axes[0]):
            for j, t in enumerate(surface.axes[1]):
                v = w + s * plane.first.vector + t * plane.second.vector
                assert surface.losses["all"][i, j] == pytest.approx(0.5 * v @ a @ v + b @ v, abs=1e-8)
        # along an eigenvector the second difference is its eigenvalue times the squared step
        middle, step = surface.losses["all"][:, 3], surface.axes[0][1] - surface.axes[0][0]
        scale = (step * np.linalg.norm(w)) ** 2
        assert np.diff(middle, 2) / scale == pytest.approx(np.full(5, values[-1]), abs=1e-8)
        assert surface.numbers("all")["relative_roughness"] < 1e-9


@pytest.mark.parametrize("batched", [True, False])
def test_a_linear_model_has_its_closed_form_for_unequal_batches(batched: bool) -> None:
    data = rows(37, dtype=torch.float64)
    x, y = (part.numpy() for part in data.tensors)
    network = nn.Linear(5, 1).double()
    probe = Probe(network, {"rows": DataLoader(data, 16)}, F.mse_loss)
    plane = probe.plane("gaussian", seed=4)
    surface = probe.surface(plane, reach=2.0, points=9, batched=batched)
    design = np.hstack([x, np.ones((37, 1))])
    w = np.concatenate([network.weight.detach().numpy().ravel(), network.bias.detach().numpy()])
    for i, s in enumerate(surface.axes[0]):
        for j, t in enumerate(surface.axes[1]):
            v = w + s * plane.first.vector + t * plane.second.vector
            told = np.mean((design @ v - y.ravel()) ** 2)
            assert surface.losses["rows"][i, j] == pytest.approx(told, abs=1e-8)
    hessian = 2 * design.T @ design / 37
    found = probe.curvature(seeds="basis")
    assert found.top == pytest.approx(np.linalg.eigvalsh(hessian)[::-1][:2], abs=1e-8)
    assert found.trace == pytest.approx(np.trace(hessian), abs=1e-8)


# --- the centre, losses, weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("kind", ["filter", "layer", "gaussian", "hessian"])
def test_the_centre_is_the_network_and_data_sets_share_directions(kind: Any, batched: bool) -> None:
    network, train, test = dense(), rows(), rows(33, seed=5)
    probe = Probe(network, {"train": DataLoader(train, 16), "test": DataLoader(test, 16)}, F.mse_loss)
    plane = probe.plane(kind, seed=1)
    surface = probe.surface(plane, reach=0.5, points=5, batched=batched)
    for name, data in (("train", train), ("test", test)):
        assert surface.axes[0][2] == 0 and surface.losses[name].shape == (5, 5)
        assert abs(surface.losses[name][2, 2] - probe.loss(name)) < 1e-12
        assert surface.centre[name] == pytest.approx(plain_loss(network, data), abs=1e-12)
        corner = probe.weights + 0.5 * plane.first.vector - 0.25 * plane.second.vector
        assert surface.losses[name][4, 1] == pytest.approx(plain_loss(network, data, corner), abs=1e-12)


def test_single_precision_has_its_own_exact_centre() -> None:
    probe = Probe(dense(), DataLoader(rows(), 16), F.mse_loss)
    for batched in (True, False):
        surface = probe.surface(probe.plane("filter"), points=5, dtype=torch.float32, batched=batched)
        double = probe.surface(probe.plane("filter"), points=5)
        assert surface.facts.dtype == "float32" and double.facts.dtype == "float64"
        assert surface.losses["data"][2, 2] == pytest.approx(surface.centre["data"], rel=1e-7)
        assert surface.losses["data"] == pytest.approx(double.losses["data"], rel=1e-4)
        assert np.abs(surface.losses["data"] - double.losses["data"]).max() > 1e-12


LOSSES = {
    "mean": F.mse_loss,
    "module": nn.MSELoss(),
    "sum": nn.MSELoss(reduction="sum"),
    "none": nn.MSELoss(reduction="none"),
    "partial": partial(F.mse_loss, reduction="sum"),
    "own": lambda out, target: (out - target) ** 2,
}


@pytest.mark.parametrize("name", LOSSES)
def test_means_over_all_targets_whatever_the_reduction(name: str) -> None:
    network, data = dense(), rows(37)
    probe = Probe(network, DataLoader(data, 16), LOSSES[name])
    assert probe.loss() == pytest.approx(plain_loss(network, data), abs=1e-12)


def test_a_sum_that_does_not_say_so_and_counts() -> None:
    network, data = dense(), rows(37)
    told = Probe(network, DataLoader(data, 16), lambda o, t: ((o - t) ** 2).sum(), reduction="sum")
    assert told.loss() == pytest.approx(plain_loss(network, data), abs=1e-12)
    counted = Probe(
        network,
        DataLoader(data, 16),
        batch_loss=lambda net, batch: ((net(batch[0]) - batch[1]) ** 2).mean(),
        count=lambda batch: len(batch[0]),
    )
    assert counted.loss() == pytest.approx(plain_loss(network, data), abs=1e-12)


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_cross_entropy_with_weights_and_classes_left_out(weight: Tensor | None) -> None:
    network = nn.Linear(4, 3)
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(23, 4, generator=draw), torch.randint(0, 3, (23,), generator=draw)
    y[[2, 3, 20, 21, 22]] = -100  # the last batch has no target at all
    loss = nn.CrossEntropyLoss(weight)
    probe = Probe(network, DataLoader(TensorDataset(x, y), 10), loss)
    whole = nn.CrossEntropyLoss(None if weight is None else weight.double())
    assert probe.loss() == pytest.approx(float(whole(network(x).detach().double(), y)), rel=1e-6)
    odds = torch.softmax(torch.randn(23, 3, generator=draw), dim=1)
    soft = Probe(network, DataLoader(TensorDataset(x, odds), 10), nn.CrossEntropyLoss(reduction="sum"))
    assert soft.loss() == pytest.approx(float(F.cross_entropy(network(x).detach(), odds)), rel=1e-6)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.frozen = nn.Linear(3, 1)
        self.frozen.requires_grad_(False)
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(self.b(torch.relu(self.a(x))) + self.shift)


@pytest.mark.parametrize("batched", [True, False])
def test_tied_weights_move_once_and_frozen_ones_and_buffers_stay(batched: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, data = Tied(), rows(20, 3)
    probe = Probe(network, DataLoader(data, 20), F.mse_loss)
    assert len(probe.weights) == 9
    direction = probe.direction("gaussian", seed=2)
    curve = probe.curve(direction, reach=1.0, points=3, batched=batched)
    assert curve.batched == batched, curve.notes
    moved = copy.deepcopy(network)
    with torch.no_grad():
        moved.a.weight += torch.from_numpy(direction.vector).reshape(3, 3)
    assert moved.b.weight is moved.a.weight
    assert curve.losses["data"][2] == pytest.approx(plain_loss(moved, data), abs=1e-6)
    assert abs(curve.losses["data"][2] - curve.losses["data"][1]) > 1e-3


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.norm(self.first(x))))


@pytest.mark.parametrize("batched", [True, False])
def test_batch_norm_by_its_policy(batched: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, data = Normed().train(), rows(30)
    for _ in range(3):
        network(data.tensors[0])
    before = copy.deepcopy(network.state_dict())
    frozen = Probe(network, DataLoader(data, 30), F.mse_loss)
    batch = Probe(network, DataLoader(data, 30), F.mse_loss, batch_norm="batch")
    assert frozen.loss() == pytest.approx(plain_loss(network, data), abs=1e-12)
    told = copy.deepcopy(network).double().train()
    x, y = (part.double() for part in data.tensors)
    assert batch.loss() == pytest.approx(float(F.mse_loss(told(x).detach(), y)), abs=1e-10)
    # the scale of what a batch normalisation sees does not matter to batch statistics
    vector = np.zeros(len(batch.weights))
    vector[:36] = batch.weights[:36]
    scale = Direction(vector, "scale")
    curves = [probe.curve(scale, reach=0.5, points=5, batched=batched) for probe in (batch, frozen)]
    assert all(curve.batched == batched for curve in curves), [curve.notes for curve in curves]
    flat, steep = (np.ptp(curve.losses["data"]) for curve in curves)
    assert flat < 2e-3 * steep, "all that is left is eps"
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    with pytest.raises(InputError, match="frozen or batch"):
        Probe(network, DataLoader(data, 30), F.mse_loss, batch_norm="running")  # type: ignore[arg-type]


def test_nothing_that_is_probed_changes() -> None:
    network = Normed().train()
    network.norm.eval()
    network.last.bias.requires_grad_(False)
    data = rows(20)
    F.mse_loss(network(data.tensors[0]), data.tensors[1]).backward()
    shuffle = torch.Generator().manual_seed(9)

    def draws(pairs: Any) -> tuple[Tensor, Tensor]:
        x, y = torch.utils.data.default_collate(pairs)
        return x + random.random() + np.random.rand() + torch.rand(()), y  # noqa: NPY002

    loader = DataLoader(data, 8, shuffle=True, generator=shuffle, collate_fn=draws)
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    state = {name: value.clone() for name, value in network.state_dict().items()}
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}
    flags = [layer.training for layer in network.modules()]
    ids = {name: (id(p), p.data_ptr(), p.requires_grad) for name, p in network.named_parameters()}
    drawn = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), shuffle.get_state())  # noqa: NPY002
    default = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()

    probe = Probe(network, {"train": loader}, F.mse_loss)
    for batched in (True, False):
        probe.surface(probe.plane("filter"), points=3, batched=batched)
    probe.curve(probe.direction("hessian"), points=3, dtype=torch.float32)
    probe.curvature(seeds=[0])
    Probe(network, {"train": loader}, F.mse_loss, batch_norm="batch").curves("layer", [0, 1], points=3)

    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    for name, p in network.named_parameters():
        assert ids[name] == (id(p), p.data_ptr(), p.requires_grad)
        old = grads[name]
        assert (p.grad is None) if old is None else torch.equal(old, p.grad)
    assert flags == [layer.training for layer in network.modules()]
    assert torch.equal(drawn[0], torch.get_rng_state()) and torch.equal(drawn[3], shuffle.get_state())
    assert np.array_equal(drawn[1], np.random.get_state()[1]) and drawn[2] == random.getstate()  # noqa: NPY002
    assert default == (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads())


def test_later_training_and_a_surrounding_autocast_do_not_reach_the_probe() -> None:
    network, data = dense(), rows()
    probe = Probe(network, DataLoader(data, 16), F.mse_loss)
    before = probe.curve(probe.direction("layer"), points=3).losses["data"]
    with torch.no_grad():
        network[0].weight.zero_()
    data.tensors[0].zero_()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        after = probe.curve(probe.direction("layer"), points=3, batched=False).losses["data"]
        other = Probe(dense(), DataLoader(rows(), 16), F.mse_loss)
    assert other.curvature(seeds=[0]).converged, "what was made in inference mode works outside"
    assert after == pytest.approx(before, abs=1e-14) and other.loss() == pytest.approx(
        probe.loss(), abs=1e-14
    )


# --- speed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batched", [True, False])
def test_first_layers_share_their_products_and_nothing_else_changes(
    batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.skip, self.two = nn.Linear(20, 6), nn.Linear(20, 6, bias=False), nn.Linear(6, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(torch.tanh(self.one(x)) + self.skip(x))

    shared: list[bool] = []
    whole = FirstLayers._told

    def told(self: FirstLayers, *args: Any) -> Tensor | None:
        found = whole(self, *args)
        shared.append(found is not None)
        return found

    monkeypatch.setattr(FirstLayers, "_told", told)
    network, data, other = Two(), rows(37, 20), rows(11, 20, seed=1)
    probe = Probe(network, {"a": DataLoader(data, 16), "b": DataLoader(other, 16)}, F.mse_loss)
    plane = probe.plane("layer", seed=1)
    surface = probe.surface(plane, reach=0.5, points=5, batched=batched)
    assert surface.batched == batched and shared and all(shared)
    for name, part in (("a", data), ("b", other)):
        assert abs(surface.losses[name][2, 2] - probe.loss(name)) < 1e-12
        for i, j in ((0, 0), (0, 4), (1, 3), (4, 2)):
            steps = surface.axes[0][i], surface.axes[1][j]
            at = probe.weights + steps[0] * plane.first.vector + steps[1] * plane.second.vector
            assert surface.losses[name][i, j] == pytest.approx(plain_loss(network, part, at), abs=1e-12)
    # little room: some layers make their products at each point, to the same losses
    shared.clear()
    share = Evaluator.shared
    monkeypatch.setattr(Evaluator, "shared", lambda self, names, found, _: share(self, names, found, 8e3))
    again = probe.surface(plane, reach=0.5, points=5, batched=batched)
    assert any(shared) and not all(shared)
    assert again.losses["a"] == pytest.approx(surface.losses["a"], abs=1e-12)


def test_memory_bounds_how_many_points_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = Evaluator.many

    def many(self: Evaluator, name: str, vectors: Tensor, *args: Any) -> Any:
        sizes.append(len(vectors))
        return whole(self, name, vectors, *args)

    monkeypatch.setattr(Evaluator, "many", many)
    probe = Probe(dense(), DataLoader(rows(), 40), F.mse_loss, memory=60_000)
    each = probe._evaluator().bytes_per_point(["data"])
    first = probe.surface(probe.plane("filter"), points=9)
    assert max(sizes) == 60_000 // each >= 2 and first.batched
    none = Probe(dense(), DataLoader(rows(), 40), F.mse_loss, memory=each).surface(
        probe.plane("filter"), points=9
    )
    assert not none.batched and "more than memory= allows" in none.notes[0]
    assert none.losses["data"] == pytest.approx(first.losses["data"], abs=1e-12)


@pytest.mark.gpu
def test_a_surface_on_a_device() -> None:
    data = rows(37, 20)
    network = nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 1))
    here = Probe(network, DataLoader(data, 16), F.mse_loss)
    plane = here.plane("filter")
    there = Probe(network, DataLoader(data, 16), F.mse_loss, device="cuda")
    for batched in (True, False):
        found = there.surface(plane, points=5, batched=batched)
        assert found.batched == batched
        assert found.losses["data"] == pytest.approx(here.surface(plane, points=5).losses["data"], abs=1e-10)
    assert there.curvature(seeds=[0]).top == pytest.approx(here.curvature(seeds=[0]).top, rel=1e-6)
    assert next(network.parameters()).device.type == "cpu"


# --- directions -------------------------------------------------------------------------------------------


def parts_of(probe: Probe, vector: Any) -> list[Any]:
    sizes = [(8, 5), (8,), (1, 8), (1,)]
    ends = np.cumsum([int(np.prod(size)) for size in sizes])[:-1]
    return [part.reshape(size) for part, size in zip(np.split(vector, ends), sizes, strict=True)]


def test_norms_of_directions() -> None:
    probe = Probe(dense(), DataLoader(rows(), 40), F.mse_loss)
    weights = parts_of(probe, probe.weights)
    filters = parts_of(probe, probe.direction("filter", seed=3).vector)
    for w, d in zip(weights, filters, strict=True):
        if w.ndim == 1:
            assert not d.any()
        else:
            assert np.linalg.norm(d, axis=1) == pytest.approx(np.linalg.norm(w, axis=1))
    scaled = parts_of(probe, probe.direction("filter", seed=3, vectors="scaled").vector)
    assert np.linalg.norm(scaled[1]) == pytest.approx(np.linalg.norm(weights[1]))
    assert np.array_equal(scaled[0], filters[0])
    layers = parts_of(probe, probe.direction("layer", seed=3).vector)
    norms = [np.linalg.norm(w) for w in weights]
    assert [np.linalg.norm(d) for d in layers] == pytest.approx(norms)
    spread = np.linalg.norm(layers[0], axis=1) / np.linalg.norm(weights[0], axis=1)
    assert spread.std() > 0.1, "filters of a layer-normalised direction have norms of their own"
    assert probe.direction("gaussian").norm == pytest.approx(np.linalg.norm(probe.weights))


def test_directions_are_normal_seeded_and_orthogonal_as_told() -> None:
    probe = Probe(nn.Linear(2000, 3, bias=False), [(torch.zeros(2, 2000), torch.ones(2, 3))], F.mse_loss)
    drawn = probe.direction("gaussian", seed=1).vector
    assert abs(drawn.mean()) < 4 * drawn.std() / np.sqrt(len(drawn))  # not uniform on [0, 1)
    assert np.mean(drawn**4) / np.mean(drawn**2) ** 2 == pytest.approx(3, abs=0.3)
    assert np.array_equal(drawn, probe.direction("gaussian", seed=1).vector)
    assert not np.array_equal(drawn, probe.direction("gaussian", seed=2).vector)
    norms = np.linalg.norm(probe.weights.reshape(3, -1), axis=1)
    for kind, orthogonal, exact in (
        ("gaussian", None, True), ("layer", None, True), ("filter", None, False), ("filter", True, True),
    ):  # fmt: skip
        plane = probe.plane(kind, seed=1, orthogonal=orthogonal)  # type: ignore[arg-type]
        assert np.array_equal(plane.first.vector, probe.direction(kind, seed=1).vector)  # type: ignore[arg-type]
        assert (abs(plane.cosine) < 1e-12) == exact and abs(plane.cosine) < 0.1
        assert plane.second.norm == pytest.approx(np.linalg.norm(probe.weights))
        if kind == "filter":
            told = np.linalg.norm(plane.second.vector.reshape(3, -1), axis=1)
            assert told == pytest.approx(norms), "orthogonal or not, filters keep their norms"
        assert probe.surface(plane, points=3).facts.cosine == plane.cosine


def test_the_line_to_another_network() -> None:
    network, other, data = dense(seed=0), dense(seed=1), rows()
    probe = Probe(network, DataLoader(data, 16), F.mse_loss)
    curve = probe.curve(probe.line_to(other), reach=1.0, points=41)
    assert curve.losses["data"][-1] == pytest.approx(plain_loss(other, data), abs=1e-12)
    inner, straight = curve.losses["data"][20:], np.linspace(*curve.losses["data"][[20, 40]], 21)
    assert curve.barrier("data") == pytest.approx((inner - straight).max())
    plane = probe.plane((probe.line_to(other), probe.direction("gaussian")), orthogonal=True)
    assert abs(plane.cosine) < 1e-12 and probe.surface(plane, points=3).facts.kind == "line and gaussian"
    with pytest.raises(InputError, match=r"other network.*0\.weight is \(8, 4\), not \(8, 5\)"):
        probe.line_to(dense(inputs=4))
    with pytest.raises(InputError, match="missing"):
        probe.line_to(nn.Linear(5, 1))
    with pytest.raises(InputError, match="same weights"):
        probe.line_to(dense(seed=0))


def test_curves_of_several_seeds_have_a_spread() -> None:
    probe = Probe(dense(), DataLoader(rows(), 16), F.mse_loss)
    curves = probe.curves("filter", seeds=range(4), reach=0.8, points=9)
    assert curves.of("data").shape == (4, 9) and len(curves) == 4
    assert np.array_equal(curves.of("data")[2], probe.curve(probe.direction("filter", 2), 0.8, 9).of("data"))
    told = curves.numbers("data")["sharpness"]
    each = [curve.numbers("data")["sharpness"] for curve in curves.curves]
    assert (
        told["each"] == each and told["spread"] == pytest.approx(np.std(each, ddof=1)) and told["spread"] > 0
    )
    assert told["lowest"] == min(each) and told["highest"] == max(each)


# --- batches of other layouts -----------------------------------------------------------------------------


def test_dicts_and_several_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 1)

        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return self.layer(x) * scale

    network, (x, y) = Two(), rows(20).tensors
    scale = torch.full((20, 1), 2.0)
    tuples = Probe(network, [(x, scale, y)], F.mse_loss)
    dicts = Probe(
        network,
        [{"x": x, "s": scale, "y": y}],
        F.mse_loss,
        forward=lambda net, batch: net(batch["x"], batch["s"]),
        target=lambda batch: batch["y"],
    )
    plane = tuples.plane("layer")
    for batched in (True, False):
        told = [probe.surface(plane, points=3, batched=batched) for probe in (tuples, dicts)]
        assert all(surface.batched == batched for surface in told)
        assert np.array_equal(told[0].losses["data"], told[1].losses["data"])


def test_graphs_of_torch_geometric_and_a_network_that_writes_into_them() -> None:
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader as GraphLoader
    from torch_geometric.nn import GCNConv, global_mean_pool

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = GCNConv(3, 4), nn.Linear(4, 1)

        def forward(self, graphs: Any) -> Tensor:
            graphs.x = torch.relu(self.one(graphs.x, graphs.edge_index))  # as many do
            return self.two(global_mean_pool(graphs.x, graphs.batch, graphs.num_graphs)).squeeze(-1)

    draw = torch.Generator().manual_seed(0)
    graphs = [
        Data(torch.randn(n, 3, generator=draw), torch.tensor([[0, 1], [1, 0]]), y=torch.tensor([float(n)]))
        for n in (2, 3, 4, 3, 2)
    ]
    network = Network()
    probe = Probe(
        network, GraphLoader(graphs, 2), F.l1_loss, forward=lambda net, g: net(g), target=lambda g: g.y
    )
    whole = next(iter(GraphLoader(graphs, 5)))
    double = copy.deepcopy(network).double()
    whole.x = whole.x.double()
    assert probe.loss() == pytest.approx(float((double(whole).detach() - whole.y).abs().mean()), abs=1e-12)
    plane = probe.plane("filter")
    told = [probe.surface(plane, points=3, batched=batched) for batched in (True, False)]
    assert told[0].losses["data"] == pytest.approx(told[1].losses["data"], abs=1e-12)
    assert np.ptp(told[0].losses["data"]) > 1e-3
    assert graphs[0].x.shape == (2, 3) and graphs[0].x.dtype == torch.float32


def test_dataclasses_move_with_what_they_remember() -> None:
    @dataclass(frozen=True)
    class Pair:
        x: Tensor
        y: Tensor

        @cached_property
        def doubled(self) -> Tensor:
            return 2 * self.x

    network, (x, y) = dense(), rows(20).tensors
    pair = Pair(x, y)
    assert pair.doubled.dtype == torch.float32
    probe = Probe(network, [pair], F.mse_loss, forward=lambda net, p: net(p.doubled), target=lambda p: p.y)
    assert probe.loss() == pytest.approx(plain_loss(network, TensorDataset(2 * x, y)), abs=1e-12)
    nested = Probe(
        network, [({"x": x}, y)], F.mse_loss, forward=lambda net, b: net(b[0].pop("x")), target=lambda b: b[1]
    )
    assert nested.loss() == pytest.approx(plain_loss(network, TensorDataset(x, y)), abs=1e-12)


def test_a_network_that_cannot_be_mapped_goes_one_by_one_and_says_so() -> None:
    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 1)

        def forward(self, x: Tensor) -> Tensor:
            out = self.layer(x)
            return out if float(out.sum().detach()) > -1e9 else -out

    probe = Probe(Asks(), DataLoader(rows(), 16), F.mse_loss)
    surface = probe.surface(probe.plane("layer"), points=3, batched=True)
    assert not surface.batched and "vmap" in surface.notes[0]
    assert surface.losses["data"][1, 1] == probe.loss()


def test_recurrent_and_attention_networks_have_surfaces_and_curvature() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.cell(x)[0][:, -1])

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
            self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.layer(self.first(x)).mean(dim=1))

    x = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0))
    for network in (Recurrent(), Attends()):
        probe = Probe(network, [(x, torch.ones(6, 1))], F.mse_loss)
        curve = probe.curve(probe.direction("layer"), points=3)
        assert abs(curve.losses["data"][1] - probe.loss()) < 1e-12
        told = probe.curvature(top=1, bottom=0, seeds=[0], steps=20)
        # along the eigenvector the loss bends as its eigenvalue says
        small = probe.direction("hessian").scaled(1e-3 / np.linalg.norm(probe.weights))
        line = probe.curve(small, points=3).losses["data"]
        assert np.diff(line, 2)[0] / 1e-6 == pytest.approx(told.top[0], rel=1e-3)


# --- numbers ----------------------------------------------------------------------------------------------


def bowl(points: int = 41, reach: float = 2.0, shift: tuple[float, float] = (0.0, 0.0)) -> tuple[Any, Any]:
    axis = np.linspace(-reach, reach, points)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    return 1 + (x - shift[0]) ** 2 + 2 * (y - shift[1]) ** 2, (axis, axis)


def test_numbers_of_a_bowl() -> None:
    values, axes = bowl(81)
    rise, relative = geometry.sharpness(values, axes, radius=1.0)
    assert rise == pytest.approx(2.0) and relative == pytest.approx(1.0)
    radii = geometry.robust_radii(values, axes, level=1.5)
    for way, radius in zip(radii.ways, radii.radius, strict=True):
        unit = way / np.linalg.norm(way)
        assert radius == pytest.approx(np.sqrt(0.5 / (unit[0] ** 2 + 2 * unit[1] ** 2)), rel=5e-3)
    assert radii.ended.all() and len(radii.radius) == 8
    area, edge = geometry.basin(values, axes, level=1.5)
    assert area == pytest.approx(np.pi * 0.5 / np.sqrt(2), rel=0.03) and not edge
    all_of_it, edge = geometry.basin(values, axes, level=100)
    assert all_of_it == pytest.approx(16) and edge
    assert not geometry.robust_radii(values, axes, 100).ended.any()
    assert geometry.roughness(values, axes)[1] < 1e-12
    assert geometry.discontinuities(values, axes) == 0


def test_the_minimum_is_found_between_cells() -> None:
    for shift in ((0.0, 0.0), (0.33, -0.71), (-1.02, 0.4)):
        values, axes = bowl(shift=shift)
        x, y = np.meshgrid(*axes, indexing="ij")
        values = values + 0.8 * (x - shift[0]) * (y - shift[1])
        assert geometry.minimum(values, axes) == pytest.approx(shift, abs=1e-9)
    values, axes = bowl(shift=(5.0, 0.0))
    assert geometry.minimum(values, axes)[0] == 2.0, "at the edge it is the cell"
    line = (axes[0] - 0.3) ** 2
    assert geometry.minimum(line, axes[:1]) == pytest.approx([0.3])


def test_a_basin_is_connected_and_holes_are_walls() -> None:
    axis = np.linspace(-2, 2, 81)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    two = np.minimum(x**2 + y**2, (x - 1.6) ** 2 + y**2)
    one = geometry.basin(two, (axis, axis), 0.25)[0]
    assert one == pytest.approx(np.pi * 0.25, rel=0.05), "the other basin is not counted"
    wall = np.where((x > 0.22) & (x < 0.28), np.nan, x**2 + y**2)
    assert geometry.robust_radii(wall, (axis, axis), 0.5).radius.min() == pytest.approx(0.2)
    assert geometry.basin(wall, (axis, axis), 0.25)[0] < 0.8 * one
    assert geometry.sharpness(wall, (axis, axis), 1.0)[0] == np.inf
    assert geometry.discontinuities(wall, (axis, axis), 10) == 2 * 81
    for wrong in (np.full((81, 81), np.nan), two[:5], two[0]):
        with pytest.raises(DataError):
            geometry.basin(wrong, (axis, axis), 1.0)


def test_roughness_and_jumps_grow_with_what_is_put_in() -> None:
    values, axes = bowl()
    draw = np.random.default_rng(0)
    noise = draw.normal(size=values.shape)
    small, large = (geometry.roughness(values + size * noise, axes)[0] for size in (0.01, 0.1))
    assert large == pytest.approx(10 * small, rel=1e-6)
    assert small == pytest.approx(0.01 * np.sqrt(6), rel=0.1)  # variance of a second difference of noise: 6
    step = values + 5.0 * (axes[0][:, None] > 0.5)
    assert geometry.discontinuities(step, axes) == 41


def test_persistence_is_that_of_gudhi() -> None:
    gudhi = pytest.importorskip("gudhi")
    draw = np.random.default_rng(0)
    for shape in ((7, 9), (30, 31), (50,)):
        values = draw.normal(size=shape)
        tree = merge_tree(values)
        complex_ = gudhi.CubicalComplex(vertices=values)
        complex_.compute_persistence()
        told = complex_.persistence_intervals_in_dimension(0)
        told = told[told[:, 1] > told[:, 0]]
        own = np.stack([tree.birth, tree.death], axis=1)
        assert np.array_equal(own[np.lexsort(own.T)], told[np.lexsort(told.T)])


def test_the_merge_tree_of_known_minima_and_saddles() -> None:
    line = np.array([3.0, 1, 4, 0, 5, 2, 2, 6, np.nan, -1, 7])
    tree = merge_tree(line)
    assert tree.birth.tolist() == [-1, 0, 1, 2], "most persistent first"
    finite = {b: (d, int(m[0]), int(s[0])) for b, d, m, s in zip(
        tree.birth, tree.death, tree.minimum, tree.saddle, strict=True
    )}  # fmt: skip
    assert finite[1.0] == (4.0, 1, 2) and finite[2.0] == (5.0, 5, 4)
    assert finite[0.0][0] == np.inf and finite[-1.0][0] == np.inf, "nothing crosses a wall"
    parents = {float(tree.birth[i]): int(p) for i, p in enumerate(tree.parent)}
    assert tree.birth[parents[1.0]] == 0.0 and tree.birth[parents[2.0]] == 0.0 and parents[0.0] == -1
    axis = np.linspace(-1.5, 1.5, 61)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    tree = merge_tree((x**2 - 1) ** 2 + y**2 + 0.1 * x)  # minima near -1 and 1, saddle near 0
    assert len(tree) == 2 and tree.minimum[0].tolist() == [10, 30]
    assert axis[tree.saddle[1]] == pytest.approx([0.0, 0.0], abs=0.06)
    assert tree.persistence[1] == pytest.approx(1 - 0.1, abs=0.01)
    assert merge_tree(np.ones((4, 4))).birth.tolist() == [1.0]


def test_the_published_surface() -> None:
    root = os.environ.get("VITRINE_DATA")
    if not root:
        pytest.skip("set VITRINE_DATA to the folder that holds landscape_example/ to run this test")
    path = Path(root) / "landscape_example" / "example_loss_landscape_bandgap_Fe_ood.csv.gz"
    if not path.exists():
        pytest.skip(f"VITRINE_DATA={root} holds no {path.parent.name}/{path.name}")
    import pandas as pd

    values = pd.read_csv(path, header=None).to_numpy(dtype=np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    axes = tuple(np.linspace(-1, 1, size) for size in values.shape)
    tree = merge_tree(values)
    assert tree.birth[0] == values.min() and tree.death[0] == np.inf
    gudhi = pytest.importorskip("gudhi")
    complex_ = gudhi.CubicalComplex(vertices=values)
    complex_.compute_persistence()
    told = complex_.persistence_intervals_in_dimension(0)
    assert len(tree) == (told[:, 1] > told[:, 0]).sum()
    middle = values[tuple(int(np.abs(axis).argmin()) for axis in axes)]
    area, _ = geometry.basin(values, axes, middle + 0.1)
    larger, _ = geometry.basin(values, axes, middle + 0.2)
    assert 0 < area < larger <= 4
    radii = geometry.robust_radii(values, axes, middle + 0.1)
    assert 0 < radii.radius.min() <= np.sqrt(area / np.pi) <= radii.radius.max() + 0.05
    assert np.linalg.norm(geometry.minimum(values, axes)) < 1


def test_numbers_of_a_surface_of_two_data_sets() -> None:
    train, shifted = rows(60, dtype=torch.float64), rows(60, dtype=torch.float64)
    network = nn.Linear(5, 1).double()
    x, y = train.tensors
    with torch.no_grad():
        best = torch.linalg.lstsq(torch.cat([x, torch.ones(60, 1)], 1), y).solution
        network.weight.copy_(best[:5].T), network.bias.copy_(best[5])
    plane_of = Probe(network, {"train": [(x, y)]}, F.mse_loss).plane("gaussian", seed=2)
    other = y + 0.5 * x @ torch.from_numpy(plane_of.first.vector[:5, None]) + 0.5 * plane_of.first.vector[5]
    probe = Probe(network, {"train": [(x, y)], "test": [(shifted.tensors[0], other)]}, F.mse_loss, unit="eV")
    surface = probe.surface(plane_of, reach=1.0, points=21)
    assert surface.minimum("train") == pytest.approx([0, 0], abs=1e-8)
    assert surface.offset("train", "test") == pytest.approx([0.5, 0], abs=1e-8)
    told = surface.numbers("test", rise=0.05)
    assert told["minimum_offset"] == pytest.approx(0.5, abs=1e-8) and told["rise"] == 0.05
    assert told["minima"] == 1 and told["not_finite"] == 0
    assert surface.numbers("test")["rise"] == pytest.approx(0.1 * surface.centre["train"])
    # a rise of dL along a ray of a parabola is at sqrt(dL / curvature)
    u = torch.from_numpy(plane_of.first.vector)
    bend = float(((torch.cat([x, torch.ones(60, 1)], 1) @ u) ** 2).mean())
    fine = probe.curve(plane_of.first, reach=1.0, points=401)
    radius = fine.numbers("train", rise=0.01)
    assert radius["robust_radius_rise"] == pytest.approx(np.sqrt(0.01 / bend), rel=1e-3)
    share = np.sqrt(0.1 * fine.centre["train"] / bend)
    assert radius["robust_radius_share"] == pytest.approx(min(share, 1.0), rel=1e-2)
    assert radius["basin"] == pytest.approx(2 * np.sqrt(0.01 / bend), abs=0.01)
    assert surface.facts.unit == "eV" and all(isinstance(value, float) for value in told.values())
    with pytest.raises(InputError, match="did you mean 'train'"):
        surface.numbers("trian")
    with pytest.raises(InputError, match="radius"):
        surface.numbers("train", radius=-1)


# --- files ------------------------------------------------------------------------------------------------


def test_surfaces_and_curves_survive_a_file(tmp_path: Path) -> None:
    probe = Probe(dense(), {"a": DataLoader(rows(), 16), "b": DataLoader(rows(seed=1), 16)}, F.mse_loss)
    surface, curve = probe.surface(probe.plane("filter"), points=5), probe.curve(probe.direction("layer"))
    for found, kind in ((surface, Surface), (curve, Curve)):
        path = tmp_path / f"{kind.__name__}.npz"
        found.save(path)
        with np.load(path, allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)
        back = kind.load(path)
        assert back.facts == found.facts and back.centre == found.centre and list(back.losses) == ["a", "b"]
        assert all(np.array_equal(back.losses[name], found.losses[name]) for name in found.losses)
        assert back.numbers("b") == pytest.approx(found.numbers("b"), nan_ok=True)
        text = json.dumps(found.to_plain(), allow_nan=False)
        assert json.loads(text)["centre"]["a"] == found.centre["a"]
    with pytest.raises(DataError, match="it is a surface"):
        Curve.load(tmp_path / "Surface.npz")
    (tmp_path / "Curve.npz").write_bytes((tmp_path / "Curve.npz").read_bytes()[:200])
    with pytest.raises(DataError):
        Curve.load(tmp_path / "Curve.npz")


class Enough(Exception):
    pass


@pytest.mark.parametrize("batched", [True, False])
def test_a_surface_that_was_broken_off_goes_on_to_the_same_bits(
    tmp_path: Path, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitrine.explain.landscape.scan.AT_MOST", 4)
    network, path = dense(), tmp_path / "surface.npz"

    def probe(seed: int = 0) -> Probe:
        return Probe(network, {"a": DataLoader(rows(seed=seed), 16)}, F.mse_loss)

    plane = probe().plane("filter")
    whole = probe().surface(plane, points=5, batched=batched)
    seen: list[float] = []

    def stop(fraction: float) -> None:
        seen.append(fraction)
        if fraction > 0.5:
            raise Enough

    with pytest.raises(Enough):
        probe().surface(plane, points=5, batched=batched, checkpoint=path, progress=stop)
    before = len(seen)
    on = probe().surface(plane, points=5, batched=batched, checkpoint=path, progress=seen.append)
    assert on.batched == batched and np.array_equal(on.losses["a"], whole.losses["a"])
    assert seen[before] > 0.5 and seen[-1] == 1.0, "it went on from where it was"
    again: list[float] = []
    probe().surface(plane, points=5, batched=batched, checkpoint=path, progress=again.append)
    assert not again, "nothing was left to do"
    for other in (
        lambda: probe().surface(probe().plane("filter", 1), points=5, batched=batched, checkpoint=path),
        lambda: probe().surface(plane, reach=2.0, points=5, batched=batched, checkpoint=path),
        lambda: probe(1).surface(plane, points=5, batched=batched, checkpoint=path),
        lambda: probe().surface(plane, points=5, batched=batched, checkpoint=path, dtype=torch.float32),
    ):
        with pytest.raises(DataError, match="other weights, data or settings"):
            other()
    if batched:
        with pytest.raises(DataError, match="other weights, data or settings"):
            probe().surface(plane, points=5, batched=False, checkpoint=path)
    with torch.no_grad():
        network[0].bias += 1e-9
    with pytest.raises(DataError, match="other weights"):
        probe().surface(plane, points=5, batched=batched, checkpoint=path)
    whole.save(path)
    with pytest.raises(DataError, match="no checkpoint"):
        probe().surface(plane, points=5, batched=batched, checkpoint=path)


# --- wrong input ------------------------------------------------------------------------------------------


def wrong(words: str, error: type[Exception] = InputError) -> Any:
    return pytest.raises(error, match=words)


def test_networks_and_data_that_cannot_be_probed() -> None:
    data = rows()
    with wrong("no trainable parameters"):
        Probe(nn.ReLU(), DataLoader(data, 4), F.mse_loss)
    with wrong("no trainable parameters"):
        Probe(nn.Linear(5, 1).requires_grad_(False), DataLoader(data, 4), F.mse_loss)
    with wrong("torch module"):
        Probe(lambda x: x, DataLoader(data, 4), F.mse_loss)  # type: ignore[arg-type]
    with wrong("no shape yet"):
        Probe(nn.LazyLinear(1), DataLoader(data, 4), F.mse_loss)
    for empty in ({}, {"train": []}, {"train": [(torch.zeros(0, 5), torch.zeros(0, 1))]}):
        with wrong("empty|no data set", DataError):
            Probe(dense(), empty, F.mse_loss)
    with wrong("not a DataLoader", DataError):
        Probe(dense(), {"train": data.tensors[0]}, F.mse_loss)
    with wrong("batch 0 of train.*does not go through", DataError):
        Probe(dense(inputs=4), {"train": DataLoader(data, 4)}, F.mse_loss)
    with wrong("forward=", DataError):
        Probe(dense(), [{"x": data.tensors[0]}], F.mse_loss)
    with wrong("loss=|batch_loss="):
        Probe(dense(), DataLoader(data, 4))


def test_losses_that_are_none() -> None:
    data = rows()
    x, y = data.tensors
    bad = y.clone()
    bad[21] = np.nan
    with wrong("loss of batch 2 of test is nan", DataError):
        Probe(
            dense(),
            {"train": DataLoader(data, 10), "test": DataLoader(TensorDataset(x, bad), 10)},
            F.mse_loss,
        )
    with wrong("must return a tensor", DataError):
        Probe(dense(), DataLoader(data, 10), lambda o, t: float(F.mse_loss(o, t)))
    with wrong("one number", DataError):
        Probe(dense(), DataLoader(data, 10), lambda o, t: (o - t) ** 2, reduction="mean")
    for loss in (F.mse_loss, lambda o, t: (o - t) ** 2):
        with wrong("shapes of outputs and targets", DataError):
            Probe(dense(), [(x, y[:, 0])], loss)
    with wrong("random or remembers", DataError):
        Probe(dense(), DataLoader(data, 10), lambda o, t: F.mse_loss(o, t) * (1 + torch.rand(())))
    probe = Probe(dense(), DataLoader(data, 10), lambda o, t: F.mse_loss(o.detach(), t))
    with wrong("no second derivative", DataError):
        probe.curvature()


def test_settings_that_make_no_sense() -> None:
    probe = Probe(dense(), {"train": DataLoader(rows(), 16)}, F.mse_loss)
    plane = probe.plane("filter")
    for points in (4, 1, 2.5):
        with wrong("odd number"):
            probe.surface(plane, points=points)  # type: ignore[arg-type]
    for reach in (0.0, -1.0, np.nan, np.inf):
        with wrong("reach"):
            probe.curve(plane.first, reach=reach)
    with wrong("did you mean 'train'"):
        probe.surface(plane, data="trian")
    with wrong("filter, layer or gaussian"):
        probe.direction("filtre")  # type: ignore[arg-type]
    with wrong("whole number"):
        probe.direction("filter", seed=-1)
    with wrong("float64 or torch.float32"):
        probe.surface(plane, dtype=torch.bfloat16)
    with wrong("parallel"):
        probe.plane((plane.first, plane.first.scaled(2.0)))
    with wrong("not one of this network"):
        probe.curve(Direction(np.ones(3), "own"))
    with wrong("different networks"):
        Plane(plane.first, Direction(np.ones(3), "own"))
    with wrong("eigenvalues"):
        probe.curvature(top=1000)
    with wrong("at least one seed"):
        probe.curves("filter", [])
    with wrong("at least one seed"):
        probe.curvature(seeds=[])
    with wrong("vectors='scaled'"):
        quadratic()[0].direction("filter")
    with wrong("memory"):
        Probe(dense(), DataLoader(rows(), 16), F.mse_loss, memory=0).surface(plane)


@pytest.mark.parametrize("batched", [True, False])
def test_what_is_not_finite_away_from_the_centre_is_kept_and_named(batched: bool) -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([[1.0, 0.5]]))

        def forward(self, x: Tensor) -> Tensor:
            return torch.sqrt(self.w[0, 0] + 0 * x) + self.w[0, 1] ** 2

    probe = Probe(Root(), {"train": [(torch.zeros(4), torch.zeros(4))]}, F.mse_loss)
    plane = Plane(Direction(np.array([1.0, 0.0]), "own"), Direction(np.array([0.0, 1.0]), "own"))
    surface = probe.surface(plane, reach=2.0, points=9, batched=batched)
    assert surface.batched == batched
    lost = np.isnan(surface.losses["train"])
    assert lost[:2].all() and not lost[2:].any()
    assert any("18 of 81 cells, first at step -2, -2" in note for note in surface.notes)
    told = surface.numbers("train")
    assert told["sharpness"] == np.inf and told["not_finite"] == 18
    assert json.loads(json.dumps(surface.to_plain(), allow_nan=False))["losses"]["train"][0][0] is None
