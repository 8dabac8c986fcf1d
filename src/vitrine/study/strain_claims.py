"""Claims about reading a crystal's history from its strain map, judged on the rows of a result."""

from __future__ import annotations

from vitrine.study.ceiling import CEILING
from vitrine.study.claims import Evidence, above_zero, needs, row_text
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


@needs("resnet", "two_point")
def network_beats_two_point(evidence: Evidence) -> Claim:
    """The paired difference of accuracies, split by trajectory."""
    words = "resnet minus this model"
    honest, leaky = (_row(evidence, t, "two_point", difference=words) for t in (HONEST, LEAKY))
    scalar = _row(evidence, HONEST, "scalar_strain", difference=words)
    return Claim(
        claim="The network is better than two-point statistics (92.48 against 68.24 %)",
        source=f"{YANG}, Table 1",
        ours=f"difference {row_text(honest, signed=True)} by trajectory, "
        f"{row_text(leaky, signed=True)} at random",
        holds=above_zero(honest),
        note="Judged on the split by trajectory. The network minus a forest on mean, spread and histogram of "
        f"the strain alone: {row_text(scalar, signed=True)}.",
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
        ours=f"network minus forest on scalars {row_text(found, signed=True)}",
        holds=above_zero(found),
        note="The forest sees mean, standard deviation and histogram of the strain and no place. What maps "
        f"can tell at most, as those of several classes are the same: {row_text(bound)}.",
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
        ours=f"ensemble minus network {row_text(ours, signed=True)}",
        holds=above_zero(ours),
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
        ours=", ".join(f"{width:g} µm {row_text(found[width])}" for width in widths) or "not measured",
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
        ours=f"0.1 %: {row_text(small)}, 1 %: {row_text(large)}",
        holds=holds,
        note="A reload of 0.1 % stays elastic where no dislocation is left, and the map is constant whatever "
        f"was before; the most that small-reload maps can tell: {row_text(bound)}.",
    )
