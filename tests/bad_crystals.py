"""Inputs that are wrong: folders of crystals with a CSV of targets, sizes of crystals, space groups."""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

from bad_inputs import TABLE_STUDY, Bad, Content

STUDY = TABLE_STUDY.replace("kind: table", "kind: crystal-folder").replace("table: a.csv", "folder: mine")
NO_FOLDER = STUDY.replace("  folder: mine\n", "")
POSCAR = "x\n1.0\n{edge} 0 0\n0 3.6 0\n0 0 3.6\n{symbol}\n1\nDirect\n0 0 0\n"
CIF = (
    "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
    "_cell_angle_gamma 90\nloop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
    "_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_occupancy\nCu1 Cu 0 0 0 1\n"
)
GOOD: dict[str, Content] = {
    f"mine/{symbol}.vasp": POSCAR.format(symbol=symbol, edge=3.6) for symbol in ("Cu", "Ag", "Al", "Ni")
}
ROWS = "Cu,1\nAg,2\nAl,3\nNi,4\n"


def folder(name: str, says: str, rows: str | None = ROWS, flags: str = "", **files: Content) -> Bad:
    """Four good crystals and more files; ``a__b`` stands for ``a.b``."""
    found = {f"mine/{key.replace('__', '.')}": content for key, content in files.items()}
    table: dict[str, Content] = {} if rows is None else {"mine/id_prop.csv": rows}
    everything = {"my.yaml": STUDY, **GOOD, **table, **found}
    return Bad(f"folder: {name}", f"run my.yaml {flags}".strip(), says, everything)


def fifth(name: str, file: str, content: Content, says: str) -> Bad:
    """A fifth crystal that cannot be used."""
    key = file.replace(".", "__")
    return folder(
        name,
        f"id_prop.csv: 1 of 5 rows ... row 5: {file}: {says} ... --skip-bad",
        f"{ROWS}{file},5\n",
        **{key: content},
    )


CRYSTAL_FOLDERS = [
    Bad("folder: absent", "run my.yaml", "source.folder: mine does not exist (looked from ... give a folder of CIF, POSCAR or extxyz files", {"my.yaml": STUDY}),
    Bad("folder: a file", "run my.yaml", "source.folder: mine is a file, not a folder", {"my.yaml": STUDY, "mine": "x"}),
    Bad("folder: without crystals", "run my.yaml", "mine holds no crystals; expected .cif, POSCAR, CONTCAR, .vasp or .extxyz", {"my.yaml": STUDY, "mine/id_prop.csv": ROWS}),
    Bad("folder: not said", "run my.yaml", "source.folder: is missing", {"my.yaml": NO_FOLDER, **GOOD}),
    folder("no CSV", "mine has no CSV file; expected a table beside the crystals, usually id_prop.csv", None),
    folder("two CSVs", "mine has 2 CSV files and none is id_prop.csv; name one with source.targets: 'a.csv', 'b.csv'", None, a__csv=ROWS, b__csv=ROWS),
    folder("no such CSV", "mine has no file 'id_porp.csv' (source.targets); did you mean 'id_prop.csv'?", flags="--set source.targets=id_porp.csv"),
    folder("an empty CSV", "id_prop.csv is empty; expected lines of id,target", ""),
    folder("a CSV in Latin-1", "a.csv is not UTF-8 text", None, a__csv="Cu,1\nÄg,2\n".encode("latin-1")),
    folder("semicolons", "id_prop.csv: the first line has one column, 'Cu;1'; expected id,target; separate the columns by commas", "Cu;1\nAg;2\n"),
    folder("rows of unequal width", "id_prop.csv: row 2 has 3 fields, the first row has 2", "Cu,1\nAg,2,3\n"),
    folder("a target in words", "id_prop.csv: 1 of 4 rows ... row 2: target is 'high', not a finite number", "Cu,1\nAg,high\nAl,3\nNi,4\n"),
    folder("a target missing", "row 2: target is missing", "Cu,1\nAg,\nAl,3\nNi,4\n"),
    folder("no such target", "id_prop.csv: no column 'gpa' (source.target); did you mean 'gap'?", "id,gap\nCu,1\nAg,2\n", "--set source.target=gpa"),
    folder("no file for an id", "row 5: no file of the folder is called 'Cuu'", f"{ROWS}Cuu,5\n"),
    folder("an id twice", "row 5: 'Cu.vasp' is Cu.vasp, as row 1; ids must differ", f"{ROWS}Cu.vasp,5\n"),
    folder("two files for an id", "row 1: 'Cu' can be Cu.cif and Cu.vasp; write the id with its ending", Cu__cif=CIF),
    folder("no atoms wanted", "source.most_atoms: Input should be greater than or equal to 1", flags="--set source.most_atoms=0"),
    fifth("no CIF", "x.cif", "hello\n", "is not a CIF file that can be read"),
    fifth("an empty file", "x.cif", "", "is empty"),
    fifth("partly occupied", "x.cif", CIF.replace("0 0 0 1", "0 0 0 0.5"), "has a site that is partly occupied"),
    fifth("two structures", "x.cif", CIF + CIF.replace("data_x", "data_y"), "holds 2 structures, not one"),
    fifth("no cell", "x.cif", CIF.replace("_cell_length_a 4\n", ""), "has no cell, so it is not periodic"),
    fifth("no volume", "x.vasp", POSCAR.format(symbol="Cu", edge=0), "the box must have a finite volume above 0"),
    fifth("an unknown element", "x.vasp", POSCAR.format(symbol="Xx", edge=3.6), "cannot be read as vasp"),
    fifth("not periodic", "x.xyz", "1\nmolecule\nCu 0 0 0\n", "needs a box that is periodic in all three directions"),
    fifth("binary", "x.cif", b"\xff\xfe\x00", "is not a text in UTF-8, so no CIF file"),
    Bad("folder: a size without structures", "run my.yaml --set source.most_atoms=4", "a.csv: source.most_atoms needs a column 'species' (symbols of a crystal) or 'nsites'", {"my.yaml": TABLE_STUDY, "a.csv": "formula,e\nFeO,1\nNiO,2\n"}),
    Bad("folder: space groups of a table without any", "run my.yaml --set representation.kind=space-group", "space groups need a column (spg_num, space_group, spacegroup, or representation.column) or structures", {"my.yaml": TABLE_STUDY, "a.csv": "formula,e\nFeO,1\nNiO,2\nCoO,3\nMnO,4\n"}),
    Bad("folder: no such space group", "run my.yaml --set source.target=e --set representation.kind=space-group --set representation.atoms=false", "a:3: spg_num is wrong: 'Fm-3n' is no symbol of a space group; did you mean 'Fm-3'?", {"my.yaml": TABLE_STUDY, "a.csv": "formula,e,spg_num\nFeO,1,225\nNiO,2,225\nCoO,3,Fm-3n\nMnO,4,225\n"}),
]  # fmt: skip
