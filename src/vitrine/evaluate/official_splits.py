"""Splits that others have made: the folds of Matbench, and a column of the user's own table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.evaluate.splits import Fold, hold_out_groups
from vitrine.parts import Part

MATBENCH_SEED = 18012019
"""of Matbench v0.1 (doi:10.1038/s41524-020-00406-3)"""
TRAIN, VALIDATION, TEST = 0, 1, 2
"""numbers of the attribute ``split`` of samples"""


class MatbenchFolds(Part):
    """The five official folds of Matbench v0.1, for its own tables in their own order.

    scikit-learn's ``KFold``, for classes ``StratifiedKFold``, with five folds, shuffled, random state
    18012019. Of what a fold trains on, a part by group decides when to stop. On other tables these are
    random folds.
    """

    kind: Literal["matbench"] = "matbench"
    validation: Annotated[
        float, Field(gt=0, lt=1, description="fraction of what is not tested that validates")
    ] = 0.1
    seed: Annotated[int, Field(ge=0, description="of which samples validate; the folds are fixed")] = 0

    track: ClassVar[str] = "matbench"
    summary: ClassVar[str] = "the five official folds of Matbench: random, or stratified for classes"
    needs: ClassVar[frozenset[str]] = frozenset({"classes"})

    def citations(self) -> tuple[str, ...]:
        """Matbench."""
        return ("10.1038/s41524-020-00406-3",)

    def folds_of(self, groups: Sequence[str], classes: NDArray[np.int64] | None = None) -> list[Fold]:
        """The folds.

        Parameters
        ----------
        classes: (n_samples,) number of the class of each; None where a value is learned.

        Raises
        ------
        StudyError: too few samples, or too few of a class.
        """
        if len(groups) < 10:
            raise StudyError(f"the folds of Matbench need at least 10 samples, but there are {len(groups)}")
        if classes is not None and np.bincount(classes)[np.unique(classes)].min() < 5:
            raise StudyError("the folds of Matbench need at least 5 samples of each class")
        dealt = _dealt(len(groups), 5) if classes is None else _dealt_alike(classes, 5)
        found = []
        for number in range(5):
            others, test = np.flatnonzero(dealt != number), np.flatnonzero(dealt == number)
            rest, held = _held_out(groups, others, self.validation, [self.seed, number])
            found.append(Fold(train=others[rest], validation=others[held], test=test))
        return found


def _dealt(n: int, folds: int) -> NDArray[np.int64]:
    """(n,) fold that tests each sample, as of scikit-learn's shuffled ``KFold``."""
    order = np.arange(n)
    np.random.RandomState(MATBENCH_SEED).shuffle(order)
    fold = np.empty(n, np.int64)
    for number, part in enumerate(np.array_split(order, folds)):
        fold[part] = number
    return fold


def _dealt_alike(classes: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """As of its shuffled ``StratifiedKFold``: each fold has its share of every class.

    Classes are numbered in the order in which they first appear; the sorted classes dealt out in turn say how
    many of each a fold gets.
    """
    random = np.random.RandomState(MATBENCH_SEED)
    _, first, code = np.unique(classes, return_index=True, return_inverse=True)
    code = np.argsort(np.argsort(first))[code]
    in_turn = np.sort(code)
    shares = np.array([np.bincount(in_turn[i::folds], minlength=len(first)) for i in range(folds)])
    fold = np.empty(len(code), np.int64)
    for number in range(len(first)):
        dealt = np.arange(folds).repeat(shares[:, number])
        random.shuffle(dealt)
        fold[code == number] = dealt
    return fold


class GivenSplit(Part):
    """The split that a table brings in a column of its own: train, validation, test.

    Where no row validates, a part of the training rows by group does.
    """

    kind: Literal["given"] = "given"
    validation: Annotated[
        float, Field(gt=0, lt=1, description="fraction of the training rows to validate, if none are given")
    ] = 0.1
    seed: Annotated[int, Field(ge=0, description="of which training rows validate, if none are given")] = 0

    track: ClassVar[str] = "given"
    summary: ClassVar[str] = "the split that a table brings: a column of train, validation and test"
    needs: ClassVar[frozenset[str]] = frozenset({"given"})

    def folds_of(self, groups: Sequence[str], given: NDArray[np.float64] | None = None) -> list[Fold]:
        """The one fold.

        Parameters
        ----------
        given: (n_samples,) 0 train, 1 validation, 2 test.

        Raises
        ------
        StudyError: no such column, or nothing to train or to test on.
        """
        if given is None:
            raise StudyError("split: the samples say nothing of a split; name its column with source.split")
        parts = [np.flatnonzero(given == part).astype(np.int64) for part in (TRAIN, VALIDATION, TEST)]
        for words, part in (("train", parts[0]), ("test", parts[2])):
            if not len(part):
                raise StudyError(f"split: no row has the word {words!r} in the split column")
        train, validation, test = parts
        if not len(validation):
            rest, held = _held_out(groups, train, self.validation, [self.seed, 0])
            train, validation = train[rest], train[held]
        return [Fold(train=train, validation=validation, test=test)]


def _held_out(
    groups: Sequence[str], samples: NDArray[np.int64], fraction: float, seed: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return hold_out_groups([groups[sample] for sample in samples], fraction, seed)
