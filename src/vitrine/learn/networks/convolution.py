"""Convolutional networks on images of whole configurations, one output for each image.

Both offer ``features(images)``, the activations of the last convolution, and ``head(activations)``, the rest:
what a class activation map (Selvaraju et al. 2017, arXiv:1610.02391) is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from vitrine.learn.networks.standardise import Standardise

COLOURS = ((1.0, 1.0, 1.0), (0.8, 0.1, 0.1), (0.1, 0.2, 0.8))
"""red, green and blue of a pixel's class: white for the background, red for A, blue for B"""


class ImageNetwork(nn.Module):
    """What both share: classes of pixels become colours, values are scaled.

    Parameters
    ----------
    n_features: numbers of a whole sample, joined to what the head sees; may be 0.
    channels: 3 for classes of pixels, 1 for values.
    """

    def __init__(self, n_features: int, channels: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.register_buffer("palette", torch.tensor(COLOURS))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        self.palette: Tensor
        self.mean: Tensor
        self.spread: Tensor
        self.layers = nn.Sequential()

    def calibrate(self, images: Tensor) -> None:
        """Take mean and spread of values from training images (n, height, width); classes need none."""
        if images.dtype != torch.uint8:
            wide = images.double()
            self.mean.copy_(wide.mean())
            self.spread.copy_(wide.std(correction=0).clamp_min(1e-12))

    def coloured(self, images: Tensor) -> Tensor:
        """(n, height, width) uint8 or float32 -> (n, 3 or 1, height, width), channels last in memory."""
        if images.dtype == torch.uint8:
            return nn.functional.embedding(images.int(), self.palette).permute(0, 3, 1, 2)
        return ((images - self.mean) / self.spread)[:, None]

    def features(self, images: Tensor) -> Tensor:
        """(n, channels, height', width') activations of the last convolution."""
        out: Tensor = self.layers(self.coloured(images))
        return out

    def head(self, activations: Tensor, features: Tensor | None = None) -> Tensor:
        """(n,) outputs from the activations and the (n, n_features) numbers of the samples."""
        raise NotImplementedError

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """features (n, n_features), images (n, height, width); outputs (n,)."""
        return self.head(self.features(images), features)

    def _joined(self, read: Tensor, features: Tensor | None) -> Tensor:
        if features is None:
            features = read.new_zeros((len(read), self.n_features))
        return torch.cat([read, features], dim=1) if self.n_features else read


class PaperNetwork(ImageNetwork):
    """The published network: two convolutions without pooling, 80 neurons, dropout, one output.

    At 250 x 250 pixels it has 71.9 million weights, nearly all between the second convolution and the
    80 neurons.
    """

    def __init__(self, n_features: int, height: int, width: int, channels: int, dropout: float) -> None:
        super().__init__(n_features, channels)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 6, 10), nn.ReLU(inplace=True), nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True)
        )
        inner = 16 * (height - 13) * (width - 13)
        self.dense = nn.Sequential(
            nn.Linear(inner + n_features, 80), nn.ReLU(), nn.Dropout(dropout), nn.Linear(80, 1)
        )

    def head(self, activations: Tensor, features: Tensor | None = None) -> Tensor:
        """See the base class."""
        out: Tensor = self.dense(self._joined(activations.flatten(1), features)).squeeze(-1)
        return out


class PooledNetwork(ImageNetwork):
    """A small network whose activations are pooled, on images of a periodic box or of a window.

    Blocks of a convolution, batch normalisation and ReLU. Normalising each image by itself would take away
    what differs between images. The first has a kernel of 5
    and stride 2, the others a kernel of 3 and a pooling by 2 after it, but for the last, whose activations
    are averaged.

    Parameters
    ----------
    widths: channels of each block. periodic: convolutions go around the box; else zeros lie about it.
    """

    def __init__(
        self, n_features: int, channels: int, widths: Sequence[int], periodic: bool, dropout: float
    ) -> None:
        super().__init__(n_features, channels)
        around: Literal["circular", "zeros"] = "circular" if periodic else "zeros"
        layers: list[nn.Module] = []
        for number, (here, there) in enumerate(pairwise([channels, *widths])):
            size, stride = (5, 2) if number == 0 else (3, 1)
            layers += [
                nn.Conv2d(here, there, size, stride, size // 2, padding_mode=around, bias=False),
                Standardise(there, eps=1e-5),
                nn.ReLU(inplace=True),
            ]
            if 0 < number < len(widths) - 1:
                layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            Standardise(widths[-1] + n_features),
            nn.Linear(widths[-1] + n_features, widths[-1]),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(widths[-1], 1),
        )

    def head(self, activations: Tensor, features: Tensor | None = None) -> Tensor:
        """See the base class."""
        out: Tensor = self.dense(self._joined(activations.mean((2, 3)), features)).squeeze(-1)
        return out
