"""The one place where the stages meet, in order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vitrine
from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, StudyError, TaskError
from vitrine.samples import Examples, Samples
from vitrine.study import figures, shelf
from vitrine.study.bundle import write_model_folder
from vitrine.study.claims import Evidence
from vitrine.study.fitting import examples_task, fit_task, load_fitted, read_facts, read_scores
from vitrine.study.log import Log
from vitrine.study.outputs import start_folder, write_outputs
from vitrine.study.provenance import provenance, setup_table
from vitrine.study.result import Figure, Result, Row
from vitrine.study.scoring import (
    SHUFFLED,
    difference_rows,
    group_codes,
    published_tables,
    score_rows,
)
from vitrine.study.spec import Study, model_seed
from vitrine.tasks import Outcome, Task

Scores = dict[str, NDArray[np.float64]]


@dataclass
class Work:
    """What the stages of one run have made so far."""

    samples: Samples
    examples: Examples
    scores: dict[str, Scores] = field(default_factory=dict)
    """track -> model -> (n_rows,) out-of-fold"""
    final: dict[str, Path] = field(default_factory=dict)
    """model -> store entry of the model fitted on all samples"""
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


def run(study: Study, out: Path, campaign: Campaign, log: Log | None = None) -> Result:
    """Run a study from source to result; the report is drawn from what this writes.

    Parameters
    ----------
    out: run folder; made, or continued.
    campaign: an entered campaign, with its store.

    Returns
    -------
    The result, also written to ``out``.

    Raises
    ------
    InputError: the study or its data are wrong. TaskError: a fit failed for good.
    """
    start_folder(out)
    log = Log(None if log is None else log.console, out / "log.txt")
    log(f"vitrine {vitrine.__version__}: {study.study}, scale {study.scale}")
    if study.unseen is not None:
        campaign.submit(_source_tasks(study.unseen))  # runs while the rest goes on
    work = _prepare(study, campaign, log)
    _cross_validate(study, work, campaign, log)
    _fit_final(study, work, campaign)
    result = _evaluate(study, work)
    if study.unseen is not None:
        rows, drawn = _predict_unseen(study, work, campaign, log)
        result.rows += rows
        result.figures = [*drawn, *result.figures]
    _conclude(study, work, campaign, result)
    for name in study.models:
        folder = out / "models" / name
        write_model_folder(folder, study, name, work.final[name], work.samples, work.examples, result)
    write_outputs(out, study, work.examples, work.scores, result)
    log(_reused(campaign.outcomes))
    return result


def _source_tasks(source: Any) -> list[Task]:
    tasks: list[Task] = source.tasks()
    return tasks


def _prepare(study: Study, campaign: Campaign, log: Log) -> Work:
    """Source, label, representation."""
    started = time.monotonic()
    source: Any = study.source
    samples: Samples = source.samples(campaign.compute(_source_tasks(source)))
    for name, reason in samples.left_out.items():
        log(f"left out: {name}: {reason}")
    if not len(samples):
        raise DataError(f"the source {source.kind!r} yielded no usable sample")
    log(f"{len(samples)} samples in {len(set(samples.groups))} groups")
    examples = attach_targets(study, samples, represent(study, samples, campaign))
    work = Work(samples, examples)
    work.timings["source, label and representation"] = time.monotonic() - started
    return work


def represent(study: Study, samples: Samples, campaign: Campaign) -> Examples:
    """Features of samples, through the store."""
    representation: Any = study.representation
    examples: Examples = representation.build(samples, campaign.compute)
    return examples


def attach_targets(study: Study, samples: Samples, examples: Examples) -> Examples:
    """The same examples with the label's targets (and what lies behind them)."""
    label: Any = study.label
    target = np.concatenate(label.targets(samples)).astype(np.float32)
    severity = label.severity(samples)
    if len(target) != examples.n_rows:
        raise StudyError(
            f"label {label.kind!r} gives {len(target)} targets for {examples.n_rows} rows of "
            f"representation {study.representation.kind!r}"  # type: ignore[attr-defined]
        )
    if label.makes == "binary" and not 0 < target.sum() < len(target):
        raise DataError("the labels hold one class only; a threshold or the source must be wrong")
    return replace(
        examples,
        target=target,
        target_kind=label.makes,
        severity=None if severity is None else np.concatenate(severity).astype(np.float32),
    )


