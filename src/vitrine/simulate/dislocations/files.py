"""Trajectories of dislocations as HDF5: what a task leaves, and sets of many that users write.

Below ``trajectories/<id>``: attributes ``width`` [µm], ``height`` [nm], ``slip``, ``seed``, ``pitch`` [nm];
``legs/<leg>`` (``load-1``, ``unload-1``, ``reload-1-0.1``: strains in %) with ``curve`` (rows, 5) and below
``frames`` the history of dislocations; ``maps/prior-1-reload-0.1`` with ``strain`` (3, rows, columns) and
``displacement`` (2, rows + 1, columns + 1) [nm]; ``crystal`` with slip planes, sources and obstacles.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.samples import Float
from vitrine.simulate.dislocations.arrays import CURVE
from vitrine.simulate.released_reader import Layout, opened, read_apart, read_array, replace_file
from vitrine.strain_maps import StoredMap, StrainMap

if TYPE_CHECKING:
    from vitrine.simulate.dislocations.trajectory import Leg, Run

TRAJECTORY = "trajectory.h5"
DISLOCATIONS = Layout(
    "vitrine dislocations 1",
    "trajectories",
    "dislocation trajectories",
    "vitrine.simulate.dislocations.files",
)
UNITS = {
    "curve": "strain 1, stress MPa, plastic strain 1, number, time ns",
    "strain": "1",
    "stress": "MPa",
    "x": "nm",
    "y": "nm",
    "displacement": "nm",
    "plane_x": "nm",
    "plane_y": "nm",
    "plane_length": "nm",
    "source_s": "nm",
    "source_strength": "MPa",
    "obstacle_s": "nm",
    "obstacle_strength": "MPa",
}
PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
MOST_PIXELS = 100_000
"""along an edge of a map"""
CURVE_POINTS = 201
"""of a stress-strain curve that goes with a map"""
FRAMES = ("strain", "stress", "first", "x", "y", "plane", "sign")


def map_name(prior: float, reload: float) -> str:
    """``prior-1-reload-0.1``, strains in %."""
    return f"prior-{prior:g}-reload-{reload:g}"


def write_trajectory(
    path: Path,
    run: Run,
    legs: Mapping[str, Leg],
    maps: Mapping[tuple[float, float], tuple[Any, Any]],
    about: Mapping[str, Any],
) -> None:
    """Write a file of one trajectory, complete or not at all; ``maps`` are strain and displacement."""
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs.update({"format": DISLOCATIONS.format, "about": json.dumps(dict(about)), "left_out": "{}"})
        group = file.create_group(f"trajectories/{about['name']}")
        group.attrs.update({key: about[key] for key in ("width", "slip", "seed", "pitch")})
        group.attrs["height"] = run.model.height
        for name, leg in legs.items():
            _write(group, f"legs/{name}/curve", leg.curve)
            group[f"legs/{name}/curve"].attrs["columns"] = list(CURVE)
            for key in FRAMES:
                _write(group, f"legs/{name}/frames/{key}", leg.frames[key])
        for (prior, reload), (strain, displacement) in maps.items():
            place = f"maps/{map_name(prior, reload)}"
            _write(group, f"{place}/strain", strain)
            _write(group, f"{place}/displacement", displacement)
            group[place].attrs.update({"prior": prior, "reload": reload})
        for key, values in run.specimen._asdict().items():
            _write(group, f"crystal/{key}", values)
    replace_file(path, content.getbuffer())


def _write(group: Any, name: str, values: Any) -> None:
    data = np.asarray(values)
    packed = PACKED if data.size > 16 else {}
    chunks = {"chunks": data.shape} if packed else {}
    field = group.create_dataset(name, data=data, **chunks, **packed)
    unit = UNITS.get(name.rsplit("/", 1)[-1])
    if unit:
        field.attrs["unit"] = unit


def read_maps(group: Any, name: str) -> list[StrainMap]:
    """Maps of an open trajectory, by rising prior and reload strain.

    Raises
    ------
    ValueError, KeyError: an array or attribute is missing or of another shape; it is named.
    """
    pitch = positive(group, "pitch")
    return [
        StrainMap(
            read_array(
                group["maps"][map_name(info["prior"], info["reload"])], "strain", (3, *_pixels(group))
            ).astype(np.float32),
            pitch,
            "y",
            info,
        )
        for info in _infos(group, name)
    ]


def _infos(group: Any, name: str) -> list[dict[str, Any]]:
    """What is known of each map of a trajectory, by rising prior and reload strain."""
    found = []
    for place in group.get("maps", {}).values():
        prior, reload = positive(place, "prior"), positive(place, "reload")
        found.append(
            {
                "id": f"{name}/p{prior:g}-r{reload:g}",
                "group": name,
                "prior": prior,
                "reload": reload,
                "width": positive(group, "width"),
                "slip": str(group.attrs["slip"]),
                "seed": int(group.attrs["seed"]),
            }
        )
    return sorted(found, key=lambda info: (info["prior"], info["reload"]))


def read_reload(group: Any, prior: float) -> Float:
    """(CURVE_POINTS, 2) strain since a state was unloaded and stress [MPa], over its longest reload.

    Evenly spaced in strain; what happens between two steps of the engine is interpolated.
    """
    start = f"reload-{prior:g}-"
    legs = sorted(
        (leg for leg in group["legs"] if leg.startswith(start)), key=lambda leg: float(leg[len(start) :])
    )
    rows = np.concatenate(
        [read_curve(group, f"unload-{prior:g}")[-1:], *(read_curve(group, leg) for leg in legs)]
    )
    strain = rows[:, 0] - rows[0, 0]
    even = np.linspace(0, float(legs[-1][len(start) :]) / 100, CURVE_POINTS)
    return np.stack([even, np.interp(even, strain, rows[:, 1])], axis=1)


def stored_maps(path: Path) -> list[StoredMap]:
    """Maps of the store's file of one trajectory, their arrays left on disk."""
    found = []
    with opened(path, DISLOCATIONS, trusted=True) as file:
        for name, group in file["trajectories"].items():
            for info in _infos(group, name):
                at = (path, name, info["prior"])
                strain, curve = partial(_strain_at, *at, info["reload"]), partial(_reload_at, *at)
                found.append(StoredMap(strain, curve, positive(group, "pitch"), info))
    return found


