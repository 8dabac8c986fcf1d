"""Which sites and bonds of a crystal a network's prediction rests on, and whether training made it so.

Of a site: gradient x input; of a bond: the slope with respect to its length, what the prediction answers to
stretching it alone. Attribution that stays the same when weights are drawn anew shows the crystal, not what
was learnt (Adebayo et al. 2018, arXiv:1810.03292): so each is ranked beside that of random weights. Sizes are
ranked, not signs, which random weights have at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from vitrine.errors import StudyError
from vitrine.explain.crystal_pictures import crystal_panel
from vitrine.explain.found import Explained, ExplanationPart, Picture, Profile
from vitrine.explain.local_order import spearman
from vitrine.learn.protocol import HasLoss, Model
from vitrine.physics.crystals import Structure, read_structures
from vitrine.samples import Examples, Float, Int, Samples

if TYPE_CHECKING:
    from vitrine.learn.crystal_slopes import Attribution

BONDS_AT_ONCE = 4000
"""bonds, about, that go forth and back through a network together"""
SHORTEST, BINS = 2.0, 24
"""Å, first bond in the figures; bins of lengths"""
EQUAL = 1.0e-4
"""Values closer than this share of the largest are equal: equal sites differ by the rounding of vectors."""
RANDOM = "randomised weights"
MOST_SITES = 5
"""of a drawn crystal"""


class _Crystal(NamedTuple):
    """Places in the arrays of all crystals, and the bonds counted within this one."""

    nodes: slice
    bonds: slice
    edges: Int


class CrystalSites(ExplanationPart):
    """Gradients and attention of a network on crystals by site and bond, beside those of random weights."""

    kind: Literal["crystal-sites"] = "crystal-sites"
    draws: int = Field(3, ge=1, le=100, description="copies of the network with random weights")
    seed: int = Field(0, ge=0, description="of the random weights")
    elements: int = Field(10, ge=0, description="elements with rows of their own: those in most samples")
    longest: float = Field(5.0, gt=SHORTEST, description="Å, longest bond in the figures")
    drawn: int = Field(2, ge=0, le=20, description="crystals drawn")

    takes: ClassVar[str] = "crystals"
    summary: ClassVar[str] = "slopes and attention by site and bond of crystals, beside random weights"

    def citations(self) -> tuple[str, ...]:
        """Gradient x input, and the sanity check."""
        return ("arXiv:1704.02685", "arXiv:1810.03292")

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Attribution of every sample, by the trained network and by ones with random weights.

        Raises
        ------
        StudyError: the model is no network on crystals, or the samples have no structures.
        DataError: a structure that cannot be read.
        """
        network, batches, unit = self._looked_into(model, samples, examples)
        from vitrine.learn.crystal_slopes import attribution, randomised, stages_of

        structures, crystals = read_structures(samples), list(_crystals(examples))
        stages = list(stages_of(network))
        trained = attribution(network, batches, unit)
        cascade = [
            attribution(randomised(network, self.seed, batches, number), batches, unit)
            for number in range(1, len(stages) + 1)
        ]
        random = [cascade[-1]]
        for seed in range(self.seed + 1, self.seed + self.draws):
            random.append(attribution(randomised(network, seed, batches), batches, unit))
        found = Explained()
        self._compare(found, trained, random, crystals)
        self._of_elements(found, trained, structures, crystals)
        self._beside_chemistry(found, trained, structures, crystals, examples)
        found.numbers = {key: v for key, v in found.numbers.items() if np.isfinite(v).any()}
        found.profiles = [*self._by_length(trained, crystals, examples)]
        found.profiles.append(_cascade(trained, cascade, stages, crystals))
        found.pictures = self._pictures(trained, random[0], structures, crystals, examples)
        return found

    def _looked_into(self, model: Model, samples: Samples, examples: Examples) -> tuple[Any, Any, float]:
        """Network, batches, and the target's unit in units of its output."""
        if not isinstance(model, HasLoss) or examples.makes != self.takes:
            raise StudyError(f"explanations: the model {self.model} is no network on crystals to look into")
        if samples.kind != "formulas":
            raise StudyError(f"explanations: {self.kind} needs a table of structures, not {samples.kind}")
        assert examples.edges is not None
        size = max(1, BONDS_AT_ONCE * len(examples) // max(examples.edges.shape[1], 1))
        if examples.target is None:
            examples = examples.with_target(np.zeros(examples.n_rows, np.float32))
        batches = model.loss_batches(examples, size)
        return model.network, batches, model.loss_unit

    # ------------------------------------------------------------ numbers

    def _compare(
        self, found: Explained, trained: Attribution, random: list[Attribution], crystals: list[_Crystal]
    ) -> None:
        """Ranks beside those of random weights, and of these among each other."""
        pairs = [(a, b) for n, a in enumerate(random) for b in random[:n]]
        for words, name in _kept(trained):
            against = [_agreement(trained, other, name, crystals) for other in random]
            found.numbers["spearman", f"{words} against {RANDOM}"] = np.mean(against, axis=0)
            if pairs:
                among = [_agreement(a, b, name, crystals) for a, b in pairs]
                found.numbers["spearman", f"{words} of two draws of {RANDOM}"] = np.mean(among, axis=0)

    def _of_elements(
        self, found: Explained, trained: Attribution, structures: list[Structure], crystals: list[_Crystal]
    ) -> None:
        """Share of each element's sites in the size of the attribution, as it is and over their share of
        the sites; attention over the even share."""
        met = Counter(symbol for crystal in structures for symbol in set(crystal.species))
        for symbol in sorted(name for name, _ in met.most_common(self.elements)):
            own: dict[tuple[str, str], list[float]] = {}
            for crystal, part in zip(structures, crystals, strict=True):
                here = np.array([name == symbol for name in crystal.species])
                size = np.abs(trained.sites[part.nodes])
                total, there = float(size.sum()), bool(here.any())
                share = float(size[here].sum()) / total if there and total > 0 else np.nan
                own.setdefault(("share", f"{symbol} sites"), []).append(share)
                relative = share / here.mean() if there else np.nan
                own.setdefault(("relative_share", f"{symbol} sites"), []).append(relative)
                if trained.site_attention is not None:
                    attention = trained.site_attention[part.nodes]
                    mean = float(attention[here].mean()) if there else np.nan
                    own.setdefault(("relative_attention", f"{symbol} sites"), []).append(mean)
            found.numbers |= {key: np.array(values) for key, values in own.items()}

    def _beside_chemistry(
        self,
        found: Explained,
        trained: Attribution,
        structures: list[Structure],
        crystals: list[_Crystal],
        examples: Examples,
    ) -> None:
        """Ranks beside what is known of a site, attention beside slopes, and the response to expansion."""
        from vitrine.physics.formulas import ALL_ELEMENTS
        from vitrine.physics.magpie import PROPERTIES, elements

        table = elements().properties[:, PROPERTIES.index("Electronegativity")]
        lengths = _lengths(examples)
        kept: dict[tuple[str, str], list[float]] = {}
        for crystal, part in zip(structures, crystals, strict=True):
            own = table[[ALL_ELEMENTS.index(symbol) for symbol in crystal.species]]
            centre, neighbour = part.edges
            bonds = np.bincount(centre, minlength=len(own))
            apart = np.bincount(centre, np.abs(own[centre] - own[neighbour]), len(own)) / bonds
            length = np.bincount(centre, lengths[part.bonds], len(own)) / bonds
            for words, name in _kept(trained):
                if "site" not in words:
                    continue
                values = getattr(trained, name)[part.nodes]
                for what, other in (("difference of electronegativity", apart), ("mean bond length", length)):
                    rank = _rank(values, other) if np.isfinite(other).all() else np.nan
                    kept.setdefault(("spearman", f"{words} with {what}"), []).append(rank)
            if trained.site_attention is not None and trained.bond_attention is not None:
                sites = _rank(trained.site_attention[part.nodes], trained.sites[part.nodes])
                bond = _rank(trained.bond_attention[part.bonds], trained.bonds[part.bonds])
                kept.setdefault(("spearman", "site attention with sites"), []).append(sites)
                kept.setdefault(("spearman", "bond attention with bonds"), []).append(bond)
            response = float(trained.bonds[part.bonds] @ lengths[part.bonds])
            kept.setdefault(("slope", "all bonds by the same factor"), []).append(response)
        found.numbers |= {key: np.array(values) for key, values in kept.items()}

    # ------------------------------------------------------------ figures

    def _by_length(
        self, trained: Attribution, crystals: list[_Crystal], examples: Examples
    ) -> Iterator[Profile]:
        edges, lengths = np.linspace(SHORTEST, self.longest, BINS + 1), _lengths(examples)
        x = (edges[1:] + edges[:-1]) / 2
        counts = np.array([part.nodes.stop - part.nodes.start for part in crystals])

        def binned(values: Float, factors: Float) -> Float:
            rows = [
                factor * _means(values[part.bonds], lengths[part.bonds], edges)
                for factor, part in zip(factors, crystals, strict=True)
            ]
            return np.stack(rows)

        yield Profile(
            name="slope-length",
            title="What stretching one bond does",
            caption="Mean slope of the prediction with respect to the length of one directed bond, in the "
            "target's unit per Å (of classes the logit), times the number of sites of the crystal, by which "
            "the slope of a mean over sites falls; and the mean of its size. Above 0 the prediction rises "
            "as the bond grows.",
            x_label="length of the bond [Å]",
            y_label="slope x sites [target's unit / Å]",
            x=x,
            curves={
                "slope": binned(trained.bonds, counts),
                "its size": binned(np.abs(trained.bonds), counts),
            },
        )
        if trained.bond_attention is not None:
            yield Profile(
                name="attention-length",
                title="Bond attention by length of bond",
                caption="Attention of the last layer as a multiple of the even share among the bonds of a "
                "site, mean over heads.",
                x_label="length of the bond [Å]",
                y_label="relative attention",
                x=x,
                curves={"bonds": binned(trained.bond_attention, np.ones(len(crystals)))},
                level=1.0,
            )

    def _pictures(
        self,
        trained: Attribution,
        random: Attribution,
        structures: list[Structure],
        crystals: list[_Crystal],
        examples: Examples,
    ) -> list[Picture]:
        assert examples.edge_vectors is not None
        found: list[Picture] = []
        for number in _chosen(structures, trained, crystals, self.drawn):
            part, crystal = crystals[number], structures[number]
            vectors = examples.edge_vectors[part.bonds].astype(np.float64)
            shown = {"trained": trained, RANDOM: random}
            layers = {
                words: (_even(np.abs(own.sites[part.nodes])), np.abs(own.bonds[part.bonds]))
                for words, own in shown.items()
            }
            if trained.site_attention is not None and trained.bond_attention is not None:
                attention = trained.site_attention[part.nodes], trained.bond_attention[part.bonds]
                layers["attention"] = attention
            high = max(1.5, *(float(sites.max()) for sites, _ in layers.values()))
            panels = [
                crystal_panel(words, crystal, part.edges, vectors, *values, high)
                for words, values in layers.items()
            ]
            found.append(
                Picture(
                    name=f"sites-{len(found) + 1}",
                    title=f"What the prediction of {crystal.formula()} rests on",
                    caption=PICTURE,
                    panels=panels,
                    radius=0.8,
                )
            )
        return found


PICTURE = (
    "A cell seen along the shortest period of the crystal (x and y in Å); with a rim: its own sites, "
    "without one: images of neighbours. Colour: size of the site's attribution (gradient x input) as a "
    "multiple of the even share; lines: bonds from the cell's sites, the wider and darker the larger "
    "the size of their slope, of bonds behind one another the largest, without those below a tenth of "
    "the largest of all. Larger discs: larger covalent radius. Where there is attention it is drawn in "
    f"the same way. Beside it the same of a network with {RANDOM}: what both show is in the crystal, not"
    " in what was learnt."
)


def _cascade(
    trained: Attribution, cascade: list[Attribution], stages: list[str], crystals: list[_Crystal]
) -> Profile:
    curves = {}
    for words, name in _kept(trained):
        ranks = [_agreement(trained, other, name, crystals) for other in (trained, *cascade)]
        curves[words] = np.stack(ranks, axis=1)
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(stages, 1))
    return Profile(
        name="randomised",
        title="Attribution as weights are drawn anew",
        caption="Rank correlation within a crystal between the sizes of the attribution of the trained "
        f"network and of a copy whose last stages have {RANDOM} (Adebayo et al. 2018): {listed}. An "
        "attribution that stays near 1 to the end does not depend on the weights, and so says nothing about "
        "what was learnt. Crystals all of whose sites or bonds are equal are left out.",
        x_label="stages with random weights, from the output on",
        y_label="rank correlation",
        x=np.arange(len(stages) + 1.0),
        curves=curves,
    )


