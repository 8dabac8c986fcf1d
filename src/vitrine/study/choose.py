"""Parts of a study alone: some of its tracks, some of its models, as few as a question needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from vitrine.errors import StudyError, did_you_mean
from vitrine.study import shelf
from vitrine.study.sections import Track
from vitrine.study.spec import Study


def with_tracks(study: Study, names: Sequence[str]) -> Study:
    """The study with these tracks alone, in its own order.

    Raises
    ------
    StudyError: it has no such track.
    """
    titles = [track.title for track in study.tracks]
    for name in names:
        if name not in titles:
            raise StudyError(f"--tracks: no track {name!r}{did_you_mean(name, titles)}")
    kept = tuple(t for t in study.tracks if t.title in names or _follows(t, names))
    changes: dict[str, Any] = {"tracks": kept}
    for name in ("data_curve", "landscape"):
        section = getattr(study, name)
        if section is not None and section.tracks is not None:
            changes[name] = _left(section, "tracks", names)
    explained = []
    for part in study.explanations:
        left = part if part.tracks is None else _left(part, "tracks", names)
        explained += [] if left is None else [left]
    return study.model_copy(update=changes | {"explanations": tuple(explained)})


def _follows(track: Track, names: Sequence[str]) -> bool:
    """Whether a track asks for another target in the manner of one of these tracks."""
    column = getattr(track.label, "column", None)
    return column is not None and any(track.title.startswith(f"{name}_") for name in names)


def with_models(study: Study, names: Sequence[str]) -> Study:
    """The study with these models alone, and without what asks for others: claims, curves, explanations.

    Where the main model is not among them, the last of them takes its place.

    Raises
    ------
    StudyError: it has no such model, or a track would have none.
    """
    for name in names:
        if name not in study.models:
            raise StudyError(f"--models: no model {name!r}{did_you_mean(name, study.models)}")
    models = {name: model for name, model in study.models.items() if name in names}
    for name, model in models.items():
        missing = [member for member in getattr(model, "of", ()) if member not in models]
        if missing:
            raise StudyError(f"--models: {name!r} is made of {missing[0]!r}: name that too")
    tracks = []
    for track in study.tracks:
        kept = tuple(name for name in track.models or names if name in names)
        if kept:
            own = None if track.models is None else kept
            tracks.append(track.model_copy(update={"models": own}))
    if not tracks:
        titles = ", ".join(track.title for track in study.tracks)
        raise StudyError(f"--models: none of {', '.join(names)} goes through a track of {titles}")
    main = study.main_model
    if main not in (tracks[0].models or models):
        main = list(tracks[0].models or models)[-1]
    evaluation = study.evaluation.model_copy(
        update={
            name: None
            for name in ("shuffled_labels", "reference")
            if getattr(study.evaluation, name) not in models
        }
    )
    first = tracks[0].models or tuple(models)
    changes: dict[str, Any] = {
        "models": models,
        "tracks": tuple(tracks),
        "main_model": main,
        "evaluation": evaluation,
        "explanations": tuple(part for part in study.explanations if part.model in models),
        "claims": tuple(claim for claim in study.claims if _can_be_judged(claim, first)),
        "sweeps": tuple(s for s in (_left(s, "models", models) for s in study.sweeps) if s is not None),
    }
    if study.ship is not None:
        changes["ship"] = tuple(name for name in study.ship if name in models) or (main,)
    if study.data_curve is not None:
        curve = _left(study.data_curve, "models", models)
        gone = curve is not None and curve.beside not in models
        changes["data_curve"] = curve.model_copy(update={"beside": None}) if gone else curve
    if study.transfer is not None:
        changes["transfer"] = _left(study.transfer, "models", models)
    for name in ("landscape", "each_element"):
        if getattr(study, name) is not None:
            changes[name] = _left(getattr(study, name), "models", models)
    if changes.get("landscape", study.landscape) is None:
        changes["each_element"] = None
    elif changes.get("each_element") is not None:
        kept = tuple(name for name in changes["each_element"].baselines if name in models)
        changes["each_element"] = changes["each_element"].model_copy(update={"baselines": kept})
    if study.search is not None and study.search.model not in models:
        changes["search"] = None
    return study.model_copy(update=changes)


def _left(section: Any, key: str, names: Collection[str]) -> Any:
    """A section with those of its names alone; None if none is left."""
    left = tuple(name for name in getattr(section, key) if name in names)
    return section.model_copy(update={key: left}) if left else None


def _can_be_judged(claim: str, models: Collection[str]) -> bool:
    return set(getattr(shelf.find("claim", claim), "models", ())) <= set(models)
