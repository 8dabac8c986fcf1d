"""Small samples and examples to feed a part under contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.map_stack import CropPlan, MapStack
from vitrine.physics.rotation import DIRECTIONS, load_strain
from vitrine.samples import Examples, Samples
from vitrine.strain_maps import StrainMap

if TYPE_CHECKING:
    from ase import Atoms

FORMULAS = ("Fe2O3", "NaCl", "Cu3Au", "CaTiO3", "Al2O3", "NiTi", "SiO2", "Mg2SiO4")


def sheared_glass(seed: int = 0, direction: str = "xy") -> Atoms:
    """54 atoms of Cu and Zr without order in a triclinic periodic cell, with random fields.

    Arrays ``energy`` (n,) eV, ``stress`` (n, 6) eV (Voigt xx yy zz yz xz xy), ``displacement``
    (n, 3) Å and ``d2min`` (n,) Å^2, the last with an event about one atom; info ``id``, ``group``
    and ``direction``.
    """
    from ase import Atoms

    rng = np.random.default_rng(seed)
    corners = np.indices((3, 3, 3)).reshape(3, -1).T
    sites = (corners[:, None] + [[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]).reshape(-1, 3) / 3
    cell = np.array([[10.0, 0.0, 0.0], [0.8, 9.5, 0.0], [0.0, -1.1, 10.5]])
    positions = sites @ cell + rng.normal(0.0, 0.45, (54, 3))
    symbols = rng.permutation(["Cu"] * 35 + ["Zr"] * 19)
    atoms = Atoms(symbols, positions, cell=cell, pbc=True)
    atoms.arrays["energy"] = rng.normal(-4.4, 0.3, 54)
    atoms.arrays["stress"] = rng.normal(0.0, 1.0, (54, 6))
    atoms.arrays["displacement"] = rng.normal(0.0, 0.1, (54, 3))
    near = np.argsort(atoms.get_distances(int(rng.integers(54)), range(54), mic=True))[:6]
    atoms.arrays["d2min"] = rng.exponential(0.01, 54)
    atoms.arrays["d2min"][near] += 0.5
    name = f"glass{seed}"
    atoms.info |= {"id": f"{name}/{direction}", "group": name, "direction": direction}
    return atoms


def atoms_samples(specimens: int = 2, directions: tuple[str, ...] = DIRECTIONS[:2]) -> Samples:
    """Specimens of :func:`sheared_glass`, each under several loads, the same atoms in each."""
    items = []
    for seed in range(specimens):
        for direction in directions:
            atoms = sheared_glass(seed)
            atoms.info |= {"id": f"glass{seed}/{direction}", "direction": direction}
            items.append(atoms)
    ids = tuple(str(atoms.info["id"]) for atoms in items)
    return Samples("atoms", items, ids, tuple(str(atoms.info["group"]) for atoms in items))


def flat_configuration(seed: int = 0, particles: int = 100) -> Atoms:
    """Particles of A ("Ni", 65 %) and B ("P") without order in a square periodic box, z = 0.

    Number density 1.2 in reduced Lennard-Jones units, edges along x and y; array ``energy`` (n,) ε;
    info ``id``, ``group``, ``phase`` (liquid for even seeds, else glass), ``temperature``,
    ``inherent_energy`` and ``state``.
    """
    from ase import Atoms

    rng = np.random.default_rng([seed, 3])
    edge, length = math.ceil(math.sqrt(particles)), math.sqrt(particles / 1.2)
    sites = np.indices((edge, edge)).reshape(2, -1).T[:particles] + 0.5
    places = sites * (length / edge) + rng.normal(0.0, 0.12, (particles, 2))
    large = round(0.65 * particles)
    symbols = rng.permutation(["Ni"] * large + ["P"] * (particles - large))
    positions = np.pad(places, ((0, 0), (0, 1)))
    atoms = Atoms(symbols, positions, cell=[length, length, 1.0], pbc=(True, True, False))
    atoms.arrays["energy"] = rng.normal(-3.5, 0.3, particles)
    phase = "glass" if seed % 2 else "liquid"
    atoms.info |= {"id": f"flat{seed}/1", "group": f"flat{seed}", "phase": phase, "state": "thermal"}
    atoms.info |= {"temperature": 0.05 if seed % 2 else 0.55, "inherent_energy": -3.87 - 0.001 * seed}
    return atoms


def flat_samples(count: int = 4, particles: int = 100) -> Samples:
    """Configurations of :func:`flat_configuration`, half of them liquids, with their attributes."""
    items = [flat_configuration(seed, particles) for seed in range(count)]
    names = ("inherent_energy", "temperature")
    return Samples(
        "atoms",
        items,
        tuple(str(atoms.info["id"]) for atoms in items),
        tuple(str(atoms.info["group"]) for atoms in items),
        about={"elements": ["Ni", "P"], "units": "lj", "state": "thermal"},
        attributes={name: np.array([atoms.info[name] for atoms in items]) for name in names},
    )


def formula_samples(formulas: tuple[str, ...] = FORMULAS) -> Samples:
    """A table with the columns ``formula`` and ``target`` (positive)."""
    import pandas as pd

    target = np.random.default_rng(0).uniform(0.1, 5.0, len(formulas))
    names = tuple(f"table:{row + 1}" for row in range(len(formulas)))
    return Samples("formulas", pd.DataFrame({"formula": formulas, "target": target}), names, formulas)


def map_samples(count: int = 6) -> Samples:
    """Strain maps of several sizes with bands of slip, prior strains 0.1, 1 and 10 % in turn.

    The last but one is constant, the last has holes (NaN). Each has a curve of 11 points.
    """
    items = []
    for seed in range(count):
        rng = np.random.default_rng([seed, 5])
        columns = 12 + 3 * seed
        row, column = np.indices((4 * columns, columns))
        axial = 0.01 + 0.02 * ((row - column + seed) % 11 == 0) + rng.normal(0.0, 1e-3, row.shape)
        if seed == count - 2:
            axial = np.full(row.shape, 0.001)
        strain = np.stack([-0.3 * axial, axial, 0.1 * axial]).astype(np.float32)
        if seed == count - 1:
            strain[:, 5:9, 3:6] = np.nan
        info = {"id": f"map{seed}/1", "group": f"map{seed}", "prior": 10.0 ** (seed % 3 - 1), "reload": 1.0}
        info |= {"width": 0.0625, "slip": "two", "seed": seed}
        even = np.linspace(0, 0.01, 11)
        curve = np.stack([even, 100.0 * np.minimum(even / 0.002, 1.0 + seed % 3)], axis=1)
        items.append(StrainMap(strain, 2.0, "y", info, curve))
    names = ("prior", "reload", "width")
    return Samples(
        "maps",
        items,
        tuple(str(item.info["id"]) for item in items),
        tuple(str(item.info["group"]) for item in items),
        attributes={
            **{name: np.array([item.info[name] for item in items]) for name in names},
            "slip_systems": np.full(count, 2.0),
        },
    )


def samples_of_kind(kind: str) -> Samples:
    """Samples of a kind that is known here.

    Raises
    ------
    NotImplementedError: of another kind; the test class must give its own.
    """
    known: dict[str, Callable[[], Samples]] = {
        "atoms": atoms_samples,
        "formulas": formula_samples,
        "maps": map_samples,
    }
    if kind not in known:
        raise NotImplementedError(
            f"vitrine.testing has no samples of kind {kind!r}; override samples() in the test class"
        )
    return known[kind]()


def without_each_field(samples: Samples) -> Iterator[tuple[str, Samples]]:
    """Name of a per-atom field, and the samples of atoms of which the last lacks it."""
    for name in sorted(set(samples.items[-1].arrays) - {"numbers", "positions"}):
        poorer = samples.items[-1].copy()
        del poorer.arrays[name]
        yield name, replace(samples, items=[*samples.items[:-1], poorer])


def some_of(samples: Samples, which: NDArray[Any]) -> Samples:
    """The samples at these positions, in this order."""
    return samples.select([int(i) for i in which])


def vector_examples(seed: int = 0, n_samples: int = 12, rows: int = 30, binary: bool = True) -> Examples:
    """Rows of four random features whose target depends on them, a fifth positive or mean 3."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(n_samples * rows, 4)).astype(np.float32)
    raw = features[:, 0] + 0.5 * features[:, 1] + 0.3 * random.normal(size=len(features))
    return Examples(
        makes="vectors",
        target_kind="binary" if binary else "value",
        ids=tuple(f"g{i}" for i in range(n_samples)),
        groups=tuple(f"group{i // 2}" for i in range(n_samples)),
        features=features,
        feature_labels=("a", "b", "c", "d"),
        starts=(np.arange(n_samples + 1) * rows).astype(np.int64),
        target=(raw > 0.8).astype(np.float32) if binary else (3 + 2 * raw).astype(np.float32),
    )


