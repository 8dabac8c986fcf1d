"""Message passing with scalars, vectors and tensors that turn with the configuration and its load.

Cartesian form: a channel of a node is a number, a vector or a symmetric traceless tensor (kept as its
five components in an orthonormal basis). Messages are numbers; a bond gives them a direction when they
are summed, so that nothing of the size bonds x channels x 3 is ever written. Rotating or reflecting
positions, vectors, tensors and the load together turns the inner vectors and leaves the output as it is.

After Schütt et al. 2021 (arXiv:2102.03150) for vector channels and Simeon & De Fabritiis 2023
(arXiv:2306.06482) for tensors in Cartesian form; that bonds meet the strain tensor of a load is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vitrine.learn.batches import Geometry

N_RADIAL = 8
"""Gaussians of the bond length over the mean one"""
SHORTEST, LONGEST = 0.7, 1.7
"""their first and last centre"""


def symmetric_basis() -> Tensor:
    """(5, 3, 3): orthonormal basis of the symmetric traceless matrices."""
    basis = torch.zeros(5, 3, 3)
    for k, (i, j) in enumerate(((0, 1), (1, 2), (0, 2))):
        basis[k, i, j] = basis[k, j, i] = 0.5**0.5
    basis[3] = torch.diag(torch.tensor([1.0, -1.0, 0.0])) / 2**0.5
    basis[4] = torch.diag(torch.tensor([-1.0, -1.0, 2.0])) / 6**0.5
    return basis


def squash(x: Tensor, dim: int) -> Tensor:
    """Vectors along ``dim`` with the length r made asinh(r); their direction stays."""
    length = torch.sqrt((x * x).sum(dim, keepdim=True) + 1e-12)
    return x * (torch.asinh(length) / length)


class Rows(NamedTuple):
    """Edges in rows of one length, those of a node in its row; the rest of a row is padding."""

    place: Tensor
    """(n_edges,): where each edge stands in the rows laid end to end"""
    length: int

    @classmethod
    def of(cls, node: Tensor, n: int) -> Rows:
        """Rows of these nodes (n_edges,)."""
        order = torch.argsort(node, stable=True)
        counts = torch.bincount(node, minlength=n)
        length = max(int(counts.max()) if n else 0, 1)
        within = torch.arange(len(node), device=node.device) - (torch.cumsum(counts, 0) - counts)[node[order]]
        place = torch.empty_like(node)
        place[order] = node[order] * length + within
        return cls(place, length)

    def fill(self, values: Tensor, n: int) -> Tensor:
        """(n, length, ...) from (n_edges, ...), 0 in the padding."""
        out = values.new_zeros((n * self.length, *values.shape[1:]))
        out[self.place] = values
        return out.view(n, self.length, *values.shape[1:])


class Surroundings(NamedTuple):
    """What the layers share: bonds in rows of their centres, with K places."""

    neighbour: Tensor
    """(n * K,)"""
    from_sender: Tensor
    """(n * K,): the place of the same bond in the rows of its neighbour"""
    sent: Tensor
    """(n, K', 8): direction of a bond as vector and as tensor, in rows of its neighbour"""
    scalars: Tensor
    """(n * K, width): from the invariants of a bond"""
    along: Tensor
    """(n, K, 8): direction of a bond as vector and as tensor"""
    basis: Tensor
    """(n, 1 + 8 * (1 + n_vectors), K): what messages are summed with, over the root of the mean number of
    bonds: 1, the direction and the differences of the input vectors, their products with the direction"""
    load: Tensor
    """(n, 3, 3): strain of unit norm for a unit shear"""
    load5: Tensor
    """(n, 5, 1)"""

    def carry(self, senders: Tensor) -> Tensor:
        """(n * K, width): each node's vectors and tensors (n, 8, width) along each of its bonds.

        Computed where they are and sent as numbers, so that none is copied for every bond.
        """
        return (self.sent @ senders).flatten(0, 1).index_select(0, self.from_sender)


class EquivariantLayer(nn.Module):
    """One round of messages, then products of each node's vectors, tensors and load.

    Parameters
    ----------
    width: channels of each kind. n_vectors: input vectors.
    """

    def __init__(self, width: int, n_vectors: int, basis: Tensor) -> None:
        super().__init__()
        self.width, self.directions = width, 1 + n_vectors
        self.neighbour, self.centre = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.sent, self.own = (
            nn.ModuleList([nn.Linear(width, width, bias=False) for _ in range(2)]) for _ in range(2)
        )
        self.filters = nn.Linear(width, width)
        self.gather = nn.ModuleList([nn.Linear((1 + n_vectors) * width, width, bias=False) for _ in range(2)])
        self.keep = nn.ModuleList([nn.Linear(width, width, bias=False) for _ in range(2)])
        self.update = nn.Sequential(
            nn.LayerNorm(7 * width),
            nn.Linear(7 * width, 2 * width),
            nn.Mish(),
            nn.Linear(2 * width, 6 * width),
        )
        self.register_buffer("basis", basis, persistent=False)
        self.basis: Tensor

    def forward(self, s: Tensor, v: Tensor, t: Tensor, around: Surroundings) -> tuple[Tensor, Tensor, Tensor]:
        """s (n, width), v (n, 3, width), t (n, 5, width) -> the same, after this round."""
        sum_s, sum_v, sum_t = self._messages(s, v, t, around)
        v1, t1 = sum_v + self.keep[0](v), sum_t + self.keep[1](t)
        loaded = around.load @ v1
        matrix = torch.einsum("nkc,kij->nijc", t1, self.basis)
        turned = (matrix * v1[:, None]).sum(2)
        products = [
            (v1 * v1).sum(1), (v1 * loaded).sum(1), (v1 * turned).sum(1),
            (t1 * t1).sum(1), (t1 * around.load5).sum(1),
        ]  # fmt: skip
        change, *gates = self.update(
            torch.cat([s, sum_s, torch.asinh(torch.cat(products, dim=1))], dim=1)
        ).split(self.width, dim=1)
        a, b, c, d, e = (gate[:, None] for gate in gates)
        v2 = v + a * v1 + b * loaded + c * turned
        t2 = t + d * t1 + e * around.load5
        return s + change, _held(v2), _held(t2)

    def _messages(
        self, s: Tensor, v: Tensor, t: Tensor, around: Surroundings
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sums over the bonds of each node: (n, width), (n, 3, width), (n, 5, width)."""
        n, width = s.shape
        message = self.neighbour(s).index_select(0, around.neighbour) + around.carry(
            self._mixed(self.sent, v, t)
        )
        message = message.view(n, -1, width) + self.centre(s)[:, None]
        message = nn.functional.silu(message + around.along @ self._mixed(self.own, v, t))
        message = message * self.filters(around.scalars).view(n, -1, width)
        sizes = (1, 3 * self.directions, 5 * self.directions)
        sum_s, *sums = (around.basis @ message).split(sizes, dim=1)
        sum_v, sum_t = (
            mix(total.view(n, -1, size, width).transpose(1, 2).reshape(n, size, -1))
            for mix, total, size in zip(self.gather, sums, (3, 5), strict=True)
        )
        return sum_s[:, 0], sum_v, sum_t

    @staticmethod
    def _mixed(mix: nn.ModuleList, v: Tensor, t: Tensor) -> Tensor:
        return torch.cat([mix[0](v), mix[1](t)], dim=1)


def _held(x: Tensor) -> Tensor:
    """Vectors or tensors (n, size, width), those of a node scaled down together where they are large."""
    return x * torch.rsqrt(1 + (x * x).sum(1, keepdim=True).mean(2, keepdim=True))


class EquivariantNetwork(nn.Module):
    """Rounds of messages between vectors, tensors and the load; one invariant output per node.

    Parameters
    ----------
    n_features: columns of the node features, which must be invariant themselves. n_vectors, n_tensors:
        those of a node. layers: rounds. width: channels of scalars, of vectors and of tensors.
    """

    def __init__(self, n_features: int, n_vectors: int, n_tensors: int, layers: int, width: int) -> None:
        super().__init__()
        self.register_buffer("basis", symmetric_basis(), persistent=False)
        self.basis: Tensor
        pairs = n_vectors * (n_vectors + 1) // 2
        n_scalars = N_RADIAL + 2 + 2 * n_vectors + pairs + 2 * n_tensors
        n_start = n_features + pairs + n_vectors + 3 * n_tensors
        self.start = nn.Linear(n_start, width)
        self.start_vectors = nn.Linear(n_vectors, width, bias=False) if n_vectors else None
        self.start_tensors = nn.Linear(n_tensors + 1, width, bias=False)
        self.bond = nn.Sequential(nn.Linear(n_scalars, width), nn.SiLU())
        self.layers = nn.ModuleList([EquivariantLayer(width, n_vectors, self.basis) for _ in range(layers)])
        self.readout = nn.Sequential(
            nn.Linear(width + n_start, 2 * width), nn.Mish(), nn.Linear(2 * width, 1)
        )
        # one factor for each kind of input: any other scaling would prefer directions
        for name, size in {
            "bond_length": 1, "bonds": 1, "spread_vectors": n_vectors, "spread_differences": n_vectors,
            "spread_tensors": n_tensors, "spread_traces": n_tensors,
        }.items():  # fmt: skip
            self.register_buffer(name, torch.ones(size))
        self.register_buffer("mean_traces", torch.zeros(n_tensors))
        self.bond_length: Tensor
        self.bonds: Tensor
        self.spread_vectors: Tensor
        self.spread_differences: Tensor
        self.spread_tensors: Tensor
        self.spread_traces: Tensor
        self.mean_traces: Tensor

    @torch.no_grad()
    def calibrate(self, edge_index: Tensor, geometry: Geometry) -> None:
        """Take the units of lengths, vectors and tensors from training data, before training.

        Medians, because the response to a load has long tails. They are part of the network's state.
        """
        n = len(geometry.owner)
        if edge_index.shape[1]:
            source, centre = edge_index
            self.bond_length.fill_(float(geometry.edge_vectors.norm(dim=1).mean()))
            self.bonds.fill_(edge_index.shape[1] / max(n, 1))
            if geometry.vectors.shape[1]:
                differences = (geometry.vectors[centre] - geometry.vectors[source]).norm(dim=2)
                self.spread_differences.copy_(_positive(differences.median(dim=0).values))
        if n and geometry.vectors.shape[1]:
            self.spread_vectors.copy_(_positive(geometry.vectors.norm(dim=2).median(dim=0).values))
        if n and geometry.tensors.shape[1]:
            traces, traceless = self._parts(geometry.tensors)
            self.spread_tensors.copy_(_positive(traceless.norm(dim=2).median(dim=0).values))
            self.mean_traces.copy_(traces.mean(dim=0))
            self.spread_traces.copy_(_positive(traces.std(dim=0, correction=0)))

    def _parts(self, tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Traces (..., ) and the five components (..., 5) of tensors (..., 3, 3)."""
        return tensors.diagonal(dim1=-2, dim2=-1).sum(-1), torch.einsum(
            "...ij,kij->...k", tensors, self.basis
        )

    def forward(self, x: Tensor, edge_index: Tensor, geometry: Geometry) -> Tensor:
        """x (n_nodes, n_features), edge_index (2, n_edges) neighbour -> centre; outputs (n_nodes,)."""
        # a unit shear strain has the norm 1/sqrt(2)
        load = 2**0.5 * geometry.loads[geometry.owner]
        vectors = squash(geometry.vectors / self.spread_vectors[:, None], 2)
        traces, tensors = self._parts(geometry.tensors)
        tensors = squash(tensors / self.spread_tensors[:, None], 2)
        load5 = torch.einsum("nij,kij->nk", load, self.basis)
        around = self._surroundings(edge_index, geometry, tensors, load, load5)
        invariants = [
            x,
            self._products(vectors, load),
            (traces - self.mean_traces) / self.spread_traces,
            torch.einsum("nmk,nk->nm", tensors, load5),
            (tensors * tensors).sum(2),
        ]
        start = torch.cat(invariants, dim=1)
        s = self.start(start)
        v = s.new_zeros(len(s), 3, s.shape[1])
        if self.start_vectors is not None:
            v = self.start_vectors(vectors.transpose(1, 2))
        t = self.start_tensors(torch.cat([tensors, load5[:, None]], dim=1).transpose(1, 2))
        for layer in self.layers:
            s, v, t = layer(s, v, t, around)
        out: Tensor = self.readout(torch.cat([s, start], dim=1)).squeeze(-1)
        return out

    @staticmethod
    def _products(vectors: Tensor, load: Tensor) -> Tensor:
        """(n, pairs + n_vectors): scalar products of vectors (n, n_vectors, 3), and each with its load."""
        n_vectors = vectors.shape[1]
        i, j = torch.triu_indices(n_vectors, n_vectors, device=vectors.device)
        plain = (vectors[:, i] * vectors[:, j]).sum(2)
        return torch.cat([plain, (vectors * (vectors @ load)).sum(2)], dim=1)

    def _surroundings(
        self, edge_index: Tensor, geometry: Geometry, tensors: Tensor, load: Tensor, load5: Tensor
    ) -> Surroundings:
        """Bonds in rows, with their invariants and the bases that messages are summed with."""
        (source, centre), n = edge_index, len(load)
        length = geometry.edge_vectors.norm(dim=1, keepdim=True).clamp_min(1e-6)
        unit = geometry.edge_vectors / length
        scaled = (geometry.vectors[centre] - geometry.vectors[source]) / self.spread_differences[:, None]
        change = squash(scaled, 2)
        fields = torch.cat([unit[:, None], change], dim=1)
        dyads = _dyads(fields, unit[:, None])
        loaded = (load[centre] @ unit[:, :, None]).squeeze(2)
        centres = torch.linspace(SHORTEST, LONGEST, N_RADIAL, device=unit.device)
        step = (LONGEST - SHORTEST) / (N_RADIAL - 1)
        scalars = [
            torch.exp(-(((length / self.bond_length - centres) / step) ** 2) / 2),
            (unit * loaded).sum(1, keepdim=True),
            (loaded * loaded).sum(1, keepdim=True),
            (change * unit[:, None]).sum(2),
            self._products(change, load[centre]),
            torch.einsum("emk,ek->em", tensors[centre], dyads[:, 0]),
            torch.einsum("emk,ek->em", tensors[source], dyads[:, 0]),
        ]
        here, there = Rows.of(centre, n), Rows.of(source, n)
        from_sender = centre.new_zeros(n * here.length)
        from_sender[here.place] = there.place
        basis = torch.cat([torch.ones_like(length), fields.flatten(1), dyads.flatten(1)], dim=1)
        direction = torch.cat([unit, dyads[:, 0]], dim=1)
        return Surroundings(
            neighbour=here.fill(source, n).flatten(),
            from_sender=from_sender,
            sent=there.fill(direction, n),
            scalars=self.bond(here.fill(torch.cat(scalars, dim=1), n).flatten(0, 1)),
            along=here.fill(direction, n),
            basis=here.fill(basis * torch.rsqrt(self.bonds), n).transpose(1, 2),
            load=load,
            load5=load5[:, :, None],
        )


def _dyads(a: Tensor, b: Tensor) -> Tensor:
    """(..., 5): symmetric traceless part of a ⊗ b, for (..., 3) each, in :func:`symmetric_basis`."""
    (x, y, z), (p, q, r) = a.unbind(-1), b.unbind(-1)
    xx, yy, zz = x * p, y * q, z * r
    mixed = [(x * q + y * p) / 2**0.5, (y * r + z * q) / 2**0.5, (x * r + z * p) / 2**0.5]
    return torch.stack([*mixed, (xx - yy) / 2**0.5, (2 * zz - xx - yy) / 6**0.5], dim=-1)


def _positive(spread: Tensor) -> Tensor:
    return torch.where(spread > 1e-12, spread, torch.ones_like(spread))
