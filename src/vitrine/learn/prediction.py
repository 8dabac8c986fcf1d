"""Outputs of a trained network; no Lightning here, which takes seconds to import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitrine.learn.batches import Batch, as_batch
from vitrine.samples import Examples


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: results do not depend on the machine's number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def forward(network: nn.Module, batch: Batch) -> Tensor:
    """(n_rows,) outputs; a network is given what the batch has, so that each knows of its own kind alone."""
    whole = batch.images if batch.graph is None else batch.graph
    if whole is not None:
        of_samples: Tensor = network(batch.features, whole)
        return of_samples
    seen = (batch.features, batch.edges)
    out: Tensor = network(*seen) if batch.geometry is None else network(*seen, batch.geometry)
    return out


def apply_network(network: nn.Module, examples: Examples) -> NDArray[np.float64]:
    """Raw outputs of the network, (n_rows,) float64, or (n_rows, n_outputs)."""
    network.eval()
    with one_thread(), torch.inference_mode():
        parts = [forward(network, batch).double().numpy() for batch in _in_parts(examples)]
    return np.concatenate(parts) if parts else np.zeros(0)


def attention_of(network: nn.Module, examples: Examples, method: str = "attention") -> NDArray[np.float64]:
    """(n_edges, heads) float64 from a network of whole graphs or crystals that has ``attention(graphs)``.

    method: another of its methods, such as ``site_attention`` with (n_nodes, heads).
    """
    told: Any = getattr(network.eval(), method)
    with one_thread(), torch.inference_mode():
        parts = [told(batch.graph).double().numpy() for batch in _in_parts(examples)]
    return np.concatenate(parts)


def _in_parts(examples: Examples) -> Iterator[Batch]:
    size = _samples_at_once(examples)
    for start in range(0, len(examples), size):
        yield as_batch(examples.select(np.arange(start, min(start + size, len(examples)))))


def _samples_at_once(examples: Examples) -> int:
    """How many samples a network predicts for together: few enough for the memory, many enough for speed."""
    n, batch = len(examples), 4096 if examples.edges is None else 16
    if examples.images is not None:
        # 22 float32 channels of the published network's two layers: 90 MB at 2^20 pixels
        return max(1, min(256, (1 << 20) * n // max(int(np.prod(examples.images.shape)), 1)))
    if examples.nodes is not None and examples.edges is not None:
        return max(1, min(256, 50_000 * n // max(int(examples.edges.shape[1]), 1)))
    if examples.edge_vectors is not None:  # vectors and tensors take room: 20,000 rows at once
        return max(1, min(batch, 20_000 * n // max(examples.n_rows, 1)))
    return batch


def maps_of(network: nn.Module, examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Activations of the last convolution, and the slopes of the output with respect to them.

    Both are (n_samples, channels, height', width').

    Parameters
    ----------
    network: has ``features(images)`` and ``head(activations, features)``.
    """
    told: Any = network.eval()
    maps, slopes = [], []
    with one_thread():
        for batch in _in_parts(examples):
            with torch.no_grad():
                activations = told.features(batch.images)
            activations.requires_grad_()
            with torch.enable_grad():
                out = told.head(activations, batch.features)
            (slope,) = torch.autograd.grad(out.sum(), activations)
            maps.append(activations.detach().numpy())
            slopes.append(slope.numpy())
    return np.concatenate(maps), np.concatenate(slopes)
