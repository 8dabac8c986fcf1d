"""Ordered alloys of seven metals and their formation energies by effective-medium theory.

A table and a set of crystals that need no download. The energies are those of ASE's EMT
(doi:10.1016/0039-6028(96)00816-3), a potential fitted to the pure metals: they are smooth, quick
and consistent, and no substitute for density-functional theory or experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import DataError, EngineError, TaskError
from vitrine.parts import Part
from vitrine.samples import Samples
from vitrine.tasks import Outcome, Progress, Task

if TYPE_CHECKING:
    from ase import Atoms

Float = NDArray[np.float64]
Keep = Literal["lowest", "all"]

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
"""The metals that EMT was made for. ASE's H, C, N and O are "just for fun" and left out."""

FORMATION_ENERGY = "e_form"
LARGEST_CELL = 8
"""Atoms in the largest random cell."""
STRETCH = (0.75, 1.30)
"""Lengths looked at during relaxation, relative to those of Vegard's volume."""
LENGTH_TOLERANCE = 1.0e-8
"""Relative, of relaxed lengths: the root of the rounding error; no minimum is placed better."""

_Rows = list[list[float]]
_CUBE: _Rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
_FCC: _Rows = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
_CENTRED: _Rows = [[0, 0, 0], [0.5, 0.5, 0.5]]
_D0_22: _Rows = [[0, 0, 0], [0.5, 0.5, 0], [0.25, 0.75, 0.5], [0.75, 0.25, 0.5]]
_PROTOTYPES: dict[str, tuple[_Rows, _Rows, tuple[int, ...], bool]] = {
    "B1": (_FCC, _CENTRED, (0, 1), False),
    "B2": (_CUBE, _CENTRED, (0, 1), False),
    "L1_0": ([[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]], _CENTRED, (0, 1), True),
    "L1_2": (_CUBE, [[0, 0, 0], *_FCC], (1, 0, 0, 0), False),
    "D0_22": ([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 1]], _D0_22, (1, 0, 0, 0), True),
}
"""Cell rows (their length is set by the volume), fractional sites, which of two metals sits there,
and whether c/a is free; L1_0 and D0_22 are stacked along z. All but B1 and B2 start as ideal fcc."""


class EmtAlloys(Part):
    """Alloys of Al, Ni, Cu, Pd, Ag, Pt and Au in B1, B2, L1_0, L1_2, D0_22 and random fcc cells.

    Every pair of metals is taken in every prototype (A3B both ways), and ``random_cells`` random
    superlattices of fcc with 2 to 8 atoms and 2 to 4 metals. Formation energies [eV/atom] are
    relative to EMT's own relaxed fcc metals. As samples: the lowest energy of each reduced formula, or all
    structures, for models that see them.
    A prototype is where a structure started: L1_0 NiPt, for one, relaxes to B2 (c/a 0.707).
    """

    summary: ClassVar[str] = "ordered alloys of seven metals with EMT formation energies, made in seconds"
    version: ClassVar[int] = 1
    yields: ClassVar[str] = "formulas"
    not_determining: ClassVar[frozenset[str]] = frozenset({"keep"})

    kind: Literal["emt-alloys"] = "emt-alloys"
    seed: int = Field(0, ge=0, description="of the random cells")
    random_cells: int = Field(1000, ge=0, le=100_000, description="number of random fcc superlattices")
    relaxed: bool = Field(True, description="relax volume (c/a too in L1_0, D0_22); if not, Vegard's volume")
    relax_atoms: bool = Field(False, description="relax atoms and volume of random cells (by ASE, slower)")
    strains: tuple[Annotated[float, Field(ge=-0.1, le=0.1)], ...] = Field(
        (), description="add every structure with all lengths strained by these, e.g. [-0.03, 0.03]"
    )
    keep: Keep = Field("lowest", description="samples: the lowest energy of each formula, or all structures")

    def citations(self) -> tuple[str, ...]:
        """EMT, ASE, and the enumeration of superlattices."""
        emt, ase = "10.1016/0039-6028(96)00816-3", "10.1088/1361-648X/aa680e"
        return emt, ase, "10.1103/PhysRevB.77.224115"

    def tasks(self) -> list[Task]:
        """One task, which makes ``structures.extxyz`` and ``table.csv``."""
        from importlib.metadata import version

        return [
            Task(
                label=f"emt-alloys-n{self.random_cells}-s{self.seed:04d}",
                kind="emt-alloys",
                recipe={**self.recipe(), "ase": version("ase")},
                function=write_alloys,
                arguments=self.model_dump(mode="json", exclude={"kind", "keep"}),
            )
        ]

    def samples(self, outcomes: Sequence[Outcome]) -> Samples:
        """One formula per row: ids ``emt:<row of table.csv>``, group the reduced formula.

        The items have the columns ``formula``, ``target`` [eV/atom], ``prototype`` and ``n_atoms``, and the
        structure: ``cell`` (a, b, c [Å], alpha, beta, gamma [degrees]), ``species`` (symbols) and ``frac``
        (3 n fractional coordinates), as tuples.

        Raises
        ------
        TaskError: the table was not made. DataError: its structures are gone.
        """
        import pandas as pd

        (outcome,) = outcomes
        if outcome.folder is None:
            raise TaskError(f"{outcome.label} was not made: {outcome.error}")
        table = pd.read_csv(outcome.folder / "table.csv", keep_default_na=False, float_precision="round_trip")
        rows, note = np.arange(len(table)), "all structures that were tried"
        if self.keep == "lowest":
            rows = np.sort(table.groupby("formula", sort=False)[FORMATION_ENERGY].idxmin().to_numpy())
            note = "lowest of what was tried"
        items = table.iloc[rows].reset_index(drop=True).rename(columns={FORMATION_ENERGY: "target"})
        alloys = read_alloys(outcome.folder)
        items = items.join(pd.DataFrame(_structure_columns([alloys[row] for row in rows])))
        note = f"a toy potential (effective-medium theory), not DFT or experiment; {note}"
        about = {"table": "emt-alloys", "target": FORMATION_ENERGY, "unit": "eV/atom", "note": note}
        return Samples(
            kind="formulas",
            items=items,
            ids=tuple(f"emt:{row + 1}" for row in rows),
            groups=tuple(items["formula"]),
            about={**about, "rows": len(items), "structures": len(table)},
        )


