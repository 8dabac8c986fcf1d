"""Persistent homology of what is around the sites of a crystal, as features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from vitrine.errors import DataError
from vitrine.parts import Part
from vitrine.represent.structures import Structure, read_structures, refused_structures
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute, Task

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples

CHUNK = 64
"""Structures in one entry of the store: one to ten seconds of work."""
FILE = "homology.npy"


class AtomSpecificHomology(Part):
    """Betti-0, 1 and 2 bars of the neighbours of each site, by pairs of elements: 152 features.

    After the atom-specific persistent homology of Jiang et al. (2021), doi:10.1038/s41524-021-00493-w:
    around every site and for every element of the crystal, the cloud of the site and of the atoms of that
    element within 8 Å; numbers told of its barcode. It differs from the paper in five ways:

    - alpha complexes in place of Vietoris-Rips complexes, see :mod:`vitrine.physics.barcodes`; values are
      diameters up to the cut-off in both;
    - neighbours in the outermost ångström come in late, and bars count by their length, so that the features
      are continuous in the positions (:func:`vitrine.physics.barcodes.statistics`);
    - pairs are kept apart by whether the neighbour is the same element, a more or a less electronegative one;
      the paper adds all pairs up;
    - one more cloud for each site, of all neighbours whatever their element;
    - mean and spread over sites: a supercell has the features of its cell, and no feature grows with it.

    Composition is not among the features: use them beside those of the formula.
    """

    summary: ClassVar[str] = "persistent homology around the sites of a crystal, by pairs of elements (ASPH)"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    structures: ClassVar[bool] = True
    makes: ClassVar[str] = "vectors"

    kind: Literal["asph"] = "asph"
    cutoff: float = Field(8.0, ge=2, le=12, description="Å, radius of a cloud, largest diameter of balls")
    shell: float = Field(1.0, gt=0, description="Å, shell at the rim of a cloud where atoms come in late")

    @model_validator(mode="after")
    def _possible(self) -> AtomSpecificHomology:
        if self.shell > self.cutoff:
            raise ValueError(f"shell: {self.shell:g} Å is thicker than the cut-off, {self.cutoff:g} Å")
        return self

    def citations(self) -> tuple[str, ...]:
        """The method, and GUDHI."""
        return ("10.1038/s41524-021-00493-w", "10.1007/978-3-662-44199-2_28")

    def feature_labels(self) -> tuple[str, ...]:
        """Statistic, neighbours, and mean or spread."""
        from vitrine.physics.barcodes import FEATURES

        return FEATURES

    def refuses(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for structures that cannot be read."""
        return refused_structures(samples)

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per sample; the features of every 64 structures are one entry of the store.

        Raises
        ------
        DataError: no columns of structures, or a structure that cannot be used; the row is named.
        MissingExtra: gudhi is not installed.
        """
        from vitrine.physics.barcodes import gudhi

        gudhi()
        structures = read_structures(samples)
        keys = [structure.key() for structure in structures]
        first: dict[str, int] = {}
        for number, key in enumerate(keys):
            first.setdefault(key, number)
        numbers = list(first.values())
        chunks = [numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK)]
        tasks = [self._task(samples, structures, keys, chunk) for chunk in chunks]
        rows: dict[str, np.ndarray] = {}
        for chunk, outcome in zip(chunks, compute(tasks), strict=True):
            if outcome.folder is None:
                raise DataError(f"no persistent homology for {outcome.label}: {outcome.error}")
            table = np.load(outcome.folder / FILE, allow_pickle=False)
            rows |= {keys[number]: row for number, row in zip(chunk, table, strict=True)}
        return whole_examples(self.makes, samples, [rows[key] for key in keys], self.feature_labels())

    def _task(
        self, samples: Samples, structures: Sequence[Structure], keys: Sequence[str], chunk: Sequence[int]
    ) -> Task:
        from importlib.metadata import version

        digest = hashlib.sha256("".join(keys[number] for number in chunk).encode()).hexdigest()
        return Task(
            label=f"{samples.ids[chunk[0]]} to {samples.ids[chunk[-1]]}",
            kind="homology",
            recipe={**self.recipe(), "structures": digest, "gudhi": version("gudhi")},
            function=store_homology,
            arguments={
                "names": [samples.ids[number] for number in chunk],
                "structures": [structures[number] for number in chunk],
                "cutoff": self.cutoff,
                "shell": self.shell,
            },
        )


def store_homology(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    names: Sequence[str],
    structures: Sequence[Structure],
    cutoff: float,
    shell: float,
) -> None:
    """Write ``homology.npy``: (n_structures, 152) float64, Å.

    Raises
    ------
    DataError: a structure with two atoms in one place or an absurd density; it is named.
    """
    from vitrine.physics.barcodes import homology_features

    rows = []
    for number, (name, crystal) in enumerate(zip(names, structures, strict=True)):
        try:
            rows.append(homology_features(crystal.cell, crystal.species, crystal.frac, cutoff, shell))
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        progress((number + 1) / len(names))
    np.save(folder / FILE, np.stack(rows))
