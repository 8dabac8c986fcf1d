"""Batch normalisation for readouts that hardly differ between samples, the same on one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

RECENT = 0.1
"""share of the last batch in what is kept during training"""


class Standardise(nn.Module):
    """Mean 0 and spread 1 over samples, then a learned scale and shift (arXiv:1502.03167).

    A mean over the thousands of bonds or pixels of a sample differs from sample to sample by a per mille of
    itself: without this, a network of this study stays at chance for hundreds of steps, and torch's own layer
    drowns such differences in its ``eps`` and in rounded squares. In training mean and spread are of the
    batch, over all processes that share it; a batch of one, and predictions, use the kept ones, so that a
    prediction does not depend on the other samples of its batch.

    Parameters
    ----------
    width: channels. eps: added to the variance.
    """

    def __init__(self, width: int, eps: float = 1e-10) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.mean: Tensor
        self.variance: Tensor
        self.seen: Tensor
        self.eps = eps
        self.least_share = RECENT
        self.shared = True

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) or (n, width, height, width of the image), of the same shape; never bfloat16."""
        x = in_full(x)
        shape = (1, -1, *[1] * (x.dim() - 2))
        if not self.training or (len(x) < 2 and not self._together()):
            mean, variance = self.mean, self.variance
        else:
            mean, variance = self._of_batch(x, shape)
        factor = self.scale / (variance + self.eps).sqrt()
        return (x - mean.view(shape)) * factor.view(shape) + self.shift.view(shape)

    def _of_batch(self, x: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        dims = [0, *range(2, x.dim())]
        # squares of small differences from a mean that is known roughly: no difference of large numbers
        rough = x.detach()[:1].mean(dims) if self.seen == 0 else self.mean
        if self._together():
            rough = _summed(rough.clone()) / torch.distributed.get_world_size()
        apart = x - rough.view(shape)
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = torch.cat([apart.sum(dims), (apart * apart).sum(dims), count])
        if self._together():
            sums = _summed(sums)
        first, second = sums[:-1].view(2, -1) / sums[-1]
        mean, variance = rough + first, (second - first * first).clamp_min(0.0)
        self.keep(mean.detach(), variance.detach() * sums[-1] / (sums[-1] - 1).clamp_min(1.0))
        return mean, variance

    def _together(self) -> bool:
        return self.shared and together()

    @torch.no_grad()
    def keep(self, mean: Tensor, variance: Tensor) -> None:
        """Let the mean and the unbiased variance (width,) of a batch enter what is kept."""
        self.seen += 1
        share = max(self.least_share, 1.0 / float(self.seen))
        self.mean.lerp_(mean, share)
        self.variance.lerp_(variance, share)


def in_full(x: Tensor) -> Tensor:
    """The same in float32 if it is bfloat16, whose rounding would drown sums and small differences."""
    return x.float() if x.dtype == torch.bfloat16 else x


def settle(network: nn.Module, passes: Iterator[Callable[[], object]]) -> None:
    """Find the kept means and spreads anew with the weights as they are, all batches counting alike.

    What is kept while weights change lags behind them by many spreads.

    passes: each applies the network to a batch, whole on every process.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, Standardise)]
    if not layers:
        return
    training = network.training
    network.eval()
    for layer in layers:
        layer.train()
        layer.seen.zero_()
        layer.least_share = 0.0
        # the same rows on every process: counted together they would be more than there are
        layer.shared = False
    with torch.no_grad():
        for apply in passes:
            apply()
    for layer in layers:
        layer.least_share = RECENT
        layer.shared = True
    network.train(training)


def together() -> bool:
    """Whether several processes train together."""
    known = torch.distributed
    return known.is_available() and known.is_initialized() and known.get_world_size() > 1


def _summed(values: Tensor) -> Tensor:
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return total