@dataclass(frozen=True)
class _Crystal:
    """A periodic structure: fractional sites ``(n, 3)`` and cell rows ``(3, 3)`` in Å."""

    prototype: str
    symbols: tuple[str, ...]
    sites: Float
    cell: Float
    free_axis: bool = False
    strain: float = 0.0

    @property
    def volume(self) -> float:
        return float(abs(np.linalg.det(self.cell)))

    def stretched(self, factors: float | Float) -> _Crystal:
        """With the Cartesian axes multiplied by one factor, or by three."""
        return replace(self, cell=self.cell * factors)


def write_alloys(folder: Path, inputs: Sequence[Path], progress: Progress, **settings: Any) -> None:
    """Make the alloys; write ``structures.extxyz`` and ``table.csv`` (row i is frame i).

    The table has the columns formula (reduced), e_form [eV/atom], prototype, n_atoms.
    """
    import ase.io
    import pandas as pd

    alloys = make_alloys(**settings, progress=progress)
    ase.io.write(folder / "structures.extxyz", alloys, format="extxyz")
    columns = ["formula", FORMATION_ENERGY, "prototype"]
    table = pd.DataFrame([[atoms.info[name] for name in columns] for atoms in alloys], columns=columns)
    table.assign(n_atoms=[len(atoms) for atoms in alloys]).to_csv(folder / "table.csv", index=False)


def read_alloys(folder: Path) -> list[Atoms]:
    """All structures that :func:`write_alloys` wrote, in the order of ``table.csv``.

    ``info`` holds ``formula``, ``e_form`` [eV/atom], ``prototype`` and ``strain``; the attached
    calculator has the EMT energy [eV]. Positions are kept to 1e-8 Å.

    Raises
    ------
    DataError: the folder holds no structures.
    """
    import ase.io

    path = folder / "structures.extxyz"
    if not path.is_file():
        raise DataError(f"{folder} holds no structures.extxyz; it is made by the source emt-alloys")
    return list(ase.io.read(path, index=":", format="extxyz"))


def _structure_columns(alloys: Sequence[Atoms]) -> dict[str, list[tuple[Any, ...]]]:
    """Columns ``cell``, ``species`` and ``frac``, the convention for structures in tables."""
    return {
        "cell": [tuple(map(float, atoms.cell.cellpar())) for atoms in alloys],
        "species": [tuple(atoms.get_chemical_symbols()) for atoms in alloys],
        "frac": [tuple(map(float, atoms.get_scaled_positions(wrap=False).ravel())) for atoms in alloys],
    }


def make_alloys(
    seed: int = 0,
    random_cells: int = 1000,
    relaxed: bool = True,
    relax_atoms: bool = False,
    strains: Sequence[float] = (),
    progress: Progress = lambda fraction: None,
) -> list[Atoms]:
    """All structures as ASE atoms with periodic boundaries; arguments as in :class:`EmtAlloys`.

    First the seven metals (A1), then the prototypes, then the random cells, then for each strain
    all of them again. ``info`` and calculator as in :func:`read_alloys`.
    """
    emt = _Emt()
    metals = {metal: _relaxed(emt, emt.metal(metal)) for metal in METALS}
    reference = {metal: emt.energy(crystal) for metal, crystal in metals.items()}
    volume = {metal: crystal.volume for metal, crystal in metals.items()}

    todo = [*_prototypes(volume), *_random_cells(volume, random_cells, seed)]
    done = list(metals.values())
    for count, crystal in enumerate(todo):
        if relaxed:
            crystal = _relaxed(emt, crystal)
        if relax_atoms and crystal.prototype == "random":
            crystal = _relaxed_atoms(emt, crystal)
        done.append(crystal)
        progress((count + 1) / len(todo))
    done += [replace(c.stretched(1 + strain), strain=strain) for strain in strains for c in done]
    return [_finished(crystal, emt.energy(crystal), reference) for crystal in done]


