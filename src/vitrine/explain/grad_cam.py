"""Grad-CAM: which places of an image raise the output of a convolutional network.

The maps of the last convolution, weighted by the mean slope of the output (the logit of class 1)
with respect to each, and the positive part of their sum (Selvaraju et al. 2017, arXiv:1610.02391).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.explain.found import Explained, ExplanationPart, Picture
from vitrine.explain.local_order import local_order, spearman
from vitrine.learn.protocol import HasFeatureMaps, Model
from vitrine.physics.plane import Plane, kinds_of, plane_of
from vitrine.samples import Examples, Float, Samples


def class_activation(maps: NDArray[np.float32], slopes: NDArray[np.float32]) -> Float:
    """(n, h, w): positive part of the maps' sum, weighted by their mean slopes.

    Parameters
    ----------
    maps, slopes: (n, channels, h, w), the slopes those of the output with respect to the maps.
    """
    weights = slopes.astype(np.float64).mean(axis=(2, 3), keepdims=True)
    found: Float = np.maximum((weights * maps).sum(axis=1), 0.0)
    return found


def at_particles(activation: Float, plane: Plane) -> Float:
    """(n,) the activation at each particle, linear between the middles of pixels, periodic if the box is.

    activation: (h, w) over the whole box, row 0 at y = 0.
    """
    from scipy.ndimage import map_coordinates

    shape = np.array(activation.shape)
    place = plane.positions[:, ::-1] / plane.lengths[::-1] * shape - 0.5
    mode = "grid-wrap" if plane.periodic else "nearest"
    found: Float = map_coordinates(activation, place.T, order=1, mode=mode)
    return found


class GradCam(ExplanationPart):
    """Class activation at every particle, drawn, and beside local order.

    Of each sample the activation of its own class: for class 0 that of the output with its sign changed.
    """

    kind: Literal["grad-cam"] = "grad-cam"
    species: tuple[str, ...] = Field(("Ni", "P"), min_length=2, description="symbols of A and B particles")

    takes: ClassVar[str] = "images"
    summary: ClassVar[str] = "Grad-CAM of convolutional networks, at particles, beside local order"

    def citations(self) -> tuple[str, ...]:
        """Grad-CAM."""
        return ("arXiv:1610.02391",)

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Class activation of every sample.

        Raises
        ------
        StudyError: the model has no maps of features.
        """
        if not isinstance(model, HasFeatureMaps):
            raise StudyError(f"explanations: the model {self.model} has no maps to look at")
        numbers: dict[tuple[str, str], list[float]] = {}
        drawn: dict[str, dict[str, object]] = {}
        for i, atoms in enumerate(samples.items):
            maps, slopes = model.feature_maps(examples.select([i]))
            own = 1.0 if examples.target is None or examples.target[examples.starts[i]] > 0.5 else -1.0
            activation = class_activation(maps, np.float32(own) * slopes)[0]
            plane = plane_of(atoms, samples.ids[i])
            kinds = kinds_of(atoms, self.species, samples.ids[i])
            values = at_particles(activation, plane)
            for what, order in local_order(plane, kinds, atoms.arrays.get("energy")).items():
                key = ("spearman", f"class activation with {what}")
                numbers.setdefault(key, []).append(spearman(values, order))
            phase = str(atoms.info.get("phase", "sample"))
            if phase not in drawn:
                drawn[phase] = _panel(f"{phase}: {samples.ids[i]}", plane, kinds, values)
        picture = Picture(
            name="grad-cam",
            title="Where the convolutional network looks",
            caption="Grad-CAM at the particles of the first sample of each class that the model was not "
            "trained on: how much the place speaks for the sample's own class. Dark rims: B particles.",
            panels=list(drawn.values()),
            radius=0.3,
        )
        return Explained({key: np.array(found) for key, found in numbers.items()}, pictures=[picture])


def _panel(label: str, plane: Plane, kinds: NDArray[np.int64], values: Float) -> dict[str, object]:
    high = float(values.max())
    return {
        "label": label,
        "x": plane.positions[:, 0].tolist(),
        "y": plane.positions[:, 1].tolist(),
        "values": values.tolist(),
        "marked": (kinds > 0).astype(float).tolist(),
        "low": 0.0,
        "high": high if high > 0 else 1.0,
        "unit": "class activation",
        "radii": np.where(kinds == 0, 0.46, 0.38).tolist(),
    }
