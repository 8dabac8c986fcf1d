"""Stress-strain curves from the nearest maps: neighbours, errors, baselines, own crystals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vitrine.errors import DataError, StudyError
from vitrine.explain.curve_neighbours import curve_errors, mean_curve, nearest
from vitrine.explain.found import Explained
from vitrine.explain.stress_curves import CurveNeighbours
from vitrine.samples import Examples, Samples
from vitrine.strain_maps import StrainMap
from vitrine.testing.inputs import in_classes, map_examples

STRAIN = np.linspace(0, 0.01, 11)


class Told:
    """A model whose features and classes are given."""

    def __init__(self, features: dict[str, list[float]], classes: dict[str, int]) -> None:
        self.features, self.classes = features, classes

    def embed(self, examples: Examples) -> Any:
        return np.array([[self.features[name], self.features[name]] for name in examples.ids], np.float32)

    def predict(self, examples: Examples) -> Any:
        return np.eye(3)[[self.classes[name] for name in examples.ids]]

    def fit(self, *_: Any) -> Any: ...
    def save(self, *_: Any) -> Any: ...
    def load(self, *_: Any) -> Any: ...
    def describe(self) -> Any: ...


def _set(rows: list[tuple[str, str, float, float]], curve: Any = True) -> tuple[Samples, Examples]:
    """Samples of (id, group, reload, level): a map whose curve is flat at a level [MPa]."""
    items = [
        StrainMap(
            np.zeros((3, 8, 4), np.float32), 2.0, "y", {"id": name},
            np.stack([STRAIN, np.full(11, level)], 1) if curve else None,
        )
        for name, _, _, level in rows
    ]  # fmt: skip
    n = len(rows)
    attributes = {
        "reload": np.array([row[2] for row in rows]),
        "width": np.ones(n),
        "slip_systems": np.ones(n),
    }
    ids, groups = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
    samples = Samples("maps", items, ids, groups, attributes=attributes)
    examples = in_classes(map_examples(n_samples=max(n, 3))).select(range(n))
    return samples, replace(examples, ids=ids, groups=groups, target=np.arange(n, dtype=np.float32) % 3)


def _explained(test: Any, train: Any, told: Told, k: tuple[int, ...] = (1, 2)) -> Explained:
    return CurveNeighbours(model="resnet", neighbours=k).explain(told, *test, *train)


def test_neighbours_are_those_of_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    random = np.random.default_rng(0)
    reference, query = random.normal(size=(300, 20)), 1e3 + random.normal(size=(50, 20))
    reference += 1e3  # far from 0, where squares lose small distances
    places, distances = nearest(reference.astype(np.float32), query.astype(np.float32), 7)
    wanted = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(reference.astype(np.float32))
    apart, others = wanted.kneighbors(query.astype(np.float32))
    np.testing.assert_allclose(distances, apart, rtol=1e-3)
    assert (places == others).mean() > 0.99
    # of equals the first comes first; where fewer are allowed the rest is -1
    same = np.zeros((4, 2), np.float32)
    assert nearest(same, same[:1], 3)[0].tolist() == [[0, 1, 2]]
    found, far = nearest(same, same[:1], 3, np.array([[False, True, False, True]]))
    assert found.tolist() == [[1, 3, -1]] and far[0, 2] == np.inf
    with pytest.raises(ValueError, match="5 neighbours among 4"):
        nearest(same, same, 5)


def test_means_and_errors_by_hand() -> None:
    curves = np.array([[1.0, 2.0], [3.0, 6.0]])
    middle, low, high = mean_curve(curves)
    assert middle.tolist() == [2.0, 4.0] and low.tolist() == high.tolist() == middle.tolist()
    middle, low, high = mean_curve(np.array([[0.0], [5.0], [10.0]]))
    assert (middle[0], low[0], high[0]) == (5.0, 1.0, 9.0)
    truth, predicted = np.full(11, 100.0), np.full(11, 100.0)
    predicted[:2] = 90.0
    errors = curve_errors(STRAIN, truth, predicted)
    assert errors.mae == pytest.approx(20 / 11) and errors.relative == pytest.approx(0.2 / 11)
    assert errors.flow == 0.0, "what is off below 0.2 % is no error of the flow stress"


def test_the_nearest_maps_of_the_same_reload_are_averaged() -> None:
    test = _set([("t", "T", 0.1, 100.0)])
    train = _set(
        [("a", "A", 0.1, 90.0), ("b", "B", 0.1, 130.0), ("c", "C", 1.0, 100.0), ("d", "D", 0.1, 500.0)]
    )
    told = Told({"t": [0.0], "a": [1.0], "b": [2.0], "c": [0.0], "d": [9.0]}, {"t": 0})
    numbers = _explained(test, train, told).numbers
    assert numbers["mae", "curve from 1 neighbour, reload 0.1 %"].tolist() == [10.0]
    assert numbers["mae", "curve from 2 neighbours, reload 0.1 %"].tolist() == [10.0]  # (90 + 130) / 2
    # classes of training are 0, 1, 2, 0: the class that the model says has the levels 90 and 500
    assert numbers["mae", "curve from mean of the predicted class, reload 0.1 %"].tolist() == [195.0]
    assert numbers["mae", "2 neighbours minus mean of the predicted class, reload 0.1 %"].tolist() == [-185.0]
    assert not any("own crystal" in what for _, what in numbers)


def test_another_reload_says_nothing_and_own_crystals_are_told_apart() -> None:
    test = _set([("t", "A", 0.1, 100.0), ("u", "B", 1.0, 50.0)])
    train = _set([("a", "A", 0.1, 100.0), ("b", "B", 0.1, 130.0), ("c", "C", 1.0, 60.0)])
    told = Told({"t": [0.0], "u": [0.0], "a": [0.0], "b": [3.0], "c": [1.0]}, {"t": 0, "u": 1})
    numbers = _explained(test, train, told, (1,)).numbers
    own = numbers["mae", "curve from 1 neighbour, reload 0.1 %"]
    foreign = numbers["mae", "curve from 1 neighbour, not of its own crystal, reload 0.1 %"]
    np.testing.assert_array_equal(own, [0.0, np.nan])
    np.testing.assert_array_equal(foreign, [30.0, np.nan])
    np.testing.assert_array_equal(numbers["mae", "curve from 1 neighbour, reload 1 %"], [np.nan, 10.0])


def test_a_map_without_a_curve_and_a_model_without_features_are_named() -> None:
    train = _set([("a", "A", 0.1, 1.0), ("b", "B", 0.1, 2.0)])
    bare = _set([("t", "T", 0.1, 1.0)], curve=False)
    told = Told({"t": [0.0], "a": [0.0], "b": [0.0]}, {"t": 0})
    with pytest.raises(DataError, match="t: this map comes without a stress-strain curve"):
        _explained(bare, train, told, (1,))
    blind: Any = object()
    with pytest.raises(StudyError, match="resnet gives no features"):
        CurveNeighbours(model="resnet").explain(blind, *train, *train)
