"""The loss landscape of any torch network: planes, lines, curvature, and their numbers.

.. code-block:: python

    from vitrine.explain.landscape import Probe

    probe = Probe(network, {"train": train_loader, "test": test_loader}, loss=torch.nn.functional.mse_loss)
    surface = probe.surface(probe.plane("filter", seed=0), reach=1.0, points=25)
    surface.numbers("test")
"""

from __future__ import annotations

from vitrine.explain.landscape.curvature import Curvature
from vitrine.explain.landscape.directions import Direction, Plane
from vitrine.explain.landscape.merge_tree import MergeTree, merge_tree
from vitrine.explain.landscape.probe import Probe
from vitrine.explain.landscape.results import Curve, Curves, Surface

__all__ = [
    "Curvature", "Curve", "Curves", "Direction", "MergeTree", "Plane", "Probe", "Surface", "merge_tree"
]  # fmt: skip
