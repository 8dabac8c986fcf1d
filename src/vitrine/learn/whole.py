"""Settings of the networks that predict once for a whole sample: from its graph, or from an image of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError
from vitrine.learn.network_part import NetworkPart, some_of
from vitrine.learn.neural import NetworkModel

if TYPE_CHECKING:
    from torch import nn

    from vitrine.samples import Examples


class MessagePassing(NetworkPart):
    """Messages along directed bonds with attention over the bonds of a graph (Swanson et al. 2020).

    It sees node features and distances alone: turning, moving, wrapping or mirroring a configuration changes
    no prediction. The published settings are hidden 870, depth 3, heads 2, dropout 0.5, batch 5, with the
    learning rate 1e-3 and warm-up; theirs had absolute positions and a softmax over the whole batch.
    """

    kind: Literal["mpnn"] = "mpnn"
    hidden: int = Field(64, ge=1, description="width of a message")
    depth: int = Field(3, ge=0, description="rounds of messages")
    heads: int = Field(4, ge=1, description="attention vectors over the bonds")
    radial: int = Field(
        16,
        ge=2,
        description="Gaussians of the distance, even over the training bonds' lengths, as wide as their "
        "spacing",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of neurons left out in training")
    standardise: bool = Field(
        True, description="bring what is read out to mean 0 and spread 1 over samples; off as published"
    )
    batch: int = Field(16, ge=1, description="graphs in a step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")

    takes: ClassVar[frozenset[str]] = frozenset({"whole-graphs"})
    summary: ClassVar[str] = "message passing along directed bonds, attention over the bonds of a sample"

    def citations(self) -> tuple[str, ...]:
        """The study; the messages; several heads on one layer."""
        return ("arXiv:1909.04648", "10.1021/acs.jcim.9b00237", "arXiv:1703.03130")

    def network(self, n_features: int, n_node_features: int = 0) -> nn.Module:
        """See :class:`vitrine.learn.networks.message_passing.MessagePassingNetwork`."""
        from vitrine.learn.networks.message_passing import MessagePassingNetwork

        return MessagePassingNetwork(
            n_features,
            n_node_features,
            self.radial,
            self.hidden,
            self.depth,
            self.heads,
            self.dropout,
            self.standardise,
        )

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """``n_features`` and ``n_node_features``.

        Raises
        ------
        DataError: the examples are no graphs of whole samples.
        """
        beside = (examples.nodes, examples.edges, examples.edge_vectors)
        if examples.makes == "crystals" or any(part is None for part in beside):
            raise DataError(
                f"the {self.kind} network takes graphs of whole samples: nodes and edges with their vectors; "
                f"these examples are {examples.makes}"
            )
        assert examples.nodes is not None
        return {"n_features": examples.features.shape[1], "n_node_features": examples.nodes.shape[1]}

    def seen(self, examples: Examples) -> Examples:
        """All but images."""
        return examples

    def calibrate(self, network: Any, train: Examples) -> None:
        """The Gaussians, from the lengths of the training bonds."""
        import torch

        assert train.edge_vectors is not None
        lengths = np.sqrt((train.edge_vectors * train.edge_vectors).sum(axis=1))
        network.calibrate(torch.from_numpy(lengths))

    def build(self, target: str, seed: int) -> NetworkModel:
        """The model, which can tell its attention."""
        return AttendingModel(self, target, seed)


class AttendingModel(NetworkModel):
    """A model of whole graphs with attention over their bonds."""

    def attention(self, examples: Examples) -> NDArray[np.float64]:
        """``(n_edges, heads)``: weights of the bonds, which sum to 1 within each sample and head."""
        from vitrine.learn.prediction import attention_of

        return attention_of(self.network, self._scaled(examples))


class ImageModel(NetworkModel):
    """A model of images that shows its last convolution."""

    def feature_maps(self, examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Its activations, and the slopes of the output with respect to them.

        The output is the logit of class 1, or the scaled value. Both are
        ``(n_samples, channels, height', width')`` float32.
        """
        from vitrine.learn.prediction import maps_of

        return maps_of(self.network, self._scaled(examples))


