"""One edge dislocation in a rectangle by finite elements: an oracle that shares nothing with vitrine.

The field is that in the infinite medium plus a smooth correction, which carries minus the tractions of the
former on the sides and minus its normal displacement on the ends. Only the correction is on the mesh:
quadratic quads, graded towards the dislocation, because the correction varies over the distance to the
nearest image, which is no less than the distance to the nearest face. Plane strain; nm, MPa.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import skfem
from scipy.interpolate import RectBivariateSpline
from skfem.models.elasticity import lame_parameters, linear_elasticity

YOUNG = 70e3
POISSON = 0.33
BURGERS = 0.25

FINENESS = 0.12
"""Edge of an element over its distance to the dislocation: the error falls with its cube."""


@dataclass(frozen=True)
class Edge:
    """An edge dislocation in the infinite medium.

    Its Burgers vector ``sign * BURGERS`` points along ``angle`` from x and is the jump over a
    counter-clockwise circuit; the displacement jumps across the half-line that leaves it along ``cut`` [rad].
    """

    x: float
    y: float
    angle: float
    sign: float = 1.0
    cut: float = np.pi

    def stress(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(3, ...) sxx, syy, sxy: Hirth & Lothe, Theory of Dislocations (1982), chapter 3, rotated."""
        along, above = self._in_slip_frame(x, y)
        r4 = (along**2 + above**2) ** 2
        strength = self.sign * YOUNG / (2 * (1 + POISSON)) * BURGERS / (2 * np.pi * (1 - POISSON))
        s11 = -strength * above * (3 * along**2 + above**2) / r4
        s22 = strength * above * (along**2 - above**2) / r4
        s12 = strength * along * (along**2 - above**2) / r4
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.stack(
            [
                c * c * s11 + s * s * s22 - 2 * s * c * s12,
                s * s * s11 + c * c * s22 + 2 * s * c * s12,
                s * c * (s11 - s22) + (c * c - s * s) * s12,
            ]
        )

    def displacement(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(2, ...) ux, uy: as :meth:`stress`, but for a rigid motion."""
        along, above = self._in_slip_frame(x, y)
        r2 = along**2 + above**2
        turned = -np.exp(-1j * self.cut) * ((x - self.x) + 1j * (y - self.y))
        scale = self.sign * BURGERS / (2 * np.pi)
        u1 = scale * (np.angle(turned) + along * above / (2 * (1 - POISSON) * r2))
        u2 = -scale * (
            (1 - 2 * POISSON) / (4 * (1 - POISSON)) * np.log(r2 / BURGERS**2)
            + (along**2 - above**2) / (4 * (1 - POISSON) * r2)
        )
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.stack([c * u1 - s * u2, s * u1 + c * u2])

    def _in_slip_frame(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return c * (x - self.x) + s * (y - self.y), -s * (x - self.x) + c * (y - self.y)


class FiniteElements:
    """The field of ``edge``: free sides, ends that moved by ``strain`` y and carry no shear."""

    def __init__(
        self, width: float, height: float, edge: Edge, strain: float = 0.0, fineness: float = FINENESS
    ):
        self.edge = edge
        nearest = min(edge.x, width - edge.x, edge.y, height - edge.y)
        # from the dislocation, where elements are small: round-off of a place against the edge of an element
        across = graded(width, edge.x, nearest, width / 2, fineness) - edge.x
        along = graded(height, edge.y, nearest, width / 2, fineness) - edge.y
        mesh = skfem.MeshQuad.init_tensor(across, along).with_boundaries(
            {
                "left": lambda p: p[0] == across[0],
                "right": lambda p: p[0] == across[-1],
                "bottom": lambda p: p[1] == along[0],
                "top": lambda p: p[1] == along[-1],
            }
        )
        basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad2()))
        solution = self._solve(basis, strain)
        self._displacement = [
            through(nodes(across), nodes(along), basis.doflocs[:, axis::2], solution[axis::2])
            for axis in range(2)
        ]
        # at the 2 x 2 Gauss points, where quadratic quads are an order better than elsewhere
        points = skfem.Basis(mesh, basis.elem, intorder=3)
        places = points.global_coordinates()
        self._stress = [
            through(gauss_points(across), gauss_points(along), places, component)
            for component in stress_of(points.interpolate(solution).grad)
        ]

    def stress(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(3, n) sxx, syy, sxy of the whole field."""
        return self.edge.stress(x, y) + self.corrective_stress(x, y)

    def displacement(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(2, n) ux, uy of the whole field, up to a translation along x."""
        return self.edge.displacement(x, y) + self._at(self._displacement, x, y)

    def corrective_stress(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(3, n) sxx, syy, sxy without the field in the infinite medium."""
        return self._at(self._stress, x, y)

    def _at(self, splines: list[RectBivariateSpline], x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([spline(x - self.edge.x, y - self.edge.y, grid=False) for spline in splines])

    def _solve(self, basis: skfem.Basis, strain: float) -> np.ndarray:
        stiffness = linear_elasticity(*lame_parameters(YOUNG, POISSON)).assemble(basis)
        ends = np.concatenate([basis.get_dofs(end).all(["u^2"]) for end in ("bottom", "top")])
        x, y = basis.doflocs[:, ends] + np.array([[self.edge.x], [self.edge.y]])
        given = np.zeros(basis.N)
        given[ends] = strain * y - self.edge.displacement(x, y)[1]
        against_translation = basis.get_dofs("bottom").all(["u^1"])[:1]
        fixed = np.concatenate([ends, against_translation])
        solver = skfem.solver_direct_scipy(permc_spec="MMD_AT_PLUS_A")
        return skfem.solve(*skfem.condense(stiffness, self._loads(basis), x=given, D=fixed), solver=solver)

    def _loads(self, basis: skfem.Basis) -> np.ndarray:
        """Minus the tractions of the field in the infinite medium, but for the normal ones on the ends."""
        loads = np.zeros(basis.N)
        for face, normal in (("left", -1.0), ("right", 1.0), ("bottom", -1.0), ("top", 1.0)):

            def work(v: Any, at: Any, face: str = face, normal: float = normal) -> Any:
                sxx, _, sxy = self.edge.stress(at.x[0] + self.edge.x, at.x[1] + self.edge.y)
                if face in ("left", "right"):
                    return -normal * (sxx * v[0] + sxy * v[1])
                return -normal * sxy * v[0]

            faces = skfem.FacetBasis(basis.mesh, basis.elem, facets=face, intorder=12)
            loads += skfem.LinearForm(work).assemble(faces)
        return loads


def stress_of(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """sxx, syy, sxy of a displacement gradient (2, 2, ...) in plane strain."""
    first, shear = lame_parameters(YOUNG, POISSON)
    volume = first * (gradient[0, 0] + gradient[1, 1])
    return (
        volume + 2 * shear * gradient[0, 0],
        volume + 2 * shear * gradient[1, 1],
        shear * (gradient[0, 1] + gradient[1, 0]),
    )


def through(across: np.ndarray, along: np.ndarray, places: Any, values: np.ndarray) -> RectBivariateSpline:
    """The cubic spline through values at ``places`` (2, ...), which are all those of a grid in some order."""
    column, row = (
        np.searchsorted((line[1:] + line[:-1]) / 2, place)
        for line, place in zip((across, along), places, strict=True)
    )
    table = np.empty((len(across), len(along)))
    table[column, row] = values
    return RectBivariateSpline(across, along, table)


def nodes(edges: np.ndarray) -> np.ndarray:
    """Ends and middle of every interval."""
    return np.sort(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))


def gauss_points(edges: np.ndarray) -> np.ndarray:
    """The two Gauss points of every interval."""
    half = np.diff(edges) / 2
    return np.ravel((edges[:-1] + half)[:, None] + half[:, None] * np.array([-1, 1]) / np.sqrt(3))


def graded(length: float, centre: float, nearest: float, farthest: float, fineness: float) -> np.ndarray:
    """Edges of elements from 0 to ``length``, each ``fineness`` times its distance to ``centre``.

    The distance counts as ``nearest`` or ``farthest`` where it is less or more.
    """
    fine = np.linspace(0.0, length, 40_001)
    density = 1 / (fineness * np.clip(np.abs(fine - centre), nearest, farthest))
    steps = np.diff(fine) * (density[1:] + density[:-1]) / 2
    count = np.concatenate([[0.0], np.cumsum(steps)])
    edges = np.interp(np.linspace(0.0, count[-1], int(np.ceil(count[-1])) + 1), count, fine)
    edges[[0, -1]] = 0.0, length
    return edges
