"""Inputs that are wrong: model folders, run folders and stores."""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write

from bad_inputs import TABLE_STUDY, Bad, Trained
from vitrine.study.model_format import RECIPE, sealed
from vitrine.study.yaml_reader import read_yaml, write_yaml

Spoil = Callable[[Path], object]

# ---------------------------------------------------------------- model folders


def glass(folder: Path) -> Atoms:
    """27 atoms with the fields of a configuration at its minimum, written to ``a.extxyz``."""
    random = np.random.default_rng(1)
    places = 3.0 * np.stack(np.meshgrid(*3 * [np.arange(3)], indexing="ij"), axis=-1).reshape(-1, 3)
    atoms = Atoms(9 * ["Cu", "Zr", "Cu"], places + random.normal(0, 0.2, (27, 3)), cell=[9, 9, 9], pbc=True)
    atoms.arrays["energy"], atoms.arrays["stress"] = random.normal(-4, 0.1, 27), random.normal(0, 1, (27, 6))
    write(folder / "a.extxyz", atoms)
    return atoms


def seal(model: Path) -> None:
    """Checksums as if the folder had been written so: what is wrong is then met by its reader."""
    recipe = read_yaml((model / RECIPE).read_text())
    (model / RECIPE).write_text(write_yaml(sealed(recipe, model)))


def model(name: str, of: str, says: str, spoil: Spoil = lambda folder: None, command: str = "") -> Bad:
    """``of`` is ``shear/logistic`` and the like; ``spoil`` gets the copy of the model folder."""
    run, kind = of.split("/")

    def make(folder: Path, trained: Trained) -> None:
        shutil.copytree(trained(f"{run}_run") / "models" / kind, folder / "model")
        glass(folder)
        spoil(folder / "model")

    default = "predict model a.extxyz --direction xy" if run == "shear" else "predict model a.csv"
    return Bad(f"model: {name}", command or default, says, {"a.csv": "formula\nCuAu\n"}, make)


