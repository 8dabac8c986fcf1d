"""A grid of settings of one model: cross-validated, the best by each metric tested on groups held out."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.evaluate.metrics import compute
from vitrine.evaluate.splits import Fold, GroupedFolds, check_no_group_leaks, hold_out_groups
from vitrine.learn.protocol import ModelPart
from vitrine.samples import Examples
from vitrine.study.cross_validation import must, store_examples
from vitrine.study.data import Data
from vitrine.study.fitting import fit_task, read_scores
from vitrine.study.log import Log
from vitrine.study.result import Row
from vitrine.study.scoring import score_rows
from vitrine.study.sections import Search
from vitrine.study.spec import Study, model_seed
from vitrine.tasks import Task

TRACK = "search"
"""Name under which rows of a search stand."""
FILE = "search.csv"
_GROWTH = 3
"""In each round of halving one in so many configurations goes on, with so many times the epochs."""


@dataclass(frozen=True)
class Configuration:
    """A point of the grid: its settings and the model with them."""

    settings: Mapping[str, Any]
    model: ModelPart

    @property
    def name(self) -> str:
        """Its settings in a line."""
        return ", ".join(f"{key} {value}" for key, value in self.settings.items())


@dataclass
class Searched:
    """What a search found.

    Attributes
    ----------
    lines: a mapping per configuration and round: settings, epochs, then metrics of cross-validation.
    best: metric -> the configuration that is best by it.
    rows: metrics of the best ones on the groups held out.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Configuration] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


def configurations(search: Search, model: ModelPart) -> list[Configuration]:
    """Every point of the grid, in its order."""
    grid = model.grids[search.grid] if isinstance(search.grid, str) else search.grid
    return [
        Configuration(settings, type(model).model_validate(model.model_dump() | settings))
        for settings in (dict(zip(grid, point, strict=True)) for point in product(*grid.values()))
    ]


def run_search(study: Study, data: Data, campaign: Campaign, log: Log) -> Searched:
    """Search on the samples of the first track; each configuration and fold is a task of its own.

    Raises
    ------
    StudyError: too few groups. TaskError: a fit failed for good.
    """
    search = study.search
    assert search is not None
    examples = data.seen[study.models[search.model].representation]
    rest, held = hold_out_groups(data.samples.groups, search.held_out, search.seed)
    check_no_group_leaks(data.samples.groups, rest, held)
    split = GroupedFolds(folds=search.folds, seed=search.seed)
    folds = [
        Fold(train=rest[f.train], validation=rest[f.validation], test=rest[f.test])
        for f in split.folds_of([data.samples.groups[i] for i in rest])
    ]
    stored = store_examples(study, data, [search.model], campaign)[search.model]
    result, left = Searched(), configurations(search, study.models[search.model])
    for epochs in _rounds(search, left[0].model):
        log(f"search: {len(left)} configurations" + (f", at most {epochs} epochs" if epochs else ""))
        found = _judge(study, search, left, epochs, folds, examples, stored, campaign)
        result.lines += found
        if epochs not in (None, getattr(left[0].model, "epochs", None)):
            left = [left[i] for i in _go_on(search, found)]
    for metric in search.metrics:
        best = max(range(len(left)), key=lambda i: _number(found[i][metric]))
        result.best[metric] = left[best]
    result.rows = _test_best(study, search, result.best, rest, held, data, examples, stored, campaign)
    return result


def _number(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _go_on(search: Search, found: Sequence[Mapping[str, float]]) -> list[int]:
    """What a round of halving keeps: the best third by the last metric, and the best by each."""

    def order(metric: str) -> list[int]:
        return sorted(range(len(found)), key=lambda i: -_number(found[i][metric]))

    kept = set(order(search.metrics[-1])[: max(math.ceil(len(found) / _GROWTH), 1)])
    return sorted(kept | {order(metric)[0] for metric in search.metrics})


def _rounds(search: Search, model: ModelPart) -> list[int | None]:
    """Epochs of each round; None leaves the model as it is."""
    if search.strategy == "full":
        return [None]
    most: int = model.epochs  # type: ignore[attr-defined]
    rounds: list[int | None] = []
    epochs = search.smallest_epochs
    while epochs < most:
        rounds.append(epochs)
        epochs *= _GROWTH
    return [*rounds, most]


def _judge(
    study: Study,
    search: Search,
    candidates: Sequence[Configuration],
    epochs: int | None,
    folds: Sequence[Fold],
    examples: Examples,
    stored: Task,
    campaign: Campaign,
) -> list[dict[str, Any]]:
    """Metrics of cross-validation of each configuration."""
    models = [
        c.model if epochs is None else c.model.model_copy(update={"epochs": epochs}) for c in candidates
    ]
    tasks = [
        fit_task(
            f"search/{candidate.name}/{number}",
            model,
            stored,
            seed=model_seed(study, number),
            keep=False,
            train=fold.train,
            validation=fold.validation,
            test=fold.test,
        )
        for candidate, model in zip(candidates, models, strict=True)
        for number, fold in enumerate(folds)
    ]
    outcomes = must([*campaign.compute(tasks)])
    assert examples.target is not None
    lines = []
    for place, candidate in enumerate(candidates):
        own = outcomes[place * len(folds) : (place + 1) * len(folds)]
        truth = np.concatenate([examples.target[examples.rows_of(fold.test)] for fold in folds])
        score = np.concatenate([read_scores(o.folder) for o in own if o.folder is not None])
        threshold = study.evaluation.threshold
        found = {name: compute(name, truth, score, threshold=threshold) for name in search.metrics}
        about: dict[str, Any] = {**candidate.settings}
        about |= {} if epochs is None else {"most epochs": epochs}
        lines.append(about | found)
    return lines


def _test_best(
    study: Study,
    search: Search,
    best: Mapping[str, Configuration],
    rest: NDArray[np.int64],
    held: NDArray[np.int64],
    data: Data,
    examples: Examples,
    stored: Task,
    campaign: Campaign,
) -> list[Row]:
    """The best by each metric, trained on all that was searched on, on the groups held out."""
    groups = [data.samples.groups[i] for i in rest]
    learn, stop = hold_out_groups(groups, 0.25, [search.seed, 1])
    tasks = [
        fit_task(
            f"search/best {metric}",
            chosen.model,
            stored,
            seed=model_seed(study, 0),
            keep=False,
            train=rest[learn],
            validation=rest[stop],
            test=held,
        )
        for metric, chosen in best.items()
    ]
    outcomes = must([*campaign.compute(tasks)])
    tested = examples.select(held)
    rows = []
    for (metric, chosen), outcome in zip(best.items(), outcomes, strict=True):
        assert outcome.folder is not None
        scores = {f"{search.model}, best {metric}": read_scores(outcome.folder)}
        found = score_rows(study, TRACK, tested, scores, None, prevalences=True)
        for row in found:
            row.where["settings"] = chosen.name
            row.published = _published(study, search, metric, row)
        rows += found
    return rows


def _published(study: Study, search: Search, chosen_by: str, row: Row) -> float | None:
    """The number of the paper's network that is best by the same metric, where ours is comparable."""
    comparable = row.where.get("prevalence") != "own" or row.metric in ("recall", "roc_auc")
    wanted = search.beside.get(chosen_by)
    for table in study.published:
        if comparable and wanted in table.rows:
            return table.rows[str(wanted)].get(row.metric)
    return None


def write_search(folder: Path, found: Searched) -> None:
    """``search.csv``: a row per configuration and round."""
    names = list(dict.fromkeys(key for line in found.lines for key in line))
    with (folder / FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(found.lines)
