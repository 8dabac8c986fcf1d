"""Push and pull of model folders: with a plain folder, and with a server that huggingface_hub talks to."""

from __future__ import annotations

import builtins
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hub_server
import vitrine
from vitrine.cli.main import main
from vitrine.errors import DataError
from vitrine.study.hub import fetch, pull, push
from vitrine.study.yaml_reader import read_yaml, write_yaml

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(alloy_run: Path, tmp_path: Path) -> Path:
    """A copy of a network's model folder, with files beside it that are nobody's business."""
    folder = tmp_path / "mine" / "mlp"
    shutil.copytree(alloy_run / "models" / "mlp", folder)
    (folder / "secrets.txt").write_text("not to be uploaded")
    (folder / "weights.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (folder / ".env").write_text("TOKEN=x")
    return folder


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run vitrine in this process: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(tmp_path / "store"))

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vitrine", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        assert hub_server.TOKEN not in out + err
        return code, out, err

    return run


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_server.Hub]:
    """A running server, with huggingface_hub's cache in a folder of this test and its token at hand."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra hub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    with hub_server.running() as server:
        yield server


def use_server(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What $HF_ENDPOINT does when huggingface_hub is imported."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def listed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


OURS = {"model.yaml", "README.md", "metrics.json", "splits.csv", "environment.txt", "scaling.json",
        "weights.safetensors", "training.json", "training.safetensors"}  # fmt: skip


# a plain folder as hub


def test_a_folder_as_hub_there_and_back(model: Path, tmp_path: Path, call: Call) -> None:
    code, out, _ = call("push", model, "me/alloys", "--to", "shelf")
    assert code == 0 and str(Path("shelf", "me", "alloys")) in out
    assert listed(tmp_path / "shelf" / "me" / "alloys") == OURS
    assert call("pull", "me/alloys", "--from", tmp_path / "shelf")[0] == 0
    assert listed(tmp_path / "alloys") == OURS
    for name in OURS:
        assert (tmp_path / "alloys" / name).read_bytes() == (model / name).read_bytes()
    assert call("push", model, f"folder:{tmp_path / 'there'}")[0] == 0
    assert call("pull", f"folder:{tmp_path / 'there'}", "-o", "again")[0] == 0
    (tmp_path / "new.csv").write_text("formula\nCu3Au\nNiAl\n")
    tables = []
    for number, which in enumerate((model, "again", f"folder:{tmp_path / 'there'}")):
        code, _, err = call("predict", which, "new.csv", "-o", f"{number}.csv")
        assert code == 0, err
        tables.append(pd.read_csv(tmp_path / f"{number}.csv"))
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2])


def test_a_folder_as_hub_needs_no_huggingface_hub(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    without(monkeypatch)
    push(model, "me/alloys", to=str(tmp_path / "shelf"))
    assert (
        vitrine.load_model(pull("me/alloys", tmp_path / "out", source=str(tmp_path / "shelf"))).name == "mlp"
    )
    for words in (
        ("push", model, "me/alloys"),
        ("pull", "me/alloys"),
        ("predict", "hf:me/alloys", "new.csv"),
    ):
        code, _, err = call(*words)
        assert code == 2 and "pip install" in err and "vitrine[hub]" in err


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if huggingface_hub were not installed."""
    real = builtins.__import__

    def importing(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "huggingface_hub":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", importing)


def test_what_is_in_the_way_stays(model: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "shelf" / "me" / "alloys").mkdir(parents=True)
    (tmp_path / "shelf" / "me" / "alloys" / "thesis.tex").write_text("years of work")
    for repo in (f"folder:{tmp_path / 'mine.txt'}", f"folder:{tmp_path / 'shelf' / 'me' / 'alloys'}"):
        code, _, err = call("push", model, repo)
        assert code == 2 and "is no model folder" in err
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "shelf" / "me" / "alloys" / "thesis.tex").exists()
    code, _, err = call("push", model, f"folder:{model}")
    assert code == 2 and "the model folder itself" in err
    push(model, f"folder:{tmp_path / 'there'}")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    code, _, err = call("pull", f"folder:{tmp_path / 'there'}", "-o", "out")
    assert code == 2 and "--force" in err
    code, _, err = call("pull", f"folder:{tmp_path / 'there'}", "-o", "out", "--force")
    assert code == 2 and "is no model folder" in err
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert call("pull", f"folder:{tmp_path / 'there'}")[0] == 2, "it would be itself"
    assert not list(tmp_path.rglob("*.part"))


