"""The one training path of all networks, on Lightning."""

from __future__ import annotations

import ctypes
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from vitrine.samples import Examples

if TYPE_CHECKING:
    from vitrine.learn.neural import NetworkPart
    from vitrine.tasks import Progress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""names of glibc's malloc.h"""

Batch = tuple[Tensor, Tensor, Tensor]
"""features (n_rows, n_features), edges (2, n_edges) neighbour -> centre, target (n_rows,)"""


def keep_memory() -> None:
    """Let glibc keep freed blocks: giving them back page by page is most of a training step's time.

    Without effect where the C library is another one.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
    except (OSError, AttributeError):
        return


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: results do not depend on the machine's number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Batches(Dataset[Batch]):
    """Whole batches of samples, shuffled anew each epoch by a seeded generator."""

    def __init__(self, examples: Examples, batch: int, seed: int | None) -> None:
        self._examples, self._batch = examples, batch
        self._random = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(len(examples))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch)

    def __getitem__(self, number: int) -> Batch:
        if number >= len(self):
            raise IndexError(number)
        if number == 0 and self._random is not None:
            self._order = self._random.permutation(len(self._order))
        chosen = self._order[number * self._batch : (number + 1) * self._batch]
        return as_batch(self._examples.select(chosen))


def as_batch(examples: Examples) -> Batch:
    """Examples as tensors; an absent target is empty, absent edges are (2, 0)."""
    edges = np.zeros((2, 0), np.int64) if examples.edges is None else examples.edges[::-1].copy()
    target = np.zeros(0, np.float32) if examples.target is None else examples.target
    return torch.from_numpy(examples.features), torch.from_numpy(edges), torch.from_numpy(target)


class Fit(lightning.LightningModule):
    """One network with its loss: balanced cross-entropy for classes, mean absolute error for values."""

    def __init__(self, network: nn.Module, part: NetworkPart, positive_weight: float | None) -> None:
        super().__init__()
        self.network = network
        self._part = part
        self._positive_weight = positive_weight
        self.losses: list[tuple[float, float]] = []
        self._sums = {"train": [0.0, 0.0], "validation": [0.0, 0.0]}

    def loss(self, batch: Batch) -> Tensor:
        """Scalar loss of a batch."""
        features, edges, target = batch
        out = self.network(features, edges)
        if self._positive_weight is None:
            return nn.functional.l1_loss(out, target)
        weight = torch.tensor(self._positive_weight, device=out.device)
        return nn.functional.binary_cross_entropy_with_logits(out, target, pos_weight=weight)

    def _step(self, batch: Batch, name: str) -> Tensor:
        loss = self.loss(batch)
        self._sums[name][0] += float(loss.detach()) * len(batch[2])
        self._sums[name][1] += len(batch[2])
        return loss

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Lightning's hook."""
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, index: int) -> Tensor:
        """Lightning's hook."""
        return self._step(batch, "validation")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay."""
        return torch.optim.AdamW(
            self.network.parameters(), lr=self._part.learning_rate, weight_decay=self._part.weight_decay
        )

    def close_epoch(self) -> float:
        """Mean losses of the epoch; returns the one that decides."""
        train, validation = (total / max(n, 1.0) for total, n in self._sums.values())
        has_validation = self._sums["validation"][1] > 0
        self._sums = {"train": [0.0, 0.0], "validation": [0.0, 0.0]}
        self.losses.append((train, validation if has_validation else float("nan")))
        return validation if has_validation else train


class BestWeights(Callback):
    """Keeps the best weights in memory, stops when patience is over, reports progress."""

    def __init__(self, patience: int, epochs: int, progress: Progress) -> None:
        self._patience, self._epochs, self._progress = patience, epochs, progress
        self.best = float("inf")
        self.best_epoch = 0
        self.weights: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook, after the validation of the epoch."""
        assert isinstance(pl_module, Fit)
        loss = pl_module.close_epoch()
        epoch = len(pl_module.losses)
        if loss < self.best:
            self.best, self.best_epoch = loss, epoch
            self.weights = {k: v.detach().clone() for k, v in pl_module.network.state_dict().items()}
        if epoch - self.best_epoch >= self._patience or not np.isfinite(loss):
            trainer.should_stop = True
        self._progress(epoch / self._epochs)


def train_network(
    network: nn.Module,
    train: Examples,
    validation: Examples | None,
    part: NetworkPart,
    *,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Train in place to the best validation loss; features and target come scaled.

    Returns
    -------
    Facts: epochs, best_epoch, best_loss, seconds, losses [(train, validation), ...].
    """
    assert train.target is not None
    positive_weight = None
    if train.target_kind == "binary":
        share = float(train.target.mean(dtype=np.float64))
        positive_weight = (1 - share) / max(share, 1e-9)
    fit = Fit(network, part, positive_weight)
    keep = BestWeights(part.patience, part.epochs, progress)
    start = time.monotonic()
    keep_memory()
    with one_thread(), _quiet():
        trainer = lightning.Trainer(
            max_epochs=part.epochs,
            accelerator="auto",
            devices=1,
            callbacks=[keep],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic="warn",
        )
        hold = None if validation is None else _loader(validation, part.batch, None)
        trainer.fit(fit, _loader(train, part.batch, seed), hold)
    network.to("cpu")
    network.load_state_dict(keep.weights)
    return {
        "epochs": len(fit.losses),
        "best_epoch": keep.best_epoch,
        "best_loss": keep.best,
        "seconds": round(time.monotonic() - start, 2),
        "losses": [[round(a, 6), round(b, 6)] for a, b in fit.losses],
    }


def _loader(examples: Examples, batch: int, seed: int | None) -> DataLoader[Any]:
    return DataLoader(_Batches(examples, batch, seed), batch_size=None, shuffle=False, num_workers=0)


def apply_network(network: nn.Module, examples: Examples) -> NDArray[np.float64]:
    """Raw outputs of the network, (n_rows,) float64."""
    batch = 4096 if examples.edges is None else 16
    network.eval()
    parts = [np.zeros(0)]
    with one_thread(), torch.inference_mode():
        for chosen in _blocks(len(examples), batch):
            features, edges, _ = as_batch(examples.select(chosen))
            parts.append(network(features, edges).double().numpy())
    return np.concatenate(parts)


def _blocks(n: int, size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


class _quiet:
    """Lightning speaks of hardware and loaders; the report says what matters."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("lightning.pytorch")
        self._level = self._logger.level
        self._logger.setLevel(logging.ERROR)
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.filterwarnings("ignore", module=r"lightning.*")

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)
        self._caught.__exit__(None, None, None)
