"""One trajectory: load, and at every prior strain branch off, unload and load again; maps of what that did.

A leg (``load-1``, ``unload-1``, ``reload-1-0.1``) is finished when its file is there. A leg under way leaves
a file of its state, from which a killed run continues to the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitrine.arrays import load_arrays, save_arrays
from vitrine.errors import EngineError
from vitrine.physics.elastic import ALUMINIUM, Elastic
from vitrine.physics.strip import Dislocations, Strip
from vitrine.physics.strip_displacement import SlipPlanes, displacement
from vitrine.samples import Float
from vitrine.simulate.dislocations import engine
from vitrine.simulate.dislocations.arrays import (
    ALIVE,
    PER_DISLOCATION,
    PLASTIC,
    STRAIN,
    Model,
    Specimen,
    State,
    copied,
    empty_state,
)
from vitrine.simulate.dislocations.files import TRAJECTORY, rows_of, write_trajectory
from vitrine.simulate.dislocations.settings import Crystal
from vitrine.simulate.dislocations.specimen import Slip, trajectory_id
from vitrine.strain_maps import StrainMap, strain_of

PIECE = 500
"""Steps between two looks at the clock, after each of which the control of the step begins anew. Another
number gives another trajectory, equal up to rounding and what chaos makes of it: then raise ``ENGINE``."""
SAVE_EVERY = 20.0
"""Seconds of work that a kill may lose."""
WIDEST_MAP = 250
"""Pixels across, unless a pitch is asked for."""
LEAST_PITCH = 2.0
"""nm, as in the pictures of doi:10.1038/s41598-020-65157-z."""
MOST_UNLOADING = 0.1
"""Strain after which unloading is given up."""
ZERO_STRESS = 1.0
"""MPa, unloaded; more is a burst."""
MOST_TURNS = 1000
"""Times that bursts may carry the stress past zero."""
UNNAMED = "leg"
FRAME = ("strain", "stress")


@dataclass
class Leg:
    """What a leg left: its last state, its curve (rows, 5) and its frames."""

    state: State
    curve: Float
    frames: dict[str, Any]


def pitch_of(width: float, wanted: float | None) -> float:
    """Edge of a pixel [nm]: ``wanted``, or 2 nm and at most 250 across; whole pixels in ``width`` [nm]."""
    pitch = max(LEAST_PITCH, width / WIDEST_MAP) if wanted is None else wanted
    return width / max(1, round(width / pitch))


class Run:
    """A crystal and what happens to it, leg by leg.

    Parameters
    ----------
    name: of the trajectory, for messages.
    model, specimen: of :mod:`vitrine.simulate.dislocations.arrays`.
    modes: Fourier modes of the image field.
    frame_step: strain between two kept frames.
    elastic: constants, for displacements.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        specimen: Specimen,
        modes: int,
        frame_step: float,
        elastic: Elastic | None = None,
    ) -> None:
        self.name, self.model, self.specimen, self.modes = name, model, specimen, modes
        self.frame_step, self.elastic = frame_step, elastic or ALUMINIUM
        self.capacity = model.most_dislocations + 2 * len(specimen.source_s) + 2

    @classmethod
    def of(
        cls, width: float, slip: Slip = "two", seed: int = 1, frame_step: float = 0.05, **settings: Any
    ) -> Run:
        """The crystal of a seed; ``width`` in µm, ``frame_step`` in %, more settings as :class:`Crystal`."""
        crystal = Crystal.model_validate(settings)
        nm = 1000 * width
        specimen = crystal.specimen(nm, slip, seed)
        name = trajectory_id(width, slip, seed)
        return cls(name, crystal.model(nm), specimen, crystal.modes, frame_step / 100, crystal.elastic())

    def start(self) -> State:
        """Free of dislocations, stress and strain."""
        return empty_state(self.specimen, self.capacity)

    def leg(
        self,
        state: State,
        stop_strain: float | None = None,
        folder: Path | None = None,
        leg: str = UNNAMED,
        progress: Callable[[float], None] | None = None,
    ) -> Leg:
        """Load to ``stop_strain``, or unload to zero stress if there is none; ``state`` stays as it is.

        With a ``folder`` a finished leg is read from it, and one under way is continued.

        Raises
        ------
        EngineError: a guard stopped it; names the trajectory and the strain.
        """
        if folder is not None and leg == UNNAMED:
            raise ValueError("a leg that is kept in a folder needs a name")
        finished = _finished(folder, leg)
        if finished is not None:
            return finished
        now, curve, frames = self._under_way(folder, leg) or (copied(state), [], [])
        unloading = stop_strain is None
        model = self.model._replace(lowest_stress=-np.inf) if unloading else self.model
        start = float(state.numbers[STRAIN])
        elastic = abs(self.stress(state)) / self.model.axial
        most = MOST_UNLOADING + 2 * elastic
        span = max(elastic if stop_strain is None else abs(stop_strain - start), 1e-12)
        turns = 0
        saved = time.monotonic()
        rows = np.empty((PIECE + 1, 5))
        while True:
            # a burst may carry the stress past zero: then it is loaded back
            direction = -1.0 if unloading and self.stress(now) > 0 else 1.0
            target = (frames[-1]["strain"] if frames else start) + direction * self.frame_step
            if stop_strain is not None:
                target = min(stop_strain, target)
            elif abs(float(now.numbers[STRAIN]) - start) > most or turns > MOST_TURNS:
                raise EngineError(
                    f"{self.name}: unloading by {most:.1%} did not bring the stress to zero, which bursts "
                    f"carried past it {turns} times ({leg})"
                )
            zero = 0.0 if unloading else direction * np.inf
            exact = unloading or target == stop_strain
            why, filled = engine.advance(
                now, self.specimen, model, self.modes, direction, target, zero, PIECE, rows, exact
            )
            curve.append(rows[:filled].copy())
            if why not in (engine.REACHED, engine.PAUSED):
                raise EngineError(self._trouble(why, now, leg))
            if why == engine.REACHED:
                frames.append(self.frame(now))
                if abs(self.stress(now)) < ZERO_STRESS if unloading else target == stop_strain:
                    break
                turns += int(unloading and (self.stress(now) > 0) != (direction < 0))
            if progress is not None:
                progress(min(1.0, abs(float(now.numbers[STRAIN]) - start) / span))
            if folder is not None and time.monotonic() - saved > SAVE_EVERY:
                self._save(_of_under_way(folder, leg), now, curve, frames)
                saved = time.monotonic()
        if folder is not None:
            self._save(folder / f"{leg}.npz", now, curve, frames)
            _of_under_way(folder, leg).unlink(missing_ok=True)
        return Leg(now, np.concatenate(curve), _joined(frames))

    def _trouble(self, why: int, state: State, leg: str) -> str:
        strain, count = 100 * float(state.numbers[STRAIN]), int(state.counts[ALIVE])
        words = {
            engine.TOO_MANY: f"{count:,} dislocations, more than most_dislocations",
            engine.WRONG_SIGN: f"the mean stress is {self.stress(state):.3g} MPa, below lowest_stress",
            engine.NOT_FINITE: "a stress is not finite",
        }[why]
        return f"{self.name}: stopped at {strain:.3f} % strain ({leg}): {words}"

    def stress(self, state: State) -> float:
        """Mean axial stress [MPa]."""
        return float(self.model.axial * (state.numbers[STRAIN] - state.numbers[PLASTIC]))

    def places(self, state: State) -> tuple[Float, Float]:
        """x and y (n,) of the dislocations [nm]."""
        n = int(state.counts[ALIVE])
        plane, s = state.plane[:n], state.s[:n]
        found = self.specimen
        return found.plane_x[plane] + s * found.plane_cos[plane], found.plane_y[plane] + s * found.plane_sin[
            plane
        ]

    def frame(self, state: State) -> dict[str, Any]:
        """Where the dislocations are: float32 x and y, plane and sign."""
        n = int(state.counts[ALIVE])
        x, y = self.places(state)
        return {
            "strain": float(state.numbers[STRAIN]),
            "stress": self.stress(state),
            "x": x.astype(np.float32),
            "y": y.astype(np.float32),
            "plane": state.plane[:n].astype(np.int32),
            "sign": state.sign[:n].astype(np.int8),
        }

    def strain_map(self, before: State, after: State, pitch: float | None = None) -> StrainMap:
        """What happened between two states; ``pitch`` in nm, by default as :func:`pitch_of` says."""
        edge = pitch_of(self.model.width, pitch)
        moved = self.displacement(after, edge) - self.displacement(before, edge)
        return StrainMap(strain_of(moved, edge).astype(np.float32), edge, "y", {"group": self.name})

    def displacement(self, state: State, pitch: float) -> Float:
        """(2, rows + 1, columns + 1) u_x and u_y [nm] at the corners of square pixels of ``pitch`` [nm]."""
        n = int(state.counts[ALIVE])
        found = self.specimen
        planes = SlipPlanes(
            found.plane_x, found.plane_y, np.arctan2(found.plane_sin, found.plane_cos), found.plane_length
        )
        plane = state.plane[:n].copy()
        x, y = self.places(state)
        strip = Strip(self.model.width, self.model.height, self.elastic, self.modes)
        dislocations = Dislocations.on_planes(x, y, planes.angle[plane], state.sign[:n], self.model.burgers)
        columns, rows = round(strip.width / pitch), rows_of(strip.height, pitch)
        below = 0.5 * (strip.height - rows * pitch)
        return displacement(
            strip, dislocations, plane, state.start_slip, planes, self.stress(state),
            np.linspace(0, strip.width, columns + 1),
            np.linspace(below, strip.height - below, rows + 1),
        )  # fmt: skip

    def _save(
        self, path: Path, state: State, curve: Sequence[Float], frames: Sequence[dict[str, Any]]
    ) -> None:
        n = int(state.counts[ALIVE])
        arrays = {
            f"state_{key}": value[:n] if key in PER_DISLOCATION else value
            for key, value in state._asdict().items()
        }
        save_arrays(
            path,
            capacity=np.array(self.capacity),
            curve=np.concatenate(curve) if curve else np.zeros((0, 5)),
            **arrays,
            **{f"frames_{key}": value for key, value in _joined(frames).items()},
        )

    def _under_way(
        self, folder: Path | None, leg: str
    ) -> tuple[State, list[Float], list[dict[str, Any]]] | None:
        path = None if folder is None else _of_under_way(folder, leg)
        if path is None or not path.exists():
            return None
        found = _read_leg(path)
        return found.state, [found.curve], _parted(found.frames)


