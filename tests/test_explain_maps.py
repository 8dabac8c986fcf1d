"""Explanations of networks on strain maps: filters, saliency, features in a plane."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vitrine.errors import StudyError
from vitrine.explain.feature_map import FeatureMap, nearest_has_class, panels_of, plane_of_features
from vitrine.explain.filters import Filters, ascended, lines_of, module_maps, off_lines, squeezed
from vitrine.explain.found import Explained
from vitrine.explain.saliency import Saliency, copied, randomised, saliency, share_on_extremes, some_crops
from vitrine.learn.baselines import Chance
from vitrine.learn.maps import MapModel, Residual
from vitrine.learn.networks.residual import ResidualNetwork
from vitrine.map_stack import CropPlan, MapStack
from vitrine.represent.whole import whole_examples
from vitrine.samples import Examples, Samples

PLAN = CropPlan((16, 18), 14)
COUNT = 9
NAMES = ("small", "medium", "large")
PARTS = (Filters(model="m", steps=4, pixels=24, shown=4), Saliency(model="m"), FeatureMap(model="m"))


def _samples(count: int = COUNT) -> Samples:
    number = np.arange(count)
    return Samples(
        "maps",
        [None] * count,
        tuple(f"m{n}" for n in number),
        tuple(f"g{n // 2}" for n in number),
        attributes={
            "width": np.where(number % 2, 1.0, 0.125),
            "slip_systems": 1.0 + (number % 3 == 0),
            "reload": np.where(number < 4, 0.1, 1.0),
        },
    )


def _examples(count: int = COUNT, kind: str = "classes", quiet: tuple[int, ...] = (0,)) -> Examples:
    """Bands at some angle on a quiet ground, more of them in a higher class; some maps are constant."""
    random = np.random.default_rng(3)
    row, column = np.indices((48, 12))
    maps = []
    for number in range(count):
        bands = (row + column + number) % (11 - 4 * (number % 3)) == 0
        strain = 0.001 + 0.03 * bands + random.normal(0, 1e-3, row.shape)
        maps.append((np.full(row.shape, 0.01) if number in quiet else strain).astype(np.float16))
    stack = MapStack.of(maps, PLAN)
    found = replace(whole_examples("maps", _samples(count), None, (), maps=stack), target_kind=kind)
    target = np.arange(count, dtype=np.float32)
    if kind == "value":
        return replace(found, target=target)
    return replace(found, target=target % 3, class_names=NAMES)


@cache
def _fitted(kind: str = "classes") -> MapModel:
    part = Residual(epochs=1, views=2, batch=8, modules=2, blocks=2)
    return part.build(kind, 0).fit(_examples(kind=kind), None, lambda fraction: None)


def _explained(part: Any, kind: str = "classes") -> Explained:
    found: Explained = part.explain(_fitted(kind), _samples(), _examples(kind=kind))
    return found


class Tiny(nn.Module):
    """linear 4 -> 3, ReLU, linear 3 -> 2, on pictures of 2 x 2 pixels."""

    first = torch.tensor([[1.0, -2.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [-1.0, 0.0, 0.0, -1.0]])
    second = torch.tensor([[2.0, -3.0, 5.0], [1.0, 1.0, 4.0]])

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
        with torch.no_grad():
            for layer, weight in ((self.layers[0], self.first), (self.layers[2], self.second)):
                layer.weight.copy_(weight)
                layer.bias.zero_()

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """(n, 2)."""
        out: Tensor = self.layers(images.flatten(1))
        return out


# ---------------------------------------------------------------- saliency

HERE = np.array([[[1.0, 0.25], [0.5, 0.75]]], np.float32)
"""neurons of the hidden layer get 1.25, 0.75 and -1.75: the third is silent"""


def test_plain_saliency_by_hand() -> None:
    # output 0: 2 * first row - 3 * second row
    found = saliency(Tiny(), HERE, np.array([0]))
    np.testing.assert_allclose(found, [[[2, 7], [3, 2]]], atol=1e-6)


def test_guided_saliency_by_hand() -> None:
    """The slope -3 of output 0 stays behind; the silent third neuron too, though its slope is +5."""
    network = Tiny()
    np.testing.assert_allclose(
        saliency(network, HERE, np.array([0]), "guided"), [[[2, 4], [0, 2]]], atol=1e-6
    )
    # without a look at what went in, 5 times the third row comes back as well
    rectified = saliency(network, HERE, np.array([0]), "rectified")
    np.testing.assert_allclose(rectified, [[[3, 4], [0, 3]]], atol=1e-6)
    # output 1 has positive slopes alone: first row plus second row, guided or not
    for rule in (None, "guided"):
        np.testing.assert_allclose(
            saliency(network, HERE, np.array([1]), rule), [[[1, 1], [1, 1]]], atol=1e-6
        )  # type: ignore[arg-type]


def test_without_a_class_it_is_the_largest_output() -> None:
    network = Tiny()
    out = network(torch.zeros(1, 0), torch.from_numpy(HERE))[0]
    assert out.argmax() == 1
    np.testing.assert_array_equal(saliency(network, HERE), saliency(network, HERE, np.array([1])))


def test_plain_saliency_is_the_slope_of_the_logit() -> None:
    network = copied(_fitted().network).double()
    random = np.random.default_rng(0)
    crops = random.random((2, 14, 14))
    found = saliency(network, crops, np.array([2, 1]))

    def logit(images: np.ndarray, own: int) -> float:
        pictures = torch.from_numpy(images[None])
        return float(network(pictures.new_zeros(1, 0), pictures)[0, own])

    for number, own in enumerate((2, 1)):
        for row, column in ((3, 4), (0, 13), (7, 7)):
            high, low = crops[number].copy(), crops[number].copy()
            high[row, column] += 1e-7
            low[row, column] -= 1e-7
            wanted = abs(logit(high, own) - logit(low, own)) / 2e-7
            assert found[number, row, column] == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def test_parts_of_a_stack_are_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    crops = some_crops(_examples().maps, 7)  # type: ignore[arg-type]
    assert crops.shape == (7, 14, 14)
    whole = saliency(_fitted().network, crops, None, "guided")
    monkeypatch.setattr("vitrine.explain.saliency.AT_ONCE", 2 * 14 * 14)
    np.testing.assert_allclose(
        saliency(_fitted().network, crops, None, "guided"), whole, rtol=1e-4, atol=1e-6
    )


def test_the_pixels_furthest_from_the_mean_share_equal_places() -> None:
    grey = np.zeros((10, 10), np.float32)
    grey[0, :5] = 1.0
    on, everywhere = np.zeros((10, 10)), np.ones((10, 10))
    on[0, :5] = 1.0
    assert share_on_extremes(on, grey, 0.05) == pytest.approx(1.0)
    assert share_on_extremes(everywhere, grey, 0.05) == pytest.approx(0.05)
    # ten pixels would be too many for five places: half of each counts
    grey[0] = 1.0
    assert share_on_extremes(on, grey, 0.05) == pytest.approx(0.5)
    # nothing stands out, or nothing is salient: chance
    assert share_on_extremes(on, np.full((10, 10), 0.3, np.float32), 0.05) == pytest.approx(0.05)
    assert share_on_extremes(0 * on, grey, 0.05) == 0.05


def test_random_weights_are_others_and_settled() -> None:
    network, crops = _fitted().network, some_crops(_examples().maps)  # type: ignore[arg-type]
    state = torch.get_rng_state()
    found, again, other = (randomised(network, seed, crops) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [list(each.parameters()) for each in (found, again, other, network)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    big = [n for n, own in enumerate(weights[0]) if own.ndim > 1]
    assert not any(torch.equal(weights[0][n], weights[2][n]) for n in big)
    assert not any(torch.equal(weights[0][n], weights[3][n]) for n in big)
    assert found.mean == network.mean and found.spread == network.spread
    # what the first normalisation gives has mean 0 and spread 1 over the crops that it settled on
    scaled = (torch.from_numpy(crops) - found.mean) / found.spread
    out = found.layers[1](found.layers[0](scaled[:, None]))
    assert out.mean((0, 2, 3)).abs().max() < 1e-3
    assert (out.std((0, 2, 3)) - 1).abs().max() < 1e-2
    randomised(network, 0, crops[:1])


def test_saliency_of_every_sample() -> None:
    found = _explained(PARTS[1])
    spearman = found.numbers["spearman", "guided saliency with that of random weights"]
    share = found.numbers["share", "plain saliency on the 5 % of pixels that differ most from the mean"]
    assert spearman.shape == share.shape == (COUNT,)
    assert np.abs(spearman).max() <= 1 and (share >= 0).all() and (share <= 1).all()
    assert share[0] == pytest.approx(0.05)  # a constant map
    # columns: crop, plain and guided, trained and random; a row for each class
    images = found.images[0]
    assert images.columns == 5 and len(images.panels) == 15
    labels = [panel["label"] for panel in images.panels]
    assert labels[::5] == list(NAMES)
    shown = [
        f"{rule}, {weights} weights" for weights in ("trained", "random") for rule in ("plain", "guided")
    ]
    assert labels[1:5] == shown
    assert (
        "Samples: " in images.caption and "m0" not in images.caption
    )  # constant, so others of its class have more contrast


def test_drawn_pictures_are_small() -> None:
    plan = CropPlan((230,), 226)
    examples = _examples()
    large = replace(examples, maps=replace(examples.maps, plan=plan)).select([1, 2])  # type: ignore[type-var]
    panels = Saliency(model="m").explain(_fitted(), _samples().select([1, 2]), large).images[0].panels
    assert {np.shape(panel["values"]) for panel in panels} == {(75, 75)}


# ---------------------------------------------------------------- filters


def _stripes(angle: float, period: float = 9.0, size: int = 48) -> np.ndarray:
    """Lines at an angle [degrees] from the direction of rows, toward higher columns."""
    row, column = np.indices((size, size))
    turn = np.radians(angle)
    return 0.5 + 0.5 * np.sin(2 * np.pi / period * (column * np.cos(turn) - row * np.sin(turn)))


@pytest.mark.parametrize("angle", [-60.0, -37.6, 0.0, 12.0, 30.0, 45.0, 90.0])
@pytest.mark.parametrize("period", [5.0, 11.0])
def test_pure_stripes_are_coherent_lines(angle: float, period: float) -> None:
    coherence, found = lines_of(_stripes(angle, period))
    assert coherence == pytest.approx(1.0, abs=1e-3)
    assert off_lines(found, 0.0) == pytest.approx(off_lines(angle, 0.0), abs=0.2)
    assert (found + 90 - angle) % 180 - 90 == pytest.approx(0.0, abs=0.2)


def test_pictures_without_direction() -> None:
    assert lines_of(np.full((20, 20), 0.4)) == (0.0, 0.0)
    row, column = np.indices((61, 61)) - 30
    rings = np.sin(np.hypot(row, column) / 2)
    assert lines_of(rings)[0] < 0.02
    crossed = lines_of(_stripes(30, 8, 64) + _stripes(-60, 8, 64))[0]  # as much of both
    assert crossed < 0.1


def test_thirty_degrees_in_a_squeezed_picture() -> None:
    """A map four times as long as wide is drawn three times as long."""
    stack = MapStack.of([np.zeros((124, 31), np.float16), np.zeros((96, 24), np.float16)], PLAN)
    assert squeezed(30.0, stack) == pytest.approx(37.589, abs=1e-3)  # atan(4 / (3 sqrt 3))
    # by hand: a line of slope tan 30° in a map, through its resized picture
    rows, columns, side = 4 * 60, 60, 256
    run = np.tan(np.radians(30)) * 90  # columns after 90 rows
    drawn = np.degrees(np.arctan((run * side / columns) / (90 * 3 * side / rows)))
    assert squeezed(30.0, stack) == pytest.approx(drawn, abs=1e-9)


def test_distance_of_directions() -> None:
    assert off_lines(37.6, 37.6) == pytest.approx(0)
    assert off_lines(-30.0, 37.6) == pytest.approx(7.6)
    assert off_lines(90.0, 37.6) == pytest.approx(52.4)
    assert off_lines(-90.0, 37.6) == pytest.approx(52.4)
    angles = np.arange(-90, 90, 0.01)
    mean = np.mean([off_lines(float(angle), 37.589) for angle in angles])
    at_random = [v for (_, what, _), v in _explained(PARTS[0]).values.items() if "at random" in what]
    assert at_random == [pytest.approx(mean, abs=0.01)]


@pytest.mark.parametrize("angle", [0.0, 40.0, -37.6, 90.0])
def test_a_line_filter_likes_lines_of_its_direction(angle: float) -> None:
    """A convolution with a positive line in negative surroundings, then a ReLU."""
    kernel = torch.from_numpy(_stripes(angle, 6.0, 7) - 0.5).float()
    kernel -= kernel.mean()
    random = np.random.default_rng(0)
    start = torch.from_numpy(0.46 + 0.08 * random.random((1, 40, 40))).float()

    def respond(pictures: Tensor) -> Tensor:
        return torch.relu(nn.functional.conv2d(pictures[:, None], kernel[None, None])).mean((1, 2, 3))

    picture = ascended(respond, start, 60, 0.02)
    assert picture.min() >= 0 and picture.max() <= 1
    assert respond(picture) > 5 * respond(start)
    assert lines_of(start[0].numpy())[0] < 0.2
    coherence, found = lines_of(picture[0].double().numpy())
    assert coherence > 0.8
    assert (found + 90 - angle) % 180 - 90 == pytest.approx(0.0, abs=6)


def test_ascent_reaches_a_known_optimum() -> None:
    """A linear rating is best where pixels are white at positive weights and black at negative ones."""
    weights = torch.from_numpy(np.random.default_rng(1).choice([-2.0, -0.5, 0.5, 2.0], (3, 8, 8))).float()
    found = ascended(lambda p: (p * weights).sum((1, 2)), torch.full((3, 8, 8), 0.5), 300, 0.02)
    assert torch.equal(found, (weights > 0).float())


def test_one_step_has_the_stated_size() -> None:
    start = torch.full((2, 6, 6), 0.5)
    weights = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 6, 6))).float()
    moved = ascended(lambda p: 1e-9 * (p * weights).sum((1, 2)), start, 1, 0.01) - start
    np.testing.assert_allclose(moved.square().mean((1, 2)).sqrt(), 0.01, rtol=1e-4)
    silent = ascended(lambda p: 0 * p.sum((1, 2)), start, 3, 0.01)  # no slope, no step
    assert torch.equal(silent, start)


def test_module_maps_are_those_on_the_way_through() -> None:
    torch.manual_seed(0)
    network = ResidualNetwork(3, 2, 2).eval()
    network.calibrate(torch.rand(4, 20, 20))
    caught: dict[str, Tensor] = {}
    modules = [layer for layer in network.layers if hasattr(layer, "blocks")]
    modules[2].blocks.register_forward_hook(lambda module, got, out: caught.update(out=out))
    images = torch.rand(3, 20, 20)
    with torch.no_grad():
        network(torch.zeros(3, 0), images)
        found = module_maps(network, 3)(images)  # type: ignore[misc]
    assert found.shape == (3, 64, 5, 5)
    torch.testing.assert_close(found, caught["out"])
    assert module_maps(network, 4) is not None and module_maps(network, 5) is None


def test_filters_gain_on_a_network_that_was_hardly_trained() -> None:
    found = _explained(Filters(model="m", steps=30, pixels=32))
    gains = [value for (metric, _, _), value in found.values.items() if metric == "gain"]
    assert len(gains) == 2 and min(gains) > 1
    coherence = [value for (metric, _, _), value in found.values.items() if metric == "coherence"]
    assert len(coherence) == 2 and all(0 <= value <= 1 for value in coherence)
    panels = found.images[0].panels
    assert len(panels) == 9 and found.images[0].columns == 3
    for panel in panels:
        values = np.array(panel["values"])
        assert values.shape == (32, 32) and values.min() >= 0 and values.max() <= 1


def test_a_network_with_fewer_modules_is_refused() -> None:
    with pytest.raises(StudyError, match="fewer than 9 residual modules"):
        _explained(Filters(model="m", module=9))


# ---------------------------------------------------------------- features


def test_components_of_known_features() -> None:
    random = np.random.default_rng(0)
    t, s = random.normal(size=(2, 200))
    t, s = t - t.mean(), s - s.mean()
    s -= t * (s @ t) / (t @ t)
    features = 3 * t[:, None] * [0.6, 0.8, 0] + s[:, None] * [0, 0, -1.0] + 5.0
    points, shares = plane_of_features(features)
    np.testing.assert_allclose(points, np.stack([3 * t, -s], axis=1), atol=1e-9)
    total = 9 * (t @ t) + s @ s
    np.testing.assert_allclose(shares, [9 * (t @ t) / total, s @ s / total])
    points, shares = plane_of_features(np.ones((4, 3)))
    assert not points.any() and not shares.any()
    assert plane_of_features(np.arange(3.0)[:, None])[0].shape == (3, 2)


def test_neighbours_of_the_same_crystal_do_not_count() -> None:
    points = np.array([[0.0], [0.1], [1.0], [1.2]])
    classes, groups = np.array([0, 0, 1, 0]), np.array(["a", "a", "b", "c"])
    np.testing.assert_array_equal(nearest_has_class(points, classes, groups), [0, 0, 0, 0])
    alone = np.array(["a", "b", "c", "d"])
    np.testing.assert_array_equal(nearest_has_class(points, classes, alone), [1, 1, 0, 0])
    assert np.isnan(nearest_has_class(points, classes, np.full(4, "a"))).all()


def _of(width: list[float], reload: list[float], slips: list[float]) -> Samples:
    rows = np.array([(w, r, s) for w in width for s in slips for r in reload])
    names = tuple(str(n) for n in range(len(rows)))
    attributes = dict(zip(("width", "reload", "slip_systems"), rows.T, strict=True))
    return Samples("maps", [None] * len(rows), names, names, attributes=attributes)


def test_panels_stand_in_the_published_order() -> None:
    samples = _of([0.0625, 0.125, 0.25, 0.5, 1, 2], [0.1, 1], [1, 2])
    panels = panels_of(samples)
    assert len(panels) == 12
    words = [label for label, _ in panels]
    assert words[:4] == [
        "2 µm, reload 1 %, one slip",
        "2 µm, reload 1 %, two slips",
        "2 µm, reload 0.1 %, one slip",
        "2 µm, reload 0.1 %, two slips",
    ]
    assert [label.split(" ")[0] for label in words[::4]] == ["2", "0.5", "0.0625"]
    for label, inside in panels:
        (number,) = inside
        own = {name: values[number] for name, values in samples.attributes.items()}
        assert label.startswith(f"{own['width']:g} µm, reload {own['reload']:g} %")
    # few enough are all kept
    assert len(panels_of(_of([0.0625, 0.125, 1], [0.1, 1], [1, 2]))) == 12
    assert len(panels_of(_of([0.0625, 0.125, 1, 2], [0.1], [1, 2]))) == 8
    many = panels_of(_of([0.0625, 0.125, 1, 2], [0.1, 0.2, 0.4, 1], [1, 2]))
    assert len(many) == 12 and not any("0.2" in label or "0.4" in label for label, _ in many)


def test_panels_of_maps_of_which_little_is_known() -> None:
    samples = replace(_of([1, 2], [1], [1]), attributes={})
    ((label, inside),) = panels_of(samples)
    assert label == "all maps" and len(inside) == 2
    some = replace(samples, attributes={"width": np.array([1.0, 2.0])})
    assert [label for label, _ in panels_of(some)] == ["2 µm", "1 µm"]


def test_every_map_is_a_point() -> None:
    found = _explained(PARTS[2])
    (cloud,) = found.clouds
    assert cloud.class_names == NAMES
    assert sum(len(panel["x"]) for panel in cloud.panels) == COUNT
    assert all(len(panel["x"]) == len(panel["y"]) == len(panel["classes"]) for panel in cloud.panels)
    assert all(
        values.shape == (COUNT,) and np.isin(values, (0, 1)).all() for values in found.numbers.values()
    )
    first, second = found.values.values()
    assert 0 <= second <= first and first + second <= 1 + 1e-9


def test_values_are_coloured_by_thirds() -> None:
    (cloud,) = _explained(FeatureMap(model="m"), "value").clouds
    assert cloud.class_names == ("lowest third", "middle third", "highest third")
    assert np.bincount([number for panel in cloud.panels for number in panel["classes"]]).tolist() == [
        3,
        3,
        3,
    ]


# ---------------------------------------------------------------- all


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
@pytest.mark.parametrize("kind", ["classes", "value"])
def test_looking_changes_nothing_and_finds_the_same_twice(part: Any, kind: str) -> None:
    model, examples = _fitted(kind), _examples(kind=kind)
    before = model.predict(examples)
    state = {name: values.clone() for name, values in model.network.state_dict().items()}
    flags = [layer.inplace for layer in model.network.modules() if isinstance(layer, nn.ReLU)]
    first, second = _explained(part, kind), _explained(part, kind)
    np.testing.assert_array_equal(model.predict(examples), before)
    assert all(torch.equal(state[name], values) for name, values in model.network.state_dict().items())
    assert flags == [layer.inplace for layer in model.network.modules() if isinstance(layer, nn.ReLU)]
    assert not any(layer._backward_hooks for layer in model.network.modules())
    assert all(weight.requires_grad for weight in model.network.parameters())
    assert first.values == second.values
    for key, values in first.numbers.items():
        np.testing.assert_array_equal(second.numbers[key], values)
    for group in ("images", "clouds"):
        wanted = json.dumps([vars(each) for each in getattr(first, group)], allow_nan=False)
        assert wanted == json.dumps([vars(each) for each in getattr(second, group)])


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
@pytest.mark.parametrize("loaded", [False, True])
def test_constant_maps_and_a_loaded_model(part: Any, loaded: bool, tmp_path: Path) -> None:
    """Numbers stay finite; a network just read is in training mode, which changes nothing."""
    examples = replace(_examples(quiet=tuple(range(COUNT))), target=np.arange(COUNT, dtype=np.float32) % 3)
    model = _fitted()
    if loaded:
        model.save(tmp_path)
        model = Residual(modules=2, blocks=2).build("classes", 0).load(tmp_path)
    found: Explained = part.explain(model, _samples(), examples)
    assert all(np.isfinite(values).all() for values in found.numbers.values())
    assert np.isfinite(list(found.values.values())).all()
    json.dumps([vars(each) for each in (*found.images, *found.clouds)], allow_nan=False)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
def test_two_samples_without_a_target(part: Any) -> None:
    examples = replace(_examples().select([0, 1]), target=None)
    found: Explained = part.explain(_fitted(), _samples().select([0, 1]), examples)
    assert all(np.isfinite(values).all() for values in found.numbers.values())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
def test_other_models_are_refused(part: Any) -> None:
    examples = _examples()
    blind = Chance().build("classes", 0).fit(examples, None, lambda fraction: None)
    with pytest.raises(StudyError, match="the model m "):
        part.explain(blind, _samples(), examples)
