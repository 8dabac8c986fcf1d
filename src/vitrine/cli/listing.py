"""What ``vitrine list`` and ``vitrine store`` print."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import typer

from vitrine.errors import DataError, VitrineError


def print_list() -> None:
    """Studies, scales, and the parts of every stage."""
    from vitrine.study import shelf
    from vitrine.study.spec import SCALES, preset_names, read_study

    typer.echo("studies")
    for name in preset_names():
        typer.echo(f"  {name:<22} {read_study(name)[0]['title']}")
    typer.echo("scales\n  " + ", ".join(SCALES))
    for stage in shelf.STAGES:
        if stage == "claim":
            continue
        typer.echo(f"{stage}s")
        for kind in sorted(shelf.kinds(stage)):
            try:
                summary = shelf.part_class(stage, kind).summary
            except VitrineError as error:  # a part of another package
                summary = str(error).splitlines()[0]
            typer.echo(f"  {kind:<22} {summary}")


def print_store(root: Path | None, total_only: bool = False) -> None:
    """Entries of the store, or only their number and size by kind.

    Raises
    ------
    DataError: what was given is no folder.
    """
    from vitrine.campaign.store import Store, default_root

    store = Store(root or default_root())
    if store.root.exists() and not store.root.is_dir():
        raise DataError(f"--store {store.root} is a file; a store is a folder")
    sizes: dict[str, list[int]] = defaultdict(list)
    for entry in store.entries():
        sizes[entry.kind].append(entry.size)
        if not total_only:
            typer.echo(f"{entry.key[:12]}  {entry.kind:<10} {entry.size / 1e3:10.1f} kB  {entry.label}")
    for kind, found in sorted(sizes.items()):
        typer.echo(f"{kind:<12} {len(found):6d} entries {sum(found) / 1e6:10.2f} MB")
    number, size = sum(map(len, sizes.values())), sum(map(sum, sizes.values()))
    typer.echo(f"{number} entries, {size / 1e6:.2f} MB in {store.root}")


def prune_store(root: Path | None) -> None:
    """Remove broken and unfinished entries, and say what went.

    Raises
    ------
    DataError: what was given is no folder.
    """
    from vitrine.campaign.store import Store, default_root

    store = Store(root or default_root())
    if not store.root.is_dir():
        raise DataError(f"there is no store at {store.root}")
    counts = store.prune()
    typer.echo(f"removed {counts['unfinished']} unfinished and {counts['broken']} broken entries")
    if counts["in use"]:
        typer.echo(f"{counts['in use']} unfinished entries are in use by a running command and stay")
