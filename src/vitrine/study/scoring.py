"""From out-of-fold scores to rows of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.classes import FROM_COUNTS, bootstrap_classes, paired_difference_of_classes
from vitrine.evaluate.components import without_small
from vitrine.evaluate.intervals import Estimate, bootstrap, mean_over_groups, paired_difference
from vitrine.evaluate.metrics import FROM_CONFUSION
from vitrine.evaluate.splits import Fold
from vitrine.samples import Examples, Samples
from vitrine.study.result import PublishedTable, Row

if TYPE_CHECKING:
    from vitrine.study.spec import Study

SHUFFLED = "shuffled_labels"
RANKING = ("roc_auc", "average_precision", "lift")
_PREVALENCE_FREE = {"recall", "roc_auc"}
"""do not change when the classes are re-weighted"""
IN_UNIT_OF_TARGET = {"mae", "rmse", "bias"}


def group_codes(examples: Examples) -> NDArray[np.int64]:
    """(n_rows,) int64: number of the group that each row belongs to."""
    _, codes = np.unique(np.asarray(examples.groups, dtype=str), return_inverse=True)
    result: NDArray[np.int64] = codes[examples.owner]
    return result


def score_rows(
    study: Study,
    track: str,
    examples: Examples,
    scores: dict[str, NDArray[np.float64]],
    unit: str | None,
    where: dict[str, Any] | None = None,
    prevalences: bool | None = None,
) -> list[Row]:
    """Rows of one track: every model and metric with its interval, published values beside.

    Parameters
    ----------
    prevalences: quote metrics at the published prevalence too; by default where no ``where`` is given.
    """
    both = where is None if prevalences is None else prevalences
    assert examples.target is not None
    if examples.target_kind == "classes":
        return class_rows(study, track, examples, scores, where)
    groups = group_codes(examples)
    rows = []
    settings = study.evaluation
    for model, score in scores.items():
        kinds: list[tuple[float | None, str]] = [(None, "own")]
        if settings.published_prevalence is not None and both:
            kinds.append((settings.published_prevalence, "published"))
        for prevalence, name in kinds:
            found = _metrics(study, settings.metrics, examples.target, score, groups, prevalence=prevalence)
            place = dict(where or {})
            if settings.published_prevalence is not None:
                place["prevalence"] = name
            comparable = prevalence is not None or settings.published_prevalence is None
            for metric, estimate in found.items():
                published = None
                if where is None and (comparable or metric in _PREVALENCE_FREE):
                    published = _published(study, track, model, metric)
                place_here = _with_seeds(study, place, score)
                rows.append(_row(track, model, metric, estimate, unit, place_here, published, study))
    return rows


def class_rows(
    study: Study,
    track: str,
    examples: Examples,
    scores: dict[str, NDArray[np.float64]],
    where: dict[str, Any] | None = None,
    published: Mapping[tuple[str, str], float] | None = None,
) -> list[Row]:
    """Rows of several classes: every model and metric with its interval.

    Parameters
    ----------
    published: (model, metric) -> number of the paper; by default that of the study's tables, where no
        ``where`` is given.
    """
    assert examples.target is not None
    groups, settings = group_codes(examples), study.evaluation
    names = [name for name in settings.metrics if name in FROM_COUNTS]
    shared = {"resamples": settings.resamples, "seed": study.seeds.bootstrap}
    rows = []
    for model, score in scores.items():
        seeds = {} if score.ndim == 2 else {"seeds": [study.seeds.model + n for n in range(len(score))]}
        found = bootstrap_classes(names, examples.target, score, groups, **shared)
        for metric, estimate in found.items():
            beside = (published or {}).get((model, metric))
            if where is None:
                beside = _published(study, track, model, metric)
            place = {**(where or {}), **seeds}
            rows.append(_row(track, model, metric, estimate, None, place, beside, study))
    return rows


def subset_rows(
    study: Study,
    track: str,
    samples: Samples,
    examples: Examples,
    scores: dict[str, NDArray[np.float64]],
    unit: str | None,
) -> list[Row]:
    """Metrics among the samples of each value of the attributes that the study names."""
    rows = []
    for names in study.evaluation.subsets:
        columns = np.stack([samples.attributes[name] for name in names], axis=1)
        for values in np.unique(columns, axis=0):
            inside = np.flatnonzero((columns == values).all(axis=1))
            where = dict(zip(names, values.tolist(), strict=True))
            part = examples.select(inside)
            chosen = examples.rows_of(inside)
            axis = -2 if examples.target_kind == "classes" else -1
            own = {model: np.take(score, chosen, axis=axis) for model, score in scores.items()}
            words = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in where.items())
            place = {"subset": words, **where}
            if examples.target_kind == "classes":
                rows += class_rows(study, track, part, own, place, _published_in(study, track, where))
            else:
                rows += score_rows(study, track, part, own, unit, place, prevalences=False)
    return rows


def _published_in(study: Study, track: str, where: dict[str, float]) -> dict[tuple[str, str], float]:
    return {
        (subset.model, subset.metric): subset.value
        for table in study.published
        if table.track in (None, track)
        for subset in table.subsets
        if subset.where == where
    }


def _metrics(
    study: Study,
    names: Sequence[str],
    truth: NDArray[Any],
    score: NDArray[Any],
    groups: NDArray[np.int64],
    *,
    prevalence: float | None = None,
    threshold: float | None = None,
) -> dict[str, Estimate]:
    """Metrics with the resamples and the seed of the study."""
    return bootstrap(
        names,
        truth,
        score,
        groups,
        threshold=study.evaluation.threshold if threshold is None else threshold,
        resamples=study.evaluation.resamples,
        seed=study.seeds.bootstrap,
        prevalence=prevalence,
    )


def _with_seeds(study: Study, where: dict[str, Any], score: NDArray[Any]) -> dict[str, Any]:
    if score.ndim == 1:
        return where
    return where | {"seeds": [study.seeds.model + repeat for repeat in range(len(score))]}


def threshold_rows(
    study: Study, track: str, examples: Examples, called: dict[str, NDArray[np.bool_]]
) -> list[Row]:
    """Metrics of what is called at thresholds chosen on validation samples; also cleaned up."""
    assert examples.target is not None
    groups, settings = group_codes(examples), study.evaluation
    names = [name for name in settings.metrics if name in FROM_CONFUSION]
    kinds: list[tuple[dict[str, Any], Callable[[NDArray[np.bool_]], NDArray[np.bool_]]]] = [
        ({"threshold": f"best {settings.validation_threshold} on validation"}, lambda marked: marked)
    ]
    if settings.clean_up is not None and examples.edges is not None:
        edges, smallest = examples.edges, settings.clean_up
        place = {**kinds[0][0], "connected_groups_of_at_least": smallest}
        kinds.append((place, lambda marked: without_small(marked, edges, smallest)))
    rows = []
    for (place, clean), (model, marked), (prevalence, name) in product(
        kinds, called.items(), _prevalences(study)
    ):
        score = np.stack([clean(row) for row in np.atleast_2d(marked)]).astype(np.float64)
        score = score[0] if marked.ndim == 1 else score
        found = _metrics(study, names, examples.target, score, groups, prevalence=prevalence, threshold=0.5)
        here = _with_seeds(study, place | name, score)
        rows += [_row(track, model, metric, e, None, here, None, study) for metric, e in found.items()]
    return rows


def _prevalences(study: Study) -> list[tuple[float | None, dict[str, str]]]:
    published = study.evaluation.published_prevalence
    if published is None:
        return [(None, {})]
    return [(None, {"prevalence": "own"}), (published, {"prevalence": "published"})]


def feature_rows(
    study: Study, track: str, seen: Mapping[str | None, Examples], folds: Sequence[Fold]
) -> list[Row]:
    """Metrics of ranking of each feature alone, its sign chosen on the training samples of the fold.

    seen: examples by representation, of the same rows; a feature of several of them is taken once.
    """
    from scipy.stats import rankdata

    columns: dict[str, NDArray[np.float32]] = {}
    for examples in seen.values():
        for label, column in zip(examples.feature_labels, examples.features.T, strict=True):
            columns.setdefault(label, column)
    assert examples.target is not None
    groups, truth = group_codes(examples), examples.target > 0.5
    names = [name for name in study.evaluation.metrics if name in RANKING]
    sets = [(examples.rows_of(fold.train), examples.rows_of(fold.test)) for fold in folds]
    rows = []
    for label, column in columns.items():
        rank = rankdata(column) / len(column)  # ties share their mean rank
        signed = np.zeros(len(column))
        for train, test in sets:
            higher = rank[train][truth[train]].mean() >= rank[train][~truth[train]].mean()
            signed[test] = rank[test] if higher else 1 - rank[test]
        found = _metrics(study, names, examples.target, signed, groups)
        place = {"input": "each feature alone"}
        rows += [_row(track, label, metric, e, None, place, None, study) for metric, e in found.items()]
    return rows


def stratum_rows(
    study: Study,
    track: str,
    samples: Samples,
    examples: Examples,
    scores: dict[str, NDArray[np.float64]],
) -> list[Row]:
    """Metrics of ranking among the samples within each range of an attribute."""
    assert examples.target is not None
    groups = group_codes(examples)
    names = [name for name in study.evaluation.metrics if name in RANKING]
    rows = []
    for attribute, bounds in study.evaluation.strata.items():
        for words, inside in strata(samples.attributes[attribute], bounds):
            chosen = inside[examples.owner]
            truth = examples.target[chosen]
            if not 0 < truth.sum() < len(truth):
                continue
            place = {attribute: words, "samples": int(inside.sum())}
            for model, score in scores.items():
                part = np.ascontiguousarray(score[..., chosen])
                found = _metrics(study, names, truth, part, groups[chosen])
                here = _with_seeds(study, place, part)
                rows += [
                    _row(track, model, metric, e, None, here, None, study) for metric, e in found.items()
                ]
    return rows


def sample_rows(
    study: Study, track: str, examples: Examples, scores: dict[str, NDArray[np.float64]]
) -> list[Row]:
    """Metrics of ranking within each sample, averaged over the samples that have both classes.

    What differs between samples (how many atoms take part, how soon) plays no part in them.
    """
    from vitrine.evaluate.metrics import compute

    assert examples.target is not None
    names = [name for name in study.evaluation.metrics if name in RANKING]
    parts = [slice(a, b) for a, b in zip(examples.starts[:-1], examples.starts[1:], strict=True)]
    usable = [i for i, part in enumerate(parts) if 0 < examples.target[part].sum() < part.stop - part.start]
    if not usable:
        return []
    groups = [examples.groups[i] for i in usable]
    rows = []
    for name in names:
        values = {
            model: np.array(
                [
                    np.mean(
                        [compute(name, examples.target[parts[i]], c[parts[i]]) for c in np.atleast_2d(score)]
                    )
                    for i in usable
                ]
            )
            for model, score in scores.items()
        }
        reference = values.get(study.evaluation.reference or "")
        for model, found in values.items():
            kinds = [({"mean_over": "samples"}, found)]
            if reference is not None and model not in (study.evaluation.reference, SHUFFLED):
                words = f"this model minus {study.evaluation.reference}"
                kinds.append(({"difference": words, "mean_over": "samples"}, found - reference))
            for place, numbers in kinds:
                here = _with_seeds(study, place, scores[model])
                estimate = mean_over_groups(
                    numbers, groups, resamples=study.evaluation.resamples, seed=study.seeds.bootstrap
                )
                rows.append(_row(track, model, name, estimate, None, here, None, study))
    return rows


def strata(values: NDArray[np.float64], bounds: Sequence[float]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each range between rising bounds in words, and which values lie in it (its lower bound inside)."""
    edges = [-np.inf, *bounds, np.inf]
    for low, high in pairwise(edges):
        if np.isinf(low):
            words = f"below {high:g}"
        elif np.isinf(high):
            words = f"from {low:g}"
        else:
            words = f"{low:g} to {high:g}"
        yield words, (values >= low) & (values < high)


