"""Attention over neighbours in one pass each way, on a CPU.

Equal to torch_geometric's ``GATConv`` (Veličković et al. 2018, arXiv:1710.10903) with its parameters,
but the messages are never written: per edge it keeps one attention coefficient a head. The backward
pass is written by hand. On other devices the same formulas run in plain torch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numpy.typing import NDArray
from torch import Tensor, nn

from vitrine.learn.networks.standardise import in_full
from vitrine.physics.lanes import Writer, intrinsic, pointers_of

SLOPE = 0.2
"""of the leaky rectifier under the softmax, as in the paper"""


class FusedAttention(nn.Module):
    """One layer of graph attention; heads are concatenated.

    Parameters
    ----------
    inputs: features of a node. width: features that a head makes. heads: number of heads.
    """

    def __init__(self, inputs: int, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.lin = nn.Linear(inputs, heads * width, bias=False)
        self.att_src = nn.Parameter(torch.empty(1, heads, width))
        self.att_dst = nn.Parameter(torch.empty(1, heads, width))
        self.bias = nn.Parameter(torch.zeros(heads * width))
        nn.init.xavier_uniform_(self.lin.weight)
        for weight in (self.att_src, self.att_dst):
            bound = math.sqrt(6.0 / (heads + width))
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, x: Tensor, starts: Tensor, neighbours: Tensor) -> Tensor:
        """x (n, inputs); the neighbours of i are ``neighbours[starts[i]:starts[i + 1]]``, itself among them.

        Returns (n, heads * width).
        """
        projected = self.lin(x)
        # the attention vectors act on the input, so that their gradient needs no third pass
        weight = self.lin.weight.view(self.heads, self.width, -1)
        towards = x @ torch.einsum("hc,hcf->fh", self.att_src[0], weight)
        own = x @ torch.einsum("hc,hcf->fh", self.att_dst[0], weight)
        projected, towards, own = in_full(projected), in_full(towards), in_full(own)
        if x.device.type == "cpu" and projected.dtype == torch.float32:
            fused: Any = _Gather.apply
            gathered: Tensor = fused(projected, towards, own, starts, neighbours)
        else:
            gathered = _gather(projected, towards, own, starts, neighbours)
        return gathered + self.bias


def _gather(projected: Tensor, towards: Tensor, own: Tensor, starts: Tensor, neighbours: Tensor) -> Tensor:
    """The same in plain torch, for any device and type."""
    n, heads = own.shape
    centre = torch.repeat_interleave(torch.arange(n, device=own.device), starts.diff())
    score = nn.functional.leaky_relu(towards[neighbours] + own[centre], SLOPE)
    most = torch.full_like(own, -torch.inf).scatter_reduce(
        0, centre[:, None].expand(-1, heads), score, "amax"
    )
    weight = torch.exp(score - most[centre])
    total = torch.zeros_like(own).index_add(0, centre, weight)
    weight = weight / total[centre]
    messages = weight[:, :, None] * projected[neighbours].view(len(neighbours), heads, -1)
    return torch.zeros_like(projected).index_add(0, centre, messages.flatten(1))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        projected, towards, own, starts, neighbours = (t.detach().contiguous().numpy() for t in inputs)
        rows, shape = _padded(projected, own.shape[1])
        out = np.empty_like(rows)
        weight = np.empty((len(neighbours), own.shape[1]), np.float32)
        _forward(rows, towards, own, starts, neighbours, out, weight, *shape)
        ctx.kept = (rows, towards, own, starts, neighbours, weight, shape, projected.shape)
        return torch.from_numpy(_plain(out, projected.shape))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        rows, towards, own, starts, neighbours, weight, shape, plain = ctx.kept
        upstream, _ = _padded(gradients[0].contiguous().numpy(), own.shape[1])
        found = [np.zeros_like(array) for array in (rows, towards, own)]
        _backward(upstream, rows, towards, own, starts, neighbours, weight, *found, *shape)
        found[0] = _plain(found[0], plain)
        return (*map(torch.from_numpy, found), None, None)


def _padded(array: NDArray[np.float32], heads: int) -> tuple[NDArray[np.float32], tuple[Any, Any]]:
    """(n, heads, lanes) with zeros behind each head's numbers; heads and lanes as tuples of that length."""
    n, width = len(array), array.shape[1] // heads
    lanes = next((size for size in (8, 16) if size >= width), -(-width // 16) * 16)
    rows = np.zeros((n, heads, lanes), np.float32)
    rows[:, :, :width] = array.reshape(n, heads, width)
    return rows, ((0,) * heads, (0,) * lanes)


def _plain(rows: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    width = shape[1] // rows.shape[1]
    return np.ascontiguousarray(rows[:, :, :width]).reshape(shape)


@intrinsic
def _sum_rows(  # type: ignore[no-untyped-def]
    typing, rows, weight, neighbours, out, node, first, last, heads, lanes
):
    """out[node] = sum over edges first to last of weight[edge] * rows[neighbour], head by head."""
    signature = types.void(rows, weight, neighbours, out, *[types.int64] * 3, heads, lanes)

    def write(context, builder, signature, args):  # type: ignore[no-untyped-def]
        heads, lanes = signature.args[7].count, signature.args[8].count
        w = Writer(context, builder, types.float32, lanes)
        rows, weight, neighbours, out = pointers_of(context, builder, signature, args, 4)
        node, first, last = args[4:7]
        zero = ir.Constant(w.vector, [0.0] * lanes)
        reserve: Any = cgutils.alloca_once
        sums = [reserve(builder, w.vector) for _ in range(heads)]
        for register in sums:
            builder.store(zero, register)
        with cgutils.for_range_slice(builder, first, last, w.index(1)) as (edge, _):
            j = builder.load(builder.gep(neighbours, [edge], source_etype=ir.IntType(64)), typ=ir.IntType(64))
            theirs, shares = builder.mul(j, w.index(heads)), builder.mul(edge, w.index(heads))
            for h, register in enumerate(sums):
                share = w.number(weight, builder.add(shares, w.index(h)))
                row = w.load(w.row(rows, builder.add(theirs, w.index(h))))
                builder.store(w.add(w.held(register), w.times(share, row)), register)
        mine = builder.mul(node, w.index(heads))
        for h, register in enumerate(sums):
            w.store(w.held(register), w.row(out, builder.add(mine, w.index(h))))
        return context.get_dummy_value()

    return signature, write


@intrinsic
def _spread_rows(  # type: ignore[no-untyped-def]
    typing, upstream, rows, weight, neighbours, of_rows, of_weight, node, first, last, heads, lanes
):
    """Backwards: of_rows[neighbour] += weight * upstream[node]; of_weight[edge] = upstream . rows."""
    arrays = (upstream, rows, weight, neighbours, of_rows, of_weight)
    signature = types.void(*arrays, *[types.int64] * 3, heads, lanes)

    def write(context, builder, signature, args):  # type: ignore[no-untyped-def]
        heads, lanes = signature.args[9].count, signature.args[10].count
        w = Writer(context, builder, types.float32, lanes)
        upstream, rows, weight, neighbours, of_rows, of_weight = pointers_of(
            context, builder, signature, args, 6
        )
        node, first, last = args[6:9]
        mine = builder.mul(node, w.index(heads))
        above = [w.load(w.row(upstream, builder.add(mine, w.index(h)))) for h in range(heads)]
        with cgutils.for_range_slice(builder, first, last, w.index(1)) as (edge, _):
            j = builder.load(builder.gep(neighbours, [edge], source_etype=ir.IntType(64)), typ=ir.IntType(64))
            theirs, shares = builder.mul(j, w.index(heads)), builder.mul(edge, w.index(heads))
            here = builder.mul(builder.sub(edge, first), w.index(heads))
            for h, row in enumerate(above):
                number = builder.add(theirs, w.index(h))
                w.increase(
                    w.row(of_rows, number), w.times(w.number(weight, builder.add(shares, w.index(h))), row)
                )
                product = w.total(w.times(w.load(w.row(rows, number)), row))
                builder.store(product, w.place(of_weight, builder.add(here, w.index(h))))
        return context.get_dummy_value()

    return signature, write


@njit(cache=True, fastmath=True, error_model="numpy")
def _forward(rows, towards, own, starts, neighbours, out, weight, heads, lanes):  # type: ignore[no-untyped-def]
    most = np.empty(len(heads), np.float32)
    total = np.empty(len(heads), np.float32)
    slope = np.float32(SLOPE)
    for i in range(len(own)):
        first, last = starts[i], starts[i + 1]
        most[:] = -np.inf
        for e in range(first, last):
            j = neighbours[e]
            for h in range(len(heads)):
                score = towards[j, h] + own[i, h]
                score = max(score, slope * score)
                weight[e, h] = score
                most[h] = max(most[h], score)
        total[:] = 0
        for e in range(first, last):
            for h in range(len(heads)):
                value = np.exp(weight[e, h] - most[h])
                weight[e, h] = value
                total[h] += value
        for e in range(first, last):
            for h in range(len(heads)):
                weight[e, h] /= total[h]
        _sum_rows(rows, weight, neighbours, out, i, first, last, heads, lanes)


@njit(cache=True, fastmath=True, error_model="numpy")
def _backward(  # type: ignore[no-untyped-def]
    upstream, rows, towards, own, starts, neighbours, weight, of_rows, of_towards, of_own, heads, lanes
):
    longest = 0
    for i in range(len(own)):
        longest = max(longest, starts[i + 1] - starts[i])
    of_weight = np.empty((longest, len(heads)), np.float32)
    mean = np.empty(len(heads), np.float32)
    slope = np.float32(SLOPE)
    for i in range(len(own)):
        first, last = starts[i], starts[i + 1]
        _spread_rows(upstream, rows, weight, neighbours, of_rows, of_weight, i, first, last, heads, lanes)
        mean[:] = 0
        for e in range(first, last):
            for h in range(len(heads)):
                mean[h] += of_weight[e - first, h] * weight[e, h]
        for e in range(first, last):
            j = neighbours[e]
            for h in range(len(heads)):
                change = weight[e, h] * (of_weight[e - first, h] - mean[h])
                if towards[j, h] + own[i, h] <= 0:
                    change *= slope
                of_towards[j, h] += change
                of_own[i, h] += change
