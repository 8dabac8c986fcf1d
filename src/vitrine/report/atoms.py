"""Atoms of a figure: what the viewer in the page and the still picture have in common.

Both show the same from the same side: radii by species, colours by value, atoms below a scene's
threshold small and pale, the cell as its twelve edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vitrine.errors import DataError
from vitrine.report.svg import floats
from vitrine.study.result import AtomsFigure

Float = NDArray[np.float64]

SEQUENTIAL, DIVERGING = "YlOrRd", "PuOr_r"
"""Both keep their order in every common colour vision; the second for scales around zero."""
UNKNOWN = "#b8bcc2"
"""Atoms without a value."""
CELL_LINE = "#8a9099"
TURN, TILT = np.radians(-24.0), np.radians(16.0)
STRONG, PLAIN, FAINT = 0.46, 0.36, 0.15
"""Radii in distances of nearest neighbours: above a threshold, without one, below one."""
PALENESS = 0.68
"""How far towards white the colour of an atom below the threshold goes."""


@dataclass(frozen=True)
class Scene:
    """One colouring of n atoms: values (n,), faint (n,) bool, a colour ``#rrggbb`` for each."""

    label: str
    unit: str
    low: float
    high: float
    threshold: float | None
    values: Float
    faint: NDArray[np.bool_]
    colours: tuple[str, ...]
    colour_map: str

    @property
    def stops(self) -> tuple[str, ...]:
        """The colour map from low to high, as few colours as a smooth gradient needs."""
        return tuple(to_hex(colour) for colour in _map(self.colour_map, np.linspace(0, 1, 18)))

    @property
    def mark(self) -> float | None:
        """Where the threshold stands on the colour bar, 0 to 1; None if it is not on it."""
        if self.threshold is None:
            return None
        place = (self.threshold - self.low) / (self.high - self.low)
        return place if 0 <= place <= 1 else None


@dataclass(frozen=True)
class Atoms:
    """A checked figure of n atoms with k cell edges of non-zero length.

    positions (n, 3) and edges (k, 2, 3) in the figure's length unit; species (n,) indices into
    ``symbols``; sizes (len(symbols),), radii relative to the mean over the atoms; spacing, the
    median distance of nearest neighbours; flat, whether all atoms lie in the plane z = constant.
    """

    positions: Float
    symbols: tuple[str, ...]
    species: NDArray[np.int64]
    sizes: Float
    spacing: float
    edges: Float
    scenes: tuple[Scene, ...]
    flat: bool

    @property
    def rotation(self) -> Float:
        """(3, 3): from x, y, z to right, up and towards the viewer."""
        if self.flat:
            return np.eye(3)
        c, s = np.cos(TURN), np.sin(TURN)
        turn = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
        c, s = np.cos(TILT), np.sin(TILT)
        rotation: Float = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]]) @ turn
        return rotation

    @property
    def counts(self) -> list[int]:
        """Number of atoms of each symbol."""
        return [int(count) for count in np.bincount(self.species, minlength=len(self.symbols))]

    def radii(self, scene: Scene) -> Float:
        """(n,): radii of the spheres in this scene."""
        bold = PLAIN if scene.threshold is None else STRONG
        return self.spacing * self.sizes[self.species] * np.where(scene.faint, FAINT, bold)


def prepare(figure: AtomsFigure) -> Atoms:
    """Check a figure and work out what both pictures share.

    Raises
    ------
    DataError: shapes do not belong together, or a position is not finite.
    """
    positions, cell = _geometry(figure)
    for what, length in (
        ("species", len(figure.species)),
        *((f"values of scene {scene['label']!r}", len(scene["values"])) for scene in figure.scenes),
    ):
        if length != len(positions):
            raise DataError(
                f"figure {figure.name!r}: {length} {what} for {len(positions)} positions; "
                "one for each position would be right"
            )
    if not figure.scenes:
        raise DataError(f"figure {figure.name!r} has no scenes; at least one colouring is needed")
    symbols = tuple(sorted(set(figure.species)))
    species = np.array([symbols.index(symbol) for symbol in figure.species], dtype=np.int64)
    sizes = _sizes(symbols)
    x, y, z = np.ptp(positions, axis=0)
    return Atoms(
        positions=positions,
        symbols=symbols,
        species=species,
        sizes=sizes / sizes[species].mean(),
        spacing=_spacing(positions),
        edges=_edges(cell),
        scenes=tuple(_scene(scene) for scene in figure.scenes),
        # A system in a plane is looked at from above: from the side it would be a line.
        flat=bool(len(positions) > 1 and z <= 1e-6 * max(x, y)),
    )


