"""The model folder of an ensemble: the files of its members side by side, each under the member's name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vitrine.samples import Examples
from vitrine.study.spec import Study, model_seed

MEMBERS = "members"
"""key of the recipe"""


def copy_member(name: str, fitted: Path, folder: Path, but: set[str]) -> None:
    """Copy the files of a fitted model, under names that begin with the member's; those in ``but`` stay."""
    for path in fitted.iterdir():
        if path.name not in but:
            shutil.copyfile(path, folder / f"{name}-{path.name}")


@contextmanager
def member_files(name: str, folder: Path) -> Iterator[Path]:
    """A folder that holds the files of one member under their own names, for as long as it is read."""
    with TemporaryDirectory(prefix="vitrine-") as place:
        for path in folder.glob(f"{name}-*"):
            shutil.copyfile(path, Path(place) / path.name.removeprefix(f"{name}-"))
        yield Path(place)


def recipes_of(
    study: Study, names: Sequence[str], seen: Mapping[str | None, Examples]
) -> list[dict[str, Any]]:
    """What ``model.yaml`` says of each member: its parts with their versions, its seed and its features."""
    found = []
    for name in names:
        parts: dict[str, Any] = {"model": study.models[name], "representation": study.representation_of(name)}
        found.append(
            {
                "name": name,
                **{stage: part.model_dump(mode="json") for stage, part in parts.items()},
                "versions": {stage: part.version for stage, part in parts.items()},
                "seed": model_seed(study, 0),
                "feature_labels": list(seen[study.models[name].representation].feature_labels),
            }
        )
    return found