def test_a_newer_model_replaces_the_older_one(
    model: Path, alloy_run: Path, tmp_path: Path, call: Call
) -> None:
    other = alloy_run / "models" / "ridge"
    push(model, "me/alloys", to=str(tmp_path / "shelf"))
    push(other, "me/alloys", to=str(tmp_path / "shelf"))
    assert listed(tmp_path / "shelf" / "me" / "alloys") == listed(other)
    assert call("pull", "me/alloys", "--from", "shelf")[0] == 0
    push(model, "me/alloys", to=str(tmp_path / "shelf"))
    code, _, err = call("pull", "me/alloys", "--from", "shelf")
    assert code == 2 and "alloys exists" in err
    assert call("pull", "me/alloys", "--from", "shelf", "--force")[0] == 0
    assert listed(tmp_path / "alloys") == OURS


WRONG = {
    "push mine/mlp me/x/y --to shelf": "'me/x/y' is no name of a repository; expected OWNER/NAME",
    "push mine/mlp ../x --to shelf": "is no name of a repository",
    "push mine/mlp me/.. --to shelf": "is no name of a repository",
    "push mine/mlp me/x --to ftp://somewhere": "neither a folder nor an address",
    "push mine/mlp me/x --to shelf --private": "--private is for a server",
    "push mine/mlp folder:x --to shelf": "and no other hub",
    "push mine me/x --to shelf": "mine is a folder of several models, not a model folder; choose one of its",
    "push nowhere me/x --to shelf": "nowhere is not a model folder",
    "pull me/x --from shelf": "shelf/me/x is not a model folder: it holds no model.yaml",
    "pull me/x@abc --from shelf": "has no revision 'abc'",
    "pull me/x@abc --revision def": "give one revision",
    "pull hf:me/x@": "give one revision",
    "pull folder:": "give the folder of one model",
    "predict hf:../x one.csv": "is no name of a repository",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_words_are_said(model: Path, call: Call, command: str) -> None:
    code, _, err = call(*command.split())
    assert code == 2 and WRONG[command] in err, err
    assert "Traceback" not in err


# a server


def test_a_server_there_and_back(model: Path, tmp_path: Path, hub: hub_server.Hub, call: Call) -> None:
    code, out, err = call("push", model, "me/alloys", "--to", hub.url)
    assert code == 0, err
    assert f"pushed to {hub.url}/me/alloys" in out
    files = hub.files("me/alloys")
    assert files is not None and set(files) == OURS | {".gitattributes"}
    assert len(hub.repos["me/alloys"]) == 2, "one commit beside the one that made the repository"
    assert "PUT /lfs/" in " ".join(hub.requests), "weights go the way of large files"
    for name in OURS - {"README.md"}:
        assert files[name] == (model / name).read_bytes()
    card = files["README.md"].decode()
    assert "vitrine predict hf:me/alloys new.csv" in card and "OWNER/NAME" not in card
    assert "OWNER/NAME" in (model / "README.md").read_text(), "the folder that was pushed stays as it is"

    code, out, err = call("pull", "me/alloys", "--endpoint", hub.url, "-o", "out")
    assert code == 0, err
    assert listed(tmp_path / "out") == OURS
    assert not any((tmp_path / "out" / name).is_symlink() for name in OURS)
    assert (tmp_path / "out" / "weights.safetensors").read_bytes() == files["weights.safetensors"]
    assert vitrine.load_model(tmp_path / "out").verified


def test_pushing_again_takes_away_what_the_older_model_had(
    model: Path, alloy_run: Path, tmp_path: Path, hub: hub_server.Hub
) -> None:
    push(model, "me/alloys", to=hub.url)
    first = hub.repos["me/alloys"][-1][0]
    hub.commit("me/alloys", {**(hub.files("me/alloys") or {}), "picture.png": b"\x89PNG", "train.py": b"x"})
    push(alloy_run / "models" / "ridge", "me/alloys", to=hub.url)
    files = hub.files("me/alloys")
    assert files is not None and "weights.safetensors" not in files and "model.skops" in files
    assert files["picture.png"] == b"\x89PNG", "what is none of ours stays"
    pull("me/alloys", tmp_path / "new", source=hub.url)
    assert listed(tmp_path / "new") == listed(alloy_run / "models" / "ridge")
    pull("me/alloys", tmp_path / "old", revision=first, source=hub.url)
    assert vitrine.load_model(tmp_path / "old").name == "mlp"
    assert not any("picture.png" in line or "train.py" in line for line in hub.requests), "never asked for"


def test_private_means_private(model: Path, tmp_path: Path, hub: hub_server.Hub, call: Call,
                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    assert call("push", model, "me/hidden", "--to", hub.url, "--private")[0] == 0
    assert call("push", model, "open", "--to", hub.url)[0] == 0
    assert hub.private == {"me/hidden"} and "me/open" in hub.repos
    monkeypatch.setenv("HF_TOKEN", "hf_ofNobody")
    assert call("pull", "me/open", "--from", hub.url)[0] == 0
    code, _, err = call("pull", "me/hidden", "--from", hub.url)
    assert code == 2 and "there is no repository me/hidden" in err and "hf auth login" in err
    assert "hf_ofNobody" not in err
    assert not (tmp_path / "hidden").exists()


def test_a_hub_is_named_wherever_a_model_is(
    model: Path,
    alloy_run: Path,
    tmp_path: Path,
    hub: hub_server.Hub,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
) -> None:
    use_server(monkeypatch, hub.url)
    push(model, "me/alloys")
    first = hub.repos["me/alloys"][-1][0]
    push(alloy_run / "models" / "ridge", "me/alloys")
    assert vitrine.load_model("hf:me/alloys").name == "ridge"
    old = vitrine.load_model(f"hf:me/alloys@{first}")
    assert old.name == "mlp" and first in str(old.folder) and (tmp_path / "cache") in old.folder.parents
    table = pd.DataFrame({"formula": ["Cu3Au", "NiAl"]})
    assert vitrine.predict(old, table).equals(vitrine.predict(model, table))
    (tmp_path / "new.csv").write_text("formula\nCu3Au\n")
    code, _, err = call("predict", f"hf:me/alloys@{first}", "new.csv", "-o", "out.csv")
    assert code == 0, err
    asked = len(hub.requests)
    vitrine.load_model(f"hf:me/alloys@{first}")
    assert not any("resolve" in line for line in hub.requests[asked:]), "it is in the cache"


def test_the_environment_names_the_server(model: Path, tmp_path: Path, hub: hub_server.Hub) -> None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }
    for words in (["push", str(model), "me/alloys"], ["pull", "hf:me/alloys", "-o", "out"]):
        done = subprocess.run(
            [sys.executable, "-m", "vitrine.cli.main", *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert hub_server.TOKEN not in done.stdout + done.stderr
    assert listed(tmp_path / "out") == OURS


def test_a_broken_file_is_not_kept(model: Path, tmp_path: Path, hub: hub_server.Hub, call: Call) -> None:
    push(model, "me/alloys", to=hub.url)
    files = dict(hub.files("me/alloys") or {})
    weights = bytearray(files["weights.safetensors"])
    weights[-1] ^= 1
    hub.commit("me/alloys", {**files, "weights.safetensors": bytes(weights)})
    code, _, err = call("pull", "me/alloys", "--from", hub.url)
    assert code == 2 and "weights.safetensors is not the file that was written" in err
    assert not (tmp_path / "alloys").exists()
    hub.commit("me/alloys", {name: content for name, content in files.items() if name != "splits.csv"})
    code, _, err = call("pull", "me/alloys", "--from", hub.url)
    assert code == 2 and "splits.csv is missing" in err


def test_a_strangers_repository_brings_no_other_files(
    model: Path, tmp_path: Path, hub: hub_server.Hub, call: Call
) -> None:
    """A recipe may list what it likes: only names of a model folder are asked for, and no path."""
    push(model, "me/alloys", to=hub.url)
    files = dict(hub.files("me/alloys") or {})
    for name in ("weights.pkl", "../../escape.json", "run.py", "sub/weights.safetensors"):
        content = b"cos\nsystem\n(S'touch pwned'\ntR."
        recipe = read_yaml(files["model.yaml"].decode())
        recipe["files"][name] = hashlib.sha256(content).hexdigest()
        evil = {**files, "model.yaml": write_yaml(recipe).encode(), name: content}
        hub.commit("me/alloys", evil)
        code, _, err = call("pull", "me/alloys", "--from", hub.url)
        assert code == 2 and f"lists {name!r}, which no model folder holds" in err
        assert not any(f"resolve/{name}" in line or line.endswith(name) for line in hub.requests)
    assert not list(tmp_path.rglob("escape.json")) and not list(tmp_path.rglob("pwned"))


def test_a_repository_of_something_else(hub: hub_server.Hub, call: Call) -> None:
    hub.commit("me/bert", {"config.json": b"{}", "pytorch_model.bin": b"\x80"})
    code, _, err = call("pull", "me/bert", "--from", hub.url)
    assert (
        code == 2 and f"me/bert at {hub.url} is not a model folder of vitrine: it holds no model.yaml" in err
    )
    hub.commit("me/bert", {"model.yaml": b"layers: 12\n"})
    code, _, err = call("pull", "me/bert", "--from", hub.url)
    assert code == 2 and "is not a recipe written by vitrine" in err
    code, _, err = call("pull", "me/bert", "--revision", "v2", "--from", hub.url)
    assert code == 2 and f"me/bert at {hub.url} has no revision 'v2'" in err


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "log in with `hf auth login`"),
        (403, "does not let you"),
        (418, "answered 418"),
        (500, "answered 500"),
    ],
)
def test_a_server_that_refuses(
    model: Path, hub: hub_server.Hub, call: Call, monkeypatch: pytest.MonkeyPatch, status: int, words: str
) -> None:
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)  # it tries again, later and later
    hub.answer_always = status
    for command in (("push", model, "me/alloys", "--to"), ("pull", "me/alloys", "--from")):
        code, _, err = call(*command, hub.url)
        assert code == 2 and words in err and "Traceback" not in err, err