def _cross_validate(study: Study, work: Work, campaign: Campaign, log: Log) -> None:
    """Out-of-fold scores of every model on every track, all fits as one campaign."""
    started = time.monotonic()
    examples = examples_task(work.examples)
    plan: list[tuple[str, str, NDArray[np.int64], Task]] = []
    for track in study.tracks:
        split: Any = track.split
        names = list(track.models or study.models)
        for number, fold in enumerate(split.folds_of(work.examples.groups)):
            sets = {"train": fold.train, "validation": fold.validation, "test": fold.test}
            rows = work.examples.rows_of(fold.test)
            for name in names:
                label = f"{split.track}/{name}/{number}"
                # folds of one model differ in their seed, so that chance is not the same everywhere
                task = fit_task(label, study.models[name], examples, seed=model_seed(study, number), **sets)
                plan.append((split.track, name, rows, task))
            null = study.evaluation.shuffled_labels
            if null is not None and null in names:
                shuffle = study.seeds.shuffle + 2 * number
                label = f"{split.track}/{SHUFFLED}/{number}"
                model = study.models[null]
                seed = model_seed(study, number)
                task = fit_task(label, model, examples, seed=seed, shuffle_seed=shuffle, **sets)
                plan.append((split.track, SHUFFLED, rows, task))
    campaign.compute_here([examples])
    outcomes = _must(campaign.compute([task for *_, task in plan]))
    facts: dict[str, list[dict[str, Any]]] = {}
    for (name_of_track, name, rows, _), outcome in zip(plan, outcomes, strict=True):
        assert outcome.folder is not None
        column = work.scores.setdefault(name_of_track, {}).setdefault(
            name, np.full(work.examples.n_rows, np.nan)
        )
        column[rows] = read_scores(outcome.folder)
        facts.setdefault(name, []).append(read_facts(outcome.folder))
    for name, found in facts.items():
        work.facts[name] = _mean_facts(found)
    work.timings["cross-validation"] = time.monotonic() - started
    log(f"{len(plan)} fits on {len(study.tracks)} track(s)")


