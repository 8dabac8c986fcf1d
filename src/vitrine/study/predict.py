"""Apply a trained model to a user's own files; the same with predictions out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError
from vitrine.learn.protocol import Attends, Model
from vitrine.physics.configurations import checked_copy
from vitrine.physics.rotation import DIRECTIONS
from vitrine.samples import Examples, Samples
from vitrine.study.bundle import ModelFolder
from vitrine.study.composition_reference import TrainingReference, told_of
from vitrine.study.data import target_name
from vitrine.study.predict_plane import bond_table, is_reduced, prepared, received

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms

MOST_AT_ONCE = 50_000
"""atoms of a configuration that is represented under all loads at once; a larger one takes them in turn"""


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

    frame = read_formulas(path, formula, skip_bad)
    if skip_bad:
        frame = _without_refused(model, frame)
    return predict_formulas(model, frame, campaign, path.stem)


def _without_refused(model: ModelFolder, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that the representations of the model can read; the others join those that were left out.

    Raises
    ------
    DataError: none is left.
    """
    ids = tuple(str(row) for row in frame.index)
    samples = Samples("formulas", frame.reset_index(drop=True), ids, ids)
    reasons: dict[str, str] = {}
    for member in model.members or (model,):
        part: Any = member.representation
        reasons |= part.refuses(samples) if hasattr(part, "refuses") else {}
    if not reasons:
        return frame
    if len(reasons) == len(frame):
        raise DataError(
            f"the model {model.name} can read no formula of the table: {next(iter(reasons.values()))}"
        )
    bad = [row for row in frame.index if str(row) in reasons]
    kept = frame.drop(index=bad)
    kept.attrs = dict(frame.attrs)
    kept.attrs["left_out"] = {**frame.attrs.get("left_out", {}), **{row: reasons[str(row)] for row in bad}}
    more = [
        {"row": str(row), "formula": str(frame["formula"][row]), "reason": reasons[str(row)]} for row in bad
    ]
    kept.attrs["refused"] = (*frame.attrs.get("refused", ()), *more)
    return kept


def predict_formulas(
    model: ModelFolder, frame: pd.DataFrame, campaign: Campaign, name: str = "table"
) -> pd.DataFrame:
    """The same table with what is predicted beside each formula.

    ``<target>_predicted`` is the value, or the class with ``<target>_p_<class>`` for each probability.
    Columns of these names that the table has are called ``<name> (table)``. For those of the interval and of
    the distance see :func:`.composition_reference.told_of`; models of earlier versions lack them.

    Parameters
    ----------
    frame: with a column ``formula``; messages call its rows by its index.
    name: of the table, for messages.

    Raises
    ------
    DataError: a formula that cannot be read, or elements that the model does not know.
    """
    ids = tuple(f"{name}:{row}" for row in frame.index)
    samples = Samples("formulas", frame.reset_index(drop=True), ids, ids)
    found = []
    for member in model.members or (model,):
        representation: Any = member.representation
        found.append(member.predict(representation.build(samples, campaign.compute)))
    scores = np.asarray(np.mean(found, axis=0))
    target, names = target_name(model.label, model.source), model.class_names
    columns: dict[str, Any] = {f"{target}_predicted": scores}
    if model.target == "binary" and names:
        scores = np.stack([1 - scores, scores], axis=1)
    if scores.ndim == 2:
        columns = {f"{target}_p_{words}": column for words, column in zip(names, scores.T, strict=True)}
        best = scores.argmax(axis=1) if model.target == "classes" else scores[:, 1] >= model.threshold
        columns[f"{target}_predicted"] = [names[int(number)] for number in best]
    reference = TrainingReference.read(model.folder)
    if reference is not None:
        columns |= told_of(reference, list(frame["formula"]), scores, model.target, target, names)
    return frame.rename(columns={name: f"{name} (table)" for name in columns}).assign(**columns)


