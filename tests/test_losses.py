"""Losses for a rare class: values by hand, drawn rows, and the training path that uses them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vitrine.learn import resume
from vitrine.learn.batches import Batch, Batches
from vitrine.learn.losses import class_loss, drawn_weights, weight_of_positives
from vitrine.learn.neural import GraphAttention, NetworkPart, Perceptron
from vitrine.learn.parallel import Rank
from vitrine.learn.training import Fit
from vitrine.samples import Examples
from vitrine.testing import graph_examples

LOGITS = torch.tensor([0.0, 2.0, -1.0, 3.0])
TARGET = torch.tensor([1.0, 1.0, 0.0, 0.0])
P = 1 / (1 + np.exp(-LOGITS.double().numpy()))


def loss(kind: Any, gamma: float = 2.0, weight: float = 1.0) -> torch.Tensor:
    return class_loss(LOGITS, TARGET, kind=kind, focal_gamma=gamma, positive_weight=weight)


def rare(n_samples: int = 12) -> Examples:
    """A tenth of the rows is positive."""
    examples = graph_examples(n_samples=n_samples)
    return examples.with_target((examples.features[:, 0] > 1.25).astype(np.float32))


# ---------------------------------------------------------------- values


def test_cross_entropy_by_hand() -> None:
    wanted = [-np.log(P[0]), -np.log(P[1]), -np.log(1 - P[2]), -np.log(1 - P[3])]
    torch.testing.assert_close(loss("cross-entropy"), torch.tensor(wanted, dtype=torch.float32))
    weighted = np.array(wanted) * [9, 9, 1, 1]
    torch.testing.assert_close(loss("cross-entropy", weight=9.0), torch.tensor(weighted, dtype=torch.float32))


def test_focal_loss_by_hand() -> None:
    """Lin et al. 2017, equation 5: alpha (1 - p_t)^gamma times cross-entropy."""
    true = np.array([P[0], P[1], 1 - P[2], 1 - P[3]])
    for gamma in (0.5, 2.0, 5.0):
        wanted = -([4, 4, 1, 1] * (1 - true) ** gamma * np.log(true))
        found = loss("focal", gamma, weight=4.0)
        torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float32))


def test_focal_loss_of_gamma_zero_is_cross_entropy() -> None:
    assert torch.equal(loss("focal", 0.0, 3.0), loss("cross-entropy", weight=3.0))


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_focal_loss_has_a_slope_where_a_row_is_right_for_sure(gamma: float) -> None:
    logits = torch.tensor([200.0, -200.0, 200.0], requires_grad=True)
    target = torch.tensor([1.0, 0.0, 0.0])
    class_loss(logits, target, kind="focal", focal_gamma=gamma, positive_weight=2.0).sum().backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert logits.grad[2] == pytest.approx(1.0), "a row that is wrong for sure counts in full"


# ---------------------------------------------------------------- drawn rows


def test_weight_of_positives_makes_both_classes_count_alike() -> None:
    target = np.array([1, 0, 0, 0, 0], dtype=np.float32)
    assert weight_of_positives(target) == pytest.approx(4.0)


@pytest.mark.parametrize("balance", ["weight", "none"])
def test_no_rows_are_drawn_where_classes_are_weighted(balance: Any) -> None:
    random = np.random.default_rng(0)
    before = random.bit_generator.state
    assert drawn_weights(np.array([0, 1], np.float32), balance, random) is None
    assert random.bit_generator.state == before, "the batch order stays what it was"


@pytest.mark.parametrize("flip", [False, True])
def test_under_takes_the_rarer_class_and_as_many_of_the_other(flip: bool) -> None:
    target = (np.arange(1000) < 100).astype(np.float32)
    target = 1 - target if flip else target
    rarer = target == (0 if flip else 1)
    random = np.random.default_rng(1)
    seen = np.zeros(1000)
    for _ in range(300):
        weights = drawn_weights(target, "under", random)
        assert weights is not None and weights.mean() == pytest.approx(1.0)
        assert set(np.unique(weights)) == {0.0, 5.0}
        assert (weights[rarer] > 0).all() and (weights[~rarer] > 0).sum() == 100
        seen += weights > 0
    # each of the others with probability 1/9: 33 of 300 times, standard deviation 5.4
    assert seen[~rarer].min() > 33.3 - 5 * 5.4 and seen[~rarer].max() < 33.3 + 5 * 5.4


def test_over_draws_the_rarer_class_until_it_is_as_many() -> None:
    target = (np.arange(1000) < 100).astype(np.float32)
    random = np.random.default_rng(2)
    total = np.zeros(1000)
    for _ in range(200):
        weights = drawn_weights(target, "over", random)
        assert weights is not None and weights.mean() == pytest.approx(1.0)
        times = weights * 1.8  # 1,800 rows were drawn from 1,000
        np.testing.assert_allclose(times, np.round(times), atol=1e-5)
        assert (np.round(times[100:]) == 1).all() and times[:100].min() >= 1 - 1e-5
        assert times[:100].sum() == pytest.approx(900, rel=1e-5)
        total += times
    # each positive 1 + 800 / 100 times on average, standard deviation of the mean 0.2
    assert np.abs(total[:100] / 200 - 9).max() < 5 * 0.2


@pytest.mark.parametrize("balance", ["under", "over"])
def test_one_class_alone_is_not_balanced(balance: Any) -> None:
    for target in (np.zeros(5, np.float32), np.ones(5, np.float32)):
        assert drawn_weights(target, balance, np.random.default_rng(0)) is None


# ---------------------------------------------------------------- in training


def part_of(**options: Any) -> NetworkPart:
    return Perceptron(widths=(8,), epochs=6, batch=3, patience=6, learning_rate=0.02, **options)


@pytest.mark.parametrize("balance", ["weight", "under", "over", "none"])
def test_batches_add_up_to_the_loss_of_the_drawn_rows(balance: Any) -> None:
    """The mean over an epoch's batches is that over the rows that were drawn, each as often as it was."""
    examples = rare()
    assert examples.target is not None
    torch.manual_seed(0)
    part = part_of(balance=balance)
    network = part.network(4)
    fit = Fit(network, part, weight_of_positives(examples.target))
    total = 0.0
    batches = Batches(examples, 5, 7, balance=balance)
    for batch in (batches[i] for i in range(len(batches))):
        total += float(fit.loss(batch, training=True).detach()) * len(batch.target)
    random = np.random.default_rng(7)
    random.permutation(len(examples))
    times = drawn_weights(examples.target, balance, random)
    with torch.no_grad():
        logits = network(torch.from_numpy(examples.features)).double().numpy()
    rows = np.logaddexp(0, np.where(examples.target > 0.5, -logits, logits))
    if balance == "weight":
        rows = np.where(examples.target > 0.5, weight_of_positives(examples.target), 1.0) * rows
    wanted = rows.mean() if times is None else np.average(rows, weights=times)
    assert total / examples.n_rows == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("balance", "weighted"), [("weight", True), ("under", True), ("over", True), ("none", False)]
)
def test_validation_weights_the_classes_and_draws_nothing(balance: Any, weighted: bool) -> None:
    """What the training loss is on average: early stopping does not hang on what was drawn."""
    examples = rare()
    assert examples.target is not None
    part = part_of(balance=balance)
    torch.manual_seed(0)
    network = part.network(4)
    weight = weight_of_positives(examples.target)
    fit = Fit(network, part, weight)
    batch = Batches(examples, 99, None)[0]
    assert batch.weights is None
    with torch.no_grad():
        logits = network(batch.features)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, batch.target, pos_weight=torch.tensor(weight if weighted else 1.0)
    )
    torch.testing.assert_close(fit.loss(batch, training=False).detach(), wanted)


