"""Apply a trained model to a user's own files; the same with predictions out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError
from vitrine.physics.configurations import checked_copy, read_configurations
from vitrine.physics.rotation import DIRECTIONS
from vitrine.samples import Samples
from vitrine.study.bundle import ModelFolder

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms

NOT_AT_MINIMUM = 0.05
"""eV/Å: the largest force above which a configuration is no inherent structure"""


def predict_table(
    model: ModelFolder, path: Path, campaign: Campaign, formula: str | None, skip_bad: bool = False
) -> pd.DataFrame:
    """The user's table with a column ``<target>_predicted`` added.

    With ``skip_bad`` the rows that cannot be read are absent; ``attrs["left_out"]`` maps their
    numbers to the reasons.

    Raises
    ------
    DataError: no formulas in it, or elements that the model does not know.
    """
    from vitrine.simulate.table import read_formulas

    return predict_formulas(model, read_formulas(path, formula, skip_bad), campaign, path.stem)


def predict_formulas(
    model: ModelFolder, frame: pd.DataFrame, campaign: Campaign, name: str = "table"
) -> pd.DataFrame:
    """The same table with a column ``<target>_predicted`` added.

    Parameters
    ----------
    frame: with a column ``formula``; messages call its rows by its index.
    name: of the table, for messages.

    Raises
    ------
    DataError: a formula that cannot be read, or elements that the model does not know.
    """
    representation: Any = model.representation
    ids = tuple(f"{name}:{row}" for row in frame.index)
    samples = Samples("formulas", frame.reset_index(drop=True), ids, ids)
    scores = model.predict(representation.build(samples, campaign.compute))
    return frame.assign(**{f"{model.source.get('target', 'target')}_predicted": scores})


def predict_atoms(
    model: ModelFolder,
    path: Path,
    campaign: Campaign,
    *,
    directions: Sequence[str] = DIRECTIONS,
    elements: Sequence[str] | None = None,
    potential: str | None = None,
    relax: bool = False,
) -> tuple[list[Atoms], list[str]]:
    """The user's frames with a per-atom column ``probability_<direction>`` added.

    Energies and stresses are taken from the file's columns ``energy`` and ``stress`` if it has
    both, else computed by LAMMPS with the potential that the model was trained with.

    Returns
    -------
    Frames and warnings.

    Raises
    ------
    DataError: the file cannot be read or holds elements that the model does not know.
    """
    frames = read_configurations(path, elements)
    return predict_frames(
        model, frames, campaign, directions=directions, potential=potential, relax=relax, name=str(path)
    )


def predict_frames(
    model: ModelFolder,
    frames: Sequence[Atoms],
    campaign: Campaign,
    *,
    directions: Sequence[str] = DIRECTIONS,
    potential: str | None = None,
    relax: bool = False,
    name: str = "atoms",
) -> tuple[list[Atoms], list[str]]:
    """As :func:`predict_atoms`, for frames in memory; what is returned are copies.

    Parameters
    ----------
    name: of the frames, for messages.
    """
    representation: Any = model.representation
    warnings: list[str] = []
    predicted = []
    for number, given in enumerate(frames):
        where = f"{name}, frame {number + 1}"
        atoms = checked_copy(given, where)
        if relax or not {"energy", "stress"} <= set(atoms.arrays):
            atoms = _observe(model, atoms, where, potential, relax, warnings)
        samples = _directions(atoms, f"{Path(name).stem}-{number + 1}", directions)
        try:
            examples = representation.build(samples, campaign.compute)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        scores = model.predict(examples).reshape(len(samples), len(atoms))
        for direction, score in zip(directions, scores, strict=True):
            atoms.arrays[f"probability_{_plain(direction)}"] = score
        predicted.append(atoms)
    return predicted, warnings


def _plain(direction: str) -> str:
    """Column names without a sign: ``-xy`` -> ``minus_xy``."""
    return direction.replace("-", "minus_")


def _directions(atoms: Atoms, name: str, directions: Sequence[str]) -> Samples:
    items = []
    for direction in directions:
        turned = atoms.copy()
        turned.info = {"id": f"{name}/{direction}", "group": name, "direction": direction}
        items.append(turned)
    ids = tuple(item.info["id"] for item in items)
    return Samples("atoms", items, ids, tuple(name for _ in items))


def _check_potential(model: ModelFolder, where: str, wanted: str, chosen: bool, warnings: list[str]) -> None:
    """Energies of another potential are other features: say so, or stop if nobody asked for it."""
    from vitrine.physics.lammps import potential_hash

    if model.potential_sha256 in (None, potential_hash(wanted)):
        return
    words = (
        f"{where}: the potential {wanted} is another file (by its SHA-256) than the one that the model "
        f"{model.name} was trained with"
    )
    if not chosen:
        raise DataError(f"{words}; name the right file with --potential")
    if words not in warnings:
        warnings.append(words)


def _observe(
    model: ModelFolder,
    atoms: Atoms,
    where: str,
    potential: str | None,
    relax: bool,
    warnings: list[str],
) -> Atoms:
    from vitrine.physics.glass import observe

    wanted = potential or model.source.get("potential")
    if wanted is None:
        raise DataError(f"{where}: has no columns energy and stress, and the model names no potential")
    _check_potential(model, where, str(wanted), potential is not None, warnings)
    elements = list(model.source.get("elements") or sorted(set(atoms.get_chemical_symbols())))
    symbols = atoms.get_chemical_symbols()
    strange = sorted(set(symbols) - set(elements))
    if strange:
        raise DataError(f"{where} holds {', '.join(strange)}; the model was trained on {', '.join(elements)}")
    types = np.array([elements.index(symbol) + 1 for symbol in symbols])
    with tempfile.TemporaryDirectory(prefix="vitrine-") as folder:
        found = observe(
            atoms.positions,
            np.asarray(atoms.cell),
            types,
            elements,
            str(wanted),
            Path(folder),
            relax=1e-4 if relax else None,
        )
    if found.largest_force > NOT_AT_MINIMUM:
        warnings.append(
            f"{where}: largest force {found.largest_force:.2g} eV/Å, not an energy minimum; the model was "
            "trained on minimised configurations: use --relax"
        )
    result: Atoms = atoms.copy()
    if relax:
        result.positions = found.positions
    result.arrays["energy"], result.arrays["stress"] = found.energy, found.stress
    return result
