"""Every reader, given anything: a sound object, or a refusal that names the file. Never another exception.

``VITRINE_FUZZ=5000`` looks at so many examples of each, anew each time.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bad_files import CIF, DATA, POSCAR, XYZ, frame, glasses, setfl
from bad_inputs import GOOD, SCALED
from fuzz_inputs import anything, examples_file, npy_of, spoilt_bytes, spoilt_data, spoilt_npz
from study_cases import GLASS
from test_result import result
from vitrine.errors import InputError, MissingExtra
from vitrine.learn.neural import Perceptron
from vitrine.physics.configurations import read_configurations
from vitrine.physics.formulas import ALL_ELEMENTS, parse_formula, reduced_formula
from vitrine.physics.observation import Configuration, load_configuration, save_configuration
from vitrine.physics.setfl import check_setfl
from vitrine.samples import Examples, Samples
from vitrine.simulate.released import read_released
from vitrine.simulate.table import Table, read_formulas
from vitrine.study.bundle import load_model
from vitrine.study.overrides import apply_override
from vitrine.study.result import Result
from vitrine.study.spec import Study, load_study
from vitrine.study.yaml_reader import write_yaml

MANY = int(os.environ.get("VITRINE_FUZZ", "0"))
SECONDS, MEGABYTES = 20.0, 1000
"""What a single refusal may take at most, on a busy machine."""
Found = TypeVar("Found")


def fuzz(examples: int, most: int = 100_000) -> Callable[[Any], Any]:
    return settings(
        max_examples=min(MANY, most) or examples,
        derandomize=not MANY,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# ---------------------------------------------------------------- what must come of it


@pytest.fixture(autouse=True)
def _no_giant() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEGABYTES, f"{grown:.0f} MB were taken"


def read(reader: Callable[[], Found], name: str) -> Found | None:
    """What the reader gives; None where it refuses and names the file."""
    start = time.monotonic()
    try:
        return reader()
    except MissingExtra:
        return None
    except InputError as error:
        assert name in str(error), f"a refusal names the file: {error}"
        return None
    finally:
        assert time.monotonic() - start < SECONDS


def check_frames(frames: list[Atoms] | None) -> None:
    for atoms in frames or []:
        assert len(atoms) and np.isfinite(atoms.positions).all() and atoms.cell.volume > 0 and atoms.pbc.all()
        assert all(len(array) == len(atoms) for array in atoms.arrays.values())
        assert len(atoms.get_chemical_symbols()) == len(atoms)


def check_samples(samples: Samples | None) -> None:
    if samples is not None:
        assert len(set(samples.ids)) == len(samples.ids) == len(samples.items) > 0
        assert all(samples.groups)


# ---------------------------------------------------------------- formulas and tables

SYMBOLS = st.sampled_from(
    ["Fe", "O", "Cu", "H2O", "Xx", "(", ")", "2", "0.5", ".", "·", "*", " ", "-", "e9", "₂", "x"]
)


@fuzz(300)
@given(st.text(max_size=12) | st.lists(SYMBOLS, max_size=8).map("".join))
@example("Fe1e999")
@example("(" * 400 + "Fe" + ")" * 400)
@example("Fe(O" + "9" * 400 + ")")
def test_formulas(text: str) -> None:
    try:
        amounts = parse_formula(text)
    except MissingExtra:
        return
    except InputError as error:
        assert "formula" in str(error) or "two ways" in str(error)
        return
    assert amounts and set(amounts) <= set(ALL_ELEMENTS)
    assert all(0 < amount < np.inf for amount in amounts.values())
    reduced = reduced_formula(amounts)
    assert reduced_formula(parse_formula(reduced)) == reduced


def parquet() -> bytes:
    file = io.BytesIO()
    pd.read_csv(io.StringIO(GOOD)).assign(n=1).to_parquet(file)
    return file.getvalue()


PARQUET = parquet()
TABLES = {"a.csv": anything(GOOD), "a.csv.gz": spoilt_bytes(gzip.compress(GOOD.encode(), mtime=0))}


@fuzz(120)
@given(file=st.sampled_from(["a.csv", "a.csv.gz", "a.parquet"]), skip=st.booleans(), data=st.data())
def test_tables(file: str, skip: bool, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_bytes(data.draw(TABLES[file] if file in TABLES else spoilt_bytes(PARQUET)))
    samples = read(lambda: Table(table=str(path), target="e", skip_bad=skip).samples(), file)
    check_samples(samples)
    if samples is not None:
        assert np.isfinite(samples.items["target"]).all()
    formulas = read(lambda: read_formulas(path, skip_bad=skip), file)
    assert formulas is None or len(formulas)


# ---------------------------------------------------------------- configurations

DUMP = frame() + frame(columns="id type xs ys zs", box="xy xz yz pp pp pp\n0 12 2\n0 11 1\n0 10 0\n")
ELEMENTS = st.sampled_from([None, ["Cu", "Zr"], ["Cu"], ["X"]])


def check_file(tmp_path: Path, name: str, content: bytes, elements: list[str] | None) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused = elements is not None and set(elements) - set(ALL_ELEMENTS)
    check_frames(read(lambda: read_configurations(path, elements), "" if refused else name))


@fuzz(120)
@given(content=anything(DUMP), elements=ELEMENTS)
def test_dumps(content: bytes, elements: list[str] | None, tmp_path: Path) -> None:
    check_file(tmp_path, "a.dump", content, elements)


@fuzz(120)
@given(
    content=anything(
        XYZ + XYZ.replace("pos:R:3", "pos:R:3:energy:R:1:i:I:1:l:L:1").replace("\nCu", "\nCu 1 T 2")
    )
)
def test_extxyz(content: bytes, tmp_path: Path) -> None:
    check_file(tmp_path, "a.extxyz", content, None)


@fuzz(100)
@given(content=anything(DATA), elements=ELEMENTS)
def test_data_files(content: bytes, elements: list[str] | None, tmp_path: Path) -> None:
    check_file(tmp_path, "a.data", content, elements)


@fuzz(60)
@given(content=anything(CIF))
def test_cif(content: bytes, tmp_path: Path) -> None:
    check_file(tmp_path, "a.cif", content, None)


@fuzz(80)
@given(content=anything(POSCAR))
def test_poscar(content: bytes, tmp_path: Path) -> None:
    check_file(tmp_path, "POSCAR", content, None)


@fuzz(80)
@given(content=anything(setfl()), style=st.sampled_from(["eam/fs", "eam/alloy"]))
def test_potentials(content: bytes, style: str, tmp_path: Path) -> None:
    path = tmp_path / "my.eam.fs"
    path.write_bytes(content)
    read(lambda: check_setfl(path, style), path.name)


# ---------------------------------------------------------------- studies and results


@fuzz(120)
@given(content=anything(SCALED))
def test_study_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    study = read(lambda: load_study(str(path), "paper"), "")
    assert study is None or isinstance(study, Study)


KEYS = st.sampled_from(
    ["source", "models", "tracks", "gat", "0", "1", "kind", "specimens", "elements", "evaluation", "²", ""]
)
VALUES = st.sampled_from(
    ["3", "null", "[1", "{a: 1}", "*a", "!!python/name:os.system x", "table", ".nan", "[]", "=", "\0"]
)


def setting(keys: list[str], value: str) -> str:
    return ".".join(keys) + "=" + value


@fuzz(150)
@given(st.builds(setting, st.lists(KEYS, max_size=5), VALUES | st.text(max_size=9)) | st.text(max_size=20))
def test_overrides(text: str) -> None:
    data = copy.deepcopy(GLASS)
    try:
        apply_override(data, text)
    except InputError as error:
        assert "--set" in str(error)
    else:
        json.dumps(data)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("stored")
    result().write(folder)
    return json.loads((folder / "result.json").read_text())


@fuzz(150)
@given(data=st.data())
def test_results(stored: Any, data: st.DataObject, tmp_path: Path) -> None:
    text = json.dumps(data.draw(spoilt_data(stored))).encode()
    (tmp_path / "result.json").write_bytes(data.draw(st.just(text) | spoilt_bytes(text)))
    found = read(lambda: Result.read(tmp_path), "result.json")
    if found is not None:
        assert found.metrics()["rows"] is not None
        found.write(tmp_path / "again")
        assert Result.read(tmp_path / "again").metrics() == found.metrics()


# ---------------------------------------------------------------- arrays


@fuzz(150)
@given(data=st.data())
def test_examples(data: st.DataObject, tmp_path: Path) -> None:
    arrays = examples_file(tmp_path)
    path = tmp_path / "examples.npz"
    path.write_bytes(data.draw(spoilt_npz(arrays, path.read_bytes()) | st.just(npy_of(f"({10**12},)"))))
    found = read(lambda: Examples.load(tmp_path), path.name)
    if found is not None:
        n = found.n_rows
        assert len(found) == len(found.groups) and found.starts[0] == 0 and found.starts[-1] == n
        assert found.features.shape == (n, len(found.feature_labels)) and np.isfinite(found.features).all()
        assert len(found.owner) == n and found.select(range(len(found))).n_rows == n
        if found.edges is not None:
            assert found.edges.min(initial=0) >= 0 and found.edges.max(initial=0) < max(n, 1)


@fuzz(100)
@given(data=st.data())
def test_configurations_of_the_store(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "specimen.npz"
    types = np.array([1, 2, 1, 1])
    save_configuration(
        path, Configuration(np.ones((4, 3)), np.eye(3), types, np.zeros(4), np.zeros((4, 6)), 0.0)
    )
    with np.load(path) as file:
        arrays = dict(file)
    path.write_bytes(data.draw(spoilt_npz(arrays, path.read_bytes()) | st.just(npy_of(f"({10**12}, 3)"))))
    found = read(lambda: load_configuration(path), path.name)
    if found is not None:
        assert found.positions.shape == (len(found.types), 3) and np.isfinite(found.positions).all()
        assert found.cell.shape == (3, 3) and found.types.min() >= 1


@pytest.fixture(scope="module")
def set_of_glasses(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two small specimens: HDF5 with all that a released set has."""
    path = glasses(tmp_path_factory.mktemp("released"), specimens=1)
    with h5py.File(path, "r+") as file:
        (specimen,) = file["specimens"].values()
        for field in ("positions", "numbers", "energy", "stress"):
            few = specimen[field][:20]
            del specimen[field]
            specimen[field] = few
        for event in specimen["directions"].values():
            few = event["d2min"][:20]
            del event["d2min"]
            event["d2min"] = few
    small = io.BytesIO()
    with h5py.File(path) as file, h5py.File(small, "w") as packed:
        packed.attrs.update(file.attrs)
        file.copy("specimens", packed)
    return small.getvalue()


