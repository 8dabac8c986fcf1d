"""Stress-strain curves foretold by neighbours in the features of a network, beside simpler forecasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from vitrine.errors import DataError, StudyError
from vitrine.explain.curve_neighbours import (
    common_curves,
    curve_errors,
    drawn,
    flow_stress,
    mean_curve,
    mean_of,
    mean_where,
    named_reloads,
    nearest,
    share_inside,
)
from vitrine.explain.found import Explained
from vitrine.explain.stress_curves import CurveNeighbours
from vitrine.learn.baselines import Chance
from vitrine.learn.maps import Residual
from vitrine.represent.strain_crops import StrainCrops
from vitrine.samples import Examples, Samples
from vitrine.strain_maps import StrainMap
from vitrine.testing.inputs import map_samples

STRAIN = np.linspace(0, 0.01, 11)
NAMES = ("low", "medium", "high")
SMALL, LARGE = "reload 0.1 %", "reload 1 %"
BY_CLASS = "mean of the predicted class"


@dataclass(frozen=True)
class Spec:
    """A map: its curve is flat at ``stress`` MPa, its one feature is ``feature`` in every crop."""

    group: str
    feature: float
    stress: float
    reload: float = 0.1
    prior: float = 1.0
    width: float = 1.0
    level: int = 0


class Stub:
    """Gives the features and classes that it is told, two crops a map."""

    def __init__(self, *sides: list[Spec], predicts: int | None = None) -> None:
        self.told = {name: spec for side in sides for name, spec in zip(_ids(side), side, strict=True)}
        self.predicts = predicts

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """(n, 2, 1): the second crop has the sign changed, so that the mean of both says nothing."""
        own = np.array([self.told[name].feature for name in examples.ids], np.float32)
        return np.stack([own, -own], axis=1)[:, :, None]

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """(n, 3) probabilities, those of the true class unless told otherwise; or (n,) values."""
        if examples.target_kind != "classes":
            return np.full(len(examples), 0.7)
        levels = [self.told[name].level if self.predicts is None else self.predicts for name in examples.ids]
        return np.eye(3)[levels]


def _ids(specs: list[Spec]) -> tuple[str, ...]:
    return tuple(f"{spec.group}/p{spec.prior:g}-r{spec.reload:g}-{spec.feature:g}" for spec in specs)


def _samples(specs: list[Spec]) -> Samples:
    items = [
        StrainMap(
            np.zeros((3, 4, 2), np.float32), 2.0, "y", {}, np.stack([STRAIN, 0 * STRAIN + s.stress], axis=1)
        )
        for s in specs
    ]
    return Samples(
        "maps",
        items,
        _ids(specs),
        tuple(spec.group for spec in specs),
        attributes={
            **{
                name: np.array([getattr(spec, name) for spec in specs])
                for name in ("reload", "prior", "width")
            },
            "slip_systems": np.ones(len(specs)),
        },
    )


def _examples(specs: list[Spec], kind: Any = "classes") -> Examples:
    count = len(specs)
    return Examples(
        makes="maps",
        target_kind=kind,
        ids=_ids(specs),
        groups=tuple(spec.group for spec in specs),
        features=np.zeros((count, 0), np.float32),
        feature_labels=(),
        starts=np.arange(count + 1),
        target=np.array([spec.level for spec in specs], np.float32),
        class_names=NAMES if kind == "classes" else (),
    )


def _explained(
    part: CurveNeighbours,
    test: list[Spec],
    training: list[Spec],
    kind: Any = "classes",
    predicts: int | None = None,
) -> Explained:
    model: Any = Stub(test, training, predicts=predicts)
    return part.explain(
        model, _samples(test), _examples(test, kind), _samples(training), _examples(training, kind)
    )


# ---------------------------------------------------------------- neighbours


def test_neighbours_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    reference = random.normal(size=(300, 48)).astype(np.float32)
    query = random.normal(size=(70, 48)).astype(np.float32)
    judge = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(reference.astype(float))
    apart, near = judge.kneighbors(query.astype(float))
    for at_once in (1 << 20, 1000, 1):
        monkeypatch.setattr("vitrine.explain.curve_neighbours.AT_ONCE", at_once)
        indices, distances = nearest(reference, query, 10)
        np.testing.assert_array_equal(indices, near)
        np.testing.assert_allclose(distances, apart, rtol=1e-9)


def test_of_equal_distances_the_lower_index_comes_first() -> None:
    random = np.random.default_rng(1)
    row = random.normal(size=64).astype(np.float32)
    two = np.tile(np.stack([row, row + 3]), (400, 1))  # near and far in turn, each 400 times
    indices, distances = nearest(two, row[None] + 1, 800)
    np.testing.assert_array_equal(indices[0], [*range(0, 800, 2), *range(1, 800, 2)])
    assert np.unique(distances).size == 2
    corners = np.array([[1.0, 0], [0, 1], [-1, 0], [0, 2]])
    np.testing.assert_array_equal(nearest(corners, np.zeros((1, 2)), 4)[0], [[0, 1, 2, 3]])


def test_only_those_allowed_are_neighbours() -> None:
    reference = np.arange(5.0)[:, None]
    allowed = np.array([[True, False, True, False, True], [False, False, False, False, True]])
    indices, distances = nearest(reference, np.zeros((2, 1)), 3, allowed)
    np.testing.assert_array_equal(indices, [[0, 2, 4], [4, -1, -1]])
    np.testing.assert_array_equal(distances, [[0, 2, 4], [4, np.inf, np.inf]])


@pytest.mark.parametrize(
    ("reference", "query", "k"),
    [
        (np.zeros((3, 2)), np.zeros((1, 2)), 4),
        (np.zeros((3, 2)), np.zeros((1, 2)), 0),
        (np.zeros((3, 2)), np.zeros((1, 3)), 1),
        (np.full((3, 2), np.nan), np.zeros((1, 2)), 1),
    ],
)
def test_impossible_neighbours_are_refused(reference: Any, query: Any, k: int) -> None:
    with pytest.raises(ValueError, match=r"neighbours|features"):
        nearest(reference, query, k)


def test_random_maps_are_allowed_ones_and_the_same_each_time() -> None:
    allowed = np.random.default_rng(2).random((50, 30)) < 0.5
    allowed[7] = False
    allowed[7, [3, 4]] = True
    first = drawn(allowed, 3, 5)
    np.testing.assert_array_equal(first, drawn(allowed, 3, 5))
    assert (drawn(allowed, 3, 6) != first).any()
    np.testing.assert_array_equal(first[7], -1)
    for number, own in enumerate(first):
        if number != 7:
            assert len(set(own.tolist())) == 3
            assert allowed[number, own].all()
    # every allowed map is as likely as another
    many = drawn(np.ones((3000, 6), bool), 2, 0)
    np.testing.assert_allclose(np.bincount(many.ravel()) / 6000, 1 / 6, atol=0.02)


# ---------------------------------------------------------------- curves and errors


def test_mean_curve_by_hand() -> None:
    curves = np.array([[0.0, 10], [0, 20], [0, 60]])
    mean, low, high = mean_curve(curves)
    np.testing.assert_allclose(mean, [0, 30])
    # 10 % of the way through three values: 10 + 0.2 * 10; 90 %: 20 + 0.8 * 40
    np.testing.assert_allclose(low, [0, 12])
    np.testing.assert_allclose(high, [0, 52])
    mean, low, high = mean_curve(curves[:2])
    np.testing.assert_allclose(mean, [0, 15])
    np.testing.assert_array_equal([low, high], [mean, mean])
    with pytest.raises(ValueError, match="at least 1"):
        mean_curve(curves[:0])


def test_means_of_chosen_curves() -> None:
    curves = np.array([[1.0, 2], [3, 4], [5, 9]])
    near = np.array([[0, 1], [2, -1]])
    np.testing.assert_array_equal(mean_of(curves, near, 2), [[2, 3], [np.nan, np.nan]])
    np.testing.assert_array_equal(mean_of(curves, near, 1), [[1, 2], [5, 9]])
    assert np.isnan(mean_of(curves, near, 3)).all()  # there are no three
    chosen = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_array_equal(mean_where(curves, chosen), [[3, 5.5], [np.nan, np.nan]])
    share = share_inside(np.array([[2.0, 100]]), curves, np.array([[0, 1, 2]]), 3)
    np.testing.assert_array_equal(share, [0.5])
    assert np.isnan(share_inside(np.array([[2.0, 100]]), curves, np.array([[0, 1, 2]]), 2)).all()


def test_errors_by_hand() -> None:
    strain = np.linspace(0, 0.01, 6)
    true = np.array([0.0, 100, 100, 100, 200, 220])
    predicted = true + np.array([[0.0, 30, 10, 10, 10, -20], [np.nan] * 6])
    errors = curve_errors(strain, true, predicted)
    np.testing.assert_allclose(errors.mae, [80 / 6, np.nan])
    np.testing.assert_allclose(errors.relative, [80 / 720, np.nan])
    np.testing.assert_allclose(errors.flow, [8, np.nan])  # of signed differences from 0.2 % on
    np.testing.assert_allclose(flow_stress(strain, true), 144)
    # a silent truth has no relative error, a curve that ends early no flow stress
    assert np.isnan(curve_errors(strain, 0 * true, predicted[:1]).relative).all()
    assert np.isnan(flow_stress(0.1 * strain, true))


def test_curves_of_other_strains_are_interpolated_at_those_of_the_shortest() -> None:
    samples = _samples([Spec("a", 0, 1), Spec("b", 0, 2)])
    longer = np.array([[0.0, 0], [0.02, 200]])
    samples.items[1] = replace(samples.items[1], curve=longer)
    strain, (stress,) = common_curves([samples])
    np.testing.assert_allclose(strain, STRAIN, atol=1e-15)
    np.testing.assert_allclose(stress, [np.ones(11), 1e4 * STRAIN])
    uneven = np.array([[0.0, 0], [0.001, 10], [0.008, 80]])
    samples.items[0] = replace(samples.items[0], curve=uneven)
    strain, (stress,) = common_curves([samples])
    np.testing.assert_allclose(strain, [0, 0.004, 0.008])
    np.testing.assert_allclose(stress, [[0, 40, 80]] * 2)


def test_a_curve_is_read_once() -> None:
    asked = []

    class Lazy(StrainMap):
        @property
        def curve(self) -> Any:
            asked.append(1)
            return np.stack([STRAIN, STRAIN], axis=1)

        @curve.setter
        def curve(self, value: Any) -> None: ...

    samples = _samples([Spec("a", 0, 1)])
    lazy = object.__new__(Lazy)
    common_curves([replace(samples, items=[lazy]), samples])
    assert len(asked) == 1


@pytest.mark.parametrize(
    "curve",
    [
        None,
        np.zeros((5, 3)),
        np.array([[0.0, 1]]),
        np.array([[0.0, 1], [0, 2]]),
        np.array([[0.0, 1], [1, np.nan]]),
    ],
)
@pytest.mark.parametrize("where", ["test", "training"])
def test_a_map_without_a_curve_is_named(curve: Any, where: str) -> None:
    test, training = [Spec("query", 0, 1), Spec("other", 2, 1)], [Spec("a", 0, 1), Spec("b", 1, 1)]
    sides = {"test": _samples(test), "training": _samples(training)}
    sides[where].items[1] = replace(sides[where].items[1], curve=curve)
    model: Any = Stub(test, training)
    with pytest.raises(DataError, match=sides[where].ids[1]):
        CurveNeighbours(model="m").explain(
            model, sides["test"], _examples(test), sides["training"], _examples(training)
        )


# ---------------------------------------------------------------- the part

PART = CurveNeighbours(model="m", neighbours=(1, 2))


def test_known_neighbours_foretell_the_curve() -> None:
    test = [Spec("q", 0.0, 100), Spec("q", 0.0, 100, reload=1)]
    training = [Spec("a", 0.1, 90), Spec("b", 0.2, 70), Spec("c", 5, 0)]
    training += [replace(spec, feature=-spec.feature, stress=spec.stress + 4, reload=1) for spec in training]
    found = _explained(PART, test, training)
    said = {what: values for (metric, what), values in found.numbers.items() if metric == "mae"}
    np.testing.assert_allclose(said[f"curve from 1 neighbour, {SMALL}"], [10, np.nan], atol=1e-9)
    np.testing.assert_allclose(said[f"curve from 2 neighbours, {SMALL}"], [20, np.nan], atol=1e-9)
    np.testing.assert_allclose(said[f"curve from 1 neighbour, {LARGE}"], [np.nan, 6], atol=1e-9)
    np.testing.assert_allclose(said[f"curve from 2 neighbours, {LARGE}"], [np.nan, 16], atol=1e-9)
    np.testing.assert_allclose(
        said[f"curve from mean of the true class, all widths, {SMALL}"], [140 / 3, np.nan], atol=1e-9
    )
    keys = (
        ("relative_mae", f"curve from 1 neighbour, {SMALL}"),
        (
            "flow_stress_mae",
            f"curve from 1 neighbour, {SMALL}",
        ),
    )
    np.testing.assert_allclose([found.numbers[key][0] for key in keys], [0.1, 10], atol=1e-9)
    assert not any("own crystal" in what for what in said)
    assert not any("left out" in lines.caption for lines in found.lines)
    in_unit = {"mae", "flow_stress_mae"}
    assert set(found.units) == {key for key in found.numbers if key[0] in in_unit}
    assert set(found.units.values()) == {"MPa"}


def test_maps_of_another_reload_are_neighbours_only_where_asked_for() -> None:
    test = [Spec("q", 0.0, 100)]
    training = [Spec("a", 3, 90), Spec("b", 0.0, 40, reload=1), Spec("c", 4, 90)]
    key = ("mae", "curve from 1 neighbour, reload 0.1 %")
    np.testing.assert_allclose(_explained(PART, test, training).numbers[key], [10], atol=1e-9)
    everything = PART.model_copy(update={"among": "all"})
    np.testing.assert_allclose(_explained(everything, test, training).numbers[key], [60], atol=1e-9)


def test_the_mean_of_the_crops_may_say_less() -> None:
    test, training = [Spec("q", 3.0, 100)], [Spec("a", 0, 40), Spec("b", 3, 90)]
    key = ("mae", "curve from 1 neighbour, reload 0.1 %")
    np.testing.assert_allclose(_explained(PART, test, training).numbers[key], [10], atol=1e-9)
    mean = PART.model_copy(update={"features": "mean"})  # all 0 here: the first map wins
    np.testing.assert_allclose(_explained(mean, test, training).numbers[key], [60], atol=1e-9)


def test_without_its_own_crystal_where_the_split_leaks() -> None:
    test = [Spec("q", 0.0, 100), Spec("fresh", 0.0, 100)]
    training = [Spec("q", 0.01, 100, prior=10, level=2), Spec("a", 1, 80), Spec("b", 2, 60)]
    found = _explained(PART, test, training)
    what = "curve from 1 neighbour, reload 0.1 %"
    np.testing.assert_allclose(found.numbers["mae", what], [0, 0], atol=1e-9)
    apart = "curve from 1 neighbour, not of its own crystal, reload 0.1 %"
    np.testing.assert_allclose(found.numbers["mae", apart], [20, 0], atol=1e-9)
    assert found.units["mae", apart] == "MPa"
    shape = "curve from mean of its width and slip systems{}, reload 0.1 %"
    np.testing.assert_allclose(found.numbers["mae", shape.format("")], [20, 20], atol=1e-9)
    foreign = found.numbers["mae", shape.format(", not of its own crystal")]
    np.testing.assert_allclose(foreign, [30, 20], atol=1e-9)
    assert all("left out" in lines.caption for lines in found.lines)
    names = [(m, w.replace(", not of its own crystal", "")) for m, w in found.numbers if "own crystal" in w]
    assert set(names) <= set(found.numbers)


def test_too_few_neighbours_say_nothing() -> None:
    test = [Spec("q", 0.0, 100), Spec("r", 0.0, 100, reload=1)]
    training = [Spec("a", 1, 80), Spec("b", 2, 60), Spec("c", 1, 70, reload=1)]
    found = _explained(CurveNeighbours(model="m", neighbours=(1, 2, 10)), test, training)
    assert ("mae", f"curve from 2 neighbours, {SMALL}") in found.numbers
    assert ("mae", f"curve from 2 neighbours, {LARGE}") not in found.numbers
    assert not any("10 neighbours" in what for _, what in found.numbers)
    assert all(np.isfinite(values).any() for values in found.numbers.values())


def test_baselines_and_the_difference_to_them() -> None:
    """The nearest map is of another width: the mean of width and class is right, the neighbour is not."""
    part = CurveNeighbours(model="m", neighbours=(1,))
    test = [Spec("q", 0.0, 100, level=1, width=0.5)]
    training = [
        Spec("a", 0.1, 30, level=1, width=2),
        Spec("b", 1, 90, level=1, width=0.5),
        Spec("c", 2, 94, level=1, width=0.5),
        Spec("d", 3, 50, level=0, width=0.5),
    ]
    said = {key: float(values[0]) for key, values in _explained(part, test, training).numbers.items()}

    def of(what: str) -> float:
        return said["mae", f"{what}, reload 0.1 %"]

    assert of("curve from 1 neighbour") == pytest.approx(70)
    assert of("curve from 1 neighbour of its width and slip systems") == pytest.approx(10)
    assert of("curve from mean of the predicted class, all widths") == pytest.approx(100 - 214 / 3)
    assert of("curve from mean of its width and slip systems") == pytest.approx(22)
    assert of(f"curve from {BY_CLASS}") == pytest.approx(8)
    assert of(f"1 neighbour minus {BY_CLASS}") == pytest.approx(62)
    assert of(f"1 neighbour of its width and slip systems minus {BY_CLASS}") == pytest.approx(2)
    assert of("curve from 1 random map") in [pytest.approx(e) for e in (70, 10, 6, 50)]
    wrong = _explained(part, test, training, predicts=0).numbers
    assert wrong["mae", f"curve from {BY_CLASS}, reload 0.1 %"][0] == pytest.approx(50)
    assert wrong["mae", "curve from mean of the true class, reload 0.1 %"][0] == pytest.approx(8)


def test_the_share_of_the_truth_inside_the_band() -> None:
    training = [Spec(f"g{n}", n, 10.0 * n) for n in range(11)]
    test = [Spec("in", 5, 50), Spec("out", 5, 200)]
    found = _explained(CurveNeighbours(model="m", neighbours=(1, 11)), test, training)
    np.testing.assert_array_equal(
        found.numbers["share_inside", "band of 11 neighbours, 10 to 90 %, reload 0.1 %"], [1, 0]
    )
    assert ("share_inside", "band of 1 neighbour, 10 to 90 %, reload 0.1 %") not in found.numbers


def test_values_have_no_class_baselines_and_binary_targets_do() -> None:
    test, training = [Spec("q", 0.0, 100, level=1)], [Spec("a", 1, 80, level=1), Spec("b", 2, 60)]
    said = {what for _, what in _explained(PART, test, training, kind="value").numbers}
    assert not any("class" in what for what in said)
    found = _explained(PART, test, training, kind="binary").numbers
    np.testing.assert_allclose(
        found["mae", "curve from mean of the predicted class, reload 0.1 %"], [20], atol=1e-9
    )


def test_unknown_attributes_stand_in_no_name() -> None:
    test, training = [Spec("q", 0.0, 100)], [Spec("a", 1, 80), Spec("b", 2, 60)]
    model: Any = Stub(test, training)
    bare = [replace(_samples(specs), attributes={}) for specs in (test, training)]
    found = PART.explain(model, bare[0], _examples(test), bare[1], _examples(training))
    np.testing.assert_allclose(found.numbers["mae", "curve from 1 neighbour"], [20], atol=1e-9)
    assert named_reloads(np.array([-1.0, 0.1])) == {-1.0: "", 0.1: "reload 0.1 %"}
    assert named_reloads(np.array([1, 0.1, 1])) == {0.1: SMALL, 1.0: LARGE}
    assert not found.profiles


def _crowd(prefix: str, count: int) -> list[Spec]:
    """Crystals of three widths and classes with maps of both reloads; features tell the stress roughly."""
    random = np.random.default_rng(len(prefix))
    found = []
    for number in range(count):
        level, width = number % 3, (0.125, 0.5, 2.0)[number // 3 % 3]
        stress = 100 + 40 * level - 20 * width + random.normal(0, 5)
        for reload in (0.1, 1.0):
            feature = stress / 10 + random.normal(0, 0.3)
            found.append(
                Spec(f"{prefix}{number}", feature, stress, reload, 10.0 ** (level - 1), width, level)
            )
    return found


def test_figures_show_the_truth_and_its_forecasts() -> None:
    test, training = _crowd("test", 45), _crowd("train", 180)
    found = _explained(CurveNeighbours(model="m"), test, training)
    assert [lines.name for lines in found.lines] == ["both-reloads", "example-1", "example-2", "example-3"]
    labels = [[curve["label"] for curve in lines.curves] for lines in found.lines]
    assert labels[0] == ["true", f"5 neighbours, {SMALL}", f"5 neighbours, {LARGE}"]
    assert labels[1] == ["true", "1 neighbour", "5 neighbours", "10 neighbours", BY_CLASS]
    specs = dict(zip(_ids(test), test, strict=True))
    shown = [next(specs[name] for name in _ids(test) if name in lines.title) for lines in found.lines[1:]]
    assert [(spec.width, spec.level, spec.reload) for spec in shown] == [
        (2.0, 2, 0.1),
        (0.5, 1, 0.1),
        (0.125, 0, 0.1),
    ]
    for lines, spec in zip(found.lines[1:], shown, strict=True):
        np.testing.assert_allclose(lines.curves[0]["y"], spec.stress)
        np.testing.assert_allclose(lines.curves[0]["x"], 100 * STRAIN)
        ten = lines.curves[3]
        assert all(low <= y <= high for low, y, high in zip(ten["low"], ten["y"], ten["high"], strict=True))
        assert lines.curves[4]["reference"]
    assert [profile.name for profile in found.profiles] == ["width-reload-1", "width-reload-2"]
    profile = found.profiles[0]
    np.testing.assert_array_equal(profile.x, [0.125, 0.5, 2])
    errors = found.numbers["mae", f"curve from 5 neighbours, {SMALL}"]
    widths = np.array([spec.width for spec in test])
    for column, width in enumerate(profile.x):
        own = profile.curves["5 neighbours"][:, column]
        np.testing.assert_array_equal(own, np.where(widths == width, errors, np.nan))
    # where features foretell the stress, neighbours beat maps drawn at random
    assert np.nanmean(errors) < 0.5 * np.nanmean(found.numbers["mae", f"curve from 5 random maps, {SMALL}"])


def test_features_that_say_nothing_are_no_better_than_random_maps() -> None:
    random = np.random.default_rng(5)
    test, training = (
        [replace(spec, feature=float(random.normal())) for spec in _crowd(name, count)]
        for name, count in (("test", 90), ("train", 180))
    )
    said = _explained(CurveNeighbours(model="m"), test, training).numbers
    difference = (
        said["mae", f"curve from 5 neighbours, {SMALL}"] - said["mae", f"curve from 5 random maps, {SMALL}"]
    )
    known = difference[np.isfinite(difference)]
    assert abs(known.mean()) < 3 * known.std() / np.sqrt(len(known))
    beside = said["mae", f"5 neighbours minus {BY_CLASS}, {SMALL}"]
    assert np.nanmean(beside) > 10


def test_a_model_without_features_and_a_missing_training_are_refused() -> None:
    specs = [Spec("a", 0, 1), Spec("b", 1, 2)]
    blind = Chance().build("classes", 0)
    samples, examples = _samples(specs), _examples(specs)
    with pytest.raises(StudyError, match="mine"):
        CurveNeighbours(model="mine").explain(blind, samples, examples, samples, examples)
    model: Any = Stub(specs)
    with pytest.raises(StudyError, match="trained on"):
        PART.explain(model, samples, examples)


def test_a_fitted_network_on_real_crops() -> None:
    samples = map_samples(9)
    built = StrainCrops(sides=(16, 18), crop=14).build(samples, lambda tasks: [])
    target = np.arange(9, dtype=np.float32) % 3
    examples = replace(built, target_kind="classes", class_names=NAMES).with_target(target)
    model = Residual(epochs=1, views=2, batch=8, modules=1, blocks=2).build("classes", 0)
    model.fit(examples, None, lambda fraction: None)
    train, test = [0, 1, 2, 3, 4, 5], [6, 7, 8]
    given = [f.select(part) for part in (test, train) for f in (samples, examples)]
    first, second = (PART.explain(model, *given) for _ in range(2))
    assert first.numbers.keys() == second.numbers.keys()
    for key, values in first.numbers.items():
        assert values.shape == (3,)
        np.testing.assert_array_equal(values, second.numbers[key])
    # maps 6, 7, 8 have the curves of 0, 1, 2: those of the true class are theirs exactly
    exact = first.numbers["mae", "curve from mean of the true class, reload 1 %"]
    np.testing.assert_allclose(exact, 0, atol=1e-9)
