"""The pages tell the truth: their code runs, their links lead somewhere, their commands exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from page_blocks import (
    PAGES,
    ROOT,
    blocks,
    check_command,
    check_python,
    check_yaml,
    commands,
    name,
)

ELSEWHERE = {ROOT / "README.md", *ROOT.glob("docs/extend/*.md")}
RUN = sorted(name(page) for page in PAGES if blocks(page, "python") and page not in ELSEWHERE)
"""Pages whose Python runs here, one process each; README has a test below, docs/extend tests of its own."""


def _run(code: str, folder: Path, store: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env={**os.environ, "VITRINE_STORE": str(store)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_python_of_the_readme_prints(tmp_path: Path, shared_store: Path) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    lines = _run(code, tmp_path, shared_store).splitlines()
    models = {line.split()[0] for line in lines[:-1]}
    assert models == {"mean", "ridge", "random_forest", "mlp", "shuffled_labels"}
    assert lines[-1] == "branched-composition value e_form"
    assert (tmp_path / "runs" / "first" / "report.html").exists()


@pytest.mark.parametrize("page", RUN)
def test_python_on_the_pages_runs(page: str, tmp_path: Path, shared_store: Path) -> None:
    said = _run("\n".join(blocks(ROOT / page, "python")), tmp_path, shared_store)
    assert said.strip(), "it prints something"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_on_the_pages_names_what_there_is(page: Path) -> None:
    for block in blocks(page, "python"):
        check_python(block)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_pictures_exist(page: Path) -> None:
    text = re.sub(r"^( *)(`{3,}).*?^\1\2 *$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_on_the_pages_parse(page: Path) -> None:
    """Every `vitrine ...` in a shell block or in the prose; its settings make a study."""
    for line in commands(page):
        try:
            check_command(line)
        except Exception as error:  # the parser's own errors, with the line beside
            raise AssertionError(f"{name(page)}: {line}: {type(error).__name__}: {error}") from error


def test_the_check_of_commands_can_fail() -> None:
    for line in (
        "vitrine rnu shear-transformation", "vitrine run shear-transformation --scal demo",
        "vitrine run shear-transformation --set models.gat.head=4", "vitrine run sheer-transformation",
        "vitrine simulate metallic-glass --atom 50 -o a.h5", "vitrine simulate metallic-glass --atoms 5 -o a",
        "vitrine predict MODEL FILE... --direktion xy", "vitrine store sizes",
    ):  # fmt: skip
        with pytest.raises((Exception, SystemExit)):
            check_command(line)
    assert check_command("vitrine run mine.yaml --set models.gat.heads=4   four heads") == "parsed"
    assert check_command("vitrine run STUDY --set KEY=VALUE") == "pattern"
    assert check_command("vitrine schema") == "named"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_study_files_on_the_pages_are_studies(page: Path, tmp_path: Path) -> None:
    """Whole ones at every scale, fragments laid over a preset; other YAML must be YAML."""
    for block in blocks(page, "yaml"):
        check_yaml(block, tmp_path)


def test_the_pages_show_whole_studies_and_fragments(tmp_path: Path) -> None:
    found = [check_yaml(block, tmp_path) for page in PAGES for block in blocks(page, "yaml")]
    assert found.count("study") >= 1 and found.count("fragment") >= 3
    with pytest.raises(AssertionError, match="no such key"):
        check_yaml("models: {gat: {kind: gat, head: 4}}\n", tmp_path)


def test_nothing_names_a_machine_or_a_package_host() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    forbidden = re.compile(r"pypi\.(org|io)|files\.pythonhosted|/work/main|/root/|index-url|deb\.debian\.org")
    for path in map(ROOT.joinpath, listed.stdout.split()):
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".txt", ".cff", ""} and path.is_file():
            if path == Path(__file__) or "vendor" in path.parts:
                continue
            found = forbidden.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{path}: {found.group(0) if found else ''}"
