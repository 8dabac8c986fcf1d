"""The face of the package: one class that holds a network with its data and is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from vitrine.errors import InputError, did_you_mean
from vitrine.explain.landscape import curvature as curved
from vitrine.explain.landscape import scan as scans
from vitrine.explain.landscape.batches import batch_digest, gathered, undisturbed
from vitrine.explain.landscape.directions import Direction, Kind, Plane, Vectors, drawn, made_orthogonal
from vitrine.explain.landscape.evaluator import BatchNorm, Evaluator, copied, flat, trainable
from vitrine.explain.landscape.results import Curve, Curves, Facts, Surface
from vitrine.explain.landscape.rule import Reduction, Rule
from vitrine.samples import Float
from vitrine.tasks import Progress

STEPS = 64
"""of Lanczos, at most, by default"""
TOLERANCE = 1e-4
"""residual of an eigenvalue, as a share of the largest, at which Lanczos ends"""


class Probe:
    """A network, its data and its loss, as they are now: what is done to them later is not seen.

    The network is copied and never changed, and loaders are read once. Evaluation is in ``eval`` mode:
    dropout is off. Weights that require no gradient and buffers are left alone; a tensor with two names is
    one weight.

    Parameters
    ----------
    network: any module that runs on the batches.
    data: name -> ``DataLoader`` or list of batches, or one of them. Batches are kept in memory. The first
        data set is the reference where one is needed.
    loss: ``loss(output, target)``, a mean, a sum or unreduced; what is told are means over all targets of a
        data set.
    forward: ``forward(network, batch)`` -> output, and target: ``target(batch)``, for batches that are not
        tuples ``(inputs..., target)``: dicts, graphs.
    batch_loss: ``batch_loss(network, batch)`` in place of loss, forward and target.
    count: ``count(batch)``, number of targets, where it is not that of the target's numbers.
    reduction: ``mean``, ``sum`` or ``none``; by default what the loss says of itself, else ``mean`` for one
        number and ``none`` for several.
    batch_norm: ``frozen`` uses the running statistics, ``batch`` those of each batch.
    dtype: of all that is computed. device: by default the network's.
    memory: bytes for points evaluated at once, and for the vectors of Lanczos.
    unit: of the loss, kept with the results.

    Raises
    ------
    InputError: the network has nothing to perturb or cannot be copied; settings that do not fit.
    DataError: a data set is empty; a batch does not fit the network; the loss is not a finite number.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Any,
        loss: Callable[..., Any] | None = None,
        *,
        forward: Callable[[Any, Any], Any] | None = None,
        target: Callable[[Any], Any] | None = None,
        batch_loss: Callable[[Any, Any], Any] | None = None,
        count: Callable[[Any], float] | None = None,
        reduction: Reduction | None = None,
        batch_norm: BatchNorm = "frozen",
        dtype: torch.dtype = torch.float64,
        device: str | torch.device | None = None,
        memory: float = 1e9,
        unit: str = "",
    ) -> None:
        if not isinstance(network, nn.Module):
            raise InputError(f"network is a torch module, not {type(network).__name__}")
        self._rule = Rule(loss, forward, target, batch_loss, count, reduction).checked()
        with undisturbed():
            self._network = copied(network, batch_norm)
        self._batch_norm, self._dtype, self._memory, self._unit = batch_norm, dtype, memory, unit
        first = next(iter(trainable(self._network).values()))
        self._device = first.device if device is None else torch.device(device)
        self._data = gathered(data)
        self._weights = flat(self._network)
        self._shapes = {name: tuple(p.shape) for name, p in trainable(self._network).items()}
        self._made: dict[torch.dtype, Evaluator] = {}
        self._evaluator()

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return tuple(self._data)

    @property
    def weights(self) -> Float:
        """(n,) the trainable weights, in the order of ``named_parameters``."""
        return self._weights.copy()

    def loss(self, data: str | None = None) -> float:
        """Mean loss over all targets of a data set (the first by default) at the network's own weights."""
        return self._evaluator().centre[self._names(data or self.data[0])[0]]

    def direction(
        self,
        kind: Kind | Literal["hessian"],
        seed: int = 0,
        *,
        vectors: Vectors | None = None,
        data: str | None = None,
    ) -> Direction:
        """A direction through the network: the first of the plane of the same kind and seed.

        Parameters
        ----------
        kind: ``filter``, ``layer``, ``gaussian`` as :func:`vitrine.explain.landscape.directions.drawn` says,
            or ``hessian``: the eigenvector of the largest eigenvalue on a data set, as long as the weights.
        vectors: what becomes of parameters with fewer than two axes: ``zero`` or ``scaled``.
        """
        if kind == "hessian":
            return self._eigenvectors(1, data, seed)[0]
        return drawn(self._weights, self._shapes, kind, seed, vectors=vectors)

    def plane(
        self,
        kind: Kind | Literal["hessian"] | tuple[Direction, Direction],
        seed: int = 0,
        *,
        orthogonal: bool | None = None,
        vectors: Vectors | None = None,
        data: str | None = None,
    ) -> Plane:
        """Two directions: random, the eigenvectors of the two largest eigenvalues, or two that are given.

        Parameters
        ----------
        orthogonal: whether the second is made orthogonal to the first, with its norms kept: within each
            filter (not those of one weight), each parameter or the whole. By default for ``gaussian`` and
            ``layer``; filter-normalised ones are left as drawn, as is usual, and nearly orthogonal in many
            dimensions. ``plane.cosine`` tells.
        data: set whose Hessian it is; by default the first.

        Raises
        ------
        InputError: unknown kind, or directions that span no plane.
        """
        if not isinstance(kind, str):
            first, second = kind
            return Plane(first, made_orthogonal(first, second) if orthogonal else second)
        if kind == "hessian":
            return Plane(*self._eigenvectors(2, data, seed))
        first = drawn(self._weights, self._shapes, kind, seed, vectors=vectors)
        apart = kind != "filter" if orthogonal is None else orthogonal
        against = first.vector if apart else None
        return Plane(
            first,
            drawn(self._weights, self._shapes, kind, seed, number=1, vectors=vectors, against=against),
        )

    def line_to(self, other: nn.Module) -> Direction:
        """The direction whose step 1 gives another network's weights; buffers stay those of this one.

        Raises
        ------
        InputError: the other has not the same parameters, or the same weights.
        """
        theirs = dict(other.named_parameters(remove_duplicate=False))
        parts = []
        for name, shape in self._shapes.items():
            found = theirs.get(name)
            if found is None or tuple(found.shape) != shape:
                words = "is missing" if found is None else f"is {tuple(found.shape)}"
                raise InputError(f"the other network is of another shape: {name} {words}, not {shape}")
            parts.append(found.detach().double().cpu().reshape(-1).numpy())
        vector = np.concatenate(parts) - self._weights
        if not np.any(vector):
            raise InputError("the other network has the same weights: there is no line to it")
        return Direction(vector, "line")

    def surface(
        self,
        plane: Plane,
        reach: float = 1.0,
        points: int = 25,
        *,
        data: str | Sequence[str] | None = None,
        dtype: torch.dtype | None = None,
        batched: bool | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Surface:
        """Losses on points x points weights of a plane; all data sets on the same.

        Parameters
        ----------
        reach: steps along each direction to both sides. points: odd; the middle one is the network itself.
        data: names; by default all. dtype: another precision than the probe's.
        batched: many points at once (True), one by one (False), or what is faster (None).
        checkpoint: an .npz file that keeps finished points; the same call goes on from it to the same bits.
        progress: is called with the finished fraction.

        Raises
        ------
        InputError: points even, reach not positive, no such data set.
        DataError: the checkpoint is of other weights, data or settings.
        """
        steps = scans.axis(reach, points)
        grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        how = (data, dtype, batched, checkpoint, progress)
        axes = (steps, steps)
        losses, centre, facts = self._scanned((plane.first, plane.second), grid, axes, *how)
        return Surface(axes, losses, centre, facts)

    def curve(
        self,
        direction: Direction,
        reach: float = 1.0,
        points: int = 25,
        *,
        data: str | Sequence[str] | None = None,
        dtype: torch.dtype | None = None,
        batched: bool | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Curve:
        """Losses on a line through the network; see :meth:`surface`."""
        steps = scans.axis(reach, points)
        how = (data, dtype, batched, checkpoint, progress)
        losses, centre, facts = self._scanned((direction,), steps[:, None], (steps,), *how)
        return Curve((steps,), losses, centre, facts)

    def curves(
        self,
        kind: Kind,
        seeds: Iterable[int],
        reach: float = 1.0,
        points: int = 25,
        *,
        vectors: Vectors | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> Curves:
        """Curves along one random direction for each seed.

        Parameters
        ----------
        settings: data, dtype and batched, as in :meth:`surface`.

        Raises
        ------
        InputError: there are no seeds.
        """
        every = list(seeds)
        if not every:
            raise InputError("curves need at least one seed")
        found = []
        for number, seed in enumerate(every):
            found.append(self.curve(self.direction(kind, seed, vectors=vectors), reach, points, **settings))
            if progress is not None:
                progress((number + 1) / len(every))
        return Curves(tuple(found))

    def curvature(
        self,
        data: str | None = None,
        *,
        top: int = 2,
        bottom: int = 1,
        seeds: Iterable[int] | Literal["basis"] = range(16),
        steps: int = STEPS,
        tolerance: float = TOLERANCE,
        progress: Progress | None = None,
    ) -> curved.Curvature:
        """Extreme eigenvalues and trace of the Hessian of the mean loss on a data set.

        Parameters
        ----------
        seeds: one random probe of the trace for each; ``basis``: exact, with as many products as weights. The
            first also draws Lanczos' first vector.
        steps: of Lanczos, at most; fewer where memory is short. tolerance: of residuals, as a share of the
            largest eigenvalue.

        Raises
        ------
        InputError: more eigenvalues than weights, or no seeds. DataError: there is no second derivative.
        """
        name = self._names(data or self.data[0])[0]
        probes = seeds if isinstance(seeds, str) else list(seeds)
        first = int(probes[0]) if probes and not isinstance(probes, str) else 0
        count = len(self._weights) if isinstance(probes, str) else len(probes)
        done, total = 0, count + min(steps, len(self._weights))

        def tick(more: int) -> None:
            nonlocal done
            done += more
            if progress is not None:
                progress(min(done / total, 1.0))

        with undisturbed():
            value, error, used = curved.trace(self._evaluator(), name, probes, tick)
            ends = self._extremes(name, top, bottom, steps, tolerance, first, tick)
        if progress is not None:
            progress(1.0)
        return curved.Curvature(
            name, len(self._weights), ends.values[:top], ends.values[top:], ends.residuals[:top],
            ends.residuals[top:], value, error, used, ends.steps,
            bool((ends.residuals <= max(tolerance, 1e-12) * ends.largest).all()),
        )  # fmt: skip

    def _extremes(
        self, name: str, top: int, bottom: int, steps: int, tolerance: float, seed: int, tick: curved.Tick
    ) -> curved.Extremes:
        evaluator, n = self._evaluator(), len(self._weights)
        if top < 0 or bottom < 0 or not 0 < top + bottom <= n:
            raise InputError(f"a Hessian of {n} weights has not {top} + {bottom} eigenvalues to tell")
        room = int(self._memory // (n * evaluator.weights.element_size()))
        return curved.lanczos(
            lambda vectors: curved.products(evaluator, name, vectors),
            evaluator.weights,
            top,
            bottom,
            steps=max(min(steps, room), top + bottom),
            tolerance=tolerance,
            seed=seed,
            tick=tick,
        )

    def _eigenvectors(self, count: int, data: str | None, seed: int) -> list[Direction]:
        """Of the largest eigenvalues, as long as the weights; the largest entry of each is positive."""
        name = self._names(data or self.data[0])[0]
        with undisturbed():
            ends = self._extremes(name, count, 0, STEPS, TOLERANCE, seed, lambda _: None)
        found = []
        for row in ends.vectors.double().cpu().numpy():
            sign = np.sign(row[np.abs(row).argmax()])
            found.append(Direction(row * (sign * np.linalg.norm(self._weights)), "hessian", seed))
        return found

    def _evaluator(self, dtype: torch.dtype | None = None) -> Evaluator:
        """The copy of the network in a precision, made when it is first asked for."""
        wanted = self._dtype if dtype is None else dtype
        if wanted not in (torch.float64, torch.float32):
            raise InputError(f"dtype is torch.float64 or torch.float32, not {wanted}")
        if wanted not in self._made:
            with undisturbed():
                self._made[wanted] = Evaluator(self._network, self._data, self._rule, wanted, self._device)
        return self._made[wanted]

    def _names(self, data: str | Sequence[str] | None) -> tuple[str, ...]:
        names = self.data if data is None else (data,) if isinstance(data, str) else tuple(data)
        for name in names:
            if name not in self._data:
                raise InputError(f"there is no data set {name!r}{did_you_mean(name, self._data)}")
        if not names:
            raise InputError("name at least one data set")
        return names

    def _scanned(
        self,
        directions: tuple[Direction, ...],
        steps: Float,
        axes: tuple[Float, ...],
        data: str | Sequence[str] | None,
        dtype: torch.dtype | None,
        batched: bool | None,
        checkpoint: str | Path | None,
        progress: Progress | None,
    ) -> tuple[dict[str, Float], dict[str, float], Facts]:
        names, evaluator = self._names(data), self._evaluator(dtype)
        for direction in directions:
            if direction.vector.shape != self._weights.shape or not np.isfinite(direction.vector).all():
                raise InputError("the direction is not one of this network, or not finite")
        with undisturbed():
            way = scans.manner(evaluator, names, self._memory, batched)
            scan = scans.Scan(evaluator, names, directions, steps, way, self._memory)
            path = None if checkpoint is None else Path(checkpoint)
            recipe = "" if path is None else scans.recipe_of(
                scan, {"batch_norm": self._batch_norm, **{n: batch_digest(self._data[n]) for n in names}}
            )  # fmt: skip
            found = scan.losses(progress, path, recipe)
            centre = scan.unperturbed()
        shape = tuple(len(a) for a in axes)
        losses = {name: row.reshape(shape) for name, row in zip(names, found, strict=True)}
        told = (f"one point at a time: {way.reason}",) if way.at_once == 1 else ()
        facts = Facts(
            kind=" and ".join(dict.fromkeys(direction.kind for direction in directions)),
            seed=directions[0].seed,
            norms=tuple(direction.norm for direction in directions),
            weight_norm=float(np.linalg.norm(self._weights)),
            cosine=Plane(*directions).cosine if len(directions) == 2 else None,
            dtype=str(evaluator.dtype).removeprefix("torch."),
            batch_norm=self._batch_norm,
            batched=way.at_once > 1,
            notes=(*told, *(note for name in names for note in scans.walls(name, losses[name], axes))),
            unit=self._unit,
        )
        return losses, centre, facts
