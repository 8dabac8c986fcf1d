"""Which bonds a message-passing network attends to, and whether that follows local order.

Attention sums to one over the bonds of a graph; *relative* attention is its multiple of the even share,
so that 1 means nothing special. The three structural metrics that attention suggested in
Swanson et al. 2020 (arXiv:1909.04648) are also computed with the attended bonds alone: those with most
attention, since above a fixed one (theirs is 0.0025) lie none or all, depending on the number of bonds.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.explain.found import Explained, ExplanationPart, Picture, Profile
from vitrine.explain.local_order import local_order, spearman
from vitrine.learn.protocol import Attends, Model
from vitrine.physics.plane import kinds_of, plane_of
from vitrine.represent.structural_metrics import metrics_of
from vitrine.samples import Examples, Float, Samples

DISTANCE_BINS = 24
METRICS = ("components", "B-B bonds", "A without B neighbour")
"""per particle, as :func:`vitrine.represent.structural_metrics.metrics_of` counts them"""
WIDEST = 0.998
"""quantile of relative attention that the widest line stands for"""


class BondAttention(ExplanationPart):
    """Attention by kind and length of bond, on configurations, and beside local order."""

    kind: Literal["bond-attention"] = "bond-attention"
    share: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="fraction of the bonds, those with most attention, of the weighted metrics",
    )
    longest: float = Field(3.0, gt=0, description="σ, longest bond in the figure")
    species: tuple[str, ...] = Field(("Ni", "P"), min_length=2, description="symbols of A and B particles")

    takes: ClassVar[str] = "whole-graphs"
    summary: ClassVar[str] = "bond attention by kind and distance, on configurations, beside local order"

    def citations(self) -> tuple[str, ...]:
        """Where attention was read so."""
        return ("arXiv:1909.04648",)

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Attention of every sample.

        Raises
        ------
        StudyError: the model has no attention.
        """
        if not isinstance(model, Attends):
            raise StudyError(f"explanations: the model {self.model} has no attention to look at")
        assert examples.edges is not None and examples.edge_starts is not None
        assert examples.node_starts is not None and examples.edge_vectors is not None
        attention = model.attention(examples).mean(axis=1)
        lengths = np.linalg.norm(examples.edge_vectors.astype(np.float64), axis=1)
        found, edges_of_bins = Explained(), np.linspace(0.6, self.longest, DISTANCE_BINS + 1)
        names = self._bond_names()
        profiles = {name: np.full((len(samples), DISTANCE_BINS), np.nan) for name in names}
        numbers: dict[tuple[str, str], list[float]] = {}
        weighted: list[Float] = []
        drawn: dict[str, dict[str, object]] = {}
        for i, atoms in enumerate(samples.items):
            part = slice(int(examples.edge_starts[i]), int(examples.edge_starts[i + 1]))
            edges = examples.edges[:, part] - examples.node_starts[i]
            own, length = attention[part], lengths[part]
            relative = own * len(own)
            kinds = kinds_of(atoms, self.species, samples.ids[i])
            plane = plane_of(atoms, samples.ids[i])
            kind_of_bond = kinds[edges[0]] + kinds[edges[1]]
            bins = np.digitize(length, edges_of_bins) - 1
            for code, name in enumerate(names):
                here = kind_of_bond == code
                mean = float(relative[here].mean()) if here.any() else 0.0
                numbers.setdefault(("relative_attention", name), []).append(mean)
                fits = here & (bins >= 0) & (bins < DISTANCE_BINS)
                count = np.bincount(bins[fits], minlength=DISTANCE_BINS)
                total = np.bincount(bins[fits], weights=relative[fits], minlength=DISTANCE_BINS)
                profiles[name][i] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
            received = np.bincount(edges[0], weights=relative, minlength=len(kinds)).astype(np.float64)
            for what, values in local_order(plane, kinds, atoms.arrays.get("energy")).items():
                numbers.setdefault(("spearman", f"attention with {what}"), []).append(
                    spearman(received, values)
                )
            counts = metrics_of(len(kinds), kinds, edges, keep=own > np.quantile(own, 1 - self.share))
            weighted.append(np.array(counts) / len(kinds))
            phase = str(atoms.info.get("phase", "sample"))
            if phase not in drawn:
                drawn[phase] = self._panel(
                    f"{phase}: {samples.ids[i]}", plane, kinds, edges, relative, examples, part
                )
        found.numbers = {key: np.array(values) for key, values in numbers.items()}
        if weighted:
            columns = np.stack(weighted).T
            found.quantities = {
                f"{name}, attended bonds": c for name, c in zip(METRICS, columns, strict=True)
            }
        found.profiles.append(
            Profile(
                name="attention-distance",
                title="Bond attention by kind and length of bond",
                caption="Attention of a bond as a multiple of the even share (dashed), by the kinds of its "
                "two particles and its length, on samples that the model was not trained on.",
                x_label="length of the bond [σ]",
                y_label="relative attention",
                x=(edges_of_bins[1:] + edges_of_bins[:-1]) / 2,
                curves=profiles,
                level=1.0,
            )
        )
        found.pictures.append(
            Picture(
                name="attention",
                title="Where the network looks",
                caption="The first sample of each class that the model was not trained on. Discs: A "
                "particles dark, B particles bright; orange lines: bonds with more than the even share "
                "of attention, wider the more they get.",
                panels=list(drawn.values()),
                radius=0.3,
            )
        )
        return found

    def _bond_names(self) -> tuple[str, ...]:
        return ("A-A", "A-B", "B-B")

    def _panel(
        self,
        label: str,
        plane: object,
        kinds: np.ndarray,
        edges: np.ndarray,
        relative: Float,
        examples: Examples,
        part: slice,
    ) -> dict[str, object]:
        assert examples.edge_vectors is not None
        positions: Float = plane.positions  # type: ignore[attr-defined]
        strength: dict[tuple[int, int], float] = {}
        vector: dict[tuple[int, int], Float] = {}
        for (a, b), weight, step in zip(edges.T.tolist(), relative, examples.edge_vectors[part], strict=True):
            pair = (min(a, b), max(a, b))
            strength[pair] = strength.get(pair, 0.0) + float(weight) / 2
            vector[pair] = np.asarray(step[:2] if a < b else -step[:2], dtype=float)
        top = max(float(np.quantile(list(strength.values()), WIDEST)), 1.0 + 1e-9)
        bonds = []
        for (a, b), weight in strength.items():
            if weight <= 1.0:
                continue
            (x, y), (dx, dy) = positions[a], vector[a, b]
            bonds.append(
                [float(x), float(y), float(x + dx), float(y + dy), min((weight - 1.0) / (top - 1.0), 1.0)]
            )
        return {
            "label": f"{label}\nwidest: {top:.2f} times the even share",
            "x": positions[:, 0].tolist(),
            "y": positions[:, 1].tolist(),
            "values": kinds.astype(float).tolist(),
            "marked": [0.0] * len(kinds),
            "low": -0.6,
            "high": 1.15,
            "unit": "",
            "radii": np.where(kinds == 0, 0.42, 0.34).tolist(),
            "bonds": bonds,
        }
