"""What scans found: losses on a line or a plane, with what they were made of, and their numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from vitrine.arrays import load_arrays, save_arrays
from vitrine.errors import DataError, InputError, did_you_mean
from vitrine.explain.landscape import geometry
from vitrine.explain.landscape.merge_tree import MergeTree, merge_tree
from vitrine.samples import Float

NOISE = {"float64": 1e-12, "float32": 1e-6}
"""persistence, as a share of the largest loss, below which a minimum is rounding"""
Numbers = dict[str, float]


@dataclass(frozen=True)
class Facts:
    """What a scan was made of.

    Attributes
    ----------
    kind: of the directions. seed: that they were drawn with. norms: length of a step along each direction.
    weight_norm: length of the vector of trainable weights. cosine: between two directions.
    dtype: precision. batch_norm: its policy. batched: whether many points went through the network at once.
    notes: what is worth knowing: why not at once, cells that are not finite. unit: of the loss, as given.
    """

    kind: str
    seed: int | None
    norms: tuple[float, ...]
    weight_norm: float
    cosine: float | None
    dtype: str
    batch_norm: str
    batched: bool
    notes: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Scanned:
    """Losses of all data sets along the same directions.

    Attributes
    ----------
    axes: steps along each direction; the network itself is at 0. losses: data set -> losses, as many axes.
    centre: data set -> loss of the network, without perturbation, evaluated the same way.
    facts: what it was made of.
    """

    axes: tuple[Float, ...]
    losses: dict[str, Float]
    centre: dict[str, float]
    facts: Facts

    @property
    def batched(self) -> bool:
        """Whether many weight vectors went through the network at once."""
        return self.facts.batched

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing: why points went one by one, where losses are not finite."""
        return self.facts.notes

    def of(self, data: str) -> Float:
        """Losses on one data set.

        Raises
        ------
        InputError: there is none of this name.
        """
        if data not in self.losses:
            raise InputError(f"there are no losses on {data!r}{did_you_mean(data, self.losses)}")
        return self.losses[data]

    def radii(self, data: str, rise: float) -> geometry.Radii:
        """Robust radius along every ray, up to the loss of the network and a rise in the loss's unit."""
        return geometry.robust_radii(self.of(data), self.axes, self.centre[data] + rise)

    def minimum(self, data: str) -> Float:
        """(axes,) where the lowest loss is, in steps from the network."""
        return geometry.minimum(self.of(data), self.axes)

    def offset(self, data: str, other: str) -> Float:
        """(axes,) from the minimum on one data set to that on another, in steps."""
        return self.minimum(other) - self.minimum(data)

    def tree(self, data: str) -> MergeTree:
        """The merge tree of the losses; see :func:`vitrine.explain.landscape.merge_tree.merge_tree`."""
        return merge_tree(self.of(data))

    def numbers(
        self,
        data: str,
        *,
        rise: float | None = None,
        share: float = 0.1,
        radius: float | None = None,
        jump: float = 10.0,
    ) -> Numbers:
        """Numbers of the losses on one data set, by name; the documentation has a table of them.

        Parameters
        ----------
        rise: absolute rise, in the unit of the loss, for basin and robust radius. By default ``share`` of the
            network's loss on the first data set, so that all data sets are measured by one rise.
        share: relative rise for the other robust radius. radius: for sharpness, in steps; by default as far
            as all axes reach. jump: times the median difference of neighbours, that is a discontinuity.

        Raises
        ------
        InputError: no such data set, or a setting that is negative.
        DataError: the loss at the centre is not finite.
        """
        values, first = self.of(data), next(iter(self.losses))
        reach = min(min(-steps[0], steps[-1]) for steps in self.axes)
        wanted = {
            "rise": share * abs(self.centre[first]) if rise is None else rise,
            "share": share,
            "radius": reach if radius is None else radius,
            "jump": jump,
        }
        for name, value in wanted.items():
            if not value >= 0:
                raise InputError(f"{name} is 0 or more, not {value!r}")
        found: Numbers = {"loss": self.centre[data], **{name: float(value) for name, value in wanted.items()}}
        found["sharpness"], found["relative_sharpness"] = geometry.sharpness(
            values, self.axes, wanted["radius"]
        )
        for name, size in (("share", share * abs(self.centre[data])), ("rise", wanted["rise"])):
            radii = self.radii(data, size)
            found[f"robust_radius_{name}"] = float(radii.radius.min())
            found[f"mean_robust_radius_{name}"] = float(radii.radius.mean())
            found[f"rays_beyond_{name}"] = float((~radii.ended).sum())
        found["basin"], edge = geometry.basin(values, self.axes, self.centre[data] + wanted["rise"])
        found["basin_at_edge"] = float(edge)
        found["minimum_offset"] = float(np.linalg.norm(self.minimum(data)))
        found["minimum_loss"] = float(np.nanmin(np.where(np.isfinite(values), values, np.nan)))
        found["roughness"], found["relative_roughness"] = geometry.roughness(values, self.axes)
        found["jumps"] = float(geometry.discontinuities(values, self.axes, jump))
        found |= self._of_tree(data)
        found["not_finite"] = float((~np.isfinite(values)).sum())
        return found

    def _of_tree(self, data: str) -> Numbers:
        values = self.losses[data]
        noise = NOISE[self.facts.dtype] * float(np.abs(values[np.isfinite(values)]).max())
        lasting = self.tree(data).persistence
        lasting = lasting[lasting > noise]
        ended = lasting[np.isfinite(lasting)]
        return {
            "minima": float(len(lasting)),
            "largest_persistence": float(ended.max()) if len(ended) else 0.0,
            "total_persistence": float(ended.sum()),
        }

    def to_plain(self) -> dict[str, Any]:
        """JSON-able: numbers that are not finite are None."""
        return {
            "axes": [steps.tolist() for steps in self.axes],
            "losses": {name: plain(values) for name, values in self.losses.items()},
            "centre": {name: plain(value) for name, value in self.centre.items()},
            **facts_to_plain(self.facts),
        }

    def save(self, path: str | Path) -> None:
        """Write an .npz file without pickles, complete or not at all."""
        head = {"class": type(self).__name__, "names": list(self.losses), "facts": facts_to_plain(self.facts)}
        arrays = {f"axis{number}": steps for number, steps in enumerate(self.axes)}
        arrays |= {f"losses{number}": values for number, values in enumerate(self.losses.values())}
        centre = np.array([self.centre[name] for name in self.losses])
        save_arrays(Path(path), head=np.array(json.dumps(head)), centre=centre, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError: the file is missing, damaged or of something else.
        """
        arrays = load_arrays(Path(path), cls.__name__.lower())
        try:
            head = json.loads(str(arrays["head"]))
            if head["class"] != cls.__name__:
                raise ValueError(f"it is a {head['class'].lower()}")
            names = head["names"]
            axes = tuple(arrays[f"axis{number}"] for number in range(2) if f"axis{number}" in arrays)
            losses = {name: arrays[f"losses{number}"] for number, name in enumerate(names)}
            centre = dict(zip(names, arrays["centre"].tolist(), strict=True))
            if any(values.shape != tuple(map(len, axes)) for values in losses.values()):
                raise ValueError("its losses do not fit its axes")
            return cls(axes, losses, centre, facts_from_plain(head["facts"]))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{path} holds no {cls.__name__.lower()} of losses: {error}") from error


class Surface(Scanned):
    """Losses on a plane: ``losses[name][i, j]`` at ``axes[0][i]`` steps along the first direction and
    ``axes[1][j]`` along the second."""


class Curve(Scanned):
    """Losses on a line: ``losses[name][i]`` at ``axes[0][i]`` steps."""

    def barrier(self, data: str) -> float:
        """How far the loss from step 0 to the nearest to 1 rises above the straight line between them.

        Of a line between two networks (:meth:`Probe.line_to`); Frankle et al. 2020, arXiv:1912.05671.
        """
        steps, values = self.axes[0], self.of(data)
        start, end = int(np.abs(steps).argmin()), int(np.abs(steps - 1.0).argmin())
        part, at = np.where(np.isfinite(values), values, np.inf)[start : end + 1], steps[start : end + 1]
        if len(part) < 2:
            return 0.0
        return float(np.max(part - np.interp(at, at[[0, -1]], part[[0, -1]])))


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves along directions that differ by their seed.

    Attributes
    ----------
    curves: one for each seed.
    """

    curves: tuple[Curve, ...] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.curves)

    def of(self, data: str) -> Float:
        """(seeds, points) losses on one data set."""
        return np.stack([curve.of(data) for curve in self.curves])

    def numbers(self, data: str, **settings: Any) -> dict[str, dict[str, Any]]:
        """Name -> ``each`` (of every seed), ``mean``, ``spread``, ``lowest``, ``highest``.

        The spread is the standard deviation over seeds.

        Parameters
        ----------
        settings: of :meth:`Curve.numbers`.
        """
        found = [curve.numbers(data, **settings) for curve in self.curves]
        return {name: _spread([numbers[name] for numbers in found]) for name in found[0]}

    def to_plain(self) -> list[dict[str, Any]]:
        """JSON-able; see :meth:`Curve.to_plain`."""
        return [curve.to_plain() for curve in self.curves]


def _spread(values: Sequence[float]) -> dict[str, Any]:
    array = np.array(values)
    finite = bool(np.isfinite(array).all())
    spread = float(array.std(ddof=1)) if finite and len(array) > 1 else float("nan")
    return {
        "each": list(values),
        "mean": float(array.mean()),
        "spread": spread,
        "lowest": float(array.min()),
        "highest": float(array.max()),
    }


def plain(values: Any) -> Any:
    """Numbers and arrays as JSON has them; what is not finite is None."""
    if isinstance(values, np.ndarray):
        return [plain(part) for part in values]
    return float(values) if np.isfinite(values) else None


def facts_to_plain(facts: Facts) -> dict[str, Any]:
    """JSON-able."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(facts).items()}


def facts_from_plain(told: Mapping[str, Any]) -> Facts:
    """The reverse; raises TypeError where names are missing or unknown."""
    settings: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in told.items()}
    return Facts(**settings)
