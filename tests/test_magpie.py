"""Magpie attributes against matminer and by hand; columns of a table; representations side by side."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vitrine.errors import DataError, StudyError
from vitrine.physics import formulas as formula_module
from vitrine.physics import magpie
from vitrine.physics.formulas import ALL_ELEMENTS
from vitrine.physics.magpie import LABELS, PROPERTIES, elements, magpie_attributes
from vitrine.represent.composition import ElementalFractions
from vitrine.represent.joined import Joined
from vitrine.represent.magpie import Magpie
from vitrine.represent.table_columns import TableColumns
from vitrine.samples import Examples, Samples
from vitrine.study import shelf

AS_MATMINER = 1e-9
"""Of values above one relative; both add up doubles in another order."""
REFUSED = ("Nh", "Fl", "Mc", "Lv", "Ts", "Og")
KNOWN = tuple(symbol for symbol in ALL_ELEMENTS if symbol not in REFUSED)
AWKWARD = (
    "NaCl", "Fe2O3", "Fe3O4", "Fe", "O2", "He", "XeF4", "HeXe", "CaTiO3", "La1.85Sr0.15CuO4", "CO2", "LrN",
    "Ag0.5Ge1Pb1.75S4", "Na0.8Ca0.1Cl", "Fe0.3333333O0.6666667", "CH3CH2OH", "CuSO4(H2O)5", "Ca(OH)2", "C60",
    "AtF", "CnO2", "CrMnFeCoNi", "Hf20Zr20Ti20Cu20Ni20", "Zr41.2Ti13.8Cu12.5Ni10Be22.5", "FeO1e-7",
    "Fe1000O1500", "Fe99.9999C100", "NaKRbCsLiAgClBrIFO", "CNOSPClFeMn", "K3AlB10H10C2I", "Na2Ca3Al2F14",
    "CuInGaSeSTe", "Li0.5Mn0.25Fe0.25PO4", "Pd0.1Mo0.3O1.1", "Pd0.1Mo0.3O1.1000001",
)  # fmt: skip
"""Ties of the mode, gaps in the table, decimals, many elements, sums of charges that nearly vanish."""


def column(name: str) -> int:
    return LABELS.index(name)


def data_file(*parts: str) -> Path:
    root = os.environ.get("VITRINE_DATA")
    path = Path(root or "", *parts)
    if not root or not path.is_file():
        pytest.skip(f"set VITRINE_DATA to the folder that holds {'/'.join(parts)} to run this test")
    return path


def real_formulas(count: int) -> list[str]:
    """This many of the formulas of JARVIS and of Matbench's measured band gaps; 86 of 5,000 have decimals."""
    jarvis = pd.read_csv(data_file("jarvis_comp", "deltae_training_set.csv.gz"), keep_default_na=False)
    gaps = pd.read_json(data_file("matbench_comp", "matbench_expt_gap.json.bz2"))
    known = list(dict.fromkeys([*jarvis["pretty_comp"], *gaps["composition"]]))
    return [known[i] for i in np.random.default_rng(0).choice(len(known), count, replace=False)]


