"""Study files for tests, and a way to write variants of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from vitrine.errors import StudyError
from vitrine.study.spec import load_study
from vitrine.study.yaml_reader import write_yaml

GLASS: dict[str, Any] = {
    "study": "my-glass",
    "title": "Mine",
    "source": {"kind": "metallic-glass", "specimens": 4, "quench_rate": 1e13},
    "label": {"kind": "first-event"},
    "representation": {"kind": "voronoi-graph"},
    "tracks": [
        {"split": {"kind": "grouped", "folds": 4}},
        {"split": {"kind": "random"}, "models": ["chance", "logistic"]},
    ],
    "models": {"chance": {"kind": "chance"}, "logistic": {"kind": "logistic"}, "gat": {"kind": "gat"}},
    "main_model": "gat",
    "evaluation": {"metrics": ["roc_auc", "average_precision"]},
    "published": [
        {
            "title": "Table 1",
            "source": "a paper",
            "metrics": ["roc_auc"],
            "rows": {"AUC (4, 15, 9)": {"roc_auc": 0.85}},
            "beside": {"gat": "AUC (4, 15, 9)"},
        }
    ],
    "scales": {
        "smoke": {"source": {"specimens": 2}},
        "demo": None,
        "paper": {
            "source": {"kind": "released-glass"},
            "models": {"logistic": None},
            "tracks": [{"split": {"kind": "grouped"}}],
        },
    },
}  # fmt: skip
TABLE: dict[str, Any] = {
    "source": {"kind": "table", "table": "a.csv"},
    "label": {"kind": "column"},
    "representation": {"kind": "elemental-fractions"},
    "tracks": [{"split": {"kind": "random"}}],
    "models": {"m": {"kind": "mean"}},
    "main_model": "m",
    "evaluation": {"metrics": ["mae"]},
    "published": [],
}
"""What turns the study above into one of formulas."""


class Case:
    """Writes variants of the study above and loads them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "my-study.yaml"

    def load(self, text: str | dict[str, Any] = GLASS, scale: str | None = None, *sets: str) -> Any:
        self.path.write_text(text if isinstance(text, str) else write_yaml(text), encoding="utf-8")
        return load_study(str(self.path), scale, list(sets))

    def words(self, text: str | dict[str, Any] = GLASS, scale: str | None = None, *sets: str) -> str:
        with pytest.raises(StudyError) as error:
            self.load(text, scale, *sets)
        assert error.value.exit_code == 2
        return str(error.value)


def with_(path: str, value: Any) -> dict[str, Any]:
    """The study above with one thing set, whatever is there."""
    data = copy.deepcopy(GLASS)
    here: Any = data
    steps = [int(step) if step.isdecimal() else step for step in path.split(".")]
    for step in steps[:-1]:
        here = here.setdefault(step, {}) if isinstance(here, dict) else here[step]
    here[steps[-1]] = value
    return data
