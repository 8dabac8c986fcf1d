"""Files that a library may crash on or never come to the end of are read in another process first."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from vitrine.errors import DataError

SECONDS = 20
"""of processor time for a small file"""
BYTES_PER_SECOND = 5_000_000


def try_apart(path: Path) -> None:
    """Read a file of strain maps in a process of its own; what it says there it will say here.

    Raises
    ------
    DataError: that process crashed, or used up its time.
    """
    words = [sys.executable, "-P", "-m", "vitrine.physics.tried_apart", str(path)]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode < 0:
        late = done.returncode == -signal.SIGXCPU
        how = "does not come to an end" if late else "crashes"
        raise DataError(f"{path} is damaged: reading it {how}; save it again")


def main() -> None:
    """Read the file that is named; the system ends this process when it has used up its time."""
    import resource

    from vitrine.physics.strain_files import raw_maps

    path = Path(sys.argv[1])
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + SECONDS + path.stat().st_size / BYTES_PER_SECOND)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    with suppress(Exception):  # said again by the process that asked
        raw_maps(path, "y", None)


if __name__ == "__main__":
    main()
