"""Layers of settings: a scale over the file, --set over both."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_cases import GLASS, Case, with_
from vitrine.study.overrides import apply_override, apply_overrides, merge


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_overrides_of_every_kind(case: Case) -> None:
    sets = (
        "source.quench_rate=1e12", "tracks.0.split.folds=3", "source.first_seed=0007", "models.gat.heads=4",
        "source.elements=[Cu, Zr]", "evaluation.threshold=.25", "unseen.kind=released-glass",
        "tracks.1.models=", "question='why: not?'", "published=[]", "representation={kind: voronoi-graph}",
    )  # fmt: skip
    study = case.load(GLASS, "demo", *sets)
    assert (study.source.quench_rate, study.source.first_seed) == (1e12, 7)
    assert study.tracks[0].split.folds == 3 and study.tracks[1].models is None
    assert study.models["gat"].heads == 4 and study.question == "why: not?"
    assert study.evaluation.threshold == 0.25 and study.unseen.kind == "released-glass"
    assert study.published == ()


def test_another_kind_starts_from_its_defaults_wherever_it_stands(case: Case) -> None:
    for sets in (
        ["source.kind=released-glass", "source.specimens=9"],
        ["source.specimens=9", "source.kind=released-glass"],
    ):
        source = case.load(GLASS, "demo", *sets).source
        assert (source.kind, source.specimens, source.name) == ("released-glass", 9, "cu64zr36-n500")
    same = case.load(GLASS, "demo", "source.kind=metallic-glass").source
    assert same.specimens == 4, "the same kind changes nothing"


def test_a_null_takes_a_part_away(case: Case) -> None:
    study = case.load(GLASS, "demo", "models.logistic=null", "tracks.1.models=[chance]")
    assert list(study.models) == ["chance", "gat"]
    data = with_("unseen", {"kind": "released-glass"})
    assert case.load(data, "demo", "unseen=null").unseen is None
    assert "source: is missing" in case.words(GLASS, "demo", "source=null")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source.specimens", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("source..specimens=3", "expected KEY=VALUE"),
        ("source.=3", "expected KEY=VALUE"),
        ("", "expected KEY=VALUE"),
        ("source.specimens=[1", "not valid YAML"),
        ("source={a: 1, a: 2}", "'a' stands twice"),
        ("source.specimens.more=3", "plain value 4, it has no keys"),
        ("title.a.b=3", "plain value 'Mine', it has no keys"),
        ("tracks.2.split=3", "no position 2 in a list of 2"),
        ("tracks.-1.split=3", "positions, 0 for the first, not '-1'"),
        ("tracks.².split=3", "positions, 0 for the first, not '²'"),
        ("tracks.first.split=3", "positions, 0 for the first, not 'first'"),
        ("tracks.1.models.2=gat", "no position 2 in a list of 2"),
        ("scale=paper", "--scale"),
        ("scales.demo.title=x", "--scale"),
        ("source.specimen=3", "source.specimen: no such key; did you mean 'specimens'?"),
        ("modells.gat.kind=gat", "modells: no such key; did you mean 'models'?"),
    ],
)
def test_wrong_overrides_are_said(case: Case, text: str, words: str) -> None:
    assert words in case.words(GLASS, "demo", text)


def test_a_wrong_override_among_others_changes_no_order() -> None:
    data: dict[str, Any] = {"a": {"kind": "x", "n": 1}}
    apply_overrides(data, ["a.n=2", "a.kind=y", "a.n=3"])
    assert data == {"a": {"kind": "y", "n": 3}}


plain = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), plain, max_size=3)


@given(mappings, mappings)
def test_merging_changes_neither_layer_and_twice_is_once(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = copy.deepcopy((base, over))
    merged = merge(base, over)
    assert (base, over) == before
    for key in over:
        if not isinstance(over[key], dict) and not isinstance(base.get(key), dict):
            assert merged[key] == over[key]
    assert {key: merged[key] for key in base if key not in over} == {
        k: base[k] for k in base if k not in over
    }
    assert merge(base, {}) == base


def test_setting_what_is_not_there_makes_it() -> None:
    data: dict[str, Any] = {"a": None}
    apply_override(data, "a.b.c=[1, {d: 2}]")
    apply_override(data, " a . b . e = x ")
    assert data == {"a": {"b": {"c": [1, {"d": 2}], "e": "x"}}}
