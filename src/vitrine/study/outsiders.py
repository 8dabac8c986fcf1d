"""What other packages bring, through entry points: parts and studies.

A package adds a part with an entry point in the group ``vitrine.parts``, named ``<stage>.<kind>``,
whose value ``module:Class`` is its settings class; and a study with one in the group
``vitrine.studies``, named as the study, whose value ``module:file.yaml`` is a file that lies beside
the module (in the folder of a package). Nothing of another package is imported to know its names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from vitrine.errors import StudyError, did_you_mean

PARTS, STUDIES = "vitrine.parts", "vitrine.studies"
_KIND = re.compile(r"[a-z0-9][a-z0-9-]*")
_VALUE = re.compile(r"([\w.]+):([\w.]+)")


@dataclass(frozen=True)
class Outsider:
    """One entry point of another package.

    Attributes
    ----------
    name: ``<stage>.<kind>`` of a part, or the name of a study.
    value: ``module:Class``, or ``module:file.yaml``.
    package: name and version of the distribution that declares it.
    trouble: why it is not on the shelf; None if it is.
    """

    name: str
    value: str
    package: str
    trouble: str | None = None

    @property
    def module(self) -> str:
        """The module that the value names."""
        return self.value.partition(":")[0]

    @property
    def attribute(self) -> str:
        """What stands behind the colon of the value."""
        return self.value.partition(":")[2]


@cache
def installed() -> Mapping[str, tuple[Outsider, ...]]:
    """All entry points of both groups, by group; sorted by package and name."""
    points = entry_points()  # once: every call reads the lists of all packages
    found = {}
    for group in (PARTS, STUDIES):
        ours = (Outsider(point.name, point.value, _package(point)) for point in points.select(group=group))
        found[group] = tuple(sorted(ours, key=lambda outsider: (outsider.package, outsider.name)))
    return found


def _package(point: EntryPoint) -> str:
    try:
        name, version = (point.dist.name, point.dist.version) if point.dist is not None else (None, None)
    except (KeyError, TypeError):  # its own metadata are missing or broken
        name = None
    return f"{name} {version}" if name else "a-nameless-package"


def packages() -> list[str]:
    """Names of the distributions that bring parts or studies."""
    every = [outsider.package for outsiders in installed().values() for outsider in outsiders]
    return sorted({package.split(" ")[0] for package in every})


def sorted_parts(
    outsiders: Iterable[Outsider], own: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, Outsider], list[Outsider]]:
    """Parts that can stand on the shelf, by ``<stage>.<kind>``, and those that cannot, with the reason.

    own: stage -> kinds of ours, which nobody replaces.
    """
    good: dict[str, Outsider] = {}
    bad: list[Outsider] = []
    for outsider in outsiders:
        trouble = _trouble_of_part(outsider, own) or _taken(outsider, good)
        if trouble is None:
            good[outsider.name] = outsider
        else:
            bad.append(replace(outsider, trouble=trouble))
    return good, bad


def _trouble_of_part(outsider: Outsider, own: Mapping[str, Mapping[str, str]]) -> str | None:
    stage, dot, kind = outsider.name.partition(".")
    if not dot or not _KIND.fullmatch(kind):
        return "its name is not <stage>.<kind> with a kind of small letters, digits and hyphens"
    if stage not in own:
        return f"there is no stage {stage!r}{did_you_mean(stage, own)}"
    if kind in own[stage]:
        return f"vitrine has a {stage} {kind!r} of its own; choose another name"
    if not _VALUE.fullmatch(outsider.value):
        return f"its value {outsider.value!r} is not module:Class"
    return None


def _taken(outsider: Outsider, good: Mapping[str, Outsider]) -> str | None:
    other = good.get(outsider.name)
    return None if other is None else f"{other.package} brings one of this name, which is used"


def sorted_studies(
    outsiders: Iterable[Outsider], own: Iterable[str]
) -> tuple[dict[str, Outsider], list[Outsider]]:
    """Studies by name, and those that cannot be offered, with the reason; the files are not looked at."""
    good: dict[str, Outsider] = {}
    bad: list[Outsider] = []
    names = set(own)
    for outsider in outsiders:
        trouble = _taken(outsider, good)
        if not _KIND.fullmatch(outsider.name):
            trouble = "a study is named with small letters, digits and hyphens"
        elif outsider.name in names:
            trouble = f"vitrine has a study {outsider.name!r} of its own; choose another name"
        elif not (_VALUE.fullmatch(outsider.value) and outsider.value.endswith((".yaml", ".yml"))):
            trouble = f"its value {outsider.value!r} is not module:file.yaml"
        if trouble is None:
            good[outsider.name] = outsider
        else:
            bad.append(replace(outsider, trouble=trouble))
    return good, bad


def study_file(outsider: Outsider) -> Path:
    """Path of another package's study; the package itself is not imported, only packages around it.

    Raises
    ------
    StudyError: there is no such module, or no such file beside it.
    """
    who = f"the study {outsider.name!r} of the package {outsider.package}"
    try:
        spec = find_spec(outsider.module)
    except Exception as error:  # a package around it may fail in any way
        raise StudyError(f"{who} cannot be found ({type(error).__name__}: {error})") from error
    if spec is None:
        raise StudyError(f"{who} cannot be found: there is no module {outsider.module!r}")
    folders = [
        *(spec.submodule_search_locations or ()),
        *([str(Path(spec.origin).parent)] if spec.origin else ()),
    ]
    for folder in folders:
        path = Path(folder) / outsider.attribute
        if path.is_file():
            return path
    raise StudyError(f"{who} cannot be found: no file {outsider.attribute} beside {outsider.module}")
