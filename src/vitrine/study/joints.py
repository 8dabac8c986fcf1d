"""Check that the parts of a study fit together, before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vitrine.errors import StudyError, did_you_mean
from vitrine.study import shelf
from vitrine.study.sections import metrics_for

if TYPE_CHECKING:
    from vitrine.study.spec import Study

RESERVED = {"id", "group", "truth", "shuffled_labels"}
"""Columns of ``predictions/<track>.parquet`` that are no model's; a model of such a name would hide one."""


def check_joints(study: Study) -> None:
    """Raise StudyError where two neighbouring parts do not fit, and say what would."""
    _check_chain(study)
    _check_models(study)
    _check_tracks(study)
    _check_evaluation(study)
    _check_published(study)
    _check_sweeps(study)
    _check_search(study)
    _check_more(study)
    for claim in study.claims:
        try:
            needed = getattr(shelf.find("claim", claim), "models", ())
        except StudyError as error:
            raise StudyError(f"claims: {error}") from error
        first = study.models_of(study.tracks[0])
        missing = [name for name in needed if name not in first]
        if missing:
            raise StudyError(
                f"claims: {claim!r} compares with the model {missing[0]!r}, which is not in models"
            )


def _check_chain(study: Study) -> None:
    """Sources, label and representations speak of the same kind of samples."""
    sources: dict[str, Any] = {"source": study.source, "unseen": study.unseen}
    for number, track in enumerate(study.tracks):
        sources[f"tracks.{number}.source"] = study.source_of(track)
    takers: dict[str, Any] = {"label": study.label, "representation": study.representation}
    for number, track in enumerate(study.tracks):
        if track.label is not None:
            takers[f"tracks.{number}.label"] = track.label
    takers |= {f"representations.{name}": part for name, part in study.representations.items()}
    for name, part in sources.items():
        if part is None:
            continue
        for where, taker in takers.items():
            stage = "label" if where.endswith("label") else "representation"
            if taker.takes != part.yields:
                fitting = [k for k in shelf.kinds(stage) if _says(stage, k, "takes") == part.yields]
                raise StudyError(
                    f"{name} {part.kind!r} yields {part.yields}, but {where} {taker.kind!r} takes "
                    f"{taker.takes}; fitting {stage}s: {', '.join(fitting) or 'none'}"
                )


def _check_models(study: Study) -> None:
    targets = _targets_of_models(study)
    for name, model in study.models.items():
        if name in RESERVED:
            raise StudyError(f"models.{name}: this name is taken, choose another")
        if model.representation is not None and model.representation not in study.representations:
            known = did_you_mean(model.representation, study.representations)
            raise StudyError(
                f"models.{name}.representation: no {model.representation!r} in representations{known}"
            )
        for member in getattr(model, "of", ()):
            _check_model_name(study, f"models.{name}.of", member)
            if hasattr(study.models[member], "of"):
                raise StudyError(f"models.{name}.of: {member!r} is an ensemble itself")
        representation = study.representation_of(name)
        target = sorted(targets[name])[0]
        if representation.makes not in model.takes:
            raise StudyError(
                f"models.{name}: {model.kind!r} takes {' or '.join(sorted(model.takes))}, but "
                f"representation {representation.kind!r} makes {representation.makes}; "
                f"fitting models: {_fitting_models(representation.makes, target)}"
            )
        if model.only_of and representation.kind not in model.only_of:
            raise StudyError(
                f"models.{name}: {model.kind!r} takes {', '.join(sorted(model.only_of))} alone, not "
                f"{representation.kind!r}; give the study another representation, or the model one of its own"
            )
        if getattr(model, "spatial", False) and not getattr(representation, "geometry", False):
            raise StudyError(
                f"models.{name}: {model.kind!r} sees space; give it a representation with geometry: true"
            )
        if model.learns is not None and (targets[name] != {"binary"} or "value" not in model.targets):
            raise StudyError(
                f"models.{name}.learns: {model.kind!r} learns another quantity only where the label is "
                "binary and the model takes values"
            )
        for target in sorted(targets[name] - model.targets) if model.learns is None else ():
            raise StudyError(
                f"models.{name}: {model.kind!r} cannot learn a target of kind {target!r}; "
                f"fitting models: {_fitting_models(representation.makes, target)}"
            )
    _check_model_name(study, "main_model", study.main_model)
    for name in study.ship or ():
        _check_model_name(study, "ship", name)
    if study.ship is not None and study.main_model not in study.ship:
        raise StudyError(f"ship: the main model {study.main_model!r} must be among them")
    for what in ("shuffled_labels", "reference"):
        if getattr(study.evaluation, what) is not None:
            _check_model_name(study, f"evaluation.{what}", getattr(study.evaluation, what))


