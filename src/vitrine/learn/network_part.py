"""Settings that all networks share: how they are trained, and what they see of the examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError
from vitrine.learn.losses import Balance, Loss
from vitrine.learn.protocol import ModelPart

if TYPE_CHECKING:
    from torch import nn

    from vitrine.learn.batches import Batches
    from vitrine.learn.neural import NetworkModel
    from vitrine.learn.parallel import Rank
    from vitrine.samples import Examples

CALIBRATE = 64
"""training samples, at most, from which a network takes its units"""


class NetworkPart(ModelPart):
    """Settings that all networks share: how they are trained."""

    epochs: int = Field(60, ge=1, description="epochs, at most")
    patience: int = Field(10, ge=1, description="epochs without a better validation loss before stopping")
    learning_rate: float = Field(3e-3, gt=0, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="decoupled L2 penalty")
    batch: int = Field(8, ge=1, description="samples (graphs or rows) in a step")
    schedule: Literal["constant", "warm-up", "plateau"] = Field(
        "constant",
        description="of the learning rate: warm-up goes from a tenth of it to all of it within the first "
        "tenth of the epochs, then back to a tenth by the last; plateau takes a tenth of it whenever the "
        "validation loss has not become better for some epochs",
    )
    plateau: int = Field(45, ge=1, description="epochs without a better validation loss before a tenth")
    lowest_rate: float = Field(1e-8, ge=0, description="learning rate below which plateau does not go")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of products in training; weights, sums over a batch and all predictions are float32. "
        "bfloat16 is faster on processors that have it (AVX512-BF16, AMX, GPUs), slower on others",
    )
    devices: int | None = Field(
        None, ge=1, description="GPUs (processes, where there are none) that share each batch"
    )

    loss: Loss = Field(
        "cross-entropy",
        description="for classes: cross-entropy, or focal (Lin et al. 2017), which counts rows that are "
        "right already for less",
    )
    focal_gamma: float = Field(2.0, ge=0, description="power of (1 - probability of the true class), focal")
    balance: Balance = Field(
        "weight",
        description="weight: both classes count alike in the loss; under: each epoch takes all rows of the "
        "rarer class and as many random ones of the other; over: it draws rows of the rarer class again "
        "until they are as many; none: rows count as they come",
    )

    value_loss: Literal["absolute", "squared"] = Field(
        "absolute",
        description="for values: the absolute error, whose best guess is the median, or the squared one, "
        "whose best guess is the mean; squared where most rows have one value",
    )

    not_determining: ClassVar[frozenset[str]] = ModelPart.not_determining | {"devices"}
    gpu: ClassVar[bool] = True
    seeded: ClassVar[bool] = True
    spatial: ClassVar[bool] = False
    """Whether the network sees vectors of edges, vectors, tensors and loads of the examples."""

    def network(self, n_features: int) -> nn.Module:
        """The untrained network; its forward takes (features, edges) and gives (n_rows,).

        That of a spatial part takes ``n_vectors`` and ``n_tensors`` too, and its forward a third argument, a
        :class:`vitrine.learn.batches.Geometry`. Where a row is a whole sample, forward takes (features,
        :class:`vitrine.learn.batches.WholeGraphs`) or (features, images); see :mod:`vitrine.learn.whole`.
        """
        raise NotImplementedError

    def recipe(self) -> dict[str, Any]:
        """As of every part; what is as it was before there was a choice is not named."""
        found = super().recipe()
        for name in ("schedule", "plateau", "lowest_rate", "precision"):
            if getattr(self, name) == NetworkPart.model_fields[name].default:
                del found["settings"][name]
        return found

    def rate_of(self, epoch: int, losses: Sequence[float] = ()) -> float:
        """Learning rate of an epoch, the first being 0.

        losses: that decide when to stop, of the epochs before; a plateau is seen in them.
        """
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "plateau":
            return max(self.learning_rate * 0.1 ** self._reductions(losses), self.lowest_rate)
        top = max(1, self.epochs // 10)
        if epoch <= top:
            return self.learning_rate * (0.1 + 0.9 * epoch / top)
        past = (epoch - top) / max(self.epochs - 1 - top, 1)
        return float(self.learning_rate * 0.1 ** min(past, 1.0))

    def _reductions(self, losses: Sequence[float]) -> int:
        """How often the learning rate has been reduced: the count begins anew at each reduction."""
        best, since, found = float("inf"), 0, 0
        for loss in losses:
            since = 0 if loss < best else since + 1
            best = min(best, loss)
            if since >= self.plateau:
                found, since = found + 1, 0
        return found

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """Arguments of :meth:`network` that fit these examples.

        Raises
        ------
        DataError: a spatial part, and the examples have no edge vectors or no loads; or the examples are
            whole graphs or images.
        """
        if examples.nodes is not None or examples.images is not None:
            raise DataError(
                f"the {self.kind} network predicts from features of rows, and these examples are "
                f"{'images' if examples.nodes is None else 'graphs of whole samples'}"
            )
        inputs = {"n_features": examples.features.shape[1]}
        if not self.spatial:
            return inputs
        if examples.edge_vectors is None or examples.loads is None:
            raise DataError(
                f"the {self.kind} network sees space, but its representation gives no edge vectors and "
                "loads; set geometry: true in the representation (voronoi-graph)"
            )
        return inputs | {
            "n_vectors": 0 if examples.vectors is None else examples.vectors.shape[1],
            "n_tensors": 0 if examples.tensors is None else examples.tensors.shape[1],
        }

    def seen(self, examples: Examples) -> Examples:
        """The examples without what the network does not see."""
        if self.spatial:
            return examples
        return replace(examples, edge_vectors=None, vectors=None, tensors=None, loads=None)

    def calibrate(self, network: Any, train: Examples) -> None:
        """Give an untrained network its units: those of lengths, vectors and tensors have no mean and spread.

        By default for a spatial part.
        """
        from vitrine.learn.batches import as_batch

        if self.spatial:
            batch = as_batch(train.select(some_of(train)))
            network.calibrate(batch.edges, batch.geometry)

    def batches(self, examples: Examples, seed: int | None, rank: Rank) -> Batches:
        """Batches of examples for training (with a seed) or validation."""
        from vitrine.learn.batches import Batches

        balance = self.balance if examples.target_kind == "binary" and seed is not None else "none"
        return Batches(examples, self.batch, seed, rank, balance, getattr(self, "augment", "none"))

    def build(self, target: str, seed: int) -> NetworkModel:
        """The model."""
        from vitrine.learn.neural import NetworkModel

        return NetworkModel(self, target, seed)


def some_of(examples: Examples) -> NDArray[np.int64]:
    """At most :data:`CALIBRATE` samples, evenly."""
    return np.unique(np.linspace(0, len(examples) - 1, CALIBRATE).astype(np.int64))
