"""The displacement of dislocations in a rectangle: jumps, ends, Hooke's law, and grid against plain sums."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from vitrine.physics import strip_displacement_kernels as kernels
from vitrine.physics.strip import Dislocations, Strip
from vitrine.physics.strip_displacement import (
    SlipPlanes,
    displacement,
    displacement_at,
    plastic_strain,
    signs,
    slip,
)

STRAIN = 0.003
BURGERS = 0.25


class Crystal(NamedTuple):
    """What the displacement depends on, in the order of its arguments."""

    strip: Strip
    found: Dislocations
    plane: np.ndarray
    slip_at_start: np.ndarray
    planes: SlipPlanes
    mean_stress: float


def planes_at(start: np.ndarray, degrees: np.ndarray, width: float) -> SlipPlanes:
    """Planes from side to side whose s = 0 is at the height ``start``."""
    angle = np.deg2rad(degrees)
    x = np.where(np.cos(angle) > 0, 0.0, width)
    return SlipPlanes(x, start, angle, width / np.abs(np.cos(angle)))


def crystal(
    strip: Strip, planes: SlipPlanes, plane: np.ndarray, s: np.ndarray, sign: np.ndarray, left: np.ndarray
) -> Crystal:
    """Dislocations at ``s`` on ``planes``, at the mean stress that makes the whole strain ``STRAIN``."""
    angle = planes.angle[plane]
    x, y = planes.x[plane] + s * np.cos(angle), planes.y[plane] + s * np.sin(angle)
    found = Dislocations.on_planes(x, y, angle, sign, BURGERS)
    plastic = plastic_strain(strip, found, plane, left, planes)
    return Crystal(strip, found, plane, left, planes, strip.elastic.axial * (STRAIN - plastic))


def random_crystal(seed: int, n: int, width: float, height: float, degrees: tuple[float, ...]) -> Crystal:
    """Both signs, both sides, and some dislocations very close to sides and ends."""
    rng = np.random.default_rng(seed)
    number = 12
    angle = np.resize(degrees, number)
    rise = width * np.abs(np.tan(np.deg2rad(angle)))
    start = rng.uniform(0, height - rise)
    start[:2] = 0.01
    start[2:4] = height - rise[2:4] - 0.01
    planes = planes_at(start, angle.astype(float), width)
    plane = rng.integers(number, size=n)
    plane[:4] = range(4)
    s = rng.uniform(0.02, 0.98, n) * planes.length[plane]
    s[:4] = np.array([0.02, 0.02, planes.length[2] - 0.02, planes.length[3] - 0.02])
    return crystal(
        Strip(width, height), planes, plane, s, rng.choice([-1.0, 1.0], n), rng.integers(-3, 4, number)
    )


CRYSTALS = {
    "both": random_crystal(1, 40, 500.0, 2000.0, (60.0, 120.0)),
    "steep": random_crystal(2, 25, 62.5, 250.0, (60.0, 120.0, 75.0, 105.0)),
    "single slip": random_crystal(3, 30, 125.0, 500.0, (60.0,)),
    "square": random_crystal(4, 30, 400.0, 400.0, (30.0, 140.0)),
    "many": random_crystal(5, 700, 500.0, 2000.0, (60.0, 120.0)),
}


@pytest.fixture(params=CRYSTALS)
def case(request: pytest.FixtureRequest) -> Crystal:
    """One crystal after the other."""
    return CRYSTALS[request.param]


def distances(case: Crystal, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each place from the nearest dislocation and from the nearest slip line."""
    line = case.planes.direction
    offset = (x[:, None] - case.planes.x) * line.imag - (y[:, None] - case.planes.y) * line.real
    apart = np.hypot(x[:, None] - case.found.x, y[:, None] - case.found.y)
    return apart.min(axis=1), np.abs(offset).min(axis=1)


