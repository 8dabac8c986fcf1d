"""Strain maps that Ncorr 1.2 (MATLAB) has saved, in both formats of a .mat file; nothing is unpickled.

``data_dic_save.strains`` is a struct array with one element per frame; ``data_dic_save.dispinfo`` tells the
spacing of the points, how many units a pixel has and which (ncorr.m of justinblaber/ncorr_2D_matlab).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vitrine.errors import DataError, did_you_mean
from vitrine.physics.regrid import LONGEST_EDGE, Floats
from vitrine.physics.strain_text import LENGTHS, UNITS, RawMaps, plain_unit

ROOT = "data_dic_save"
FIELDS = ("plot_exx_ref_formatted", "plot_eyy_ref_formatted", "plot_exy_ref_formatted")
"""of a frame, Green-Lagrange strain in the reference image"""
_WANTED = {
    ROOT,
    "strains",
    "dispinfo",
    *FIELDS,
    "roi_ref_formatted",
    "mask",
    "spacing",
    "pixtounits",
    "units",
}
_NUMERIC = {"double", "single", "logical", *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64))}
OPAQUE = "an object of a MATLAB class"
"""stands for what can only be read in MATLAB"""


def read_ncorr(path: Path, unit: str | None) -> RawMaps:
    """All frames of a file that Ncorr has saved.

    Parameters
    ----------
    unit: of the strains; None for fractions, as Ncorr writes them.

    Raises
    ------
    DataError: not a .mat file, nothing of Ncorr in it, no strains computed, or only objects of a class.
    """
    import h5py

    try:
        saved = _read_hdf5(path) if h5py.is_hdf5(path) else _read_classic(path)
    except DataError:
        raise
    except Exception as error:  # readers of broken files raise anything
        words = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} cannot be read as a .mat file ({words[:200]})") from error
    if isinstance(saved, str) or not isinstance(saved, dict | list):
        raise DataError(
            f"{path}: {ROOT} is {OPAQUE}, which only MATLAB can read; save it as a struct, as the menu File, "
            "Save Data of Ncorr does"
        )
    roots = _elements(saved)
    frames = [frame for root in roots for frame in _elements(root.get("strains"))]
    names = {name for frame in frames for name in frame}
    missing = [name for name in FIELDS if name not in names]
    if not frames or missing:
        what = f"no {ROOT}.strains.{missing[0]}" if frames else f"no {ROOT}.strains"
        raise DataError(f"{path}: {what}; calculate the strains in Ncorr and save its data again")
    strain, mask = zip(*(_frame(frame, path, n) for n, frame in enumerate(frames)), strict=True)
    shapes = {one.shape for one in strain}
    if len(shapes) > 1:
        shown = " and ".join(f"{rows} x {columns}" for _, rows, columns in sorted(shapes))
        raise DataError(f"{path}: frames of {shown} points; all should have the same")
    stack = np.stack(strain)[:, :, ::-1] * UNITS[unit or "fraction"]  # rows of an image go down
    stack[:, 2] *= -1
    info = {"format": "Ncorr", "y_points": "down", "mask": mask[0], "from": "strains"}
    scale = next(iter(_elements(roots[0].get("dispinfo"))), {})
    return RawMaps(stack, _pitch(scale), None, info)


def _frame(frame: dict[str, Any], path: Path, number: int) -> tuple[Floats, str]:
    """(3, rows, columns) of one element of ``strains`` as saved, and what its mask was taken from."""
    parts = [frame[name] for name in FIELDS]
    for name, part in zip(FIELDS, parts, strict=True):
        if isinstance(part, str):
            raise DataError(f"{path}, frame {number + 1}: {name} is {part}; expected an array")
        if (
            not isinstance(part, np.ndarray)
            or part.ndim != 2
            or not part.size
            or part.dtype.kind not in "fiu"
        ):
            raise DataError(f"{path}, frame {number + 1}: {name} is empty or no array of numbers")
        if max(part.shape) > LONGEST_EDGE or part.shape != parts[0].shape:
            raise DataError(
                f"{path}, frame {number + 1}: {name} has {part.shape} points, not {parts[0].shape}"
            )
    strain = np.array(parts, dtype=np.float64)
    regions = frame.get("roi_ref_formatted")
    mask = regions.get("mask") if isinstance(regions, dict) else None
    told = isinstance(mask, np.ndarray) and mask.shape == strain.shape[1:]
    inside = np.asarray(mask, dtype=bool) if told else (strain != 0).any(axis=0)
    strain[:, ~inside] = np.nan
    return strain, "region of interest" if told else "zeros"


def _pitch(scale: dict[str, Any]) -> float | None:
    """nm between points, which Ncorr leaves ``spacing`` pixels between."""
    try:
        spacing, size = (float(np.asarray(scale[name]).item()) for name in ("spacing", "pixtounits"))
    except (KeyError, ValueError, TypeError):
        return None
    unit = plain_unit(str(scale.get("units", "")))
    return (spacing + 1) * size * LENGTHS[unit] if unit in LENGTHS else None


def _elements(value: Any) -> list[dict[str, Any]]:
    """The elements of a struct array, whose fields are lists, or of a cell array of structs."""
    if isinstance(value, list):
        return [element for part in value for element in _elements(part)]
    if not isinstance(value, dict):
        return []
    count = max((len(v) for v in value.values() if isinstance(v, list)), default=None)
    if count is None:
        return [value]
    return [
        {
            name: v[i] if isinstance(v, list) else v
            for name, v in value.items()
            if not isinstance(v, list) or i < len(v)
        }
        for i in range(count)
    ]


def _read_classic(path: Path) -> Any:
    """``data_dic_save`` of a .mat file up to version 7."""
    from scipy.io import loadmat, whosmat

    names = [name for name, _, _ in whosmat(str(path))]
    if ROOT not in names:
        raise DataError(f"{path}: no {ROOT}, so not saved by Ncorr{did_you_mean(ROOT, names)}")
    return _plain(loadmat(str(path), variable_names=[ROOT])[ROOT])


def _plain(value: Any) -> Any:
    """What scipy has read as dicts, lists, arrays and texts."""
    from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque

    if isinstance(value, MatlabFunction | MatlabObject | MatlabOpaque):
        return OPAQUE
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names is not None:
        fields = {}
        for name in _WANTED.intersection(value.dtype.names):
            parts = [_plain(part) for part in value[name].ravel()]
            fields[name] = parts[0] if len(parts) == 1 else parts
        return fields
    if value.dtype.kind == "O":
        return [_plain(part) for part in value.ravel()]
    return "".join(value.ravel().tolist()) if value.dtype.kind == "U" else value


def _read_hdf5(path: Path) -> Any:
    """``data_dic_save`` of a .mat file of version 7.3."""
    import h5py

    with h5py.File(path, "r") as file:
        if ROOT not in file:
            names = [name for name in file if not name.startswith("#")]
            raise DataError(f"{path}: no {ROOT}, so not saved by Ncorr{did_you_mean(ROOT, names)}")
        return _stored(file[ROOT], file, path, 0)


def _stored(node: Any, file: Any, path: Path, depth: int) -> Any:
    """A group or dataset as dicts, lists, arrays and texts."""
    import h5py

    if depth > len(_WANTED):
        raise DataError(f"{path}: {ROOT} refers to itself")
    kind = node.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if "MATLAB_object_decode" in node.attrs or (kind and kind not in _NUMERIC | {"struct", "cell", "char"}):
        return OPAQUE
    if isinstance(node, h5py.Group):
        kept = [n for n in node if n in _WANTED and isinstance(node.get(n, getlink=True), h5py.HardLink)]
        return {name: _stored(node[name], file, path, depth + 1) for name in kept}
    if node.dtype.kind == "O":
        return [_stored(file[one], file, path, depth + 1) for one in node[()].ravel()]
    if max(node.shape, default=0) > LONGEST_EDGE:
        raise DataError(f"{path}: {node.shape} points; at most {LONGEST_EDGE:,} along an edge are taken")
    value = node[()].T  # MATLAB stores by columns
    return "".join(map(chr, value.ravel(order="F"))) if kind == "char" else value