def by_matminer(texts: list[str]) -> np.ndarray[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.featurizers.base import MultipleFeaturizer
        from matminer.featurizers.composition import (
            ElementProperty,
            IonProperty,
            Stoichiometry,
            ValenceOrbital,
        )
        from pymatgen.core import Composition

        parts = [ElementProperty.from_preset("magpie"), Stoichiometry(), ValenceOrbital(props=["frac"])]
        peer = MultipleFeaturizer([*parts, IonProperty(fast=True)])
        assert tuple(peer.feature_labels()) == LABELS
        return np.array([peer.featurize(Composition(text)) for text in texts], dtype=np.float64)


def check_against_matminer(texts: list[str]) -> None:
    found, wanted = magpie_attributes(texts), by_matminer(texts)
    apart = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    row, label = np.unravel_index(int(apart.argmax()), apart.shape)
    assert apart.max() <= AS_MATMINER, (
        f"{texts[row]}: {LABELS[label]} {found[row, label]} {wanted[row, label]}"
    )


def table(formulas: tuple[str, ...] = ("NaCl", "Fe2O3", "CuO"), **columns: Any) -> Samples:
    items = pd.DataFrame({"formula": formulas, "target": np.arange(len(formulas)) * 0.1, **columns})
    names = tuple(f"t:{row + 1}" for row in range(len(formulas)))
    return Samples("formulas", items, ids=names, groups=names, about={"target": "gap"})


def build(part: Any, samples: Samples) -> Examples:
    found: Examples = part.build(samples, lambda tasks: [])
    return found


# --- against matminer


def test_awkward_formulas_are_those_of_matminer() -> None:
    check_against_matminer(list(AWKWARD))


def test_random_formulas_are_those_of_matminer() -> None:
    rng = np.random.default_rng(1)
    texts = []
    for size in range(1, 9):
        for _ in range(25):
            symbols = rng.choice(KNOWN, size, replace=False)
            amounts = rng.choice([1, 2, 3, 4, 6, 0.25, 0.5, 1.5, 0.1], size)
            texts.append("".join(f"{s}{n:g}" for s, n in zip(symbols, amounts, strict=True)))
    check_against_matminer(texts)


def test_ionic_formulas_are_those_of_matminer() -> None:
    # up to ten elements, most of several states, made neutral by fluorine and half of them spoilt again
    rng = np.random.default_rng(2)
    cations = ("Li", "Mg", "Al", "Ti", "Fe", "Co", "Ce", "Hg", "Cr", "Mo", "Pd", "Ru", "Eu", "Pb", "C", "Mn")
    texts = []
    for size in (1, 2, 3, 4, 5, 7, 9):
        for spoilt in (0, 0.1) * 6:
            symbols, amounts = rng.choice(cations, size, replace=False), rng.choice([1, 2, 3, 0.5, 0.1], size)
            charges = [elements().states[ALL_ELEMENTS.index(s)] for s in symbols]
            charge = sum(n * rng.choice(q[q > 0]) for n, q in zip(amounts, charges, strict=True))
            text = "".join(f"{s}{n:g}" for s, n in zip(symbols, amounts, strict=True))
            texts.append(f"{text}F{charge + spoilt:.1f}")
    found = magpie_attributes(texts)[:, column("compound possible")]
    assert 0.5 <= found.mean() < 1.0
    check_against_matminer(texts)


def test_some_real_formulas_are_those_of_matminer() -> None:
    check_against_matminer(real_formulas(300))


@pytest.mark.slow
def test_5000_real_formulas_are_those_of_matminer() -> None:
    check_against_matminer(real_formulas(5_000))


def test_the_table_is_what_matminer_and_pymatgen_hold() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.utils.data import MagpieData
        from pymatgen.core import Element

        raw, known = MagpieData(impute_nan=False), elements()
        for number, symbol in enumerate(ALL_ELEMENTS):
            values = [raw.get_elemental_property(Element(symbol), name) for name in PROPERTIES]
            np.testing.assert_array_equal(known.properties[number], values)
            states = known.states[number, : known.n_states[number]]
            assert tuple(states) == Element(symbol).common_oxidation_states


# --- by hand


def test_rock_salt_by_hand() -> None:
    found = dict(zip(LABELS, magpie_attributes(["NaCl"])[0], strict=True))
    wanted = {
        "MagpieData minimum Number": 11,
        "MagpieData maximum Number": 17,
        "MagpieData range Number": 6,
        "MagpieData mean Number": 14,
        "MagpieData avg_dev Number": 3,
        "MagpieData mode Number": 11,  # a tie: the least
        "MagpieData mean Electronegativity": (0.93 + 3.16) / 2,
        "0-norm": 2,
        "2-norm": 0.5**0.5,
        "10-norm": (2 * 0.5**10) ** 0.1,
        "frac s valence electrons": (1 + 2) / 8,  # 3s1, and 3s2 3p5
        "frac p valence electrons": 5 / 8,
        "frac d valence electrons": 0,
        "compound possible": 1,
        "max ionic char": 1 - np.exp(-0.25 * (3.16 - 0.93) ** 2),
        "avg ionic char": 0.25 * (1 - np.exp(-0.25 * (3.16 - 0.93) ** 2)),
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)


def test_haematite_by_hand() -> None:
    found = dict(zip(LABELS, magpie_attributes(["Fe2O3"])[0], strict=True))
    mean = (2 * 26 + 3 * 8) / 5
    wanted = {
        "MagpieData mean Number": mean,
        "MagpieData avg_dev Number": (2 * (26 - mean) + 3 * (mean - 8)) / 5,
        "MagpieData mode Number": 8,  # of oxygen, which is more frequent
        "MagpieData maximum MeltingT": 1811.0,
        "MagpieData mode MeltingT": 54.8,
        "2-norm": (0.4**2 + 0.6**2) ** 0.5,
        "3-norm": (0.4**3 + 0.6**3) ** (1 / 3),
        "frac d valence electrons": 0.4 * 6 / (0.4 * 8 + 0.6 * 6),
        "compound possible": 1,
        "avg ionic char": 0.4 * 0.6 * (1 - np.exp(-0.25 * (3.44 - 1.83) ** 2)),
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "possible"),
    [("FeO", 1), ("Fe3O4", 0), ("NaCl2", 0), ("Fe", 1), ("CaTiO3", 1), ("FeAl", 0), ("HeF2", 0)],
)
def test_neutral_compounds(text: str, possible: int) -> None:
    # one state for each element, so not Fe(II) beside Fe(III); He has none
    assert magpie_attributes([text])[0, column("compound possible")] == possible


