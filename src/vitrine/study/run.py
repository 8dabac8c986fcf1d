"""The one place where the stages meet, in order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vitrine
from vitrine.campaign.campaign import Campaign
from vitrine.errors import StudyError, did_you_mean
from vitrine.learn.protocol import Embeds
from vitrine.samples import Examples
from vitrine.study import figures, shelf
from vitrine.study.apart import BESIDE, beside_rows, equal_rows, known_rows
from vitrine.study.budget_table import budget_table, cost_figure, cost_rows
from vitrine.study.ceiling import CEILING, ceiling_scores
from vitrine.study.claims import Evidence
from vitrine.study.class_figures import subset_figures
from vitrine.study.cluster_figures import cluster_figures
from vitrine.study.conformal import interval_rows, reaches
from vitrine.study.cross_validation import (
    Scores,
    cross_validate,
    final_fold,
    first_seed,
    must,
    store_examples,
)
from vitrine.study.data import Data, gather, left_out_lines, source_tasks, unit_of
from vitrine.study.data_curve import data_curve_figures, data_curve_rows, run_data_curve
from vitrine.study.explanations import explain_track
from vitrine.study.fitting import fit_task, load_fitted, resumed_lines
from vitrine.study.leaks import leak_note
from vitrine.study.log import Log
from vitrine.study.look_around import look_around, tell_of_landscapes
from vitrine.study.model_folders import write_models
from vitrine.study.outputs import start_folder, write_outputs, write_refused_rows
from vitrine.study.provenance import provenance, setup_table
from vitrine.study.reference import features_task
from vitrine.study.result import Figure, Result, Row
from vitrine.study.scoring import (
    difference_rows,
    feature_rows,
    group_codes,
    published_tables,
    sample_rows,
    score_rows,
    stratum_rows,
    subset_rows,
    threshold_rows,
)
from vitrine.study.search import run_search, write_search
from vitrine.study.sections import Track
from vitrine.study.series import run_series
from vitrine.study.spec import Study, model_seed
from vitrine.study.sweep import run_sweep, sweep_figures, sweep_rows
from vitrine.study.transfer import run_transfer, transfer_figures, transfer_rows
from vitrine.study.work import Work
from vitrine.tasks import Outcome, Task


def _check_strata(study: Study, data: Data) -> None:
    """Before anything is trained: the samples have what results are to be told apart by."""
    known = data.samples.attributes
    for name in study.evaluation.strata:
        if name not in known:
            raise StudyError(
                f"evaluation.strata.{name}: the samples have no such number{did_you_mean(name, known)}; "
                "take it out, or all of them with --set evaluation.strata=null"
            )
    for name in (name for names in study.evaluation.subsets for name in names):
        if name not in known:
            raise StudyError(
                f"evaluation.subsets: the samples have no attribute {name!r}{did_you_mean(name, known)}"
            )


def run(
    study: Study, out: Path, campaign: Campaign, log: Log | None = None, command: str | None = None
) -> Result:
    """Run a study from source to result; the report is drawn from what this writes.

    Parameters
    ----------
    out: run folder; made, or continued.
    campaign: an entered campaign, with its store.
    command: what was typed, for the provenance.

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
    for source in _sources(study):  # all of them at once, the last ones while the rest goes on
        campaign.submit(source_tasks(source))
    work = _prepare(study, campaign, log)
    study, of_budget = equal_rows(study, work.data)
    _cross_validate(study, work, campaign, log)
    _vary(study, work, campaign, log)
    if study.landscape is not None:
        look_around(study, work, campaign, log)
    _fit_final(study, work, campaign)
    result = _evaluate(study, work, log)
    result.notes += [*([of_budget] if of_budget else []), *work.notes]
    for number in range(len(study.series)):
        rows, drawn = run_series(study, number, campaign, log)
        result.rows += rows
        result.figures += drawn
    result.claims = [shelf.find("claim", name)(_evidence(study, work, result.rows)) for name in study.claims]
    if study.unseen is not None:
        rows, drawn = _predict_unseen(study, work, campaign, log)
        result.rows += rows
        result.figures = [*drawn, *result.figures]
    _conclude(study, work, campaign, result, command)
    write_models(study, work, out, result)
    scores, truths = _predicted(work)
    write_outputs(out, study, truths, scores, result)
    if refused := write_refused_rows(out, work.first.samples):
        log(f"wrote {out / 'refused.csv'}: {refused:,} rows of the table that were left out")
    if work.searched is not None:
        write_search(out, work.searched)
    for line in resumed_lines(campaign.outcomes):
        log(line)
    log(_reused(campaign.outcomes))
    return result


