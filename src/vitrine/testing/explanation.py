"""The contract of explanations: one entry per sample, nothing changed, the same twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from vitrine.errors import StudyError
from vitrine.explain.found import Explained
from vitrine.learn.baselines import Chance
from vitrine.learn.protocol import Model
from vitrine.samples import Examples, Samples
from vitrine.testing.fingerprint import fingerprint
from vitrine.testing.inputs import flat_samples, map_samples
from vitrine.testing.part import PartContract


class ExplanationContract(PartContract):
    """What holds for a part that looks into a fitted model.

    Attributes
    ----------
    representation: part that makes what the model takes. model: settings of a model that it explains.
    """

    representation: ClassVar[Any]
    model: ClassVar[Any]

    def samples(self) -> Samples:
        """Configurations of both classes, or strain maps of three."""
        return map_samples(6) if self.part.takes == "maps" else flat_samples(6)

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Names that the study gives."""
        return {"tracks": ("thermal",)}

    def fitted(self) -> tuple[Model, Samples, Examples]:
        """The model after a short training on these samples."""
        samples = self.samples()
        examples: Examples = self.representation.build(samples, lambda tasks: [])
        classes = 3 if samples.kind == "maps" else 2
        examples = examples.with_target((np.arange(examples.n_rows) % classes).astype(np.float32))
        if classes > 2:
            examples = replace(examples, target_kind="classes", class_names=("a", "b", "c"))
        model = self.model.build(examples.target_kind, 0)
        return model.fit(examples, None, lambda fraction: None), samples, examples

    def explained(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """What the part finds; one that needs the training is given other samples as that."""
        given: list[Any] = [samples, examples]
        if self.part.needs_training:
            others = samples.select(range(len(samples)))
            given += [replace(others, groups=tuple(f"other {g}" for g in others.groups)), examples]
        found: Explained = self.part.explain(model, *given)
        return found

    def test_one_entry_for_each_sample(self) -> None:
        """Numbers, quantities and profiles can be resampled by group."""
        model, samples, examples = self.fitted()
        found = self.explained(model, samples, examples)
        assert found.numbers or found.quantities or found.profiles or found.pictures or found.values
        for values in (*found.numbers.values(), *found.quantities.values()):
            assert values.shape == (len(samples),)
            assert not np.isinf(values).any() and np.isfinite(values).any()
        assert all(np.isfinite(value) for value in found.values.values())
        for profile in found.profiles:
            assert (np.diff(profile.x) > 0).all()
            for values in profile.curves.values():
                assert values.shape == (len(samples), len(profile.x))

    def test_looking_changes_nothing(self) -> None:
        """The model predicts as before, and a second look finds the same."""
        model, samples, examples = self.fitted()
        before, kept = model.predict(examples), fingerprint(samples)
        first, second = (self.explained(model, samples, examples) for _ in range(2))
        np.testing.assert_array_equal(model.predict(examples), before)
        assert fingerprint(samples) == kept
        assert first.values == second.values
        for key, values in first.numbers.items():
            np.testing.assert_array_equal(second.numbers[key], values)

    def test_a_model_without_what_it_needs_is_refused(self) -> None:
        """With a word, not by a missing attribute."""
        _, samples, examples = self.fitted()
        blind = Chance().build(examples.target_kind, 0).fit(examples, None, lambda fraction: None)
        with pytest.raises(StudyError, match=self.part.model):
            self.explained(blind, samples, examples)
