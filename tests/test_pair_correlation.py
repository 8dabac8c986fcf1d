"""g(r) against freud, on ideal gases, in boxes and in windows."""

from __future__ import annotations

from typing import Any

import freud
import numpy as np
import pytest

from vitrine.errors import DataError
from vitrine.physics.plane import Plane, plane_of
from vitrine.represent.pair_correlation import PairCorrelation, pair_correlation
from vitrine.samples import Samples
from vitrine.testing import flat_configuration, flat_samples


def peer(plane: Plane, kinds: np.ndarray, a: int, b: int, r_max: float, bins: int) -> Any:
    box = freud.box.Box(*plane.lengths, is2D=True)
    points = np.pad(plane.positions - plane.lengths / 2, ((0, 0), (0, 1)))
    # the finite-number correction stands for pairs of one kind only
    mode = "finite_size" if a == b else "exact"
    rdf = freud.density.RDF(bins, r_max, normalization_mode=mode)
    query = {"r_max": r_max, "exclude_ii": True} if a == b else None
    rdf.compute((box, points[kinds == b]), query_points=points[kinds == a], neighbors=query)
    return rdf


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("r_max", "bins"), [(5.0, 40), (4.0, 32)])
def test_it_is_that_of_freud(seed: int, r_max: float, bins: int) -> None:
    """Bins whose edges single precision can hold; the next test takes others."""
    atoms = flat_configuration(seed, 300)
    plane = plane_of(atoms, "mine")
    kinds = (np.array(atoms.get_chemical_symbols()) == "P").astype(np.int64)
    found = pair_correlation(plane, kinds, r_max, bins)
    for row, (a, b) in zip(found, [(0, 0), (0, 1), (1, 1)], strict=True):
        wanted = peer(plane, kinds, a, b, r_max, bins).rdf
        assert (wanted > 0).sum() > bins / 2
        np.testing.assert_allclose(row, wanted, rtol=1e-6, atol=1e-6)


def test_pairs_are_those_of_freud_in_the_bins_of_the_study() -> None:
    """freud's areas of these shells are good to 5e-6 only; its counts of pairs are exact."""
    atoms = flat_configuration(0, 300)
    plane = plane_of(atoms, "mine")
    kinds = (np.array(atoms.get_chemical_symbols()) == "P").astype(np.int64)
    shells = np.pi * np.diff(np.linspace(0, 5, 61) ** 2)
    numbers = np.bincount(kinds)
    for row, (a, b) in zip(pair_correlation(plane, kinds, 5.0, 60), [(0, 0), (0, 1), (1, 1)], strict=True):
        wanted = peer(plane, kinds, a, b, 5.0, 60)
        norm = numbers[a] * (numbers[b] - (a == b)) * shells / plane.area
        np.testing.assert_allclose(row * norm, wanted.bin_counts, atol=1e-9)
        np.testing.assert_allclose(row, wanted.rdf, rtol=1e-5)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("n", [12, 200])
def test_an_ideal_gas_has_none(periodic: bool, n: int) -> None:
    """In a box and, corrected for the pairs that reach over the rim, in a window; also of few particles."""
    lengths = np.array([9.0, 11.0])
    random = np.random.default_rng(1)
    kinds = np.arange(n) % 3 // 2  # two to one
    runs = 24_000 // n
    rows = []
    for _ in range(runs):
        plane = Plane(random.uniform(size=(n, 2)) * lengths, lengths, periodic)
        rows.append(pair_correlation(plane, kinds, 4.5, 9))
    mean = np.mean(rows, axis=0)
    error = np.std(rows, axis=0) / np.sqrt(runs)
    deviations = (mean - 1) / error
    assert (np.abs(deviations) < 4).all() and 0.6 < np.sqrt((deviations**2).mean()) < 1.4
    assert error.max() < 0.35


def test_without_the_correction_a_window_would_lack_pairs() -> None:
    """The same points as a box that repeats: what the correction adds is what images bring on average."""
    lengths = np.array([10.0, 10.0])
    points = np.random.default_rng(0).uniform(size=(1500, 2)) * lengths
    kinds = np.zeros(1500, np.int64)
    window = pair_correlation(Plane(points, lengths, False), kinds, 5.0, 10)
    box = pair_correlation(Plane(points, lengths, True), kinds, 5.0, 10)
    np.testing.assert_allclose(window, box, atol=0.03)
    away = points[None] - points[:, None]
    inside = np.hypot(away[..., 0], away[..., 1])
    counted = ((inside > 4.5) & (inside <= 5.0)).sum() * 100 / (1500 * 1499 * np.pi * (25 - 4.5**2))
    r = 4.75  # mean overlap of a square of edge 10 with itself moved by r
    np.testing.assert_allclose(counted, 1 - 4 * r / (np.pi * 10) + r**2 / (np.pi * 100), atol=0.03)


def test_a_crystal_by_hand() -> None:
    """Square lattice of 36, in rows of A and B: neighbours at 1 and sqrt 2."""
    sites = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2) + 0.25
    kinds = (np.round(sites[:, 1] - 0.25) % 2).astype(np.int64)
    found = pair_correlation(Plane(sites, np.array([6.0, 6.0]), True), kinds, 1.5, 3)
    shells = np.pi * np.diff(np.arange(4.0) ** 2) / 4
    pairs = np.array([[0, 0, 36], [0, 0, 18 * 6], [0, 0, 36]])  # 18 (2 of a kind at 1; 2 + 4 others)
    norm = np.array([18 * 17, 18 * 18, 18 * 17])[:, None] / 36 * shells
    np.testing.assert_allclose(found, pairs / norm, atol=1e-12)


def test_features_are_named_rows() -> None:
    samples = flat_samples()
    part = PairCorrelation(r_max=4.0, bins=8)
    found = part.build(samples, None)  # type: ignore[arg-type]
    assert found.features.shape == (4, 24) and found.whole and found.makes == "vectors"
    assert found.feature_labels[0] == "g Ni-Ni at 0.25 σ" and found.feature_labels[-1] == "g P-P at 3.75 σ"
    assert found.feature_labels[8] == "g Ni-P at 0.25 σ"
    kinds = (np.array(samples.items[2].get_chemical_symbols()) == "P").astype(np.int64)
    wanted = pair_correlation(plane_of(samples.items[2], ""), kinds, 4.0, 8)
    np.testing.assert_allclose(found.features[2], wanted.ravel(), rtol=1e-6)


def test_what_cannot_be_measured_is_named() -> None:
    samples = flat_samples()
    with pytest.raises(
        DataError,
        match=r"flat0/1: r_max = 5 is beyond half the box \(4.564\); set representation.r_max to at m",
    ):
        PairCorrelation().build(samples, None)  # type: ignore[arg-type]
    pure = flat_configuration(0)
    pure.symbols[:] = "Ni"
    pure.symbols[3] = "P"
    with pytest.raises(DataError, match="pure holds 1 of P; a pair correlation needs two of each"):
        PairCorrelation(r_max=4.0).build(Samples("atoms", [pure], ("pure",), ("pure",)), None)  # type: ignore[arg-type]
