"""What the fuzzed readers are given: bytes, texts, and sound files with something wrong in them."""

from __future__ import annotations

import copy
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from vitrine.samples import Examples

WEIRD = [
    "", "nan", "inf", "-1", "0", "2", "1e400", "1000000000000", "9" * 25, "1e-300", "x", "Xx", "²", "1_0",
    "-", ".", "=", ":", ",", '"', "'", "{", "[", "\t", "\r", "\0", "\x1a", "\u2028", "ITEM: ATOMS", "Atoms",
    "T",
]  # fmt: skip


@st.composite
def spoilt_text(draw: st.DrawFn, good: str) -> str:
    """A sound text with a few lines or words lost, doubled, swapped or replaced."""
    lines = good.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        if not lines:
            break
        one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        how = draw(st.sampled_from(["delete", "double", "swap", "word", "word", "word", "cut", "insert"]))
        if how == "delete":
            del lines[one]
        elif how == "double":
            lines.insert(other, lines[one])
        elif how == "swap":
            lines[one], lines[other] = lines[other], lines[one]
        elif how == "insert":
            lines.insert(one, draw(st.sampled_from(WEIRD) | st.text(max_size=20)) + "\n")
        elif how == "cut":
            lines[-1] = lines[-1][: draw(st.integers(0, len(lines[-1])))]
            del lines[max(one, 1) :]
        else:
            words = lines[one].split(" ")
            words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(WEIRD))
            lines[one] = " ".join(words)
    return "".join(lines)


@st.composite
def spoilt_bytes(draw: st.DrawFn, good: bytes) -> bytes:
    """Sound bytes with a few of them changed, lost or doubled, or with their end cut off."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(["change", "change", "change", "delete", "double", "cut"]))
        if how == "change" and data:
            data[place] = draw(st.integers(0, 255))
        elif how == "delete":
            del data[place : place + draw(st.integers(1, 16))]
        elif how == "double":
            data[place:place] = data[place : place + draw(st.integers(1, 16))]
        elif how == "cut":
            del data[place:]
    return bytes(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(data: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in plain data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [here, *(path for key, value in inner for path in places(value, (*here, key)))]


@st.composite
def spoilt_data(draw: st.DrawFn, good: Any) -> Any:
    """Plain data with one thing in it lost or replaced by another."""
    data = copy.deepcopy(good)
    *path, last = draw(st.sampled_from(places(good)[1:]))
    owner = data
    for step in path:
        owner = owner[step]
    if draw(st.booleans()):
        owner[last] = draw(JSON)
    else:
        del owner[last]
    return data


def anything(good: str) -> st.SearchStrategy[bytes]:
    """Bytes, a text, or what comes of a sound file."""
    texts = st.text(max_size=60) | spoilt_text(good)
    written = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    return st.binary(max_size=60) | written | spoilt_bytes(good.encode())


# ---------------------------------------------------------------- arrays


def examples_file(folder: Path) -> dict[str, Any]:
    """Examples of two graphs, written; returns the arrays of the file."""
    Examples(
        makes="graphs",
        target_kind="binary",
        ids=("a", "b"),
        groups=("g", "g"),
        features=np.arange(10, dtype=np.float32).reshape(5, 2),
        feature_labels=("x", "y"),
        starts=np.array([0, 2, 5]),
        target=np.array([0, 1, 0, 0, 1], dtype=np.float32),
        edges=np.array([[0, 1, 2, 4], [1, 0, 4, 2]]),
        edge_starts=np.array([0, 2, 4]),
        severity=np.ones(5, dtype=np.float32),
    ).save(folder)
    with np.load(folder / "examples.npz") as file:
        return dict(file)


ARRAYS = st.sampled_from(
    [np.zeros(0), np.zeros((2, 2)), np.array([[0, 9], [9, 0]]), np.array(-3), np.array("x"),
     np.array([np.nan] * 5), np.array([5, 2, 0]), np.arange(6), np.array([0.5, 1.5]), np.array(["a", "a"]),
     np.array([1 + 2j])]
)  # fmt: skip
NAMES = ("ids", "groups", "feature_labels", "makes", "target_kind", "features", "starts", "positions")


def spoilt_npz(arrays: dict[str, Any], whole: bytes) -> st.SearchStrategy[bytes]:
    @st.composite
    def other(draw: st.DrawFn) -> bytes:
        changed = dict(arrays)
        name = draw(st.sampled_from(sorted(arrays)))
        if draw(st.booleans()):
            del changed[name]
        else:
            changed[name] = draw(ARRAYS)
        file = io.BytesIO()
        np.savez(file, **changed)
        return file.getvalue()

    return spoilt_bytes(whole) | other() | st.binary(max_size=60)


def npy_of(shape: str) -> bytes:
    """An .npz file with one array whose head announces a shape that is not there."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in NAMES:
            packed.writestr(f"{name}.npy", array)
    return file.getvalue()
