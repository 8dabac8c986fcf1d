"""The Python face: load a study, run it, load a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrine.study.bundle import ModelFolder as Model
from vitrine.study.result import Result
from vitrine.study.spec import Study
from vitrine.study.spec import load_study as _load_study

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Model", "load_model", "load_study", "run"]


def load_study(
    name_or_file: str | Path, scale: str | None = None, settings: Mapping[str, Any] | None = None
) -> Study:
    """A checked study.

    Parameters
    ----------
    name_or_file: name of a study that ships with vitrine, or a study file.
    scale: ``smoke``, ``demo``, ``laptop`` or ``paper``.
    settings: dotted keys over both, ``{"source.specimens": 20}``.

    Raises
    ------
    vitrine.errors.StudyError: anything wrong in it.
    """
    # JSON is YAML with nothing to guess
    overrides = [f"{key}={json.dumps(value, default=str)}" for key, value in (settings or {}).items()]
    return _load_study(str(name_or_file), scale, overrides)


def run(
    study: Study,
    out: str | Path | None = None,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    store: str | Path | None = None,
    console: Console | None = None,
) -> Result:
    """Run a study; what was finished before is reused.

    Parameters
    ----------
    out: run folder, by default ``runs/<study>-<scale>``.
    workers: local worker processes, 0 for this process.
    scheduler: address of a running Dask scheduler.
    store: folder of the store, by default ``$VITRINE_STORE`` or the user's cache folder.
    console: a rich console for progress; None is silent.
    """
    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.report import render
    from vitrine.study.log import Log
    from vitrine.study.run import run as run_study

    folder = Path(out) if out is not None else Path("runs") / f"{study.study}-{study.scale}"
    root = Path(store) if store is not None else default_root()
    log = Log(console)
    with Campaign(root, workers=workers, scheduler=scheduler, console=console) as campaign:
        result = run_study(study, folder, campaign, log)
    log(f"report: {render(result, folder).resolve()}")
    return result


def load_model(folder: str | Path) -> Model:
    """Read a model folder that a run wrote.

    Raises
    ------
    vitrine.errors.DataError: not a model folder of this version.
    """
    from vitrine.study.bundle import load_model as read

    return read(Path(folder))
