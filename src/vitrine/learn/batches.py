"""Batches of samples as tensors, whole or split over processes that train together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vitrine.errors import DataError
from vitrine.learn.bonds import reverse_edges
from vitrine.learn.crystal_batches import CRYSTALS, Crystals, bounds_of_nodes, crystals_of
from vitrine.learn.losses import Balance, drawn_weights
from vitrine.learn.parallel import ALONE, Rank
from vitrine.samples import Examples, Int

Augment = Literal["none", "flips", "flips-and-shifts"]
"""What training images are shown as: as they are; turned by right angles and mirrored; moreover rolled by
random numbers of pixels, as a periodic box may be."""


class Geometry(NamedTuple):
    """What networks that see space get besides features, all in one frame.

    Attributes
    ----------
    edge_vectors: (n_edges, 3) from the first node of each edge of ``Batch.edges`` to its second: from
        neighbour to centre, as messages flow.
    vectors: (n_rows, n_vectors, 3). tensors: (n_rows, n_tensors, 3, 3), symmetric.
    loads: (n_samples, 3, 3), symmetric strains. owner: (n_rows,) int64, the sample of each row.
    """

    edge_vectors: Tensor
    vectors: Tensor
    tensors: Tensor
    loads: Tensor
    owner: Tensor


class WholeGraphs(NamedTuple):
    """Graphs with one prediction each; every bond stands there from either of its ends.

    Attributes
    ----------
    nodes: (n_nodes, n_node_features). edges: (2, n_edges) int64, neighbour -> centre, sorted by centre.
    lengths: (n_edges,). reverse: (n_edges,) int64, the place of the same bond from its other end.
    starts: (n_nodes + 1,) int64, the bonds of node i as a centre are ``starts[i]`` to ``starts[i + 1]``.
    owner, edge_owner: (n_nodes,), (n_edges,) int64, the graph of each.
    edge_counts: edges of each graph.
    """

    nodes: Tensor
    edges: Tensor
    lengths: Tensor
    reverse: Tensor
    starts: Tensor
    owner: Tensor
    edge_owner: Tensor
    edge_counts: tuple[int, ...]


class Batch(NamedTuple):
    """Some samples; a named tuple, which Lightning moves to a device field by field.

    Attributes
    ----------
    features: (n_rows, n_features). edges: (2, n_edges) int64, neighbour -> centre.
    target: (n_rows,), or empty. geometry: None where the examples have none.
    weights: (n_rows,) what each row counts in the training loss of this epoch, of mean 1 over the
        training set; None where all count alike.
    share: what the mean loss of a rank's part of a batch counts for: 1 where there is one rank.
    graph: nodes and bonds of whole graphs or crystals, whose rows are samples; ``edges`` is empty then.
    images: (n_samples, height, width), uint8 or float32.
    """

    features: Tensor
    edges: Tensor
    target: Tensor
    geometry: Geometry | None = None
    weights: Tensor | None = None
    share: float = 1.0
    graph: WholeGraphs | Crystals | None = None
    images: Tensor | None = None


class Batches(Dataset[Batch]):
    """A rank's shares of whole batches of samples, shuffled anew each epoch by a seeded generator.

    Every rank draws the same order and the same rows. The mean loss of a share counts ``rows of the
    share x ranks / rows of the batch``: the mean over ranks, which gradients are, is then the mean over
    the batch.
    """

    def __init__(
        self,
        examples: Examples,
        batch: int,
        seed: int | None,
        rank: Rank = ALONE,
        balance: Balance = "none",
        augment: Augment = "none",
    ) -> None:
        self._examples, self._batch, self._rank, self._balance = examples, batch, rank, balance
        self._augment = augment if examples.images is not None and seed is not None else "none"
        self._ways: Int | None = None
        paired = examples.nodes is not None and examples.makes != CRYSTALS
        self._reverse = reverse_edges(examples) if paired else None
        self._random = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(len(examples))
        self._rows = _whole_rows(examples)
        self._weights: np.ndarray | None = None

    @property
    def state(self) -> dict[str, Any] | None:
        """State of the generator, JSON-able; None without one."""
        return None if self._random is None else dict(self._random.bit_generator.state)

    @state.setter
    def state(self, state: dict[str, Any] | None) -> None:
        if self._random is not None and state is not None:
            self._random.bit_generator.state = state

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch)

    def __getitem__(self, number: int) -> Batch:
        if number >= len(self):
            raise IndexError(number)
        if number == 0:
            self._begin_epoch()
        chosen = self._order[number * self._batch : (number + 1) * self._batch]
        mine = chosen[self._rank.index :: self._rank.count]
        if self._rank.count == 1:
            return self._batch_of(mine, 1.0)
        rows = np.diff(self._examples.starts)
        counts = [rows[self._samples_of(part)].sum() for part in (mine, chosen)]
        share = float(counts[0] * self._rank.count / counts[1])
        # every rank takes part in every step; one without a sample takes another's, which counts nothing
        return self._batch_of(mine if len(mine) else chosen[:1], share)

    def _samples_of(self, chosen: np.ndarray) -> np.ndarray:
        """Which samples entries of the order are of."""
        return chosen

    def _begin_epoch(self) -> None:
        """Everything random of an epoch is drawn here, so that its state is that of the generator."""
        if self._random is None:
            return
        self._order = self._random.permutation(len(self._order))
        if self._examples.target is not None:
            self._weights = drawn_weights(self._examples.target, self._balance, self._random)
        if self._augment != "none" and self._examples.images is not None:
            # columns: one of eight symmetries of the square, pixels to roll down and to the right
            most = np.array([8, *self._examples.images.shape[1:]])
            self._ways = self._random.integers(0, most, size=(len(self._order), 3))
            if self._augment == "flips":
                self._ways[:, 1:] = 0

    def _batch_of(self, samples: np.ndarray, share: float) -> Batch:
        weights = None
        if self._weights is not None:
            weights = torch.from_numpy(self._weights[self._examples.rows_of(samples)])
        if self._rows is not None:
            chosen = torch.from_numpy(samples)
            features, target = (array.index_select(0, chosen) for array in self._rows)
            return Batch(features, _NO_EDGES, target, weights=weights, share=share)
        examples = self._examples.select(samples)
        if self._ways is not None and examples.images is not None:
            shown = [
                seen(image, *way) for image, way in zip(examples.images, self._ways[samples], strict=True)
            ]
            examples = replace(examples, images=np.stack(shown))
        reverse = None
        if self._reverse is not None and self._examples.edge_starts is not None:
            bounds = self._examples.edge_starts
            parts = [self._reverse[bounds[s] : bounds[s + 1]] for s in samples]
            reverse = np.concatenate(parts)
        return as_batch(examples, reverse)._replace(weights=weights, share=share)


_NO_EDGES = torch.zeros((2, 0), dtype=torch.int64)


def _whole_rows(examples: Examples) -> tuple[Tensor, Tensor] | None:
    """Features and targets of examples that are one row each and nothing else: batches are taken from them
    at once."""
    beside = (examples.edges, examples.edge_vectors, examples.nodes, examples.images, examples.maps)
    if examples.target is None or not examples.whole or any(part is not None for part in beside):
        return None
    return torch.from_numpy(examples.features), torch.from_numpy(examples.target)


def seen(image: NDArray[Any], way: int, down: int = 0, right: int = 0) -> NDArray[Any]:
    """An image under one of the eight symmetries of the square, then rolled by these pixels.

    Parameters
    ----------
    image: (height, width). way: 0 to 7: quarter turns, from 4 on mirrored first; an image that is no
        square is turned by half in place of a quarter.
    """
    if way >= 4:
        image = image[:, ::-1]
    turns = way % 4
    image = np.rot90(image, turns if image.shape[0] == image.shape[1] else 2 * turns)
    if down or right:
        image = np.roll(image, (down, right), axis=(0, 1))
    return np.ascontiguousarray(image)


def as_batch(examples: Examples, reverse: Int | None = None) -> Batch:
    """Examples as tensors; an absent target is empty, absent edges are (2, 0).

    Examples with edge vectors have a geometry; vectors and tensors that are absent are (n_rows, 0, ...)
    in it, absent loads are 0. Examples with nodes have whole graphs instead.

    Parameters
    ----------
    reverse: what :func:`vitrine.learn.bonds.reverse_edges` finds for them, if it is known already.
    """
    if examples.nodes is not None or examples.images is not None:
        return _whole(examples, reverse)
    edges = np.zeros((2, 0), np.int64) if examples.edges is None else examples.edges[::-1].copy()
    target = np.zeros(0, np.float32) if examples.target is None else examples.target
    return Batch(
        torch.from_numpy(examples.features),
        torch.from_numpy(edges),
        torch.from_numpy(target),
        None if examples.edge_vectors is None else _geometry(examples, -examples.edge_vectors),
    )


def _geometry(examples: Examples, edge_vectors: np.ndarray) -> Geometry:
    n = examples.n_rows
    absent = {"vectors": (n, 0, 3), "tensors": (n, 0, 3, 3), "loads": (len(examples), 3, 3)}
    fields = {}
    for name, shape in absent.items():
        array = getattr(examples, name)
        fields[name] = torch.from_numpy(np.zeros(shape, np.float32) if array is None else array)
    return Geometry(torch.from_numpy(edge_vectors), **fields, owner=torch.from_numpy(examples.owner))


def _whole(examples: Examples, reverse: Int | None) -> Batch:
    target = np.zeros(0, np.float32) if examples.target is None else examples.target
    images = None
    if examples.images is not None:
        images = torch.from_numpy(np.ascontiguousarray(examples.images))
    return Batch(
        torch.from_numpy(examples.features),
        torch.zeros((2, 0), dtype=torch.int64),
        torch.from_numpy(target),
        graph=_graph_of(examples, reverse),
        images=images,
    )


def _graph_of(examples: Examples, reverse: Int | None) -> WholeGraphs | Crystals | None:
    if examples.nodes is None:
        return None
    return crystals_of(examples) if examples.makes == CRYSTALS else _graphs(examples, reverse)


def _graphs(examples: Examples, reverse: Int | None) -> WholeGraphs:
    nodes, node_starts, edges = examples.nodes, examples.node_starts, examples.edges
    edge_starts, vectors = examples.edge_starts, examples.edge_vectors
    if nodes is None or node_starts is None or edges is None or edge_starts is None or vectors is None:
        raise DataError("whole graphs need nodes and edges with their vectors")
    within = reverse_edges(examples) if reverse is None else reverse
    counts = np.diff(edge_starts)
    samples = np.arange(len(examples))
    return WholeGraphs(
        nodes=torch.from_numpy(nodes),
        edges=torch.from_numpy(edges[::-1].copy()),
        lengths=torch.from_numpy(np.sqrt((vectors * vectors).sum(axis=1))),
        reverse=torch.from_numpy(within + np.repeat(edge_starts[:-1], counts)),
        starts=torch.from_numpy(bounds_of_nodes(edges[0], len(nodes))),
        owner=torch.from_numpy(np.repeat(samples, np.diff(node_starts))),
        edge_owner=torch.from_numpy(np.repeat(samples, counts)),
        edge_counts=tuple(counts.tolist()),
    )


def loader(batches: Batches) -> DataLoader[Any]:
    """For Lightning. It draws from a generator of its own, not from the one that networks draw from."""
    return DataLoader(batches, batch_size=None, shuffle=False, num_workers=0, generator=torch.Generator())
