"""Parts and studies of other packages: the pages of docs/extend, installed and run for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from vitrine.errors import StudyError
from vitrine.study import outsiders, shelf, spec
from vitrine.study.outsiders import Outsider

PAGES = Path(__file__).parent.parent / "docs" / "extend"
FENCED = re.compile(r"^`([\w./]+)`:\n\n```([a-z]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A file on a page: its name in a line of its own, then its text."""
EXAMPLES = {
    "simulator": "my_alloys/source.py",
    "representation": "my_alloys/representation.py",
    "model": "my_alloys/model.py",
    "study": "my_alloys/alloy_distortion.yaml",
}
SMALL = ("--set", "source.specimens=5", "--set", "evaluation.resamples=20")
MODELS = {"mean", "ridge", "kernel", "ridge_lopsided", "kernel_lopsided"}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def files_of_pages() -> dict[str, str]:
    """Name -> text of every file that the pages show."""
    found: dict[str, str] = {}
    for page in sorted(PAGES.glob("*.md")):
        for name, _, text in FENCED.findall(page.read_text(encoding="utf-8")):
            assert name not in found, f"{name} is shown twice"
            found[name] = text
    return found


def distribution(folder: Path, name: str, files: dict[str, str], points: dict[str, dict[str, str]]) -> None:
    """What pip leaves of a package: its files, and a dist-info with its entry points."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n", encoding="utf-8")
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in found.items()) for group, found in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def runner(folder: Path, work: Path) -> Run:
    """Run Python with the packages of a folder installed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "VITRINE_STORE": str(work / "store"),
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
    }

    def run(*arguments: object, module: str = "vitrine.cli.main") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=work, env=environment)

    return run


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which the package of the pages is installed."""
    folder = tmp_path_factory.mktemp("site")
    files = files_of_pages()
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    distribution(folder, "my-alloys", {**files, "my_alloys/__init__.py": ""}, points)
    return folder


@pytest.fixture
def run(package: Path, tmp_path: Path) -> Run:
    """Run Python with the package of the pages installed, in a folder and with a store of its own."""
    return runner(package, tmp_path)


# ---------------------------------------------------------------- the pages


def test_every_example_is_complete_and_under_forty_lines() -> None:
    files = files_of_pages()
    assert set(EXAMPLES.values()) <= set(files)
    for name, text in files.items():
        assert len(text.splitlines()) < 40, f"{name} has {len(text.splitlines())} lines"
        assert max(map(len, text.splitlines())) <= 110, f"{name}: lines are too long for the page"


def test_the_packages_files_are_those_of_the_pages() -> None:
    listed = re.search(r"^my-alloys/\n(.*?)^```", (PAGES / "index.md").read_text("utf-8"), re.M | re.S)
    assert listed is not None
    names = {
        folder + name
        for line in listed.group(1).splitlines()
        for folder in [(re.match(r"\s*(\w+/)", line) or [""])[0].strip()]
        for name in line.strip().removeprefix(folder).split()
    }
    assert names == {*files_of_pages(), "my_alloys/__init__.py"}
    points = tomllib.loads(files_of_pages()["pyproject.toml"])["project"]["entry-points"]
    assert set(points) == {outsiders.PARTS, outsiders.STUDIES}


def test_the_inherited_contracts_hold(run: Run, package: Path) -> None:
    """The tests of the pages, as their reader runs them."""
    done = run("-q", "-p", "no:cacheprovider", "--rootdir", package, package / "tests", module="pytest")
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed.group(1)) > 100
    assert "failed" not in done.stdout and "error" not in done.stdout


def test_the_study_of_the_pages_runs(run: Run, package: Path, tmp_path: Path) -> None:
    """By its name, in one process; every part of it is the package's own where it says so."""
    done = run("run", "alloy-distortion", "--scale", "smoke", "--workers", 0, "--out", "out", *SMALL)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    found = {row["model"]: row["value"] for row in metrics["rows"] if row["metric"] == "r2"}
    assert set(found) == MODELS | {"shuffled_labels"}
    assert found["kernel_lopsided"] > 0.05 > found["mean"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    versions = json.loads((tmp_path / "out" / "provenance.json").read_text())["versions"]
    assert versions["my-alloys"] == "0.1"
    model = tmp_path / "out" / "models" / "kernel_lopsided"
    assert {path.name for path in model.iterdir()} >= {"fit.safetensors", "model.yaml", "README.md"}
    assert "my-alloys==0.1" in (model / "environment.txt").read_text()


@pytest.mark.slow
def test_the_study_runs_on_a_worker_process_with_features_from_the_store(
    run: Run, package: Path, tmp_path: Path
) -> None:
    """From a file; the worker finds the package by the path of the command."""
    study = yaml.safe_load((package / "my_alloys" / "alloy_distortion.yaml").read_text())
    study["representations"]["lopsided"]["kind"] = "stored-shells"
    study["models"] = {"mean": {"kind": "mean"}, "net": {"kind": "elastic-net", "representation": "lopsided"}}
    study |= {"main_model": "net", "tracks": study["tracks"][:1]}
    study["evaluation"]["shuffled_labels"] = None
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(study))
    command = ("run", "mine.yaml", "--scale", "smoke", "--workers", 1, "--out", "out", *SMALL)
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert re.search(r"made .*12 fit, 5 relax, 5 shells", done.stdout), done.stdout
    again = run(*command[:-4], *SMALL)
    assert re.search(r"reused .*12 fit, 5 relax, 5 shells", again.stdout), again.stdout


