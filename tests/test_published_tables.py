"""Published tables by name: found, fetched, checked, read; which rows they hold."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from table_server import Server, serving
from vitrine.errors import DataError
from vitrine.simulate import published_files
from vitrine.simulate.published_tables import PARTS, PUBLISHED, File, Published, published_names
from vitrine.simulate.table import Table
from vitrine.tasks import digest

TRAIN = b"formula,target\nFeO,1\nXx,2\nNaN,3\n"
TEST = b"formula,target\nNiO,4\nCoO,5\n"
JSON = json.dumps(
    {"mbid": {"0": "a", "1": "b"}, "composition": {"0": "Fe1 O1", "1": "NaCl"}, "e": {"0": 0.5, "1": 1.5}}
).encode()


def published(*files: tuple[str | None, str, bytes], **more) -> Published:
    described = tuple(
        File(part, name, f"data/{name.removesuffix('.gz')}", 3, hashlib.sha256(content).hexdigest())
        for part, name, content in files
    )
    settings = {"units": {"target": "eV"}, "formula": "formula", "home": "me/mine/0123", **more}
    return Published(described, folder="mine", licence="MIT", citations=("10.1/x",), **settings)


PAIR = published(("train", "a_train.csv.gz", TRAIN), ("test", "a_test.csv.gz", TEST))
PLAIN = f"/{PAIR.home}/data/"


@pytest.fixture(autouse=True)
def sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two small sets, folders of this test alone and no network."""
    monkeypatch.setitem(PUBLISHED, "mine/pair", PAIR)
    more = {"units": {"e": "eV/atom", "mbid": None}, "formula": "composition"}
    monkeypatch.setitem(PUBLISHED, "mine/json", published((None, "a.json.bz2", JSON), **more))
    monkeypatch.setenv("VITRINE_TABLES", str(tmp_path / "cache"))
    monkeypatch.setenv("VITRINE_TABLES_FROM", "http://127.0.0.1:9")
    monkeypatch.delenv("VITRINE_DATA", raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as found:
        found.files = {f"{PLAIN}a_train.csv": TRAIN, f"{PLAIN}a_test.csv": TEST}
        found.files[f"{PLAIN}a.json.bz2"] = bz2.compress(JSON)
        monkeypatch.setenv("VITRINE_TABLES_FROM", found.url)
        yield found


def refusal(name: str, **settings) -> str:
    with pytest.raises(DataError) as caught:
        Table(table=name, **settings).samples(())
    return " ".join(str(caught.value).split())


def put(folder: Path, **contents: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_bytes(content)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- where the rows come from


@pytest.mark.parametrize("form", ["gz", "plain"])
def test_the_folder_of_the_user_is_looked_into_at_call_time(tmp_path: Path, monkeypatch, form: str) -> None:
    table = Table(table="mine/pair")
    if form == "gz":
        put(tmp_path / "mine", a_train__csv__gz=gzip.compress(TRAIN), a_test__csv__gz=gzip.compress(TEST))
    else:
        put(tmp_path / "mine", a_train__csv=TRAIN, a_test__csv=TEST)
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    samples = table.samples(())
    assert samples.ids == ("mine/pair:1", "mine/pair:3", "mine/pair:4", "mine/pair:5")
    assert samples.items["formula"].tolist() == ["FeO", "NaN", "NiO", "CoO"]
    assert samples.items["target"].tolist() == [1.0, 3.0, 4.0, 5.0]
    assert samples.items["split"].tolist() == ["train", "train", "test", "test"]
    assert samples.attributes["split"].tolist() == [0.0, 0.0, 2.0, 2.0]
    assert list(samples.left_out) == ["mine/pair:2"]
    about = samples.about
    assert (about["table"], about["target"], about["unit"]) == ("mine/pair", "target", "eV")
    assert (about["rows"], about["skipped"]) == (5, 1)
    assert (about["licence"], about["citations"]) == ("MIT", ["10.1/x"])
    assert table.citations() == ("10.1/x",)
    assert not (tmp_path / "cache").exists()


def test_a_set_is_fetched_once_and_kept(server: Server, tmp_path: Path, capfd) -> None:
    first = Table(table="mine/pair").samples(())
    assert [path for path, _ in server.asked] == [f"{PLAIN}a_train.csv", f"{PLAIN}a_test.csv"]
    assert files_in(tmp_path / "cache") == ["a_test.csv", "a_train.csv"]
    again = Table(table="mine/pair").samples(())
    assert again.ids == first.ids and len(server.asked) == 2
    assert Table(table="mine/json").samples(()).items["formula"].tolist() == ["Fe1 O1", "NaCl"]
    assert (tmp_path / "cache" / "mine" / "a.json.bz2").is_file()
    assert len(Table(table="mine/json").samples(())) == 2 and len(server.asked) == 3


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_taken_up_again(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.breaks, server.ranges = 2, ranges
    assert len(Table(table="mine/pair").samples(())) == 4
    if ranges:
        assert [asked for _, asked in server.asked][:3] == [None, "bytes=10-", "bytes=20-"]
    assert (tmp_path / "cache" / "mine" / "a_train.csv").read_bytes() == TRAIN


def test_what_is_not_the_published_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.files[f"{PLAIN}a_test.csv"] = TEST.replace(b"4", b"5")
    words = refusal("mine/pair")
    assert f"what {server.url}{PLAIN}a_test.csv gave for mine/pair is not the published file" in words
    assert PAIR.files[1].sha256 in words and "nothing was kept" in words
    assert files_in(tmp_path / "cache") == ["a_train.csv"]
    server.files[f"{PLAIN}a.json.bz2"] = b"no bzip2"
    assert "a.json.bz2 gave for mine/json is not the published file" in refusal("mine/json")


def test_a_spoilt_file_of_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    put(tmp_path / "cache" / "mine", a_train__csv=TRAIN[:-5], a_test__csv=TEST)
    assert len(Table(table="mine/pair").samples(())) == 4
    assert (tmp_path / "cache" / "mine" / "a_train.csv").read_bytes() == TRAIN and len(server.asked) == 1


def test_another_file_in_the_folder_of_the_user_is_an_error(
    server: Server, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    put(tmp_path / "mine", a_train__csv=TRAIN[:-5], a_test__csv=TEST)
    words = refusal("mine/pair")
    assert f"{tmp_path}/mine/a_train.csv is not the published file of mine/pair: the SHA-256" in words
    assert "take it away, or give it as a table of your own by its path" in words
    put(tmp_path / "mine", a_train__csv__gz=b"no gzip")
    assert "a_train.csv.gz cannot be read: Not a gzipped file" in refusal("mine/pair")
    assert server.asked == [] and files_in(tmp_path / "mine") == [
        "a_test.csv",
        "a_train.csv",
        "a_train.csv.gz",
    ]


def test_without_a_network_it_says_which_file_to_put_where(tmp_path: Path, monkeypatch) -> None:
    words = refusal("mine/pair")
    assert f"cannot be fetched from http://127.0.0.1:9{PLAIN}a_train.csv ([Errno" in words
    assert (
        "put the file a_train.csv.gz or a_train.csv into $VITRINE_DATA/mine (VITRINE_DATA is not set)"
        in words
    )
    assert f"or into {tmp_path}/cache/mine" in words
    monkeypatch.setenv("VITRINE_DATA", "/data")
    assert "or a_train.csv into /data/mine or into" in refusal("mine/pair")
    assert "mp/structures is not at hand, and it has no public home; put the file mp_structures.parquet" in (
        refusal("mp/structures")
    )
    assert not (tmp_path / "cache").exists()


def test_an_answer_that_is_no_file(server: Server, monkeypatch) -> None:
    del server.files[f"{PLAIN}a_train.csv"]
    assert "(Not Found)" in refusal("mine/pair") and len(server.asked) == 1
    server.files[f"{PLAIN}a_train.csv"] = TRAIN
    server.status = 503
    assert "(Service Unavailable)" in refusal("mine/pair") and len(server.asked) == 1 + published_files.TRIES
    monkeypatch.setenv("VITRINE_TABLES_FROM", "file:///etc")
    assert "an address begins with https://" in refusal("mine/pair")


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    assert "set VITRINE_TABLES to a folder that you may write to" in refusal("mine/pair")


# --- names and recipes


def test_a_path_that_exists_wins(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "mine", pair=TRAIN)
    assert "mine/pair is not a table that can be read here" in refusal("mine/pair")


def test_unknown_names_are_answered_with_what_is_known() -> None:
    assert "did you mean 'jarvis/formation_energy'?" in refusal("jarvis/formation_enrgy")
    words = refusal("other/zzz")
    assert "other/zzz is neither a file" in words and "published sets: jarvis/formation_energy, " in words
    assert "does not exist" in refusal("folder/table.csv")
    assert Table(table="jarvis/none").target_kind() is None
    assert set(published_names()) == set(PUBLISHED)


def test_the_recipe_holds_name_and_checksums(tmp_path: Path, monkeypatch) -> None:
    recipe = Table(table="mine/pair").recipe()
    sums = [file.sha256 for file in PAIR.files]
    assert recipe["settings"]["table"] == {"name": "mine/pair", "sha256": sums}
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    assert digest(Table(table="mine/pair").recipe()) == digest(recipe)


def test_kind_of_target_without_reading_a_file() -> None:
    assert Table(table="jarvis/formation_energy").target_kind() == "value"
    assert Table(table="matbench/mp_is_metal").target_kind() == "binary"
    assert Table(table="perov5/heat", target="dir_gap").target_kind() == "value"


def test_nothing_is_fetched_for_a_look_at_the_kind(server: Server) -> None:
    table = Table(table="mine/json", target="composition", formula="mbid")
    assert table.target_kind() is None and server.asked == []
    Table(table="mine/json").samples(())
    assert table.target_kind() == "binary"


# --- settings


def test_limit_takes_rows_of_each_part(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    put(tmp_path / "mine", a_train__csv=TRAIN.replace(b"Xx", b"H2"), a_test__csv=TEST + b"ZnO,6\n")
    six = published(
        ("train", "a_train.csv", (tmp_path / "mine" / "a_train.csv").read_bytes()),
        ("test", "a_test.csv", (tmp_path / "mine" / "a_test.csv").read_bytes()),
    )
    monkeypatch.setitem(PUBLISHED, "mine/six", six)
    assert Table(table="mine/six", limit=4).samples(()).ids == tuple(f"mine/six:{n}" for n in (1, 2, 4, 5))
    assert len(Table(table="mine/six", limit=60).samples(())) == 6


def test_another_target_group_and_ids_of_a_set(server: Server) -> None:
    samples = Table(table="mine/json", id="mbid").samples(())
    assert samples.ids == ("mine/json:a", "mine/json:b") and samples.about["unit"] == "eV/atom"
    assert samples.attributes == {} and samples.groups == ("FeO", "NaCl")
    samples = Table(table="mine/json", target="mbid").samples(())
    assert samples.items["target"].tolist() == ["a", "b"] and "unit" not in samples.about
    assert "mine/json: no column 'f' (source.target)" in refusal("mine/json", target="f")


# --- the real sets

SETS = [name for name in PUBLISHED if not name.startswith("mine/")]
ROOT = os.environ.get("VITRINE_DATA")
QUICK = ("jarvis/mbj_gap", "matbench/expt_gap", "matbench/expt_is_metal", "perov5/heat", "aflow/energy")


def rows_of(name: str, monkeypatch: pytest.MonkeyPatch):
    if not ROOT:
        pytest.skip(f"set VITRINE_DATA to the folder that holds {PUBLISHED[name].folder}/ to run this test")
    if not (Path(ROOT) / PUBLISHED[name].folder).is_dir():
        pytest.skip(f"VITRINE_DATA={ROOT} holds no folder {PUBLISHED[name].folder}")
    monkeypatch.setenv("VITRINE_DATA", ROOT)
    return Table(table=name).samples(())


def sources() -> dict[str, int]:
    """File -> rows, by the table that stands beside the data."""
    if not ROOT or not (Path(ROOT) / "SOURCES.md").is_file():
        pytest.skip("set VITRINE_DATA to a folder with SOURCES.md to run this test")
    text = (Path(ROOT) / "SOURCES.md").read_text()
    rows = {found[1]: int(found[2]) for found in re.finditer(r"\| (\S+) \| \d+ \| (\d+) \|", text)}
    return rows | {"mp_structures.parquet": 100_807}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SETS]
)
def test_every_published_set_is_read_in_full(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, samples, rows = PUBLISHED[name], rows_of(name, monkeypatch), sources()
    assert [rows[file.name] for file in table.files] == [file.rows for file in table.files]
    absent = samples.about.get("without_target", 0)
    assert samples.about["rows"] + absent == table.rows == len(samples) + len(samples.left_out) + absent
    assert samples.about["skipped"] == len(samples.left_out) == (name == "jarvis/mbj_gap")
    assert absent == (12_722 if name == "mp/structures" else 0)
    assert samples.about["unit"] if table.kind == "value" else "unit" not in samples.about
    assert all(re.fullmatch(r"10\.\d{4,}/\S+", doi) for doi in samples.about["citations"])
    if table.split:
        counts = np.bincount(samples.attributes["split"].astype(int), minlength=3)
        skipped = [len(samples.left_out), 0, 0]
        assert [sum(file.rows for file in table.files if file.part == part) for part in PARTS] == (
            counts + skipped
        ).tolist()
    else:
        assert samples.attributes == {}


def test_every_file_at_hand_has_its_set() -> None:
    known = {(table.folder, file.name) for table in map(PUBLISHED.get, SETS) for file in table.files}
    assert known >= {
        (folder, name)
        for name in sources()
        for folder in ("jarvis_comp", "matbench_comp", "oqmd_crabnet", "mp_structures")
        if (Path(str(ROOT)) / folder / name).is_file()
    }


def test_structures_come_along(monkeypatch: pytest.MonkeyPatch) -> None:
    items = rows_of("perov5/heat", monkeypatch).items
    assert items["cif"].str.startswith("# generated using pymatgen").all()
    assert {"heat_all", "dir_gap"} <= set(items.columns) and "heat_ref" not in items.columns


def test_the_row_that_a_spreadsheet_spoilt_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = rows_of("jarvis/mbj_gap", monkeypatch)
    assert list(samples.left_out) == ["jarvis/mbj_gap:3933"]
    assert samples.items.attrs["refused"][0]["formula"] == "2-Feb"


def test_truth_values_are_kept_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    items = rows_of("matbench/expt_is_metal", monkeypatch).items
    assert items["target"].dtype == object and set(items["target"]) == {"True", "False"}


def test_the_page_lists_every_set() -> None:
    page = (Path(__file__).parent.parent / "docs" / "tables.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\S+/\S+)` \| ([\d,]+) \|", page, flags=re.MULTILINE))
    assert rows == {name: f"{PUBLISHED[name].rows:,}" for name in SETS}
    for name in SETS:
        (line,) = re.findall(rf"^\| `{name}` \| [\d,]+ \| (.*)$", page, flags=re.MULTILINE)
        assert f"`{PUBLISHED[name].target}`" in line
        assert (PUBLISHED[name].units[PUBLISHED[name].target] or "two classes") in line


def test_addresses_are_those_of_a_commit() -> None:
    for name in SETS:
        for file in PUBLISHED[name].files:
            url = published_files.address(PUBLISHED[name], file)
            assert (url is None) == (name == "mp/structures")
            assert url is None or re.fullmatch(r"http://127\.0\.0\.1:9/[\w-]+/[\w-]+/[0-9a-f]{40}/\S+", url)
