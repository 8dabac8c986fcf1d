"""The source: trajectories of crystals of several widths, with a map for every prior and reload strain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from vitrine.samples import Samples
from vitrine.simulate.dislocations.settings import Crystal
from vitrine.simulate.dislocations.specimen import trajectory_id
from vitrine.strain_maps import StrainMap
from vitrine.tasks import Compute, Outcome, Task
from vitrine.units import Micrometres, Nanometres, Percent

ENGINE = 1
"""Raised whenever the engine gives another trajectory for equal settings."""
MOST_TRAJECTORIES = 100_000
LEAST_WIDTH, LARGEST_WIDTH = 0.03, 5.0
LEAST_STRAIN = 0.002
"""%: less than a few steps of loading"""
DIGITS = 6
"""of widths and strains, which names of trajectories and their legs tell apart"""


class DislocationDynamics(Crystal):
    """Load, branch off at every prior strain, unload to zero stress, load again; map what the reload did."""

    kind: Literal["dislocations"] = "dislocations"
    width: tuple[Micrometres, ...] = Field(
        (0.125,), min_length=1, description="µm, widths of the crystals (Q)"
    )
    slip: tuple[Literal["one", "two"], ...] = Field(
        ("two",), min_length=1, description="slip systems: one, or two on both sides of the load (Q)"
    )
    prior: tuple[Percent, ...] = Field(
        (0.1, 1.0, 10.0), min_length=1, description="%, strains from which it is unloaded (Q)"
    )
    reload: tuple[Percent, ...] = Field(
        (0.1, 1.0), min_length=1, description="%, strains of the reload, from zero stress; one map each (Q)"
    )
    drawn: int = Field(
        0,
        ge=0,
        le=20,
        description="further prior strains of each trajectory, drawn between the least and the largest of "
        "prior, evenly in the logarithm, one from each of as many equal parts",
    )
    maps: Literal["all", "shared", "drawn"] = Field(
        "all",
        description="which maps a study gets: of all prior strains, of those of prior alone, of the drawn",
    )
    seed: int = Field(1, ge=0, le=2**31, description="seed of the first trajectory; the next ones count up")
    trajectories: int = Field(
        1, ge=1, le=MOST_TRAJECTORIES, description="trajectories for each width and choice of slip"
    )
    pitch: Nanometres | None = Field(
        None, description="nm, edge of a pixel; by default 2 nm, and width / 250 for wide crystals"
    )
    frame_step: Percent = Field(0.05, description="% strain between two kept frames of the dislocations")
    movie: bool = Field(False, description="also write an animation of the first trajectory (.gif)")
    compact: int | None = Field(
        None,
        ge=8,
        le=1000,
        description="pixels across: the file gets strain along the load averaged to at most so many, and "
        "curves, a hundredth of the bytes; a study reads it as released-dislocations",
    )

    yields: ClassVar[str] = "maps"
    summary: ClassVar[str] = "2-D discrete dislocation dynamics of a loaded crystal, maps of its reload"
    not_determining: ClassVar[frozenset[str]] = frozenset(
        {"width", "slip", "seed", "trajectories", "movie", "maps", "compact"}
    )
    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"width": (0.0625,), "slip": ("one", "two"), "prior": (0.1, 1.0), "trajectories": 2},
        "demo": {"width": (0.0625, 0.125), "slip": ("one", "two"), "trajectories": 20},
        "laptop": {"width": (0.0625, 0.125, 0.25, 0.5), "slip": ("one", "two"), "trajectories": 20},
        "paper": {
            "width": (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0),
            "slip": ("one", "two"),
            "trajectories": 51,
        },
    }
    """Settings by the name of a scale: seconds, minutes, an hour or more, and what the study did."""

    @model_validator(mode="after")
    def _loading_is_possible(self) -> DislocationDynamics:
        for name in ("width", "slip", "prior", "reload"):
            values = getattr(self, name)
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{name}: {twice[0]!r} stands twice")
            for value in values:
                if name != "slip" and not math.isclose(float(f"{value:.{DIGITS}g}"), value, rel_tol=1e-12):
                    raise ValueError(f"{name}: {value!r} has more than {DIGITS} digits; give fewer")
        for width in self.width:
            if not LEAST_WIDTH <= width <= LARGEST_WIDTH:
                raise ValueError(
                    f"width: {width:g} µm; widths are given in µm, from {LEAST_WIDTH:g} to {LARGEST_WIDTH:g}"
                )
            if self.pitch is not None and not 1 <= 1000 * width / self.pitch <= 4000:
                raise ValueError(
                    f"pitch: {self.pitch:g} nm makes {1000 * width / self.pitch:.3g} pixels across a width "
                    f"of {width:g} µm; from 1 to 4000 are possible"
                )
            widest = self.widest_spacing(1000 * width)
            if self.plane_spacing > widest:
                raise ValueError(
                    f"plane_spacing: {self.plane_spacing:g} nm may leave a crystal {width:g} µm wide without "
                    f"slip planes; at most {widest:.3g} nm"
                )
        # a reload of fewer strain steps than this is not a reload
        moved = 1e-7 * self.strain_rate * self.largest_step
        step = max(LEAST_STRAIN, 20 * moved)
        if self.frame_step < 2 * moved:
            raise ValueError(
                f"frame_step: {self.frame_step:g} % is less than two steps of loading, {2 * moved:.3g} %"
            )
        for name in ("prior", "reload"):
            if min(getattr(self, name)) < step:
                raise ValueError(
                    f"{name}: {min(getattr(self, name)):g} % cannot be reached in steps of "
                    f"{self.largest_step:g} ns at strain_rate {self.strain_rate:g}/s; "
                    f"from {step:.3g} to 50 % can"
                )
        if self.drawn and min(self.prior) == max(self.prior):
            raise ValueError("drawn: strains are drawn between the least and the largest of prior; give two")
        if self.seed + self.trajectories > 2**31:
            raise ValueError("seed and trajectories lead to seeds above 2147483647")
        return self

    def citations(self) -> tuple[str, ...]:
        """DOIs: the study, the model of sources and obstacles, its size effect, and spread cores."""
        return (
            "10.1038/s41598-020-65157-z",
            "10.1088/0965-0393/3/5/008",
            "arXiv:1511.04613",
            "10.1016/j.jmps.2005.09.005",
        )

    def priors_of(self, width: float, slip: str, seed: int) -> list[float]:
        """Prior strains [%] of a trajectory, rising: those that all share, and those drawn for it."""
        random = np.random.default_rng([seed, round(1e6 * width), ("one", "two").index(slip)])
        low, high = math.log10(min(self.prior)), math.log10(max(self.prior))
        parts = (np.arange(self.drawn) + random.random(self.drawn)) / max(self.drawn, 1)
        drawn = [float(f"{10 ** (low + (high - low) * part):.4g}") for part in parts]
        return sorted({*self.prior, *drawn})

    def tasks(self) -> list[Task]:
        """One task per trajectory: every seed of every width and choice of slip."""
        from vitrine.simulate.dislocations import trajectory

        found = []
        for width in self.width:
            for slip in self.slip:
                for seed in range(self.seed, self.seed + self.trajectories):
                    told: dict[str, Any] = {
                        "width": width,
                        "slip": slip,
                        "seed": seed,
                        "prior": self.priors_of(width, slip, seed),
                        "reload": sorted(self.reload),
                        "pitch": self.pitch,
                        "frame_step": self.frame_step,
                        "crystal": self.crystal_settings(),
                    }
                    found.append(
                        Task(
                            label=trajectory_id(width, slip, seed),
                            kind="trajectory",
                            recipe={"version": self.version, "engine": ENGINE, **told},
                            function=trajectory.trajectory,
                            arguments=told,
                        )
                    )
        return found

    def samples(self, outcomes: Sequence[Outcome]) -> Samples:
        """One map per trajectory, prior and reload strain, left on disk; failed trajectories are left out."""
        from vitrine.simulate.dislocations.files import TRAJECTORY, stored_maps

        items = []
        left_out: dict[str, str] = {}
        for outcome in outcomes:
            if outcome.folder is None:
                left_out[outcome.label] = outcome.error or "failed"
                continue
            items += [
                each
                for each in stored_maps(outcome.folder / TRAJECTORY)
                if self.maps == "all" or (each.info["prior"] in self.prior) == (self.maps == "shared")
            ]
        return map_samples(items, self.about(), left_out)

    def export(self, out: Path, compute: Compute) -> Iterator[str]:
        """Simulate what ``out`` (.h5) does not hold yet and add it, with a figure beside it.

        Yields lines for the user.

        Raises
        ------
        DataError: ``out`` is another kind of file, or was made with other settings.
        TaskError: no trajectory could be made.
        """
        from vitrine.simulate.dislocations.export import export_set

        return export_set(self, out, compute)

    def about(self) -> dict[str, Any]:
        """Provenance: the settings and the version of the engine."""
        return {**self.model_dump(mode="json"), "engine": ENGINE}


def map_samples(items: Sequence[StrainMap], about: dict[str, Any], left_out: dict[str, str]) -> Samples:
    """Samples of maps whose ``info`` names id, group, width [µm], slip, prior and reload strain [%]."""
    return Samples(
        kind="maps",
        items=list(items),
        ids=tuple(each.info["id"] for each in items),
        groups=tuple(each.info["group"] for each in items),
        about=about,
        left_out=left_out,
        attributes={
            **{
                name: np.array([float(each.info[name]) for each in items])
                for name in ("width", "prior", "reload")
            },
            "slip_systems": np.array([1.0 + (each.info["slip"] == "two") for each in items]),
        },
    )
