"""Monte Carlo exchange of atoms of different elements during molecular dynamics, by LAMMPS.

An exchange is accepted with the probability of Metropolis at constant temperature. The velocities of the
two atoms are scaled such that each keeps its kinetic energy: the energy in the acceptance is then the whole
change, and the volume in momentum space is kept, so that the canonical distribution stays as it is. With
velocities kept as they are, the kinetic energy would change too, and not enter the acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

LARGEST_SEED = 900_000_000
"""of LAMMPS's Park-Miller generators"""


@dataclass(frozen=True)
class SwapSchedule:
    """A hold at ``temperature`` [K] for ``time`` [ps]: ``attempts`` exchanges of each pair of types
    after every ``every`` MD steps."""

    temperature: float
    time: float
    every: int
    attempts: int
    types: int

    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(1, self.types + 1), 2))

    def fixes(self, seed: int) -> list[str]:
        """LAMMPS commands, one fix per pair; a restart file brings back its generator and counters."""
        return [
            f"fix swap{i}_{j} all atom/swap {self.every} {self.attempts} "
            f"{1 + (seed + 7919 * number) % LARGEST_SEED} {self.temperature:.17g} ke yes types {i} {j}"
            for number, (i, j) in enumerate(self._pairs())
        ]

    def count(self, name: str) -> list[str]:
        """LAMMPS commands that write exchanges tried and accepted since the hold began, of all pairs."""
        words = " ".join(f"$(f_swap{i}_{j}[{k}]:%.0f)" for i, j in self._pairs() for k in (1, 2))
        return [f'print "{words}" file {name} screen no']


def read_counts(path: Path) -> dict[str, float]:
    """``swap_attempts``, ``swaps_accepted`` and their ratio ``swap_acceptance``, over all pairs."""
    counts = [int(word) for word in path.read_text(encoding="utf-8").split()]
    attempts, accepted = sum(counts[::2]), sum(counts[1::2])
    return {
        "swap_attempts": attempts,
        "swaps_accepted": accepted,
        "swap_acceptance": accepted / attempts if attempts else 0.0,
    }
