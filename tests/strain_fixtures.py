"""Small strain maps in the layout of each vendor, written for the tests; no instrument's own file is used.

Every writer takes the map in its own frame, (3, rows, columns) xx, yy and xy from low y on, and writes what
the program would: image coordinates with y down, hence rows from the top and the sign of xy turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 9, 6
MARK = 0.05
"""strain along both axes in the corner at low x and low y"""
Array = NDArray[np.float64]


def known_strain(rows: int = ROWS, columns: int = COLUMNS) -> Array:
    """(3, rows, columns) a field that differs everywhere, with a mark in the corner."""
    y, x = np.mgrid[:rows, :columns].astype(float)
    strain = np.stack([-0.002 + 1e-4 * x, 0.004 + 2e-4 * y + 1e-5 * x, 1e-4 * (y - 2 * x)])
    strain[:2, 0, 0] = MARK
    return strain


def _image_points(strain: Array, step: float, start: float = 46.0) -> list[tuple[int, int, float, float]]:
    """Row, column, x and y in pixels of every point, y down, in the order in which programs write them."""
    rows, columns = strain.shape[1:]
    return [
        (r, c, start + step * c, start + step * (rows - 1 - r))
        for r in range(rows - 1, -1, -1)
        for c in range(columns)
    ]


def write_vic2d(
    path: Path,
    strain: Array,
    failed: Sequence[tuple[int, int]] = (),
    absent: Sequence[tuple[int, int]] = (),
    step: float = 5.0,
) -> Path:
    """CSV of VIC-2D: quoted names after blanks, sigma of -1 where the correlation failed.

    Names as listed by public scripts that read such files: ``"x", "y", "u", "v", "exx", "eyy", "exy", "e1",
    "e2", "gamma", "e_vonmises", "sigma"``, with ``'  "x"'`` for the names (a blank before the quote).
    """
    names = ("x", "y", "u", "v", "exx", "eyy", "exy", "e1", "e2", "gamma", "e_vonmises", "sigma")
    lines = [", ".join(f'"{name}"' for name in names)]
    for r, c, x, y in _image_points(strain, step):
        if (r, c) in absent:
            continue
        if (r, c) in failed:
            lines.append(f"{x:g}, {y:g}, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1")
            continue
        xx, yy, xy = strain[:, r, c]
        lines.append(f"{x:g}, {y:g}, 0.1, 0.2, {xx:.8g}, {yy:.8g}, {-xy:.8g}, 0, 0, 0, 0, 0.0123")
    path.write_text("\n".join([*lines, "", ""]))
    return path


def write_vic_metric(path: Path, strain: Array, up: bool = True) -> Path:
    """CSV of the VIC family with names such as ``"X [mm]"`` and ``"exx [1] - Lagrange"``, pixels beside mm.

    Names as in public scripts on exports of VIC-EDU and VIC-3D (names after a line of title).
    """
    names = ("X [mm]", "Y [mm]", "x", "y", *(f"e{k} [1] - Lagrange" for k in ("xx", "yy", "xy")), "sigma")
    lines = ["Data of a line", ",".join(f'"{name}"' for name in names)]
    for r, c, x, y in _image_points(strain, 5):
        xx, yy, xy = strain[:, r, c]
        height = 0.01 * (r if up else len(strain[0]) - 1 - r) - 0.2
        lines.append(f"{0.01 * c - 0.1},{height},{x},{y},{xx:.8g},{yy:.8g},{xy if up else -xy:.8g},0.01")
    path.write_text("\n".join(lines))
    return path


def write_dice(
    path: Path, strain: Array, full: bool = True, flags: dict[tuple[int, int], int] | None = None
) -> Path:
    """``DICe_solution_0.txt``: header and columns of tests/examples/full_field/gold in dicengine/dice."""
    head = [
        "***",
        "*** Digital Image Correlation Engine (DICe), (git sha1: none) Copyright 2015 ...",
        "*** Shape functions: Translation (u,v) Normal Strain (ex,ey) Shear Strain (gamma_xy) ",
        "*** Subset size: 27",
        "*** Step size: x 10 y 10 (-1 implies not regular grid)",
        "*** Coordinates given with (0,0) as upper left corner of image, x positive right, y positive down",
        "***",
    ]
    names = (
        "SUBSET_ID,COORDINATE_X,COORDINATE_Y,DISPLACEMENT_X,DISPLACEMENT_Y,SIGMA,GAMMA,BETA,STATUS_FLAG,"
        "UNCERTAINTY,VSG_STRAIN_XX,VSG_STRAIN_YY,VSG_STRAIN_XY"
    )
    lines = [*(head if full else []), names]
    for number, (r, c, x, y) in enumerate(_image_points(strain, 10)):
        xx, yy, xy = strain[:, r, c]
        flag = (flags or {}).get((r, c), 4)
        numbers = [x, y, 0.1, 0.2, 0.0113, 0.0025, 0, flag, 0, xx, yy, -xy]
        lines.append(f"{number}," + ",".join(f"{value:.8E}" for value in numbers))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_dice_short(path: Path, strain: Array, failed: Sequence[tuple[int, int]] = ()) -> Path:
    """DICe with the columns of its gold file, MATCH of -1 at failed subsets, Green-Lagrange strains."""
    names = "SUBSET_ID,COORDINATE_X,COORDINATE_Y,DISPLACEMENT_X,DISPLACEMENT_Y"
    names += ",GREEN_LAGRANGE_STRAIN_XX,GREEN_LAGRANGE_STRAIN_YY,SIGMA,GAMMA,MATCH"
    lines = ["***", names]
    for number, (r, c, x, y) in enumerate(_image_points(strain, 10)):
        match = -1.0 if (r, c) in failed else 0.0
        numbers = [x, y, 0, 0, *strain[:2, r, c], 0.01, 0.002, match]
        lines.append(f"{number}," + ",".join(f"{value:.8E}" for value in numbers))
    path.write_text("\n".join(lines))
    return path


def write_aramis(path: Path, strain: Array, step: float = 0.8) -> Path:
    """Nodemap of ARAMIS, y up: the README of dlr-wf/aramis-data-exporter; shear is no percentage."""
    names = ("ID", "x_undef [mm]", "y_undef [mm]", "z_undef [mm]", "u [mm]", "v [mm]", "w [mm]")
    names += ("epsx [%]", "epsy [%]", "epsxy [1]", "epseqv [%]")
    lines = ["# Process data:", "# specimen                      : Dummy2", "#" * 100, ""]
    lines.append("#" + ";".join(f"{name:>20}" for name in names))
    for number, (r, c, _, _) in enumerate(_image_points(strain, 1)):
        xx, yy, xy = strain[:, r, c]
        numbers = [-80 + step * c, 10 + step * r, 0.15, 0.003, 0.06, -0.15, 100 * xx, 100 * yy, xy, 0.3]
        lines.append(f"{number + 1:10d};" + ";".join(f"{value:20.12f}" for value in numbers))
    path.write_text("\n".join(lines))
    return path


def write_gom_correlate(path: Path, u: Array, v: Array) -> Path:
    """GOM Correlate CSV: lines of text before the names x, y, displacement_x ..., as public scripts skip."""
    lines = [f"line {n} of the project" for n in range(5)]
    lines.append("id,x,y,z,displacement_x,displacement_y,displacement_z")
    for r in range(u.shape[0]):
        for c in range(u.shape[1]):
            lines.append(f"{len(lines)},{2.0 * c},{2.0 * r},0,{u[r, c]:.10g},{v[r, c]:.10g},0")
    path.write_text("\n".join(lines))
    return path


def write_points(
    path: Path, x: Array, y: Array, values: dict[str, Array], delimiter: str = ",", unit: str = " [um]"
) -> Path:
    """A plain table, y up; ``values`` by the name of the column."""
    lines = [delimiter.join([f"x{unit}", f"y{unit}", *values])]
    table = np.column_stack([x.ravel(), y.ravel(), *(value.ravel() for value in values.values())])
    lines += [delimiter.join(f"{value:.10g}" for value in row) for row in table]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def ncorr_frame(strain: Array, masked: Sequence[tuple[int, int]] = ()) -> dict[str, Array]:
    """Arrays of one frame as Ncorr plots them: rows down the image, 0 outside the region of interest."""
    shown = strain.copy()
    shown[2] *= -1
    for r, c in masked:
        shown[:, r, c] = 0
    names = ("plot_exx_ref_formatted", "plot_eyy_ref_formatted", "plot_exy_ref_formatted")
    return {name: part[::-1] for name, part in zip(names, shown, strict=True)}


def write_ncorr_classic(
    path: Path, frames: Sequence[Array], units: str = "mm", mask: Array | None = None
) -> Path:
    """Version 7, compressed as MATLAB does; fields as in ncorr.m of justinblaber/ncorr_2D_matlab."""
    from scipy.io import savemat

    plots = [ncorr_frame(frame) for frame in frames]
    kinds = [(name, object) for name in plots[0]]
    strains = np.empty((1, len(plots)), dtype=[*kinds, ("roi_ref_formatted", object)])
    for index, plot in enumerate(plots):
        for name, part in plot.items():
            strains[name][0, index] = part
        shown = np.ones(frames[0].shape[1:], bool) if mask is None else mask[::-1]
        strains["roi_ref_formatted"][0, index] = {"mask": shown}
    info = {"spacing": 4.0, "pixtounits": 0.002, "units": units, "type": "regular", "radius": 20.0}
    saved = {"strains": strains, "dispinfo": info, "displacements": 0.0}
    savemat(path, {"data_dic_save": saved}, do_compression=True)
    return path


def write_ncorr_hdf5(
    path: Path, frames: Sequence[Array], masked: Sequence[tuple[int, int]] = (), opaque: bool = False
) -> Path:
    """Version 7.3: HDF5 with arrays by columns, references for the fields of several frames.

    The regions of interest are objects of the class ncorr_class_roi, as in the files of Ncorr itself.
    """
    import h5py

    def dataset(group, name, value, kind):
        made = group.create_dataset(name, data=np.asarray(value).T)
        made.attrs["MATLAB_class"] = np.bytes_(kind)
        return made

    with h5py.File(path, "w", userblock_size=512) as file:
        if opaque:
            made = dataset(file, "data_dic_save", np.zeros((1, 6), np.uint32), "handles")
            made.attrs["MATLAB_object_decode"] = np.int32(3)
            return path
        root = file.create_group("data_dic_save")
        strains, info = root.create_group("strains"), root.create_group("dispinfo")
        for group in (root, strains, info):
            group.attrs["MATLAB_class"] = np.bytes_("struct")
        store = file.create_group("#refs#")
        plots = [ncorr_frame(frame, masked) for frame in frames]
        for name in plots[0]:
            if len(plots) == 1:
                dataset(strains, name, plots[0][name], "double")
                continue
            made = [dataset(store, f"{name}{n}", plot[name], "double").ref for n, plot in enumerate(plots)]
            strains.create_dataset(name, data=np.array(made, dtype=object)[:, None], dtype=h5py.ref_dtype)
        region = dataset(store, "roi", np.array([[0xDD000000, 2, 1, 1, 1, 1]], np.uint32), "ncorr_class_roi")
        region.attrs["MATLAB_object_decode"] = np.int32(3)
        regions = np.array([region.ref] * len(plots), dtype=object)[:, None]
        strains.create_dataset("roi_ref_formatted", data=regions, dtype=h5py.ref_dtype)
        dataset(info, "spacing", [[4.0]], "double")
        dataset(info, "pixtounits", [[0.002]], "double")
        dataset(info, "units", np.array([[ord(sign) for sign in "mm"]], np.uint16), "char")
    header = b"MATLAB 7.3 MAT-file, Platform: none, Created by a test".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as raw:
        raw.write(header)
    return path
