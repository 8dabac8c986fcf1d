"""Tables: several targets, words as targets, split and id columns, refused rows; labels of classes."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from study_cases import GLASS, TABLE
from vitrine.cli.main import main
from vitrine.errors import DataError
from vitrine.measure.class_column import BinaryColumn, ClassColumn
from vitrine.measure.column import Column
from vitrine.samples import Samples
from vitrine.simulate.table import Table, read_formulas, write_refused
from vitrine.study.yaml_reader import write_yaml

HEAD = "formula,e,gap,kind\n"


@pytest.fixture
def write(tmp_path: Path):
    def writer(text: str, name: str = "t.csv") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return writer


def read(path: str, **settings) -> Samples:
    return Table(table=path, **settings).samples(())


def refusal(path: str, **settings) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **settings)
    assert Path(path).name in str(caught.value)
    return " ".join(str(caught.value).split())


def of_words(*words: object, **more: list) -> Samples:
    frame = pd.DataFrame({"formula": ["FeO"] * len(words), "target": list(words), **more})
    ids = tuple(f"t:{row + 1}" for row in range(len(words)))
    return Samples("formulas", frame, ids, ids, {"target": "phase", "targets": ["phase", *more]})


# --- several targets


def test_several_targets(write) -> None:
    samples = read(write(f"{HEAD}FeO,1,2,a\nNiO,,4,b\nCoO,5,,c\n"), target=("e", "gap"))
    items = samples.items
    assert samples.about["target"] == "e" and samples.about["targets"] == ["e", "gap"]
    assert list(items.columns) == ["formula", "e", "gap", "kind", "target"]
    np.testing.assert_array_equal(items["target"], items["e"])
    np.testing.assert_array_equal(items["gap"], [2.0, 4.0, np.nan])
    assert items["e"].dtype == items["gap"].dtype == np.float64
    assert Column().leaves_out(samples) == {"t:2": "e is missing"}
    gap = Column(column="gap")
    assert gap.leaves_out(samples) == {"t:3": "gap is missing"}
    kept = samples.select([0, 1])
    assert np.concatenate(gap.targets(kept)).tolist() == [2.0, 4.0]
    with pytest.raises(DataError, match=r"t:3: gap is missing \(1 such rows\)"):
        gap.targets(samples)
    with pytest.raises(
        DataError, match=r"label\.column: 'gaq' is not among the targets of the table; did you"
    ):
        Column(column="gaq").targets(samples)


def test_rows_that_no_target_can_use(write) -> None:
    path = write(f"{HEAD}FeO,1,2,a\nNiO,,,b\nCoO,5,high,c\nMnO,x,1,d\nZnO,inf,1,d\n")
    words = refusal(path, target=("e", "gap"))
    assert "row 2: e and gap are missing" in words
    assert "row 3: gap is 'high', not a finite number" in words
    assert "row 4: e is 'x', not a finite number" in words and "row 5: e is 'inf'" in words
    assert len(read(path, target=("e", "gap"), skip_bad=True)) == 1
    words = refusal(path, target=("e", "kind"))
    assert "column 'kind' has no number in it; several targets are all numbers" in words
    assert "no column 'gp' (source.target); did you mean 'gap'?" in refusal(path, target=("e", "gp"))


def test_a_column_that_is_called_target(write) -> None:
    text = "formula,target,gap\nFeO,1,2\nNiO,3,4\n"
    samples = read(write(text), target=("gap", "target"))
    assert samples.items["target"].tolist() == [2.0, 4.0]
    assert samples.items["target (table)"].tolist() == [1.0, 3.0]
    assert np.concatenate(Column(column="target").targets(samples)).tolist() == [1.0, 3.0]
    samples = read(write(text), target=("target", "gap"))
    assert np.concatenate(Column(column="target").targets(samples)).tolist() == [1.0, 3.0]
    assert np.concatenate(Column(column="gap").targets(samples)).tolist() == [2.0, 4.0]


def test_targets_are_named_once() -> None:
    for targets in ((), ("e", "e")):
        with pytest.raises(ValidationError, match="expected names of columns, each once"):
            Table(table="a.csv", target=targets)
    assert Table(table="a.csv", target=["e", "gap"]).target == ("e", "gap")  # as YAML gives it


# --- words as targets


@pytest.mark.parametrize(
    ("cells", "words", "kind"),
    [
        ("metal insulator metal", "metal insulator metal", "binary"),
        ("a b c", "a b c", "classes"),
        ("True false TRUE", "True False True", "binary"),
        ("yes no yes", "yes no yes", "binary"),
        ("yes yes yes", "yes yes yes", "classes"),
        ("0 1 1", None, "value"),
        ("0.5 x 1", None, "value"),
    ],
)
def test_what_a_target_is(write, cells: str, words: str | None, kind: str) -> None:
    formulas = ("FeO", "NiO", "CoO")
    path = write(
        "formula,y\n" + "".join(f"{f},{cell}\n" for f, cell in zip(formulas, cells.split(), strict=True))
    )
    assert Table(table=path, target="y").target_kind() == kind
    if words is not None:
        samples = read(path, target="y")
        assert samples.items["target"].tolist() == words.split() and samples.about["target"] == "y"
        with pytest.raises(DataError, match=r"y holds words .* not numbers; learn them as classes with"):
            Column().targets(samples)


def test_kind_of_target_where_it_cannot_be_told(write, tmp_path: Path) -> None:
    good = write(f"{HEAD}FeO,1,2,a\nNiO,2,3,b\n")
    assert Table().target_kind() == Table(table=good).target_kind() == "value"
    assert Table(table=good, target=("e", "gap")).target_kind() == "value"
    for path, target in ((tmp_path / "none.csv", "e"), (good, "none"), (good, "formula"), (tmp_path, "e")):
        assert Table(table=str(path), target=target).target_kind() is None
    assert Table(table=write("formula,y\nFeO,\n", "u.csv"), target="y").target_kind() is None
    pd.read_csv(good).to_parquet(tmp_path / "t.parquet")
    assert Table(table=str(tmp_path / "t.parquet"), target="kind").target_kind() == "binary"


def test_words_of_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"formula": ["FeO", "NiO", "CoO"], "y": pd.Categorical(["b", "a", None])})
    frame["z"] = pd.array([True, None, False], dtype="boolean")
    frame.to_parquet(tmp_path / "t.parquet")
    path = str(tmp_path / "t.parquet")
    assert "row 3: y is missing" in refusal(path, target="y")
    assert read(path, target="y", skip_bad=True).items["target"].tolist() == ["b", "a"]
    assert read(path, target="z", skip_bad=True).items["target"].tolist() == ["True", "False"]


def test_numbers_and_words_are_not_mixed(write) -> None:
    words = refusal(write("formula,y\nFeO,1\nNiO,metal\nCoO,3\n"), target="y")
    assert "row 2: y is 'metal', not a finite number" in words


# --- a split column, a column of ids


def test_a_split_column(write) -> None:
    path = write("formula,e,part\nFeO,1,Train\nNiO,2, VALID \nCoO,3,test\nMnO,4,val\nZnO,5,training\n")
    samples = read(path, target="e", split="part")
    assert samples.attributes["split"].tolist() == [0.0, 1.0, 2.0, 1.0, 0.0]
    assert samples.items["part"].tolist()[0] == "Train"
    assert samples.select([2]).attributes["split"].tolist() == [2.0]
    path = write("formula,e,part\nFeO,1,train\nNiO,2,\nCoO,3,tset\n")
    words = refusal(path, target="e", split="part")
    assert "row 2: part is missing" in words
    assert "row 3: part is 'tset', not train, validation or test" in words
    assert read(path, target="e", split="part", skip_bad=True).attributes["split"].tolist() == [0.0]
    assert "(source.split); did you mean 'part'?" in refusal(path, target="e", split="prt")


def test_a_column_of_ids(write) -> None:
    path = write("formula,e,name\nFeO,1,x7\nNiO,2,12\nCoO,3,c d\n")
    assert read(path, target="e", id="name").ids == ("t:x7", "t:12", "t:c d")
    path = write("formula,e,name\nFeO,1,a\nNiO,2,b\nCoO,3,a\nMnO,4,\nZnO,5,a\n")
    words = refusal(path, target="e", id="name")
    assert "row 3: name is 'a', as in row 1; ids must differ" in words
    assert "row 4: name is missing" in words and "row 5: name is 'a', as in row 1" in words
    samples = read(path, target="e", id="name", skip_bad=True)
    assert samples.ids == ("t:a", "t:b") and set(samples.left_out) == {"t:row 3", "t:row 4", "t:row 5"}
    assert "already the formula, group, split or id" in refusal(path, target="name", id="name")


# --- refused rows


def test_refused_rows_are_written_with_what_stood_there(write, tmp_path: Path) -> None:
    path = write("formula,e,reason\nFeO,1,a\nXx,2,b\nNiO,high,c\n")
    samples = read(path, target="e", skip_bad=True).select([0])
    write_refused(tmp_path / "refused.csv", samples.items.attrs["refused"])
    rows = list(csv.DictReader((tmp_path / "refused.csv").open()))
    assert [row["row"] for row in rows] == ["2", "3"]
    assert rows[0]["formula"] == "Xx" and "'Xx' is not an element" in rows[0]["reason"]
    assert (rows[1]["e"], rows[1]["reason"]) == ("high", "e is 'high', not a finite number")
    samples = read(write("formula,row\nFeO,1\nNiO,x\n"), target="row", skip_bad=True)
    assert samples.items.attrs["refused"][0]["row"] == "2"
    frame = read_formulas(write("formula\nFeO\nXx\n"), skip_bad=True)
    assert frame.assign(a=1).attrs["refused"] == ({"row": "2", "formula": "Xx", "reason": rows[0]["reason"]},)
    frame.to_parquet(tmp_path / "t.parquet")


# --- the labels


def test_a_constant_target_is_nothing_to_learn(write) -> None:
    samples = read(write("formula,e\nFeO,2\nNiO,2\n"))
    with pytest.raises(DataError, match="there is nothing to learn: e is 2 in all 2 rows"):
        Column().targets(samples)
    assert len(Column().targets(samples.select([0]))) == 1


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (("metal", "insulator"), ("insulator", "metal")),
        (("True", "False"), ("False", "True")),
        (("no", "yes"), ("no", "yes")),
        ((0.0, 1.0), ("0", "1")),
        (("liquid", "glass"), ("glass", "liquid")),
        (("A", "b"), ("A", "b")),
    ],
)
def test_which_of_two_classes_is_positive(cells: tuple[object, object], names: tuple[str, str]) -> None:
    samples = of_words(*cells)
    label = BinaryColumn()
    assert label.class_names(samples) == names
    assert [t.tolist() for t in label.targets(samples)] == [
        [float(str(int(c) if isinstance(c, float) else c) == names[1])] for c in cells
    ]
    other = BinaryColumn(positive=names[0])
    assert other.class_names(samples) == names[::-1]
    assert np.concatenate(label.targets(samples) + other.targets(samples)).sum() == 2
    assert label.severity(samples) is None and label.leaves_out(samples) == {}


def test_one_class_against_the_rest() -> None:
    samples = of_words("a", "b", "c", "a")
    with pytest.raises(
        DataError, match=r"phase has 3 classes \('a', 'b', 'c'\); name one with label.positive"
    ):
        BinaryColumn().targets(samples)
    label = BinaryColumn(positive="A")
    assert np.concatenate(label.targets(samples)).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert label.class_names(samples) == ("not a", "a")
    wrong = BinaryColumn(positive="bb")
    assert not np.concatenate(wrong.targets(samples)).any()
    assert wrong.one_class(samples) == (
        "of 4 rows, phase is 'a' in 2, 'b' in 1, 'c' in 1; label.positive is 'bb'; did you mean 'b'?"
    )
    assert BinaryColumn().one_class(of_words("a", "a")) == "of 2 rows, phase is 'a' in 2"


def test_several_classes_are_numbered_in_order() -> None:
    samples = of_words("fcc", "Bcc", "hcp", "fcc")
    assert ClassColumn().class_names(samples) == ("Bcc", "fcc", "hcp")
    assert np.concatenate(ClassColumn().targets(samples)).tolist() == [1.0, 0.0, 2.0, 1.0]
    samples = of_words(10.0, 2.0, 2.5)
    assert ClassColumn().class_names(samples) == ("2", "2.5", "10")


def test_too_many_classes_are_none() -> None:
    samples = of_words(*np.linspace(0, 1, 51))
    for label in (ClassColumn(), BinaryColumn(positive="0")):
        with pytest.raises(
            DataError, match=r"phase has 51 different values .* use label.kind=column.*source.id"
        ):
            label.targets(samples)
    assert len(ClassColumn().class_names(of_words(*range(50)))) == 50


def test_classes_of_another_target() -> None:
    samples = of_words(1.5, 2.5, 3.5, stable=[1.0, 0.0, np.nan])
    label = BinaryColumn(column="stable")
    assert label.leaves_out(samples) == {"t:3": "stable is missing"}
    with pytest.raises(DataError, match="t:3: stable is missing"):
        label.targets(samples)
    assert np.concatenate(label.targets(samples.select([0, 1]))).tolist() == [1.0, 0.0]
    with pytest.raises(DataError, match="no target column"):
        label.targets(Samples("formulas", pd.DataFrame({"formula": ["FeO"]}), ("a",), ("a",)))


# --- memory


@pytest.mark.slow
def test_a_large_table_takes_less_than_two_gigabytes(tmp_path: Path) -> None:
    """300,000 distinct formulas, in a process of its own."""
    lines = [f"Fe{i % 997 + 1}Ni{i % 991 + 1}O{i % 31 + 1},{i % 7}.5\n" for i in range(300_000)]
    (tmp_path / "t.csv").write_text("formula,e\n" + "".join(lines))
    code = (
        "import resource; from vitrine.simulate.table import Table; import time; start = time.process_time();"
        f"n = len(Table(table={str(tmp_path / 't.csv')!r}).samples(()));"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, kilobytes, seconds = map(float, done.stdout.split())
    assert count == 300_000 and kilobytes < 1_000_000 and seconds < 30, done.stdout


def test_runs_and_predictions_write_what_they_leave_out(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(tmp_path / "store"))
    good = "".join(f"Fe{n}O,{n}\n" for n in range(1, 13))
    write(f"formula,e\n{good}Xx,2\nNiO,\n")
    study = {key: value for key, value in {**GLASS, **TABLE}.items() if key != "scales"}
    study |= {"source": {"kind": "table", "table": "t.csv"}, "evaluation": {"metrics": ["mae"]}}
    (tmp_path / "s.yaml").write_text(write_yaml(study))
    run = ["run", "s.yaml", "--scale", "smoke", "--out", "run", "--set", "models.m.kind=ridge"]
    command(monkeypatch, *run, "--skip-bad")
    rows = list(csv.reader((tmp_path / "run" / "refused.csv").open()))
    assert rows[0] == ["row", "formula", "e", "reason"] and [row[0] for row in rows[1:]] == ["13", "14"]
    assert "wrote run/refused.csv: 2 rows of the table that were left out" in capsys.readouterr().out
    write("formula\nFeO\nXx\n", "new.csv")
    command(monkeypatch, "predict", "run/models/m", "new.csv", "--skip-bad")
    assert "wrote new-predicted-refused.csv: 1 rows that were left out" in capsys.readouterr().out
    assert (tmp_path / "new-predicted-refused.csv").read_text().splitlines()[0] == "row,formula,reason"
    write(f"formula,e\n{good}")
    command(monkeypatch, *run)
    assert not (tmp_path / "run" / "refused.csv").exists(), "that of an earlier run"


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["vitrine", *words])
    try:
        main()
    except SystemExit as end:
        assert not end.code
