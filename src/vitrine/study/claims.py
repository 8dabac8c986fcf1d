"""Published claims, each measured on our out-of-fold predictions.

A claim takes the :class:`Evidence` of a run and returns a row of the claims table. ``holds`` is
None where the interval leaves the question open or there are fewer than five groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.claims import called_fraction, spearman_within
from vitrine.evaluate.intervals import Estimate, bootstrap, paired_difference
from vitrine.samples import Examples, Samples
from vitrine.study.result import Claim, Row
from vitrine.study.sweep import Swept

Claimant = TypeVar("Claimant", bound="Callable[[Evidence], Claim]")

LEE_RYU = "Lee & Ryu 2022"


@dataclass(frozen=True)
class Evidence:
    """What claims are judged on: examples and out-of-fold scores of one track.

    samples: that the examples were made of. scores: model -> (n_rows,), of several seeds the first.
    track: name of it. swept: settings of the label that were varied.
    rows: of all tracks, differences and series too.
    groups: (n_rows,) int64, group of each row. main: name of the study's main model.
    """

    samples: Samples
    examples: Examples
    scores: dict[str, NDArray[np.float64]]
    groups: NDArray[np.int64]
    main: str
    threshold: float
    prevalence: float | None
    """published fraction of positives, if the study names one"""
    resamples: int
    seed: int
    track: str = ""
    swept: tuple[Swept, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def truth(self) -> NDArray[np.float32]:
        """(n_rows,) target."""
        assert self.examples.target is not None
        return self.examples.target

    @property
    def severity(self) -> NDArray[np.float32]:
        """(n_rows,) the quantity behind the label."""
        assert self.examples.severity is not None
        return self.examples.severity


def needs(*models: str) -> Callable[[Claimant], Claimant]:
    """Say which models, besides the main one, a claim compares; checked before anything runs."""

    def mark(claim: Claimant) -> Claimant:
        claim.models = models  # type: ignore[attr-defined]
        return claim

    return mark


def interval_text(found: Estimate, digits: int = 3) -> str:
    """Value and interval as text."""
    if found.low is None or found.high is None:
        return f"{found.value:.{digits}f} (no interval: {found.groups} groups)"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def lies_above(found: Estimate, bound: float) -> bool | None:
    """Whether the whole interval lies above (True) or below (False) a bound; None if it holds it."""
    if found.low is None or found.high is None or found.low <= bound < found.high:
        return None
    return found.low > bound


def both(*verdicts: bool | None) -> bool | None:
    """Whether all hold; None if one cannot be said and none fails."""
    if any(verdict is False for verdict in verdicts):
        return False
    return None if any(verdict is None for verdict in verdicts) else True


def above_zero(row: Row | None) -> bool | None:
    """Whether a difference is above 0 (True) or below it (False) with all of its interval, else None."""
    if row is None or row.low is None or row.high is None:
        return None
    return True if row.low > 0 else False if row.high < 0 else None


def row_text(row: Row | None, digits: int = 3, signed: bool = False) -> str:
    """Value and interval of a row as text, with a plus sign if ``signed``; ``not measured`` without one."""
    if row is None or row.value is None:
        return "not measured"
    form = f"{'+' if signed else ''}.{digits}f"
    interval = "" if row.low is None or row.high is None else f" [{row.low:{form}}, {row.high:{form}}]"
    return f"{row.value:{form}}{interval}"


def imbalance_flatters(evidence: Evidence) -> Claim:
    """AUC looks good while average precision stays near zero."""
    found = bootstrap(
        ["roc_auc", "average_precision"],
        evidence.truth,
        evidence.scores[evidence.main],
        evidence.groups,
        resamples=evidence.resamples,
        seed=evidence.seed,
        prevalence=evidence.prevalence,
    )
    auc, ap = found["roc_auc"], found["average_precision"]
    share = evidence.prevalence or float(evidence.truth.mean(dtype=np.float64))
    small = None if ap.high is None else ap.high < 0.05
    return Claim(
        claim="AUC overestimates the predictive power: AUC is well above 0.5 while AP is near zero",
        source=f"{LEE_RYU}, abstract and Table 1 (AUC 0.85, AP 0.016 at 0.18 % positives)",
        ours=f"AUC {interval_text(auc)}; AP at {100 * share:.2g} % positives {interval_text(ap, 4)} "
        f"(chance {share:.4f})",
        holds=both(lies_above(auc, 0.5), small),
        note="holds if the interval of AUC lies above 0.5 and that of AP below 0.05",
    )


def confidence_follows_severity(evidence: Evidence) -> Claim:
    """Among true event atoms confidence rises with D2min."""
    found = spearman_within(
        evidence.scores[evidence.main],
        evidence.severity,
        evidence.truth > 0.5,
        evidence.groups,
        resamples=evidence.resamples,
        seed=evidence.seed,
    )
    return Claim(
        claim="Within true STZ clusters, confidence rises with the non-affine displacement",
        source=f"{LEE_RYU}, abstract and Fig. 3",
        ours=f"Spearman correlation {interval_text(found)} over {found.n} event atoms",
        holds=lies_above(found, 0.0),
    )


def _called(evidence: Evidence, chosen: NDArray[np.bool_]) -> Estimate:
    return called_fraction(
        evidence.scores[evidence.main] >= evidence.threshold,
        chosen,
        evidence.groups,
        resamples=evidence.resamples,
        seed=evidence.seed,
    )


def called_where_large(evidence: Evidence) -> Claim:
    """At large D2min more than 70 % of the atoms are called STZ."""
    large = evidence.severity > 1.0
    source = f"{LEE_RYU}, Fig. 3"
    claim = "The probability of being called STZ levels off above 70 % at large D2min"
    if not large.any():
        return Claim(claim, source, "no atom with D2min above 1 Å²", None)
    found = _called(evidence, large)
    return Claim(
        claim, source, f"{interval_text(found)} of {found.n} atoms with D2min > 1 Å²", lies_above(found, 0.7)
    )


def called_where_small(evidence: Evidence) -> Claim:
    """About a fifth of the atoms that hardly move are called STZ too."""
    found = _called(evidence, (evidence.severity < 0.01) & (evidence.truth < 0.5))
    inside = (
        None if found.low is None or found.high is None else bool(found.high >= 0.14 and found.low <= 0.20)
    )
    return Claim(
        claim="About 20 % of the atoms with small D2min are called STZ (14 % by the printed matrix)",
        source=f"{LEE_RYU}, Fig. 3 and confusion matrix",
        ours=f"{interval_text(found)} of {found.n} atoms with D2min < 0.01 Å²",
        holds=inside,
        note="holds if the interval meets 0.14 to 0.20",
    )


@needs("random_forest")
def network_beats_trees(evidence: Evidence) -> Claim:
    """The main network has a smaller error than the random forest (paired by group)."""
    other = "random_forest"
    found = paired_difference(
        "mae",
        evidence.truth,
        evidence.scores[other],
        evidence.scores[evidence.main],
        evidence.groups,
        resamples=evidence.resamples,
        seed=evidence.seed,
    )
    return Claim(
        claim="Networks on composition vectors beat classical models on the same vectors",
        source="Gupta et al. 2023 (BRNet), abstract",
        ours=f"MAE of {other} minus MAE of {evidence.main}: {interval_text(found, 4)}",
        holds=lies_above(found, 0.0),
        note="a small table and a small network: says nothing about large data",
    )