def graph_examples(seed: int = 0, n_samples: int = 12, n_nodes: int = 30, binary: bool = True) -> Examples:
    """The same rows as nodes of graphs with 120 random edges, each in both directions."""
    random = np.random.default_rng([seed, 1])
    edges = []
    for sample in range(n_samples):
        pairs = random.integers(0, n_nodes, size=(2, 60))
        edges.append(np.concatenate([pairs, pairs[::-1]], axis=1) + sample * n_nodes)
    return replace(
        vector_examples(seed, n_samples, n_nodes, binary),
        makes="graphs",
        edges=np.concatenate(edges, axis=1).astype(np.int64),
        edge_starts=(np.arange(n_samples + 1) * 120).astype(np.int64),
    )


def spatial_examples(seed: int = 0, n_samples: int = 12, n_nodes: int = 30, binary: bool = True) -> Examples:
    """The same graphs with nodes at places in space: bonds as vectors, a vector, a tensor and a load."""
    examples = graph_examples(seed, n_samples, n_nodes, binary)
    random = np.random.default_rng([seed, 2])
    n = examples.n_rows
    places = random.uniform(0.0, 6.0, (n, 3)).astype(np.float32)
    tensors = random.normal(size=(n, 1, 3, 3)).astype(np.float32)
    directions = [DIRECTIONS[i % len(DIRECTIONS)] for i in range(n_samples)]
    assert examples.edges is not None
    return replace(
        examples,
        edge_vectors=places[examples.edges[1]] - places[examples.edges[0]],
        vectors=random.normal(size=(n, 1, 3)).astype(np.float32),
        tensors=tensors + tensors.transpose(0, 1, 3, 2),
        loads=np.stack([load_strain(direction) for direction in directions]).astype(np.float32),
    )


