"""Out-of-fold scores of every model on every track: all fits of a study as one campaign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import StudyError, TaskError
from vitrine.evaluate.metrics import best_threshold
from vitrine.evaluate.splits import Fold
from vitrine.samples import Examples
from vitrine.study.data import Data
from vitrine.study.fitting import examples_task, fit_task, read_facts, read_scores
from vitrine.study.scoring import SHUFFLED
from vitrine.study.sections import Track
from vitrine.study.spec import Study, model_seed, repeats_of
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    from vitrine.learn.protocol import ModelPart

Scores = dict[str, NDArray[np.float64]]


@dataclass
class OutOfFold:
    """What the folds of one track gave, per row.

    Attributes
    ----------
    scores: model -> ``(n_rows,)`` float64, or ``(repeats, n_rows)`` with several seeds; of several classes
        ``(n_rows, classes)`` or ``(repeats, n_rows, classes)``. Rows that no fold tests are left out.
    tested: positions of the samples that the rows belong to; None where all are tested.
    called: model -> booleans of the same shape: at the threshold that is best on the validation
        samples of the fold; empty unless the study asks for it.
    """

    scores: Scores = field(default_factory=dict)
    called: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    kept: dict[str, tuple[Path, Fold]] = field(default_factory=dict)
    """model -> store entry of its fit on the first fold, and that fold; of those that are looked into"""
    fits: dict[str, Task] = field(default_factory=dict)
    """model -> the task of that fit"""
    tested: NDArray[np.int64] | None = None
    held: dict[str, dict[tuple[int, int], NDArray[np.float64]]] = field(default_factory=dict)
    """model -> (repeat, number of the fold) -> scores of the rows that validated; empty where samples have
    several rows"""
    folds: list[Fold] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """model -> means of the facts of its fits"""
    beside: OutOfFold | None = None
    """of tested samples that are like the training, where the others are left out of it on purpose"""

    def of(self, data: Data) -> Data:
        """The samples that the scores are of."""
        return data if self.tested is None else data.select(self.tested)


@dataclass(frozen=True)
class Fit:
    """One planned fit, and where its scores belong."""

    track: str
    model: str
    repeat: int
    fold: Fold
    task: Task


def first_seed(scores: Scores, truth: Examples) -> Scores:
    """``(n_rows,)`` or ``(n_rows, classes)`` of each model: of several seeds the first."""
    one = 2 if truth.target_kind == "classes" else 1
    return {name: column if column.ndim == one else column[0] for name, column in scores.items()}


def cross_validate(
    study: Study, data: dict[str, Data], campaign: Campaign
) -> tuple[dict[str, OutOfFold], dict[str, dict[str, Any]]]:
    """Fit all models of all tracks, fold by fold.

    Parameters
    ----------
    data: by track.

    Returns
    -------
    Scores by track, and the mean facts (seconds, epochs, parameters) by model.

    Raises
    ------
    TaskError: a fit failed for good.
    """
    plan: list[Fit] = []
    for track in study.tracks:
        examples = store_examples(study, data[track.title], study.fitted_of(track), campaign)
        plan += plan_track(study, track, data[track.title], examples)
    return collect(study, plan, {name: found.truth for name, found in data.items()}, campaign)


def store_examples(study: Study, data: Data, models: Iterable[str], campaign: Campaign) -> dict[str, Task]:
    """What each model is fitted on, in the store for the workers to read; by model."""
    found: dict[tuple[str | None, bool], Task] = {}
    tasks = {}
    for name in models:
        model = study.models[name]
        key = (model.representation, model.learns is None)
        if key not in found:
            found[key] = examples_task(for_fitting(data.seen[model.representation], model))
        tasks[name] = found[key]
    campaign.compute_here(list(found.values()))
    return tasks


def for_fitting(examples: Examples, model: ModelPart) -> Examples:
    """The examples without what this model does not look at, so that its fits do not depend on it."""
    if model.learns is not None:
        return replace(examples, severity=None)
    return replace(examples, severity=None, others=None, other_labels=())


def plan_track(
    study: Study,
    track: Track,
    data: Data,
    examples: dict[str, Task],
    models: Sequence[str] | None = None,
    prefix: str = "",
    repeats: int | None = None,
) -> list[Fit]:
    """All fits of one track.

    Parameters
    ----------
    examples: by model. models: names; all of the track, and the null, by default. prefix: of the labels
        of the tasks. repeats: seeds of each model, by default as many as the study says.

    Raises
    ------
    StudyError: the samples are too few for the split, or do not say what it needs.
    """
    plan: list[Fit] = []
    try:
        folds = within(study, data.folds(track.split))
    except StudyError as error:
        raise StudyError(f"track {track.title}: {error}") from error
    for number, fold in enumerate(folds):
        for name in study.fitted_of(track) if models is None else models:
            model = study.models[name]
            seen = examples[name]
            for repeat in range(repeats_of(study, name) if repeats is None else repeats):
                label = f"{prefix}{track.title}/{name}/{number}" + (f"/{repeat}" if repeat else "")
                keep = repeat == 0 and number == 0 and kept_for_explanation(study, track, name)
                task = _task(study, label, model, seen, fold, model_seed(study, number, repeat), keep=keep)
                plan.append(Fit(track.title, name, repeat, fold, task))
            if models is None and name == study.evaluation.shuffled_labels:
                label = f"{track.title}/{SHUFFLED}/{number}"
                shuffle = study.seeds.shuffle + 2 * number
                task = _task(study, label, model, seen, fold, model_seed(study, number), shuffle)
                plan.append(Fit(track.title, SHUFFLED, 0, fold, task))
    return plan


def kept_for_explanation(study: Study, track: Track, model: str) -> bool:
    """Whether the fit of the first fold is looked into later; the weights of others are not kept."""
    looked = study.landscape
    return any(
        part.model == model and (part.tracks is None or track.title in part.tracks)
        for part in study.explanations
    ) or (looked is not None and model in looked.models and track.title in looked.titles(study))


def plan_fold(
    study: Study, track: Track, model: str, seen: Task, number: int, fold: Fold, label: str, repeat: int = 0
) -> Fit:
    """One fit on a fold of one's own; ``number`` and ``repeat`` give its seed."""
    task = _task(study, label, study.models[model], seen, fold, model_seed(study, number, repeat))
    return Fit(track.title, model, repeat, fold, task)


