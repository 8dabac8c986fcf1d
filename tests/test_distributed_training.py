"""Several processes that train one network together agree with one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from test_training_resume import NoisyPart
from vitrine.campaign.campaign import Campaign
from vitrine.errors import InputError, RunError
from vitrine.learn import parallel
from vitrine.learn.batches import Batches
from vitrine.learn.neural import GraphAttention, NetworkModel, Perceptron
from vitrine.learn.parallel import Rank
from vitrine.samples import Examples
from vitrine.study.fitting import examples_task, fit_task, read_facts
from vitrine.tasks import Task
from vitrine.testing import graph_examples

TESTS = Path(__file__).parent
ROUNDING = 2e-5
"""Adam divides gradients by their own size, so a sum in another order can show in the fifth digit."""
LONG = Perceptron(widths=(8,), epochs=1_000_000, patience=1_000_000, batch=4, devices=2)


def uneven(binary: bool) -> Examples:
    """Samples of 5 to 35 rows: shares of a batch differ in rows."""
    examples = graph_examples(n_samples=12, n_nodes=40, binary=binary)
    sizes = np.random.default_rng(5).integers(5, 36, size=12)
    rows = np.concatenate([np.arange(s, s + n) for s, n in zip(examples.starts[:-1], sizes, strict=True)])
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    random = np.random.default_rng(6)
    edges = [random.integers(0, n, size=(2, 4 * n)) + s for s, n in zip(starts[:-1], sizes, strict=True)]
    return replace(
        examples,
        features=examples.features[rows],
        target=examples.target[rows],
        starts=starts,
        edges=np.concatenate(edges, axis=1),
        edge_starts=(4 * starts).astype(np.int64),
    )


def fit(part: Any, binary: bool, progress: Callable[[float], None] = lambda fraction: None) -> NetworkModel:
    examples = uneven(binary)
    model: NetworkModel = part.build("binary" if binary else "value", 0)
    return model.fit(examples.select(range(7)), examples.select(range(7, 12)), progress)


def assert_agree(one: NetworkModel, other: NetworkModel) -> None:
    assert one._network is not None and other._network is not None
    there = other._network.state_dict()
    for name, value in one._network.state_dict().items():
        torch.testing.assert_close(
            there[name], value, rtol=0, atol=ROUNDING, msg=lambda m, n=name: f"{n}: {m}"
        )
    mine, theirs = one.describe(), other.describe()
    assert (theirs["epochs"], theirs["best_epoch"]) == (mine["epochs"], mine["best_epoch"])
    np.testing.assert_allclose(theirs["losses"], mine["losses"], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("batch", [1, 3, 7])
def test_shares_of_a_batch_add_up_to_the_batch(count: int, batch: int) -> None:
    """Mean over ranks of weight x mean over rows is the mean over the rows of the batch."""
    examples = uneven(binary=False)
    whole = Batches(examples, batch, seed=1)
    ranks = [Batches(examples, batch, 1, Rank(index, count)) for index in range(count)]
    for number in range(len(whole)):
        target = whole[number].target
        shares = [rank[number] for rank in ranks]
        mean = sum(part.share * float(part.target.double().mean()) for part in shares) / count
        assert mean == pytest.approx(float(target.double().mean()), rel=1e-6)
        assert sum(len(part.target) for part in shares if part.share > 0) == len(target)
    assert {rank.state["state"]["state"] for rank in ranks} == {whole.state["state"]["state"]}


@pytest.mark.timeout(200)
def test_two_processes_agree_with_one() -> None:
    """Seven graphs of unequal size in batches of three: the last batch has a share without a sample."""
    part = GraphAttention(layers=2, width=4, epochs=6, batch=3, learning_rate=0.02)
    told: list[float] = []
    together = fit(part.model_copy(update={"devices": 2}), True, told.append)
    assert_agree(fit(part, True), together)
    assert together.describe()["device"] == "2 x cpu" or torch.cuda.device_count() > 1
    assert told == sorted(told) and all(0 < fraction <= 1 for fraction in told)


@pytest.mark.slow
def test_two_processes_stop_early_as_one_does() -> None:
    part = Perceptron(widths=(64,), epochs=60, patience=3, learning_rate=0.05, batch=2)
    one = fit(part, False)
    assert one.describe()["epochs"] < 60
    two = fit(part.model_copy(update={"devices": 2}), False)
    assert (two.describe()["epochs"], two.describe()["best_epoch"]) == (
        one.describe()["epochs"],
        one.describe()["best_epoch"],
    )
    np.testing.assert_allclose(two.describe()["best_loss"], one.describe()["best_loss"], atol=1e-3)


def test_more_devices_than_gpus_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_gpus", lambda: 1)
    with pytest.raises(InputError, match=r"devices is 4, but this process sees 1 GPU"):
        fit(Perceptron(epochs=1, devices=4), True)


def ranks() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "vitrine.learn.parallel" in " ".join(child.cmdline())
    ]


def in_a_thread(part: Any) -> tuple[threading.Thread, list[BaseException], list[float]]:
    """Train there; what it raises and how far it says to be."""
    raised: list[BaseException] = []
    told: list[float] = []

    def work() -> None:
        try:
            fit(part, False, told.append)
        except BaseException as error:  # noqa: BLE001 - looked at below
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, raised, told


def until(true: Callable[[], Any], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_lost_process_is_an_error_in_words(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "TIMEOUT", 60.0 if how == "SIGKILL" else 10.0)
    thread, raised, told = in_a_thread(LONG)
    until(lambda: told)
    found = ranks()
    assert len(found) == 2
    found[1].send_signal(getattr(signal, how))
    thread.join(timeout=40)
    assert not thread.is_alive(), "it hangs"
    assert isinstance(raised[0], RunError)
    words = str(raised[0])
    if how == "SIGKILL":
        assert words.startswith("process 2 of 2") and "SIGKILL" in words
    else:
        assert words.startswith("process 1 of 2") and "waited 10 s for another that does not answer" in words
    assert "\n" not in words
    assert not any(process.is_running() for process in found), "the others end too"


@pytest.mark.slow
def test_a_process_that_cannot_start_is_an_error_in_words() -> None:
    """The part's class must be found by name: one made in a function is not."""

    class Hidden(Perceptron):
        pass

    with pytest.raises(RunError, match=r"process \d of 2 that trained together failed .*Hidden"):
        fit(Hidden(epochs=1, devices=2), True)


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them() -> None:
    code = "from test_distributed_training import *; fit(LONG, False, lambda f: print(f, flush=True))"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(TESTS)}
    )
    assert parent.stdout is not None and parent.stdout.readline()
    children = psutil.Process(parent.pid).children()
    assert len(children) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    until(lambda: not any(child.is_running() for child in children), 10)


