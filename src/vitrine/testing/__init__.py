"""Contracts: test classes that a part inherits, ours and those of other packages.

A new part is one file, one name (a line on the shelf, or an entry point of another package) and one
class in a test file::

    from vitrine.testing import RepresentationContract

    class TestMine(RepresentationContract):
        part = Mine()
        symmetries = ("rotate", "translate", "permute", "wrap")

pytest then runs every test of the contract on ``part``. What a contract cannot know (which
symmetries hold, samples of a kind of one's own) is said by class attributes and by overriding
methods that do not start with ``test_``. Needs the extra ``testing``.
"""

from __future__ import annotations

from vitrine.errors import MissingExtra

try:
    import pytest
except ImportError as error:
    raise MissingExtra("pytest", "testing") from error

# before they are imported: then a failed assertion shows its values
for _contract in ("part", "source", "label", "representation", "split", "model", "explanation"):
    pytest.register_assert_rewrite(f"vitrine.testing.{_contract}")

from vitrine.testing.explanation import ExplanationContract  # noqa: E402
from vitrine.testing.fingerprint import fingerprint  # noqa: E402
from vitrine.testing.inputs import (  # noqa: E402
    atoms_samples,
    flat_configuration,
    flat_samples,
    formula_samples,
    graph_examples,
    image_examples,
    sheared_glass,
    spatial_examples,
    vector_examples,
    whole_graph_examples,
)
from vitrine.testing.label import LabelContract  # noqa: E402
from vitrine.testing.model import ModelContract  # noqa: E402
from vitrine.testing.part import PartContract  # noqa: E402
from vitrine.testing.representation import RepresentationContract  # noqa: E402
from vitrine.testing.source import SourceContract, TasksContract  # noqa: E402
from vitrine.testing.split import SplitContract  # noqa: E402

__all__ = [
    "ExplanationContract",
    "LabelContract",
    "ModelContract",
    "PartContract",
    "RepresentationContract",
    "SourceContract",
    "SplitContract",
    "TasksContract",
    "atoms_samples",
    "fingerprint",
    "flat_configuration",
    "flat_samples",
    "formula_samples",
    "graph_examples",
    "image_examples",
    "sheared_glass",
    "spatial_examples",
    "vector_examples",
    "whole_graph_examples",
]