def within(study: Study, folds: Sequence[Fold]) -> list[Fold]:
    """The folds with no more training samples than the study's budget; the rest of them is left out."""
    most = study.budget.rows
    found = []
    for number, fold in enumerate(folds):
        if most is not None and len(fold.train) > most:
            drawn = np.random.default_rng([study.seeds.model, number]).permutation(fold.train)[:most]
            fold = replace(fold, train=np.sort(drawn))
        found.append(fold)
    return found


def final_fold(study: Study, folds: Sequence[Fold]) -> Fold:
    """What a final model is fitted on: all but the samples that decide in the first fold when to stop.

    It tests none, and trains on no more than the study's budget.
    """
    rest = np.sort(np.concatenate([folds[0].train, folds[0].test]))
    (fold,) = within(study, [Fold(train=rest, validation=folds[0].validation, test=rest[:0])])
    return fold


def _task(
    study: Study,
    label: str,
    model: ModelPart,
    seen: Task,
    fold: Fold,
    seed: int,
    shuffle_seed: int | None = None,
    keep: bool = False,
) -> Task:
    more: dict[str, Any] = {"shuffle_seed": shuffle_seed, "keep": keep, "trials": study.budget.trials}
    more |= {"train": fold.train, "validation": fold.validation, "test": fold.test}
    return fit_task(label, model, seen, seed=seed, **more)


def collect(
    study: Study, plan: Sequence[Fit], truth: dict[str, Examples], campaign: Campaign
) -> tuple[dict[str, OutOfFold], dict[str, dict[str, Any]]]:
    """Run the planned fits and put their scores in order; see :func:`cross_validate`.

    Parameters
    ----------
    truth: examples with targets, by track.
    """
    outcomes = must([*campaign.compute([fit.task for fit in plan])])
    found = {fit.track: OutOfFold() for fit in plan}
    facts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    repeats = {(fit.track, fit.model): 1 + fit.repeat for fit in sorted(plan, key=lambda fit: fit.repeat)}
    metric = study.evaluation.validation_threshold
    for fit, outcome in zip(plan, outcomes, strict=True):
        assert outcome.folder is not None
        examples, columns = truth[fit.track], found[fit.track]
        rows = examples.rows_of(fit.fold.test)
        score = read_scores(outcome.folder)
        shape = (repeats[fit.track, fit.model], examples.n_rows, *score.shape[1:])
        columns.scores.setdefault(fit.model, np.full(shape, np.nan))[fit.repeat, rows] = score
        if fit.task.arguments["keep"]:
            columns.kept[fit.model] = (outcome.folder, fit.fold)
            columns.fits[fit.model] = fit.task
        facts.setdefault((fit.track, fit.model), []).append(read_facts(outcome.folder))
        if not any(fold is fit.fold for fold in columns.folds):
            columns.folds.append(fit.fold)
        number = next(n for n, fold in enumerate(columns.folds) if fold is fit.fold)
        chooses = metric is not None and examples.target_kind == "binary"
        held = read_scores(outcome.folder, "validation") if chooses or examples.whole else None
        if held is not None and examples.whole:
            columns.held.setdefault(fit.model, {})[fit.repeat, number] = held
        if held is not None and chooses:
            assert examples.target is not None and metric is not None
            true = examples.target[examples.rows_of(fit.fold.validation)]
            threshold = study.evaluation.threshold
            if true.any() and not true.all():
                threshold = best_threshold(true, held, metric)
            called = columns.called.setdefault(fit.model, np.zeros(shape, dtype=bool))
            called[fit.repeat, rows] = score >= threshold
    for name, columns in found.items():
        _leave_untested_out(columns, truth[name])
        _add_ensembles(study, name, columns)
        # tables in the order of the study, the null last
        columns.scores = dict(sorted(columns.scores.items(), key=lambda item: item[0] == SHUFFLED))
        _set_apart(columns, truth[name])
        for own in (columns, columns.beside):
            if own is not None:
                own.scores, own.called = _of_one_seed(own.scores), _of_one_seed(own.called)
    for (track, model), several in facts.items():
        found[track].facts[model] = _mean_facts(several)
    for columns in found.values():
        _add_costs_of_ensembles(study, columns)
    models = dict.fromkeys(model for _, model in facts)
    return found, {m: _mean_facts([f for (_, n), fs in facts.items() if n == m for f in fs]) for m in models}


