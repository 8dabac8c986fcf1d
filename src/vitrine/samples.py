"""What the stages hand on: samples, and the examples that models learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vitrine.arrays import load_arrays
from vitrine.errors import DataError
from vitrine.map_stack import MapStack

if TYPE_CHECKING:
    from torch_geometric.data import Data

Float = NDArray[np.float64]
"""float64 array; its shape and unit stand where it is used."""
Int = NDArray[np.int64]
"""int64 array; its shape stands where it is used."""
Target = Literal["binary", "value", "classes"]
"""What a label makes: 0 or 1, a number, or the number of a class from 0 on."""
TARGETS: tuple[Target, ...] = ("binary", "value", "classes")


@dataclass(frozen=True)
class Samples:
    """What a source yields: things to be labelled, represented and split.

    Attributes
    ----------
    kind: ``"atoms"`` (items: list of :class:`ase.Atoms`; per-atom fields are named arrays),
        ``"formulas"`` (items: :class:`pandas.DataFrame` with a column ``formula``) or ``"maps"`` (items: list
        of :class:`vitrine.strain_maps.StrainMap`).
    items: one entry (or row) per sample.
    ids: one name per sample, unique.
    groups: what must stay together in a split (specimen, reduced formula), one per sample.
    about: provenance (JSON-able).
    left_out: id -> reason, for samples that could not be used.
    attributes: name -> (n_samples,) numbers by which results may be told apart (event strain, size).
    """

    kind: str
    items: Any
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    about: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (len(self.items) == len(self.ids) == len(self.groups)):
            raise ValueError("items, ids and groups must have one entry per sample")
        if any(len(values) != len(self.ids) for values in self.attributes.values()):
            raise ValueError("an attribute must have one number per sample")
        if len(set(self.ids)) != len(self.ids):
            raise DataError("sample ids are not unique")

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, samples: Sequence[int], left_out: dict[str, str] | None = None) -> Samples:
        """These samples alone, by position; ``left_out`` adds to what is left out already."""
        chosen = list(samples)
        table = hasattr(self.items, "iloc")
        items = self.items.iloc[chosen].reset_index(drop=True) if table else [self.items[i] for i in chosen]
        return replace(
            self,
            items=items,
            ids=tuple(self.ids[i] for i in chosen),
            groups=tuple(self.groups[i] for i in chosen),
            attributes={name: values[chosen] for name, values in self.attributes.items()},
            left_out=self.left_out | (left_out or {}),
        )


def joined(parts: Sequence[Samples]) -> Samples:
    """The samples of all parts, each once; attributes are those that all parts have."""
    first: dict[str, tuple[Samples, int]] = {}
    for part in parts:
        for number, name in enumerate(part.ids):
            first.setdefault(name, (part, number))
    if hasattr(parts[0].items, "iloc"):
        raise TypeError("tables are not joined")
    shared = set.intersection(*(set(part.attributes) for part in parts))
    return Samples(
        kind=parts[0].kind,
        items=[part.items[number] for part, number in first.values()],
        ids=tuple(first),
        groups=tuple(part.groups[number] for part, number in first.values()),
        about=parts[0].about,
        left_out={name: reason for part in parts for name, reason in part.left_out.items()},
        attributes={
            name: np.array([part.attributes[name][number] for part, number in first.values()])
            for name in sorted(shared)
        },
    )


_PER_ROW = ("features", "target", "severity", "others", "vectors", "tensors")
_PER_SAMPLE = ("loads", "images")
_OPTIONAL = (
    "target",
    "edges",
    "edge_starts",
    "severity",
    "others",
    "edge_vectors",
    "vectors",
    "tensors",
    "loads",
    "nodes",
    "node_starts",
    "images",
)
"""arrays of examples that may be absent, in the order in which they enter a digest"""


@dataclass(frozen=True)
class Examples:
    """What a representation makes and a model takes: rows of features with owners.

    A *row* is what gets one prediction: an atom of a graph, a formula, or a whole sample. Rows of a
    sample are contiguous. ``features`` is ``(n_rows, n_features) float32``; ``target`` is
    ``(n_rows,) float32`` or None; ``starts`` is ``(n_samples + 1,) int64``, rows of sample i are
    ``starts[i]:starts[i + 1]``; ``edges``, for graphs, is ``(2, n_edges) int64`` over all rows
    (centre, neighbour), and ``edge_starts`` ``(n_samples + 1,)`` its bounds per sample.
    ``severity`` is ``(n_rows,)`` or None: the continuous quantity behind a binary target
    (D2min in Å^2), for evaluation only. ``others`` is ``(n_rows, n_others)`` or None: further
    quantities that a model may learn in place of the target, named by ``other_labels``.

    For models that see space: ``edge_vectors`` is ``(n_edges, 3)`` from centre to neighbour,
    ``vectors`` ``(n_rows, n_vectors, 3)`` and ``tensors`` ``(n_rows, n_tensors, 3, 3)`` symmetric,
    ``loads`` ``(n_samples, 3, 3)`` the symmetric strain of a sample's load; all in one frame, None
    where a representation makes none.

    For models that predict once for a whole sample: ``nodes`` is ``(n_nodes, n_node_features)`` and
    ``node_starts`` ``(n_samples + 1,)`` its bounds per sample; edges then join nodes, not rows.
    ``images`` is ``(n_samples, height, width)``: uint8 the class of each pixel (0 is background), or
    float32 a value. ``maps`` are strain maps of any sizes, one per sample, and how crops of them are cut.
    ``features`` may then have no column.

    ``class_names`` are those of a target of several classes, in the order of their numbers.
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
    others: NDArray[np.float32] | None = None
    other_labels: tuple[str, ...] = ()
    edge_vectors: NDArray[np.float32] | None = None
    vectors: NDArray[np.float32] | None = None
    tensors: NDArray[np.float32] | None = None
    loads: NDArray[np.float32] | None = None
    nodes: NDArray[np.float32] | None = None
    node_starts: Int | None = None
    images: NDArray[np.uint8] | NDArray[np.float32] | None = None
    maps: MapStack | None = None
    class_names: tuple[str, ...] = ()

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

    @property
    def whole(self) -> bool:
        """Whether each sample is one row: a formula, a whole configuration, not an atom of one."""
        return self.n_rows == len(self)

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
        starts = _starts(np.diff(self.starts)[samples])
        chosen: dict[str, Any] = {name: getattr(self, name) for name in (*_PER_ROW, *_PER_SAMPLE)}
        chosen = {
            name: None if array is None else array[samples if name in _PER_SAMPLE else rows]
            for name, array in chosen.items()
        }
        here, there = self.starts, starts  # what edges join: rows, or nodes
        if self.nodes is not None and self.node_starts is not None:
            here, there = self.node_starts, _starts(np.diff(self.node_starts)[samples])
            chosen["nodes"] = _joined(self.nodes, self.node_starts, samples)
            chosen["node_starts"] = there
        if self.edges is not None and self.edge_starts is not None:
            bounds = [slice(self.edge_starts[s], self.edge_starts[s + 1]) for s in samples]
            parts = [
                self.edges[:, part] - here[s] + there[new]
                for new, (s, part) in enumerate(zip(samples, bounds, strict=True))
            ]
            chosen["edges"] = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int64)
            chosen["edge_starts"] = _starts(np.diff(self.edge_starts)[samples])
            if self.edge_vectors is not None:
                chosen["edge_vectors"] = _joined(self.edge_vectors, self.edge_starts, samples)
        return replace(
            self,
            ids=tuple(self.ids[s] for s in samples),
            groups=tuple(self.groups[s] for s in samples),
            starts=starts,
            maps=None if self.maps is None else self.maps.select(samples),
            **chosen,
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

        if self.edges is None or self.edge_starts is None or self.nodes is not None:
            raise ValueError("these examples have no edges between rows")
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
            "other_labels": np.array(self.other_labels, dtype=str),
            "starts": self.starts,
            "class_names": np.array(self.class_names, dtype=str),
            **({} if self.maps is None else self.maps.arrays()),
        }
        for name in _OPTIONAL:
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
        data = load_arrays(path, "examples")
        try:
            for name in ("other_labels", "class_names"):  # entries of stores from before there were any
                data.setdefault(name, ())
            names = ("ids", "groups", "feature_labels", "other_labels", "class_names")
            texts: dict[str, Any] = {n: tuple(str(s) for s in data.pop(n)) for n in names}
            maps = None
            if "map_pixels" in data:
                maps = MapStack.from_arrays({n: data.pop(n) for n in list(data) if n.startswith("map_")})
            found = cls(
                maps=maps,
                makes=str(data.pop("makes")),
                target_kind=str(data.pop("target_kind")),  # type: ignore[arg-type]
                **texts,
                **data,
            )
            found._check()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} holds no examples: {error}") from error
        return found

    def _check(self) -> None:
        """Raise ValueError unless the arrays belong together, as those that were saved do."""
        n, samples = self.n_rows, len(self)
        wanted = {
            "groups": (len(self.groups) == samples and len(set(self.ids)) == samples),
            "features": self.features.shape == (n, len(self.feature_labels)),
            "starts": _bounds(self.starts, samples, n),
            "target_kind": self.target_kind in TARGETS,
            "maps": self.maps is None or len(self.maps) == samples,
            "class_names": (self.target_kind == "classes") == bool(self.class_names),
        }
        for name in ("features", "starts", *_OPTIONAL):
            array = getattr(self, name)
            if array is not None:
                whole = name in ("starts", "edges", "edge_starts", "node_starts")
                wanted[f"kind of {name}"] = array.dtype.kind in ("iu" if whole else "f") or (
                    name == "images" and array.dtype == np.uint8
                )
                if array.dtype.kind == "f":
                    wanted[f"values of {name}"] = bool(np.isfinite(array).all())
        bonds = 0 if self.edges is None or self.edges.ndim != 2 else self.edges.shape[1]
        shapes: dict[str, tuple[int | None, ...]] = {
            "target": (n,),
            "severity": (n,),
            "others": (n, len(self.other_labels)),
            "edge_vectors": (bonds, 3),
            "vectors": (n, None, 3),
            "tensors": (n, None, 3, 3),
            "loads": (samples, 3, 3),
            "nodes": (None, None),
            "images": (samples, None, None),
        }
        joined = n  # things that edges join
        if self.nodes is not None or self.node_starts is not None:
            joined = -1 if self.nodes is None else len(self.nodes)
            wanted["node_starts"] = self.node_starts is not None and _bounds(
                self.node_starts, samples, joined
            )
        for name, shape in shapes.items():
            array = getattr(self, name)
            wanted[name] = array is None or (
                array.ndim == len(shape)
                and all(b is None or a == b for a, b in zip(array.shape, shape, strict=True))
            )
        if self.edges is not None or self.edge_starts is not None:
            edges, starts = self.edges, self.edge_starts
            wanted["edges"] = (
                edges is not None
                and starts is not None
                and edges.ndim == 2
                and len(edges) == 2
                and _bounds(starts, samples, edges.shape[1])
                and 0 <= edges.min(initial=0) <= edges.max(initial=0) < max(joined, 1)
            )
        wrong = [name for name, right in wanted.items() if not right]
        if wrong:
            raise ValueError(f"its {wrong[0]} do not fit the other arrays")

    def digest(self) -> str:
        """SHA-256 of everything in here."""
        total = hashlib.sha256()
        for text in (self.makes, self.target_kind, *self.ids, *self.groups, *self.feature_labels):
            total.update(text.encode() + b"\0")
        for text in self.other_labels:
            total.update(text.encode() + b"\0")
        for name in ("features", "starts", *_OPTIONAL):
            array = getattr(self, name)
            if array is not None:
                total.update(name.encode())
                total.update(np.ascontiguousarray(array).tobytes())
        for name in self.class_names:
            total.update(b"class " + name.encode() + b"\0")
        for part in () if self.maps is None else self.maps.digest_parts():
            total.update(part)
        return total.hexdigest()


def _starts(counts: Int) -> Int:
    """Bounds of contiguous parts of these sizes."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _joined(array: NDArray[Any], starts: Int, parts: Int) -> NDArray[Any]:
    """These parts of an array, one after the other."""
    found = [array[starts[part] : starts[part + 1]] for part in parts]
    return np.concatenate(found) if found else array[:0]


def _bounds(starts: Any, parts: int, end: int) -> bool:
    """Whether these are the rising bounds of so many parts of what has ``end`` entries."""
    return bool(
        starts.dtype.kind in "iu"
        and starts.shape == (parts + 1,)
        and starts[0] == 0
        and starts[-1] == end
        and (np.diff(starts.astype(np.int64)) >= 0).all()
    )
