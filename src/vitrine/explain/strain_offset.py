"""Does the answer hang on digits that no camera sees? Predictions of maps whose strain is a little off."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from vitrine.errors import StudyError
from vitrine.explain.found import Explained, ExplanationPart, Profile
from vitrine.learn.protocol import Model
from vitrine.samples import Examples, Float, Samples


class StrainOffset(ExplanationPart):
    """Accuracy, or absolute error, where the same strain is added to every pixel, or noise to each.

    Digital image correlation is good to 1e-5 to 1e-4 of strain. A model that has read dislocation lines,
    a hundred times stronger, does not mind; one that tells classes apart by the exact grey of a quiet
    crystal does.
    """

    kind: Literal["strain-offset"] = "strain-offset"
    offsets: tuple[float, ...] = Field(
        (2e-6, 1e-5, 1e-4), min_length=1, description="strains (fraction), added and taken away, rising"
    )
    noise: tuple[float, ...] = Field(
        (1e-5, 1e-4), description="standard deviations of a strain (fraction) of each pixel"
    )
    seed: int = Field(0, ge=0, description="of the noise")

    takes: ClassVar[str] = "maps"
    summary: ClassVar[str] = "what a model says of strain maps whose strain is a little off, or noisy"

    @model_validator(mode="after")
    def _possible(self) -> StrainOffset:
        if min((*self.offsets, *self.noise)) <= 0 or max((*self.offsets, *self.noise)) >= 1:
            raise ValueError("offsets and noise are strains above 0 and below 1")
        if list(self.offsets) != sorted(set(self.offsets)):
            raise ValueError("offsets must rise")
        return self

    def citations(self) -> tuple[str, ...]:
        """What cameras can do: the guide to good practice."""
        return ("10.32720/idics/gpg.ed1",)

    def explain(self, model: Model, samples: Samples, examples: Examples) -> Explained:
        """Right or wrong (1 or 0), or the absolute error, of every sample under every change.

        Raises
        ------
        StudyError: the samples have no strain maps, or nothing to compare with.
        """
        if examples.maps is None or examples.target is None:
            raise StudyError(
                f"explanations: strain-offset needs strain maps with a target, {self.model}'s lack one"
            )
        classes = bool(examples.class_names)
        metric = "accuracy" if classes else "mae"
        found = Explained()
        signs = {"more strain": 1.0, "less strain": -1.0}
        plain = self._judged(model, examples, np.zeros(1))
        curves = {
            label: np.stack(
                [self._judged(model, examples, np.array([sign * x])) for x in self.offsets], axis=1
            )
            for label, sign in signs.items()
        }
        found.numbers[metric, "maps as they are"] = plain
        for label, values in curves.items():
            for offset, column in zip(self.offsets, values.T, strict=True):
                found.numbers[metric, f"{label}, {offset:g}"] = column
        random = np.random.default_rng(self.seed)
        for spread in self.noise:
            noise = random.normal(0, spread, len(examples.maps.packed().pixels))
            found.numbers[metric, f"noise of {spread:g}"] = self._judged(model, examples, noise)
        found.profiles.append(
            Profile(
                name="strain-offset",
                title="The same strain added to every pixel",
                caption="Cameras are good to a strain of 1e-5 to 1e-4; lines of dislocations are far "
                "stronger.",
                x_label="log10 of the strain that is added or taken away",
                y_label="accuracy" if classes else "absolute error",
                x=np.log10(self.offsets),
                curves={**curves, "as they are": np.tile(plain[:, None], len(self.offsets))},
            )
        )
        return found

    def _judged(self, model: Model, examples: Examples, change: Float) -> Float:
        assert examples.maps is not None and examples.target is not None
        stack = examples.maps.packed()
        pixels = (stack.pixels.astype(np.float64) + change).astype(np.float16)
        scores = model.predict(replace(examples, maps=replace(stack, pixels=pixels)))
        target = np.asarray(examples.target, np.float64)
        if not examples.class_names:
            error: Float = np.abs(np.asarray(scores, np.float64).reshape(len(target)) - target)
            return error
        called = np.asarray(scores).reshape(len(target), -1).argmax(axis=1)
        return np.asarray(called == target, np.float64)