def _strain_at(path: Path, name: str, prior: float, reload: float) -> NDArray[np.float32]:
    with opened(path, DISLOCATIONS, trusted=True) as file:
        group = file["trajectories"][name]
        place = group["maps"][map_name(prior, reload)]
        return read_array(place, "strain", (3, *_pixels(group))).astype(np.float32)


def _reload_at(path: Path, name: str, prior: float) -> Float:
    with opened(path, DISLOCATIONS, trusted=True) as file:
        return read_reload(file["trajectories"][name], prior)


def read_displacement(group: Any, prior: float, reload: float) -> Float:
    """(2, rows + 1, columns + 1) u_x and u_y [nm] at the corners of the pixels of a map."""
    rows, columns = _pixels(group)
    return read_array(group["maps"][map_name(prior, reload)], "displacement", (2, rows + 1, columns + 1))


def _pixels(group: Any) -> tuple[int, int]:
    """Rows and columns of the maps."""
    pitch, width, height = (
        positive(group, "pitch"),
        1000 * positive(group, "width"),
        positive(group, "height"),
    )
    if max(width, height) / pitch > MOST_PIXELS:
        raise ValueError(f"{group.name}: its pitch, {pitch:g} nm, is none for {width:g} by {height:g} nm")
    return rows_of(height, pitch), round(width / pitch)


def rows_of(height: float, pitch: float) -> int:
    """Whole pixels in ``height`` [nm]; what is left is halved between both ends."""
    return max(1, math.floor(height / pitch + 1e-6))


def read_curve(group: Any, leg: str) -> Float:
    """(rows, 5) curve of a leg: strain, stress [MPa], plastic strain, dislocations, time [ns]."""
    return read_array(group, f"legs/{leg}/curve", (group[f"legs/{leg}/curve"].shape[0], len(CURVE)))


def read_frames(group: Any, leg: str) -> dict[str, Any]:
    """Frames of a leg: ``strain``, ``stress``, ``first`` (frames + 1,), ``x``, ``y``, ``plane``, ``sign``.

    Raises
    ------
    ValueError: the arrays do not belong together.
    """
    place = group[f"legs/{leg}/frames"]
    found = {key: read_array(place, key, place[key].shape) for key in FRAMES}
    first = found["first"] = found["first"].astype(np.int64)
    total = len(found["x"])
    if (
        len(first) != len(found["strain"]) + 1
        or first[0] != 0
        or first[-1] != total
        or (np.diff(first) < 0).any()
    ):
        raise ValueError(f"{place.name}/first should be the rising bounds of {total} entries")
    for key in ("y", "plane", "sign"):
        if len(found[key]) != total:
            raise ValueError(f"{place.name}/{key} should have {total} entries")
        if key != "y":
            found[key] = found[key].astype(np.int64)
    return found


def read_crystal(group: Any) -> dict[str, Any]:
    """Arrays of slip planes, sources and obstacles by name."""
    place = group["crystal"]
    return {key: read_array(place, key, place[key].shape) for key in place}


def legs_of(group: Any) -> list[str]:
    """Names of the legs in the order in which they happened."""
    order = {"load": 0, "unload": 1, "reload": 2}
    return sorted(
        group["legs"], key=lambda leg: [float(w) if w not in order else order[w] for w in _words(leg)]
    )


def _words(leg: str) -> list[str]:
    kind, at, *to = leg.split("-", 2)
    return [at, kind, *to]


def positive(group: Any, name: str) -> float:
    """An attribute that must be a positive number.

    Raises
    ------
    ValueError: it is none.
    """
    value = float(group.attrs[name])
    if not np.isfinite(value) or value <= 0:
        raise ValueError(f"{group.name}: its {name} should be positive, not {value}")
    return value


def read_trajectories(path: Path, trusted: bool = False) -> dict[str, list[StrainMap]]:
    """All maps of a file by trajectory; ``trusted`` as in :func:`vitrine.simulate.released_reader.opened`.

    Raises
    ------
    DataError: not such a file, or a damaged one.
    """
    with opened(path, DISLOCATIONS, trusted) as file:
        return {name: read_maps(file["trajectories"][name], name) for name in sorted(file["trajectories"])}


def _read_all(file: Any) -> None:
    for name, group in file["trajectories"].items():
        for each in read_maps(group, name):
            read_displacement(group, each.info["prior"], each.info["reload"])
        read_crystal(group)
        for leg in legs_of(group):
            read_curve(group, leg)
            read_frames(group, leg)


if __name__ == "__main__":
    import sys

    read_apart(Path(sys.argv[1]), DISLOCATIONS, _read_all)
