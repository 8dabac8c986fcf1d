"""Other machines: a Dask cluster started by hand, jobs of a batch system, GPUs dealt out to workers.

No real Slurm and no GPU is used here: sbatch and scancel are small scripts that run the job script on
this machine, and a GPU is a name in a variable.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cluster_hands import TESTS, BatchSystem, Hands, alive, by_hand, until, where
from conftest import ALLOY_MODELS, ALLOYS
from toy_tasks import count_up, task
from vitrine.campaign import cluster as joining
from vitrine.campaign import jobs as jobs_module
from vitrine.campaign import sight
from vitrine.campaign.campaign import Campaign
from vitrine.campaign.gpus import listed_gpus, share_gpus, visible_gpus
from vitrine.campaign.slurm import Site, job_script, lifetime, seconds_of
from vitrine.cli.main import app
from vitrine.errors import InputError, MissingExtra, RunError, StudyError
from vitrine.study.site import read_site
from vitrine.tasks import Task

pytestmark = pytest.mark.timeout(240)


def spoken() -> Console:
    return Console(file=io.StringIO(), width=200)


def text_of(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def slow_tasks(tmp_path: Path, number: int = 2, steps: int = 30, wait: float = 0.1) -> list[Task]:
    return [
        task(f"t{i}", count_up, steps=steps, wait=wait, at=str(tmp_path / f"at{i}")) for i in range(number)
    ]


def begun(tmp_path: Path, number: int) -> list[tuple[int, int]]:
    """(process, first step) of each attempt at task ``number``."""
    path = tmp_path / f"at{number}"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(pid), int(step)) for pid, step in (line.split() for line in lines)]


# -- a cluster started by hand --------------------------------------------------------------------


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    with by_hand(tmp_path) as started:
        started.scheduler()
        yield started


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_is_replaced_by_another(hands: Hands, tmp_path: Path) -> None:
    workers = [hands.worker(), hands.worker()]
    store = tmp_path / "store"
    with Campaign(store, scheduler=hands.address) as campaign:
        tasks = slow_tasks(tmp_path)
        campaign.submit(tasks)
        until(lambda: begun(tmp_path, 0) and begun(tmp_path, 1))
        ((pid, _),) = begun(tmp_path, 0)
        (victim,) = [worker for worker in workers if worker.pid == pid]
        until(lambda: [p for p in store.glob("partial/*/step.txt") if p.read_text() >= "2"])
        victim.kill()
        outcomes = campaign.compute(tasks)
    assert [outcome.error for outcome in outcomes] == [None, None]
    first, second = begun(tmp_path, 0)
    assert second[0] != first[0] and second[1] >= 2, "another worker went on where the first was"
    assert workers[1 - workers.index(victim)].poll() is None, "workers of the user are left alone"


def test_tasks_for_gpus_go_to_workers_that_have_one(hands: Hands, tmp_path: Path) -> None:
    """And the same vitrine on all of them: what they answer is checked when they are met."""
    plain, gpu = hands.worker("--nthreads=2"), hands.worker("--resources", "GPU=1")
    logs = [tmp_path / "plain", tmp_path / "gpu"]
    tasks = [task(f"{i}", where, log=str(logs[i % 2])) for i in range(12)]
    tasks = [Task(**vars(t) | {"gpu": bool(i % 2)}) for i, t in enumerate(tasks)]
    console = spoken()
    with Campaign(tmp_path / "store", scheduler=hands.address, console=console) as campaign:
        until(lambda: campaign._cluster.workers == 2)
        campaign._cluster._met_at = 0.0
        campaign._cluster._meet()
        assert all(outcome.folder for outcome in campaign.compute(tasks))
    used = [{int(line.split()[0]) for line in log.read_text().splitlines()} for log in logs]
    assert used[1] == {gpu.pid}
    assert plain.pid in used[0]
    words = "1 worker(s) run several tasks at once in one process; start workers with --nthreads 1"
    assert words in text_of(console)
    assert (tmp_path / "store" / sight.MARKER).exists()


BLIND = """
import sys
def hide(event, args):
    if event in ("open", "os.mkdir") and str(args[0]).startswith({root!r}):
        raise FileNotFoundError(2, "No such file or directory", str(args[0]))
