"""Inputs that are wrong: strain maps for a trained model, and settings of prior-strain."""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bad_inputs import Bad, Content, Trained

VIC = '"x [mm]","y [mm]","exx [1]","eyy [1]","exy [1]"\n'


def npy(values: object) -> bytes:
    """An .npy file."""
    file = io.BytesIO()
    np.save(file, np.asarray(values, np.float64))
    return file.getvalue()


def _models(folder: Path, trained: Trained) -> None:
    shutil.copytree(trained("strain_run") / "models/resnet", folder / "resnet")


def _other_models(folder: Path, trained: Trained) -> None:
    shutil.copytree(trained("alloy_run") / "models/mlp", folder / "mlp")


def predicted(name: str, flags: str, says: str, files: Mapping[str, Content]) -> Bad:
    """A file that is given to the network of prior-strain."""
    return Bad(f"map: {name}", f"predict resnet {next(iter(files), 'map.npy')} {flags}", says, files, _models)


def setting(words: str, says: str) -> Bad:
    return Bad(f"strain: {words}", f"run prior-strain --scale smoke --workers 0 {words}", says)


GOOD = npy(np.full((40, 10), 0.001))
AT = "--axis y --pitch 2nm"
MAPS = [
    predicted("not there", AT, "map.npy", {}),
    predicted("empty", AT, "map.npy", {"map.npy": b""}),
    predicted("no axis", "--pitch 2nm", "map.npy ... --axis", {"map.npy": GOOD}),
    predicted("no pitch", "--axis y", "map.npy ... the pitch is unknown ... --pitch", {"map.npy": GOOD}),
    predicted("a pitch without a unit", "--axis y --pitch 2", "--pitch", {"map.npy": GOOD}),
    predicted("another axis", "--axis z --pitch 2nm", "--axis: no 'z'; known: x, y", {"map.npy": GOOD}),
    predicted("another unit", f"{AT} --unit permille", "--unit: no 'permille'", {"map.npy": GOOD}),
    predicted("reload of nothing", f"{AT} --reload 0", "--reload: expected a strain in % above 0, not 0", {"map.npy": GOOD}),
    predicted("one pixel", AT, "map.npy", {"map.npy": npy([[0.001]])}),
    predicted("nothing but holes", AT, "map.npy", {"map.npy": npy(np.full((40, 10), np.nan))}),
    predicted("infinite", AT, "map.npy", {"map.npy": npy(np.full((40, 10), np.inf))}),
    predicted("in percent", AT, "map.npy ... percent", {"map.npy": npy(np.full((40, 10), 1.0))}),
    predicted("missing columns", AT, "vic.csv", {"vic.csv": '"x [mm]","y [mm]","u [mm]"\n1,2,3\n'}),
    predicted("a word in a grid", AT, "grid.csv", {"grid.csv": "0.1,0.2\n0.1,abc\n"}),
    predicted("ragged", AT, "grid.csv", {"grid.csv": "0.1,0.2,0.3\n0.1,0.2\n"}),
    predicted("unknown format", AT, "map.xyz", {"map.xyz": "1\n"}),
    predicted("another reference", f"{AT} --reference other.npy", "other.npy", {"map.npy": GOOD, "other.npy": npy(np.zeros((3, 3)))}),
    Bad("map: for a model of formulas", "predict mlp table.csv --axis y", "--axis: the model mlp of branched-composition takes no strain maps", {"table.csv": "formula\nNi3Al\n"}, _other_models),
    setting("--set source.drawn=-1", "source.drawn: Input should be greater than or equal to 0"),
    setting("--set source.maps=some", "source.maps: Input should be 'all', 'shared' or 'drawn'"),
    setting("--set label.classes=[1,0.1]", "label.classes: expected rising strains, each once, got [1, 0.1]"),
    setting("--set representation.high=-1", "representation: low: -0.01 must be below high, -1"),
    setting("--set representation.crop=500", "representation: sides: 32 must be at least the crop, 500"),
    setting("--set representation.blurr=3", "representation.blurr: no such key; did you mean 'blur'?"),
    setting("--set models.ensemble.of=[resnet]", "models.ensemble.of: Tuple should have at least 2 items"),
    setting("--set models.ensemble.of=[resnet,nobody]", "models.ensemble.of: no model 'nobody'"),
    setting("--set evaluation.metrics=[accuracy]", "evaluation.metrics: none fits a target of kind 'value'"),
    setting("--set evaluation.subsets=[[widht]]", "evaluation.subsets: the samples have no attribute 'widht'; did you mean 'width'?"),
    setting("--set tracks.0.split.test=1", "tracks.0.split.test: Input should be less than 1"),
]  # fmt: skip