def test_the_command_line_knows_the_package(run: Run, package: Path, tmp_path: Path) -> None:
    """In the list, in the schema, and by name for `init`."""
    listed = run("list")
    assert listed.returncode == 0, listed.stderr
    for kind in ("random-alloy", "distortion", "shells", "stored-shells", "kernel-ridge", "alloy-distortion"):
        assert re.search(rf"^  {kind} .*  \[my-alloys 0\.1\]$", listed.stdout, re.M), kind
    assert not re.search(r"^  ridge .*\[", listed.stdout, re.M), "ours need no package"
    assert "left out" not in listed.stdout

    import jsonschema

    schema = json.loads(run("schema").stdout)
    settings = schema["$defs"]["representation-shells"]["properties"]
    assert settings["radii"]["description"] == "Å, of the shells" and settings["dipoles"]["default"] is False
    study = yaml.safe_load((package / "my_alloys" / "alloy_distortion.yaml").read_text())
    check = jsonschema.Draft202012Validator(schema)
    check.validate(study)
    study["source"]["specimen"] = 3
    assert not check.is_valid(study)

    assert run("init", "alloy-distortion").returncode == 0
    written = (tmp_path / "alloy-distortion.yaml").read_text()
    assert written == files_of_pages()["my_alloys/alloy_distortion.yaml"]


# ---------------------------------------------------------------- broken packages of others