def _predicted(work: Work) -> tuple[dict[str, Scores], dict[str, Examples]]:
    """Scores and truth by track; samples beside what was left out under a name of their own."""
    scores = {track: found.scores for track, found in work.found.items()}
    truths = {track: data.truth for track, data in work.judged.items()}
    for track, found in work.found.items():
        if found.beside is not None:
            name = f"{track}_{BESIDE['data']}"
            scores[name] = found.beside.scores
            truths[name] = found.beside.of(work.data[track]).truth
    return scores, truths


def _sources(study: Study) -> Iterator[Any]:
    """Every source of a study, those of its tracks first."""
    yield from (study.source_of(track) for track in study.tracks)
    if study.transfer is not None:
        for name, changes in study.transfer.sets.items():
            yield study.changed(study.source, changes, f"transfer.sets.{name}")
    for series in study.series:
        for name, changes in series.sources.items():
            yield study.changed(study.source, changes, f"series.sources.{name}")
    if study.unseen is not None:
        yield study.unseen


def _prepare(study: Study, campaign: Campaign, log: Log) -> Work:
    """Sources, label, representations: once for all tracks of one source and label."""
    started = time.monotonic()
    data: dict[str, Data] = {}
    ready: list[tuple[Any, Data]] = []
    for track in study.tracks:
        source = (study.source_of(track), study.asked_in(track).label)
        found = next((known for other, known in ready if other == source), None)
        if found is None:
            sharing = [t for t in study.tracks if (study.source_of(t), study.asked_in(t).label) == source]
            models = [name for t in sharing for name in study.models_of(t)]
            # the first track's source also serves the final fit of every model
            models += study.shipped() if track is study.tracks[0] else []
            found = gather(study.asked_in(track), source[0], models, campaign, log)
            ready.append((source, found))
        data[track.title] = found
    work = Work(data)
    _check_strata(study, work.first)
    work.timings["source, label and representation"] = time.monotonic() - started
    return work


def _cross_validate(study: Study, work: Work, campaign: Campaign, log: Log) -> None:
    """Out-of-fold scores of every model on every track."""
    started = time.monotonic()
    work.found, work.facts = cross_validate(study, work.data, campaign)
    work.judged = {name: found.of(work.data[name]) for name, found in work.found.items()}
    work.timings["cross-validation"] = time.monotonic() - started
    log(f"{len(study.models)} models on {len(study.tracks)} track(s)")


def _vary(study: Study, work: Work, campaign: Campaign, log: Log) -> None:
    """Sweeps and searches, which train again."""
    started = time.monotonic()
    for sweep in study.sweeps:
        work.swept.append(run_sweep(study, sweep, work.first, campaign, log))
    if study.search is not None:
        work.searched = run_search(study, work.first, campaign, log)
    if study.data_curve is not None:
        work.curved = run_data_curve(study, work.data, campaign, log)
    if study.transfer is not None:
        work.transferred = run_transfer(study, campaign, log)
    if work.swept or work.searched or work.curved or work.transferred:
        work.timings["sweeps and searches"] = time.monotonic() - started


def _fit_final(study: Study, work: Work, campaign: Campaign) -> None:
    """Every model once more, on all samples but those that decide when to stop."""
    started = time.monotonic()
    main = study.main_model
    shipped = study.shipped()
    tasks = _final_tasks(study, study.tracks[0], work, shipped, campaign)
    seen = [id(work.first)]
    others = []
    for track in study.tracks[1:]:
        data = work.data[track.title]
        if id(data) not in seen and main in study.fitted_of(track):
            seen.append(id(data))
            others.append(track.title)
            tasks += _final_tasks(study, track, work, [main], campaign)
    folders = []
    for outcome in must(campaign.compute(tasks)):
        assert outcome.folder is not None
        folders.append(outcome.folder)
    work.final = dict(zip(shipped, folders, strict=False))
    work.final_of_track = dict(zip(others, folders[len(shipped) :], strict=True))
    if work.first.samples.kind == "maps" and main in shipped:
        work.features = _features(study, tasks[shipped.index(main)], work.first.truth.target_kind, campaign)
    work.timings["final models"] = time.monotonic() - started


