"""What a worker of a batch job does before its walltime is over. Workers import it; nobody else should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

from vitrine.campaign.store import Store


class Farewell(WorkerPlugin):
    """An attempt that ends with the lifetime of its worker does not count against its task.

    Parameters
    ----------
    root: folder of the store.
    """

    name = "vitrine-farewell"

    def __init__(self, root: str) -> None:
        self._root = root
        self._worker: Any = None

    def setup(self, worker: Any) -> None:
        """Dask's hook: the worker starts."""
        self._worker = worker

    def teardown(self, worker: Any) -> None:
        """Dask's hook: the worker ends in good order."""
        underway = Store(Path(self._root)).underway
        starts = {str(task.key).split("-")[-3] for task in worker.state.executing}
        for key in underway.known():
            if key[:16] in starts:
                underway.settle(key)
