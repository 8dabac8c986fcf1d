"""The pages tell the truth: their code runs, their links lead somewhere, their commands exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])


def _blocks(path: Path, language: str) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_ten_lines_of_python_in_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_store: Path
) -> None:
    (code,) = _blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "VITRINE_STORE": str(shared_store)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    models = {line.split()[0] for line in lines[:-1]}
    assert models == {"mean", "ridge", "random_forest", "mlp", "shuffled_labels"}
    assert lines[-1] == "branched-composition value e_form"
    assert (tmp_path / "runs" / "first" / "report.html").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_pictures_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_on_the_pages_exist(page: Path) -> None:
    """Every `vitrine VERB --flag` on a page is a verb and a flag of the command line."""
    from typer.main import get_command

    from vitrine.cli.main import app
    from vitrine.study import shelf

    verbs = get_command(app).commands
    text = page.read_text(encoding="utf-8")
    for line in re.findall(r"(?:^|`|bin/)vitrine ([a-z][^`\n#]*)", text, re.MULTILINE):
        words = re.split(r"  +", line)[0].split()
        if words[0] not in verbs and "|" in line:
            continue
        assert words[0] in verbs, f"{page.name}: vitrine {line}"
        flags = {flag for param in verbs[words[0]].params for flag in param.opts}
        if words[0] in ("simulate", "store"):
            continue
        for word in words[1:]:
            if re.fullmatch(r"--?[a-z][a-z-]*", word):
                assert word in flags | {"--help"}, f"{page.name}: vitrine {line}: {word}"
        if words[0] == "run":
            from vitrine.study.spec import load_study, preset_names

            sets = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--set"]
            name = words[1] if not words[1].endswith(".yaml") else "shear-transformation"
            if not any("KEY" in item for item in sets) and name in preset_names():
                load_study(name, "smoke", sets)
    assert shelf.STAGES


def test_study_file_on_the_page_is_a_study() -> None:
    from vitrine.study.spec import load_study, read_study

    (block,) = _blocks(ROOT / "docs" / "getting-started.md", "yaml")
    given = yaml.safe_load(block)
    preset = read_study("shear-transformation")[0]
    assert all(key in preset for key in given)
    assert load_study("shear-transformation", "smoke").source.kind == given["source"]["kind"]


def test_nothing_names_a_machine_or_a_package_host() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    forbidden = re.compile(r"pypi\.(org|io)|files\.pythonhosted|/work/main|/root/|index-url|deb\.debian\.org")
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".txt", ".cff", ""} and path.is_file():
            if path == Path(__file__) or "vendor" in path.parts:
                continue
            found = forbidden.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{name}: {found.group(0) if found else ''}"
