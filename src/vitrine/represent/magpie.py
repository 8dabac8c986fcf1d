"""A formula as 145 physical attributes: Magpie statistics, norms, valence electrons, ionic character."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from vitrine.parts import Part
from vitrine.represent.whole import whole_examples
from vitrine.tasks import Compute

if TYPE_CHECKING:
    from vitrine.samples import Examples, Samples


class Magpie(Part):
    """Physical attributes, ``(n, 145) float32``, computed in double precision.

    Minimum, maximum, range, mean, average deviation and mode of 22 elemental properties (132 columns; among
    them melting temperature [K], covalent radius [pm], volume per atom [Å^3], band gap [eV]), the 0-, 2-,
    3-, 5-, 7- and 10-norm of the fractions (6), the shares of s, p, d and f electrons among the valence
    electrons (4), whether a neutral ionic compound is possible, and the largest and mean ionic character of
    its bonds (3). They are those of matminer 0.10 with ``IonProperty(fast=True)``, which gives each element
    one oxidation state, so that Fe3O4 is none: the other mode refuses amounts that are not whole. Neither
    order nor scale of the formula matters.
    """

    summary: ClassVar[str] = "145 physical attributes of a formula (Magpie, Ward et al. 2016)"
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "formulas"
    makes: ClassVar[str] = "vectors"

    kind: Literal["magpie"] = "magpie"
    missing: Literal["mean", "refuse"] = Field(
        "mean",
        description="what stands for a property that the table lacks (some of He, Ne, Ar, At, Rn, Fr and Bk "
        "to Cn): the mean over all elements that have it, as in matminer; or refuse such elements",
    )

    def feature_labels(self) -> tuple[str, ...]:
        """The names of matminer: ``MagpieData mean Electronegativity``, ``2-norm``, ``avg ionic char`` ..."""
        from vitrine.physics.magpie import LABELS

        return LABELS

    def citations(self) -> tuple[str, ...]:
        """Ward et al. 2016, and matminer (Ward et al. 2018), whose conventions these are."""
        return ("10.1038/npjcompumats.2016.28", "10.1016/j.commatsci.2018.05.018")

    def refuses(self, samples: Samples) -> dict[str, str]:
        """Id -> reason, for formulas that have no attributes."""
        from vitrine.errors import DataError
        from vitrine.physics.magpie import magpie_attributes

        texts, reasons = list(samples.items["formula"]), {}
        try:
            magpie_attributes(texts, samples.ids, self.missing)
        except DataError:  # rarely: then one by one
            for name, text in zip(samples.ids, texts, strict=True):
                try:
                    magpie_attributes([text], [name], self.missing)
                except DataError as error:
                    reasons[name] = str(error).removeprefix(f"{name}: ")
        return reasons

    def build(self, samples: Samples, compute: Compute) -> Examples:
        """One row per formula; nothing is worth storing, so ``compute`` is not called.

        Raises
        ------
        DataError: a formula holds an element of which nothing is known (Nh to Og), or not everything with
            ``missing: refuse``; row and element are named. There are no formulas.
        """
        from vitrine.physics.magpie import LABELS, magpie_attributes

        table = magpie_attributes(list(samples.items["formula"]), samples.ids, self.missing)
        return replace(whole_examples(self.makes, samples, list(table), LABELS), target_kind="value")
