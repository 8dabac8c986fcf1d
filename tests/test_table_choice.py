"""Which rows of a table are used: small crystals, the first or random rows; short names; all alloys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vitrine.errors import DataError
from vitrine.simulate import published_tables
from vitrine.simulate.emt_alloys import EmtAlloys
from vitrine.simulate.published_tables import PUBLISHED, File, Published
from vitrine.simulate.table import Table
from vitrine.simulate.table_choice import limited
from vitrine.tasks import Outcome, digest


@pytest.fixture
def crystals(tmp_path: Path) -> str:
    """Twelve oxides of 2 to 24 atoms; every third has no gap, the fourth is broken."""
    symbols = ["Li", "Be", "Na", "Mg", "Al", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe"]
    frame = pd.DataFrame(
        {
            "formula": [f"{symbol}O" for symbol in symbols],
            "e": np.arange(12.0),
            "gap": [np.nan if n % 3 == 2 else n / 10 for n in range(12)],
            "nsites": [2 * (n + 1) for n in range(12)],
            "species": [[symbol] * (n + 1) + ["O"] * (n + 1) for n, symbol in enumerate(symbols)],
        }
    )
    frame.loc[3, "formula"] = "Xx"
    frame.to_parquet(tmp_path / "c.parquet")
    frame.drop(columns="species").to_csv(tmp_path / "c.csv", index=False)
    return str(tmp_path / "c.parquet")


@pytest.fixture
def published(crystals: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as a set ``mine/crystals`` in which a row without a target is no fault."""
    from vitrine.arrays import hash_file

    folder = Path(crystals).parent
    found = Published(
        files=(File(None, "c.parquet", None, 12, hash_file(Path(crystals))),),
        units={"e": "eV/atom", "gap": "eV"},
        folder=folder.name,
        home=None,
        formula="formula",
        licence="none",
        citations=(),
        may_be_empty=True,
        aliases={"energy": "e", "width": "gap"},
    )
    monkeypatch.setitem(PUBLISHED, "mine/crystals", found)
    monkeypatch.setenv("VITRINE_DATA", str(folder.parent))


def rows(samples) -> list[int]:
    return [int(name.rpartition(":")[2]) for name in samples.ids]


# --- which rows


def test_shares_of_a_limit() -> None:
    assert limited([4, 4], 4, None).tolist() == [0, 1, 4, 5]
    assert limited([3], 5, 1).tolist() == [0, 1, 2]
    drawn = [limited([50, 100], 30, seed) for seed in (0, 0, 1)]
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()
    assert all((np.diff(d) > 0).all() and (d < 50).sum() == 10 and len(d) == 30 for d in drawn)
    counts = np.bincount(np.concatenate([limited([20], 5, seed) for seed in range(400)]), minlength=20)
    assert counts.min() > 60 and counts.max() < 140  # 100 each; 5 standard deviations are 43


def test_large_crystals_are_left_out_before_rows_are_counted(crystals: str) -> None:
    table = Table(table=crystals, target="e", most_atoms=20, limit=5, skip_bad=True)
    assert rows(table.samples()) == [1, 2, 3, 5]
    assert table.samples().about["larger"] == 2
    drawn = Table(table=crystals, target="e", most_atoms=20, limit=5, draw_seed=3, skip_bad=True).samples()
    assert len(drawn) + len(drawn.left_out) == 5 and max(rows(drawn)) <= 10 and rows(drawn) != [1, 2, 3, 5]
    by_number = Table(table=crystals.replace("parquet", "csv"), target="e", most_atoms=6, skip_bad=True)
    assert rows(by_number.samples()) == [1, 2, 3]


def test_refused_rows_keep_their_numbers(crystals: str) -> None:
    for seed in range(30):
        table = Table(table=crystals, target="e", limit=4, draw_seed=seed)
        try:
            assert 4 not in rows(table.samples())
        except DataError as error:
            assert "1 of 4 rows cannot be used:\n  row 4: 'Xx'" in str(error)
            break
    else:
        raise AssertionError("row 4 was never drawn")
    doubled = pd.read_parquet(crystals).assign(name=list("abcdefghijki")).drop(3)
    doubled = pd.concat([pd.read_parquet(crystals).assign(name="z")[:1], doubled])
    doubled.to_parquet(crystals)
    with pytest.raises(DataError, match=r"row 12: name is 'i', as in row 9; ids must differ"):
        Table(table=crystals, target="e", id="name", limit=11, draw_seed=1).samples()


