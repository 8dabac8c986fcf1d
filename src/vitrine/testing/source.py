"""The contract of sources."""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from vitrine.campaign.campaign import Campaign
from vitrine.errors import VitrineError
from vitrine.samples import Samples
from vitrine.tasks import Outcome, Task
from vitrine.testing.fingerprint import fingerprint
from vitrine.testing.inputs import some_of
from vitrine.testing.part import PartContract


@dataclass(frozen=True)
class _Made:
    outcomes: list[Outcome]
    samples: Samples


class TasksContract(PartContract):
    """The half of :class:`SourceContract` that runs nothing: tasks are told apart by their keys.

    Attributes
    ----------
    more: settings that ask for more of the same, such as ``{"specimens": 3}``: what is finished
        must be used again.
    """

    more: ClassVar[Mapping[str, Any]] = {}

    def test_tasks_are_named_and_repeatable(self) -> None:
        """Labels and keys are unique; the same settings give the same keys; recipes are JSON."""
        tasks = _all(self.part.tasks())
        assert len({task.key for task in tasks}) == len(tasks), "two tasks have one key"
        named = [task.label for task in self.part.tasks()]
        assert len(set(named)) == len(named), "two tasks have one label"
        again = type(self.part).model_validate(self.part.model_dump())
        assert [task.key for task in again.tasks()] == [task.key for task in self.part.tasks()]
        for task in tasks:
            assert json.dumps(dict(task.recipe), allow_nan=False)

    def test_tasks_can_travel_to_a_worker(self) -> None:
        """Their functions are found by name in a module, their arguments can be pickled."""
        for task in _all(self.part.tasks()):
            home: Any = importlib.import_module(task.function.__module__)
            assert getattr(home, task.function.__qualname__, None) is task.function, (
                f"{task.function.__qualname__} must be a function at the top of its module"
            )
            assert pickle.loads(pickle.dumps(dict(task.arguments))).keys() == task.arguments.keys()  # noqa: S301

    def test_the_key_holds_what_the_work_is_told(self, tmp_path: Path) -> None:
        """With any setting changed: tasks of equal key have equal arguments, or old results pass for new."""
        told = {task.key: task.arguments for task in _all(self.part.tasks())}
        for name, variant in self.variants(tmp_path):
            try:
                tasks = _all(variant.tasks())  # type: ignore[attr-defined]
            except VitrineError:
                continue  # a value that is refused before any work
            for task in tasks:
                if task.key in told and not _same(task.arguments, told[task.key]):
                    raise AssertionError(f"{name!r} changes what {task.label} is told, but not its key")

    def test_asking_for_more_keeps_what_is_finished(self) -> None:
        """The tasks of a smaller source are among those of the larger."""
        if not self.more:
            pytest.skip("no setting asks for more of the same")
        larger = self.part.model_copy(update=dict(self.more))
        keys = {task.key for task in larger.tasks()}
        assert keys > {task.key for task in self.part.tasks()}


