"""Labels of a table whose target names classes: two of them, or several."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError, did_you_mean
from vitrine.measure.column import target_cells
from vitrine.parts import Part
from vitrine.samples import Samples

MOST_CLASSES = 50
"""More different cells than these are no classes."""
YES = ("true", "yes", "y", "1", "positive", "metal")
"""Which of two classes is the positive one without being told."""


class _Classes(Part):
    """What both labels share: the cells as words."""

    column: str | None = Field(None, description="which of several target columns; by default the first")

    def leaves_out(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for the samples whose cell in this column is empty.

        Raises
        ------
        DataError: no such target.
        """
        name, words = self._words(samples)
        return {samples.ids[row]: f"{name} is missing" for row, word in enumerate(words) if not word}

    def severity(self, samples: Samples) -> list[NDArray[np.float32]] | None:
        """None: there is no quantity behind a class."""
        return None

    def _words(self, samples: Samples) -> tuple[str, list[str]]:
        """Name of the column, and its cells: whole numbers without a point, "" where empty."""
        name, cells = target_cells(samples, self.column)
        return name, [_word(cell) for cell in cells]

    def _counted(self, samples: Samples) -> tuple[str, list[str], Counter[str]]:
        """Name, words of the samples and how often each occurs.

        Raises
        ------
        DataError: an empty cell, or too many different ones.
        """
        name, words = self._words(samples)
        if "" in words:
            row = words.index("")
            raise DataError(f"{samples.ids[row]}: {name} is missing ({words.count(''):,} such rows)")
        found = Counter(words)
        if len(found) > MOST_CLASSES:
            some = ", ".join(repr(word) for word in list(found)[:3])
            raise DataError(
                f"{name} has {len(found):,} different values ({some}, ...) in {len(words):,} rows, and there "
                f"can be {MOST_CLASSES} classes; if it is a number, use label.kind=column; if it names the "
                "rows, it is for source.id"
            )
        return name, words, found


class BinaryColumn(_Classes):
    """1 where the target column holds one word, truth value or number, 0 elsewhere."""

    summary: ClassVar[str] = "a target column with two classes, as words, true and false, or 0 and 1"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[Literal["binary", "value"]] = "binary"
    unit: ClassVar[str | None] = None

    kind: Literal["binary-column"] = "binary-column"
    positive: str | None = Field(
        None,
        min_length=1,
        description="what the positive class is called in the table; by default true, yes, 1 or metal, else "
        "the last of two words in the alphabet",
    )

    def targets(self, samples: Samples) -> list[NDArray[np.float32]]:
        """One (1,) float32 array, 0 or 1, per sample.

        Raises
        ------
        DataError: no such target, an empty cell, too many classes, or more than two and none named.
        """
        name, words, found = self._counted(samples)
        positive = self._positive(name, found)
        return [np.array([word == positive], dtype=np.float32) for word in words]

    def one_class(self, samples: Samples) -> str:
        """What to say where all samples are of one class."""
        name, words, found = self._counted(samples)
        counts = ", ".join(f"{word!r} in {number:,}" for word, number in found.most_common(5))
        known = ""
        if self.positive is not None and self.positive not in found:
            known = f"; label.positive is {self.positive!r}{did_you_mean(self.positive, found)}"
        return f"of {len(words):,} rows, {name} is {counts}{known}"

    def class_names(self, samples: Samples) -> tuple[str, str]:
        """What the negative and the positive class are called, for figures."""
        name, _, found = self._counted(samples)
        positive = self._positive(name, found)
        others = [word for word in found if word != positive]
        return (others[0] if len(others) == 1 else f"not {positive}", positive)

    def _positive(self, name: str, found: Counter[str]) -> str:
        if self.positive is not None:
            return next((word for word in found if word.lower() == self.positive.lower()), self.positive)
        if len(found) > 2:
            raise DataError(
                f"{name} has {len(found)} classes ({', '.join(map(repr, _sorted(found)))}); name one with "
                "label.positive, or learn them all with label.kind=class-column"
            )
        yes = [word for word in _sorted(found) if word.lower() in YES]
        return yes[0] if yes else _sorted(found)[-1]


class ClassColumn(_Classes):
    """The target column as one of several classes, numbered in their order: by size or by alphabet."""

    summary: ClassVar[str] = "a target column whose words name several classes"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[Literal["binary", "value", "classes"]] = "classes"
    unit: ClassVar[str | None] = None

    kind: Literal["class-column"] = "class-column"

    def targets(self, samples: Samples) -> list[NDArray[np.float32]]:
        """One (1,) float32 array, the number of the class from 0 on, per sample.

        Raises
        ------
        DataError: no such target, an empty cell, or too many classes.
        """
        _, words, found = self._counted(samples)
        number = {word: position for position, word in enumerate(_sorted(found))}
        return [np.array([number[word]], dtype=np.float32) for word in words]

    def class_names(self, samples: Samples) -> tuple[str, ...]:
        """The words of the table, sorted."""
        return tuple(_sorted(self._counted(samples)[2]))


def _word(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    number = float(cell)
    if number != number:
        return ""
    return str(int(number)) if abs(number) < 1e15 and number == int(number) else str(number)


def _sorted(words: Counter[str]) -> list[str]:
    """By size if all are numbers, else by alphabet."""
    try:
        return sorted(words, key=float)
    except ValueError:
        return sorted(words, key=lambda word: (word.lower(), word))
