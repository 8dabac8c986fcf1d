"""Who is whose neighbour in a plane: the k nearest, Delaunay's triangulation, all within a distance.

A bond stands in both directions, so that messages can go either way and every directed bond has its
reverse (:func:`reverse_of`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from vitrine.errors import DataError
from vitrine.physics.plane import Plane
from vitrine.samples import Float, Int

Rule = Literal["nearest", "voronoi"]
"""Who counts as neighbour: the k nearest, or those whose Voronoi cells touch."""


_FIRST_MARGIN = 4.0
"""First width of the rim of images in units of (area per particle)^(1/2): enough for a liquid."""


class Bonds(NamedTuple):
    """Directed bonds, sorted by centre, then by neighbour; each stands in both directions.

    Attributes
    ----------
    edges: (2, n_edges) int64, centre and neighbour.
    vectors: (n_edges, 2) float64, from the centre to the neighbour, in the unit of the positions.
    """

    edges: Int
    vectors: Float


def nearest(plane: Plane, k: int) -> tuple[Int, Float]:
    """The k nearest neighbours of each particle, nearest first; i of j does not make j of i.

    Neighbours at equal distance (a perfect crystal) come in no particular order.

    Returns
    -------
    (n, k) int64 neighbours, (n, k, 2) float64 vectors to them.

    Raises
    ------
    DataError: fewer than k others; two particles in one place; a periodic box so small that an image
        other than the nearest one could be among the k nearest.
    """
    from scipy.spatial import cKDTree

    n = len(plane)
    if n <= k:
        raise DataError(f"{plane.where} holds {n} particles; {k} nearest neighbours need at least {k + 1}")
    tree = cKDTree(plane.positions, boxsize=plane.lengths if plane.periodic else None)
    distance, found = tree.query(plane.positions, k + 1)
    if distance[:, 1].min() == 0.0:
        first = int(distance[:, 1].argmin())
        other = next(int(j) for j in found[first] if j != first)
        raise DataError(f"{plane.where}: particles {first + 1} and {other + 1} are in one place")
    neighbours = found[:, 1:].astype(np.int64)
    reach, half = float(distance[:, k].max()), float(plane.lengths.min()) / 2
    if plane.periodic and reach >= half:
        raise DataError(
            f"{plane.where}: the {k}th neighbour is at {reach:.4g}, beyond half the box ({half:.4g}), where "
            "a neighbour is no longer one image; take a larger box or fewer neighbours"
        )
    vectors = plane.positions[neighbours] - plane.positions[:, None]
    return neighbours, plane.shortest(vectors)


def nearest_bonds(plane: Plane, k: int) -> Bonds:
    """Bonds i-j where j is among the k nearest of i, or i among those of j.

    Raises
    ------
    DataError: see :func:`nearest`.
    """
    neighbours, _ = nearest(plane, k)
    n = len(plane)
    centre = np.repeat(np.arange(n), k)
    other = neighbours.ravel()
    keys = np.unique(np.concatenate([centre * n + other, other * n + centre]))
    edges = np.stack([keys // n, keys % n])
    return Bonds(edges, plane.shortest(plane.positions[edges[1]] - plane.positions[edges[0]]))


def voronoi_bonds(plane: Plane) -> Bonds:
    """Bonds between particles whose Voronoi cells share an edge (Delaunay), across a periodic boundary.

    In a window the particles at its rim are also joined along the convex hull. Four particles on one
    circle (a square lattice) get one of the two diagonals.

    Raises
    ------
    DataError: fewer than three particles, all in a line, two in one place; or a periodic box so small
        that two particles are neighbours through more than one image.
    """
    n = len(plane)
    if n < 3:
        raise DataError(f"{plane.where} holds {n} particles; a Voronoi tessellation needs three at least")
    if not plane.periodic:
        centre, other = _sides(_delaunay(plane.positions, np.arange(n), plane))
        order = np.argsort(centre * n + other)
        edges = np.stack([centre[order], other[order]])
        return Bonds(edges, plane.positions[edges[1]] - plane.positions[edges[0]])
    points, owner, triangles = _periodic_triangles(plane)
    centre, other = _sides(triangles)
    first = centre < n
    centre, image = centre[first], other[first]
    other = owner[image]
    shift = np.rint((points[image] - plane.positions[other]) / plane.lengths).astype(np.int64)
    # on a lattice, where diagonals are a matter of round-off, an image may have chosen another one
    rows = np.column_stack([centre, other, shift])
    rows = np.unique(np.concatenate([rows, np.column_stack([other, centre, -shift])]), axis=0)
    edges = np.ascontiguousarray(rows[:, :2].T)
    if (edges[0] == edges[1]).any() or (np.diff(edges[0] * n + edges[1]) == 0).any():
        raise DataError(
            f"{plane.where}: two of its {n} particles are Voronoi neighbours through more than one image; a "
            "larger box is needed"
        )
    return Bonds(edges, plane.positions[edges[1]] + rows[:, 2:] * plane.lengths - plane.positions[edges[0]])


def bonds_of(plane: Plane, rule: Rule, k: int) -> Bonds:
    """:func:`voronoi_bonds`, or :func:`nearest_bonds` of the k nearest."""
    return voronoi_bonds(plane) if rule == "voronoi" else nearest_bonds(plane, k)


def reverse_of(edges: Int) -> Int:
    """``(n_edges,) int64``: the position of each directed edge's reverse among ``edges``.

    >>> reverse_of(np.array([[0, 0, 1, 2], [1, 2, 0, 0]]))
    array([2, 3, 0, 1])

    Parameters
    ----------
    edges: (2, n_edges) int64 (centre, neighbour), each once, in any order.

    Raises
    ------
    DataError: an edge without its reverse.
    """
    if edges.shape[1] == 0:
        return np.zeros(0, dtype=np.int64)
    n = int(edges.max()) + 1
    there, back = edges[0] * n + edges[1], edges[1] * n + edges[0]
    order = np.argsort(there, kind="stable")
    place = np.minimum(np.searchsorted(there[order], back), len(order) - 1)
    found: Int = order[place].astype(np.int64)
    lonely = np.flatnonzero(there[found] != back)
    if len(lonely):
        i, j = edges[:, lonely[0]]
        raise DataError(f"the edge from {i} to {j} has no reverse ({len(lonely):,} such edges)")
    return found


def pairs_within(plane: Plane, reach: float) -> tuple[Int, Float]:
    """All pairs up to a distance, each once: ``(m, 2) int64`` and their vectors ``(m, 2) float64``.

    Raises
    ------
    DataError: more than half the box, where a pair has several images (and a window few pairs).
    """
    from scipy.spatial import cKDTree

    half = float(plane.lengths.min()) / 2
    if reach > half:
        raise DataError(
            f"{plane.where}: r_max = {reach:g} is beyond half the box ({half:.4g}); set representation.r_max "
            f"to at most {np.floor(half * 100) / 100:g}"
        )
    tree = cKDTree(plane.positions, boxsize=plane.lengths if plane.periodic else None)
    pairs = tree.query_pairs(reach, output_type="ndarray").astype(np.int64)
    return pairs, plane.shortest(plane.positions[pairs[:, 1]] - plane.positions[pairs[:, 0]])


def _with_images(plane: Plane, margin: float) -> tuple[Float, Int]:
    """The particles, then the images of those within ``margin`` of the box; and whose each one is."""
    points, owner = [plane.positions], [np.arange(len(plane))]
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            if a == b == 0:
                continue
            moved = plane.positions + plane.lengths * (a, b)
            near = ((moved >= -margin) & (moved <= plane.lengths + margin)).all(axis=1)
            points.append(moved[near])
            owner.append(np.flatnonzero(near))
    return np.concatenate(points), np.concatenate(owner)


def _periodic_triangles(plane: Plane) -> tuple[Float, Int, Int]:
    """Points with their images, whose each one is, and the triangles that have a corner in the box."""
    margin, full = _FIRST_MARGIN * np.sqrt(plane.area / len(plane)), float(plane.lengths.min())
    while True:
        margin = min(margin, full)
        points, owner = _with_images(plane, margin)
        triangles = _delaunay(points, owner, plane)
        own = triangles[(triangles < len(plane)).any(axis=1)]
        # then no image that was left out lies in the circle about one of these triangles
        if 2.0 * _largest_radius(points, own) <= margin:
            return points, owner, own
        if margin == full:
            raise DataError(
                f"{plane.where}: its box of {plane.lengths[0]:.4g} by {plane.lengths[1]:.4g} is too small "
                f"for Voronoi neighbours of {len(plane)} particles"
            )
        margin *= 2.0


def _delaunay(points: Float, owner: Int, plane: Plane) -> Int:
    """(n_triangles, 3) int64."""
    from scipy.spatial import Delaunay, QhullError

    try:
        found = Delaunay(points)
    except QhullError as error:
        raise DataError(f"{plane.where}: its particles cannot be triangulated; are all in a line?") from error
    if len(found.coplanar):
        pair = sorted(int(i) + 1 for i in owner[found.coplanar[0, [0, 2]]])
        raise DataError(f"{plane.where}: particles {pair[0]} and {pair[1]} are in one place")
    triangles: Int = found.simplices.astype(np.int64)
    return triangles


def _largest_radius(points: Float, triangles: Int) -> float:
    """Of the circles about the triangles: product of the sides over four times the area."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    u, v, w = b - a, c - b, a - c
    double = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    sides = np.prod([np.hypot(*side.T) for side in (u, v, w)], axis=0)
    with np.errstate(divide="ignore"):
        return float((sides / (2.0 * double)).max())


def _sides(triangles: Int) -> tuple[Int, Int]:
    """Both directions of all sides, each once."""
    corners = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    n = int(triangles.max()) + 1
    keys = np.unique(np.concatenate([corners @ [n, 1], corners @ [1, n]]))
    return keys // n, keys % n
