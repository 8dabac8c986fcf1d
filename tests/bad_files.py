"""Inputs that are wrong: configurations of atoms, potentials and sets of sheared glasses."""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bad_inputs import Bad, Content, Trained
from study_cases import GLASS
from vitrine.simulate.released import find_released
from vitrine.study.yaml_reader import write_yaml

# ---------------------------------------------------------------- dumps

PLACES = [(x, y, z) for x in (1.0, 6.5) for y in (2.0, 7.25) for z in (3.0, 8.125)]
ROWS = [f"{n + 1} {n % 2 + 1} {x} {y} {z}" for n, (x, y, z) in enumerate(PLACES)]
BOX = "pp pp pp\n0 10\n0 10\n0 10\n"


def frame(
    rows: list[str] = ROWS, columns: str = "id type x y z", count: object = None, box: str = BOX
) -> str:
    n = len(rows) if count is None else count
    lines = "".join(f"{row}\n" for row in rows)
    return (
        f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{n}\nITEM: BOX BOUNDS {box}ITEM: ATOMS {columns}\n{lines}"
    )


def third(row: str) -> str:
    """The dump with another third row."""
    return frame([*ROWS[:2], row, *ROWS[3:]])


def dump(name: str, content: Content, says: str, *flags: str, elements: str | None = "Cu,Zr") -> Bad:
    words = [*([] if elements is None else ["--elements", elements]), *flags]
    return Bad(f"dump: {name}", " ".join(["measure a.dump", *words]), says, {"a.dump": content})


