"""Splits: which samples train, which validate, which test.

Samples of one group (directions of a specimen, frames of a trajectory, rows of one formula) are
near-copies of each other. A split that parts them lets a model recognise what it should predict;
:class:`GroupedFolds` never does, :class:`RandomFolds` does and is there to show how much it flatters.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.parts import Part

Int = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """One split: rising sample indices, disjoint, together all samples.

    beside: those of ``test`` that are like the training, where the others are left out of it on purpose;
    empty where all are judged together.
    """

    train: Int
    validation: Int
    test: Int
    beside: Int = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def _by_group(groups: Sequence[str]) -> dict[str, list[int]]:
    """Sample indices of each group, groups in sorted order."""
    members: dict[str, list[int]] = {group: [] for group in sorted(set(groups))}
    for sample, group in enumerate(groups):
        members[group].append(sample)
    return members


def _sorted(samples: Iterable[int]) -> Int:
    return np.array(sorted(samples), dtype=np.int64)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def grouped_folds(groups: Sequence[str], folds: int, seed: int) -> list[Int]:
    """Deal whole groups into folds of about equal numbers of samples.

    The largest group goes first, each to the fold that holds least; groups of equal size come in
    an order drawn from ``seed``. Returns the test samples of each fold, rising: every sample is in
    exactly one, and no group in two.

    Raises
    ------
    StudyError: fewer groups than folds.
    """
    members = _by_group(groups)
    if folds < 2:
        raise StudyError(f"a split needs at least 2 folds, not {folds}")
    if len(members) < folds:
        raise StudyError(
            f"{folds} folds by group need at least {folds} groups, but there are {len(members)}"
            f" ({_some(members)}); ask for fewer folds, or give more groups"
        )
    names = list(members)
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    shuffled.sort(key=lambda name: -len(members[name]))
    dealt: list[list[int]] = [[] for _ in range(folds)]
    lightest = [(0, fold) for fold in range(folds)]
    for name in shuffled:
        size, fold = heapq.heappop(lightest)
        dealt[fold] += members[name]
        heapq.heappush(lightest, (size + len(members[name]), fold))
    return [_sorted(samples) for samples in dealt]


def hold_out_groups(groups: Sequence[str], fraction: float, seed: int | Sequence[int]) -> tuple[Int, Int]:
    """Hold out whole groups with about a fraction of the samples: (rest, held out), rising.

    Groups are taken in an order drawn from ``seed``, as many as come closest to the fraction; at
    least one is held out and at least one stays.

    Raises
    ------
    StudyError: fewer than two groups.
    """
    members = _by_group(groups)
    if not 0 < fraction < 1:
        raise StudyError(f"the fraction to hold out must lie between 0 and 1, not {fraction!r}")
    if len(members) < 2:
        raise StudyError(
            f"holding out a group needs at least 2 groups, but there are {len(members)} ({_some(members)});"
            " give more groups"
        )
    names = list(members)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    reached = np.cumsum([len(members[name]) for name in order])[:-1]
    taken = 1 + int(np.argmin(np.abs(reached - fraction * len(groups))))
    rest = [sample for name in order[taken:] for sample in members[name]]
    held = [sample for name in order[:taken] for sample in members[name]]
    return _sorted(rest), _sorted(held)


def random_folds(n: int, folds: int, seed: int) -> list[Int]:
    """Deal n samples into folds at random, whatever their groups: the leaky comparison.

    Raises
    ------
    StudyError: fewer samples than folds.
    """
    if folds < 2:
        raise StudyError(f"a split needs at least 2 folds, not {folds}")
    if n < folds:
        raise StudyError(
            f"{folds} folds need at least {folds} samples, but there are {n}; ask for fewer folds, or give "
            "more samples"
        )
    return [_sorted(part) for part in np.array_split(np.random.default_rng(seed).permutation(n), folds)]


def check_no_group_leaks(groups: Sequence[str], *index_sets: Sequence[int] | Int) -> None:
    """Raise ``ValueError`` when samples of one group are in two of the index sets."""
    seen: dict[str, int] = {}
    for number, samples in enumerate(index_sets):
        for group in {groups[sample] for sample in samples}:
            if seen.setdefault(group, number) != number:
                raise ValueError(
                    f"group {group!r} leaks: it is in sets {seen[group]} and {number} of the split"
                )


class _Folds(Part):
    """Settings that both ways to split share."""

    folds: Annotated[int, Field(ge=2, description="number of folds; each sample is tested once")] = 5
    validation: Annotated[
        float,
        Field(gt=0, lt=1, description="fraction of the rest (what is not tested) that validates"),
    ] = 0.25
    seed: Annotated[int, Field(ge=0, description="of the order in which samples are dealt")] = 0


class GroupedFolds(_Folds):
    """Folds by group: train, validation and test never share one.

    The defaults are 3:1:1, as in Lee & Ryu 2022 (doi:10.3389/fmats.2022.874339), but with every
    group tested once.
    """

    kind: Literal["grouped"] = "grouped"
    track: ClassVar[str] = "grouped"
    summary: ClassVar[str] = "cross-validation by group (specimen, formula): no group is in two parts"

    def folds_of(self, groups: Sequence[str]) -> list[Fold]:
        """Split samples given their groups.

        Raises
        ------
        StudyError: too few groups for the folds, or for a validation group beside training.
        """
        result = []
        for number, test in enumerate(grouped_folds(groups, self.folds, self.seed)):
            others = np.setdiff1d(np.arange(len(groups)), test)
            names = [groups[sample] for sample in others]
            if len(set(names)) < 2:
                raise StudyError(
                    # only with two folds: beside any other number at least two stay
                    f"2 folds by group leave 1 group to train and validate on ({names[0]}), and 2 are needed;"
                    f" there are {len(set(groups))} groups: ask for 3 folds, which need 3 groups"
                )
            rest, held = hold_out_groups(names, self.validation, [self.seed, number])
            fold = Fold(train=others[rest], validation=others[held], test=test)
            check_no_group_leaks(groups, fold.train, fold.validation, fold.test)
            result.append(fold)
        return result


class RandomFolds(_Folds):
    """Folds at random over samples: groups leak, to show how much that flatters."""

    kind: Literal["random"] = "random"
    track: ClassVar[str] = "random"
    summary: ClassVar[str] = "cross-validation at random: leaks groups, as a comparison only"

    def folds_of(self, groups: Sequence[str]) -> list[Fold]:
        """Split samples; of their groups only the number of entries is used.

        Raises
        ------
        StudyError: too few samples.
        """
        result = []
        for number, test in enumerate(random_folds(len(groups), self.folds, self.seed)):
            others = np.setdiff1d(np.arange(len(groups)), test)
            if len(others) < 2:
                raise StudyError(
                    f"{self.folds} folds leave 1 sample to train and validate on, and 2 are needed; there are"
                    f" {len(groups)} samples: give more"
                )
            order = np.random.default_rng([self.seed, number]).permutation(others)
            held = min(max(round(self.validation * len(others)), 1), len(others) - 1)
            result.append(Fold(train=_sorted(order[held:]), validation=_sorted(order[:held]), test=test))
        return result


class HoldOut(Part):
    """One fixed test set, never trained on; every sample is tested once or not at all.

    The defaults are those of Yang et al. 2020 (doi:10.1038/s41598-020-65157-z): of 3,648 maps 891 test, and
    of the others 504 validate.
    """

    kind: Literal["hold-out"] = "hold-out"
    by: Annotated[
        Literal["group", "sample"],
        Field(description="hold out whole groups, or samples whatever their group: the leaky comparison"),
    ] = "group"
    test: Annotated[float, Field(gt=0, lt=1, description="fraction that tests")] = 0.2442
    validation: Annotated[float, Field(gt=0, lt=1, description="fraction of the rest to validate")] = 0.1828
    seed: Annotated[int, Field(ge=0, description="of the order in which samples are dealt")] = 0

    track: ClassVar[str] = "hold-out"
    summary: ClassVar[str] = "one test set held out, by group or (leaky) by sample"

    def folds_of(self, groups: Sequence[str]) -> list[Fold]:
        """The one fold.

        Raises
        ------
        StudyError: too few groups or samples for three sets.
        """
        units = list(groups) if self.by == "group" else [str(number) for number in range(len(groups))]
        if len(set(units)) < 3:
            raise StudyError(
                f"holding out by {self.by} needs at least 3 {self.by}s to train, validate and test; there "
                f"are {len(set(units))}: give more"
            )
        others, test = hold_out_groups(units, min(self.test, 1 - 2 / len(units)), self.seed)
        while len({units[sample] for sample in others}) < 2:  # large groups: leave two
            units_left = sorted({units[sample] for sample in test})[1:]
            test = _sorted(sample for sample in test if units[sample] in units_left)
            others = np.setdiff1d(np.arange(len(units)), test)
        rest, held = hold_out_groups([units[sample] for sample in others], self.validation, [self.seed, 1])
        fold = Fold(train=others[rest], validation=others[held], test=test)
        if self.by == "group":
            check_no_group_leaks(groups, fold.train, fold.validation, fold.test)
        return [fold]