@pytest.mark.slow
def test_together_it_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Killed, then resumed by two processes, then by one: as an unbroken one."""
    part = Perceptron(widths=(8,), epochs=400, patience=400, batch=3, learning_rate=1e-3)
    code = (
        "from test_distributed_training import *\n"
        "from vitrine.learn import training\n"
        f"part = Perceptron.model_validate({part.model_dump()!r}).model_copy(update={{'devices': 2}})\n"
        "model = part.build('value', 0)\n"
        f"model.resume_in(Path({str(tmp_path / 'unfinished')!r}))\n"
        "examples = uneven(False)\n"
        "model.fit(examples.select(range(7)), examples.select(range(7, 12)), lambda fraction: None)\n"
    )
    # ranks read the interval from the module: one with a short interval stands before it in the path
    (tmp_path / "sitecustomize.py").write_text(
        "import vitrine.learn.resume as resume\nresume.EVERY, resume.MOST_COST = 0.0, 1e9\n"
    )
    path = os.pathsep.join([str(tmp_path), str(TESTS)])
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path})
    until((tmp_path / "unfinished" / "training.json").exists)
    until(lambda: json.loads((tmp_path / "unfinished" / "training.json").read_text())["epoch"] > 20)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    time.sleep(2)
    kept = json.loads((tmp_path / "unfinished" / "training.json").read_text())
    assert kept["epoch"] < 400, "it ended before it could be killed"
    unbroken = fit(part, False)
    for devices in (2, None):
        model = part.model_copy(update={"devices": devices}).build("value", 0)
        model.resume_in(tmp_path / "unfinished")
        examples = uneven(False)
        model.fit(examples.select(range(7)), examples.select(range(7, 12)), lambda fraction: None)
        assert model.describe()["resumed_at"] >= kept["epoch"]
        assert model.describe()["epochs"] == 400
        np.testing.assert_allclose(
            model.describe()["best_loss"], unbroken.describe()["best_loss"], rtol=0, atol=1e-3
        )


@pytest.mark.slow
def test_in_a_campaign_it_is_the_same_fit(tmp_path: Path) -> None:
    """A worker trains with two processes; the same fit with one finds it finished."""
    part = Perceptron(widths=(8,), epochs=3, batch=4)
    sets = {"train": np.arange(7), "validation": np.arange(7, 10), "test": np.arange(10, 12)}

    def one(devices: int | None) -> Task:
        model = part.model_copy(update={"devices": devices})
        return fit_task("it", model, examples_task(uneven(False)), seed=0, **sets)

    with Campaign(tmp_path, workers=1) as campaign:
        (together,) = campaign.compute([one(2)])
    assert together.folder is not None, together.error
    assert read_facts(together.folder)["device"] == "2 x cpu" or torch.cuda.device_count() > 1
    with Campaign(tmp_path) as campaign:
        (alone,) = campaign.compute([one(None)])
    assert alone.reused and alone.folder == together.folder


@pytest.mark.slow
def test_each_process_draws_its_own_noise() -> None:
    """Dropout is not that of one process; training together works with it all the same."""
    part = NoisyPart(kind="noisy", epochs=5, batch=4, devices=2)
    with pytest.raises(RunError):  # NoisyPart is found by name; this proves that errors in ranks are told
        fit(part.model_copy(update={"learning_rate": float("nan")}), True)
    assert fit(part, True).describe()["epochs"] == 5