GOOD = frame()
DUMPS = [
    dump("types without elements", GOOD, "a.dump names atom types 1 to 2 ... --elements Cu,Zr", elements=None),
    dump("too few elements", GOOD, "a.dump has the atom type 2, but --elements names types 1 to 1", elements="Cu"),
    dump("no element", GOOD, "--elements: 'Xx' is not a chemical symbol", elements="Cu,Xx"),
    dump("a dummy as element", GOOD, "--elements: 'X' is not a chemical symbol", elements="Cu,X"),
    dump("a small letter", GOOD, "--elements: 'zr' is not a chemical symbol; did you mean 'Zr'?", elements="Cu,zr"),
    dump("empty", "", "a.dump: not a text dump of LAMMPS; its first line should be 'ITEM: TIMESTEP'"),
    dump("binary", b"\x00\x01\x02\xff", "a.dump: not a text dump ... 'ITEM: TIMESTEP'"),
    dump("gzip", gzip.compress(GOOD.encode()), "a.dump is compressed by gzip; unpack it first"),
    Bad("dump: no such file", "measure a.dump", "a.dump: no such file"),
    Bad("dump: a folder", "measure a.dump", "a.dump is a folder; give a file", {"a.dump/x": ""}),
    Bad("dump: of no known kind", "measure a.txt", "a.txt: unknown kind of file; expected a LAMMPS text dump", {"a.txt": "1 2"}),
    dump("cut short", GOOD[:-12], "a.dump, frame 1 is cut short: 8 atoms announced, 7 whole lines there"),
    dump("cut in its head", GOOD.partition("ITEM: ATOMS")[0], "a.dump, frame 1 is cut short: it has no 'ITEM: ATOMS'"),
    dump("a second frame cut short", GOOD + GOOD[:-30], "a.dump, frame 2 is cut short: 8 atoms announced"),
    dump("text after the frame", GOOD + "rubbish\n", "a.dump, frame 2: expected a line 'ITEM: ...', got 'rubbish'"),
    dump("no head", GOOD.replace("ITEM: ATOMS id type x y z\n", ""), "a.dump, frame 1: expected a line 'ITEM: ...'"),
    dump("no box", GOOD.replace(f"ITEM: BOX BOUNDS {BOX}", ""), "a.dump, frame 1: atoms before ... 'ITEM: BOX BOUNDS'"),
    dump("no atoms", frame([]), "a.dump holds no atoms"),
    dump("more atoms announced", frame(count=9), "a.dump, frame 1 is cut short: 9 atoms announced, 8 whole lines"),
    dump("fewer atoms announced", frame(count=7), "a.dump, frame 2: expected a line 'ITEM: ...', got '8 2 6.5"),
    dump("10^12 atoms announced", frame(count=10**12), "a.dump, frame 1 is cut short: 1000000000000 atoms announced"),
    dump("10^25 atoms announced", frame(count=10**25), "a.dump, frame 1: the number of atoms should be a whole number"),
    dump("a count in words", frame(count="many"), "a.dump, frame 1: the number of atoms should be a whole number, got 'many'"),
    dump("a small two as count", frame(count="²"), "a.dump, frame 1: the number of atoms should be a whole number, got '²'"),
    dump("no types", frame([r.split()[0] + " 1 2 3" for r in ROWS], "id x y z"), "frame 1: its columns (id x y z) name neither type nor element"),
    dump("no positions", frame(columns="id type vx vy vz"), "frame 1: its columns (id type vx vy vz) hold no positions, such as x y z"),
    dump("a column twice", frame(columns="id type x x z"), "frame 1: two of its columns have the same name"),
    dump("a column of a taken name", frame([f"{r} 5" for r in ROWS], "id type x y z numbers"), "frame 1: no column may be named numbers ... rename it"),
    dump("a short row", third("3 1 1.0 2.0"), "frame 1 ... row 3 has 4 columns, not 5: '3 1 1.0 2.0'"),
    dump("a long row", third("3 1 1.0 2.0 3.0 4.0"), "frame 1 ... row 3 has 6 columns, not 5"),
    dump("a word among numbers", third("3 1 1.0 two 3.0"), "frame 1 ... row 3 has 'two' in the column y, which should be a number"),
    dump("half a type", third("3 1.5 1.0 2.0 3.0"), "frame 1 ... row 3 has '1.5' in the column type, which should be a whole number"),
    dump("a position that is no number", third("3 1 nan 2.0 3.0"), "a.dump: the position of atom 3 is not finite"),
    dump("an infinite position", third("3 1 1e999 2.0 3.0"), "a.dump: the position of atom 3 is not finite"),
    dump("a position light years away", third("3 1 1e300 2.0 3.0"), "a.dump: atom 3 is more than 1e+06 boxes away"),
    dump("a type too many", third("3 7 1.0 2.0 3.0"), "a.dump has the atom type 7, but --elements names types 1 to 2"),
    dump("type 0", third("3 0 1.0 2.0 3.0"), "a.dump has the atom type 0, but --elements names types 1 to 2"),
    dump("an id twice", third("1 1 1.0 2.0 3.5"), "a.dump, frame 1: the atom id 1 stands there twice"),
    dump("two atoms in one place", third("3 1 1.0 2.0 3.0"), "a.dump, frame 1: atoms 1 and 3 are in one place ... list each once"),
    dump("an unknown element", frame([f"{n} Qq 1 2 {n}" for n in range(8)], "id element x y z"), "its column element holds 'Qq', which is no chemical symbol", elements=None),
    dump("a box of no volume", frame(box="pp pp pp\n0 10\n0 10\n5 5\n"), "frame 1: the box must be wider than 0 along each axis; its bounds give 0 along z"),
    dump("a box upside down", frame(box="pp pp pp\n0 10\n0 10\n10 0\n"), "frame 1: the box must be wider than 0 along each axis; its bounds give -10 along z"),
    dump("a tilt beyond the bounds", frame(box="xy xz yz pp pp pp\n0 10 20\n0 10 0\n0 10 0\n"), "frame 1: the box must be wider than 0 ... less the tilts give -10 along x"),
    dump("a triclinic box in one plane", frame(box="abc origin pp pp pp\n1 0 0 0\n2 0 0 0\n0 0 1 0\n"), "a.dump: the box must have a finite volume above 0"),
    dump("a box like a thread", frame(box="pp pp pp\n0 1e7\n0 10\n0 10\n"), "a.dump, frame 1: 8 atoms in a box of 1e+07 x 10 x 10 Å are too few to tessellate ... a more even shape"),
    dump("an endless box", frame(box="pp pp pp\n0 1e200\n0 1e200\n0 1e200\n"), "a.dump: the box must have a finite volume above 0, not inf"),
    dump("bounds that are no numbers", frame(box="pp pp pp\n0 10\n0 nan\n0 10\n"), "frame 1: the box bounds should be 3 lines of 2 finite numbers"),
    dump("bounds of unlike length", frame(box="pp pp pp\n0 10 0\n0 10\n0 10\n"), "frame 1: the box bounds should be 3 lines of 2 finite numbers"),
    dump("free surfaces", frame(box="pp pp ff\n0 10\n0 10\n0 10\n"), "a.dump: needs a box that is periodic in all three directions"),
    dump("frames of unlike atoms", GOOD + frame(ROWS[:-1]), "a.dump, frame 2 has 7 atoms, the one before 8", "--fields d2min"),
]  # fmt: skip

