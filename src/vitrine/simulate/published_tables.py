"""Published tables by name: where their rows come from, under which licence, and what to cite.

The files are those of public repositories at one commit, with the SHA-256 of their uncompressed
content: what is read under a name is the same everywhere. None of them is part of this package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TargetKind = Literal["value", "binary", "classes"]
SplitPart = Literal["train", "validation", "test"]
PARTS: tuple[SplitPart, ...] = ("train", "validation", "test")
"""of a published split; their positions are the numbers of the attribute ``split``"""

_MATERIALS_PROJECT = "10.1063/1.4812323"
_JARVIS = "10.1038/s41524-020-00440-1"
_CROSS_PROPERTY = "10.1038/s41467-021-26921-5"
_MATBENCH = "10.1038/s41524-020-00406-3"
_EXPERIMENTAL_GAPS = "10.1021/acs.jpclett.8b00124"
_ELASTICITY = "10.1038/sdata.2015.9"
_PEROVSKITES = "10.1039/C2EE22341D"
_CRABNET = "10.1038/s41524-021-00545-1"
_OQMD = (_CRABNET, "10.1007/s11837-013-0755-4", "10.1038/npjcompumats.2015.10")
_AFLOW = "10.1016/j.commatsci.2012.02.005"
_CRITICAL_EXAMINATION = "10.1038/s41524-020-00362-y"


@dataclass(frozen=True)
class File:
    """One file of a set.

    Attributes
    ----------
    part: of the published split; None if there is no such split.
    name: below the set's folder in ``VITRINE_DATA`` or the cache; the uncompressed file will do too.
    path: below the set's home; None if it can only be had from somebody who has it.
    rows: how many it holds.
    sha256: of the uncompressed content.
    """

    part: SplitPart | None
    name: str
    path: str | None
    rows: int
    sha256: str


@dataclass(frozen=True)
class Published:
    """A set: its files in the order in which rows are counted.

    Attributes
    ----------
    units: column -> unit (None: it has none) of what may be learned, the usual target first.
    folder: of its files below ``VITRINE_DATA``.
    home: ``owner/repository/commit``, or None if it has no public home.
    citations: DOIs.
    may_be_empty: whether a row without a target is no fault.
    aliases: short name -> column, for targets.
    """

    files: tuple[File, ...]
    units: Mapping[str, str | None]
    folder: str
    home: str | None
    formula: str
    licence: str
    citations: tuple[str, ...]
    kind: TargetKind = "value"
    note: str | None = None
    may_be_empty: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The usual target."""
        return next(iter(self.units))

    def knows(self, names: Iterable[str]) -> bool:
        """Whether all of these are targets of the set, by their columns or short names."""
        return all(self.aliases.get(name, name) in self.units for name in names)

    def unit_of(self, name: str) -> str | None:
        """Unit of a target, by its column or short name; None if it has none or is not known."""
        return self.units.get(self.aliases.get(name, name))

    @property
    def rows(self) -> int:
        """Of all files."""
        return sum(file.rows for file in self.files)

    @property
    def split(self) -> bool:
        """Whether it has a published split."""
        return len({file.part for file in self.files}) > 1


_Known = tuple[int, str]
"""rows and SHA-256 of a file"""


def _jarvis(
    stem: str, target: str, unit: str, *, train: _Known, test: _Known | None = None, **more: Any
) -> Published:
    folder = f"data/{stem}"
    names = {"train": f"{stem}_training_set.csv", "test": f"{stem}_test_set.csv"}
    both = (("train", train), ("test", test))
    files = tuple(
        File(part if test else None, f"{names[part]}.gz", f"{folder}/{names[part]}", *known)  # type: ignore[arg-type]
        for part, known in both
        if known is not None
    )
    return Published(
        files=files,
        units={target: unit},
        folder="jarvis_comp",
        home="NU-CUCIS/CrossPropertyTL/7258427fb5fe3cd8d34ece0fdfbd33f690d494a6",
        formula="pretty_comp",
        licence="Northwestern University notice (repository); underlying data: JARVIS-DFT, NIST, public",
        **{"citations": (_CROSS_PROPERTY, _JARVIS), **more},
    )


