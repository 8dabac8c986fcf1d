"""The one training path of all networks, on Lightning."""

from __future__ import annotations

import ctypes
import logging
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn

from vitrine.learn.batches import Batch, Batches, loader
from vitrine.learn.losses import class_loss, weight_of_positives
from vitrine.learn.parallel import ALONE, Rank
from vitrine.learn.prediction import forward, one_thread
from vitrine.learn.resume import State, Unfinished, moments, set_moments
from vitrine.samples import Examples
from vitrine.tasks import digest

if TYPE_CHECKING:
    from vitrine.learn.network_part import NetworkPart
    from vitrine.tasks import Progress

SETTLED = 512
"""training samples from which means and spreads within a network are found after each epoch"""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""names of glibc's malloc.h"""


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


class Fit(lightning.LightningModule):
    """One network with its loss: of :mod:`vitrine.learn.losses` for classes, mean absolute for values.

    The validation loss is what the training loss is on average: classes weighted in place of drawn rows.
    """

    def __init__(
        self, network: nn.Module, part: NetworkPart, positive_weight: float | None, classes: bool = False
    ) -> None:
        super().__init__()
        self._classes = classes
        self.network = network
        self._part = part
        self._positive_weight = positive_weight
        self.losses: list[tuple[float, float]] = []
        self._sums = {"train": [0.0, 0.0], "validation": [0.0, 0.0]}

    def loss(self, batch: Batch, training: bool) -> Tensor:
        """Scalar loss of a batch."""
        out = forward(self.network, batch)
        if self._classes:
            loss = nn.functional.cross_entropy(out, batch.target.long())
            return loss + self._penalty() if training else loss
        if self._positive_weight is None:
            if self._part.value_loss == "squared":
                return nn.functional.mse_loss(out, batch.target)
            return nn.functional.l1_loss(out, batch.target)
        weighted = self._part.balance == "weight" or (not training and self._part.balance != "none")
        losses = class_loss(
            out,
            batch.target,
            kind=self._part.loss,
            focal_gamma=self._part.focal_gamma,
            positive_weight=self._positive_weight if weighted else 1.0,
        )
        return (losses if batch.weights is None else losses * batch.weights).mean()

    def _penalty(self) -> Tensor | float:
        """What a network with penalised weights adds to its training loss."""
        strength = getattr(self._part, "l2", 0.0)
        penalised: Any = getattr(self.network, "penalised", None)
        return 0.0 if not strength or penalised is None else strength * penalised()

    def _step(self, batch: Batch, name: str) -> Tensor:
        loss = self.loss(batch, name == "train")
        if batch.share > 0:
            self._sums[name][0] += float(loss.detach()) * len(batch.target)
            self._sums[name][1] += len(batch.target)
        return loss if batch.share == 1.0 else loss * batch.share

    def on_train_epoch_start(self) -> None:
        """Lightning's hook: the learning rate of this epoch, from nothing but its number."""
        if self._part.schedule != "constant":
            deciding = [
                train if validation != validation else validation for train, validation in self.losses
            ]
            for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
                group["lr"] = self._part.rate_of(len(self.losses), deciding)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Lightning's hook."""
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, index: int) -> Tensor:
        """Lightning's hook."""
        return self._step(batch, "validation")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay, in one pass over the weights: much of a step on a small
        batch is Adam's."""
        return torch.optim.AdamW(
            self.network.parameters(),
            lr=self._part.learning_rate,
            weight_decay=self._part.weight_decay,
            fused=True,
        )

    def close_epoch(self) -> float:
        """Mean losses of the epoch over all ranks; returns the one that decides."""
        sums = torch.tensor(list(self._sums.values()), dtype=torch.float64)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            sums = sums.to(self.device)
            torch.distributed.all_reduce(sums)
        (train, n_train), (validation, n_validation) = sums.tolist()
        train, validation = float(train / max(n_train, 1.0)), float(validation / max(n_validation, 1.0))
        self._sums = {"train": [0.0, 0.0], "validation": [0.0, 0.0]}
        self.losses.append((train, validation if n_validation else float("nan")))
        return validation if n_validation else train