def _features(study: Study, fit: Task, target: str, campaign: Campaign) -> Path | None:
    """Where the final main model's features of all maps are; None of a model that gives none."""
    model, seed = study.models[study.main_model], model_seed(study, 0)
    if not isinstance(model.build(target, seed), Embeds):
        return None
    task = features_task(
        f"features/{study.main_model}", model, fit.needs[0], fit, seed, fit.arguments["validation"]
    )
    return must(campaign.compute([task]))[0].folder


def _final_tasks(
    study: Study, track: Track, work: Work, models: Sequence[str], campaign: Campaign
) -> list[Task]:
    data = work.data[track.title]
    fold = final_fold(study, data.folds(track.split))
    work.seen_by_final[track.title] = np.concatenate([fold.train, fold.validation])
    sets: dict[str, Any] = {"train": fold.train, "validation": fold.validation, "test": fold.test}
    examples = store_examples(study, data, models, campaign)
    prefix = "final" if track is study.tracks[0] else f"final/{track.title}"
    return [
        fit_task(
            f"{prefix}/{name}",
            study.models[name],
            examples[name],
            seed=model_seed(study, 0),
            trials=study.budget.trials,
            **sets,
        )
        for name in models
    ]


def _unit(study: Study, data: Data) -> str | None:
    return unit_of(study.label, data.samples)


def _evaluate(study: Study, work: Work, log: Log) -> Result:
    """Rows, differences, claims and figures of all tracks."""
    started = time.monotonic()
    result = Result(
        study=study.study,
        scale=study.scale,
        version=vitrine.__version__,
        title=study.title,
        question=study.question,
        main_metrics=list(study.evaluation.metrics),
        headline=study.evaluation.headline,
        track_notes={track.title: track.note for track in study.tracks},
        published=published_tables(study),
    )
    for number, track in enumerate(study.tracks):
        _evaluate_track(study, work, track, result, first=number == 0)
        asked, name = study.asked_in(track), track.title
        rows, drawn = explain_track(asked, name, work.data[name], work.found[name], log)
        result.rows += rows
        result.figures += drawn
    for swept in work.swept:
        rows = sweep_rows(study, swept)
        result.rows += rows
        result.figures += sweep_figures(study, swept, rows)
        result.notes += [f"{swept.sweep.key}={value:g}: {why}" for value, why in swept.skipped.items()]
    if work.searched is not None:
        result.rows += work.searched.rows
    if work.curved:
        result.rows += data_curve_rows(study, work.curved)
        result.figures += data_curve_figures(study, work.curved, work.data, result.rows)
    if work.transferred is not None:
        rows = transfer_rows(study, work.transferred)
        result.rows += rows
        result.figures += transfer_figures(study, work.transferred, rows)
    if study.landscape is not None:
        tell_of_landscapes(study, work, result)
    work.timings["evaluation"] = time.monotonic() - started
    return result


def _evaluate_track(study: Study, work: Work, track: Track, result: Result, *, first: bool) -> None:
    """Rows and figures of one track."""
    name, study = track.title, study.asked_in(track)
    data, found = work.judged[name], work.found[name]
    unit, lead = _unit(study, data), first_seed(found.scores, data.truth)
    result.rows += score_rows(study, name, data.truth, found.scores, unit)
    result.rows += difference_rows(study, name, data.truth, found.scores, unit)
    if data.truth.target_kind == "binary" and not data.truth.whole:
        result.rows += sample_rows(study, name, data.truth, found.scores)
    result.rows += _ceiling_rows(study, name, data)
    result.rows += subset_rows(study, name, data.samples, data.truth, found.scores, unit)
    result.rows += beside_rows(study, name, work.data[name], found, unit)
    result.rows += known_rows(study, track, data, found, unit)
    if found.called:
        result.rows += threshold_rows(study, name, data.truth, found.called)
    result.notes += leak_note(name, work.data[name].samples.groups, found.folds)
    widths = {m: w for m, w in reaches(found, work.data[name].truth).items() if m in lead}
    result.rows += interval_rows(study, name, data.truth, lead, widths, unit)
    result.rows += cost_rows(name, found.facts)
    result.tables += budget_table(study, name, found.facts, result.rows)
    drawn: list[Figure] = subset_figures(study, name, result.rows)
    drawn += cost_figure(study, name, found.facts, result.rows)
    if first:
        result.rows += stratum_rows(study, name, data.samples, data.truth, found.scores)
        if study.evaluation.each_feature:
            result.rows += feature_rows(study, name, data.seen, data.folds(track.split))
        drawn += figures.held_out_figure(study, name, data.samples, data.truth, lead)
        drawn += cluster_figures(study, data.samples, data.truth, lead)
    result.figures += [*drawn, *figures.track_figures(study, name, data.truth, lead, unit)]
    result.figures += figures.distribution_figures(study, name, data)


