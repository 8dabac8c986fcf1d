"""Curvature of the loss at the network's weights: extreme eigenvalues and trace of the Hessian.

Everything rests on products of the Hessian with vectors (Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147):
Lanczos with full reorthogonalisation for eigenvalues, Hutchinson's estimator (doi:10.1080/03610918908812806)
for the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vitrine.errors import DataError, InputError
from vitrine.explain.landscape.evaluator import Evaluator
from vitrine.explain.landscape.results import plain
from vitrine.samples import Float

TOGETHER = 8
"""vectors that one gradient's graph is multiplied with"""
LOST = 1e-12
"""share of the largest eigenvalue: a new Lanczos vector shorter than this is rounding"""
Tick = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Curvature:
    """Numbers of a Hessian, in the unit of the loss per squared unit of the weights.

    Attributes
    ----------
    data: the data set. parameters: rows of the Hessian.
    top: (k,) largest eigenvalues, falling. bottom: (m,) smallest, rising. top_residual, bottom_residual:
        norm of H v - lambda v with unit v: an eigenvalue lies within this of each number.
    trace: its estimate. trace_error: standard error over the probes; 0 where the trace is exact, not a
        number for one probe. probes: how many.
    steps: of Lanczos. converged: whether all residuals are within the tolerance.
    """

    data: str
    parameters: int
    top: Float
    bottom: Float
    top_residual: Float
    bottom_residual: Float
    trace: float
    trace_error: float
    probes: int
    steps: int
    converged: bool

    def to_plain(self) -> dict[str, Any]:
        """JSON-able: numbers that are not finite are None."""
        return {
            name: plain(value) if isinstance(value, (np.ndarray, float)) else value
            for name, value in vars(self).items()
        }


def products(evaluator: Evaluator, name: str, vectors: Tensor) -> Tensor:
    """(m, n) Hessian of the mean loss on a data set, at the network's weights, times (m, n) vectors.

    Raises
    ------
    DataError: the network has no second derivative.
    """
    found = torch.zeros_like(vectors)
    cuda = torch.backends.cudnn.flags(enabled=False)  # its recurrent layers have no second derivative
    with evaluator.quiet(), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), cuda:
        for batch, (reduction, count, share) in evaluator.batches(name):
            if share <= 0:
                continue
            try:
                value = evaluator.task(batch, reduction, count)
                found += share * _of_batch(value, evaluator.parameters, vectors)
            except RuntimeError as error:
                raise DataError(f"the loss on {name} has no second derivative: {error}") from error
    return found


def _of_batch(value: Tensor, parameters: list[Any], vectors: Tensor) -> Tensor:
    if not value.requires_grad:
        raise RuntimeError("it does not depend on the weights, or was detached from them")
    slopes = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
    slope = torch.cat([part.reshape(-1) for part in slopes])
    if not slope.requires_grad:  # linear in all weights
        return torch.zeros_like(vectors)
    found = []
    for number, vector in enumerate(vectors):
        kept = number + 1 < len(vectors)
        parts = torch.autograd.grad(slope, parameters, vector, retain_graph=kept, materialize_grads=True)
        found.append(torch.cat([part.reshape(-1) for part in parts]))
    return torch.stack(found)


@dataclass(frozen=True, eq=False)
class Extremes:
    """Eigenvalues from both ends, residuals, unit eigenvectors as rows, steps taken; the top first."""

    values: Float
    residuals: Float
    vectors: Tensor
    steps: int
    largest: float


