"""Flow stress against width under the main choices of the dislocation engine; resumable, one core.

python benchmarks/dislocation_calibration.py [--short] [--choice NAME ...]

Writes dislocation_calibration.csv (one row per crystal) beside this file, prints the table of
docs/dislocations.md. Flow stress: mean axial stress from 0.2 to 1 % strain. Offset: first
stress on the line of the elastic slope through 0.2 %. Noise: standard deviation of the stress around its
straight line from 0.2 to 1 %, over its mean.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from vitrine.arrays import load_arrays, save_arrays
from vitrine.campaign.campaign import Campaign
from vitrine.campaign.store import default_root
from vitrine.simulate.dislocations.settings import Crystal
from vitrine.simulate.dislocations.source import ENGINE
from vitrine.simulate.dislocations.specimen import trajectory_id
from vitrine.tasks import Task

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "obstacles at random": {"obstacle_placement": "random"},
    "no obstacles": {"obstacles_per_source": 0},
    "obstacles 150 MPa": {"obstacle_strength": 150.0},
    "obstacles 600 MPa": {"obstacle_strength": 600.0},
    "sources 30 /µm²": {"source_density": 30.0},
    "sources 120 /µm²": {"source_density": 120.0},
    "sources drawn (Poisson)": {"source_count": "poisson"},
    "velocity cap 50 m/s": {"velocity_cap": 50.0},
    "velocity cap 1000 m/s": {"velocity_cap": 1000.0},
    "junctions 100 MPa": {"junction_strength": 100.0},
    "no junction rule": {"junction_strength": 1e5},
    "rate 1e3 /s": {"strain_rate": 1e3},
    "rate 1e5 /s": {"strain_rate": 1e5},
    "surface sources 10 /µm": {"surface_density": 10.0},
}
SEEDS: Mapping[float, int] = {0.0625: 24, 0.125: 16, 0.25: 10, 0.5: 6, 1.0: 3}
"""crystals of each width [µm] and choice of slip"""
LARGEST = {"default": 1.0, "velocity cap 1000 m/s": 0.25, "rate 1e3 /s": 0.25}
"""largest width [µm] of a choice, 0.5 elsewhere: ten times as many steps, or very many dislocations"""
STRAIN = 0.0105
RESULTS = Path(__file__).parent / "dislocation_calibration.csv"
COLUMNS = ("choice", "slip", "width", "seed", "flow", "offset", "noise", "dislocations", "seconds")
PUBLISHED = -0.55


def load(folder: Path, inputs: Sequence[Path], progress: Callable[[float], None], **told: Any) -> None:
    """Task: load one crystal to 1 % and keep its curve."""
    import time

    from vitrine.errors import EngineError
    from vitrine.simulate.dislocations.trajectory import Run

    run = Run.of(told["width"], told["slip"], told["seed"], 100.0, **told["crystal"])
    start = time.process_time()
    try:
        curve = run.leg(run.start(), STRAIN, progress=progress).curve
    except EngineError:  # a crystal without sources, or one that runs away: no flow stress
        curve = np.zeros((0, 5))
    save_arrays(folder / "curve.npz", curve=curve, seconds=np.array(time.process_time() - start))


def tasks(names: Sequence[str], widths: Sequence[float]) -> dict[tuple[str, str, float, int], Task]:
    """All crystals."""
    found = {}
    for name in names:
        for width in widths:
            if width > LARGEST.get(name, 0.5):
                continue
            for slip in ("one", "two"):
                for seed in range(1, SEEDS[width] + 1):
                    crystal = Crystal.model_validate(CHOICES[name]).crystal_settings()
                    told = {"width": width, "slip": slip, "seed": seed, "crystal": crystal}
                    recipe = {"engine": ENGINE, "strain": STRAIN, **told}
                    label = f"{name}, {trajectory_id(width, slip, seed)}"
                    found[name, slip, width, seed] = Task(label, "load", recipe, load, told)
    return found


def measured(curve: np.ndarray) -> tuple[float, float, float, float]:
    """Flow stress, offset stress [MPa], noise (relative), mean number of dislocations."""
    if len(curve) < 100:
        return (np.nan,) * 4
    strain, stress = curve[:, 0], curve[:, 1]
    here = (strain >= 0.002) & (strain <= 0.01)
    flow = float(stress[here].mean())
    line = np.polyval(np.polyfit(strain[here], stress[here], 1), strain[here])
    noise = float(np.std(stress[here] - line) / flow)
    past = np.flatnonzero(curve[:, 2] >= 0.002)
    offset = float(stress[past[0]]) if len(past) else np.nan
    return flow, offset, noise, float(curve[here, 3].mean())


def exponent(
    rows: Sequence[Mapping[str, Any]], what: str, resamples: int = 1000
) -> tuple[float, float, float]:
    """Slope of log stress against log width with its 95 % interval; crystals are resampled in each width."""
    groups = {}
    for row in rows:
        if np.isfinite(row[what]) and row[what] > 0:
            groups.setdefault(row["width"], []).append(row[what])
    widths = np.log(sorted(groups))
    values = [np.log(groups[width]) for width in sorted(groups)]
    if len(widths) < 3:
        return (np.nan,) * 3
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(resamples):
        means = [np.log(np.mean(np.exp(random.choice(each, len(each))))) for each in values]
        drawn.append(np.polyfit(widths, means, 1)[0])
    best = np.polyfit(widths, [np.log(np.mean(np.exp(each))) for each in values], 1)[0]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(best), float(low), float(high)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: flow stress by width, exponents and noise of every choice and slip."""
    widths = sorted({row["width"] for row in rows})
    lines = [
        "| choice | slip | " + " | ".join(f"{1000 * w:g} nm" for w in widths) + " | exponent, flow | offset |"
    ]
    lines.append("|" + "---|" * (len(widths) + 4))
    for name in dict.fromkeys(row["choice"] for row in rows):
        for slip in ("one", "two"):
            mine = [row for row in rows if row["choice"] == name and row["slip"] == slip]
            cells = []
            for width in widths:
                flows = np.array([r["flow"] for r in mine if r["width"] == width and np.isfinite(r["flow"])])
                error = flows.std(ddof=1) / np.sqrt(len(flows)) if len(flows) > 1 else np.nan
                cells.append(f"{flows.mean():.0f} ± {error:.0f}" if len(flows) else "")
            shown = []
            for what in ("flow", "offset"):
                best, low, high = exponent([r for r in mine if r["width"] <= 0.5], what)
                shown.append(f"{best:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−"))
            lines.append(f"| {name} | {slip} | " + " | ".join([*cells, *shown]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Simulate what the store does not hold, write the CSV, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="two widths, two choices: a minute")
    parser.add_argument("--choice", action="append", choices=list(CHOICES))
    parser.add_argument("--widths", default="0.0625,0.125,0.25,0.5,1")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    names = given.choice or (["default", "obstacles at random"] if given.short else list(CHOICES))
    widths = [0.0625, 0.125] if given.short else [float(word) for word in given.widths.split(",")]
    wanted = tasks(names, widths)
    with Campaign(default_root(), workers=0, console=Console()) as campaign:
        outcomes = campaign.compute(list(wanted.values()))
    rows = []
    for key, outcome in zip(wanted, outcomes, strict=True):
        if outcome.folder is None:
            continue
        found = load_arrays(outcome.folder / "curve.npz")
        rows.append(
            dict(zip(COLUMNS, (*key, *measured(found["curve"]), float(found["seconds"])), strict=True))
        )
    with given.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )
    print(table(rows))


if __name__ == "__main__":
    main()
