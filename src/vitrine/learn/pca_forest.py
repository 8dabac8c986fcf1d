"""Principal components and a random forest: how correlation functions are usually learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from vitrine.learn.baselines import ANY_TARGET, SklearnModel
from vitrine.learn.protocol import ModelPart

if TYPE_CHECKING:
    from vitrine.samples import Examples
    from vitrine.tasks import Progress


class PcaForest(ModelPart):
    """Principal components of the features, then a random forest; its settings chosen on validation samples.

    The baseline of Yang et al. 2020 (doi:10.1038/s41598-020-65157-z) on two-point statistics.
    """

    kind: Literal["pca-forest"] = "pca-forest"
    components: tuple[int, ...] = Field(
        (5, 10, 20, 50), min_length=1, description="numbers of components to choose from"
    )
    min_samples_leaf: tuple[int, ...] = Field(
        (1, 3), min_length=1, description="rows in a leaf, at least: values to choose from"
    )
    trees: int = Field(300, ge=1, description="number of trees")

    seeded: ClassVar[bool] = True
    targets: ClassVar[frozenset[str]] = ANY_TARGET
    summary: ClassVar[str] = "principal components and a random forest, settings chosen on validation samples"

    def build(self, target: str, seed: int) -> ChosenForest:
        """The model."""
        return ChosenForest(self, target, seed)


class ChosenForest(SklearnModel):
    """The pipeline of the settings that do best on the validation samples, fitted on the training samples."""

    def __init__(self, part: PcaForest, target: str, seed: int) -> None:
        super().__init__(None, target)
        self._part, self._seed = part, seed
        self._chosen: dict[str, Any] = {}

    def fit(self, train: Examples, validation: Examples | None, progress: Progress) -> Self:
        """Try all settings; without validation samples the first ones are taken."""
        most = max(1, min(train.features.shape[1], train.n_rows - 1))
        grid = [
            (count, leaf)
            for count in dict.fromkeys(min(count, most) for count in self._part.components)
            for leaf in self._part.min_samples_leaf
        ]
        best, kept = -np.inf, None
        for number, (count, leaf) in enumerate(grid if validation is not None else grid[:1]):
            self._estimator = self._pipeline(count, leaf)
            super().fit(train, None, progress)
            score = 0.0 if validation is None else self._score(validation)
            if score > best:
                best, kept = score, self._estimator
                self._chosen = {"components": count, "min_samples_leaf": leaf}
            progress((number + 1) / len(grid))
        self._estimator = kept
        return self

    def _score(self, validation: Examples) -> float:
        assert validation.target is not None
        found = self.predict(validation)
        if self._target == "classes":
            return float((found.argmax(axis=1) == validation.target).mean())
        if self._target == "binary":
            return float(((found >= 0.5) == (validation.target > 0.5)).mean())
        return -float(np.abs(found - validation.target).mean())

    def _pipeline(self, count: int, leaf: int) -> Any:
        from sklearn.decomposition import PCA
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
        from sklearn.pipeline import make_pipeline

        forest = RandomForestRegressor if self._target == "value" else RandomForestClassifier
        trees = forest(
            n_estimators=self._part.trees, min_samples_leaf=leaf, random_state=self._seed, n_jobs=1
        )
        return make_pipeline(PCA(n_components=count, random_state=self._seed), trees)

    def describe(self) -> dict[str, Any]:
        """The settings that were chosen."""
        return {**super().describe(), **self._chosen}
