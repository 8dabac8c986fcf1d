"""A task: a function, what determines its result, and the tasks that it needs.

Stages describe work as tasks; ``vitrine.campaign`` runs them. A task writes into a folder and
returns nothing: what it made is the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1
"""Version of the layout of store entries; enters every key."""

Progress = Callable[[float], None]
"""Called with the finished fraction, 0 to 1."""


def digest(data: Any) -> str:
    """SHA-256 of JSON-able data in canonical form (sorted keys, no spaces), 64 hex digits.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Task:
    """One unit of resumable work.

    Attributes
    ----------
    label: short name shown to the user, e.g. ``cu64zr36-n500-q1e13-s0001/xy``.
    kind: what it makes (``quench``, ``shear``, ``features``, ``fit``), one progress bar each.
    recipe: JSON-able data that determines the result (settings, seeds, versions, hashes).
    function: module-level ``f(folder, inputs, progress, **arguments)``; writes into ``folder``,
        which may hold the unfinished work of an earlier, killed attempt. ``inputs`` are the
        folders of ``needs`` in order.
    arguments: keyword arguments of ``function``; may repeat what the recipe says.
    needs: tasks whose folders this one reads.
    gpu: whether it is faster on a GPU: it then goes to a worker that has one, if any has.
    """

    label: str
    kind: str
    recipe: Mapping[str, Any]
    function: Callable[..., None]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: Sequence[Task] = ()
    gpu: bool = False

    @cached_property
    def key(self) -> str:
        """Name of the store entry: hash of recipe, kind, format and upstream keys."""
        return digest(
            {
                "kind": self.kind,
                "recipe": dict(self.recipe),
                "needs": [task.key for task in self.needs],
                "format": FORMAT_VERSION,
            }
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its folder, or the reason why there is none."""

    label: str
    kind: str
    key: str
    folder: Path | None
    reused: bool = False
    seconds: float = 0.0
    """that making it took, now or, of what is reused, then"""
    error: str | None = None
    inputs: tuple[Path, ...] = ()
    """folders of the tasks that this one needed"""


Compute = Callable[[Sequence[Task]], list[Outcome]]
"""Runs tasks and returns their outcomes in order; handed to stages by the study."""
