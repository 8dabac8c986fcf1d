"""Inputs that are wrong: configurations in a plane, and studies of liquids and glasses."""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bad_inputs import Bad, Content, Trained
from vitrine.study.yaml_reader import write_yaml

STUDY: dict[str, Any] = {
    "study": "my-phases",
    "title": "Mine",
    "source": {"kind": "configurations", "files": ["*.xyz"]},
    "label": {"kind": "sample-class"},
    "representation": {"kind": "structural-metrics"},
    "tracks": [{"split": {"kind": "grouped", "folds": 2}}],
    "models": {"logistic": {"kind": "logistic"}},
    "main_model": "logistic",
    "evaluation": {"metrics": ["roc_auc"]},
}


def xyz(phase: str = "glass", n: int = 16, depth: float = 0.0, seed: int = 0, symbols: str = "NiNiP") -> str:
    """A frame of particles in a plane of edge 8, or of this depth."""
    random = np.random.default_rng(seed)
    names = ["Ni" if i % 3 else "P" for i in range(n)] if symbols == "NiNiP" else [symbols] * n
    places = random.uniform(0, 8, (n, 3)) * [1, 1, depth / 8]
    rows = "".join(f"{name} {x:.6f} {y:.6f} {z:.6f}\n" for name, (x, y, z) in zip(names, places, strict=True))
    info = f"phase={phase}" if phase else ""
    pbc = "T T T" if depth else "T T F"
    return f'{n}\nLattice="8 0 0 0 8 0 0 0 {depth or 1:g}" Properties=species:S:1:pos:R:3 pbc="{pbc}" {info}\n{rows}'


def four(**changed: str) -> dict[str, Content]:
    """Two liquids and two glasses, some of them others."""
    files = {
        f"{name}.xyz": xyz("liquid" if name in "ab" else "glass", seed=i) for i, name in enumerate("abcd")
    }
    return {**files, **{f"{name}.xyz": text for name, text in changed.items()}}


def own(name: str, says: str, files: dict[str, Content], *flags: str, **settings: Any) -> Bad:
    study = {**STUDY, **settings}
    command = " ".join(["run my.yaml --workers 0", *flags])
    return Bad(f"plane: {name}", command, says, {"my.yaml": write_yaml(study), **files})


def shipped(name: str, says: str, *flags: str) -> Bad:
    words = " ".join(f"--set {flag}" for flag in flags)
    return Bad(f"plane: {name}", f"run liquid-glass --scale smoke --workers 0 {words}", says)


def _model(folder: Path, trained: Trained) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / "models").symlink_to(trained("liquid_run") / "models")


def predicted(name: str, model: str, content: Content, says: str, *flags: str) -> Bad:
    command = " ".join([f"predict runs/models/{model} a.xyz", *flags])
    return Bad(f"plane: {name}", command, says, {"a.xyz": content}, make=_model)


IMAGE = {"kind": "particle-image", "pixels": 32}
CNN = {"models": {"cnn": {"kind": "cnn-pooled"}}, "main_model": "cnn", "representation": IMAGE}
PLANES = [
    own("a file in three dimensions", "a-1 spans ... in z; the study of 2-D configurations needs all particles in one plane", four(a=xyz("liquid", depth=8.0))),
    own("unequal particle numbers of the classes", "particle", four(a=xyz("liquid", n=15), b=xyz("liquid", n=15, seed=9))),
    own("unequal particle numbers in images", "unequal particle numbers", four(d=xyz("glass", n=19), b=xyz("liquid", n=19)), **CNN),
    own("one class missing", "the labels hold one class only ... phase is 'liquid' in 4 ... label.positive is 'glass'", four(c=xyz("liquid", seed=7), d=xyz("liquid", seed=8))),
    own("a frame that does not say its class", "c-1 does not say its phase (label.field)", four(c=xyz(""))),
    own("another word for the class", "the labels hold one class only ... label.positive is 'glas'; did you mean 'glass'?", four(), "--set label.positive=glas"),
    own("fewer trajectories than folds", "9 folds by group need at least 9 groups, but there are 4", four(), "--set tracks.0.split.folds=9"),
    own("another species", "holds Cu, but its species should be Ni and P", four(a=xyz("liquid", symbols="Cu"))),
    own("letters for species", "a.xyz, line 4: 'A' is no chemical symbol ... Ni and P", four(a=xyz("liquid").replace("\nNi ", "\nA ").replace("\nP ", "\nB "))),
    own("no such attribute", "have no attribute 'inherent_energy'", four(), representation={"kind": "sample-attributes", "attributes": ["inherent_energy"]}),
    own("a radius beyond the box", "r_max", four(), representation={"kind": "pair-correlation", "r_max": 6.0}),
    shipped("energies that cannot be matched", "only ... pairs of ... liquids ... glasses ... match_energy", "tracks.2.changes.match_energy=1e-9"),
    shipped("fewer released trajectories than folds", "500 folds by group need at least 500 groups", "tracks.0.split.folds=500"),
    shipped("no such state", "tracks.inherent_matched.changes.state: Input should be 'thermal', 'rethermalised', 'inherent' or 'cooling', got 'melted'", "tracks.2.changes.state=melted"),
    shipped("a change that the source does not know", "tracks.thermal.changes.temperatur: no such key", "tracks.0.changes.temperatur=2"),
    shipped("no such released set", "no file and no released set 'lj65'", "source.name=lj65"),
    shipped("an explanation of a model that has nothing to show", "'bond-attention' explains models of whole-graphs, not of images", "explanations.0.model=cnn_pooled"),
    predicted("a prediction in three dimensions", "mpnn", xyz(depth=8.0, n=200), "a.xyz, frame 1 spans ... in z"),
    predicted("a prediction of other species", "mpnn", xyz(symbols="Cu", n=200), "holds Cu"),
    predicted("an energy that is not known", "inherent_energy", xyz(n=60), "the model looks at the energy of the minimum: use --relax"),
    Bad("plane: a box too small for the potential", "simulate lennard-jones-2d -o x.h5 --workers 0 --particles 20", "particles: 20 make a box ... twice the cut-off"),
    Bad("plane: a glass hotter than its liquid", "simulate lennard-jones-2d -o x.h5 --workers 0 --glass-temperature 3", "glass_temperature must be below"),
]  # fmt: skip
