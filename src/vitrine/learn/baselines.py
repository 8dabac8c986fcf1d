"""Trivial and classical models: chance, mean, and scikit-learn estimators kept with skops."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError
from vitrine.learn.protocol import ModelPart

if TYPE_CHECKING:
    from vitrine.samples import Examples
    from vitrine.tasks import Progress

ESTIMATOR = "model.skops"
CONSTANT = "constant.json"
ANYTHING = frozenset({"vectors", "graphs", "whole-graphs", "crystals", "images", "maps"})
ANY_TARGET = frozenset({"binary", "value", "classes"})
_TRUSTED = {
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
}
"""Types that are loaded beyond skops' own list. Whole packages would be too much: they hold functions
that run what they are given."""


class Chance(ModelPart):
    """Uniform random scores: what a model that knows nothing gets."""

    kind: Literal["chance"] = "chance"
    seeded: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = ANYTHING
    targets: ClassVar[frozenset[str]] = frozenset({"binary", "classes"})
    summary: ClassVar[str] = "uniform random scores"

    def build(self, target: str, seed: int) -> ConstantModel:
        """The model; its scores depend on the seed alone."""
        return ConstantModel(seed, random=True)


class Mean(ModelPart):
    """The mean of the training targets, whatever the features."""

    kind: Literal["mean"] = "mean"
    takes: ClassVar[frozenset[str]] = ANYTHING
    targets: ClassVar[frozenset[str]] = ANY_TARGET
    summary: ClassVar[str] = "the mean of the training targets; of classes their frequencies"

    def build(self, target: str, seed: int) -> ConstantModel:
        """The model."""
        return ConstantModel(seed, random=False)


class ConstantModel:
    """Predicts without looking at the features."""

    def __init__(self, seed: int, random: bool) -> None:
        self._seed, self._random, self._mean, self._classes = seed, random, 0.0, 0
        self._frequencies: list[float] = []

    def fit(self, train: Examples, validation: Examples | None, progress: Progress) -> Self:
        """Keep the mean of the targets."""
        assert train.target is not None
        self._mean = float(train.target.mean(dtype=np.float64))
        self._classes = len(train.class_names)
        if self._classes:
            counts = np.bincount(train.target.astype(np.int64), minlength=self._classes)
            self._frequencies = (counts / counts.sum()).tolist()
        return self

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """The mean, or random scores in [0, 1); of several classes random probabilities that sum to 1."""
        if self._classes and not self._random:
            return np.tile(np.array(self._frequencies, np.float64), (examples.n_rows, 1))
        if self._classes:
            drawn = np.random.default_rng(self._seed).random((examples.n_rows, self._classes))
            return np.asarray(drawn / drawn.sum(axis=1, keepdims=True), np.float64)
        if self._random:
            return np.random.default_rng(self._seed).random(examples.n_rows)
        return np.full(examples.n_rows, self._mean)

    def save(self, folder: Path) -> None:
        """Write ``constant.json``."""
        (folder / CONSTANT).write_text(
            json.dumps({"mean": self._mean, "classes": self._classes, "frequencies": self._frequencies}),
            encoding="utf-8",
        )

    def load(self, folder: Path) -> Self:
        """Read ``constant.json``.

        Raises
        ------
        DataError: it is missing or broken.
        """
        path = folder / CONSTANT
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            self._mean, self._classes = float(data["mean"]), int(data.get("classes", 0))
            if not np.isfinite(self._mean) or not 0 <= self._classes <= 10_000:
                raise ValueError("the mean is not finite, or a number of classes impossible")
            self._frequencies = [float(part) for part in data.get("frequencies", ())]
            if len(self._frequencies) not in (0, self._classes) or not np.isfinite(self._frequencies).all():
                raise ValueError("there are other frequencies than classes")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{path} holds no constant written by vitrine: {error}") from error
        return self

    def describe(self) -> dict[str, Any]:
        """One number at most."""
        return {"parameters": 0 if self._random else 1}


class Ridge(ModelPart):
    """Linear least squares with an L2 penalty chosen by leave-one-out among ``alphas``."""

    kind: Literal["ridge"] = "ridge"
    alphas: tuple[float, ...] = Field(
        (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0), min_length=1, description="penalties to choose from"
    )
    targets: ClassVar[frozenset[str]] = ANY_TARGET
    summary: ClassVar[str] = "linear least squares with an L2 penalty; for classes logistic regression"

    def build(self, target: str, seed: int) -> SklearnModel:
        """The model, on standardised features."""
        if target != "value":
            return Logistic().build(target, seed)
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return SklearnModel(make_pipeline(StandardScaler(), RidgeCV(alphas=np.array(self.alphas))), target)


class Logistic(ModelPart):
    """Logistic regression on standardised features, classes weighted equally."""

    kind: Literal["logistic"] = "logistic"
    penalty: float = Field(1.0, gt=0, description="inverse strength C of the L2 penalty")
    targets: ClassVar[frozenset[str]] = frozenset({"binary", "classes"})
    summary: ClassVar[str] = "logistic regression with balanced classes"

    def build(self, target: str, seed: int) -> SklearnModel:
        """The model."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        fit = LogisticRegression(C=self.penalty, class_weight="balanced", max_iter=1000)
        return SklearnModel(make_pipeline(StandardScaler(), fit), target)


