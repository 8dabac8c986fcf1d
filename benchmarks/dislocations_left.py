"""Dislocations that are left in a crystal after it was strained and unloaded, by width and slip systems.

python benchmarks/dislocations_left.py [TRAJECTORIES]

From the store, or simulated: 32 trajectories of each width up to 0.5 µm take some two hours of one core.
"""

from __future__ import annotations

import sys

import numpy as np

from vitrine.campaign.campaign import Campaign
from vitrine.campaign.store import default_root
from vitrine.simulate.dislocations.files import DISLOCATIONS, TRAJECTORY, read_curve, read_reload
from vitrine.simulate.dislocations.source import DislocationDynamics
from vitrine.simulate.released_reader import opened

PRIOR = (0.1, 1.0, 10.0)
WIDTHS = (0.0625, 0.125, 0.25, 0.5)
FLOW = 0.002
"""strain of the reload from which its stress is averaged"""


def main() -> None:
    """Print the median number, how many crystals are empty, and the mean flow stress of the reload."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    print("| width [µm] | slip systems | after | dislocations left, median | empty | flow stress [MPa] |")
    print("|---|---|---|---|---|---|")
    with Campaign(default_root()) as campaign:
        for width in WIDTHS:
            for slip in ("one", "two"):
                source = DislocationDynamics(width=(width,), slip=(slip,), drawn=1, trajectories=count)
                left: dict[float, list[float]] = {prior: [] for prior in PRIOR}
                flow: dict[float, list[float]] = {prior: [] for prior in PRIOR}
                for outcome in campaign.compute(source.tasks()):
                    assert outcome.folder is not None
                    with opened(outcome.folder / TRAJECTORY, DISLOCATIONS, trusted=True) as file:
                        group = next(iter(file["trajectories"].values()))
                        for prior in PRIOR:
                            left[prior].append(float(read_curve(group, f"unload-{prior:g}")[-1, 3]))
                            curve = read_reload(group, prior)
                            flow[prior].append(float(curve[curve[:, 0] >= FLOW, 1].mean()))
                for prior in PRIOR:
                    empty = np.mean(np.array(left[prior]) == 0)
                    print(
                        f"| {width:g} | {slip} | {prior:g} % | {np.median(left[prior]):g} | {empty:.0%} | "
                        f"{np.mean(flow[prior]):.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
