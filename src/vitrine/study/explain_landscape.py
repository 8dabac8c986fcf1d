"""The loss landscape of a model folder: on its training, on samples kept from it, on data of the user."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import vitrine
from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, StudyError
from vitrine.samples import Examples
from vitrine.study.bundle import ModelFolder, load_model
from vitrine.study.cross_validation import must
from vitrine.study.data import Data, gather, labelled, unit_of
from vitrine.study.fitting import examples_task
from vitrine.study.landscape_task import probe_into
from vitrine.study.landscapes import (
    LIKE,
    TRAIN,
    Looked,
    landscape_figures,
    landscape_notes,
    landscape_rows,
    landscape_table,
)
from vitrine.study.log import Log
from vitrine.study.provenance import versions
from vitrine.study.result import Result
from vitrine.study.spec import Study, load_study
from vitrine.tasks import Task, digest

if TYPE_CHECKING:
    from vitrine.study.sections import Landscape

YOURS = "yours"
"""name of the user's own data"""


def explain_landscape(
    model: ModelFolder, settings: Landscape, campaign: Campaign, log: Log, table: Path | None = None
) -> Result:
    """Probe a model folder.

    Samples that it was trained on, and those that only decided when to stop, come from the study of the run
    folder that it lies in.

    Parameters
    ----------
    table: of the user, with the column that the model learned; a third set of data.

    Raises
    ------
    DataError: an ensemble or no network, a model folder outside a run folder without a table, samples that
        are others now than those that it was trained on.
    """
    if model.members:
        names = ", ".join(member.name for member in model.members)
        raise DataError(
            f"{model.folder} is an ensemble, which has no weights of its own; its members: {names}"
        )
    if not hasattr(model.model, "epochs") or model.model.learns is not None:
        raise DataError(
            f"{model.folder}: {model.name} ({model.model.kind}) is no network that learns its label itself, "
            "so it has no loss landscape"
        )
    study = _study_of(model)
    parts: dict[str, Examples] = {}
    unit: str | None = model.source.get("unit")
    if study is not None:
        study = study.model_copy(update={"landscape": settings})
        data = gather(study, study.source_of(study.tracks[0]), [model.name], campaign, log)
        unit = unit_of(study.label, data.samples)
        parts = _by_role(model, data, settings)
    if table is not None:
        parts[YOURS] = _some(_own(model, table, campaign), settings, 2)
    if not parts:
        raise DataError(
            f"{model.folder} lies in no run folder (DIR/models/NAME beside DIR/study.yaml), so its samples "
            "are not known; give --data TABLE with a column of targets"
        )
    task = _task(model, settings, parts)
    (outcome,) = must(campaign.compute([task]))
    assert outcome.folder is not None
    looked = Looked.read(model.study, model.name, unit, model.target == "value", outcome.folder)
    return _result(model, study or _bare(model, settings), looked, parts)


def _study_of(model: ModelFolder) -> Study | None:
    """The study of the run folder that a model folder lies in; None if it lies in none."""
    path = model.folder.absolute().parent.parent / "study.yaml"
    if model.folder.absolute().parent.name != "models" or not path.is_file():
        return None
    study = load_study(str(path))
    if model.name not in study.models:
        raise DataError(f"{path} is of another run: it has no model {model.name!r}")
    return study


def _by_role(model: ModelFolder, data: Data, settings: Landscape) -> dict[str, Examples]:
    """Samples by what they were for the model, as ``splits.csv`` tells it.

    Raises
    ------
    DataError: that file is missing, or the samples are others now.
    """
    path = model.folder / "splits.csv"
    if not path.is_file():
        raise DataError(f"{model.folder} holds no splits.csv, which says what the model was trained on")
    with path.open(encoding="utf-8", newline="") as file:
        roles = {row["id"]: row["role_in_this_model"] for row in csv.DictReader(file)}
    if set(roles) != set(data.samples.ids):
        raise DataError(
            f"the source gives {len(data.samples.ids):,} samples, and {path} names {len(roles):,}, not the "
            "same ones: the data have changed since the model was trained"
        )
    seen = data.seen[model.model.representation]
    found = {}
    for number, (name, role) in enumerate(((TRAIN, "train"), (LIKE, "validation"))):
        chosen = [i for i, sample in enumerate(data.samples.ids) if roles[sample] == role]
        if chosen:
            found[name] = _some(seen.select(chosen), settings, number)
    return found


