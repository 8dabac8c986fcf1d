"""What the stages of one run have made so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrine.study.cross_validation import OutOfFold
from vitrine.study.data import Data
from vitrine.study.data_curve import Curved
from vitrine.study.search import Searched
from vitrine.study.sweep import Swept
from vitrine.study.transfer import Transferred

if TYPE_CHECKING:
    from vitrine.study.composition_reference import Compositions
    from vitrine.study.each_element import Each
    from vitrine.study.landscapes import Looked


@dataclass
class Work:
    """What the stages of one run have made so far."""

    data: dict[str, Data]
    """track -> its samples and examples; tracks of one source share them"""
    found: dict[str, OutOfFold] = field(default_factory=dict)
    """by track"""
    swept: list[Swept] = field(default_factory=list)
    searched: Searched | None = None
    curved: list[Curved] = field(default_factory=list)
    transferred: Transferred | None = None
    looked: list[Looked] = field(default_factory=list)
    """loss landscapes"""
    each: Each | None = None
    """one element after the other left out"""
    notes: list[str] = field(default_factory=list)
    """sentences for the report"""
    final: dict[str, Path] = field(default_factory=dict)
    """model -> store entry of the model fitted on all samples of the first track"""
    final_of_track: dict[str, Path] = field(default_factory=dict)
    """later track with samples of its own -> store entry of the main model fitted on them"""
    features: Path | None = None
    """store entry of the features that the final main model finds in strain maps"""
    usual_distances: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """track -> rising distances of tested formulas to those trained on, once they were asked for"""
    compositions: dict[str, Compositions] = field(default_factory=dict)
    """track -> of the formulas that its final models were trained on, or stopped by"""
    seen_by_final: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """track -> samples that its final models were trained on, or stopped by"""
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)

    judged: dict[str, Data] = field(default_factory=dict)
    """track -> what its scores are of: all samples, or those that a hold-out split tests"""

    @property
    def first(self) -> Data:
        """Data of the first track, the one that claims and shipped models rest on."""
        return next(iter(self.data.values()))
