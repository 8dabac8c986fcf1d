"""Elastic constants of an isotropic crystal with dislocations, in nm and MPa; light, for settings to ask."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Elastic:
    """Isotropic elastic constants and the length of the Burgers vector, aluminium by default.

    Attributes
    ----------
    young: Young's modulus [MPa].
    poisson: Poisson's ratio.
    burgers: length of the Burgers vector [nm].
    """

    young: float = 70e3
    poisson: float = 0.33
    burgers: float = 0.25

    @property
    def shear(self) -> float:
        """Shear modulus [MPa]."""
        return self.young / (2 * (1 + self.poisson))

    @property
    def axial(self) -> float:
        """E / (1 - nu^2), axial stress per axial strain in plane strain with free sides [MPa]."""
        return self.young / (1 - self.poisson**2)

    @property
    def line(self) -> float:
        """mu / (2 pi (1 - nu)) [MPa]."""
        return self.shear / (2 * math.pi * (1 - self.poisson))

    @property
    def strength(self) -> float:
        """mu b / (2 pi (1 - nu)): the shear stress of an edge dislocation times distance [MPa nm]."""
        return self.line * self.burgers


ALUMINIUM = Elastic()
r"""As in the model of doi:10.1088\/0965-0393\/3\/5\/008."""
