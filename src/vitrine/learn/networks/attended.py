"""Attention over the bonds of a site in few passes, on a CPU in single precision.

The same in plain torch is in :mod:`vitrine.learn.networks.crystal`. What stands at the bonds comes from
:func:`vitrine.learn.networks.gated.mixed`; beside it only the weights are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

from vitrine.learn.networks.gated import (
    FAST,
    NONE,
    ONE,
    Standard,
    Taps,
    affine_of,
    exp_of_negative,
    log1p_of_share,
    standardised_back,
)


def attended(
    z: Tensor, scale: Tensor, shift: Tensor, score: Tensor, standard: Standard, taps: Taps
) -> tuple[Tensor, Tensor]:
    """Sums (n_nodes, width / 2) of ``w_h softplus(b)``, and the weights w (n_edges, heads).

    a and b are the halves of the standardised z, and w_h is the softmax over the bonds of a site of
    ``score_h . silu(a_h)``; each head has its part of a and of b. The weights that are told have no slopes.

    Parameters
    ----------
    z: (n_edges, width). scale, shift: (width,), after standardising. score: (heads, width / 2 / heads).
    """
    found: Any = _Attended.apply
    out, weights = found(z, scale, shift, score, standard, taps)
    return out, weights


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        z = inputs[0].detach().contiguous().numpy()
        affine, taps = affine_of(inputs[1], inputs[2], inputs[4]), inputs[5]
        score = inputs[3].detach().contiguous().numpy()
        out = np.zeros((len(taps.starts) - 1, score.size), np.float32)
        weights = np.empty((len(z), len(score)), np.float32)
        _attend(z, affine.factor, affine.offset, score.ravel(), taps.starts, weights, out)
        ctx.kept = (z, affine, score, taps.starts, weights)
        told = torch.from_numpy(weights)
        ctx.mark_non_differentiable(told)
        return torch.from_numpy(out), told

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        z, affine, score, starts, weights = ctx.kept
        of_z, sums, of_score = np.empty_like(z), np.zeros((2, z.shape[1])), np.zeros(score.size)
        upstream = gradients[0].contiguous().numpy()
        run: Any = _attend_back  # its type knows ten arguments at most
        about = (affine.mean, affine.factor, affine.offset, score.ravel())
        run(upstream, z, *about, starts, weights, of_z, sums, of_score)
        slopes = standardised_back(of_z, z, sums, affine)
        return (*slopes, torch.from_numpy(of_score.reshape(score.shape).astype(np.float32)), None, None)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _attend(z, factor, offset, score, starts, weights, out):  # type: ignore[no-untyped-def]
    half, heads = out.shape[1], weights.shape[1]
    part = half // heads
    row, most, total = np.empty(half, np.float32), np.empty(heads, np.float32), np.empty(heads, np.float32)
    for i in range(len(starts) - 1):
        most[:] = -np.inf
        for e in range(starts[i], starts[i + 1]):
            for k in range(half):
                a = z[e, k] * factor[k] + offset[k]
                u = exp_of_negative(-abs(a))
                row[k] = score[k] * a * (ONE if a >= 0 else u) / (ONE + u)
            for h in range(heads):
                found = NONE
                for k in range(h * part, (h + 1) * part):
                    found += row[k]
                weights[e, h] = found
                most[h] = max(most[h], found)
        total[:] = 0
        for e in range(starts[i], starts[i + 1]):
            for h in range(heads):
                weights[e, h] = exp_of_negative(weights[e, h] - most[h])
                total[h] += weights[e, h]
        for e in range(starts[i], starts[i + 1]):
            for h in range(heads):
                weights[e, h] /= total[h]
                for k in range(h * part, (h + 1) * part):
                    row[k] = weights[e, h]
            for k in range(half):
                b = z[e, half + k] * factor[half + k] + offset[half + k]
                out[i, k] += row[k] * (max(b, NONE) + log1p_of_share(exp_of_negative(-abs(b))))


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _attend_back(  # type: ignore[no-untyped-def]
    upstream, z, mean, factor, offset, score, starts, weights, of_z, sums, of_score
):
    half, heads = upstream.shape[1], weights.shape[1]
    part = half // heads
    row, product = np.empty(half, np.float32), np.empty(half, np.float32)
    once, twice = np.empty(2 * half, np.float32), np.empty(2 * half, np.float32)
    scores = np.empty(half, np.float32)
    level = np.empty(heads, np.float32)
    longest = 0
    for i in range(len(starts) - 1):
        longest = max(longest, starts[i + 1] - starts[i])
    of_weights = np.empty((longest, heads), np.float32)
    for i in range(len(starts) - 1):
        first, last = starts[i], starts[i + 1]
        once[:] = 0
        twice[:] = 0
        scores[:] = 0
        level[:] = 0
        for e in range(first, last):
            for h in range(heads):
                for k in range(h * part, (h + 1) * part):
                    row[k] = weights[e, h]
            for k in range(half):
                b = z[e, half + k] * factor[half + k] + offset[half + k]
                v = exp_of_negative(-abs(b))
                product[k] = upstream[i, k] * (max(b, NONE) + log1p_of_share(v))
                of_z[e, half + k] = upstream[i, k] * row[k] * (ONE if b >= 0 else v) / (ONE + v)
            for h in range(heads):
                found = NONE
                for k in range(h * part, (h + 1) * part):
                    found += product[k]
                of_weights[e - first, h] = found
                level[h] += found * weights[e, h]
        for e in range(first, last):
            for h in range(heads):
                slope = weights[e, h] * (of_weights[e - first, h] - level[h])
                for k in range(h * part, (h + 1) * part):
                    row[k] = slope
            for k in range(half):
                a = z[e, k] * factor[k] + offset[k]
                u = exp_of_negative(-abs(a))
                gate = (ONE if a >= 0 else u) / (ONE + u)
                product[k] = row[k] * a * gate
                of_z[e, k] = row[k] * score[k] * gate * (ONE + a * (ONE - gate))
            for k in range(half):
                scores[k] += product[k]
            for k in range(2 * half):
                once[k] += of_z[e, k]
                twice[k] += of_z[e, k] * (z[e, k] - mean[k])
        for k in range(2 * half):
            sums[0, k] += once[k]
            sums[1, k] += twice[k]
        for k in range(half):
            of_score[k] += scores[k]
