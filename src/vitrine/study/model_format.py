"""The layout of a model folder: which files it holds, checksums, format versions and migrations."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

import vitrine
from vitrine.arrays import hash_file
from vitrine.errors import DataError
from vitrine.study.yaml_reader import read_yaml

FORMAT = 2
"""version of the model folder

1: of vitrine 0.1.0; no checksums, no versions of parts.
2: ``files``, ``sha256``, ``versions``, ``data`` and ``normalisation``.
"""
RECIPE, CARD = "model.yaml", "README.md"
BESIDE = ("metrics.json", "splits.csv", "environment.txt")
"""what stands beside the weights"""
_STATE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(?:safetensors|skops|json)")
STAGES = ("model", "label", "representation")
"""parts whose version must be the one that the model was made with"""


def belongs(name: str) -> bool:
    """Whether a file of this name may be in a model folder: data and texts, nothing that could run.

    >>> [belongs(name) for name in ("weights.safetensors", "model.pkl", "../scaling.json")]
    [True, False, False]
    """
    return name in (RECIPE, CARD, *BESIDE) or (_STATE.fullmatch(name) is not None and ".." not in name)


def sealed(recipe: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe with the checksums of all files of the folder, and of itself.

    The card is left out: it is for people, who may correct it, and nothing is read from it.

    Raises
    ------
    DataError: a file in the folder is none that a model folder holds.
    """
    names = sorted(path.name for path in folder.iterdir())
    strange = [name for name in names if not belongs(name)]
    if strange:
        raise DataError(
            f"the model {recipe['name']} saves {', '.join(strange)}; a model folder holds its weights as "
            ".safetensors, .skops or .json, because nothing else is loaded"
        )
    files = {name: hash_file(folder / name) for name in names if name not in (RECIPE, CARD)}
    whole = {**recipe, "files": files}
    return {**whole, "sha256": _digest(whole)}


def _digest(recipe: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in recipe.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_recipe(folder: Path) -> dict[str, Any]:
    """``model.yaml`` of a model folder, in today's format; nothing else is read.

    Raises
    ------
    DataError: there is none, it is unreadable, or of a format that cannot be brought to today's.
    """
    path = folder / RECIPE
    try:
        recipe = read_yaml(path.read_text(encoding="utf-8"))
        number = recipe["format"]
        if type(number) is not int:
            raise TypeError(f"its format is {number!r}, not a number")
        if number > FORMAT:
            raise DataError(
                f"{path}: model folder format {number}, written by vitrine {recipe['vitrine']}, but this "
                f"vitrine, {vitrine.__version__}, reads formats up to {FORMAT}; use the version that wrote it"
            )
        while number != FORMAT:
            if number not in MIGRATIONS:
                raise DataError(f"{path}: there is no model folder format {number}")
            recipe = MIGRATIONS[number](recipe)
            number = recipe["format"]
        files = recipe["files"]
        if files is not None and not all(isinstance(text, str) for pair in files.items() for text in pair):
            raise TypeError("files must map names to checksums")
        return dict(recipe)
    except OSError as error:
        raise DataError(
            f"{folder} is not a model folder: it holds no {RECIPE}; "
            "model folders are in <run folder>/models/<model>"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise not_ours(path, error) from error


def not_ours(path: Path, error: Exception) -> DataError:
    """The error for a recipe that vitrine did not write."""
    words = " ".join(str(error).split())
    return DataError(f"{path} is not a recipe written by vitrine: {type(error).__name__} {words}")


def _from_1(recipe: dict[str, Any]) -> dict[str, Any]:
    """Format 1 knew no versions of parts: all of them were 1 as long as it was written."""
    source = recipe["source"]
    return {
        **recipe,
        "format": 2,
        "versions": dict.fromkeys(STAGES, 1),
        "normalisation": None,
        "data": {
            "examples_sha256": recipe["examples_sha256"],
            "file_sha256": source.get("sha256"),
            "potential_sha256": source.get("potential_sha256"),
        },
        "files": None,
        "sha256": None,
    }


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""format -> what makes the next one of it"""


def has_checksums(recipe: Mapping[str, Any]) -> bool:
    """False for a folder of format 1, which has none."""
    return recipe["files"] is not None


def listed(recipe: Mapping[str, Any]) -> list[str]:
    """Names of all files of a model folder, the recipe and the card among them.

    Raises
    ------
    DataError: a name that no model folder holds.
    """
    names = [RECIPE, CARD, *(recipe["files"] or ())]
    strange = [name for name in names if not belongs(name)]
    if strange:
        raise DataError(f"{RECIPE} lists {strange[0]!r}, which no model folder holds; nothing was read")
    return names


def check_files(recipe: Mapping[str, Any], folder: Path) -> None:
    """Compare the folder with its checksums; a folder of format 1 has none.

    Raises
    ------
    DataError: a file is missing or another than the one that was written.
    """
    if not has_checksums(recipe):
        return
    if _digest(recipe) != recipe["sha256"]:
        raise DataError(
            f"{folder / RECIPE} was changed after the model was made: its settings may no longer be those of "
            "the weights. Copy or pull the folder again; to change a setting, change the study and run it"
        )
    for name in listed(recipe):
        if name in (RECIPE, CARD):
            continue
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing; copy or pull the model folder again")
        found = hash_file(path)
        if found != recipe["files"][name]:
            raise DataError(
                f"{path} is not the file that was written: its SHA-256 is {found[:12]}..., {RECIPE} says "
                f"{recipe['files'][name][:12]}...; copy or pull the model folder again"
            )
