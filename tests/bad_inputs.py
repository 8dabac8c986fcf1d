"""Inputs that are wrong, and what must be said of them: study files, overrides, formulas, tables, flags.

A row gives the command, the files beside it and the words that must stand in the answer: the name of the
file, row or key, and what would be right. ``" ... "`` parts words that may have others between them.
"""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

import copy
import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study_cases import GLASS, TABLE, with_
from vitrine.study.yaml_reader import write_yaml

Content = str | bytes
Trained = Callable[[str], Path]
"""``shear_run`` or ``alloy_run`` -> the run folder"""


@dataclass(frozen=True)
class Bad:
    """One row of the table."""

    name: str
    """``category: what is wrong``"""
    command: str
    says: str
    files: Mapping[str, Content] = field(default_factory=dict)
    make: Callable[[Path, Trained], None] | None = None
    """what cannot be said by ``files``"""
    needs: str | None = None
    """package without which the answer is another one"""

    @property
    def words(self) -> list[str]:
        return self.says.split(" ... ")

    def write(self, folder: Path, trained: Trained) -> None:
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if self.make is not None:
            self.make(folder, trained)


# ---------------------------------------------------------------- study files

STUDY = write_yaml({key: value for key, value in GLASS.items() if key != "scales"})
SCALED = write_yaml(GLASS)


def text(name: str, content: Content, says: str) -> Bad:
    return Bad(f"study: {name}", "run my.yaml", f"my.yaml ... {says}", {"my.yaml": content})


def key(path: str, value: Any, says: str) -> Bad:
    """The study with one thing set; ``says`` is what stands after the path."""
    data = copy.deepcopy(with_(path, value))
    if not path.startswith("scales"):
        del data["scales"]
    return Bad(f"study: {path} = {str(value)[:40]}", "run my.yaml", says, {"my.yaml": write_yaml(data)})


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
NAN, INF = float("nan"), float("inf")

