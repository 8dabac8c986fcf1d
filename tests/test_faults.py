"""SIGKILL at named points and at random ones: the same command finishes what was begun.

Every kill is of a whole ``vitrine run``; afterwards the same command must end well, make nothing
again that was finished, and leave the run folder of an unbroken run.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fault_study import ENVIRONMENT, Case, Server, Whole, unbroken_runs
from vitrine.campaign.store import Store
from vitrine.tasks import digest

Point = tuple[str, str, int]

POINTS: dict[str, list[Point]] = {
    "alloys": [
        ("vitrine.simulate.emt_alloys", "_Emt.energy", 60),  # in the simulation
        ("vitrine.campaign.store", "_remove", 1),  # the first entry has its marker, but is not renamed
        ("vitrine.samples", "Examples.save", 1),
        ("vitrine.campaign.index", "append", 3),  # renamed, but not in the list
        ("sklearn.tree", "BaseDecisionTree._fit", 8),  # in the middle of the second forest
        ("skops.io", "dump", 5),  # fitted, but not saved
        ("vitrine.campaign.store", "hash_file", 4),  # saved, but without marker
        ("vitrine.study.run", "provenance", 1),
        ("shutil", "copyfile", 2),  # in the first model folder
        ("vitrine.study.model_folders", "write_model_folder", 3),
        ("pandas", "DataFrame.to_parquet", 1),
        ("vitrine.study.result", "_write_json", 1),  # before metrics.json
        ("vitrine.study.result", "_write_json", 3),  # metrics.json is there, the result is not
        ("vitrine.report.html", "_write", 1),
        ("vitrine.report.html", "_page", 1),
    ],
    "glass": [
        ("vitrine.physics.voronoi", "voronoi", 2),  # in the features of the second specimen
        ("vitrine.campaign.store", "_remove", 2),
        ("vitrine.samples", "Examples.save", 1),
        ("sklearn.linear_model", "LogisticRegression.fit", 3),
        ("vitrine.study.model_folders", "write_model_folder", 2),
        ("vitrine.report.html", "draw_atoms", 1),
        ("vitrine.report.html", "_write", 2),
    ],
    "network": [
        ("vitrine.learn.training", "Fit.training_step", 3),  # in the first epoch
        ("vitrine.learn.training", "Fit.training_step", 40),
        ("vitrine.learn.training", "BestWeights.on_train_epoch_end", 9),
        ("vitrine.campaign.store", "hash_file", 4),
        ("vitrine.study.model_folders", "write_model_folder", 1),
    ],
}
"""Module, function, and the number of the call at which the command kills itself, in their order."""


@pytest.fixture
def unbroken() -> Whole:
    return unbroken_runs()


@pytest.fixture
def server(unbroken: Whole) -> Server:
    return unbroken.servers["alloys"]


def finish(server: Server, case: Case, unbroken: Whole, before: dict[str, int]) -> None:
    """The same command once more, and all that must hold then."""
    status, said = server.run(case)
    assert status == 0, said
    case.check_kept(before)
    case.check_equals(unbroken[case.study])
    assert not list((case.store / "partial").iterdir()), "unfinished work is finished or gone"


def test_killed_at_one_point_after_the_other(server: Server, unbroken: Whole, tmp_path: Path) -> None:
    """Each resumed run is killed again, a little later: nothing finished is made twice in all."""
    case = Case(tmp_path, "alloys")
    before: dict[str, int] = {}
    for point in POINTS["alloys"][::3]:
        status, said = server.run(case, at=point)
        assert status == -9, f"{point} was not met: {said}"
        case.check_kept(before)
        before = case.finished()
    finish(server, case, unbroken, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "point"),
    [(study, point) for study, points in POINTS.items() for point in points],
    ids=lambda value: value if isinstance(value, str) else ":".join(map(str, value)),
)
def test_killed_at_a_named_point(unbroken: Whole, tmp_path: Path, study: str, point: Point) -> None:
    assert unbroken[study].metrics()["rows"]
    case, server = Case(tmp_path, study), unbroken.servers[study]
    status, said = server.run(case, at=point)
    assert status == -9, f"{point} was not met: {said}"
    finish(server, case, unbroken, case.finished())


def killed_at_random(
    server: Server, unbroken: Whole, folder: Path, study: str, seed: int
) -> tuple[int, list[int]]:
    """Killed up to three times, then finished.

    Returns
    -------
    How often it was killed, and how many entries were finished then.
    """
    chance = random.Random(seed)
    whole = unbroken[study]
    case = Case(folder / f"{study}-{seed}", study)
    killed, entries = 0, []
    for _ in range(chance.randint(1, 3)):
        before = case.finished()
        delay = chance.uniform(0.0, 0.7 * unbroken.seconds[study])
        status, said = server.run(case, after=delay)
        assert status in (0, -9), said
        case.check_kept(before)
        entries.append(len(case.finished()))
        print(f"seed {seed}: {study}, after {delay:.3f} s, status {status}, {entries[-1]} entries")
        if status == 0:
            break
        killed += 1
    assert len(case.finished()) <= len(whole.finished())
    finish(server, case, unbroken, case.finished())
    shutil.rmtree(case.folder)
    return killed, entries


def test_killed_at_random_points(server: Server, unbroken: Whole, tmp_path: Path) -> None:
    killed, _ = killed_at_random(server, unbroken, tmp_path, "alloys", seed=1)
    assert killed >= 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("study", ["alloys", "glass"])
def test_killed_at_many_random_points(server: Server, unbroken: Whole, tmp_path: Path, study: str) -> None:
    """24 kills of each study; the seeds count up from 100."""
    kills, stages = 0, set()
    for seed in range(100, 200):
        killed, entries = killed_at_random(server, unbroken, tmp_path, study, seed)
        kills, stages = kills + killed, stages | set(entries)
        if kills >= 24:
            break
    print(f"{study}: {kills} kills with seeds 100 to {seed}, with {sorted(stages)} finished entries")
    assert kills >= 24
    assert len(stages) >= 4, "killed at different stages"


def test_half_written_run_folders_are_healed(server: Server, unbroken: Whole, tmp_path: Path) -> None:
    """As a loss of power may leave them."""
    case = Case(tmp_path, "alloys")
    shutil.copytree(unbroken["alloys"].store, case.store)
    shutil.copytree(unbroken["alloys"].out, case.out)
    for name in ("metrics.json", "result.json", "report.html", "study.yaml", "predictions/grouped.parquet"):
        path = case.out / name
        path.write_bytes(path.read_bytes()[:100])
    for name in ("metrics.json.part", "report.html.part"):
        (case.out / name).write_bytes(b"{")
    ridge, forest, mean = (case.out / "models" / name for name in ("ridge", "random_forest", "mean"))
    ridge.rename(ridge.with_name("ridge.part"))
    (forest / "model.yaml").write_bytes(b"")
    shutil.rmtree(mean)
    mean.mkdir()
    finish(server, case, unbroken, case.finished())


def made(said: str) -> int:
    """Entries that a command made itself."""
    (line,) = re.findall(r"^store: .*$", said, re.MULTILINE)
    counts = re.findall(r"(\d+) ", line.partition("made ")[2])
    return sum(map(int, counts))


def test_two_commands_share_a_store(server: Server, unbroken: Whole, tmp_path: Path) -> None:
    """The same study at once: nothing is made twice, both have the numbers of one alone."""
    cases = [Case(tmp_path / name, "alloys") for name in ("one", "other")]
    cases[1].store = cases[0].store
    told = server.together(*cases)
    assert [status for status, _ in told] == [0, 0], told
    assert sum(made(said) for _, said in told) == len(unbroken["alloys"].finished())
    for case in cases:
        case.check_equals(unbroken["alloys"])


def test_one_of_two_commands_is_killed(server: Server, unbroken: Whole, tmp_path: Path) -> None:
    cases = [Case(tmp_path / name, "alloys") for name in ("one", "other")]
    cases[1].store = cases[0].store
    whole = unbroken["alloys"]
    told = server.together(*cases, after=0.25 * unbroken.seconds["alloys"])
    assert [status for status, _ in told] == [-9, 0], told
    cases[1].check_equals(whole)
    finish(server, cases[0], unbroken, cases[0].finished())


def test_a_run_folder_belongs_to_one_command(server: Server, tmp_path: Path) -> None:
    case = Case(tmp_path, "alloys")
    with Store(case.store).lock(digest({"out": str(case.out)})):
        status, said = server.run(case)
        assert status == 2
        assert f"--out {case.out}: another vitrine writes to this run folder now" in said
    assert not case.finished()


@pytest.mark.slow
def test_workers_of_a_run_are_killed(server: Server, unbroken: Whole, tmp_path: Path) -> None:
    """The command itself, as a user starts it: SIGKILL of its workers at six times, and it goes on."""
    case = Case(tmp_path, "glass")
    command = [sys.executable, "-m", "vitrine.cli.main", *case.arguments(workers=2)]
    whole, killed = unbroken["glass"], set[int]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        parent = psutil.Process(process.pid)
        for entries in (0, 1, 3, 5, 8, 10):
            while process.poll() is None and len(case.finished()) < entries:
                time.sleep(0.01)
            assert process.poll() is None, "the run ended before its workers could be killed"
            workers = [child.pid for child in parent.children() if child.pid not in killed]
            while not workers:
                time.sleep(0.05)
                workers = [child.pid for child in parent.children() if child.pid not in killed]
            os.kill(workers[0], signal.SIGKILL)
            killed.add(workers[0])
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert len(killed) == 6
    case.check_equals(whole)
