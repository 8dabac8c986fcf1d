"""Splits that leave out every compound of an element or of a family, or every crystal of a prototype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.evaluate.splits import Fold, check_no_group_leaks
from vitrine.parts import Part

LEFT_OUT = r"^[A-Za-z0-9:_.()-]+$"
"""what may name an element, a family or a prototype"""


class LeaveOut(Part):
    """One test set dealt by group, and beside it everything that holds what was left out.

    Groups are dealt to test, validation and training by the seed alone; only then is what is left out taken
    from all three. So tracks that leave out different things test the same other groups. What is left out is
    tested as a whole, apart from the test set that is like the training (``Fold.beside``). Samples that share
    a group with what is left out, and are not left out themselves (another prototype of the formula), are
    used for nothing.
    """

    kind: Literal["leave-out"] = "leave-out"
    leave_out: Annotated[
        str | None,
        Field(
            pattern=LEFT_OUT,
            description="symbol of an element (Fe), a family (halogens, transition-metals ...), a column of "
            "the periodic table (group-16) or prototype:NAME; nothing by default",
        ),
    ] = None
    test: Annotated[float, Field(gt=0, lt=1, description="fraction of the samples that tests")] = 0.15
    validation: Annotated[float, Field(gt=0, lt=1, description="fraction of the rest to validate")] = 0.1
    seed: Annotated[int, Field(ge=0, description="of the order in which groups are dealt")] = 0

    summary: ClassVar[str] = (
        "one test set by group, and every compound of an element, family or prototype apart"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"chemistry"})

    @property
    def track(self) -> str:
        """``random``, or ``without_<what is left out>``."""
        if self.leave_out is None:
            return "random"
        words = self.leave_out.removeprefix("prototype:")
        return "without_" + "".join(c if c.isalnum() else "_" for c in words)

    def folds_of(self, groups: Sequence[str], left_out: NDArray[np.bool_] | None = None) -> list[Fold]:
        """The one fold.

        Parameters
        ----------
        left_out: (n_samples,) which samples hold what is left out; None if nothing is.

        Raises
        ------
        StudyError: nothing or everything holds it, too few groups, or none left to train, validate or test.
        """
        chosen = np.zeros(len(groups), dtype=bool) if left_out is None else np.asarray(left_out, dtype=bool)
        if self.leave_out is not None:
            self._check(chosen)
        parts = _dealt(groups, (self.test, self.validation), self.seed)
        companions = np.isin(np.asarray(groups), np.unique(np.asarray(groups)[chosen]))
        test, validation, train = (part[~companions[part]] for part in parts)
        for words, part in (("train", train), ("validate", validation), ("test", test)):
            if not len(part):
                without = "" if self.leave_out is None else f" that have no {self.leave_out}"
                raise StudyError(
                    f"no samples{without} are left to {words} on: there are {len(set(groups))} groups; give "
                    "more samples"
                )
        apart = np.flatnonzero(chosen)
        fold = Fold(
            train=train,
            validation=validation,
            test=np.sort(np.concatenate([test, apart])),
            beside=test if len(apart) else test[:0],
        )
        check_no_group_leaks(groups, fold.train, fold.validation, fold.test)
        return [fold]

    def _check(self, chosen: NDArray[np.bool_]) -> None:
        n, holding = len(chosen), int(chosen.sum())
        if not holding:
            raise StudyError(f"leave_out: none of the {n} samples has {self.leave_out}; leave out another")
        if holding == n:
            raise StudyError(
                f"leave_out: all {n} samples have {self.leave_out}, so none is left to train on; leave out "
                "another"
            )


def _dealt(
    groups: Sequence[str], fractions: tuple[float, float], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Test, validation and the rest: whole groups in an order drawn from the seed."""
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 3:
        raise StudyError(
            f"leaving out needs at least 3 groups to train, validate and test; there are {len(names)}: give "
            "more samples"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(codes)[order]
    reached = np.cumsum(sizes) / sizes.sum()
    n_test = int(np.clip(np.searchsorted(reached, fractions[0]) + 1, 1, len(names) - 2))
    second = fractions[0] + (1 - fractions[0]) * fractions[1]
    n_both = int(np.clip(np.searchsorted(reached, second) + 1, n_test + 1, len(names) - 1))
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    rank = place[codes]
    test, rest = np.flatnonzero(rank < n_test), np.flatnonzero(rank >= n_both)
    return test, np.flatnonzero((rank >= n_test) & (rank < n_both)), rest
