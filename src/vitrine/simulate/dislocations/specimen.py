"""The random crystal of a seed: slip planes, dislocation sources and obstacles."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from vitrine.samples import Float
from vitrine.simulate.dislocations.arrays import AT_END, AT_START, BULK, Specimen

Slip = Literal["one", "two"]
LEAST_STRENGTH = {"source": 0.3, "obstacle": 0.1}
"""fractions of the mean below which no strength is drawn"""


def slip_angles(slip: Slip, angle: float) -> list[float]:
    """Angles of the slip planes from x [rad]; ``angle`` [degree] is the one from the load.

    >>> [round(math.degrees(each)) for each in slip_angles("two", 30.0)]
    [60, 120]
    """
    steep = math.radians(90 - angle)
    return [steep] if slip == "one" else [steep, math.pi - steep]


def slip_planes(
    width: float, height: float, angles: list[float], spacing: float, random: np.random.Generator
) -> tuple[Float, Float, Float, Float, Float]:
    """Planes that cut both sides and no end: x and y of s = 0, cosine, sine, length [nm].

    ``spacing`` [nm] is normal to the planes; where the first one lies is drawn.
    """
    found = []
    for angle in angles:
        c, s = math.cos(angle), math.sin(angle)
        along = spacing / abs(c)
        y = along * random.random()
        while y + width * abs(s / c) < height:
            found.append((0.0 if c > 0 else width, y, c, s, width / abs(c)))
            y += along
    columns = np.array(found).reshape(-1, 5).T
    return tuple(np.ascontiguousarray(column) for column in columns)  # type: ignore[return-value]


def _strengths(mean: float, spread: float, count: int, least: float, random: np.random.Generator) -> Float:
    drawn: Float = random.normal(mean, spread * mean, count)
    return np.clip(drawn, least * mean, None)


def make_specimen(
    *,
    width: float,
    height: float,
    angles: list[float],
    plane_spacing: float,
    source_density: float,
    source_count: Literal["fixed", "poisson"],
    source_strength: float,
    source_spread: float,
    surface_density: float,
    surface_strength: float,
    obstacles_per_source: float,
    obstacle_placement: Literal["source-planes", "random"],
    obstacle_strength: float,
    obstacle_spread: float,
    line_strength: float,
    seed: int,
) -> Specimen:
    """Draw a crystal.

    Lengths in nm, densities in 1/nm^2 (``source_density``) and 1/nm of both sides (``surface_density``),
    strengths in MPa; spreads are relative standard deviations. ``line_strength`` is mu b / (2 pi (1 - nu))
    [MPa nm]: a source at a side is as deep as half the dipole of its strength is wide. A fixed count is at
    least one source, unless the density is 0.
    """
    random = np.random.default_rng([seed, len(angles), round(1000 * width)])
    planes = slip_planes(width, height, angles, plane_spacing, random)
    many = len(planes[0])
    expected = source_density * width * height
    count = int(random.poisson(expected)) if source_count == "poisson" else max(1, round(expected))
    if source_density == 0:
        count = 0
    on_plane = random.choice(many, count, replace=count > many)
    place = random.random(count) * planes[4][on_plane]
    strength = _strengths(source_strength, source_spread, count, LEAST_STRENGTH["source"], random)
    obstacles = round(obstacles_per_source * count)
    if obstacle_placement == "source-planes":
        behind = np.resize(on_plane, obstacles) if count else np.zeros(0, np.int64)
    else:
        behind = random.integers(0, many, obstacles)
    where = random.random(obstacles) * planes[4][behind]
    hard = _strengths(obstacle_strength, obstacle_spread, obstacles, LEAST_STRENGTH["obstacle"], random)
    order = np.lexsort((where, behind))
    expected = 2 * height * surface_density
    edges = int(random.poisson(expected)) if source_count == "poisson" else max(1, round(expected))
    if surface_density == 0:
        edges = 0
    edge_plane = random.integers(0, many, edges)
    edge_kind = np.where(random.random(edges) < 0.5, AT_START, AT_END)
    edge_strength = _strengths(surface_strength, source_spread, edges, LEAST_STRENGTH["source"], random)
    depth = np.minimum(0.5 * line_strength / edge_strength, 0.5 * planes[4][edge_plane])
    edge_place = np.where(edge_kind == AT_START, depth, planes[4][edge_plane] - depth)
    return Specimen(
        *planes,
        source_plane=np.concatenate([on_plane, edge_plane]).astype(np.int64),
        source_s=np.concatenate([place, edge_place]),
        source_strength=np.concatenate([strength, edge_strength]),
        source_kind=np.concatenate([np.full(count, BULK), edge_kind]).astype(np.int64),
        obstacle_s=np.ascontiguousarray(where[order]),
        obstacle_strength=np.ascontiguousarray(hard[order]),
        obstacle_first=np.searchsorted(behind[order], np.arange(many + 1)).astype(np.int64),
    )


def trajectory_id(width: float, slip: str, seed: int) -> str:
    """``ddd-w0125-two-s0007``; ``width`` [µm] is written in nm.

    >>> trajectory_id(0.0625, "one", 3)
    'ddd-w0062.5-one-s0003'
    """
    whole, _, rest = f"{1000 * width:.6g}".partition(".")
    return f"ddd-w{whole:0>4}{'.' + rest if rest else ''}-{slip}-s{seed:04d}"