def _some(examples: Examples, settings: Landscape, number: int) -> Examples:
    order = np.random.default_rng([settings.seed, number]).permutation(len(examples))
    return examples.select(np.sort(order[: settings.samples]))


def _own(model: ModelFolder, path: Path, campaign: Campaign) -> Examples:
    """The rows of the user's table, as the model sees them, with their targets.

    Raises
    ------
    DataError: the model takes no tables; no such column, or a row that cannot be used.
    """
    from vitrine.simulate.table import Table

    if getattr(model.representation, "takes", "") != "formulas":
        raise DataError(
            f"--data: {model.name} takes no tables of formulas, so only its own samples can be used"
        )
    target = getattr(model.label, "column", None) or model.source.get("target")
    source = Table(table=str(path), target=target)
    samples = source.samples(campaign.compute(source.tasks()))
    bare = _bare(model, None)
    return labelled(bare, samples, [model.name], campaign, one_class=True).truth


def _bare(model: ModelFolder, settings: Landscape | None) -> Study:
    """A study of this model alone, for the parts of the house that ask one."""
    from vitrine.evaluate.splits import RandomFolds
    from vitrine.simulate.table import Table
    from vitrine.study.sections import Budget, Evaluation, Seeds, Track

    return Study.model_construct(
        study=model.study,
        title=model.study,
        source=Table(table="emt-alloys"),
        label=model.label,
        representation=model.representation,
        models={model.name: model.model.model_copy(update={"representation": None})},
        tracks=(Track(split=RandomFolds()),),
        main_model=model.name,
        evaluation=Evaluation(metrics=("mae",)),
        budget=Budget(),
        seeds=Seeds(),
        landscape=settings,
    )


def _task(model: ModelFolder, settings: Landscape, parts: Mapping[str, Examples]) -> Task:
    from vitrine.arrays import hash_file

    files = sorted(path for path in model.folder.iterdir() if path.is_file() and path.suffix != ".md")
    own = settings.model_dump(mode="json", exclude={"models", "tracks"})
    return Task(
        label=f"landscape of {model.name}",
        kind="landscape",
        recipe={
            "version": 1,
            "settings": own,
            "model": digest({path.name: hash_file(path) for path in files}),
            "sets": list(parts),
        },
        function=probe_folder,
        arguments={"model": model.folder, "names": list(parts), "settings": settings},
        needs=tuple(examples_task(part) for part in parts.values()),
    )


def probe_folder(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    model: Path,
    names: Sequence[str],
    settings: Landscape,
) -> None:
    """Write the landscape of a model folder; see :func:`vitrine.study.landscape_task.probe_into`."""
    parts = {name: Examples.load(place) for name, place in zip(names, inputs, strict=True)}
    probe_into(folder, load_model(model).load(), parts, settings, progress)


def _result(model: ModelFolder, study: Study, looked: Looked, parts: Mapping[str, Examples]) -> Result:
    found = Result(
        study=model.study,
        scale=study.scale,
        version=vitrine.__version__,
        title=f"The loss around the weights of {model.name}",
        question="How does the loss change when the trained weights are perturbed, on what the network was "
        "trained on and on what it was not?",
    )
    found.setup = {"model": f"{model.name} ({model.model.kind}) of {model.study}"}
    found.setup |= {name: f"{len(part):,} samples" for name, part in parts.items()}
    found.rows = landscape_rows(study, [looked])
    found.tables = landscape_table(study, [looked])
    found.figures = landscape_figures(study, [looked])
    found.notes = landscape_notes([looked])
    found.provenance = {"model": str(model.folder), "packages": versions()}
    found.citations = ["10.48550/arXiv.1712.09913"]
    return found


def landscape_settings(texts: Sequence[str]) -> Landscape:
    """Settings of a landscape from ``KEY=VALUE``.

    Raises
    ------
    StudyError: no such setting, or not such a value.
    """
    from vitrine.study import shelf
    from vitrine.study.overrides import apply_overrides
    from vitrine.study.sections import Landscape

    data: dict[str, Any] = {}
    apply_overrides(data, texts)
    for name in ("models", "tracks"):
        if name in data:
            raise StudyError(f"--set {name}: the model is the one that is given")
    found: Landscape = shelf.validate(Landscape, {**data, "models": ["model"]}, "--set")
    return found
