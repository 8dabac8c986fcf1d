"""A hash of samples: equal data, equal hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from vitrine.samples import Samples


def fingerprint(samples: Samples) -> str:
    """SHA-256 of kind, items, ids, groups and left_out, 64 hex digits; ``about`` does not enter.

    Items may be made of :class:`ase.Atoms`, data frames, dataclasses, mappings, sequences, arrays
    and plain values.
    """
    return _hash([samples.kind, samples.items, samples.ids, samples.groups, samples.left_out])


def _hash(data: Any) -> str:
    total = hashlib.sha256()
    _feed(total, data)
    return total.hexdigest()


def _feed(total: Any, data: Any) -> None:
    total.update(type(data).__name__.encode() + b"\0")
    if isinstance(data, np.ndarray):
        total.update(f"{data.dtype}{data.shape}".encode())
        if data.dtype == object:
            _feed(total, data.tolist())
        else:
            total.update(np.ascontiguousarray(data).tobytes())
    elif isinstance(data, Mapping):
        for key in sorted(data, key=str):
            _feed(total, str(key))
            _feed(total, data[key])
    elif isinstance(data, (list, tuple)):
        for item in data:
            _feed(total, item)
    elif is_dataclass(data) and not isinstance(data, type):
        _feed(total, {field.name: getattr(data, field.name) for field in fields(data)})
    elif hasattr(data, "arrays") and hasattr(data, "cell"):  # ase.Atoms
        _feed(total, [np.asarray(data.cell), np.asarray(data.pbc), data.arrays, data.info])
    elif hasattr(data, "columns") and hasattr(data, "to_numpy"):  # pandas.DataFrame
        _feed(total, {str(name): data[name].to_numpy() for name in data.columns})
    else:
        total.update(repr(data).encode())
