"""Labels of first events, and fields written onto a user's own frames."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from vitrine.errors import DataError, StudyError
from vitrine.measure.fields import measure_frames
from vitrine.measure.first_event import FirstEvent
from vitrine.physics.d2min import d2min
from vitrine.physics.voronoi import voronoi
from vitrine.samples import Samples


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
    measure_frames(pair, ("voronoi", "d2min"), 3.8, "a.dump")
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
    measure_frames(alone, ("voronoi",), 3.8, "a.dump")
    assert "d2min" not in atoms.arrays
    pair = frames()
    measure_frames(pair, ("d2min",), 3.2, "a.dump")
    assert "voronoi_volume" not in pair[1].arrays


def test_d2min_is_with_respect_to_the_frame_before() -> None:
    first, second = frames()
    three = [first, second, second.copy()]
    measure_frames(three, ("d2min",), 3.8, "a.dump")
    assert three[1].arrays["d2min"].min() > 1e-4
    assert three[2].arrays["d2min"].max() < 1e-12


def test_frames_that_cannot_be_compared_are_named() -> None:
    first, second = frames()
    with pytest.raises(DataError, match=r"a\.dump: D2min compares two frames, this file has one"):
        measure_frames([first], ("d2min",), 3.8, "a.dump")
    with pytest.raises(DataError, match=r"a\.dump, frame 2 has 107 atoms, the one before 108"):
        measure_frames([first, second[:107]], ("d2min",), 3.8, "a.dump")
    swapped = second.copy()
    swapped.arrays["id"][[4, 9]] = swapped.arrays["id"][[9, 4]]
    with pytest.raises(DataError, match=r"a\.dump, frame 2: atom 5 is another one"):
        measure_frames([first, swapped], ("d2min",), 3.8, "a.dump")
    changed = second.copy()
    del changed.arrays["id"]
    changed.symbols[7] = "Ni"
    with pytest.raises(DataError, match="frame 2: atom 8 is another one"):
        measure_frames([first, changed], ("d2min",), 3.8, "a.dump")
    with pytest.raises(StudyError, match="cut-off"):
        measure_frames([first, second], ("d2min",), 0.0, "a.dump")


def test_a_configuration_that_cannot_be_tessellated_is_named() -> None:
    first, second = frames()
    second.positions[3] = second.positions[8]
    with pytest.raises(DataError, match=r"a\.dump, frame 2: "):
        measure_frames([first, second], ("voronoi",), 3.8, "a.dump")
