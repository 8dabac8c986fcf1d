"""What a study of a table asks once it is known what its targets are: values or classes, one or several.

A study file says what is learned; a user who puts another table in its place says only which column. Here the
label, the metrics and the tracks follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vitrine.errors import VitrineError

METRICS = {
    "binary": ["roc_auc", "average_precision", "f1", "mcc"],
    "classes": ["accuracy", "balanced_accuracy", "macro_f1"],
}
LABELS = {"binary": "binary-column", "classes": "class-column"}
SOURCES = ("table", "crystal-folder")
"""with a target of a user's choice"""


def follow_targets(data: dict[str, Any]) -> None:
    """Change, in place, the raw study of a table whose target is of classes, or that has several targets."""
    source, label = data.get("source"), data.get("label")
    if not isinstance(source, Mapping) or source.get("kind") not in SOURCES or not isinstance(label, Mapping):
        return
    _follow_split(data, source)
    targets = source.get("target")
    if isinstance(targets, (list, tuple)) and len(targets) > 1:
        _ask_each(data, [str(name) for name in targets])
    for kind, name in LABELS.items():
        if label.get("kind") == name:
            _metrics_for(data, METRICS[kind])
    if label.get("kind") == "column" and label.get("column") is None:
        found = _kind_of(source)
        if found in LABELS:
            data["label"] = {"kind": LABELS[found]}
            _metrics_for(data, METRICS[found])


def _follow_split(data: dict[str, Any], source: Mapping[str, Any]) -> None:
    """A track on the split that the table brings, before the others, unless there is one."""
    from pydantic import ValidationError

    from vitrine.simulate.table import Table

    tracks = data.get("tracks")
    if not isinstance(tracks, list) or source["kind"] != "table":
        return
    splits = [track.get("split") for track in tracks if isinstance(track, Mapping)]
    if any(isinstance(split, Mapping) and split.get("kind") == "given" for split in splits):
        return
    try:
        table = Table.model_validate(dict(source))
    except ValidationError:
        return
    if table.brings_split():
        data["tracks"] = [{"split": {"kind": "given"}, "note": "The split that the table brings."}, *tracks]


def _kind_of(source: Mapping[str, Any]) -> str | None:
    """What the target of a table is; None where that is not known, and whatever is wrong is said later."""
    from pydantic import ValidationError

    from vitrine.simulate.crystal_folder import CrystalFolder
    from vitrine.simulate.table import Table

    part = Table if source["kind"] == "table" else CrystalFolder
    try:
        return part.model_validate(dict(source)).target_kind()
    except (ValidationError, VitrineError):
        return None


def _metrics_for(data: dict[str, Any], metrics: Sequence[str]) -> None:
    evaluation = data.get("evaluation")
    if isinstance(evaluation, Mapping) and not set(evaluation.get("metrics") or ()) & set(metrics):
        data["evaluation"] = dict(evaluation) | {"metrics": list(metrics)}
    curve = data.get("data_curve")
    if isinstance(curve, Mapping) and curve.get("metric") not in metrics:
        data["data_curve"] = dict(curve) | {"metric": metrics[0]}


def _ask_each(data: dict[str, Any], targets: Sequence[str]) -> None:
    """Every track once for each target; the first target keeps the names."""
    tracks = data.get("tracks")
    label = data["label"]
    if not isinstance(tracks, list) or label.get("kind") != "column" or label.get("column") is not None:
        return
    asked = list(tracks)
    for target in targets[1:]:
        for track in tracks:
            if isinstance(track, Mapping) and track.get("label") is None:
                split = track.get("split")
                name = track.get("name") or (split.get("kind") if isinstance(split, Mapping) else "track")
                words = "".join(letter if letter.isalnum() else "_" for letter in target)
                own = {"label": dict(label) | {"column": target}, "name": f"{name}_{words}"}
                asked.append(dict(track) | own)
    data["tracks"] = asked
