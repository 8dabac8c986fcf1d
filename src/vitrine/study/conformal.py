"""Intervals around every prediction, and whether they hold what they promise.

Split conformal prediction (doi:10.1561/2200000101): the samples that decide when training stops were not
trained on; the 95th percentile of their absolute errors is how far a prediction may be off. Of n such samples
the interval holds the truth of a further one with a probability between 0.95 and 0.95 + 1 / (n + 1), if the
further one is like them. Stopping by the same samples makes them look a little too good, so what is promised
is measured on the samples that were tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.intervals import mean_over_groups
from vitrine.samples import Examples
from vitrine.study.result import Row
from vitrine.study.scoring import SHUFFLED

if TYPE_CHECKING:
    from vitrine.study.cross_validation import OutOfFold
    from vitrine.study.spec import Study

LEVEL = 0.95


def reach_of(residuals: Sequence[float] | NDArray[np.float64], level: float = LEVEL) -> float:
    """Half width of an interval that holds the truth with this probability.

    The ceil((n + 1) level)-th of n absolute errors on samples not trained on; infinite with too few.
    """
    rising = np.sort(np.asarray(residuals, float))
    place = int(np.ceil((len(rising) + 1) * level)) - 1
    return float(rising[place]) if place < len(rising) else float("inf")


def class_miss(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, classes): one less the probability of each class; scores are (n,) of class 1 or (n, classes)."""
    both = np.stack([1 - scores, scores], axis=1) if scores.ndim == 1 else scores
    return np.asarray(1 - both, dtype=np.float64)


def misses_of(scores: NDArray[np.float64], truth: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """(n,) how wrong scores are: absolute errors; of classes one less the true one's probability.

    Parameters
    ----------
    scores: (n,) of values or of class 1, or (n, classes). truth: (n,). kind: of the target: ``value`` or not.
    """
    if kind == "value":
        return np.asarray(np.abs(scores - truth), dtype=np.float64)
    return class_miss(scores)[np.arange(len(truth)), truth.astype(np.int64)]


def reaches(found: OutOfFold, examples: Examples) -> dict[str, NDArray[np.float64]]:
    """How far the prediction of every tested row by every model may be off, fold by fold.

    Parameters
    ----------
    examples: all of the track, with targets.

    Returns
    -------
    model -> ``(n_tested,)`` float64, of several seeds the first: of values half the width of the interval, of
    classes the most that is missing of a probability of 1 of a class that cannot be excluded. NaN where a
    fold has too few samples to validate.
    """
    if examples.target is None or not examples.whole:
        return {}
    result = {}
    for model, held in found.held.items():
        if model == SHUFFLED:
            continue
        width = np.full(examples.n_rows, np.nan)
        for (repeat, number), scores in held.items():
            fold = found.folds[number]
            if repeat:
                continue
            truth = examples.target[examples.rows_of(fold.validation)]
            reach = reach_of(misses_of(scores, truth, examples.target_kind))
            width[examples.rows_of(fold.test)] = reach if np.isfinite(reach) else np.nan
        result[model] = width if found.tested is None else width[examples.rows_of(found.tested)]
    return result


def interval_rows(
    study: Study,
    track: str,
    judged: Examples,
    scores: Mapping[str, NDArray[np.float64]],
    widths: Mapping[str, NDArray[np.float64]],
    unit: str | None,
) -> list[Row]:
    """Share of the tested rows whose interval holds the truth, and mean half width or number of classes.

    Parameters
    ----------
    judged: the tested rows. scores: model -> (n_rows,) or (n_rows, classes), of several seeds the first.
    widths: of :func:`reaches`.
    """
    if judged.target is None:
        return []
    rows = []
    groups = [judged.groups[owner] for owner in judged.owner]
    size = "interval_half_width" if judged.target_kind == "value" else "classes_left"
    for model, width in widths.items():
        known = np.isfinite(width)
        if model not in scores or not known.any():
            continue
        inside = misses_of(scores[model], judged.target, judged.target_kind) <= width
        sizes = width
        if judged.target_kind != "value":
            sizes = (class_miss(scores[model]) <= width[:, None]).sum(axis=1).astype(np.float64)
        own = [group for group, there in zip(groups, known, strict=True) if there]
        settings: dict[str, Any] = {"resamples": study.evaluation.resamples, "seed": study.seeds.bootstrap}
        for metric, values in (("coverage", inside.astype(np.float64)), (size, sizes)):
            estimate = mean_over_groups(values[known], own, **settings)
            rows.append(
                Row(
                    track=track,
                    model=model,
                    metric=metric,
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    groups=estimate.groups,
                    n=estimate.n,
                    unit=unit if metric == "interval_half_width" else None,
                    seed=study.seeds.model,
                    where={"interval": f"conformal {100 * LEVEL:g} %"},
                )
            )
    return rows
