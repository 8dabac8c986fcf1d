"""What ``vitrine list`` and ``vitrine store`` print."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import typer

from vitrine.errors import DataError, VitrineError


def print_list() -> None:
    """Studies, scales, and the parts of every stage; those of other packages with the package."""
    from vitrine.simulate.released_reader import shipped_names
    from vitrine.study import shelf
    from vitrine.study.find_model import shipped_models
    from vitrine.study.spec import SCALES, preset_names, presets_of_others

    studies, refused = presets_of_others()
    typer.echo("studies")
    for name in preset_names():
        package = studies[name].package if name in studies else None
        typer.echo(_line(name, _title(name), package))
    typer.echo("scales\n  " + ", ".join(SCALES))
    typer.echo("models that ship: vitrine predict NAME FILE...\n  " + ", ".join(shipped_models()))
    typer.echo("sets that ship: source.name\n  " + ", ".join(shipped_names()))
    for stage in shelf.STAGES:
        if stage == "claim":
            continue
        typer.echo(f"{stage}s")
        for kind in sorted(shelf.kinds(stage)):
            try:
                summary = shelf.summary_of(stage, kind)
            except VitrineError as error:  # it names the package
                typer.echo(_line(kind, str(error).splitlines()[0], None))
            else:
                typer.echo(_line(kind, summary, shelf.package_of(stage, kind)))
    refused = [*refused, *shelf.refused()]
    if refused:
        typer.echo("left out")
    for outsider in refused:
        typer.echo(_line(outsider.name, outsider.trouble or "", outsider.package))


def _line(name: str, words: str, package: str | None) -> str:
    return f"  {name:<22} {words}" + ("" if package is None else f"  [{package}]")


def _title(study: str) -> str:
    """Title of a study; of a broken one of another package what is wrong with it."""
    from vitrine.study.spec import preset_text, presets_of_others, read_study
    from vitrine.study.yaml_reader import read_yaml

    if (
        study not in presets_of_others()[0]
    ):  # a line of our own, which stands for itself; the whole takes 30 ms
        found = [line for line in preset_text(study).splitlines() if line.startswith("title: ")]
        return str(read_yaml(found[0])["title"])
    try:
        return str(read_study(study)[0]["title"])
    except KeyError:
        return "(without title)"
    except VitrineError as error:
        return str(error).splitlines()[0]


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
