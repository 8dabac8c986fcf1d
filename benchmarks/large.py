"""A million atoms predicted by a model on local features; a row for ``run.py``.

A logistic regression on the cheap features, trained on 8 released specimens; the configuration is one of them
repeated, its energies and stresses by LAMMPS, one direction of load.

python benchmarks/large.py FOLDER
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPEATS = (10, 10, 20)
STUDY = """
study: local
title: local features
source: {kind: released-glass, specimens: 8}
label: {kind: first-event}
representation: {kind: voronoi-graph, features: cheap}
tracks: [{split: {kind: grouped, folds: 3}}]
models: {logistic: {kind: logistic}}
main_model: logistic
evaluation: {metrics: [roc_auc], resamples: 50}
"""


def rows() -> Iterator[str]:
    """The line of the table."""
    from vitrine.simulate.released import find_released, read_released

    program = [sys.executable, "-m", "vitrine.cli.main"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "local.yaml").write_text(STUDY)
        store = ["--store", str(folder / "store")]
        subprocess.run(
            [*program, "run", str(folder / "local.yaml"), "--out", str(folder / "run"), *store], check=True
        )
        atoms = read_released(find_released("cu64zr36-n500"), 1).items[0].repeat(REPEATS)
        for name in list(atoms.arrays):
            if name not in ("numbers", "positions"):
                del atoms.arrays[name]
        atoms.info.clear()
        atoms.write(folder / "large.extxyz")
        model = str(folder / "run" / "models" / "logistic")
        done = subprocess.run(
            ["/usr/bin/time", "-v", *program, "predict", model, str(folder / "large.extxyz"),
             "--direction", "xy", "-o", str(folder / "out.extxyz"), *store],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        times = re.findall(r"(?:User|System) time \(seconds\): ([\d.]+)", done.stderr)
        seconds = sum(float(time) for time in times)
        found = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
        peak = float(found[1]) if found else float("nan")
        yield (
            f"| `vitrine predict`, a model on local features | {len(atoms):,} atoms | {seconds:.0f} | | "
            f"largest process {peak * 1024 / 2**30:.1f} GiB; within 24 GiB | |"
        )


if __name__ == "__main__":
    for line in rows():
        print(line)
