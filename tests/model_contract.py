"""The contract that every model keeps; a new model inherits it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from vitrine.learn.protocol import ModelPart
from vitrine.samples import Examples


def graph_examples(seed: int = 0, n_samples: int = 12, n_nodes: int = 30, binary: bool = True) -> Examples:
    """Small random graphs whose target depends on the features, with 10 to 40 % positives."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(n_samples * n_nodes, 4)).astype(np.float32)
    raw = features[:, 0] + 0.5 * features[:, 1] + 0.3 * random.normal(size=len(features))
    edges = []
    for sample in range(n_samples):
        pairs = random.integers(0, n_nodes, size=(2, 60))
        edges.append(np.concatenate([pairs, pairs[::-1]], axis=1) + sample * n_nodes)
    starts = np.arange(n_samples + 1) * n_nodes
    return Examples(
        makes="graphs",
        target_kind="binary" if binary else "value",
        ids=tuple(f"g{i}" for i in range(n_samples)),
        groups=tuple(f"group{i // 2}" for i in range(n_samples)),
        features=features,
        feature_labels=("a", "b", "c", "d"),
        starts=starts.astype(np.int64),
        target=(raw > 0.8).astype(np.float32) if binary else (3 + 2 * raw).astype(np.float32),
        edges=np.concatenate(edges, axis=1),
        edge_starts=(np.arange(n_samples + 1) * 120).astype(np.int64),
    )


class ModelContract:
    """Inherit, and say which part and which kinds of target."""

    part: ClassVar[ModelPart]
    targets: ClassVar[tuple[str, ...]] = ("binary", "value")
    learns: ClassVar[bool] = True
    """Whether it must beat chance on an easy target."""

    def _fitted(self, target: str, seed: int = 0) -> tuple[object, Examples]:
        examples = graph_examples(binary=target == "binary")
        model = self.part.build(target, seed)
        model.fit(examples.select(range(8)), examples.select(range(8, 10)), lambda fraction: None)
        return model, examples.select(range(10, 12))

    def test_scores_have_the_right_shape_and_range(self) -> None:
        for target in self.targets:
            model, test = self._fitted(target)
            scores = model.predict(test)
            assert scores.shape == (test.n_rows,) and scores.dtype == np.float64
            assert np.isfinite(scores).all()
            if target == "binary":
                assert scores.min() >= 0 and scores.max() <= 1

    def test_beats_chance_on_an_easy_target(self) -> None:
        if not self.learns:
            pytest.skip("a trivial model learns nothing by design")
        from vitrine.evaluate.metrics import r2, roc_auc

        for target in self.targets:
            model, test = self._fitted(target)
            scores = model.predict(test)
            found = roc_auc(test.target, scores) if target == "binary" else r2(test.target, scores)
            assert found > (0.85 if target == "binary" else 0.5), (target, found)

    def test_save_and_load_predict_the_same(self, tmp_path: Path) -> None:
        for target in self.targets:
            model, test = self._fitted(target)
            folder = tmp_path / target
            folder.mkdir()
            model.save(folder)
            assert not list(folder.rglob("*.pkl")) and not list(folder.rglob("*.ckpt"))
            again = self.part.build(target, 0).load(folder)
            np.testing.assert_array_equal(again.predict(test), model.predict(test))

    def test_same_seed_same_scores(self) -> None:
        for target in self.targets:
            first, test = self._fitted(target, seed=3)
            second, _ = self._fitted(target, seed=3)
            np.testing.assert_array_equal(first.predict(test), second.predict(test))

    def test_prediction_does_not_depend_on_batch_mates(self) -> None:
        if self.part.kind == "chance":
            pytest.skip("random scores are drawn per call")
        for target in self.targets:
            model, test = self._fitted(target)
            alone = model.predict(test.select([1]))
            together = model.predict(test)[test.starts[1] :]
            np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)

    def test_describe_is_json(self) -> None:
        import json

        model, _ = self._fitted(self.targets[0])
        assert isinstance(json.dumps(model.describe()), str)

    def test_broken_files_are_named(self, tmp_path: Path) -> None:
        from vitrine.errors import DataError

        if not self.learns:
            pytest.skip("nothing worth breaking")
        model, _ = self._fitted(self.targets[0])
        model.save(tmp_path)
        for path in tmp_path.iterdir():
            path.write_bytes(b"not what it was")
        with pytest.raises(DataError, match=str(tmp_path)):
            self.part.build(self.targets[0], 0).load(tmp_path)
