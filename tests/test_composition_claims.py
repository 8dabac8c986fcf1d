"""Claims about branched networks, on rows made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vitrine.study.claims import Evidence, above_zero, row_text
from vitrine.study.composition_claims import schedulers_help
from vitrine.study.result import Row
from vitrine.testing import formula_samples
from vitrine.testing.inputs import vector_examples


def difference(low: float | None, high: float | None) -> Row:
    value = 0.0 if low is None or high is None else (low + high) / 2
    where = {"difference": "this model minus brnet", "seeds": [0, 1]}
    return Row("grouped", "ibrnet", "mae", value, low, high, where=where)


def evidence(*rows: Row) -> Evidence:
    return Evidence(
        samples=formula_samples(),
        examples=vector_examples(),
        scores={},
        groups=np.zeros(0, np.int64),
        main="brnet",
        threshold=0.5,
        prevalence=None,
        resamples=10,
        seed=0,
        track="grouped",
        rows=rows,
    )


@pytest.mark.parametrize(
    ("interval", "epochs", "holds", "words"),
    [
        ((-0.02, -0.01), (31, 40), True, "31 against 40 epochs"),
        ((-0.02, -0.01), (39.5, 40), True, "39.5 against 40 epochs"),
        ((-0.02, -0.01), (40, 40), None, "40 against 40 epochs: as many, so their limit ended both"),
        ((-0.02, -0.01), (40, 31), False, "40 against 31 epochs"),
        ((-0.02, 0.01), (31, 40), None, "31 against 40 epochs"),
        ((-0.02, 0.01), (40, 31), False, "40 against 31 epochs"),
        ((0.01, 0.02), (40, 40), False, "[+0.0100, +0.0200]; 40 against 40 epochs"),
        ((None, None), (31, 40), None, "31 against 40 epochs"),
        ((-0.02, -0.01), (), None, "epochs unknown"),
    ],
)
def test_schedulers_must_help_in_error_and_in_epochs(
    interval: tuple[float | None, float | None], epochs: tuple[float, ...], holds: bool | None, words: str
) -> None:
    rows = [Row("grouped", name, "epochs", n) for name, n in zip(("ibrnet", "brnet"), epochs, strict=False)]
    found = schedulers_help(evidence(difference(*interval), *rows))
    assert found.holds is holds and words in found.ours


def test_a_difference_is_said_where_its_interval_lies_on_one_side() -> None:
    assert above_zero(difference(0.1, 0.2)) is True and above_zero(difference(-0.2, -0.1)) is False
    for open_one in (None, difference(-0.1, 0.1), difference(0.0, 0.0), difference(None, None)):
        assert above_zero(open_one) is None


def test_rows_as_text() -> None:
    assert row_text(difference(0.1, 0.2), digits=2, signed=True) == "+0.15 [+0.10, +0.20]"
    assert row_text(difference(-0.2, 0.1)) == "-0.050 [-0.200, 0.100]"
    assert row_text(difference(None, None)) == "0.000" and row_text(None) == "not measured"
