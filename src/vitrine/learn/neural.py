"""Settings of the networks, and the one model class behind them all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError
from vitrine.learn.losses import Balance, Loss
from vitrine.learn.protocol import SCALER, WEIGHTS, ModelPart, Scaler

if TYPE_CHECKING:
    from torch import nn

    from vitrine.samples import Examples
    from vitrine.tasks import Progress


CALIBRATE = 64
"""training samples, at most, from which a spatial network takes its units"""


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

    loss: Loss = Field(
        "cross-entropy",
        description="for classes: cross-entropy, or focal (Lin et al. 2017), which counts rows that are "
        "right already for less",
    )
    focal_gamma: float = Field(2.0, ge=0, description="power of (1 - probability of the true class), focal")
    balance: Balance = Field(
        "weight",
        description="weight: both classes count alike in the loss; under: each epoch takes all rows of the "
        "rarer class and as many random ones of the other; over: it draws rows of the rarer class again "
        "until they are as many; none: rows count as they come",
    )

    value_loss: Literal["absolute", "squared"] = Field(
        "absolute",
        description="for values: the absolute error, whose best guess is the median, or the squared one, "
        "whose best guess is the mean; squared where most rows have one value",
    )

    not_determining: ClassVar[frozenset[str]] = ModelPart.not_determining | {"devices"}
    gpu: ClassVar[bool] = True
    seeded: ClassVar[bool] = True
    spatial: ClassVar[bool] = False
    """Whether the network sees vectors of edges, vectors, tensors and loads of the examples."""

    def network(self, n_features: int) -> nn.Module:
        """The untrained network; its forward takes (features, edges) and gives (n_rows,).

        That of a spatial part takes ``n_vectors`` and ``n_tensors`` too, and its forward a third argument, a
        :class:`vitrine.learn.batches.Geometry`.
        """
        raise NotImplementedError

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """Arguments of :meth:`network` that fit these examples.

        Raises
        ------
        DataError: a spatial part, and the examples have no edge vectors or no loads.
        """
        inputs = {"n_features": examples.features.shape[1]}
        if not self.spatial:
            return inputs
        if examples.edge_vectors is None or examples.loads is None:
            raise DataError(
                f"the {self.kind} network sees space, but its representation gives no edge vectors and "
                "loads; set geometry: true in the representation (voronoi-graph)"
            )
        return inputs | {
            "n_vectors": 0 if examples.vectors is None else examples.vectors.shape[1],
            "n_tensors": 0 if examples.tensors is None else examples.tensors.shape[1],
        }

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
    grids: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
        "paper": {
            "layers": (2, 4, 6, 8, 10, 12),
            "width": (10, 15, 20, 25, 30, 35, 40),
            "heads": (6, 9, 12, 15),
        },
        "coarse": {"layers": (2, 4, 6), "width": (10, 20), "heads": (2, 6)},
    }

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


class Equivariant(NetworkPart):
    """Network of scalars, vectors and tensors that sees bonds and the strain of the load in space.

    Turning or reflecting a configuration with its load changes no output, so that six directions and
    opposite signs of a load are one case. It needs ``geometry: true`` of its representation; features that
    depend on the frame (stress and stiffness in columns) break the symmetry, ``features: invariant`` and
    ``invariant-response`` keep it. PaiNN (arXiv:2102.03150) and TensorNet (arXiv:2306.06482) are its models.
    """

    kind: Literal["equivariant"] = "equivariant"
    layers: int = Field(2, ge=1, description="rounds of messages")
    width: int = Field(16, ge=1, description="channels of scalars, of vectors and of tensors")
    batch: int = Field(6, ge=1, description="graphs in a step")

    takes: ClassVar[frozenset[str]] = frozenset({"graphs"})
    spatial: ClassVar[bool] = True
    summary: ClassVar[str] = "equivariant network: bonds, stress and load as vectors and tensors in space"

    def citations(self) -> tuple[str, ...]:
        """Vector and tensor channels in Cartesian form."""
        return ("arXiv:2102.03150", "arXiv:2306.06482")

    def network(self, n_features: int, n_vectors: int = 0, n_tensors: int = 0) -> nn.Module:
        """See :class:`vitrine.learn.networks.equivariant.EquivariantNetwork`."""
        from vitrine.learn.networks.equivariant import EquivariantNetwork

        return EquivariantNetwork(n_features, n_vectors, n_tensors, self.layers, self.width)


class NetworkModel:
    """A network with its scaling, trained on the one path of :mod:`vitrine.learn.training`."""

    def __init__(self, part: NetworkPart, target: str, seed: int) -> None:
        self._part, self._target, self._seed = part, target, seed
        self._network: nn.Module | None = None
        self._features: Scaler | None = None
        self._values: Scaler | None = None
        self._facts: dict[str, Any] = {}
        self._inputs: dict[str, int] = {}
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
        self._inputs = self._part.inputs_of(train)
        self._network = self._part.network(**self._inputs)
        if self._part.spatial:
            self._calibrate(train)
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

    def _calibrate(self, train: Examples) -> None:
        """Lengths, vectors and tensors have one unit each, no mean and spread for a component."""
        from vitrine.learn.batches import as_batch

        some = np.unique(np.linspace(0, len(train) - 1, CALIBRATE).astype(np.int64))
        batch = as_batch(train.select(some))
        network: Any = self._network
        network.calibrate(batch.edges, batch.geometry)

    def _scaled(self, examples: Examples) -> Examples:
        assert self._features is not None
        if self._inputs and self._part.inputs_of(examples) != self._inputs:
            raise DataError(
                f"the {self._part.kind} network was trained on {_words(self._inputs)}; "
                f"these examples have {_words(self._part.inputs_of(examples))}"
            )
        if not self._part.spatial:
            examples = replace(examples, edge_vectors=None, vectors=None, tensors=None, loads=None)
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
            "inputs": self._inputs,
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
            inputs = scaling.get("inputs") or {"n_features": len(self._features.mean)}
            self._inputs = {str(name): int(count) for name, count in inputs.items()}
            if min(self._inputs.values()) < 0 or self._inputs["n_features"] != len(self._features.mean):
                raise ValueError(f"{SCALER} has {len(self._features.mean)} features, not {self._inputs}")
            self._network = self._part.network(**self._inputs)
            self._network.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise DataError(f"{folder} holds no readable {self._part.kind} network: {error}") from error
        return self

    def describe(self) -> dict[str, Any]:
        """Parameters, epochs run, best epoch, losses."""
        return self._facts


def _words(inputs: Mapping[str, int]) -> str:
    """``12 features, 2 vectors``."""
    return ", ".join(f"{count} {name.removeprefix('n_')}" for name, count in inputs.items())
