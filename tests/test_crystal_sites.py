"""Attribution of crystal networks against finite differences, symmetry, and pictures made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from crystals import columns_of, crystal_samples, samples_of
from vitrine.errors import StudyError
from vitrine.explain.crystal_pictures import crystal_panel
from vitrine.explain.crystal_sites import CrystalSites, levels
from vitrine.learn.batches import Batch, as_batch
from vitrine.learn.crystal import AttentiveCrystals, CrystalPart, GatedCrystals, LineGraphs
from vitrine.learn.crystal_slopes import attribution, crystals_in, randomised, stages_of
from vitrine.learn.prediction import forward
from vitrine.physics.crystals import Structure
from vitrine.represent.crystal_graph import CrystalGraph
from vitrine.samples import Examples, Samples

SMALL: dict[str, Any] = {"width": 8, "hidden": 8, "radial": 21, "epochs": 2}
PARTS: dict[str, CrystalPart] = {
    "cgcnn": GatedCrystals(layers=2, elements="one-hot", **SMALL),
    "cgcnn-attention": AttentiveCrystals(layers=2, heads=2, **SMALL),
    "line-graph": LineGraphs(layers=1, plain_layers=1, angle_neighbours=3, angular=6, **SMALL),
}


def examples_of(samples: Samples) -> Examples:
    found = CrystalGraph().build(samples, lambda tasks: [])
    return replace(
        found.with_target(np.linspace(-3.0, 5.0, len(samples)).astype(np.float32)), target_kind="value"
    )


def drawn(kind: str, examples: Examples, outputs: int = 1) -> tuple[Any, list[Batch]]:
    """A network that standardises by what it is given, and two batches in double precision."""
    torch.manual_seed(1)
    part: Any = PARTS[kind]
    found = [as_batch(examples.select(part)) for part in ([0, 1, 2], [3, 4, 5])]
    batches = [
        batch._replace(graph=crystals_in(batch)._replace(vectors=crystals_in(batch).vectors.double()))
        for batch in found
    ]
    return randomised(part.network(0, outputs), 0, batches), batches


def fitted(kind: str, examples: Examples) -> Any:
    return PARTS[kind].build("value", 0).fit(examples, None, lambda fraction: None)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return examples_of(crystal_samples())


@pytest.mark.parametrize("kind", PARTS)
def test_slopes_are_those_of_finite_differences(kind: str, examples: Examples) -> None:
    network, batches = drawn(kind, examples)
    batch = batches[1]
    crystals, found, step = crystals_in(batch), attribution(network, [batch], unit=2.5), 1e-4
    lengths = crystals.vectors.norm(dim=1)
    for bond in (0, 17, len(lengths) - 1):
        ends = []
        for sign in (1, -1):
            vectors = crystals.vectors.clone()
            vectors[bond] *= 1 + sign * step / lengths[bond]
            stretched = batch._replace(graph=crystals._replace(vectors=vectors))
            ends.append(2.5 * float(forward(network, stretched).sum()))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert found.bonds[bond] == pytest.approx(slope, rel=1e-5, abs=1e-9)
    for site in (0, len(crystals.numbers) - 1):
        ends = [2.5 * _with_more_of(site, sign * step, network, batch) for sign in (1, -1)]
        assert found.sites[site] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-9)


def _with_more_of(site: int, more: float, network: Any, batch: Batch) -> float:
    """The sum of the outputs where a site begins with so much more of what it is given."""

    def change(layer: Any, _: Any, out: torch.Tensor) -> torch.Tensor:
        bias, changed = (layer.layer.bias if layer.known else 0.0), out.clone()
        changed[site] += more * (out - bias)[site]
        return changed

    hook = network.sites.register_forward_hook(change)
    total = float(forward(network, batch).sum())
    hook.remove()
    return total


@pytest.mark.parametrize("kind", PARTS)
def test_equal_sites_have_equal_slopes_and_cells_do_not_matter(kind: str, examples: Examples) -> None:
    alloy = pd.DataFrame([columns_of(atoms) for atoms in (_cu3au(), _cu3au() * (2, 1, 1))])
    both = examples_of(samples_of(alloy))
    network, _ = drawn(kind, examples)
    one, two = (attribution(network, [as_batch(both.select([n]))]) for n in (0, 1))
    np.testing.assert_allclose(one.sites[:3], one.sites[0], rtol=1e-5)
    assert abs(one.sites[3] / one.sites[0] - 1) > 0.01
    # twice the sites share one prediction
    np.testing.assert_allclose(2 * two.sites, np.tile(one.sites, 2), rtol=1e-5)
    np.testing.assert_allclose(2 * two.bonds.sum(), 2 * one.bonds.sum(), rtol=1e-5)
    order = levels(np.abs(one.sites))
    assert sorted(set(order.tolist())) == [0, 1] and len(set(order[:3].tolist())) == 1
    if kind == "cgcnn-attention":
        assert one.site_attention is not None and one.bond_attention is not None
        assert one.site_attention.mean() == pytest.approx(1.0) and one.bond_attention.mean() == pytest.approx(
            1
        )


def _cu3au() -> Any:
    from ase import Atoms

    sites = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0, 0]]
    return Atoms("Cu3Au", scaled_positions=sites, cell=[3.75] * 3, pbc=True)


@pytest.mark.parametrize("kind", PARTS)
def test_expansion_answers_in_the_unit_of_the_target(kind: str, examples: Examples) -> None:
    model = fitted(kind, examples)
    found = CrystalSites(model="m", draws=1, drawn=0).explain(model, crystal_samples(), examples)
    assert examples.edge_vectors is not None
    step = 1e-2
    ends = [
        model.predict(replace(examples, edge_vectors=examples.edge_vectors * np.float32(factor)))
        for factor in (1 + step, 1 - step)
    ]
    expected = (ends[0] - ends[1]) / (2 * step)
    ours = found.numbers["slope", "all bonds by the same factor"]
    np.testing.assert_allclose(ours, expected, atol=0.05 * np.abs(expected).max())


def test_several_outputs_are_told_by_the_largest(examples: Examples) -> None:
    network, batches = drawn("cgcnn", examples, 3)
    out = forward(network, batches[0])
    single, best = network, int(out[0].argmax())
    found = attribution(network, batches[:1])
    output = nn.Linear(8, 1).double()
    with torch.no_grad():
        output.weight.copy_(network.output.weight[best : best + 1])
        output.bias.copy_(network.output.bias[best : best + 1])
    single.output = output
    first = slice(0, int(crystals_in(batches[0]).counts[0]))
    np.testing.assert_allclose(found.sites[first], attribution(single, batches[:1]).sites[first])


@pytest.mark.parametrize("kind", PARTS)
def test_weights_are_drawn_anew_from_the_head_on(kind: str, examples: Examples) -> None:
    network, batches = drawn(kind, examples)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    names, whole = list(stages_of(network)), randomised(network, 5, batches)
    assert names[0] == "head" and names[-1] == "elements"
    matrices = [name for name, p in network.named_parameters() if p.dim() > 1]
    assert matrices and all((whole.state_dict()[name] != kept[name]).all() for name in matrices)
    for name in matrices:  # as an untrained network has them
        assert float(whole.state_dict()[name].std() / kept[name].std()) == pytest.approx(1, abs=0.6)
    head = randomised(network, 5, batches, 1).state_dict()
    for name in kept:
        changed = name.split(".")[0] in ("hidden", "output")
        assert torch.equal(head[name], kept[name]) != changed, name
    twice = randomised(network, 5, batches).state_dict()
    assert all(torch.equal(twice[name], tensor) for name, tensor in whole.state_dict().items())
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in kept.items())


def test_every_parameter_belongs_to_a_stage(examples: Examples) -> None:
    for kind in PARTS:
        network, _ = drawn(kind, examples)
        staged = {
            id(p) for layers in stages_of(network).values() for layer in layers for p in layer.parameters()
        }
        assert staged == {id(p) for p in network.parameters()}, kind
    with pytest.raises(TypeError, match="no network on crystals"):
        stages_of(nn.Linear(1, 1))


def test_equal_but_for_rounding() -> None:
    np.testing.assert_array_equal(levels(np.array([2.0, 1.0, 1.00001, 3.0])), [1, 0, 0, 2])
    assert not levels(np.array([0.1, 0.1 + 1e-9, 0.1 + 2e-9])).any() and levels(np.zeros(0)).shape == (0,)


def test_an_untrained_network_is_like_one_of_random_weights_and_like_itself(examples: Examples) -> None:
    samples, model = crystal_samples(), fitted("cgcnn-attention", examples)
    found = CrystalSites(model="m", draws=2, drawn=2).explain(model, samples, examples)
    cascade = next(profile for profile in found.profiles if profile.name == "randomised")
    for words in ("sites", "bonds", "site attention", "bond attention"):
        curve = cascade.curves[words]
        known = np.isfinite(curve[:, 0])
        np.testing.assert_allclose(curve[known, 0], 1.0)  # nothing is random yet
    # a new head changes no attention
    np.testing.assert_allclose(cascade.curves["bond attention"][:, 1], cascade.curves["bond attention"][:, 0])
    # copper and magnesium alone have nothing to rank; salt's two sites differ by their elements
    ranks = found.numbers["spearman", "sites against randomised weights"]
    assert np.isnan(ranks[[2, 3]]).all() and np.isfinite(ranks[[0, 4, 5]]).all()
    assert found.numbers["relative_share", "Cu sites"][2] == pytest.approx(1.0)
    assert found.numbers["share", "O sites"][0] <= 1.0
    for picture in found.pictures:
        assert [panel["label"].split(",")[0] for panel in picture.panels] == [
            "trained", "randomised weights", "attention"
        ]  # fmt: skip


def test_other_models_and_other_samples_are_refused(examples: Examples) -> None:
    model = fitted("cgcnn", examples)
    part = CrystalSites(model="net")
    with pytest.raises(StudyError, match="net is no network on crystals"):
        part.explain(model, crystal_samples(), replace(examples, makes="whole-graphs"))
    with pytest.raises(StudyError, match="needs a table of structures, not flat"):
        part.explain(model, replace(crystal_samples(), kind="flat"), examples)


def test_a_panel_by_hand() -> None:
    """Seen along a, the shortest period: b to the right, c up; images along a are behind their sites."""
    crystal = Structure(np.diag([2.5, 3.0, 8.0]), ("Cu", "Au"), np.array([[0, 0, 0.0], [1.0, 0, 0.5]]))
    edges = np.array([[0, 0, 1, 1], [1, 0, 1, 0]])
    vectors = np.array([[0, 0, 4.0], [2.5, 0, 0], [0, 3.0, 0], [0, 0, 4.0]])
    sites, bonds = np.array([0.5, 1.5]), np.array([1.0, 2.0, 0.1, 1.0])
    panel = crystal_panel("x", crystal, edges, vectors, sites, bonds, 2.0)
    discs = [*zip(*(panel[name] for name in ("x", "y", "values", "marked")), strict=True)]
    assert discs == [(0, 0, 0.5, 1), (0, 4, 1.5, 1), (3, 4, 1.5, 0), (0, 8, 0.5, 0)]
    # the bond with a twentieth of the largest slope is not drawn
    assert panel["bonds"] == [[0, 0, 0, 4, 0.5], [0, 4, 0, 8, 0.5]]
    assert panel["radii"][1] > panel["radii"][2] and panel["radii"][1] > panel["radii"][0]
    assert panel["label"] == "x, most on Au"
