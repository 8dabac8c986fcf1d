"""One loss landscape as a task: a fitted network, a few sets of data, and what is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.learn.protocol import HasLoss, Model
from vitrine.samples import Examples
from vitrine.study.fitting import load_fitted
from vitrine.tasks import Task

if TYPE_CHECKING:
    from vitrine.explain.landscape import Probe
    from vitrine.learn.probing import ProbedLoss
    from vitrine.learn.protocol import ModelPart
    from vitrine.study.sections import Landscape

CURVE, SURFACE, FACTS = "curve-{}.npz", "surface-{}.npz", "landscape.json"
BATCH = 100
"""samples that go through a network together, at each point of a landscape"""


def landscape_task(
    label: str,
    model: ModelPart,
    fit: Task,
    seed: int,
    sets: Mapping[str, NDArray[np.int64]],
    settings: Landscape,
) -> Task:
    """The task that probes one fit.

    Parameters
    ----------
    fit: of the network, which was kept; its first need are the examples. seed: of the fit. sets: name ->
        samples whose loss is looked at; the first is of the training.
    """
    chosen = {name: np.asarray(samples, dtype=np.int64) for name, samples in sets.items()}
    own = settings.model_dump(mode="json", exclude={"models", "tracks"})
    return Task(
        label=label,
        kind="landscape",
        recipe={"version": 1, "settings": own, "sets": {n: s.tolist() for n, s in chosen.items()}},
        function=probe_landscape,
        arguments={"model": model, "seed": seed, "sets": chosen, "settings": settings},
        needs=(fit, fit.needs[0]),
    )


def probe_landscape(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    model: ModelPart,
    seed: int,
    sets: Mapping[str, NDArray[np.int64]],
    settings: Landscape,
) -> None:
    """Write ``curve-<n>.npz``, ``surface-<kind>.npz`` and ``landscape.json`` (curvatures, the rise).

    Raises
    ------
    DataError: the model has no loss to be asked for, or one that is not finite.
    """
    examples = Examples.load(inputs[1])
    fitted = load_fitted(inputs[0], model, examples.target_kind, seed)
    probe_into(
        folder, fitted, {name: examples.select(samples) for name, samples in sets.items()}, settings, progress
    )


def probe_into(
    folder: Path,
    fitted: Model,
    parts: Mapping[str, Examples],
    settings: Landscape,
    progress: Callable[[float], None],
) -> None:
    """Write the files of a landscape; what an attempt that was killed left in the folder is gone on from.

    Parameters
    ----------
    parts: name -> examples with targets; the first are of the training.

    Raises
    ------
    DataError: the model has no loss to be asked for, or one that is not finite.
    """
    import torch

    if not isinstance(fitted, HasLoss):
        raise DataError("this model has no loss landscape: it is no network, or learns another quantity")
    first = next(iter(parts.values()))
    value = first.target_kind == "value"
    probe = _probe(fitted, parts, "absolute" if value else "cross-entropy")
    exact = {"dtype": getattr(torch, settings.precision)}
    work = settings.seeds + len(settings.planes) + bool(settings.eigenvalues) * len(parts)

    def told(number: int) -> Callable[[float], None]:
        return lambda done: progress((number + done) / work)

    for number in range(settings.seeds):
        if not (folder / CURVE.format(number)).is_file():
            direction = probe.direction(settings.directions, settings.seed + number)
            how = (settings.reach, settings.points)
            curve = probe.curve(direction, *how, progress=told(number), **exact)
            curve.save(folder / CURVE.format(number))
    for number, kind in enumerate(settings.planes, start=settings.seeds):
        place, path = folder / f"unfinished-{kind}.npz", folder / SURFACE.format(kind)
        if not path.is_file():
            plane, at = probe.plane(kind, settings.seed), (settings.reach, settings.plane_points)
            probe.surface(plane, *at, checkpoint=place, progress=told(number), **exact).save(path)
        place.unlink(missing_ok=True)
    facts: dict[str, Any] = {"rise": _rise(settings, first)}
    if settings.eigenvalues:
        smooth = _probe(fitted, parts, "squared") if value else probe
        facts["curvature"] = {}
        for number, name in enumerate(parts, start=work - len(parts)):
            told(number)(0.0)
            facts["curvature"][name] = _curvature(smooth, name, settings)
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _probe(fitted: HasLoss, parts: Mapping[str, Examples], loss: ProbedLoss) -> Probe:
    from vitrine.explain.landscape import Probe
    from vitrine.learn.probing import row_losses, rows_in

    data = {name: fitted.loss_batches(part, BATCH) for name, part in parts.items()}
    return Probe(
        fitted.network,
        data,
        batch_loss=row_losses(loss, fitted.loss_unit),
        count=rows_in,
        reduction="none",
    )


def _rise(settings: Landscape, train: Examples) -> float:
    """How much more loss still counts as low: a tenth of what always saying the mean costs."""
    if settings.rise is not None:
        return settings.rise
    assert train.target is not None
    target = train.target.astype(np.float64)
    if train.target_kind == "value":
        return 0.1 * float(np.abs(target - target.mean()).mean())
    shares = np.unique(target, return_counts=True)[1] / len(target)
    return 0.1 * float(-(shares * np.log(shares)).sum())


def _curvature(probe: Probe, name: str, settings: Landscape) -> dict[str, Any]:
    count, seeds = settings.eigenvalues, range(settings.seed, settings.seed + settings.probes)
    return probe.curvature(name, top=count, bottom=count, seeds=seeds, steps=settings.lanczos).to_plain()