STUDIES = [
    text("not YAML", "study: [1", "not valid YAML: expected ',' or ']' ... line 1"),
    text("tabs", "study: my\n\ttitle: x\n", "'\\t' that cannot start any token (line 2"),
    text("a key twice", STUDY + "title: again\n", "key 'title' stands twice (line"),
    text("empty", "", "is empty; a study file is a mapping of keys, see `vitrine init`"),
    text("comments only", "# nothing\n", "is empty; a study file is a mapping"),
    text("a list", "- a\n- b\n", "holds a list; a study file is a mapping"),
    text("words", "just words\n", "holds a str; a study file is a mapping"),
    text("two documents", "study: a\n---\nstudy: b\n", "another document (line 2"),
    text("an object of Python", "study: !!python/object/apply:os.system ['true']\n", "line 1 ... not of plain data"),
    text("a name of Python", "study: !!python/name:os.system\n", "line 1 ... not of plain data"),
    text("an alias bomb", BOMB, "holds more than 100000 values"),
    text("an alias in itself", "a: &a [*a]\n", "line 1: an alias inside its own anchor"),
    text("an unknown alias", "study: *nowhere\n", "undefined alias 'nowhere' (line 1"),
    text("a list as key", "? [a, b]\n: 1\n", "unhashable key (line 1"),
    text("deep nesting", "a: " + "[" * 400 + "]" * 400, "nested more than 64 levels deep"),
    text("binary", b"\x89PNG\r\n\x1a\n\x00\xff", "is not a text in UTF-8, so no study file"),
    text("NUL bytes", b"\x00\x00", "unacceptable character"),
    text("UTF-16", STUDY.encode("utf-16"), "is not a text in UTF-8, so no study file"),
    text("Latin-1", STUDY.replace("Mine", "Mün").encode("latin-1"), "is not a text in UTF-8"),
    Bad("study: a folder", "run my.yaml", "my.yaml: cannot be read as a study file", {"my.yaml/x": "1"}),
    Bad("study: no such file", "run my.yaml", "my.yaml: cannot be read as a study file: No such file"),
    Bad("study: no such name", "run shear-transform", "did you mean 'shear-transformation'? ... (.yaml)"),
    Bad(
        "study: keys missing",
        "run my.yaml",
        "source: is missing ... main_model: is missing",
        {"my.yaml": "study: my\n"},
    ),
    key("titel", "x", "titel: no such key; did you mean 'title'?"),
    key("study", "My Glass", "study: String should match pattern ... 'My Glass'"),
    key("study", "../../etc", "study: String should match pattern ... '../../etc'"),
    key("title", ["a"], "title: Input should be a valid string"),
    key("source", None, "source: expected a mapping with a key 'kind'"),
    key("source", {"specimens": 4}, "source.kind: is missing; known: configurations, crystal-folder, dislocations, emt-alloys, lennard-jones-2d, metallic-glass"),
    key("source.kind", "metalic-glass", "source.kind: no source ... did you mean 'metallic-glass'?"),
    key("source.specimen", 4, "source.specimen: no such key; did you mean 'specimens'?"),
    key("source.specimens", "many", "source.specimens: Input should be a valid integer ... 'many'"),
    key("source.specimens", 0, "source.specimens: Input should be greater than or equal to 1, got 0"),
    key("source.specimens", 10**12, "source.specimens: Input should be less than or equal to"),
    key("source.quench_rate", NAN, "source.quench_rate: Input should be a finite number, got nan"),
    key("source.quench_rate", "1e13 K/s", "source.quench_rate: Input should be a valid number ... '1e13 K/s'"),
    key("source.first_seed", -1, "source.first_seed: Input should be greater than or equal to 1"),
    key("source.first_seed", 2**31, "source.first_seed: Input should be less than or equal to"),
    key("source.fractions", [0.64], "source: elements and fractions must have the same length"),
    key("source.fractions", [1.64, -0.64], "source: fractions must be positive"),
    key("source.fractions", [0.5, 0.6], "source: fractions must sum to 1, and these sum to 1.1"),
    key("source.elements", ["Cu", "Cu"], "source: elements: 'Cu' stands twice"),
    key("source.directions", ["xy", "xy"], "source: directions: 'xy' stands twice"),
    key("source.directions", ["xy", "ab"], "source.directions.1: Input should be 'xy', 'yz'"),
    key("source.final_temperature", 3000, "source: final_temperature must be below melt_temperature"),
    key("unseen", {"kind": "relased-glass"}, "unseen.kind: no source ... did you mean 'released-glass'?"),
    key("label.kind", "first-events", "label.kind: no label ... did you mean 'first-event'?"),
    key("label.threshold", 0, "label.threshold: Input should be greater than 0"),
    key("label.cutoff", INF, "label.cutoff: Input should be a finite number"),
    key("label", {"kind": "column"}, "label 'column' takes formulas; fitting labels: first-event"),
    key("representation.kind", "voronoi", "representation.kind: no representation ... 'voronoi-graph'"),
    key("representation.backend", "voro++", "representation.backend: Input should be 'scipy' or 'ovito'"),
    key("representation", {"kind": "elemental-fractions"}, "takes formulas; fitting representations: voronoi-graph"),
    key("tracks", [], "tracks: Tuple should have at least 1 item"),
    key("tracks.0.splt", {"kind": "random"}, "tracks.0.splt: no such key; did you mean 'split'?"),
    key("tracks.0.split.kind", "group", "tracks.0.split.kind: no split ... did you mean 'grouped'?"),
    key("tracks.0.split.folds", 1, "tracks.0.split.folds: Input should be greater than or equal to 2"),
    key("tracks.0.split.validation", 1.5, "tracks.0.split.validation: Input should be less than 1"),
    key("tracks.0.split.seed", -1, "tracks.0.split.seed: Input should be greater than or equal to 0"),
    key("tracks.1.split.kind", "grouped", "tracks: 'grouped' stands twice"),
    key("tracks.1.models", ["chance", "logstic"], "tracks.1.models: no model 'logstic' ... 'logistic'?"),
    key("tracks.1.models", ["chance", "chance"], "tracks.1.models: 'chance' stands twice"),
    key("models", {}, "models: Dictionary should have at least 1 item"),
    key("models.gat.kind", "gatt", "models.gat.kind: no model of kind 'gatt'; did you mean 'gat'?"),
    key("models.gat.head", 3, "models.gat.head: no such key; did you mean 'heads'?"),
    key("models.gat.heads", 0, "models.gat.heads: Input should be greater than or equal to 1"),
    key("models.gat.learning_rate", NAN, "models.gat.learning_rate: Input should be a finite number"),
    key("models.a/b", {"kind": "chance"}, "models.a/b ... String should match pattern"),
    key("models.truth", {"kind": "chance"}, "models.truth: this name is taken, choose another"),
    key("main_model", "gta", "main_model: no model 'gta' in models; did you mean 'gat'?"),
    key("evaluation.metrics", ["mae"], "evaluation.metrics: 'mae' does not fit a target of kind 'binary'; known:"),
    key("evaluation.metrics", ["roc_acu"], "evaluation.metrics: 'roc_acu' ... did you mean 'roc_auc'?"),
    key("evaluation.metrics", [], "evaluation.metrics: Tuple should have at least 1 item"),
    key("evaluation.threshold", 1.5, "evaluation.threshold: Input should be less than or equal to 1"),
    key("evaluation.resamples", 2, "evaluation.resamples: Input should be greater than or equal to 10"),
    key("evaluation.shuffled_labels", "gatt", "evaluation.shuffled_labels: no model ... did you mean 'gat'?"),
    key("seeds", {"model": -1}, "seeds.model: Input should be greater than or equal to 0, got -1"),
    key("seeds", {"modle": 1}, "seeds.modle: no such key; did you mean 'model'?"),
    key("claims", ["imbalance-flaters"], "claims: no claim ... did you mean 'imbalance-flatters'?"),
    key("published.0.rows.x", {"auc": 1}, "published.0.rows.x: 'auc' ... did you mean 'roc_auc'?"),
    key("published.0.beside.gat", "no row", "published.0.beside.gat: no row 'no row'; known: AUC"),
    key("scales.smok", {}, "my.yaml: scales.smok: no such scale; did you mean 'smoke'?"),
    key("scales.smoke", {"sorce": {}}, "my.yaml: scales.smoke.sorce: no such key; did you mean 'source'?"),
    key("scales.smoke", {"source": {"specimen": 1}}, "source.specimen: no such key; did you mean 'specimens'?"),
    key("scales.smoke", 5, "my.yaml: scales.smoke: expected a mapping of settings, got 5"),
]  # fmt: skip

