"""Batches of samples as tensors, whole or split over processes that train together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vitrine.learn.losses import Balance, drawn_weights
from vitrine.learn.parallel import ALONE, Rank
from vitrine.samples import Examples


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


class Batch(NamedTuple):
    """Some samples; a named tuple, which Lightning moves to a device field by field.

    Attributes
    ----------
    features: (n_rows, n_features). edges: (2, n_edges) int64, neighbour -> centre.
    target: (n_rows,), or empty. geometry: None where the examples have none.
    weights: (n_rows,) what each row counts in the training loss of this epoch, of mean 1 over the
        training set; None where all count alike.
    share: what the mean loss of a rank's part of a batch counts for: 1 where there is one rank.
    """

    features: Tensor
    edges: Tensor
    target: Tensor
    geometry: Geometry | None = None
    weights: Tensor | None = None
    share: float = 1.0


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
    ) -> None:
        self._examples, self._batch, self._rank, self._balance = examples, batch, rank, balance
        self._random = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(len(examples))
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
        share = float(rows[mine].sum() * self._rank.count / rows[chosen].sum())
        # every rank takes part in every step; one without a sample takes another's, which counts nothing
        return self._batch_of(mine if len(mine) else chosen[:1], share)

    def _begin_epoch(self) -> None:
        """Everything random of an epoch is drawn here, so that its state is that of the generator."""
        if self._random is None:
            return
        self._order = self._random.permutation(len(self._order))
        if self._examples.target is not None:
            self._weights = drawn_weights(self._examples.target, self._balance, self._random)

    def _batch_of(self, samples: np.ndarray, share: float) -> Batch:
        weights = None
        if self._weights is not None:
            weights = torch.from_numpy(self._weights[self._examples.rows_of(samples)])
        return as_batch(self._examples.select(samples))._replace(weights=weights, share=share)


def as_batch(examples: Examples) -> Batch:
    """Examples as tensors; an absent target is empty, absent edges are (2, 0).

    Examples with edge vectors have a geometry; vectors and tensors that are absent are (n_rows, 0, ...)
    in it, absent loads are 0.
    """
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


def loader(batches: Batches) -> DataLoader[Any]:
    """For Lightning. It draws from a generator of its own, not from the one that networks draw from."""
    return DataLoader(batches, batch_size=None, shuffle=False, num_workers=0, generator=torch.Generator())
