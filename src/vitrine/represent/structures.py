"""Crystal structures in a table of formulas, read and checked.

Two conventions. Either the columns ``cell`` (a, b, c [Å], alpha, beta, gamma [degrees]), ``species`` (a list
of symbols) and ``frac`` (3 n fractional coordinates, one after the other), as lists in a Parquet file; or a
column ``cif`` with the text of a CIF file. What they are made of is in :mod:`vitrine.physics.crystals`.
"""

from __future__ import annotations

from vitrine.physics.crystals import (
    CIF,
    COLUMNS,
    Structure,
    has_structures,
    read_structures,
    refused_structures,
    structure_of_cif,
    structure_of_columns,
)

__all__ = [
    "CIF",
    "COLUMNS",
    "Structure",
    "has_structures",
    "read_structures",
    "refused_structures",
    "structure_of_cif",
    "structure_of_columns",
]
