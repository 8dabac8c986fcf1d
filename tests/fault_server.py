"""Runs vitrine's command line in forked processes, so that a hundred killed runs cost minutes.

``python fault_server.py [networks]`` imports once what a run needs. Each line of its input is a
list of orders ``{"arguments": [...], "at": [module, name, count] or null, "said": file}``. For each
it forks, and the child becomes the command (``vitrine.cli.main.main``); with ``at`` it kills itself
by SIGKILL when the function is called for the ``count``-th time. Answers are a line of process
ids, then a line of statuses.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

IMPORTS = (
    "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.ensemble", "sklearn.linear_model", "skops.io",
    "ase.io", "matplotlib.figure", "matplotlib.backends.backend_svg", "jinja2", "rich.console",
    "vitrine.face", "vitrine.campaign.campaign", "vitrine.study.run", "vitrine.report",
    "vitrine.cli.main",
)  # fmt: skip
NETWORKS = ("torch", "lightning", "safetensors.torch", "vitrine.learn.training")


def kill_at(module: str, name: str, count: int) -> None:
    """Make a function (or method ``Class.name``) kill this process when it is called so many times."""
    holder: Any = importlib.import_module(module)
    *outer, name = name.split(".")
    for part in outer:
        holder = getattr(holder, part)
    original = getattr(holder, name)
    calls = 0

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    setattr(holder, name, deadly)


def become(order: dict[str, Any]) -> None:
    """Be the command; does not return."""
    for number in (1, 2):
        os.dup2(os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    if order["at"] is not None:
        kill_at(*order["at"])
    from vitrine.cli.main import main

    sys.argv = ["vitrine", *order["arguments"]]
    code: Any = 1
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does it
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def serve() -> None:
    """Until the input ends."""
    for name in (*IMPORTS, *(NETWORKS if "networks" in sys.argv else ())):
        importlib.import_module(name)
    print("ready", flush=True)
    while line := sys.stdin.readline():
        pids = []
        for order in json.loads(line):
            pid = os.fork()
            if pid == 0:
                become(order)
            pids.append(pid)
        print(*pids, flush=True)
        print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids), flush=True)


if __name__ == "__main__":
    serve()
