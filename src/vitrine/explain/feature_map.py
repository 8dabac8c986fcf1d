"""Strain maps in the plane of the two main components of a network's last features, as in Yang et al. 2020.

Figure 3 of doi:10.1038/s41598-020-65157-z.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vitrine.errors import StudyError
from vitrine.explain.found import Cloud, Explained, ExplanationPart
from vitrine.learn.protocol import Embeds, Model
from vitrine.samples import Examples, Float, Samples

MOST_PANELS = 12
THIRDS = ("lowest third", "middle third", "highest third")
COUNTS = {1.0: "one slip", 2.0: "two slips"}


def plane_of_features(features: Float) -> tuple[Float, Float]:
    """(n, 2) principal components of the features, and (2,) the share of the variance that each explains.

    The sign of a component is that of its largest weight.

    Parameters
    ----------
    features: (n, n_features).
    """
    centred = features - features.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    count = min(2, len(axes))
    axes = axes[:count]
    axes *= np.where(axes[np.arange(count), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
    points, shares = np.zeros((len(features), 2)), np.zeros(2)
    points[:, :count] = centred @ axes.T
    total = float((sizes**2).sum())
    if total > 0:
        shares[:count] = sizes[:count] ** 2 / total
    return points, shares


def nearest_has_class(points: Float, classes: NDArray[np.int64], groups: NDArray[Any]) -> Float:
    """(n,) 1 where the nearest sample of another group has the same class, else 0; nan if there is no other.

    Parameters
    ----------
    points: (n, n_features). classes: (n,). groups: (n,): maps of one crystal are near whatever their class.
    """
    found = np.full(len(points), np.nan)
    for number, point in enumerate(points):
        others = np.flatnonzero(groups != groups[number])
        if len(others):
            nearest = others[((points[others] - point) ** 2).sum(axis=1).argmin()]
            found[number] = classes[nearest] == classes[number]
    return found


def panels_of(samples: Samples) -> list[tuple[str, NDArray[np.int64]]]:
    """Words and samples of every combination of width, reload and slip systems, as far as they are known.

    In the order of the published figure: widths from large to small; for each the large reload before the
    small one, one slip system before two. If there are more than 12, three widths are kept (widest, middle,
    narrowest), then two reloads (largest, smallest).
    """
    known = {name: samples.attributes.get(name) for name in ("width", "reload", "slip_systems")}
    width, reload, slips = (
        np.zeros(len(samples)) if values is None else np.asarray(values, np.float64)
        for values in known.values()
    )
    kept = sorted({(-w, -r, s) for w, r, s in zip(width, reload, slips, strict=True)})
    if len(kept) > MOST_PANELS:
        widths = sorted({w for w, _, _ in kept})
        ends = {widths[0], widths[(len(widths) - 1) // 2], widths[-1]}
        kept = [each for each in kept if each[0] in ends]
    if len(kept) > MOST_PANELS:
        reloads = {r for _, r, _ in kept}
        kept = [each for each in kept if each[1] in (min(reloads), max(reloads))]
    found = []
    for w, r, s in kept[:MOST_PANELS]:
        words = (
            f"{-w:g} µm" if known["width"] is not None else "",
            f"reload {-r:g} %" if known["reload"] is not None else "",
            COUNTS.get(s, f"{s:g} slips") if known["slip_systems"] is not None else "",
        )
        inside = np.flatnonzero((width == -w) & (reload == -r) & (slips == s))
        found.append((", ".join(filter(None, words)) or "all maps", inside))
    return found


class FeatureMap(ExplanationPart):
    """Principal components of the features of the last layer, by width, reload and slip, coloured by class.

    The features of a map are the mean over all of its crops. The components are those of all samples given,
    so that panels share their axes. How well classes separate is told by the nearest sample of another group:
    in the plane, and in all features.
    """

    kind: Literal["feature-map"] = "feature-map"

    takes: ClassVar[str] = "maps"
    summary: ClassVar[str] = "strain maps in the two main components of a network's last features"

    def citations(self) -> tuple[str, ...]:
        """The study."""
        return ("10.1038/s41598-020-65157-z",)

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Every sample as a point.

        Raises
        ------
        StudyError: the model gives no features of its last layer.
        """
        if not isinstance(model, Embeds):
            raise StudyError(f"explanations: the model {self.model} gives no features of a last layer")
        features = model.embed(examples).astype(np.float64).mean(axis=1)
        points, shares = plane_of_features(features)
        classes, names = _classes(examples)
        found = Explained()
        for share, which in zip(shares, ("first", "second"), strict=True):
            found.values["explained_variance", f"{which} component of the features", None] = float(share)
        if names:
            groups = np.asarray(examples.groups)
            for words, where in (("the plane of the figure", points), ("all features", features)):
                hits = nearest_has_class(where, classes, groups)
                found.numbers["accuracy", f"class of the nearest map of another group in {words}"] = hits
        panels = [
            {
                "label": words,
                "x": points[inside, 0].tolist(),
                "y": points[inside, 1].tolist(),
                "classes": classes[inside].tolist(),
            }
            for words, inside in panels_of(samples)
        ]
        coloured = "class" if examples.class_names else "thirds of the target"
        found.clouds.append(
            Cloud(
                name="features",
                title="Maps as the network sees them",
                caption="Averages of the network's last maps of features, mean over the crops of a strain "
                "map, in their two main components (fitted to all samples that the model was not trained "
                f"on), by width, reload and slip systems. Colours: {coloured}.",
                x_label=f"first component, {100 * shares[0]:.0f} % of the variance",
                y_label=f"second component, {100 * shares[1]:.0f} % of the variance",
                panels=panels,
                class_names=names,
            )
        )
        return found


def _classes(examples: Examples) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(n,) number of each sample's class and their names: thirds for values, none without a target."""
    target = examples.target
    if target is None:
        return np.zeros(len(examples), np.int64), ()
    if examples.class_names:
        return target.astype(np.int64), examples.class_names
    bounds = np.quantile(target.astype(np.float64), [1 / 3, 2 / 3])
    return np.digitize(target.astype(np.float64), bounds).astype(np.int64), THIRDS
