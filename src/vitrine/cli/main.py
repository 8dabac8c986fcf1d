"""The command line: parse, call, print."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
import typer.core

from vitrine.cli.explain import app as explain_app
from vitrine.cli.sharing import MODEL, pull, push
from vitrine.cli.simulate import SimulateGroup
from vitrine.errors import InputError, VitrineError

_OF_THE_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP)


class Interrupted(VitrineError):
    """Ctrl-C."""

    exit_code = 130


class _Commands(typer.core.TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            words = "interrupted; the same command continues where this one stopped"
            raise Interrupted(words) from None
        except OSError as error:
            if error.errno in _IN_THE_WAY and error.filename:
                words = "give another name, or move away what is in its place"
                raise InputError(f"{error.strerror}: {error.filename2 or error.filename}; {words}") from error
            full = os.strerror(errno.ENOSPC) in str(error)  # HDF5 gives no number
            if error.errno not in _OF_THE_DISK and not full:
                raise
            words = os.strerror(errno.ENOSPC) if full else str(error.strerror)
            raise InputError(
                f"{words}: {error.filename or 'the disk that is written to'}; make room, or write elsewhere "
                "(--out, --store): the same command then continues"
            ) from error


app = typer.Typer(
    cls=_Commands,
    name="vitrine",
    help="From simulations and tables of materials to predictions that can be checked.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
simulate_app = typer.Typer(
    cls=SimulateGroup, help="One source alone: make its samples.", no_args_is_help=True
)
app.add_typer(simulate_app, name="simulate")
app.add_typer(explain_app, name="explain")


@simulate_app.callback()
def _simulate() -> None:
    """Make the samples of one source; `vitrine simulate KIND --help` lists its settings."""


store_app = typer.Typer(help="Finished work, kept for resuming.", no_args_is_help=True)
app.add_typer(store_app, name="store")

Store = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads this at run time
    typer.Option("--store", help="folder of the store [default: $VITRINE_STORE or the user's cache]"),
]
Workers = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--workers", min=0, help="worker processes; 0 is this process [default: 0 at smoke, else 2]"
    ),
]
Stall = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--stall", metavar="SECONDS", help="end a worker whose task tells of no progress for so long [14400]"
    ),
]
Memory = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--memory", metavar="GIB", help="for all local workers [90 % of the machine's]"),
]
Sets = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", metavar="KEY=VALUE", help="override a setting, e.g. source.specimens=20"),
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="leave out rows of a table that cannot be read, and go on")
]
ScaleOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--scale", help="smoke (a minute) | demo (minutes) | laptop (an hour) | paper"),
]


@app.command("list")
def list_parts() -> None:
    """The studies, scales and parts."""
    from vitrine.cli.listing import print_list

    print_list()


@app.command()
def init(
    study: Annotated[str, typer.Argument(help="name of a study, see `vitrine list`")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--out", help="file to write [default: STUDY.yaml]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file if it exists")] = False,
) -> None:
    """Write the study file of a study, to edit."""
    from vitrine.study.spec import preset_text

    text = preset_text(study)
    path = out or Path(f"{study}.yaml")
    if path.is_dir():
        path = path / f"{study}.yaml"
    if path.suffix not in {".yaml", ".yml"}:
        raise InputError(f"--out {path}: the name of a study file ends in .yaml")
    if path.exists() and not force:
        raise InputError(f"{path} exists; use --force to overwrite it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    typer.echo(f"wrote {path}; run it with: vitrine run {path} --scale smoke")


@app.command()
def schema() -> None:
    """The JSON schema of study files, for editors."""
    import json

    from vitrine.study.schema import study_schema

    typer.echo(json.dumps(study_schema(), indent=1))


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="name of a study or a study file (.yaml)")],
    scale: ScaleOption = None,
    sets: Sets = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", "-o", help="run folder [default: runs/STUDY-SCALE]"),
    ] = None,
    workers: Workers = None,
    scheduler: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--scheduler", help="a running Dask scheduler, tcp://host:8786"),
    ] = None,
    slurm: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--slurm", metavar="SITE.yaml", help="do the work in jobs of a batch system"),
    ] = None,
    skip_bad: SkipBad = False,
    tracks: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--tracks", metavar="A,B", help="names of the tracks to run [default: all]"),
    ] = None,
    models: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--models", metavar="A,B", help="names of the models to train [default: all]"),
    ] = None,
    store: Store = None,
    stall: Stall = None,
    memory: Memory = None,
) -> None:
    """Run a study from source to report; what is finished already is reused."""
    from rich.console import Console

    from vitrine import face
    from vitrine.study.spec import load_study

    overrides = [*(sets or []), *(["source.skip_bad=true"] if skip_bad else [])]
    wanted = [
        [name.strip() for name in (names or "").split(",") if name.strip()] for names in (tracks, models)
    ]
    checked = load_study(study, scale, overrides, *wanted)
    folder = out or Path("runs") / f"{checked.study}-{checked.scale}"
    count = workers if workers is not None else (0 if checked.scale == "smoke" else 2)
    console = Console(file=sys.stdout)
    options: dict[str, Any] = {"scheduler": scheduler, "store": store, "stall": stall, "memory": memory}
    options |= {"slurm": slurm, "command": shlex.join(["vitrine", *sys.argv[1:]])}
    face.run(checked, folder, workers=count, console=console, **options)


@app.command("slurm-script")
def slurm_script(site: Annotated[Path, typer.Argument(help="site file, as for --slurm")]) -> None:
    """Show the job script that --slurm submits; nothing is submitted."""
    from vitrine.campaign.slurm import job_script
    from vitrine.study.site import read_site

    typer.echo(job_script(read_site(site)).rstrip("\n"))


@app.command()
def measure(
    files: Annotated[list[Path], typer.Argument(help="LAMMPS dumps or data files, extxyz, POSCAR, CIF")],
    fields: Annotated[
        str,
        typer.Option(
            "--fields",
            help="comma-separated: voronoi, d2min, coordination; with --potential also energy, stress, "
            "participation, stiffness, response",
        ),
    ] = "voronoi",
    elements: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--elements", help="symbols of atom types 1, 2, ..., e.g. Cu,Zr"),
    ] = None,
    cutoff: Annotated[float, typer.Option("--cutoff", min=0.1, help="Å, neighbours in D2min")] = 3.8,
    potential: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--potential", help="eam.fs or eam.alloy file, e.g. CuZr_mm.eam.fs"),
    ] = None,
    relax: Annotated[bool, typer.Option("--relax", help="minimise the configuration first")] = False,
    direction: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--direction", help="shear direction of stiffness and response, repeatable [default: xy]"
        ),
    ] = None,
    soft_fraction: Annotated[
        float, typer.Option("--soft-fraction", help="of the modes that count as soft, in participation")
    ] = 0.01,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--out", help="extxyz file or folder [default: FILE-measured.extxyz]"),
    ] = None,
) -> None:
    """Write per-atom fields beside the columns of a file of your own."""
    from vitrine.cli.files import MeasureOptions, measure_files

    options = MeasureOptions(
        fields=_words(fields),
        elements=None if elements is None else _words(elements),
        cutoff=cutoff,
        potential=potential,
        relax=relax,
        directions=direction,
        soft_fraction=soft_fraction,
    )
    measure_files(files, options, out)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help=MODEL)],
    files: Annotated[
        list[Path], typer.Argument(help="dumps, extxyz, ... tables of formulas (.csv), or strain maps")
    ],
    direction: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--direction", help="shear direction, repeatable [default: all six]"),
    ] = None,
    elements: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--elements", help="symbols of atom types 1, 2, ..., e.g. Cu,Zr"),
    ] = None,
    potential: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--potential", help="potential file [default: the one the model was trained with]"),
    ] = None,
    relax: Annotated[bool, typer.Option("--relax", help="minimise the configuration first")] = False,
    formula: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--formula", help="column of formulas [default: found by its name]"),
    ] = None,
    skip_bad: SkipBad = False,
    axis: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--axis", help="strain maps: x or y, along which the specimen was loaded"),
    ] = None,
    reload: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--reload", help="strain maps: strain [%] of the reload [default: from the map's mean]"),
    ] = None,
    pitch: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--pitch", help="strain maps: between two points, e.g. 2nm [default: the file's own]"),
    ] = None,
    unit: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--unit", help="strain maps: fraction, percent or microstrain [default: the file's own]"
        ),
    ] = None,
    reference: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--reference", help="strain maps: map of the unloaded state, which is subtracted"),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--out", help="file or folder to write"),
    ] = None,
    store: Store = None,
) -> None:
    """Apply a trained model to files of your own."""
    from vitrine.cli.files import PredictOptions, predict_files

    options = PredictOptions(
        directions=direction,
        elements=None if elements is None else _words(elements),
        potential=potential,
        relax=relax,
        formula=formula,
        skip_bad=skip_bad,
        axis=axis,
        pitch=pitch,
        unit=unit,
        reload=reload,
        reference=reference,
    )
    predict_files(model, files, options, out, store)


app.command()(push)
app.command()(pull)


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(help="run folder")]) -> None:
    """Make the report again from stored results."""
    from vitrine.report import render_folder

    typer.echo(f"report: {render_folder(run_dir).resolve()}")


@store_app.command("list")
def store_list(store: Store = None) -> None:
    """Finished entries."""
    from vitrine.cli.listing import print_store

    print_store(store)


@store_app.command("size")
def store_size(store: Store = None) -> None:
    """How much room the store takes."""
    from vitrine.cli.listing import print_store

    print_store(store, total_only=True)


@store_app.command("prune")
def store_prune(store: Store = None) -> None:
    """Remove broken and unfinished entries; those that a running command works on stay."""
    from vitrine.cli.listing import prune_store

    prune_store(store)


def _version(value: bool) -> None:
    if value:
        import vitrine

        typer.echo(f"vitrine {vitrine.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version and exit")
    ] = False,
) -> None:
    """From simulations and tables of materials to predictions that can be checked."""


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def main() -> None:
    """Entry point. Exit codes: 0 done, 2 the user's input, 1 ours, 130 interrupted."""
    try:
        app()
    except VitrineError as error:
        typer.echo(f"vitrine: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
