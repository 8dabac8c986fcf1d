"""Convolutional networks on images: their form, how images are shown in training, what fits them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.learn import prediction, resume, training
from vitrine.learn.batches import Batches, as_batch, seen
from vitrine.learn.network_part import NetworkPart
from vitrine.learn.networks.convolution import PooledNetwork
from vitrine.learn.neural import GraphAttention, NetworkModel
from vitrine.learn.protocol import HasFeatureMaps
from vitrine.learn.whole import MessagePassing, PaperCNN, PooledCNN
from vitrine.samples import Examples
from vitrine.testing import image_examples, vector_examples, whole_graph_examples


def pooled(periodic: bool = True, channels: int = 3) -> PooledNetwork:
    torch.manual_seed(0)
    return PooledNetwork(0, channels, (6, 8, 8), periodic, 0.0).eval()


def count(part: NetworkPart, **inputs: int) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in part.network(0, **inputs).parameters())  # type: ignore[call-arg]


# ---------------------------------------------------------------- the networks


def test_the_published_network_has_71_9_million_weights() -> None:
    convolutions = (3 * 10 * 10 * 6 + 6) + (6 * 5 * 5 * 16 + 16)
    dense = 237 * 237 * 16 * 80 + 80 + 80 + 1  # 250 - 9 - 4 = 237: nothing is pooled
    assert count(PaperCNN(), height=250, width=250) == convolutions + dense
    assert round((convolutions + dense) / 1e6, 1) == 71.9
    with torch.device("meta"):
        net: Any = PaperCNN().network(0, 250, 250)
        maps = net.features(torch.zeros(1, 250, 250, device="meta", dtype=torch.uint8))
    assert maps.shape == (1, 16, 237, 237)
    assert [m.p for m in net.modules() if isinstance(m, torch.nn.Dropout)] == [0.5]
    assert not any("pool" in type(m).__name__.lower() for m in net.modules())


def test_the_pooled_network_is_small_at_any_size() -> None:
    assert 50_000 < count(PooledCNN()) < 100_000
    assert count(PooledCNN()) == count(PooledCNN(), height=250, width=250)


def test_classes_become_colours_and_values_are_scaled() -> None:
    net = pooled()
    images = torch.tensor([[[0, 1], [2, 0]]], dtype=torch.uint8)
    shown = net.coloured(images)
    assert shown.shape == (1, 3, 2, 2)
    assert shown[0, :, 0, 0].tolist() == [1.0, 1.0, 1.0], "the background is white"
    assert torch.equal(shown[0, :, 0, 0], shown[0, :, 1, 1])
    colours = {tuple(shown[0, :, i, j].tolist()) for i, j in ((0, 0), (0, 1), (1, 0))}
    assert len(colours) == 3
    values = torch.from_numpy(image_examples(classes=False).images)
    one = pooled(channels=1)
    one.calibrate(values)
    assert float(one.coloured(values).mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(one.coloured(values).std()) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("periodic", [True, False])
def test_rolling_a_periodic_image_by_whole_strides_changes_nothing(periodic: bool) -> None:
    """Stride 2 and one pooling: 4 pixels. With zeros about the image its edge is seen."""
    net = pooled(periodic)
    images = torch.from_numpy(image_examples(n_samples=4).images)
    none = torch.zeros(4, 0)
    with torch.no_grad():
        before, after = (net(none, i) for i in (images, images.roll((4, 8), (1, 2))))
    change = float((before - after).abs().max())
    assert change < 1e-5 if periodic else change > 1e-4


@pytest.mark.parametrize("part", [PaperCNN(), PooledCNN(widths=(6, 8, 8))])
@pytest.mark.parametrize("classes", [True, False])
def test_every_parameter_learns(part: Any, classes: bool) -> None:
    examples = image_examples(n_samples=8, classes=classes)
    torch.manual_seed(0)
    net = part.network(**part.inputs_of(examples)).train()
    part.calibrate(net, examples)
    batch = as_batch(examples)
    net(batch.features, batch.images).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("part", [PaperCNN(epochs=1), PooledCNN(widths=(6, 8, 8), epochs=1)])
def test_feature_maps_and_the_slopes_of_the_output(part: Any) -> None:
    """Against the change of the output when the activations are changed a little."""
    examples = image_examples(n_samples=12)
    model = part.build("binary", 0).fit(examples, None, lambda f: None)
    assert isinstance(model, HasFeatureMaps)
    maps, slopes = model.feature_maps(examples)
    assert maps.shape == slopes.shape and maps.shape[0] == 12 and maps.dtype == slopes.dtype == np.float32
    assert maps.min() == 0 and slopes.min() < 0 < slopes.max()
    scores = model.predict(examples)
    head: Any = model.network.double()
    step = 1e-7 * np.random.default_rng(0).normal(size=maps.shape)
    base = torch.from_numpy(maps).double()
    with torch.no_grad():
        up, down, here = (head.head(base + sign * torch.from_numpy(step)) for sign in (1, -1, 0))
    np.testing.assert_allclose(1 / (1 + np.exp(-here.numpy())), scores, atol=1e-5)
    expected = (slopes * step).sum((1, 2, 3))
    np.testing.assert_allclose(((up - down) / 2).numpy(), expected, rtol=1e-3, atol=1e-11)


# ---------------------------------------------------------------- how images are shown


def test_the_eight_ways_are_the_symmetries_of_the_square() -> None:
    image = np.arange(9).reshape(3, 3)
    ways = {seen(image, way).tobytes() for way in range(8)}
    turns = [np.rot90(image, k) for k in range(4)]
    assert ways == {np.ascontiguousarray(a).tobytes() for t in turns for a in (t, t.T)}
    assert len(ways) == 8
    np.testing.assert_array_equal(seen(image, 0), image)
    oblong = np.arange(6).reshape(2, 3)
    shown = [seen(oblong, way) for way in range(8)]
    assert all(a.shape == (2, 3) for a in shown) and len({a.tobytes() for a in shown}) == 4
    np.testing.assert_array_equal(seen(image, 0, 1, 2), np.roll(image, (1, 2), (0, 1)))


def shown(batches: Batches) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images of an epoch in the order of the samples, and their targets."""
    found, targets = [], []
    for number in range(len(batches)):
        batch = batches[number]
        assert batch.images is not None
        found.append(batch.images.numpy())
        targets.append(batch.target.numpy())
    order = np.argsort(batches._order)
    return np.concatenate(found)[order], np.concatenate(targets)[order]