def _row(
    track: str,
    model: str,
    metric: str,
    found: Estimate,
    unit: str | None,
    where: dict[str, Any],
    published: float | None,
    study: Study,
) -> Row:
    return Row(
        track=track,
        model=model,
        metric=metric,
        value=None if np.isnan(found.value) else found.value,
        low=found.low,
        high=found.high,
        groups=found.groups,
        n=found.n,
        unit=unit if metric in IN_UNIT_OF_TARGET else None,
        seed=study.seeds.model if study.seeds.repeats == 1 else None,
        published=published,
        where=where,
    )


def _published(study: Study, track: str, model: str, metric: str) -> float | None:
    for table in study.published:
        if table.track in (None, track) and model in table.beside:
            return table.rows[table.beside[model]].get(metric)
    return None


def difference_rows(
    study: Study, track: str, examples: Examples, scores: dict[str, NDArray[np.float64]], unit: str | None
) -> list[Row]:
    """Paired differences on the same resamples, what "better" rests on.

    The main model minus each other one, and each other one minus the reference.
    """
    main, reference = study.main_model, study.evaluation.reference
    others = [name for name in scores if name != SHUFFLED]
    rows = []
    if main in scores:
        words = f"{main} minus this model"
        for name in others:
            if name != main:
                rows += differences(study, track, examples, (scores[main], scores[name]), name, words, unit)
    if reference in scores:
        words = f"this model minus {reference}"
        for name in others:
            if name != reference:
                pair = (scores[name], scores[str(reference)])
                rows += differences(study, track, examples, pair, name, words, unit)
    return rows