def whole_graph_examples(
    seed: int = 0, n_samples: int = 72, n_nodes: int = 14, binary: bool = True
) -> Examples:
    """Graphs of particles of two kinds in a periodic square, one row a graph, its target their spacing.

    Bonds join particles within 1.6 times the side of a particle's share of the area.
    """
    random = np.random.default_rng([seed, 3])
    sides = random.uniform(1.0, 1.3, n_samples)
    edges, vectors, kinds = [], [], []
    for sample, side in enumerate(sides):
        box = side * np.sqrt(n_nodes)
        grid = np.indices((4, 4)).reshape(2, -1).T[:n_nodes] / 4
        places = (grid + random.normal(0.0, 0.04, (n_nodes, 2))) * box
        apart = places[None] - places[:, None]
        apart -= box * np.round(apart / box)
        near = (np.sqrt((apart**2).sum(-1)) < 1.6 * side) & ~np.eye(n_nodes, dtype=bool)
        edges.append(np.argwhere(near).T + sample * n_nodes)
        vectors.append(np.pad(apart[near], ((0, 0), (0, 1))))
        kinds.append(np.eye(2)[(random.random(n_nodes) < 0.35).astype(int)])
    counts = [part.shape[1] for part in edges]
    return replace(
        _whole_examples((sides - 1.15) / 0.3, binary),
        makes="whole-graphs",
        nodes=np.concatenate(kinds).astype(np.float32),
        node_starts=(np.arange(n_samples + 1) * n_nodes).astype(np.int64),
        edges=np.concatenate(edges, axis=1).astype(np.int64),
        edge_starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        edge_vectors=np.concatenate(vectors).astype(np.float32),
    )