def _matbench(stem: str, target: str, unit: str | None, known: _Known, **more: Any) -> Published:
    name = f"matbench_{stem}.json.bz2"
    return Published(
        files=(File(None, name, f"scripts/artifacts/{name}", *known),),
        units={target: unit},
        folder="matbench_comp",
        home="materialsproject/matbench/936176db18ca4cd7b38cbd957c017a5bac770c6b",
        formula="composition",
        licence="MIT (repository); underlying data: CC BY 4.0",
        **more,
    )


def _crabnet(
    stem: str, unit: str, *, val: _Known, test: _Known, train: _Known | None = None, **more: Any
) -> Published:
    """Without a training file the validation file is trained on."""
    parts: tuple[tuple[SplitPart, str, _Known], ...] = (
        ("train" if train is None else "validation", "val", val),
        ("test", "test", test),
    )
    if train is not None:
        parts = (("train", "train", train), *parts)
    return Published(
        files=tuple(
            File(part, f"{stem}_{name}.csv.gz", f"data/benchmark_data/{stem}/{name}.csv", *known)
            for part, name, known in parts
        ),
        units={"target": unit},
        folder="oqmd_crabnet",
        home="anthony-wang/CrabNet/457b4d4835737ecbe4dd33e53174bd818bd82143",
        formula="formula",
        licence="MIT (repository); underlying data: OQMD and Materials Project, CC BY 4.0, and AFLOW",
        **more,
    )


