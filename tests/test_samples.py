"""Examples: rows, edges and names stay together through choosing, saving and loading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.arrays import hash_file
from vitrine.errors import DataError
from vitrine.samples import Examples, Samples


def build(
    sizes: list[int], bonds: list[int], seed: int, graphs: bool, target: bool, space: bool = False
) -> Examples:
    """Random examples with samples of these numbers of rows and edges."""
    random = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    edge_starts = np.concatenate([[0], np.cumsum(bonds)]).astype(np.int64)
    edges = [random.integers(starts[i], starts[i + 1], size=(2, m)) for i, m in enumerate(bonds)]
    n = int(starts[-1])
    fields: dict[str, Any] = {}
    if space:
        shapes: dict[str, tuple[int, ...]] = {
            "vectors": (n, 2, 3),
            "tensors": (n, 1, 3, 3),
            "loads": (len(sizes), 3, 3),
            "others": (n, 2),
        }
        if graphs:
            shapes["edge_vectors"] = (sum(bonds), 3)
        fields = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        fields["other_labels"] = ("log10 D2min", "strain")
    return Examples(
        makes="graphs" if graphs else "vectors",
        target_kind="binary",
        ids=tuple(f"glass-{i}/xy °" for i in range(len(sizes))),
        groups=tuple(f"glass-{i // 2}" for i in range(len(sizes))),
        features=random.normal(size=(n, 3)).astype(np.float32),
        feature_labels=("energy", "volume [Å³]", "type"),
        starts=starts,
        target=random.integers(0, 2, n).astype(np.float32) if target else None,
        edges=np.concatenate([np.zeros((2, 0), np.int64), *edges], axis=1) if graphs else None,
        edge_starts=edge_starts if graphs else None,
        severity=random.random(n).astype(np.float32) if target else None,
        **fields,
    )


SPACE = ("edge_vectors", "vectors", "tensors", "loads")


@st.composite
def examples(draw: st.DrawFn, graphs: bool | None = None) -> Examples:
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    bonds = [draw(st.integers(0, 8)) for _ in sizes]
    with_graphs = draw(st.booleans()) if graphs is None else graphs
    seed, target, space = draw(st.integers(0, 2**32 - 1)), draw(st.booleans()), draw(st.booleans())
    return build(sizes, bonds, seed, with_graphs, target, space)


def arrays(found: Examples) -> dict[str, Any]:
    names = ("features", "starts", "target", "edges", "edge_starts", "severity", *SPACE, "others")
    return {name: getattr(found, name) for name in names}


def assert_equal(one: Examples, other: Examples) -> None:
    for name, array in arrays(one).items():
        second = getattr(other, name)
        assert (array is None) == (second is None), name
        if array is not None:
            assert array.dtype == second.dtype, name
            np.testing.assert_array_equal(array, second, err_msg=name)
    for name in ("makes", "target_kind", "ids", "groups", "feature_labels", "other_labels"):
        assert getattr(one, name) == getattr(other, name)


def relative_edges(found: Examples, sample: int) -> list[list[int]]:
    assert found.edges is not None and found.edge_starts is not None
    part = found.edges[:, found.edge_starts[sample] : found.edge_starts[sample + 1]]
    return (part - found.starts[sample]).tolist()  # type: ignore[no-any-return]


@given(examples(), st.data())
def test_choosing_keeps_each_sample_whole(all_of_them: Examples, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(all_of_them) - 1), max_size=8))
    some = all_of_them.select(chosen)
    assert len(some) == len(chosen) and some.starts[-1] == some.n_rows
    np.testing.assert_array_equal(some.owner, np.repeat(np.arange(len(some)), np.diff(some.starts)))
    np.testing.assert_array_equal(some.features, all_of_them.features[all_of_them.rows_of(chosen)])
    for new, old in enumerate(chosen):
        rows = slice(some.starts[new], some.starts[new + 1])
        before = slice(all_of_them.starts[old], all_of_them.starts[old + 1])
        assert (some.ids[new], some.groups[new]) == (all_of_them.ids[old], all_of_them.groups[old])
        for name in ("features", "target", "severity", "others", "vectors", "tensors"):
            if getattr(some, name) is not None:
                np.testing.assert_array_equal(getattr(some, name)[rows], getattr(all_of_them, name)[before])
        if some.edges is not None:
            assert relative_edges(some, new) == relative_edges(all_of_them, old)
        if some.loads is not None:
            np.testing.assert_array_equal(some.loads[new], all_of_them.loads[old])  # type: ignore[index]
        if some.edge_vectors is not None:
            one, other = (
                e.edge_vectors[e.edge_starts[i] : e.edge_starts[i + 1]]  # type: ignore[index]
                for e, i in ((some, new), (all_of_them, old))
            )
            np.testing.assert_array_equal(one, other)


@given(examples())
def test_choosing_all_changes_nothing(found: Examples) -> None:
    assert_equal(found.select(np.arange(len(found))), found)
    assert found.select(range(len(found))).digest() == found.digest()


@given(examples(), st.data())
def test_choosing_twice_is_choosing_once(found: Examples, data: st.DataObject) -> None:
    first = data.draw(st.lists(st.integers(0, len(found) - 1), min_size=1, max_size=5))
    second = data.draw(st.lists(st.integers(0, len(first) - 1), max_size=5))
    assert_equal(found.select(first).select(second), found.select([first[i] for i in second]))


@pytest.mark.parametrize("wrong", [[-1], [3], [0, 7], [True, False, True], [0.0], ["a"]])
def test_what_is_no_position_is_refused(wrong: Any) -> None:
    """A mask taken for positions would silently choose samples 0 and 1 again and again."""
    found = build([2, 2, 2], [1, 1, 1], 0, graphs=True, target=True)
    with pytest.raises(IndexError, match="from 0 to 2"):
        found.select(wrong)
    with pytest.raises(IndexError):
        found.rows_of(wrong)


def test_nothing_chosen_is_empty_and_can_be_saved(tmp_path: Path) -> None:
    none = build([2, 2], [1, 3], 0, graphs=True, target=True).select([])
    assert (len(none), none.n_rows, none.features.shape) == (0, 0, (0, 3))
    none.save(tmp_path)
    assert_equal(Examples.load(tmp_path), none)


@settings(max_examples=25, deadline=None)
@given(examples())
def test_saved_and_loaded_is_equal(tmp_path_factory: pytest.TempPathFactory, found: Examples) -> None:
    folder = tmp_path_factory.mktemp("examples")
    found.save(folder)
    again = Examples.load(folder)
    assert_equal(again, found)
    assert again.digest() == found.digest()


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"text", b"\x80\x04K\x01."])
def test_what_holds_no_examples_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "examples.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"examples\.npz holds no examples"):
        Examples.load(tmp_path)


def test_objects_in_a_file_are_refused(tmp_path: Path) -> None:
    found = build([2], [1], 0, graphs=False, target=False)
    found.save(tmp_path)
    content = dict(np.load(tmp_path / "examples.npz"))
    for wrong in ({"features": np.array([{}], dtype=object)}, {"extra": np.zeros(1)}):
        np.savez(tmp_path / "examples.npz", **(content | wrong))
        with pytest.raises(DataError):
            Examples.load(tmp_path)


def test_files_from_before_there_were_other_quantities_are_read(tmp_path: Path) -> None:
    """Stores keep them under the same digest."""
    found = build([2, 2], [1, 3], 0, graphs=True, target=True)
    found.save(tmp_path)
    content = dict(np.load(tmp_path / "examples.npz"))
    del content["other_labels"]
    np.savez(tmp_path / "examples.npz", **content)
    assert_equal(Examples.load(tmp_path), found)


@pytest.mark.parametrize("name", [*SPACE, "others"])
@pytest.mark.parametrize("fault", ["shape", "kind", "nan"])
def test_fields_that_do_not_fit_are_refused(tmp_path: Path, name: str, fault: str) -> None:
    found = build([2, 3], [2, 2], 0, graphs=True, target=True, space=True)
    array = getattr(found, name)
    spoilt = array.copy()
    spoilt.flat[1] = np.nan
    changed = {"shape": array[:-1], "kind": array.astype(np.int64), "nan": spoilt}[fault]
    replace(found, **{name: changed}).save(tmp_path)
    with pytest.raises(DataError, match=rf"examples\.npz holds no examples: its .*{name} do not fit"):
        Examples.load(tmp_path)


def test_each_part_enters_the_digest() -> None:
    found = build([2, 3], [2, 2], 0, graphs=True, target=True, space=True)
    assert found.target is not None and found.severity is not None and found.edges is not None
    others = [
        replace(found, ids=("a", "b")),
        replace(found, groups=("a", "b")),
        replace(found, feature_labels=("a", "b", "c")),
        replace(found, makes="vectors"),
        replace(found, features=found.features + 1),
        replace(found, severity=found.severity + 1),
        replace(found, severity=None),
        replace(found, edges=found.edges[::-1]),
        found.with_target(1 - found.target),
        replace(found, target=None),
        replace(found, other_labels=("log10 D2min", "size")),
        *(replace(found, **{name: None}) for name in (*SPACE, "others")),
        *(replace(found, **{name: getattr(found, name) + 1}) for name in (*SPACE, "others")),
    ]
    assert len({found.digest(), *(other.digest() for other in others)}) == len(others) + 1


def test_graphs_are_those_of_the_samples() -> None:
    pytest.importorskip("torch_geometric")
    found = build([3, 4], [5, 2], 1, graphs=True, target=True)
    graphs = list(found.graphs())
    assert [graph.num_nodes for graph in graphs] == [3, 4]
    for number, graph in enumerate(graphs):
        rows = slice(found.starts[number], found.starts[number + 1])
        np.testing.assert_array_equal(graph.x.numpy(), found.features[rows])
        assert found.target is not None
        np.testing.assert_array_equal(graph.y.numpy(), found.target[rows])
        centres, neighbours = relative_edges(found, number)
        assert graph.edge_index.tolist() == [neighbours, centres], "messages flow to the centre"
        assert graph.validate()
    without = replace(found, edges=None, edge_starts=None)
    with pytest.raises(ValueError, match="no edges"):
        next(without.graphs())


def test_a_new_target_is_single_precision() -> None:
    found = build([2], [1], 0, graphs=False, target=False)
    assert found.with_target(np.array([1.0, 0.0])).target.dtype == np.float32  # type: ignore[union-attr,arg-type]


def test_samples_must_have_a_name_each() -> None:
    with pytest.raises(DataError, match="unique"):
        Samples("formulas", [1, 2], ("a", "a"), ("g", "g"))
    with pytest.raises(ValueError, match="one entry per sample"):
        Samples("formulas", [1, 2], ("a", "b"), ("g",))
    assert len(Samples("formulas", [1, 2], ("a", "b"), ("g", "g"))) == 2


def test_hash_of_a_file(tmp_path: Path) -> None:
    # SHA-256 of "abc": FIPS 180-4, appendix
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
