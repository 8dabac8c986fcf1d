"""What is known of an element beforehand, as numbers of one size: for networks that meet new elements.

From ``elements.csv``, as :mod:`vitrine.physics.magpie`. Some properties stand there twice: standardised over
the elements, and as Gaussians evenly over the range and as wide as their spacing, a soft version of the bins
of Xie & Grossman (doi:10.1103/PhysRevLett.120.145301): an element that was never seen shares them with those
next to it. Electrons and holes of the shells are shares of a full one.
"""

from __future__ import annotations

import numpy as np

from vitrine.samples import Float

SPREAD_OUT = {"Column": 9, "Row": 6, "Electronegativity": 8, "CovalentRadius": 8, "MendeleevNumber": 10}
"""property -> Gaussians over its range"""
LOGARITHMS = ("GSvolume_pa", "MeltingT", "AtomicWeight")
ELECTRONS = {"NsValence": 2, "NpValence": 6, "NdValence": 10, "NfValence": 14}
UNFILLED = {"NsUnfilled": 2, "NpUnfilled": 6, "NdUnfilled": 10, "NfUnfilled": 14}
MAY_LACK = ("Electronegativity", "CovalentRadius", "MeltingT")
KNOWN = 112
"""Of the elements after this nothing is known."""


def element_features() -> Float:
    """(119, n_features): row Z is the element of atomic number Z; row 0 is none.

    A property that an element lacks is the mean over all that have it, and a column tells that it is lacking.
    """
    from vitrine.physics.magpie import PROPERTIES, elements

    table = dict(zip(PROPERTIES, elements().properties[:KNOWN].T, strict=True))
    columns: list[Float] = []
    for name, number in SPREAD_OUT.items():
        values = _filled(table[name])
        columns.append(_standardised(values)[:, None])
        centres = np.linspace(values.min(), values.max(), number)
        columns.append(np.exp(-0.5 * ((values[:, None] - centres) / (centres[1] - centres[0])) ** 2))
    columns += [_standardised(np.log(_filled(table[name])))[:, None] for name in LOGARITHMS]
    for name, full in (ELECTRONS | UNFILLED).items():
        columns.append((table[name] / full)[:, None])
    columns.append(_standardised(table["NValence"])[:, None])
    columns += [np.isnan(table[name])[:, None].astype(float) for name in MAY_LACK]
    known = np.concatenate(columns, axis=1)
    found = np.zeros((119, known.shape[1]))
    found[1 : KNOWN + 1] = known
    return found


def _filled(values: Float) -> Float:
    return np.where(np.isnan(values), np.nanmean(values), values)


def _standardised(values: Float) -> Float:
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float64)
