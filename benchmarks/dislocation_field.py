"""The complete field of N dislocations at each other, against the direct sum of rows; rows for ``run.py``.

python benchmarks/dislocation_field.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import time
from collections.abc import Callable, Iterator

import numpy as np

from vitrine.physics.elastic import Elastic
from vitrine.physics.strip import MODES
from vitrine.physics.strip_far import add_rows_far
from vitrine.physics.strip_kernels import (
    add_modes,
    add_rows,
    mode_coefficients,
    side_tractions,
    uniform_stress,
)

RUNS = 3
WIDTH, HEIGHT, CORE = 1000.0, 4000.0, 0.5
SIZES = (300, 3000, 10_000)


class Crystal:
    """Dislocations of either sign at random places on planes at 60 and 120 degrees, 1 x 4 um."""

    def __init__(self, n: int) -> None:
        random, elastic = np.random.default_rng(0), Elastic()
        self.x, self.y = random.random(n) * WIDTH, random.random(n) * HEIGHT
        angle = np.where(random.random(n) < 0.5, np.pi / 3, 2 * np.pi / 3)
        burgers = elastic.burgers * random.choice([-1.0, 1.0], n)
        self.b_y, self.axial = burgers * np.sin(angle), elastic.axial
        self.a, self.b = elastic.line * self.b_y / 2, -elastic.line * burgers * np.cos(angle) / 2

    def field(self, rows: Callable[..., None]) -> np.ndarray:
        """(n,) complex theta [MPa]: rows and images, what clears the far sides, and the uniform stress."""
        theta = np.zeros(len(self.x), complex)
        tractions, modes = np.zeros((2, MODES, 4))
        found, size = (self.x, self.y, self.a, self.b), (WIDTH, HEIGHT)
        rows(*found, self.x, self.y, *size, CORE, True, theta)
        side_tractions(*found, *size, tractions)
        mode_coefficients(tractions, *size, modes)
        add_modes(self.x, self.y, *size, modes, theta)
        theta += 0.5 * uniform_stress(self.x, self.b_y, *size, self.axial, 100.0)
        return theta


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


def row(n: int, unit: str, scale: float, digits: int, aim: str) -> str:
    """One line of the table: times in seconds times ``scale``."""
    crystal = Crystal(n)
    ours, direct = crystal.field(add_rows_far), crystal.field(add_rows)
    apart = float(abs(ours - direct).max())
    assert apart < 5e-3, f"fields differ by {apart:.1e} MPa"
    times = max(1, 2_000_000 // n**2)
    mine = seconds(lambda: crystal.field(add_rows_far), max(5, times))
    theirs = seconds(lambda: crystal.field(add_rows), times)
    shown = [", ".join(f"{scale * value:.{digits}f}" for value in found) for found in (mine, theirs)]
    return (
        f"| Complete field of dislocations, {unit} | {n:,} dislocations | {shown[0]} | {shown[1]} "
        f"| every pair summed, vitrine; at most {apart:.0e} MPa apart{aim} | {min(theirs) / min(mine):.1f} |"
    )


def rows() -> Iterator[str]:
    """Lines of the table: CPU nanoseconds a pair at 1,000 dislocations, milliseconds at other numbers."""
    yield row(1000, "ns a pair", 1e9 / 1000**2, 2, "; at most 4, aim 2")
    for n in SIZES:
        yield row(n, "ms", 1e3, 2, "")


if __name__ == "__main__":
    print("\n".join(rows()))
