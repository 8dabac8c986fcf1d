"""The contracts of vitrine.testing catch what they are there for: each part here breaks one rule."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import ConfigDict, Field

from vitrine.errors import MissingExtra
from vitrine.evaluate.splits import Fold, GroupedFolds, RandomFolds
from vitrine.learn.baselines import Mean, Ridge, SklearnModel
from vitrine.measure.first_event import FirstEvent
from vitrine.parts import Part
from vitrine.represent.composition import ElementalFractions
from vitrine.represent.particle_graph import ParticleGraph
from vitrine.represent.particle_image import ParticleImage
from vitrine.represent.voronoi_graph import VoronoiGraph
from vitrine.samples import Samples
from vitrine.tasks import Outcome, Task
from vitrine.testing import (
    LabelContract,
    ModelContract,
    PartContract,
    RepresentationContract,
    SourceContract,
    SplitContract,
    atoms_samples,
    fingerprint,
    flat_samples,
    formula_samples,
    sheared_glass,
)
from vitrine.testing import symmetries as sym


def catches(contract: type[PartContract], part: Part, test: str, *arguments: object, **said: object) -> None:
    """A test of the contract fails on this part, and passes on none by accident: it must assert."""
    cls = type("Test", (contract,), {"part": part, **said})
    with pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        getattr(cls(), test)(*arguments)
    assert str(caught.value), "a failure says something"


# ---------------------------------------------------------------- every part


class Plain(Part):
    """A part that keeps its contract."""

    kind: Literal["plain"] = "plain"
    size: int = Field(3, description="how many")
    length: float = Field(1.0, description="Å, of a bond")
    summary: ClassVar[str] = "plain"


class TestPlain(PartContract):
    part = Plain()


class Loose(Plain):
    model_config = ConfigDict(extra="allow")


class Melted(Plain):
    model_config = ConfigDict(frozen=False)


class Forgetful(Plain):
    def recipe(self) -> dict[str, Any]:
        return {"length": self.length}


class Restless(Plain):
    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "process": os.getpid()}


class Ignoring(Plain):
    not_determining: ClassVar[frozenset[str]] = frozenset({"no_such_setting"})


class Silent(Plain):
    size: int = 3


class Unitless(Plain):
    length: float = Field(1.0, description="of a bond")


class Mute(Plain):
    summary: ClassVar[str] = ""


class Vague(Plain):
    def citations(self) -> tuple[str, ...]:
        return ("Lee & Ryu 2022",)


@pytest.mark.parametrize(
    ("part", "test"),
    [
        (Loose(), "test_settings_are_frozen_and_strict"),
        (Melted(), "test_settings_are_frozen_and_strict"),
        (Restless(), "test_the_recipe_is_the_same_in_every_process"),
        (Silent(), "test_every_setting_is_described"),
        (Unitless(), "test_every_setting_is_described"),
        (Mute(), "test_it_says_what_it_is"),
        (Vague(), "test_citations_can_be_looked_up"),
    ],
)
def test_settings_and_words(part: Part, test: str) -> None:
    catches(PartContract, part, test)


def test_recipes_that_lose_a_setting(tmp_path: Path) -> None:
    for part in (Forgetful(), Ignoring()):
        catches(PartContract, part, "test_the_recipe_tells_results_apart", tmp_path)


def test_heavy_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    plain = text[text.index("class Plain(Part)") : text.index("class TestPlain")]
    imports = text[text.index("from pydantic") : text.index("from vitrine.errors")]
    head = "import pandas\nfrom typing import ClassVar, Literal\nfrom vitrine.parts import Part\n"
    (tmp_path / "heavy_part.py").write_text(head + imports + plain)
    monkeypatch.syspath_prepend(str(tmp_path))
    import heavy_part

    catches(PartContract, heavy_part.Plain(), "test_its_module_is_light")
    del sys.modules["heavy_part"]


# ---------------------------------------------------------------- sources


def write_numbers(folder: Path, inputs: object, progress: object, *, seed: int, size: int) -> None:
    """Random numbers."""
    np.save(folder / "numbers.npy", np.random.default_rng(seed).random(size))


def write_others(folder: Path, inputs: object, progress: object, *, seed: int, size: int) -> None:
    """Random numbers, without a seed."""
    np.save(folder / "numbers.npy", np.random.default_rng().random(size))


class Numbers(Plain):
    """A source that keeps its contract."""

    first_seed: int = Field(1, ge=0, description="of two")
    yields: ClassVar[str] = "numbers"
    not_determining: ClassVar[frozenset[str]] = frozenset({"first_seed"})
    function: ClassVar[Any] = staticmethod(write_numbers)

    def key(self, seed: int) -> dict[str, Any]:
        return {**self.recipe(), "seed": seed}

    def tasks(self) -> list[Task]:
        seeds = (self.first_seed, self.first_seed + 1)
        told = [{"seed": n, "size": self.size} for n in seeds]
        return [Task(f"n{t['seed']}", "draw", self.key(t["seed"]), self.function, t) for t in told]

    def samples(self, outcomes: list[Outcome]) -> Samples:
        good = [o for o in outcomes if o.folder is not None]
        names = tuple(o.label for o in good)
        left_out = {o.label: str(o.error) for o in outcomes if o.folder is None}
        items = [np.load(f"{o.folder}/numbers.npy") for o in good]
        return Samples("numbers", items, names, names, left_out=left_out)


class TestNumbers(SourceContract):
    part = Numbers()
    reseeded: ClassVar[dict[str, Any]] = {"first_seed": 7}


class OneKey(Numbers):
    def key(self, seed: int) -> dict[str, Any]:
        return self.recipe()


class SizelessKey(Numbers):
    def key(self, seed: int) -> dict[str, Any]:
        return {"seed": seed}


class Unseeded(Numbers):
    function: ClassVar[Any] = staticmethod(write_others)


class Inline(Numbers):
    function: ClassVar[Any] = staticmethod(lambda folder, inputs, progress, **told: None)


class Crashing(Numbers):
    def samples(self, outcomes: list[Outcome]) -> Samples:
        if any(o.folder is None for o in outcomes):
            raise AssertionError("no folder")
        return super().samples(outcomes)


class Hiding(Numbers):
    def samples(self, outcomes: list[Outcome]) -> Samples:
        return replace(super().samples(outcomes), left_out={})


@pytest.mark.parametrize(
    ("part", "test", "paths"),
    [
        (OneKey(), "test_tasks_are_named_and_repeatable", 0),
        (Inline(), "test_tasks_can_travel_to_a_worker", 0),
        (SizelessKey(), "test_the_key_holds_what_the_work_is_told", 1),
        (Unseeded(), "test_the_same_seeds_make_the_same_samples", 1),
        (Crashing(), "test_what_failed_is_left_out_and_said", 1),
        (Hiding(), "test_what_failed_is_left_out_and_said", 1),
    ],
)
def test_sources(part: Part, test: str, paths: int, tmp_path: Path) -> None:
    catches(SourceContract, part, test, *[tmp_path / "one"][:paths])


def test_settings_that_draw_nothing_new(tmp_path: Path) -> None:
    said = {"reseeded": {"length": 2.0}}
    catches(SourceContract, Numbers(), "test_other_seeds_make_other_samples", tmp_path / "one", **said)


# ---------------------------------------------------------------- labels


class Doubles(FirstEvent):
    def targets(self, samples: Samples) -> list[Any]:
        return [target.astype(np.float64) for target in super().targets(samples)]


class Ranked(FirstEvent):
    """Compares the samples of a set."""

    def targets(self, samples: Samples) -> list[Any]:
        most = max(atoms.arrays["d2min"].max() for atoms in samples.items)
        return [(atoms.arrays["d2min"] > 0.9 * most).astype(np.float32) for atoms in samples.items]


class ByPlace(FirstEvent):
    """Knows atoms by their place in the list."""

    def targets(self, samples: Samples) -> list[Any]:
        return [(np.arange(len(atoms)) < 5).astype(np.float32) for atoms in samples.items]


class KeyErrors(FirstEvent):
    def targets(self, samples: Samples) -> list[Any]:
        return [(atoms.arrays["d2min"] > 0.1).astype(np.float32) for atoms in samples.items]


class Marking(FirstEvent):
    def targets(self, samples: Samples) -> list[Any]:
        for atoms in samples.items:
            atoms.info["seen"] = True
        return super().targets(samples)


def test_labels() -> None:
    catches(LabelContract, Doubles(), "test_targets_fit_the_rows")
    catches(LabelContract, Ranked(), "test_targets_follow_their_samples", samples=_unequal)
    catches(LabelContract, Marking(), "test_targets_follow_their_samples")
    catches(LabelContract, ByPlace(), "test_what_is_no_event_changes_no_target", "permute")
    cls: Any = type("Test", (LabelContract,), {"part": KeyErrors()})
    with pytest.raises(KeyError):
        cls().test_a_missing_field_is_named()


def _unequal(_: object) -> Samples:
    """The second specimen has larger events than the first."""
    samples = atoms_samples()
    samples.items[-1].arrays["d2min"] *= 3
    return samples


# ---------------------------------------------------------------- representations


class Shifted(ElementalFractions):
    """Features relative to the mean over the set."""

    def build(self, samples: Samples, compute: Any) -> Any:
        examples = super().build(samples, compute)
        return replace(examples, features=examples.features - examples.features.mean(axis=0))


class Twice(ElementalFractions):
    def build(self, samples: Samples, compute: Any) -> Any:
        examples = super().build(samples, compute)
        return replace(examples, feature_labels=("x",) * len(examples.feature_labels))


class Positions(VoronoiGraph):
    """Sees where the cell begins, and how it lies."""

    def view(self, atoms: Any, cells: Any, name: str) -> Any:
        return np.column_stack([super().view(atoms, cells, name), atoms.positions])

    def feature_labels(self) -> tuple[str, ...]:
        return (*super().feature_labels(), "x [Å]", "y [Å]", "z [Å]")


class Neglecting(VoronoiGraph):
    """Goes on where a task failed."""

    def build(self, samples: Samples, compute: Any) -> Any:
        compute([self._task(atoms, "x") for atoms in samples.items])


@pytest.mark.parametrize("symmetry", ["rotate", "rotate_with_load", "translate", "wrap"])
def test_representations_that_know_too_much(symmetry: str, tmp_path: Path) -> None:
    catches(RepresentationContract, Positions(), "test_symmetry", symmetry, tmp_path)


def test_representations(tmp_path: Path) -> None:
    catches(RepresentationContract, Shifted(), "test_a_sample_does_not_depend_on_the_others", tmp_path)
    catches(RepresentationContract, Twice(), "test_features_are_finite_and_named", tmp_path)
    catches(RepresentationContract, Neglecting(), "test_a_failed_task_is_said")
    catches(
        RepresentationContract, VoronoiGraph(), "test_symmetry", "rotate", tmp_path
    )  # without its load: the stress turns


class Placed(ParticleGraph):
    """Bonds that know where in the box they are."""

    def build(self, samples: Samples, compute: Any) -> Any:
        examples = super().build(samples, compute)
        shift = np.float32(samples.items[0].positions[0, 0])
        return replace(examples, edge_vectors=examples.edge_vectors + shift)


class Listed(ParticleGraph):
    """The species stand at the nodes in the order of their names."""

    def build(self, samples: Samples, compute: Any) -> Any:
        examples = super().build(samples, compute)
        return replace(examples, nodes=np.sort(examples.nodes, axis=0))


class Mixed(ParticleGraph):
    """Bonds from one sample to the next."""

    def build(self, samples: Samples, compute: Any) -> Any:
        examples = super().build(samples, compute)
        return replace(examples, edges=(examples.edges + 50) % len(examples.nodes))


class Signed(ParticleImage):
    """A picture with the class of the first particle in a corner."""

    def build(self, samples: Samples, compute: Any) -> Any:
        examples = super().build(samples, compute)
        images = examples.images.copy()
        for image, atoms in zip(images, samples.items, strict=True):
            image[:12, :12] = 1 + (atoms.symbols[0] == "P")
        return replace(examples, images=images)


class _Whole(RepresentationContract):
    """Of configurations in a plane."""

    def samples(self) -> Samples:
        return flat_samples()


def test_broken_graphs_and_images_of_whole_samples_are_caught(tmp_path: Path) -> None:
    catches(_Whole, Placed(), "test_symmetry", "translate", tmp_path)
    catches(_Whole, Listed(), "test_symmetry", "permute", tmp_path)
    catches(_Whole, Mixed(), "test_edges_stay_within_their_sample", tmp_path)
    catches(_Whole, Signed(pixels=64), "test_symmetry", "permute", tmp_path)


def test_symmetries_must_be_named() -> None:
    """And each becomes a test of its own."""

    def asked(**said: object) -> list[str]:
        cls: Any = type("TestMine", (RepresentationContract,), said)
        found: list[str] = []
        wish = SimpleNamespace(
            cls=cls, fixturenames=["symmetry"], parametrize=lambda _, names: found.extend(names)
        )
        cls().pytest_generate_tests(wish)
        return found

    assert asked(symmetries=("order", "scale")) == ["order", "scale"]
    with pytest.raises(pytest.fail.Exception, match="TestMine must say which `symmetries` hold"):
        asked()
    with pytest.raises(ValueError, match="no symmetry 'sideways'; known: rotate, "):
        next(sym.changes(atoms_samples(), "sideways"))


# ---------------------------------------------------------------- splits


class Leaky(RandomFolds):
    """Says that it keeps groups together."""


class Doubled(GroupedFolds):
    def folds_of(self, groups: Any) -> list[Fold]:
        folds = super().folds_of(groups)
        return [*folds, folds[0]]


class Stubborn(GroupedFolds):
    def folds_of(self, groups: Any) -> list[Fold]:
        return GroupedFolds(folds=self.folds).folds_of(groups)


def test_splits() -> None:
    catches(SplitContract, Leaky(folds=3), "test_no_group_is_in_two_sets", grouped=True)
    catches(SplitContract, Doubled(folds=3), "test_folds_are_partitions", grouped=True)
    catches(SplitContract, Stubborn(folds=3), "test_the_same_settings_split_the_same_way", grouped=True)


# ---------------------------------------------------------------- models


class Fitted(SklearnModel):
    """Ridge regression with a fault."""

    fault = ""

    def predict(self, examples: Any) -> Any:
        scores = super().predict(examples)
        if self.fault == "batch":
            return scores - scores.mean()
        if self.fault == "chance":
            return np.random.default_rng().random(len(scores))
        return scores.astype(np.float32) if self.fault == "single" else scores

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.fault == "pickle":
            (folder / "model.pkl").write_bytes(pickle.dumps(self._estimator))
        if self.fault == "name":
            (folder / "metrics.json").write_text("{}")


class Faulty(Ridge):
    fault: str = Field("", description="what is wrong")

    def build(self, target: str, seed: int) -> Fitted:
        model = Fitted(super().build(target, seed)._estimator, target)
        model.fault = self.fault
        return model


@pytest.mark.parametrize(
    ("fault", "test", "paths"),
    [
        ("single", "test_scores_have_the_right_shape_and_range", 0),
        ("chance", "test_beats_chance_on_an_easy_target", 0),
        ("chance", "test_same_seed_same_scores", 0),
        ("batch", "test_prediction_does_not_depend_on_batch_mates", 0),
        ("pickle", "test_save_and_load_predict_the_same", 1),
        ("name", "test_save_and_load_predict_the_same", 1),
    ],
)
def test_models(fault: str, test: str, paths: int, tmp_path: Path) -> None:
    catches(ModelContract, Faulty(fault=fault), test, "value", *[tmp_path][:paths])


def test_trivial_models_learn_nothing() -> None:
    catches(ModelContract, Mean(), "test_beats_chance_on_an_easy_target", "value")


# ---------------------------------------------------------------- what they are made of


def test_fingerprints_see_every_field() -> None:
    samples = atoms_samples()
    whole = fingerprint(samples)
    assert whole == fingerprint(atoms_samples())
    for change in (
        lambda atoms: atoms.arrays["energy"].__setitem__(3, 0.0),
        lambda atoms: atoms.positions.__setitem__((0, 0), 1.0),
        lambda atoms: atoms.info.update(direction="-xy"),
        lambda atoms: atoms.set_pbc([True, True, False]),
    ):
        other = atoms_samples()
        change(other.items[1])
        assert fingerprint(other) != whole
    table = formula_samples()
    other = replace(table, items=table.items.assign(target=table.items["target"] + 1e-12))
    assert fingerprint(other) != fingerprint(table)
    assert fingerprint(replace(table, left_out={"a": "b"})) != fingerprint(table)


def test_turns_are_rigid_and_turn_the_fields_along() -> None:
    atoms = sheared_glass(1)
    turn = sym.random_rotation(4)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    turned = sym.rotated(atoms, turn)
    before, after = (a.get_all_distances(mic=True) for a in (atoms, turned))
    np.testing.assert_allclose(after, before, atol=1e-9)
    np.testing.assert_allclose(turned.arrays["displacement"], atoms.arrays["displacement"] @ turn.T)
    traces = [a.arrays["stress"][:, :3].sum(axis=1) for a in (atoms, turned)]
    np.testing.assert_allclose(traces[1], traces[0], atol=1e-9)
    assert not np.allclose(turned.arrays["stress"], atoms.arrays["stress"], atol=0.1)
    flat = sym.random_rotation(4, about_z=True)
    assert flat[2, 2] == 1.0 and abs(flat[0, 1]) > 0.01


def test_pytest_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("vitrine.testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(MissingExtra, match=r"'pytest'[\s\S]*vitrine\[testing\]"):
        __import__("vitrine.testing")