# ---------------------------------------------------------------- of one crystal


def _crystals(examples: Examples) -> Iterator[_Crystal]:
    assert examples.node_starts is not None and examples.edge_starts is not None
    assert examples.edges is not None
    nodes, bonds = examples.node_starts.tolist(), examples.edge_starts.tolist()
    for n in range(len(examples)):
        own = slice(bonds[n], bonds[n + 1])
        yield _Crystal(slice(nodes[n], nodes[n + 1]), own, examples.edges[:, own] - nodes[n])


def _lengths(examples: Examples) -> Float:
    assert examples.edge_vectors is not None
    lengths: Float = np.linalg.norm(examples.edge_vectors.astype(np.float64), axis=1)
    return lengths


def _kept(attribution: Attribution) -> list[tuple[str, str]]:
    """Words and field of what there is to compare."""
    found = [("sites", "sites"), ("bonds", "bonds")]
    if attribution.site_attention is not None:
        found += [("site attention", "site_attention"), ("bond attention", "bond_attention")]
    return found


def _agreement(one: Attribution, other: Attribution, name: str, crystals: list[_Crystal]) -> Float:
    """(n_samples,) rank correlations of the sizes within each crystal."""
    a, b = getattr(one, name), getattr(other, name)
    parts = [part.nodes if "site" in name else part.bonds for part in crystals]
    return np.array([_rank(a[part], b[part]) for part in parts])


