"""What a camera would see of a crystal: strain on a regular, undeformed grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

COMPONENTS = ("xx", "yy", "xy")
"""of the strain, tensor components"""


@dataclass(frozen=True)
class StrainMap:
    """Strain at pixels.

    Attributes
    ----------
    strain: (3, rows, columns) float32, components xx, yy and xy of the small-strain tensor, from low y on.
    pitch: edge of a pixel [nm].
    axis: the loading axis.
    info: what else is known (JSON-able): prior and reload strain [%], width [µm], slip ...
    curve: (points, 2) strain since the reload began and mean stress along the load [MPa], of the longest
        reload of this specimen from the same state; None where nobody knows.
    """

    strain: NDArray[np.float32]
    pitch: float
    axis: Literal["x", "y"] = "y"
    info: dict[str, Any] = field(default_factory=dict)
    curve: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.strain.ndim != 3 or len(self.strain) != len(COMPONENTS):
            raise ValueError(f"strain should be (3, rows, columns), not {self.strain.shape}")

    @property
    def axial(self) -> NDArray[np.float32]:
        """(rows, columns) strain along the loading axis."""
        return np.asarray(self.strain[1 if self.axis == "y" else 0])

    @property
    def equivalent(self) -> NDArray[np.float32]:
        """(rows, columns) von Mises strain of the in-plane components, sqrt(2 e:e / 3) of the deviator.

        The strain normal to the plane is 0 (plane strain).
        """
        xx, yy, xy = self.strain
        mean = (xx + yy) / 3
        total = (xx - mean) ** 2 + (yy - mean) ** 2 + mean**2 + 2 * xy**2
        return np.asarray(np.sqrt(2 / 3 * total), np.float32)


class StoredMap(StrainMap):
    """A strain map on disk, read anew whenever its strain or its curve is asked for.

    Parameters
    ----------
    read_strain, read_curve: give them; functions that can be sent to other processes.
    """

    def __init__(
        self,
        read_strain: Callable[[], NDArray[np.float32]],
        read_curve: Callable[[], NDArray[np.float64]],
        pitch: float,
        info: dict[str, Any],
    ) -> None:
        own = {
            "read_strain": read_strain,
            "read_curve": read_curve,
            "pitch": pitch,
            "axis": "y",
            "info": info,
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def strain(self) -> NDArray[np.float32]:
        """As of every map."""
        read: Callable[[], NDArray[np.float32]] = self.__dict__["read_strain"]
        return read()

    @property
    def curve(self) -> NDArray[np.float64]:
        """As of every map."""
        read: Callable[[], NDArray[np.float64]] = self.__dict__["read_curve"]
        return read()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredMap) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


def strain_of(displacement: NDArray[np.float64], pitch: float) -> NDArray[np.float64]:
    """(3, rows - 1, columns - 1) strain by finite differences between the four corners of each pixel.

    ``displacement`` is (2, rows, columns) u_x and u_y at the corners, in the unit of ``pitch``. The mean of
    yy over a map is exactly what its ends have moved apart.
    """
    u, v = displacement
    across = [(f[1:, 1:] - f[1:, :-1] + f[:-1, 1:] - f[:-1, :-1]) / (2 * pitch) for f in (u, v)]
    along = [(f[1:, 1:] - f[:-1, 1:] + f[1:, :-1] - f[:-1, :-1]) / (2 * pitch) for f in (u, v)]
    return np.stack([across[0], along[1], 0.5 * (along[0] + across[1])])
