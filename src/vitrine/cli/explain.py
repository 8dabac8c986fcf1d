"""Commands that look into a trained model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from vitrine.cli.sharing import MODEL

app = typer.Typer(help="Look into a trained model.", no_args_is_help=True)


@app.callback()
def _explain() -> None:
    """Look into a trained model."""


@app.command()
def landscape(
    model: Annotated[str, typer.Argument(help=MODEL)],
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--data", help="table of your own with the column that the model learned"),
    ] = None,
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="KEY=VALUE", help="a setting of the study file's section landscape"),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--out", help="folder to write [default: MODEL-landscape]"),
    ] = None,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--workers", min=0, help="worker processes; 0 is this process [default: 0]"),
    ] = None,
    store: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--store", help="folder of the store [default: $VITRINE_STORE or the user's cache]"),
    ] = None,
) -> None:
    """The loss around the trained weights: curves, a surface, curvature, and their numbers in a report."""
    from rich.console import Console

    from vitrine import face

    console = Console(file=sys.stdout)
    face.explain_landscape(
        model, out, data=data, settings=sets or (), workers=workers or 0, store=store, console=console
    )
