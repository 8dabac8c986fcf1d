"""Training in bfloat16, of every network on the shelf."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vitrine.learn.network_part import NetworkPart
from vitrine.learn.networks.standardise import Standardise
from vitrine.parts import Part
from vitrine.samples import Examples
from vitrine.study import shelf
from vitrine.testing import ModelContract

SMALL: dict[str, dict[str, Any]] = {
    "gat": {"layers": 1, "width": 8, "heads": 2},
    "equivariant": {"layers": 1, "width": 8},
    "mlp": {"widths": (16, 8)},
    "mpnn": {"hidden": 8, "depth": 1, "heads": 2},
    "cnn-pooled": {"widths": (4, 8)},
    "brnet": {"standardise": True, "branches": "1-1-1-1"},
    "elemnet": {"standardise": True},
    "irnet": {"standardise": True},
    "element-attention": {"width": 16, "heads": 2, "blocks": 1, "trunk": (16, 8)},
    "resnet": {"modules": 1, "blocks": 2, "views": 2},
}
"""settings of networks that are large by default"""
LEARN = {
    "gat": {"epochs": 15, "batch": 2, "learning_rate": 0.03},
    "mpnn": {"epochs": 25, "batch": 8, "learning_rate": 0.01},
    "cnn-pooled": {"epochs": 12, "batch": 8, "learning_rate": 0.01},
}
"""those whose kernels or small differences are kept from bfloat16"""


def networks() -> list[str]:
    return [kind for kind in shelf.MODELS if issubclass(shelf.part_class("model", kind), NetworkPart)]


def part_of(kind: str, **settings: Any) -> Any:
    return shelf.part_class("model", kind)(**{**SMALL.get(kind, {}), "batch": 4, **settings})


def examples_of(part: Part, target: str) -> Examples:
    class Contract(ModelContract):
        pass

    Contract.part = part  # type: ignore[assignment]
    found = Contract().examples(target)
    if part.kind != "element-attention":  # type: ignore[attr-defined]
        return found
    fractions = np.exp(found.features)
    return replace(found, features=fractions / fractions.sum(axis=1, keepdims=True))


class Fitted:
    """A network after training on four sixths of its examples."""

    def __init__(self, part: Any, target: str = "value") -> None:
        examples = examples_of(part, target)
        ends = [len(examples) * sixths // 6 for sixths in (0, 4, 5, 6)]
        train, held, test = (examples.select(range(*ends[i : i + 2])) for i in range(3))
        self.model = part.build(target, 0).fit(train, held, lambda done: None)
        self.scores, self.truth = self.model.predict(test), test.target


@pytest.mark.parametrize("kind", networks())
def test_every_network_trains_in_bfloat16(kind: str) -> None:
    """Nearly the loss of float32 in the first epoch, and weights of float32; of a value, or of classes."""
    for target in sorted(part_of(kind).targets)[-1:]:
        half, full = (
            Fitted(part_of(kind, epochs=1, learning_rate=1e-4, precision=precision), target)
            for precision in ("bfloat16", "float32")
        )
        assert {p.dtype for p in half.model.network.parameters()} == {torch.float32}
        assert half.scores.dtype == np.float64 and np.isfinite(half.scores).all()
        assert not np.array_equal(half.scores, full.scores), "products are rounded"
        losses = [found.model.describe()["losses"][0][0] for found in (half, full)]
        assert losses[0] == pytest.approx(losses[1], rel=0.05)


@pytest.mark.parametrize("kind", LEARN)
def test_networks_that_look_at_small_differences_learn_in_bfloat16(kind: str) -> None:
    found = Fitted(part_of(kind, **LEARN[kind], precision="bfloat16"))
    spread = found.truth - found.truth.mean()
    assert np.square(found.scores - found.truth).sum() < 0.5 * np.square(spread).sum()


def test_bfloat16_is_standardised_in_float32() -> None:
    """Else the squares of differences would have three digits."""
    layer = Standardise(2)
    x = torch.randn(512, 2, generator=torch.Generator().manual_seed(0)).bfloat16()
    out = layer(x)
    assert out.dtype == torch.float32 and layer.mean.dtype == torch.float32
    assert torch.equal(out, Standardise(2)(x.float()))
