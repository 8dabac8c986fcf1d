"""A user's own configurations in a plane: what was the model trained on, and is this like it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.errors import DataError, MissingExtra

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms

    from vitrine.samples import Examples, Float

AT_MINIMUM = 1e-4
"""epsilon / sigma: largest force on a particle of what counts as an energy minimum"""
NO_TEMPERATURE = {
    "thermal": "the model was trained on thermal configurations, liquids at their own temperature and "
    "glasses cold: it may tell the temperature, not the phase",
    "rethermalised": "the model was trained on configurations at the temperature of the glass; another "
    "temperature is unlike its training",
}


def is_reduced(about: dict[str, Any]) -> bool:
    """Whether a model was trained on 2-D Lennard-Jones configurations, in reduced units."""
    return about.get("units") == "lj"


def prepared(atoms: Atoms, about: dict[str, Any], where: str, *, relax: bool) -> tuple[Atoms, list[str], str]:
    """The configuration in the state that the model was trained on, as far as that can be made.

    Parameters
    ----------
    about: of the training samples. relax: find its minimum; the model sees that if it was trained on minima.

    Returns
    -------
    The configuration with the array ``energy`` [epsilon] and the info ``inherent_energy`` where it is at a
    minimum; warnings; a line about what was done.

    Raises
    ------
    DataError: not in a plane, other species, or overlapping particles. EngineError: no minimum was found.
    """
    from vitrine.physics.lennard_jones import energies_and_virial
    from vitrine.physics.plane import kinds_of, plane_of

    state, warnings = about.get("state"), []
    plane = plane_of(atoms, where)
    kinds = kinds_of(atoms, about.get("elements") or ("Ni", "P"), where)
    known = None
    if relax:
        minimum = _minimised(atoms, where)
        lowest = plane_of(minimum, where)
        known = energies_and_virial(lowest.positions, lowest.lengths, kinds).energy
        atoms, plane = (minimum, lowest) if state == "inherent" else (atoms, plane)
    found = energies_and_virial(plane.positions, plane.lengths, kinds)
    force = float(np.linalg.norm(found.forces, axis=1).max())
    if not np.isfinite(force):
        raise DataError(f"{where}: particles lie on top of each other; their energy is not finite")
    atoms = atoms.copy()
    atoms.arrays["energy"] = np.asarray(found.energy)
    line = f"energy {float(found.energy.mean()):.4f} epsilon per particle, largest force {force:.2g}"
    if state == "inherent" and force > AT_MINIMUM:
        warnings.append(
            f"{where}: largest force {force:.2g} epsilon/sigma, not an energy minimum; the model was "
            "trained on minima: use --relax"
        )
    elif state == "inherent":
        known = found.energy
    if known is not None:
        atoms.info["inherent_energy"] = float(known.mean())
    if state in NO_TEMPERATURE:
        warnings.append(NO_TEMPERATURE[str(state)])
    count = about.get("particles")
    if count is not None and len(atoms) != count:
        warnings.append(f"{where}: {len(atoms)} particles; the model was trained on {count}")
    return atoms, warnings, line


def _minimised(atoms: Atoms, where: str) -> Atoms:
    from vitrine.physics.lennard_jones import minimise

    try:
        return minimise(atoms)[0]
    except MissingExtra:
        raise
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def bond_table(atoms: Atoms, examples: Examples, attention: Float, frame: int) -> pd.DataFrame:
    """One line per directed bond of a configuration.

    Parameters
    ----------
    examples: of this configuration alone. attention: (n_edges, heads), each head sums to 1.

    Returns
    -------
    frame, i, j (from 1), kinds, length, relative attention (mean over heads, 1 is the even share),
    attention of each head.
    """
    import pandas as pd

    assert examples.edges is not None and examples.edge_vectors is not None
    symbols = np.array(atoms.get_chemical_symbols())
    i, j = examples.edges
    heads = {f"attention_{n}": column for n, column in enumerate(attention.T, 1)}
    return pd.DataFrame(
        {
            "frame": frame,
            "i": i + 1,
            "j": j + 1,
            "kinds": [f"{a}-{b}" for a, b in zip(symbols[i], symbols[j], strict=True)],
            "length": np.linalg.norm(examples.edge_vectors.astype(np.float64), axis=1),
            "relative_attention": attention.mean(axis=1) * len(attention),
            **heads,
        }
    )


def received(examples: Examples, attention: Float) -> Float:
    """(n_nodes,) relative attention of the bonds of each particle, summed."""
    assert examples.edges is not None and examples.nodes is not None
    relative = attention.mean(axis=1) * len(attention)
    total: Float = np.bincount(examples.edges[0], weights=relative, minlength=len(examples.nodes)).astype(
        float
    )
    return total