class BestWeights(Callback):
    """Keeps the best weights in memory, stops when patience is over, reports progress.

    With a folder for unfinished training it also leaves a state there now and then.
    """

    def __init__(
        self,
        part: NetworkPart,
        progress: Progress,
        batches: Batches,
        unfinished: Unfinished,
        some: Batches,
        validated: bool,
    ) -> None:
        self._part, self._progress = part, progress
        self._batches, self._unfinished = batches, unfinished
        self._some, self._validated = some, validated
        self._begun = time.monotonic()
        self._resumed: State | None = None
        self.best = float("inf")
        self.best_epoch = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def seconds(self) -> float:
        """Spent on this training, over all attempts."""
        before = 0.0 if self._resumed is None else self._resumed.seconds
        return before + time.monotonic() - self._begun

    @property
    def resumed_at(self) -> int:
        """Epochs that were done when this attempt began."""
        return 0 if self._resumed is None else self._resumed.epoch

    def resume(self, state: State, fit: Fit) -> None:
        """Take up a state, before training starts."""
        self._resumed = state
        fit.network.load_state_dict(state.part("network"))
        fit.losses = list(state.losses)
        self.best, self.best_epoch, self.weights = state.best, state.best_epoch, state.part("best")
        self._batches.state = state.order

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook: what needs the optimiser and must come last before the first step."""
        if self._resumed is not None:
            set_moments(trainer.optimizers[0], self._resumed.part("adam"))
            random = self._resumed.part("random")
            torch.set_rng_state(random["torch"])
            if "cuda" in random and pl_module.device.type == "cuda":
                torch.cuda.set_rng_state(random["cuda"], pl_module.device)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Lightning's hook: progress within long epochs."""
        assert isinstance(pl_module, Fit)
        within = (batch_idx + 1) / max(len(self._batches), 1)
        self._progress(min((len(pl_module.losses) + 0.95 * within) / self._part.epochs, 1.0))

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook: what is validated is what will predict."""
        assert isinstance(pl_module, Fit)
        self._settle(pl_module)

    def _settle(self, fit: Fit) -> None:
        from vitrine.learn.networks.standardise import settle

        moved = (fit.transfer_batch_to_device(self._some[i], fit.device, 0) for i in range(len(self._some)))
        settle(fit.network, (partial(forward, fit.network, batch) for batch in moved))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook, after the validation of the epoch."""
        assert isinstance(pl_module, Fit)
        if not self._validated:
            self._settle(pl_module)
        loss = pl_module.close_epoch()
        epoch = len(pl_module.losses)
        if loss < self.best:
            self.best, self.best_epoch = loss, epoch
            self.weights = {k: v.detach().clone() for k, v in pl_module.network.state_dict().items()}
        if epoch - self.best_epoch >= self._part.patience or not np.isfinite(loss):
            trainer.should_stop = True
        if self._unfinished.due():
            self._unfinished.save(self._state(trainer, pl_module))
        self._progress(epoch / self._part.epochs)

    def _state(self, trainer: lightning.Trainer, fit: Fit) -> State:
        tensors = {f"network.{k}": v for k, v in fit.network.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.weights.items()}
        tensors |= {f"adam.{k}": v for k, v in moments(trainer.optimizers[0]).items()}
        tensors["random.torch"] = torch.get_rng_state()
        if fit.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(fit.device)
        return State(
            epoch=len(fit.losses),
            losses=fit.losses,
            best=self.best,
            best_epoch=self.best_epoch,
            over=trainer.should_stop or len(fit.losses) >= self._part.epochs,
            seconds=self.seconds,
            order=self._batches.state,
            tensors=tensors,
        )


