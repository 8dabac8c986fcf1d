"""How much of what is tested was trained on under the same name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vitrine.evaluate.splits import Fold


def leaked_share(groups: Sequence[str], folds: Sequence[Fold]) -> float:
    """Part of the tested samples whose group is also in the training or the validation of their fold."""
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    tested = sum(len(fold.test) for fold in folds)
    leaked = 0
    for fold in folds:
        known = codes[np.concatenate([fold.train, fold.validation])]
        leaked += int(np.isin(codes[fold.test], known).sum())
    return leaked / max(tested, 1)


def leak_note(track: str, groups: Sequence[str], folds: Sequence[Fold]) -> list[str]:
    """A sentence for the report where a split parts groups; none where it does not."""
    share = leaked_share(groups, folds)
    if not share:
        return []
    return [
        f"Track {track}: {100 * share:.1f} % of the tested samples have a group (formula, specimen) that was "
        "trained on too."
    ]