# ---------------------------------------------------------------- overrides


def override(setting: str, says: str) -> Bad:
    return Bad(f"override: {setting}", f"run my.yaml --set {setting!r}", says, {"my.yaml": SCALED})


OVERRIDES = [
    override("source.specimens", "--set 'source.specimens': expected KEY=VALUE, for example source.specimens=20"),
    override("=3", "--set '=3': expected KEY=VALUE"),
    override("source..specimens=3", "--set 'source..specimens=3': expected KEY=VALUE"),
    override("sorce.specimens=3", "sorce: no such key; did you mean 'source'?"),
    override("models.gat.widht=3", "models.gat.widht: no such key; did you mean 'width'?"),
    override("source.specimens.x=3", "source.specimens is the plain value 2, it has no keys"),
    override("source.specimens=[1", "--set 'source.specimens=[1': the value is not valid YAML"),
    override("source.specimens=!!python/name:os.system x", "the value is not valid YAML ... not of plain data"),
    override("tracks.7.split.folds=3", "--set 'tracks.7.split.folds=3': no position 7 in a list of 2"),
    override("tracks.first.split.folds=3", "a list has positions, 0 for the first, not 'first'"),
    override("source.elements.0=Al", "the file says nothing of source.elements; set the whole of it"),
    override("source.kind=table", "source 'table' yields formulas ... fitting labels: column"),
    override("source.kind=[a]", "source.kind: must be a name, got ['a']; known: configurations"),
    override("models.gat=null", "main_model: no model 'gat' in models; known: chance, logistic"),
    override("source=null", "source: is missing"),
    override("source.specimens=1e400", "source.specimens: Input should be a finite number, got inf"),
    override("scale=demo", "--set 'scale=demo': choose a scale with --scale"),
    Bad("override: an unknown scale", "run my.yaml --scale papr", "no scale 'papr'; did you mean 'paper'?", {"my.yaml": SCALED}),
    Bad("override: a scale without words", "run my.yaml --scale laptop", "my.yaml says nothing about the scale 'laptop'; its scales: demo, paper, smoke", {"my.yaml": SCALED}),
    Bad("override: --skip-bad of no table", "run my.yaml --skip-bad", "source.skip_bad: no such key ... kind 'table' or 'crystal-folder' has it", {"my.yaml": SCALED}),
]  # fmt: skip