def inside(case: Crystal, n: int, away: float) -> tuple[np.ndarray, np.ndarray]:
    """Random places at least ``away`` from every dislocation, and off every slip line."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.01, 0.99, 40 * n) * case.strip.width
    y = rng.uniform(0.01, 0.99, 40 * n) * case.strip.height
    apart, offset = distances(case, x, y)
    good = np.flatnonzero((apart > away) & (offset > 0.2))[:n]
    return x[good], y[good]


@pytest.mark.parametrize("shape", [(51, 201), (40, 23), (3, 300), (1, 7), (5, 1)])
def test_grid_equals_plain_sums(case: Crystal, shape: tuple[int, int]) -> None:
    x = np.linspace(0, case.strip.width, shape[0])
    y = np.linspace(0, case.strip.height, shape[1])
    row, column = np.divmod(np.arange(shape[0] * shape[1])[:: 1 + shape[0] * shape[1] // 2000], shape[0])
    fields = displacement(*case, x, y)
    assert fields.shape == (2, shape[1], shape[0])
    np.testing.assert_allclose(
        fields[:, row, column], displacement_at(*case, x[column], y[row]), rtol=0, atol=1e-9
    )


def test_grid_of_uneven_nodes_and_of_a_part(case: Crystal) -> None:
    rng = np.random.default_rng(6)
    x = np.sort(rng.uniform(0.4, 1.0, 37)) * case.strip.width
    y = np.sort(rng.uniform(0.2, 0.7, 61)) * case.strip.height
    at = np.meshgrid(x, y)
    plain = displacement_at(*case, at[0].ravel(), at[1].ravel()).reshape(2, 61, 37)
    np.testing.assert_allclose(displacement(*case, x, y), plain, rtol=0, atol=1e-9)


def test_series_stay_within_their_room() -> None:
    assert kernels.RATIO**kernels.TERMS < kernels.PRECISION


def test_ends_are_flat_and_carry_the_strain(case: Crystal) -> None:
    x = np.linspace(0, case.strip.width, 33)
    u = displacement(*case, x, np.array([0.0, case.strip.height]))
    np.testing.assert_allclose(u[1, 0], 0, atol=1e-6)
    np.testing.assert_allclose(u[1, 1], STRAIN * case.strip.height, atol=1e-6)


def test_jump_across_a_plane_is_its_slip(case: Crystal) -> None:
    rng = np.random.default_rng(7)
    step = 1e-6
    for which in range(len(case.planes.x)):
        line = case.planes.direction[which]
        s = rng.uniform(0.01, 0.99, 60) * case.planes.length[which]
        place = case.planes.x[which] + 1j * case.planes.y[which] + s * line
        apart = np.abs(place[:, None] - (case.found.x + 1j * case.found.y)).min(axis=1)
        other = np.arange(len(case.planes.x)) != which
        across = case.planes.direction[other].conj() * (
            place[:, None] - (case.planes.x + 1j * case.planes.y)[other]
        )
        good = (apart > 1) & (np.abs(across.imag).min(axis=1) > 0.01)
        s, place = s[good], place[good]
        above, below = (
            displacement_at(*case, (place + side * step * line).real, (place + side * step * line).imag)
            for side in (1j, -1j)
        )
        expected = slip(case.found, case.plane, case.slip_at_start, case.planes, which, s) * BURGERS * line
        np.testing.assert_allclose(above - below, [expected.real, expected.imag], atol=1e-6)


def test_displacement_is_continuous_off_the_slip_lines(case: Crystal) -> None:
    """Also across y of a dislocation, x of a dislocation, and the middle."""
    x, y = inside(case, 150, 2.0)
    each = np.arange(len(x)) % len(case.found.x)
    step = 1e-6
    for at_x, at_y in (
        (case.found.x[each], y),
        (x, case.found.y[each]),
        (np.full(len(x), 0.5 * case.strip.width), y),
    ):
        apart, offset = distances(case, at_x, at_y)
        good = (apart > 1) & (offset > 0.01)
        assert good.any()
        a, b = at_x[good], at_y[good]
        difference = displacement_at(*case, a + step, b + step) - displacement_at(*case, a - step, b - step)
        np.testing.assert_allclose(difference, 0, atol=1e-6)


def test_strain_is_that_of_the_stress_by_hooke(case: Crystal) -> None:
    x, y = inside(case, 200, 3.0)
    assert len(x) > 50
    elastic = case.strip.elastic
    sxx, syy, sxy = case.strip.stress(case.found, x, y, case.mean_stress)

    def gradient(dx: float, dy: float) -> np.ndarray:
        """Central difference of fourth order along (dx, dy)."""
        near = displacement_at(*case, x + dx, y + dy) - displacement_at(*case, x - dx, y - dy)
        far = displacement_at(*case, x + 2 * dx, y + 2 * dy) - displacement_at(*case, x - 2 * dx, y - 2 * dy)
        return np.asarray((8 * near - far) / (12 * (dx + dy)))

    along_x, along_y = gradient(0.05, 0.0), gradient(0.0, 0.05)
    front = (1 + elastic.poisson) / elastic.young
    exx = front * ((1 - elastic.poisson) * sxx - elastic.poisson * syy)
    eyy = front * ((1 - elastic.poisson) * syy - elastic.poisson * sxx)
    np.testing.assert_allclose(along_x[0], exx, atol=1e-8)
    np.testing.assert_allclose(along_y[1], eyy, atol=1e-8)
    np.testing.assert_allclose((along_x[1] + along_y[0]) / 2, sxy / (2 * elastic.shear), atol=1e-8)


def test_without_dislocations_strain_is_uniform() -> None:
    strip = Strip(100.0, 400.0)
    none = np.zeros(0)
    no_plane = np.zeros(0, np.int64)
    planes = planes_at(none, none, 100.0)
    found = Dislocations(none, none, none, none)
    x, y = np.linspace(0, 100, 11), np.linspace(0, 400, 21)
    u = displacement(strip, found, no_plane, no_plane, planes, strip.elastic.axial * 0.002, x, y)
    contraction = -0.002 * strip.elastic.poisson / (1 - strip.elastic.poisson)
    np.testing.assert_allclose(u[0], np.broadcast_to(contraction * (x - 50), (21, 11)), atol=1e-13)
    np.testing.assert_allclose(u[1], np.broadcast_to(0.002 * y[:, None], (21, 11)), atol=1e-13)


def test_single_dislocation_far_from_everything_is_the_classical_one() -> None:
    """Hirth & Lothe (1982), chapter 3, up to a translation, and B round a circuit."""
    strip = Strip(1e5, 4e5)
    planes = planes_at(np.array([1e5]), np.array([60.0]), 1e5)
    case = crystal(strip, planes, np.array([0]), np.array([0.9e5]), np.array([1.0]), np.array([1]))
    case = case._replace(mean_stress=0.0)
    angle = np.linspace(-math.pi + 1e-6, math.pi - 1e-6, 400)
    x, y = 5 * np.cos(angle), 5 * np.sin(angle)
    turn = planes.direction[0]
    place = case.found.x[0] + 1j * case.found.y[0] + (x + 1j * y) * turn
    u = displacement_at(*case, place.real, place.imag)
    u_line = (u[0] + 1j * u[1]) / turn
    poisson = strip.elastic.poisson
    front = BURGERS / (2 * math.pi)
    u_x = front * (angle + x * y / (2 * (1 - poisson) * 25))
    u_y = -front / (4 * (1 - poisson)) * ((1 - 2 * poisson) * math.log(25) + (x * x - y * y) / 25)
    expected = u_x + 1j * u_y
    np.testing.assert_allclose(u_line - u_line.mean(), expected - expected.mean(), atol=1e-4)
    assert abs(u_line[-1] - u_line[0] - BURGERS) < 1e-5


def test_history_counts_and_not_the_half_a_dislocation_is_in() -> None:
    """A dislocation that passes the middle moves its cut to the other side and nothing else."""
    strip = Strip(500.0, 2000.0, modes=80)
    planes = planes_at(np.array([300.0, 900.0]), np.array([60.0, 120.0]), 500.0)
    x, y = np.linspace(0, 500, 23), np.linspace(0, 2000, 31)
    for plane in (0, 1):
        middle = planes.length[plane] / 2
        before, behind = (
            displacement(
                *crystal(strip, planes, np.array([plane]), np.array([s]), np.array([1.0]), np.array([0, 2])),
                x,
                y,
            )
            for s in (middle - 1e-8, middle + 1e-8)
        )
        np.testing.assert_allclose(before, behind, atol=1e-8)


@pytest.mark.parametrize(("degrees", "longer"), [(60.0, 1), (120.0, -1)])
def test_one_crossing_is_a_step_and_a_plastic_strain(degrees: float, longer: int) -> None:
    """Without dislocations left, whole slip moves what is above rigidly, and makes b sin(angle) of length."""
    strip = Strip(100.0, 400.0)
    planes = planes_at(np.array([50.0]), np.array([degrees]), 100.0)
    none = np.zeros(0)
    found, no_plane = Dislocations(none, none, none, none), np.zeros(0, np.int64)
    plastic = plastic_strain(strip, found, no_plane, np.array([1]), planes)
    assert plastic == pytest.approx(longer * BURGERS * math.sin(math.radians(degrees)) / 400)
    u = displacement(
        strip, found, no_plane, np.array([1]), planes, 0.0, np.array([10.0, 90]), np.array([1.0, 399])
    )
    expected = longer * BURGERS * planes.direction[0]
    np.testing.assert_allclose(u[0], [[0, 0], [expected.real] * 2], atol=1e-12)
    np.testing.assert_allclose(u[1], [[0, 0], [expected.imag] * 2], atol=1e-12)


def test_slip_and_plastic_strain_by_hand() -> None:
    strip = Strip(100.0, 400.0)
    planes = planes_at(np.array([50.0, 100.0]), np.array([60.0, 120.0]), 100.0)
    plane = np.array([0, 1, 0, 0])
    s, sign = np.array([120.0, 30.0, 40.0, 160.0]), np.array([-1.0, 1.0, 1.0, 1.0])
    case = crystal(strip, planes, plane, s, sign, np.array([2, 0]))
    np.testing.assert_array_equal(signs(case.found, plane, planes), sign)
    places = np.array([10.0, 50.0, 130.0, 190.0])
    np.testing.assert_array_equal(
        slip(case.found, plane, case.slip_at_start, planes, 0, places), [2, 1, 2, 1]
    )
    np.testing.assert_array_equal(
        slip(case.found, plane, case.slip_at_start, planes, 1, places), [0, -1, -1, -1]
    )
    integral = 2 * 40 + 80 + 2 * 40 + 40 - (-170)
    expected = BURGERS / (100 * 400) * math.sin(math.radians(60)) * 0.5 * integral
    assert plastic_strain(strip, case.found, plane, case.slip_at_start, planes) == pytest.approx(expected)


def test_a_dislocation_that_moves_up_leaves_slip_behind() -> None:
    planes = planes_at(np.array([50.0]), np.array([60.0]), 100.0)
    plane, strip = np.array([0, 0]), Strip(100.0, 400.0)
    case = crystal(strip, planes, plane, np.array([50.0, 150.0]), np.array([-1.0, 1.0]), np.array([0]))
    places = np.array([20.0, 100.0, 180.0])
    np.testing.assert_array_equal(slip(case.found, plane, np.array([0]), planes, 0, places), [0, 1, 0])


def test_nodes_on_a_dislocation_stay_finite() -> None:
    case = CRYSTALS["both"]
    order = np.argsort(case.found.x)
    x, y = case.found.x[order], np.sort(case.found.y)
    fields = displacement(*case, x, y)
    plain = displacement_at(*case, case.found.x, case.found.y)
    assert np.isfinite(fields).all()
    assert np.isfinite(plain).all()
    assert np.abs(fields).max() < 10
