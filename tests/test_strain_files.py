"""Measured strain maps: every format gives known numbers back, and every bad file a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import strain_fixtures as made
from strain_fixtures import COLUMNS, MARK, ROWS, known_strain
from vitrine.errors import DataError, InputError
from vitrine.physics.strain_files import parse_length, read_strain_maps


def check(found, expected, pitch, tolerance=2e-7):
    assert found.axis == "y"
    assert found.strain.dtype == np.float32
    assert found.pitch == pytest.approx(pitch)
    np.testing.assert_allclose(found.strain, expected, atol=tolerance)
    json.dumps(found.info)


def axial_only(strain):
    alone = np.full_like(strain, np.nan)
    alone[1] = strain[1]
    return alone


def test_import_is_light():
    code = "import sys, vitrine.physics.strain_files; print([m for m in sys.modules if m in sys.argv])"
    heavy = ["pandas", "scipy", "h5py", "tifffile", "torch"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "length"),
    [("2nm", 2), ("2 nm", 2), ("0.5um", 500), ("0.5 µm", 500), ("0.5 \u03bcm", 500), ("0.001mm", 1000)],
)
def test_lengths(text, length):
    assert parse_length(text) == pytest.approx(length)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2", "without a unit; write 2nm"),
        ("2 furlong", "unknown unit"),
        ("nm", "expected a length"),
        ("-2nm", "above 0"),
        ("0um", "above 0"),
        ("1e999nm", "above 0"),
    ],
)
def test_bad_lengths(text, words):
    with pytest.raises(InputError, match=words):
        parse_length(text)


# arrays, grids and TIFF


def test_array_of_the_strain_along_the_load(tmp_path):
    strain = known_strain()
    np.save(tmp_path / "map.npy", strain[1])
    (found,) = read_strain_maps(tmp_path / "map.npy", axis="y", pitch=2.0)
    check(found, axial_only(strain), 2.0)
    assert found.strain[1, 0, 0] == np.float32(MARK)
    assert found.info["id"] == "map"
    assert found.info["frame"] == 0
    assert not found.info["wide"]


def test_load_along_x_is_turned(tmp_path):
    strain = known_strain()
    np.save(tmp_path / "map.npy", strain[None])
    (found,) = read_strain_maps(tmp_path / "map.npy", axis="x", pitch=2.0)
    check(found, np.stack([strain[1].T, strain[0].T, strain[2].T]), 2.0)
    assert found.info["turned"]
    assert found.info["wide"]  # the array was higher than wide, and was loaded across
    np.save(tmp_path / "one.npy", strain[0])
    (alone,) = read_strain_maps(tmp_path / "one.npy", axis="x", pitch=2.0)
    np.testing.assert_allclose(alone.axial, strain[0].T, atol=1e-7)
    assert np.isnan(alone.strain[[0, 2]]).all()


def test_frames(tmp_path):
    strain = known_strain()
    np.save(tmp_path / "a.npy", np.stack([strain[1], 2 * strain[1]]))
    found = read_strain_maps(tmp_path / "a.npy", axis="y", pitch=2.0)
    assert [one.info["id"] for one in found] == ["a-frame-000", "a-frame-001"]
    assert [one.info["frame"] for one in found] == [0, 1]
    check(found[1], 2 * axial_only(strain), 2.0)
    np.save(tmp_path / "b.npy", np.stack([strain, 3 * strain]))
    check(read_strain_maps(tmp_path / "b.npy", axis="y", pitch=2.0)[1], 3 * strain, 2.0)


def test_npz_with_components_and_pitch(tmp_path):
    xx, yy, xy = known_strain()
    np.savez(tmp_path / "map.npz", exx=xx, eyy=yy, exy=xy, pitch=50.0)
    (found,) = read_strain_maps(tmp_path / "map.npz", axis="y")
    check(found, known_strain(), 50.0)
    check(read_strain_maps(tmp_path / "map.npz", axis="y", pitch=7.0)[0], known_strain(), 7.0)
    np.savez(tmp_path / "more.npz", strain=np.stack([yy, yy]), exx=np.stack([xx, xx]))
    found = read_strain_maps(tmp_path / "more.npz", axis="y", pitch=2.0)[1]
    np.testing.assert_allclose(found.strain[:2], [xx, yy], atol=1e-7)
    assert np.isnan(found.strain[2]).all()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_grid_of_numbers_begins_at_the_top(tmp_path, delimiter):
    strain = known_strain()
    np.savetxt(tmp_path / "grid.csv", strain[1, ::-1], delimiter=delimiter, header="made by hand")
    check(read_strain_maps(tmp_path / "grid.csv", axis="y", pitch=2.0)[0], axial_only(strain), 2.0)


def test_delimiters_at_the_end_of_lines(tmp_path):
    strain = known_strain()
    grid = "\n".join(",".join(f"{value:.8g}" for value in line) + "," for line in strain[1, ::-1])
    (tmp_path / "grid.csv").write_text(grid)
    check(read_strain_maps(tmp_path / "grid.csv", axis="y", pitch=2.0)[0], axial_only(strain), 2.0)
    path = made.write_vic2d(tmp_path / "vic2d.csv", strain)
    path.write_text("\n".join(f"{line}," for line in path.read_text().splitlines() if line))
    check(read_strain_maps(path, axis="y", pitch=2.0)[0], strain, 2.0)


def test_missing_numbers_of_a_grid(tmp_path):
    lines = [["0.001"] * 5 for _ in range(6)]
    lines[0][0], lines[1][1], lines[5][4] = "", "NaN", "-"
    (tmp_path / "grid.csv").write_text("\n".join(",".join(line) for line in lines))
    (found,) = read_strain_maps(tmp_path / "grid.csv", axis="y", pitch=2.0)
    assert set(zip(*np.nonzero(np.isnan(found.axial)), strict=True)) == {(5, 0), (4, 1), (0, 4)}


def test_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    strain = known_strain()
    tifffile.imwrite(tmp_path / "map.tif", strain[1, ::-1].astype(np.float32))
    check(read_strain_maps(tmp_path / "map.tif", axis="y", pitch=2.0)[0], axial_only(strain), 2.0)
    pages = np.stack([strain[1, ::-1], 2 * strain[1, ::-1], 3 * strain[1, ::-1]]).astype(np.float32)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        for page in pages:
            file.write(page, contiguous=False)
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    tifffile.imwrite(tmp_path / "imagej.tiff", pages, imagej=True)
    for name in ("pages.tif", "stack.tif", "imagej.tiff"):
        found = read_strain_maps(tmp_path / name, axis="y", pitch=2.0)
        assert len(found) == 3, name
        check(found[2], 3 * axial_only(strain), 2.0)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiff_of_grey_values_is_refused(tmp_path, kind):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "grey.tif", np.zeros((9, 6), kind))
    with pytest.raises(DataError, match=r"grey values are no strain.*32-bit floats"):
        read_strain_maps(tmp_path / "grey.tif", axis="y", pitch=2.0)
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((9, 6, 3), np.float32), photometric="rgb")
    with pytest.raises(DataError, match="one value per pixel"):
        read_strain_maps(tmp_path / "rgb.tif", axis="y", pitch=2.0)
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(DataError, match="cannot be read as a TIFF"):
        read_strain_maps(tmp_path / "broken.tif", axis="y", pitch=2.0)


def test_tiff_pages_of_different_sizes(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        for rows in (9, 8):
            file.write(np.zeros((rows, 6), np.float32), contiguous=False)
    with pytest.raises(DataError, match="pages of one size"):
        read_strain_maps(tmp_path / "pages.tif", axis="y", pitch=2.0)


def test_tiff_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    (tmp_path / "map.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"tifffile.*\n.*vitrine\[formats\]"):
        read_strain_maps(tmp_path / "map.tif", axis="y", pitch=2.0)


# tables of points


def test_vic2d(tmp_path):
    strain = known_strain()
    path = made.write_vic2d(tmp_path / "vic2d.csv", strain, failed=[(3, 2)], absent=[(8, 5), (4, 4)])
    expected = strain.copy()
    expected[:, [3, 8, 4], [2, 5, 4]] = np.nan
    (found,) = read_strain_maps(path, axis="y", pitch=100.0)
    check(found, expected, 100.0)
    assert found.info["format"] == "VIC-2D"
    assert found.info["y_points"] == "down"
    assert found.info["regridded"] == "nearest"
    with pytest.raises(DataError, match="the pitch is unknown; give --pitch, such as --pitch 2nm"):
        read_strain_maps(path, axis="y")


@pytest.mark.parametrize("up", [True, False])
def test_vic_with_lengths_beside_pixels(tmp_path, up):
    """Which way y runs is seen from the pixels."""
    path = made.write_vic_metric(tmp_path / "vic.csv", known_strain(), up)
    (found,) = read_strain_maps(path, axis="y")
    check(found, known_strain(), 1e4)
    assert found.info["y_points"] == ("up" if up else "down")


@pytest.mark.parametrize("full", [True, False])
def test_dice(tmp_path, full):
    name = "DICe_solution_0001.txt" if full else "DICe_solution_0001.csv"
    flags = {(2, 1): 8, (5, 5): 11, (6, 0): 0}
    path = made.write_dice(tmp_path / name, known_strain(), full, flags)
    expected = known_strain()
    expected[:, [2, 5], [1, 5]] = np.nan
    (found,) = read_strain_maps(path, axis="y", pitch=20.0)
    check(found, expected, 20.0)
    assert found.info["format"] == "DICe"


def test_dice_with_match_and_without_shear(tmp_path):
    path = made.write_dice_short(tmp_path / "DICe_solution_3.txt", known_strain(), failed=[(1, 1)])
    expected = known_strain()
    expected[2] = np.nan
    expected[:, 1, 1] = np.nan
    check(read_strain_maps(path, axis="y", pitch=20.0)[0], expected, 20.0)


def test_aramis(tmp_path):
    path = made.write_aramis(tmp_path / "gom.csv", known_strain())
    (found,) = read_strain_maps(path, axis="y")
    check(found, known_strain(), 0.8e6)
    assert found.info["format"] == "GOM"
    assert found.info["y_points"] == "up"
    with pytest.raises(DataError, match=r"units of their own that differ; leave --unit out"):
        read_strain_maps(path, axis="y", unit="percent")


def linear_displacements(step):
    """u, v of a uniform strain with a shear and a rotation."""
    y, x = np.mgrid[:ROWS, :COLUMNS] * step
    return -0.002 * x + 0.003 * y, 0.001 * x + 0.006 * y


def test_gom_displacements_are_differentiated(tmp_path):
    path = made.write_gom_correlate(tmp_path / "gom.csv", *linear_displacements(2.0))
    (found,) = read_strain_maps(path, axis="y", pitch=5.0)
    shape = (ROWS, COLUMNS)
    expected = np.stack([np.full(shape, -0.002), np.full(shape, 0.006), np.full(shape, 0.002)])
    check(found, expected, 5.0)
    assert found.info["from"] == "displacements"


def test_displacements_in_pixels_beside_a_hole(tmp_path):
    u, v = linear_displacements(1.0)
    lines = ["x,y,u,v,sigma"]
    for r in range(ROWS):
        for c in range(COLUMNS):
            sigma = -1 if (r, c) == (4, 3) else 0.1
            lines.append(f"{c},{ROWS - 1 - r},{u[r, c]},{-v[r, c]},{sigma}")
    (tmp_path / "vic.csv").write_text("\n".join(lines))
    (found,) = read_strain_maps(tmp_path / "vic.csv", axis="y", pitch=5.0)
    assert np.argwhere(np.isnan(found.axial)).tolist() == [[4, 3]]
    for part, value in zip(found.strain, (-0.002, 0.006, 0.002), strict=True):
        np.testing.assert_allclose(part[np.isfinite(part)], value, atol=1e-7)


def points(rows=ROWS, columns=COLUMNS, step=0.5):
    y, x = np.mgrid[:rows, :columns] * step
    return x + 3.0, y - 1.0


@pytest.mark.parametrize(
    ("names", "factors"),
    [
        (("exx", "eyy", "exy"), (1, 1, 1)),
        (("exx [1]", "eyy [1]", "exy [1]"), (1, 1, 1)),
        (("exx [%]", "eyy [%]", "exy [%]"), (100, 100, 100)),
        (("eps_x (µε)", "eps_y (µε)", "gamma_xy (µε)"), (1e6, 1e6, 2e6)),
        (("Strain X [microstrain]", "Strain Y [um/m]", "Engineering shear [%]"), (1e6, 1e6, 200)),
        (("epsilon_xx", "epsilon_yy", "epsilon_xy"), (1, 1, 1)),
        (("εxx", "εyy", "γxy"), (1, 1, 2)),
    ],
)
def test_units_of_a_header(tmp_path, names, factors):
    strain = known_strain()
    values = {name: part * factor for name, part, factor in zip(names, strain, factors, strict=True)}
    path = made.write_points(tmp_path / "table.csv", *points(), values, ";")
    check(read_strain_maps(path, axis="y")[0], strain, 500.0)


@pytest.mark.parametrize(("unit", "factor"), [("percent", 100), ("microstrain", 1e6)])
def test_unit_by_hand_and_one_that_cannot_be(tmp_path, unit, factor):
    strain = known_strain() + 0.006
    np.save(tmp_path / "map.npy", factor * strain[None])
    check(read_strain_maps(tmp_path / "map.npy", axis="y", pitch=2.0, unit=unit)[0], strain, 2.0, 1e-6)
    with pytest.raises(DataError, match=f"looks like {unit}.*--unit percent or --unit microstrain"):
        read_strain_maps(tmp_path / "map.npy", axis="y", pitch=2.0)


def test_one_absurd_strain(tmp_path):
    strain = known_strain()
    strain[1, 2, 2] = 11
    np.save(tmp_path / "map.npy", strain[None])
    with pytest.raises(DataError, match="one is 11"):
        read_strain_maps(tmp_path / "map.npy", axis="y", pitch=2.0)


def test_unknown_unit_of_a_header(tmp_path):
    path = made.write_points(tmp_path / "t.csv", *points(), {"eyy [furlong]": known_strain()[1]})
    with pytest.raises(DataError, match=r"unknown unit 'furlong'.*--unit"):
        read_strain_maps(path, axis="y")
    check(read_strain_maps(path, axis="y", unit="fraction")[0], axial_only(known_strain()), 500.0)


def test_points_near_a_grid_in_any_order(tmp_path):
    """Shuffled, a little off their places, some missing."""
    rng = np.random.default_rng(0)
    x, y = (part.ravel() + rng.uniform(-0.02, 0.02, part.size) for part in points())
    xx, yy, xy = (part.ravel() for part in known_strain())
    order = rng.permutation(x.size)[:-5]
    values = {"exx": xx[order], "eyy": yy[order], "exy": xy[order]}
    path = made.write_points(tmp_path / "t.csv", x[order], y[order], values)
    (found,) = read_strain_maps(path, axis="y")
    assert found.info["regridded"] == "nearest"
    assert found.pitch == pytest.approx(500, rel=0.02)
    there = np.isfinite(found.axial)
    assert there.sum() == x.size - 5
    np.testing.assert_allclose(found.strain[:, there], known_strain()[:, there], atol=1e-7)


def test_scattered_points_are_interpolated(tmp_path):
    """A hexagonal lattice, turned; a linear field stays what it was, and a hole stays a hole."""
    r, c = np.mgrid[:40, :40]
    a, b = c + 0.5 * (r % 2), r * np.sqrt(3) / 2
    x, y = 0.9 * a - 0.3 * b, 0.3 * a + 0.9 * b
    kept = (x - 10) ** 2 + (y - 20) ** 2 > 16
    x, y = x[kept], y[kept]
    path = made.write_points(tmp_path / "t.csv", x, y, {"eyy": 1e-3 + 1e-4 * y, "exx": 1e-4 * x})
    (found,) = read_strain_maps(path, axis="y")
    assert found.info["regridded"] == "linear"
    step = found.pitch / 1000
    assert step == pytest.approx(np.hypot(0.9, 0.3), rel=0.01)
    rows, columns = np.mgrid[: found.axial.shape[0], : found.axial.shape[1]]
    there = np.isfinite(found.axial)
    here = y.min() + rows * step
    np.testing.assert_allclose(found.axial[there], 1e-3 + 1e-4 * here[there], atol=1e-6)
    across = x.min() + columns * step
    hole = (across - 10) ** 2 + (here - 20) ** 2 < 4
    assert hole.any()
    assert not there[hole].any()
    assert there.mean() > 0.5


# Ncorr


def test_ncorr_classic(tmp_path):
    mask = np.ones((ROWS, COLUMNS), bool)
    mask[2, 3] = False
    path = made.write_ncorr_classic(tmp_path / "ncorr.mat", [known_strain(), 2 * known_strain()], mask=mask)
    expected = known_strain()
    expected[:, 2, 3] = np.nan
    found = read_strain_maps(path, axis="y")
    assert [one.info["id"] for one in found] == ["ncorr-frame-000", "ncorr-frame-001"]
    check(found[0], expected, 5 * 0.002 * 1e6)
    check(found[1], 2 * expected, 1e4)
    assert found[0].info["mask"] == "region of interest"


@pytest.mark.parametrize("count", [1, 3])
def test_ncorr_of_version_73(tmp_path, count):
    frames = [known_strain() * (n + 1) for n in range(count)]
    path = made.write_ncorr_hdf5(tmp_path / "ncorr.mat", frames, masked=[(1, 4)])
    found = read_strain_maps(path, axis="y")
    assert len(found) == count
    expected = frames[-1].copy()
    expected[:, 1, 4] = np.nan
    check(found[-1], expected, 1e4)
    assert found[0].info["mask"] == "zeros"  # the regions are objects of a class


def test_ncorr_in_pixels_needs_a_pitch(tmp_path):
    path = made.write_ncorr_classic(tmp_path / "ncorr.mat", [known_strain()], units="pixels")
    with pytest.raises(DataError, match="the pitch is unknown"):
        read_strain_maps(path, axis="y")
    check(read_strain_maps(path, axis="y", pitch=3.0)[0], known_strain(), 3.0)


def test_mat_files_that_are_not_of_ncorr(tmp_path):
    from scipy.io import savemat

    path = tmp_path / "other.mat"
    made.write_ncorr_hdf5(path, [known_strain()], opaque=True)
    with pytest.raises(DataError, match=r"only MATLAB can read.*Save Data"):
        read_strain_maps(path, axis="y", pitch=2.0)
    savemat(path, {"data_dic": 1.0})
    with pytest.raises(DataError, match=r"no data_dic_save.*did you mean 'data_dic'"):
        read_strain_maps(path, axis="y", pitch=2.0)
    savemat(path, {"data_dic_save": {"dispinfo": 1.0}})
    with pytest.raises(DataError, match=r"no data_dic_save.strains; calculate the strains"):
        read_strain_maps(path, axis="y", pitch=2.0)
    savemat(path, {"data_dic_save": {"strains": {"plot_exx_ref_formatted": np.ones((5, 5))}}})
    with pytest.raises(DataError, match=r"no data_dic_save.strains.plot_eyy_ref_formatted"):
        read_strain_maps(path, axis="y", pitch=2.0)
    names = ("plot_exx_ref_formatted", "plot_eyy_ref_formatted", "plot_exy_ref_formatted")
    savemat(path, {"data_dic_save": {"strains": dict.fromkeys(names, np.zeros((0, 0)))}})
    with pytest.raises(DataError, match="frame 1: plot_exx_ref_formatted is empty"):
        read_strain_maps(path, axis="y", pitch=2.0)
    path.write_bytes(b"not of MATLAB at all" * 20)
    with pytest.raises(DataError, match=r"cannot be read as a .mat file"):
        read_strain_maps(path, axis="y", pitch=2.0)
    with (tmp_path / "cut.mat").open("wb") as file:
        whole = made.write_ncorr_hdf5(tmp_path / "whole.mat", [known_strain()]).read_bytes()
        file.write(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot be read as a .mat file"):
        read_strain_maps(tmp_path / "cut.mat", axis="y", pitch=2.0)


# the unloaded state


def test_reference_is_subtracted(tmp_path):
    strain = known_strain()
    np.save(tmp_path / "loaded.npy", np.stack([strain, 2 * strain]))
    np.save(tmp_path / "one.npy", 0.5 * strain[None])
    np.save(tmp_path / "each.npy", np.stack([strain, strain]))
    options = {"axis": "y", "pitch": 2.0}
    found = read_strain_maps(tmp_path / "loaded.npy", reference=tmp_path / "one.npy", **options)
    check(found[0], 0.5 * strain, 2.0)
    check(found[1], 1.5 * strain, 2.0)
    assert found[0].info["reference"].endswith("one.npy")
    found = read_strain_maps(tmp_path / "loaded.npy", reference=tmp_path / "each.npy", **options)
    check(found[0], 0 * strain, 2.0)
    check(found[1], strain, 2.0)


def test_references_that_do_not_fit(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 9, 6)))
    np.save(tmp_path / "b.npy", np.zeros((9, 7)))
    np.save(tmp_path / "c.npy", np.zeros((2, 9, 6)))
    with pytest.raises(DataError, match=r"a.npy has 9 x 6 points, but its reference .*b.npy has 9 x 7"):
        read_strain_maps(tmp_path / "a.npy", axis="y", pitch=2.0, reference=tmp_path / "b.npy")
    with pytest.raises(DataError, match=r"a.npy has 3 frames, but its reference .*c.npy has 2"):
        read_strain_maps(tmp_path / "a.npy", axis="y", pitch=2.0, reference=tmp_path / "c.npy")
    with pytest.raises(DataError, match=r"d.npy: no such file"):
        read_strain_maps(tmp_path / "a.npy", axis="y", pitch=2.0, reference=tmp_path / "d.npy")
    x, y = points()
    first = made.write_points(tmp_path / "first.csv", x, y, {"eyy": known_strain()[1]})
    moved = made.write_points(tmp_path / "moved.csv", x + 0.5, y, {"eyy": known_strain()[1]})
    with pytest.raises(DataError, match="do not begin at the same point"):
        read_strain_maps(first, axis="y", reference=moved)


# what is refused


def test_options_that_are_missing_or_wrong(tmp_path):
    np.save(tmp_path / "map.npy", known_strain()[1])
    path = tmp_path / "map.npy"
    for options, words in [
        ({}, "give --axis x or --axis y: along which the specimen was loaded"),
        ({"axis": "z", "pitch": 2.0}, "--axis: expected x or y"),
        ({"axis": "y"}, r"map.npy: the pitch is unknown; give --pitch, such as --pitch 2nm"),
        ({"axis": "y", "pitch": 0.0}, "--pitch: expected a length above 0"),
        ({"axis": "y", "pitch": float("nan")}, "--pitch: expected a length above 0"),
        ({"axis": "y", "pitch": 2.0, "unit": "percents"}, "--unit.*did you mean 'percent'"),
    ]:
        with pytest.raises(DataError, match=words):
            read_strain_maps(path, **options)
    with pytest.raises(DataError, match="no such file"):
        read_strain_maps(tmp_path / "none.npy", axis="y", pitch=2.0)
    with pytest.raises(DataError, match="is a folder"):
        read_strain_maps(tmp_path, axis="y", pitch=2.0)
    (tmp_path / "map.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"unknown kind of file; expected .*\.npy.*VIC-2D.*TIFF.*Ncorr"):
        read_strain_maps(tmp_path / "map.xlsx", axis="y", pitch=2.0)


class Evil:
    def __reduce__(self):
        raise AssertionError("never pickled or unpickled")


BAD_ARRAYS = {
    "few": (np.zeros((3, 9)), "3 x 9 points; at least 4 x 4"),
    "one": (np.zeros((1, 1)), "1 x 1 points; at least 4 x 4"),
    "none": (np.zeros((0, 9)), "0 x 9 points"),
    "frames": (np.zeros((0, 9, 9)), "at least 4 x 4"),
    "line": (np.zeros(9), r"shape \(9,\); expected"),
    "five": (np.zeros((2, 2, 9, 9)), r"shape \(2, 2, 9, 9\); expected"),
    "long": (np.zeros((4, 100_001)), "at most 100,000 along an edge"),
    "masked": (np.full((9, 9), np.nan), "all points are masked"),
    "infinite": (np.full((9, 9), np.inf), "not finite"),
    "text": (np.full((9, 9), "a"), "expected real numbers"),
    "complex": (np.full((9, 9), 1j), "expected real numbers"),
    "bool": (np.full((9, 9), True), "expected real numbers"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays(tmp_path, name):
    array, words = BAD_ARRAYS[name]
    np.save(tmp_path / "map.npy", array)
    with pytest.raises(DataError, match=words) as caught:
        read_strain_maps(tmp_path / "map.npy", axis="y", pitch=2.0)
    assert "map.npy" in str(caught.value)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "map.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "map.npz", eyy=np.array([{"a": 1}], dtype=object))
    (tmp_path / "plain.npy").write_bytes(b"\x80\x04N.")
    for name in ("map.npy", "map.npz", "plain.npy"):
        with pytest.raises(DataError, match="Python objects, which are never read"):
            read_strain_maps(tmp_path / name, axis="y", pitch=2.0)


def test_broken_arrays(tmp_path):
    np.save(tmp_path / "map.npy", known_strain()[1])
    whole = (tmp_path / "map.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-10])
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4" + whole)
    (tmp_path / "empty.npy").write_bytes(b"")
    for name, words in [("cut.npy", "cannot be read"), ("cut.npz", "cannot be read"), ("empty.npy", "empty")]:
        with pytest.raises(DataError, match=words):
            read_strain_maps(tmp_path / name, axis="y", pitch=2.0)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"eyx": 1}, "no array eyy or strain.*did you mean|no array eyy or strain.*known"),
        ({"exx": 1}, "no array eyy or strain, the strain along the load"),
        ({"strain": 1, "eyy": 1}, "both strain and eyy"),
        ({"eyy": 1, "exx": np.zeros((8, 6))}, "different shapes"),
        ({"eyy": np.zeros(9)}, "eyy has the shape"),
        ({"eyy": 1, "pitch": np.zeros(2)}, "pitch should be one number"),
        ({"eyy": 1, "pitch": -2.0}, "pitch should be a length above 0"),
        ({"eyy": 1, "pitch": "2nm"}, "expected real numbers"),
    ],
)
def test_bad_npz(tmp_path, arrays, words):
    full = {name: np.zeros((9, 6)) if isinstance(value, int) else value for name, value in arrays.items()}
    np.savez(tmp_path / "map.npz", **full)
    with pytest.raises(DataError, match=words):
        read_strain_maps(tmp_path / "map.npz", axis="y")


GOOD_LINE = "0.001,0.002,0.003,0.004\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("# only words\n", "holds no numbers"),
        (GOOD_LINE * 2 + "1,2,x,4\n" + GOOD_LINE, "line 3, column 3: 'x' is not a number"),
        (GOOD_LINE * 2 + "1,2,inf,4\n" + GOOD_LINE, "line 3, column 3: 'inf' is not finite"),
        (GOOD_LINE * 3 + "0,0,0\n", "line 4: 3 numbers, but 4 in the first line"),
        ("0,001;0,002\n" * 4, "decimal comma; write decimal points"),
        (GOOD_LINE, "1 x 4 points; at least 4 x 4"),
        ("a,b,c\n" + GOOD_LINE, "neither a grid .* found: a, b, c"),
        ("x,y,temperature\n0,0,1\n", r"no column with the strain along y \(eyy\)"),
        ("x,y,exx\n0,0,1\n", r"no column with the strain along y \(eyy\); found: x, y, exx"),
        ("x,y,eyy\n", "no points below its header"),
        ("x,y,eyy\n0,0,0\n1,0\n", "line 3: 2 columns, but the header names 3"),
        ("x,y,eyy\n0,0,0\n1,0,0,0,0\n", "line 3: 5 columns, but the header names 3"),
        ("x,y,eyy\n0,0,0\n1,0,zero\n", "line 3, column eyy: 'zero' is not a number"),
        ("x,y,eyy\n0,0,0\n", "1 points; at least 4 x 4"),
        ("x,y,eyy\n0,0,0\n0,0,0.1\n", "two points at x = 0, y = 0; one table should hold one frame"),
        ("x,y,eyy\n" + "".join(f"{n},{2 * n},0\n" for n in range(9)), "on one line"),
        ("x,y,eyy\n0,0,0\n1,0,0\n2,0,0\n1e6,1e6,0\n", "would make a grid"),
        ("x,y,eyy\n0,0,0\n1,0,0\n2,0,0\n1e300,0,0\n", "apart, but some 1e.08 times as far"),
        ("x,y,eyy,sigma\n" + "".join(f"{n % 5},{n // 5},0,-1\n" for n in range(25)), "all points are masked"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_strain_maps(tmp_path / "map.csv", axis="y", pitch=2.0)
    assert "map.csv" in str(caught.value)


def test_binary_as_csv(tmp_path):
    (tmp_path / "map.csv").write_bytes(b"\x00\x01\x02")
    with pytest.raises(DataError, match="is no text"):
        read_strain_maps(tmp_path / "map.csv", axis="y", pitch=2.0)


def test_constant_map_is_a_map(tmp_path):
    np.save(tmp_path / "map.npy", np.full((4, 4), 0.01, np.float32))
    (found,) = read_strain_maps(tmp_path / "map.npy", axis="y", pitch=2.0)
    assert (found.axial == np.float32(0.01)).all()


@pytest.mark.parametrize(
    ("end", "says"), [("kill -SEGV $$", "crashes"), ("kill -XCPU $$", "does not come to an end")]
)
def test_a_file_that_ends_its_reader_is_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, says: str
) -> None:
    """As one of 250 damaged .mat files did: here the process of its own is a shell that ends so."""
    from vitrine.physics import tried_apart

    shell = tmp_path / "python"
    shell.write_text(f"#!/bin/sh\n{end}\n")
    shell.chmod(0o755)
    monkeypatch.setattr(tried_apart.sys, "executable", str(shell))
    path = tmp_path / "map.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DataError, match=f"map.mat is damaged: reading it {says}"):
        read_strain_maps(path, axis="y", pitch=2.0)
