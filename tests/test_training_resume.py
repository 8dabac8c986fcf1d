"""A fit that is killed goes on where it was, to the same weights bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vitrine.campaign.campaign import Campaign
from vitrine.learn import resume
from vitrine.learn.neural import GraphAttention, NetworkModel, NetworkPart, Perceptron
from vitrine.samples import Examples
from vitrine.study.fitting import examples_task, fit_task
from vitrine.testing import graph_examples

TESTS = Path(__file__).parent


class Noisy(nn.Module):
    """Dropout draws from torch's generator; batch normalisation has buffers."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1)
        )

    def forward(self, features: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.layers(features)[:, 0]


class NoisyPart(NetworkPart):
    """A network that needs every bit of state."""

    def network(self, n_features: int) -> nn.Module:
        return Noisy(n_features)


class Stopped(Exception):
    """In place of a kill."""


PARTS: dict[str, NetworkPart] = {
    "noisy": NoisyPart(kind="noisy", epochs=8, batch=3, learning_rate=0.02, patience=8),
    "gat": GraphAttention(layers=1, width=4, epochs=8, batch=3, learning_rate=0.01, weight_decay=0.1),
    "stops early": Perceptron(widths=(64,), epochs=60, patience=4, learning_rate=0.05, batch=2),
}


def data(binary: bool = True) -> tuple[Examples, Examples]:
    examples = graph_examples(binary=binary)
    return examples.select(range(7)), examples.select(range(7, 12))


def weights(model: Any) -> dict[str, torch.Tensor]:
    return dict(model._network.state_dict())


def fit(
    part: NetworkPart, folder: Path | None, stop_after: int | None = None
) -> tuple[NetworkModel, list[int]]:
    """Fit, keeping its unfinished state; the epochs that ended in this attempt."""
    ended = []

    def progress(fraction: float) -> None:
        epoch = fraction * part.epochs
        if abs(epoch - round(epoch)) < 1e-6:
            ended.append(round(epoch))
            if round(epoch) == stop_after:
                raise Stopped

    model = part.build("binary", 3)
    if folder is not None:
        model.resume_in(folder)
    try:
        model.fit(*data(), progress)
    except Stopped:
        assert stop_after is not None
    return model, ended


def assert_equal(one: Any, other: Any) -> None:
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name
    for key in ("epochs", "best_epoch", "best_loss", "losses"):
        np.testing.assert_equal(one.describe()[key], other.describe()[key])


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("stops", [(1,), (3, 5, 6)])
def test_a_stopped_fit_goes_on_to_the_same_bits(
    name: str, stops: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    part, folder = PARTS[name], tmp_path / "unfinished"
    unbroken, epochs = fit(part, None)
    done = []
    for stop in stops:
        done += fit(part, folder, stop)[1]
        torch.manual_seed(99)  # another process starts with another state
    model, rest = fit(part, folder)
    assert_equal(model, unbroken)
    assert done + rest == epochs, "no epoch was done twice"
    assert model.describe()["resumed_at"] == stops[-1]
    assert "resumed_at" not in unbroken.describe()
    assert model.describe()["device"] == (
        "cpu" if not torch.cuda.is_available() else model.describe()["device"]
    )


def test_a_fit_that_was_over_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    for name in ("gat", "stops early"):
        first, epochs = fit(PARTS[name], tmp_path / name)
        again, rest = fit(PARTS[name], tmp_path / name)
        assert rest == [] and epochs[-1] == again.describe()["epochs"]
        assert_equal(again, first)


def test_what_is_broken_or_of_another_fit_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    part = PARTS["gat"]
    unbroken, epochs = fit(part, None)

    def spoil(path: Path, how: str) -> None:
        raw = path.read_bytes()
        middle = len(raw) // 2
        path.write_bytes(
            {"empty": b"", "cut": raw[:-3], "flip": raw[:middle] + b"~" + raw[middle + 1 :]}[how]
        )

    for how in ("empty", "cut", "flip"):
        for pattern in ("training.json", "training-*.safetensors"):
            folder = tmp_path / f"{how}-{pattern[:9]}"
            fit(part, folder, 4)
            (path,) = folder.glob(pattern)
            spoil(path, how)
            model, rest = fit(part, folder)
            assert rest == epochs, (how, pattern)
            assert_equal(model, unbroken)
    for text in ("[]", "{}", "null", '{"format": 1}'):
        folder = tmp_path / "json"
        fit(part, folder, 4)
        (folder / resume.STATE).write_text(text)
        assert fit(part, folder)[1] == epochs
    other = tmp_path / "other"
    fit(part.model_copy(update={"learning_rate": 0.5}), other, 4)
    assert_equal(fit(part, other)[0], unbroken)


def test_states_cost_little_and_are_written_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: now[0])
    kept = resume.Unfinished(tmp_path / "kept", "it")
    state = resume.State(1, [(1.0, 2.0)], 2.0, 1, False, 0.0, None, {"network.a": torch.ones(3)})
    assert not kept.due(), "training has just begun"
    now[0] = resume.EVERY
    assert kept.due()
    monkeypatch.setattr(kept, "_write", lambda folder, state: now.__setitem__(0, now[0] + 1.0))
    kept.save(state)  # takes a second
    now[0] += 0.9 / resume.MOST_COST
    assert not kept.due(), "a large network is written less often"
    now[0] += 0.2 / resume.MOST_COST
    assert kept.due()
    assert not resume.Unfinished(None, "it").due()


def test_a_full_disk_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "MOST_COST", 1e9)
    (tmp_path / "file").write_text("no folder can be here")
    model, _ = fit(PARTS["gat"], tmp_path / "file")
    assert_equal(model, fit(PARTS["gat"], None)[0])


