"""Reading of HDF5 files of released sets: a damaged or foreign one is named, never believed.

The HDF5 library itself may crash or never end where a single byte of a file is wrong (2.0.0 does in
one of 5,000 files that were changed at random). So a file that does not ship with vitrine is read once in
a process of its own before this process touches it: ``python -m vitrine.simulate.released_reader FILE``, or
that module of another :class:`Layout`.
"""

from __future__ import annotations

import contextlib
import json
import math
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.errors import DataError, InputError, did_you_mean
from vitrine.physics.rotation import DIRECTIONS
from vitrine.samples import Float

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Layout:
    """A kind of file: its format, the group that it must have, its name, the module that reads one apart."""

    format: str
    group: str
    name: str
    module: str


FORMAT = "vitrine sheared glasses 1"
SHEARED = Layout(FORMAT, "specimens", "released glasses", "vitrine.simulate.released_reader")
SHIPPED = Path(__file__).resolve().parent.parent / "released"
"""Where the sets are that ship with vitrine."""
SECONDS, BYTES_PER_SECOND = 2.0, 5e6
"""Processor time that the trial reading of a file may take, beside that for its size."""
MOST_PACKED = 2000
"""Bytes that a stored one may unpack to; deflate reaches 1032."""
LARGEST_NUMBER = 118
STRAIN_DIGITS = 7
"""Decimals of a strain that single precision holds."""


@contextmanager
def opened(path: Path, layout: Layout = SHEARED, trusted: bool = False) -> Iterator[Any]:
    """The open file, its format checked; what goes wrong inside names the file.

    trusted: its bytes are known to be as they were written, so it need not be tried apart.

    Raises
    ------
    DataError: not such a file, of another format, or damaged.
    """
    if not path.is_file():
        raise DataError(f"{path} is not an HDF5 file of {layout.name}: it is no file")
    if not trusted and path.resolve().parent != SHIPPED:
        state = path.stat()
        _try_apart(path.resolve(), str(path), layout.module, state.st_mtime_ns, state.st_size)
    with _checked(path, layout) as file:
        yield file