def _targets_of_models(study: Study) -> dict[str, set[str]]:
    """Kinds of targets that each model meets; a model that goes through no track meets the study's."""
    own = str(study.label.makes)  # type: ignore[attr-defined]
    found: dict[str, set[str]] = {name: set() for name in study.models}
    for track in study.tracks:
        label: Any = study.label if track.label is None else track.label
        for name in study.models_of(track):
            found.setdefault(name, set()).add(str(label.makes))
    return {name: kinds or {own} for name, kinds in found.items()}


def _check_sweeps(study: Study) -> None:
    for number, sweep in enumerate(study.sweeps):
        where = f"sweeps.{number}"
        part: Any = getattr(study, sweep.stage)
        if sweep.setting not in type(part).model_fields:
            known = did_you_mean(sweep.setting, type(part).model_fields)
            raise StudyError(f"{where}.key: the {sweep.stage} has no setting {sweep.setting!r}{known}")
        for value in sweep.values:  # a wrong value is refused before anything runs
            shelf.parse(sweep.stage, part.model_dump() | {sweep.setting: value}, f"{where}.values")
        for name in sweep.models:
            _check_model_name(study, f"{where}.models", name)
            if sweep.stage == "representation" and study.models[name].representation is not None:
                raise StudyError(
                    f"{where}.models: {name!r} does not take the study's own representation, which is varied"
                )


def _check_search(study: Study) -> None:
    if study.search is None:
        return
    _check_model_name(study, "search.model", study.search.model)
    model = study.models[study.search.model]
    grid = study.search.grid
    if isinstance(grid, str):
        if grid not in model.grids:
            raise StudyError(
                f"search.grid: {model.kind!r} has no grid {grid!r}{did_you_mean(grid, model.grids)}"
            )
        grid = model.grids[grid]
    for setting, values in grid.items():
        if setting not in type(model).model_fields:
            known = did_you_mean(setting, type(model).model_fields)
            raise StudyError(f"search.grid: {model.kind!r} has no setting {setting!r}{known}")
        if not values:
            raise StudyError(f"search.grid.{setting}: no values")
        for value in values:
            shelf.parse("model", model.model_dump() | {setting: value}, f"search.grid.{setting}")
    if study.search.strategy == "halving" and "epochs" not in type(model).model_fields:
        raise StudyError(f"search.strategy: halving needs a model with epochs, not {model.kind!r}")
    for metric in study.search.metrics:
        if metric not in study.evaluation.metrics:
            raise StudyError(f"search.metrics: {metric!r} is not among evaluation.metrics")