def train_network(
    network: nn.Module,
    train: Examples,
    validation: Examples | None,
    part: NetworkPart,
    *,
    seed: int,
    progress: Progress,
    unfinished: Path | None = None,
) -> dict[str, Any]:
    """Train in place to the best validation loss; features and target come scaled.

    Parameters
    ----------
    unfinished: folder of its own for unfinished training, from which a killed fit goes on: on one
        thread of one processor to the same weights, bit for bit. None keeps nothing.

    Returns
    -------
    Facts: epochs, best_epoch, best_loss, seconds, device, losses [(train, validation), ...];
    ``resumed_at`` (epoch) if it went on from an unfinished training.

    Raises
    ------
    InputError: ``part.devices`` is more than there are GPUs.
    RunError: one of several processes that trained together was lost.
    """
    if part.devices is not None and part.devices > 1:
        from vitrine.learn.parallel import train_in_parallel

        return train_in_parallel(
            network, train, validation, part, seed=seed, progress=progress, unfinished=unfinished
        )
    return train_as(ALONE, network, train, validation, part, seed, progress, unfinished)


def train_as(
    rank: Rank,
    network: nn.Module,
    train: Examples,
    validation: Examples | None,
    part: NetworkPart,
    seed: int,
    progress: Progress,
    unfinished: Path | None,
) -> dict[str, Any]:
    """As :func:`train_network`, as one of several processes that share each batch."""
    assert train.target is not None
    positive_weight = None
    if train.target_kind == "binary":
        positive_weight = weight_of_positives(train.target)
    identity = digest({"part": part.recipe(), "seed": seed, "samples": list(train.ids)})
    keep_state = Unfinished(unfinished, identity)
    fit = Fit(network, part, positive_weight, train.target_kind == "classes")
    batches = part.batches(train, seed, rank)
    hold = None if validation is None else loader(part.batches(validation, None, rank))
    keep = BestWeights(
        part,
        progress,
        batches,
        keep_state if rank.index == 0 else Unfinished(None, identity),
        part.batches(_some_of(train), None, ALONE),
        validated=hold is not None,
    )
    state = keep_state.load()
    if state is not None:
        keep.resume(state, fit)
    keep_memory()
    with one_thread(), _quiet():
        trainer = _trainer(part.epochs - len(fit.losses), keep, rank, part.precision)
        if state is None or not state.over:
            try:
                trainer.fit(fit, loader(batches), hold)
            except SIGTERMException as error:  # asked to end: this is no failure of the fit
                raise KeyboardInterrupt from error
    if not keep.weights:
        raise FloatingPointError("the loss of the first epoch is not finite; lower the learning rate")
    network.to("cpu")
    network.load_state_dict(keep.weights)
    facts = {
        "epochs": len(fit.losses),
        "best_epoch": keep.best_epoch,
        "best_loss": keep.best,
        "seconds": round(keep.seconds, 2),
        "device": rank.name_of(trainer.strategy.root_device),
        "losses": [[round(a, 6), round(b, 6)] for a, b in fit.losses],
    }
    return facts | ({"resumed_at": keep.resumed_at} if keep.resumed_at else {})


def _some_of(train: Examples) -> Examples:
    """Training samples from which means and spreads within a network are found, without their order."""
    chosen = np.random.default_rng(0).permutation(len(train))[: SETTLED if train.maps is None else 1]
    return train.select(chosen)


def _trainer(epochs: int, keep: BestWeights, rank: Rank, precision: str) -> lightning.Trainer:
    return lightning.Trainer(
        max_epochs=epochs,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        accelerator=rank.accelerator,
        devices=rank.count,
        strategy=rank.strategy(),
        # Lightning would take the variables of a Slurm job for orders to start ranks of its own
        plugins=[LightningEnvironment()],
        callbacks=[keep],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        sync_batchnorm=rank.accelerator == "cuda",
        deterministic="warn",
    )


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