def crystal_examples(seed: int = 0, n_samples: int = 72, binary: bool = True) -> Examples:
    """Crystals of 2 to 5 atoms of three metals in skewed cells, a row each; the target is the share of Al."""
    from vitrine.physics.crystal_neighbours import crystal_neighbours

    random = np.random.default_rng([seed, 5])
    numbers: list[NDArray[Any]] = []
    edges, vectors, shares = [], [], []
    for _ in range(n_samples):
        n, nodes = int(random.integers(2, 6)), sum(len(part) for part in numbers)
        cell = (17.0 * n) ** (1 / 3) * (np.eye(3) + random.normal(0.0, 0.1, (3, 3)))
        sites = np.indices((2, 2, 2)).reshape(3, -1).T[random.permutation(8)[:n]] / 2
        bonds = crystal_neighbours(cell, sites + random.normal(0.0, 0.03, (n, 3)))
        numbers.append(random.choice([13.0, 29.0, 79.0], n))
        edges.append(bonds.edges + nodes)
        vectors.append(bonds.vectors)
        shares.append((numbers[-1] == 13.0).mean())
    counts = [[len(part) for part in parts] for parts in (numbers, vectors)]
    bounds = [np.concatenate([[0], np.cumsum(part)]).astype(np.int64) for part in counts]
    return replace(
        _whole_examples(np.array(shares) - 0.34, binary),
        makes="crystals",
        nodes=np.concatenate(numbers).astype(np.float32)[:, None],
        node_starts=bounds[0],
        edges=np.concatenate(edges, axis=1).astype(np.int64),
        edge_starts=bounds[1],
        edge_vectors=np.concatenate(vectors).astype(np.float32),
    )


def image_examples(
    seed: int = 0, n_samples: int = 72, size: int = 24, binary: bool = True, classes: bool = True
) -> Examples:
    """Images of squares of two classes on an empty ground, the target the share of those of class 2.

    Without ``classes`` the pixels are values: 10, 11 and 12.
    """
    random = np.random.default_rng([seed, 4])
    shares = random.random(n_samples)
    images = np.zeros((n_samples, size, size), np.uint8)
    for image, share in zip(images, shares, strict=True):
        for row in range(0, size - 3, 4):
            for column in range(0, size - 3, 4):
                image[row : row + 3, column : column + 3] = 1 + (random.random() < share)
    return replace(
        _whole_examples(shares - 0.5, binary),
        makes="images",
        images=images if classes else (10 + images).astype(np.float32),
    )


def map_examples(seed: int = 0, n_samples: int = 72, binary: bool = True) -> Examples:
    """Strain maps of bands on a quiet ground, the target the share of pixels in bands."""
    random = np.random.default_rng([seed, 6])
    shares = random.random(n_samples)
    maps = []
    for share in shares:
        rows = 0.001 + 0.015 * (random.random(48) < share)
        maps.append(np.repeat(rows[:, None], 14, axis=1).astype(np.float16))
    plan = CropPlan(sides=(14, 16), crop=12, low=-0.01, high=0.02)
    return replace(_whole_examples(shares - 0.5, binary), makes="maps", maps=MapStack.of(maps, plan))


def in_classes(examples: Examples) -> Examples:
    """Examples with values as examples of three classes of about equal size."""
    assert examples.target is not None
    bounds = np.quantile(examples.target, [1 / 3, 2 / 3])
    target = np.digitize(examples.target, bounds).astype(np.float32)
    return replace(examples, target=target, target_kind="classes", class_names=("low", "middle", "high"))


def _whole_examples(raw: NDArray[Any], binary: bool) -> Examples:
    """One row without features per sample; its target is the sign of this number, or rises with it."""
    n = len(raw)
    return Examples(
        makes="vectors",
        target_kind="binary" if binary else "value",
        ids=tuple(f"w{i}" for i in range(n)),
        groups=tuple(f"group{i // 2}" for i in range(n)),
        features=np.zeros((n, 0), np.float32),
        feature_labels=(),
        starts=np.arange(n + 1, dtype=np.int64),
        target=(raw > 0).astype(np.float32) if binary else (3 + 2 * raw).astype(np.float32),
    )