def lanczos(
    product: Callable[[Tensor], Tensor],
    like: Tensor,
    top: int,
    bottom: int,
    *,
    steps: int,
    tolerance: float,
    seed: int,
    tick: Tick,
) -> Extremes:
    """Largest and smallest eigenvalues of a symmetric matrix that is known by its products.

    An eigenvalue that occurs several times may be found once, unless ``steps`` reaches the matrix's size.

    Parameters
    ----------
    product: (m, n) rows -> matrix times each. like: (n,) tensor of the precision and place wanted.
    steps: at most; all are kept in memory. tolerance: of residuals, as a share of the largest eigenvalue.

    Raises
    ------
    DataError: a product is not finite.
    """
    n, draw = len(like), np.random.default_rng([seed, 1])

    def fresh() -> Tensor:
        return torch.as_tensor(draw.standard_normal(n)).to(like)

    basis = like.new_empty(min(steps, n), n)
    diagonal: list[float] = []
    beside: list[float] = []
    vector, size = fresh(), 0.0
    for step in range(len(basis)):
        vector = _orthogonal(vector, basis[:step])
        basis[step] = vector / vector.norm()
        vector = product(basis[step][None])[0]
        tick(1)
        if not bool(torch.isfinite(vector).all()):
            raise DataError("the second derivative of the loss is not finite at the network's weights")
        diagonal.append(float(basis[step] @ vector))
        vector = _orthogonal(vector, basis[: step + 1])
        length = float(vector.norm())
        values, mixing = _eigen(diagonal, beside)
        size = max(size, float(np.abs(values).max()), length)
        wanted = [*range(step, max(step - top, -1), -1), *range(min(bottom, step + 1))]
        ends = np.abs(mixing[-1, wanted]) * length
        whole = n <= steps
        if not whole and step + 1 > top + bottom and (ends <= tolerance * np.abs(values).max()).all():
            break
        if length <= LOST * size:  # an invariant subspace: go on in what is left
            vector, length = fresh(), 0.0
        beside.append(length)
    done = len(diagonal)
    values, mixing = _eigen(diagonal, beside[: done - 1])
    chosen = [*(done - 1 - number for number in range(top)), *range(bottom)]
    rows = torch.as_tensor(mixing[:, chosen].T.copy()).to(like) @ basis[:done]
    rows = rows / rows.norm(dim=1, keepdim=True)
    sure = torch.as_tensor(values[chosen]).to(like)
    residuals = (product(rows) - sure[:, None] * rows).norm(dim=1).double().cpu().numpy()
    return Extremes(values[chosen], residuals, rows, done, float(np.abs(values).max()))


def _orthogonal(vector: Tensor, basis: Tensor) -> Tensor:
    for _ in range(2):  # the second takes away what rounding left
        vector = vector - (basis @ vector) @ basis
    return vector


def _eigen(diagonal: list[float], beside: list[float]) -> tuple[Float, Float]:
    from scipy.linalg import eigh_tridiagonal

    if len(diagonal) == 1:
        return np.array(diagonal), np.ones((1, 1))
    values, vectors = eigh_tridiagonal(np.array(diagonal), np.array(beside))
    return values, vectors


def trace(
    evaluator: Evaluator, name: str, seeds: Iterable[int] | Literal["basis"], tick: Tick
) -> tuple[float, float, int]:
    """Trace of the Hessian, its standard error, number of probes.

    Parameters
    ----------
    seeds: each draws one vector of signs. ``basis``: all unit vectors in place of them, which is exact and
        takes as many products as there are weights.

    Raises
    ------
    InputError: there are no seeds.
    """
    n = len(evaluator.weights)
    numbers = list(range(n)) if isinstance(seeds, str) else [int(seed) for seed in seeds]
    if not numbers:
        raise InputError("the trace needs at least one seed")
    found: list[float] = []
    for start in range(0, len(numbers), TOGETHER):
        part = numbers[start : start + TOGETHER]
        vectors = evaluator.weights.new_zeros(len(part), n)
        for row, number in enumerate(part):
            if isinstance(seeds, str):
                vectors[row, number] = 1.0
            else:
                signs = np.random.default_rng([number, 2]).integers(0, 2, n).astype(np.float64)
                vectors[row] = evaluator.tensor(2.0 * signs - 1.0)
        found += (vectors * products(evaluator, name, vectors)).sum(dim=1).double().tolist()
        tick(len(part))
    values = np.array(found)
    if isinstance(seeds, str):
        return float(values.sum()), 0.0, n
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error, len(values)
