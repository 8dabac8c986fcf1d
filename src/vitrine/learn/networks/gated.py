"""Messages along the bonds of crystals in few passes, on a CPU in single precision.

What stands at a bond, ``z_e = own_i + theirs_j + W g(d_e)``, is written once; gates, messages and their sums
are taken from it without anything else of the size bonds x width. A Gaussian is nought in single precision
four spacings from its centre, so the product with W is a sum of eight of its rows. Backward passes are by
hand. The loops over a row are plain: exponentials and logarithms are polynomials, so that the compiler makes
vector instructions of them (what numba calls for them works on one number at a time).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from vitrine.learn.crystal_batches import Crystals
from vitrine.learn.networks.standardise import Standardise, together
from vitrine.physics.lanes import intrinsic

TAPS = 8
"""Gaussians that count for a length"""
FAST = {"contract", "reassoc", "nsz", "arcp"}


class Taps(NamedTuple):
    """The Gaussians that count for each bond.

    Attributes
    ----------
    first: (n_edges,) int64, the first of eight. values: (n_edges, 8) float32.
    starts, neighbour: of the bonds, see :class:`vitrine.learn.crystal_batches.Crystals`.
    """

    first: NDArray[np.int64]
    values: NDArray[np.float32]
    starts: NDArray[np.int64]
    neighbour: NDArray[np.int64]


def taps_of(lengths: Tensor, crystals: Crystals, spacing: float, number: int) -> Taps:
    """Of lengths (n_edges,) float32, for Gaussians ``exp(-((d - k spacing) / spacing)^2)``, k < number."""
    scaled = np.minimum(lengths.detach().numpy() / np.float32(spacing), np.float32(number - 1))
    first = np.clip(np.floor(scaled).astype(np.int64) - (TAPS // 2 - 1), 0, number - TAPS)
    apart = (scaled - first)[:, None] - np.arange(TAPS, dtype=np.float32)
    values = np.exp(-(apart * apart)).astype(np.float32)
    return Taps(first, values, crystals.starts.numpy(), crystals.edges[0].contiguous().numpy())


def fits(x: Tensor, training: bool, number: int = TAPS) -> bool:
    """Whether the passes here can stand in for plain operations.

    They know no second derivatives and no functorch, so in evaluation they are for predictions alone; sums
    over the bonds of a batch are those of one process.

    Parameters
    ----------
    x: lengths of bonds, with respect to which there are no slopes. number: of Gaussians.
    """
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and number >= TAPS and not x.requires_grad
    return plain and ((training and not together()) or torch.is_inference_mode_enabled())


class Standard(NamedTuple):
    """How rows are brought to mean 0 and spread 1.

    Attributes
    ----------
    mean, variance: (width,). eps: added to the variance. of_batch: whether they are those of the very rows.
    """

    mean: Tensor
    variance: Tensor
    eps: float
    of_batch: bool


def mixed(
    own: Tensor, theirs: Tensor, weight: Tensor, norm: Standardise, taps: Taps
) -> tuple[Tensor, Standard]:
    """What stands at each bond, (n_edges, width), and how it is standardised.

    Parameters
    ----------
    own, theirs: (n_nodes, width) of centres and neighbours. weight: (width, n_gaussians).
    norm: of the bonds; in training it keeps what it sees.
    """
    found: Any = _Mixed.apply
    z, sums = found(own, theirs, weight, norm.mean, taps)
    if not norm.training:
        return z, Standard(norm.mean, norm.variance, norm.eps, False)
    count = len(z)
    first, second = sums / count
    mean, variance = (norm.mean + first).float(), (second - first * first).clamp_min(0.0)
    norm.keep(mean, (variance * count / max(count - 1, 1)).float())
    return z, Standard(mean, variance.float(), norm.eps, True)


def gated(z: Tensor, scale: Tensor, shift: Tensor, standard: Standard, taps: Taps) -> Tensor:
    """(n_nodes, width / 2): sums of ``sigmoid(a) softplus(b)``, a and b the halves of the standardised z.

    Parameters
    ----------
    z: (n_edges, width). scale, shift: (width,), after standardising.
    """
    found: Any = _Gated.apply
    out: Tensor = found(z, scale, shift, standard, taps)
    return out


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        own, theirs, weight, about = (t.detach().contiguous().numpy() for t in inputs[:4])
        taps = inputs[4]
        z = np.empty((len(taps.first), own.shape[1]), np.float32)
        sums = np.zeros((2, own.shape[1]))
        first, values, starts, neighbour = taps
        weights = np.ascontiguousarray(weight.T)
        run: Any = _mix  # its type knows ten arguments at most
        run(own, theirs, weights, about, first, values, starts, neighbour, z, sums)
        ctx.taps, ctx.shapes = taps, (own.shape, weight.shape)
        found = torch.from_numpy(sums)
        ctx.mark_non_differentiable(found)
        return torch.from_numpy(z), found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (nodes, weight), of_z = ctx.shapes, gradients[0].contiguous().numpy()
        of_own, of_theirs = np.zeros(nodes, np.float32), np.zeros(nodes, np.float32)
        of_weight = np.zeros(weight[::-1], np.float32)
        first, values, starts, neighbour = ctx.taps
        _unmix(of_z, first, values, starts, neighbour, of_own, of_theirs, of_weight)
        return (*(torch.from_numpy(found) for found in (of_own, of_theirs, of_weight.T)), None, None)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        z = inputs[0].detach().contiguous().numpy()
        affine = affine_of(*inputs[1:4])
        taps = inputs[4]
        out = np.zeros((len(taps.starts) - 1, z.shape[1] // 2), np.float32)
        _gate(z, affine.factor, affine.offset, taps.starts, out)
        ctx.kept = (z, affine, taps.starts)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        z, affine, starts = ctx.kept
        of_z, sums = np.empty_like(z), np.zeros((2, z.shape[1]))
        upstream = gradients[0].contiguous().numpy()
        _ungate(upstream, z, affine.mean, affine.factor, affine.offset, starts, of_z, sums)
        return (*standardised_back(of_z, z, sums, affine), None, None)


class Affine(NamedTuple):
    """``z * factor + offset`` standardises, then scales and shifts; (width,) float32 each."""

    factor: NDArray[Any]
    offset: NDArray[Any]
    mean: NDArray[Any]
    spread: NDArray[Any]
    of_batch: bool


def affine_of(scale: Tensor, shift: Tensor, standard: Standard) -> Affine:
    """As one product and one sum."""
    mean = standard.mean.numpy()
    spread = np.sqrt(standard.variance.numpy() + np.float32(standard.eps))
    factor = scale.detach().numpy() / spread
    return Affine(factor, shift.detach().numpy() - mean * factor, mean, spread, standard.of_batch)


def standardised_back(
    of_z: NDArray[np.float32], z: NDArray[np.float32], sums: NDArray[np.float64], affine: Affine
) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes of z, in place, of scale and of shift, from those of what was scaled and shifted.

    sums: (2, width), over rows, of these slopes and of their products with z - mean.
    """
    of_shift, of_scale = sums[0], sums[1] / affine.spread
    slope, constant = np.zeros((2, z.shape[1]))
    if affine.of_batch:
        count = max(len(z), 1)
        slope = -affine.factor * of_scale / (count * affine.spread)
        constant = -affine.factor * of_shift / count - slope * affine.mean
    _straighten(of_z, z, affine.factor, slope.astype(np.float32), constant.astype(np.float32))
    scale, shift = (torch.from_numpy(found.astype(np.float32)) for found in (of_scale, of_shift))
    return torch.from_numpy(of_z), scale, shift