def _check_more(study: Study) -> None:
    """Data curves, transfer, series and explanations."""
    if any(getattr(track.split, "kind", "") in ("hold-out", "given") for track in study.tracks):
        for name in ("search", "transfer"):
            if getattr(study, name) is not None:
                raise StudyError(
                    f"{name}: needs a split that tests every sample, such as grouped, not hold-out"
                )
    titles = [track.title for track in study.tracks]
    if study.data_curve is not None:
        curve, where = study.data_curve, "data_curve"
        for name in curve.models:
            _check_model_name(study, f"{where}.models", name)
        if curve.beside is not None:
            _check_model_name(study, f"{where}.beside", curve.beside)
        _check_tracks_named(f"{where}.tracks", curve.tracks or (), titles)
        _check_metric(study, f"{where}.metric", curve.metric)
        if list(curve.groups) != sorted(set(curve.groups)):
            raise StudyError(f"{where}.groups: expected rising numbers, got {list(curve.groups)}")
    if study.transfer is not None:
        transfer, where = study.transfer, "transfer"
        for name in transfer.models:
            _check_model_name(study, f"{where}.models", name)
        _check_metric(study, f"{where}.metric", transfer.metric)
        for name, changes in transfer.sets.items():
            study.changed(study.source, changes, f"{where}.sets.{name}")
        if transfer.published is not None:
            sides = {len(transfer.sets)} ^ {len(row) for row in transfer.published.values}
            if sides or len(transfer.published.values) != len(transfer.sets):
                raise StudyError(
                    f"{where}.published.values: expected a row and a column for each of "
                    f"{len(transfer.sets)} sets"
                )
    for number, series in enumerate(study.series):
        for name, changes in series.sources.items():
            study.changed(study.source, changes, f"series.{number}.sources.{name}")
        _check_representation(study, f"series.{number}.representation", series.representation)
    for number, part in enumerate(study.explanations):
        where = f"explanations.{number}"
        _check_model_name(study, f"{where}.model", part.model)
        _check_tracks_named(f"{where}.tracks", part.tracks or (), titles)
        made = study.representation_of(part.model).makes
        if made != part.takes:
            raise StudyError(f"{where}: {part.kind!r} explains models of {part.takes}, not of {made}")
    _check_landscape(study, titles)
    for name in study.evaluation.distributions:
        _check_representation(study, "evaluation.distributions", name)
    if study.evaluation.headline is not None:
        _check_metric(study, "evaluation.headline", study.evaluation.headline)


def _check_landscape(study: Study, titles: list[str]) -> None:
    """Landscapes are of networks, and elements are left out of formulas."""
    looked, each = study.landscape, study.each_element
    if looked is not None:
        _check_tracks_named("landscape.tracks", looked.tracks or (), titles)
        _check_networks(study, "landscape.models", looked.models)
    if each is None:
        return
    if looked is None:
        raise StudyError("each_element: needs the section landscape, which says what is looked at")
    if study.source.yields != "formulas":  # type: ignore[attr-defined]
        raise StudyError("each_element: needs samples with a formula, from which elements are left out")
    if study.label.makes != "value":  # type: ignore[attr-defined]
        raise StudyError("each_element: ranks mean absolute errors, so it needs a label that makes a value")
    _check_networks(study, "each_element.models", each.models)
    for name in each.baselines:
        _check_model_name(study, "each_element.baselines", name)


def _check_networks(study: Study, where: str, names: Iterable[str]) -> None:
    for name in names:
        _check_model_name(study, where, name)
        if not hasattr(study.models[name], "epochs") or study.models[name].learns is not None:
            raise StudyError(
                f"{where}: {name!r} ({study.models[name].kind}) is no network that learns the label itself, "
                "so it has no loss landscape"
            )


def _check_tracks_named(where: str, names: Iterable[str], titles: list[str]) -> None:
    for name in names:
        if name not in titles:
            raise StudyError(f"{where}: no track {name!r}{did_you_mean(name, titles)}")


def _check_metric(study: Study, where: str, name: str) -> None:
    known = study.evaluation.metrics
    if name not in known:
        raise StudyError(f"{where}: {name!r} is not among evaluation.metrics{did_you_mean(name, known)}")


def _check_representation(study: Study, where: str, name: str | None) -> None:
    if name is not None and name not in study.representations:
        known = did_you_mean(name, study.representations)
        raise StudyError(f"{where}: no {name!r} in representations{known}")


