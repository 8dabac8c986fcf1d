"""What may be done to a sample without changing what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.physics.rotation import (
    DIRECTIONS,
    canonical_rotation,
    matrix_to_voigt,
    rotate_tensor,
    voigt_to_matrix,
)
from vitrine.samples import Int, Samples

if TYPE_CHECKING:
    from ase import Atoms

Float = NDArray[np.float64]

OF_ATOMS = ("rotate", "rotate_with_load", "translate", "permute", "wrap", "replicate")
OF_FORMULAS = ("order", "scale")


def changes(samples: Samples, symmetry: str) -> Iterator[tuple[Samples, list[Int] | None]]:
    """The samples after a change of this name, once or several times.

    Yields
    ------
    Changed samples and, where atoms move to other places in the list, for each sample the number
    that the atom at each place had before (None: all stay).

    Raises
    ------
    ValueError: no symmetry of this name.
    """
    if symmetry == "rotate":
        for seed in (0, 1):
            yield each(samples, partial(_turned_at_random, seed)), None
    elif symmetry == "rotate_with_load":
        for steps in range(1, len(DIRECTIONS)):
            yield each(samples, partial(_under_other_load, steps)), None
    elif symmetry in _OF_FORMULAS:
        yield _rewritten(samples, _OF_FORMULAS[symmetry]), None
    elif symmetry in _PER_ATOM:
        random = np.random.default_rng(5)
        pairs = [_PER_ATOM[symmetry](atoms, random) for atoms in samples.items]
        moved = None if symmetry in ("translate", "wrap") else [order for _, order in pairs]
        yield replace(samples, items=[atoms for atoms, _ in pairs]), moved
    else:
        raise ValueError(f"no symmetry {symmetry!r}; known: {', '.join(OF_ATOMS + OF_FORMULAS)}")


def rotated(atoms: Atoms, rotation: Float) -> Atoms:
    """Turned as a rigid body: positions, cell, and the per-atom arrays that have a direction.

    ``(n, 3)`` floating-point arrays are vectors, ``(n, 6)`` symmetric tensors in Voigt order,
    ``(n, 3, 3)`` tensors; all others stay.

    Parameters
    ----------
    rotation: (3, 3) proper rotation.
    """
    turned: Atoms = atoms.copy()
    turned.set_cell(np.asarray(atoms.cell) @ rotation.T, scale_atoms=False)
    for name, values in atoms.arrays.items():
        if values.dtype.kind != "f":
            continue
        if values.shape[1:] == (3,):
            turned.arrays[name] = values @ rotation.T
        elif values.shape[1:] == (6,):
            turned.arrays[name] = matrix_to_voigt(rotate_tensor(rotation, voigt_to_matrix(values)))
        elif values.shape[1:] == (3, 3):
            turned.arrays[name] = rotate_tensor(rotation, values)
    return turned


def translated(atoms: Atoms, vector: Float) -> Atoms:
    """Moved as a whole by ``vector`` (3,), in the unit of the positions."""
    moved: Atoms = atoms.copy()
    moved.positions = moved.positions + vector
    return moved


def wrapped(atoms: Atoms, images: Int) -> Atoms:
    """Atoms moved by whole cell vectors, ``images`` (n, 3) of them, where the cell is periodic."""
    moved: Atoms = atoms.copy()
    moved.positions = moved.positions + (images * np.asarray(atoms.pbc)) @ np.asarray(atoms.cell)
    return moved


def replicated(atoms: Atoms) -> Atoms:
    """Two cells side by side along the first periodic direction: atoms n to 2n are images of 0 to n."""
    repeats = [1, 1, 1]
    repeats[int(np.argmax(np.asarray(atoms.pbc)))] = 2
    twice: Atoms = atoms.repeat(repeats)
    twice.info = dict(atoms.info)
    return twice


def random_rotation(seed: int, about_z: bool = False) -> Float:
    """(3, 3): a proper rotation, uniform over all of them or over those in the plane."""
    random = np.random.default_rng(seed)
    if about_z:
        angle = random.uniform(0.0, 2 * np.pi)
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    turn: Float = q * np.sign(np.linalg.det(q))
    return turn


def is_flat(atoms: Atoms) -> bool:
    """Whether all atoms lie in one plane of constant z."""
    return bool(np.ptp(atoms.positions[:, 2]) == 0.0) if len(atoms) else False


def each(samples: Samples, change: Callable[[Any], Any]) -> Samples:
    """The same samples with every item changed."""
    return replace(samples, items=[change(item) for item in samples.items])


def _turned_at_random(seed: int, atoms: Atoms) -> Atoms:
    return rotated(atoms, random_rotation(seed, is_flat(atoms)))


def _under_other_load(steps: int, atoms: Atoms) -> Atoms:
    """Turned so that the load in ``info["direction"]`` becomes the one ``steps`` further of the six."""
    before = str(atoms.info["direction"])
    after = DIRECTIONS[(DIRECTIONS.index(before) + steps) % len(DIRECTIONS)]
    turned = rotated(atoms, canonical_rotation(after).T @ canonical_rotation(before))
    turned.info["direction"] = after
    return turned


def _permuted(atoms: Atoms, random: np.random.Generator) -> tuple[Atoms, Int]:
    order = random.permutation(len(atoms))
    other = atoms[order]
    other.info = dict(atoms.info)
    return other, order


_PER_ATOM: dict[str, Callable[[Any, np.random.Generator], tuple[Any, Int]]] = {
    "translate": lambda a, random: (translated(a, random.uniform(-9.0, 9.0, 3)), np.arange(len(a))),
    "wrap": lambda a, random: (wrapped(a, random.integers(-2, 3, (len(a), 3))), np.arange(len(a))),
    "permute": _permuted,
    "replicate": lambda a, random: (replicated(a), np.tile(np.arange(len(a)), 2)),
}
_Amounts = list[tuple[str, float]]
_OF_FORMULAS: dict[str, Callable[[_Amounts], _Amounts]] = {
    "order": lambda amounts: amounts[::-1],
    "scale": lambda amounts: [(symbol, 3 * amount) for symbol, amount in amounts],
}


def _rewritten(samples: Samples, change: Callable[[_Amounts], _Amounts]) -> Samples:
    from vitrine.physics.formulas import parse_formula

    texts = []
    for text in samples.items["formula"]:
        amounts = change(list(parse_formula(text).items()))
        texts.append("".join(f"{symbol}{amount:g}" for symbol, amount in amounts))
    return replace(samples, items=samples.items.assign(formula=texts))
