"""``vitrine simulate KIND``: flags come from the settings class of the source."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, Optional

import typer
import typer.core

from vitrine.errors import StudyError


class SimulateGroup(typer.core.TyperGroup):
    """One command per source on the shelf, made when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Kinds of sources that simulate or make something."""
        from vitrine.study import shelf

        return [kind for kind in sorted(shelf.kinds("source")) if hasattr(shelf.find("source", kind), "export")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of one kind."""
        known = self.list_commands(ctx)
        if cmd_name not in known:
            from vitrine.errors import did_you_mean

            raise StudyError(f"nothing to simulate of kind {cmd_name!r}{did_you_mean(cmd_name, known)}")
        return _command(cmd_name)


def _command(kind: str) -> Any:
    """A typer command whose options are the fields of the settings class."""
    from vitrine.study import shelf

    part = shelf.part_class("source", kind)

    def command(out: Path, workers: int, store: Path | None, **settings: str | None) -> None:
        given = {name: _value(part, name, text) for name, text in settings.items() if text is not None}
        _simulate(kind, given, out, workers, store)

    options: dict[str, tuple[Any, Any]] = {}
    for name, field in part.model_fields.items():
        if name != "kind":
            default = field.default
            shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
            words = f"{field.description or ''} [default: {shown}]"
            flag = f"--{name.replace('_', '-')}"
            options[name] = (Optional[str], typer.Option(None, flag, metavar="VALUE", help=words))  # noqa: UP045
    options |= {
        "out": (Path, typer.Option(..., "-o", "--out", help="file to write")),
        "workers": (int, typer.Option(2, "--workers", min=0, help="worker processes; 0 is this process")),
        "store": (Optional[Path], typer.Option(None, "--store", help="folder of the store")),  # noqa: UP045
    }
    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, keyword, default=d, annotation=a) for n, (a, d) in options.items()]
    )
    command.__annotations__ = {name: annotation for name, (annotation, _) in options.items()}
    own = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    own.command(kind, help=part.summary)(command)
    return typer.main.get_command(own)


def _value(part: Any, name: str, text: str) -> Any:
    from vitrine.study.yaml_reader import read_yaml

    if isinstance(part.model_fields[name].default, tuple):
        return [read_yaml(word) for word in text.split(",")]
    return read_yaml(text)


def _simulate(kind: str, given: dict[str, Any], out: Path, workers: int, store: Path | None) -> None:
    from rich.console import Console

    from vitrine.campaign.campaign import Campaign
    from vitrine.campaign.store import default_root
    from vitrine.study import shelf

    source: Any = shelf.parse("source", {"kind": kind, **given}, "simulate")
    console = Console(file=sys.stdout)
    with Campaign(store or default_root(), workers=workers, console=console) as campaign:
        for line in source.export(out, campaign.compute):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
