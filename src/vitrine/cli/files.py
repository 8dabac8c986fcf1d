"""Commands on files of the user's own: measure and predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vitrine.errors import DataError, StudyError, did_you_mean

if TYPE_CHECKING:
    from ase import Atoms

FIELDS = ("voronoi", "d2min")
TABLES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class PredictOptions:
    """What the user said about the files."""

    directions: Sequence[str] | None
    elements: Sequence[str] | None
    potential: str | None
    relax: bool
    formula: str | None


def _target(path: Path, out: Path | None, many: bool, suffix: str) -> Path:
    stem = path.name
    for ending in (".csv.gz", *[s for s in path.suffixes[-1:]]):
        stem = stem.removesuffix(ending)
    name = stem + suffix
    if out is None:
        return path.with_name(name)
    if many or out.is_dir():
        out.mkdir(parents=True, exist_ok=True)
        return out / name
    return out


def _write(path: Path, frames: list[Atoms]) -> None:
    from ase.io import write

    try:
        write(path, frames, format="extxyz")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    typer.echo(f"wrote {path}")


def measure_files(
    files: Sequence[Path],
    fields: Sequence[str],
    elements: Sequence[str] | None,
    cutoff: float,
    out: Path | None,
) -> None:
    """Add fields to every frame and write extxyz."""
    from vitrine.measure.fields import measure_frames
    from vitrine.physics.configurations import read_configurations

    for field in fields:
        if field not in FIELDS:
            raise StudyError(f"--fields: no field {field!r}{did_you_mean(field, FIELDS)}")
    for path in files:
        frames = read_configurations(path, elements)
        measure_frames(frames, fields, cutoff, str(path))
        _write(_target(path, out, len(files) > 1, "-measured.extxyz"), frames)


def predict_files(
    model: Path, files: Sequence[Path], options: PredictOptions, out: Path | None, store: Path | None
) -> None:
    """Predict every file with a stored model."""
    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.face import load_model

    loaded = load_model(model)
    takes: str = getattr(loaded.representation, "takes", "")
    with Campaign(store or default_root()) as campaign:
        for path in files:
            is_table = path.name.lower().endswith(TABLES)
            if is_table != (takes == "formulas"):
                wanted = "a table of formulas (.csv)" if takes == "formulas" else "a configuration of atoms"
                raise DataError(f"{path}: the model {loaded.name} of {loaded.study} needs {wanted}")
            if is_table:
                _predict_table(loaded, path, campaign, options, _target(path, out, len(files) > 1, "-predicted.csv"))
            else:
                _predict_atoms(
                    loaded, path, campaign, options, _target(path, out, len(files) > 1, "-predicted.extxyz")
                )


def _predict_table(loaded: Any, path: Path, campaign: Any, options: PredictOptions, out: Path) -> None:
    from vitrine.study.predict import predict_table

    frame = predict_table(loaded, path, campaign, options.formula)
    frame.to_csv(out, index=False)
    typer.echo(f"wrote {out}: {len(frame)} rows")


def _predict_atoms(loaded: Any, path: Path, campaign: Any, options: PredictOptions, out: Path) -> None:
    from vitrine.physics.rotation import DIRECTIONS
    from vitrine.study.predict import predict_atoms

    frames, warnings = predict_atoms(
        loaded,
        path,
        campaign,
        directions=options.directions or DIRECTIONS,
        elements=options.elements,
        potential=options.potential,
        relax=options.relax,
    )
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    _write(out, frames)