class ImagePart(NetworkPart):
    """What the networks on images share."""

    augment: Literal["none", "flips", "flips-and-shifts"] = Field(
        "flips",
        description="how training images are shown, drawn anew in each epoch: as they are, turned by right "
        "angles and mirrored, or moreover rolled by random pixels (images of periodic boxes only)",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="share of the head's neurons left out in training")
    batch: int = Field(16, ge=1, description="images in a step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam, the highest")

    takes: ClassVar[frozenset[str]] = frozenset({"images"})
    smallest: ClassVar[int] = 1
    """pixels that an image must have along each edge"""

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """``n_features``, ``height``, ``width`` [pixels] and ``channels``: 3 of classes, 1 of values.

        Raises
        ------
        DataError: the examples are no images, too small ones, or have more classes than there are colours.
        """
        images = examples.images
        if images is None:
            raise DataError(f"the {self.kind} network takes images; these examples are {examples.makes}")
        height, width = images.shape[1:]
        if min(height, width) < self.smallest:
            raise DataError(
                f"the {self.kind} network needs images of {self.smallest} x {self.smallest} pixels at least; "
                f"these have {height} x {width}"
            )
        if images.dtype == np.uint8 and images.max(initial=0) > 2:
            raise DataError(
                f"the {self.kind} network knows 3 classes of pixels, 0 (background) to 2; these images have "
                f"a class {images.max()}"
            )
        return {
            "n_features": examples.features.shape[1],
            "height": height,
            "width": width,
            "channels": 3 if images.dtype == np.uint8 else 1,
        }

    def calibrate(self, network: Any, train: Examples) -> None:
        """Mean and spread of images of values."""
        import torch

        assert train.images is not None
        network.calibrate(torch.from_numpy(train.images[some_of(train)]))

    def build(self, target: str, seed: int) -> NetworkModel:
        """The model, which shows its feature maps."""
        return ImageModel(self, target, seed)


class PaperCNN(ImagePart):
    """The published convolutional network (Swanson et al. 2020), for images of 250 x 250 pixels.

    Two convolutions (10 x 10 to 6 channels, 5 x 5 to 16), no pooling, 80 neurons, dropout 0.5: 71.9 million
    weights at that size, 288 MB on disk.
    """

    kind: Literal["cnn-paper"] = "cnn-paper"
    schedule: Literal["constant", "warm-up"] = Field(
        "warm-up", description="of the learning rate; see the other networks"
    )
    weight_decay: float = Field(1e-4, ge=0, description="decoupled L2 penalty")

    summary: ClassVar[str] = "the published convolutional network without pooling, 72 M weights at 250 x 250"
    smallest: ClassVar[int] = 14

    def citations(self) -> tuple[str, ...]:
        """The study."""
        return ("arXiv:1909.04648",)

    def network(self, n_features: int, height: int = 250, width: int = 250, channels: int = 3) -> nn.Module:
        """See :class:`vitrine.learn.networks.convolution.PaperNetwork`."""
        from vitrine.learn.networks.convolution import PaperNetwork

        return PaperNetwork(n_features, height, width, channels, self.dropout)


class PooledCNN(ImagePart):
    """A small convolutional network with pooling, some 60 thousand weights at any size of image."""

    kind: Literal["cnn-pooled"] = "cnn-pooled"
    widths: tuple[int, ...] = Field(
        (16, 32, 64, 64), min_length=2, max_length=6, description="channels of the blocks"
    )
    periodic: bool = Field(
        True, description="images are of periodic boxes: convolutions go around; else zeros lie about them"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the head's neurons left out in training")

    summary: ClassVar[str] = "small convolutional network with pooling, periodic, group-normalised"
    smallest: ClassVar[int] = 16

    def citations(self) -> tuple[str, ...]:
        """Group normalisation."""
        return ("arXiv:1803.08494",)

    def network(self, n_features: int, height: int = 128, width: int = 128, channels: int = 3) -> nn.Module:
        """See :class:`vitrine.learn.networks.convolution.PooledNetwork`."""
        from vitrine.learn.networks.convolution import PooledNetwork

        return PooledNetwork(n_features, channels, self.widths, self.periodic, self.dropout)