BROKEN = {
    "broken/__init__.py": "",
    "broken/needs.py": "import no_such_package_of_anyone\n",
    "broken/leaves.py": "import sys\nsys.exit('I am a script')\n",
    "broken/parts.py": """
from typing import ClassVar, Literal
from vitrine.learn.protocol import ModelPart
from vitrine.parts import Part

class Model(ModelPart):
    kind: Literal["other-kind"] = "other-kind"

class NoModel(Part):
    kind: Literal["no-model"] = "no-model"
    takes: ClassVar[frozenset[str]] = frozenset({"vectors"})
    targets: ClassVar[frozenset[str]] = frozenset({"value"})

    def build(self, target, seed):
        return None

class Half(Part):
    kind: Literal["half"] = "half"
    takes: ClassVar[str] = "atoms"

def function():
    return None
""",
    "broken/empty.yaml": "",
}
POINTS = {
    outsiders.PARTS: {
        "model.import-error": "broken.needs:Model",
        "model.exits": "broken.leaves:Model",
        "model.no-such-class": "broken.parts:Nothing",
        "model.no-class": "broken.parts:function",
        "model.mismatch": "broken.parts:Model",
        "model.no-model": "broken.parts:NoModel",
        "representation.half": "broken.parts:Half",
        "model.ridge": "broken.parts:Model",
        "modle.typo": "broken.parts:Model",
        "nameless": "broken.parts:Model",
        "model.Big Letters": "broken.parts:Model",
        "model.no-value": "broken parts",
    },
    outsiders.STUDIES: {
        "lost": "broken:lost.yaml",
        "nowhere": "broken_nowhere:lost.yaml",
        "hollow": "broken:empty.yaml",
        "shear-transformation": "broken:empty.yaml",
        "no-yaml": "broken.parts:Model",
    },
}
ON_THE_SHELF = {
    "import-error": "the model 'import-error' of the package broken-parts 0.1 cannot be loaded "
    "(ModuleNotFoundError: No module named 'no_such_package_of_anyone')",
    "exits": "cannot be loaded (SystemExit: I am a script)",
    "no-such-class": "cannot be loaded (AttributeError: module 'broken.parts' has no attribute 'Nothing')",
    "no-class": "of the package broken-parts 0.1 is no settings class (a subclass of vitrine.parts.Part)",
    "mismatch": "has the kind 'other-kind'; it must say: kind: Literal['mismatch'] = 'mismatch'",
    "no-model": "is no model (a subclass of vitrine.learn.protocol.ModelPart)",
    "half": "the representation 'half' of the package broken-parts 0.1 lacks makes, feature_labels, build",
    "lost": "'lost' of the package broken-parts 0.1 cannot be found: no file lost.yaml beside broken",
    "nowhere": "cannot be found: there is no module 'broken_nowhere'",
    "hollow": "hollow is empty; a study file is a mapping of keys",
}
LEFT_OUT = {
    "model.ridge": "vitrine has a model 'ridge' of its own; choose another name  [broken-parts 0.1]",
    "modle.typo": "there is no stage 'modle'; did you mean 'model'?  [broken-parts 0.1]",
    "nameless": "its name is not <stage>.<kind>",
    "model.Big Letters": "its name is not <stage>.<kind>",
    "model.no-value": "its value 'broken parts' is not module:Class  [broken-parts 0.1]",
    "shear-transformation": "vitrine has a study 'shear-transformation' of its own",
    "no-yaml": "its value 'broken.parts:Model' is not module:file.yaml",
    "model.kernel-ridge": "my-alloys 0.1 brings one of this name, which is used  [zz-late 0.1]",
    "modle.y": "there is no stage 'modle'; did you mean 'model'?  [a-nameless-package]",
}


@pytest.fixture
def crowded(package: Path, tmp_path: Path) -> Iterator[Run]:
    """The package of the pages beside broken ones."""
    site = tmp_path / "site"
    distribution(site, "broken-parts", BROKEN, POINTS)
    distribution(site, "zz-late", {}, {outsiders.PARTS: {"model.kernel-ridge": "broken.parts:Model"}})
    distribution(site, "no-metadata", {}, {outsiders.PARTS: {"modle.y": "broken.parts:Model"}})
    (site / "no_metadata-0.1.dist-info" / "METADATA").unlink()
    yield runner(Path(f"{site}{os.pathsep}{package}"), tmp_path)