def _finished(crystal: _Crystal, energy: float, reference: Mapping[str, float]) -> Atoms:
    from ase.calculators.singlepoint import SinglePointCalculator

    from vitrine.physics.formulas import reduced_formula

    symbols = crystal.symbols
    atoms = _atoms(crystal)
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    atoms.info = {
        "formula": reduced_formula({symbol: symbols.count(symbol) for symbol in symbols}),
        FORMATION_ENERGY: (energy - sum(reference[symbol] for symbol in symbols)) / len(symbols),
        "prototype": crystal.prototype,
        "strain": crystal.strain,
    }
    return atoms


def _atoms(crystal: _Crystal) -> Atoms:
    from ase import Atoms

    return Atoms(list(crystal.symbols), scaled_positions=crystal.sites, cell=crystal.cell, pbc=True)


def _prototypes(volume: Mapping[str, float]) -> list[_Crystal]:
    """All pairs in all prototypes at Vegard's volume; both orders where the sites are unlike."""
    crystals = []
    for name, (cell, sites, species, free_axis) in _PROTOTYPES.items():
        for pair in (combinations if species == (0, 1) else permutations)(METALS, 2):
            symbols = tuple(pair[which] for which in species)
            crystal = _Crystal(name, symbols, np.array(sites), np.array(cell, dtype=float), free_axis)
            crystals.append(_at_vegard(crystal, volume))
    return crystals


def _random_cells(volume: Mapping[str, float], number: int, seed: int) -> list[_Crystal]:
    """Random superlattices of fcc: 2 to 8 atoms, 2 to 4 metals, in a compact cell."""
    from ase.geometry import minkowski_reduce

    rng = np.random.default_rng(seed)
    forms = {n: hermite_forms(n) for n in range(2, LARGEST_CELL + 1)}
    crystals = []
    for _ in range(number):
        n = int(rng.integers(2, LARGEST_CELL + 1))
        form = forms[n][int(rng.integers(len(forms[n])))]
        points = np.indices(tuple(np.diag(form))).reshape(3, n).T  # one lattice point of each kind
        cell, change = minkowski_reduce(form @ np.array(_FCC))
        sites = points @ np.linalg.inv(change @ form) % 1.0
        metals = rng.choice(METALS, size=int(rng.integers(2, min(n, 4) + 1)), replace=False)
        # each metal once, then at random, so that none is missing
        symbols = rng.permutation(np.concatenate([metals, rng.choice(metals, size=n - len(metals))]))
        crystals.append(_at_vegard(_Crystal("random", tuple(map(str, symbols)), sites, cell), volume))
    return crystals


