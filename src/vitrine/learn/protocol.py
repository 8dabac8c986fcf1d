"""What every model is: fit and predict on examples, save and load without pickles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.parts import Part
from vitrine.samples import Examples
from vitrine.tasks import Progress

WEIGHTS = "weights.safetensors"
SCALER = "scaling.json"


class Model(Protocol):
    """A model behind one pair of verbs, network or not."""

    def fit(self, train: Examples, validation: Examples | None, progress: Progress) -> Self:
        """Learn from the training examples; the validation examples choose when to stop."""
        ...

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """Float64 probability of class 1 or value in the target's unit ``(n_rows,)``, or probabilities of
        several classes ``(n_rows, classes)``."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted state into ``folder``."""
        ...

    def load(self, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON-able facts about the fitted model: parameters, epochs, seconds."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A model whose fit, killed, can go on where it was."""

    def resume_in(self, folder: Path) -> None:
        """Keep unfinished work of ``fit`` in this folder, and go on from what is there."""
        ...


@runtime_checkable
class Attends(Protocol):
    """A model that says how much each bond of a whole graph counted for its prediction."""

    def attention(self, examples: Examples) -> NDArray[np.float64]:
        """``(n_edges, heads)`` float64: weights that sum to 1 for each head within each sample, or, of models
        of crystals, over the bonds of each centre."""
        ...


@runtime_checkable
class AttendsToSites(Protocol):
    """A model that says how much each site of a crystal counted for its prediction."""

    def site_attention(self, examples: Examples) -> NDArray[np.float64]:
        """``(n_nodes, heads)`` float64: weights that sum to 1 within each sample and head."""
        ...


@runtime_checkable
class HasFeatureMaps(Protocol):
    """A model of images that shows its last convolution."""

    def feature_maps(self, examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Activations, and slopes of the output (the logit of class 1) with respect to them.

        Both ``(n_samples, channels, height', width')`` float32.
        """
        ...


@runtime_checkable
class Embeds(Protocol):
    """A model of strain maps that gives the features of its last layer."""

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """``(n_samples, crops, n_features)`` float32."""
        ...


@runtime_checkable
class HasLoss(Protocol):
    """A network whose loss can be asked for at other weights."""

    loss_unit: float

    @property
    def network(self) -> Any:
        """The fitted network, a :class:`torch.nn.Module`."""
        ...

    def loss_batches(self, examples: Examples, size: int) -> list[Any]:
        """Batches for the losses of :func:`vitrine.learn.probing.row_losses`."""
        ...


class ModelPart(Part):
    """Settings of a model; :meth:`build` makes an unfitted one."""

    kind: str
    representation: str | None = Field(
        None, description="name of one of the study's representations; the study's own by default"
    )
    learns: str | None = Field(
        None,
        description="quantity of the label to learn in its place (first-event: `log10 D2min`, `strain of "
        "first event`); its prediction becomes a probability by a logistic fit on the validation samples",
    )

    not_determining: ClassVar[frozenset[str]] = frozenset({"representation"})
    """the examples, whose digest enters the key of a fit, hold what it makes"""
    takes: ClassVar[frozenset[str]] = frozenset({"vectors", "graphs"})
    only_of: ClassVar[frozenset[str]] = frozenset()
    """kinds of representations that it takes alone, where not all that make such examples will do"""
    targets: ClassVar[frozenset[str]] = frozenset({"binary", "value"})
    grids: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {}
    """name -> setting -> values: grids that a search may go through"""
    seeded: ClassVar[bool] = False
    """Whether a fit depends on its seed: a study may then ask for several."""
    gpu: ClassVar[bool] = False
    """Whether a fit is faster on a GPU: it then goes to a worker that has one."""

    def trials(self, number: int) -> list[Self]:
        """Settings to choose from, at most so many: its own, then with one changed by ``grids["trials"]``."""
        found = [self]
        for name, values in self.grids.get("trials", {}).items():
            others = (value for value in values if value != getattr(self, name))
            found += [self.model_copy(update={name: value}) for value in others]
        return found[:number]

    def build(self, target: str, seed: int) -> Model:
        """An unfitted model for this kind of target (``binary``, ``value`` or ``classes``)."""
        raise NotImplementedError


class Scaler:
    """Standardises columns by mean and spread of the training rows; constants stay 0."""

    def __init__(self, mean: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
        self.mean, self.spread = mean, spread

    @classmethod
    def of(cls, features: NDArray[Any]) -> Self:
        """Scaler of these ``(n_rows, n_features)``."""
        wide = np.asarray(features, dtype=np.float64)
        spread = wide.std(axis=0)
        return cls(wide.mean(axis=0), np.where(spread > 1e-12, spread, 1.0))

    @classmethod
    def none(cls, n_features: int) -> Self:
        """Scaler that leaves features as they are."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Scaled float32 features."""
        if not self.mean.any() and (self.spread == 1.0).all():
            return np.asarray(features, dtype=np.float32)
        scaled: NDArray[np.float32] = ((features - self.mean) / self.spread).astype(np.float32)
        return scaled

    def inverse(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Back to the original scale."""
        back: NDArray[np.float64] = np.asarray(values, dtype=np.float64) * self.spread + self.mean
        return back

    def as_dict(self) -> dict[str, list[float]]:
        """JSON-able form."""
        return {"mean": self.mean.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, list[float]]) -> Self:
        """Read :meth:`as_dict`."""
        mean, spread = (np.asarray(data[name], dtype=float) for name in ("mean", "spread"))
        if mean.ndim != 1 or mean.shape != spread.shape:
            raise ValueError("mean and spread must be two lists of one length")
        if not (np.isfinite(mean).all() and np.isfinite(spread).all() and (spread > 0).all()):
            raise ValueError("means must be finite, and spreads above 0")
        return cls(mean, spread)
