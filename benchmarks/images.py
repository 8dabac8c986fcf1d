"""Pictures of 250 x 250 pixels with the particles as discs, against matplotlib; rows for ``run.py``.

python benchmarks/images.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vitrine.represent.particle_image import ParticleImage
from vitrine.samples import Samples
from vitrine.testing import flat_samples

PIXELS, RUNS, IMAGES = 250, 3, 20
SIZES = (500, 4320)


def ours(samples: Samples) -> np.ndarray:
    """All images, from atoms to array."""
    images = ParticleImage(pixels=PIXELS).build(samples, lambda tasks: []).images
    assert images is not None
    return images


class Scatter:
    """The same with a figure that is made once, cleared and drawn into; discs over the border are cut.

    One call of ``scatter`` for each species, as the authors did: matplotlib then draws one disc and
    copies it to whole pixels, the fastest way. With ``exact`` each disc is drawn where it is.
    """

    def __init__(self, samples: Samples, exact: bool = False) -> None:
        self.figure = Figure(figsize=(PIXELS / 100, PIXELS / 100), dpi=100)
        self.canvas = FigureCanvasAgg(self.figure)
        self.samples, self.exact = samples, exact

    def __call__(self) -> np.ndarray:
        """(n, pixels, pixels) uint8, the class of each pixel."""
        return np.stack([self.draw(atoms) for atoms in self.samples.items])

    def draw(self, atoms: Any) -> np.ndarray:
        """One picture."""
        self.figure.clear()
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        length = atoms.cell[0, 0]
        axes.set(xlim=(0, length), ylim=(0, length))
        places = atoms.positions[:, :2] % length
        small = np.asarray(atoms.numbers) == 15
        points = 2 * 0.3 * PIXELS / length * 72 / 100  # diameter of a disc of A
        area = np.where(small, 0.88 * points, points) ** 2
        if self.exact:
            axes.scatter(*places.T, s=area, c=np.where(small, "blue", "red"), linewidths=0)
        else:
            for which, colour in ((~small, "red"), (small, "blue")):
                axes.scatter(*places[which].T, s=area[which][0], c=colour, linewidths=0)
        self.canvas.draw()
        seen = np.asarray(self.canvas.buffer_rgba())[::-1]
        red, blue = (seen[..., 0] > 128) & (seen[..., 2] < 128), (seen[..., 2] > 128) & (seen[..., 0] < 128)
        return (red + 2 * blue).astype(np.uint8)


def seconds(work: Callable[[], object]) -> list[float]:
    """CPU seconds per image of three runs, after one to warm up."""
    work()
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        found.append((time.process_time() - start) / IMAGES)
    return found


def rows() -> Iterator[str]:
    """Lines of the table: CPU milliseconds of one image."""
    for size in SIZES:
        samples = flat_samples(IMAGES, size)
        alike = float((ours(samples) == Scatter(samples, exact=True)()).mean())
        assert alike > 0.97, f"only {alike:.0%} of the pixels agree: the pictures differ"
        mine = seconds(lambda samples=samples: ours(samples))
        theirs = seconds(Scatter(samples))
        shown = [", ".join(f"{1000 * value:.2f}" for value in times) for times in (mine, theirs)]
        yield (
            f"| Picture of {PIXELS} x {PIXELS} pixels, ms | {size:,} particles | {shown[0]} | {shown[1]} "
            f"| scatter of matplotlib {version('matplotlib')}, figure used again; {alike:.1%} of pixels "
            f"alike; at least 50 | {min(theirs) / min(mine):.0f} |"
        )


if __name__ == "__main__":
    print("\n".join(rows()))
