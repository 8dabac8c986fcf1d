"""Batches of any layout: gathered once from a loader without leaving a trace, moved, hashed."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitrine.errors import DataError


@contextmanager
def undisturbed(*loaders: Any) -> Iterator[None]:
    """Random states of torch, numpy, Python and of the loaders' own generators are as before afterwards.

    A surrounding ``inference_mode`` is left for the while: tensors made in it could not be written to later.
    """
    owners = [part for loader in loaders for part in (loader, *_samplers(loader))]
    generators = {id(found): found for found in (getattr(o, "generator", None) for o in owners)}
    states = [(g, g.get_state()) for g in generators.values() if isinstance(g, torch.Generator)]
    drawn, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002 - kept, not drawn from
    try:
        devices = range(torch.cuda.device_count())
        with torch.random.fork_rng(devices=devices), torch.inference_mode(False):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(drawn)  # noqa: NPY002
        for generator, state in states:
            generator.set_state(state)


def _samplers(loader: Any) -> tuple[Any, ...]:
    outer = getattr(loader, "batch_sampler", None)
    return getattr(loader, "sampler", None), outer, getattr(outer, "sampler", None)


def gathered(data: Any) -> dict[str, list[Any]]:
    """Name -> batches, as the loaders give them once.

    Parameters
    ----------
    data: name -> iterable of batches (a ``DataLoader``, a list), or one iterable, then named ``data``.

    Raises
    ------
    DataError: there is no data set, or one has no batches.
    """
    named: Mapping[str, Iterable[Any]] = data if isinstance(data, Mapping) else {"data": data}
    if not named:
        raise DataError("there is no data set to look at: give name -> loader")
    found: dict[str, list[Any]] = {}
    with undisturbed(*named.values()):
        for name, loader in named.items():
            if isinstance(loader, (Tensor, np.ndarray, str)) or not isinstance(loader, Iterable):
                raise DataError(f"{name} is {type(loader).__name__}, not a DataLoader or a list of batches")
            # what a loader reuses for its next batch must not change under us
            found[name] = [moved(batch) for batch in loader]
            if not found[name]:
                raise DataError(f"the data set {name} is empty: it has no batches")
    return found


def moved(value: Any, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Any:
    """A copy whose tensors are on the device, floating ones in the precision; whole numbers stay.

    Goes into tuples, lists, dicts, dataclasses and objects that have ``apply`` (torch_geometric); others are
    passed on as they are.
    """

    def tensor(old: Any) -> Any:
        if not isinstance(old, Tensor):
            return old
        wanted = dtype if dtype is not None and old.is_floating_point() else old.dtype
        return old.detach().to(device=device or old.device, dtype=wanted, copy=True)

    if isinstance(value, Tensor):
        return tensor(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(part, dtype, device) for part in value))
    if isinstance(value, (tuple, list)):
        return type(value)(moved(part, dtype, device) for part in value)
    if isinstance(value, Mapping) and isinstance(value, dict):
        return {key: moved(part, dtype, device) for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        changed = copy.copy(value)
        for name in {
            *(part.name for part in fields(value)),
            *getattr(value, "__dict__", {}),
        }:  # also cached ones
            object.__setattr__(changed, name, moved(getattr(value, name), dtype, device))
        return changed
    if callable(getattr(value, "apply", None)) and callable(getattr(value, "to_dict", None)):
        return copy.copy(value).apply(tensor)
    return value


def handed(batch: Any) -> Any:
    """A shallow copy for the network: one that sets ``graph.x`` must not change what the next point sees."""
    if isinstance(batch, (tuple, list)):
        parts = [part if isinstance(part, Tensor) else copy.copy(part) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return copy.copy(batch)


def batch_digest(batches: Iterable[Any]) -> str:
    """SHA-256 of all tensors in the batches with their shapes, 64 hex digits."""
    total = hashlib.sha256()
    for tensor in tensors_in(list(batches)):
        plain = tensor.detach().cpu().contiguous()
        total.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        total.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
    return total.hexdigest()


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in a batch, or in a list of them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from tensors_in(value[key])
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name))
    elif callable(getattr(value, "to_dict", None)):
        yield from tensors_in(value.to_dict())
