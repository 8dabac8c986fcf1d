"""The store: what is finished is found intact or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toy_tasks import count_up, fail, lose_engine, task, trip_over_what_was_left
from vitrine.campaign.execute import Order, execute
from vitrine.campaign.store import MARKER, Store, default_root
from vitrine.errors import DataError, StoreError
from vitrine.tasks import Outcome, Task

TESTS = Path(__file__).parent
KEY = "ab" + 62 * "0"


def make(store: Store, made: Task) -> Outcome:
    return execute(Order.of(made), str(store.root))


def filled(store: Store, key: str = KEY, **files: bytes) -> Path:
    folder = store.partial(key)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return store.finish(key, "quench", "one", {"seed": 1}, 1.5)


names = st.text("abcdefghij-_.", min_size=1, max_size=12).filter(lambda n: n.strip(".") and n != MARKER)


@settings(max_examples=25, deadline=None)
@given(files=st.dictionaries(names, st.binary(max_size=200), max_size=4))
def test_what_is_finished_is_found(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    folder = store.partial(KEY)
    assert store.find(KEY) == (None, None)
    for name, content in files.items():
        (folder / "below").mkdir(exist_ok=True)
        (folder / "below" / name).write_bytes(content)
    final = store.finish(KEY, "quench", "one", {"seed": 1}, 1.5)
    assert store.find(KEY) == (final, None)
    assert {p.name: p.read_bytes() for p in final.rglob("*") if p.is_file() and p.name != MARKER} == files
    (entry,) = store.entries()
    assert (entry.kind, entry.label, entry.size) == ("quench", "one", sum(map(len, files.values())))
    assert not list((store.root / "partial").iterdir())


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "text.txt").read_bytes())
    content[0] ^= 1
    (folder / "text.txt").write_bytes(content)


def truncate(folder: Path) -> None:
    (folder / "text.txt").write_bytes(b"m")


def take_a_file_away(folder: Path) -> None:
    (folder / "text.txt").unlink()


def take_the_marker_away(folder: Path) -> None:
    (folder / MARKER).unlink()


def bring_a_foreign_marker(folder: Path) -> None:
    meta = json.loads((folder / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps(meta | {"key": KEY}))


def make_the_marker_a_folder(folder: Path) -> None:
    (folder / MARKER).unlink()
    (folder / MARKER).mkdir()


def make_the_entry_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("hello")


def make_the_entry_a_dangling_link(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


def make_the_entry_a_link_to_itself(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder)


def bring_a_marker_of_another_format(folder: Path) -> None:
    meta = json.loads((folder / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps(meta | {"format": 99}))


def empty_the_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def copy_the_folder_of_another_key_there(folder: Path) -> None:
    other = filled(Store(folder.parents[2]), **{"text.txt": b"made"})
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


def link_to_the_folder_of_another_key(folder: Path) -> None:
    other = filled(Store(folder.parents[2]), **{"text.txt": b"made"})
    shutil.rmtree(folder)
    folder.symlink_to(other)


def add_a_file(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "notes.txt").write_text("mine")


def make_a_file_a_dangling_link(folder: Path) -> None:
    (folder / "text.txt").unlink()
    (folder / "text.txt").symlink_to("nowhere")


def make_a_file_a_folder(folder: Path) -> None:
    (folder / "text.txt").unlink()
    (folder / "text.txt").mkdir()


def name_a_file_outside(folder: Path) -> None:
    meta = json.loads((folder / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps(meta | {"files": {"../../../probe": [0, "0"]}}))


DAMAGES = {
    flip_a_byte: "the checksum of text.txt is wrong",
    truncate: "the checksum of text.txt is wrong",
    take_a_file_away: "text.txt is missing",
    take_the_marker_away: "marker is missing",
    bring_a_foreign_marker: "belongs to another entry",
    make_the_marker_a_folder: "not a folder with a marker",
    make_the_entry_a_file: "not a folder with a marker",
    make_the_entry_a_dangling_link: "marker is missing",
    make_the_entry_a_link_to_itself: "cannot be read",
    bring_a_marker_of_another_format: "its marker has format 99, not 1",
    empty_the_folder: "marker is missing",
    copy_the_folder_of_another_key_there: "belongs to another entry",
    link_to_the_folder_of_another_key: "belongs to another entry",
    add_a_file: "below/notes.txt does not belong to it",
    make_a_file_a_dangling_link: "text.txt is missing",
    make_a_file_a_folder: "text.txt is missing",
    name_a_file_outside: "../../../probe is missing",
}
GARBAGE = [b"", b"{", b"[]", b"null", b'"key"', b"\xff\xfe\x00", b"[" * 100_000, b'{"key": 5}']


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_noticed_said_and_repaired(tmp_path: Path, damage: object) -> None:
    store, one = Store(tmp_path), task("one")
    folder = make(store, one).folder
    assert folder is not None
    damage(folder)  # type: ignore[operator]
    found, words = store.find(one.key)
    assert found is None and words is not None and DAMAGES[damage] in words  # type: ignore[index]
    again = make(store, one)
    assert again.folder == folder and not again.reused
    assert again.error is not None and again.error.startswith("made again: ")
    assert (folder / "text.txt").read_text() == "made" and not folder.is_symlink()
    third = make(store, one)
    assert third.reused and third.error is None


@pytest.mark.parametrize(
    "garbage",
    [*GARBAGE, b'{"key": "KEY"}', b'{"key": "KEY", "files": 3}', b'{"key": "KEY", "files": {"a": 1}}'],
)
def test_a_garbled_marker_is_noticed(tmp_path: Path, garbage: bytes) -> None:
    store = Store(tmp_path)
    folder = filled(store, a=b"1")
    (folder / MARKER).write_bytes(garbage.replace(b"KEY", KEY.encode()))
    found, words = store.find(KEY)
    assert found is None and words is not None and "marker" in words
    assert list(store.entries()) == []


def test_a_file_called_like_the_marker_is_checked_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.partial(KEY) / "below").mkdir()
    (store.partial(KEY) / "below" / MARKER).write_text("the task's own")
    folder = store.finish(KEY, "fit", "one", {}, 0.0)
    (folder / "below" / MARKER).write_text("changed")
    assert store.find(KEY) == (None, f"the checksum of below/{MARKER} is wrong")


@pytest.mark.parametrize(
    ("how", "words"), [("engine", "lost atoms"), ("memory", "ran out of memory: Unable")]
)
def test_work_after_an_accident_is_kept(tmp_path: Path, how: str, words: str) -> None:
    """An engine that stopped may go on from its restart file."""
    store, lost = Store(tmp_path), task("lost", fail, how=how)
    left = store.root / "partial" / lost.key / "left.txt"
    for _ in range(2):
        assert words in str(make(store, lost).error)
        assert left.exists()


def test_what_fails_on_work_that_was_left_begins_anew(tmp_path: Path) -> None:
    """A broken restart file costs the work, and not the task."""
    store, tripping = Store(tmp_path), task("tripping", trip_over_what_was_left)
    (store.partial(tripping.key) / "left").write_text("of a restart file, one half")
    outcome = make(store, tripping)
    assert outcome.folder is not None and outcome.error is None
    assert {path.name for path in outcome.folder.iterdir()} == {"text.txt", MARKER}


@pytest.mark.parametrize(("times", "begun"), [(2, "0 1 2"), (9, "0 1 2 0 1 2")])
def test_a_lost_engine_is_started_again(tmp_path: Path, times: int, begun: str) -> None:
    """Twice, from where it was; what made it die three times is not continued."""
    store = Store(tmp_path / "store")
    losing = task("losing", lose_engine, at=str(tmp_path / "at"), times=times)
    outcomes = [make(store, losing) for _ in range(2)]
    assert (tmp_path / "at").read_text().split() == begun.split()
    assert [outcome.folder is not None for outcome in outcomes] == [times == 2] * 2
    assert times == 2 or "ended unexpectedly" in str(outcomes[1].error)


def test_something_in_place_of_unfinished_work_is_removed(tmp_path: Path) -> None:
    store, one = Store(tmp_path), task("one")
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / one.key).write_text("a file")
    assert make(store, one).error is None


@pytest.mark.parametrize(
    ("how", "words"), [("value", "seven is no colour"), ("data", "row 7"), ("exit", "SystemExit")]
)
def test_work_after_a_mistake_is_thrown_away(tmp_path: Path, how: str, words: str) -> None:
    store, wrong = Store(tmp_path), task("wrong", fail, how=how)
    outcome = make(store, wrong)
    assert outcome.folder is None and words in str(outcome.error)
    assert not (store.root / "partial" / wrong.key).exists()


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    outcome = make(Store(tmp_path), task("os", fail, how="os"))
    assert outcome.error == "No such file or directory (nowhere.txt)"


def test_unfinished_work_is_continued(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    long = task("long", count_up, steps=5, wait=0.0, at=str(tmp_path / "at"))
    (store.partial(long.key) / "step.txt").write_text("3")
    folder = make(store, long).folder
    assert folder is not None and (folder / "step.txt").read_text() == "5"
    assert (tmp_path / "at").read_text().split()[1] == "3"


@pytest.mark.parametrize("place", ["file/store", "file"])
def test_a_store_that_cannot_be_written_to_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / place)
    with pytest.raises(DataError, match=r"cannot write to the store: .*VITRINE_STORE"):
        store.check_writable()
    with pytest.raises(StoreError, match="cannot write to the store"):
        make(store, task("one"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_store_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="Permission denied"):
        Store(tmp_path).check_writable()


FULL = """
import resource, sys
from vitrine.campaign.execute import Order, execute
from toy_tasks import task
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
big = task("big", text="x" * 200_000)
print(execute(Order.of(big), sys.argv[1]).error)
"""


def test_a_file_that_is_too_large_is_said_and_the_work_kept(tmp_path: Path) -> None:
    """A limit on the size of files: writes stop in the middle, others are possible."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": str(TESTS)},
    )  # fmt: skip
    assert os.strerror(errno.EFBIG) in done.stdout and "VITRINE_STORE" in done.stdout, done.stderr
    assert len(list((tmp_path / "partial").iterdir())) == 1
    assert list(Store(tmp_path).entries()) == []


def test_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITRINE_STORE", "~/glass")
    assert default_root() == Path.home() / "glass"
    monkeypatch.delenv("VITRINE_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "vitrine" / "store"
    monkeypatch.chdir(tmp_path)
    assert Store(Path("here")).root == tmp_path / "here"
