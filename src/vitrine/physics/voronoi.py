"""Voronoi polyhedra of periodic configurations: volumes, indices and neighbours.

The tessellation is mono-disperse: a polyhedron holds the points closer to its atom than to any
other, whatever the species. Small faces and short edges come and go with thermal noise, so they
are left out of the indices by the rule of OVITO (doi:10.1088/0965-0393/18/1/015012):

1. an edge counts if its length is at least ``edge_threshold``;
2. a face counts if at least three of its edges do and if its area exceeds
   ``relative_face_threshold`` times the whole surface of the polyhedron (all faces, small ones
   included);
3. the index <n3, n4, n5, n6> numbers the counted faces by their counted edges. Nothing is healed:
   the edge that remains of a dropped face still belongs to the faces beside it.

Volumes are those of the whole polyhedra, before any threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, compress
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitrine.errors import DataError, EngineError, MissingExtra, StudyError, did_you_mean

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

COINCIDENT = 1.0e-4
"""Å: atoms closer than this are one atom listed twice; text dumps round at about this distance."""

VOLUME_TOLERANCE = 1.0e-6
"""Largest relative difference between the sum of the volumes and the box; round-off is 1e-12."""

FIRST_MARGIN = 2.2
"""First width of the shell of images in units of (volume per atom)^(1/3): enough for a glass."""

MOST_IMAGES = 200_000
"""Periodic images that a small box may be given, and 30 of each atom of a large one."""


@dataclass(frozen=True)
class Voronoi:
    """Voronoi polyhedra of n atoms.

    Two atoms are neighbours where the face between them counts for at least one of the two. The
    threshold is relative to each polyhedron's own surface, so that a face may count for the
    smaller one only: the union keeps the graph symmetric and gives every counted face its
    neighbour. (OVITO's bonds depend on which of the two atoms is listed first.)

    Attributes
    ----------
    volume: (n,) float64, Å^3, sums to the volume of the box.
    index: (n, 4) int64, numbers of faces with 3, 4, 5 and 6 edges.
    n_faces: (n,) int64, number of counted faces of any order, OVITO's coordination.
    neighbours: (2, n_edges) int64, (centre, neighbour), sorted by centre, then by neighbour. Each
        pair stands in both directions, and once for each image that shares a face; in very small
        boxes an atom can be its own neighbour.
    vector: (n_edges, 3) float64, Å, from the centre to that image of the neighbour.
    area: (n_edges,) float64, Å^2, area of the shared face.
    """

    volume: Float
    index: Int
    n_faces: Int
    neighbours: Int
    vector: Float
    area: Float


class _Faces(NamedTuple):
    """Faces of a whole tessellation, each once, before the threshold on their area."""

    centre: Int
    neighbour: Int
    vector: Float
    area: Float
    order: Int  # number of edges not shorter than the threshold
    volume: Float  # (n,)
    surface: Float  # (n,) area of all faces of each polyhedron


def voronoi(
    positions: ArrayLike,
    cell: ArrayLike,
    *,
    relative_face_threshold: float = 0.01,
    edge_threshold: float = 0.1,
    backend: str = "scipy",
) -> Voronoi:
    """Tessellate a configuration that is periodic in all three directions.

    Parameters
    ----------
    positions: (n, 3) Å, wrapped or not, n >= 4.
    cell: (3, 3) Å, rows are the cell vectors, right-handed, triclinic allowed.
    relative_face_threshold: faces up to this fraction of a polyhedron's surface do not count.
    edge_threshold: Å, shorter edges do not count.
    backend: ``"scipy"`` (Qhull, doi:10.1145/235815.235821, on the atoms and as many periodic
        images as are shown to suffice) or ``"ovito"`` (Voro++, doi:10.1063/1.3215722, an extra:
        some three times faster in orthogonal boxes, no faster in sheared ones, and unable where
        an atom is its own neighbour).

    Raises
    ------
    DataError: unusable cell, fewer than four atoms, positions that are not finite, or two atoms
        in one place.
    StudyError: unknown backend, or a threshold out of range. MissingExtra: OVITO is not there.
    EngineError: the tessellation failed or does not fill the box.
    """
    engines = {"scipy": _scipy, "ovito": _ovito}
    if backend not in engines:
        raise StudyError(f"unknown Voronoi backend {backend!r}{did_you_mean(backend, engines)}")
    if not 0 <= relative_face_threshold < 1:
        raise StudyError(f"relative_face_threshold is {relative_face_threshold}; it must be in [0, 1)")
    if not 0 <= edge_threshold < np.inf:
        raise StudyError(f"edge_threshold is {edge_threshold} Å; it must be a length, 0 or more")
    frame = _checked_cell(cell)
    fractions = _wrapped(positions, frame)
    _refuse_coincident(fractions, frame)
    faces = engines[backend](fractions, frame, edge_threshold)
    error = abs(float(faces.volume.sum()) / float(np.linalg.det(frame)) - 1)
    if not error < VOLUME_TOLERANCE:
        raise EngineError(f"the Voronoi volumes of {backend} differ from the box by {error:.1e} of it")
    return _count(faces, relative_face_threshold)


def icosahedral(index: Int, n_faces: Int | None = None) -> Bool:
    """(n,) bool: is the polyhedron <0,0,12,0>, the signature of a full icosahedron?

    The index says nothing about faces with seven or more edges. Euler's formula excludes them in
    a whole polyhedron with twelve pentagons, but not in one that lost small faces or edges to the
    thresholds: give ``n_faces`` (n,), :attr:`Voronoi.n_faces`, and those are not icosahedral.

    >>> icosahedral(np.array([[0, 0, 12, 0], [0, 2, 8, 2]]), np.array([12, 12])).tolist()
    [True, False]
    """
    found: Bool = (np.asarray(index) == (0, 0, 12, 0)).all(axis=1)
    return found if n_faces is None else found & (np.asarray(n_faces) == 12)


def _checked_cell(cell: ArrayLike) -> Float:
    frame = np.array(cell, dtype=np.float64)
    if frame.shape != (3, 3) or not np.isfinite(frame).all():
        raise DataError(f"the cell must be three finite vectors, shape (3, 3), not {frame.tolist()}")
    volume = float(np.linalg.det(frame))
    if volume <= 1e-12 * float(np.prod(np.linalg.norm(frame, axis=1))):
        raise DataError(
            f"the cell has the volume {volume:.6g} Å^3; its vectors (rows) must span a positive volume: "
            "none zero, not in one plane, right-handed"
        )
    return frame


def _wrapped(positions: ArrayLike, cell: Float) -> Float:
    """Positions in units of the cell vectors, in [0, 1)."""
    points = np.array(positions, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise DataError(f"positions must have the shape (n, 3), not {points.shape}")
    if len(points) < 4:
        raise DataError(f"a Voronoi tessellation needs at least 4 atoms in the box, not {len(points)}")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise DataError(f"the position of atom {bad[0] + 1} is {points[bad[0]].tolist()}; it must be finite")
    fractions: Float = points @ np.linalg.inv(cell)
    fractions -= np.floor(fractions)
    fractions[fractions >= 1.0] = 0.0  # floor leaves 1 - 1e-17 at exactly 1
    return fractions


def _refuse_coincident(fractions: Float, cell: Float) -> None:
    from scipy.spatial import cKDTree

    reach = COINCIDENT / float(np.linalg.svd(cell, compute_uv=False)[-1])
    near, who = cKDTree(fractions, boxsize=1.0).query(fractions, k=2, distance_upper_bound=reach)
    for atom in np.flatnonzero(np.isfinite(near[:, 1])):
        other = who[atom, 0] if who[atom, 0] != atom else who[atom, 1]
        delta = fractions[other] - fractions[atom]
        apart = float(np.linalg.norm((delta - np.round(delta)) @ cell))
        if apart < COINCIDENT:
            raise DataError(
                f"atoms {atom + 1} and {other + 1} are in one place ({apart:.1e} Å apart); list each once"
            )


def _scipy(fractions: Float, cell: Float, edge_threshold: float) -> _Faces:
    """Qhull on the atoms and a shell of images, widened until it is shown to suffice."""
    inverse: Float = np.linalg.inv(cell).astype(np.float64)
    heights: Float = 1.0 / np.linalg.norm(inverse, axis=0).astype(np.float64)
    # No point is farther from an atom than half the sum of the cell vectors' lengths, so that
    # images within the whole sum always suffice.
    enough = float(np.linalg.norm(cell, axis=1).sum())
    margin = min(FIRST_MARGIN * float(np.linalg.det(cell) / len(fractions)) ** (1 / 3), enough)
    while True:
        images = len(fractions) * float(np.prod(1 + 2 * margin / heights))
        if images > MOST_IMAGES + 30 * len(fractions):
            size = " x ".join(f"{height:.3g}" for height in heights)
            raise DataError(
                f"{len(fractions)} atoms in a box of {size} Å are too few to tessellate: they would need "
                f"{images:.0e} periodic images; give a box of a more even shape"
            )
        points, owner, shift = _with_images(fractions, margin / heights)
        diagram = _qhull((points - 0.5) @ cell, len(fractions))
        lack = _missing_margin(diagram, inverse, heights, margin)
        if lack <= 0 or margin >= enough:
            break
        margin = min(margin + min(1.01 * lack, 0.5 * margin), enough)
    return _faces_of(diagram, owner, shift, len(fractions), edge_threshold)


def _with_images(fractions: Float, margin: Float) -> tuple[Float, Int, Int]:
    """Atoms, then images within ``margin`` of the box (m, 3), whose they are (m,), shifts (m, 3)."""
    points, owner, shift = fractions, np.arange(len(fractions)), np.zeros(fractions.shape, np.int64)
    for axis in range(3):
        reach = int(np.ceil(margin[axis]))
        parts: list[tuple[Float, Int, Int]] = []
        for step in sorted(range(-reach, reach + 1), key=abs):
            moved = points[:, axis] + step
            keep = (moved >= -margin[axis]) & (moved <= 1 + margin[axis])
            unit = step * np.eye(3, dtype=np.int64)[axis]
            parts.append((points[keep] + unit, owner[keep], shift[keep] + unit))
        points, owner, shift = (np.concatenate(part) for part in zip(*parts, strict=True))
    return points, owner, shift


class _Diagram(NamedTuple):
    """The ridges (faces) of a Qhull tessellation that touch one of the atoms in the box."""

    points: Float  # (m, 3) Å, atoms first, origin in the middle of the box
    vertices: Float  # (n_vertices, 3) Å
    pairs: Int  # (n_ridges, 2) points on either side, the lower first: an atom of the box
    corners: Int  # vertices of all ridges in turn, each in ring order; -1 is at infinity
    starts: Int  # (n_ridges + 1,) bounds of each ridge in corners


def _qhull(points: Float, n: int) -> _Diagram:
    from scipy.spatial import QhullError
    from scipy.spatial import Voronoi as Tessellation

    try:
        found = Tessellation(points)
    except QhullError as error:
        raise EngineError(f"Qhull could not tessellate the configuration: {error}") from error
    pairs = np.sort(found.ridge_points, axis=1).astype(np.int64)
    wanted = pairs[:, 0] < n
    rings = list(compress(found.ridge_vertices, wanted.tolist()))
    lengths = np.fromiter(map(len, rings), dtype=np.int64, count=len(rings))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    corners = np.fromiter(chain.from_iterable(rings), dtype=np.int64, count=int(starts[-1]))
    return _Diagram(points, found.vertices, pairs[wanted], corners, starts)


def _missing_margin(diagram: _Diagram, inverse: Float, heights: Float, margin: float) -> float:
    """By how much (Å) the shell of images is too thin; not above 0 if it suffices.

    A cell is right if nothing is closer to any of its vertices than its atom. The images left out
    lie outside the box widened by ``margin``: none is closer if the sphere about the vertex
    through the atom stays within that box. An open cell lacks infinitely much.
    """
    if (diagram.corners < 0).any():
        return float("inf")
    atom = np.zeros(len(diagram.vertices), dtype=np.int64)
    atom[diagram.corners] = np.repeat(diagram.pairs[:, 0], np.diff(diagram.starts))
    used = np.unique(diagram.corners)
    vertices = diagram.vertices[used]
    radius = np.linalg.norm(vertices - diagram.points[atom[used]], axis=1)
    beyond = (np.abs(vertices @ inverse) - 0.5) * heights
    return float((beyond.max(axis=1) + radius).max() - margin)


def _faces_of(diagram: _Diagram, owner: Int, shift: Int, n: int, edge_threshold: float) -> _Faces:
    """Area and order of the faces, and what they add up to."""
    first, second = diagram.pairs.T
    area, order = _polygons(diagram, edge_threshold)
    vector, neighbour = diagram.points[second] - diagram.points[first], owner[second]
    # A face through the boundary appears twice, once from either atom: keep one.
    x, y, z = shift[second].T
    upward = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    once = (first < neighbour) | ((first == neighbour) & upward)
    centre, neighbour, vector, area, order = (a[once] for a in (first, neighbour, vector, area, order))
    pyramid = area * np.linalg.norm(vector, axis=1) / 6  # on the face, with the atom at the top
    ends, twice = np.concatenate([centre, neighbour]), np.tile([pyramid, area], 2)
    volume, surface = (np.bincount(ends, each, n).astype(np.float64) for each in twice)
    return _Faces(centre, neighbour, vector, area, order, volume, surface)


def _polygons(diagram: _Diagram, edge_threshold: float) -> tuple[Float, Int]:
    """Area (n_ridges,) and number of edges (n_ridges,) that are long enough."""
    starts, corners = diagram.starts[:-1], diagram.vertices[diagram.corners]
    following = np.arange(1, len(corners) + 1)
    following[diagram.starts[1:] - 1] = starts
    edge = corners[following] - corners
    long_enough = np.einsum("ij,ij->i", edge, edge) >= edge_threshold**2
    order: Int = np.add.reduceat(long_enough.astype(np.int64), starts)
    arm = corners - np.repeat(corners[starts], np.diff(diagram.starts), axis=0)
    doubled = np.add.reduceat(np.cross(arm, edge), starts, axis=0)
    return np.linalg.norm(doubled, axis=1) / 2, order


def _ovito(fractions: Float, cell: Float, edge_threshold: float) -> _Faces:
    """OVITO's tessellation. Its own area threshold is off, to have it applied from both sides."""
    try:
        from ovito.data import DataCollection, Particles, SimulationCell
        from ovito.modifiers import VoronoiAnalysisModifier
    except ImportError as error:
        raise MissingExtra("ovito", "ovito") from error
    positions = fractions @ cell
    data = DataCollection()
    box = SimulationCell(pbc=(True, True, True))
    box[:, :3] = cell.T
    particles = Particles(count=len(positions))
    particles.create_property("Position", data=positions)
    data.objects.extend([box, particles])
    modifier = VoronoiAnalysisModifier(generate_bonds=True, generate_polyhedra=True)
    modifier.edge_threshold = edge_threshold
    try:
        data.apply(modifier)
    except RuntimeError as error:
        raise EngineError(f"{error} (backend 'scipy' takes boxes of any size)") from error
    mesh, bonds = data.surfaces["voronoi-polyhedra"], data.particles.bonds
    # Either side of a face with at least three edges names the same bond: keep one side.
    bond, once = np.unique(np.asarray(mesh.faces["Bond Index"]), return_index=True)
    bond, once = bond[bond >= 0], once[bond >= 0]
    centre, neighbour = np.asarray(bonds["Topology"])[bond].astype(np.int64).T
    image = np.asarray(bonds["Periodic Image"])[bond]
    return _Faces(
        centre,
        neighbour,
        positions[neighbour] - positions[centre] + image @ cell,
        np.array(mesh.faces["Area"])[once],
        np.asarray(mesh.faces["Voronoi Order"])[once].astype(np.int64),
        np.array(data.particles["Atomic Volume"]),
        np.array(mesh.regions["Surface Area"]),
    )


def _count(faces: _Faces, relative_face_threshold: float) -> Voronoi:
    """Apply the threshold on the areas: indices by either side alone, neighbours by the union."""
    n = len(faces.volume)
    whole = faces.order >= 3
    sides = (faces.centre, faces.neighbour)
    counts = [whole & (faces.area > relative_face_threshold * faces.surface[side]) for side in sides]
    owners = np.concatenate([side[count] for side, count in zip(sides, counts, strict=True)])
    orders = np.concatenate([faces.order[count] for count in counts])
    index = np.stack([np.bincount(owners[orders == k], minlength=n) for k in (3, 4, 5, 6)], axis=1)
    edge = counts[0] | counts[1]
    forward = np.stack([faces.centre[edge], faces.neighbour[edge]])
    neighbours = np.concatenate([forward, forward[::-1]], axis=1)
    by_centre = np.argsort(neighbours[0] * n + neighbours[1], kind="stable")
    return Voronoi(
        volume=faces.volume,
        index=index.astype(np.int64),
        n_faces=np.bincount(owners, minlength=n).astype(np.int64),
        neighbours=neighbours[:, by_centre],
        vector=np.concatenate([faces.vector[edge], -faces.vector[edge]])[by_centre],
        area=np.tile(faces.area[edge], 2)[by_centre],
    )
