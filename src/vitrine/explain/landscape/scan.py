"""Losses at many points of a line or plane: in chunks, at once where that pays, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vitrine.arrays import load_arrays, save_arrays
from vitrine.errors import DataError, InputError
from vitrine.explain.landscape.directions import Direction
from vitrine.explain.landscape.evaluator import CANNOT, SAME, Evaluator
from vitrine.explain.landscape.first_layer import FirstLayers
from vitrine.samples import Float
from vitrine.tasks import Progress, digest

PAYS = 1 << 19
"""bytes of a weight vector and its activations from which points go one by one on a CPU: products of matrices
take the time there, and many at once only leave the caches"""
CACHE = 1 << 24
"""bytes of the points that a CPU evaluates together"""
AT_MOST = 1024
"""points that go through the network together"""
PAUSE = 5.0
"""seconds between two writings of a checkpoint"""


@dataclass(frozen=True)
class Manner:
    """How points are evaluated.

    Attributes
    ----------
    at_once: points together; 1: one after the other. reason: why not together, or nothing.
    """

    at_once: int
    reason: str = ""


def axis(reach: float, points: int) -> Float:
    """(points,) steps from -reach to reach; the middle one is 0 exactly.

    Raises
    ------
    InputError: an even number of points or fewer than 3; a reach that is not positive.
    """
    if not isinstance(points, (int, np.integer)) or points < 3 or points % 2 == 0:
        raise InputError(f"points is an odd number from 3, so that one is the network itself, not {points!r}")
    if not (np.isfinite(reach) and reach > 0):
        raise InputError(f"reach is a positive number of steps, not {reach!r}")
    half = np.arange(1, points // 2 + 1) * (reach / (points // 2))
    half[-1] = reach
    return np.concatenate([-half[::-1], [0.0], half])


def manner(evaluator: Evaluator, names: Sequence[str], memory: float, batched: bool | None) -> Manner:
    """Whether and how many points go through the network together.

    Parameters
    ----------
    memory: bytes that they may take. batched: None: where it pays.

    Raises
    ------
    InputError: there is not memory for one point.
    """
    if not memory > 0:
        raise InputError(f"memory is a positive number of bytes, not {memory!r}")
    if batched is False:
        return Manner(1, "as asked for")
    on_cpu, each = evaluator.device.type == "cpu", evaluator.weights.nbytes
    if batched or not on_cpu or each <= PAYS:  # else the weights alone are too many
        each = evaluator.bytes_per_point(names)
    if batched is None and on_cpu and each > PAYS:
        return Manner(1, f"with {each / 1e6:.1f} MB for each it is faster on a CPU")
    room = min(memory, max(CACHE, 2 * each)) if on_cpu else memory
    at_once = int(min(AT_MOST, room // each))
    if at_once < 2:
        return Manner(1, f"two points would take {2 * each / 1e6:.0f} MB, more than memory= allows")
    try:
        together = evaluator.weights.expand(2, -1).contiguous()
        for name in names:
            value, same = float(evaluator.many(name, together)[1]), evaluator.centre[name]
            if not abs(value - same) <= SAME[evaluator.dtype] * max(abs(same), 1e-300):
                return Manner(1, f"together the loss on {name} would be {value!r}, not {same!r}")
    except CANNOT as error:
        return Manner(1, f"torch.func.vmap: {str(error).strip().splitlines()[0]}")
    return Manner(at_once)


@dataclass(frozen=True)
class Scan:
    """Points of weights + steps @ directions, and how they are evaluated.

    Attributes
    ----------
    steps: (k, d), in the order in which they are evaluated. directions: d.
    memory: bytes for products that first layers share.
    """

    evaluator: Evaluator
    names: tuple[str, ...]
    directions: tuple[Direction, ...]
    steps: Float
    manner: Manner
    memory: float

    def losses(self, progress: Progress | None, checkpoint: Path | None, recipe: str) -> Float:
        """(data sets, k) losses.

        Parameters
        ----------
        checkpoint: an .npz of what is finished, written every few seconds and when work is broken off.
        recipe: digest of all that determines the result.

        Raises
        ------
        DataError: the checkpoint is of other weights or settings, or damaged.
        """
        found = np.full((len(self.names), len(self.steps)), np.nan)
        done = 0 if checkpoint is None else _read(checkpoint, recipe, found)
        work = self._chunk() if self.manner.at_once > 1 else self._one_by_one()
        size = self.manner.at_once if self.manner.at_once > 1 else 1
        written, last = done, time.monotonic()
        try:
            for start in range(done, len(self.steps), size):
                end = min(start + size, len(self.steps))
                found[:, start:end] = work(start, end)
                done = end
                if checkpoint is not None and time.monotonic() - last > PAUSE:
                    _write(checkpoint, recipe, found, done)
                    written, last = done, time.monotonic()
                if progress is not None:
                    progress(done / len(self.steps))
        finally:
            self.evaluator.write(self.evaluator.weights)
            if checkpoint is not None and done > written:
                _write(checkpoint, recipe, found, done)
        return found

    def unperturbed(self) -> dict[str, float]:
        """Name -> loss of the weights themselves, by the way that the points go."""
        if self.manner.at_once == 1:
            return {name: self.evaluator.centre[name] for name in self.names}
        own = self.evaluator.weights.expand(2, -1).contiguous()
        return {name: float(self.evaluator.many(name, own)[0]) for name in self.names}

    def _chunk(self) -> Callable[[int, int], Float]:
        evaluator = self.evaluator
        listed = [evaluator.tensor(d.vector) for d in self.directions]
        directions, steps = torch.stack(listed), evaluator.tensor(self.steps)

        def work(start: int, end: int, first: FirstLayers | None) -> Float:
            at = steps[start:end]
            vectors = torch.addmm(evaluator.weights, at, directions)
            return np.stack([evaluator.many(name, vectors, first, at) for name in self.names])

        first = self._trusted(evaluator.shared(self.names, listed, self.memory), work)
        return lambda start, end: work(start, end, first)

    def _one_by_one(self) -> Callable[[int, int], Float]:
        evaluator = self.evaluator
        listed = [evaluator.tensor(d.vector) for d in self.directions]
        *outer, inner = listed
        base, row = evaluator.weights, None

        def work(start: int, _: int, first: FirstLayers | None) -> Float:
            nonlocal base, row
            *far, step = steps = self.steps[start].tolist()
            if far != row:  # the sum over all but the last direction serves a whole row of a plane
                base, row = evaluator.weights, far
                for direction, length in zip(outer, far, strict=True):
                    base = torch.add(base, direction, alpha=length)
            evaluator.write(base, inner, step)
            return np.array([[evaluator.one(name, first, steps)] for name in self.names])

        first = self._trusted(evaluator.shared(self.names, listed, self.memory), work)
        return lambda start, end: work(start, end, first)

    def _trusted(
        self, first: FirstLayers | None, work: Callable[[int, int, FirstLayers | None], Float]
    ) -> FirstLayers | None:
        """What first layers share, if the loss at the first point is the same with it and without."""
        if first is None:
            return None
        shared = work(0, 1, first)
        if not first.used:
            return None
        plain = work(0, 1, None)
        same = np.allclose(plain, shared, rtol=SAME[self.evaluator.dtype], atol=0, equal_nan=True)
        return first if same else None


def recipe_of(scan: Scan, more: dict[str, str]) -> str:
    """Digest of all that determines the losses of a scan.

    The exact losses of the unperturbed network stand for the loss function, which has no digest of its own.
    """
    return digest(
        {
            "weights": scan.evaluator.digest(),
            "directions": [direction.digest() for direction in scan.directions],
            "steps": [[float(step).hex() for step in row] for row in scan.steps],
            "names": list(scan.names),
            "centre": [scan.evaluator.centre[name].hex() for name in scan.names],
            "dtype": str(scan.evaluator.dtype),
            "at once": scan.manner.at_once,
            **more,
        }
    )


def _write(path: Path, recipe: str, losses: Float, done: int) -> None:
    text: NDArray[np.str_] = np.array(recipe)
    save_arrays(path, losses=losses, done=done, recipe=text)


def _read(path: Path, recipe: str, losses: Float) -> int:
    """Fill in what a checkpoint has; how many points those are."""
    if not path.exists():
        return 0
    arrays = load_arrays(path, "checkpoint of a surface")
    if set(arrays) != {"losses", "done", "recipe"}:
        raise DataError(f"{path} is no checkpoint of a surface: it holds {', '.join(sorted(arrays))}")
    if str(arrays["recipe"]) != recipe or arrays["losses"].shape != losses.shape:
        raise DataError(
            f"{path} is the checkpoint of other weights, data or settings: take another path or delete it"
        )
    losses[:] = arrays["losses"]
    return int(arrays["done"])


def walls(name: str, losses: Float, axes: Sequence[Float]) -> list[str]:
    """A note on cells whose loss is not finite, if there are any."""
    wrong = np.argwhere(~np.isfinite(losses))
    if not len(wrong):
        return []
    where = ", ".join(f"{steps[place]:g}" for steps, place in zip(axes, wrong[0], strict=True))
    return [
        f"the loss on {name} is not finite in {len(wrong)} of {losses.size} cells, first at step {where}; "
        "they count as above any level"
    ]