# fmt: off
PUBLISHED: dict[str, Published] = {
    "jarvis/formation_energy": _jarvis(
        "deltae", "formation_energy_peratom", "eV/atom",
        train=(25_297, "d0fb3731aab4db0c4467cd2bc3e857400c96442c3db51920ebd2c4df66fb0823"),
        note="the training file only: the official test file is kept apart for an independent check",
    ),
    "jarvis/e_hull": _jarvis(
        "ehull", "ehull", "eV/atom",
        train=(24_567, "45a858d3482e5b3c9ee1bf4be0283bd98d21e2fa5b4bffcb5d82226247a71929"),
        test=(2_730, "9819a7dc368393f03124d8732a3a6a1e6342c8d8d64094804eb01f8dc9a34605"),
    ),
    "jarvis/bulk_modulus": _jarvis(
        "bulkmoduluskv", "bulk_modulus_kv", "GPa",
        train=(9_668, "0980a47605935c44cb6ed158dc26ec92f780bfef58727addecaa214d137970ba"),
        test=(1_075, "0c3a1b973ea38610d0ea06ce6bdb3c0151096c2dae51ebff19f8f80543a3f389"),
    ),
    "jarvis/optb88vdw_gap": _jarvis(
        "optb88vdw_bandgap", "optb88vdw_bandgap", "eV",
        train=(25_339, "a8833e050e620fd2b168e30a7ca1f0779e3892fe1833dfdb99bcde240b6676d8"),
        test=(2_816, "6a66c75b1cf28b66a2a5b1f884dd6cce8ff26cb5bbf8e69cbdff6434e73f49ae"),
    ),
    "jarvis/mbj_gap": _jarvis(
        "mbj_bandgap", "mbj_bandgap", "eV",
        train=(6_566, "e67a540b2f62c9f8382e356a2d17fe7fefba39ed3c0d0a2714c743eb5a1d67d7"),
        test=(730, "4a46948fc5b46c7a502a4d83ea0b67087df329e2111700bf8f414d70a517010d"),
        note="row 3933 was turned into a date by a spreadsheet and is left out",
    ),
    "jarvis/expt_gap": _jarvis(
        "expt_bandgap", "gap expt", "eV",
        train=(4_428, "57fa671792945cafb9a6d206c63521761aa12bb3e46122fb792b3d0eb3521a7b"),
        test=(492, "5daa60e8b8e11c2c05f0dfe325f1ac0eb406eaed68f1eeb2c6437aab8e1ec243"),
        citations=(_CROSS_PROPERTY, _EXPERIMENTAL_GAPS),
    ),
    "jarvis/expt_formation_energy": _jarvis(
        "expt_deltae", "delta_e", "eV/atom",
        train=(1_479, "6fb5be8a8f637e53befc1c40e861ce45f9c71f8f77f43ffed2dba8e01eca8bbc"),
        test=(164, "6211631cef23d46cfe50ea71fecf33d896d44ff627517b8591cbda3f0a912bf1"),
        citations=(_CROSS_PROPERTY,),
    ),
    "matbench/expt_gap": _matbench(
        "expt_gap", "gap expt", "eV",
        (4_604, "0ef829986b72cb4568db55243f810290287651943880d5e19d47815f2e670a73"),
        citations=(_MATBENCH, _EXPERIMENTAL_GAPS),
    ),
    "matbench/expt_is_metal": _matbench(
        "expt_is_metal", "is_metal", None,
        (4_921, "90954132e74550e8c4f1b6776c469d1c6e373841bc3ff70709468d0c7dde97dd"),
        kind="binary", citations=(_MATBENCH, _EXPERIMENTAL_GAPS),
    ),
    "matbench/log_gvrh": _matbench(
        "log_gvrh", "log10(G_VRH)", "log10 GPa",
        (10_987, "622761b1c2e68dfbfaee479f43fabef145635d936a7d35567a04961bc78a543c"),
        citations=(_MATBENCH, _ELASTICITY),
    ),
    "matbench/log_kvrh": _matbench(
        "log_kvrh", "log10(K_VRH)", "log10 GPa",
        (10_987, "b1cca26398474c6a6a039f751bb789437b07780abc23a237e7bfadfab44152f7"),
        citations=(_MATBENCH, _ELASTICITY),
    ),
    "matbench/mp_e_form": _matbench(
        "mp_e_form", "e_form", "eV/atom",
        (132_752, "86fa4b3b55e2103d547f08b0d91273a5966a39c2f712d9df5e4d897ee7292a17"),
        citations=(_MATBENCH, _MATERIALS_PROJECT),
    ),
    "matbench/mp_gap": _matbench(
        "mp_gap", "gap pbe", "eV",
        (106_113, "823c6815deeadff4f4073d827727ddae6e0a10aaf097656502e8bb18b9b57cf2"),
        citations=(_MATBENCH, _MATERIALS_PROJECT),
    ),
    "matbench/mp_is_metal": _matbench(
        "mp_is_metal", "is_metal", None,
        (106_113, "df5c87d8e2e6ee2a485110695db9051afa4384c7377d320c439f048a0c080a25"),
        kind="binary", citations=(_MATBENCH, _MATERIALS_PROJECT),
    ),
    "matbench/perovskites": _matbench(
        "perovskites", "e_form", "eV/unit cell",
        (18_928, "81283eb8e539d46b811a87ede081ed6e3d3a9fb9381a0ec86f7e103fc1e1268c"),
        citations=(_MATBENCH, _PEROVSKITES),
    ),
    "oqmd/formation_enthalpy": _crabnet(
        "OQMD_Formation_Enthalpy", "eV/atom",
        val=(51_255, "af138c2bfed3a8eb8fc2e202690fae94190e0e64258625ce1612df45298193d4"),
        test=(51_255, "773275807866c98cef1d36887e2f33cf3a3bb0428fc8faf6912cdcff19961172"),
        citations=_OQMD,
        note="the published validation file (51,255 rows, its part to train on) and test file: the published "
        "training file, five times as large, is not at hand",
    ),
    "oqmd/gap": _crabnet(
        "OQMD_Bandgap", "eV",
        train=(239_125, "8611a9f1f76ad06d846890d2234e6b37909abd941c156cdc339447bbcce3ada7"),
        val=(51_241, "7838750eb3b5b09ec296b0fbf194271f6588b4bcd4653e392aba6df04c645002"),
        test=(51_242, "59206d9cf13387a6cbf5a155f5b350043aee2f190663bb9baf97a6ee85e63d55"),
        citations=_OQMD,
    ),
    "aflow/energy": _crabnet(
        "aflow__energy_atom", "eV/atom",
        train=(19_346, "5ff635bff649b9a68e5cf572125bf4f527751fd49b98d680fb1182a1ca275ad5"),
        val=(4_118, "ce5c8f7b3175c9c370891c5e29bdf1e0c5e56c103f391f0a538c629ef319b81a"),
        test=(4_115, "f393d89ac7a506b2415645b9ee4e69e2d15af1469ece679e945f7098d51a6e99"),
        citations=(_CRABNET, _AFLOW),
    ),
    "aflow/gap": _crabnet(
        "aflow__Egap", "eV",
        train=(19_330, "54cfdde0f9dc313acf2ffb22f49c9861d8d0e1fc5ee3938b8810785db65c1c17"),
        val=(4_125, "798bd5b2d16cca829be8873a483872910de4c948a1bc55ae89c70efb9be0c545"),
        test=(4_122, "d2096c4b87dcc1f13407532f048552544cd389d49486770b9b065dffd5cc92ef"),
        citations=(_CRABNET, _AFLOW),
    ),
    "mp/e_hull": _crabnet(
        "mp_e_hull", "eV/atom",
        train=(39_663, "b3badcdc96484d4ae7c622bf098e75db628a23e89c48b44b0b0af8084e9bb7ae"),
        val=(8_499, "fbeba63de5701a2e300c52f5192673cbd7737e3b762f2d9a2d2056b982d7fe41"),
        test=(8_500, "236e6fe8f6406ef28a6805d26e508be0b4d45da1d22aebe779c93d3291c599a0"),
        citations=(_CRABNET, _MATERIALS_PROJECT),
    ),
    "mp/formation_energy": _crabnet(
        "CritExam__Ef", "eV/atom",
        train=(59_509, "717892455f5474fb98d952b2824b09e2abae21d4893eebc5f0e16b5042a9f168"),
        val=(12_752, "f641c56947685fad49aaf13c31b098593a708d8aff19cf271b2239251d9d6a3a"),
        test=(12_753, "92052ffc5bad988371946b1c98a605addf88fd2894e2319ed1a39653cecb0f43"),
        citations=(_CRABNET, _CRITICAL_EXAMINATION, _MATERIALS_PROJECT),
    ),
    "mp/decomposition_energy": _crabnet(
        "CritExam__Ed", "eV/atom",
        train=(59_509, "b8de276563588969f9b8a9f7fb59059e2b445da22f4bc84beed5d4b8d3b16934"),
        val=(12_752, "be508d700c294fffa382887f37dbc1aded4ad2a5f5ab526bad60d987f5a6d7f0"),
        test=(12_753, "ebe21e71b66eb534c9f53c4e682c3661ed402204805e7a74bf17d03639a978ab"),
        citations=(_CRABNET, _CRITICAL_EXAMINATION, _MATERIALS_PROJECT),
    ),
    "perov5/heat": Published(
        files=(
            File("train", "perov5_val.csv.gz", "data/perov_5/val.csv", 3_787,
                 "326f401219901270374b71e2faff63df3a29a99fd26f469993b9f476b693daf2"),
            File("test", "perov5_test.csv.gz", "data/perov_5/test.csv", 3_785,
                 "a85878c685037f0a578257f6d4fcdde00e968dbab73c5f1e90ecef65218513f6"),
        ),
        units={"heat_ref": "eV/unit cell", "heat_all": "eV/unit cell", "dir_gap": "eV", "ind_gap": "eV"},
        folder="perov5",
        home="txie-93/cdvae/f857f598d6f6cca5dc1ea0582d228f12dcc2c2ea",
        formula="formula",
        licence="MIT (repository); underlying data: Computational Materials Repository, DTU",
        citations=("10.48550/arXiv.2110.06197", _PEROVSKITES, "10.1039/C1EE02717D"),
        note="the published validation file (its part to train on) and test file: the training file is not "
        "at hand; the column cif holds the structures",
    ),
    "mp/structures": Published(
        files=(
            File(None, "mp_structures.parquet", None, 100_807,
                 "0d898ba6cc78d472744f47c3f5ac72932a1f1ba2519cddc66212a109f262d4c6"),
        ),
        units={"e_form_joined": "eV/atom", "gap_pbe": "eV"},
        folder="mp_structures",
        home=None,
        formula="formula",
        licence="MIT (repository asmijana/cgcnn_bandgap); underlying data: Materials Project, CC BY 4.0",
        citations=(_MATBENCH, _MATERIALS_PROJECT),
        note="e_form_joined is matbench_mp_e_form joined on composition and space group, empty where that "
        "is ambiguous; 5 % of the crystals of matbench_mp_gap are held back for an independent check",
        may_be_empty=True,
        aliases={"e_form": "e_form_joined", "gap": "gap_pbe"},
    ),
}
# fmt: on
"""name -> set"""


def published_names() -> tuple[str, ...]:
    """Names of the published sets, as ``source.table`` takes them."""
    return tuple(PUBLISHED)
