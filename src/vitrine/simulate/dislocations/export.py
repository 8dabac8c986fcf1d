"""``vitrine simulate dislocations``: trajectories into one file that grows, a figure, an animation.

With ``compact`` maps and curves alone, in a smaller file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrine.errors import DataError, InputError, TaskError
from vitrine.simulate.dislocations.compact import COMPACT, compact_maps, write_compact
from vitrine.simulate.dislocations.files import DISLOCATIONS, TRAJECTORY
from vitrine.simulate.released import check_same_settings
from vitrine.simulate.released_reader import Layout, left_out_of, opened
from vitrine.tasks import Compute, Outcome

if TYPE_CHECKING:
    from vitrine.simulate.dislocations.source import DislocationDynamics

OTHERS = (".png", ".svg", ".gif", ".csv", ".npy")
SPARE = 50_000_000
"""Bytes that are left on a disk."""


def export_set(source: DislocationDynamics, out: Path, compute: Compute) -> Iterator[str]:
    """Simulate what ``out`` does not hold yet and add it; yields lines for the user.

    Beside ``out`` come a figure (.png) of the first trajectory asked for, and with ``movie`` a .gif.

    Raises
    ------
    InputError: ``out`` is named like a picture, or an animation is asked of a compact file.
    DataError: ``out`` is another kind of file, was made with other settings, or the disk is full.
    TaskError: no trajectory could be made.
    """
    if source.compact is not None and source.movie:
        raise InputError("--movie needs the positions of dislocations, which --compact leaves out; drop one")
    if out.suffix.lower() in OTHERS:
        raise InputError(
            f"--out {out}: the trajectories go into an HDF5 file; name it {out.with_suffix('.h5').name}, "
            "the figure comes beside it"
        )
    layout, free = DISLOCATIONS, source.not_determining
    if source.compact is not None:
        layout, free = COMPACT, free - {"compact"}
    check_same_settings(out, source.about(), free, layout)
    there, left_out = _there(out, layout)
    tasks = source.tasks()
    # a guard would stop them again, perhaps after hours
    failed = {task.label: left_out[task.label] for task in tasks if _stopped(task.label, left_out)}
    new = [task for task in tasks if task.label not in there | set(failed)]
    yield f"{len(there)} trajectories are in {out} already, {len(new)} to make"
    outcomes = compute(new)
    made = [each for each in outcomes if each.folder is not None]
    reused = sum(each.reused for each in made)
    if reused:
        yield f"{reused} of {len(new)} are finished in the store and reused"
    failed |= {each.label: each.error or "failed" for each in outcomes if each.folder is None}
    for name, reason in failed.items():
        yield f"left out: {name}: {reason.removeprefix(f'{name}: ')}"
    first = next((task.label for task in tasks if task.label not in failed), None)
    if first is None:
        raise TaskError(f"none of {len(tasks)} trajectories could be made; nothing is written to {out}")
    if made or failed.items() - left_out.items():
        kept = {name: reason for name, reason in left_out.items() if name not in {m.label for m in made}}
        _add(out, layout, source, made, kept | failed)
    yield f"wrote {len(made)} trajectories to {out}"
    yield from _pictures(out, first, source.movie, layout)


def _stopped(name: str, left_out: Mapping[str, str]) -> bool:
    """Whether the engine itself gave a trajectory up: its words begin with the name."""
    return left_out.get(name, "").startswith(f"{name}: ")


def _there(out: Path, layout: Layout) -> tuple[set[str], dict[str, str]]:
    if not out.exists():
        return set(), {}
    with opened(out, layout) as file:
        return set(file["trajectories"]), left_out_of(file)


def _add(
    out: Path,
    layout: Layout,
    source: DislocationDynamics,
    made: Sequence[Outcome],
    left_out: Mapping[str, str],
) -> None:
    """Copy trajectories into the file, complete or not at all."""
    import h5py

    files = [each.folder / TRAJECTORY for each in made if each.folder is not None]
    size = sum(path.stat().st_size for path in files) + (out.stat().st_size if out.exists() else 0)
    # the HDF5 library ends the process when a disk fills up: never let it come to that
    free = shutil.disk_usage(out.absolute().parent).free
    if free < 1.2 * size + SPARE:
        raise DataError(f"cannot write {out}: {size / 1e6:.0f} MB do not fit; {free / 1e6:.0f} MB are free")
    part = out.with_name(f".{out.name}.part")
    try:
        if out.exists():
            shutil.copyfile(out, part)
        else:
            part.unlink(missing_ok=True)
        with h5py.File(part, "a", libver="latest" if source.compact else None) as file:
            file.attrs["format"] = layout.format
            file.attrs["about"] = json.dumps(source.about(), sort_keys=True)
            file.attrs["left_out"] = json.dumps(dict(left_out))
            group = file.require_group("trajectories")
            asked = {task.label for task in source.tasks()}
            before = [] if set(group) <= asked else str(file.attrs.get("command", "")).splitlines()
            file.attrs["command"] = "\n".join(dict.fromkeys([*before, command(source)]))
            for each, path in zip(made, files, strict=True):
                with h5py.File(path, "r") as one:
                    if source.compact is None:
                        one.copy(f"trajectories/{each.label}", group)
                    else:
                        full = one[f"trajectories/{each.label}"]
                        write_compact(group, full, each.label, source.compact)
        part.replace(out)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def command(source: DislocationDynamics) -> str:
    """The command that makes such a file again; a file that grew by several has a line for each."""
    words = [f"vitrine simulate {source.kind}"]
    for name, field in type(source).model_fields.items():
        value: Any = getattr(source, name)
        if name not in ("kind", "movie") and value != field.default:
            listed = value if isinstance(value, tuple) else (value,)
            shown = ",".join(str(each).removesuffix(".0") for each in listed)
            words.append(f"--{name.replace('_', '-')} {shown}")
    return " ".join([*words, "-o FILE.h5"])


def _pictures(out: Path, name: str, movie: bool, layout: Layout) -> Iterator[str]:
    from vitrine.simulate.dislocations.pictures import animate, draw, draw_maps

    figure = out.with_suffix(".png")
    if layout is COMPACT:
        draw_maps(compact_maps(out, [name]), name, figure)
        yield f"drew {name} in {figure}"
        return
    with opened(out, DISLOCATIONS, trusted=True) as file:  # of our own making, or looked at before
        group = file["trajectories"][name]
        draw(group, name, figure)
        yield f"drew {name} in {figure}"
        if movie:
            animation = out.with_suffix(".gif")
            animate(group, name, animation)
            yield f"animated {name} in {animation}"
