"""Published claims about clusters of event atoms and about the threshold of D2min."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.claims import fraction_difference, spearman_within
from vitrine.evaluate.components import without_small
from vitrine.evaluate.intervals import Estimate, paired_difference
from vitrine.study.claims import LEE_RYU, Evidence, both, interval_text, lies_above
from vitrine.study.cluster_figures import SMALLEST, confident, followed, followed_to, later, middle_distances
from vitrine.study.result import Claim
from vitrine.study.sweep import Swept

FIGURE_4 = f"{LEE_RYU}, Fig. 4"


def auc_rises_with_threshold(evidence: Evidence) -> Claim:
    """AUC and recall rise with the threshold of D2min."""
    claim = "AUC (0.70 to 0.85) and recall rise as the threshold of D2min grows"
    return _compare(evidence, claim, ("roc_auc", "recall"), rises=True)


def precision_falls_with_threshold(evidence: Evidence) -> Claim:
    """Precision, F1 and average precision fall with the threshold of D2min."""
    claim = "Precision, F1 and AP fall as the threshold of D2min grows"
    return _compare(evidence, claim, ("precision", "f1", "average_precision"), rises=False)


def _compare(evidence: Evidence, claim: str, metrics: tuple[str, ...], *, rises: bool) -> Claim:
    swept = _of_threshold(evidence)
    if swept is None:
        return Claim(claim, FIGURE_4, "the threshold was not varied", None)
    first, last = 0, len(swept.values) - 1
    found = {name: _difference(evidence, swept, name, last, first) for name in metrics}
    words = "; ".join(f"{name.replace('_', ' ')} {interval_text(e)}" for name, e in found.items())
    verdicts = [lies_above(e if rises else _minus(e), 0.0) for e in found.values()]
    return Claim(
        claim,
        FIGURE_4,
        f"{swept.values[last]:g} minus {swept.values[first]:g} Å²: {words}",
        both(*verdicts),
        f"of {_model(evidence, swept)}, retrained at each threshold, at the prevalence found there; holds if "
        "every interval lies on that side of 0",
    )


def mcc_peaks_between(evidence: Evidence) -> Claim:
    """MCC is largest at a threshold between the ends."""
    claim = "MCC peaks at an intermediate threshold of D2min"
    swept = _of_threshold(evidence)
    if swept is None or len(swept.values) < 3:
        return Claim(claim, FIGURE_4, "the threshold was not varied, or took fewer than three values", None)
    model, last = _model(evidence, swept), len(swept.values) - 1
    from vitrine.evaluate.metrics import mcc

    values = [
        mcc(truth.target, np.atleast_2d(found.scores[model])[0], evidence.threshold)  # type: ignore[arg-type]
        for truth, found in zip(swept.truths, swept.found, strict=True)
    ]
    peak = int(np.argmax(values))
    words = ", ".join(f"{value:.3f} at {at:g}" for value, at in zip(values, swept.values, strict=True))
    if peak in (0, last):
        return Claim(claim, FIGURE_4, f"{words} Å²: largest at an end", False)
    ends = [_difference(evidence, swept, "mcc", peak, end) for end in (0, last)]
    return Claim(
        claim,
        FIGURE_4,
        f"{words} Å²; peak minus ends {interval_text(ends[0])} and {interval_text(ends[1])}",
        both(*(lies_above(end, 0.0) for end in ends)),
        "the peak was chosen on the same rows, which flatters it",
    )


def _of_threshold(evidence: Evidence) -> Swept | None:
    for swept in evidence.swept:
        if swept.sweep.setting == "threshold" and len(swept.values) > 1:
            return swept
    return None


def _model(evidence: Evidence, swept: Swept) -> str:
    return evidence.main if evidence.main in swept.sweep.models else swept.sweep.models[0]


def _difference(evidence: Evidence, swept: Swept, metric: str, one: int, other: int) -> Estimate:
    model = _model(evidence, swept)
    return paired_difference(
        metric,
        swept.truths[one].target,  # type: ignore[arg-type]
        swept.found[one].scores[model],
        swept.found[other].scores[model],
        evidence.groups,
        truth_b=swept.truths[other].target,
        threshold=evidence.threshold,
        resamples=evidence.resamples,
        seed=evidence.seed,
    )


def _minus(found: Estimate) -> Estimate:
    low, high = found.low, found.high
    return Estimate(
        -found.value, None if high is None else -high, None if low is None else -low, found.groups, found.n
    )


def confidence_peaks_in_clusters(evidence: Evidence) -> Claim:
    """Confidence is higher towards the middle of true and of false clusters."""
    claim = "Confidence is higher towards the centre of true and of false STZ clusters"
    source = f"{LEE_RYU}, Fig. 3 and abstract"
    if evidence.examples.edges is None:
        return Claim(claim, source, "these examples have no neighbours", None)
    score, truth = evidence.scores[evidence.main], evidence.truth > 0.5
    wrong = without_small(confident(score) & ~truth, evidence.examples.edges, SMALLEST)
    found = {
        "true": _towards(evidence, score, truth),
        "false": _towards(evidence, score, wrong),
    }
    words = "; ".join(
        f"{name} clusters {'none of that size' if e is None else interval_text(e)}"
        for name, e in found.items()
    )
    verdicts = [None if e is None else lies_above(_minus(e), 0.0) for e in found.values()]
    return Claim(
        claim,
        source,
        f"Spearman correlation of confidence with the distance to the middle: {words}",
        both(*verdicts),
        "holds if both lie below 0; false clusters are made of the most confident atoms, so they end where "
        "confidence ends",
    )


def _towards(evidence: Evidence, score: NDArray[np.float64], chosen: NDArray[np.bool_]) -> Estimate | None:
    distance = middle_distances(evidence.samples, evidence.examples, chosen)
    known = np.isfinite(distance)
    if known.sum() < 10:
        return None
    return spearman_within(
        score,
        np.where(known, distance, 0.0),
        known,
        evidence.groups,
        resamples=evidence.resamples,
        seed=evidence.seed,
    )


def false_clusters_follow(evidence: Evidence) -> Claim:
    """Atoms that are called but not in the first event transform at larger strain (a conjecture)."""
    claim = "Many false STZ clusters transform at larger strain"
    source = f"{LEE_RYU}, conclusion (a conjecture)"
    if not followed(evidence.samples).any():
        return Claim(claim, source, "no sample was sheared beyond its first event (follow_to)", None)
    to, strains = followed_to(evidence.samples), later(evidence.samples)
    rest = (evidence.truth < 0.5) & ~np.isnan(strains)
    high, moved = confident(evidence.scores[evidence.main]), np.isfinite(strains)
    found = fraction_difference(
        moved,
        rest & high,
        rest & ~high,
        evidence.groups,
        resamples=evidence.resamples,
        seed=evidence.seed,
    )
    one, other = moved[rest & high].mean(), moved[rest & ~high].mean()
    return Claim(
        claim,
        source,
        f"up to strain {to:g} {one:.3f} of the confident atoms outside of the first event took part in a "
        f"later one, {other:.3f} of the others: difference {interval_text(found)}",
        lies_above(found, 0.0),
        "holds if the interval of the difference lies above 0; confident: the 5 % with the highest scores",
    )
