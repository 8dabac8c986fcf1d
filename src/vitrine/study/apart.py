"""What is left out on purpose is judged apart from what is like the training, at equal training size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from vitrine.study.chemistry import holds
from vitrine.study.conformal import interval_rows, reaches
from vitrine.study.cross_validation import OutOfFold, first_seed
from vitrine.study.data import Data
from vitrine.study.result import Row
from vitrine.study.scoring import difference_rows, score_rows

if TYPE_CHECKING:
    from vitrine.study.sections import Track
    from vitrine.study.spec import Study

BESIDE = {"data": "in_distribution"}
"""``where`` of rows about samples that are like the training, in a track that leaves others out"""


def equal_rows(study: Study, data: Mapping[str, Data]) -> tuple[Study, str | None]:
    """The study in which every track trains on as many samples as the smallest has, and a note of it.

    A chemistry that is left out takes its samples from the training: without this a larger error could be one
    of less data. data: by track.

    Raises
    ------
    StudyError: the samples are too few for a split.
    """
    if not study.budget.equal:
        return study, None
    sizes = {
        track.title: min(len(fold.train) for fold in data[track.title].folds(track.split))
        for track in study.tracks
    }
    smallest = min(sizes, key=lambda name: sizes[name])
    rows = min(sizes[smallest], study.budget.rows or sizes[smallest])
    budget = study.budget.model_copy(update={"rows": rows})
    why = f", as many as {smallest} leaves" if rows == sizes[smallest] and len(sizes) > 1 else ""
    return study.model_copy(update={"budget": budget}), f"All tracks train on {rows:,} samples{why}."


def beside_rows(study: Study, track: str, data: Data, found: OutOfFold, unit: str | None) -> list[Row]:
    """Metrics, differences and coverage among the tested samples that are like the training.

    data: all samples of the track.
    """
    if found.beside is None:
        return []
    own = found.beside
    truth = own.of(data).truth
    rows = score_rows(study, track, truth, own.scores, unit, BESIDE, prevalences=False)
    differing = difference_rows(study, track, truth, own.scores, unit)
    lead = first_seed(own.scores, truth)
    widths = {name: width for name, width in reaches(own, data.truth).items() if name in lead}
    differing += interval_rows(study, track, truth, lead, widths, unit)
    for row in differing:
        row.where = {**row.where, **BESIDE}
    return rows + differing


def known_rows(study: Study, track: Track, data: Data, found: OutOfFold, unit: str | None) -> list[Row]:
    """Of the track that leaves nothing out: metrics among what each other track leaves out.

    The same kinds of samples, by a model that has seen others of their kind: the error to compare with.
    data: the tested samples.
    """
    if getattr(track.split, "kind", None) != "leave-out" or track.split.leave_out is not None:  # type: ignore[attr-defined]
        return []
    rows = []
    for other in study.tracks:
        what = getattr(other.split, "leave_out", None)
        if what is None:
            continue
        inside = np.flatnonzero(holds(data.samples, what))
        if not len(inside):
            continue
        part = data.truth.select(inside)
        chosen = data.truth.rows_of(inside)
        axis = -2 if part.target_kind == "classes" else -1
        scores = {name: np.take(score, chosen, axis=axis) for name, score in found.scores.items()}
        place = {"data": f"with {what.removeprefix('prototype:')}"}
        rows += score_rows(study, track.title, part, scores, unit, place, prevalences=False)
    return rows