sys.addaudithook(hide)
"""


def without_vitrine(folder: Path) -> str:
    """A path on which vitrine cannot be imported."""
    folder.mkdir()
    (folder / "vitrine.py").write_text("raise ModuleNotFoundError(\"No module named 'vitrine'\")")
    return str(folder)


@pytest.mark.slow
def test_a_worker_that_cannot_read_a_task_is_said_and_others_do_it(hands: Hands, tmp_path: Path) -> None:
    """It ends as soon as it is given one, before anybody can ask it anything."""
    console = spoken()
    with Campaign(tmp_path / "store", scheduler=hands.address, console=console) as campaign:
        campaign.submit([task("it")])
        hands.worker(PYTHONPATH=without_vitrine(tmp_path / "path")).wait()
        campaign._cluster._met_at = 0.0
        campaign._cluster.repair()
        assert "1 worker(s) ended when they were given a task" in campaign._cluster.notes()[0]
        hands.worker()
        (outcome,) = campaign.compute([task("it")])
    assert outcome.folder is not None
    assert "has no workers yet; waiting for the first" in text_of(console)


@pytest.mark.parametrize(
    "trouble",
    ["blind", pytest.param("absent", marks=pytest.mark.slow), pytest.param("older", marks=pytest.mark.slow)],
)
def test_workers_that_cannot_take_part_are_said(
    hands: Hands, tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They see another file system, have no vitrine, or another version of it."""
    monkeypatch.setattr(sight, "PATIENCE", 0.5)
    store, path = tmp_path / "store", tmp_path / "path"
    if trouble == "absent":
        without_vitrine(path)
    else:
        path.mkdir()
    code = BLIND.format(root=str(store)) + "import vitrine.campaign.sight as sight\nsight.PATIENCE = 0.5\n"
    if trouble == "older":
        code = "import vitrine\nvitrine.__version__ = '0.0.9'\n"
    (path / "sitecustomize.py").write_text(code if trouble != "absent" else "")
    hands.worker(PYTHONPATH=str(path))
    log = tmp_path / "dask_scheduler-0.log"
    until(lambda: "Register worker" in log.read_text())
    expected = {
        "blind": rf"does not see the folder of the store, {re.escape(str(store))}; set --store",
        "absent": r"cannot import vitrine .*install vitrine \d",
        "older": r"has vitrine 0\.0\.9, this is \d",
    }[trouble]
    with (
        pytest.raises(InputError, match=expected),
        Campaign(store, scheduler=hands.address) as campaign,
    ):
        campaign.compute(slow_tasks(tmp_path))
    assert not list(store.glob("partial/*")), "no work was begun"


def test_a_worker_that_was_not_asked_yet_works_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitrine.campaign.execute import Order, execute

    order = Order.of(task("it"))
    monkeypatch.setattr(sight, "PATIENCE", 0.1)
    outcome = sight.guarded("other", execute, order, str(tmp_path / "nowhere"))
    assert outcome.folder is None and str(tmp_path / "nowhere") in str(outcome.error)
    assert not (tmp_path / "nowhere").exists()
    identity = sight.mark(tmp_path)
    assert sight.mark(tmp_path) == identity, "a store keeps its identity"
    assert sight.guarded(identity, execute, order, str(tmp_path)).folder is not None


@pytest.mark.slow
def test_a_scheduler_that_dies_is_said_and_the_work_goes_on_later(
    hands: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "JOIN_TIMEOUT", 2.0)
    worker = hands.worker()
    store, tasks = tmp_path / "store", slow_tasks(tmp_path, 1, wait=0.3)
    with Campaign(store, scheduler=hands.address) as campaign:
        campaign.submit(tasks)
        until(lambda: [p for p in store.glob("partial/*/step.txt") if p.read_text() >= "2"])
        hands.processes[0].kill()
        begin = time.monotonic()
        with pytest.raises(RunError, match=r"scheduler at tcp://.* went away.*the same command continues"):
            campaign.compute(tasks)
        assert time.monotonic() - begin < 30
    worker.kill()
    worker.wait()
    with Campaign(store) as campaign:
        (outcome,) = campaign.compute(tasks)
    assert outcome.error is None
    assert begun(tmp_path, 0)[-1][1] >= 2, "it went on where it was"


