"""The shelf: every part under its name, those of other packages too."""

from __future__ import annotations

import re

import pytest

from vitrine.errors import StudyError
from vitrine.study import shelf
from vitrine.study.outsiders import Outsider
from vitrine.study.spec import load_study, preset_names


def test_a_summary_read_in_the_file_is_that_of_the_class() -> None:
    read = 0
    for stage in shelf.STAGES:
        for kind in shelf.STAGES[stage] if stage != "claim" else ():
            assert shelf.summary_of(stage, kind) == shelf.part_class(stage, kind).summary
            module, _, name = shelf.STAGES[stage][kind].partition(":")
            read += name in shelf._summaries(module)
    assert read > 40  # the others are imported, which is slow


def test_every_kind_is_on_the_shelf_under_its_own_name() -> None:
    for stage in shelf.STAGES:
        for kind in shelf.STAGES[stage]:
            if stage == "claim":
                assert callable(shelf.find(stage, kind))
                continue
            part = shelf.part_class(stage, kind)
            assert part.model_fields["kind"].default == kind
            assert part.summary and part.__doc__


def test_parts_of_other_packages_are_found_and_broken_ones_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {
        "model.ridge": "nowhere:Other",
        "model.broken": "vitrine_nowhere.models:Broken",
        "model.nameless": "vitrine.learn.baselines:Nothing",
        "model.function": "vitrine.study.claims:imbalance_flatters",
        "model.mine": "vitrine.learn.baselines:Ridge",
        "source.model": "vitrine.learn.baselines:Ridge",
    }
    found = {name: Outsider(name, value, "theirs 2.0") for name, value in others.items()}
    monkeypatch.setattr(shelf, "_outsiders", lambda: found)
    assert shelf.part_class("model", "ridge").__module__.startswith("vitrine"), "ours cannot be replaced"
    for kind in ("broken", "nameless"):
        with pytest.raises(StudyError, match=f"'{kind}' of the package theirs 2.0 cannot be loaded"):
            shelf.find("model", kind)
        assert not shelf.is_part("model", kind)
    for stage, kind, words in (
        ("model", "function", "is no settings class"),
        ("model", "mine", "has the kind 'ridge'; it must say: kind: Literal['mine'] = 'mine'"),
        ("source", "model", "has the kind 'ridge'"),
    ):
        with pytest.raises(StudyError, match=re.escape(words)):
            shelf.part_class(stage, kind)
    assert load_study(preset_names()[0]).models


def test_a_part_of_another_package_must_have_what_its_stage_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of our parts passes; one of ours on the wrong shelf lacks what that stage asks for."""
    for stage in shelf.STAGES:
        for kind in shelf.STAGES[stage] if stage != "claim" else ():
            assert shelf._trouble_of_class(stage, kind, shelf.find(stage, kind)) is None
    grouped = shelf.find("split", "grouped")
    assert shelf._trouble_of_class("source", "grouped", grouped) == "lacks yields, tasks, samples"
    assert shelf._trouble_of_class("label", "grouped", grouped) == "lacks takes, makes, targets, severity"
    assert "no model" in str(shelf._trouble_of_class("model", "grouped", grouped))
