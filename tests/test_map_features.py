"""Features of strain maps: two-point statistics on one grid, scalar controls, geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from vitrine.errors import DataError
from vitrine.physics.resample import area_resize
from vitrine.physics.two_point import independent, two_point_statistics
from vitrine.represent.map_geometry import MapGeometry
from vitrine.represent.strain_scalars import StrainScalars
from vitrine.represent.two_point import TwoPoint
from vitrine.samples import Examples, Samples
from vitrine.strain_maps import StrainMap

PARTS = (TwoPoint(rows=12, columns=6, cut=3), StrainScalars(), MapGeometry())


def strain_map(axial: np.ndarray, pitch: float = 2.0) -> StrainMap:
    """Whose other strains follow from the axial one."""
    return StrainMap(np.stack([-0.3 * axial, axial, 0.1 * axial]).astype(np.float32), pitch)


def samples_of(*items: Any) -> Samples:
    ids = tuple(f"map{number}" for number in range(len(items)))
    return Samples("maps", list(items), ids, ids)


def built(part: Any, *items: Any) -> Examples:
    found: Examples = part.build(samples_of(*items), lambda tasks: [])
    return found


def banded(rows: int = 40, cols: int = 10, seed: int = 0) -> np.ndarray:
    """Bands of slip on a uniform strain of 1 %."""
    row, col = np.indices((rows, cols))
    random = np.random.default_rng(seed)
    return 0.01 + 0.02 * (((row - col) % 11) == 0) + 1e-4 * random.normal(size=(rows, cols))


# ---------------------------------------------------------------- two-point statistics


def test_two_point_is_that_of_the_resized_map() -> None:
    part = TwoPoint(rows=24, columns=8, cut=5)
    item = strain_map(banded())
    grid = area_resize(item.axial, 24, 8)
    wanted = independent(two_point_statistics(grid - grid.mean(), most_rows=5, most_cols=5))
    examples = built(part, item)
    np.testing.assert_allclose(examples.features[0], wanted, rtol=1e-6)
    assert len(part.feature_labels()) == 5 * 11 + 6
    assert part.feature_labels()[0] == "f at 0 rows, 0 columns"
    assert part.feature_labels()[6] == "f at 1 rows, -5 columns"
    assert examples.features[0, 0] == pytest.approx(grid.var(), rel=1e-6)


def test_the_mean_is_taken_away_or_not() -> None:
    """With the mean, which is the reload strain, every feature holds its square."""
    low, high = strain_map(banded()), strain_map(banded() + 0.05)
    without, with_mean = (TwoPoint(rows=24, columns=8, cut=3, subtract_mean=flag) for flag in (True, False))
    found = built(without, low, high).features
    np.testing.assert_allclose(found[0], found[1], atol=1e-5 * found.max())
    kept = built(with_mean, low, high).features
    assert (kept[1] > 0.05**2).all() and (kept[0] < 0.02**2).all()


def test_the_equivalent_strain_is_another() -> None:
    item = strain_map(banded())
    part = TwoPoint(rows=24, columns=8, cut=3, component="equivalent")
    grid = area_resize(item.equivalent, 24, 8)
    assert built(part, item).features[0, 0] == pytest.approx(grid.var(), rel=1e-6)


def test_maps_of_all_sizes_become_comparable() -> None:
    """The same picture with twice the pixels has the same statistics."""
    part = TwoPoint(rows=20, columns=5, cut=4)
    axial = banded()
    found = built(part, strain_map(axial), strain_map(axial.repeat(2, 0).repeat(2, 1), 1.0)).features
    np.testing.assert_allclose(found[1], found[0], atol=1e-6 * found.max())


def test_missing_pixels_are_left_out() -> None:
    item = strain_map(banded())
    holed = item.strain.copy()
    holed[:, 5:9, 2:5] = np.nan
    holed[:, 30, 8] = np.inf
    part = TwoPoint(rows=40, columns=10, cut=4)
    grid = np.where(np.isfinite(holed[1]), holed[1], np.nan).astype(np.float64)
    wanted = two_point_statistics(grid - np.nanmean(grid), most_rows=4, most_cols=4)
    found = built(part, StrainMap(holed, 2.0)).features[0]
    np.testing.assert_allclose(found, independent(wanted), rtol=1e-6)
    scalars = built(StrainScalars(), StrainMap(holed, 2.0)).features[0]
    assert scalars[0] == pytest.approx(np.nanmean(grid), rel=1e-6)
    assert scalars[2:].sum() == pytest.approx(1, rel=1e-6)


def test_too_few_pixels_for_a_shift_is_said() -> None:
    axial = np.full((12, 6), np.nan)
    axial[:2, :2] = 0.01
    with pytest.raises(DataError, match=r"map0: .*no two are 0 rows, 2 columns apart.*cut"):
        built(PARTS[0], strain_map(axial))


def test_impossible_cuts_are_refused() -> None:
    TwoPoint(rows=10, columns=5, cut=4)
    for settings in ({"columns": 5}, {"rows": 5}):
        with pytest.raises(ValidationError, match="must be below rows and columns"):
            TwoPoint(cut=5, **settings)


# ---------------------------------------------------------------- controls


def test_a_histogram_by_hand() -> None:
    part = StrainScalars(smallest=0.01, largest=1.0, bins=2)
    np.testing.assert_allclose(part.edges(), [-1, -0.1, -0.01, 0.01, 0.1, 1], rtol=1e-14)
    axial = np.array([[-5.0, -0.5, -0.05, 0.0], [0.005, 0.05, 0.06, 0.5], [2.0, 0.02, 0.0, 0.0]])
    found = built(part, strain_map(axial)).features[0]
    np.testing.assert_allclose(found[:2], [axial.mean(), axial.std()], rtol=1e-6)
    np.testing.assert_allclose(found[2:] * 12, [2, 1, 4, 3, 2], rtol=1e-6)
    assert part.feature_labels()[:3] == (
        "mean strain",
        "standard deviation of strain",
        "share from -1 to -0.1",
    )


def test_a_bin_holds_its_lower_edge() -> None:
    part = StrainScalars(smallest=0.25, largest=1.0, bins=2)  # 0.25 and 0.5 are exact
    found = built(part, strain_map(np.array([[-0.5, -0.25, 0.25, 0.5]]))).features[0]
    np.testing.assert_allclose(found[2:] * 4, [0, 1, 1, 1, 1], rtol=1e-6)


def test_bins_are_fixed() -> None:
    """They do not depend on the set: a map has the same row alone and among others."""
    small, large = strain_map(banded()), strain_map(30 * banded())
    both = built(StrainScalars(), small, large)
    assert np.array_equal(both.features[0], built(StrainScalars(), small).features[0])
    with pytest.raises(ValidationError, match="must be below largest"):
        StrainScalars(smallest=0.1, largest=0.1)


def test_the_geometry_is_four_numbers() -> None:
    found = built(MapGeometry(), strain_map(banded(124, 31)), strain_map(banded(250, 50), 8.0))
    np.testing.assert_allclose(found.features, [[124, 31, 2, 4], [250, 50, 8, 5]], rtol=1e-7)
    other = built(MapGeometry(), strain_map(-banded(124, 31)), strain_map(3 * banded(250, 50), 8.0))
    assert np.array_equal(found.features, other.features), "no strain is in it"


# ---------------------------------------------------------------- all


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("strain", [0.0, 0.001, -1.0])
def test_constant_maps_are_legal(part: Any, strain: float) -> None:
    """What an elastic reload shows."""
    features = built(part, strain_map(np.full((31, 7), strain))).features
    assert np.isfinite(features).all()
    if part.kind == "two-point":
        assert np.abs(features).max() < 1e-12
    if part.kind == "strain-scalars":
        assert features[0, 0] == pytest.approx(strain) and features[0, 1] < 1e-12


@pytest.mark.parametrize("part", PARTS)
def test_a_map_without_pixels_is_named(part: Any) -> None:
    with pytest.raises(DataError, match="map1: the map holds no strain"):
        built(part, strain_map(banded()), strain_map(np.full((20, 5), np.nan)))


@pytest.mark.parametrize("part", PARTS)
def test_a_map_is_read_once_and_not_kept(part: Any) -> None:
    class Lazy:
        pitch, axis, reads = 2.0, "y", 0

        @property
        def axial(self) -> np.ndarray:
            self.reads += 1
            return banded().astype(np.float32)

    items = [Lazy(), Lazy()]
    built(part, *items)
    assert [item.reads for item in items] == [1, 1]


def test_the_axis_of_the_load_decides() -> None:
    """A crystal that is loaded along x is read along x."""
    item = strain_map(banded())
    turned = StrainMap(item.strain[[1, 0, 2]], item.pitch, "x")
    for part in PARTS:
        assert np.array_equal(built(part, item).features, built(part, turned).features)
