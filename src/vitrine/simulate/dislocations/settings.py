"""Settings of the crystal, its dislocations and their integration: what each is, from where, its effect.

Q: Yang et al. 2020, doi:10.1038/s41598-020-65157-z. R: usual in the model of Van der Giessen & Needleman
1995, doi:10.1088/0965-0393/3/5/008, and Papanikolaou, Song & Van der Giessen 2017, arXiv:1511.04613. T:
chosen by trial, see the page on dislocations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from vitrine.parts import Part
from vitrine.physics.elastic import Elastic
from vitrine.units import Megapascals, Nanometres, Nanoseconds

if TYPE_CHECKING:
    from vitrine.simulate.dislocations.arrays import Model, Specimen
    from vitrine.simulate.dislocations.specimen import Slip

MOST_DISLOCATIONS = 100_000


class Crystal(Part):
    """Settings that every trajectory shares; the loading stands in the source that derives from it."""

    aspect: float = Field(
        4.0,
        ge=2.5,
        le=20,
        description="height over width, ratio (Q, from pictures); taller ones hold more sources",
    )
    slip_angle: float = Field(
        30.0,
        ge=20,
        le=70,
        description="degrees between slip planes and load (Q); with two systems on both sides",
    )
    young: float = Field(
        70.0,
        gt=0,
        le=2000,
        description="Young's modulus, GPa (R, aluminium); all stresses of dislocations scale with it",
    )
    poisson: float = Field(
        0.33, gt=-1, lt=0.5, description="Poisson's ratio (R); dislocations act on each other as 1 / (1 - nu)"
    )
    burgers: Nanometres = Field(
        0.25,
        le=2,
        description="nm, length of the Burgers vector (R); a crossing lengthens the crystal by 0.87 of it",
    )
    drag: float = Field(
        1e-4,
        gt=0,
        le=1,
        description="Pa s, force per length and velocity on a gliding dislocation (R); more is slower",
    )
    velocity_cap: float = Field(
        200.0,
        gt=0,
        le=10_000,
        description="m/s, no dislocation is faster (T); from 50 to 1000 flow stress stays",
    )
    plane_spacing: Nanometres = Field(
        2.5, description="nm between slip planes, 10 Burgers vectors (R); wider ones pass more easily"
    )
    source_density: float = Field(60.0, ge=0, le=1e5, description="sources per µm^2 (R); higher is weaker")
    source_count: Literal["fixed", "poisson"] = Field(
        "fixed",
        description="fixed: the expected number of sources, at least one; poisson: drawn (R)",
    )
    source_strength: Megapascals = Field(
        50.0, description="MPa, mean resolved stress that makes a dipole (R); yield begins at 2.3 times it"
    )
    source_spread: float = Field(
        0.1, ge=0, le=1, description="relative standard deviation of strengths (R); more rounds the yield"
    )
    nucleation_time: Nanoseconds = Field(
        10.0, description="ns that this stress must last (R); longer strengthens at high rates"
    )
    surface_density: float = Field(
        0.0,
        ge=0,
        le=1e4,
        description="sources per µm of the sides, each makes single dislocations; none by default",
    )
    surface_strength: Megapascals = Field(
        100.0, description="MPa, mean strength of those sources (T), as source_strength"
    )
    obstacles_per_source: float = Field(
        8.0, ge=0, le=1000, description="obstacles for each source, ratio (R); without any no size effect"
    )
    obstacle_placement: Literal["source-planes", "random"] = Field(
        "source-planes",
        description="on the planes of the sources, which makes small crystals strong, or on any plane, which "
        "does not (T)",
    )
    obstacle_strength: Megapascals = Field(
        300.0, description="MPa, mean resolved stress that frees a pinned one (R); higher is stronger"
    )
    obstacle_spread: float = Field(
        0.2, ge=0, le=1, description="relative standard deviation of strengths (R)"
    )
    annihilation: Nanometres = Field(
        1.5, description="nm between opposite ones on a plane that vanish, 6 Burgers vectors (R)"
    )
    exit_distance: Nanometres = Field(
        1.0,
        description="nm from a side along the plane at which one leaves (T); the side pulls 780 MPa there",
    )
    core: Nanometres = Field(
        0.5, le=5, description="nm over which a dislocation's own field is softened (T); 1 % at 5 nm"
    )
    junction_strength: Megapascals = Field(
        300.0,
        description="MPa that part two on crossing planes that attract each other: they act on each other as "
        "if their cores were so wide that no more holds them together (T); none above 780",
    )
    strain_rate: float = Field(1e4, gt=0, le=1e8, description="1/s (R); a larger one strengthens")
    integrator: Literal["implicit", "explicit"] = Field(
        "implicit",
        description="linearly implicit steps, or explicit ones short against every pair, 200 times slower",
    )
    largest_step: Nanoseconds = Field(0.5, description="ns; longer ones delay sources")
    largest_move: Nanometres = Field(
        8.0, description="nm in a step, of any dislocation; smaller is slower and more exact"
    )
    tolerance: Nanometres = Field(
        1.0, description="nm, error of a step; with four times as much it is taken back"
    )
    stiff_radius: Nanometres = Field(
        150.0, description="nm within which pairs are treated implicitly; smaller shortens steps"
    )
    modes: int = Field(
        40,
        ge=8,
        le=400,
        description="Fourier modes of the smooth part of the image field; 10 times aspect leave 1e-5 MPa",
    )
    most_dislocations: int = Field(
        20_000, ge=100, le=MOST_DISLOCATIONS, description="more stop a trajectory as a runaway"
    )
    lowest_stress: float = Field(
        -100.0,
        le=0,
        description="MPa, a mean stress below it while loading stops a trajectory; one crossing takes "
        "E b / 4 width, 70 MPa at 62.5 nm",
    )

    @model_validator(mode="after")
    def _crystal_is_possible(self) -> Crystal:
        if self.plane_spacing < self.burgers:
            raise ValueError(
                f"plane_spacing: {self.plane_spacing:g} nm is below the Burgers vector, {self.burgers:g} nm; "
                "slip planes are at least that far apart"
            )
        if self.source_density == 0 and self.surface_density == 0:
            raise ValueError(
                "source_density and surface_density are both 0: nothing could ever slip; give one of them"
            )
        least = math.tan(math.radians(90 - self.slip_angle)) + 0.2
        if self.aspect < least:
            raise ValueError(
                f"aspect: slip planes {self.slip_angle:g}° from the load need at least {least:.2f} to run "
                f"from side to side, not {self.aspect:g}"
            )
        for name, least, of_what in (
            ("annihilation", 2 * self.burgers, "2 Burgers vectors"),
            ("exit_distance", self.core, "core"),
        ):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name}: {getattr(self, name):g} nm is below {of_what}, {least:g} nm; the field of a "
                    "single dislocation means nothing closer"
                )
        narrowest = self.elastic().strength / (self.source_strength * (1 + 3 * self.source_spread))
        if self.source_density > 0 and self.annihilation > max(0.5 * narrowest, 7 * self.burgers):
            raise ValueError(
                f"annihilation: {self.annihilation:g} nm is more than half a dipole at its birth, which is "
                f"{narrowest:.3g} nm wide at source_strength {self.source_strength:g} MPa"
            )
        if self.modes < 5 * self.aspect:
            raise ValueError(
                f"modes: {self.modes} leave stress on the sides of a crystal {self.aspect:g} times as high "
                f"as wide; at least 5 times aspect, {math.ceil(5 * self.aspect)}"
            )
        return self

    def widest_spacing(self, width: float) -> float:
        """``plane_spacing`` [nm] above which a crystal of this width [nm] may be without slip planes."""
        steep = math.radians(90 - self.slip_angle)
        return (self.aspect - math.tan(steep)) * width * math.cos(steep)

    def elastic(self) -> Elastic:
        """Elastic constants in MPa and nm."""
        return Elastic(1000 * self.young, self.poisson, self.burgers)

    def model(self, width: float) -> Model:
        """What the engine needs for a crystal of this width [nm]; units nm, MPa, ns."""
        from vitrine.physics.strip_far import WORTH_FROM
        from vitrine.simulate.dislocations.arrays import Model

        elastic = self.elastic()
        drag = 1000 * self.drag  # Pa s = 1e-6 MPa * 1e9 ns
        crossing = math.radians(2 * self.slip_angle)
        spread = 0.5 * elastic.strength * abs(math.cos(crossing)) / self.junction_strength
        return Model(
            width=width,
            height=self.aspect * width,
            axial=elastic.axial,
            line=elastic.line,
            burgers=self.burgers,
            mobility=self.burgers / drag,
            velocity_cap=self.velocity_cap,
            nucleation_time=self.nucleation_time,
            annihilation=self.annihilation,
            exit=self.exit_distance,
            core=self.core,
            junction_core=spread if spread > self.core else 0.0,
            rate=1e-9 * self.strain_rate,
            largest_step=self.largest_step,
            largest_move=self.largest_move,
            tolerance=self.tolerance,
            stiff_radius=self.stiff_radius,
            source_interval=self.largest_step,
            implicit=self.integrator == "implicit",
            far_from=float(WORTH_FROM),
            curve_step=1e-5,
            most_dislocations=self.most_dislocations,
            lowest_stress=self.lowest_stress,
        )

    def specimen(self, width: float, slip: Slip, seed: int) -> Specimen:
        """The crystal of a seed, ``width`` [nm]."""
        from vitrine.simulate.dislocations.specimen import make_specimen, slip_angles

        return make_specimen(
            width=width,
            height=self.aspect * width,
            angles=slip_angles(slip, self.slip_angle),
            plane_spacing=self.plane_spacing,
            source_density=1e-6 * self.source_density,
            source_count=self.source_count,
            source_strength=self.source_strength,
            source_spread=self.source_spread,
            surface_density=1e-3 * self.surface_density,
            surface_strength=self.surface_strength,
            obstacles_per_source=self.obstacles_per_source,
            obstacle_placement=self.obstacle_placement,
            obstacle_strength=self.obstacle_strength,
            obstacle_spread=self.obstacle_spread,
            line_strength=self.elastic().strength,
            seed=seed,
        )

    def crystal_settings(self) -> dict[str, Any]:
        """The settings of this class alone, JSON-able."""
        return self.model_dump(mode="json", include=set(Crystal.model_fields))