def hermite_forms(n: int) -> list[NDArray[np.int64]]:
    """All superlattices with n times the volume: rows are the new cell in terms of the old
    (doi:10.1103/PhysRevB.77.224115, transposed). Those equal by symmetry of fcc are kept."""
    return [
        np.array([[a, 0, 0], [b, c, 0], [d, e, n // (a * c)]])
        for a in range(1, n + 1)
        for c in range(1, n + 1)
        if n % (a * c) == 0
        for b in range(a)
        for d in range(a)
        for e in range(c)
    ]


def _at_vegard(crystal: _Crystal, volume: Mapping[str, float]) -> _Crystal:
    total = sum(volume[symbol] for symbol in crystal.symbols)
    return crystal.stretched((total / crystal.volume) ** (1 / 3))


_Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Float]
"""Kinds of the atoms; of all pairs, both ways: first atom, kind of the second, vector [Å]."""


class _Emt:
    """Energy of ASE's EMT (its parameters and cut-off), by one expression over all pairs.

    Differs from :class:`ase.calculators.emt.EMT` in speed only: the pair list of a small cell is
    made once and stretched during relaxation.
    """

    def __init__(self) -> None:
        from ase import Atoms
        from ase.calculators.emt import EMT, beta

        calculator: Any = EMT()
        calculator.initialize(Atoms(METALS))
        self._kind = {metal: int(kind) for metal, kind in zip(METALS, calculator.ia2iz, strict=True)}
        self._par: dict[str, Float] = dict(calculator.par)
        self._chi, self._beta = calculator.chi, float(beta)
        self._rc, self._slope, self._cutoff = calculator.rc, calculator.acut, calculator.rc_list

    def metal(self, metal: str) -> _Crystal:
        """An fcc metal with neighbours beta s0 apart: EMT's equilibrium but for the cut-off."""
        length = self._beta * self._par["s0"][self._kind[metal]] * np.sqrt(2.0)
        return _Crystal("A1", (metal,), np.zeros((1, 3)), length * np.array(_FCC))

    def energy(self, crystal: _Crystal) -> float:
        """Energy [eV] of the cell, as ASE gives it."""
        return self.stretched_energy(self.pairs(crystal), 1.0)

    def pairs(self, crystal: _Crystal, shrink: float = 1.0) -> _Pairs:
        """All pairs, complete for lengths multiplied by ``shrink`` or more."""
        cutoff = self._cutoff / shrink
        # no vector within the cut-off spans more than cutoff / height of the cell along an axis
        reach = np.floor(cutoff * np.linalg.norm(np.linalg.inv(crystal.cell), axis=0) + 0.5).astype(int)
        images = np.indices(2 * reach + 1).reshape(3, -1).T - reach
        between = crystal.sites[None] - crystal.sites[:, None]
        between -= np.rint(between)
        vectors = between[:, :, None] @ crystal.cell + images @ crystal.cell  # (first, second, image, 3)
        squared = (vectors**2).sum(axis=-1)
        first, second, image = np.nonzero((squared < cutoff**2) & (squared > 1e-12))
        kinds = np.array([self._kind[symbol] for symbol in crystal.symbols])
        return kinds, first, kinds[second], vectors[first, second, image]

    def stretched_energy(self, pairs: _Pairs, stretch: float | Float) -> float:
        """Energy [eV] with the Cartesian axes multiplied by one factor, or by three."""
        par, beta = self._par, self._beta
        kinds, first, other, vectors = pairs
        r = np.sqrt(((vectors * stretch) ** 2).sum(axis=1))
        near = r < self._cutoff
        r, first, other = r[near], first[near], other[near]
        weight = self._chi[kinds[first], other] / (1.0 + np.exp(self._slope * (r - self._rc)))

        density = np.exp(-par["eta2"][other] * (r - beta * par["s0"][other])) * weight
        sigma = np.bincount(first, density, len(kinds)) * par["inv12gamma1"][kinds]
        ds = -np.log(sigma) / (beta * par["eta2"][kinds])
        x = par["lambda"][kinds] * ds
        cohesive = par["E0"][kinds] * ((1.0 + x) * np.exp(-x) - 1.0)
        sphere = 6.0 * par["V0"][kinds] * np.exp(-par["kappa"][kinds] * ds)
        pair = np.exp(-par["kappa"][other] * (r / beta - par["s0"][other])) * weight
        return float((cohesive + sphere).sum() + (par["neghalfv0overgamma2"][kinds[first]] * pair).sum())


def _relaxed(emt: _Emt, crystal: _Crystal) -> _Crystal:
    """The structure at the minimum of its energy over the volume, or over a and c."""
    from scipy.optimize import minimize, minimize_scalar

    pairs = emt.pairs(crystal, shrink=STRETCH[0])
    tolerance = {"xatol": LENGTH_TOLERANCE}
    scale = minimize_scalar(
        lambda s: emt.stretched_energy(pairs, s), bounds=STRETCH, method="bounded", options=tolerance
    ).x
    factors = np.full(3, scale)
    if crystal.free_axis:
        simplex = scale * np.array([[1.0, 1.0], [1.02, 1.0], [1.0, 1.02]])
        factors = minimize(
            lambda s: emt.stretched_energy(pairs, s[[0, 0, 1]]),
            simplex[0],
            method="Nelder-Mead",
            options={**tolerance, "fatol": 1e-13, "initial_simplex": simplex},
        ).x[[0, 0, 1]]
    if not STRETCH[0] + 1e-3 < factors.min() <= factors.max() < STRETCH[1] - 1e-3:
        name = f"{crystal.prototype} {''.join(crystal.symbols)}"
        raise EngineError(f"{name} does not relax within {STRETCH} of Vegard's lengths")
    return crystal.stretched(factors)


def _relaxed_atoms(emt: _Emt, crystal: _Crystal) -> _Crystal:
    """Atoms by ASE (forces to 0.01 eV/Å) and volume in turn, until the atoms stay where they are."""
    from ase.calculators.emt import EMT
    from ase.optimize import BFGS

    for _ in range(10):
        atoms = _atoms(crystal)
        atoms.calc = EMT()
        steps = BFGS(atoms, logfile=None)
        steps.run(fmax=0.01, steps=200)
        if steps.nsteps == 0:
            break
        crystal = _relaxed(emt, replace(crystal, sites=atoms.get_scaled_positions()))
    return crystal
