"""Claims about reading a crystal's history from its strain map, judged on the rows of a result."""

from __future__ import annotations

from vitrine.study.ceiling import CEILING
from vitrine.study.claims import Evidence, needs
from vitrine.study.result import Claim, Row

YANG = "Yang et al. 2020"
HONEST, LEAKY = "by_trajectory", "random"


def _row(evidence: Evidence, track: str, model: str, **where: object) -> Row | None:
    """The accuracy of a model, with exactly these conditions (seeds aside)."""
    for row in evidence.rows:
        if (row.track, row.model, row.metric) == (track, model, "accuracy") and {
            key: value for key, value in row.where.items() if key not in ("seeds", "subset")
        } == where:
            return row
    return None


def _said(row: Row | None, signed: bool = False) -> str:
    if row is None or row.value is None:
        return "not measured"
    form = "+.3f" if signed else ".3f"
    interval = "" if row.low is None or row.high is None else f" [{row.low:{form}}, {row.high:{form}}]"
    return f"{row.value:{form}}{interval}"


def _sign(row: Row | None) -> bool | None:
    """Whether a difference is above 0: its interval lies on one side, or it cannot be said."""
    if row is None or row.low is None or row.high is None:
        return None
    return True if row.low > 0 else False if row.high <= 0 else None


@needs("resnet", "two_point")
def network_beats_two_point(evidence: Evidence) -> Claim:
    """The paired difference of accuracies, split by trajectory."""
    words = "resnet minus this model"
    honest, leaky = (_row(evidence, t, "two_point", difference=words) for t in (HONEST, LEAKY))
    scalar = _row(evidence, HONEST, "scalar_strain", difference=words)
    return Claim(
        claim="The network is better than two-point statistics (92.48 against 68.24 %)",
        source=f"{YANG}, Table 1",
        ours=f"difference {_said(honest, True)} by trajectory, {_said(leaky, True)} at random",
        holds=_sign(honest),
        note="Judged on the split by trajectory. The network minus a forest on mean, spread and histogram of "
        f"the strain alone: {_said(scalar, True)}.",
    )


@needs("resnet", "scalar_strain")
def network_sees_more_than_amounts(evidence: Evidence) -> Claim:
    """The network against mean, spread and histogram of the strain."""
    words = "resnet minus this model"
    found = _row(evidence, HONEST, "scalar_strain", difference=words)
    bound = _row(evidence, HONEST, CEILING)
    return Claim(
        claim="The network learns the lines of dislocations, not the amount of strain",
        source=f"{YANG}, section 2.3",
        ours=f"network minus forest on scalars {_said(found, True)}",
        holds=_sign(found),
        note="The forest sees mean, standard deviation and histogram of the strain and no place. What maps "
        f"can tell at most, as those of several classes are the same: {_said(bound)}.",
    )


@needs("resnet", "ensemble")
def ensemble_helps(evidence: Evidence) -> Claim:
    """The ensemble of three against the proposed network."""
    found = _row(evidence, HONEST, "ensemble", difference="resnet minus this model")
    ours = found
    if found is not None and found.low is not None and found.high is not None and found.value is not None:
        ours = Row(found.track, found.model, found.metric, -found.value, low=-found.high, high=-found.low)
    return Claim(
        claim="An ensemble of three networks is better than the best of them (93.94 against 92.48 %)",
        source=f"{YANG}, Table 1",
        ours=f"ensemble minus network {_said(ours, True)}",
        holds=_sign(ours),
        note="Split by trajectory.",
    )


@needs("resnet")
def accuracy_falls_with_width(evidence: Evidence) -> Claim:
    """The widest crystals against the narrowest."""
    found = {
        row.where["width"]: row
        for row in evidence.rows
        if (row.track, row.model, row.metric) == (HONEST, "resnet", "accuracy")
        and set(row.where) - {"seeds", "subset"} == {"width"}
    }
    widths = sorted(found)
    holds = None
    if len(widths) > 1:
        narrow, wide = found[widths[0]], found[widths[-1]]
        if None not in (narrow.low, narrow.high, wide.low, wide.high):
            holds = (
                True
                if wide.low > narrow.high  # type: ignore[operator]
                else False
                if wide.high < narrow.low  # type: ignore[operator]
                else None
            )
    return Claim(
        claim="The smaller the crystal, the harder it is to read (95.24 % at 2 µm, 89.33 % at 62.5 nm)",
        source=f"{YANG}, Table 2",
        ours=", ".join(f"{width:g} µm {_said(found[width])}" for width in widths) or "not measured",
        holds=holds,
        note="Split by trajectory; the intervals of the widest and the narrowest must lie apart.",
    )


@needs("resnet")
def small_reload_is_easier(evidence: Evidence) -> Claim:
    """Accuracy after a reload of 0.1 and of 1 %."""
    small, large = (_row(evidence, HONEST, "resnet", reload=value) for value in (0.1, 1.0))
    holds = None
    if small is not None and large is not None and None not in (small.low, small.high, large.low, large.high):
        apart = small.low > large.high or small.high < large.low  # type: ignore[operator]
        holds = bool(small.low > large.high) if apart else None  # type: ignore[operator]
    bound = _row(evidence, HONEST, CEILING, reload=0.1)
    return Claim(
        claim="A reload of 0.1 % tells more than one of 1 %",
        source=f"{YANG}, Table 2 (96.9 against 88.1 %, mean over widths and slip)",
        ours=f"0.1 %: {_said(small)}, 1 %: {_said(large)}",
        holds=holds,
        note="A reload of 0.1 % stays elastic where no dislocation is left, and the map is constant whatever "
        f"was before; the most that small-reload maps can tell: {_said(bound)}.",
    )
