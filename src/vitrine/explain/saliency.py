"""Saliency of strain maps: which pixels of a crop change the output most, and whether training made them so.

Plain: the absolute slope of the output with respect to each pixel (Simonyan et al. 2014, arXiv:1312.6034).
Guided: on the way back each ReLU lets positive slopes through alone (Springenberg et al. 2015,
arXiv:1412.6806). A map that stays the same when all weights are drawn anew shows the picture, not what was
learnt (Adebayo et al. 2018, arXiv:1810.03292).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.explain.found import Explained, ExplanationPart, Images
from vitrine.explain.local_order import spearman
from vitrine.learn.protocol import Embeds, Model
from vitrine.map_stack import MapStack
from vitrine.physics.crops import all_crops, cut_crops
from vitrine.samples import Examples, Float, Samples

if TYPE_CHECKING:
    from torch import Tensor, nn

AT_ONCE = 1 << 18
"""pixels of crops that go forth and back through a network together"""
SETTLE = 32
"""crops, at most, from which batch normalisations with random weights take mean and spread"""
EDGE = 112
"""pixels along the edge of a drawn picture, at most"""
WHITE = 99.5
"""percentile of a saliency map that is drawn white"""

Rule = Literal["guided", "rectified"]


def looked_into(model: Model, name: str, examples: Examples) -> tuple[Any, MapStack]:
    """The network of a model of strain maps, which takes (features, images), and the maps.

    Raises
    ------
    StudyError: the model is another.
    """
    if not isinstance(model, Embeds) or not hasattr(model, "network") or examples.maps is None:
        raise StudyError(f"explanations: the model {name} has no network on strain maps to look into")
    return model.network, examples.maps


def copied(network: nn.Module) -> Any:
    """A copy to play with: it evaluates, its weights are fixed, and no ReLU writes over its input."""
    from copy import deepcopy

    from torch import nn

    found = deepcopy(network).eval().requires_grad_(False)
    for layer in found.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return found


def some_crops(stack: MapStack, most: int = SETTLE) -> NDArray[np.float32]:
    """(n, crop, crop) grey values of at most so many crops, evenly from all maps."""
    total = len(stack) * stack.plan.views
    chosen = np.unique(np.linspace(0, total - 1, min(most, total)).astype(np.int64))
    return cut_crops(stack, chosen // stack.plan.views, chosen % stack.plan.views)


def randomised(network: nn.Module, seed: int, images: NDArray[np.float32]) -> Any:
    """A copy with all weights drawn anew, as an untrained network has them.

    The running means and spreads of its batch normalisations are those of one pass over the images
    ((n, height, width) grey values); the grey scale of the input is kept.
    """
    import torch
    from torch import nn

    from vitrine.learn.prediction import one_thread

    found = copied(network)
    pictures = torch.from_numpy(np.concatenate([images, images]) if len(images) == 1 else images)
    with torch.random.fork_rng(devices=[]), one_thread(), torch.no_grad():
        torch.manual_seed(seed)
        for layer in found.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 1.0
        found.train()
        found(pictures.new_zeros(len(pictures), 0), pictures)
    return found.eval()


def _on_the_way_back(rule: Rule) -> Any:
    def changed(_: Any, given_back: tuple[Tensor, ...], got: tuple[Tensor, ...]) -> tuple[Tensor]:
        return ((given_back if rule == "guided" else got)[0].clamp_min(0),)

    return changed


def saliency(
    network: nn.Module,
    images: NDArray[np.float32],
    classes: NDArray[np.int64] | None = None,
    rule: Rule | None = None,
) -> Float:
    """(n, height, width) absolute slope of an output with respect to every pixel; the network stays as it is.

    Parameters
    ----------
    network: takes (features, images), gives (n,) or (n, classes).
    images: (n, height, width) grey values.
    classes: (n,) whose output (logit) it is; by default the largest. Not looked at for (n,) outputs.
    rule: what ReLUs do on the way back. ``guided``: positive slopes of positive inputs pass; ``rectified``:
        positive slopes, whatever the input (Zeiler & Fergus 2014, arXiv:1311.2901); None: the true slope.
    """
    import torch
    from torch import nn

    from vitrine.learn.prediction import one_thread

    told = copied(network)
    if rule is not None:
        for layer in told.modules():
            if isinstance(layer, nn.ReLU):
                layer.register_full_backward_hook(_on_the_way_back(rule))
    size = max(1, AT_ONCE // images[0].size)
    parts = []
    for start in range(0, len(images), size):
        picture = torch.from_numpy(images[start : start + size]).requires_grad_()
        with one_thread(), torch.enable_grad():
            out = told(picture.new_zeros(len(picture), 0), picture)
            if out.ndim > 1:
                own = out.argmax(1) if classes is None else torch.from_numpy(classes[start : start + size])
                out = out.gather(1, own[:, None])
            (slope,) = torch.autograd.grad(out.sum(), picture)
        parts.append(np.nan_to_num(np.abs(slope.double().numpy())))
    return np.concatenate(parts)


def share_on_extremes(values: Float, grey: NDArray[np.float32], top: float) -> float:
    """Share of the values that lie on the pixels whose grey value is furthest from the mean.

    By chance it is ``top``, which it also is where all values are 0. Pixels as far as each other share the
    places that are left.

    Parameters
    ----------
    values: (height, width), 0 or more. grey: (height, width). top: fraction of the pixels.
    """
    apart = np.abs(grey - grey.mean(dtype=np.float64)).round(6).ravel()  # less is rounding
    wanted = top * apart.size
    last = np.sort(apart)[::-1][int(np.ceil(wanted)) - 1]
    above, level = apart > last, apart == last
    weights = above + level * (wanted - above.sum()) / level.sum()
    total = float(values.sum())
    return float(weights @ values.ravel()) / total if total > 0 else top


class Saliency(ExplanationPart):
    """Saliency of the crop with most contrast (standard deviation of its grey values) of every map.

    The slope is that of the true class's logit, not of its probability, whose slopes vanish where the
    network is sure; for values that of the output.
    """

    kind: Literal["saliency"] = "saliency"
    rule: Rule = Field(
        "guided",
        description="what ReLUs let through on the way back, beside the plain slope: positive slopes of "
        "positive inputs (guided), or positive slopes of all inputs (rectified)",
    )
    top: float = Field(0.05, gt=0, lt=1, description="fraction of the pixels, those furthest from the mean")
    seed: int = Field(0, ge=0, description="of the random weights that the trained ones are compared with")

    takes: ClassVar[str] = "maps"
    summary: ClassVar[str] = "saliency of crops of strain maps, plain and guided, beside random weights"

    def citations(self) -> tuple[str, ...]:
        """Saliency, the rules for ReLUs, the sanity check, the study."""
        rule = "arXiv:1412.6806" if self.rule == "guided" else "arXiv:1311.2901"
        return ("arXiv:1312.6034", rule, "arXiv:1810.03292", "10.1038/s41598-020-65157-z")

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Saliency of one crop of every sample, by the trained network and by one with random weights.

        Raises
        ------
        StudyError: the model has no network on strain maps.
        """
        network, stack = looked_into(model, self.model, examples)
        crops = np.stack([_of_most_contrast(stack, number) for number in range(len(stack))])
        classes = None
        if examples.class_names and examples.target is not None:
            classes = examples.target.astype(np.int64)
        anew = randomised(network, self.seed, some_crops(stack))
        maps = {
            (rule, weights): saliency(told, crops, classes, None if rule == "plain" else self.rule)
            for weights, told in (("trained", network), ("random", anew))
            for rule in ("plain", self.rule)
        }
        found = Explained(images=[self._figure(samples, examples, crops, maps)])
        where = f"on the {100 * self.top:g} % of pixels that differ most from the mean"
        for rule in ("plain", self.rule):
            trained, random = maps[rule, "trained"], maps[rule, "random"]
            found.numbers["spearman", f"{rule} saliency with that of random weights"] = np.array(
                [spearman(a.ravel(), b.ravel()) for a, b in zip(trained, random, strict=True)]
            )
            for words, values in (
                (f"{rule} saliency", trained),
                (f"{rule} saliency of random weights", random),
            ):
                found.numbers["share", f"{words} {where}"] = np.array(
                    [share_on_extremes(a, crop, self.top) for a, crop in zip(values, crops, strict=True)]
                )
        return found

    def _figure(
        self,
        samples: Samples,
        examples: Examples,
        crops: NDArray[np.float32],
        maps: dict[tuple[str, str], Float],
    ) -> Images:
        panels = []
        drawn = _drawn(examples, crops)
        for words, number in drawn:
            grey = crops[number].astype(np.float64)
            low, high = float(grey.min()), float(grey.max())
            panels.append(_panel(words, grey, low, high))
            for (rule, weights), values in maps.items():
                own = values[number]
                white = float(np.percentile(own, WHITE)) or float(own.max())
                panels.append(_panel(f"{rule}, {weights} weights", own / (white or 1.0), 0.0, 1.0))
        return Images(
            name="saliency",
            title="Where the network looks",
            caption="Of each class the crop with most contrast among the samples that the model was not "
            "trained on (black and white are its own extremes), and beside it the size of the slope of its "
            f"class's output at every pixel, white from the {WHITE:g}th percentile on: plain, with the "
            f"{self.rule} rule, and both for the same network with random weights. What random weights "
            "show too is in the picture, not in what was learnt. The load runs upwards. Samples: "
            f"{', '.join(samples.ids[number] for _, number in drawn)}.",
            panels=panels,
            columns=1 + len(maps),
        )


