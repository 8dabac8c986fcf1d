"""Networks on crystals: gated convolutions (CGCNN), and the same with attention in place of gates.

Xie & Grossman 2018 (doi:10.1103/PhysRevLett.120.145301). For the bond from the site i to an image of j with
the distance d, Gaussians g, batch norm N and the softplus s

    [a_ij, b_ij] = N(W [x_i, x_j, g(d)]),    x_i <- s(x_i + N(sum over j of sigmoid(a_ij) s(b_ij)))

The product with W is taken apart: W_i x_i and W_j x_j are products per site, not per bond. A crystal is read
out as the mean over its sites, so that a supercell is predicted as its cell is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitrine.learn.crystal_batches import Crystals
from vitrine.learn.networks.attended import attended
from vitrine.learn.networks.gated import Taps, fits, gated, mixed, taps_of
from vitrine.learn.networks.segments import mean_of_parts, share_out, sum_at_centres
from vitrine.learn.networks.standardise import Standardise, in_full

REACH = 8.0
"""Å, centre of the last Gaussian; the first is at 0."""
ELEMENTS = 119
"""rows of a table by atomic number"""


class Gaussians(nn.Module):
    """Gaussians of a length, evenly from 0 to :data:`REACH`; ``exp(-((d - centre) / spacing)^2)``."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(0.0, REACH, number))
        self.centres: Tensor
        self.spacing = REACH / (number - 1)

    def forward(self, lengths: Tensor) -> Tensor:
        """(n,) Å -> (n, number); what is further than the last has that one's share."""
        near = lengths.clamp(max=REACH)
        return torch.exp(-(((near[:, None] - self.centres) / self.spacing) ** 2))


class Sites(nn.Module):
    """What a site begins with, by its element.

    Parameters
    ----------
    width: numbers of a site. properties: whether from a table of what is known of the elements
        (:func:`vitrine.physics.element_features.element_features`) by a linear layer; else learned from
        nothing.
    """

    def __init__(self, width: int, properties: bool) -> None:
        super().__init__()
        self.known = properties
        if not properties:
            self.learned = nn.Parameter(torch.randn(ELEMENTS, width))
            return
        from vitrine.physics.element_features import element_features

        table = torch.from_numpy(element_features()).float()
        self.register_buffer("table", table)
        self.table: Tensor
        self.layer = nn.Linear(table.shape[1], width)

    def forward(self, numbers: Tensor) -> Tensor:
        """(n,) atomic numbers -> (n, width)."""
        # the layer acts on the table, which has fewer rows than a batch has sites
        return (in_full(self.layer(self.table)) if self.known else self.learned)[numbers]


class CrystalNetwork(nn.Module):
    """What all networks on crystals share: first features, mean over sites, head.

    Parameters
    ----------
    n_features: numbers of a whole crystal, joined to what is read out; may be 0.
    width: numbers of a site. hidden: neurons of the head's layer. read: numbers that are read out.
    """

    def __init__(
        self, n_features: int, n_outputs: int, properties: bool, width: int, hidden: int, radial: int
    ) -> None:
        super().__init__()
        self.sites = Sites(width, properties)
        self.radial = Gaussians(radial)
        self.hidden = nn.Linear(width + n_features, hidden)
        self.output = nn.Linear(hidden, n_outputs)

    def forward(self, features: Tensor, crystals: Crystals) -> Tensor:
        """features (n_crystals, n_features); outputs (n_crystals,), or (n_crystals, n_outputs)."""
        pooled = self.pooled(self.embedded(crystals), crystals)
        joined = functional.softplus(torch.cat([pooled, features.to(pooled.dtype)], dim=1))
        out = in_full(self.output(functional.softplus(in_full(self.hidden(joined)))))
        return out.squeeze(-1) if self.output.out_features == 1 else out

    def embedded(self, crystals: Crystals) -> Tensor:
        """(n_nodes, width) of the sites after the last layer."""
        raise NotImplementedError

    def pooled(self, sites: Tensor, crystals: Crystals) -> Tensor:
        """(n_crystals, width)."""
        return mean_of_parts(sites, crystals.owner, crystals.counts)

    def gaussians_of(self, crystals: Crystals) -> Tensor | Taps:
        """(n_edges, radial) of the lengths of bonds, or, where the passes for it fit, those that count."""
        lengths, radial = self.vectors_of(crystals)[1], self.radial
        if len(lengths) > 1 and fits(lengths, self.training, len(radial.centres)):
            return taps_of(lengths, crystals, radial.spacing, len(radial.centres))
        found: Tensor = radial(lengths)
        return found

    def vectors_of(self, crystals: Crystals) -> tuple[Tensor, Tensor]:
        """Vectors (n_edges, 3) and lengths (n_edges,) in the network's own precision."""
        vectors = crystals.vectors.to(self.radial.centres.dtype)
        return vectors, (vectors * vectors).sum(1).sqrt()


class GatedConvolution(nn.Module):
    """One round of gated messages; see the module.

    Parameters
    ----------
    width: numbers of a site. radial: Gaussians of a length.
    """

    def __init__(self, width: int, radial: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, 2 * width, bias=False)
        self.theirs = nn.Linear(width, 2 * width, bias=False)
        self.bond = nn.Linear(radial, 2 * width, bias=False)
        self.of_bonds = Standardise(2 * width, eps=1e-5)
        self.of_sites = Standardise(width, eps=1e-5)

    def forward(self, sites: Tensor, gaussians: Tensor | Taps, crystals: Crystals) -> Tensor:
        """(n_nodes, width) and (n_edges, radial), or those that count, -> (n_nodes, width)."""
        own, theirs = in_full(self.own(sites)), in_full(self.theirs(sites))
        if isinstance(gaussians, Taps):
            norm = self.of_bonds
            z, standard = mixed(own, theirs, self.bond.weight, norm, gaussians)
            total = gated(z, norm.scale, norm.shift, standard, gaussians)
        else:
            neighbour, centre = crystals.edges
            z = self.of_bonds(own[centre] + theirs[neighbour] + in_full(self.bond(gaussians)))
            gate, core = z.chunk(2, dim=1)
            total = sum_at_centres(torch.sigmoid(gate) * functional.softplus(core), crystals)
        return functional.softplus(sites + self.of_sites(total))


