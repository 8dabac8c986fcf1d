"""A score that is not trained: a weighted sum of standardised features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError, StudyError, did_you_mean
from vitrine.learn.protocol import SCALER, ModelPart, Scaler

if TYPE_CHECKING:
    from vitrine.samples import Examples
    from vitrine.tasks import Progress


class FeatureSum(ModelPart):
    """Adds up features, each over its spread; what a network must beat to add anything.

    No label is looked at. The score is 1 / (1 + exp(-sum)), so that 0.5 is the mean atom.
    """

    kind: Literal["feature-sum"] = "feature-sum"
    weights: dict[str, float] = Field(
        min_length=1, description="name of a feature, as the report lists it -> weight in units of its spread"
    )
    targets: ClassVar[frozenset[str]] = frozenset({"binary"})
    summary: ClassVar[str] = "weighted sum of standardised features, untrained"

    def build(self, target: str, seed: int) -> FeatureSumModel:
        """The model."""
        return FeatureSumModel(self.weights)


class FeatureSumModel:
    """Standardises its features by the training rows, and adds them up."""

    def __init__(self, weights: dict[str, float]) -> None:
        self._weights = weights
        self._scaler: Scaler | None = None

    def _columns(self, examples: Examples) -> NDArray[np.float32]:
        labels = list(examples.feature_labels)
        for name in self._weights:
            if name not in labels:
                raise StudyError(f"weights: no feature {name!r}{did_you_mean(name, labels)}")
        return examples.features[:, [labels.index(name) for name in self._weights]]

    def fit(self, train: Examples, validation: Examples | None, progress: Progress) -> Self:
        """Keep the mean and the spread of the features; the targets are not looked at."""
        self._scaler = Scaler.of(self._columns(train))
        return self

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """(n_rows,) scores from 0 to 1."""
        assert self._scaler is not None
        total = self._scaler(self._columns(examples)) @ np.array(list(self._weights.values()))
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(total, -60, 60))), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write ``scaling.json``."""
        assert self._scaler is not None
        (folder / SCALER).write_text(json.dumps(self._scaler.as_dict()), encoding="utf-8")

    def load(self, folder: Path) -> Self:
        """Read ``scaling.json``.

        Raises
        ------
        DataError: it is broken, or of other features.
        """
        path = folder / SCALER
        try:
            scaler = Scaler.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} holds no scaling of features: {error}") from error
        if scaler.mean.shape != (len(self._weights),) or scaler.spread.shape != scaler.mean.shape:
            raise DataError(f"{path} scales {scaler.mean.size} features, not {len(self._weights)}")
        self._scaler = scaler
        return self

    def describe(self) -> dict[str, Any]:
        """No parameters are fitted."""
        return {"parameters": 0}
