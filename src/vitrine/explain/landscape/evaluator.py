"""Losses of a network at other weights: a private copy in one precision, and its batches.

The copy's weights are views of one flat vector: writing that vector moves the network. Many weight vectors
at once go through ``torch.func`` (vmap over ``functional_call``).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from vitrine.errors import DataError, InputError
from vitrine.explain.landscape.batches import handed, moved
from vitrine.explain.landscape.first_layer import FirstLayers
from vitrine.explain.landscape.rule import Reduction, Rule, mean_of
from vitrine.samples import Float

BatchNorm = Literal["frozen", "batch"]
SAME = {torch.float64: 1e-9, torch.float32: 1e-4}
"""relative difference of two losses of the same weights that rounding and the order of sums may make"""
CANNOT = (RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError, IndexError, KeyError)
"""what vmap raises for a network that it cannot map over, and torch for batches that do not fit"""


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> parameter that is perturbed: those that require gradients, tied ones once.

    Raises
    ------
    InputError: there are none, or some have no shape or real numbers yet.
    """
    found = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not found:
        every = sum(1 for _ in network.parameters())
        raise InputError(
            f"the network has no trainable parameters ({every} are frozen): there is nothing to perturb"
        )
    for name, parameter in found.items():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise InputError(f"{name} has no shape yet: send a batch through the network first")
        if not parameter.is_floating_point():
            raise InputError(f"{name} is of {parameter.dtype}: only real weights can be perturbed")
    return found


def flat(network: nn.Module) -> Float:
    """(n,) all trainable weights, one after the other, as float64."""
    parts = [p.detach().double().cpu().reshape(-1) for p in trainable(network).values()]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)


class Task(nn.Module):
    """The network and the rule of losses in one module, so that a hook sees swapped weights as its own."""

    def __init__(self, network: nn.Module, rule: Rule) -> None:
        super().__init__()
        self.network, self._rule = network, [rule]  # in a list: a loss that is a module is not part of it

    def forward(self, batch: Any, reduction: Reduction, count: float) -> Tensor:
        """() mean loss of a batch."""
        return mean_of(self._rule[0].raw(self.network, handed(batch))[0], reduction, count)


