"""Whatever is wrong with what is given: a message that names it, exit code 2, and nothing is spoilt."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bad_crystals import CRYSTAL_FOLDERS
from bad_dislocations import DISLOCATIONS
from bad_files import CRYSTALS, DATA_FILES, DUMPS, EXTXYZ, POTENTIALS, RELEASED
from bad_folders import MODELS, RUNS, STORES
from bad_inputs import FLAGS, FORMULAS, OVERRIDES, STUDIES, TABLES, Bad
from bad_maps import MAPS
from bad_planes import PLANES
from bad_tables import PUBLISHED_AND_TARGETS
from vitrine.cli.main import main

CASES: list[Bad] = [
    *STUDIES,
    *OVERRIDES,
    *FORMULAS,
    *TABLES,
    *DUMPS,
    *EXTXYZ,
    *DATA_FILES,
    *CRYSTALS,
    *POTENTIALS,
    *RELEASED,
    *MODELS,
    *RUNS,
    *STORES,
    *FLAGS,
    *PLANES,
    *DISLOCATIONS,
    *MAPS,
    *PUBLISHED_AND_TARGETS,
    *CRYSTAL_FOLDERS,
]
FOREMOST = ("study: not YAML", "formula: 'Xx2'", "dump: cut short", "model: another format", "store: a file")
"""Cases that are run once more as processes of their own."""


def files(folder: Path) -> dict[str, str]:
    """Checksums of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def prepare(case: Bad, folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    if case.needs is not None:
        pytest.importorskip(case.needs, reason=f"needs the package {case.needs}")
    case.write(folder, request.getfixturevalue)
    return files(folder)


def check(case: Bad, code: object, out: str, err: str, before: dict[str, str], folder: Path) -> None:
    said = " ".join(err.split())
    assert code == 2, (code, out, err)
    assert "Traceback" not in err + out
    for words in case.words:
        assert words in said, f"{words!r} is not in: {said}"
    assert "wrote" not in out and "report:" not in out, out
    after = files(folder)
    assert {name: after.get(name) for name in before} == before, "a file of the user's was changed"
    new = {name for name in after.keys() - before.keys() if not name.startswith("store/")}
    assert {name for name in new if Path(name).name != "log.txt"} == set(), "something half-made was left"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(
    case: Bad,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    before = prepare(case, tmp_path, request)
    monkeypatch.setattr(sys, "argv", ["vitrine", *shlex.split(case.command)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    check(case, end.value.code, *capsys.readouterr(), before, tmp_path)


@pytest.mark.parametrize("name", FOREMOST)
def test_bad_input_of_a_process_of_its_own(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (case,) = [case for case in CASES if case.name == name]
    before = prepare(case, tmp_path, request)
    done = subprocess.run(
        [sys.executable, "-m", "vitrine.cli.main", *shlex.split(case.command)],
        cwd=tmp_path,
        env=os.environ | {"VITRINE_STORE": str(tmp_path / "store"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    check(case, done.returncode, done.stdout, done.stderr, before, tmp_path)


def test_the_table_is_long_and_every_kind_of_input_is_in_it() -> None:
    counts = Counter(case.name.partition(":")[0] for case in CASES)
    assert len(CASES) >= 150 and len({case.name for case in CASES}) == len(CASES)
    wanted = "study override formula table dump extxyz data crystal potential released model run store flags"
    assert (
        set(counts) == {*wanted.split(), "plane", "dislocations", "map", "strain", "folder"}
        and min(counts.values()) >= 5
    )
