"""Which GPUs there are, and which worker gets which. Imports nothing heavy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"
"""what CUDA reads, see https://docs.nvidia.com/cuda/cuda-c-programming-guide/#env-vars"""
RESOURCE = "gpu"
"""Dask's name for what a worker with a GPU has"""

_DEVICE = re.compile(r"[0-9]+|(?:GPU|MIG)-[0-9A-Za-z/-]+")
_LISTED = re.compile(r"^(\s*)(?:GPU|MIG) .*\(UUID: ((?:GPU|MIG)-[0-9A-Za-z/-]+)\)\s*$")
_TIMEOUT = 20.0
"""seconds to wait for nvidia-smi, which may have to wake the driver"""


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` knows them.

    That variable, if it is set, is obeyed as CUDA obeys it: up to the first name that is none. Else
    nvidia-smi is asked, or the driver's folder looked at.
    """
    own = environment.get(VARIABLE)
    if own is not None:
        return _up_to_the_first_wrong(own.split(","))
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is not None:
        try:
            listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired):
            return []
        return listed_gpus(listed.stdout) if listed.returncode == 0 else []
    try:
        return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").iterdir())]
    except OSError:
        return []


def _up_to_the_first_wrong(names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        if not _DEVICE.fullmatch(name.strip()):
            break
        found.append(name.strip())
    return found


def listed_gpus(text: str) -> list[str]:
    """UUIDs in the output of ``nvidia-smi -L``; of a GPU that is cut into MIG slices, the slices.

    >>> listed_gpus("GPU 0: NVIDIA A100 (UUID: GPU-5d5b)\\n  MIG 3g.20gb Device 0: (UUID: MIG-c6d4)")
    ['MIG-c6d4']
    """
    found: list[str] = []
    for line in text.splitlines():
        match = _LISTED.match(line)
        if match is None:
            continue
        is_slice = bool(match.group(1))
        if is_slice and found and found[-1].startswith("GPU-"):
            found.pop()
        found.append(match.group(2))
    return found


def share_gpus(gpus: Sequence[str], workers: int) -> list[str]:
    """``CUDA_VISIBLE_DEVICES`` of each worker: GPUs are dealt out evenly, none to two workers.

    With more workers than GPUs the last workers have none.

    >>> share_gpus(["0", "1", "2"], 2), share_gpus(["0"], 3)
    (['0,2', '1'], ['0', '', ''])
    """
    return [",".join(gpus[number::workers]) for number in range(workers)]
