"""What a study sees of liquids and glasses in the plane: the state, pairs of equal energy, a window.

Shared by the sources that simulate them and that read them. Reduced Lennard-Jones units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.samples import Float, Int, Samples
from vitrine.units import ReducedEnergy, ReducedLength

if TYPE_CHECKING:
    from ase import Atoms

State = Literal["thermal", "rethermalised", "inherent", "cooling"]
STATES: tuple[State, ...] = ("thermal", "rethermalised", "inherent")
"""Those of every snapshot."""
ELEMENTS = ("Ni", "P")


class View(Part):
    """Settings that choose among what is simulated; they change no simulation."""

    state: State = Field(
        "thermal",
        description="thermal: as simulated, each phase at its own temperature; inherent: minimised; "
        "rethermalised: from the minimum to the temperature of the glass, both phases alike; cooling: "
        "minimised configurations along the cooling of the glasses",
    )
    match_energy: ReducedEnergy | None = Field(
        None,
        description="ε: keep pairs of one liquid and one glass whose inherent-structure energies per "
        "particle differ by this at most",
    )
    least_pairs: int = Field(20, ge=1, description="pairs below which matching is refused")
    window: ReducedLength | None = Field(
        None, description="σ: edge of a square cut out of each sample, at a place drawn from its id"
    )

    @model_validator(mode="after")
    def _view_is_possible(self) -> View:
        if self.match_energy is not None and self.state == "cooling":
            raise ValueError("match_energy: along a cooling there are no liquids to match; set state or it")
        return self

    def seen(self, snapshots: Sequence[Snapshot], about: dict[str, Any], left_out: dict[str, str]) -> Samples:
        """Samples of what this view shows of these snapshots, in their order.

        Each :class:`ase.Atoms` has the array ``energy`` (n,) [ε] and info ``id``, ``group``, ``phase``,
        ``temperature``, ``inherent_energy`` [ε per particle], ``pressure`` (configurational, ε/σ²) and
        ``state``.

        Raises
        ------
        DataError: fewer than ``least_pairs`` pairs, or a window that is not smaller than a sample.
        """
        matched = None
        if self.match_energy is not None:
            snapshots, matched = self._matched(snapshots)
        items = [self._cut(snapshot.atoms(self.state)) for snapshot in snapshots]
        about = {**about, "elements": list(ELEMENTS), "units": "lj", "state": self.state}
        if matched is not None:
            about["matched"] = matched
        return Samples(
            kind="atoms",
            items=items,
            ids=tuple(snapshot.id for snapshot in snapshots),
            groups=tuple(snapshot.group for snapshot in snapshots),
            about=about,
            left_out=left_out,
            attributes={
                name: np.array([float(atoms.info[name]) for atoms in items])
                for name in ("inherent_energy", "temperature")
            },
        )

    def _matched(self, snapshots: Sequence[Snapshot]) -> tuple[list[Snapshot], dict[str, Any]]:
        assert self.match_energy is not None
        liquids = [each for each in snapshots if each.phase == "liquid"]
        glasses = [each for each in snapshots if each.phase == "glass"]
        energies = [np.array([each.inherent_energy for each in phase]) for phase in (liquids, glasses)]
        first, second = match(energies[0], energies[1], self.match_energy)
        if len(first) < self.least_pairs:
            means = [f"{values.mean():.4f}" if len(values) else "none" for values in energies]
            raise DataError(
                f"only {len(first)} pairs of {len(liquids)} liquids (mean inherent-structure energy "
                f"{means[0]} ε) and {len(glasses)} glasses ({means[1]} ε) differ by {self.match_energy:g} ε "
                f"at most, and {self.least_pairs} are wanted; bring the means together by cooling_time or "
                "temperature, widen match_energy, or ask for more trajectories"
            )
        chosen = [*(liquids[i] for i in first), *(glasses[i] for i in second)]
        kept = [energies[0][first], energies[1][second]]
        report = {
            "pairs": len(first),
            "of": {"liquid": len(liquids), "glass": len(glasses)},
            "mean_energy_before": {
                "liquid": float(energies[0].mean()),
                "glass": float(energies[1].mean()),
            },
            "mean_energy": {"liquid": float(kept[0].mean()), "glass": float(kept[1].mean())},
        }
        return chosen, report

    def _cut(self, atoms: Atoms) -> Atoms:
        if self.window is None:
            return atoms
        return cut_window(atoms, self.window)


@dataclass(frozen=True)
class Snapshot:
    """One configuration of a trajectory in the states that there are of it.

    number: of the snapshot in its trajectory, or what stands in its place. temperature: of the liquid, or
    the final one of the glass. lengths (2,); kinds (n,) 0 for A, 1 for B; states: name -> positions (n, 2),
    energy (n,) per particle and pressure.
    """

    group: str
    number: str
    phase: str
    temperature: float
    inherent_energy: float
    lengths: Float
    kinds: Int
    states: dict[str, tuple[Float, Float, float]]

    @property
    def id(self) -> str:
        """``lj65-n500-liquid-t0.55-s0001/3``."""
        return f"{self.group}/{self.number}"

    def atoms(self, state: State) -> Atoms:
        """This snapshot in a state; one along a cooling is minimised."""
        from ase import Atoms

        shown = "inherent" if state == "cooling" else state
        positions, energy, pressure = self.states[shown]
        atoms = Atoms(
            numbers=np.array([28, 15])[self.kinds],
            positions=np.column_stack([positions, np.zeros(len(positions))]),
            cell=[*self.lengths, 1.0],
            pbc=(True, True, False),
        )
        atoms.arrays["energy"] = np.array(energy, dtype=float)
        atoms.info |= {
            "id": self.id,
            "group": self.group,
            "phase": self.phase,
            "temperature": self.temperature,
            "inherent_energy": self.inherent_energy,
            "pressure": pressure,
            "state": shown,
        }
        return atoms


def match(first: Float, second: Float, distance: float) -> tuple[Int, Int]:
    """As many pairs as possible of one number of each, at most ``distance`` apart, none used twice.

    Both are walked through in rising order, and the smaller of two that are too far apart is passed over:
    no later one could be its partner. So the number of pairs is the largest possible.

    Parameters
    ----------
    first: (n,). second: (m,).

    Returns
    -------
    Positions (k,) in ``first`` and (k,) in ``second`` of each pair, in rising order of ``first``.

    >>> match(np.array([1.0, 2.0, 3.0]), np.array([2.1, 0.9]), 0.2)
    (array([0, 1]), array([1, 0]))
    """
    orders = np.argsort(first, kind="stable"), np.argsort(second, kind="stable")
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(first) and j < len(second):
        one, other = int(orders[0][i]), int(orders[1][j])
        if abs(first[one] - second[other]) <= distance:
            pairs.append((one, other))
            i, j = i + 1, j + 1
        elif first[one] < second[other]:
            i += 1
        else:
            j += 1
    found: Int = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def cut_window(atoms: Atoms, edge: float) -> Atoms:
    """The particles in a square of a periodic sample, at a place that its ``info["id"]`` determines.

    Positions start at the corner of the square, which is the cell of the result and not periodic; energies
    are those within the whole sample.

    Raises
    ------
    DataError: the square is not smaller than the sample, or holds no particle.
    """
    lengths = np.diag(np.asarray(atoms.cell))[:2]
    name = str(atoms.info["id"])
    if edge >= lengths.min():
        raise DataError(
            f"{name}: a window of {edge:g} σ must be smaller than the sample, which is "
            f"{lengths.min():.3g} σ wide"
        )
    hashed = hashlib.sha256(name.encode()).digest()
    corner = np.array([int.from_bytes(hashed[8 * k : 8 * k + 8], "big") / 2**64 for k in (0, 1)]) * lengths
    shifted = np.mod(atoms.positions[:, :2] - corner, lengths)
    inside = np.flatnonzero((shifted < edge).all(axis=1))
    if not len(inside):
        raise DataError(f"{name}: the window of {edge:g} σ holds no particle; make it larger")
    cut = atoms[inside]
    cut.positions[:, :2] = shifted[inside]
    cut.set_cell([edge, edge, float(atoms.cell[2, 2])])
    cut.pbc = (False, False, False)
    return cut
