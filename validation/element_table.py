"""The table of elemental properties that Magpie attributes are made of, from matminer and pymatgen.

    python validation/element_table.py [--check]

Writes ``src/vitrine/physics/elements.csv``; with ``--check`` it compares that file with what the installed
matminer and pymatgen hold and ends with exit code 1 where they differ. An empty cell is an unknown property.
"""

from __future__ import annotations

import argparse
import math
import warnings
from pathlib import Path

from matminer.featurizers.composition import ElementProperty
from matminer.utils.data import MagpieData
from pymatgen.core import Element

TABLE = Path(__file__).parents[1] / "src/vitrine/physics/elements.csv"


def cell(value: float | None) -> str:
    """The shortest text that reads as the same number; empty for none."""
    if (not value and value != 0) or math.isnan(value):
        return ""
    return repr(float(value)).removesuffix(".0")


def lines() -> list[str]:
    """Header and 118 rows: symbol, 22 properties of Magpie, electronegativity and states of pymatgen."""
    warnings.simplefilter("ignore")
    names = ElementProperty.from_preset("magpie").features
    magpie = MagpieData(impute_nan=False)
    found = [",".join(("symbol", *names, "X", "common_oxidation_states"))]
    for number in range(1, 119):
        element = Element.from_Z(number)
        values = [cell(magpie.get_elemental_property(element, name)) for name in names]
        states = " ".join(str(state) for state in element.common_oxidation_states)
        found.append(",".join((element.symbol, *values, cell(element.X or None), states)))
    return found


def main() -> None:
    """Write the table, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file that is there")
    fresh = lines()
    if not parser.parse_args().check:
        TABLE.write_text("\n".join(fresh) + "\n", encoding="utf-8")
        return
    there = TABLE.read_text(encoding="utf-8").splitlines()
    other = [new for old, new in zip(there, fresh, strict=True) if old != new]
    print("\n".join(other) or f"{TABLE.name} holds what is installed")
    raise SystemExit(bool(other))


if __name__ == "__main__":
    main()