# ---------------------------------------------------------------- functions of one number


@intrinsic
def _with_bits(typing, word):  # type: ignore[no-untyped-def]
    """The float32 of these 32 bits."""

    def write(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), write


_NODES = 0.5 + 0.5 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
_LOG = tuple(
    np.float32(value)
    for value in np.polynomial.chebyshev.Chebyshev.fit(_NODES, np.log1p(_NODES) / _NODES, 9, domain=[0, 1])
    .convert(kind=np.polynomial.Polynomial)
    .coef
)
"""log(1 + u) / u for u from 0 to 1, to 2e-7"""
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8, _L9 = _LOG
_PER_LOG2, _LOG2_HIGH, _LOG2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_E = tuple(
    np.float32(value)
    for value in (0.5, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4)
)
"""as in the library Cephes, to 1e-7"""
_E2, _E3, _E4, _E5, _E6, _E7 = _E
_HALF, ONE, NONE = np.float32(0.5), np.float32(1.0), np.float32(0.0)
_LEAST = np.float32(-87.0)


@njit(inline="always", fastmath=FAST)
def exp_of_negative(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0."""
    x = max(x, _LEAST)
    n = np.floor(x * _PER_LOG2 + _HALF)
    r = x - n * _LOG2_HIGH - n * _LOG2_LOW
    p = _E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * (_E6 + r * _E7))))
    power = _with_bits(np.int32((np.int32(n) + np.int32(127)) << 23))
    return (ONE + r + r * r * p) * power


@njit(inline="always", fastmath=FAST)
def log1p_of_share(u):  # type: ignore[no-untyped-def]
    """log(1 + u) for u from 0 to 1."""
    high = _L5 + u * (_L6 + u * (_L7 + u * (_L8 + u * _L9)))
    return u * (_L0 + u * (_L1 + u * (_L2 + u * (_L3 + u * (_L4 + u * high)))))


# ---------------------------------------------------------------- passes


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _mix(own, theirs, weight, about, first, values, starts, neighbour, z, sums):  # type: ignore[no-untyped-def]
    width = own.shape[1]
    here = np.empty(width, np.float32)
    once, twice = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(len(starts) - 1):
        once[:] = 0
        twice[:] = 0
        for e in range(starts[i], starts[i + 1]):
            j, g = neighbour[e], first[e]
            for k in range(width):
                here[k] = own[i, k] + theirs[j, k]
            for t in range(0, TAPS, 4):
                a, b, c, d = values[e, t], values[e, t + 1], values[e, t + 2], values[e, t + 3]
                for k in range(width):
                    here[k] += (
                        a * weight[g + t, k]
                        + b * weight[g + t + 1, k]
                        + c * weight[g + t + 2, k]
                        + d * weight[g + t + 3, k]
                    )
            for k in range(width):
                z[e, k] = here[k]
            for k in range(width):
                apart = here[k] - about[k]
                once[k] += apart
                twice[k] += apart * apart
        for k in range(width):
            sums[0, k] += once[k]
            sums[1, k] += twice[k]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _unmix(of_z, first, values, starts, neighbour, of_own, of_theirs, of_weight):  # type: ignore[no-untyped-def]
    width = of_z.shape[1]
    for i in range(len(starts) - 1):
        for e in range(starts[i], starts[i + 1]):
            j, g = neighbour[e], first[e]
            for k in range(width):
                of_own[i, k] += of_z[e, k]
            for k in range(width):
                of_theirs[j, k] += of_z[e, k]
            for t in range(TAPS):
                share = values[e, t]
                for k in range(width):
                    of_weight[g + t, k] += share * of_z[e, k]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _gate(z, factor, offset, starts, out):  # type: ignore[no-untyped-def]
    half = out.shape[1]
    for i in range(len(starts) - 1):
        for e in range(starts[i], starts[i + 1]):
            for k in range(half):
                a = z[e, k] * factor[k] + offset[k]
                b = z[e, half + k] * factor[half + k] + offset[half + k]
                u = exp_of_negative(-abs(a))
                open_ = (ONE if a >= 0 else u) / (ONE + u)
                out[i, k] += open_ * (max(b, NONE) + log1p_of_share(exp_of_negative(-abs(b))))


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _ungate(upstream, z, mean, factor, offset, starts, of_z, sums):  # type: ignore[no-untyped-def]
    half = upstream.shape[1]
    once, twice = np.empty(2 * half, np.float32), np.empty(2 * half, np.float32)
    for i in range(len(starts) - 1):
        once[:] = 0
        twice[:] = 0
        for e in range(starts[i], starts[i + 1]):
            for k in range(half):
                a = z[e, k] * factor[k] + offset[k]
                b = z[e, half + k] * factor[half + k] + offset[half + k]
                u, v = exp_of_negative(-abs(a)), exp_of_negative(-abs(b))
                per_u, per_v = ONE / (ONE + u), ONE / (ONE + v)
                above = upstream[i, k]
                open_ = (ONE if a >= 0 else u) * per_u
                of_z[e, k] = above * u * per_u * per_u * (max(b, NONE) + log1p_of_share(v))
                of_z[e, half + k] = above * open_ * (ONE if b >= 0 else v) * per_v
            for k in range(2 * half):
                once[k] += of_z[e, k]
                twice[k] += of_z[e, k] * (z[e, k] - mean[k])
        for k in range(2 * half):
            sums[0, k] += once[k]
            sums[1, k] += twice[k]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _straighten(of_z, z, factor, slope, constant):  # type: ignore[no-untyped-def]
    for e in range(len(z)):
        for k in range(z.shape[1]):
            of_z[e, k] = of_z[e, k] * factor[k] + (z[e, k] * slope[k] + constant[k])
