"""The built site: without warnings, complete, without a network, and no link that leads nowhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zlib
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock

from vitrine.evaluate import metrics
from vitrine.study import shelf
from vitrine.study.schema import study_schema
from vitrine.study.spec import Study

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
HTML = DOCS / "_build" / "html"
COMMAND = "-E -W --keep-going -n -q -b html -d docs/_build/doctrees docs docs/_build/html"
PAGES = {
    "index", "getting-started", "first-study", "your-own-data", "your-own-configurations",
    "shear-transformation", "branched-composition", "study-file", "command-line", "file-formats",
    "architecture", "changelog", "api",
}  # fmt: skip
SOURCES = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """Ids, links, sources of other files and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in SOURCES and given.get(SOURCES[tag]):
            self.loaded.append(given[SOURCES[tag]])

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _newest() -> float:
    """When anything that the site is made from changed last."""
    sources = [*ROOT.glob("*.md"), *ROOT.glob("examples/*.py"), *(ROOT / "src").rglob("*.py")]
    sources += [*(ROOT / "src").rglob("*.yaml")]
    sources += [path for path in DOCS.rglob("*") if not {"_build", "__pycache__"} & set(path.parts)]
    return max(path.stat().st_mtime for path in sources if path.is_file())


@pytest.fixture(scope="module")
def site() -> dict[str, Page]:
    """Every page by its path; built here if `make docs` has not built it since the last change."""
    (DOCS / "_build").mkdir(exist_ok=True)
    with FileLock(DOCS / "_build" / "lock"):
        built = HTML / "objects.inv"  # written last
        if not built.exists() or built.stat().st_mtime < _newest():
            words = [sys.executable, "-m", "sphinx", *COMMAND.split()]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280)
            assert done.returncode == 0, done.stdout + done.stderr
    return {path.relative_to(HTML).with_suffix("").as_posix(): Page(path) for path in HTML.rglob("*.html")}


def test_make_docs_builds_with_warnings_as_errors() -> None:
    words = (ROOT / "Makefile").read_text()
    assert f"sphinx-build {COMMAND}\n" in words
    assert re.search(r"^test: .*\bdocs\b", words, re.MULTILINE), "CI runs make test"


def test_every_page_is_there(site: dict[str, Page]) -> None:
    sources = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for path in DOCS.rglob("*.md")
        if "_build" not in path.parts
    }
    assert sources >= PAGES and set(site) >= sources
    reached = {urlsplit(link).path for link in site["index"].links}
    assert {f"{name}.html" for name in sources - {"index"}} <= reached, "the sidebar leads to every page"


def test_nothing_is_loaded_from_a_network(site: dict[str, Page]) -> None:
    for name, page in site.items():
        for source in page.loaded:
            parts = urlsplit(source)
            assert not parts.scheme and not parts.netloc, f"{name} loads {source}"
            assert (page.path.parent / unquote(parts.path)).exists(), f"{name} loads {source}"
    for style in HTML.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import\s)\s*['\"]?((?:https?:)?//[^'\")\s]+)", style.read_text())
        assert not found, f"{style.name} loads {found}"


def test_links_lead_to_pages_and_sections(site: dict[str, Page]) -> None:
    count = 0
    for name, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            assert target.exists(), f"{name}: {link}"
            if parts.fragment and target.suffix == ".html":
                ids = site[target.relative_to(HTML).with_suffix("").as_posix()].ids
                assert unquote(parts.fragment) in ids, f"{name}: {link}"
                count += 1
    assert count > 1000


def _rows(path: Path) -> dict[str, dict[str, str]]:
    """Section -> first cell of a row of its tables -> the text of the row."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for part in re.split(r"<section id=\"", path.read_text(encoding="utf-8"))[1:]:
        name = part.split('"', 1)[0]
        for row in re.findall(r"<tr.*?</tr>", part, re.DOTALL):
            cells = re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)
            texts = [" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in cells]
            found[name][texts[0]] = " ".join(texts)
    return found


def test_the_study_file_page_shows_every_key_kind_and_setting(site: dict[str, Page]) -> None:
    page = site["study-file"]
    rules = study_schema()["$defs"]
    assert set(rules) <= page.ids, "every block and part has a section"
    for name in (*Study.model_fields, "scales", *metrics.FUNCTIONS, *shelf.kinds("claim")):
        assert f" {name} " in page.text.replace(",", " "), name
    rows = _rows(page.path)
    for name, rule in rules.items():
        for key, value in rule.get("properties", {}).items():
            if key != "kind":
                said = rows[name][key]
                missing = set(re.findall(r"\w+", value.get("description", ""))) - set(
                    re.findall(r"\w+", said)
                )
                assert not missing, f"{name}.{key}: {missing}"


def test_defaults_and_limits_are_those_of_the_classes(site: dict[str, Page]) -> None:
    rows = _rows(site["study-file"].path)
    assert "1e13" in rows["source-metallic-glass"]["quench_rate"]
    assert "at least 32" in rows["source-metallic-glass"]["atoms"]
    assert "xy" in rows["source-metallic-glass"]["directions"]
    assert "required" in rows["evaluation"]["metrics"] and "0.5" in rows["evaluation"]["threshold"]
    assert "null" in rows["source-table"]["target"] and "emt-alloys" in rows["source-table"]["table"]


def _commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "list_commands"):
        return [(path, command)]
    context = command.context_class(command, info_name="vitrine")
    below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [item for name, inner in below for item in _commands(inner, (*path, name))]


def test_the_command_line_page_shows_every_command_and_flag(site: dict[str, Page]) -> None:
    from typer.main import get_command

    from vitrine.cli.main import app

    page = site["command-line"]
    rows = _rows(page.path)
    found = _commands(get_command(app))
    assert len(found) >= 11 and ("simulate", "metallic-glass") in [path for path, _ in found]
    for path, command in found:
        name = "vitrine-" + "-".join(path)
        assert name in page.ids
        words = re.findall(r"[\w-]+", " ".join(rows[name]))
        for param in command.params:
            for flag in param.opts if param.param_type_name == "option" else [str(param.name).upper()]:
                assert flag in words, f"{path}: {flag}"


def _public() -> set[str]:
    """Public functions and classes of the package by full name, from the sources."""
    found = set()
    for path in (ROOT / "src" / "vitrine").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        if any(part.startswith("_") for part in module.split(".")) or module.startswith("vitrine.cli"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                found.add(f"{module}.{node.name}")
    return found


def test_the_api_holds_every_public_function_and_class(site: dict[str, Page]) -> None:
    packed = (HTML / "objects.inv").read_bytes().split(b"\n", 4)[4]
    entries = [line.split() for line in zlib.decompress(packed).decode().splitlines()]
    known = {name for name, role, *_ in entries if role.startswith("py:")}
    public = _public()
    assert len(public) > 250
    missing = sorted(public - known)
    assert not missing, f"not in the API: {missing}"


def test_docstrings_become_lists_of_parameters_and_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    from api import house_style

    lines = ["Do.", "", "Parameters", "----------", "a: one.", "    more. b: two.", "", "Raises", "------"]
    assert house_style([*lines, "DataError: no. StudyError: yes."]) == [
        "Do.", "", "Args:", "    a: one.", "        more.", "    b: two.", "",
        "Raises:", "    DataError: no.", "    StudyError: yes.",
    ]  # fmt: skip
    assert house_style([]) == []
    assert house_style(["One: two."]) == ["One: two."]