class Evaluator:
    """A copy of a network in one precision that tells losses at any weights.

    Parameters
    ----------
    network: as :func:`copied` gives it; it is copied again. data: name -> batches.
    rule: how a batch becomes a loss.

    Raises
    ------
    DataError: a loss at the network's own weights is not finite or no number, or is another when asked twice.
    """

    def __init__(
        self,
        network: nn.Module,
        data: dict[str, list[Any]],
        rule: Rule,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.dtype, self.device = dtype, device
        self.network = deepcopy(network).to(device=device, dtype=dtype)
        found = trainable(self.network)
        self.shapes = {name: tuple(p.shape) for name, p in found.items()}
        self._bounds = np.cumsum([0, *(p.numel() for p in found.values())]).tolist()
        self.weights = torch.cat([p.detach().reshape(-1) for p in found.values()])
        self._flat = self.weights.clone()
        for parameter, view in zip(found.values(), self._views(self._flat), strict=True):
            parameter.data = view
        self.parameters = list(found.values())
        ends = list(zip(self._bounds, self._bounds[1:], strict=False))
        self._own = dict(zip(map(id, self.parameters), ends, strict=True))
        self.task = Task(self.network, rule.moved(dtype, device))
        self._data = {name: [moved(b, dtype, device) for b in batches] for name, batches in data.items()}
        self.centre: dict[str, float] = {}
        self._kinds = {name: self._looked_at(name) for name in data}
        self.centre = {name: self._asked_again(name) for name in data}

    def _views(self, vectors: Tensor) -> Iterator[Tensor]:
        """Tensors of the parameters' shapes that share the memory of (..., n) vectors."""
        ends = zip(self._bounds, self._bounds[1:], self.shapes.values(), strict=False)
        for start, end, shape in ends:
            yield vectors[..., start:end].view(*vectors.shape[:-1], *shape)

    def _looked_at(self, name: str) -> list[tuple[Reduction, float, float]]:
        """Of each batch: how its loss reduces, targets in it, share of all; their loss goes to ``centre``."""
        found, rule = [], self.task._rule[0]
        with self.quiet(), torch.no_grad():
            for number, batch in enumerate(self._data[name]):
                with named(name, number, self.dtype):
                    found.append(rule.look(self.network, handed(batch)))
        total = sum(count for _, count, _ in found)
        if not total > 0:
            raise DataError(f"the data set {name} is empty: none of its batches has a target")
        for number, (_, _, value) in enumerate(found):
            if not np.isfinite(value):
                raise DataError(
                    f"the loss of batch {number} of {name} is {value} at the network's own weights"
                )
        self.centre[name] = sum(value * (count / total) for _, count, value in found)
        return [(reduction, count, count / total) for reduction, count, _ in found]

    def _asked_again(self, name: str) -> float:
        """The loss at the network's own weights, if it is the same as before."""
        before, again = self.centre[name], self.one(name)
        if not abs(again - before) <= SAME[self.dtype] * max(abs(again), 1e-300):
            raise DataError(
                f"the loss on {name} was {before!r}, then {again!r} at the same weights: "
                "the network or the loss is random or remembers what it has seen"
            )
        return again

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Without the precision that a surrounding ``autocast`` would choose."""
        with torch.autocast(self.device.type, enabled=False):
            yield

    def batches(self, name: str) -> Iterator[tuple[Any, tuple[Reduction, float, float]]]:
        """Batches with how their loss reduces, their number of targets and their share of all."""
        return zip(self._data[name], self._kinds[name], strict=True)

    def tensor(self, vector: Float) -> Tensor:
        """A flat vector where and as the weights are."""
        return torch.as_tensor(vector).to(device=self.device, dtype=self.dtype)

    def write(self, base: Tensor, direction: Tensor | None = None, step: float = 0.0) -> None:
        """Move the copy to ``base + step * direction``."""
        with torch.no_grad():
            if direction is None:
                self._flat.copy_(base)
            else:
                torch.add(base, direction, alpha=step, out=self._flat)

    def shared(self, names: Sequence[str], directions: Sequence[Tensor], memory: float) -> FirstLayers | None:
        """What layers on the data of these sets share at all points along the directions, if they can."""
        batches = [batch for name in names for batch in self._data[name]]
        found = FirstLayers(batches, self.weights, directions, memory)
        return found if found.possible else None

    def one(self, name: str, first: FirstLayers | None = None, steps: Sequence[float] = ()) -> float:
        """Mean loss over all targets where the copy now is: at these steps, if layers share what they can."""
        total = 0.0
        within = nullcontext() if first is None else first.at(list(steps), self._own)
        # networks may have quicker ways for predictions alone, in single precision
        plain = torch.inference_mode() if self.dtype == torch.float32 else torch.no_grad()
        with self.quiet(), plain, within:
            for batch, (reduction, count, share) in self.batches(name):
                if share > 0:
                    total += share * float(self.task(batch, reduction, count))
        return total

    def many(
        self, name: str, vectors: Tensor, first: FirstLayers | None = None, steps: Tensor | None = None
    ) -> Float:
        """(k,) mean losses at (k, n) weights, all at once; raises whatever vmap does.

        Parameters
        ----------
        first, steps: what layers share, and the (k, d) steps that lead to the weights.
        """
        named_views = {
            f"network.{key}": view for key, view in zip(self.shapes, self._views(vectors), strict=True)
        }
        steps = vectors[:, :0] if steps is None else steps
        parts = list(self._own.values())

        def told(views: dict[str, Tensor], at: Tensor, args: Any) -> Tensor:
            own = dict(zip(map(id, views.values()), parts, strict=True))
            with nullcontext() if first is None else first.at(at, own):
                out: Tensor = functional_call(self.task, views, args)
            return out

        total = np.zeros(len(vectors))
        with self.quiet(), torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")
            for batch, (reduction, count, share) in self.batches(name):
                if share > 0:
                    mapped = vmap(partial(told, args=(batch, reduction, count)))
                    found = mapped(named_views, steps)
                    total += share * found.double().cpu().numpy()
        return total

    def bytes_per_point(self, names: Sequence[str]) -> int:
        """Memory of one more weight vector: its numbers, and what layers give for the largest batch."""
        sizes: list[int] = []

        def hook(_: Any, __: Any, out: Any) -> None:
            sizes.append(out.numel() if isinstance(out, Tensor) else 0)

        layers = [m for m in self.network.modules() if not list(m.children())]
        handles = [layer.register_forward_hook(hook) for layer in layers]
        most = 0
        try:
            with self.quiet(), torch.no_grad():
                for name in names:
                    for batch, (reduction, count, _) in self.batches(name):
                        sizes.clear()
                        self.task(batch, reduction, count)
                        most = max(most, sum(sizes))
        finally:
            for handle in handles:
                handle.remove()
        return (len(self.weights) + most) * self.weights.element_size()

    def digest(self) -> str:
        """SHA-256 of weights, frozen weights and buffers, 64 hex digits."""
        total = hashlib.sha256(str(sorted(self.shapes.items())).encode())
        state = [value for value in self.network.state_dict().values() if isinstance(value, Tensor)]
        for tensor in state:
            plain = tensor.detach().cpu().contiguous().reshape(-1)
            total.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
        return total.hexdigest()


@contextmanager
def named(name: str, number: int, dtype: torch.dtype) -> Iterator[None]:
    """Errors of network and loss say on which batch they came.

    Raises
    ------
    DataError: in place of what torch raised.
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"batch {number} of {name}: {error}") from error
    except CANNOT as error:
        hint = "; dtype=torch.float32 leaves precision as it was" if dtype == torch.float64 else ""
        raise DataError(f"batch {number} of {name} does not go through the network: {error}{hint}") from error


def copied(network: nn.Module, batch_norm: BatchNorm) -> nn.Module:
    """A copy that evaluates, without gradients, with batch normalisation by the policy.

    ``frozen`` uses running statistics; ``batch`` those of each batch, and never updates any.

    Raises
    ------
    InputError: an unknown policy; the network cannot be copied or has nothing to perturb.
    """
    if batch_norm not in ("frozen", "batch"):
        raise InputError(f"batch_norm is frozen or batch, not {batch_norm!r}")
    trainable(network)
    try:
        found = deepcopy(network)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"the network cannot be copied: {error}") from error
    found.eval()
    found.zero_grad(set_to_none=True)
    for layer in found.modules():
        if batch_norm == "batch" and isinstance(layer, _BatchNorm):
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    return found
