"""Maps and curves of many trajectories in a small file: what released sets of dislocations are.

Below ``trajectories/<id>``: attributes ``width`` [µm], ``height`` [nm], ``slip``, ``seed``, ``pitch`` [nm];
``maps`` (m, rows, columns) float16, strain along the load; ``prior`` and ``reload`` (m,) [%] of each map;
``curves`` (m, 201) float32, stress [MPa] at even strains from 0 to ``ends`` (m,), over the longest reload
from the same state; ``load`` (501, 2) float32, strain and stress [MPa] up to the largest prior strain. Maps
wider than asked for are averaged over pixels by area, so that the mean strain stays, and rounded to 1/512 of
the reload strain: an elastic map stays what it is to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrine.physics.resample import area_resize
from vitrine.samples import Float
from vitrine.simulate.dislocations.files import (
    CURVE_POINTS,
    MOST_PIXELS,
    legs_of,
    positive,
    read_curve,
    read_maps,
    read_reload,
)
from vitrine.simulate.released_reader import Layout, opened, read_apart, read_array
from vitrine.strain_maps import COMPONENTS, StoredMap, StrainMap

COMPACT = Layout(
    "vitrine strain maps 1",
    "trajectories",
    "maps of dislocation trajectories",
    "vitrine.simulate.dislocations.compact",
)
STEPS = 512
"""in a reload strain; what is rounded is kept to half a step"""
LOAD_POINTS = 501
SMALL = 64
"""numbers that are not worth packing"""
PACKED = {"compression": "gzip", "compression_opts": 9, "shuffle": True}


def write_compact(group: Any, full: Any, name: str, across: int) -> None:
    """Write an open trajectory of a full file into the group ``trajectories`` of a compact one.

    across: pixels across; wider maps are averaged to so many.

    Raises
    ------
    ValueError, KeyError: an array or attribute is missing or of another shape; it is named.
    """
    maps = read_maps(full, name)
    rows, columns = maps[0].axial.shape
    shrink = min(1.0, across / columns)
    shape = round(rows * shrink), round(columns * shrink)
    curves = {each.info["prior"]: read_reload(full, each.info["prior"]) for each in maps}
    own = [curves[each.info["prior"]] for each in maps]
    data = {
        "maps": np.stack([_kept(each, shape) for each in maps]),
        "prior": np.array([each.info["prior"] for each in maps]),
        "reload": np.array([each.info["reload"] for each in maps]),
        "curves": np.stack([curve[:, 1] for curve in own]).astype(np.float32),
        "ends": np.array([curve[-1, 0] for curve in own]),
        "load": _loading(full).astype(np.float32),
    }
    place = group.create_group(name)
    for key, values in data.items():
        packed = {"chunks": values.shape, **PACKED} if values.size > SMALL else {}
        place.create_dataset(key, data=values, **packed)
    place.attrs.update({key: full.attrs[key] for key in ("width", "slip", "seed", "height")})
    place.attrs["pitch"] = maps[0].pitch * columns / shape[1]


def _kept(each: StrainMap, shape: tuple[int, int]) -> NDArray[np.float16]:
    step = each.info["reload"] / 100 / STEPS
    rounded: Float = np.rint(area_resize(each.axial, *shape) / step) * step
    return rounded.astype(np.float16)


def _loading(full: Any) -> Float:
    """(LOAD_POINTS, 2) strain and stress [MPa] of the loading, evenly spaced in strain."""
    rows = np.concatenate([read_curve(full, leg) for leg in legs_of(full) if leg.startswith("load-")])
    even = np.linspace(rows[0, 0], rows[-1, 0], LOAD_POINTS)
    return np.stack([even, np.interp(even, rows[:, 0], rows[:, 1])], axis=1)


def compact_maps(path: Path, names: Sequence[str] | None = None) -> list[StoredMap]:
    """Maps of a compact file, their arrays left on disk; of the trajectories ``names``, or of all.

    Of the strain only the component along the load is there; the others are NaN.

    Raises
    ------
    DataError: not such a file, or a damaged one.
    """
    found = []
    with opened(path, COMPACT) as file:
        for name in sorted(file["trajectories"]) if names is None else names:
            group = file["trajectories"][name]
            prior, reload = _strains(group)
            for k in range(len(prior)):
                info = {
                    "id": f"{name}/p{prior[k]:g}-r{reload[k]:g}",
                    "group": name,
                    "prior": float(prior[k]),
                    "reload": float(reload[k]),
                    "width": positive(group, "width"),
                    "slip": str(group.attrs["slip"]),
                    "seed": int(group.attrs["seed"]),
                }
                at = (path, name, k)
                strain, curve = partial(_strain_at, *at), partial(_curve_at, *at)
                found.append(StoredMap(strain, curve, positive(group, "pitch"), info))
    return found


def read_loading(group: Any) -> Float:
    """(points, 2) strain and mean stress [MPa] of the loading of an open trajectory."""
    return read_array(group, "load", (LOAD_POINTS, 2))


def _strains(group: Any) -> tuple[Float, Float]:
    """Prior and reload strain [%] of each map."""
    count = (group["maps"].shape[0],)
    prior, reload = (read_array(group, key, count) for key in ("prior", "reload"))
    if min(prior.min(initial=1), reload.min(initial=1)) <= 0:
        raise ValueError(f"{group.name}: prior and reload strains should be positive")
    return prior, reload


def _strain_at(path: Path, name: str, k: int) -> NDArray[np.float32]:
    with opened(path, COMPACT, trusted=True) as file:
        axial = _maps(file["trajectories"][name])[k]
    strain = np.full((len(COMPONENTS), *axial.shape), np.nan, np.float32)
    strain[COMPONENTS.index("yy")] = axial
    return strain


def _maps(group: Any) -> Float:
    shape = group["maps"].shape
    if len(shape) != 3 or not 1 <= max(shape) <= MOST_PIXELS:
        raise ValueError(f"{group.name}/maps has the shape {shape}; it should be maps, rows and columns")
    return read_array(group, "maps", shape)


def _curve_at(path: Path, name: str, k: int) -> Float:
    with opened(path, COMPACT, trusted=True) as file:
        found: Float = _curves(file["trajectories"][name])[k]
        return found


def _curves(group: Any) -> Float:
    """(m, points, 2) strain and stress [MPa]."""
    count = group["maps"].shape[0]
    stress, ends = read_array(group, "curves", (count, CURVE_POINTS)), read_array(group, "ends", (count,))
    strain = np.linspace(0, ends, CURVE_POINTS, axis=1)
    return np.stack([strain, stress], axis=2)


def _read_all(file: Any) -> None:
    for group in file["trajectories"].values():
        for key in ("pitch", "width", "height"):
            positive(group, key)
        _strains(group)
        _maps(group)
        _curves(group)
        read_loading(group)


if __name__ == "__main__":
    import sys

    read_apart(Path(sys.argv[1]), COMPACT, _read_all)