# ---------------------------------------------------------------- extxyz

HEAD = 'Lattice="10 0 0 0 10 0 0 0 10" Properties=species:S:1:pos:R:3 pbc="T T T"'
XYZ = f"8\n{HEAD}\n" + "".join(f"Cu {x} {y} {z}\n" for x, y, z in PLACES)


def extxyz(name: str, old: str, new: str, says: str) -> Bad:
    """With the first ``old`` replaced; without ``old``, ``new`` is the whole file."""
    content = XYZ.replace(old, new, 1) if old else new
    assert content != XYZ
    return Bad(f"extxyz: {name}", "measure a.extxyz", f"a.extxyz ... {says}", {"a.extxyz": content})


PROPERTIES = "expected Properties=species:S:1:pos:R:3 or more of name:type:number"
EXTXYZ = [
    extxyz("empty", "", "", "holds no atoms"),
    extxyz("words", "", "eight\n", "line 1: expected the number of atoms of a frame, got 'eight'"),
    extxyz("one atom more announced", "8\n", "9\n", "line 1: 9 atoms announced, 8 lines follow; is the file cut short?"),
    extxyz("one atom fewer announced", "8\n", "7\n", "line 10: expected the number of atoms of a frame, got 'Cu 6.5"),
    extxyz("10^12 atoms announced", "8\n", f"{10**12}\n", "line 1: 1000000000000 atoms announced, 8 lines follow"),
    extxyz("minus eight atoms", "8\n", "-8\n", "line 1: expected the number of atoms of a frame, got '-8'"),
    extxyz("a count and no more", "", "8\n", "line 1: 8 atoms announced, and nothing follows"),
    extxyz("no Lattice", 'Lattice="10 0 0 0 10 0 0 0 10" ', "", "needs a box that is periodic in all three directions"),
    extxyz("a short Lattice", '0 0 10"', '0 0"', "line 2: not a line of key=value: Got info item Lattice"),
    extxyz("a flat Lattice", '0 0 10"', '0 0 0"', "the box must have a finite volume above 0"),
    extxyz("not periodic", "T T T", "T T F", "needs a box that is periodic in all three directions"),
    extxyz("positions of two columns", "pos:R:3", "pos:R:2", "line 2: positions (pos:R:3) and elements"),
    extxyz("no positions", "pos:R:3", "place:R:3", "line 2: positions (pos:R:3) and elements (species:S:1) are needed"),
    extxyz("no elements", "species:S:1", "name:S:1", "line 2: positions (pos:R:3) and elements (species:S:1) are needed"),
    extxyz("an unknown type of column", "pos:R:3", "pos:Q:3", f"line 2: {PROPERTIES}"),
    extxyz("half a column", "pos:R:3", "pos:R", f"line 2: {PROPERTIES}"),
    extxyz("10^12 columns", "pos:R:3", "pos:R:3:a:R:999999999999", f"line 2: {PROPERTIES} ... with 1 to 1000 columns"),
    extxyz("a column twice", "pos:R:3", "pos:R:3:pos:R:3", f"line 2: {PROPERTIES}"),
    extxyz("an unknown element", "Cu", "Qq", "line 3: 'Qq' is no chemical symbol"),
    extxyz("a row without its element", "Cu ", "", "line 3: expected an atom in 4 columns"),
    extxyz("a row with one number more", "Cu 1.0 ", "Cu 1.0 1.0 ", "line 3: expected an atom in 4 columns"),
    extxyz("a word among numbers", "Cu 1.0 ", "Cu one ", "line 3: expected a number (positions), got 'one'"),
    extxyz("a position that is no number", "Cu 1.0 ", "Cu nan ", "the position of atom 1 is not finite"),
    extxyz("frames after a blank line", "", f"{XYZ}\n{XYZ}", "line 12: a blank line ends the file, but here it goes on"),
    Bad("extxyz: binary", "measure a.extxyz", "a.extxyz is not a text in UTF-8", {"a.extxyz": b"\xff\xfe\x00"}),
]  # fmt: skip