def differences(
    study: Study,
    track: str,
    examples: Examples,
    pair: tuple[NDArray[np.float64], NDArray[np.float64]],
    model: str,
    words: str,
    unit: str | None,
    where: Mapping[str, Any] | None = None,
) -> list[Row]:
    """One score minus another, by the metrics that compare models.

    where: what else distinguishes the rows.
    """
    assert examples.target is not None
    rows = []
    if examples.target_kind == "classes" and "accuracy" in study.evaluation.metrics:
        found = paired_difference_of_classes(
            "accuracy",
            examples.target,
            *pair,
            group_codes(examples),
            resamples=study.evaluation.resamples,
            seed=study.seeds.bootstrap,
        )
        seeds = {} if pair[0].ndim == 2 else {"seeds": [study.seeds.model + n for n in range(len(pair[0]))]}
        place = {"difference": words, **seeds, **(where or {})}
        return [_row(track, model, "accuracy", found, None, place, None, study)]
    for metric in ("average_precision", "roc_auc", "mae"):
        if metric not in study.evaluation.metrics:
            continue
        found = paired_difference(
            metric,
            examples.target,
            *pair,
            group_codes(examples),
            threshold=study.evaluation.threshold,
            resamples=study.evaluation.resamples,
            seed=study.seeds.bootstrap,
        )
        seeded = max(pair, key=lambda score: score.ndim)
        place = _with_seeds(study, {"difference": words, **(where or {})}, seeded)
        rows.append(_row(track, model, metric, found, unit, place, None, study))
    return rows


def published_tables(study: Study) -> list[PublishedTable]:
    """The published tables as published."""
    return [
        PublishedTable(title=t.title, source=t.source, metrics=list(t.metrics), rows=t.rows)
        for t in study.published
    ]