def _of_under_way(folder: Path, leg: str) -> Path:
    """Not ``.part.npz``, which is half of the file of a finished leg while that is written."""
    return folder / f"{leg}.under-way.npz"


def _finished(folder: Path | None, leg: str) -> Leg | None:
    path = None if folder is None else folder / f"{leg}.npz"
    return _read_leg(path) if path is not None and path.exists() else None


def _read_leg(path: Path) -> Leg:
    data = load_arrays(path, "leg")
    capacity = int(data["capacity"])
    fields: dict[str, Any] = {}
    for key in State._fields:
        value = data[f"state_{key}"]
        if key in PER_DISLOCATION:
            whole = np.zeros(capacity, value.dtype)
            whole[: len(value)] = value
            value = whole
        fields[key] = value
    frames = {key.removeprefix("frames_"): value for key, value in data.items() if key.startswith("frames_")}
    return Leg(State(**fields), data["curve"], frames)


def _joined(frames: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Arrays of all frames one after the other; ``first`` (frames + 1,) is where each begins."""
    kinds = {"x": np.float32, "y": np.float32, "plane": np.int32, "sign": np.int8}
    return {
        **{key: np.array([frame[key] for frame in frames], float) for key in FRAME},
        "first": np.concatenate([[0], np.cumsum([len(frame["x"]) for frame in frames])]).astype(np.int64),
        **{
            key: np.concatenate([np.zeros(0, kind), *(f[key] for f in frames)]) for key, kind in kinds.items()
        },
    }


def _parted(frames: Mapping[str, Any]) -> list[dict[str, Any]]:
    first = frames["first"]
    return [
        {
            key: value[k] if key in FRAME else value[first[k] : first[k + 1]]
            for key, value in frames.items()
            if key != "first"
        }
        for k in range(len(frames["strain"]))
    ]


# ---------------------------------------------------------------- the task


def trajectory(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    width: float,
    slip: Slip,
    seed: int,
    prior: Sequence[float],
    reload: Sequence[float],
    pitch: float | None,
    frame_step: float,
    crystal: Mapping[str, Any],
) -> None:
    """Run a trajectory and write ``trajectory.h5``, see :mod:`vitrine.simulate.dislocations.files`.

    Parameters
    ----------
    width: µm. prior, reload, frame_step: strains in %. pitch: nm, or None for the default.
    crystal: settings of :class:`~vitrine.simulate.dislocations.settings.Crystal`.

    Raises
    ------
    EngineError: a guard stopped it; nothing of the trajectory is kept.
    """
    if (folder / TRAJECTORY).exists():
        _clean(folder)
        return
    run = Run.of(width, slip, seed, frame_step, **crystal)
    edge = pitch_of(run.model.width, pitch)
    total = max(prior) + len(prior) * max(reload)
    legs: dict[str, Leg] = {}
    maps: dict[tuple[float, float], tuple[Any, Any]] = {}
    state, done, start = run.start(), 0.0, 0.0
    for at in sorted(prior):
        tell = _part(progress, done / total, (at - start) / total)
        loaded = run.leg(state, at / 100, folder, f"load-{at:g}", tell)
        done, start, state = done + at - start, at, loaded.state
        tell = _part(progress, done / total, 0.0)
        unloaded = run.leg(state, None, folder, f"unload-{at:g}", tell)
        legs |= {f"load-{at:g}": loaded, f"unload-{at:g}": unloaded}
        rest = float(unloaded.state.numbers[STRAIN])
        before = run.displacement(unloaded.state, edge)
        now, gone = unloaded.state, 0.0
        for to in sorted(reload):
            tell = _part(progress, done / total, (to - gone) / total)
            again = run.leg(now, rest + to / 100, folder, f"reload-{at:g}-{to:g}", tell)
            done, gone, now = done + to - gone, to, again.state
            moved = run.displacement(now, edge) - before
            legs[f"reload-{at:g}-{to:g}"] = again
            maps[at, to] = (strain_of(moved, edge).astype(np.float32), moved.astype(np.float32))
    write_trajectory(
        folder / TRAJECTORY, run, legs, maps,
        {"name": run.name, "width": width, "slip": slip, "seed": seed, "pitch": edge},
    )  # fmt: skip
    _clean(folder)


def _clean(folder: Path) -> None:
    for scrap in folder.glob("*load-*.npz"):
        scrap.unlink()


def _part(progress: Callable[[float], None], begin: float, share: float) -> Callable[[float], None]:
    return lambda fraction: progress(min(1.0, begin + share * fraction))
