"""Batches of crops of strain maps, cut while a network trains."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from vitrine.learn.batches import Batch, Batches
from vitrine.learn.parallel import ALONE, Rank
from vitrine.physics.crops import cut_crops, with_lines
from vitrine.samples import Examples, Int

Turns = Literal["none", "turns", "mirrors"]
"""How a crop is shown: as it is; turned by 180 degrees at random; moreover mirrored."""


class MapBatches(Batches):
    """Each epoch shows every map by some of its crops, other ones in each, in an order drawn anew.

    Parameters
    ----------
    examples: with maps. views: crops of each map in an epoch. seed: None for the same crops, evenly
        chosen, in the order of the samples.
    """

    def __init__(
        self,
        examples: Examples,
        batch: int,
        views: int,
        seed: int | None,
        rank: Rank = ALONE,
        augment: Turns = "none",
    ) -> None:
        super().__init__(examples, batch, seed, rank)
        assert examples.maps is not None
        self._maps, self._turns = examples.maps, augment if seed is not None else "none"
        self._per_map = self._maps.plan.views
        self._shown = min(views, self._per_map)
        self._looked_at = with_lines(self._maps)
        self._order = self._chosen()

    def _chosen(self) -> Int:
        """Codes (sample x crops of a map + crop) of what an epoch shows."""
        samples = len(self._maps)
        if self._random is None:
            ranks = np.broadcast_to(_spread_out(self._per_map), (samples, self._per_map))
        else:
            ranks = self._random.random((samples, self._per_map)).argsort(axis=1).argsort(axis=1)
        # crops that show nothing come last; a map with fewer others than asked for shows those alone
        order = np.argsort(np.where(self._looked_at, ranks, ranks + self._per_map), axis=1)[:, : self._shown]
        codes = np.arange(samples)[:, None] * self._per_map + order
        kept: Int = codes[np.take_along_axis(self._looked_at, order, axis=1)].astype(np.int64)
        return kept if self._random is None else self._random.permutation(kept)

    def _begin_epoch(self) -> None:
        if self._random is None:
            return
        self._order = self._chosen()
        self._ways = self._random.integers(0, 4, (len(self._maps), self._per_map))

    def _samples_of(self, chosen: Int) -> Int:
        return chosen // self._per_map

    def _batch_of(self, samples: Int, share: float) -> Batch:
        numbers, views = np.divmod(samples, self._per_map)
        images = cut_crops(self._maps, numbers, views)
        if self._turns != "none":
            assert self._ways is not None
            drawn = self._ways[numbers, views]
            images[drawn % 2 == 1] = images[drawn % 2 == 1, ::-1, ::-1]
            if self._turns == "mirrors":
                images[drawn >= 2] = images[drawn >= 2, :, ::-1]
        target = self._examples.target
        return Batch(
            torch.zeros((len(numbers), 0)),
            torch.zeros((2, 0), dtype=torch.int64),
            torch.zeros(0) if target is None else torch.from_numpy(target[numbers]),
            images=torch.from_numpy(images),
            share=share,
        )


def _spread_out(views: int) -> Int:
    """Rank of each crop, so that the first few ranks lie far apart: other sizes, squares and ways."""
    step = next(n for n in (7, 5, 11, 13, 1) if np.gcd(n, views) == 1)
    ranks = np.empty(views, np.int64)
    ranks[np.arange(views) * step % views] = np.arange(views)
    return ranks
