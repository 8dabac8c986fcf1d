"""Figures about the clusters of event atoms: slices, confidence towards the middle, what follows later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.components import components, without_small
from vitrine.evaluate.curves import probability_against_severity
from vitrine.physics.cluster_centres import centre_distances
from vitrine.samples import Examples, Samples
from vitrine.study.figures import median_sample
from vitrine.study.result import Curve, CurveFigure, Figure, SliceFigure
from vitrine.study.scoring import group_codes

if TYPE_CHECKING:
    from vitrine.study.spec import Study

CONFIDENT = 0.05
"""Fraction of the atoms, those with the highest scores, of which clusters of predictions are made."""
SMALLEST, LARGEST = 5, 60
"""Atoms of a cluster that has a middle: a few atoms have none, and a large one reaches around the box."""
_THICKNESS = 4.0
"""Å of a slice, between one and two layers of atoms"""


def confident(score: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The rows with the highest scores, a fraction :data:`CONFIDENT` of all."""
    return score >= np.quantile(score, 1 - CONFIDENT)


def middle_distances(samples: Samples, examples: Examples, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """``(n_rows,)`` Å: distance to the middle of the atom's cluster; nan outside clusters of a middling size.

    chosen: ``(n_rows,)`` booleans; clusters are their connected groups.
    """
    assert examples.edges is not None
    labels = components(chosen, examples.edges)
    size = np.bincount(labels[labels >= 0], minlength=1)
    fits = (labels >= 0) & (size[labels] >= SMALLEST) & (size[labels] <= LARGEST)
    labels = np.where(fits, labels, -1)
    parts = []
    for number, atoms in enumerate(samples.items):
        own = labels[examples.starts[number] : examples.starts[number + 1]]
        local = np.where(own >= 0, np.unique(own, return_inverse=True)[1], -1)
        parts.append(centre_distances(atoms.positions, np.asarray(atoms.cell), local))
    return np.concatenate(parts)


def followed(samples: Samples) -> NDArray[np.bool_]:
    """``(n_samples,)``: which samples were sheared on beyond their first event."""
    return np.array(["first_strain" in atoms.arrays for atoms in samples.items], dtype=bool)


def followed_to(samples: Samples) -> float:
    """Median of the strains to which samples were followed; one with a later first event ends there."""
    return float(
        np.median([atoms.info["followed_to"] for atoms in samples.items if "followed_to" in atoms.info])
    )


def later(samples: Samples) -> NDArray[np.float64]:
    """``(n_rows,)``: strain of the first event of each atom, inf without one, nan if not known."""
    parts = [
        np.asarray(atoms.arrays.get("first_strain", np.full(len(atoms), np.nan))) for atoms in samples.items
    ]
    strains = np.concatenate(parts)
    return np.where(strains == 0, np.inf, strains)


def cluster_figures(
    study: Study, samples: Samples, examples: Examples, scores: dict[str, NDArray[np.float64]]
) -> list[Figure]:
    """All of them, for the main model; none where rows are no atoms with a binary label."""
    score = scores.get(study.main_model)
    if examples.whole or examples.target_kind != "binary" or examples.edges is None or score is None:
        return []
    figures = _slices(study, samples, examples, score) + _towards_middle(study, samples, examples, score)
    return figures + (_followed(study, samples, examples, score) if followed(samples).any() else [])


def _slices(study: Study, samples: Samples, examples: Examples, score: NDArray[np.float64]) -> list[Figure]:
    """A slice in the plane of shear through the event of the sample with the median AUC."""
    chosen = median_sample(examples, score)
    atoms = samples.items[chosen]
    rows = slice(int(examples.starts[chosen]), int(examples.starts[chosen + 1]))
    assert examples.target is not None
    truth = examples.target[rows] > 0.5
    direction = str(atoms.info.get("direction", "xy"))[-2:]
    axes = ["xyz".index(letter) for letter in direction]
    (across,) = {0, 1, 2} - set(axes)
    positions, box = np.asarray(atoms.positions), np.asarray(atoms.cell)
    centre = _circular_mean(positions[truth] if truth.any() else positions, box)
    apart = (positions - centre) @ np.linalg.inv(box)
    placed = (apart - np.round(apart)) @ box
    inside = np.abs(placed[:, across]) <= _THICKNESS / 2
    panels: list[dict[str, Any]] = []
    if examples.severity is not None:
        severity = np.log10(np.maximum(examples.severity[rows], 1e-6))
        label = f"moved ({int((truth & inside).sum())} of {int(truth.sum())} event atoms are in the slice)"
        unit = f"log10 {getattr(study.label, 'severity_label', 'severity')}"
        panels.append(_panel(label, placed, axes, severity, truth, inside, unit))
    panels.append(
        _panel(
            f"predicted by {study.main_model}",
            placed,
            axes,
            score[rows],
            truth,
            inside,
            "predicted probability",
        )
    )
    return [
        SliceFigure(
            name="slice",
            title=f"A slice through the event: {examples.ids[chosen]}",
            caption=f"Atoms within {_THICKNESS / 2:g} Å of the plane of shear through the middle of the "
            "event; dark rims: atoms of the first event. The sample whose AUC is the median of all; its "
            "model has not seen it.",
            x_label=f"{direction[0]} [Å]",
            y_label=f"{direction[1]} [Å]",
            panels=panels,
        )
    ]


def _panel(
    label: str,
    placed: NDArray[np.float64],
    axes: list[int],
    values: NDArray[Any],
    truth: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    unit: str,
) -> dict[str, Any]:
    low, high = np.quantile(values, [0.01, 0.995])
    return {
        "label": label,
        "x": placed[inside, axes[0]].tolist(),
        "y": placed[inside, axes[1]].tolist(),
        "values": values[inside].astype(float).tolist(),
        "marked": truth[inside].astype(float).tolist(),
        "low": float(low),
        "high": float(max(high, low + 1e-9)),
        "unit": unit,
    }


def _circular_mean(positions: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    phase = np.exp(2j * np.pi * positions @ np.linalg.inv(box)).mean(axis=0)
    found: NDArray[np.float64] = np.angle(phase) / (2 * np.pi) @ box
    return found


def _towards_middle(
    study: Study, samples: Samples, examples: Examples, score: NDArray[np.float64]
) -> list[Figure]:
    """Mean confidence against the distance to the middle of true and of false clusters."""
    assert examples.target is not None and examples.edges is not None
    truth = examples.target > 0.5
    wrong = without_small(confident(score) & ~truth, examples.edges, SMALLEST)
    edges = np.array([0.0, 1.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.5, 10.0])
    curves = []
    for label, chosen in (("true clusters", truth), ("false clusters", wrong)):
        distance = middle_distances(samples, examples, chosen)
        known = np.isfinite(distance)
        if not known.any():
            continue
        found = probability_against_severity(
            score[known], distance[known], group_codes(examples)[known], edges, seed=study.seeds.bootstrap
        )
        filled = found.rows >= 10
        if not filled.any():
            continue
        band = bool(np.isfinite(found.low[filled]).all())
        curves.append(
            Curve(
                label=label,
                x=found.centres[filled].tolist(),
                y=found.fraction[filled].tolist(),
                low=found.low[filled].tolist() if band else None,
                high=found.high[filled].tolist() if band else None,
            )
        )
    if not curves:
        return []
    return [
        CurveFigure(
            name="towards-middle",
            title="Confidence towards the middle of clusters",
            caption=f"Mean score of {study.main_model} in clusters of {SMALLEST} to {LARGEST} atoms: event "
            f"atoms, and connected atoms among the {100 * CONFIDENT:g} % with the highest scores that "
            "are not in the event. Bands: 95 % over groups.",
            x_label="distance to the middle of the cluster [Å]",
            y_label="mean score",
            curves=curves,
        )
    ]


def _followed(study: Study, samples: Samples, examples: Examples, score: NDArray[np.float64]) -> list[Figure]:
    """Which share of the atoms outside of the first event takes part in a later one."""
    assert examples.target is not None
    strains, to = later(samples), followed_to(samples)
    rest = (examples.target < 0.5) & ~np.isnan(strains)
    x = np.linspace(0.0, to, 31)
    curves = []
    high = confident(score)
    for label, chosen in (
        ("confident, not in the first event", high & rest),
        ("the other atoms", ~high & rest),
    ):
        sorted_strains = np.sort(strains[chosen])
        share = np.searchsorted(sorted_strains, x, side="right") / max(int(chosen.sum()), 1)
        curves.append(Curve(label=f"{label} ({int(chosen.sum())})", x=x.tolist(), y=share.tolist()))
    return [
        CurveFigure(
            name="followed",
            title="Do false clusters transform at larger strain?",
            caption=f"Atoms outside of the first event in the {int(followed(samples).sum())} samples "
            "that were sheared on: which share has taken part in an event up to this strain. Confident: "
            f"among the {100 * CONFIDENT:g} % with the highest scores of {study.main_model}, out-of-fold.",
            x_label="shear strain",
            y_label="share that has transformed",
            curves=curves,
            y_range=(0.0, 1.0),
        )
    ]
