"""Labels that are per-atom columns of a user's own configurations: a class, or a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from vitrine.errors import DataError, did_you_mean
from vitrine.parts import Part

if TYPE_CHECKING:
    from vitrine.samples import Samples

_OWN = {"positions", "numbers"}


class AtomClass(Part):
    """1 for atoms whose column is 1, or reaches a threshold; 0 for the others."""

    kind: Literal["atom-class"] = "atom-class"
    field: str = Field(min_length=1, description="per-atom column of the configurations")
    threshold: float | None = Field(
        None, description="values from here on are 1; without it the column must hold 0 and 1 only"
    )

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[Literal["binary", "value"]] = "binary"
    unit: ClassVar[str | None] = None
    summary: ClassVar[str] = "atoms by a column of your files: 0 and 1, or values with a threshold"

    @property
    def severity_label(self) -> str:
        """Title of an axis."""
        return self.field

    def targets(self, samples: Samples) -> list[Any]:
        """One (n_atoms,) float32 array of 0 and 1 per sample.

        Raises
        ------
        DataError: a sample without this column, or one whose values cannot be taken for classes.
        """
        import numpy as np

        targets = []
        for values, name in zip(_columns(samples, self.field), samples.ids, strict=True):
            if self.threshold is not None:
                targets.append((values >= self.threshold).astype(np.float32))
                continue
            strange = np.flatnonzero((values != 0) & (values != 1))
            if len(strange):
                raise DataError(
                    f"{name}: its column {self.field} is {values[strange[0]]:g} at atom {strange[0] + 1}, "
                    f"neither 0 nor 1 ({len(strange):,} such atoms); set label.threshold, or learn the value "
                    "itself with the label atom-field"
                )
            targets.append(values.astype(np.float32))
        return targets

    def severity(self, samples: Samples) -> list[Any] | None:
        """With a threshold the column itself; else None."""
        if self.threshold is None:
            return None
        return [values.astype("float32") for values in _columns(samples, self.field)]


class AtomField(Part):
    """A number for each atom: a column as it is, or its decimal logarithm."""

    kind: Literal["atom-field"] = "atom-field"
    field: str = Field(min_length=1, description="per-atom column of the configurations")
    unit: str | None = Field(None, description="unit of what is learned, for tables and axes")
    log: bool = Field(False, description="learn log10 of the column; all its values must be positive")

    takes: ClassVar[str] = "atoms"
    makes: ClassVar[Literal["binary", "value"]] = "value"
    summary: ClassVar[str] = "a per-atom column of your files, or its logarithm"

    def targets(self, samples: Samples) -> list[Any]:
        """One (n_atoms,) float32 array per sample.

        Raises
        ------
        DataError: a sample without this column, or with a value that has no logarithm or is beyond single
            precision.
        """
        import numpy as np

        targets = []
        for values, name in zip(_columns(samples, self.field), samples.ids, strict=True):
            if self.log:
                bad = np.flatnonzero(~(values > 0))
                if len(bad):
                    raise DataError(
                        f"{name}: its column {self.field} is {values[bad[0]]:g} at atom {bad[0] + 1}, which "
                        f"has no logarithm ({len(bad):,} such atoms); set label.log=false"
                    )
                values = np.log10(values)
            large = np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)
            if len(large):
                raise DataError(
                    f"{name}: its column {self.field} is {values[large[0]]:g} at atom {large[0] + 1}, too "
                    "large for single precision"
                )
            targets.append(values.astype(np.float32))
        return targets

    def severity(self, samples: Samples) -> list[Any] | None:
        """None: there is nothing behind a value but the value itself."""
        return None


def _columns(samples: Samples, field: str) -> list[Any]:
    """One (n_atoms,) float64 array per sample."""
    import numpy as np

    found = []
    for atoms, name in zip(samples.items, samples.ids, strict=True):
        known = sorted(set(atoms.arrays) - _OWN)
        if field not in known:
            raise DataError(
                f"{name} has no per-atom column {field} (label.field){did_you_mean(field, known)}"
            )
        values = atoms.arrays[field]
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            what = f"{values.shape[1]} columns" if values.ndim == 2 else "text"
            raise DataError(f"{name}: its per-atom column {field} should hold a number per atom, not {what}")
        numbers = values.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            raise DataError(f"{name}: its column {field} is {values[bad[0]]} at atom {bad[0] + 1}")
        found.append(numbers)
    return found
