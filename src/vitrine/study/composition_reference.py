"""What a model of formulas keeps of its training: how wrong it was on others, and what it has seen.

With it every prediction has an interval, and says how far its formula lies from those of the training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError
from vitrine.samples import Samples
from vitrine.study.conformal import LEVEL, class_miss, reach_of

if TYPE_CHECKING:
    from vitrine.evaluate.splits import Fold

ARRAYS, FACTS = "training.safetensors", "training.json"
MOST_MEASURED = 2000
"""tested formulas whose distance to those trained on is taken, for what is usual"""


@dataclass(frozen=True)
class Compositions:
    """Distinct compositions, as elements and fractions one after the other.

    Attributes
    ----------
    names: (m,) reduced formulas, sorted. starts: (m + 1,) int64 bounds. elements: (n,) int64 columns of
        :data:`vitrine.physics.formulas.ALL_ELEMENTS`. fractions: (n,) float64, sum to 1 within a composition.
    """

    names: tuple[str, ...]
    starts: NDArray[np.int64]
    elements: NDArray[np.int64]
    fractions: NDArray[np.float64]
    _places: dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]] = field(default_factory=dict)

    @classmethod
    def of(cls, formulas: Sequence[str]) -> Compositions:
        """Of formulas that can be read; each composition once."""
        from vitrine.physics.formulas import ALL_ELEMENTS, parse_formula, reduced_formula

        column = {symbol: number for number, symbol in enumerate(ALL_ELEMENTS)}
        amounts: dict[str, Mapping[str, float]] = {}
        for text in dict.fromkeys(formulas):
            parsed = parse_formula(text)
            amounts.setdefault(reduced_formula(parsed), parsed)
        names = sorted(amounts)
        counts = [len(amounts[name]) for name in names]
        parts = [np.array(list(amounts[name].values())) for name in names]
        return cls(
            names=tuple(names),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            elements=np.array([column[s] for name in names for s in amounts[name]], np.int64),
            fractions=np.concatenate([part / part.sum() for part in parts]) if parts else np.zeros(0),
        )

    def nearest(
        self, formulas: Sequence[str], allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float64], list[str]]:
        """Distance to the nearest composition, and which that is.

        The distance is the share of the atoms that would have to be of other elements, from 0 to 1: one less
        the sum over elements of the smaller of the two fractions.

        Parameters
        ----------
        allowed: (m,) compositions to look at; all by default.

        Returns
        -------
        (n,) float64, and n names; 1 and an empty name where no composition has an element in common.
        """
        from vitrine.physics.formulas import ALL_ELEMENTS, parse_formula

        if not self._places:
            self._index()
        column = {symbol: number for number, symbol in enumerate(ALL_ELEMENTS)}
        distances, names = np.ones(len(formulas)), [""] * len(formulas)
        if not len(self.names) or (allowed is not None and not allowed.any()):
            return distances, names
        for number, text in enumerate(formulas):
            amounts = parse_formula(text)
            total = sum(amounts.values())
            shared = np.zeros(len(self.names))
            for symbol, amount in amounts.items():
                rows, fractions = self._places.get(column[symbol], (None, None))
                if rows is not None and fractions is not None:
                    shared[rows] += np.minimum(fractions, amount / total)
            if allowed is not None:
                shared[~allowed] = -1.0
            best = int(np.argmax(shared))
            if shared[best] > 0:
                distances[number], names[number] = max(0.0, 1.0 - float(shared[best])), self.names[best]
        return distances.round(12), names

    def _index(self) -> None:
        owner = np.repeat(np.arange(len(self.names)), np.diff(self.starts))
        for element in np.unique(self.elements):
            inside = self.elements == element
            self._places[int(element)] = (owner[inside], self.fractions[inside])


@dataclass(frozen=True)
class TrainingReference:
    """What is kept beside the weights.

    Attributes
    ----------
    compositions: of the training. misses: rising: of values the absolute errors on samples that were not
        trained on, of classes one less the probability of the true one. distances: rising distances of such
        samples to the nearest composition that their model was trained on.
    """

    compositions: Compositions
    misses: NDArray[np.float64]
    distances: NDArray[np.float64]

    def write(self, folder: Path) -> None:
        """``training.safetensors`` and ``training.json``."""
        from safetensors.numpy import save

        arrays = {
            "starts": self.compositions.starts,
            "elements": self.compositions.elements.astype(np.uint8),
            "fractions": self.compositions.fractions,
            "misses": self.misses,
            "distances": self.distances,
        }
        # in two steps, since safetensors has errors of its own for a full disk
        raw = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        (folder / ARRAYS).write_bytes(raw)
        names = {"compositions": list(self.compositions.names)}
        (folder / FACTS).write_text(json.dumps(names), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> TrainingReference | None:
        """Of a model folder; None if it has none, as those of earlier versions.

        Raises
        ------
        DataError: the files do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not (folder / ARRAYS).is_file():
            return None
        try:
            arrays = load_file(folder / ARRAYS)
            names = tuple(
                str(n) for n in json.loads((folder / FACTS).read_text(encoding="utf-8"))["compositions"]
            )
            starts, elements = arrays["starts"], arrays["elements"].astype(np.int64)
            if len(starts) != len(names) + 1 or starts[-1] != len(elements) or starts[0] != 0:
                raise ValueError("its arrays have other lengths than there are names")
            if len(elements) != len(arrays["fractions"]) or (np.diff(starts) < 1).any():
                raise ValueError("its fractions do not fit its elements")
            known = Compositions(names, starts, elements, arrays["fractions"])
            return cls(known, np.sort(arrays["misses"]), np.sort(arrays["distances"]))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DataError(f"{folder} holds no readable {ARRAYS}: {error}") from error

    @property
    def far(self) -> float:
        """The distance that one in twenty of the samples not trained on exceeds."""
        return float(np.quantile(self.distances, LEVEL)) if len(self.distances) else 1.0


