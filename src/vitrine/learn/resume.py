"""Unfinished training on disk, so that a killed fit goes on where it was.

Two files: ``training-<epoch>.safetensors`` (weights, Adam's moments, best weights, torch's random
state) and ``training.json`` (epoch, losses, state of the batch order), which names the first and
holds its checksum. The JSON file is replaced last, in one step: a crash leaves the state before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

STATE = "training.json"
FORMAT = 1
EVERY = 10.0
"""seconds between two states on disk, at least"""
MOST_COST = 0.02
"""part of the training time that writing them may take"""


@dataclass
class State:
    """Training at the end of an epoch."""

    epoch: int
    losses: list[tuple[float, float]]
    """(training, validation) of every epoch so far"""
    best: float
    best_epoch: int
    over: bool
    """whether this epoch was the last"""
    seconds: float
    """spent on it, over all attempts"""
    order: dict[str, Any] | None
    """state of the generator of the batch order"""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """``network.*``, ``best.*``, ``adam.<parameter>.<moment>``, ``random.*``"""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose name begins so, without the prefix."""
        start = len(prefix) + 1
        return {name[start:]: t for name, t in self.tensors.items() if name.startswith(prefix + ".")}


class Unfinished:
    """A folder of one fit's unfinished training.

    Parameters
    ----------
    folder: None keeps nothing. It must hold nothing else; :meth:`clear` removes it.
    identity: what the fit is; a state of another one is thrown away.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self._folder, self._identity = folder, identity
        self._written = time.monotonic()
        self._cost = 0.0

    def load(self) -> State | None:
        """The state to go on from; None if there is none that is whole and of this fit."""
        if self._folder is None:
            return None
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            data = json.loads((self._folder / STATE).read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT or data.pop("identity") != self._identity:
                return None
            raw = (self._folder / str(data.pop("file"))).read_bytes()
            if hashlib.sha256(raw).hexdigest() != data.pop("sha256"):
                return None
            data["losses"] = [(float(a), float(b)) for a, b in data["losses"]]
            return State(tensors=load(raw), **data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
            return None

    def due(self) -> bool:
        """Whether a state should be written now."""
        pause = max(EVERY, self._cost / MOST_COST)
        return self._folder is not None and time.monotonic() - self._written >= pause

    def save(self, state: State) -> None:
        """Write a state; a disk that is full costs the state, not the training."""
        if self._folder is None:
            return
        begin = time.monotonic()
        with suppress(OSError):
            self._write(self._folder, state)
        self._written = time.monotonic()
        self._cost = self._written - begin

    def _write(self, folder: Path, state: State) -> None:
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        raw = save({name: t.detach().cpu().contiguous().clone() for name, t in state.tensors.items()})
        name = f"training-{state.epoch:06d}.safetensors"
        data = {key: value for key, value in vars(state).items() if key != "tensors"}
        data |= {
            "format": FORMAT,
            "identity": self._identity,
            "file": name,
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
        _replace(folder / name, raw)
        _replace(folder / STATE, json.dumps(data).encode())
        for path in folder.glob("training-*"):
            if path.name != name:
                path.unlink()

    def clear(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _replace(path: Path, raw: bytes) -> None:
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def moments(optimizer: Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as named tensors, ``<parameter>.<moment>``."""
    states = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, state in states.items() for name, value in state.items()}


def set_moments(optimizer: Optimizer, named: dict[str, Tensor]) -> None:
    """Give an optimiser the state that :func:`moments` took.

    Moments lie in memory as their weights do: Adam in one pass takes both from first to last.
    """
    import torch

    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in named.items():
        index, _, name = key.partition(".")
        weight = weights[int(index)]
        if value.shape == weight.shape and value.dim() > 1:
            value = torch.empty_like(weight, dtype=value.dtype).copy_(value)
        states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
