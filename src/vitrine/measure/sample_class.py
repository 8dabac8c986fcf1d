"""The label of whole configurations: a word or number that each of them carries."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part

if TYPE_CHECKING:
    from vitrine.samples import Samples


class SampleClass(Part):
    """1 for configurations whose ``info`` holds a value, 0 for the others; one target per sample.

    Numbers and truth values are compared as integers are written: ``positive: "1"`` takes 1, 1.0 and
    true. Classes of unequal particle numbers or compositions are refused: they could be told apart by
    counting.
    """

    kind: Literal["sample-class"] = "sample-class"
    field: str = Field("phase", min_length=1, description="key of each configuration's info")
    positive: str = Field("glass", min_length=1, description="its value in the positive class")

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[Literal["binary", "value"]] = "binary"
    unit: ClassVar[str | None] = None
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "whole configurations by a word or number that each carries (liquid or glass)"

    def targets(self, samples: Samples) -> list[NDArray[np.float32]]:
        """One (1,) float32 array, 0 or 1, per sample.

        Raises
        ------
        DataError: a sample without this key or with something that is no word or number; classes that
            differ in particle numbers or composition.
        """
        positive = np.array([word == self.positive for word in self._words(samples)], dtype=bool)
        _check_alike(samples, positive)
        return [np.array([value], dtype=np.float32) for value in positive]

    def severity(self, samples: Samples) -> list[NDArray[np.float32]] | None:
        """None: there is no quantity behind a class."""
        return None

    def one_class(self, samples: Samples) -> str:
        """What to say where all samples are of one class."""
        found = Counter(self._words(samples))
        counts = ", ".join(f"{word!r} in {number:,}" for word, number in found.most_common(5))
        known = "" if self.positive in found else did_you_mean(self.positive, found)
        return (
            f"of {len(samples):,} samples, {self.field} is {counts}; label.positive is "
            f"{self.positive!r}{known}"
        )

    def class_names(self, samples: Samples) -> tuple[str, str]:
        """What the negative and the positive class are called, for figures."""
        others = {word for word in self._words(samples) if word != self.positive}
        return (others.pop() if len(others) == 1 else f"not {self.positive}", self.positive)

    def _words(self, samples: Samples) -> list[str]:
        found = []
        for atoms, name in zip(samples.items, samples.ids, strict=True):
            if self.field not in atoms.info:
                known = did_you_mean(self.field, (key for key in atoms.info if isinstance(key, str)))
                raise DataError(f"{name} does not say its {self.field} (label.field){known}")
            found.append(_word(atoms.info[self.field], self.field, name))
        return found


def _word(value: Any, field: str, name: str) -> str:
    """A value as it is compared: words as they are, whole numbers without a point."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, str):
        return value
    if not isinstance(value, bool | int | float) or value != value:
        raise DataError(f"{name}: its {field} is {value!r}; a class is a word or a number")
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else str(value)


def _check_alike(samples: Samples, positive: NDArray[np.bool_]) -> None:
    """Every composition must occur in both classes, if there are two."""
    if positive.all() or not positive.any():
        return
    named: dict[tuple[bool, tuple[tuple[int, int], ...]], str] = {}
    for atoms, name, one in zip(samples.items, samples.ids, positive, strict=True):
        numbers, counts = np.unique(atoms.numbers, return_counts=True)
        contents = tuple(zip(numbers.tolist(), counts.tolist(), strict=True))
        named.setdefault((bool(one), contents), name)
    for (one, contents), name in named.items():
        if (not one, contents) in named:
            continue
        other, theirs = next((n, c) for (which, c), n in named.items() if which != one)
        sizes = [sum(count for _, count in c) for c in (contents, theirs)]
        what = "particle numbers" if sizes[0] != sizes[1] else "compositions"
        raise DataError(
            f"{what} differ between the classes: {name!r} (with {_text(contents)}) and {other!r} (with "
            f"{_text(theirs)}) are of different classes; counting particles would give the class away"
        )


def _text(contents: tuple[tuple[int, int], ...]) -> str:
    from ase.data import chemical_symbols

    return " ".join(f"{count:,} {chemical_symbols[number]}" for number, count in contents)