class SourceContract(TasksContract):
    """Tasks are told apart by their keys, samples come out the same each time, failures are said.

    Attributes
    ----------
    part: with settings that run in seconds, and make at least two samples.
    reseeded: settings that draw other samples, such as ``{"first_seed": 11}``; empty for a source
        without chance in it.
    """

    reseeded: ClassVar[Mapping[str, Any]] = {}
    _kept: ClassVar[_Made]

    def test_samples_are_what_it_yields(self, tmp_path: Path) -> None:
        """Of its kind, with ids and groups, nothing that is not finite; ``about`` is JSON."""
        samples = self._made(tmp_path).samples
        assert samples.kind == self.part.yields
        assert len(samples) >= 2, "set the part under contract so that it yields two samples at least"
        assert all(isinstance(name, str) and name for name in (*samples.ids, *samples.groups))
        assert json.dumps(samples.about, allow_nan=False)
        assert all(isinstance(reason, str) and reason for reason in samples.left_out.values())
        assert not set(samples.left_out) & set(samples.ids), "left out, and yet there"
        if samples.kind == "atoms":
            for atoms in samples.items:
                _check_atoms(atoms)
        if samples.kind == "maps":
            assert all(np.isfinite(each.axial).all() and each.pitch > 0 for each in samples.items)
        if samples.kind == "formulas":
            assert "formula" in samples.items and list(samples.items.index) == list(range(len(samples)))

    def test_the_same_seeds_make_the_same_samples(self, tmp_path: Path) -> None:
        """Made anew in another store, not read from the first."""
        first = self._made(tmp_path)
        again = _run(self.part, tmp_path / "again")
        assert all(not outcome.reused for outcome in again.outcomes)
        assert fingerprint(again.samples) == fingerprint(first.samples)

    def test_other_seeds_make_other_samples(self, tmp_path: Path) -> None:
        """With the settings that ``reseeded`` names."""
        if not self.reseeded:
            pytest.skip("no chance in it")
        other = _run(self.part.model_copy(update=dict(self.reseeded)), tmp_path / "other").samples
        ours, theirs = (fingerprint(_unnamed(made)) for made in (self._made(tmp_path).samples, other))
        assert ours != theirs, f"{dict(self.reseeded)} changes names at most"

    def test_what_failed_is_left_out_and_said(self, tmp_path: Path) -> None:
        """Without one of several tasks the others stay; without all there is nothing, but no crash."""
        made = self._made(tmp_path)
        if not made.outcomes:
            pytest.skip("no task can fail")
        words = "its process died 3 times"
        if len(made.outcomes) > 1:
            samples = self.part.samples([_failed(made.outcomes[0], words), *made.outcomes[1:]])
            assert set(samples.ids) < set(made.samples.ids)
            assert any(words in reason for reason in samples.left_out.values()), samples.left_out
            assert _items_of(samples) == _items_of(made.samples, samples.ids), "another sample has changed"
        try:
            samples = self.part.samples([_failed(outcome, words) for outcome in made.outcomes])
        except VitrineError as error:
            assert words in str(error)
        else:
            assert len(samples) == 0
            assert any(words in reason for reason in samples.left_out.values())

    def _made(self, folder: Path) -> _Made:
        """The part run once for all tests of the class."""
        cls = type(self)
        if "_kept" not in vars(cls):
            cls._kept = _run(self.part, folder.parent / f"{cls.__name__}-kept")
        return cls._kept


def _run(part: Any, store: Path) -> _Made:
    with Campaign(store, workers=0) as campaign:
        outcomes = campaign.compute(part.tasks())
        failed = [outcome for outcome in outcomes if outcome.folder is None]
        assert not failed, f"{failed[0].label}: {failed[0].error}"
        return _Made(outcomes, part.samples(outcomes))


def _all(tasks: list[Task]) -> list[Task]:
    """Tasks and what they need, each once."""
    found: dict[str, Task] = {}
    for task in tasks:
        found |= {need.key: need for need in _all(list(task.needs))}
    own = {id(task): task for task in tasks}
    return [*found.values(), *own.values()]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return pickle.dumps(sorted(one.items())) == pickle.dumps(sorted(other.items()))


def _failed(outcome: Outcome, words: str) -> Outcome:
    return replace(outcome, folder=None, error=words, inputs=())


def _check_atoms(atoms: Any) -> None:
    from ase import Atoms

    assert isinstance(atoms, Atoms) and len(atoms)
    for name, values in atoms.arrays.items():
        assert len(values) == len(atoms)
        assert values.dtype.kind != "O", f"the per-atom field {name!r} is no array of numbers"
        if values.dtype.kind == "f":
            assert np.isfinite(values).all(), f"the per-atom field {name!r} is not finite"
    assert np.isfinite(np.asarray(atoms.cell)).all()


def _unnamed(samples: Samples) -> Samples:
    """Without ids, groups and info, which may hold the seed."""
    items = samples.items
    if samples.kind == "atoms":
        items = [[np.asarray(a.cell), dict(a.arrays)] for a in items]
    names = tuple(str(number) for number in range(len(samples)))
    return Samples("unnamed", items, names, names)


def _items_of(samples: Samples, ids: tuple[str, ...] | None = None) -> dict[str, str]:
    """Id -> hash of the item, of these samples."""
    chosen = samples.ids if ids is None else ids
    where = {name: number for number, name in enumerate(samples.ids)}
    return {
        name: fingerprint(replace(some_of(samples, np.array([where[name]])), left_out={})) for name in chosen
    }