# ---------------------------------------------------------------- LAMMPS data files, CIF, POSCAR

DATA = """a data file

4 atoms
2 atom types
0.0 10.0 xlo xhi
0.0 11.0 ylo yhi
0.0 12.0 zlo zhi

Masses

1 63.546
2 91.224

Atoms # atomic

3 2 7 8 9
1 1 1 2 3
2 1 4 5 6
4 2 2 9 4
"""


def data(name: str, old: str, new: str, says: str) -> Bad:
    content = DATA.replace(old, new, 1) if old else new
    assert content != DATA
    return Bad(f"data: {name}", "measure a.data", f"a.data ... {says}", {"a.data": content})


DATA_FILES = [
    data("empty", "", "", "not a data file of LAMMPS: it has no line '<number> atoms'"),
    data("no section Atoms", "", DATA.partition("Atoms")[0], "not a data file of LAMMPS: it has no section 'Atoms'"),
    data("no count", "4 atoms\n", "", "it has no line '<number> atoms'"),
    data("more atoms announced", "4 atoms", "5 atoms", "is cut short: 5 atoms announced, 4 lines in section 'Atoms'"),
    data("fewer atoms announced", "4 atoms", "3 atoms", "line 19: 3 atoms announced, and here is one more"),
    data("10^12 atoms announced", "4 atoms", f"{10**12} atoms", "is cut short: 1000000000000 atoms announced"),
    data("a side of the box missing", "0.0 11.0 ylo yhi\n", "", "its header gives no box (a line such as '0.0 20.0 ylo yhi'"),
    data("a box upside down", "0.0 12.0", "12.0 0.0", "zlo 12 must be below zhi 0"),
    data("an id twice", "2 1 4 5 6", "1 1 4 5 6", "line 18: the atom id 1 stands there twice"),
    data("a type too many", "2 1 4 5 6", "2 9 4 5 6", "line 18: expected an atom type from 1 to 2, got '9'"),
    data("a row of another length", "2 1 4 5 6", "2 1 4 5", "line 18: 4 columns, the first atom has 5"),
    data("a word among numbers", "4 5 6", "4 five 6", "cannot be read as lammps-data ... expected a header, a box"),
    data("a position that is no number", "4 5 6", "4 nan 6", "the position of atom 2 is not finite"),
    data("a mass missing", "2 91.224\n", "", "its section 'Masses' gives no mass for type 2"),
    data("masses of nothing", "63.546", "60.0", "names atom types 1 to 2, not elements ... --elements Cu,Zr"),
]  # fmt: skip