def _rank(a: Float, b: Float) -> float:
    """Rank correlation of sizes; nan where all of one are equal."""
    first, second = levels(np.abs(a)), levels(np.abs(b))
    return spearman(first, second) if first.any() and second.any() else np.nan


def levels(values: Float) -> Float:
    """(n,) 0, 1, 2 ... for rising values, the same for those that are equal but for rounding."""
    order = np.argsort(values, kind="stable")
    rising = values[order]
    found = np.zeros(len(values))
    if len(values):
        found[order[1:]] = np.cumsum(np.diff(rising) > EQUAL * np.abs(values).max())
    return found


def _even(values: Float) -> Float:
    mean = float(values.mean())
    return values / mean if mean > 0 else np.ones_like(values)


def _means(values: Float, lengths: Float, edges: Float) -> Float:
    """(n_bins,) means of the values whose lengths lie in a bin; nan where there are none."""
    bins = np.digitize(lengths, edges) - 1
    fits = (bins >= 0) & (bins < len(edges) - 1)
    count = np.bincount(bins[fits], minlength=len(edges) - 1)
    total = np.bincount(bins[fits], values[fits], len(edges) - 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _chosen(
    structures: Sequence[Structure], trained: Attribution, crystals: list[_Crystal], most: int
) -> list[int]:
    """Crystals to draw: with the most different sites first, of those that are small; one of a formula."""
    different = [int(levels(np.abs(trained.sites[part.nodes])).max(initial=0)) for part in crystals]
    size = [len(crystal.species) for crystal in structures]
    order = sorted(range(len(size)), key=lambda n: (size[n] > MOST_SITES, -different[n], size[n]))
    found: list[int] = []
    for number in order:
        if structures[number].formula() not in {structures[other].formula() for other in found}:
            found.append(number)
    return found[:most]
