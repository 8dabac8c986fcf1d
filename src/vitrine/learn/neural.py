"""Settings of the networks, and the one model class behind them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError
from vitrine.learn.protocol import SCALER, WEIGHTS, ModelPart, Scaler

if TYPE_CHECKING:
    from torch import nn

    from vitrine.samples import Examples
    from vitrine.tasks import Progress


class NetworkPart(ModelPart):
    """Settings that all networks share: how they are trained."""

    epochs: int = Field(60, ge=1, description="epochs, at most")
    patience: int = Field(10, ge=1, description="epochs without a better validation loss before stopping")
    learning_rate: float = Field(3e-3, gt=0, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="decoupled L2 penalty")
    batch: int = Field(8, ge=1, description="samples (graphs or rows) in a step")
    devices: int | None = Field(
        None, ge=1, description="GPUs (processes, where there are none) that share each batch"
    )

    not_determining: ClassVar[frozenset[str]] = ModelPart.not_determining | {"devices"}
    gpu: ClassVar[bool] = True

    def network(self, n_features: int) -> nn.Module:
        """The untrained network; its forward takes (features, edges) and gives (n_rows,)."""
        raise NotImplementedError

    def build(self, target: str, seed: int) -> NetworkModel:
        """The model."""
        return NetworkModel(self, target, seed)


class GraphAttention(NetworkPart):
    """Graph attention network with Mish and balanced cross-entropy (Lee & Ryu 2022).

    Veličković et al. 2018 (arXiv:1710.10903) for the layers.
    """

    kind: Literal["gat"] = "gat"
    layers: int = Field(3, ge=1, description="attention layers (L of the paper)")
    width: int = Field(16, ge=1, description="output dimension of each head (M)")
    heads: int = Field(2, ge=1, description="attention vectors (N), concatenated")

    takes: ClassVar[frozenset[str]] = frozenset({"graphs"})
    summary: ClassVar[str] = "graph attention network (Mish, balanced cross-entropy)"

    def citations(self) -> tuple[str, ...]:
        """The paper that uses it here."""
        return ("10.3389/fmats.2022.874339",)

    def network(self, n_features: int) -> nn.Module:
        """See :class:`vitrine.learn.networks.attention.AttentionNetwork`."""
        from vitrine.learn.networks.attention import AttentionNetwork

        return AttentionNetwork(n_features, self.layers, self.width, self.heads)


class Perceptron(NetworkPart):
    """Fully connected network; with ``residual`` each layer has a skip connection."""

    kind: Literal["mlp"] = "mlp"
    widths: tuple[int, ...] = Field((256, 128, 64), min_length=1, description="neurons of the hidden layers")
    residual: bool = Field(True, description="add a (linear, where the width changes) skip to each layer")
    batch: int = Field(32, ge=1, description="rows in a step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")

    summary: ClassVar[str] = "fully connected network with skip connections"

    def network(self, n_features: int) -> nn.Module:
        """See :class:`vitrine.learn.networks.dense.DenseNetwork`."""
        from vitrine.learn.networks.dense import DenseNetwork

        return DenseNetwork(n_features, self.widths, self.residual)


class NetworkModel:
    """A network with its scaling, trained on the one path of :mod:`vitrine.learn.training`."""

    def __init__(self, part: NetworkPart, target: str, seed: int) -> None:
        self._part, self._target, self._seed = part, target, seed
        self._network: nn.Module | None = None
        self._features: Scaler | None = None
        self._values: Scaler | None = None
        self._facts: dict[str, Any] = {}
        self._unfinished: Path | None = None

    def resume_in(self, folder: Path) -> None:
        """Keep unfinished training in this folder, and go on from what an earlier attempt left there."""
        self._unfinished = folder

    def fit(self, train: Examples, validation: Examples | None, progress: Progress) -> Self:
        """Train with early stopping on the validation loss (on the training loss without one)."""
        import torch

        from vitrine.learn.training import train_network

        assert train.target is not None
        torch.manual_seed(self._seed)
        self._features = Scaler.of(train.features)
        if self._target == "value":
            self._values = Scaler.of(train.target[:, None])
        self._network = self._part.network(train.features.shape[1])
        self._facts = train_network(
            self._network,
            self._scaled(train),
            None if validation is None else self._scaled(validation),
            self._part,
            seed=self._seed,
            progress=progress,
            unfinished=self._unfinished,
        )
        self._facts["parameters"] = sum(p.numel() for p in self._network.parameters())
        return self

    def _scaled(self, examples: Examples) -> Examples:
        from dataclasses import replace

        assert self._features is not None
        target = examples.target
        if target is not None and self._values is not None:
            target = self._values(target[:, None])[:, 0]
        return replace(examples, features=self._features(examples.features), target=target)

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """Probability of class 1, or the value in the target's unit."""
        from vitrine.learn.training import apply_network

        assert self._network is not None
        raw = apply_network(self._network, self._scaled(examples))
        if self._values is not None:
            return self._values.inverse(raw[:, None])[:, 0]
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(raw, -60, 60))), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors`` and ``scaling.json``."""
        from safetensors.torch import save_file

        assert self._network is not None and self._features is not None
        save_file({k: v.contiguous() for k, v in self._network.state_dict().items()}, folder / WEIGHTS)
        scaling = {
            "features": self._features.as_dict(),
            "target": None if self._values is None else self._values.as_dict(),
            "facts": self._facts,
        }
        (folder / SCALER).write_text(json.dumps(scaling), encoding="utf-8")

    def load(self, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError: files are missing, broken or belong to another network.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            scaling = json.loads((folder / SCALER).read_text(encoding="utf-8"))
            self._features = Scaler.from_dict(scaling["features"])
            self._values = None if scaling["target"] is None else Scaler.from_dict(scaling["target"])
            self._facts = scaling["facts"]
            self._network = self._part.network(len(self._features.mean))
            self._network.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise DataError(f"{folder} holds no readable {self._part.kind} network: {error}") from error
        return self

    def describe(self) -> dict[str, Any]:
        """Parameters, epochs run, best epoch, losses."""
        return self._facts
