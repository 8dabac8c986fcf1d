"""Compact sets of strain maps: what they keep of full trajectories, and the set that ships."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from vitrine.cli.main import main
from vitrine.errors import DataError
from vitrine.physics.resample import area_resize
from vitrine.simulate.dislocations.compact import COMPACT, compact_maps, read_loading
from vitrine.simulate.dislocations.files import DISLOCATIONS, read_curve, read_maps, read_reload
from vitrine.simulate.released_dislocations import ReleasedDislocations
from vitrine.simulate.released_reader import SHIPPED, find_set, opened

WORDS = "--width 0.0625 --slip one,two --prior 0.1,1 --reload 0.1,1 --trajectories 2 --workers 0"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same trajectories in full and, 16 pixels across, compact."""
    folder = tmp_path_factory.mktemp("compact")
    store = f"--store {folder / 'store'}"
    for more in ("-o full.h5", "--compact 16 -o small.h5"):
        name = more.split()[-1]
        words = f"simulate dislocations {WORDS} {store} {more.replace(name, str(folder / name))}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["vitrine", *shlex.split(words)])
            with pytest.raises(SystemExit) as end:
                main()
            assert end.value.code == 0
    return folder / "full.h5", folder / "small.h5"


def test_maps_are_the_full_ones_averaged(both: tuple[Path, Path]) -> None:
    full, small = both
    maps = {each.info["id"]: each for each in compact_maps(small)}
    count, elastic = 0, 0
    with opened(full, DISLOCATIONS) as file:
        for name, group in file["trajectories"].items():
            for whole in read_maps(group, name):
                kept = maps[whole.info["id"]]
                rows, columns = whole.axial.shape
                assert kept.axial.shape == (round(rows * 16 / columns), 16)
                step = whole.info["reload"] / 100 / 512
                wanted = area_resize(whole.axial, *kept.axial.shape)
                # half a rounding step, and half precision of what is large
                assert np.abs(kept.axial - wanted).max() <= step / 2 + 2**-11 * np.abs(wanted).max()
                assert kept.axial.mean() == pytest.approx(whole.info["reload"] / 100, rel=2e-3)
                assert kept.pitch * 16 == pytest.approx(whole.pitch * columns)
                assert kept.info == whole.info
                assert np.isnan(kept.strain[[0, 2]]).all()
                np.testing.assert_allclose(
                    kept.curve, read_reload(group, whole.info["prior"]), rtol=1e-6, atol=1e-4
                )
                if np.ptp(whole.axial) < 1e-9:  # elastic: on the edge between two grey levels of the study
                    np.testing.assert_array_equal(kept.axial, np.float16(whole.axial[0, 0]))
                    elastic += 1
                count += 1
    assert count == len(maps) == 16
    assert elastic >= 4


def test_the_loading_is_kept(both: tuple[Path, Path]) -> None:
    full, small = both
    with opened(full, DISLOCATIONS) as file, opened(small, COMPACT) as kept:
        for name, group in file["trajectories"].items():
            load = read_loading(kept["trajectories"][name])
            rows = np.concatenate([read_curve(group, leg) for leg in ("load-0.1", "load-1")])
            np.testing.assert_allclose(load[:, 1], np.interp(load[:, 0], rows[:, 0], rows[:, 1]), atol=0.01)
            assert load[-1, 0] == pytest.approx(rows[-1, 0], rel=1e-6) == pytest.approx(0.01, rel=2e-3)


def test_the_command_makes_the_file_again(both: tuple[Path, Path], tmp_path: Path) -> None:
    small = both[1]
    with h5py.File(small) as file:
        words = shlex.split(str(file.attrs["command"]).replace("FILE.h5", str(tmp_path / "again.h5")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [*words, "--workers", "0", "--store", str(small.parent / "store")])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 0
    for one, other in zip(compact_maps(small), compact_maps(tmp_path / "again.h5"), strict=True):
        assert one.info == other.info
        np.testing.assert_array_equal(one.axial, other.axial)
    assert (tmp_path / "again.png").stat().st_size > 10_000


def test_the_set_that_ships() -> None:
    """At least 20 trajectories of each of the four smallest widths, in under 8 MB."""
    path = find_set("dislocations", COMPACT)
    assert path.parent == SHIPPED
    assert path.stat().st_size < 8e6
    samples = ReleasedDislocations(maps="shared").samples([])
    widths = samples.attributes["width"]
    for width in (0.0625, 0.125, 0.25, 0.5):
        here = [group for group, w in zip(samples.groups, widths, strict=True) if w == width]
        assert len(set(here)) >= 20
        assert len(here) == 6 * len(set(here))
    for each in samples.items[:: len(samples.items) // 20]:
        assert each.axial.mean() == pytest.approx(each.info["reload"] / 100, rel=2e-3)
        assert each.curve[-1, 0] == pytest.approx(0.01, rel=2e-3)
    with h5py.File(path) as file:
        assert str(file.attrs["command"]).startswith("vitrine simulate dislocations ")
        assert json.loads(file.attrs["about"])["engine"] == 1


def test_drawn_and_shared_maps_are_told_apart() -> None:
    counts = {
        which: len(ReleasedDislocations(width=(0.125,), trajectories=3, maps=which).samples([]).items)
        for which in ("all", "shared", "drawn")
    }
    assert counts == {"all": 48, "shared": 36, "drawn": 12}


def test_a_damaged_file_is_named(both: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    shutil.copy(both[1], path)
    with h5py.File(path, "r+") as file:
        group = next(iter(file["trajectories"].values()))
        del group["ends"]
        group["ends"] = [1.0]
    with pytest.raises(DataError, match=r"bad\.h5 is damaged: .*ends has the shape \(1,\)"):
        ReleasedDislocations(name=str(path)).samples([])
