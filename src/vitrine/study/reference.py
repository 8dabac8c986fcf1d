"""What a model of strain maps keeps of its training: features, curves and how far a map usually lies away.

With it a prediction names the simulated maps that are most alike, the stress-strain curve that they foretell,
and says when a map is unlike anything the model has seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.arrays import load_arrays, save_arrays
from vitrine.errors import DataError
from vitrine.learn.protocol import SCALER, WEIGHTS, ModelPart
from vitrine.samples import Examples, Float, Samples
from vitrine.study.fitting import load_fitted
from vitrine.tasks import Task

if TYPE_CHECKING:
    from vitrine.study.bundle import ModelFolder

ARRAYS, FACTS = "reference.safetensors", "reference.json"
STORED = "features.npz"
INFO = ("prior", "reload", "width", "slip_systems")
"""attributes of the samples that are kept with each map"""


@dataclass(frozen=True)
class Reference:
    """The maps that a model was made with.

    Attributes
    ----------
    ids: (n,) names. features: (n, k) float32, mean over the crops of the network's last layer.
    info: name -> (n,) float64 of :data:`INFO`. pitch: (n,) nm. shapes: (n, 2) pixels.
    mean_strain: (n,) mean strain along the load.
    curve_of: (n,) row of ``curves`` of each map. curves: (m, points) stress [MPa]. strain: (points,).
    distances: rising distances of maps of held-out crystals to the nearest map of another crystal.
    companions: facts about further networks of the folder: ``track``, ``unit``, ``residuals`` (rising
        absolute errors on crystals that it was not trained on).
    """

    ids: tuple[str, ...]
    features: NDArray[np.float32]
    info: Mapping[str, Float]
    pitch: Float
    shapes: NDArray[np.int64]
    mean_strain: Float
    curve_of: NDArray[np.int64]
    curves: NDArray[np.float32]
    strain: Float
    distances: Float
    companions: Sequence[Mapping[str, Any]]

    def write(self, folder: Path) -> None:
        """``reference.safetensors`` and ``reference.json``."""
        from safetensors.numpy import save_file

        arrays = {
            "features": self.features,
            "curves": self.curves.astype(np.float32),
            "curve_of": self.curve_of,
            "strain": self.strain,
            "distances": self.distances,
            "pitch": self.pitch,
            "shapes": self.shapes,
            "mean_strain": self.mean_strain,
            **{f"info.{name}": np.asarray(values, np.float64) for name, values in self.info.items()},
        }
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
        facts = {"ids": list(self.ids), "companions": [dict(each) for each in self.companions]}
        (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Reference | None:
        """Of a model folder; None if it has none.

        Raises
        ------
        DataError: the files do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not (folder / ARRAYS).is_file():
            return None
        try:
            arrays = load_file(folder / ARRAYS)
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            info = {name[5:]: value for name, value in arrays.items() if name.startswith("info.")}
            rest = {name: value for name, value in arrays.items() if not name.startswith("info.")}
            ids = tuple(str(name) for name in facts["ids"])
            found = cls(ids=ids, info=info, companions=facts["companions"], **rest)
            per_map: tuple[Any, ...] = (
                found.features,
                found.pitch,
                found.shapes,
                found.mean_strain,
                found.curve_of,
            )
            if any(len(values) != len(ids) for values in (*per_map, *info.values())):
                raise ValueError("its arrays have other lengths than there are names")
            if len(ids) and not 0 <= found.curve_of.min() <= found.curve_of.max() < len(found.curves):
                raise ValueError("its maps point to curves that are not there")
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DataError(f"{folder} holds no readable reference: {error}") from error
        return found


def features_task(
    label: str, model: ModelPart, examples: Task, fitted: Task, seed: int, validation: NDArray[np.int64]
) -> Task:
    """The task that applies a fitted network to all maps of its track.

    validation: positions of the samples that were not trained on.
    """
    return Task(
        label=label,
        kind="features",
        recipe={"model": model.recipe(), "seed": seed, "validation": validation.tolist(), "version": 1},
        function=write_features,
        arguments={"model": model, "seed": seed, "validation": validation},
        needs=(examples, fitted),
    )


def write_features(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    model: ModelPart,
    seed: int,
    validation: NDArray[np.int64],
) -> None:
    """Write ``features.npz``: mean features of all maps, and distances of those that were not trained on."""
    examples = Examples.load(inputs[0])
    fitted: Any = load_fitted(inputs[1], model, examples.target_kind, seed)
    parts = []
    for start in range(0, len(examples), 64):
        some = np.arange(start, min(start + 64, len(examples)))
        parts.append(fitted.embed(examples.select(some)).mean(axis=1))
        progress(float(some[-1] + 1) / len(examples))
    features = np.concatenate(parts).astype(np.float32)
    groups = np.asarray(examples.groups)
    distances = []
    for number in validation:
        others = features[groups != groups[number]]
        distances.append(float(np.sqrt(((others - features[number]) ** 2).sum(axis=1)).min(initial=np.inf)))
    save_arrays(folder / STORED, features=features, distances=np.sort(distances))


def reference_of(stored: Path, samples: Samples, companions: Sequence[Mapping[str, Any]]) -> Reference:
    """The reference of a run: what :func:`write_features` left, with what the samples know."""
    found = load_arrays(stored / STORED, "features")
    rows: dict[tuple[str, float], int] = {}
    curves: list[Float] = []
    curve_of, means, shapes = [], [], []
    strain = np.zeros(0)
    for item in samples.items:
        key = (str(item.info["group"]), float(item.info["prior"]))
        if key not in rows:
            curve = item.curve
            if curve is not None:
                rows[key] = len(curves)
                strain = curve[:, 0]
                curves.append(curve[:, 1])
        axial = item.axial
        means.append(float(np.nanmean(axial)))
        shapes.append(axial.shape)
        curve_of.append(rows.get(key, 0))
    return Reference(
        ids=samples.ids,
        features=found["features"],
        info={name: samples.attributes[name] for name in INFO if name in samples.attributes},
        pitch=np.array([item.pitch for item in samples.items]),
        shapes=np.array(shapes, np.int64),
        mean_strain=np.array(means),
        curve_of=np.array(curve_of, np.int64),
        curves=np.array(curves, np.float32),
        strain=strain,
        distances=found["distances"],
        companions=companions,
    )


def copy_companion(fitted: Path, folder: Path, track: str) -> None:
    """Lay the network of another track beside the model's own."""
    for name in (WEIGHTS, SCALER):
        (folder / f"{track}-{name}").write_bytes((fitted / name).read_bytes())


def load_companion(model: ModelFolder, track: str) -> Any:
    """The network of another track, which predicts a value.

    Raises
    ------
    DataError: its files are missing or broken.
    """
    fresh: Any = model.model.build("value", model.seed)
    return fresh.load(model.folder, f"{track}-")
