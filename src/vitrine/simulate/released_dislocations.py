"""Released maps of dislocation trajectories: compact HDF5 files, shipped with the package or a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.arrays import hash_file
from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.simulate.dislocations.compact import COMPACT, compact_maps
from vitrine.simulate.dislocations.source import DislocationDynamics, map_samples
from vitrine.simulate.released_reader import find_set, left_out_of, opened, settings_of
from vitrine.tasks import Outcome, Task
from vitrine.units import Micrometres


class ReleasedDislocations(Part):
    """Strain maps of reloaded crystals that were simulated before; nothing is simulated."""

    kind: Literal["released-dislocations"] = "released-dislocations"
    name: str = Field(
        "dislocations", description="name of a set that ships with vitrine, or path of an .h5 file"
    )
    width: tuple[Micrometres, ...] | None = Field(
        None, min_length=1, description="µm, widths of the crystals; all by default"
    )
    slip: tuple[Literal["one", "two"], ...] = Field(
        ("one", "two"), min_length=1, description="slip systems of the crystals"
    )
    trajectories: int | None = Field(
        None, ge=1, description="trajectories of each width and choice of slip, the first; all by default"
    )
    maps: Literal["all", "shared", "drawn"] = Field(
        "shared",
        description="maps of the prior strains that all crystals share, of those drawn for one, or all",
    )

    yields: ClassVar[str] = "maps"
    summary: ClassVar[str] = "strain maps of reloaded crystals that ship with vitrine"

    def citations(self) -> tuple[str, ...]:
        """DOIs: as the source that made them."""
        return DislocationDynamics().citations()

    def recipe(self) -> dict[str, Any]:
        """The set's content, not its name."""
        return {
            "part": type(self).__name__,
            "version": self.version,
            "sha256": hash_file(find_set(self.name, COMPACT)),
            "settings": self.model_dump(mode="json", exclude={"kind", "name"}),
        }

    def tasks(self) -> list[Task]:
        """Nothing to compute."""
        return []

    def samples(self, outcomes: Sequence[Outcome]) -> Samples:
        """One map per trajectory, prior and reload strain, left on disk.

        Raises
        ------
        DataError: no such set, a damaged one, or it holds fewer trajectories than asked for.
        """
        path = find_set(self.name, COMPACT)
        with opened(path, COMPACT) as file:
            about = settings_of(file)
            names = self._chosen(path, file["trajectories"])
            left_out = left_out_of(file)
        try:
            shared = DislocationDynamics.model_validate({"prior": about["prior"]}).prior
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} is damaged: its attribute about names no prior strains") from error
        items = [
            each
            for each in compact_maps(path, names)
            if self.maps == "all" or (each.info["prior"] in shared) == (self.maps == "shared")
        ]
        if not items:
            raise DataError(f"{path} holds no maps of {self.maps} prior strains")
        about = {**about, "released": path.stem, "sha256": hash_file(path)}
        return map_samples(items, about, left_out)

    def _chosen(self, path: Path, group: Any) -> list[str]:
        """Names of the trajectories asked for, by width, slip and seed."""
        found = sorted(
            (float(each.attrs["width"]), str(each.attrs["slip"]), int(each.attrs["seed"]), name)
            for name, each in group.items()
        )
        widths = sorted({width for width, *_ in found})
        chosen = []
        for width in sorted(self.width or widths):
            for slip in self.slip:
                here = [name for w, s, _, name in found if np.isclose(w, width, rtol=1e-9) and s == slip]
                wanted = self.trajectories or 1
                if len(here) < wanted:
                    there = ", ".join(f"{each:g}" for each in widths)
                    raise DataError(
                        f"{path} holds {len(here)} trajectories of width {width:g} µm with {slip} slip "
                        f"system{'s' if slip == 'two' else ''}; {wanted} were asked for (its widths: {there})"
                    )
                chosen += here[: self.trajectories]
        return chosen
