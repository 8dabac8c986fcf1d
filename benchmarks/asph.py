"""Persistent homology of crystals, against GUDHI's Rips and alpha complexes as they come; for ``run.py``.

python benchmarks/asph.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version

import gudhi
import numpy as np

from vitrine.physics.barcodes import Cloud, barcode, homology_features, site_clouds

RUNS, CUTOFF = 3, 8.0
SITES = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
SPECIES = ("Ca", "Ti", "O", "O", "O")


def crystals(number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cells [Å] and fractional coordinates of perovskites of several sizes, a little distorted."""
    random = np.random.default_rng(0)
    return [
        (np.eye(3) * random.uniform(3.8, 4.4), SITES + random.normal(0.0, 0.01, SITES.shape))
        for _ in range(number)
    ]


def seconds(work: Callable[[], object]) -> list[float]:
    """CPU seconds of three runs, after one to warm up."""
    work()
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return found


def rips(cloud: Cloud) -> list[np.ndarray]:
    """The peer: bars of dimension 0, 1, 2 of the Vietoris-Rips complex up to the cut-off, as in the paper."""
    tree = gudhi.RipsComplex(points=cloud.points, max_edge_length=CUTOFF).create_simplex_tree(max_dimension=3)
    tree.compute_persistence()
    return [tree.persistence_intervals_in_dimension(dimension) for dimension in range(3)]


def exact(cloud: Cloud) -> list[np.ndarray]:
    """Another peer: alpha complexes of gudhi as they come, by exact predicates and lazily exact numbers."""
    tree = gudhi.AlphaComplex(points=cloud.points, precision="safe").create_simplex_tree(CUTOFF**2 / 4)
    tree.compute_persistence()
    return [tree.persistence_intervals_in_dimension(dimension) for dimension in range(3)]


def line(what: str, size: str, ours: list[float], peer: list[float], name: str) -> str:
    """A row of the table, in milliseconds."""
    shown = [", ".join(f"{1000 * value:.1f}" for value in times) for times in (ours, peer)]
    return f"| {what} | {size} | {shown[0]} | {shown[1]} | {name} | {min(peer) / min(ours):.1f} |"


def rows() -> Iterator[str]:
    """Lines of the table: features of crystals, and barcodes of their clouds."""
    many = crystals(20)
    whole = seconds(lambda: [homology_features(cell, SPECIES, frac) for cell, frac in many])
    shown = ", ".join(f"{value:.2f}" for value in whole)
    per_second = len(many) / min(whole)
    yield (
        f"| ASPH features | {len(many)} perovskites of 5 sites | {shown} | | {per_second:.0f} crystals per "
        "second, cut-off 8 Å | |"
    )
    name = f"GUDHI {version('gudhi')}"
    cell, frac = many[0]
    clouds = list(site_clouds(cell, SPECIES, frac, CUTOFF))
    ideal = list(site_clouds(cell @ turned(), SPECIES, SITES, CUTOFF))
    for what, some, peer, whose in (
        ("Barcodes of a distorted perovskite, ms", clouds, rips, f"{name}, Rips complexes"),
        ("Barcodes of an ideal perovskite, ms", ideal, exact, f"{name}, alpha complexes, precision safe"),
    ):
        points = sum(len(cloud.points) for cloud in some)
        ours = seconds(lambda some=some: [barcode(c.points, c.births, CUTOFF) for c in some])
        theirs = seconds(lambda some=some, peer=peer: [peer(cloud) for cloud in some])
        yield line(what, f"{len(some)} clouds, {points} points", ours, theirs, whose)


def turned() -> np.ndarray:
    """(3, 3) rotation about a skew axis."""
    q, r = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


if __name__ == "__main__":
    print("\n".join(rows()))
