"""Chemistries left out: who is left out, where everybody else goes, and how it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrine.errors import StudyError
from vitrine.evaluate.leave_out import LeaveOut
from vitrine.samples import Samples
from vitrine.study.chemistry import FAMILIES, column_of, elements_of, holds
from vitrine.study.leave_out import follow_left_out

FORMULAS = ["Fe2O3", "NaCl", "FeS2", "CaO", "LiF", "NiAl", "CuZr", "KBr", "MgO", "ZnS", "TiO2", "CsI"]


def table(formulas: list[str]) -> Samples:
    ids = tuple(f"t:{n}" for n in range(len(formulas)))
    return Samples("formulas", pd.DataFrame({"formula": formulas}), ids, tuple(formulas))


@pytest.mark.parametrize(
    ("what", "those"),
    [
        ("Fe", {"Fe2O3", "FeS2"}),
        ("O", {"Fe2O3", "CaO", "MgO", "TiO2"}),
        ("halogens", {"NaCl", "LiF", "KBr", "CsI"}),
        ("group-1", {"NaCl", "LiF", "KBr", "CsI"}),
        ("group-16", {"Fe2O3", "FeS2", "CaO", "MgO", "ZnS", "TiO2"}),
        ("transition-metals", {"Fe2O3", "FeS2", "NiAl", "CuZr", "ZnS", "TiO2"}),
    ],
)
def test_who_holds_it(what: str, those: set[str]) -> None:
    found = holds(table(FORMULAS), what)
    assert {formula for formula, inside in zip(FORMULAS, found, strict=True) if inside} == those


def test_columns_are_those_of_pymatgen() -> None:
    pymatgen = pytest.importorskip("pymatgen.core")
    for element in pymatgen.Element:
        if element.Z > 118 or element.symbol in ("D", "T"):
            continue
        ours = column_of(element.Z)
        if element.is_lanthanoid or element.is_actinoid:
            assert ours is None or element.symbol in ("Lu", "Lr")
        else:
            assert ours == element.group, element


def test_families_do_not_overlap() -> None:
    members = [symbol for family in FAMILIES.values() for symbol in family]
    assert len(members) == len(set(members))
    assert {"La", "Gd", "Lu"} < elements_of("lanthanides") and len(elements_of("lanthanides")) == 15


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("Fx", "'Fx' is no element and no family"),
        ("halogen", "did you mean 'halogens'"),
        ("group-19", "group-1 to group-18"),
        ("group-x", "group-1 to group-18"),
    ],
)
def test_names_that_are_none(what: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        holds(table(FORMULAS), what)


def test_samples_without_formulas_are_refused() -> None:
    atoms = Samples("atoms", [None], ("a",), ("a",))
    with pytest.raises(StudyError, match="needs samples with a formula"):
        holds(atoms, "Fe")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=8, max_size=30), st.integers(0, 5), st.data())
def test_what_is_left_out_is_tested_apart_and_never_trained_on(
    sizes: list[int], seed: int, data: Any
) -> None:
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    chosen = data.draw(st.sets(st.integers(0, len(sizes) - 1), min_size=1, max_size=2))
    left_out = np.array([int(group[1:]) in chosen for group in groups])
    (random,) = LeaveOut(seed=seed, test=0.3, validation=0.3).folds_of(groups)
    assert not len(random.beside)
    try:
        (fold,) = LeaveOut(leave_out="Fe", seed=seed, test=0.3, validation=0.3).folds_of(groups, left_out)
    except StudyError as error:
        assert "are left to" in str(error)  # one of the three parts held nothing else
        return
    assert not left_out[np.concatenate([fold.train, fold.validation, fold.beside])].any()
    assert set(np.flatnonzero(left_out)) == set(fold.test) - set(fold.beside)
    # the other groups go where they go when nothing is left out
    for part, whole in ((fold.train, random.train), (fold.beside, random.test)):
        assert set(part) == {i for i in whole if not left_out[i]}
    assert set(fold.beside) <= set(fold.test)


def test_companions_of_a_prototype_are_used_for_nothing() -> None:
    groups = [f"g{n // 2}" for n in range(40)]
    left_out = np.zeros(40, dtype=bool)
    left_out[[0, 2, 4]] = True  # one of the two crystals of three formulas
    (fold,) = LeaveOut(leave_out="prototype:B2").folds_of(groups, left_out)
    used = np.concatenate([fold.train, fold.validation, fold.test])
    assert not set(used) & {1, 3, 5}
    assert set(fold.test) - set(fold.beside) == {0, 2, 4}


@pytest.mark.parametrize(
    ("chosen", "words"), [([], "none of the 12 samples has Fe"), (list(range(12)), "all 12 samples have Fe")]
)
def test_absent_or_everywhere(chosen: list[int], words: str) -> None:
    left_out = np.isin(np.arange(12), chosen)
    with pytest.raises(StudyError, match=words):
        LeaveOut(leave_out="Fe").folds_of(FORMULAS, left_out)


def test_names_of_tracks() -> None:
    names = ["Fe", "transition-metals", "prototype:L1_2", "group-16"]
    tracks = [LeaveOut(leave_out=name).track for name in names]
    assert tracks == ["without_Fe", "without_transition_metals", "without_L1_2", "without_group_16"]
    assert LeaveOut().track == "random"


def raw(*left_out: str | None) -> dict[str, Any]:
    return {"tracks": [{"split": {"kind": "leave-out", "leave_out": what}, "note": "n"} for what in left_out]}


def left_out_of(data: dict[str, Any]) -> list[str | None]:
    return [track["split"]["leave_out"] for track in data["tracks"]]


def test_the_short_form_changes_tracks() -> None:
    data = raw(None, "Ni", "Pt") | {"split": {"leave_out": "Fe", "test": 0.3}}
    follow_left_out(data)
    assert left_out_of(data) == [None, "Fe"] and "split" not in data
    assert [track["split"]["test"] for track in data["tracks"]] == [0.3, 0.3]
    data = raw(None, "Ni") | {"split": {"leave_out": ["Fe", "O", "halogens"]}}
    follow_left_out(data)
    assert left_out_of(data) == [None, "Fe", "O", "halogens"]
    data = raw(None, "Ni") | {"split": {"leave_out": None}}
    follow_left_out(data)
    assert left_out_of(data) == [None]
    data = raw(None) | {"split": {"leave_out": "Fe"}}
    follow_left_out(data)
    assert left_out_of(data) == [None, "Fe"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {"tracks": [{"split": {"kind": "grouped"}}], "split": {"leave_out": "Fe"}},
            "no track with the split",
        ),
        (raw(None) | {"split": {"leaveout": "Fe"}}, "split.leaveout.*did you mean 'leave_out'"),
        (raw(None) | {"split": 3}, "no track with the split"),
    ],
)
def test_the_short_form_is_checked(data: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        follow_left_out(data)