def test_145_columns_each_named_once() -> None:
    assert len(LABELS) == len(set(LABELS)) == 145
    assert magpie_attributes([]).shape == (0, 145)
    assert magpie_attributes(["Fe"]).dtype == np.float64


# --- invariance


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KNOWN), st.integers(1, 30), min_size=1, max_size=7),
    st.sampled_from([2, 3, 10, 0.5, 0.25]),
    st.randoms(),
)
def test_neither_order_nor_scale_matters(amounts: dict[str, int], scale: float, random: Any) -> None:
    items = list(amounts.items())
    random.shuffle(items)
    text = "".join(f"{symbol}{amount}" for symbol, amount in amounts.items())
    other = "".join(f"{symbol}{amount * scale:.2f}" for symbol, amount in items)
    one, two = magpie_attributes([text, other])
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-10)


def test_a_row_does_not_depend_on_the_others() -> None:
    texts = [*AWKWARD, "NaCl", "Fe"]
    together = magpie_attributes(texts)
    for row, text in enumerate(texts):
        np.testing.assert_allclose(together[row], magpie_attributes([text])[0], rtol=1e-12, atol=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = magpie_attributes(list(AWKWARD))
    monkeypatch.setattr(magpie, "_AT_ONCE", 3)
    monkeypatch.setattr(magpie, "_SMALL", 1)  # halves for all
    np.testing.assert_allclose(magpie_attributes(list(AWKWARD)), wanted, rtol=1e-12, atol=1e-12)


# --- what cannot be


def test_an_element_without_properties_names_row_and_element() -> None:
    with pytest.raises(DataError, match=r"t:2: 'OgF2' holds Og, of which .* nothing"):
        build(Magpie(), table(("NaCl", "OgF2")))


def test_gaps_are_filled_or_refused() -> None:
    samples = table(("NaCl", "HeXe"))
    filled = build(Magpie(), samples).features[1]
    known = elements().properties[:, PROPERTIES.index("MeltingT")]
    wanted = {np.float32(np.nanmean(known)), np.float32(known[ALL_ELEMENTS.index("Xe")])}
    ends = {filled[column(f"MagpieData {end} MeltingT")] for end in ("minimum", "maximum")}
    assert ends == wanted
    with pytest.raises(
        DataError, match=r"t:2: 'HeXe' holds He, whose MeltingT, Electronegativity, X are not"
    ):
        build(Magpie(missing="refuse"), samples)
    assert np.isfinite(build(Magpie(missing="refuse"), table()).features).all()


def test_every_known_element_has_finite_attributes() -> None:
    assert np.isfinite(magpie_attributes(list(KNOWN))).all()
    for symbol in REFUSED:
        with pytest.raises(DataError, match=symbol):
            magpie_attributes([symbol])


def test_no_formula_names_the_row() -> None:
    with pytest.raises(DataError, match=r"row 2: 'Xx' is not a formula"):
        magpie_attributes(["NaCl", "Xx"])
    with pytest.raises(DataError, match="no samples"):
        build(Magpie(), table(()))


def test_too_many_states_are_said_and_do_not_hang() -> None:
    charged = [symbol for symbol, n in zip(ALL_ELEMENTS, elements().n_states, strict=True) if n]
    text = "".join(f"{s}0.{(i * 7919 + 104729) % 999983:06d}" for i, s in enumerate(charged, 1))
    text += "F150"  # so that the sum may vanish
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"row 2: \d+ elements have more oxidation states"):
        magpie_attributes(["NaCl", text])
    assert np.isfinite(
        magpie_attributes(["".join(charged) + "F300"])
    ).all()  # whole amounts have few sums, however many elements
    assert time.perf_counter() - start < 10.0


