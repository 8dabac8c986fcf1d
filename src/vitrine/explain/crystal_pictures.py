"""A crystal as a panel of a picture: seen along its shortest period, with the neighbours of its sites.

Along that period the images of a site stand behind one another, so that most others stand beside them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vitrine.physics.crystals import Structure
from vitrine.samples import Float, Int

SMALLEST = 0.1
"""share of the largest bond below which a line is not drawn"""
DISC = 0.6
"""Å, radius of the disc of an element with a covalent radius of 150 pm"""


def crystal_panel(
    label: str, crystal: Structure, edges: Int, vectors: Float, sites: Float, bonds: Float, high: float
) -> dict[str, Any]:
    """A panel of :class:`vitrine.explain.found.Picture`.

    Parameters
    ----------
    edges: (2, n_edges), centre and neighbour. vectors: (n_edges, 3) Å, from the centre to that image.
    sites: (n,) colours. bonds: (n_edges,), 0 or more: the largest is drawn widest. high: end of the colours.
    """
    onto = _view(crystal.cell)
    own = (crystal.frac - np.floor(crystal.frac + 1e-6)) @ crystal.cell
    begin, flat = own[edges[0]] @ onto.T, own @ onto.T
    end = (own[edges[0]] + vectors) @ onto.T
    # several bonds end at one place
    seen = {(n, *place) for n, place in enumerate(flat.round(1).tolist())}
    new = []
    for e, place in enumerate(end.round(1).tolist()):
        if (int(edges[1][e]), *place) not in seen:
            seen.add((int(edges[1][e]), *place))
            new.append(e)
    points, inside = np.concatenate([flat, end[new]]), np.arange(len(flat) + len(new)) < len(flat)
    kinds = np.concatenate([np.arange(len(own)), edges[1][new]]).astype(np.int64)
    radii = DISC * _radii(crystal.species)[kinds] / 150.0
    weight = bonds / max(float(bonds.max(initial=0.0)), 1e-300)
    lines: dict[tuple[tuple[float, ...], ...], float] = {}
    for one, other, width in zip(
        begin.round(2).tolist(), end.round(2).tolist(), weight.tolist(), strict=True
    ):
        ends = tuple(sorted((tuple(one), tuple(other))))
        if width > SMALLEST and one != other:  # of bonds behind one another the largest
            lines[ends] = max(width, lines.get(ends, 0.0))
    return {
        "label": f"{label}, most on {crystal.species[int(np.argmax(sites))]}",
        "x": points[:, 0].round(3).tolist(),
        "y": points[:, 1].round(3).tolist(),
        "values": np.asarray(sites[kinds], dtype=float).round(4).tolist(),
        "marked": inside.astype(float).tolist(),
        "low": 0.0,
        "high": high,
        "unit": "multiple of the even share",
        "radii": np.where(inside, radii, 0.7 * radii).round(3).tolist(),
        "bonds": [[*one, *other, round(width, 3)] for (one, other), width in lines.items()],
    }


def _view(cell: Float) -> Float:
    """(2, 3): right and up for who looks along the shortest period; the next one lies to the right."""
    from vitrine.physics.crystal_neighbours import reduced_cell

    periods = reduced_cell(np.ascontiguousarray(cell, dtype=np.float64))
    towards = periods[0] / np.linalg.norm(periods[0])
    right = periods[1] - (periods[1] @ towards) * towards
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right)])


def _radii(species: tuple[str, ...]) -> Float:
    """(n,) covalent radii, pm; 150 where none is known."""
    from vitrine.physics.formulas import ALL_ELEMENTS
    from vitrine.physics.magpie import PROPERTIES, elements

    table = elements().properties[:, PROPERTIES.index("CovalentRadius")]
    return np.nan_to_num(table[[ALL_ELEMENTS.index(symbol) for symbol in species]], nan=150.0)
