"""Tables of formulas: what is read, what is refused and in which words; the column as a label."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vitrine.arrays import hash_file
from vitrine.errors import DataError
from vitrine.measure.column import Column
from vitrine.samples import Samples
from vitrine.simulate.table import Table, read_formulas
from vitrine.tasks import digest

GOOD = "formula,e_form,volume\nFe2O3,-1.5,10\nFe4O6,-1.4,20\nAg0.5Ge1,0.25,30\nCa(OH)2,-2,40\n"
ONE = "formula,e_form\nFe2O3,-1.5\n"


@pytest.fixture
def write(tmp_path: Path):
    def writer(text: str | bytes, name: str = "alloys.csv") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return writer


def read(path: str, **settings) -> Samples:
    part = Table(table=path, **settings)
    assert part.tasks() == []
    return part.samples(())


def refusal(path: str, **settings) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **settings)
    assert Path(path).name in str(caught.value)
    return str(caught.value)


# --- what is read


def test_rows_ids_groups_and_provenance(write) -> None:
    path = write(GOOD)
    samples = read(path, target="e_form")
    assert samples.kind == Table.yields == "formulas"
    assert samples.ids == ("alloys:1", "alloys:2", "alloys:3", "alloys:4")
    assert samples.groups == ("Fe2O3", "Fe2O3", "AgGe2", "CaH2O2")
    assert list(samples.items.columns) == ["formula", "target", "volume"]
    assert samples.items["formula"].tolist() == ["Fe2O3", "Fe4O6", "Ag0.5Ge1", "Ca(OH)2"]
    assert samples.items["target"].tolist() == [-1.5, -1.4, 0.25, -2.0]
    assert samples.items["target"].dtype == np.float64
    assert samples.about == {
        "table": "alloys.csv",
        "sha256": hash_file(Path(path)),
        "formula": "formula",
        "target": "e_form",
        "targets": ["e_form"],
        "rows": 4,
        "skipped": 0,
    }
    assert samples.left_out == {}


@pytest.mark.parametrize("name", ["alloys.csv", "alloys.csv.gz", "alloys.parquet", "Alloys.CSV"])
def test_kinds_of_file_give_the_same(write, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        path = str(tmp_path / name)
        pd.read_csv(write(GOOD)).to_parquet(path)
    else:
        path = write(gzip.compress(GOOD.encode()) if name.endswith("gz") else GOOD, name)
    samples = read(path, target="e_form")
    assert samples.items["target"].tolist() == [-1.5, -1.4, 0.25, -2.0]
    assert samples.ids[0] == f"{name.split('.')[0]}:1"


@pytest.mark.parametrize("column", ["composition", "pretty_comp", "pretty_formula", "Formula", " formula "])
def test_usual_names_of_the_formula_column(write, column: str) -> None:
    samples = read(write(ONE.replace("formula", column)))
    assert samples.items["formula"].tolist() == ["Fe2O3"]
    assert samples.about["formula"] == column.strip()


def test_the_only_numeric_column_is_the_target(write) -> None:
    # the unnamed first column is the index that pandas writes (JARVIS' tables have it)
    text = ",pretty_comp,gap,stable,source\n0,Fe2O3,2.1,True,a\n1,NaCl,8.5,False,b\n"
    samples = read(write(text))
    assert samples.about["target"] == "gap"
    assert list(samples.items.columns) == ["Unnamed: 0", "formula", "target", "stable", "source"]


def test_sodium_nitride_is_not_a_missing_value(write) -> None:
    samples = read(write("formula,y\nNaN,1\nInF3,2\nNa,3\n"))
    assert samples.items["formula"].tolist() == ["NaN", "InF3", "Na"]
    assert samples.groups == ("NaN", "InF3", "Na")


def test_a_chosen_column_beside_one_of_the_usual_name(write) -> None:
    samples = read(write("formula,pretty,target,y\njunk,FeO,9,1\n"), formula="pretty", target="y")
    assert samples.items["formula"].tolist() == ["FeO"] and samples.items["target"].tolist() == [1.0]
    assert list(samples.items.columns) == ["formula (table)", "formula", "target (table)", "target"]


def test_groups_from_a_column(write) -> None:
    text = "formula,y,paper\nFeO,1,a\nFeO,2,b\nNiO,3,\n"
    assert "row 3: paper is missing" in refusal(write(text), target="y", group="paper")
    samples = read(write(text), target="y", group="paper", limit=2)
    assert samples.groups == ("a", "b")


def test_quotes_blank_lines_byte_order_mark_and_exact_numbers(write) -> None:
    text = '\ufeffformula,y,note\r\n"Fe2O3",0.1234567890123456789,"a, b"\r\n\r\n CaO ,1e-3,"two\nlines"\r\n'
    samples = read(write(text))
    assert samples.ids == ("alloys:1", "alloys:2")
    assert samples.items["formula"].tolist() == ["Fe2O3", "CaO"]
    assert samples.items["target"].tolist() == [0.1234567890123456789, 1e-3]


def test_limit_takes_the_first_rows(write, tmp_path: Path) -> None:
    assert read(write(GOOD), target="e_form", limit=2).ids == ("alloys:1", "alloys:2")
    pd.read_csv(write(GOOD)).to_parquet(tmp_path / "t.parquet")
    assert len(read(str(tmp_path / "t.parquet"), target="e_form", limit=3)) == 3
    assert len(read(write(GOOD), target="e_form", limit=99)) == 4


def test_a_relative_path_is_relative_to_the_current_folder(write, monkeypatch) -> None:
    monkeypatch.chdir(Path(write(ONE)).parent)
    assert len(read("alloys.csv")) == 1


@given(st.lists(st.tuples(st.sampled_from(["Fe", "Ni", "OH2"]), st.floats(-9, 9)), min_size=1, max_size=20))
def test_what_is_written_is_read(tmp_path_factory, rows) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    pd.DataFrame(rows, columns=["formula", "y"]).to_csv(path, index=False)
    samples = read(str(path))
    assert samples.items["target"].tolist() == [value for _, value in rows]
    assert samples.ids == tuple(f"t:{row + 1}" for row in range(len(rows)))


# --- the recipe


def test_the_recipe_holds_the_content_not_the_path(write, tmp_path: Path) -> None:
    path = Path(write(ONE))
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "alloys.csv"
    copy.write_text(ONE)
    recipe = Table(table=str(path)).recipe()
    assert str(tmp_path) not in str(recipe) and hash_file(path) in str(recipe)
    key = digest(recipe)
    assert digest(Table(table=str(copy)).recipe()) == key
    assert digest(Table(table=str(copy), skip_bad=True).recipe()) == key  # alike where both succeed
    assert digest(Table(table=str(copy), limit=1).recipe()) != key
    copy.write_text(ONE.replace("1.5", "1.6"))
    assert digest(Table(table=str(copy)).recipe()) != key


def test_unknown_settings_are_errors() -> None:
    with pytest.raises(ValidationError):
        Table(table="a.csv", colour="red")
    with pytest.raises(ValidationError):
        Table(table="a.csv", limit=0)


# --- rows that cannot be used

BAD = "formula,y\nFe2O3,1\nXx2,2\nFeO,\nNiO,abc\nCoO,inf\n,5\nMnO,-\nCuSO4.5H2O,7\nZnO,8\n"


def test_bad_rows_are_shown_with_number_value_and_way_out(write) -> None:
    message = refusal(write(BAD))
    assert "7 of 9 rows" in message
    assert "row 2: 'Xx2' is not a formula: 'Xx' is not an element" in message
    assert "row 3: y is missing" in message
    assert "row 4: y is 'abc', not a finite number" in message
    assert "row 5: y is 'inf', not a finite number" in message
    assert "row 6: the formula is empty" in message
    assert "row 7" not in message and "and 2 more" in message
    assert "--skip-bad (source.skip_bad=true)" in message


def test_skip_bad_leaves_them_out_and_says_so(write) -> None:
    samples = read(write(BAD), skip_bad=True)
    assert samples.ids == ("alloys:1", "alloys:9")
    assert samples.items["target"].tolist() == [1.0, 8.0]
    assert samples.items.index.tolist() == [0, 1]
    assert sorted(samples.left_out) == [f"alloys:{row}" for row in range(2, 9)]
    assert "two ways" in samples.left_out["alloys:8"]
    assert (samples.about["rows"], samples.about["skipped"]) == (9, 7)


def test_nothing_left_is_an_error_even_when_skipping(write) -> None:
    message = refusal(write("formula,y\nXx,1\nYy,2\n"), skip_bad=True)
    assert "2 of 2 rows" in message and "skip" not in message


def test_bad_rows_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    frame = pd.DataFrame({"formula": ["FeO", None, "NiO"], "y": [1.0, 2.0, None], "sites": [[1], [2], [3]]})
    frame.to_parquet(path)
    message = refusal(str(path))
    assert "row 2: the formula is empty" in message and "row 3: y is missing" in message
    assert read(str(path), skip_bad=True).items["sites"].iloc[0].tolist() == [1]


# --- files that are no tables


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"formula,y\n", "no rows"),
        (b"formula,y\nFeO,1\nNiO\n", "row 2 has 1 fields, the header has 2"),
        (b"formula,y\nFeO,1\nNiO,2,3\n", "row 2 has 3 fields, the header has 2"),
        (b"formula,y\nFeO,1,\nNiO,2,\n", "row 1 has 3 fields"),  # pandas would shift the columns
        (b"formula;y\nFeO;1\n", "separate the columns by commas"),
        (b"formula,y,y\nFeO,1,2\n", "more than one column is named 'y'"),
        (b"formula,y\nFeO,\xff\xfe\n", "not UTF-8"),
        ("formula,y\nFeO,1\n".encode("utf-16"), "not UTF-8"),
        (b"formula,y\nFeO," + b"1" * 200_000 + b"\n", "field larger than field limit"),
        (b'formula,y\n"FeO,1\n' + b"NiO,2\n" * 40_000, "quotation mark"),
        (b"a,y\nFeO,1\n", "set source.formula"),
        (b"formula,a\nFeO,b\n", "no numeric column"),
        (b"formula,y,z\nFeO,1,2\n", "2 numeric columns; set source.target; columns: 'y', 'z'"),
    ],
)
def test_what_is_no_table_is_refused(write, text: bytes, words: str) -> None:
    assert words in refusal(write(text))


def test_damaged_files(write) -> None:
    assert "cannot be read" in refusal(write(b"formula,y\n", "t.csv.gz"))
    assert "cannot be read" in refusal(write(gzip.compress(GOOD.encode())[:-12], "t.csv.gz"))
    assert "not a readable table" in refusal(write(b"PAR1 nonsense", "t.parquet"))


def test_files_that_are_not_there(write, tmp_path: Path) -> None:
    assert "does not exist" in refusal(str(tmp_path / "none.csv"))
    assert "is a folder" in refusal(str(tmp_path))
    assert "what can: .csv, .csv.gz, .parquet" in refusal(write(GOOD, "t.xlsx"))
    with pytest.raises(DataError, match="does not exist"):
        Table(table="none.csv").recipe()


def test_columns_that_are_not_there(write) -> None:
    path = write(GOOD)
    assert "no column 'eform' (source.target); did you mean 'e_form'?" in refusal(path, target="eform")
    assert "source.formula" in refusal(path, formula="formulas")
    assert "source.group" in refusal(path, target="e_form", group="paper")
    assert "already the formula" in refusal(path, target="formula")
    assert "has no number in it" in refusal(write("formula,y\nFeO,\n"), target="y")


def test_doubled_columns_of_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "d.parquet"
    pq.write_table(
        pa.table([pa.array(["FeO"]), pa.array([1.0]), pa.array([2.0])], names=["formula", "y", "y"]), path
    )
    assert "more than one column is named 'y'" in refusal(str(path))


PIECES = st.sampled_from(
    ["FeO,1\n", "FeO", ",", '"', "\r", "\n", "\t", " ", "\0", "2", "'", "\\", "#", "\u2028"]
)


@given(st.lists(PIECES, max_size=12).map("".join).map(str.encode) | st.binary(max_size=100))
def test_any_content_is_read_or_refused(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("b") / "b.csv"
    path.write_bytes(b"formula,y\n" + content)
    try:
        samples = read(str(path), skip_bad=True)
    except DataError as error:
        assert str(path) in str(error), "a refusal names the file"
    else:
        assert len(samples) == len(set(samples.ids)) > 0
        assert np.isfinite(samples.items["target"]).all() and all(samples.groups)


def test_a_lone_carriage_return_does_not_eat_the_memory(write) -> None:
    # pandas 2.3's C parser, given "\r\t" as it stands, miscounts the rows or runs out of memory
    samples = read(write("formula,y\n\r\tFeO,1\nNiO,2\r CoO,3\n"))
    assert samples.items["formula"].tolist() == ["FeO", "NiO", "CoO"]


# --- prediction


def test_formulas_to_predict_for(write) -> None:
    frame = read_formulas(write("id,composition\na,FeO\nb,Ca(OH)2\n"))
    assert frame["formula"].tolist() == ["FeO", "Ca(OH)2"] and frame["id"].tolist() == ["a", "b"]
    assert frame.index.tolist() == [1, 2] and frame.index.name == "row"
    assert frame.attrs["left_out"] == {}
    assert read_formulas(write("x\nFeO\n"), formula="x")["formula"].tolist() == ["FeO"]


def test_bad_formulas_to_predict_for(write) -> None:
    path = write("formula\nFeO\nXx\nNiO\n")
    with pytest.raises(DataError, match="row 2: 'Xx' is not a formula"):
        read_formulas(path)
    frame = read_formulas(path, skip_bad=True)
    assert frame.index.tolist() == [1, 3]
    assert list(frame.attrs["left_out"]) == [2]
    with pytest.raises(DataError, match="1 of 1 rows"):
        read_formulas(write("formula\nXx\n"), skip_bad=True)


# --- the label


def test_the_column_is_the_target(write) -> None:
    samples = read(write(GOOD), target="e_form")
    label = Column(unit="eV/atom")
    assert (label.takes, label.makes, label.unit) == ("formulas", "value", "eV/atom")
    targets = label.targets(samples)
    assert [t.shape for t in targets] == [(1,)] * 4 and {t.dtype for t in targets} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(targets), np.float32([-1.5, -1.4, 0.25, -2]))
    assert label.severity(samples) is None


def test_the_logarithm_refuses_what_has_none(write) -> None:
    samples = read(write(GOOD), target="volume")
    np.testing.assert_allclose(
        np.concatenate(Column(log=True).targets(samples)), np.log10([10, 20, 30, 40]), 1e-6
    )
    with pytest.raises(DataError, match=r"alloys:1: e_form is -1.5, which has no logarithm \(3 such rows\)"):
        Column(log=True).targets(read(write(GOOD), target="e_form"))


def test_a_table_without_target_cannot_be_learned_from(write) -> None:
    frame = read_formulas(write("formula\nFeO\n"))
    with pytest.raises(DataError, match="no target"):
        Column().targets(Samples("formulas", frame, ids=("a:1",), groups=("FeO",)))


# --- real tables


def test_published_tables_are_read_in_seconds() -> None:
    root = os.environ.get("VITRINE_DATA")
    if not root:
        pytest.skip(
            "set VITRINE_DATA to the folder that holds jarvis_comp/ and oqmd_crabnet/ to run this test"
        )
    start = time.perf_counter()
    jarvis = read(f"{root}/jarvis_comp/deltae_training_set.csv.gz")
    assert len(jarvis) == 25_297 and jarvis.about["target"] == "formation_energy_peratom"
    assert jarvis.ids[0] == "deltae_training_set:1"
    oqmd = read(f"{root}/oqmd_crabnet/OQMD_Formation_Enthalpy_val.csv.gz")
    assert len(oqmd) == 51_255 and oqmd.about["target"] == "target"
    assert len(set(jarvis.groups)) < len(jarvis)  # several structures of one composition
    assert time.perf_counter() - start < 20


def test_the_date_in_a_published_table_is_found() -> None:
    root = os.environ.get("VITRINE_DATA")
    if not root:
        pytest.skip("set VITRINE_DATA to the folder that holds jarvis_comp/ to run this test")
    path = f"{root}/jarvis_comp/mbj_bandgap_training_set.csv.gz"
    message = refusal(path)
    assert "1 of 6,566 rows" in message and "spreadsheets turn FeB2 into 2-Feb" in message
    assert len(read(path, skip_bad=True)) == 6565
