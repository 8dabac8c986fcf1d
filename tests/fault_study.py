"""A tiny study for tests of faults, and what must hold after each of them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

from vitrine.study.yaml_reader import write_yaml

TESTS = Path(__file__).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS), "MPLBACKEND": "agg"}

ALLOYS: dict[str, Any] = {
    "study": "tiny-alloys",
    "title": "Tiny",
    "question": "How little is a study?",
    "source": {"kind": "emt-alloys", "random_cells": 20, "relaxed": False},
    "label": {"kind": "column"},
    "representation": {"kind": "elemental-fractions", "elements": "all"},
    "tracks": [{"split": {"kind": "grouped", "folds": 3, "validation": 0.1, "seed": 0}}],
    "models": {
        "mean": {"kind": "mean"},
        "ridge": {"kind": "ridge"},
        "random_forest": {"kind": "random-forest", "trees": 5},
    },
    "main_model": "ridge",
    "evaluation": {"metrics": ["mae", "r2"], "shuffled_labels": "ridge", "resamples": 20},
    "seeds": {"model": 0, "shuffle": 0, "bootstrap": 0},
}
"""Simulates (effective-medium theory), fits 15 times, draws; half a second once all is imported."""

GLASS: dict[str, Any] = {
    **ALLOYS,
    "study": "tiny-glass",
    "source": {"kind": "released-glass", "specimens": 3},
    "label": {"kind": "first-event"},
    "representation": {"kind": "voronoi-graph"},
    "tracks": [{"split": {"kind": "grouped", "folds": 3, "validation": 0.3, "seed": 0}}],
    "models": {"chance": {"kind": "chance"}, "logistic": {"kind": "logistic"}},
    "main_model": "logistic",
    "evaluation": {"metrics": ["roc_auc"], "shuffled_labels": "logistic", "resamples": 20},
}
"""Makes features of 3 specimens, which are entries of their own, and figures of atoms."""

NETWORK: dict[str, Any] = {
    **ALLOYS,
    "study": "tiny-network",
    "models": {"mlp": {"kind": "mlp", "widths": [16, 8], "epochs": 6, "patience": 6, "batch": 16}},
    "main_model": "mlp",
    "evaluation": {"metrics": ["mae"], "resamples": 20},
}
"""Trains networks."""

STUDIES = {"alloys": ALLOYS, "glass": GLASS, "network": NETWORK}


class Case:
    """A study in a folder of its own, with a run folder and a store."""

    def __init__(self, folder: Path, study: str) -> None:
        self.study = study
        self.folder = folder
        self.out, self.store = folder / "run", folder / "store"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.yaml").write_text(write_yaml(STUDIES[study]), encoding="utf-8")

    def arguments(self, workers: int = 0) -> list[str]:
        """What to tell the command line."""
        places = ["--out", str(self.out), "--store", str(self.store)]
        return ["run", str(self.folder / "study.yaml"), "--workers", str(workers), *places]

    def finished(self) -> dict[str, int]:
        """Key -> time [ns] of the marker, of every finished entry."""
        markers = (self.store / "entries").glob("*/*/entry.json")
        return {path.parent.name: path.stat().st_mtime_ns for path in markers}

    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` says."""
        return json.loads((self.out / "metrics.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def files(self) -> list[str]:
        """Names of all files of the run folder."""
        return sorted(str(p.relative_to(self.out)) for p in self.out.rglob("*") if p.is_file())

    def check_equals(self, unbroken: Case) -> None:
        """The run folder is whole: nothing half-written is left, the numbers are the same."""
        assert self.metrics() == unbroken.metrics()
        assert self.files() == unbroken.files()
        for name in self.files():
            if name.endswith((".csv", ".parquet", ".svg")):
                assert (self.out / name).read_bytes() == (unbroken.out / name).read_bytes(), name
            elif name.endswith(".safetensors"):
                # weights, without the times in the header
                assert tensors(self.out / name) == tensors(unbroken.out / name), name
            elif name.endswith(".skops"):
                assert arrays(self.out / name) == arrays(unbroken.out / name), name

    def check_kept(self, before: dict[str, int]) -> None:
        """Nothing that was finished before was made again."""
        now = self.finished()
        assert {key: now.get(key) for key in before} == before


def arrays(path: Path) -> list[tuple[int, int]]:
    """Size and checksum of every array in a fitted model's file (which holds times and addresses too)."""
    with ZipFile(path) as file:
        return sorted((i.file_size, i.CRC) for i in file.infolist() if i.filename.endswith(".npy"))


def tensors(path: Path) -> dict[str, bytes]:
    """The arrays of a network's file."""
    from safetensors.numpy import load_file

    return {name: array.tobytes() for name, array in load_file(path).items()}


class Server:
    """Forks the command from a process that has imported everything (``fault_server.py``)."""

    def __init__(self, *what: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(TESTS / "fault_server.py"), *what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )  # fmt: skip

        assert self._answer() == "ready"
        atexit.register(self._end)

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(
        self, case: Case, at: tuple[str, str, int] | None = None, after: float | None = None
    ) -> tuple[int, str]:
        """Run a study; the status of the command (-9 if killed) and what it said.

        Parameters
        ----------
        at: module, function and the number of its call at which the command kills itself.
        after: seconds after which it is killed from outside, if it still runs.
        """
        return self.call(case.arguments(), case.folder / "said.txt", at, after)

    def call(
        self,
        arguments: list[str],
        said: Path,
        at: tuple[str, str, int] | None = None,
        after: float | None = None,
    ) -> tuple[int, str]:
        """The same for any command; what it says goes to a file."""
        self._send([{"arguments": arguments, "at": at, "said": str(said)}])
        pid = int(self._answer())
        if after is not None:
            time.sleep(after)
            with contextlib.suppress(ProcessLookupError):  # it may have ended
                os.kill(pid, signal.SIGKILL)
        return int(self._answer()), said.read_text(encoding="utf-8") if said.exists() else ""

    def together(self, *cases: Case, after: float | None = None) -> list[tuple[int, str]]:
        """Run studies at once; with ``after`` the first is killed after so many seconds."""
        files = [case.folder / "said.txt" for case in cases]
        orders = [
            {"arguments": case.arguments(), "at": None, "said": str(file)}
            for case, file in zip(cases, files, strict=True)
        ]
        self._send(orders)
        pids = [int(word) for word in self._answer().split()]
        if after is not None:
            time.sleep(after)
            os.kill(pids[0], signal.SIGKILL)
        statuses = [int(word) for word in self._answer().split()]
        return [
            (status, file.read_text(encoding="utf-8")) for status, file in zip(statuses, files, strict=True)
        ]

    def _send(self, orders: list[dict[str, Any]]) -> None:
        assert self._process.stdin is not None
        for order in orders:
            Path(order["said"]).unlink(missing_ok=True)
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()


class Whole(dict[str, Case]):
    """An unbroken run of each study, made when asked for, and the seconds that it took."""

    def __init__(self) -> None:
        self.servers = {"alloys": Server()}
        self.servers["glass"] = self.servers["alloys"]
        self.seconds: dict[str, float] = {}
        self._folder = TemporaryDirectory(prefix="vitrine-whole-")

    def __missing__(self, study: str) -> Case:
        if study == "network":  # importing torch takes longer than the other studies
            self.servers[study] = Server("networks")
        case = self[study] = Case(Path(self._folder.name) / study, study)
        begin = time.monotonic()
        status, said = self.servers[study].run(case)
        assert status == 0, said
        self.seconds[study] = time.monotonic() - begin
        return case


@cache
def unbroken_runs() -> Whole:
    """Those of this session of tests: all files share them."""
    return Whole()
