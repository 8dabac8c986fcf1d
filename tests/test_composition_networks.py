"""Networks on composition vectors: published sizes, order of elements, schedules, precision, trials."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitrine.errors import DataError
from vitrine.learn.baselines import GradientBoosting, RandomForest, Ridge
from vitrine.learn.composition import BranchedResidual, ElementAttention, ElemNet, IRNet, SupportVectors
from vitrine.learn.networks import composition
from vitrine.physics.formulas import ALL_ELEMENTS, ELEMENTNET_86, fractions
from vitrine.samples import Examples
from vitrine.testing.inputs import vector_examples


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


PUBLISHED = {
    "2-2": (4_548_385, 4_790_049),
    "3-1": (4_548_385, 4_790_049),
    "2-1-1": (3_676_961, 4_039_457),
    "1-1-1-1": (2_805_537, 3_288_865),
}
"""branches -> parameters with 86 and with 145 features"""


@pytest.mark.parametrize("branches", PUBLISHED)
def test_parameters_of_brnet_are_the_published_ones(branches: Any) -> None:
    part = BranchedResidual(branches=branches)
    assert tuple(parameters(part.network(n)) for n in (86, 145)) == PUBLISHED[branches]


def test_parameters_of_the_peers_are_the_published_ones() -> None:
    assert parameters(ElemNet().network(86)) == 4_631_361
    assert parameters(IRNet().network(86)) == 5_433_697


@pytest.mark.parametrize("n_features", [86, 118])
def test_attention_has_as_many_parameters_as_brnet(n_features: int) -> None:
    ours = parameters(ElementAttention().network(n_features))
    theirs = parameters(BranchedResidual().network(n_features))
    assert 0.965 < ours / theirs <= 1, "not one more"


def test_a_branched_layer_by_hand() -> None:
    """Two branches of one layer each: sum of LeakyReLU(W x + b) + V x + c."""
    torch.manual_seed(0)
    block = composition.Branches(3, 4, (1, 1))
    x = torch.randn(5, 3)
    expected = torch.zeros(5, 4)
    for branch in block.branches:
        layer: Any = branch[0]
        inner = x @ layer.linear.weight.T + layer.linear.bias
        expected += torch.where(inner > 0, inner, 0.3 * inner) + x @ layer.skip.weight.T + layer.skip.bias
    torch.testing.assert_close(block(x), expected)


def test_dropout_of_elemnet_stands_after_the_published_layers() -> None:
    found = [type(layer).__name__ for layer in composition.elemnet(86).body]  # type: ignore[union-attr]
    places = [place for place, name in enumerate(found) if name == "Dropout"]
    linear = [found[:place].count("Linear") for place in places]
    assert linear == [4, 7, 10, 13]
    rates = [layer.p for layer in composition.elemnet(86).body if isinstance(layer, torch.nn.Dropout)]  # type: ignore[union-attr]
    assert rates == [0.2, 0.1, 0.3, 0.2]


@pytest.fixture(scope="module")
def attention() -> torch.nn.Module:
    torch.manual_seed(1)
    network = ElementAttention(width=32, heads=4, blocks=2, trunk=(32, 16)).network(118).double().eval()
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return network


def apply(network: torch.nn.Module, formulas: list[str]) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(fractions(formulas, ALL_ELEMENTS))))


def test_attention_does_not_depend_on_batch_mates_or_the_scale(attention: torch.nn.Module) -> None:
    formulas = ["Fe2O3", "NaCl", "La1.85Sr0.15CuO4", "Cu", "O6Fe4"]
    together = apply(attention, formulas)
    alone = np.concatenate([apply(attention, [text]) for text in formulas])
    np.testing.assert_allclose(together, alone, rtol=1e-10)
    assert together[0] == pytest.approx(together[4], rel=1e-12)
    assert len(set(together.round(6))) == 4


def test_a_trace_of_an_element_changes_little_in_attention(attention: torch.nn.Module) -> None:
    """What an element weighs in attention and in the mean by fraction goes to nothing with its fraction. (The
    even mean over the elements that are there is the one thing that jumps.)"""
    body: Any = attention.body
    means = []
    for text in ("NaCl", "Na1Cl0.9999999K0.0000001"):
        h, owner, share = body.states(torch.from_numpy(fractions([text], ALL_ELEMENTS)))
        assert (owner == 0).all() and float(share.sum()) == pytest.approx(1)
        means.append((h * share[:, None]).sum(dim=0))
    torch.testing.assert_close(means[0], means[1], rtol=1e-3, atol=1e-3)


def test_attention_refuses_what_is_no_fraction() -> None:
    with pytest.raises(DataError, match=r"elemental fractions.*a, b, c"):
        ElementAttention().inputs_of(vector_examples())


# training


def formula_examples(n: int = 240, seed: int = 0) -> Examples:
    """Binary compounds whose target is linear in fractions of six elements, with a bit of curvature."""
    random = np.random.default_rng(seed)
    symbols = np.array(["Al", "Ni", "Cu", "Fe", "O", "Ti"])
    pairs = [random.choice(symbols, 2, replace=False) for _ in range(n)]
    share = random.uniform(0.1, 0.9, n)
    formulas = [f"{a}{x:.4f}{b}{1 - x:.4f}" for (a, b), x in zip(pairs, share, strict=True)]
    x = fractions(formulas, ELEMENTNET_86).astype(np.float32)
    weight = np.random.default_rng(7).normal(size=86)
    target = (x @ weight + 2 * (x**2).sum(axis=1)).astype(np.float32)
    return Examples(
        makes="vectors",
        target_kind="value",
        ids=tuple(f"t:{i}" for i in range(n)),
        groups=tuple(f"t:{i}" for i in range(n)),
        features=x,
        feature_labels=ELEMENTNET_86,
        starts=np.arange(n + 1),
        target=target,
    )


def fitted(part: Any, examples: Examples, seed: int = 0) -> Any:
    train, held = examples.select(np.arange(0, 200)), examples.select(np.arange(200, 240))
    return part.build("value", seed).fit(train, held, lambda _: None)


def test_rates_on_a_plateau() -> None:
    part = BranchedResidual(schedule="plateau", plateau=3, learning_rate=1e-2, lowest_rate=1e-4)
    falling = [1.0, 0.9, 0.8, 0.7]
    assert part.rate_of(4, falling) == pytest.approx(1e-2)
    flat = [*falling, 0.7, 0.71, 0.7]
    assert part.rate_of(7, flat) == pytest.approx(1e-3), "three epochs without a better loss"
    assert part.rate_of(9, [*flat, 0.72, 0.73]) == pytest.approx(1e-3), "the count begins anew"
    assert part.rate_of(10, [*flat, 0.72, 0.73, 0.74]) == pytest.approx(1e-4)
    assert part.rate_of(30, [*flat, *[0.8] * 23]) == pytest.approx(1e-4), "not below the lowest"
    assert part.rate_of(8, [*flat, 0.6]) == pytest.approx(1e-3), "a reduction stays"


def test_the_plateau_agrees_with_torch() -> None:
    losses = np.random.default_rng(3).uniform(0.5, 1.0, 60).cumsum() / np.arange(1, 61) ** 1.01
    part = BranchedResidual(schedule="plateau", plateau=4, learning_rate=1.0)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    # torch waits for more than `patience` bad epochs, and has a threshold of its own
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=3, threshold=0)
    for epoch, loss in enumerate(losses):
        theirs.step(loss)
        assert part.rate_of(epoch + 1, losses[: epoch + 1].tolist()) == pytest.approx(
            max(optimiser.param_groups[0]["lr"], 1e-8)
        )


def test_training_resumes_on_the_reduced_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitrine.learn import resume

    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    settings: dict[str, Any] = {"width": 16, "heads": 2, "blocks": 1, "trunk": (16, 8), "batch": 32}
    settings |= {"learning_rate": 0.02, "schedule": "plateau", "plateau": 1, "patience": 20}
    examples = formula_examples()
    train, held = examples.select(np.arange(200)), examples.select(np.arange(200, 240))
    unbroken = ElementAttention(epochs=12, **settings).build("value", 0).fit(train, held, lambda _: None)

    class Killed(Exception):
        pass

    def kill(done: float) -> None:
        if done >= 0.5:
            raise Killed

    first = ElementAttention(epochs=12, **settings).build("value", 0)
    first.resume_in(tmp_path)
    with pytest.raises(Killed):
        first.fit(train, held, kill)
    second = ElementAttention(epochs=12, **settings).build("value", 0)
    second.resume_in(tmp_path)
    second.fit(train, held, lambda _: None)
    assert second.describe()["resumed_at"] >= 1
    assert second.describe()["losses"] == unbroken.describe()["losses"]
    np.testing.assert_array_equal(second.predict(held), unbroken.predict(held))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_of_the_training_alone(precision: Any) -> None:
    """The weights stay float32, and predictions are as exact as with any other weights."""
    examples = formula_examples()
    part = BranchedResidual(branches="1-1-1-1", epochs=8, batch=16, learning_rate=1e-3, precision=precision)
    model = fitted(part, examples)
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    test = examples.select(np.arange(200, 240))
    alone = np.concatenate([model.predict(test.select([i])) for i in range(5)])
    np.testing.assert_allclose(alone, model.predict(test)[:5], rtol=1e-5)
    assert test.target is not None
    error, spread = model.predict(test) - test.target, test.target - test.target.mean()
    assert np.abs(error).mean() < 0.5 * np.abs(spread).mean()


def test_batches_of_whole_rows_are_those_of_select() -> None:
    from vitrine.learn.batches import Batches, as_batch

    examples = formula_examples(50)
    fast = Batches(examples, 16, 3)
    order = np.random.default_rng(3).permutation(50)
    for number in range(len(fast)):
        batch, chosen = fast[number], order[number * 16 : (number + 1) * 16]
        slow = as_batch(examples.select(chosen))
        assert torch.equal(batch.features, slow.features) and torch.equal(batch.target, slow.target)
        assert batch.edges.shape == (2, 0) and batch.share == 1.0


# classics


def test_support_vectors_learn_from_so_many_rows_at_most() -> None:
    examples = formula_examples()
    few, all_rows = fitted(SupportVectors(rows=50), examples), fitted(SupportVectors(), examples)
    assert few.describe()["parameters"] < all_rows.describe()["parameters"]
    machine = few._estimator[-1].regressor_
    assert len(machine.support_) <= 50
    other = fitted(SupportVectors(rows=50), examples, seed=1)._estimator[-1].regressor_
    assert not np.array_equal(machine.support_vectors_, other.support_vectors_), "drawn by the seed"


def test_learned_numbers_of_the_classics() -> None:
    examples = formula_examples()
    assert fitted(Ridge(), examples).describe()["parameters"] == 87
    forest = fitted(RandomForest(trees=3), examples)
    nodes = sum(tree.tree_.node_count for tree in forest._estimator.estimators_)
    assert forest.describe()["parameters"] == nodes > 3
    boosted = fitted(GradientBoosting(iterations=4, max_leaf_nodes=3), examples).describe()["parameters"]
    assert boosted == 4 * 5, "three leaves and two thresholds in each tree"


NETWORK = BranchedResidual(epochs=4, batch=32, learning_rate=1e-3)


@pytest.mark.parametrize("part", [Ridge(), SupportVectors(), NETWORK], ids=["ridge", "svm", "brnet"])
def test_probabilities_of_three_classes_sum_to_one(part: Any) -> None:
    examples = formula_examples()
    assert examples.target is not None
    code = np.digitize(examples.target, np.quantile(examples.target, [0.33, 0.66])).astype(np.float32)
    classes = replace(examples, target=code, target_kind="classes", class_names=("low", "middle", "high"))
    train, held = classes.select(np.arange(200)), classes.select(np.arange(200, 240))
    scores = part.build("classes", 0).fit(train, held, lambda _: None).predict(held)
    assert scores.shape == (40, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert math.isfinite(scores.sum())
