"""The loss of a trained network on examples, row by row: what a probe of its loss landscape asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor
from torch.nn import functional

from vitrine.errors import DataError
from vitrine.learn.batches import as_batch
from vitrine.learn.prediction import forward

if TYPE_CHECKING:
    from vitrine.learn.batches import Batch
    from vitrine.samples import Examples

ProbedLoss = Literal["absolute", "squared", "cross-entropy"]


def probed_batches(examples: Examples, size: int) -> list[Batch]:
    """The examples, scaled already, in batches of so many samples.

    Raises
    ------
    DataError: they have no targets, or there are none.
    """
    if examples.target is None or not len(examples):
        raise DataError("a loss needs examples with targets, and there are none")
    starts = range(0, len(examples), size)
    return [as_batch(examples.select(np.arange(s, min(s + size, len(examples))))) for s in starts]


def row_losses(kind: ProbedLoss, unit: float) -> Callable[[Any, Batch], Tensor]:
    """``loss(network, batch)``: (n_rows,) losses; those of values in the target's unit, or its square.

    Parameters
    ----------
    unit: of the target, in units of the scaled one (its spread in the training).
    """

    def absolute(network: Any, batch: Batch) -> Tensor:
        return unit * (forward(network, batch) - batch.target).abs()

    def squared(network: Any, batch: Batch) -> Tensor:
        return unit**2 * (forward(network, batch) - batch.target) ** 2

    def entropy(network: Any, batch: Batch) -> Tensor:
        out = forward(network, batch)
        if out.ndim == 2:
            return functional.cross_entropy(out, batch.target.long(), reduction="none")
        return functional.binary_cross_entropy_with_logits(out, batch.target, reduction="none")

    return {"absolute": absolute, "squared": squared, "cross-entropy": entropy}[kind]


def rows_in(batch: Batch) -> float:
    """Number of rows of a batch."""
    return float(len(batch.target))
