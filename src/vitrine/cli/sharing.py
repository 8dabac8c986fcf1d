"""Commands that share models: push and pull."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

MODEL = "model folder (RUN/models/gat), hf:OWNER/NAME[@REVISION], or a study whose model ships"


def push(
    model: Annotated[str, typer.Argument(help=MODEL)],
    repo: Annotated[str, typer.Argument(help="OWNER/NAME, or folder:PATH of the copy")],
    to: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--to",
            "--endpoint",
            help="a folder that serves as hub, or a server [default: $HF_ENDPOINT or huggingface.co]",
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="a new repository is for you alone")] = False,
) -> None:
    """Put a model folder on a hub, to share it."""
    from vitrine.study.find_model import find_model
    from vitrine.study.hub import push as push_model

    typer.echo(f"pushed to {push_model(find_model(model), repo, to=to, private=private)}")


def pull(
    repo: Annotated[str, typer.Argument(help="OWNER/NAME[@REVISION], or folder:PATH")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--out", help="folder to write [default: NAME]"),
    ] = None,
    revision: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--revision", help="branch, tag or commit [default: main]"),
    ] = None,
    source: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from", "--endpoint", help="the hub, as --to of push"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the folder if it exists")] = False,
) -> None:
    """Copy a model folder from a hub and compare it with its checksums."""
    from vitrine.study.hub import pull as pull_model

    folder = pull_model(repo, out, revision=revision, source=source, force=force)
    typer.echo(f"pulled to {folder}; apply it with: vitrine predict {folder} FILE")
