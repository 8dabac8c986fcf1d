"""What the stages hand on: samples, and the examples that models learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import Data

Float = NDArray[np.float64]
"""float64 array; its shape and unit stand where it is used."""
Int = NDArray[np.int64]
"""int64 array; its shape stands where it is used."""
Target = Literal["binary", "value"]
"""What a label makes: 0 or 1, or a number."""


@dataclass(frozen=True)
class Samples:
    """What a source yields: things to be labelled, represented and split.

    Attributes
    ----------
    kind: ``"atoms"`` (items: list of :class:`ase.Atoms`; per-atom fields are named arrays) or
        ``"formulas"`` (items: :class:`pandas.DataFrame` with a column ``formula``).
    items: one entry (or row) per sample.
    ids: one name per sample, unique.
    groups: what must stay together in a split (specimen, reduced formula), one per sample.
    about: provenance (JSON-able).
    left_out: id -> reason, for samples that could not be used.
    """

    kind: str
    items: Any
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    about: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (len(self.items) == len(self.ids) == len(self.groups)):
            raise ValueError("items, ids and groups must have one entry per sample")
        if len(set(self.ids)) != len(self.ids):
            raise DataError("sample ids are not unique")

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Examples:
    """What a representation makes and a model takes: rows of features with owners.

    A *row* is what gets one prediction: an atom of a graph, or one formula. Rows of a sample
    are contiguous. ``features`` is ``(n_rows, n_features) float32``; ``target`` is
    ``(n_rows,) float32`` or None; ``starts`` is ``(n_samples + 1,) int64``, rows of sample i are
    ``starts[i]:starts[i + 1]``; ``edges``, for graphs, is ``(2, n_edges) int64`` over all rows
    (centre, neighbour), and ``edge_starts`` ``(n_samples + 1,)`` its bounds per sample.
    ``severity`` is ``(n_rows,)`` or None: the continuous quantity behind a binary target
    (D2min in Å^2), for evaluation only.
    """

    makes: str
    target_kind: Target
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    features: NDArray[np.float32]
    feature_labels: tuple[str, ...]
    starts: Int
    target: NDArray[np.float32] | None = None
    edges: Int | None = None
    edge_starts: Int | None = None
    severity: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_rows(self) -> int:
        """Number of rows (atoms or formulas)."""
        return len(self.features)

    @property
    def owner(self) -> Int:
        """``(n_rows,)``: index of the sample that each row belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def rows_of(self, samples: Sequence[int] | Int) -> Int:
        """Indices of the rows of these samples, in their order."""
        parts = [np.arange(self.starts[s], self.starts[s + 1]) for s in self._indices(samples)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def select(self, samples: Sequence[int] | Int) -> Examples:
        """The examples of these samples alone, in this order.

        Raises
        ------
        IndexError: not positions of samples (a mask, a negative or too large number).
        """
        samples = self._indices(samples)
        rows = self.rows_of(samples)
        starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[samples])]).astype(np.int64)
        edges = edge_starts = None
        if self.edges is not None and self.edge_starts is not None:
            parts = [
                self.edges[:, self.edge_starts[s] : self.edge_starts[s + 1]] - self.starts[s] + starts[new]
                for new, s in enumerate(samples)
            ]
            edges = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int64)
            counts = np.diff(self.edge_starts)[samples]
            edge_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return replace(
            self,
            ids=tuple(self.ids[s] for s in samples),
            groups=tuple(self.groups[s] for s in samples),
            features=self.features[rows],
            starts=starts,
            target=None if self.target is None else self.target[rows],
            severity=None if self.severity is None else self.severity[rows],
            edges=edges,
            edge_starts=edge_starts,
        )

    def _indices(self, samples: Sequence[int] | Int) -> Int:
        found = np.asarray(samples)
        if found.size and (found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= len(self)):
            raise IndexError(f"expected positions from 0 to {len(self) - 1}, not {found!r}")
        return found.astype(np.int64)

    def with_target(self, target: NDArray[np.float32]) -> Examples:
        """The same examples with another target."""
        return replace(self, target=np.asarray(target, dtype=np.float32))

    def graphs(self) -> Iterator[Data]:
        """One :class:`torch_geometric.data.Data` per sample (x, y, edge_index as views).

        ``edge_index`` is (neighbour, centre): messages flow to the centre.
        """
        import torch
        from torch_geometric.data import Data

        if self.edges is None or self.edge_starts is None:
            raise ValueError("these examples have no edges")
        for i in range(len(self)):
            rows = slice(int(self.starts[i]), int(self.starts[i + 1]))
            edges = self.edges[::-1, self.edge_starts[i] : self.edge_starts[i + 1]]
            yield Data(
                x=torch.from_numpy(self.features[rows]),
                y=None if self.target is None else torch.from_numpy(self.target[rows]),
                edge_index=torch.from_numpy((edges - self.starts[i]).copy()),
            )

    def save(self, folder: Path) -> None:
        """Write ``examples.npz`` (arrays and fixed-width strings, no pickle)."""
        arrays: dict[str, Any] = {
            "makes": np.array(self.makes),
            "target_kind": np.array(self.target_kind),
            "ids": np.array(self.ids, dtype=str),
            "groups": np.array(self.groups, dtype=str),
            "features": self.features,
            "feature_labels": np.array(self.feature_labels, dtype=str),
            "starts": self.starts,
        }
        for name in ("target", "edges", "edge_starts", "severity"):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        np.savez(folder / "examples.npz", **arrays)

    @classmethod
    def load(cls, folder: Path) -> Examples:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError: there is no such file in the folder, or it is another.
        """
        path = folder / "examples.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                data = dict(file)
            names = ("ids", "groups", "feature_labels")
            texts: dict[str, Any] = {n: tuple(str(s) for s in data.pop(n)) for n in names}
            return cls(
                makes=str(data.pop("makes")),
                target_kind=str(data.pop("target_kind")),  # type: ignore[arg-type]
                **texts,
                **data,
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise DataError(f"{path} holds no examples: {error}") from error

    def digest(self) -> str:
        """SHA-256 of everything in here."""
        total = hashlib.sha256()
        for text in (self.makes, self.target_kind, *self.ids, *self.groups, *self.feature_labels):
            total.update(text.encode() + b"\0")
        for name in ("features", "starts", "target", "edges", "edge_starts", "severity"):
            array = getattr(self, name)
            if array is not None:
                total.update(name.encode())
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()
