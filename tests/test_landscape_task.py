"""Landscapes of our own networks: the loss is that of the predictions, a killed probe goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrine.errors import DataError
from vitrine.learn.baselines import Mean
from vitrine.learn.crystal import GatedCrystals, LineGraphs
from vitrine.learn.neural import GraphAttention, Perceptron
from vitrine.learn.whole import MessagePassing
from vitrine.samples import Examples
from vitrine.study.landscape_task import CURVE, FACTS, SURFACE, probe_into
from vitrine.study.landscapes import Looked
from vitrine.study.sections import Landscape
from vitrine.testing import inputs

SETTINGS = Landscape(
    models=("m",), seeds=2, points=5, plane_points=5, radius=0.25, eigenvalues=1, lanczos=3, probes=2
)


def fitted(part: Any, examples: Examples) -> Any:
    small = part.model_copy(update={"epochs": 1})
    half = len(examples) // 2
    return small.build(examples.target_kind, 0).fit(examples.select(np.arange(half)), None, lambda done: None)


def table() -> Examples:
    return inputs.vector_examples(binary=False)


def looked(folder: Path, examples: Examples, part: Any, **changes: Any) -> tuple[Looked, Any]:
    folder.mkdir(exist_ok=True)
    model = fitted(part, examples)
    half = len(examples) // 2
    rest = examples.select(np.arange(half, len(examples)))
    parts = {"train": examples.select(np.arange(half)), "in_distribution": rest}
    probe_into(folder, model, parts, SETTINGS.model_copy(update=changes), lambda done: None)
    return Looked.read("t", "m", "eV", examples.target_kind == "value", folder), model


def test_the_centre_is_the_error_of_the_predictions(tmp_path: Path) -> None:
    examples = table()
    found, model = looked(tmp_path, examples, Perceptron(widths=(8,)))
    half = len(examples) // 2
    for name, part in (("train", np.arange(half)), ("in_distribution", np.arange(half, len(examples)))):
        own = examples.select(part)
        assert own.target is not None
        error = np.abs(model.predict(own) - own.target).mean()
        assert found.loss(name) == pytest.approx(error, rel=1e-5)
    assert found.unit == "eV" and set(found.curvatures("train")) == {
        "hessian_largest", "hessian_least", "hessian_trace"
    }  # fmt: skip


def test_the_curvature_is_that_of_the_squared_error(tmp_path: Path) -> None:
    """Of a linear network it is known: 2 unit^2 X^T X / n."""
    examples = table()
    part = Perceptron(widths=(1,), residual=True)
    found, model = looked(tmp_path, examples, part, lanczos=50, planes=())
    import torch
    from torch.func import functional_call, hessian

    from vitrine.learn.probing import row_losses

    (batch,) = model.loss_batches(examples.select(np.arange(len(examples) // 2)), 10_000)
    batch = batch._replace(features=batch.features.double(), target=batch.target.double())
    network = model.network.double()
    weights = {name: p.detach() for name, p in network.named_parameters()}
    loss = row_losses("squared", model.loss_unit)

    def total(flat: Any) -> Any:
        parts, start = {}, 0
        for name, p in weights.items():
            parts[name] = flat[start : start + p.numel()].view_as(p)
            start += p.numel()
        return loss(lambda *given: functional_call(network, parts, given), batch).mean()

    flat = torch.cat([p.reshape(-1) for p in weights.values()])
    matrix = hessian(total)(flat).numpy()
    assert found.curvatures("train")["hessian_largest"][0] == pytest.approx(
        np.linalg.eigvalsh(matrix)[-1], rel=1e-4
    )


def test_a_killed_probe_goes_on(tmp_path: Path) -> None:
    examples = table()
    whole, _ = looked(tmp_path / "a", examples, Perceptron(widths=(8,)))
    broken = tmp_path / "a"
    stamps = {n: (broken / CURVE.format(n)).stat().st_mtime_ns for n in range(2)}
    (broken / FACTS).unlink()
    (broken / SURFACE.format("filter")).unlink()
    again, _ = looked(broken, examples, Perceptron(widths=(8,)))
    assert stamps == {n: (broken / CURVE.format(n)).stat().st_mtime_ns for n in range(2)}
    for name in again.sets:
        assert np.array_equal(again.surfaces["filter"].of(name), whole.surfaces["filter"].of(name))
    assert again.curvature == whole.curvature


@pytest.mark.parametrize(
    ("part", "make"),
    [
        (Perceptron(widths=(8,)), "vector"),
        (GraphAttention(layers=1, width=4), "graph"),
        (MessagePassing(hidden=8, depth=1), "whole_graph"),
        (GatedCrystals(width=8, layers=1), "crystal"),
        (LineGraphs(width=8, layers=1), "crystal"),
    ],
)
def test_networks_of_the_other_studies(part: Any, make: str, tmp_path: Path) -> None:
    examples = getattr(inputs, f"{make}_examples")()
    found, _ = looked(tmp_path, examples, part, samples=10, planes=(), seeds=1, lanczos=2)
    for name in found.sets:
        curve = found.curves.of(name)
        assert np.isfinite(curve).all() and curve.shape == (1, 5)
        assert curve[0, 2] == found.loss(name)
    assert found.unit == ("nat" if examples.target_kind != "value" else "eV")


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    examples = table()
    model = Mean().build("value", 0).fit(examples, None, lambda done: None)
    with pytest.raises(DataError, match="no loss landscape"):
        probe_into(tmp_path, model, {"train": examples}, SETTINGS, lambda done: None)