CIF = """data_x
_cell_length_a 3.6
_cell_length_b 3.6
_cell_length_c 3.6
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
Cu1 Cu 0 0 0
Cu2 Cu 0.5 0.5 0
Cu3 Cu 0.5 0 0.5
Cu4 Cu 0 0.5 0.5
"""
POSCAR = "Cu\n1.0\n3.6 0 0\n0 3.6 0\n0 0 3.6\nCu\n4\nDirect\n0 0 0\n0.5 0.5 0\n0.5 0 0.5\n0 0.5 0.5\n"


def crystal(file: str, name: str, old: str, new: str, says: str) -> Bad:
    good = CIF if file == "a.cif" else POSCAR
    content = good.replace(old, new, 1) if old else new
    assert content != good
    return Bad(f"crystal: {file} {name}", f"measure {file}", f"{file} ... {says}", {file: content})


CRYSTALS = [
    crystal("a.cif", "without atoms", "", "data_x\n", "holds no atoms"),
    crystal("a.cif", "with an unknown length", "3.6", "?", "cannot be read as cif ... expected a data_ block with the lengths and angles"),
    crystal("a.cif", "without a length", "_cell_length_c 3.6\n", "", "needs a box that is periodic in all three directions"),
    crystal("a.cif", "with a flat cell", "gamma 90", "gamma 0", "cannot be read as cif ... expected a data_ block"),
    crystal("a.cif", "with an unknown element", "Cu2 Cu", "Xx2 Xx", "cannot be read as cif ... Xx"),
    crystal("a.cif", "with a short row", "0.5 0.5 0\n", "0.5 0.5\n", "cannot be read as cif ... Wrong number"),
    crystal("POSCAR", "empty", "", "", "not a POSCAR: no numbers of atoms in line 6 or 7"),
    crystal("POSCAR", "cut short", "0 0.5 0.5\n", "", "cannot be read as vasp ... expected title, scale, three cell vectors"),
    crystal("POSCAR", "of 10^12 atoms", "\n4\n", f"\n{10**12}\n", "is cut short: 1000000000000 atoms announced, 12 lines in all"),
    crystal("POSCAR", "with a word for a position", "0.5 0.5 0", "a b c", "cannot be read as vasp"),
    crystal("POSCAR", "with an unknown element", "Cu\n4", "Xx\n4", "cannot be read as vasp ... Xx"),
    crystal("POSCAR", "without a volume", "1.0", "0", "needs a box that is periodic in all three directions"),
]  # fmt: skip

# ---------------------------------------------------------------- potentials


def setfl(elements: str = "2 Cu Zr", head: str = "4 0.1 4 0.5 6.0", second: str = "40 91.224 3.2 hcp") -> str:
    """A potential of four points a table; two elements of style eam/fs."""
    table = "0.1 0.2 0.3 0.4\n"
    return f"a\nb\nc\n{elements}\n{head}\n29 63.546 3.6 fcc\n{3 * table}{second}\n{3 * table}{3 * table}"


def potential(name: str, content: Content, says: str, file: str = "my.eam.fs", flags: str = "") -> Bad:
    command = f"simulate metallic-glass -o x.h5 --workers 0 --potential {file} {flags}".strip()
    return Bad(f"potential: {name}", command, says, {file: content})


