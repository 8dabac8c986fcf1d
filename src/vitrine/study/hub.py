"""Model folders on a hub: Hugging Face's, a server that speaks its language, or a plain folder.

Only files that a model folder may hold go up or come down, and what comes down is compared with its
checksums before it is used. Nothing in it is executed or unpickled. Tokens are huggingface_hub's
affair (``hf auth login`` or ``$HF_TOKEN``) and never seen here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import vitrine
from vitrine.errors import DataError, InputError, MissingExtra
from vitrine.study.bundle import load_model
from vitrine.study.card import PLACE
from vitrine.study.find_model import FOLDER, HUB
from vitrine.study.model_format import CARD, RECIPE, belongs, has_checksums, listed, read_recipe

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def push(folder: Path, repo: str, *, to: str | None = None, private: bool = False) -> str:
    """Put a model folder on a hub; what is there of an older model is replaced.

    Parameters
    ----------
    repo: ``owner/name``, or ``folder:PATH``, which is a folder that becomes the copy.
    to: folder that serves as hub (the copy is ``to/owner/name``) or address of a server, ``https://...``;
        by default ``$HF_ENDPOINT``, else huggingface.co.
    private: a new repository is for its owner alone.

    Returns
    -------
    Where it is now: a path or an address.

    Raises
    ------
    DataError: not a sound model folder, or the hub refuses. InputError: a wrong name.
    MissingExtra: huggingface_hub is not installed.
    """
    recipe = read_recipe(folder)
    load_model(folder)
    if not has_checksums(recipe):
        raise DataError(
            f"{folder} was written in format 1, without checksums, so nobody could check a copy; run the "
            "study again (finished fits are reused) and push what it writes"
        )
    repo, place = _place(repo, to)
    names = [name for name in listed(recipe) if (folder / name).is_file()]
    if place is not None:
        if private:
            raise InputError("--private is for a server; who may read a folder is up to its permissions")
        _replace(folder, names, place)
        return str(place)
    with TemporaryDirectory(prefix="vitrine-") as temporary:
        copy = Path(temporary) / "model"
        _copy(folder, names, copy)
        return _push_to_server(copy, names, repo, to, private)


def pull(
    repo: str,
    out: Path | None = None,
    *,
    revision: str | None = None,
    source: str | None = None,
    force: bool = False,
) -> Path:
    """Copy a model folder from a hub, checked.

    Parameters
    ----------
    repo: ``owner/name[@revision]``, with ``hf:`` before it or not, or ``folder:PATH``.
    out: folder to write, by default the name of the repository.
    revision: branch, tag or commit; the newest by default.
    source: a folder that serves as hub, or the address of a server (see ``to`` of :func:`push`).
    force: replace ``out`` if it exists.

    Raises
    ------
    DataError: no such repository or revision, no network, not a model folder, or a broken file.
    InputError: a wrong name, or ``out`` exists. MissingExtra: huggingface_hub is not installed.
    """
    repo, at = _with_revision(repo, revision)
    name, place = _place(repo, source)
    target = out if out is not None else Path((place.name if place is not None else name).rpartition("/")[2])
    if target.exists() and not force and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target} exists; give another folder with --out, or --force to replace it")
    if place is not None:
        if at is not None:
            raise InputError(f"{place} is a plain folder and has no revision {at!r}")
        found = place
    else:
        found = _fetch_from_server(name, at, source, force)
    load_model(found)
    _replace(found, [file for file in listed(read_recipe(found)) if (found / file).is_file()], target)
    load_model(target)
    return target


def fetch(model: str) -> Path:
    """The checked copy of ``hf:owner/name[@revision]`` in the cache folder of huggingface_hub.

    Raises
    ------
    DataError, InputError, MissingExtra: as :func:`pull`.
    """
    repo, revision = _with_revision(model, None)
    name, _ = _place(repo, None)
    found = _fetch_from_server(name, revision, None, False)
    load_model(found)
    return found


def _with_revision(repo: str, revision: str | None) -> tuple[str, str | None]:
    text = repo.removeprefix(HUB)
    if text.startswith(FOLDER) or "@" not in text:
        return text, revision
    name, _, at = text.partition("@")
    if not at or revision not in (None, at):
        raise InputError(f"{repo}: give one revision, as {name}@REVISION or with --revision")
    return name, at


def _place(repo: str, hub: str | None) -> tuple[str, Path | None]:
    """Checked name of a repository, and its folder if the hub is one."""
    repo = repo.removeprefix(HUB)
    if repo.startswith(FOLDER):
        path = Path(repo.removeprefix(FOLDER)).expanduser()
        if hub is not None or path.name in ("", ".", ".."):
            raise InputError(f"{repo}: give the folder of one model as {FOLDER}PATH, and no other hub")
        return repo, path
    if not _REPO.fullmatch(repo) or ".." in repo or "--" in repo:
        raise InputError(f"{repo!r} is no name of a repository; expected OWNER/NAME, or {FOLDER}PATH")
    if hub is None or hub.startswith(("http://", "https://")):
        return repo, None
    if "://" in hub:
        raise InputError(f"{hub} is neither a folder nor an address that begins with https:// or http://")
    return repo, Path(hub.removeprefix(FOLDER)).expanduser() / repo


def _copy(folder: Path, names: Sequence[str], to: Path) -> None:
    to.mkdir(parents=True)
    for name in names:
        shutil.copyfile(folder / name, to / name)


def _replace(folder: Path, names: Sequence[str], target: Path) -> None:
    """Make ``target`` a copy, in one step; only an empty folder or another model gives way to it."""
    target = target.resolve()
    if target == folder.resolve():
        raise InputError(f"{target} is the model folder itself; give another place")
    if target.exists() and not (target / RECIPE).is_file() and (target.is_file() or any(target.iterdir())):
        raise InputError(f"{target} exists and is no model folder; it is not replaced")
    temporary = target.with_name(target.name + ".part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        _copy(folder, names, temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.replace(target)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _hub() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtra("huggingface_hub", "hub") from None
    return huggingface_hub


def _push_to_server(folder: Path, names: Sequence[str], repo: str, to: str | None, private: bool) -> str:
    hub = _hub()
    api = hub.HfApi(endpoint=to, library_name="vitrine", library_version=vitrine.__version__)
    with _in_words(repo, None, str(api.endpoint)):
        # a private repository that exists stays as it is, and so does a public one
        full: str = api.create_repo(repo, private=private or None, exist_ok=True).repo_id
        card = folder / CARD
        if card.is_file():
            card.write_text(card.read_text(encoding="utf-8").replace(PLACE, full), encoding="utf-8")
        old = [name for name in api.list_repo_files(full) if belongs(name) and name not in names]
        operations = [hub.CommitOperationDelete(path_in_repo=name) for name in old]
        operations += [
            hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in names
        ]
        # one commit: nobody meets half of a model
        api.create_commit(full, operations, commit_message=f"Model folder of vitrine {vitrine.__version__}")
    return f"{api.endpoint}/{full}"


def _fetch_from_server(repo: str, revision: str | None, source: str | None, again: bool) -> Path:
    """The files that ``model.yaml`` lists, all of one commit, in huggingface_hub's cache.

    Without a network, what the cache holds of that revision.
    """
    hub = _hub()
    named = {"library_name": "vitrine", "library_version": vitrine.__version__}
    api = hub.HfApi(endpoint=source, **named)
    endpoint = str(api.endpoint)
    with _in_words(repo, revision, endpoint):
        offline = None if _COMMIT.fullmatch(revision or "") else _no_answer(api, repo, revision)
        shared: dict[str, Any] = {**named, "endpoint": endpoint, "force_download": again}
        shared["local_files_only"] = offline is not None
        try:
            recipe = Path(hub.hf_hub_download(repo, RECIPE, revision=revision, **shared))
        except FileNotFoundError:
            if offline is None:
                raise
            raise offline from None
        folder = recipe.parent  # named by the commit
        names = listed(read_recipe(folder))
        hub.snapshot_download(repo, revision=folder.name, allow_patterns=names, **shared)
    return folder


def _no_answer(api: Any, repo: str, revision: str | None) -> BaseException | None:
    """Ask once whether the repository is there; the error if nobody answers. Downloads try for long."""
    try:
        api.model_info(repo, revision=revision)
    except (OSError, _network()) as error:
        if getattr(error, "response", None) is not None:
            raise
        return error
    return None


def _network() -> type[BaseException]:
    """Base of the errors of the library for HTTP: requests or httpx, by the version of huggingface_hub."""
    from huggingface_hub.errors import HfHubHTTPError

    base: type[BaseException] = HfHubHTTPError.__bases__[0]
    return base


@contextmanager
def _in_words(repo: str, revision: str | None, endpoint: str) -> Iterator[None]:
    """Errors of huggingface_hub, and of the network below it, as ours."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, _network()) as error:
        raise DataError(_words(error, repo, revision, endpoint)) from error


def _words(error: BaseException, repo: str, revision: str | None, endpoint: str) -> str:
    from huggingface_hub import errors

    while isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError)) and error.__cause__ is not None:
        error = error.__cause__  # it only says that the cache does not hold the file either
    status = getattr(getattr(error, "response", None), "status_code", None)
    login = "log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, errors.HFValidationError):
        return f"{repo!r} is no name of a repository: {error}"
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} at {endpoint} is gated: ask for access on its page, then {login}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} at {endpoint} has no revision {revision or 'main'!r}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no repository {repo} at {endpoint}, or it is private: {login}"
    if isinstance(error, errors.EntryNotFoundError) and status == 404:
        return f"{repo} at {endpoint} is not a model folder of vitrine: it holds no {RECIPE}"
    if status == 401:
        return f"{endpoint} does not know you: {login}"
    if status == 403:
        return f"{endpoint} does not let you do this with {repo}; {login} as somebody who may"
    if status is not None:
        return f"{endpoint} answered {status} for {repo}; try again later"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo} is not in the cache, and HF_HUB_OFFLINE is set; unset it"
    if isinstance(error, ValueError):
        return f"{repo} at {endpoint}: {error}"
    return f"cannot reach {endpoint} ({type(error).__name__}); is there a network?"