def predict_frames(
    model: ModelFolder,
    frames: Sequence[Atoms],
    campaign: Campaign,
    *,
    directions: Sequence[str] = DIRECTIONS,
    potential: str | None = None,
    relax: bool = False,
    name: str = "atoms",
    say: Callable[[str], None] = lambda line: None,
    bonds: list[pd.DataFrame] | None = None,
) -> tuple[list[Atoms], list[str]]:
    """Copies of frames with a per-atom column ``probability`` (of a value: ``predicted``) added.

    A model that predicts once for a whole frame adds it to the frame's info; if it attends to bonds, there
    is a column ``attention``: the relative attention of a particle's bonds, summed.

    Where the representation looks at a load there is a column for each, ``probability_<direction>``.
    Energies and stresses, if it needs them, are taken from the columns ``energy`` and ``stress`` if a
    frame has both, else computed by LAMMPS with the potential that the model was trained with. Second
    derivatives are those of the same potential.

    Parameters
    ----------
    potential: instead of the one that the model was trained with. relax: minimise the frames first.
    name: of the frames, for messages. say: takes lines about what was done to each frame.
    bonds: takes a table of bonds and their attention for each frame, if the model attends.

    Returns
    -------
    Frames and warnings.

    Raises
    ------
    DataError: a frame that is not periodic, holds elements that the model does not know, or is at no
        minimum of the energy while the features need one.
    """
    asked = _Request(model, potential, relax, say)
    fitted = model.load()
    loads = list(directions) if getattr(model.representation, "needs_load", False) else [None]
    column = "probability" if model.target == "binary" else "predicted"
    predicted = []
    for number, given in enumerate(frames):
        where = f"{name}, frame {number + 1}"
        atoms = asked.prepared(checked_copy(given, where), where)
        label = f"{Path(name).stem}-{number + 1}"
        for load, examples, score in _scores(asked, fitted, atoms, label, loads, where, campaign):
            if examples.nodes is not None and isinstance(fitted, Attends):
                attention = fitted.attention(examples)
                atoms.arrays["attention"] = received(examples, attention)
                if bonds is not None:
                    bonds.append(bond_table(atoms, examples, attention, number + 1))
            title = column if load is None else f"{column}_{_plain(load)}"
            if len(score) == 1 < len(atoms):
                say(f"{where}: {_words(model, title)} {score[0]:.3f}")
            if len(score) == len(atoms):
                atoms.arrays[title] = score
            else:  # one for the whole frame
                atoms.info[title] = float(score[0])
        predicted.append(atoms)
    return predicted, asked.warnings


def _words(model: ModelFolder, title: str) -> str:
    """``probability of glass``: what a number for a whole frame is."""
    positive = getattr(model.label, "positive", None)
    return title if positive is None else f"{title} of {positive}"


def _scores(
    asked: _Request,
    fitted: Model,
    atoms: Atoms,
    name: str,
    loads: Sequence[str | None],
    where: str,
    campaign: Campaign,
) -> list[tuple[str | None, Examples, NDArray[np.float64]]]:
    """Each load, what was seen under it and the scores."""
    model = asked.model
    width = len(loads) if len(atoms) <= MOST_AT_ONCE else 1
    found: list[tuple[str | None, Examples, NDArray[np.float64]]] = []
    for start in range(0, len(loads), width):
        some = loads[start : start + width]
        samples = _under_loads(atoms, name, some, asked.about)
        try:
            examples = asked.representation.build(samples, campaign.compute)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if asked.slope is not None:  # the Hessian, which says more, has been looked at
            raise DataError(asked.slope)
        scores = model.predict(examples, fitted).reshape(len(samples), -1)
        found += [(load, examples, score) for load, score in zip(some, scores, strict=True)]
    return found


def _plain(direction: str) -> str:
    """Column names without a sign: ``-xy`` -> ``minus_xy``."""
    return direction.replace("-", "minus_")


