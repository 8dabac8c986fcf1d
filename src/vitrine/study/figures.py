"""Figures of a result: arrays computed here, drawn by the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.curves import (
    CurveBand,
    precision_recall_curve,
    probability_against_severity,
    roc_curve,
)
from vitrine.samples import Examples, Samples
from vitrine.study.class_figures import confusion_figures
from vitrine.study.result import AtomsFigure, Curve, CurveFigure, Figure, ScatterFigure
from vitrine.study.scoring import IN_UNIT_OF_TARGET, SHUFFLED, group_codes

if TYPE_CHECKING:
    from vitrine.study.data import Data
    from vitrine.study.spec import Study

MOST_POINTS = 20_000
MOST_BANDS = 5
"""Curves with bands in one figure; more cannot be told apart."""


def metric_label(metric: str, unit: str | None) -> str:
    """``MAE [eV]``: a metric on an axis or over a column, with the unit if its values are in that."""
    name = metric.upper() if metric in ("mae", "rmse") else metric.replace("_", " ")
    return f"{name} [{unit}]" if unit and metric in IN_UNIT_OF_TARGET else name


def track_figures(
    study: Study, track: str, examples: Examples, scores: dict[str, NDArray[np.float64]], unit: str | None
) -> list[Figure]:
    """ROC and PR curves, confusion matrices of several classes, predicted against true for values."""
    if examples.target_kind == "classes":
        return confusion_figures(track, examples, scores)
    if examples.target_kind == "binary":
        return [*_ranking_figures(study, track, examples, scores), *_called(study, track, examples, scores)]
    return [_parity(study, track, examples, scores, unit)]


def _ranking_figures(
    study: Study, track: str, examples: Examples, scores: dict[str, NDArray[np.float64]]
) -> list[Figure]:
    groups = group_codes(examples)
    shared = {"seed": study.seeds.bootstrap}
    shown = {m: s for m, s in scores.items() if m not in ("chance", SHUFFLED)}
    assert examples.target is not None
    if not shown or examples.target.min() == examples.target.max():  # a small set held out may lack a class
        return []
    roc = {m: roc_curve(examples.target, s, groups, **shared) for m, s in shown.items()}
    pr = {m: precision_recall_curve(examples.target, s, groups, **shared) for m, s in shown.items()}
    any_roc, any_pr = next(iter(roc.values())), next(iter(pr.values()))
    n_groups = len(set(examples.groups))
    with_bands = set(shown)
    if len(shown) > MOST_BANDS:
        with_bands = {study.main_model, study.evaluation.reference or study.main_model}
    of = (
        "" if with_bands >= set(shown) else f" (of {' and '.join(m for m in shown if m in with_bands)} alone)"
    )
    band = (
        f"Bands{of}: 95 % over {n_groups} groups." if n_groups >= 5 else "No bands: fewer than five groups."
    )
    assert examples.target is not None
    positives = float(examples.target.mean(dtype=np.float64))
    top = float(np.clip(6 * positives, 0.2, 1.0))
    return [
        CurveFigure(
            name=f"{track}-roc",
            title=f"ROC, {track} out-of-fold",
            caption=f"True against false positive rate of predictions on rows not trained on. {band}",
            x_label="false positive rate",
            y_label="true positive rate (recall)",
            curves=[*_curves(roc, with_bands), _chance(any_roc)],
            x_range=(0.0, 1.0),
            y_range=(0.0, 1.0),
        ),
        CurveFigure(
            name=f"{track}-pr",
            title=f"Precision and recall, {track} out-of-fold",
            caption=f"Positives are {100 * positives:.2g} % of the rows: the precision of chance. The axis "
            f"ends at {top:.2g}; the first rows reach beyond it by luck. {band}",
            x_label="recall",
            y_label="precision",
            curves=[*_curves(pr, with_bands), _chance(any_pr)],
            x_range=(0.0, 1.0),
            y_range=(0.0, top),
        ),
    ]


def _curves(bands: dict[str, CurveBand], shown: set[str]) -> list[Curve]:
    return [
        Curve(
            label=model,
            x=band.x.tolist(),
            y=band.y.tolist(),
            low=None if band.low is None or model not in shown else band.low.tolist(),
            high=None if band.high is None or model not in shown else band.high.tolist(),
        )
        for model, band in bands.items()
    ]


def _chance(band: CurveBand) -> Curve:
    return Curve(label="chance", x=band.x.tolist(), y=band.chance.tolist(), reference=True)


def _called(
    study: Study, track: str, examples: Examples, scores: dict[str, NDArray[np.float64]]
) -> list[Figure]:
    """How often atoms of a severity are called positive, with the histogram of the severity."""
    score = scores.get(study.main_model)
    severity = examples.severity
    if score is None or severity is None:
        return []
    low = max(float(np.quantile(severity, 0.001)), 1e-6)
    edges = np.geomspace(low, max(float(severity.max()), 2 * low) * 1.001, 19)
    groups = group_codes(examples)
    found = probability_against_severity(
        score >= study.evaluation.threshold, severity, groups, edges, seed=study.seeds.bootstrap
    )
    filled = found.rows > 0
    x = found.centres[filled].tolist()
    has_band = bool(np.isfinite(found.low[filled]).all())
    share = (found.rows[filled] / found.rows.sum()).tolist()
    curves = [
        Curve(
            label=f"called positive by {study.main_model}",
            x=x,
            y=found.fraction[filled].tolist(),
            low=found.low[filled].tolist() if has_band else None,
            high=found.high[filled].tolist() if has_band else None,
        ),
        Curve(label="share of atoms in the bin", x=x, y=share, reference=True),
    ]
    return [
        CurveFigure(
            name=f"{track}-called",
            title=f"Probability of being called positive, against {_severity(study)[0]}",
            caption=f"Out-of-fold; the dashed line is the histogram of {_severity(study)[0]} (as in "
            "Lee & Ryu 2022, Fig. 3).",
            x_label=_severity(study)[1],
            y_label="fraction",
            curves=curves,
            x_log=True,
            y_range=(0.0, 1.0),
        )
    ]


def _severity(study: Study) -> tuple[str, str]:
    """What lies behind the label: its name, and with its unit."""
    label = str(getattr(study.label, "severity_label", "severity"))
    return label.partition(" [")[0], label


def _parity(
    study: Study, track: str, examples: Examples, scores: dict[str, NDArray[np.float64]], unit: str | None
) -> Figure:
    assert examples.target is not None
    shown = [m for m in scores if m not in ("mean", SHUFFLED)]
    keep = np.arange(examples.n_rows)
    if len(keep) > MOST_POINTS:
        keep = np.random.default_rng(study.seeds.bootstrap).permutation(len(keep))[:MOST_POINTS]
    target = examples.target[keep].tolist()
    name = f" [{unit}]" if unit else ""
    return ScatterFigure(
        name=f"{track}-parity",
        title=f"Predicted against true, {track} out-of-fold",
        caption="Each point is one row that its model was not trained on; the line is identity.",
        x_label=f"true{name}",
        y_label=f"predicted{name}",
        panels=[{"label": m, "x": target, "y": scores[m][keep].tolist()} for m in shown],
    )


BINS = 24
"""of a histogram"""
MOST_DISTRIBUTIONS = 6
"""features of a representation that are drawn by class"""


def class_names(study: Study, samples: Samples) -> tuple[str, str]:
    """What class 0 and class 1 are called."""
    label: Any = study.label
    if not hasattr(label, "class_names"):
        return "class 0", "class 1"
    names: tuple[str, str] = label.class_names(samples)
    return names


def distribution_figures(study: Study, track: str, data: Data) -> list[Figure]:
    """Features by class, of the representations that the study names."""
    found: list[Figure] = []
    for name in study.evaluation.distributions:
        examples = data.seen.get(name)
        if examples is None or examples.target_kind != "binary":
            continue
        names = class_names(study, data.samples)
        for label, column in list(zip(examples.feature_labels, examples.features.T, strict=True))[
            :MOST_DISTRIBUTIONS
        ]:
            title = f"{label}: {track}"
            place = f"{track}-{name}-{label}"
            found += histogram_figure(study, place, title, label, column, examples, names)
    return found


def histogram_figure(
    study: Study,
    name: str,
    title: str,
    label: str,
    values: NDArray[Any],
    examples: Examples,
    classes: tuple[str, str],
) -> list[Figure]:
    """The share of the rows of each class in bins of a quantity, with bands over groups.

    values: (n_rows,). classes: names of class 0 and class 1.
    """
    assert examples.target is not None
    low, high = (float(x) for x in np.quantile(values, [0.002, 0.998]))
    if not low < high:
        return []
    edges = np.linspace(low, high, BINS + 1)
    known = np.unique(values)
    if len(known) <= BINS:  # counts: a bin for each
        rim = (known[1:] + known[:-1]) / 2
        edges = np.concatenate([[known[0] - 1e-9], rim, [known[-1] + 1e-9]])
        low, high = float(edges[0]), float(edges[-1])
    bins = len(edges) - 1
    middle = (known if bins == len(known) else (edges[1:] + edges[:-1]) / 2).tolist()
    groups = np.asarray(examples.groups)[examples.owner]
    curves = []
    for number, words in enumerate(classes):
        chosen = (examples.target > 0.5) == bool(number)
        if not chosen.any():
            continue
        codes = np.digitize(np.clip(values[chosen], low, np.nextafter(high, low)), edges) - 1
        names, group = np.unique(groups[chosen], return_inverse=True)
        counts = np.zeros((len(names), bins))
        np.add.at(counts, (group, codes), 1.0)
        share = counts.sum(axis=0) / counts.sum()
        band = None
        if len(names) >= 5:
            random = np.random.default_rng(study.seeds.bootstrap)
            drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), 500) @ counts
            drawn /= drawn.sum(axis=1, keepdims=True)
            band = np.quantile(drawn, [0.025, 0.975], axis=0)
        curves.append(
            Curve(
                label=words,
                x=middle,
                y=share.tolist(),
                low=None if band is None else band[0].tolist(),
                high=None if band is None else band[1].tolist(),
            )
        )
    return [
        CurveFigure(
            name=name,
            title=title,
            caption="Share of the rows of each class in each bin. Bands: 95 % over groups.",
            x_label=label,
            y_label="share",
            curves=curves,
        )
    ]


def atoms_figure(
    name: str, title: str, caption: str, atoms: Any, truth: NDArray[Any], score: NDArray[Any], label: str
) -> AtomsFigure:
    """The atoms that yielded beside those predicted to."""
    top = float(np.quantile(score, 0.98)) if len(score) else 1.0
    high = float(max(score.max(), 1e-9))
    return AtomsFigure(
        name=name,
        title=title,
        caption=caption,
        positions=np.asarray(atoms.get_positions(wrap=True)).tolist(),
        species=list(atoms.get_chemical_symbols()),
        cell=np.asarray(atoms.cell).tolist(),
        scenes=[
            {
                "label": f"yielded ({int(truth.sum())} atoms)",
                "values": truth.astype(float).tolist(),
                "low": 0.0,
                "high": 1.0,
                "threshold": 0.5,
                "unit": "event (0 or 1)",
            },
            {
                "label": f"predicted by {label}",
                "values": score.astype(float).tolist(),
                "low": 0.0,
                "high": high,
                "threshold": _as_many(score, int(truth.sum()), top),
                "unit": "predicted probability",
            },
        ],
    )


def _as_many(score: NDArray[Any], wanted: int, otherwise: float) -> float:
    """The score that as many atoms reach as yielded: equal numbers are drawn boldly."""
    if not 0 < wanted < len(score):
        return otherwise
    return float(np.sort(score)[-wanted])


def median_sample(examples: Examples, score: NDArray[np.float64]) -> int:
    """Index of the sample whose AUC is the median: neither the best nor the worst is shown."""
    from vitrine.evaluate.metrics import roc_auc

    assert examples.target is not None
    found = []
    for sample in range(len(examples)):
        rows = slice(examples.starts[sample], examples.starts[sample + 1])
        truth = examples.target[rows]
        if 0 < truth.sum() < len(truth):
            found.append((roc_auc(truth, score[rows]), sample))
    if not found:
        return 0
    return sorted(found)[len(found) // 2][1]


def held_out_figure(
    study: Study, track: str, samples: Samples, examples: Examples, scores: dict[str, NDArray[np.float64]]
) -> list[Figure]:
    """One specimen of the sources, predicted by the model that did not see it."""
    score = scores.get(study.main_model)
    if samples.kind != "atoms" or examples.target_kind != "binary" or examples.whole or score is None:
        return []
    chosen = median_sample(examples, score)
    rows = slice(int(examples.starts[chosen]), int(examples.starts[chosen + 1]))
    assert examples.target is not None
    return [
        atoms_figure(
            f"{track}-atoms",
            f"True and predicted atoms: {examples.ids[chosen]}",
            "The sample whose AUC is the median of all. Bold on the right: as many atoms as yielded, "
            "those with the highest probability.",
            samples.items[chosen],
            examples.target[rows],
            score[rows],
            study.main_model,
        )
    ]
