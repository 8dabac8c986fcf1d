"""The contract of explanations: one entry per sample, nothing changed, the same twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from vitrine.errors import StudyError
from vitrine.explain.found import Explained
from vitrine.learn.baselines import Chance
from vitrine.learn.protocol import Model
from vitrine.samples import Examples, Samples
from vitrine.testing.inputs import flat_samples
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
        """Configurations of both classes."""
        return flat_samples(6)

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Names that the study gives."""
        return {"tracks": ("thermal",)}

    def fitted(self) -> tuple[Model, Samples, Examples]:
        """The model after a short training on these samples."""
        samples = self.samples()
        examples: Examples = self.representation.build(samples, lambda tasks: [])
        target = np.arange(examples.n_rows) % 2
        examples = examples.with_target(target.astype(np.float32))
        model = self.model.build("binary", 0)
        return model.fit(examples, None, lambda fraction: None), samples, examples

    def test_one_entry_for_each_sample(self) -> None:
        """Numbers, quantities and profiles can be resampled by group."""
        model, samples, examples = self.fitted()
        found: Explained = self.part.explain(model, samples, examples)
        assert found.numbers or found.quantities or found.profiles or found.pictures
        for values in (*found.numbers.values(), *found.quantities.values()):
            assert values.shape == (len(samples),)
            assert np.isfinite(values).all()
        for profile in found.profiles:
            assert (np.diff(profile.x) > 0).all()
            for values in profile.curves.values():
                assert values.shape == (len(samples), len(profile.x))

    def test_looking_changes_nothing(self) -> None:
        """The model predicts as before, and a second look finds the same."""
        model, samples, examples = self.fitted()
        before, kept = model.predict(examples), [atoms.copy() for atoms in samples.items]
        first, second = (self.part.explain(model, samples, examples) for _ in range(2))
        np.testing.assert_array_equal(model.predict(examples), before)
        assert all(a == b for a, b in zip(samples.items, kept, strict=True))
        for key, values in first.numbers.items():
            np.testing.assert_array_equal(second.numbers[key], values)

    def test_a_model_without_what_it_needs_is_refused(self) -> None:
        """With a word, not by a missing attribute."""
        _, samples, examples = self.fitted()
        blind = Chance().build("binary", 0).fit(examples, None, lambda fraction: None)
        with pytest.raises(StudyError, match=self.part.model):
            self.part.explain(blind, samples, examples)
