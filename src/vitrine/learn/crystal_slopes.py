"""Slopes of what a network on crystals predicts, by site and by bond; copies of it with random weights.

Networks are used through their forward alone, in double precision, so that equal sites are seen to be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitrine.learn.batches import Batch
from vitrine.learn.crystal_batches import Crystals
from vitrine.learn.networks.crystal import AttentiveConvolution, AttentiveNetwork, CrystalNetwork, Sites
from vitrine.learn.networks.line_graph import LineGraphNetwork
from vitrine.learn.networks.standardise import Standardise, settle
from vitrine.learn.prediction import forward, one_thread
from vitrine.samples import Float


@dataclass(frozen=True)
class Attribution:
    """What a prediction owes to sites and bonds, of all crystals one after another.

    Attributes
    ----------
    sites: (n_nodes,) gradient x input in the target's unit: the slope times what the site begins with, summed
        over its numbers. bonds: (n_edges,) slope with respect to the length of a bond, in the target's unit
        per Å. site_attention, bond_attention: (n_nodes,), (n_edges,) multiples of the even share among the
        sites of a crystal and among the bonds of a site, means over heads; None without attention.
    """

    sites: Float
    bonds: Float
    site_attention: Float | None = None
    bond_attention: Float | None = None


def attribution(network: nn.Module, batches: Sequence[Batch], unit: float = 1.0) -> Attribution:
    """Slopes and attention of all crystals of the batches; the network stays as it is.

    The slope is that of the output (a value, the logit of class 1), of several outputs that of the largest. A
    site begins with the properties of its element (from a table) or with numbers learned for it: the input of
    gradient x input (Shrikumar et al. 2017, arXiv:1704.02685, discuss it). A bond is directed: the same one
    seen from its other end is another, with a slope of its own.

    Parameters
    ----------
    network: on crystals. batches: as the network takes them. unit: of the output in the target's unit.

    Raises
    ------
    TypeError: a network on other things.
    """
    told = _copied(network)
    parts: list[list[Float]] = []
    with one_thread():
        for batch in batches:
            found = [*_slopes(told, batch, unit)]
            if isinstance(told, AttentiveNetwork):
                found += _attention(told, crystals_in(batch))
            parts.append([part.numpy() for part in found])
    return Attribution(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _slopes(network: CrystalNetwork, batch: Batch, unit: float) -> tuple[Tensor, Tensor]:
    crystals, begun = crystals_in(batch), []

    def keep(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        begun.append(out.detach().requires_grad_())
        return begun[-1]

    vectors = crystals.vectors.double()
    stretch = vectors.new_ones(len(vectors)).requires_grad_()
    stretched = crystals._replace(vectors=vectors * stretch[:, None])
    hook = network.sites.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            out = forward(network, batch._replace(graph=stretched))
            told = out if out.ndim == 1 else out.amax(dim=1)
            of_sites, of_stretch = torch.autograd.grad(unit * told.sum(), (begun[0], stretch))
    finally:
        hook.remove()
    # the bias is no property of an element
    given = begun[0].detach() - (network.sites.layer.bias if network.sites.known else 0.0)
    return (of_sites * given).sum(1), of_stretch / vectors.norm(dim=1)


@torch.no_grad()
def _attention(network: AttentiveNetwork, crystals: Crystals) -> tuple[Tensor, Tensor]:
    of_bonds, of_sites = network.attention(crystals), network.site_attention(crystals)
    even_sites = crystals.counts[crystals.owner]
    even_bonds = crystals.starts.diff()[crystals.edges[1]]
    return of_sites.mean(1) * even_sites, of_bonds.mean(1) * even_bonds


# ---------------------------------------------------------------- random weights


def stages_of(network: nn.Module) -> dict[str, list[nn.Module]]:
    """Name -> layers, from the output back to the elements.

    Raises
    ------
    TypeError: a network on other things than crystals.
    """
    if not isinstance(network, CrystalNetwork):
        raise TypeError(f"{type(network).__name__} is no network on crystals")
    found: dict[str, list[nn.Module]] = {"head": [network.hidden, network.output]}
    if isinstance(network, LineGraphNetwork):
        angles = network.on_angles
        rounds = [[layer, *angles[n : n + 1]] for n, layer in enumerate(network.on_bonds)]
        rounds[-1].append(network.around)
    else:
        rounds = [[layer] for layer in network.layers]  # type: ignore[union-attr]
    if isinstance(network, AttentiveNetwork):
        found["attention over sites"] = [network.site_score]
    for number in reversed(range(len(rounds))):
        found[f"round {number + 1}"] = rounds[number]
    if isinstance(network, LineGraphNetwork):
        found["bonds and angles"] = [network.bond, network.angle]
    return found | {"elements": [network.sites]}


def randomised(
    network: nn.Module, seed: int, batches: Sequence[Batch], stages: int | None = None
) -> CrystalNetwork:
    """A copy with weights drawn anew as an untrained network has them (Adebayo et al. 2018).

    What standardises in the layers drawn anew takes its mean and spread from the batches; what is known of
    the elements stays.

    Parameters
    ----------
    batches: at least one. stages: how many of :func:`stages_of`, from the head on; None: all.

    Raises
    ------
    TypeError: a network on other things than crystals.
    """
    found = _copied(network)
    chosen = [layer for layers in list(stages_of(found).values())[:stages] for layer in layers]
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        for stage in chosen:
            for layer in stage.modules():
                _draw(layer)
        settle(nn.ModuleList(chosen), _passes(found, batches))
    return found.eval()


def _passes(network: nn.Module, batches: Sequence[Batch]) -> Iterator[Any]:
    return (partial(forward, network, batch) for batch in batches)


@torch.no_grad()
def _draw(layer: nn.Module) -> None:
    if isinstance(layer, Standardise):
        for tensor, value in ((layer.scale, 1), (layer.shift, 0), (layer.mean, 0), (layer.variance, 1)):
            tensor.fill_(value)
    elif isinstance(layer, Sites) and not layer.known:
        layer.learned.normal_()
    elif isinstance(layer, AttentiveConvolution):
        layer.score.normal_(0.0, layer.score.shape[1] ** -0.5)
    elif isinstance(layer, (nn.Linear, nn.LayerNorm)):
        layer.reset_parameters()


def _copied(network: nn.Module) -> CrystalNetwork:
    if not isinstance(network, CrystalNetwork):
        raise TypeError(f"{type(network).__name__} is no network on crystals")
    return deepcopy(network).double().eval().requires_grad_(False)


def crystals_in(batch: Batch) -> Crystals:
    """The crystals of a batch.

    Raises
    ------
    TypeError: it has none.
    """
    if not isinstance(batch.graph, Crystals):
        raise TypeError("these are batches of other things than crystals")
    return batch.graph
