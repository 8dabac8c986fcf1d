"""The model folders of a run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.study.bundle import write_model_folder
from vitrine.study.composition_reference import Compositions, TrainingReference, usual_distances
from vitrine.study.conformal import misses_of
from vitrine.study.cross_validation import first_seed
from vitrine.study.ensemble_folder import recipes_of
from vitrine.study.reference import copy_companion, reference_of
from vitrine.study.result import Result
from vitrine.study.spec import Study
from vitrine.study.work import Work


def write_models(study: Study, work: Work, out: Path, result: Result) -> None:
    """A folder for each model of the first track, and for the main model of tracks with other samples."""
    for name, fitted in work.final.items():
        examples = work.first.seen[study.models[name].representation]
        more = _nothing
        if name == study.main_model and work.features is not None:
            more = partial(_write_reference, study, work)
        if work.first.samples.kind == "formulas":
            more = partial(_write_training, study, work, name, study.tracks[0].title)
        write_model_folder(
            out / "models" / name, study, name, fitted, work.first.samples, examples, result, more
        )
    for name in study.models_of(study.tracks[0]):
        _write_ensemble(study, work, name, out, result)
    main = study.main_model
    for track, fitted in work.final_of_track.items():
        data = work.data[track]
        examples = data.seen[study.models[main].representation]
        folder = out / "models" / f"{main}-{track}"
        found = replace(result, rows=[row for row in result.rows if row.track == track])
        more = _nothing
        if data.samples.kind == "formulas":
            more = partial(_write_training, study, work, main, track)
        write_model_folder(folder, _as_of(study, track), main, fitted, data.samples, examples, found, more)


def _write_ensemble(study: Study, work: Work, name: str, out: Path, result: Result) -> None:
    """An ensemble of models of formulas, whose members are in one folder."""
    names = getattr(study.models[name], "of", ())
    if not names or work.first.samples.kind != "formulas" or not set(names) <= set(work.final):
        return
    examples = work.first.seen[study.models[names[0]].representation]
    write_model_folder(
        out / "models" / name,
        study,
        name,
        {member: work.final[member] for member in names},
        work.first.samples,
        examples,
        result,
        partial(_write_training, study, work, name, study.tracks[0].title),
        recipes_of(study, names, work.first.seen),
    )


def _nothing(folder: Path) -> None:
    """A model folder needs no more files."""


def _write_reference(study: Study, work: Work, folder: Path) -> None:
    """What the main model of strain maps knows of its training, and the networks of values beside it."""
    assert work.features is not None
    companions = []
    for track, fitted in work.final_of_track.items():
        judged = work.judged[track].truth
        if judged.target_kind == "value" and judged.target is not None:
            lead = first_seed(work.found[track].scores, judged)[study.main_model]
            copy_companion(fitted, folder, track)
            label: Any = study.asked_in(next(t for t in study.tracks if t.title == track)).label
            errors = np.sort(np.abs(lead - judged.target))
            companions.append({"track": track, "unit": label.unit, "residuals": errors.tolist()})
    reference_of(work.features, work.first.samples, companions).write(folder)


def _write_training(study: Study, work: Work, name: str, track: str, folder: Path) -> None:
    """What the model of formulas knows of its training: misses on what was tested, compositions."""
    found, judged = work.found[track], work.judged[track].truth
    if name not in found.scores:
        return
    lead = first_seed({name: found.scores[name]}, judged)[name]
    samples = work.data[track].samples
    if track not in work.usual_distances:
        work.usual_distances[track] = usual_distances(samples, found.folds, study.seeds.bootstrap)
        seen = samples.items["formula"].iloc[work.seen_by_final[track]]
        work.compositions[track] = Compositions.of(list(seen))
    assert judged.target is not None
    misses = np.sort(misses_of(lead, judged.target, judged.target_kind))
    TrainingReference(work.compositions[track], misses, work.usual_distances[track]).write(folder)


def _as_of(study: Study, title: str) -> Study:
    """The study that has this track alone, its source as that of the study."""
    track = next(t for t in study.tracks if t.title == title)
    alone = track.model_copy(update={"source": None, "changes": {}, "label": None})
    return study.asked_in(track).model_copy(update={"source": study.source_of(track), "tracks": (alone,)})