def _set_apart(columns: OutOfFold, examples: Examples) -> None:
    """Take the scores of samples that are like the training out of ``columns``, into ``columns.beside``."""
    like = [fold.beside for fold in columns.folds if len(fold.beside)]
    if not like:
        return
    tested = np.arange(len(examples)) if columns.tested is None else columns.tested
    inside = np.isin(tested, np.concatenate(like))
    rows = inside[examples.select(tested).owner]
    columns.beside = OutOfFold(
        scores={name: column[:, rows] for name, column in columns.scores.items()},
        tested=tested[inside],
        held=columns.held,
        folds=columns.folds,
    )
    columns.scores = {name: column[:, ~rows] for name, column in columns.scores.items()}
    columns.called = {name: column[:, ~rows] for name, column in columns.called.items()}
    columns.tested = tested[~inside]


def _of_one_seed(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Without the axis of the seeds where there is one."""
    return {name: column[0] if len(column) == 1 else column for name, column in columns.items()}


def _leave_untested_out(columns: OutOfFold, examples: Examples) -> None:
    """A split that holds one set out tests that alone."""
    untested = np.isnan(next(iter(columns.scores.values()))[0])
    untested = untested if untested.ndim == 1 else untested.any(axis=1)
    if not untested.any():
        return
    columns.tested = np.unique(examples.owner[~untested])
    rows = examples.rows_of(columns.tested)
    columns.scores = {name: column[:, rows] for name, column in columns.scores.items()}
    columns.called = {name: column[:, rows] for name, column in columns.called.items()}


def _add_ensembles(study: Study, title: str, columns: OutOfFold) -> None:
    """Mean scores of the members, seed by seed, where all of them went through the track."""
    track = next(track for track in study.tracks if track.title == title)
    for name in study.models_of(track):
        members = getattr(study.models[name], "of", ())
        if members and set(members) <= set(columns.scores):
            columns.scores[name] = np.mean(np.broadcast_arrays(*(columns.scores[m] for m in members)), axis=0)
            if set(members) <= set(columns.held):
                columns.held[name] = _mean_held([columns.held[member] for member in members])
    order = {name: place for place, name in enumerate(study.models)}
    columns.scores = dict(sorted(columns.scores.items(), key=lambda item: order.get(item[0], len(order))))


def _add_costs_of_ensembles(study: Study, columns: OutOfFold) -> None:
    """An ensemble costs what its members cost together."""
    for name in columns.scores:
        members = getattr(study.models.get(name), "of", ())
        known = [columns.facts[member] for member in members if member in columns.facts]
        if members and len(known) == len(members):
            sums = ("train_cpu_seconds", "predict_cpu_seconds", "parameters")
            total = {k: sum(f[k] for f in known) for k in sums if all(k in f for f in known)}
            rows = {k: f[k] for f in known for k in ("predicted_rows",) if k in f}
            columns.facts[name] = {**rows, **total}


def _mean_held(
    members: Sequence[dict[tuple[int, int], NDArray[np.float64]]],
) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Mean scores of what validated; a member with one seed counts with each of the others'."""
    keys = max(members, key=len)
    return {
        (repeat, fold): np.mean([held.get((repeat, fold), held[0, fold]) for held in members], axis=0)
        for repeat, fold in keys
    }


def _mean_facts(found: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ["train_seconds", "train_cpu_seconds", "predict_cpu_seconds", "predicted_rows"]
    keys += ["epochs", "parameters"]
    means = {k: float(np.mean([f[k] for f in found])) for k in keys if all(k in f for f in found)}
    counts = {f["parameters"] for f in found if "epochs" in f and "parameters" in f}
    # a network of another track may have another number of outputs; trees and support vectors differ by fold
    return means | ({"parameters": found[0]["parameters"]} if counts else {})


def must(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes, all of which have a folder.

    Raises
    ------
    TaskError: one has none.
    """
    failed = [outcome for outcome in outcomes if outcome.folder is None]
    if failed:
        raise TaskError(f"{len(failed)} fit(s) failed, the first, {failed[0].label}: {failed[0].error}")
    return list(outcomes)