@fuzz(10, most=1000)  # each starts a process, because HDF5 does not survive all of them
@given(data=st.data())
def test_released_sets(set_of_glasses: bytes, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "my.h5"
    path.write_bytes(data.draw(spoilt_bytes(set_of_glasses) | st.binary(max_size=60)))
    samples = read(lambda: read_released(path), path.name)
    check_samples(samples)
    check_frames(None if samples is None else samples.items)


# ---------------------------------------------------------------- model folders

RECIPE: dict[str, Any] = {
    "format": 1,
    "vitrine": "0.1.0",
    "name": "mine",
    "study": "my-study",
    "scale": "smoke",
    "model": {"kind": "mlp", "widths": [4]},
    "label": {"kind": "column"},
    "representation": {"kind": "elemental-fractions", "elements": "all"},
    "feature_labels": ["x", "y"],
    "target": "value",
    "threshold": 0.5,
    "seed": 0,
    "source": {"target": "e"},
    "examples_sha256": "0",
}
"""Of the format without checksums, so that what is wrong reaches the readers behind them."""


@pytest.fixture(scope="module")
def model_files() -> dict[str, bytes]:
    """A small network, untrained."""
    from safetensors.torch import save

    state = Perceptron(widths=(4,)).network(2).state_dict()
    scaler = {"mean": [0.0, 0.0], "spread": [1.0, 1.0]}
    scaling = {"features": scaler, "target": {"mean": [0.0], "spread": [1.0]}, "facts": {}}
    files = {"scaling.json": json.dumps(scaling).encode(), "model.yaml": write_yaml(RECIPE).encode()}
    return files | {"weights.safetensors": save({name: array.contiguous() for name, array in state.items()})}


@fuzz(60)
@given(data=st.data())
def test_model_folders(model_files: dict[str, bytes], data: st.DataObject, tmp_path: Path) -> None:
    recipes = spoilt_data(RECIPE).map(lambda recipe: json.dumps(recipe).encode())
    other = {
        "model.yaml": recipes | anything(write_yaml(RECIPE)),
        "weights.safetensors": spoilt_bytes(model_files["weights.safetensors"]) | st.binary(max_size=60),
    }
    name = data.draw(st.sampled_from(sorted(other)))
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for file, content in (model_files | {name: data.draw(other[name])}).items():
        (folder / file).write_bytes(content)
    examples_file(tmp_path)
    found = read(lambda: load_model(folder), str(folder))
    if found is not None:
        examples = Examples.load(tmp_path)
        scores = read(lambda: found.predict(examples), str(folder))
        assert scores is None or scores.shape == (5,)
