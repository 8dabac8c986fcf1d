"""Which rows of a table are used: crystals that are small enough, the first rows, or rows drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SPECIES, SITES = "species", "nsites"
"""Columns that tell how many atoms a crystal has: symbols, or their number."""


def small_enough(where: object, frame: pd.DataFrame, most_atoms: int) -> NDArray[np.int64]:
    """Positions of the rows whose crystals have that many atoms or fewer.

    A row that does not tell is kept: what is wrong with it is said where its structure is read.

    Raises
    ------
    DataError: no column tells how many atoms there are, or no crystal is small enough.
    """
    atoms = _atoms(where, frame)
    kept = np.flatnonzero(~(atoms > most_atoms))
    if not len(kept):
        raise DataError(
            f"{where}: no crystal has {most_atoms} atoms or fewer (source.most_atoms); the smallest has "
            f"{int(np.nanmin(atoms))}"
        )
    return kept


def _atoms(where: object, frame: pd.DataFrame) -> NDArray[np.float64]:
    """(n,), NaN where a row does not tell."""
    import pandas as pd

    if SPECIES in frame.columns:
        cells = frame[SPECIES]
        known = [len(c) if hasattr(c, "__len__") and not isinstance(c, str) else np.nan for c in cells]
        return np.array(known, dtype=np.float64)
    if SITES in frame.columns:
        found: NDArray[np.float64] = pd.to_numeric(frame[SITES], errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
        return found
    raise DataError(
        f"{where}: source.most_atoms needs a column {SPECIES!r} (symbols of a crystal) or {SITES!r} (their "
        "number); the table has neither"
    )


def limited(sizes: Sequence[int], limit: int, seed: int | None) -> NDArray[np.int64]:
    """Positions of ``limit`` rows, rising; all if there are no more.

    Parameters
    ----------
    sizes: number of rows of each part of a split, one after another; the limit is shared in proportion.
    seed: of the draw; None takes the first rows of each part.
    """
    total, start, chosen = sum(sizes), 0, []
    if limit >= total:
        return np.arange(total)
    rng = None if seed is None else np.random.default_rng(seed)
    for size in sizes:
        share = limit * (start + size) // total - limit * start // total
        own = np.arange(size) if rng is None else rng.permutation(size)
        chosen.append(start + np.sort(own[:share]))
        start += size
    return np.concatenate(chosen)
