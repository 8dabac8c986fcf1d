"""From out-of-fold scores to rows of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.intervals import Estimate, bootstrap, paired_difference
from vitrine.samples import Examples
from vitrine.study.result import PublishedTable, Row

if TYPE_CHECKING:
    from vitrine.study.spec import Study

SHUFFLED = "shuffled_labels"
_PREVALENCE_FREE = {"recall", "roc_auc"}
"""do not change when the classes are re-weighted"""
_IN_UNIT_OF_TARGET = {"mae", "rmse", "bias"}


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
) -> list[Row]:
    """Rows of one track: every model and metric with its interval, published values beside."""
    assert examples.target is not None
    groups = group_codes(examples)
    rows = []
    settings = study.evaluation
    for model, score in scores.items():
        kinds: list[tuple[float | None, str]] = [(None, "own")]
        if settings.published_prevalence is not None and where is None:
            kinds.append((settings.published_prevalence, "published"))
        for prevalence, name in kinds:
            found = bootstrap(
                settings.metrics,
                examples.target,
                score,
                groups,
                threshold=settings.threshold,
                resamples=settings.resamples,
                seed=study.seeds.bootstrap,
                prevalence=prevalence,
            )
            place = dict(where or {})
            if settings.published_prevalence is not None:
                place["prevalence"] = name
            comparable = prevalence is not None or settings.published_prevalence is None
            for metric, estimate in found.items():
                published = None
                if where is None and (comparable or metric in _PREVALENCE_FREE):
                    published = _published(study, track, model, metric)
                rows.append(_row(track, model, metric, estimate, unit, place, published, study))
    return rows


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
        unit=unit if metric in _IN_UNIT_OF_TARGET else None,
        seed=study.seeds.model,
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
    """Main model minus each other model, on the same resamples: what "better" rests on."""
    assert examples.target is not None
    main = study.main_model
    if main not in scores:
        return []
    metric = "average_precision" if "average_precision" in study.evaluation.metrics else None
    metrics = [m for m in (metric, "roc_auc", "mae") if m in study.evaluation.metrics]
    rows = []
    for model, score in scores.items():
        if model in (main, SHUFFLED):
            continue
        for name in metrics:
            found = paired_difference(
                name,
                examples.target,
                scores[main],
                score,
                group_codes(examples),
                threshold=study.evaluation.threshold,
                resamples=study.evaluation.resamples,
                seed=study.seeds.bootstrap,
            )
            place: dict[str, Any] = {"difference": f"{main} minus this model"}
            rows.append(_row(track, model, name, found, unit, place, None, study))
    return rows


def published_tables(study: Study) -> list[PublishedTable]:
    """The published tables as published."""
    return [
        PublishedTable(title=t.title, source=t.source, metrics=list(t.metrics), rows=t.rows)
        for t in study.published
    ]