def test_a_push_that_is_not_allowed(
    model: Path, hub: hub_server.Hub, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call("push", model, "others/alloys", "--to", hub.url)
    assert code == 2 and "does not let you do this with others/alloys" in err
    monkeypatch.setenv("HF_TOKEN", "hf_ofNobody")
    code, _, err = call("push", model, "me/alloys", "--to", hub.url)
    assert code == 2 and "hf auth login" in err and "hf_ofNobody" not in err
    assert not hub.repos


def test_no_network(
    model: Path, tmp_path: Path, hub: hub_server.Hub, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"  # bound, but nobody listens
        for command in (("push", model, "me/alloys", "--to"), ("pull", "me/alloys", "--from")):
            code, _, err = call(*command, nobody)
            assert code == 2 and f"cannot reach {nobody}" in err and "is there a network?" in err, err
        # what was pulled before is still there
        push(model, "me/alloys", to=hub.url)
        use_server(monkeypatch, hub.url)
        first = fetch("hf:me/alloys")
        use_server(monkeypatch, nobody)
        assert fetch("hf:me/alloys") == first
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
        fetch("hf:me/other")


def test_only_sound_folders_are_pushed(model: Path, hub: hub_server.Hub) -> None:
    (model / "scaling.json").write_text("{}")
    with pytest.raises(DataError, match=r"scaling\.json is not the file that was written"):
        push(model, "me/alloys", to=hub.url)
    assert not hub.requests
