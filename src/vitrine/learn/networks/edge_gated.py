"""Edge-gated sums, and residual layers with layer norm, in one pass each way on a CPU in single precision.

The same in plain torch is in :mod:`vitrine.learn.networks.line_graph`. Of what has the size edges x width
only what is under the gates is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vitrine.learn.networks.gated import FAST, ONE, exp_of_negative

CLOSED = 1e-6
"""added to the sum of a node's gates, for nodes without any"""


def edge_gated(
    towards: Tensor, met: Tensor, at_edges: Tensor, source: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """What is under the gates, (n_edges, width), and means of what goes through them, (n_nodes, width).

    With towards = [a, b] it is ``m_uv = a_u + met_v + at_edges_uv``, and the mean over the edges to v is that
    of b_u with the weights ``sigmoid(m_uv)``.

    Parameters
    ----------
    towards: (n_nodes, 2 width). met: (n_nodes, width). at_edges: (n_edges, width).
    source, target: (n_edges,) u and v, sorted by v.
    """
    found: Any = _EdgeGated.apply
    raw, mean = found(towards, met, at_edges, source, target)
    return raw, mean


def residual(x: Tensor, raw: Tensor, norm: nn.LayerNorm) -> Tensor:
    """``x + silu(norm(raw))``, all (n, width)."""
    found: Any = _Residual.apply
    out: Tensor = found(x, raw, norm.weight, norm.bias, norm.eps)
    return out


def _arrays(*tensors: Tensor) -> list[NDArray[Any]]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


class _EdgeGated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Any:
        towards, met, at_edges, source, target = _arrays(*inputs)
        raw, mean, gates = np.empty_like(at_edges), np.zeros_like(met), np.zeros_like(met)
        _gate(towards, met, at_edges, source, target, raw, mean, gates)
        gates += np.float32(CLOSED)
        mean /= gates
        ctx.kept = (towards, raw, mean, gates, source, target)
        ctx.set_materialize_grads(False)
        return torch.from_numpy(raw), torch.from_numpy(mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        towards, raw, mean, gates, source, target = ctx.kept
        of_raw, of_mean = (None if part is None else part.contiguous().numpy() for part in gradients)
        slopes = np.zeros_like(raw) if of_raw is None else of_raw.copy()
        through = np.zeros_like(mean) if of_mean is None else of_mean / gates
        of_towards, of_met = np.zeros_like(towards), np.zeros_like(mean)
        _ungate(through, towards, raw, mean, source, target, slopes, of_towards, of_met)
        return (*map(torch.from_numpy, (of_towards, of_met, slopes)), None, None)


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        x, raw, weight, bias = _arrays(*inputs[:4])
        out, rows = np.empty_like(x), np.empty((len(raw), 2), np.float32)
        _residual(x, raw, weight, bias, np.float32(inputs[4]), out, rows)
        ctx.kept = (raw, weight, bias, rows)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raw, weight, bias, rows = ctx.kept
        of_raw, sums = np.empty_like(raw), np.zeros((2, raw.shape[1]))
        _residual_back(gradients[0].contiguous().numpy(), raw, weight, bias, rows, of_raw, sums)
        of_weight, of_bias = (torch.from_numpy(part.astype(np.float32)) for part in sums)
        return gradients[0], torch.from_numpy(of_raw), of_weight, of_bias, None


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _gate(towards, met, at_edges, source, target, raw, mean, gates):  # type: ignore[no-untyped-def]
    width = met.shape[1]
    gate = np.empty(width, np.float32)
    for e in range(len(source)):
        u, v = source[e], target[e]
        for k in range(width):
            raw[e, k] = at_edges[e, k] + towards[u, k] + met[v, k]
        for k in range(width):
            m = raw[e, k]
            less = exp_of_negative(-abs(m))
            gate[k] = (ONE if m >= 0 else less) / (ONE + less)
        for k in range(width):
            gates[v, k] += gate[k]
        for k in range(width):
            mean[v, k] += gate[k] * towards[u, width + k]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _ungate(  # type: ignore[no-untyped-def]
    through, towards, raw, mean, source, target, slopes, of_towards, of_met
):
    width = of_met.shape[1]
    gate, sent = np.empty(width, np.float32), np.empty(width, np.float32)
    for e in range(len(source)):
        u, v = source[e], target[e]
        for k in range(width):
            m = raw[e, k]
            less = exp_of_negative(-abs(m))
            gate[k] = (ONE if m >= 0 else less) / (ONE + less)
        for k in range(width):
            sent[k] = towards[u, width + k] - mean[v, k]
        for k in range(width):
            slopes[e, k] += through[v, k] * gate[k] * (ONE - gate[k]) * sent[k]
        for k in range(width):
            of_towards[u, k] += slopes[e, k]
        for k in range(width):
            of_met[v, k] += slopes[e, k]
        for k in range(width):
            sent[k] = through[v, k] * gate[k]
        for k in range(width):
            of_towards[u, width + k] += sent[k]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _residual(x, raw, weight, bias, eps, out, rows):  # type: ignore[no-untyped-def]
    width = x.shape[1]
    for i in range(len(x)):
        mean = np.float32(0.0)
        for k in range(width):
            mean += raw[i, k]
        mean /= np.float32(width)
        square = np.float32(0.0)
        for k in range(width):
            apart = raw[i, k] - mean
            square += apart * apart
        per = ONE / np.sqrt(square / np.float32(width) + eps)
        rows[i, 0], rows[i, 1] = mean, per
        for k in range(width):
            y = (raw[i, k] - mean) * per * weight[k] + bias[k]
            less = exp_of_negative(-abs(y))
            out[i, k] = x[i, k] + y * (ONE if y >= 0 else less) / (ONE + less)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _residual_back(upstream, raw, weight, bias, rows, of_raw, sums):  # type: ignore[no-untyped-def]
    width = raw.shape[1]
    of_y, even = np.empty(width, np.float32), np.empty(width, np.float32)
    once, twice = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for i in range(len(raw)):
        mean, per = rows[i, 0], rows[i, 1]
        for k in range(width):
            even[k] = (raw[i, k] - mean) * per
        for k in range(width):
            y = even[k] * weight[k] + bias[k]
            less = exp_of_negative(-abs(y))
            gate = (ONE if y >= 0 else less) / (ONE + less)
            of_y[k] = upstream[i, k] * gate * (ONE + y * (ONE - gate))
        first, second = np.float32(0.0), np.float32(0.0)
        for k in range(width):
            slope = of_y[k] * weight[k]
            first += slope
            second += slope * even[k]
        first /= np.float32(width)
        second /= np.float32(width)
        for k in range(width):
            of_raw[i, k] = per * (of_y[k] * weight[k] - first - second * even[k])
        for k in range(width):
            twice[k] += of_y[k] * even[k]
            once[k] += of_y[k]
        if i % 64 == 63 or i == len(raw) - 1:  # long sums of single precision lose digits
            for k in range(width):
                sums[0, k] += twice[k]
                sums[1, k] += once[k]
                twice[k] = 0
                once[k] = 0
