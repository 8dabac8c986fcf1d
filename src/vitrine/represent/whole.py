"""Examples in which each sample is one row: what representations of whole 2-D configurations share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.samples import Examples, Samples

SPECIES = "chemical symbols that stand for the species, the large one (A) first, the small one (B) second"
"""description of a setting that many of these representations have"""


def distinct(species: tuple[str, ...]) -> tuple[str, ...]:
    """The species, each once; for validators of pydantic.

    Raises
    ------
    ValueError: one stands twice.
    """
    if len(set(species)) < len(species):
        raise ValueError("each species once")
    return species


def whole_examples(
    makes: str, samples: Samples, rows: Sequence[Any] | None, labels: tuple[str, ...], **arrays: Any
) -> Examples:
    """Examples with one row per sample.

    Parameters
    ----------
    rows: features of each sample, (n_features,) numbers; None for representations without columns.
    labels: names of the columns.
    arrays: further fields of :class:`vitrine.samples.Examples`.

    Raises
    ------
    DataError: no samples, or a feature that is not a finite number of single precision.
    """
    if not len(samples):
        raise DataError("a representation got no samples")
    table: NDArray[np.float64] = np.zeros((len(samples), 0)) if rows is None else np.stack(rows)
    with np.errstate(over="ignore"):
        features = table.astype(np.float32)
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        sample, column = (int(number) for number in bad[0])
        raise DataError(
            f"{samples.ids[sample]}: {labels[column]} is not a finite number of single precision "
            f"({len(bad):,} such values)"
        )
    return Examples(
        makes=makes,
        target_kind="binary",
        ids=samples.ids,
        groups=samples.groups,
        features=features,
        feature_labels=labels,
        starts=np.arange(len(samples) + 1, dtype=np.int64),
        **arrays,
    )