@pytest.mark.parametrize("augment", ["none", "flips", "flips-and-shifts"])
def test_training_images_are_shown_anew_in_each_epoch(augment: Any) -> None:
    examples = image_examples(n_samples=30)
    assert examples.images is not None
    first, again = (Batches(examples, 8, 5, augment=augment) for _ in range(2))
    epochs = [shown(first) for _ in range(2)]
    for (images, targets), (same, _) in zip(epochs, [shown(again) for _ in range(2)], strict=True):
        np.testing.assert_array_equal(images, same, err_msg="one seed, one way")
        np.testing.assert_array_equal(targets, examples.target)
        for image, original in zip(images, examples.images, strict=True):
            np.testing.assert_array_equal(np.bincount(image.ravel()), np.bincount(original.ravel()))
            kept = any((image == seen(original, way)).all() for way in range(8))
            assert kept or augment == "flips-and-shifts"
    changed = [(epochs[0][0][i] != epochs[1][0][i]).any() for i in range(30)]
    assert np.mean(changed) > 0.7 if augment != "none" else not any(changed)
    if augment == "flips-and-shifts":
        assert np.mean(epochs[0][0][:, -1, :]) > 0, "the empty last row of the originals is elsewhere"


def test_validation_and_other_draws_are_as_without() -> None:
    examples = image_examples(n_samples=10)
    held = Batches(examples, 4, None, augment="flips-and-shifts")
    np.testing.assert_array_equal(shown(held)[0], examples.images)
    plain, turned = Batches(examples, 4, 1), Batches(examples, 4, 1, augment="flips")
    _, _ = plain[0], turned[0]
    np.testing.assert_array_equal(plain._order, turned._order)


