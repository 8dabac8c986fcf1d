"""What a MODEL argument means: a model folder, a study whose model ships, or one on a hub."""

from __future__ import annotations

from pathlib import Path

from vitrine.errors import DataError, did_you_mean
from vitrine.study.model_format import RECIPE
from vitrine.study.spec import preset_names

HUB, FOLDER = "hf:", "folder:"


def find_model(model: str | Path) -> Path:
    """The folder of a model.

    Parameters
    ----------
    model: path of a model folder, with ``folder:`` before it or not; name of a study whose model
        ships with vitrine; or ``hf:owner/name[@revision]``, which is pulled into the cache folder
        of huggingface_hub. A folder comes before a study of the same name.

    Raises
    ------
    DataError: there is no such model; names those there are.
    """
    text = str(model)
    if text.startswith(HUB):
        from vitrine.study.hub import fetch

        return fetch(text)
    path = Path(text.removeprefix(FOLDER)).expanduser()
    if (path / RECIPE).is_file():
        return path
    shipped = shipped_models()
    if text in shipped and not path.exists():
        return shipped[text]
    raise DataError(_what_it_is(text, path, shipped))


def shipped_models() -> dict[str, Path]:
    """Study -> folder of the model that ships with vitrine."""
    return {path.parent.name: path.parent for path in sorted(_shipped().glob(f"*/{RECIPE}"))}


def _shipped() -> Path:
    from importlib.resources import files

    return Path(str(files("vitrine"))) / "released" / "models"


def _what_it_is(text: str, path: Path, shipped: dict[str, Path]) -> str:
    if path.is_dir():
        for folder, kind in ((path / "models", "a run folder"), (path, "a folder of several models")):
            models = sorted(str(found.parent) for found in folder.glob(f"*/{RECIPE}"))
            if models:
                return f"{path} is {kind}, not a model folder; choose one of its models: {', '.join(models)}"
        return (
            f"{path} is not a model folder: it holds no {RECIPE}; "
            "model folders are in <run folder>/models/<model>"
        )
    if path.exists():
        return f"{path} is a file, not a model folder; give the folder that holds {RECIPE}"
    names = preset_names()
    if text in names:
        others = f"the studies that do: {', '.join(shipped)}" if shipped else "no study does yet"
        return (
            f"the study {text} ships no model ({others}); a run makes them: vitrine run {text}, then give "
            f"runs/{text}-smoke/models/<model>"
        )
    return f"{path} is not a model folder: there is no such folder, and no study of that name" + did_you_mean(
        text, names
    )
