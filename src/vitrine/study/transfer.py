"""Trained on one set of samples, tested on every other: a matrix of one metric.

Sets may share samples (one glass against liquids at several temperatures), so groups are dealt into folds
for all sets together: a group that is tested in one set is trained on in none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, StudyError
from vitrine.evaluate.splits import Fold
from vitrine.samples import Examples, Samples, joined
from vitrine.study.cross_validation import must, store_examples
from vitrine.study.data import Data, labelled, source_tasks
from vitrine.study.fitting import fit_task, read_scores
from vitrine.study.log import Log
from vitrine.study.result import Figure, MatrixFigure, Row
from vitrine.study.scoring import score_rows
from vitrine.study.spec import model_seed

if TYPE_CHECKING:
    from vitrine.study.sections import Transfer
    from vitrine.study.spec import Study

TRACK = "transfer"
"""under which the rows stand"""


@dataclass
class Transferred:
    """Scores of every model trained on every set, on all samples of all sets.

    Attributes
    ----------
    truth: examples of the samples of all sets. members: set -> their positions. scores: model -> set that
        it was trained on -> ``(n_rows,)``, each sample scored by a model that saw nothing of its group.
    """

    truth: Examples
    members: dict[str, NDArray[np.int64]]
    scores: dict[str, dict[str, NDArray[np.float64]]]


def run_transfer(study: Study, campaign: Campaign, log: Log) -> Transferred:
    """Fit each model on each set, fold by fold.

    Raises
    ------
    DataError: a set without usable samples or with one class. TaskError: a fit failed for good.
    """
    transfer = study.transfer
    assert transfer is not None
    data, members = _gathered(study, transfer, campaign, log)
    folds = _folds(study, transfer, data, members)
    examples = store_examples(study, data, transfer.models, campaign)
    planned = []
    for model in transfer.models:
        for name, positions in members.items():
            for number, fold in enumerate(folds):
                sets: dict[str, Any] = {
                    "train": np.intersect1d(fold.train, positions),
                    "validation": np.intersect1d(fold.validation, positions),
                    "test": fold.test,
                }
                label = f"{TRACK}/{name}/{model}/{number}"
                seed = model_seed(study, number)
                task = fit_task(label, study.models[model], examples[model], seed=seed, **sets, keep=False)
                planned.append((model, name, fold, task))
    outcomes = must([*campaign.compute([task for *_, task in planned])])
    scores: dict[str, dict[str, NDArray[np.float64]]] = {}
    for (model, name, fold, _), outcome in zip(planned, outcomes, strict=True):
        assert outcome.folder is not None
        own = scores.setdefault(model, {}).setdefault(name, np.full(data.truth.n_rows, np.nan))
        own[data.truth.rows_of(fold.test)] = read_scores(outcome.folder)
    return Transferred(data.truth, members, scores)


def _gathered(
    study: Study, transfer: Transfer, campaign: Campaign, log: Log
) -> tuple[Data, dict[str, NDArray[np.int64]]]:
    """All samples of all sets once, and which of them each set has."""
    sources: dict[str, Any] = {
        name: study.changed(study.source, changes, f"transfer.sets.{name}")
        for name, changes in transfer.sets.items()
    }
    found: dict[str, Samples] = {}
    for name, source in sources.items():
        found[name] = source.samples(campaign.compute(source_tasks(source)))
        for sample, reason in found[name].left_out.items():
            log(f"left out: {sample}: {reason}")
        if not len(found[name]):
            raise DataError(f"transfer.sets.{name}: the source yielded no usable sample")
    found = _told_apart(found)
    whole = joined(list(found.values()))
    place = {sample: i for i, sample in enumerate(whole.ids)}
    members = {n: np.array(sorted(place[i] for i in s.ids), dtype=np.int64) for n, s in found.items()}
    return labelled(study, whole, transfer.models, campaign), members


def _told_apart(found: dict[str, Samples]) -> dict[str, Samples]:
    """Sets in which one id means one configuration: what is another one gets the name of its set too."""
    known: dict[str, Any] = {}
    result = {}
    for name, samples in found.items():
        ids = []
        for sample, item in zip(samples.ids, samples.items, strict=True):
            same = known.setdefault(sample, item)
            ids.append(sample if same is item or same == item else f"{sample} ({name})")
        result[name] = replace(samples, ids=tuple(ids))
    return result


def _folds(study: Study, transfer: Transfer, data: Data, members: dict[str, NDArray[np.int64]]) -> list[Fold]:
    """Folds of all samples; every set must have both classes in each part.

    Raises
    ------
    StudyError: a fold would train a set on one class.
    """
    folds = data.folds(transfer.split)
    target = data.truth.target
    assert target is not None
    if data.truth.target_kind != "binary":
        return folds
    for name, positions in members.items():
        for fold in folds:
            own = target[data.truth.rows_of(np.intersect1d(fold.train, positions))]
            if not 0 < own.sum() < len(own):
                raise StudyError(
                    f"transfer.sets.{name}: a fold trains on one class only; ask for fewer folds, or give "
                    "the set more groups"
                )
    return folds


def transfer_rows(study: Study, found: Transferred) -> list[Row]:
    """The metrics of every model, set trained on and set tested on; published values beside."""
    transfer = study.transfer
    assert transfer is not None
    rows = []
    names = list(found.members)
    for model, by_set in found.scores.items():
        for i, trained in enumerate(names):
            for j, tested in enumerate(names):
                positions = found.members[tested]
                truth = found.truth.select(positions)
                score = by_set[trained][found.truth.rows_of(positions)]
                where = {"trained_on": trained, "tested_on": tested}
                new = score_rows(study, TRACK, truth, {model: score}, None, where)
                new = [row for row in new if row.metric == transfer.metric]
                for row in new:
                    row.published = _published(transfer, model, i, j)
                rows += new
    return rows


def _published(transfer: Transfer, model: str, i: int, j: int) -> float | None:
    matrix = transfer.published
    return None if matrix is None or model not in matrix.beside else matrix.values[i][j]


def transfer_figures(study: Study, found: Transferred, rows: list[Row]) -> list[Figure]:
    """The matrices of all models beside the published one."""
    transfer = study.transfer
    assert transfer is not None
    names = list(found.members)
    panels = []
    for model in found.scores:
        cells = {
            (row.where["trained_on"], row.where["tested_on"]): row
            for row in rows
            if row.model == model and row.metric == transfer.metric
        }
        values = [[cells[a, b].value for b in names] for a in names]
        panels.append({"label": model, "values": values})
    if transfer.published is not None:
        panels.append(
            {"label": transfer.published.source, "values": [list(r) for r in transfer.published.values]}
        )
    metric = transfer.metric.replace("_", " ")
    return [
        MatrixFigure(
            name=TRACK,
            title=transfer.title,
            caption=f"Numbers: {metric}, out-of-fold; groups are dealt into folds for all sets together. "
            + transfer.note,
            x_label="tested on",
            y_label="trained on",
            columns=names,
            rows=names,
            panels=panels,
            low=0.5,
            high=1.0,
        )
    ]
