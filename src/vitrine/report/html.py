"""The page: a result's texts, tables and figures in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib.figure
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vitrine.errors import DataError
from vitrine.report.atoms import Atoms, prepare, viewer_data
from vitrine.report.digits import as_given
from vitrine.report.images import draw_images
from vitrine.report.matrix import draw_matrix
from vitrine.report.plots import draw_curves, draw_scatter
from vitrine.report.slices import draw_slices
from vitrine.report.still import draw_atoms
from vitrine.report.surfaces import draw_surfaces
from vitrine.report.svg import inline, text_of
from vitrine.report.tables import metric_name, overview, published, tracks, words
from vitrine.study.result import (
    AtomsFigure,
    CurveFigure,
    Figure,
    ImageFigure,
    MatrixFigure,
    Result,
    ScatterFigure,
    SliceFigure,
    SurfaceFigure,
)

OPEN_MATRICES = 4
"""Tables of a track that stand open; the others (a threshold study has many) fold away."""

_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?\b(10\.\d{4,9}/[^\s<>\"']+)", re.IGNORECASE)


@dataclass(frozen=True)
class Script:
    """A script of the page and the sum by which the content security policy knows it."""

    text: Markup

    @property
    def sum(self) -> str:
        """``sha256-...`` of the text, as the policy writes it."""
        return "sha256-" + base64.b64encode(hashlib.sha256(self.text.encode()).digest()).decode()


@dataclass(frozen=True)
class Shown:
    """A figure ready for the page; ``atoms`` and ``data`` only if it can be turned."""

    number: int
    figure: Figure
    picture: Markup
    wide: bool
    atoms: Atoms | None = None
    data: dict[str, Any] | None = None


def render(result: Result, folder: Path) -> Path:
    """Write ``folder/figures/<name>.svg`` for every figure and ``folder/report.html``.

    The same result gives the same bytes. Characters of a figure's name other than letters,
    digits, ``.``, ``_`` and ``-`` become ``-`` in its file name.

    Returns
    -------
    The path of ``report.html``.

    Raises
    ------
    DataError: the arrays of a figure do not belong together.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    shown, texts = [], {}
    for number, (figure, name) in enumerate(zip(result.figures, _file_names(result), strict=True), 1):
        draw, atoms = _drawing(figure)
        text = text_of(draw, name)
        texts[name] = text
        picture = Markup(inline(text, f"f{number}-", f"{figure.title}. {figure.caption}"))  # noqa: S704
        shown.append(
            Shown(
                number,
                figure,
                picture,
                wide=atoms is not None
                or (
                    isinstance(figure, (ScatterFigure, SliceFigure, ImageFigure, SurfaceFigure))
                    and len(figure.panels) > 1
                ),
                atoms=atoms,
                data=None if atoms is None else viewer_data(atoms),
            )
        )
    page = _page(result, shown)
    for name, text in texts.items():
        _write(figures / f"{name}.svg", text)
    path = folder / "report.html"
    _write(path, page)
    return path


def render_folder(folder: Path) -> Path:
    """Make the report of a run folder again from its ``result.json``.

    Raises
    ------
    DataError: the folder holds no readable result.
    """
    return render(Result.read(folder), folder)


def linked(text: str) -> Markup:
    """The text escaped, its DOIs as links.

    >>> print(linked("Lee & Ryu, doi:10.1000/x1."))
    Lee &amp; Ryu, <a href="https://doi.org/10.1000/x1">doi:10.1000/x1</a>.
    """
    text = str(text)
    parts, end = [], 0
    for match in _DOI.finditer(text):
        doi = match[1].rstrip(".,;:")
        while doi.endswith(")") and doi.count(")") > doi.count("("):
            doi = doi[:-1].rstrip(".,;:")
        stop = match.start(1) + len(doi)
        address = "https://doi.org/" + quote(doi, safe="/:;()._-")
        shown = text[match.start() : stop]
        parts += [escape(text[end : match.start()]), Markup('<a href="{}">{}</a>').format(address, shown)]
        end = stop
    return Markup("").join([*parts, escape(text[end:])])


def short(value: float) -> str:
    """A number in three significant digits."""
    return as_given(float(f"{value:.3g}"))


def _page(result: Result, shown: list[Shown]) -> str:
    environment = Environment(
        loader=PackageLoader("vitrine.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(linked=linked, short=short, words=words, metric=metric_name)
    scripts = [Script(_asset("templates", "page.js"))]
    if any(figure.atoms for figure in shown):
        licence = _asset("vendor", "3Dmol-LICENSE.txt")
        library = Markup("/*!\n{}*/\n").format(licence) + _asset("vendor", "3Dmol-min.js")
        scripts += [Script(library), Script(_asset("templates", "viewer.js"))]
    return environment.get_template("report.html.j2").render(
        result=result,
        tracks=tracks(result),
        overview=overview(result),
        open_matrices=OPEN_MATRICES,
        published=published(result.published),
        figures=shown,
        style=_asset("templates", "style.css"),
        scripts=scripts,
    )


def _asset(folder: str, name: str) -> Markup:
    """A file of this package, which goes into the page as it is."""
    text = resources.files("vitrine.report").joinpath(folder, name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own file


def _drawing(figure: Figure) -> tuple[Callable[[], matplotlib.figure.Figure], Atoms | None]:
    if isinstance(figure, CurveFigure):
        return partial(draw_curves, figure), None
    if isinstance(figure, ScatterFigure):
        return partial(draw_scatter, figure), None
    if isinstance(figure, SliceFigure):
        return partial(draw_slices, figure), None
    if isinstance(figure, MatrixFigure):
        return partial(draw_matrix, figure), None
    if isinstance(figure, ImageFigure):
        return partial(draw_images, figure), None
    if isinstance(figure, SurfaceFigure):
        return partial(draw_surfaces, figure), None
    if isinstance(figure, AtomsFigure):
        atoms = prepare(figure)
        return partial(draw_atoms, atoms), atoms
    raise DataError(
        f"{type(figure).__name__} is no figure; a curve, scatter, slice, matrix, image, surface or "
        "atoms figure is"
    )


def _file_names(result: Result) -> list[str]:
    """One name per figure, safe as a file name, distinct also where case does not count."""
    names: list[str] = []
    for figure in result.figures:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", figure.name).strip(".-") or "figure"
        name, copy = stem, 1
        while name.lower() in {known.lower() for known in names}:
            copy += 1
            name = f"{stem}-{copy}"
        names.append(name)
    return names


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