POTENTIALS = [
    Bad("potential: no such file", "simulate metallic-glass -o x.h5 --workers 0 --potential my.eam.fs", "no potential file 'my.eam.fs' here ... give the path of an eam/fs or eam/alloy file", needs="lammps"),
    potential("another kind of file", setfl(), "my.txt: cannot tell the kind ... its name must end in .eam.fs or .eam.alloy", "my.txt"),
    potential("empty", "", "my.eam.fs, line 4: expected the number of elements and their names, got ''"),
    potential("binary", b"\xff\xfe\x00\n" * 9, "my.eam.fs, line 4: expected the number of elements and their names"),
    potential("a wrong number of elements", setfl("3 Cu Zr"), "my.eam.fs, line 4: expected the number of elements ... '3 Cu Zr'"),
    potential("an element missing", setfl(), "my.eam.fs describes Cu, Zr; it has no Al", flags="--elements Cu,Al"),
    potential("no such element", setfl(), "my.eam.fs describes Cu, Zr; it has no Xx", flags="--elements Cu,Xx"),
    potential("numbers of points in words", setfl(head="a b c d e"), "my.eam.fs, line 5: expected Nrho, drho, Nr, dr and the cut-off, all above 0"),
    potential("no points", setfl(head="0 0.1 0 0.5 6.0"), "my.eam.fs, line 5: expected Nrho, drho, Nr, dr and the cut-off, all above 0"),
    potential("10^12 points", setfl(head=f"{10**12} 0.1 4 0.5 6.0"), "my.eam.fs, line 10: the tables of Cu should be 1000000000008 finite numbers"),
    potential("cut short", setfl()[:-16], "my.eam.fs is cut short: the pair potentials should be 12 numbers, 8 are there"),
    potential("a table cut out", setfl().replace("0.1 0.2 0.3 0.4\n", "", 1), "my.eam.fs, line 9: the tables of Cu should be 12 finite numbers, 8 of them"),
    potential("a number that is none", setfl().replace("0.3", "nan", 1), "my.eam.fs, line 7: the tables of Cu should be 12 finite numbers"),
    potential("no heading", setfl(second=""), "my.eam.fs, line 10: expected atomic number, mass, lattice constant and lattice of Zr"),
    potential("of the other kind", setfl(), "my.eam.alloy, line 9: expected atomic number ... not of the kind eam/alloy?", "my.eam.alloy"),
]  # fmt: skip

# ---------------------------------------------------------------- sets of sheared glasses

RELEASED_STUDY = write_yaml(
    {k: v for k, v in GLASS.items() if k != "scales"}
    | {
        "source": {"kind": "released-glass", "name": "my.h5"},
        "tracks": [{"split": {"kind": "random", "folds": 2}}],
    }
)


def glasses(folder: Path, specimens: int = 2) -> Path:
    """The first specimens of the set that ships."""
    path = folder / "my.h5"
    with h5py.File(find_released("cu64zr36-n500")) as whole, h5py.File(path, "w") as part:
        part.attrs.update(whole.attrs)
        group = part.create_group("specimens")
        for name in sorted(whole["specimens"])[:specimens]:
            whole.copy(whole["specimens"][name], group)
    return path


def released(name: str, says: str, spoil: Callable[[Any, Any], None], flags: str = "") -> Bad:
    """``spoil`` gets the open file and its first specimen."""

    def make(folder: Path, trained: Trained) -> None:
        with h5py.File(glasses(folder), "r+") as file:
            spoil(file, file["specimens"][min(file["specimens"])])

    return Bad(
        f"released: {name}",
        f"run my.yaml {flags}".strip(),
        f"my.h5 ... {says}",
        {"my.yaml": RELEASED_STUDY},
        make,
    )


def put(name: str, value: Any) -> Callable[[Any, Any], None]:
    def change(file: Any, specimen: Any) -> None:
        del specimen[name]
        specimen[name] = value

    return change


def first_direction(specimen: Any) -> Any:
    return specimen["directions"][min(specimen["directions"])]


def unwritten(file: Any, specimen: Any) -> None:
    del specimen["positions"], specimen["energy"]
    specimen.create_dataset("positions", shape=(10**12, 3), dtype="f8", chunks=(1000, 3))
    specimen.create_dataset("energy", shape=(10**12,), dtype="f4", chunks=(1000,))


def endless(folder: Path, trained: Trained) -> None:
    """One byte of the length of the last text: HDF5 2.0 goes round in circles on it."""
    path = glasses(folder)
    content = bytearray(path.read_bytes())
    place = content.index(b"GCOL") + 16  # of the first object in the heap of texts
    objects = []
    while content[place] or content[place + 1]:
        objects.append(place + 8)
        place += 16 + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    content[objects[-1]] += 8
    path.write_bytes(content)