# ---------------------------------------------------------------- formulas and tables

TABLE_STUDY = write_yaml({k: v for k, v in {**GLASS, **TABLE, "study": "my-table"}.items() if k != "scales"})
GROUPED = TABLE_STUDY.replace("kind: random", "kind: grouped")
GOOD = "formula,e\nFe2O3,1\nAl2O3,2\nMgO,3\nCaO,4\nNaCl,5\nKCl,6\nTiO2,7\n"


def table(
    name: str, content: Content, says: str, *flags: str, file: str = "a.csv", study: str = TABLE_STUDY
) -> Bad:
    files: dict[str, Content] = {"my.yaml": study, file: content}
    return Bad(f"table: {name}", " ".join(["run my.yaml", *flags]), says, files)


def formula(written: str, says: str) -> Bad:
    row = f"a.csv: 1 of 8 rows cannot be used ... row 8: {says} ... --skip-bad"
    files: dict[str, Content] = {"my.yaml": TABLE_STUDY, "a.csv": f"{GOOD}{written},1\n"}
    return Bad(f"formula: {written[:20]!r}", "run my.yaml", row, files)


def value(written: str, says: str) -> Bad:
    return table(
        f"the value {written!r}", f"{GOOD}FeO,{written}\n", f"a.csv ... row 8: e {says} ... --skip-bad"
    )


