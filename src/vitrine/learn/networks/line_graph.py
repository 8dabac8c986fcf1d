"""A network on crystals, their bonds, and the angles between bonds, in the line of ALIGNN.

Choudhary & DeCost 2021 (doi:10.1038/s41524-021-00650-1), whose edge-gated convolution is that of Bresson &
Laurent (arXiv:1711.07553): with what stands at nodes x and at edges e, from u to v,

    m_uv = A x_u + B x_v + C e_uv,    g_uv = sigmoid(m_uv),    e_uv <- e_uv + silu(L(m_uv)),
    x_v <- x_v + silu(L(D x_v + sum over u of g_uv E x_u / sum over u of g_uv))

once on the graph whose nodes are bonds and whose edges are angles, once on that of sites and bonds. Four
things differ from the original: bonds meet at their centre (a bond is directed, from a site to one of its
own nearest neighbours); L is layer norm, which knows no batch; angles are made here, from a batch's bonds;
and a site is read out with the mean of its bonds. Without that, a crystal of equal sites would be the same
to the network whatever its distances: gates are divided by their sum, so that the mean of equal x_u is x_u.
For the same reason angles say how bonds of a site lie that differ, and nothing of bonds equal in all else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitrine.learn.crystal_batches import Crystals
from vitrine.learn.networks.crystal import CrystalNetwork
from vitrine.learn.networks.edge_gated import CLOSED, edge_gated, residual
from vitrine.learn.networks.gated import fits
from vitrine.learn.networks.segments import mean_of_parts
from vitrine.learn.networks.standardise import in_full

SAME_SHELL = 1.0e-3
"""relative, as of the graph itself"""


class EdgeGated(nn.Module):
    """One edge-gated convolution; see the module.

    Parameters
    ----------
    last: whether nothing looks at the edges after it, which then stay as they are.
    """

    def __init__(self, width: int, last: bool) -> None:
        super().__init__()
        self.of_source = nn.Linear(width, 2 * width)
        self.of_target = nn.Linear(width, 2 * width, bias=False)
        self.of_edge = nn.Linear(width, width, bias=False)
        self.node_norm = nn.LayerNorm(width)
        self.edge_norm = None if last else nn.LayerNorm(width)

    def forward(
        self,
        nodes: Tensor,
        edges: Tensor,
        source: Tensor,
        target: Tensor,
        fast: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """(n_nodes, width) and (n_edges, width), both anew.

        source, target: (n_edges,), ends of edges, sorted by target. fast: by the passes of
        :mod:`vitrine.learn.networks.edge_gated`.
        """
        towards, at_edges = in_full(self.of_source(nodes)), in_full(self.of_edge(edges))
        met, own = in_full(self.of_target(nodes)).chunk(2, dim=1)
        if fast:
            raw, mean = edge_gated(towards, met, at_edges, source, target)
            nodes = residual(nodes, own + mean, self.node_norm)
            return nodes, edges if self.edge_norm is None else residual(edges, raw, self.edge_norm)
        beside, sent = towards.chunk(2, dim=1)
        raw = beside[source] + met[target] + at_edges
        gate, zero = torch.sigmoid(raw), torch.zeros_like(nodes)
        total = zero.index_add(0, target, gate * sent[source])
        mean = total / (zero.index_add(0, target, gate) + CLOSED)
        nodes = nodes + functional.silu(in_full(self.node_norm(own + mean)))
        if self.edge_norm is None:
            return nodes, edges
        return nodes, edges + functional.silu(in_full(self.edge_norm(raw)))


class LineGraphNetwork(CrystalNetwork):
    """Rounds on angles and bonds then bonds and sites, rounds on bonds and sites, mean, head.

    Parameters
    ----------
    layers, plain_layers: of both kinds. angle_neighbours: nearest bonds of a site that make angles, with the
        rest of the shell of the last. angular: Gaussians of the cosine.
    """

    def __init__(
        self,
        layers: int,
        plain_layers: int,
        angle_neighbours: int,
        angular: int,
        n_features: int,
        n_outputs: int,
        properties: bool,
        **sizes: int,
    ) -> None:
        super().__init__(n_features, n_outputs, properties, **sizes)
        width = sizes["width"]
        self.angle_neighbours = angle_neighbours
        self.register_buffer("cosines", torch.linspace(-1.0, 1.0, angular))
        self.cosines: Tensor
        self.bond = _embedding(sizes["radial"], width)
        self.angle = nn.Sequential(nn.Linear(angular, width), nn.LayerNorm(width), nn.SiLU())
        self.around = nn.Linear(width, width)
        self.on_angles = _rounds(width, layers)
        self.on_bonds = _rounds(width, layers + plain_layers)

    def embedded(self, crystals: Crystals) -> Tensor:
        """See the base class."""
        vectors, lengths = self.vectors_of(crystals)
        neighbour, centre = crystals.edges
        first, second = angles_of(lengths, crystals, self.angle_neighbours)
        units = vectors / lengths[:, None]
        cosine = (units[first] * units[second]).sum(1)
        spacing = 2.0 / (len(self.cosines) - 1)
        angles = in_full(self.angle(torch.exp(-(((cosine[:, None] - self.cosines) / spacing) ** 2))))
        bonds = in_full(self.bond(self.radial(lengths)))
        sites: Tensor = self.sites(crystals.numbers)
        fast = fits(lengths, self.training)
        for number, layer in enumerate(self.on_bonds):
            if number < len(self.on_angles):
                bonds, angles = self.on_angles[number](bonds, angles, second, first, fast)
            sites, bonds = layer(sites, bonds, neighbour, centre, fast)
        around = mean_of_parts(bonds, centre, crystals.starts.diff().clamp(min=1))
        return sites + in_full(self.around(around))


def angles_of(lengths: Tensor, crystals: Crystals, nearest: int) -> tuple[Tensor, Tensor]:
    """Ordered pairs of bonds of one site, (n_angles,) each: of its nearest, and of the last one's shell.

    Parameters
    ----------
    lengths: (n_edges,), rising among the bonds of a site.
    """
    starts, centre = crystals.starts, crystals.edges[1]
    counts = starts.diff()
    last = (starts[:-1] + counts.clamp(max=nearest) - 1).clamp(min=0)
    limit = lengths[last] * (1.0 + SAME_SHELL) if len(lengths) else lengths.new_zeros(len(counts))
    near = lengths <= limit[centre]
    taken = torch.zeros_like(counts).index_add(0, centre, near.long())
    bonds = near.nonzero()[:, 0]
    # the bonds that are near are the first of their site, so partners are counted from its first
    partners = taken[centre[bonds]]
    one = torch.repeat_interleave(bonds, partners)
    begun = torch.repeat_interleave(partners.cumsum(0) - partners, partners)
    other = starts[centre[one]] + torch.arange(len(one), device=one.device) - begun
    different = one != other
    return one[different], other[different]


def _rounds(width: int, number: int) -> nn.ModuleList:
    return nn.ModuleList(EdgeGated(width, last=place == number - 1) for place in range(number))


def _embedding(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width)
    )
