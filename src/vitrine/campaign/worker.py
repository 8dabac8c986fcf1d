"""A local worker process: ``python -m vitrine.campaign.worker``, told on its input what to do.

Workers are started and replaced by :class:`vitrine.campaign.cluster.Cluster` and not by Dask's
nanny, which gives a worker up that dies while it starts, and reads the user's script again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitrine.processes import die_with_parent

TIMEOUT = 60.0
"""seconds to wait for the scheduler"""


FIRST_TO_GO = 800
"""of 1000: when memory runs out, the system takes workers and their engines before the command"""


async def serve(scheduler: str) -> None:
    """Work for a scheduler until it says goodbye; one thread, no limit of memory."""
    import dask
    from distributed import Worker

    options: dict[str, Any] = {"nthreads": 1, "memory_limit": 0, "host": "127.0.0.1", "dashboard": False}
    with dask.config.set({"distributed.worker.http.routes": []}):
        async with Worker(scheduler, death_timeout=TIMEOUT, **options) as worker:
            await worker.finished()


def main() -> None:
    """Read ``{"scheduler": address, "path": sys.path of the parent}`` and serve."""
    # The terminal sends SIGINT to every process; Ctrl-C is the parent's. Engines that are children
    # of this process inherit that: else their death would look like a failure of the task.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    with suppress(OSError):  # not Linux, or not allowed
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))
    orders = json.loads(sys.stdin.readline())
    sys.path[:] = orders["path"]
    code = 0
    try:
        asyncio.run(serve(orders["scheduler"]))
    except (OSError, TimeoutError, RuntimeError):  # the scheduler is gone, and so is the work
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # a thread may still be in a task that nobody wants any more


if __name__ == "__main__":
    main()