def usual_distances(samples: Samples, folds: Sequence[Fold], seed: int = 0) -> NDArray[np.float64]:
    """Rising distances of tested samples to the compositions that were trained on in their fold."""
    formulas = np.asarray(samples.items["formula"], dtype=object)
    found: list[NDArray[np.float64]] = []
    share = max(1, MOST_MEASURED // max(len(folds), 1))
    for number, fold in enumerate(folds):
        known = Compositions.of(formulas[np.concatenate([fold.train, fold.validation])].tolist())
        some = np.random.default_rng([seed, number]).permutation(fold.test)[:share]
        found.append(known.nearest(formulas[some].tolist())[0])
    return np.sort(np.concatenate(found)) if found else np.zeros(0)


def told_of(
    reference: TrainingReference,
    formulas: Sequence[str],
    scores: NDArray[np.float64],
    target: str,
    name: str,
    class_names: Sequence[str] = (),
) -> dict[str, Any]:
    """Columns that stand beside predictions.

    Parameters
    ----------
    scores: (n,) values or probabilities of class 1, or (n, classes). target: kind of it. name: of it.
    class_names: of class 0, 1, ...

    Returns
    -------
    ``<name>_low`` and ``<name>_high`` of a value, or ``<name>_set``: the classes that cannot be excluded;
    both hold the truth with a probability of 95 %. ``distance_to_training``, ``nearest_training_formula`` and
    ``unlike_training``: farther than 95 % of the samples that the model was judged on.
    """
    columns: dict[str, Any] = {}
    reach = reach_of(reference.misses)
    if target == "value":
        reach = reach if np.isfinite(reach) else np.nan  # too few samples to say
        columns = {f"{name}_low": scores - reach, f"{name}_high": scores + reach}
    else:
        names = list(class_names) or ["0", "1"]
        inside = class_miss(scores) <= reach
        columns[f"{name}_set"] = [
            " or ".join(n for n, there in zip(names, row, strict=True) if there) for row in inside
        ]
    distances, nearest = reference.compositions.nearest(formulas)
    columns["distance_to_training"] = distances
    columns["nearest_training_formula"] = nearest
    columns["unlike_training"] = distances > max(reference.far, 1e-9)
    return columns
