"""Claims about telling liquids from glasses, judged on the rows of a result: tracks, differences, series."""

from __future__ import annotations

from collections.abc import Iterable

from vitrine.study.claims import Evidence, needs
from vitrine.study.result import Claim, Row
from vitrine.study.series import TRACK as SERIES

SWANSON = "Swanson et al. 2020, abstract"
PERFECT = 0.98
NETWORKS = ("cnn_paper", "mpnn")
CONVOLUTIONS = ("cnn_paper", "cnn_pooled")
"""The published one learns nothing from a few hundred pictures; better than that is no merit."""
THERMAL, MATCHED = "thermal", "inherent_matched"


def _rows(evidence: Evidence, **wanted: object) -> list[Row]:
    return [row for row in evidence.rows if all(getattr(row, key) == value for key, value in wanted.items())]


def _auc(evidence: Evidence, track: str, model: str) -> Row | None:
    found = _rows(evidence, track=track, model=model, metric="roc_auc")
    plain = [row for row in found if not set(row.where) - {"seeds"}]
    return plain[0] if plain else None


def _said(row: Row | None, name: str) -> str:
    if row is None or row.value is None:
        return f"{name}: not measured"
    if row.low is None or row.high is None:
        return f"{name} {row.value:.3f} (no interval: {row.groups} groups)"
    return f"{name} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def _above(rows: Iterable[Row | None], bound: float) -> bool | None:
    """All intervals above the bound: True; one below it: False; None if it cannot be said."""
    said: list[bool | None] = []
    for row in rows:
        if row is None or row.low is None or row.high is None:
            said.append(None)
        else:
            said.append(True if row.low > bound else False if row.high <= bound else None)
    if False in said:
        return False
    return None if None in said else True


def _tell(evidence: Evidence, track: str, claim: str, note: str) -> Claim:
    rows = [_auc(evidence, track, name) for name in NETWORKS]
    return Claim(
        claim=claim,
        source=SWANSON,
        ours="AUC " + ", ".join(_said(row, name) for row, name in zip(rows, NETWORKS, strict=True)),
        holds=_above(rows, PERFECT),
        note=note,
    )


@needs(*NETWORKS)
def networks_tell_phases(evidence: Evidence) -> Claim:
    """Both networks reach an AUC above 0.98 on thermal configurations."""
    pairs = _auc(evidence, THERMAL, "radial_distribution")
    return _tell(
        evidence,
        THERMAL,
        "Both networks tell liquids from glasses with an AUC above 0.98",
        f"On thermal configurations, where temperature gives the answer away: {_said(pairs, 'g(r)')}. "
        "Both intervals must lie above 0.98.",
    )


@needs(*NETWORKS)
def networks_tell_phases_at_equal_energy(evidence: Evidence) -> Claim:
    """The same for inherent structures of equal energy."""
    energy = _auc(evidence, MATCHED, "inherent_energy")
    return _tell(
        evidence,
        MATCHED,
        "Both networks do so at equal inherent-structure energy too",
        "On inherent structures matched in energy, where the paper has thermal configurations of equal "
        f"inherent-structure energy; {_said(energy, 'energy alone')}. Both intervals must lie above 0.98.",
    )


@needs(*NETWORKS)
def message_passing_beats_convolution(evidence: Evidence) -> Claim:
    """The paired difference to each convolutional network, on each track."""
    tracks = dict.fromkeys(row.track for row in evidence.rows if row.track != SERIES)
    found = {}
    for model in CONVOLUTIONS:
        for track in tracks:
            for row in _rows(evidence, track=track, model=model, metric="roc_auc"):
                if row.where.get("difference") == f"{evidence.main} minus this model":
                    found[model, track] = row
    judged = [row for (_, track), row in found.items() if track == MATCHED]
    return Claim(
        claim="Message passing is better than the convolutional network",
        source=SWANSON,
        ours="AUC of message passing minus CNN: "
        + ", ".join(
            _said(row, f"{model}, {track}".replace("_", " ")) for (model, track), row in found.items()
        ),
        holds=_both(_above(judged or [None], 0.0), _above([_auc(evidence, MATCHED, evidence.main)], 0.5)),
        note="Judged on inherent structures of equal energy, against every convolutional network; message "
        "passing must be above chance too; on thermal ones both may be perfect.",
    )


def _both(first: bool | None, second: bool | None) -> bool | None:
    if False in (first, second):
        return False
    return None if None in (first, second) else True


def metrics_follow_glass_formation(evidence: Evidence) -> Claim:
    """The three structural metrics change along the cooling."""
    series = [row for row in _rows(evidence, track=SERIES) if "temperature" in row.where]
    said: list[bool | None] = []
    words = []
    for name in dict.fromkeys(row.model for row in series):
        own = sorted((r for r in series if r.model == name), key=lambda r: float(r.where["temperature"]))
        cold, hot = own[0], own[-1]
        words.append(
            f"{_said(hot, name)} at {hot.where['temperature']:g}, {_said(cold, '')} at "
            f"{cold.where['temperature']:g}"
        )
        bounds = (cold.low, cold.high, hot.low, hot.high)
        if any(bound is None for bound in bounds):
            said.append(None)
        else:
            said.append(bool(cold.low > hot.high or cold.high < hot.low))  # type: ignore[operator]
    holds = None if not said or None in said else all(said)
    return Claim(
        claim="Three structural metrics characterise glass formation",
        source=SWANSON,
        ours="; ".join(words) or "no cooling curve",
        holds=holds,
        note="Inherent structures along the cooling: the intervals of each metric at the highest and at the "
        "lowest temperature must not touch. That they change says nothing of whether they tell a glass from "
        "a liquid of the same energy: see their rows.",
    )
