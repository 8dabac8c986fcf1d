"""Check that the parts of a study fit together, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitrine.errors import StudyError, did_you_mean
from vitrine.study import shelf

if TYPE_CHECKING:
    from vitrine.study.spec import Study

CLASSIFICATION = {"recall", "precision", "f1", "mcc", "roc_auc", "average_precision", "lift", "accuracy"}
REGRESSION = {"mae", "rmse", "r2", "bias", "relative_mae"}


def check_joints(study: Study) -> None:
    """Raise StudyError where two neighbouring parts do not fit, and say what would."""
    source: Any = study.source
    label: Any = study.label
    representation: Any = study.representation
    for name, part in (("source", source), ("unseen", study.unseen)):
        if part is None:
            continue
        yields = part.yields
        for stage, taker in (("label", label), ("representation", representation)):
            if taker.takes != yields:
                fitting = [k for k in shelf.kinds(stage) if shelf.find(stage, k).takes == yields]
                raise StudyError(
                    f"{name} {part.kind!r} yields {yields}, but {stage} {taker.kind!r} takes {taker.takes}; "
                    f"fitting {stage}s: {', '.join(fitting) or 'none'}"
                )
    for model_name, model in study.models.items():
        if representation.makes not in model.takes:
            raise StudyError(
                f"models.{model_name}: {model.kind!r} takes {' or '.join(sorted(model.takes))}, but "
                f"representation {representation.kind!r} makes {representation.makes}; "
                f"fitting models: {_fitting_models(representation.makes, label.makes)}"
            )
        if label.makes not in model.targets:
            raise StudyError(
                f"models.{model_name}: {model.kind!r} cannot learn a target of kind {label.makes!r}; "
                f"fitting models: {_fitting_models(representation.makes, label.makes)}"
            )
    _check_names(study, label.makes)


def _fitting_models(makes: str, target: str) -> str:
    fitting = [
        kind
        for kind in shelf.kinds("model")
        if makes in shelf.find("model", kind).takes and target in shelf.find("model", kind).targets
    ]
    return ", ".join(fitting) or "none"


def _check_names(study: Study, target: str) -> None:
    known = CLASSIFICATION if target == "binary" else REGRESSION
    for metric in study.evaluation.metrics:
        if metric not in known:
            raise StudyError(
                f"evaluation.metrics: {metric!r} does not fit a target of kind {target!r}"
                f"{did_you_mean(metric, known)}"
            )
    named = {"main_model": study.main_model, "evaluation.shuffled_labels": study.evaluation.shuffled_labels}
    for number, track in enumerate(study.tracks):
        named |= {f"tracks.{number}.models": name for name in track.models or ()}
    for where, name in named.items():
        if name is not None and name not in study.models:
            raise StudyError(f"{where}: no model {name!r} in models{did_you_mean(name, study.models)}")
    for claim in study.claims:
        shelf.find("claim", claim)