def _mean_facts(found: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ("train_seconds", "predict_seconds", "epochs", "parameters")
    return {k: float(np.mean([f[k] for f in found])) for k in keys if all(k in f for f in found)}


def _must(outcomes: Sequence[Outcome]) -> list[Outcome]:
    failed = [outcome for outcome in outcomes if outcome.folder is None]
    if failed:
        raise TaskError(f"{len(failed)} fit(s) failed, the first, {failed[0].label}: {failed[0].error}")
    return list(outcomes)


def _fit_final(study: Study, work: Work, campaign: Campaign) -> None:
    """Every model once more, on all samples but those that decide when to stop."""
    started = time.monotonic()
    split: Any = study.tracks[0].split
    fold = split.folds_of(work.examples.groups)[0]
    train = np.sort(np.concatenate([fold.train, fold.test]))
    sets = {"train": train, "validation": fold.validation, "test": np.zeros(0, np.int64)}
    examples = examples_task(work.examples)
    tasks = [
        fit_task(f"final/{name}", model, examples, seed=model_seed(study, 0), **sets)
        for name, model in study.models.items()
    ]
    for name, outcome in zip(study.models, _must(campaign.compute(tasks)), strict=True):
        assert outcome.folder is not None
        work.final[name] = outcome.folder
    work.timings["final models"] = time.monotonic() - started


def _unit(study: Study, samples: Samples) -> str | None:
    unit: str | None = getattr(study.label, "unit", None) or samples.about.get("unit")
    return unit


def _evaluate(study: Study, work: Work) -> Result:
    """Rows, differences, claims and figures of all tracks."""
    started = time.monotonic()
    result = Result(
        study=study.study,
        scale=study.scale,
        version=vitrine.__version__,
        title=study.title,
        question=study.question,
        main_metrics=list(study.evaluation.metrics),
        published=published_tables(study),
    )
    unit = _unit(study, work.samples)
    for number, (track, scores) in enumerate(work.scores.items()):
        result.rows += score_rows(study, track, work.examples, scores, unit)
        result.rows += difference_rows(study, track, work.examples, scores, unit)
        drawn: list[Figure] = []
        if number == 0:
            drawn += figures.held_out_figure(study, track, work.samples, work.examples, scores)
        drawn += figures.track_figures(study, track, work.examples, scores, unit)
        result.figures += drawn
    track, scores = next(iter(work.scores.items()))
    evidence = Evidence(
        examples=work.examples,
        scores=scores,
        groups=group_codes(work.examples),
        main=study.main_model,
        threshold=study.evaluation.threshold,
        prevalence=study.evaluation.published_prevalence,
        resamples=study.evaluation.resamples,
        seed=study.seeds.bootstrap,
    )
    result.claims = [shelf.find("claim", name)(evidence) for name in study.claims]
    work.timings["evaluation"] = time.monotonic() - started
    return result


def _predict_unseen(study: Study, work: Work, campaign: Campaign, log: Log) -> tuple[list[Row], list[Figure]]:
    """The unseen source: predicted by the final models, then compared with what happened."""
    started = time.monotonic()
    source: Any = study.unseen
    log("waiting for the specimens that no model has seen")
    samples: Samples = source.samples(campaign.compute(_source_tasks(source)))
    for name, reason in samples.left_out.items():
        log(f"left out: {name}: {reason}")
    if not len(samples):
        log("no unseen sample had an event; nothing to compare")
        return [], []
    seen = sorted(set(samples.groups) & set(work.samples.groups))
    if seen:
        raise StudyError(
            f"unseen: {seen[0]} is in the source too, so the models have seen it; choose other specimens "
            "(unseen.first_seed, unseen.first) or take it out of the source"
        )
    examples = attach_targets(study, samples, represent(study, samples, campaign))
    scores = {
        name: load_fitted(folder, study.models[name], examples.target_kind, model_seed(study, 0)).predict(
            examples
        )
        for name, folder in work.final.items()
    }
    where = {"data": "unseen"}
    rows = score_rows(study, study.tracks[0].split.track, examples, scores, _unit(study, samples), where)  # type: ignore[attr-defined]
    drawn: list[Figure] = []
    if samples.kind == "atoms" and examples.target_kind == "binary":
        assert examples.target is not None
        for i in range(min(len(samples), 2)):
            part = slice(int(examples.starts[i]), int(examples.starts[i + 1]))
            drawn.append(
                figures.atoms_figure(
                    f"unseen-{i}",
                    f"A specimen that no model has seen: {samples.ids[i]}",
                    f"From the unseen source ({source.kind}). Left: the atoms that took part in its first "
                    "event. Right: the prediction; bold are as many atoms as yielded.",
                    samples.items[i],
                    examples.target[part],
                    scores[study.main_model][part],
                    study.main_model,
                )
            )
    work.timings["unseen source"] = time.monotonic() - started
    return rows, drawn


def _conclude(study: Study, work: Work, campaign: Campaign, result: Result) -> None:
    """Setup table, notes, provenance and citations."""
    result.setup = setup_table(study, work.samples, work.examples, work.facts)
    note = work.samples.about.get("note")
    result.notes = [f"The source is {note}."] if note else []
    result.notes += [f"left out: {name}: {reason}" for name, reason in work.samples.left_out.items()]
    result.provenance = provenance(study, work.samples, work.examples, work.timings, campaign.outcomes)
    parts: list[Any] = [study.source, study.label, study.representation, *study.models.values()]
    found = [*study.citations, *(doi for part in parts for doi in part.citations())]
    result.citations = list(dict.fromkeys(found))


def _reused(outcomes: Sequence[Outcome]) -> str:
    reused = Counter(o.kind for o in outcomes if o.reused)
    made = Counter(o.kind for o in outcomes if not o.reused and o.folder is not None)
    words = []
    for title, counts in (("reused", reused), ("made", made)):
        if counts:
            words.append(f"{title} " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
    return "store: " + ("; ".join(words) or "nothing needed")