# ---------------------------------------------------------------- the learning rate


def test_warm_up_goes_from_a_tenth_to_all_and_back() -> None:
    part = PaperCNN(epochs=60)
    rates = [part.rate_of(epoch) for epoch in range(60)]
    assert rates[0] == pytest.approx(1e-4) and rates[-1] == pytest.approx(1e-4)
    assert max(rates) == rates[6] == pytest.approx(1e-3)
    assert (np.diff(rates[:7]) > 0).all() and (np.diff(rates[6:]) < 0).all()
    for epochs in (1, 2, 3):
        short = PaperCNN(epochs=epochs)
        assert all(0.99e-4 <= short.rate_of(epoch) <= 1e-3 for epoch in range(epochs))


@pytest.mark.parametrize("schedule", ["constant", "warm-up"])
def test_the_optimiser_follows_it(schedule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    part = PooledCNN(widths=(4, 4), epochs=5, schedule=schedule, batch=8)
    made: list[torch.optim.Optimizer] = []
    rates: list[float] = []
    configure = training.Fit.configure_optimizers

    def kept(self: training.Fit) -> torch.optim.Optimizer:
        made.append(configure(self))
        return made[-1]

    def progress(fraction: float) -> None:
        if abs(fraction * 5 - round(fraction * 5)) < 1e-6:
            rates.append(made[0].param_groups[0]["lr"])

    monkeypatch.setattr(training.Fit, "configure_optimizers", kept)
    part.build("binary", 0).fit(image_examples(n_samples=12), None, progress)
    assert rates == [part.rate_of(epoch) for epoch in range(5)]
    assert len(set(rates)) == (1 if schedule == "constant" else len({part.rate_of(e) for e in range(5)}))


def test_networks_without_a_schedule_are_the_same_fits_as_before_there_were_any() -> None:
    """The keys of a store rest on the recipe."""
    assert "schedule" not in GraphAttention().recipe()["settings"]
    assert GraphAttention(schedule="warm-up").recipe()["settings"]["schedule"] == "warm-up"
    assert PaperCNN().recipe()["settings"]["schedule"] == "warm-up"


# ---------------------------------------------------------------- fits that go on


class Stopped(Exception):
    """In place of a kill."""


PARTS: dict[str, Any] = {
    "images": PooledCNN(
        widths=(4, 6),
        epochs=6,
        batch=8,
        augment="flips-and-shifts",
        dropout=0.3,
        schedule="warm-up",
        weight_decay=0.1,
        balance="under",
    ),
    "graphs": MessagePassing(hidden=6, depth=2, heads=2, epochs=6, batch=8, dropout=0.3, schedule="warm-up"),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_stopped_fit_goes_on_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way images are shown, dropout and the learning rate go on too."""
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    examples = image_examples(n_samples=30) if name == "images" else whole_graph_examples(n_samples=30)
    sets = examples.select(range(22)), examples.select(range(22, 30))

    def fit(folder: Path | None, stop_after: int | None) -> NetworkModel:
        def progress(fraction: float) -> None:
            if stop_after is not None and abs(fraction * 6 - stop_after) < 1e-6:
                raise Stopped

        model: NetworkModel = PARTS[name].build("binary", 3)
        if folder is not None:
            model.resume_in(folder)
        return model.fit(*sets, progress)

    unbroken = fit(None, None)
    for stop in (2, 3, 5):
        with pytest.raises(Stopped):
            fit(tmp_path, stop)
        torch.manual_seed(99)
    model = fit(tmp_path, None)
    assert model.describe()["resumed_at"] == 5
    assert model.describe()["losses"] == unbroken.describe()["losses"]
    for key, value in unbroken.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[key]), key


# ---------------------------------------------------------------- what fits


@pytest.fixture(scope="module")
def fitted() -> NetworkModel:
    examples = image_examples(n_samples=20)
    return PooledCNN(widths=(4, 6), epochs=2).build("binary", 0).fit(examples, None, lambda f: None)


def test_examples_of_another_kind_are_refused_in_words(fitted: NetworkModel) -> None:
    with pytest.raises(DataError, match="cnn-pooled network takes images; these examples are vectors"):
        fitted.predict(vector_examples())
    with pytest.raises(DataError, match=r"height 24, width 24.*these examples have .*height 30, width 30"):
        fitted.predict(image_examples(size=30))
    with pytest.raises(DataError, match=r"channels 3; these .* channels 1"):
        fitted.predict(image_examples(classes=False))
    images = image_examples(n_samples=3)
    assert images.images is not None
    strange = replace(images, images=images.images + np.uint8(1))
    with pytest.raises(DataError, match=r"3 classes of pixels, 0 \(background\) to 2; .* a class 3"):
        fitted.predict(strange)
    for part, size in ((PaperCNN(), 13), (PooledCNN(), 15)):
        small = image_examples(n_samples=3, size=size)
        with pytest.raises(DataError, match=f"{size + 1} x {size + 1} pixels at least; these have {size}"):
            part.build("binary", 0).fit(small, None, lambda f: None)
    with pytest.raises(DataError, match=r"gat network predicts from features of rows.*images"):
        GraphAttention().build("binary", 0).fit(images, None, lambda f: None)


def test_a_folder_that_tells_of_a_huge_network_takes_no_memory(fitted: NetworkModel, tmp_path: Path) -> None:
    """Weights of 24 x 24 pixels, and a size of 100,000 written beside them: 13 TB if it were made."""
    part = PaperCNN(epochs=1)
    model = part.build("binary", 0).fit(image_examples(n_samples=4), None, lambda f: None)
    model.save(tmp_path)
    path = tmp_path / "scaling.json"
    path.write_text(path.read_text().replace('"height": 24', '"height": 100000'))
    with pytest.raises(DataError, match=r"dense\.0\.weight is \(80, 1936\), not"):
        part.build("binary", 0).load(tmp_path)


def test_predictions_are_made_in_parts_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 2^20 pixels or 50,000 bonds together, and every sample once."""
    examples = image_examples(n_samples=300, size=64)
    sizes = [len(b.features) for b in prediction._in_parts(examples)]
    assert max(sizes) * 64 * 64 <= 1 << 20 and sum(sizes) == 300 and len(sizes) == 2
    assert prediction._samples_at_once(replace(examples, images=np.zeros((300, 250, 250), np.uint8))) == 16
    graphs = whole_graph_examples(n_samples=60, n_nodes=14)
    assert graphs.edges is not None
    at_once = prediction._samples_at_once(graphs)
    assert at_once <= 256 and at_once * graphs.edges.shape[1] / 60 <= 50_000


def test_values_in_any_unit_are_learned_alike() -> None:
    """Pixels of 10 to 12 and the same a million times smaller."""
    examples = image_examples(n_samples=20, classes=False)
    assert examples.images is not None
    tiny = replace(examples, images=(examples.images * np.float32(1e-6)))
    part = PooledCNN(widths=(4, 6), epochs=3, batch=8)
    first, second = (part.build("binary", 0).fit(e, None, lambda f: None) for e in (examples, tiny))
    np.testing.assert_allclose(first.predict(examples), second.predict(tiny), atol=1e-3)


def test_examples_of_images_are_left_as_they_are() -> None:
    examples: Examples = image_examples(n_samples=8)
    before = examples.digest()
    for _ in Batches(examples, 3, 0, augment="flips-and-shifts"):
        pass
    assert examples.digest() == before
