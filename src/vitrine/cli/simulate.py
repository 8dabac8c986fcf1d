"""``vitrine simulate KIND``: flags come from the settings class of the source."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, get_args, get_origin

import typer
import typer.core
from pydantic.fields import FieldInfo

from vitrine.cli.files import writable_parent
from vitrine.errors import InputError, did_you_mean


class SimulateGroup(typer.core.TyperGroup):
    """One command per source on the shelf, made when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Kinds of sources that simulate or make something."""
        from vitrine.study import shelf

        kinds = (kind for kind in sorted(shelf.kinds("source")) if shelf.is_part("source", kind))
        return [kind for kind in kinds if hasattr(shelf.find("source", kind), "export")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of one kind."""
        known = self.list_commands(ctx)
        if cmd_name not in known:
            raise InputError(f"nothing to simulate of kind {cmd_name!r}{did_you_mean(cmd_name, known)}")
        return _command(cmd_name)


def _command(kind: str) -> Any:
    """A typer command whose options are the fields of the settings class."""
    from vitrine.study import shelf

    part = shelf.part_class("source", kind)
    inherited = {name for base in part.__mro__[1:] for name in getattr(base, "model_fields", {})}
    # what a source adds to its base class is what a user sets first
    order = sorted(part.model_fields, key=lambda name: name in inherited)
    fields = {name: part.model_fields[name] for name in order if name != "kind"}
    scales: Mapping[str, Mapping[str, Any]] = getattr(part, "scales", {})

    def command(
        out: Path,
        workers: int,
        store: Path | None,
        stall: float | None,
        memory: float | None,
        scheduler: str | None,
        slurm: Path | None,
        scale: str | None = None,
        **settings: str | bool | None,
    ) -> None:
        given = _of_scale(scale, scales) | {
            name: said if isinstance(said, bool) else _value(name, fields[name], said)
            for name, said in settings.items()
            if said is not None
        }
        campaign: dict[str, Any] = {
            "workers": workers,
            "stall": stall,
            "memory": memory,
            "scheduler": scheduler,
        }
        if slurm is not None:
            from vitrine.study.site import read_site

            campaign["slurm"] = read_site(slurm)
        _simulate(kind, given, out, store, campaign)

    options: dict[str, tuple[Any, Any]] = {
        name: (
            (Optional[bool], typer.Option(None, _switch(name, field), help=_words(field)))  # noqa: UP045
            if bool in _kinds(field.annotation)
            # typer reads this at run time
            else (Optional[str], typer.Option(None, _flag(name), metavar="VALUE", help=_words(field)))  # noqa: UP045
        )
        for name, field in fields.items()
    }
    if scales:
        words = f"{' | '.join(scales)}: many settings at once; each of them that is given overrides it"
        options["scale"] = (Optional[str], typer.Option(None, "--scale", metavar="NAME", help=words))  # noqa: UP045
    options |= {
        "out": (Path, typer.Option(..., "-o", "--out", help="file to write")),
        "workers": (int, typer.Option(2, "--workers", min=0, help="worker processes; 0 is this process")),
        "store": (Optional[Path], typer.Option(None, "--store", help="folder of the store")),  # noqa: UP045
        "stall": (
            Optional[float],  # noqa: UP045
            typer.Option(None, "--stall", help="seconds without progress that end a worker [default: 14400]"),
        ),
        "memory": (
            Optional[float],  # noqa: UP045
            typer.Option(None, "--memory", help="GiB for all workers [default: 90 % of the machine's]"),
        ),
        "scheduler": (
            Optional[str],  # noqa: UP045
            typer.Option(None, "--scheduler", help="a running Dask scheduler, tcp://host:8786"),
        ),
        "slurm": (
            Optional[Path],  # noqa: UP045
            typer.Option(None, "--slurm", metavar="SITE.yaml", help="do the work in jobs of a batch system"),
        ),
    }
    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, keyword, default=d, annotation=a) for n, (a, d) in options.items()]
    )
    command.__annotations__ = {name: annotation for name, (annotation, _) in options.items()}
    own = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    own.command(kind, help=part.summary)(command)
    return typer.main.get_command(own)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _switch(name: str, field: FieldInfo) -> str:
    """``--movie``; what is on by default can be put off: ``--relaxed/--no-relaxed``."""
    return _flag(name) if field.default is False else f"{_flag(name)}/{_flag(f'no-{name}')}"


def _of_scale(name: str | None, scales: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if name is not None and name not in scales:
        raise InputError(f"--scale: no scale {name!r}{did_you_mean(name, scales)}")
    return {} if name is None else dict(scales[name])


def _words(field: FieldInfo) -> str:
    """Description and default of a setting."""
    if field.default is False:
        return field.description or ""
    if field.is_required():
        return f"{field.description or ''} [required]"
    default = field.get_default(call_default_factory=True)
    values = default if isinstance(default, (tuple, list)) else [default]
    shown = ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
    return f"{field.description or ''} [default: {shown or 'none'}]"


def _value(name: str, field: FieldInfo, text: str) -> Any:
    """What a flag says, as a study file would say it; lists may be written ``Cu,Zr``."""
    import yaml

    from vitrine.study.yaml_reader import read_yaml, words_of

    kinds = _kinds(field.annotation)
    if str in kinds and not kinds & {tuple, list}:
        return text
    try:
        if kinds & {tuple, list} and not text.lstrip().startswith("["):
            return [read_yaml(word) for word in text.split(",") if word.strip()]
        return read_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"{_flag(name)}: {text!r} is not a value: {words_of(error)}") from error


def _kinds(annotation: Any) -> set[Any]:
    """The plain classes of an annotation: those of a list's items do not count."""
    origin = get_origin(annotation)
    if origin in (tuple, list):
        return {origin}
    if isinstance(annotation, type):
        return {annotation}
    return set().union(*map(_kinds, get_args(annotation)))


def _simulate(
    kind: str, given: dict[str, Any], out: Path, store: Path | None, options: dict[str, Any]
) -> None:
    from rich.console import Console

    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.study import shelf

    source: Any = shelf.parse("source", {"kind": kind, **given}, f"simulate {kind}")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give the name of a file")
    source.tasks()  # refuses a wrong potential before any worker is started
    writable_parent(out)
    console = Console(file=sys.stdout)
    with Campaign(store or default_root(), console=console, **options) as campaign:
        for line in source.export(out, campaign.compute):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
