"""Magpie attributes of formulas against matminer; rows for ``run.py``.

python benchmarks/magpie.py

Formulas are read from JARVIS and Matbench below ``VITRINE_DATA`` where it is set, and are random otherwise.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from vitrine.physics import formulas
from vitrine.physics.formulas import ELEMENTNET_86
from vitrine.physics.magpie import LABELS, magpie_attributes

RUNS, FORMULAS = 3, 5_000


def texts() -> tuple[str, list[str]]:
    """What they are, and this many different formulas."""
    rng = np.random.default_rng(0)
    folder = Path(os.environ.get("VITRINE_DATA", ""))
    files = (
        folder / "jarvis_comp" / "deltae_training_set.csv.gz",
        folder / "matbench_comp" / "matbench_expt_gap.json.bz2",
    )
    if "VITRINE_DATA" in os.environ and all(path.is_file() for path in files):
        jarvis = pd.read_csv(files[0], keep_default_na=False)["pretty_comp"]
        known = list(dict.fromkeys([*jarvis, *pd.read_json(files[1])["composition"]]))
        return "JARVIS and Matbench", [known[i] for i in rng.choice(len(known), FORMULAS, replace=False)]
    found: dict[str, None] = {}
    while len(found) < FORMULAS:
        size = rng.integers(2, 6)
        symbols, counts = rng.choice(ELEMENTNET_86, size, replace=False), rng.integers(1, 9, size)
        found["".join(f"{s}{n}" for s, n in zip(symbols, counts, strict=True))] = None
    return "random", list(found)


def seconds(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> list[float]:
    """CPU seconds of three runs, after one to warm up; ``before`` each is not counted."""
    found = []
    for _ in range(RUNS + 1):
        before()
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return found[1:]


def rows() -> Iterator[str]:
    """Lines of the table: CPU seconds of reading the formulas and of their attributes."""
    warnings.simplefilter("ignore")
    from matminer.featurizers.base import MultipleFeaturizer
    from matminer.featurizers.composition import (
        ElementProperty,
        IonProperty,
        Stoichiometry,
        ValenceOrbital,
    )
    from pymatgen.core import Composition

    source, found = texts()
    parts = [ElementProperty.from_preset("magpie"), Stoichiometry(), ValenceOrbital(props=["frac"])]
    every = MultipleFeaturizer([*parts, IonProperty(fast=True)])

    def peer() -> np.ndarray:
        return np.array([every.featurize(Composition(text)) for text in found], dtype=np.float64)

    wanted = peer()
    apart = float((np.abs(magpie_attributes(found) - wanted) / np.maximum(1.0, np.abs(wanted))).max())
    assert apart < 1e-9, f"they differ by {apart:.1e}"
    ours = seconds(lambda: magpie_attributes(found), formulas._parse.cache_clear)  # read anew each time
    theirs = seconds(peer)
    shown = [", ".join(f"{value:.3f}" for value in times) for times in (ours, theirs)]
    yield (
        f"| {len(LABELS)} Magpie attributes, formulas read | {FORMULAS:,} formulas, {source} | {shown[0]} "
        f"| {shown[1]} | matminer {version('matminer')}; at most {apart:.0e} apart; at least 80 "
        f"| {min(theirs) / min(ours):.0f} |"
    )


if __name__ == "__main__":
    print("\n".join(rows()))