def test_what_cannot_be_told(crystals: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no crystal has 1 atoms or fewer .*; the smallest has 2"):
        Table(table=crystals, target="e", most_atoms=1).samples()
    (tmp_path / "f.csv").write_text("formula,e\nNaCl,1\n")
    with pytest.raises(DataError, match=r"f\.csv: source\.most_atoms needs a column 'species'.* or 'nsites'"):
        Table(table=str(tmp_path / "f.csv"), most_atoms=3).samples()


@pytest.mark.usefixtures("published")
def test_rows_without_a_target_do_not_count() -> None:
    assert rows(Table(table="mine/crystals", target="gap", limit=5).samples()) == [1, 2, 5, 7]
    samples = Table(table="mine/crystals", target="gap", limit=5, most_atoms=20, draw_seed=2).samples()
    assert samples.about["without_target"] == 4 and samples.about["larger"] == 1
    assert np.isfinite(samples.items["target"]).all() and len(samples) >= 4


@pytest.mark.usefixtures("published")
def test_short_names_of_targets() -> None:
    short, long = (Table(table="mine/crystals", target=name).samples() for name in ("width", "gap"))
    assert short.ids == long.ids and short.about["unit"] == long.about["unit"] == "eV"
    np.testing.assert_array_equal(short.items["target"], long.items["target"])
    assert short.about["target"] == "width" and "gap" not in short.items
    both = Table(table="mine/crystals", target=("energy", "width"), limit=6).samples()
    assert both.about["targets"] == ["energy", "width"] and both.about["unit"] == "eV/atom"
    assert Table(table="mine/crystals", target="width").target_kind() == "value"


def test_aliases_lead_to_targets_and_hide_no_column() -> None:
    for name, table in PUBLISHED.items():
        assert set(table.aliases.values()) <= set(table.units), name
        assert not set(table.aliases) & set(table.units), name
    assert published_tables.PUBLISHED["mp/structures"].aliases == {
        "e_form": "e_form_joined",
        "gap": "gap_pbe",
    }


def test_recipes_are_those_of_before(crystals: str) -> None:
    old = {"formula", "target", "group", "split", "id", "limit", "table", "kind"}
    assert set(Table(table=crystals).recipe()["settings"]) == old
    changed = [Table(table=crystals, **more) for more in ({}, {"draw_seed": 1}, {"most_atoms": 3})]
    assert len({digest(table.recipe()) for table in changed}) == 3


# --- alloys


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    (task,) = EmtAlloys(random_cells=40, strains=(0.01,)).tasks()
    folder = tmp_path_factory.mktemp("emt")
    task.function(folder, [], lambda fraction: None, **task.arguments)
    return Outcome(task.label, task.kind, task.key, folder)


def test_all_structures_of_alloys(made: Outcome) -> None:
    lowest, every = (EmtAlloys(keep=keep).samples([made]) for keep in ("lowest", "all"))
    assert len(every) == 2 * (7 + 147 + 40) == lowest.about["structures"]
    assert every.ids == tuple(f"emt:{row + 1}" for row in range(len(every)))
    assert set(lowest.ids) < set(every.ids) and set(every.groups) == set(lowest.groups)
    assert {"prototype", "n_atoms", "cell", "species", "frac", "target"} <= set(every.items.columns)
    assert (every.items["n_atoms"] == every.items["species"].map(len)).all()
    assert EmtAlloys(keep="all").tasks()[0].key == EmtAlloys().tasks()[0].key


def test_the_embedded_table_keeps_all_too(made: Outcome) -> None:
    samples = Table(table="emt-alloys", keep="all").samples([made])
    assert len(samples) == 388
    some = Table(table="emt-alloys", keep="all", most_atoms=4, limit=50, draw_seed=0).samples([made])
    assert len(some) == 50 and some.items["n_atoms"].max() == 4
    assert Table(table="emt-alloys", keep="all").tasks()[0].key == Table().tasks()[0].key
    assert Table(table="emt-alloys", limit=3).samples([made]).groups == ("Al", "Ni", "Cu")