def test_broken_packages_are_named_and_stop_nobody_else(crowded: Run) -> None:
    listed = crowded("list")
    assert listed.returncode == 0, listed.stderr
    shelf_lines, _, left_out = listed.stdout.partition("\nleft out\n")
    for name, words in ON_THE_SHELF.items():
        (line,) = re.findall(rf"^  {name} .*$", shelf_lines, re.M)
        assert words in line, name
    for name, words in LEFT_OUT.items():
        (line,) = re.findall(rf"^  {re.escape(name)} .*$", left_out, re.M)
        assert words in line, name
    assert len(left_out.splitlines()) == len(LEFT_OUT)
    assert re.search(r"^  kernel-ridge .*\[my-alloys 0\.1\]$", shelf_lines, re.M)
    assert re.search(r"^  ridge +linear least squares", shelf_lines, re.M)

    schema = crowded("schema")
    assert schema.returncode == 0, schema.stderr
    definitions = json.loads(schema.stdout)["$defs"]
    assert "model-kernel-ridge" in definitions and "model-ridge" in definitions
    assert not {f"model-{name}" for name in ON_THE_SHELF} & set(definitions)


def test_a_study_with_a_broken_part_ends_with_2_and_names_the_package(crowded: Run) -> None:
    for settings, words in (
        (
            "models.ridge.kind=import-error",
            "models.ridge.kind: the model 'import-error' of the package broken-parts",
        ),
        ("models.ridge.kind=modle", "no model of kind 'modle'"),
    ):
        done = crowded("run", "branched-composition", "--set", settings)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    done = crowded("run", "lost")
    assert done.returncode == 2 and "no file lost.yaml beside broken" in done.stderr


# ---------------------------------------------------------------- in this process


def test_the_first_package_of_a_name_is_used_whatever_the_order() -> None:
    points = [Outsider("model.x", "b:X", "b 1"), Outsider("model.x", "a:X", "a 1")]
    good, bad = outsiders.sorted_parts(points, {"model": {}})
    assert good["model.x"].package == "b 1" and bad[0].package == "a 1", "as handed in"
    assert [o.package for group in outsiders.installed().values() for o in group] == sorted(
        o.package for group in outsiders.installed().values() for o in group
    ) or len(outsiders.installed()[outsiders.STUDIES]) > 0


def test_a_study_file_lies_beside_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lone_module.py").write_text("raise RuntimeError('never imported')")
    (tmp_path / "lone.yaml").write_text("study: lone")
    (tmp_path / "bad_parent").mkdir()
    (tmp_path / "bad_parent" / "__init__.py").write_text("raise RuntimeError('seven')")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = outsiders.study_file(Outsider("lone", "lone_module:lone.yaml", "p 1"))
    assert found == tmp_path / "lone.yaml"
    with pytest.raises(StudyError, match=r"'x' of the package p 1 cannot be found \(RuntimeError: seven\)"):
        outsiders.study_file(Outsider("x", "bad_parent.inner:x.yaml", "p 1"))


def test_studies_of_others_are_beside_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lone_studies.py").write_text("")
    text = spec.preset_text("branched-composition")
    (tmp_path / "theirs.yaml").write_text(text.replace("study: branched-composition", "study: theirs"))
    monkeypatch.syspath_prepend(str(tmp_path))
    point = Outsider("theirs", "lone_studies:theirs.yaml", "p 1")
    points: dict[str, Any] = {outsiders.PARTS: (), outsiders.STUDIES: (point,)}
    monkeypatch.setattr(outsiders, "installed", lambda: points)
    assert "theirs" in spec.preset_names() and "branched-composition" in spec.preset_names()
    assert spec.load_study("theirs", "smoke").study == "theirs"
    with pytest.raises(StudyError, match="no study 'thiers'; did you mean 'theirs'"):
        spec.load_study("thiers")


def test_the_package_of_a_part_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Outsider("model.mine", "vitrine.learn.baselines:Ridge", "p 1.2")
    monkeypatch.setattr(shelf, "_outsiders", lambda: {"model.mine": mine})
    assert shelf.package_of("model", "mine") == "p 1.2"
    assert shelf.package_of("model", "ridge") is None and shelf.package_of("label", "mine") is None
