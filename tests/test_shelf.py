"""The shelf: every part under its name, those of other packages too."""

from __future__ import annotations

import pytest

from vitrine.errors import StudyError
from vitrine.study import shelf
from vitrine.study.spec import load_study, preset_names


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
        "model.mine": "vitrine.learn.baselines:Ridge",
        "model.ridge": "nowhere:Other",
        "model.broken": "vitrine_nowhere.models:Broken",
        "model.nameless": "vitrine.learn.baselines:Nothing",
        "model.function": "vitrine.study.claims:imbalance_flatters",
    }
    monkeypatch.setattr(shelf, "_outsiders", lambda: others)
    assert shelf.part_class("model", "mine").__name__ == "Ridge"
    assert shelf.part_class("model", "ridge").__module__.startswith("vitrine"), "ours cannot be replaced"
    for kind in ("broken", "nameless"):
        with pytest.raises(StudyError, match=f"'{kind}' of another package cannot be loaded"):
            shelf.find("model", kind)
        assert not shelf.is_part("model", kind)
    with pytest.raises(StudyError, match="is no settings class"):
        shelf.part_class("model", "function")
    assert load_study(preset_names()[0]).models