def vitrine_run(tmp_path: Path, *options: str, seconds: float = 200, **popen: Any) -> subprocess.Popen[str]:
    sets = [part for key, value in ALLOYS.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    program = [sys.executable, "-m", "vitrine.cli.main", "run", "branched-composition", "--scale", "smoke"]
    program += ["--models", ",".join(ALLOY_MODELS)]
    folders = ["--out", str(tmp_path / "run"), "--store", str(tmp_path / "store")]
    return subprocess.Popen(
        [*program, *sets, *folders, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )


def metrics(folder: Path) -> Any:
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.slow
def test_a_study_on_a_cluster_gives_the_same_metrics(hands: Hands, tmp_path: Path, alloy_run: Path) -> None:
    for _ in range(2):
        hands.worker()
    out, err = (process := vitrine_run(tmp_path, "--scheduler", hands.address)).communicate(timeout=200)
    assert process.returncode == 0, err
    assert metrics(tmp_path / "run") == metrics(alloy_run)
    assert "report: " in out


@pytest.mark.slow
def test_a_command_whose_scheduler_dies_ends_in_words_and_resumes(
    hands: Hands, tmp_path: Path, alloy_run: Path
) -> None:
    hands.worker()
    process = vitrine_run(tmp_path, "--scheduler", hands.address)
    until(lambda: len(list(tmp_path.glob("store/entries/*/*/entry.json"))) >= 3, 120)
    hands.processes[0].kill()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in out + err and "went away" in err
    assert len(err.strip().splitlines()) == 1, err
    hands.close()
    done = len(list(tmp_path.glob("store/entries/*/*/entry.json")))
    hands.scheduler()
    hands.worker()
    out, err = (process := vitrine_run(tmp_path, "--scheduler", hands.address)).communicate(timeout=200)
    assert process.returncode == 0, err
    reused = sum(int(n) for n in re.findall(r"(\d+) ", re.search(r"store: reused ([^;\n]*)", out).group(1)))
    assert reused >= done - 1
    assert metrics(tmp_path / "run") == metrics(alloy_run)


# -- jobs of a batch system -----------------------------------------------------------------------

SITE = """
queue: short
account: materials
cores: 4
memory: 8GB
walltime: 02:00:00
jobs: 2
"""


def site(**settings: Any) -> Site:
    return Site.model_validate({"memory": "8GB", "walltime": "02:00:00"} | settings)


def script_of(**settings: Any) -> list[str]:
    return job_script(site(**settings)).splitlines()


def option(script: list[str], name: str) -> str:
    words = script[-1].split()
    return words[words.index(name) + 1]


def test_job_script_says_what_the_site_file_says(tmp_path: Path) -> None:
    script = script_of(
        queue="short", account="materials", cores=4, jobs=2, job_extra_directives=["--exclusive"],
        job_script_prologue=["module load python"], environment={"A": "two words", "N": 3},
        worker_extra_args=["--preload", "x.py"], log_directory=str(tmp_path / "logs"), python="/opt/py",
        interface="ib0", shebang="#!/bin/bash -l", job_directives_skip=["-n 1"],
    )  # fmt: skip
    assert script[0] == "#!/bin/bash -l"
    directives = [line.removeprefix("#SBATCH ") for line in script if line.startswith("#SBATCH")]
    assert {"-J vitrine", "-p short", "-A materials", "--cpus-per-task=4", "--mem=8G", "-t 02:00:00"} <= set(
        directives
    )
    assert directives[-1] == "--exclusive" and "-n 1" not in directives
    assert f"-o {tmp_path / 'logs'}/vitrine-%J.out" in directives and (tmp_path / "logs").is_dir()
    assert not any("gres" in line for line in script)
    assert script.index("module load python") < script.index("export OMP_NUM_THREADS=1")
    assert "export A='two words'" in script and "export N=3" in script
    assert script[-1].startswith("/opt/py -m distributed.cli.dask_worker tls://")
    wanted = {
        "--nthreads": "1", "--nworkers": "4", "--lifetime": "6480s", "--lifetime-stagger": "360s",
        "--death-timeout": "120", "--interface": "ib0", "--preload": "x.py", "--memory-limit": "1.86GiB",
    }  # fmt: skip
    assert {name: option(script, name) for name in wanted} == wanted
    assert "--no-dashboard" in script[-1].split() and "--tls-key" in script[-1].split()


def test_job_script_with_gpus_has_one_worker() -> None:
    script = script_of(cores=8, gpus=2, gpu_type="a100")
    assert "#SBATCH --gres=gpu:a100:2" in script and "#SBATCH --cpus-per-task=8" in script
    assert "--nworkers" not in script[-1] and option(script, "--nthreads") == "1"
    assert option(script, "--resources") == "gpu=1"
    assert "#SBATCH --gres=gpu:1" in script_of(gpus=1)
    assert "tls" not in job_script(site(security="none")) and "tcp://" in job_script(site(security="none"))


def test_other_batch_systems() -> None:
    pbs = script_of(system="pbs", queue="q", account="a", cores=4, gpus=1)
    assert {"#PBS -q q", "#PBS -A a", "#PBS -l select=1:ncpus=4:mem=8gb:ngpus=1"} <= set(pbs)
    assert "#PBS -l walltime=02:00:00" in pbs and option(pbs, "--nthreads") == "1"
    sge = script_of(system="sge", queue="q", account="a", resource_spec="h_vmem=8G")
    assert {"#$ -q q", "#$ -P a", "#$ -l h_vmem=8G", "#$ -l h_rt=02:00:00"} <= set(sge)


@pytest.mark.parametrize("walltime", [120, 121, 600, 3600, 86400, 7 * 86400])
def test_workers_end_before_their_jobs(walltime: int) -> None:
    life, stagger = lifetime(walltime)
    assert 0 <= stagger < life
    assert life + stagger <= walltime - 30, "half a minute to say goodbye"
    assert life - stagger >= walltime / 4


def test_walltimes() -> None:
    assert seconds_of("00:30:00") == 1800 and seconds_of("2-00:00:01") == 172801


def test_a_site_file_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    read = read_site(path)
    assert (read.queue, read.workers, read.jobs, read.walltime) == ("short", 4, 2, "02:00:00")
    wrong = {
        "quee: x": r"quee: no such key; did you mean 'queue'",
        "walltime: 720": r"walltime: expected HH:MM:SS",
        "walltime: 00:01:00": r"walltime: expected 120 s or more",
        "memory: plenty": r"memory: expected a number",
        "gpus: 2\nprocesses: 2": r"one worker",
        "processes: 5": r"processes is 5, but a job has 4 core",
        "maximum: 3": r"give one of both",
        "security: maybe": r"security: .*'tls' or 'none'",
        "environment: {a-b: x}": r"environment: 'a-b' is no name",
        "resource_spec: x": r"Slurm has no resource_spec",
        "jobs: 0": r"jobs: .*greater than or equal to 1",
    }
    for line, words in wrong.items():
        key = line.partition(":")[0]
        rest = [kept for kept in SITE.strip().splitlines() if not kept.startswith(f"{key}:")]
        path.write_text("\n".join([*rest, line]))
        with pytest.raises(StudyError, match=words) as error:
            read_site(path)
        assert str(error.value).startswith(f"--slurm: {path}: ")
    for text, words in (("[1]", "no keys"), ("a: [", "not YAML"), ("queue: a\nqueue: b", "stands twice")):
        path.write_text(text)
        with pytest.raises(StudyError, match=words):
            read_site(path)
    with pytest.raises(StudyError, match=r"cannot read .*No such file"):
        read_site(tmp_path / "none.yaml")


def test_the_job_script_is_shown_without_submitting(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    done = CliRunner().invoke(app, ["slurm-script", str(path)])
    assert done.exit_code == 0
    assert done.stdout.startswith("#!/usr/bin/env bash\n") and "#SBATCH -p short\n" in done.stdout


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchSystem]:
    system = BatchSystem(tmp_path, monkeypatch)
    yield system
    system.close()


def here(**settings: Any) -> Site:
    """Jobs of this machine."""
    return site(interface="lo", environment={"PYTHONPATH": str(TESTS)}, **settings)


def test_jobs_are_submitted_and_cancelled(batch: BatchSystem, tmp_path: Path) -> None:
    store, console = tmp_path / "store", spoken()
    with Campaign(store, slurm=here(cores=2), console=console) as campaign:
        (keys,) = store.glob("tls-*/key.pem")
        assert stat.S_IMODE(keys.parent.stat().st_mode) == 0o700
        outcomes = campaign.compute([task(f"t{i}", where, log=str(tmp_path / "log")) for i in range(6)])
        assert all(outcome.folder for outcome in outcomes)
        assert batch.jobs == [1]
        running = batch.processes(1)
    assert "waiting for the first job to start" in text_of(console)
    assert "tls://127.0.0.1:" in batch.script(1) and str(keys) in batch.script(1)
    assert "--nworkers 2" in batch.script(1)
    assert batch.cancelled == [1]
    until(lambda: not any(map(alive, running)), 10)
    assert not list(store.glob("tls-*")), "the keys are gone"


def test_a_refused_job_is_said(batch: BatchSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "EVERY", 0.1)
    (batch.folder / "refuse").write_text("sbatch: error: invalid partition specified: shrt\n")
    with (
        pytest.raises(InputError, match=r"sbatch refuses the job: sbatch: error: invalid partition .* shrt$"),
        Campaign(tmp_path / "store", slurm=here(security="none")) as campaign,
    ):
        campaign.compute([task("t")])
    assert batch.jobs == []


def test_a_machine_without_a_batch_system_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(InputError, match="command sbatch is not found"), Campaign(tmp_path, slurm=here()):
        pass
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(MissingExtra, match=r"vitrine\[slurm\]"):
        job_script(site())
    with (
        pytest.raises(InputError, match="give one of them"),
        Campaign(tmp_path, slurm=here(), scheduler="tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.slow
def test_a_lost_node_is_replaced_by_another_job(
    batch: BatchSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "LOST_AFTER", 3.0)
    monkeypatch.setattr(jobs_module, "EVERY", 1.0)
    store, tasks, console = tmp_path / "store", slow_tasks(tmp_path, 2, steps=60), spoken()
    with Campaign(store, slurm=here(cores=2), console=console) as campaign:
        campaign.submit(tasks)
        until(lambda: begun(tmp_path, 0) and begun(tmp_path, 1))
        batch.fail(1)
        (batch.folder / "refuse").write_text("sbatch: error: the controller is down\n")
        until(lambda: campaign._cluster.repair() or "controller" in str(campaign._cluster._notes))
        assert batch.jobs == [1]
        (batch.folder / "refuse").unlink()
        outcomes = campaign.compute(tasks)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert len(batch.jobs) == 2 and batch.cancelled == [1, 2]
    said = text_of(console)
    assert "1 job(s) ended; asking for others" in said
    assert "a job was refused: sbatch: error: the controller is down; it will be asked for again" in said


@pytest.mark.slow
def test_a_task_outlives_many_walltimes(
    batch: BatchSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers end every few seconds, more often than a task may lose its worker; it counts for nothing."""
    monkeypatch.setattr(jobs_module, "LOST_AFTER", 2.0)
    monkeypatch.setattr(jobs_module, "EVERY", 0.5)
    monkeypatch.setattr(joining, "MEET", 0.5)
    tasks = slow_tasks(tmp_path, 1, steps=120, wait=0.2)
    short = here(worker_extra_args=["--lifetime", "4s", "--lifetime-stagger", "0s"])
    with Campaign(tmp_path / "store", slurm=short) as campaign:
        (outcome,) = campaign.compute(tasks)
    assert outcome.error is None
    attempts = begun(tmp_path, 0)
    assert len(attempts) > 3 and len({pid for pid, _ in attempts}) == len(attempts)
    assert all(later[1] > earlier[1] for earlier, later in pairwise(attempts))
    assert len(batch.jobs) >= len(attempts)


@pytest.mark.slow
def test_jobs_end_with_a_killed_command(batch: BatchSystem, tmp_path: Path) -> None:
    """Nobody cancels them after `kill -9`: workers end when their scheduler is gone, tasks or not."""
    path = tmp_path / "site.yaml"
    path.write_text("memory: 4GB\nwalltime: 01:00:00\ninterface: lo\ncores: 2\ndeath_timeout: 10\n")
    process = vitrine_run(tmp_path, "--slurm", str(path))
    until(lambda: len(list(tmp_path.glob("store/entries/*/*/entry.json"))) >= 2, 120)
    running = batch.processes(1)
    process.kill()
    process.communicate()
    assert running and batch.cancelled == []
    until(lambda: not any(map(alive, running)), 60)


@pytest.mark.slow
def test_a_study_in_jobs_gives_the_same_metrics(batch: BatchSystem, tmp_path: Path, alloy_run: Path) -> None:
    """Jobs that vary in number, from the command line; Ctrl-C in the middle cancels them."""
    path = tmp_path / "site.yaml"
    path.write_text("cores: 2\nmemory: 4GB\nwalltime: 01:00:00\nminimum: 0\nmaximum: 1\ninterface: lo\n")
    process = vitrine_run(tmp_path, "--slurm", str(path), start_new_session=True)
    until(lambda: len(list(tmp_path.glob("store/entries/*/*/entry.json"))) >= 3, 120)
    running = batch.processes(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in out + err, err
    until(lambda: not any(map(alive, running)), 10)
    out, err = (process := vitrine_run(tmp_path, "--slurm", str(path))).communicate(timeout=200)
    assert process.returncode == 0, err
    assert metrics(tmp_path / "run") == metrics(alloy_run)
    assert set(batch.cancelled) == set(batch.jobs)


# -- GPUs -----------------------------------------------------------------------------------------


def test_gpus_are_dealt_out_evenly_and_none_to_two_workers() -> None:
    for gpus in (0, 1, 2, 4, 7):
        for workers in (1, 2, 3, 8):
            names = [str(number) for number in range(gpus)]
            dealt = [part.split(",") if part else [] for part in share_gpus(names, workers)]
            assert len(dealt) == workers
            assert sorted(name for part in dealt for name in part) == names
            sizes = [len(part) for part in dealt]
            assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


def test_the_users_choice_of_gpus_is_obeyed(tmp_path: Path) -> None:
    def chosen(value: str) -> list[str]:
        return visible_gpus({"CUDA_VISIBLE_DEVICES": value, "PATH": ""})

    assert chosen("2,3") == ["2", "3"] and chosen(" 1 ") == ["1"]
    assert chosen("") == [] and chosen("-1") == [] and chosen("none") == []
    assert chosen("0,-1,1") == ["0"], "CUDA stops at the first that is none"
    assert chosen("GPU-8932f937-d72c,MIG-c6d4f1ef") == ["GPU-8932f937-d72c", "MIG-c6d4f1ef"]


LISTED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0)
"""
"""as in https://docs.nvidia.com/datacenter/tesla/mig-user-guide/"""


def test_gpus_are_listed_by_nvidia_smi(tmp_path: Path) -> None:
    assert [name[:8] for name in listed_gpus(LISTED)] == ["MIG-c6d4", "MIG-cba6", "GPU-e86c"]
    assert listed_gpus("NVIDIA-SMI has failed because it could not communicate with the driver.\n") == []
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTED}END\n")
    program.chmod(stat.S_IRWXU)
    assert len(visible_gpus({"PATH": str(tmp_path)})) == 3
    program.write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus({"PATH": str(tmp_path)}) == []


def test_local_workers_have_a_gpu_each_while_they_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, one GPU: what is faster on it runs on the first; the second sees none."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    logs = [tmp_path / "plain", tmp_path / "gpu"]
    tasks = [
        Task(f"{i}", "where", {"i": i}, where, {"log": str(logs[i % 2])}, gpu=bool(i % 2)) for i in range(12)
    ]
    assert tasks[1].key == Task("1", "where", {"i": 1}, where, {}).key, "where it runs is not what it is"
    with Campaign(tmp_path / "store", workers=2) as campaign:
        until(lambda: campaign._cluster.workers == 2)
        assert all(outcome.folder for outcome in campaign.compute(tasks))
    seen = [{line.partition(" ")[2] for line in log.read_text().splitlines()} for log in logs]
    assert seen[1] == {"5"}
    assert "" in seen[0], "the second worker took part"


@pytest.mark.slow
def test_without_gpus_nothing_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "visible_gpus", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tasks = [Task("it", "where", {}, where, {"log": str(tmp_path / "log")}, gpu=True)]
    with Campaign(tmp_path / "store", workers=1) as campaign:
        assert campaign.compute(tasks)[0].folder is not None
    assert (tmp_path / "log").read_text().split()[1] == "unset"


def test_networks_ask_for_a_gpu_and_forests_do_not() -> None:
    from vitrine.study import shelf

    wanting = {kind for kind in shelf.MODELS if shelf.part_class("model", kind).gpu}
    assert {"gat", "mlp"} <= wanting and not wanting & {"random-forest", "ridge", "chance"}


def test_finding_gpus_imports_nothing_heavy() -> None:
    code = "import sys, vitrine.campaign.gpus as g; g.visible_gpus(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == "False"


# -- the page -------------------------------------------------------------------------------------


def test_the_page_shows_a_site_file_and_names_every_key(tmp_path: Path) -> None:
    text = (TESTS.parent / "docs" / "clusters.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "site.yaml").write_text(block)
    shown = read_site(tmp_path / "site.yaml")
    assert (shown.workers, shown.jobs, shown.walltime) == (16, 4, "12:00:00")
    rows = {
        key for line in text.splitlines() if line.startswith("| `") for key in re.findall(r"`(\w+)`", line)
    }
    assert set(Site.model_fields) <= rows
