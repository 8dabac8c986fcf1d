"""The contract of models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from vitrine.errors import DataError
from vitrine.evaluate.metrics import r2, roc_auc
from vitrine.samples import TARGETS, Examples
from vitrine.study.fitting import FACTS, SCORES
from vitrine.study.model_format import BESIDE, CARD, RECIPE, belongs
from vitrine.testing.inputs import (
    crystal_examples,
    graph_examples,
    image_examples,
    in_classes,
    map_examples,
    spatial_examples,
    vector_examples,
    whole_graph_examples,
)
from vitrine.testing.part import PartContract

RESERVED = {RECIPE, CARD, *BESIDE, SCORES, FACTS}
"""What stands beside a model's own files in the store or in a model folder."""


class ModelContract(PartContract):
    """Fit, predict, save and load; on graphs, rows, whole graphs or images, for classes or for values.

    Attributes
    ----------
    targets: kinds of target to test, by default those that the part names.
    learns: whether it must find an easy target; False for chance and the like.
    random: whether scores are drawn anew in each call of predict, as those of chance.
    """

    targets: ClassVar[tuple[str, ...]] = ()
    learns: ClassVar[bool] = True
    random: ClassVar[bool] = False
    _kept: ClassVar[dict[str, Any]]

    def examples(self, target: str) -> Examples:
        """Samples with a target that can be learned: of six, four train, one validates, one tests."""
        if target == "classes":
            return in_classes(self.examples("value"))
        if getattr(self.part, "spatial", False):
            return spatial_examples(binary=target == "binary")
        if "graphs" in self.part.takes:
            return graph_examples(binary=target == "binary")
        if "vectors" in self.part.takes:
            return vector_examples(binary=target == "binary")
        if "whole-graphs" in self.part.takes:
            return whole_graph_examples(binary=target == "binary")
        if "crystals" in self.part.takes:
            return crystal_examples(binary=target == "binary")
        if "images" in self.part.takes:
            return image_examples(binary=target == "binary")
        if "maps" in self.part.takes:
            return map_examples(binary=target == "binary")
        raise NotImplementedError(
            f"vitrine.testing has no examples for a model that takes {sorted(self.part.takes)}; "
            "override examples() in the test class"
        )

    def test_it_says_what_it_takes(self) -> None:
        """``takes`` and ``targets`` are not empty; targets are binary, value or classes."""
        assert self.part.takes and self.part.targets
        assert set(self.part.targets) <= set(TARGETS)
        assert set(self.targets) <= set(self.part.targets)

    def test_scores_have_the_right_shape_and_range(self, target: str) -> None:
        """``(n_rows,)`` finite float64, between 0 and 1 for class 1; ``(n_rows, classes)`` sum to 1."""
        model, test = self._fitted(target)
        scores = model.predict(test)
        several = (len(test.class_names),) if target == "classes" else ()
        assert scores.shape == (test.n_rows, *several) and scores.dtype == np.float64
        if several:
            np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-6)
            assert scores.min() >= 0
        assert np.isfinite(scores).all()
        if target == "binary":
            assert scores.min() >= 0 and scores.max() <= 1

    def test_beats_chance_on_an_easy_target(self, target: str) -> None:
        """Area under ROC above 0.85, R² above 0.5, or 70 % of the rows of three classes right."""
        if not self.learns:
            pytest.skip("a trivial model learns nothing by design")
        model, test = self._fitted(target)
        scores = model.predict(test)
        assert test.target is not None
        if target == "classes":
            assert (scores.argmax(axis=1) == test.target).mean() > 0.7
            return
        found = roc_auc(test.target, scores) if target == "binary" else r2(test.target, scores)
        assert found > (0.85 if target == "binary" else 0.5)

    def test_save_and_load_predict_the_same(self, target: str, tmp_path: Path) -> None:
        """And what is saved may be in a model folder: no pickles."""
        model, test = self._fitted(target)
        model.save(tmp_path)
        written = list(tmp_path.iterdir())
        assert written, "save() has written nothing"
        for path in written:
            assert belongs(path.name) and path.name not in RESERVED, (
                f"{path.name}: state is kept in files *.safetensors, *.skops or *.json, in no folder, "
                f"under other names than {', '.join(sorted(RESERVED))}"
            )
            assert path.is_file()
        again = self.part.build(target, 0).load(tmp_path)
        np.testing.assert_array_equal(again.predict(test), model.predict(test))

    def test_same_seed_same_scores(self, target: str) -> None:
        """Fitted twice from one seed, it predicts the same to the last bit."""
        first, test = self._fitted(target)
        second = self._fit(target)
        np.testing.assert_array_equal(first.predict(test), second.predict(test))

    def test_it_fits_without_validation_and_changes_no_example(self, target: str) -> None:
        """``validation`` may be None; progress is told as fractions from 0 to 1."""
        examples = self.examples(target)
        before = examples.digest()
        told: list[float] = []
        model = self.part.build(target, 0).fit(_parts(examples)[0], None, told.append)
        assert np.isfinite(model.predict(examples)).all()
        assert examples.digest() == before, "fit() or predict() has changed the examples"
        assert all(0.0 <= fraction <= 1.0 for fraction in told)

    def test_prediction_does_not_depend_on_batch_mates(self, target: str) -> None:
        """A sample alone has the scores that it has among others."""
        if self.random:
            pytest.skip("scores are drawn per call")
        model, test = self._fitted(target)
        alone = model.predict(test.select([1]))
        together = model.predict(test)[test.starts[1] : test.starts[2]]
        # sums over a batch may be taken in another order, in single precision
        np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)

    def test_describe_is_json(self) -> None:
        """Parameters, epochs and the like, for the table of the report."""
        model, _ = self._fitted(self._targets()[0])
        facts = model.describe()
        assert isinstance(facts, dict) and json.dumps(facts)

    def test_broken_files_are_named(self, tmp_path: Path) -> None:
        """A damaged model folder is a DataError with its path."""
        if not self.learns:
            pytest.skip("nothing worth breaking")
        target = self._targets()[0]
        model, _ = self._fitted(target)
        model.save(tmp_path)
        for path in tmp_path.iterdir():
            path.write_bytes(b"not what it was")
        with pytest.raises(DataError, match=str(tmp_path)):
            self.part.build(target, 0).load(tmp_path)

    def _fitted(self, target: str) -> tuple[Any, Examples]:
        """A fitted model, one for all tests of the class, and examples that it has not seen."""
        cls = type(self)
        if "_kept" not in vars(cls):
            cls._kept = {}
        if target not in cls._kept:
            cls._kept[target] = self._fit(target)
        return cls._kept[target], _parts(self.examples(target))[2]

    def _fit(self, target: str) -> Any:
        train, validation, _ = _parts(self.examples(target))
        return self.part.build(target, 0).fit(train, validation, lambda fraction: None)

    @classmethod
    def _targets(cls) -> list[str]:
        return sorted(cls.targets or cls.part.targets)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each kind of target."""
        if "target" in metafunc.fixturenames:
            metafunc.parametrize("target", metafunc.cls._targets())


def _parts(examples: Examples) -> list[Examples]:
    """Four sixths to train, a sixth to validate, a sixth to test."""
    ends = (0, 4 * len(examples) // 6, 5 * len(examples) // 6, len(examples))
    return [examples.select(range(ends[i], ends[i + 1])) for i in range(3)]