def test_every_rank_draws_the_same_rows() -> None:
    examples = rare()
    whole = Batches(examples, 5, 3, balance="over")
    ranks = [Batches(examples, 5, 3, Rank(index, 3), "over") for index in range(3)]
    for number in range(len(whole)):
        batch = whole[number]
        shares = [rank[number] for rank in ranks]
        assert batch.weights is not None
        mean = sum(s.share * float(s.weights.double().mean()) for s in shares) / 3  # type: ignore[union-attr]
        assert mean == pytest.approx(float(batch.weights.double().mean()), rel=1e-6)
        counted = torch.cat([s.weights for s in shares if s.share > 0])  # type: ignore[misc]
        assert sorted(counted.tolist()) == sorted(batch.weights.tolist())


@pytest.mark.parametrize("options", [{"balance": "under"}, {"balance": "over", "loss": "focal"}])
def test_a_stopped_fit_draws_the_same_rows_again(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    part, examples = part_of(**options), rare()

    class Stopped(Exception):
        pass

    def fitted(folder: Path | None, stop: int | None) -> Any:
        def progress(fraction: float) -> None:
            if stop is not None and abs(fraction * part.epochs - stop) < 1e-6:
                raise Stopped

        model = part.build("binary", 5)
        if folder is not None:
            model.resume_in(folder)
        return model.fit(examples.select(range(8)), examples.select(range(8, 12)), progress)

    unbroken = fitted(None, None)
    for stop in (2, 3):
        with pytest.raises(Stopped):
            fitted(tmp_path / "unfinished", stop)
    again = fitted(tmp_path / "unfinished", None)
    assert again.describe()["resumed_at"] == 3
    assert again.describe()["losses"] == unbroken.describe()["losses"]
    np.testing.assert_array_equal(again.predict(examples), unbroken.predict(examples))


@pytest.mark.slow
def test_two_processes_draw_as_one_does() -> None:
    examples = rare()
    part = part_of(balance="under", loss="focal")
    one, two = (
        part.model_copy(update={"devices": devices})
        .build("binary", 0)
        .fit(examples.select(range(7)), examples.select(range(7, 12)), lambda fraction: None)
        for devices in (None, 2)
    )
    np.testing.assert_allclose(two.describe()["losses"], one.describe()["losses"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(two.predict(examples), one.predict(examples), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"balance": "under"},
        {"balance": "over"},
        {"balance": "none"},
        {"loss": "focal", "focal_gamma": 1.0},
    ],
)
def test_each_way_learns_and_gives_probabilities(options: dict[str, Any]) -> None:
    """Balanced, the mean score is far above the share of the rare class; plain, it is near that share."""
    examples = rare(20)
    assert examples.target is not None
    part = Perceptron(widths=(16,), epochs=40, batch=4, learning_rate=0.02, **options)
    model = part.build("binary", 0).fit(examples.select(range(16)), None, lambda fraction: None)
    test = examples.select(range(16, 20))
    assert test.target is not None
    scores = model.predict(test)
    assert scores.min() >= 0 and scores.max() <= 1
    positive = scores[test.target > 0.5]
    assert np.mean(positive[:, None] > scores[test.target < 0.5][None]) > 0.95
    if options.get("balance") != "none":
        assert np.median(positive) > 0.8


def test_values_know_no_balance() -> None:
    examples = graph_examples(binary=False)
    scores = [
        Perceptron(widths=(4,), epochs=2, balance=balance)
        .build("value", 0)
        .fit(examples, None, lambda fraction: None)
        .predict(examples)
        for balance in ("weight", "under")
    ]
    np.testing.assert_array_equal(*scores)


def test_defaults_are_what_they_were() -> None:
    """Class-weighted cross-entropy of the whole batch, as torch has it."""
    examples = rare()
    assert examples.target is not None
    part = GraphAttention(layers=1, width=4)
    assert (part.loss, part.balance) == ("cross-entropy", "weight")
    torch.manual_seed(0)
    network = part.network(4)
    weight = weight_of_positives(examples.target)
    batch = Batches(examples, 99, 0, balance=part.balance)[0]
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        network(batch.features, batch.edges), batch.target, pos_weight=torch.tensor(weight)
    )
    assert torch.equal(Fit(network, part, weight).loss(batch, training=True), wanted)


@pytest.mark.parametrize(("kind", "wanted"), [("absolute", 1.5), ("squared", 2.5)])
def test_loss_of_values(kind: str, wanted: float) -> None:
    """Errors of 1 and 2: their mean is 1.5, that of their squares 2.5."""
    from torch import nn

    class Same(nn.Module):
        def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
            return x[:, 0]

    part: Any = SimpleNamespace(value_loss=kind)
    batch = Batch(
        torch.tensor([[1.0], [4.0]]), torch.zeros(2, 0, dtype=torch.int64), torch.tensor([2.0, 2.0])
    )
    assert float(Fit(Same(), part, None).loss(batch, True)) == pytest.approx(wanted)
