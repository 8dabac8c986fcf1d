"""What the pages say in code: fenced blocks, commands, study files."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from vitrine.errors import StudyError
from vitrine.study import shelf
from vitrine.study.overrides import merge
from vitrine.study.spec import Study, load_study, preset_names, read_study
from vitrine.study.yaml_reader import read_yaml, write_yaml

ROOT = Path(__file__).parent.parent
PAGES = [
    path
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
    if "_build" not in path.parts
]
SHELLS = ("", "console", "bash", "sh", "shell", "text")
PLACEHOLDER = re.compile(r"\.\.\.|\[--|\||\bKEY\b|\bFILE\b|\bDIR\b|\bKIND\b|\bMODEL\b|\bSTUDY\b")


def name(page: Path) -> str:
    """The page's path from the root, for the ids of tests."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[str]:
    """Fenced blocks of these languages."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^( *)(`{3,})([a-z]*)[^\n]*\n(.*?)^\1\2 *$", text, re.MULTILINE | re.DOTALL)
    return [body for _, _, language, body in found if language in languages]


def commands(page: Path) -> list[str]:
    """Lines of `vitrine ...` in shell blocks, and in code of the prose; continued lines are joined."""
    shell = re.sub(r"\s*\\\n\s*", " ", "\n".join(blocks(page, *SHELLS)))
    lines = re.findall(r"^\s*(?:\$ )?(?:\S*/bin/)?(vitrine [a-z].*)$", shell, re.MULTILINE)
    prose = re.sub(r"^( *)(`{3,}).*?^\1\2 *$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return lines + [" ".join(code.split()) for code in re.findall(r"`(vitrine [a-z][^`]*)`", prose)]


def words_of(line: str) -> list[str]:
    """The words of a command, without the remark that stands behind several spaces or a #."""
    return shlex.split(re.split(r" {2,}(?=\S)|\s#", line.strip(), maxsplit=1)[0])[1:]


def parsed(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Path of the command and what its parser makes of the words; nothing runs.

    Raises what the parser raises for words that it does not know.
    """
    from typer.main import get_command

    from vitrine.cli.main import app

    command: Any = get_command(app)
    context = command.context_class(command, info_name="vitrine")
    path: list[str] = []
    rest = list(words)
    while hasattr(command, "list_commands") and rest:
        path.append(rest.pop(0))
        inner = command.get_command(context, path[-1])
        assert inner is not None, f"there is no command {' '.join(path)!r}"
        context = command.context_class(command, info_name=path[-1], parent=context)
        command = inner
    if not rest:
        return path, {}  # the command is named, not shown in use
    with contextlib.redirect_stderr(io.StringIO()):
        return path, dict(command.make_context(path[-1], rest, parent=context).params)


def flags_of(words: list[str]) -> list[str]:
    """The flags of a command that is shown as a pattern."""
    return [word.strip("[]").split("=")[0] for word in words if re.match(r"\[?--?[a-z]", word)]


def check_command(line: str) -> str:
    """Check a command against the command line: ``named``, ``pattern`` or ``parsed``.

    A command with placeholders (KEY, FILE, ``...``) is a pattern: its verb and flags must exist. Any
    other must parse, its settings must make a study, and those of `simulate` a source.
    """
    words = words_of(line)
    if PLACEHOLDER.search(line):
        path = [word for word in words[:2] if re.fullmatch(r"[a-z][a-z0-9-]*", word)]
        known = known_flags(path)
        for flag in flags_of(words):
            assert flag in known, f"{line}: no flag {flag}"
        return "pattern"
    path, params = parsed(words)
    if not params:
        return "named"
    if path == ["run"]:
        check_run(params)
    if path[0] == "simulate":
        fields = shelf.part_class("source", path[1]).model_fields
        given = {key: value for key, value in params.items() if key in fields and value is not None}
        from vitrine.cli.simulate import _value

        settings = {
            key: value if isinstance(value, bool) else _value(key, fields[key], value)
            for key, value in given.items()
        }
        shelf.parse("source", {"kind": path[1], **settings}, line)
    return "parsed"


def known_flags(path: list[str]) -> set[str]:
    """All flags of a command."""
    from typer.main import get_command

    from vitrine.cli.main import app

    command: Any = get_command(app)
    context = command.context_class(command, info_name="vitrine")
    for word in path:
        if not hasattr(command, "list_commands"):
            break
        inner = command.get_command(context, word)
        assert inner is not None, f"there is no command {word!r}"
        command = inner
    return {flag for param in getattr(command, "params", ()) for flag in param.opts} | {"--help"}


def check_run(params: dict[str, Any]) -> None:
    """A study of that name or, for a file of the reader's own, of any preset, takes these settings."""
    study, scale, sets = params["study"], params["scale"], list(params["sets"] or ())
    names = [study] if study in preset_names() else preset_names()
    assert len(names) == 1 or study.endswith((".yaml", ".yml")), f"no study {study!r}"
    attempt(lambda preset: load_study(preset, scale or "smoke", sets), names)


def attempt(load: Any, names: list[str]) -> None:
    """At least one preset must load; else the words of all."""
    troubles = []
    for preset in names:
        try:
            load(preset)
        except StudyError as error:
            troubles.append(f"{preset}: {error}")
        else:
            return
    raise AssertionError("\n".join(troubles))


def check_yaml(text: str, folder: Path) -> str:
    """Check a YAML block: ``study``, ``fragment`` (laid over a preset) or ``other`` (YAML at least)."""
    data = read_yaml(text)
    if not isinstance(data, dict) or not set(data) & {*Study.model_fields, "scales"}:
        assert yaml.safe_load(text) is not None
        return "other"
    path = folder / "study.yaml"
    if "study" in data:
        path.write_text(text, encoding="utf-8")
        for scale in data.get("scales") or {data.get("scale", "smoke")}:
            load_study(str(path), scale)
        return "study"

    def laid_over(preset: str) -> None:
        path.write_text(write_yaml(merge(read_study(preset)[0], data)), encoding="utf-8")
        load_study(str(path), "smoke")

    attempt(laid_over, preset_names())
    return "fragment"


def check_python(text: str) -> None:
    """The block parses, and what it imports from vitrine is there."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vitrine":
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                known = hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")
                assert known, f"{node.module} has no {alias.name}"
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "vitrine"
        ):
            import vitrine

            assert hasattr(vitrine, node.attr), f"vitrine has no {node.attr}"
