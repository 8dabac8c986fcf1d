"""Atoms as nodes, Voronoi neighbours as edges, cheap physical quantities as features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from vitrine.errors import DataError, StudyError
from vitrine.parts import Part
from vitrine.represent.cells import neighbour_means, store_voronoi, structure_key
from vitrine.represent.softness import FILE as SOFTNESS
from vitrine.represent.softness import (
    STIFFNESS_LABELS,
    response_columns,
    response_labels,
    stiffness_columns,
    store_softness,
)
from vitrine.represent.softness import VERSION as SOFTNESS_VERSION
from vitrine.represent.space import check_space, space_of, stress_over_volume
from vitrine.tasks import Compute, Task
from vitrine.units import Angstrom

if TYPE_CHECKING:
    from ase import Atoms

    from vitrine.samples import Examples, Samples

STRESS_LABELS = ("s11", "s22", "s33", "s12", "s23", "s31")
_PAPER_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
_PLAIN = ("cheap", "invariant")
"""features without second derivatives"""
_RESPONSE = ("response", "all", "invariant-response")


class VoronoiGraph(Part):
    """One graph per specimen and load direction (Lee & Ryu 2022, doi:10.3389/fmats.2022.874339).

    Stored per specimen: Voronoi volumes, indices and neighbours; for ``paper`` and ``response``
    also soft modes, stiffness and the response to shear, by the potential's second derivatives. The
    view of a direction turns the tensors so that every direction becomes the same canonical shear.
    """

    kind: Literal["voronoi-graph"] = "voronoi-graph"
    features: Literal["cheap", "paper", "response", "all", "invariant", "invariant-response"] = Field(
        "cheap",
        description=(
            "cheap: type (one per element), icosahedron or not (2), Voronoi volume, energy, stress (6); "
            "paper: these, participation in the soft modes and stiffness (6); response: the cheap ones, "
            "participation and the response to the load in first and second order; all: all of them; "
            "invariant, invariant-response: cheap and response without the stress, whose columns depend on "
            "the frame, for networks that take it as a tensor"
        ),
    )
    geometry: bool = Field(
        False,
        description="also bonds as vectors, tensors and the load's strain, for networks that see space: the "
        "stress [GPa], with second derivatives the stiffness under the load [GPa], and with features of the "
        "response its displacement fields in first and second order [Å]",
    )
    neighbour_averages: bool = Field(
        False, description="add each feature's mean over the atom's neighbours, for models without graphs"
    )
    potential: str | None = Field(
        None, description="eam.fs or eam.alloy file for second derivatives; by default that of the samples"
    )
    stiffness: Literal["relaxed", "affine"] = Field(
        "relaxed", description="stress over strain with the non-affine displacement, or without"
    )
    soft_fraction: float = Field(0.01, gt=0, lt=1, description="fraction of the modes that counts as soft")
    response_strains: tuple[float, ...] = Field(
        (0.001, 0.003, 0.01),
        description="shear strains, 1, at which both orders of the response are added up",
    )
    cutoff: Angstrom = Field(3.8, description="Å, neighbours in D2min of the response")
    elements: tuple[str, ...] = Field(("Cu", "Zr"), description="elements of the one-hot type, in order")
    icosahedron_centre: str = Field("Cu", description="element whose <0,0,12,0> polyhedra are marked")
    relative_face_threshold: float = Field(
        0.01, ge=0, lt=1, description="faces below this fraction of the cell's surface are ignored"
    )
    edge_threshold: Angstrom = Field(0.1, description="Å, edges below it do not count")
    backend: Literal["scipy", "ovito"] = Field("scipy", description="who tessellates")

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[str] = "graphs"
    needs_fields: ClassVar[tuple[str, ...]] = ("energy", "stress")
    needs_load: ClassVar[bool] = True
    summary: ClassVar[str] = "Voronoi neighbours as graph; local structure, stress, modes, response to shear"

    def citations(self) -> tuple[str, ...]:
        """The paper and Qhull; for second derivatives also the filter and the response."""
        cheap = ("10.3389/fmats.2022.874339", "10.1145/235815.235821")
        return (
            cheap
            if self.features == "cheap"
            else (*cheap, "10.1016/j.jcp.2006.03.017", "10.1103/PhysRevE.74.016118")
        )

    def feature_labels(self) -> tuple[str, ...]:
        """Names of the columns of the feature matrix, with units."""
        types = tuple(f"is {element}" for element in self.elements)
        stress = tuple(f"{label} [GPa]" for label in STRESS_LABELS)
        labels = (*types, "icosahedron", "not icosahedron", "Voronoi volume [Å³]", "energy [eV]")
        if not self._invariant:
            labels += stress
        if self.features not in _PLAIN:
            labels += ("log10 participation",)
        if self.features in ("paper", "all"):
            labels += tuple(f"{label} [GPa]" for label in STIFFNESS_LABELS)
        if self.features in _RESPONSE:
            labels += response_labels(self.response_strains)
        if self.neighbour_averages:
            labels += tuple(f"{label}, mean of neighbours" for label in labels)
        return labels

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """Graphs of all samples, without target.

        Raises
        ------
        DataError: an element or a per-atom field is missing, or a tessellation failed.
        """
        import numpy as np

        from vitrine.samples import Examples

        if not len(samples):
            raise DataError(f"{self.kind} got no samples")
        stored = self._stored(samples, compute)
        features, edges, starts, edge_starts = [], [], [0], [0]
        space: list[dict[str, Any]] = []
        for atoms, name in zip(samples.items, samples.ids, strict=True):
            cells = stored[structure_key(atoms)]
            features.append(self.view(atoms, cells, name))
            edges.append(cells["neighbours"] + starts[-1])
            starts.append(starts[-1] + len(atoms))
            edge_starts.append(edge_starts[-1] + edges[-1].shape[1])
            if self.geometry:
                space.append(self._space(atoms, cells))
        with np.errstate(over="ignore"):
            matrix = np.concatenate(features).astype(np.float32)
        self._check_finite(matrix, starts, samples.ids)
        names = space[0] if space else ()
        with np.errstate(over="ignore"):
            fields: dict[str, Any] = {
                name: np.concatenate([s[name] for s in space]).astype(np.float32) for name in names
            }
        check_space(fields, starts, edge_starts, samples.ids)
        return Examples(
            makes=self.makes,
            target_kind="binary",
            ids=samples.ids,
            groups=samples.groups,
            features=matrix,
            feature_labels=self.feature_labels(),
            starts=np.array(starts, dtype=np.int64),
            edges=np.concatenate(edges, axis=1).astype(np.int64),
            edge_starts=np.array(edge_starts, dtype=np.int64),
            **fields,
        )

    @property
    def _invariant(self) -> bool:
        """Whether no feature depends on the frame."""
        return self.features.startswith("invariant")

    def _stored(self, samples: Samples, compute: Compute) -> dict[str, dict[str, Any]]:
        """What is kept of each configuration, by its key."""
        import numpy as np

        structures = self._structures(samples)
        kinds = {"voronoi.npz": [self._task(atoms, key) for key, atoms in structures.items()]}
        if self.features not in _PLAIN:
            kinds[SOFTNESS] = [self._soft_task(atoms, key, samples) for key, atoms in structures.items()]
        outcomes = compute([task for tasks in kinds.values() for task in tasks])
        files = [name for name, tasks in kinds.items() for _ in tasks]
        stored: dict[str, dict[str, Any]] = {key: {} for key in structures}
        for key, name, outcome in zip([*structures] * len(kinds), files, outcomes, strict=True):
            if outcome.folder is None:
                what = "second derivatives" if name == SOFTNESS else "Voronoi cells"
                raise DataError(f"no {what} for {outcome.label}: {outcome.error}")
            with np.load(outcome.folder / name, allow_pickle=False) as file:
                stored[key] |= {array: file[array] for array in file.files}
        return stored

    def view(self, atoms: Atoms, cells: dict[str, Any], name: str) -> Any:
        """(n_atoms, n_features) float64 for the load direction in ``atoms.info["direction"]``.

        Parameters
        ----------
        atoms: with arrays ``energy`` (n,) eV and ``stress`` (n, 6) eV (stress times volume, Voigt
            xx yy zz yz xz xy).
        cells: what :func:`store_voronoi` wrote for these atoms, and
            :func:`vitrine.represent.softness.store_softness` if the features need it.
        name: of the sample, for messages.

        Raises
        ------
        DataError: a per-atom field, the direction or an element is missing or unknown.
        """
        import numpy as np

        from vitrine.physics.rotation import canonical_rotation, rotate_tensor

        self._check_fields(atoms, name)
        symbols = np.array(list(atoms.symbols))
        types = symbols[:, None] == np.array(self.elements)
        centre = cells["icosahedral"] & (symbols == self.icosahedron_centre)
        volume, direction = cells["volume"], atoms.info["direction"]
        columns = [types, centre, ~centre, volume, atoms.arrays["energy"]]
        rotation = canonical_rotation(direction)
        if not self._invariant:
            stress = rotate_tensor(rotation, stress_over_volume(atoms, volume))
            columns.append(np.stack([stress[:, a, b] for a, b in _PAPER_ORDER], axis=1))
        if self.features not in _PLAIN:
            columns.append(np.log10(np.maximum(cells["participation"], 1e-12)))
        if self.features in ("paper", "all"):
            columns.append(stiffness_columns(cells, direction, volume, self.stiffness == "relaxed"))
        if self.features in _RESPONSE:
            columns.append(response_columns(cells, direction, self.response_strains))
        features = np.column_stack(columns)
        if self.neighbour_averages:
            features = np.column_stack([features, neighbour_means(features, cells["neighbours"])])
        return features

    def _space(self, atoms: Atoms, cells: dict[str, Any]) -> dict[str, Any]:
        relaxed = None if self.features in _PLAIN else self.stiffness == "relaxed"
        return space_of(atoms, cells, relaxed=relaxed, response=self.features in _RESPONSE)

    def _check_fields(self, atoms: Atoms, name: str) -> None:
        missing = [field for field in self.needs_fields if field not in atoms.arrays]
        if missing:
            raise DataError(f"{name} has no per-atom field {' and '.join(missing)}")
        for field, columns in (("energy", ()), ("stress", (6,))):
            if atoms.arrays[field].dtype.kind not in "iuf":
                raise DataError(f"{name}: its per-atom field {field} holds no numbers")
            shape = atoms.arrays[field].shape
            if shape[1:] != columns:
                wanted = "six columns (xx yy zz yz xz xy)" if columns else "one column"
                raise DataError(
                    f"{name}: its per-atom field {field} has the shape {shape}; it needs {wanted}"
                )
        if "direction" not in atoms.info:
            raise DataError(f"{name} names no load direction, such as xy or -xz")
        strange = sorted(set(atoms.symbols) - set(self.elements))
        if strange:
            raise DataError(
                f"{name} holds {', '.join(strange)}, but this representation knows "
                f"{', '.join(self.elements)}; name the elements of the types (--elements) or set "
                "representation.elements"
            )

    def _check_finite(self, matrix: Any, starts: Sequence[int], ids: Sequence[str]) -> None:
        import numpy as np

        bad = np.argwhere(~np.isfinite(matrix))
        if len(bad):
            row, column = (int(number) for number in bad[0])
            sample = int(np.searchsorted(starts, row, side="right")) - 1
            raise DataError(
                f"{ids[sample]}: {self.feature_labels()[column]} of atom {row - starts[sample] + 1} is not a "
                f"finite number of single precision ({len(bad)} such values)"
            )

    def _structures(self, samples: Samples) -> dict[str, Atoms]:
        """Each configuration once: the directions of a specimen share their Voronoi cells."""
        if samples.kind != self.takes:
            raise StudyError(f"{self.kind} takes {self.takes}, not {samples.kind}")
        return {structure_key(atoms): atoms for atoms in samples.items}

    def _task(self, atoms: Atoms, key: str) -> Task:
        import numpy as np

        settings: dict[str, Any] = {
            "relative_face_threshold": self.relative_face_threshold,
            "edge_threshold": self.edge_threshold,
            "backend": self.backend,
        }
        if self.geometry:  # without it the key stays that of entries made before there was a geometry
            settings["vectors"] = True
        return Task(
            label=str(atoms.info.get("group", key[:12])),
            kind="features",
            recipe={"version": self.version, "structure": key, **settings},
            function=store_voronoi,
            arguments={"positions": atoms.positions, "cell": np.asarray(atoms.cell), **settings},
        )

    def _soft_task(self, atoms: Atoms, key: str, samples: Samples) -> Task:
        import numpy as np

        from vitrine.physics.lammps import potential_hash

        potential = self.potential or samples.about.get("potential")
        if potential is None:
            raise DataError(
                f"features={self.features} need a potential for second derivatives, and the samples name "
                "none; set representation.potential to an eam.fs or eam.alloy file"
            )
        settings = {"cutoff": self.cutoff, "fraction": self.soft_fraction}
        return Task(
            label=str(atoms.info.get("group", key[:12])),
            kind="modes",
            recipe={
                "version": SOFTNESS_VERSION,
                "structure": key,
                "potential": potential_hash(str(potential)),
                **settings,
            },
            function=store_softness,
            arguments={
                "positions": atoms.positions,
                "cell": np.asarray(atoms.cell),
                "symbols": atoms.get_chemical_symbols(),
                "potential": str(potential),
                **settings,
            },
        )
