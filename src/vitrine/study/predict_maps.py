"""A user's own strain maps: classes, prior strain, simulated maps most alike, and the curve they foretell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.errors import DataError
from vitrine.explain.curve_neighbours import mean_curve, nearest
from vitrine.samples import Examples, Samples
from vitrine.study.conformal import LEVEL, reach_of
from vitrine.study.reference import Reference, load_companion

if TYPE_CHECKING:
    import pandas as pd

    from vitrine.strain_maps import StrainMap
    from vitrine.study.bundle import ModelFolder

NEIGHBOURS = 5
"""simulated maps that are named, and whose mean curve is given"""
LEAST = 4
"""pixels along an edge of a map"""
UNUSUAL = 0.99
"""share of held-out maps that lie nearer to their training maps than what is called unlike"""
PITCH_FACTOR, ASPECT_FACTOR, STRAIN_FACTOR = 2.0, 1.5, 3.0
"""from which the pitch, the shape and the mean strain of a map are called unlike the training maps"""


@dataclass
class Foretold:
    """What a model says of several maps.

    Attributes
    ----------
    table: a row per map. neighbours: a row per map and neighbour. curves: a row per map and strain.
    warnings: why a map may be unlike what the model knows.
    """

    table: pd.DataFrame
    neighbours: pd.DataFrame
    curves: pd.DataFrame
    warnings: list[str] = field(default_factory=list)


def predict_maps(model: ModelFolder, maps: Sequence[StrainMap], reload: float | None = None) -> Foretold:
    """Predict maps in memory.

    Parameters
    ----------
    maps: of the axis along which the specimen was loaded. reload: strain of the reload [%]; by default that
        whose mean strain in training is nearest to the map's.

    Raises
    ------
    DataError: the model takes no maps, or a map is too small or empty.
    """
    import pandas as pd

    if getattr(model.representation, "takes", "") != "maps":
        raise DataError(f"the model {model.name} of {model.study} takes no strain maps")
    if not maps:
        raise DataError("there is no map to predict")
    ids = tuple(str(each.info.get("id", f"map {number + 1}")) for number, each in enumerate(maps))
    for each, name in zip(maps, ids, strict=True):
        _check_size(each, name)
    upright = [_upright(each) for each in maps]
    representation: Any = model.representation
    examples: Examples = representation.build(
        Samples("maps", upright, tuple(f"{n}:{name}" for n, name in enumerate(ids)), ids), lambda tasks: []
    )
    if model.target == "classes":
        examples = replace(examples, target_kind="classes", class_names=model.class_names)
    fitted: Any = model.load()
    said = model.predict(examples, fitted)
    rows: list[dict[str, Any]] = [{"map": name} for name in ids]
    if model.target == "classes":
        for row, probabilities in zip(rows, said, strict=True):
            row["prior strain"] = model.class_names[int(probabilities.argmax())]
            row |= {
                f"probability {name}": p for name, p in zip(model.class_names, probabilities, strict=True)
            }
    else:
        for row, value in zip(rows, said, strict=True):
            row["predicted"] = float(value)
    reference = Reference.read(model.folder)
    if reference is None:
        return Foretold(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame())
    for companion in reference.companions:
        _add_value(model, examples, companion, rows)
    features = fitted.embed(examples).mean(axis=1)
    told = Foretold(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    near, lines = [], []
    for number, (each, name) in enumerate(zip(upright, ids, strict=True)):
        found = _neighbours(reference, features[number], each, reload)
        rows[number] |= found.facts
        near += [{"map": name, **row} for row in found.rows]
        lines += [{"map": name, **row} for row in found.curve]
        told.warnings += [f"{name}: {words}" for words in found.warnings]
    told.table, told.neighbours, told.curves = pd.DataFrame(rows), pd.DataFrame(near), pd.DataFrame(lines)
    return told


def _check_size(each: StrainMap, name: str) -> None:
    rows, columns = each.strain.shape[1:]
    if min(rows, columns) < LEAST:
        raise DataError(
            f"{name}: a map of {rows} x {columns} pixels; at least {LEAST} x {LEAST} are needed to see a line"
        )


def _upright(each: StrainMap) -> StrainMap:
    """The map with the load along y, as the training maps have it."""
    if each.axis == "y":
        return each
    turned = np.ascontiguousarray(each.strain[[1, 0, 2]].transpose(0, 2, 1))
    return replace(each, strain=turned, axis="y")


def _add_value(model: ModelFolder, examples: Examples, companion: Any, rows: list[dict[str, Any]]) -> None:
    """The logarithm of the prior strain by the network beside the classifier, with its interval in %."""
    track = str(companion["track"])
    network = load_companion(model, track)
    values = network.predict(replace(examples, target_kind="value", class_names=()))
    reach = reach_of(companion["residuals"])
    for row, value in zip(rows, values, strict=True):
        row |= {
            "log10 prior strain in %": float(value),
            "prior strain %, from log": float(10**value),
            f"low, {LEVEL:.0%}": float(10 ** (value - reach)),
            f"high, {LEVEL:.0%}": float("inf") if np.isinf(reach) else float(10 ** (value + reach)),
        }


@dataclass
class _Found:
    facts: dict[str, Any]
    rows: list[dict[str, Any]]
    curve: list[dict[str, Any]]
    warnings: list[str]


def _neighbours(reference: Reference, features: Any, each: StrainMap, reload: float | None) -> _Found:
    """The nearest simulated maps of the same reload, their mean curve, and what is unusual."""
    known = np.unique(reference.info["reload"])
    mean = float(np.nanmean(each.axial))
    wanted = float(known[np.abs(np.log(known / (reload or max(100 * abs(mean), 1e-9)))).argmin()])
    chosen = np.flatnonzero(reference.info["reload"] == wanted)
    count = min(NEIGHBOURS, len(chosen))
    places, distances = nearest(reference.features[chosen], np.asarray(features)[None], count)
    own, apart = chosen[places[0]], distances[0]
    usual = float(np.quantile(reference.distances, UNUSUAL)) if len(reference.distances) else float("inf")
    facts = {
        "reload %": wanted,
        "mean strain": mean,
        "pitch nm": each.pitch,
        "distance to nearest": float(apart[0]),
        "usual distance": usual,
    }
    rows = [
        {
            "rank": rank + 1,
            "simulated map": reference.ids[index],
            "distance": float(distance),
            **{name: float(values[index]) for name, values in reference.info.items()},
        }
        for rank, (index, distance) in enumerate(zip(own, apart, strict=True))
    ]
    middle, low, high = mean_curve(reference.curves[reference.curve_of[own]].astype(float))
    curve = [
        {"strain %": 100 * float(x), "stress MPa": float(y), "low MPa": float(a), "high MPa": float(b)}
        for x, y, a, b in zip(reference.strain, middle, low, high, strict=True)
    ]
    return _Found(facts, rows, curve, _unusual(reference, each, mean, reload, chosen, float(apart[0]), usual))


def _unusual(
    reference: Reference,
    each: StrainMap,
    mean: float,
    reload: float | None,
    chosen: Any,
    distance: float,
    usual: float,
) -> list[str]:
    """Plain words, each with the numbers that it rests on."""
    words = []
    if distance > usual:
        words.append(
            f"unlike the training maps: distance {distance:.3g} in features to the nearest simulated map; "
            f"{UNUSUAL:.0%} of the maps of crystals not trained on lie within {usual:.3g}"
        )
    known = np.unique(reference.info["reload"])
    if reload is not None and np.abs(np.log(known / reload)).min() > np.log(1.5):
        listed = ", ".join(f"{value:g}" for value in known)
        words.append(f"a reload of {reload:g} %; the model was trained on {listed} %")
    least, most = float(reference.pitch.min()), float(reference.pitch.max())
    if not least / PITCH_FACTOR <= each.pitch <= most * PITCH_FACTOR:
        words.append(
            f"its pitch is {each.pitch:.3g} nm; the model was trained on " + _range(least, most, "nm")
        )
    rows, columns = each.axial.shape
    aspects = reference.shapes[:, 0] / reference.shapes[:, 1]
    if not aspects.min() / ASPECT_FACTOR <= rows / columns <= aspects.max() * ASPECT_FACTOR:
        turned = "; is the loading axis right?" if rows < columns else ""
        words.append(
            f"it is {rows / columns:.2g} times as long along the load as across; training maps are "
            f"{np.median(aspects):.2g} times{turned}"
        )
    if "width" in reference.info:
        width = 1e-3 * columns * each.pitch
        widths = reference.info["width"]
        if not widths.min() / PITCH_FACTOR <= width <= widths.max() * PITCH_FACTOR:
            words.append(
                f"it is {width:.3g} µm wide; the model was trained on crystals of "
                + _range(float(widths.min()), float(widths.max()), "µm")
            )
    usual_mean = float(np.median(reference.mean_strain[chosen]))
    if not usual_mean / STRAIN_FACTOR <= mean <= usual_mean * STRAIN_FACTOR:
        words.append(
            f"its mean strain along the load is {100 * mean:.3g} %; maps of this reload have "
            f"{100 * usual_mean:.3g} %"
        )
    return words


def _range(least: float, most: float, unit: str) -> str:
    ends = dict.fromkeys([f"{least:.3g}", f"{most:.3g}"])
    return f"{' to '.join(ends)} {unit}"


def summary(row: dict[str, Any], class_names: Sequence[str]) -> str:
    """One line about a map for the terminal."""
    parts = [f"{name} {row[f'probability {name}']:.2f}" for name in class_names]
    words = f"{row['map']}: prior strain " + (", ".join(parts) if parts else f"{row['predicted']:.3g}")
    if "prior strain %, from log" in row:
        low, high = row[f"low, {LEVEL:.0%}"], row[f"high, {LEVEL:.0%}"]
        interval = "no interval: too few held-out maps" if np.isinf(high) else f"{low:.2g}, {high:.3g}"
        words += f"; as a number {row['prior strain %, from log']:.3g} % [{interval}]"
    if "distance to nearest" in row:
        words += f"; nearest simulated map at {row['distance to nearest']:.3g} (usual: up to "
        words += f"{row['usual distance']:.3g})"
    return words