def _fitting_models(makes: str, target: str) -> str:
    fitting = [
        kind
        for kind in shelf.kinds("model")
        if makes in _says("model", kind, "takes") and target in _says("model", kind, "targets")
    ]
    return ", ".join(fitting) or "none"


def _says(stage: str, kind: str, what: str) -> Any:
    """What a part on the shelf says of itself; one that cannot be loaded says nothing."""
    try:
        return getattr(shelf.find(stage, kind), what, ())
    except StudyError:
        return ()


def _check_model_name(study: Study, where: str, name: str) -> None:
    if name not in study.models:
        raise StudyError(f"{where}: no model {name!r} in models{did_you_mean(name, study.models)}")


def _check_tracks(study: Study) -> None:
    for number, track in enumerate(study.tracks):
        for name in track.models or ():
            _check_model_name(study, f"tracks.{number}.models", name)
        _check_once(f"tracks.{number}.models", track.models or ())
    _check_once("tracks", (track.title for track in study.tracks), "; give one of them a name of its own")
    first = study.tracks[0].models
    if first is not None and study.main_model not in first:
        raise StudyError(
            f"tracks.0.models: the main model {study.main_model!r} must be among them, "
            "because figures and claims are drawn from the first track"
        )


def _check_once(where: str, names: Iterable[str], advice: str = "") -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise StudyError(f"{where}: {twice[0]!r} stands twice{advice}")


def _check_evaluation(study: Study) -> None:
    target: str = study.label.makes  # type: ignore[attr-defined]
    labels: list[Any] = [study.label, *(track.label for track in study.tracks if track.label is not None)]
    known = sorted(set.union(*(set(metrics_for(label.makes)) for label in labels)))
    for metric in study.evaluation.metrics:
        if metric not in known:
            raise StudyError(
                f"evaluation.metrics: {metric!r} does not fit a target of kind {target!r}"
                f"{did_you_mean(metric, known)}"
            )
    for label in labels:
        if not set(study.evaluation.metrics) & metrics_for(label.makes):
            raise StudyError(
                f"evaluation.metrics: none fits a target of kind {label.makes!r} (label {label.kind!r}); "
                f"fitting: {', '.join(sorted(metrics_for(label.makes)))}"
            )
    _check_once("evaluation.metrics", study.evaluation.metrics)
    for name in ("validation_threshold", "each_feature", "strata"):
        if getattr(study.evaluation, name) and target != "binary":
            raise StudyError(f"evaluation.{name}: only for a binary target")
    if study.evaluation.clean_up is not None and study.evaluation.validation_threshold is None:
        raise StudyError("evaluation.clean_up: needs evaluation.validation_threshold")
    for name, bounds in study.evaluation.strata.items():
        if list(bounds) != sorted(set(bounds)) or not bounds:
            raise StudyError(f"evaluation.strata.{name}: expected rising bounds, got {list(bounds)}")
    if study.evaluation.published_prevalence is not None and target != "binary":
        raise StudyError("evaluation.published_prevalence: only a binary target has positives")


def _check_published(study: Study) -> None:
    tracks = {track.title for track in study.tracks}
    for number, table in enumerate(study.published):
        where = f"published.{number}"
        # a scale or an override may have taken a model or a track away: only the rows must be there
        for model, row in table.beside.items():
            if row not in table.rows:
                raise StudyError(f"{where}.beside.{model}: no row {row!r}{did_you_mean(row, table.rows)}")
        for name, row_values in table.rows.items():
            strange = sorted(set(row_values) - set(table.metrics))
            if strange:
                raise StudyError(
                    f"{where}.rows.{name}: {strange[0]!r} is not among the metrics of the table"
                    f"{did_you_mean(strange[0], table.metrics)}"
                )
        if table.track is not None and table.track not in tracks | set(shelf.kinds("split")):
            raise StudyError(f"{where}.track: no track {table.track!r}{did_you_mean(table.track, tracks)}")
