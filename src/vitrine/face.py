"""The Python face: load a study, run it, load a model, predict with it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from vitrine.strain_maps import StrainMap
from vitrine.study.bundle import ModelFolder as Model
from vitrine.study.result import Result
from vitrine.study.spec import Study
from vitrine.study.spec import load_study as _load_study

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from rich.console import Console

__all__ = ["Model", "explain_landscape", "load_model", "load_study", "predict", "run"]


def load_study(
    name_or_file: str | Path,
    scale: str | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    tracks: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Study:
    """A checked study.

    Parameters
    ----------
    name_or_file: name of a study that ships with vitrine, or a study file.
    scale: ``smoke``, ``demo``, ``laptop`` or ``paper``.
    settings: dotted keys over both, ``{"source.specimens": 20}``.
    tracks: names of those to keep; all by default.
    models: likewise.

    Raises
    ------
    vitrine.errors.StudyError: anything wrong in it.
    """
    return _load_study(str(name_or_file), scale, _overrides(settings or {}), tracks, models)


def _overrides(settings: Mapping[str, Any]) -> list[str]:
    """As ``--set`` takes them; JSON is YAML with nothing to guess."""
    return [f"{key}={json.dumps(value, default=str)}" for key, value in settings.items()]


def run(
    study: Study,
    out: str | Path | None = None,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    store: str | Path | None = None,
    console: Console | None = None,
    stall: float | None = None,
    memory: float | None = None,
    slurm: str | Path | None = None,
    command: str | None = None,
) -> Result:
    """Run a study; what was finished before is reused.

    Parameters
    ----------
    out: run folder, by default ``runs/<study>-<scale>``.
    workers: local worker processes, 0 for this process.
    scheduler: address of a running Dask scheduler.
    store: folder of the store, by default ``$VITRINE_STORE`` or the user's cache folder.
    console: a rich console for progress; None is silent.
    stall: seconds without progress after which a task on a local worker is taken to hang.
    memory: GiB that all local workers may use together, by default 90 % of the machine's.
    slurm: site file: the work is done by jobs of a batch system.
    command: what makes this result again, kept in its provenance; the command line gives its own words.

    Raises
    ------
    vitrine.errors.InputError: what was given is wrong, a folder cannot be written to, or another
        run writes to the same run folder now.
    """
    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.report import render
    from vitrine.study.log import Log
    from vitrine.study.run import run as run_study
    from vitrine.study.site import read_site

    folder = Path(out) if out is not None else Path("runs") / f"{study.study}-{study.scale}"
    root = Path(store) if store is not None else default_root()
    log = Log(console)
    options: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "stall": stall, "memory": memory}
    options |= {"slurm": None if slurm is None else read_site(slurm)}
    with _alone(root, folder):
        with Campaign(root, console=console, **options) as campaign:
            result = run_study(study, folder, campaign, log, command)
        log(f"report: {render(result, folder).resolve()}")
    return result


@contextmanager
def _alone(root: Path, folder: Path) -> Iterator[None]:
    """Two commands may share a store, but not a run folder; what its disk refuses is said."""
    from vitrine.campaign.store import NO_ROOM, Store
    from vitrine.errors import InputError
    from vitrine.tasks import digest

    with Store(root).lock(digest({"out": str(folder.absolute())}), wait=False) as mine:
        if not mine:
            raise InputError(
                f"--out {folder}: another vitrine writes to this run folder now; "
                "wait for its end, or give another --out"
            )
        try:
            yield
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise InputError(
                f"--out {folder}: {error.strerror}; make room, or give another folder with --out: "
                "the same command then continues"
            ) from error


def load_model(folder: str | Path) -> Model:
    """Read a model folder that a run wrote, and compare its files with their checksums.

    Parameters
    ----------
    folder: its path; or ``hf:owner/name[@revision]``, which is pulled into the cache; or the name of
        a study whose model ships with vitrine.

    Raises
    ------
    vitrine.errors.DataError: not a model folder, one that was changed, or one that needs another
        version of vitrine; no such repository, or no network.
    """
    from vitrine.study.bundle import load_model as read
    from vitrine.study.find_model import find_model

    return read(find_model(folder))


def explain_landscape(
    model: Model | str | Path,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    workers: int = 0,
    store: str | Path | None = None,
    console: Console | None = None,
) -> Result:
    """The loss around the weights of a trained network, written as a report.

    For a network of your own use :class:`vitrine.explain.landscape.probe.Probe`.

    Parameters
    ----------
    model: a model folder, loaded or not; one within a run folder knows its samples.
    out: folder to write, by default ``<model>-landscape``.
    data: table of your own with the column that the model learned: a third set of data.
    settings: of the section ``landscape`` of a study file, ``{"samples": 100}``.
    workers: local worker processes, 0 for this process.
    store: folder of the store, by default ``$VITRINE_STORE`` or the user's cache folder.
    console: a rich console for progress; None is silent.

    Raises
    ------
    vitrine.errors.InputError: no network, samples that are not known, a setting that there is not.
    """
    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.report import render
    from vitrine.study import explain_landscape as explaining
    from vitrine.study.log import Log
    from vitrine.study.outputs import start_folder

    loaded = model if isinstance(model, Model) else load_model(model)
    texts = _overrides(settings) if isinstance(settings, Mapping) else list(settings)
    chosen = explaining.landscape_settings(texts)
    folder = Path(out) if out is not None else Path(f"{loaded.folder.name}-landscape")
    root = Path(store) if store is not None else default_root()
    log = Log(console)
    table = None if data is None else Path(data)
    start_folder(folder)
    with _alone(root, folder):
        with Campaign(root, console=console, workers=workers) as campaign:
            result = explaining.explain_landscape(loaded, chosen, campaign, log, table)
        result.write(folder)
        log(f"report: {render(result, folder).resolve()}")
    return result


@overload
def predict(
    model: Model | str | Path, data: pd.DataFrame, *, store: str | Path | None = None
) -> pd.DataFrame: ...


@overload
def predict(
    model: Model | str | Path,
    data: Atoms | Sequence[Atoms],
    *,
    directions: Sequence[str] | None = None,
    potential: str | None = None,
    relax: bool = False,
    store: str | Path | None = None,
) -> list[Atoms]: ...


@overload
def predict(
    model: Model | str | Path,
    data: StrainMap | Sequence[StrainMap],
    *,
    reload: float | None = None,
    store: str | Path | None = None,
) -> pd.DataFrame: ...


def predict(
    model: Model | str | Path,
    data: Any,
    *,
    directions: Sequence[str] | None = None,
    potential: str | None = None,
    relax: bool = False,
    reload: float | None = None,
    store: str | Path | None = None,
) -> pd.DataFrame | list[Atoms]:
    """Apply a model to formulas, configurations or strain maps in memory; what is given stays as it is.

    Parameters
    ----------
    model: a model folder, loaded or not.
    data: a table with a column ``formula``, or one or several :class:`ase.Atoms`, periodic. Their
        per-atom arrays ``energy`` ``(n,)`` eV and ``stress`` ``(n, 6)`` eV (stress times volume,
        Voigt xx yy zz yz xz xy, tension positive) are used; without them LAMMPS computes both.
    directions: of shear, all six by default (``xy``, ``yz``, ``xz``, ``-xy``, ``-yz``, ``-xz``).
    potential: file for LAMMPS, by default the one that the model was trained with.
    relax: minimise the configurations first.
    reload: of strain maps, the strain in % that they show; by default found from their mean.
    store: folder of the store, by default ``$VITRINE_STORE`` or the user's cache folder.

    Returns
    -------
    The table with a column ``<target>_predicted`` in the unit of the target; or copies of the
    configurations with per-atom arrays ``probability_<direction>`` (``-xy`` is ``minus_xy``); or a table with
    a row for each strain map: probabilities, prior strain in % with its interval, distance to the nearest
    simulated map (neighbours and curves: :func:`vitrine.study.predict_maps.predict_maps`).

    Warns
    -----
    UserWarning: a configuration is no energy minimum, which is all that the model knows; a strain map is
        unlike those of the training.

    Raises
    ------
    vitrine.errors.DataError: not a model folder, data of another kind than the model takes, a
        formula or an element that it does not know, a direction that there is not.
    """
    from ase import Atoms

    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.physics.rotation import DIRECTIONS
    from vitrine.study.predict import predict_formulas, predict_frames

    loaded = model if isinstance(model, Model) else load_model(model)
    chosen = tuple(dict.fromkeys(directions or DIRECTIONS))
    frames = [data] if isinstance(data, Atoms) else data
    _check_fits(loaded, data, chosen)
    if getattr(loaded.representation, "takes", "") == "maps":
        from vitrine.study.predict_maps import predict_maps

        told = predict_maps(loaded, [data] if isinstance(data, StrainMap) else data, reload)
        for line in told.warnings:
            warnings.warn(line, stacklevel=2)
        return told.table
    with Campaign(Path(store) if store is not None else default_root()) as campaign:
        if getattr(loaded.representation, "takes", "") == "formulas":
            return predict_formulas(loaded, data, campaign)
        predicted, words = predict_frames(
            loaded, frames, campaign, directions=chosen, potential=potential, relax=relax
        )
    for line in words:
        warnings.warn(line, stacklevel=2)
    return predicted


def _check_fits(model: Model, data: Any, directions: Sequence[str]) -> None:
    """Refuse data of another kind than the model takes, before anything is computed."""
    from ase import Atoms

    from vitrine.errors import DataError, did_you_mean
    from vitrine.physics.rotation import DIRECTIONS

    who = f"the model {model.name} of {model.study}"
    if getattr(model.representation, "takes", "") == "formulas":
        columns = getattr(data, "columns", None)
        if columns is None:
            raise DataError(
                f"{who} takes a table of formulas (a pandas DataFrame), not {type(data).__name__}"
            )
        if "formula" not in columns:
            raise DataError(f"{who} needs a column 'formula'{did_you_mean('formula', map(str, columns))}")
        return
    if getattr(model.representation, "takes", "") == "maps":
        maps = [data] if isinstance(data, StrainMap) else data
        if not isinstance(maps, Sequence) or not all(isinstance(one, StrainMap) for one in maps):
            raise DataError(
                f"{who} takes vitrine.strain_maps.StrainMap, one or a list, not {type(data).__name__}"
            )
        return
    frames = [data] if isinstance(data, Atoms) else data
    if not isinstance(frames, Sequence) or not all(isinstance(one, Atoms) for one in frames):
        raise DataError(f"{who} takes ase.Atoms, one or a list, not {type(data).__name__}")
    for direction in directions:
        if direction not in DIRECTIONS:
            raise DataError(f"no shear direction {direction!r}{did_you_mean(direction, DIRECTIONS)}")