FORMULAS = [
    formula("Xx2", "'Xx2' is not a formula: 'Xx' is not an element"),
    formula("fe2o3", "'fe2o3' is not a formula ... starts with a capital letter"),
    formula("(Fe2O3", "'(Fe2O3' is not a formula: a bracket is not closed"),
    formula("Fe2O3)", "'Fe2O3)' is not a formula: a bracket is closed that was not opened"),
    formula("Fe()2", "'Fe()2' is not a formula: a pair of brackets is empty"),
    formula("Fe-2O3", "'Fe-2O3' is not a formula: unexpected '-'; charges, negative amounts"),
    formula("Fe3+", "'Fe3+' is not a formula: unexpected '+'; charges"),
    formula("YBa2Cu3O7-x", "'YBa2Cu3O7-x' is not a formula ... unknown amounts (7-x) cannot be read"),
    formula("", "the formula is empty"),
    formula("Fe0O0", "'Fe0O0' is not a formula: all its amounts are zero"),
    formula("12.5", "'12.5' is not a formula: it is a number"),
    formula("D2O", "'D2O' is not a formula: 'D' is an isotope, not an element; write H"),
    formula("2-Feb", "'2-Feb' is not a formula: it is a date; spreadsheets turn FeB2 into 2-Feb"),
    formula("CuSO4.5H2O", "'CuSO4.5H2O' can be read in two ways ... CuSO4·5H2O"),
    formula("Fe1e9999", "'Fe1e9999' is not a formula: an amount is larger than"),
    formula("A" * 2000, "'AAA ... is not a formula: it has 2,000 characters, at most 1,000"),
    formula("💎", "'💎' is not a formula: unexpected character"),
]
TABLES = [
    Bad("study: chance of a value", "run my.yaml", "models.m: 'chance' cannot learn ... fitting models: mean", {"my.yaml": TABLE_STUDY.replace("kind: mean", "kind: chance")}),
    Bad("table: no such file", "run my.yaml", "a.csv does not exist ... .csv, .csv.gz or .parquet", {"my.yaml": TABLE_STUDY}),
    table("a folder", "x", "a.csv is a folder, not a table; give the path of a .csv", file="a.csv/b"),
    table("another kind of file", GOOD, "a.xlsx is not a table ... what can: .csv, .csv.gz, .parquet", "--set source.table=a.xlsx", file="a.xlsx"),
    table("empty", "", "a.csv is empty; a table has a header and rows"),
    table("header only", "formula,e\n", "a.csv has a header but no rows"),
    table("separated by semicolons", "formula;e\nFeO;1\n", "a.csv: the only column is named 'formula;e'; separate the columns by commas"),
    table("separated by tabs", "formula\te\nFeO\t1\n", "a.csv: the only column ... separate the columns by commas"),
    table("a column twice", "formula,e,e\nFeO,1,2\n", "a.csv: more than one column is named 'e'; rename them"),
    table("a short row", "formula,e\nFeO,1\nNiO\n", "a.csv: row 2 has 1 fields, the header has 2; fields are separated by commas"),
    table("a long row", "formula,e\nFeO,1,2\n", "a.csv: row 1 has 3 fields, the header has 2"),
    table("no formulas", "name,e\nFeO,1\n", "a.csv: which column holds the formulas? ... set source.formula; columns: 'name', 'e'"),
    table("no numbers", "formula,name\nFeO,a\n", "a.csv: which is the target? there is no numeric column; set source.target"),
    table("two targets", "formula,a,b\nFeO,1,2\n", "a.csv: which is the target? there are 2 numeric columns; set source.target; columns: 'a', 'b'"),
    table("no such target", GOOD, "a.csv: no column 'eform' (source.target)", "--set source.target=eform"),
    table("no such formula column", GOOD, "a.csv: no column 'formul' (source.formula); did you mean 'formula'?", "--set source.formula=formul"),
    table("no such group", GOOD, "a.csv: no column 'paper' (source.group); known: e, formula", "--set source.group=paper"),
    table("the formula as target", GOOD, "a.csv: 'formula' is already the formula", "--set source.target=formula"),
    table("no rows wanted", GOOD, "source.limit: Input should be greater than or equal to 1", "--set source.limit=0"),
    value("high", "is 'high', not a finite number"),
    value("", "is missing"),
    value("nan", "is missing"),
    value("inf", "is inf, not a finite number"),
    value("1e999", "is '1e999', not a finite number"),
    value('"1,5"', "is '1,5', not a finite number"),
    table("beyond single precision", f"{GOOD}FeO,1e39\n", "a:8: e is 1e+39, too large for single precision ... another unit"),
    table("no logarithm", f"{GOOD}FeO,-1\n", "a:8: e is -1, which has no logarithm ... label.log=false", "--set label.log=true"),
    table("a missing group", "formula,e,g\nFeO,1,a\nNiO,2,\n", "a.csv ... row 2: g is missing", "--set source.group=g", "--set source.target=e"),
    table("an element outside the list", f"{GOOD}Og2O,1\n", "a:8: 'Og2O' holds Og ... set representation.elements=all"),
    table("nothing left", "formula,e\nXx,1\n", "a.csv: 1 of 1 rows cannot be used ... correct them", "--skip-bad"),
    table("not UTF-8", b"formula,e\nFeO,\xff\xfe\n", "a.csv is not UTF-8 text ... 'CSV UTF-8'"),
    table("binary", b"\x89PNG\r\n\x1a\n\x00\x01", "a.csv is not UTF-8 text"),
    table("an open quotation mark", 'formula,e\n"FeO,1\n' + "NiO,2\n" * 40_000, "a.csv is not a readable CSV file ... is a quotation mark not closed?"),
    table("gzip cut short", gzip.compress(GOOD.encode())[:-12], "a.csv.gz cannot be read: Compressed file ended", "--set source.table=a.csv.gz", file="a.csv.gz"),
    table("no gzip", GOOD, "a.csv.gz cannot be read: Not a gzipped file", "--set source.table=a.csv.gz", file="a.csv.gz"),
    table("no Parquet", b"PAR1 nonsense", "a.parquet is not a readable table", "--set source.table=a.parquet", file="a.parquet"),
    table("one row", "formula,e\nFeO,1\n", "5 folds need at least 5 samples, but there are 1; ask for fewer folds"),
    table("too few groups", "formula,e\nFeO,1\nFe2O2,2\nNiO,3\nNiO,4\nCoO,5\n", "5 folds by group need at least 5 groups, but there are 3 ... ask for fewer folds", study=GROUPED),
]  # fmt: skip

# ---------------------------------------------------------------- flags