WHOLE = find_released("cu64zr36-n500").read_bytes()
RELEASED = [
    Bad("released: no such file", "run my.yaml", "no file and no released set 'my.h5'; known: cu64zr36, cu64zr36-n500", {"my.yaml": RELEASED_STUDY}),
    Bad("released: no such set", "run my.yaml --set source.name=cu64zr36-n50", "no released set 'cu64zr36-n50'; did you mean 'cu64zr36-n500'?", {"my.yaml": RELEASED_STUDY}),
    Bad("released: no HDF5", "run my.yaml", "my.h5 is not an HDF5 file of released glasses", {"my.yaml": RELEASED_STUDY, "my.h5": "x"}),
    Bad("released: cut short", "run my.yaml", "my.h5 is not an HDF5 file ... truncated file", {"my.yaml": RELEASED_STUDY, "my.h5": WHOLE[:5000]}),
    Bad("released: simulate into another file", "simulate metallic-glass -o my.h5 --workers 0", "my.h5 is not an HDF5 file of released glasses", {"my.h5": "x"}, needs="lammps"),
    Bad("released: texts without an end", "run my.yaml", "my.h5 is damaged: ", {"my.yaml": RELEASED_STUDY}, endless),
    released("more specimens than there are", "holds 2 specimens; 9 were asked for", lambda f, s: None, "--set source.specimens=9"),
    released("another format", "its format is 'x', this version of vitrine reads 'vitrine sheared glasses 1'", lambda f, s: f.attrs.update(format="x")),
    released("no settings", "is damaged: it names no settings or no specimens", lambda f, s: f.attrs.pop("about")),
    released("settings that are no JSON", "is damaged: its attribute about is no JSON", lambda f, s: f.attrs.update(about="{")),
    released("settings that are a list", "its attribute about should be a JSON mapping, not '[]'", lambda f, s: f.attrs.update(about="[]")),
    released("reasons that are a list", "its attribute left_out should be a JSON mapping", lambda f, s: f.attrs.update(left_out="[]")),
    released("positions lost", "is damaged ... positions", lambda f, s: s.pop("positions")),
    released("positions of fewer atoms", "/numbers has the shape (500,) of uint8; it should be (3,) numbers", put("positions", np.ones((3, 3)))),
    released("positions that are no numbers", "/positions holds numbers that are not finite", put("positions", np.full((500, 3), np.nan))),
    released("10^12 atoms", "/positions holds no data in this file", unwritten),
    released("a cell of no volume", "/cell has no volume", put("cell", np.zeros((3, 3)))),
    released("unknown elements", "/numbers should be atomic numbers from 1 to 118", put("numbers", np.full(500, 255))),
    released("energies of fewer atoms", "/energy has the shape (3,) of float64; it should be (500,) numbers", put("energy", np.zeros(3))),
    released("words for energies", "/energy has the shape (500,) of |S1; it should be", put("energy", np.full(500, b"a"))),
    released("a folder for energies", "/energy should be an array in this file", lambda f, s: (s.pop("energy"), s.create_group("energy"))),
    released("a link to another file", "/energy should be an array in this file", lambda f, s: (s.pop("energy"), s.__setitem__("energy", h5py.ExternalLink("my.h5", "/")))),
    released("a direction that is none", "/directions holds 'ab'; known: -xy", lambda f, s: s["directions"].move(min(s["directions"]), "ab")),
    released("no strain of the event", "event_strain should be finite, not nan", lambda f, s: first_direction(s).attrs.update(event_strain=np.nan)),
    released("D2min of fewer atoms", "/d2min has the shape (3,)", lambda f, s: put("d2min", np.zeros(3))(f, first_direction(s))),
]  # fmt: skip
