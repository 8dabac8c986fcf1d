"""Two-point statistics of a strain map by Fourier transforms, against the direct sum; rows for ``run.py``.

python benchmarks/two_point.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import time
from collections.abc import Callable, Iterator

import numpy as np
from numba import njit

from vitrine.physics.resample import area_resize
from vitrine.physics.two_point import independent, two_point_statistics
from vitrine.represent.two_point import TwoPoint

RUNS, MAPS = 3, 20
PART = TwoPoint()
SIZES = ((124, 31), (1000, 250))
"""rows and columns of maps of crystals of 62.5 and 500 nm"""


@njit(fastmath=True)
def pair_sums(values, most):  # type: ignore[no-untyped-def]
    """(most + 1, 2 most + 1) sums over all pairs of pixels of each shift of the half plane, one by one."""
    rows, cols = values.shape
    found = np.empty((most + 1, 2 * most + 1))
    for i in range(most + 1):
        for j in range(-most, most + 1):
            first, last = max(0, -j), min(cols, cols - j)
            total = 0.0
            for row in range(rows - i):
                here, there = values[row, first:last], values[row + i, first + j : last + j]
                for col in range(last - first):
                    total += here[col] * there[col]
            found[i, most + j] = total
    return found


def two_point_direct(values: np.ndarray, most: int) -> np.ndarray:
    """The peer: no Fourier transform, and pairs are only counted where pixels are missing."""
    there = np.isfinite(values)
    if not there.all():
        return pair_sums(np.where(there, values, 0), most) / pair_sums(there.astype(np.float64), most)
    along = values.shape[0] - np.arange(most + 1)
    across = values.shape[1] - np.abs(np.arange(-most, most + 1))
    return pair_sums(values, most) / np.outer(along, across)


def seconds(work: Callable[[], object], times: int) -> list[float]:
    """CPU seconds of ``work`` in three runs of so many ``times``, after one to warm up."""
    work()
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - start) / times)
    return found


def grid(missing: float) -> np.ndarray:
    """(rows, columns) random numbers of mean 0, this share of them missing."""
    random = np.random.default_rng(0)
    values = random.normal(size=(PART.rows, PART.columns))
    values[random.random(values.shape) < missing] = np.nan
    return values


def row(what: str, missing: float) -> str:
    """One line of the table: CPU milliseconds of one map on the grid of the part."""
    values = grid(missing)

    def ours() -> np.ndarray:
        return two_point_statistics(values, most_rows=PART.cut, most_cols=PART.cut)

    def direct() -> np.ndarray:
        return two_point_direct(values, PART.cut)

    apart = float(np.abs(independent(ours()) - independent(direct())).max())
    assert apart < 1e-10, f"they differ by {apart:.1e} of the variance"
    mine, theirs = seconds(ours, MAPS), seconds(direct, 3)
    shown = [", ".join(f"{1000 * value:.2f}" for value in found) for found in (mine, theirs)]
    return (
        f"| Two-point statistics{what}, ms | {PART.rows} x {PART.columns} pixels, cut {PART.cut} "
        f"| {shown[0]} | {shown[1]} | every pair summed, numba; at most {apart:.0e} of the variance apart "
        f"| {min(theirs) / min(mine):.0f} |"
    )


def rows() -> Iterator[str]:
    """Lines of the table: CPU milliseconds of one map."""
    yield row("", 0.0)
    yield row(", 10 % missing", 0.1)
    for size in SIZES:
        values = np.random.default_rng(0).normal(size=size).astype(np.float32)
        found = seconds(lambda values=values: area_resize(values, PART.rows, PART.columns), MAPS)
        shown = ", ".join(f"{1000 * value:.2f}" for value in found)
        yield (
            f"| Map resized to {PART.rows} x {PART.columns}, ms | {size[0]:,} x {size[1]} pixels | {shown} | "
            "| aim: below 5 | |"
        )


if __name__ == "__main__":
    print("\n".join(rows()))
