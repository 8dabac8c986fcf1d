"""Settings of the networks on composition vectors, and of support vectors, their peer among the classics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from vitrine.learn.baselines import ANY_TARGET, SklearnModel
from vitrine.learn.network_part import NetworkPart
from vitrine.learn.protocol import ModelPart

if TYPE_CHECKING:
    from torch import nn

    from vitrine.samples import Examples


class _OnVectors(NetworkPart):
    """What the networks on vectors share: raw inputs by default, one output or one for each class."""

    standardise: bool = Field(
        False,
        description="scale features to mean 0 and spread 1; not for elemental fractions, where it makes a "
        "rare element thirty times louder than a common one",
    )
    epochs: int = Field(3000, ge=1, description="epochs, at most")
    patience: int = Field(100, ge=1, description="epochs without a better validation loss before stopping")
    learning_rate: float = Field(1e-4, gt=0, description="of Adam")
    batch: int = Field(32, ge=1, description="rows in a step")

    takes: ClassVar[frozenset[str]] = frozenset({"vectors"})
    targets: ClassVar[frozenset[str]] = ANY_TARGET

    grids: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
        "trials": {"learning_rate": (3e-4, 1e-4, 1e-3, 3e-5)}
    }

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """``n_features``, and ``n_outputs`` where there are several classes."""
        inputs = super().inputs_of(examples)
        return inputs | ({"n_outputs": len(examples.class_names)} if examples.class_names else {})


class BranchedResidual(_OnVectors):
    """BRNet (Gupta et al. 2023): two parallel branches summed, then a trunk with a skip at each layer.

    With ``schedule: plateau`` and a patience of 50 epochs it is iBRNet (doi:10.1186/s13321-024-00811-6).
    """

    kind: Literal["brnet"] = "brnet"
    branches: Literal["2-2", "3-1", "2-1-1", "1-1-1-1"] = Field(
        "2-2", description="layers of 1024 in each parallel branch of the first block"
    )

    summary: ClassVar[str] = "branched residual network on vectors: BRNet, and iBRNet by its schedule"

    def citations(self) -> tuple[str, ...]:
        """BRNet; with a schedule, iBRNet."""
        own = ("10.1038/s41598-023-36336-5",)
        return own if self.schedule == "constant" else (*own, "10.1186/s13321-024-00811-6")

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :func:`vitrine.learn.networks.composition.branched`."""
        from vitrine.learn.networks.composition import branched

        return branched(n_features, [int(depth) for depth in self.branches.split("-")], n_outputs)


class ElemNet(_OnVectors):
    """ElemNet (Jha et al. 2018): seventeen fully connected layers with dropout."""

    kind: Literal["elemnet"] = "elemnet"

    summary: ClassVar[str] = "ElemNet: seventeen fully connected layers with dropout"

    def citations(self) -> tuple[str, ...]:
        """ElemNet."""
        return ("10.1038/s41598-018-35934-y",)

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :func:`vitrine.learn.networks.composition.elemnet`."""
        from vitrine.learn.networks.composition import elemnet

        return elemnet(n_features, n_outputs)


class IRNet(_OnVectors):
    """IRNet-17 (Jha et al. 2019): ElemNet's layers with batch norm and a skip at each."""

    kind: Literal["irnet"] = "irnet"

    summary: ClassVar[str] = "IRNet-17: batch norm and a skip connection at each layer"

    def citations(self) -> tuple[str, ...]:
        """IRNet."""
        return ("10.1145/3292500.3330703",)

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :func:`vitrine.learn.networks.composition.irnet`."""
        from vitrine.learn.networks.composition import irnet

        return irnet(n_features, n_outputs)


class ElementAttention(_OnVectors):
    """Attention among learned embeddings of a formula's elements, with as many parameters as BRNet.

    Of the family of Roost (doi:10.1038/s41467-020-19964-7) and CrabNet (doi:10.1038/s41524-021-00545-1);
    unlike theirs its embeddings are learned from nothing, and an element's fraction is its weight in
    attention. Features must be elemental fractions, alone.
    """

    kind: Literal["element-attention"] = "element-attention"
    width: int = Field(256, ge=8, description="numbers that stand for an element; a multiple of the heads")
    heads: int = Field(4, ge=1, description="attentions side by side")
    blocks: int = Field(3, ge=1, description="rounds of attention")
    trunk: tuple[int, ...] = Field(
        (1024, 512, 512, 256, 256, 256, 128, 128, 64, 32),
        min_length=1,
        description="neurons of the layers after the mean over elements",
    )

    only_of: ClassVar[frozenset[str]] = frozenset({"elemental-fractions"})
    summary: ClassVar[str] = "attention among the elements of a formula, learned embeddings"

    def citations(self) -> tuple[str, ...]:
        """Its relatives."""
        return ("10.1038/s41467-020-19964-7", "10.1038/s41524-021-00545-1")

    def network(self, n_features: int, n_outputs: int = 1) -> nn.Module:
        """See :class:`vitrine.learn.networks.composition.ElementAttention`."""
        from vitrine.learn.networks.composition import element_attention

        return element_attention(n_features, self.width, self.heads, self.blocks, self.trunk, n_outputs)

    def inputs_of(self, examples: Examples) -> dict[str, int]:
        """As of all networks on vectors.

        Raises
        ------
        DataError: the features are not fractions that sum to one.
        """
        from vitrine.errors import DataError

        sums = examples.features[:1000].sum(axis=1)
        if (examples.features[:1000] < 0).any() or (abs(sums - 1) > 1e-3).any():
            raise DataError(
                f"the {self.kind} network takes elemental fractions, which sum to 1 in each row; these "
                f"features ({', '.join(examples.feature_labels[:3])}, ...) do not: set "
                "representation.kind=elemental-fractions"
            )
        return super().inputs_of(examples)


class SupportVectors(ModelPart):
    """Support vectors with a Gaussian kernel, on a random part of the rows where there are many.

    Probabilities of classes are a logistic curve of the decision, by cross-validation on the training rows; a
    class with a single one of these has no such curve, and the classes then have the probabilities 0 and 1.

    Time grows with the square of the rows and more.
    """

    kind: Literal["svm"] = "svm"
    penalty: float = Field(
        10.0, gt=0, description="C: weight of errors against smoothness, target of spread 1"
    )
    rows: int = Field(20_000, ge=10, description="training rows, at most; drawn at random from more")

    seeded: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset({"vectors"})
    targets: ClassVar[frozenset[str]] = ANY_TARGET
    grids: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {"trials": {"penalty": (10.0, 1.0, 100.0)}}
    summary: ClassVar[str] = "support vectors with a Gaussian kernel"

    def build(self, target: str, seed: int) -> SklearnModel:
        """The model, on standardised features and target."""
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC, SVR

        shared: dict[str, Any] = {"C": self.penalty, "cache_size": 500}
        if target != "value":
            machine: Any = SVC(class_weight="balanced", random_state=seed, **shared)
            pipeline = make_pipeline(StandardScaler(), machine)
            return SklearnModel(pipeline, target, self.rows, seed, calibrated=True)
        machine = TransformedTargetRegressor(SVR(epsilon=0.05, **shared), transformer=StandardScaler())
        return SklearnModel(make_pipeline(StandardScaler(), machine), target, self.rows, seed)
