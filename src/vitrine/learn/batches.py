"""Batches of samples as tensors, whole or split over processes that train together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vitrine.learn.parallel import ALONE, Rank
from vitrine.samples import Examples

Batch = tuple[Tensor, Tensor, Tensor]
"""features (n_rows, n_features), edges (2, n_edges) neighbour -> centre, target (n_rows,)"""
Share = tuple[Tensor, Tensor, Tensor, float]
"""a rank's part of a batch, and what its mean loss counts for: 1 where there is one rank"""


class Batches(Dataset[Share]):
    """A rank's shares of whole batches of samples, shuffled anew each epoch by a seeded generator.

    Every rank draws the same order. The mean loss of a share counts ``rows of the share x ranks /
    rows of the batch``: the mean over ranks, which gradients are, is then the mean over the batch.
    """

    def __init__(self, examples: Examples, batch: int, seed: int | None, rank: Rank = ALONE) -> None:
        self._examples, self._batch, self._rank = examples, batch, rank
        self._random = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(len(examples))

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

    def __getitem__(self, number: int) -> Share:
        if number >= len(self):
            raise IndexError(number)
        if number == 0 and self._random is not None:
            self._order = self._random.permutation(len(self._order))
        chosen = self._order[number * self._batch : (number + 1) * self._batch]
        mine = chosen[self._rank.index :: self._rank.count]
        if self._rank.count == 1:
            return (*as_batch(self._examples.select(mine)), 1.0)
        rows = np.diff(self._examples.starts)
        weight = float(rows[mine].sum() * self._rank.count / rows[chosen].sum())
        # every rank takes part in every step; one without a sample takes another's, which counts nothing
        return (*as_batch(self._examples.select(mine if len(mine) else chosen[:1])), weight)


def as_batch(examples: Examples) -> Batch:
    """Examples as tensors; an absent target is empty, absent edges are (2, 0)."""
    edges = np.zeros((2, 0), np.int64) if examples.edges is None else examples.edges[::-1].copy()
    target = np.zeros(0, np.float32) if examples.target is None else examples.target
    return torch.from_numpy(examples.features), torch.from_numpy(edges), torch.from_numpy(target)


def loader(batches: Batches) -> DataLoader[Any]:
    """For Lightning. It draws from a generator of its own, not from the one that networks draw from."""
    return DataLoader(batches, batch_size=None, shuffle=False, num_workers=0, generator=torch.Generator())