def _under_loads(atoms: Atoms, name: str, loads: Sequence[str | None], about: dict[str, Any]) -> Samples:
    """The configuration once for each load, or once if there is none; all share their arrays."""
    from ase import Atoms

    items = []
    for load in loads:
        item = Atoms(cell=atoms.cell, pbc=atoms.pbc)
        item.arrays = dict(atoms.arrays)
        item.info = {"id": name if load is None else f"{name}/{load}", "group": name}
        if load is not None:
            item.info["direction"] = load
        items.append(item)
    ids = tuple(item.info["id"] for item in items)
    known = (
        {"inherent_energy": np.full(len(items), float(atoms.info["inherent_energy"]))}
        if ("inherent_energy" in atoms.info)
        else {}
    )
    return Samples("atoms", items, ids, tuple(name for _ in items), about, attributes=known)


class _Request:
    """A model and what the user said about its potential; collects warnings."""

    def __init__(
        self, model: ModelFolder, potential: str | None, relax: bool, say: Callable[[str], None]
    ) -> None:
        self.model, self._relax, self._say = model, relax, say
        self._chosen = potential
        self.warnings: list[str] = []
        self.slope: str | None = None
        """why second derivatives of the frame mean nothing, if that is known"""
        self.representation: Any = model.representation
        self.about = dict(model.source)
        if potential is not None:
            self.about["potential"] = potential
            if getattr(self.representation, "potential", None) is not None:
                self.representation = self.representation.model_copy(update={"potential": potential})
        self._fields = set(getattr(self.representation, "needs_fields", ()))
        self._second = getattr(self.representation, "features", "cheap") != "cheap"

    def prepared(self, atoms: Atoms, where: str) -> Atoms:
        """With the fields that the representation needs, relaxed if that was asked for.

        Raises
        ------
        DataError: the model looks at the energy of a minimum, which nobody knows.
        """
        self.slope = None
        if is_reduced(self.about):
            atoms, warnings, line = prepared(atoms, self.about, where, relax=self._relax)
            for words in warnings:
                self._warn(words)
            if "inherent_energy" in getattr(self.representation, "attributes", ()) and (
                "inherent_energy" not in atoms.info
            ):
                raise DataError(f"{where}: the model looks at the energy of the minimum: use --relax")
            self._say(f"{where}: {line}")
            return atoms
        if self._relax or not self._fields <= set(atoms.arrays):
            return self._observed(atoms, where)
        if self._fields:
            self._say(
                f"{where}: energies and stresses as in the file; taken for an energy minimum, its forces "
                "were not looked at"
            )
        if self._second:
            self._potential(where)
        return atoms

    def _observed(self, atoms: Atoms, where: str) -> Atoms:
        from vitrine.physics.energies import with_energies

        wanted = self._potential(where)
        elements = list(self.model.source.get("elements") or ())
        strange = sorted(set(atoms.get_chemical_symbols()) - set(elements))
        if elements and strange:
            raise DataError(
                f"{where} holds {', '.join(strange)}; the model was trained on {', '.join(elements)}"
            )
        found = with_energies(atoms, wanted, where, relax=self._relax)
        self._say(f"{where}: {found}")
        if not found.at_minimum:
            force = f"{where}: largest force {found.largest_force:.2g} eV/Å, not an energy minimum; "
            advice = "LAMMPS did not reach one" if self._relax else "use --relax"
            if self._second:
                self.slope = f"{force}second derivatives, which the model needs, exist at one only: {advice}"
            else:
                self._warn(f"{force}the model was trained on minimised configurations: {advice}")
        return found.atoms

    def _potential(self, where: str) -> str:
        """Energies of another potential are other features: say so, or stop if nobody asked for it."""
        from vitrine.physics.lammps import potential_hash

        wanted = self._chosen or self.about.get("potential")
        if wanted is None:
            raise DataError(
                f"{where}: the model needs energies and stresses or second derivatives, and names no "
                "potential; name the file with --potential"
            )
        known = self.model.potential_sha256
        if known not in (None, potential_hash(str(wanted))):
            words = (
                f"{where}: the potential {wanted} is another file (by its SHA-256) than the one that the "
                f"model {self.model.name} was trained with"
            )
            if self._chosen is None:
                raise DataError(f"{words}; name the right file with --potential")
            self._warn(words)
        return str(wanted)

    def _warn(self, words: str) -> None:
        if words not in self.warnings:
            self.warnings.append(words)
