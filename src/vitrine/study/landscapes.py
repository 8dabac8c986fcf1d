"""The loss around trained weights: tasks, numbers with intervals over directions, a table and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.evaluate.intervals import Estimate, mean_over_groups
from vitrine.explain.landscape.results import Curve, Curves, Surface
from vitrine.study import result as drawn
from vitrine.study.cross_validation import OutOfFold, must
from vitrine.study.data import Data, unit_of
from vitrine.study.landscape_task import CURVE, FACTS, SURFACE, landscape_task
from vitrine.study.log import Log
from vitrine.study.result import CurveFigure, Figure, PlainTable, Row, SurfaceFigure
from vitrine.study.spec import model_seed
from vitrine.tasks import Task

if TYPE_CHECKING:
    from vitrine.evaluate.splits import Fold
    from vitrine.study.spec import Study

TRAIN, LIKE, APART = "train", "in_distribution", "left_out"
"""names of the data sets: trained on, more of the kind, left out on purpose"""
WORDS = {TRAIN: "trained on", LIKE: "alike", APART: "left out"}
LANDSCAPE = "landscape"
"""key of ``where`` in the rows: along which directions"""


@dataclass(frozen=True)
class Looked:
    """What was found around the weights of one fit.

    Attributes
    ----------
    unit: of the loss; that of curvatures of values is its square. of_values: whether the loss is an absolute
        error; else it is a cross-entropy. curves: along each direction. surfaces: kind of plane -> surface.
        rise: of the loss, that ends robust radius and basin. curvature: data set -> plain facts of it.
    """

    track: str
    model: str
    unit: str
    of_values: bool
    curves: Curves
    surfaces: dict[str, Surface]
    rise: float
    curvature: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, track: str, model: str, unit: str | None, of_values: bool, folder: Path) -> Looked:
        """Of the store entry of a landscape; unit: of the target."""
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        count = sum(1 for _ in folder.glob(CURVE.format("*")))
        found = {
            path.stem.removeprefix("surface-"): path for path in sorted(folder.glob(SURFACE.format("*")))
        }
        return cls(
            track=track,
            model=model,
            unit=(unit or "") if of_values else "nat",
            of_values=of_values,
            curves=Curves(tuple(Curve.load(folder / CURVE.format(n)) for n in range(count))),
            surfaces={kind: Surface.load(path) for kind, path in found.items()},
            rise=float(facts["rise"]),
            curvature=facts.get("curvature", {}),
        )

    @property
    def sets(self) -> list[str]:
        """Names of the data sets."""
        return list(self.curves.curves[0].losses)

    def loss(self, name: str) -> float:
        """Of the network itself on a data set."""
        return self.curves.curves[0].centre[name]

    def numbers(self, settings: Any, name: str) -> dict[str, NDArray[np.float64]]:
        """Metric -> (seeds,) numbers of the curves on one data set, one for each direction."""
        found = self.curves.numbers(
            name, rise=self.rise, share=settings.relative_rise, radius=settings.radius
        )
        return {ours: np.array(found[theirs]["each"]) for ours, theirs in _CURVE_NUMBERS.items()}

    def of_plane(self, settings: Any, kind: str, name: str) -> dict[str, float]:
        """Metric -> number of one plane on one data set."""
        own = self.surfaces[kind].numbers(
            name, rise=self.rise, share=settings.relative_rise, radius=settings.radius
        )
        return {ours: own[theirs] for ours, theirs in _PLANE_NUMBERS.items()}

    def curvatures(self, name: str) -> dict[str, tuple[float, float | None]]:
        """Metric -> value and its error: extreme eigenvalues (residual), trace (standard error)."""
        told = self.curvature.get(name)
        if told is None:
            return {}
        return {
            "hessian_largest": (float(told["top"][0]), float(told["top_residual"][0])),
            "hessian_least": (float(told["bottom"][0]), float(told["bottom_residual"][0])),
            "hessian_trace": (float(told["trace"]), float(told["trace_error"])),
        }

    def notes(self) -> list[str]:
        """Where losses are not finite."""
        scans = [*self.curves.curves, *self.surfaces.values()]
        found = dict.fromkeys(note for scan in scans for note in scan.notes)
        return [note for note in found if not note.startswith("one point at a time")]


_CURVE_NUMBERS = {
    "sharpness": "sharpness",
    "robust_radius": "robust_radius_rise",
    "robust_radius_relative": "robust_radius_share",
    "basin_width": "basin",
    "minimum_offset": "minimum_offset",
    "roughness": "roughness",
    "roughness_share": "relative_roughness",
    "discontinuities": "jumps",
}
"""our name of a metric -> that of :meth:`vitrine.explain.landscape.results.Scanned.numbers`"""
_PLANE_NUMBERS = {
    "basin_area": "basin",
    "robust_radius": "robust_radius_rise",
    "minimum_offset": "minimum_offset",
    "roughness": "roughness",
    "minima": "minima",
    "largest_persistence": "largest_persistence",
}


def plan_landscapes(study: Study, found: Mapping[str, OutOfFold]) -> list[tuple[str, str, Task]]:
    """Track, model and task of every landscape that the study asks for."""
    settings = study.landscape
    assert settings is not None
    planned = []
    for title in settings.titles(study):
        for model in settings.models:
            fit = found[title].fits.get(model)
            if fit is None:
                continue
            fold = found[title].kept[model][1]
            sets = _sets(fold, settings.samples, settings.seed)
            seed = model_seed(study, 0)
            label = f"landscape/{title}/{model}"
            planned.append(
                (title, model, landscape_task(label, study.models[model], fit, seed, sets, settings))
            )
    return planned


def _sets(fold: Fold, most: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """Samples of each data set, at most so many; without anything left out there are two."""
    whole = {TRAIN: fold.train, LIKE: fold.beside if len(fold.beside) else fold.test}
    if len(fold.beside):
        whole[APART] = np.setdiff1d(fold.test, fold.beside)
    found = {}
    for number, (name, samples) in enumerate(whole.items()):
        drawn = np.random.default_rng([seed, number]).permutation(samples)[:most]
        found[name] = np.sort(drawn)
    return found


def run_landscapes(
    study: Study, data: Mapping[str, Data], found: Mapping[str, OutOfFold], campaign: Campaign, log: Log
) -> list[Looked]:
    """Probe the first fit of every network that is asked for, on every track.

    Raises
    ------
    TaskError: a landscape failed for good, for one because a loss is not finite.
    """
    planned = plan_landscapes(study, found)
    log(f"loss landscapes of {len(planned)} networks")
    looked = []
    for (title, model, _), outcome in zip(
        planned, must([*campaign.compute([task for *_, task in planned])]), strict=True
    ):
        assert outcome.folder is not None
        unit = unit_of(study.asked_in(_track(study, title)).label, data[title].samples)
        of_values = data[title].truth.target_kind == "value"
        looked.append(Looked.read(title, model, unit, of_values, outcome.folder))
    return looked


def _track(study: Study, title: str) -> Any:
    return next(track for track in study.tracks if track.title == title)


def landscape_rows(study: Study, looked: Sequence[Looked]) -> list[Row]:
    """Every number, with its interval over directions where it has several."""
    settings = study.landscape
    assert settings is not None
    rows = []
    for own in looked:
        for name in own.sets:
            place = {LANDSCAPE: settings.directions, "data": name, "of": "curves"}
            for metric, values in own.numbers(settings, name).items():
                rows.append(_row(own, metric, _over_directions(study, values), place))
            for kind in own.surfaces:
                where = {LANDSCAPE: kind, "data": name, "of": "plane"}
                for metric, value in own.of_plane(settings, kind, name).items():
                    rows.append(_row(own, metric, Estimate(value, None, None, 1, 1), where))
            for metric, (value, error) in own.curvatures(name).items():
                told: dict[str, Any] = {LANDSCAPE: "curvature", "data": name}
                told |= {} if error is None else {"error": error}
                rows.append(_row(own, metric, Estimate(value, None, None, 1, 1), told))
    return rows


_IN_UNIT = frozenset({"sharpness", "roughness", "largest_persistence"})


def _row(own: Looked, metric: str, found: Estimate, where: dict[str, Any]) -> Row:
    unit = own.unit if metric in _IN_UNIT else _squared(own) if metric.startswith("hessian") else None
    return Row(
        track=own.track,
        model=own.model,
        metric=metric,
        value=found.value if np.isfinite(found.value) else None,
        low=found.low,
        high=found.high,
        groups=found.groups,
        n=found.n,
        unit=unit or None,
        where=where,
    )


def _squared(own: Looked) -> str:
    """Unit of the loss whose curvature is told: of values the squared error."""
    return f"({own.unit})²" if own.of_values and own.unit else own.unit


def _over_directions(study: Study, values: NDArray[np.float64]) -> Estimate:
    known = values[np.isfinite(values)]
    if not len(known):
        return Estimate(float("nan"), None, None, 0, 0)
    settings: dict[str, Any] = {"resamples": study.evaluation.resamples, "seed": study.seeds.bootstrap}
    return mean_over_groups(known, list(range(len(known))), **settings)


def landscape_notes(looked: Sequence[Looked]) -> list[str]:
    """What must be said of some landscapes: cells whose loss is not finite, networks seen one by one."""
    return [f"{own.track}, {own.model}: {note}" for own in looked for note in own.notes()]


def landscape_table(study: Study, looked: Sequence[Looked]) -> list[PlainTable]:
    """One table for each track, a line for each network and data set."""
    settings = study.landscape
    if settings is None:
        return []
    tables = []
    for title in dict.fromkeys(own.track for own in looked):
        here = [own for own in looked if own.track == title]
        of, squared = (f" [{unit}]" if unit else "" for unit in (here[0].unit, _squared(here[0])))
        columns = ["network", "data", f"loss{of}", f"sharpness{of}", "robust radius", "minimum at"]
        columns += [f"curvature{squared}", f"trace{squared}"]
        lines = [_line(study, own, name) for own in here for name in own.sets]
        note = (
            f"Means over {settings.seeds} random {settings.directions}-normalised directions, 95 % over "
            f"them; steps up to {settings.reach:g}; by 1 the weights change by their own norm. Sharpness: "
            f"largest rise within {settings.radius:g}. Robust radius: until the loss is {here[0].rise:.3g} "
            "above that of the network. Minimum at: the step of the least loss. Curvature: largest "
            "eigenvalue of the Hessian"
            + (" of the squared error" if here[0].of_values else "")
            + "; behind the sign its residual, or the error of the trace. Alike: not trained on, of the "
            "kinds trained on."
        )
        tables.append(PlainTable(f"The loss around the trained weights: {title}", note, columns, lines))
    return tables


def _line(study: Study, own: Looked, name: str) -> list[str]:
    settings = study.landscape
    numbers, curved = own.numbers(settings, name), own.curvatures(name)
    line = [own.model, WORDS.get(name, name), f"{own.loss(name):.4g}"]
    for metric in ("sharpness", "robust_radius", "minimum_offset"):
        line.append(_text(_over_directions(study, numbers[metric])))
    return [*line, _with_error(curved.get("hessian_largest")), _with_error(curved.get("hessian_trace"))]


def _text(found: Estimate) -> str:
    if not np.isfinite(found.value):
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.3g}"
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"


def _with_error(found: tuple[float, float | None] | None) -> str:
    if found is None:
        return "–"
    return f"{found[0]:.3g}" + ("" if found[1] is None else f" ± {found[1]:.2g}")


def landscape_figures(study: Study, looked: Sequence[Looked]) -> list[Figure]:
    """Curves with all data sets together, and planes on the same axes."""
    settings = study.landscape
    assert settings is not None
    figures: list[Figure] = []
    for own in looked:
        label = _loss_label(own)
        figures.append(
            CurveFigure(
                name=f"{own.track}-landscape-{own.model}",
                title=f"Loss against perturbation: {own.model}, {own.track}",
                caption=f"Along {settings.seeds} random {settings.directions}-normalised directions, "
                "the same for all data sets; means, bands from the least to the largest. 0 is the trained "
                "network, at 1 the weights have changed by their own norm.",
                x_label="step along the direction",
                y_label=label,
                curves=[_curve(own, name) for name in own.sets],
            )
        )
        for kind in own.surfaces:
            figures.append(_surface(own, kind, label))
    return figures


def _loss_label(own: Looked) -> str:
    name = "mean absolute error" if own.of_values else "cross-entropy"
    return f"{name} [{own.unit}]" if own.unit else name


def _curve(own: Looked, name: str) -> drawn.Curve:
    curves = own.curves.of(name)
    several = len(curves) > 1 and bool(np.isfinite(curves).all())
    return drawn.Curve(
        label=WORDS.get(name, name),
        x=own.curves.curves[0].axes[0].tolist(),
        y=np.nanmean(curves, axis=0).tolist(),
        low=curves.min(axis=0).tolist() if several else None,
        high=curves.max(axis=0).tolist() if several else None,
    )


def _surface(own: Looked, kind: str, label: str) -> SurfaceFigure:
    surface = own.surfaces[kind]
    steps = surface.axes[0].tolist()
    axes = {
        "hessian": ("step along the steepest curvature", "along the second steepest"),
    }.get(kind, ("step along the first direction", "along the second"))
    what = "of the two steepest curvatures on the training set" if kind == "hessian" else f"{kind}-normalised"
    panels: list[dict[str, Any]] = [
        # the figure's rows go up along y, the array's first axis is the first direction
        {"label": WORDS.get(name, name), "values": surface.of(name).T.tolist()}
        for name in own.sets
    ]
    return SurfaceFigure(
        name=f"{own.track}-surface-{kind}-{own.model}",
        title=f"The loss over a plane of weights: {own.model}, {own.track}",
        caption=f"A plane of directions {what}, the same for all data sets, on one scale of colours. "
        "Cross: the trained network; ring: the least loss of the plane.",
        x_label=axes[0],
        y_label=axes[1],
        value_label=label,
        x=steps,
        y=steps,
        panels=panels,
    )
