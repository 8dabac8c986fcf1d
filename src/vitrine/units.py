"""Units: annotated types for the edges, conversion factors for the engines.

One unit system inside each engine: LAMMPS metal units (Å, eV, ps, K, bar) for metallic
glasses, reduced Lennard-Jones units (σ, ε, τ) for mixtures in the plane, nm, MPa and ns for dislocations.
Factors are the 2019 SI values (CODATA 2018, doi:10.1103/RevModPhys.93.025010).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Kelvin = Annotated[float, Field(gt=0, description="K")]
KelvinPerSecond = Annotated[float, Field(gt=0, description="K/s")]
Picoseconds = Annotated[float, Field(gt=0, description="ps")]
Angstrom = Annotated[float, Field(gt=0, description="Å")]
SquareAngstrom = Annotated[float, Field(gt=0, description="Å^2")]
Strain = Annotated[float, Field(gt=0, lt=1, description="engineering shear strain, 1")]
EvPerAngstrom = Annotated[float, Field(gt=0, description="eV/Å")]

ReducedTemperature = Annotated[float, Field(gt=0, description="ε/k_B")]
ReducedTime = Annotated[float, Field(gt=0, description="τ")]
ReducedLength = Annotated[float, Field(gt=0, description="σ")]
ReducedEnergy = Annotated[float, Field(gt=0, description="ε")]
ReducedDensity = Annotated[float, Field(gt=0, description="1/σ²")]

Micrometres = Annotated[float, Field(gt=0, description="µm")]
Nanometres = Annotated[float, Field(gt=0, description="nm")]
Nanoseconds = Annotated[float, Field(gt=0, description="ns")]
Megapascals = Annotated[float, Field(gt=0, description="MPa")]
Percent = Annotated[float, Field(gt=0, le=50, description="%")]

EV_PER_CUBIC_ANGSTROM_IN_GPA = 160.2176634
"""1 eV/Å^3 in GPa."""
