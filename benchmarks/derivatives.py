"""Soft modes and the response to shear of 10,000 atoms; rows for ``run.py``.

The configuration is the first released specimen, repeated to the size asked for: a minimum of the same
potential. Each measurement is a process of its own, so that its peak memory is its own.

python benchmarks/derivatives.py modes|response|arpack ATOMS
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

RUNS = 3
REPEATS = {2_000: (1, 2, 2), 10_000: (2, 2, 5)}


def specimen(atoms: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Tables of the potential, positions, cell and kinds."""
    from vitrine.physics.eam import read_eam
    from vitrine.physics.lammps import find_potential
    from vitrine.simulate.released import find_released, read_released

    found = read_released(find_released("cu64zr36-n500"), 1).items[0].repeat(REPEATS[atoms])
    tables = read_eam(find_potential("CuZr_mm.eam.fs"), smooth=True)
    kinds = np.array([tables.elements.index(symbol) for symbol in found.get_chemical_symbols()])
    return tables, found.positions, np.asarray(found.cell), kinds


def _modes(atoms: int) -> Callable[[], Any]:
    from vitrine.physics.modes import soft_modes

    given = specimen(atoms)
    return lambda: soft_modes(*given, fraction=0.01)


def _response(atoms: int) -> Callable[[], Any]:
    from vitrine.physics.response import shear_response

    given = specimen(atoms)
    return lambda: shear_response(*given)


def _arpack(atoms: int) -> Callable[[], Any]:
    """The same modes by scipy's eigsh on the same Hessian, as a sparse matrix."""
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import eigsh

    from vitrine.physics.eam import eam_state
    from vitrine.physics.hessian import Hessian

    hessian = Hessian(eam_state(*specimen(atoms)), mass_weighted=True)
    parts = []
    for start in range(0, 3 * atoms, 300):
        block = np.zeros((3 * atoms, min(300, 3 * atoms - start)))
        block[np.arange(start, start + block.shape[1]), np.arange(block.shape[1])] = 1
        parts.append(csr_array(hessian.columns(block).T))
    from scipy.sparse import vstack

    matrix = vstack(parts).tocsr()
    return lambda: eigsh(matrix, k=round(0.01 * 3 * atoms) + 3, which="SA", tol=1e-8)


def measure(what: str, atoms: int) -> dict[str, Any]:
    """CPU seconds of three runs (one of the peer) after one to warm up, and the peak memory in GB."""
    work = {"modes": _modes, "response": _response, "arpack": _arpack}[what](atoms)
    times = []
    for _ in range(RUNS if what != "arpack" else 1):
        if what != "arpack" and not times:
            work()
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return {"times": times, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def _apart(what: str, atoms: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, what, str(atoms)], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows() -> Iterator[str]:
    """Lines of the table."""
    for what, words, aim in (
        ("modes", "Softest 1 % of the modes", "at most 40 s and 1.2 GB"),
        ("response", "Response to shear, u' and u'', 3 planes", "at most 3 s"),
    ):
        ours = _apart(what, 10_000)
        times = ", ".join(f"{value:.2f}" for value in ours["times"])
        yield f"| {words} | 10,000 atoms | {times} | | {ours['memory']:.2f} GB; {aim} | |"
    ours, peer = _apart("modes", 2_000), _apart("arpack", 2_000)
    times = ", ".join(f"{value:.2f}" for value in ours["times"])
    ratio = peer["times"][0] / min(ours["times"])
    name = f"eigsh (ARPACK) of scipy {version('scipy')}, the Hessian given, one run"
    taken = f"{peer['times'][0]:.2f}"
    yield f"| Softest 1 % of the modes | 2,000 atoms | {times} | {taken} | {name} | {ratio:.1f} |"


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
