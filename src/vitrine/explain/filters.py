"""What the filters of a residual network like to see: pictures that raise the output of a convolution most.

Gradient ascent from grey noise (Erhan et al. 2009; Simonyan et al. 2014, arXiv:1312.6034), as in Figure 6 of
Yang et al. 2020 (doi:10.1038/s41598-020-65157-z). Whether the pictures are lines is measured by the structure
tensor, beside a network with random weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.explain.found import Explained, ExplanationPart, Images
from vitrine.explain.saliency import copied, looked_into, randomised, some_crops
from vitrine.learn.protocol import Model
from vitrine.map_stack import SQUARES, MapStack
from vitrine.samples import Examples, Float, Samples

if TYPE_CHECKING:
    from torch import Tensor

GREY, NOISE = 0.5, 0.04
"""middle and half width of the uniform noise that pictures begin as, grey values"""
SMOOTH = 1.0
"""pixels, standard deviation of the Gaussian whose derivatives are the slopes of a picture"""


def ascended(respond: Callable[[Tensor], Tensor], start: Tensor, steps: int, step: float) -> Tensor:
    """(n, height, width) pictures that raise what they are rated by; grey values stay within 0 to 1.

    Parameters
    ----------
    respond: pictures -> (n,) the number of each.
    start: (n, height, width) grey values.
    step: root mean square change of a picture's grey values in each of the ``steps``.
    """
    import torch

    pictures = start.detach().clone()
    for _ in range(steps):
        pictures.requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(respond(pictures).sum(), pictures)
        size = slope.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-30)
        pictures = (pictures.detach() + step * slope / size).clamp(0, 1)
    return pictures


def module_maps(network: Any, number: int) -> Callable[[Tensor], Tensor] | None:
    """Pictures (n, height, width) -> (n, filters, height', width') of a residual module, the first being 1.

    What its last convolution and batch normalisation give, before the shortcut is added and before the ReLU,
    so that a filter that noise leaves silent has a slope too. None if there are fewer modules.
    """
    from vitrine.learn.networks.residual import ResidualModule

    places = [n for n, layer in enumerate(network.layers) if isinstance(layer, ResidualModule)]
    if len(places) < number:
        return None
    before, module = network.layers[: places[number - 1]], network.layers[places[number - 1]]

    def maps(pictures: Tensor) -> Tensor:
        found: Tensor = module.blocks(before(((pictures - network.mean) / network.spread)[:, None]))
        return found

    return maps


def lines_of(picture: Float) -> tuple[float, float]:
    """Coherence, from 0 (no direction) to 1 (parallel lines), and direction of the lines of a picture.

    From the structure tensor, averaged over the picture without a rim: coherence is the difference of its
    eigenvalues over their sum. The direction is in degrees from the rows' direction (the load), above -90 to
    90, positive where columns rise with rows. A constant picture has (0, 0).

    Parameters
    ----------
    picture: (height, width), rows along the load.
    """
    from scipy.ndimage import gaussian_filter

    wide, rim = np.asarray(picture, np.float64), min(int(4 * SMOOTH) + 1, (min(picture.shape) - 1) // 2)
    inner = slice(rim, -rim or None)
    along, across = (gaussian_filter(wide, SMOOTH, order=o)[inner, inner] for o in ((1, 0), (0, 1)))
    total = float((along**2 + across**2).mean())
    if total < 1e-20:
        return 0.0, 0.0
    mixed, apart = 2 * float((along * across).mean()), float((across**2 - along**2).mean())
    angle = -float(np.degrees(np.arctan2(mixed, apart))) / 2
    return float(np.hypot(mixed, apart)) / total, 90.0 if angle <= -90 else angle


def squeezed(angle: float, stack: MapStack) -> float:
    """Degrees from the load in a crop of what is at ``angle`` degrees from the load in the crystal.

    A map is drawn :data:`vitrine.map_stack.SQUARES` times as long as wide, whatever its shape: of one that is
    four times as long, 30° becomes 37.6°. Pixels of the map are squares; the median shape counts.
    """
    longer = float(np.median(stack.shapes[:, 0] / stack.shapes[:, 1]))
    return float(np.degrees(np.arctan(np.tan(np.radians(angle)) * longer / SQUARES)))


def off_lines(angle: float, slip: float) -> float:
    """Degrees, 0 to 90, from a direction to the nearer of +slip and -slip; directions repeat after 180."""
    return min(abs((angle - own + 90) % 180 - 90) for own in (slip, -slip))


class Filters(ExplanationPart):
    """Pictures of the filters of a residual module that respond most, and how much they are lines.

    Each step moves the grey values by ``step`` in root mean square along the slope of the filter's mean
    output; all filters begin at the same noise. Random weights: those of
    :func:`vitrine.explain.saliency.randomised`.
    """

    kind: Literal["filters"] = "filters"
    module: int = Field(2, ge=1, description="residual module whose last convolution is shown, from 1 on")
    shown: int = Field(9, ge=1, le=64, description="filters, those with the highest mean output")
    steps: int = Field(100, ge=1, description="steps of gradient ascent")
    step: float = Field(0.004, gt=0, description="size of a step, fraction of the range from black to white")
    pixels: int = Field(64, ge=12, le=512, description="along the edge of a picture")
    slip: float = Field(30.0, gt=0, lt=90, description="degrees from the load to the slip lines of crystals")
    seed: int = Field(0, ge=0, description="of the noise and of the random weights")

    takes: ClassVar[str] = "maps"
    summary: ClassVar[str] = "what filters of a residual network like to see, beside random weights"

    def citations(self) -> tuple[str, ...]:
        """The study; pictures by gradient ascent."""
        return ("10.1038/s41598-020-65157-z", "arXiv:1312.6034")

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Pictures of the filters of the trained network; numbers also of one with random weights.

        Raises
        ------
        StudyError: the model has no network on strain maps, or it has fewer residual modules.
        """
        network, stack = looked_into(model, self.model, examples)
        slip, found = squeezed(self.slip, stack), Explained()
        away = f"lines of the filters from those of slip as drawn (±{slip:.1f}°)"
        for weights, told in (
            ("trained", copied(network)),
            ("random", randomised(network, self.seed, some_crops(stack))),
        ):
            numbers, pictures, gain = self._pictures(told)
            lines = [lines_of(picture) for picture in pictures]
            off = [off_lines(angle, slip) for _, angle in lines]
            found.values |= {
                (
                    "gain",
                    f"rise of the filters' output over its spread in noise, {weights} weights",
                    None,
                ): gain,
                ("coherence", f"pictures of the filters, {weights} weights", None): float(
                    np.mean([coherence for coherence, _ in lines])
                ),
                ("angle", f"{away}, {weights} weights", "°"): float(np.mean(off)),
            }
            if weights == "trained":
                found.images.append(self._figure(numbers, pictures, lines, slip))
        found.values["angle", f"{away}, directions at random", "°"] = (slip**2 + (90 - slip) ** 2) / 180
        return found

    def _pictures(self, network: Any) -> tuple[NDArray[np.int64], Float, float]:
        """Numbers of the filters with the highest output, their pictures, and the mean gain of these.

        The gain of a filter: by how much its mean output rose from the noise to the picture, over the
        standard deviation of its outputs at the places of the noise.
        """
        import torch

        from vitrine.learn.prediction import one_thread

        maps = module_maps(network, self.module)
        if maps is None:
            raise StudyError(
                f"explanations: the model {self.model} has fewer than {self.module} residual modules"
            )
        random = np.random.default_rng(self.seed)
        noise = GREY + NOISE * (2 * random.random((self.pixels, self.pixels)) - 1)
        start = torch.from_numpy(noise.astype(np.float32))[None]
        with one_thread():
            with torch.no_grad():
                first = maps(start)[0].double()
            pictures = ascended(
                lambda p: maps(p).mean((2, 3)).diagonal(),
                start.expand(len(first), -1, -1),
                self.steps,
                self.step,
            )
            with torch.no_grad():
                last = maps(pictures).double().mean((2, 3)).diagonal().numpy()
        spread = first.std((1, 2), correction=0).numpy()
        gain = (last - first.mean((1, 2)).numpy()) / np.maximum(spread, 1e-12)
        best = np.argsort(-last, kind="stable")[: self.shown]
        return best, pictures.double().numpy()[best], float(gain[best].mean())

    def _figure(
        self, numbers: NDArray[np.int64], pictures: Float, lines: list[tuple[float, float]], slip: float
    ) -> Images:
        panels = [
            {
                "label": f"filter {number + 1}: {coherence:.2f} at {angle:.0f}°",
                "values": picture.round(4).tolist(),
                "low": 0.0,
                "high": 1.0,
            }
            for number, picture, (coherence, angle) in zip(numbers, pictures, lines, strict=True)
        ]
        return Images(
            name="filters",
            title="What the filters like to see",
            caption=f"Pictures that raise the output of the {len(panels)} filters with the highest one, of "
            f"the last convolution of residual module {self.module}, after {self.steps} steps of gradient "
            "ascent from grey noise. Above each: how parallel its lines are (0 to 1), and their angle from "
            f"the load, which runs upwards. Slip lines, {self.slip:g}° from the load, are at ±{slip:.1f}° "
            "in the network's pictures.",
            panels=panels,
            columns=3,
        )
