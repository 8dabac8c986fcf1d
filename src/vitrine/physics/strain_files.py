"""Read strain maps that were measured: arrays, grids, TIFF, and what image correlation programs write."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import DataError, MissingExtra, did_you_mean
from vitrine.physics.correlation_files import find_header, read_points
from vitrine.physics.ncorr_files import read_ncorr
from vitrine.physics.regrid import LONGEST_EDGE, Floats
from vitrine.physics.strain_text import LENGTHS, UNITS, RawMaps, plain_unit, read_grid, read_lines
from vitrine.physics.tried_apart import try_apart
from vitrine.strain_maps import StrainMap

FEWEST = 4
"""points along an edge"""
LARGEST_MEDIAN = 0.5
LARGEST = 10.0
"""of a strain along the load, and of any component, as fractions"""
TRIED_APART = (".mat", ".tif", ".tiff")
"""whose readers are in C, or follow what a damaged file says for minutes"""
TEXTS = (".csv", ".txt", ".tsv", ".dat")
FORMATS = (".npy", ".npz", ".tif", ".tiff", ".mat", *TEXTS)
EXPECTED = (
    "an array (.npy, .npz), a grid of numbers or a table of points of VIC-2D, DICe or GOM (.csv, .txt), "
    "a TIFF of 32-bit floats (.tif) or data of Ncorr (.mat)"
)
"""What strain maps can be read from, for messages."""
_OF_NPZ = {"exx": 0, "eyy": 1, "exy": 2}
_KINDS_OF_NUMBER = "fiu"

Axis = Literal["x", "y"]
Unit = Literal["fraction", "percent", "microstrain"]


def parse_length(text: str) -> float:
    """Length in nm of a text such as ``2nm``, ``0.5 µm`` or ``0.001mm``.

    Raises
    ------
    DataError: no number, no unit or an unknown one, or not above 0.
    """
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*", text)
    if match is None:
        raise DataError(f"expected a length such as 2nm or 0.5um, not {text[:40]!r}")
    unit = plain_unit(match[2])
    if not unit:
        raise DataError(f"{text.strip()!r} is a length without a unit; write {match[1]}nm, {match[1]}um ...")
    if unit not in LENGTHS:
        raise DataError(f"{text.strip()!r}: unknown unit of length {unit!r}{did_you_mean(unit, LENGTHS)}")
    length = float(match[1]) * LENGTHS[unit]
    if not 0 < length < math.inf:
        raise DataError(f"expected a length above 0, not {text.strip()!r}")
    return length


def read_strain_maps(
    path: str | Path,
    *,
    axis: Axis | None = None,
    pitch: float | None = None,
    unit: Unit | None = None,
    reference: str | Path | None = None,
) -> list[StrainMap]:
    """All maps of a file, turned so that the load is along y; what was not measured is NaN.

    Parameters
    ----------
    axis: along which the specimen was loaded, in the frame of the file: x to the right, y up.
    pitch: distance of neighbouring points [nm]; None for what the file says.
    unit: of the strain; None for what the file says, and fractions where it says nothing.
    reference: a file of the same kind with the unloaded state, subtracted: one map, or one for each frame.

    Returns
    -------
    A map for each frame. ``info`` has ``id``, ``file``, ``frame`` (from 0), ``turned`` (the load was along
    x), ``wide`` (longer across the load than along it), ``unit``, ``format``, and for tables of points
    ``from`` (strains or displacements), ``regridded`` and ``y_points``.

    Raises
    ------
    DataError: the file, the axis or the pitch is missing or not what it should be; says what would be right.
    """
    path = Path(path)
    reference = None if reference is None else Path(reference)
    check_file(path)
    if axis is None:
        raise DataError(f"{path}: give --axis x or --axis y: along which the specimen was loaded")
    if axis not in ("x", "y"):
        raise DataError(f"--axis: expected x or y, not {axis!r}")
    if unit is not None and unit not in UNITS:
        raise DataError(f"--unit: no unit {unit!r}{did_you_mean(unit, UNITS)}")
    if pitch is not None and not 0 < pitch < math.inf:
        raise DataError(f"--pitch: expected a length above 0, not {pitch:g} nm")
    for each in (path, reference):
        if each is not None and each.suffix.lower() in TRIED_APART:
            check_file(each)
            try_apart(each)
    raw = raw_maps(path, axis, unit)
    spacing = raw.pitch if pitch is None else pitch
    if spacing is None:
        raise DataError(f"{path}: the pitch is unknown; give --pitch, such as --pitch 2nm")
    if not 0 < spacing < math.inf:
        raise DataError(f"{path}: the pitch should be a length above 0, not {spacing:g} nm")
    info = {"file": str(path), **raw.info, "turned": axis == "x", "unit": unit or "as in the file"}
    strain = raw.strain
    if reference is not None:
        check_file(reference)
        strain = strain - _unloaded(path, raw, reference, raw_maps(reference, axis, unit))
        info["reference"] = str(reference)
    if axis == "x":
        strain = np.swapaxes(strain, 2, 3)[:, [1, 0, 2]]
    info["wide"] = bool(strain.shape[3] > strain.shape[2])
    maps = []
    for frame, one in enumerate(strain):
        name = path.stem if len(strain) == 1 else f"{path.stem}-frame-{frame:03d}"
        own = {"id": name, "frame": frame, **info}
        maps.append(StrainMap(np.ascontiguousarray(one, dtype=np.float32), float(spacing), "y", own))
    return maps


def check_file(path: Path) -> None:
    """That there is such a file, of a format that is known.

    Raises
    ------
    DataError: there is none.
    """
    if not path.is_file():
        raise DataError(f"{path} is a folder; give a file" if path.is_dir() else f"{path}: no such file")
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"{path}: unknown kind of file; expected {EXPECTED}")


def raw_maps(path: Path, axis: Axis, unit: Unit | None) -> RawMaps:
    """All frames of a file in its own frame, checked.

    Raises
    ------
    DataError: it is not what it should be.
    """
    suffix = path.suffix.lower()
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty")
        if suffix in (".npy", ".npz"):
            raw = _read_arrays(path, axis, unit)
        elif suffix in (".tif", ".tiff"):
            raw = _axial(_read_tiff(path), axis, unit, "TIFF")
        elif suffix == ".mat":
            raw = read_ncorr(path, unit)
        else:
            raw = _read_text(path, axis, unit)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    _check(path, raw.strain, axis)
    return raw


def _check(path: Path, strain: Floats, axis: Axis) -> None:
    frames, _, rows, columns = strain.shape
    if not frames or min(rows, columns) < FEWEST:
        raise DataError(f"{path}: {rows} x {columns} points; at least {FEWEST} x {FEWEST} are needed")
    if max(rows, columns) > LONGEST_EDGE:
        raise DataError(
            f"{path}: {rows:,} x {columns:,} points; at most {LONGEST_EDGE:,} along an edge are taken"
        )
    if np.isinf(strain).any():
        frame, _, row, column = (int(i[0]) + 1 for i in np.nonzero(np.isinf(strain)))
        raise DataError(
            f"{path}: a strain that is not finite (frame {frame}, row {row} from low y, column {column}); "
            "missing points should be nan"
        )
    for frame, one in enumerate(strain):
        where = str(path) if frames == 1 else f"{path}, frame {frame}"
        along = np.abs(one["xy".index(axis)])
        along = along[np.isfinite(along)]
        if not len(along):
            raise DataError(f"{where}: all points are masked; no strain along {axis} is left")
        median, largest = float(np.median(along)), float(np.nanmax(np.abs(one)))
        if median > LARGEST_MEDIAN or largest > LARGEST:
            likely = "microstrain" if median > 50 else "percent"
            raise DataError(
                f"{where}: half of the strains along {axis} are above {median:.3g} and one is {largest:.3g}, "
                f"too much for fractions; this looks like {likely}: give --unit percent or --unit microstrain"
            )


def _unloaded(path: Path, raw: RawMaps, reference: Path, unloaded: RawMaps) -> Floats:
    """(1 or frames, 3, rows, columns) to be subtracted."""
    shapes = [one.strain.shape[2:] for one in (raw, unloaded)]
    if shapes[0] != shapes[1]:
        (rows, columns), (others, wide) = shapes
        raise DataError(
            f"{path} has {rows} x {columns} points, but its reference {reference} has {others} x {wide}"
        )
    if len(unloaded.strain) not in (1, len(raw.strain)):
        raise DataError(
            f"{path} has {len(raw.strain)} frames, but its reference {reference} has {len(unloaded.strain)}; "
            "one, or as many, are needed"
        )
    origins = [one.origin for one in (raw, unloaded) if one.origin is not None]
    if len(origins) == 2 and np.abs(np.subtract(origins[0], origins[1])).max() > 0.5:
        raise DataError(f"{path} and its reference {reference} do not begin at the same point")
    return unloaded.strain


def _axial(frames: Floats, axis: Axis, unit: Unit | None, kind: str) -> RawMaps:
    """Maps of the strain along the load alone: (frames, rows, columns)."""
    strain = np.full((len(frames), 3, *frames.shape[1:]), np.nan)
    strain[:, "xy".index(axis)] = frames * UNITS[unit or "fraction"]
    return RawMaps(strain, info={"format": kind})


def _read_arrays(path: Path, axis: Axis, unit: Unit | None) -> RawMaps:
    """An array of numpy, or several in an .npz."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return _of_array(loaded, str(path), axis, unit)
            known = {name: loaded[name] for name in (*_OF_NPZ, "strain", "pitch") if name in loaded.files}
            return _of_npz(path, known, loaded.files, axis, unit)
    except DataError:
        raise
    except Exception as error:  # of a broken file anything
        if "pickle" in str(error):
            raise DataError(
                f"{path} holds Python objects, which are never read; save a plain array of numbers"
            ) from error
        raise DataError(f"{path} cannot be read as {path.suffix}: {error}") from error


