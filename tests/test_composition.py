"""Formulas against pymatgen and by hand; elemental fractions against iBRNet's published columns."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core.composition import Composition

from vitrine.errors import DataError, MissingExtra
from vitrine.physics import formulas
from vitrine.physics.formulas import (
    ALL_ELEMENTS,
    ELEMENTNET_86,
    fractions,
    parse_formula,
    reduced_formula,
)
from vitrine.represent.composition import ElementalFractions
from vitrine.samples import Samples

FLOAT32 = 1e-7
"""Fractions are at most one; float32 keeps 6e-8 of that."""

COMPOSITIONS = st.dictionaries(st.sampled_from(ELEMENTNET_86), st.integers(1, 50), min_size=1, max_size=6)


def data_folder(name: str) -> Path:
    root = os.environ.get("VITRINE_DATA")
    if not root:
        pytest.skip(f"set VITRINE_DATA to the folder that holds {name}/ to run this test")
    folder = Path(root) / name
    if not folder.is_dir():
        pytest.skip(f"VITRINE_DATA={root} holds no folder {name}")
    return folder


def written(amounts: dict[str, Any]) -> str:
    return "".join(f"{symbol}{amount}" for symbol, amount in amounts.items())


def formula_samples(*texts: str) -> Samples:
    items = pd.DataFrame({"formula": list(texts)})
    names = tuple(f"t:{row + 1}" for row in range(len(texts)))
    return Samples("formulas", items, ids=names, groups=names)


def build(part: ElementalFractions, *texts: str) -> Any:
    return part.build(formula_samples(*texts), lambda tasks: [])


# --- the lists of elements


def test_elements_are_those_of_the_periodic_table() -> None:
    from ase.data import chemical_symbols

    assert list(ALL_ELEMENTS) == chemical_symbols[1:119]
    assert sorted(formulas._ORDER) == sorted(ALL_ELEMENTS)


def test_elemnet_has_86_elements() -> None:
    assert len(ELEMENTNET_86) == 86
    assert ELEMENTNET_86[0] == "H" and ELEMENTNET_86[-1] == "Pu"
    assert {"Kr", "Xe"} <= set(ELEMENTNET_86)
    assert not {"He", "Ne", "Ar", "Po", "At", "Rn", "Fr", "Ra"} & set(ELEMENTNET_86)


def test_writing_order_is_pymatgens_electronegativity() -> None:
    # pymatgen sorts by Pauling electronegativity, then symbol; ours is a frozen copy
    from pymatgen.core.periodic_table import Element

    known = [
        symbol for symbol in formulas._ORDER if Element(symbol).Z <= 94 and symbol not in ("He", "Ne", "Ar")
    ]
    assert known == sorted(known, key=lambda symbol: (Element(symbol).X, symbol))


# --- parsing


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("Fe2O3", {"Fe": 2, "O": 3}),
        ("Ag0.5Ge1Pb1.75S4", {"Ag": 0.5, "Ge": 1, "Pb": 1.75, "S": 4}),  # the authors' script: Ag 5
        ("La1.85Sr0.15CuO4", {"La": 1.85, "Sr": 0.15, "Cu": 1, "O": 4}),
        ("CH3CH2OH", {"C": 2, "H": 6, "O": 1}),
        ("NaN", {"Na": 1, "N": 1}),
        ("CO", {"C": 1, "O": 1}),
        ("Co", {"Co": 1}),
        ("Ca(OH)2", {"Ca": 1, "O": 2, "H": 2}),
        ("[Cu(NH3)4]SO4", {"Cu": 1, "N": 4, "H": 12, "S": 1, "O": 4}),
        ("((Fe2O3)2)3", {"Fe": 12, "O": 18}),
        ("Ca1 Ag2 Ge2", {"Ca": 1, "Ag": 2, "Ge": 2}),
        (" Fe 2 O 3\n", {"Fe": 2, "O": 3}),
        ("Fe₂O₃", {"Fe": 2, "O": 3}),
        ("Fe2O0", {"Fe": 2}),
        ("Fe.5Co.5", {"Fe": 0.5, "Co": 0.5}),
        ("Fe1e-2Co(Ni)1e1", {"Fe": 0.01, "Co": 1, "Ni": 10}),
        # hydrates and adducts
        ("CuSO4·5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CuSO4*5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CuSO4 . 5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CaSO4.H2O", {"Ca": 1, "S": 1, "O": 5, "H": 2}),
        ("CaSO4·0.5H2O", {"Ca": 1, "S": 1, "O": 4.5, "H": 1}),
        ("CaSO4·2.5H2O", {"Ca": 1, "S": 1, "O": 6.5, "H": 5}),
        ("3Al2O3·2SiO2", {"Al": 6, "O": 13, "Si": 2}),
        ("AlCl3·6H2O·2NH3", {"Al": 1, "Cl": 3, "H": 18, "O": 6, "N": 2}),
        ("Na0.3H2O", {"Na": 0.3, "H": 2, "O": 1}),
    ],
)
def test_formulas_are_read(text: str, amounts: dict[str, float]) -> None:
    assert parse_formula(text) == pytest.approx(amounts)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("123", "it is a number"),
        ("-0.5", "it is a number"),
        ("Xx2", "'Xx' is not an element"),
        ("X2", "'X' is not an element"),  # pymatgen: a dummy species
        ("Ee2O", "'Ee' is not an element"),
        ("FE2O3", "'E' is not an element"),
        ("Uue", "'Uue' is not an element"),
        ("D2O", "isotope"),  # pymatgen: H2O
        ("T2O(OH)", "isotope"),
        ("fe2o3", "capital letter"),
        ("nan", "capital letter"),
        ("Fe2+", "charges"),
        ("Fe-2", "negative amounts"),
        ("H2O-1", "negative amounts"),
        ("YBa2Cu3O7-x", "unknown amounts"),
        ("Fe2O3 (s)", "capital letter"),
        ("2H2O", "belongs to no element"),
        ("Fe2 3", "belongs to no element"),
        ("(Fe)(2)", "belongs to no element"),
        ("Fe1/2", "unexpected character '/'"),
        ("NаCl", "unexpected character"),  # a Cyrillic a
        ("Fe٢", "unexpected character"),  # an Arabic two, a digit to Python
        ("(Fe2O3", "not closed"),
        ("Fe2O3)", "not opened"),
        ("Fe()2", "empty"),
        ("Fe( )2", "empty"),
        ("Fe0", "zero"),
        ("(Fe)0", "zero"),
        ("Fe2O3·", "nothing on one side"),
        ("*Fe", "nothing on one side"),
        ("2-Feb", "spreadsheets"),  # in JARVIS' table of mbj band gaps
        ("Fe1e99", "larger than"),
        ("Fe" + "9" * 400, "larger than"),
        ("(((Fe9999)9999)9999)9999", "larger than"),
        ("FeO" * 400, "1,200 characters"),
    ],
)
def test_nonsense_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(DataError, match="formula") as caught:
        parse_formula(text)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text", ["CuSO4.5H2O", "Na2CO3.10H2O", "NaCl.2H2O", "K3[Fe(CN)6].3H2O", "(CuO)2.5(H2O)", "CaSO4.0.5H2O"]
)
def test_a_dot_with_two_readings_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="two ways"):
        parse_formula(text)


@pytest.mark.parametrize("value", [None, float("nan"), 12, ["Fe"]])
def test_only_text_is_a_formula(value: Any) -> None:
    with pytest.raises(DataError, match="not text"):
        parse_formula(value)


def test_the_result_is_the_callers_own() -> None:
    parse_formula("Fe2O3")["Fe"] = 99
    parse_formula("Fe2(O)3")["Fe"] = 99
    assert parse_formula("Fe2O3") == parse_formula("Fe2(O)3") == {"Fe": 2, "O": 3}


HOSTILE = ["(" * 499 + "Fe" + ")" * 499, "(" * 1000, "Fe" + " " * 900 + "O", "1.1" * 300, "." * 1000]
HOSTILE += ["(Fe2O3)9" * 120, "Fe2.5H2O ." * 99, "A" * 1000, "Fe0." + "1" * 900, "e" * 1000, " ." * 400]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_does_not_hang(text: str) -> None:
    start = time.perf_counter()
    try:
        parse_formula(text)
    except DataError as error:
        assert len(str(error)) < 300
    assert time.perf_counter() - start < 1.0


@given(st.text(alphabet="FeOSi()[]0123456789.·*+- eé", max_size=25))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        amounts = parse_formula(text)
    except DataError:
        return
    assert amounts and all(0 < amount <= formulas.LARGEST_AMOUNT for amount in amounts.values())
    assert set(amounts) <= set(ALL_ELEMENTS)


@given(
    st.dictionaries(st.sampled_from(ALL_ELEMENTS), st.decimals("0.001", 99, places=3), min_size=1, max_size=6)
)
def test_the_quick_path_is_pymatgen(amounts: dict[str, Any]) -> None:
    text = written(amounts)
    assert formulas._PLAIN.fullmatch(text)
    try:
        found = parse_formula(text)
    except DataError as error:
        assert "two ways" in str(error)  # ...H2O at random
        return
    assert found == {element.symbol: amount for element, amount in Composition(text).items()}


def test_plain_formulas_need_no_pymatgen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymatgen.core.composition", None)
    assert parse_formula("Fe3O4Al7") == {"Fe": 3, "O": 4, "Al": 7}
    with pytest.raises(MissingExtra, match=r"vitrine\[composition\]"):
        parse_formula("Fe3(O4Al7)2")


# --- the grouping key


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        (("Fe2O3", "Fe4O6", "O3Fe2", "(Fe2O3)7", "Fe0.4O0.6"), "Fe2O3"),
        (("Ag0.5Ge0.5", "AgGe", "Ge2Ag2"), "AgGe"),
        (("CaSO4(H2O)0.5", "CaSO4·0.5H2O", "Ca2S2O9H2"), "Ca2H2S2O9"),
        (("La1.85Sr0.15CuO4",), "Sr3La37Cu20O80"),
        (("Fe0.333333O0.666667", "Fe0.3333333O0.6666667"), "FeO2"),
        (("O2", "O", "O3"), "O"),
        (("Al33.33Ni66.67",), "Al3333Ni6667"),
    ],
)
def test_reduced_formula(texts: tuple[str, ...], key: str) -> None:
    assert {reduced_formula(parse_formula(text)) for text in texts} == {key}


def test_close_compositions_stay_apart() -> None:
    texts = ["Fe0.4O0.6", "Fe0.401O0.599", "Fe0.4001O0.5999", "Fe0.40001O0.59999"]
    assert len({reduced_formula(parse_formula(text)) for text in texts}) == 4


def test_a_composition_without_small_integers_is_written_with_fractions() -> None:
    amounts = {"Li": 1.0, "Fe": 2**0.5, "Ni": np.pi, "N": np.e, "O": 3**0.5, "F": 5**0.5}
    key = reduced_formula(amounts)
    total = sum(amounts.values())
    assert key == "".join(f"{symbol}{amount / total:.6f}" for symbol, amount in amounts.items())
    assert reduced_formula({symbol: 7 * amount for symbol, amount in amounts.items()}) == key


@given(COMPOSITIONS, st.sampled_from([1, 2, 7, 0.5, 0.1, 1 / 3, 1 / 7, 1e-3, 12.5]), st.randoms())
def test_the_key_knows_neither_order_nor_scale(amounts: dict[str, int], scale: float, random: Any) -> None:
    items = [(symbol, amount * scale) for symbol, amount in amounts.items()]
    random.shuffle(items)
    key = reduced_formula(amounts)
    assert reduced_formula(dict(items)) == key
    assert reduced_formula(parse_formula(key)) == key


@given(COMPOSITIONS)
def test_the_key_is_the_same_composition(amounts: dict[str, int]) -> None:
    ours, whole = Composition(reduced_formula(amounts)), Composition(amounts)
    assert ours.fractional_composition.almost_equals(whole.fractional_composition)
    assert math.gcd(*(int(amount) for amount in ours.values())) == 1


@pytest.mark.parametrize("amounts", [{}, {"Xx": 1.0}, {"Fe": -1.0}, {"Fe": float("nan")}, {"Fe": 0.0}])
def test_reduced_formula_refuses_nonsense(amounts: dict[str, float]) -> None:
    with pytest.raises(DataError, match="not a composition"):
        reduced_formula(amounts)


# --- fractions


def test_fractions_by_hand() -> None:
    expected = [[0, 0.4, 0.6], [1 / 3, 0, 2 / 3], [0, 0.4, 0.6]]
    found = fractions(["Fe2O3", "HO2", "O6Fe4"], ("H", "Fe", "O"))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-15)
    assert fractions([], ("H", "Fe")).shape == (0, 2)


def test_fractions_name_the_row() -> None:
    with pytest.raises(DataError, match=r"row 2: 'HeO' holds He, not among the 2"):
        fractions(["FeO", "HeO"], ("Fe", "O"))
    with pytest.raises(DataError, match=r"t:7: 'Xx' is not a formula"):
        fractions(["Xx"], ELEMENTNET_86, names=["t:7"])


@given(COMPOSITIONS, st.sampled_from([1, 3, 0.5, 0.25]), st.randoms())
def test_features_know_neither_order_nor_scale(amounts: dict[str, int], scale: float, random: Any) -> None:
    items = list(amounts.items())
    random.shuffle(items)
    other = written({symbol: f"{amount * scale:.2f}" for symbol, amount in items})
    examples = build(ElementalFractions(), written(amounts), f"({other})2")
    assert examples.features.shape == (2, 86) and examples.features.dtype == np.float32
    np.testing.assert_allclose(examples.features[0], examples.features[1], atol=FLOAT32)
    np.testing.assert_allclose(examples.features.sum(axis=1), 1.0, atol=10 * FLOAT32)
    assert (examples.features >= 0).all()


def test_examples_are_vectors_without_a_target() -> None:
    part = ElementalFractions()
    examples = build(part, "Fe2O3", "NaCl")
    assert examples.makes == part.makes == "vectors" and part.takes == "formulas"
    assert examples.target is None and examples.target_kind == "value" and examples.edges is None
    assert examples.ids == ("t:1", "t:2") and examples.starts.tolist() == [0, 1, 2]
    assert examples.feature_labels == part.feature_labels() == ELEMENTNET_86
    assert examples.select([1]).features[0, ELEMENTNET_86.index("Cl")] == 0.5
    assert any("s41598-018-35934-y" in doi for doi in part.citations())


def test_an_element_outside_the_list_names_row_element_and_way_out() -> None:
    with pytest.raises(DataError) as caught:
        build(ElementalFractions(), "Fe2O3", "XeHe2", "ArFe")
    for words in ("t:2", "'XeHe2'", "holds He", "2 such rows", "elements=all"):
        assert words in str(caught.value)
    examples = build(ElementalFractions(elements="all"), "Fe2O3", "XeHe2", "ArFe")
    assert examples.features.shape == (3, 118)
    assert examples.features[1, 1] == pytest.approx(2 / 3)


def test_fractions_are_ibrnets_columns() -> None:
    # iBRNet ships its 86 input columns (float32) beside the formulas
    folder = data_folder("brnet_ibrnet")
    for name, n in (("train", 451), ("val", 50), ("test", 56)):
        table = pd.read_csv(folder / f"ibrnet_{name}.csv.gz", keep_default_na=False)
        assert len(table) == n and tuple(table.columns[1:87]) == ELEMENTNET_86
        found = build(ElementalFractions(), *table["pretty_comp"]).features
        np.testing.assert_allclose(found, table[list(ELEMENTNET_86)].to_numpy(np.float32), atol=FLOAT32)


REAL_TABLES = [
    ("matbench_comp", "matbench_expt_gap.json.bz2"),
    ("matbench_comp", "matbench_perovskites.json.bz2"),
    ("jarvis_comp", "deltae_training_set.csv.gz"),
    ("oqmd_crabnet", "mp_e_hull_val.csv.gz"),
    ("oqmd_crabnet", "OQMD_Formation_Enthalpy_val.csv.gz"),
]


@pytest.mark.parametrize(("folder", "name"), REAL_TABLES)
def test_real_formulas_are_read_as_by_pymatgen(folder: str, name: str) -> None:
    path = data_folder(folder) / name
    table = pd.read_json(path) if ".json" in name else pd.read_csv(path, keep_default_na=False)
    column = next(c for c in ("formula", "composition", "pretty_comp") if c in table)
    texts = table[column].unique()[:15_000]
    for text in texts:
        assert parse_formula(text) == {
            element.symbol: amount for element, amount in Composition(text).items()
        }


def test_many_formulas_take_seconds() -> None:
    rng = np.random.default_rng(0)
    symbols, counts = rng.choice(ELEMENTNET_86, (20_000, 4)), rng.integers(1, 99, (20_000, 4))
    texts = [
        "".join(f"{s}{n}" for s, n in zip(*row, strict=True)) for row in zip(symbols, counts, strict=True)
    ]
    start = time.perf_counter()
    matrix = fractions(texts, ELEMENTNET_86)
    keys = {reduced_formula(parse_formula(text)) for text in texts}
    # 0.6 s on one core; the bound leaves room for a busy machine
    assert time.perf_counter() - start < 6.0
    assert matrix.shape == (20_000, 86) and len(keys) > 19_000
