"""Particles drawn as discs: what can be read off an image is what was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from numpy.typing import NDArray
from scipy import ndimage

from vitrine.errors import DataError
from vitrine.physics.plane import Plane
from vitrine.represent.discs import draw
from vitrine.represent.particle_image import ParticleImage
from vitrine.samples import Examples, Samples
from vitrine.study import shelf
from vitrine.testing import flat_configuration, flat_samples

PERIODIC = (True, True, False)


def samples_of(*frames: Atoms) -> Samples:
    names = tuple(f"frame{i}" for i in range(len(frames)))
    return Samples("atoms", list(frames), names, names)


def image_of(atoms: Atoms, **settings: object) -> NDArray[np.uint8]:
    images = ParticleImage(**settings).build(samples_of(atoms), None).images  # type: ignore[arg-type]
    assert images is not None and images.dtype == np.uint8
    return images[0]


def apart(n: int, seed: int = 0, length: float = 12.0, least: float = 0.95) -> Atoms:
    """Particles no two of which are nearer than ``least``, by trial."""
    random = np.random.default_rng(seed)
    places: list[NDArray[np.float64]] = []
    while len(places) < n:
        new = random.uniform(0, length, 2)
        away = np.array(places).reshape(-1, 2) - new
        away -= length * np.rint(away / length)
        if not len(away) or np.hypot(*away.T).min() > least:
            places.append(new)
    symbols = random.permutation(["Ni"] * (n - n // 3) + ["P"] * (n // 3))
    return Atoms(symbols, np.pad(places, ((0, 0), (0, 1))), cell=[length, length, 1], pbc=PERIODIC)


def particles_in(image: NDArray[np.uint8], colour: int) -> int:
    """Connected discs of a colour in an image that repeats."""
    labels, found = ndimage.label(image == colour)
    joined = {tuple(sorted(pair)) for pair in zip(labels[0], labels[-1], strict=True) if min(pair)}
    joined |= {tuple(sorted(pair)) for pair in zip(labels[:, 0], labels[:, -1], strict=True) if min(pair)}
    parents = list(range(found + 1))

    def root(i: int) -> int:
        while parents[i] != i:
            i = parents[i]
        return i

    for a, b in joined:
        parents[root(a)] = root(b)
    return sum(parents[i] == i for i in range(1, found + 1))


@pytest.mark.parametrize("seed", range(5))
def test_particles_can_be_counted_again(seed: int) -> None:
    atoms = apart(60, seed)
    image = image_of(atoms)
    assert particles_in(image, 1) == 40 and particles_in(image, 2) == 20
    areas = [(image == colour).mean() * 144 for colour in (1, 2)]
    wanted = [40 * np.pi * 0.3**2, 20 * np.pi * (0.3 * 0.88) ** 2]
    np.testing.assert_allclose(areas, wanted, rtol=0.01)


def test_centres_and_colours_can_be_read_off() -> None:
    atoms = apart(60, 7)
    image = image_of(atoms, pixels=400)
    labels, found = ndimage.label(image)
    inner = [
        i + 1
        for i, where in enumerate(ndimage.find_objects(labels))
        if min(s.start for s in where) > 0 and max(s.stop for s in where) < 400
    ]
    assert 30 < len(inner) <= found
    for label in inner:
        row, column = ndimage.center_of_mass(labels == label)
        place = (np.array([column, row]) + 0.5) * 12.0 / 400
        distance = np.hypot(*(atoms.positions[:, :2] - place).T)
        nearest = int(distance.argmin())
        assert distance[nearest] < 0.01, "a third of a pixel"
        assert set(np.unique(image[labels == label])) == {1 if atoms.symbols[nearest] == "Ni" else 2}


@pytest.mark.parametrize(("right", "up"), [(3, 0), (0, 5), (-40, 111)])
def test_moving_by_whole_pixels_rolls_the_image(right: int, up: int) -> None:
    atoms = flat_configuration(0)
    before = image_of(atoms)
    pixel = atoms.cell[0, 0] / 250
    atoms.positions += [right * pixel, up * pixel, 0.0]
    changed = image_of(atoms) != np.roll(before, (up, right), (0, 1))
    assert changed.sum() <= 2, "pixels whose middle lies on a rim may turn over by round-off"


def test_turning_by_a_right_angle_turns_the_image() -> None:
    atoms = flat_configuration(1)
    before = image_of(atoms)
    atoms.positions[:, [0, 1]] = atoms.positions[:, [1, 0]] * [-1.0, 1.0]
    assert (image_of(atoms) != np.rot90(before, -1)).sum() <= 2


def test_a_disc_at_the_corner_comes_in_at_all_four() -> None:
    atoms = Atoms("P", [[0.0, 0.0, 0.0]], cell=[4, 4, 1], pbc=PERIODIC)
    image = image_of(atoms, pixels=40, radius=0.5, diameters=(1.0, 1.0))
    assert {image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]} == {2}
    assert (image == image[::-1]).all() and (image == image[:, ::-1]).all()
    atoms.pbc = False
    window = image_of(atoms, pixels=40, radius=0.5, diameters=(1.0, 1.0))
    assert window[0, 0] == 2 and not window[20:].any() and not window[:, 20:].any()
    assert (image != 0).sum() == 4 * (window != 0).sum()


def test_overlapping_discs_share_their_pixels_and_hide_no_centre() -> None:
    """Whatever the order of the particles; pixels go to the nearest centre, by brute force."""
    random = np.random.default_rng(0)
    places, kinds, radii = random.uniform(0, 40, (60, 2)), random.integers(0, 2, 60), np.array([4.0, 3.0])
    image, room = np.full((40, 40), 9, np.uint8), np.zeros((40, 40), np.float32)
    draw(Plane(places, np.array([40.0, 40.0]), True), kinds, radii, image, room)
    rows, columns = np.indices((40, 40)) + 0.5
    away = np.stack([columns, rows], -1)[:, :, None] - places
    away -= 40 * np.rint(away / 40)
    distance = np.hypot(away[..., 0], away[..., 1])
    reached = np.where(distance <= radii[kinds], distance, np.inf)
    wanted = np.where(np.isfinite(reached.min(2)), kinds[reached.argmin(2)] + 1, 0)
    own = np.floor(places).astype(int)
    wanted[own[:, 1], own[:, 0]] = image[own[:, 1], own[:, 0]]  # those always belong to a centre in them
    np.testing.assert_array_equal(image, wanted)
    order = random.permutation(60)
    again = np.empty_like(image)
    draw(Plane(places[order], np.array([40.0, 40.0]), True), kinds[order], radii, again, room)
    np.testing.assert_array_equal(again, image)


def test_discs_smaller_than_a_pixel_are_still_there() -> None:
    atoms = apart(60, 2)
    image = image_of(atoms, pixels=100, radius=0.01)
    assert (image == 1).sum() == 40 and (image == 2).sum() == 20


def test_windows_are_cut_at_their_rim() -> None:
    atoms = Atoms("NiP", [[0.0, 2.0, 0.0], [4.0, 4.0, 0.0]], cell=[4, 4, 1], pbc=False)
    image = image_of(atoms, pixels=40)
    assert image[20, 0] == 1 and not image[:, 10:30].any() and image[39, 39] == 2 and image[0, 0] == 0


def test_boxes_that_scale_would_tell_apart_are_refused() -> None:
    def build(*frames: Atoms) -> Examples:
        return ParticleImage(pixels=16).build(samples_of(*frames), None)  # type: ignore[arg-type]

    with pytest.raises(
        DataError,
        match=r"unequal particle numbers: frame0 has 100, frame1 has 99; an image's scale would tell",
    ):
        build(flat_configuration(0), flat_configuration(1, 99))
    wide = flat_configuration(1)
    wide.set_cell(wide.cell[:] * 1.001)
    with pytest.raises(DataError, match=r"unequal boxes: the edge of frame0 is 9.12871, that of frame1"):
        build(flat_configuration(0), wide)
    oblong = flat_configuration(1)
    oblong.set_cell(np.diag([9.0, 10.0, 1.0]))
    with pytest.raises(DataError, match="frame0: its box is 9 by 10; an image needs a square one"):
        build(oblong)
    rounded = flat_configuration(1)
    rounded.set_cell(np.round(rounded.cell[:], 6))
    assert build(flat_configuration(0), rounded).images is not None


def test_wrong_settings_are_named() -> None:
    part = {"kind": "particle-image"}
    for wrong, words in (
        ({"diameters": [1.0]}, "one length above 0 for each of the species"),
        ({"diameters": [1.0, -0.5]}, "one length above 0 for each of the species"),
        ({"species": ["Ni", "Ni"]}, "species: each species once"),
        ({"pixels": 4}, "pixels"),
    ):
        with pytest.raises(Exception, match=words):
            shelf.parse("representation", part | wrong, "representation")


def test_images_survive_the_store(tmp_path: Path) -> None:
    examples = ParticleImage(pixels=50).build(flat_samples(), None)  # type: ignore[arg-type]
    assert examples.whole and examples.features.shape == (4, 0)
    examples.save(tmp_path)
    loaded = Examples.load(tmp_path)
    np.testing.assert_array_equal(loaded.images, examples.images)  # type: ignore[arg-type]
    assert loaded.images is not None and loaded.images.dtype == np.uint8
