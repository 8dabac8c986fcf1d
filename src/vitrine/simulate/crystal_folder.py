"""A user's folder of crystals with a CSV of what was measured or computed of them.

The convention of CGCNN and ALIGNN, and any CSV with a header. What cannot be used is named with row, file and
reason before anything is learned from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from vitrine.arrays import hash_file
from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.simulate.crystal_targets import (
    CrystalFiles,
    TargetsFile,
    find_targets,
    plain_name,
    read_targets_file,
)
from vitrine.simulate.table_rows import (
    Refused,
    Targets,
    as_words,
    read_targets,
    refusal,
    renamed,
    shown,
)
from vitrine.tasks import Outcome, Task, digest

if TYPE_CHECKING:
    import pandas as pd

    from vitrine.physics.crystals import Structure
    from vitrine.simulate.published_tables import TargetKind

NAMED = 3
"""files without a row that are named"""


class CrystalFolder(Part):
    """Crystals in CIF, POSCAR (CONTCAR, .vasp) or extended XYZ files; one sample per row of the CSV.

    Samples are called ``<folder>:<file without ending>`` and grouped by reduced formula. The items have the
    columns ``formula`` (reduced), ``target``, the structure as ``cell``, ``species`` and ``frac``, and the
    other columns of the CSV under their own names; of several targets the first is ``target``, and each has a
    column of its own. Files without a row are used for nothing, and that is noted.
    """

    summary: ClassVar[str] = "your folder of CIF, POSCAR or extxyz files with a CSV of id,target"
    version: ClassVar[int] = 1
    yields: ClassVar[str] = "formulas"
    not_determining: ClassVar[frozenset[str]] = frozenset({"skip_bad"})

    kind: Literal["crystal-folder"] = "crystal-folder"
    folder: str = Field(min_length=1, description="path of the folder; what is in folders below is not read")
    targets: str | None = Field(
        None, min_length=1, description="name of the CSV; id_prop.csv, or the only one, if it is not said"
    )
    id: str | None = Field(
        None, description="column of ids, which are names of files; id, or the first column, if not said"
    )
    target: str | tuple[str, ...] | None = Field(
        None, description="column to learn, or several; by default target, or the only numeric one"
    )
    unit: str | None = Field(None, description="of the target, for figures and tables, such as eV/atom")
    limit: int | None = Field(
        None, ge=1, description="use the first crystals only, of those that can be used"
    )
    draw_seed: int | None = Field(
        None, ge=0, description="draw the crystals of limit at random with this seed, instead of the first"
    )
    most_atoms: int | None = Field(
        None, ge=1, description="leave out crystals with more atoms; they do not count for limit"
    )
    skip_bad: bool = Field(False, description="leave out what cannot be used, instead of stopping")

    @field_validator("target")
    @classmethod
    def _distinct(cls, target: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(target, tuple) and (not target or len(set(target)) < len(target)):
            raise ValueError("expected names of columns, each once")
        return target

    def recipe(self) -> dict[str, Any]:
        """As for every part, with name and content of the folder in place of its path."""
        recipe = super().recipe()
        folder = self._existing()
        recipe["settings"]["folder"] = {"name": _name_of(folder), "sha256": self._content(folder)}
        return recipe

    def _content(self, folder: Path) -> str:
        paths = [find_targets(folder, self.targets), *CrystalFiles(folder).files]
        return digest([[path.name, hash_file(path)] for path in paths])

    def _existing(self) -> Path:
        folder = Path(self.folder).expanduser()
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            raise DataError(
                f"source.folder: {folder} {what} (looked from {Path.cwd()}); give a folder of CIF, POSCAR or "
                "extxyz files with a CSV of id,target"
            )
        return folder

    def tasks(self) -> list[Task]:
        """None: there is nothing to compute."""
        return []

    def target_kind(self) -> TargetKind | None:
        """What kind of target this is, by the CSV alone; None where that cannot be told."""
        try:
            folder = self._existing()
            told = self._told(folder, CrystalFiles(folder))
            names = told.targets(self.target)
            words = as_words(told.frame[names[0]]) if len(names) == 1 else None
        except Exception:  # noqa: BLE001 - whatever is wrong is said by samples()
            return None
        if words is None:
            return "value"
        return "binary" if words[words != ""].nunique() == 2 else "classes"

    def samples(self, outcomes: Sequence[Outcome] = ()) -> Samples:
        """Read the CSV, and the crystals that it names.

        Raises
        ------
        DataError: no such folder, no CSV or several, not a table, or rows that cannot be used: a target that
            is no number, an id without a file or twice, a file that holds no one crystal.
        """
        folder = self._existing()
        files = CrystalFiles(folder)
        if not files.files:
            raise DataError(
                f"{folder} holds no crystals; expected .cif, POSCAR, CONTCAR, .vasp or .extxyz files"
            )
        told = self._told(folder, files)
        targets = read_targets(told.path, told.frame, told.targets(self.target))
        paths, reasons = _files_of(told, files)
        reasons = {**targets.reasons, **reasons}
        found, larger = self._read(paths, reasons)
        seen = len(found) + len(reasons)
        if reasons and not (self.skip_bad and found):
            raise DataError(refusal(told.path, reasons, seen, header=told.header))
        if not found:
            raise DataError(
                f"{folder}: no crystal has {self.most_atoms} atoms or fewer (source.most_atoms); the "
                f"smallest has {min(larger)}"
            )
        return self._samples(told, targets, paths, found, reasons, self._about(folder, told, files, larger))

    def _told(self, folder: Path, files: CrystalFiles) -> TargetsFile:
        asked = (self.target,) if isinstance(self.target, str) else self.target or ()
        named = [name for name in (self.id, *asked) if name is not None]
        return read_targets_file(find_targets(folder, self.targets), self.id, named, files.names())

    def _read(
        self, paths: Sequence[Path | None], reasons: dict[int, str]
    ) -> tuple[dict[int, Structure], list[int]]:
        """Structures by row, and the sizes of those that are too large.

        ``reasons`` of rows come in and go out: those that were looked at, with what is wrong with a file.
        """
        order = np.arange(len(paths))
        if self.limit is not None and self.draw_seed is not None:
            order = np.random.default_rng(self.draw_seed).permutation(len(paths))
        found: dict[int, Structure] = {}
        larger: list[int] = []
        seen: set[int] = set()
        for row in order.tolist():
            if len(found) == self.limit:
                break
            seen.add(row)
            path = paths[row]
            if row in reasons or path is None:
                continue
            try:
                state = path.stat()
                structure = _crystal(path, state.st_mtime_ns, state.st_size)
            except (DataError, OSError) as error:
                reasons[row] = f"{path.name}: {error}"
                continue
            if self.most_atoms is not None and len(structure.species) > self.most_atoms:
                larger.append(len(structure.species))
                continue
            found[row] = structure
        for row in set(reasons) - seen:
            del reasons[row]
        return dict(sorted(found.items())), larger

    def _about(
        self, folder: Path, told: TargetsFile, files: CrystalFiles, larger: Sequence[int]
    ) -> dict[str, Any]:
        about: dict[str, Any] = {
            "table": _name_of(folder),
            "targets_file": told.path.name,
            "sha256": self._content(folder),
        }
        about |= {"unit": self.unit} if self.unit is not None else {}
        about |= {"larger": len(larger)} if self.most_atoms is not None else {}
        rest = _without_row(told, files)
        if rest:
            some = ", ".join(rest[:NAMED]) + (" ..." if len(rest) > NAMED else "")
            about |= {"files_without_row": len(rest)}
            about |= {"note": f"{len(rest):,} files without a row in {told.path.name} are not used: {some}"}
        return about

    def _samples(
        self,
        told: TargetsFile,
        targets: Targets,
        paths: Sequence[Path | None],
        found: dict[int, Structure],
        reasons: dict[int, str],
        about: dict[str, Any],
    ) -> Samples:
        rows, folder = list(found), str(about["table"])
        names = [plain_name(path) for row in rows if (path := paths[row]) is not None]
        if len(set(names)) < len(names):  # a.cif and a.vasp
            names = [path.name for row in rows if (path := paths[row]) is not None]
        items = _items(told, targets, found)
        items.attrs["refused"] = _refused(told, targets, reasons)
        about |= {"target": targets.names[0], "targets": list(targets.names)}
        about |= {"rows": len(told.frame), "skipped": len(reasons)}
        return Samples(
            kind="formulas",
            items=items,
            ids=tuple(f"{folder}:{name}" for name in names),
            groups=tuple(items["formula"]),
            about=about,
            left_out={f"{folder}:row {row + 1}": reasons[row] for row in sorted(reasons)},
        )


@lru_cache(maxsize=100_000)
def _crystal(path: Path, changed: int, size: int) -> Structure:
    """A file is read once, though several tracks of a study ask for it: a CIF takes milliseconds."""
    from vitrine.physics.crystal_files import read_crystal

    return read_crystal(path)


def _name_of(folder: Path) -> str:
    return folder.resolve().name or "crystals"


def _files_of(told: TargetsFile, files: CrystalFiles) -> tuple[list[Path | None], dict[int, str]]:
    """The file of each row, and row -> reason for those without one, or with that of an earlier row."""
    first: dict[Path, int] = {}
    paths: list[Path | None] = []
    reasons: dict[int, str] = {}
    for row, name in enumerate(told.frame[told.id]):
        try:
            path = files.of(name)
        except DataError as error:
            paths.append(None)
            reasons[row] = str(error)
            continue
        paths.append(path)
        if first.setdefault(path, row) != row:
            reasons[row] = f"{shown(name)} is {path.name}, as row {first[path] + 1}; ids must differ"
    return paths, reasons


def _without_row(told: TargetsFile, files: CrystalFiles) -> list[str]:
    """Names of files that no row means."""
    used = {path for name in told.frame[told.id] for path in files.named.get(name, ())}
    return [path.name for path in files.files if path not in used]


def _items(told: TargetsFile, targets: Targets, found: dict[int, Structure]) -> pd.DataFrame:
    """Formula, target, structure and the other columns of the CSV; one row per crystal."""
    import pandas as pd

    from vitrine.physics.crystals import columns_of

    structures = list(found.values())
    own = {"formula": [structure.formula() for structure in structures], **columns_of(structures)}
    main = targets.names[0]
    frame = told.frame.assign(**targets.columns).iloc[list(found)].reset_index(drop=True)
    frame = renamed(frame, {main: "target"} if len(targets.names) == 1 else {})
    if len(targets.names) > 1 and main != "target":
        frame = frame.rename(columns={"target": "target (table)"}).assign(target=frame[main])
    frame = frame.rename(columns={name: f"{name} (table)" for name in own if name in frame.columns})
    front = pd.DataFrame({"formula": own.pop("formula")})
    return front.join(frame).join(pd.DataFrame(own))


def _refused(told: TargetsFile, targets: Targets, reasons: dict[int, str]) -> Refused:
    """For each refused row its number, id, targets as they stand there, and the reason; as text."""
    import pandas as pd

    rows = []
    for row in sorted(reasons):
        cells = {name: told.frame[name].iloc[row] for name in targets.names}
        words = {name: "" if pd.isna(cell) else str(cell) for name, cell in cells.items()}
        known = {"row": str(row + 1), "id": str(told.frame[told.id].iloc[row]), "reason": reasons[row]}
        aside = {f"{name} (table)" if name in known else name: text for name, text in words.items()}
        rows.append({**known, **aside})
    return Refused(rows)
