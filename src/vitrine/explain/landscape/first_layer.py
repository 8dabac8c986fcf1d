"""Linear layers that see the data themselves: their products are made once for all points.

On weights W + a U + b V such a layer gives x W + a (x U) + b (x V), whatever a and b: three products in place
of one for each point. Layers further on see other inputs at each point, and nothing is shared there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from vitrine.explain.landscape.batches import tensors_in

WIDE = 16
"""inputs of a layer from which sharing its products is faster"""
CACHED = 1 << 20
"""bytes of a product, on a CPU, from which reading three of them takes as long as making one"""
Part = tuple[int, int]


class FirstLayers(TorchFunctionMode):
    """Within it, ``linear`` on a tensor of the data with weights of the network is answered from memory.

    Parameters
    ----------
    batches: whose tensors they are. weights: (n,) flat. directions: (n,) each.
    memory: bytes for the products.
    """

    def __init__(
        self, batches: Iterable[Any], weights: Tensor, directions: Sequence[Tensor], memory: float
    ) -> None:
        super().__init__()
        self._inputs = {
            id(x): (x, x._version) for x in tensors_in(list(batches)) if x.ndim > 1 and x.shape[-1] >= WIDE
        }
        self._vectors = (weights, *directions)
        self._made: dict[tuple[int, Part, Part | None], list[Tensor]] = {}
        self._rows: dict[tuple[int, Part, Part | None], tuple[Any, Tensor]] = {}
        self._left = memory
        self._parts: Mapping[int, Part] = {}
        self._steps: Any = None

    @property
    def used(self) -> bool:
        """Whether any product was kept."""
        return bool(self._made)

    @property
    def possible(self) -> bool:
        """Whether the data have tensors that are wide enough."""
        return bool(self._inputs)

    def at(self, steps: Any, parts: Mapping[int, Part]) -> FirstLayers:
        """The same, for a point.

        Parameters
        ----------
        steps: along each direction: numbers, or a (d,) tensor that vmap maps over.
        parts: id of a weight as the network now has it -> where it is in the flat vector.
        """
        self._steps, self._parts = steps, parts
        return self

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Answer ``linear`` where that is possible, and pass on everything else."""
        if func is linear and len(args) == 3 and not kwargs:
            x, weight, bias = args
            own, w = self._inputs.get(id(x)), self._parts.get(id(weight))
            b = None if bias is None else self._parts.get(id(bias))
            # data that was written into is no longer what the products were made of
            if own is not None and w is not None and (b is None) == (bias is None) and own[1] == x._version:
                found = self._told((id(x), w, b), x, weight.shape)
                if found is not None:
                    return found
        return func(*args, **(kwargs or {}))

    def _told(self, key: tuple[int, Part, Part | None], x: Tensor, shape: torch.Size) -> Tensor | None:
        made = self._made.get(key)
        if made is None:
            _, w, b = key
            needed = (len(self._vectors) + 1) * x.numel() // x.shape[-1] * shape[0] * x.element_size()
            apart = x.device.type == "cpu" and needed > CACHED * (len(self._vectors) + 1)
            if apart or needed > self._left:
                return None
            self._left -= needed
            made = [
                linear(x, v[w[0] : w[1]].view(shape), None if b is None else v[b[0] : b[1]])
                for v in self._vectors
            ]
            if isinstance(self._steps, Tensor):
                made = [made[0], torch.stack(made[1:]).flatten(1)]
            self._made[key] = made
        if isinstance(self._steps, Tensor):
            return made[0] + (self._steps @ made[1]).view(made[0].shape)
        *outer, step = self._steps
        row, base = self._rows.get(key, (None, made[0]))
        if row != outer:  # a row of a plane has one sum of all but the last
            base = made[0]
            for far, product in zip(outer, made[1:], strict=False):
                base = torch.add(base, product, alpha=far)
            self._rows[key] = (outer, base)
        return torch.add(base, made[-1], alpha=step)