def test_5000_formulas_take_a_moment() -> None:
    rng = np.random.default_rng(0)
    symbols, counts = rng.choice(KNOWN, (5_000, 4)), rng.integers(1, 9, (5_000, 4))
    texts = [
        "".join(f"{s}{n}" for s, n in zip(*row, strict=True)) for row in zip(symbols, counts, strict=True)
    ]
    formula_module._parse.cache_clear()
    start = time.process_time()
    magpie_attributes(texts)
    # 0.06 s on one core, matminer 5 s; the bound leaves room for a busy machine
    assert time.process_time() - start < 1.0


def test_the_part_makes_vectors() -> None:
    examples = build(Magpie(), table())
    assert examples.features.shape == (3, 145) and examples.features.dtype == np.float32
    assert examples.target_kind == "value" and examples.makes == "vectors" and examples.target is None
    assert "10.1038/npjcompumats.2016.28" in Magpie().citations()


# --- columns of the table


def test_columns_are_features_as_they_are() -> None:
    samples = table(density=[1, 2, 3], name=["a", "b", "c"], annealed=[True, False, True])
    examples = build(TableColumns(columns=("annealed", "density")), samples)
    assert examples.feature_labels == ("annealed", "density") and examples.target_kind == "value"
    np.testing.assert_array_equal(examples.features, [[1, 1], [0, 2], [1, 3]])


