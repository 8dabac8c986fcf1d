"""The released glasses of 2,000 atoms were quenched with steps of 4 fs: energy is conserved in the melt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitrine.physics.glass import random_start
from vitrine.physics.lammps import LammpsSession
from vitrine.physics.observation import setup_commands, write_data

pytestmark = pytest.mark.physical
BOLTZMANN = 8.617e-5
"""eV/K"""


def _energies(folder: Path, timestep: float) -> np.ndarray:
    """Total energy [eV/atom] every 20 fs for 5 ps, without thermostat, of a melt at 2000 K."""
    positions, cell, types = random_start(256, [0.64, 0.36], 1)
    data = folder / "start.data"
    write_data(data, positions, cell, types, 2)
    every = round(0.02 / timestep)
    with LammpsSession(folder) as session:
        session.commands(
            [
                *setup_commands("CuZr_mm.eam.fs", ["Cu", "Zr"], f'read_data "{data}"'),
                f"timestep {timestep}",
                "min_style fire",
                "minimize 0 1e-1 200 1000",
                "velocity all create 4000 2 mom yes rot no dist gaussian",
                "fix ensemble all npt temp 2000 2000 0.1 iso 0 0 1",
                f"run {round(4 / timestep)}",
                "unfix ensemble",
                "fix alone all nve",
                "thermo 1",
                "run 0",
            ]
        )
        found = []
        for _ in range(250):
            session.commands([f"run {every}"])
            found.append(session.thermo("etotal")["etotal"] / len(types))
    return np.array(found)


def test_energy_is_conserved_at_four_femtoseconds(tmp_path: Path) -> None:
    """Velocity Verlet errs by the square of the step: 4 fs keeps the energy to a thousandth of kT."""
    spread = {}
    for timestep in (0.002, 0.004):
        energies = _energies(tmp_path, timestep)
        time = 0.02 * np.arange(len(energies))
        slope, middle = np.polyfit(time, energies, 1)
        assert abs(slope) * time[-1] < 1e-3 * BOLTZMANN * 2000
        spread[timestep] = float((energies - (slope * time + middle)).std())
    assert spread[0.004] < 1e-3 * BOLTZMANN * 2000
    assert 2 < spread[0.004] / spread[0.002] < 8
