"""Settings of the networks that predict once for a crystal from its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from vitrine.errors import DataError
from vitrine.learn.network_part import NetworkPart
from vitrine.learn.neural import NetworkModel

if TYPE_CHECKING:
    from torch import nn

    from vitrine.samples import Examples

Elements = Literal["properties", "one-hot"]


class CrystalPart(NetworkPart):
    """What the networks on crystals share.

    They see elements and bonds: turning, moving or mirroring a crystal, another order of its atoms, another
    cell or a supercell change no prediction.
    """

    elements: Elements = Field(
        "properties",
        description="what a site begins with: properties of its element from a table, so that one that was "
        "never trained on says something; or one-hot, numbers learned for each element",
    )
    width: int = Field(64, ge=1, le=4096, description="numbers of a site")
    hidden: int = Field(128, ge=1, description="neurons of the layer after the mean over sites")
    radial: int = Field(41, ge=2, description="Gaussians of the distance, evenly from 0 to 8 Å")
    batch: int = Field(64, ge=1, description="crystals in a step")
    learning_rate: float = Field(2e-3, gt=0, description="of Adam")

    takes: ClassVar[frozenset[str]] = frozenset({"crystals"})
    targets: ClassVar[frozenset[str]] = frozenset({"binary", "value", "classes"})

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """``n_features``, and ``n_outputs`` where there are several classes.

        Raises
        ------
        DataError: the examples are no crystals, or hold an element of which nothing is known.
        """
        from vitrine.learn.crystal_batches import CRYSTALS

        if examples.makes != CRYSTALS or examples.nodes is None or examples.edge_vectors is None:
            raise DataError(
                f"the {self.kind} network takes graphs of crystals (representation crystal-graph); these "
                f"examples are {examples.makes}"
            )
        from vitrine.physics.element_features import KNOWN

        most = int(examples.nodes.max(initial=1))
        if examples.nodes.shape[1] != 1 or examples.nodes.min(initial=1) < 1 or most > 118:
            raise DataError(f"the {self.kind} network takes nodes that are atomic numbers, from 1 to 118")
        if self.elements == "properties" and most > KNOWN:
            raise DataError(
                f"the {self.kind} network knows no properties of the element of atomic number {most}; set "
                "elements=one-hot or leave such crystals out"
            )
        inputs = {"n_features": examples.features.shape[1]}
        return inputs | ({"n_outputs": len(examples.class_names)} if examples.class_names else {})

    def seen(self, examples: Examples) -> Examples:
        """All of them."""
        return examples

    def calibrate(self, network: Any, train: Examples) -> None:
        """Nothing: Gaussians are of fixed lengths."""

    def sizes(self) -> dict[str, int]:
        """Arguments of all networks on crystals."""
        return {"width": self.width, "hidden": self.hidden, "radial": self.radial}


class GatedCrystals(CrystalPart):
    """CGCNN (Xie & Grossman 2018): gated convolutions over the nearest neighbours."""

    kind: Literal["cgcnn"] = "cgcnn"
    layers: int = Field(3, ge=1, le=100, description="convolutions")

    summary: ClassVar[str] = "crystal graph network with gated convolutions (CGCNN)"

    def citations(self) -> tuple[str, ...]:
        """CGCNN."""
        return ("10.1103/PhysRevLett.120.145301",)

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :class:`vitrine.learn.networks.crystal.GatedNetwork`."""
        from vitrine.learn.networks.crystal import GatedNetwork

        return GatedNetwork(self.layers, n_features, n_outputs, self.elements == "properties", **self.sizes())


class AttentiveCrystals(CrystalPart):
    """CGCNN with attention over the bonds of a site in place of gates, and over the sites of a crystal."""

    kind: Literal["cgcnn-attention"] = "cgcnn-attention"
    layers: int = Field(3, ge=1, le=100, description="convolutions")
    heads: int = Field(4, ge=1, description="attentions side by side; the width is a multiple of them")

    summary: ClassVar[str] = "crystal graph network with attention over bonds and sites"

    @model_validator(mode="after")
    def _whole_heads(self) -> AttentiveCrystals:
        if self.width % self.heads:
            raise ValueError(f"width: {self.width} is no multiple of {self.heads} heads")
        return self

    def citations(self) -> tuple[str, ...]:
        """CGCNN and the attention."""
        return ("10.1103/PhysRevLett.120.145301", "arXiv:2105.14491")

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :class:`vitrine.learn.networks.crystal.AttentiveNetwork`."""
        from vitrine.learn.networks.crystal import AttentiveNetwork

        known = self.elements == "properties"
        return AttentiveNetwork(self.layers, self.heads, n_features, n_outputs, known, **self.sizes())

    def build(self, target: str, seed: int) -> NetworkModel:
        """The model, which can tell its attention."""
        return AttendingCrystalModel(self, target, seed)


class LineGraphs(CrystalPart):
    """Messages between sites and, at each site, between its bonds by the angles they make.

    In the line of ALIGNN (Choudhary & DeCost 2021). Angles are those between bonds from one site to its
    nearest neighbours; there bonds exchange messages, before they take part in those between sites.
    """

    kind: Literal["line-graph"] = "line-graph"
    layers: int = Field(2, ge=1, le=100, description="rounds with angles, each followed by one of sites")
    plain_layers: int = Field(2, ge=0, le=100, description="rounds of sites alone, at the end")
    angle_neighbours: int = Field(
        6,
        ge=2,
        description="nearest bonds of a site that make angles; more where they leave a shell incomplete",
    )
    angular: int = Field(20, ge=2, description="Gaussians of the cosine of an angle, from -1 to 1")

    summary: ClassVar[str] = "crystal graph network on sites, bonds and bond angles (as ALIGNN)"

    def citations(self) -> tuple[str, ...]:
        """ALIGNN, and its gated convolution."""
        return ("10.1038/s41524-021-00650-1", "arXiv:2003.00982")

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :class:`vitrine.learn.networks.line_graph.LineGraphNetwork`."""
        from vitrine.learn.networks.line_graph import LineGraphNetwork

        return LineGraphNetwork(
            self.layers,
            self.plain_layers,
            self.angle_neighbours,
            self.angular,
            n_features,
            n_outputs,
            self.elements == "properties",
            **self.sizes(),
        )


class AttendingCrystalModel(NetworkModel):
    """A model of crystals with attention over the bonds of each site, and over sites."""

    def attention(self, examples: Examples) -> NDArray[np.float64]:
        """``(n_edges, heads)``: weights of the bonds, which sum to 1 at each centre, for each head."""
        from vitrine.learn.prediction import attention_of

        return attention_of(self.network, self._scaled(examples))

    def site_attention(self, examples: Examples) -> NDArray[np.float64]:
        """``(n_nodes, heads)``: weights of the sites, which sum to 1 within each sample and head."""
        from vitrine.learn.prediction import attention_of

        return attention_of(self.network, self._scaled(examples), "site_attention")
