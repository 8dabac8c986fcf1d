"""Claims about chemistries that were left out, judged on the rows of a result."""

from __future__ import annotations

from collections.abc import Mapping

from vitrine.study.apart import BESIDE
from vitrine.study.claims import Evidence, above_zero, both, row_text
from vitrine.study.each_element import CHEAP, TRACK
from vitrine.study.landscapes import LIKE
from vitrine.study.result import Claim, Row

DALE = "Dale, Li, DeCost & Hattrick-Simpers, abstract"
WORSE = 2.0
"""times the error on what is like the training, from which a model does not transfer"""
TARGETS: Mapping[str, tuple[str, ...]] = {
    "enthalpy": ("e_form", "e_form_joined", "formation_energy"),
    "gap": ("gap", "gap_pbe"),
}


def enthalpy_transfers_but_for_oxygen(evidence: Evidence) -> Claim:
    """Errors of the main model on compounds of Fe and of O, left out, over those on its own kind."""
    verdicts, said = _transfers(evidence, "enthalpy")
    return Claim(
        claim="Networks that learn the enthalpy generalise to chemistries that were left out, oxides "
        "excepted",
        source=DALE,
        ours=said,
        holds=both(verdicts["Fe"], _not(verdicts["O"])),
        note=_NOTE,
    )


def gap_transfers_to_neither(evidence: Evidence) -> Claim:
    """The same of the band gap."""
    verdicts, said = _transfers(evidence, "gap")
    return Claim(
        claim="Networks that learn the band gap generalise neither to compounds of Fe nor to those of O",
        source=DALE,
        ours=said,
        holds=both(_not(verdicts["Fe"]), _not(verdicts["O"])),
        note=_NOTE,
    )


_NOTE = (
    f"A model transfers if its MAE on what was left out is less than {WORSE:g} times that on what is like "
    "the training; the interval is that of the first. All tracks train on equally many samples."
)


def _transfers(evidence: Evidence, target: str) -> tuple[dict[str, bool | None], str]:
    """Element -> whether the main model transfers to it, and the errors in words."""
    verdicts: dict[str, bool | None] = {"Fe": None, "O": None}
    about = str(evidence.samples.about.get("target"))
    if about not in TARGETS[target]:
        return verdicts, f"not measured: the target is {about}"
    said = []
    for element in verdicts:
        track = f"without_{element}"
        out, alike = _error(evidence, track, {}), _error(evidence, track, BESIDE)
        if out is None or alike is None or alike.value is None:
            said.append(f"{element}: not left out")
            continue
        said.append(f"{element} left out {row_text(out)}, alike {row_text(alike)}")
        bound = WORSE * alike.value
        if out.low is not None and out.high is not None:
            verdicts[element] = True if out.high < bound else False if out.low > bound else None
    return verdicts, f"MAE of {evidence.main}: " + "; ".join(said)


def _error(evidence: Evidence, track: str, where: Mapping[str, str]) -> Row | None:
    for row in evidence.rows:
        place = {key: value for key, value in row.where.items() if key != "seeds"}
        if (row.track, row.model, row.metric) == (track, evidence.main, "mae") and place == where:
            return row
    return None


def _not(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict


def geometry_tells_failure(evidence: Evidence) -> Claim:
    """Rank correlation, over elements left out, of the robust radius on known data with the error."""
    found = {
        (str(row.where.get("predictor")), str(row.where.get("data"))): row
        for row in evidence.rows
        if (row.track, row.metric, row.where.get("of")) == (TRACK, "spearman", "mae")
        and (row.model == evidence.main)
    }
    radius = found.get(("robust_radius", LIKE))
    said = "not measured: no element after the other was left out"
    if found:
        cheap = [(name, row) for (name, _), row in found.items() if name in CHEAP]
        words = [f"{name} {row_text(row, 2)}" for name, row in cheap]
        said = f"robust radius {row_text(radius, 2)}; beside it " + ", ".join(words)
        said += f"; over {radius.groups if radius is not None else 0} elements"
    return Claim(
        claim="Where performance stays despite perturbed weights, the representation is robust: the "
        "geometry of the loss on known data tells how well a network does on a chemistry that it never saw",
        source=f"{DALE} (no number is given there)",
        ours=said,
        holds=_not(above_zero(radius)),
        note="Spearman's rank correlation with the MAE on the element left out; holds if the interval "
        "is below 0: the larger the radius, the smaller the error",
    )