def test_numbers_in_text_are_numbers() -> None:
    examples = build(TableColumns(columns=("t",)), table(t=["1.5", " 2", 3]))
    np.testing.assert_array_equal(examples.features[:, 0], [1.5, 2, 3])


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([1.0, np.nan, 2.0], "t:2: t is empty"),
        (["1", "", "2"], "t:2: t is empty"),
        ([1, None, None], "t:2: t is empty (2 such rows)"),
        (["1", "2", "high"], "t:3: t is 'high', not a finite number (1 such rows)"),
        ([1.0, 2.0, np.inf], "t:3: t is inf, not a finite number"),
        (["1", "inf", "2"], "t:2: t is 'inf', not a finite number"),
        ([1.0, 1e300, 2.0], "t:2: t is not a finite number of single precision"),
        ([1, [2], 3], "t:2: t is [2], not"),
        ([1j, 2j, 3j], "t:1: t is 1j, not"),
        (pd.to_datetime(["2020-01-01"] * 3), "t:1: t is 2020-01-01 00:00:00, not"),
        (pd.array([1, None, 3], dtype="Int64"), "t:2: t is empty"),
    ],
)
def test_a_cell_that_is_no_number_is_named(cells: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        build(TableColumns(columns=("t",)), table(t=cells))
    assert words in str(caught.value)


def test_an_unknown_column_is_said_with_the_likely_one() -> None:
    with pytest.raises(DataError, match=r"no column 'densty'; did you mean 'density'\?"):
        build(TableColumns(columns=("densty",)), table(density=[1, 2, 3]))
    with pytest.raises(DataError, match="no columns but formula and target"):
        build(TableColumns(columns=("density",)), table())


@pytest.mark.parametrize("name", ["target", "gap"])
def test_the_target_is_no_feature(name: str) -> None:
    with pytest.raises(DataError, match=f"'{name}' is the target"):
        build(TableColumns(columns=("density", name)), table(density=[1, 2, 3]))


def test_a_copy_of_the_target_is_no_feature() -> None:
    with pytest.raises(DataError, match="'again' equals the target"):
        build(TableColumns(columns=("again",)), table(again=[0.0, 0.1, 0.2]))


def test_to_predict_no_target_is_needed() -> None:
    samples = table(density=[1, 2, 3])
    samples = replace(samples, items=samples.items.drop(columns="target"), about={})
    assert build(TableColumns(columns=("density",)), samples).n_rows == 3


def test_columns_are_asked_for_once_and_at_least_one() -> None:
    for wrong in ((), ("a", "a")):
        with pytest.raises(ValidationError):
            TableColumns(columns=wrong)


# --- side by side


def test_joined_is_its_parts_side_by_side() -> None:
    parts = (ElementalFractions(), Magpie(), TableColumns(columns=("density",)))
    samples = table(density=[1, 2, 3])
    examples = build(Joined(of=parts), samples)
    alone = [build(part, samples) for part in parts]
    np.testing.assert_array_equal(examples.features, np.hstack([one.features for one in alone]))
    assert examples.feature_labels == sum((one.feature_labels for one in alone), ())
    assert examples.ids == samples.ids and examples.target_kind == "value" and examples.makes == "vectors"
    assert set(Joined(of=parts).citations()) == {*parts[0].citations(), *parts[1].citations()}


def test_joined_is_read_from_a_study_file() -> None:
    of = [{"kind": "magpie", "missing": "refuse"}, {"kind": "table-columns", "columns": ["density"]}]
    part = shelf.parse("representation", {"kind": "joined", "of": of}, "representation")
    assert part == Joined(of=(Magpie(missing="refuse"), TableColumns(columns=("density",))))


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ([{"kind": "magpi"}, {"kind": "magpie"}], "of.0: no representation of kind 'magpi'"),
        ([{"kind": "magpi"}, {"kind": "magpie"}], "did you mean 'magpie'?"),
        ([{"kind": "magpie"}, {"kind": "joined", "of": []}], "of.1: no representation of kind 'joined'"),
        ([{"kind": "magpie"}, "magpie"], "of.1: expected a mapping"),
        ([{"kind": "magpie"}], "at least 2"),
        ([{"kind": "magpie"}, {"kind": "magpie"}], "'MagpieData minimum Number' comes from 'magpie' and"),
        ([{"kind": "magpie"}, {"kind": "table-columns"}], "columns: is missing"),
        ([{"kind": "magpie", "missing": "none"}, {"kind": "elemental-fractions"}], "missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_said(of: Any, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        shelf.parse("representation", {"kind": "joined", "of": of}, "representation")
    assert words in str(caught.value)


def test_the_recipe_holds_the_versions_of_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Joined(of=(Magpie(), ElementalFractions()))
    before = part.recipe()
    monkeypatch.setattr(Magpie, "version", 99)
    assert part.recipe() != before


def test_other_rows_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Magpie.build
    monkeypatch.setattr(Magpie, "build", lambda self, s, c: own(self, s, c).select([0, 1]))
    with pytest.raises(DataError, match="'magpie' 2 of 2: they cannot be joined"):
        build(Joined(of=(ElementalFractions(), Magpie())), table())