def _of_array(array: NDArray[Any], where: str, axis: Axis, unit: Unit | None) -> RawMaps:
    _check_numbers(array, where)
    if array.ndim in (2, 3):
        return _axial(_frames(array), axis, unit, "numpy")
    if array.ndim == 4 and array.shape[1] == 3:
        return RawMaps(array * UNITS[unit or "fraction"], info={"format": "numpy"})
    raise DataError(
        f"{where} has the shape {array.shape}; expected (rows, columns) or (frames, rows, columns) of the "
        "strain along the load, or (frames, 3, rows, columns) of exx, eyy and exy"
    )


def _frames(array: NDArray[Any]) -> Floats:
    """(frames, rows, columns)."""
    return np.asarray(array if array.ndim == 3 else array[None], dtype=np.float64)


def _check_numbers(array: NDArray[Any], where: str) -> None:
    if array.dtype.kind not in _KINDS_OF_NUMBER:
        raise DataError(f"{where} is an array of {array.dtype}; expected real numbers")


def _of_npz(
    path: Path, arrays: Mapping[str, NDArray[Any]], names: Sequence[str], axis: Axis, unit: Unit | None
) -> RawMaps:
    spacing = None
    if "pitch" in arrays:
        _check_numbers(arrays["pitch"], f"{path}: pitch")
        if arrays["pitch"].size != 1:
            raise DataError(f"{path}: pitch should be one number [nm], not {arrays['pitch'].shape}")
        spacing = float(arrays["pitch"].item())
    along = f"e{axis}{axis}"
    named = {name: arrays[name] for name in _OF_NPZ if name in arrays}
    if "strain" not in arrays:
        if along not in named:
            hint = did_you_mean(along, names)
            raise DataError(f"{path}: no array {along} or strain, the strain along the load{hint}")
        raw = None
    elif along in named or (arrays["strain"].ndim == 4 and named):
        raise DataError(f"{path}: both strain and {', '.join(named)}; which is meant? Leave one out")
    else:
        raw = _of_array(arrays["strain"], f"{path}: strain", axis, unit)
    parts = {}
    for name, array in named.items():
        _check_numbers(array, f"{path}: {name}")
        if array.ndim not in (2, 3):
            raise DataError(f"{path}: {name} has the shape {array.shape}; expected (frames, rows, columns)")
        parts[name] = _frames(array)
    shapes = {name: part.shape for name, part in parts.items()}
    if raw is not None:
        shapes["strain"] = (len(raw.strain), *raw.strain.shape[2:])
    if len(set(shapes.values())) > 1:
        shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"{path}: arrays of different shapes: {shown}")
    if raw is None:
        frames, rows, columns = shapes[along]
        raw = RawMaps(np.full((frames, 3, rows, columns), np.nan), info={"format": "numpy"})
    for name, part in parts.items():
        raw.strain[:, _OF_NPZ[name]] = part * UNITS[unit or "fraction"]
    return replace(raw, pitch=spacing)