class GatedNetwork(CrystalNetwork):
    """CGCNN."""

    def __init__(self, layers: int, n_features: int, n_outputs: int, properties: bool, **sizes: int) -> None:
        super().__init__(n_features, n_outputs, properties, **sizes)
        self.layers = nn.ModuleList(GatedConvolution(sizes["width"], sizes["radial"]) for _ in range(layers))

    def embedded(self, crystals: Crystals) -> Tensor:
        """See the base class."""
        gaussians = self.gaussians_of(crystals)
        sites: Tensor = self.sites(crystals.numbers)
        for layer in self.layers:
            sites = layer(sites, gaussians, crystals)
        return sites


class AttentiveConvolution(nn.Module):
    """Softmax over the bonds of a site in place of gates (GATv2, arXiv:2105.14491, with distances; smooth).

    Parameters
    ----------
    width: numbers of a site, a multiple of the heads. heads: attentions side by side, each over its own
        part of the messages.
    """

    def __init__(self, width: int, radial: int, heads: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, 2 * width, bias=False)
        self.theirs = nn.Linear(width, 2 * width, bias=False)
        self.bond = nn.Linear(radial, 2 * width, bias=False)
        self.score = nn.Parameter(torch.randn(heads, width // heads) * (heads / width) ** 0.5)
        self.of_bonds = Standardise(2 * width, eps=1e-5)
        self.of_sites = Standardise(width, eps=1e-5)

    def forward(self, sites: Tensor, gaussians: Tensor | Taps, crystals: Crystals) -> tuple[Tensor, Tensor]:
        """Sites (n_nodes, width) after it, and (n_edges, heads) weights, which sum to 1 at each centre."""
        own, theirs = in_full(self.own(sites)), in_full(self.theirs(sites))
        if isinstance(gaussians, Taps):
            norm = self.of_bonds
            z, standard = mixed(own, theirs, self.bond.weight, norm, gaussians)
            total, weights = attended(z, norm.scale, norm.shift, self.score, standard, gaussians)
        else:
            neighbour, centre = crystals.edges
            z = own[centre] + theirs[neighbour] + in_full(self.bond(gaussians))
            towards, core = self.of_bonds(z).chunk(2, dim=1)
            heads = len(self.score)
            raw = (_split(functional.silu(towards), heads) * self.score).sum(-1)
            weights = share_out(raw, crystals.starts)
            sent = _split(functional.softplus(core), heads) * weights[:, :, None]
            total = sum_at_centres(sent.flatten(1), crystals)
        return functional.softplus(sites + self.of_sites(total)), weights


class AttentiveNetwork(CrystalNetwork):
    """Attention over the bonds of a site in each layer, then over the sites of a crystal.

    Parameters
    ----------
    heads: of both; those over sites pool their own part of the numbers of a site each.
    """

    def __init__(
        self, layers: int, heads: int, n_features: int, n_outputs: int, properties: bool, **sizes: int
    ) -> None:
        super().__init__(n_features, n_outputs, properties, **sizes)
        self.heads = heads
        self.layers = nn.ModuleList(
            AttentiveConvolution(sizes["width"], sizes["radial"], heads) for _ in range(layers)
        )
        self.site_score = nn.Sequential(
            nn.Linear(sizes["width"], sizes["width"]), nn.Softplus(), nn.Linear(sizes["width"], heads)
        )

    def embedded(self, crystals: Crystals) -> Tensor:
        """See the base class."""
        return self._through(crystals)[0]

    def pooled(self, sites: Tensor, crystals: Crystals) -> Tensor:
        """(n_crystals, width): the heads' parts one after another."""
        weights = self._site_weights(sites, crystals)
        shared = (_split(sites, self.heads) * weights[:, :, None]).flatten(1)
        total = shared.new_zeros((len(crystals.counts), shared.shape[1]))
        summed: Tensor = total.index_add(0, crystals.owner, shared)
        return summed

    def attention(self, crystals: Crystals) -> Tensor:
        """(n_edges, heads) of the last layer, which sum to 1 over the bonds of each centre."""
        return self._through(crystals)[1]

    def site_attention(self, crystals: Crystals) -> Tensor:
        """(n_nodes, heads) weights of the sites, which sum to 1 within each crystal."""
        return self._site_weights(self.embedded(crystals), crystals)

    def _through(self, crystals: Crystals) -> tuple[Tensor, Tensor]:
        gaussians = self.gaussians_of(crystals)
        sites: Tensor = self.sites(crystals.numbers)
        weights = sites.new_zeros((0, self.heads))
        for layer in self.layers:
            sites, weights = layer(sites, gaussians, crystals)
        return sites, weights

    def _site_weights(self, sites: Tensor, crystals: Crystals) -> Tensor:
        bounds: Any = functional.pad(torch.cumsum(crystals.counts, 0), (1, 0))
        return share_out(in_full(self.site_score(sites)), bounds)


def _split(rows: Tensor, heads: int) -> Tensor:
    """(n, width) -> (n, heads, width / heads)."""
    return rows.reshape(len(rows), heads, -1)
