"""The class of a whole configuration, and what would give it away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms

from vitrine.errors import DataError
from vitrine.measure.sample_class import SampleClass
from vitrine.represent.bond_order import BondOrder
from vitrine.samples import Samples
from vitrine.study.data import attach_targets
from vitrine.testing import flat_configuration, flat_samples


def samples_of(*values: Any, field: str = "phase", sizes: tuple[int, ...] | None = None) -> Samples:
    frames = []
    for seed, value in enumerate(values):
        atoms = flat_configuration(seed, sizes[seed] if sizes else 30)
        del atoms.info["phase"]
        atoms.info[field] = value
        frames.append(atoms)
    names = tuple(f"frame{i}" for i in range(len(frames)))
    return Samples("atoms", frames, names, names)


def classes(samples: Samples, **settings: str) -> list[float]:
    targets = SampleClass(**settings).targets(samples)
    assert all(target.shape == (1,) and target.dtype == np.float32 for target in targets)
    return [float(target[0]) for target in targets]


def test_words_are_compared() -> None:
    assert classes(flat_samples()) == [0, 1, 0, 1]
    assert classes(flat_samples(), positive="liquid") == [1, 0, 1, 0]
    assert classes(samples_of("glass", "crystal", "liquid")) == [1, 0, 0]
    assert SampleClass().severity(flat_samples()) is None


@pytest.mark.parametrize(
    "values",
    [
        (1, 0, 1), (True, False, True), (1.0, 0.0, 1.0), ("1", "0", "1"),
        (np.int64(1), np.bool_(False), np.float32(1)), (np.array(1), np.array(0), np.array(1.0)),
    ],
)  # fmt: skip
def test_numbers_are_compared_as_numbers(values: tuple[Any, ...]) -> None:
    assert classes(samples_of(*values, field="hot"), field="hot", positive="1") == [1, 0, 1]


def test_other_numbers_are_written_as_they_are() -> None:
    assert classes(samples_of(0.5, 2, 1e300, -3, field="x"), field="x", positive="0.5") == [1, 0, 0, 0]
    assert classes(samples_of(0.5, 2, 1e300, -3, field="x"), field="x", positive="-3") == [0, 0, 0, 1]


def test_a_frame_that_does_not_say_is_named() -> None:
    samples = samples_of("glass", "liquid", field="fase")
    with pytest.raises(
        DataError, match=r"frame0 does not say its phase \(label.field\); did you mean 'fase'"
    ):
        SampleClass().targets(samples)
    with pytest.raises(DataError, match=r"frame1: its phase is \[1, 2\]; a class is a word or a number"):
        SampleClass().targets(samples_of("glass", [1, 2]))
    with pytest.raises(DataError, match="frame1: its phase is nan"):
        SampleClass().targets(samples_of("glass", float("nan")))


def test_what_gives_the_class_away_is_refused() -> None:
    with pytest.raises(
        DataError,
        match=r"particle numbers differ between the classes: 'frame0' \(with 10 P 20 Ni\) and 'frame1' "
        r"\(with 14 P 26 Ni\) are of different classes; counting particles would give the class away",
    ):
        SampleClass().targets(samples_of("liquid", "glass", "liquid", sizes=(30, 40, 30)))
    other = samples_of("liquid", "glass", "liquid")
    other.items[1].symbols[0] = "P" if other.items[1].symbols[0] == "Ni" else "Ni"
    with pytest.raises(DataError, match=r"compositions differ between the classes: 'frame0' .* and 'frame1'"):
        SampleClass().targets(other)


def test_sizes_that_occur_in_both_classes_are_fine() -> None:
    samples = samples_of("glass", "liquid", "glass", "liquid", sizes=(30, 40, 40, 30))
    assert classes(samples) == [1, 0, 1, 0]
    assert classes(samples_of("glass", "glass", sizes=(30, 40))) == [1, 1], "one class tells nothing apart"


class _Study:
    """What attach_targets looks at."""

    def __init__(self, label: SampleClass) -> None:
        self.label = label


@pytest.mark.parametrize(
    ("positive", "words"),
    [
        (
            "glas",
            "phase is 'liquid' in 2, 'glass' in 1; label.positive is 'glas'; did you mean 'glass'",
        ),
        ("nothing", "label.positive is 'nothing'; known: glass, liquid"),
    ],
)
def test_one_class_only_is_said(positive: str, words: str) -> None:
    samples = samples_of("liquid", "glass", "liquid")
    examples = BondOrder().build(samples, None)  # type: ignore[arg-type]
    study: Any = _Study(SampleClass(positive=positive))
    with pytest.raises(DataError, match="the labels hold one class only") as caught:
        attach_targets(study, samples, examples)
    assert words in str(caught.value)
    found = attach_targets(study, samples, examples, one_class=True)
    np.testing.assert_array_equal(found.target, np.zeros(3))  # type: ignore[arg-type]


def test_all_positive_is_said() -> None:
    samples = samples_of("glass", "glass")
    assert (
        SampleClass().one_class(samples) == "of 2 samples, phase is 'glass' in 2; label.positive is 'glass'"
    )


def test_labels_of_empty_configurations_do_not_stumble() -> None:
    frames = [Atoms(info={"phase": phase}) for phase in ("glass", "liquid")]
    assert classes(Samples("atoms", frames, ("a", "b"), ("a", "b"))) == [1, 0]