def one_fit() -> Any:
    """The task of a fit, as a study makes it."""
    sets = {"train": np.arange(7), "validation": np.arange(7, 10), "test": np.arange(10, 12)}
    return fit_task("it", PARTS["gat"], examples_task(graph_examples()), seed=3, **sets)


def slow_fit(store: Path) -> None:
    """Run it, resting half a second after each epoch."""
    write = resume.Unfinished.save

    def save(self: resume.Unfinished, state: resume.State) -> None:
        write(self, state)
        time.sleep(0.5)

    resume.EVERY, resume.MOST_COST, resume.Unfinished.save = 0.0, 1e9, save  # type: ignore[method-assign]
    with Campaign(store) as campaign:
        campaign.compute([one_fit()])


def test_a_killed_task_goes_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGKILL in the middle of a fit in a store entry; the entry equals an unbroken one."""
    code = f"from test_training_resume import *; slow_fit(Path({str(tmp_path / 'broken')!r}))"
    killed = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(TESTS)}
    )
    deadline = time.monotonic() + 60
    # of two files of a state the first names the second; the state of epoch 4 stands when that of 3 is whole
    while not list(tmp_path.glob("broken/partial/*/unfinished/training-000004.safetensors")):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    folders = {}
    for store in ("broken", "whole"):
        with Campaign(tmp_path / store) as campaign:
            (outcome,) = campaign.compute([one_fit()])
        assert outcome.folder is not None, outcome.error
        folders[store] = outcome.folder
    names = {path.name for path in folders["whole"].iterdir()}
    assert names == {path.name for path in folders["broken"].iterdir()}
    assert "unfinished" not in names
    for name in ("weights.safetensors", "scores.npz"):
        assert (folders["broken"] / name).read_bytes() == (folders["whole"] / name).read_bytes(), name
    facts = {s: json.loads((folders[s] / "facts.json").read_text()) for s in folders}
    assert facts["broken"]["resumed_at"] >= 3 and "resumed_at" not in facts["whole"]
    assert facts["broken"]["losses"] == facts["whole"]["losses"]


def test_where_a_fit_runs_is_not_part_of_what_it_is() -> None:
    part = PARTS["gat"]
    assert part.model_copy(update={"devices": 4}).recipe() == part.recipe()
    assert part.model_copy(update={"heads": 4}).recipe() != part.recipe()


def test_a_fit_that_is_asked_to_end_is_no_failed_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lightning makes an exception of SIGTERM; as a failed fit the run would go on with the others."""
    import lightning
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    def ended(*_: Any, **__: Any) -> None:
        raise SIGTERMException

    monkeypatch.setattr(lightning.Trainer, "fit", ended)
    examples = graph_examples()
    sets = {name: np.arange(4) for name in ("train", "validation", "test")}
    task = fit_task("fit", GraphAttention(epochs=2), examples_task(examples), seed=0, **sets)
    with pytest.raises(KeyboardInterrupt), Campaign(tmp_path / "store") as campaign:
        campaign.compute([task])