def _of_most_contrast(stack: MapStack, number: int) -> NDArray[np.float32]:
    crops = all_crops(stack, number)
    chosen: NDArray[np.float32] = crops[int(crops.std(axis=(1, 2), dtype=np.float64).argmax())]
    return chosen


def _drawn(examples: Examples, crops: NDArray[np.float32]) -> list[tuple[str, int]]:
    """Words and number of a sample of each class; lowest, middle and highest for values."""
    target = examples.target
    if target is not None and examples.class_names:
        contrast = crops.std(axis=(1, 2), dtype=np.float64)
        return [
            (name, int(np.where(target == number, contrast, -1.0).argmax()))
            for number, name in enumerate(examples.class_names)
            if (target == number).any()
        ]
    order = np.arange(len(crops)) if target is None else np.argsort(target, kind="stable")
    places = np.unique([0, len(order) // 2, len(order) - 1])
    return [
        ("sample" if target is None else f"{target[order[place]]:.3g}", int(order[place])) for place in places
    ]


def _panel(label: str, picture: Float, low: float, high: float) -> dict[str, Any]:
    """Made smaller by whole blocks of pixels, so that a report stays small."""
    block = -(-len(picture) // EDGE)
    edge = len(picture) // block
    part = picture[: edge * block, : edge * block]
    small = part.reshape(edge, block, edge, block).mean(axis=(1, 3))
    return {
        "label": label,
        "values": np.clip(small, low, high).round(4).tolist(),
        "low": low,
        "high": high if high > low else low + 1.0,
    }
