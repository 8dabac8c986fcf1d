"""Settings of the networks on strain maps, and the model that averages over their crops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError
from vitrine.learn.network_part import NetworkPart, some_of
from vitrine.learn.neural import NetworkModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from vitrine.learn.batches import Batches
    from vitrine.learn.parallel import Rank
    from vitrine.samples import Examples

AT_ONCE = 1 << 19
"""pixels of crops that go through a network together"""


class MapModel(NetworkModel):
    """A network on crops; its prediction for a map is the mean over all of its crops."""

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """(n_rows, n_classes) probabilities, or (n_rows,) values."""
        import torch

        found = []
        for out, looked_at in self._of_crops(examples, "forward"):
            if self._values is None:
                out = torch.softmax(out, dim=-1)
            numbers = out.double().numpy()
            found.append(numbers[looked_at].mean(axis=0))
        stacked = np.array(found, dtype=np.float64)
        if self._values is not None:
            return self._values.inverse(stacked[:, None])[:, 0]
        return stacked

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """(n_samples, views, 64) float32: averages of the last maps for every crop."""
        return np.stack([out.numpy() for out, _ in self._of_crops(examples, "pooled")])

    def _of_crops(self, examples: Examples, what: str) -> Iterator[tuple[Tensor, NDArray[np.bool_]]]:
        """What the network gives for the crops of each map, and which of them are looked at."""
        import torch

        from vitrine.learn.prediction import one_thread
        from vitrine.physics.crops import all_crops, with_lines

        scaled = self._scaled(examples)
        assert scaled.maps is not None
        network: Any = self.network.eval()
        size = max(1, AT_ONCE // scaled.maps.plan.crop**2)
        for number in range(len(scaled)):
            images = torch.from_numpy(all_crops(scaled.maps, number))
            with one_thread(), torch.inference_mode():
                parts = [
                    network.pooled(part) if what == "pooled" else network(part.new_zeros(len(part), 0), part)
                    for part in torch.split(images, size)
                ]
            yield torch.cat(parts), with_lines(scaled.maps.select([number]))[0]


class Residual(NetworkPart):
    """Deep residual network on crops of strain maps (Yang et al. 2020).

    The proposed network has two modules of three blocks between its pools (258,403 parameters with three
    classes); the two others one module of four.
    """

    kind: Literal["resnet"] = "resnet"
    modules: int = Field(2, ge=1, le=20, description="residual modules between two pools")
    blocks: int = Field(3, ge=1, le=20, description="convolutions in each")
    l2: float = Field(
        0.0, ge=0, description="penalty on the squares of all weights of convolutions, added to the loss"
    )
    views: int = Field(24, ge=1, description="crops of each map in an epoch, drawn anew in each")
    augment: Literal["none", "turns", "mirrors"] = Field(
        "none",
        description="crops as they are; turned by 180° at random, which changes no physics; or mirrored too",
    )
    epochs: int = Field(200, ge=1, description="epochs, at most")
    patience: int = Field(20, ge=1, description="epochs without a better validation loss before stopping")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")
    batch: int = Field(72, ge=1, description="crops in a step")

    takes: ClassVar[frozenset[str]] = frozenset({"maps"})
    targets: ClassVar[frozenset[str]] = frozenset({"classes", "value"})
    summary: ClassVar[str] = "deep residual network on crops of strain maps, mean over the crops of a map"

    def citations(self) -> tuple[str, ...]:
        """The study; residual networks."""
        return ("10.1038/s41598-020-65157-z", "arXiv:1512.03385")

    def network(self, n_features: int, n_outputs: int = 3) -> nn.Module:
        """See :class:`vitrine.learn.networks.residual.ResidualNetwork`."""
        from vitrine.learn.networks.residual import ResidualNetwork

        return ResidualNetwork(n_outputs, self.modules, self.blocks)

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """``n_features`` (none) and ``n_outputs``: classes, or 1.

        Raises
        ------
        DataError: the examples are no maps.
        """
        if examples.maps is None:
            raise DataError(f"the {self.kind} network takes strain maps; these examples are {examples.makes}")
        return {"n_features": examples.features.shape[1], "n_outputs": max(len(examples.class_names), 1)}

    def seen(self, examples: Examples) -> Examples:
        """All of them."""
        return examples

    def calibrate(self, network: Any, train: Examples) -> None:
        """Mean and spread of grey values."""
        import torch

        from vitrine.physics.crops import all_crops

        assert train.maps is not None
        some = some_of(train)
        network.calibrate(torch.from_numpy(np.concatenate([all_crops(train.maps, n)[::5] for n in some])))

    def batches(self, examples: Examples, seed: int | None, rank: Rank) -> Batches:
        """Crops of the maps."""
        from vitrine.learn.map_batches import MapBatches

        return MapBatches(examples, self.batch, self.views, seed, rank, self.augment)

    def build(self, target: str, seed: int) -> MapModel:
        """The model, which also gives the features of its last layer."""
        return MapModel(self, target, seed)
