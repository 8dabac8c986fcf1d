"""A model that learns another quantity than the label, and is judged on the label.

How far an atom moves, or at which strain it yields, says more than whether it moved far enough. The
prediction of such a quantity becomes a probability of the label by a logistic fit in one variable.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError, StudyError, did_you_mean
from vitrine.learn.protocol import Model, ModelPart, Resumable

if TYPE_CHECKING:
    from vitrine.samples import Examples
    from vitrine.tasks import Progress

CALIBRATION = "calibration.json"


def build_model(part: ModelPart, target: str, seed: int) -> Model:
    """An unfitted model of this part, also of one that learns another quantity than the target."""
    if part.learns is None:
        return part.build(target, seed)
    return OtherTargetModel(part.build("value", seed), part.learns)


class OtherTargetModel:
    """Fits a model of values to a named quantity, then a logistic curve from it to the label.

    The curve is fitted with both classes weighted equally, on the validation samples, which the model
    was not fitted to; without any, on the training samples.
    """

    def __init__(self, inner: Model, quantity: str) -> None:
        self._inner, self._quantity = inner, quantity
        self._slope, self._offset = 0.0, 0.0

    def resume_in(self, folder: Path) -> None:
        """As the model inside."""
        if isinstance(self._inner, Resumable):
            self._inner.resume_in(folder)

    def fit(self, train: Examples, validation: Examples | None, progress: Progress) -> Self:
        """Learn the quantity, then the curve.

        Raises
        ------
        StudyError: the label offers no such quantity.
        """
        hold = None if validation is None else self._other(validation)
        self._inner.fit(self._other(train), hold, progress)
        known = train if validation is None else validation
        assert known.target is not None
        self._slope, self._offset = _logistic_curve(self._inner.predict(known), known.target)
        return self

    def _other(self, examples: Examples) -> Examples:
        labels = examples.other_labels
        if self._quantity not in labels or examples.others is None:
            raise StudyError(
                f"learns: the label offers no {self._quantity!r}{did_you_mean(self._quantity, labels)}"
            )
        target = examples.others[:, labels.index(self._quantity)]
        return replace(examples, target=target, target_kind="value")

    def predict(self, examples: Examples) -> NDArray[np.float64]:
        """(n_rows,) probability of class 1, both classes taken as equally frequent."""
        logit = self._slope * self._inner.predict(examples) + self._offset
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -60, 60))), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write the inner model's files and ``calibration.json``."""
        self._inner.save(folder)
        curve = {"quantity": self._quantity, "slope": self._slope, "offset": self._offset}
        (folder / CALIBRATION).write_text(json.dumps(curve), encoding="utf-8")

    def load(self, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError: files are missing, broken, or of another quantity.
        """
        self._inner.load(folder)
        path = folder / CALIBRATION
        try:
            curve = json.loads(path.read_text(encoding="utf-8"))
            if curve["quantity"] != self._quantity:
                raise ValueError(f"of {curve['quantity']!r}, not of {self._quantity!r}")
            self._slope, self._offset = float(curve["slope"]), float(curve["offset"])
            if not np.isfinite([self._slope, self._offset]).all():
                raise ValueError("slope and offset must be finite")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{path} holds no calibration: {error}") from error
        return self

    def describe(self) -> dict[str, Any]:
        """As the model inside."""
        return self._inner.describe()


def _logistic_curve(values: NDArray[np.float64], target: NDArray[np.float32]) -> tuple[float, float]:
    """Slope and offset of the log odds of the label against the predicted quantity."""
    from sklearn.linear_model import LogisticRegression

    spread = float(values.std())
    if spread == 0 or len(np.unique(target)) < 2:
        return 0.0, 0.0
    mean = float(values.mean())
    curve = LogisticRegression(class_weight="balanced", max_iter=1000)
    curve.fit(((values - mean) / spread)[:, None], target.astype(np.int64))
    slope = float(curve.coef_[0, 0]) / spread
    return slope, float(curve.intercept_[0]) - slope * mean
