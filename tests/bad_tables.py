"""Inputs that are wrong: targets, classes, split and id columns of tables, and names of published sets."""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

from bad_inputs import TABLE_STUDY, Bad, Content, table

TWO = "formula,e,gap,phase,part,name\nFeO,1,2,a,train,n1\nNiO,2,3,b,test,n2\nCoO,3,4,a,train,n3\nMnO,4,5,b,test,n4\n"
CLASSES = TABLE_STUDY.replace("kind: column", "kind: class-column").replace("- mae", "- accuracy")
CLASSES = CLASSES.replace("kind: mean", "kind: chance")
BINARY = TABLE_STUDY.replace("kind: column", "kind: binary-column").replace("- mae", "- f1")
BINARY = BINARY.replace("kind: mean", "kind: chance")
TWO_TARGETS = "--set source.target=[e,gap]"


def named(name: str, says: str) -> Bad:
    """A study of the published set ``name``."""
    files: dict[str, Content] = {"my.yaml": TABLE_STUDY}
    return Bad(f"table: the set {name}", f"run my.yaml --set source.table={name}", says, files)


def other(name: str, row: str, says: str, *flags: str, study: str = TABLE_STUDY) -> Bad:
    """The good table of several columns with one more row."""
    return table(name, f"{TWO}{row}\n", says, "--set source.target=e", *flags, study=study)


PUBLISHED_AND_TARGETS = [
    named("jarvis/formation_enrgy", "jarvis/formation_enrgy is neither a file ... nor a published set; did you mean 'jarvis/formation_energy'?"),
    named("Matbench/Expt_Gap", "neither a file ... did you mean 'matbench/expt_gap'?"),
    named("nist/steel", "nist/steel is neither a file ... published sets: jarvis/formation_energy, "),
    table("a constant target", "formula,e\nFeO,2\nNiO,2\nCoO,2\nMnO,2\nZnO,2\nMgO,2\n", "there is nothing to learn: e is 2 in all 6 rows; name another column with source.target"),
    table("one of two targets is absent", TWO, "a.csv: no column 'gaps' (source.target); did you mean 'gap'?", "--set source.target=[e,gaps]"),
    table("a target twice", TWO, "source.target: expected names of columns, each once", "--set source.target=[e,e]"),
    table("no target in the list", TWO, "source.target: expected names of columns, each once", "--set source.target=[]"),
    table("words among two targets", TWO, "a.csv: column 'phase' has no number in it; several targets are all numbers", "--set source.target=[e,phase]"),
    table("text in the second target", f"{TWO}ZnO,1,high,a,train,n5\n", "a.csv: 1 of 5 rows ... row 5: gap is 'high', not a finite number", TWO_TARGETS),
    table("neither of two targets", f"{TWO}ZnO,,,a,train,n5\n", "a.csv: 1 of 5 rows ... row 5: e and gap are missing", TWO_TARGETS),
    table("a column that is no target", TWO, "label.column: 'volume' is not among the targets of the table; known: e", "--set source.target=e", "--set label.column=volume"),
    table("an empty target", "formula,e,x\nFeO,1,\nNiO,2,\n", "a.csv: column 'x' has no number in it", "--set source.target=x"),
    other("no such split column", "ZnO,1,2,a,train,n5", "a.csv: no column 'prt' (source.split); did you mean 'part'?", "--set source.split=prt"),
    other("a word that is no part", "ZnO,1,2,a,tset,n5", "a.csv: 1 of 5 rows ... row 5: part is 'tset', not train, validation or test", "--set source.split=part"),
    other("no part", "ZnO,1,2,a,,n5", "a.csv ... row 5: part is missing", "--set source.split=part"),
    other("no such id column", "ZnO,1,2,a,train,n5", "a.csv: no column 'mbid' (source.id); known: ", "--set source.id=mbid"),
    other("an id twice", "ZnO,1,2,a,train,n2", "a.csv: 1 of 5 rows ... row 5: name is 'n2', as in row 2; ids must differ", "--set source.id=name"),
    other("an id missing", "ZnO,1,2,a,train,", "a.csv ... row 5: name is missing", "--set source.id=name"),
    other("the id as target", "ZnO,1,2,a,train,n5", "a.csv: 'e' is already the formula, group, split or id", "--set source.id=e"),
    table("three classes for two", TWO.replace("NiO,2,3,b", "NiO,2,3,c"), "phase has 3 classes ('a', 'b', 'c'); name one with label.positive", "--set source.target=phase", study=BINARY),
    table("no such class", TWO, "the labels hold one class only: of 4 rows, phase is 'a' in 2, 'b' in 2; label.positive is 'bb'; did you mean 'b'?", "--set source.target=phase", "--set label.positive=bb", study=BINARY),
    table("one class", TWO.replace(",b,", ",a,"), "the labels hold one class only: ... 4 rows", "--set source.target=phase", study=CLASSES),
    table("a number for classes", "formula,e\n" + "".join(f"Fe{n}O,{n}.5\n" for n in range(1, 60)), "e has 59 different values ('1.5', '2.5', '3.5', ...) in 59 rows ... label.kind=column", study=CLASSES),
]  # fmt: skip
