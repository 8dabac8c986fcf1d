"""Losses for classes of which one is rare, and the rows that an epoch draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["cross-entropy", "focal"]
Balance = Literal["weight", "under", "over", "none"]


def class_loss(
    logits: Tensor, target: Tensor, *, kind: Loss, focal_gamma: float, positive_weight: float
) -> Tensor:
    """(n,) loss of each row: ``-w (1 - p)^gamma log p`` with the probability p of its true class.

    The focal loss of Lin et al. 2017 (arXiv:1708.02002); cross-entropy is gamma = 0.

    Parameters
    ----------
    logits, target: (n,), the target 0 or 1. positive_weight: w of class 1; that of class 0 is 1.
    """
    import torch
    from torch.nn import functional

    loss = functional.binary_cross_entropy_with_logits(
        logits, target, reduction="none", pos_weight=torch.tensor(positive_weight, device=logits.device)
    )
    if kind == "focal":
        miss = torch.sigmoid(torch.where(target > 0.5, -logits, logits))
        loss = loss * miss.clamp_min(1e-7) ** focal_gamma  # the slope of a root at 0 is infinite
    return loss


def weight_of_positives(target: NDArray[np.float32]) -> float:
    """Rows of class 0 over those of class 1: with it both classes count alike."""
    share = float(target.mean(dtype=np.float64))
    return (1 - share) / max(share, 1e-9)


def drawn_weights(
    target: NDArray[np.float32], balance: Balance, random: np.random.Generator
) -> NDArray[np.float32] | None:
    """(n_rows,) how often each row was drawn for an epoch, divided by its mean; None if all count alike.

    ``under``: all rows of the rarer class and as many of the other, drawn without replacement.
    ``over``: all rows of both; those of the rarer class are drawn again, with replacement, until they
    are as many as the others.
    """
    if balance not in ("under", "over"):
        return None
    rare, common = sorted((np.flatnonzero(target > 0.5), np.flatnonzero(target <= 0.5)), key=len)
    if not len(rare):
        return None
    times = np.zeros(len(target))
    times[rare] = 1
    if balance == "under":
        times[random.choice(common, len(rare), replace=False)] = 1
    else:
        times[common] = 1
        times += np.bincount(random.choice(rare, len(common) - len(rare)), minlength=len(target))
    weights: NDArray[np.float32] = (times / times.mean()).astype(np.float32)
    return weights