_SIMULATE = "simulate metallic-glass -o x.h5 --workers 0"
_XYZ = {"a.xyz": '1\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 pbc="T T T"\nCu 0 0 0\n'}


def flags(command: str, says: str, files: Mapping[str, Content] | None = None) -> Bad:
    short = command.replace(_SIMULATE, "simulate ...")
    return Bad(f"flags: {short}", command, says, files or {})


FLAGS: Sequence[Bad] = [
    flags("simulate metalic-glass -o x.h5", "nothing to simulate of kind 'metalic-glass'; did you mean 'metallic-glass'?"),
    flags("simulate metallic-glass", "Missing option '-o' / '--out'"),
    flags(f"{_SIMULATE} --atoms few", "metallic-glass.atoms: Input should be a valid integer ... 'few'"),
    flags(f"{_SIMULATE} --atoms 5", "metallic-glass.atoms: Input should be greater than or equal to 32"),
    flags(f"{_SIMULATE} --atoms 99999999999999", "metallic-glass.atoms: Input should be less than or equal to"),
    flags(f"{_SIMULATE} --atoms [3", "--atoms: '[3' is not a value"),
    flags(f"{_SIMULATE} --fractions 0.5,0.6", "fractions must sum to 1, and these sum to 1.1"),
    flags(f"{_SIMULATE} --fractions=-0.5,1.5", "fractions must be positive"),
    flags(f"{_SIMULATE} --fractions nan,nan", "fractions.0: Input should be a finite number"),
    flags(f"{_SIMULATE} --elements Cu", "elements and fractions must have the same length"),
    flags(f"{_SIMULATE} --quench-rate=-1", "quench_rate: Input should be greater than 0"),
    flags(f"{_SIMULATE} --first-seed 9999999999", "first_seed: Input should be less than or equal to 2147483645"),
    flags(f"{_SIMULATE} --first-seed 2147483640", "first_seed and specimens lead to seeds above 2147483645"),
    flags(f"{_SIMULATE} --directions xy,ab", "directions.1: Input should be 'xy', 'yz'"),
    flags(f"{_SIMULATE} --directions xy,xy", "directions: 'xy' stands twice"),
    flags(f"{_SIMULATE} --atom 500", "No such option"),
    flags("simulate metallic-glass -o folder --workers 0", "--out folder is a folder; give the name of a file", {"folder/x": "1"}),
    flags("simulate metallic-glass -o a.xyz/x.h5 --workers 0", "a.xyz/x.h5", _XYZ),
    flags("measure a.xyz --fields vornoi", "--fields: no field 'vornoi'; did you mean 'voronoi'?", _XYZ),
    flags("measure a.xyz --fields ,", "--fields: name at least one of voronoi, d2min", _XYZ),
    flags("measure a.xyz --fields d2min", "a.xyz: D2min compares two frames, this file has one", _XYZ),
    flags("measure a.xyz --elements ,", "--elements: name the symbols of the atom types in order, for example Cu,Zr", _XYZ),
    flags("measure a.xyz --cutoff nan", "Invalid value for '--cutoff': Input should be greater than or equal to 0.1", _XYZ),
    flags("measure a.xyz --fields d2min --cutoff 1e6", "--cutoff: 1e+06 Å gives each atom of a.xyz about ... neighbours", {"a.xyz": 2 * _XYZ["a.xyz"]}),
    flags("measure a.xyz --out a.xyz", "--out a.xyz is a file to be read; write to another one", _XYZ),
    flags("measure a.xyz a.xyz --out b.txt", "--out b.txt is a file; the answers to 2 files need a folder", {**_XYZ, "b.txt": ""}),
    flags(f"measure {'x' * 300}.dump", "File name too long: xxx ... give another name"),
    flags("run my.yaml --workers two", "--workers", {"my.yaml": STUDY}),
    flags("run my.yaml --wrokers 2", "--wrokers", {"my.yaml": STUDY}),
    flags("init shear-transform", "no study 'shear-transform'; did you mean 'shear-transformation'? ... or give a study file"),
    flags("init shear-transformation --out my.txt", "--out my.txt: the name of a study file ends in .yaml"),
    flags("init shear-transformation --out my.yaml", "my.yaml exists; use --force to overwrite it", {"my.yaml": "x"}),
]  # fmt: skip
