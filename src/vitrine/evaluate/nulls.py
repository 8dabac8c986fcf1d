"""Nulls: what a study finds when there is nothing to find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitrine.evaluate.resampling import group_codes


def shuffle_labels(target: ArrayLike, owner: Sequence[Any] | NDArray[Any], seed: int) -> NDArray[Any]:
    """Permute the targets within each sample, so that each keeps its own prevalence.

    target: ``(n_rows,)``; owner: ``(n_rows,)``, the sample of each row. Samples of one row (a
    formula) have nothing to permute within; they swap among each other. Returns a new array of
    the target's dtype. A model trained on it must do no better than chance.

    >>> shuffle_labels([1, 0, 0, 5, 5], [0, 0, 0, 1, 1], seed=1)
    array([0, 1, 0, 5, 5])
    """
    values = np.asarray(target)
    codes, n_owners = group_codes(owner)
    if values.shape != codes.shape:
        raise ValueError(f"target {values.shape} and owner {codes.shape} must have one entry per row")
    alone = np.bincount(codes, minlength=n_owners) == 1
    codes = np.where(alone[codes], n_owners, codes)
    places = np.argsort(codes, kind="stable")
    drawn = np.lexsort((np.random.default_rng(seed).random(len(codes)), codes))
    shuffled = np.empty_like(values)
    shuffled[places] = values[drawn]
    return shuffled


def chance_scores(n: int, seed: int) -> NDArray[np.float64]:
    """Scores that know nothing: ``(n,)``, uniform in [0, 1).

    Their ROC-AUC is 0.5 and their average precision the prevalence, but for chance.
    """
    return np.random.default_rng(seed).random(n)