@contextmanager
def _checked(path: Path, layout: Layout) -> Iterator[Any]:
    import h5py

    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path} is not an HDF5 file of {layout.name}: {error}") from error
    with file:
        try:
            found = file.attrs.get("format")
            if not isinstance(found, str) or found != layout.format:
                raise DataError(
                    f"{path}: its format is {found!r}, this version of vitrine reads {layout.format!r}"
                )
            if "about" not in file.attrs or not isinstance(file.get(layout.group), h5py.Group):
                raise DataError(f"{path} is damaged: it names no settings or no {layout.group}")
            yield file
        # what h5py raises where bytes are not what they should be
        except (KeyError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise DataError(f"{path} is damaged: {error}") from error


@lru_cache(maxsize=64)
def _try_apart(path: Path, name: str, module: str, changed: int, size: int) -> None:
    """Read all of a file in another process, once for each state of it."""
    words = [sys.executable, "-P", "-m", module, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == InputError.exit_code:
        raise DataError(done.stderr.strip().replace(str(path), name))
    if done.returncode:
        how = "does not come to an end" if done.returncode == -signal.SIGXCPU else "crashes"
        raise DataError(f"{name} is damaged: the HDF5 library {how} on it; make the file again")


def read_apart(path: Path, layout: Layout, read: Callable[[Any], object]) -> None:
    """What the process of its own does: all of the file; the system ends it when it has used up its time.

    It ends with the exit code of an InputError, its words on the error output, if the file is not sound.
    """
    import ase
    import h5py

    assert ase.__version__ and h5py.__version__  # their import takes longer than most files
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(used.ru_utime + used.ru_stime + SECONDS + path.stat().st_size / BYTES_PER_SECOND)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    try:
        with _checked(path, layout) as file:
            settings_of(file), left_out_of(file)
            read(file)
    except DataError as wrong:
        sys.stderr.write(f"{wrong}\n")
        sys.exit(wrong.exit_code)


def _read_specimens(file: Any) -> None:
    for name in file["specimens"]:
        for _ in read_specimen(file["specimens"][name], name):
            continue


def shipped_names(layout: Layout | None = None) -> list[str]:
    """Names of the sets that ship with the package, of one layout or of all."""
    paths = sorted(SHIPPED.glob("*.h5"))
    if layout is None:
        return [path.stem for path in paths]
    import h5py

    names = []
    for path in paths:
        with h5py.File(path, "r") as file:
            if file.attrs["format"] == layout.format:
                names.append(path.stem)
    return names


def find_set(name: str, layout: Layout) -> Path:
    """Path of a set that ships with the package, or of the user's own file.

    Raises
    ------
    DataError: there is no such set.
    """
    own = Path(name).expanduser()
    shipped = SHIPPED / f"{name}.h5"
    if own.is_file():
        return own
    if own.name == name and shipped.is_file():
        return shipped
    raise DataError(f"no file and no released set {name!r}{did_you_mean(name, shipped_names(layout))}")


def replace_file(path: Path, content: memoryview) -> None:
    """Write a file, complete or not at all.

    Raises
    ------
    DataError: it cannot be written.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror or error}; make room, or write elsewhere"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def settings_of(file: Any) -> dict[str, Any]:
    """How the specimens were made.

    Raises
    ------
    ValueError: the attribute ``about`` holds none.
    """
    return _mapping(file, "about")


def left_out_of(file: Any) -> dict[str, str]:
    """Samples without an event, and why: they are not simulated again.

    Raises
    ------
    ValueError: the attribute ``left_out`` is no such mapping.
    """
    found = _mapping(file, "left_out") if "left_out" in file.attrs else {}
    if not all(isinstance(reason, str) for reason in found.values()):
        raise ValueError("its attribute left_out should map samples to reasons")
    return found


def _mapping(file: Any, name: str) -> dict[str, Any]:
    text = file.attrs[name]
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"its attribute {name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"its attribute {name} should be a JSON mapping, not {str(text)[:60]!r}")
    return found


def read_specimen(specimen: Any, name: str) -> Iterator[Atoms]:
    """One sample per direction of a specimen, as :func:`vitrine.simulate.metallic_glass.glass_samples`.

    Raises
    ------
    ValueError, KeyError: a field is missing, of another shape, or not finite; the field is named.
    """
    from ase import Atoms

    n = len(specimen["positions"])
    positions, cell = read_array(specimen, "positions", (n, 3)), read_array(specimen, "cell", (3, 3))
    numbers = read_array(specimen, "numbers", (n,))
    if not n or not (1 <= numbers.min() <= numbers.max() <= LARGEST_NUMBER):
        raise ValueError(f"{specimen.name}/numbers should be atomic numbers from 1 to {LARGEST_NUMBER}")
    if not abs(np.linalg.det(cell)) > 0:
        raise ValueError(f"{specimen.name}/cell has no volume")
    shapes = {"energy": (n,), "stress": (n, 6)}
    fields = {field: read_array(specimen, field, shape) for field, shape in shapes.items()}
    for direction in specimen["directions"]:
        if direction not in DIRECTIONS:
            known = did_you_mean(direction, DIRECTIONS)
            raise ValueError(f"{specimen.name}/directions holds {direction!r}{known}")
        event = specimen["directions"][direction]
        atoms = Atoms(numbers=numbers.astype(int), positions=positions, cell=cell, pbc=True)
        for key, values in fields.items():
            atoms.arrays[key] = values.copy()
        atoms.arrays["d2min"] = read_array(event, "d2min", (n,))
        strain = float(event.attrs["event_strain"])
        if not np.isfinite(strain):
            raise ValueError(f"{event.name}: its event_strain should be finite, not {strain}")
        atoms.info |= {
            "id": f"{name}/{direction}",
            "group": name,
            "direction": direction,
            "event_strain": strain,
            "event_atoms": int(event.attrs["event_atoms"]),
        }
        if "swap_acceptance" in specimen.attrs:
            atoms.info["swap_acceptance"] = _attribute(specimen, "swap_acceptance")
        if "first_strain" in event:
            _add_following(atoms, event, n)
        yield atoms


def _add_following(atoms: Atoms, event: Any, n: int) -> None:
    """How the direction went on beyond its first event."""
    first = read_array(event, "first_strain", (n,))
    if first.min() < 0:
        raise ValueError(f"{event.name}/first_strain holds a negative strain")
    atoms.arrays["first_strain"] = rounded_strains(first)
    for key in ("followed_to", "follow_step"):
        if key == "followed_to" or key in event.attrs:
            atoms.info[key] = _attribute(event, key)


def _attribute(group: Any, name: str) -> float:
    value = float(group.attrs[name])
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{group.name}: its {name} should be finite and not negative, not {value}")
    return value


def rounded_strains(single: Any) -> Float:
    """Strains (n,) of single precision as those numbers of double precision that were meant.

    >>> float(rounded_strains(np.float32(0.0052)))
    0.0052
    """
    double: Float = np.asarray(single, dtype=np.float64)
    return double.round(STRAIN_DIGITS)


def read_array(group: Any, name: str, shape: tuple[int, ...]) -> Float:
    """A field as float64, looked at before room is made for it."""
    import h5py

    where = f"{group.name}/{name}"
    link, field = group.get(name, getlink=True), group[name]
    if not isinstance(link, h5py.HardLink) or not isinstance(field, h5py.Dataset):
        raise ValueError(f"{where} should be an array in this file")
    if field.shape != shape or field.dtype.kind not in "iuf":
        raise ValueError(
            f"{where} has the shape {field.shape} of {field.dtype}; it should be {shape} numbers"
        )
    if field.is_virtual or field.external or field.nbytes > MOST_PACKED * field.id.get_storage_size():
        raise ValueError(f"{where} holds no data in this file")
    values: Float = field[()].astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{where} holds numbers that are not finite")
    return values


if __name__ == "__main__":
    read_apart(Path(sys.argv[1]), SHEARED, _read_specimens)
