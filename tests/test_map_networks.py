"""Crops of strain maps, the networks on them, and several classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vitrine.errors import DataError, StudyError
from vitrine.evaluate.classes import bootstrap_classes, confusion_matrix, paired_difference_of_classes
from vitrine.evaluate.splits import HoldOut
from vitrine.learn.map_batches import MapBatches
from vitrine.learn.maps import Residual
from vitrine.learn.networks.residual import ResidualNetwork
from vitrine.learn.parallel import ALONE
from vitrine.map_stack import CropPlan, MapStack
from vitrine.physics.crops import all_crops, cut_crops, with_lines
from vitrine.physics.resample import area_weights
from vitrine.represent.strain_crops import StrainCrops, blurred
from vitrine.samples import Examples
from vitrine.study.ceiling import ceiling_scores
from vitrine.testing.inputs import in_classes, map_examples, map_samples

PAPER = CropPlan(levels=0, low=-1.0, high=1.0)


def _maps(*shapes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [(0.1 * random.normal(size=shape)).astype(np.float16) for shape in shapes]


# ---------------------------------------------------------------- crops


def test_there_are_24_crops_of_the_stated_sizes() -> None:
    assert PAPER.views == 24
    crops = all_crops(MapStack.of(_maps((124, 31)), PAPER), 0)
    assert crops.shape == (24, 224, 224) and crops.dtype == np.float32
    places = [PAPER.place(view) for view in range(24)]
    assert sorted({side for side, _, _ in places}) == [256, 288, 320, 352]
    assert [sum(square == n for _, square, _ in places) for n in range(3)] == [8, 8, 8]
    assert sum(middle for _, _, middle in places) == 12


@pytest.mark.parametrize("shape", [(124, 31), (250, 62), (1000, 250), (7, 5)])
def test_crops_are_those_of_the_resized_picture(shape: tuple[int, int]) -> None:
    """Against the whole picture, resized by dense matrices, then cut with slices."""
    (map_,) = _maps(shape)
    plan = CropPlan((20, 26), 16, -1.0, 1.0, 0)
    crops = all_crops(MapStack.of([map_], plan), 0)
    grey = (map_.astype(float) + 1) / 2
    for view, crop in enumerate(crops):
        side, square, middle = plan.place(view)
        picture = area_weights(shape[0], 3 * side) @ grey @ area_weights(shape[1], side).T
        wanted = picture[square * side : (square + 1) * side]
        gap = (side - 16) // 2
        if middle:
            wanted = wanted[gap : gap + 16, gap : gap + 16]
        else:
            wanted = area_weights(side, 16) @ wanted @ area_weights(side, 16).T
        np.testing.assert_allclose(crop, wanted, atol=3e-6)


@pytest.mark.parametrize(("old", "new"), [(31, 256), (250, 88), (100, 100), (3, 7), (7, 3)])
def test_resizing_keeps_the_mean(old: int, new: int) -> None:
    values = np.random.default_rng(1).normal(size=old)
    weights = area_weights(old, new)
    assert (weights @ values).mean() == pytest.approx(values.mean(), abs=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)


def test_one_grey_scale_for_all_maps() -> None:
    plan = CropPlan((8,), 8, -0.02, 0.06, 256)
    strains = np.array([[-0.5, -0.02, 0.02, 0.06, 0.5, np.nan]], np.float16)
    grey = plan.greys[strains.view(np.uint16)][0]
    levels = 255 * grey
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    np.testing.assert_allclose(grey[[0, 1, 3, 4]], [0, 0, 1, 1], atol=1e-6)
    assert grey[2] == pytest.approx(0.5, abs=1 / 255) and grey[5] == pytest.approx(0.25, abs=1 / 255)
    # a scale of its own for each map would make the noise of a quiet map as bright as the lines of another
    quiet, loud = (np.full((4, 4), value, np.float16) for value in (0.001, 0.05))
    quiet[0, 0], loud[0, 0] = 0.0011, 0.06
    crops = [all_crops(MapStack.of([each], plan), 0) for each in (quiet, loud)]
    assert np.ptp(crops[0]) < 0.01 < np.ptp(crops[1])


def test_selecting_shares_pixels_and_packs_for_files(tmp_path: Path) -> None:
    stack = MapStack.of(_maps((9, 3), (8, 4), (12, 3)), PAPER)
    some = stack.select([2, 0])
    assert some.pixels is stack.pixels and len(some) == 2
    np.testing.assert_array_equal(some.image(0), stack.image(2))
    again = MapStack.from_arrays(some.arrays())
    assert len(again.pixels) == 36 + 27
    np.testing.assert_array_equal(again.image(1), stack.image(0))
    assert again.digest_parts() == some.digest_parts()
    examples = map_examples(n_samples=6).select([4, 1])
    examples.save(tmp_path)
    assert Examples.load(tmp_path).digest() == examples.digest()
    broken = some.arrays() | {"map_shapes": np.array([[9, 9], [1, 1]])}
    with pytest.raises(ValueError, match="pixels"):
        MapStack.from_arrays(broken)


def test_crops_without_lines_are_left_out_unless_a_map_has_none() -> None:
    quiet, line = np.full((48, 16), 0.001, np.float16), np.full((48, 16), 0.001, np.float16)
    line[4, :] = 0.05  # in the lower third alone
    plan = CropPlan((16,), 12, -0.02, 0.06, 0, least=0.01)
    shown = with_lines(MapStack.of([quiet, line], plan))
    assert shown[0].all()
    assert [plan.place(view)[1] for view in np.flatnonzero(shown[1])] == [0, 0]


def test_a_camera_averages_over_its_subset() -> None:
    values = np.zeros((9, 9), np.float32)
    values[4, 4] = 9.0
    np.testing.assert_allclose(blurred(values, 3.0)[3:6, 3:6], 1.0, atol=1e-6)
    np.testing.assert_allclose(blurred(values, 1.0), values, atol=1e-6)
    assert blurred(values, 2.0)[4, 4] == pytest.approx(9 / 4)
    flat = np.full((7, 5), 0.3, np.float32)
    np.testing.assert_allclose(blurred(flat, 4.4), 0.3, rtol=1e-6)  # also at the rims
    flat[2, 2] = np.nan
    np.testing.assert_allclose(blurred(flat, 3.0), 0.3, rtol=1e-6)


def test_missing_pixels_take_the_mean_and_an_empty_map_is_named() -> None:
    samples = map_samples()
    examples = StrainCrops(sides=(16,), crop=14).build(samples, lambda tasks: [])
    assert examples.maps is not None
    holes = samples.items[-1].axial
    filled = examples.maps.image(len(samples) - 1)
    assert np.isfinite(filled).all()
    assert filled[6, 4] == pytest.approx(np.nanmean(holes), rel=1e-3)
    empty = replace(samples.items[0], strain=np.full_like(samples.items[0].strain, np.nan))
    with pytest.raises(DataError, match="map0/1"):
        StrainCrops().build(replace(samples, items=[empty, *samples.items[1:]]), lambda tasks: [])


# ---------------------------------------------------------------- networks


def test_published_numbers_of_parameters() -> None:
    network = ResidualNetwork(3, modules=2, blocks=3)
    trainable = sum(p.numel() for p in network.parameters())
    moving = sum(b.numel() for n, b in network.named_buffers() if "running" in n)
    assert (trainable, trainable + moving) == (258_403, 259_779)


def test_shapes_of_the_layers() -> None:
    network = ResidualNetwork(3, modules=2, blocks=3).eval()
    shapes = []
    for layer in network.layers:
        layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    with torch.inference_mode():
        out = network(torch.zeros(1, 0), torch.zeros(1, 224, 224))
    edges = [224] * 3 + [112] * 3 + [56] * 3 + [28]
    channels = [16] * 4 + [32] * 3 + [64] * 3
    assert shapes == [(c, e, e) for c, e in zip(channels, edges, strict=True)]
    assert out.shape == (1, 3)
    parts = [len(list(module.shortcut.children())) for module in network.layers[4:6]]
    assert parts == [2, 0], "a convolution where channels change, else the identity"


def test_the_penalty_is_on_kernels_alone() -> None:
    network = ResidualNetwork(3, modules=1, blocks=4)
    kernels = [p for n, p in network.named_parameters() if p.ndim == 4]
    wanted = sum(float(p.detach().square().sum()) for p in kernels)
    assert float(network.penalised().detach()) == pytest.approx(wanted, rel=1e-5)
    assert len(kernels) == 1 + 2 * (4 + 1)


def test_each_epoch_shows_every_map_by_other_crops() -> None:
    examples = in_classes(map_examples(n_samples=9))
    assert examples.maps is not None
    batches = MapBatches(examples, 10, 4, seed=3)
    epochs = []
    for _ in range(2):
        assert len(batches[0].target) == 10
        codes = batches._order.copy()
        assert len(codes) == 36 and len(np.unique(codes)) == 36
        assert (np.bincount(codes // examples.maps.plan.views, minlength=9) == 4).all()
        epochs.append(codes)
        assert sum(len(batches[i].target) for i in range(1, len(batches))) == 26
    assert set(epochs[0]) != set(epochs[1])
    fixed = MapBatches(examples, 100, 4, seed=None)
    first, second = fixed[0], fixed[0]
    torch.testing.assert_close(first.images, second.images)
    views = fixed._order[:4] % examples.maps.plan.views
    assert len({examples.maps.plan.place(int(v))[1] for v in views}) > 1, "validation sees one square alone"


def test_a_batch_holds_what_it_says() -> None:
    examples = in_classes(map_examples(n_samples=8))
    assert examples.maps is not None and examples.target is not None
    batches = MapBatches(examples, 16, 3, seed=0, rank=ALONE, augment="mirrors")
    batch = batches[0]
    numbers, views = np.divmod(batches._order[:16], examples.maps.plan.views)
    plain = cut_crops(examples.maps, numbers, views)
    np.testing.assert_array_equal(batch.target.numpy(), examples.target[numbers])
    assert batch.images is not None
    for seen, crop in zip(batch.images.numpy(), plain, strict=True):
        ways = [crop, crop[::-1, ::-1], crop[:, ::-1], crop[::-1]]
        assert any(np.array_equal(seen, way) for way in ways)


def test_a_prediction_is_the_mean_over_crops() -> None:
    examples = in_classes(map_examples(n_samples=12))
    assert examples.maps is not None
    model = Residual(modules=1, blocks=1, epochs=1, views=2, batch=8).build("classes", 0)
    model.fit(examples, None, lambda fraction: None)
    network = model.network.eval()
    with torch.inference_mode():
        crops = torch.from_numpy(all_crops(examples.maps, 5))
        wanted = torch.softmax(network(torch.zeros(len(crops), 0), crops).double(), 1).mean(0)
    np.testing.assert_allclose(model.predict(examples)[5], wanted, atol=1e-6)
    features = model.embed(examples.select([5]))
    assert features.shape == (1, examples.maps.plan.views, 64)
    with torch.inference_mode():
        np.testing.assert_allclose(features[0], network.pooled(crops), atol=1e-5)


class Killed(Exception):
    """The machine is gone."""


def test_a_killed_training_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitrine.learn import resume

    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    examples = in_classes(map_examples(n_samples=12))
    part = Residual(modules=1, blocks=1, epochs=4, views=2, batch=8, augment="turns")

    def fitted(folder: Path, stop: int | None) -> dict[str, np.ndarray]:
        model = part.build("classes", 0)
        model.resume_in(folder)

        def tell(fraction: float) -> None:
            if stop is not None and fraction >= stop / 4:
                raise Killed

        model.fit(examples.select(range(8)), examples.select(range(8, 12)), tell)
        return {name: tensor.numpy().copy() for name, tensor in model.network.state_dict().items()} | {
            "resumed": np.array(model.describe().get("resumed_at", 0))
        }

    whole = fitted(tmp_path / "whole", None)
    with pytest.raises(Killed):
        fitted(tmp_path / "killed", 2)
    again = fitted(tmp_path / "killed", None)
    assert whole.pop("resumed") == 0 and again.pop("resumed") == 2
    for name, values in whole.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)


# ---------------------------------------------------------------- several classes


def test_metrics_of_classes_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    random = np.random.default_rng(2)
    truth = random.integers(0, 3, 200)
    scores = random.random((200, 3)) + np.eye(3)[truth] * 0.5
    called = scores.argmax(axis=1)
    groups = np.repeat(np.arange(20), 10)
    found = bootstrap_classes(["accuracy", "balanced_accuracy", "macro_f1"], truth, scores, groups)
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(truth, called))
    assert found["balanced_accuracy"].value == pytest.approx(metrics.balanced_accuracy_score(truth, called))
    assert found["macro_f1"].value == pytest.approx(metrics.f1_score(truth, called, average="macro"))
    np.testing.assert_array_equal(confusion_matrix(truth, scores), metrics.confusion_matrix(truth, called))
    assert found["accuracy"].low is not None and found["accuracy"].low < found["accuracy"].value
    both = paired_difference_of_classes("accuracy", truth, scores, scores, groups)
    assert (both.value, both.low, both.high) == (0.0, 0.0, 0.0)
    seeds = bootstrap_classes(["accuracy"], truth, np.stack([scores, scores[:, ::-1]]), groups)
    other = metrics.accuracy_score(truth, scores[:, ::-1].argmax(axis=1))
    assert seeds["accuracy"].value == pytest.approx((found["accuracy"].value + other) / 2)


def test_bad_classes_are_refused() -> None:
    with pytest.raises(StudyError, match="accuracy"):
        bootstrap_classes(["acuracy"], [0, 1], np.eye(2), [0, 1])
    with pytest.raises(DataError, match="0 to 1"):
        bootstrap_classes(["accuracy"], [0, 2], np.eye(2), [0, 1])
    with pytest.raises(DataError, match="finite"):
        bootstrap_classes(["accuracy"], [0, 1], np.full((2, 2), np.nan), [0, 1])


def test_hold_out_has_the_published_sizes_and_parts_no_crystal() -> None:
    groups = tuple(f"crystal{n}" for n in range(608) for _ in range(6))
    (leaky,) = HoldOut(by="sample").folds_of(groups)
    assert [len(s) for s in (leaky.train, leaky.validation, leaky.test)] == [2253, 504, 891]
    (honest,) = HoldOut().folds_of(groups)
    sets = [{groups[i] for i in s} for s in (honest.train, honest.validation, honest.test)]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert abs(len(honest.test) - 891) <= 6 and abs(len(honest.validation) - 504) <= 6
    with pytest.raises(StudyError, match="3 groups"):
        HoldOut().folds_of(("a", "b"))


def test_the_ceiling_is_what_equal_maps_allow() -> None:
    """Three maps are one and the same in classes 0, 0 and 1: two of three at most; a fourth is its own."""
    same, other = np.full((8, 4), 0.001, np.float16), np.full((8, 4), 0.001, np.float16)
    other[3, 3] = 0.01
    plan = CropPlan((8,), 8)
    examples = replace(
        in_classes(map_examples(n_samples=4)),
        maps=MapStack.of([same, same.copy(), same.copy(), other], plan),
        target=np.array([0, 0, 1, 1], np.float32),
    )
    scores = ceiling_scores(examples)
    np.testing.assert_allclose(scores[0], [2 / 3, 1 / 3, 0])
    assert (scores.argmax(axis=1) == examples.target).mean() == 0.75
