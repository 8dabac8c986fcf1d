"""A folder of crystals with a CSV of targets: the conventions, the columns, and what is wrong with them."""

# ruff: noqa: E501 - a row of a table is a line
from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from crystals import crystals, perovskite
from vitrine.cli.main import main
from vitrine.errors import DataError
from vitrine.physics.crystal_files import read_crystal
from vitrine.physics.prototypes import prototype_of
from vitrine.represent.asph import AtomSpecificHomology
from vitrine.represent.structures import read_structures
from vitrine.samples import Samples
from vitrine.simulate.crystal_folder import CrystalFolder
from vitrine.study.spec import load_study
from vitrine.study.yaml_reader import write_yaml
from vitrine.tasks import digest

NAMES = ("a.cif", "b.vasp", "POSCAR-c", "d.extxyz", "CONTCAR_e", "f.cif")
FORMULAS = ("CaTiO3", "NaCl", "Cu", "Mg", "Cu3Au", "BaZrSO2")
FORMATS = {"cif": "cif", "xyz": "extxyz"}


def put(folder: Path, name: str, atoms: Atoms) -> None:
    kind = FORMATS.get(name[-3:], "vasp")
    ase.io.write(folder / name, atoms, format=kind)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six crystals in five kinds of file, and no CSV."""
    found = tmp_path / "mine"
    found.mkdir()
    for name, atoms in zip(NAMES, crystals(), strict=True):
        put(found, name, atoms)
    return found


def rows(folder: Path, text: str, name: str = "id_prop.csv") -> Path:
    (folder / name).write_text(text)
    return folder


def cgcnn(folder: Path, ids: Sequence[str] = ("a", "b", "POSCAR-c", "d", "CONTCAR_e", "f")) -> Path:
    return rows(folder, "".join(f"{name},{number / 4}\n" for number, name in enumerate(ids)))


def read(folder: Path, **settings: object) -> Samples:
    return CrystalFolder(folder=str(folder), **settings).samples()


def refusal(folder: Path, **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, **settings)
    return " ".join(str(caught.value).split())


# --- what is read


@pytest.mark.parametrize("ids", [("a", "b", "POSCAR-c", "d", "CONTCAR_e", "f"), NAMES])
def test_the_convention_of_cgcnn_and_alignn(folder: Path, ids: Sequence[str]) -> None:
    samples = read(cgcnn(folder, ids), unit="eV/atom")
    assert samples.kind == "formulas" and samples.groups == tuple(samples.items["formula"])
    assert samples.ids == tuple(f"mine:{name}" for name in ("a", "b", "POSCAR-c", "d", "CONTCAR_e", "f"))
    assert samples.items["target"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert list(samples.items.columns) == ["formula", "id", "target", "cell", "species", "frac"]
    assert samples.about["unit"] == "eV/atom" and samples.about["targets"] == ["target"]
    assert "note" not in samples.about and samples.left_out == {}


def test_structures_are_those_of_the_files(folder: Path) -> None:
    samples = read(cgcnn(folder))
    for wanted, formula, found in zip(crystals(), FORMULAS, read_structures(samples), strict=True):
        atoms = Atoms(list(found.species), scaled_positions=found.frac, cell=found.cell, pbc=True)
        assert sorted(atoms.get_chemical_symbols()) == sorted(wanted.get_chemical_symbols())
        assert sorted(Atoms(formula).get_chemical_symbols()) == sorted(wanted.symbols) or formula == "Mg"
        np.testing.assert_allclose(distances(atoms), distances(wanted), atol=2e-5)
    assert [p.rpartition("-")[0] for p in prototype_of(samples)][:4] == [
        "ABC3-221", "AB-225", "A-225", "A-194",
    ]  # fmt: skip


def distances(atoms: Atoms) -> np.ndarray:
    """All between atoms, and to images of themselves."""
    doubled = atoms.repeat(2)
    return np.sort(doubled.get_all_distances(mic=True).ravel())


def test_left_handed_cells_stay_the_crystal_that_they_are(folder: Path) -> None:
    from ase.spacegroup import crystal

    cell = [4.916, 4.916, 5.4054, 90, 90, 120]
    sites = [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.4524]]
    quartz = crystal(["Si", "O"], sites, spacegroup=152, cellpar=cell)
    left = Atoms(quartz.symbols, positions=quartz.positions, cell=quartz.cell.array[[1, 0, 2]], pbc=True)
    assert np.linalg.det(left.cell.array) < 0
    put(folder, "q.vasp", left)
    assert prototype_of(read(rows(folder, "q,1\na,2\n")))[0] == "AB2-152-9"


def test_other_columns_survive_and_the_target_is_found(folder: Path) -> None:
    text = (
        "\ufeffname,e_form,spg_num,prototype,species,file\na,-1.5,221,cubic,x,a.cif\nb,0.5,225,B1,y,b.vasp\n"
    )
    rows(folder, text, "props.csv")
    assert "which is the target? there are 2 numeric columns" in refusal(folder)
    samples = read(folder, target="e_form")
    assert samples.ids == ("mine:a", "mine:b") and samples.about["target"] == "e_form"
    assert samples.items["spg_num"].tolist() == [221, 225] and samples.items["prototype"][1] == "B1"
    assert samples.items["species (table)"].tolist() == ["x", "y"] and samples.items["name"][0] == "a"
    assert read(folder, target="e_form", id="file").ids == samples.ids
    several = read(folder, target=("e_form", "spg_num"))
    assert several.about["targets"] == ["e_form", "spg_num"]
    np.testing.assert_array_equal(several.items["target"], several.items["e_form"])
    words = read(folder, target="prototype")
    assert words.items["target"].tolist() == ["cubic", "B1"]
    assert CrystalFolder(folder=str(folder), target="prototype").target_kind() == "binary"
    assert CrystalFolder(folder=str(folder), target="e_form").target_kind() == "value"
    assert CrystalFolder(folder=str(folder / "no")).target_kind() is None


def test_several_targets_without_a_header(folder: Path) -> None:
    rows(folder, "a,1,2\nb,3,\nf,1,5\n")
    assert "columns: 'target 1', 'target 2'" in refusal(folder)
    samples = read(folder, target=("target 1", "target 2"))
    assert samples.items["target 1"].tolist() == [1, 3, 1] and np.isnan(samples.items["target 2"][1])


def test_files_without_a_row_are_noted(folder: Path) -> None:
    samples = read(rows(folder, "a,1\nb,2\n"))
    assert samples.about["files_without_row"] == 4
    assert (
        "4 files without a row in id_prop.csv are not used: CONTCAR_e, POSCAR-c, d.extxyz"
        in (samples.about["note"])
    )


def test_numbers_as_ids_are_names(folder: Path) -> None:
    put(folder, "0010.cif", perovskite())
    put(folder, "10.cif", bulk("NaCl", "rocksalt", a=5.64))
    samples = read(rows(folder, "10,1\n0010,2\n"))
    assert samples.ids == ("mine:10", "mine:0010") and samples.groups == ("NaCl", "CaTiO3")


def test_two_files_of_one_name(folder: Path) -> None:
    put(folder, "a.vasp", bulk("NaCl", "rocksalt", a=5.64))
    assert "row 1: 'a' can be a.cif and a.vasp; write the id with its ending" in refusal(
        rows(folder, "a,1\nb,2\n")
    )
    assert read(rows(folder, "a.cif,1\na.vasp,2\n")).ids == ("mine:a.cif", "mine:a.vasp")


# --- which crystals


def test_large_crystals_do_not_count_for_the_limit(folder: Path) -> None:
    cgcnn(folder)
    assert read(folder, limit=2).ids == ("mine:a", "mine:b")
    small = read(folder, most_atoms=2, limit=2)
    assert small.ids == ("mine:b", "mine:POSCAR-c") and small.about["larger"] == 1
    assert read(folder, limit=9).ids == read(folder).ids
    drawn = {read(folder, limit=2, draw_seed=seed).ids for seed in range(8)}
    assert len(drawn) > 3 and read(folder, limit=3, draw_seed=1).ids == read(folder, limit=3, draw_seed=1).ids
    assert "no crystal has 0" not in refusal(cgcnn(folder, ["a", "f"]), most_atoms=4)
    assert "no crystal has 4 atoms or fewer (source.most_atoms); the smallest has 5" in refusal(
        folder, most_atoms=4
    )


def test_bad_rows_beyond_the_limit_do_not_matter(folder: Path) -> None:
    rows(folder, "a,1\nb,2\nnowhere,3\n")
    assert len(read(folder, limit=2)) == 2
    assert "row 3" in refusal(folder, limit=3)


def test_the_recipe_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    cgcnn(folder)
    key = digest(CrystalFolder(folder=str(folder)).recipe())
    (tmp_path / "deep").mkdir()
    moved = folder.rename(tmp_path / "deep" / "mine")
    assert digest(CrystalFolder(folder=str(moved)).recipe()) == key
    assert digest(CrystalFolder(folder=str(moved), skip_bad=True).recipe()) == key
    put(moved, "a.cif", bulk("Cu", "fcc", a=3.7))
    assert digest(CrystalFolder(folder=str(moved)).recipe()) != key


# --- what is wrong


DISORDERED = """data_x
_cell_length_a 3.9
_cell_length_b 3.9
_cell_length_c 3.9
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Ca1 Ca 0 0 0 0.5
O1 O 0.5 0.5 0.5 1
"""
ORDERED = DISORDERED.replace(" 0.5\nO1", " 1\nO1")
POSCAR = "x\n1.0\n3.6 0 0\n0 3.6 0\n0 0 3.6\nCu\n1\nDirect\n0 0 0\n"
XYZ = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc="T T T"\nCu 0 0 0\n'
BROKEN: Mapping[str, tuple[str, str | bytes, str]] = {
    "disordered": ("x.cif", DISORDERED, "x.cif: has a site that is partly occupied, {'Ca': 0.5}"),
    "an occupancy in words": ("x.cif", ORDERED.replace("0 0 0 1", "0 0 0 full"), "x.cif: has a site that is partly occupied, {'Ca': 'full'}"),
    "empty": ("x.cif", "", "x.cif: is empty"),
    "no CIF": ("x.cif", "hello\n", "x.cif: is not a CIF file that can be read"),
    "no atoms": ("x.cif", DISORDERED.partition("loop_")[0], "x.cif: "),
    "two structures": ("x.cif", ORDERED + ORDERED.replace("data_x", "data_y"), "x.cif: holds 2 structures, not one"),
    "binary": ("x.cif", b"\xff\xfe\x00data", "x.cif: is not a text in UTF-8"),
    "another element": ("x.cif", ORDERED.replace("Ca1 Ca", "Xx1 Xx"), "x.cif: is not a CIF file that can be read: "),
    "no cell": ("x.cif", ORDERED.replace("_cell_length_a 3.9\n", ""), "x.cif: has no cell, so it is not periodic"),
    "dense": ("x.cif", ORDERED.replace("3.9", "0.39"), "x.cif: the structure has 0.03 Å³ per atom; is its cell in Å?"),
    "one place": ("x.vasp", POSCAR.replace("1\nDirect", "2\nDirect") + "0 0 0.999\n", "x.vasp: has two atoms in one place, 1 and 2"),
    "no volume": ("x.vasp", POSCAR.replace("0 0 3.6", "0 3.6 0"), "x.vasp: the box must have a finite volume above 0"),
    "cut short": ("x.vasp", POSCAR.replace("0 0 0\n", ""), "x.vasp: cannot be read as vasp"),
    "a strange POSCAR": ("x.vasp", POSCAR.replace("Cu", "Qq"), "x.vasp: cannot be read as vasp"),
    "a dummy": ("x.vasp", POSCAR.replace("Cu", "X"), "x.vasp: the structure holds X, which is no element"),
    "two frames": ("x.extxyz", XYZ + XYZ, "x.extxyz: holds 2 structures, not one"),
    "not periodic": ("x.xyz", "1\nmolecule\nCu 0 0 0\n", "x.xyz: needs a box that is periodic in all three directions"),
    "a slab": ("x.xyz", XYZ.replace("T T T", "T T F"), "x.xyz: is not periodic in all three directions"),
    "partly": ("x.xyz", XYZ.replace("R:3 ", "R:3:occupancy:R:1 ").replace("0 0 0\n", "0 0 0 0.5\n"), "x.xyz: has sites that are partly occupied"),
    "a word": ("x.xyz", XYZ.replace("Cu 0 0 0", "Cu 0 0 up"), "x.xyz: line 3: expected a number (positions), got 'up'"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_named(folder: Path, what: str) -> None:
    name, content, words = BROKEN[what]
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    text = refusal(rows(folder, f"a,1\nb,2\n{name},3\n"))
    assert "id_prop.csv: 1 of 3 rows cannot be used: row 3: " + words in text, text
    assert "rows are counted from 1; correct them, or go on without them: --skip-bad" in text
    samples = read(folder, skip_bad=True)
    assert len(samples) == 2 and list(samples.left_out) == ["mine:row 3"]
    assert words in samples.left_out["mine:row 3"]
    assert samples.items.attrs["refused"][0]["id"] == name


def test_ordered_files_of_the_same_kinds_are_read(tmp_path: Path) -> None:
    for name, content in {
        "x.cif": ORDERED,
        "d.cif": ORDERED.replace("0 0 0 1", "0 0 0 ."),
        "x.vasp": POSCAR,
        "x.xyz": XYZ,
        "b.cif": "\ufeff" + ORDERED,
    }.items():
        (tmp_path / name).write_text(content)
        assert len(read_crystal(tmp_path / name).species) in (1, 2)


def test_bad_rows(folder: Path) -> None:
    rows(folder, "a,1\nb,high\nnowhere,3\na.cif,4\nd,\n,5\n")
    text = refusal(folder)
    for words in (
        "5 of 6 rows cannot be used",
        "row 2: target is 'high', not a finite number",
        "row 3: no file of the folder is called 'nowhere', as it is or with .cif, .vasp or .extxyz",
        "row 4: 'a.cif' is a.cif, as row 1; ids must differ",
        "row 5: target is missing",
        "row 6: the id is missing",
    ):
        assert words in text, text
    assert read(folder, skip_bad=True).ids == ("mine:a",)
    assert "3 of 3 rows" in refusal(rows(folder, "x,1\ny,2\nz,3\n"), skip_bad=True)


def test_what_is_wrong_with_the_folder(folder: Path, tmp_path: Path) -> None:
    assert "does not exist (looked from " in refusal(tmp_path / "no")
    assert "is a file, not a folder" in refusal(folder / "a.cif")
    assert "has no CSV file; expected a table beside the crystals, usually id_prop.csv" in refusal(folder)
    rows(folder, "a,1\n", "one.csv")
    rows(folder, "a,1\n", "two.csv")
    assert "has 2 CSV files and none is id_prop.csv; name one with source.targets: 'one.csv', 'two.csv'" in (
        refusal(folder)
    )
    assert len(read(folder, targets="two.csv")) == 1
    assert "has no file 'tow.csv' (source.targets); did you mean 'two.csv'?" in refusal(
        folder, targets="tow.csv"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no crystals; expected .cif, POSCAR" in refusal(rows(empty, "a,1\n"))
    with pytest.raises(ValidationError):
        CrystalFolder(folder="")


@pytest.mark.parametrize(
    ("text", "words", "settings"),
    [
        ("", "is empty; expected lines of id,target", {}),
        ("id,target\n", "has a header but no rows", {}),
        ("a\nb\n", "the first line has one column, 'a'; expected id,target", {}),
        ("a;1\nb;2\n", "separate the columns by commas", {}),
        ("a,1\nb,2,3\n", "row 2 has 3 fields, the first row has 2", {}),
        ("id,e\na,1\nb\n", "row 2 has 1 fields, the header has 2", {}),
        ("id,e,e\na,1,2\n", "more than one column is named 'e'", {}),
        (
            'a,"1\nb,2\n',
            "is not a readable CSV file: unexpected end of data; is a quotation mark not closed?",
            {},
        ),
        ("id,e\na,1\n", "no column 'ef' (source.target); did you mean", {"target": "ef"}),
        ("id,e\na,1\n", "no column 'name' (source.id)", {"id": "name"}),
        ("id,e\na,1\n", "'id' is the column of ids (source.id), not the target", {"target": "id"}),
        ("id,e,f\na,x,y\n", "which is the target? there is no numeric column; set source.target", {}),
    ],
)
def test_what_is_wrong_with_the_csv(folder: Path, text: str, words: str, settings: dict[str, object]) -> None:
    rows(folder, text)
    assert words in refusal(folder, **settings)
    (folder / "id_prop.csv").write_bytes("a,1\nä,2\n".encode("latin-1"))
    assert "id_prop.csv is not UTF-8 text" in refusal(folder)


# --- a study


def test_a_study_of_a_folder(folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    for number, a in enumerate(np.linspace(3.4, 4.2, 20)):
        put(folder, f"m{number}.cif", bulk("Cu" if number % 2 else "Ag", "fcc", a=a))
    (folder / "bad.cif").write_text("data_x\n")
    text = "".join(f"m{number},{number}\n" for number in range(20)) + "bad,1\na,2\nb,3\n"
    rows(folder, text)
    study = {
        "study": "my-crystals",
        "title": "Mine",
        "source": {"kind": "crystal-folder", "folder": str(folder), "unit": "eV"},
        "label": {"kind": "column"},
        "representation": {"kind": "joined", "of": [{"kind": "volume-per-atom"}, {"kind": "space-group"}]},
        "tracks": [{"split": {"kind": "random", "folds": 2}}],
        "models": {"mean": {"kind": "mean"}, "ridge": {"kind": "ridge"}},
        "main_model": "ridge",
        "evaluation": {"metrics": ["mae"], "resamples": 20},
    }
    (tmp_path / "my.yaml").write_text(write_yaml(study))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRINE_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(
        "sys.argv", ["vitrine", "run", "my.yaml", "--workers", "0", "--skip-bad", "-o", "out"]
    )
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code in (0, None), said
    with (tmp_path / "out" / "refused.csv").open() as file:
        (refused,) = csv.DictReader(file)
    assert refused["id"] == "bad" and refused["row"] == "21" and refused["reason"].startswith("bad.cif: ")


def test_a_study_follows_words_and_several_targets(folder: Path, tmp_path: Path) -> None:
    rows(folder, "id,e,kind\na,1,x\nb,2,y\nd,3,x\n")
    study = {
        "study": "my-crystals",
        "title": "Mine",
        "source": {"kind": "crystal-folder", "folder": str(folder), "target": "kind"},
        "label": {"kind": "column"},
        "representation": {"kind": "volume-per-atom"},
        "tracks": [{"split": {"kind": "random", "folds": 2}}],
        "models": {"chance": {"kind": "chance"}},
        "main_model": "chance",
        "evaluation": {"metrics": ["mae"]},
    }
    (tmp_path / "my.yaml").write_text(write_yaml(study))
    assert load_study(str(tmp_path / "my.yaml")).label.kind == "binary-column"


def test_persistent_homology_takes_the_folder_too(folder: Path) -> None:
    assert AtomSpecificHomology().refuses(read(cgcnn(folder))) == {}