class RandomForest(ModelPart):
    """Averaged randomised trees."""

    kind: Literal["random-forest"] = "random-forest"
    trees: int = Field(200, ge=1, description="number of trees")
    max_features: float = Field(0.33, gt=0, le=1, description="fraction of the features tried per split")
    min_samples_leaf: int = Field(1, ge=1, description="rows in a leaf, at least")
    seeded: ClassVar[bool] = True
    targets: ClassVar[frozenset[str]] = ANY_TARGET
    summary: ClassVar[str] = "random forest"
    grids: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
        "trials": {"max_features": (0.33, 1.0, 0.1)}
    }

    def build(self, target: str, seed: int) -> SklearnModel:
        """The model."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        shared: dict[str, Any] = {
            "n_estimators": self.trees,
            "max_features": self.max_features,
            "min_samples_leaf": self.min_samples_leaf,
            "random_state": seed,
            "n_jobs": 1,
        }
        if target != "value":
            return SklearnModel(RandomForestClassifier(class_weight="balanced", **shared), target)
        return SklearnModel(RandomForestRegressor(**shared), target)


class GradientBoosting(ModelPart):
    """Histogram gradient boosting, classes weighted equally."""

    kind: Literal["gradient-boosting"] = "gradient-boosting"
    iterations: int = Field(200, ge=1, description="trees, at most")
    learning_rate: float = Field(0.05, gt=0, description="shrinkage of each tree")
    max_leaf_nodes: int = Field(15, ge=2, description="leaves of a tree")
    l2: float = Field(1.0, ge=0, description="L2 penalty on leaf values")
    targets: ClassVar[frozenset[str]] = ANY_TARGET
    summary: ClassVar[str] = "histogram gradient boosting"
    grids: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
        "trials": {"learning_rate": (0.05, 0.1, 0.2), "max_leaf_nodes": (15, 31, 63)}
    }

    def build(self, target: str, seed: int) -> SklearnModel:
        """The model."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        shared: dict[str, Any] = {
            "max_iter": self.iterations,
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.max_leaf_nodes,
            "l2_regularization": self.l2,
            "early_stopping": False,
            "random_state": seed,
        }
        if target != "value":
            return SklearnModel(HistGradientBoostingClassifier(class_weight="balanced", **shared), target)
        return SklearnModel(HistGradientBoostingRegressor(**shared), target)