def _read_tiff(path: Path) -> Floats:
    """(frames, rows, columns) of the pages, from low y on."""
    try:
        tifffile: Any = import_module("tifffile")  # an optional package
    except ImportError as error:
        raise MissingExtra("tifffile", "formats") from error
    try:
        with tifffile.TiffFile(path) as file:
            if not file.series:
                raise DataError(f"{path} cannot be read as a TIFF: it has no pages")
            kinds = {series.dtype for series in file.series}
            sizes = {series.shape[-2:] for series in file.series}
            colours = any("S" in series.axes for series in file.series)
            if len(sizes) == 1 and not colours and all(kind.kind == "f" for kind in kinds):
                pages = [np.asarray(series.asarray(), dtype=np.float64) for series in file.series]
                frames = np.concatenate([page.reshape(-1, *page.shape[-2:]) for page in pages])
                return np.asarray(frames[:, ::-1])
    except DataError:
        raise
    except Exception as error:  # a reader of anything
        raise DataError(f"{path} cannot be read as a TIFF ({type(error).__name__}: {error})") from error
    if any(kind.kind != "f" for kind in kinds):
        raise DataError(
            f"{path} has pixels of {next(iter(kinds))}: grey values are no strain; export the strain "
            "itself as 32-bit floats, before it is scaled to grey values or colours"
        )
    raise DataError(f"{path}: expected pages of one size and one value per pixel, the strain along the load")


def _read_text(path: Path, axis: Axis, unit: Unit | None) -> RawMaps:
    """A table of points, if a line names its columns, else a grid of numbers."""
    lines = read_lines(path)
    header = find_header(lines)
    if header is not None:
        return read_points(path, lines, header, axis, unit)
    return _axial(read_grid(path, lines)[None], axis, unit, "grid")
