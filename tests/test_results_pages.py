"""The pages of results: every number comes from a metrics.json beside them, which has its command."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import yaml

import vitrine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
RUNS = sorted(path.name for path in (RESULTS / "data").iterdir())
STUDIES = (
    "branched-composition",
    "chemistry-shift",
    "liquid-glass",
    "prior-strain",
    "shear-transformation",
)


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results_build", RESULTS / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_what_the_numbers_make(build: ModuleType) -> None:
    made = build.pages()
    assert {f"{study}.md" for study in STUDIES} <= {path.name for path in made}
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run python docs/results/build.py"


@pytest.mark.parametrize("page", sorted((RESULTS / "pages").glob("*.j2")), ids=lambda path: path.name)
def test_no_result_is_typed(page: Path) -> None:
    """Decimals stand between braces only, but for what is no result."""
    not_typed = r"\{\{.*?\}\}|\{%.*?%\}|\]\([^)]*\)|doi\.org\S+"
    text = re.sub(not_typed, "", page.read_text(encoding="utf-8"), flags=re.S)
    text = text.replace("0.1 %", "")  # a prior strain of the study, no result
    assert not re.findall(r"\d\.\d", text)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_has_its_command_and_its_study(run: str) -> None:
    folder = RESULTS / "data" / run
    assert {path.name for path in folder.iterdir()} == {"metrics.json", "provenance.json", "study.yaml"}
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    jsonschema.validate(metrics, json.loads((ROOT / "docs" / "metrics.schema.json").read_text()))
    assert metrics["scale"] == "laptop"
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    words = provenance["command"].split()
    assert words[:2] == ["vitrine", "run"]
    assert provenance["machine"]["cores"] and provenance["work"]["fit"]["hours"] > 0
    resolved = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    assert resolved["study"] == metrics["study"]
    if words[2].endswith(".yaml"):
        assert words[2] == f"docs/results/data/{run}/study.yaml"
    study = vitrine.load_study(folder / "study.yaml", "laptop")
    assert study.resolved() == resolved


@pytest.mark.parametrize(
    "path", sorted((RESULTS / "data").rglob("*.json")), ids=lambda path: path.parent.name
)
def test_no_place_of_a_machine_is_told(path: Path) -> None:
    assert not re.search(r"/(work|root|home|tmp)/", path.read_text(encoding="utf-8"))


def test_the_repository_stays_small() -> None:
    """What is kept under version control, at most 60 MB."""
    import subprocess

    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a clone")
    names = [name for name in done.stdout.decode().split("\0") if name]
    assert sum((ROOT / name).stat().st_size for name in names if (ROOT / name).is_file()) < 60e6