class SklearnModel:
    """A scikit-learn estimator on the rows of the examples."""

    def __init__(
        self, estimator: Any, target: str, rows: int | None = None, seed: int = 0, calibrated: bool = False
    ) -> None:
        self._estimator, self._target = estimator, target
        self._rows, self._seed, self._calibrated = rows, seed, calibrated

    def fit(self, train: Examples, validation: Examples | None, progress: Progress) -> Self:
        """Fit on the training rows, or on a random part of them; what validates is left alone."""
        from threadpoolctl import threadpool_limits

        assert train.target is not None
        target = train.target.astype(np.float64 if self._target == "value" else np.int64)
        features = train.features
        if self._rows is not None and len(target) > self._rows:
            part = np.random.default_rng(self._seed).permutation(len(target))[: self._rows]
            features, target = features[part], target[part]
        with threadpool_limits(1):
            if self._calibrated:
                self._estimator = _with_probabilities(self._estimator, target)
            self._estimator.fit(features, target)
        return self

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """Probability of class 1, of each of several classes ``(n_rows, classes)``, or the value."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            if self._target == "value":
                return np.asarray(self._estimator.predict(examples.features), dtype=np.float64)
            seen = np.asarray(self._estimator.classes_, np.int64)
            if hasattr(self._estimator, "predict_proba"):
                scores = np.asarray(self._estimator.predict_proba(examples.features), dtype=np.float64)
            else:
                scores = (self._estimator.predict(examples.features)[:, None] == seen).astype(np.float64)
        if self._target == "classes":  # a class may be absent in training
            found = np.zeros((len(scores), max(len(examples.class_names), int(seen.max()) + 1)))
            found[:, seen] = scores
            return found
        if scores.shape[1] == 1:  # one class in training
            return np.full(len(scores), float(seen[0]))
        return scores[:, 1]

    def save(self, folder: Path) -> None:
        """Write ``model.skops``."""
        from skops.io import dump

        dump(self._estimator, folder / ESTIMATOR)

    def load(self, folder: Path) -> Self:
        """Read ``model.skops``; nothing is accepted but estimators, arrays and their trees.

        Raises
        ------
        DataError: the file holds other types, or is no skops file.
        """
        from zipfile import BadZipFile

        from skops.io import get_untrusted_types, load

        path = folder / ESTIMATOR
        try:
            types = get_untrusted_types(file=path)
            strange = [name for name in types if name not in _TRUSTED]
            if strange:
                raise DataError(f"{path} holds types that are not loaded: {', '.join(strange)}")
            self._estimator = load(path, trusted=types)
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise DataError(f"{path} is not a scikit-learn model written by vitrine: {error}") from error
        return self

    def describe(self) -> dict[str, Any]:
        """The estimator's name and how many numbers it has learned."""
        last = self._estimator[-1] if hasattr(self._estimator, "steps") else self._estimator
        inner = getattr(last, "calibrated_classifiers_", None)
        last = inner[0].estimator if inner else last
        found = _parameters(getattr(last, "regressor_", last))
        return {"estimator": type(last).__name__} | ({} if found is None else {"parameters": found})


def _with_probabilities(estimator: Any, target: NDArray[Any]) -> Any:
    """The last step of a pipeline of classes within a calibration, where every class has rows for it."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.dummy import DummyClassifier
    from sklearn.pipeline import make_pipeline

    counts = np.unique(target, return_counts=True)[1]
    *steps, last = (step for _, step in estimator.steps)
    if len(counts) < 2:
        return make_pipeline(*steps, DummyClassifier(strategy="prior"))
    if counts.min() < 2:
        return estimator
    return make_pipeline(*steps, CalibratedClassifierCV(last, ensemble=False, cv=min(3, int(counts.min()))))


def _parameters(estimator: Any) -> int | None:
    """Learned numbers: coefficients; a threshold or value for each node of trees; support vectors.

    None of an estimator that is of none of these kinds.
    """
    if hasattr(estimator, "estimators_"):
        return int(sum(tree.tree_.node_count for tree in np.ravel(estimator.estimators_)))
    if hasattr(estimator, "_predictors"):
        return int(sum(len(tree.nodes) for trees in estimator._predictors for tree in trees))
    if hasattr(estimator, "support_vectors_"):
        kernels = estimator.support_vectors_.size + estimator.dual_coef_.size
        return int(kernels + np.size(estimator.intercept_))
    if hasattr(estimator, "coef_"):
        return int(np.size(estimator.coef_) + np.size(estimator.intercept_))
    return None
