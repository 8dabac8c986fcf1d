"""Settings of the networks that predict for rows, and the one model class behind all networks."""

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
from vitrine.learn.network_part import NetworkPart
from vitrine.learn.protocol import SCALER, WEIGHTS, Scaler

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitrine.learn.batches import Batch
    from vitrine.samples import Examples
    from vitrine.tasks import Progress


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

    targets: ClassVar[frozenset[str]] = frozenset({"binary", "value", "classes"})
    summary: ClassVar[str] = "fully connected network with skip connections"
    grids: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
        "trials": {"learning_rate": (1e-3, 3e-4, 3e-3)}
    }

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """``n_features``, and ``n_outputs`` where there are several classes."""
        inputs = super().inputs_of(examples)
        return inputs | ({"n_outputs": len(examples.class_names)} if examples.class_names else {})

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :class:`vitrine.learn.networks.dense.DenseNetwork`."""
        from vitrine.learn.networks.dense import DenseNetwork

        return DenseNetwork(n_features, self.widths, self.residual, n_outputs)


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
        standardise = getattr(self._part, "standardise", True)
        self._features = Scaler.of(train.features) if standardise else Scaler.none(train.features.shape[1])
        if self._target == "value":
            self._values = Scaler.of(train.target[:, None])
        self._inputs = self._part.inputs_of(train)
        self._network = self._part.network(**self._inputs)
        self._part.calibrate(self._network, train)
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

    @property
    def network(self) -> nn.Module:
        """The fitted network itself, for those who look into it."""
        assert self._network is not None
        return self._network

    @property
    def loss_unit(self) -> float:
        """What 1 of the scaled target is in its own unit; 1 for classes."""
        return 1.0 if self._values is None else float(self._values.spread[0])

    def loss_batches(self, examples: Examples, size: int) -> list[Batch]:
        """The examples as the network is given them, in batches; see :mod:`vitrine.learn.probing`.

        Raises
        ------
        DataError: no targets, or examples of another kind than the network was trained on.
        """
        from vitrine.learn.probing import probed_batches

        return probed_batches(self._scaled(examples), size)

    def _scaled(self, examples: Examples) -> Examples:
        assert self._features is not None
        if self._inputs and self._part.inputs_of(examples) != self._inputs:
            raise DataError(
                f"the {self._part.kind} network was trained on {_words(self._inputs)}; "
                f"these examples have {_words(self._part.inputs_of(examples))}"
            )
        examples = self._part.seen(examples)
        target = examples.target
        if target is not None and self._values is not None:
            target = self._values(target[:, None])[:, 0]
        return replace(examples, features=self._features(examples.features), target=target)

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """Probability of class 1 or of each class, or the value in the target's unit."""
        from vitrine.learn.prediction import apply_network

        assert self._network is not None
        raw = apply_network(self._network, self._scaled(examples))
        if self._values is not None:
            return self._values.inverse(raw[:, None])[:, 0]
        if self._target == "classes":
            odds = np.exp(raw - raw.max(axis=1, keepdims=True))
            return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)
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

    def load(self, folder: Path, prefix: str = "") -> Self:
        """Read what :meth:`save` wrote, from files whose names begin with ``prefix``.

        Raises
        ------
        DataError: files are missing, broken or belong to another network.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            scaling = json.loads((folder / (prefix + SCALER)).read_text(encoding="utf-8"))
            self._features = Scaler.from_dict(scaling["features"])
            self._values = None if scaling["target"] is None else Scaler.from_dict(scaling["target"])
            if self._values is not None and len(self._values.mean) != 1:
                raise ValueError(f"{SCALER} scales {len(self._values.mean)} targets, not one")
            self._facts = scaling["facts"]
            inputs = scaling.get("inputs") or {"n_features": len(self._features.mean)}
            self._inputs = {str(name): int(count) for name, count in inputs.items()}
            if min(self._inputs.values()) < 0 or self._inputs["n_features"] != len(self._features.mean):
                raise ValueError(f"{SCALER} has {len(self._features.mean)} features, not {self._inputs}")
            weights = load_file(folder / (prefix + WEIGHTS))
            _check_shapes(self._part, self._inputs, weights)
            self._network = self._part.network(**self._inputs)
            self._network.load_state_dict(weights)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise DataError(f"{folder} holds no readable {self._part.kind} network: {error}") from error
        return self

    def describe(self) -> dict[str, Any]:
        """Parameters, epochs run, best epoch, losses."""
        return self._facts


def _check_shapes(part: NetworkPart, inputs: Mapping[str, int], weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError where the weights are not those of such a network, before it takes any memory."""
    import torch

    with torch.device("meta"):
        wanted = {name: tuple(t.shape) for name, t in part.network(**inputs).state_dict().items()}
    found = {name: tuple(t.shape) for name, t in weights.items()}
    if wanted != found:
        name = next(n for n in (*wanted, *found) if wanted.get(n) != found.get(n))
        raise ValueError(
            f"{WEIGHTS}: {name} is {found.get(name, 'missing')}, not {wanted.get(name, 'expected')}"
        )


def _words(inputs: Mapping[str, int]) -> str:
    """``12 features, 2 vectors``, ``height 250``."""
    shown = (
        f"{n} {name[2:].replace('_', ' ')}" if name[:2] == "n_" else f"{name} {n}"
        for name, n in inputs.items()
    )
    return ", ".join(shown)
