"""A table of formulas with a measured or computed value: the user's own file or a published set.

CSV (plain or gzip, UTF-8, comma) and Parquet. What cannot be used is named with file, row and
value before anything is learned from it; nothing is filled in or guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from vitrine.arrays import hash_file
from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.simulate.emt_alloys import EmtAlloys, Keep
from vitrine.simulate.published_tables import PARTS, PUBLISHED, Published, TargetKind, published_names
from vitrine.simulate.table_choice import limited, small_enough
from vitrine.simulate.table_files import (
    ENDINGS,
    column_names,
    column_of,
    existing,
    formula_column,
    one_column,
    read_rows,
    rows_of_bytes,
    stem_of,
)
from vitrine.simulate.table_rows import (
    Targets,
    as_numbers,
    as_words,
    double_ids,
    filled,
    only_numeric,
    read_targets,
    reduce_formulas,
    refusal,
    refused_rows,
    renamed,
    split_numbers,
    write_refused,
)
from vitrine.tasks import Outcome, Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EMBEDDED", "Table", "published_names", "read_formulas", "write_refused"]

EMBEDDED = "emt-alloys"
"""The table that is made in seconds where the user has none."""


@dataclass(frozen=True)
class _Rows:
    """The rows of a table, unchecked, and which columns play which role."""

    where: str
    """what messages call the table"""
    stem: str
    """what ids begin with"""
    frame: pd.DataFrame
    formula: str
    targets: tuple[str, ...]
    about: dict[str, Any]
    split: str | None
    published: Published | None = None


class Table(Part):
    """Formulas and what was measured of them; one sample per row, grouped by reduced formula.

    Sample ids are ``<table>:<row>`` with rows counted from 1 after the header, those of a published
    set over its files in the order train, validation, test; or ``<table>:<id>`` with a column of ids.
    The items have the columns ``formula``, ``target`` (float64, or words that name classes) and the
    other columns of the file under their own names; of several targets the first is ``target``, and each
    has a column of its own, float64, NaN where its cell is empty. ``attributes["split"]`` is 0 for train,
    1 for validation and 2 for test. ``items.attrs["refused"]`` are the rows left out, for
    :func:`write_refused`; ``about["targets"]`` are the file's names of the targets.
    """

    summary: ClassVar[str] = "your CSV or Parquet file of formulas, or a published set such as jarvis/e_hull"
    version: ClassVar[int] = 2
    yields: ClassVar[str] = "formulas"
    not_determining: ClassVar[frozenset[str]] = frozenset({"skip_bad"})

    kind: Literal["table"] = "table"
    table: str = Field(
        EMBEDDED,
        min_length=1,
        description="path of a .csv, .csv.gz or .parquet file, name of a published set, or emt-alloys, which "
        "needs no file",
    )
    formula: str | None = Field(None, description="column of formulas; found by its usual names")
    target: str | tuple[str, ...] | None = Field(
        None,
        description="column to learn, or several; by default the only numeric one, or that of the set; a "
        "column of words names classes",
    )
    group: str | None = Field(None, description="column of what stays together; else the reduced formula")
    split: str | None = Field(None, description="column with the words train, validation and test")
    id: str | None = Field(None, description="column of names of the rows; else they are numbered")
    skip_bad: bool = Field(False, description="leave rows out that cannot be used, instead of stopping")
    limit: int | None = Field(
        None, ge=1, description="use the first rows only (of each part of a published split, in proportion)"
    )
    draw_seed: int | None = Field(
        None, ge=0, description="draw the rows of limit at random with this seed, instead of the first"
    )
    most_atoms: int | None = Field(
        None, ge=1, description="leave out crystals with more atoms, before rows are counted for limit"
    )
    keep: Keep = Field(
        "lowest", description="of emt-alloys: the lowest energy of each formula, or all structures"
    )
    random_cells: int = Field(
        1000, ge=0, le=100_000, description="of emt-alloys: random cells beside the ordered"
    )

    @field_validator("target")
    @classmethod
    def _distinct(cls, target: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(target, tuple) and (not target or len(set(target)) < len(target)):
            raise ValueError("expected names of columns, each once")
        return target

    def recipe(self) -> dict[str, Any]:
        """As for every part, with name and SHA-256 of the content in place of a path."""
        recipe = super().recipe()
        for name in ("draw_seed", "most_atoms", "keep", "random_cells"):  # as it was before there were these
            if getattr(self, name) == Table.model_fields[name].default:
                del recipe["settings"][name]
        if self._embedded:
            return recipe
        published = self._published()
        if published is not None:
            named = {"name": self.table, "sha256": [file.sha256 for file in published.files]}
        else:
            path = existing(self.table)
            named = {"name": stem_of(path), "sha256": hash_file(path)}
        recipe["settings"]["table"] = named
        return recipe

    def citations(self) -> tuple[str, ...]:
        """Those of the published set."""
        published = None if self._embedded else self._published()
        return () if published is None else published.citations

    @property
    def _embedded(self) -> bool:
        return self.table == EMBEDDED and not Path(EMBEDDED).is_file()

    def _published(self) -> Published | None:
        """The set of this name; None if the table is a file.

        Raises
        ------
        DataError: neither a file nor a set, but a word that looks like the name of one.
        """
        if Path(self.table).expanduser().exists():
            return None
        found = PUBLISHED.get(self.table)
        looks = re.fullmatch(r"[\w-]+/[\w-]+", self.table)
        if found is None and looks and not self.table.lower().endswith(ENDINGS):
            known = did_you_mean(self.table, PUBLISHED)
            near = known if known.startswith("; did") else ""
            raise DataError(
                f"{self.table} is neither a file (looked from {Path.cwd()}) nor a published set{near}; "
                f"published sets: {', '.join(published_names())}"
            )
        return found

    def tasks(self) -> list[Task]:
        """None for a file, which is quick to read; one for the embedded alloys."""
        return EmtAlloys(random_cells=self.random_cells).tasks() if self._embedded else []

    def target_kind(self) -> TargetKind | None:
        """What kind of target this is, at a look; None where that cannot be told.

        A file that is missing or no table gives None: the words come when it is read.
        """
        try:
            return "value" if self._embedded else self._look()
        except Exception:  # noqa: BLE001 - whatever is wrong is said by samples()
            return None

    def brings_split(self) -> bool:
        """Whether the rows say of themselves where they belong: a column, or the files of a published set."""
        if self.split is not None or self._embedded:
            return self.split is not None
        try:
            published = self._published()
        except DataError:  # said by samples()
            return False
        return published is not None and len({file.part for file in published.files}) > 1

    def _look(self) -> TargetKind | None:
        published = self._published()
        targets = (self.target,) if isinstance(self.target, str) else self.target
        if published is not None and (targets is None or published.knows(targets)):
            return published.kind
        if targets is None or len(targets) > 1:
            return "value" if published is not None or existing(self.table) else None
        if published is not None:
            from vitrine.simulate.published_files import found

            if not all(found(published, file) for file in published.files):
                return None  # nothing is fetched for a look
            column = self._published_frame(published, ())[0][targets[0]]
        else:
            path = existing(self.table)
            if targets[0] == formula_column(path, column_names(path), self.formula):
                return None
            column = one_column(path, targets[0])
        words = as_words(column)
        if words is None:
            return "value" if as_numbers(column).notna().any() else None
        return "binary" if words[words != ""].nunique() == 2 else "classes"

    def samples(self, outcomes: Sequence[Outcome] = ()) -> Samples:
        """Read the file or the published set, or the embedded alloys.

        Raises
        ------
        DataError: no such file or column, not a table, rows that cannot be used, or a published set
            that is not at hand and cannot be fetched.
        """
        if self._embedded:
            return self._alloys(outcomes)
        published = self._published()
        rows = self._own_rows(existing(self.table)) if published is None else self._set_rows(published)
        return self._checked(rows)

    def _own_rows(self, path: Path) -> _Rows:
        columns = column_names(path)
        formula = formula_column(path, columns, self.formula)
        frame = read_rows(path, columns, self._text_columns(path, columns, formula), self._at_once())
        about = {"table": path.name, "sha256": hash_file(path), "formula": formula}
        targets = self._targets_in(path, frame, formula, None)
        return _Rows(str(path), stem_of(path), frame, formula, targets, about, self.split)

    def _set_rows(self, published: Published) -> _Rows:
        formula = self.formula or published.formula
        text = [name for name in (formula, self.group, self.split, self.id) if name is not None]
        frame, sums = self._published_frame(published, tuple(dict.fromkeys(text)))
        self._text_columns(self.table, [str(name) for name in frame.columns], formula)
        targets = self._targets_in(self.table, frame, formula, published.target)
        about: dict[str, Any] = {
            "table": self.table,
            "sha256": sums[0] if len(sums) == 1 else sums,
            "formula": formula,
            "licence": published.licence,
            "citations": list(published.citations),
        }
        unit = published.unit_of(targets[0])
        about |= {"unit": unit} if unit is not None else {}
        about |= {"note": published.note} if published.note is not None else {}
        split = self.split or ("split" if published.split else None)
        return _Rows(self.table, self.table, frame, formula, targets, about, split, published)

    def _published_frame(self, published: Published, text: tuple[str, ...]) -> tuple[pd.DataFrame, list[str]]:
        """All rows of a set, indexed by their number from 0, and the checksums of its files."""
        import pandas as pd

        from vitrine.simulate.published_files import content, plain_name

        parts, start = [], 0
        for file in sorted(published.files, key=lambda file: PARTS.index(file.part or "train")):
            data = content(self.table, published, file)
            part = rows_of_bytes(data, plain_name(file), text)
            part.index = pd.RangeIndex(start, start + len(part))
            if published.split:
                part = part.rename(columns={"split": "split (table)"}).assign(split=file.part)
            first = self._at_once(published)
            if first is not None:
                bounds = [first * n // published.rows for n in (start, start + len(part))]
                part = part.iloc[: bounds[1] - bounds[0]]
            start += file.rows
            parts.append(part)
        asked = (self.target,) if isinstance(self.target, str) else self.target or ()
        short = {published.aliases[name]: name for name in asked if name in published.aliases}
        return pd.concat(parts).rename(columns=short), [file.sha256 for file in published.files]

    def _at_once(self, published: Published | None = None) -> int | None:
        """The limit, if it is that of the rows as they are read: nothing is left out of them before."""
        later = published is not None and published.may_be_empty
        return None if later or self.draw_seed is not None or self.most_atoms is not None else self.limit

    def _text_columns(self, where: object, columns: Sequence[str], formula: str) -> list[str]:
        """Columns that are read as text, checked to be there."""
        roles = {"formula": formula, "group": self.group, "split": self.split, "id": self.id}
        names = [column_of(where, columns, name, role) for role, name in roles.items() if name is not None]
        return list(dict.fromkeys(names))

    def _targets_in(
        self, where: object, frame: pd.DataFrame, formula: str, usual: str | None
    ) -> tuple[str, ...]:
        taken = [name for name in (formula, self.group, self.split, self.id) if name is not None]
        asked = usual if self.target is None else self.target
        if asked is None:
            return (only_numeric(where, frame, taken),)
        columns = [str(name) for name in frame.columns]
        names = (asked,) if isinstance(asked, str) else asked
        for name in names:
            if column_of(where, columns, name, "target") in taken:
                raise DataError(
                    f"{where}: {name!r} is already the formula, group, split or id, not the target"
                )
        return names

    def _chosen(self, rows: _Rows) -> tuple[pd.DataFrame, dict[str, Any]]:
        """The rows that are used, and what is to be told of the table."""
        frame, where, about = rows.frame, rows.where, dict(rows.about)
        if rows.published is not None and rows.published.may_be_empty:
            kept = filled(read_targets(where, frame, rows.targets))
            about["without_target"] = len(frame) - len(kept)
            frame = frame.iloc[kept]
        if self.most_atoms is not None:
            kept = small_enough(where, frame, self.most_atoms)
            about["larger"] = len(frame) - len(kept)
            frame = frame.iloc[kept]
        if self.limit is not None and self._at_once(rows.published) is None:
            parts = rows.published is not None and rows.published.split
            sizes = [int((frame["split"] == part).sum()) for part in PARTS] if parts else [len(frame)]
            frame = frame.iloc[limited(sizes, self.limit, self.draw_seed)]
        return frame, about

    def _checked(self, rows: _Rows) -> Samples:
        where = rows.where
        frame, about = self._chosen(rows)
        targets = read_targets(where, frame, rows.targets)
        numbers = frame.index.to_numpy()
        reduced, reasons = reduce_formulas(frame[rows.formula])
        for row, reason in targets.reasons.items():
            reasons.setdefault(row, reason)
        groups = reduced if self.group is None else list(frame[self.group])
        for row, name in enumerate(groups):
            if not name:
                reasons.setdefault(row, f"{self.group} is missing")
        attributes = {}
        if rows.split is not None:
            attributes["split"], wrong = split_numbers(frame[rows.split])
            reasons = {**wrong, **reasons}
        if self.id is not None:
            reasons = {**double_ids(frame[self.id], numbers), **reasons}
        skip = self.skip_bad or rows.published is not None  # the user cannot correct a published set
        keep = [row for row in range(len(frame)) if row not in reasons]
        if reasons and not (skip and keep):
            raise DataError(refusal(where, reasons, len(frame), numbers))
        ids = [f"{rows.stem}:{number + 1}" for number in numbers]
        named = ids if self.id is None else [f"{rows.stem}:{name}" for name in frame[self.id]]
        refused = refused_rows(frame, rows.formula, targets.names, reasons, numbers)
        items = _items(frame, rows.formula, targets).iloc[keep].reset_index(drop=True)
        items.attrs["refused"] = refused
        about |= {"target": targets.names[0], "targets": list(targets.names)}
        about |= {"rows": len(frame), "skipped": len(reasons)}
        return Samples(
            kind="formulas",
            items=items,
            ids=tuple(named[row] for row in keep),
            groups=tuple(str(groups[row]) for row in keep),
            about=about,
            left_out={
                ids[row] if self.id is None else f"{rows.stem}:row {numbers[row] + 1}": reasons[row]
                for row in sorted(reasons)
            },
            attributes={name: values[keep] for name, values in attributes.items()},
        )

    def _alloys(self, outcomes: Sequence[Outcome]) -> Samples:
        samples = EmtAlloys(keep=self.keep).samples(outcomes)
        known = samples.about["target"]
        if self.target not in (None, known, (known,)):
            raise DataError(
                f"the embedded table {EMBEDDED} has the target {known!r} only, not {self.target!r}; "
                "give your own table with source.table=FILE"
            )
        if self.most_atoms is not None:
            samples = samples.select(small_enough(EMBEDDED, samples.items, self.most_atoms).tolist())
        if self.limit is not None:
            samples = samples.select(limited([len(samples)], self.limit, self.draw_seed).tolist())
        return samples


def _items(frame: pd.DataFrame, formula: str, targets: Targets) -> pd.DataFrame:
    """The table of samples: columns ``formula`` and ``target``, and those of the file."""
    main = targets.names[0]
    frame = frame.assign(**targets.columns)
    if len(targets.names) == 1:
        return renamed(frame, {formula: "formula", main: "target"})
    frame = renamed(frame, {formula: "formula"})
    if main == "target":
        return frame
    if "target" in frame.columns:
        frame = frame.rename(columns={"target": "target (table)"})
    return frame.assign(target=targets.columns[main])


def read_formulas(path: str | Path, formula: str | None = None, skip_bad: bool = False) -> pd.DataFrame:
    """Read a table to predict for: no target needed.

    Returns the file's columns with that of the formulas renamed ``formula``; the index, named
    ``row``, counts rows from 1 after the header. With ``skip_bad`` the rows that cannot be used
    are absent, ``attrs["left_out"]`` maps their numbers to the reasons, and ``attrs["refused"]`` are
    those rows for :func:`write_refused`.

    Raises
    ------
    DataError: no such file or column, not a table, or formulas that cannot be read.
    """
    import pandas as pd

    path = existing(path)
    columns = column_names(path)
    name = formula_column(path, columns, formula)
    frame = read_rows(path, columns, [name], None)
    _, reasons = reduce_formulas(frame[name])
    keep = [row for row in range(len(frame)) if row not in reasons]
    if reasons and not (skip_bad and keep):
        raise DataError(refusal(path, reasons, len(frame)))
    refused = refused_rows(frame, name, (), reasons, range(len(frame)))
    frame = renamed(frame, {name: "formula"}).iloc[keep]
    frame.index = pd.Index([row + 1 for row in keep], name="row")
    frame.attrs["left_out"] = {row + 1: reason for row, reason in sorted(reasons.items())}
    frame.attrs["refused"] = refused
    return frame
