"""Explanations against numbers made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitrine.explain.bond_attention import BondAttention
from vitrine.explain.grad_cam import at_particles, class_activation
from vitrine.explain.local_order import local_order, spearman
from vitrine.physics.plane import Plane
from vitrine.represent.particle_graph import ParticleGraph
from vitrine.represent.structural_metrics import metrics_of
from vitrine.samples import Examples
from vitrine.testing import flat_samples


@dataclass
class Attentive:
    """Gives each bond the weight that a function of its ends' species says."""

    weights: NDArray[np.float64]

    def attention(self, examples: Examples) -> NDArray[np.float64]:
        assert examples.edges is not None and examples.edge_starts is not None and examples.nodes is not None
        kinds = examples.nodes.argmax(axis=1)
        weight = self.weights[kinds[examples.edges].sum(axis=0)]
        parts = np.repeat(np.arange(len(examples)), np.diff(examples.edge_starts))
        return (weight / np.bincount(parts, weights=weight)[parts])[:, None]


def _explained(weights: list[float]) -> tuple[Any, Any, Any]:
    samples = flat_samples(4)
    examples = ParticleGraph().build(samples, lambda tasks: [])
    model: Any = Attentive(np.array(weights))
    return BondAttention(model="m").explain(model, samples, examples), samples, examples


def test_even_attention_is_one_everywhere() -> None:
    found, _, examples = _explained([1.0, 1.0, 1.0])
    for kind in ("A-A", "A-B", "B-B"):
        np.testing.assert_allclose(found.numbers["relative_attention", kind], 1.0)
    profile = found.profiles[0]
    for values in profile.curves.values():
        np.testing.assert_allclose(values[np.isfinite(values)], 1.0)
    assert profile.level == 1.0
    # no bond has more than the even share
    assert all(panel["bonds"] == [] for panel in found.pictures[0].panels)
    assert len(examples.edges.T) > 0


def test_attention_on_one_kind_of_bond_is_found_there() -> None:
    found, _, examples = _explained([0.0, 0.0, 1.0])
    kinds = examples.nodes.argmax(axis=1)
    both = kinds[examples.edges].sum(axis=0) == 2
    for i in range(len(examples)):
        part = slice(examples.edge_starts[i], examples.edge_starts[i + 1])
        expected = both[part].size / both[part].sum()  # all of the attention on this share of the bonds
        assert found.numbers["relative_attention", "B-B"][i] == pytest.approx(expected)
        assert found.numbers["relative_attention", "A-A"][i] == 0


def test_metrics_of_attended_bonds_are_those_of_the_graph_without_the_others() -> None:
    found, samples, examples = _explained([0.0, 0.0, 1.0])
    i = 1
    part = slice(examples.edge_starts[i], examples.edge_starts[i + 1])
    edges = examples.edges[:, part] - examples.node_starts[i]
    kinds = examples.nodes[examples.node_starts[i] : examples.node_starts[i + 1]].argmax(axis=1)
    kept = kinds[edges].sum(axis=0) == 2
    assert kept.mean() < 0.25, "else the fraction of bonds cuts some of them off"
    counts = metrics_of(len(kinds), kinds, edges, keep=kept)
    ours = [values[i] for values in found.quantities.values()]
    np.testing.assert_allclose(ours, np.array(counts) / len(samples.items[i]))


def test_class_activation_by_hand() -> None:
    maps = np.zeros((1, 2, 2, 2), np.float32)
    maps[0, 0] = [[1, 0], [0, 2]]
    maps[0, 1] = [[0, 3], [0, 1]]
    slopes = np.zeros_like(maps)
    slopes[0, 0], slopes[0, 1] = [[4, 0], [0, 0]], -1.0  # means 1 and -1
    np.testing.assert_allclose(class_activation(maps, slopes)[0], [[1, 0], [0, 1]])


@pytest.mark.parametrize("periodic", [True, False])
def test_activation_at_particles_is_linear_between_pixels(periodic: bool) -> None:
    """Row 0 of an image is y = 0; a pixel's value stands at its middle."""
    height, width = 4, 8
    x = (np.arange(width) + 0.5) / width * 16
    image = np.tile(x, (height, 1))
    plane = Plane(np.array([[3.0, 1.0], [9.7, 6.2]]), np.array([16.0, 8.0]), periodic)
    np.testing.assert_allclose(at_particles(image, plane), plane.positions[:, 0])


def test_activation_wraps_around_a_periodic_box_only() -> None:
    image = np.zeros((1, 4))
    image[0, -1] = 1.0
    places = np.array([[0.0, 0.5]])
    box = np.array([4.0, 1.0])
    assert at_particles(image, Plane(places, box, True))[0] == pytest.approx(0.5)
    assert at_particles(image, Plane(places, box, False))[0] == 0


def test_local_order_of_a_triangular_lattice() -> None:
    nx, ny, a = 8, 8, 1.1
    i, j = np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij")
    positions = np.stack([a * (i + 0.5 * (j % 2)), a * np.sqrt(3) / 2 * j], axis=-1).reshape(-1, 2)
    positions = positions + np.random.default_rng(0).normal(0, 1e-4, positions.shape)  # no ties
    lengths = np.array([nx * a, ny * a * np.sqrt(3) / 2])
    plane = Plane(positions % lengths, lengths, True)
    kinds = np.zeros(len(positions), dtype=np.int64)
    found = local_order(plane, kinds, np.arange(len(positions), dtype=float))
    np.testing.assert_allclose(found["hexatic order"], 1.0, atol=1e-3)
    np.testing.assert_array_equal(found["coordination defect"], 0.0)
    np.testing.assert_array_equal(found["unlike neighbours"], 0.0)
    kinds[0] = 1
    unlike = local_order(plane, kinds, None)["unlike neighbours"]
    assert unlike[0] == 1.0 and np.count_nonzero(np.isclose(unlike, 1 / 6)) == 6


def test_rank_correlation_of_a_constant_is_none() -> None:
    assert spearman(np.ones(5), np.arange(5.0)) == 0.0
    assert spearman(np.arange(5.0) ** 3, np.arange(5.0)) == pytest.approx(1.0)
