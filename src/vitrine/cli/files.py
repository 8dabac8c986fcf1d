"""Commands on files of the user's own: measure and predict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vitrine.errors import DataError, InputError, did_you_mean

if TYPE_CHECKING:
    from ase import Atoms

MOST_NEIGHBOURS = 10_000
"""of an atom, in D2min"""
TABLES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class PredictOptions:
    """What the user said about the files."""

    directions: Sequence[str] | None
    elements: Sequence[str] | None
    potential: str | None
    relax: bool
    formula: str | None
    skip_bad: bool
    axis: str | None = None
    pitch: str | None = None
    unit: str | None = None
    reload: float | None = None
    reference: Path | None = None


def targets(files: Sequence[Path], out: Path | None, suffix: str) -> list[Path]:
    """Where the answer to each file goes: beside it, into the folder ``out``, or to the file ``out``.

    Raises
    ------
    InputError: two answers, or an answer and a file that is read, would be one file; or there can
        be no such file.
    """
    folder = out is not None and (len(files) > 1 or out.is_dir())
    if out is not None and folder and out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; the answers to {len(files)} files need a folder")
    found: dict[Path, Path] = {}
    for path in files:
        stem = path.name.removesuffix(".gz") if path.name.endswith(".csv.gz") else path.name
        name = stem.removesuffix(Path(stem).suffix) + suffix
        target = path.with_name(name) if out is None else out / name if folder else out
        if target in found:
            raise InputError(
                f"{found[target]} and {path} would both be answered in {target}; do one at a time"
            )
        if any(target.absolute() == read.absolute() for read in files):
            raise InputError(f"--out {target} is a file to be read; write to another one")
        if target.is_dir():
            raise InputError(f"{target} is a folder; give a file with --out")
        found[target] = path
    for target in found:
        writable_parent(target)
    return list(found)


def writable_parent(path: Path) -> None:
    """Make the folder that a file is to be written into, before any work is spent on it.

    Raises
    ------
    InputError: that is not possible.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error} ({path.parent})") from error


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes ``path`` when all is written."""
    temporary = path.with_name(path.name + ".part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, frames: list[Atoms]) -> None:
    from vitrine.physics.extended_xyz import write_extxyz

    with _written(path) as temporary:
        write_extxyz(temporary, frames)
    typer.echo(f"wrote {path}")


@dataclass(frozen=True)
class MeasureOptions:
    """What the user wants to know of the files."""

    fields: Sequence[str]
    elements: Sequence[str] | None = None
    cutoff: float = 3.8
    potential: str | None = None
    relax: bool = False
    directions: Sequence[str] | None = None
    soft_fraction: float = 0.01


def measure_files(files: Sequence[Path], options: MeasureOptions, out: Path | None) -> None:
    """Add fields to every frame and write extxyz."""
    from vitrine.measure.fields import FIELDS, FieldOptions, measure_frames
    from vitrine.physics.configurations import read_configurations

    if not options.fields:
        raise InputError(f"--fields: name at least one of {', '.join(FIELDS)}")
    for field in options.fields:
        if field not in FIELDS:
            raise InputError(f"--fields: no field {field!r}{did_you_mean(field, FIELDS)}")
    if not 0 < options.cutoff < math.inf:
        raise InputError(f"--cutoff: expected a length in Å, not {options.cutoff:g}")
    if not 0 < options.soft_fraction < 1:
        raise InputError(f"--soft-fraction: expected a number between 0 and 1, not {options.soft_fraction:g}")
    _check_elements(options.elements)
    _check_directions(options.directions)
    if options.potential is not None:
        _check_potential(options.potential)
    chosen = FieldOptions(
        potential=options.potential,
        relax=options.relax,
        directions=tuple(dict.fromkeys(options.directions or ("xy",))),
        soft_fraction=options.soft_fraction,
        cutoff=options.cutoff,
    )
    places = targets(files, out, "-measured.extxyz")
    for path, place in zip(files, places, strict=True):
        frames = read_configurations(path, options.elements)
        _say_types(frames, options.elements, path)
        if "d2min" in options.fields:
            _check_cutoff(frames, options.cutoff, path)
        measure_frames(frames, options.fields, chosen, str(path), typer.echo)
        _write(place, frames)


def _check_potential(potential: str) -> None:
    """Before a file is read."""
    from vitrine.physics.lammps import find_potential, potential_style

    try:
        potential_style(find_potential(potential))
    except DataError as error:
        raise InputError(f"--potential: {error}") from error


def _say_types(frames: Sequence[Atoms], elements: Sequence[str] | None, path: Path) -> None:
    """What the atom types of a file were taken for; a mass that speaks against it is said too."""
    from vitrine.physics.configurations import describe_types

    line, warning = describe_types(frames, elements)
    typer.echo(f"{path}: {line}")
    if warning is not None:
        typer.echo(f"warning: {path}: {warning}", err=True)


def _check_elements(elements: Sequence[str] | None) -> None:
    if elements is not None and not elements:
        raise InputError("--elements: name the symbols of the atom types in order, for example Cu,Zr")


def _check_directions(directions: Sequence[str] | None) -> None:
    from vitrine.physics.rotation import DIRECTIONS

    for direction in directions or ():
        if direction not in DIRECTIONS:
            known = did_you_mean(direction, DIRECTIONS)
            raise InputError(f"--direction: no shear direction {direction!r}{known}")


def _check_cutoff(frames: Sequence[Atoms], cutoff: float, path: Path) -> None:
    """A slip in the unit would fill the memory."""
    for atoms in frames:
        neighbours = 4.19 * cutoff**3 * len(atoms) / float(abs(atoms.cell.volume))
        if neighbours > MOST_NEIGHBOURS:
            raise InputError(
                f"--cutoff: {cutoff:g} Å gives each atom of {path} about {neighbours:.0g} neighbours, and at "
                f"most {MOST_NEIGHBOURS:,} are taken; a few Å are usual"
            )


def predict_files(
    model: str | Path,
    files: Sequence[Path],
    options: PredictOptions,
    out: Path | None,
    store: Path | None,
) -> None:
    """Predict every file with a stored model."""
    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.face import load_model

    _check_directions(options.directions)
    _check_elements(options.elements)
    loaded = load_model(model)
    if not loaded.verified:
        typer.echo(f"note: {loaded.folder} was written in format 1, without checksums", err=True)
    takes = getattr(loaded.representation, "takes", "")
    _check_map_options(loaded, takes, options)
    if takes == "maps":
        for path, place in zip(files, targets(files, out, "-predicted.csv"), strict=True):
            _predict_maps(loaded, path, options, place)
        return
    of_tables = takes == "formulas"
    of_crystals = of_tables and _sees_structures(loaded.representation)
    crystals = [path for path in files if of_crystals and _is_crystal(path)]
    if crystals:
        _predict_crystals(loaded, crystals, files, options, out, store)
        return
    for path in files:
        if path.name.lower().endswith(TABLES) != of_tables:
            wanted = "a configuration of atoms"
            if of_tables:
                wanted = "a table of formulas (.csv)"
                wanted += ", or crystals (.cif, POSCAR, .extxyz)" if of_crystals else ""
            raise DataError(f"{path}: the model {loaded.name} of {loaded.study} needs {wanted}")
    places = targets(files, out, "-predicted.csv" if of_tables else "-predicted.extxyz")
    predict_one = _predict_table if of_tables else _predict_atoms
    with Campaign(store or default_root()) as campaign:
        for path, place in zip(files, places, strict=True):
            predict_one(loaded, path, campaign, options, place)


def _check_map_options(loaded: Any, takes: str, options: PredictOptions) -> None:
    """Options of strain maps, before a file is read."""
    given = {name: getattr(options, name) for name in ("axis", "pitch", "unit", "reload", "reference")}
    named = [name for name, value in given.items() if value is not None]
    if takes != "maps" and named:
        raise InputError(f"--{named[0]}: the model {loaded.name} of {loaded.study} takes no strain maps")
    for name, known in (("axis", ("x", "y")), ("unit", ("fraction", "percent", "microstrain"))):
        if given[name] is not None and given[name] not in known:
            raise InputError(f"--{name}: no {given[name]!r}{did_you_mean(str(given[name]), known)}")
    if options.reload is not None and not 0 < options.reload <= 100:
        raise InputError(f"--reload: expected a strain in % above 0, not {options.reload:g}")


def _predict_maps(loaded: Any, path: Path, options: PredictOptions, out: Path) -> None:
    from vitrine.physics.strain_files import parse_length, read_strain_maps
    from vitrine.study.predict_maps import predict_maps, summary

    axis: Any = options.axis
    unit: Any = options.unit
    try:
        pitch = None if options.pitch is None else parse_length(options.pitch)
    except DataError as error:
        raise InputError(f"--pitch: {error}") from error
    maps = read_strain_maps(path, axis=axis, pitch=pitch, unit=unit, reference=options.reference)
    told = predict_maps(loaded, maps, options.reload)
    for row in told.table.to_dict("records"):
        typer.echo(summary({str(key): value for key, value in row.items()}, loaded.class_names))
    for words in told.warnings:
        typer.echo(f"warning: {words}", err=True)
    tables = {out: told.table}
    for name, table in (("neighbours", told.neighbours), ("curve", told.curves)):
        if len(table):
            tables[out.with_name(f"{out.stem}-{name}.csv")] = table
    for place, table in tables.items():
        with _written(place) as temporary:
            table.to_csv(temporary, index=False)
        typer.echo(f"wrote {place}")


def _predict_table(loaded: Any, path: Path, campaign: Any, options: PredictOptions, out: Path) -> None:
    from vitrine.simulate.table import write_refused
    from vitrine.study.predict import predict_table

    frame = predict_table(loaded, path, campaign, options.formula, options.skip_bad)
    for row, reason in frame.attrs.get("left_out", {}).items():
        typer.echo(f"left out: row {row}: {reason}", err=True)
    with _written(out) as temporary:
        frame.to_csv(temporary, index=False)
    typer.echo(f"wrote {out}: {len(frame)} rows")
    refused = frame.attrs.get("refused", ())
    if refused:
        place = out.with_name(f"{out.stem}-refused.csv")
        with _written(place) as temporary:
            write_refused(temporary, refused)
        typer.echo(f"wrote {place}: {len(refused):,} rows that were left out")


def _sees_structures(representation: Any) -> bool:
    """Whether a representation of formulas, or a part of it, looks at the crystal too."""
    parts = (representation, *getattr(representation, "of", ()))
    return any(getattr(part, "structures", False) for part in parts)


def _is_crystal(path: Path) -> bool:
    from vitrine.physics.crystal_files import is_crystal_file

    return path.is_file() and is_crystal_file(path)


def _predict_crystals(
    loaded: Any,
    crystals: Sequence[Path],
    files: Sequence[Path],
    options: PredictOptions,
    out: Path | None,
    store: Path | None,
) -> None:
    """All crystals in one table: file, formula, what is predicted."""
    import pandas as pd

    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.physics.crystal_files import read_crystal
    from vitrine.physics.crystals import columns_of
    from vitrine.study.predict import predict_formulas

    other = next((path for path in files if path not in crystals), None)
    if other is not None:
        raise DataError(f"{other} is no crystal, as {crystals[0]} is: predict tables and crystals apart")
    single = targets(crystals, out, "-predicted.csv")[0] if len(crystals) == 1 else None
    place = single or (out if out is not None and not out.is_dir() else (out or Path()) / "predicted.csv")
    writable_parent(place)
    names, found = [], []
    for path in crystals:
        try:
            found.append(read_crystal(path))
            names.append(str(path))
        except DataError as error:
            if not options.skip_bad:
                raise DataError(f"{path}: {error}") from error
            typer.echo(f"left out: {path}: {error}", err=True)
    if not found:
        raise DataError("none of the files holds a crystal that can be used")
    structures = columns_of(found)
    frame = pd.DataFrame({"file": names, "formula": [one.formula() for one in found], **structures})
    with Campaign(store or default_root()) as campaign:
        told = predict_formulas(loaded, frame.set_index("file", drop=False), campaign, "crystal")
    with _written(place) as temporary:
        told.drop(columns=list(structures)).to_csv(temporary, index=False)
    typer.echo(f"wrote {place}: {len(told)} crystals")


def _predict_atoms(loaded: Any, path: Path, campaign: Any, options: PredictOptions, out: Path) -> None:
    from vitrine.physics.configurations import read_configurations
    from vitrine.physics.rotation import DIRECTIONS
    from vitrine.study.predict import predict_frames

    elements = options.elements or elements_of_model(loaded)
    given = read_configurations(path, elements)
    _say_types(given, elements, path)
    bonds: list[Any] = []
    frames, warnings = predict_frames(
        loaded,
        given,
        campaign,
        directions=tuple(dict.fromkeys(options.directions or DIRECTIONS)),
        potential=options.potential,
        relax=options.relax,
        name=str(path),
        say=typer.echo,
        bonds=bonds,
    )
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    _write(out, frames)
    if bonds:
        import pandas as pd

        table = out.with_name(f"{out.stem}-bonds.csv")
        with _written(table) as temporary:
            pd.concat(bonds).to_csv(temporary, index=False)
        typer.echo(f"wrote {table}: attention of {sum(map(len, bonds)):,} directed bonds")


def elements_of_model(loaded: Any) -> list[str] | None:
    """Symbols for the types of a dump in reduced units, where no element is meant: those of the training."""
    from vitrine.study.predict_plane import is_reduced

    return list(loaded.source["elements"]) if is_reduced(loaded.source) else None
