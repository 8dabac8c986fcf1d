"""What models look at: explanations of fits on samples that they were not trained on, as rows and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.intervals import bootstrap, mean_over_groups
from vitrine.explain.found import Explained, Picture, Profile
from vitrine.study.cross_validation import OutOfFold
from vitrine.study.data import Data
from vitrine.study.figures import class_names, histogram_figure
from vitrine.study.fitting import load_fitted
from vitrine.study.log import Log
from vitrine.study.result import (
    Curve,
    CurveFigure,
    Figure,
    ImageFigure,
    Row,
    ScatterFigure,
    SliceFigure,
)
from vitrine.study.spec import model_seed

if TYPE_CHECKING:
    from vitrine.study.spec import Study


def explain_track(
    study: Study, track: str, data: Data, found: OutOfFold, log: Log
) -> tuple[list[Row], list[Figure]]:
    """All explanations of one track, each by the fit of the first fold on that fold's test samples."""
    rows: list[Row] = []
    figures: list[Figure] = []
    for part in study.explanations:
        if (part.tracks is not None and track not in part.tracks) or part.model not in found.kept:
            continue
        folder, fold = found.kept[part.model]
        chosen = _some(fold.test, data, part.samples)
        log(f"{track}: {part.kind} of {part.model} on {len(chosen)} samples")
        settings = study.models[part.model]
        examples = data.seen[settings.representation].select(chosen)
        fitted = load_fitted(folder, settings, examples.target_kind, model_seed(study, 0))
        given = [data.samples.select(list(chosen)), examples]
        if part.needs_training:
            learnt = np.sort(np.concatenate([fold.train, fold.validation]))
            given += [data.samples.select(list(learnt)), data.seen[settings.representation].select(learnt)]
        explained: Explained = part.explain(fitted, *given)
        groups = np.asarray(examples.groups)
        rows += _rows(study, track, part, explained, examples.target, groups)
        where, classes = f"{track}-{part.kind}-{part.model}", class_names(study, data.samples)
        figures += [_profile(study, track, where, p, groups) for p in explained.profiles]
        figures += [_picture(track, part.model, where, p) for p in explained.pictures]
        figures += _others(track, part.model, where, explained)
        for name, values in explained.quantities.items():
            title = f"{name}: {track}"
            figures += histogram_figure(study, f"{where}-{name}", title, name, values, examples, classes)
    return rows, figures


def _some(test: NDArray[np.int64], data: Data, most: int) -> NDArray[np.int64]:
    """At most so many of the test samples, of both classes alike where it is one row a sample."""
    truth = data.truth
    if len(test) > most and truth.target is not None and truth.whole and truth.target_kind == "classes":
        order = np.argsort(truth.target[test], kind="stable")
        return np.sort(test[order[np.linspace(0, len(test) - 1, most).astype(np.int64)]])
    if len(test) <= most or truth.target is None or not truth.whole or truth.target_kind != "binary":
        return test[:most]
    positive = truth.target[test] > 0.5
    halves = [test[positive][: most // 2], test[~positive][: most - most // 2]]
    return np.sort(np.concatenate(halves))


def _rows(
    study: Study, track: str, part: Any, found: Explained, target: Any, groups: NDArray[np.str_]
) -> list[Row]:
    settings = {"resamples": study.evaluation.resamples, "seed": study.seeds.bootstrap}
    rows = []
    for (metric, what), values in found.numbers.items():
        known = np.isfinite(values)
        if not known.any():
            continue
        estimate = mean_over_groups(values[known], list(groups[known]), **settings)
        rows.append(_row(track, part, metric, estimate, {"explanation": part.kind, "of": what}))
    rows += [
        Row(track, part.model, metric, value, unit=unit, where={"explanation": part.kind, "of": what})
        for (metric, what, unit), value in found.values.items()
    ]
    for row in rows:
        row.unit = row.unit or found.units.get((row.metric, row.where["of"]))
    classes = np.asarray(target) > 0.5
    for name, values in found.quantities.items():
        if not 0 < classes.sum() < len(classes):
            continue
        codes = np.unique(groups, return_inverse=True)[1]
        estimate = bootstrap(["roc_auc"], classes.astype(float), values, codes, **settings)["roc_auc"]
        rows.append(_row(track, part, "roc_auc", estimate, {"explanation": part.kind, "input": name}))
    return rows


def _row(track: str, part: Any, metric: str, found: Any, where: dict[str, Any]) -> Row:
    return Row(
        track=track,
        model=part.model,
        metric=metric,
        value=None if np.isnan(found.value) else found.value,
        low=found.low,
        high=found.high,
        groups=found.groups,
        n=found.n,
        where=where,
    )


def _profile(study: Study, track: str, where: str, profile: Profile, groups: NDArray[np.str_]) -> Figure:
    """Means over samples with bands over groups, where at least five samples speak."""
    curves = []
    for label, values in profile.curves.items():
        x, y, low, high = [], [], [], []
        for place, column in zip(profile.x, values.T, strict=True):
            known = np.isfinite(column)
            if known.sum() < 5:
                continue
            found = mean_over_groups(
                column[known],
                list(groups[known]),
                resamples=study.evaluation.resamples,
                seed=study.seeds.bootstrap,
            )
            x.append(float(place))
            y.append(found.value)
            low.append(np.nan if found.low is None else found.low)
            high.append(np.nan if found.high is None else found.high)
        if x:
            band = bool(np.isfinite([*low, *high]).all())
            curves.append(Curve(label, x, y, low if band else None, high if band else None))
    if profile.level is not None and curves:
        ends = [float(profile.x[0]), float(profile.x[-1])]
        curves.append(Curve("even share", ends, [profile.level] * 2, reference=True))
    return CurveFigure(
        name=f"{where}-{profile.name}",
        title=f"{profile.title}: {track}",
        caption=f"{profile.caption} Bands: 95 % over groups.",
        x_label=profile.x_label,
        y_label=profile.y_label,
        curves=curves,
    )


def _others(track: str, model: str, where: str, found: Explained) -> list[Figure]:
    """Images, clouds of points and curves as they are."""
    figures: list[Figure] = []
    for images in found.images:
        own = {**vars(images), "name": f"{where}-{images.name}", "title": f"{images.title}: {model}, {track}"}
        figures.append(ImageFigure(**own))
    for cloud in found.clouds:
        own = {**vars(cloud), "name": f"{where}-{cloud.name}", "title": f"{cloud.title}: {model}, {track}"}
        figures.append(ScatterFigure(**own | {"class_names": list(cloud.class_names)}, identity=False))
    for lines in found.lines:
        own = {**vars(lines), "name": f"{where}-{lines.name}", "title": f"{lines.title}: {model}, {track}"}
        figures.append(CurveFigure(**own | {"curves": [Curve(**curve) for curve in lines.curves]}))
    return figures


def _picture(track: str, model: str, where: str, picture: Picture) -> Figure:
    return SliceFigure(
        name=f"{where}-{picture.name}",
        title=f"{picture.title}: {model}, {track}",
        caption=picture.caption,
        x_label="x",
        y_label="y",
        panels=picture.panels,
        radius=picture.radius,
    )
