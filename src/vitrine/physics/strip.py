"""The exact elastic field of edge dislocations in a rectangle with free sides and frictionless ends.

x in [0, width] runs across the load, y in [0, height] along it; plane strain, isotropic. The ends y = 0
and y = height have a given normal displacement and no shear, so they are mirror planes: the rectangle is a
strip with two free sides, periodic with 2 height. Each dislocation is a row in that strip, with its mirror
row, and with the half-plane image of both in the nearer side; what is then left on the far side is
smooth and is taken away mode by mode with an Airy function. No mesh. The infinite-medium field is that of
Hirth & Lothe, Theory of Dislocations (1982), the superposition that of Van der Giessen & Needleman,
doi:10.1088/0965-0393/3/5/008. Units: nm, MPa.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitrine.physics import strip_kernels as kernels
from vitrine.physics.elastic import ALUMINIUM, Elastic
from vitrine.samples import Float

MODES = 40
"""Fourier modes along y that clear the far side, for a height of four widths; more for slenderer strips."""


@dataclass(frozen=True)
class Dislocations:
    """Edge dislocations by place and Burgers vector, all (n,) float64 [nm]."""

    x: Float
    y: Float
    b_x: Float
    b_y: Float

    @classmethod
    def on_planes(cls, x: Float, y: Float, angle: Float, sign: Float, burgers: float) -> Dislocations:
        """With Burgers vectors ``sign * burgers`` along ``angle`` [rad] from x."""
        return cls(x, y, sign * burgers * np.cos(angle), sign * burgers * np.sin(angle))


@dataclass(frozen=True)
class Strip:
    """A rectangle of this width and height [nm].

    ``modes`` Fourier modes clear the sides; ``core`` [nm] softens the field of a dislocation at itself.
    """

    width: float
    height: float
    elastic: Elastic = ALUMINIUM
    modes: int = MODES
    core: float = 0.0

    def stress(self, found: Dislocations, x: Float, y: Float, mean_stress: float) -> Float:
        """(3, n_targets) sxx, syy, sxy [MPa] at the places ``x``, ``y`` (n_targets,) [nm].

        ``mean_stress`` is the mean axial stress over any section, E' (strain - plastic strain) [MPa]. At the
        place of a dislocation its own row contributes nothing, so that it is the stress that moves it.
        """
        x, y = np.ascontiguousarray(x, float), np.ascontiguousarray(y, float)
        theta, phi = np.zeros(len(x), complex), np.zeros(len(x), complex)
        a, b = self.gamma(found)
        size = (self.width, self.height)
        kernels.add_rows_in_full(found.x, found.y, a, b, x, y, *size, self.core, theta, phi)
        modes = self.mode_coefficients(found)
        kernels.add_modes(x, y, *size, modes, theta)
        kernels.add_modes_to_phi(x, y, *size, modes, phi)
        axial = self.uniform_stress(found, mean_stress)
        theta += 0.5 * axial
        phi += 0.25 * axial
        total, difference = 4 * phi.real, 2 * theta.real
        return np.stack([(total - difference) / 2, (total + difference) / 2, theta.imag])

    def mode_coefficients(self, found: Dislocations) -> Float:
        """(modes, 4) coefficients of the smooth field that clears the far sides."""
        tractions, modes = np.zeros((self.modes, 4)), np.zeros((self.modes, 4))
        kernels.side_tractions(found.x, found.y, *self.gamma(found), self.width, self.height, tractions)
        kernels.mode_coefficients(tractions, self.width, self.height, modes)
        return modes

    def uniform_stress(self, found: Dislocations, mean_stress: float) -> float:
        """The uniform axial stress that completes rows, images and modes [MPa]."""
        return float(
            kernels.uniform_stress(
                found.x, found.b_y, self.width, self.height, self.elastic.axial, mean_stress
            )
        )

    def gamma(self, found: Dislocations) -> tuple[Float, Float]:
        """Real and imaginary part of -i D (bx + i by) / 2, (n,) each [MPa nm]."""
        return self.elastic.line * found.b_y / 2, -self.elastic.line * found.b_x / 2


def resolved_shear(stress: Float, angle: Float | float) -> Float:
    """Shear stress (n,) [MPa] of ``stress`` (3, n) on slip planes along ``angle`` [rad] from x."""
    return np.asarray(
        (stress[1] - stress[0]) / 2 * np.sin(2 * np.asarray(angle))
        + stress[2] * np.cos(2 * np.asarray(angle))
    )
