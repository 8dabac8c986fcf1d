"""Full disks and read-only folders: said in words, and the same command continues later.

Disks are tmpfs mounts of a given size, which needs root; permission bits do not stop root.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fault_study import Case, Server, unbroken_runs


@pytest.fixture
def server() -> Server:
    return unbroken_runs().servers["alloys"]


@pytest.fixture
def whole() -> Case:
    return unbroken_runs()["alloys"]


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    """A disk of its own at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "vitrine-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here (it needs root): {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def check_words(status: int, said: str, *words: str) -> None:
    """The user's input, in words: exit code 2 and no traceback."""
    assert status == 2, said
    assert "Traceback" not in said, said
    for word in words:
        assert word in said.splitlines()[-1], said


@pytest.mark.parametrize("place", ["store", "run"])
@pytest.mark.parametrize("below", ["", "below/it"])
def test_a_read_only_place_is_said_at_once(server: Server, tmp_path: Path, place: str, below: str) -> None:
    case = Case(tmp_path, "alloys")
    with disk(tmp_path / place, "ro,size=1m"):
        case.store, case.out = (
            path / below if path.name == place else path for path in (case.store, case.out)
        )
        status, said = server.run(case)
    check_words(status, said, "Read-only file system", str(tmp_path / place), "--")
    assert not case.finished(), "said before any work"


def fills_up(server: Server, case: Case, place: Path, options: str) -> tuple[int, str]:
    """Run on a small disk, then with room; the first status and what was said."""
    with disk(place, options):
        status, said = server.run(case)
        before = case.finished()
        remount(place, "size=64m,nr_inodes=100000")
        again, words = server.run(case)
        assert again == 0, words
        case.check_kept(before)
        kept = Path(f"{case.folder}-kept")
        subprocess.run(["cp", "-r", str(case.out), str(kept)], check=True)
    case.out = kept
    return status, said


@pytest.mark.parametrize(
    ("place", "options", "words"),
    [
        ("store", "size=200k", "VITRINE_STORE"),  # among the fits
        ("store", "size=64m,nr_inodes=60", "VITRINE_STORE"),
        ("run", "size=8k", "--out"),
        ("run", "size=120k", "--out"),  # among the model folders
    ],
)
def test_a_full_disk_is_said_and_the_same_command_continues(
    server: Server, whole: Case, tmp_path: Path, place: str, options: str, words: str
) -> None:
    case = Case(tmp_path / "case", "alloys")
    status, said = fills_up(server, case, tmp_path / "case" / place, options)
    check_words(status, said, "No space left on device", words, str(tmp_path / "case" / place))
    case.check_equals(whole)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("place", "sizes"), [("store", range(8, 408, 16)), ("run", range(8, 608, 24))], ids=["store", "run"]
)
def test_a_disk_that_is_full_at_any_point(
    server: Server, whole: Case, tmp_path: Path, place: str, sizes: range
) -> None:
    full = 0
    for size in sizes:
        case = Case(tmp_path / str(size), "alloys")
        status, said = fills_up(server, case, case.folder / place, f"size={size}k")
        if status != 0:
            check_words(status, said, "No space left on device")
            full += 1
        case.check_equals(whole)
    print(f"{place}: full {full} times of {len(sizes)}")
    assert full >= 10


def test_other_commands_say_it_too(server: Server, whole: Case, tmp_path: Path) -> None:
    """Reports, predictions and samples on a disk that is full or read-only."""
    table = tmp_path / "formulas.csv"
    table.write_text("formula\n" + "AgAu\nCuPt3\n" * 2000)
    place, said = tmp_path / "disk", tmp_path / "said.txt"
    model = str(whole.out / "models" / "ridge")
    store = ["--store", str(tmp_path / "store")]
    commands = [
        ["predict", model, str(table), "-o", str(place / "out.csv"), *store],
        ["init", "branched-composition", "-o", str(place / "study.yaml")],
        ["report", str(place / "run")],
    ]  # fmt: skip
    for options, words in (("size=1m", "No space left on device"), ("ro,size=1m", "Read-only file system")):
        with disk(place, "size=1m"):
            (place / "run").mkdir()
            (place / "run" / "result.json").write_bytes((whole.out / "result.json").read_bytes())
            fill(place)
            remount(place, options)
            for command in commands:
                status, text = server.call(command, said)
                check_words(status, text, words)


def fill(place: Path) -> None:
    """Fill a disk to the last byte."""
    with (place / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


@pytest.mark.slow
def test_workers_stop_with_a_full_disk(tmp_path: Path) -> None:
    """The command itself, as a user starts it, with two workers."""
    import sys

    from fault_study import ENVIRONMENT

    case = Case(tmp_path, "alloys")
    with disk(case.store, "size=200k"):
        done = subprocess.run(
            [sys.executable, "-m", "vitrine.cli.main", *case.arguments(workers=2)],
            capture_output=True, text=True, timeout=120, env=ENVIRONMENT,
        )  # fmt: skip
        assert len(case.finished()) >= 2
    check_words(done.returncode, done.stderr, "No space left on device", "VITRINE_STORE")


def test_a_set_of_glasses_on_a_full_disk_is_said(tmp_path: Path) -> None:
    """HDF5 itself would end the process by a signal."""
    from vitrine.errors import DataError
    from vitrine.simulate.released import ReleasedGlass, released_ids, write_released

    samples = ReleasedGlass(specimens=3).samples([])
    place = tmp_path / "disk"
    with disk(place, "size=100k"):
        with pytest.raises(DataError, match=r"cannot write .*glasses.h5: No space left on device"):
            write_released(place / "glasses.h5", samples)
        assert list(place.iterdir()) == []
        remount(place, "size=8m")
        write_released(place / "glasses.h5", samples)
        assert released_ids(place / "glasses.h5") == set(samples.ids)