def _ceiling_rows(study: Study, track: str, data: Data) -> list[Row]:
    """The most that any model of strain maps could reach, on all maps and on parts of them."""
    seen = next((each for each in data.seen.values() if each.maps is not None), None)
    if seen is None or seen.target_kind != "classes":
        return []
    scores = {CEILING: ceiling_scores(seen)}
    rows = score_rows(study, track, seen, scores, None)
    return rows + subset_rows(study, track, data.samples, seen, scores, None)


def _evidence(study: Study, work: Work, rows: Sequence[Row]) -> Evidence:
    """What claims are judged on: the first track, the sweeps, and all rows."""
    judged = work.judged[study.tracks[0].title]
    scores = work.found[study.tracks[0].title].scores
    return Evidence(
        samples=judged.samples,
        examples=judged.truth,
        scores=first_seed(scores, judged.truth),
        groups=group_codes(judged.truth),
        main=study.main_model,
        threshold=study.evaluation.threshold,
        prevalence=study.evaluation.published_prevalence,
        resamples=study.evaluation.resamples,
        seed=study.seeds.bootstrap,
        track=study.tracks[0].title,
        swept=tuple(work.swept),
        rows=tuple(rows),
    )


def _predict_unseen(study: Study, work: Work, campaign: Campaign, log: Log) -> tuple[list[Row], list[Figure]]:
    """The unseen source: predicted by the final models, then compared with what happened."""
    started = time.monotonic()
    source: Any = study.unseen
    log("waiting for the specimens that no model has seen")
    data = gather(study, source, study.models, campaign, log, unseen=True)
    if not len(data.samples):
        log("no unseen sample had an event; nothing to compare")
        return [], []
    seen = sorted(set(data.samples.groups) & {g for d in work.data.values() for g in d.samples.groups})
    if seen:
        raise StudyError(
            f"unseen: {seen[0]} is in the source too, so the models have seen it; choose other specimens "
            "(unseen.first_seed, unseen.first) or take it out of the source"
        )
    truth = data.truth
    scores = {
        name: load_fitted(folder, study.models[name], truth.target_kind, model_seed(study, 0)).predict(
            data.seen[study.models[name].representation]
        )
        for name, folder in work.final.items()
    }
    where = {"data": "unseen"}
    rows = score_rows(study, study.tracks[0].title, truth, scores, _unit(study, data), where)
    drawn: list[Figure] = []
    if data.samples.kind == "atoms" and truth.target_kind == "binary" and not truth.whole:
        assert truth.target is not None
        for i in range(min(len(data.samples), 2)):
            part = slice(int(truth.starts[i]), int(truth.starts[i + 1]))
            drawn.append(
                figures.atoms_figure(
                    f"unseen-{i}",
                    f"A specimen that no model has seen: {data.samples.ids[i]}",
                    f"From the unseen source ({source.kind}). Left: the atoms that took part in its first "
                    "event. Right: the prediction; bold are as many atoms as yielded.",
                    data.samples.items[i],
                    truth.target[part],
                    scores[study.main_model][part],
                    study.main_model,
                )
            )
    work.timings["unseen source"] = time.monotonic() - started
    return rows, drawn


def _conclude(study: Study, work: Work, campaign: Campaign, result: Result, command: str | None) -> None:
    """Setup table, notes, provenance and citations."""
    result.setup = setup_table(study, work.data, work.facts)
    sources = {id(data): (track, data.samples) for track, data in reversed(work.data.items())}
    several = len(sources) > 1
    for track, samples in reversed(sources.values()):
        which = f" of track {track}" if several else ""
        note = samples.about.get("note")
        result.notes += [f"The source{which} is {note}."] if note else []
        result.notes += left_out_lines(samples.left_out)
    result.provenance = provenance(study, work.data, work.timings, campaign.outcomes, command)
    parts: list[Any] = [study.source, study.label, study.representation, *study.models.values()]
    parts += [track.label for track in study.tracks if track.label is not None]
    parts += [*study.representations.values(), *(track.source for track in study.tracks if track.source)]
    parts += study.explanations
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
