"""How a batch becomes a loss: what goes into the network, what is compared, how much the batch counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vitrine.errors import DataError, InputError

Reduction = Literal["mean", "sum", "none"]
BROADCAST = "Using a target size"
"""how torch's warning begins where outputs and targets are of different shapes"""
ENTROPIES = (nn.functional.cross_entropy, nn.functional.nll_loss)
IGNORED = -100
"""class that torch's cross-entropy leaves out by default"""


@dataclass(frozen=True)
class Rule:
    """What a user said of batches and loss; see :class:`vitrine.explain.landscape.probe.Probe`.

    Attributes
    ----------
    loss: ``loss(output, target)``. forward: ``forward(network, batch)`` -> output. target:
        ``target(batch)``. batch_loss: ``batch_loss(network, batch)`` in place of the three.
    count: ``count(batch)``, number of targets.
    reduction: of the loss; None: what the loss says of itself, else what it returns.
    """

    loss: Callable[..., Any] | None = None
    forward: Callable[[Any, Any], Any] | None = None
    target: Callable[[Any], Any] | None = None
    batch_loss: Callable[[Any, Any], Any] | None = None
    count: Callable[[Any], float] | None = None
    reduction: Reduction | None = None

    def checked(self) -> Rule:
        """The same, or an error.

        Raises
        ------
        InputError: there is no loss, or there are two; the reduction is none of the three.
        """
        if (self.loss is None) == (self.batch_loss is None):
            raise InputError(
                "give either loss=, of outputs and targets, or batch_loss=, of network and batch"
            )
        if self.batch_loss is not None and self.forward is not None:
            raise InputError("batch_loss= does what forward= would: give one of them")
        if self.reduction not in (None, "mean", "sum", "none"):
            raise InputError(f"reduction is mean, sum or none, not {self.reduction!r}")
        return self

    def moved(self, dtype: torch.dtype, device: torch.device) -> Rule:
        """With a copy of a loss that is a module (its class weights) in this precision."""
        if not isinstance(self.loss, nn.Module):
            return self
        return replace(self, loss=deepcopy(self.loss).to(device=device, dtype=dtype).requires_grad_(False))

    def target_of(self, batch: Any) -> Any:
        """The target of a batch: the hook's, or the last of a tuple."""
        return self.target(batch) if self.target is not None else _split(batch)[1]

    def raw(self, network: Any, batch: Any) -> tuple[Tensor, Any]:
        """What the loss returns, and the output that it was given (None with ``batch_loss``).

        Raises
        ------
        DataError: the loss returns no tensor of floating numbers.
        """
        output = None
        if self.batch_loss is not None:
            value = self.batch_loss(network, batch)
        else:
            assert self.loss is not None
            output = network(*_split(batch)[0]) if self.forward is None else self.forward(network, batch)
            value = self.loss(output, self.target_of(batch))
        if not isinstance(value, Tensor) or not value.is_floating_point():
            words = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise DataError(f"the loss must return a tensor of floating numbers, not {words}")
        return value, output

    def look(self, network: Any, batch: Any) -> tuple[Reduction, float, float]:
        """How the loss reduces, how many targets this batch counts for, and its mean loss over them.

        The network is asked once; without any target the mean is 0.

        Raises
        ------
        DataError: shapes of outputs and targets do not fit, or the targets cannot be counted.
        """
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            value, output = self.raw(network, batch)
        for warning in said:
            if str(warning.message).startswith(BROADCAST):
                raise DataError(f"shapes of outputs and targets do not fit: {warning.message}")
        reduction = self.reduction or _declared(self.loss) or ("none" if value.ndim else "mean")
        if reduction != "none" and value.numel() != 1:
            raise DataError(
                f"the loss is of shape {tuple(value.shape)}, not one number as its reduction "
                f"{reduction!r} says"
            )
        self._check_size(value, output, batch)
        if self.count is not None:
            count = float(self.count(batch))
        elif reduction == "none" and not self._is_entropy():
            count = float(value.numel())
        else:
            count = self._targets(batch)
        return reduction, count, float(mean_of(value, reduction, count)) if count > 0 else 0.0

    def _check_size(self, value: Tensor, output: Any, batch: Any) -> None:
        """(n, 1) less (n,) is (n, n): no loss that anybody meant."""
        if not isinstance(output, Tensor) or value.numel() <= 1:
            return
        target = self.target_of(batch)
        if isinstance(target, Tensor) and value.numel() > max(output.numel(), target.numel()):
            raise DataError(
                f"shapes of outputs and targets do not fit: {tuple(output.shape)} and "
                f"{tuple(target.shape)} give losses of shape {tuple(value.shape)}"
            )

    def _is_entropy(self) -> bool:
        return isinstance(self.loss, (nn.CrossEntropyLoss, nn.NLLLoss)) or self.loss in ENTROPIES

    def _targets(self, batch: Any) -> float:
        """Number of targets, as torch's own means count them."""
        try:
            target = self.target_of(batch)
        except DataError:
            target = None
        if not isinstance(target, Tensor):
            raise DataError("the targets of a batch cannot be counted: give count=, of a batch, or target=")
        if not self._is_entropy():
            return float(target.numel())
        if target.is_floating_point():  # probabilities of classes, the second axis
            return float(target.numel() / target.shape[min(1, target.ndim - 1)])
        kept = target[target != getattr(self.loss, "ignore_index", IGNORED)]
        weight = getattr(self.loss, "weight", None)
        return float(len(kept) if weight is None else weight[kept].sum())


def mean_of(value: Tensor, reduction: Reduction, count: float) -> Tensor:
    """() mean loss over the targets of a batch, from what the loss returned."""
    return value.reshape(()) if reduction == "mean" else value.sum() / count


def _declared(loss: Any) -> Any:
    """The reduction that a module of torch, or a ``functools.partial`` of a function, tells of itself."""
    told = getattr(loss, "reduction", None) or getattr(loss, "keywords", {}).get("reduction")
    return told if told in ("mean", "sum", "none") else None


def _split(batch: Any) -> tuple[tuple[Any, ...], Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise DataError(
            f"a batch is a tuple (inputs..., target), not {type(batch).__name__}: for others give "
            "forward=, of network and batch, and target=, of a batch"
        )
    return tuple(batch[:-1]), batch[-1]