def viewer_data(atoms: Atoms) -> dict[str, Any]:
    """What ``viewer.js`` draws, JSON-able: lengths to 1/1000, values to 4 significant digits."""
    scenes = [
        {
            "values": [float(f"{value:.4g}") if np.isfinite(value) else None for value in scene.values],
            "unit": scene.unit,
            "radii": np.round(atoms.radii(scene), 3).tolist(),
            "colours": list(scene.colours),
        }
        for scene in atoms.scenes
    ]
    return {
        "positions": np.round(atoms.positions, 3).tolist(),
        "symbols": list(atoms.symbols),
        "species": atoms.species.tolist(),
        "edges": np.round(atoms.edges, 3).tolist(),
        "edge_colour": CELL_LINE,
        "edge_radius": round(0.025 * atoms.spacing, 4),
        "quaternion": _quaternion(atoms),
        "frame": _frame(atoms),
        "scenes": scenes,
    }


def _geometry(figure: AtomsFigure) -> tuple[Float, Float]:
    positions = np.array(figure.positions, dtype=np.float64)
    cell = np.array(figure.cell, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or not len(positions):
        raise DataError(
            f"figure {figure.name!r}: positions have shape {positions.shape}, not (n, 3) with n of at least 1"
        )
    if cell.shape != (3, 3):
        raise DataError(f"figure {figure.name!r}: cell has shape {cell.shape}, not (3, 3)")
    if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
        raise DataError(f"figure {figure.name!r}: a position or the cell is not finite")
    return positions, cell


def _scene(scene: dict[str, Any]) -> Scene:
    values = floats(scene["values"])
    finite = values[np.isfinite(values)]
    low, high = (
        float(given) if given is not None else float(pick(finite)) if finite.size else 0.0
        for given, pick in ((scene.get("low"), np.min), (scene.get("high"), np.max))
    )
    if not high > low:
        high = low + 1.0
    threshold = None if scene.get("threshold") is None else float(scene["threshold"])
    # Not "values < threshold": an atom without a value is no event either.
    faint = np.zeros(len(values), bool) if threshold is None else ~(values >= threshold)
    around_zero = low < 0 < high and abs(low + high) < 1e-6 * (high - low)
    name = DIVERGING if around_zero else SEQUENTIAL
    colours = _map(name, np.clip((values - low) / (high - low), 0, 1))
    colours[np.isnan(values)] = _rgb(UNKNOWN)
    colours[faint] += PALENESS * (1 - colours[faint])
    return Scene(
        label=str(scene["label"]),
        unit=str(scene.get("unit") or ""),
        low=low,
        high=high,
        threshold=threshold,
        values=values,
        faint=faint,
        colours=tuple(to_hex(colour) for colour in colours),
        colour_map=name,
    )


def _map(name: str, place: Float) -> Float:
    """(n, 3): colours at places 0 to 1; the palest end of a sequential map would not show on white."""
    start = 0.12 if name == SEQUENTIAL else 0.0
    colours: Float = colormaps[name](start + (1 - start) * np.nan_to_num(place))[:, :3]
    return colours


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _sizes(symbols: tuple[str, ...]) -> Float:
    """Covalent radii in Å; equal ones where a name is no element's (A and B of a model liquid)."""
    from ase.data import atomic_numbers, covalent_radii

    # All or none: B of a model liquid is not boron.
    if not all(symbol in atomic_numbers for symbol in symbols):
        return np.ones(len(symbols))
    return np.array([covalent_radii[atomic_numbers[symbol]] for symbol in symbols])


def _spacing(positions: Float) -> float:
    if len(positions) < 2:
        return 1.0
    distances, _ = cKDTree(positions).query(positions, k=2)
    return float(np.median(distances[:, 1])) or 1.0


def _edges(cell: Float) -> Float:
    """(k, 2, 3): the twelve edges of a triclinic cell; fewer when a cell vector is zero."""
    edges = []
    for axis in range(3):
        if not cell[axis].any():
            continue
        for other in product((0, 1), repeat=2):
            corner = np.insert(np.array(other), axis, 0)
            start = corner @ cell
            edges.append([start, start + cell[axis]])
    return np.unique(np.array(edges).reshape(-1, 2, 3), axis=0)


def _frame(atoms: Atoms) -> dict[str, Any]:
    """A sphere around atoms and cell."""
    points = np.concatenate([atoms.positions, atoms.edges.reshape(-1, 3)])
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = float(np.linalg.norm(points - centre, axis=1).max())
    return {
        "centre": np.round(centre, 3).tolist(),
        "radius": round(max(reach, atoms.spacing), 3),
    }


def _quaternion(atoms: Atoms) -> list[float]:
    """The rotation as x, y, z, w."""
    from scipy.spatial.transform import Rotation

    return [round(float(part), 6) for part in Rotation.from_matrix(atoms.rotation).as_quat()]
