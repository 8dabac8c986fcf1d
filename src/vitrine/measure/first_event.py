"""The label of the first shear transformation: which atoms took part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.units import Angstrom, SquareAngstrom

if TYPE_CHECKING:
    from vitrine.samples import Samples


FLOOR = 1e-7
"""Å^2, under the logarithm of D2min: below what an elastic step of 1e-4 does"""


class FirstEvent(Part):
    """1 for atoms of connected groups whose D2min exceeds a threshold at the event step.

    Groups are connected through neighbours in the unsheared configuration. The event step itself
    was found by the simulation and does not move with ``threshold``.
    """

    kind: Literal["first-event"] = "first-event"
    threshold: SquareAngstrom = Field(0.1, description="Å^2 of D2min over the event step")
    min_cluster: int = Field(3, ge=1, description="connected atoms that make a group")
    cutoff: Angstrom = Field(3.8, description="Å, what connects two atoms")
    largest_event: int | None = Field(
        None, ge=1, description="atoms; samples whose event is larger are reported and left out"
    )

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[Literal["binary", "value"]] = "binary"
    unit: ClassVar[str | None] = None
    severity_label: ClassVar[str] = "D2min [Å²]"
    summary: ClassVar[str] = "atoms that take part in the first shear transformation (D2min)"

    def citations(self) -> tuple[str, ...]:
        """Falk & Langer 1998."""
        return ("10.1103/PhysRevE.57.7192",)

    def targets(self, samples: Samples) -> list[Any]:
        """One (n_atoms,) float32 array of 0 and 1 per sample.

        Raises
        ------
        DataError: a sample without the per-atom field ``d2min``.
        """
        import numpy as np

        from vitrine.physics.d2min import event_atoms
        from vitrine.physics.neighbours import neighbours_within

        last: Any = None
        targets = []
        for atoms, name in zip(samples.items, samples.ids, strict=True):
            if "d2min" not in atoms.arrays:
                raise DataError(f"{name} has no per-atom field d2min, which the label needs")
            if last is None or not _same_places(atoms, last):  # the directions of a specimen share bonds
                bonds = neighbours_within(atoms.positions, np.asarray(atoms.cell), self.cutoff)
                last = atoms
            moved = event_atoms(
                atoms.arrays["d2min"], bonds, threshold=self.threshold, min_cluster=self.min_cluster
            )
            targets.append(moved.astype(np.float32))
        return targets

    def leaves_out(self, samples: Samples) -> dict[str, str]:
        """Samples whose event is larger than allowed, and why they are left out."""
        if self.largest_event is None:
            return {}
        sizes = [int(target.sum()) for target in self.targets(samples)]
        return {
            name: f"its event has {size} atoms, more than largest_event = {self.largest_event}"
            for name, size in zip(samples.ids, sizes, strict=True)
            if size > self.largest_event
        }

    def others(self, samples: Samples) -> dict[str, list[Any]]:
        """Quantities that a model may learn in place of the label.

        ``log10 D2min`` of the event step (Å^2); where every sample was followed beyond its event also
        ``strain of first event``: at which the atom first took part in one, the last strain if in none.
        """
        import numpy as np

        found = {"log10 D2min": [np.log10(np.maximum(a.arrays["d2min"], FLOOR)) for a in samples.items]}
        if all("first_strain" in atoms.arrays for atoms in samples.items):
            found["strain of first event"] = [
                np.where(atoms.arrays["first_strain"] > 0, atoms.arrays["first_strain"], last_strain(atoms))
                for atoms in samples.items
            ]
        return found

    def severity(self, samples: Samples) -> list[Any] | None:
        """D2min itself [Å^2], for plots against it."""
        import numpy as np

        return [atoms.arrays["d2min"].astype(np.float32) for atoms in samples.items]


def last_strain(atoms: Any) -> float:
    """Strain to which a sample was followed."""
    return float(atoms.info["followed_to"])


def _same_places(one: Any, other: Any) -> bool:
    import numpy as np

    return np.array_equal(one.positions, other.positions) and np.array_equal(one.cell, other.cell)