def text(name: str, content: str | bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def swap(name: str, old: str, new: str) -> Spoil:
    """Another text in a file, its checksum made good."""

    def change(folder: Path) -> None:
        content = (folder / name).read_text()
        assert old in content
        (folder / name).write_text(content.replace(old, new, 1))
        seal(folder)

    return change


def both(*spoils: Spoil) -> Spoil:
    def change(folder: Path) -> None:
        for spoil in spoils:
            spoil(folder)

    return change


def weights(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        arrays = load_file(folder / "weights.safetensors")
        change(arrays)
        save_file(arrays, folder / "weights.safetensors")
        seal(folder)

    return spoil


class Stranger:
    """A type of nobody's."""


def estimator(found: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        from skops.io import dump

        dump(found, folder / "model.skops")
        seal(folder)

    return spoil


def atoms(change: Callable[[Atoms], object]) -> Spoil:
    """The model is sound, the file is not."""

    def spoil(folder: Path) -> None:
        found = glass(folder.parent)
        change(found)
        write(folder.parent / "a.extxyz", found)

    return spoil


_PREDICT = "predict model a.extxyz"
MODELS = [
    Bad("model: no such folder", "predict model a.csv", "model", {"a.csv": "formula\nCu\n"}),
    Bad("model: a file", "predict model a.csv", "model is a file, not a model folder; give the folder that holds model.yaml", {"a.csv": "formula\nCu\n", "model": ""}),
    model("no model.yaml", "shear/logistic", "model is not a model folder: it holds no model.yaml", lambda f: (f / RECIPE).unlink()),
    model("an empty model.yaml", "shear/logistic", "model/model.yaml is not a recipe written by vitrine", text(RECIPE, "")),
    model("a list for model.yaml", "shear/logistic", "model/model.yaml is not a recipe written by vitrine", text(RECIPE, "[1]")),
    model("model.yaml not YAML", "shear/logistic", "model/model.yaml is not a recipe written by vitrine ... line 1", text(RECIPE, "format: [1")),
    model("model.yaml binary", "shear/logistic", "model/model.yaml is not a recipe written by vitrine", text(RECIPE, b"\xff\x00")),
    model("another format", "shear/logistic", "model/model.yaml: model folder format 99 ... use the version that wrote it", swap(RECIPE, "format: ", "format: 99 #")),
    model("format in words", "shear/logistic", "model/model.yaml is not a recipe ... 'one', not a number", swap(RECIPE, "format: ", "format: one #")),
    model("an object of Python", "shear/logistic", "model/model.yaml ... not of plain data", text(RECIPE, "format: !!python/object/apply:os.system ['true']")),
    model("an unknown model", "shear/logistic", "model/model.yaml: model.kind: no model ... did you mean 'logistic'?", swap(RECIPE, "kind: logistic", "kind: logistik")),
    model("an unknown representation", "shear/logistic", "model/model.yaml: representation.kind: no representation ... 'voronoi-graph'?", swap(RECIPE, "kind: voronoi-graph", "kind: voronoi")),
    model("an unknown key", "shear/logistic", "model/model.yaml: model.pnalty: no such key; did you mean 'penalty'?", swap(RECIPE, "penalty:", "pnalty:")),
    model("a changed model.yaml", "shear/logistic", "model/model.yaml", lambda f: (f / RECIPE).write_text((f / RECIPE).read_text().replace("penalty: 1.0", "penalty: 2.0"))),
    model("no weights", "shear/gat", "weights.safetensors", lambda f: (f / "weights.safetensors").unlink()),
    model("weights cut short", "shear/gat", "weights.safetensors", lambda f: (f / "weights.safetensors").write_bytes((f / "weights.safetensors").read_bytes()[:300])),
    model("weights of another shape", "shear/gat", "model holds no readable gat network", weights(lambda a: a.update({min(a): np.zeros((3, 3), np.float32)}))),
    model("weights of other names", "shear/gat", "model holds no readable gat network", weights(lambda a: a.update(x=a.pop(min(a))))),
    model("a head of 10^15 bytes", "shear/gat", "model holds no readable gat network", both(text("weights.safetensors", (10**15).to_bytes(8, "little") + b"{}"), seal)),
    model("scaling broken", "shear/gat", "scaling.json", text("scaling.json", "{")),
    model("scaling that is a list", "shear/gat", "model holds no readable gat network", both(text("scaling.json", "[]"), seal)),
    model("an estimator of a strange type", "shear/logistic", "model/model.skops holds types that are not loaded ... Stranger", estimator(Stranger())),
    model("a function for an estimator", "shear/logistic", "model/model.skops holds types that are not loaded", estimator(shutil.rmtree)),
    model("a pickle for an estimator", "shear/logistic", "model/model.skops is not a scikit-learn model written by vitrine", both(text("model.skops", b"\x80\x04\x95\x10\x00"), seal)),
    model("of glasses for a table", "shear/logistic", "a.csv: the model logistic of shear-transformation needs a configuration of atoms", command="predict model a.csv"),
    model("of tables for a glass", "alloy/ridge", "a.extxyz: the model ridge of branched-composition needs a table of formulas (.csv)", command=_PREDICT),
    model("an unknown direction", "shear/logistic", "--direction: no shear direction 'ab'; known: -xy, -xz", command=f"{_PREDICT} --direction ab"),
    model("no such configuration", "shear/logistic", "b.extxyz: no such file", command="predict model b.extxyz"),
    model("foreign elements", "shear/logistic", "a.extxyz, frame 1 ... holds Al, but this representation knows Cu, Zr", atoms(lambda a: a.symbols.__setitem__(3, "Al"))),
    model("an energy that is no number", "shear/logistic", "a.extxyz, frame 1 ... energy [eV] of atom 4 is not a finite number", atoms(lambda a: a.arrays["energy"].__setitem__(3, np.nan))),
    model("an energy beyond all bounds", "shear/gat", "a.extxyz, frame 1 ... energy [eV] of atom 4 is not a finite number", atoms(lambda a: a.arrays["energy"].__setitem__(3, 1e300))),
    model("stresses of five columns", "shear/logistic", "a.extxyz, frame 1 ... stress has the shape (27, 5); it needs six columns", atoms(lambda a: a.arrays.update(stress=a.arrays["stress"][:, :5]))),
    model("two atoms in one place", "shear/logistic", "a.extxyz, frame 1 ... atoms 1 and 4 are in one place", atoms(lambda a: a.positions.__setitem__(3, a.positions[0]))),
    model("no energies and no potential", "shear/logistic", "a.extxyz, frame 1", both(atoms(lambda a: a.arrays.pop("energy")), swap(RECIPE, "potential: CuZr", "ptential: CuZr"))),
    model("no such potential", "shear/logistic", "my.eam.fs ... give the path of an eam/fs or eam/alloy file", atoms(lambda a: a.arrays.pop("energy")), f"{_PREDICT} --potential my.eam.fs"),
    model("a formula that is none", "alloy/ridge", "a.csv ... row 1: 'Xx2' is not a formula: 'Xx' is not an element", lambda f: (f.parent / "a.csv").write_text("formula\nXx2\n")),
    model("no such column", "alloy/ridge", "a.csv: no column 'formla' (source.formula); did you mean 'formula'?", command="predict model a.csv --formula formla"),
    model("a list of elements too short", "alloy/mlp", "118 ... 86", swap(RECIPE, "elements: all", "elements: elemnet")),
]  # fmt: skip

# ---------------------------------------------------------------- run folders


def run(name: str, says: str, spoil: Spoil, of: str = "shear") -> Bad:
    def make(folder: Path, trained: Trained) -> None:
        (folder / "run").mkdir()
        shutil.copyfile(trained(f"{of}_run") / "result.json", folder / "run" / "result.json")
        spoil(folder / "run")

    return Bad(f"run: {name}", "report run", says, make=make)


def result(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        found = json.loads((folder / "result.json").read_text())
        change(found)
        (folder / "result.json").write_text(json.dumps(found))

    return spoil


def figure(kind: str, **change: Any) -> Spoil:
    return result(lambda found: next(f for f in found["figures"] if f["kind"] == kind).update(change))


_NOT = "run/result.json is not a result of this version of vitrine"
RUNS = [
    Bad("run: no such folder", "report run", "run is not a run folder: it holds no result.json; a run folder is what `vitrine run` wrote"),
    Bad("run: a file", "report run", "run is not a run folder: it holds no result.json", {"run": "x"}),
    Bad("run: an empty folder", "report run", "run is not a run folder: it holds no result.json", {"run/log.txt": ""}),
    run("not JSON", _NOT, text("result.json", "{")),
    run("empty", _NOT, text("result.json", "")),
    run("binary", _NOT, text("result.json", b"\xff\x00")),
    run("a list", f"{_NOT} ... should be a mapping", text("result.json", "[]")),
    run("deep nesting", _NOT, text("result.json", "[" * 100_000)),
    run("a key missing", f"{_NOT}: version", result(lambda found: found.pop("version"))),
    run("no rows", f"{_NOT}: it holds no rows", result(lambda found: found.pop("rows"))),
    run("a key of another version", f"{_NOT}: it holds 'film', which this version does not know", result(lambda found: found.update(film=1))),
    run("a number for a title", f"{_NOT}: title: Input should be a valid string, got '5'", result(lambda found: found.update(title=5))),
    run("a word for a value", f"{_NOT}: rows.0.value: Input should be a valid number", result(lambda found: found["rows"][0].update(value="high"))),
    run("notes that are a number", f"{_NOT}: notes: Input should be a valid list", result(lambda found: found.update(notes=5))),
    run("an unknown figure", f"{_NOT}: figures.0: a figure of the unknown kind 'film'; known: curves, scatter, atoms", result(lambda found: found["figures"][0].update(kind="film"))),
    run("a curve of words", f"{_NOT}: figures. ... Input should be a valid number", figure("curves", curves=[{"label": "a", "x": ["a"], "y": [1]}])),
    run("a curve of unlike lengths", "curve 'a': x has 1, y has 2 numbers", figure("curves", curves=[{"label": "a", "x": [1], "y": [1, 2]}])),
    run("a range of three", f"{_NOT}: figures. ... x_range", figure("curves", x_range=[1, 2, 3])),
    run("positions in a plane", f"{_NOT}: figures. ... positions.0.2: Field required", figure("atoms", positions=[[1, 2]])),
    run("a scene without values", f"{_NOT}: figures. ... scenes.0.values: Field required", figure("atoms", scenes=[{"label": "a"}])),
    run("a panel without numbers", f"{_NOT}: figures. ... panels.0.x: Field required", figure("scatter", panels=[{"label": "a"}]), "alloy"),
    run("a file where figures go", "run/figures ... move away what is in its place", text("figures", "x")),
]  # fmt: skip

# ---------------------------------------------------------------- stores


def store(name: str, command: str, says: str, **contents: str) -> Bad:
    formulas = ("FeO", "NiO", "CoO", "MgO", "CaO", "SrO")
    table = "formula,e\n" + "".join(f"{formula},{number}\n" for number, formula in enumerate(formulas))
    files = {"my.yaml": TABLE_STUDY, "a.csv": table}
    return Bad(f"store: {name}", command, says, files | {key.replace("__", "/"): "x" for key in contents})


_ROOM = "cannot write to the store ... set VITRINE_STORE or --store to a folder"
STORES = [
    store("a file", "run my.yaml", f"{_ROOM} ... ", store=""),
    store("a file named by --store", "run my.yaml --store a.csv", f"{_ROOM} ... "),
    store("below a file", "run my.yaml --store a.csv/x", f"{_ROOM} ... "),
    store("a file for its entries", "run my.yaml", f"{_ROOM} ... ", store__entries=""),
    store("a file for unfinished work", "run my.yaml", f"{_ROOM} ... ", store__partial=""),
    store("a file for its locks", "run my.yaml", f"{_ROOM} ... ", store__locks=""),
    store("listing a file", "store list --store a.csv", "a.csv is a file; a store is a folder"),
    store("sizing a file", "store size --store a.csv", "a.csv is a file; a store is a folder"),
    store("pruning a file", "store prune --store a.csv", "a.csv"),
    store("pruning nothing", "store prune --store nowhere", "there is no store at ... nowhere"),
    store("a file in place of the run folder", "run my.yaml --out a.csv", "--out a.csv: File exists; give a folder that may be written to"),
    store("a run folder below a file", "run my.yaml --out a.csv/x", "--out a.csv/x: Not a directory; give a folder"),
    store("a file where models go", "run my.yaml --out out", "--out out: models is a file there, where a run needs a folder; move it away", out__models=""),
    store("a folder where the log goes", "run my.yaml --out out", "--out out: metrics.json is a folder there, where a run writes a file", **{"out__metrics.json__x": ""}),
]  # fmt: skip
